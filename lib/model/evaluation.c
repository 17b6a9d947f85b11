/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measures predictions and writes down what came out. */
#include "model/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/evaluation_curves.h"
#include "model/found.h"
#include "model/ranking.h"
#include "stats/threshold.h"

bool ml_metric_applies(const struct ml_metric *m, const struct ml_sample *s)
{
    if ((m->tasks & (int)s->task) == 0)
        return false;
    if (m->id == ML_METRIC_COST && s->costs == NULL)
        return false;
    if (m->need & ML_NEED_PRED && s->pred == NULL && s->preds == NULL)
        return false;
    return !(m->need & (ML_NEED_SCORE | ML_NEED_PROBA)) || s->score != NULL;
}

const char *ml_metric_direction(const struct ml_metric *m)
{
    return m->direction > 0 ? "higher" : "lower";
}

static cJSON *estimate_json(const struct ml_metric *m, const struct ml_estimate *e)
{
    cJSON *o = cJSON_CreateObject();
    ml_json_set_num(o, "value", e->v.ok ? e->v.value : NAN);
    ml_json_set_num(o, "low", e->has_interval ? e->low : NAN);
    ml_json_set_num(o, "high", e->has_interval ? e->high : NAN);
    ml_json_set_num(o, "se", e->has_se ? e->se : NAN);
    ml_json_set_int(o, "n", (int64_t)e->v.n);
    ml_json_set_str(o, "direction", ml_metric_direction(m));
    ml_json_set_str(o, "interval", e->has_interval ? e->interval : NULL);
    if (!e->v.ok || !e->has_interval)
        ml_json_set_str(o, "reason", !e->v.ok ? e->v.reason : e->interval_reason);
    if (e->v.ok && e->v.classes > 0)
        ml_json_set_int(o, "classes", e->v.classes);
    if (e->v.ok && m->id == ML_METRIC_LOG_LOSS)
        ml_json_set_int(o, "clipped", (int64_t)e->v.clipped);
    if (e->undefined > 0)
        ml_json_set_int(o, "undefined", (int64_t)e->undefined);
    return o;
}

/* Adds `metrics` of all rows (slices NULL) or of a slice. */
static void add_metrics(cJSON *to, const struct ml_subject *subject, const struct ml_sample *s,
    const struct ml_slices *slices, size_t which, const struct ml_tuned_parts *parts,
    const struct ml_evaluation_opts *o)
{
    const struct ml_slice *slice = slices != NULL ? &slices->v[which] : NULL;
    struct ml_sample of = *s;
    if (slice != NULL) /* a threshold that all rows chose */
        of.tuned = ML_TUNED_NO;
    struct ml_measure *m = ml_measure_new(&of, slice != NULL ? slice->rows : NULL, slice != NULL ? slice->n : 0);
    if (parts != NULL)
        ml_tuned_part(m, parts, which);
    if (slice != NULL && s->group != NULL)
        ml_json_set_int(to, "groups", (int64_t)ml_measure_groups(m));
    struct ml_boot boot = { .seed = o->seed };
    cJSON *metrics = ml_json_set_object(to, "metrics");
    for (size_t i = 0; i < subject->n_metrics; i++) {
        const struct ml_metric *metric = subject->metrics[i];
        struct ml_estimate e = { 0 };
        if (!ml_metric_applies(metric, s))
            continue;
        ml_measure_estimate(m, metric, o->confidence, &boot, &e);
        ml_json_set(metrics, metric->name, estimate_json(metric, &e));
    }
    ml_measure_free(m);
}

/* The confusion matrix, owned, or NULL where there is none that could be shown. */
static uint64_t *confusion_of(const struct ml_subject *s, const struct ml_sample *sample)
{
    size_t k = s->classes.n;
    if (sample->pred == NULL || !(s->task & (ML_TASK_BINARY | ML_TASK_MULTICLASS)) || k > ML_CONFUSION_MAX)
        return NULL;
    uint64_t *cells = ml_malloc((k * k + 1) * sizeof *cells);
    ml_sample_confusion(sample, cells);
    return cells;
}

