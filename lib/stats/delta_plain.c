/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differences of two models on the same rows, without weights and groups: from the cells (label, one's prediction, the
 * other's), from placement values as whole numbers, or from one pass over both models' losses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
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
    struct ml_sum squares = { 0, 0 }, cubes = { 0, 0 };
    bool ok = ml_measure_cells(a, metric, &psi_a, &v_a) && ml_measure_cells(b, metric, &psi_b, &v_b);

    for (int32_t y = 0; ok && y < k; y++)
        for (int32_t p = 0; p < k; p++)
            for (int32_t q = 0; q < k; q++, cells++) {
                double x = ml_delta_contribution(&a->s, metric, y, p);
                double z = ml_delta_contribution(&a->s, metric, y, q);
                double psi = *cells ? cell_at(&psi_b, y, q) - cell_at(&psi_a, y, p) : 0;

                ml_sum_add(&squares, (double)*cells * (psi * psi));
                ml_sum_add(&cubes, (double)*cells * (psi * psi * psi));
                out->changed += x != z ? *cells : 0;
                out->up += z > x ? *cells : 0;
                out->down += z < x ? *cells : 0;
            }
    out->squares = ml_sum_value(&squares);
    out->cubes = ml_sum_value(&cubes);
    free(psi_a.a);
    free(psi_b.a);
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

static void place_part(void *ctx, size_t p, size_t thread)
{
    struct ml_measure *m = ctx;
    const struct ml_ties_part *part = &m->ties->parts[p];
    const uint32_t *row = m->ties->row + part->pos + part->neg;
    uint64_t below = part->neg, above = m->ties->pos - part->pos;

    (void)thread;
    for (size_t g = part->from; g < part->from + part->n; g++) {
        uint64_t pos = m->ties->v[g] >> 32, neg = m->ties->v[g] & UINT32_MAX;

        above -= pos;
        for (uint64_t i = 0; i < neg; i++)
            m->places[*row++] = (uint32_t)(2 * above + pos);
        for (uint64_t i = 0; i < pos; i++)
            m->places[*row++] = (uint32_t)(2 * below + neg);
        below += neg;
    }
}

/* Of a positive: twice the negatives below it, of a negative twice the positives above it, a tie counted as half. */
static const uint32_t *places_of(struct ml_measure *m)
{
    if (!m->places) {
        m->places = ml_malloc_huge((m->s.n + 1) * sizeof *m->places);
        ml_parallel(ml_rank_ties(m)->n_parts, place_part, m);
    }
    return m->places;
}

/* What a block's placements moved by. */
struct move {
    whole sum, pos, neg; /* of the positives' moves; of the squares of the positives' and of the negatives' */
    size_t up, down;
};

struct moving {
    const struct ml_sample *s;
    const uint32_t *a, *b;
    struct move *blocks;
    /* then: each class's mean move, what a move by one is worth, and the sums of third powers */
    double mean[2], worth[2];
    struct ml_sum *cubes;
};

static void move_block(void *ctx, size_t block, size_t thread)
{
    struct moving *mv = ctx;
    struct move move = { 0 };

    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(mv->s->n, block); i++) {
        int64_t d = (int64_t)mv->b[i] - (int64_t)mv->a[i];

        move.up += d > 0;
        move.down += d < 0;
        if (mv->s->label[i] == mv->s->positive) {
            move.sum += d;
            move.pos += (whole)d * d;
        } else {
            move.neg += (whole)d * d;
        }
    }
    mv->blocks[block] = move;
}

static void cube_block(void *ctx, size_t block, size_t thread)
{
    struct moving *mv = ctx;
    struct ml_sum sum = { 0, 0 };

    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(mv->s->n, block); i++) {
        bool pos = mv->s->label[i] == mv->s->positive;
        double x = ((double)mv->b[i] - (double)mv->a[i] - mv->mean[pos]) * mv->worth[pos];

        ml_sum_add(&sum, x * x * x);
    }
    mv->cubes[block] = sum;
}

