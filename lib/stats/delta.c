/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differences between two models: one method for the interval and the p of each metric. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/delta.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"

static bool same_bytes(const void *a, const void *b, size_t n)
{
    if (!a || !b)
        return a == b;
    return n == 0 || memcmp(a, b, n) == 0;
}

bool ml_delta_identical(const struct ml_sample *a, const struct ml_sample *b)
{
    size_t width = ml_sample_width(a);

    return same_bytes(a->preds, b->preds, a->n * width) && same_bytes(a->pred, b->pred, a->n * sizeof(int32_t)) &&
           same_bytes(a->score, b->score, a->n * width * sizeof(double)) &&
           same_bytes(a->estimate, b->estimate, a->n * sizeof(double));
}

bool ml_delta_shares(const struct ml_metric *metric)
{
    if (metric->family == ML_FAMILY_LABELS)
        return metric->id == ML_METRIC_ACCURACY;
    return metric->id == ML_METRIC_ACCURACY || metric->id == ML_METRIC_HAMMING_LOSS ||
           (metric->average == ML_AVERAGE_MICRO && metric->id != ML_METRIC_JACCARD) || metric->id == ML_METRIC_TOP_K;
}

/* Metrics that only see whether a row is right: among all rows, or those of one label. */
static bool counts_hits(const struct ml_metric *metric)
{
    if (metric->family == ML_FAMILY_LABELS)
        return ml_delta_shares(metric);
    return ml_delta_shares(metric) || metric->average == ML_AVERAGE_MICRO ||
           metric->id == ML_METRIC_BALANCED_ACCURACY || metric->id == ML_METRIC_RECALL ||
           (metric->id == ML_METRIC_SPECIFICITY && metric->average == ML_AVERAGE_BINARY);
}

double ml_delta_contribution(const struct ml_sample *s, const struct ml_metric *metric, int32_t label, int32_t pred)
{
    if (counts_hits(metric))
        return ml_counts_cell_within(s, metric, label, pred) && label == pred;
    return metric->average == ML_AVERAGE_BINARY ? pred == s->positive : pred;
}

/* What a row contributes to a metric, as a number that two models have in common or not. */
static void contributions(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    const struct ml_sample *s = &m->s;

    if (metric->family == ML_FAMILY_LABELS) {
        ml_labels_rows(m, metric, out);
    } else if (metric->family == ML_FAMILY_RANK) {
        ml_rank_rows(m, metric, out);
    } else if (metric->family == ML_FAMILY_CALIBRATION) {
        ml_calibration_rows(m, out);
    } else if (metric->family == ML_FAMILY_CLASS_LOSS) {
        ml_class_loss_rows(m, metric, out);
    } else if (metric->family == ML_FAMILY_QUERY) {
        ml_query_rows(m, metric, out);
    } else if (metric->family == ML_FAMILY_NUMBER) {
        ml_number_rows(m, metric, out);
    } else {
        for (size_t i = 0; i < s->n; i++)
            out[i] = ml_delta_contribution(s, metric, s->label[i], s->pred[i]);
    }
}

/* Fills changed, fixed and broken; returns how many rows, or groups, hold a change that tells. Among the top rows a
 * change of which all rows are of one class moves nothing, and doesn't show how far one of both would. */
static size_t count_changed(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, struct ml_delta *out)
{
    size_t n = a->s.n, units[2] = { 0, 0 };
    double *x = ml_calloc(n + 1, sizeof *x), *y = ml_calloc(n + 1, sizeof *y);
    unsigned char *seen = ml_calloc((size_t)a->s.groups + 1, 1);
    bool hits = counts_hits(metric), top = ml_metric_top(metric) && a->s.task == ML_TASK_BINARY;
    bool ranks = ml_metric_ranks(metric) && metric->family != ML_FAMILY_QUERY;

    contributions(a, metric, x);
    contributions(b, metric, y);
    for (size_t i = 0; i < n; i++) {
        int class = top && a->s.label[i] == a->s.positive;
        unsigned char bit = (unsigned char)(1 << class);

        /* Placements of weighted rows are rounded sums; other contributions are equal or not. */
        if (ranks ? fabs(x[i] - y[i]) <= 1e-12 : x[i] == y[i])
            continue;
        out->changed++;
        out->fixed += hits && y[i] > x[i];
        out->broken += hits && x[i] > y[i];
        units[class] += !a->s.group || !(seen[a->s.group[i]] & bit);
        if (a->s.group)
            seen[a->s.group[i]] |= bit;
    }
    free(x);
    free(y);
    free(seen);
    return top && units[1] < units[0] ? units[1] : units[0];
}

