/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread fetches, verifies and decompresses into a pipe, the caller reads entries from it. */
#include "oci/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "oci/decompress.h"

#define PIPE  (1 << 20)
#define SLACK ((uint64_t)256 << 20)
#define RATIO 200
#define WASTE ((uint64_t)64 << 20)

struct ml_layer_in {
    struct ml_repo *r;
    struct ml_desc desc;
    int fd[2];
    pthread_t thread;
    struct ml_untar *untar;
    struct ml_hasher *hasher;
    struct ml_decompress *decompress;
    struct ml_err fetched, unpacked; /* what went wrong with the bytes, and with what they hold */
    bool stopped;
    atomic_bool unwanted; /* the caller has failed */
    uint64_t wasted;      /* bytes that came since nobody wants them */
    bool gave_up;
};

static int to_pipe(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;

    if (!ml_decompress_plain(in->decompress)) /* else it is the blob's digest, which is verified anyway */
        ml_hasher_add(in->hasher, p, n);
    return ml_fd_write(in->fd[1], p, n, "pipe", err);
}

/* A layer that doesn't unpack, or that the caller has had enough of, is still read for a while: a wrong digest is the
 * better answer. */
static int from_repo(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;

    if (in->stopped || atomic_load(&in->unwanted))
        in->wasted += n;
    if (in->wasted > WASTE) {
        in->gave_up = true;
        return ml_err_set(err, ML_LOCAL, "given up");
    }
    if (!in->stopped && ml_decompress_add(in->decompress, p, n, &in->unpacked) < 0)
        in->stopped = true;
    return 0;
}

static void *produce(void *ctx)
{
    struct ml_layer_in *in = ctx;
    int rc = in->r->ops->blob_get(in->r, &in->desc, 0, 0, from_repo, in, &in->fetched);

    if (rc == 1)
        ml_err_set(
            &in->fetched, in->r->ref.layout ? ML_LOCAL : ML_REFUSED, "the layer %s is missing", in->desc.digest.s);
    if (rc == 0 && !in->stopped)
        ml_decompress_end(in->decompress, &in->unpacked);
    close(in->fd[1]);
    return NULL;
}

static int64_t from_pipe(void *ctx, void *p, size_t n, struct ml_err *err)
{
    struct ml_layer_in *in = ctx;
    ssize_t got;

    do
        got = read(in->fd[0], p, n);
    while (got < 0 && errno == EINTR);
    return got < 0 ? ml_err_errno(err, ML_LOCAL, "cannot read a pipe") : got;
}

int ml_layer_open(
    struct ml_repo *r, const struct ml_desc *d, uint64_t max, struct ml_layer_in **out, struct ml_err *err)
{
    struct ml_layer_in *in = ml_calloc(1, sizeof *in);
    int rc;

    if (pipe2(in->fd, O_CLOEXEC) < 0) {
        free(in);
        return ml_err_errno(err, ML_LOCAL, "cannot make a pipe");
    }
    (void)fcntl(in->fd[1], F_SETPIPE_SZ, PIPE); /* faster where it is allowed */
    if (max == 0)
        max = d->size > (UINT64_MAX - SLACK) / RATIO ? UINT64_MAX : SLACK + RATIO * d->size;
    in->r = r;
    in->desc = (struct ml_desc){ .digest = d->digest, .size = d->size };
    in->hasher = ml_hasher_new();
    in->decompress = ml_decompress_new(max, to_pipe, in);
    in->untar = ml_untar_new(from_pipe, in);
    rc = pthread_create(&in->thread, NULL, produce, in);
    if (rc != 0) {
        close(in->fd[0]);
        close(in->fd[1]);
        ml_untar_free(in->untar);
        ml_decompress_free(in->decompress);
        ml_hasher_free(in->hasher);
        free(in);
        errno = rc;
        return ml_err_errno(err, ML_LOCAL, "cannot start a thread");
    }
    *out = in;
    return 0;
}

struct ml_untar *ml_layer_untar(struct ml_layer_in *in)
{
    return in->untar;
}

int ml_layer_close(struct ml_layer_in *in, int rc, struct ml_digest *diff_id, struct ml_err *err)
{
    char *chunk = ml_malloc(PIPE);
    struct ml_digest digest;

    if (rc < 0)
        atomic_store(&in->unwanted, true);
    while (from_pipe(in, chunk, PIPE, NULL) > 0) {
    }
    free(chunk);
    pthread_join(in->thread, NULL);
    close(in->fd[0]);
    ml_hasher_end(in->hasher, &digest);
    if (diff_id)
        *diff_id = ml_decompress_plain(in->decompress) ? in->desc.digest : digest;
    if (in->gave_up)
        in->fetched.code = 0;
    if (in->fetched.code || in->unpacked.code) {
        if (err)
            *err = in->fetched.code ? in->fetched : in->unpacked;
        ml_err_wrap(err, "layer %.19s", in->desc.digest.s);
        rc = -1;
    }
    ml_untar_free(in->untar);
    ml_decompress_free(in->decompress);
    ml_hasher_free(in->hasher);
    free(in);
    return rc;
}
