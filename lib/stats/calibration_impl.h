/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What calibration.c and calibration_bins.c share. */
#ifndef ML_STATS_CALIBRATION_IMPL_H
#define ML_STATS_CALIBRATION_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/measure_impl.h"
#include "stats/sum.h"

/* A row's probability, and whether what it is the probability of came true. */
static inline double confidence_of(const struct ml_sample *s, size_t i, bool *hit)
{
    const double *row = s->score + i * (size_t)s->classes;
    int32_t best = 0;

    if (s->task == ML_TASK_BINARY) {
        *hit = s->label[i] == s->positive;
        return s->score[i];
    }
    for (int32_t k = 1; k < s->classes; k++)
        if (row[k] > row[best])
            best = k;
    *hit = s->label[i] == best;
    return row[best];
}

/* The edges are numpy.linspace's, as scikit-learn's are. */
static inline double edge(size_t b, size_t bins)
{
    return b == bins ? 1 : (double)b * (1.0 / (double)bins);
}

struct binning {
    size_t bins;
    double *edges; /* of each bin the lower one; nothing is below the first or above the last */
};

/* The edges are owned. */
struct binning ml_calibration_binning(size_t bins);

static inline size_t bin_of(double p, const struct binning *t)
{
    size_t b = (size_t)(p * (double)t->bins);

    b = b < t->bins ? b : t->bins - 1;
    while (p <= t->edges[b])
        b--;
    while (p > t->edges[b + 1])
        b++;
    return b;
}

/* What each bin holds. */
struct bin {
    double weight;
    struct ml_sum gap; /* sum of w (probability - hit) */
    size_t rows;
};

/* Owned; *total: the sum of their weights. */
struct bin *ml_calibration_fill(struct ml_measure *m, const struct weighting *by, size_t bins, double *total);

static inline double gap_of(const struct bin *b)
{
    return b->weight > 0 ? ml_sum_value(&b->gap) / b->weight : 0;
}

#endif
