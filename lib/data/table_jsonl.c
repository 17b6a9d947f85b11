/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of JSON Lines: one RFC 8259 object a line, read without building a tree. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/json.h"
#include "data/table_impl.h"

#define DEPTH 128

/* The line being parsed. Strings are decoded in place: the decoded form is never longer. */
struct scan {
    struct ml_table *t;
    char *start, *p, *end; /* *end is a line feed, so that looking at one more byte is safe */
    bool header;
    bool keep; /* inside an array, whose text stays as it is */
    int depth;
    struct ml_err *err;
};

static int fail(struct scan *s, const char *why)
{
    return ml_err_set(s->err, ML_LOCAL, "'%s': line %llu, byte %zu: %s", s->t->name, (unsigned long long)s->t->line,
        (size_t)(s->p - s->start) + 1, why);
}

static void blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

/* A \u escape whose four digits are at s->p; pairs of surrogates are one character. */
static int unicode_escape(struct scan *s, char **to)
{
    size_t used;
    int c = ml_json_unicode(s->p, (size_t)(s->end - s->p), &used);
    if (c < 0)
        return fail(s, "bad \\u escape (malformed, NUL, or half of a surrogate pair)");
    s->p += used;
    if (!s->keep)
        *to = ml_utf8_put(*to, (unsigned)c);
    return 0;
}

static int escape(struct scan *s, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = *s->p;
    if (c == 'u') {
        s->p++;
        return unicode_escape(s, to);
    }
    const char *f = c != '\0' ? strchr(from, c) : NULL;
    if (f == NULL || s->p >= s->end)
        return fail(s, "unknown escape in a string");
    if (!s->keep)
        *(*to)++ = into[f - from];
    s->p++;
    return 0;
}

/* The string whose opening quote is at s->p. */
static int string(struct scan *s, struct ml_cell *out)
{
    char *begin = ++s->p, *to = begin;
    for (;;) {
        char *run = s->p;
        while (*s->p != '"' && *s->p != '\\' && (unsigned char)*s->p >= 0x20)
            s->p++;
        if (to != run && !s->keep)
            memmove(to, run, (size_t)(s->p - run));
        to += s->p - run;
        if (s->p >= s->end)
            return fail(s, "the string isn't closed on its line");
        if (*s->p == '"')
            break;
        if (*s->p != '\\')
            return fail(s, "a control character in a string");
        s->p++;
        if (escape(s, &to) < 0)
            return -1;
    }
    s->p++;
    *out = (struct ml_cell){ begin, (size_t)(to - begin) };
    return 0;
}

