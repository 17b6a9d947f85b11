/* SPDX-License-Identifier: GPL-3.0-or-later */
/* More than one candidate: each against the current model, and all among each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/comparison_impl.h"
#include "model/evaluation.h"
#include "stats/best.h"

/* Which of the answers is candidate i: the first, then the further ones. */
static size_t answers_of(const struct duel *d, size_t i)
{
    return i == 0 ? 1 : d->n - d->field->rivals.n + i - 1;
}

void duel_rivals_measure(struct duel *d)
{
    struct ml_measure *current;
    if (d->field->rivals.n == 0)
        return;
    current = ml_measure_new(&d->a[0].s, NULL, 0);
    for (size_t r = 1; r <= d->field->rivals.n; r++) {
        struct ml_measure *m = ml_measure_new(&d->a[answers_of(d, r)].s, NULL, 0);
        for (size_t i = 0; i < d->subject.n_metrics; i++) {
            const struct ml_metric *metric = d->subject.metrics[i];
            struct ml_boot boot = { .seed = d->o->seed, .comparisons = d->primary };
            struct ml_delta delta = { 0 };
            if (!duel_applies_to(d, 0, metric) || !duel_applies_to(d, answers_of(d, r), metric))
                continue;
            ml_delta_paired(current, m, metric, d->alpha, &boot, &delta);
            ml_differences_add(
                &d->all, d->o, metric, NULL, &delta, delta.ok ? delta.current : NAN, delta.ok ? delta.candidate : NAN)
                ->rival = r;
        }
        ml_measure_free(m);
    }
    ml_measure_free(current);
}

static bool all_have(const struct duel *d, const struct ml_metric *m)
{
    for (size_t i = 0; i <= d->field->rivals.n; i++)
        if (!duel_applies_to(d, answers_of(d, i), m))
            return false;
    return true;
}

/* The first primary metric; the policy's stand in its order. */
static const struct ml_metric *ranked_by(const struct duel *d)
{
    for (size_t i = 0; i < d->subject.n_metrics; i++) {
        const struct ml_metric *m = d->subject.metrics[i];
        if (ml_difference_primary(d->o, m->name) && all_have(d, m))
            return m;
    }
    return NULL;
}

/* One candidate's place. */
struct place {
    size_t which;
    double value, oriented, p;
};

static int by_value(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->oriented != y->oriented)
        return x->oriented > y->oriented ? -1 : 1;
    return (x->which > y->which) - (x->which < y->which);
}

static struct place *rank(const struct duel *d, const struct ml_metric *metric)
{
    size_t k = 1 + d->field->rivals.n;
    struct place *place = ml_calloc(k, sizeof *place);
    struct ml_measure **m = ml_malloc(k * sizeof(struct ml_measure *));
    struct ml_delta *pair = ml_calloc(k * k, sizeof *pair);
    double *p = ml_malloc(k * sizeof *p);
    for (size_t i = 0; i < k; i++)
        m[i] = ml_measure_new(&d->a[answers_of(d, i)].s, NULL, 0);
    for (size_t i = 0; i < k; i++)
        for (size_t j = i + 1; j < k; j++) {
            struct ml_boot boot = { .seed = d->o->seed, .comparisons = k - 1 };
            ml_delta_paired(m[i], m[j], metric, d->alpha, &boot, &pair[i * k + j]);
        }
    ml_best(pair, k, metric->direction, p);
    for (size_t i = 0; i < k; i++) {
        struct ml_value v;
        ml_measure_value(m[i], metric, &v);
        place[i] = (struct place){ i, v.ok ? v.value : NAN, v.ok ? metric->direction * v.value : -INFINITY,
            v.ok ? p[i] : NAN };
        ml_measure_free(m[i]);
    }
    qsort(place, k, sizeof *place, by_value);
    free(m);
    free(pair);
    free(p);
    return place;
}

static const struct ml_predictions *predictions_of(const struct duel *d, size_t i)
{
    return i == 0 ? d->p[1] : d->field->rivals.p[i - 1];
}

static void add_candidate(cJSON *list, const struct duel *d, const struct place *x, size_t rank)
{
    const struct ml_predictions *p = predictions_of(d, x->which);
    cJSON *o = cJSON_CreateObject(), *metrics;
    ml_json_set_str(o, "reference", p->name);
    ml_json_set_str(o, "predictions", p->digest.s);
    ml_json_set_bool(o, "first", x->which == 0);
    ml_json_set_int(o, "rank", (int64_t)rank);
    ml_json_set_num(o, "value", x->value);
    ml_json_set_num(o, "p_best", x->p);
    ml_json_set_bool(o, "best", x->p > d->alpha);
    metrics = ml_json_set_object(o, "metrics");
    for (size_t i = 0; i < d->all.n; i++) {
        const struct ml_difference *m = &d->all.v[i];
        if (m->rival == x->which && m->slice == NULL && m->label < 0)
            cJSON_AddItemToObject(metrics, m->metric->name, ml_difference_json(m));
    }
    cJSON_AddItemToArray(list, o);
}

void duel_rivals(cJSON *to, const struct duel *d)
{
    const struct ml_metric *metric;
    struct place *place;
    size_t k = 1 + d->field->rivals.n;
    if (d->field->rivals.n == 0)
        return;
    cJSON *ranking = ml_json_set_object(to, "ranking");
    metric = ranked_by(d);
    if (metric == NULL) {
        ml_json_set(ranking, "metric", NULL);
        ml_json_set_str(ranking, "reason", "no primary metric is common to all candidates");
        return;
    }
    ml_json_set_str(ranking, "metric", metric->name);
    ml_json_set_str(ranking, "direction", ml_metric_direction(metric));
    cJSON *best = ml_json_set_array(ranking, "best"), *list = ml_json_set_array(to, "candidates");
    place = rank(d, metric);
    for (size_t i = 0, shared = 1; i < k; i++) {
        if (i == 0 || place[i].value != place[i - 1].value)
            shared = i + 1;
        if (place[i].p > d->alpha)
            cJSON_AddItemToArray(best, cJSON_CreateString(predictions_of(d, place[i].which)->name));
        add_candidate(list, d, &place[i], shared);
    }
    free(place);
}
