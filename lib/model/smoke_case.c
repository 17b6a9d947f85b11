/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Case files. */
#include "model/smoke.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "net/url.h"

#define FILE_MAX ((size_t)64 << 20)

/* A line on its way to a case. */
struct line {
    const char *file, *text;
    size_t len;
    const cJSON *obj;
    struct ml_smoke_case *c;
    struct ml_err *err;
};

static int bad(struct line *l, const char *why, const char *what)
{
    return ml_err_set(
        l->err, ML_LOCAL, "'%s': line %zu: %s%.80s%s", l->file, l->c->line, why, what ? what : "", what ? "'" : "");
}

static bool is_token(const char *s)
{
    return *s &&
           strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(s);
}

static int take_path(struct line *l)
{
    const char *path = ml_json_str(l->obj, "path");
    struct ml_err why = ML_ERR_INIT;
    struct ml_url u;
    char *url;
    int rc;

    if (!path || path[0] != '/')
        return bad(l, "\"path\" is missing, or isn't a string that begins with '/'", NULL);
    url = ml_format("http://localhost%s", path);
    rc = ml_url_parse(url, &u, &why);
    free(url);
    if (rc < 0)
        return bad(l, "\"path\" can't stand in a URL: '", path);
    ml_url_release(&u);
    l->c->path = ml_strdup(path);
    return 0;
}

static int take_method(struct line *l)
{
    const cJSON *m = ml_json_get(l->obj, "method");
    const char *method = l->c->body ? "POST" : "GET";

    if (m) {
        method = cJSON_GetStringValue((cJSON *)m);
        if (!method || !is_token(method))
            return bad(l, "\"method\" isn't the name of a method", NULL);
    }
    l->c->method = ml_strdup(method);
    if (!strcmp(method, "HEAD") && l->c->json)
        return bad(l, "an answer to HEAD has no body, so \"json\" can't be", NULL);
    return 0;
}

static int take_headers(struct line *l)
{
    const cJSON *h = ml_json_get(l->obj, "headers");

    if (h && !cJSON_IsObject(h))
        return bad(l, "\"headers\" isn't an object", NULL);
    for (h = h ? h->child : NULL; h; h = h->next) {
        const char *value = cJSON_GetStringValue((cJSON *)h);
        char *header;

        if (!is_token(h->string))
            return bad(l, "not the name of a header: '", h->string);
        if (!value || strpbrk(value, "\r\n"))
            return bad(l, "a header's value is a string of one line, unlike that of '", h->string);
        /* "Name;" is how libcurl is told to send a header without a value */
        header = *value ? ml_format("%s: %s", h->string, value) : ml_format("%s;", h->string);
        ml_strs_add(&l->c->headers, header);
        free(header);
    }
    return 0;
}

static const char *content_type(const struct ml_smoke_case *c)
{
    for (size_t i = 0; i < c->headers.n; i++)
        if (!strncasecmp(c->headers.v[i], "Content-Type:", 13))
            return c->headers.v[i] + 13;
    return NULL;
}

static void take_body(struct line *l)
{
    const char *type = content_type(l->c);
    struct ml_span v;

    if (ml_json_find(l->text, (struct ml_span){ 0, l->len }, "body", &v) != 0)
        return;
    if (type && !strcasestr(type, "json") && l->text[v.off] == '"') {
        l->c->body = ml_json_decode(l->text, v);
        l->c->body_len = strlen(l->c->body);
        return;
    }
    l->c->body = ml_strndup(l->text + v.off, v.len);
    l->c->body_len = v.len;
    if (!type)
        ml_strs_add(&l->c->headers, "Content-Type: application/json");
}

