/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers that are being made. */
#include "oci/layer_out.h"

#include <stdlib.h>

#include "oci/layout.h"

#define CHUNK ((size_t)256 << 10)

struct ml_layers {
    struct ml_blobout **v;
    size_t n;
};

static int check_compress(struct ml_layer_out *l, struct ml_err *err)
{
    if (l->compress == ML_COMPRESS_AUTO)
        l->compress = ML_COMPRESS_NONE;
    return l->compress == ML_COMPRESS_NONE ? 0 : ml_err_set(err, ML_USAGE, "layers are not compressed yet");
}

static void describe(struct ml_layer_out *l, const struct ml_digest *d)
{
    l->diff_id = l->desc.digest = *d;
    l->desc.size = ml_tar_view_size(l->view);
    l->desc.media_type = ml_strdup(ML_MT_LAYER);
}

static int sum_trees(struct ml_tree_sum *sums, size_t n, struct ml_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (ml_tree_digest_of(sums[i].tree, &sums[i].digest, err) < 0)
            return -1;
    return 0;
}

int ml_layers_hash(struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums, struct ml_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct ml_digest d;

        if (check_compress(&v[i], err) < 0 || ml_tar_view_digest(v[i].view, &d, err) < 0)
            return -1;
        describe(&v[i], &d);
    }
    return sum_trees(sums, nsums, err);
}

int ml_layer_source_open(struct ml_layer_out *l, struct ml_source *out, struct ml_err *err)
{
    (void)err;
    *out = ml_tar_view_source(l->view);
    return 0;
}

void ml_layer_source_close(struct ml_source *s)
{
    *s = (struct ml_source){ 0 };
}

static int write_layer(struct ml_repo *layout, struct ml_layer_out *l, struct ml_blobout **out, struct ml_err *err)
{
    struct ml_source src = ml_tar_view_source(l->view);
    struct ml_digest d;
    char *chunk;
    uint64_t off = 0;
    int64_t n;

    if (check_compress(l, err) < 0 || ml_blobout_open(layout, out, err) < 0)
        return -1;
    chunk = ml_malloc(CHUNK);
    while ((n = src.read(src.ctx, off, chunk, CHUNK, err)) > 0) {
        off += (uint64_t)n;
        if (ml_blobout_add(*out, chunk, (size_t)n, err) < 0)
            n = -1;
        if (n < 0)
            break;
    }
    free(chunk);
    if (n < 0 || ml_tar_view_finish(l->view, err) < 0)
        return -1;
    ml_blobout_digest(*out, &d);
    describe(l, &d);
    return 0;
}

int ml_layers_write(struct ml_repo *layout, struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums,
    struct ml_layers **out, struct ml_err *err)
{
    struct ml_layers *w = ml_calloc(1, sizeof *w);

    *out = w;
    w->v = ml_calloc(n + 1, sizeof(struct ml_blobout *));
    w->n = n;
    for (size_t i = 0; i < n; i++)
        if (write_layer(layout, &v[i], &w->v[i], err) < 0)
            goto fail;
    if (sum_trees(sums, nsums, err) < 0)
        goto fail;
    return 0;
fail:
    ml_layers_abort(w);
    *out = NULL;
    return -1;
}

int ml_layers_commit(struct ml_layers *w, struct ml_err *err)
{
    int rc = 0;

    for (size_t i = 0; i < w->n && rc == 0; i++) {
        struct ml_digest d;

        rc = ml_blobout_commit(w->v[i], &d, NULL, err);
    }
    ml_layers_abort(w);
    return rc;
}

void ml_layers_abort(struct ml_layers *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        ml_blobout_free(w->v[i]);
    free(w->v);
    free(w);
}
