/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Picking rows. */
#ifndef ML_DATA_GATHER_H
#define ML_DATA_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* to[i] = from[rows[i]], n elements of `size` bytes, on all processors. */
void ml_gather(void *to, const void *from, size_t size, const uint32_t *rows, size_t n);

#define ML_GATHER_FEW ((size_t)256)

/* The same of numbers below `codes`, of which there are n_from. Where they are at most ML_GATHER_FEW they are picked
 * from bytes, which lie more closely, and `to` may be `from`. */
void ml_gather_codes(uint32_t *to, const uint32_t *from, size_t codes, size_t n_from, const uint32_t *rows, size_t n);

#endif
