/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind ml_subject_settle share. */
#ifndef ML_MODEL_SUBJECT_IMPL_H
#define ML_MODEL_SUBJECT_IMPL_H

#include "model/subject.h"

/* Classes and answers where labels are sets. ML_LOCAL: no predicted label is among the labels, a score is missing for a
 * class, too many classes for the rows; ML_USAGE: a score outside 0..1 without a threshold. */
int ml_subject_settle_sets(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err);

/* subject_metrics.c: ML_LOCAL, the scores of this class are in no column. */
int ml_subject_no_scores(
    const struct ml_predictions *p, const struct ml_columns *c, const char *class, struct ml_err *err);

/* Reads --cost into s->costs, by the subject's classes. ML_USAGE: it can't be read, or names no such class. */
int ml_subject_settle_costs(struct ml_subject *s, const char *spec, struct ml_err *err);
/* subject_threshold.c: how --threshold says that a class is told from the score; NULL: from 0.5. ML_USAGE: it is none.
 */
int ml_threshold_read(struct ml_subject *s, const char *text, struct ml_err *err);
/* Predicts a->pred from a->s.score. A threshold that is chosen on the rows is chosen with these weights. ML_LOCAL:
 * there is none to be chosen; ML_USAGE: scores outside 0..1 without a threshold that was given. */
int ml_threshold_apply(struct ml_subject *s, bool given, const struct ml_predictions *p, const double *weight,
    struct ml_answers *a, struct ml_err *err);
/* ML_LOCAL: a score outside 0..1. */
int ml_probability_check(const struct ml_predictions *p, const struct ml_sample *s, struct ml_err *err);

#endif
