/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image: its manifest, its config, its layers (image-spec v1.1, manifest.md and config.md; Docker's schema 2 is read
 * too). */
#ifndef ML_OCI_IMAGE_H
#define ML_OCI_IMAGE_H

#include <stdbool.h>

#include "oci/repo.h"

#define ML_CONFIG_MAX ((size_t)8 << 20)

/* Annotations of the layers that ml-package makes. PATH: what it was asked to put there. ROOT: where that is, when
 * symbolic links of the base lead elsewhere. ALONE, "true": no layer below has anything at PATH, so that reading it can
 * stop here. */
#define ML_ANN_PATH  "mlci.layer.path"
#define ML_ANN_ROOT  "mlci.layer.root"
#define ML_ANN_ALONE "mlci.layer.alone"

#define ML_ANN_BASE_NAME   "org.opencontainers.image.base.name"
#define ML_ANN_BASE_DIGEST "org.opencontainers.image.base.digest"
#define ML_ANN_TITLE       "org.opencontainers.image.title"
#define ML_ANN_LICENSES    "org.opencontainers.image.licenses"

struct ml_layer {
    struct ml_desc desc;
    struct ml_digest diff_id; /* "" when the config wasn't loaded */
    char *path, *root;        /* without a slash in front; NULL where the layer doesn't say */
    bool alone;
};

struct ml_image {
    struct ml_digest named;      /* of the manifest or index that the reference named */
    struct ml_manifest manifest; /* of the image itself, checked JSON */
    struct ml_desc config_desc;
    struct ml_buf config; /* checked JSON; empty when it wasn't loaded */
    struct ml_layer *layers;
    size_t n;
};

/* Whether it has the form of one: -1 with ML_USAGE where not. NULL is fine. */
int ml_platform_check(const char *platform, struct ml_err *err);

/* What `ref` names: 0, 1 when there is none, -1. From an index the first image for `platform` ("os/arch" or
 * "os/arch/variant"; NULL: here). `config`: load that too, and hold it against the manifest. Only images are taken and,
 * without `config`, CNCF ModelPack artifacts whose layers are tars: other manifests are ML_LOCAL. */
int ml_image_load(struct ml_repo *r, const struct ml_ref *ref, const char *platform, bool config, struct ml_image *out,
    struct ml_err *err);

/* The same of a manifest or index that the caller has; it is emptied, whatever comes of it. */
int ml_image_take(struct ml_repo *r, struct ml_manifest *m, const char *platform, bool config, struct ml_image *out,
    struct ml_err *err);

/* An image of no layers. */
int ml_image_scratch(const char *platform, struct ml_image *out, struct ml_err *err);

/* From texts that the caller has; what ml_image_load does once it has read them. `config` may be NULL. Takes nothing.
 */
int ml_image_parse(
    const struct ml_buf *manifest, const struct ml_buf *config, struct ml_image *out, struct ml_err *err);
void ml_image_release(struct ml_image *i);

/* What an image gets. Strings are UTF-8. */
struct ml_image_layer {
    struct ml_desc desc;
    struct ml_digest diff_id;
    char *created_by;
    char *path, *root;  /* annotations, with the slash in front; may be NULL */
    bool alone, silent; /* silent: no annotations at all */
};

struct ml_image_change {
    struct ml_image_layer *layers;
    size_t n;
    const struct ml_strs *env, *labels; /* "NAME=VALUE"; may be NULL */
    const struct ml_strs *entrypoint,
        *cmd;                            /* NULL: as they are; a new entrypoint drops the old command, as Docker does */
    const char *user, *workdir;          /* NULL: as they are */
    const struct ml_strs *annotations;   /* of the manifest, "NAME=VALUE"; may be NULL */
    const char *base_name;               /* NULL: none */
    const struct ml_digest *base_digest; /* NULL: none */
    int64_t epoch;
    bool dated; /* the image's own `created` becomes the epoch */
};

/* The texts of a base's config and manifest with the change: what isn't ours stays byte for byte. Docker's media types
 * become OCI's. */
int ml_image_extend_config(
    const struct ml_image *base, const struct ml_image_change *c, struct ml_buf *out, struct ml_err *err);
int ml_image_extend_manifest(const struct ml_image *base, const struct ml_image_change *c, const struct ml_desc *config,
    struct ml_buf *out, struct ml_err *err);

#endif
