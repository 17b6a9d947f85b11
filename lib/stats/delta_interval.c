/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The interval and the p of a difference, once its standard error is known. */
#include <math.h>
#include <string.h>

#include "stats/delta.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"

bool ml_delta_fail(struct ml_delta *out, const char *reason)
{
    out->has_interval = false;
    out->test = out->interval = NULL;
    out->interval_reason = reason;
    out->low = out->high = out->se = out->p = out->effective = 0;
    return false;
}

bool ml_delta_settle(struct ml_delta *out, const char *test, const char *interval)
{
    if (!isfinite(out->low) || !isfinite(out->high) || !isfinite(out->se))
        return ml_delta_fail(out, "the interval overflows a double");
    out->has_interval = true;
    out->test = test;
    out->interval = interval;
    return true;
}

void ml_delta_cut(struct ml_delta *d, const struct ml_metric *metric)
{
    double range = metric->high - metric->low; /* infinite for most losses */

    if (metric->id == ML_METRIC_LIFT_AT && d->rows > 0)
        range = 1 / ml_metric_share(metric, d->rows);
    d->low = fmax(d->low, -range);
    d->high = fmin(d->high, range);
    if (d->has_interval) { /* what isn't a number stays so */
        d->low = d->low > d->delta ? d->delta : d->low;
        d->high = d->high < d->delta ? d->delta : d->high;
    }
}

double ml_delta_noise(const struct ml_metric *metric, const struct ml_delta *d)
{
    return fmax(ml_measure_noise(metric, d->current), ml_measure_noise(metric, d->candidate));
}

static void hold_zero(struct ml_delta *out)
{
    out->low = fmin(out->low, 0);
    out->high = fmax(out->high, 0);
}

/* Each end is the farther one of the plain interval and of Hall's, for few rows with large influences make the plain
 * one lean towards no difference, and Hall's alone takes heavy tails for skewness. p is the larger one, which is the
 * same statement. */
static void linear(const struct ml_metric *metric, struct ml_delta *out, double alpha)
{
    double q = ml_t_quantile(1 - alpha / 2, out->df), delta = out->delta - out->bias, t;

    ml_interval_skewed(delta, out->se, q, out->skew, &out->low, &out->high);
    if (out->se > 0) {
        t = delta / out->se;
        out->p = fmax(ml_t_two_sided(t, out->df), ml_t_two_sided(ml_hall(t, out->skew), out->df));
    } else {
        out->p = fabs(out->delta) <= ml_delta_noise(metric, out) ? 1 : 1e-300;
    }
    if (out->p == 1) /* a difference of rounding: none may be meant */
        hold_zero(out);
    ml_delta_settle(out, "linear", "linear");
}

static bool make_arm(struct ml_measure *m, const struct ml_metric *metric, bool delong, struct ml_arm *arm)
{
    struct ml_value v;
    const char *reason;
    bool skewed = metric->id != ML_METRIC_AVERAGE_PRECISION; /* which would be measured again for that */
    double squares, cubes = 0, se;
    int unit;

    if (!ml_measure_psi_squares(m, metric, delong, &squares, skewed ? &cubes : NULL, &unit, &v) ||
        !ml_measure_se(m, squares, delong, &se, &reason))
        return false;
    return ml_measure_arm(m, metric, &v, se <= ml_measure_noise(metric, v.value) ? 0 : se,
        squares > 0 ? cubes / squares / sqrt(squares) : 0, arm);
}

static bool at_end(const struct ml_metric *metric, double value)
{
    double noise = ml_measure_noise(metric, 1);

    return fabs(value - metric->low) <= noise || fabs(value - metric->high) <= noise;
}

/* Both values' intervals, of metrics that lie between two ends and where a value may be all that few rows can say.
 * Other values are those of metrics with an interval on the logit; not means of queries' values, whose plain
 * differences hold what they promise from 100 queries on and tell more. */
static bool make_arms(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, struct ml_delta *out)
{
    bool logit = metric->scale == ML_SCALE_AUC || metric->scale == ML_SCALE_LOGIT;
    bool usual = logit && metric->family != ML_FAMILY_QUERY && !ml_metric_top(metric);

    if (!isfinite(metric->high) ||
        (!logit && metric->scale != ML_SCALE_PROPORTION && metric->scale != ML_SCALE_MAXIMUM))
        return false;
    if (!usual && !at_end(metric, out->current) && !at_end(metric, out->candidate))
        return false;
    if (!make_arm(a, metric, delong, &out->arm[0]) || !make_arm(b, metric, delong, &out->arm[1]))
        return false;
    /* A handful of rows left out one by one may all say the same. */
    if (metric->id == ML_METRIC_AVERAGE_PRECISION && !(out->se > 0) && out->arm[0].se > 0 && out->arm[1].se > 0)
        return false;
    out->both = out->arm[0].odds > 0 || out->arm[1].odds > 0;
    return out->both || usual;
}

