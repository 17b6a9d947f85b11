/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of order: the area under the ROC curve by placement values, and average precision, ties grouped. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/rank_impl.h"
#include "stats/sum.h"

#define ONE_CLASS "the labels are of one class only"

static bool is_pos(const struct ranking *r, size_t row)
{
    return r->s->label[row] == r->k;
}

/* Sorted rows are looked at often, and each look at a row itself would be a cache miss. */
void ml_rank_mark(const struct ranking *r, unsigned char *mark)
{
    double score = r->s->n ? r->score[r->order[0] * r->stride] : 0;

    for (size_t i = 0; i < r->s->n; i++) {
        double next = i + 1 < r->s->n ? r->score[r->order[i + 1] * r->stride] : NAN;

        mark[i] = (unsigned char)((is_pos(r, r->order[i]) ? ML_MARK_POS : 0) | (score == next ? 0 : ML_MARK_LAST));
        score = next;
    }
}

size_t ml_rank_tie_group(const struct ranking *r, size_t at, double *pos, double *neg)
{
    *pos = *neg = 0;
    for (bool last = false; !last; at++) {
        double w = r->by->w ? r->by->w[r->order[at]] : 1;

        *(r->mark[at] & ML_MARK_POS ? pos : neg) += w;
        last = r->mark[at] & ML_MARK_LAST;
    }
    return at;
}

void ml_rank_sides(struct ranking *r)
{
    r->pos_rows = r->neg_rows = 0;
    r->pos = r->neg = 0;
    for (size_t i = 0; i < r->s->n; i++) {
        double w = weight_of(r->by, i);

        if (!(w > 0))
            continue;
        if (is_pos(r, i)) {
            r->pos_rows++;
            r->pos += w;
        } else {
            r->neg_rows++;
            r->neg += w;
        }
    }
}

/* DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44, 837, eq. 3-5, with placements from one sorted pass (Sun & Xu
 * 2014, IEEE Signal Process. Lett. 21, 1389): V10 of a positive is the share of negatives below it, V01 of a negative
 * the share of positives above it, ties one half. `place` NULL: only the area. */
double ml_rank_area(const struct ranking *r, double *place)
{
    struct ml_sum area = { 0, 0 };
    double below_pos = 0, below_neg = 0, pos, neg;

    for (size_t at = 0, end; at < r->s->n; at = end) {
        double v10, v01;

        end = ml_rank_tie_group(r, at, &pos, &neg);
        v10 = (below_neg + neg / 2) / r->neg;
        v01 = (r->pos - below_pos - pos / 2) / r->pos;
        ml_sum_add(&area, pos * (below_neg + neg / 2));
        below_pos += pos;
        below_neg += neg;
        for (; place && at < end; at++)
            place[r->order[at]] = r->mark[at] & ML_MARK_POS ? v10 : v01;
    }
    return fmin(ml_sum_value(&area) / r->pos / r->neg, 1);
}

/* (V10 - A) / pi_1 for positives, (V01 - A) / pi_0 for negatives. */
void ml_rank_add_area_psi(
    const struct ranking *r, double area, const double *place, double share, bool delong, double *psi)
{
    double m = (double)r->pos_rows, k = (double)r->neg_rows, total = r->pos + r->neg;
    double pos = share * total / r->pos * (delong && m > 1 ? sqrt(m / (m - 1)) : 1);
    double neg = share * total / r->neg * (delong && k > 1 ? sqrt(k / (k - 1)) : 1);

    for (size_t i = 0; i < r->s->n; i++)
        psi[i] += (place[i] - area) * (is_pos(r, i) ? pos : neg);
}

void ml_rank_sort(struct ml_measure *m)
{
    struct ranking r = { .s = &m->s, .order = ml_measure_order(m), .score = m->s.score, 1, m->s.positive };

    if (m->mark)
        return;
    m->mark = ml_malloc(m->s.n + 1);
    ml_rank_mark(&r, m->mark);
}

struct ranking ml_rank_binary(struct ml_measure *m, const struct weighting *by)
{
    struct ranking r = { .s = &m->s, .by = by, .score = m->s.score, .stride = 1, .k = m->s.positive };

