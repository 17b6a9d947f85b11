/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XXH3 and what is built on it. */
#include "data/rowhash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t ml_hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

struct ml_hash128 ml_hash128(const void *p, size_t n, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
    return (struct ml_hash128){ h.low64, h.high64 };
}

__attribute__((flatten)) const char *ml_hash128_texts(const char *s, size_t n, struct ml_hash128 *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(s);
        out[i] = ml_hash128(s, len, 0);
        s += len + 1;
    }
    return s;
}

static void add128(struct ml_hash128 *sum, struct ml_hash128 x)
{
    uint64_t lo = sum->lo + x.lo;
    sum->hi += x.hi + (lo < sum->lo);
    sum->lo = lo;
}

/* Flat, so that both seeds are constants and the two hashes are computed side by side. */
__attribute__((flatten)) struct ml_hash128 ml_rowsum_add(struct ml_rowsum *s, const void *rec, size_t n)
{
    struct ml_hash128 h = ml_hash128(rec, n, 0);
    add128(&s->sum[0], h);
    add128(&s->sum[1], ml_hash128(rec, n, 1));
    s->rows++;
    return h;
}

void ml_rowsum_merge(struct ml_rowsum *to, const struct ml_rowsum *from)
{
    add128(&to->sum[0], from->sum[0]);
    add128(&to->sum[1], from->sum[1]);
    to->rows += from->rows;
}

static void put_le64(unsigned char *p, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(x >> (8 * i));
}

void ml_rowsum_end(const struct ml_rowsum *s, struct ml_digest *out)
{
    unsigned char b[40];
    for (int i = 0; i < 2; i++) {
        put_le64(b + 16 * i, s->sum[i].lo);
        put_le64(b + 16 * i + 8, s->sum[i].hi);
    }
    put_le64(b + 32, s->rows);
    ml_digest_bytes(b, sizeof b, out);
}
