/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a table and as predictions: refused or read, and the same when a column is asked for by name. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/table_impl.h"
#include "model/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t hash_row(const struct ml_table *t, const struct ml_cell *cells)
{
    uint64_t h = ml_table_line(t);

    for (size_t i = 0; i < ml_table_columns(t)->n; i++)
        h = h * 31 + (cells[i].s ? ml_hash64(cells[i].s, cells[i].len) : 1);
    return h;
}

/* Row by row and in small blocks: the same rows on the same lines, up to the same end or refusal. */
static void read_table(const uint8_t *data, size_t size)
{
    const struct ml_cell *cells;
    struct ml_table *t, *cut, *child;
    int rc, rc_cut = 1, end = 0;
    size_t rows = 0;

    if (ml_table_open_bytes(data, size, "fuzz", 0, &t, NULL) < 0)
        return;
    if (ml_table_open_bytes(data, size, "fuzz", 0, &cut, NULL) < 0)
        abort();
    cut->block = 1 + data[size - 1] % 40;
    child = ml_table_child(cut);
    if (cut->first) /* of JSON Lines the first row is the table's own */
        if (ml_table_next(cut, &cells, NULL) < 0 || ml_table_next(t, &cells, NULL) < 0)
            abort();
    while ((rc = ml_table_next(t, &cells, NULL)) == 0) {
        uint64_t want = hash_row(t, cells);

        while (!end && (rc_cut = child->buf ? ml_table_next(child, &cells, NULL) : 1) == 1)
            end = ml_table_cut(cut, child, true, &rows, NULL);
        if (end || rc_cut || hash_row(child, cells) != want)
            abort();
    }
    while (!end && (rc_cut = child->buf ? ml_table_next(child, &cells, NULL) : 1) == 1)
        end = ml_table_cut(cut, child, true, &rows, NULL);
    if ((rc < 0) != (rc_cut < 0 || end < 0))
        abort();
    ml_table_close(child);
    ml_table_close(cut);
    ml_table_close(t);
}

static void read_predictions(const uint8_t *data, size_t size, const struct ml_columns *c)
{
    struct ml_predictions p = { 0 };
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };
    struct ml_table *t;

    if (ml_table_open_bytes(data, size, "fuzz", 0, &t, NULL) < 0)
        return;
    if (ml_predictions_read(&p, t, c, ML_PREDICTIONS_IDS, NULL) == 0 &&
        ml_subject_settle(&s, c, &p, NULL, &a, NULL, NULL) == 0) {
        for (size_t i = 0; i < p.n && s.task != ML_TASK_REGRESSION; i++)
            if (a.s.label[i] < 0 || a.s.label[i] >= a.s.classes || a.s.pred[i] < 0 || a.s.pred[i] >= a.s.classes)
                abort();
    }
    ml_answers_release(&a);
    ml_subject_release(&s);
    ml_predictions_release(&p);
    ml_table_close(t);
}

static int differ;

static void note_difference(void *ctx, size_t i)
{
    (void)ctx;
    (void)i;
    differ = 1;
}

/* Joined from the parts of small blocks it is what it is in one piece. */
static void join_predictions(const uint8_t *data, size_t size, const struct ml_columns *c)
{
    struct ml_predictions p[2] = { 0 };
    struct ml_err err[2] = { ML_ERR_INIT, ML_ERR_INIT };
    struct ml_table *t;
    int rc[2] = { 0 };

    for (int i = 0; i < 2; i++) {
        if (ml_table_open_bytes(data, size, "fuzz", 0, &t, NULL) < 0)
            return;
        t->block = i ? (size_t)data[size - 1] + 1 : size;
        rc[i] = ml_predictions_read(&p[i], t, c, ML_PREDICTIONS_IDS, &err[i]);
        ml_table_close(t);
    }
    if (rc[0] != rc[1] || strcmp(err[0].msg, err[1].msg) ||
        (rc[0] == 0 && (p[0].n != p[1].n || strcmp(p[0].data.s, p[1].data.s))))
        abort();
    for (size_t f = 0; rc[0] == 0 && f < p[0].n_features; f++)
        for (uint32_t i = 0; i < p[0].n; i++)
            ml_feature_compare(&p[0].features[f].f, &p[1].features[f].f, &i, &i, 1, note_difference, NULL);
    if (differ)
        abort();
    if (rc[0] == 0 && p[0].score && memcmp(p[0].score, p[1].score, p[0].n * p[0].score_columns * sizeof *p[0].score))
        abort();
    for (size_t i = 0; rc[0] == 0 && i < p[0].n; i++) {
        char a[24], b[24];

        if (strcmp(ml_predictions_id(&p[0], i, a), ml_predictions_id(&p[1], i, b)))
            abort();
        for (size_t k = 0; k < p[0].n_features; k++) {
            double x = ml_feature_number(&p[0].features[k].f, i), y = ml_feature_number(&p[1].features[k].f, i);

            if (isnan(x) ? ml_feature_text(&p[0].features[k].f, i) != ml_feature_text(&p[1].features[k].f, i) : x != y)
                abort();
        }
    }
    ml_predictions_release(&p[0]);
    ml_predictions_release(&p[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_columns plain = ML_COLUMNS_INIT, scores = ML_COLUMNS_INIT, regression = ML_COLUMNS_INIT;

    scores.scores = "p";
    regression.task = "regression";
    ml_strs_add(&plain.slices, "id,label");
    read_table(data, size);
    read_predictions(data, size, &plain);
    join_predictions(data, size, &plain);
    read_predictions(data, size, &scores);
    join_predictions(data, size, &scores);
    read_predictions(data, size, &regression);
    ml_strs_release(&plain.slices);
    return 0;
}
