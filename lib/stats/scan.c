/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One pass over the rows for each column and each pair of columns fills the sums of all their values' slices. */
#include "stats/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/dist.h"
#include "stats/sum.h"
#include "stats/verdict.h"

#define GROUPS_LEAST 10
#define ERRORS_LEAST 10 /* rows that lose something: fewer are no finding */
#define SHORTLIST    40
#define PASSES       100 /* over the rows, to tell parts from findings: the worst ones' */

/* Sums over the rows of a slice, or of all: weights w, losses l from the mean of all. */
struct cell {
    size_t rows, errors;
    double w, l;
    /* of rows: sums of w^2, w^2 l, w^2 l^2; of groups: of W^2, W L and L^2, their sums of w and w l */
    double ww, wl, ll;
    /* groups: sums with the sums W', L' of the whole group; how many there are here, and how many lie here wholly */
    double w_w, w_l, l_w, l_l;
    size_t groups, whole;
};

struct scan {
    const struct ml_scan *s;
    double mean;
    double *weight;       /* of moderate size; NULL: all alike */
    double *loss;         /* less the mean */
    unsigned char *error; /* loses something */
    bool plain;           /* neither weights nor groups, losses 0 and 1 */
    uint64_t *packed;     /* plain: a row's 1 << 32, and 1 for an error */
    struct cell all;
    uint32_t *order; /* rows by group */
    size_t *start;
    struct ml_scanned *found; /* slices with enough rows */
    double *p;
    size_t n, cap, p_cap;
};

static double weight_at(const struct scan *c, size_t i)
{
    return c->weight ? c->weight[i] : 1;
}

static void add_row(const struct scan *c, struct cell *to, size_t row)
{
    double w = weight_at(c, row), l = c->loss[row];

    if (!(w > 0))
        return;
    to->rows++;
    to->errors += c->error[row];
    to->w += w;
    to->l += w * l;
    if (c->s->group)
        return;
    to->ww += w * w;
    to->wl += w * w * l;
    to->ll += w * w * l * l;
}

/* A group's sums here: W and L of its rows in the cell, and of all its rows. */
static void add_group(struct cell *to, double w, double l, double whole_w, double whole_l, bool whole)
{
    to->ww += w * w;
    to->wl += w * l;
    to->ll += l * l;
    to->w_w += w * whole_w;
    to->w_l += w * whole_l;
    to->l_w += l * whole_w;
    to->l_l += l * whole_l;
    to->groups++;
    to->whole += whole;
}

static void sort_groups(struct scan *c)
{
    const struct ml_scan *s = c->s;

    c->start = ml_calloc((size_t)s->groups + 2, sizeof *c->start);
    c->order = ml_malloc((s->n + 1) * sizeof *c->order);
    for (size_t i = 0; i < s->n; i++)
        c->start[s->group[i] + 2]++;
    for (size_t g = 2; g < (size_t)s->groups + 2; g++)
        c->start[g] += c->start[g - 1];
    for (size_t i = 0; i < s->n; i++)
        c->order[c->start[s->group[i] + 1]++] = (uint32_t)i;
}

static void scale_weights(struct scan *c)
{
    double most = 0;
    int e;

    for (size_t i = 0; i < c->s->n; i++)
        most = fmax(most, c->s->weight[i]);
    frexp(most, &e);
    c->weight = ml_malloc((c->s->n + 1) * sizeof *c->weight);
    for (size_t i = 0; i < c->s->n; i++)
        c->weight[i] = ldexp(c->s->weight[i], -e);
}

static void prepare(struct scan *c)
{
    const struct ml_scan *s = c->s;
    struct ml_sum sum = { 0, 0 }, total = { 0, 0 };

    if (s->weight)
        scale_weights(c);
    c->plain = !s->weight && !s->group;
    for (size_t i = 0; i < s->n; i++) {
        ml_sum_add(&sum, weight_at(c, i) * s->loss[i]);
        ml_sum_add(&total, weight_at(c, i));
        c->plain = c->plain && (s->loss[i] == 0 || s->loss[i] == 1);
    }
    c->mean = ml_sum_value(&sum) / ml_sum_value(&total);
    c->loss = ml_malloc((s->n + 1) * sizeof *c->loss);
    c->error = ml_malloc(s->n + 1);
    for (size_t i = 0; i < s->n; i++) {
        c->loss[i] = s->loss[i] - c->mean;
        c->error[i] = s->loss[i] > 0;
        add_row(c, &c->all, i);
    }
    if (c->plain) {
        c->packed = ml_malloc((s->n + 1) * sizeof *c->packed);
        for (size_t i = 0; i < s->n; i++)
            c->packed[i] = ((uint64_t)1 << 32) + c->error[i];
    }
    if (!s->group)
        return;
    sort_groups(c);
    for (uint32_t g = 0; g < s->groups; g++) {
        double w = 0, l = 0;

        for (size_t i = c->start[g]; i < c->start[g + 1]; i++) {
            w += weight_at(c, c->order[i]);
            l += weight_at(c, c->order[i]) * c->loss[c->order[i]];
        }
        if (c->start[g + 1] > c->start[g])
            add_group(&c->all, w, l, w, l, true);
    }
}

