/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes that one thread makes while another reads them. */
#ifndef ML_BASE_PUMP_H
#define ML_BASE_PUMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/stream.h"

struct ml_pump;

/* Makes the bytes and gives them to `sink`; when that returns -1 nobody reads any more, and it ends with -1. */
typedef int ml_pump_fn(void *ctx, ml_sink_fn *sink, void *to, struct ml_err *err);

/* Runs `make` in a thread of its own, at most 1 MiB ahead of the reader. NULL with err set when no thread can be had.
 */
struct ml_pump *ml_pump_start(ml_pump_fn *make, void *ctx, struct ml_err *err);

/* The next bytes, as many as are asked for unless they end: 0 at the end; -1 with the maker's error, behind all that it
 * made before. */
int64_t ml_pump_read(struct ml_pump *p, void *out, size_t n, struct ml_err *err);

/* Waits for the thread, which is told by its sink that nobody reads. NULL is fine. */
void ml_pump_stop(struct ml_pump *p);

#endif
