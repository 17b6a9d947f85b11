/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What metrics come to in replicates whose thresholds were chosen anew. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/bootstrap.h"
#include "stats/threshold_impl.h"

bool ml_tuned_applies(const struct ml_measure *m, const struct ml_metric *metric)
{
    return m->s.tuned != ML_TUNED_NO && metric->need == ML_NEED_PRED;
}

bool ml_tuned_applies_to_part(const struct ml_measure *m, const struct ml_metric *metric)
{
    return m->part && metric->need == ML_NEED_PRED;
}

void ml_tuned_room(struct room *room, size_t n)
{
    room->w = ml_malloc((n + 1) * sizeof *room->w);
    room->scratch = ml_malloc((n + 1) * sizeof *room->scratch);
    room->counts = ml_malloc((n + 1) * sizeof *room->counts);
}

void ml_tuned_room_free(struct room *room)
{
    free(room->w);
    free(room->scratch);
    free(room->counts);
}

/* The mean cost of the four cells. */
static double cost_of(const struct ml_measure *m, const struct table *t)
{
    const struct ml_costs *costs = m->s.costs;
    int32_t pos = m->s.positive, neg = 1 - pos;

    return (t->hits * ml_sample_cost(costs, pos, pos) + (t->pos - t->hits) * ml_sample_cost(costs, pos, neg) +
               t->alarms * ml_sample_cost(costs, neg, pos) + (t->neg - t->alarms) * ml_sample_cost(costs, neg, neg)) /
           (t->pos + t->neg);
}

/* counts.c goes through the rows for it. */
static double kappa_of(const struct table *t)
{
    double total = t->pos + t->neg, label = t->pos / total, pred = (t->hits + t->alarms) / total;

    return 1 - (t->pos - t->hits + t->alarms) / total / (label * (1 - pred) + (1 - label) * pred);
}

/* A metric of the three counts of each class, or the cost. Weights of order are those of any disagreement where there
 * are two. */
static bool value_of(const struct ml_measure *m, const struct ml_metric *metric, const struct table *t, double *value)
{
    int32_t k = m->s.positive;
    double truth[2], pred[2], hit[2], miss[2], alarm[2], others[2];
    struct class_counts c = { .k = 2,
        .total = t->pos + t->neg,
        .truth = truth,
        .pred = pred,
        .hit = hit,
        .miss = miss,
        .alarm = alarm,
        .others = others };
    struct ml_value v = { .ok = false };

    if (!(c.total > 0))
        return false;
    if (metric->id == ML_METRIC_COST) {
        *value = cost_of(m, t);
        return isfinite(*value);
    }
    if (metric->id == ML_METRIC_KAPPA || metric->id == ML_METRIC_KAPPA_LINEAR ||
        metric->id == ML_METRIC_KAPPA_QUADRATIC) {
        *value = kappa_of(t);
        return isfinite(*value);
    }
    truth[k] = others[1 - k] = t->pos;
    truth[1 - k] = others[k] = t->neg;
    pred[k] = t->hits + t->alarms;
    pred[1 - k] = c.total - pred[k];
    hit[k] = t->hits;
    alarm[1 - k] = miss[k] = t->pos - t->hits;
    alarm[k] = miss[1 - k] = t->alarms;
    hit[1 - k] = t->neg - t->alarms;
    if (!ml_counts_value(&m->s, metric, &c, &v, NULL) || !v.ok)
        return false;
    *value = v.value;
    return true;
}

/* The value with the sample's own predictions, where its threshold isn't chosen on the rows. */
static bool own_value(
    struct ml_measure *m, const struct ml_metric *metric, uint64_t seed, uint64_t r, struct room *room, double *value)
{
    struct weighting by = { room->w, room->counts };
    struct ml_value v;

    ml_measure_draw(m, seed, r, room->scratch, room->counts, room->w);
    if (!ml_measure_value_by(m, metric, &by, &v))
        return false;
    *value = v.value;
    return true;
}

/* Adds `share` times the mean of the r-th replicate of some measures. */
static bool add_mean(struct ml_measure *const *m, size_t n, const struct ml_metric *metric, uint64_t seed,
    size_t replicates, size_t r, double share, struct room *room, double *sum)
{
    for (size_t i = 0; i < n; i++) {
        double value;
        bool chosen = ml_tuned_applies(m[i], metric) || m[i]->part;

        if (!chosen && !room->w)
            ml_tuned_room(room, m[i]->s.n);
        if (!(chosen ? value_of(m[i], metric, &ml_tuned_tables(m[i], seed, replicates)[r], &value)
                     : own_value(m[i], metric, seed, r, room, &value)))
            return false;
        *sum += share * value / (double)n;
    }
    return true;
}

size_t ml_tuned_replicates(struct ml_measure *const *a, size_t n_a, struct ml_measure *const *b, size_t n_b,
    const struct ml_metric *metric, uint64_t seed, size_t replicates, double *out)
{
    struct room room = { NULL, NULL, NULL };
    size_t used = 0;

    for (size_t r = 0; r < replicates; r++) {
        double sum = 0;

        if (add_mean(a, n_a, metric, seed, replicates, r, n_b > 0 ? -1 : 1, &room, &sum) &&
            add_mean(b, n_b, metric, seed, replicates, r, 1, &room, &sum))
            out[used++] = sum;
    }
    ml_tuned_room_free(&room);
    return used;
}

double ml_tuned_deviation(struct ml_measure *const *a, size_t n_a, struct ml_measure *const *b, size_t n_b,
    const struct ml_metric *metric, double *mean)
{
    double *values = ml_malloc((a[0]->part_replicates + 1) * sizeof *values), deviation = 0;
    size_t used = ml_tuned_replicates(a, n_a, b, n_b, metric, 0, a[0]->part_replicates, values);

    *mean = 0;
    for (size_t i = 0; i < used; i++)
        *mean += values[i] / (double)used;
    if (used > 1)
        deviation = ml_boot_deviation(values, used);
    free(values);
    return isfinite(deviation) ? deviation : 0;
}
