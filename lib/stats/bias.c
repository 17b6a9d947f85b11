/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mean predicted less mean observed, of two models. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/bias.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define SOME 512 /* rows at a time; divides ML_PARALLEL_ROWS */

/* What a row's score promises, less what came true. */
static inline double promise(const struct ml_sample *s, size_t i)
{
    size_t k = (size_t)s->classes, best = 0;
    const double *row;

    if (s->task == ML_TASK_BINARY)
        return s->score[i] - (s->label[i] == s->positive);
    row = s->score + i * k;
    for (size_t j = 1; j < k; j++)
        if (row[j] > row[best])
            best = j;
    return row[best] - (s->label[i] == (int32_t)best);
}

/* Both models' promises, and their sums by blocks. */
struct promises {
    const struct ml_sample *a, *b;
    double delta, *psi; /* b's less a's, less delta, where not NULL */
    struct promise_sum {
        struct ml_sum a, b, squares;
        size_t changed;
    } * blocks;
};

ML_VECTORS static void binary_promises(
    const double *score, const int32_t *label, int32_t positive, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = score[i] - (label[i] == positive);
}

/* Those of rows from .. from + n - 1. */
static void promises_of(const struct ml_sample *s, size_t from, size_t n, double *out)
{
    if (s->task == ML_TASK_BINARY) {
        binary_promises(s->score + from, s->label + from, s->positive, n, out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = promise(s, from + i);
}

ML_VECTORS static size_t count_changed(const double *a, const double *b, size_t n)
{
    uint64_t changed = 0;

    for (size_t i = 0; i < n; i++)
        changed += a[i] != b[i];
    return changed;
}

static void promise_block(void *ctx, size_t block, size_t thread)
{
    struct promises *q = ctx;
    const double *weight = q->a->weight;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(q->a->n, block), changed = 0;
    struct ml_sums a = { .s = { 0 } }, b = { .s = { 0 } };
    double of[2][SOME];

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        promises_of(q->a, from, n, of[0]);
        promises_of(q->b, from, n, of[1]);
        changed += count_changed(of[0], of[1], n);
        for (size_t i = 0; weight && i < n; i++) {
            of[0][i] *= weight[from + i];
            of[1][i] *= weight[from + i];
        }
        ml_sums_add(&a, of[0], n);
        ml_sums_add(&b, of[1], n);
    }
    q->blocks[block] = (struct promise_sum){ .a = ml_sums_total(&a), .b = ml_sums_total(&b), .changed = changed };
}

static void square_block(void *ctx, size_t block, size_t thread)
{
    struct promises *q = ctx;
    const double *weight = q->a->weight;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(q->a->n, block);
    struct ml_sums squares = { .s = { 0 } };
    double psi[SOME], was[SOME];

    (void)thread;
    for (size_t n; from < end; from += n) {
        n = end - from < SOME ? end - from : SOME;
        promises_of(q->a, from, n, was);
        promises_of(q->b, from, n, psi);
        for (size_t i = 0; i < n; i++)
            psi[i] = psi[i] - was[i] - q->delta;
        if (q->psi)
            memcpy(q->psi + from, psi, n * sizeof *psi);
        for (size_t i = 0; i < n; i++) {
            double x = (weight ? weight[from + i] : 1) * psi[i];

            psi[i] = x * x;
        }
        ml_sums_add(&squares, psi, n);
    }
    q->blocks[block].squares = ml_sums_total(&squares);
}

/* Both biases; returns the sum of the squared influences of their difference. */
static double compare_promises(const struct ml_measure *m, struct promises *q, struct ml_delta *out)
{
    size_t n = q->a->n, blocks = ml_parallel_blocks(n);
    struct promise_sum sum = { 0 };
    double squares;

    q->blocks = ml_calloc(blocks, sizeof *q->blocks);
    ml_parallel(blocks, promise_block, q);
    for (size_t k = 0; k < blocks; k++) {
        ml_sum_join(&sum.a, &q->blocks[k].a);
        ml_sum_join(&sum.b, &q->blocks[k].b);
        out->changed += q->blocks[k].changed;
    }
    out->current = ml_sum_value(&sum.a) / m->total;
    out->candidate = ml_sum_value(&sum.b) / m->total;
    q->delta = out->delta = out->candidate - out->current;
    if (m->s.group) /* their rows are added up first */
        q->psi = ml_malloc((n + 1) * sizeof *q->psi);
    ml_parallel(blocks, square_block, q);
    for (size_t k = 0; k < blocks; k++)
        ml_sum_join(&sum.squares, &q->blocks[k].squares);
    squares = q->psi ? ml_measure_squares(m, q->psi, NULL) : ml_sum_value(&sum.squares);
    free(q->psi);
    free(q->blocks);
    return squares;
}

void ml_delta_bias(struct ml_measure *current, struct ml_measure *candidate, double alpha, struct ml_delta *out)
{
    const struct ml_sample *a = &current->s;
    struct promises q = { .a = a, .b = &candidate->s };
    double df = (double)ml_measure_units(current) - 1;

    memset(out, 0, sizeof *out);
    out->smaller_class = SIZE_MAX;
    if (a->n == 0) {
        out->reason = "no rows";
        return;
    }
    if (!ml_class_loss_proba(current) || !ml_class_loss_proba(candidate)) {
        out->reason = current->proba ? candidate->proba_reason : current->proba_reason;
        return;
    }
    out->ok = true;
    out->rows = out->n = a->n;
    out->groups = current->groups;
    out->has_interval =
        ml_measure_se(current, compare_promises(current, &q, out), false, &out->se, &out->interval_reason);
    if (!out->has_interval)
        return;
    out->df = df;
    out->identical = out->changed == 0;
    out->test = out->interval = "linear";
    ml_interval_linear(out->delta, out->se, ml_t_quantile(1 - alpha / 2, df), &out->low, &out->high);
    out->p = out->se > 0 ? ml_t_two_sided(out->delta / out->se, df) : out->delta == 0 ? 1 : 1e-300;
}