static void add_classes(
    cJSON *to, const struct ml_subject *s, const struct ml_sample *sample, const uint64_t *confusion)
{
    if (s->task == ML_TASK_REGRESSION || s->task == ML_TASK_RANKING) {
        ml_json_set(to, "classes", NULL);
        return;
    }
    uint64_t *count = ml_calloc(s->classes.n + 1, sizeof *count);
    cJSON *classes = ml_json_set_object(to, "classes");
    for (size_t i = 0; confusion != NULL && i < s->classes.n * s->classes.n; i++)
        count[i / s->classes.n] += confusion[i];
    for (size_t i = 0; confusion == NULL && sample->label != NULL && i < sample->n; i++)
        count[sample->label[i]]++;
    for (size_t i = 0; sample->labels != NULL && i < sample->n * s->classes.n; i++)
        count[i % s->classes.n] += sample->labels[i];
    /* Not ml_json_set: names are distinct, and there may be thousands. */
    for (size_t i = 0; i < s->classes.n; i++)
        cJSON_AddItemToObject(classes, s->classes.v[i], cJSON_CreateNumber((double)count[i]));
    free(count);
}

static void add_confusion(cJSON *to, const struct ml_subject *s, const struct ml_sample *sample, const uint64_t *counts)
{
    size_t k = s->classes.n;
    if (s->task == ML_TASK_MULTILABEL) {
        ml_json_set(to, "confusion", NULL);
        ml_json_set_str(to, "confusion_reason", "a row may have several classes");
        return;
    }
    if (sample->pred == NULL || s->task == ML_TASK_REGRESSION)
        return;
    if (k > ML_CONFUSION_MAX) {
        char why[80];
        snprintf(why, sizeof why, "%zu classes; at most %zu are shown", k, ML_CONFUSION_MAX);
        ml_json_set(to, "confusion", NULL);
        ml_json_set_str(to, "confusion_reason", why);
        return;
    }
    cJSON *o = ml_json_set_object(to, "confusion");
    cJSON *labels = ml_json_set_array(o, "labels"), *rows = ml_json_set_array(o, "counts");
    for (size_t i = 0; i < k; i++) {
        cJSON *row = cJSON_CreateArray();
        cJSON_AddItemToArray(labels, cJSON_CreateString(s->classes.v[i]));
        for (size_t j = 0; j < k; j++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)counts[i * k + j]));
        cJSON_AddItemToArray(rows, row);
    }
}

static const struct {
    enum ml_task task;
    const char *name;
} tasks[] = { { ML_TASK_BINARY, "binary" }, { ML_TASK_MULTICLASS, "multiclass" }, { ML_TASK_MULTILABEL, "multilabel" },
    { ML_TASK_REGRESSION, "regression" }, { ML_TASK_RANKING, "ranking" }, { ML_TASK_BINARY, "probabilistic" } };

static const char *task_name(const struct ml_subject *s)
{
    size_t i = 0;
    while (tasks[i].task != s->task)
        i++;
    return s->probabilistic ? "probabilistic" : tasks[i].name;
}

const struct ml_metric *ml_evaluation_metric(const char *name, const char *task)
{
    for (size_t i = 0; task != NULL && i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(tasks[i].name, task) == 0)
            return ml_metric_of(name, tasks[i].task);
    return ml_metric_find(name);
}

/* Options that name columns, beside each the one that says the same in another way. */
static const struct {
    const char *name;
    size_t at, instead;
} options[] = {
#define COLUMN(name, field, other)                                                                                     \
    {                                                                                                                  \
        name, offsetof(struct ml_columns, field), offsetof(struct ml_columns, other)                                   \
    }
    COLUMN("id", id, id),
    COLUMN("label", label, labels),
    COLUMN("prediction", prediction, predictions),
    COLUMN("score", score, scores),
    COLUMN("scores", scores, score),
    COLUMN("labels", labels, label),
    COLUMN("predictions", predictions, prediction),
    COLUMN("separator", separator, separator),
    COLUMN("weight", weight, weight),
    COLUMN("group", group, group),
};

#define OPTIONS (sizeof options / sizeof *options)

static const char **named(struct ml_columns *c, size_t at)
{
    return (const char **)((char *)c + at);
}

static void add_columns(cJSON *e, const struct ml_columns *from)
{
    cJSON *o = cJSON_CreateObject();
    struct ml_columns c = *from;
    for (size_t i = 0; i < OPTIONS; i++)
        if (*named(&c, options[i].at) != NULL)
            ml_json_set_str(o, options[i].name, *named(&c, options[i].at));
    if (c.no_header)
        ml_json_set_bool(o, "no_header", true);
    if (o->child != NULL)
        ml_json_set(e, "columns", o);
    else
        cJSON_Delete(o);
}

