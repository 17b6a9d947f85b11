/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A column of values that may be classes or numbers, which only its last row tells: texts are interned, and a column of
 * many distinct numbers turns into plain doubles on the way. */
#ifndef ML_DATA_COLUMN_H
#define ML_DATA_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/intern.h"
#include "data/table.h"

#define ML_COLUMN_DISTINCT ((size_t)1 << 16) /* distinct numbers beyond which a numeric column is kept as doubles */

/* Starts zeroed. */
struct ml_column {
    size_t n;
    bool text;             /* some value isn't a plain number */
    struct ml_intern dict; /* distinct texts; "True", "FALSE" and so on are "true" and "false" */
    double *value;         /* of each text when it is a plain number, else NaN */
    uint64_t *line;        /* on which it first stood */
    size_t value_cap, line_cap;
    uint32_t *code; /* one a row, index into dict; NULL once dense */
    double *dense;  /* one a row, instead of codes */
    size_t cap;
};

void ml_column_release(struct ml_column *c);

/* A plain number is a decimal number without a leading zero ("007" is a text) and, where it is whole, of at most 15
 * digits (longer ones are ids that a double cannot tell apart). -0 becomes 0. */
bool ml_column_number(const char *s, size_t len, double *out);

/* Whether a text means that a number is missing or infinite: "nan", "inf", "infinity" with any sign, in any case, or
 * digits beyond a double such as "1e400". */
bool ml_column_not_finite(const char *s, size_t len);

/* Whether a text is one of the words that tables have where a value is missing: none at all, "NA", "n/a", "NaN",
 * "null", "none" in any case. */
bool ml_column_missing(const char *s, size_t len);

/* Whether a text would be a number if its one comma were a point. */
bool ml_column_comma(const char *s, size_t len);

/* "true" and "false" for any spelling of them in upper and lower case, else the cell itself. */
struct ml_cell ml_column_canonical_word(struct ml_cell cell);
static inline struct ml_cell ml_column_canonical(struct ml_cell cell)
{
    return cell.len == 4 || cell.len == 5 ? ml_column_canonical_word(cell) : cell;
}

/* Adds a row; `canonical` cells only. Returns -1 when the column holds too many distinct numbers to become one of texts
 * now; then nothing was added. */
int ml_column_add_any(struct ml_column *c, struct ml_cell cell, uint64_t line);
static inline int ml_column_add(struct ml_column *c, struct ml_cell cell, uint64_t line)
{
    uint32_t code;
    if (c->dense != NULL || c->n >= c->cap || !ml_intern_recent(&c->dict, cell.s, cell.len, &code))
        return ml_column_add_any(c, cell, line);
    c->code[c->n++] = code;
    return 0;
}

/* Appends a column of n further rows that was filled apart from this one; `cells` are its rows and `lines` where
 * they stand (looked at where that is needed: not `complete`, or ml_column_mixes). The outcome is that of adding them
 * one by one: -1 with *bad the row that ml_column_add refuses. `complete` false: the part itself refused a row, so that
 * only the cells count. */
int ml_column_append(struct ml_column *c, const struct ml_column *part, bool complete, const struct ml_cell *cells,
    const uint64_t *lines, size_t n, size_t *bad);

/* Whether ml_column_append will look at the cells because texts meet many numbers. */
bool ml_column_mixes(const struct ml_column *c, const struct ml_column *part);

/* The rows that an empty column is going to get are of one that is dense: they are kept as doubles from the first on.
 */
void ml_column_expect_numbers(struct ml_column *c);

/* It most likely gets that many rows in all. */
void ml_column_reserve(struct ml_column *c, size_t rows);

/* Empties it, keeping memory. */
void ml_column_reset(struct ml_column *c);

/* The number in a row of a column that isn't text. */
double ml_column_at(const struct ml_column *c, size_t row);

/* A column of rows[0..n-1], in that order; its texts and what is known of them are c's. */
struct ml_column ml_column_pick(const struct ml_column *c, const uint32_t *rows, size_t n);

/* Keeps rows[0..n-1], in that order. */
void ml_column_take(struct ml_column *c, const uint32_t *rows, size_t n);

#endif
