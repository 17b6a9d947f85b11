/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bootstrap replicates from counter-based random numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE_STRIPS
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "base/processors.h"
#include "stats/bootstrap.h"

#define REPLICATES 2000
#define PER_TEST   200

/* Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011, SC'11, "Parallel random numbers: as easy as 1, 2, 3", section 3.4).
 */
static void philox(uint64_t seed, uint64_t replicate, uint64_t block, uint32_t out[4])
{
    uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)replicate, (uint32_t)(replicate >> 32) };
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c[0], p1 = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, next2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;

        c[0] = next0;
        c[1] = (uint32_t)p1;
        c[2] = next2;
        c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    memcpy(out, c, sizeof c);
}

/* Poisson(1) by inversion: the cumulative probabilities, times 2^32. */
#define CUMULATIVE 13

static const uint32_t cumulative[CUMULATIVE] = { 1580030168u, 3160060337u, 3950075421u, 4213413783u, 4279248373u,
    4292415291u, 4294609777u, 4294923276u, 4294962463u, 4294966817u, 4294967252u, 4294967292u, 4294967295u };

static uint32_t poisson(uint32_t u)
{
    uint32_t k = 0;

    while (k < CUMULATIVE && u >= cumulative[k])
        k++;
    return k;
}

void ml_boot_poisson(uint64_t seed, uint64_t replicate, size_t n, uint32_t *counts)
{
    uint32_t u[4];

    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            philox(seed, replicate, i / 4, u);
        counts[i] = poisson(u[i % 4]);
    }
}

void ml_boot_counts(uint64_t seed, uint64_t replicate, size_t n, uint32_t *counts)
{
    uint32_t u[4];

    if (n > ML_BOOT_MULTINOMIAL) {
        ml_boot_poisson(seed, replicate, n, counts);
        return;
    }
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            philox(seed, replicate, i / 4, u);
        counts[(uint64_t)u[i % 4] * n >> 32]++;
    }
}

#define LANES          32 /* the most replicates at once */
#define EACH(l, lanes) for (int l = 0; l < (lanes); l++)

/* Philox and Poisson for many replicates side by side. */
static inline __attribute__((always_inline)) void strip(
    uint64_t seed, uint64_t first, size_t n, uint8_t *counts, size_t stride, int lanes)
{
    for (size_t block = 0; block * 4 < n; block++) {
        uint32_t c[4][LANES], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

        EACH(l, lanes)
        {
            c[0][l] = (uint32_t)block;
            c[1][l] = (uint32_t)(block >> 32);
            c[2][l] = (uint32_t)(first + (uint64_t)l);
            c[3][l] = (uint32_t)((first + (uint64_t)l) >> 32);
        }
        for (int round = 0; round < 10; round++) {
            EACH(l, lanes)
            {
                uint64_t p0 = (uint64_t)0xD2511F53 * c[0][l], p1 = (uint64_t)0xCD9E8D57 * c[2][l];

                c[0][l] = (uint32_t)(p1 >> 32) ^ c[1][l] ^ k0;
                c[2][l] = (uint32_t)(p0 >> 32) ^ c[3][l] ^ k1;
                c[1][l] = (uint32_t)p1;
                c[3][l] = (uint32_t)p0;
            }
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        for (size_t q = 0; q < 4 && block * 4 + q < n; q++) {
            uint8_t *to = counts + (block * 4 + q) * stride;
            uint32_t k[LANES] = { 0 };

            for (int b = 0; b < CUMULATIVE; b++)
                EACH(l, lanes) k[l] += c[q][l] >= cumulative[b];
            EACH(l, lanes) to[l] = (uint8_t)k[l];
        }
    }
}

#ifdef WIDE_STRIPS
/* The same 16 replicates at a time: products of the lower halves of 64 bits, of which the upper halves may hold
 * anything. */
__attribute__((target("avx512f"))) static void strip_wide(
    uint64_t seed, uint64_t first, size_t n, uint8_t *counts, size_t lanes)
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57), one = _mm512_set1_epi32(1);
    const __m512i iota = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);

    for (size_t i = 0; i < n; i += 4)
        for (size_t lane = 0; lane < lanes; lane += 16) {
            __m512i c[2][4];
            uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

            for (size_t h = 0; h < 2; h++) {
                c[h][0] = _mm512_set1_epi64((long long)(i / 4));
                c[h][1] = _mm512_srli_epi64(c[h][0], 32);
                c[h][2] = _mm512_add_epi64(_mm512_set1_epi64((long long)(first + lane + 8 * h)), iota);
                c[h][3] = _mm512_srli_epi64(c[h][2], 32);
            }
            for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
                const __m512i key0 = _mm512_set1_epi64(k0), key1 = _mm512_set1_epi64(k1);

                for (int h = 0; h < 2; h++) {
                    __m512i p0 = _mm512_mul_epu32(m0, c[h][0]), p1 = _mm512_mul_epu32(m1, c[h][2]);

                    c[h][0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c[h][1], key0, 0x96);
                    c[h][2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c[h][3], key1, 0x96);
                    c[h][1] = p1;
                    c[h][3] = p0;
                }
            }
            for (size_t q = 0; q < 4 && i + q < n; q++) {
                __m512i u = _mm512_inserti64x4(
                    _mm512_castsi256_si512(_mm512_cvtepi64_epi32(c[0][q])), _mm512_cvtepi64_epi32(c[1][q]), 1);
                __m512i k = _mm512_setzero_si512();
                __mmask16 at_least = 0xFFFF;

                for (int b = 0; b < CUMULATIVE && at_least; b++) {
                    at_least = _mm512_cmpge_epu32_mask(u, _mm512_set1_epi32((int)cumulative[b]));
                    k = _mm512_mask_add_epi32(k, at_least, k, one);
                }
                _mm_storeu_si128((__m128i *)(void *)(counts + (i + q) * lanes + lane), _mm512_cvtepi32_epi8(k));
            }
        }
}
#endif

