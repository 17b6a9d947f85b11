/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks in order: one thread reads and hands out, several compress. */
#include "oci/compress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/processors.h"

#define GZIP_BLOCK   ((size_t)1 << 20)
#define ZSTD_BLOCK   ((size_t)2 << 20)
#define GZIP_THREADS 12 /* what the memory is enough for */
#define ZSTD_THREADS 4
#define AHEAD        2 /* blocks that wait beside those in work */
#define SAMPLES      16
#define SAMPLE       ((size_t)256 << 10)

struct slot {
    char *in; /* what stands before the block, then the block */
    size_t dict, n;
    bool last, done;
    uint32_t crc;
    struct ml_buf out;
    struct ml_err err;
};

struct ml_compressor {
    enum ml_compress kind;
    struct ml_source src;
    uint64_t size, blocks;
    size_t block;
    struct ml_hasher *diff; /* NULL once the input was hashed */

    /* numbers of blocks: delivered <= taken <= read */
    uint64_t delivered, taken, read;
    struct slot *slots;
    size_t nslots, nthreads;
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool stop;

    uint64_t *at; /* blocks + 1: where each begins in what comes out */
    uint64_t known;
    uint32_t crc;        /* of all blocks before `known` */
    struct ml_buf piece; /* what was delivered last */
    uint64_t piece_at;   /* where it stands in what comes out */
};

static struct slot *slot_of(struct ml_compressor *c, uint64_t block)
{
    return &c->slots[block % c->nslots];
}

static void *compress_blocks(void *arg)
{
    struct ml_compressor *c = arg;
    struct ml_err failed = ML_ERR_INIT;
    struct ml_encoder *e = ml_encoder_new(c->kind, &failed);

    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        struct slot *s;

        if (c->taken == c->read) {
            pthread_cond_wait(&c->work, &c->lock);
            continue;
        }
        s = slot_of(c, c->taken++);
        pthread_mutex_unlock(&c->lock);
        if (!e) {
            s->err = failed;
        } else if (ml_encoder_block(e, s->in + s->dict, s->dict, s->n, s->last, &s->out, &s->err) == 0 &&
                   c->kind == ML_COMPRESS_GZIP) {
            s->crc = ml_crc32(s->in + s->dict, s->n);
        }
        pthread_mutex_lock(&c->lock);
        s->done = true;
        pthread_cond_signal(&c->done);
    }
    pthread_mutex_unlock(&c->lock);
    ml_encoder_free(e);
    return NULL;
}

struct ml_compressor *ml_compressor_new(enum ml_compress kind, struct ml_source src, uint64_t size)
{
    struct ml_compressor *c = ml_calloc(1, sizeof *c);

    c->kind = kind;
    c->src = src;
    c->size = size;
    c->block = kind == ML_COMPRESS_GZIP ? GZIP_BLOCK : ZSTD_BLOCK;
    c->blocks = size == 0 ? 1 : (size - 1) / c->block + 1;
    c->diff = ml_hasher_new();
    c->at = ml_calloc(c->blocks + 1, sizeof *c->at);
    ml_buf_init(&c->piece, ML_BUF_MAX);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->done, NULL);
    return c;
}

static int start(struct ml_compressor *c, struct ml_err *err)
{
    size_t want = ml_processors(c->kind == ML_COMPRESS_GZIP ? GZIP_THREADS : ZSTD_THREADS);

    c->nslots = want + AHEAD;
    c->slots = ml_calloc(c->nslots, sizeof *c->slots);
    for (size_t i = 0; i < c->nslots; i++)
        ml_buf_init(&c->slots[i].out, ML_BUF_MAX);
    c->threads = ml_calloc(want, sizeof *c->threads);
    c->stop = false;
    while (c->nthreads < want && pthread_create(&c->threads[c->nthreads], NULL, compress_blocks, c) == 0)
        c->nthreads++;
    return c->nthreads > 0 ? 0 : ml_err_set(err, ML_LOCAL, "cannot start a thread");
}

void ml_compressor_pause(struct ml_compressor *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->nthreads; i++)
        pthread_join(c->threads[i], NULL);
    for (size_t i = 0; i < c->nslots; i++) {
        free(c->slots[i].in);
        ml_buf_release(&c->slots[i].out);
    }
    free(c->slots);
    free(c->threads);
    c->slots = NULL;
    c->threads = NULL;
    c->nslots = c->nthreads = 0;
    c->taken = c->read = c->delivered;
    ml_buf_release(&c->piece);
    ml_buf_init(&c->piece, ML_BUF_MAX);
}

void ml_compressor_free(struct ml_compressor *c)
{
    if (!c)
        return;
    ml_compressor_pause(c);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->done);
    ml_hasher_free(c->diff);
    free(c->at);
    free(c);
}

