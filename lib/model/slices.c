/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cuts columns and sorts rows into the combinations of what came out. */
#include "model/slices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "stats/order.h"

#define NONE      UINT32_MAX
#define QUARTILES 4
#define TEXTS_MAX ((size_t)100000) /* with more nobody looks how many rows are there */

/* One slicing. */
struct division {
    struct ml_values *of;
    size_t n_of;
    struct ml_strs names;
    uint32_t *values; /* n_of a slice */
    uint32_t *rows;   /* one slice behind the other */
};

/* ---- one column ---- */

/* Whether a column nobody said more about holds many numbers, and besides only words for none. */
static bool many_numbers(const struct ml_feature *f)
{
    size_t distinct = 0, n = 0;
    double *x;
    for (size_t i = 0; i < f->dict.n; i++)
        if ((f->wide != NULL || isnan(f->value[i])) &&
            !ml_column_missing(ml_intern_text(&f->dict, (uint32_t)i), f->dict.entries[i].len))
            return false;
    if (f->wide != NULL)
        return true;
    x = ml_malloc((f->dict.n + 1) * sizeof *x);
    for (size_t i = 0; i < f->dict.n; i++)
        if (!isnan(f->value[i]))
            x[n++] = f->value[i];
    ml_sort(x, n);
    for (size_t i = 0; i < n; i++)
        distinct += i == 0 || x[i] != x[i - 1];
    free(x);
    return distinct > ML_SLICES_EACH;
}

/* Where a column of numbers is cut, and the least and the largest of them. */
struct edges {
    double *at;
    size_t n;
    double least, most;
};

/* The edge below the k-th of q quantiles is the number in place floor(k n / q), from 0: equal numbers stay together. */
static void find_quantiles(const struct ml_feature *f, size_t rows, size_t q, struct edges *e)
{
    double *x = ml_malloc((rows + 1) * sizeof *x);
    size_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        double v = ml_feature_number(f, i);
        if (!isnan(v))
            x[n++] = v;
    }
    ml_sort(x, n);
    e->at = ml_malloc(q * sizeof *e->at);
    for (size_t k = 1; k < q && n > 0; k++)
        e->at[e->n++] = x[(size_t)((unsigned __int128)k * n / q)];
    e->least = n > 0 ? x[0] : 0;
    e->most = n > 0 ? x[n - 1] : 0;
    free(x);
}

/* How many edges are at or below x. */
static uint32_t bin_of(const struct edges *e, double x)
{
    size_t low = 0, high = e->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (e->at[mid] <= x)
            low = mid + 1;
        else
            high = mid;
    }
    return (uint32_t)low;
}

static void name_bin(struct ml_values *v, const struct ml_cut *cut, size_t quantiles, const struct edges *e, size_t i)
{
    char low[32] = "", high[32] = "", *name;
    if (i > 0)
        low[ml_double_format(e->at[i - 1], low)] = '\0';
    if (i < e->n)
        high[ml_double_format(e->at[i], high)] = '\0';
    name = cut->kind == ML_CUT_EDGES ? ml_format("%s..%s", low, high) : ml_format("q%zuof%zu", i + 1, quantiles);
    ml_strs_add(&v->names, name);
    free(name);
}

static void set_ranges(struct ml_values *v, const struct ml_cut *cut, const struct edges *e)
{
    bool open = cut->kind == ML_CUT_EDGES;
    v->range = ml_calloc(v->names.n + 1, sizeof *v->range);
    for (size_t i = 0; i < v->names.n; i++)
        v->range[i] = (struct ml_range){ NAN, NAN, false };
    for (size_t i = 0; i <= e->n; i++) {
        bool last = i == e->n;
        v->range[i].from = i > 0 ? e->at[i - 1] : open ? -INFINITY : e->least;
        v->range[i].below = !last ? e->at[i] : open ? INFINITY : e->most;
        v->range[i].closed = last && !open;
    }
}

