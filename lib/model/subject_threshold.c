/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Predictions of two classes from a score: by a threshold that is given, usual, or chosen on the rows. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "model/subject_impl.h"
#include "stats/threshold.h"

int ml_threshold_read(struct ml_subject *s, const char *text, struct ml_err *err)
{
    s->threshold = 0.5;
    s->tuned = text != NULL ? ml_tuned_parse(text) : ML_TUNED_NO;
    if (text == NULL || s->tuned != ML_TUNED_NO)
        return 0;
    if (!ml_double_parse(text, strlen(text), &s->threshold) || isinf(s->threshold))
        return ml_err_set(err, ML_USAGE, "--threshold '%s': a number, best-f1 or youden", text);
    return 0;
}

int ml_threshold_apply(struct ml_subject *s, bool given, const struct ml_predictions *p, const double *weight,
    struct ml_answers *a, struct ml_err *err)
{
    struct ml_sample weighted = a->s;
    int32_t positive = s->positive, other = 1 - positive;
    weighted.weight = weight;
    a->threshold = s->threshold;
    a->s.tuned = s->tuned;
    if (s->tuned != ML_TUNED_NO && !ml_threshold_find(&weighted, s->tuned, &a->threshold))
        return ml_err_set(err, ML_LOCAL, "'%s': no threshold can be chosen: the labels are of one class only", p->name);
    for (size_t i = 0; !given && i < p->n; i++)
        if (a->s.score[i] < 0 || a->s.score[i] > 1)
            return ml_err_set(err, ML_USAGE,
                "'%s': row %zu has the score %g: outside 0..1 --threshold is needed to tell the classes apart", p->name,
                i + 1, a->s.score[i]);
    s->thresholded = true;
    s->threshold = a->threshold;
    a->pred = ml_malloc((p->n + 1) * sizeof *a->pred);
    for (size_t i = 0; i < p->n; i++)
        a->pred[i] = a->s.score[i] >= a->threshold ? positive : other;
    return 0;
}

int ml_probability_check(const struct ml_predictions *p, const struct ml_sample *s, struct ml_err *err)
{
    for (size_t i = 0; i < p->n; i++)
        if (s->score[i] < 0 || s->score[i] > 1)
            return ml_err_set(
                err, ML_LOCAL, "'%s': row %zu has the score %g, which is no probability", p->name, i + 1, s->score[i]);
    return 0;
}
