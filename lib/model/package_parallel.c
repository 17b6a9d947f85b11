/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same done for several things at once. */
#include <stdlib.h>

#include "model/package_impl.h"

struct work {
    pthread_mutex_t lock;
    size_t n, next, failed; /* failed: the lowest that did, or n */
    int (*fn)(void *ctx, size_t i, struct ml_err *err);
    void *ctx;
    struct ml_err err;
};

static void *worker(void *ctx)
{
    struct work *w = ctx;

    pthread_mutex_lock(&w->lock);
    while (w->next < w->n && w->failed == w->n) {
        size_t i = w->next++;
        struct ml_err err = ML_ERR_INIT;
        int rc;

        pthread_mutex_unlock(&w->lock);
        rc = w->fn(w->ctx, i, &err);
        pthread_mutex_lock(&w->lock);
        if (rc < 0 && i < w->failed) {
            w->failed = i;
            w->err = err;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int ml_package_parallel(
    size_t n, size_t threads, int (*fn)(void *ctx, size_t i, struct ml_err *err), void *ctx, struct ml_err *err)
{
    struct work w = { .n = n, .failed = n, .fn = fn, .ctx = ctx };
    pthread_t *t;
    size_t started = 0;

    if (threads > n)
        threads = n;
    t = ml_calloc(threads + 1, sizeof *t);
    pthread_mutex_init(&w.lock, NULL);
    while (started + 1 < threads && pthread_create(&t[started], NULL, worker, &w) == 0)
        started++;
    worker(&w);
    while (started > 0)
        pthread_join(t[--started], NULL);
    pthread_mutex_destroy(&w.lock);
    free(t);
    if (w.failed == n)
        return 0;
    if (err)
        *err = w.err;
    return -1;
}
