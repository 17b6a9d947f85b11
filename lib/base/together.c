/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps at the same time. */
#include "base/together.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

static void *run(void *step)
{
    struct ml_step *s = step;

    s->rv = s->run(s->ctx, &s->err);
    return NULL;
}

int ml_together(struct ml_step *steps, size_t n, struct ml_err *err)
{
    pthread_t *threads = ml_calloc(n, sizeof *threads);
    bool *started = ml_calloc(n, sizeof *started);
    int rv = 0;

    for (size_t i = 0; i < n; i++) {
        steps[i].err = (struct ml_err)ML_ERR_INIT;
        started[i] = i && !pthread_create(&threads[i], NULL, run, &steps[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (!started[i])
            run(&steps[i]);
    for (size_t i = 0; i < n; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
    for (size_t i = 0; i < n && !rv; i++) {
        if (steps[i].rv >= 0)
            continue;
        rv = -1;
        if (err)
            *err = steps[i].err;
    }
    free(threads);
    free(started);
    return rv;
}
