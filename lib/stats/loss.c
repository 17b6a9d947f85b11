/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of classes that are the mean of a loss a row. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/log.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define PROBA_SLACK 0.01 /* how far a row of probabilities may be from 1 */
#define LARGE       1e50
#define SOME        512 /* rows whose losses are found before they are added up; divides ML_PARALLEL_ROWS */

/* What a block of rows came to. */
struct block {
    struct ml_sum sum, total; /* of weighted losses, and of the weights */
    struct ml_sum moves[4];   /* of losses less `about`, and of the powers of that */
    size_t clipped;
    const char *reason; /* why the scores are no probabilities; NULL when they may be */
};

struct losing {
    struct ml_measure *m;
    const struct ml_metric *metric;
    const struct weighting *by;
    double *rows; /* each row's loss; may be NULL */
    int unit;
    double mean;
    bool squares; /* add up how far losses are from `about`, too */
    double about;
    struct block *blocks;
};

/* Why a row of scores is no row of probabilities, or NULL. */
static inline const char *row_reason(const double *row, size_t width)
{
    double sum = 0;

    for (size_t j = 0; j < width; j++) {
        if (row[j] < 0 || row[j] > 1)
            return "scores outside [0, 1] are no probabilities";
        sum += row[j];
    }
    return width > 1 && fabs(sum - 1) > PROBA_SLACK ? "the scores of a row are off 1 by more than .01" : NULL;
}

/* Is one of them perhaps outside [0, 1]? */
ML_VECTORS static bool any_outside(const double *p, size_t n)
{
    uint64_t one, bits, any = 0;
    double end = 1;

    memcpy(&one, &end, sizeof one);
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, &p[i], sizeof bits);
        any |= bits | (one - bits); /* the sign of a number below 0, or above 1 */
    }
    return any >> 63;
}

static void look_at_block(void *ctx, size_t b, size_t thread)
{
    struct losing *l = ctx;
    const struct ml_sample *s = &l->m->s;
    size_t width = s->task == ML_TASK_MULTICLASS ? (size_t)s->classes : 1;
    size_t from = b * ML_PARALLEL_ROWS, end = ml_parallel_end(s->n, b);
    const char *reason = NULL;

    (void)thread;
    if (width == 1 && !any_outside(s->score + from, end - from))
        from = end;
    for (size_t i = from; i < end && !reason; i++)
        reason = row_reason(s->score + i * width, width);
    l->blocks[b].reason = reason;
}

/* The first row that is none says why not. */
bool ml_class_loss_proba(struct ml_measure *m)
{
    size_t blocks = ml_parallel_blocks(m->s.n);
    struct losing l = { .m = m };

    if (m->proba >= 0)
        return m->proba;
    l.blocks = ml_calloc(blocks, sizeof *l.blocks);
    ml_parallel(blocks, look_at_block, &l);
    for (size_t b = 0; b < blocks && !m->proba_reason; b++)
        m->proba_reason = l.blocks[b].reason;
    free(l.blocks);
    m->proba = !m->proba_reason;
    return m->proba;
}

/* Numbers from 0 to 1 as whole numbers, which are compared in wide loops without a thought of NaN. */
static inline int64_t whole_of(double p)
{
    int64_t whole;

    memcpy(&whole, &p, sizeof whole);
    return whole;
}

static inline double clip(double p)
{
    int64_t whole = whole_of(p), low = whole_of(DBL_EPSILON), high = whole_of(1 - DBL_EPSILON);

    whole = whole < low ? low : whole;
    whole = whole > high ? high : whole;
    memcpy(&p, &whole, sizeof p);
    return p;
}

/* scikit-learn 1.2: clip to [2^-52, 1 - 2^-52], then divide by the row's sum. */
static double log_loss_of(const struct ml_sample *s, size_t i, size_t *clipped)
{
    const double *row = s->score + i * (size_t)s->classes;
    double sum = 0;

    for (int32_t j = 0; j < s->classes; j++)
        sum += clip(row[j]);
    *clipped += row[s->label[i]] < DBL_EPSILON;
    return -ml_log(clip(row[s->label[i]]) / sum);
}

/* The same of two classes, whose probabilities add up to 1. */
ML_VECTORS static void binary_log_losses(
    const double *score, const int32_t *label, int32_t positive, size_t n, double *out, size_t *clipped)
{
    uint64_t some = 0;

    for (size_t i = 0; i < n; i++) {
        double y = label[i] == positive, own = y * score[i] + (1 - y) * (1 - score[i]);

        some += whole_of(own) < whole_of(DBL_EPSILON);
        out[i] = -ml_log(clip(own));
    }
    *clipped += some;
}

