/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether two models that aren't identical are the same for a metric: nothing that it looks at differs. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"

struct both {
    uint32_t key; /* of those that are put in order with each other */
    double x, y;
};

static int by_key_and_score(const void *a, const void *b)
{
    const struct both *p = a, *q = b;

    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

static bool one_order(struct both *v, size_t n)
{
    qsort(v, n, sizeof *v, by_key_and_score);
    for (size_t i = 1; i < n; i++)
        if (v[i].key == v[i - 1].key && (v[i].x > v[i - 1].x ? !(v[i].y > v[i - 1].y) : v[i].y != v[i - 1].y))
            return false;
    return true;
}

/* `sets` orders of n scores each, of which one lies `step` behind the other, the sets `apart`. */
static bool same_orders(const struct ml_sample *a, const struct ml_sample *b, size_t sets, size_t apart, size_t n,
    size_t step, struct both *v)
{
    for (size_t s = 0; s < sets; s++) {
        for (size_t i = 0; i < n; i++)
            v[i] = (struct both){ 0, a->score[s * apart + i * step], b->score[s * apart + i * step] };
        if (!one_order(v, n))
            return false;
    }
    return true;
}

static bool same_order(const struct ml_sample *a, const struct ml_sample *b, const struct ml_metric *metric)
{
    size_t width = ml_sample_width(a), cells = a->n * width;
    bool flat = metric->average == ML_AVERAGE_MICRO, ranking = a->task == ML_TASK_RANKING;
    bool rows =
        metric->id == ML_METRIC_LRAP || metric->id == ML_METRIC_COVERAGE_ERROR || metric->id == ML_METRIC_RANKING_LOSS;
    struct both *v = ml_malloc(((flat ? cells : a->n + width) + 1) * sizeof *v);
    bool same;

    for (size_t i = 0; ranking && i < a->n; i++)
        v[i] = (struct both){ a->group ? a->group[i] : (uint32_t)i, a->estimate[i], b->estimate[i] };
    if (ranking)
        same = one_order(v, a->n);
    else if (flat)
        same = same_orders(a, b, 1, 0, cells, 1, v);
    else if (rows)
        same = same_orders(a, b, a->n, width, width, 1, v);
    else
        same = same_orders(a, b, width, 1, a->n, width, v);
    free(v);
    return same;
}

bool ml_delta_same(
    const struct ml_measure *a, const struct ml_measure *b, const struct ml_metric *metric, size_t changed)
{
    const struct ml_sample *s = &a->s, *t = &b->s;
    size_t scores = s->n * ml_sample_width(s) * sizeof *s->score;

    if (metric->need != ML_NEED_PRED && s->score && t->score && memcmp(s->score, t->score, scores) == 0)
        return true;
    if (ml_metric_ranks(metric))
        return same_order(s, t, metric);
    return changed == 0 &&
           metric->id != ML_METRIC_HINGE; /* whose loss is 0 whatever the score is, where that is good */
}
