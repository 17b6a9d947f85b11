/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The only module that knows zlib and libzstd. */
#include "base/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_LEVEL 6
#define ZSTD_LEVEL 3
#define STEP_MAX   ((size_t)1 << 30) /* zlib counts in 32 bits */

struct ml_decoder {
    z_stream z;
    ZSTD_DStream *zstd; /* NULL: gzip */
    bool ended;
};

struct ml_decoder *ml_decoder_new(enum ml_compress kind, struct ml_err *err)
{
    struct ml_decoder *d = ml_calloc(1, sizeof *d);

    if (kind == ML_COMPRESS_ZSTD ? (d->zstd = ZSTD_createDStream()) != NULL : inflateInit2(&d->z, 15 + 16) == Z_OK)
        return d;
    free(d);
    ml_err_set(err, ML_LOCAL, "cannot start %s", kind == ML_COMPRESS_ZSTD ? "libzstd" : "zlib");
    return NULL;
}

struct ml_decoder *ml_decoder_new_raw(struct ml_err *err)
{
    struct ml_decoder *d = ml_calloc(1, sizeof *d);

    if (inflateInit2(&d->z, -15) == Z_OK)
        return d;
    free(d);
    ml_err_set(err, ML_LOCAL, "cannot start zlib");
    return NULL;
}

void ml_decoder_free(struct ml_decoder *d)
{
    if (!d)
        return;
    if (d->zstd)
        ZSTD_freeDStream(d->zstd);
    else
        inflateEnd(&d->z);
    free(d);
}

static int bad(struct ml_err *err, const char *kind, const char *why)
{
    return ml_err_set(err, ML_LOCAL, "malformed %s data: %s", kind, why ? why : "no reason given");
}

static int step_gzip(struct ml_decoder *d, const unsigned char **in, size_t *nin, void *out, size_t room, size_t *nout,
    struct ml_err *err)
{
    size_t take = *nin < STEP_MAX ? *nin : STEP_MAX;
    int rc;

    if (d->ended)
        inflateReset(&d->z);
    d->z.next_in = (unsigned char *)(uintptr_t)*in;
    d->z.avail_in = (uInt)take;
    d->z.next_out = out;
    d->z.avail_out = (uInt)room;
    rc = inflate(&d->z, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return bad(err, "gzip", d->z.msg);
    if (take > d->z.avail_in) /* there may be no input at all */
        *in += take - d->z.avail_in;
    *nin -= take - d->z.avail_in;
    *nout = room - d->z.avail_out;
    d->ended = rc == Z_STREAM_END;
    return d->ended;
}

int ml_decoder_step(struct ml_decoder *d, const unsigned char **in, size_t *nin, void *out, size_t room, size_t *nout,
    struct ml_err *err)
{
    ZSTD_inBuffer from = { *in, *nin, 0 };
    ZSTD_outBuffer to = { out, room, 0 };
    size_t rc;

    if (!d->zstd)
        return step_gzip(d, in, nin, out, room, nout, err);
    rc = ZSTD_decompressStream(d->zstd, &to, &from);
    if (ZSTD_isError(rc))
        return bad(err, "zstd", ZSTD_getErrorName(rc));
    if (from.pos > 0) /* there may be no input at all */
        *in += from.pos;
    *nin -= from.pos;
    *nout = to.pos;
    return rc == 0;
}

struct ml_encoder {
    z_stream z;
    ZSTD_CCtx *zstd; /* NULL: gzip */
};

struct ml_encoder *ml_encoder_new(enum ml_compress kind, struct ml_err *err)
{
    struct ml_encoder *e = ml_calloc(1, sizeof *e);

    if (kind == ML_COMPRESS_ZSTD) {
        e->zstd = ZSTD_createCCtx();
        if (e->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_checksumFlag, 1)))
            return e;
        ZSTD_freeCCtx(e->zstd);
    } else if (deflateInit2(&e->z, GZIP_LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        return e;
    }
    free(e);
    ml_err_set(err, ML_LOCAL, "cannot start %s", kind == ML_COMPRESS_ZSTD ? "libzstd" : "zlib");
    return NULL;
}

void ml_encoder_free(struct ml_encoder *e)
{
    if (!e)
        return;
    if (e->zstd)
        ZSTD_freeCCtx(e->zstd);
    else
        deflateEnd(&e->z);
    free(e);
}

/* Room for `n` bytes; what was there goes. */
static void make_room(struct ml_buf *b, size_t n)
{
    b->len = 0;
    b->data = ml_grow(b->data, &b->cap, n + 1, 1);
}

static int block_gzip(struct ml_encoder *e, const unsigned char *p, size_t ndict, size_t n, bool last,
    struct ml_buf *out, struct ml_err *err)
{
    int rc = deflateReset(&e->z);

    if (rc == Z_OK && ndict > 0)
        rc = deflateSetDictionary(&e->z, p - ndict, (uInt)ndict);
    make_room(out, deflateBound(&e->z, n) + 64);
    e->z.next_in = (unsigned char *)(uintptr_t)p;
    e->z.avail_in = (uInt)n;
    e->z.next_out = (unsigned char *)out->data;
    e->z.avail_out = (uInt)out->cap;
    if (rc == Z_OK)
        rc = deflate(&e->z, last ? Z_FINISH : Z_SYNC_FLUSH);
    if (rc != (last ? Z_STREAM_END : Z_OK) || e->z.avail_in > 0 || e->z.avail_out == 0)
        return ml_err_set(err, ML_LOCAL, "zlib cannot compress: %s", e->z.msg ? e->z.msg : "no reason given");
    out->len = out->cap - e->z.avail_out;
    return 0;
}

int ml_encoder_block(
    struct ml_encoder *e, const void *p, size_t ndict, size_t n, bool last, struct ml_buf *out, struct ml_err *err)
{
    size_t rc;

    if (!e->zstd)
        return block_gzip(e, p, ndict, n, last, out, err);
    make_room(out, ZSTD_compressBound(n));
    rc = ZSTD_compress2(e->zstd, out->data, out->cap, p, n);
    if (ZSTD_isError(rc))
        return ml_err_set(err, ML_LOCAL, "libzstd cannot compress: %s", ZSTD_getErrorName(rc));
    out->len = rc;
    return 0;
}

uint32_t ml_crc32(const void *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}

uint32_t ml_crc32_combine(uint32_t first, uint32_t second, uint64_t second_size)
{
    return (uint32_t)crc32_combine64(first, second, (z_off64_t)second_size);
}
