/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs as sources. */
#include "oci/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define PIECE ((size_t)4 << 20) /* each is a request */

_Static_assert(2 * PIECE == ML_RELAY_MEMORY, "two pieces: one is read, one is fetched");

/* A piece of the blob, and what became of fetching it. */
struct piece {
    struct ml_buf data;
    uint64_t at;
    bool there; /* it has been fetched (or failed) */
    bool failed;
    struct ml_err err;
};

struct ml_relay {
    struct ml_source source;
    struct ml_repo *from;
    const struct ml_desc *desc;
    int fd; /* -1: by pieces */
    uint64_t base;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    pthread_t fetcher;
    bool running, over;
    struct piece now, next; /* what is read, and what is fetched meanwhile */
    bool wanted;            /* `next` is the fetcher's */
};

static int missing(const struct ml_relay *r, struct ml_err *err)
{
    return ml_err_set(err, ML_INTEGRITY, "blob %s is missing or short where the image comes from", r->desc->digest.s);
}

/* ---- from a file ---- */

static int64_t read_file(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct ml_relay *r = ctx;
    ssize_t got;

    if (off >= r->desc->size)
        return 0;
    if (n > r->desc->size - off)
        n = (size_t)(r->desc->size - off);
    do
        got = pread(r->fd, p, n, (off_t)(r->base + off));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot read blob %s", r->desc->digest.s);
    return got ? got : missing(r, err);
}

/* ---- in pieces ---- */

static int collect(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_buf *b = ctx;

    ml_buf_add(b, p, n);
    return b->full ? ml_err_set(err, ML_REFUSED, "more bytes came than were asked for") : 0;
}

static void fetch(struct ml_relay *r, struct piece *p)
{
    uint64_t left = r->desc->size - p->at, len = left < PIECE ? left : PIECE;
    int rv;

    ml_buf_reset(&p->data);
    p->data.full = false;
    p->err = (struct ml_err)ML_ERR_INIT;
    rv = r->from->ops->blob_get(r->from, r->desc, p->at, len, collect, &p->data, &p->err);
    if (rv == 1 || (!rv && p->data.len < len))
        rv = missing(r, &p->err);
    p->failed = rv != 0;
}

static void *fetch_ahead(void *ctx)
{
    struct ml_relay *r = ctx;

    pthread_mutex_lock(&r->lock);
    while (!r->over) {
        if (!r->wanted || r->next.there) {
            pthread_cond_wait(&r->turn, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        fetch(r, &r->next);
        pthread_mutex_lock(&r->lock);
        r->next.there = true;
        pthread_cond_broadcast(&r->turn);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Has the fetcher get the piece at `at`, unless it has or does; waits first for another that it is at. */
static void want(struct ml_relay *r, uint64_t at)
{
    if (r->wanted && r->next.at == at)
        return;
    while (r->wanted && !r->next.there)
        pthread_cond_wait(&r->turn, &r->lock);
    r->next.at = at;
    r->next.there = false;
    r->wanted = true;
    pthread_cond_broadcast(&r->turn);
}

static int turn_to(struct ml_relay *r, uint64_t off, struct ml_err *err)
{
    struct piece old = r->now;
    int rv = 0;

    pthread_mutex_lock(&r->lock);
    want(r, off);
    while (!r->next.there)
        pthread_cond_wait(&r->turn, &r->lock);
    r->now = r->next;
    r->next = old;
    r->wanted = false;
    if (r->now.failed) {
        if (err)
            *err = r->now.err;
        r->now.data.len = 0;
        rv = -1;
    } else if (r->now.at + r->now.data.len < r->desc->size) {
        want(r, r->now.at + r->now.data.len);
    }
    pthread_mutex_unlock(&r->lock);
    return rv;
}

static int64_t read_pieces(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct ml_relay *r = ctx;
    size_t skip;

    if (off >= r->desc->size)
        return 0;
    if ((off < r->now.at || off >= r->now.at + r->now.data.len) && turn_to(r, off, err))
        return -1;
    skip = (size_t)(off - r->now.at);
    if (n > r->now.data.len - skip)
        n = r->now.data.len - skip;
    memcpy(p, r->now.data.data + skip, n);
    return (int64_t)n;
}

/* ---- open and close ---- */

static int start_fetcher(struct ml_relay *r, struct ml_err *err)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->turn, NULL);
    ml_buf_init(&r->now.data, PIECE);
    ml_buf_init(&r->next.data, PIECE);
    errno = pthread_create(&r->fetcher, NULL, fetch_ahead, r);
    if (errno)
        return ml_err_errno(err, ML_LOCAL, "cannot start a thread");
    r->running = true;
    r->source.read = read_pieces;
    return 0;
}

int ml_relay_open(struct ml_repo *from, const struct ml_desc *d, struct ml_relay **out, struct ml_err *err)
{
    struct ml_relay *r = ml_calloc(1, sizeof *r);
    int rv = 1;

    r->from = from;
    r->desc = d;
    r->fd = -1;
    r->source.ctx = r;
    if (from->ops->blob_fd) {
        rv = from->ops->blob_fd(from, d, &r->fd, &r->base, err);
        if (rv == 1)
            rv = missing(r, err);
        if (rv)
            r->fd = -1;
        else
            posix_fadvise(r->fd, (off_t)r->base, (off_t)d->size, POSIX_FADV_SEQUENTIAL);
        r->source.read = read_file;
    } else {
        rv = start_fetcher(r, err);
    }
    if (rv)
        ml_relay_close(r);
    else
        *out = r;
    return rv;
}

const struct ml_source *ml_relay_source(struct ml_relay *r)
{
    return &r->source;
}

void ml_relay_close(struct ml_relay *r)
{
    if (!r)
        return;
    if (r->running) {
        pthread_mutex_lock(&r->lock);
        r->over = true;
        pthread_cond_broadcast(&r->turn);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->fetcher, NULL);
        pthread_cond_destroy(&r->turn);
        pthread_mutex_destroy(&r->lock);
    }
    if (r->fd >= 0)
        close(r->fd);
    ml_buf_release(&r->now.data);
    ml_buf_release(&r->next.data);
    free(r);
}
