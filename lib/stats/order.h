/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order of numbers: a stable sort of row numbers by value, in time proportional to the rows. */
#ifndef ML_STATS_ORDER_H
#define ML_STATS_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* order[0..n-1]: the rows by ascending x[row * stride], equal values (-0 and 0 too) in their own order. x is finite, n
 * at most UINT32_MAX. Needs 32 bytes a row while it runs. */
void ml_order(const double *x, size_t stride, size_t n, uint32_t *order);

#endif