/* The same from what was summed already, of rows that are no groups. */
static size_t take_changed(const struct pair_sums *sums, const struct ml_metric *metric, struct ml_delta *out)
{
    bool hits = counts_hits(metric);

    out->changed = sums->changed;
    out->fixed = hits ? sums->up : 0;
    out->broken = hits ? sums->down : 0;
    return sums->changed;
}

/* Metrics that count rows (or what they cost): what few changes do to their intervals is allowed for. */
static bool counts_rows(const struct ml_metric *metric)
{
    return metric->family == ML_FAMILY_COUNTS || metric->id == ML_METRIC_TOP_K || ml_metric_top(metric) ||
           (metric->family == ML_FAMILY_LABELS && metric->need == ML_NEED_PRED) || metric->id == ML_METRIC_COST;
}

bool ml_delta_few(const struct ml_delta *d, const struct ml_metric *metric)
{
    double units = (double)(d->groups > 0 ? d->groups : d->rows);
    bool area = metric->scale == ML_SCALE_AUC || metric->id == ML_METRIC_ROC_AUC; /* has the t of such rows */

    return d->ok && d->has_interval && !area && !counts_rows(metric) && d->effective > 0 &&
           d->effective < ML_DELTA_FEW && d->effective * ML_DELTA_FEW_OF < units;
}

/* Placements, or queries' values, are all what they were, though the order isn't. */
static double order_floor(struct ml_measure *a, const struct ml_measure *b, const struct ml_metric *metric, double z)
{
    static const struct ml_metric any = { .average = ML_AVERAGE_NONE };
    struct ml_value v;
    double n;

    if (!isfinite(metric->high) || ml_delta_same(a, b, metric, 0))
        return 0;
    ml_measure_value(a, metric, &v);
    n = (double)v.n;
    if (!ml_measure_plain(a) && metric->family != ML_FAMILY_QUERY)
        n = fmin(n, ml_measure_worth(a, &any, 0));
    return (metric->high - metric->low) * z / (n + z * z);
}

/* `still`: no variance at all. Where rows are counted and next to none changed, the linearised variance is next to
 * nothing and says nothing. Then the standard error is at least z/(n + z^2), which makes the interval as wide as
 * Tango's is when no row of n changed: z^2/(n + z^2). */
static double floor_of(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, size_t units, bool still, double alpha)
{
    double z = ml_normal_quantile(1 - alpha / 2), n, range = fmin(metric->high - metric->low, 2);
    static const struct ml_metric any = { .average = ML_AVERAGE_NONE };

    if (ml_metric_ranks(metric) && !ml_metric_top(metric))
        return units == 0 && still ? order_floor(a, b, metric, z) : 0;
    if (!counts_rows(metric) || ((double)units >= z * z && !still))
        return 0;
    if (metric->id == ML_METRIC_COST)
        range = a->s.costs->most;
    if (metric->id == ML_METRIC_LIFT_AT) /* recall in other units */
        range = 1 / ml_metric_share(metric, a->s.n);
    if (metric->id == ML_METRIC_PRECISION_AT)
        n = ml_metric_share(metric, a->s.n) * ml_measure_worth(a, &any, 0);
    else if (ml_metric_top(metric))
        n = ml_measure_worth(a, NULL, a->s.positive);
    else if (metric->id == ML_METRIC_TOP_K || metric->id == ML_METRIC_COST)
        n = ml_measure_worth(a, &any, 0);
    else
        n = fmin(ml_measure_worth(a, metric, 0), ml_measure_worth(b, metric, 0));
    return range * z / (n + z * z);
}

