/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differences of two models on the same rows, without weights and groups: from the cells (label, one's prediction, the
 * other's), from placement values as whole numbers, or from one pass over both models' losses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define JOINT_MAX  ((size_t)1 << 12) /* cells, of which each thread has its own */
#define PLACES_MAX ((size_t)1 << 31) /* rows whose placements fit into 32 bits */

/* ---- counts ---- */

struct counting {
    const struct ml_sample *a, *b;
    size_t k;
    uint64_t *cells[ML_PARALLEL_MAX];
};

static void count_block(void *ctx, size_t block, size_t thread)
{
    struct counting *c = ctx;
    const int32_t *y = c->a->label, *p = c->a->pred, *q = c->b->pred;
    uint64_t *cells = c->cells[thread];

    if (!cells)
        cells = c->cells[thread] = ml_calloc(c->k * c->k * c->k, sizeof *cells);
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(c->a->n, block); i++)
        cells[((size_t)y[i] * c->k + (size_t)p[i]) * c->k + (size_t)q[i]]++;
}

static const uint64_t *joint_of(struct ml_measure *a, struct ml_measure *b)
{
    struct counting c = { .a = &a->s, .b = &b->s, .k = (size_t)a->s.classes };
    size_t n = c.k * c.k * c.k;

    if (a->joint && a->joint_with == b->serial)
        return a->joint;
    free(a->joint);
    a->joint = ml_calloc(n + 1, sizeof *a->joint);
    a->joint_with = b->serial;
    ml_parallel(ml_parallel_blocks(a->s.n), count_block, &c);
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++) {
        for (size_t i = 0; c.cells[t] && i < n; i++)
            a->joint[i] += c.cells[t][i];
        free(c.cells[t]);
    }
    return a->joint;
}

static bool counts(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, struct pair_sums *out)
{
    int32_t k = a->s.classes;
    const uint64_t *cells = joint_of(a, b);
    struct cell_psi psi_a = { 0 }, psi_b = { 0 };
    struct ml_value v_a, v_b;
    struct ml_sum squares = { 0, 0 }, cubes = { 0, 0 }, fourths = { 0, 0 };
    bool ok = ml_measure_cells(a, metric, true, &psi_a, &v_a) && ml_measure_cells(b, metric, true, &psi_b, &v_b);

    for (int32_t y = 0; ok && y < k; y++)
        for (int32_t p = 0; p < k; p++)
            for (int32_t q = 0; q < k; q++, cells++) {
                double x = ml_delta_contribution(&a->s, metric, y, p);
                double z = ml_delta_contribution(&a->s, metric, y, q);
                double psi = *cells ? cell_at(&psi_b, y, q) - cell_at(&psi_a, y, p) : 0;

                ml_sum_add(&squares, (double)*cells * (psi * psi));
                ml_sum_add(&cubes, (double)*cells * (psi * psi * psi));
                ml_sum_add(&fourths, (double)*cells * (psi * psi * psi * psi));
                out->changed += x != z ? *cells : 0;
                out->up += z > x ? *cells : 0;
                out->down += z < x ? *cells : 0;
            }
    out->squares = ml_sum_value(&squares);
    out->cubes = ml_sum_value(&cubes);
    out->fourths = ml_sum_value(&fourths);
    free(psi_a.hit);
    free(psi_b.hit);
    return ok;
}

static bool has_joint(const struct ml_measure *a, const struct ml_measure *b)
{
    size_t k = (size_t)a->s.classes;

    return ml_measure_plain(a) && ml_measure_plain(b) && a->s.pred && b->s.pred && k * k * k <= JOINT_MAX;
}

