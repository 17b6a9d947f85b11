/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ways of comparing share: differences that wait for their verdicts, because those depend on all of them. */
#ifndef ML_MODEL_COMPARISON_ENTRY_H
#define ML_MODEL_COMPARISON_ENTRY_H

#include "model/comparison.h"
#include "stats/delta.h"

struct ml_difference {
    const struct ml_metric *metric;
    const char *slice; /* NULL: all rows */
    struct ml_delta d;
    double current, candidate; /* NaN: no value */
    double margin;             /* 0: none */
    int family;
    double p_adjusted;
    struct ml_judgement judgement;
};

struct ml_differences {
    struct ml_difference *v;
    size_t n, cap;
};

/* Whether the metric (of a slice, or of all rows) is one of the primary ones. */
bool ml_difference_primary(const struct ml_comparison_opts *o, const char *metric);

/* Adds one; its margin and family follow from the options. */
void ml_differences_add(struct ml_differences *l, const struct ml_comparison_opts *o, const struct ml_metric *m,
    const char *slice, const struct ml_delta *d, double current, double candidate);

/* Corrects all p within their families, and judges. */
void ml_differences_judge(struct ml_differences *l, const struct ml_comparison_opts *o);

cJSON *ml_difference_json(const struct ml_difference *x);

/* alpha, look and reuse. */
void ml_comparison_frame(cJSON *to, const struct ml_comparison_opts *o, const struct ml_differences *l);

/* ML_USAGE when a margin names a metric that the object `metrics` lacks. */
int ml_comparison_check_margins(const struct ml_comparison_opts *o, const cJSON *metrics, struct ml_err *err);

#endif
