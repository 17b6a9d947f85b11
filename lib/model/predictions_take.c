/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens to predictions after they were read: rows are picked, ids looked up, memory given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/gather.h"
#include "model/predictions_impl.h"

static void release_division(struct ml_division *d)
{
    ml_intern_release(&d->names);
    free(d->of);
}

void ml_predictions_release(struct ml_predictions *p)
{
    ml_column_release(&p->label);
    ml_column_release(&p->prediction);
    ml_strs_release(&p->score_names);
    free(p->scores_begin);
    ml_strs_release(&p->label_names);
    ml_strs_release(&p->prediction_names);
    release_division(&p->group);
    for (size_t i = 0; p->features != NULL && i < p->n_features; i++) {
        free(p->features[i].name);
        ml_feature_release(&p->features[i].f);
    }
    for (size_t i = 0; p->slicings != NULL && i < p->n_slicings; i++) {
        for (size_t k = 0; k < p->slicings[i].n; k++)
            free(p->slicings[i].cuts[k].edges);
        free(p->slicings[i].cuts);
    }
    free(p->features);
    free(p->slicings);
    free(p->name);
    ml_strs_release(&p->files);
    ml_predictions_drop_ids(p, true);
    free(p->runs);
    free(p->score);
    free(p->scores_unused);
    free(p->weight);
    *p = (struct ml_predictions){ 0 };
}

/* Memory that nobody needs any more: its pages are there already, which new ones aren't. */
struct spare {
    void *p;
    size_t size;
};

/* An array of the picked elements instead of the old one; NULL stays NULL. */
static void *take(void *from, size_t size, const uint32_t *rows, size_t n, struct spare *spare)
{
    void *to = spare->p;
    if (from == NULL)
        return NULL;
    if (n * size < spare->size && spare->size / 2 <= n * size)
        *spare = (struct spare){ NULL, 0 };
    else
        to = ml_malloc(n * size + 1);
    ml_gather(to, from, size, rows, n);
    free(from);
    return to;
}

/* The text of the ids, which are given back. */
static struct spare spare_text(struct ml_predictions *p)
{
    struct spare s = { p->id_text, p->id_cap };
    p->id_text = NULL;
    ml_predictions_drop_ids(p, true);
    return s;
}

void ml_predictions_take(struct ml_predictions *p, const uint32_t *rows, size_t n, bool ids)
{
    struct spare spare = ids ? (struct spare){ NULL, 0 } : spare_text(p);
    ml_column_take(&p->label, rows, n);
    ml_column_take(&p->prediction, rows, n);
    ml_rowkeys_release(&p->keys);
    if (p->id_text != NULL) { /* few of them are asked for */
        uint32_t *row = ml_malloc((n + 1) * sizeof *row);
        for (size_t i = 0; i < n; i++)
            row[i] = p->id_row != NULL ? p->id_row[rows[i]] : rows[i];
        free(p->id_row);
        p->id_row = row;
    }
    p->score = take(p->score, p->score_columns * sizeof *p->score, rows, n, &spare);
    p->weight = take(p->weight, sizeof *p->weight, rows, n, &spare);
    p->group.of = take(p->group.of, sizeof *p->group.of, rows, n, &spare);
    free(spare.p);
    for (size_t i = 0; i < p->n_features; i++)
        ml_feature_take(&p->features[i].f, rows, n);
    p->n = n;
}

void ml_predictions_drop_ids(struct ml_predictions *p, bool texts)
{
    ml_rowkeys_release(&p->keys);
    if (!texts)
        return;
    free(p->id_text);
    free(p->id_marks);
    free(p->id_row);
    p->id_text = NULL;
    p->id_marks = NULL;
    p->id_row = NULL;
    p->id_used = p->id_cap = p->id_marks_n = p->id_marks_cap = 0;
}

/* From the last mark that isn't behind it. */
static const char *id_of(const struct ml_predictions *p, size_t row)
{
    size_t low = 0, high = p->id_marks_n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p->id_marks[middle].row <= row)
            low = middle;
        else
            high = middle;
    }
    const char *s = p->id_text + p->id_marks[low].at;
    for (size_t i = p->id_marks[low].row; i < row; i++)
        s += strlen(s) + 1;
    return s;
}

/* Picked rows are mostly in their order, and not far from each other. */
static void hash_picked(const struct ml_predictions *p, size_t from, size_t n, struct ml_hash128 *keys)
{
    const char *s = NULL;
    for (size_t i = 0, row = 0; i < n; i++) {
        size_t next = p->id_row[from + i];
        if (s == NULL || next < row || next - row > 64)
            s = id_of(p, row = next);
        for (; row < next; row++)
            s += strlen(s) + 1;
        s = ml_hash128_texts(s, 1, &keys[i]);
        row++;
    }
}

