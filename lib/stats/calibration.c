/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Expected and maximum calibration error, of one model and of two. */
#include "stats/calibration.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/calibration_impl.h"

#define HANDS ((size_t)8) /* parts of the cells that are gone through at the same time */
#define SOME  512         /* rows at a time; divides ML_PARALLEL_ROWS */

struct binning ml_calibration_binning(size_t bins)
{
    struct binning t = { bins, ml_malloc((bins + 1) * sizeof *t.edges) };

    for (size_t b = 1; b < bins; b++)
        t.edges[b] = edge(b, bins);
    t.edges[0] = -INFINITY;
    t.edges[bins] = INFINITY;
    return t;
}

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

struct bin *ml_calibration_fill(struct ml_measure *m, const struct weighting *by, size_t bins, double *total)
{
    const struct ml_sample *s = &m->s;
    const struct ml_ties *cells = by->w ? NULL : ml_rank_cells(m);
    size_t blocks = cells ? HANDS : ml_parallel_blocks(s->n);
    struct filling f = { s, by, ml_calibration_binning(bins), cells, ml_calloc((blocks + 1) * bins, sizeof *f.v) };

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

static size_t largest_gap(const struct bin *v, size_t bins)
{
    size_t best = 0;

    for (size_t b = 1; b < bins; b++)
        if (fabs(gap_of(&v[b])) > fabs(gap_of(&v[best])))
            best = b;
    return best;
}

/* psi of ECE: sign of the bin's gap times (probability - hit), less ECE. Where a gap passes through 0 there is no
 * derivative. */
static void add_psi(const struct ml_sample *s, const struct bin *v, size_t bins, double value, double *psi)
{
    struct binning t = ml_calibration_binning(bins);

    for (size_t i = 0; i < s->n; i++) {
        bool hit;
        double p = confidence_of(s, i, &hit);
        size_t b = bin_of(p, &t);

        psi[i] = (p - hit) * (ml_sum_value(&v[b].gap) < 0 ? -1 : 1) - value;
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
    b = ml_calibration_fill(m, by, bins, &total);
    value_of(b, bins, metric, total, m->s.n, v);
    if (psi && v->ok && metric->id == ML_METRIC_ECE)
        add_psi(&m->s, b, bins, v->value, psi);
    free(b);
    return v->ok || ml_value_none(v, "no rows");
}

/* Two models' rows side by side. */
struct pairing {
    const struct ml_sample *s[2];
    struct binning t;
    double *sign[2], value[2]; /* of each bin's gap */
    struct pair_sum {
        struct ml_sum moves[4]; /* of the difference's influences, and of their powers */
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
    ml_powers_total(&powers, q->blocks[block].moves);
    q->blocks[block].changed = changed;
}

bool ml_calibration_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out)
{
    struct ml_measure *m[2] = { a, b };
    struct ml_value *v[2] = { v_a, v_b };
    size_t bins = (size_t)metric->x, blocks = ml_parallel_blocks(a->s.n);
    struct weighting plain = { NULL, NULL };
    struct pairing q = { .s = { &a->s, &b->s } };
    struct ml_sum moves[4] = { { 0, 0 } };

    if (metric->id != ML_METRIC_ECE || !ml_class_loss_proba(a) || !ml_class_loss_proba(b) ||
        metric->x > (double)ML_BINS_MAX)
        return false;
    q.t = ml_calibration_binning(bins);
    q.sign[0] = ml_malloc(2 * bins * sizeof *q.sign[0]);
    q.sign[1] = q.sign[0] + bins;
    for (int k = 0; k < 2; k++) {
        double total;
        struct bin *bin = ml_calibration_fill(m[k], &plain, bins, &total);

        value_of(bin, bins, metric, total, a->s.n, v[k]);
        q.value[k] = v[k]->value;
        for (size_t i = 0; i < bins; i++)
            q.sign[k][i] = ml_sum_value(&bin[i].gap) < 0 ? -1 : 1;
        free(bin);
    }
    q.blocks = ml_malloc((blocks + 1) * sizeof *q.blocks);
    ml_parallel(blocks, pair_block, &q);
    for (size_t i = 0; i < blocks; i++) {
        for (int k = 0; k < 4; k++)
            ml_sum_join(&moves[k], &q.blocks[i].moves[k]);
        out->changed += q.blocks[i].changed;
    }
    out->squares = ml_sum_value(&moves[1]);
    out->cubes = ml_sum_value(&moves[2]);
    out->fourths = ml_sum_value(&moves[3]);
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
