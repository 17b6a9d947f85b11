/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Do things happen as often as the probabilities say? Rows by their probability, and the line through the log odds. Of
 * several classes it is the largest probability, and whether its class is right. */
#ifndef ML_STATS_CALIBRATION_H
#define ML_STATS_CALIBRATION_H

#include "stats/measure.h"

#define ML_BINS_MAX ((size_t)10000)

/* Rows whose probability lies in (low, high], in the lowest bin in [0, high]: the bins of Guo et al. 2017, ICML,
 * section 2, and of scikit-learn's calibration_curve. */
struct ml_calibration_bin {
    double low, high;
    size_t rows;
    double weight;                      /* the bin's share of all weights */
    double predicted;                   /* mean probability */
    double observed;                    /* share of positives, or of right answers */
    double observed_low, observed_high; /* Wilson's, with the rows that they are worth */
};

/* Fills `out` (room for `bins`, 1..ML_BINS_MAX) with those that have rows, ascending; returns how many. 0 with a reason
 * (static text): scores that are no probabilities, no rows. */
size_t ml_calibration_bins(
    struct ml_measure *m, size_t bins, double confidence, struct ml_calibration_bin *out, const char **reason);

/* logit P(positive) = intercept + slope logit(score), by maximum likelihood (Cox 1958, Biometrika 45, 562): 0 and 1
 * when the probabilities are right. Scores are clipped at 2^-52. Of 2^18 rows and more the sums are taken over nodes
 * that stand for the rows of narrow bins, where that is as good as 1e-10 (calibration_line.c). Standard errors are
 * sandwich ones, by groups where rows come in groups; intervals Student's. */
struct ml_calibration_line {
    double slope, intercept, slope_se, intercept_se;
    double slope_low, slope_high, intercept_low, intercept_high;
};

/* Two classes only. False with a reason: there is no such line, or no standard error. `confidence` 0: slope and
 * intercept are all that is asked for. */
bool ml_calibration_fit(struct ml_measure *m, double confidence, struct ml_calibration_line *out, const char **reason);

#endif
