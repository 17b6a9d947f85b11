/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Distribution functions; the one place that talks to GSL. */
#ifndef ML_STATS_DIST_H
#define ML_STATS_DIST_H

#include <stdint.h>

double ml_normal_cdf(double x);
double ml_normal_quantile(double p);  /* 0 < p < 1 */
double ml_normal_two_sided(double z); /* P(|Z| >= |z|), at least 1e-300 */

double ml_t_quantile(double p, double df);  /* 0 < p < 1, df > 0; normal for infinite df */
double ml_t_two_sided(double t, double df); /* P(|T| >= |t|), at least 1e-300 */
/* P(T > q) of the noncentral t: of (Z + shift) / S, with Z normal and S^2 a chi-square of df, 1 or more, by df; normal
 * for infinite df. By Simpson's rule, to 1e-8 where q is below 20, else to 1e-2 (of one degree of freedom, far out). */
double ml_t_beyond(double q, double df, double shift);
/* The same with a part of the way that doesn't vary: P(Z + shift > hypot(fixed, q S)), neither below 0. */
double ml_t_beyond_both(double fixed, double q, double df, double shift);

/* To 1e-12 up to 10^7 rows; the latter takes time in proportion to the root of n. */
double ml_binomial_pmf(uint64_t k, uint64_t n, double p);
double ml_binomial_cdf(uint64_t k, uint64_t n, double p); /* P(X <= k) */

#endif
