/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signatures of an image, as cosign makes and finds them with a pair of keys (sigstore/cosign, SIGNATURE_SPEC.md): a
 * manifest under the tag "sha256-<hex>.sig" with a layer a signature. The layer is what is signed ("simple signing",
 * containers-signature(5)): a JSON document that names the image's digest; the signature is in an annotation.
 * Certificates and transparency logs play no part here. A registry that refuses these media types can't hold
 * signatures that anybody else would find, so they have no other form. */
#ifndef ML_MODEL_SIGNATURE_H
#define ML_MODEL_SIGNATURE_H

#include <stdbool.h>

#include "base/crypto.h"
#include "base/digest.h"
#include "base/err.h"
#include "data/json.h"
#include "oci/repo.h"

/* What the signatures of an image are worth under a key. */
struct ml_signature_check {
    bool valid;  /* one at least is this key's, of this image */
    cJSON *list; /* owned: [{"payload", "valid", "why", "identity", "optional"}], as they are stored */
    char *why;   /* owned: why none is valid; NULL when one is */
};

/* Reads them all. Valid is a signature by `key` whose payload is of cosign's type, says nothing critical that isn't
 * understood, and names this image, and, unless `identity` is NULL, by that name ("docker-reference", which cosign
 * ignores). -1: they can't be read; ML_INTEGRITY when what is stored isn't what its digest says and none of the others
 * is valid. */
int ml_signature_verify(struct ml_repo *r, const struct ml_digest *image, const struct ml_pkey *key,
    const char *identity, struct ml_signature_check *out, struct ml_err *err);
void ml_signature_check_release(struct ml_signature_check *c);

/* What became of a signature. */
struct ml_signed {
    struct ml_digest manifest; /* that holds them all */
    size_t n;                  /* how many that is */
    bool already;              /* the same was there: nothing was written */
    char *unlisted;            /* owned; as in model/attached.h */
};

/* Signs the image (which has to be there) beside the signatures that it has. `identity`: the name that the signature
 * says it has; NULL: that of its repository (of a layout: none). Of two that sign at the same time each looks whether
 * its own is there when it is done. */
int ml_signature_add(struct ml_repo *r, const struct ml_desc *image, const struct ml_pkey *key, const char *identity,
    struct ml_signed *out, struct ml_err *err);

/* The signatures of an image in `from` also in `to`, beside what is there: 0, 1 when there are none, -1. */
int ml_signature_copy(
    struct ml_repo *from, struct ml_repo *to, const struct ml_desc *image, struct ml_signed *out, struct ml_err *err);
void ml_signed_release(struct ml_signed *s);

#endif
