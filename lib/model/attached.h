/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What belongs to an image in a repository: its card and the predictions it was evaluated by. Each is a plain OCI image
 * of one layer with one file, under a tag made of the image's digest ("sha256-<hex>.card", "sha256-<hex>.predictions"),
 * and names the image as its subject. Also the question that starts every comparison: is there a current model? */
#ifndef ML_MODEL_ATTACHED_H
#define ML_MODEL_ATTACHED_H

#include "base/digest.h"
#include "base/err.h"
#include "base/stream.h"
#include "model/card.h"
#include "oci/ref.h"
#include "oci/repo.h"

enum ml_attachment { ML_ATTACHED_CARD, ML_ATTACHED_PREDICTIONS };

#define ML_ATTACHED_TAG_MAX 96

/* The tag that the attachment of an image has. */
void ml_attached_tag(const struct ml_digest *image, enum ml_attachment kind, char out[ML_ATTACHED_TAG_MAX]);

/* The card that is attached to an image: 0, 1 when there is none, -1. `out` is filled only with 0. */
int ml_attached_card(struct ml_repo *r, const struct ml_digest *image, struct ml_card *out, struct ml_err *err);

/* The predictions that are attached to an image, streamed, byte for byte what was attached: 0, 1 when there are none,
 * -1. What the sink got counts only when this returns 0: then its digest has been verified. */
int ml_attached_predictions(
    struct ml_repo *r, const struct ml_digest *image, ml_sink_fn *sink, void *ctx, struct ml_err *err);

/* Attaches a card, as it is, in place of the one before. `out` (may be NULL, else ml_desc_release) is the descriptor of
 * the attachment's manifest. `tagged` false stores it without taking the tag: for a record that names it. */
int ml_attached_put_card(struct ml_repo *r, const struct ml_desc *image, const struct ml_card *card, bool tagged,
    struct ml_desc *out, struct ml_err *err);

/* Attaches a file of predictions. Its digest must be `want` (ML_INTEGRITY). */
int ml_attached_put_predictions(struct ml_repo *r, const struct ml_desc *image, const char *file,
    const struct ml_digest *want, struct ml_desc *out, struct ml_err *err);

/* Opens the repository of `ref` for reading and finds the image that is current there. 0: *repo is open and *out
 * filled. 1: there is none yet: the registry took our credentials and knows neither the tag nor a promotion to it (a
 * layout: the directory isn't there, or the same). -1: it can't be known, ML_REFUSED; also when the tag is gone while
 * promotions to it are on record, and when `ref` is a digest that isn't there. *repo is NULL unless 0. */
int ml_current_find(const struct ml_ref *ref, struct ml_repo **repo, struct ml_manifest *out, struct ml_err *err);

#endif
