/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a packaged image goes: into a layout in one pass, into a registry (or a layout) after a pass that only hashes,
 * or into an archive. Blobs first, then the manifest, the name last. */
#include <stdlib.h>
#include <string.h>

#include "model/package_impl.h"
#include "oci/archive_out.h"
#include "oci/copy.h"

int ml_package_target_open(struct ml_package_job *j, struct ml_err *err)
{
    if (j->target == ML_PACKAGE_ARCHIVE)
        return ml_archive_out_open(j->ref.place, &j->archive, err);
    if (ml_repo_open(&j->ref, true, &j->to, err) < 0)
        return -1;
    j->to->log = j->p->log;
    j->to->log_ctx = j->p->log_ctx;
    return 0;
}

/* An archive's layers, and beside them the tree digests. */
struct archiving {
    struct ml_package_job *j;
    struct ml_tree_sum *sums;
    size_t nsums;
};

static int archive_part(void *ctx, size_t i, struct ml_err *err)
{
    struct archiving *a = ctx;

    return i == 0 ? ml_archive_out_layers(a->j->archive, a->j->made, a->j->nmade, err)
                  : ml_layers_hash(NULL, 0, a->sums, a->nsums, err);
}

static int run_layers(struct ml_package_job *j, struct ml_tree_sum *sums, size_t n, struct ml_err *err)
{
    struct archiving a = { j, sums, n };

    if (j->target == ML_PACKAGE_OUT)
        return ml_layers_write(j->to, j->made, j->nmade, sums, n, &j->written, err);
    if (j->target == ML_PACKAGE_ARCHIVE && j->compress == ML_COMPRESS_NONE)
        return ml_package_parallel(n ? 2 : 1, 2, archive_part, &a, err);
    return ml_layers_hash(j->made, j->nmade, sums, n, err);
}

/* All layers are hashed, or in the layout's waiting room; then the texts can be made. */
static int make_layers(struct ml_package_job *j, const char *model, struct ml_err *err)
{
    size_t n;
    struct ml_tree_sum *sums = ml_package_sums(j, model, &n);
    int rc = run_layers(j, sums, n, err);

    if (rc == 0)
        rc = ml_package_made(j, sums, model, err);
    free(sums);
    return rc < 0 ? -1 : ml_package_texts(j, model, err);
}

/* As ml-publish push: a tag that names another image stays. 0, 1 when it names this one already, -1. */
static int check_tag(struct ml_package_job *j, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    int rc;

    if (!j->ref.tag)
        return 0;
    rc = j->to->ops->manifest_head(j->to, j->ref.tag, &d, err);

    if (rc == 0 && !ml_digest_eq(&d.digest, &j->result->digest))
        rc = ml_err_set(err, ML_NO,
            "'%s': the tag names %s already, and --to never overwrites; 'ml-publish tag' moves a tag", j->p->to,
            d.digest.s);
    else if (rc >= 0)
        rc = !rc;
    ml_desc_release(&d);
    return rc;
}

static int copy(struct ml_package_job *j, struct ml_err *err)
{
    const struct ml_repo *bases[] = { j->from, NULL };
    struct ml_repo *image = ml_package_repo_new(j);
    struct ml_manifest m = { 0 };
    struct ml_strs own = { 0 };
    struct ml_copy c = { .from = image, .to = j->to, .bases = bases, .own = &own };
    int rc;

    if (j->target == ML_PACKAGE_TO) {
        c.progress = j->p->progress;
        c.progress_ctx = j->p->progress_ctx;
    }
    for (size_t i = 0; i < j->nmade; i++)
        if (j->made[i].compress != ML_COMPRESS_NONE)
            c.threads = 1; /* compressing is what takes all processors, and memory */
    for (size_t i = 0; i < j->n; i++)
        ml_strs_add(&own, j->layers[i].image.desc.digest.s);
    rc = image->ops->manifest_get(image, j->result->digest.s, &m, err);
    if (rc == 0)
        rc = ml_copy_image(&c, &m, err);
    j->result->pushed = c.pushed;
    j->result->mounted = c.mounted;
    ml_manifest_release(&m);
    ml_strs_release(&own);
    ml_repo_close(image);
    return rc;
}

static int write_archive(struct ml_package_job *j, struct ml_err *err)
{
    struct ml_repo *image = ml_package_repo_new(j);
    int rc = ml_archive_out_image(j->archive, image, &j->manifest_desc, err);

    ml_repo_close(image);
    return rc;
}

/* What this registry has no place for may still go there in another form. */
static int explain(const struct ml_package_job *j, struct ml_err *err)
{
    if (err->detail == ML_REPO_TYPE && j->modelpack)
        return ml_err_wrap(err, "'%s' takes no " ML_MT_MODELPACK ", --format image makes a plain image", j->p->to);
    return ml_err_wrap(err, "'%s'", j->p->to);
}

int ml_package_target_put(struct ml_package_job *j, const char *model, struct ml_err *err)
{
    int rc = make_layers(j, model, err);

    if (rc < 0)
        return -1;
    switch (j->target) {
    case ML_PACKAGE_ARCHIVE:
        return write_archive(j, err);
    case ML_PACKAGE_TO:
        rc = check_tag(j, err);
        if (rc > 0)
            j->tagged = true;
        if (rc == 0 && copy(j, err) < 0)
            rc = -1;
        j->result->sent = true;
        return rc < 0 && err->code != ML_NO ? explain(j, err) : rc < 0 ? -1 : 0;
    default:
        rc = ml_layers_commit(j->written, err);
        j->written = NULL;
        return rc < 0 ? -1 : copy(j, err);
    }
}

int ml_package_target_tag(struct ml_package_job *j, struct ml_err *err)
{
    if (j->target == ML_PACKAGE_ARCHIVE)
        return ml_archive_out_commit(j->archive, j->ref.tag, err);
    if (j->tagged || !j->ref.tag) /* without a tag it is there by its digest */
        return 0;
    /* what took long to send may have been overtaken */
    if (j->target == ML_PACKAGE_TO) {
        int rc = check_tag(j, err);

        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    return j->to->ops->manifest_put(j->to, j->ref.tag, ML_MT_MANIFEST, j->manifest.data, j->manifest.len, err);
}
