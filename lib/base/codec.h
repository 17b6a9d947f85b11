/* SPDX-License-Identifier: GPL-3.0-or-later */
/* zlib and libzstd as far as layers and tables need them: a stream undone, a block compressed. decompress.h and
 * compress.h are what is built on it. */
#ifndef ML_BASE_CODEC_H
#define ML_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum ml_compress { ML_COMPRESS_NONE, ML_COMPRESS_GZIP, ML_COMPRESS_ZSTD, ML_COMPRESS_AUTO };

/* Undoes gzip or zstd. */
struct ml_decoder;

struct ml_decoder *ml_decoder_new(enum ml_compress kind, struct ml_err *err); /* NULL with err set */
struct ml_decoder *ml_decoder_new_raw(struct ml_err *err); /* of raw deflate (RFC 1951), as in ZIP; ends once */
void ml_decoder_free(struct ml_decoder *d);                /* NULL is fine */

/* Takes from (*in, *nin) and fills up to `room` bytes at `out`, *nout of them. Returns 1 when a gzip member or zstd
 * frame ended (another may follow), 0 when it goes on, -1 (ML_LOCAL) when the data is malformed. */
int ml_decoder_step(struct ml_decoder *d, const unsigned char **in, size_t *nin, void *out, size_t room, size_t *nout,
    struct ml_err *err);

/* Compresses blocks, one thread at a time. The same block gives the same bytes on every processor, whatever the
 * encoder compressed before. */
struct ml_encoder;

struct ml_encoder *ml_encoder_new(enum ml_compress kind, struct ml_err *err); /* NULL with err set */
void ml_encoder_free(struct ml_encoder *e);                                   /* NULL is fine */

/* `p` becomes `out` (replaced). gzip: a piece of one raw deflate stream (RFC 1951) that ends at a byte, or is its end
 * (`last`); the `ndict` bytes (at most ML_GZIP_DICT) that stand before p are taken as known. zstd: a frame (RFC 8878);
 * ndict and last play no part. */
#define ML_GZIP_DICT ((size_t)32 << 10)
int ml_encoder_block(
    struct ml_encoder *e, const void *p, size_t ndict, size_t n, bool last, struct ml_buf *out, struct ml_err *err);

/* CRC-32 as gzip has it (RFC 1952, section 8): of bytes, and of two pieces one behind the other. */
uint32_t ml_crc32(const void *p, size_t n);
uint32_t ml_crc32_combine(uint32_t first, uint32_t second, uint64_t second_size);

#endif