/* Which cell a row is in, or `none`. */
struct grid {
    const uint8_t *a, *b; /* b NULL: of one column */
    size_t width, n;
};

static size_t cell_of(const struct grid *g, size_t row)
{
    size_t a = g->a[row], b = g->b ? g->b[row] : 0;

    return a == ML_SCAN_NONE || b == ML_SCAN_NONE ? g->n : a * g->width + b;
}

static void fill_plain(const struct scan *c, const struct grid *g, struct cell *cells)
{
    /* values that aren't looked at have places of their own */
    uint64_t *counts = ml_calloc(256 * 256, sizeof *counts);

    for (size_t i = 0; i < c->s->n; i++)
        counts[(size_t)g->a[i] << 8 | (g->b ? g->b[i] : 0)] += c->packed[i];
    for (size_t i = 0; i < g->n; i++) {
        uint64_t both = counts[(i / g->width) << 8 | i % g->width];
        double rows = (double)(both >> 32), errors = (double)(uint32_t)both, e = 1 - c->mean, r = -c->mean;

        cells[i].rows = (size_t)(both >> 32);
        cells[i].errors = (uint32_t)both;
        cells[i].w = cells[i].ww = rows;
        cells[i].l = cells[i].wl = errors * e + (rows - errors) * r;
        cells[i].ll = errors * e * e + (rows - errors) * r * r;
    }
    free(counts);
}

static void fill_groups(const struct scan *c, const struct grid *g, struct cell *cells)
{
    const struct ml_scan *s = c->s;
    double *w = ml_calloc(g->n + 1, sizeof *w), *l = ml_calloc(g->n + 1, sizeof *l);
    size_t *rows = ml_calloc(g->n + 1, sizeof *rows), *touched = ml_malloc((g->n + 1) * sizeof *touched), n;

    for (uint32_t k = 0; k < s->groups; k++) {
        double all_w = 0, all_l = 0;

        n = 0;
        for (size_t i = c->start[k]; i < c->start[k + 1]; i++) {
            size_t row = c->order[i], at = cell_of(g, row);
            double weight = weight_at(c, row);

            if (rows[at]++ == 0)
                touched[n++] = at;
            w[at] += weight;
            l[at] += weight * c->loss[row];
            all_w += weight;
            all_l += weight * c->loss[row];
        }
        for (size_t i = 0; i < n; i++) {
            size_t at = touched[i];

            if (at < g->n)
                add_group(&cells[at], w[at], l[at], all_w, all_l, rows[at] == c->start[k + 1] - c->start[k]);
            w[at] = l[at] = 0;
            rows[at] = 0;
        }
    }
    free(w);
    free(l);
    free(rows);
    free(touched);
}

static void fill(const struct scan *c, const struct grid *g, struct cell *cells)
{
    if (c->plain) {
        fill_plain(c, g, cells);
        return;
    }
    for (size_t i = 0; i < c->s->n; i++) {
        size_t at = cell_of(g, i);

        if (at < g->n)
            add_row(c, &cells[at], i);
    }
    if (c->s->group)
        fill_groups(c, g, cells);
}

/* Variance of the difference of two means of rows, part by part. */
static double row_variance(const struct cell *x, double mean)
{
    double n = (double)x->rows;

    return fmax(x->ll - 2 * mean * x->wl + mean * mean * x->ww, 0) * (n / (n - 1)) / (x->w * x->w);
}

/* The same of groups, which may lie on both sides: of their shares a L + b W + c L' + d W'. */
static double group_variance(const struct cell *x, const struct cell *all, double mean, double rest)
{
    double ws = x->w, wr = all->w - x->w, a = 1 / ws + 1 / wr, b = -mean / ws - rest / wr, c = -1 / wr, d = rest / wr;
    double n = (double)all->groups, sum;

    sum = a * a * x->ll + b * b * x->ww + 2 * a * b * x->wl + c * c * all->ll + d * d * all->ww + 2 * c * d * all->wl +
          2 * a * c * x->l_l + 2 * a * d * x->l_w + 2 * b * c * x->w_l + 2 * b * d * x->w_w;
    return fmax(sum, 0) * (n / (n - 1));
}

/* What the variance would be if the slice were like all rows: a slice that by chance is all right, or all wrong, has
 * none of its own. */
