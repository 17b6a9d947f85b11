/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Area under the ROC curve and average precision of a binary sample without weights and groups: how many of each class
 * share a score tells the value and the sum of squared influences, row by row nothing is needed. The area and its
 * variance are sums of whole numbers, and exact until the last division. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"
#include "stats/ties.h"

bool ml_rank_plain_has(const struct ml_measure *m, const struct ml_metric *metric)
{
    return m->s.task == ML_TASK_BINARY &&
           (metric->id == ML_METRIC_ROC_AUC || metric->id == ML_METRIC_AVERAGE_PRECISION);
}

const struct ml_ties *ml_rank_ties(struct ml_measure *m)
{
    bool has = m->ties && (m->with == ML_TIES_ALONE || m->ties->row || (m->with == ML_TIES_CELLS && m->ties->cell));

    if (!has) {
        ml_ties_free(m->ties);
        free(m->places);
        free(m->entries);
        m->places = NULL;
        m->entries = NULL;
        m->ties = ml_ties_new(m->s.score, m->s.label, m->s.positive, m->s.n, m->with);
    }
    return m->ties;
}

const struct ml_ties *ml_rank_cells(struct ml_measure *m)
{
    if (m->s.task != ML_TASK_BINARY || !m->s.score || !ml_measure_plain(m) ||
        (!m->ties && !ml_ties_countable(m->s.score, m->s.n)))
        return NULL;
    return ml_rank_ties(m)->cell ? m->ties : NULL;
}

typedef unsigned __int128 whole;

/* Sums over a part's groups. */
struct area_part {
    whole area;          /* of twice the negatives below each positive, a tie counted as half of one below */
    whole pos, neg;      /* of the squares of that, and of twice the positives above each negative likewise */
    struct ml_sum cubes; /* of the influences */
};

struct area {
    const struct ml_ties *t;
    struct area_part *parts;
    double area; /* all parts' */
};

static void add_area(void *ctx, size_t p, size_t thread)
{
    struct area *a = ctx;
    const struct ml_ties_part *part = &a->t->parts[p];
    struct area_part sum = { 0 };
    uint64_t below = part->neg, above = a->t->pos - part->pos;

    (void)thread;
    for (size_t i = part->from; i < part->from + part->n; i++) {
        uint64_t pos = a->t->v[i] >> 32, neg = a->t->v[i] & UINT32_MAX, x, y;

        above -= pos;
        x = 2 * below + neg;
        y = 2 * above + pos;
        sum.area += (whole)x * pos;
        sum.pos += (whole)x * x * pos;
        sum.neg += (whole)y * y * neg;
        below += neg;
    }
    a->parts[p] = sum;
}

/* Third powers of DeLong's influences: as whole numbers, differences of far larger ones would be left. */
static void add_cubes(void *ctx, size_t p, size_t thread)
{
    struct area *a = ctx;
    const struct ml_ties_part *part = &a->t->parts[p];
    double n_pos = (double)a->t->pos, n_neg = (double)a->t->neg, total = n_pos + n_neg;
    double by_pos = total / n_pos / (2 * n_neg) * (n_pos > 1 ? sqrt(n_pos / (n_pos - 1)) : 1);
    double by_neg = total / n_neg / (2 * n_pos) * (n_neg > 1 ? sqrt(n_neg / (n_neg - 1)) : 1);
    uint64_t below = part->neg, above = a->t->pos - part->pos;

    (void)thread;
    for (size_t i = part->from; i < part->from + part->n; i++) {
        uint64_t pos = a->t->v[i] >> 32, neg = a->t->v[i] & UINT32_MAX;
        double x, y;

        above -= pos;
        x = ((double)(2 * below + neg) - a->area / n_pos) * by_pos;
        y = ((double)(2 * above + pos) - a->area / n_neg) * by_neg;
        ml_sum_add(&a->parts[p].cubes, (double)pos * (x * x * x) + (double)neg * (y * y * y));
        below += neg;
    }
}

/* DeLong's two sums of squares, with V10 = x / 2 n_neg of each positive and the area A = sum x / (2 n_pos n_neg): sum
 * (V10 - A)^2 = (n_pos sum x^2 - (sum x)^2) / (n_pos (2 n_neg)^2), and the other way round. Below n^4 / 4 < 2^126. */