static bool digits(struct scan *s)
{
    char *from = s->p;
    while (*s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool word(struct scan *s, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A number, or one of the words that stand for themselves. */
static int scalar(struct scan *s, struct ml_cell *out)
{
    char *from = s->p;
    bool ok;
    if (word(s, "null")) {
        *out = (struct ml_cell){ NULL, 0 };
        return 0;
    }
    if (word(s, "true") || word(s, "false") || word(s, "NaN") || word(s, "Infinity") || word(s, "-Infinity")) {
        *out = (struct ml_cell){ from, (size_t)(s->p - from) };
        return 0;
    }
    if (*s->p == '-')
        s->p++;
    ok = *s->p == '0' ? (s->p++, true) : digits(s);
    if (ok && *s->p == '.') {
        s->p++;
        ok = digits(s);
    }
    if (ok && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (*s->p == '+' || *s->p == '-')
            s->p++;
        ok = digits(s);
    }
    if (!ok)
        return fail(s,
            s->p >= s->end ? "the line ends inside a value; JSON Lines holds one object a line" : "not a JSON value");
    *out = (struct ml_cell){ from, (size_t)(s->p - from) };
    return 0;
}

static int skip_value(struct scan *s);

/* `[...]` or `{...}` without looking at what it says. */
static int skip_container(struct scan *s)
{
    char close = *s->p == '[' ? ']' : '}';
    struct ml_cell key;
    if (++s->depth > DEPTH)
        return fail(s, "nested too deeply");
    s->p++;
    blanks(s);
    bool more = *s->p != close;
    while (more) {
        blanks(s);
        if (close == '}') {
            if (*s->p != '"')
                return fail(s, "a key in quotes expected");
            if (string(s, &key) < 0)
                return -1;
            blanks(s);
            if (*s->p++ != ':')
                return s->p--, fail(s, "':' expected");
        }
        if (skip_value(s) < 0)
            return -1;
        blanks(s);
        more = *s->p == ',';
        s->p += more;
    }
    if (*s->p != close)
        return fail(s, "',' or a closing bracket expected");
    s->p++;
    s->depth--;
    return 0;
}

static int skip_value(struct scan *s)
{
    struct ml_cell c;
    blanks(s);
    if (*s->p == '[' || *s->p == '{')
        return skip_container(s);
    return *s->p == '"' ? string(s, &c) : scalar(s, &c);
}

/* A key that isn't a column, at t->path: what the first row would have had for its class is never passed over. */
static int unknown(struct scan *s, const struct ml_cell *value)
{
    const char *name = ml_buf_str(&s->t->path), *begin;
    char *why = NULL;
    for (size_t i = 0; why == NULL && i < s->t->closed.n; i++) {
        size_t n = strlen(begin = s->t->closed.v[i]);
        if (strcmp(name, begin) == 0 && value->len > 0 && value->s[0] == '[' && value->s[-1] != '"')
            why = ml_format("a list '%.200s', but the first row has a column for each class", name);
        else if (strncmp(name, begin, n) == 0 && name[n] != '\0')
            why = ml_format("'%.200s', which the first row lacks; write every class in every row", name);
    }
    if (why == NULL)
        return 0;
    fail(s, why);
    free(why);
    return -1;
}

/* Puts a value under the name in t->path. Keys mostly come in the order of the first object. */
static int store(struct scan *s, const struct ml_cell *c, bool *seen)
{
    struct ml_table *t = s->t;
    const char *name = ml_buf_str(&t->path);
    size_t len = t->path.len;
    if (s->header) {
        size_t n = t->columns.n;
        if (ml_table_add_column(t, name, len, s->err) < 0)
            return -1;
        t->cells = ml_grow(t->cells, &t->cells_cap, n + 1, sizeof *t->cells);
        t->cells[n] = *c;
        return 0;
    }
    size_t i = t->expect;
    if (i >= t->columns.n || strcmp(t->columns.v[i], name) != 0) {
        int found = ml_table_find_column(t, name, len);
        if (found < 0)
            return unknown(s, c);
        i = (size_t)found;
    }
    t->expect = i + 1;
    if (seen[i])
        return fail(s, "a key that stands twice in its object");
    seen[i] = true;
    t->cells[i] = *c;
    return 0;
}

/* The numbers of a list, each under the list's name and its place from 0. */
static int spread(struct scan *s, const struct ml_cell *list, struct ml_spread *to, bool *seen)
{
    struct ml_buf *path = &s->t->path;
    size_t base = path->len, n = 0;
    struct ml_cell value;
    char *after = s->p;
    s->p = s->start + (list->s - s->start) + 1;
    for (blanks(s); *s->p != ']'; blanks(s)) {
        if (*s->p == '"' || *s->p == '[' || *s->p == '{')
            return fail(s, "a number expected, as this list is to hold one a class");
        ml_buf_addf(path, "%zu", n++);
        if (scalar(s, &value) < 0 || store(s, &value, seen) < 0)
            return -1;
        path->len = base;
        blanks(s);
        s->p += *s->p == ',';
    }
    if (s->header)
        to->n = n;
    if (n != to->n) {
        char *why = ml_format("a list of %zu, but the first row's has %zu", n, to->n);
        fail(s, why);
        free(why);
        return -1;
    }
    path->data[base] = '\0';
    s->p = after;
    return 0;
}

/* How the list at t->path is spread; NULL: it isn't. */
static struct ml_spread *find_spread(struct ml_table *t)
{
    for (size_t i = 0; i < t->n_spread; i++)
        if (strcmp(ml_buf_str(&t->path), t->spread[i].name) == 0)
            return &t->spread[i];
    return NULL;
}

/* The members of the object at s->p, each under `path` + its key. */
static int object(struct scan *s, bool *seen)
{
    struct ml_buf *path = &s->t->path;
    size_t base = path->len;
    struct ml_cell key, value;
    if (++s->depth > DEPTH)
        return fail(s, "nested too deeply");
    s->p++;
    blanks(s);
    bool more = *s->p != '}';
    while (more) {
        blanks(s);
        if (*s->p != '"')
            return fail(s, s->p >= s->end ? "the object doesn't end on its line; JSON Lines holds one object a line"
                                          : "a key in quotes expected");
        if (string(s, &key) < 0)
            return -1;
        ml_buf_add(path, key.s, key.len);
        blanks(s);
        if (*s->p != ':')
            return fail(s, "':' expected");
        s->p++;
        blanks(s);
        char *from = s->p;
        if (*s->p == '{') {
            ml_buf_addc(path, '.');
            if (object(s, seen) < 0)
                return -1;
        } else {
            s->keep = *from == '[';
            int rc = s->keep ? skip_container(s) : *from == '"' ? string(s, &value) : scalar(s, &value);
            if (s->keep)
                value = (struct ml_cell){ from, (size_t)(s->p - from) };
            s->keep = false;
            if (rc < 0 || store(s, &value, seen) < 0)
                return -1;
            struct ml_spread *to = *from == '[' ? find_spread(s->t) : NULL;
            if (to != NULL && spread(s, &value, to, seen) < 0)
                return -1;
        }
        path->len = base;
        if (path->data != NULL)
            path->data[base] = '\0';
        blanks(s);
        more = *s->p == ',';
        s->p += more;
    }
    if (*s->p != '}')
        return fail(s, s->p >= s->end ? "the object doesn't end on its line; JSON Lines holds one object a line"
                                      : "',' or '}' expected");
    s->p++;
    s->depth--;
    return 0;
}

static int parse_line(struct ml_table *t, char *start, char *end, bool header, struct ml_err *err)
{
    struct scan s = { .t = t, .start = start, .p = start, .end = end, .header = header, .err = err };
    bool *seen = NULL;
    blanks(&s);
    if (*s.p != '{')
        return fail(&s, "a JSON object expected");
    ml_buf_reset(&t->path);
    t->expect = 0;
    if (!header) {
        seen = t->escaped = ml_grow(t->escaped, &t->escaped_cap, t->columns.n + 1, sizeof *t->escaped);
        memset(seen, 0, t->columns.n);
        if (t->columns.n) /* a first object without members leaves no cells at all */
            memset(t->cells, 0, t->columns.n * sizeof *t->cells);
    }
    if (object(&s, seen) < 0)
        return -1;
    blanks(&s);
    return s.p == end ? 0 : fail(&s, "text behind the object");
}

void ml_table_close_prefix(struct ml_table *t, const char *prefix)
{
    ml_strs_add(&t->closed, prefix);
}

bool ml_table_spreads(const struct ml_table *t, size_t i)
{
    struct ml_cell c = t->first ? t->cells[i] : (struct ml_cell){ NULL, 0 };
    if (c.len == 0 || c.s[0] != '[' || c.s[-1] == '"') /* a text */
        return false;
    c.s++;
    return strchr("-0123456789", c.s[strspn(c.s, " \t")]) != NULL;
}

int ml_table_spread(struct ml_table *t, const char *name, struct ml_err *err)
{
    int at = ml_table_column(t, name);
    if (at < 0 || t->n_spread == ML_SPREAD_MAX || !ml_table_spreads(t, (size_t)at))
        return 1;
    struct ml_cell list = t->cells[at];
    struct scan s = { .t = t, .start = (char *)(uintptr_t)list.s, .header = true, .err = err };
    s.p = s.start;
    s.end = s.start + list.len;
    while (s.start > t->buf && s.start[-1] != '\n')
        s.start--;
    struct ml_spread *to = &t->spread[t->n_spread++];
    to->name = ml_strdup(name);
    ml_buf_reset(&t->path);
    ml_buf_adds(&t->path, name);
    int rc = spread(&s, &list, to, NULL);
    if (rc < 0) { /* some columns may have been made */
        free(to->name);
        t->n_spread--;
    }
    return ml_table_index_columns(t, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

int ml_jsonl_row(struct ml_table *t, bool header, struct ml_err *err)
{
    for (;;) {
        char *start = t->buf + t->pos;
        char *nl = memchr(start, '\n', t->end - t->pos);
        if (nl == NULL && !t->eof) {
            if (ml_table_fill(t, err) < 0)
                return -1;
            continue;
        }
        if (t->pos == t->end)
            return 1;
        char *end = nl != NULL ? nl : t->buf + t->end;
        t->line = t->next_line++;
        t->pos = (size_t)(end - t->buf) + (nl != NULL);
        char *p = start;
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
            p++;
        if (p == end)
            continue;
        if (ml_table_check_text(t, start, (size_t)(end - start), err) < 0)
            return -1;
        return parse_line(t, start, end, header, err);
    }
}