static int take_expectation(struct line *l)
{
    const cJSON *match = ml_json_get(l->obj, "match"), *tolerance = ml_json_get(l->obj, "tolerance");
    const char *how = match ? cJSON_GetStringValue((cJSON *)match) : "exact";
    int64_t status = 200;

    if (ml_json_get(l->obj, "status") && (!ml_json_int(l->obj, "status", &status) || status < 100 || status > 599))
        return bad(l, "\"status\" isn't a number from 100 to 599", NULL);
    l->c->status = (int)status;
    if (!how || (strcmp(how, "exact") != 0 && strcmp(how, "subset") != 0 && strcmp(how, "tolerance") != 0))
        return bad(l, "\"match\" is none of \"exact\", \"subset\", \"tolerance\"", NULL);
    l->c->subset = !strcmp(how, "subset");
    l->c->tolerance = strcmp(how, "tolerance") ? 0 : 1e-6;
    if (tolerance && (!ml_json_num(l->obj, "tolerance", &l->c->tolerance) || l->c->tolerance < 0))
        return bad(l, "\"tolerance\" isn't a number from 0 up", NULL);
    if (ml_json_get(l->obj, "json"))
        l->c->json = cJSON_Duplicate(ml_json_get(l->obj, "json"), true);
    else if (match || tolerance)
        return bad(l, "\"match\" and \"tolerance\" mean nothing without \"json\"", NULL);
    return 0;
}

static int take_case(struct line *l)
{
    static const char *const known[] = { "method", "path", "headers", "body", "status", "json", "match", "tolerance",
        "name" };
    const cJSON *name = ml_json_get(l->obj, "name");

    if (!cJSON_IsObject(l->obj))
        return bad(l, "a case is a JSON object", NULL);
    for (const cJSON *m = l->obj->child; m; m = m->next) {
        size_t i = 0;

        while (i < sizeof known / sizeof *known && strcmp(known[i], m->string) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return bad(l, "unknown member '", m->string);
    }
    if (name && !cJSON_IsString(name))
        return bad(l, "\"name\" isn't a string", NULL);
    if (name)
        l->c->name = ml_strdup(name->valuestring);
    if (take_path(l) < 0 || take_headers(l) < 0 || take_expectation(l) < 0)
        return -1;
    take_body(l);
    return take_method(l);
}

static int add_line(
    struct ml_smoke_cases *cases, const char *file, size_t number, const char *text, size_t len, struct ml_err *err)
{
    struct line l = { .file = file, .text = text, .len = len, .err = err };
    cJSON *obj;
    int rc;

    if (ml_json_check_line(text, len, file, number, err) < 0)
        return -1;
    obj = cJSON_ParseWithLength(text, len);
    cases->v = ml_grow(cases->v, &cases->cap, cases->n + 1, sizeof *cases->v);
    l.obj = obj;
    l.c = &cases->v[cases->n++];
    *l.c = (struct ml_smoke_case){ .line = number };
    rc = take_case(&l);
    cJSON_Delete(obj);
    return rc;
}

static bool is_blank(const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || *text == '\t' || *text == '\r')) {
        text++;
        len--;
    }
    return len == 0;
}

int ml_smoke_parse(const char *text, size_t len, const char *file, struct ml_smoke_cases *out, struct ml_err *err)
{
    size_t line = 0;

    *out = (struct ml_smoke_cases){ 0 };
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;

        line++;
        if (!is_blank(text, n) && add_line(out, file, line, text, n, err) < 0)
            goto fail;
        n += end != NULL;
        text += n;
        len -= n;
    }
    if (out->n > 0)
        return 0;
    ml_err_set(err, ML_LOCAL, "'%s' holds no cases, so it would prove nothing", file);
fail:
    ml_smoke_cases_release(out);
    return -1;
}

int ml_smoke_load(const char *file, struct ml_smoke_cases *out, struct ml_err *err)
{
    struct ml_buf text = { .max = FILE_MAX };
    int rc = ml_file_read(file, &text, err);

    *out = (struct ml_smoke_cases){ 0 };
    if (rc == 0)
        rc = ml_smoke_parse(ml_buf_str(&text), text.len, strcmp(file, "-") ? file : "standard input", out, err);
    ml_buf_release(&text);
    return rc;
}

void ml_smoke_cases_release(struct ml_smoke_cases *cases)
{
    for (size_t i = 0; i < cases->n; i++) {
        struct ml_smoke_case *c = &cases->v[i];

        free(c->name);
        free(c->method);
        free(c->path);
        free(c->body);
        ml_strs_release(&c->headers);
        cJSON_Delete(c->json);
    }
    free(cases->v);
    *cases = (struct ml_smoke_cases){ 0 };
}
