/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Picking rows. */
#ifndef ML_DATA_GATHER_H
#define ML_DATA_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* to[i] = from[rows[i]], n elements of `size` bytes, on all processors. */
void ml_gather(void *to, const void *from, size_t size, const uint32_t *rows, size_t n);

#endif
