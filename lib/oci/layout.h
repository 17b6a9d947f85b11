/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An OCI image layout on disk (image-spec v1.1, image-layout.md): what it can beyond struct ml_repo_ops. Blobs appear
 * under their digest only when they are whole and synced; index.json is replaced atomically, under a lock
 * (base/lock.h), so that writers at the same time lose nothing and a killed one leaves the layout as it was, or done.
 * Members of index.json that aren't ours stay as they are. */
#ifndef ML_OCI_LAYOUT_H
#define ML_OCI_LAYOUT_H

#include "oci/repo.h"
#include "oci/tar_view.h"

/* A blob whose digest is known only at its end. */
struct ml_blobout;

/* `r` must be a layout opened for writing. */
int ml_blobout_open(struct ml_repo *r, struct ml_blobout **out, struct ml_err *err);
int ml_blobout_add(void *blobout, const void *p, size_t n, struct ml_err *err); /* a ml_sink_fn */
/* The view as the whole blob, in one pass (view_copy.h). */
int ml_blobout_view(struct ml_blobout *b, struct ml_tar_view *v, struct ml_err *err);
void ml_blobout_digest(struct ml_blobout *b, struct ml_digest *out); /* of all that was added; nothing can follow */
int ml_blobout_commit(struct ml_blobout *b, struct ml_digest *digest, uint64_t *size, struct ml_err *err);
void ml_blobout_free(struct ml_blobout *b); /* NULL is fine; what wasn't committed is gone */

/* The operations on blobs (repo.h says what they do). */
int ml_layout_blob_fd(struct ml_repo *r, const struct ml_desc *d, int *fd, uint64_t *at, struct ml_err *err);
int ml_layout_blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err);
int ml_layout_blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err);
int ml_layout_blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err);
int ml_layout_blob_mount(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err);

/* Whether the directory holds a layout (its oci-layout file is there). */
bool ml_layout_is(const char *dir);

#endif
