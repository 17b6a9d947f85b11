/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scores that are decimal fractions of few digits are counted, others sorted with their class in the lowest bit, bucket
 * by bucket. */
#include "stats/ties.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/order_impl.h"

/* ---- counting ---- */

#define DIGITS   6                 /* at most, and no more cells than rows */
#define GRID_MIN ((size_t)1 << 14) /* rows that are worth the trouble */
#define PART     1024              /* cells of a part */
#define SOME     512               /* rows whose cells are found before they are counted */
#define AHEAD    12                /* rows from asking for a place to having it */

/* The scores are k / scale, k = 0 .. scale. */
struct grid {
    const double *score;
    const int32_t *label;
    int32_t positive;
    size_t n, cells, hands; /* rows of hand h: n * h / hands .. n * (h + 1) / hands - 1 */
    double scale;
    uint64_t *count[ML_PARALLEL_MAX]; /* each hand's: positives << 32 | negatives of each cell */
    bool off[ML_PARALLEL_MAX];        /* a hand saw another score */
    struct ml_ties *t;
};

/* The cells of n scores; true when all are on the grid. k + 2^52 has k in its lowest bits, and a score is the number
 * next to k / scale, as a parser finds it. */
ML_VECTORS static bool cells_of(const double *score, size_t n, double scale, uint32_t *cell)
{
    const uint64_t base = 0x4330000000000000, most = (uint64_t)scale;
    uint64_t wrong = 0, outside = 0;

    for (size_t i = 0; i < n; i++) {
        double x = score[i] + 0.0, at = x * scale + 0x1p52, back = (at - 0x1p52) / scale;
        uint64_t k, bits, again;

        memcpy(&k, &at, sizeof k);
        memcpy(&bits, &x, sizeof bits);
        memcpy(&again, &back, sizeof again);
        k -= base;
        wrong |= bits ^ again;
        outside |= k | (most - k); /* the sign of one that is larger */
        cell[i] = (uint32_t)k;
    }
    return !wrong && !(outside >> 63);
}

static uint64_t one_of(const struct grid *g, size_t row)
{
    return (uint64_t)1 << 32 * (g->label[row] == g->positive);
}

static size_t hand_from(const struct grid *g, size_t hand)
{
    return g->n * hand / g->hands;
}

static void count_hand(void *ctx, size_t hand, size_t thread)
{
    struct grid *g = ctx;
    uint32_t cell[SOME];
    uint64_t *count = g->count[hand] = ml_malloc_huge(g->cells * sizeof *count);

    (void)thread;
    memset(count, 0, g->cells * sizeof *count);
    for (size_t i = hand_from(g, hand), end = hand_from(g, hand + 1), n; i < end && !g->off[hand]; i += n) {
        n = end - i < SOME ? end - i : SOME;
        g->off[hand] = !cells_of(g->score + i, n, g->scale, cell);
        for (size_t k = 0; k < n && !g->off[hand]; k++)
            count[cell[k]] += one_of(g, i + k);
    }
}

/* A part's groups, from where its first cell has its place. */
static void gather_part(void *ctx, size_t p, size_t thread)
{
    struct grid *g = ctx;
    struct ml_ties_part *part = &g->t->parts[p];
    size_t end = (p + 1) * PART < g->cells ? (p + 1) * PART : g->cells;

    (void)thread;
    part->from = p * PART;
    for (size_t c = part->from; c < end; c++) {
        uint64_t count = 0;

        for (size_t h = 0; h < g->hands; h++)
            count += g->count[h][c];
        if (!count)
            continue;
        part->pos += count >> 32;
        part->neg += count & UINT32_MAX;
        g->t->cell[part->from + part->n] = (uint32_t)c;
        g->t->v[part->from + part->n++] = count;
    }
}

/* Where the row of a cell goes. */
static inline uint32_t *place_of(const struct grid *g, uint64_t next, uint64_t one)
{
    return &g->t->row[(uint32_t)(next >> (one >> 32) * 32)];
}

