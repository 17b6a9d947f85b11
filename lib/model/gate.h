/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate: a card's evaluation and comparison held against a policy, rule by rule. What it found is the card's `gate`
 * section; JUnit and OpenMetrics are made from that section, so that all three say the same. */
#ifndef ML_MODEL_GATE_H
#define ML_MODEL_GATE_H

#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/policy.h"

/* Judges every rule of the policy; a section that the card lacks is NULL. The new section is owned by the caller. A
 * rule has rule      "accuracy.must", "accents=no.accuracy.min", "min_rows" required, observed passed    true, false,
 * or null: not applicable, for there is no current model level     "fail" or "warn" reason    a sentence; always there
 * unless the rule passed outright shortfall how much is missing, in the metric's units, where that can be said
 *   neutral_pass_rate  how often a change that changes nothing passes it; null for absolute rules low, high, se, rows
 * what it rests on, as far as the card has it `passed` of the whole: no rule of level "fail" failed. Returns -1 only
 * where a rule and the card together mean nothing (ML_USAGE). */
int ml_gate_judge(
    const struct ml_policy *p, const cJSON *evaluation, const cJSON *comparison, cJSON **gate, struct ml_err *err);

/* What each relative rule of a gate section tells on rows like these, owned: {"policy", "policy_digest", "alpha",
 * "rules":
 * [{"rule", "required", "drop", "se", "rows", "neutral_fail_rate", "missed_drop_rate", "missed_gain_rate",
 * "rows_needed", "reason"}]}. drop: the margin, or max_drop's limit, in the metric's units. neutral_fail_rate: how
 * often a change that changes nothing fails the rule. missed_drop_rate: how often one that is truly worse by `drop`
 * passes it. missed_gain_rate: of `must: improve`. rows_needed: at which at most 10 % of harmless changes fail (must:
 * improve: 80 % of gains of the margin's size are found). Rates are those of a normal estimate with the card's standard
 * error. */
cJSON *ml_gate_power(const cJSON *gate, const cJSON *comparison);

/* How many rules with that `passed` (1, 0, -1 for null) and level (NULL: any). */
size_t ml_gate_count(const cJSON *gate, int passed, const char *level);

/* The gate as a JUnit report: one test case a rule, its class named after the model ("" or NULL: none). */
void ml_gate_junit(const cJSON *gate, const char *model, struct ml_buf *out);

/* Metrics, differences and rules in OpenMetrics text, one sample a line and only what GitLab's reader survives. */
void ml_gate_openmetrics(
    const cJSON *gate, const cJSON *evaluation, const cJSON *comparison, const char *model, struct ml_buf *out);

#endif
