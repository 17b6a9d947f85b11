/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs of a registry: reading them. What is large comes as ranges over several connections into a window of fixed
 * size, from which the caller's thread takes it in order; all else, and all that a server without ranges sends, as one
 * stream. Either way the sink gets every byte once. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/url.h"
#include "oci/registry.h"

#define RANGE         ((uint64_t)8 << 20)
#define SLOTS         4 /* ranges that are on their way or wait for the sink */
#define PARALLEL_FROM (2 * RANGE)
#define PIECE         ((uint64_t)1 << 20) /* what the sink gets at once */
#define STREAMS       4                   /* how often one stream starts over where it can't go on */

/* What is wanted of a blob, and what the sink has of it. */
struct download {
    struct ml_registry *r;
    const struct ml_desc *want;
    char *url;
    uint64_t off, size; /* the part that is wanted */
    bool whole;
    struct ml_hasher *hasher; /* when it is the whole blob */
    ml_sink_fn *sink;
    void *ctx;
    uint64_t taken; /* bytes that the sink has; under the lock while there are threads */

    /* only with ranges, all under the lock */
    pthread_mutex_t lock;
    pthread_cond_t ready, room; /* the sink's side waits for the first, the threads for the second */
    char *window;
    uint64_t got[SLOTS]; /* bytes of the range that has the slot */
    uint64_t next;       /* the first range that nobody has begun */
    bool proved;         /* ranges are what the server sends */
    bool none;           /* they aren't */
    bool over;           /* nobody needs to go on: the sink failed, or `failed` says what did */
    int rv;              /* -1 with `failed`; 1 no such blob */
    struct ml_err failed;
    char *direct; /* where the registry has sent us for the bytes, a storage host; NULL: not known, or expired */
};

static struct ml_registry *self(struct ml_repo *r)
{
    return (struct ml_registry *)r;
}

/* ---- the sink's side ---- */

static int deliver(struct download *d, const char *p, size_t n, struct ml_err *err)
{
    if (d->hasher)
        ml_hasher_add(d->hasher, p, n);
    return d->sink(d->ctx, p, n, err);
}

static int wrong_size(const struct download *d, uint64_t n, struct ml_err *err)
{
    return ml_err_set(err, ML_INTEGRITY, "blob %s has %llu bytes, its manifest says %llu", d->want->digest.s,
        (unsigned long long)n, (unsigned long long)d->want->size);
}

static int verify(struct download *d, struct ml_err *err)
{
    struct ml_digest got;

    if (!d->whole)
        return 0;
    if (d->taken != d->size)
        return wrong_size(d, d->taken, err);
    ml_hasher_end(d->hasher, &got);
    if (!ml_digest_eq(&got, &d->want->digest))
        return ml_err_set(
            err, ML_INTEGRITY, "what the registry sent as blob %s has the digest %s", d->want->digest.s, got.s);
    return 0;
}

/* The answer's headers, before its first byte counts: a web page is no blob, and one of another size isn't this one. */
static int check_head(
    const struct download *d, const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err)
{
    const char *range = ml_http_header(res, "content-range", 0), *all = range ? strchr(range, '/') : NULL,
               *length = ml_http_header(res, "content-length", 0);
    uint64_t size = d->want->size;
    int64_t n;

    if (ml_http_api(req, res, err))
        return -1;
    if (res->status == 206 && all && ml_int_parse(all + 1, &n) && (uint64_t)n != size)
        return wrong_size(d, (uint64_t)n, err);
    if (res->status == 200 && length && !ml_http_header(res, "content-encoding", 0) && ml_int_parse(length, &n) &&
        (uint64_t)n != size)
        return wrong_size(d, (uint64_t)n, err);
    return 0;
}

/* ---- one stream ---- */

struct stream {
    struct download *d;
    struct ml_http_req req;
    struct ml_http_res res;
    uint64_t at; /* bytes of what is wanted that came in this stream */
    bool begun, failed;
};