static double usual_variance(const struct cell *x, const struct cell *all)
{
    double ws = x->w, wr = all->w - x->w, rest = all->ww - x->ww, n = (double)all->rows;

    if (all->groups > 0) {
        rest = all->ww - 2 * x->w_w + x->ww;
        n = (double)all->groups;
    }
    return all->ll / all->ww * (x->ww / (ws * ws) + rest / (wr * wr)) * (n / (n - 1));
}

/* Holds a slice against the rest. False: not enough rows. */
static bool judge(const struct scan *c, const struct cell *x, struct ml_scanned *out)
{
    const struct cell *all = &c->all;
    struct cell rest = { .rows = all->rows - x->rows,
        .w = all->w - x->w,
        .l = all->l - x->l,
        .ww = all->ww - x->ww,
        .wl = all->wl - x->wl,
        .ll = all->ll - x->ll };
    double units = fmin((double)x->rows, (double)rest.rows), delta, q, noise;

    if (x->rows < c->s->least || rest.rows < c->s->least || !(x->w > 0) || !(rest.w > 0))
        return false;
    if (c->s->group) {
        units = fmin((double)x->groups, (double)(all->groups - x->whole));
        if (units < GROUPS_LEAST)
            return false;
    }
    out->rows = x->rows;
    out->mean = x->l / x->w;
    out->rest = rest.l / rest.w;
    delta = out->mean - out->rest;
    out->se =
        sqrt(fmax(usual_variance(x, all), c->s->group ? group_variance(x, all, out->mean, out->rest)
                                                      : row_variance(x, out->mean) + row_variance(&rest, out->rest)));
    q = ml_t_quantile(1 - c->s->alpha / 2, units - 1);
    out->low = delta - q * out->se;
    out->high = delta + q * out->se;
    out->mean += c->mean;
    out->rest += c->mean;
    noise = 1e-12 * (fabs(out->mean) + fabs(out->rest));
    out->p = out->se > noise && x->errors >= ERRORS_LEAST ? ml_t_two_sided(delta / out->se, units - 1) : 1;
    return true;
}

static void scan_pair(struct scan *c, size_t a, size_t b)
{
    bool one = a == b;
    struct grid g = { c->s->code[a], one ? NULL : c->s->code[b], one ? 1 : c->s->values[b], 0 };
    struct cell *cells;

    g.n = c->s->values[a] * g.width;
    cells = ml_calloc(g.n + 1, sizeof *cells);
    fill(c, &g, cells);
    for (size_t i = 0; i < g.n; i++) {
        struct ml_scanned x = { .n = one ? 1 : 2,
            .column = { (uint32_t)a, (uint32_t)b },
            .value = { (uint8_t)(i / g.width), (uint8_t)(i % g.width) } };

        if (!judge(c, &cells[i], &x))
            continue;
        c->found = ml_grow(c->found, &c->cap, c->n + 1, sizeof *c->found);
        c->p = ml_grow(c->p, &c->p_cap, c->n + 1, sizeof *c->p);
        c->p[c->n] = x.p;
        c->found[c->n++] = x;
    }
    free(cells);
}

static int by_low(const void *a, const void *b)
{
    const struct ml_scanned *x = a, *y = b;

    if (x->low != y->low)
        return x->low < y->low ? 1 : -1;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    for (int i = 0; i < 2; i++)
        if (x->column[i] != y->column[i] || x->value[i] != y->value[i])
            return x->column[i] != y->column[i] ? (x->column[i] < y->column[i] ? -1 : 1) : x->value[i] - y->value[i];
    return 0;
}

static bool has_row(const struct ml_scan *s, const struct ml_scanned *x, size_t row)
{
    for (size_t k = 0; k < x->n; k++)
        if (s->code[x->column[k]][row] != x->value[k])
            return false;
    return true;
}

static void release(struct scan *c)
{
    free(c->weight);
    free(c->loss);
    free(c->error);
    free(c->packed);
    free(c->order);
    free(c->start);
    free(c->found);
    free(c->p);
}

/* Is x surely worse than the others of the rows that `of` has, or of those that it hasn't? Surely: whichever of all
 * slices had been asked about. */