/* Exactly n bytes. */
static int read_exactly(const struct ml_source *src, uint64_t off, char *p, size_t n, struct ml_err *err)
{
    while (n > 0) {
        int64_t got = src->read(src->ctx, off, p, n, err);

        if (got < 0)
            return -1;
        if (got == 0)
            return ml_err_set(err, ML_INTEGRITY, "the source became shorter while it was being read");
        p += got;
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* Reads the next block and hands it to the threads. */
static int feed(struct ml_compressor *c, struct ml_err *err)
{
    struct slot *s = slot_of(c, c->read);
    uint64_t off = c->read * c->block;

    if (!s->in)
        s->in = ml_malloc(ML_GZIP_DICT + c->block);
    s->dict = c->kind == ML_COMPRESS_GZIP && c->read > 0 ? ML_GZIP_DICT : 0;
    s->n = c->size - off < c->block ? (size_t)(c->size - off) : c->block;
    s->last = c->read + 1 == c->blocks;
    s->done = false;
    s->err.code = 0;
    if (read_exactly(&c->src, off - s->dict, s->in, s->dict + s->n, err) < 0)
        return -1;
    pthread_mutex_lock(&c->lock);
    c->read++;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    if (c->diff)
        ml_hasher_add(c->diff, s->in + s->dict, s->n);
    return 0;
}

static void add_little_endian(struct ml_buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        ml_buf_addc(b, (char)(v >> (8 * i)));
}

/* The block `s` with what stands around it. */
static void wrap(struct ml_compressor *c, uint64_t block, const struct slot *s)
{
    /* RFC 1952, section 2.3: deflate, no flags, no time, no hint, system unknown */
    static const char head[] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, (char)0xff };

    ml_buf_reset(&c->piece);
    if (c->kind == ML_COMPRESS_GZIP && block == 0)
        ml_buf_add(&c->piece, head, sizeof head);
    ml_buf_add(&c->piece, s->out.data, s->out.len);
    if (block == c->known)
        c->crc = ml_crc32_combine(c->crc, s->crc, s->n);
    if (c->kind == ML_COMPRESS_GZIP && s->last) {
        add_little_endian(&c->piece, c->crc);
        add_little_endian(&c->piece, (uint32_t)c->size);
    }
}

/* The next block becomes c->piece; 1 when there is none. */
static int next(struct ml_compressor *c, struct ml_err *err)
{
    uint64_t block = c->delivered;
    struct slot *s;

    if (block == c->blocks)
        return 1;
    if (c->nthreads == 0 && start(c, err) < 0)
        return -1;
    s = slot_of(c, block);
    while (c->read < c->blocks && c->read - block < c->nslots)
        if (feed(c, err) < 0)
            return -1;
    pthread_mutex_lock(&c->lock);
    while (!s->done)
        pthread_cond_wait(&c->done, &c->lock);
    pthread_mutex_unlock(&c->lock);
    if (s->err.code) {
        *err = s->err;
        return -1;
    }
    wrap(c, block, s);
    c->delivered++;
    c->piece_at = c->at[block];
    if (block == c->known) {
        c->at[block + 1] = c->at[block] + c->piece.len;
        c->known++;
    } else if (c->at[block + 1] - c->at[block] != c->piece.len) {
        return ml_err_set(err, ML_INTEGRITY, "the source changed while it was being read");
    }
    return 0;
}

int ml_compressor_run(struct ml_compressor *c, ml_sink_fn *sink, void *ctx, struct ml_digest *diff_id,
    struct ml_digest *digest, uint64_t *size, struct ml_err *err)
{
    struct ml_hasher *h = digest ? ml_hasher_new() : NULL;
    int rc;

    while ((rc = next(c, err)) == 0) {
        if (h)
            ml_hasher_add(h, c->piece.data, c->piece.len);
        if (sink && (rc = sink(ctx, c->piece.data, c->piece.len, err)) < 0)
            break;
    }
    if (rc == 1) {
        if (h)
            ml_hasher_end(h, digest);
        ml_hasher_end(c->diff, diff_id);
        ml_hasher_free(c->diff);
        c->diff = NULL;
        *size = c->at[c->blocks];
        rc = 0;
    }
    ml_hasher_free(h);
    ml_compressor_pause(c);
    return rc;
}

/* What is in work is waited for; then the next block is the one that holds `off` of what comes out. */
static void go_to(struct ml_compressor *c, uint64_t off)
{
    uint64_t low = 0, high = c->blocks;

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;

        if (c->at[mid] <= off)
            low = mid;
        else
            high = mid;
    }
    if (low == c->delivered)
        return;
    pthread_mutex_lock(&c->lock);
    for (uint64_t b = c->delivered; b < c->read; b++)
        while (!slot_of(c, b)->done)
            pthread_cond_wait(&c->done, &c->lock);
    c->delivered = c->taken = c->read = low;
    pthread_mutex_unlock(&c->lock);
}

static int64_t compressed_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct ml_compressor *c = ctx;
    size_t done = 0;

    while (done < n && off < c->at[c->blocks]) {
        size_t part, skip;

        if (off < c->piece_at || off >= c->piece_at + c->piece.len) {
            go_to(c, off);
            if (next(c, err) < 0)
                return -1;
        }
        skip = (size_t)(off - c->piece_at);
        part = c->piece.len - skip < n - done ? c->piece.len - skip : n - done;
        memcpy((char *)p + done, c->piece.data + skip, part);
        done += part;
        off += part;
    }
    return (int64_t)done;
}

struct ml_source ml_compressor_source(struct ml_compressor *c)
{
    return (struct ml_source){ .read = compressed_read, .ctx = c };
}

int ml_compress_shrinks(struct ml_source src, uint64_t size, struct ml_err *err)
{
    struct ml_encoder *e = ml_encoder_new(ML_COMPRESS_GZIP, err);
    struct ml_buf out = ML_BUF_INIT;
    char *in = ml_malloc(SAMPLE);
    uint64_t before = 0, after = 0, step = size / SAMPLES;
    int rc = e ? 0 : -1;

    if (step < SAMPLE)
        step = SAMPLE;
    for (uint64_t off = 0; rc == 0 && off < size && before < SAMPLES * SAMPLE; off += step) {
        size_t n = size - off < SAMPLE ? (size_t)(size - off) : SAMPLE;

        rc = read_exactly(&src, off, in, n, err);
        if (rc == 0)
            rc = ml_encoder_block(e, in, 0, n, false, &out, err);
        before += n;
        after += out.len;
    }
    ml_encoder_free(e);
    ml_buf_release(&out);
    free(in);
    return rc < 0 ? -1 : after * 10 <= before * 9;
}
