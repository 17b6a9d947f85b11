/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of sets of labels, from a score for each class: areas and average precision of the classes, and of the order
 * of the classes within each row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

/* Rows of two classes, for rank.c: those of one class, or all (row, class) pairs. */
struct flat {
    struct ml_measure *m;
    int32_t *label;
    double *score, *psi, *weight;
};

static struct flat flat_new(size_t n, bool psi)
{
    struct flat f = { ml_calloc(1, sizeof *f.m), ml_malloc((n + 1) * sizeof *f.label),
        ml_malloc((n + 1) * sizeof *f.score), NULL, NULL };

    if (psi)
        f.psi = ml_malloc((n + 1) * sizeof *f.psi);
    f.m->s = (struct ml_sample){
        .task = ML_TASK_BINARY, .n = n, .classes = 2, .positive = 1, .label = f.label, .score = f.score
    };
    f.m->proba = -1;
    return f;
}

static void flat_free(struct flat *f)
{
    ml_measure_free(f->m);
    free(f->label);
    free(f->score);
    free(f->psi);
    free(f->weight);
}

static bool flat_value(
    struct flat *f, const struct ml_metric *metric, const struct weighting *by, bool delong, struct ml_value *v)
{
    memset(v, 0, sizeof *v);
    return ml_rank_value(f->m, metric, by, delong, v, f->psi);
}

static struct flat one_class(const struct ml_sample *s, size_t j, bool psi)
{
    struct flat f = flat_new(s->n, psi);
    size_t k = (size_t)s->classes;

    for (size_t i = 0; i < s->n; i++) {
        f.label[i] = s->labels[i * k + j];
        f.score[i] = s->score[i * k + j];
    }
    return f;
}

/* The mean over the classes that have a value. */
static bool macro_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi)
{
    const struct ml_sample *s = &m->s;
    double sum = 0, bias = 0;
    size_t least = s->n;

    v->classes = 0;
    if (psi)
        memset(psi, 0, s->n * sizeof *psi);
    for (int32_t j = 0; j < s->classes; j++) {
        struct flat f = one_class(s, (size_t)j, psi != NULL);
        struct ml_value one;

        if (flat_value(&f, metric, by, delong, &one)) {
            v->classes++;
            sum += one.value;
            bias += one.bias;
            least = one.n < least ? one.n : least;
            for (size_t i = 0; psi && i < s->n; i++)
                psi[i] += f.psi[i];
        }
        flat_free(&f);
    }
    if (v->classes == 0)
        return ml_value_none(v,
            metric->id == ML_METRIC_ROC_AUC ? "no class has rows with it and rows without it" : "no row has a label");
    v->value = fmin(sum / v->classes, 1);
    v->bias = bias / v->classes;
    v->n = least;
    for (size_t i = 0; psi && i < s->n; i++)
        psi[i] /= v->classes;
    return true;
}

/* All pairs of a row and a class as rows of two classes. A row's influence is the mean of its pairs'. */
static bool micro_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    const struct ml_sample *s = &m->s;
    size_t k = (size_t)s->classes, n = s->n * k, rows = v->n;
    struct flat f;
    struct weighting pairs = { NULL, by->counts };
    bool ok;

    if (n > UINT32_MAX)
        return ml_value_none(v, "more than 2^32 pairs of row and class");
    f = flat_new(n, psi != NULL);
    if (by->w)
        pairs.w = f.weight = ml_malloc((n + 1) * sizeof *f.weight);
    for (size_t i = 0; i < n; i++) {
        f.label[i] = s->labels[i];
        f.score[i] = s->score[i];
        if (by->w)
            f.weight[i] = by->w[i / k];
    }
    ok = flat_value(&f, metric, &pairs, false, v);
    for (size_t i = 0; ok && psi && i < s->n; i++) {
        psi[i] = 0;
        for (size_t j = 0; j < k; j++)
            psi[i] += f.psi[i * k + j] / (double)k;
    }
    v->n = rows;
    flat_free(&f);
    return ok;
}