/* Ranges first, then the texts. */
static void cut_numbers(struct ml_values *v, const struct ml_feature *f, size_t rows, const struct ml_cut *cut)
{
    size_t quantiles = cut->kind == ML_CUT_AUTO ? QUARTILES : cut->quantiles;
    struct edges e = { cut->edges, cut->n_edges, 0, 0 };
    uint32_t texts = 0;
    if (cut->kind != ML_CUT_EDGES)
        find_quantiles(f, rows, quantiles, &e);
    for (size_t i = 0; i <= e.n; i++)
        name_bin(v, cut, quantiles, &e, i);
    v->map = ml_malloc((f->dict.n + e.n + 2) * sizeof *v->map);
    for (size_t i = 0; f->wide == NULL && i < f->dict.n; i++)
        v->map[i] = isnan(f->value[i]) ? (uint32_t)e.n + 1 + texts++ : bin_of(&e, f->value[i]);
    v->code = f->code;
    if (f->wide != NULL) {
        v->code = v->own = ml_malloc((rows + 1) * sizeof *v->own);
        for (size_t i = 0; i < rows; i++)
            v->own[i] = isnan(f->wide[i]) ? (uint32_t)e.n + 1 + ml_feature_text(f, i) : bin_of(&e, f->wide[i]);
        for (size_t i = 0; i <= e.n + f->dict.n; i++)
            v->map[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < f->dict.n; i++)
        if (f->wide != NULL || isnan(f->value[i]))
            ml_strs_add(&v->names, ml_intern_text(&f->dict, (uint32_t)i));
    set_ranges(v, cut, &e);
    if (cut->kind != ML_CUT_EDGES)
        free(e.at);
}

static void each_value(struct ml_values *v, const struct ml_feature *f)
{
    v->code = f->code;
    v->map = ml_malloc((f->dict.n + 1) * sizeof *v->map);
    for (size_t i = 0; i < f->dict.n; i++) {
        v->map[i] = (uint32_t)i;
        ml_strs_add(&v->names, ml_intern_text(&f->dict, (uint32_t)i));
    }
}

/* Leaves out the values that no row has. */
static void keep_present(struct ml_values *v, const struct ml_feature *f, size_t rows)
{
    size_t codes = v->own != NULL ? v->names.n : f->dict.n, kept = 0;
    uint32_t *to = ml_malloc((v->names.n + 1) * sizeof *to);
    struct ml_strs names = { 0 };
    for (size_t i = 0; i < v->names.n; i++)
        to[i] = NONE;
    for (size_t i = 0; i < rows; i++)
        to[v->map[v->code[i]]] = 0;
    for (size_t i = 0; i < v->names.n; i++) {
        if (to[i] == NONE)
            continue;
        if (v->range != NULL)
            v->range[kept] = v->range[i];
        ml_strs_add(&names, v->names.v[i]);
        to[i] = (uint32_t)kept++;
    }
    for (size_t i = 0; i < codes; i++)
        v->map[i] = to[v->map[i]];
    ml_strs_release(&v->names);
    v->names = names;
    free(to);
}

static int too_many(const struct ml_predictions *p, const char *column, size_t most, struct ml_err *err)
{
    return ml_err_set(err, ML_USAGE,
        "'%s': over %zu slices (by column '%s'); slice by columns of few values, or cut "
        "numbers as in '%s:4'",
        p->name, most, column, column);
}

int ml_values_find(
    struct ml_values *v, const struct ml_predictions *p, const struct ml_cut *cut, size_t most, struct ml_err *err)
{
    const struct ml_feature *f = &p->features[cut->feature].f;
    bool numbers = cut->kind == ML_CUT_AUTO ? many_numbers(f) : cut->kind != ML_CUT_EACH;
    *v = (struct ml_values){ .column = p->features[cut->feature].name };
    if (!numbers && (f->wide != NULL || f->dict.n > TEXTS_MAX))
        return too_many(p, v->column, most, err);
    if (numbers)
        cut_numbers(v, f, p->n, cut);
    else
        each_value(v, f);
    keep_present(v, f, p->n);
    return v->names.n > most ? too_many(p, v->column, most, err) : 0;
}

void ml_values_release(struct ml_values *v)
{
    ml_strs_release(&v->names);
    free(v->range);
    free(v->map);
    free(v->own);
}

/* ---- several columns ---- */

/* The number of each row's combination of values, from 0; how many there are. NONE in `seen`: no row has it. */
static size_t combine(struct division *d, size_t rows, uint32_t *of)
{
    size_t n = d->of[0].names.n;
    for (size_t i = 0; i < rows; i++)
        of[i] = d->of[0].map[d->of[0].code[i]];
    d->values = ml_malloc((n + 1) * d->n_of * sizeof *d->values);
    for (size_t i = 0; i < n; i++)
        d->values[i * d->n_of] = (uint32_t)i;
    for (size_t k = 1; k < d->n_of && n <= ML_SLICES_MAX; k++) {
        const struct ml_values *v = &d->of[k];
        size_t width = v->names.n, all = n * width, kept = 0;
        uint32_t *seen = ml_malloc((all + 1) * sizeof *seen), *before = d->values;
        for (size_t i = 0; i < all; i++)
            seen[i] = NONE;
        for (size_t i = 0; i < rows; i++)
            seen[of[i] * width + v->map[v->code[i]]] = 0;
        for (size_t i = 0; i < all; i++)
            if (seen[i] != NONE)
                seen[i] = (uint32_t)kept++;
        d->values = ml_malloc((kept + 1) * d->n_of * sizeof *d->values);
        for (size_t i = 0; i < all; i++)
            if (seen[i] != NONE) {
                memcpy(d->values + seen[i] * d->n_of, before + i / width * d->n_of, k * sizeof *d->values);
                d->values[seen[i] * d->n_of + k] = (uint32_t)(i % width);
            }
        for (size_t i = 0; i < rows; i++)
            of[i] = seen[of[i] * width + v->map[v->code[i]]];
        n = kept;
        free(before);
        free(seen);
    }
    return n;
}

static void name_slices(struct division *d, size_t n)
{
    struct ml_buf b;
    ml_buf_init(&b, ML_BUF_MAX);
    for (size_t i = 0; i < n; i++) {
        ml_buf_reset(&b);
        for (size_t k = 0; k < d->n_of; k++)
            ml_buf_addf(&b, "%s%s=%s", k > 0 ? "," : "", d->of[k].column, d->of[k].names.v[d->values[i * d->n_of + k]]);
        ml_strs_add(&d->names, ml_buf_str(&b));
    }
    ml_buf_release(&b);
}

/* The rows of each slice, one slice behind the other (a counting sort). */
static void sort_rows(struct division *d, const uint32_t *of, size_t rows, size_t n, struct ml_slices *out)
{
    size_t *start = ml_calloc(n + 2, sizeof *start);
    d->rows = ml_malloc((rows + 1) * sizeof *d->rows);
    for (size_t i = 0; i < rows; i++)
        start[of[i] + 2]++;
    for (size_t i = 2; i < n + 2; i++)
        start[i] += start[i - 1];
    for (size_t i = 0; i < rows; i++)
        d->rows[start[of[i] + 1]++] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        out->v = ml_grow(out->v, &out->cap, out->n + 1, sizeof *out->v);
        out->v[out->n++] = (struct ml_slice){ d->names.v[i], d->rows + start[i], start[i + 1] - start[i], d->of,
            d->n_of, d->values + i * d->n_of };
    }
    free(start);
}

