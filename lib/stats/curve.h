/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Curves of a binary score over all thresholds, with as many points as a picture needs. */
#ifndef ML_STATS_CURVE_H
#define ML_STATS_CURVE_H

#include "stats/measure.h"

#define ML_CURVE_POINTS 200    /* about so many are kept */
#define ML_CURVE_AREA   0.0001 /* the area below the line through them is off by less */

/* A line from the highest threshold down. Starts zeroed. */
struct ml_curve {
    size_t n;
    double *x, *y;
    double *threshold; /* rows of this score and above are positive; NaN: none are (the first point) */
};

/* ROC: x the false, y the true positive rate, from (0, 0) to (1, 1). Precision and recall: x recall, y precision, from
 * (0, 1) on. Points are scikit-learn's; those are left out first whose triangle with their neighbours is smallest
 * (Visvalingam & Whyatt 1993, Cartogr. J. 30, 46), which begins with those on a line, until ML_CURVE_POINTS are left or
 * the area would be off by more than ML_CURVE_AREA. False with a reason (static text): one class, no scores. */
bool ml_curve_roc(struct ml_measure *m, struct ml_curve *out, const char **reason);
bool ml_curve_pr(struct ml_measure *m, struct ml_curve *out, const char **reason);
void ml_curve_release(struct ml_curve *c);

#endif
