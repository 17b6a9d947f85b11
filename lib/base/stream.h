/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes on their way: a sink that takes them as they come, a source that can give them again. */
#ifndef ML_BASE_STREAM_H
#define ML_BASE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Takes bytes in order. Returns 0, or -1 with err set to stop. */
typedef int ml_sink_fn(void *ctx, const void *p, size_t n, struct ml_err *err);

/* Where bytes come from: `read` gives up to n bytes from offset `off` (0 at the end, -1 with err set). Offsets may be
 * asked for again (a retry starts over), so the source must be able to go back. */
struct ml_source {
    int64_t (*read)(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err);
    void *ctx;
};

#endif
