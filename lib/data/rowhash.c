/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XXH3 and what is built on it. */
#include "data/rowhash.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

uint64_t ml_hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

struct ml_hash128 ml_hash128(const void *p, size_t n, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
    return (struct ml_hash128){ h.low64, h.high64 };
}

static void add128(struct ml_hash128 *sum, struct ml_hash128 x)
{
    uint64_t lo = sum->lo + x.lo;
    sum->hi += x.hi + (lo < sum->lo);
    sum->lo = lo;
}

struct ml_hash128 ml_rowsum_add(struct ml_rowsum *s, const void *rec, size_t n)
{
    struct ml_hash128 h = ml_hash128(rec, n, 0);
    add128(&s->sum[0], h);
    add128(&s->sum[1], ml_hash128(rec, n, 1));
    s->rows++;
    return h;
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

static size_t slot_of(const struct ml_rowindex *x, const struct ml_hash128 *keys, struct ml_hash128 key)
{
    size_t at = key.lo & (x->slots_n - 1);
    for (; x->slots[at] != 0; at = (at + 1) & (x->slots_n - 1)) {
        const struct ml_hash128 *k = &keys[x->slots[at] - 1];
        if (k->lo == key.lo && k->hi == key.hi)
            break;
    }
    return at;
}

static void rehash(struct ml_rowindex *x, const struct ml_hash128 *keys, size_t n)
{
    free(x->slots);
    x->slots = ml_calloc(n, sizeof *x->slots);
    x->slots_n = n;
    for (size_t i = 0; i < x->n; i++) {
        size_t at = keys[i].lo & (n - 1);
        while (x->slots[at] != 0)
            at = (at + 1) & (n - 1);
        x->slots[at] = (uint32_t)i + 1;
    }
}

size_t ml_rowindex_add(struct ml_rowindex *x, const struct ml_hash128 *keys, size_t from, size_t to, size_t *before)
{
    const size_t ahead = 16;
    size_t n = x->slots_n == 0 ? 1024 : x->slots_n;
    while (n < to * 2)
        n *= 2;
    if (n != x->slots_n)
        rehash(x, keys, n);
    for (size_t i = from; i < to; i++) {
        /* A slot is a cache miss in a large table: they are asked for some rows ahead. */
        if (i + ahead < to)
            __builtin_prefetch(&x->slots[keys[i + ahead].lo & (x->slots_n - 1)]);
        size_t at = slot_of(x, keys, keys[i]);
        if (x->slots[at] != 0) {
            *before = x->slots[at] - 1;
            return i;
        }
        x->slots[at] = (uint32_t)i + 1;
        x->n = i + 1;
    }
    return to;
}

int64_t ml_rowindex_find(const struct ml_rowindex *x, const struct ml_hash128 *keys, struct ml_hash128 key)
{
    if (x->slots_n == 0)
        return -1;
    return (int64_t)x->slots[slot_of(x, keys, key)] - 1;
}

void ml_rowindex_release(struct ml_rowindex *x)
{
    free(x->slots);
    *x = (struct ml_rowindex){ 0 };
}
