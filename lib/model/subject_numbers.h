/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers that were true and that a model said: regression, and ranking by query. */
#ifndef ML_MODEL_SUBJECT_NUMBERS_H
#define ML_MODEL_SUBJECT_NUMBERS_H

#include "base/err.h"
#include "model/subject.h"

/* Fills truth and estimate by the task that is in a->s. Ranking orders by the score where there is one that nobody
 * asked to leave aside (by --prediction alone). ML_LOCAL: something isn't a number, no column to go by, a relevance
 * below 0. */
int ml_answer_numbers(
    struct ml_answers *a, const struct ml_predictions *p, const struct ml_columns *c, struct ml_err *err);

#endif
