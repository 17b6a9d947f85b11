/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Expected and maximum calibration error, their intervals, and the bins that they are made of. */
#include "stats/calibration.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define HANDS ((size_t)8) /* parts of the cells that are gone through at the same time */
#define SOME  512         /* rows at a time; divides ML_PARALLEL_ROWS */

/* A row's probability, and whether what it is the probability of came true. */
static inline double confidence_of(const struct ml_sample *s, size_t i, bool *hit)
{
    const double *row = s->score + i * (size_t)s->classes;
    int32_t best = 0;

    if (s->task == ML_TASK_BINARY) {
        *hit = s->label[i] == s->positive;
        return s->score[i];
    }
    for (int32_t k = 1; k < s->classes; k++)
        if (row[k] > row[best])
            best = k;
    *hit = s->label[i] == best;
    return row[best];
}

/* The edges are numpy.linspace's, as scikit-learn's are. */
static double edge(size_t b, size_t bins)
{
    return b == bins ? 1 : (double)b * (1.0 / (double)bins);
}

struct binning {
    size_t bins;
    double *edges; /* of each bin the lower one; nothing is below the first or above the last */
};

static struct binning binning_of(size_t bins)
{
    struct binning t = { bins, ml_malloc((bins + 1) * sizeof *t.edges) };

    for (size_t b = 1; b < bins; b++)
        t.edges[b] = edge(b, bins);
    t.edges[0] = -INFINITY;
    t.edges[bins] = INFINITY;
    return t;
}

static inline size_t bin_of(double p, const struct binning *t)
{
    size_t b = (size_t)(p * (double)t->bins);

    b = b < t->bins ? b : t->bins - 1;
    while (p <= t->edges[b])
        b--;
    while (p > t->edges[b + 1])
        b++;
    return b;
}

/* What each bin holds. */
struct bin {
    double weight;
    struct ml_sum gap; /* sum of w (probability - hit) */
    size_t rows;
};

struct filling {
    const struct ml_sample *s;
    const struct weighting *by;
    struct binning t;
    const struct ml_ties *cells; /* or NULL */
    struct bin *v;               /* those of each block, or of each hand of cells */
};

static void fill_block(void *ctx, size_t block, size_t thread)
{
    struct filling *f = ctx;
    struct bin *v = f->v + block * f->t.bins;

    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(f->s->n, block); i++) {
        bool hit;
        double p = confidence_of(f->s, i, &hit), w = weight_of(f->by, i);
        struct bin *b = &v[bin_of(p, &f->t)];

        b->weight += w;
        b->rows += w > 0;
        ml_sum_add(&b->gap, w * (p - hit));
    }
}

/* The same of the rows of some cells, all with one probability. */
static void fill_hand(void *ctx, size_t hand, size_t thread)
{
    struct filling *f = ctx;
    const struct ml_ties *t = f->cells;
    struct bin *v = f->v + hand * f->t.bins;

    (void)thread;
    for (size_t p = t->n_parts * hand / HANDS; p < t->n_parts * (hand + 1) / HANDS; p++)
        for (size_t g = t->parts[p].from; g < t->parts[p].from + t->parts[p].n; g++) {
            double q = t->cell[g] / t->scale, pos = (double)(t->v[g] >> 32), rows = pos + (double)(uint32_t)t->v[g];
            struct bin *b = &v[bin_of(q, &f->t)];

            b->weight += rows;
            b->rows += (size_t)rows;
            ml_sum_add(&b->gap, rows * q - pos);
        }
}

static struct bin *fill_bins(struct ml_measure *m, const struct weighting *by, size_t bins, double *total)
{
    const struct ml_sample *s = &m->s;
    const struct ml_ties *cells = by->w ? NULL : ml_rank_cells(m);
    size_t blocks = cells ? HANDS : ml_parallel_blocks(s->n);
    struct filling f = { s, by, binning_of(bins), cells, ml_calloc((blocks + 1) * bins, sizeof *f.v) };

    ml_parallel(blocks, cells ? fill_hand : fill_block, &f);
    *total = 0;
    for (size_t b = 0; b < bins; b++) {
        for (size_t k = 1; k < blocks; k++) {
            f.v[b].weight += f.v[k * bins + b].weight;
            f.v[b].rows += f.v[k * bins + b].rows;
            ml_sum_join(&f.v[b].gap, &f.v[k * bins + b].gap);
        }
        *total += f.v[b].weight;
    }
    free(f.t.edges);
    return f.v;
}

static double gap_of(const struct bin *b)
{
    return b->weight > 0 ? ml_sum_value(&b->gap) / b->weight : 0;
}

static size_t largest_gap(const struct bin *v, size_t bins)
{
    size_t best = 0;

    for (size_t b = 1; b < bins; b++)
        if (fabs(gap_of(&v[b])) > fabs(gap_of(&v[best])))
            best = b;
    return best;
}

/* psi of ECE: sign of the bin's gap times (probability - hit), less ECE; of MCE the same within the largest one's bin.
 * Where a gap passes through 0 there is no derivative. */
