/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What changed class by class, and in the calibration of probabilities. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/comparison_duel.h"
#include "stats/bias.h"
#include "stats/calibration.h"

static bool by_class(const struct duel *d)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    return (d->subject.task == ML_TASK_BINARY || d->subject.task == ML_TASK_MULTICLASS) && a->pred != NULL &&
           b->pred != NULL && d->subject.classes.n <= DUEL_CLASSES_MAX;
}

/* Rows of each class, one class behind the other; start has room for classes + 1. */
static uint32_t *sort_rows(const struct ml_sample *s, size_t classes, size_t *start)
{
    uint32_t *rows = ml_malloc((s->n + 1) * sizeof *rows);
    size_t *at = ml_calloc(classes + 1, sizeof *at);
    memset(start, 0, (classes + 1) * sizeof *start);
    for (size_t i = 0; i < s->n; i++)
        start[s->label[i] + 1]++;
    for (size_t k = 0; k < classes; k++)
        start[k + 1] += start[k];
    for (size_t i = 0; i < s->n; i++)
        rows[start[s->label[i]] + at[s->label[i]]++] = (uint32_t)i;
    free(at);
    return rows;
}

/* The accuracy on the rows of one label is its recall. */
static void measure_rows(
    const struct duel *d, const struct ml_boot *boot, const uint32_t *rows, size_t n, struct ml_delta *out)
{
    const struct ml_metric *accuracy = ml_metric_find("accuracy");
    struct sides s;
    double se_test;
    duel_sides(d, rows, n, &s);
    if (s.r[0].n + s.r[1].n > 2)
        ml_delta_runs(&s.r[0], &s.r[1], accuracy, d->alpha, boot, out, &se_test);
    else
        ml_delta_paired(s.r[0].m[0], s.r[1].m[0], accuracy, d->alpha, boot, out);
    duel_sides_free(&s);
}

void duel_classes_measure(struct duel *d, const struct sides *s)
{
    struct ml_boot boot = { .seed = d->o->seed };
    size_t classes = d->subject.classes.n, *start;
    uint32_t *rows;
    bool counted = s->r[0].n + s->r[1].n == 2;
    if (!by_class(d))
        return;
    d->recalls = ml_calloc(classes + 1, sizeof *d->recalls);
    for (int i = 0; i < 2; i++) {
        d->cells[i] = ml_malloc((classes * classes + 1) * sizeof *d->cells[i]);
        ml_sample_confusion(&d->a[i].s, d->cells[i]);
    }
    for (size_t k = 0; counted && k < classes; k++)
        counted = ml_delta_recall(s->r[0].m[0], s->r[1].m[0], (int32_t)k, d->alpha, &boot, &d->recalls[k]);
    if (counted)
        return;
    start = ml_malloc((classes + 1) * sizeof *start);
    rows = sort_rows(&d->a[1].s, classes, start);
    for (size_t k = 0; k < classes; k++)
        if (start[k + 1] > start[k])
            measure_rows(d, &boot, rows + start[k], start[k + 1] - start[k], &d->recalls[k]);
    free(rows);
    free(start);
}

static bool has_rows(const struct duel *d, size_t label)
{
    size_t classes = d->subject.classes.n;
    for (size_t k = 0; k < classes; k++)
        if (d->cells[1][label * classes + k] > 0)
            return true;
    return false;
}

void duel_classes_add(struct duel *d)
{
    for (size_t k = 0; d->recalls != NULL && k < d->subject.classes.n; k++)
        if (has_rows(d, k))
            ml_differences_add_class(&d->all, d->o, (int32_t)k, &d->recalls[k]);
}

/* Weighted counts of one model: rows predicted a class, and rightly so. */
struct predicted {
    double *all, *right;
    size_t *rows;
};

static void count(const struct ml_sample *s, const uint64_t *cells, size_t classes, struct predicted *p)
{
    p->all = ml_calloc(classes + 1, sizeof *p->all);
    p->right = ml_calloc(classes + 1, sizeof *p->right);
    p->rows = ml_calloc(classes + 1, sizeof *p->rows);
    for (size_t label = 0; label < classes; label++)
        for (size_t k = 0; k < classes; k++)
            p->rows[k] += cells[label * classes + k];
    for (size_t k = 0; k < classes && s->weight == NULL; k++) {
        p->all[k] = (double)p->rows[k];
        p->right[k] = (double)cells[k * classes + k];
    }
    for (size_t i = 0; i < s->n && s->weight != NULL; i++) {
        p->all[s->pred[i]] += s->weight[i];
        p->right[s->pred[i]] += s->pred[i] == s->label[i] ? s->weight[i] : 0;
    }
}

static void release(struct predicted *p)
{
    free(p->all);
    free(p->right);
    free(p->rows);
}

