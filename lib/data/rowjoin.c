/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hash joins, partition by partition. */
#include "data/rowjoin.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"

#define PARTS     1024            /* so that a part's table stays in the cache up to some 50 million rows */
#define PARTS_ALL ((size_t)8192)  /* rows that are one part */
#define HANDS     ML_PARALLEL_MAX /* runs of rows that are dealt out at the same time */

struct part_key {
    uint64_t lo;
    uint32_t hi; /* bits 10 to 41 of the key's; those in front of them tell the part */
    uint32_t row;
};

/* The rows of one table, dealt into the parts first .. end-1, each part in the order of the rows. */
struct dealt {
    const struct ml_hash128 *keys;
    size_t n, hands, parts; /* parts: 1 or PARTS */
    size_t first, end;
    size_t *at;    /* hands x (end - first): where a hand's next row of a part goes */
    size_t *start; /* end - first + 1 */
    size_t most;   /* rows of the largest part */
    struct part_key *v;
};

static size_t part_of(const struct dealt *d, size_t row)
{
    return d->keys[row].hi & (d->parts - 1);
}

static void count_hand(void *ctx, size_t hand, size_t thread)
{
    struct dealt *d = ctx;
    size_t *at = d->at + hand * (d->end - d->first);

    (void)thread;
    for (size_t i = d->n * hand / d->hands; i < d->n * (hand + 1) / d->hands; i++) {
        size_t part = part_of(d, i);
        if (part >= d->first && part < d->end)
            at[part - d->first]++;
    }
}

static void deal_hand(void *ctx, size_t hand, size_t thread)
{
    struct dealt *d = ctx;
    size_t *at = d->at + hand * (d->end - d->first);

    (void)thread;
    for (size_t i = d->n * hand / d->hands; i < d->n * (hand + 1) / d->hands; i++) {
        const struct ml_hash128 *k = &d->keys[i];
        size_t part = part_of(d, i);
        if (part >= d->first && part < d->end)
            d->v[at[part - d->first]++] = (struct part_key){ k->lo, (uint32_t)(k->hi >> 10), (uint32_t)i };
    }
}

static size_t parts_for(size_t n)
{
    return n > PARTS_ALL ? PARTS : 1;
}

static void deal(struct dealt *d, const struct ml_hash128 *keys, size_t n, size_t parts, size_t first, size_t end)
{
    size_t at = 0, count = end - first;

    *d = (struct dealt){ .keys = keys, .n = n, .parts = parts, .first = first, .end = end };
    d->hands = parts > 1 ? HANDS : 1;
    d->at = ml_calloc(d->hands * count, sizeof *d->at);
    d->start = ml_calloc(count + 1, sizeof *d->start);
    ml_parallel(d->hands, count_hand, d);
    for (size_t p = 0; p < count; p++) {
        for (size_t h = 0; h < d->hands; h++) {
            size_t rows = d->at[h * count + p];
            d->at[h * count + p] = at;
            at += rows;
        }
        d->start[p + 1] = at;
        if (at - d->start[p] > d->most)
            d->most = at - d->start[p];
    }
    d->v = ml_malloc(at * sizeof *d->v);
    ml_parallel(d->hands, deal_hand, d);
}

static void dealt_release(struct dealt *d)
{
    free(d->at);
    free(d->start);
    free(d->v);
}

/* A thread's hash table: the number of a row in its part, plus 1. */
struct slots {
    uint32_t *v[ML_PARALLEL_MAX];
    size_t most; /* a power of two */
};

static void slots_init(struct slots *s, size_t rows)
{
    *s = (struct slots){ .most = 2 };
    while (s->most < rows * 2)
        s->most *= 2;
}

static void slots_release(struct slots *s)
{
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(s->v[i]);
}

/* An empty table for n rows; *mask is its size less 1. */
static uint32_t *slots_for(struct slots *s, size_t thread, size_t n, size_t *mask)
{
    size_t size = 2;

    while (size < n * 2)
        size *= 2;
    if (s->v[thread] == NULL)
        s->v[thread] = ml_malloc(s->most * sizeof *s->v[thread]);
    memset(s->v[thread], 0, size * sizeof *s->v[thread]);
    *mask = size - 1;
    return s->v[thread];
}

