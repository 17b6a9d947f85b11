/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The base of a package: its texts, and the names in its layers. */
#include <stdlib.h>
#include <string.h>

#include "model/package_impl.h"
#include "oci/layout.h"
#include "oci/names.h"

#define READERS 4                    /* layers that are read at once */
#define LARGE   ((uint64_t)16 << 20) /* of a registry: one that has several connections and their memory to itself */

/* A platform that was asked for is that of the base, also where no index offers others. */
static int check_platform(const struct ml_package_job *j, struct ml_err *err)
{
    cJSON *config = ml_json_parse(j->base.config.data, j->base.config.len, "config", err);
    const char *os = ml_json_str(config, "os"), *arch = ml_json_str(config, "architecture"),
               *variant = ml_json_str(config, "variant");
    char *plain = ml_format("%s/%s", os ? os : "?", arch ? arch : "?"),
         *full = ml_format("%s/%s", plain, variant ? variant : "");
    int rc = strcmp(j->p->platform, plain) && strcmp(j->p->platform, full)
                 ? ml_err_set(err, ML_LOCAL, "it is for %s, not for %s", variant ? full : plain, j->p->platform)
                 : 0;

    cJSON_Delete(config);
    free(plain);
    free(full);
    return rc;
}

static int no_base(const struct ml_package_job *j, struct ml_err *err)
{
    struct ml_strs tags = { 0 };
    struct ml_buf list = ML_BUF_INIT;

    if (!j->base_ref.layout)
        return ml_err_set(
            err, ML_REFUSED, "the base '%s' is not there (404); the token may lack read_registry", j->p->base);
    ml_buf_init(&list, 600);
    (void)j->from->ops->tags(j->from, "", &tags, NULL);
    for (size_t i = 0; i < tags.n; i++)
        ml_buf_addf(&list, "%s%s", i ? ", " : ": there is ", tags.v[i]);
    ml_err_set(err, ML_LOCAL, "the base '%s' is not there%s%s", j->p->base, ml_buf_str(&list), list.full ? " ..." : "");
    ml_buf_release(&list);
    ml_strs_release(&tags);
    return -1;
}

int ml_package_base_open(struct ml_package_job *j, struct ml_err *err)
{
    int rc;

    if (!j->p->base || !strcmp(j->p->base, "scratch"))
        return ml_image_scratch(j->p->platform, &j->base, err);
    if (ml_ref_parse(j->p->base, &j->base_ref, err) < 0 || ml_repo_open(&j->base_ref, false, &j->from, err) < 0)
        return -1;
    j->from->log = j->p->log;
    j->from->log_ctx = j->p->log_ctx;
    rc = ml_image_load(j->from, &j->base_ref, j->p->platform, true, &j->base, err);
    if (rc == 1)
        return no_base(j, err);
    if (rc < 0 || (j->p->platform && check_platform(j, err) < 0))
        return ml_err_wrap(err, "base '%s'", j->p->base);
    /* a layout's directory is this machine's affair */
    if (!j->base_ref.layout)
        j->base_name = ml_ref_format(&j->base_ref, j->base_ref.tag ? ML_REF_TAG : ML_REF_DIGEST);
    return 0;
}

/* ---- names ---- */

/* A repository whose blobs are kept in a layout as they are read. */
struct tee {
    struct ml_repo base;
    struct ml_repo *from, *to;
    ml_sink_fn *sink;
    void *ctx;
    struct ml_blobout *out;
};

static int tee_sink(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct tee *t = ctx;

    return ml_blobout_add(t->out, p, n, err) < 0 ? -1 : t->sink(t->ctx, p, n, err);
}

static int tee_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct tee *t = (struct tee *)r;
    struct ml_digest got;
    int rc;

    t->sink = sink;
    t->ctx = ctx;
    if (ml_blobout_open(t->to, &t->out, err) < 0)
        return -1;
    rc = t->from->ops->blob_get(t->from, d, off, len, tee_sink, t, err);
    if (rc == 0)
        rc = ml_blobout_commit(t->out, &got, NULL, err);
    ml_blobout_free(t->out);
    return rc;
}

static const struct ml_repo_ops tee_ops = { .blob_get = tee_get };

