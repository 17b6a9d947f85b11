/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of sets of labels, from predicted sets: means over rows, and ratios of sums over rows, classes or both. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

/* How many labels a row has and was given, has only, and was given only. */
struct sizes {
    double hit, miss, alarm;
};

static struct sizes sizes_of(const struct ml_sample *s, size_t i)
{
    size_t k = (size_t)s->classes, hit = 0, miss = 0, alarm = 0;
    const unsigned char *y = s->labels + i * k, *p = s->preds + i * k;

    for (size_t j = 0; j < k; j++) {
        hit += y[j] & p[j];
        miss += y[j] > p[j];
        alarm += p[j] > y[j];
    }
    return (struct sizes){ (double)hit, (double)miss, (double)alarm };
}

static bool is_ratio(const struct ml_metric *metric)
{
    return metric->average != ML_AVERAGE_NONE;
}

/* A row's value of the metrics that are means over the rows. */
static double row_value(const struct ml_sample *s, const struct ml_metric *metric, size_t i)
{
    struct sizes z = sizes_of(s, i);

    if (metric->id == ML_METRIC_ACCURACY)
        return z.miss == 0 && z.alarm == 0;
    if (metric->id == ML_METRIC_HAMMING_LOSS)
        return (z.miss + z.alarm) / s->classes;
    return ml_ratio(metric, z.hit, z.miss, z.alarm).value;
}

static bool mean_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 };

    for (size_t i = 0; i < m->s.n; i++) {
        double w = weight_of(by, i), x = row_value(&m->s, metric, i);

        ml_sum_add(&sum, w * x);
        ml_sum_add(&total, w);
        if (psi)
            psi[i] = x;
    }
    v->value = ml_sum_value(&sum) / ml_sum_value(&total);
    for (size_t i = 0; psi && i < m->s.n; i++)
        psi[i] -= v->value;
    return true;
}

/* A ratio of sums over all rows: psi = (numerator_i - value denominator_i) W / denominator. */
static bool micro_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    struct ml_sum hit = { 0, 0 }, miss = { 0, 0 }, alarm = { 0, 0 }, total = { 0, 0 };
    struct class_ratio r;

    for (size_t i = 0; i < m->s.n; i++) {
        struct sizes z = sizes_of(&m->s, i);
        double w = weight_of(by, i);

        ml_sum_add(&hit, w * z.hit);
        ml_sum_add(&miss, w * z.miss);
        ml_sum_add(&alarm, w * z.alarm);
        ml_sum_add(&total, w);
    }
    r = ml_ratio(metric, ml_sum_value(&hit), ml_sum_value(&miss), ml_sum_value(&alarm));
    v->value = r.value;
    for (size_t i = 0; psi && i < m->s.n; i++) {
        struct sizes z = sizes_of(&m->s, i);

        psi[i] = r.denominator > 0 ? (r.rest * r.gain * z.hit - r.value * (r.truth * z.miss + r.pred * z.alarm)) *
                                         ml_sum_value(&total) / r.denominator
                                   : 0;
    }
    return true;
}

struct class_counts *ml_labels_counts(const struct ml_sample *s, const struct weighting *by)
{
    size_t k = (size_t)s->classes;
    struct class_counts *c = ml_counts_none(s->classes);

    c->every = true;
    c->by = *by;
    for (size_t i = 0; i < s->n; i++) {
        const unsigned char *y = s->labels + i * k, *p = s->preds + i * k;
        double w = weight_of(by, i);

        c->total += w;
        for (size_t j = 0; j < k; j++) {
            c->truth[j] += y[j] ? w : 0;
            c->pred[j] += p[j] ? w : 0;
            c->hit[j] += y[j] && p[j] ? w : 0;
            c->miss[j] += y[j] && !p[j] ? w : 0;
            c->alarm[j] += !y[j] && p[j] ? w : 0;
        }
    }
    return c;
}

