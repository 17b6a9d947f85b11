/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread fetches, verifies and decompresses, the caller's reads entries. */
#include "oci/layer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/decompress.h"

#define SLOTS 8
#define SLOT  ((size_t)256 << 10)
#define SLACK ((uint64_t)256 << 20)
#define RATIO 200
#define WASTE ((uint64_t)64 << 20)

/* Bytes between the two threads: slots that are filled and emptied in turn. */
struct ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *slot[SLOTS];
    size_t len[SLOTS];
    size_t first, count; /* the filled slots */
    bool lent;           /* the first of them is what the reader has now */
    bool ended;          /* nothing more comes */
    bool closed;         /* nobody takes any more */
};

struct ml_layer_in {
    struct ml_repo *r;
    struct ml_layer_conf conf;
    struct ml_desc desc;
    uint64_t came; /* of the blob */
    struct ring ring;
    pthread_t thread;
    struct ml_untar *untar;
    struct ml_hasher *hasher;
    struct ml_decompress *decompress;
    struct ml_err fetched, unpacked; /* what went wrong with the bytes, and with what they hold */
    bool stopped;
    bool unwanted;   /* the caller has failed; under the ring's lock */
    uint64_t wasted; /* bytes that came since nobody wants them */
    bool gave_up;
};

/* A free slot is waited for; what nobody takes is dropped. */
static void ring_put(struct ring *g, const char *p, size_t n)
{
    while (n > 0) {
        size_t part = n < SLOT ? n : SLOT, slot;

        pthread_mutex_lock(&g->lock);
        while (g->count == SLOTS && !g->closed)
            pthread_cond_wait(&g->changed, &g->lock);
        slot = g->closed ? SLOTS : (g->first + g->count) % SLOTS;
        pthread_mutex_unlock(&g->lock);
        if (slot == SLOTS)
            return;
        memcpy(g->slot[slot], p, part); /* not yet counted, so nobody else looks at it */
        pthread_mutex_lock(&g->lock);
        g->len[slot] = part;
        g->count++;
        pthread_cond_signal(&g->changed);
        pthread_mutex_unlock(&g->lock);
        p += part;
        n -= part;
    }
}

/* The next filled slot, which stays the reader's until he asks for the one after it. 0: no more come. */
static size_t ring_take(struct ring *g, const void **p)
{
    size_t n;

    pthread_mutex_lock(&g->lock);
    if (g->lent) {
        g->first = (g->first + 1) % SLOTS;
        g->count--;
        pthread_cond_signal(&g->changed);
    }
    while (g->count == 0 && !g->ended)
        pthread_cond_wait(&g->changed, &g->lock);
    g->lent = g->count > 0;
    n = g->lent ? g->len[g->first] : 0;
    *p = g->slot[g->first];
    pthread_mutex_unlock(&g->lock);
    return n;
}

static int to_ring(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;

    (void)err;
    if (in->hasher && !ml_decompress_plain(in->decompress)) /* else it is the blob's digest, which is verified anyway */
        ml_hasher_add(in->hasher, p, n);
    ring_put(&in->ring, p, n);
    return 0;
}

static bool is_unwanted(struct ml_layer_in *in)
{
    bool yes;

    pthread_mutex_lock(&in->ring.lock);
    yes = in->unwanted;
    pthread_mutex_unlock(&in->ring.lock);
    return yes;
}

/* A layer that doesn't unpack, or that the caller has had enough of, is still read for a while: a wrong digest is the
 * better answer. */
static int from_repo(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;

    in->came += n;
    if (in->conf.progress)
        in->conf.progress(in->conf.progress_ctx, n);
    if (in->stopped || is_unwanted(in))
        in->wasted += n;
    if (in->wasted > WASTE) {
        in->gave_up = true;
        return ml_err_set(err, ML_LOCAL, "given up");
    }
    if (!in->stopped && ml_decompress_add(in->decompress, p, n, &in->unpacked) < 0)
        in->stopped = true;
    return 0;
}