static void add_psi(const struct ml_sample *s, const struct ml_metric *metric, const struct bin *v, double total,
    double value, double *psi)
{
    size_t bins = (size_t)metric->x, largest = largest_gap(v, bins);
    struct binning t = binning_of(bins);

    for (size_t i = 0; i < s->n; i++) {
        bool hit;
        double p = confidence_of(s, i, &hit);
        size_t b = bin_of(p, &t);
        double gap = (p - hit) * (ml_sum_value(&v[b].gap) < 0 ? -1 : 1);

        if (metric->id == ML_METRIC_ECE)
            psi[i] = gap - value;
        else
            psi[i] = b == largest ? (gap - value) * total / v[b].weight : 0;
    }
    free(t.edges);
}

/* ECE or MCE of bins; `rows`: how many there are. */
static void value_of(
    const struct bin *v, size_t bins, const struct ml_metric *metric, double total, size_t rows, struct ml_value *out)
{
    struct ml_sum sum = { 0, 0 };

    out->ok = total > 0;
    out->n = rows;
    if (metric->id == ML_METRIC_ECE) {
        for (size_t i = 0; i < bins; i++)
            ml_sum_add(&sum, fabs(ml_sum_value(&v[i].gap)));
        out->value = ml_sum_value(&sum) / total;
    } else {
        out->value = fabs(gap_of(&v[largest_gap(v, bins)]));
        out->n = v[largest_gap(v, bins)].rows;
    }
    out->value = fmin(out->value, 1);
}

bool ml_calibration_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    size_t bins = (size_t)metric->x;
    struct bin *b;
    double total;

    if (!ml_class_loss_proba(m))
        return ml_value_none(v, m->proba_reason);
    if (metric->x > (double)ML_BINS_MAX)
        return ml_value_none(v, "more than 10000 bins");
    b = fill_bins(m, by, bins, &total);
    value_of(b, bins, metric, total, m->s.n, v);
    if (psi && v->ok)
        add_psi(&m->s, metric, b, total, v->value, psi);
    free(b);
    return v->ok || ml_value_none(v, "no rows");
}

/* Two models' rows side by side. */
struct pairing {
    const struct ml_sample *s[2];
    struct binning t;
    double *sign[2], value[2]; /* of each bin's gap */
    struct pair_sum {
        struct ml_sum squares, cubes;
        size_t changed;
    } * blocks;
};

/* How far some rows' probabilities are from what came true. */
static void gaps_of(const struct ml_sample *s, size_t from, size_t n, double *p, double *gap)
{
    for (size_t i = 0; i < n; i++) {
        bool hit;

        p[i] = confidence_of(s, from + i, &hit);
        gap[i] = p[i] - hit;
    }
}

ML_VECTORS static void binary_gaps(
    const double *score, const int32_t *label, int32_t positive, size_t n, double *p, double *gap)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = score[i];
        gap[i] = score[i] - (label[i] == positive);
    }
}

/* Influences; p * bins is a bin or so off where it is rounded, as in bin_of. */
ML_VECTORS static void influences(const double *p, const double *gap, const struct binning *t, const double *sign,
    double value, size_t n, double *psi)
{
    const double *edges = t->edges;
    double bins = (double)t->bins;
    int32_t last = (int32_t)t->bins - 1;

    for (size_t i = 0; i < n; i++) {
        int32_t b = (int32_t)(p[i] * bins);

        b = b < last ? b : last;
        b -= p[i] <= edges[b];
        b += p[i] > edges[b + 1];
        psi[i] = gap[i] * sign[b] - value;
    }
}

ML_VECTORS static size_t subtract(const double *gap, const double *than, const double *psi, size_t n, double *d)
{
    uint64_t changed = 0;

    for (size_t i = 0; i < n; i++) {
        d[i] -= psi[i];
        changed += gap[i] != than[i];
    }
    return changed;
}

static void pair_block(void *ctx, size_t block, size_t thread)
{
    struct pairing *q = ctx;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(q->s[0]->n, block), changed = 0;
    struct ml_powers powers = { .one = { .s = { 0 } } };
    double p[SOME], gap[2][SOME], psi[2][SOME];

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        for (int k = 0; k < 2; k++) {
            const struct ml_sample *s = q->s[k];

            if (s->task == ML_TASK_BINARY)
                binary_gaps(s->score + from, s->label + from, s->positive, n, p, gap[k]);
            else
                gaps_of(s, from, n, p, gap[k]);
            influences(p, gap[k], &q->t, q->sign[k], q->value[k], n, psi[k]);
        }
        changed += subtract(gap[0], gap[1], psi[0], n, psi[1]);
        ml_powers_add(&powers, psi[1], 0, n);
    }
    q->blocks[block] = (struct pair_sum){ ml_sums_total(&powers.two), ml_sums_total(&powers.three), changed };
}

