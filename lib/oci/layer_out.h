/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers that are being made from sources: their digests, their blobs in an image layout, or their bytes for whoever
 * sends them. Several are worked on at once, on all processors; memory doesn't grow with their size or number. */
#ifndef ML_OCI_LAYER_OUT_H
#define ML_OCI_LAYER_OUT_H

#include "oci/compress.h"
#include "oci/repo.h"
#include "oci/tar_view.h"

struct ml_compressor;

/* A layer. Start with zeros and a view; end with ml_layer_out_release. */
struct ml_layer_out {
    struct ml_tar_view *view;     /* borrowed */
    enum ml_compress compress;    /* ML_COMPRESS_AUTO becomes what was taken (compress.h says when) */
    struct ml_desc desc;          /* filled */
    struct ml_digest diff_id;     /* filled */
    struct ml_compressor *packed; /* private */
};

void ml_layer_out_release(struct ml_layer_out *l);

/* A tree digest (tar_view.h) that is wanted as well: computed beside the layers', on another processor. */
struct ml_tree_sum {
    const struct ml_tree *tree; /* borrowed */
    struct ml_digest digest;    /* filled */
};

/* Fills digests and sizes; writes nothing. ML_INTEGRITY: a source changed meanwhile. */
int ml_layers_hash(struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums, struct ml_err *err);

/* The blob's bytes after ml_layers_hash, to be read by one thread at a time, in order or from anywhere, as often as
 * they are asked for: the same bytes, or ML_INTEGRITY. A compressed layer is compressed anew. When all was read,
 * ml_tar_view_finish says whether the source stayed. */
struct ml_source ml_layer_source_open(struct ml_layer_out *l);
void ml_layer_source_close(struct ml_layer_out *l); /* gives memory back; the bytes can be asked for again */

/* Writes the layers into a layout (opened for writing) in one pass: every source is read once. They are not
 * visible yet: ml_layers_commit syncs them and gives them their names, ml_layers_abort (NULL is fine) removes them. A
 * blob that the layout has already stays as it is. ML_INTEGRITY: a source changed meanwhile. */
struct ml_layers;

int ml_layers_write(struct ml_repo *layout, struct ml_layer_out *v, size_t n, struct ml_tree_sum *sums, size_t nsums,
    struct ml_layers **out, struct ml_err *err);
int ml_layers_commit(struct ml_layers *w, struct ml_err *err); /* ends w, also when it fails */
void ml_layers_abort(struct ml_layers *w);

#endif