static void *produce(void *ctx)
{
    struct ml_layer_in *in = ctx;
    int rc = in->r->ops->blob_get(in->r, &in->desc, 0, 0, from_repo, in, &in->fetched);

    if (rc == 1)
        ml_err_set(
            &in->fetched, in->r->ref.layout ? ML_LOCAL : ML_REFUSED, "the layer %s is missing", in->desc.digest.s);
    if (rc == 0)
        in->fetched.code = 0;
    if (rc == 0 && in->came != in->desc.size)
        ml_err_set(&in->fetched, ML_INTEGRITY, "it has %llu bytes, its manifest says %llu",
            (unsigned long long)in->came, (unsigned long long)in->desc.size);
    if (rc == 0 && !in->stopped)
        ml_decompress_end(in->decompress, &in->unpacked);
    pthread_mutex_lock(&in->ring.lock);
    in->ring.ended = true;
    pthread_cond_signal(&in->ring.changed);
    pthread_mutex_unlock(&in->ring.lock);
    return NULL;
}

static int64_t from_ring(void *ctx, const void **p, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;

    (void)err;
    return (int64_t)ring_take(&in->ring, p);
}

static void release(struct ml_layer_in *in)
{
    for (size_t i = 0; i < SLOTS; i++)
        free(in->ring.slot[i]);
    pthread_mutex_destroy(&in->ring.lock);
    pthread_cond_destroy(&in->ring.changed);
    ml_untar_free(in->untar);
    ml_decompress_free(in->decompress);
    ml_hasher_free(in->hasher);
    free(in);
}

int ml_layer_open(
    struct ml_repo *r, const struct ml_desc *d, uint64_t max, struct ml_layer_in **out, struct ml_err *err)
{
    struct ml_layer_conf conf = { .max = max };

    return ml_layer_open_as(r, d, &conf, out, err);
}

int ml_layer_open_as(struct ml_repo *r, const struct ml_desc *d, const struct ml_layer_conf *conf,
    struct ml_layer_in **out, struct ml_err *err)
{
    struct ml_layer_in *in = ml_calloc(1, sizeof *in);
    uint64_t max = conf->max;
    int rc;

    if (max == 0)
        max = d->size > (UINT64_MAX - SLACK) / RATIO ? UINT64_MAX : SLACK + RATIO * d->size;
    in->r = r;
    in->conf = *conf;
    in->desc = (struct ml_desc){ .digest = d->digest, .size = d->size };
    in->hasher = conf->no_diff_id ? NULL : ml_hasher_new();
    in->decompress = ml_decompress_new(max, to_ring, in);
    in->untar = ml_untar_new(from_ring, in);
    for (size_t i = 0; i < SLOTS; i++)
        in->ring.slot[i] = ml_malloc(SLOT);
    pthread_mutex_init(&in->ring.lock, NULL);
    pthread_cond_init(&in->ring.changed, NULL);
    rc = pthread_create(&in->thread, NULL, produce, in);
    if (rc != 0) {
        release(in);
        errno = rc;
        return ml_err_errno(err, ML_LOCAL, "cannot start a thread");
    }
    *out = in;
    return 0;
}

struct ml_untar *ml_layer_untar(struct ml_layer_in *in)
{
    return in->untar;
}

int ml_layer_close(struct ml_layer_in *in, int rc, struct ml_digest *diff_id, struct ml_err *err)
{
    struct ml_digest digest = { "" };

    pthread_mutex_lock(&in->ring.lock);
    in->ring.closed = true;
    in->unwanted = rc < 0;
    pthread_cond_signal(&in->ring.changed);
    pthread_mutex_unlock(&in->ring.lock);
    pthread_join(in->thread, NULL);
    if (in->hasher)
        ml_hasher_end(in->hasher, &digest);
    if (diff_id)
        *diff_id = ml_decompress_plain(in->decompress) ? in->desc.digest : digest;
    if (in->gave_up)
        in->fetched.code = 0;
    if (in->fetched.code || in->unpacked.code) {
        if (err)
            *err = in->fetched.code ? in->fetched : in->unpacked;
        ml_err_wrap(err, "layer %.19s", in->desc.digest.s);
        rc = -1;
    }
    release(in);
    return rc;
}
