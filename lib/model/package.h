/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packaging: files appended to a base image as layers of their own, written whole into an image layout. */
#ifndef ML_MODEL_PACKAGE_H
#define ML_MODEL_PACKAGE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"

struct ml_package {
    const char *base;             /* a reference, or "scratch" */
    const char *out;              /* oci:DIR:TAG */
    const char *platform;         /* NULL: here */
    struct ml_strs layers;        /* files that are layer tars already, taken as they are */
    struct ml_strs adds;          /* "SRC:DEST": a layer each */
    bool replace;                 /* DEST loses what the base has there and SRC lacks */
    struct ml_strs env, labels;   /* "NAME=VALUE" */
    const char *entrypoint, *cmd; /* one word, or a JSON array of them; NULL: the base's */
    const char *user, *workdir;
};

struct ml_packaged {
    struct ml_digest digest;
    uint64_t size, added; /* bytes of the whole image, and of the layers that are new */
    cJSON *image;         /* the card's section; owned */
    struct ml_strs warnings;
};

/* Makes the image. `model` (NULL: nobody asks) is the tree digest that one of the sources must have (evaluation.model):
 * none has it, or a source changed while it was read: ML_INTEGRITY. The same inputs give the same digest on any
 * machine. */
int ml_package_make(const struct ml_package *p, const char *model, struct ml_packaged *out, struct ml_err *err);
void ml_packaged_release(struct ml_packaged *p);

#endif
