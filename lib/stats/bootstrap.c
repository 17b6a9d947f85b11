/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bootstrap replicates from counter-based random numbers. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && !defined(__clang__)
#define WIDE_TILES
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

/* Poisson(1) from 16 bits by the table method (Marsaglia 1963, Comm. ACM 6, 37; Marsaglia, Tsang & Wang 2004, J. Stat.
 * Software 11(3)): of the 65536 values, floor(65536 P(k)) are k's for certain, those from whole[k-1] to whole[k] - 1.
 * The last five stand for the fractions that are left of all k together, and 32 more bits choose among these: part[k]
 * is their cumulative share, times 2^32. So each probability is right to 2^-45; 15 stands for all from there on
 * (2e-14). */
#define WHOLE 8
#define REST  65531
#define PARTS 15

static const uint16_t whole[WHOLE - 1] = { 24109, 48218, 60272, 64290, 65294, 65494, 65527 };
static const uint32_t part[PARTS] = { 298119359u, 596238719u, 1174795128u, 1367647264u, 1845357028u, 2628093748u,
    3044881021u, 3717988817u, 4231624021u, 4288694599u, 4294401657u, 4294920480u, 4294963716u, 4294967042u,
    4294967279u };

static uint8_t poisson(uint16_t u, uint32_t more)
{
    uint8_t k = 0;

    while (k < WHOLE - 1 && u >= whole[k])
        k++;
    if (u < REST)
        return k;
    for (k = 0; k < PARTS && more >= part[k];)
        k++;
    return k;
}

/* A block of random numbers is for eight rows, 16 bits each, the lower half of a word before its upper half. */
#define BLOCK 8

static uint8_t draw(const uint32_t block[4], uint64_t seed, uint64_t replicate, uint64_t row)
{
    uint16_t u = (uint16_t)(block[row % BLOCK / 2] >> 16 * (row % 2));
    uint32_t more[4] = { 0 };

    if (u >= REST)
        philox(seed, replicate, (uint64_t)1 << 61 | row, more);
    return poisson(u, more[0]);
}