static double mover_beyond(const struct ml_delta *d, double bound, double near)
{
    return ml_mover_quantile(&d->arm[0], &d->arm[1], d->se / d->range, bound / d->range, near);
}

/* In place of the linear interval, or the farther one of both: of predicted classes, whose differences come in steps,
 * of which single values' intervals know nothing, and of average precisions over classes, which lie between the ends
 * that each class's logit knows of. */
static void mover(const struct ml_metric *metric, bool binary, struct ml_delta *out, double alpha)
{
    double q = ml_t_quantile(1 - alpha / 2, out->df), low, high, p;

    out->both =
        out->both || metric->need == ML_NEED_PRED ||
        (metric->id == ML_METRIC_AVERAGE_PRECISION && !binary && metric->average != ML_AVERAGE_MICRO && out->se > 0);
    out->range = metric->high - metric->low;
    ml_mover(&out->arm[0], &out->arm[1], out->se / out->range, q, &low, &high);
    p = ml_t_two_sided(mover_beyond(out, 0, q), out->df);
    out->low = out->both ? fmin(out->low, low * out->range) : low * out->range;
    out->high = out->both ? fmax(out->high, high * out->range) : high * out->range;
    out->p = out->both ? fmax(out->p, p) : p;
    ml_delta_settle(out, "mover", "mover");
}

static void mcnemar(const struct ml_metric *metric, struct ml_delta *out, double alpha)
{
    size_t up = metric->direction > 0 ? out->fixed : out->broken, down = out->fixed + out->broken - up;

    out->df = (double)out->rows - 1;
    ml_tango(out->rows, up, down, ml_normal_quantile(1 - alpha / 2), &out->low, &out->high);
    out->p = ml_mcnemar_midp(out->fixed, out->broken);
    out->effective = 0;
    ml_delta_settle(out, "mcnemar-midp", "tango");
}

/* P(T >= t). */
static double upper_tail(double t, double df)
{
    double two = ml_t_two_sided(t, df) / 2;

    return t >= 0 ? two : 1 - two;
}

double ml_delta_beyond(const struct ml_delta *d, double bound, bool above)
{
    double side = above ? 1 : -1, t, p = 0;

    if (d->interval && strcmp(d->interval, "tango") == 0) {
        size_t more = d->fixed > d->broken ? d->fixed : d->broken, less = d->fixed + d->broken - more;

        if (fabs(bound) >= 1)
            return side * bound < 0 ? 1e-300 : 1;
        return upper_tail(
            side * ml_tango_score(d->rows, d->delta > 0 ? more : less, d->delta > 0 ? less : more, bound), INFINITY);
    }
    if (d->interval && strcmp(d->interval, "mover") == 0) {
        p = upper_tail(side * mover_beyond(d, bound, 2), d->df);
        if (!d->both)
            return p;
    }
    if (!(d->se > 0))
        return fmax(p, side * d->delta > side * bound ? 1e-300 : 1);
    t = (d->delta - d->bias - bound) / d->se;
    return fmax(p, fmax(upper_tail(side * t, d->df), upper_tail(side * ml_hall(t, d->skew), d->df)));
}

/* Once the influences are known. */
static double bias_of(struct ml_measure *m, const struct ml_metric *metric)
{
    struct ml_value v;

    ml_measure_value(m, metric, &v);
    return v.bias;
}

void ml_delta_decide(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, double alpha,
    bool delong, double least, struct ml_delta *out)
{
    double noise = ml_delta_noise(metric, out), df;

    out->bias = bias_of(b, metric) - bias_of(a, metric);
    out->se = fmax(out->se <= noise ? 0 : out->se, least);
    if (ml_measure_plain(a) && ml_delta_shares(metric) && !ml_tuned_applies_to_part(a, metric)) {
        mcnemar(metric, out, alpha);
        return;
    }
    if (metric->scale == ML_SCALE_PROPORTION && out->n == 0) {
        ml_delta_fail(out, NO_ROW);
        return;
    }
    df = delong ? INFINITY : ml_measure_df(a, metric, out->n);
    out->df = isfinite(out->df) ? fmax(1 / (1 / df + 1 / out->df), 1) : df;
    linear(metric, out, alpha);
    if (!out->has_interval ||
        (!(out->se > 0) && fabs(out->delta) <= noise && ml_delta_same(a, b, metric, out->changed)))
        return;
    if (make_arms(a, b, metric, delong, out))
        mover(metric, a->s.task == ML_TASK_BINARY, out, alpha);
    else if (!(out->se > 0))
        ml_delta_fail(out, NO_VARIANCE);
}
