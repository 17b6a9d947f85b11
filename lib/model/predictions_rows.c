/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells become typed columns, and each row adds to the identity of the data. */
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/word.h"
#include "data/rowjoin.h"
#include "model/predictions_impl.h"

int ml_reading_bad_cell(struct reading *rd, uint64_t line, int column, const char *why)
{
    return ml_err_set(rd->err, ML_LOCAL, "'%s': line %llu, column '%s': %s", ml_table_file(rd->t, line),
        ml_table_line_in(line), ml_table_columns(rd->t)->v[column], why);
}

static int bad_cell(struct reading *rd, int column, const char *why)
{
    return ml_reading_bad_cell(rd, rd->line, column, why);
}

#define ID_MARK 64 /* rows from one mark to the next, in a part */

static void keep_id(struct ml_predictions *p, const char *s, size_t len)
{
    if (p->id_used + len + 1 > p->id_cap)
        p->id_text = ml_grow(p->id_text, &p->id_cap, p->id_used + len + 1, 1);
    if (p->n % ID_MARK == 0) {
        p->id_marks = ml_grow(p->id_marks, &p->id_marks_cap, p->id_marks_n + 1, sizeof *p->id_marks);
        p->id_marks[p->id_marks_n++] = (struct ml_id_mark){ p->n, p->id_used };
    }
    ml_copy_short(p->id_text + p->id_used, s, len);
    p->id_text[p->id_used + len] = '\0';
    p->id_used += len + 1;
}

const struct ml_rowsum *ml_records_sum(struct records *r)
{
    for (size_t i = 0, from = 0; i < r->n; from = r->end[i++])
        ml_rowsum_add(&r->sum, r->bytes + from, r->end[i] - from);
    r->n = r->used = 0;
    return &r->sum;
}

/* Looks whether the ids are still in order. */
static inline void follow_id(struct reading *rd, struct ml_cell id)
{
    if (rd->p->n == 0)
        rd->first_id = id;
    else if (!rd->unordered)
        rd->unordered = ml_shortlex(rd->last_id.s, rd->last_id.len, id.s, id.len) >= 0;
    rd->last_id = id;
}

static struct ml_cell write_number(char buf[24], size_t number)
{
    char *end = buf + 24, *s = end;
    do
        *--s = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return (struct ml_cell){ s, (size_t)(end - s) };
}

static int add_id(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    struct ml_cell id = p->has_id ? cells[rd->r->id] : write_number(rd->row_number, rd->before + p->n + 1);
    if (id.len == 0)
        return bad_cell(rd, rd->r->id, "the id is missing");
    struct ml_hash128 key = ml_rowsum_add(&rd->ids, id.s, id.len);
    rd->row_id = id;
    if (!p->has_id)
        return 0;
    if (rd->part)
        follow_id(rd, id);
    else
        ml_buf_add(&rd->id, id.s, id.len); /* the first row, which no part has */
    if (rd->keep_keys && rd->part) {
        if (p->n >= rd->key_cap)
            rd->key = ml_grow(rd->key, &rd->key_cap, p->n + 1, sizeof *rd->key);
        rd->key[p->n] = key;
    } else if (rd->keep_keys) {
        ml_rowkeys_add(&p->keys, ml_keychunk_new(&key, 1));
    }
    if (rd->keep_ids)
        keep_id(p, id.s, id.len);
    return 0;
}

int ml_reading_not_a_class(struct reading *rd, uint64_t line, int column, struct ml_cell cell)
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
    if (*partial || ml_column_add(to, cell, rd->line) == 0)
        return 0;
    *partial = rd->part;
    return rd->part ? 0 : ml_reading_not_a_class(rd, rd->line, column, cell);
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
        return bad_cell(rd, column,
            rd->r->scores != NULL && column != rd->r->weight ? "the number is missing; each row has to hold every class"
                                                             : "the number is missing");
    char why[160];
    snprintf(why, sizeof why, "'%.*s' is not a%s number%s", (int)(cell.len > 50 ? 50 : cell.len), cell.s,
        number || ml_column_not_finite(cell.s, cell.len) ? " finite" : "",
        ml_column_comma(cell.s, cell.len) ? "; numbers have a decimal point, not a comma" : "");
    return bad_cell(rd, column, why);
}

