/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ROC and precision-recall curves, thinned without losing area. */
#include "stats/curve.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/rank_impl.h"
#include "stats/sum.h"

#define STEP (1.0 / 32768) /* points of a first pass are so far apart: it bounds how many there are of any number */
#define ROOM 0.95          /* of the bound: the rest is for rounding */
#define FLAT 1e-15         /* a triangle that is a line */

struct building {
    struct ml_curve *c;
    size_t cap;
    double x, y, threshold; /* the last point, not yet kept */
    struct ml_sum area;     /* below all points */
};

static void keep(struct building *b)
{
    struct ml_curve *c = b->c;

    if (c->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 256;
        c->x = ml_realloc(c->x, b->cap * sizeof *c->x);
        c->y = ml_realloc(c->y, b->cap * sizeof *c->y);
        c->threshold = ml_realloc(c->threshold, b->cap * sizeof *c->threshold);
    }
    c->x[c->n] = b->x;
    c->y[c->n] = b->y;
    c->threshold[c->n++] = b->threshold;
}

/* The point before one that lies further off is kept, so that no line leaves out more than a step. */
static void add(struct building *b, double x, double y, double threshold)
{
    struct ml_curve *c = b->c;

    ml_sum_add(&b->area, (x - b->x) * (y + b->y) / 2);
    if (c->n == 0 || fabs(x - c->x[c->n - 1]) > STEP || fabs(y - c->y[c->n - 1]) > STEP)
        keep(b);
    b->x = x;
    b->y = y;
    b->threshold = threshold;
}

static double area_below(const struct ml_curve *c)
{
    struct ml_sum sum = { 0, 0 };

    for (size_t i = 1; i < c->n; i++)
        ml_sum_add(&sum, (c->x[i] - c->x[i - 1]) * (c->y[i] + c->y[i - 1]) / 2);
    return ml_sum_value(&sum);
}

/* Points that may go, the smallest triangle on top; of an entry whose point has changed the stamp is old. */
struct entry {
    double size;
    uint32_t at, stamp;
};

struct thinning {
    const struct ml_curve *c;
    uint32_t *before, *after, *stamp;
    struct entry *heap;
    size_t n;
};

static bool less(const struct entry *a, const struct entry *b)
{
    return a->size < b->size || (a->size == b->size && a->at < b->at);
}

static void push(struct thinning *t, struct entry e)
{
    size_t i = t->n++;

    for (; i > 0 && less(&e, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = e;
}

static struct entry pop(struct thinning *t)
{
    struct entry top = t->heap[0], last = t->heap[--t->n];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < t->n; i = child) {
        if (child + 1 < t->n && less(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (!less(&t->heap[child], &last))
            break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* What the area grows by when point i goes. */
static double triangle(const struct thinning *t, uint32_t i)
{
    const double *x = t->c->x, *y = t->c->y;
    uint32_t a = t->before[i], b = t->after[i];

    return ((x[b] - x[a]) * (y[b] + y[a]) - (x[i] - x[a]) * (y[i] + y[a]) - (x[b] - x[i]) * (y[b] + y[i])) / 2;
}

static void consider(struct thinning *t, uint32_t i)
{
    if (i > 0 && i + 1 < t->c->n)
        push(t, (struct entry){ fabs(triangle(t, i)), i, ++t->stamp[i] });
}

/* `off`: how much the area is off already. */
static void thin(struct ml_curve *c, double off)
{
    size_t n = c->n, left = n, kept = 0;
    struct thinning t = { .c = c,
        .before = ml_malloc((n + 1) * sizeof(uint32_t)),
        .after = ml_malloc((n + 1) * sizeof(uint32_t)),
        .stamp = ml_calloc(n + 1, sizeof(uint32_t)),
        .heap = ml_malloc((3 * n + 1) * sizeof *t.heap) };

    for (size_t i = 0; i < n; i++) {
        t.before[i] = (uint32_t)i - (i > 0);
        t.after[i] = (uint32_t)i + (i + 1 < n);
    }
    for (size_t i = 0; i < n; i++)
        consider(&t, (uint32_t)i);
    while (t.n > 0) {
        struct entry e = pop(&t);
        double change;

        if (e.stamp != t.stamp[e.at])
            continue;
        change = triangle(&t, e.at);
        if ((left <= ML_CURVE_POINTS && e.size > FLAT) || fabs(off + change) > ROOM * ML_CURVE_AREA)
            break;
        off += change;
        left--;
        t.after[t.before[e.at]] = t.after[e.at];
        t.before[t.after[e.at]] = t.before[e.at];
        consider(&t, t.before[e.at]);
        consider(&t, t.after[e.at]);
    }
    for (size_t i = 0; kept < left; i = t.after[i], kept++) {
        c->x[kept] = c->x[i];
        c->y[kept] = c->y[i];
        c->threshold[kept] = c->threshold[i];
    }
    c->n = kept;
    free(t.before);
    free(t.after);
    free(t.stamp);
    free(t.heap);
}

static bool draw(struct ml_measure *m, bool roc, struct ml_curve *out, const char **reason)
{
    struct weighting by = { m->s.weight, NULL };
    struct building b = { .c = out, .y = roc ? 0 : 1, .threshold = NAN };
    double hits = 0, alarms = 0;
    struct ranking r;

    *out = (struct ml_curve){ 0 };
    *reason = "there is no score of a positive class";
    if (m->s.task != ML_TASK_BINARY || !m->s.score)
        return false;
    r = ml_rank_binary(m, &by);
    *reason = "the labels are of one class only";
    if (r.pos_rows == 0 || r.neg_rows == 0)
        return false;
    *reason = NULL;
    for (size_t i = m->s.n; i-- > 0;) {
        *(r.mark[i] & ML_MARK_POS ? &hits : &alarms) += weight_of(&by, r.order[i]);
        if (i > 0 && !(r.mark[i - 1] & ML_MARK_LAST))
            continue;
        if (i == 0) { /* all rows, but for rounding */
            hits = r.pos;
            alarms = r.neg;
        }
        add(&b, roc ? alarms / r.neg : hits / r.pos, roc ? hits / r.pos : hits / (hits + alarms),
            m->s.score[r.order[i]]);
    }
    keep(&b);
    thin(out, area_below(out) - ml_sum_value(&b.area));
    return true;
}

bool ml_curve_roc(struct ml_measure *m, struct ml_curve *out, const char **reason)
{
    return draw(m, true, out, reason);
}

bool ml_curve_pr(struct ml_measure *m, struct ml_curve *out, const char **reason)
{
    return draw(m, false, out, reason);
}

void ml_curve_release(struct ml_curve *c)
{
    free(c->x);
    free(c->y);
    free(c->threshold);
    *c = (struct ml_curve){ 0 };
}