void ml_labels_spread(const struct ml_sample *s, const struct cell_psi *cell, double *psi)
{
    size_t k = (size_t)s->classes;

    for (size_t i = 0; i < s->n; i++) {
        const unsigned char *y = s->labels + i * k, *p = s->preds + i * k;

        psi[i] = 0;
        for (size_t j = 0; j < k; j++) {
            if (y[j])
                psi[i] += p[j] ? cell->hit[j] : cell->miss[j];
            else if (p[j])
                psi[i] += cell->alarm[j];
        }
    }
}

/* The mean of the classes' ratios, each with the same share or with that of its labels among all labels. */
static bool class_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    size_t k = (size_t)m->s.classes;
    struct class_counts *c = ml_labels_counts(&m->s, by);
    struct cell_psi cell = { .hit = ml_calloc(3 * k + 1, sizeof *cell.hit) };

    cell.miss = cell.hit + k;
    cell.alarm = cell.miss + k;
    ml_counts_value(&m->s, metric, c, v, psi ? &cell : NULL);
    if (psi)
        ml_labels_spread(&m->s, &cell, psi);
    free(cell.hit);
    ml_counts_free(c);
    return true;
}

static bool has_label(const struct ml_sample *s, size_t i)
{
    return memchr(s->labels + i * (size_t)s->classes, 1, (size_t)s->classes) != NULL;
}

bool ml_labels_within(const struct ml_sample *s, const struct ml_metric *metric, size_t i)
{
    struct sizes z;

    if (metric->average != ML_AVERAGE_MICRO)
        return true;
    if (metric->need == ML_NEED_SCORE)
        return has_label(s, i);
    z = sizes_of(s, i);
    return z.hit > 0 || (z.alarm > 0 && metric->id != ML_METRIC_RECALL) ||
           (z.miss > 0 && metric->id != ML_METRIC_PRECISION);
}

/* Has any row of weight a label at all? */
static bool any_label(const struct ml_sample *s, const struct weighting *by)
{
    for (size_t i = 0; i < s->n; i++)
        if (weight_of(by, i) > 0 && has_label(s, i))
            return true;
    return false;
}

static size_t rows_within(const struct ml_sample *s, const struct ml_metric *metric)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += ml_labels_within(s, metric, i);
    return n;
}

bool ml_labels_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi)
{
    double total = 0;

    for (size_t i = 0; i < m->s.n && !(total > 0); i++)
        total += weight_of(by, i);
    if (!(total > 0))
        return ml_value_none(v, "no rows");
    v->ok = true;
    v->n = metric->average == ML_AVERAGE_MICRO && !by->counts ? rows_within(&m->s, metric) : m->s.n;
    if (metric->need == ML_NEED_SCORE)
        return ml_labels_score_value(m, metric, by, delong, v, psi);
    if (is_ratio(metric) && !any_label(&m->s, by))
        return ml_value_none(v, "no row has a label");
    if (metric->average == ML_AVERAGE_MICRO)
        return micro_value(m, metric, by, v, psi);
    if (metric->average == ML_AVERAGE_MACRO || metric->average == ML_AVERAGE_WEIGHTED)
        return class_value(m, metric, by, v, psi);
    return mean_value(m, metric, by, v, psi);
}

/* The set of predictions as a number (FNV-1a): equal sets have equal ones. */
static double set_number(const struct ml_sample *s, size_t i)
{
    const unsigned char *p = s->preds + i * (size_t)s->classes;
    uint64_t h = UINT64_C(14695981039346656037);

    for (int32_t j = 0; j < s->classes; j++)
        h = (h ^ p[j]) * UINT64_C(1099511628211);
    return (double)(h >> 11);
}

void ml_labels_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    if (metric->need == ML_NEED_SCORE) {
        ml_labels_score_rows(m, metric, out);
        return;
    }
    for (size_t i = 0; i < m->s.n; i++)
        out[i] = metric->average == ML_AVERAGE_NONE || metric->average == ML_AVERAGE_SAMPLES
                     ? row_value(&m->s, metric, i)
                     : set_number(&m->s, i);
}
