/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intervals of one model's metrics: the method that the table names, and what stands in where the variance is 0. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"

#define AUC_ROWS     30   /* below, per class, DeLong's variance can't be trusted */
#define TOLD_OF_BIAS 1.70 /* 1 / (2^(2/3) - 1) */

static void no_interval(struct ml_estimate *e, const char *reason)
{
    e->has_interval = false;
    e->interval = NULL;
    e->interval_reason = reason;
}

static void settle(struct ml_estimate *e, const char *name)
{
    e->has_interval = isfinite(e->low) && isfinite(e->high);
    e->interval = e->has_interval ? name : NULL;
    e->interval_reason = e->has_interval ? NULL : "the interval overflows a double";
    if (!e->has_interval)
        e->low = e->high = 0;
}

/* Share of its rows that the whole sample is worth. */
static double worth_share(const struct ml_measure *m)
{
    double n = ml_measure_kish(m);

    return (m->groups ? fmin(n, (double)m->groups) : n) / (double)m->s.n;
}

/* Wilson; weighted or grouped with n* = min(n, p (1 - p) / se^2) (Korn & Graubard 1998, Survey Methodology 24, 193). */
static void proportion(const struct ml_measure *m, const struct ml_metric *metric, double z, struct ml_estimate *e)
{
    double p = fmin(fmax(e->v.value, 0), 1), n = (double)e->v.n;

    if (e->v.n == 0) {
        no_interval(e, NO_ROW);
        return;
    }
    if (!ml_measure_plain(m) || ml_tuned_applies_to_part(m, metric)) {
        if (p == 0 || p == 1)
            n = ml_measure_worth(m, metric, 0);
        else if (e->has_se && e->se > 0)
            n = fmin(n, p * (1 - p) / e->se / e->se);
    }
    ml_wilson(p, n, z, &e->low, &e->high);
    settle(e, "wilson");
}

/* How many rows those are that all say the same of a value of 0 or 1. */
static double rows_at_end(struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v)
{
    double n = (double)v->n;
    bool plain = ml_measure_plain(m);

    if (metric->scale == ML_SCALE_PROPORTION || metric->fallback == ML_FALLBACK_JACCARD)
        return plain ? n : ml_measure_worth(m, metric, 0);
    if (metric->id == ML_METRIC_AVERAGE_PRECISION || metric->id == ML_METRIC_KS)
        n = fmin(n, (double)(m->s.n - v->n));
    return plain || metric->family == ML_FAMILY_QUERY ? n : n * worth_share(m);
}

static void logit_fallback(struct ml_measure *m, const struct ml_metric *metric, double z, struct ml_estimate *e)
{
    double p = e->v.value > 0.5 ? 1 : 0, n;

    if (fabs(e->v.value - p) > ml_measure_noise(metric, 1)) {
        no_interval(e, NO_VARIANCE);
        return;
    }
    n = rows_at_end(m, metric, &e->v);
    if (!(n > 0)) {
        no_interval(e, NO_VARIANCE);
        return;
    }
    ml_wilson(p, n, z, &e->low, &e->high);
    if (metric->fallback == ML_FALLBACK_JACCARD)
        ml_counts_from_share(metric, &e->low, &e->high);
    settle(e, "wilson");
}

/* A value of 0 or 1. */
static bool arm_at_end(
    struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, struct ml_arm *arm)
{
    double low = 0.5, high = 0.5;

    arm->se = 0;
    if (fabs(arm->value - (arm->value > 0.5)) > ml_measure_noise(metric, 1) ||
        (metric->fallback == ML_FALLBACK_NONE && metric->scale != ML_SCALE_PROPORTION))
        return false;
    arm->value = arm->value > 0.5;
    if (metric->fallback == ML_FALLBACK_JACCARD)
        ml_counts_from_share(metric, &low, &high);
    arm->odds = arm->value > 0.5 ? (1 - low) / low : (1 - high) / high;
    arm->pos = rows_at_end(m, metric, v);
    return arm->pos > 0;
}

/* The standard error without the row more is what makes a logit, which close to 0 and 1 has no end otherwise. */
static bool arm_of_classes(struct ml_measure *m, const struct ml_metric *metric, double skew, struct ml_arm *arm)
{
    struct ml_macro_added added;
    const char *reason;
    double se;

    ml_macro_added(m, metric, &added);
    if (!ml_measure_se(m, added.squares, false, &se, &reason))
        return false;
    arm->alone = sqrt(fmax(arm->se - se, 0) * (arm->se + se));
    arm->slope = skew * arm->se;
    arm->curve = added.curve;
    return arm->curve > 0;
}