static bool worse_among(const struct scan *c, const struct ml_scanned *x, const struct ml_scanned *of, bool inside)
{
    const struct ml_scan *s = c->s;
    uint8_t *code = ml_malloc(s->n + 1), values = 2;
    const uint8_t *codes[] = { code };
    double *loss = ml_malloc((s->n + 1) * sizeof *loss);
    double *weight = s->weight ? ml_malloc((s->n + 1) * sizeof *weight) : NULL;
    uint32_t *group = s->group ? ml_malloc((s->n + 1) * sizeof *group) : NULL;
    struct ml_scan among = { 0, 1, codes, &values, loss, weight, group, s->groups, s->least, s->alpha };
    struct scan sub = { .s = &among };
    bool yes = false;

    for (size_t i = 0; i < s->n; i++) {
        if (has_row(s, of, i) != inside)
            continue;
        code[among.n] = has_row(s, x, i);
        loss[among.n] = s->loss[i];
        if (weight)
            weight[among.n] = s->weight[i];
        if (group)
            group[among.n] = s->group[i];
        among.n++;
    }
    prepare(&sub);
    scan_pair(&sub, 0, 0);
    for (size_t i = 0; i < sub.n; i++)
        yes = yes || (sub.found[i].value[0] == 1 && sub.found[i].mean > sub.found[i].rest &&
                         sub.p[i] * (double)c->n <= s->alpha);
    release(&sub);
    free(code);
    free(loss);
    free(weight);
    free(group);
    return yes;
}

static bool is_part(const struct ml_scanned *x, const struct ml_scanned *of)
{
    bool yes = x->n > of->n;

    for (size_t k = 0; k < of->n && yes; k++)
        yes = (x->column[0] == of->column[k] && x->value[0] == of->value[k]) ||
              (x->column[1] == of->column[k] && x->value[1] == of->value[k]);
    return yes;
}

/* Is a pair no more than a part of one of its two values, which is as certain? What there is no time to look at is. */
static bool just_part(
    const struct scan *c, const struct ml_scanned *x, const struct ml_scanned *const *one, size_t *passes)
{
    for (size_t k = 0; k < 2 && x->n == 2; k++) {
        const struct ml_scanned *whole = one[(size_t)x->column[k] << 8 | x->value[k]];

        if (whole != NULL && (x->mean <= whole->mean || ++*passes > PASSES || !worse_among(c, x, whole, true)))
            return true;
    }
    return false;
}

/* Is x told by one of the n that are kept? */
static bool explained(const struct scan *c, const struct ml_scanned *x, const struct ml_scanned *kept, size_t n)
{
    bool yes = false;

    for (size_t k = 0; k < n && !yes; k++)
        yes = !is_part(x, &kept[k]) && !worse_among(c, x, &kept[k], false); /* a part: see just_part() */
    return yes;
}

/* A part stands behind what it is a part of. */
static void keep(struct ml_scan_result *out, const struct ml_scanned *x)
{
    size_t at = 0;

    while (at < out->n && !is_part(&out->v[at], x))
        at++;
    memmove(&out->v[at + 1], &out->v[at], (out->n++ - at) * sizeof *out->v);
    out->v[at] = *x;
}

/* Those that are certain, to the front: how many. */
static size_t find_certain(struct scan *c)
{
    double *adjusted = ml_malloc((c->n + 1) * sizeof *adjusted);
    size_t n = 0;

    ml_holm(c->p, NULL, c->n, adjusted);
    for (size_t i = 0; i < c->n; i++) {
        c->found[i].p_adjusted = adjusted[i];
        if (adjusted[i] <= c->s->alpha && c->found[i].mean > c->found[i].rest)
            c->found[n++] = c->found[i];
    }
    free(adjusted);
    if (n > 0)
        qsort(c->found, n, sizeof *c->found, by_low);
    return n;
}

/* The worst of those that are certain, none told by another. */
static void choose(struct scan *c, struct ml_scan_result *out)
{
    const struct ml_scanned **one = ml_calloc((c->s->columns + 1) << 8, sizeof *one);
    size_t n = find_certain(c), passes = 0, looked = 0;

    for (size_t i = 0; i < n; i++)
        if (c->found[i].n == 1)
            one[(size_t)c->found[i].column[0] << 8 | c->found[i].value[0]] = &c->found[i];
    for (size_t i = 0; i < n && looked < SHORTLIST && out->n < ML_SCAN_MOST; i++) {
        if (just_part(c, &c->found[i], one, &passes))
            continue;
        looked++;
        if (!explained(c, &c->found[i], out->v, out->n))
            keep(out, &c->found[i]);
    }
    free(one);
}

void ml_scan(const struct ml_scan *s, struct ml_scan_result *out)
{
    struct scan c = { .s = s };

    memset(out, 0, sizeof *out);
    prepare(&c);
    for (size_t a = 0; a < s->columns; a++)
        scan_pair(&c, a, a);
    /* What is left out doesn't depend on what was found. */
    while (out->paired < s->columns &&
           (double)(out->paired + 1) * (double)out->paired / 2 * (double)s->n <= ML_SCAN_VISITS)
        out->paired++;
    for (size_t a = 0; a < out->paired; a++)
        for (size_t b = a + 1; b < out->paired; b++)
            scan_pair(&c, a, b);
    out->looked_at = c.n;
    choose(&c, out);
    release(&c);
}