bool ml_rank_plain_area(struct ml_measure *m, struct ml_value *v, double *squares, double *cubes, int64_t *twice)
{
    struct area a = { .t = ml_rank_ties(m) };
    struct area_part sum = { 0 };
    struct ml_sum third = { 0, 0 };
    size_t pos = a.t->pos, neg = a.t->neg;
    double n_pos = (double)pos, n_neg = (double)neg, total = n_pos + n_neg, by_pos, by_neg;

    if (pos == 0 || neg == 0)
        return ml_value_none(v, "the labels are of one class only");
    a.parts = ml_calloc(a.t->n_parts, sizeof *a.parts);
    ml_parallel(a.t->n_parts, add_area, &a);
    for (size_t p = 0; p < a.t->n_parts; p++) {
        sum.area += a.parts[p].area;
        sum.pos += a.parts[p].pos;
        sum.neg += a.parts[p].neg;
    }
    if (cubes) {
        a.area = (double)sum.area;
        ml_parallel(a.t->n_parts, add_cubes, &a);
        for (size_t p = 0; p < a.t->n_parts; p++)
            ml_sum_join(&third, &a.parts[p].cubes);
        *cubes = ml_sum_value(&third);
    }
    free(a.parts);
    v->ok = true;
    v->value = fmin((double)sum.area / 2 / n_pos / n_neg, 1);
    v->n = neg < pos ? neg : pos;
    *twice = (int64_t)sum.area;
    by_pos = (double)(sum.pos * pos - sum.area * sum.area) / n_pos / (4 * n_neg * n_neg);
    by_neg = (double)(sum.neg * neg - sum.area * sum.area) / n_neg / (4 * n_pos * n_pos);
    *squares = by_pos * (total / n_pos) * (total / n_pos) * (pos > 1 ? n_pos / (n_pos - 1) : 1) +
               by_neg * (total / n_neg) * (total / n_neg) * (neg > 1 ? n_neg / (n_neg - 1) : 1);
    return true;
}

/* Sums over a part's groups, and then over all groups below it. */
struct precision_part {
    struct ml_sum hits;        /* of the precision from each positive on */
    struct ml_sum lost, given; /* of what a positive loses when one above it is left out, and gets from a negative */
    struct ml_sum bias;        /* of the first, by the share of the positives below it */
    struct ml_sum squares;
    struct ml_sum above[3]; /* of the powers of what influences are above others */
};

struct precision {
    const struct ml_ties *t;
    double value;
    struct precision_part *parts;
    double *psi; /* gets each row's influence */
    struct cell_entry *entries;
    const double *from; /* of each row: the ones that influences are held against */
    double by_pos, by_neg;
    double bias;
};

/* Of the rows that score at least as high as a group above `pos` and `neg`: how many there are, and positives; what
 * the positives of the group lose when one of these is left out, and get from a negative (rank.c). */
struct precision_at {
    double above, hits, lost, given;
};

static inline struct precision_at precision_from(const struct ml_ties *t, size_t pos, size_t neg, size_t own)
{
    struct precision_at at = { .above = (double)(t->pos - pos + t->neg - neg), .hits = (double)(t->pos - pos) };
    double pairs = at.above * (at.above - 1);

    at.lost = pairs > 0 ? (double)own * (at.above - at.hits) / pairs : 0;
    at.given = pairs > 0 ? (double)own * at.hits / pairs : 0;
    return at;
}

static void add_precision(void *ctx, size_t p, size_t thread)
{
    struct precision *a = ctx;
    const struct ml_ties_part *part = &a->t->parts[p];
    struct precision_part sum = { 0 };
    size_t below_pos = part->pos, below_neg = part->neg;

    (void)thread;
    for (size_t i = part->from; i < part->from + part->n; i++) {
        size_t pos = a->t->v[i] >> 32;

        if (pos) {
            struct precision_at at = precision_from(a->t, below_pos, below_neg, pos);

            ml_sum_add(&sum.hits, (double)pos * (at.hits / at.above));
            ml_sum_add(&sum.lost, at.lost);
            ml_sum_add(&sum.given, at.given);
            ml_sum_add(&sum.bias, at.lost * (double)below_pos);
        }
        below_pos += pos;
        below_neg += a->t->v[i] & UINT32_MAX;
    }
    a->parts[p] = sum;
}

/* The rows of a group get their influence, or it is held against the one that they have. */
static inline void spread(
    const struct precision *a, const uint32_t *row, const uint32_t *last, size_t n, double psi, struct ml_sum above[3])
{
    for (size_t i = 0; a->psi && i < n; i++) {
        a->psi[row[i]] = psi;
        __builtin_prefetch(&a->psi[*ml_ties_ahead(row + i, last)], 1);
    }
    for (size_t i = 0; a->from && i < n; i++) {
        double d = psi - a->from[row[i]];

        __builtin_prefetch(&a->from[*ml_ties_ahead(row + i, last)]);
        ml_sum_add(&above[0], d * d);
        ml_sum_add(&above[1], d * d * d);
        ml_sum_add(&above[2], d * d * d * d);
    }
}

