/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Basic and Bearer authentication to a registry. */
#include "oci/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "oci/challenge.h"
#include "oci/credentials.h"
#include "oci/token.h"

#define TOKENS   8
#define REFUSALS 3 /* after so many, a password isn't sent any more */

enum kind { UNASKED, BASIC, BEARER };

/* A scope's token, and what the registry asked for in its stead: a proxy may know the repository by another name. */
struct held {
    char *scope, *extra;
    struct ml_token token;
};

/* While one thread is `busy`, it alone changes what is here and may read it without the lock, which it holds to
 * change it; the others read what they need under the lock. */
struct ml_auth {
    char *host, *path;
    bool tls;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* nobody is busy any more */
    bool busy;
    unsigned failures;     /* how often the busy thread failed, */
    struct ml_err failure; /* how the last time, */
    char *failed;          /* and for which scope */

    bool looked;
    struct ml_credentials cred; /* empty: none */
    char *who;
    enum kind kind;
    char *basic; /* header */
    int refused; /* times */
    char *realm, *service;
    struct held held[TOKENS];
    size_t next;  /* the one that is replaced next */
    char **spent; /* headers that may still be in somebody's hands */
    size_t nspent, spent_cap;
};

struct ml_auth *ml_auth_new(const char *host, const char *path, bool tls)
{
    struct ml_auth *a = ml_calloc(1, sizeof *a);

    a->host = ml_strdup(host);
    a->path = ml_strdup(path);
    a->tls = tls;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->idle, NULL);
    return a;
}

static void forget(struct held *h)
{
    ml_token_release(&h->token);
    free(h->scope);
    free(h->extra);
    memset(h, 0, sizeof *h);
}

void ml_auth_free(struct ml_auth *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < TOKENS; i++)
        forget(&a->held[i]);
    for (size_t i = 0; i < a->nspent; i++)
        ml_wipe(a->spent[i]);
    free(a->spent);
    ml_wipe(a->basic);
    ml_credentials_release(&a->cred);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->idle);
    free(a->host);
    free(a->path);
    free(a->who);
    free(a->realm);
    free(a->service);
    free(a->failed);
    free(a);
}

const char *ml_auth_who(struct ml_auth *a)
{
    const char *who;

    pthread_mutex_lock(&a->lock);
    who = a->who ? a->who : "nobody";
    pthread_mutex_unlock(&a->lock);
    return who; /* once there, it stays */
}

/* ---- the busy thread's ---- */

static char *describe(const struct ml_auth *a, const struct ml_credentials *c)
{
    if (c->user)
        return ml_format("user '%s' (from %s)", c->user, c->source);
    if (c->identity || c->bearer)
        return ml_format("a token (from %s)", c->source);
    if (c->source)
        return ml_format("nobody, as there are no credentials for '%s': %s", a->host, c->source);
    return ml_format("nobody, as there are no credentials for '%s' (CI_REGISTRY_USER and CI_REGISTRY_PASSWORD for "
                     "CI_REGISTRY, DOCKER_AUTH_CONFIG, or --auth-file)",
        a->host);
}

