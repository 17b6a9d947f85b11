/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Curves of a binary score over all thresholds, with as many points as a picture needs. */
#ifndef ML_STATS_CURVE_H
#define ML_STATS_CURVE_H

#include "stats/measure.h"

#define ML_CURVE_POINTS 200    /* about so many are kept */
#define ML_CURVE_AREA   0.0001 /* thinning keeps the area below the line through all points but for so much */

/* A line from the highest threshold down. Starts zeroed. */
struct ml_curve {
    size_t n;
    double *x, *y;
    double *threshold; /* rows of this score and above are positive; NaN: none are (the first point) */
    double *area;      /* below the whole curve, thinned or not, up to this point */
};

/* ROC: x the false, y the true positive rate, from (0, 0) to (1, 1). Precision and recall: x recall, y precision, from
 * (0, 1) on. Points are scikit-learn's; those are left out first whose triangle with their neighbours is smallest
 * (Visvalingam & Whyatt 1993, Cartogr. J. 30, 46), which begins with those without which the curve is the same, until
 * ML_CURVE_POINTS are left or the area would be off by more than ML_CURVE_AREA.
 *
 * No area is lost: the last of `area` is roc_auc (below the ROC's line) and average_precision (below steps, as that is
 * defined), whatever was left out. Where more went than what is needless, others of the curve's points stand instead of
 * some, so that the line through them has that area too: to about 1e-7, where the curve has such points (one of few
 * tied scores bends one way only; a few heavy rows make teeth that no line has). Steps through so few points cannot
 * have it: of a falling curve they are off by half of what it falls by in one of 200 parts. False with a reason (static
 * text): one class, no scores. */
bool ml_curve_roc(struct ml_measure *m, struct ml_curve *out, const char **reason);
bool ml_curve_pr(struct ml_measure *m, struct ml_curve *out, const char **reason);
void ml_curve_release(struct ml_curve *c);

#endif
