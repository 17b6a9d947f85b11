/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slices that nobody named, found where a model is worse than on the rest of the rows. */
#ifndef ML_MODEL_FOUND_H
#define ML_MODEL_FOUND_H

#include "base/err.h"
#include "data/json.h"
#include "model/subject.h"

#define ML_FOUND_ROWS    ((size_t)100) /* that a slice and the rest must have */
#define ML_FOUND_COLUMNS ((size_t)500)

/* `found_slices` of an evaluation: looks at all columns that have a name and no other part and don't
 * count the rows, by wrong rows, (regression) absolute
 * errors or (probabilistic) squared ones. `alpha` is 1 - confidence. ML_USAGE: a ranking, whose rows have no error. */
int ml_found_slices(
    const struct ml_predictions *p, const struct ml_answers *a, double alpha, cJSON **out, struct ml_err *err);

#endif