struct reading {
    struct ml_package_job *j;
    struct ml_names *v; /* one a layer of the base */
    bool fresh;         /* the cache isn't asked */
    pthread_mutex_t large;
};

static int ignore(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    (void)ctx, (void)p, (void)n, (void)err;
    return 0;
}

/* A blob that will be linked, and that nobody else will have looked at. */
static int verify(struct ml_package_job *j, const struct ml_desc *d, struct ml_err *err)
{
    int rc = 0;

    if (j->base_ref.layout && !j->base_ref.archive && j->to && j->to->ref.layout)
        rc = j->from->ops->blob_get(j->from, d, 0, 0, ignore, NULL, err);
    return rc == 1 ? ml_err_set(err, ML_LOCAL, "the base lacks its layer %s", d->digest.s) : rc;
}

static int read_names(struct ml_package_job *j, const struct ml_desc *d, struct ml_names *out, struct ml_err *err)
{
    struct tee tee = { .base = { .ops = &tee_ops, .ref = j->from->ref }, .from = j->from, .to = j->to };
    int here = 1;

    /* a registry's blob goes into the layout on its way */
    if (j->target == ML_PACKAGE_OUT && !j->base_ref.layout) {
        here = j->to->ops->blob_has(j->to, &d->digest, err);
        if (here == 1)
            return ml_names_read(&tee.base, d, out, err);
    }
    return here < 0 ? -1 : ml_names_read(here == 0 ? j->to : j->from, d, out, err);
}

static int read_layer(void *ctx, size_t i, struct ml_err *err)
{
    struct reading *r = ctx;
    const struct ml_layer *l = &r->j->base.layers[i];
    bool alone;
    int rc;

    for (size_t k = 0; k < i; k++)
        if (ml_digest_eq(&r->j->base.layers[k].desc.digest, &l->desc.digest))
            return 0;
    if (!r->fresh && ml_names_load(&l->desc.digest, &r->v[i])) {
        if (ml_digest_eq(&r->v[i].diff_id, &l->diff_id))
            return verify(r->j, &l->desc, err);
        ml_names_release(&r->v[i]);
    }
    alone = !r->j->base_ref.layout && l->desc.size >= LARGE;
    if (alone)
        pthread_mutex_lock(&r->large);
    rc = read_names(r->j, &l->desc, &r->v[i], err);
    if (alone)
        pthread_mutex_unlock(&r->large);
    if (rc < 0)
        return -1;
    if (!ml_digest_eq(&r->v[i].diff_id, &l->diff_id))
        return ml_err_set(err, ML_INTEGRITY, "the layer %s unpacks to %s, the config says %s", l->desc.digest.s,
            r->v[i].diff_id.s, l->diff_id.s);
    ml_names_store(&l->desc.digest, &r->v[i]);
    return 0;
}

static int apply(struct ml_package_job *j, const struct ml_names *v, struct ml_err *err)
{
    ml_rootfs_free(j->fs);
    j->fs = ml_rootfs_new(NULL, NULL);
    for (size_t i = 0; i < j->base.n; i++) {
        size_t k = 0;

        while (!ml_digest_eq(&j->base.layers[k].desc.digest, &j->base.layers[i].desc.digest))
            k++;
        if (ml_names_apply(&v[k], j->fs, (int)i, err) < 0)
            return -1;
    }
    return 0;
}

/* What the cache has is anybody's: names that make no image are those that are read again. */
int ml_package_base_names(struct ml_package_job *j, struct ml_err *err)
{
    struct reading r = { .j = j };
    int rc = -1;

    pthread_mutex_init(&r.large, NULL);
    for (int again = 0; again < 2 && rc < 0; again++) {
        r.v = ml_calloc(j->base.n + 1, sizeof *r.v);
        r.fresh = again;
        rc = ml_package_parallel(j->base.n, READERS, read_layer, &r, err);
        if (rc < 0)
            again = 2;
        else
            rc = apply(j, r.v, again ? err : NULL);
        for (size_t i = 0; i < j->base.n; i++)
            ml_names_release(&r.v[i]);
        free(r.v);
    }
    pthread_mutex_destroy(&r.large);
    return rc < 0 ? ml_err_wrap(err, "base '%s'", j->p->base) : 0;
}
