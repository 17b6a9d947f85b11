/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of sets of labels, from predicted sets: means over rows, and ratios of sums over rows, classes or both. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

/* How many labels a row has, was given, and both. */
struct sizes {
    double truth, pred, both;
};

static struct sizes sizes_of(const struct ml_sample *s, size_t i)
{
    size_t k = (size_t)s->classes, truth = 0, pred = 0, both = 0;
    const unsigned char *y = s->labels + i * k, *p = s->preds + i * k;

    for (size_t j = 0; j < k; j++) {
        truth += y[j];
        pred += p[j];
        both += y[j] & p[j];
    }
    return (struct sizes){ (double)truth, (double)pred, (double)both };
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
        return z.both == z.truth && z.both == z.pred;
    if (metric->id == ML_METRIC_HAMMING_LOSS)
        return (z.truth + z.pred - 2 * z.both) / s->classes;
    return ml_ratio(metric, z.truth, z.pred, z.both).value;
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
    struct ml_sum truth = { 0, 0 }, pred = { 0, 0 }, both = { 0, 0 }, total = { 0, 0 };
    struct class_ratio r;

    for (size_t i = 0; i < m->s.n; i++) {
        struct sizes z = sizes_of(&m->s, i);
        double w = weight_of(by, i);

        ml_sum_add(&truth, w * z.truth);
        ml_sum_add(&pred, w * z.pred);
        ml_sum_add(&both, w * z.both);
        ml_sum_add(&total, w);
    }
    r = ml_ratio(metric, ml_sum_value(&truth), ml_sum_value(&pred), ml_sum_value(&both));
    v->value = r.value;
    for (size_t i = 0; psi && i < m->s.n; i++) {
        struct sizes z = sizes_of(&m->s, i);

        psi[i] = r.denominator > 0
                     ? (r.gain * z.both - r.value * (r.truth * z.truth + r.pred * z.pred + r.both * z.both)) *
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
            *(y[j] ? &c->hit[j] : &c->alarm[j]) += p[j] ? w : 0;
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
                psi[i] += cell->a[j] + (p[j] ? cell->d[j] : 0);
            if (p[j])
                psi[i] += cell->b[j];
        }
    }
}

/* The mean of the classes' ratios, each with the same share or with that of its labels among all labels. */
static bool class_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    struct class_counts *c = ml_labels_counts(&m->s, by);
    struct cell_psi cell = { .a = c->truth, .b = c->pred, .d = c->hit };
    bool weighted = metric->average == ML_AVERAGE_WEIGHTED;
    double labels = 0, sum = 0;

    for (int32_t j = 0; j < c->k; j++)
        labels += c->truth[j];
    for (int32_t j = 0; j < c->k; j++)
        sum +=
            (weighted ? c->truth[j] / labels : 1.0 / c->k) * ml_ratio(metric, c->truth[j], c->pred[j], c->hit[j]).value;
    v->value = fmin(sum, 1);
    for (int32_t j = 0; psi && j < c->k; j++) { /* c's counts turn into influences, one class after the other */
        struct class_ratio r = ml_ratio(metric, c->truth[j], c->pred[j], c->hit[j]);
        double share = weighted ? c->truth[j] / labels : 1.0 / c->k;
        double scale = r.denominator > 0 ? share * c->total / r.denominator : 0;

        c->truth[j] = -r.value * r.truth * scale + (weighted ? (r.value - v->value) * c->total / labels : 0);
        c->pred[j] = -r.value * r.pred * scale;
        c->hit[j] = (r.gain - r.value * r.both) * scale;
    }
    if (psi)
        ml_labels_spread(&m->s, &cell, psi);
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
    return metric->id == ML_METRIC_PRECISION ? z.pred > 0
           : metric->id == ML_METRIC_RECALL  ? z.truth > 0
                                             : z.truth + z.pred > 0;
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
