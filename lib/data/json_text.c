/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be done with a checked text without parsing it into a tree. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/json.h"

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

int ml_json_unicode(const char *s, size_t n, size_t *used)
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
            o = ml_utf8_put(o, (unsigned)ml_json_unicode(s + 1, (size_t)(end - s - 1), &used));
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

/* Every part of the path is a key of its own. */
static int find_parts(const char *text, struct ml_span at, const char *path, bool pointer, struct ml_span *value)
{
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

/* The member with the longest name that the path goes on with: how long the name is, or 0. */
static size_t longest_name(const char *text, struct ml_span object, const char *path, struct ml_span *value)
{
    size_t end = object.off + object.len, i = blank(text, end, object.off), longest = 0;
    struct ml_json_member m;

    if (i >= end || text[i] != '{')
        return 0;
    while (next_child(text, end, &i, true, &m)) {
        char *name = ml_json_decode(text, m.key);
        size_t n = name ? strlen(name) : 0;

        if (n > longest && !strncmp(path, name, n) && (path[n] == '.' || !path[n])) {
            longest = n;
            *value = m.value;
        }
        free(name);
        if (i >= end || text[i] != ',')
            break;
    }
    return longest;
}

/* Dots may be in names. */
static int find_longest(const char *text, struct ml_span at, const char *path, struct ml_span *value)
{
    for (;;) {
        size_t n = longest_name(text, at, path, &at);

        if (n == 0) { /* of an array */
            n = strcspn(path, ".");
            char *key = ml_strndup(path, n);
            int rc = find_child(text, at, key, &at);
            free(key);
            if (rc)
                return rc;
        }
        if (!path[n])
            break;
        path += n + 1;
    }
    *value = at;
    return 0;
}

int ml_json_at(const char *text, size_t len, const char *path, struct ml_span *value)
{
    bool pointer = path[0] == '/';
    struct ml_span at = { blank(text, len, 0), 0 };

    at.len = value_end(text, len, at.off) - at.off;
    if (find_parts(text, at, path + pointer, pointer, value) == 0)
        return 0;
    return pointer ? 1 : find_longest(text, at, path, value);
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
    /* where each member has its line the new one gets one too, two columns behind the closing bracket */
    if (last < end && text[last] == '\n' && last > open + 1) {
        ml_buf_add(out, text + last, end - last);
        ml_buf_adds(out, "  ");
    }
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