/* Counts and rows lie in no order, and are asked for some rows early. */
static void deal_hand(void *ctx, size_t hand, size_t thread)
{
    struct grid *g = ctx;
    uint64_t *next = g->count[hand];
    uint32_t cell[SOME];

    (void)thread;
    for (size_t i = hand_from(g, hand), end = hand_from(g, hand + 1), n; i < end; i += n) {
        n = end - i < SOME ? end - i : SOME;
        cells_of(g->score + i, n, g->scale, cell);
        for (size_t k = 0; k < n; k++) {
            uint64_t one = one_of(g, i + k);

            if (k + 2 * AHEAD < n) {
                __builtin_prefetch(&next[cell[k + 2 * AHEAD]], 1);
                __builtin_prefetch(place_of(g, next[cell[k + AHEAD]], one_of(g, i + k + AHEAD)), 1);
            }
            *place_of(g, next[cell[k]], one) = (uint32_t)(i + k);
            next[cell[k]] += one;
        }
    }
}

/* Puts the rows after each other, those of a class and a score in their own order. Counts become the places of each
 * hand's next rows: positives << 32 | negatives. */
static void place_rows(struct grid *g)
{
    uint64_t at = 0;

    g->t->row = ml_malloc_huge(g->n * sizeof *g->t->row);
    for (size_t c = 0; c < g->cells; c++)
        for (uint64_t side = 0; side <= 32; side += 32) /* the negatives of all hands first */
            for (size_t h = 0; h < g->hands; h++) {
                uint64_t *next = &g->count[h][c], count = *next >> side & UINT32_MAX;

                *next += (at - count) << side;
                at += count;
            }
    ml_parallel(g->hands, deal_hand, g);
}

static double scale_of(size_t n)
{
    double scale = 1;

    for (int digits = 0; digits < DIGITS && scale * 10 < (double)n; digits++)
        scale *= 10;
    return scale;
}

bool ml_ties_countable(const double *score, size_t n)
{
    uint32_t cell[SOME];

    return n >= GRID_MIN && n <= UINT32_MAX / 2 && cells_of(score, SOME, scale_of(n), cell);
}

/* Counts the scores where they are on a grid; else false. */
static bool count_ties(
    struct ml_ties *t, const double *score, const int32_t *label, int32_t positive, size_t n, bool rows)
{
    struct grid g = { .score = score, .label = label, .positive = positive, .n = n, .scale = scale_of(n), .t = t };
    bool off = false;

    g.cells = (size_t)g.scale + 1;
    if (!ml_ties_countable(score, n))
        return false;
    g.hands = ml_processors(n / g.cells < ML_PARALLEL_MAX ? n / g.cells : ML_PARALLEL_MAX); /* 8 bytes a row at most */
    ml_parallel(g.hands, count_hand, &g);
    for (size_t h = 0; h < g.hands; h++)
        off |= g.off[h];
    if (!off) {
        t->n_parts = (g.cells + PART - 1) / PART;
        t->parts = ml_calloc(t->n_parts, sizeof *t->parts);
        t->v = ml_malloc(g.cells * sizeof *t->v);
        t->cell = ml_malloc(g.cells * sizeof *t->cell);
        t->scale = g.scale;
        ml_parallel(t->n_parts, gather_part, &g);
        if (rows)
            place_rows(&g);
    }
    for (size_t h = 0; h < g.hands; h++)
        free(g.count[h]);
    return !off;
}

/* ---- sorting ---- */

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

static void sort_ties(
    struct ml_ties *t, const double *score, const int32_t *label, int32_t positive, size_t n, bool rows)
{
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
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(y.room[i]);
    free(y.items);
    ml_deal_release(&y.d);
}

struct ml_ties *ml_ties_new(
    const double *score, const int32_t *label, int32_t positive, size_t n, enum ml_ties_with with)
{
    struct ml_ties *t = ml_calloc(1, sizeof *t);

    if (!count_ties(t, score, label, positive, n, with == ML_TIES_ROWS))
        sort_ties(t, score, label, positive, n, with != ML_TIES_ALONE);
    for (size_t p = 0; p < t->n_parts; p++) { /* what is in a part becomes what is below it */
        size_t pos = t->parts[p].pos, neg = t->parts[p].neg;
        t->parts[p].pos = t->pos;
        t->parts[p].neg = t->neg;
        t->pos += pos;
        t->neg += neg;
    }
    return t;
}

void ml_ties_free(struct ml_ties *t)
{
    if (!t)
        return;
    free(t->v);
    free(t->parts);
    free(t->row);
    free(t->cell);
    free(t);
}
