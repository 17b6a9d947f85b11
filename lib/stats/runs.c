/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Means over runs, and what both the rows and the seeds leave open about their difference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"
#include "stats/runs.h"

/* Values of all runs; false with the reason of the first that has none. */
static bool take_values(struct ml_runs *r, const struct ml_metric *metric, struct ml_delta *out, double *mean)
{
    double squares = 0, rest = 0, most = 0;
    int unit;

    *mean = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct ml_value v;

        ml_measure_value(r->m[i], metric, &v);
        if (!v.ok) {
            out->reason = v.reason;
            return false;
        }
        r->values[i] = v.value;
        *mean += v.value / (double)r->n;
        out->n = v.n < out->n ? v.n : out->n;
    }
    for (size_t i = 0; i < r->n; i++) /* a sum of the values might overflow */
        rest += (r->values[i] - *mean) / (double)r->n;
    *mean += rest;
    for (size_t i = 0; i < r->n; i++)
        most = fmax(most, fabs(r->values[i] - *mean));
    frexp(most, &unit); /* squares might overflow, or vanish */
    for (size_t i = 0; i < r->n; i++)
        squares += pow(ldexp(r->values[i] - *mean, -unit), 2);
    r->se = r->n > 1 ? ldexp(sqrt(squares / (double)(r->n - 1) / (double)r->n), unit) : 0;
    return true;
}

/* Adds `share` times each run's influences to psi, which is in units of 2^*unit, and their biases to *bias. */
static bool add_psi(const struct ml_runs *r, const struct ml_metric *metric, bool delong, double share, double *psi,
    int *unit, double *bias)
{
    size_t n = ml_measure_rows(r->m[0]);
    double *x = ml_malloc((n + 1) * sizeof *x);
    bool ok = true;

    for (size_t k = 0; k < r->n && ok; k++) {
        struct ml_value v;
        int own, both;

        ok = ml_measure_psi_unit(r->m[k], metric, delong, x, &own, &v);
        if (!ok)
            break;
        both = own > *unit ? own : *unit;
        for (size_t i = 0; i < n; i++)
            psi[i] = ldexp(psi[i], *unit - both) + share * ldexp(x[i], own - both) / (double)r->n;
        *unit = both;
        *bias += share * v.bias / (double)r->n;
    }
    free(x);
    return ok;
}

static bool linear_se(
    const struct ml_runs *a, const struct ml_runs *b, const struct ml_metric *metric, double *bias, double *se)
{
    bool delong = metric->scale == ML_SCALE_AUC && ml_measure_plain(a->m[0]);
    double *psi = ml_calloc(ml_measure_rows(a->m[0]) + 1, sizeof *psi);
    struct ml_macro_added added;
    const char *reason;
    int unit = -1100; /* below any */
    bool ok = add_psi(a, metric, delong, -1, psi, &unit, bias) && add_psi(b, metric, delong, 1, psi, &unit, bias);

    ml_macro_added_pair(a->m[0], b->m[0], metric, &added);
    ok = ok && ml_measure_se(a->m[0], ml_measure_squares(a->m[0], psi, NULL) + added.squares, delong, se, &reason);

    if (ok)
        *se = ldexp(*se, unit);
    free(psi);
    return ok;
}

static bool mean_by(
    const struct ml_runs *r, const struct ml_metric *metric, const struct weighting *by, double share, double *sum)
{
    for (size_t i = 0; i < r->n; i++) {
        struct ml_value v;

        if (!ml_measure_value_by(r->m[i], metric, by, &v))
            return false;
        *sum += share * v.value / (double)r->n;
    }
    return true;
}

/* A threshold is chosen on the rows. */
static bool tuned(const struct ml_runs *r, const struct ml_metric *metric)
{
    for (size_t i = 0; i < r->n; i++)
        if (ml_tuned_applies(r->m[i], metric))
            return true;
    return false;
}

/* Without influences: the spread of bootstrap replicates of the rows, each of which all runs see alike. */
static bool boot_se(const struct ml_runs *a, const struct ml_runs *b, const struct ml_metric *metric,
    const struct ml_boot *boot, struct ml_delta *out, double *se)
{
    size_t replicates = ml_boot_replicates(boot), used = 0, n = ml_measure_rows(a->m[0]);
    double *values = ml_malloc(replicates * sizeof *values), *w = ml_malloc((n + 1) * sizeof *w);
    uint32_t *scratch = ml_malloc((n + 1) * sizeof *scratch), *counts = ml_malloc((n + 1) * sizeof *counts);
    struct weighting by = { w, counts };
    bool chosen = tuned(a, metric) || tuned(b, metric);

    if (chosen)
        used = ml_tuned_replicates(a->m, a->n, b->m, b->n, metric, boot ? boot->seed : 0, replicates, values);
    for (size_t r = 0; r < replicates && !chosen; r++) {
        double sum = 0;

        ml_measure_draw(a->m[0], boot ? boot->seed : 0, r, scratch, counts, w);
        if (mean_by(a, metric, &by, -1, &sum) && mean_by(b, metric, &by, 1, &sum))
            values[used++] = sum;
    }
    out->undefined = replicates - used;
    *se = used > 1 ? ml_boot_deviation(values, used) : 0;
    free(values);
    free(w);
    free(scratch);
    free(counts);
    return used > 1 && (double)out->undefined <= ML_BOOT_UNDEFINED * (double)replicates;
}