static void hash_ids(const void *ctx, size_t from, size_t n, struct ml_hash128 *keys)
{
    const struct ml_predictions *p = ctx;
    if (p->id_row != NULL)
        hash_picked(p, from, n, keys);
    else
        ml_hash128_texts(id_of(p, from), n, keys);
}

struct ml_keysource ml_predictions_keys(const struct ml_predictions *p)
{
    return (struct ml_keysource){ hash_ids, p, p->n };
}

bool ml_predictions_twice(struct ml_predictions *p, size_t *first, size_t *second)
{
    struct ml_keysource source = ml_predictions_keys(p);
    ml_rowkeys_complete(&p->keys, &source);
    return ml_rowkeys_twice(&p->keys, first, second);
}

static uint64_t line_of(const struct ml_predictions *p, size_t row)
{
    size_t i = p->runs_n - 1;
    while (p->runs[i].row > row)
        i--;
    return p->runs[i].line + (row - p->runs[i].row);
}

/* Which of the files a row is in. */
static size_t file_of(const struct ml_predictions *p, size_t row)
{
    return (size_t)(line_of(p, row) >> ML_TABLE_LINE_BITS);
}

/* What most likely is meant where an id stands twice; owned. */
static char *why_twice(const struct ml_predictions *p, const char *id, size_t first, size_t second)
{
    const struct ml_intern *names = &p->group.names;
    const uint32_t *of = p->group.of;
    if (of != NULL && of[first] != of[second])
        return ml_format(
            ", in the groups '%.80s' and '%.80s'; an id names one row of the file: where it names one of a group only, "
            "write both into the column, as in '%.80s/%.80s'",
            ml_intern_text(names, of[first]), ml_intern_text(names, of[second]), ml_intern_text(names, of[first]), id);
    if (file_of(p, first) != file_of(p, second))
        return ml_format(", first in '%s'; several files are one table, and two models' are compared by ml-compare",
            ml_predictions_file(p, line_of(p, first)));
    return ml_strdup("");
}

int ml_predictions_say_twice(
    const struct ml_predictions *p, size_t first, size_t second, const char *id, struct ml_err *err)
{
    uint64_t line = line_of(p, second);
    char *why = why_twice(p, id, first, second);
    ml_err_set(err, ML_LOCAL, "'%s': line %llu: the id '%s' stands twice (rows %zu and %zu)%s",
        ml_predictions_file(p, line), ml_table_line_in(line), id, first + 1, second + 1, why);
    free(why);
    return -1;
}

#define ALIKE_ROWS   10
#define ALIKE_PERIOD ((size_t)64)

static bool same_label(const struct ml_column *c, size_t i, size_t j)
{
    return c->dense != NULL ? c->dense[i] == c->dense[j] : c->code[i] == c->code[j];
}

/* Labels of one kind, sorted ones, and such as take turns are the same in parts of one table, too. */
static bool by_rule(const struct ml_column *c, size_t n)
{
    size_t turns = 0, up = 0;
    for (size_t i = 1; i < n; i++) {
        turns += !same_label(c, i, i - 1);
        up += c->dense != NULL && c->dense[i] > c->dense[i - 1];
    }
    if (c->dense != NULL ? up == 0 || up == turns : turns < c->dict.n)
        return true;
    for (size_t k = 2; k <= n / 2 && k <= ALIKE_PERIOD; k++) {
        size_t i = k;
        while (i < n && same_label(c, i, i - k))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

bool ml_predictions_alike(const struct ml_predictions *p)
{
    size_t files = p->files.n, n = files > 1 ? p->n / files : 0;
    bool alike = n >= ALIKE_ROWS && n * files == p->n;
    for (size_t k = 0; alike && k < files; k++)
        alike = file_of(p, k * n) == k && file_of(p, k * n + n - 1) == k;
    for (size_t i = n; alike && i < p->n; i++)
        alike = same_label(&p->label, i, i - n) && (p->weight == NULL || p->weight[i] == p->weight[i - n]) &&
                (p->group.of == NULL || p->group.of[i] == p->group.of[i - n]);
    return alike && !by_rule(&p->label, n);
}

int ml_predictions_check_ids(struct ml_predictions *p, const struct ml_predictions *other, struct ml_err *err)
{
    char number[24];
    size_t first, second;
    bool unchecked = p->unchecked;
    bool same = other != NULL && !other->unchecked && strcmp(p->ids.s, other->ids.s) == 0;
    p->unchecked = false;
    if (!unchecked || same || !ml_predictions_twice(p, &first, &second))
        return 0;
    return ml_predictions_say_twice(p, first, second, ml_predictions_id(p, second, number), err);
}

const char *ml_predictions_id(const struct ml_predictions *p, size_t row, char buf[24])
{
    if (p->id_text != NULL)
        return id_of(p, p->id_row != NULL ? p->id_row[row] : row);
    buf[0] = '\0';
    if (!p->has_id)
        snprintf(buf, 24, "%zu", row + 1);
    return buf;
}
