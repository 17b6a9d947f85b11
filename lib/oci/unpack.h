/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Getting what lies below one path of an image onto the disk, from layers that nobody vouches for. */
#ifndef ML_OCI_UNPACK_H
#define ML_OCI_UNPACK_H

#include "oci/image.h"

struct ml_unpacked {
    uint64_t files, size; /* regular files and the bytes in them */
    size_t entries;       /* all names */
    size_t layers;        /* how many were read */
};

struct ml_unpack_conf {
    uint64_t max; /* bytes of files; 0: no limit but that of ml_layer_open */
    /* Hears how many bytes of the layers came, of how many: 0 first, all of them when everything is in its place, in
     * between from another thread. NULL: nobody does. */
    void (*progress)(void *ctx, uint64_t done, uint64_t all);
    void *progress_ctx;
};

/* Puts what the image has below `path` (absolute, in the image; links in it are followed) into the directory `to`,
 * which must not exist or be empty; a file comes out as `to`/<its name>. `to` appears, synced, when every digest was
 * right, or not at all (base/newdir.h). `conf` may be NULL. Returns 0, 1 when the image has nothing there, -1.
 *
 * Layers are read from the bottom, those left out whose annotations say that they can't matter. Files get 0644 or 0755,
 * less the umask, and the caller as owner. Refused with ML_LOCAL: symbolic links that lead out of `path`, hard links to
 * what isn't below it, devices, names of a kind that this module's headers don't allow, and layers that unpack to too
 * much. Duplicate names: the last counts. */
int ml_image_unpack(struct ml_repo *r, const struct ml_image *image, const char *path, const char *to,
    const struct ml_unpack_conf *conf, struct ml_unpacked *out, struct ml_err *err);

#endif
