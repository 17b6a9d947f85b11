/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing an image into one tar that everybody reads: an OCI image layout (skopeo's oci-archive:, podman load,
 * containerd) with docker save's manifest.json beside it (docker load, skopeo's docker-archive:). The same image gives
 * the same bytes. */
#ifndef ML_OCI_ARCHIVE_OUT_H
#define ML_OCI_ARCHIVE_OUT_H

#include "oci/layer_out.h"
#include "oci/repo.h"

struct ml_archive_out;

/* The file appears at the commit, whole; it replaces what has that name. */
int ml_archive_out_open(const char *path, struct ml_archive_out **out, struct ml_err *err);

/* Writes layers that aren't compressed, in one pass, and fills their digests: they needn't be read again for the image
 * that they will be in. ML_INTEGRITY: a source changed meanwhile. */
int ml_archive_out_layers(struct ml_archive_out *a, struct ml_layer_out *v, size_t n, struct ml_err *err);

/* Adds the image with the manifest `d` and all its blobs, once. Every blob is held against its digest. */
int ml_archive_out_image(struct ml_archive_out *a, struct ml_repo *from, const struct ml_desc *d, struct ml_err *err);

/* `name`: as "shop/sections:1", or NULL for an image without one. */
int ml_archive_out_commit(struct ml_archive_out *a, const char *name, struct ml_err *err);
void ml_archive_out_free(struct ml_archive_out *a); /* NULL is fine; what wasn't committed is gone */

#endif
