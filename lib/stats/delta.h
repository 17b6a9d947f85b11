/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two models on the same rows: the difference candidate - current of a metric, with an interval and a p that agree. */
#ifndef ML_STATS_DELTA_H
#define ML_STATS_DELTA_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/measure.h"

/* Differences are unoriented (candidate - current, whatever is better). All numbers are finite; p is at least 1e-300.
 */
struct ml_delta {
    bool ok;            /* both values exist, so current, candidate and delta do */
    const char *reason; /* why not; static text */
    double current, candidate, delta;
    bool has_interval;           /* low, high, se and p exist */
    const char *interval_reason; /* why not; static text */
    double low, high, se, p;
    const char *test;     /* "mcnemar-midp", "delong", "linear", "bootstrap", "unpaired"; "identical" */
    const char *interval; /* "tango", "delong", "linear", "bootstrap", "unpaired"; "identical" */
    bool identical;       /* all predictions and scores bitwise equal: delta = low = high = 0, p = 1 */
    size_t rows, groups;  /* groups 0: ungrouped */
    size_t n; /* rows in the metric's denominator (the smaller of the two models'); AUC: the smaller class */
    size_t smaller_class; /* AUC: rows of the smallest class; else SIZE_MAX */
    size_t changed;       /* rows whose contribution differs between the models; SIZE_MAX: not known */
    size_t fixed, broken; /* metrics that count right rows: wrong before and right now, and the reverse; else 0 */
    size_t undefined;     /* bootstrap: replicates dropped */
};

/* Both measures are of the same rows in the same order, with the same labels, weights and groups (checked by the
 * caller). Methods: accuracy and its like, unweighted and ungrouped: McNemar mid-p with Tango's interval; binary AUC
 * likewise: paired DeLong; no influence function, or boot->force: bootstrap; else linearised variance with Student's t.
 * `alpha` is the effective one. */
void ml_delta_paired(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, struct ml_delta *out);

/* From two cards: se^2 = se1^2 + se2^2, normal. Needs both se. changed is the smaller number of rows, for nothing is
 * known. */
void ml_delta_unpaired(double current, double se_current, size_t rows_current, double candidate, double se_candidate,
    size_t rows_candidate, double alpha, struct ml_delta *out);

#endif
