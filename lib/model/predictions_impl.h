/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind predictions.h share; nobody else includes this. */
#ifndef ML_MODEL_PREDICTIONS_IMPL_H
#define ML_MODEL_PREDICTIONS_IMPL_H

#include "model/predictions.h"

/* Which column of the table is what; -1: none. */
struct roles {
    int id, label, prediction, score, weight, group;
    int *scores;
    size_t n_scores;
    int **slices; /* parts of each slicing, ended by -1 */
};

/* Rows that are being read: those of a whole file, or of a part of it that is read apart. */
struct reading {
    struct ml_predictions *p;
    struct ml_table *t;
    const struct roles *r;
    bool keep_ids, lenient;
    size_t before; /* rows of the file in front of these */
    struct ml_rowsum ids, by_text, by_number;
    struct ml_buf rec, scratch;
    struct ml_err *err;
    /* a part's: what its rows hold, for columns that can't be joined otherwise, and where they stand */
    bool part, label_partial, prediction_partial;
    struct ml_cell *labels, *predictions;
    uint64_t *lines;
    size_t labels_cap, predictions_cap, lines_cap;
};

/* Finds the columns that were asked for, in rd->t. */
int ml_reading_find_columns(struct reading *rd, struct roles *r, const struct ml_columns *c);

/* Adds the row that ml_table_next gave. */
int ml_reading_row(struct reading *rd, const struct ml_cell *cells);

/* Appends what a part has read. */
int ml_reading_append(struct reading *rd, const struct reading *part);

/* Empties a part for the next block, keeping memory. */
void ml_reading_reset(struct reading *part);
void ml_reading_release(struct reading *rd);

/* rd->err names the table's current line and the column. Returns -1. */
int ml_reading_bad_cell(struct reading *rd, uint64_t line, int column, const char *why);

#endif
