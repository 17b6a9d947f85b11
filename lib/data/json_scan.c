/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict scanner. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/json.h"

/* The keys of all objects that are open, each decoded, to find duplicates: a hash set on (object, key). */
struct key {
    uint64_t hash;
    size_t object;
    char *name;
    size_t len;
};

struct scan {
    const char *s;
    size_t n, i;
    int depth;
    size_t objects;
    struct key *keys;
    size_t nkeys, cap;
    const char *why;
};

static int fail(struct scan *j, const char *why)
{
    if (!j->why)
        j->why = why;
    return -1;
}

static void skip_blank(struct scan *j)
{
    while (j->i < j->n && strchr(" \t\n\r", j->s[j->i]) && j->s[j->i])
        j->i++;
}

static int scan_escape(struct scan *j)
{
    size_t used;

    if (++j->i >= j->n)
        return fail(j, "the text ends inside a string");
    if (j->s[j->i] != 'u') {
        if (!strchr("\"\\/bfnrt", j->s[j->i]) || !j->s[j->i])
            return fail(j, "unknown escape in a string");
        j->i++;
        return 0;
    }
    if (ml_json_unicode(j->s + j->i + 1, j->n - j->i - 1, &used) < 0)
        return fail(j, "bad \\u escape (malformed, NUL, or half of a surrogate pair)");
    j->i += 1 + used;
    return 0;
}

static int scan_string(struct scan *j)
{
    if (j->i >= j->n || j->s[j->i] != '"')
        return fail(j, "a string was expected");
    j->i++;
    while (j->i < j->n) {
        unsigned char c = (unsigned char)j->s[j->i];
        size_t len;

        if (c == '"') {
            j->i++;
            return 0;
        }
        if (c < 0x20)
            return fail(j, "control character in a string");
        if (c == '\\') {
            if (scan_escape(j) < 0)
                return -1;
            continue;
        }
        len = ml_utf8_len(j->s + j->i, j->n - j->i);
        if (len == 0)
            return fail(j, "invalid UTF-8");
        j->i += len;
    }
    return fail(j, "the text ends inside a string");
}

static size_t scan_digits(struct scan *j)
{
    size_t start = j->i;

    while (j->i < j->n && j->s[j->i] >= '0' && j->s[j->i] <= '9')
        j->i++;
    return j->i - start;
}

static int scan_number(struct scan *j)
{
    size_t start = j->i, whole, first;
    double x;

    if (j->s[j->i] == '-')
        j->i++;
    first = j->i;
    whole = scan_digits(j);
    if (whole == 0 || (whole > 1 && j->s[first] == '0'))
        return fail(j, "not a value");
    if (j->i < j->n && j->s[j->i] == '.') {
        j->i++;
        if (scan_digits(j) == 0)
            return fail(j, "malformed number");
    }
    if (j->i < j->n && (j->s[j->i] | 32) == 'e') {
        j->i++;
        if (j->i < j->n && (j->s[j->i] == '+' || j->s[j->i] == '-'))
            j->i++;
        if (scan_digits(j) == 0)
            return fail(j, "malformed number");
    }
    if (!ml_double_parse(j->s + start, j->i - start, &x) || !isfinite(x)) {
        j->i = start;
        return fail(j, "number out of range");
    }
    return 0;
}

static int scan_word(struct scan *j, const char *word)
{
    size_t n = strlen(word);

    if (j->n - j->i < n || memcmp(j->s + j->i, word, n) != 0)
        return fail(j, "not a value");
    j->i += n;
    return 0;
}

