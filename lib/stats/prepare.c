/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sample made ready for measuring: rows, groups and weights that change nothing are gone; what rows are worth. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

#define WEIGHT_LARGE 1e30
#define WEIGHT_SMALL 1e-30
#define PSI_SMALL    1e-60 /* cubes of less vanish */

/* Goes on with `rows` of what is there (n of them), groups numbered anew. */
static void keep_rows(struct ml_measure *m, const uint32_t *rows, size_t n)
{
    struct ml_sample_copy copy;

    ml_sample_take(&m->s, rows, n, &copy);
    ml_sample_release(&m->copy);
    m->copy = copy;
    m->s = copy.s;
}

/* Rows of weight 0 are left out. */
static void drop_weightless(struct ml_measure *m)
{
    uint32_t *rows = ml_malloc((m->s.n + 1) * sizeof *rows);
    size_t kept = 0;

    for (size_t i = 0; i < m->s.n; i++)
        if (m->s.weight[i] > 0)
            rows[kept++] = (uint32_t)i;
    if (kept < m->s.n)
        keep_rows(m, rows, kept);
    free(rows);
}

/* Weights that are all alike are none; enormous or tiny ones are brought to a moderate size by a power of 2. */
static void settle_weights(struct ml_measure *m)
{
    double most = 0, least = INFINITY;
    int e;

    for (size_t i = 0; i < m->s.n; i++) {
        most = fmax(most, m->s.weight[i]);
        least = fmin(least, m->s.weight[i]);
    }
    if (!(least < most)) {
        m->s.weight = NULL;
        return;
    }
    if (most <= WEIGHT_LARGE && most >= WEIGHT_SMALL)
        return;
    frexp(most, &e);
    m->weight = ml_malloc(m->s.n * sizeof *m->weight);
    for (size_t i = 0; i < m->s.n; i++)
        m->weight[i] = fmax(ldexp(m->s.weight[i], -e), DBL_MIN);
    m->s.weight = m->weight;
}

/* A query without a relevant row has no value: its rows are left out. */
static void drop_empty_queries(struct ml_measure *m)
{
    uint32_t *rows = ml_malloc((m->s.n + 1) * sizeof *rows);
    size_t kept;

    ml_queries_drop_empty(&m->s, rows, &kept);
    if (kept < m->s.n)
        keep_rows(m, rows, kept);
    free(rows);
}

/* Counts the groups that are there; one row each is the same as none. Numbers without rows are closed up. */
static void settle_groups(struct ml_measure *m)
{
    unsigned char *seen = ml_calloc((size_t)m->s.groups + 1, 1);
    uint32_t *rows;

    for (size_t i = 0; i < m->s.n; i++)
        if (!seen[m->s.group[i]]) {
            seen[m->s.group[i]] = 1;
            m->groups++;
        }
    free(seen);
    if (m->groups == m->s.n) {
        m->s.group = NULL;
        m->groups = 0;
    } else if (m->groups < m->s.groups) {
        rows = ml_malloc((m->s.n + 1) * sizeof *rows);
        for (size_t i = 0; i < m->s.n; i++)
            rows[i] = (uint32_t)i;
        keep_rows(m, rows, m->s.n);
        free(rows);
    }
}

void ml_measure_centre_psi(const struct ml_measure *m, double *psi)
{
    struct ml_sum sum = { 0, 0 };
    double rest;

    for (size_t i = 0; i < m->s.n; i++)
        ml_sum_add(&sum, m->s.weight[i] * psi[i]);
    rest = ml_sum_value(&sum) / m->total;
    for (size_t i = 0; isfinite(rest) && i < m->s.n; i++)
        psi[i] -= rest;
}

void ml_measure_scale_psi(const struct ml_measure *m, double *psi, int *unit)
{
    double most = 0;
    int e;

    for (size_t i = 0; i < m->s.n; i++)
        most = fmax(most, fabs(m->s.weight[i] * psi[i]));
    if (!(most > 0) || most >= PSI_SMALL)
        return;
    frexp(most, &e);
    for (size_t i = 0; i < m->s.n; i++)
        psi[i] = ldexp(psi[i], -e);
    *unit += e;
}

static atomic_uint_fast64_t serials;

uint64_t ml_measure_serial(void)
{
    return atomic_fetch_add(&serials, 1) + 1;
}

struct ml_measure *ml_measure_new(const struct ml_sample *s, const uint32_t *rows, size_t n_rows)
{
    struct ml_measure *m = ml_calloc(1, sizeof *m);
    struct ml_sum total = { 0, 0 }, squares = { 0, 0 };