static inline void put_double(char le[8], double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    bits = htole64(bits);
    memcpy(le, &bits, 8);
}

/* One form of the row's record: its id, the label as a number or as its bytes, and what stands behind it. */
static void add_record(const struct reading *rd, struct records *to, struct ml_cell label, const double *number)
{
    size_t len = number != NULL ? 8 : label.len, need = rd->row_id.len + 2 + len + rd->scratch.len;
    if (to->n == RECORDS || to->used > RECORDS_BYTES)
        ml_records_sum(to);
    if (need > to->cap - to->used)
        to->bytes = ml_grow(to->bytes, &to->cap, to->used + need, 1);
    char *s = to->bytes + to->used;
    ml_copy_short(s, rd->row_id.s, rd->row_id.len);
    s += rd->row_id.len;
    s[0] = '\0';
    s[1] = number != NULL ? 'n' : 's';
    if (number != NULL)
        put_double(s + 2, *number);
    else
        ml_copy_short(s + 2, label.s, len);
    if (rd->scratch.len > 0)
        memcpy(s + 2 + len, rd->scratch.data, rd->scratch.len);
    to->end[to->n++] = to->used += need;
}

/* What a column says of the row that it got last. */
static inline double last_number(const struct ml_column *c)
{
    return ml_column_at(c, c->n - 1);
}

