/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sorts scores with their class in the lowest bit, bucket by bucket, and counts what is equal. */
#include "stats/ties.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/order_impl.h"

struct tying {
    struct deal d;
    const int32_t *label;
    int32_t positive;
    struct item *items;          /* keys with their rows, where these are asked for */
    void *room[ML_PARALLEL_MAX]; /* each thread's, as large as the largest bucket */
    size_t most;
    struct ml_ties *t;
};

/* All keys of a bucket share the highest bit (it is among those that tell the bucket, or the same in all keys), so that
 * it can go to make room for the class. */
static void deal_keys(void *ctx, size_t hand, size_t thread)
{
    struct tying *y = ctx;
    struct deal *d = &y->d;
    size_t *at = d->at + hand * d->buckets;

    (void)thread;
    for (size_t i = deal_from(d, hand); i < deal_from(d, hand + 1); i++) {
        uint64_t key = key_of(d->x[i]), with_class = key << 1 | (y->label[i] == y->positive);
        size_t to = at[deal_bucket(d, key)]++;

        if (y->items)
            y->items[to] = (struct item){ with_class, (uint32_t)i };
        else
            y->t->v[to] = with_class;
    }
}

static void sort_bucket(struct tying *y, size_t from, size_t n, size_t thread)
{
    size_t size = y->items ? sizeof *y->items : sizeof *y->t->v;

    if (n > SORT_SMALL && !y->room[thread])
        y->room[thread] = ml_malloc(y->most * size);
    if (!y->items) {
        ml_sort_keys(y->t->v + from, n, y->room[thread]);
        return;
    }
    ml_sort_items(y->items + from, n, y->room[thread]);
    for (size_t i = from; i < from + n; i++) {
        y->t->v[i] = y->items[i].key;
        y->t->row[i] = y->items[i].row;
    }
}

/* Sorts a bucket and writes its groups over its keys. */
static void tie_bucket(void *ctx, size_t b, size_t thread)
{
    struct tying *y = ctx;
    struct ml_ties_part *part = &y->t->parts[b];
    size_t n = y->d.start[b + 1] - y->d.start[b], groups = 0;
    uint64_t *v = y->t->v + y->d.start[b];

    sort_bucket(y, y->d.start[b], n, thread);
    part->from = y->d.start[b];
    part->pos = part->neg = 0;
    for (size_t i = 0, end; i < n; i = end) {
        size_t pos = 0;
        for (end = i; end < n && v[end] >> 1 == v[i] >> 1; end++)
            pos += v[end] & 1;
        part->pos += pos;
        part->neg += end - i - pos;
        v[groups++] = (uint64_t)pos << 32 | (end - i - pos);
    }
    part->n = groups;
}

struct ml_ties *ml_ties_new(const double *score, const int32_t *label, int32_t positive, size_t n, bool rows)
{
    struct ml_ties *t = ml_calloc(1, sizeof *t);
    struct tying y = { .label = label, .positive = positive, .t = t };

    ml_deal(&y.d, score, 1, n);
    for (size_t b = 0; b < y.d.buckets; b++)
        if (y.d.start[b + 1] - y.d.start[b] > y.most)
            y.most = y.d.start[b + 1] - y.d.start[b];
    t->v = ml_malloc(n * sizeof *t->v);
    if (rows) {
        t->row = ml_malloc(n * sizeof *t->row);
        y.items = ml_malloc(n * sizeof *y.items);
    }
    t->n_parts = y.d.buckets;
    t->parts = ml_calloc(t->n_parts, sizeof *t->parts);
    ml_parallel(y.d.hands, deal_keys, &y);
    ml_parallel(y.d.buckets, tie_bucket, &y);
    for (size_t p = 0; p < t->n_parts; p++) { /* what is in a part becomes what is below it */
        size_t pos = t->parts[p].pos, neg = t->parts[p].neg;
        t->parts[p].pos = t->pos;
        t->parts[p].neg = t->neg;
        t->pos += pos;
        t->neg += neg;
    }
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(y.room[i]);
    free(y.items);
    ml_deal_release(&y.d);
    return t;
}

void ml_ties_free(struct ml_ties *t)
{
    if (!t)
        return;
    free(t->v);
    free(t->parts);
    free(t->row);
    free(t);
}
