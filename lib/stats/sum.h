/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sums that keep their digits: compensated summation with an exact two-sum (Ogita, Rump & Oishi 2005, SIAM J. Sci.
 * Comput. 26, 1955, algorithm 4.4). The order of the additions is the caller's, so results don't depend on threads. */
#ifndef ML_STATS_SUM_H
#define ML_STATS_SUM_H

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

#endif
