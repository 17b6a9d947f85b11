/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What changed class by class, and in the calibration of probabilities. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "model/comparison_impl.h"
#include "stats/bias.h"
#include "stats/calibration.h"

static bool is_sets(const struct duel *d)
{
    return d->subject.task == ML_TASK_MULTILABEL;
}

static bool by_class(const struct duel *d)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    if (d->subject.classes.n > DUEL_CLASSES_MAX)
        return false;
    return is_sets(d) ? a->preds != NULL && b->preds != NULL
                      : (d->subject.task == ML_TASK_BINARY || d->subject.task == ML_TASK_MULTICLASS) &&
                            a->pred != NULL && b->pred != NULL;
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

static void measure_sides(const struct duel *d, const char *metric, struct sides *s, struct ml_delta *out)
{
    const struct ml_metric *m = ml_metric_find(metric);
    struct ml_boot boot = { .seed = d->o->seed, .comparisons = d->primary };
    double se_test;
    if (s->r[0].n + s->r[1].n > 2)
        ml_delta_runs(&s->r[0], &s->r[1], m, d->alpha, &boot, out, &se_test);
    else
        ml_delta_paired(s->r[0].m[0], s->r[1].m[0], m, d->alpha, &boot, out);
}

static void measure_rows(const struct duel *d, const char *metric, const uint32_t *rows, size_t n, struct ml_delta *out)
{
    struct sides s;
    duel_sides(d, rows, n, &s);
    measure_sides(d, metric, &s, out);
    duel_sides_free(&s);
}

/* ---- sets of labels: each label is two classes, with it and without ---- */

struct splitting {
    const struct ml_sample *from;
    size_t label;
    struct ml_answers *to;
};

static void split_block(void *ctx, size_t block, size_t thread)
{
    struct splitting *sp = ctx;
    const struct ml_sample *s = sp->from;
    size_t k = (size_t)s->classes, end = ml_parallel_end(s->n, block);
    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < end; i++) {
        sp->to->label[i] = s->labels[i * k + sp->label];
        sp->to->pred[i] = s->preds[i * k + sp->label];
        if (s->score != NULL)
            sp->to->score[i] = s->score[i * k + sp->label];
    }
}

static void split(const struct ml_sample *s, size_t label, struct ml_answers *to)
{
    struct splitting sp = { s, label, to };
    to->label = ml_malloc((s->n + 1) * sizeof *to->label);
    to->pred = ml_malloc((s->n + 1) * sizeof *to->pred);
    to->score = s->score != NULL ? ml_malloc((s->n + 1) * sizeof *to->score) : NULL;
    ml_parallel(ml_parallel_blocks(s->n), split_block, &sp);
    to->s = (struct ml_sample){ .task = ML_TASK_BINARY,
        .n = s->n,
        .classes = 2,
        .positive = 1,
        .label = to->label,
        .pred = to->pred,
        .score = to->score,
        .weight = s->weight,
        .group = s->group,
        .groups = s->groups };
}

/* What is never predicted has no precision; a share of few rows is as unsure as the accuracy on few rows. */
static void restrict_precision(struct ml_delta *x)
{
    if (x->ok && x->n == 0) {
        x->ok = false;
        x->reason = "one of the two never predicts it";
    }
    x->rows = x->n;
}

static void measure_label(struct duel *d, size_t label)
{
    size_t n = d->a[1].s.n, with = 0, models = d->n - d->field->rivals.n;
    struct duel one = *d;
    uint32_t *rows = ml_malloc((n + 1) * sizeof *rows);
    one.a = ml_calloc(models, sizeof *one.a);
    for (size_t i = 0; i < models; i++)
        split(&d->a[i].s, label, &one.a[i]);
    for (size_t i = 0; i < n; i++) {
        rows[with] = (uint32_t)i;
        with += (size_t)one.a[1].label[i];
    }
    d->with[label] = with;
    if (with > 0) {
        measure_rows(&one, "accuracy", rows, with, &d->recalls[label]);
        measure_rows(&one, "precision", NULL, 0, &d->precisions[label]);
        restrict_precision(&d->precisions[label]);
    }
    for (size_t i = 0; i < models; i++)
        ml_answers_release(&one.a[i]);
    free(one.a);
    free(rows);
}

/* ---- one class a row ---- */

/* A threshold that is chosen on all rows says what both classes' recalls are; the other class's is the specificity. */
static bool measure_tuned(struct duel *d, struct sides *s)
{
    bool tuned = duel_tuned(d);
    for (size_t k = 0; tuned && k < d->subject.classes.n; k++) {
        measure_sides(d, (int32_t)k == d->subject.positive ? "recall" : "specificity", s, &d->recalls[k]);
        d->recalls[k].rows = d->with[k];
    }
    return tuned;
}

/* The accuracy on the rows of one label is its recall. */
static void measure_each(struct duel *d, struct sides *s)
{
    struct ml_boot boot = { .seed = d->o->seed };
    size_t classes = d->subject.classes.n, *start;
    uint32_t *rows;
    bool counted = s->r[0].n + s->r[1].n == 2;
    for (int i = 0; i < 2; i++) {
        d->cells[i] = ml_malloc((classes * classes + 1) * sizeof *d->cells[i]);
        ml_sample_confusion(&d->a[i].s, d->cells[i]);
    }
    for (size_t i = 0; i < classes * classes; i++)
        d->with[i / classes] += d->cells[1][i];
    if (measure_tuned(d, s))
        return;
    for (size_t k = 0; counted && k < classes; k++)
        counted = ml_delta_recall(s->r[0].m[0], s->r[1].m[0], (int32_t)k, d->alpha, &boot, &d->recalls[k]);
    if (counted)
        return;
    start = ml_malloc((classes + 1) * sizeof *start);
    rows = sort_rows(&d->a[1].s, classes, start);
    for (size_t k = 0; k < classes; k++)
        if (start[k + 1] > start[k])
            measure_rows(d, "accuracy", rows + start[k], start[k + 1] - start[k], &d->recalls[k]);
    free(rows);
    free(start);
}

