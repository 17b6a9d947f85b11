/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading predictions: cells become typed columns, and each row adds to the identity of the data. */
#include "model/predictions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ID_BATCH 256

/* Which column of the table is what; -1: none. */
struct roles {
    int id, label, prediction, score, weight, group;
    int *scores;
    size_t n_scores;
    int **slices; /* parts of each slicing, ended by -1 */
};

/* State of one reading. */
struct reading {
    struct ml_predictions *p;
    struct ml_table *t;
    struct roles r;
    bool keep_ids, lenient;
    struct ml_rowsum ids, by_text, by_number;
    struct ml_rowindex index;
    size_t indexed;        /* rows that the index holds; the others wait: */
    struct ml_buf waiting; /* their ids */
    size_t waiting_at[ID_BATCH];
    uint64_t waiting_line[ID_BATCH];
    struct ml_buf rec, scratch;
    struct ml_err *err;
};

static int bad_cell(struct reading *rd, int column, const char *why)
{
    return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu, column '%s': %s", rd->p->name,
        (unsigned long long)ml_table_line(rd->t), ml_table_columns(rd->t)->v[column], why);
}

/* The columns that the file has, for a message. */
static int no_column(struct reading *rd, const char *what)
{
    struct ml_buf have;
    const struct ml_strs *l = ml_table_columns(rd->t);
    ml_buf_init(&have, 300);
    for (size_t i = 0; i < l->n; i++)
        ml_buf_addf(&have, "%s'%s'", i > 0 ? ", " : "", l->v[i]);
    ml_err_set(rd->err, ML_LOCAL, "'%s': line 1: %s; the file has %s%s", rd->p->name, what, ml_buf_str(&have),
        have.full ? "…" : "");
    ml_buf_release(&have);
    return -1;
}

/* The column that was asked for, or the usual one where the file has it. */
static int find_column(struct reading *rd, const char *asked, const char *usual, int *out)
{
    char what[200];
    *out = ml_table_column(rd->t, asked != NULL ? asked : usual);
    if (*out >= 0 || asked == NULL)
        return 0;
    snprintf(what, sizeof what, "no column '%s'", asked);
    return no_column(rd, what);
}

/* A column that describes the row: nothing is found where the file may lack it. */
static int find_descriptor(struct reading *rd, const char *asked, int *out)
{
    *out = asked != NULL ? ml_table_column(rd->t, asked) : -1;
    return *out >= 0 || rd->lenient ? 0 : find_column(rd, asked, "", out);
}

static int find_scores(struct reading *rd, const char *prefix)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    size_t len = strlen(prefix);
    char what[200];
    rd->r.scores = ml_calloc(l->n, sizeof *rd->r.scores);
    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->v[i], prefix, len) == 0 && l->v[i][len] != '\0') {
            rd->r.scores[rd->r.n_scores++] = (int)i;
            ml_strs_add(&rd->p->score_names, l->v[i] + len);
        }
    if (rd->r.n_scores > 0)
        return 0;
    snprintf(what, sizeof what, "no column starts with '%s'", prefix);
    return no_column(rd, what);
}

/* One slicing: a column, or several separated by commas. */
static int find_slice(struct reading *rd, const char *spec, int **out)
{
    size_t parts = 1, n = 0;
    for (const char *c = spec; *c != '\0'; c++)
        parts += *c == ',';
    int *v = ml_calloc(parts + 1, sizeof *v), rc = 0;
    *out = v;
    v[0] = ml_table_column(rd->t, spec);
    v[1] = -1;
    if (v[0] >= 0)
        return 0;
    for (const char *from = spec; rc == 0 && from != NULL;) {
        const char *comma = strchr(from, ',');
        char *name = comma != NULL ? ml_strndup(from, (size_t)(comma - from)) : ml_strdup(from);
        rc = find_descriptor(rd, name, &v[n]);
        free(name);
        if (v[n] < 0) {
            v[0] = -1; /* without one of its columns there is no slicing */
            return rc;
        }
        n++;
        from = comma != NULL ? comma + 1 : NULL;
    }
    v[n] = -1;
    return rc;
}

/* The current model's file may lack scores that the candidate's has, as long as it says what was predicted. */
static int find_score_columns(struct reading *rd, const struct ml_columns *c)
{
    struct ml_err *err = rd->err, ignored = ML_ERR_INIT;
    bool may_lack = rd->lenient && rd->r.prediction >= 0;
    if (may_lack)
        rd->err = &ignored;
    int rc = c->scores != NULL ? find_scores(rd, c->scores) : find_column(rd, c->score, "score", &rd->r.score);
    rd->err = err;
    return may_lack ? 0 : rc;
}

