/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A packaged image before it is anywhere, as a repository: its manifest and config, its new layers out of their
 * sources, and the base's blobs from where the base is. So it is copied as any other. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/package_impl.h"

#define CHUNK ((size_t)256 << 10)

/* A new layer: one thread at a time reads it. */
struct blob {
    pthread_mutex_t lock;
    struct ml_source src;
    bool open;
    int fd;
};

struct image_repo {
    struct ml_repo base;
    struct ml_package_job *j;
    struct blob *blobs; /* beside j->layers */
};

static int put(const struct ml_buf *b, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    if (off > b->len)
        off = b->len;
    if (len == 0 || len > b->len - off)
        len = b->len - off;
    return len ? sink(ctx, b->data + off, (size_t)len, err) : 0;
}

static int64_t file_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct blob *b = ctx;
    ssize_t got;

    do
        got = pread(b->fd, p, n, (off_t)off);
    while (got < 0 && errno == EINTR);
    return got < 0 ? ml_err_errno(err, ML_LOCAL, "cannot read a layer's file") : got;
}

static int open_blob(struct image_repo *r, struct blob *b, const struct ml_package_layer *l, struct ml_err *err)
{
    if (b->open)
        return 0;
    if (l->file) {
        b->fd = open(l->file, O_RDONLY | O_CLOEXEC);
        if (b->fd < 0)
            return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", l->file);
        b->src = (struct ml_source){ file_read, b };
    } else {
        b->src = ml_layer_source_open(&r->j->made[l->made]);
    }
    b->open = true;
    return 0;
}

/* A part of a new layer. Who has read its end may rely on it: the source is looked at as a whole then. */
static int read_blob(
    struct image_repo *r, size_t i, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    const struct ml_package_layer *l = &r->j->layers[i];
    struct blob *b = &r->blobs[i];
    uint64_t end = l->image.desc.size;
    char *chunk = ml_malloc(CHUNK);
    int rc;

    if (off > end)
        off = end;
    if (len > 0 && len < end - off)
        end = off + len;
    pthread_mutex_lock(&b->lock);
    rc = open_blob(r, b, l, err);
    while (rc == 0 && off < end) {
        int64_t n = b->src.read(b->src.ctx, off, chunk, end - off < CHUNK ? (size_t)(end - off) : CHUNK, err);

        if (n == 0)
            n = ml_err_set(err, ML_INTEGRITY, "the layer %s became shorter", l->image.desc.digest.s);
        off += n > 0 ? (uint64_t)n : 0;
        if (n > 0 && l->made >= 0 && off == l->image.desc.size)
            rc = ml_tar_view_finish(r->j->made[l->made].view, err);
        rc = n < 0 || rc < 0 ? -1 : sink(ctx, chunk, (size_t)n, err);
    }
    if (l->made >= 0 && b->open && off == l->image.desc.size) {
        ml_layer_source_close(&r->j->made[l->made]);
        b->open = false;
    }
    pthread_mutex_unlock(&b->lock);
    free(chunk);
    return rc;
}

static int blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct image_repo *ir = (struct image_repo *)r;
    struct ml_package_job *j = ir->j;

    if (ml_digest_eq(&d->digest, &j->config_desc.digest))
        return put(&j->config, off, len, sink, ctx, err);
    for (size_t i = 0; i < j->n; i++)
        if (ml_digest_eq(&d->digest, &j->layers[i].image.desc.digest))
            return read_blob(ir, i, off, len, sink, ctx, err);
    return j->from ? j->from->ops->blob_get(j->from, d, off, len, sink, ctx, err) : 1;
}

static int blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err)
{
    struct ml_package_job *j = ((struct image_repo *)r)->j;

    if (ml_digest_eq(d, &j->config_desc.digest))
        return 0;
    for (size_t i = 0; i < j->n; i++)
        if (ml_digest_eq(d, &j->layers[i].image.desc.digest))
            return 0;
    return j->from ? j->from->ops->blob_has(j->from, d, err) : 1;
}

static int manifest_head(struct ml_repo *r, const char *what, struct ml_desc *out, struct ml_err *err)
{
    struct ml_package_job *j = ((struct image_repo *)r)->j;

    (void)err;
    *out = (struct ml_desc){ 0 };
    if (strcmp(what, j->manifest_desc.digest.s) != 0)
        return 1;
    *out = j->manifest_desc;
    out->media_type = ml_strdup(j->manifest_desc.media_type);
    return 0;
}

static int manifest_get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    struct ml_package_job *j = ((struct image_repo *)r)->j;
    int rc;

    *out = (struct ml_manifest){ .raw = ML_BUF_INIT };
    rc = manifest_head(r, what, &out->desc, err);
    if (rc == 0)
        ml_buf_add(&out->raw, j->manifest.data, j->manifest.len);
    return rc;
}

static int only_read(struct ml_err *err)
{
    return ml_err_set(err, ML_LOCAL, "what is being packaged is only read");
}

static int manifest_put(
    struct ml_repo *r, const char *tag, const char *type, const void *p, size_t n, struct ml_err *err)
{
    (void)r, (void)tag, (void)type, (void)p, (void)n;
    return only_read(err);
}

static int blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    (void)r, (void)d, (void)src;
    return only_read(err);
}

static int blob_mount(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    (void)r, (void)d, (void)from;
    return only_read(err);
}

static int tags(struct ml_repo *r, const char *prefix, struct ml_strs *out, struct ml_err *err)
{
    (void)r, (void)prefix, (void)out, (void)err;
    return 0;
}

static void repo_close(struct ml_repo *r)
{
    struct image_repo *ir = (struct image_repo *)r;

    for (size_t i = 0; i < ir->j->n; i++) {
        const struct ml_package_layer *l = &ir->j->layers[i];
        struct blob *b = &ir->blobs[i];

        if (b->open && l->file)
            close(b->fd);
        else if (b->open)
            ml_layer_source_close(&ir->j->made[l->made]);
        pthread_mutex_destroy(&b->lock);
    }
    free(ir->blobs);
    ml_ref_release(&r->ref);
    free(ir);
}

static const struct ml_repo_ops repo_ops = {
    .manifest_head = manifest_head,
    .manifest_get = manifest_get,
    .manifest_put = manifest_put,
    .blob_has = blob_has,
    .blob_get = blob_get,
    .blob_put = blob_put,
    .blob_mount = blob_mount,
    .tags = tags,
    .close = repo_close,
};

struct ml_repo *ml_package_repo_new(struct ml_package_job *j)
{
    struct image_repo *r = ml_calloc(1, sizeof *r);

    r->base.ops = &repo_ops;
    /* how far its blobs are is how far the base's are; it is no place that anything could be mounted from */
    r->base.ref = (struct ml_ref){ .layout = !j->from || j->base_ref.layout, .place = ml_strdup("") };
    r->j = j;
    r->blobs = ml_calloc(j->n + 1, sizeof *r->blobs);
    for (size_t i = 0; i < j->n; i++)
        pthread_mutex_init(&r->blobs[i].lock, NULL);
    return &r->base;
}
