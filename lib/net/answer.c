/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an HTTP answer means: headers, errors in words, pages that lead to the next. */
#include "net/http.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "data/json.h"
#include "net/url.h"

#define BLANK     " \t"
#define PARAM_MAX ((size_t)4 << 10)

const char *ml_http_header(const struct ml_http_res *res, const char *name, size_t nth)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < res->headers.n; i++) {
        const char *line = res->headers.v[i];

        if (strncmp(line, name, n) || line[n] != ':' || nth--)
            continue;
        return line + n + 1 + strspn(line + n + 1, " \t");
    }
    return NULL;
}

static bool is_html(const struct ml_http_res *res)
{
    const char *type = ml_http_header(res, "content-type", 0), *body = ml_buf_str(&res->body);

    body += strspn(body, " \t\r\n");
    return (type && !strncasecmp(type, "text/html", 9)) || !strncasecmp(body, "<!doctype html", 14) ||
           !strncasecmp(body, "<html", 5);
}

static bool hide(char *s, const char *secret)
{
    size_t n = strlen(secret);
    bool found = false;

    for (char *p = s; n >= 4 && (p = strstr(p, secret)); p += n) {
        memset(p, '*', n);
        found = true;
    }
    return found;
}

bool ml_http_hide(const char *credential, char *s)
{
    const char *value = credential ? strchr(credential, ':') : NULL, *word;
    bool found;

    if (!value || !s)
        return false;
    value += 1 + strspn(value + 1, " \t");
    word = strrchr(value, ' ');
    found = hide(s, value);
    return (word && hide(s, word + 1)) || found; /* without the scheme */
}

/* The server's own words, where it speaks JSON: {"errors": [{"code", "message", "detail"}]} (registries), {"message"}
 * and
 * {"error", "error_description"} (GitLab, OAuth). */
static void read_server_words(const struct ml_http_res *res, struct ml_buf *out)
{
    cJSON *v = res->body.len ? ml_json_parse(res->body.data, res->body.len, "answer", NULL) : NULL;
    const cJSON *first = cJSON_GetArrayItem(ml_json_get(v, "errors"), 0), *message = ml_json_get(v, "message");
    const char *s, *code = first ? ml_json_str(first, "code") : NULL,
                   *detail = first ? ml_json_str(first, "detail") : NULL;

    if (first) {
        s = ml_json_str(first, "message");
        ml_buf_addf(out, ": %s%s%s%s%s", code ? code : "", code && s ? ": " : "", s ? s : "", detail ? ": " : "",
            detail ? detail : "");
    } else if (cJSON_IsString(message)) {
        ml_buf_addf(out, ": %s", message->valuestring);
    } else if (message) {
        ml_buf_adds(out, ": ");
        ml_json_print(message, false, out);
    } else if ((s = ml_json_str(v, "error_description")) || (s = ml_json_str(v, "error"))) {
        ml_buf_addf(out, ": %s", s);
    }
    cJSON_Delete(v);
}

/* A server may repeat what it was sent. */
static void add_server_words(const struct ml_http_req *req, const struct ml_http_res *res, struct ml_buf *out)
{
    struct ml_buf words = ML_BUF_INIT;

    read_server_words(res, &words);
    if (words.len)
        ml_http_hide(req->credential, words.data);
    ml_buf_adds(out, ml_buf_str(&words));
    ml_buf_release(&words);
}

static const char *meaning(int status)
{
    switch (status) {
    case 400:
        return "bad request";
    case 401:
        return "not authenticated";
    case 403:
        return "forbidden";
    case 404:
        return "not found";
    case 408:
    case 499:
    case 504:
        return "timed out";
    case 409:
        return "conflict";
    case 413:
        return "too large for the server";
    case 429:
        return "too many requests";
    case 500:
        return "internal error of the server";
    case 502:
    case 503:
        return "not available";
    default:
        return status / 100 == 3 ? "unexpected redirect" : status / 100 == 2 ? "unexpected answer" : "refused";
    }
}

int ml_http_fail(const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err)
{
    bool later = res->status == 408 || res->status == 429 || res->status >= 499;
    const char *retry = ml_http_header(res, "retry-after", 0), *correlation = ml_http_header(res, "x-request-id", 0);
    char *public = ml_url_public(res->url ? res->url : req->url);
    struct ml_buf b;

    ml_buf_init(&b, 600);
    ml_buf_addf(&b, "%s %s '%s' with %s (%d)", req->what ? req->what : "the server", later ? "answers" : "refuses",
        public, meaning(res->status), res->status);
    if (is_html(res))
        ml_buf_adds(&b, ": a web page, not an API: is the address right, or a proxy in the way?");
    else
        add_server_words(req, res, &b);
    if (later && res->attempts > 1)
        ml_buf_addf(&b, ", after %d attempts", res->attempts);
    if (later && retry)
        ml_buf_addf(&b, "; it asks to wait %.32s", retry);
    if (res->status >= 500 && correlation)
        ml_buf_addf(&b, "; its request id is %.64s", correlation);
    if ((res->status == 401 || res->status == 403) && req->needs)
        ml_buf_addf(&b, "; this needs %s", req->needs);
    ml_err_set(err, later ? ML_UNREACHABLE : ML_REFUSED, "%s", ml_buf_str(&b));
    if (err)
        ml_text_harmless(err->msg);
    ml_buf_release(&b);
    free(public);
    return -1;
}