/* ---- joining ---- */

struct joining {
    struct dealt a, b;
    struct slots slots;
    uint32_t *match;
};

static void join_part(void *ctx, size_t p, size_t thread)
{
    struct joining *j = ctx;
    const struct part_key *a = j->a.v + j->a.start[p], *b = j->b.v + j->b.start[p];
    size_t n_a = j->a.start[p + 1] - j->a.start[p], n_b = j->b.start[p + 1] - j->b.start[p], mask, at;
    uint32_t *slots = slots_for(&j->slots, thread, n_a, &mask);

    for (size_t i = 0; i < n_a; i++) {
        for (at = a[i].lo & mask; slots[at] != 0;)
            at = (at + 1) & mask;
        slots[at] = (uint32_t)i + 1;
    }
    for (size_t i = 0; i < n_b; i++) {
        uint32_t found = ML_ROWJOIN_NONE;

        for (at = b[i].lo & mask; slots[at] != 0; at = (at + 1) & mask) {
            const struct part_key *k = &a[slots[at] - 1];
            if (k->lo == b[i].lo && k->hi == b[i].hi) {
                found = k->row;
                break;
            }
        }
        j->match[b[i].row] = found;
    }
}

size_t ml_rowjoin(
    const struct ml_hash128 *a, size_t n_a, const struct ml_hash128 *b, size_t n_b, uint64_t memory, uint32_t *match)
{
    size_t parts = parts_for(n_a > n_b ? n_a : n_b), passes;
    uint64_t need = ((uint64_t)n_a + n_b) * sizeof(struct part_key);

    if (memory < 1)
        memory = 1;
    passes = need / memory >= parts ? parts : (size_t)(need / memory) + 1;
    for (size_t pass = 0; pass < passes; pass++) {
        struct joining j = { .match = match };
        size_t first = parts * pass / passes, end = parts * (pass + 1) / passes;

        deal(&j.a, a, n_a, parts, first, end);
        deal(&j.b, b, n_b, parts, first, end);
        slots_init(&j.slots, j.a.most);
        ml_parallel(end - first, join_part, &j);
        slots_release(&j.slots);
        dealt_release(&j.a);
        dealt_release(&j.b);
    }
    return passes;
}

/* ---- duplicates ---- */

struct twice {
    struct dealt d;
    struct slots slots;
    uint32_t (*found)[2]; /* of each part: the rows, or ML_ROWJOIN_NONE */
};

/* The keys of one part against each other, in the order of their rows. */
static void look_for_twice(void *ctx, size_t p, size_t thread)
{
    struct twice *t = ctx;
    const struct part_key *v = t->d.v + t->d.start[p];
    size_t n = t->d.start[p + 1] - t->d.start[p], mask;
    uint32_t *slots = slots_for(&t->slots, thread, n, &mask);

    t->found[p][1] = ML_ROWJOIN_NONE;
    for (size_t i = 0; i < n; i++) {
        size_t at = v[i].lo & mask;

        for (; slots[at] != 0; at = (at + 1) & mask) {
            const struct part_key *k = &v[slots[at] - 1];

            if (k->lo == v[i].lo && t->d.keys[k->row].hi == t->d.keys[v[i].row].hi) {
                t->found[p][0] = k->row;
                t->found[p][1] = v[i].row;
                return;
            }
        }
        slots[at] = (uint32_t)i + 1;
    }
}

bool ml_hash128_twice(const struct ml_hash128 *keys, size_t n, size_t *first, size_t *second)
{
    size_t parts = parts_for(n);
    struct twice t = { .found = ml_calloc(parts, sizeof *t.found) };
    bool found = false;

    deal(&t.d, keys, n, parts, 0, parts);
    slots_init(&t.slots, t.d.most);
    ml_parallel(parts, look_for_twice, &t);
    for (size_t p = 0; p < parts; p++)
        if (t.found[p][1] != ML_ROWJOIN_NONE && (!found || t.found[p][1] < *second)) {
            *first = t.found[p][0];
            *second = t.found[p][1];
            found = true;
        }
    slots_release(&t.slots);
    dealt_release(&t.d);
    free(t.found);
    return found;
}
