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

#endif