static int from_stream(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct stream *s = ctx;
    struct download *d = s->d;
    const char *bytes = p;
    uint64_t known = d->taken > s->at ? d->taken - s->at : 0;

    if (!s->begun && check_head(d, &s->req, &s->res, err)) {
        s->failed = true;
        return -1;
    }
    s->begun = true;
    if (n > d->size - s->at) {
        s->failed = true;
        return ml_err_set(err, ML_INTEGRITY, "blob %s is longer than the %llu bytes that its manifest says",
            d->want->digest.s, (unsigned long long)d->want->size);
    }
    s->at += n;
    if (known >= n)
        return 0;
    bytes += known;
    n -= (size_t)known;
    d->taken += n;
    s->failed = deliver(d, bytes, n, err) < 0;
    return s->failed ? -1 : 0;
}

/* Whether the stream broke and the server can't go on in the middle of it as it should. */
static bool lost(const struct stream *s, int rv)
{
    return s->begun && !s->failed && (rv ? s->res.status == 206 : s->res.status == 416);
}

static int stream_once(struct stream *s, struct ml_err *err)
{
    struct download *d = s->d;
    int rv;

    s->at = 0;
    s->begun = s->failed = false;
    s->req = (struct ml_http_req)ML_HTTP_REQ_INIT;
    s->req.url = d->url;
    s->req.from = d->off;
    s->req.len = d->whole ? 0 : d->size; /* the whole is asked for without an end, so that a longer one is noticed */
    s->req.sink = from_stream;
    s->req.sink_ctx = s;
    rv = ml_registry_send(d->r, &s->req, NULL, &s->res, err);
    if (lost(s, rv))
        return 2;
    if (!rv && s->res.status == 404)
        return ml_http_api(&s->req, &s->res, err) ? -1 : 1;
    if (!rv && s->res.status / 100 != 2)
        return ml_registry_fail(d->r, &s->req, &s->res, err);
    return rv;
}

static int one_stream(struct download *d, struct ml_err *err)
{
    struct stream s = { .d = d, .res = ML_HTTP_RES_INIT };
    int rv = 2;

    for (int n = 0; rv == 2 && n < STREAMS; n++)
        rv = stream_once(&s, err);
    if (rv == 2)
        rv = ml_err_set(err, ML_UNREACHABLE,
            "blob %s: the connection broke again and again, and the server doesn't go on where it did",
            d->want->digest.s);
    ml_http_res_release(&s.res);
    return rv;
}

/* ---- ranges ---- */

struct range {
    struct download *d;
    uint64_t number, len, got; /* got: as d->got[...], but ours alone */
    struct ml_http_req req;
    struct ml_http_res res;
    bool begun, failed;
};

static void give_up(struct download *d, int rv, const struct ml_err *why)
{
    pthread_mutex_lock(&d->lock);
    if (!d->over && !d->none) { /* else it is because of that */
        d->over = true;
        d->rv = rv;
        d->failed = *why;
    }
    pthread_cond_signal(&d->ready);
    pthread_cond_broadcast(&d->room);
    pthread_mutex_unlock(&d->lock);
}

static int from_range(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct range *g = ctx;
    struct download *d = g->d;
    size_t slot = g->number % SLOTS;
    bool over;

    if ((!g->begun && check_head(d, &g->req, &g->res, err)) || n > g->len - g->got) {
        g->failed = true;
        return -1;
    }
    memcpy(d->window + slot * RANGE + g->got, p, n); /* not yet counted, so nobody else looks at it */
    g->got += n;
    pthread_mutex_lock(&d->lock);
    d->got[slot] = g->got;
    if (!d->proved) {
        d->proved = true;
        pthread_cond_broadcast(&d->room);
    }
    if (d->taken / RANGE == g->number)
        pthread_cond_signal(&d->ready);
    over = d->over || d->none;
    pthread_mutex_unlock(&d->lock);
    g->begun = true;
    g->failed = over;
    return over ? ml_err_set(err, ML_LOCAL, "nobody waits for it any more") : 0;
}

