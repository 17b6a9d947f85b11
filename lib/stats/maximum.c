/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What replicates tell of the largest of many (KS): by how much it is too large, and how far the difference of two
 * models' varies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/rowhash.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

#define REPLICATES 200
#define MANY       100000 /* units; of more, the influences at the threshold tell as much */

/* Adds what each unit's rows hold: their ranks, classes and weights. */
static void add_keys(struct ml_measure *m, uint64_t *row)
{
    uint64_t rank = 0;
    int unit;

    ml_rank_sort(m);
    frexp(m->total, &unit); /* weights are scale-free */
    for (size_t at = 0; at < m->s.n; at++) {
        uint32_t i = m->order[at];
        double weight = m->s.weight ? ldexp(m->s.weight[i], -unit) : 1;
        uint64_t held[2] = { 2 * rank + (m->mark[at] & ML_MARK_POS ? 1 : 0) };

        memcpy(&held[1], &weight, sizeof weight);
        row[i] += ml_hash64(held, sizeof held);
        rank += m->mark[at] & ML_MARK_LAST ? 1 : 0;
    }
}

/* Each unit's place in an order that follows from what its rows hold for both models (b NULL: one), so that neither the
 * order in which they stand nor which model comes first plays a part. Units of the same place would change nothing if
 * they changed places. */
static uint32_t *places_of(struct ml_measure *a, struct ml_measure *b)
{
    size_t units = ml_measure_units(a), n = a->s.n;
    uint64_t *row = ml_calloc(n + 1, sizeof *row), *key = ml_calloc(units + 1, sizeof *key);
    double *x = ml_malloc((units + 1) * sizeof *x);
    uint32_t *order = ml_malloc((units + 1) * sizeof *order), *place = ml_malloc((units + 1) * sizeof *place);

    add_keys(a, row);
    if (b)
        add_keys(b, row);
    for (size_t i = 0; i < n; i++)
        key[a->s.group ? a->s.group[i] : i] += ml_hash64(&row[i], sizeof row[i]);
    for (size_t u = 0; u < units; u++)
        x[u] = (double)(key[u] >> 11);
    ml_order(x, 1, units, order);
    for (size_t k = 0; k < units; k++)
        place[order[k]] = (uint32_t)k;
    free(row);
    free(key);
    free(x);
    free(order);
    return place;
}

struct replicates {
    const struct ml_measure *m;
    uint64_t seed;
    uint32_t *place, *drawn, *counts;
    double *w;
};

static struct replicates start(struct ml_measure *a, struct ml_measure *b, uint64_t seed)
{
    size_t n = a->s.n;

    return (struct replicates){ a, seed, places_of(a, b), ml_malloc((n + 1) * sizeof(uint32_t)),
        ml_malloc((n + 1) * sizeof(uint32_t)), ml_malloc((n + 1) * sizeof(double)) };
}

static struct weighting draw(struct replicates *d, size_t r)
{
    const struct ml_sample *s = &d->m->s;

    ml_boot_counts(d->seed, r, ml_measure_units(d->m), d->drawn);
    for (size_t i = 0; i < s->n; i++) {
        d->counts[i] = d->drawn[d->place[s->group ? s->group[i] : i]];
        d->w[i] = d->counts[i] * (s->weight ? s->weight[i] : 1);
    }
    return (struct weighting){ d->w, d->counts };
}

static void stop(struct replicates *d)
{
    free(d->place);
    free(d->drawn);
    free(d->counts);
    free(d->w);
}

/* What the threshold found here moves by in a replicate is 0 on average and most of what varies: without it as many
 * replicates tell as much as ten times as many with it. */
double ml_maximum_bias(struct ml_measure *m, const struct ml_metric *metric, double value, uint64_t seed)
{
    struct replicates d = start(m, NULL, seed);
    double *psi = ml_malloc((m->s.n + 1) * sizeof *psi);
    struct ml_sum bias = { 0, 0 };
    struct ml_value v;
    size_t used = 0;
    int unit;

    ml_measure_psi_unit(m, metric, false, psi, &unit, &v);
    for (size_t r = 0; r < REPLICATES; r++) {
        struct weighting by = draw(&d, r);
        double moved = 0;

        for (size_t i = 0; i < m->s.n; i++)
            moved += by.w[i] * psi[i];
        if (!ml_measure_value_by(m, metric, &by, &v))
            continue;
        ml_sum_add(&bias, v.value - value - moved / m->total);
        used++;
    }
    stop(&d);
    free(psi);
    return used > 0 ? ml_sum_value(&bias) / (double)used : 0;
}

double ml_maximum_deviation(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed)
{
    struct replicates d;
    double values[REPLICATES];
    struct ml_value x, y;
    size_t used = 0;

    if (ml_measure_units(a) > MANY)
        return 0;
    d = start(a, b, seed);
    for (size_t r = 0; r < REPLICATES; r++) {
        struct weighting by = draw(&d, r);

        if (ml_measure_value_by(a, metric, &by, &x) && ml_measure_value_by(b, metric, &by, &y))
            values[used++] = y.value - x.value;
    }
    stop(&d);
    return used > REPLICATES / 2 ? ml_boot_deviation(values, used) : 0;
}
