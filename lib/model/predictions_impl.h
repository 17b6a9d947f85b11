/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind predictions.h share. */
#ifndef ML_MODEL_PREDICTIONS_IMPL_H
#define ML_MODEL_PREDICTIONS_IMPL_H

#include "model/predictions.h"

/* Where a set of labels stands: in one column, or in one of 0 and 1 for each class. */
struct set_columns {
    int column, *columns;
    size_t n; /* 0: in one */
    const struct ml_strs *names;
};

/* One row's set while it is read. */
struct label_set {
    struct ml_buf names, item; /* as they came, with a NUL each */
    size_t *at, n, cap;
    struct ml_buf text; /* sorted, once each, with an ML_SET_END each */
};

/* Which column of the table is what; -1: none. */
struct roles {
    bool sets; /* labels and predictions are sets */
    const char *separators;
    struct set_columns label_set, prediction_set;
    int id, label, prediction, score, weight, group;
    int *scores;
    size_t n_scores;
    int *features; /* column of each */
};

/* Records of the last few rows, which are hashed together: what has just been written to memory in pieces can be read
 * as words only when all of it has arrived there. */
#define RECORDS       32
#define RECORDS_BYTES ((size_t)16 << 10) /* and no more where there are this many bytes */

struct records {
    struct ml_rowsum sum; /* without those that wait */
    char *bytes;
    size_t used, cap;
    size_t end[RECORDS], n;
};

/* The sum of all records. */
const struct ml_rowsum *ml_records_sum(struct records *r);

/* Rows that are being read: those of a whole file, or of a part of it that is read apart. */
struct reading {
    struct ml_predictions *p;
    struct ml_table *t;
    const struct roles *r;
    bool keep_ids, keep_keys, lenient, unchecked;
    size_t before; /* rows of the file in front of these */
    struct ml_rowsum ids;
    struct records by_text, by_number;
    struct ml_hash128 *key; /* a part's, of each id */
    size_t key_cap;
    struct ml_keychunk *keys; /* the same, dealt */
    struct ml_cell row_id;    /* of the row at hand */
    char row_number[24];      /* where that is its number */
    struct ml_buf scratch;    /* what stands behind the label in its record */
    struct label_set set;
    struct ml_err *err;
    uint64_t line;      /* of the row at hand */
    uint64_t next_line; /* where a row goes on with the last run of lines */
    /* What labels are, only the last row tells. As long as all are numbers, rows are summed in that form, and in the
     * form of texts only when `want_text`; `untexted` rows were not. */
    bool want_text, only_text;
    size_t untexted;
    /* Ids that come in ascending order (ml_shortlex) cannot stand twice. */
    bool unordered;
    struct ml_cell first_id, last_id; /* a part's lie in its block, the whole's last one in `id` */
    struct ml_buf id;
    /* a part's: what its rows hold, for columns that can't be joined otherwise */
    bool part, label_partial, prediction_partial;
    bool note; /* now, for the rows can be read once only; else when they are needed */
    struct ml_cell *labels, *predictions;
    uint64_t *lines;
    size_t labels_cap, predictions_cap, lines_cap;
};

/* Finds the columns that were asked for, in rd->t. */
int ml_reading_find_columns(struct reading *rd, struct roles *r, const struct ml_columns *c);

/* Their part for slices. ML_USAGE: a cut that can't be made. */
int ml_reading_find_slices(struct reading *rd, struct roles *r, const struct ml_columns *c);
/* No such column, "no column 'x'": names those that are there. Returns -1. */
int ml_reading_no_column(struct reading *rd, const char *what);

/* The columns PREFIX<class>, or "3-7", into an owned array; the classes are added to `names`. */
int ml_reading_find_classes(struct reading *rd, const char *prefix, int **columns, size_t *n, struct ml_strs *names);
/* What the names of as many columns as there are classes among the labels begin with, one PREFIX<class> each; owned, or
 * NULL. */
char *ml_reading_scores_prefix(const struct reading *rd);
/* Their part where labels are sets (predictions_sets.c), behind the part that finds `label` and `prediction`. */
int ml_reading_find_sets(struct reading *rd, struct roles *r, const struct ml_columns *c);
/* The set of a row in one form; *out lies in rd->set. -1: a cell holds no set. */
int ml_reading_set(struct reading *rd, const struct ml_cell *cells, const struct set_columns *c, struct ml_cell *out);
void ml_label_set_release(struct label_set *set);

/* Adds the row that ml_table_next gave. */
int ml_reading_row(struct reading *rd, const struct ml_cell *cells);

/* Reads all rows of a part's block. */
int ml_reading_block(struct reading *part);
/* Notes all rows of a part that did not do so while it read them. */
void ml_reading_note_rows(struct reading *part);

/* Appends what a part has read: 0, -1, or 1 when the rows in front of it have to be read again: labels of this part
 * turn the column into one of texts, as which those weren't summed (want_text), or ids no longer ascend and there are
 * no keys to tell which one stands twice (keep_keys). */
int ml_reading_append(struct reading *rd, struct reading *part);

/* There will be about that many rows. */
void ml_reading_reserve(struct reading *rd, size_t rows);

static inline void ml_reading_note_line(struct reading *rd, size_t row, uint64_t line)
{
    struct ml_predictions *p = rd->p;
    if (p->runs_n == 0 || line != rd->next_line) {
        p->runs = ml_grow(p->runs, &p->runs_cap, p->runs_n + 1, sizeof *p->runs);
        p->runs[p->runs_n++] = (struct ml_line_run){ row, line };
    }
    rd->next_line = line + 1;
}

/* Looks for an id that stands twice, of which *second is the first row that is another's; and the message of it.
 * Returns -1. */
bool ml_predictions_twice(struct ml_predictions *p, size_t *first, size_t *second);
int ml_predictions_say_twice(
    const struct ml_predictions *p, size_t first, size_t second, const char *id, struct ml_err *err);

/* Whether all of several files have as many rows, and the same labels in the same order: then they are rather several
 * models' answers than parts of one's. Fewer than ten rows may well be alike by chance, and labels whose order follows
 * a simple rule are so of themselves. */
bool ml_predictions_alike(const struct ml_predictions *p);

void ml_reading_init(struct reading *rd);
/* Empties a part for the next block, keeping memory. */
void ml_reading_reset(struct reading *part);
void ml_reading_release(struct reading *rd);

/* rd->err names the line and the column. Returns -1. */
int ml_reading_bad_cell(struct reading *rd, uint64_t line, int column, const char *why);
/* The same of what can't stand in a column of classes. */
int ml_reading_not_a_class(struct reading *rd, uint64_t line, int column, struct ml_cell cell);

#endif
