/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cutting a table into blocks of whole rows, which threads parse apart from each other. */
#include <stdlib.h>
#include <string.h>

#include "base/processors.h"
#include "data/table_impl.h"

struct ml_table *ml_table_child(const struct ml_table *t)
{
    struct ml_table *c = ml_calloc(1, sizeof *c);

    c->eof = true;
    for (size_t i = 0; i < t->columns.n; i++)
        ml_strs_add(&c->columns, t->columns.v[i]);
    c->sorted = ml_calloc(t->columns.n + 1, sizeof *c->sorted);
    if (t->columns.n)
        memcpy(c->sorted, t->sorted, t->columns.n * sizeof *c->sorted);
    c->cells = ml_grow(NULL, &c->cells_cap, t->columns.n + 1, sizeof *c->cells);
    c->escaped = ml_grow(NULL, &c->escaped_cap, t->columns.n + 1, sizeof *c->escaped);
    for (size_t i = 0; i < t->n_spread; i++)
        c->spread[c->n_spread++] = (struct ml_spread){ ml_strdup(t->spread[i].name), t->spread[i].n };
    for (size_t i = 0; i < t->closed.n; i++)
        ml_strs_add(&c->closed, t->closed.v[i]);
    ml_buf_init(&c->path, ML_TABLE_ROW_MAX);
    return c;
}

static bool blank(const struct ml_table *t, const char *p, const char *end)
{
    if (!t->json)
        return p == end || (p + 1 == end && *p == '\r');
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p == end;
}

/* Where the last whole row ends that starts in front of `end`, as scan_row would see it, and how many rows there are.
 * NULL: not one is whole. */
static const char *cut_quoted(const struct ml_table *t, const char *end, size_t *rows)
{
    const char *p = t->buf + t->pos, *row = p, *cut = NULL;
    bool fresh = true; /* a field starts here */

    *rows = 0;
    while (p < end) {
        if (fresh && *p == '"') {
            p++;
            while ((p = memchr(p, '"', (size_t)(end - p))) != NULL && p + 1 < end && p[1] == '"')
                p += 2;
            if (p == NULL)
                break;
            fresh = false;
        } else if (*p == '\n') {
            *rows += !blank(t, row, p);
            cut = row = p + 1;
            fresh = true;
        } else {
            fresh = *p == t->delim;
        }
        p++;
    }
    return cut;
}

/* The same where no quote hides a line feed. */
static const char *cut_lines(const struct ml_table *t, const char *end, bool count, size_t *rows)
{
    const char *p = t->buf + t->pos, *last = memrchr(p, '\n', (size_t)(end - p));

    *rows = 0;
    if (last == NULL)
        return NULL;
    while (count && p <= last) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));

        *rows += !blank(t, p, nl);
        p = nl + 1;
    }
    return last + 1;
}

ML_VECTORS static uint64_t count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;

    while (n > 0) { /* in bytes, of which a vector holds more than of words */
        size_t run = n < UINT8_MAX ? n : UINT8_MAX;
        uint8_t some = 0;

        for (size_t i = 0; i < run; i++)
            some += p[i] == '\n';
        lines += some;
        p += run;
        n -= run;
    }
    return lines;
}

static const char *find_cut(const struct ml_table *t, const char *end, bool count, size_t *rows, bool *quoted)
{
    const char *p = t->buf + t->pos;
    *quoted = t->json || memchr(p, '"', (size_t)(end - p)) != NULL;
    const char *cut = t->json || !*quoted ? cut_lines(t, end, count, rows) : cut_quoted(t, end, rows);

    if (!t->eof || end < t->buf + t->end || cut == end)
        return cut;
    *rows += !blank(t, cut != NULL ? cut : p, end); /* the last row lacks its line feed */
    return end;
}

/* The block t->pos .. cut becomes the child's: with the buffer it is in where little stands behind it, which then goes
 * on in the child's old one, else as a copy. */
static void hand_over(struct ml_table *t, struct ml_table *child, const char *cut)
{
    size_t n = (size_t)(cut - (t->buf + t->pos)), rest = t->end - t->pos - n;
    if (rest < n / 2) {
        char *buf = child->buf;
        size_t cap = child->cap;
        if (cap < t->cap) {
            free(buf);
            buf = ml_malloc(t->cap + 1);
            cap = t->cap;
        }
        memcpy(buf, cut, rest);
        buf[rest] = '\n';
        child->buf = t->buf;
        child->cap = t->cap;
        child->pos = t->pos;
        t->buf = buf;
        t->cap = cap;
        t->pos = 0;
        t->end = rest;
    } else {
        if (child->cap < n) {
            free(child->buf);
            child->cap = n;
            child->buf = ml_malloc(n + 1);
        }
        memcpy(child->buf, t->buf + t->pos, n);
        child->pos = 0;
        t->pos += n;
    }
    child->end = child->pos + n;
    child->buf[child->end] = '\n';
}

int ml_table_cut(struct ml_table *t, struct ml_table *child, bool count, size_t *rows, struct ml_err *err)
{
    const char *cut = NULL;
    size_t n, block = t->block;
    bool quoted = false;

    if (t->cap < block && !t->eof) {
        t->cap = block;
        t->buf = ml_realloc(t->buf, t->cap + 1);
    }
    for (; cut == NULL; block *= 2) {
        if (t->end - t->pos < block && !t->eof && ml_table_fill(t, err) < 0)
            return -1;
        n = t->end - t->pos;
        if (n == 0) {
            int rc = ml_table_next_file(t, err);
            if (rc != 0)
                return rc;
            continue;
        }
        cut = find_cut(t, t->buf + t->pos + (n < block ? n : block), count, rows, &quoted);
    }
    child->plain = t->plain;
    hand_over(t, child, cut);
    child->unquoted = !quoted;
    child->block_pos = child->pos;
    child->block_line = child->next_line = t->next_line;
    child->window = NULL;
    child->stops = 0;
    t->next_line += count_lines(child->buf + child->pos, child->end - child->pos);
    ml_table_follow(child, t);
    return 0;
}

size_t ml_table_expect(const struct ml_table *t)
{
    uint64_t all, so_far, lines = t->next_line, left = t->end - t->pos;

    if (t->paths.n > 1 || t->feed == NULL || !ml_feed_size(t->feed, &all, &so_far) || so_far <= left)
        return 0;
    return (size_t)((double)lines * (double)all / (double)(so_far - left));
}

bool ml_table_again(struct ml_table *child)
{
    if (!child->unquoted)
        return false;
    child->pos = child->block_pos;
    child->next_line = child->block_line;
    child->window = NULL;
    child->stops = 0;
    return true;
}
