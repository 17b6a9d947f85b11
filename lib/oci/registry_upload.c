/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Storing a blob in a registry: in one PUT, or, what is large, in chunks, so that a break costs a chunk at most. What a
 * registry can't do is found out, never known by its name. The bytes aren't hashed on their way: the closing request
 * says the digest, and the registry refuses what isn't it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/url.h"
#include "oci/registry.h"
#include "oci/registry_session.h"

#define CHUNK_SMALLEST ((uint64_t)1 << 20) /* what is left of a chunk where a proxy takes no large requests */

#define PARTIAL_MAX 100 /* chunks of which a registry may take a part only */

/* What to do next. */
enum step {
    ON,      /* go on */
    DONE,    /* the blob is there */
    LOOK,    /* something broke: ask what the registry has, and go on from there */
    FRESH,   /* the session is of no use any more: a new one */
    WHOLE,   /* chunks aren't for this registry: a new session, and all in one request */
    SMALLER, /* chunks are, but not as large */
    STOP     /* err says why */
};

struct upload {
    struct ml_registry *r;
    const struct ml_desc *want;
    const struct ml_source *src;
    struct ml_session session;
    uint64_t at, best; /* what the registry has; the most it ever had */
    uint64_t least;    /* what it wants a chunk to be at least */
    bool whole;        /* all in one request */
    bool again;        /* the digest was refused once already */
    int partial;       /* chunks that it took a part of */
    int failures;      /* since it last got on */
    double waited;
    struct ml_http_res res;
    struct ml_err err;
};

/* ---- what the registry showed ---- */

static uint64_t chunk_size(struct upload *u)
{
    uint64_t n;

    pthread_mutex_lock(&u->r->lock);
    n = u->r->chunk;
    pthread_mutex_unlock(&u->r->lock);
    return n < u->least ? u->least : n;
}

static bool in_chunks(struct upload *u)
{
    return !u->whole && u->want->size > chunk_size(u);
}

static void shrink(struct ml_registry *r, uint64_t chunk)
{
    pthread_mutex_lock(&r->lock);
    if (chunk < r->chunk)
        r->chunk = chunk;
    pthread_mutex_unlock(&r->lock);
}

/* ---- requests ---- */

/* A part of the source as a source. */
struct part {
    const struct ml_source *src;
    uint64_t from;
};

static int64_t part_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct part *part = ctx;

    return part->src->read(part->src->ctx, part->from + off, p, n, err);
}

/* Sends bytes `from` to `from + n` (none: n 0) to the session, or wherever that redirects to. One attempt: what comes
 * after a broken one depends on what the registry has got. */
static int send_bytes(
    struct upload *u, const char *method, const char *url, const char *range, uint64_t from, uint64_t n)
{
    struct part part = { u->src, from };
    struct ml_source src = { part_read, &part };
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_strs headers = { 0 };
    char *there = ml_strdup(url);
    int rv;

    ml_strs_add(&headers, "Content-Type: application/octet-stream");
    if (range)
        ml_strs_add(&headers, range);
    req.method = method;
    req.headers = &headers;
    req.source = n ? &src : NULL;
    req.source_len = n;
    req.work = u->at; /* where chunks came before, the last request is answered when all of them are hashed */
    req.raw = req.no_redirect = true;
    for (int hops = 0;; hops++) {
        req.url = there;
        rv = ml_registry_send(u->r, &req, NULL, &u->res, &u->err);
        if (rv || (u->res.status != 307 && u->res.status != 308) || hops == 5)
            break;
        free(there);
        there = ml_session_url(u->r->root, &u->res, &u->err);
        rv = there ? 0 : -1;
        if (rv)
            break;
    }
    if (!rv && u->res.status / 100 != 2)
        ml_registry_fail(u->r, &req, &u->res, &u->err); /* in case that this is where it ends */
    ml_strs_release(&headers);
    free(there);
    return rv;
}

