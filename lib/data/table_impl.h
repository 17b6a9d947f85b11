/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What table.c shares with the parsers of CSV and JSON Lines; beside them only tests include it. */
#ifndef ML_DATA_TABLE_IMPL_H
#define ML_DATA_TABLE_IMPL_H

#include <sys/stat.h>

#include "data/feed.h"
#include "data/table.h"

/* A JSON key whose list is columns, too, and how many. */
struct ml_spread {
    char *name;
    size_t n;
};

#define ML_SPREAD_MAX 3

struct ml_table {
    char *name;           /* of the file that is being read */
    struct ml_feed *feed; /* of that file; NULL: a block that was cut */
    unsigned flags;
    struct ml_strs paths; /* of all files, where they were opened by name */
    size_t file;          /* which of them is being read */
    const struct ml_table *parent;
    struct stat *seen; /* what each was when it was opened, where there are several; zeros: it has not been */
    size_t **maps;     /* of each file that has the columns in another order: which of the first's columns each is */
    const size_t *map;
    struct ml_cell *mapped; /* the row in the first's order */
    char *title;            /* what messages call several files */
    struct ml_hasher *list; /* of several files' digests */
    struct ml_digest digest;
    uint64_t size;

    char *buf; /* cap + 1 bytes: a line feed always stands at buf[end] */
    size_t cap, pos, end;
    size_t block; /* bytes that are cut off at a time */
    bool eof;
    bool plain; /* everything in the buffer is ASCII without NUL */
    uint64_t line, next_line;

    bool json;
    char delim;
    bool stop[256]; /* ends an unquoted run: delimiter, line feed */
    struct ml_strs columns;
    size_t *sorted; /* column indices in byte order of their names */
    struct ml_cell *cells;
    size_t cells_cap;
    bool *escaped; /* cells that still hold doubled quotes */
    size_t escaped_cap;
    struct ml_buf path; /* of the JSON key being read */
    size_t expect;      /* the column that the next JSON key most likely is */
    bool first;         /* the header row of a JSON file has been parsed and is still to be given out */
    struct ml_spread spread[ML_SPREAD_MAX];
    size_t n_spread;
    struct ml_strs closed; /* what keys begin with that aren't columns but would have been in the first row */

    /* a block that ml_table_cut has cut */
    bool unquoted;      /* CSV without a quote in it: where fields end is found 64 bytes at a time */
    const char *window; /* such 64 bytes, or fewer at the end; NULL: none looked at yet */
    uint64_t stops;     /* a bit for each delimiter and line feed among them that is still to come */
    size_t block_pos;   /* where the block starts, and on which line */
    uint64_t block_line;
};

/* A table of a feed, which is closed with it, and what ml_table_start does one after the other: what the file begins
 * with is taken and its format known; the header of CSV is read; its columns can be found by name. */
int ml_table_start(struct ml_feed *feed, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err);
struct ml_table *ml_table_new(struct ml_feed *feed, const char *name, unsigned flags);
int ml_table_read_start(struct ml_table *t, struct ml_err *err);
int ml_table_csv_header(struct ml_table *t, struct ml_err *err);
int ml_table_index_columns(struct ml_table *t, struct ml_err *err);

/* Reads more behind what is there, from `pos` on; grows the buffer when that fills it. ML_LOCAL beyond
 * ML_TABLE_ROW_MAX. */
int ml_table_fill(struct ml_table *t, struct ml_err *err);

/* Bytes p[0..n) of the row on line `line` are valid UTF-8 without NUL. */
int ml_table_check_text(const struct ml_table *t, const char *p, size_t n, struct ml_err *err);

/* The file's bytes have all been taken: goes on with the next one (0), or settles the digest when there is none (1). */
int ml_table_next_file(struct ml_table *t, struct ml_err *err);

/* The child's block is of the file that is being read. */
void ml_table_follow(struct ml_table *child, const struct ml_table *t);

int ml_table_add_column(struct ml_table *t, const char *s, size_t len, struct ml_err *err);
int ml_table_find_column(const struct ml_table *t, const char *s, size_t len); /* needs `sorted` */

/* Give the next row's cells in t->cells: 0, 1 at the end, -1. csv: `*n` is the number of fields. json: `header` adds
 * columns instead of looking them up. */
int ml_csv_row(struct ml_table *t, size_t *n, struct ml_err *err);
int ml_jsonl_row(struct ml_table *t, bool header, struct ml_err *err);

#endif
