/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of rankings: a value for each query, and their mean. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

/* Rows by query, in each by descending score. */
struct ml_queries {
    size_t n;
    size_t *start; /* n + 1 */
    uint32_t *order;
    double *discount; /* sums of 1 / log2(rank + 1) of the first i ranks */
};

void ml_queries_drop_empty(const struct ml_sample *s, uint32_t *rows, size_t *kept)
{
    unsigned char *seen = ml_calloc((size_t)s->groups + 1, 1);

    *kept = 0;
    for (size_t i = 0; s->group && i < s->n; i++)
        if (s->truth[i] > 0)
            seen[s->group[i]] = 1;
    for (size_t i = 0; i < s->n; i++)
        if (s->group ? seen[s->group[i]] : s->truth[i] > 0)
            rows[(*kept)++] = (uint32_t)i;
    free(seen);
}

void ml_queries_free(struct ml_queries *q)
{
    if (!q)
        return;
    free(q->start);
    free(q->order);
    free(q->discount);
    free(q);
}

static size_t query_of(const struct ml_sample *s, size_t row)
{
    return s->group ? s->group[row] : row;
}

static const struct ml_queries *queries_of(struct ml_measure *m)
{
    const struct ml_sample *s = &m->s;
    struct ml_queries *q = m->queries;
    struct ml_sum sum = { 0, 0 };
    uint32_t *order;
    size_t longest = 0;

    if (q)
        return q;
    q = m->queries = ml_calloc(1, sizeof *q);
    q->n = s->group ? s->groups : s->n;
    q->start = ml_calloc(q->n + 2, sizeof *q->start);
    q->order = ml_malloc((s->n + 1) * sizeof *q->order);
    order = ml_malloc((s->n + 1) * sizeof *order);
    ml_order(s->estimate, 1, s->n, order);
    for (size_t i = 0; i < s->n; i++)
        q->start[query_of(s, i) + 2]++;
    for (size_t k = 2; k < q->n + 2; k++) {
        longest = q->start[k] > longest ? q->start[k] : longest;
        q->start[k] += q->start[k - 1];
    }
    for (size_t i = s->n; i-- > 0;)
        q->order[q->start[query_of(s, order[i]) + 1]++] = order[i];
    free(order);
    q->discount = ml_malloc((longest + 1) * sizeof *q->discount);
    for (size_t i = 0; i <= longest; i++) {
        q->discount[i] = ml_sum_value(&sum);
        ml_sum_add(&sum, 1 / log2((double)i + 2));
    }
    return q;
}

/* Rows of equal score: ranks before + 1 .. before + n, of which `relevant` rows are relevant, as are `found` before. */
struct tie {
    size_t before, n, relevant, found;
    double gain; /* sum of the relevance */
};

/* Of the ranks up to k, those in this tie. */
static size_t within(const struct tie *t, size_t k)
{
    return t->before >= k ? 0 : k - t->before < t->n ? k - t->before : t->n;
}

/* Sum of the precision at the relevant rows, expected over all orders of the tie. */
static double tie_precision(const struct tie *t, size_t k)
{
    double share = (double)t->relevant / (double)t->n, sum = 0;
    double others = t->n > 1 ? ((double)t->relevant - 1) / ((double)t->n - 1) : 0;

    for (size_t j = 0; t->relevant > 0 && j < within(t, k); j++)
        sum += share * ((double)t->found + (double)j * others + 1) / (double)(t->before + j + 1);
    return sum;
}

/* Expected 1 / rank of the first relevant row of the first tie that has one. */
static double tie_reciprocal(const struct tie *t, size_t k)
{
    double none = 1, sum = 0; /* none: no relevant row among the first j */

    for (size_t j = 0; j < within(t, k) && none > 0; j++) {
        double here = (double)t->relevant / (double)(t->n - j);

        here = here < 1 ? here : 1;
        sum += none * here / (double)(t->before + j + 1);
        none *= 1 - here;
    }
    return sum;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x < y) - (x > y);
}

/* Discounted gain of the best order; relevances divided by `unit`. */
static double ideal_gain(
    const struct ml_sample *s, const struct ml_queries *q, size_t query, size_t k, double unit, double *scratch)
{
    size_t from = q->start[query], n = q->start[query + 1] - from, kept = 0;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        if (s->truth[q->order[from + i]] > 0)
            scratch[kept++] = s->truth[q->order[from + i]] / unit;
    qsort(scratch, kept, sizeof *scratch, descending);
    for (size_t i = 0; i < kept && i < k; i++)
        sum += scratch[i] * (q->discount[i + 1] - q->discount[i]);
    return sum;
}

