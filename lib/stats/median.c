/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bootstrap of a median of many rows. With Poisson counts the median of a replicate lies within a few sqrt(n) rows
 * of the sample's; of all others only the sum of their counts matters, and that is one Poisson number. So a replicate
 * costs sqrt(n). */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"

#define REACH 5 /* in sqrt(n) rows: the median of a replicate is off by sqrt(n)/2 in standard deviation */

enum { LEFT, NEAR, RIGHT };

/* One model's rows near its median, by ascending error. */
struct window {
    size_t n;
    double *half;     /* |error| / 2 */
    uint32_t *listed; /* which of the listed rows it is */
};

/* Rows near either model's median are listed and drawn one by one; the rest fall into four cells, by the side on which
 * they lie of a's (bit 0: right) and of b's median (bit 1). */
struct plan {
    int models;
    size_t listed, cells[4];
    unsigned char *side[2]; /* of each listed row */
    struct window windows[2];
};

bool ml_median_many(const struct ml_measure *m, const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_MEDIAN_AE && ml_measure_plain(m) && m->s.n > ML_BOOT_MULTINOMIAL;
}

static void reach_of(size_t n, size_t *from, size_t *to)
{
    size_t reach = (size_t)(REACH * sqrt((double)n)) + 1;

    *from = n / 2 > reach ? n / 2 - reach : 0;
    *to = n / 2 + reach < n ? n / 2 + reach : n;
}

static void fill_sides(struct ml_measure *m, unsigned char *side)
{
    const uint32_t *order = ml_measure_order(m);
    size_t from, to;

    reach_of(m->s.n, &from, &to);
    for (size_t i = 0; i < m->s.n; i++)
        side[order[i]] = i < from ? LEFT : i < to ? NEAR : RIGHT;
}

static void fill_window(struct ml_measure *m, const uint32_t *place, struct window *w)
{
    const uint32_t *order = ml_measure_order(m);
    size_t from, to;

    reach_of(m->s.n, &from, &to);
    w->n = to - from;
    w->half = ml_malloc(w->n * sizeof *w->half);
    w->listed = ml_malloc(w->n * sizeof *w->listed);
    for (size_t i = from; i < to; i++) {
        w->half[i - from] = fabs(m->s.truth[order[i]] / 2 - m->s.estimate[order[i]] / 2);
        w->listed[i - from] = place[order[i]];
    }
}

static void plan_open(struct plan *p, struct ml_measure *a, struct ml_measure *b)
{
    size_t n = a->s.n;
    unsigned char *side[2] = { ml_malloc(n), b ? ml_malloc(n) : NULL };
    uint32_t *place = ml_malloc(n * sizeof *place);

    *p = (struct plan){ .models = b ? 2 : 1 };
    fill_sides(a, side[0]);
    if (b)
        fill_sides(b, side[1]);
    for (size_t i = 0; i < n; i++) {
        if (side[0][i] == NEAR || (b && side[1][i] == NEAR)) {
            for (int k = 0; k < p->models; k++)
                side[k][p->listed] = side[k][i];
            place[i] = (uint32_t)p->listed++;
        } else {
            p->cells[(side[0][i] == RIGHT) + 2 * (b && side[1][i] == RIGHT)]++;
        }
    }
    p->side[0] = side[0];
    p->side[1] = side[1];
    fill_window(a, place, &p->windows[0]);
    if (b)
        fill_window(b, place, &p->windows[1]);
    free(place);
}

static void plan_close(struct plan *p)
{
    for (int k = 0; k < 2; k++) {
        free(p->side[k]);
        free(p->windows[k].half);
        free(p->windows[k].listed);
    }
}

/* Model k's median in a replicate: the mean of the two middle ones. False when it isn't in the window, ten deviations
 * wide. */
static bool median_of(const struct plan *p, int k, const uint32_t *counts, const double cells[4], double *out)
{
    const struct window *w = &p->windows[k];
    double total = cells[0] + cells[1] + cells[2] + cells[3], at = 0, low = NAN;

    for (int c = 0; c < 4; c++)
        at += c >> k & 1 ? 0 : cells[c];
    for (size_t i = 0; i < p->listed; i++) {
        total += counts[i];
        at += p->side[k][i] == LEFT ? counts[i] : 0;
    }
    if (at >= total / 2)
        return false;
    for (size_t i = 0; i < w->n; i++) {
        at += counts[w->listed[i]];
        if (isnan(low) && at >= total / 2)
            low = w->half[i];
        if (at > total / 2) {
            *out = low + w->half[i];
            return true;
        }
    }
    return false;
}

size_t ml_median_replicates(struct ml_measure *a, struct ml_measure *b, uint64_t seed, size_t replicates, double *out)
{
    struct plan p;
    size_t used = 0;
    uint32_t *counts;

    plan_open(&p, a, b);
    counts = ml_malloc((p.listed + 1) * sizeof *counts);
    for (size_t r = 0; r < replicates; r++) {
        double cells[4], x, y = 0;

        ml_boot_poisson(seed, r, p.listed, counts);
        for (unsigned c = 0; c < 4; c++)
            cells[c] = ml_boot_poisson_sum(seed, r, c, p.cells[c]);
        if (median_of(&p, 0, counts, cells, &x) && (!b || median_of(&p, 1, counts, cells, &y)))
            out[used++] = b ? y - x : x;
    }
    free(counts);
    plan_close(&p);
    return used;
}
