/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parts of a file, each read apart, become one. */
#include <stdlib.h>
#include <string.h>

#include "data/rowjoin.h"
#include "model/predictions_impl.h"

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

static void append_run(struct reading *rd, const struct ml_predictions *part, size_t i)
{
    const struct ml_line_run *run = &part->runs[i];
    size_t end = i + 1 < part->runs_n ? run[1].row : part->n;
    ml_reading_note_line(rd, rd->p->n + run->row, run->line);
    rd->next_line = run->line + (end - run->row);
}

static int append_class(struct reading *rd, struct ml_column *to, int column, const struct ml_column *from,
    bool partial, struct reading *part)
{
    size_t bad;
    if (column < 0)
        return 0;
    if (partial || ml_column_mixes(to, from))
        ml_reading_note_rows(part);
    const struct ml_cell *cells = column == rd->r->label ? part->labels : part->predictions;
    if (ml_column_append(to, from, !partial, cells, part->lines, part->p->n, &bad) == 0)
        return 0;
    return ml_reading_not_a_class(rd, part->lines[bad], column, cells[bad]);
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
    for (size_t i = 0; i < q->runs_n; i++)
        append_run(rd, q, i);
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
    p->n = p->id_used = p->id_marks_n = p->runs_n = 0;
    ml_column_reset(&p->label);
    ml_column_reset(&p->prediction);
    ml_intern_reset(&p->group.names);
    for (size_t i = 0; i < p->n_features; i++)
        ml_feature_reset(&p->features[i].f);
    part->ids = part->by_text.sum = part->by_number.sum = (struct ml_rowsum){ 0 };
    part->by_text.n = part->by_text.used = part->by_number.n = part->by_number.used = 0;
    part->label_partial = part->prediction_partial = part->unordered = false;
    part->untexted = 0;
    free(part->keys);
    part->keys = NULL;
}
