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

/* Parts of rows of which all chose the threshold: what a part's metrics of predictions come to in replicates of all
 * rows, each with the threshold that it chose. Standard errors of a part's measure are then at least those of its
 * replicates: 2000, of more than 100,000 rows 500. A sample that isn't marked keeps its predictions, so that both of a
 * pair can be drawn alike. */
struct ml_part {
    const uint32_t *rows; /* in rising order, of the whole sample */
    size_t n;
};

struct ml_measure;
struct ml_tuned_parts;

struct ml_tuned_parts *ml_tuned_parts_new(
    const struct ml_sample *whole, const struct ml_part *parts, size_t n, uint64_t seed);
void ml_tuned_parts_free(struct ml_tuned_parts *p); /* NULL is fine */
/* Tells the measure of part i so; `p` outlives it. */
void ml_tuned_part(struct ml_measure *m, const struct ml_tuned_parts *p, size_t i);

#endif
