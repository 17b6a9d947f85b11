/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers that are being made: who works on which, and what becomes of it. */
#include "oci/layer_out.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/processors.h"
#include "oci/layout.h"

#define THREADS_MAX 8

struct ml_layers {
    struct ml_blobout **v;
    size_t n;
};

/* A layer to be made, or a tree digest. */
struct job {
    struct ml_layer_out *layer;
    struct ml_blobout **blob; /* NULL: only its digest is wanted */
    struct ml_tree_sum *sum;
};

struct work {
    struct ml_repo *layout;
    struct job *jobs;
    size_t n, next;
    pthread_mutex_t lock;
    struct ml_err err; /* the first */
};

void ml_layer_out_release(struct ml_layer_out *l)
{
    ml_compressor_free(l->packed);
    ml_desc_release(&l->desc);
    *l = (struct ml_layer_out){ 0 };
}

static void describe(struct ml_layer_out *l, const struct ml_digest *digest, uint64_t size)
{
    static const char *const suffix[] = { "", "+gzip", "+zstd" };

    ml_desc_release(&l->desc);
    l->desc.media_type = ml_format("%s%s", ML_MT_LAYER, suffix[l->compress]);
    l->desc.digest = *digest;
    l->desc.size = size;
}

/* A layer that stays as it is. */
static int make_plain(struct work *w, struct job *j, struct ml_err *err)
{
    struct ml_layer_out *l = j->layer;

    if (j->blob) {
        if (ml_blobout_open(w->layout, j->blob, err) < 0 || ml_blobout_view(*j->blob, l->view, err) < 0)
            return -1;
        ml_blobout_digest(*j->blob, &l->diff_id);
    } else if (ml_tar_view_digest(l->view, &l->diff_id, err) < 0) {
        return -1;
    }
    describe(l, &l->diff_id, ml_tar_view_size(l->view));
    return 0;
}

/* One that is compressed; takes all processors. */
static int make_packed(struct work *w, struct job *j, struct ml_err *err)
{
    struct ml_layer_out *l = j->layer;
    struct ml_digest digest;
    uint64_t size;

    ml_compressor_free(l->packed);
    l->packed = ml_compressor_new(l->compress, ml_tar_view_source(l->view), ml_tar_view_size(l->view));
    if (j->blob) {
        if (ml_blobout_open(w->layout, j->blob, err) < 0 ||
            ml_compressor_run(l->packed, ml_blobout_add, *j->blob, &l->diff_id, NULL, &size, err) < 0)
            return -1;
        ml_blobout_digest(*j->blob, &digest);
    } else if (ml_compressor_run(l->packed, NULL, NULL, &l->diff_id, &digest, &size, err) < 0) {
        return -1;
    }
    describe(l, &digest, size);
    return 0;
}

/* Decides whether the layer is compressed, and makes it when it isn't. */
static int make_layer(struct work *w, struct job *j, struct ml_err *err)
{
    struct ml_layer_out *l = j->layer;

    if (l->compress == ML_COMPRESS_AUTO) {
        int rc = ml_compress_shrinks(ml_tar_view_source(l->view), ml_tar_view_size(l->view), err);

        if (rc < 0)
            return -1;
        l->compress = rc == 1 ? ML_COMPRESS_GZIP : ML_COMPRESS_NONE;
    }
    return l->compress == ML_COMPRESS_NONE ? make_plain(w, j, err) : 0;
}

static int sum_tree(struct ml_tree_sum *s, struct ml_err *err)
{
    struct ml_tar_view *v = ml_tar_view_tree(s->tree);
    int rc = ml_tar_view_digest(v, &s->digest, err);

    ml_tar_view_free(v);
    return rc;
}

