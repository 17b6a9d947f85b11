/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables: CSV (RFC 4180), TSV and JSON Lines, also as gzip or zstd made them smaller, read row by row in bounded
 * memory; which of them a file is, its content says. */
#ifndef ML_DATA_TABLE_H
#define ML_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#define ML_TABLE_ROW_MAX     ((size_t)16 << 20) /* bytes of one row */
#define ML_TABLE_COLUMNS_MAX ((size_t)16384)

/* One value of a row: text after unquoting, untrimmed, not NUL-terminated. `s` is NULL where a JSON object lacks the
 * key or has null. */
struct ml_cell {
    const char *s;
    size_t len;
};

struct ml_table; /* an open table */

enum ml_table_flag {
    ML_TABLE_NO_HEADER = 1, /* CSV: the first line is a row; the columns are called 1, 2, ... */
    ML_TABLE_NO_DIGEST = 2, /* nobody is going to ask for it */
};

/* Opens a file ("-": standard input) and reads its header. A first character '{' means JSON Lines, one object a line:
 * the keys of the first object are the columns, nested objects are flattened to "a.b", arrays stay JSON text, and
 * Python's NaN and Infinity pass as text. Anything else is CSV: the delimiter is the one of tab, comma and semicolon
 * that the header holds most of; quotes as in RFC 4180 (a quote inside an unquoted field is text), LF or CRLF, a UTF-8
 * byte order mark and blank lines are skipped. ML_LOCAL with line and column: nothing in the file, duplicate column
 * names, invalid UTF-8, a NUL. */
int ml_table_open(const char *path, unsigned flags, struct ml_table **out, struct ml_err *err);

/* Several files as one table, opened one after the other: each may be of another format, all have the same columns, in
 * any order (JSON Lines: keys that the first file's first object lacks aren't seen). A directory is the files in it, in
 * the byte order of their names, but for those that begin with '.' or '_'; ml_table_open takes one, too. */
int ml_table_open_files(char *const *paths, size_t n, unsigned flags, struct ml_table **out, struct ml_err *err);

/* The same from bytes, which have to outlive the table; `name` is how messages call them. */
int ml_table_open_bytes(
    const void *p, size_t n, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err);

/* The same from an open file, which is closed with the table (also when this fails). */
int ml_table_open_fd(int fd, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err);

/* The same from a pipe of which n bytes have been read already; they are copied. */
int ml_table_open_ahead(
    int fd, const void *ahead, size_t n, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err);

void ml_table_close(struct ml_table *t); /* NULL is fine */

/* Whether the table can be read a second time (a file or bytes, not a pipe); and a second table of the same, which
 * fails as opening does. Reading fails (ML_LOCAL), in the first table, too, where a file is another than it was or was
 * written to since it was opened. */
bool ml_table_reopens(const struct ml_table *t);
int ml_table_reopen(const struct ml_table *t, struct ml_table **out, struct ml_err *err);

const char *ml_table_name(const struct ml_table *t); /* of the file, or "a.csv and 2 more" */
char ml_table_delimiter(const struct ml_table *t);   /* of the file that is being read; NUL: JSON Lines */
const struct ml_strs *ml_table_columns(const struct ml_table *t);
int ml_table_column(const struct ml_table *t, const char *name); /* its index, or -1 */
int ml_table_pick(const struct ml_table *t, const char *name); /* the same; where no column is called so, by its number
                                                                  from 1 */
/* JSON Lines: of a column that holds a list of numbers in the first row, columns NAME0, NAME1, ... are made, one a
 * number, before any row is read; every row has to have as many. 0, -1, or 1: there is no such column, it holds no list
 * that begins with a number, or three are spread already. */
int ml_table_spread(struct ml_table *t, const char *name, struct ml_err *err);
/* Whether that is so of column i, but for what else the list may hold behind its first number. */
bool ml_table_spreads(const struct ml_table *t, size_t i);

/* JSON Lines: from now on a key that begins so and isn't a column is ML_LOCAL, not passed over. */
void ml_table_close_prefix(struct ml_table *t, const char *prefix);

/* Why something of this name is in the file and is no column, or NULL. */
const char *ml_table_left_out(const struct ml_table *t, const char *name);

/* The next row: 0 and one cell a column, valid until the next call; 1 at the end; -1. A row with more or fewer fields
 * than the header, an unclosed quote or text behind a closing one, and what isn't a JSON object are ML_LOCAL, naming
 * line and column. */
int ml_table_next(struct ml_table *t, const struct ml_cell **cells, struct ml_err *err);

/* Reading in parallel: a child has the table's columns and format, and the rows of one block at a time. ml_table_cut
 * fills it with the next block, about 1 MiB of whole rows: 0, 1 at the end, -1. Children read (ml_table_next) at the
 * same time in different threads; cells stay as long as their block. `count`: *rows is the number of rows in the block.
 */
struct ml_table *ml_table_child(const struct ml_table *t);
int ml_table_cut(struct ml_table *t, struct ml_table *child, bool count, size_t *rows, struct ml_err *err);

/* About how many rows there are in all, going by the blocks that were cut so far; 0: not known. */
size_t ml_table_expect(const struct ml_table *t);

/* Back to the first row of a child's block. False where cells had to be unescaped in place (JSON, quoted fields): then
 * rows can be read once only. */
bool ml_table_again(struct ml_table *child);

/* Where the row last read starts: its line, from 1, and from bit ML_TABLE_LINE_BITS on the number of its file, from 0.
 * A message gives ml_table_file and ml_table_line_in of it. */
#define ML_TABLE_LINE_BITS 40
uint64_t ml_table_line(const struct ml_table *t);
const char *ml_table_file(const struct ml_table *t, uint64_t line);
size_t ml_table_files(const struct ml_table *t); /* how many there are */
unsigned long long ml_table_line_in(uint64_t line);

/* After the end was reached: digest ("" with ML_TABLE_NO_DIGEST) and size of the file's bytes as they are stored; of
 * several files the digest of the list of their digests ("sha256:<hex>" and a line feed each, in their order) and the
 * sum of their sizes. */
void ml_table_digest(const struct ml_table *t, struct ml_digest *digest, uint64_t *size);

#endif
