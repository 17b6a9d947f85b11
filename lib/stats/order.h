/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order of numbers: a stable sort of row numbers on all processors, in time proportional to them. */
#ifndef ML_STATS_ORDER_H
#define ML_STATS_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* order[0..n-1]: the rows by ascending x[row * stride], equal values (-0 and 0 too) in their own order. x is finite, n
 * at most UINT32_MAX. Needs 16 bytes a row while it runs, and up to as much again where most numbers are close. */
void ml_order(const double *x, size_t stride, size_t n, uint32_t *order);

/* Sorts x[0..n-1], finite numbers, n at most UINT32_MAX, ascending; -0 becomes 0. Needs 16 bytes a number while it
 * runs.
 */
void ml_sort(double *x, size_t n);

#endif
