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

/* All columns that have a name and no other part: what has none is the index that pandas writes. */
static void add_searched(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    const struct ml_strs *l = ml_table_columns(rd->t);
    for (size_t i = 0; i < l->n; i++) {
        size_t known = p->n_features;
        bool sets = (c->labels != NULL && strncmp(l->v[i], c->labels, strlen(c->labels)) == 0) ||
                    (c->predictions != NULL && strncmp(l->v[i], c->predictions, strlen(c->predictions)) == 0);
        if (has_part(r, (int)i) || is_answer(l->v[i]) || sets || l->v[i][0] == '\0' || p->n_features == SEARCHED_MAX)
            continue;
        struct ml_described *d = &p->features[add_feature(p, r, (int)i, l->v[i])];
        d->searched = true;
        d->f.optional = p->n_features > known;
    }
}

/* One `column=value` of a slice's name. */
struct part {
    const char *column, *value;
    size_t column_len, value_len;
};

/* A comma is in the value unless another column follows. */
static bool next_part(const char **at, struct part *p)
{
    const char *eq = strchr(*at, '='), *end = eq;
    if (eq == NULL || eq == *at)
        return false;
    for (end++; *(end += strcspn(end, ",")) != '\0'; end++) {
        size_t n = strcspn(end + 1, ",=");
        if (n > 0 && end[1 + n] == '=')
            break;
    }
    *p = (struct part){ *at, eq + 1, (size_t)(eq - *at), (size_t)(end - eq - 1) };
    *at = *end != '\0' ? end + 1 : end;
    return true;
}

/* "a,b" of "a=x,b=y", owned. */
static char *columns_of(const char *name)
{
    struct ml_buf b = ML_BUF_INIT;
    struct part p;
    while (next_part(&name, &p))
        ml_buf_addf(&b, "%s%.*s", b.len > 0 ? "," : "", (int)p.column_len, p.column);
    return ml_buf_detach(&b);
}

/* The quantiles that "q1of4" is one of; 0: it is something else. */
static size_t quantiles_of(const struct part *p)
{
    const char *of = p->value_len > 4 && *p->value == 'q' ? memchr(p->value, 'o', p->value_len) : NULL;
    size_t left = of != NULL ? (size_t)(of - p->value) : 0;
    double i, n;
    if (left < 2 || p->value_len < left + 3 || of[1] != 'f' || !ml_double_parse(p->value + 1, left - 1, &i) ||
        !ml_double_parse(of + 2, p->value_len - left - 2, &n))
        return 0;
    return n == floor(n) && n >= 2 && n <= QUANTILES_MAX && i >= 1 && i <= n ? (size_t)n : 0;
}

static void add_edge(const char *s, size_t len, double *edges, size_t *n)
{
    double x;
    size_t i = *n;
    if (!ml_double_parse(s, len, &x) || !isfinite(x))
        return;
    for (size_t k = 0; k < *n; k++)
        if (edges[k] == x)
            return;
    for (; i > 0 && edges[i - 1] > x; i--)
        edges[i] = edges[i - 1];
    edges[i] = x;
    (*n)++;
}

/* The ends of "18..65", "..18" or "65..". */
static void add_edges(const struct part *p, double *edges, size_t *n)
{
    for (size_t i = 0; i + 1 < p->value_len; i++) {
        if (p->value[i] != '.' || p->value[i + 1] != '.')
            continue;
        add_edge(p->value, i, edges, n);
        add_edge(p->value + i + 2, p->value_len - i - 2, edges, n);
        return;
    }
}

/* How the k-th column has to be cut for the slices of these columns to come out. */
static void add_cut(struct ml_buf *out, const struct ml_strs *names, char *const *columns, size_t same, size_t k)
{
    double *edges = ml_malloc((2 * names->n + 1) * sizeof *edges);
    size_t n = 0, quantiles = 0;
    struct part p = { "", "", 0, 0 };
    for (size_t i = 0; i < names->n; i++) {
        const char *at = names->v[i];
        if (strcmp(columns[i], columns[same]) != 0)
            continue;
        for (size_t j = 0; j <= k; j++)
            next_part(&at, &p);
        size_t q = quantiles_of(&p);
        quantiles = q > 0 ? q : quantiles;
        add_edges(&p, edges, &n);
    }
    ml_buf_addf(out, "%s%.*s:", out->len > 0 ? "," : "", (int)p.column_len, p.column);
    if (quantiles > 0)
        ml_buf_addf(out, "%zu", quantiles);
    else if (n == 0)
        ml_buf_adds(out, "each");
    for (size_t i = 0; quantiles == 0 && i < n; i++) {
        char text[32];
        text[ml_double_format(edges[i], text)] = '\0';
        ml_buf_addf(out, "%s%s", text, i + 1 < n || n == 1 ? "/" : "");
    }
    free(edges);
}

/* Whether --slice has these columns, cut in whatever way. */
static bool asked_for(const struct ml_columns *c, const char *columns)
{
    bool found = false;
    for (size_t i = 0; i < c->slices.n && !found; i++) {
        struct ml_buf plain = ML_BUF_INIT;
        for (const char *s = c->slices.v[i]; *s != '\0'; s++) {
            size_t cut = *s == ':' ? strcspn(s, ",") : 0;
            if (cut == 0)
                ml_buf_addc(&plain, *s);
            else
                s += cut - 1;
        }
        found = strcmp(ml_buf_str(&plain), columns) == 0;
        ml_buf_release(&plain);
    }
    return found;
}

/* What --slice would have to say for the slices that others name. */
static void name_slicings(const struct ml_columns *c, struct ml_strs *out)
{
    char **columns = ml_calloc(c->named.n + 1, sizeof *columns);
    for (size_t i = 0; i < c->named.n; i++)
        columns[i] = columns_of(c->named.v[i]);
    for (size_t i = 0; i < c->named.n; i++) {
        struct ml_buf spec = ML_BUF_INIT;
        const char *at = c->named.v[i];
        size_t before = 0;
        struct part p;
        while (before < i && strcmp(columns[before], columns[i]) != 0)
            before++;
        if (before < i || asked_for(c, columns[i]))
            continue;
        for (size_t k = 0; next_part(&at, &p); k++)
            add_cut(&spec, &c->named, columns, i, k);
        if (spec.len > 0)
            ml_strs_add(out, ml_buf_str(&spec));
        ml_buf_release(&spec);
    }
    for (size_t i = 0; i < c->named.n; i++)
        free(columns[i]);
    free(columns);
}

int ml_reading_find_slices(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    size_t columns = ml_table_columns(rd->t)->n;
    struct ml_strs named = { 0 };
    bool lenient = rd->lenient;
    int rc = 0;
    name_slicings(c, &named);
    if (c->slices.n + named.n > 0 || c->find_slices) {
        r->features = ml_malloc((columns + 1) * sizeof *r->features);
        p->features = ml_calloc(columns + 1, sizeof *p->features);
        p->slicings = ml_calloc(c->slices.n + named.n + 1, sizeof *p->slicings);
        p->n_slicings = c->slices.n + named.n;
    }
    for (size_t i = 0; rc == 0 && i < c->slices.n; i++)
        rc = find_slicing(rd, r, c->slices.v[i], &p->slicings[i]);
    rd->lenient = true;
    for (size_t i = 0; rc == 0 && i < named.n; i++)
        rc = find_slicing(rd, r, named.v[i], &p->slicings[c->slices.n + i]);
    rd->lenient = lenient;
    if (rc == 0 && c->find_slices)
        add_searched(rd, r, c);
    ml_strs_release(&named);
    return rc;
}
