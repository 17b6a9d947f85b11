/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON. One strict scanner of ours stands in front of cJSON: it refuses what RFC 8259 and I-JSON (RFC 7493) refuse, and
 * finds where the members of a document lie, so that what isn't ours is passed on as text. cJSON reads and builds only
 * values that we own. */
#ifndef ML_DATA_JSON_H
#define ML_DATA_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define ML_JSON_DEPTH 128

/* A piece of a text: an offset and a length. */
struct ml_span {
    size_t off, len;
};

/* One JSON value, white space around it allowed, and nothing else: valid UTF-8 (no BOM), no duplicate keys in any
 * object, at most ML_JSON_DEPTH deep, no NUL or lone surrogate in a string, only finite numbers. On failure: ML_LOCAL,
 * "<name>: line L, column C: why". `name` is how the message calls the text (a file's name). */
int ml_json_check(const char *text, size_t len, const char *name, struct ml_err *err);

/* The same for a line of a JSON Lines file: `line` is its number, from 1. */
int ml_json_check_line(const char *text, size_t len, const char *name, size_t line, struct ml_err *err);

/* ml_json_check, then cJSON's tree, owned (cJSON_Delete). */
cJSON *ml_json_parse(const char *text, size_t len, const char *name, struct ml_err *err);

/* Reads a file ("-": standard input) of at most max bytes and parses it. */
cJSON *ml_json_load(const char *path, size_t max, struct ml_err *err);

/* Text of a tree: numbers shortest-round-trip, non-ASCII as it is, keys in order. Indented by two spaces when pretty
 * (short arrays of numbers and strings stay on one line). Non-finite numbers become null. */
void ml_json_print(const cJSON *v, bool pretty, struct ml_buf *out);

/* A string as a JSON string with its quotes. */
void ml_json_quote(const char *s, size_t len, struct ml_buf *out);

/* Case-sensitive look-ups; NULL or false when there is no such member or it has another type. */
const cJSON *ml_json_get(const cJSON *obj, const char *key);     /* any type */
const cJSON *ml_json_path(const cJSON *obj, const char *dotted); /* "a.b.c" through objects */
const char *ml_json_str(const cJSON *obj, const char *key);      /* borrowed */
bool ml_json_num(const cJSON *obj, const char *key, double *out);
bool ml_json_int(const cJSON *obj, const char *key, int64_t *out); /* an integer within +-2^53 */
bool ml_json_true(const cJSON *obj, const char *key);              /* present and true */

/* Builders beside cJSON's own cJSON_Add…ToObject; a member of the same name is replaced. */
void ml_json_set(cJSON *obj, const char *key, cJSON *value);      /* takes ownership; NULL value becomes null */
void ml_json_set_str(cJSON *obj, const char *key, const char *s); /* NULL becomes null */
void ml_json_set_num(cJSON *obj, const char *key, double x);      /* non-finite becomes null */
void ml_json_set_int(cJSON *obj, const char *key, int64_t x);     /* all 64 bits survive */
void ml_json_set_bool(cJSON *obj, const char *key, bool b);
cJSON *ml_json_set_object(cJSON *obj, const char *key); /* the new object, borrowed */
cJSON *ml_json_set_array(cJSON *obj, const char *key);

/* The functions below work on a text that ml_json_check has accepted. */

struct ml_json_member {
    struct ml_span key;   /* with its quotes */
    struct ml_span value; /* without white space around it */
};

/* The members of the object that is the text (after white space): owned array (free), -1 when it isn't an object. */
int ml_json_members(const char *text, size_t len, struct ml_json_member **out, size_t *n);

/* The elements of the array in text[arr]: owned array (free), -1 when it isn't an array. */
int ml_json_elements(const char *text, struct ml_span arr, struct ml_span **out, size_t *n);

/* The value of member `key` of the object in text[obj]: 0, or 1 when there is none (or text[obj] is no object). */
int ml_json_find(const char *text, struct ml_span obj, const char *key, struct ml_span *value);

/* The value at a dotted path ("image.layers.0.digest") or, when it starts with '/', a JSON Pointer (RFC 6901): 0, or 1.
 * Each part between dots is a key; when that finds nothing, dots may be in keys, and of each object the longest one is
 * taken that the path goes on with. */
int ml_json_at(const char *text, size_t len, const char *path, struct ml_span *value);

/* The object in text[obj], with member `key` replaced in place or appended at its end by the JSON text `value`; all
 * other bytes as they are. */
void ml_json_splice(
    const char *text, struct ml_span obj, const char *key, const char *value, size_t value_len, struct ml_buf *out);

/* The array in text[arr] with one more element at its end. */
void ml_json_append(const char *text, struct ml_span arr, const char *value, size_t value_len, struct ml_buf *out);

/* The code point of the escape behind "\u" at s (n bytes are there); *used gets 4 or 10. -1: malformed, a lone
 * surrogate, or NUL. */
int ml_json_unicode(const char *s, size_t n, size_t *used);
/* The string in text[s] decoded (UTF-8, owned, NUL-terminated); NULL when it isn't a string. */
char *ml_json_decode(const char *text, struct ml_span s);

#endif
