/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of order for several classes: each class against the rest, or the pairs of classes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/order.h"
#include "stats/rank_impl.h"
#include "stats/sum.h"

#define ONE_CLASS "the labels are of one class only"

/* The classes that rows are labelled with. */
struct present {
    size_t *rows;
    double *weight, total;
    int32_t classes;
    size_t smallest; /* rows of the smallest one */
};

static void find_present(const struct ml_sample *s, const struct weighting *by, struct present *p)
{
    p->rows = ml_calloc((size_t)s->classes + 1, sizeof *p->rows);
    p->weight = ml_calloc((size_t)s->classes + 1, sizeof *p->weight);
    p->total = 0;
    p->classes = 0;
    p->smallest = s->n;
    for (size_t i = 0; i < s->n; i++) {
        double w = weight_of(by, i);

        p->rows[s->label[i]] += w > 0;
        p->weight[s->label[i]] += w;
    }
    for (int32_t k = 0; k < s->classes; k++) {
        p->classes += p->rows[k] > 0;
        p->total += p->weight[k];
        if (p->rows[k] > 0 && p->rows[k] < p->smallest)
            p->smallest = p->rows[k];
    }
}

static void free_present(struct present *p)
{
    free(p->rows);
    free(p->weight);
}

/* sqrt(n / (n - 1)), which makes a mean of squares a variance. */
static double unbiased(bool delong, size_t n)
{
    return delong && n > 1 ? sqrt((double)n / (double)(n - 1)) : 1;
}

/* Room for one class's ranking. */
struct room {
    uint32_t *order;
    unsigned char *mark;
    double *own;
};

static struct room make_room(size_t n)
{
    struct room t = { ml_malloc((n + 1) * sizeof *t.order), ml_malloc(n + 1), ml_malloc((n + 1) * sizeof *t.own) };

    return t;
}

static void free_room(struct room *t)
{
    free(t->order);
    free(t->mark);
    free(t->own);
}

static struct ranking rank_class(const struct ml_sample *s, const struct weighting *by, int32_t k, struct room *t)
{
    struct ranking r = { s, by, t->order, t->mark, s->score + k, (size_t)s->classes, k, 0, 0, 0, 0 };

    ml_order(r.score, r.stride, s->n, t->order);
    ml_rank_mark(&r, t->mark);
    ml_rank_sides(&r);
    return r;
}

/* One class's value, of which `share` goes into the mean, as its influences do into psi. */
static double one_class(
    const struct ranking *r, const struct ml_metric *metric, double share, bool delong, struct room *t, double *psi)
{
    double value;

    if (metric->id == ML_METRIC_ROC_AUC) {
        value = ml_rank_area(r, psi ? t->own : NULL);
        if (psi)
            ml_rank_add_area_psi(r, value, t->own, share, delong, psi);
        return value;
    }
    if (psi && delong) { /* weighted, the value is the mean of all rows' own precisions, and sums are all it takes */
        value = ml_rank_precision_without(r, t->own);
        if (metric->average != ML_AVERAGE_WEIGHTED)
            ml_rank_add_without(r, value, t->own, share, psi);
        for (size_t i = 0; metric->average == ML_AVERAGE_WEIGHTED && i < r->s->n; i++)
            psi[i] += t->own[i];
        return value;
    }
    value = ml_rank_precision(r, psi ? t->own : NULL);
    for (size_t i = 0; psi && i < r->s->n; i++)
        psi[i] += share * t->own[i];
    return value;
}

/* Mean over the classes present of each class against the rest (scikit-learn's multi_class="ovr"): alike, or by the
 * classes' shares (Provost & Domingos 2000). */
