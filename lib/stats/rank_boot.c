/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bootstrap of the area under the ROC curve: a strip of replicates goes through the sorted rows at once, in whole
 * numbers, so that each row's place is looked up once for all of them. Of few rows threads take strips; of many they
 * share one, for its memory is large. What a replicate draws depends on its number only. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/bootstrap.h"
#include "stats/measure_impl.h"

#define WIDE        64 /* replicates in a strip: a row's counts fill a line of the cache; */
#define MIDDLE      32 /* of many rows fewer, for a strip takes a byte for each row and replicate */
#define NARROW      8
#define WIDE_ROWS   ((size_t)1 << 20)
#define MIDDLE_ROWS ((size_t)2 << 20)
#define RUN         24  /* rows that are summed in 16 bits: twice their pairs are 2 (24 * 15 / 2)^2 at most */
#define SOME        256 /* rows whose counts are */
#define PARTS       4   /* of a model's rows, when threads share a strip */
#define AHEAD       32  /* rows whose counts are asked for before they are needed */
#define ROWS_MAX    ((size_t)1 << 31) /* twice positives times negatives fits into 64 bits, each of them into 32 */

/* How a strip goes through the rows: by their score, of a tie group the negatives first, in runs of whole groups. */
struct path {
    uint32_t *row;       /* n, and AHEAD more */
    unsigned char *kind; /* KIND_... */
    uint32_t *end;       /* runs; one of more rows than `most` is a single group */
    size_t runs, most;
};

#define KIND_POS   1
#define KIND_FIRST 2 /* of a tie group */

/* One replicate's sums, side by side for all of a strip. `twice`: two for each pair of a positive and a negative below
 * it, one for a tie. */
struct sums {
    uint64_t twice[WIDE], pos[WIDE], neg[WIDE];
};

#define EACH(l, lanes) for (int l = 0; l < (lanes); l++)

/* Rows of whole groups, `most` at most. `before`: the negatives below the row's group; those up to the row are these
 * and the ones of its group, so that a positive's pairs, twice, are the sum of both. */
static inline __attribute__((always_inline)) void add_run(
    const uint8_t *counts, const uint32_t *row, const unsigned char *kind, size_t n, struct sums *s, int lanes)
{
    uint16_t pos[WIDE] = { 0 }, neg[WIDE] = { 0 }, before[WIDE] = { 0 }, twice[WIDE] = { 0 };

    for (size_t i = 0; i < n; i++) {
        const uint8_t *c = counts + (size_t)row[i] * (size_t)lanes;
        uint16_t if_pos = kind[i] & KIND_POS ? UINT16_MAX : 0, if_first = kind[i] & KIND_FIRST ? UINT16_MAX : 0;

        __builtin_prefetch(counts + (size_t)row[i + AHEAD] * (size_t)lanes);
        EACH(l, lanes)
        {
            uint16_t p = c[l] & if_pos;

            before[l] = (uint16_t)((neg[l] & if_first) | (before[l] & ~if_first));
            neg[l] = (uint16_t)(neg[l] + c[l] - p);
            pos[l] = (uint16_t)(pos[l] + p);
            twice[l] = (uint16_t)(twice[l] + p * (uint16_t)(before[l] + neg[l]));
        }
    }
    EACH(l, lanes)
    {
        s->twice[l] += twice[l] + 2 * (uint64_t)(uint32_t)s->neg[l] * pos[l];
        s->pos[l] += pos[l];
        s->neg[l] += neg[l];
    }
}

