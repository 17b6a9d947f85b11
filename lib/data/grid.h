/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text tables for people: columns lined up, the first to the left and the others to the right, unless told otherwise.
 */
#ifndef ML_DATA_GRID_H
#define ML_DATA_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define ML_GRID_COLUMNS 12

/* Starts zeroed. */
struct ml_grid {
    struct ml_strs cells; /* row by row */
    size_t columns;       /* set before the first row; at most ML_GRID_COLUMNS */
    unsigned left;        /* mask of further columns that are lined up to the left */
};

/* Adds a row; every column's text is copied. */
void ml_grid_add(struct ml_grid *g, const char *const cells[]);

/* The row as a line without line feed or blanks at its end; false behind the last one. Width counts characters, not
 * bytes. */
bool ml_grid_line(const struct ml_grid *g, size_t row, struct ml_buf *out);

void ml_grid_release(struct ml_grid *g);

#endif