static int divide(const struct ml_predictions *p, const struct ml_slicing *s, struct division *d, struct ml_slices *out,
    struct ml_err *err)
{
    uint32_t *of;
    size_t n;
    int rc = 0;
    d->of = ml_calloc(s->n, sizeof *d->of);
    for (; rc == 0 && d->n_of < s->n; d->n_of++)
        rc = ml_values_find(&d->of[d->n_of], p, &s->cuts[d->n_of], ML_SLICES_MAX, err);
    if (rc < 0)
        return -1;
    of = ml_malloc((p->n + 1) * sizeof *of);
    n = combine(d, p->n, of);
    if (out->n + n > ML_SLICES_MAX) {
        rc = too_many(p, d->of[d->n_of - 1].column, ML_SLICES_MAX, err);
    } else {
        name_slices(d, n);
        sort_rows(d, of, p->n, n, out);
    }
    free(of);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ml_slice *)a)->name, ((const struct ml_slice *)b)->name);
}

/* Of the same name: whether they hold other rows, as `a=1,b=2` of one column and of two may. */
static bool others(const struct ml_slice *a, const struct ml_slice *b)
{
    return a->n != b->n || memcmp(a->rows, b->rows, a->n * sizeof *a->rows) != 0;
}

int ml_slices_find(const struct ml_predictions *p, struct ml_slices *out, struct ml_err *err)
{
    size_t kept = 0;
    out->divisions = ml_calloc(p->n_slicings + 1, sizeof *out->divisions);
    for (size_t i = 0; i < p->n_slicings; i++)
        if (p->slicings[i].n > 0 && divide(p, &p->slicings[i], &out->divisions[out->n_divisions++], out, err) < 0)
            return -1;
    if (out->n > 0)
        qsort(out->v, out->n, sizeof *out->v, by_name);
    for (size_t i = 0; i < out->n; i++) {
        if (i == 0 || strcmp(out->v[i].name, out->v[kept - 1].name) != 0)
            out->v[kept++] = out->v[i];
        else if (others(&out->v[i], &out->v[kept - 1]))
            return ml_err_set(err, ML_LOCAL,
                "'%s': two slices of different rows would be called '%.300s'; rename what holds ',' or '=' in these "
                "columns, or slice by one of them",
                p->name, out->v[i].name);
    }
    out->n = kept;
    return 0;
}

