/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mean predicted less mean observed, of two models. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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

static double mean_promise(const struct ml_measure *m)
{
    struct ml_sum sum = { 0, 0 };

    for (size_t i = 0; i < m->s.n; i++)
        ml_sum_add(&sum, (m->s.weight ? m->s.weight[i] : 1) * promise(&m->s, i));
    return ml_sum_value(&sum) / m->total;
}

void ml_delta_bias(struct ml_measure *current, struct ml_measure *candidate, double alpha, struct ml_delta *out)
{
    const struct ml_sample *a = &current->s, *b = &candidate->s;
    double *psi, df = (double)ml_measure_units(current) - 1;

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
    out->current = mean_promise(current);
    out->candidate = mean_promise(candidate);
    out->delta = out->candidate - out->current;
    psi = ml_malloc((a->n + 1) * sizeof *psi);
    for (size_t i = 0; i < a->n; i++) {
        psi[i] = promise(b, i) - promise(a, i);
        out->changed += psi[i] != 0;
        psi[i] -= out->delta;
    }
    out->has_interval =
        ml_measure_se(current, ml_measure_squares(current, psi, NULL), false, &out->se, &out->interval_reason);
    free(psi);
    if (!out->has_interval)
        return;
    out->df = df;
    out->identical = out->changed == 0;
    out->test = out->interval = "linear";
    ml_interval_linear(out->delta, out->se, ml_t_quantile(1 - alpha / 2, df), &out->low, &out->high);
    out->p = out->se > 0 ? ml_t_two_sided(out->delta / out->se, df) : out->delta == 0 ? 1 : 1e-300;
}
