/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of classes that are the mean of a loss a row. */
#include <float.h>
#include <math.h>

#include "stats/measure_impl.h"
#include "stats/sum.h"

#define PROBA_SLACK 0.01 /* how far a row of probabilities may be from 1 */

/* Are the scores probabilities? Looked at once. */
static bool is_proba(struct ml_measure *m)
{
    const struct ml_sample *s = &m->s;
    size_t width = s->task == ML_TASK_MULTICLASS ? (size_t)s->classes : 1;

    if (m->proba >= 0)
        return m->proba;
    m->proba = 0;
    for (size_t i = 0; i < s->n; i++) {
        double sum = 0;

        for (size_t j = 0; j < width; j++) {
            double p = s->score[i * width + j];

            if (p < 0 || p > 1) {
                m->proba_reason = "scores outside [0, 1] are no probabilities";
                return false;
            }
            sum += p;
        }
        if (width > 1 && fabs(sum - 1) > PROBA_SLACK) {
            m->proba_reason = "the scores of a row are off 1 by more than .01";
            return false;
        }
    }
    m->proba = 1;
    return true;
}

/* scikit-learn 1.2: clip to [2^-52, 1 - 2^-52], then divide by the row's sum. */
static double log_loss_of(const struct ml_sample *s, size_t i, size_t *clipped)
{
    double p, sum = 1;

    if (s->task == ML_TASK_BINARY) {
        p = fmin(fmax(s->score[i], DBL_EPSILON), 1 - DBL_EPSILON);
        p = s->label[i] == s->positive ? p : 1 - p;
        *clipped += (s->label[i] == s->positive ? s->score[i] : 1 - s->score[i]) < DBL_EPSILON;
    } else {
        const double *row = s->score + i * (size_t)s->classes;

        sum = 0;
        for (int32_t j = 0; j < s->classes; j++)
            sum += fmin(fmax(row[j], DBL_EPSILON), 1 - DBL_EPSILON);
        p = fmin(fmax(row[s->label[i]], DBL_EPSILON), 1 - DBL_EPSILON);
        *clipped += row[s->label[i]] < DBL_EPSILON;
    }
    return -log(p / sum);
}

/* Equal scores rank the higher class first, as scikit-learn's reversed stable sort does. */
static bool top_k_hit(const struct ml_sample *s, size_t i, int k)
{
    const double *row = s->score + i * (size_t)s->classes;
    int32_t y = s->label[i];
    int before = 0;

    for (int32_t j = 0; j < s->classes; j++)
        before += row[j] > row[y] || (row[j] == row[y] && j > y);
    return before < k;
}

/* A row's loss of the metrics over classes. */
static double class_loss(const struct ml_sample *s, const struct ml_metric *metric, size_t i, size_t *clipped)
{
    double d;

    if (metric->id == ML_METRIC_LOG_LOSS)
        return log_loss_of(s, i, clipped);
    if (metric->id == ML_METRIC_TOP_K)
        return top_k_hit(s, i, (int)metric->x);
    d = s->score[i] - (s->label[i] == s->positive);
    return d * d;
}

bool ml_class_loss_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    size_t clipped = 0;

    if (metric->need == ML_NEED_PROBA && !is_proba(m))
        return false;
    for (size_t i = 0; i < m->s.n; i++)
        out[i] = class_loss(&m->s, metric, i, &clipped);
    return true;
}

bool ml_class_loss_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi)
{
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 };

    if (metric->need == ML_NEED_PROBA && !is_proba(m))
        return ml_value_none(v, m->proba_reason);
    if (metric->id == ML_METRIC_TOP_K && (int)metric->x >= m->s.classes)
        return ml_value_none(v, "k isn't smaller than the number of classes");
    v->clipped = 0;
    for (size_t i = 0; i < m->s.n; i++) {
        double w = weight_of(by, i), loss = class_loss(&m->s, metric, i, &v->clipped);

        ml_sum_add(&sum, w * loss);
        ml_sum_add(&total, w);
        if (psi)
            psi[i] = loss;
    }
    if (!(ml_sum_value(&total) > 0))
        return ml_value_none(v, "no rows");
    v->ok = true;
    v->n = m->s.n;
    v->value = ml_sum_value(&sum) / ml_sum_value(&total);
    for (size_t i = 0; psi && i < m->s.n; i++)
        psi[i] -= v->value;
    return true;
}
