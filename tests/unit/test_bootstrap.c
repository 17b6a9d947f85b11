/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts of replicates: a strip of them against one by one, and their distribution. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/bootstrap.h"

/* Strips of 8 replicates and more may be made by wide instructions, those of fewer aren't; one by one is plain. */
static void strips_are_replicates(void **state)
{
    static const size_t lanes[] = { 128, 64, 32, 16, 8, 4, 1, 3 };
    static const uint64_t firsts[] = { 5, UINT32_MAX - 20 };
    static const size_t sizes[] = { ML_BOOT_MULTINOMIAL + 7, ML_BOOT_MULTINOMIAL + 504, 40, 0 };

    (void)state;
    for (size_t k = 0; k < 8 * 2 * 4; k++) {
        size_t m = lanes[k / 8], n = sizes[k / 2 % 4];
        uint8_t *strip = ml_malloc(n * m + 1);
        uint32_t *one = ml_malloc((n + 1) * sizeof *one);
        strip[n * m] = 99;
        ml_boot_strip(0x123456789abcdef, firsts[k % 2], m, n, strip);
        for (size_t l = 0; l < m; l++) {
            ml_boot_counts(0x123456789abcdef, firsts[k % 2] + l, n, one);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(strip[i * m + l], one[i]);
        }
        assert_int_equal(strip[n * m], 99);
        free(one);
        free(strip);
    }
}

/* A part of a strip is what the whole has there, and nothing else is written. */
static void parts_are_of_a_strip(void **state)
{
    static const size_t lanes[] = { 64, 32, 8 };
    const size_t n = 2 * ML_PARALLEL_ROWS + 77;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        size_t m = lanes[k];
        uint8_t *whole = ml_malloc(n * m), *part = ml_malloc(n * m);
        ml_boot_strip(7, 3, m, n, whole);
        for (size_t block = 0; block < 3; block++) {
            size_t from = block * ML_PARALLEL_ROWS * m, end = ml_parallel_end(n, block) * m;
            memset(part, 99, n * m);
            ml_boot_strip_part(7, 3, m, from / m, end / m, part);
            assert_memory_equal(part + from, whole + from, end - from);
            for (size_t i = 0; i < n * m; i++)
                assert_true((i >= from && i < end) || part[i] == 99);
        }
        free(whole);
        free(part);
    }
}

#define CELLS 12 /* counts of 0, 1 .. 10, and more */

static double poisson(int k)
{
    double p = exp(-1), below = 0;

    for (int i = 1; i <= k; i++) {
        below += p;
        p /= i;
    }
    return k < CELLS - 1 ? p : 1 - below;
}

/* 64 million draws: mean, variance and shares of the counts. The rests are 2^-13 of them, and half of all counts
 * above 6. The quantile of chi-square with 11 degrees of freedom at 1 - 1e-5 is 44.2. */
static void counts_are_poisson(void **state)
{
    enum { ROWS = 1000000, LANES = 64 };
    static uint64_t seen[256];
    uint8_t *strip = ml_malloc((size_t)ROWS * LANES);
    double n = (double)ROWS * LANES, mean = 0, square = 0, chi = 0;

    (void)state;
    ml_boot_strip(11, 0, LANES, ROWS, strip);
    for (size_t i = 0; i < (size_t)ROWS * LANES; i++)
        seen[strip[i]]++;
    free(strip);
    for (int k = 0; k < 256; k++) {
        mean += (double)seen[k] / n * k;
        square += (double)seen[k] / n * (k - 1) * (k - 1);
        if (k >= CELLS)
            seen[CELLS - 1] += seen[k];
        assert_true(k <= 15 || seen[k] == 0);
    }
    for (int k = 0; k < CELLS; k++)
        chi += ((double)seen[k] - n * poisson(k)) * ((double)seen[k] - n * poisson(k)) / (n * poisson(k));
    if (fabs(mean - 1) > 4.5 / sqrt(n) || fabs(square - 1) > 4.5 * sqrt(3 / n) || chi > 44.2)
        fail_msg("mean %.6f, variance %.6f, chi-square %.1f", mean, square, chi);
}

/* Pairs of draws that a mistake could tie to each other: of rows that share a word or a block, of neighbouring blocks,
 * replicates and seeds. Counts of 0, 1, 2 and more of both: 15 degrees of freedom, the same quantile is 51.4; and
 * products of deviations, whose variance is 1. */
static void draws_are_independent(void **state)
{
    enum { ROWS = 200003, LANES = 64 };
    static const struct {
        size_t row, lane;
        int seed;
    } far[] = { { 1, 0, 0 }, { 2, 0, 0 }, { 7, 0, 0 }, { 8, 0, 0 }, { 64, 0, 0 }, { 4096, 0, 0 }, { 0, 1, 0 },
        { 0, 4, 0 }, { 0, 8, 0 }, { 0, 32, 0 }, { 1, 1, 0 }, { 8, 1, 0 }, { 0, 0, 1 }, { 8, 0, 1 } };
    uint8_t *strip[2] = { ml_malloc((size_t)ROWS * LANES), ml_malloc((size_t)ROWS * LANES) };

    (void)state;
    for (uint64_t s = 0; s < 2; s++)
        ml_boot_strip(s, 0, LANES, ROWS, strip[s]);
    for (size_t t = 0; t < sizeof far / sizeof *far; t++) {
        double p[4] = { poisson(0), poisson(1), poisson(2), 1 - poisson(0) - poisson(1) - poisson(2) }, n = 0, chi = 0;
        int64_t products = 0;
        uint64_t seen[4][4] = { { 0 } };

        for (size_t i = 0; i + far[t].row < ROWS; i++)
            for (size_t l = 0; l + far[t].lane < LANES; l++, n++) {
                int a = strip[0][i * LANES + l];
                int b = strip[far[t].seed][(i + far[t].row) * LANES + l + far[t].lane];

                products += (a - 1) * (b - 1);
                seen[a < 3 ? a : 3][b < 3 ? b : 3]++;
            }
        for (int c = 0; c < 16; c++) {
            double want = n * p[c / 4] * p[c % 4];
            chi += ((double)seen[c / 4][c % 4] - want) * ((double)seen[c / 4][c % 4] - want) / want;
        }
        if (chi > 51.4 || fabs((double)products) > 4.5 * sqrt(n))
            fail_msg("%zu rows and %zu replicates off, %d seeds: correlation %.5f, chi-square %.1f", far[t].row,
                far[t].lane, far[t].seed, (double)products / n, chi);
    }
    free(strip[0]);
    free(strip[1]);
}

static void deviation_goes_with_the_unit(void **state)
{
    static const double some[] = { 1.5, 2, -3.25, 0, 7 };
    double scaled[5], want = ml_boot_deviation(some, 5);

    (void)state;
    assert_float_equal(want, 3.7181984885156414, 1e-15);
    for (int e = -1000; e <= 1020; e += 20) {
        for (int i = 0; i < 5; i++)
            scaled[i] = ldexp(some[i], e);
        if (ml_boot_deviation(scaled, 5) != ldexp(want, e))
            fail_msg("2^%d: %g", e, ml_boot_deviation(scaled, 5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deviation_goes_with_the_unit),
        cmocka_unit_test(strips_are_replicates),
        cmocka_unit_test(parts_are_of_a_strip),
        cmocka_unit_test(counts_are_poisson),
        cmocka_unit_test(draws_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