/* The answer that an expired or withdrawn permission to read from a storage host gets; each has its own. */
static bool expired(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

static char *direct_url(struct download *d)
{
    char *s;

    pthread_mutex_lock(&d->lock);
    s = d->direct ? ml_strdup(d->direct) : NULL;
    pthread_mutex_unlock(&d->lock);
    return s;
}

static void set_direct(struct download *d, const char *old, const char *url)
{
    pthread_mutex_lock(&d->lock);
    if (!old || (d->direct && !strcmp(d->direct, old))) {
        free(d->direct);
        d->direct = url ? ml_strdup(url) : NULL;
    }
    pthread_mutex_unlock(&d->lock);
}

/* Asks the storage host that the registry named for this blob before, and when it won't any more, the registry. */
static int ask(struct range *g, struct ml_err *err)
{
    struct download *d = g->d;
    char *direct = direct_url(d);
    bool stale;
    int rv;

    if (direct) {
        g->req.url = direct;
        g->req.what = "the registry's storage";
        rv = ml_http_send(d->r->http, &g->req, &g->res, err);
        stale = rv ? !g->failed && g->res.status != 206 : expired(g->res.status);
        if (stale)
            set_direct(d, direct, NULL);
        free(direct);
        if (!stale)
            return rv;
        g->req.from = d->off + g->number * RANGE + g->got; /* some of it may have come */
        g->req.len = g->len - g->got;
    }
    g->req.url = d->url;
    rv = ml_registry_send(d->r, &g->req, NULL, &g->res, err);
    if (!rv && g->res.status == 206 && !ml_url_same_origin(g->res.url, d->url))
        set_direct(d, NULL, g->res.url);
    return rv;
}

/* One request for what is missing of a range. 0: something of it came; 2: this server doesn't do ranges; 1: there is no
 * such blob. */
static int range_once(struct range *g, struct ml_err *err)
{
    uint64_t before = g->got;
    int rv, status;

    g->begun = g->failed = false;
    g->req = (struct ml_http_req)ML_HTTP_REQ_INIT;
    g->req.from = g->d->off + g->number * RANGE + g->got;
    g->req.len = g->len - g->got;
    g->req.exact = true;
    g->req.sink = from_range;
    g->req.sink_ctx = g;
    rv = ask(g, err);
    status = g->res.status;
    if (g->failed)
        return -1;
    if ((!rv && status / 100 == 2 && status != 206) || status == 416 ||
        (rv && status == 206 && err->code == ML_REFUSED))
        return 2;
    if (rv)
        return -1;
    if (status == 206)
        return g->got > before ? 0 : 2;
    if (status == 404 && !g->number && !g->got)
        return ml_http_api(&g->req, &g->res, err) ? -1 : 1;
    return ml_registry_fail(g->d->r, &g->req, &g->res, err);
}

static int get_range(struct download *d, uint64_t number, struct ml_err *err)
{
    struct range g = { .d = d, .number = number, .res = ML_HTTP_RES_INIT };
    int rv = 0;

    g.len = d->size - number * RANGE < RANGE ? d->size - number * RANGE : RANGE;
    while (!rv && g.got < g.len)
        rv = range_once(&g, err);
    ml_http_res_release(&g.res);
    return rv;
}

/* The next range to get, once there is room for it: false when there is none. */
static bool next_range(struct download *d, uint64_t *number)
{
    bool yes;

    pthread_mutex_lock(&d->lock);
    while (!d->over && !d->none && d->next * RANGE < d->size &&
           (d->next >= d->taken / RANGE + SLOTS || (!d->proved && d->next > 0)))
        pthread_cond_wait(&d->room, &d->lock);
    yes = !d->over && !d->none && d->next * RANGE < d->size;
    *number = d->next;
    if (yes)
        d->got[d->next++ % SLOTS] = 0;
    pthread_mutex_unlock(&d->lock);
    return yes;
}

static void *get_ranges(void *ctx)
{
    struct download *d = ctx;
    struct ml_err err = ML_ERR_INIT;
    uint64_t number;
    int rv = 0;

    while (!rv && next_range(d, &number))
        rv = get_range(d, number, &err);
    if (rv == 2) {
        pthread_mutex_lock(&d->lock);
        d->none = true;
        pthread_cond_signal(&d->ready);
        pthread_cond_broadcast(&d->room);
        pthread_mutex_unlock(&d->lock);
    } else if (rv) {
        give_up(d, rv, &err);
    }
    return NULL;
}

/* What lies ready for the sink, waited for: 0 when it is over. */
static size_t wait_ready(struct download *d, const char **p)
{
    uint64_t slot = d->taken / RANGE % SLOTS, at = d->taken % RANGE, n = 0;

    pthread_mutex_lock(&d->lock);
    while (!d->over && !d->none && (d->next <= d->taken / RANGE || d->got[slot] == at))
        pthread_cond_wait(&d->ready, &d->lock);
    if (!d->over && !d->none)
        n = d->got[slot] - at < PIECE ? d->got[slot] - at : PIECE;
    pthread_mutex_unlock(&d->lock);
    *p = d->window + slot * RANGE + at;
    return (size_t)n;
}

static int take_ranges(struct download *d, struct ml_err *err)
{
    const char *p;
    size_t n;

    while (d->taken < d->size && (n = wait_ready(d, &p)) > 0) {
        if (deliver(d, p, n, err) < 0)
            return -1;
        pthread_mutex_lock(&d->lock);
        d->taken += n;
        if (d->taken % RANGE == 0)
            pthread_cond_broadcast(&d->room);
        pthread_mutex_unlock(&d->lock);
    }
    return 0;
}

/* 0 done; 1 no such blob; 2 the rest, from d->taken on, has to come as one stream; -1. */
static int ranges(struct download *d, struct ml_err *err)
{
    pthread_t thread[SLOTS];
    size_t n = 0, most = (size_t)((d->size + RANGE - 1) / RANGE);
    int rv;

    d->window = ml_malloc(SLOTS * RANGE);
    d->proved = atomic_load(&d->r->ranges) > 0;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->ready, NULL);
    pthread_cond_init(&d->room, NULL);
    while (n < SLOTS && n < most && pthread_create(&thread[n], NULL, get_ranges, d) == 0)
        n++;
    rv = n ? take_ranges(d, err) : 2;
    pthread_mutex_lock(&d->lock);
    if (!rv && d->taken < d->size) {
        rv = d->over ? d->rv : 2;
        if (rv < 0)
            *err = d->failed;
    }
    d->over = true;
    pthread_cond_broadcast(&d->room);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    if (n)
        atomic_store(&d->r->ranges, d->none ? -1 : d->proved);
    pthread_cond_destroy(&d->room);
    pthread_cond_destroy(&d->ready);
    pthread_mutex_destroy(&d->lock);
    free(d->direct);
    free(d->window);
    return rv;
}

int ml_registry_blob_get(struct ml_repo *repo, const struct ml_desc *desc, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    struct download d = { .r = r, .want = desc, .sink = sink, .ctx = ctx, .off = off };
    struct ml_err why = ML_ERR_INIT; /* of a try that another may make good */
    int rv = 2;

    d.whole = !off && (!len || len == desc->size);
    d.size = d.whole ? desc->size : off > desc->size ? 0 : desc->size - off;
    if (!d.whole && len && len < d.size)
        d.size = len;
    if (!d.whole && !d.size)
        return 0;
    d.url = ml_format("%s/blobs/%s", r->root, desc->digest.s);
    d.hasher = d.whole ? ml_hasher_new() : NULL;
    if (d.size > PARALLEL_FROM && atomic_load(&r->ranges) >= 0)
        rv = ranges(&d, &why);
    if (rv == 2)
        rv = one_stream(&d, &why);
    if (!rv)
        rv = verify(&d, &why);
    if (rv < 0 && err)
        *err = why;
    ml_hasher_free(d.hasher);
    free(d.url);
    return rv;
}
