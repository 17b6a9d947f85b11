/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Short texts as numbers: looked up and compared without a loop over their bytes. */
#ifndef ML_BASE_WORD_H
#define ML_BASE_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first n bytes of s, n at most 8, as a little-endian number, zeros behind them. */
static inline uint64_t ml_word(const char *s, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n >= 4) { /* two loads that may overlap */
        uint32_t a, b;
        memcpy(&a, s, 4);
        memcpy(&b, s + n - 4, 4);
        return (uint64_t)a | (uint64_t)b << 8 * (n - 4);
    }
#endif
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)(unsigned char)s[i] << 8 * i;
    return w;
}

/* Shorter texts before longer ones, those of one length in byte order: whole numbers without leading zeros are in their
 * own order. */
static inline int ml_shortlex(const char *a, size_t n_a, const char *b, size_t n_b)
{
    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    if (n_a > 8)
        return memcmp(a, b, n_a);
    uint64_t x = __builtin_bswap64(ml_word(a, n_a)), y = __builtin_bswap64(ml_word(b, n_b));
    return (x > y) - (x < y);
}

/* Copies n bytes, of which there are few most of the time. */
static inline void ml_copy_short(char *to, const char *from, size_t n)
{
    uint64_t a, b;
    uint32_t c, d;
    if (n > 16) {
        memcpy(to, from, n);
    } else if (n >= 8) { /* two halves that may overlap */
        memcpy(&a, from, 8);
        memcpy(&b, from + n - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + n - 8, &b, 8);
    } else if (n >= 4) {
        memcpy(&c, from, 4);
        memcpy(&d, from + n - 4, 4);
        memcpy(to, &c, 4);
        memcpy(to + n - 4, &d, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

#endif
