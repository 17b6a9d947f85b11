/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What models' predictions of the same rows are about, the task, its classes and metrics, and what each model said of
 * it, as the sample that is measured. */
#ifndef ML_MODEL_SUBJECT_H
#define ML_MODEL_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "model/columns.h"
#include "model/predictions.h"
#include "stats/metric.h"
#include "stats/sample.h"

/* What one or two models' predictions (of the same rows) are about: task and classes. Starts zeroed. */
struct ml_subject {
    enum ml_task task;
    struct ml_strs classes;           /* names, numbers in order or texts in byte order */
    int32_t positive;                 /* binary: index; else -1 */
    bool probabilistic;               /* binary: scores are probabilities, and nothing is predicted */
    bool thresholded;                 /* predictions come from scores */
    enum ml_tuned tuned;              /* how the threshold was chosen on the rows */
    double threshold;                 /* the last model's, where each has its own */
    struct ml_costs *costs;           /* --cost; NULL without */
    const struct ml_metric **metrics; /* what is measured of it: what is offered, then in the table's order; owned */
    size_t n_metrics;
};

/* What a model said, by the subject's classes. Starts zeroed. */
struct ml_answers {
    struct ml_sample s; /* borrows from here and from the predictions */
    int32_t *label, *pred;
    unsigned char *labels, *preds;
    double *score, *truth, *estimate;
    double threshold;   /* where predictions come from scores */
    bool score_ignored; /* a column `score` is there but says nothing without a positive class */
};

/* Decides the task, gives both (b may be NULL) their classes, and finds the metrics. ML_USAGE: the task can't be told,
 * or the positive class; a metric that isn't known, or isn't of the task; ML_LOCAL: no prediction is among the labels,
 * a score is missing for a class. */
int ml_subject_settle(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *a,
    const struct ml_predictions *b, struct ml_answers *out_a, struct ml_answers *out_b, struct ml_err *err);
/* The same of any number of models. */
int ml_subject_settle_all(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err);
/* The same of predictions, each there once, that nobody settles again: the answers take columns of theirs. */
int ml_subject_settle_last(struct ml_subject *s, const struct ml_columns *c, struct ml_predictions *const *p, size_t n,
    struct ml_answers *const *out, struct ml_err *err);
void ml_subject_release(struct ml_subject *s);
void ml_answers_release(struct ml_answers *a);

/* ML_USAGE, with what was meant where that can be told: the task has no metric of this name. The message begins with
 * what asked for it: "--metric 'size': ...". */
int ml_subject_no_metric(const struct ml_subject *s, const char *asker, const char *name, struct ml_err *err);
/* What a metric that isn't known is called here, whatever the task, owned: with a parameter, for example, where it
 * takes one ("fbeta@2"); NULL where that can't be told. */
char *ml_subject_meant(const char *name);

#endif
