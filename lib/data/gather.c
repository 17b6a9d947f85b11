/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Picking rows, in blocks. */
#include "data/gather.h"

#include <string.h>

#include "base/parallel.h"

#define AHEAD 32 /* rows from asking for one to having it */

struct gathering {
    char *to;
    const char *from;
    size_t size, n;
    const uint32_t *rows;
};

static inline __attribute__((always_inline)) void pick(const struct gathering *g, size_t from, size_t end, size_t size)
{
    for (size_t i = from; i < end; i++) {
        if (i + AHEAD < end)
            __builtin_prefetch(g->from + (size_t)g->rows[i + AHEAD] * size);
        memcpy(g->to + i * size, g->from + (size_t)g->rows[i] * size, size);
    }
}

/* The usual sizes are copied without a call. */
static void pick_block(void *ctx, size_t block, size_t thread)
{
    const struct gathering *g = ctx;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(g->n, block);
    (void)thread;
    switch (g->size) {
    case 4:
        pick(g, from, end, 4);
        break;
    case 8:
        pick(g, from, end, 8);
        break;
    case 16:
        pick(g, from, end, 16);
        break;
    default:
        pick(g, from, end, g->size);
    }
}

void ml_gather(void *to, const void *from, size_t size, const uint32_t *rows, size_t n)
{
    struct gathering g = { to, from, size, n, rows };
    ml_parallel(ml_parallel_blocks(n), pick_block, &g);
}