static int look(struct ml_auth *a, struct ml_err *err)
{
    struct ml_credentials c;
    char *who;

    if (a->looked)
        return 0;
    if (ml_credentials_find(a->host, a->path, &c, err) < 0)
        return -1;
    who = describe(a, &c);
    pthread_mutex_lock(&a->lock);
    a->looked = true;
    a->cred = c;
    a->who = who;
    if (c.user && c.password)
        a->basic = ml_http_basic(c.user, c.password);
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static int fetch(struct ml_auth *a, struct ml_http *http, const char *scope, const char *extra, struct ml_token *out,
    struct ml_err *err)
{
    struct ml_token_ask ask = { .registry = a->host,
        .tls = a->tls,
        .realm = a->realm,
        .service = a->service,
        .scope = scope,
        .extra = extra,
        .cred = &a->cred,
        .basic = a->basic,
        .who = a->who };

    if (!a->cred.bearer)
        return ml_token_fetch(http, &ask, out, err);
    out->header = ml_format("Authorization: Bearer %s", a->cred.bearer);
    out->expires = ml_clock_monotonic() + 1e9;
    return 0;
}

/* ---- under the lock ---- */

static struct held *find(struct ml_auth *a, const char *scope)
{
    for (size_t i = 0; i < TOKENS; i++)
        if (a->held[i].scope && !strcmp(a->held[i].scope, scope))
            return &a->held[i];
    return NULL;
}

static void hold(struct ml_auth *a, const char *scope, const char *extra, struct ml_token *token)
{
    struct held *h = find(a, scope);
    char *s = ml_strdup(scope), *x = extra ? ml_strdup(extra) : NULL; /* which may be h's own */

    if (!h)
        h = &a->held[a->next++ % TOKENS];
    if (h->token.header) {
        a->spent = ml_grow(a->spent, &a->spent_cap, a->nspent + 1, sizeof *a->spent);
        a->spent[a->nspent++] = h->token.header;
        h->token.header = NULL;
    }
    forget(h);
    h->scope = s;
    h->extra = x;
    h->token = *token;
}

/* A token for the scope that isn't the one that was refused, as long as it holds. */
static const char *usable(struct ml_auth *a, const char *scope, const char *refused)
{
    const struct held *h = find(a, scope);

    if (!h || !h->token.header || ml_clock_monotonic() >= h->token.expires - h->token.margin)
        return NULL;
    return refused && !strcmp(refused, h->token.header) ? NULL : h->token.header;
}

/* Waits for the busy thread. -1: it failed, and so would we. */
static int wait_idle(struct ml_auth *a, const char *scope, struct ml_err *err)
{
    unsigned failures = a->failures;

    while (a->busy)
        pthread_cond_wait(&a->idle, &a->lock);
    if (a->failures == failures || strcmp(a->failed, scope))
        return 0;
    if (err)
        *err = a->failure;
    return -1;
}

/* Nobody is busy: we are, and get a token. */
static int renew(struct ml_auth *a, struct ml_http *http, const char *scope, const char *extra, const char **header,
    struct ml_err *err)
{
    const struct held *h = find(a, scope);
    char *kept = extra ? ml_strdup(extra) : h && h->extra ? ml_strdup(h->extra) : NULL;
    struct ml_token token = { 0 };
    struct ml_err why = ML_ERR_INIT;
    int rv;

    a->busy = true;
    pthread_mutex_unlock(&a->lock);
    rv = look(a, &why);
    if (!rv)
        rv = fetch(a, http, scope, kept, &token, &why);
    pthread_mutex_lock(&a->lock);
    a->busy = false;
    if (rv) {
        a->failures++;
        a->failure = why;
        free(a->failed);
        a->failed = ml_strdup(scope);
        if (err)
            *err = why;
    } else {
        *header = token.header;
        hold(a, scope, kept, &token);
    }
    pthread_cond_broadcast(&a->idle);
    free(kept);
    return rv;
}

int ml_auth_header(struct ml_auth *a, struct ml_http *http, const char *scope, const char **header, struct ml_err *err)
{
    int rv = 0;

    *header = NULL;
    pthread_mutex_lock(&a->lock);
    if (a->kind == BASIC && a->basic && a->refused < REFUSALS)
        *header = a->basic;
    while (a->kind == BEARER && !rv && !*header) {
        *header = usable(a, scope, NULL);
        if (!*header)
            rv = a->busy ? wait_idle(a, scope, err) : renew(a, http, scope, NULL, header, err);
    }
    pthread_mutex_unlock(&a->lock);
    return rv;
}

/* Of the challenges of an answer the strongest that we can meet: a Bearer's, into `out`. */
static enum kind strongest(const struct ml_http_res *res, struct ml_challenge *out)
{
    enum kind kind = UNASKED;
    const char *v;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; (v = ml_http_header(res, "www-authenticate", i)); i++) {
        struct ml_challenge c;

        while (!ml_challenge_next(&v, &c)) {
            if (!strcasecmp(c.scheme, "Bearer") && c.realm) {
                *out = c;
                return BEARER;
            }
            if (!strcasecmp(c.scheme, "Basic"))
                kind = BASIC;
            ml_challenge_release(&c);
        }
    }
    return kind;
}

/* Nobody is busy: who we are is found out, and said as Basic if that wasn't it. */
static int say_basic(struct ml_auth *a, const char **header, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    int rv;

    a->kind = BASIC;
    a->busy = true;
    pthread_mutex_unlock(&a->lock);
    rv = look(a, &why);
    pthread_mutex_lock(&a->lock);
    a->busy = false;
    pthread_cond_broadcast(&a->idle);
    if (rv && err)
        *err = why;
    if (rv)
        return rv;
    /* the same password isn't better the second time */
    if (*header && a->basic && !strcmp(*header, a->basic))
        a->refused++;
    else if (a->basic && a->refused < REFUSALS) {
        *header = a->basic;
        return 0;
    }
    return 1;
}

static int say_bearer(struct ml_auth *a, struct ml_http *http, const char *scope, struct ml_challenge *c,
    const char **header, struct ml_err *err)
{
    const char *there = a->kind == BEARER ? usable(a, scope, *header) : NULL;

    if (there) { /* another thread was quicker */
        *header = there;
        return 0;
    }
    if (a->looked && a->cred.bearer && *header)
        return 1; /* there is no other */
    free(a->realm);
    free(a->service);
    a->realm = c->realm;
    a->service = c->service;
    c->realm = c->service = NULL;
    a->kind = BEARER;
    return renew(a, http, scope, c->scope, header, err);
}

int ml_auth_challenged(struct ml_auth *a, struct ml_http *http, const char *scope, const struct ml_http_res *res,
    const char **header, struct ml_err *err)
{
    struct ml_challenge c;
    enum kind kind = strongest(res, &c);
    int rv = 1;

    pthread_mutex_lock(&a->lock);
    if (kind != UNASKED)
        rv = wait_idle(a, scope, err);
    if (!rv)
        rv = kind == BEARER ? say_bearer(a, http, scope, &c, header, err) : say_basic(a, header, err);
    pthread_mutex_unlock(&a->lock);
    ml_challenge_release(&c);
    return rv;
}
