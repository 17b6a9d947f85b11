/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mean predicted less mean observed, of two models. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/bias.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

/* What a row's score promises, less what came true. */
static double promise(const struct ml_sample *s, size_t i)
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
    const struct ml_measure *a, *b;
    double *psi; /* b's less a's */
    struct promise_sum {
        struct ml_sum a, b;
        size_t changed;
    } * blocks;
};

static void promise_block(void *ctx, size_t block, size_t thread)
{
    struct promises *q = ctx;
    struct promise_sum *out = &q->blocks[block];

    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(q->a->s.n, block); i++) {
        double w = q->a->s.weight ? q->a->s.weight[i] : 1, a = promise(&q->a->s, i), b = promise(&q->b->s, i);

        ml_sum_add(&out->a, w * a);
        ml_sum_add(&out->b, w * b);
        q->psi[i] = b - a;
        out->changed += b != a;
    }
}

static void compare_promises(struct promises *q, struct ml_delta *out)
{
    size_t n = q->a->s.n, blocks = ml_parallel_blocks(n);
    struct promise_sum sum = { 0 };

    q->blocks = ml_calloc(blocks, sizeof *q->blocks);
    ml_parallel(blocks, promise_block, q);
    for (size_t k = 0; k < blocks; k++) {
        ml_sum_join(&sum.a, &q->blocks[k].a);
        ml_sum_join(&sum.b, &q->blocks[k].b);
        out->changed += q->blocks[k].changed;
    }
    free(q->blocks);
    out->current = ml_sum_value(&sum.a) / q->a->total;
    out->candidate = ml_sum_value(&sum.b) / q->a->total;
    out->delta = out->candidate - out->current;
    for (size_t i = 0; i < n; i++)
        q->psi[i] -= out->delta;
}

void ml_delta_bias(struct ml_measure *current, struct ml_measure *candidate, double alpha, struct ml_delta *out)
{
    const struct ml_sample *a = &current->s;
    struct promises q = { .a = current, .b = candidate };
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
    q.psi = ml_malloc((a->n + 1) * sizeof *q.psi);
    compare_promises(&q, out);
    out->has_interval =
        ml_measure_se(current, ml_measure_squares(current, q.psi, NULL), false, &out->se, &out->interval_reason);
    free(q.psi);
    if (!out->has_interval)
        return;
    out->df = df;
    out->identical = out->changed == 0;
    out->test = out->interval = "linear";
    ml_interval_linear(out->delta, out->se, ml_t_quantile(1 - alpha / 2, df), &out->low, &out->high);
    out->p = out->se > 0 ? ml_t_two_sided(out->delta / out->se, df) : out->delta == 0 ? 1 : 1e-300;
}