bool ml_rank_ovr(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi)
{
    const struct ml_sample *s = &m->s;
    bool weighted = metric->average == ML_AVERAGE_WEIGHTED;
    struct room t = make_room(s->n);
    struct ml_sum sum = { 0, 0 };
    struct present p;
    bool without = psi && delong && metric->id == ML_METRIC_AVERAGE_PRECISION;
    double *value;

    find_present(s, by, &p);
    v->classes = p.classes;
    v->n = p.smallest;
    v->ok = p.classes > 1;
    value = ml_calloc((size_t)s->classes + 1, sizeof *value);
    if (psi)
        memset(psi, 0, s->n * sizeof *psi);
    for (int32_t k = 0; k < s->classes && v->ok; k++) {
        double share = weighted ? p.weight[k] / p.total : 1.0 / p.classes;

        if (p.rows[k] == 0)
            continue;
        struct ranking r = rank_class(s, by, k, &t);
        value[k] = one_class(&r, metric, share, delong, &t, psi);
        ml_sum_add(&sum, share * value[k]);
        v->n = r.neg_rows < v->n ? r.neg_rows : v->n;
    }
    v->value = fmin(ml_sum_value(&sum), 1);
    for (size_t i = 0; psi && weighted && !without && i < s->n; i++)
        psi[i] += (value[s->label[i]] - v->value) * unbiased(delong, s->n);
    if (without && weighted)
        for (size_t i = 0; i < s->n; i++)
            psi[i] -= v->value;
    if (without)
        v->bias = ml_rank_centre(psi, s->n);
    free(value);
    free_present(&p);
    free_room(&t);
    return v->ok || ml_value_none(v, ONE_CLASS);
}

double ml_rank_class_rows(const struct ml_measure *m, const struct ml_metric *metric)
{
    const struct ml_sample *s = &m->s;
    size_t k = (size_t)s->classes, *rows = ml_calloc(k + 1, sizeof *rows);
    double present = 0, inverse = 0;

    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; s->labels && j < k; j++)
            rows[j] += s->labels[i * k + j];
    for (size_t i = 0; !s->labels && i < s->n; i++)
        rows[s->label[i]]++;
    for (size_t j = 0; j < k; j++) {
        present += rows[j] > 0;
        inverse += rows[j] > 0 ? 1 / (double)rows[j] : 0;
    }
    free(rows);
    return metric->average == ML_AVERAGE_WEIGHTED ? (double)s->n / present : present / inverse;
}

void ml_rank_ovr_places(struct ml_measure *m, const struct weighting *by, double *out)
{
    const struct ml_sample *s = &m->s;
    struct room t = make_room(s->n);
    struct present p;

    find_present(s, by, &p);
    memset(out, 0, s->n * sizeof *out);
    for (int32_t k = 0; k < s->classes && p.classes > 1; k++) {
        if (p.rows[k] == 0)
            continue;
        struct ranking r = rank_class(s, by, k, &t);
        ml_rank_area(&r, t.own);
        for (size_t i = 0; i < s->n; i++)
            out[i] += t.own[i];
    }
    free_present(&p);
    free_room(&t);
}

/* Pairs of classes. `share` is what the area of class a against class b has in the mean. */
struct pairs {
    const struct ml_sample *s;
    const struct weighting *by;
    struct present *p;
    bool weighted;
    double *below, *tie; /* weight of each class below the tie group, and in it */
    struct ml_sum *area;
    double *own;  /* a row's placements times their shares */
    double *mean; /* sum of the areas that a class is part of, halved */
};

static double share_of(const struct pairs *q, int32_t a, int32_t b)
{
    double classes = q->p->classes;

    if (a == b || q->p->rows[b] == 0)
        return 0;
    return q->weighted ? (q->p->weight[a] + q->p->weight[b]) / q->p->total / (2 * (classes - 1))
                       : 1 / (classes * (classes - 1));
}

