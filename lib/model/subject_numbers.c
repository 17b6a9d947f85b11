/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns become numbers. */
#include "model/subject_numbers.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

/* "007" makes a column one of texts, but where numbers are asked for it is one. */
static int take_column(double **out, const struct ml_column *c, const struct ml_predictions *p, const char *what,
    const char *task, struct ml_err *err)
{
    for (size_t k = 0; c->text && k < c->dict.n; k++) {
        double *v = &c->value[k];
        const char *s = ml_intern_text(&c->dict, (uint32_t)k);
        if (isnan(*v) && (!ml_double_parse(s, strlen(s), v) || isinf(*v)))
            return ml_err_set(err, ML_LOCAL, "'%s': line %llu: the %s '%s' is not a number, as %s needs it%s",
                ml_predictions_file(p, c->line[k]), ml_table_line_in(c->line[k]), what, s, task,
                ml_column_comma(s, strlen(s)) ? "; numbers have a decimal point, not a comma" : "");
    }
    *out = ml_malloc((p->n + 1) * sizeof **out);
    for (size_t r = 0; r < p->n; r++)
        (*out)[r] = ml_column_at(c, r);
    return 0;
}

static int check_relevance(const struct ml_answers *a, const struct ml_predictions *p, struct ml_err *err)
{
    for (size_t i = 0; i < p->n; i++)
        if (a->truth[i] < 0)
            return ml_err_set(
                err, ML_LOCAL, "'%s': row %zu has the label %g: a relevance is 0 or more", p->name, i + 1, a->truth[i]);
    return 0;
}

int ml_answer_numbers(
    struct ml_answers *a, const struct ml_predictions *p, const struct ml_columns *c, struct ml_err *err)
{
    bool ranking = a->s.task == ML_TASK_RANKING;
    const char *task = ranking ? "ranking" : "regression";
    bool by_score = ranking && p->score != NULL && (c->score != NULL || c->prediction == NULL || p->prediction.n == 0);
    if (p->score_names.n > 0 && ranking)
        return ml_err_set(err, ML_USAGE, "--scores: a ranking has one score a row (--score)");
    if (!by_score && p->prediction.n == 0)
        return ml_err_set(
            err, ML_LOCAL, "'%s': %s needs a column 'prediction' (name it with --prediction)", p->name, task);
    if (take_column(&a->truth, &p->label, p, "label", task, err) < 0)
        return -1;
    if (by_score) {
        a->estimate = ml_malloc((p->n + 1) * sizeof *a->estimate);
        memcpy(a->estimate, p->score, p->n * sizeof *a->estimate);
    } else if (take_column(&a->estimate, &p->prediction, p, "prediction", task, err) < 0) {
        return -1;
    }
    a->s.truth = a->truth;
    a->s.estimate = a->estimate;
    return ranking ? check_relevance(a, p, err) : 0;
}
