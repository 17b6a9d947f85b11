/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Basic and Bearer authentication to a registry. */
#include "oci/auth.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "data/json.h"
#include "net/url.h"
#include "oci/credentials.h"

#define TOKENS       8
#define DEFAULT_LIFE 60.0 /* seconds, where the server names none: the same document */
#define SCOPE_MAX    2000

enum kind { UNASKED, BASIC, BEARER };

struct token {
    char *scope, *header;
    double expires; /* on the monotonic clock */
};

struct ml_auth {
    char *host, *path;
    bool tls, looked;
    struct ml_credentials cred; /* user NULL: none */
    char *who;
    enum kind kind;
    char *basic; /* header */
    char *realm, *service;
    struct token tokens[TOKENS];
    size_t next; /* the slot that is replaced next */
};

struct ml_auth *ml_auth_new(const char *host, const char *path, bool tls)
{
    struct ml_auth *a = ml_calloc(1, sizeof *a);

    a->host = ml_strdup(host);
    a->path = ml_strdup(path);
    a->tls = tls;
    return a;
}

static void forget(struct token *t)
{
    if (t->header)
        explicit_bzero(t->header, strlen(t->header));
    free(t->header);
    free(t->scope);
    memset(t, 0, sizeof *t);
}

void ml_auth_free(struct ml_auth *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < TOKENS; i++)
        forget(&a->tokens[i]);
    if (a->basic)
        explicit_bzero(a->basic, strlen(a->basic));
    ml_credentials_release(&a->cred);
    free(a->basic);
    free(a->host);
    free(a->path);
    free(a->who);
    free(a->realm);
    free(a->service);
    free(a);
}

const char *ml_auth_who(const struct ml_auth *a)
{
    return a->who ? a->who : "nobody";
}

static int look(struct ml_auth *a, struct ml_err *err)
{
    if (a->looked)
        return 0;
    if (ml_credentials_find(a->host, a->path, &a->cred, err) < 0)
        return -1;
    a->looked = true;
    if (a->cred.user) {
        a->who = ml_format("user '%s' (from %s)", a->cred.user, a->cred.source);
        a->basic = ml_http_basic(a->cred.user, a->cred.password);
    } else {
        a->who = ml_format("nobody, as there are no credentials for '%s' (CI_REGISTRY_USER and CI_REGISTRY_PASSWORD "
                           "for CI_REGISTRY, or "
                           "DOCKER_AUTH_CONFIG)",
            a->host);
    }
    return 0;
}

/* ---- the challenge: RFC 9110, section 11.6.1 ---- */

char *ml_auth_parameter(const char *p, const char *name)
{
    size_t n = strlen(name);

    while (*p) {
        size_t key;
        struct ml_buf value;
        bool hit;

        p += strspn(p, " \t,");
        key = strcspn(p, "= \t,");
        hit = key == n && !strncasecmp(p, name, n);
        p += key;
        p += strspn(p, " \t");
        if (*p != '=')
            continue;
        p++;
        p += strspn(p, " \t");
        ml_buf_init(&value, SCOPE_MAX);
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++) {
                if (*p == '\\' && p[1])
                    p++;
                ml_buf_addc(&value, *p);
            }
            p += *p == '"';
        } else {
            size_t len = strcspn(p, ", \t");

            ml_buf_add(&value, p, len);
            p += len;
        }
        if (hit && !value.full)
            return ml_buf_detach(&value);
        ml_buf_release(&value);
    }
    return NULL;
}

/* Takes the strongest challenge of an answer that we can meet, and the scope it asks for. 1 when there is none. */
static int learn(struct ml_auth *a, const struct ml_http_res *res, char **extra)
{
    const char *v;
    int rv = 1;

    for (size_t i = 0; (v = ml_http_header(res, "www-authenticate", i)); i++) {
        if (!strncasecmp(v, "Bearer ", 7)) {
            char *realm = ml_auth_parameter(v + 7, "realm");

            if (!realm)
                continue;
            free(a->realm);
            free(a->service);
            a->realm = realm;
            a->service = ml_auth_parameter(v + 7, "service");
            free(*extra);
            *extra = ml_auth_parameter(v + 7, "scope");
            a->kind = BEARER;
            return 0;
        }
        if (!strncasecmp(v, "Basic", 5) && (!v[5] || isspace((unsigned char)v[5]))) {
            a->kind = BASIC;
            rv = 0;
        }
    }
    return rv;
}

/* ---- tokens ---- */

static char *server_host(void)
{
    const char *url = getenv("CI_SERVER_URL");
    struct ml_url u;
    char *host;

    if (!url || !*url || ml_url_parse(url, &u, NULL))
        return NULL;
    host = ml_strdup(u.host);
    ml_url_release(&u);
    return host;
}

/* Whether our user and password may go to the realm. TLS (or, from a registry on this machine, this machine); and where
 * we know who issues tokens for this registry, nobody else gets them, whatever the registry says. */