static int find_roles(struct reading *rd, const struct ml_columns *c)
{
    struct roles *r = &rd->r;
    struct ml_predictions *p = rd->p;
    if (find_column(rd, c->id, "id", &r->id) < 0 || find_column(rd, c->label, "label", &r->label) < 0 ||
        find_column(rd, c->prediction, "prediction", &r->prediction) < 0 ||
        find_descriptor(rd, c->weight, &r->weight) < 0 || find_descriptor(rd, c->group, &r->group) < 0)
        return -1;
    if (r->label < 0)
        return no_column(rd, "no column 'label' (name it with --label)");
    r->score = -1;
    if (find_score_columns(rd, c) < 0)
        return -1;
    if (r->prediction < 0 && r->score < 0 && r->n_scores == 0)
        return no_column(
            rd, "neither a column 'prediction' nor 'score' (name one with --prediction, --score or --scores)");
    p->score_asked = c->score != NULL;
    p->n_slices = c->slices.n;
    p->slices = ml_calloc(p->n_slices + 1, sizeof *p->slices);
    r->slices = ml_calloc(p->n_slices + 1, sizeof *r->slices);
    for (size_t i = 0; i < p->n_slices; i++)
        if (find_slice(rd, c->slices.v[i], &r->slices[i]) < 0)
            return -1;
    p->has_id = r->id >= 0;
    p->score_columns = r->n_scores > 0 ? r->n_scores : r->score >= 0;
    return 0;
}

/* Puts the waiting ids into the index, in one go because each is a cache miss. */
static int flush_ids(struct reading *rd)
{
    struct ml_predictions *p = rd->p;
    size_t before, at = ml_rowindex_add(&rd->index, p->key, rd->indexed, p->n, &before);
    if (at < p->n) {
        size_t i = at - rd->indexed;
        return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu: the id '%s' stands twice (rows %zu and %zu)", p->name,
            (unsigned long long)rd->waiting_line[i], rd->waiting.data + rd->waiting_at[i], before + 1, at + 1);
    }
    rd->indexed = p->n;
    ml_buf_reset(&rd->waiting);
    return 0;
}

static void keep_id(struct ml_predictions *p, const char *s, size_t len)
{
    p->id_text = ml_grow(p->id_text, &p->id_cap, p->id_used + len + 1, 1);
    p->id_at = ml_grow(p->id_at, &p->id_at_cap, p->n + 1, sizeof *p->id_at);
    memcpy(p->id_text + p->id_used, s, len);
    p->id_text[p->id_used + len] = '\0';
    p->id_at[p->n] = p->id_used;
    p->id_used += len + 1;
}

/* Leaves the id and its NUL in rd->rec. */
static int add_id(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    char number[24];
    struct ml_cell id;
    if (p->n == ML_ROWS_MAX)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': more than %zu rows", p->name, ML_ROWS_MAX);
    if (p->has_id) {
        id = cells[rd->r.id];
        if (id.len == 0)
            return bad_cell(rd, rd->r.id, "the id is missing");
    } else {
        int len = snprintf(number, sizeof number, "%zu", p->n + 1);
        id = (struct ml_cell){ number, (size_t)len };
    }
    struct ml_hash128 key = ml_rowsum_add(&rd->ids, id.s, id.len);
    ml_buf_reset(&rd->rec);
    ml_buf_add(&rd->rec, id.s, id.len);
    ml_buf_addc(&rd->rec, '\0');
    if (!p->has_id)
        return 0;
    p->key = ml_grow(p->key, &p->key_cap, p->n + 1, sizeof *p->key);
    p->key[p->n] = key;
    size_t i = p->n - rd->indexed;
    rd->waiting_at[i] = rd->waiting.len;
    rd->waiting_line[i] = ml_table_line(rd->t);
    ml_buf_add(&rd->waiting, rd->rec.data, rd->rec.len);
    if (rd->keep_ids)
        keep_id(p, id.s, id.len);
    return 0;
}

static int add_class(struct reading *rd, struct ml_column *to, int column, struct ml_cell cell, const char *missing)
{
    if (cell.len == 0)
        return bad_cell(rd, column, missing);
    if (ml_column_add(to, cell, ml_table_line(rd->t)) == 0)
        return 0;
    if (ml_column_not_finite(cell.s, cell.len))
        return bad_cell(rd, column, "not a finite number");
    return bad_cell(rd, column, "a text after many different numbers; is this the right column?");
}