bool ml_delta_plain_label(struct ml_measure *a, struct ml_measure *b, int32_t label, struct ml_measure of[2])
{
    size_t k = (size_t)a->s.classes, cells = k * k;
    const uint64_t *joint;

    if (!has_joint(a, b))
        return false;
    joint = joint_of(a, b) + (size_t)label * cells;
    for (int side = 0; side < 2; side++) {
        struct ml_measure *m = &of[side];

        *m = (struct ml_measure){ .s = side == 0 ? a->s : b->s, .serial = ml_measure_serial(), .proba = -1 };
        m->s.n = 0;
        m->s.tuned = ML_TUNED_NO; /* all rows chose the threshold */
        m->cells = ml_calloc(cells, sizeof *m->cells);
        for (size_t i = 0; i < cells; i++) {
            m->cells[(size_t)label * k + (side == 0 ? i / k : i % k)] += joint[i];
            m->s.n += joint[i];
        }
        m->total = m->squares = (double)m->s.n;
    }
    of[0].joint = ml_calloc(k * cells, sizeof *of[0].joint);
    of[0].joint_with = of[1].serial;
    memcpy(of[0].joint + (size_t)label * cells, joint, cells * sizeof *joint);
    return true;
}

/* ---- ranks ---- */

typedef __int128 whole;

/* Of a positive: twice the negatives below it, of a negative twice the positives above it, a tie counted as half. */
static void place_part(void *ctx, size_t p, size_t thread)
{
    struct ml_measure *m = ctx;
    const struct ml_ties_part *part = &m->ties->parts[p];
    const uint32_t *row = m->ties->row ? m->ties->row + part->pos + part->neg : NULL;
    const uint32_t *last = row ? ml_ties_last(m->ties) : NULL;
    uint64_t below = part->neg, above = m->ties->pos - part->pos;

    (void)thread;
    for (size_t g = part->from; g < part->from + part->n; g++) {
        uint64_t pos = m->ties->v[g] >> 32, neg = m->ties->v[g] & UINT32_MAX;

        above -= pos;
        if (!row) {
            m->entries[2 * m->ties->cell[g]].place = (uint32_t)(2 * above + pos);
            m->entries[2 * m->ties->cell[g] + 1].place = (uint32_t)(2 * below + neg);
        }
        for (uint64_t i = 0; row && i < neg + pos; i++, row++) {
            m->places[*row] = (uint32_t)(i < neg ? 2 * above + pos : 2 * below + neg);
            __builtin_prefetch(&m->places[*ml_ties_ahead(row, last)], 1);
        }
        below += neg;
    }
}

static const uint32_t *places_of(struct ml_measure *m)
{
    const struct ml_ties *t = ml_rank_ties(m);

    if (!m->places) {
        m->places = ml_malloc_huge((m->s.n + 1) * sizeof *m->places);
        ml_parallel(t->n_parts, place_part, m);
    }
    return m->places;
}

static const struct cell_entry *entries_for(struct ml_measure *m)
{
    const struct ml_ties *t = ml_rank_ties(m);

    if (!m->entries) {
        m->entries = ml_malloc_huge(ml_ties_entries(t) * sizeof *m->entries);
        ml_parallel(t->n_parts, place_part, m);
        ml_rank_plain_entries(m);
    }
    return m->entries;
}

/* What the placements of the negatives and of the positives moved by. */
struct move {
    whole squares[2];
    size_t up, down;
    struct ml_sum cubes, fourths, held[4];
};

struct moving {
    const uint32_t *from;
    const struct ml_ties *to;
    double mean[2], worth[2]; /* each class's mean move, and what a move by one is worth */
    struct move *parts;
    /* where both have cells */
    const struct ml_sample *s[2];
    const struct cell_entry *entries[2];
};

static inline void move_rows(const struct moving *mv, const uint32_t *row, const uint32_t *last, uint64_t n,
    uint64_t place, int class, struct move *out)
{
    for (uint64_t i = 0; i < n; i++) {
        int64_t d = (int64_t)place - (int64_t)mv->from[row[i]];
        double x = ((double)d - mv->mean[class]) * mv->worth[class];

        __builtin_prefetch(&mv->from[*ml_ties_ahead(row + i, last)]);
        out->up += d > 0;
        out->down += d < 0;
        out->squares[class] += (uint64_t)d * (uint64_t)d;
        ml_sum_add(&out->cubes, x * x * x);
        ml_sum_add(&out->fourths, x * x * x * x);
    }
}