/* One query's value; it has a relevant row. */
static double query_value(const struct ml_sample *s, const struct ml_queries *q, const struct ml_metric *metric,
    size_t query, double *scratch)
{
    size_t from = q->start[query], n = q->start[query + 1] - from, k = metric->x > 0 ? (size_t)metric->x : n;
    size_t relevant = 0, best;
    double sum = 0, unit = 0;
    struct tie t = { 0 };

    for (size_t i = 0; i < n; i++) {
        relevant += s->truth[q->order[from + i]] > 0;
        unit = fmax(unit, s->truth[q->order[from + i]]);
    }
    for (size_t i = 0; i < n && t.before < k; i += t.n) {
        double score = s->estimate[q->order[from + i]];

        t = (struct tie){ .before = i, .found = t.found + t.relevant };
        for (; i + t.n < n && s->estimate[q->order[from + i + t.n]] == score; t.n++) {
            t.relevant += s->truth[q->order[from + i + t.n]] > 0;
            t.gain += s->truth[q->order[from + i + t.n]] / unit;
        }
        if (metric->id == ML_METRIC_NDCG)
            sum += t.gain / (double)t.n * (q->discount[i + within(&t, k)] - q->discount[i]);
        else if (metric->id == ML_METRIC_MAP)
            sum += tie_precision(&t, k);
        else if (metric->id != ML_METRIC_MRR)
            sum += (double)t.relevant * ((double)within(&t, k) / (double)t.n);
        else if (t.found == 0 && t.relevant > 0)
            sum = tie_reciprocal(&t, k);
    }
    best = relevant < k ? relevant : k;
    switch (metric->id) {
    case ML_METRIC_NDCG:
        return fmin(sum / ideal_gain(s, q, query, k, unit, scratch), 1);
    case ML_METRIC_MAP:
        return sum / (double)best;
    case ML_METRIC_QUERY_PRECISION:
        return sum / (double)k;
    case ML_METRIC_QUERY_RECALL:
        return sum / (double)relevant;
    default:
        return sum;
    }
}

/* Values of all queries. */
static double *values_of(struct ml_measure *m, const struct ml_metric *metric)
{
    const struct ml_queries *q = queries_of(m);
    double *out = ml_malloc((q->n + 1) * sizeof *out), *scratch = ml_malloc((m->s.n + 1) * sizeof *scratch);

    for (size_t i = 0; i < q->n; i++)
        out[i] = query_value(&m->s, q, metric, i, scratch);
    free(scratch);
    return out;
}

void ml_query_values(const struct ml_sample *s, const struct ml_metric *metric, double *out)
{
    struct ml_measure m = { .s = *s };
    const struct ml_queries *q = queries_of(&m);
    double *scratch = ml_malloc((s->n + 1) * sizeof *scratch);

    for (size_t i = 0; i < q->n; i++) {
        bool any = false;

        for (size_t k = q->start[i]; k < q->start[i + 1]; k++)
            any = any || s->truth[q->order[k]] > 0;
        out[i] = any ? query_value(s, q, metric, i, scratch) : NAN;
    }
    free(scratch);
    ml_queries_free(m.queries);
}

bool ml_query_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    const struct ml_queries *q = queries_of(m);
    const struct ml_sample *s = &m->s;
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 }, rows = { 0, 0 };
    double *values, weight;

    for (size_t i = 0; s->weight && i < s->n; i++)
        if (s->weight[i] != s->weight[q->order[q->start[query_of(s, i)]]])
            return ml_value_none(v, "the rows of a query differ in weight");
    values = values_of(m, metric);
    for (size_t i = 0; i < q->n; i++) {
        double w = weight_of(by, q->order[q->start[i]]);

        ml_sum_add(&sum, w * values[i]);
        ml_sum_add(&total, w);
        ml_sum_add(&rows, w * (double)(q->start[i + 1] - q->start[i]));
    }
    weight = ml_sum_value(&total);
    v->n = q->n;
    v->ok = weight > 0;
    if (v->ok)
        v->value = ml_sum_value(&sum) / weight;
    /* What a query adds stands at its first row; influences are per row of all. */
    for (size_t i = 0; v->ok && psi && i < s->n; i++)
        psi[i] = 0;
    for (size_t i = 0; v->ok && psi && i < q->n; i++)
        psi[q->order[q->start[i]]] = (values[i] - v->value) * (ml_sum_value(&rows) / weight);
    free(values);
    return v->ok ? true : ml_value_none(v, "no rows");
}

void ml_query_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    const struct ml_queries *q = queries_of(m);
    double *values = values_of(m, metric);
    uint32_t *first = ml_malloc((q->n + 1) * sizeof *first);

    for (size_t i = 0; i < q->n; i++)
        first[i] = UINT32_MAX;
    for (size_t i = 0; i < m->s.n; i++) {
        size_t k = query_of(&m->s, i);

        out[i] = first[k] == UINT32_MAX ? values[k] : 0;
        first[k] = 0;
    }
    free(first);
    free(values);
}
