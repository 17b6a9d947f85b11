/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the sorts of order.c and ties.c share: numbers as whole numbers in their order, dealt out by their highest bits
 * that differ into buckets, which threads sort apart from each other. */
#ifndef ML_STATS_ORDER_IMPL_H
#define ML_STATS_ORDER_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEAL_BITS  11
#define DEAL_SMALL ((size_t)1 << 12) /* numbers that are dealt into two buckets only */
#define DEAL_HANDS ML_PARALLEL_MAX   /* runs of rows that are dealt at the same time */
#define SORT_SMALL 24                /* numbers that are sorted by insertion */
#define SORT_BITS  12

/* Unsigned integers in the order of the numbers: negative ones with all bits turned, others with the sign bit set. */
static inline uint64_t key_of(double x)
{
    uint64_t bits;

    x += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

/* How numbers are dealt: bucket = key >> shift & mask. Starts zeroed. */
struct deal {
    const double *x;
    size_t stride, n, hands; /* rows of hand h: n * h / hands .. n * (h + 1) / hands - 1 */
    int shift;
    size_t buckets;
    size_t *at;    /* hands x buckets: how many of the hand's rows are in the bucket; then where the next one goes */
    size_t *start; /* buckets + 1 */
};

static inline size_t deal_bucket(const struct deal *d, uint64_t key)
{
    return key >> d->shift & (d->buckets - 1);
}

static inline size_t deal_from(const struct deal *d, size_t hand)
{
    return d->n * hand / d->hands;
}

/* Looks at all numbers: which bits differ, and how many are in each bucket. */
void ml_deal(struct deal *d, const double *x, size_t stride, size_t n);
void ml_deal_release(struct deal *d);

/* Sorts n keys (uint64_t), n below 2^32; `room` for as many where they are more than SORT_SMALL. */
void ml_sort_keys(void *v, size_t n, void *room);

struct item {
    uint64_t key;
    uint32_t row;
};

/* The same for rows (struct item) by their keys; equal keys stay in the order in which they are. */
void ml_sort_items(void *v, size_t n, void *room);

/* The digit that divides n keys, of which the bits `differ` do, into buckets of a few: its lowest bit; *bits. */
static inline int sort_digit(size_t n, uint64_t differ, int *bits)
{
    int high = 64 - __builtin_clzll(differ);

    *bits = 61 - __builtin_clzll(n);
    *bits = *bits > SORT_BITS ? SORT_BITS : *bits;
    *bits = *bits > high ? high : *bits;
    return high - *bits;
}

#endif
