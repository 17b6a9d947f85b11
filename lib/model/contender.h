/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One of the two that ml-compare compares, from wherever it comes: predictions, a card, a metrics file, or an image in
 * a repository with what is attached to it. */
#ifndef ML_MODEL_CONTENDER_H
#define ML_MODEL_CONTENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "data/json.h"
#include "data/yaml.h"
#include "model/card.h"
#include "model/predictions.h"

/* Starts zeroed. */
struct ml_contender {
    char *reference;         /* a file's name, or the image's reference */
    struct ml_digest digest; /* of the image; "" where unknown */
    bool absent;             /* an image that isn't there yet */
    bool has_card;
    struct ml_card card;
    cJSON *evaluation; /* the card's section, or NULL */
    bool has_predictions;
    struct ml_predictions predictions;
    bool hashed;                   /* said before they are read: the digest of their file will be asked for */
    bool stored;                   /* the predictions are those attached to the image */
    char no_predictions[600];      /* why there are none, where some were looked for */
    struct ml_yaml yaml;           /* owns what `metrics` is when it came from YAML */
    cJSON *metrics, *json_metrics; /* a metrics file's tree; NULL otherwise */
    /* What ml_contender_load calls once it knows that the file holds predictions and before it reads them, for somebody
     * who has yet to find out what the columns are; NULL. */
    int (*before)(void *arg, struct ml_err *err);
    void *before_arg;
    size_t promotions; /* earlier promotions that were judged by the same data */
};

void ml_contender_release(struct ml_contender *c);

/* What a file is, its content says: predictions (a table with a column of labels, or several JSON objects), a card, or
 * metrics (another JSON object, or a YAML map). "-" is standard input; a directory is the files of predictions in it.
 */
int ml_contender_load(
    struct ml_contender *c, const char *path, const struct ml_columns *cols, unsigned flags, struct ml_err *err);

/* Predictions of a contender that has another source already (or none); those it had are released. */
int ml_contender_load_predictions(
    struct ml_contender *c, const char *path, const struct ml_columns *cols, unsigned flags, struct ml_err *err);

/* The image that `reference` names, its card and its stored predictions. No image yet (ml_current_find): `absent`.
 * Stored predictions that cannot be read as the columns say: none, and no_predictions says why. */
int ml_contender_fetch(
    struct ml_contender *c, const char *reference, const struct ml_columns *cols, unsigned flags, struct ml_err *err);

/* Counts the promotions in the image's repository that were judged by `data`. */
int ml_contender_count_promotions(struct ml_contender *c, const char *data, struct ml_err *err);

/* Measures the predictions where no card has said what came out: `evaluation` is there afterwards. */
int ml_contender_evaluate(struct ml_contender *c, const struct ml_columns *cols, double confidence, struct ml_err *err);

/* Whether s is meant as a reference to an image rather than as a file. */
bool ml_contender_is_image(const char *s);

#endif
