/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slices: rows that share a value, or a range of values, of one or several columns. */
#ifndef ML_MODEL_SLICES_H
#define ML_MODEL_SLICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/predictions.h"
#include "stats/threshold.h"

#define ML_SLICES_MAX  ((size_t)1000) /* slices of all --slice options together */
#define ML_SLICES_EACH ((size_t)20)   /* so many different numbers are slices of their own; quartiles beyond */

/* Numbers of a column that was cut: from <= x < below, or, of the last quantile, from <= x <= to. Infinite: open. */
struct ml_range {
    double from, below;
    bool closed; /* below is the largest that there is, and belongs here */
};

/* The values of one column, numbered: texts, numbers, ranges of numbers. Only those that rows have. */
struct ml_values {
    const char *column;     /* borrowed from the predictions */
    struct ml_strs names;   /* "18", "q1of4", "..18" */
    struct ml_range *range; /* of each; NULL where nothing was cut */
    const uint32_t *code;   /* a row's value is map[code[row]] */
    uint32_t *map, *own;
};

/* Cuts a column. ML_USAGE: more than `most` values. */
int ml_values_find(
    struct ml_values *v, const struct ml_predictions *p, const struct ml_cut *cut, size_t most, struct ml_err *err);
void ml_values_release(struct ml_values *v);

/* One slice. */
struct ml_slice {
    const char *name; /* "accents=no", "age=q1of4,sex=f"; borrowed from ml_slices */
    const uint32_t *rows;
    size_t n;
    const struct ml_values *of; /* its columns' values (n_of of them), and which of them */
    size_t n_of;
    const uint32_t *value;
};

/* All slices of some predictions, in byte order of their names. Starts zeroed. */
struct ml_slices {
    struct ml_slice *v;
    size_t n, cap;
    struct division *divisions; /* own what the slices borrow, one a slicing */
    size_t n_divisions;
};

/* Quantiles are those of the rows that are there. ML_USAGE when there are more than ML_SLICES_MAX. */
int ml_slices_find(const struct ml_predictions *p, struct ml_slices *out, struct ml_err *err);
void ml_slices_release(struct ml_slices *s);

/* Replicates of the slices of a sample that are drawn with all of its rows. */
struct ml_tuned_parts *ml_slices_draw(const struct ml_slices *s, const struct ml_sample *whole, uint64_t seed);

/* A slice's object in a card: `rows`, and `ranges` of the columns that were cut. */
cJSON *ml_slice_json(const struct ml_slice *s);
void ml_slice_describe(cJSON *to, const struct ml_slice *s);

#endif