static int get_number(struct reading *rd, int column, struct ml_cell cell, double *out)
{
    while (cell.len > 0 && (cell.s[0] == ' ' || cell.s[0] == '\t')) {
        cell.s++;
        cell.len--;
    }
    while (cell.len > 0 && (cell.s[cell.len - 1] == ' ' || cell.s[cell.len - 1] == '\t'))
        cell.len--;
    bool number = ml_double_parse(cell.s, cell.len, out);
    if (number && isfinite(*out))
        return 0;
    if (cell.len == 0)
        return bad_cell(rd, column, "the number is missing");
    char why[100];
    snprintf(why, sizeof why, "'%.*s' is not a%s number", (int)(cell.len > 50 ? 50 : cell.len), cell.s,
        number || ml_column_not_finite(cell.s, cell.len) ? " finite" : "");
    return bad_cell(rd, column, why);
}

static void add_double(struct ml_buf *b, double x)
{
    uint64_t bits;
    unsigned char le[8];
    memcpy(&bits, &x, 8);
    for (int i = 0; i < 8; i++)
        le[i] = (unsigned char)(bits >> (8 * i));
    ml_buf_add(b, le, 8);
}

/* One form of the row's record: the label as `kind` and its bytes, then what stands behind it. */
static void add_record(
    struct reading *rd, struct ml_rowsum *sum, size_t id_len, struct ml_cell label, const double *number)
{
    rd->rec.len = id_len;
    ml_buf_addc(&rd->rec, number != NULL ? 'n' : 's');
    if (number != NULL)
        add_double(&rd->rec, *number);
    else
        ml_buf_add(&rd->rec, label.s, label.len);
    ml_buf_add(&rd->rec, rd->scratch.data, rd->scratch.len);
    ml_rowsum_add(sum, rd->rec.data, rd->rec.len);
}

static int add_label(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    struct ml_cell label = ml_column_canonical(cells[rd->r.label]);
    size_t id_len = rd->rec.len;
    double x;
    if (add_class(rd, &p->label, rd->r.label, label, "the label is missing") < 0)
        return -1;
    ml_buf_reset(&rd->scratch);
    if (rd->r.weight >= 0) {
        p->weight = ml_grow(p->weight, &p->weight_cap, p->n + 1, sizeof *p->weight);
        if (get_number(rd, rd->r.weight, cells[rd->r.weight], &x) < 0)
            return -1;
        if (x < 0)
            return bad_cell(rd, rd->r.weight, "a negative weight");
        p->weight[p->n] = x + 0.0;
        ml_buf_add(&rd->scratch, "\0w", 2);
        add_double(&rd->scratch, p->weight[p->n]);
    }
    if (rd->r.group >= 0) {
        const struct ml_cell *g = &cells[rd->r.group];
        if (g->len == 0)
            return bad_cell(rd, rd->r.group, "the group is missing");
        p->group.of = ml_grow(p->group.of, &p->group.cap, p->n + 1, sizeof *p->group.of);
        p->group.of[p->n] = ml_intern_put(&p->group.names, g->s, g->len);
        ml_buf_add(&rd->scratch, "\0g", 2);
        ml_buf_add(&rd->scratch, g->s, g->len);
    }
    /* What the column is, only its last row tells: as long as it may be numbers both forms are summed. */
    if (!p->label.text && ml_column_number(label.s, label.len, &x))
        add_record(rd, &rd->by_number, id_len, label, &x);
    add_record(rd, &rd->by_text, id_len, label, NULL);
    return 0;
}

static int add_scores(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    size_t k = p->score_columns;
    if (k == 0)
        return 0;
    p->score = ml_grow(p->score, &p->score_cap, (p->n + 1) * k, sizeof *p->score);
    for (size_t i = 0; i < k; i++) {
        int column = rd->r.scores != NULL ? rd->r.scores[i] : rd->r.score;
        if (get_number(rd, column, cells[column], &p->score[p->n * k + i]) < 0)
            return -1;
    }
    return 0;
}

