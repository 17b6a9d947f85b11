/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request on libcurl. */
#include "net/transfer.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/tool.h"
#include "net/url.h"

#define CONNECT_LIMIT 15L  /* seconds */
#define STALL_LIMIT   60.0 /* seconds without a byte */
#define DIGEST_SPEED                                                                                                   \
    10e6 /* bytes a second: what a slow server may need to take in what was sent, before it answers                    \
          */
#define ERROR_BODY  ((size_t)64 << 10)
#define HEADERS_MAX ((size_t)256 << 10)
#define EXPECT_FROM ((uint64_t)1 << 20)

_Static_assert(ML_TRANSFER_WHY >= CURL_ERROR_SIZE, "room for libcurl's message");

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
    return getenv("ML_CA_BUNDLE"); /* what a tools tree carries (tools/launcher.c) */
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
static int start_body(struct ml_transfer *x)
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
    x->failed = true;
    return ml_err_set(x->err, ML_REFUSED, "the server sent another range than it was asked for");
}

static size_t on_header(char *p, size_t size, size_t count, void *ctx)
{
    struct ml_transfer *x = ctx;
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

static int to_sink(struct ml_transfer *x, const char *p, size_t n)
{
    uint64_t left = x->req->len ? x->req->len - x->got : UINT64_MAX;
    size_t drop = x->skip < n ? (size_t)x->skip : n;

    x->skip -= drop;
    p += drop;
    n -= drop;
    if (n > left)
        n = (size_t)left;
    if (n && x->req->sink(x->req->sink_ctx, p, n, x->err)) {
        x->failed = true;
        return -1;
    }
    x->got += n;
    if (x->req->len && x->got == x->req->len)
        x->enough = true;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
    struct ml_transfer *x = ctx;
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
        x->failed = true;
    }
    x->enough = !good;
    return 0;
}

static size_t on_read(char *p, size_t size, size_t count, void *ctx)
{
    struct ml_transfer *x = ctx;
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
        x->failed = true;
        return CURL_READFUNC_ABORT;
    }
    x->sent += (uint64_t)n;
    return (size_t)n;
}

static int on_seek(void *ctx, curl_off_t off, int origin)
{
    struct ml_transfer *x = ctx;

    if (origin != SEEK_SET || off < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    x->sent = (uint64_t)off;
    return CURL_SEEKFUNC_OK;
}

/* A transfer that moves has no limit; one that stands still has. After a large body the server may take its time: it
 * has to hash and to store it before it answers. */
static int on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    struct ml_transfer *x = ctx;
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

static bool set_transport(struct ml_transfer *x, CURL *c)
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
    /* on a connection that it used before libcurl sends again by itself when it closes without an answer, a POST too */
    SET(CURLOPT_FRESH_CONNECT, x->req->once ? 1L : 0L);
    /* refused while libcurl still has the buffer of a transfer that found no host: it is as large */
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
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

static bool set_body(struct ml_transfer *x, CURL *c)
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

static struct curl_slist *make_headers(struct ml_transfer *x)
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

static void log_attempt(struct ml_transfer *x, CURLcode rc)
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

static enum ml_outcome outcome(const struct ml_transfer *x, CURLcode rc)
{
    if (rc == CURLE_OK || x->enough)
        return ML_ANSWERED;
    /* a server that says no in the middle of an upload closes the connection: its answer is what counts */
    if (x->res->status >= 400 && x->req->source)
        return ML_ANSWERED;
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return ML_NO_CONNECTION;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return ML_UNTRUSTED;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return ML_NOT_HTTP;
    default:
        return ML_BROKEN;
    }
}

static void start_attempt(struct ml_transfer *x)
{
    reset_answer(x->res, ERROR_BODY);
    x->header_bytes = 0;
    x->sent = x->skip = 0;
    x->moved = -1;
    x->stalled = x->enough = false;
    x->why[0] = 0;
}

int ml_transfer_run(struct ml_transfer *x, enum ml_outcome *out)
{
    CURL *c = x->h->curl;
    struct curl_slist *headers;
    CURLcode rc;
    bool bad;

    start_attempt(x);
    headers = make_headers(x);
    bad = set_transport(x, c) | set_body(x, c);
    SET(CURLOPT_HTTPHEADER, headers);
    if (bad) {
        curl_slist_free_all(headers);
        return ml_err_set(x->err, ML_LOCAL, "libcurl doesn't take an option: is it older than 7.85?");
    }
    rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &x->res->seconds);
    curl_easy_reset(c); /* nothing in it may point to this request any more */
    curl_slist_free_all(headers);
    x->res->attempts++;
    log_attempt(x, rc);
    if (x->failed)
        return -1;
    *out = outcome(x, rc);
    if (x->stalled)
        snprintf(x->why, sizeof x->why, "nothing moved for too long");
    else if (*out != ML_ANSWERED && !x->why[0])
        snprintf(x->why, sizeof x->why, "%s", curl_easy_strerror(rc));
    return 0;
}

double ml_transfer_retry_after(const struct ml_http_res *res)
{
    const char *v = ml_http_header(res, "retry-after", 0);
    int64_t n;
    time_t when;

    if (!v)
        return 0;
    if (ml_int_parse(v, &n))
        return n > 0 ? (double)n : 0;
    when = curl_getdate(v, NULL);
    return when > ml_clock_now() ? (double)(when - ml_clock_now()) : 0;
}