int ml_http_expect(const struct ml_http_req *req, const struct ml_http_res *res, int status, struct ml_err *err)
{
    if (status ? res->status == status : res->status / 100 == 2)
        return 0;
    return ml_http_fail(req, res, err);
}

int ml_http_api(const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err)
{
    char *public;

    if (!is_html(res))
        return 0;
    public = ml_url_public(res->url ? res->url : req->url);
    ml_err_set(err, ML_REFUSED,
        "'%s' answers with a web page where %s should be: is the address right, or a login or proxy in the way?",
        public, req->what ? req->what : "an API");
    free(public);
    return -1;
}

char *ml_http_word(const char **s, const char *ends, size_t max)
{
    const char *p = *s;
    struct ml_buf b;

    ml_buf_init(&b, max);
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++) {
            if (*p == '\\' && p[1])
                p++;
            ml_buf_addc(&b, *p);
        }
        p += *p == '"';
    } else {
        size_t n = strcspn(p, ends);

        ml_buf_add(&b, p, n);
        p += n;
    }
    *s = p;
    if (!b.full)
        return ml_buf_detach(&b);
    ml_buf_release(&b);
    return NULL;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (; *(list += strspn(list, BLANK)); list += strcspn(list, BLANK))
        if (strcspn(list, BLANK) == n && !strncasecmp(list, word, n))
            return true;
    return false;
}

/* The parameters behind a link's target (RFC 8288, section 3), up to the comma or the end: whether its rel, the first
 * one, holds "next". */
static bool says_next(const char **s)
{
    const char *p = *s;
    bool seen = false, next = false;

    while (*(p += strspn(p, BLANK ";")) && *p != ',') {
        const char *name = p;
        size_t n = strcspn(p, "=;,\"" BLANK);
        char *value;

        p += n;
        p += strspn(p, BLANK);
        if (*p == '=')
            p += 1 + strspn(p + 1, BLANK);
        else if (*p != '"')
            continue;
        value = ml_http_word(&p, ";," BLANK, PARAM_MAX);
        if (n == 3 && !strncasecmp(name, "rel", n) && !seen) {
            seen = true;
            next = value && has_word(value, "next");
        }
        free(value);
    }
    *s = p;
    return next;
}

/* The same path and query at the origin that answered. A server behind a proxy may call itself by another name, and to
 * take such a page for the last would lose the rest unseen. */
static char *at_home(const char *url, const char *home)
{
    struct ml_url u;
    size_t origin;
    char *s;

    if (ml_url_same_origin(url, home))
        return ml_strdup(url);
    if (ml_url_parse(url, &u, NULL))
        return NULL;
    origin = (size_t)(strstr(home, "://") - home) + 3;
    origin += strcspn(home + origin, "/?#");
    s = ml_format("%.*s%s", (int)origin, home, u.target);
    ml_url_release(&u);
    return s;
}

char *ml_http_next(const struct ml_http_res *res)
{
    const char *v;

    for (size_t i = 0; (v = ml_http_header(res, "link", i)); i++) {
        while (*(v += strspn(v, BLANK ","))) {
            const char *target = v + 1, *end = *v == '<' ? strchr(v, '>') : NULL;
            char *ref, *full, *next;

            if (!end)
                break;
            v = end + 1;
            if (!says_next(&v))
                continue;
            ref = ml_strndup(target, (size_t)(end - target));
            full = res->url ? ml_url_resolve(res->url, ref, NULL) : NULL;
            free(ref);
            next = full ? at_home(full, res->url) : NULL;
            free(full);
            return next;
        }
    }
    return NULL;
}

char *ml_http_basic(const char *user, const char *password)
{
    char *pair = ml_format("%s:%s", user, password);
    struct ml_buf b = ML_BUF_INIT;

    ml_buf_adds(&b, "Authorization: Basic ");
    ml_base64_encode(pair, strlen(pair), &b);
    free(pair);
    return ml_buf_detach(&b);
}

bool ml_http_plain_ok(const char *host, int port)
{
    const char *list = getenv("ML_HTTP_HOSTS");
    bool found = false;

    if (ml_host_loopback(host))
        return true;
    while (list && *list && !found) {
        size_t n = strcspn(list, ", ");
        char *entry = ml_strndup(list, n), *with_port = ml_format("%s:%d", host, port);

        found = !strcasecmp(entry, host) || !strcasecmp(entry, with_port);
        free(entry);
        free(with_port);
        list += n + strspn(list + n, ", ");
    }
    return found;
}
