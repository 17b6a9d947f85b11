/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request on libcurl, whose transfers all threads share. */
#include "net/transfer.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/tool.h"
#include "net/url.h"

#define CONNECT_LIMIT 15L /* seconds */
#define UNSENT_MAX    (256 << 10)
#define EXPECT_FROM   ((uint64_t)1 << 20)
#define KEEP          16 /* connections, and handles, that stay when nobody uses them */

_Static_assert(ML_TRANSFER_WHY >= CURL_ERROR_SIZE, "room for libcurl's message");

/* A thread's transfer, as long as it is under way. */
struct job {
    CURL *easy;
    CURLcode rc;
    bool added, done;
    pthread_cond_t turn; /* done, or time to drive */
    struct job *next;
};

struct ml_engine {
    CURLM *multi;         /* the driver's alone, but for curl_multi_wakeup */
    pthread_mutex_t lock; /* of the rest */
    bool driven;          /* one of the jobs' threads is in drive() */
    struct job *jobs;
    CURL *idle[KEEP];
    size_t nidle;
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

int ml_transfer_open(struct ml_http *h, struct ml_err *err)
{
    struct ml_engine *e;

    pthread_once(&started, start_curl);
    e = h->engine = ml_calloc(1, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    e->multi = curl_multi_init();
    if (!e->multi || curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)KEEP) != CURLM_OK)
        return ml_err_set(err, ML_LOCAL, "libcurl doesn't start");
    return 0;
}

void ml_transfer_close(struct ml_http *h)
{
    struct ml_engine *e = h->engine;

    if (!e)
        return;
    while (e->nidle)
        curl_easy_cleanup(e->idle[--e->nidle]);
    curl_multi_cleanup(e->multi);
    pthread_mutex_destroy(&e->lock);
    free(e);
    h->engine = NULL;
}

void ml_transfer_wake(struct ml_http *h)
{
    curl_multi_wakeup(h->engine->multi);
}

/* ---- who drives ---- */

/* Under e->lock: takes a job off the list, for its thread to go on. */
static void finish(struct ml_engine *e, struct job *job, CURLcode rc)
{
    struct job **at = &e->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job->rc = rc;
    job->done = true;
    pthread_cond_signal(&job->turn);
}

/* Under e->lock: hands the jobs that are new to libcurl. */
static void add_jobs(struct ml_engine *e)
{
    for (struct job *j = e->jobs, *next; j; j = next) {
        next = j->next;
        if (j->added)
            continue;
        j->added = true;
        if (curl_multi_add_handle(e->multi, j->easy) != CURLM_OK)
            finish(e, j, CURLE_FAILED_INIT);
    }
}

/* Under e->lock: what has ended; all of it when libcurl itself is broken. */
static void end_jobs(struct ml_engine *e, bool broken)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(e->multi, &left))) {
        struct job *j = NULL;
        CURLcode rc = m->data.result;

        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&j) != CURLE_OK)
            continue;
        curl_multi_remove_handle(e->multi, j->easy);
        finish(e, j, rc);
    }
    for (struct job *j = e->jobs, *next; broken && j; j = next) {
        next = j->next;
        if (!j->added)
            continue;
        curl_multi_remove_handle(e->multi, j->easy);
        finish(e, j, CURLE_OUT_OF_MEMORY);
    }
}

/* Moves everybody's bytes until `own` has ended. Called and left with e->lock held, which isn't while bytes move. */
static void drive(struct ml_engine *e, const struct job *own)
{
    CURLMcode rc = CURLM_OK;
    int running;

    for (;;) {
        add_jobs(e);
        if (own->done)
            return;
        pthread_mutex_unlock(&e->lock);
        rc = curl_multi_perform(e->multi, &running);
        pthread_mutex_lock(&e->lock);
        end_jobs(e, rc != CURLM_OK);
        if (own->done)
            return;
        pthread_mutex_unlock(&e->lock);
        /* a job that came meanwhile has called curl_multi_wakeup; the second is for our own looks at the clock */
        curl_multi_poll(e->multi, NULL, 0, 1000, NULL);
        pthread_mutex_lock(&e->lock);
    }
}

