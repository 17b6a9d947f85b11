/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory and growing buffers. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *checked(void *p)
{
    if (!p) {
        fputs("mlci: out of memory\n", stderr);
        exit(ML_LOCAL);
    }
    return p;
}

void *ml_malloc(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *ml_malloc_huge(size_t n)
{
    size_t large = (size_t)2 << 20, whole = (n + large - 1) / large * large;
    void *p;

    if (n < large || whole < n)
        return ml_malloc(n);
    p = checked(aligned_alloc(large, whole));
    madvise(p, whole, MADV_HUGEPAGE); /* where it can't be had it is slower, and no more */
    return p;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void ml_populate(void *p, size_t n)
{
    const size_t page = 4096, few = 16;
    uintptr_t from = ((uintptr_t)p + page - 1) / page * page, end = ((uintptr_t)p + n) / page * page;

    if (end > from && end - from >= few * page)
        madvise((void *)from, end - from, MADV_POPULATE_WRITE);
}

void *ml_calloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *ml_realloc(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1));
}

char *ml_strndup(const char *s, size_t n)
{
    char *p = ml_malloc(n + 1);

    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *ml_strdup(const char *s)
{
    return ml_strndup(s, strlen(s));
}

void ml_wipe(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

char *ml_format(const char *fmt, ...)
{
    struct ml_buf b = ML_BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    ml_buf_vaddf(&b, fmt, ap);
    va_end(ap);
    return ml_buf_detach(&b);
}

void *ml_grow(void *p, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap;

    if (need <= n)
        return p;
    n += n / 2 + 8;
    if (n < need)
        n = need;
    if (n > SIZE_MAX / size)
        checked(NULL);
    *cap = n;
    return ml_realloc(p, n * size);
}

void *ml_reserve(void *p, size_t *cap, size_t need, size_t size)
{
    void *to = need <= *cap || need > SIZE_MAX / size ? NULL : realloc(p, need * size);

    if (!to)
        return p;
    *cap = need;
    return to;
}

void ml_buf_init(struct ml_buf *b, size_t max)
{
    *b = (struct ml_buf){ .max = max };
}

void ml_buf_release(struct ml_buf *b)
{
    size_t max = b->max;

    free(b->data);
    ml_buf_init(b, max);
}

void ml_buf_wipe(struct ml_buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    ml_buf_release(b);
}

void ml_buf_reset(struct ml_buf *b)
{
    b->len = 0;
    b->full = false;
    if (b->data)
        b->data[0] = '\0';
}

void ml_buf_add(struct ml_buf *b, const void *p, size_t n)
{
    if (b->full || n > b->max - b->len) {
        b->full = true;
        return;
    }
    b->data = ml_grow(b->data, &b->cap, b->len + n + 1, 1);
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void ml_buf_adds(struct ml_buf *b, const char *s)
{
    ml_buf_add(b, s, strlen(s));
}

void ml_buf_addc(struct ml_buf *b, char c)
{
    ml_buf_add(b, &c, 1);
}

void ml_buf_vaddf(struct ml_buf *b, const char *fmt, va_list ap)
{
    char small[512];
    va_list again;
    char *big;
    int n;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        ml_buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        big = ml_malloc((size_t)n + 1);
        vsnprintf(big, (size_t)n + 1, fmt, again);
        ml_buf_add(b, big, (size_t)n);
        free(big);
    }
    va_end(again);
}

void ml_buf_addf(struct ml_buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    ml_buf_vaddf(b, fmt, ap);
    va_end(ap);
}

int ml_buf_sink(void *buf, const void *p, size_t n, struct ml_err *err)
{
    struct ml_buf *b = buf;

    ml_buf_add(b, p, n);
    return b->full ? ml_err_set(err, ML_LOCAL, "over %zu bytes long", b->max) : 0;
}

const char *ml_buf_str(const struct ml_buf *b)
{
    return b->data ? b->data : "";
}

char *ml_buf_detach(struct ml_buf *b)
{
    char *p = b->data ? b->data : ml_strdup("");

    b->data = NULL;
    b->len = b->cap = 0;
    b->full = false;
    return p;
}

void ml_strs_add(struct ml_strs *l, const char *s)
{
    l->v = ml_grow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = ml_strdup(s);
}

bool ml_strs_has(const struct ml_strs *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->v[i], s))
            return true;
    return false;
}

void ml_strs_release(struct ml_strs *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct ml_strs){ 0 };
}

#define ARENA_FIRST ((size_t)2 << 10)
#define ARENA_BLOCK ((size_t)1 << 20)
#define ARENA_ALIGN 8 /* pointers and 64-bit numbers */

struct ml_arena_block {
    struct ml_arena_block *before;
    size_t used, size;
    _Alignas(ARENA_ALIGN) char bytes[];
};

/* Blocks grow to 1 MiB. Large ones go back to the system when they are released, wherever the heap ends by then. */
static struct ml_arena_block *block_new(struct ml_arena_block *before, size_t n)
{
    size_t size = before ? 2 * (before->size + sizeof *before) : ARENA_FIRST;
    struct ml_arena_block *b;

    if (size > ARENA_BLOCK)
        size = ARENA_BLOCK;
    if (size < n + sizeof *b)
        size = n + sizeof *b;
    b = size < ARENA_BLOCK ? ml_malloc(size)
                           : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        b = checked(NULL);
    *b = (struct ml_arena_block){ .before = before, .size = size - sizeof *b };
    return b;
}

static void *take(struct ml_arena *a, size_t n, size_t align)
{
    struct ml_arena_block *b = a->last;
    size_t at = b ? (b->used + align - 1) / align * align : 0;

    if (!b || at > b->size || b->size - at < n) {
        b = a->last = block_new(b, n);
        at = 0;
    }
    b->used = at + n;
    return b->bytes + at;
}

void *ml_arena_alloc(struct ml_arena *a, size_t n)
{
    return take(a, n, ARENA_ALIGN);
}

char *ml_arena_strdup(struct ml_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(take(a, n, 1), s, n);
}

void ml_arena_release(struct ml_arena *a)
{
    while (a->last) {
        struct ml_arena_block *b = a->last;
        size_t size = b->size + sizeof *b;

        a->last = b->before;
        if (size < ARENA_BLOCK)
            free(b);
        else
            munmap(b, size);
    }
}
