/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of regression: means of a loss per row, or made of such means. Numbers near the ends of a double's range are
 * scaled by a power of two first, so that squares and sums neither overflow nor vanish. */
#include <math.h>

#include "stats/measure_impl.h"
#include "stats/sum.h"

#define LARGE 1e50
#define SMALL 1e-50

/* The power of two that brings the largest of a and b (NULL is fine) near 1; 0 when they are moderate already. */
static int scale_of(const double *a, const double *b, size_t n)
{
    double most = 0;
    int e;

    for (size_t i = 0; i < n; i++) {
        double x = fabs(a[i]);

        most = x > most ? x : most;
        x = b ? fabs(b[i]) : 0;
        most = x > most ? x : most;
    }
    if (most == 0 || (most >= SMALL && most <= LARGE))
        return 0;
    frexp(most, &e);
    return e < -1000 ? -1000 : e + 1; /* 2^-e must be a double */
}

/* Where the regression metrics start: errors in units of 2^e_unit, the truth in units of 2^y_unit. */
struct moments {
    double e_scale, y_scale;
    int e_unit, y_unit;
    double total, abs, squares, mean, spread; /* sum of w; means of |e| and e^2; mean of y; mean of (y - mean)^2 */
    bool constant;                            /* the truth is one number */
};

/* Scaling by a power of 2 is exact but for numbers that vanish beside the largest one. */
static double error_of(const struct ml_sample *s, const struct moments *q, size_t i)
{
    return s->truth[i] * q->e_scale - s->estimate[i] * q->e_scale;
}

static bool moments_of(const struct ml_sample *s, const struct weighting *by, bool truth, struct moments *q)
{
    struct ml_sum total = { 0, 0 }, abs = { 0, 0 }, squares = { 0, 0 }, mean = { 0, 0 }, spread = { 0, 0 };
    double low = INFINITY, high = -INFINITY;

    q->e_unit = scale_of(s->truth, s->estimate, s->n);
    q->y_unit = truth ? scale_of(s->truth, NULL, s->n) : 0;
    q->e_scale = ldexp(1, -q->e_unit);
    q->y_scale = ldexp(1, -q->y_unit);
    for (size_t i = 0; i < s->n; i++) {
        double w = weight_of(by, i), e = error_of(s, q, i);

        ml_sum_add(&total, w);
        ml_sum_add(&abs, w * fabs(e));
        ml_sum_add(&squares, w * e * e);
        ml_sum_add(&mean, w * (s->truth[i] * q->y_scale));
        if (w > 0) {
            low = fmin(low, s->truth[i]);
            high = fmax(high, s->truth[i]);
        }
    }
    q->total = ml_sum_value(&total);
    if (!(q->total > 0))
        return false;
    q->abs = ml_sum_value(&abs) / q->total;
    q->squares = ml_sum_value(&squares) / q->total;
    q->mean = ml_sum_value(&mean) / q->total;
    q->constant = low == high;
    for (size_t i = 0; truth && i < s->n; i++) {
        double d = s->truth[i] * q->y_scale - q->mean;

        ml_sum_add(&spread, weight_of(by, i) * d * d);
    }
    q->spread = ml_sum_value(&spread) / q->total;
    return true;
}

/* 1 - mean e^2 / mean (y - mean)^2. A constant truth: 1 for no error at all, else 0 (scikit-learn's force_finite). */
static bool r2_value(const struct ml_sample *s, const struct moments *q, struct ml_value *v, double *psi)
{
    double ratio;

    if (q->constant || q->spread == 0) {
        v->value = q->squares == 0 ? 1 : 0;
        for (size_t i = 0; psi && i < s->n; i++)
            psi[i] = 0;
        return true;
    }
    ratio = ldexp(q->squares / q->spread, 2 * (q->e_unit - q->y_unit));
    v->value = 1 - ratio;
    for (size_t i = 0; psi && i < s->n; i++) {
        double e = error_of(s, q, i), d = s->truth[i] * q->y_scale - q->mean;

        psi[i] = ratio * (d * d / q->spread) - ldexp(e * e / q->spread, 2 * (q->e_unit - q->y_unit));
    }
    return true;
}

/* Median of |error|: of rows numpy's (the mean of the two middle ones), of weighted rows scikit-learn 1.2's lower
 * one. Errors are halved until the end, for a difference may overflow. */
static bool median_value(struct ml_measure *m, const struct weighting *by, struct ml_value *v)
{
    const struct ml_sample *s = &m->s;
    const uint32_t *order = ml_measure_order(m);
    double total = 0, at = 0, half, middle[2] = { NAN, NAN };
    bool weighted = s->weight != NULL;

    for (size_t i = 0; i < s->n; i++)
        total += weight_of(by, order[i]);
    if (!(total > 0))
        return ml_value_none(v, "no rows");
    half = total / 2;
    for (size_t i = 0; i < s->n && isnan(middle[1]); i++) {
        double w = weight_of(by, order[i]), e = fabs(s->truth[order[i]] / 2 - s->estimate[order[i]] / 2);

        at += w;
        if (!(w > 0))
            continue;
        if (isnan(middle[0]) && at >= half)
            middle[0] = e;
        if (weighted ? at >= half : at > half)
            middle[1] = e;
    }
    if (isnan(middle[1]))
        middle[1] = middle[0];
    v->value = weighted ? 2 * middle[0] : middle[0] + middle[1];
    return true;
}

static bool finite_value(struct ml_value *v)
{
    v->ok = true;
    return isfinite(v->value) ? true : ml_value_none(v, "the value overflows a double");
}

bool ml_number_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit)
{
    const struct ml_sample *s = &m->s;
    struct moments q = { 0 };

    v->n = s->n;
    if (metric->id == ML_METRIC_MEDIAN_AE)
        return median_value(m, by, v) && finite_value(v);
    if (metric->id == ML_METRIC_R2 && s->n < 2)
        return ml_value_none(v, "R2 needs two rows");
    if (!moments_of(s, by, metric->id == ML_METRIC_R2, &q))
        return ml_value_none(v, "no rows");
    if (metric->id == ML_METRIC_R2)
        return r2_value(s, &q, v, psi) && finite_value(v);
    *unit = metric->id == ML_METRIC_MSE ? 2 * q.e_unit : q.e_unit;
    v->value = metric->id == ML_METRIC_MAE ? q.abs : metric->id == ML_METRIC_MSE ? q.squares : sqrt(q.squares);
    for (size_t i = 0; psi && i < s->n; i++) {
        double e = error_of(s, &q, i);

        if (metric->id == ML_METRIC_MAE)
            psi[i] = fabs(e) - q.abs;
        else if (metric->id == ML_METRIC_MSE)
            psi[i] = e * e - q.squares;
        else
            psi[i] = v->value > 0 ? (e * e - q.squares) / (2 * v->value) : 0;
    }
    v->value = ldexp(v->value, *unit);
    return finite_value(v);
}

void ml_number_rows(const struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    (void)metric;
    for (size_t i = 0; i < m->s.n; i++)
        out[i] = fabs(m->s.truth[i] - m->s.estimate[i]);
}
