/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Work in pieces on all processors. */
#ifndef ML_BASE_PARALLEL_H
#define ML_BASE_PARALLEL_H

#include <stddef.h>

#define ML_PARALLEL_MAX 8 /* threads */

/* Rows of a block where rows are cut into pieces: sums of blocks are added in their order, so that the number of
 * threads plays no part in them. */
#define ML_PARALLEL_ROWS ((size_t)1 << 16)

/* fn(ctx, job, thread) for each job below `jobs`, in this thread and in others, each job once, in no order; returns
 * when all are done. `thread` is below ML_PARALLEL_MAX and no other job's that runs at the same time. With one job or
 * one processor no thread is started. */
void ml_parallel(size_t jobs, void (*fn)(void *ctx, size_t job, size_t thread), void *ctx);

/* How many blocks n rows are, and where block i ends. */
static inline size_t ml_parallel_blocks(size_t n)
{
    return (n + ML_PARALLEL_ROWS - 1) / ML_PARALLEL_ROWS;
}

static inline size_t ml_parallel_end(size_t n, size_t i)
{
    return (i + 1) * ML_PARALLEL_ROWS < n ? (i + 1) * ML_PARALLEL_ROWS : n;
}

#endif