void duel_classes_measure(struct duel *d, struct sides *s)
{
    size_t classes = d->subject.classes.n;
    if (!by_class(d))
        return;
    d->recalls = ml_calloc(classes + 1, sizeof *d->recalls);
    d->with = ml_calloc(classes + 1, sizeof *d->with);
    if (!is_sets(d)) {
        measure_each(d, s);
        return;
    }
    d->precisions = ml_calloc(classes + 1, sizeof *d->precisions);
    for (size_t k = 0; k < classes; k++)
        measure_label(d, k);
}

void duel_classes_add(struct duel *d)
{
    for (size_t k = 0; d->recalls != NULL && k < d->subject.classes.n; k++) {
        if (d->with[k] == 0)
            continue;
        ml_differences_add_class(&d->all, d->o, "accuracy", (int32_t)k, &d->recalls[k]);
        if (d->precisions != NULL)
            ml_differences_add_class(&d->all, d->o, "precision", (int32_t)k, &d->precisions[k]);
    }
}

/* ---- the section ---- */

/* One model's rows predicted a class; and weights of those that have it, are predicted it, and both. */
struct predicted {
    size_t *rows;
    double *truth, *all, *right;
};

static void count_rows(struct predicted *p, size_t class, bool has, bool said, size_t rows, double weight)
{
    p->rows[class] += said ? rows : 0;
    p->truth[class] += has ? weight : 0;
    p->all[class] += said ? weight : 0;
    p->right[class] += has && said ? weight : 0;
}

static void count_one(struct predicted *p, size_t label, size_t said, size_t rows, double weight)
{
    count_rows(p, said, label == said, true, rows, weight);
    if (label != said)
        count_rows(p, label, true, false, rows, weight);
}

/* `cells`: the confusion matrix in rows, of one class a row. */
static void count(const struct ml_sample *s, const uint64_t *cells, struct predicted *p)
{
    size_t classes = (size_t)s->classes, in_cells = s->labels == NULL && s->weight == NULL ? classes * classes : 0;
    double most = 0;
    int unit;
    for (size_t i = 0; s->weight != NULL && i < s->n; i++)
        most = fmax(most, s->weight[i]);
    frexp(most, &unit); /* sums of weights near the ends of a double's range are none */
    p->rows = ml_calloc(classes + 1, sizeof *p->rows);
    p->truth = ml_calloc(3 * classes + 1, sizeof *p->truth);
    p->all = p->truth + classes;
    p->right = p->all + classes;
    for (size_t i = 0; i < in_cells; i++)
        count_one(p, i / classes, i % classes, cells[i], (double)cells[i]);
    for (size_t i = 0; i < s->n && in_cells == 0; i++) {
        double w = s->weight != NULL ? ldexp(s->weight[i], -unit) : 1;
        for (size_t k = 0; s->labels != NULL && k < classes; k++)
            count_rows(p, k, s->labels[i * classes + k], s->preds[i * classes + k], 1, w);
        if (s->labels == NULL)
            count_one(p, (size_t)s->label[i], (size_t)s->pred[i], 1, w);
    }
}

static void release(struct predicted *p)
{
    free(p->rows);
    free(p->truth);
}

static void pair(cJSON *to, double current, double candidate)
{
    ml_json_set_num(to, "current", current);
    ml_json_set_num(to, "candidate", candidate);
    ml_json_set_num(to, "delta", candidate - current);
}

/* `precision`: as it was compared, or NULL. */
static void add_class(cJSON *to, const struct duel *d, const struct ml_difference *x,
    const struct ml_difference *precision, const struct predicted p[2])
{
    double share[2], f1[2];
    int32_t k = x->label;
    cJSON *o = cJSON_CreateObject();
    ml_json_set_int(o, "rows", (int64_t)x->d.rows);
    ml_json_set_int(o, "fixed", (int64_t)x->d.fixed);
    ml_json_set_int(o, "broken", (int64_t)x->d.broken);
    cJSON *predicted = ml_json_set_object(o, "predicted");
    ml_json_set_int(predicted, "current", (int64_t)p[0].rows[k]);
    ml_json_set_int(predicted, "candidate", (int64_t)p[1].rows[k]);
    ml_json_set(o, "recall", ml_difference_json(x));
    for (int i = 0; i < 2; i++) {
        share[i] = p[i].all[k] > 0 ? p[i].right[k] / p[i].all[k] : NAN;
        f1[i] = p[i].truth[k] > 0 ? 2 * p[i].right[k] / (p[i].truth[k] + p[i].all[k]) : NAN;
    }
    if (precision != NULL && precision->d.ok)
        ml_json_set(o, "precision", ml_difference_json(precision));
    else
        pair(ml_json_set_object(o, "precision"), share[0], share[1]);
    pair(ml_json_set_object(o, "f1"), f1[0], f1[1]);
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
        count(&d->a[i].s, d->cells[i], &p[i]);
    for (size_t i = 0; i < d->all.n; i++) {
        const struct ml_difference *x = &d->all.v[i], *next = d->precisions != NULL ? x + 1 : NULL;
        if (x->label < 0)
            continue;
        add_class(classes, d, x, next, p);
        i += next != NULL;
    }
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