    m->s = *s;
    m->serial = ml_measure_serial();
    m->proba = -1;
    if (rows) {
        ml_sample_take(s, rows, n_rows, &m->copy);
        m->s = m->copy.s;
    }
    if (m->s.weight)
        drop_weightless(m);
    if (m->s.task == ML_TASK_RANKING)
        drop_empty_queries(m);
    if (m->s.group)
        settle_groups(m);
    if (m->s.weight)
        settle_weights(m);
    m->total = m->squares = (double)m->s.n;
    if (m->s.weight) {
        for (size_t i = 0; i < m->s.n; i++) {
            ml_sum_add(&total, m->s.weight[i]);
            ml_sum_add(&squares, m->s.weight[i] * m->s.weight[i]);
        }
        m->total = ml_sum_value(&total);
        m->squares = ml_sum_value(&squares);
    }
    return m;
}

void ml_measure_clear(struct ml_measure *m)
{
    ml_sample_release(&m->copy);
    ml_counts_free(m->rows);
    ml_counts_free(m->of_squares);
    ml_counts_free(m->of_cubes);
    if (m->sums != m->rows)
        ml_counts_free(m->sums);
    free(m->weight);
    free(m->order);
    free(m->mark);
    free(m->cells);
    ml_ties_free(m->ties);
    free(m->places);
    free(m->entries);
    free(m->joint);
    free(m->known);
    ml_queries_free(m->queries);
    free(m->tuned);
    free(m->psi);
}

void ml_measure_free(struct ml_measure *m)
{
    if (!m)
        return;
    ml_measure_clear(m);
    free(m);
}

size_t ml_measure_rows(const struct ml_measure *m)
{
    return m->s.n;
}

size_t ml_measure_groups(const struct ml_measure *m)
{
    return m->groups;
}

double ml_measure_kish(const struct ml_measure *m)
{
    return m->squares > 0 ? m->total * m->total / m->squares : 0;
}

bool ml_measure_plain(const struct ml_measure *m)
{
    return !m->s.weight && !m->s.group;
}

size_t ml_measure_units(const struct ml_measure *m)
{
    return m->groups ? m->groups : m->s.n;
}

const uint32_t *ml_measure_order(struct ml_measure *m)
{
    double *errors;

    if (m->order)
        return m->order;
    m->order = ml_malloc((m->s.n + 1) * sizeof *m->order);
    if (m->s.task != ML_TASK_REGRESSION) {
        ml_order(m->s.score, 1, m->s.n, m->order);
        return m->order;
    }
    errors = ml_malloc((m->s.n + 1) * sizeof *errors);
    for (size_t i = 0; i < m->s.n; i++)
        errors[i] = fabs(m->s.truth[i] / 2 - m->s.estimate[i] / 2); /* a difference may overflow */
    ml_order(errors, 1, m->s.n, m->order);
    free(errors);
    return m->order;
}

static bool within(const struct ml_sample *s, const struct ml_metric *metric, size_t i)
{
    return s->task == ML_TASK_MULTILABEL ? ml_labels_within(s, metric, i) : ml_counts_within(s, metric, i);
}

double ml_measure_worth(const struct ml_measure *m, const struct ml_metric *metric, int32_t k)
{
    double most = 0, scale, sum = 0, squares = 0, n;
    size_t groups = 0, classes = (size_t)m->s.classes;
    unsigned char *seen;
    int unit;

    if (ml_measure_plain(m) && m->cells) { /* as many as there are */
        for (size_t i = 0; i < classes * classes; i++) {
            int32_t label = (int32_t)(i / classes), pred = (int32_t)(i % classes);
            sum += metric       ? ml_counts_cell_within(&m->s, metric, label, pred) ? (double)m->cells[i] : 0
                   : label == k ? (double)m->cells[i]
                                : 0;
        }
        return sum;
    }
    for (size_t i = 0; m->s.weight && i < m->s.n; i++) /* theirs alone may be so small that no square is left */
        if (metric ? within(&m->s, metric, i) : m->s.label[i] == k)
            most = fmax(most, m->s.weight[i]);
    frexp(most, &unit);
    scale = ldexp(1, -unit);
    seen = m->s.group ? ml_calloc((size_t)m->s.groups + 1, 1) : NULL;
    for (size_t i = 0; i < m->s.n; i++) {
        double w = m->s.weight ? m->s.weight[i] * scale : 1;

        if (metric ? !within(&m->s, metric, i) : m->s.label[i] != k)
            continue;
        sum += w;
        squares += w * w;
        if (seen && !seen[m->s.group[i]]) {
            seen[m->s.group[i]] = 1;
            groups++;
        }
    }
    free(seen);
    n = squares > 0 ? sum * sum / squares : 0;
    return m->s.group ? fmin(n, (double)groups) : n;
}
