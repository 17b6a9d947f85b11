/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of a table that doesn't depend on its format: bytes, columns, and which format it is. */
#include "data/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/processors.h"
#include "base/text.h"
#include "data/table_impl.h"

#define CHUNK ((size_t)256 << 10)
#define BLOCK ((size_t)1 << 20)

/* Whether all bytes are ASCII and none is NUL, eight at a time. */
ML_VECTORS static bool plain_text(const char *p, size_t n)
{
    const uint64_t high = 0x8080808080808080u, ones = 0x0101010101010101u;
    uint64_t bad = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        bad |= (w | ((w - ones) & ~w)) & high;
    }
    for (; i < n; i++)
        bad |= p[i] == 0 || (unsigned char)p[i] >= 0x80;
    return bad == 0;
}

int ml_table_fill(struct ml_table *t, struct ml_err *err)
{
    size_t rest = t->end - t->pos;
    if (t->pos > 0) {
        memmove(t->buf, t->buf + t->pos, rest);
        t->pos = 0;
        t->end = rest;
    }
    if (rest == t->cap) {
        if (rest >= ML_TABLE_ROW_MAX)
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: the row is longer than %zu MiB; is a quote left open?",
                t->name, (unsigned long long)t->next_line, ML_TABLE_ROW_MAX >> 20);
        size_t left = ml_feed_left(t->feed), first = left < CHUNK ? left + 1 : CHUNK;
        t->cap = rest == 0 ? first : rest * 2;
        t->buf = ml_realloc(t->buf, t->cap + 1);
    }
    /* The buffer is filled wholly: rows are parsed again from their start after each call, so small reads would make
     * that quadratic. */
    while (t->end < t->cap && !t->eof) {
        int64_t got = ml_feed_read(t->feed, t->buf + t->end, t->cap - t->end, err);
        if (got < 0)
            return -1;
        t->eof = got == 0;
        t->end += (size_t)got;
    }
    t->plain = plain_text(t->buf, t->end);
    t->buf[t->end] = '\n';
    return 0;
}

int ml_table_check_text(const struct ml_table *t, const char *p, size_t n, struct ml_err *err)
{
    if (t->plain)
        return 0;
    unsigned long long line = t->line;
    size_t bad = ml_utf8_check(p, n);
    const char *nul = memchr(p, 0, n);
    const char *why = "invalid UTF-8; convert the file, if it is in Latin 1 with iconv -f LATIN1 -t UTF-8";
    if (nul != NULL && (size_t)(nul - p) < bad) {
        bad = (size_t)(nul - p);
        why = "a NUL byte; is this a text file in UTF-8?";
    }
    if (bad == n)
        return 0;
    size_t start = 0;
    for (size_t i = 0; i < bad; i++)
        if (p[i] == '\n') {
            line++;
            start = i + 1;
        }
    return ml_err_set(err, ML_LOCAL, "'%s': line %llu, byte %zu: %s", t->name, line, bad - start + 1, why);
}

int ml_table_add_column(struct ml_table *t, const char *s, size_t len, struct ml_err *err)
{
    if (t->columns.n == ML_TABLE_COLUMNS_MAX)
        return ml_err_set(err, ML_LOCAL, "'%s': line %llu: more than %zu columns", t->name, (unsigned long long)t->line,
            ML_TABLE_COLUMNS_MAX);
    char *name = ml_strndup(s, len);
    ml_strs_add(&t->columns, name);
    free(name);
    return 0;
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct ml_strs *l = ctx;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int c = strcmp(l->v[i], l->v[j]);
    return c != 0 ? c : (i > j) - (i < j);
}

/* Columns without a name (a data frame's index) may stand more than once; nobody can ask for them. */
int ml_table_index_columns(struct ml_table *t, struct ml_err *err)
{
    size_t n = t->columns.n;
    free(t->sorted);
    t->sorted = ml_calloc(n, sizeof *t->sorted);
    for (size_t i = 0; i < n; i++)
        t->sorted[i] = i;
    qsort_r(t->sorted, n, sizeof *t->sorted, by_name, &t->columns);
    for (size_t i = 1; i < n; i++) {
        const char *name = t->columns.v[t->sorted[i]];
        double x;
        if (name[0] != '\0' && strcmp(name, t->columns.v[t->sorted[i - 1]]) == 0)
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: two columns are called '%s'%s", t->name,
                (unsigned long long)t->line, name,
                ml_double_parse(name, strlen(name), &x) ? "; where the first line is a row, --no-header says so" : "");
    }
    return 0;
}

