/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of a table that doesn't depend on its format: bytes, columns, and which format it is. */
#include "data/table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "data/table_priv.h"

#define CHUNK ((size_t)256 << 10)
#define BLOCK ((size_t)1 << 20)

/* Whether all bytes are ASCII and none is NUL, eight at a time. */
static bool plain_text(const char *p, size_t n)
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
    const char *why = "invalid UTF-8; convert the file with iconv -t UTF-8";
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
static int index_columns(struct ml_table *t, struct ml_err *err)
{
    size_t n = t->columns.n;
    t->sorted = ml_calloc(n, sizeof *t->sorted);
    for (size_t i = 0; i < n; i++)
        t->sorted[i] = i;
    qsort_r(t->sorted, n, sizeof *t->sorted, by_name, &t->columns);
    for (size_t i = 1; i < n; i++) {
        const char *name = t->columns.v[t->sorted[i]];
        if (name[0] != '\0' && strcmp(name, t->columns.v[t->sorted[i - 1]]) == 0)
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: two columns are called '%s'", t->name,
                (unsigned long long)t->line, name);
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

static int read_csv_header(struct ml_table *t, struct ml_err *err)
{
    size_t n;
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
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = ml_table_add_column(t, t->cells[i].s, t->cells[i].len, err);
    return rc;
}

static int read_header(struct ml_table *t, struct ml_err *err)
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
    int rc = t->json ? ml_jsonl_row(t, true, err) : read_csv_header(t, err);
    if (rc < 0 || index_columns(t, err) < 0)
        return -1;
    t->first = t->json;
    if (!t->json) {
        t->cells = ml_grow(t->cells, &t->cells_cap, t->columns.n, sizeof *t->cells);
        t->escaped = ml_grow(t->escaped, &t->escaped_cap, t->columns.n, sizeof *t->escaped);
    }
    return 0;
}

static int open_feed(struct ml_feed *feed, const char *name, struct ml_table **out, struct ml_err *err)
{
    struct ml_table *t = ml_calloc(1, sizeof *t);
    t->name = ml_strdup(name);
    t->feed = feed;
    t->next_line = 1;
    t->block = BLOCK;
    ml_buf_init(&t->path, ML_TABLE_ROW_MAX);
    int rc = read_header(t, err);
    *out = rc == 0 ? t : NULL;
    if (rc != 0)
        ml_table_close(t);
    return rc;
}

int ml_table_open_fd(int fd, const char *name, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    return ml_feed_open(fd, name, &feed, err) < 0 ? -1 : open_feed(feed, name, out, err);
}

int ml_table_open(const char *path, struct ml_table **out, struct ml_err *err)
{
    bool in = strcmp(path, "-") == 0;
    int fd = in ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    *out = NULL;
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot open", in ? "standard input" : path);
    return ml_table_open_fd(fd, in ? "standard input" : path, out, err);
}

int ml_table_open_bytes(const void *p, size_t n, const char *name, struct ml_table **out, struct ml_err *err)
{
    struct ml_feed *feed;
    *out = NULL;
    return ml_feed_open_bytes(p, n, name, &feed, err) < 0 ? -1 : open_feed(feed, name, out, err);
}

void ml_table_close(struct ml_table *t)
{
    if (t == NULL)
        return;
    ml_feed_close(t->feed);
    ml_strs_release(&t->columns);
    ml_buf_release(&t->path);
    free(t->name);
    free(t->buf);
    free(t->sorted);
    free(t->cells);
    free(t->escaped);
    free(t);
}

bool ml_table_reopens(const struct ml_table *t)
{
    return ml_feed_reopens(t->feed);
}

struct ml_table *ml_table_reopen(const struct ml_table *t)
{
    struct ml_feed *feed;
    struct ml_table *again = NULL;
    if (ml_feed_reopen(t->feed, &feed, NULL) == 0)
        open_feed(feed, t->name, &again, NULL);
    return again;
}

const char *ml_table_name(const struct ml_table *t)
{
    return t->name;
}

const struct ml_strs *ml_table_columns(const struct ml_table *t)
{
    return &t->columns;
}

int ml_table_column(const struct ml_table *t, const char *name)
{
    return name[0] == '\0' ? -1 : ml_table_find_column(t, name, strlen(name));
}

uint64_t ml_table_line(const struct ml_table *t)
{
    return t->line;
}

void ml_table_finish(struct ml_table *t)
{
    if (t->feed != NULL && t->digest.s[0] == '\0')
        ml_feed_digest(t->feed, &t->digest, &t->size);
}

int ml_table_next(struct ml_table *t, const struct ml_cell **cells, struct ml_err *err)
{
    int rc = 0;
    size_t n;
    if (t->first)
        t->first = false;
    else if (t->json)
        rc = ml_jsonl_row(t, false, err);
    else if ((rc = ml_csv_row(t, &n, err)) == 0 && n != t->columns.n)
        rc = ml_err_set(err, ML_LOCAL, "'%s': line %llu: %zu field%s, but the header has %zu", t->name,
            (unsigned long long)t->line, n, n == 1 ? "" : "s", t->columns.n);
    if (rc == 1)
        ml_table_finish(t);
    *cells = t->cells;
    return rc;
}

void ml_table_digest(const struct ml_table *t, struct ml_digest *digest, uint64_t *size)
{
    *digest = t->digest;
    *size = t->size;
}