/* The placements of the second measure are looked at where they are found, as place_part finds the first one's. */
static void move_part(void *ctx, size_t p, size_t thread)
{
    struct moving *mv = ctx;
    const struct ml_ties_part *part = &mv->to->parts[p];
    const uint32_t *row = mv->to->row + part->pos + part->neg, *last = ml_ties_last(mv->to);
    uint64_t below = part->neg, above = mv->to->pos - part->pos;
    struct move move = { .up = 0 };

    (void)thread;
    for (size_t g = part->from; g < part->from + part->n; g++) {
        uint64_t pos = mv->to->v[g] >> 32, neg = mv->to->v[g] & UINT32_MAX;

        above -= pos;
        move_rows(mv, row, last, neg, 2 * above + pos, 0, &move);
        move_rows(mv, row + neg, last, pos, 2 * below + neg, 1, &move);
        row += neg + pos;
        below += neg;
    }
    mv->parts[p] = move;
}

/* Where both have cells, the rows come in their own order, and what each has is looked up in tables. */
#define SOME 512 /* rows at a time; divides ML_PARALLEL_ROWS */

ML_VECTORS static void entries_of(
    const double *score, const int32_t *label, int32_t positive, double scale, size_t n, int32_t *at)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (int32_t)(2 * ml_ties_cell(scale, score[i]) + (label[i] == positive));
}

static void both_entries(const struct moving *mv, size_t from, size_t n, int32_t at[2][SOME])
{
    for (int k = 0; k < 2; k++)
        entries_of(mv->s[k]->score + from, mv->s[0]->label + from, mv->s[0]->positive, mv->to->scale, n, at[k]);
}

/* Of some rows; squares have their lower and upper 32 bits apart, those of all rows and of the positives. */
struct some_moves {
    uint64_t up, down, low[2], high[2];
};

/* `psi` gets how far influences are apart. */
ML_VECTORS static void add_moves(const struct cell_entry *from, const struct cell_entry *to, const int32_t *at,
    const int32_t *at_to, const double mean[2], const double worth[2], size_t n, struct some_moves *out, double *cubes,
    double *fourths, double *psi)
{
    uint64_t up = 0, down = 0, low = 0, high = 0, low_pos = 0, high_pos = 0;
    double mean_neg = mean[0], mean_pos = mean[1], worth_neg = worth[0], worth_pos = worth[1];
    uint32_t x[SOME], y[SOME];

    for (size_t i = 0; i < n; i++) {
        psi[i] = to[at_to[i]].psi - from[at[i]].psi;
        x[i] = from[at[i]].place;
        y[i] = to[at_to[i]].place;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t size = y[i] > x[i] ? y[i] - x[i] : x[i] - y[i], square = size * size, pos = at[i] & 1;

        up += y[i] > x[i];
        down += y[i] < x[i];
        low += square & UINT32_MAX;
        high += square >> 32;
        low_pos += square & UINT32_MAX & -pos;
        high_pos += square >> 32 & -pos;
    }
    for (size_t i = 0; i < n; i++) {
        double m = at[i] & 1 ? mean_pos : mean_neg, w = at[i] & 1 ? worth_pos : worth_neg;
        double d = ((double)y[i] - (double)x[i] - m) * w;

        cubes[i] = d * d * d;
        fourths[i] = d * d * d * d;
    }
    out->up += up;
    out->down += down;
    out->low[0] += low;
    out->low[1] += low_pos;
    out->high[0] += high;
    out->high[1] += high_pos;
}

