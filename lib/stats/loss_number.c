/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of regression: means of a loss per row, or made of such means. Numbers near the ends of a double's range are
 * scaled by a power of two first, so that squares and sums neither overflow nor vanish. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/row_loss.h"
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
    double error, deviation;                  /* mean of e; mean of (e - error)^2 */
    bool constant, shifted;                   /* the truth is one number; all errors are */
};

/* Scaling by a power of 2 is exact but for numbers that vanish beside the largest one. */
static double error_of(const struct ml_sample *s, const struct moments *q, size_t i)
{
    return s->truth[i] * q->e_scale - s->estimate[i] * q->e_scale;
}

/* What deviations are measured from: the mean, but with a row of more than half of the weight that row's own number,
 * for the mean's rounding times such a weight may be more than all the rest. */
static void centre_of(const struct ml_sample *s, const struct weighting *by, const struct moments *q, double centre[2])
{
    centre[0] = q->mean;
    centre[1] = q->error;
    for (size_t i = 0; i < s->n; i++) {
        if (weight_of(by, i) <= q->total / 2)
            continue;
        centre[0] = s->truth[i] * q->y_scale;
        centre[1] = error_of(s, q, i);
    }
}

/* Mean square about the mean, from sums about a centre near it. */
static double about_mean(const struct ml_sum *squares, const struct ml_sum *sum, double total)
{
    double off = ml_sum_value(sum) / total;

    return fmax(ml_sum_value(squares) / total - off * off, 0);
}

static bool moments_of(const struct ml_sample *s, const struct weighting *by, bool truth, struct moments *q)
{
    struct ml_sum total = { 0, 0 }, abs = { 0, 0 }, squares = { 0, 0 }, mean = { 0, 0 }, spread = { 0, 0 };
    struct ml_sum error = { 0, 0 }, deviation = { 0, 0 }, off[2] = { { 0, 0 }, { 0, 0 } };
    double low = INFINITY, high = -INFINITY, least = INFINITY, most = -INFINITY, centre[2];

    q->e_unit = scale_of(s->truth, s->estimate, s->n);
    q->y_unit = truth ? scale_of(s->truth, NULL, s->n) : 0;
    q->e_scale = ldexp(1, -q->e_unit);
    q->y_scale = ldexp(1, -q->y_unit);
    for (size_t i = 0; i < s->n; i++) {
        double w = weight_of(by, i), e = error_of(s, q, i);

        ml_sum_add(&total, w);
        ml_sum_add(&abs, w * fabs(e));
        ml_sum_add(&squares, w * e * e);
        ml_sum_add(&error, w * e);
        ml_sum_add(&mean, w * (s->truth[i] * q->y_scale));
        if (w > 0) {
            low = fmin(low, s->truth[i]);
            high = fmax(high, s->truth[i]);
            least = fmin(least, e);
            most = fmax(most, e);
        }
    }
    q->total = ml_sum_value(&total);
    if (!(q->total > 0))
        return false;
    q->abs = ml_sum_value(&abs) / q->total;
    q->squares = ml_sum_value(&squares) / q->total;
    q->mean = ml_sum_value(&mean) / q->total;
    q->error = ml_sum_value(&error) / q->total;
    q->constant = low == high;
    q->shifted = least == most;
    centre_of(s, by, q, centre);
    for (size_t i = 0; truth && i < s->n; i++) {
        double w = weight_of(by, i), d = s->truth[i] * q->y_scale - centre[0], e = error_of(s, q, i) - centre[1];

        ml_sum_add(&off[0], w * d);
        ml_sum_add(&off[1], w * e);
        ml_sum_add(&spread, w * d * d);
        ml_sum_add(&deviation, w * e * e);
    }
    q->spread = about_mean(&spread, &off[0], q->total);
    q->deviation = q->shifted ? 0 : about_mean(&deviation, &off[1], q->total);
    return true;
}

/* 1 - mean e^2 / mean (y - mean)^2, or for the explained variance with (e - mean e)^2. A constant truth: 1 for no error
 * at all, else 0 (scikit-learn's force_finite). */
