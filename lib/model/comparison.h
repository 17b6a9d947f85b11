/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The card's section `comparison`: candidate against current model, metric by metric, with an interval, a test and a
 * verdict (ml-card(5)). The statement is about rows like these and two fitted models. */
#ifndef ML_MODEL_COMPARISON_H
#define ML_MODEL_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/json.h"
#include "model/policy.h"
#include "model/predictions.h"
#include "stats/verdict.h"

#define ML_WORST_MAX ((size_t)10) /* examples of broken rows */

/* A margin given by name; it goes before the policy's. */
struct ml_named_margin {
    char *metric; /* owned */
    struct ml_margin margin;
};

struct ml_comparison_opts {
    double alpha;  /* before the correction for looks */
    unsigned look; /* the J-th comparison on these rows; 0: no correction */
    uint64_t seed;
    const struct ml_policy *policy; /* its metrics are the primary ones; NULL: all are */
    const struct ml_named_margin *margins;
    size_t n_margins;
    size_t promotions;        /* earlier promotions that were judged by the same data */
    unsigned extras;          /* enum ml_extra: further tests of the primary metrics */
    bool calibration, curves; /* of the current model, to 'current', as an evaluation has them */
};

/* Further predictions of the same rows, in the candidate's order. */
struct ml_entrants {
    struct ml_predictions **p;
    size_t n;
};

/* Who is compared. */
struct ml_field {
    struct ml_predictions *current, *candidate;
    struct ml_entrants runs[2]; /* of the current model and of the candidate with other seeds */
    struct ml_entrants rivals;  /* further candidates */
};

/* Fill the section `to`, below what says who was compared. paired: all are of the same rows in the same order.
 * unpaired: two sections `evaluation`. plain: two trees of numbers without rows, as in metrics.json; no test is
 * possible. ML_USAGE: a margin for a metric that isn't here, too many slices. paired takes the columns of labels and
 * predictions, which cannot be settled again. */
int ml_comparison_paired(cJSON *to, const struct ml_comparison_opts *o, const struct ml_columns *c,
    const struct ml_field *field, struct ml_err *err);
/* Where there is no current model: the candidate and its rivals among each other (`ranking` and `candidates`), or of
 * its runs their means, to `metrics` and `slices`, which are there already. */
int ml_comparison_alone(cJSON *to, const struct ml_comparison_opts *o, const struct ml_columns *c,
    const struct ml_field *field, struct ml_err *err);
int ml_comparison_unpaired(
    cJSON *to, const struct ml_comparison_opts *o, const cJSON *current, const cJSON *candidate, struct ml_err *err);
int ml_comparison_plain(
    cJSON *to, const struct ml_comparison_opts *o, const cJSON *current, const cJSON *candidate, struct ml_err *err);

#endif
