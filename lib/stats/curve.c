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
    bool steps; /* the area is that of steps */
    size_t cap;
    double x, y, threshold;   /* the last point, not yet kept */
    struct ml_sum area, line; /* below all points: the curve's own, and that of the line through them */
};

static void keep(struct building *b)
{
    struct ml_curve *c = b->c;

    if (c->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 256;
        c->x = ml_realloc(c->x, b->cap * sizeof *c->x);
        c->y = ml_realloc(c->y, b->cap * sizeof *c->y);
        c->threshold = ml_realloc(c->threshold, b->cap * sizeof *c->threshold);
        c->area = ml_realloc(c->area, b->cap * sizeof *c->area);
    }
    c->x[c->n] = b->x;
    c->y[c->n] = b->y;
    c->area[c->n] = ml_sum_value(&b->area);
    c->threshold[c->n++] = b->threshold;
}

/* The point before one that lies further off is kept, so that no line leaves out more than a step; so are the first. */
static void add(struct building *b, double x, double y, double threshold)
{
    struct ml_curve *c = b->c;
    double line = (x - b->x) * (y + b->y) / 2;

    if (c->n < ML_CURVE_POINTS || fabs(x - c->x[c->n - 1]) > STEP || fabs(y - c->y[c->n - 1]) > STEP)
        keep(b);
    ml_sum_add(&b->line, line);
    ml_sum_add(&b->area, b->steps ? (x - b->x) * y : line);
    b->x = x;
    b->y = y;
    b->threshold = threshold;
}

/* Points that may go, the smallest triangle on top; of an entry whose point has changed the stamp is old. */
struct entry {
    double size;
    uint32_t at, stamp;
};

struct thinning {
    const struct ml_curve *c;
    bool steps;
    size_t left;
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

/* What the area below the line from a to b grows by when point i between them goes. */
static double triangle(const struct thinning *t, uint32_t a, uint32_t i, uint32_t b)
{
    const double *x = t->c->x, *y = t->c->y;

    return ((x[b] - x[a]) * (y[b] + y[a]) - (x[i] - x[a]) * (y[i] + y[a]) - (x[b] - x[i]) * (y[b] + y[i])) / 2;
}

static double without(const struct thinning *t, uint32_t i)
{
    return triangle(t, t->before[i], i, t->after[i]);
}

/* The curve is the same without point i. */
static bool needless(const struct thinning *t, uint32_t i)
{
    const double *x = t->c->x, *y = t->c->y;

    return fabs(without(t, i)) <= FLAT &&
           (!t->steps || fabs((x[i] - x[t->before[i]]) * (y[i] - y[t->after[i]])) <= FLAT);
}

/* Below the line through the points that are left. */
static double area_left(const struct thinning *t)
{
    const double *x = t->c->x, *y = t->c->y;
    struct ml_sum sum = { 0, 0 };

    for (uint32_t i = 0, j; (j = t->after[i]) != i; i = j)
        ml_sum_add(&sum, (x[j] - x[i]) * (y[j] + y[i]) / 2);
    return ml_sum_value(&sum);
}

static void consider(struct thinning *t, uint32_t i)
{
    if (i > 0 && i + 1 < t->c->n)
        push(t, (struct entry){ fabs(without(t, i)), i, ++t->stamp[i] });
}

static void join(struct thinning *t, uint32_t a, uint32_t b)
{
    t->after[a] = b;
    t->before[b] = a;
}

/* `off`: how much the line's area is off already. True: more than needless points have gone. */
static bool thin(struct thinning *t, double off)
{
    bool gone = false;

    for (size_t i = 0; i < t->c->n; i++)
        consider(t, (uint32_t)i);
    while (t->n > 0) {
        struct entry e = pop(t);
        double change;

        if (e.stamp != t->stamp[e.at])
            continue;
        change = without(t, e.at);
        if ((t->left <= ML_CURVE_POINTS && e.size > FLAT) || fabs(off + change) > ROOM * ML_CURVE_AREA)
            break;
        if (!needless(t, e.at)) {
            if (t->left <= ML_CURVE_POINTS)
                continue;
            gone = true;
        }
        off += change;
        t->left--;
        join(t, t->before[e.at], t->after[e.at]);
        consider(t, t->before[e.at]);
        consider(t, t->after[e.at]);
    }
    return gone;
}

/* The point between the neighbours of i that brings the area nearest to the right one, and changes it by no more than
 * `most`. */
static uint32_t nearest(const struct thinning *t, uint32_t i, double most, double *off)
{
    uint32_t a = t->before[i], b = t->after[i], best = i;
    double now = without(t, i), found = *off;

    for (uint32_t j = a + 1; j < b; j++) {
        double change = now - triangle(t, a, j, b);
        if (fabs(change) <= most && fabs(*off + change) < fabs(found)) {
            best = j;
            found = *off + change;
        }
    }
    *off = found;
    return best;
}

/* Takes others of the points that went instead of some that are left, until the line's area isn't `off`: what each may
 * change begins with its share, so that all bear a little. */
static void balance(struct thinning *t, double off)
{
    uint32_t last = (uint32_t)t->c->n - 1;

    for (double most = fabs(off) / (double)t->left; fabs(off) > FLAT && most < ML_CURVE_AREA; most *= 2)
        for (uint32_t i = t->after[0]; i < last && fabs(off) > FLAT; i = t->after[i]) {
            uint32_t a = t->before[i], b = t->after[i];
            i = nearest(t, i, most, &off);
            join(t, a, i);
            join(t, i, b);
        }
}

/* `line`: the area below the line through all points; `wanted`: the one to be had where points have gone. */
static void draw_less(struct ml_curve *c, bool steps, double line, double wanted)
{
    size_t n = c->n, kept = 0;
    struct thinning t = { .c = c,
        .steps = steps,
        .left = n,
        .before = ml_malloc(n * sizeof(uint32_t)),
        .after = ml_malloc(n * sizeof(uint32_t)),
        .stamp = ml_calloc(n, sizeof(uint32_t)),
        .heap = ml_malloc(3 * n * sizeof *t.heap) };

    for (size_t i = 0; i < n; i++) {
        t.before[i] = (uint32_t)i - (i > 0);
        t.after[i] = (uint32_t)i + (i + 1 < n);
    }
    if (thin(&t, area_left(&t) - line))
        balance(&t, area_left(&t) - wanted);
    for (size_t i = 0; kept < t.left; i = t.after[i], kept++) {
        c->x[kept] = c->x[i];
        c->y[kept] = c->y[i];
        c->threshold[kept] = c->threshold[i];
        c->area[kept] = c->area[i];
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
    struct building b = { .c = out, .steps = !roc, .y = roc ? 0 : 1, .threshold = NAN };
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
        double tpr = fmin(hits / r.pos, 1), fpr = fmin(alarms / r.neg, 1);
        add(&b, roc ? fpr : tpr, roc ? tpr : hits / (hits + alarms), m->s.score[r.order[i]]);
    }
    keep(&b);
    draw_less(out, !roc, ml_sum_value(&b.line), ml_sum_value(&b.area));
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
    free(c->area);
    *c = (struct ml_curve){ 0 };
}