struct place {
    double score;
    bool label;
};

static int descending(const void *a, const void *b)
{
    double x = ((const struct place *)a)->score, y = ((const struct place *)b)->score;

    return (x < y) - (x > y);
}

/* Tsoumakas, Katakis & Vlahavas 2010, Mining multi-label data, sect. 7.1: label ranking average precision, ranking loss
 * (ties count as errors, as in scikit-learn) and coverage (from 1, as there) of a row. `place`: room for the classes.
 */
static double order_value(const struct ml_sample *s, enum ml_metric_id id, size_t i, struct place *place)
{
    size_t k = (size_t)s->classes, labels = 0, seen = 0, hits = 0, coverage = 0;
    double precision = 0, errors = 0;

    for (size_t j = 0; j < k; j++) {
        place[j] = (struct place){ s->score[i * k + j], s->labels[i * k + j] };
        labels += place[j].label;
    }
    if (id != ML_METRIC_COVERAGE_ERROR && (labels == 0 || labels == k))
        return id == ML_METRIC_LRAP;
    qsort(place, k, sizeof *place, descending);
    for (size_t at = 0, end; at < k; at = end) {
        size_t own = 0;

        for (end = at; end < k && place[end].score == place[at].score; end++)
            own += place[end].label;
        hits += own;
        seen = end;
        precision += (double)own * (double)hits / (double)seen;
        errors += (double)own * (double)(seen - hits);
        if (own)
            coverage = seen;
    }
    if (id == ML_METRIC_COVERAGE_ERROR)
        return (double)coverage;
    return id == ML_METRIC_LRAP ? precision / (double)labels : errors / (double)labels / (double)(k - labels);
}

static void order_values(const struct ml_sample *s, enum ml_metric_id id, double *out)
{
    struct place *place = ml_malloc(((size_t)s->classes + 1) * sizeof *place);

    for (size_t i = 0; i < s->n; i++)
        out[i] = order_value(s, id, i, place);
    free(place);
}

static bool order_mean(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    size_t n = m->s.n;
    double *x = psi ? psi : ml_malloc((n + 1) * sizeof *x);
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 };

    order_values(&m->s, metric->id, x);
    for (size_t i = 0; i < n; i++) {
        ml_sum_add(&sum, weight_of(by, i) * x[i]);
        ml_sum_add(&total, weight_of(by, i));
    }
    v->value = ml_sum_value(&sum) / ml_sum_value(&total);
    for (size_t i = 0; psi && i < n; i++)
        psi[i] -= v->value;
    if (x != psi)
        free(x);
    return true;
}

bool ml_labels_score_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    bool delong, struct ml_value *v, double *psi)
{
    if (metric->id != ML_METRIC_ROC_AUC && metric->id != ML_METRIC_AVERAGE_PRECISION)
        return order_mean(m, metric, by, v, psi);
    return metric->average == ML_AVERAGE_MICRO ? micro_value(m, metric, by, v, psi)
                                               : macro_value(m, metric, by, delong, v, psi);
}

/* Of areas and average precisions: the sum of the row's placement values in all classes (DeLong & al. 1988). */
void ml_labels_score_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    double *place;

    if (metric->id != ML_METRIC_ROC_AUC && metric->id != ML_METRIC_AVERAGE_PRECISION) {
        order_values(&m->s, metric->id, out);
        return;
    }
    place = ml_malloc((m->s.n + 1) * sizeof *place);
    memset(out, 0, m->s.n * sizeof *out);
    for (int32_t j = 0; j < m->s.classes; j++) {
        struct flat f = one_class(&m->s, (size_t)j, false);

        f.m->s.weight = m->s.weight;
        memset(place, 0, m->s.n * sizeof *place);
        ml_rank_rows(f.m, metric, place);
        for (size_t i = 0; i < m->s.n; i++)
            out[i] += place[i];
        flat_free(&f);
    }
    free(place);
}
