/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the gate's files share: gate.c has the absolute rules and the whole, gate_number.c the rules about numbers of
 * the card, gate_relative.c those that compare, gate_terms.c level, when and waivers. */
#ifndef ML_MODEL_GATE_IMPL_H
#define ML_MODEL_GATE_IMPL_H

#include <stdbool.h>

#include "data/json.h"
#include "model/gate.h"
#include "model/policy.h"

#define GATE_TOLERANCE 1e-12 /* relative: limits pass at equality */

struct gate_judge {
    const struct ml_policy *p;
    const struct ml_gate_input *in;
    const cJSON *evaluation, *comparison; /* NULL: the card has none */
    bool confirm;                         /* they are the confirmation's */
    cJSON *rules;
    const struct ml_terms **terms; /* of each rule in `rules` */
    struct ml_terms current;       /* of the rule that there be one */
    size_t n;
    double alpha;
    bool no_current;      /* compared, but there was nothing to compare with */
    bool absolute_passed; /* a limit on a metric was evaluated and met */
    bool evaluated;       /* a rule about the model was held against something */
    bool set_aside;       /* one was left out by its `when` */
    struct ml_err *err;
};

/* A metric of a section, of all rows or of a slice; NULL when it isn't there. */
const cJSON *gate_metric(const cJSON *section, const char *slice, const char *metric);

/* Notes in the rule the interval, the standard error (`se`; the metric's own where that is 0) and the rows that a
 * metric of a section rests on. */
void gate_basis(cJSON *rule, const cJSON *section, const char *slice, const cJSON *metric, double se);

/* How many groups a section's rows are in, or a slice's; 0: each row is its own. */
double gate_groups(const cJSON *section, const char *slice);

/* Degrees of freedom of a metric or its difference: those of its runs, or of its groups; 0: of rows, which are not few.
 */
double gate_df(const cJSON *section, const char *slice, const cJSON *metric);

/* The level at which a difference's p is enough for a verdict, whatever the others do that it is corrected with: that
 * of the first of Holm's steps. */
double gate_sure(const cJSON *metric, double alpha);

/* The rows like a metric's own below which no verdict is given. */
double gate_least(const cJSON *comparison, const char *slice, const char *name, const cJSON *metric);

/* Where the candidate has several runs: the metric's mean over them ("value", "low", "high", "se"), and how many there
 * are; NULL: it has one, or the comparison lacks the metric. */
const cJSON *gate_mean(const cJSON *comparison, const char *slice, const char *metric, int *runs);

/* A new rule at the end of the list; without a metric its name is `kind`. */
cJSON *gate_add(struct gate_judge *j, const struct ml_metric_rule *m, const char *kind, const struct ml_terms *terms);

/* Writes down what the rule asks for: a number, or a percentage as text ("2%"). */
void gate_required(cJSON *rule, const struct ml_amount *amount);

/* Whether the rule applies on this branch and in this environment; else it is settled. */
bool gate_here(struct gate_judge *j, cJSON *rule, const struct ml_terms *terms);

void gate_passed(cJSON *rule);
void gate_failed(cJSON *rule, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gate_not_applicable(cJSON *rule, const char *why);

/* The verdicts, from what each rule found and the waivers. */
void gate_settle(struct gate_judge *j);

/* The rules about numbers of the card. */
void gate_numbers(struct gate_judge *j);

/* a <= b, equal within rounding. */
bool gate_at_most(double a, double b);

/* ML_USAGE when policy and card contradict each other on what is better. */
int gate_same_direction(const struct gate_judge *j, const struct ml_metric_rule *m, const cJSON *metric);

/* " for '<slice>'", or nothing: for messages. */
const char *gate_of_slice(const char *slice, char out[128]);

/* Appends "; it has 'a', 'b', 'c' and 4 more", of an object's keys those that are written most like `wanted`; nothing
 * where it has none. `what`: what stands in front of the first. */
void gate_nearest(const cJSON *object, const char *wanted, const char *what, struct ml_buf *out);

/* Appends how the metric comes into the card, the one that is meant, or the nearest that a section has in place of the
 * slice, or else of the metric, that it lacks. */
void gate_near(const struct gate_judge *j, const cJSON *section, const struct ml_metric_rule *m, struct ml_buf *out);

/* The rules `must` and `max_drop` of a metric; -1 where rule and card together mean nothing. */
int gate_must(struct gate_judge *j, const struct ml_metric_rule *m);
int gate_drop(struct gate_judge *j, const struct ml_metric_rule *m);

#endif
