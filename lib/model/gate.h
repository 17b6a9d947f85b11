/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate: a card's evaluation and comparison held against a policy, rule by rule. What it found is the card's `gate`
 * section; JUnit and OpenMetrics are made from that section, so that all three say the same. */
#ifndef ML_MODEL_GATE_H
#define ML_MODEL_GATE_H

#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/policy.h"

/* What is judged, and where; all borrowed. */
struct ml_gate_input {
    const cJSON *evaluation, *comparison; /* NULL: the card has none */
    const char *card;                     /* the whole card's text, for rules about its numbers; NULL: none */
    size_t card_len;
    const char *branch, *environment; /* what `when` is held against; NULL: not known */
    const char *today;                /* "2026-12-31", UTC: waivers hold to the end of their day */
};

/* Judges every rule of the policy. The new section is owned by the caller. A rule has
 *   rule               "accuracy.must", "accents=no.accuracy.min", "min_rows", "smoke.latency.p99.max"
 *   required, observed
 *   unit               "M": what the policy counts the number in (they are in the card's own units all the same)
 *   verdict            "passed", "failed", "warned", "waived", "not applicable"
 *   passed             true, false, or null: not applicable
 *   level              "fail" or "warn"
 *   line               where it stands in the policy; absent where it isn't written there
 *   reason             a sentence; always there unless the rule passed outright
 *   shortfall          how much is missing, in the metric's units, where that can be said
 *   neutral_pass_rate  how often a change that changes nothing passes it, at least where p is
 *                      corrected with others; null for absolute rules
 *   limit              what `required` comes to in those units, of relative rules
 *   low, high, se, rows  what it rests on, as far as the card has it; of max_drop, low and high are the drop's
 *   waiver             {"until", "reason", "ended"}, of a rule that has one
 * `passed` of the whole: no rule failed. Returns -1 only where a rule and the card together mean nothing (ML_USAGE). */
int ml_gate_judge(const struct ml_policy *p, const struct ml_gate_input *in, cJSON **gate, struct ml_err *err);

/* Notes in a comparison's description of the current model what the policy's rules about changes of numbers need of
 * that model's card: "numbers", by path. */
void ml_gate_numbers(const struct ml_policy *p, const char *card, size_t len, cJSON *current);

/* A number of a rule as people read it, in the policy's unit where there is one: "524.288M". Returns out. */
#define ML_GATE_AMOUNT 64
const char *ml_gate_amount(const cJSON *rule, double x, int digits, char out[ML_GATE_AMOUNT]);

/* The verdict of a rule; of a card from before there were verdicts, from `passed` and `level`. */
const char *ml_gate_verdict(const cJSON *rule);

/* How many rules have that verdict. */
size_t ml_gate_count(const cJSON *gate, const char *verdict);

/* What each rule of a gate section tells on rows like these, owned: {"policy", "policy_digest", "alpha",
 * "rules":
 * [{"rule", "required", "drop", "se", "rows", "neutral_fail_rate", "missed_drop_rate", "missed_gain_rate",
 * "rows_needed", "reason"}]}. drop: the margin, or max_drop's limit, in the metric's units. neutral_fail_rate: how
 * often a change that changes nothing fails the rule. missed_drop_rate: how often one that is truly worse by `drop`
 * passes it. missed_gain_rate: of `must: improve`. rows_needed: at which at most 10 % of harmless changes fail (must:
 * improve: 80 % of gains of the margin's size are found, whatever the metrics do that its p is corrected with, which
 * the other rates are bounds for, too); of several runs only their rows' part of the variance goes
 * with 1/rows: null where that doesn't do, and "runs_needed", null where no number of runs would either. Rates are
 * those of a normal estimate with the card's standard error, of few degrees of freedom of the noncentral t; of the
 * mean over a candidate's runs, those of its own interval (ml_runs_estimate); that of
 * neutral changes, of a relative rule, is its neutral_pass_rate. */
cJSON *ml_gate_power(const cJSON *gate, const cJSON *evaluation, const cJSON *comparison);

/* Whether a rule asks for at least (1) or at most (-1) what it requires; 0: for something else. */
int ml_gate_side(const cJSON *rule);
/* What stands behind what it requires: the limit that it comes to, "at its bound", the margin. */
void ml_gate_conditions(const cJSON *rule, int digits, struct ml_buf *out);
/* What a rule says in words, on one line: required, observed, the interval it rests on, how often a neutral change
 * passes it. */
void ml_gate_describe(const cJSON *rule, struct ml_buf *out);

/* The gate as a JUnit report: one test case a rule, its class named after the model ("" or NULL: none). */
void ml_gate_junit(const cJSON *gate, const char *model, struct ml_buf *out);

/* Metrics, differences and rules in OpenMetrics text, one sample a line and only what GitLab's reader survives. */
void ml_gate_openmetrics(
    const cJSON *gate, const cJSON *evaluation, const cJSON *comparison, const char *model, struct ml_buf *out);

/* GitLab's Code Quality report: an issue for each rule that failed (critical), warned (minor) or is waived (info), at
 * its line in the policy, which is `path` in the project. A rule's fingerprint is the same in every run. */
void ml_gate_code_quality(const cJSON *gate, const char *model, const char *path, struct ml_buf *out);

#endif
