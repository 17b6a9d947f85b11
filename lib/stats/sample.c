/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slices of samples, gathered into arrays of their own so that all loops run over contiguous memory. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/sample.h"

static const int32_t *take_int(const int32_t *from, const uint32_t *rows, size_t n, char **at)
{
    int32_t *to = (int32_t *)*at;

    if (!from)
        return NULL;
    for (size_t i = 0; i < n; i++)
        to[i] = from[rows[i]];
    *at += n * sizeof *to;
    return to;
}

static const unsigned char *take_bytes(
    const unsigned char *from, const uint32_t *rows, size_t n, size_t width, char **at)
{
    unsigned char *to = (unsigned char *)*at;

    if (!from)
        return NULL;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * width, from + rows[i] * width, width);
    *at += n * width;
    return to;
}

static const double *take_double(const double *from, const uint32_t *rows, size_t n, size_t width, char **at)
{
    double *to = (double *)*at;

    if (!from)
        return NULL;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * width, from + rows[i] * width, width * sizeof *to);
    *at += n * width * sizeof *to;
    return to;
}

/* Groups get numbers in the order of their first row. */
static const uint32_t *take_group(
    const struct ml_sample *s, const uint32_t *rows, size_t n, char **at, uint32_t *groups)
{
    uint32_t *to = (uint32_t *)*at, *map;

    *groups = 0;
    if (!s->group)
        return NULL;
    map = ml_calloc(s->groups, sizeof *map);
    for (size_t i = 0; i < n; i++) {
        uint32_t *g = &map[s->group[rows[i]]];
        if (*g == 0)
            *g = ++*groups;
        to[i] = *g - 1;
    }
    free(map);
    *at += n * sizeof *to;
    return to;
}

double ml_sample_cost(const struct ml_costs *costs, int32_t label, int32_t pred)
{
    size_t low = 0, high = costs->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct ml_cost *c = &costs->cell[mid];

        if (c->label == label && c->pred == pred)
            return c->cost;
        if (c->label < label || (c->label == label && c->pred < pred))
            low = mid + 1;
        else
            high = mid;
    }
    return label == pred ? 0 : costs->wrong;
}

size_t ml_sample_width(const struct ml_sample *s)
{
    return s->task == ML_TASK_MULTICLASS || s->task == ML_TASK_MULTILABEL ? (size_t)s->classes : 1;
}

void ml_sample_take(const struct ml_sample *s, const uint32_t *rows, size_t n_rows, struct ml_sample_copy *out)
{
    size_t width = ml_sample_width(s);
    size_t row = (!!s->labels + !!s->preds) * width + (s->score ? width * sizeof(double) : 0) +
                 sizeof(double) * (!!s->truth + !!s->estimate + !!s->weight) +
                 sizeof(int32_t) * (!!s->label + !!s->pred + !!s->group);
    char *at;

    out->memory = ml_calloc(n_rows ? n_rows : 1, row ? row : 1);
    out->s = *s;
    out->s.n = n_rows;
    at = out->memory; /* the widest first, so that all are aligned */
    out->s.score = take_double(s->score, rows, n_rows, width, &at);
    out->s.truth = take_double(s->truth, rows, n_rows, 1, &at);
    out->s.estimate = take_double(s->estimate, rows, n_rows, 1, &at);
    out->s.weight = take_double(s->weight, rows, n_rows, 1, &at);
    out->s.label = take_int(s->label, rows, n_rows, &at);
    out->s.pred = take_int(s->pred, rows, n_rows, &at);
    out->s.group = take_group(s, rows, n_rows, &at, &out->s.groups);
    out->s.labels = take_bytes(s->labels, rows, n_rows, width, &at);
    out->s.preds = take_bytes(s->preds, rows, n_rows, width, &at);
}

void ml_sample_release(struct ml_sample_copy *c)
{
    free(c->memory);
    c->memory = NULL;
}

#define CELLS_EACH ((size_t)4096) /* cells that each thread has for itself */
#define RUNS       4              /* that rows in turn are counted in, for the same cell waits for itself */

struct counting {
    const struct ml_sample *s;
    uint64_t *cells[ML_PARALLEL_MAX];
};

/* Of two classes, at most 2^32 rows. */
ML_VECTORS static void count_two(const int32_t *label, const int32_t *pred, size_t n, uint64_t cells[4])
{
    uint32_t y = 0, p = 0, both = 0;

    for (size_t i = 0; i < n; i++) {
        y += (uint32_t)label[i];
        p += (uint32_t)pred[i];
        both += (uint32_t)(label[i] & pred[i]);
    }
    cells[0] += n - y - p + both;
    cells[1] += p - both;
    cells[2] += y - both;
    cells[3] += both;
}

static void count_block(void *ctx, size_t b, size_t thread)
{
    struct counting *c = ctx;
    size_t k = (size_t)c->s->classes, i = b * ML_PARALLEL_ROWS, end = ml_parallel_end(c->s->n, b);
    const int32_t *y = c->s->label, *p = c->s->pred;
    uint64_t *cells = c->cells[thread];

    if (!cells)
        cells = c->cells[thread] = ml_calloc(RUNS * k * k + 1, sizeof *cells);
    if (k == 2) {
        count_two(y + i, p + i, end - i, cells);
        return;
    }
    for (; i + RUNS <= end; i += RUNS)
        for (size_t r = 0; r < RUNS; r++)
            cells[r * k * k + (size_t)y[i + r] * k + (size_t)p[i + r]]++;
    for (; i < end; i++)
        cells[(size_t)y[i] * k + (size_t)p[i]]++;
}

void ml_sample_confusion(const struct ml_sample *s, uint64_t *out)
{
    size_t k = (size_t)s->classes;
    struct counting c = { .s = s };

    memset(out, 0, k * k * sizeof *out);
    if (k > CELLS_EACH / (k + 1)) {
        for (size_t i = 0; i < s->n; i++)
            out[(size_t)s->label[i] * k + (size_t)s->pred[i]]++;
        return;
    }
    ml_parallel(ml_parallel_blocks(s->n), count_block, &c);
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++) {
        for (size_t i = 0; c.cells[t] && i < RUNS * k * k; i++)
            out[i % (k * k)] += c.cells[t][i];
        free(c.cells[t]);
    }
}
