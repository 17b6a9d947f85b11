/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A source compressed, as a stream that can be read again from anywhere. The input is cut into blocks of a fixed size,
 * which threads compress: the bytes depend on the input and the libraries' versions, and neither on the processor nor
 * on the number of threads. gzip: one member (RFC 1952) without a name or time, whose blocks know the 32 KiB before
 * them; zstd: a frame a block (RFC 8878). */
#ifndef ML_OCI_COMPRESS_H
#define ML_OCI_COMPRESS_H

#include "base/codec.h"
#include "base/digest.h"
#include "base/stream.h"

/* While it works at most 48 MiB and as many threads as there are processors; always 8 bytes a MiB of input. One thread
 * at a time calls it; `src` is read in that thread only. */
struct ml_compressor;

/* Of the first `size` bytes of `src`. `kind` is GZIP or ZSTD. */
struct ml_compressor *ml_compressor_new(enum ml_compress kind, struct ml_source src, uint64_t size);
void ml_compressor_free(struct ml_compressor *c); /* NULL is fine */

/* All of it to `sink` (NULL: nowhere). Fills the digest of the input, and that (NULL: not wanted) and the number of
 * the bytes that came out. Before anything else, and once. */
int ml_compressor_run(struct ml_compressor *c, ml_sink_fn *sink, void *ctx, struct ml_digest *diff_id,
    struct ml_digest *digest, uint64_t *size, struct ml_err *err);

/* The same bytes once more, after ml_compressor_run; compressed anew, from the block that is asked for.
 * ML_INTEGRITY: other bytes came. */
struct ml_source ml_compressor_source(struct ml_compressor *c);
void ml_compressor_pause(struct ml_compressor *c); /* gives memory and threads back until the next read */

/* Whether gzip makes `src` at least a tenth smaller, by 16 samples of 256 KiB at fixed places: 1 yes, 0 no, -1. Weights
 * as float32 (7 % smaller, at 30 MB/s) stay as they are; text, code, bfloat16 and whatever is repetitive do not. */
int ml_compress_shrinks(struct ml_source src, uint64_t size, struct ml_err *err);

#endif
