/* SPDX-License-Identifier: GPL-3.0-or-later */
/* numpy's header is a Python literal of few forms, read here without evaluating anything. */
#include "data/npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/table.h"

#define DEPTH      8
#define FIELDS_MAX ML_TABLE_COLUMNS_MAX
#define RECORD_MAX ((size_t)16 << 20)

struct scan {
    const char *p, *end;
    struct ml_npy *a;
    int depth;
    struct ml_err *err;
};

void ml_npy_release(struct ml_npy *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->fields[i].name);
    free(a->fields);
    *a = (struct ml_npy){ 0 };
}

size_t ml_npy_header_size(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    if (n < 10 || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3)
        return 0;
    if (p[6] == 1)
        return 10 + (p[8] | (size_t)p[9] << 8);
    return n < 12 ? 0 : 12 + (p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24);
}

/* ---- literals ---- */

static int bad_header(struct scan *s)
{
    return ml_err_set(s->err, ML_LOCAL, "has a header that can't be read");
}

static bool next_is(struct scan *s, char c)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t'))
        s->p++;
    return s->p < s->end && *s->p == c;
}

static bool take(struct scan *s, char c)
{
    bool there = next_is(s, c);
    s->p += there;
    return there;
}

static bool take_word(struct scan *s, const char *w)
{
    size_t n = strlen(w);
    next_is(s, ' ');
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A text in quotes of either kind: owned, or NULL. */
static char *take_text(struct scan *s)
{
    char quote = next_is(s, '\'') ? '\'' : '"';
    struct ml_buf b;
    if (!take(s, quote))
        return NULL;
    ml_buf_init(&b, ML_NPY_HEADER_MAX);
    for (; s->p < s->end && *s->p != quote; s->p++) {
        if (*s->p == '\\' && (++s->p == s->end || (*s->p != '\\' && *s->p != '\'' && *s->p != '"')))
            break;
        ml_buf_addc(&b, *s->p);
    }
    if (s->p < s->end && *s->p == quote && memchr(ml_buf_str(&b), 0, b.len) == NULL) {
        s->p++;
        return ml_buf_detach(&b);
    }
    ml_buf_release(&b);
    return NULL;
}

/* Whole numbers in brackets, at most two of them; a third makes *n larger. A number alone is one, too. */
static bool take_shape(struct scan *s, uint64_t dims[2], size_t *n)
{
    bool brackets = take(s, '(');
    *n = 0;
    while (!brackets || !take(s, ')')) {
        uint64_t x = 0;
        next_is(s, '0');
        if (s->p == s->end || *s->p < '0' || *s->p > '9')
            return false;
        for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
            if (x > UINT64_MAX / 16)
                return false;
            x = x * 10 + (uint64_t)(*s->p - '0');
        }
        if (s->p < s->end && *s->p == 'L') /* Python 2 */
            s->p++;
        if (*n < 2)
            dims[*n] = x;
        ++*n;
        if (!brackets)
            return true;
        if (!take(s, ',') && !next_is(s, ')'))
            return false;
    }
    return true;
}

/* ---- types ---- */

static int not_read(struct scan *s, const char *name, const char *what, const char *remedy)
{
    return name[0] != '\0' ? ml_err_set(s->err, ML_LOCAL, "has %s in '%s', which aren't read; %s", what, name, remedy)
                           : ml_err_set(s->err, ML_LOCAL, "has %s, which aren't read; %s", what, remedy);
}

static int check_kind(struct scan *s, const char *name, char kind, uint64_t size)
{
    switch (kind) {
    case 'b':
        return size == 1 ? 0 : bad_header(s);
    case 'i':
    case 'u':
        return size == 1 || size == 2 || size == 4 || size == 8 ? 0 : bad_header(s);
    case 'f':
        if (size == 16 || size == 12)
            return not_read(s, name, "long doubles", "save it with .astype('f8')");
        return size == 2 || size == 4 || size == 8 ? 0 : bad_header(s);
    case 'S':
    case 'a':
    case 'U':
        return 0;
    case 'O':
        return not_read(s, name, "Python objects (a pickle)", "save it with .astype(str), or as numbers");
    case 'c':
        return not_read(s, name, "complex numbers", "save their real parts");
    case 'M':
    case 'm':
        return not_read(s, name, "dates or times", "save it with .astype(str)");
    default:
        return not_read(s, name, "values of an unknown type", "save it with .astype(str)");
    }
}

static void add_field(struct ml_npy *a, char *name, char kind, bool swap, size_t size)
{
    a->fields = ml_grow(a->fields, &a->cap, a->n + 1, sizeof *a->fields);
    a->fields[a->n++] = (struct ml_npy_field){ name, kind, swap, size, a->record };
    a->record += size;
}

/* '<f8' and the like, `count` of them one behind the other (0: not a vector). */
static int add_type(struct scan *s, const char *name, const char *type, uint64_t count)
{
    struct ml_npy *a = s->a;
    bool swap = type[0] == '>';
    char kind = type[0] != '\0' ? type[1] : '\0';
    uint64_t size = 0, times = count > 0 ? count : 1;
    if (strchr("<>|=", type[0]) == NULL || kind == '\0')
        return bad_header(s);
    const char *d = type + 2;
    for (; *d >= '0' && *d <= '9' && size < RECORD_MAX; d++)
        size = size * 10 + (uint64_t)(*d - '0');
    if (kind == 'V' && name[0] == '\0' && a->n + (size_t)s->depth > 0) { /* what lies between fields that are aligned */
        if (size > RECORD_MAX - a->record)
            return bad_header(s);
        a->record += size;
        return 0;
    }
    if (check_kind(s, name, kind, size) < 0)
        return -1;
    if (*d != '\0')
        return bad_header(s);
    kind = kind == 'a' ? 'S' : kind;
    size *= kind == 'U' ? 4 : 1;
    if (times > FIELDS_MAX - a->n || size > RECORD_MAX || (size > 0 && times > (RECORD_MAX - a->record) / size))
        return ml_err_set(
            s->err, ML_LOCAL, "has elements of more than %zu fields or %zu MiB", FIELDS_MAX, RECORD_MAX >> 20);
    for (uint64_t i = 0; i < times; i++)
        add_field(a, count > 0 ? ml_format("%s%llu", name, (unsigned long long)i) : ml_strdup(name), kind, swap, size);
    return 0;
}