void ml_evaluation_columns(const cJSON *evaluation, struct ml_columns *to)
{
    const cJSON *from = ml_json_get(evaluation, "columns");
    struct ml_columns given = *to;
    for (size_t i = 0; i < OPTIONS; i++)
        if (*named(&given, options[i].at) == NULL && *named(&given, options[i].instead) == NULL)
            *named(to, options[i].at) = ml_json_str(from, options[i].name);
    to->no_header = to->no_header || ml_json_true(from, "no_header");
}

static void add_description(cJSON *e, const struct ml_predictions *p, const struct ml_subject *s,
    const struct ml_sample *sample, const uint64_t *confusion, const struct ml_evaluation_opts *o)
{
    ml_json_set_str(e, "task", task_name(s));
    ml_json_set_int(e, "rows", (int64_t)p->n);
    ml_json_set_str(e, "data", p->data.s);
    ml_json_set_str(e, "ids", p->ids.s);
    ml_json_set_num(e, "confidence", o->confidence);
    add_classes(e, s, sample, confusion);
    ml_json_set_str(e, "positive", s->positive >= 0 ? s->classes.v[s->positive] : NULL);
    ml_json_set_num(e, "threshold", s->thresholded ? s->threshold : NAN);
    if (sample->tuned != ML_TUNED_NO)
        ml_json_set_str(e, "threshold_tuned", ml_tuned_name(sample->tuned));
    if (o->cols->cost != NULL)
        ml_json_set_str(e, "costs", o->cols->cost);
    ml_json_set(e, "weights", NULL);
    if (p->weight != NULL) {
        struct ml_measure *m = ml_measure_new(sample, NULL, 0);
        cJSON *w = ml_json_set_object(e, "weights");
        ml_json_set_str(w, "column", o->cols->weight);
        ml_json_set_num(w, "effective_rows", ml_measure_kish(m));
        ml_measure_free(m);
    }
    ml_json_set(e, "groups", NULL);
    if (p->group.of != NULL)
        ml_json_set_int(e, "groups", (int64_t)p->group.names.n);
    if (s->task == ML_TASK_RANKING)
        ml_ranking_queries(e, sample);
    ml_json_set_int(e, "seed", (int64_t)o->seed);
    cJSON *predictions = ml_json_set_object(e, "predictions");
    ml_json_set_str(predictions, "digest", p->digest.s);
    ml_json_set_int(predictions, "size", (int64_t)p->size);
    if (p->files.n > 1)
        ml_json_set_int(predictions, "files", (int64_t)p->files.n);
    add_columns(e, o->cols);
}

int ml_evaluation_build(const struct ml_predictions *p, const struct ml_subject *s, const struct ml_answers *a,
    const struct ml_evaluation_opts *o, cJSON **out, struct ml_err *err)
{
    struct ml_slices slices = { 0 };
    int rc = ml_slices_find(p, &slices, err);
    *out = NULL;
    cJSON *found = NULL;
    if (rc == 0 && o->find_slices)
        rc = ml_found_slices(p, a, 1 - o->confidence, &found, err);
    if (rc == 0) {
        cJSON *e = *out = cJSON_CreateObject();
        uint64_t *confusion = confusion_of(s, &a->s);
        add_description(e, p, s, &a->s, confusion, o);
        add_metrics(e, s, &a->s, NULL, 0, NULL, o);
        struct ml_tuned_parts *parts = a->s.tuned != ML_TUNED_NO ? ml_slices_draw(&slices, &a->s, o->seed) : NULL;
        cJSON *by_slice = ml_json_set_object(e, "slices");
        for (size_t i = 0; i < slices.n; i++) {
            cJSON *one = ml_slice_json(&slices.v[i]);
            add_metrics(one, s, &a->s, &slices, i, parts, o);
            cJSON_AddItemToObject(by_slice, slices.v[i].name, one);
        }
        ml_tuned_parts_free(parts);
        if (found != NULL)
            ml_json_set(e, "found_slices", found);
        add_confusion(e, s, &a->s, confusion);
        free(confusion);
        if (a->s.score != NULL && (s->probabilistic || (o->curves && s->task & (ML_TASK_BINARY | ML_TASK_MULTICLASS))))
            ml_evaluation_add_calibration(e, &a->s, o->confidence);
        if (a->s.score != NULL && o->curves && s->task == ML_TASK_BINARY)
            ml_evaluation_add_curves(e, &a->s);
    }
    ml_slices_release(&slices);
    return rc;
}