static void move_block(void *ctx, size_t block, size_t thread)
{
    struct moving *mv = ctx;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(mv->s[0]->n, block);
    struct some_moves moves = { .up = 0 };
    struct ml_sums cubes = { .s = { 0 } }, fourths = { .s = { 0 } };
    struct ml_powers held = { .one = { .s = { 0 } } };
    int32_t at[2][SOME];
    double cube[SOME], fourth[SOME], psi[SOME];
    whole pos, all;

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        both_entries(mv, from, n, at);
        add_moves(mv->entries[0], mv->entries[1], at[0], at[1], mv->mean, mv->worth, n, &moves, cube, fourth, psi);
        ml_powers_add(&held, psi, 0, n);
        ml_sums_add(&cubes, cube, n);
        ml_sums_add(&fourths, fourth, n);
    }
    all = ((whole)moves.high[0] << 32) + (whole)moves.low[0];
    pos = ((whole)moves.high[1] << 32) + (whole)moves.low[1];
    mv->parts[block] = (struct move){ .squares = { all - pos, pos },
        .up = moves.up,
        .down = moves.down,
        .cubes = ml_sums_total(&cubes),
        .fourths = ml_sums_total(&fourths) };
    ml_powers_total(&held, mv->parts[block].held);
}

/* Higher powers are those of influences: as whole numbers they would need more than 128 bits. */
static struct move moves_of(struct ml_measure *a, struct ml_measure *b, struct moving *mv)
{
    struct move all = { .up = 0 };
    bool cells = !ml_rank_ties(a)->row;
    size_t parts = cells ? ml_parallel_blocks(a->s.n) : ml_rank_ties(b)->n_parts;

    mv->from = cells ? NULL : places_of(a);
    mv->entries[0] = cells ? entries_for(a) : NULL;
    mv->entries[1] = cells ? entries_for(b) : NULL;
    mv->s[0] = &a->s;
    mv->s[1] = &b->s;
    mv->to = ml_rank_ties(b);
    mv->parts = ml_calloc(parts, sizeof *mv->parts);
    ml_parallel(parts, cells ? move_block : move_part, mv);
    for (size_t i = 0; i < parts; i++) {
        all.squares[0] += mv->parts[i].squares[0];
        all.squares[1] += mv->parts[i].squares[1];
        all.up += mv->parts[i].up;
        all.down += mv->parts[i].down;
        ml_sum_join(&all.cubes, &mv->parts[i].cubes);
        ml_sum_join(&all.fourths, &mv->parts[i].fourths);
        for (int k = 0; k < 4; k++)
            ml_sum_join(&all.held[k], &mv->parts[i].held[k]);
    }
    for (int k = 0; k < 3; k++)
        a->above[k] = ml_sum_value(&all.held[k + 1]);
    free(mv->parts);
    a->up = all.up;
    a->down = all.down;
    a->moved_with = b->serial;
    return all;
}

/* DeLong's variance of a difference: that of the rows' moves, as rank_plain.c has it of the rows' places. `moved`: the
 * sum of the moves, of the positives as of the negatives. */
static void area_moves(struct ml_measure *a, struct ml_measure *b, bool delong, int64_t moved, struct pair_sums *out)
{
    size_t pos = ml_rank_ties(a)->pos, neg = ml_rank_ties(a)->neg;
    double n_pos = (double)pos, n_neg = (double)neg, total = n_pos + n_neg;
    double scale[2] = { delong && neg > 1 ? n_neg / (n_neg - 1) : 1, delong && pos > 1 ? n_pos / (n_pos - 1) : 1 };
    struct moving mv = { .mean = { (double)moved / n_neg, (double)moved / n_pos },
        .worth = { total / n_neg / (2 * n_pos) * sqrt(scale[0]), total / n_pos / (2 * n_neg) * sqrt(scale[1]) } };
    struct move move = moves_of(a, b, &mv);
    whole sum = moved;
    double by_pos = (double)(move.squares[1] * (whole)pos - sum * sum) / n_pos / (4 * n_neg * n_neg);
    double by_neg = (double)(move.squares[0] * (whole)neg - sum * sum) / n_neg / (4 * n_pos * n_pos);

    out->squares =
        by_pos * (total / n_pos) * (total / n_pos) * scale[1] + by_neg * (total / n_neg) * (total / n_neg) * scale[0];
    out->cubes = ml_sum_value(&move.cubes);
    out->fourths = ml_sum_value(&move.fourths);
}