/* As ml_rank_precision_without has it. */
static void add_squares(void *ctx, size_t p, size_t thread)
{
    struct precision *a = ctx;
    const struct ml_ties_part *part = &a->t->parts[p];
    struct precision_part *sum = &a->parts[p];
    double lost = ml_sum_value(&sum->lost), given = ml_sum_value(&sum->given);
    struct ml_sum squares = { 0, 0 }, held[3] = { { 0, 0 } };
    size_t below_pos = part->pos, below_neg = part->neg;

    (void)thread;
    for (size_t i = part->from; i < part->from + part->n; i++) {
        size_t pos = a->t->v[i] >> 32, neg = a->t->v[i] & UINT32_MAX;
        struct precision_at at = precision_from(a->t, below_pos, below_neg, pos);
        double psi, others;

        lost += at.lost;
        given += at.given;
        psi = lost + ml_rank_precision_own((double)a->t->pos, at.hits / at.above, at.above) - a->value;
        psi = psi * a->by_pos + a->bias;
        others = a->bias - given * a->by_neg;
        ml_sum_add(&squares, (double)pos * (psi * psi) + (double)neg * (others * others));
        if (a->entries) {
            a->entries[2 * a->t->cell[i]].psi = others;
            a->entries[2 * a->t->cell[i] + 1].psi = psi;
        } else if (a->psi || a->from) {
            const uint32_t *row = a->t->row + below_pos + below_neg, *last = ml_ties_last(a->t);

            spread(a, row, last, neg, others, held);
            spread(a, row + neg, last, pos, psi, held);
        }
        below_pos += pos;
        below_neg += neg;
    }
    sum->squares = squares;
    memcpy(sum->above, held, sizeof held);
}

/* The value, and of each part what is below it. */
static bool find_precision(struct precision *a, struct ml_value *v)
{
    struct ml_sum hits = { 0, 0 }, lost = { 0, 0 }, given = { 0, 0 }, bias = { 0, 0 };
    double pos = (double)a->t->pos, others = (double)(a->t->pos + a->t->neg - 1);

    if (a->t->pos == 0)
        return ml_value_none(v, "no row is labelled positive");
    a->parts = ml_calloc(a->t->n_parts, sizeof *a->parts);
    ml_parallel(a->t->n_parts, add_precision, a);
    for (size_t p = 0; p < a->t->n_parts; p++) {
        struct precision_part *part = &a->parts[p], below = { .lost = lost, .given = given };

        ml_sum_join(&hits, &part->hits);
        ml_sum_join(&lost, &part->lost);
        ml_sum_join(&given, &part->given);
        ml_sum_join(&bias, &part->bias);
        *part = below;
    }
    v->ok = true;
    v->value = a->value = fmin(ml_sum_value(&hits) / pos, 1);
    a->by_pos = others / fmax(pos - 1, 1);
    a->by_neg = others / pos;
    v->bias = a->bias = pos > 1 ? others / (others + 1) * (ml_sum_value(&bias) / pos / (pos - 1)) : 0;
    v->n = a->t->pos;
    return true;
}

static bool plain_ap(struct ml_measure *m, struct precision *a, struct ml_value *v, double *squares, double above[3])
{
    struct ml_sum sum[4] = { { 0, 0 } };

    a->t = ml_rank_ties(m);
    if (!find_precision(a, v))
        return false;
    ml_parallel(a->t->n_parts, add_squares, a);
    for (size_t p = 0; p < a->t->n_parts; p++) {
        ml_sum_join(&sum[0], &a->parts[p].squares);
        for (int k = 0; k < 3; k++)
            ml_sum_join(&sum[k + 1], &a->parts[p].above[k]);
    }
    *squares = ml_sum_value(&sum[0]);
    for (int k = 0; k < 3; k++)
        above[k] = ml_sum_value(&sum[k + 1]);
    free(a->parts);
    return true;
}

bool ml_rank_plain_psi(struct ml_measure *m, struct ml_value *v, double *psi, double *squares)
{
    double above[3];

    return plain_ap(m, &(struct precision){ .psi = psi }, v, squares, above);
}

bool ml_rank_plain_entries(struct ml_measure *m)
{
    double above[3];

    return plain_ap(m, &(struct precision){ .entries = m->entries }, &m->precision, &m->precision_squares, above);
}

bool ml_rank_plain_above(struct ml_measure *m, struct ml_value *v, const double *psi, double *squares, double above[3])
{
    return plain_ap(m, &(struct precision){ .from = psi }, v, squares, above);
}

bool ml_rank_plain(
    struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v, double *squares, double *cubes)
{
    int64_t twice;

    if (metric->id == ML_METRIC_ROC_AUC)
        return ml_rank_plain_area(m, v, squares, cubes, &twice);
    if (cubes)
        *cubes = NAN;
    return ml_rank_plain_psi(m, v, NULL, squares);
}
