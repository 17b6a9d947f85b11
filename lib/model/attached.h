/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What belongs to an image in a repository, under a tag made of the image's digest ("sha256-<hex>.card") and with the
 * image as its subject:
 *
 *   card, predictions   plain OCI images of one layer, a tar with one file, which every registry takes
 *   provenance, sbom    artifacts (image-spec v1.1, "Guidelines for Artifact Usage"): the empty config, and one blob of
 *                       the document's own media type. Where the registry refuses such types, plain images as above
 *   sig                 cosign's signatures (model/signature.h)
 *
 * Also the question that starts every comparison: is there a current model? */
#ifndef ML_MODEL_ATTACHED_H
#define ML_MODEL_ATTACHED_H

#include "base/digest.h"
#include "base/err.h"
#include "base/stream.h"
#include "model/card.h"
#include "oci/ref.h"
#include "oci/repo.h"

enum ml_attachment {
    ML_ATTACHED_CARD,
    ML_ATTACHED_PREDICTIONS,
    ML_ATTACHED_PROVENANCE,
    ML_ATTACHED_SBOM,
    ML_ATTACHED_SIGNATURES
};

#define ML_ATTACHED_TAG_MAX 96

/* "card", "predictions", "provenance", "sbom", "sig". */
const char *ml_attached_name(enum ml_attachment kind);

/* The tag that the attachment of an image has. */
void ml_attached_tag(const struct ml_digest *image, enum ml_attachment kind, char out[ML_ATTACHED_TAG_MAX]);

/* ---- reading ---- */

/* The document that is attached to an image (any kind but signatures), in either form, streamed, byte for byte what was
 * attached: 0, 1 when there is none, -1. What the sink got counts only when this returns 0: then its digest has been
 * verified. */
int ml_attached_get(struct ml_repo *r, const struct ml_digest *image, enum ml_attachment kind, ml_sink_fn *sink,
    void *ctx, struct ml_err *err);

/* The card that is attached to an image: 0, 1 when there is none, -1. `out` is filled only with 0. */
int ml_attached_card(struct ml_repo *r, const struct ml_digest *image, struct ml_card *out, struct ml_err *err);

/* ---- writing ---- */

/* What became of it. */
struct ml_attached {
    enum ml_attachment kind;
    struct ml_desc desc; /* the attachment's manifest */
    bool plain;          /* a plain image */
    char *refused;       /* owned: what the registry said of the artifact, when that is why; else NULL */
    char *unlisted;      /* owned: why it isn't in the subject's list of referrers (oci/referrers.h); else NULL */
};

void ml_attached_release(struct ml_attached *a);

/* For documents: {"kind", "digest", "form": "artifact" or "image", "refused"}; refused and unlisted only where it was.
 */
cJSON *ml_attached_json(const struct ml_attached *a);

/* Attaches n bytes, or (fd >= 0 and text NULL) what can be read from the descriptor, in place of what was attached
 * before; nothing is sent when it is that already. `name` is what messages call it. `want` (NULL: any): the digest that
 * it must have, else ML_INTEGRITY. `untagged` stores it without taking the tag or a place in the list of referrers: for
 * a record that names it. `out` may be NULL. */
struct ml_attaching {
    enum ml_attachment kind;
    const char *text;
    size_t n;
    int fd;
    const char *name;
    const struct ml_digest *want;
    bool untagged;
};

int ml_attached_put(struct ml_repo *r, const struct ml_desc *image, const struct ml_attaching *what,
    struct ml_attached *out, struct ml_err *err);

/* A card as it is, and a file of predictions. */
int ml_attached_put_card(struct ml_repo *r, const struct ml_desc *image, const struct ml_card *card, bool tagged,
    struct ml_attached *out, struct ml_err *err);
int ml_attached_put_predictions(struct ml_repo *r, const struct ml_desc *image, const char *file,
    const struct ml_digest *want, struct ml_attached *out, struct ml_err *err);

/* The document that is attached to `image` in `from`, attached to it in `to`: 0, 1 when there is none, -1. */
int ml_attached_copy(struct ml_repo *from, struct ml_repo *to, const struct ml_desc *image, enum ml_attachment kind,
    struct ml_attached *out, struct ml_err *err);

/* ---- the current model ---- */

/* Opens the repository of `ref` for reading and finds the image that is current there. 0: *repo is open and *out
 * filled. 1: there is none yet: the registry took our credentials and knows neither the tag nor a promotion to it (a
 * layout: the directory isn't there, or the same). -1: it can't be known, ML_REFUSED; also when the tag is gone while
 * promotions to it are on record, and when `ref` is a digest that isn't there. *repo is NULL unless 0. */
int ml_current_find(const struct ml_ref *ref, struct ml_repo **repo, struct ml_manifest *out, struct ml_err *err);

#endif
