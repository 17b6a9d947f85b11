/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What replicates tell of the largest of many (KS): by how much it is too large, and how far the difference of two
 * models' varies. A strip of replicates goes through the sorted rows at once; what one draws and comes to depends on
 * its number only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "data/rowhash.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

/* As many as make an end of an interval vary by .02 standard errors (standard deviation over seeds): of a bias, which
 * varies by half a standard error, and of a standard error, which varies by 1 of the root of twice their number. */
#define BIAS_REPLICATES  2000
#define DELTA_REPLICATES 5000
#define LEAST_REPLICATES 256    /* of very many rows, of which the bias is small: */
#define MOST_COUNTS      1e9    /* rows times replicates */
#define MANY             100000 /* units; of more, the influences at the threshold tell as much as a deviation */

#define WIDE      64 /* replicates in a strip, */
#define NARROW    8  /* and of many units, for a strip takes a byte for each unit and replicate */
#define WIDE_MOST ((size_t)1 << 20)
#define AHEAD     32 /* rows whose counts are asked for before they are needed */

/* Adds what each row holds: its rank and class. */
static void add_keys(struct ml_measure *m, uint64_t *row)
{
    uint64_t rank = 0;

    ml_rank_sort(m);
    for (size_t at = 0; at < m->s.n; at++) {
        uint64_t held = 2 * rank + (m->mark[at] & ML_MARK_POS ? 1 : 0);

        row[m->order[at]] += ml_hash64(&held, sizeof held);
        rank += m->mark[at] & ML_MARK_LAST ? 1 : 0;
    }
}

/* Each unit's place in an order that follows from what its rows hold for both models (b NULL: one), so that neither the
 * order in which they stand nor which model comes first plays a part. Weights only order what else would have the same
 * place, since they are scale-free and rounded. Units that still have would change nothing if they changed places. */
static uint32_t *places_of(struct ml_measure *a, struct ml_measure *b)
{
    size_t units = ml_measure_units(a), n = a->s.n;
    uint64_t *row = ml_calloc(n + 1, sizeof *row), *key = ml_calloc(units + 1, sizeof *key);
    double *weight = ml_calloc(units + 1, sizeof *weight), *x = ml_malloc((units + 1) * sizeof *x);
    uint32_t *first = ml_malloc((units + 1) * sizeof *first), *order = ml_malloc((units + 1) * sizeof *order);
    uint32_t *place = ml_malloc((units + 1) * sizeof *place);

    add_keys(a, row);
    if (b)
        add_keys(b, row);
    for (size_t i = 0; i < n; i++) {
        size_t u = a->s.group ? a->s.group[i] : i;
        uint64_t hash = ml_hash64(&row[i], sizeof row[i]);

        key[u] += hash;
        weight[u] += (a->s.weight ? a->s.weight[i] : 1) * (1 + (double)(hash >> 11) * 0x1p-53);
    }
    ml_order(weight, 1, units, first);
    for (size_t k = 0; k < units; k++)
        x[k] = (double)(key[first[k]] >> 11);
    ml_order(x, 1, units, order);
    for (size_t k = 0; k < units; k++)
        place[first[order[k]]] = (uint32_t)k;
    free(row);
    free(key);
    free(weight);
    free(x);
    free(first);
    free(order);
    return place;
}

/* How a strip goes through the rows: by their score, up to the highest. */
struct path {
    uint32_t *unit; /* n, and AHEAD more: each row's place */
    double *weight; /* n; NULL: 1 each */
    const unsigned char *mark;
    size_t n, cut; /* rows below the threshold of the largest gap; n: there is none */
};

/* Side by side for all of a strip. */
struct gaps {
    double largest[WIDE], there[WIDE]; /* there: at the rows' own threshold */
};

#define EACH(l, lanes) for (int l = 0; l < (lanes); l++)

static inline __attribute__((always_inline)) const uint8_t *counts_at(
    const uint8_t *counts, const struct path *p, size_t at, int lanes)
{
    __builtin_prefetch(counts + (size_t)p->unit[at + AHEAD] * (size_t)lanes);
    return counts + (size_t)p->unit[at] * (size_t)lanes;
}

/* The weight of each class. */
static inline __attribute__((always_inline)) void add_up(
    const uint8_t *counts, const struct path *p, double sum[2][WIDE], int lanes)
{
    memset(sum, 0, 2 * sizeof *sum);
    for (size_t i = 0; i < p->n; i++) {
        const uint8_t *c = counts_at(counts, p, i, lanes);
        double *s = sum[p->mark[i] & ML_MARK_POS], w = p->weight ? p->weight[i] : 1;

        EACH(l, lanes) s[l] += c[l] * w;
    }
}

/* `step`: what one of a class adds to the gap of the rates. */
static inline __attribute__((always_inline)) void walk(
    const uint8_t *counts, const struct path *p, double step[2][WIDE], struct gaps *g, int lanes)
{
    double gap[WIDE] = { 0 };

    memset(g, 0, sizeof *g);
    for (size_t i = 0; i < p->n; i++) {
        const uint8_t *c = counts_at(counts, p, i, lanes);
        const double *s = step[p->mark[i] & ML_MARK_POS], w = p->weight ? p->weight[i] : 1;

        EACH(l, lanes) gap[l] += c[l] * w * s[l];
        if (p->mark[i] & ML_MARK_LAST)
            EACH(l, lanes) g->largest[l] = gap[l] > g->largest[l] ? gap[l] : g->largest[l];
        if (i + 1 == p->cut)
            memcpy(g->there, gap, sizeof gap);
    }
}

