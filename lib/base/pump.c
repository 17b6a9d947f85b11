/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ring of bytes between two threads. */
#include "base/pump.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RING ((size_t)1 << 20)

struct ml_pump {
    ml_pump_fn *make;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *ring;
    uint64_t in, out; /* bytes that went in and out so far */
    bool done, stop;
    int rc;
    struct ml_err err;
};

static int put(void *to, const void *bytes, size_t n, struct ml_err *err)
{
    struct ml_pump *p = to;
    const char *s = bytes;

    while (n > 0) {
        pthread_mutex_lock(&p->lock);
        while (p->in - p->out == RING && !p->stop)
            pthread_cond_wait(&p->changed, &p->lock);
        size_t at = p->in % RING, room = RING - (size_t)(p->in - p->out);
        bool stop = p->stop;
        pthread_mutex_unlock(&p->lock);
        if (stop)
            return ml_err_set(err, ML_LOCAL, "nobody reads any more");
        if (room > RING - at)
            room = RING - at;
        if (room > n)
            room = n;
        memcpy(p->ring + at, s, room); /* only this thread writes behind `in` */
        s += room;
        n -= room;
        pthread_mutex_lock(&p->lock);
        p->in += room;
        pthread_cond_signal(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
    return 0;
}

static void *work(void *ctx)
{
    struct ml_pump *p = ctx;
    int rc = p->make(p->ctx, put, p, &p->err);

    pthread_mutex_lock(&p->lock);
    p->rc = rc;
    p->done = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct ml_pump *ml_pump_start(ml_pump_fn *make, void *ctx, struct ml_err *err)
{
    struct ml_pump *p = ml_calloc(1, sizeof *p);

    p->make = make;
    p->ctx = ctx;
    p->ring = ml_malloc(RING);
    p->err = (struct ml_err)ML_ERR_INIT;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    if (pthread_create(&p->thread, NULL, work, p) == 0)
        return p;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
    ml_err_errno(err, ML_LOCAL, "cannot start a thread");
    return NULL;
}

int64_t ml_pump_read(struct ml_pump *p, void *out, size_t n, struct ml_err *err)
{
    char *to = out;
    size_t got = 0;

    while (got < n) {
        pthread_mutex_lock(&p->lock);
        while (p->in == p->out && !p->done)
            pthread_cond_wait(&p->changed, &p->lock);
        size_t at = p->out % RING, have = (size_t)(p->in - p->out);
        pthread_mutex_unlock(&p->lock);
        if (have == 0)
            break;
        if (have > RING - at)
            have = RING - at;
        if (have > n - got)
            have = n - got;
        memcpy(to + got, p->ring + at, have);
        got += have;
        pthread_mutex_lock(&p->lock);
        p->out += have;
        pthread_cond_signal(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
    if (got == 0 && n > 0 && p->rc < 0) {
        if (err != NULL)
            *err = p->err;
        return -1;
    }
    return (int64_t)got;
}

void ml_pump_stop(struct ml_pump *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
}
