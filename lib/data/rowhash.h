/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes that aren't digests (XXH3, xxHash 0.8): the identity of rows, and the index that joins rows by their ids. They
 * guard against accident, not forgery. */
#ifndef ML_DATA_ROWHASH_H
#define ML_DATA_ROWHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct ml_hash128 {
    uint64_t lo, hi;
};

uint64_t ml_hash64(const void *p, size_t n);                          /* XXH3-64 */
struct ml_hash128 ml_hash128(const void *p, size_t n, uint64_t seed); /* XXH3-128 */

/* Identity of a set of rows: the sums modulo 2^128 of XXH3-128 of each row's record, under seeds 0 and 1, and the
 * number of rows. Order plays no part. Starts zeroed. */
struct ml_rowsum {
    struct ml_hash128 sum[2];
    uint64_t rows;
};

/* Adds a row; returns the hash under seed 0. */
struct ml_hash128 ml_rowsum_add(struct ml_rowsum *s, const void *rec, size_t n);

/* What the rows of both come to. */
void ml_rowsum_merge(struct ml_rowsum *to, const struct ml_rowsum *from);

/* SHA-256 of the two sums and the count, each little-endian (16, 16 and 8 bytes). */
void ml_rowsum_end(const struct ml_rowsum *s, struct ml_digest *out);

/* Whether a key stands twice; *second is the first row whose key was there before, in row *first. Needs 16 bytes a row
 * while it runs. n is at most ML_ROWS_MAX. */
bool ml_hash128_twice(const struct ml_hash128 *keys, size_t n, size_t *first, size_t *second);

/* An index from keys to their row numbers. The keys are the caller's array, one a row; 64 bits would collide at 50
 * million rows with p = 7e-5. Starts zeroed. */
struct ml_rowindex {
    uint32_t *slots;
    size_t slots_n;
    size_t n;
};

#define ML_ROWS_MAX ((size_t)UINT32_MAX - 1)

/* Adds rows from .. to-1 of keys. Returns `to`, or the first row whose key was there before (`*before` is that row).
 * The array may have moved between calls. */
size_t ml_rowindex_add(struct ml_rowindex *x, const struct ml_hash128 *keys, size_t from, size_t to, size_t *before);

/* The row with this key, or -1. */
int64_t ml_rowindex_find(const struct ml_rowindex *x, const struct ml_hash128 *keys, struct ml_hash128 key);

void ml_rowindex_release(struct ml_rowindex *x);

#endif
