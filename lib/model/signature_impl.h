/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest that holds signatures. */
#ifndef ML_MODEL_SIGNATURE_IMPL_H
#define ML_MODEL_SIGNATURE_IMPL_H

#include "model/attached.h"
#include "model/signature.h"

#define ML_SIGNATURE_TYPE       "application/vnd.dev.cosign.simplesigning.v1+json"
#define ML_SIGNATURE_ANNOTATION "dev.cosignproject.cosign/signature"
#define ML_SIGNATURE_CRITICAL   "cosign container image signature"
#define ML_SIGNATURE_MAX        ((size_t)1 << 20) /* bytes of a payload; cosign's have some 300 */

/* The signatures of an image as they are stored: none where m.raw is empty. */
struct ml_signatures {
    char tag[ML_ATTACHED_TAG_MAX];
    struct ml_manifest m;
    struct ml_span *v; /* the layers' descriptors, in the manifest's text */
    size_t n;
};

int ml_signatures_load(struct ml_repo *r, const struct ml_digest *image, struct ml_signatures *out, struct ml_err *err);
void ml_signatures_release(struct ml_signatures *s);

/* A descriptor's parts. `signature` (owned) is NULL where the layer has none. False: it isn't a descriptor. */
bool ml_signatures_layer(const struct ml_signatures *s, size_t i, struct ml_desc *out, char **signature);

#endif