ML_VECTORS static void add_up_wide(const uint8_t *counts, const struct path *p, double sum[2][WIDE])
{
    add_up(counts, p, sum, WIDE);
}

ML_VECTORS static void add_up_narrow(const uint8_t *counts, const struct path *p, double sum[2][WIDE])
{
    add_up(counts, p, sum, NARROW);
}

ML_VECTORS static void walk_wide(const uint8_t *counts, const struct path *p, double step[2][WIDE], struct gaps *g)
{
    walk(counts, p, step, g, WIDE);
}

ML_VECTORS static void walk_narrow(const uint8_t *counts, const struct path *p, double step[2][WIDE], struct gaps *g)
{
    walk(counts, p, step, g, NARROW);
}

struct job {
    struct path path[2];
    size_t units, models; /* one model or two */
    uint64_t seed;
    size_t replicates, lanes;
    double *value;                    /* one a replicate; NAN: none */
    uint8_t *counts[ML_PARALLEL_MAX]; /* a strip for each thread */
};

static void strip(void *ctx, size_t at, size_t thread)
{
    struct job *j = ctx;
    size_t first = at * j->lanes;
    double sum[2][WIDE], step[2][WIDE] = { 0 };
    struct gaps g[2];
    const uint8_t *counts;

    if (!j->counts[thread])
        j->counts[thread] = ml_malloc_huge(j->units * j->lanes + 1);
    ml_boot_strip(j->seed, first, j->lanes, j->units, j->counts[thread]);
    counts = j->counts[thread];
    (j->lanes == WIDE ? add_up_wide : add_up_narrow)(counts, &j->path[0], sum);
    for (size_t l = 0; l < j->lanes; l++) {
        step[ML_MARK_POS][l] = sum[ML_MARK_POS][l] > 0 ? -1 / sum[ML_MARK_POS][l] : 0;
        step[0][l] = sum[0][l] > 0 ? 1 / sum[0][l] : 0;
    }
    for (size_t k = 0; k < j->models; k++)
        (j->lanes == WIDE ? walk_wide : walk_narrow)(counts, &j->path[k], step, &g[k]);
    for (size_t l = 0; l < j->lanes && first + l < j->replicates; l++)
        j->value[first + l] = !(sum[0][l] > 0 && sum[ML_MARK_POS][l] > 0) ? NAN
                              : j->models > 1                             ? g[1].largest[l] - g[0].largest[l]
                                                                          : g[0].largest[l] - g[0].there[l];
}

static void path_open(struct path *p, struct ml_measure *m, const uint32_t *place, size_t cut)
{
    size_t n = m->s.n;

    *p = (struct path){ ml_calloc(n + AHEAD, sizeof *p->unit),
        m->s.weight ? ml_malloc((n + 1) * sizeof *p->weight) : NULL, m->mark, n, cut };
    for (size_t at = 0; at < n; at++) {
        uint32_t i = m->order[at];

        p->unit[at] = place[m->s.group ? m->s.group[i] : i];
        if (p->weight)
            p->weight[at] = m->s.weight[i];
    }
}

/* Of b, or where it is NULL by how much the largest gap of a replicate is larger than its gap `cut` rows up, which on
 * average is that of the rows. Returns how many have one. */
static size_t replicates(struct ml_measure *a, struct ml_measure *b, size_t cut, uint64_t seed, size_t n, double *out)
{
    struct job j = { .units = ml_measure_units(a), .models = b ? 2 : 1, .seed = seed, .replicates = n, .value = out };
    uint32_t *place = places_of(a, b);
    size_t used = 0;

    path_open(&j.path[0], a, place, cut);
    if (b)
        path_open(&j.path[1], b, place, cut);
    j.lanes = j.units <= WIDE_MOST ? WIDE : NARROW;
    ml_parallel((n + j.lanes - 1) / j.lanes, strip, &j);
    for (size_t r = 0; r < n; r++)
        if (!isnan(out[r]))
            out[used++] = out[r];
    for (size_t k = 0; k < j.models; k++) {
        free(j.path[k].unit);
        free(j.path[k].weight);
    }
    for (size_t t = 0; t < ML_PARALLEL_MAX; t++)
        free(j.counts[t]);
    free(place);
    return used;
}

double ml_maximum_bias(struct ml_measure *m, uint64_t seed)
{
    size_t n = (size_t)fmin(fmax(MOST_COUNTS / (double)m->s.n, LEAST_REPLICATES), BIAS_REPLICATES), used;
    double *values = ml_malloc(n * sizeof *values);
    struct ml_sum sum = { 0, 0 };

    used = replicates(m, NULL, ml_rank_ks_cut(m), seed, n, values);
    for (size_t r = 0; r < used; r++)
        ml_sum_add(&sum, values[r]);
    free(values);
    return used > 0 ? ml_sum_value(&sum) / (double)used : 0;
}

double ml_maximum_deviation(struct ml_measure *a, struct ml_measure *b, uint64_t seed)
{
    double values[DELTA_REPLICATES];
    size_t used;

    if (ml_measure_units(a) > MANY)
        return 0;
    used = replicates(a, b, 0, seed, DELTA_REPLICATES, values);
    return used > DELTA_REPLICATES / 2 ? ml_boot_deviation(values, used) : 0;
}
