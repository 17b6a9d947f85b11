/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP on libcurl. Redirects and retries are ours, because credentials, streams and Retry-After depend on them. */
#include "net/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/tool.h"
#include "net/url.h"

#define REDIRECTS     10
#define CONNECT_LIMIT 15L  /* seconds */
#define STALL_LIMIT   60.0 /* seconds without a byte */
#define DIGEST_SPEED  10e6 /* bytes a second: what a slow server may need to take in what was sent, before it answers  \
                            */
#define WAIT_MAX    60.0   /* the longest single pause; a Retry-After beyond it isn't waited for */
#define WAIT_TOTAL  180.0  /* all pauses of a request together */
#define ERROR_BODY  ((size_t)64 << 10)
#define HEADERS_MAX ((size_t)256 << 10)
#define EXPECT_FROM ((uint64_t)1 << 20)

struct ml_http {
    CURL *curl;
    struct ml_http_conf conf;
    char *ca_file;    /* NULL: libcurl's own idea */
    struct ml_buf ca; /* or the certificates themselves */
    int retries;
    unsigned seed; /* of the jitter */
};

/* One request under way. */
struct xfer {
    struct ml_http *h;
    const struct ml_http_req *req;
    struct ml_http_res *res;
    struct ml_err *err;
    char *url;     /* of this hop */
    uint64_t sent; /* offset in the source */
    uint64_t got;  /* bytes the sink has */
    uint64_t skip; /* bytes of this answer that it has already */
    size_t header_bytes;
    curl_off_t moved;
    double moved_at;
    double waited; /* in pauses so far */
    bool broken;   /* a callback has set err */
    bool enough;   /* a callback stopped the transfer because nothing more is wanted */
    bool stalled;
    char why[CURL_ERROR_SIZE];
};

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    struct sigaction sa;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    /* CURLOPT_NOSIGNAL leaves SIGPIPE to us: a server that hangs up is an error to report, not a reason to die */
    if (!sigaction(SIGPIPE, NULL, &sa) && sa.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

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
    return NULL;
}

static int choose_certificates(struct ml_http *h, struct ml_err *err)
{
    const char *file = getenv("CURL_CA_BUNDLE"), *more = getenv("CI_SERVER_TLS_CA_FILE");

    if (!file || !*file)
        file = getenv("SSL_CERT_FILE");
    if (!file || !*file)
        file = system_certificates();
    else if (access(file, R_OK))
        return ml_err_errno(err, ML_LOCAL, "'%s': certificates (from CURL_CA_BUNDLE or SSL_CERT_FILE)", file);
    if (more && *more && !access(more, R_OK)) {
        struct ml_buf own = ML_BUF_INIT;

        if ((file && ml_file_read(file, &h->ca, err)) || ml_file_read(more, &own, err)) {
            ml_buf_release(&own);
            return -1;
        }
        ml_buf_addc(&h->ca, '\n');
        ml_buf_add(&h->ca, ml_buf_str(&own), own.len);
        ml_buf_release(&own);
    } else if (file) {
        h->ca_file = ml_strdup(file);
    }
    return 0;
}

int ml_http_new(const struct ml_http_conf *conf, struct ml_http **out, struct ml_err *err)
{
    struct ml_http *h = ml_calloc(1, sizeof *h);
    const char *retries = getenv("ML_RETRIES");
    int64_t n = 4;

    pthread_once(&started, start_curl);
    if (conf)
        h->conf = *conf;
    ml_buf_init(&h->ca, (size_t)16 << 20);
    if (retries && *retries && (!ml_int_parse(retries, &n) || n < 0 || n > 100)) {
        ml_err_set(err, ML_USAGE, "ML_RETRIES '%s': not a number from 0 to 100", retries);
        goto fail;
    }
    h->retries = (int)n;
    h->seed = (unsigned)getpid() ^ (unsigned)(ml_clock_monotonic() * 1e6);
    if (choose_certificates(h, err))
        goto fail;
    h->curl = curl_easy_init();
    if (!h->curl) {
        ml_err_set(err, ML_LOCAL, "libcurl doesn't start");
        goto fail;
    }
    *out = h;
    return 0;
fail:
    ml_http_free(h);
    return -1;
}