ML_VECTORS static void binary_briers(const double *score, const int32_t *label, int32_t positive, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        double y = label[i] == positive, d = score[i] - y;

        out[i] = d * d;
    }
}

/* Equal scores rank the higher class first, as scikit-learn's reversed stable sort does. */
static bool top_k_hit(const struct ml_sample *s, size_t i, int k)
{
    const double *row = s->score + i * (size_t)s->classes;
    int32_t y = s->label[i];
    int before = 0;

    for (int32_t j = 0; j < s->classes; j++)
        before += row[j] > row[y] || (row[j] == row[y] && j > y);
    return before < k;
}

/* 1 less the margin by which the row is on its right side, 0 at least: of two classes the score on that side, of
 * several the own class's less the largest other one (Crammer & Singer 2001, JMLR 2, 265); in units of 2^unit. */
static double hinge_of(const struct ml_sample *s, size_t i, int unit)
{
    size_t k = (size_t)s->classes;
    double own, other = -INFINITY, one = ldexp(1, -unit);

    if (s->task == ML_TASK_BINARY) {
        own = s->score[i] * one;
        return fmax(one - (s->label[i] == s->positive ? own : -own), 0);
    }
    for (size_t j = 0; j < k; j++)
        if (j != (size_t)s->label[i])
            other = fmax(other, s->score[i * k + j]);
    return fmax(one - (s->score[i * k + (size_t)s->label[i]] * one - other * one), 0);
}

/* Brier 1950, Mon. Weather Rev. 78, 1, eq. 2: the sum over all classes, 0 to 2. */
static double brier_of(const struct ml_sample *s, size_t i)
{
    const double *row = s->score + i * (size_t)s->classes;
    double sum = 0;

    for (int32_t j = 0; j < s->classes; j++)
        sum += (row[j] - (j == s->label[i])) * (row[j] - (j == s->label[i]));
    return sum;
}

/* A row's loss, where it isn't found for many rows at once. */
static double class_loss(const struct ml_sample *s, const struct ml_metric *metric, size_t i, int unit, size_t *clipped)
{
    switch (metric->id) {
    case ML_METRIC_LOG_LOSS:
        return log_loss_of(s, i, clipped);
    case ML_METRIC_TOP_K:
        return top_k_hit(s, i, (int)metric->x);
    case ML_METRIC_COST:
        return ml_sample_cost(s->costs, s->label[i], s->pred[i]);
    case ML_METRIC_HINGE:
        return hinge_of(s, i, unit);
    default:
        return brier_of(s, i);
    }
}

/* The losses of rows from .. from + n - 1. */
static void class_losses(const struct ml_sample *s, const struct ml_metric *metric, int unit, size_t from, size_t n,
    double *out, size_t *clipped)
{
    if (metric->id == ML_METRIC_LOG_LOSS && s->task == ML_TASK_BINARY) {
        binary_log_losses(s->score + from, s->label + from, s->positive, n, out, clipped);
        return;
    }
    if (metric->id == ML_METRIC_BRIER) {
        binary_briers(s->score + from, s->label + from, s->positive, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = class_loss(s, metric, from + i, unit, clipped);
}

/* Decision scores near the end of a double's range are scaled, for their differences and sums overflow. */
static int unit_of(const struct ml_sample *s, const struct ml_metric *metric)
{
    size_t width = s->task == ML_TASK_MULTICLASS ? (size_t)s->classes : 1;
    double most = 0;
    int e;

    if (metric->id != ML_METRIC_HINGE)
        return 0;
    for (size_t i = 0; i < s->n * width; i++)
        most = fmax(most, fabs(s->score[i]));
    if (most < LARGE)
        return 0;
    frexp(most, &e);
    return e;
}

static void add_block(void *ctx, size_t b, size_t thread)
{
    struct losing *l = ctx;
    const struct ml_sample *s = &l->m->s;
    size_t from = b * ML_PARALLEL_ROWS, end = ml_parallel_end(s->n, b);
    struct block *to = &l->blocks[b];
    struct ml_sums sum = { .s = { 0 } }, total = { .s = { 0 } };
    struct ml_powers powers = { .one = { .s = { 0 } } };
    double loss[SOME];

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        class_losses(s, l->metric, l->unit, from, n, loss, &to->clipped);
        if (l->rows)
            memcpy(l->rows + from, loss, n * sizeof *loss);
        if (l->squares)
            ml_powers_add(&powers, loss, l->about, n);
        if (l->by->w) {
            for (size_t i = 0; i < n; i++)
                loss[i] *= l->by->w[from + i];
            ml_sums_add(&total, l->by->w + from, n);
        }
        ml_sums_add(&sum, loss, n);
    }
    to->sum = ml_sums_total(&sum);
    to->total = l->by->w ? ml_sums_total(&total) : (struct ml_sum){ (double)(end - b * ML_PARALLEL_ROWS), 0 };
    ml_powers_total(&powers, to->moves);
}

static void centre_block(void *ctx, size_t b, size_t thread)
{
    struct losing *l = ctx;

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(l->m->s.n, b); i++)
        l->rows[i] -= l->mean;
}