/* Brings both scores' ties, both by cells or else both with rows. */
static void tie(struct ml_measure *a, struct ml_measure *b)
{
    bool cells = ml_ties_countable(a->s.score, a->s.n) && ml_ties_countable(b->s.score, b->s.n) &&
                 a->with != ML_TIES_ROWS && b->with != ML_TIES_ROWS;

    a->with = b->with = cells ? ML_TIES_CELLS : ML_TIES_ROWS;
    if (!cells || (!ml_rank_ties(a)->row && !ml_rank_ties(b)->row))
        return;
    a->with = b->with = ML_TIES_ROWS;
}

/* Influences of average precision held against each other, found with the moves or by rows: the sums of their second to
 * fourth powers. */
static void precision_moves(
    struct ml_measure *a, struct ml_measure *b, struct ml_value v[2], double squares[2], double above[3])
{
    if (!ml_rank_ties(a)->row) {
        v[0] = a->precision;
        v[1] = b->precision;
        squares[0] = a->precision_squares;
        squares[1] = b->precision_squares;
        memcpy(above, a->above, sizeof a->above);
        return;
    }
    double *psi = ml_malloc_huge((a->s.n + 1) * sizeof *psi);
    ml_rank_plain_psi(a, &v[0], psi, &squares[0]);
    ml_rank_plain_above(b, &v[1], psi, &squares[1], above);
    free(psi);
}

static bool ranks(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, struct pair_sums *out)
{
    bool auc = metric->id == ML_METRIC_ROC_AUC;
    struct ml_value v[2] = { { 0 }, { 0 } };
    struct moving unscaled = { .mean = { 0, 0 } };
    int64_t area[2];
    double squares[2], cubes[2] = { NAN, NAN }, above[3];

    tie(a, b);
    if (ml_rank_ties(a)->pos == 0 || (auc && ml_rank_ties(a)->neg == 0))
        return false;
    if (auc) {
        ml_rank_plain_area(a, &v[0], &squares[0], &cubes[0], &area[0]);
        ml_rank_plain_area(b, &v[1], &squares[1], &cubes[1], &area[1]);
        area_moves(a, b, delong, area[1] - area[0], out);
    } else {
        if (a->moved_with != b->serial &&
            (ml_rank_ties(a)->neg > 0 || !ml_rank_ties(a)->row)) /* else no row has a place */
            moves_of(a, b, &unscaled);
        precision_moves(a, b, v, squares, above);
        out->squares = above[0];
        out->cubes = above[1];
        out->fourths = above[2];
    }
    ml_measure_remember(a, metric, &v[0], squares[0], cubes[0]);
    ml_measure_remember(b, metric, &v[1], squares[1], cubes[1]);
    out->up = ml_rank_ties(a)->neg > 0 ? a->up : 0;
    out->down = ml_rank_ties(a)->neg > 0 ? a->down : 0;
    out->changed = out->up + out->down;
    return true;
}

bool ml_delta_plain(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, struct pair_sums *out)
{
    struct ml_value v_a = { 0 }, v_b = { 0 };

    memset(out, 0, sizeof *out);
    if (!ml_measure_plain(a) || !ml_measure_plain(b) || a->s.n == 0 || !(metric->tasks & (int)a->s.task))
        return false;
    if (metric->family == ML_FAMILY_COUNTS && has_joint(a, b))
        return counts(a, b, metric, out);
    if (!a->s.score || !b->s.score)
        return false;
    if (ml_rank_plain_has(a, metric) && a->s.n < PLACES_MAX)
        return ranks(a, b, metric, delong, out);
    if (metric->family == ML_FAMILY_CALIBRATION
            ? !ml_calibration_pair(a, b, metric, &v_a, &v_b, out)
            : metric->family != ML_FAMILY_CLASS_LOSS || !ml_class_loss_pair(a, b, metric, &v_a, &v_b, out))
        return false;
    ml_measure_remember(a, metric, &v_a, NAN, NAN);
    ml_measure_remember(b, metric, &v_b, NAN, NAN);
    return true;
}
