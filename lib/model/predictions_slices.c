/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which columns slices are made of, and how their values are cut. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/predictions_impl.h"

#define QUANTILES_MAX 100
#define SEARCHED_MAX  1000 /* columns that slices are found in */

/* The column's place among the features; it becomes one. */
static size_t add_feature(struct ml_predictions *p, struct roles *r, int column, const char *name)
{
    size_t i = 0;
    while (i < p->n_features && r->features[i] != column)
        i++;
    if (i == p->n_features) {
        p->features[i].name = ml_strdup(name);
        r->features[i] = column;
        p->n_features++;
    }
    return i;
}

static void read_edges(struct ml_cut *cut, const char *s, size_t len, bool *good)
{
    size_t parts = 1, from = 0;
    for (size_t i = 0; i < len; i++)
        parts += s[i] == '/';
    cut->edges = ml_malloc(parts * sizeof *cut->edges);
    for (size_t i = 0; *good && i <= len; i++) {
        if (i < len && s[i] != '/')
            continue;
        double *x = &cut->edges[cut->n_edges];
        if (i == len && from == len && cut->n_edges > 0)
            break; /* "18/": one edge */
        *good = ml_double_parse(s + from, i - from, x) && isfinite(*x) && (cut->n_edges == 0 || *x > x[-1]);
        *x += 0.0;
        cut->n_edges++;
        from = i + 1;
    }
}

/* What stands behind the colon: "4", "18/31/65", "each". False: none of these, so that it is part of the name. */
static bool read_cut(struct ml_cut *cut, const char *s, size_t len)
{
    bool good = len > 0, edges = memchr(s, '/', len) != NULL;
    double x;
    if (len == 4 && memcmp(s, "each", 4) == 0) {
        cut->kind = ML_CUT_EACH;
    } else if (edges) {
        cut->kind = ML_CUT_EDGES;
        read_edges(cut, s, len, &good);
    } else {
        cut->kind = ML_CUT_QUANTILES;
        good = good && ml_double_parse(s, len, &x) && x == floor(x) && x >= 2 && x <= QUANTILES_MAX;
        cut->quantiles = good ? (size_t)x : 0;
    }
    if (!good) {
        free(cut->edges);
        *cut = (struct ml_cut){ 0 };
    }
    return good;
}

/* One column of a slicing: its name, or that with a cut. -1 as the table says where there is none. */
static int find_cut(struct reading *rd, const char *part, size_t len, struct ml_cut *cut)
{
    char *name = ml_strndup(part, len), *colon;
    int at = ml_table_pick(rd->t, name);
    bool cannot = false;
    if (at < 0 && (colon = strrchr(name, ':')) != NULL) {
        bool good = read_cut(cut, colon + 1, strlen(colon + 1));
        *colon = '\0';
        at = ml_table_pick(rd->t, name);
        cannot = at >= 0 && !good;
        if (at < 0 && !good)
            *colon = ':';
    }
    if (cannot) {
        at = ml_err_set(rd->err, ML_USAGE,
            "--slice '%.*s': '%.150s' is cut as in '%.150s:4' (2 to %d quantiles), '%.150s:18/65' (edges that rise) or "
            "'%.150s:each'",
            (int)len, part, name, name, QUANTILES_MAX, name, name);
    } else if (at < 0 && !rd->lenient) {
        char *what = ml_format("no column '%.150s'", name);
        ml_reading_no_column(rd, what);
        free(what);
    }
    free(name);
    return at;
}

/* One slicing: a column, or several separated by commas. */
static int find_slicing(struct reading *rd, struct roles *r, const char *spec, struct ml_slicing *out)
{
    size_t parts = 1, len = strlen(spec);
    bool whole = ml_table_column(rd->t, spec) >= 0; /* a name with a comma in it */
    for (const char *c = spec; *c != '\0'; c++)
        parts += *c == ',';
    out->cuts = ml_calloc(parts, sizeof *out->cuts);
    for (const char *from = spec;; from += len + 1) {
        len = whole ? strlen(spec) : strcspn(from, ",");
        struct ml_cut *cut = &out->cuts[out->n++];
        int column = find_cut(rd, from, len, cut);
        if (column < 0) {
            for (size_t i = 0; i < out->n; i++)
                free(out->cuts[i].edges);
            out->n = 0; /* without one of its columns there is no slicing */
            return rd->lenient ? 0 : -1;
        }
        cut->feature = add_feature(rd->p, r, column, ml_table_columns(rd->t)->v[column]);
        for (size_t i = 0; i + 1 < out->n; i++)
            if (out->cuts[i].feature == cut->feature)
                return ml_err_set(rd->err, ML_USAGE, "--slice '%s' names the column '%s' twice", spec,
                    ml_table_columns(rd->t)->v[column]);
        if (from[len] == '\0')
            return 0;
    }
}

static bool has_part(const struct roles *r, int column)
{
    bool yes = column == r->id || column == r->label || column == r->prediction || column == r->score ||
               column == r->weight || column == r->group;
    for (size_t i = 0; i < r->n_scores; i++)
        yes = yes || column == r->scores[i];
    return yes;
}

/* What a model says, also where the task takes it from another column. */
static bool is_answer(const char *name)
{
    return strcmp(name, "prediction") == 0 || strcmp(name, "score") == 0;
}

/* All columns that have no other part. */
static void add_searched(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    const struct ml_strs *l = ml_table_columns(rd->t);
    for (size_t i = 0; i < l->n; i++) {
        size_t known = p->n_features;
        bool sets = (c->labels != NULL && strncmp(l->v[i], c->labels, strlen(c->labels)) == 0) ||
                    (c->predictions != NULL && strncmp(l->v[i], c->predictions, strlen(c->predictions)) == 0);
        if (has_part(r, (int)i) || is_answer(l->v[i]) || sets || p->n_features == SEARCHED_MAX)
            continue;
        struct ml_described *d = &p->features[add_feature(p, r, (int)i, l->v[i])];
        d->searched = true;
        d->f.optional = p->n_features > known;
    }
}

int ml_reading_find_slices(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    size_t columns = ml_table_columns(rd->t)->n;
    if (c->slices.n == 0 && !c->find_slices)
        return 0;
    r->features = ml_malloc((columns + 1) * sizeof *r->features);
    p->features = ml_calloc(columns + 1, sizeof *p->features);
    p->slicings = ml_calloc(c->slices.n + 1, sizeof *p->slicings);
    p->n_slicings = c->slices.n;
    for (size_t i = 0; i < p->n_slicings; i++)
        if (find_slicing(rd, r, c->slices.v[i], &p->slicings[i]) < 0)
            return -1;
    if (c->find_slices)
        add_searched(rd, r, c);
    return 0;
}
