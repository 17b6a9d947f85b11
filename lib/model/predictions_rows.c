/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells become typed columns, and each row adds to the identity of the data; parts of a file become one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/predictions_impl.h"

int ml_reading_bad_cell(struct reading *rd, uint64_t line, int column, const char *why)
{
    return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu, column '%s': %s", rd->p->name, (unsigned long long)line,
        ml_table_columns(rd->t)->v[column], why);
}

static int bad_cell(struct reading *rd, int column, const char *why)
{
    return ml_reading_bad_cell(rd, ml_table_line(rd->t), column, why);
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
    if (p->has_id) {
        id = cells[rd->r->id];
        if (id.len == 0)
            return bad_cell(rd, rd->r->id, "the id is missing");
    } else {
        int len = snprintf(number, sizeof number, "%zu", rd->before + p->n + 1);
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
    if (rd->keep_ids)
        keep_id(p, id.s, id.len);
    return 0;
}

static int not_a_class(struct reading *rd, uint64_t line, int column, struct ml_cell cell)
{
    return ml_reading_bad_cell(rd, line, column,
        ml_column_not_finite(cell.s, cell.len) ? "not a finite number"
                                               : "a text after many different numbers; is this the right column?");
}

/* A part that has no room for a text among its numbers leaves that to the whole, where an earlier text may have made
 * room.
 */
static int add_class(struct reading *rd, struct ml_column *to, bool *partial, int column, struct ml_cell cell)
{
    if (*partial || ml_column_add(to, cell, ml_table_line(rd->t)) == 0)
        return 0;
    *partial = rd->part;
    return rd->part ? 0 : not_a_class(rd, ml_table_line(rd->t), column, cell);
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
    struct ml_cell label = ml_column_canonical(cells[rd->r->label]);
    size_t id_len = rd->rec.len;
    double x;
    if (label.len == 0)
        return bad_cell(rd, rd->r->label, "the label is missing");
    if (add_class(rd, &p->label, &rd->label_partial, rd->r->label, label) < 0)
        return -1;
    ml_buf_reset(&rd->scratch);
    if (rd->r->weight >= 0) {
        p->weight = ml_grow(p->weight, &p->weight_cap, p->n + 1, sizeof *p->weight);
        if (get_number(rd, rd->r->weight, cells[rd->r->weight], &x) < 0)
            return -1;
        if (x < 0)
            return bad_cell(rd, rd->r->weight, "a negative weight");
        p->weight[p->n] = x + 0.0;
        ml_buf_add(&rd->scratch, "\0w", 2);
        add_double(&rd->scratch, p->weight[p->n]);
    }
    if (rd->r->group >= 0) {
        const struct ml_cell *g = &cells[rd->r->group];
        if (g->len == 0)
            return bad_cell(rd, rd->r->group, "the group is missing");
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
        int column = rd->r->scores != NULL ? rd->r->scores[i] : rd->r->score;
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
        const int *part = rd->r->slices[i];
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

static int add_prediction(struct reading *rd, const struct ml_cell *cells)
{
    if (rd->r->prediction < 0)
        return 0;
    struct ml_cell cell = ml_column_canonical(cells[rd->r->prediction]);
    if (cell.len == 0)
        return bad_cell(rd, rd->r->prediction, "the prediction is missing");
    return add_class(rd, &rd->p->prediction, &rd->prediction_partial, rd->r->prediction, cell);
}

/* What a part remembers of each row. */
static void note_row(struct reading *rd, const struct ml_cell *cells)
{
    size_t n = rd->p->n;
    rd->labels = ml_grow(rd->labels, &rd->labels_cap, n + 1, sizeof *rd->labels);
    rd->predictions = ml_grow(rd->predictions, &rd->predictions_cap, n + 1, sizeof *rd->predictions);
    rd->lines = ml_grow(rd->lines, &rd->lines_cap, n + 1, sizeof *rd->lines);
    rd->labels[n] = ml_column_canonical(cells[rd->r->label]);
    if (rd->r->prediction >= 0)
        rd->predictions[n] = ml_column_canonical(cells[rd->r->prediction]);
    rd->lines[n] = ml_table_line(rd->t);
}

int ml_reading_row(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    if (rd->before + p->n == ML_ROWS_MAX)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': more than %zu rows", p->name, ML_ROWS_MAX);
    if (add_id(rd, cells) < 0 || add_label(rd, cells) < 0 || add_scores(rd, cells) < 0 || add_prediction(rd, cells) < 0)
        return -1;
    add_slices(rd, cells);
    if (rd->part)
        note_row(rd, cells);
    p->n++;
    return 0;
}

/* ---- joining parts ---- */

static void append_ids(struct ml_predictions *p, const struct ml_predictions *part)
{
    p->key = ml_grow(p->key, &p->key_cap, p->n + part->n, sizeof *p->key);
    memcpy(p->key + p->n, part->key, part->n * sizeof *p->key);
    if (part->id_used == 0)
        return;
    p->id_text = ml_grow(p->id_text, &p->id_cap, p->id_used + part->id_used, 1);
    p->id_at = ml_grow(p->id_at, &p->id_at_cap, p->n + part->n, sizeof *p->id_at);
    memcpy(p->id_text + p->id_used, part->id_text, part->id_used);
    for (size_t i = 0; i < part->n; i++)
        p->id_at[p->n + i] = p->id_used + part->id_at[i];
    p->id_used += part->id_used;
}

static void append_division(struct ml_division *d, size_t n, const struct ml_division *part, size_t part_n)
{
    uint32_t *code = ml_malloc((part->names.n + 1) * sizeof *code);
    if (part->of == NULL || part->names.n == 0) {
        free(code);
        return;
    }
    for (size_t i = 0; i < part->names.n; i++)
        code[i] = ml_intern_put(&d->names, ml_intern_text(&part->names, (uint32_t)i), part->names.entries[i].len);
    d->of = ml_grow(d->of, &d->cap, n + part_n, sizeof *d->of);
    for (size_t i = 0; i < part_n; i++)
        d->of[n + i] = code[part->of[i]];
    free(code);
}

static void append_doubles(double **to, size_t *cap, size_t n, const double *from, size_t m)
{
    if (m == 0)
        return;
    *to = ml_grow(*to, cap, n + m, sizeof **to);
    memcpy(*to + n, from, m * sizeof **to);
}

static int append_class(struct reading *rd, struct ml_column *to, int column, const struct ml_column *from,
    bool partial, const struct ml_cell *cells, const struct reading *part)
{
    size_t bad;
    if (column < 0 || ml_column_append(to, from, !partial, cells, part->lines, part->p->n, &bad) == 0)
        return 0;
    return not_a_class(rd, part->lines[bad], column, cells[bad]);
}

int ml_reading_append(struct reading *rd, const struct reading *part)
{
    struct ml_predictions *p = rd->p;
    const struct ml_predictions *q = part->p;
    size_t k = p->score_columns;
    if (q->n == 0)
        return 0;
    if (q->n > ML_ROWS_MAX - p->n)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': more than %zu rows", p->name, ML_ROWS_MAX);
    if (p->has_id)
        append_ids(p, q);
    if (append_class(rd, &p->label, rd->r->label, &q->label, part->label_partial, part->labels, part) < 0 ||
        append_class(rd, &p->prediction, rd->r->prediction, &q->prediction, part->prediction_partial, part->predictions,
            part) < 0)
        return -1;
    append_doubles(&p->score, &p->score_cap, p->n * k, q->score, q->n * k);
    if (rd->r->weight >= 0)
        append_doubles(&p->weight, &p->weight_cap, p->n, q->weight, q->n);
    if (rd->r->group >= 0)
        append_division(&p->group, p->n, &q->group, q->n);
    for (size_t i = 0; i < p->n_slices; i++)
        append_division(&p->slices[i], p->n, &q->slices[i], q->n);
    ml_rowsum_merge(&rd->ids, &part->ids);
    ml_rowsum_merge(&rd->by_text, &part->by_text);
    ml_rowsum_merge(&rd->by_number, &part->by_number);
    p->n += q->n;
    return 0;
}

void ml_reading_reset(struct reading *part)
{
    struct ml_predictions *p = part->p;
    p->n = p->id_used = 0;
    ml_column_reset(&p->label);
    ml_column_reset(&p->prediction);
    ml_intern_reset(&p->group.names);
    for (size_t i = 0; i < p->n_slices; i++)
        ml_intern_reset(&p->slices[i].names);
    part->ids = part->by_text = part->by_number = (struct ml_rowsum){ 0 };
    part->label_partial = part->prediction_partial = false;
}

void ml_reading_release(struct reading *rd)
{
    ml_buf_release(&rd->rec);
    ml_buf_release(&rd->scratch);
    free(rd->labels);
    free(rd->predictions);
    free(rd->lines);
}
