/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One "SRC:DEST" of a package: its files, and where they go. */
#ifndef ML_MODEL_PACKAGE_SOURCE_H
#define ML_MODEL_PACKAGE_SOURCE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "oci/tar.h"

struct ml_package_source {
    char *path;
    const char *dest; /* borrowed from the text */
    struct ml_tree tree;
    bool evaluated;  /* the card's evaluation is of this */
    char *root;      /* where it went, without a slash in front; owned */
    int layer, last; /* and in which layers */
};

/* Splits `text` where DEST begins, at its last ":/", and scans SRC. ML_USAGE: not of that form, or SRC holds one of
 * `outs` (NULL: none), which would be packed while it grows, or the next time. A symbolic link that leads out of SRC
 * gets a warning: it dangles in the image, and the image looks whole. */
int ml_package_source_scan(struct ml_package_source *s, const char *text, const char *const outs[2],
    struct ml_strs *warnings, struct ml_err *err);
void ml_package_source_release(struct ml_package_source *s);

#endif
