/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decompression as a stream, with a limit. */
#include "base/decompress.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/codec.h"

#define CHUNK ((size_t)128 << 10)
#define MAGIC 4

struct ml_decompress {
    uint64_t max, size;
    ml_sink_fn *sink;
    void *ctx;
    const char *kind; /* NULL until enough bytes came to tell */
    unsigned char head[MAGIC];
    size_t nhead;
    struct ml_decoder *decoder;
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
    ml_decoder_free(d->decoder);
    free(d->chunk);
    free(d);
}

static int put(struct ml_decompress *d, const void *p, size_t n, struct ml_err *err)
{
    if (n > d->max - d->size)
        return ml_err_set(err, ML_LOCAL, "it unpacks to more than %llu bytes, as if it were made to fill the disk",
            (unsigned long long)d->max);
    d->size += n;
    return n == 0 ? 0 : d->sink(d->ctx, p, n, err);
}

/* Members of gzip and frames of zstd follow each other (RFC 1952, section 2.2; RFC 8878, section 3.1); zero bytes
 * behind the last gzip member are padding, as gzip(1) takes them. */
static int add_packed(struct ml_decompress *d, const unsigned char *p, size_t n, struct ml_err *err)
{
    bool gzip = !strcmp(d->kind, "gzip");
    size_t got = 0;

    while (n > 0 || (d->open && got == CHUNK)) {
        int rc;

        if (gzip && !d->open && (*p == 0 || d->padded)) {
            if (*p != 0)
                return ml_err_set(err, ML_LOCAL, "malformed gzip data: bytes behind its end");
            d->padded = true;
            p++;
            n--;
            continue;
        }
        rc = ml_decoder_step(d->decoder, &p, &n, d->chunk, CHUNK, &got, err);
        if (rc < 0 || put(d, d->chunk, got, err) < 0)
            return -1;
        d->open = rc == 0;
    }
    return 0;
}

static int dispatch(struct ml_decompress *d, const void *p, size_t n, struct ml_err *err)
{
    return d->decoder ? add_packed(d, p, n, err) : put(d, p, n, err);
}

/* The first bytes are there: what are they? */
static int start(struct ml_decompress *d, struct ml_err *err)
{
    d->kind = ml_decompress_kind(d->head, d->nhead);
    if (strcmp(d->kind, "none") != 0) {
        d->chunk = ml_malloc(CHUNK);
        d->decoder = ml_decoder_new(!strcmp(d->kind, "gzip") ? ML_COMPRESS_GZIP : ML_COMPRESS_ZSTD, err);
        if (!d->decoder)
            return -1;
    }
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
