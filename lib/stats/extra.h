/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Further tests of a difference, beside the one that its verdict rests on. Both measures are of the same rows, as in
 * ml_delta_paired; the unit is the row, or the group where rows come in groups. */
#ifndef ML_STATS_EXTRA_H
#define ML_STATS_EXTRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/delta.h"

enum ml_extra {
    ML_EXTRA_TOST = 1,
    ML_EXTRA_WILCOXON = 2,
    ML_EXTRA_PERMUTATION = 4,
    ML_EXTRA_BOOTSTRAP = 8,
};

#define ML_PERMUTATIONS 9999 /* as scipy.stats.permutation_test has it */

/* Fields that don't apply are 0. Without `ok` there is only the reason (static text); a bootstrap that is `ok` and has
 * no BCa interval says there why. */
struct ml_extra_result {
    bool ok;
    const char *reason;
    double statistic;  /* wilcoxon: the smaller sum of ranks */
    double p;          /* tost: the larger of the two one-sided p; others two-sided */
    bool exact;        /* wilcoxon, permutation: from the whole distribution */
    size_t n;          /* wilcoxon: units that differ */
    size_t replicates; /* permutation, bootstrap: how many were looked at */
    size_t undefined;  /* of them without a value */
    double low, high;  /* bootstrap: percentile interval */
    bool has_bca;      /* the metric has an influence function, and some replicates lie on either side */
    double bca[2];     /* bootstrap: the BCa interval */
    double z0, acceleration;
};

/* Two one-sided tests (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657) of |difference| >= margin, each by
 * the method of the metric's own interval (ml_delta_beyond): p is at most alpha where the interval of 1 - 2 alpha lies
 * within the margin. For a mean of losses no less than statsmodels' ttost_paired, which leaves out skewness and finds
 * differences of the margin's size equivalent in 6 to 7 % of 300 rows at a nominal 5 %. */
void ml_extra_tost(const struct ml_delta *d, double margin, struct ml_extra_result *out);

/* Wilcoxon's signed ranks (1945, Biometrics Bull. 1, 80) of the units' differences, those that are 0 left out: exact up
 * to 50 units that differ by different amounts, else normal with the correction for ties, as scipy.stats.wilcoxon with
 * zero_method="wilcox". Units are rows, or groups with their mean difference; queries with theirs. For means of a loss
 * a row (or of a query's value), without weights. */
void ml_extra_wilcoxon(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    struct ml_extra_result *out);

/* Permutation test: the two models' answers are exchanged in each unit or not, all ways alike (Fisher 1935, The Design
 * of Experiments, 21; scipy's permutation_type="samples", and its two-sided p). All 2^k ways of the k units that differ
 * when those are at most ML_PERMUTATIONS, or, where all differences are of one size, by the binomial; else
 * ML_PERMUTATIONS ways at random, by (seed, replicate, unit), whatever the number of threads. Time: replicates x units
 * that differ for means of a loss a row; replicates x the metric's own for others. */
void ml_extra_permutation(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    uint64_t seed, struct ml_extra_result *out);

/* Bootstrap of the difference: percentile interval and p as in ml_delta_paired, and Efron's BCa (1987, JASA 82, 171)
 * with the acceleration of the influences and quantiles interpolated as R's boot.ci does. */
void ml_extra_bootstrap(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, struct ml_extra_result *out);

/* What the first three look at: the rows' differences in loss (or hits), candidate - current, of the rows that are
 * measured. False for a metric that is no mean of such. */
bool ml_delta_losses(
    struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric, double *out);

/* The two tests on numbers alone: d[0..n-1] is overwritten. */
void ml_signed_rank(double *d, size_t n, struct ml_extra_result *out);
void ml_sign_flips(double *d, size_t n, uint64_t seed, size_t replicates, struct ml_extra_result *out);

/* The BCa limits from replicates (sorted in place), the value and the units' influences; false where there are none. */
bool ml_boot_bca(double *values, size_t n, double value, const double *influence, size_t units, double alpha,
    struct ml_extra_result *out);

#endif
