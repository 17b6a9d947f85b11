/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Redirects, retries and warnings. They are ours, not libcurl's, because credentials, streams and Retry-After depend on
 * them. */
#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/file.h"
#include "base/text.h"
#include "net/transfer.h"
#include "net/url.h"

#define REDIRECTS  10
#define WAIT_MAX   60.0  /* a Retry-After beyond it isn't waited for */
#define WAIT_TOTAL 180.0 /* all pauses of a request, or since it moved last, together */
#define NAP        0.2   /* of a pause, in which nobody looks whether it still makes sense */
#define MOVED      ((uint64_t)64 << 10)
#define WARNINGS   16 /* different ones that are passed on, each this long at most: */
#define WARN_MAX   300

/* ---- open and close ---- */

/* Where the distributions keep their certificates: the tools run inside images that aren't the one they were built in.
 */
static const char *system_certificates(void)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL, newer */
        "/etc/ssl/ca-bundle.pem",                            /* SUSE */
        "/etc/ssl/cert.pem",                                 /* Alpine, BSD */
    };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!access(places[i], R_OK))
            return places[i];
    return getenv("ML_CA_BUNDLE"); /* what a tools tree carries (tools/launcher.c) */
}

/* Adds a file's certificates to h->ca. */
static int add_certificates(struct ml_http *h, const char *file, struct ml_err *err)
{
    struct ml_buf text;
    int rc;

    ml_buf_init(&text, h->ca.max);
    rc = ml_file_read(file, &text, err);
    if (rc)
        ml_err_wrap(err, "certificates");
    else if (!strstr(ml_buf_str(&text), "-----BEGIN"))
        rc = ml_err_set(err, ML_LOCAL, "'%s': there is no certificate (PEM) in it", file);
    ml_buf_add(&h->ca, ml_buf_str(&text), text.len);
    ml_buf_addc(&h->ca, '\n');
    ml_buf_release(&text);
    return rc;
}

static int choose_certificates(struct ml_http *h, struct ml_err *err)
{
    const char *file = ml_env("CURL_CA_BUNDLE"), *ours = ml_env("ML_CA_FILE"),
               *gitlab = ml_env("CI_SERVER_TLS_CA_FILE");

    if (!file)
        file = ml_env("SSL_CERT_FILE");
    if (!file)
        file = system_certificates();
    else if (access(file, R_OK))
        return ml_err_errno(err, ML_LOCAL, "'%s': certificates (from CURL_CA_BUNDLE or SSL_CERT_FILE)", file);
    if (gitlab && access(gitlab, R_OK))
        gitlab = NULL;
    if (!ours && !gitlab) {
        h->ca_file = file ? ml_strdup(file) : NULL;
        return 0;
    }
    if ((file && add_certificates(h, file, err)) || (ours && add_certificates(h, ours, err)) ||
        (gitlab && add_certificates(h, gitlab, err)))
        return -1;
    return 0;
}

static int read_variables(struct ml_http *h, struct ml_err *err)
{
    const char *retries = ml_env("ML_RETRIES"), *pause = ml_env("ML_PAUSE"), *stall = ml_env("ML_STALL");
    int64_t n = 4;

    h->stall = 60;
    h->pause = 0.5;
    if (retries && (!ml_int_parse(retries, &n) || n < 0 || n > 100))
        return ml_err_set(err, ML_USAGE, "ML_RETRIES '%s': not a number from 0 to 100", retries);
    if (pause && (!ml_double_parse(pause, strlen(pause), &h->pause) || !(h->pause >= 0 && h->pause <= WAIT_MAX)))
        return ml_err_set(err, ML_USAGE, "ML_PAUSE '%s': not a number of seconds from 0 to 60", pause);
    if (stall && (!ml_double_parse(stall, strlen(stall), &h->stall) || !(h->stall >= 0.1 && h->stall <= 86400)))
        return ml_err_set(err, ML_USAGE, "ML_STALL '%s': not a number of seconds from 0.1 to 86400", stall);
    h->retries = (int)n;
    return 0;
}