/* What the rows leave open of the difference of the means. */
static bool rows_se(const struct ml_runs *a, const struct ml_runs *b, const struct ml_metric *metric,
    const struct ml_boot *boot, struct ml_delta *out, double *se)
{
    double mean;

    if (metric->scale == ML_SCALE_BOOTSTRAP || (boot && boot->force) || tuned(a, metric) || tuned(b, metric))
        return boot_se(a, b, metric, boot, out, se);
    if (!linear_se(a, b, metric, &out->bias, se))
        return false;
    if (ml_tuned_applies_to_part(a->m[0], metric))
        *se = fmax(*se, ml_tuned_deviation(a->m, a->n, b->m, b->n, metric, &mean));
    return true;
}

/* se^4 / sum of part^4 / df. */
static double degrees(const struct ml_runs *a, const struct ml_runs *b, double se, double se_test, double df)
{
    double sum = pow(se_test / se, 4) / df;

    if (a->n == 2 || b->n == 2)
        return 1;
    sum += a->n > 1 ? pow(a->se / se, 4) / (double)(a->n - 1) : 0;
    sum += b->n > 1 ? pow(b->se / se, 4) / (double)(b->n - 1) : 0;
    return 1 / sum;
}

static bool all_identical(const struct ml_runs *a, const struct ml_runs *b)
{
    for (size_t i = 0; i < a->n + b->n; i++)
        if (!ml_delta_identical(&a->m[0]->s, i < a->n ? &a->m[i]->s : &b->m[i - a->n]->s))
            return false;
    return true;
}

static void settle(struct ml_delta *out, double alpha)
{
    out->p = ml_t_two_sided((out->delta - out->bias) / out->se, out->df);
    ml_interval_linear(out->delta - out->bias, out->se, ml_t_quantile(1 - alpha / 2, out->df), &out->low, &out->high);
    out->has_interval = isfinite(out->low) && isfinite(out->high);
    if (!out->has_interval) {
        out->low = out->high = out->se = out->p = 0;
        out->interval_reason = "the interval overflows a double";
        return;
    }
    out->test = out->interval = "runs";
}

void ml_delta_runs(struct ml_runs *current, struct ml_runs *candidate, const struct ml_metric *metric, double alpha,
    const struct ml_boot *boot, struct ml_delta *out, double *se_test)
{
    double se = 0;
    struct ml_delta first;

    /* What the first runs differ in. */
    ml_delta_paired(current->m[0], candidate->m[0], metric, alpha, boot, &first);
    *out = first;
    *se_test = 0;
    if (first.ok && all_identical(current, candidate)) {
        double mean;

        take_values(current, metric, out, &mean);
        take_values(candidate, metric, out, &mean);
        return;
    }
    out->has_interval = out->identical = false;
    out->test = out->interval = NULL;
    out->low = out->high = out->se = out->p = out->bias = out->skew = out->effective = 0;
    if (!first.ok)
        return;
    out->ok = take_values(current, metric, out, &out->current) && take_values(candidate, metric, out, &out->candidate);
    out->delta = out->candidate - out->current;
    if (out->ok && !isfinite(out->delta)) {
        out->ok = false;
        out->reason = "the difference overflows a double";
    }
    if (!out->ok) {
        out->delta = 0;
        return;
    }
    out->smaller_class = ml_metric_smaller_class(metric, out->n);
    if (!first.has_interval) /* too few rows, and the like */
        return;
    if (!rows_se(current, candidate, metric, boot, out, &se)) {
        out->interval_reason = "the runs have no standard error in common";
        return;
    }
    se = fmax(se, ml_delta_floor(current->m[0], candidate->m[0], metric, se, alpha));
    *se_test = se;
    out->se = hypot(hypot(se, current->se), candidate->se);
    if (!(out->se > 0)) {
        out->interval_reason = "nothing varies, neither between rows nor between runs";
        return;
    }
    out->df = degrees(current, candidate, out->se, se, ml_measure_df(current->m[0], metric, out->n));
    settle(out, alpha);
    ml_delta_cut(out, metric);
}

void ml_runs_estimate(struct ml_runs *r, const struct ml_metric *metric, double confidence, const struct ml_boot *boot,
    struct ml_estimate *out)
{
    struct ml_delta of = { .n = SIZE_MAX };
    double mean, below = 0, above = 0, share = 1 / (double)r->n, far = 0;

    memset(out, 0, sizeof *out);
    if (!take_values(r, metric, &of, &mean)) {
        ml_value_none(&out->v, of.reason);
        return;
    }
    out->v = (struct ml_value){ .ok = true, .value = mean, .n = of.n };
    for (size_t i = 0; i < r->n; i++) {
        struct ml_estimate e;

        ml_measure_estimate(r->m[i], metric, confidence, boot, &e);
        if (!e.has_interval) {
            out->interval_reason = e.interval_reason;
            return;
        }
        below += fmax(e.v.value - e.low, 0) * share;
        above += fmax(e.high - e.v.value, 0) * share;
        out->se += e.se * share;
        out->has_se = (i == 0 || out->has_se) && e.has_se;
    }
    if (r->n > 1)
        far = ml_t_quantile((1 + confidence) / 2, (double)(r->n - 1)) * r->se;
    out->se = out->has_se ? hypot(out->se, r->se) : 0;
    out->low = fmax(mean - hypot(below, far), metric->low);
    out->high = fmin(mean + hypot(above, far), metric->high);
    out->has_interval = isfinite(out->low) && isfinite(out->high) && isfinite(out->se);
    out->interval = out->has_interval ? "runs" : NULL;
    out->interval_reason = out->has_interval ? NULL : "the interval overflows a double";
}
