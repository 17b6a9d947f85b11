/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two files of predictions about the same rows, brought into one order. */
#ifndef ML_MODEL_PAIRING_H
#define ML_MODEL_PAIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/predictions.h"

/* What keeps two files of predictions from being about the same rows. */
struct ml_mismatch {
    size_t only_current, only_candidate;    /* ids on one side */
    size_t labels, weights, groups, slices; /* rows in both that differ in these */
    char message[600];                      /* counts and three ids */
};

/* Brings `current` into the row order of `candidate`. 0: same rows; the current's ids, which the candidate has, are
 * given back. 1: they aren't; nothing was changed and `out` says why. `drop`: ids on one side only are dropped from
 * both, and counted. Both need ML_PREDICTIONS_IDS. Weights, groups and slices that the current file lacks are the
 * candidate's; where it has them they must agree. `memory`: the limit (ml_memory_limit), of which the index of the ids
 * takes at most a quarter. */
int ml_predictions_pair(struct ml_predictions *current, struct ml_predictions *candidate, bool drop, uint64_t memory,
    struct ml_mismatch *out);

#endif
