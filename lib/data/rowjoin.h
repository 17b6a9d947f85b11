/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows by their keys: joined with the rows of another table, and looked through for keys that stand twice. Keys are
 * divided into partitions by their bits, so that a table of one partition stays in the cache, partitions are worked on
 * by all processors, and where memory is short in several passes. */
#ifndef ML_DATA_ROWJOIN_H
#define ML_DATA_ROWJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/rowhash.h"

#define ML_ROWS_MAX     ((size_t)UINT32_MAX - 1)
#define ML_ROWJOIN_NONE UINT32_MAX /* no row */

/* match[i]: the row of `a` with the key of row i of `b`, or ML_ROWJOIN_NONE. No key stands twice in a, or in b. Keys
 * are told apart by 106 of their bits: at 50 million rows two differ in the others only with p = 2e-17. Takes 16 bytes
 * a row of both while it runs, in as many passes (at most 1024) as keep that below `memory` bytes; returns how many. */
size_t ml_rowjoin(
    const struct ml_hash128 *a, size_t n_a, const struct ml_hash128 *b, size_t n_b, uint64_t memory, uint32_t *match);

/* Whether a key stands twice; *second is the first row whose key was there before, in row *first. Takes 16 bytes a row
 * while it runs. n is at most ML_ROWS_MAX. */
bool ml_hash128_twice(const struct ml_hash128 *keys, size_t n, size_t *first, size_t *second);

#endif
