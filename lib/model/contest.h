/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What ml-compare does with its two contenders: which predictions are paired, what is said when they cannot be, and the
 * section that comes of it. */
#ifndef ML_MODEL_CONTEST_H
#define ML_MODEL_CONTEST_H

#include <stdbool.h>

#include "base/err.h"
#include "data/json.h"
#include "model/comparison.h"
#include "model/contender.h"

struct ml_contest {
    struct ml_contender *current, *candidate;
    const struct ml_columns *cols;
    struct ml_comparison_opts *opts;
    const char *current_predictions; /* --current-predictions: predicted now; NULL */
    bool current_is_image;
    bool unpaired, drop;
    /* beside the two, all with predictions of the same rows: further runs of the current model and of the candidate,
     * and further candidates */
    struct ml_contender *runs[2], *rivals;
    size_t n_runs[2], n_rivals;
    struct ml_contender *confirm[2]; /* both models' predictions of the confirmation rows; NULL: none */
};

/* ML_INTEGRITY with how many, and which three, when rows of `confirm` are among those of the candidate's predictions;
 * ML_LOCAL where that cannot be told, for want of ids. */
int ml_contest_check_confirm(const struct ml_contest *t, struct ml_err *err);

/* The section `comparison`, owned. Exit codes as ml-compare(1) has them: ML_INTEGRITY when two files are about
 * different rows. For an image whose stored predictions are about other rows, and where no others are given, the
 * section says so and holds no metrics. */
int ml_contest_run(struct ml_contest *t, cJSON **out, struct ml_err *err);

#endif