bool ml_measure_arm(struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, double se,
    double skew, struct ml_arm *arm)
{
    bool area = metric->scale == ML_SCALE_AUC, binary = m->s.task == ML_TASK_BINARY;
    double range = metric->high - metric->low, value = (v->value - v->bias - metric->low) / range;

    *arm = (struct ml_arm){ .value = value, .se = se / range };
    if (metric->fallback == ML_FALLBACK_MACRO)
        return arm_of_classes(m, metric, skew, arm);
    if (value > 0 && value < 1 && se > 0 && !(area && binary && v->n < AUC_ROWS)) {
        arm->lost = area || metric->id == ML_METRIC_ROC_AUC ? skew * skew / 2 : 0; /* _micro has another scale */
        return true;
    }
    if (!area && metric->id != ML_METRIC_AVERAGE_PRECISION)
        return arm_at_end(m, metric, v, arm);
    if (area && binary) {
        arm->pos = ml_measure_worth(m, NULL, m->s.positive);
        arm->neg = ml_measure_worth(m, NULL, 1 - m->s.positive);
    } else if (area) {
        arm->pos = (double)v->n * worth_share(m);
        arm->neg = (double)(m->s.n - v->n) * worth_share(m);
    } else {
        arm->pos = fmin((double)v->n, (double)(m->s.n - v->n)) * worth_share(m);
    }
    return arm->pos > 0;
}

/* Logit DeLong, or where that is farther Hall's: with an area near 1 few rows make nearly all of the variance, and the
 * logit alone covers .93 with an area of .98 and 120 positives, .91 with 36. Newcombe's method 5 where the variance is
 * 0 or (binary) a class has under 30 rows. */
static void auc(
    struct ml_measure *m, const struct ml_metric *metric, double q, double z, double skew, struct ml_estimate *e)
{
    struct ml_arm arm;
    double low, high;

    if (!ml_measure_arm(m, metric, &e->v, e->se, skew, &arm) || arm.pos > 0) {
        ml_newcombe5(e->v.value, arm.pos, arm.neg, z, &e->low, &e->high);
        settle(e, "newcombe");
        return;
    }
    ml_interval_logit(e->v.value, e->se, q, &e->low, &e->high);
    ml_interval_skewed(e->v.value, e->se, q, skew, &low, &high);
    e->low = fmax(fmin(e->low, low), 0);
    e->high = fmin(fmax(e->high, high), 1);
    settle(e, "logit-delong");
}

/* Values of the metric in replicates; those without one are left out. Returns how many there are. */
static size_t resample(
    struct ml_measure *m, const struct ml_metric *metric, const struct ml_boot *boot, size_t replicates, double *values)
{
    size_t used = 0, n = m->s.n;
    double *w = ml_malloc((n + 1) * sizeof *w);
    uint32_t *scratch = ml_malloc((n + 1) * sizeof *scratch), *counts = ml_malloc((n + 1) * sizeof *counts);
    struct weighting by = { w, counts };
    bool many = ml_measure_replicates(m, NULL, metric, boot ? boot->seed : 0, replicates, values, &used);

    for (size_t r = 0; r < replicates && !many; r++) {
        struct ml_value v;

        ml_measure_draw(m, boot ? boot->seed : 0, r, scratch, counts, w);
        if (ml_measure_value_by(m, metric, &by, &v))
            values[used++] = v.value;
    }
    free(w);
    free(scratch);
    free(counts);
    return used;
}

/* What was chosen as the best looks too good, in replicates once more, by a bias that they tell less than all of: twice
 * as much is allowed for on its side. */
static void allow_for_bias(const struct ml_metric *metric, double bias, struct ml_estimate *e)
{
    e->low = fmax(e->low - 2 * fmax(bias, 0), metric->low);
    e->high = fmin(e->high - 2 * fmin(bias, 0), metric->high);
}

/* What lies between 0 and 1 has it on the logit. At n = 100 and 300 percentiles hold .73 to .91 only, and without the
 * logit the recall at the best threshold .86 to .91; this one .96 to .99. */
static void unbiased(const struct ml_metric *metric, const double *values, size_t n, double z, struct ml_estimate *e)
{
    double bias = 0;

    for (size_t i = 0; i < n; i++)
        bias += (values[i] - e->v.value) / (double)n;
    if (metric->low == 0 && metric->high == 1 && e->v.value > 0 && e->v.value < 1)
        ml_interval_logit(e->v.value, e->se, z, &e->low, &e->high);
    else
        ml_interval_linear(e->v.value, e->se, z, &e->low, &e->high);
    allow_for_bias(metric, bias, e);
}