/* Takes the newest Location of an answer; one without leaves what is. */
static int move(struct upload *u)
{
    char *url;

    if (!ml_http_header(&u->res, "location", 0) && u->session.url)
        return 0;
    url = ml_session_url(u->r->root, &u->res, &u->err);
    if (!url)
        return -1;
    ml_session_move(&u->session, u->r->root, &u->want->digest, url);
    return 0;
}

static void got(struct upload *u, uint64_t at)
{
    u->at = at;
    if (at <= u->best)
        return;
    u->best = at;
    u->failures = 0;
    u->waited = 0;
}

/* What may be otherwise the next time. */
static bool passes(int status)
{
    return status == 408 || status == 429 || status == 499 ||
           (status >= 500 && status != 501 && status != 505 && status != 511);
}

/* Asks for the session's state: 0 with u->at, 1 it is gone (or doesn't tell), -1. */
static int ask_status(struct upload *u)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    uint64_t end;

    req.url = u->session.url;
    if (ml_registry_send(u->r, &req, NULL, &u->res, &u->err))
        return -1;
    if (passes(u->res.status) || u->res.status == 401 || u->res.status == 403)
        return ml_registry_fail(u->r, &req, &u->res, &u->err);
    end = ml_session_range(&u->res);
    if (u->res.status / 100 != 2 || !end || end > u->want->size)
        return 1;
    if (move(u))
        return -1;
    got(u, end);
    return 0;
}

/* ---- the session ---- */

static int is_there(struct upload *u)
{
    return ml_registry_blob_has(&u->r->base, &u->want->digest, &u->err);
}

static enum step really(struct upload *u)
{
    switch (is_there(u)) {
    case 0:
        return DONE;
    case 1:
        ml_err_set(
            &u->err, ML_REFUSED, "the registry says that it took blob %s, but doesn't have it", u->want->digest.s);
    }
    return STOP;
}

/* A session of a mount that didn't come about, else a new one. */
static enum step begin(struct upload *u)
{
    struct ml_registry *r = u->r;
    char *url;

    u->at = 0;
    url = ml_registry_take_offer(r, &u->want->digest, &u->least);
    if (!url) {
        if (ml_registry_begin(r, "", NULL, &url, &u->res, &u->err))
            return STOP;
        if (!url)
            return really(u);
        u->least = ml_registry_chunk_least(&u->res);
    }
    ml_session_move(&u->session, r->root, &u->want->digest, url);
    return ON;
}

/* ---- chunks ---- */

static bool first_chunk(const struct upload *u)
{
    return !u->at && !ml_registry_is(u->r, ML_REGISTRY_CHUNKS);
}

/* A chunk was taken: how much of it? The answer's Range tells, where it isn't that of an earlier one (ECR's is). */
static enum step taken(struct upload *u, uint64_t n)
{
    uint64_t end = ml_session_range(&u->res), next = u->at + n, before = u->at;

    if (move(u))
        return STOP;
    ml_registry_set(u->r, ML_REGISTRY_CHUNKS);
    if (end > before && end <= next) {
        got(u, end);
        return end == next || ++u->partial < PARTIAL_MAX ? ON : WHOLE;
    }
    if (!ml_registry_is(u->r, ML_REGISTRY_STALE)) {
        int rv = ask_status(u);

        if (!rv && u->at > before && u->at < next)
            return ++u->partial < PARTIAL_MAX ? ON : WHOLE;
        ml_registry_set(u->r, ML_REGISTRY_STALE);
    }
    got(u, next); /* it said that it took the chunk; whether that is true the digest will show */
    return ON;
}

static enum step refused_chunk(struct upload *u)
{
    int s = u->res.status;

    if (s == 413)
        return SMALLER;
    if (s == 401 || (s == 403 && !first_chunk(u)))
        return STOP;
    if (passes(s))
        return LOOK;
    if (first_chunk(u))
        return WHOLE;
    return s == 404 ? FRESH : LOOK;
}

