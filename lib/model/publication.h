/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishing: an image goes from where it was packaged to where it is deployed from, with its card and its predictions,
 * the tag last: who sees the tag sees all of it. Fills the card's `publication`. */
#ifndef ML_MODEL_PUBLICATION_H
#define ML_MODEL_PUBLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "model/attached.h"
#include "model/card.h"
#include "oci/ref.h"
#include "oci/repo.h"

/* Opens a repository whose requests are logged (`log` may be NULL); messages start with the reference. */
struct ml_publication_log {
    void (*line)(void *ctx, const char *line);
    void *ctx;
};

struct ml_publication {
    struct ml_card *card;
    bool bare;               /* the card says nothing yet: only the image is pushed, nothing attached */
    const char *image;       /* where it is, NULL: where the card says */
    const char *predictions; /* a file, or NULL */
    const struct ml_strs
        *to;   /* references; a tag that names another image already is refused: this never overwrites ... */
    bool move; /* ... unless that is what is wanted; then a bare tag is one in the image's own repository, too */
    struct ml_publication_log log;
    void (*progress)(void *ctx, uint64_t done, uint64_t size); /* as in oci/copy.h */
    void *progress_ctx;
    /* what it came to */
    struct ml_digest digest;
    char *reference;     /* by digest, in the first repository; owned */
    struct ml_strs tags; /* of the first repository; references for others */
    uint64_t pushed, mounted, present;
    cJSON *attachments;  /* owned: what became of them in the first repository (ml_attached_json), the card's own aside;
                            NULL for none */
    struct ml_strs says; /* what a person should know of them */
    char *refused;       /* why a tag wasn't set, owned; NULL where all were */
};

/* Adds what became of an attachment to `list` (made where it is NULL; may be NULL itself) and, where something is
 * amiss, a line to `says`. */
void ml_publication_note(const struct ml_attached *a, cJSON **list, struct ml_strs *says);

/* 0, or 1 with p->refused when a tag names another image: then all that has to be said is in the card, too; -1. A tag
 * is looked at before anything is sent, and again before it is set. */
int ml_publication_push(struct ml_publication *p, struct ml_err *err);
void ml_publication_release(struct ml_publication *p);

/* Opens the repository of `ref`; the error says which. */
int ml_publication_open(const struct ml_ref *ref, bool write, const struct ml_publication_log *log,
    struct ml_repo **out, struct ml_err *err);

/* Digest of the predictions that the card's evaluation was made from: 0, -1 ML_INTEGRITY when the card has none. */
int ml_publication_predictions(const struct ml_card *card, struct ml_digest *out, struct ml_err *err);

/* Whether the card is about another image: 0 no (or it names none), -1 ML_INTEGRITY. */
int ml_publication_same(const struct ml_card *card, const struct ml_digest *image, struct ml_err *err);

/* Adds a tag to the card's publication.tags. */
void ml_publication_tagged(struct ml_card *card, const char *tag);

#endif
