/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intervals and tests in closed form (or one root away from it). */
#ifndef ML_STATS_INTERVAL_H
#define ML_STATS_INTERVAL_H

#include <stddef.h>

/* z is the normal quantile of the two-sided confidence (1.96 for .95) throughout. */

/* Score interval of a proportion p of n trials; n needn't be whole (an effective number). Wilson 1927, JASA 22, 209. */
void ml_wilson(double p, double n, double z, double *low, double *high);

/* Interval of an AUC from m positives and n negatives. Newcombe 2006, Statist. Med. 25, 559, method 5: |theta - auc| =
 * z sqrt(V(theta)), V = theta (1-theta) (1 + N ((1-theta)/(2-theta) + theta/(1+theta))) / (m n), N = (m+n)/2 - 1. */
void ml_newcombe5(double auc, double m, double n, double z, double *low, double *high);

/* Score interval of the difference (fixed - broken)/n of paired proportions. Tango 1998, Statist. Med. 17, 891, section
 * 2: (fixed - broken - n D) / sqrt(n (2 q(D) + D (1 - D))) = +-z, q(D) the larger root of 2n q^2 + B q + C = 0. */
void ml_tango(size_t n, size_t fixed, size_t broken, double z, double *low, double *high);

/* Mid-p of McNemar's exact conditional test. Fagerland, Lydersen & Laake 2013, BMC Med. Res. Methodol. 13:91: twice
 * P(X < k) + P(X = k)/2, k the smaller, X ~ Bin(fixed + broken, 1/2); 1 when both are 0. At least 1e-300. */
double ml_mcnemar_midp(size_t fixed, size_t broken);

/* value +- q se, and the same on the logit (value in (0, 1)): logit v +- q se / (v (1 - v)). */
void ml_interval_linear(double value, double se, double q, double *low, double *high);
void ml_interval_logit(double value, double se, double q, double *low, double *high);

/* A studentised mean t of n values with skewness g (their third moment over the cube of their deviation), made nearly
 * normal: t + c t^2/3 + c^2 t^3/27 + c/6, c = g/sqrt(n). Hall 1992, J. R. Statist. Soc. B 54, 221, transformation g1
 * with p(x) = (1 + 2x^2)/6. It grows with t. */
double ml_hall(double t, double c);

/* What the interval of one value between 0 and 1 is made of: with `neg` that by Newcombe's method 5 of `pos` and `neg`
 * rows, else with `pos` Wilson's of so many rows, else that on the logit, where the quantile is taken for a normal one
 * and Student's t with 1/`lost` degrees of freedom (0: as it is) stands in for it. With `odds` the value is 0 or 1,
 * none of `pos` rows having said otherwise: the exact limit of their share x, 1 - (p/2)^(1/pos) away (Clopper & Pearson
 * 1934, Biometrika 26, 404), of a metric that is x / (x + odds (1 - x)). With `curve` the farther of the logit's with
 * the standard error `alone`, and of a score interval: it ends where the difference is q standard errors as they are
 * there, V(d) = se^2 + slope d - curve d^2. That is Wilson's for one share p of n rows, with slope = (1 - 2p)/n and
 * curve = 1/n; of a mean of shares with parts c_k that move by parts t_k of d, curve = sum t_k^2/n_k; t_k are their
 * parts of the variance, which moves the mean farthest (Yan & Su 2010, Stat. Biopharm. Res. 2, 329, do so for strata).
 * The slope is the third moment over the second, as along an exponential family (Efron 1987, JASA 82, 171). */
struct ml_arm {
    double value, se;
    double pos, neg;
    double odds, lost;
    double alone, slope, curve; /* with curve > 0 a mean over classes */
};

/* How far below and above its value the interval at quantile q reaches. */
void ml_arm_reach(const struct ml_arm *arm, double q, double *below, double *above);

/* Difference of two values on the same rows from their own intervals [l, u] and the standard error of the difference,
 * "method of variance estimates recovery": b - a - sqrt((b-l_b)^2 + (u_a-a)^2 - 2r (b-l_b)(u_a-a)) and the mirror
 * image, r the correlation of the two values: se^2 = se_a^2 + se_b^2 - 2r se_a se_b; 0 where one value has no variance,
 * and -1, the worst, where neither has. Zou & Donner 2008, Statist. Med.
 * 27, 1693; of two areas under ROC curves on the logit Zou & Yue 2013, Statist. Med. 32, 5077. */
void ml_mover(const struct ml_arm *a, const struct ml_arm *b, double se, double q, double *low, double *high);

/* The quantile at which that interval ends at `bound`: above 0 where b - a is above the bound, INFINITY where it never
 * gets there. It lies on the same side of `near` as the interval at `near` tells. */
double ml_mover_quantile(const struct ml_arm *a, const struct ml_arm *b, double se, double bound, double near);

/* Tango's score of (fixed - broken)/n against a difference `d` in (-1, 1): +-z at the ends of his interval. */
double ml_tango_score(size_t n, size_t fixed, size_t broken, double d);

/* Each end the farther one of value +- q se and of the interval by that transformation: few rows of large influence
 * make the plain one lean away from them, and Hall's alone takes heavy tails for skewness. */
void ml_interval_skewed(double value, double se, double q, double c, double *low, double *high);

#endif