static void pair(cJSON *to, double current, double candidate)
{
    ml_json_set_num(to, "current", current);
    ml_json_set_num(to, "candidate", candidate);
    ml_json_set_num(to, "delta", candidate - current);
}

static void add_class(cJSON *to, const struct duel *d, const struct ml_difference *x, const struct predicted p[2])
{
    double precision[2];
    int32_t k = x->label;
    cJSON *o = cJSON_CreateObject();
    ml_json_set_int(o, "rows", (int64_t)x->d.rows);
    ml_json_set_int(o, "fixed", (int64_t)x->d.fixed);
    ml_json_set_int(o, "broken", (int64_t)x->d.broken);
    cJSON *predicted = ml_json_set_object(o, "predicted");
    ml_json_set_int(predicted, "current", (int64_t)p[0].rows[k]);
    ml_json_set_int(predicted, "candidate", (int64_t)p[1].rows[k]);
    ml_json_set(o, "recall", ml_difference_json(x));
    for (int i = 0; i < 2; i++)
        precision[i] = p[i].all[k] > 0 ? p[i].right[k] / p[i].all[k] : NAN;
    pair(ml_json_set_object(o, "precision"), precision[0], precision[1]);
    cJSON_AddItemToObject(to, d->subject.classes.v[k], o);
}

void duel_classes(cJSON *to, const struct duel *d)
{
    struct predicted p[2];
    char why[80];
    if (d->subject.classes.n > DUEL_CLASSES_MAX) {
        snprintf(why, sizeof why, "%zu classes; at most %zu are compared one by one", d->subject.classes.n,
            DUEL_CLASSES_MAX);
        ml_json_set(to, "classes", NULL);
        ml_json_set_str(to, "classes_reason", why);
    }
    if (!by_class(d))
        return;
    cJSON *classes = ml_json_set_object(to, "classes");
    for (int i = 0; i < 2; i++)
        count(&d->a[i].s, d->cells[i], d->subject.classes.n, &p[i]);
    for (size_t i = 0; i < d->all.n; i++)
        if (d->all.v[i].label >= 0)
            add_class(classes, d, &d->all.v[i], p);
    release(&p[0]);
    release(&p[1]);
}

static void add_change(cJSON *to, const char *name, const struct ml_delta *x)
{
    bool interval = x->ok && x->has_interval;
    cJSON *o = ml_json_set_object(to, name);
    pair(o, x->ok ? x->current : NAN, x->ok ? x->candidate : NAN);
    ml_json_set_num(o, "low", interval ? x->low : NAN);
    ml_json_set_num(o, "high", interval ? x->high : NAN);
    ml_json_set_num(o, "se", interval ? x->se : NAN);
    ml_json_set_num(o, "p", interval ? x->p : NAN);
    if (!interval)
        ml_json_set_str(o, "reason", x->ok ? x->interval_reason : x->reason);
}

/* The slopes of the lines through the log odds; their difference has no interval. */
static void add_slopes(cJSON *to, const struct sides *s)
{
    struct ml_calibration_line line[2];
    const char *reason = NULL;
    bool ok = ml_calibration_fit(s->r[0].m[0], 0, &line[0], &reason) &&
              ml_calibration_fit(s->r[1].m[0], 0, &line[1], &reason);
    cJSON *o = ml_json_set_object(to, "slope");
    pair(o, ok ? line[0].slope : NAN, ok ? line[1].slope : NAN);
    if (!ok)
        ml_json_set_str(o, "reason", reason);
}

cJSON *duel_calibration(const struct duel *d, const struct sides *s)
{
    const struct ml_metric *ece = ml_metric_find("ece");
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    struct ml_measure *current = s->r[0].m[0], *candidate = s->r[1].m[0];
    struct ml_boot boot = { .seed = d->o->seed };
    struct ml_delta x = { 0 };
    cJSON *to = cJSON_CreateObject();
    if ((d->subject.task != ML_TASK_BINARY && d->subject.task != ML_TASK_MULTICLASS) || a->score == NULL ||
        b->score == NULL)
        return to;
    ml_delta_bias(current, candidate, d->alpha, &x);
    if (!x.ok) {
        ml_json_set(to, "calibration", NULL);
        ml_json_set_str(to, "calibration_reason", x.reason);
        return to;
    }
    cJSON *o = ml_json_set_object(to, "calibration");
    add_change(o, "bias", &x);
    if (ece != NULL && duel_applies_to(d, 0, ece) && duel_applies_to(d, 1, ece)) {
        ml_delta_paired(current, candidate, ece, d->alpha, &boot, &x);
        add_change(o, "ece", &x);
    }
    if (d->subject.task == ML_TASK_BINARY)
        add_slopes(o, s);
    return to;
}
