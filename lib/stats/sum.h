/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sums that keep their digits: compensated summation with an exact two-sum (Ogita, Rump & Oishi 2005, SIAM J. Sci.
 * Comput. 26, 1955, algorithm 4.4). The order of the additions is the caller's, so results don't depend on threads. */
#ifndef ML_STATS_SUM_H
#define ML_STATS_SUM_H

#include <stddef.h>

struct ml_sum {
    double s, c;
};

static inline void ml_sum_add(struct ml_sum *a, double x)
{
    double t = a->s + x;
    double b = t - a->s;

    a->c += (a->s - (t - b)) + (x - b);
    a->s = t;
}

/* Adds what another sum has come to. */
static inline void ml_sum_join(struct ml_sum *a, const struct ml_sum *b)
{
    ml_sum_add(a, b->s);
    ml_sum_add(a, b->c);
}

static inline double ml_sum_value(const struct ml_sum *a)
{
    return a->s + a->c;
}

/* Eight such sums side by side, as wide instructions add them: the numbers i, i + 8, i + 16 .. go to the i-th. */
#define ML_SUM_LANES 8

struct ml_sums {
    double s[ML_SUM_LANES], c[ML_SUM_LANES];
};

/* Sums of d = x - about, and of its powers. */
struct ml_powers {
    struct ml_sums one, two, three, four;
};

/* Adds n more numbers, a multiple of ML_SUM_LANES but for the last ones. The same bits with any instructions. */
void ml_sums_add(struct ml_sums *a, const double *x, size_t n);
void ml_powers_add(struct ml_powers *a, const double *x, double about, size_t n);

/* What all eight come to. */
struct ml_sum ml_sums_total(const struct ml_sums *a);
void ml_powers_total(const struct ml_powers *a, struct ml_sum out[4]); /* of d to d^4 */

#endif
