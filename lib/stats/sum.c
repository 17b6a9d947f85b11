/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sums side by side. */
#include "stats/sum.h"

#include "base/processors.h"

/* Unrolled, the lanes would be numbers of their own, and no vector. */
#define EACH(l) _Pragma("GCC unroll 1") for (size_t l = 0; l < ML_SUM_LANES; l++)

static inline __attribute__((always_inline)) void add(struct ml_sums *a, size_t lane, double x)
{
    struct ml_sum one = { a->s[lane], a->c[lane] };

    ml_sum_add(&one, x);
    a->s[lane] = one.s;
    a->c[lane] = one.c;
}

ML_VECTORS void ml_sums_add(struct ml_sums *a, const double *x, size_t n)
{
    struct ml_sums sums = *a;
    size_t whole = n / ML_SUM_LANES * ML_SUM_LANES;

    for (size_t i = 0; i < whole; i += ML_SUM_LANES)
        EACH(l) add(&sums, l, x[i + l]);
    for (size_t i = whole; i < n; i++)
        add(&sums, i - whole, x[i]);
    *a = sums;
}

ML_VECTORS void ml_powers_add(struct ml_powers *a, const double *x, double about, size_t n)
{
    struct ml_powers sums = *a;
    size_t whole = n / ML_SUM_LANES * ML_SUM_LANES;

    for (size_t i = 0; i < whole; i += ML_SUM_LANES)
        EACH(l)
        {
            double d = x[i + l] - about;

            add(&sums.one, l, d);
            add(&sums.two, l, d * d);
            add(&sums.three, l, d * d * d);
            add(&sums.four, l, d * d * d * d);
        }
    for (size_t i = whole; i < n; i++) {
        double d = x[i] - about;

        add(&sums.one, i - whole, d);
        add(&sums.two, i - whole, d * d);
        add(&sums.three, i - whole, d * d * d);
        add(&sums.four, i - whole, d * d * d * d);
    }
    *a = sums;
}

struct ml_sum ml_sums_total(const struct ml_sums *a)
{
    struct ml_sum total = { 0, 0 };

    EACH(l)
    {
        ml_sum_add(&total, a->s[l]);
        ml_sum_add(&total, a->c[l]);
    }
    return total;
}

void ml_powers_total(const struct ml_powers *a, struct ml_sum out[4])
{
    const struct ml_sums *const of[4] = { &a->one, &a->two, &a->three, &a->four };

    for (int k = 0; k < 4; k++)
        out[k] = ml_sums_total(of[k]);
}
