/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decompression by zlib and libzstd. */
#include "oci/decompress.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

#define CHUNK ((size_t)128 << 10)
#define MAGIC 4

struct ml_decompress {
    uint64_t max, size;
    ml_sink_fn *sink;
    void *ctx;
    const char *kind; /* NULL until enough bytes came to tell */
    unsigned char head[MAGIC];
    size_t nhead;
    z_stream z;
    ZSTD_DStream *zstd;
    bool open;   /* inside a gzip member or a zstd frame */
    bool padded; /* zero bytes followed a gzip member: only more of them may come */
    char *chunk;
};

const char *ml_decompress_kind(const void *p, size_t n)
{
    const unsigned char *s = p;

    if (n >= 2 && s[0] == 0x1f && s[1] == 0x8b)
        return "gzip";
    /* a frame, or a skippable frame (RFC 8878, sections 3.1.1 and 3.1.2) */
    if (n >= 4 && ((s[0] == 0x28 && s[1] == 0xb5 && s[2] == 0x2f && s[3] == 0xfd) ||
                      ((s[0] & 0xf0) == 0x50 && s[1] == 0x2a && s[2] == 0x4d && s[3] == 0x18)))
        return "zstd";
    return "none";
}

bool ml_decompress_plain(const struct ml_decompress *d)
{
    return d->kind && !strcmp(d->kind, "none");
}

struct ml_decompress *ml_decompress_new(uint64_t max, ml_sink_fn *sink, void *ctx)
{
    struct ml_decompress *d = ml_calloc(1, sizeof *d);

    d->max = max;
    d->sink = sink;
    d->ctx = ctx;
    return d;
}

void ml_decompress_free(struct ml_decompress *d)
{
    if (!d)
        return;
    if (d->kind && !strcmp(d->kind, "gzip"))
        inflateEnd(&d->z);
    ZSTD_freeDStream(d->zstd);
    free(d->chunk);
    free(d);
}

static int put(struct ml_decompress *d, const void *p, size_t n, struct ml_err *err)
{
    if (n > d->max - d->size)
        return ml_err_set(err, ML_LOCAL,
            "the layer unpacks to more than %llu bytes, as if it were made to fill the disk",
            (unsigned long long)d->max);
    d->size += n;
    return n == 0 ? 0 : d->sink(d->ctx, p, n, err);
}

static int bad(struct ml_err *err, const char *kind, const char *why)
{
    return ml_err_set(err, ML_LOCAL, "malformed %s data: %s", kind, why ? why : "no reason given");
}

/* RFC 1952, section 2.2: members follow each other; zero bytes behind the last are padding, as gzip(1) takes them. */
static int add_gzip(struct ml_decompress *d, const unsigned char *p, size_t n, struct ml_err *err)
{
    d->z.next_in = (unsigned char *)(uintptr_t)p;
    d->z.avail_in = (uInt)n;
    while (d->z.avail_in > 0 || (d->open && d->z.avail_out == 0)) {
        int rc;

        if (!d->open) {
            if (*d->z.next_in == 0) {
                d->padded = true;
                d->z.next_in++;
                d->z.avail_in--;
                continue;
            }
            if (d->padded)
                return bad(err, "gzip", "bytes behind its end");
            inflateReset(&d->z);
            d->open = true;
        }
        d->z.next_out = (unsigned char *)d->chunk;
        d->z.avail_out = (uInt)CHUNK;
        rc = inflate(&d->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return bad(err, "gzip", d->z.msg);
        if (put(d, d->chunk, CHUNK - d->z.avail_out, err) < 0)
            return -1;
        if (rc == Z_STREAM_END)
            d->open = false;
    }
    return 0;
}

static int add_zstd(struct ml_decompress *d, const void *p, size_t n, struct ml_err *err)
{
    ZSTD_inBuffer in = { p, n, 0 };
    ZSTD_outBuffer out;

    do {
        size_t rc;

        out = (ZSTD_outBuffer){ d->chunk, CHUNK, 0 };
        rc = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(rc))
            return bad(err, "zstd", ZSTD_getErrorName(rc));
        d->open = rc != 0;
        if (put(d, out.dst, out.pos, err) < 0)
            return -1;
    } while (in.pos < in.size || out.pos == out.size);
    return 0;
}

static int dispatch(struct ml_decompress *d, const void *p, size_t n, struct ml_err *err)
{
    const unsigned char *s = p;

    if (!strcmp(d->kind, "none"))
        return put(d, s, n, err);
    for (size_t part; n > 0; s += part, n -= part) { /* zlib counts in 32 bits */
        part = n < (1U << 30) ? n : 1U << 30;
        if ((d->zstd ? add_zstd(d, s, part, err) : add_gzip(d, s, part, err)) < 0)
            return -1;
    }
    return 0;
}

/* The first bytes are there: what are they? */
static int start(struct ml_decompress *d, struct ml_err *err)
{
    d->kind = ml_decompress_kind(d->head, d->nhead);
    if (strcmp(d->kind, "none") != 0)
        d->chunk = ml_malloc(CHUNK);
    if (!strcmp(d->kind, "gzip") && inflateInit2(&d->z, 15 + 16) != Z_OK) {
        d->kind = "none";
        return ml_err_set(err, ML_LOCAL, "cannot start zlib");
    }
    if (!strcmp(d->kind, "zstd") && !(d->zstd = ZSTD_createDStream()))
        return ml_err_set(err, ML_LOCAL, "cannot start libzstd");
    return dispatch(d, d->head, d->nhead, err);
}

int ml_decompress_add(void *decompress, const void *p, size_t n, struct ml_err *err)
{
    struct ml_decompress *d = decompress;
    const unsigned char *s = p;

    while (!d->kind && n > 0) {
        d->head[d->nhead++] = *s++;
        n--;
        if (d->nhead == MAGIC && start(d, err) < 0)
            return -1;
    }
    return n == 0 ? 0 : dispatch(d, s, n, err);
}

int ml_decompress_end(struct ml_decompress *d, struct ml_err *err)
{
    if (!d->kind && start(d, err) < 0)
        return -1;
    return d->open ? ml_err_set(err, ML_LOCAL, "the %s data ends too early", d->kind) : 0;
}
