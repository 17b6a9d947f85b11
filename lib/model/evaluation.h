/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The card's section `evaluation`: metrics of one model's predictions with their intervals, whole and by slice
 * (ml-card(5)). */
#ifndef ML_MODEL_EVALUATION_H
#define ML_MODEL_EVALUATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/json.h"
#include "model/slices.h"
#include "model/subject.h"
#include "stats/measure.h"

#define ML_CONFUSION_MAX ((size_t)200) /* classes in a confusion matrix */

/* Whether a metric is for this sample: its task, and what it reads is there. */
bool ml_metric_applies(const struct ml_metric *m, const struct ml_sample *s);

/* "higher" or "lower". */
const char *ml_metric_direction(const struct ml_metric *m);

/* What a metric's name means in a card that says this task; in one that doesn't (NULL), in any. NULL: nothing. */
const struct ml_metric *ml_evaluation_metric(const char *name, const char *task);

/* The columns that it was made of, where `to` names none; the strings are the evaluation's. */
void ml_evaluation_columns(const cJSON *evaluation, struct ml_columns *to);

struct ml_evaluation_opts {
    double confidence;
    uint64_t seed;
    const struct ml_columns *cols; /* which columns were asked for */
    bool find_slices;              /* `found_slices`, too */
    bool curves;                   /* with calibration and curves */
};

/* The section, owned. ML_USAGE: too many slices. */
int ml_evaluation_build(const struct ml_predictions *p, const struct ml_subject *s, const struct ml_answers *a,
    const struct ml_evaluation_opts *o, cJSON **out, struct ml_err *err);

#endif