/* A tie group of any size. */
static inline __attribute__((always_inline)) void add_group(
    const uint8_t *counts, const uint32_t *row, const unsigned char *kind, size_t n, struct sums *s, int lanes)
{
    uint64_t pos[WIDE] = { 0 }, neg[WIDE] = { 0 };

    for (size_t from = 0; from < n; from += SOME) {
        uint16_t some_pos[WIDE] = { 0 }, some[WIDE] = { 0 };

        for (size_t i = from; i < n && i < from + SOME; i++) {
            const uint8_t *c = counts + (size_t)row[i] * (size_t)lanes;
            uint16_t if_pos = kind[i] & KIND_POS ? UINT16_MAX : 0;

            __builtin_prefetch(counts + (size_t)row[i + AHEAD] * (size_t)lanes);
            EACH(l, lanes)
            {
                some_pos[l] = (uint16_t)(some_pos[l] + (c[l] & if_pos));
                some[l] = (uint16_t)(some[l] + c[l]);
            }
        }
        EACH(l, lanes)
        {
            pos[l] += some_pos[l];
            neg[l] += (uint64_t)(some[l] - some_pos[l]);
        }
    }
    EACH(l, lanes)
    {
        s->twice[l] += pos[l] * (2 * s->neg[l] + neg[l]);
        s->pos[l] += pos[l];
        s->neg[l] += neg[l];
    }
}

/* The runs of one of PARTS parts; `counts`: lanes numbers a row. */
static inline __attribute__((always_inline)) void walk(
    const uint8_t *counts, const struct path *p, size_t part, struct sums *s, int lanes)
{
    size_t r = p->runs * part / PARTS, last = p->runs * (part + 1) / PARTS;

    memset(s, 0, sizeof *s);
    for (size_t from = r > 0 ? p->end[r - 1] : 0, n; r < last; from += n, r++) {
        n = p->end[r] - from;
        if (n <= p->most)
            add_run(counts, p->row + from, p->kind + from, n, s, lanes);
        else
            add_group(counts, p->row + from, p->kind + from, n, s, lanes);
    }
}

ML_VECTORS static void walk_wide(const uint8_t *counts, const struct path *p, size_t part, struct sums *s)
{
    walk(counts, p, part, s, WIDE);
}

ML_VECTORS static void walk_middle(const uint8_t *counts, const struct path *p, size_t part, struct sums *s)
{
    walk(counts, p, part, s, MIDDLE);
}

ML_VECTORS static void walk_narrow(const uint8_t *counts, const struct path *p, size_t part, struct sums *s)
{
    walk(counts, p, part, s, NARROW);
}

struct job {
    struct path path[2];
    size_t n, models; /* rows; one model or two */
    uint64_t seed;
    size_t replicates, lanes;
    double *value; /* one a replicate */
    bool *ok;
    uint8_t *counts[ML_PARALLEL_MAX]; /* a strip for each thread, or one that they share, */
    size_t first;                     /* of that one, */
    struct sums sums[2 * PARTS];      /* and what its parts come to */
};

static double area(const struct sums *s, size_t lane)
{
    return (double)s->twice[lane] / 2 / (double)s->pos[lane] / (double)s->neg[lane];
}

static void walk_part(const struct job *j, const uint8_t *counts, size_t part, struct sums *s)
{
    (j->lanes == WIDE        ? walk_wide
        : j->lanes == MIDDLE ? walk_middle
                             : walk_narrow)(counts, &j->path[part / PARTS], part % PARTS, s);
}

/* The parts of a model, one behind the other, in the first. */
static void join_parts(const struct job *j, struct sums *s)
{
    for (size_t part = 1; part < PARTS; part++)
        for (size_t l = 0; l < j->lanes; l++) {
            s->twice[l] += s[part].twice[l] + 2 * s->neg[l] * s[part].pos[l];
            s->pos[l] += s[part].pos[l];
            s->neg[l] += s[part].neg[l];
        }
}

static void take_values(struct job *j, size_t first, struct sums *s)
{
    for (size_t k = 0; k < j->models; k++)
        join_parts(j, &s[k * PARTS]);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++) {
        j->ok[first + l] = s->pos[l] > 0 && s->neg[l] > 0;
        if (j->ok[first + l])
            j->value[first + l] = j->models > 1 ? area(&s[PARTS], l) - area(s, l) : area(s, l);
    }
}

