/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict scanner and the work on its text: what is accepted is what cJSON reads too, prints and comes back, and
 * splicing touches nothing else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Printed, either way, it is JSON again, and the same. */
static void prints(const char *text, size_t len)
{
    cJSON *v = ml_json_parse(text, len, "fuzz", NULL), *again;

    require(v != NULL);
    for (int pretty = 0; pretty < 2; pretty++) {
        struct ml_buf out = ML_BUF_INIT;

        ml_json_print(v, pretty, &out);
        again = ml_json_parse(ml_buf_str(&out), out.len, "printed", NULL);
        require(again && cJSON_Compare(v, again, true));
        cJSON_Delete(again);
        ml_buf_release(&out);
    }
    cJSON_Delete(v);
}

static void splices(const char *text, size_t len, const char *key, struct ml_json_member *m, size_t n)
{
    struct ml_buf out = ML_BUF_INIT;
    struct ml_span v;
    size_t changed = n;
    struct ml_json_member *after;
    size_t nafter;

    ml_json_splice(text, (struct ml_span){ 0, len }, key, "[7]", 3, &out);
    require(ml_json_check(ml_buf_str(&out), out.len, "spliced", NULL) == 0);
    require(ml_json_find(out.data, (struct ml_span){ 0, out.len }, key, &v) == 0);
    require(v.len == 3 && !memcmp(out.data + v.off, "[7]", 3));
    require(ml_json_members(out.data, out.len, &after, &nafter) == 0);
    for (size_t i = 0; i < n; i++) {
        char *name = ml_json_decode(text, m[i].key);

        require(name != NULL);
        if (!strcmp(name, key))
            changed = i;
        else
            require(after[i].value.len == m[i].value.len &&
                    !memcmp(out.data + after[i].value.off, text + m[i].value.off, m[i].value.len));
        free(name);
    }
    require(nafter == n + (changed == n));
    free(after);
    ml_buf_release(&out);
}

static void takes_apart(const char *text, size_t len)
{
    struct ml_json_member *m = NULL;
    struct ml_span v;
    size_t n;

    if (ml_json_members(text, len, &m, &n) < 0)
        return;
    for (size_t i = 0; i < n && i < 8; i++) {
        char *name = ml_json_decode(text, m[i].key);

        require(m[i].value.off + m[i].value.len <= len);
        require(ml_json_check(text + m[i].value.off, m[i].value.len, "member", NULL) == 0);
        require(ml_json_find(text, (struct ml_span){ 0, len }, name, &v) == 0 && v.off == m[i].value.off);
        splices(text, len, name, m, n);
        free(name);
    }
    splices(text, len, "no such member", m, n);
    free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = ml_strndup((const char *)data, size);
    struct ml_err err = ML_ERR_INIT;
    struct ml_span v;

    if (ml_json_check(text, size, "fuzz", &err) == 0) {
        prints(text, size);
        takes_apart(text, size);
        ml_json_at(text, size, "a.0.b", &v);
        ml_json_at(text, size, "/a/0/b~1c", &v);
        ml_json_at(text, size, text, &v);
    } else {
        require(err.code == ML_LOCAL && strstr(err.msg, "line "));
    }
    free(text);
    return 0;
}