static CURLcode perform(struct ml_engine *e, CURL *c)
{
    struct job job = { .easy = c, .turn = PTHREAD_COND_INITIALIZER };

    if (curl_easy_setopt(c, CURLOPT_PRIVATE, &job) != CURLE_OK)
        return CURLE_FAILED_INIT;
    pthread_mutex_lock(&e->lock);
    job.next = e->jobs;
    e->jobs = &job;
    if (e->driven)
        curl_multi_wakeup(e->multi);
    while (!job.done) {
        if (e->driven) {
            pthread_cond_wait(&job.turn, &e->lock);
            continue;
        }
        e->driven = true;
        drive(e, &job);
        e->driven = false;
        if (e->jobs)
            pthread_cond_signal(&e->jobs->turn);
    }
    pthread_mutex_unlock(&e->lock);
    pthread_cond_destroy(&job.turn);
    return job.rc;
}

static CURL *take_handle(struct ml_engine *e)
{
    CURL *c = NULL;

    pthread_mutex_lock(&e->lock);
    if (e->nidle)
        c = e->idle[--e->nidle];
    pthread_mutex_unlock(&e->lock);
    return c ? c : curl_easy_init();
}

static void give_handle(struct ml_engine *e, CURL *c)
{
    curl_easy_reset(c); /* nothing in it may point to this request any more */
    pthread_mutex_lock(&e->lock);
    if (e->nidle < KEEP) {
        e->idle[e->nidle++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    curl_easy_cleanup(c);
}

/* ---- what libcurl calls ---- */

static size_t on_header(char *p, size_t size, size_t count, void *x)
{
    return ml_flow_header(x, p, size * count) ? 0 : size * count;
}

static size_t on_body(char *p, size_t size, size_t count, void *x)
{
    return ml_flow_body(x, p, size * count) ? 0 : size * count;
}

static size_t on_read(char *p, size_t size, size_t count, void *x)
{
    int64_t n = ml_flow_read(x, p, size * count);

    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static int on_seek(void *ctx, curl_off_t off, int origin)
{
    struct ml_transfer *x = ctx;

    if (origin != SEEK_SET || off < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    /* on a connection that it used before libcurl would send all of it again by itself: into a session that is dead */
    if (x->req->raw && x->sent)
        return CURL_SEEKFUNC_FAIL;
    x->sent = (uint64_t)off;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *x, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    (void)dltotal;
    (void)ultotal;
    return ml_flow_stalled(x, (uint64_t)dlnow, (uint64_t)ulnow);
}

/* What the kernel keeps of an upload, beyond what is on its way, doesn't move for us though it does for the server:
 * with the megabytes that it takes by itself a slow line looks like one that stands still. */
static int on_socket(void *ctx, curl_socket_t s, curlsocktype purpose)
{
    int most = UNSENT_MAX;

    (void)ctx;
    (void)purpose;
    setsockopt(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most); /* without it, it is as it was */
    return CURL_SOCKOPT_OK;
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
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_LIMIT);
    SET(CURLOPT_TIMEOUT_MS, (long)(x->req->timeout * 1000));
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
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
    } else if (req->body_len ||
               (strcmp(req->method, "GET") && strcmp(req->method, "HEAD") && strcmp(req->method, "DELETE"))) {
        SET(CURLOPT_POSTFIELDS, req->body_len ? (const char *)req->body : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
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
    x->expects = (req->source ? req->source_len : req->body_len) >= EXPECT_FROM && !atomic_load(&x->h->mute);
    add_line(&list, x->expects ? "Expect: 100-continue" : "Expect:");
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

/* Whether an option wasn't taken. */
static bool set_all(struct ml_transfer *x, CURL *c, struct curl_slist *headers)
{
    bool bad = set_transport(x, c) || set_body(x, c);

    SET(CURLOPT_HTTPHEADER, headers);
    return bad;
}

int ml_transfer_run(struct ml_transfer *x, enum ml_outcome *out)
{
    CURL *c = take_handle(x->h->engine);
    struct curl_slist *headers;
    CURLcode rc = CURLE_FAILED_INIT;

    if (!c)
        return ml_err_set(x->err, ML_LOCAL, "libcurl doesn't start");
    ml_flow_start(x);
    headers = make_headers(x);
    if (set_all(x, c, headers)) {
        x->failed = true;
        ml_err_set(x->err, ML_LOCAL, "libcurl doesn't take an option: is it older than 7.85?");
    } else {
        rc = perform(x->h->engine, c);
        curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &x->res->seconds);
        x->res->attempts++;
        log_attempt(x, rc);
        if (!strncmp(x->why, "Unsupported proxy", 17)) { /* libcurl quotes it, with its password */
            x->failed = true;
            ml_err_set(x->err, ML_USAGE,
                "https_proxy, http_proxy or all_proxy is not a proxy's URL: say http://host:port, and write what is "
                "special in a password as %%XX");
        }
    }
    give_handle(x->h->engine, c);
    curl_slist_free_all(headers);
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
