/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of an image's file system: what layers, laid over each other (image-spec v1.1, layer.md), make of
 * directories, links and deletions. No contents; memory grows with the number of names only. */
#ifndef ML_OCI_ROOTFS_H
#define ML_OCI_ROOTFS_H

#include "base/err.h"
#include "base/mem.h"
#include "oci/tar.h"

#define ML_ROOTFS_MAX ((size_t)2 << 20) /* names, of some 150 bytes each */

struct ml_rootfs;

/* A name. `children` of a directory are a list through `next`, in no order. */
struct ml_node {
    struct ml_node *parent, *children, *next, *prev, *chain;
    char *link; /* of a symbolic link */
    uint64_t uid, gid;
    enum ml_tar_type type;
    unsigned mode;
    int layer;    /* which layer said so last */
    bool implied; /* a directory that no layer names but something lies in */
    char name[];  /* "" for the root */
};

/* `gone` (may be NULL) hears of every name that a later layer removes or replaces by another kind, what lies in a
 * directory before the directory. */
typedef int ml_rootfs_gone_fn(void *ctx, const struct ml_node *n, struct ml_err *err);

struct ml_rootfs *ml_rootfs_new(ml_rootfs_gone_fn *gone, void *ctx);
void ml_rootfs_free(struct ml_rootfs *fs);

/* Applies one entry of layer number `layer` (layers come in order). A whiteout removes what lower layers have, wherever
 * it stands in its layer. Sets *node (may be NULL) to what the entry became: NULL for a whiteout. ML_LOCAL: a name
 * below a symbolic link or a file of the same layer, "..", a bare ".wh.", too many names. */
int ml_rootfs_apply(
    struct ml_rootfs *fs, const struct ml_tar_entry *e, int layer, const struct ml_node **node, struct ml_err *err);

/* The name as it stands, no link followed; NULL when there is none. `path` is normal (ml_path_normal). */
const struct ml_node *ml_rootfs_find(const struct ml_rootfs *fs, const char *path);

/* Where `path` leads with links followed as a program inside the image would, as far as names exist: the real path into
 * `out`. `last`: follow also a link that is the last part. ML_LOCAL: a loop, or a file where a directory should be. */
int ml_rootfs_resolve(const struct ml_rootfs *fs, const char *path, bool last, struct ml_buf *out, struct ml_err *err);

/* The path of a node, owned. */
char *ml_node_path(const struct ml_node *n);

#endif