    ml_rank_sides(&r);
    ml_rank_sort(m);
    r.order = m->order;
    r.mark = m->mark;
    return r;
}

static bool area_value(struct ml_measure *m, const struct weighting *by, bool delong, struct ml_value *v, double *psi)
{
    struct ranking r = ml_rank_binary(m, by);
    double *place;

    if (r.pos_rows == 0 || r.neg_rows == 0)
        return ml_value_none(v, ONE_CLASS);
    place = psi ? ml_malloc((m->s.n + 1) * sizeof *place) : NULL;
    v->ok = true;
    v->value = ml_rank_area(&r, place);
    v->n = r.pos_rows < r.neg_rows ? r.pos_rows : r.neg_rows;
    if (psi) {
        memset(psi, 0, m->s.n * sizeof *psi);
        ml_rank_add_area_psi(&r, v->value, place, 1, delong, psi);
    }
    free(place);
    return true;
}

/* What average precision needs of one tie group: rows with a score at least as high, and the precision there. */
struct cut {
    double above, precision;
};

/* Fills cuts (ascending, one a tie group, room for n) from the top down, where small sums keep their digits. */
static size_t precision_cuts(const struct ranking *r, struct cut *cuts)
{
    size_t groups = 0;
    double pos, neg, above = 0, hits = 0;

    for (size_t at = 0; at < r->s->n;) {
        at = ml_rank_tie_group(r, at, &pos, &neg);
        cuts[groups++] = (struct cut){ pos + neg, pos };
    }
    for (size_t g = groups; g-- > 0;) {
        above += cuts[g].above;
        hits += cuts[g].precision;
        cuts[g] = (struct cut){ above, above > 0 ? hits / above : 0 };
    }
    return groups;
}

/* Jaeckel's infinitesimal jackknife of sum over positives of precision: psi_i = (W/W1) [y_i (prec_i - AP) +
 * sum_{j positive, s_j <= s_i} w_j (y_i - prec_j) / N_j]. */
static void precision_psi(const struct ranking *r, const struct cut *cuts, double value, double *psi)
{
    double scale = (r->pos + r->neg) / r->pos, inverse = 0, loss = 0, pos, neg;

    for (size_t at = 0, end, g = 0; at < r->s->n; at = end, g++) {
        end = ml_rank_tie_group(r, at, &pos, &neg);
        if (cuts[g].above > 0) {
            inverse += pos / cuts[g].above;
            loss += pos * cuts[g].precision / cuts[g].above;
        }
        for (size_t i = at; i < end; i++) {
            bool y = r->mark[i] & ML_MARK_POS;

            psi[r->order[i]] = scale * (y ? cuts[g].precision - value + inverse - loss : -loss);
        }
    }
}

double ml_rank_precision(const struct ranking *r, double *psi)
{
    struct cut *cuts = ml_malloc((r->s->n + 1) * sizeof *cuts);
    struct ml_sum sum = { 0, 0 };
    double pos, neg, value;

    precision_cuts(r, cuts);
    for (size_t at = 0, g = 0; at < r->s->n; g++) {
        at = ml_rank_tie_group(r, at, &pos, &neg);
        ml_sum_add(&sum, pos * cuts[g].precision);
    }
    value = fmin(ml_sum_value(&sum) / r->pos, 1);
    if (psi)
        precision_psi(r, cuts, value, psi);
    free(cuts);
    return value;
}

/* Positives that K of R rows, themselves included, score at least as high as have the precision K/R. Without one of
 * these it is (K - 1) / (R - 1), and each that is left loses (R - K) / (R (R - 1)); without a negative K / (R - 1), and
 * each gets K / (R (R - 1)). */
