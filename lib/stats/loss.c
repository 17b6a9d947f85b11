/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of classes that are the mean of a loss a row. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define PROBA_SLACK 0.01 /* how far a row of probabilities may be from 1 */
#define LARGE       1e100

/* What a block of rows came to. */
struct block {
    struct ml_sum sum, total;    /* of weighted losses, and of the weights */
    struct ml_sum moved, spread; /* of losses less `about`, and of the squares of that */
    struct ml_sum third;         /* and of its third powers */
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

static void look_at_block(void *ctx, size_t b, size_t thread)
{
    struct losing *l = ctx;
    const struct ml_sample *s = &l->m->s;
    size_t width = s->task == ML_TASK_MULTICLASS ? (size_t)s->classes : 1;
    const char *reason = NULL;

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(s->n, b) && !reason; i++)
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

/* scikit-learn 1.2: clip to [2^-52, 1 - 2^-52], then divide by the row's sum. */
static inline double log_loss_of(const struct ml_sample *s, size_t i, size_t *clipped)
{
    double p, sum = 1;

    if (s->task == ML_TASK_BINARY) {
        p = fmin(fmax(s->score[i], DBL_EPSILON), 1 - DBL_EPSILON);
        p = s->label[i] == s->positive ? p : 1 - p;
        *clipped += (s->label[i] == s->positive ? s->score[i] : 1 - s->score[i]) < DBL_EPSILON;
    } else {
        const double *row = s->score + i * (size_t)s->classes;

        sum = 0;
        for (int32_t j = 0; j < s->classes; j++)
            sum += fmin(fmax(row[j], DBL_EPSILON), 1 - DBL_EPSILON);
        p = fmin(fmax(row[s->label[i]], DBL_EPSILON), 1 - DBL_EPSILON);
        *clipped += row[s->label[i]] < DBL_EPSILON;
    }
    return -log(p / sum);
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

/* A row's loss. */
static inline double class_loss(
    const struct ml_sample *s, const struct ml_metric *metric, size_t i, int unit, size_t *clipped)
{
    double d;

    switch (metric->id) {
    case ML_METRIC_LOG_LOSS:
        return log_loss_of(s, i, clipped);
    case ML_METRIC_TOP_K:
        return top_k_hit(s, i, (int)metric->x);
    case ML_METRIC_COST:
        return ml_sample_cost(s->costs, s->label[i], s->pred[i]);
    case ML_METRIC_HINGE:
        return hinge_of(s, i, unit);
    case ML_METRIC_BRIER_MANY:
        return brier_of(s, i);
    default:
        d = s->score[i] - (s->label[i] == s->positive);
        return d * d;
    }
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
    struct block sums = { .total = { l->by->w ? 0 : (double)(end - from), 0 } };

    (void)thread;
    for (size_t i = from; i < end; i++) {
        double loss = class_loss(s, l->metric, i, l->unit, &sums.clipped);

        ml_sum_add(&sums.sum, weight_of(l->by, i) * loss);
        if (l->by->w)
            ml_sum_add(&sums.total, l->by->w[i]);
        if (l->rows)
            l->rows[i] = loss;
        if (l->squares) {
            double d = loss - l->about;

            ml_sum_add(&sums.moved, d);
            ml_sum_add(&sums.spread, d * d);
            ml_sum_add(&sums.third, d * d * d);
        }
    }
    l->blocks[b] = sums;
}

static void centre_block(void *ctx, size_t b, size_t thread)
{
    struct losing *l = ctx;

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(l->m->s.n, b); i++)
        l->rows[i] -= l->mean;
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
        ml_sum_join(&all.moved, &l->blocks[b].moved);
        ml_sum_join(&all.spread, &l->blocks[b].spread);
        ml_sum_join(&all.third, &l->blocks[b].third);
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
    size_t n = m->s.n, some = ml_parallel_end(n, 0), ignored = 0;
    struct block all;
    double moved, by;

    if (loss_reason(m, metric) || unit_of(&m->s, metric))
        return false;
    for (size_t i = 0; i < some; i++)
        ml_sum_add(&first, class_loss(&m->s, metric, i, 0, &ignored));
    l.about = ml_sum_value(&first) / (double)some;
    all = add_losses(&l);
    moved = ml_sum_value(&all.moved);
    v->ok = true;
    v->n = n;
    v->clipped = all.clipped;
    v->value = ml_sum_value(&all.sum) / (double)n;
    by = moved / (double)n;
    *squares = fmax(ml_sum_value(&all.spread) - moved * by, 0);
    *cubes = ml_sum_value(&all.third) - 3 * by * ml_sum_value(&all.spread) + 2 * moved * by * by;
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
    double *rows; /* differences */
    double mean;
    struct pair_block *blocks;
};

struct pair_block {
    struct block of[2];
    size_t up, down;
    struct ml_sum squares, cubes;
};

static void pair_block(void *ctx, size_t b, size_t thread)
{
    struct pairing *p = ctx;
    const struct ml_sample *x = &p->l[0].m->s, *y = &p->l[1].m->s;
    size_t from = b * ML_PARALLEL_ROWS, end = ml_parallel_end(x->n, b);
    struct pair_block sums = { 0 };

    (void)thread;
    for (size_t i = from; i < end; i++) {
        double loss = class_loss(x, p->l[0].metric, i, 0, &sums.of[0].clipped);
        double other = class_loss(y, p->l[0].metric, i, 0, &sums.of[1].clipped);

        ml_sum_add(&sums.of[0].sum, loss);
        ml_sum_add(&sums.of[1].sum, other);
        sums.up += other > loss;
        sums.down += other < loss;
        p->rows[i] = other - loss;
    }
    p->blocks[b] = sums;
}

static void pair_squares(void *ctx, size_t b, size_t thread)
{
    struct pairing *p = ctx;

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(p->l[0].m->s.n, b); i++) {
        double d = p->rows[i] - p->mean;

        ml_sum_add(&p->blocks[b].squares, d * d);
        ml_sum_add(&p->blocks[b].cubes, d * d * d);
    }
}

