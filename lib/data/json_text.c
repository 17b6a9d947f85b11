/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict scanner, and what can be done with a checked text without parsing it into a tree. */
#include "data/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

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

static int hex4(const char *s, size_t n)
{
    int v = 0;

    if (n < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* The code point of the escape behind "\u" at s; *used gets 4 or 10. -1: malformed, a lone surrogate, or NUL. */
static int unicode_escape(const char *s, size_t n, size_t *used)
{
    int a = hex4(s, n), b;

    *used = 4;
    if (a <= 0 || (a >= 0xdc00 && a <= 0xdfff))
        return -1;
    if (a < 0xd800 || a > 0xdbff)
        return a;
    if (n < 10 || s[4] != '\\' || s[5] != 'u')
        return -1;
    b = hex4(s + 6, n - 6);
    if (b < 0xdc00 || b > 0xdfff)
        return -1;
    *used = 10;
    return 0x10000 + ((a - 0xd800) << 10) + (b - 0xdc00);
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
    if (unicode_escape(j->s + j->i + 1, j->n - j->i - 1, &used) < 0)
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

static void put_utf8(char **p, int c)
{
    char *o = *p;

    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xc0 | c >> 6);
        *o++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *o++ = (char)(0xe0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    } else {
        *o++ = (char)(0xf0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 63));
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    }
    *p = o;
}

char *ml_json_decode(const char *text, struct ml_span span)
{
    const char *s = text + span.off, *end = s + span.len - 1;
    char *out, *o;

    if (span.len < 2 || *s != '"')
        return NULL;
    o = out = ml_malloc(span.len);
    for (s++; s < end;) {
        size_t used;
        const char *at;

        if (*s != '\\') {
            *o++ = *s++;
            continue;
        }
        s++;
        if (*s == 'u') {
            put_utf8(&o, unicode_escape(s + 1, (size_t)(end - s - 1), &used));
            s += 1 + used;
            continue;
        }
        at = strchr("b\bf\fn\nr\rt\t", *s);
        *o++ = at ? at[1] : *s;
        s++;
    }
    *o = '\0';
    return out;
}

/* Over a checked text: the end of the value that starts at i. */
static size_t value_end(const char *s, size_t n, size_t i)
{
    int depth = 0;
    bool in = false;

    for (; i < n; i++) {
        char c = s[i];

        if (in) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in = false;
        } else if (c == '"') {
            in = true;
        } else if (c == '{' || c == '[') {
            depth++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return i;
            depth--;
        } else if (depth == 0 && strchr(", \t\r\n:", c)) {
            return i;
        } else {
            continue;
        }
        if (!in && depth == 0)
            return i + 1;
    }
    return n;
}

