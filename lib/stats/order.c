/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Least-significant-digit radix sorts of doubles by their bits. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/order.h"

#define DIGIT  11
#define DIGITS 6 /* 66 bits cover 64 */
#define VALUES (1u << DIGIT)
#define SMALL  64

struct item {
    uint64_t key;
    uint32_t row;
};

/* Unsigned integers in the order of the numbers: negative ones with all bits turned, others with the sign bit set. */
static uint64_t key_of(double x)
{
    uint64_t bits;

    x += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static void sort_small(struct item *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct item x = v[i];
        size_t j = i;

        for (; j > 0 && v[j - 1].key > x.key; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

/* One pass by digit d; false when all keys share it and nothing was moved. */
static int sort_digit(const struct item *from, struct item *to, size_t n, size_t *count, int d)
{
    int shift = d * DIGIT;
    size_t at = 0;

    if (count[from[0].key >> shift & (VALUES - 1)] == n)
        return 0;
    for (size_t v = 0; v < VALUES; v++) {
        size_t c = count[v];
        count[v] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++)
        to[count[from[i].key >> shift & (VALUES - 1)]++] = from[i];
    return 1;
}

void ml_order(const double *x, size_t stride, size_t n, uint32_t *order)
{
    struct item *v, *other, *memory;
    size_t(*count)[VALUES] = NULL;

    if (n == 0)
        return;
    memory = ml_malloc(2 * n * sizeof *memory);
    v = memory;
    other = memory + n;
    for (size_t i = 0; i < n; i++)
        v[i] = (struct item){ key_of(x[i * stride]), (uint32_t)i };
    if (n <= SMALL) {
        sort_small(v, n);
    } else {
        count = ml_calloc(DIGITS, sizeof *count);
        for (size_t i = 0; i < n; i++)
            for (int d = 0; d < DIGITS; d++)
                count[d][v[i].key >> (d * DIGIT) & (VALUES - 1)]++;
        for (int d = 0; d < DIGITS; d++)
            if (sort_digit(v, other, n, count[d], d)) {
                struct item *t = v;
                v = other;
                other = t;
            }
    }
    for (size_t i = 0; i < n; i++)
        order[i] = v[i].row;
    free(count);
    free(memory);
}

static double number_of(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static void sort_small_keys(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t j = i;

        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

/* The passes of ml_order, of keys alone. Returns where they ended up. */
static uint64_t *sort_keys(uint64_t *v, uint64_t *other, size_t n)
{
    size_t(*count)[VALUES] = ml_calloc(DIGITS, sizeof *count);

    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            count[d][v[i] >> (d * DIGIT) & (VALUES - 1)]++;
    for (int d = 0; d < DIGITS; d++) {
        int shift = d * DIGIT;
        size_t at = 0;
        uint64_t *t = v;

        if (count[d][v[0] >> shift & (VALUES - 1)] == n)
            continue;
        for (size_t k = 0; k < VALUES; k++) {
            size_t c = count[d][k];
            count[d][k] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++)
            other[count[d][v[i] >> shift & (VALUES - 1)]++] = v[i];
        v = other;
        other = t;
    }
    free(count);
    return v;
}

void ml_sort(double *x, size_t n)
{
    uint64_t *memory = ml_malloc((2 * n + 1) * sizeof *memory), *sorted = memory;

    for (size_t i = 0; i < n; i++)
        memory[i] = key_of(x[i]);
    if (n <= SMALL)
        sort_small_keys(memory, n);
    else
        sorted = sort_keys(memory, memory + n, n);
    for (size_t i = 0; i < n; i++)
        x[i] = number_of(sorted[i]);
    free(memory);
}
