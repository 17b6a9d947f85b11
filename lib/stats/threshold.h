/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The threshold of a binary score that is best on some rows. Chosen on the rows that are then measured it flatters, and
 * its choice is part of what chance does: a sample that is marked so (struct ml_sample, `tuned`) has its metrics of
 * predictions bootstrapped, with the threshold chosen anew in every replicate. */
#ifndef ML_STATS_THRESHOLD_H
#define ML_STATS_THRESHOLD_H

#include <stdbool.h>

#include "stats/sample.h"

/* "best-f1", "youden"; ML_TUNED_NO for any other text. */
enum ml_tuned ml_tuned_parse(const char *s);
const char *ml_tuned_name(enum ml_tuned t); /* NULL for ML_TUNED_NO */

/* The score from which on rows are predicted positive, one that a row has: that of the largest F1, or of the largest
 * TPR - FPR (Youden 1950, Cancer 3, 32); of several the highest. False when the labels are of one class only. */
bool ml_threshold_find(const struct ml_sample *s, enum ml_tuned how, double *threshold);

#endif
