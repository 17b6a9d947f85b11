/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a picture of a model is drawn from: the card's `calibration` and `curves` (ml-card(5)). */
#ifndef ML_MODEL_EVALUATION_CURVES_H
#define ML_MODEL_EVALUATION_CURVES_H

#include "data/json.h"
#include "stats/sample.h"

#define ML_CALIBRATION_BINS 15 /* as many as the metric ece has */

/* Adds `calibration`, or null with `calibration_reason`. */
void ml_evaluation_add_calibration(cJSON *to, const struct ml_sample *s, double confidence);

/* Adds `curves` of two classes; null with `curves_reason` where there are none. */
void ml_evaluation_add_curves(cJSON *to, const struct ml_sample *s);

#endif