void ml_http_free(struct ml_http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    ml_buf_release(&h->ca);
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

static void reset_answer(struct ml_http_res *res, size_t max)
{
    ml_strs_release(&res->headers);
    memset(&res->headers, 0, sizeof res->headers);
    ml_buf_release(&res->body);
    ml_buf_init(&res->body, max);
    res->status = 0;
}

/* ---- what libcurl calls ---- */

/* The headers are complete: is it the part of the body that was asked for? A server may ignore Range and answer 200
 * with all of it; a 206 has to say where it starts (RFC 9110, section 14.4). */
static int start_body(struct xfer *x)
{
    uint64_t from = x->req->from + x->got;
    const char *range;

    if (!x->req->sink || x->res->status / 100 != 2)
        return 0;
    if (x->res->status != 206) {
        x->skip = from;
        return 0;
    }
    range = ml_http_header(x->res, "content-range", 0);
    if (range && !strncmp(range, "bytes ", 6) && isdigit((unsigned char)range[6]) &&
        strtoull(range + 6, NULL, 10) == from)
        return 0;
    x->broken = true;
    return ml_err_set(x->err, ML_REFUSED, "the server sent another range than it was asked for");
}

static size_t on_header(char *p, size_t size, size_t count, void *ctx)
{
    struct xfer *x = ctx;
    size_t n = size * count, len = n;
    char *line, *c;

    x->header_bytes += n;
    if (x->header_bytes > HEADERS_MAX)
        return 0;
    while (len && (p[len - 1] == '\r' || p[len - 1] == '\n'))
        len--;
    if (len >= 5 && !strncmp(p, "HTTP/", 5)) { /* the final answer starts after any 1xx */
        const char *space = memchr(p, ' ', len);

        reset_answer(x->res, ERROR_BODY);
        x->res->status = space ? (int)strtol(space, NULL, 10) : 0;
        if (x->res->status / 100 == 2)
            x->res->body.max = x->req->max;
        return n;
    }
    if (!len)
        return start_body(x) ? 0 : n;
    if (!memchr(p, ':', len))
        return n;
    line = ml_strndup(p, len);
    for (c = line; *c && *c != ':'; c++)
        *c = (char)tolower((unsigned char)*c);
    ml_strs_add(&x->res->headers, line);
    free(line);
    return n;
}

static int to_sink(struct xfer *x, const char *p, size_t n)
{
    uint64_t left = x->req->len ? x->req->len - x->got : UINT64_MAX;
    size_t drop = x->skip < n ? (size_t)x->skip : n;

    x->skip -= drop;
    p += drop;
    n -= drop;
    if (n > left)
        n = (size_t)left;
    if (n && x->req->sink(x->req->sink_ctx, p, n, x->err)) {
        x->broken = true;
        return -1;
    }
    x->got += n;
    if (x->req->len && x->got == x->req->len)
        x->enough = true;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
    struct xfer *x = ctx;
    size_t n = size * count;
    bool good = x->res->status / 100 == 2;

    if (good && x->req->sink) {
        if (x->enough)
            return 0;
        return to_sink(x, p, n) ? 0 : n;
    }
    ml_buf_add(&x->res->body, p, n);
    if (!x->res->body.full)
        return n;
    if (good) {
        ml_err_set(x->err, ML_REFUSED, "the answer is over %zu bytes long", x->req->max);
        x->broken = true;
    }
    x->enough = !good;
    return 0;
}

static size_t on_read(char *p, size_t size, size_t count, void *ctx)
{
    struct xfer *x = ctx;
    uint64_t left = x->req->source_len - x->sent;
    size_t want = size * count;
    int64_t n;

    if (want > left)
        want = (size_t)left;
    if (!want)
        return 0;
    n = x->req->source->read(x->req->source->ctx, x->sent, p, want, x->err);
    if (n == 0)
        n = ml_err_set(x->err, ML_LOCAL, "the data ends after %llu of %llu bytes", (unsigned long long)x->sent,
            (unsigned long long)x->req->source_len);
    if (n < 0) {
        x->broken = true;
        return CURL_READFUNC_ABORT;
    }
    x->sent += (uint64_t)n;
    return (size_t)n;
}

static int on_seek(void *ctx, curl_off_t off, int origin)
{
    struct xfer *x = ctx;

    if (origin != SEEK_SET || off < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent = (uint64_t)off;
    return CURL_SEEKFUNC_OK;
}

/* A transfer that moves has no limit; one that stands still has. After a large body the server may take its time: it
 * has to hash and to store it before it answers. */
static int on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    struct xfer *x = ctx;
    double now = ml_clock_monotonic(), limit = STALL_LIMIT;

    (void)dltotal;
    (void)ultotal;
    if (dlnow + ulnow != x->moved) {
        x->moved = dlnow + ulnow;
        x->moved_at = now;
        return 0;
    }
    if (x->req->source && (uint64_t)ulnow >= x->req->source_len)
        limit += (double)x->req->source_len / DIGEST_SPEED;
    x->stalled = now - x->moved_at > limit;
    return x->stalled;
}

/* ---- one attempt ---- */

#define SET(opt, value) (bad |= curl_easy_setopt(c, opt, value) != CURLE_OK)

static bool set_transport(struct xfer *x, CURL *c)
{
    struct ml_http *h = x->h;
    bool bad = false;

    SET(CURLOPT_URL, x->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_LIMIT);
    SET(CURLOPT_TIMEOUT_MS, (long)(x->req->timeout * 1000));
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_BUFFERSIZE, 256L << 10);
    SET(CURLOPT_USERAGENT, "mlci/" ML_VERSION);
    SET(CURLOPT_ERRORBUFFER, x->why);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, x);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, x);
    if (h->ca_file)
        SET(CURLOPT_CAINFO, h->ca_file);
    if (h->ca.len) {
        struct curl_blob blob = { h->ca.data, h->ca.len, CURL_BLOB_NOCOPY };

        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    return bad;
}

