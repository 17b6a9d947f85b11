/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of what was added to an image, CycloneDX 1.5 in JSON: a component each source, with its files (path in the
 * image, size, SHA-256) below it; the model's is a machine-learning-model, with the metrics of its evaluation. Nothing
 * in it depends on time or chance: the same image has the same list. */
#ifndef ML_MODEL_SBOM_H
#define ML_MODEL_SBOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/stream.h"
#include "model/card.h"

/* What the list is about. Strings may be NULL where unknown. */
struct ml_sbom_about {
    const struct ml_digest *image;
    const char *name;      /* of the model */
    const char *version;   /* of the model */
    const char *license;   /* an SPDX expression */
    const char *base_name; /* the image that this one was made from ... */
    const struct ml_digest *base;
    const struct ml_card *card;
};

/* A document is written by these in order: begin, for each source a source, its files, and its end; end. */
struct ml_sbom;

struct ml_sbom *ml_sbom_new(const struct ml_sbom_about *about, ml_sink_fn *sink, void *ctx);
void ml_sbom_free(struct ml_sbom *s); /* NULL is fine */

/* `path` as in the image, with the slash in front. `model`: this is what was evaluated, or is meant to be. */
int ml_sbom_source(struct ml_sbom *s, const char *path, bool model, struct ml_err *err);
/* `link` NULL: a file, with its size and digest; else a symbolic link to that. */
int ml_sbom_file(struct ml_sbom *s, const char *path, uint64_t size, const struct ml_digest *digest, const char *link,
    struct ml_err *err);
int ml_sbom_end(struct ml_sbom *s, struct ml_err *err);

#endif
