/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calibration in the large: whether probabilities promise more, or less, than comes true. */
#ifndef ML_STATS_BIAS_H
#define ML_STATS_BIAS_H

#include "stats/delta.h"

/* Mean predicted less mean observed (Cox 1958, Biometrika 45, 562; van Calster et al. 2016, J. Clin. Epidemiol. 74,
 * 167), weighted. Binary: of the positive class. Several classes: the mean of the largest score less the share of rows
 * that it is right about, the overconfidence. In units of probability, between -1 and 1; above 0 promises too much.
 * Measures as in ml_delta_paired, `alpha` of a two-sided interval. `out` gets both models' bias and its change with the
 * linearised standard error and Student's t; no value where scores are no probabilities. */
void ml_delta_bias(struct ml_measure *current, struct ml_measure *candidate, double alpha, struct ml_delta *out);

#endif
