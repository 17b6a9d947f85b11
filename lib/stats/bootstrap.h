/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Percentile bootstrap (Efron & Tibshirani 1993, An Introduction to the Bootstrap, 13.3) of rows, or of groups where
 * rows come in groups. Multinomial counts up to 10^4 units, Poisson(1) counts above (Chamandy et al. 2012). Random
 * numbers are Philox 4x32-10 keyed by (seed, replicate, block of rows), so that results depend on nothing but the seed.
 */
#ifndef ML_STATS_BOOTSTRAP_H
#define ML_STATS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_BOOT_MULTINOMIAL 10000 /* up to so many units; Poisson counts above */
#define ML_BOOT_UNDEFINED   0.01  /* share of replicates that may be undefined */
#define ML_BOOT_TOO_FEW     "undefined in more than 1 % of the replicates"

struct ml_boot {
    bool force;         /* also where a linearised interval exists */
    uint64_t seed;      /* 0 by default */
    size_t replicates;  /* 0: max(2000, 200 comparisons) */
    size_t comparisons; /* k: how many tests the correction is over */
};

/* Counts of one replicate: how often each of n units was drawn. */
void ml_boot_counts(uint64_t seed, uint64_t replicate, size_t n, uint32_t *counts);

/* A strip of replicates first .. first+lanes-1 of n units: counts[unit * lanes + lane], each what ml_boot_counts gives
 * (a count over 255, of which nobody will see one, is 255). Powers of 2 from 8 lanes on are fast, 64 the fastest. */
void ml_boot_strip(uint64_t seed, uint64_t first, size_t lanes, size_t n, uint8_t *counts);

/* The units from..end-1 of a strip of more than ML_BOOT_MULTINOMIAL; lanes is a power of 2, from a multiple of
 * ML_PARALLEL_ROWS. */
void ml_boot_strip_part(uint64_t seed, uint64_t first, size_t lanes, size_t from, size_t end, uint8_t *counts);

/* The same for n units that are part of something larger: each count is Poisson(1), and 15 at most (more are as rare as
 * 2 in 10^14). */
void ml_boot_poisson(uint64_t seed, uint64_t replicate, size_t n, uint32_t *counts);

/* The sum of `units` such counts that nobody needs one by one, which is Poisson(units): by Hoermann's transformed
 * rejection (1993, Insurance: Math. Econ. 12, 39, algorithm PTRS). Streams of one replicate differ. */
double ml_boot_poisson_sum(uint64_t seed, uint64_t replicate, unsigned stream, size_t units);

/* Random bits, 32 a word, from blocks that no count uses. */
void ml_boot_bits(uint64_t seed, uint64_t replicate, size_t words, uint32_t *out);

size_t ml_boot_replicates(const struct ml_boot *b); /* b NULL: the default */

/* Percentile interval of n values (sorted in place): type 7 quantiles at (1-confidence)/2 and its complement. n >= 1.
 */
void ml_boot_interval(double *values, size_t n, double confidence, double *low, double *high);

/* Standard deviation of n >= 2 values. */
double ml_boot_deviation(const double *values, size_t n);

/* Two-sided p of n replicates of a difference: 2 min(1 + #<=0, 1 + #>=0) / (n + 1), at most 1 (Davison & Hinkley
 * 1997, 4.2.5). */
double ml_boot_p(const double *values, size_t n);

#endif
