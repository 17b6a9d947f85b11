/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sorts of doubles by their bits: dealt into buckets by the highest ones, and each bucket again until few are left. */
#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/order_impl.h"

/* ---- dealing ---- */

struct look {
    const struct deal *d;
    uint64_t any[DEAL_HANDS], all[DEAL_HANDS];
};

static void look_at_bits(void *ctx, size_t hand, size_t thread)
{
    struct look *l = ctx;
    const struct deal *d = l->d;
    uint64_t any = 0, all = UINT64_MAX;

    (void)thread;
    for (size_t i = deal_from(d, hand); i < deal_from(d, hand + 1); i++) {
        uint64_t key = key_of(d->x[i * d->stride]);
        any |= key;
        all &= key;
    }
    l->any[hand] = any;
    l->all[hand] = all;
}

static void count_buckets(void *ctx, size_t hand, size_t thread)
{
    struct deal *d = ctx;
    size_t *count = d->at + hand * d->buckets;

    (void)thread;
    for (size_t i = deal_from(d, hand); i < deal_from(d, hand + 1); i++)
        count[deal_bucket(d, key_of(d->x[i * d->stride]))]++;
}

void ml_deal(struct deal *d, const double *x, size_t stride, size_t n)
{
    struct look l = { .d = d };
    uint64_t any = 0, all = UINT64_MAX;
    size_t at = 0;
    int high, bits;

    *d = (struct deal){ .x = x, .stride = stride, .n = n, .hands = n > ML_PARALLEL_ROWS ? DEAL_HANDS : 1 };
    ml_parallel(d->hands, look_at_bits, &l);
    for (size_t h = 0; h < d->hands; h++) {
        any |= l.any[h];
        all &= l.all[h];
    }
    high = any == all || n == 0 ? 1 : 64 - __builtin_clzll(any ^ all);
    bits = n > DEAL_SMALL ? DEAL_BITS : 1;
    bits = bits > high ? high : bits;
    d->shift = high - bits;
    d->buckets = (size_t)1 << bits;
    d->at = ml_calloc(d->hands * d->buckets, sizeof *d->at);
    d->start = ml_calloc(d->buckets + 1, sizeof *d->start);
    ml_parallel(d->hands, count_buckets, d);
    for (size_t b = 0; b < d->buckets; b++) {
        for (size_t h = 0; h < d->hands; h++) {
            size_t count = d->at[h * d->buckets + b];
            d->at[h * d->buckets + b] = at;
            at += count;
        }
        d->start[b + 1] = at;
    }
}

void ml_deal_release(struct deal *d)
{
    free(d->at);
    free(d->start);
}

/* ---- sorting ---- */

/* Elements of `size` bytes that begin with their key: the size is known where this is inlined, and copies are moves. */
static inline __attribute__((always_inline)) uint64_t key_at(const unsigned char *v, size_t i, size_t size)
{
    uint64_t key;

    memcpy(&key, v + i * size, sizeof key);
    return key;
}

static inline __attribute__((always_inline)) void sort_few(unsigned char *v, size_t n, size_t size)
{
    unsigned char x[sizeof(struct item)];

    for (size_t i = 1, j; i < n; i++) {
        uint64_t key = key_at(v, i, size);

        memcpy(x, v + i * size, size);
        for (j = i; j > 0 && key_at(v, j - 1, size) > key; j--)
            memcpy(v + j * size, v + (j - 1) * size, size);
        memcpy(v + j * size, x, size);
    }
}

/* `again` is the function that this is inlined into. */
static inline __attribute__((always_inline)) void sort_by_key(
    unsigned char *v, size_t n, unsigned char *room, size_t size, void (*again)(void *, size_t, void *))
{
    uint32_t at[(1 << SORT_BITS) + 1];
    uint64_t any = 0, all = UINT64_MAX;
    size_t mask;
    int bits, shift;

    if (n <= SORT_SMALL) {
        sort_few(v, n, size);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        any |= key_at(v, i, size);
        all &= key_at(v, i, size);
    }
    if (any == all)
        return;
    shift = sort_digit(n, any ^ all, &bits);
    mask = ((size_t)1 << bits) - 1;
    memset(at, 0, (mask + 2) * sizeof *at);
    for (size_t i = 0; i < n; i++)
        at[(key_at(v, i, size) >> shift & mask) + 1]++;
    for (size_t b = 0; b < mask; b++)
        at[b + 1] += at[b];
    for (size_t i = 0; i < n; i++)
        memcpy(room + size * at[key_at(v, i, size) >> shift & mask]++, v + i * size, size);
    memcpy(v, room, n * size);
    for (size_t b = 0, from = 0; b <= mask && shift > 0; from = at[b++]) /* at[b] has become the bucket's end */
        if (at[b] - from > 1)
            again(v + from * size, at[b] - from, room);
}

void ml_sort_items(void *v, size_t n, void *room)
{
    sort_by_key(v, n, room, sizeof(struct item), ml_sort_items);
}

void ml_sort_keys(void *v, size_t n, void *room)
{
    sort_by_key(v, n, room, sizeof(uint64_t), ml_sort_keys);
}

/* ---- rows by their numbers ---- */

struct ordering {
    struct deal d;
    struct item *v;
    struct item *room[ML_PARALLEL_MAX]; /* each thread's, as large as the largest bucket */
    size_t most;
    uint32_t *order;
};

static void deal_rows(void *ctx, size_t hand, size_t thread)
{
    struct ordering *o = ctx;
    struct deal *d = &o->d;
    size_t *at = d->at + hand * d->buckets;

    (void)thread;
    for (size_t i = deal_from(d, hand); i < deal_from(d, hand + 1); i++) {
        uint64_t key = key_of(d->x[i * d->stride]);
        o->v[at[deal_bucket(d, key)]++] = (struct item){ key, (uint32_t)i };
    }
}

static void order_bucket(void *ctx, size_t b, size_t thread)
{
    struct ordering *o = ctx;
    size_t from = o->d.start[b], n = o->d.start[b + 1] - from;

    if (n > SORT_SMALL && !o->room[thread])
        o->room[thread] = ml_malloc(o->most * sizeof *o->room[thread]);
    ml_sort_items(o->v + from, n, o->room[thread]);
    for (size_t i = from; i < from + n; i++)
        o->order[i] = o->v[i].row;
}

void ml_order(const double *x, size_t stride, size_t n, uint32_t *order)
{
    struct ordering o = { .order = order };

    ml_deal(&o.d, x, stride, n);
    for (size_t b = 0; b < o.d.buckets; b++)
        if (o.d.start[b + 1] - o.d.start[b] > o.most)
            o.most = o.d.start[b + 1] - o.d.start[b];
    o.v = ml_malloc(n * sizeof *o.v);
    ml_parallel(o.d.hands, deal_rows, &o);
    ml_parallel(o.d.buckets, order_bucket, &o);
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(o.room[i]);
    free(o.v);
    ml_deal_release(&o.d);
}

/* ---- numbers ---- */

static double number_of(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

void ml_sort(double *x, size_t n)
{
    uint64_t *keys = ml_malloc(2 * n * sizeof *keys);

    for (size_t i = 0; i < n; i++)
        keys[i] = key_of(x[i]);
    ml_sort_keys(keys, n, keys + n);
    for (size_t i = 0; i < n; i++)
        x[i] = number_of(keys[i]);
    free(keys);
}
