/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether an answer is the one that was expected. */
#include "model/smoke.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define EXCERPT 200

char *ml_smoke_excerpt(const char *s, size_t len, size_t max)
{
    struct ml_buf out = { .max = max + 8 };
    size_t i = 0;

    while (i < len && out.len < max) {
        size_t n = ml_utf8_len(s + i, len - i);

        if (n == 0 || (n == 1 && ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)))
            ml_buf_addc(&out, s[i] == '\n' || s[i] == '\t' || s[i] == '\r' ? ' ' : '?');
        else
            ml_buf_add(&out, s + i, n);
        i += n ? n : 1;
    }
    if (i < len)
        ml_buf_adds(&out, "...");
    return ml_buf_detach(&out);
}

static char *value_excerpt(const cJSON *v)
{
    struct ml_buf text = ML_BUF_INIT;
    char *s;

    if (!v)
        return NULL;
    ml_json_print(v, false, &text);
    s = ml_smoke_excerpt(ml_buf_str(&text), text.len, EXCERPT);
    ml_buf_release(&text);
    return s;
}

/* The walk keeps the JSON Pointer of where it stands. */
struct walk {
    const struct ml_smoke_case *c;
    struct ml_buf at;
    struct ml_smoke_diff *diff;
};

static int differs(struct walk *w, const cJSON *expected, const cJSON *seen)
{
    *w->diff = (struct ml_smoke_diff){
        .at = ml_smoke_excerpt(ml_buf_str(&w->at), w->at.len, EXCERPT),
        .expected = value_excerpt(expected),
        .seen = value_excerpt(seen),
    };
    return 1;
}

static size_t enter(struct walk *w, const char *key)
{
    size_t before = w->at.len;

    ml_buf_addc(&w->at, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            ml_buf_adds(&w->at, *key == '~' ? "~0" : "~1");
        else
            ml_buf_addc(&w->at, *key);
    }
    return before;
}

static void leave(struct walk *w, size_t before)
{
    w->at.len = before;
    w->at.data[before] = '\0';
}

static int walk(struct walk *w, const cJSON *expected, const cJSON *seen);

static int walk_object(struct walk *w, const cJSON *expected, const cJSON *seen)
{
    for (const cJSON *m = expected->child; m; m = m->next) {
        const cJSON *other = ml_json_get(seen, m->string);
        size_t before = enter(w, m->string);

        if (other ? walk(w, m, other) : differs(w, m, NULL))
            return 1;
        leave(w, before);
    }
    for (const cJSON *m = w->c->subset ? NULL : seen->child; m; m = m->next) {
        if (ml_json_get(expected, m->string))
            continue;
        enter(w, m->string);
        return differs(w, NULL, m);
    }
    return 0;
}

static int walk_array(struct walk *w, const cJSON *expected, const cJSON *seen)
{
    const cJSON *a = expected->child, *b = seen->child;
    size_t i = 0;
    char key[24];

    if (cJSON_GetArraySize(expected) != cJSON_GetArraySize(seen))
        return differs(w, expected, seen);
    for (; a && b; a = a->next, b = b->next, i++) {
        size_t before;

        snprintf(key, sizeof key, "%zu", i);
        before = enter(w, key);
        if (walk(w, a, b))
            return 1;
        leave(w, before);
    }
    return 0;
}

static bool near(double expected, double seen, double tolerance)
{
    return expected == seen || fabs(expected - seen) <= tolerance * fmax(1, fabs(expected));
}

static int walk(struct walk *w, const cJSON *expected, const cJSON *seen)
{
    bool same = (expected->type & 0xff) == (seen->type & 0xff);

    if (same && cJSON_IsObject(expected))
        return walk_object(w, expected, seen);
    if (same && cJSON_IsArray(expected))
        return walk_array(w, expected, seen);
    if (same && cJSON_IsNumber(expected))
        same = near(expected->valuedouble, seen->valuedouble, w->c->tolerance);
    else if (same && cJSON_IsString(expected))
        same = !strcmp(expected->valuestring, seen->valuestring);
    return same ? 0 : differs(w, expected, seen);
}

int ml_smoke_match(const struct ml_smoke_case *c, const cJSON *seen, struct ml_smoke_diff *diff)
{
    struct walk w = { .c = c, .at = ML_BUF_INIT, .diff = diff };
    int rc = walk(&w, c->json, seen);

    ml_buf_release(&w.at);
    return rc;
}

void ml_smoke_diff_release(struct ml_smoke_diff *diff)
{
    free(diff->at);
    free(diff->expected);
    free(diff->seen);
    *diff = (struct ml_smoke_diff){ 0 };
}
