/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Classes while subject.c collects them from the columns; nobody else includes this. */
#ifndef ML_MODEL_SUBJECT_CLASSES_H
#define ML_MODEL_SUBJECT_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "data/column.h"

/* Numbers in order, or texts in byte order, each once. Starts zeroed; texts that were added by name or from a column
 * are borrowed. */
struct classes {
    bool text;
    bool number_labels;     /* labels are numbers: a text that is one too is written as they are, 1.0 as 1 */
    struct ml_strs written; /* such texts */
    double *number;
    const char **name;
    size_t n, cap;
};

/* After the classes_add_ of a number, a name or a text the classes want sorting; a text that is a number is added as
 * the labels write it (number_labels). */
void classes_add_number(struct classes *k, double x);
void classes_add_name(struct classes *k, const char *s);
void classes_add_text(struct classes *k, const char *s);
void classes_add_column(struct classes *k, const struct ml_column *c); /* sorts them, too */
void classes_sort(struct classes *k);

/* The class that a number is or that a text names, or -1. */
int32_t classes_find_number(const struct classes *k, double x);
int32_t classes_find(const struct classes *k, const char *s);

/* Each row's class, owned; "take" writes them over the column's codes, where it has them, and leaves it without. */
int32_t *classes_map(const struct classes *k, const struct ml_column *c);
int32_t *classes_take(const struct classes *k, struct ml_column *c);

/* A class in words: borrowed, or in `buf`. */
const char *classes_name(const struct classes *k, size_t i, char buf[32]);

/* The positive class where nobody says which (1 of 0 and 1 or of -1 and 1, true of false and true); NULL when there is
 * none. */
const char *classes_positive(const struct classes *k);

void classes_release(struct classes *k);

#endif