static void bootstrap(struct ml_measure *m, const struct ml_metric *metric, double confidence,
    const struct ml_boot *boot, struct ml_estimate *e)
{
    size_t replicates = ml_boot_replicates(boot), used;
    double *values = ml_malloc(replicates * sizeof *values);

    used = resample(m, metric, boot, replicates, values);
    e->undefined = replicates - used;
    if ((double)e->undefined > ML_BOOT_UNDEFINED * (double)replicates || used < 2) {
        no_interval(e, "undefined in more than 1 % of the replicates");
    } else {
        e->se = ml_boot_deviation(values, used);
        e->has_se = isfinite(e->se);
        e->se = e->has_se ? e->se : 0;
        if (ml_tuned_applies(m, metric))
            unbiased(metric, values, used, ml_normal_quantile((1 + confidence) / 2), e);
        else
            ml_boot_interval(values, used, confidence, &e->low, &e->high);
        settle(e, "bootstrap");
    }
    free(values);
}

/* The largest of many is too large, and a replicate's is too large again, by a bias that it tells, but less than all of
 * it: near a peak 2^(2/3) - 1 of it (the largest of a Brownian motion less c t^2 grows as its variance^(2/3), which a
 * replicate doubles). All of it is allowed for below, what is told above. Below, the interval on the logit stands in
 * where it reaches farther, as it does near 1, where few rows say otherwise. */
static void maximum(struct ml_measure *m, const struct ml_metric *metric, double q, double z,
    const struct ml_boot *boot, struct ml_estimate *e)
{
    double bias, low, high, v = e->v.value;

    if (!(e->se > 0)) {
        logit_fallback(m, metric, z, e);
        return;
    }
    bias = fmax(ml_maximum_bias(m, boot ? boot->seed : 0), 0);
    ml_interval_linear(v, e->se, q, &e->low, &e->high);
    if (v > 0 && v < 1) {
        ml_interval_logit(v, e->se, q, &low, &high);
        e->low = fmin(e->low, low);
    }
    e->low = fmax(e->low - bias * TOLD_OF_BIAS, metric->low);
    e->high = fmax(fmin(e->high - bias, metric->high), v);
    settle(e, "linear-bootstrap");
}

/* Value, influences, standard error, and the influences' skewness over the root of their number; false when there is no
 * standard error. */
static bool linearise(struct ml_measure *m, const struct ml_metric *metric, struct ml_estimate *e, double *skew)
{
    bool delong = metric->scale == ML_SCALE_AUC && ml_measure_plain(m);
    double squares, cubes;
    int unit;

    *skew = 0;
    if (!ml_measure_psi_squares(m, metric, delong, &squares, &cubes, &unit, &e->v)) {
        if (!e->v.ok)
            e->interval_reason = e->v.reason;
        return false;
    }
    if (metric->scale == ML_SCALE_AUC && e->v.n < 2) {
        e->interval_reason = ONE_ROW_CLASS;
        return false;
    }
    if (squares > 0)
        *skew = cubes / squares / sqrt(squares);
    e->has_se = ml_measure_se(m, squares, delong, &e->se, &e->interval_reason);
    if (e->has_se)
        e->se = ldexp(e->se, unit);
    if (e->se <= ml_measure_noise(metric, e->v.value))
        e->se = 0;
    if (e->has_se && !isfinite(e->se)) {
        e->has_se = false;
        e->se = 0;
        e->interval_reason = "the standard error overflows a double";
    }
    return e->has_se;
}

/* A metric that is another one times `b`, plus `a`; NULL when it is none of these. */
static const struct ml_metric *same_as(const struct ml_measure *m, const struct ml_metric *metric, double *a, double *b)
{
    const struct ml_metric *other;
    char *name;

    *a = metric->id == ML_METRIC_GINI ? -1 : 0;
    *b = metric->id == ML_METRIC_GINI ? 2 : 1 / ml_metric_share(metric, m->s.n);
    if (metric->id == ML_METRIC_GINI)
        return ml_metric_find("roc_auc");
    if (metric->id != ML_METRIC_LIFT_AT)
        return NULL;
    name = ml_format("recall%s", strchr(metric->name, '@'));
    other = ml_metric_find(name);
    free(name);
    return other;
}

