/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A card's pictures for its merge request, as SVG. Each is there only where the card has what it shows; everything in
 * it is said in words too. The same card gives the same bytes. */
#ifndef ML_MODEL_PICTURE_H
#define ML_MODEL_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "data/json.h"

#define ML_PICTURE_ROWS    ((size_t)30) /* intervals of the forest plot */
#define ML_PICTURE_CLASSES ((size_t)20) /* classes of the confusion matrix */

enum ml_picture_kind {
    ML_PICTURE_DIFFERENCES, /* forest plot: candidate - current, with intervals and margins */
    ML_PICTURE_CONFUSION,   /* confusion matrix: candidate - current */
    ML_PICTURE_RELIABILITY, /* what the probabilities say against what happens */
    ML_PICTURE_ROC,
    ML_PICTURES,
};

struct ml_picture {
    struct ml_buf svg;
    struct ml_buf alt; /* what it shows as Markdown for an image's text: foreign text in code spans */
};

/* "differences": the name of its file, without .svg. */
const char *ml_picture_name(enum ml_picture_kind kind);

/* "Differences from the current model": how it is called. */
const char *ml_picture_title(enum ml_picture_kind kind);

/* Draws; sections that the card lacks are NULL. False: there is nothing to draw. */
bool ml_picture_draw(
    enum ml_picture_kind kind, const cJSON *evaluation, const cJSON *comparison, struct ml_picture *out);

void ml_picture_release(struct ml_picture *p);

#endif
