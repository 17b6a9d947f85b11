/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells become typed columns, and each row adds to the identity of the data; parts of a file become one. */
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
    if (*partial || ml_column_add(to, cell, rd->line) == 0)
        return 0;
    *partial = rd->part;
    return rd->part ? 0 : not_a_class(rd, rd->line, column, cell);
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

static inline void note_line(struct reading *rd, size_t row, uint64_t line)
{
    if (rd->runs_n == 0 || line != rd->next_line) {
        rd->runs = ml_grow(rd->runs, &rd->runs_cap, rd->runs_n + 1, sizeof *rd->runs);
        rd->runs[rd->runs_n++] = (struct line_run){ row, line };
    }
    rd->next_line = line + 1;
}

uint64_t ml_reading_line(const struct reading *rd, size_t row)
{
    size_t i = rd->runs_n - 1;
    while (rd->runs[i].row > row)
        i--;
    return rd->runs[i].line + (row - rd->runs[i].row);
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

/* Notes all rows of a part that did not do so while it read them. */
static void note_rows(struct reading *part)
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
    note_line(rd, p->n, rd->line);
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

/* ---- joining parts ---- */

/* Are the ids of the part in order behind those that are there? */
static void follow_part(struct reading *rd, const struct reading *part)
{
    const struct ml_cell *last = &part->last_id, *first = &part->first_id;
    rd->unordered = rd->unordered || part->unordered ||
                    (rd->id.len > 0 && ml_shortlex(rd->id.data, rd->id.len, first->s, first->len) >= 0);
    if (rd->unordered)
        return;
    ml_buf_reset(&rd->id);
    ml_buf_add(&rd->id, last->s, last->len);
}

/* Parts keep keys from one of them on. */
static void append_keys(struct ml_predictions *p, struct reading *part)
{
    if (part->keys == NULL)
        return;
    if (p->keys.n == 0)
        p->keys.from = p->keys.end = p->n;
    ml_rowkeys_add(&p->keys, part->keys);
    part->keys = NULL;
}

static void append_ids(struct ml_predictions *p, const struct ml_predictions *part)
{
    if (part->id_used == 0)
        return;
    p->id_text = ml_grow(p->id_text, &p->id_cap, p->id_used + part->id_used, 1);
    p->id_marks = ml_grow(p->id_marks, &p->id_marks_cap, p->id_marks_n + part->id_marks_n, sizeof *p->id_marks);
    ml_populate(p->id_text + p->id_used, part->id_used);
    memcpy(p->id_text + p->id_used, part->id_text, part->id_used);
    for (size_t i = 0; i < part->id_marks_n; i++)
        p->id_marks[p->id_marks_n++] =
            (struct ml_id_mark){ p->n + part->id_marks[i].row, p->id_used + part->id_marks[i].at };
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
    ml_populate(*to + n, m * sizeof **to);
    memcpy(*to + n, from, m * sizeof **to);
}

static void append_run(struct reading *rd, const struct reading *part, size_t i)
{
    const struct line_run *run = &part->runs[i];
    size_t end = i + 1 < part->runs_n ? run[1].row : part->p->n;
    note_line(rd, rd->p->n + run->row, run->line);
    rd->next_line = run->line + (end - run->row);
}

static int append_class(struct reading *rd, struct ml_column *to, int column, const struct ml_column *from,
    bool partial, struct reading *part)
{
    size_t bad;
    if (column < 0)
        return 0;
    if (partial || ml_column_mixes(to, from))
        note_rows(part);
    const struct ml_cell *cells = column == rd->r->label ? part->labels : part->predictions;
    if (ml_column_append(to, from, !partial, cells, part->lines, part->p->n, &bad) == 0)
        return 0;
    return not_a_class(rd, part->lines[bad], column, cells[bad]);
}

int ml_reading_append(struct reading *rd, struct reading *part)
{
    struct ml_predictions *p = rd->p;
    const struct ml_predictions *q = part->p;
    size_t k = p->score_columns;
    if (q->n == 0)
        return 0;
    if (q->n > ML_ROWS_MAX - p->n)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': more than %zu rows", p->name, ML_ROWS_MAX);
    if (p->has_id)
        follow_part(rd, part);
    if (rd->unordered && !rd->keep_keys && !rd->keep_ids)
        return 1;
    if (append_class(rd, &p->label, rd->r->label, &q->label, part->label_partial, part) < 0)
        return -1;
    if (p->label.text && rd->untexted + part->untexted > 0)
        return 1;
    if (append_class(rd, &p->prediction, rd->r->prediction, &q->prediction, part->prediction_partial, part) < 0)
        return -1;
    for (size_t i = 0; i < part->runs_n; i++)
        append_run(rd, part, i);
    append_keys(p, part);
    if (p->has_id)
        append_ids(p, q);
    append_doubles(&p->score, &p->score_cap, p->n * k, q->score, q->n * k);
    if (rd->r->weight >= 0)
        append_doubles(&p->weight, &p->weight_cap, p->n, q->weight, q->n);
    if (rd->r->group >= 0)
        append_division(&p->group, p->n, &q->group, q->n);
    for (size_t i = 0; i < p->n_features; i++)
        ml_feature_append(&p->features[i].f, &q->features[i].f);
    ml_rowsum_merge(&rd->ids, &part->ids);
    ml_rowsum_merge(&rd->by_text.sum, ml_records_sum(&part->by_text));
    ml_rowsum_merge(&rd->by_number.sum, ml_records_sum(&part->by_number));
    rd->untexted += part->untexted;
    p->n += q->n;
    return 0;
}

void ml_reading_reserve(struct reading *rd, size_t rows)
{
    struct ml_predictions *p = rd->p;
    size_t n = p->n, k = p->score_columns;
    if (rows > ML_ROWS_MAX)
        rows = ML_ROWS_MAX;
    ml_column_reserve(&p->label, rows);
    if (p->prediction.n > 0)
        ml_column_reserve(&p->prediction, rows);
    if (p->score != NULL)
        p->score = ml_reserve(p->score, &p->score_cap, rows * k, sizeof *p->score);
    if (p->weight != NULL)
        p->weight = ml_reserve(p->weight, &p->weight_cap, rows, sizeof *p->weight);
    if (p->group.of != NULL)
        p->group.of = ml_reserve(p->group.of, &p->group.cap, rows, sizeof *p->group.of);
    if (p->id_text != NULL)
        p->id_text = ml_reserve(p->id_text, &p->id_cap, p->id_used / n * rows, 1);
}

void ml_reading_reset(struct reading *part)
{
    struct ml_predictions *p = part->p;
    p->n = p->id_used = p->id_marks_n = 0;
    ml_column_reset(&p->label);
    ml_column_reset(&p->prediction);
    ml_intern_reset(&p->group.names);
    for (size_t i = 0; i < p->n_features; i++)
        ml_feature_reset(&p->features[i].f);
    part->ids = part->by_text.sum = part->by_number.sum = (struct ml_rowsum){ 0 };
    part->by_text.n = part->by_text.used = part->by_number.n = part->by_number.used = 0;
    part->label_partial = part->prediction_partial = part->unordered = false;
    part->runs_n = part->untexted = 0;
    free(part->keys);
    part->keys = NULL;
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
    free(rd->runs);
    free(rd->labels);
    free(rd->predictions);
    free(rd->lines);
}