static int check_realm(const struct ml_auth *a, struct ml_err *err)
{
    struct ml_url u;
    char *gitlab;
    int rv = 0;

    if (ml_url_parse(a->realm, &u, err)) {
        ml_err_wrap(err, "the token realm that '%s' names", a->host);
        if (err)
            err->code = ML_REFUSED;
        return -1;
    }
    if (strcmp(u.scheme, "https") && (a->tls || !ml_http_plain_ok(u.host, u.port))) {
        rv = ml_err_set(err, ML_REFUSED,
            "registry '%s' names the token realm 'http://%s:%d', which isn't protected by TLS: nothing was sent to it",
            a->host, u.host, u.port);
        goto out;
    }
    gitlab = a->cred.user && ml_credentials_gitlab(a->host) ? server_host() : NULL;
    if (gitlab && strcmp(gitlab, u.host))
        rv = ml_err_set(err, ML_REFUSED,
            "registry '%s' names a token realm on '%s', but tokens for it come from '%s' (CI_SERVER_URL): no "
            "credentials were sent",
            a->host, u.host, gitlab);
    free(gitlab);
out:
    ml_url_release(&u);
    return rv;
}

/* Appends each scope of a list that the URL doesn't have yet. */
static void add_scopes(struct ml_buf *url, struct ml_strs *seen, const char *scopes)
{
    while (scopes && *scopes) {
        size_t n = strcspn(scopes, " ");
        char *one = ml_strndup(scopes, n);

        if (n && !ml_strs_has(seen, one)) {
            ml_strs_add(seen, one);
            ml_url_query(url, "scope", one);
        }
        free(one);
        scopes += n + strspn(scopes + n, " ");
    }
}

static int take_token(
    struct ml_auth *a, const char *scope, const struct ml_http_res *res, struct token *t, struct ml_err *err)
{
    cJSON *doc = ml_json_parse(ml_buf_str(&res->body), res->body.len, "the token server's answer", err);
    const char *s = ml_json_str(doc, "token");
    double life = DEFAULT_LIFE;
    int rv = -1;

    if (!doc) {
        if (err)
            err->code = ML_REFUSED;
        return -1;
    }
    if (!s || !*s)
        s = ml_json_str(doc, "access_token");
    if (!s || !*s || strpbrk(s, "\r\n")) {
        ml_err_set(err, ML_REFUSED, "the token server of '%s' answers without a token", a->host);
        goto out;
    }
    ml_json_num(doc, "expires_in", &life);
    if (life < 1)
        life = 1;
    forget(t);
    t->scope = ml_strdup(scope);
    t->header = ml_format("Authorization: Bearer %s", s);
    /* old enough to be replaced a minute before it ends, or when three quarters are over */
    t->expires = ml_clock_monotonic() + (life > 240 ? life - 60 : life * 0.75);
    rv = 0;
out:
    cJSON_Delete(doc);
    return rv;
}

/* `extra`: what the registry's challenge asked for, NULL for nothing: a proxy may know the repository by another name.
 */
static int fetch_token(
    struct ml_auth *a, struct ml_http *http, const char *scope, const char *extra, struct token *t, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_buf url = ML_BUF_INIT;
    struct ml_strs seen = { 0 };
    char *needs = NULL;
    int rv = -1;

    if (look(a, err) || check_realm(a, err))
        return -1;
    ml_buf_adds(&url, a->realm);
    if (a->service)
        ml_url_query(&url, "service", a->service);
    add_scopes(&url, &seen, scope);
    add_scopes(&url, &seen, extra);
    needs = ml_format("valid credentials for registry '%s'; it was asked by %s", a->host, ml_auth_who(a));
    req.url = url.data;
    req.credential = a->basic;
    req.max = (size_t)1 << 20;
    req.what = "the token server";
    req.needs = needs;
    if (ml_http_send(http, &req, &res, err) || ml_http_expect(&req, &res, 200, err) || ml_http_api(&req, &res, err))
        goto out;
    rv = take_token(a, scope, &res, t, err);
out:
    if (res.body.data)
        explicit_bzero(res.body.data, res.body.len);
    ml_http_res_release(&res);
    ml_buf_release(&url);
    ml_strs_release(&seen);
    free(needs);
    return rv;
}

static struct token *slot_for(struct ml_auth *a, const char *scope)
{
    for (size_t i = 0; i < TOKENS; i++)
        if (a->tokens[i].scope && !strcmp(a->tokens[i].scope, scope))
            return &a->tokens[i];
    return &a->tokens[a->next++ % TOKENS];
}

int ml_auth_header(struct ml_auth *a, struct ml_http *http, const char *scope, const char **header, struct ml_err *err)
{
    struct token *t;

    *header = NULL;
    if (a->kind == UNASKED)
        return 0;
    if (a->kind == BASIC) {
        *header = a->basic;
        return 0;
    }
    t = slot_for(a, scope);
    if ((!t->header || strcmp(t->scope, scope) || ml_clock_monotonic() >= t->expires) &&
        fetch_token(a, http, scope, NULL, t, err))
        return -1;
    *header = t->header;
    return 0;
}

int ml_auth_challenged(struct ml_auth *a, struct ml_http *http, const char *scope, const struct ml_http_res *res,
    const char **header, struct ml_err *err)
{
    enum kind before = a->kind;
    char *extra = NULL;
    struct token *t;
    int rv = 1;

    *header = NULL;
    if (learn(a, res, &extra))
        goto out;
    rv = look(a, err);
    if (rv)
        goto out;
    if (a->kind == BASIC) {
        *header = a->basic;
        rv = a->basic && before == UNASKED ? 0 : 1; /* the same password isn't better the second time */
        goto out;
    }
    t = slot_for(a, scope);
    rv = fetch_token(a, http, scope, extra, t, err);
    if (!rv)
        *header = t->header;
out:
    free(extra);
    return rv;
}
