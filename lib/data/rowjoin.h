/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows by their keys: joined with the rows of another table, and looked through for keys that stand twice. Keys are
 * dealt into parts by their bits while they are at hand, some ten thousand rows at a time, so that a table of one part
 * stays in the cache and all processors work on parts; where memory is short in several passes. */
#ifndef ML_DATA_ROWJOIN_H
#define ML_DATA_ROWJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/rowhash.h"

#define ML_ROWS_MAX     ((size_t)UINT32_MAX - 1)
#define ML_ROWJOIN_NONE UINT32_MAX /* no row */

/* The keys of some rows of a table, which follow each other, dealt. */
struct ml_keychunk;

/* The keys of the rows from .. end-1, 16 bytes each. They are told apart by 106 of their bits: at 50 million rows two
 * differ in the others only with p = 2e-17. Starts zeroed. */
struct ml_rowkeys {
    struct ml_keychunk **chunks;
    size_t n, cap;
    size_t from, end;
};

/* Where keys come from: writes those of the rows from .. from+n-1; called by several threads. */
struct ml_keysource {
    void (*get)(const void *ctx, size_t from, size_t n, struct ml_hash128 *keys);
    const void *ctx;
    size_t n; /* rows in all */
};

struct ml_keychunk *ml_keychunk_new(const struct ml_hash128 *keys, size_t n);
/* Takes the chunk, which is of the rows behind the last ones. */
void ml_rowkeys_add(struct ml_rowkeys *k, struct ml_keychunk *c);
/* Deals the rows that are missing in front and behind. */
void ml_rowkeys_complete(struct ml_rowkeys *k, const struct ml_keysource *s);
void ml_rowkeys_release(struct ml_rowkeys *k);

/* match[i]: the row of `a` with the key of row i of `b`, or ML_ROWJOIN_NONE; *matched: how many rows of b have one. No
 * key stands twice in a, or in b. What has been dealt of them already is used and released. All take 16 bytes a row of
 * both; where that is more than `memory` bytes they are dealt anew, in as many passes (at most 1024) as keep it below;
 * returns how many. */
size_t ml_rowjoin(const struct ml_keysource *a, struct ml_rowkeys *dealt_a, const struct ml_keysource *b,
    struct ml_rowkeys *dealt_b, uint64_t memory, uint32_t *match, size_t *matched);

/* Whether a key stands twice; *second is the first row whose key was there before, in row *first. */
bool ml_rowkeys_twice(const struct ml_rowkeys *k, size_t *first, size_t *second);

#endif
