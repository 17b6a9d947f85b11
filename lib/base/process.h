/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running another program for its answer, without a shell. */
#ifndef ML_BASE_PROCESS_H
#define ML_BASE_PROCESS_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct ml_process {
    int status;         /* its exit code; 128 + the signal that ended it */
    struct ml_buf out;  /* standard output, at most a MiB */
    struct ml_buf says; /* the first 4 KiB of standard error */
};

/* Runs argv[0], looked for in PATH, with n bytes on its standard input, and waits for its end, at most `seconds`; what
 * takes longer, or says more than a MiB, is killed. 0 whatever its exit code, 1 when there is no such program, -1 with
 * ML_LOCAL. From 0 the caller releases p; its buffers may hold secrets. Safe in several threads. SIGPIPE has to be
 * ignored (ml_tool_main does). */
int ml_process_run(
    const char *const *argv, const void *in, size_t n, double seconds, struct ml_process *p, struct ml_err *err);

void ml_process_release(struct ml_process *p); /* wipes what it said */

#endif