int ml_http_new(const struct ml_http_conf *conf, struct ml_http **out, struct ml_err *err)
{
    struct ml_http *h = ml_calloc(1, sizeof *h);

    if (conf)
        h->conf = *conf;
    pthread_mutex_init(&h->lock, NULL);
    ml_buf_init(&h->ca, (size_t)16 << 20);
    h->seed = (unsigned)getpid() ^ (unsigned)(ml_clock_monotonic() * 1e6);
    if (read_variables(h, err) || choose_certificates(h, err) || ml_transfer_open(h, err)) {
        ml_http_free(h);
        return -1;
    }
    *out = h;
    return 0;
}

void ml_http_free(struct ml_http *h)
{
    if (!h)
        return;
    ml_transfer_close(h);
    ml_buf_release(&h->ca);
    ml_strs_release(&h->warned);
    pthread_mutex_destroy(&h->lock);
    free(h->ca_file);
    free(h);
}

void ml_http_res_release(struct ml_http_res *res)
{
    ml_strs_release(&res->headers);
    ml_buf_release(&res->body);
    free(res->url);
    memset(res, 0, sizeof *res);
}

/* ---- warnings ---- */

static void warn_once(struct ml_http *h, const char *line)
{
    bool new;

    pthread_mutex_lock(&h->lock);
    new = h->warned.n < WARNINGS && !ml_strs_has(&h->warned, line);
    if (new)
        ml_strs_add(&h->warned, line);
    pthread_mutex_unlock(&h->lock);
    if (new)
        h->conf.warn(h->conf.warn_ctx, line);
}

/* 'Warning: 299 - "text"', which a registry shall be able to tell its users (distribution-spec v1.1.1, "Warnings"). */
static void pass_warnings(const struct ml_transfer *x)
{
    const char *v;
    struct ml_url u;

    for (size_t i = 0; x->h->conf.warn && (v = ml_http_header(x->res, "warning", i)); i++) {
        while (*(v += strspn(v, " \t,"))) {
            bool ours = !strncmp(v, "299 ", 4);
            char *text, *line;

            v += strcspn(v, "\"");
            text = ml_http_word(&v, "", (size_t)4 << 10);
            if (ours && text && *text && !ml_url_parse(x->url, &u, NULL)) {
                line = ml_format("'%s' says: %.*s", u.host, WARN_MAX, text);
                ml_text_harmless(line);
                warn_once(x->h, line);
                free(line);
                ml_url_release(&u);
            }
            free(text);
            v += strspn(v, " \t");
            if (*v == '"') /* the date */
                free(ml_http_word(&v, "", WARN_MAX));
            v += strcspn(v, ",");
        }
    }
}

/* ---- retries ---- */

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
    return s == 408 || s == 429 || s == 499 || (s >= 500 && s != 501 && s != 505 && s != 511);
}

bool ml_http_pause(struct ml_http *h, const struct ml_http_res *res, int n, double *waited)
{
    double wait = h->pause * (double)(1 << (n < 6 ? n : 6)), asked = 0, chance;

    if (res->status == 408 || res->status == 429 || res->status >= 499)
        asked = ml_transfer_retry_after(res);
    if (n >= h->retries || asked > WAIT_MAX)
        return false;
    if (wait > 20)
        wait = 20;
    pthread_mutex_lock(&h->lock);
    chance = (double)rand_r(&h->seed) / RAND_MAX;
    pthread_mutex_unlock(&h->lock);
    wait *= 0.5 + chance / 2;
    if (asked >= wait) /* many were told the same: not all at the same moment, and none before it */
        wait = asked + chance * (asked < 10 ? 0.1 * asked : 1);
    if (*waited + wait > WAIT_TOTAL)
        return false;
    *waited += wait;
    for (double left = wait; left > 0 && !atomic_load(&h->cancelled); left -= NAP)
        ml_clock_sleep(left < NAP ? left : NAP);
    return !atomic_load(&h->cancelled);
}

void ml_http_cancel(struct ml_http *h, bool yes)
{
    atomic_store(&h->cancelled, yes);
    ml_transfer_wake(h);
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
        pass_warnings(x);
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

        if (atomic_load(&h->cancelled)) {
            ml_err_set(x.err, ML_OK, "stopped");
            goto out;
        }
        free(x.url);
        x.url = ml_strdup(req->url);
        if (try_once(&x, &outcome))
            goto out;
        if (x.got - before >= MOVED) {
            n = 0; /* a long download over a bad line may break often */
            waited = 0;
        }
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
    res->got = x.got;
    free(x.url);
    return rv;
}
