/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the gate's two files share: gate.c has the absolute rules and the whole, gate_relative.c the rules that compare.
 */
#ifndef ML_MODEL_GATE_PRIV_H
#define ML_MODEL_GATE_PRIV_H

#include <stdbool.h>

#include "data/json.h"
#include "model/policy.h"

#define GATE_TOLERANCE 1e-12 /* relative: limits pass at equality */

struct gate_judge {
    const struct ml_policy *p;
    const cJSON *evaluation, *comparison; /* NULL: the card has none */
    cJSON *rules;
    double alpha;
    bool no_current;      /* compared, but there was nothing to compare with */
    bool absolute_passed; /* a limit on a metric was evaluated and met */
    struct ml_err *err;
};

/* A metric of a section, of all rows or of a slice; NULL when it isn't there. */
const cJSON *gate_metric(const cJSON *section, const char *slice, const char *metric);

/* Notes in the rule the interval, the standard error (`se`; the metric's own where that is 0) and the rows that a
 * metric of a section rests on. */
void gate_basis(cJSON *rule, const cJSON *section, const char *slice, const cJSON *metric, double se);

/* A new rule at the end of the list; without a metric its name is `kind`. */
cJSON *gate_add(struct gate_judge *j, const struct ml_metric_rule *m, const char *kind, enum ml_level level);

void gate_passed(cJSON *rule);
void gate_failed(cJSON *rule, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gate_not_applicable(cJSON *rule);

/* a <= b, equal within rounding. */
bool gate_at_most(double a, double b);

/* ML_USAGE when policy and card contradict each other on what is better. */
int gate_same_direction(const struct gate_judge *j, const struct ml_metric_rule *m, const cJSON *metric);

/* " for '<slice>'", or nothing: for messages. */
const char *gate_of_slice(const char *slice, char out[128]);

/* The rules `must` and `max_drop` of a metric; -1 where rule and card together mean nothing. */
int gate_must(struct gate_judge *j, const struct ml_metric_rule *m);
int gate_drop(struct gate_judge *j, const struct ml_metric_rule *m);

#endif
