/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Redirects and retries. They are ours, not libcurl's, because credentials, streams and Retry-After depend on them. */
#include "net/http.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/transfer.h"
#include "net/url.h"

#define REDIRECTS  10
#define WAIT_MAX   60.0  /* the longest single pause; a Retry-After beyond it isn't waited for */
#define WAIT_TOTAL 180.0 /* all pauses of a request together */

static int transport_error(struct ml_transfer *x, enum ml_outcome outcome)
{
    char *public = ml_url_public(x->url);

    if (outcome == ML_UNTRUSTED)
        ml_err_set(x->err, ML_REFUSED,
            "'%s': its certificate isn't trusted: %s (CURL_CA_BUNDLE or SSL_CERT_FILE names other certificates)",
            public, x->why);
    else if (outcome == ML_NOT_HTTP)
        ml_err_set(x->err, ML_REFUSED, "'%s': that isn't an HTTP server: %s", public, x->why);
    else
        ml_err_set(
            x->err, ML_UNREACHABLE, "'%s': %s%s", public, x->why, x->res->attempts > 1 ? ", again and again" : "");
    free(public);
    return -1;
}

static bool worth_retrying(const struct ml_transfer *x, enum ml_outcome outcome)
{
    int s = x->res->status;

    if (outcome != ML_ANSWERED)
        return outcome == ML_NO_CONNECTION || (outcome == ML_BROKEN && !x->req->once);
    if (x->req->once)
        return s == 429 || s == 503;
    return s == 408 || s == 429 || (s >= 500 && s != 501 && s != 505);
}

bool ml_http_pause(struct ml_http *h, const struct ml_http_res *res, int n, double *waited)
{
    double wait = 0.5 * (double)(1 << (n < 6 ? n : 6)), asked = ml_transfer_retry_after(res);

    if (n >= h->retries)
        return false;
    if (wait > 20)
        wait = 20;
    wait *= 0.5 + (double)rand_r(&h->seed) / RAND_MAX / 2;
    if (asked > wait)
        wait = asked;
    if (wait > WAIT_MAX || *waited + wait > WAIT_TOTAL)
        return false;
    *waited += wait;
    ml_clock_sleep(wait);
    return true;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Moves on to where a 3xx answer points. Bytes that are sent go to the origin that was asked, and nowhere else. */
static int follow(struct ml_transfer *x, int hop)
{
    const char *where = ml_http_header(x->res, "location", 0);
    bool reading = !strcmp(x->req->method, "GET") || !strcmp(x->req->method, "HEAD");
    char *next = where ? ml_url_resolve(x->url, where, x->err) : NULL, *public;
    struct ml_url u;
    bool plain;

    if (!where)
        return ml_err_set(x->err, ML_REFUSED, "a redirect (%d) to nowhere", x->res->status);
    if (!next)
        return -1;
    public = ml_url_public(next);
    if (hop >= REDIRECTS) {
        ml_err_set(x->err, ML_REFUSED, "more than %d redirects, the last to '%s'", REDIRECTS, public);
        goto fail;
    }
    if (!reading && (x->res->status < 307 || !ml_url_same_origin(x->req->url, next))) {
        ml_err_set(x->err, ML_REFUSED,
            "a %s was redirected (%d) to '%s': what is sent doesn't follow; is the address right?", x->req->method,
            x->res->status, public);
        goto fail;
    }
    if (ml_url_parse(next, &u, x->err))
        goto fail;
    /* from TLS to none is never fine, not even to this machine: what a stranger says shouldn't make us ask it */
    plain = strcmp(u.scheme, "https") && !x->h->conf.plain_anywhere &&
            (!ml_http_plain_ok(u.host, u.port) || !strncasecmp(x->req->url, "https:", 6));
    ml_url_release(&u);
    if (plain) {
        ml_err_set(x->err, ML_REFUSED, "redirected to '%s', which isn't protected by TLS", public);
        goto fail;
    }
    free(public);
    free(x->url);
    x->url = next;
    return 0;
fail:
    free(public);
    free(next);
    return -1;
}

/* One try: all hops to the final answer. */
static int try_once(struct ml_transfer *x, enum ml_outcome *outcome)
{
    for (int hop = 0;; hop++) {
        if (ml_transfer_run(x, outcome))
            return -1;
        if (*outcome != ML_ANSWERED || x->req->no_redirect || !is_redirect(x->res->status))
            return 0;
        if (follow(x, hop))
            return -1;
    }
}

static int check_request(struct ml_http *h, const struct ml_http_req *req, struct ml_err *err)
{
    struct ml_url u;
    bool ok;

    if (ml_url_parse(req->url, &u, err))
        return -1;
    ok = !strcmp(u.scheme, "https") || h->conf.plain_anywhere || ml_http_plain_ok(u.host, u.port);
    if (!ok)
        ml_err_set(err, ML_USAGE, "'%s://%s': not without TLS (ML_HTTP_HOSTS=%s:%d in the environment would allow it)",
            u.scheme, u.host, u.host, u.port);
    ml_url_release(&u);
    return ok ? 0 : -1;
}

int ml_http_send(struct ml_http *h, const struct ml_http_req *req, struct ml_http_res *res, struct ml_err *err)
{
    struct ml_err scratch = ML_ERR_INIT;
    struct ml_transfer x = { .h = h, .req = req, .res = res, .err = err ? err : &scratch };
    enum ml_outcome outcome;
    double waited = 0;
    int rv = -1;

    ml_http_res_release(res);
    if (check_request(h, req, x.err))
        return -1;
    for (int n = 0;; n++) {
        uint64_t before = x.got;

        free(x.url);
        x.url = ml_strdup(req->url);
        if (try_once(&x, &outcome))
            goto out;
        if (x.got > before)
            n = 0; /* it moved: a long download over a bad line may break often */
        if (req->raw || !worth_retrying(&x, outcome) || !ml_http_pause(h, res, n, &waited))
            break;
    }
    if (outcome != ML_ANSWERED) {
        transport_error(&x, outcome);
        goto out;
    }
    res->url = x.url;
    x.url = NULL;
    rv = 0;
out:
    free(x.url);
    return rv;
}
