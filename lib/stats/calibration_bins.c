/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intervals of calibration errors, and the bins that they are made of. */
#include "stats/calibration.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/calibration_impl.h"
#include "stats/dist.h"
#include "stats/interval.h"

#define SURE 5 /* rows (groups) of a bin whose gap has a standard error */

/* The rows of each bin, one bin behind the other: those of bin b end at ends[b]. */
struct binned {
    size_t *ends;
    uint32_t *rows;
};

static struct binned sort_into_bins(const struct ml_sample *s, size_t bins)
{
    struct binned t = { ml_calloc(bins + 2, sizeof *t.ends), ml_malloc((s->n + 1) * sizeof *t.rows) };
    struct binning by = ml_calibration_binning(bins);
    bool hit;

    for (size_t i = 0; i < s->n; i++)
        t.ends[bin_of(confidence_of(s, i, &hit), &by) + 1]++;
    for (size_t b = 1; b <= bins; b++)
        t.ends[b] += t.ends[b - 1];
    for (size_t i = 0; i < s->n; i++)
        t.rows[t.ends[bin_of(confidence_of(s, i, &hit), &by)]++] = (uint32_t)i;
    free(by.edges);
    return t;
}

static void free_binned(struct binned *t)
{
    free(t->ends);
    free(t->rows);
}

/* What a bin's gap is known by. */
struct known {
    double error; /* its standard error, if there were no gap: sqrt(sum of (w gap)^2) / weight, groups summed first; of
                     one row the gap itself */
    double worth; /* Kish's number of its rows, and no more than groups */
};

static struct known *look(const struct ml_sample *s, const struct bin *v, size_t bins)
{
    struct known *out = ml_calloc(bins, sizeof *out);
    double *sums = ml_calloc((s->group ? (size_t)s->groups : s->n) + 1, sizeof *sums);
    struct binned t = sort_into_bins(s, bins);

    for (size_t b = 0, from = 0; b < bins; from = t.ends[b++]) {
        struct ml_sum sum = { 0, 0 }, squares = { 0, 0 };
        double units = 0;

        for (size_t j = from; j < t.ends[b]; j++) {
            size_t i = t.rows[j];
            bool hit;
            double p = confidence_of(s, i, &hit), w = s->weight ? s->weight[i] : 1;

            sums[s->group ? s->group[i] : i] += (p - hit) * w;
            ml_sum_add(&squares, w * w);
        }
        for (size_t j = from; j < t.ends[b]; j++) {
            double *x = &sums[s->group ? s->group[t.rows[j]] : t.rows[j]];

            ml_sum_add(&sum, *x * *x);
            units += *x != 0;
            *x = 0;
        }
        if (!(v[b].weight > 0))
            continue;
        out[b].error = sqrt(ml_sum_value(&sum)) / v[b].weight;
        out[b].worth = fmin(v[b].weight * v[b].weight / ml_sum_value(&squares), units);
    }
    free_binned(&t);
    free(sums);
    return out;
}

/* E|N(x, 1)|. */
static double folded_mean(double x)
{
    return sqrt(2 / M_PI) * exp(-x * x / 2) + fabs(x) * (1 - ml_normal_two_sided(x));
}

/* A sum of sizes is too large on few rows: a gap g with standard error s is E|N(g, s^2)| on average. What it would be
 * of the gaps seen is taken off, as by the parametric bootstrap (Davison & Hinkley 1997, 5.2; of reliability diagrams
 * Broecker 2012, Clim. Dyn. 39, 655); what is left varies as the influences say. Of gaps near 0 that is about half of
 * what there is to take off. Below, the rest is taken off, too, as it is on average where gaps are normal with the
 * variance that their squares tell, and bins of next to no rows, whose gap has no error to speak of, add nothing.
 * Above, the interval reaches the value itself. */
static void interval_of_sum(
    const struct bin *v, size_t bins, double total, const struct known *k, double q, struct ml_estimate *e)
{
    double all = 0, sure = 0, errors = 0, squares = 0, used = 0, spread;

    for (size_t b = 0; b < bins; b++) {
        double gap = fabs(gap_of(&v[b])), x = k[b].error > 0 ? gap / k[b].error : 0, share = v[b].weight / total;
        double left = share * (k[b].error > 0 ? k[b].error * (2 * x - folded_mean(x)) : gap);

        all += left;
        if (k[b].worth < SURE * (1 - 1e-12))
            continue;
        sure += left;
        errors += share * k[b].error;
        squares += x * x;
        used++;
    }
    spread = used > 0 ? fmax(squares / used - 1, 0) : 0;
    sure -= errors * sqrt(2 / M_PI) * (2 * sqrt(1 + spread) - sqrt(2 + spread) - sqrt(spread));
    e->low = sure - q * e->se;
    e->high = fmax(all + q * e->se, e->v.value);
}

