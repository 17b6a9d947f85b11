/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Planning a layer: where a tree's entries go when it is put at a path of an image. What the image has there decides:
 * symbolic links on the way are followed (an entry "lib/x" over a link /lib would break the image), and directories
 * that are there keep their mode and owner (a layer that names them sets them anew). */
#ifndef ML_OCI_PACK_H
#define ML_OCI_PACK_H

#include "oci/image.h"
#include "oci/rootfs.h"
#include "oci/tar.h"

struct ml_pack {
    struct ml_tar_item *items;
    size_t n, cap;
    struct ml_arena names; /* of the items */
    char *path, *root;     /* what was asked for and where that is, both with a slash in front */
    bool alone;            /* what the image had at root is hidden or gone: this layer says all */
    bool scattered;        /* links of the image lead some entries out of root */
};

/* Plans `t` at `dest` (absolute) over `fs`. A directory's contents go into dest, which is made; a file becomes dest, or
 * goes below it when dest ends in '/'. `replace`: what the image has below dest and the tree lacks is deleted.
 * ML_USAGE: dest isn't absolute, or holds "..". ML_LOCAL: a file over a directory or the other way round, two entries
 * in one place. */
int ml_pack_plan(const struct ml_tree *t, const char *dest, bool replace, const struct ml_rootfs *fs,
    struct ml_pack *out, struct ml_err *err);
void ml_pack_release(struct ml_pack *p);

/* A planned layer as several. */
struct ml_pack_part {
    struct ml_tar_item *items; /* paths borrowed from the pack */
    size_t n;
};

struct ml_pack_parts {
    struct ml_pack_part *v;
    size_t n;
    struct ml_tar_item *items; /* of all parts, `total` of them */
    size_t total;
};

#define ML_LAYERS_MAX 120 /* overlayfs takes 127 with what a container adds; some tools stop at 125 */

/* Cuts the plan so that no part's tar is larger than `limit` bytes; a file that is larger is alone in its part. Where
 * the cuts are depends on the names and, coarsely, on the sizes: a file that changes changes its own part only, one
 * that comes or goes seldom more than two. A directory is in every part that has something below it. ML_USAGE: more
 * than `max` parts, with a limit that would do. Laid over each other in order, the parts are the plan; `alone` is true
 * of the first only. */
int ml_pack_split(const struct ml_pack *p, const struct ml_tree *t, uint64_t limit, size_t max,
    struct ml_pack_parts *out, struct ml_err *err);
void ml_pack_parts_release(struct ml_pack_parts *parts);
void ml_pack_forget_items(struct ml_pack *p); /* their names stay: for when the parts have taken their place */
/* Lays a part over `fs`, as layer number `layer`. */
int ml_pack_part_apply(
    const struct ml_pack_part *part, const struct ml_tree *t, struct ml_rootfs *fs, int layer, struct ml_err *err);

#endif
