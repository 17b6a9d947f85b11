/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names that a layer has, in its order: all that the look-up of a path in an image needs of it. They are remembered
 * in the cache by the layer's digest, so that a base is read once. */
#ifndef ML_OCI_NAMES_H
#define ML_OCI_NAMES_H

#include <stdbool.h>

#include "oci/repo.h"
#include "oci/rootfs.h"

struct ml_names {
    struct ml_digest diff_id;
    struct ml_buf text; /* the entries, as names.c writes them; some 20 bytes each */
};

/* Reads the layer, verified (layer.h says what is refused). */
int ml_names_read(struct ml_repo *r, const struct ml_desc *d, struct ml_names *out, struct ml_err *err);

/* Lays the layer over `fs` as number `layer`; ml_rootfs_apply's errors. */
int ml_names_apply(const struct ml_names *n, struct ml_rootfs *fs, int layer, struct ml_err *err);
void ml_names_release(struct ml_names *n);

/* What the cache has of a layer: whether it has something, whole and sound. */
bool ml_names_load(const struct ml_digest *layer, struct ml_names *out);
void ml_names_store(const struct ml_digest *layer, const struct ml_names *n);

/* The cache's text, for tests: whether it is sound. `n` is filled then. */
bool ml_names_parse(const struct ml_digest *layer, const void *p, size_t len, struct ml_names *out);

#endif
