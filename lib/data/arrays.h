/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A table of numpy's arrays, given out as CSV: an .npy file with records (its fields are columns), or with rows of one
 * or more numbers (columns 1, 2, ...); an .npz file whose arrays are columns. Of an array `scores` of n rows and k
 * columns come columns scores0, scores1, ..., or scores<class> where an array `classes` of k values is there, too. How
 * many rows there are, most arrays of an .npz file say; others are left out. */
#ifndef ML_DATA_ARRAYS_H
#define ML_DATA_ARRAYS_H

#include <stdbool.h>

#include "base/stream.h"

struct ml_arrays;

typedef int64_t ml_arrays_read_fn(void *ctx, void *p, size_t n, struct ml_err *err); /* the next bytes; 0 at the end */

/* Reads the header of an .npy file. */
int ml_arrays_open_npy(ml_arrays_read_fn *read, void *ctx, struct ml_arrays **out, struct ml_err *err);

/* Whether its values lie column by column, so that they have to be read at several places at once: then `src` says
 * where, from offset `at` on. */
bool ml_arrays_by_columns(const struct ml_arrays *a);
int ml_arrays_read_at(struct ml_arrays *a, struct ml_source src, uint64_t at, struct ml_err *err);

/* Reads the directory and the headers of an .npz file. */
int ml_arrays_open_npz(struct ml_source src, uint64_t size, struct ml_arrays **out, struct ml_err *err);

/* Gives header line and rows to `sink`: a ml_pump_fn. Once. */
int ml_arrays_make(void *arrays, ml_sink_fn *sink, void *to, struct ml_err *err);

/* Why an array that is in the file is no column, or NULL. */
const char *ml_arrays_left_out(const struct ml_arrays *a, const char *name);

void ml_arrays_free(struct ml_arrays *a); /* NULL is fine */

#endif
