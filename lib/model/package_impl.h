/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stages of packaging, in the order in which they are called: options, sources, base, plan, layers, texts, target.
 */
#ifndef ML_MODEL_PACKAGE_IMPL_H
#define ML_MODEL_PACKAGE_IMPL_H

#include <pthread.h>

#include "model/package.h"
#include "model/package_source.h"
#include "oci/file_sums.h"
#include "oci/image.h"
#include "oci/layer_out.h"
#include "oci/pack.h"
#include "oci/ref.h"

#define ML_MT_MODELPACK "application/vnd.cncf.model.manifest.v1+json"

struct ml_archive_out;

/* A layer that is new: of a source, or a file that is a tar already. */
struct ml_package_layer {
    struct ml_image_layer image;
    const char *file; /* borrowed; NULL: made */
    int made;         /* index into job.made, or -1 */
};

struct ml_package_job {
    const struct ml_package *p;
    struct ml_packaged *result;

    /* package_options.c */
    struct ml_image_change change;
    struct ml_strs entrypoint, cmd, notes;
    enum ml_package_target { ML_PACKAGE_OUT, ML_PACKAGE_TO, ML_PACKAGE_ARCHIVE } target;
    struct ml_ref ref; /* where it goes; of an archive the file and the name */
    enum ml_compress compress;
    bool modelpack;
    uint64_t split; /* bytes; 0: not */

    /* package_base.c */
    struct ml_ref base_ref;
    struct ml_repo *from; /* NULL: scratch */
    struct ml_image base;
    char *base_name;
    struct ml_rootfs *fs;

    /* package_plan.c */
    struct ml_package_source *sources; /* one an --add */
    struct ml_pack *packs;             /* beside them */
    struct ml_pack_parts *parts;       /* and these, where a source is split */
    struct ml_package_layer *layers;
    size_t n, cap;
    struct ml_layer_out *made;
    size_t nmade, made_cap;

    /* package_attest.c */
    struct ml_file_sums *files;
    int64_t started;

    /* package_image.c */
    struct ml_buf config, manifest;
    struct ml_desc config_desc, manifest_desc;

    /* package_target.c */
    struct ml_repo *to; /* NULL for an archive */
    struct ml_archive_out *archive;
    struct ml_layers *written;
    bool tagged; /* the tag names this image already */
};

/* What can be said of the options alone, and where it will go. */
int ml_package_options(struct ml_package_job *j, struct ml_err *err);

/* Manifest and config of the base; then the names in its layers, which are read once and remembered. */
int ml_package_base_open(struct ml_package_job *j, struct ml_err *err);
int ml_package_base_names(struct ml_package_job *j, struct ml_err *err);

/* All layers, without having made one. */
int ml_package_scan(struct ml_package_job *j, struct ml_err *err);
int ml_package_plan(struct ml_package_job *j, struct ml_err *err);
void ml_package_plan_release(struct ml_package_job *j);

/* The tree digests that are wanted (an array of its own), when the card says which model was evaluated; and what was
 * made, taken over, with a check that this model is what was packed: ML_INTEGRITY. */
struct ml_tree_sum *ml_package_sums(const struct ml_package_job *j, const char *model, size_t *n);
int ml_package_made(struct ml_package_job *j, const struct ml_tree_sum *sums, const char *model, struct ml_err *err);

/* The image's texts, once digests are known, and what is said of it. */
int ml_package_texts(struct ml_package_job *j, const char *model, struct ml_err *err);
int ml_package_modelpack(struct ml_package_job *j, struct ml_err *err); /* --format modelpack */

/* The image as a repository that is only read: what is new comes from its sources, the rest from the base. */
struct ml_repo *ml_package_repo_new(struct ml_package_job *j);

/* Opens where it goes; brings all of the image there, without a name; gives it its name. */
int ml_package_target_open(struct ml_package_job *j, struct ml_err *err);
int ml_package_target_put(struct ml_package_job *j, const char *model, struct ml_err *err);
int ml_package_target_tag(struct ml_package_job *j, struct ml_err *err);

/* Starts what can go on beside the rest; and attaches what is to be attached, once the image is there. */
void ml_package_attest_begin(struct ml_package_job *j);
int ml_package_attest(struct ml_package_job *j, struct ml_err *err);

/* Calls fn(ctx, i) for all i < n, in up to `threads` threads; the error of the lowest i that failed. */
int ml_package_parallel(
    size_t n, size_t threads, int (*fn)(void *ctx, size_t i, struct ml_err *err), void *ctx, struct ml_err *err);

#endif
