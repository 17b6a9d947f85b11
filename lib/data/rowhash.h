/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes that aren't digests (XXH3, xxHash 0.8): the identity of rows, and the keys that rows are joined by. They guard
 * against accident, not forgery. */
#ifndef ML_DATA_ROWHASH_H
#define ML_DATA_ROWHASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct ml_hash128 {
    uint64_t lo, hi;
};

uint64_t ml_hash64(const void *p, size_t n);                          /* XXH3-64 */
struct ml_hash128 ml_hash128(const void *p, size_t n, uint64_t seed); /* XXH3-128 */

/* The hashes under seed 0 of n texts that stand one behind the other, with a NUL each; returns their end. */
const char *ml_hash128_texts(const char *s, size_t n, struct ml_hash128 *out);

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

#endif
