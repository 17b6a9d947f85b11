/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking token servers. */
#include "oci/token.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/mem.h"
#include "data/json.h"
#include "net/url.h"

#define DEFAULT_LIFE 60.0 /* seconds, where the server names none: token.md */
#define MARGIN       60.0
#define REFUSALS     3

void ml_token_release(struct ml_token *t)
{
    ml_wipe(t->header);
    memset(t, 0, sizeof *t);
}

/* ---- who was refused ---- */

/* What a realm said no to, for as long as the process lives. */
struct refusal {
    struct ml_digest who; /* of realm and credentials */
    char *scope;          /* NULL: all */
    struct ml_err why;
    struct refusal *next;
};

static struct refusal *refusals;
static pthread_mutex_t refusals_lock = PTHREAD_MUTEX_INITIALIZER;

static struct ml_digest asker(const struct ml_token_ask *ask)
{
    struct ml_buf b = ML_BUF_INIT;
    struct ml_digest d;

    ml_buf_addf(
        &b, "%s\n%s\n%s", ask->realm, ask->basic ? ask->basic : "", ask->cred->identity ? ask->cred->identity : "");
    ml_digest_bytes(b.data, b.len, &d);
    ml_buf_wipe(&b);
    return d;
}

static bool was_refused(const struct ml_digest *who, const char *scope, struct ml_err *err)
{
    int times = 0;
    bool found = false;

    pthread_mutex_lock(&refusals_lock);
    for (struct refusal *r = refusals; r && !found; r = r->next) {
        if (!ml_digest_eq(&r->who, who))
            continue;
        found = !r->scope || !strcmp(r->scope, scope) || ++times == REFUSALS;
        if (found && err)
            *err = r->why;
    }
    pthread_mutex_unlock(&refusals_lock);
    return found;
}

static void remember(const struct ml_digest *who, const char *scope, int status, const struct ml_err *why)
{
    struct refusal *r = ml_calloc(1, sizeof *r);

    r->who = *who;
    r->scope = status == 403 ? ml_strdup(scope) : NULL;
    r->why = *why;
    pthread_mutex_lock(&refusals_lock);
    r->next = refusals;
    refusals = r;
    pthread_mutex_unlock(&refusals_lock);
}

/* ---- asking ---- */

static char *server_host(void)
{
    const char *url = ml_env("CI_SERVER_URL");
    struct ml_url u;
    char *host;

    if (!url || ml_url_parse(url, &u, NULL))
        return NULL;
    host = ml_strdup(u.host);
    ml_url_release(&u);
    return host;
}

/* Whether our credentials may go to the realm. TLS (or, from a registry on this machine, this machine); and where we
 * know who issues tokens for this registry, nobody else gets them, whatever the registry says. */
static int check_realm(const struct ml_token_ask *ask, struct ml_err *err)
{
    struct ml_url u;
    char *gitlab;
    int rv = 0;

    if (ml_url_parse(ask->realm, &u, err)) {
        ml_err_wrap(err, "the token realm that '%s' names", ask->registry);
        if (err)
            err->code = ML_REFUSED;
        return -1;
    }
    if (strcmp(u.scheme, "https") && (ask->tls || !ml_http_plain_ok(u.host, u.port))) {
        rv = ml_err_set(err, ML_REFUSED,
            "registry '%s' names the token realm 'http://%s:%d', which isn't protected by TLS: nothing was sent to it",
            ask->registry, u.host, u.port);
        goto out;
    }
    gitlab = (ask->basic || ask->cred->identity) && ml_credentials_gitlab(ask->registry) ? server_host() : NULL;
    if (gitlab && strcmp(gitlab, u.host))
        rv = ml_err_set(err, ML_REFUSED,
            "registry '%s' names a token realm on '%s', but tokens for it come from '%s' (CI_SERVER_URL): no "
            "credentials were sent",
            ask->registry, u.host, gitlab);
    free(gitlab);
out:
    ml_url_release(&u);
    return rv;
}

/* All scopes of both lists, each once. */
static void all_scopes(const struct ml_token_ask *ask, struct ml_strs *out)
{
    const char *lists[] = { ask->scope, ask->extra };

    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2; i++) {
        for (const char *s = lists[i]; s && *(s += strspn(s, " "));) {
            size_t n = strcspn(s, " ");
            char *one = ml_strndup(s, n);

            if (!ml_strs_has(out, one))
                ml_strs_add(out, one);
            free(one);
            s += n;
        }
    }
}

static int get(struct ml_http *http, const struct ml_token_ask *ask, struct ml_http_req *req, struct ml_http_res *res,
    struct ml_err *err)
{
    struct ml_buf url = ML_BUF_INIT;
    struct ml_strs scopes;
    int rv;

