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
    size_t family_size;      /* how many hypotheses are corrected together */
    double p_adjusted, p_bh; /* NaN: not tested */
    struct ml_judgement judgement;
    int32_t label;       /* >= 0: of this class: the accuracy on its rows, which is its recall, or precision; else -1 */
    size_t rival;        /* which further candidate, from 1; 0: the candidate */
    cJSON *extra, *runs; /* owned; NULL without */
};

struct ml_differences {
    struct ml_difference *v;
    size_t n, cap;
};

/* Whether the metric (of a slice, or of all rows) is one of the primary ones. */
bool ml_difference_primary(const struct ml_comparison_opts *o, const char *metric);

/* Adds one; its margin and family follow from the options. Borrowed until the next is added. */
struct ml_difference *ml_differences_add(struct ml_differences *l, const struct ml_comparison_opts *o,
    const struct ml_metric *m, const char *slice, const struct ml_delta *d, double current, double candidate);

/* The same for a class. */
void ml_differences_add_class(struct ml_differences *l, const struct ml_comparison_opts *o, const char *metric,
    int32_t label, const struct ml_delta *d);

/* Corrects all p within their families, and judges. */
void ml_differences_judge(struct ml_differences *l, const struct ml_comparison_opts *o);
void ml_differences_release(struct ml_differences *l);

cJSON *ml_difference_json(const struct ml_difference *x);

/* alpha, look and reuse. */
void ml_comparison_frame(cJSON *to, const struct ml_comparison_opts *o, const struct ml_differences *l);

/* The list `hidden`: parts of the rows that became worse, the surest first, each by its surest metric, although no
 * average of the same metric (for classes, of any primary one) did. `classes`: their names; NULL where there are none.
 */
void ml_comparison_hidden(
    cJSON *to, const struct ml_comparison_opts *o, const struct ml_differences *l, char *const *classes);

/* ML_USAGE when a margin names a metric that the object `metrics` lacks. */
int ml_comparison_check_margins(const struct ml_comparison_opts *o, const cJSON *metrics, struct ml_err *err);

#endif
