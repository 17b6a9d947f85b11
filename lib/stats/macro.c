/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Means over classes: what makes their standard errors, and the row more that each is thought to have. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"

#define LEFT_LEAST 1e-6 /* below, one unit is all of its class */

struct macro {
    const struct class_counts *sums;    /* of weights */
    const struct class_counts *squares; /* of the units' weights; NULL: these are all 1, as are the cubes */
    const struct class_counts *cubes;
};

/* A class as it stands in the mean. What one unit more would add to the class's value is in hit, miss and alarm: a row
 * that is right, one of the label that is missed, and one that is taken for it. */
struct member {
    bool in;     /* the mean */
    bool single; /* without a spread of its own */
    bool never;  /* precision of a class that is never predicted */
    double part; /* of the mean */
    double n;    /* units in the denominator */
    double left; /* of their variance */
    double unit; /* weight of one of them */
    double hits; /* share of the denominator's rows that are right */
    double hit, miss, alarm;
    struct class_ratio r;
};

/* ---- how many units there are in each class ---- */

struct tally {
    struct class_counts *squares, *cubes;
    double *label, *pred, *either; /* weights of the unit's rows that have the class so */
    uint32_t *touched;             /* classes with any */
    size_t n;
};

static void take_cell(struct tally *t, size_t k, bool label, bool pred, double w)
{
    if (!label && !pred)
        return;
    if (t->either[k] == 0)
        t->touched[t->n++] = (uint32_t)k;
    t->label[k] += label ? w : 0;
    t->pred[k] += pred ? w : 0;
    t->either[k] += w;
}

static void take_row(struct tally *t, const struct ml_sample *s, size_t i)
{
    double w = s->weight ? s->weight[i] : 1;
    size_t classes = (size_t)s->classes;

    for (size_t k = 0; s->labels && k < classes; k++)
        take_cell(t, k, s->labels[i * classes + k], s->preds[i * classes + k], w);
    if (s->labels)
        return;
    take_cell(t, (size_t)s->label[i], true, s->pred[i] == s->label[i], w);
    if (s->pred[i] != s->label[i])
        take_cell(t, (size_t)s->pred[i], false, true, w);
}

static void end_unit(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t k = t->touched[i];
        double y = t->label[k], p = t->pred[k], e = t->either[k];

        t->squares->truth[k] += y * y;
        t->squares->pred[k] += p * p;
        t->squares->alarm[k] += (e - y) * (e + y); /* what those of either have more */
        t->cubes->truth[k] += y * y * y;
        t->cubes->pred[k] += p * p * p;
        t->cubes->alarm[k] += (e - y) * (e * e + e * y + y * y);
        t->label[k] = t->pred[k] = t->either[k] = 0;
    }
    t->n = 0;
}

/* Rows, those of a group behind each other. */
static uint32_t *by_group(const struct ml_sample *s)
{
    uint32_t *start = ml_calloc((size_t)s->groups + 2, sizeof *start), *order = ml_malloc((s->n + 1) * sizeof *order);

    for (size_t i = 0; i < s->n; i++)
        start[s->group[i] + 1]++;
    for (size_t g = 0; g < s->groups; g++)
        start[g + 1] += start[g];
    for (size_t i = 0; i < s->n; i++)
        order[start[s->group[i]]++] = (uint32_t)i;
    free(start);
    return order;
}

static void tally(struct ml_measure *m)
{
    const struct ml_sample *s = &m->s;
    size_t classes = (size_t)s->classes;
    double *now = ml_calloc(3 * classes + 1, sizeof *now);
    struct tally t = { .squares = ml_counts_none(s->classes),
        .cubes = ml_counts_none(s->classes),
        .label = now,
        .pred = now + classes,
        .either = now + 2 * classes,
        .touched = ml_malloc((classes + 1) * sizeof *t.touched) };
    uint32_t *order = s->group ? by_group(s) : NULL;

    for (size_t at = 0; at < s->n; at++) {
        size_t i = order ? order[at] : at;

        take_row(&t, s, i);
        if (!order || at + 1 == s->n || s->group[order[at + 1]] != s->group[i])
            end_unit(&t);
    }
    ml_counts_others(t.squares); /* a group's rows of several classes count one by one */
    ml_counts_others(t.cubes);
    free(now);
    free(t.touched);
    free(order);
    m->of_squares = t.squares;
    m->of_cubes = t.cubes;
}

static struct macro macro_of(struct ml_measure *m)
{
    const struct class_counts *sums = ml_measure_counts(m);

    if (!ml_measure_plain(m) && !m->of_squares)
        tally(m);
    return (struct macro){ sums, m->of_squares, m->of_cubes };
}

/* ---- classes ---- */

