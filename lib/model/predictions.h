/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Predictions: one row a thing that was scored, with what was true and what the model said, read from a table into
 * columns. */
#ifndef ML_MODEL_PREDICTIONS_H
#define ML_MODEL_PREDICTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/column.h"
#include "data/feature.h"
#include "data/rowjoin.h"
#include "data/table.h"
#include "model/columns.h"

/* What is said of scores_unused, which it takes twice. */
#define ML_SCORES_UNUSED "the columns '%.80s<class>' aren't used: if they are scores, say --scores %.80s"

#define ML_SET_END '\x1f'

/* A column whose values divide the rows into groups. */
struct ml_division {
    struct ml_intern names;
    uint32_t *of; /* one a row; NULL where the file has no such column */
    size_t cap;
};

/* A column that slices may be made of. */
struct ml_described {
    char *name;
    bool searched; /* it has no other part, so that slices may be found in it */
    struct ml_feature f;
};

/* How the values of a column become slices. */
enum ml_cut_kind {
    ML_CUT_AUTO,      /* quartiles of a column of many numbers, else each value */
    ML_CUT_EACH,      /* each value */
    ML_CUT_QUANTILES, /* as many rows in each as equal values allow */
    ML_CUT_EDGES,     /* below the first, from each on, from the last on */
};

/* One column of a slicing. */
struct ml_cut {
    size_t feature; /* in struct ml_predictions */
    enum ml_cut_kind kind;
    size_t quantiles;
    double *edges; /* ascending; owned */
    size_t n_edges;
};

/* The combinations of its columns' values; n is 0 where the file lacks one of them. */
struct ml_slicing {
    struct ml_cut *cuts;
    size_t n;
};

/* Where in the text of all ids that of a row is. */
struct ml_id_mark {
    size_t row, at;
};

/* Lines on which the rows stand: a run starts where a row isn't on the line behind the one before it. */
struct ml_line_run {
    size_t row;
    uint64_t line;
};

/* Starts zeroed. */
struct ml_predictions {
    char *name;           /* as messages call the file */
    struct ml_strs files; /* of several files their names */
    bool files_alike;     /* there are several, without ids, and of the same labels in the same order */
    size_t n;
    struct ml_digest digest; /* of the file's bytes, where the table has it */
    uint64_t size;
    struct ml_digest data, ids; /* identity of the rows, with and without labels */
    bool has_id;                /* ids are the file's; else row numbers from 1 */
    bool unchecked;             /* ml_predictions_check_ids is still to be called */
    struct ml_line_run *runs;
    size_t runs_n, runs_cap;
    struct ml_rowkeys keys;      /* of the ids, where they are not in ascending order or are going to be looked for */
    char *id_text;               /* ids one behind the other, with a NUL each; NULL unless kept */
    struct ml_id_mark *id_marks; /* some rows of the file, the first among them, ascending */
    size_t id_used, id_cap, id_marks_n, id_marks_cap;
    uint32_t *id_row;                   /* where rows were picked: each one's row in the file; NULL: the same */
    struct ml_column label, prediction; /* prediction.n is 0 without one */
    bool sets; /* they are sets of labels, as texts: the names in byte order, once each, with an ML_SET_END each */
    struct ml_strs label_names, prediction_names; /* --labels, --predictions: the classes, in the columns' order */
    double *score;                                /* n x score_columns, row by row; NULL without scores */
    size_t score_columns, score_cap;
    struct ml_strs score_names; /* --scores: the classes, in the columns' order */
    bool scores_by_number;      /* which columns was said by their numbers */
    char *scores_begin;  /* else with what their names begin, before the class ("p", "p." of an object); or NULL */
    bool score_asked;    /* --score was given */
    char *scores_unused; /* no scores were read, but --scores with this would find one for each class; or NULL */
    double *weight;      /* NULL without */
    size_t weight_cap;
    struct ml_division group;
    struct ml_described *features; /* the columns of all slicings, once each */
    size_t n_features;
    struct ml_slicing *slicings; /* as in struct ml_columns */
    size_t n_slicings;
};

/* What ml_predictions_read may be asked beside the columns. */
enum ml_predictions_flag {
    ML_PREDICTIONS_IDS = 1,       /* keep the ids' text */
    ML_PREDICTIONS_KEYS = 2,      /* and their keys, for another file's ids are going to be looked for among them */
    ML_PREDICTIONS_LENIENT = 4,   /* the current model's file: weights, groups and slices may be missing, for they
                                      are the other file's, and scores where there are predictions */
    ML_PREDICTIONS_UNCHECKED = 8, /* with IDS: whether an id stands twice is going to be asked later */
};

/* Reads the whole table. ML_LOCAL, with file, line and column: a column that was named isn't there, no label, neither
 * prediction nor score, no rows, an empty id or label, a duplicate id, a number that is missing or infinite, a negative
 * weight. Memory: 4 to 8 bytes a row for each column that is used, 16 for keys, and the ids' text when kept. */
int ml_predictions_read(
    struct ml_predictions *p, struct ml_table *t, const struct ml_columns *c, unsigned flags, struct ml_err *err);
void ml_predictions_release(struct ml_predictions *p);

/* ML_LOCAL: an id of p stands twice, as ml_predictions_read has it; asked once, of what was read with
 * ML_PREDICTIONS_UNCHECKED. Where `other` (or NULL) has the same ids and they have been looked at, none does. */
int ml_predictions_check_ids(struct ml_predictions *p, const struct ml_predictions *other, struct ml_err *err);

/* The name of the file in which a column's `line` is. */
const char *ml_predictions_file(const struct ml_predictions *p, uint64_t line);

/* Keeps rows[0..n-1], in that order (digests stay those of the whole file); !ids: without their ids. */
void ml_predictions_take(struct ml_predictions *p, const uint32_t *rows, size_t n, bool ids);

/* Where the keys of all ids come from, when these were kept. It borrows from p. */
struct ml_keysource ml_predictions_keys(const struct ml_predictions *p);

/* Gives back the keys of ids that are not going to be looked for; `texts`: nor asked for. */
void ml_predictions_drop_ids(struct ml_predictions *p, bool texts);

/* The id of a row: borrowed, or written to `buf` when ids are row numbers. "" when they weren't kept. */
const char *ml_predictions_id(const struct ml_predictions *p, size_t row, char buf[24]);

#endif
