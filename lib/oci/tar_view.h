/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer's tar that need not exist: its size is known, and any part of it can be read at any time. Headers are made
 * when they are asked for, file bytes are read from the source. Hashing it, writing it, sending it (again, from the
 * middle) all work from the same view, so that what is sent is what was hashed, or an error. */
#ifndef ML_OCI_TAR_VIEW_H
#define ML_OCI_TAR_VIEW_H

#include "base/digest.h"
#include "base/stream.h"
#include "oci/tar.h"

/* Takes 8 bytes an item. One thread at a time. */
struct ml_tar_view;

/* `t` and `items` are borrowed and must outlive the view; `epoch` is everything's mtime. */
struct ml_tar_view *ml_tar_view_new(const struct ml_tree *t, const struct ml_tar_item *items, size_t n, int64_t epoch);
void ml_tar_view_free(struct ml_tar_view *v); /* NULL is fine */

/* What one item takes in it. */
uint64_t ml_tar_item_size(const struct ml_tree *t, const struct ml_tar_item *item, int64_t epoch);

uint64_t ml_tar_view_size(const struct ml_tar_view *v);
const struct ml_tree *ml_tar_view_of(const struct ml_tar_view *v); /* the tree it was made from */

/* The bytes. A file is looked at when it is opened and behind its last byte: ML_INTEGRITY when it isn't what was
 * scanned. The view must outlive the source. */
struct ml_source ml_tar_view_source(struct ml_tar_view *v);

/* Looks at the whole source once more; to be called when all was read. ML_INTEGRITY: something changed, came or went.
 */
int ml_tar_view_finish(struct ml_tar_view *v, struct ml_err *err);

/* What stands at an offset, for who copies from file to file: bytes that are there (fd < 0, valid until the next call
 * on the view), or `len` bytes of the open file `fd` from its offset `off`. len is 0 at the end only. A file that is
 * left for another piece is looked at again, as above. */
struct ml_tar_piece {
    const void *p;
    int fd;
    uint64_t off, len;
};

int ml_tar_view_piece(struct ml_tar_view *v, uint64_t off, struct ml_tar_piece *out, struct ml_err *err);

/* The digest of the view's bytes; ml_tar_view_finish is still to be called. */
int ml_tar_view_digest(struct ml_tar_view *v, struct ml_digest *out, struct ml_err *err);

/* A view for the tree digest (evaluation.model in ml-card(5)): the layer tar of `t` rooted at "/", with time 0. */
struct ml_tar_view *ml_tar_view_tree(const struct ml_tree *t);

/* The tree digest of what is at `src`; `size` (may be NULL): bytes in files. */
int ml_tree_digest(const char *src, struct ml_digest *out, uint64_t *size, struct ml_err *err);

#endif