static void join_moves(struct block *all, const struct block *b)
{
    for (int k = 0; k < 4; k++)
        ml_sum_join(&all->moves[k], &b->moves[k]);
}

/* Sums of the powers of what n numbers are from their mean, from those about another number. */
static void centre(const struct block *all, size_t n, double *squares, double *cubes, double *fourths)
{
    double moved = ml_sum_value(&all->moves[0]), by = moved / (double)n, spread = ml_sum_value(&all->moves[1]);
    double third = ml_sum_value(&all->moves[2]);

    *squares = fmax(spread - moved * by, 0);
    *cubes = third - 3 * by * spread + 2 * moved * by * by;
    *fourths = fmax(ml_sum_value(&all->moves[3]) - 4 * by * third + 6 * by * by * spread - 3 * moved * by * by * by, 0);
}

/* All rows' losses, added up. */
static struct block add_losses(struct losing *l)
{
    size_t blocks = ml_parallel_blocks(l->m->s.n);
    struct block all = { 0 };

    l->blocks = ml_calloc(blocks, sizeof *l->blocks);
    ml_parallel(blocks, add_block, l);
    for (size_t b = 0; b < blocks; b++) {
        ml_sum_join(&all.sum, &l->blocks[b].sum);
        ml_sum_join(&all.total, &l->blocks[b].total);
        join_moves(&all, &l->blocks[b]);
        all.clipped += l->blocks[b].clipped;
    }
    free(l->blocks);
    return all;
}

bool ml_class_loss_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    struct weighting plain = { NULL, NULL };
    struct losing l = { .m = m, .metric = metric, .by = &plain, .rows = out, .unit = unit_of(&m->s, metric) };

    if (metric->need == ML_NEED_PROBA && !ml_class_loss_proba(m))
        return false;
    add_losses(&l);
    return true;
}

/* Why there is no mean of losses, or NULL. */
static const char *loss_reason(struct ml_measure *m, const struct ml_metric *metric)
{
    if (metric->need == ML_NEED_PROBA && !ml_class_loss_proba(m))
        return m->proba_reason;
    if (metric->id == ML_METRIC_TOP_K && (int)metric->x >= m->s.classes)
        return "k isn't smaller than the number of classes";
    if (metric->id == ML_METRIC_HINGE && m->s.task == ML_TASK_MULTICLASS && m->s.classes < 2)
        return "there is only one class";
    return NULL;
}

bool ml_class_loss_squares(
    struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v, double *squares, double *cubes)
{
    struct weighting plain = { NULL, NULL };
    struct losing l = { .m = m, .metric = metric, .by = &plain, .squares = true };
    struct ml_sum first = { 0, 0 };
    size_t n = m->s.n, some = n < SOME ? n : SOME, ignored = 0;
    double loss[SOME], fourths;
    struct block all;

    if (loss_reason(m, metric) || unit_of(&m->s, metric))
        return false;
    class_losses(&m->s, metric, 0, 0, some, loss, &ignored);
    for (size_t i = 0; i < some; i++)
        ml_sum_add(&first, loss[i]);
    l.about = ml_sum_value(&first) / (double)some;
    all = add_losses(&l);
    v->ok = true;
    v->n = n;
    v->clipped = all.clipped;
    v->value = ml_sum_value(&all.sum) / (double)n;
    centre(&all, n, squares, cubes, &fourths);
    return isfinite(v->value);
}

bool ml_class_loss_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit)
{
    struct losing l = { .m = m, .metric = metric, .by = by, .rows = psi };
    const char *reason = loss_reason(m, metric);
    struct block all;

    if (reason)
        return ml_value_none(v, reason);
    l.unit = *unit = unit_of(&m->s, metric);
    all = add_losses(&l);
    v->clipped = all.clipped;
    if (!(ml_sum_value(&all.total) > 0))
        return ml_value_none(v, "no rows");
    v->ok = true;
    v->n = m->s.n;
    l.mean = ml_sum_value(&all.sum) / ml_sum_value(&all.total);
    v->value = ldexp(l.mean, l.unit);
    if (psi)
        ml_parallel(ml_parallel_blocks(m->s.n), centre_block, &l);
    return isfinite(v->value) ? true : ml_value_none(v, "the value overflows a double");
}