static double rows_of(const struct ml_metric *metric, const struct class_counts *c, int32_t k)
{
    switch (metric->id) {
    case ML_METRIC_PRECISION:
        return c->pred[k];
    case ML_METRIC_SPECIFICITY:
        return c->others[k];
    case ML_METRIC_F1:
    case ML_METRIC_FBETA:
    case ML_METRIC_JACCARD:
        return c->truth[k] + c->alarm[k];
    default:
        return c->truth[k];
    }
}

/* How many there are in the denominator, and what part of their variance is left about their own mean: with weights w
 * of sum 1 and variances alike, of sum w^2 that is sum w^2 - 2 sum w^3 + (sum w^2)^2. */
static void count_units(const struct ml_metric *metric, const struct macro *of, int32_t k, struct member *b)
{
    double rows = rows_of(metric, of->sums, k), squares, cubes;

    b->n = rows;
    b->left = rows > 0 ? 1 - 1 / rows : 0;
    if (!of->squares || !(rows > 0))
        return;
    squares = rows_of(metric, of->squares, k) / rows / rows;
    cubes = rows_of(metric, of->cubes, k) / rows / rows / rows;
    b->n = squares > 0 ? fmax(1 / squares, 1) : 1; /* weights too small for squares */
    b->left = squares > 0 ? 1 - 2 * cubes / squares + squares : 0;
}

static struct member member_of(const struct ml_metric *metric, const struct macro *of, int32_t k, double classes)
{
    const struct class_counts *c = of->sums;
    struct member b = { .in = ml_counts_averaged(metric, c, k), .part = 1 / classes };
    double rows = rows_of(metric, c, k), scale;

    if (!b.in)
        return b;
    b.r = ml_counts_ratio(metric, c, k);
    count_units(metric, of, k, &b);
    /* that a class without a label has no recall isn't a matter of rows */
    b.never = metric->id == ML_METRIC_PRECISION && !(rows > 0) && c->truth[k] > 0;
    b.single = b.never || (b.n > 0 && b.left < LEFT_LEAST);
    if (!(b.r.denominator > 0) || !(b.n > 0)) {
        b.hit = b.never;
        return b;
    }
    b.unit = rows / b.n;
    b.hits = b.r.negatives ? b.r.value : fmin(c->hit[k] / rows, 1);
    scale = b.unit / b.r.denominator;
    if (b.r.negatives) {
        b.hit = b.r.rest * scale;
        b.alarm = -b.r.value * scale;
        return b;
    }
    b.hit = b.r.gain * b.r.rest * scale;
    b.miss = -b.r.value * b.r.truth * scale;
    b.alarm = -b.r.value * b.r.pred * scale;
    return b;
}

static double averaged_classes(const struct ml_metric *metric, const struct class_counts *c)
{
    double classes = 0;

    for (int32_t k = 0; k < c->k; k++)
        classes += ml_counts_averaged(metric, c, k);
    return classes;
}

/* The rows of a class that don't spread: all that are in its denominator or, never predicted, those of its label. */
static void add_single(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell,
    const struct member *b, double deviation, int32_t k)
{
    bool label = b->never || metric->id != ML_METRIC_PRECISION;
    bool pred = !b->never && (metric->id == ML_METRIC_PRECISION || (b->r.truth > 0 && b->r.pred > 0));
    double psi = deviation * c->total / (b->never ? c->truth[k] : rows_of(metric, c, k));

    cell->hit[k] = psi;
    cell->miss[k] = label ? psi : 0;
    cell->alarm[k] = pred ? psi : 0;
}

/* The change when a unit is left out whose share of the denominator is `share`, over that of a share of rows, which the
 * first root makes unbiased. */
static double left_out(const struct member *b, double share)
{
    double n = b->n, least = b->r.negatives || b->r.truth == 0 || b->r.pred == 0 ? 1 : fmin(b->r.truth, b->r.pred);
    double denominator = fmax(b->r.denominator / b->unit, share + (n - 1) * least);

    return sqrt(1 / b->left) * (1 - 1 / n) / (1 - share / denominator);
}

static void add_spread(struct cell_psi *cell, const struct member *b, double total, int32_t k)
{
    double scale = b->part * total / b->unit;

    if (b->r.negatives) {
        scale *= left_out(b, 1);
        cell->miss[k] = b->hit * scale;
        cell->alarm[k] = -(b->hit - b->alarm) * scale;
        return;
    }
    cell->hit[k] = b->hit * scale * left_out(b, b->r.gain);
    cell->miss[k] = b->miss * scale * left_out(b, b->r.truth);
    cell->alarm[k] = b->alarm * scale * left_out(b, b->r.pred);
}