/* Weight and group, which stand behind the label in the row's record. */
static int add_description(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    double x;
    ml_buf_reset(&rd->scratch);
    if (rd->r->weight >= 0) {
        char le[8];
        p->weight = ml_grow(p->weight, &p->weight_cap, p->n + 1, sizeof *p->weight);
        if (get_number(rd, rd->r->weight, cells[rd->r->weight], &x) < 0)
            return -1;
        if (x < 0)
            return bad_cell(rd, rd->r->weight, "a negative weight");
        p->weight[p->n] = x + 0.0;
        ml_buf_add(&rd->scratch, "\0w", 2);
        put_double(le, p->weight[p->n]);
        ml_buf_add(&rd->scratch, le, sizeof le);
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
    return 0;
}

static int add_label(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    struct ml_cell label = ml_column_canonical(cells[rd->r->label]);
    double x;
    if (rd->r->sets && ml_reading_set(rd, cells, &rd->r->label_set, &label) < 0)
        return -1;
    if (label.len == 0 && !rd->r->sets)
        return bad_cell(rd, rd->r->label, "the label is missing; an empty set of labels needs --task multilabel");
    if (add_class(rd, &p->label, &rd->label_partial, rd->r->label, label) < 0)
        return -1;
    if ((rd->r->weight >= 0 || rd->r->group >= 0) && add_description(rd, cells) < 0)
        return -1;
    bool number = !p->label.text && !rd->label_partial;
    if (number && !rd->only_text) {
        x = last_number(&p->label);
        add_record(rd, &rd->by_number, label, &x);
    }
    if (!number || rd->want_text || rd->only_text)
        add_record(rd, &rd->by_text, label, NULL);
    else
        rd->untexted++;
    return 0;
}

static int add_scores(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    size_t k = p->score_columns;
    if (k == 0)
        return 0;
    if ((p->n + 1) * k > p->score_cap)
        p->score = ml_grow(p->score, &p->score_cap, (p->n + 1) * k, sizeof *p->score);
    for (size_t i = 0; i < k; i++) {
        int column = rd->r->scores != NULL ? rd->r->scores[i] : rd->r->score;
        if (get_number(rd, column, cells[column], &p->score[p->n * k + i]) < 0)
            return -1;
    }
    return 0;
}

static int add_prediction(struct reading *rd, const struct ml_cell *cells)
{
    if (rd->r->prediction < 0)
        return 0;
    struct ml_cell cell = ml_column_canonical(cells[rd->r->prediction]);
    if (rd->r->sets && ml_reading_set(rd, cells, &rd->r->prediction_set, &cell) < 0)
        return -1;
    if (cell.len == 0 && !rd->r->sets)
        return bad_cell(rd, rd->r->prediction, "the prediction is missing");
    return add_class(rd, &rd->p->prediction, &rd->prediction_partial, rd->r->prediction, cell);
}

/* What a part remembers of row n. */
static void note_row(struct reading *rd, size_t n, const struct ml_cell *cells)
{
    rd->labels = ml_grow(rd->labels, &rd->labels_cap, n + 1, sizeof *rd->labels);
    rd->predictions = ml_grow(rd->predictions, &rd->predictions_cap, n + 1, sizeof *rd->predictions);
    rd->lines = ml_grow(rd->lines, &rd->lines_cap, n + 1, sizeof *rd->lines);
    rd->labels[n] = ml_column_canonical(cells[rd->r->label]);
    if (rd->r->prediction >= 0)
        rd->predictions[n] = ml_column_canonical(cells[rd->r->prediction]);
    rd->lines[n] = ml_table_line(rd->t);
}

void ml_reading_note_rows(struct reading *part)
{
    const struct ml_cell *cells;
    if (part->note || !ml_table_again(part->t))
        return;
    for (size_t i = 0; i < part->p->n && ml_table_next(part->t, &cells, NULL) == 0; i++)
        note_row(part, i, cells);
    part->note = true;
}

int ml_reading_row(struct reading *rd, const struct ml_cell *cells)
{
    struct ml_predictions *p = rd->p;
    rd->line = ml_table_line(rd->t);
    if (rd->before + p->n == ML_ROWS_MAX)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': more than %zu rows", p->name, ML_ROWS_MAX);
    if (add_id(rd, cells) < 0 || add_label(rd, cells) < 0 || add_scores(rd, cells) < 0 || add_prediction(rd, cells) < 0)
        return -1;
    for (size_t i = 0; i < p->n_features; i++)
        ml_feature_add(&p->features[i].f, cells[rd->r->features[i]]);
    ml_reading_note_line(rd, p->n, rd->line);
    if (rd->note)
        note_row(rd, p->n, cells);
    p->n++;
    return 0;
}

static int read_rows(struct reading *part)
{
    const struct ml_cell *cells;
    int rc;
    while ((rc = ml_table_next(part->t, &cells, part->err)) == 0)
        if ((rc = ml_reading_row(part, cells)) < 0)
            break;
    return rc < 0 ? -1 : 0;
}

int ml_reading_block(struct reading *part)
{
    part->note = !ml_table_again(part->t);
    part->want_text |= part->note;
    int rc = read_rows(part);
    /* a text behind numbers: those rows weren't summed as texts */
    if (rc == 0 && part->untexted > 0 && (part->p->label.text || part->label_partial)) {
        ml_table_again(part->t);
        ml_reading_reset(part);
        part->want_text = true;
        rc = read_rows(part);
    }
    if (rc == 0 && part->p->has_id && part->keep_keys)
        part->keys = ml_keychunk_new(part->key, part->p->n);
    return rc;
}

void ml_reading_init(struct reading *rd)
{
    ml_buf_init(&rd->scratch, ML_BUF_MAX);
    ml_buf_init(&rd->id, ML_BUF_MAX);
    ml_buf_init(&rd->set.names, ML_BUF_MAX);
    ml_buf_init(&rd->set.item, ML_BUF_MAX);
    ml_buf_init(&rd->set.text, ML_BUF_MAX);
}

void ml_reading_release(struct reading *rd)
{
    ml_buf_release(&rd->scratch);
    ml_buf_release(&rd->id);
    ml_label_set_release(&rd->set);
    free(rd->key);
    free(rd->keys);
    free(rd->by_text.bytes);
    free(rd->by_number.bytes);
    free(rd->labels);
    free(rd->predictions);
    free(rd->lines);
}