static bool set_body(struct xfer *x, CURL *c)
{
    const struct ml_http_req *req = x->req;
    bool bad = false;

    if (req->source) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->source_len);
        SET(CURLOPT_READFUNCTION, on_read);
        SET(CURLOPT_READDATA, x);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, x);
        SET(CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    } else if (req->body_len ||
               (strcmp(req->method, "GET") && strcmp(req->method, "HEAD") && strcmp(req->method, "DELETE"))) {
        SET(CURLOPT_POSTFIELDS, req->body_len ? (const char *)req->body : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    }
    if (!strcmp(req->method, "HEAD"))
        SET(CURLOPT_NOBODY, 1L);
    else
        SET(CURLOPT_CUSTOMREQUEST, req->method);
    return bad;
}

static void add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);

    if (!more)
        abort();
    *list = more;
}

static struct curl_slist *make_headers(struct xfer *x)
{
    const struct ml_http_req *req = x->req;
    struct curl_slist *list = NULL;
    bool type = false;
    char *range;

    for (size_t i = 0; req->headers && i < req->headers->n; i++) {
        type |= !strncasecmp(req->headers->v[i], "Content-Type:", 13);
        add_line(&list, req->headers->v[i]);
    }
    if (!type)
        add_line(&list, "Content-Type:"); /* libcurl would say that it is a form */
    add_line(
        &list, (req->source ? req->source_len : req->body_len) >= EXPECT_FROM ? "Expect: 100-continue" : "Expect:");
    if (req->credential && ml_url_same_origin(req->url, x->url))
        add_line(&list, req->credential);
    if (req->from || req->len || x->got) {
        uint64_t from = req->from + x->got;

        range = req->len ? ml_format("Range: bytes=%llu-%llu", (unsigned long long)from,
                               (unsigned long long)(req->from + req->len - 1))
                         : ml_format("Range: bytes=%llu-", (unsigned long long)from);
        add_line(&list, range);
        free(range);
    }
    return list;
}

static void log_attempt(struct xfer *x, CURLcode rc)
{
    char *public, *line;

    if (!x->h->conf.log)
        return;
    public = ml_url_public(x->url);
    if (rc != CURLE_OK && !x->enough)
        line = ml_format("%s %s: %s", x->req->method, public, x->stalled ? "stalled" : curl_easy_strerror(rc));
    else
        line = ml_format("%s %s: %d, %.0f ms", x->req->method, public, x->res->status, x->res->seconds * 1e3);
    x->h->conf.log(x->h->conf.log_ctx, line);
    free(line);
    free(public);
}

/* -1 only when the request can't be put together. */
static int attempt(struct xfer *x, CURLcode *rc)
{
    CURL *c = x->h->curl;
    struct curl_slist *headers;
    bool bad;

    curl_easy_reset(c);
    reset_answer(x->res, ERROR_BODY);
    x->header_bytes = 0;
    x->sent = 0;
    x->moved = -1;
    x->stalled = x->enough = false;
    x->skip = 0;
    x->why[0] = 0;
    headers = make_headers(x);
    bad = set_transport(x, c) | set_body(x, c);
    SET(CURLOPT_HTTPHEADER, headers);
    if (bad) {
        curl_slist_free_all(headers);
        return ml_err_set(x->err, ML_LOCAL, "libcurl doesn't take an option (too old?)");
    }
    *rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &x->res->seconds);
    x->res->attempts++;
    curl_slist_free_all(headers);
    log_attempt(x, *rc);
    return 0;
}