void ml_macro_spread(struct ml_measure *m, const struct ml_metric *metric, struct cell_psi *cell)
{
    const struct macro macro = macro_of(m), *of = &macro;
    const struct class_counts *c = of->sums;
    double classes = averaged_classes(metric, c), sum = 0, singles = 0, of_singles = 0, middle, scale;

    for (int32_t k = 0; k < c->k; k++) {
        struct member b = member_of(metric, of, k, classes);

        sum += b.in ? b.r.value : 0;
        singles += b.single;
        of_singles += b.single ? b.r.value : 0;
    }
    middle = singles > 1 ? of_singles / singles : sum / classes;
    scale = singles > 1 ? sqrt(singles / (singles - 1)) : 1;
    for (int32_t k = 0; k < c->k; k++) {
        struct member b = member_of(metric, of, k, classes);

        if (b.single && !b.r.negatives)
            add_single(metric, c, cell, &b, (b.r.value - middle) * scale * b.part, k);
        else if (!b.single && b.r.denominator > 0)
            add_spread(cell, &b, c->total, k);
    }
    if (metric->id == ML_METRIC_SPECIFICITY)
        ml_counts_share_negatives(cell, c->k);
}

void ml_macro_labels(struct ml_measure *m, const struct ml_metric *metric, double *psi)
{
    size_t k = (size_t)m->s.classes;
    struct cell_psi cell = { .hit = ml_calloc(3 * k + 1, sizeof *cell.hit) };

    cell.miss = cell.hit + k;
    cell.alarm = cell.miss + k;
    ml_macro_spread(m, metric, &cell);
    ml_labels_spread(&m->s, &cell, psi);
    free(cell.hit);
}

static double raised(double x, int power)
{
    return power == 2 ? x * x : x * x * x;
}

/* The power of what a mistake does. Of one class a row is a miss of its own and an alarm of another, taken for one like
 * it; in sets of labels it is either. */
static double mistake(const struct member *b, bool sets, int power)
{
    if (sets && b->r.truth > 0 && b->r.pred > 0)
        return (raised(b->miss, power) + raised(b->alarm, power)) / 2;
    return raised(b->miss + b->alarm, power);
}

/* How much a class may move the mean at most. */
static double reach_of(const struct member *b)
{
    return b->never || b->r.denominator > 0 ? b->part * b->part / fmax(b->n, 1) : 0;
}

/* What a class adds, and whether its own rows differ. */
struct part {
    double added;
    bool spread;
};

static void add_rows(
    const struct ml_metric *metric, const struct macro *of, struct part *each, struct ml_macro_added *out)
{
    const struct class_counts *c = of->sums;
    double classes = averaged_classes(metric, c), reach = 0, total = 0, curve = 0;

    for (int32_t k = 0; k < c->k; k++) {
        struct member b = member_of(metric, of, k, classes);

        reach += reach_of(&b);
    }
    for (int32_t k = 0; k < c->k; k++) {
        struct member b = member_of(metric, of, k, classes);
        double rows = reach > 0 ? reach_of(&b) / reach : 0, to = b.part * c->total, n = fmax(b.n, 1), added, own;

        added = rows * to * to * (b.hit * b.hit + mistake(&b, c->every, 2)) / 2;
        own = n * to * to * (b.hits * b.hit * b.hit + (1 - b.hits) * mistake(&b, c->every, 2));
        out->squares += added;
        out->cubes += rows * to * to * to * (b.hit * b.hit * b.hit + mistake(&b, c->every, 3)) / 2;
        total += own + added;
        curve += (own + added) * (own + added) / n;
        if (each)
            each[k] = (struct part){ added, b.hits > 0 && b.hits < 1 };
    }
    out->curve = total > 0 ? curve / total / total : 0;
}

static bool added_parts(
    struct ml_measure *m, const struct ml_metric *metric, struct part *each, struct ml_macro_added *out)
{
    struct macro of;

    *out = (struct ml_macro_added){ 0, 0, 0 };
    if (metric->fallback != ML_FALLBACK_MACRO)
        return false;
    of = macro_of(m);
    add_rows(metric, &of, each, out);
    return true;
}

bool ml_macro_added(struct ml_measure *m, const struct ml_metric *metric, struct ml_macro_added *out)
{
    return added_parts(m, metric, NULL, out);
}

void ml_macro_added_pair(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, struct ml_macro_added *out)
{
    size_t classes = (size_t)a->s.classes;
    struct part *x, *y;
    struct ml_macro_added of_a, of_b;

    *out = (struct ml_macro_added){ 0, 0, 0 };
    if (metric->fallback != ML_FALLBACK_MACRO)
        return;
    x = ml_calloc(2 * classes + 1, sizeof *x);
    y = x + classes;
    added_parts(a, metric, x, &of_a);
    added_parts(b, metric, y, &of_b);
    for (size_t k = 0; k < classes; k++)
        out->squares +=
            x[k].added + y[k].added + (x[k].spread || y[k].spread ? 0 : 2 * sqrt(x[k].added) * sqrt(y[k].added));
    out->cubes = of_b.cubes - of_a.cubes;
    free(x);
}
