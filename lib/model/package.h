/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packaging: files appended to a base image as layers of their own, written whole into an image layout or an archive,
 * or sent to a registry without a copy on disk. */
#ifndef ML_MODEL_PACKAGE_H
#define ML_MODEL_PACKAGE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/card.h"

struct ml_package {
    const char *base; /* a reference, or "scratch"; may be NULL for a ModelPack artifact */
    /* Where it goes, one of: oci:DIR:TAG, whose tag moves; a reference with a tag, which is never moved; FILE or
     * FILE:NAME:TAG, a new archive. */
    const char *out, *to, *archive;
    const char *document;         /* another file that the caller will write, in no source; or NULL */
    const char *platform;         /* NULL: here */
    struct ml_strs layers;        /* files that are layer tars already, taken as they are */
    struct ml_strs adds;          /* "SRC:DEST": a layer each */
    bool replace;                 /* DEST loses what the base has there and SRC lacks */
    const char *split;            /* "2G": a source becomes layers of about that; NULL: one */
    const char *compress;         /* none (NULL), gzip, zstd, auto */
    const char *format;           /* image (NULL), modelpack */
    const char *name, *version;   /* of the model; NULL: not said */
    const char *license;          /* an SPDX expression, or NULL */
    struct ml_strs env, labels;   /* "NAME=VALUE" */
    const char *entrypoint, *cmd; /* one word, or a JSON array of them; NULL: the base's */
    const char *user, *workdir;
    bool provenance, sbom;      /* attach how it was made, and a list of what was added; not to an archive */
    const struct ml_card *card; /* what these two say of run and evaluation; may be NULL */
    void (*log)(void *ctx, const char *line); /* a line a request, or NULL */
    void *log_ctx;
    void (*progress)(void *ctx, uint64_t done, uint64_t size); /* as in oci/copy.h, or NULL */
    void *progress_ctx;
};

struct ml_packaged {
    struct ml_digest digest;
    char *reference;      /* where it is now; owned */
    uint64_t size, added; /* bytes of the whole image, and of the layers that are new */
    bool sent;            /* with `to`: the bytes below are known */
    uint64_t pushed, mounted;
    cJSON *image; /* the card's section; owned */
    struct ml_strs warnings;
    struct ml_strs says; /* what became of attachments, as far as a person should know */
};

/* Makes the image. `model` (NULL: nobody asks) is the tree digest that one of the sources must have (evaluation.model):
 * none has it, or a source changed while it was read: ML_INTEGRITY, and nothing has a name or is left behind but blobs
 * of the base. A tag of `to` that names another image already: ML_NO. The same inputs give the same digest on any
 * machine and wherever it goes. */
int ml_package_make(const struct ml_package *p, const char *model, struct ml_packaged *out, struct ml_err *err);
void ml_packaged_release(struct ml_packaged *p);

#endif