/* Two models' losses side by side. */
struct pairing {
    struct losing l[2];
    double about; /* near the mean of the differences, from which they are added up */
    struct pair_block *blocks;
};

struct pair_block {
    struct block of[2], all;
    size_t up, down;
};

ML_VECTORS static void hold(double *loss, const double *than, size_t n, size_t *up, size_t *down)
{
    uint64_t more = 0, less = 0;

    for (size_t i = 0; i < n; i++) {
        more += loss[i] > than[i];
        less += loss[i] < than[i];
        loss[i] -= than[i];
    }
    *up += more;
    *down += less;
}

static void pair_block(void *ctx, size_t b, size_t thread)
{
    struct pairing *p = ctx;
    size_t from = b * ML_PARALLEL_ROWS, end = ml_parallel_end(p->l[0].m->s.n, b);
    struct pair_block *to = &p->blocks[b];
    struct ml_sums sums[2] = { { .s = { 0 } } };
    struct ml_powers powers = { .one = { .s = { 0 } } };
    double loss[2][SOME];

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        for (int k = 0; k < 2; k++) {
            class_losses(&p->l[k].m->s, p->l[0].metric, 0, from, n, loss[k], &to->of[k].clipped);
            ml_sums_add(&sums[k], loss[k], n);
        }
        hold(loss[1], loss[0], n, &to->up, &to->down);
        ml_powers_add(&powers, loss[1], p->about, n);
    }
    for (int k = 0; k < 2; k++)
        to->of[k].sum = ml_sums_total(&sums[k]);
    ml_powers_total(&powers, to->all.moves);
}

/* What the first rows' losses differ by on average. */
static double first_moves(const struct pairing *p)
{
    size_t n = p->l[0].m->s.n < SOME ? p->l[0].m->s.n : SOME, ignored = 0;
    double loss[2][SOME];
    struct ml_sum sum = { 0, 0 };

    for (int k = 0; k < 2; k++)
        class_losses(&p->l[k].m->s, p->l[0].metric, 0, 0, n, loss[k], &ignored);
    for (size_t i = 0; i < n; i++)
        ml_sum_add(&sum, loss[1][i] - loss[0][i]);
    return ml_sum_value(&sum) / (double)n;
}

bool ml_class_loss_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out)
{
    struct pairing p = { .l = { { .m = a, .metric = metric }, { .m = b } } };
    struct ml_value *v[2] = { v_a, v_b };
    struct ml_sum sum[2] = { { 0, 0 }, { 0, 0 } };
    struct block all = { 0 };
    size_t n = a->s.n, blocks = ml_parallel_blocks(n);

    if ((metric->need == ML_NEED_PROBA && (!ml_class_loss_proba(a) || !ml_class_loss_proba(b))) ||
        (metric->id == ML_METRIC_TOP_K && (int)metric->x >= a->s.classes) ||
        (metric->id == ML_METRIC_HINGE && (a->s.classes < 2 || unit_of(&a->s, metric) || unit_of(&b->s, metric))) ||
        (metric->id == ML_METRIC_COST && (a->s.costs->most > LARGE || a->s.costs->most < 1 / LARGE)))
        return false; /* and numbers whose fourth powers a double doesn't hold */
    p.about = first_moves(&p);
    p.blocks = ml_calloc(blocks, sizeof *p.blocks);
    ml_parallel(blocks, pair_block, &p);
    for (size_t i = 0; i < blocks; i++) {
        for (int k = 0; k < 2; k++) {
            ml_sum_join(&sum[k], &p.blocks[i].of[k].sum);
            v[k]->clipped += p.blocks[i].of[k].clipped;
        }
        join_moves(&all, &p.blocks[i].all);
        out->up += p.blocks[i].up;
        out->down += p.blocks[i].down;
    }
    for (int k = 0; k < 2; k++) {
        v[k]->ok = true;
        v[k]->n = n;
        v[k]->value = ml_sum_value(&sum[k]) / (double)n;
    }
    out->changed = out->up + out->down;
    centre(&all, n, &out->squares, &out->cubes, &out->fourths);
    free(p.blocks);
    return true;
}