static void *work_on(void *arg)
{
    struct work *w = arg;

    pthread_mutex_lock(&w->lock);
    while (w->next < w->n && !w->err.code) {
        struct job *j = &w->jobs[w->next++];
        struct ml_err err = ML_ERR_INIT;
        int rc;

        pthread_mutex_unlock(&w->lock);
        rc = j->layer ? make_layer(w, j, &err) : sum_tree(j->sum, &err);
        pthread_mutex_lock(&w->lock);
        if (rc < 0 && !w->err.code)
            w->err = err;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Each tree's own digest right behind its first layer: they read the same files at the same time. */
static void plan(
    struct work *w, struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums, struct ml_blobout **blobs)
{
    bool *done = ml_calloc(nsums + 1, sizeof *done);

    w->jobs = ml_calloc(n + nsums + 1, sizeof *w->jobs);
    for (size_t i = 0; i <= n; i++) {
        if (i < n)
            w->jobs[w->n++] = (struct job){ .layer = &v[i], .blob = blobs ? &blobs[i] : NULL };
        for (size_t k = 0; k < nsums; k++) {
            if (done[k] || (i < n && ml_tar_view_of(v[i].view) != sums[k].tree))
                continue;
            w->jobs[w->n++] = (struct job){ .sum = &sums[k] };
            done[k] = true;
        }
    }
    free(done);
}

/* Every tree once, however many layers it became. */
static int check_trees(const struct work *w, struct ml_err *err)
{
    const struct ml_tree *last = NULL;

    for (size_t i = 0; i < w->n; i++) {
        const struct job *j = &w->jobs[i];
        const struct ml_tree *t = j->layer ? ml_tar_view_of(j->layer->view) : j->sum->tree;

        if (t != last && ml_tree_check(t, err) < 0)
            return -1;
        last = t;
    }
    return 0;
}

static int run(struct work *w, struct ml_err *err)
{
    pthread_t threads[THREADS_MAX];
    size_t n = ml_processors(THREADS_MAX), started = 0;

    pthread_mutex_init(&w->lock, NULL);
    while (started + 1 < n && started + 1 < w->n && pthread_create(&threads[started], NULL, work_on, w) == 0)
        started++;
    work_on(w);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&w->lock);
    if (w->err.code) {
        *err = w->err;
        return -1;
    }
    for (size_t i = 0; i < w->n; i++)
        if (w->jobs[i].layer && w->jobs[i].layer->compress != ML_COMPRESS_NONE && make_packed(w, &w->jobs[i], err) < 0)
            return -1;
    return check_trees(w, err);
}

int ml_layers_hash(struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums, struct ml_err *err)
{
    struct work w = { 0 };
    int rc;

    plan(&w, v, n, sums, nsums, NULL);
    rc = run(&w, err);
    free(w.jobs);
    return rc;
}

int ml_layers_write(struct ml_repo *layout, struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums,
    struct ml_layers **out, struct ml_err *err)
{
    struct ml_layers *l = ml_calloc(1, sizeof *l);
    struct work w = { .layout = layout };
    int rc;

    l->v = ml_calloc(n + 1, sizeof(struct ml_blobout *));
    l->n = n;
    plan(&w, v, n, sums, nsums, l->v);
    rc = run(&w, err);
    free(w.jobs);
    if (rc < 0) {
        ml_layers_abort(l);
        l = NULL;
    }
    *out = l;
    return rc;
}

int ml_layers_commit(struct ml_layers *l, struct ml_err *err)
{
    int rc = 0;

    for (size_t i = 0; i < l->n && rc == 0; i++) {
        struct ml_digest d;

        rc = ml_blobout_commit(l->v[i], &d, NULL, err);
    }
    ml_layers_abort(l);
    return rc;
}

void ml_layers_abort(struct ml_layers *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        ml_blobout_free(l->v[i]);
    free(l->v);
    free(l);
}

struct ml_source ml_layer_source_open(struct ml_layer_out *l)
{
    return l->packed ? ml_compressor_source(l->packed) : ml_tar_view_source(l->view);
}

void ml_layer_source_close(struct ml_layer_out *l)
{
    if (l->packed)
        ml_compressor_pause(l->packed);
}