/* The difference's interval asks for it again. */
static void remember(struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, const double *psi)
{
    double cubes, squares;

    if (metric->scale != ML_SCALE_LOGIT && metric->scale != ML_SCALE_AUC)
        return;
    squares = ml_measure_squares(m, psi, &cubes);
    ml_measure_remember(m, metric, v, squares, cubes);
}

bool ml_delta_psi(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, double *psi, int *unit)
{
    size_t n = a->s.n;
    double *x = ml_malloc((n + 1) * sizeof *x);
    struct ml_value v_a, v_b;
    int unit_a, unit_b;
    bool ok;

    ok = ml_measure_psi_unit(a, metric, delong, x, &unit_a, &v_a) &&
         ml_measure_psi_unit(b, metric, delong, psi, &unit_b, &v_b);
    if (ok && unit_a == 0 && unit_b == 0 && delong == (metric->scale == ML_SCALE_AUC && ml_measure_plain(a))) {
        remember(a, metric, &v_a, x);
        remember(b, metric, &v_b, psi);
    }
    if (ok) {
        *unit = unit_a > unit_b ? unit_a : unit_b;
        for (size_t i = 0; i < n && unit_a == unit_b; i++)
            psi[i] -= x[i];
        for (size_t i = 0; i < n && unit_a != unit_b; i++)
            psi[i] = ldexp(psi[i], unit_b - *unit) - ldexp(x[i], unit_a - *unit);
    }
    free(x);
    return ok;
}

/* What uneven weights leave of Student's degrees of freedom; INFINITY where they take none. */
static double weights_df(const struct ml_measure *m, const double *psi, double effective)
{
    struct ml_measure alike = *m;
    double without, lost;

    if (!m->s.weight || !(effective > 0))
        return INFINITY;
    alike.s.weight = NULL;
    without = ml_measure_effective(&alike, psi, ml_measure_squares(&alike, psi, NULL));
    lost = without > 0 ? 1 / effective - 1 / without : 0;
    return lost > 0 ? 2 / lost : INFINITY;
}

/* Standard error of the difference of the influences; and their skewness over the root of their number, and how many
 * make the difference. `sums` NULL: row by row. */
static bool difference_se(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong,
    const struct pair_sums *sums, struct ml_delta *out)
{
    double *psi = NULL, squares = sums ? sums->squares : 0, cubes = sums ? sums->cubes : 0, effective = 0;
    struct ml_macro_added added;
    int unit = 0;
    bool ok = true;

    out->df = INFINITY;
    if (!sums) {
        psi = ml_malloc((a->s.n + 1) * sizeof *psi);
        ok = ml_delta_psi(a, b, metric, delong, psi, &unit);
        if (ok)
            squares = ml_measure_squares(a, psi, &cubes);
        if (ok)
            effective = ml_measure_effective(a, psi, squares);
        if (ok)
            out->df = weights_df(a, psi, effective);
    } else if (sums->fourths > 0) {
        effective = squares / sums->fourths * squares;
    }
    ml_macro_added_pair(a, b, metric, &added);
    squares += added.squares;
    cubes += added.cubes;
    ok = ok && ml_measure_se(a, squares, delong, &out->se, &out->interval_reason);
    if (ok)
        out->se = ldexp(out->se, unit);
    out->skew = squares > 0 ? cubes / squares / sqrt(squares) : 0;
    if (ok && out->se > ml_delta_noise(metric, out) && effective > 0)
        out->effective = fmin(fmax(effective, 1), (double)ml_measure_units(a));
    free(psi);
    return ok;
}

size_t ml_delta_replicates(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    const struct ml_boot *boot, double *values)
{
    size_t replicates = ml_boot_replicates(boot), used = 0, n = a->s.n;
    double *w = ml_malloc((n + 1) * sizeof *w);
    uint32_t *scratch = ml_malloc((n + 1) * sizeof *scratch), *counts = ml_malloc((n + 1) * sizeof *counts);
    struct weighting by = { w, counts };

    bool many = ml_measure_replicates(a, b, metric, boot ? boot->seed : 0, replicates, values, &used);

    for (size_t r = 0; r < replicates && !many; r++) {
        struct ml_value x, y;

        ml_measure_draw(a, boot ? boot->seed : 0, r, scratch, counts, w);
        if (ml_measure_value_by(a, metric, &by, &x) && ml_measure_value_by(b, metric, &by, &y))
            values[used++] = y.value - x.value;
    }
    free(w);
    free(scratch);
    free(counts);
    return used;
}

