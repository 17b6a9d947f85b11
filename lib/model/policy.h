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
    const char *unit; /* that it was written in, "M"; NULL: in none */
};

/* What a unit is worth: "M" 1e6; 0: no unit is called so. */
double ml_policy_unit(const char *name);

#define ML_DATE_LEN 10 /* "2026-12-31" */

/* Where a rule applies: globs as of fnmatch(3), of which one has to match; an empty list matches anything. */
struct ml_when {
    struct ml_strs branches, environments;
};

/* Until the end of that day, UTC, a rule that is broken doesn't fail the gate. */
struct ml_waiver {
    char until[ML_DATE_LEN + 1];
    char *reason;
};

/* What every rule has. */
struct ml_terms {
    enum ml_level level;
    unsigned line;                  /* where it stands in the file, from 1; 0: it isn't written there */
    const struct ml_when *when;     /* NULL: everywhere */
    const struct ml_waiver *waiver; /* NULL: none */
};

struct ml_limit {
    struct ml_amount amount; /* min and max never in percent */
    enum ml_on on;
    struct ml_terms terms;
};

/* What the policy asks of one metric on all rows (slice NULL) or on one slice. */
struct ml_metric_rule {
    char *metric, *slice;
    int direction;    /* +1 higher is better, -1 lower, 0 neither known nor said (then only min and max are there) */
    bool misdirected; /* one is said, but it is a fault */
    struct ml_limit min, max, max_drop;
    enum ml_must must;
    struct ml_terms must_terms;
    bool has_margin;
    struct ml_margin margin;
};

struct ml_slice_rows {
    char *slice;
    struct ml_limit min_rows;
};

/* What the policy asks of any number in the card. */
struct ml_card_rule {
    char *path;    /* as ml_json_at reads it */
    bool may_lack; /* a card without this number doesn't break the rule */
    struct ml_limit min, max;
    struct ml_limit max_increase,
        max_decrease; /* from the current model's card; a share of its number when in percent */
};

struct ml_policy {
    char *name; /* the path as it was given */
    struct ml_digest digest;
    bool current_required;
    unsigned current_line;
    bool allow_unpaired;
    struct ml_limit min_rows, max_reuse; /* whole numbers; amount.set says whether they were asked for */
    struct ml_limit max_unmatched;       /* rows, or a share of the rows; not set: none may be unmatched */
    struct ml_metric_rule *rules;        /* in the file's order, all rows before slices */
    size_t n;
    struct ml_slice_rows *slice_rows;
    size_t n_slice_rows;
    struct ml_card_rule *card;
    size_t n_card;
    struct ml_when **whens; /* what the terms point to */
    struct ml_waiver **waivers;
    size_t n_whens, n_waivers;
};

#define ML_POLICY_INIT                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }

#define ML_POLICY_FAULTS 100 /* that are told of one policy */

/* ML_LOCAL: cannot be read, isn't YAML. ML_USAGE, "<name>: line L: why": means nothing; the first such fault is told,
 * and how many more there are. */
int ml_policy_load(struct ml_policy *p, const char *path, struct ml_err *err);
int ml_policy_parse(struct ml_policy *p, const char *text, size_t len, const char *name, struct ml_err *err);

/* The same, with every fault that can be told: "<name>: line L: why", in the order of the lines. The policy then holds
 * what could be read, and is to be released. */
int ml_policy_check(struct ml_policy *p, const char *path, struct ml_strs *faults, struct ml_err *err);

/* Whether a day is in the calendar, as "2026-12-31". */
bool ml_date_valid(const char *date);

void ml_policy_release(struct ml_policy *p);

/* The rules for a metric on a slice (NULL: all rows), or NULL. */
const struct ml_metric_rule *ml_policy_find(const struct ml_policy *p, const char *slice, const char *metric);

/* Whether the metric is primary: named under `metrics` or under any slice. */
bool ml_policy_names(const struct ml_policy *p, const char *metric);

/* Adds all metrics that a rule is about. */
void ml_policy_metrics(const struct ml_policy *p, struct ml_strs *out);

/* The same of slices. */
void ml_policy_slices(const struct ml_policy *p, struct ml_strs *out);

#endif