bool ml_class_loss_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out)
{
    struct pairing p = { .l = { { .m = a, .metric = metric }, { .m = b } } };
    struct ml_value *v[2] = { v_a, v_b };
    struct ml_sum sum[2] = { { 0, 0 }, { 0, 0 } }, squares = { 0, 0 }, cubes = { 0, 0 };
    size_t n = a->s.n, blocks = ml_parallel_blocks(n);

    if ((metric->need == ML_NEED_PROBA && (!ml_class_loss_proba(a) || !ml_class_loss_proba(b))) ||
        (metric->id == ML_METRIC_TOP_K && (int)metric->x >= a->s.classes) ||
        (metric->id == ML_METRIC_HINGE && (a->s.classes < 2 || unit_of(&a->s, metric) || unit_of(&b->s, metric))))
        return false;
    p.rows = ml_malloc((n + 1) * sizeof *p.rows);
    p.blocks = ml_calloc(blocks, sizeof *p.blocks);
    ml_parallel(blocks, pair_block, &p);
    for (size_t i = 0; i < blocks; i++) {
        for (int k = 0; k < 2; k++) {
            ml_sum_join(&sum[k], &p.blocks[i].of[k].sum);
            v[k]->clipped += p.blocks[i].of[k].clipped;
        }
        out->up += p.blocks[i].up;
        out->down += p.blocks[i].down;
    }
    for (int k = 0; k < 2; k++) {
        v[k]->ok = true;
        v[k]->n = n;
        v[k]->value = ml_sum_value(&sum[k]) / (double)n;
    }
    p.mean = v_b->value - v_a->value;
    ml_parallel(blocks, pair_squares, &p);
    for (size_t i = 0; i < blocks; i++) {
        ml_sum_join(&squares, &p.blocks[i].squares);
        ml_sum_join(&cubes, &p.blocks[i].cubes);
    }
    out->changed = out->up + out->down;
    out->squares = ml_sum_value(&squares);
    out->cubes = ml_sum_value(&cubes);
    free(p.blocks);
    free(p.rows);
    return true;
}