static enum step send_chunk(struct upload *u)
{
    uint64_t left = u->want->size - u->at, n = chunk_size(u) < left ? chunk_size(u) : left;
    char *range = ml_format("Content-Range: %" PRIu64 "-%" PRIu64, u->at, u->at + n - 1);
    int rv = send_bytes(u, "PATCH", u->session.url, range, u->at, n);

    free(range);
    if (rv)
        return u->err.code == ML_UNREACHABLE ? LOOK : STOP;
    if (u->res.status == 201) /* it takes a chunk for the blob, which the last may be */
        return u->at + n == u->want->size && !is_there(u) ? DONE : WHOLE;
    return u->res.status / 100 == 2 ? taken(u, n) : refused_chunk(u);
}

/* ---- the end ---- */

static bool says(const struct upload *u, const char *code)
{
    return strstr(ml_buf_str(&u->res.body), code);
}

/* Whose fault is it? Ours, when the source isn't what it should be. Else chunks went astray (a registry that appends
 * whatever comes, one session used by two), or bytes on their way: once more, in one piece. */
static enum step wrong_digest(struct upload *u)
{
    struct ml_err said = u->err;
    struct ml_digest d;

    if (ml_digest_source(u->src, u->want->size, &d, &u->err))
        return STOP;
    if (!ml_digest_eq(&d, &u->want->digest)) {
        ml_err_set(&u->err, ML_INTEGRITY, "the data isn't blob %s: its digest is %s (did it change while it was read?)",
            u->want->digest.s, d.s);
        return STOP;
    }
    if (!u->again) {
        u->again = true;
        return WHOLE;
    }
    u->err = said;
    u->err.code = ML_INTEGRITY;
    ml_err_wrap(&u->err, "blob %s was sent as it is, but something else arrived", u->want->digest.s);
    return STOP;
}

static enum step stored(struct upload *u)
{
    const char *said = ml_http_header(&u->res, "docker-content-digest", 0);

    if (said && ml_digest_valid(said) && strcmp(said, u->want->digest.s)) {
        ml_err_set(&u->err, ML_INTEGRITY, "blob %s was stored as %s", u->want->digest.s, said);
        return STOP;
    }
    if (u->res.status == 201 && ml_url_same_origin(u->session.url, u->r->root))
        return DONE;
    return really(u); /* somebody else said so, or not quite so */
}

static enum step not_stored(struct upload *u)
{
    int s = u->res.status;

    if (says(u, "DIGEST_INVALID") || (says(u, "SIZE_INVALID") && !u->whole))
        return wrong_digest(u);
    if (s == 413)
        return in_chunks(u) ? STOP : SMALLER;
    if (passes(s))
        return LOOK;
    if (s == 404) /* the session is gone; when an answer was lost before, because it has come to its end */
        return is_there(u) ? LOOK : DONE;
    return s == 416 && u->at ? LOOK : STOP;
}

/* The closing request, with all of the blob or with what chunks left of it: nothing. */
static enum step finish(struct upload *u)
{
    struct ml_buf url = ML_BUF_INIT;
    struct ml_err why;
    int rv;

    ml_buf_adds(&url, u->session.url);
    ml_url_query(&url, "digest", u->want->digest.s);
    rv = send_bytes(u, "PUT", url.data, NULL, u->at, u->want->size - u->at);
    ml_buf_release(&url);
    if (!rv)
        return u->res.status / 100 == 2 ? stored(u) : not_stored(u);
    if (u->err.code != ML_UNREACHABLE)
        return STOP;
    why = u->err; /* the answer was lost: perhaps only that */
    if (!is_there(u))
        return DONE;
    u->err = why;
    return LOOK;
}

/* ---- all of it ---- */

static enum step next(struct upload *u)
{
    if (!u->session.url)
        return begin(u);
    return in_chunks(u) && u->at < u->want->size ? send_chunk(u) : finish(u);
}