static bool r2_value(const struct ml_sample *s, const struct moments *q, bool centred, struct ml_value *v, double *psi)
{
    double lost = centred ? q->deviation : q->squares, centre = centred ? q->error : 0, ratio;

    if (q->constant || q->spread == 0) {
        v->value = lost == 0 ? 1 : 0;
        for (size_t i = 0; psi && i < s->n; i++)
            psi[i] = 0;
        return true;
    }
    ratio = ldexp(lost / q->spread, 2 * (q->e_unit - q->y_unit));
    v->value = 1 - ratio;
    for (size_t i = 0; psi && i < s->n; i++) {
        double e = error_of(s, q, i) - centre, d = s->truth[i] * q->y_scale - q->mean;

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

/* The loss of y against an estimate, by the metric; of a D2 the loss that it is made of. */
static struct ml_scaled row_loss(const struct ml_metric *metric, double y, double p)
{
    switch (metric->id) {
    case ML_METRIC_MAPE:
        return ml_loss_mape(y, p);
    case ML_METRIC_SMAPE:
        return ml_loss_smape(y, p);
    case ML_METRIC_MSLE:
    case ML_METRIC_RMSLE:
        return ml_loss_squared_log(y, p);
    case ML_METRIC_PINBALL:
    case ML_METRIC_D2_PINBALL:
        return ml_loss_pinball(y, p, metric->x);
    default:
        return ml_loss_deviance(y, p, metric->x);
    }
}

/* The losses of all rows in units of 2^unit (an even one), against their estimates or (of `against`) one number. */
static void row_losses(
    const struct ml_sample *s, const struct ml_metric *metric, const double *against, double *out, int *unit)
{
    int top = -(1 << 30);
    double most = 0;

    *unit = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct ml_scaled x = row_loss(metric, s->truth[i], against ? *against : s->estimate[i]);

        out[i] = ldexp(x.a, x.k);
        most = out[i] > most ? out[i] : most;
        if (x.a != 0 && ilogb(x.a) + x.k > top)
            top = ilogb(x.a) + x.k;
    }
    if ((most >= SMALL && most <= LARGE) || top == -(1 << 30))
        return;
    *unit = 2 * (top / 2);
    for (size_t i = 0; i < s->n; i++) {
        struct ml_scaled x = row_loss(metric, s->truth[i], against ? *against : s->estimate[i]);

        out[i] = ldexp(x.a, x.k - *unit);
    }
}

static bool mean_of(const double *x, size_t n, const struct weighting *by, double *mean)
{
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 };

    for (size_t i = 0; i < n; i++) {
        ml_sum_add(&sum, weight_of(by, i) * x[i]);
        ml_sum_add(&total, weight_of(by, i));
    }
    *mean = ml_sum_value(&sum) / ml_sum_value(&total);
    return ml_sum_value(&total) > 0;
}

/* Is each row where the loss is defined? */
static bool in_domain(const struct ml_sample *s, const struct ml_metric *metric, struct ml_value *v)
{
    bool logs = metric->id == ML_METRIC_MSLE || metric->id == ML_METRIC_RMSLE;
    bool deviance = metric->id == ML_METRIC_DEVIANCE || metric->id == ML_METRIC_D2_DEVIANCE;

    for (size_t i = 0; (logs || deviance) && i < s->n; i++) {
        const char *why = deviance             ? ml_deviance_domain(s->truth[i], s->estimate[i], metric->x)
                          : s->truth[i] < 0    ? "a label is below 0"
                          : s->estimate[i] < 0 ? "a prediction is below 0"
                                               : NULL;
        if (why)
            return ml_value_none(v, why);
    }
    return true;
}

static bool mean_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit)
{
    size_t n = m->s.n;
    double *x = psi ? psi : ml_malloc((n + 1) * sizeof *x), mean;
    bool root = metric->id == ML_METRIC_RMSLE, ok;

    row_losses(&m->s, metric, NULL, x, unit);
    ok = mean_of(x, n, by, &mean);
    v->value = root ? sqrt(mean) : mean;
    for (size_t i = 0; psi && i < n; i++)
        psi[i] = !root ? x[i] - mean : mean > 0 ? (x[i] - mean) / (2 * v->value) : 0;
    if (!psi)
        free(x);
    if (!ok)
        return ml_value_none(v, "no rows");
    *unit = root ? *unit / 2 : *unit;
    v->value = ldexp(v->value, *unit);
    return true;
}

/* The truth's quantile: of rows numpy's (linear between neighbours), of weighted rows scikit-learn 1.2's lower one. */
static double truth_quantile(const struct ml_measure *m, const struct weighting *by, double level)
{
    const double *y = m->s.truth;
    uint32_t *order = ml_malloc((m->s.n + 1) * sizeof *order);
    double total = 0, at = 0, place, whole, low = NAN, high = NAN, last = 0;
    bool weighted = m->s.weight != NULL;

    ml_order(y, 1, m->s.n, order);
    for (size_t i = 0; i < m->s.n; i++)
        total += weight_of(by, order[i]);
    level = level * 100 / 100; /* as it is rounded there */
    place = weighted ? level * total : (total - 1) * level;
    whole = floor(place);
    for (size_t i = 0; i < m->s.n && isnan(high); i++) {
        double w = weight_of(by, order[i]);

        at += w;
        last = w > 0 ? y[order[i]] : last;
        if (isnan(low) && (weighted ? at >= place : at > whole))
            low = last;
        if (weighted ? at >= place : at > whole + 1)
            high = last;
    }
    free(order);
    low = isnan(low) ? last : low;
    high = isnan(high) ? last : high;
    return low == high ? low : low * (1 - (place - whole)) + high * (place - whole);
}

/* NaN when the labels are all alike. */
static double truth_mean(const struct ml_sample *s, const struct weighting *by)
{
    struct moments q = { 0 };

    return moments_of(s, by, true, &q) && !q.constant ? ldexp(q.mean, q.y_unit) : NAN;
}

