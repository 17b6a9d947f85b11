/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays as numpy saves them (numpy.lib.format, versions 1.0 to 3.0): what the header says, and values as text. */
#ifndef ML_DATA_NPY_H
#define ML_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define ML_NPY_START      ((size_t)12)      /* bytes that tell how long the header is */
#define ML_NPY_HEADER_MAX ((size_t)4 << 20) /* bytes of a header */

/* A field of a record: a number, a truth value or a text. */
struct ml_npy_field {
    char *name;    /* "" where the array isn't structured; a field of a field is "a.b", of a vector "a0", "a1", ... */
    char kind;     /* b, i, u, f: as in a dtype; S: bytes; U: UCS-4 */
    bool swap;     /* big-endian */
    size_t size;   /* bytes */
    size_t offset; /* in its record */
};

/* Starts zeroed. */
struct ml_npy {
    struct ml_npy_field *fields;
    size_t n, cap;
    size_t record;   /* bytes of an element */
    uint64_t rows;   /* 1 for an array without dimensions */
    size_t columns;  /* elements a row */
    bool vector;     /* it has no second dimension, or one of 1 */
    bool by_columns; /* Fortran's order, where that makes a difference: a column's values lie together */
};

void ml_npy_release(struct ml_npy *a);

/* How long the file's start and header are together, from its first ML_NPY_START bytes (or all there are, from 10 on):
 * 0 when that is no such file. */
size_t ml_npy_header_size(const void *p, size_t n);

/* Reads start and header. ML_LOCAL, in words that go behind the name of the array: a header that can't be read; more
 * than two dimensions; Python objects, complex numbers, dates and others that aren't numbers or texts. */
int ml_npy_parse(const char *p, size_t n, struct ml_npy *out, struct ml_err *err);

/* Appends the value at p as a field of CSV: numbers so that they are read back the same, texts in UTF-8 (what is none
 * stays none), in quotes where CSV needs them. */
void ml_npy_put(const struct ml_npy_field *f, const char *p, struct ml_buf *out);

/* The same without quotes. */
void ml_npy_put_raw(const struct ml_npy_field *f, const char *p, struct ml_buf *out);

/* Appends a text as a field of CSV. */
void ml_npy_put_text(const char *s, size_t len, struct ml_buf *out);

#endif