void ml_slices_release(struct ml_slices *s)
{
    for (size_t i = 0; i < s->n_divisions; i++) {
        struct division *d = &s->divisions[i];
        for (size_t k = 0; k < d->n_of; k++)
            ml_values_release(&d->of[k]);
        free(d->of);
        ml_strs_release(&d->names);
        free(d->values);
        free(d->rows);
    }
    free(s->divisions);
    free(s->v);
    *s = (struct ml_slices){ 0 };
}

void ml_slice_describe(cJSON *o, const struct ml_slice *s)
{
    cJSON *ranges = NULL;
    ml_json_set_int(o, "rows", (int64_t)s->n);
    for (size_t i = 0; i < s->n_of; i++) {
        const struct ml_range *r = s->of[i].range != NULL ? &s->of[i].range[s->value[i]] : NULL;
        if (r == NULL || isnan(r->from))
            continue;
        if (ranges == NULL)
            ranges = ml_json_set_object(o, "ranges");
        cJSON *range = ml_json_set_object(ranges, s->of[i].column);
        if (isfinite(r->from))
            ml_json_set_num(range, "from", r->from);
        if (isfinite(r->below))
            ml_json_set_num(range, r->closed ? "to" : "below", r->below);
    }
}

struct ml_tuned_parts *ml_slices_draw(const struct ml_slices *s, const struct ml_sample *whole, uint64_t seed)
{
    struct ml_part *parts = ml_malloc((s->n + 1) * sizeof *parts);
    for (size_t i = 0; i < s->n; i++)
        parts[i] = (struct ml_part){ s->v[i].rows, s->v[i].n };
    struct ml_tuned_parts *p = ml_tuned_parts_new(whole, parts, s->n, seed);
    free(parts);
    return p;
}

cJSON *ml_slice_json(const struct ml_slice *s)
{
    cJSON *o = cJSON_CreateObject();
    ml_slice_describe(o, s);
    return o;
}