/* 1 - mean loss / mean loss of the best constant. That constant moves with the weights, too, but where it is best the
 * loss doesn't (of an interpolated quantile: not by more than 1/n). */
static bool d2_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    size_t n = m->s.n;
    bool pinball = metric->id == ML_METRIC_D2_PINBALL, ok;
    double best = pinball ? truth_quantile(m, by, metric->x) : truth_mean(&m->s, by), lost, base, ratio = 0;
    double *x, *y;
    int x_unit, y_unit;

    if (isnan(best))
        return ml_value_none(v, "the labels are all alike");
    if (!pinball && ml_deviance_domain(best, best, metric->x))
        return ml_value_none(v, "the mean of the labels isn't above 0");
    x = ml_malloc((n + 1) * sizeof *x);
    y = ml_malloc((n + 1) * sizeof *y);
    row_losses(&m->s, metric, NULL, x, &x_unit);
    row_losses(&m->s, metric, &best, y, &y_unit);
    ok = mean_of(x, n, by, &lost) && mean_of(y, n, by, &base);
    if (base > 0)
        ratio = ldexp(lost / base, x_unit - y_unit);
    v->value = base > 0 ? 1 - ratio : lost == 0 ? 1 : 0;
    for (size_t i = 0; psi && i < n; i++)
        psi[i] = base > 0 ? ratio * (y[i] / base) - ldexp(x[i] / base, x_unit - y_unit) : 0;
    free(x);
    free(y);
    if (!ok)
        return ml_value_none(v, "no rows");
    return base > 0 || pinball ? true : ml_value_none(v, "the labels are all alike");
}

static bool max_value(const struct ml_sample *s, const struct weighting *by, struct ml_value *v)
{
    double most = -1;

    for (size_t i = 0; i < s->n; i++)
        if (weight_of(by, i) > 0)
            most = fmax(most, fabs(s->truth[i] / 2 - s->estimate[i] / 2));
    v->value = 2 * most;
    return most >= 0 ? true : ml_value_none(v, "no rows");
}

/* Means of e^2 and |e|, and what is made of them. */
static bool moment_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit)
{
    bool r2 = metric->id == ML_METRIC_R2, explained = metric->id == ML_METRIC_EXPLAINED_VARIANCE;
    struct moments q = { 0 };

    if (!moments_of(&m->s, by, r2 || explained, &q))
        return ml_value_none(v, "no rows");
    if (r2 || explained)
        return r2_value(&m->s, &q, explained, v, psi);
    *unit = metric->id == ML_METRIC_MSE ? 2 * q.e_unit : q.e_unit;
    v->value = metric->id == ML_METRIC_MAE ? q.abs : metric->id == ML_METRIC_MSE ? q.squares : sqrt(q.squares);
    for (size_t i = 0; psi && i < m->s.n; i++) {
        double e = error_of(&m->s, &q, i);

        psi[i] = metric->id == ML_METRIC_MAE ? fabs(e) - q.abs : e * e - q.squares;
    }
    for (size_t i = 0; psi && metric->id == ML_METRIC_RMSE && i < m->s.n; i++)
        psi[i] = v->value > 0 ? psi[i] / (2 * v->value) : 0;
    v->value = ldexp(v->value, *unit);
    return true;
}

/* Shares of what a constant estimate would lose: of a single row it loses nothing. */
static bool against_constant(const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_R2 || metric->id == ML_METRIC_EXPLAINED_VARIANCE ||
           metric->id == ML_METRIC_D2_PINBALL || metric->id == ML_METRIC_D2_DEVIANCE;
}

bool ml_number_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit)
{
    bool ok;

    v->n = m->s.n;
    if (against_constant(metric) && m->s.n < 2)
        return ml_value_none(v, metric->id == ML_METRIC_R2 ? "R2 needs two rows" : "it needs two rows");
    if (!in_domain(&m->s, metric, v))
        return false;
    switch (metric->id) {
    case ML_METRIC_MAE:
    case ML_METRIC_MSE:
    case ML_METRIC_RMSE:
    case ML_METRIC_R2:
    case ML_METRIC_EXPLAINED_VARIANCE:
        ok = moment_value(m, metric, by, v, psi, unit);
        break;
    case ML_METRIC_MEDIAN_AE:
        ok = median_value(m, by, v);
        break;
    case ML_METRIC_MAX_ERROR:
        ok = max_value(&m->s, by, v);
        break;
    case ML_METRIC_D2_PINBALL:
    case ML_METRIC_D2_DEVIANCE:
        ok = d2_value(m, metric, by, v, psi);
        break;
    default:
        ok = mean_value(m, metric, by, v, psi, unit);
    }
    return ok && finite_value(v);
}

void ml_number_rows(const struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    bool sided = metric->id == ML_METRIC_EXPLAINED_VARIANCE || metric->id >= ML_METRIC_MAPE;

    for (size_t i = 0; i < m->s.n; i++)
        out[i] = sided ? m->s.estimate[i] : fabs(m->s.truth[i] - m->s.estimate[i]);
}
