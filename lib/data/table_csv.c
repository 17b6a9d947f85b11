/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of CSV and TSV (RFC 4180). */
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "data/table_impl.h"

#define WINDOW 64

enum { ROW_MORE = 2 }; /* the buffer ends inside the row */

static struct ml_cell *add_cell(struct ml_table *t, size_t n)
{
    if (n >= t->cells_cap || n >= t->escaped_cap) {
        t->cells = ml_grow(t->cells, &t->cells_cap, n + 1, sizeof *t->cells);
        t->escaped = ml_grow(t->escaped, &t->escaped_cap, n + 1, sizeof *t->escaped);
    }
    t->escaped[n] = false;
    return &t->cells[n];
}

/* A quoted field whose opening quote is at `p`: `*next` is what follows the closing one. Line feeds in it are counted.
 */
static int quoted_field(
    struct ml_table *t, const char *p, size_t n, const char **next, uint64_t *lines, struct ml_err *err)
{
    const char *end = t->buf + t->end, *s = p + 1;
    struct ml_cell *c = add_cell(t, n);
    for (;;) {
        const char *q = memchr(s, '"', (size_t)(end - s));
        for (const char *f = s, *to = q != NULL ? q : end; (f = memchr(f, '\n', (size_t)(to - f))) != NULL; f++)
            ++*lines;
        if (q == NULL || (q + 1 == end && !t->eof))
            break;
        if (q + 1 < end && q[1] == '"') {
            t->escaped[n] = true;
            s = q + 2;
            continue;
        }
        *c = (struct ml_cell){ p + 1, (size_t)(q - p - 1) };
        q++;
        if (q + 1 < end && q[0] == '\r' && q[1] == '\n')
            q++;
        if (q + 1 == end && q[0] == '\r')
            return t->eof ? (*next = end, 0) : ROW_MORE;
        if (q < end && *q != t->delim && *q != '\n')
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu, field %zu: text behind the closing quote", t->name,
                (unsigned long long)(t->next_line + *lines), n + 1);
        *next = q;
        return 0;
    }
    if (!t->eof)
        return ROW_MORE;
    return ml_err_set(err, ML_LOCAL, "'%s': line %llu, field %zu: the quote isn't closed", t->name,
        (unsigned long long)t->next_line, n + 1);
}

/* Finds the fields of the row at t->pos without touching them, because the row may turn out to be incomplete. `*after`
 * is the next row's start. */
static int scan_row(struct ml_table *t, size_t *count, size_t *after, uint64_t *lines, struct ml_err *err)
{
    const char *p = t->buf + t->pos, *end = t->buf + t->end;
    size_t n = 0;
    for (;;) {
        const char *q = p;
        if (*p == '"' && p < end) {
            int rc = quoted_field(t, p, n, &q, lines, err);
            if (rc != 0)
                return rc;
        } else {
            while (!t->stop[(unsigned char)*q])
                q++;
            struct ml_cell *c = add_cell(t, n);
            *c = (struct ml_cell){ p, (size_t)(q - p) };
            if (*q == '\n' && c->len > 0 && q[-1] == '\r')
                c->len--;
        }
        n++;
        if (q < end && *q == t->delim) {
            p = q + 1;
            continue;
        }
        if (q == end && !t->eof)
            return ROW_MORE;
        *count = n;
        *after = (size_t)(q - t->buf) + (q < end);
        ++*lines;
        return 0;
    }
}

static void unescape(struct ml_table *t, struct ml_cell *c)
{
    char *base = t->buf + (c->s - t->buf), *to = base;
    const char *from = base, *end = base + c->len;
    while (from < end) {
        const char *q = memchr(from, '"', (size_t)(end - from));
        size_t run = (size_t)((q != NULL ? q + 1 : end) - from);
        memmove(to, from, run);
        to += run;
        from += run + (q != NULL);
    }
    c->len = (size_t)(to - base);
}

/* A bit for each delimiter and line feed in WINDOW bytes. */
static inline uint64_t find_stops(const char *p, char delim)
{
    uint64_t bits = 0;
#ifdef __SSE2__
    const __m128i a = _mm_set1_epi8(delim), b = _mm_set1_epi8('\n');
    for (int i = 0; i < WINDOW; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(x, a), _mm_cmpeq_epi8(x, b));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(stop) << i;
    }
#else
    for (int i = 0; i < WINDOW; i++)
        bits |= (uint64_t)(p[i] == delim || p[i] == '\n') << i;
#endif
    return bits;
}

/* The next delimiter or line feed of an unquoted block; its end counts as a line feed. */
static inline const char *next_stop(struct ml_table *t)
{
    const char *end = t->buf + t->end;
    while (t->stops == 0) {
        t->window = t->window == NULL ? t->buf + t->pos : t->window + WINDOW;
        if (end - t->window >= WINDOW) {
            t->stops = find_stops(t->window, t->delim);
            continue;
        }
        t->stops = (uint64_t)1 << (end - t->window);
        for (const char *p = t->window; p < end; p++)
            t->stops |= (uint64_t)(*p == t->delim || *p == '\n') << (p - t->window);
    }
    const char *stop = t->window + __builtin_ctzll(t->stops);
    t->stops &= t->stops - 1;
    return stop;
}

/* The next row of an unquoted block. */
static int unquoted_row(struct ml_table *t, size_t *count, struct ml_err *err)
{
    const char *p = t->buf + t->pos, *end = t->buf + t->end, *row = p, *stop;
    size_t n = 0;
    while (n > 0 || p < end) {
        stop = next_stop(t);
        if (n >= t->cells_cap)
            add_cell(t, n);
        t->cells[n++] = (struct ml_cell){ p, (size_t)(stop - p) };
        p = stop + 1;
        if (stop < end && *stop != '\n')
            continue;
        struct ml_cell *last = &t->cells[n - 1];
        if (last->len > 0 && stop[-1] == '\r')
            last->len--;
        t->line = t->next_line++;
        if (n > 1 || last->len > 0) {
            p = p < end ? p : end;
            t->pos = (size_t)(p - t->buf);
            *count = n;
            return t->plain ? 0 : ml_table_check_text(t, row, (size_t)(p - row), err);
        }
        n = 0; /* a blank line */
        row = p;
    }
    t->pos = t->end;
    return 1;
}

int ml_csv_row(struct ml_table *t, size_t *n, struct ml_err *err)
{
    if (t->unquoted)
        return unquoted_row(t, n, err);
    for (;;) {
        size_t after = 0;
        uint64_t lines = 0;
        if (t->pos == t->end) {
            if (t->eof)
                return 1;
            if (ml_table_fill(t, err) < 0)
                return -1;
            continue;
        }
        int rc = scan_row(t, n, &after, &lines, err);
        if (rc == ROW_MORE) {
            if (ml_table_fill(t, err) < 0)
                return -1;
            continue;
        }
        if (rc < 0)
            return -1;
        const char *row = t->buf + t->pos;
        t->line = t->next_line;
        t->next_line += lines;
        t->pos = after;
        if (*n == 1 && t->cells[0].len == 0 && *row != '"')
            continue; /* a blank line */
        if (ml_table_check_text(t, row, (size_t)(t->buf + after - row), err) < 0)
            return -1;
        for (size_t i = 0; i < *n; i++)
            if (t->escaped[i])
                unescape(t, &t->cells[i]);
        return 0;
    }
}
