/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several runs (seeds) of a model on the same rows: a difference that holds for other seeds, too, not for these fits
 * alone. */
#ifndef ML_STATS_RUNS_H
#define ML_STATS_RUNS_H

#include <stddef.h>

#include "stats/delta.h"

#define ML_RUNS_MAX 1000

/* One model's runs: measures of the same rows in the same order, and what came out of each. */
struct ml_runs {
    struct ml_measure **m; /* borrowed */
    size_t n;              /* at least 1 */
    double *values;        /* room for n; filled when all have a value */
    double se;             /* of the mean, from the spread between the runs alone; 0 for a single run */
};

/* The difference of the models' means over their runs. Two independent sources of chance (Bouthillier et al. 2021,
 * MLSys, "Accounting for variance in machine learning benchmarks", 3.1) add up:
 *   se^2 = se_test^2 + s_current^2 / R_current + s_candidate^2 / R_candidate
 * with se_test the linearised standard error of the difference of the mean influences (as ml_delta_paired, whose floor
 * holds here too), s^2 the variance between runs of a model with R > 1. A model with one run is taken as it is: the one
 * that is in production. Student's t with Satterthwaite's degrees of freedom (1946, Biometrics Bull. 2, 110), of which
 * the parts have G-1 and R-1; where a model has just two runs, 1, for a variance of two may come out next to 0. What
 * rows and runs have in common is in both parts, so the interval is too wide rather than too narrow (by at most
 * sqrt 2). `test` and `interval` are "runs", `changed`, `fixed` and `broken` are of the first run of each. `se_test` as
 * above. */
void ml_delta_runs(struct ml_runs *current, struct ml_runs *candidate, const struct ml_metric *metric, double alpha,
    const struct ml_boot *boot, struct ml_delta *out, double *se_test);

/* The mean of one model's runs, for other rows and other seeds: each end is as far from it as the root of the sum of
 * two squares, of how far the runs' own ends are from their values on average, and of t of R-1 times the standard error
 * that their spread has (Zou & Donner 2008, Stat. Med. 27, 1693). The former keeps what each metric's own interval is
 * good at, such as values near 1. `interval` is "runs"; v.n that of the run with the fewest. */
void ml_runs_estimate(struct ml_runs *r, const struct ml_metric *metric, double confidence, const struct ml_boot *boot,
    struct ml_estimate *out);

#endif
