/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Picking rows, in blocks. */
#include "data/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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
    ml_populate(g->to + from * g->size, (end - from) * g->size);
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

/* Few codes as bytes. */
struct narrow {
    const uint32_t *from, *rows;
    uint32_t *to;
    uint8_t *byte;
    size_t n_from, n;
};

static void narrow_block(void *ctx, size_t block, size_t thread)
{
    const struct narrow *w = ctx;
    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(w->n_from, block); i++)
        w->byte[i] = (uint8_t)w->from[i];
}

static void widen_block(void *ctx, size_t block, size_t thread)
{
    const struct narrow *w = ctx;
    size_t end = ml_parallel_end(w->n, block);
    (void)thread;
    ml_populate(w->to + block * ML_PARALLEL_ROWS, (end - block * ML_PARALLEL_ROWS) * sizeof *w->to);
    for (size_t i = block * ML_PARALLEL_ROWS; i < end; i++) {
        if (i + AHEAD < end)
            __builtin_prefetch(&w->byte[w->rows[i + AHEAD]]);
        w->to[i] = w->byte[w->rows[i]];
    }
}

void ml_gather_codes(uint32_t *to, const uint32_t *from, size_t codes, size_t n_from, const uint32_t *rows, size_t n)
{
    struct narrow w = { .from = from, .rows = rows, .to = to, .n_from = n_from, .n = n };
    if (codes > ML_GATHER_FEW) {
        ml_gather(to, from, sizeof *to, rows, n);
        return;
    }
    w.byte = ml_malloc(n_from);
    ml_parallel(ml_parallel_blocks(n_from), narrow_block, &w);
    ml_parallel(ml_parallel_blocks(n), widen_block, &w);
    free(w.byte);
}
