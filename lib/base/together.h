/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps that don't depend on each other, at the same time: mostly requests, of which each waits for its answer. */
#ifndef ML_BASE_TOGETHER_H
#define ML_BASE_TOGETHER_H

#include <stddef.h>

#include "base/err.h"

struct ml_step {
    int (*run)(void *ctx, struct ml_err *err);
    void *ctx;
    int rv; /* what it came to */
    struct ml_err err;
};

/* Runs them all, the first in this thread and each other in one of its own, and waits. The first that gave -1 decides:
 * -1 with its error; else 0, whatever rv they gave. */
int ml_together(struct ml_step *steps, size_t n, struct ml_err *err);

#endif
