/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gzip, zstd or nothing, told apart by the first bytes (media types in the wild aren't always true), undone as a stream
 * with a limit. */
#ifndef ML_BASE_DECOMPRESS_H
#define ML_BASE_DECOMPRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stream.h"

struct ml_decompress;

/* What comes out goes to `sink`; more than `max` bytes is ML_LOCAL (a decompression bomb, or a limit to be raised).
 * Memory: a zstd window of at most 128 MiB. */
struct ml_decompress *ml_decompress_new(uint64_t max, ml_sink_fn *sink, void *ctx);
int ml_decompress_add(void *decompress, const void *p, size_t n, struct ml_err *err); /* a ml_sink_fn */
int ml_decompress_end(struct ml_decompress *d, struct ml_err *err); /* ML_LOCAL when the stream was cut off */
void ml_decompress_free(struct ml_decompress *d);

/* Whether the bytes come out as they went in; known once something came out. */
bool ml_decompress_plain(const struct ml_decompress *d);

/* "gzip", "zstd" or "none", by the first bytes (at least 4, or all there are). */
const char *ml_decompress_kind(const void *p, size_t n);

#endif
