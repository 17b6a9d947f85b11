/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cJSON trees of what we own: parsing behind the scanner, printing without loss, look-ups and builders. */
#include "data/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

cJSON *ml_json_parse(const char *text, size_t len, const char *name, struct ml_err *err)
{
    cJSON *v;

    if (ml_json_check(text, len, name, err) < 0)
        return NULL;
    v = cJSON_ParseWithLength(text, len);
    if (!v)
        ml_err_set(err, ML_LOCAL, "'%s': not JSON", name);
    return v;
}

cJSON *ml_json_load(const char *path, size_t max, struct ml_err *err)
{
    struct ml_buf b = { .max = max };
    cJSON *v = NULL;

    if (ml_file_read(path, &b, err) == 0)
        v = ml_json_parse(ml_buf_str(&b), b.len, strcmp(path, "-") ? path : "standard input", err);
    ml_buf_release(&b);
    return v;
}

void ml_json_quote(const char *s, size_t len, struct ml_buf *out)
{
    ml_buf_addc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '"' || c == '\\')
            ml_buf_addf(out, "\\%c", c);
        else if (c == '\n')
            ml_buf_adds(out, "\\n");
        else if (c == '\t')
            ml_buf_adds(out, "\\t");
        else if (c == '\r')
            ml_buf_adds(out, "\\r");
        else if (c < 0x20 || c == 0x7f)
            ml_buf_addf(out, "\\u%04x", c);
        else
            ml_buf_addc(out, (char)c);
    }
    ml_buf_addc(out, '"');
}

static bool is_flat(const cJSON *v)
{
    int n = 0;
    const cJSON *c;

    for (c = v->child; c; c = c->next)
        if (++n > 200 || (c->type & (cJSON_Object | cJSON_Array)))
            return false;
    return true;
}

static void print(const cJSON *v, int depth, struct ml_buf *out);

/* depth < 0: no white space at all */
static void print_children(const cJSON *v, int depth, bool object, struct ml_buf *out)
{
    bool lines = depth >= 0 && v->child && (object || !is_flat(v));

    ml_buf_addc(out, object ? '{' : '[');
    for (const cJSON *c = v->child; c; c = c->next) {
        if (lines)
            ml_buf_addf(out, "\n%*s", 2 * (depth + 1), "");
        if (object) {
            ml_json_quote(c->string, strlen(c->string), out);
            ml_buf_adds(out, depth >= 0 ? ": " : ":");
        }
        print(c, depth >= 0 ? depth + 1 : depth, out);
        if (c->next)
            ml_buf_adds(out, depth >= 0 && !lines ? ", " : ",");
    }
    if (lines)
        ml_buf_addf(out, "\n%*s", 2 * depth, "");
    ml_buf_addc(out, object ? '}' : ']');
}

static void print(const cJSON *v, int depth, struct ml_buf *out)
{
    char num[32];

    switch (v->type & 0xff) {
    case cJSON_Object:
    case cJSON_Array:
        print_children(v, depth, (v->type & 0xff) == cJSON_Object, out);
        break;
    case cJSON_String:
        ml_json_quote(v->valuestring, strlen(v->valuestring), out);
        break;
    case cJSON_Raw:
        ml_buf_adds(out, v->valuestring);
        break;
    case cJSON_True:
        ml_buf_adds(out, "true");
        break;
    case cJSON_False:
        ml_buf_adds(out, "false");
        break;
    case cJSON_Number:
        if (isfinite(v->valuedouble)) {
            ml_double_format(v->valuedouble, num);
            ml_buf_adds(out, num);
            break;
        }
        /* fall through */
    default:
        ml_buf_adds(out, "null");
    }
}

void ml_json_print(const cJSON *v, bool pretty, struct ml_buf *out)
{
    print(v, pretty ? 0 : -1, out);
}

const cJSON *ml_json_get(const cJSON *obj, const char *key)
{
    return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

const cJSON *ml_json_path(const cJSON *obj, const char *dotted)
{
    char key[256];

    while (obj && *dotted) {
        size_t n = strcspn(dotted, ".");

        if (n >= sizeof key)
            return NULL;
        memcpy(key, dotted, n);
        key[n] = '\0';
        obj = ml_json_get(obj, key);
        dotted += n + (dotted[n] == '.');
    }
    return obj;
}

const char *ml_json_str(const cJSON *obj, const char *key)
{
    return cJSON_GetStringValue((cJSON *)ml_json_get(obj, key));
}

bool ml_json_num(const cJSON *obj, const char *key, double *out)
{
    const cJSON *v = ml_json_get(obj, key);

    if (!cJSON_IsNumber(v))
        return false;
    *out = v->valuedouble;
    return true;
}

bool ml_json_int(const cJSON *obj, const char *key, int64_t *out)
{
    double x;

    if (!ml_json_num(obj, key, &x) || x != floor(x) || fabs(x) > 9007199254740992.0)
        return false;
    *out = (int64_t)x;
    return true;
}

bool ml_json_true(const cJSON *obj, const char *key)
{
    return cJSON_IsTrue(ml_json_get(obj, key));
}

void ml_json_set(cJSON *obj, const char *key, cJSON *value)
{
    if (!value)
        value = cJSON_CreateNull();
    if (cJSON_GetObjectItemCaseSensitive(obj, key))
        cJSON_ReplaceItemInObjectCaseSensitive(obj, key, value);
    else
        cJSON_AddItemToObject(obj, key, value);
}

void ml_json_set_str(cJSON *obj, const char *key, const char *s)
{
    ml_json_set(obj, key, s ? cJSON_CreateString(s) : NULL);
}

void ml_json_set_num(cJSON *obj, const char *key, double x)
{
    ml_json_set(obj, key, isfinite(x) ? cJSON_CreateNumber(x) : NULL);
}

void ml_json_set_int(cJSON *obj, const char *key, int64_t x)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)x);
    /* as a number where a double holds it, so that it can be read back from the tree too */
    ml_json_set(obj, key,
        x >= -999999999999999 && x <= 999999999999999 ? cJSON_CreateNumber((double)x) : cJSON_CreateRaw(text));
}

void ml_json_set_bool(cJSON *obj, const char *key, bool b)
{
    ml_json_set(obj, key, cJSON_CreateBool(b));
}

cJSON *ml_json_set_object(cJSON *obj, const char *key)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set(obj, key, v);
    return v;
}

cJSON *ml_json_set_array(cJSON *obj, const char *key)
{
    cJSON *v = cJSON_CreateArray();

    ml_json_set(obj, key, v);
    return v;
}
