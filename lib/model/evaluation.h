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
#include "model/predictions.h"
#include "stats/measure.h"

#define ML_SLICES_MAX    ((size_t)1000) /* slices of all --slice options together */
#define ML_CONFUSION_MAX ((size_t)200)  /* classes in a confusion matrix */

/* One slice: rows that share a value. */
struct ml_slice {
    const char *name; /* "accents=no"; borrowed from the predictions */
    const uint32_t *rows;
    size_t n;
};

/* All slices of some predictions, in byte order of their names. Starts zeroed. */
struct ml_slices {
    struct ml_slice *v;
    size_t n, cap;
    uint32_t **rows; /* one array a slicing */
    size_t n_rows;
};

/* ML_USAGE when there are more than ML_SLICES_MAX. */
int ml_slices_find(const struct ml_predictions *p, struct ml_slices *out, struct ml_err *err);
void ml_slices_release(struct ml_slices *s);

/* Whether a metric is for this sample: its task, and what it reads is there. */
bool ml_metric_applies(const struct ml_metric *m, const struct ml_sample *s);

/* "higher" or "lower". */
const char *ml_metric_direction(const struct ml_metric *m);

struct ml_evaluation_opts {
    double confidence;
    uint64_t seed;
    const char *weight; /* name of the column */
};

/* The section, owned. ML_USAGE: too many slices. */
int ml_evaluation_build(const struct ml_predictions *p, const struct ml_subject *s, const struct ml_answers *a,
    const struct ml_evaluation_opts *o, cJSON **out, struct ml_err *err);

#endif