static bool may_try_again(struct upload *u)
{
    return ml_http_pause(u->r->http, &u->res, u->failures++, &u->waited);
}

static enum step start_over(struct upload *u, bool alive)
{
    if (u->session.url && alive)
        ml_registry_cancel(u->r, u->session.url);
    ml_session_end(&u->session);
    u->at = 0;
    return ON;
}

/* It has been tried often enough in chunks. Where the registry refuses them, though it took some, or breaks on the very
 * first, it may still take all in one request. Where it can't be reached, what it has is something to go on from later.
 */
static enum step give_up(struct upload *u)
{
    int s = u->res.status;
    bool refuses = s / 100 == 4 && s != 401 && s != 403 && s != 408 && s != 429 && s != 499;

    if (!in_chunks(u) || !(refuses || (first_chunk(u) && s >= 500)))
        return STOP;
    u->failures = 0;
    u->waited = 0;
    return WHOLE;
}

static enum step look(struct upload *u)
{
    int rv;

    if (!may_try_again(u))
        return give_up(u);
    if (!in_chunks(u))
        return start_over(u, false);
    rv = ask_status(u);
    if (rv < 0)
        return STOP;
    return rv ? start_over(u, false) : ON;
}

/* 413: a proxy before the registry has a limit, that may be above what we ask for the next time. */
static enum step smaller(struct upload *u)
{
    uint64_t sent = in_chunks(u) ? chunk_size(u) : u->want->size, n = sent / 4;
    char size[16];

    if (n < CHUNK_SMALLEST)
        n = CHUNK_SMALLEST;
    if (!u->whole && n < sent && n >= u->least) {
        shrink(u->r, n);
        return ON;
    }
    ml_err_wrap(&u->err,
        "the registry, or a proxy before it, takes no request of %s; that limit has to be raised there",
        ml_size_format(sent, size));
    return STOP;
}

static enum step handle(struct upload *u, enum step step)
{
    switch (step) {
    case LOOK:
        return look(u);
    case FRESH:
        return may_try_again(u) ? start_over(u, false) : give_up(u);
    case WHOLE:
        u->whole = true;
        if (!u->again)
            ml_registry_set(u->r, ML_REGISTRY_NO_CHUNKS);
        return start_over(u, true);
    case SMALLER:
        return smaller(u);
    default:
        return step;
    }
}

/* What an earlier process has left. A registry that breaks on it may know nothing of it any more. */
static enum step resume(struct upload *u)
{
    int rv;

    ml_session_recall(&u->session, u->r->root, &u->want->digest);
    if (!u->session.url)
        return ON;
    rv = ask_status(u);
    if (rv < 0 && u->res.status / 100 != 5)
        return STOP;
    if (rv)
        return start_over(u, false);
    ml_registry_set(u->r, ML_REGISTRY_CHUNKS);
    return ON;
}

static int upload(struct ml_registry *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    struct upload u = { .r = r, .want = d, .src = src, .session = ML_SESSION_INIT };
    enum step step = ON;

    u.whole = ml_registry_is(r, ML_REGISTRY_NO_CHUNKS);
    if (in_chunks(&u))
        step = resume(&u);
    while (step == ON || step == WHOLE) /* WHOLE: give_up() has thought of it */
        step = handle(&u, step == WHOLE ? step : next(&u));
    if (step == DONE)
        ml_session_end(&u.session);
    ml_session_release(&u.session);
    ml_http_res_release(&u.res);
    if (step == DONE)
        return 0;
    if (err)
        *err = u.err;
    return -1;
}

int ml_registry_blob_put(struct ml_repo *repo, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    struct ml_registry *r = (struct ml_registry *)repo;
    int rv = ml_registry_known_missing(r, &d->digest) ? 1 : ml_registry_blob_has(repo, &d->digest, err);

    return rv == 1 ? upload(r, d, src, err) : rv;
}