static void own_strip(void *ctx, size_t at, size_t thread)
{
    struct job *j = ctx;
    size_t first = at * j->lanes;
    struct sums s[2 * PARTS];

    if (!j->counts[thread])
        j->counts[thread] = ml_malloc(j->n * j->lanes + 1);
    ml_boot_strip(j->seed, first, j->lanes, j->n, j->counts[thread]);
    for (size_t part = 0; part < j->models * PARTS; part++)
        walk_part(j, j->counts[thread], part, &s[part]);
    take_values(j, first, s);
}

static void fill_block(void *ctx, size_t block, size_t thread)
{
    struct job *j = ctx;

    (void)thread;
    ml_boot_strip_part(
        j->seed, j->first, j->lanes, block * ML_PARALLEL_ROWS, ml_parallel_end(j->n, block), j->counts[0]);
}

static void sum_part(void *ctx, size_t part, size_t thread)
{
    struct job *j = ctx;

    (void)thread;
    walk_part(j, j->counts[0], part, &j->sums[part]);
}

static void share_strips(struct job *j)
{
    j->counts[0] = ml_malloc_huge(j->n * j->lanes + 1);
    for (; j->first < j->replicates; j->first += j->lanes) {
        ml_parallel(ml_parallel_blocks(j->n), fill_block, j);
        ml_parallel(j->models * PARTS, sum_part, j);
        take_values(j, j->first, j->sums);
    }
}

/* Counts up to 10^4 units are multinomial, and larger than 15 perhaps: there each row is a run. */
static void path_open(struct path *p, struct ml_measure *m)
{
    size_t n = m->s.n, from = 0, at = 0; /* from: of the run */
    const struct ml_ties *t;

    m->with = ML_TIES_ROWS;
    t = ml_rank_ties(m);
    p->most = n > ML_BOOT_MULTINOMIAL ? RUN : 1;
    p->row = ml_calloc(n + AHEAD, sizeof *p->row);
    memcpy(p->row, t->row, n * sizeof *p->row);
    p->kind = ml_calloc(n + 1, 1);
    p->end = ml_malloc((n + 1) * sizeof *p->end);
    p->runs = 0;
    for (size_t part = 0; part < t->n_parts; part++)
        for (size_t g = t->parts[part].from; g < t->parts[part].from + t->parts[part].n; g++) {
            size_t pos = t->v[g] >> 32, neg = t->v[g] & UINT32_MAX;

            if (at + neg + pos - from > p->most && at > from) {
                p->end[p->runs++] = (uint32_t)at;
                from = at;
            }
            for (size_t i = 0; i < pos; i++)
                p->kind[at + neg + i] = KIND_POS;
            p->kind[at] |= KIND_FIRST;
            at += neg + pos;
        }
    if (n > from)
        p->end[p->runs++] = (uint32_t)n;
}

static void path_close(struct path *p)
{
    free(p->row);
    free(p->kind);
    free(p->end);
}

bool ml_rank_many(const struct ml_measure *m, const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_ROC_AUC && m->s.task == ML_TASK_BINARY && ml_measure_plain(m) && m->s.n < ROWS_MAX;
}

size_t ml_rank_replicates(struct ml_measure *a, struct ml_measure *b, uint64_t seed, size_t replicates, double *out)
{
    struct job j = { .n = a->s.n, .models = b ? 2 : 1, .seed = seed, .replicates = replicates, .value = out };
    size_t used = 0;

    path_open(&j.path[0], a);
    if (b)
        path_open(&j.path[1], b);
    j.lanes = j.n <= WIDE_ROWS ? WIDE : j.n <= MIDDLE_ROWS ? MIDDLE : NARROW;
    j.ok = ml_calloc(replicates + 1, sizeof *j.ok);
    if (j.n > ML_BOOT_MULTINOMIAL)
        share_strips(&j);
    else
        ml_parallel((replicates + j.lanes - 1) / j.lanes, own_strip, &j);
    for (size_t r = 0; r < replicates; r++)
        if (j.ok[r])
            out[used++] = out[r];
    for (size_t k = 0; k < j.models; k++)
        path_close(&j.path[k]);
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++)
        free(j.counts[t]);
    free(j.ok);
    return used;
}
