/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML on libfyaml's events. */
#include "data/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "data/yaml_place.h"
#include "data/yaml_scalar.h"

/* An open mapping or sequence. */
struct level {
    cJSON *node;
    struct fy_mark mark;
    char *key; /* of the value that comes next, or NULL while a key is expected */
    struct fy_mark key_mark;
    uint64_t *hashes; /* of the keys so far */
    size_t n, cap;
};

struct anchor {
    char *name;
    size_t len;
    const cJSON *node; /* borrowed from the tree */
};

struct reader {
    struct ml_yaml *y;
    const char *text; /* what is read */
    size_t len;
    struct level stack[ML_YAML_DEPTH];
    size_t depth;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    size_t keys, copies, copied;
    int documents;
    struct fy_mark last; /* the newest token's place */
    struct ml_err *err;
};

static int refuse(const struct reader *r, const struct fy_mark *mark, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct reader *r, const struct fy_mark *mark, const char *fmt, ...)
{
    char why[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    ml_yaml_message(why);
    if (!mark)
        return ml_err_set(r->err, ML_LOCAL, "%s: %s", r->y->name, why);
    return ml_err_set(
        r->err, ML_LOCAL, "%s: line %d, column %d: %s", r->y->name, mark->line + 1, mark->column + 1, why);
}

/* Where a token starts; one that the library made up, as for an empty value, stands where the last one stood. */
static struct fy_mark mark_of(struct reader *r, struct fy_token *token)
{
    const struct fy_mark *m = token ? fy_token_start_mark(token) : NULL;
    if (m)
        r->last = *m;
    return r->last;
}

static void place(struct reader *r, const cJSON *node, const struct fy_mark *mark)
{
    ml_yaml_place(r->y, node, (unsigned)mark->line + 1, (unsigned)mark->column + 1);
}

static uint64_t hash(const char *s, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h;
}

/* Notes a key of the mapping on top; equal hashes are looked at, so that an accident never refuses a file. */
static int add_key(struct reader *r, struct level *top, const char *s, size_t n, const struct fy_mark *mark)
{
    if (++r->keys > ML_YAML_KEYS)
        return refuse(r, mark, "more than %d keys", ML_YAML_KEYS);
    char *key = ml_strndup(s, n);
    uint64_t h = hash(s, n);
    for (size_t i = 0; i < top->n; i++) {
        if (top->hashes[i] == h && cJSON_GetObjectItemCaseSensitive(top->node, key)) {
            int rc = refuse(r, mark, "key '%.80s' is given twice", key);
            free(key);
            return rc;
        }
    }
    top->hashes = ml_grow(top->hashes, &top->cap, top->n + 1, sizeof(*top->hashes));
    top->hashes[top->n++] = h;
    top->key = key;
    top->key_mark = *mark;
    return 0;
}

/* Puts a finished or just opened value where it belongs; takes ownership. */
static int attach(struct reader *r, cJSON *node, const struct fy_mark *mark)
{
    if (r->y->n >= ML_YAML_VALUES) {
        cJSON_Delete(node);
        return refuse(r, mark, "more than %d values", ML_YAML_VALUES);
    }
    if (r->depth == 0) {
        r->y->root = node;
        place(r, node, mark);
        return 0;
    }
    struct level *top = &r->stack[r->depth - 1];
    if (cJSON_IsArray(top->node)) {
        cJSON_AddItemToArray(top->node, node);
        place(r, node, mark);
        return 0;
    }
    if (!top->key) {
        cJSON_Delete(node);
        return refuse(r, mark, "a key must be a scalar");
    }
    cJSON_AddItemToObject(top->node, top->key, node);
    place(r, node, &top->key_mark);
    free(top->key);
    top->key = NULL;
    return 0;
}

static struct anchor *find_anchor(struct reader *r, const char *s, size_t n)
{
    for (size_t i = 0; i < r->n_anchors; i++) {
        if (r->anchors[i].len == n && !memcmp(r->anchors[i].name, s, n))
            return &r->anchors[i];
    }
    return NULL;
}

static int remember(struct reader *r, struct fy_token *anchor, const cJSON *node)
{
    size_t n = 0;
    const char *s = anchor ? fy_token_get_text(anchor, &n) : NULL;
    if (!s)
        return 0;
    struct anchor *there = find_anchor(r, s, n);
    if (there) { /* a later anchor of the same name takes over: YAML 1.2.2, 3.2.2.2 */
        there->node = node;
        return 0;
    }
    if (r->n_anchors == ML_YAML_ANCHORS)
        return refuse(r, &r->last, "more than %d anchors", ML_YAML_ANCHORS);
    r->anchors = ml_grow(r->anchors, &r->cap_anchors, r->n_anchors + 1, sizeof(*r->anchors));
    r->anchors[r->n_anchors++] = (struct anchor){ .name = ml_strndup(s, n), .len = n, .node = node };
    return 0;
}

static int copy(struct reader *r, const cJSON *from, const struct fy_mark *mark, cJSON **out)
{
    r->copies++;
    r->copied += (from->valuestring ? strlen(from->valuestring) : 0) + (from->string ? strlen(from->string) : 0);
    if (r->copies > ML_YAML_COPIES || r->copied > ML_YAML_COPIED)
        return refuse(r, mark, "aliases repeat too much (over %d values or %zu bytes)", ML_YAML_COPIES, ML_YAML_COPIED);
    cJSON *node = cJSON_Duplicate(from, false);
    const cJSON *child;
    cJSON_ArrayForEach(child, from)
    {
        cJSON *c = NULL;
        if ((child->string && ++r->keys > ML_YAML_KEYS && refuse(r, mark, "more than %d keys", ML_YAML_KEYS)) ||
            copy(r, child, mark, &c)) {
            cJSON_Delete(node);
            return -1;
        }
        if (child->string)
            cJSON_AddItemToObject(node, child->string, c);
        else
            cJSON_AddItemToArray(node, c);
        place(r, c, mark);
    }
    *out = node;
    return 0;
}

/* cJSON_Duplicate keeps the name it had; the copy is about to get another. */
static void unname(cJSON *node)
{
    if (node->string && !(node->type & cJSON_StringIsConst))
        cJSON_free(node->string);
    node->string = NULL;
}

static int depth_of(const cJSON *node)
{
    int deepest = 0;
    const cJSON *child;
    cJSON_ArrayForEach(child, node)
    {
        int d = depth_of(child);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

static int on_alias(struct reader *r, struct fy_token *token)
{
    size_t n = 0;
    const char *s = fy_token_get_text(token, &n);
    struct fy_mark mark = mark_of(r, token);
    const struct anchor *anchor = s ? find_anchor(r, s, n) : NULL;
    const cJSON *from = anchor ? anchor->node : NULL;
    if (!from)
        return refuse(r, &mark, "alias '%.*s' without an anchor before it", (int)(n > 80 ? 80 : n), s ? s : "");
    for (size_t i = 0; i < r->depth; i++) {
        if (r->stack[i].node == from)
            return refuse(r, &mark, "alias '%.*s' inside its own anchor", (int)(n > 80 ? 80 : n), s);
    }
    struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;
    if (top && cJSON_IsObject(top->node) && !top->key) {
        if (!cJSON_IsString(from))
            return refuse(r, &mark, "an alias for a key must stand for a string");
        return add_key(r, top, from->valuestring, strlen(from->valuestring), &mark);
    }
    cJSON *node = NULL;
    if (copy(r, from, &mark, &node))
        return -1;
    unname(node);
    if ((int)r->depth + depth_of(node) > ML_YAML_DEPTH) {
        cJSON_Delete(node);
        return refuse(r, &mark, "more than %d levels", ML_YAML_DEPTH);
    }
    return attach(r, node, &mark);
}

/* The tag's short name within the core schema ("str"), "" for none, NULL for another. */
static const char *core_tag(struct fy_token *tag)
{
    static const char *const known[] = { "str", "int", "float", "bool", "null", "map", "seq", NULL };
    static const char prefix[] = "tag:yaml.org,2002:";
    size_t n = 0;
    const char *s = tag ? fy_token_get_text(tag, &n) : NULL;
    if (!s)
        return "";
    if (n == 1 && *s == '!')
        return "str";
    if (n <= sizeof(prefix) - 1 || memcmp(s, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    for (size_t i = 0; known[i]; i++) {
        if (strlen(known[i]) == n - (sizeof(prefix) - 1) && !memcmp(s + sizeof(prefix) - 1, known[i], strlen(known[i])))
            return known[i];
    }
    return NULL;
}

static int scalar_value(
    struct reader *r, const struct fy_event *e, const char *s, size_t n, const struct fy_mark *mark, cJSON **out)
{
    const char *tag = core_tag(e->scalar.tag);
    if (!tag || !strcmp(tag, "map") || !strcmp(tag, "seq"))
        return refuse(r, mark, "a tag that means nothing here; leave it out");
    bool odd = false, is_plain = fy_token_scalar_style(e->scalar.value) == FYSS_PLAIN;
    if (!strcmp(tag, "str") || (!*tag && !is_plain)) {
        *out = cJSON_CreateString(s);
        return 0;
    }
    *out = ml_yaml_plain(s, n, &odd);
    if (odd)
        return refuse(r, mark, "'%.40s' is not a finite number", s);
    if (*tag && !ml_yaml_has_type(*out, tag)) {
        cJSON_Delete(*out);
        return refuse(r, mark, "'%.40s' is no !!%s", s, tag);
    }
    return 0;
}

/* libfyaml 0.7.12 reads two quotes in a row within single quotes wrongly, and past its own buffer. */
static bool misread(const struct reader *r, struct fy_token *value)
{
    const struct fy_mark *a = fy_token_start_mark(value), *b = fy_token_end_mark(value);
    return a && b && a->input_pos <= b->input_pos && b->input_pos <= r->len &&
           memmem(r->text + a->input_pos, b->input_pos - a->input_pos, "''''", 4);
}

static int on_scalar(struct reader *r, const struct fy_event *e)
{
    size_t n = 0;
    const char *text = fy_token_get_text(e->scalar.value, &n);
    struct fy_mark mark = mark_of(r, e->scalar.value);
    enum fy_scalar_style style = fy_token_scalar_style(e->scalar.value);
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && mark.column > 0)
        mark.column--; /* the library's mark stands behind the quote */
    if (style == FYSS_SINGLE_QUOTED && misread(r, e->scalar.value))
        return refuse(r, &mark, "two quotes in a row within single quotes; write it in double quotes");
    if (!r->depth && (style == FYSS_LITERAL || style == FYSS_FOLDED)) /* the library misreads '#' in such a text */
        return refuse(r, &mark, "a document that is nothing but a block of text");
    if (n && (memchr(text, 0, n) || ml_utf8_check(text, n) < n))
        return refuse(r, &mark, "a NUL character, or a text that can't be read");
    struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;
    if (top && cJSON_IsObject(top->node) && !top->key) {
        if (add_key(r, top, text ? text : "", n, &mark))
            return -1;
        if (e->scalar.anchor) /* an anchored key cannot be found in the tree later */
            return refuse(r, &mark, "an anchor on a key");
        return 0;
    }
    char *s = ml_strndup(text ? text : "", n);
    cJSON *node = NULL;
    int rc = scalar_value(r, e, s, n, &mark, &node);
    free(s);
    if (rc)
        return rc;
    if (attach(r, node, &mark))
        return -1;
    return remember(r, e->scalar.anchor, node);
}

static int on_start(
    struct reader *r, bool mapping, struct fy_token *anchor, struct fy_token *tag, struct fy_token *start)
{
    struct fy_mark mark = mark_of(r, start);
    const char *t = core_tag(tag);
    if (!t || (*t && strcmp(t, mapping ? "map" : "seq") != 0))
        return refuse(r, &mark, "a tag that means nothing here; leave it out");
    if (r->depth == ML_YAML_DEPTH)
        return refuse(r, &mark, "more than %d levels", ML_YAML_DEPTH);
    cJSON *node = mapping ? cJSON_CreateObject() : cJSON_CreateArray();
    if (attach(r, node, &mark))
        return -1;
    if (remember(r, anchor, node))
        return -1;
    r->stack[r->depth++] = (struct level){ .node = node, .mark = mark };
    return 0;
}

static void pop(struct reader *r)
{
    struct level *top = &r->stack[--r->depth];
    free(top->key);
    free(top->hashes);
}

static int on_document(struct reader *r, struct fy_token *start)
{
    struct fy_mark mark = mark_of(r, start);
    return ++r->documents > 1 ? refuse(r, &mark, "a second document; one is allowed") : 0;
}

static int on_event(struct reader *r, struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        return on_document(r, e->document_start.document_start);
    case FYET_MAPPING_START:
        return on_start(r, true, e->mapping_start.anchor, e->mapping_start.tag, e->mapping_start.mapping_start);
    case FYET_SEQUENCE_START:
        return on_start(r, false, e->sequence_start.anchor, e->sequence_start.tag, e->sequence_start.sequence_start);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        pop(r);
        return 0;
    case FYET_SCALAR:
        return on_scalar(r, e);
    case FYET_ALIAS:
        return on_alias(r, e->alias.anchor);
    default:
        return 0;
    }
}

/* The library's own words for a text that isn't YAML. */
static int not_yaml(const struct reader *r, struct fy_diag *diag)
{
    void *prev = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &prev);
    if (!e)
        return refuse(r, NULL, "not YAML");
    struct fy_mark mark = { .line = e->line > 0 ? e->line - 1 : 0, .column = e->column > 0 ? e->column - 1 : 0 };
    return refuse(r, &mark, "%s", e->msg ? e->msg : "not YAML");
}

static int read_events(struct reader *r, const char *text, size_t len)
{
    struct fy_diag_cfg dcfg;
    fy_diag_cfg_default(&dcfg);
    dcfg.fp = NULL;
    dcfg.colorize = false;
    struct fy_diag *diag = fy_diag_create(&dcfg);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 |
                                         FYPCF_JSON_NONE | FYPCF_DISABLE_MMAP_OPT,
        .diag = diag };
    struct fy_parser *parser = fy_parser_create(&cfg);
    int rc = -1;
    bool ended = false;
    if (!parser || fy_parser_set_string(parser, text, len)) {
        refuse(r, NULL, "the YAML parser cannot be started");
        goto out;
    }
    for (;;) {
        struct fy_event *e = fy_parser_parse(parser);
        if (!e)
            break;
        ended = e->type == FYET_STREAM_END;
        rc = on_event(r, e);
        fy_parser_event_free(parser, e);
        if (rc || ended)
            goto out;
    }
    rc = not_yaml(r, diag);
out:
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return rc;
}

/* Line and column of the first byte that isn't UTF-8, counted as the library counts: from 0, in characters. */
static struct fy_mark mark_at(const char *text, size_t off)
{
    struct fy_mark m = { .input_pos = off };
    for (size_t i = 0; i < off; i++) {
        if (text[i] == '\n') {
            m.line++;
            m.column = 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

int ml_yaml_parse(struct ml_yaml *y, const char *text, size_t len, const char *name, struct ml_err *err)
{
    *y = (struct ml_yaml){ .name = ml_strdup(name) };
    struct reader r = { .y = y, .text = text, .len = len, .err = err };
    int rc = -1;
    if (len > ML_YAML_MAX) {
        refuse(&r, NULL, "longer than %zu bytes", ML_YAML_MAX);
        goto out;
    }
    size_t bad = ml_utf8_check(text, len);
    if (bad < len) {
        struct fy_mark mark = mark_at(text, bad);
        refuse(&r, &mark, "not UTF-8");
        goto out;
    }
    const char *nul = len ? memchr(text, 0, len) : NULL;
    if (nul) { /* the library would take it for the end */
        struct fy_mark mark = mark_at(text, (size_t)(nul - text));
        refuse(&r, &mark, "a NUL character");
        goto out;
    }
    size_t marks = 0; /* the library reads ahead through a whole list in brackets before its first event */
    for (size_t i = 0; i < len; i++)
        marks += text[i] == '[' || text[i] == '{' || text[i] == ',';
    if (marks > ML_YAML_VALUES) {
        refuse(&r, NULL, "more than %d brackets and commas", ML_YAML_VALUES);
        goto out;
    }
    if (len)
        rc = read_events(&r, text, len);
    else
        rc = 0;
out:
    while (r.depth)
        pop(&r);
    for (size_t i = 0; i < r.n_anchors; i++)
        free(r.anchors[i].name);
    free(r.anchors);
    if (rc)
        ml_yaml_release(y);
    else
        ml_yaml_places_sort(y);
    return rc;
}
