/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory: allocation that doesn't fail (out of memory ends the program with 3), and growing buffers with a maximum. */
#ifndef ML_BASE_MEM_H
#define ML_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

void *ml_malloc(size_t n);
/* The same for what is gone through in no order: in large pages, where the system has them. */
void *ml_malloc_huge(size_t n);

/* Has the system give the pages of n bytes that are about to be written, all at once and not each when it is met. It
 * changes nothing else, and does nothing where it can't be had. */
void ml_populate(void *p, size_t n);
void *ml_calloc(size_t count, size_t size); /* zeroed; count * size is checked */
void *ml_realloc(void *p, size_t n);
char *ml_strdup(const char *s);
char *ml_strndup(const char *s, size_t n); /* n bytes and a NUL */
void ml_wipe(char *s);                     /* free of a secret: it is overwritten; NULL is fine */
char *ml_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for `need` elements of `size` bytes: `*cap` grows by half. Returns the (moved) array. */
void *ml_grow(void *p, size_t *cap, size_t need, size_t size);

/* The same for what most likely is going to be needed, so that the array needn't be moved on the way: pages that
 * nothing is written to cost nothing. What isn't to be had is left to ml_grow. */
void *ml_reserve(void *p, size_t *cap, size_t need, size_t size);

/* A byte buffer. `data` is NUL-terminated behind `len` once anything was added (NULL before). Adding beyond `max` sets
 * `full` and drops the rest, so that a loop of additions needs one check at its end. */
struct ml_buf {
    char *data;
    size_t len, cap, max;
    bool full;
};

#define ML_BUF_MAX ((size_t)1 << 30)
#define ML_BUF_INIT                                                                                                    \
    {                                                                                                                  \
        .max = ML_BUF_MAX                                                                                              \
    }

void ml_buf_init(struct ml_buf *b, size_t max);
void ml_buf_release(struct ml_buf *b);
void ml_buf_wipe(struct ml_buf *b);  /* release of what held a secret: it is overwritten */
void ml_buf_reset(struct ml_buf *b); /* len = 0, keeps the memory */
void ml_buf_add(struct ml_buf *b, const void *p, size_t n);
void ml_buf_adds(struct ml_buf *b, const char *s);
void ml_buf_addc(struct ml_buf *b, char c);
void ml_buf_addf(struct ml_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ml_buf_vaddf(struct ml_buf *b, const char *fmt, va_list ap);
/* Adds to a buffer as a ml_sink_fn (stream.h); ML_LOCAL when it is full. */
int ml_buf_sink(void *buf, const void *p, size_t n, struct ml_err *err);
const char *ml_buf_str(const struct ml_buf *b); /* "" when empty; borrowed */
char *ml_buf_detach(struct ml_buf *b);          /* owned, never NULL; the buffer is empty again */

/* Many small things that go together: no overhead a thing. */
struct ml_arena {
    struct ml_arena_block *last;
};

void *ml_arena_alloc(struct ml_arena *a, size_t n); /* aligned to 8 bytes; valid until ml_arena_release */
char *ml_arena_strdup(struct ml_arena *a, const char *s);
void ml_arena_release(struct ml_arena *a);

/* A list of strings. */
struct ml_strs {
    char **v;
    size_t n, cap;
};

void ml_strs_add(struct ml_strs *l, const char *s); /* copies */
bool ml_strs_has(const struct ml_strs *l, const char *s);
void ml_strs_release(struct ml_strs *l);

#endif
