/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What threshold.c and threshold_value.c share. */
#ifndef ML_STATS_THRESHOLD_IMPL_H
#define ML_STATS_THRESHOLD_IMPL_H

#include "stats/measure_impl.h"

/* Weights on both sides of a threshold. */
struct table {
    double hits, alarms; /* predicted positive: right, wrong */
    double pos, neg;     /* labelled so */
    size_t at;           /* place in the order from which on rows are predicted positive */
};

/* What drawing a replicate row by row takes. */
struct room {
    double *w;
    uint32_t *scratch, *counts;
};

void ml_tuned_room(struct room *room, size_t n);
void ml_tuned_room_free(struct room *room);

/* Where all thresholds were chosen anew; kept for the next metric. */
const struct table *ml_tuned_tables(struct ml_measure *m, uint64_t seed, size_t replicates);

#endif