ML_VECTORS static void strip_32(uint64_t seed, uint64_t first, size_t n, uint8_t *counts, size_t stride)
{
    strip(seed, first, n, counts, stride, 32);
}

ML_VECTORS static void strip_8(uint64_t seed, uint64_t first, size_t n, uint8_t *counts, size_t stride)
{
    strip(seed, first, n, counts, stride, 8);
}

void ml_boot_strip(uint64_t seed, uint64_t first, size_t lanes, size_t n, uint8_t *counts)
{
    uint32_t *one;

#ifdef WIDE_STRIPS
    if (n > ML_BOOT_MULTINOMIAL && lanes % 16 == 0 && __builtin_cpu_supports("avx512f")) {
        strip_wide(seed, first, n, counts, lanes);
        return;
    }
#endif
    if (n > ML_BOOT_MULTINOMIAL && lanes % 8 == 0) {
        for (size_t at = 0; at < lanes; at += lanes % 32 ? 8 : 32)
            (lanes % 32 ? strip_8 : strip_32)(seed, first + at, n, counts + at, lanes);
        return;
    }
    one = ml_malloc((n + 1) * sizeof *one);
    for (size_t l = 0; l < lanes; l++) {
        ml_boot_counts(seed, first + l, n, one);
        for (size_t i = 0; i < n; i++)
            counts[i * lanes + l] = one[i] > UINT8_MAX ? UINT8_MAX : (uint8_t)one[i];
    }
    free(one);
}

/* Two numbers in (0, 1) with 53 bits, from blocks that no row uses. */
static void uniforms(uint64_t seed, uint64_t replicate, unsigned stream, uint64_t at, double out[2])
{
    uint32_t u[4];

    philox(seed, replicate, (uint64_t)1 << 63 | (uint64_t)stream << 48 | at, u);
    for (int i = 0; i < 2; i++)
        out[i] = ((double)(((uint64_t)u[2 * i] << 32 | u[2 * i + 1]) >> 11) + 0.5) * 0x1p-53;
}

double ml_boot_poisson_sum(uint64_t seed, uint64_t replicate, unsigned stream, size_t units)
{
    double mu = (double)units, b = 0.931 + 2.53 * sqrt(mu), a = -0.059 + 0.02483 * b, u[2], sum = 0;

    for (size_t i = 0; units < 10 && i < units; i++) {
        uniforms(seed, replicate, stream, i, u);
        sum += poisson((uint32_t)(u[0] * 0x1p32));
    }
    for (uint64_t at = 0; units >= 10; at++) {
        double shift, v, k;

        uniforms(seed, replicate, stream, at, u);
        shift = 0.5 - fabs(u[0] - 0.5);
        v = u[1];
        k = floor((2 * a / shift + b) * (u[0] - 0.5) + mu + 0.43);
        if (shift >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2))
            return k;
        if (k < 0 || (shift < 0.013 && v > shift))
            continue;
        if (log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (shift * shift) + b)) <= k * log(mu) - mu - lgamma(k + 1))
            return k;
    }
    return sum;
}

void ml_boot_bits(uint64_t seed, uint64_t replicate, size_t words, uint32_t *out)
{
    uint32_t u[4];

    for (size_t i = 0; i < words; i++) {
        if (i % 4 == 0)
            philox(seed, replicate, (uint64_t)1 << 62 | i / 4, u);
        out[i] = u[i % 4];
    }
}

size_t ml_boot_replicates(const struct ml_boot *b)
{
    if (b && b->replicates)
        return b->replicates;
    return b && b->comparisons > REPLICATES / PER_TEST ? PER_TEST * b->comparisons : REPLICATES;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;

    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

void ml_boot_interval(double *values, size_t n, double confidence, double *low, double *high)
{
    qsort(values, n, sizeof *values, by_value);
    *low = quantile(values, n, (1 - confidence) / 2);
    *high = quantile(values, n, (1 + confidence) / 2);
}

double ml_boot_deviation(const double *values, size_t n)
{
    double mean = 0, squares = 0;

    for (size_t i = 0; i < n; i++) { /* Welford 1962, Technometrics 4, 419 */
        double d = values[i] - mean;

        mean += d / (double)(i + 1);
        squares += d * (values[i] - mean);
    }
    return sqrt(squares / (double)(n - 1));
}

double ml_boot_p(const double *values, size_t n)
{
    size_t below = 0, above = 0;

    for (size_t i = 0; i < n; i++) {
        below += values[i] <= 0;
        above += values[i] >= 0;
    }
    return fmin(1, 2.0 * (1.0 + (double)(below < above ? below : above)) / ((double)n + 1));
}