double ml_rank_precision_without(const struct ranking *r, double *lost)
{
    struct cut *cuts = ml_malloc((r->s->n + 1) * sizeof *cuts);
    struct ml_sum sum = { 0, 0 };
    double pos, neg, below = 0, given = 0;

    precision_cuts(r, cuts);
    for (size_t at = 0, end, g = 0; at < r->s->n; at = end, g++) {
        double above = cuts[g].above, precision = cuts[g].precision, others = fmax(above - 1, 1);

        end = ml_rank_tie_group(r, at, &pos, &neg);
        ml_sum_add(&sum, pos * precision);
        below += pos * (1 - precision) / others;
        given += above > 1 ? pos * precision / others : 0;
        for (size_t i = at; i < end; i++) {
            lost[r->order[i]] =
                r->mark[i] & ML_MARK_POS ? below + ml_rank_precision_own(r->pos, precision, above) : -given;
        }
    }
    free(cuts);
    return fmin(ml_sum_value(&sum) / r->pos, 1);
}

void ml_rank_add_without(const struct ranking *r, double value, const double *lost, double share, double *psi)
{
    double pos = share * (r->pos + r->neg - 1) / fmax(r->pos - 1, 1), neg = share * (r->pos + r->neg - 1) / r->pos;

    for (size_t i = 0; i < r->s->n; i++)
        psi[i] += is_pos(r, i) ? pos * (lost[i] - value) : neg * lost[i];
}

double ml_rank_centre(double *psi, size_t n)
{
    struct ml_sum sum = { 0, 0 };
    double mean;

    for (size_t i = 0; i < n; i++)
        ml_sum_add(&sum, psi[i]);
    mean = ml_sum_value(&sum) / (double)n;
    for (size_t i = 0; i < n; i++)
        psi[i] -= mean;
    return -mean;
}

static bool precision_value(
    struct ml_measure *m, const struct weighting *by, bool without, struct ml_value *v, double *psi)
{
    struct ranking r = ml_rank_binary(m, by);
    double *lost;

    if (r.pos_rows == 0)
        return ml_value_none(v, "no row is labelled positive");
    v->ok = true;
    v->n = r.pos_rows;
    if (!psi || !without) {
        v->value = ml_rank_precision(&r, psi);
        return true;
    }
    lost = ml_malloc((m->s.n + 1) * sizeof *lost);
    v->value = ml_rank_precision_without(&r, lost);
    memset(psi, 0, m->s.n * sizeof *psi);
    ml_rank_add_without(&r, v->value, lost, 1, psi);
    v->bias = ml_rank_centre(psi, m->s.n);
    free(lost);
    return true;
}

bool ml_rank_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi)
{
    bool many = m->s.task == ML_TASK_MULTICLASS;

    switch (metric->id) {
    case ML_METRIC_ROC_AUC:
        return many ? ml_rank_ovr(m, metric, by, delong, v, psi) : area_value(m, by, delong, v, psi);
    case ML_METRIC_ROC_AUC_OVO:
        return ml_rank_ovo(m, metric, by, delong, v, psi);
    case ML_METRIC_AVERAGE_PRECISION:
        return many ? ml_rank_ovr(m, metric, by, delong, v, psi) : precision_value(m, by, delong, v, psi);
    case ML_METRIC_GINI:
        if (!area_value(m, by, delong, v, psi))
            return false;
        v->value = 2 * v->value - 1;
        for (size_t i = 0; psi && i < m->s.n; i++)
            psi[i] *= 2;
        return true;
    case ML_METRIC_KS:
        return ml_rank_ks(m, by, v, psi, NULL);
    default:
        return ml_rank_top(m, metric, by, v, psi, NULL);
    }
}

void ml_rank_rows(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    struct weighting by = { m->s.weight, NULL };
    struct ml_value v;
    struct ranking r;

    if (m->s.task == ML_TASK_MULTICLASS) {
        ml_rank_ovr_places(m, &by, out);
    } else if (metric->id == ML_METRIC_KS) {
        ml_rank_ks(m, &by, &v, NULL, out);
    } else if (ml_metric_top(metric)) {
        ml_rank_top(m, metric, &by, &v, NULL, out);
    } else {
        r = ml_rank_binary(m, &by);
        if (r.pos_rows > 0 && r.neg_rows > 0)
            ml_rank_area(&r, out);
    }
}