/* A mean cost is a share of the largest. The interval lies about the value without its bias. */
static void logit(struct ml_measure *m, const struct ml_metric *metric, double q, double z, struct ml_estimate *e)
{
    double most = metric->id == ML_METRIC_COST ? m->s.costs->most : 1, value = e->v.value, se = e->se;

    e->v.value = (value - e->v.bias) / most;
    e->se /= most;
    if (e->se > 0 && e->v.value > 0 && e->v.value < 1) {
        ml_interval_logit(e->v.value, e->se, q, &e->low, &e->high);
        e->high = e->high < value / most ? value / most : e->high;
        settle(e, "logit");
    } else {
        logit_fallback(m, metric, z, e);
    }
    e->v.value = value;
    e->se = se;
    e->low *= most;
    e->high *= most;
}

static void macro(struct ml_measure *m, const struct ml_metric *metric, double q, double skew, struct ml_estimate *e)
{
    struct ml_arm arm;
    double below, above;

    if (!ml_measure_arm(m, metric, &e->v, e->se, skew, &arm)) {
        no_interval(e, NO_VARIANCE);
        return;
    }
    ml_arm_reach(&arm, q, &below, &above);
    e->low = fmax(e->v.value - below, 0);
    e->high = fmin(e->v.value + above, 1);
    settle(e, "logit");
}

/* The interval of a value by its method. */
static void method(struct ml_measure *m, const struct ml_metric *metric, double confidence, double skew, bool linear,
    const struct ml_boot *boot, struct ml_estimate *out)
{
    double z = ml_normal_quantile((1 + confidence) / 2), q = z;

    if (ml_measure_units(m) > 1)
        q = ml_t_quantile((1 + confidence) / 2, ml_measure_df(m, metric, out->v.n));
    if (metric->scale == ML_SCALE_PROPORTION) {
        proportion(m, metric, z, out);
    } else if (!linear && !(metric->scale == ML_SCALE_AUC && m->s.task == ML_TASK_BINARY)) {
        out->has_interval = false;
    } else if (metric->scale == ML_SCALE_AUC) {
        auc(m, metric, ml_measure_plain(m) ? z : q, z, skew, out);
    } else if (metric->fallback == ML_FALLBACK_MACRO) {
        macro(m, metric, q, skew, out);
    } else if (metric->scale == ML_SCALE_LOGIT) {
        logit(m, metric, q, z, out);
    } else if (metric->scale == ML_SCALE_MAXIMUM) {
        maximum(m, metric, q, z, boot, out);
    } else if (metric->scale == ML_SCALE_BINS) {
        ml_calibration_interval(m, metric, q, out);
        settle(out, "bins");
    } else if (out->se > 0) {
        /* no loss is below 0, no correlation above 1 */
        ml_interval_skewed(out->v.value, out->se, q, skew, &out->low, &out->high);
        out->low = fmax(out->low, metric->low);
        out->high = fmin(out->high, metric->high);
        settle(out, "linear");
    } else {
        no_interval(out, NO_VARIANCE);
    }
}

static void estimate(struct ml_measure *m, const struct ml_metric *metric, double confidence,
    const struct ml_boot *boot, struct ml_estimate *out)
{
    bool linear, part = ml_tuned_applies_to_part(m, metric);
    double skew, mean;

    memset(out, 0, sizeof *out);
    linear = linearise(m, metric, out, &skew);
    if (!out->v.ok)
        return;
    if (metric->scale == ML_SCALE_NONE) {
        no_interval(out, NO_INTERVAL);
        return;
    }
    if (ml_measure_units(m) < 2 && metric->scale != ML_SCALE_PROPORTION) {
        no_interval(out, m->groups ? "an interval needs two groups" : "an interval needs two rows");
        return;
    }
    if (metric->scale == ML_SCALE_BOOTSTRAP || (boot && boot->force) || ml_tuned_applies(m, metric)) {
        bootstrap(m, metric, confidence, boot, out);
        return;
    }
    if (part && linear)
        out->se = fmax(out->se, ml_tuned_deviation(&m, 1, NULL, 0, metric, &mean));
    method(m, metric, confidence, skew, linear, boot, out);
    if (part && linear && out->has_interval)
        allow_for_bias(metric, mean - out->v.value, out);
}

void ml_measure_estimate(struct ml_measure *m, const struct ml_metric *metric, double confidence,
    const struct ml_boot *boot, struct ml_estimate *out)
{
    double a, b;
    const struct ml_metric *other = same_as(m, metric, &a, &b);

    estimate(m, other ? other : metric, confidence, boot, out);
    if (!other)
        return;
    out->v.value = out->v.ok ? a + b * out->v.value : 0;
    out->se *= b;
    out->low = out->has_interval ? a + b * out->low : 0;
    out->high = out->has_interval ? a + b * out->high : 0;
}
