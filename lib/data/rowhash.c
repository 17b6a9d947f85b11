/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XXH3 and what is built on it. */
#include "data/rowhash.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- duplicates ---- */

#define PARTS 1024 /* so that a part's table stays in the cache up to some 50 million rows */

struct part_key {
    uint64_t lo;
    uint32_t row;
};

static size_t part_of(const struct ml_hash128 *k)
{
    return k->hi % PARTS;
}

/* The keys of one part against each other, in the order of their rows. */
static bool twice_in(const struct part_key *v, size_t n, const struct ml_hash128 *keys, uint32_t *slots, size_t slots_n,
    size_t *first, size_t *second)
{
    memset(slots, 0, slots_n * sizeof *slots);
    for (size_t i = 0; i < n; i++) {
        size_t at = v[i].lo & (slots_n - 1);

        for (; slots[at] != 0; at = (at + 1) & (slots_n - 1)) {
            const struct part_key *k = &v[slots[at] - 1];

            if (k->lo == v[i].lo && keys[k->row].hi == keys[v[i].row].hi) {
                *first = k->row;
                *second = v[i].row;
                return true;
            }
        }
        slots[at] = (uint32_t)i + 1;
    }
    return false;
}

bool ml_hash128_twice(const struct ml_hash128 *keys, size_t n, size_t *first, size_t *second)
{
    struct part_key *v = ml_malloc((n + 1) * sizeof *v);
    size_t *at = ml_calloc(PARTS + 1, sizeof *at), most = 0, slots_n = 2, a, b;
    uint32_t *slots;
    bool found = false;

    for (size_t i = 0; i < n; i++)
        at[part_of(&keys[i]) + 1]++;
    for (size_t p = 0; p < PARTS; p++) {
        most = at[p + 1] > most ? at[p + 1] : most;
        at[p + 1] += at[p];
    }
    for (size_t i = 0; i < n; i++)
        v[at[part_of(&keys[i])]++] = (struct part_key){ keys[i].lo, (uint32_t)i };
    while (slots_n < most * 2)
        slots_n *= 2;
    slots = ml_malloc(slots_n * sizeof *slots);
    for (size_t p = 0, from = 0; p < PARTS; from = at[p++]) /* at[p] has become where the part ends */
        if (twice_in(v + from, at[p] - from, keys, slots, slots_n, &a, &b) && (!found || b < *second)) {
            *first = a;
            *second = b;
            found = true;
        }
    free(slots);
    free(at);
    free(v);
    return found;
}