void ml_boot_poisson(uint64_t seed, uint64_t replicate, size_t n, uint32_t *counts)
{
    uint32_t block[4];

    for (size_t i = 0; i < n; i++) {
        if (i % BLOCK == 0)
            philox(seed, replicate, i / BLOCK, block);
        counts[i] = draw(block, seed, replicate, i);
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

/* A tile: 64 blocks of random numbers side by side, so many replicates of one block of rows, or fewer of several. With
 * `lanes` replicates, number t of a tile is of block + t / lanes and of replicate first + t % lanes. */
#define TILE    64
#define EACH(t) for (int t = 0; t < TILE; t++)

struct tile {
    uint64_t seed, first, block;
    int lanes; /* divides TILE */
    uint8_t counts[BLOCK][TILE];
};

/* Fills the counts but for the rests, which are WHOLE - 1 here; false when there are none. */
ML_VECTORS static bool tile_fill(struct tile *tile)
{
    uint32_t c[4][TILE], k0 = (uint32_t)tile->seed, k1 = (uint32_t)(tile->seed >> 32);
    uint16_t any = 0;

    EACH(t)
    {
        uint64_t block = tile->block + (uint64_t)(t / tile->lanes),
                 replicate = tile->first + (uint64_t)(t % tile->lanes);

        c[0][t] = (uint32_t)block;
        c[1][t] = (uint32_t)(block >> 32);
        c[2][t] = (uint32_t)replicate;
        c[3][t] = (uint32_t)(replicate >> 32);
    }
    for (int round = 0; round < 10; round++) {
        EACH(t)
        {
            uint64_t p0 = (uint64_t)0xD2511F53 * c[0][t], p1 = (uint64_t)0xCD9E8D57 * c[2][t];

            c[0][t] = (uint32_t)(p1 >> 32) ^ c[1][t] ^ k0;
            c[2][t] = (uint32_t)(p0 >> 32) ^ c[3][t] ^ k1;
            c[1][t] = (uint32_t)p1;
            c[3][t] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    for (int row = 0; row < BLOCK; row++) {
        uint16_t u[TILE], k[TILE] = { 0 };

        EACH(t) u[t] = (uint16_t)(c[row / 2][t] >> 16 * (row % 2));
        for (int b = 0; b < WHOLE - 1; b++)
            EACH(t) k[t] = (uint16_t)(k[t] + (u[t] >= whole[b]));
        EACH(t)
        {
            any |= u[t] >= REST;
            tile->counts[row][t] = (uint8_t)k[t];
        }
    }
    return any;
}

#ifdef WIDE_TILES
#define WIDE_TARGET __attribute__((target("avx512f,avx512bw")))

/* Philox for each fourth number of a tile from `from` on. Products are of the lower halves of 64 bits; the upper halves
 * may hold anything. */
WIDE_TARGET static inline void philox_wide(const struct tile *tile, int from, __m512i word[4])
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
    const int l = tile->lanes;
    __m512i c[2][4], block = _mm512_set_epi64(56 / l, 48 / l, 40 / l, 32 / l, 24 / l, 16 / l, 8 / l, 0);
    __m512i replicate = _mm512_set_epi64(56 % l, 48 % l, 40 % l, 32 % l, 24 % l, 16 % l, 8 % l, 0);
    uint32_t k0 = (uint32_t)tile->seed, k1 = (uint32_t)(tile->seed >> 32);

    block = _mm512_add_epi64(block, _mm512_set1_epi64((long long)tile->block));
    replicate = _mm512_add_epi64(replicate, _mm512_set1_epi64((long long)(tile->first + (uint64_t)from)));
    for (int h = 0; h < 2; h++) {
        c[h][0] = block;
        c[h][1] = _mm512_srli_epi64(block, 32);
        c[h][2] = _mm512_add_epi64(replicate, _mm512_set1_epi64(4 * h));
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
    for (int q = 0; q < 4; q++)
        word[q] = _mm512_mask_blend_epi32(0xAAAA, c[0][q], _mm512_slli_epi64(c[1][q], 32));
}

/* The same, `lanes` 8 at least. Numbers 4 i + g of the tile are in lane i of the g-th of four vectors, the bytes of
 * which then need no more than to be shifted into their places. */
WIDE_TARGET __attribute__((optimize("O3"))) static bool tile_fill_wide(struct tile *tile)
{
    const __m512i low = _mm512_set1_epi32(0xFFFF), one = _mm512_set1_epi16(1);
    __m512i k[4][4]; /* of each word, in 16 bits: the even row's count and the odd one's */
    __mmask32 any = 0, at_least = 0;

    for (int g = 0; g < 4; g++) {
        __m512i word[4];

        philox_wide(tile, g, word);
        for (int q = 0; q < 4; q++) {
            k[q][g] = _mm512_setzero_si512();
            for (int b = 0; b < WHOLE - 1; b++) {
                at_least = _mm512_cmpge_epu16_mask(word[q], _mm512_set1_epi16((short)whole[b]));
                k[q][g] = _mm512_mask_add_epi16(k[q][g], at_least, k[q][g], one);
            }
            any |= at_least;
        }
    }
    for (int q = 0; q < 4; q++) {
        __m512i ab = _mm512_or_si512(k[q][0], _mm512_slli_epi16(k[q][1], 8));
        __m512i cd = _mm512_or_si512(k[q][2], _mm512_slli_epi16(k[q][3], 8));

        _mm512_storeu_si512(tile->counts[2 * q], _mm512_ternarylogic_epi32(low, ab, _mm512_slli_epi32(cd, 16), 0xCA));
        _mm512_storeu_si512(
            tile->counts[2 * q + 1], _mm512_ternarylogic_epi32(low, _mm512_srli_epi32(ab, 16), cd, 0xCA));
    }
    return any;
}
#endif

/* Draws again what may be rests. */
static void tile_rests(struct tile *tile)
{
    uint32_t words[4];

    for (int row = 0; row < BLOCK; row++) {
        uint8_t *const counts = tile->counts[row], *at = counts;

        while ((at = memchr(at, WHOLE - 1, (size_t)(counts + TILE - at))) != NULL) {
            int t = (int)(at - counts);
            uint64_t block = tile->block + (uint64_t)(t / tile->lanes),
                     replicate = tile->first + (uint64_t)(t % tile->lanes);

            philox(tile->seed, replicate, block, words);
            *at++ = draw(words, tile->seed, replicate, block * BLOCK + (uint64_t)row);
        }
    }
}

/* `lanes` divides TILE, or TILE divides it. */
static void strip(uint64_t seed, uint64_t first, size_t lanes, size_t from, size_t n, uint8_t *counts, size_t stride)
{
    struct tile tile = { .seed = seed, .first = first, .lanes = (int)lanes };
    bool (*fill)(struct tile *) = tile_fill;

#ifdef WIDE_TILES
    if (lanes >= 8 && __builtin_cpu_supports("avx512bw"))
        fill = tile_fill_wide;
#endif
    for (size_t i = from; i < n; i += BLOCK * (TILE / lanes)) {
        tile.block = i / BLOCK;
        if (fill(&tile))
            tile_rests(&tile);
        for (size_t row = 0; lanes == TILE && row < BLOCK && i + row < n; row++)
            memcpy(counts + (i + row) * stride, tile.counts[row], TILE);
        for (size_t t = 0; lanes < TILE && t < TILE; t += lanes)
            for (size_t q = 0, row = i + BLOCK * (t / lanes); q < BLOCK && row < n; q++, row++)
                memcpy(counts + row * stride, tile.counts[q] + t, lanes);
    }
}

void ml_boot_strip_part(uint64_t seed, uint64_t first, size_t lanes, size_t from, size_t end, uint8_t *counts)
{
    for (size_t at = 0; at < lanes; at += TILE)
        strip(seed, first + at, lanes < TILE ? lanes : TILE, from, end, counts + at, lanes);
}

void ml_boot_strip(uint64_t seed, uint64_t first, size_t lanes, size_t n, uint8_t *counts)
{
    uint32_t *one;

    if (n > ML_BOOT_MULTINOMIAL && (lanes % TILE == 0 || TILE % lanes == 0)) {
        ml_boot_strip_part(seed, first, lanes, 0, n, counts);
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
        sum += poisson((uint16_t)(u[0] * 0x1p16), (uint32_t)(u[1] * 0x1p32));
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
    double largest = 0, mean = 0, squares = 0;
    int scale = 0; /* a power of two, so that no square overflows or vanishes */

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(values[i]));
    frexp(largest, &scale);
    for (size_t i = 0; i < n; i++) { /* Welford 1962, Technometrics 4, 419 */
        double x = ldexp(values[i], -scale), d = x - mean;

        mean += d / (double)(i + 1);
        squares += d * (x - mean);
    }
    return ldexp(sqrt(squares / (double)(n - 1)), scale);
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