static size_t blank(const char *s, size_t n, size_t i)
{
    while (i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r'))
        i++;
    return i;
}

/* Steps over the children of the container at text[at]: *i starts as the container's offset. Returns false at its end.
 */
static bool next_child(const char *text, size_t end, size_t *i, bool object, struct ml_json_member *m)
{
    size_t p = blank(text, end, *i + 1);

    if (p >= end || text[p] == '}' || text[p] == ']')
        return false;
    m->key = (struct ml_span){ p, 0 };
    if (object) {
        size_t e = value_end(text, end, p);

        m->key.len = e - p;
        p = blank(text, end, blank(text, end, e) + 1);
    }
    m->value = (struct ml_span){ p, value_end(text, end, p) - p };
    *i = blank(text, end, p + m->value.len); /* at the comma or the closing bracket */
    return true;
}

int ml_json_members(const char *text, size_t len, struct ml_json_member **out, size_t *n)
{
    size_t i = blank(text, len, 0), cap = 0;
    struct ml_json_member m;

    *out = NULL;
    *n = 0;
    if (i >= len || text[i] != '{')
        return -1;
    while (next_child(text, len, &i, true, &m)) {
        *out = ml_grow(*out, &cap, *n + 1, sizeof **out);
        (*out)[(*n)++] = m;
        if (text[i] != ',')
            break;
    }
    return 0;
}

int ml_json_elements(const char *text, struct ml_span arr, struct ml_span **out, size_t *n)
{
    size_t end = arr.off + arr.len, i = blank(text, end, arr.off), cap = 0;
    struct ml_json_member m;

    *out = NULL;
    *n = 0;
    if (i >= end || text[i] != '[')
        return -1;
    while (next_child(text, end, &i, false, &m)) {
        *out = ml_grow(*out, &cap, *n + 1, sizeof **out);
        (*out)[(*n)++] = m.value;
        if (i >= end || text[i] != ',')
            break;
    }
    return 0;
}

/* Child `key` (object) or number `index` (array) of the container in text[c]. */
static int find_child(const char *text, struct ml_span c, const char *key, struct ml_span *value)
{
    size_t end = c.off + c.len, i = blank(text, end, c.off);
    bool object;
    int64_t index = -1;
    struct ml_json_member m;

    if (i >= end || (text[i] != '{' && text[i] != '['))
        return 1;
    object = text[i] == '{';
    if (!object && (!ml_int_parse(key, &index) || index < 0))
        return 1;
    for (int64_t k = 0; next_child(text, end, &i, object, &m); k++) {
        bool hit = k == index;

        if (object) {
            char *name = ml_json_decode(text, m.key);

            hit = name && !strcmp(name, key);
            free(name);
        }
        if (hit) {
            *value = m.value;
            return 0;
        }
        if (i >= end || text[i] != ',')
            break;
    }
    return 1;
}

int ml_json_find(const char *text, struct ml_span obj, const char *key, struct ml_span *value)
{
    size_t i = blank(text, obj.off + obj.len, obj.off);

    if (i >= obj.off + obj.len || text[i] != '{')
        return 1;
    return find_child(text, obj, key, value);
}

/* RFC 6901, section 4: "~1" is '/', "~0" is '~'. */
static void unescape_pointer(char *s)
{
    char *o = s;

    for (; *s; s++) {
        if (s[0] == '~' && (s[1] == '0' || s[1] == '1'))
            *o++ = *++s == '0' ? '~' : '/';
        else
            *o++ = *s;
    }
    *o = '\0';
}

int ml_json_at(const char *text, size_t len, const char *path, struct ml_span *value)
{
    bool pointer = path[0] == '/';
    struct ml_span at = { blank(text, len, 0), 0 };

    at.len = value_end(text, len, at.off) - at.off;
    path += pointer;
    while (pointer || *path) {
        size_t n = strcspn(path, pointer ? "/" : ".");
        char *key = ml_strndup(path, n);
        int rc;

        if (pointer)
            unescape_pointer(key);
        rc = find_child(text, at, key, &at);
        free(key);
        if (rc)
            return rc;
        path += n;
        if (!*path)
            break;
        path++;
    }
    *value = at;
    return 0;
}

/* `add` before the closing bracket of the container in text[c], behind a comma where it isn't empty. */
static void add_last(const char *text, struct ml_span c, const struct ml_buf *add, struct ml_buf *out)
{
    size_t open = blank(text, c.off + c.len, c.off), end = c.off + c.len - 1, last;

    while (text[end] != '}' && text[end] != ']')
        end--;
    last = end;
    while (last > open + 1 && strchr(" \t\r\n", text[last - 1]))
        last--;
    ml_buf_add(out, text + c.off, last - c.off);
    if (last > open + 1)
        ml_buf_addc(out, ',');
    /* a document with a line per member gets one more line */
    if (last < end && text[last] == '\n' && last > open + 1)
        ml_buf_adds(out, "\n  ");
    ml_buf_add(out, add->data, add->len);
    ml_buf_add(out, text + last, c.off + c.len - last);
}

void ml_json_splice(
    const char *text, struct ml_span obj, const char *key, const char *value, size_t value_len, struct ml_buf *out)
{
    struct ml_buf member = ML_BUF_INIT;
    struct ml_span old;

    if (ml_json_find(text, obj, key, &old) == 0) {
        ml_buf_add(out, text + obj.off, old.off - obj.off);
        ml_buf_add(out, value, value_len);
        ml_buf_add(out, text + old.off + old.len, obj.off + obj.len - old.off - old.len);
        return;
    }
    ml_json_quote(key, strlen(key), &member);
    ml_buf_addc(&member, ':');
    if (memchr(text + obj.off, '\n', obj.len))
        ml_buf_addc(&member, ' ');
    ml_buf_add(&member, value, value_len);
    add_last(text, obj, &member, out);
    ml_buf_release(&member);
}

void ml_json_append(const char *text, struct ml_span arr, const char *value, size_t value_len, struct ml_buf *out)
{
    struct ml_buf element = ML_BUF_INIT;

    ml_buf_add(&element, value, value_len);
    add_last(text, arr, &element, out);
    ml_buf_release(&element);
}