static void bootstrap(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, double alpha,
    const struct ml_boot *boot, struct ml_delta *out)
{
    size_t replicates = ml_boot_replicates(boot), used;
    double *values = ml_malloc(replicates * sizeof *values);

    used = ml_delta_replicates(a, b, metric, boot, values);
    out->undefined = replicates - used;
    out->df = INFINITY;
    if ((double)out->undefined > ML_BOOT_UNDEFINED * (double)replicates || used < 2) {
        ml_delta_fail(out, ML_BOOT_TOO_FEW);
    } else {
        out->se = ml_boot_deviation(values, used);
        out->p = ml_boot_p(values, used);
        ml_boot_interval(values, used, 1 - alpha, &out->low, &out->high);
        if (out->low < out->high || ml_delta_same(a, b, metric, out->changed))
            ml_delta_settle(out, "bootstrap", "bootstrap");
        else
            ml_delta_fail(out, NO_VARIANCE);
    }
    free(values);
}

/* The two values, and what they are made of. */
static bool both_values(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, struct ml_delta *out)
{
    struct ml_value x, y;

    ml_measure_value(a, metric, &x);
    ml_measure_value(b, metric, &y);
    if (!x.ok || !y.ok) {
        out->reason = x.ok ? y.reason : x.reason;
        return false;
    }
    out->current = x.value;
    out->candidate = y.value;
    out->delta = y.value - x.value;
    if (!isfinite(out->delta)) {
        out->delta = 0;
        out->reason = "the difference overflows a double";
        return false;
    }
    out->ok = true;
    out->rows = a->s.n;
    out->groups = a->groups;
    out->n = x.n < y.n ? x.n : y.n;
    out->smaller_class = ml_metric_smaller_class(metric, out->n);
    return true;
}

/* Neither a difference nor a variance. */
static bool is_still(const struct ml_metric *metric, const struct ml_delta *d)
{
    double noise = ml_delta_noise(metric, d);

    return d->se <= noise && fabs(d->delta) <= noise;
}

double ml_delta_floor(
    struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric, double se, double alpha)
{
    struct ml_delta d = { 0 };
    size_t units = count_changed(current, candidate, metric, &d);

    d.se = se;
    return both_values(current, candidate, metric, &d)
               ? floor_of(current, candidate, metric, units, is_still(metric, &d), alpha)
               : 0;
}

/* Each model's threshold is off by chance, and where they differ by that, so do the influences of rows in between: of
 * two models that are equally good they make a standard error that is a fifth too large. */
static void take_deviation(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    const struct ml_boot *boot, struct ml_delta *out)
{
    double deviation = ml_maximum_deviation(a, b, boot ? boot->seed : 0);

    if (deviation > ml_delta_noise(metric, out))
        out->se = deviation;
}