/* Third powers of the influences: as whole numbers they would need more than 128 bits. */
static double move_cubes(
    struct ml_measure *a, struct ml_measure *b, const struct move *move, double n_pos, double n_neg, bool delong)
{
    size_t blocks = ml_parallel_blocks(a->s.n);
    double moved = (double)move->sum, total = n_pos + n_neg;
    struct moving mv = { .s = &a->s, .a = a->places, .b = b->places, .mean = { moved / n_neg, moved / n_pos } };
    struct ml_sum sum = { 0, 0 };

    mv.worth[0] = total / n_neg / (2 * n_pos) * (delong && n_neg > 1 ? sqrt(n_neg / (n_neg - 1)) : 1);
    mv.worth[1] = total / n_pos / (2 * n_neg) * (delong && n_pos > 1 ? sqrt(n_pos / (n_pos - 1)) : 1);
    mv.cubes = ml_calloc(blocks, sizeof *mv.cubes);
    ml_parallel(blocks, cube_block, &mv);
    for (size_t i = 0; i < blocks; i++)
        ml_sum_join(&sum, &mv.cubes[i]);
    free(mv.cubes);
    return ml_sum_value(&sum);
}

static const struct move *moves_of(struct ml_measure *a, struct ml_measure *b)
{
    size_t blocks = ml_parallel_blocks(a->s.n);
    struct moving mv = { .s = &a->s };
    struct move all = { 0 };

    if (a->moves && a->moves_with == b->serial)
        return a->moves;
    mv.a = places_of(a);
    mv.b = places_of(b);
    mv.blocks = ml_calloc(blocks, sizeof *mv.blocks);
    ml_parallel(blocks, move_block, &mv);
    for (size_t i = 0; i < blocks; i++) {
        all.sum += mv.blocks[i].sum;
        all.pos += mv.blocks[i].pos;
        all.neg += mv.blocks[i].neg;
        all.up += mv.blocks[i].up;
        all.down += mv.blocks[i].down;
    }
    free(mv.blocks);
    a->moves = ml_realloc(a->moves, sizeof *a->moves);
    *a->moves = all;
    a->moves_with = b->serial;
    return a->moves;
}

/* DeLong's variance of a difference: that of the rows' moves, as rank_plain.c has it of the rows' places. */
static double move_squares(const struct move *move, size_t pos, size_t neg, bool delong)
{
    double n_pos = (double)pos, n_neg = (double)neg, total = n_pos + n_neg;
    double by_pos = (double)(move->pos * (whole)pos - move->sum * move->sum) / n_pos / (4 * n_neg * n_neg);
    double by_neg = (double)(move->neg * (whole)neg - move->sum * move->sum) / n_neg / (4 * n_pos * n_pos);

    return by_pos * (total / n_pos) * (total / n_pos) * (delong && pos > 1 ? n_pos / (n_pos - 1) : 1) +
           by_neg * (total / n_neg) * (total / n_neg) * (delong && neg > 1 ? n_neg / (n_neg - 1) : 1);
}

static bool ranks(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, struct pair_sums *out)
{
    bool auc = metric->id == ML_METRIC_ROC_AUC;
    struct ml_value v = { 0 };
    struct move move = { 0 };
    size_t pos, neg;
    double *psi, squares;

    a->with_rows = b->with_rows = true;
    pos = ml_rank_ties(a)->pos;
    neg = ml_rank_ties(a)->neg;
    if (pos == 0 || (auc && neg == 0))
        return false;
    if (neg > 0) /* else no row has a place */
        move = *moves_of(a, b);
    out->changed = move.up + move.down;
    out->up = move.up;
    out->down = move.down;
    if (auc) {
        out->squares = move_squares(&move, pos, neg, delong);
        out->cubes = move_cubes(a, b, &move, (double)pos, (double)neg, delong);
        return true;
    }
    psi = ml_malloc_huge((a->s.n + 1) * sizeof *psi);
    ml_rank_plain_psi(a, &v, false, psi, &squares);
    ml_measure_remember(a, metric, &v, squares, NAN);
    memset(&v, 0, sizeof v);
    ml_rank_plain_psi(b, &v, true, psi, &squares);
    ml_measure_remember(b, metric, &v, squares, NAN);
    out->squares = ml_measure_squares(a, psi, &out->cubes);
    free(psi);
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