bool ml_calibration_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out)
{
    struct ml_measure *m[2] = { a, b };
    struct ml_value *v[2] = { v_a, v_b };
    size_t bins = (size_t)metric->x, blocks = ml_parallel_blocks(a->s.n);
    struct weighting plain = { NULL, NULL };
    struct pairing q = { .s = { &a->s, &b->s } };
    struct ml_sum squares = { 0, 0 }, cubes = { 0, 0 };

    if (metric->id != ML_METRIC_ECE || !ml_class_loss_proba(a) || !ml_class_loss_proba(b) ||
        metric->x > (double)ML_BINS_MAX)
        return false;
    q.t = binning_of(bins);
    q.sign[0] = ml_malloc(2 * bins * sizeof *q.sign[0]);
    q.sign[1] = q.sign[0] + bins;
    for (int k = 0; k < 2; k++) {
        double total;
        struct bin *bin = fill_bins(m[k], &plain, bins, &total);

        value_of(bin, bins, metric, total, a->s.n, v[k]);
        q.value[k] = v[k]->value;
        for (size_t i = 0; i < bins; i++)
            q.sign[k][i] = ml_sum_value(&bin[i].gap) < 0 ? -1 : 1;
        free(bin);
    }
    q.blocks = ml_malloc((blocks + 1) * sizeof *q.blocks);
    ml_parallel(blocks, pair_block, &q);
    for (size_t i = 0; i < blocks; i++) {
        ml_sum_join(&squares, &q.blocks[i].squares);
        ml_sum_join(&cubes, &q.blocks[i].cubes);
        out->changed += q.blocks[i].changed;
    }
    out->squares = ml_sum_value(&squares);
    out->cubes = ml_sum_value(&cubes);
    free(q.blocks);
    free(q.sign[0]);
    free(q.t.edges);
    return true;
}

void ml_calibration_rows(struct ml_measure *m, double *out)
{
    for (size_t i = 0; i < m->s.n; i++) {
        bool hit;
        double p = confidence_of(&m->s, i, &hit);

        out[i] = p - hit;
    }
}

/* The rows of each bin, one bin behind the other: those of bin b end at ends[b]. */
struct binned {
    size_t *ends;
    uint32_t *rows;
};

static struct binned sort_into_bins(const struct ml_sample *s, size_t bins)
{
    struct binned t = { ml_calloc(bins + 2, sizeof *t.ends), ml_malloc((s->n + 1) * sizeof *t.rows) };
    struct binning by = binning_of(bins);
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

/* Standard error of each bin's gap if there were none: sqrt(sum of (w gap)^2) / weight, groups summed first. A bin of
 * one row has the gap itself for it. */
static double *null_errors(const struct ml_sample *s, const struct bin *v, size_t bins)
{
    double *out = ml_calloc(bins, sizeof *out);
    double *sums = ml_calloc((s->group ? (size_t)s->groups : s->n) + 1, sizeof *sums);
    struct binned t = sort_into_bins(s, bins);

    for (size_t b = 0, from = 0; b < bins; from = t.ends[b++]) {
        struct ml_sum sum = { 0, 0 };

        for (size_t j = from; j < t.ends[b]; j++) {
            size_t i = t.rows[j];
            bool hit;
            double p = confidence_of(s, i, &hit);

            sums[s->group ? s->group[i] : i] += (p - hit) * (s->weight ? s->weight[i] : 1);
        }
        for (size_t j = from; j < t.ends[b]; j++) {
            double *x = &sums[s->group ? s->group[t.rows[j]] : t.rows[j]];

            ml_sum_add(&sum, *x * *x);
            *x = 0;
        }
        out[b] = v[b].weight > 0 ? sqrt(ml_sum_value(&sum)) / v[b].weight : 0;
    }
    free_binned(&t);
    free(sums);
    return out;
}

/* Both are sums of sizes, so too large on few rows, however well a model is calibrated: a gap that isn't there is
 * E|N(0, s^2)| = s sqrt(2/pi) on average. The interval of ECE allows for so much below, beside Student's t of its
 * influences; that of MCE is the largest of each bin's own, by Bonferroni over the bins. Both cover at least what they
 * say (the percentile bootstrap of ECE covers nothing where a model is calibrated, for replicates are biased twice). */
void ml_calibration_interval(
    struct ml_measure *m, const struct ml_metric *metric, double confidence, double q, struct ml_estimate *e)
{
    struct weighting by = { m->s.weight, NULL };
    size_t bins = (size_t)metric->x, used = 0;
    double total, *error, bias = 0, z;
    struct bin *v = fill_bins(m, &by, bins, &total);

    error = null_errors(&m->s, v, bins);
    for (size_t b = 0; b < bins; b++) {
        used += v[b].rows > 0;
        bias += v[b].weight / total * error[b] * M_SQRT2 / sqrt(M_PI);
    }
    z = ml_normal_quantile(1 - (1 - confidence) / (double)(2 * used));
    e->low = metric->id == ML_METRIC_ECE ? e->v.value - bias - q * e->se : 0;
    e->high = metric->id == ML_METRIC_ECE ? e->v.value + q * e->se : 0;
    for (size_t b = 0; b < bins && metric->id == ML_METRIC_MCE; b++) {
        double gap = fabs(gap_of(&v[b]));

        e->low = fmax(e->low, gap - z * error[b]);
        e->high = fmax(e->high, gap + z * error[b]);
    }
    e->low = fmin(fmax(e->low, 0), e->v.value);
    e->high = fmin(e->high, 1);
    free(error);
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
