/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a table and as predictions: refused or read, and the same when a column is asked for by name. */
#include <stdint.h>
#include <stdlib.h>

#include "model/predictions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_table(const uint8_t *data, size_t size)
{
    const struct ml_cell *cells;
    struct ml_table *t;
    size_t sum = 0;

    if (ml_table_open_bytes(data, size, "fuzz", &t, NULL) < 0)
        return;
    while (ml_table_next(t, &cells, NULL) == 0)
        for (size_t i = 0; i < ml_table_columns(t)->n; i++)
            for (size_t k = 0; k < cells[i].len; k++)
                sum += (unsigned char)cells[i].s[k];
    if (sum == SIZE_MAX)
        abort();
    ml_table_close(t);
}

static void read_predictions(const uint8_t *data, size_t size, const struct ml_columns *c)
{
    struct ml_predictions p = { 0 };
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };
    struct ml_table *t;

    if (ml_table_open_bytes(data, size, "fuzz", &t, NULL) < 0)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_columns plain = ML_COLUMNS_INIT, scores = ML_COLUMNS_INIT, regression = ML_COLUMNS_INIT;

    scores.scores = "p";
    regression.task = "regression";
    ml_strs_add(&plain.slices, "id,label");
    read_table(data, size);
    read_predictions(data, size, &plain);
    read_predictions(data, size, &scores);
    read_predictions(data, size, &regression);
    ml_strs_release(&plain.slices);
    return 0;
}
