/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A column that describes rows: a few different values, or very many numbers among which there may be texts. */
#ifndef ML_DATA_FEATURE_H
#define ML_DATA_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/intern.h"
#include "data/table.h"

#define ML_FEATURE_NUMBERS ((size_t)4096)    /* distinct numbers beyond which they are kept as doubles */
#define ML_FEATURE_TEXTS   ((size_t)1 << 16) /* distinct texts beyond which an optional column is given up */

/* Starts zeroed (but `optional`). A value is a number when it is a plain one (ml_column_number), else a text; an empty
 * cell is the text "". What it holds doesn't depend on how the rows were parted. */
struct ml_feature {
    bool optional; /* may be given up: too many distinct texts */
    bool given_up; /* then there are no values */
    size_t n;
    struct ml_intern dict;     /* distinct values by first appearance; of a wide column its texts */
    double *value;             /* of each of them, NaN: a text; NULL once wide */
    size_t value_cap, numbers; /* numbers: how many values are; 0 once wide */
    uint32_t *code;            /* one a row, index into dict; NULL once wide */
    double *wide;              /* one a row: a number, or a NaN that ml_feature_text knows */
    size_t cap;
};

void ml_feature_release(struct ml_feature *f);
void ml_feature_reset(struct ml_feature *f); /* empties it, keeping memory */

void ml_feature_add(struct ml_feature *f, struct ml_cell cell);
void ml_feature_append(struct ml_feature *f, const struct ml_feature *part);

/* Keeps rows[0..n-1], in that order. */
void ml_feature_take(struct ml_feature *f, const uint32_t *rows, size_t n);

/* A row's number, or NaN. */
double ml_feature_number(const struct ml_feature *f, size_t row);
/* The index in dict of a row that holds no number. */
uint32_t ml_feature_text(const struct ml_feature *f, size_t row);

/* Rows x[i] of `a` and y[i] of `b` (n of them; NULL: i) that hold different values: calls differs(ctx, i) for each.
 * Numbers are alike by value, texts by their bytes. Nothing is different where one has been given up. */
void ml_feature_compare(const struct ml_feature *a, const struct ml_feature *b, const uint32_t *x, const uint32_t *y,
    size_t n, void (*differs)(void *ctx, size_t i), void *ctx);

#endif
