/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sections of the card as a few lines for people, with no more digits than the intervals support. */
#ifndef ML_MODEL_SUMMARY_H
#define ML_MODEL_SUMMARY_H

#include "base/mem.h"
#include "data/json.h"

/* Of a comparison in which a model has just two runs; their verdicts are mostly inconclusive. */
#define ML_TWO_RUNS                                                                                                    \
    "two runs show the variance between runs with one degree of freedom: with a third the intervals would be much "    \
    "narrower"

#define ML_SUMMARY_SLICES 20 /* slices that are shown */

/* Lines about `evaluation`, and about `comparison`, added to `out`; a slice is shown by its first metric. */
void ml_summary_evaluation(const cJSON *evaluation, struct ml_strs *out);
void ml_summary_comparison(const cJSON *comparison, struct ml_strs *out);

/* Which tests were made on request; and, a line for each of them and reason, of which metrics there is no result. */
size_t ml_summary_tests(const cJSON *comparison, const char *names[4]);
void ml_summary_untested(const cJSON *comparison, struct ml_strs *out);

/* What it means that this much more was predicted than came true, on average: " (too high)", of several classes, whose
 * largest probability counts, " (too sure)". */
const char *ml_summary_bias(const cJSON *comparison, double bias);

#endif
