/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The confusion matrices of two models on the same rows. */
#ifndef ML_MODEL_COMPARISON_CONFUSION_H
#define ML_MODEL_COMPARISON_CONFUSION_H

#include "data/json.h"
#include "model/predictions.h"

#define ML_COMPARISON_CONFUSION_MAX ((size_t)50) /* classes; beyond them it is left out */

/* Sets "confusion" of a comparison: labels, and for each the rows by what the current model and the candidate said. Of
 * classes and predictions only; else nothing is set. */
void ml_comparison_confusion(
    cJSON *to, const struct ml_subject *s, const struct ml_sample *current, const struct ml_sample *candidate);

#endif