/* The areas of class a against each other one, in one pass over the rows sorted by the score of a. */
static void walk_pairs(struct pairs *q, int32_t a, const struct room *t)
{
    const struct ml_sample *s = q->s;
    size_t k = (size_t)s->classes;

    memset(q->below, 0, k * sizeof *q->below);
    memset(q->tie, 0, k * sizeof *q->tie);
    memset(q->area, 0, k * sizeof *q->area);
    for (size_t at = 0, end; at < s->n; at = end) {
        double pos = 0, above;

        for (end = at; end == at || !(t->mark[end - 1] & ML_MARK_LAST); end++)
            q->tie[s->label[t->order[end]]] += weight_of(q->by, t->order[end]);
        for (int32_t b = 0; b < s->classes && q->tie[a] > 0; b++) {
            double below = q->below[b] + q->tie[b] / 2, share = share_of(q, a, b);

            if (share == 0)
                continue;
            ml_sum_add(&q->area[b], q->tie[a] * below);
            pos += share * (below / q->p->weight[b]);
        }
        above = (q->p->weight[a] - q->below[a] - q->tie[a] / 2) / q->p->weight[a];
        for (size_t i = at; i < end; i++) {
            int32_t y = s->label[t->order[i]];

            q->own[t->order[i]] = y == a ? pos : share_of(q, a, y) * above;
        }
        for (size_t i = at; i < end; i++) {
            int32_t y = s->label[t->order[i]];

            q->below[y] += q->tie[y];
            q->tie[y] = 0;
        }
    }
}

/* Adds the areas of class a, and their influences. */
static void add_pairs(struct pairs *q, int32_t a, bool delong, struct ml_sum *sum, double *psi)
{
    const struct ml_sample *s = q->s;
    double *centre = q->tie, all = 0; /* zeroed by the walk */

    for (int32_t b = 0; b < s->classes; b++) {
        double share = share_of(q, a, b), area;

        if (share == 0)
            continue;
        area = ml_sum_value(&q->area[b]) / q->p->weight[a] / q->p->weight[b];
        ml_sum_add(sum, share * area);
        centre[b] = share * area;
        all += share * area;
        q->mean[a] += area / 2;
        q->mean[b] += area / 2;
    }
    centre[a] = all;
    for (size_t i = 0; psi && i < s->n; i++) {
        int32_t y = s->label[i];

        if (q->p->rows[y] > 0)
            psi[i] += (q->own[i] - centre[y]) * (q->p->total / q->p->weight[y]) * unbiased(delong, q->p->rows[y]);
    }
}

/* Hand & Till 2001, Machine Learning 45, 171, eq. 7: the mean over all pairs of classes of the two areas between them,
 * on the rows of the pair; weighted: by the pair's share of the rows (scikit-learn's multi_class="ovo"). */
bool ml_rank_ovo(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi)
{
    const struct ml_sample *s = &m->s;
    size_t k = (size_t)s->classes + 1;
    struct room t = make_room(s->n);
    struct ml_sum sum = { 0, 0 };
    struct present p;
    struct pairs q = { .s = s, .by = by, .p = &p, .weighted = metric->average == ML_AVERAGE_WEIGHTED, .own = t.own };

    find_present(s, by, &p);
    q.below = ml_calloc(3 * k, sizeof *q.below);
    q.tie = q.below + k;
    q.mean = q.tie + k;
    q.area = ml_calloc(k, sizeof *q.area);
    v->classes = p.classes;
    v->n = p.smallest;
    v->ok = p.classes > 1;
    if (psi)
        memset(psi, 0, s->n * sizeof *psi);
    for (int32_t a = 0; a < s->classes && v->ok; a++) {
        if (p.rows[a] == 0)
            continue;
        rank_class(s, by, a, &t);
        walk_pairs(&q, a, &t);
        add_pairs(&q, a, delong, &sum, psi);
    }
    v->value = fmin(ml_sum_value(&sum), 1);
    for (size_t i = 0; psi && q.weighted && i < s->n; i++)
        psi[i] += (q.mean[s->label[i]] / (p.classes - 1) - v->value) * unbiased(delong, s->n);
    free(q.below);
    free(q.area);
    free_present(&p);
    free_room(&t);
    return v->ok || ml_value_none(v, ONE_CLASS);
}