/* `same`: they are identical. */
static void paired(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, bool same, struct ml_delta *out)
{
    bool plain = ml_measure_plain(current), force = boot && boot->force;
    bool delong = metric->scale == ML_SCALE_AUC && plain;
    bool part = ml_tuned_applies_to_part(current, metric);
    struct pair_sums sums;
    bool summed = !same && ml_delta_plain(current, candidate, metric, delong, &sums);
    size_t units;
    double least, mean, chosen = 0; /* deviation, where all rows chose the threshold */

    memset(out, 0, sizeof *out);
    out->smaller_class = SIZE_MAX;
    if (!both_values(current, candidate, metric, out))
        return;
    if (part)
        chosen = ml_tuned_deviation(&current, 1, &candidate, 1, metric, &mean);
    if (same && !(chosen > 0)) {
        out->identical = true;
        out->p = 1;
        ml_delta_settle(out, "identical", "identical");
        return;
    }
    units = summed ? take_changed(&sums, metric, out) : count_changed(current, candidate, metric, out);
    if (ml_measure_units(current) < 2) {
        ml_delta_fail(out, current->groups ? "an interval needs two groups" : "an interval needs two rows");
        return;
    }
    if (metric->scale == ML_SCALE_AUC && out->n < 2) {
        ml_delta_fail(out, ONE_ROW_CLASS);
        return;
    }
    if (metric->scale == ML_SCALE_NONE) {
        ml_delta_fail(out, NO_INTERVAL);
        return;
    }
    if (metric->scale == ML_SCALE_BOOTSTRAP || force || ml_tuned_applies(current, metric) ||
        ml_tuned_applies(candidate, metric)) {
        bootstrap(current, candidate, metric, alpha, boot, out);
        return;
    }
    if (!difference_se(current, candidate, metric, delong, summed ? &sums : NULL, out)) {
        ml_delta_fail(out, out->interval_reason);
        return;
    }
    if (metric->scale == ML_SCALE_MAXIMUM && out->se > ml_delta_noise(metric, out))
        take_deviation(current, candidate, metric, boot, out);
    out->se = fmax(out->se, chosen);
    least = floor_of(current, candidate, metric, units, is_still(metric, out), alpha);
    ml_delta_decide(current, candidate, metric, alpha, delong, least, out);
    ml_delta_cut(out, metric);
}

void ml_delta_paired(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, struct ml_delta *out)
{
    paired(current, candidate, metric, alpha, boot, ml_delta_identical(&current->s, &candidate->s), out);
}

/* Both say the same in all rows of a label. */
static bool identical_within(const struct ml_sample *a, const struct ml_sample *b, int32_t label)
{
    size_t width = ml_sample_width(a);

    if (!a->score != !b->score)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->label[i] == label &&
            (a->pred[i] != b->pred[i] ||
                (a->score && memcmp(a->score + i * width, b->score + i * width, width * sizeof(double)) != 0)))
            return false;
    return true;
}

bool ml_delta_recall(struct ml_measure *current, struct ml_measure *candidate, int32_t label, double alpha,
    const struct ml_boot *boot, struct ml_delta *out)
{
    struct ml_measure of[2];

    if ((boot && boot->force) || !ml_delta_plain_label(current, candidate, label, of))
        return false;
    paired(&of[0], &of[1], ml_metric_find("accuracy"), alpha, boot, identical_within(&current->s, &candidate->s, label),
        out);
    for (int i = 0; i < 2; i++)
        ml_measure_clear(&of[i]);
    return true;
}

void ml_delta_unpaired(
    const struct ml_told *current, const struct ml_told *candidate, double alpha, struct ml_delta *out)
{
    const struct ml_told *const of[2] = { current, candidate };
    double sum = 0;

    memset(out, 0, sizeof *out);
    out->ok = true;
    out->current = current->value;
    out->candidate = candidate->value;
    out->delta = out->candidate - out->current;
    out->rows = out->n = current->rows < candidate->rows ? current->rows : candidate->rows;
    out->smaller_class = SIZE_MAX;
    out->changed = SIZE_MAX;
    out->se = hypot(current->se, candidate->se);
    if (!isfinite(out->delta)) {
        out->ok = false;
        out->delta = 0;
        out->reason = "the difference overflows a double";
        return;
    }
    if (!(out->se > 0)) { /* two models without a mistake on a few rows: certainty isn't what these rows show */
        out->se = 0;
        out->interval_reason = "neither value has a standard error";
        return;
    }
    for (int i = 0; i < 2; i++)
        if (of[i]->groups > 0)
            sum += pow(of[i]->se / out->se, 4) / fmax((double)of[i]->groups - 1, 1);
    out->df = 1 / sum;
    ml_interval_linear(out->delta, out->se, ml_t_quantile(1 - alpha / 2, out->df), &out->low, &out->high);
    out->p = ml_t_two_sided(out->delta / out->se, out->df);
    ml_delta_settle(out, "unpaired", "unpaired");
}