int ml_table_find_column(const struct ml_table *t, const char *s, size_t len)
{
    size_t lo = 0, hi = t->columns.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *name = t->columns.v[t->sorted[mid]];
        int c = strncmp(name, s, len);
        if (c == 0)
            c = name[len] != '\0';
        if (c == 0)
            return (int)t->sorted[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

static char header_delimiter(const char *p, size_t n)
{
    size_t count[3] = { 0, 0, 0 };
    bool quoted = false;
    for (size_t i = 0; i < n && (quoted || p[i] != '\n'); i++) {
        if (p[i] == '"')
            quoted = !quoted;
        if (!quoted) {
            count[0] += p[i] == ',';
            count[1] += p[i] == '\t';
            count[2] += p[i] == ';';
        }
    }
    if (count[1] > count[0] && count[1] >= count[2])
        return '\t';
    return count[2] > count[0] ? ';' : ',';
}

/* Lines that end as on a Macintosh of old: the whole file would be its header. */
static bool only_cr(const struct ml_table *t)
{
    const char *p = t->buf + t->pos, *cr = memchr(p, '\r', t->end - t->pos);
    return cr != NULL && cr + 1 < t->buf + t->end && memchr(p, '\n', t->end - t->pos) == NULL;
}

/* Puts the row of t->cells back in front of what is still to be read. */
static void unread(struct ml_table *t, size_t n)
{
    struct ml_buf b;
    ml_buf_init(&b, 4 * ML_TABLE_ROW_MAX);
    for (size_t i = 0; i < n; i++) {
        ml_buf_adds(&b, i > 0 ? (char[]){ t->delim, '"', '\0' } : "\"");
        for (size_t k = 0; k < t->cells[i].len; k++) {
            ml_buf_addc(&b, t->cells[i].s[k]);
            if (t->cells[i].s[k] == '"')
                ml_buf_addc(&b, '"');
        }
        ml_buf_addc(&b, '"');
    }
    ml_buf_addc(&b, '\n');
    ml_buf_add(&b, t->buf + t->pos, t->end - t->pos);
    free(t->buf);
    t->end = t->cap = b.len;
    t->buf = ml_realloc(ml_buf_detach(&b), t->cap + 1);
    t->buf[t->end] = '\n';
    t->pos = 0;
    t->next_line = t->line;
}

int ml_table_csv_header(struct ml_table *t, struct ml_err *err)
{
    bool none = (t->flags & ML_TABLE_NO_HEADER) && !ml_feed_is_arrays(t->feed);
    char number[24];
    size_t n = 0;
    if (only_cr(t))
        return ml_err_set(err, ML_LOCAL,
            "'%s': lines end with a carriage return alone; convert the file with tr '\\r' '\\n'", t->name);
    while (t->pos < t->end && (t->buf[t->pos] == '\n' || (t->buf[t->pos] == '\r' && t->buf[t->pos + 1] == '\n'))) {
        t->next_line += t->buf[t->pos] == '\n';
        t->pos++;
    }
    t->delim = header_delimiter(t->buf + t->pos, t->end - t->pos);
    t->stop[(unsigned char)t->delim] = t->stop['\n'] = true;
    int rc = ml_csv_row(t, &n, err);
    if (rc == 1)
        return ml_err_set(err, ML_LOCAL, "'%s': the file is empty; it needs a header line and rows", t->name);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct ml_cell c = t->cells[i];
        if (none)
            c = (struct ml_cell){ number, (size_t)snprintf(number, sizeof number, "%zu", i + 1) };
        rc = ml_table_add_column(t, c.s, c.len, err);
    }
    if (rc == 0 && none)
        unread(t, n);
    return rc;
}

/* Which format it is; what stands in front of the header is taken. */
int ml_table_read_start(struct ml_table *t, struct ml_err *err)
{
    if (ml_table_fill(t, err) < 0)
        return -1;
    if (t->end - t->pos >= 3 && memcmp(t->buf + t->pos, "\xef\xbb\xbf", 3) == 0)
        t->pos += 3;
    size_t at = t->pos;
    while (at < t->end && (t->buf[at] == ' ' || t->buf[at] == '\t' || t->buf[at] == '\r' || t->buf[at] == '\n'))
        at++;
    if (at == t->end && t->eof)
        return ml_err_set(err, ML_LOCAL, "'%s': the file is empty; it needs a header line and rows", t->name);
    if (at < t->end && t->buf[at] == '[')
        return ml_err_set(err, ML_LOCAL, "'%s': a JSON array; write one object a line (jq -c '.[]')", t->name);
    t->json = at < t->end && t->buf[at] == '{';
    return 0;
}

static int read_header(struct ml_table *t, struct ml_err *err)
{
    if (ml_table_read_start(t, err) < 0)
        return -1;
    int rc = t->json ? ml_jsonl_row(t, true, err) : ml_table_csv_header(t, err);
    if (rc < 0 || ml_table_index_columns(t, err) < 0)
        return -1;
    t->first = t->json;
    if (!t->json) {
        t->cells = ml_grow(t->cells, &t->cells_cap, t->columns.n, sizeof *t->cells);
        t->escaped = ml_grow(t->escaped, &t->escaped_cap, t->columns.n, sizeof *t->escaped);
    }
    return 0;
}

struct ml_table *ml_table_new(struct ml_feed *feed, const char *name, unsigned flags)
{
    struct ml_table *t = ml_calloc(1, sizeof *t);
    t->name = ml_strdup(name);
    t->feed = feed;
    t->flags = flags;
    t->next_line = 1;
    t->block = BLOCK;
    ml_buf_init(&t->path, ML_TABLE_ROW_MAX);
    return t;
}

int ml_table_start(struct ml_feed *feed, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    struct ml_table *t = ml_table_new(feed, name, flags);
    int rc = read_header(t, err);
    *out = rc == 0 ? t : NULL;
    if (rc != 0)
        ml_table_close(t);
    return rc;
}

int ml_table_open_fd(int fd, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    return ml_feed_open(fd, name, !(flags & ML_TABLE_NO_DIGEST), NULL, &feed, err) < 0
               ? -1
               : ml_table_start(feed, name, flags, out, err);
}

int ml_table_open_ahead(
    int fd, const void *ahead, size_t n, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    return ml_feed_open_ahead(fd, ahead, n, name, !(flags & ML_TABLE_NO_DIGEST), &feed, err) < 0
               ? -1
               : ml_table_start(feed, name, flags, out, err);
}

int ml_table_open_bytes(
    const void *p, size_t n, const char *name, unsigned flags, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    return ml_feed_open_bytes(p, n, name, !(flags & ML_TABLE_NO_DIGEST), &feed, err) < 0
               ? -1
               : ml_table_start(feed, name, flags, out, err);
}

void ml_table_close(struct ml_table *t)
{
    if (t == NULL)
        return;
    ml_feed_close(t->feed);
    for (size_t i = 0; t->maps != NULL && i < t->paths.n; i++)
        free(t->maps[i]);
    free(t->maps);
    free(t->seen);
    ml_strs_release(&t->paths);
    ml_hasher_free(t->list);
    free(t->title);
    free(t->mapped);
    for (size_t i = 0; i < t->n_spread; i++)
        free(t->spread[i].name);
    ml_strs_release(&t->closed);
    ml_strs_release(&t->columns);
    ml_buf_release(&t->path);
    free(t->name);
    free(t->buf);
    free(t->sorted);
    free(t->cells);
    free(t->escaped);
    free(t);
}

const char *ml_table_name(const struct ml_table *t)
{
    return t->title != NULL ? t->title : t->name;
}

char ml_table_delimiter(const struct ml_table *t)
{
    return t->json ? '\0' : t->delim;
}

const struct ml_strs *ml_table_columns(const struct ml_table *t)
{
    return &t->columns;
}

int ml_table_column(const struct ml_table *t, const char *name)
{
    return ml_table_find_column(t, name, strlen(name));
}

int ml_table_pick(const struct ml_table *t, const char *name)
{
    int64_t number;
    int i = ml_table_column(t, name);
    if (i >= 0 || name[0] < '1' || name[0] > '9' || !ml_int_parse(name, &number) || (uint64_t)number > t->columns.n)
        return i;
    return (int)number - 1;
}

const char *ml_table_left_out(const struct ml_table *t, const char *name)
{
    return ml_feed_left_out(t->feed, name);
}

uint64_t ml_table_line(const struct ml_table *t)
{
    return t->line | (uint64_t)t->file << ML_TABLE_LINE_BITS;
}

static const struct ml_cell *in_order(struct ml_table *t)
{
    if (t->map == NULL)
        return t->cells;
    if (t->mapped == NULL)
        t->mapped = ml_calloc(t->columns.n, sizeof *t->mapped);
    for (size_t i = 0; i < t->columns.n; i++)
        t->mapped[t->map[i]] = t->cells[i];
    return t->mapped;
}

int ml_table_next(struct ml_table *t, const struct ml_cell **cells, struct ml_err *err)
{
    int rc = 0;
    size_t n;
    do {
        if (t->first)
            t->first = false;
        else if (t->json)
            rc = ml_jsonl_row(t, false, err);
        else if ((rc = ml_csv_row(t, &n, err)) == 0 && n != t->columns.n)
            rc = ml_err_set(err, ML_LOCAL, "'%s': line %llu: %zu field%s, but the header has %zu", t->name,
                (unsigned long long)t->line, n, ML_PLURAL(n), t->columns.n);
    } while (rc == 1 && (rc = ml_table_next_file(t, err)) == 0);
    *cells = in_order(t);
    return rc;
}

void ml_table_digest(const struct ml_table *t, struct ml_digest *digest, uint64_t *size)
{
    *digest = t->flags & ML_TABLE_NO_DIGEST ? (struct ml_digest){ 0 } : t->digest;
    *size = t->size;
}