    ml_buf_adds(&url, ask->realm);
    if (ask->service)
        ml_url_query(&url, "service", ask->service);
    all_scopes(ask, &scopes);
    for (size_t i = 0; i < scopes.n; i++)
        ml_url_query(&url, "scope", scopes.v[i]);
    req->url = url.data;
    req->credential = ask->basic;
    rv = ml_http_send(http, req, res, err);
    req->url = ask->realm;
    ml_strs_release(&scopes);
    ml_buf_release(&url);
    return rv;
}

/* oauth.md: here the scopes are one list, and the secret stands in the form. */
static int post(struct ml_http *http, const struct ml_token_ask *ask, struct ml_http_req *req, struct ml_http_res *res,
    struct ml_err *err)
{
    const char *secret = ask->cred->identity ? ask->cred->identity : ask->cred->password;
    struct ml_buf form = ML_BUF_INIT, list = ML_BUF_INIT;
    struct ml_strs scopes, headers = { 0 };
    int rv;

    all_scopes(ask, &scopes);
    for (size_t i = 0; i < scopes.n; i++)
        ml_buf_addf(&list, "%s%s", i ? " " : "", scopes.v[i]);
    ml_url_query(&form, "grant_type", ask->cred->identity ? "refresh_token" : "password");
    ml_url_query(&form, "client_id", "mlci");
    if (ask->service)
        ml_url_query(&form, "service", ask->service);
    if (list.len)
        ml_url_query(&form, "scope", list.data);
    if (!ask->cred->identity)
        ml_url_query(&form, "username", ask->cred->user);
    ml_url_query(&form, ask->cred->identity ? "refresh_token" : "password", secret);
    ml_strs_add(&headers, "Content-Type: application/x-www-form-urlencoded");
    req->method = "POST";
    req->url = ask->realm;
    req->credential = NULL;
    req->headers = &headers;
    req->body = form.data + 1; /* without the '?' */
    req->body_len = form.len - 1;
    rv = ml_http_send(http, req, res, err);
    req->headers = NULL;
    req->body = NULL;
    ml_buf_wipe(&form);
    ml_buf_release(&list);
    ml_strs_release(&headers);
    ml_strs_release(&scopes);
    return rv;
}

static int take_token(const struct ml_token_ask *ask, const struct ml_http_res *res, double asked, struct ml_token *out,
    struct ml_err *err)
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
    if (!s || !*s || strpbrk(s, " \t\r\n")) {
        ml_err_set(err, ML_REFUSED, "the token server of '%s' answers without a token", ask->registry);
        goto out;
    }
    ml_json_num(doc, "expires_in", &life);
    if (!(life >= 1))
        life = 1;
    out->header = ml_format("Authorization: Bearer %s", s);
    out->expires = asked + life;
    out->margin = life > 2 * MARGIN ? MARGIN : life / 2;
    rv = 0;
out:
    cJSON_Delete(doc);
    return rv;
}

/* The server's words must not repeat what was in a form. */
static void hide_secret(const struct ml_token_ask *ask, struct ml_err *err)
{
    const char *secret = ask->cred->identity ? ask->cred->identity : ask->cred->password;
    char *as_header = secret && err ? ml_format("x: %s", secret) : NULL;

    if (as_header)
        ml_http_hide(as_header, err->msg);
    ml_wipe(as_header);
}

int ml_token_fetch(struct ml_http *http, const struct ml_token_ask *ask, struct ml_token *out, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err why = ML_ERR_INIT;
    struct ml_digest who = asker(ask);
    double asked = ml_clock_monotonic();
    char *needs;
    int rv;

    memset(out, 0, sizeof *out);
    if (check_realm(ask, err))
        return -1;
    if (was_refused(&who, ask->scope, err))
        return -1;
    needs = ml_format("valid credentials for registry '%s'; it was asked by %s", ask->registry, ask->who);
    req.max = (size_t)1 << 20;
    req.what = "the token server";
    req.needs = needs;
    rv = ask->cred->identity ? 1 : get(http, ask, &req, &res, &why);
    if (rv == 1 || (!rv && ask->basic && (res.status == 405 || res.status == 501)))
        rv = post(http, ask, &req, &res, &why);
    if (!rv && (ml_http_expect(&req, &res, 200, &why) || ml_http_api(&req, &res, &why)))
        rv = -1;
    if (!rv)
        rv = take_token(ask, &res, asked, out, &why);
    hide_secret(ask, &why);
    if (rv && (res.status == 400 || res.status == 401 || res.status == 403))
        remember(&who, ask->scope, res.status, &why);
    if (rv && err)
        *err = why;
    ml_buf_wipe(&res.body);
    ml_http_res_release(&res);
    free(needs);
    return rv;
}