/* ---- redirects and retries ---- */

/* What stands before a message: the host that was asked, by the name that the caller has for it. */
static int transport_error(struct xfer *x, CURLcode rc)
{
    char *public = ml_url_public(x->url);
    const char *why = x->stalled ? "nothing moved for too long" : x->why[0] ? x->why : curl_easy_strerror(rc);

    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        ml_err_set(x->err, ML_REFUSED,
            "'%s': its certificate isn't trusted: %s (CURL_CA_BUNDLE or SSL_CERT_FILE names other certificates)",
            public, why);
    else if (rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY)
        ml_err_set(x->err, ML_REFUSED, "'%s': that isn't an HTTP server: %s", public, why);
    else
        ml_err_set(x->err, ML_UNREACHABLE, "'%s': %s", public, why);
    free(public);
    return -1;
}

static bool worth_retrying(const struct xfer *x, CURLcode rc, bool answered)
{
    int s = x->res->status;

    if (!answered) {
        if (x->req->once)
            return rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_RESOLVE_PROXY;
        return rc != CURLE_PEER_FAILED_VERIFICATION && rc != CURLE_SSL_CACERT_BADFILE &&
               rc != CURLE_UNSUPPORTED_PROTOCOL && rc != CURLE_WEIRD_SERVER_REPLY && rc != CURLE_URL_MALFORMAT;
    }
    if (x->req->once)
        return s == 429 || s == 503;
    return s == 408 || s == 429 || (s >= 500 && s != 501 && s != 505);
}

/* Pauses before the next attempt; false when it would be longer than anybody wants to wait. */
static bool pause_before(struct xfer *x, int n)
{
    double wait = 0.5 * (double)(1 << (n < 6 ? n : 6));
    curl_off_t asked = 0;

    wait *= 0.5 + (double)rand_r(&x->h->seed) / RAND_MAX / 2;
    if (wait > 20)
        wait = 20;
    if (x->res->status && curl_easy_getinfo(x->h->curl, CURLINFO_RETRY_AFTER, &asked) == CURLE_OK &&
        (double)asked > wait)
        wait = (double)asked;
    if (wait > WAIT_MAX || x->waited + wait > WAIT_TOTAL)
        return false;
    x->waited += wait;
    ml_clock_sleep(wait);
    return true;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Moves on to where a 3xx answer points. Bytes that are sent go to the origin that was asked, and nowhere else. */
static int follow(struct xfer *x, int hop)
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
    plain = strcmp(u.scheme, "https") && !x->h->conf.plain_anywhere && !ml_http_plain_ok(u.host, u.port);
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
static int try_once(struct xfer *x, CURLcode *rc, bool *answered)
{
    for (int hop = 0;; hop++) {
        if (attempt(x, rc))
            return -1;
        if (x->broken)
            return -1;
        /* a server that says no in the middle of an upload closes the connection: its answer is what counts */
        *answered = *rc == CURLE_OK || x->enough || (x->res->status >= 400 && x->req->source);
        if (!*answered || x->req->no_redirect || !is_redirect(x->res->status))
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
    struct xfer x = { .h = h, .req = req, .res = res, .err = err ? err : &scratch };
    int retries = req->raw ? 0 : h->retries, rv = -1;
    bool answered = false;
    CURLcode rc = CURLE_OK;

    ml_http_res_release(res);
    if (check_request(h, req, x.err))
        return -1;
    for (int n = 0;; n++) {
        uint64_t before = x.got;

        free(x.url);
        x.url = ml_strdup(req->url);
        if (try_once(&x, &rc, &answered))
            goto out;
        if (answered && !worth_retrying(&x, rc, true))
            break;
        if (!answered && !worth_retrying(&x, rc, false)) {
            transport_error(&x, rc);
            goto out;
        }
        if (x.got > before)
            n = 0; /* it moved: a long download over a bad line may break often */
        if (n >= retries || !pause_before(&x, n)) {
            if (answered)
                break;
            transport_error(&x, rc);
            goto out;
        }
    }
    res->url = x.url;
    x.url = NULL;
    rv = 0;
out:
    free(x.url);
    return rv;
}