static uint64_t hash_key(size_t object, const char *s, size_t n)
{
    uint64_t h = 1469598103934665603u ^ object;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static struct key *slot_of(struct key *table, size_t cap, const struct key *k)
{
    size_t i = k->hash & (cap - 1);

    while (table[i].name && (table[i].hash != k->hash || table[i].object != k->object || table[i].len != k->len ||
                                memcmp(table[i].name, k->name, k->len) != 0))
        i = (i + 1) & (cap - 1);
    return &table[i];
}

/* Takes k's name; -1 when the object has the key already. */
static int remember_key(struct scan *j, struct key k)
{
    struct key *slot;

    if (2 * (j->nkeys + 1) > j->cap) {
        size_t cap = j->cap ? 2 * j->cap : 64;
        struct key *bigger = ml_calloc(cap, sizeof *bigger);

        for (size_t i = 0; i < j->cap; i++)
            if (j->keys[i].name)
                *slot_of(bigger, cap, &j->keys[i]) = j->keys[i];
        free(j->keys);
        j->keys = bigger;
        j->cap = cap;
    }
    slot = slot_of(j->keys, j->cap, &k);
    if (slot->name) {
        free(k.name);
        return -1;
    }
    *slot = k;
    j->nkeys++;
    return 0;
}

static int scan_value(struct scan *j);

static int scan_member(struct scan *j, size_t object)
{
    struct key k = { .object = object };
    size_t start;

    skip_blank(j);
    start = j->i;
    if (scan_string(j) < 0)
        return -1;
    k.name = ml_json_decode(j->s, (struct ml_span){ start, j->i - start });
    k.len = strlen(k.name);
    k.hash = hash_key(object, k.name, k.len);
    if (remember_key(j, k) < 0) {
        j->i = start;
        return fail(j, "duplicate key");
    }
    skip_blank(j);
    if (j->i >= j->n || j->s[j->i] != ':')
        return fail(j, "':' expected");
    j->i++;
    return scan_value(j);
}

static int scan_children(struct scan *j, char close)
{
    size_t object = j->objects++;

    if (++j->depth > ML_JSON_DEPTH)
        return fail(j, "nested too deep");
    j->i++;
    skip_blank(j);
    if (j->i < j->n && j->s[j->i] == close)
        goto out;
    for (;;) {
        if ((close == '}' ? scan_member(j, object) : scan_value(j)) < 0)
            return -1;
        skip_blank(j);
        if (j->i >= j->n)
            return fail(j, "the text ends inside an object or array");
        if (j->s[j->i] == close)
            break;
        if (j->s[j->i] != ',')
            return fail(j, close == '}' ? "',' or '}' expected" : "',' or ']' expected");
        j->i++;
    }
out:
    j->i++;
    j->depth--;
    return 0;
}

static int scan_value(struct scan *j)
{
    skip_blank(j);
    if (j->i >= j->n)
        return fail(j, "the text ends where a value was expected");
    switch (j->s[j->i]) {
    case '{':
        return scan_children(j, '}');
    case '[':
        return scan_children(j, ']');
    case '"':
        return scan_string(j);
    case 't':
        return scan_word(j, "true");
    case 'f':
        return scan_word(j, "false");
    case 'n':
        return scan_word(j, "null");
    default:
        return scan_number(j);
    }
}

int ml_json_check(const char *text, size_t len, const char *name, struct ml_err *err)
{
    return ml_json_check_line(text, len, name, 1, err);
}

int ml_json_check_line(const char *text, size_t len, const char *name, size_t line, struct ml_err *err)
{
    struct scan j = { .s = text, .n = len };
    size_t start = 0;
    int rc = scan_value(&j);

    if (rc == 0) {
        skip_blank(&j);
        if (j.i < j.n)
            rc = fail(&j, "more text behind the value");
    }
    if (rc < 0) {
        for (size_t i = 0; i < j.i && i < len; i++)
            if (text[i] == '\n') {
                line++;
                start = i + 1;
            }
        ml_err_set(err, ML_LOCAL, "'%s': line %zu, column %zu: %s", name, line, j.i - start + 1, j.why);
    }
    for (size_t i = 0; i < j.cap; i++)
        free(j.keys[i].name);
    free(j.keys);
    return rc;
}