void ml_calibration_interval(struct ml_measure *m, const struct ml_metric *metric, double q, struct ml_estimate *e)
{
    struct weighting by = { m->s.weight, NULL };
    size_t bins = (size_t)metric->x;
    struct known *k;
    double total;
    struct bin *v = ml_calibration_fill(m, &by, bins, &total);

    k = look(&m->s, v, bins);
    interval_of_sum(v, bins, total, k, q, e);
    e->low = fmin(fmax(e->low, 0), e->v.value);
    e->high = fmin(e->high, 1);
    free(k);
    free(v);
}

/* Hits of one bin: Wilson with as many rows as they are worth, as other proportions have it. */
static void observe(const struct ml_sample *s, const uint32_t *rows, size_t n, double *group, double confidence,
    struct ml_calibration_bin *bin)
{
    double squares = 0, weight = 0, p = bin->observed, sum = 0, worth, units, groups = 0;
    double z = ml_normal_quantile((1 + confidence) / 2);

    for (size_t j = 0; j < n; j++) {
        double w = s->weight ? s->weight[rows[j]] : 1;
        bool hit;

        confidence_of(s, rows[j], &hit);
        weight += w;
        squares += w * w;
        if (group)
            group[s->group[rows[j]]] += w * (hit - p);
        else
            sum += w * (hit - p) * (w * (hit - p));
    }
    worth = weight * weight / squares;
    for (size_t j = 0; j < n && group; j++) { /* NaN: has been counted */
        double *x = &group[s->group[rows[j]]];

        if (isnan(*x))
            continue;
        sum += *x * *x;
        groups++;
        *x = NAN;
    }
    for (size_t j = 0; j < n && group; j++)
        group[s->group[rows[j]]] = 0;
    units = group ? groups : (double)n;
    if ((s->weight || group) && p > 0 && p < 1 && units > 1) {
        sum *= units / (units - 1);
        worth = fmin((double)n, p * (1 - p) * weight * weight / sum);
    } else if (group) {
        worth = fmin(worth, groups);
    }
    ml_wilson(p, worth, z, &bin->observed_low, &bin->observed_high);
}

size_t ml_calibration_bins(
    struct ml_measure *m, size_t bins, double confidence, struct ml_calibration_bin *out, const char **reason)
{
    const struct ml_sample *s = &m->s;
    struct binned t;
    double *group;
    size_t kept = 0;
    bool hit;

    *reason = s->n == 0 ? "no rows" : !s->score ? "no scores" : !ml_class_loss_proba(m) ? m->proba_reason : NULL;
    if (*reason)
        return 0;
    group = s->group ? ml_calloc((size_t)s->groups + 1, sizeof *group) : NULL;
    t = sort_into_bins(s, bins);
    for (size_t b = 0, from = 0; b < bins; from = t.ends[b++]) {
        struct ml_sum predicted = { 0, 0 }, observed = { 0, 0 }, weight = { 0, 0 };

        if (t.ends[b] == from)
            continue;
        for (size_t j = from; j < t.ends[b]; j++) {
            double w = s->weight ? s->weight[t.rows[j]] : 1;

            ml_sum_add(&predicted, w * confidence_of(s, t.rows[j], &hit));
            ml_sum_add(&observed, hit ? w : 0);
            ml_sum_add(&weight, w);
        }
        out[kept] = (struct ml_calibration_bin){ .low = edge(b, bins),
            .high = edge(b + 1, bins),
            .rows = t.ends[b] - from,
            .weight = ml_sum_value(&weight) / m->total,
            .predicted = ml_sum_value(&predicted) / ml_sum_value(&weight),
            .observed = ml_sum_value(&observed) / ml_sum_value(&weight) };
        observe(s, t.rows + from, t.ends[b] - from, group, confidence, &out[kept++]);
    }
    free_binned(&t);
    free(group);
    return kept;
}
