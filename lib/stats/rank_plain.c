/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Area under the ROC curve and average precision of a binary sample without weights and groups: the sorted scores of
 * both classes tell the value and the sum of squared influences, row by row nothing is needed. */
#include <math.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

bool ml_rank_plain_has(const struct ml_measure *m, const struct ml_metric *metric)
{
    return m->s.task == ML_TASK_BINARY &&
           (metric->id == ML_METRIC_ROC_AUC || metric->id == ML_METRIC_AVERAGE_PRECISION);
}

/* Both classes' scores, walked in step from the lowest to the highest, a tie group at a time. */
struct walk {
    const double *pos, *neg;
    size_t n_pos, n_neg;
    size_t p, n;               /* passed: those below the group */
    size_t pos_ties, neg_ties; /* in the group */
};

static struct walk walk_start(struct ml_measure *m)
{
    const struct ml_sample *s = &m->s;
    size_t pos = 0, at = 0, rest;

    for (size_t i = 0; i < s->n; i++)
        pos += s->label[i] == s->positive;
    if (!m->sorted) {
        m->sorted = ml_malloc((s->n + 1) * sizeof *m->sorted);
        rest = pos;
        for (size_t i = 0; i < s->n; i++)
            m->sorted[s->label[i] == s->positive ? at++ : rest++] = s->score[i];
        ml_sort(m->sorted, pos);
        ml_sort(m->sorted + pos, s->n - pos);
    }
    return (struct walk){ .pos = m->sorted, .neg = m->sorted + pos, .n_pos = pos, .n_neg = s->n - pos };
}

static bool walk_next(struct walk *w)
{
    double score;

    w->p += w->pos_ties;
    w->n += w->neg_ties;
    w->pos_ties = w->neg_ties = 0;
    if (w->p == w->n_pos && w->n == w->n_neg)
        return false;
    score = w->n == w->n_neg || (w->p < w->n_pos && w->pos[w->p] < w->neg[w->n]) ? w->pos[w->p] : w->neg[w->n];
    while (w->p + w->pos_ties < w->n_pos && w->pos[w->p + w->pos_ties] == score)
        w->pos_ties++;
    while (w->n + w->neg_ties < w->n_neg && w->neg[w->n + w->neg_ties] == score)
        w->neg_ties++;
    return true;
}

/* Half the negatives of the group count as below it. */
static double below(const struct walk *w)
{
    return (double)w->n + (double)w->neg_ties / 2;
}

static double auc_squares(struct ml_measure *m, double area, bool delong)
{
    struct walk w = walk_start(m);
    double n_pos = (double)w.n_pos, n_neg = (double)w.n_neg, total = n_pos + n_neg;
    struct ml_sum pos = { 0, 0 }, neg = { 0, 0 };

    while (walk_next(&w)) {
        double v10 = below(&w) / n_neg - area, v01 = (n_pos - (double)w.p - (double)w.pos_ties / 2) / n_pos - area;

        ml_sum_add(&pos, (double)w.pos_ties * (v10 * v10));
        ml_sum_add(&neg, (double)w.neg_ties * (v01 * v01));
    }
    return ml_sum_value(&pos) * (total / n_pos) * (total / n_pos) * (delong && n_pos > 1 ? n_pos / (n_pos - 1) : 1) +
           ml_sum_value(&neg) * (total / n_neg) * (total / n_neg) * (delong && n_neg > 1 ? n_neg / (n_neg - 1) : 1);
}

/* Share of positives among the rows that score at least as high as the group. */
static double precision_from(const struct walk *w, double *above)
{
    *above = (double)(w->n_pos - w->p + w->n_neg - w->n);
    return (double)(w->n_pos - w->p) / *above;
}

/* As ap_psi. */
static double ap_squares(struct ml_measure *m, double value)
{
    struct walk w = walk_start(m);
    double scale = (double)m->s.n / (double)w.n_pos, inverse = 0, loss = 0;
    struct ml_sum sum = { 0, 0 };

    while (walk_next(&w)) {
        double above, precision = precision_from(&w, &above), psi;

        inverse += (double)w.pos_ties / above;
        loss += (double)w.pos_ties * precision / above;
        psi = precision - value + inverse - loss;
        ml_sum_add(&sum, (double)w.pos_ties * (psi * psi) + (double)w.neg_ties * (loss * loss));
    }
    return ml_sum_value(&sum) * scale * scale;
}

bool ml_rank_plain(
    struct ml_measure *m, const struct ml_metric *metric, bool delong, struct ml_value *v, double *squares)
{
    struct walk w = walk_start(m);
    double n_pos = (double)w.n_pos, n_neg = (double)w.n_neg, above;
    struct ml_sum sum = { 0, 0 };
    bool auc = metric->id == ML_METRIC_ROC_AUC;

    if (w.n_pos == 0 || (auc && w.n_neg == 0))
        return ml_value_none(v, auc ? "the labels are of one class only" : "no row is labelled positive");
    while (walk_next(&w))
        ml_sum_add(&sum, (double)w.pos_ties * (auc ? below(&w) : precision_from(&w, &above)));
    v->ok = true;
    v->value = fmin(ml_sum_value(&sum) / n_pos / (auc ? n_neg : 1), 1);
    v->n = auc && w.n_neg < w.n_pos ? w.n_neg : w.n_pos;
    *squares = auc ? auc_squares(m, v->value, delong) : ap_squares(m, v->value);
    return true;
}
