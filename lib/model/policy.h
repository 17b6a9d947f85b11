/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's policy, ml-policy(5): a YAML file of rules per metric and slice. What can't mean anything is refused here
 * with file and line, before any card is read. */
#ifndef ML_MODEL_POLICY_H
#define ML_MODEL_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "stats/verdict.h"

enum ml_level {
    ML_LEVEL_FAIL,
    ML_LEVEL_WARN,
};

enum ml_on {
    ML_ON_VALUE,
    ML_ON_BOUND, /* the unfavourable end of the interval */
};

enum ml_must {
    ML_MUST_NOTHING,
    ML_MUST_NOT_REGRESS,
    ML_MUST_IMPROVE,
};

/* A number in the metric's units, or a share of |current| ("1%" is 0.01 with percent set). */
struct ml_amount {
    bool set, percent;
    double x;
};

struct ml_limit {
    struct ml_amount amount; /* min and max never in percent */
    enum ml_on on;
    enum ml_level level;
};

/* What the policy asks of one metric on all rows (slice NULL) or on one slice. */
struct ml_metric_rule {
    char *metric, *slice;
    int direction; /* +1 higher is better, -1 lower, 0 neither known nor said (then only min and max are there) */
    struct ml_limit min, max, max_drop;
    enum ml_must must;
    enum ml_level must_level;
    bool has_margin;
    struct ml_margin margin;
};

struct ml_slice_rows {
    char *slice;
    struct ml_limit min_rows;
};

struct ml_policy {
    char *name; /* the path as it was given */
    struct ml_digest digest;
    bool current_required;
    bool allow_unpaired;
    struct ml_limit min_rows, max_reuse; /* whole numbers; amount.set says whether they were asked for */
    struct ml_limit max_unmatched;       /* rows, or a share of the rows; not set: none may be unmatched */
    struct ml_metric_rule *rules;        /* in the file's order, all rows before slices */
    size_t n;
    struct ml_slice_rows *slice_rows;
    size_t n_slice_rows;
};

#define ML_POLICY_INIT                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }

/* ML_LOCAL: cannot be read, isn't YAML. ML_USAGE, "<name>: line L: why": means nothing. */
int ml_policy_load(struct ml_policy *p, const char *path, struct ml_err *err);
int ml_policy_parse(struct ml_policy *p, const char *text, size_t len, const char *name, struct ml_err *err);
void ml_policy_release(struct ml_policy *p);

/* The rules for a metric on a slice (NULL: all rows), or NULL. */
const struct ml_metric_rule *ml_policy_find(const struct ml_policy *p, const char *slice, const char *metric);

/* Whether the metric is primary: named under `metrics` or under any slice. */
bool ml_policy_names(const struct ml_policy *p, const char *metric);

/* Adds all metrics that a rule is about. */
void ml_policy_metrics(const struct ml_policy *p, struct ml_strs *out);

#endif