static void add_slices(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    for (size_t i = 0; i < p->n_slices; i++) {
        struct ml_division *d = &p->slices[i];
        const int *part = rd->r.slices[i];
        if (part[0] < 0)
            continue;
        ml_buf_reset(&rd->scratch);
        for (; *part >= 0; part++) {
            if (rd->scratch.len > 0)
                ml_buf_addc(&rd->scratch, ',');
            ml_buf_adds(&rd->scratch, ml_table_columns(rd->t)->v[*part]);
            ml_buf_addc(&rd->scratch, '=');
            if (cells[*part].len > 0)
                ml_buf_add(&rd->scratch, cells[*part].s, cells[*part].len);
        }
        d->of = ml_grow(d->of, &d->cap, p->n + 1, sizeof *d->of);
        d->of[p->n] = ml_intern_put(&d->names, rd->scratch.data, rd->scratch.len);
    }
}

static int add_row(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    if (add_id(rd, cells) < 0 || add_label(rd, cells) < 0 || add_scores(rd, cells) < 0)
        return -1;
    if (rd->r.prediction >= 0 && add_class(rd, &p->prediction, rd->r.prediction,
                                     ml_column_canonical(cells[rd->r.prediction]), "the prediction is missing") < 0)
        return -1;
    add_slices(rd, cells);
    p->n++;
    return p->has_id && p->n - rd->indexed == ID_BATCH ? flush_ids(rd) : 0;
}

/* A column of numbers in which some are nan or inf isn't a column of classes. */
static int check_finite(struct reading *rd, const struct ml_column *c, int column)
{
    uint64_t line = 0;
    const char *what = "";
    size_t numbers = 0;
    for (size_t i = 0; c->text && i < c->dict.n; i++) {
        const char *s = ml_intern_text(&c->dict, (uint32_t)i);
        if (!isnan(c->value[i])) {
            numbers++;
        } else if (!ml_column_not_finite(s, strlen(s))) {
            return 0;
        } else if (line == 0) {
            line = c->line[i];
            what = s;
        }
    }
    if (line == 0 || numbers == 0)
        return 0;
    return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu, column '%s': '%s' is not a finite number", rd->p->name,
        (unsigned long long)line, ml_table_columns(rd->t)->v[column], what);
}

static int finish(struct reading *rd)
{
    struct ml_predictions *p = rd->p;
    if (p->n == 0)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': the header is there, but no row", p->name);
    if ((p->has_id && flush_ids(rd) < 0) || check_finite(rd, &p->label, rd->r.label) < 0)
        return -1;
    if (rd->r.prediction >= 0 && check_finite(rd, &p->prediction, rd->r.prediction) < 0)
        return -1;
    double total = 0;
    for (size_t i = 0; p->weight != NULL && i < p->n; i++)
        total += p->weight[i];
    if (p->weight != NULL && !(total > 0 && total < INFINITY))
        return ml_err_set(rd->err, ML_LOCAL, "'%s': column '%s': the weights sum to %s", p->name,
            ml_table_columns(rd->t)->v[rd->r.weight], total > 0 ? "infinity" : "zero");
    ml_table_digest(rd->t, &p->digest, &p->size);
    ml_rowsum_end(&rd->ids, &p->ids);
    ml_rowsum_end(p->label.text ? &rd->by_text : &rd->by_number, &p->data);
    if (!rd->keep_ids) {
        free(p->key);
        p->key = NULL;
    }
    return 0;
}

int ml_predictions_read(
    struct ml_predictions *p, struct ml_table *t, const struct ml_columns *c, unsigned flags, struct ml_err *err)
{
    struct reading *rd = ml_calloc(1, sizeof *rd);
    const struct ml_cell *cells;
    int rc;
    *rd = (struct reading){ .p = p, .t = t, .err = err };
    rd->keep_ids = flags & ML_PREDICTIONS_IDS;
    rd->lenient = flags & ML_PREDICTIONS_LENIENT;
    ml_buf_init(&rd->waiting, ML_BUF_MAX * 8);
    ml_buf_init(&rd->rec, ML_BUF_MAX);
    ml_buf_init(&rd->scratch, ML_BUF_MAX);
    p->name = ml_strdup(ml_table_name(t));
    rc = find_roles(rd, c);
    while (rc == 0 && (rc = ml_table_next(t, &cells, err)) == 0)
        rc = add_row(rd, cells);
    rc = rc < 0 ? -1 : finish(rd);
    ml_buf_release(&rd->waiting);
    ml_buf_release(&rd->rec);
    ml_buf_release(&rd->scratch);
    ml_rowindex_release(&rd->index);
    for (size_t i = 0; rd->r.slices != NULL && i < p->n_slices; i++)
        free(rd->r.slices[i]);
    free(rd->r.slices);
    free(rd->r.scores);
    free(rd);
    return rc;
}
