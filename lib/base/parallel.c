/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads that take jobs until none is left. */
#include "base/parallel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/processors.h"

struct crew {
    size_t jobs;
    void (*fn)(void *ctx, size_t job, size_t thread);
    void *ctx;
    atomic_size_t next;
};

struct worker {
    struct crew *crew;
    size_t thread;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    size_t job;
    while ((job = atomic_fetch_add(&w->crew->next, 1)) < w->crew->jobs)
        w->crew->fn(w->crew->ctx, job, w->thread);
    return NULL;
}

void ml_parallel(size_t jobs, void (*fn)(void *ctx, size_t job, size_t thread), void *ctx)
{
    struct crew crew = { .jobs = jobs, .fn = fn, .ctx = ctx };
    struct worker workers[ML_PARALLEL_MAX];
    pthread_t threads[ML_PARALLEL_MAX];
    size_t most = jobs > 1 ? ml_processors(ML_PARALLEL_MAX) : 1, started = 1;
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        workers[i] = (struct worker){ &crew, i };
    while (started < most && started < jobs && pthread_create(&threads[started], NULL, work, &workers[started]) == 0)
        started++;
    work(&workers[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
}