static int add_fields(struct scan *s, const char *prefix);

/* One field: ('name', type) or ('name', type, shape); the name may be a pair of title and name. */
static int add_member(struct scan *s, const char *prefix)
{
    uint64_t dims[2] = { 0 };
    size_t n = 0;
    char *name = NULL, *type = NULL, *whole = NULL;
    int rc = -1;
    if (!take(s, '('))
        return bad_header(s);
    if (take(s, '(')) {
        free(take_text(s));
        take(s, ',');
        name = take_text(s);
        take(s, ')');
    } else {
        name = take_text(s);
    }
    if (name == NULL || !take(s, ','))
        goto out;
    whole = ml_format("%s%s", prefix, name);
    if (next_is(s, '[')) {
        char *below = ml_format("%s.", whole);
        int added = add_fields(s, below);
        free(below);
        if (added < 0 || !take(s, ')')) {
            rc = added < 0 ? -2 : -1;
            goto out;
        }
        rc = 0;
        goto out;
    }
    type = take_text(s);
    if (type == NULL || (take(s, ',') && !next_is(s, ')') && !take_shape(s, dims, &n)) || !take(s, ')') || n > 1)
        goto out;
    rc = n == 1 && dims[0] == 0 ? 0 : add_type(s, name[0] != '\0' ? whole : "", type, dims[0]) < 0 ? -2 : 0;
out:
    free(name);
    free(type);
    free(whole);
    return rc == -1 ? bad_header(s) : rc < 0 ? -1 : 0;
}

static int add_fields(struct scan *s, const char *prefix)
{
    if (!take(s, '[') || ++s->depth > DEPTH)
        return bad_header(s);
    while (!take(s, ']')) {
        if (add_member(s, prefix) < 0)
            return -1;
        if (!take(s, ',') && !next_is(s, ']'))
            return bad_header(s);
    }
    s->depth--;
    return 0;
}

static int read_type(struct scan *s)
{
    if (next_is(s, '['))
        return add_fields(s, "");
    char *type = take_text(s);
    int rc = type != NULL ? add_type(s, "", type, 0) : bad_header(s);
    free(type);
    return rc;
}

/* ---- the header ---- */

static int settle(struct scan *s, const uint64_t *dims, size_t n, bool fortran)
{
    struct ml_npy *a = s->a;
    if (n > 2)
        return ml_err_set(s->err, ML_LOCAL, "has %zu dimensions; one or two are rows and columns", n);
    a->rows = n > 0 ? dims[0] : 1;
    a->columns = n > 1 ? (size_t)dims[1] : 1;
    a->vector = a->columns == 1;
    a->by_columns = fortran && a->columns > 1 && a->rows > 1;
    if (a->n == 0 || a->record == 0 || a->columns == 0)
        return ml_err_set(s->err, ML_LOCAL, "has no values");
    if (a->columns > 1 && a->n > 1)
        return ml_err_set(s->err, ML_LOCAL, "has two dimensions of records; one is rows");
    if (a->columns > FIELDS_MAX)
        return ml_err_set(s->err, ML_LOCAL, "has more than %zu columns", FIELDS_MAX);
    if (a->columns > RECORD_MAX / a->record || a->rows > (uint64_t)INT64_MAX / (a->record * a->columns))
        return ml_err_set(s->err, ML_LOCAL, "has rows of more than %zu MiB", RECORD_MAX >> 20);
    return 0;
}

static int read_dict(struct scan *s)
{
    uint64_t dims[2] = { 0 };
    size_t n = 0;
    bool fortran = false, typed = false, shaped = false, ordered = false;
    if (!take(s, '{'))
        return bad_header(s);
    while (!take(s, '}')) {
        char *key = take_text(s);
        bool colon = key != NULL && take(s, ':'), good = false;
        if (colon && strcmp(key, "descr") == 0 && !typed) {
            if (read_type(s) < 0) {
                free(key);
                return -1;
            }
            good = typed = true;
        } else if (colon && strcmp(key, "shape") == 0) {
            good = shaped = next_is(s, '(') && take_shape(s, dims, &n);
        } else if (colon && strcmp(key, "fortran_order") == 0) {
            fortran = take_word(s, "True");
            good = ordered = fortran || take_word(s, "False");
        }
        free(key);
        if (!good || (!take(s, ',') && !next_is(s, '}')))
            return bad_header(s);
    }
    return typed && shaped && ordered ? settle(s, dims, n, fortran) : bad_header(s);
}

int ml_npy_parse(const char *p, size_t n, struct ml_npy *out, struct ml_err *err)
{
    size_t start = n > 6 && p[6] == 1 ? 10 : 12;
    struct scan s = { .p = p + start, .end = p + n, .a = out, .err = err };
    if (ml_npy_header_size(p, n) != n || n < start)
        return bad_header(&s);
    if (ml_utf8_check(s.p, (size_t)(s.end - s.p)) != (size_t)(s.end - s.p))
        return ml_err_set(err, ML_LOCAL, "has names in its header that aren't in UTF-8");
    return read_dict(&s);
}
