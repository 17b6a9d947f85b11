/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of order: the area under the ROC curve by placement values, and average precision, ties grouped. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/sum.h"

/* One class against the rest on sorted scores. */
struct ranking {
    const struct ml_sample *s;
    const struct weighting *by;
    const uint32_t *order;
    const unsigned char *mark; /* what stands at each place of the order, below */
    const double *score;       /* of row i: score[i * stride] */
    size_t stride;
    int32_t k;
    size_t pos_rows, neg_rows;
    double pos, neg; /* sums of weights */
};

static bool is_pos(const struct ranking *r, size_t row)
{
    return r->s->label[row] == r->k;
}

/* Sorted rows are looked at often, and each look at a row itself would be a cache miss. */
static void mark_rows(const struct ranking *r, unsigned char *mark)
{
    double score = r->s->n ? r->score[r->order[0] * r->stride] : 0;

    for (size_t i = 0; i < r->s->n; i++) {
        double next = i + 1 < r->s->n ? r->score[r->order[i + 1] * r->stride] : NAN;

        mark[i] = (unsigned char)((is_pos(r, r->order[i]) ? ML_MARK_POS : 0) | (score == next ? 0 : ML_MARK_LAST));
        score = next;
    }
}

/* End of the tie group that starts at `at`, with the weights of its positives and negatives. */
static size_t tie_group(const struct ranking *r, size_t at, double *pos, double *neg)
{
    *pos = *neg = 0;
    for (bool last = false; !last; at++) {
        double w = r->by->w ? r->by->w[r->order[at]] : 1;

        *(r->mark[at] & ML_MARK_POS ? pos : neg) += w;
        last = r->mark[at] & ML_MARK_LAST;
    }
    return at;
}

static void count_sides(struct ranking *r)
{
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
static double auc_of(const struct ranking *r, double *place)
{
    struct ml_sum area = { 0, 0 };
    double below_pos = 0, below_neg = 0, pos, neg;

    for (size_t at = 0, end; at < r->s->n; at = end) {
        double v10, v01;

        end = tie_group(r, at, &pos, &neg);
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

/* Adds share * psi: (V10 - A) / pi_1 for positives, (V01 - A) / pi_0 for negatives; `delong` as in the header. */
static void add_auc_psi(
    const struct ranking *r, double area, const double *place, double share, bool delong, double *psi)
{
    double m = (double)r->pos_rows, k = (double)r->neg_rows, total = r->pos + r->neg;
    double pos = share * total / r->pos * (delong && m > 1 ? sqrt(m / (m - 1)) : 1);
    double neg = share * total / r->neg * (delong && k > 1 ? sqrt(k / (k - 1)) : 1);

    for (size_t i = 0; i < r->s->n; i++)
        psi[i] += (place[i] - area) * (is_pos(r, i) ? pos : neg);
}

static bool auc_binary(
    struct ml_measure *m, struct ranking *r, bool delong, struct ml_value *v, double *psi, double *place)
{
    double *own = psi && !place ? ml_malloc((m->s.n + 1) * sizeof *own) : place;

    v->value = auc_of(r, own);
    v->n = r->pos_rows < r->neg_rows ? r->pos_rows : r->neg_rows;
    if (psi) {
        memset(psi, 0, m->s.n * sizeof *psi);
        add_auc_psi(r, v->value, own, 1, delong, psi);
    }
    if (own != place)
        free(own);
    return true;
}

/* Mean over the classes present of each class against the rest (Provost & Domingos 2000 without their class weights, as
 * scikit-learn's multi_class="ovr", average="macro"). */
static bool auc_ovr(
    struct ml_measure *m, const struct weighting *by, bool delong, struct ml_value *v, double *psi, double *place)
{
    const struct ml_sample *s = &m->s;
    size_t n = s->n, smallest = n;
    uint32_t *order = ml_malloc((n + 1) * sizeof *order);
    unsigned char *mark = ml_malloc(n + 1);
    double *own = ml_malloc((n + 1) * sizeof *own), sum = 0;
    double *present = ml_calloc((size_t)s->classes + 1, sizeof *present);

    v->classes = 0;
    for (size_t i = 0; i < n; i++)
        if (weight_of(by, i) > 0)
            present[s->label[i]]++;
    for (int32_t k = 0; k < s->classes; k++)
        v->classes += present[k] > 0;
    if (psi)
        memset(psi, 0, n * sizeof *psi);
    if (place)
        memset(place, 0, n * sizeof *place);
    for (int32_t k = 0; k < s->classes && v->classes > 1; k++) {
        struct ranking r = { s, by, order, mark, s->score + k, (size_t)s->classes, k, 0, 0, 0, 0 };
        double area;

        if (!(present[k] > 0))
            continue;
        ml_order(r.score, r.stride, n, order);
        mark_rows(&r, mark);
        count_sides(&r);
        area = auc_of(&r, psi || place ? own : NULL);
        sum += area;
        smallest = r.pos_rows < smallest ? r.pos_rows : smallest;
        smallest = r.neg_rows < smallest ? r.neg_rows : smallest;
        if (psi)
            add_auc_psi(&r, area, own, 1.0 / v->classes, delong, psi);
        for (size_t i = 0; place && i < n; i++)
            place[i] += own[i];
    }
    v->value = v->classes > 1 ? fmin(sum / v->classes, 1) : 0;
    v->n = smallest;
    free(order);
    free(mark);
    free(own);
    free(present);
    return v->classes > 1 || ml_value_none(v, "the labels are of one class only");
}

void ml_rank_sort(struct ml_measure *m)
{
    struct ranking r = { &m->s, NULL, ml_measure_order(m), NULL, m->s.score, 1, m->s.positive, 0, 0, 0, 0 };

    if (m->mark)
        return;
    m->mark = ml_malloc(m->s.n + 1);
    mark_rows(&r, m->mark);
}

/* The order of a binary sample's scores, kept for the next metric. */
static void sort_rows(struct ml_measure *m, struct ranking *r)
{
    ml_rank_sort(m);
    r->order = m->order;
    r->mark = m->mark;
}

bool ml_rank_auc(
    struct ml_measure *m, const struct weighting *by, bool delong, struct ml_value *v, double *psi, double *place)
{
    struct ranking r = { &m->s, by, NULL, NULL, m->s.score, 1, m->s.positive, 0, 0, 0, 0 };

    v->ok = true;
    if (m->s.task == ML_TASK_MULTICLASS)
        return auc_ovr(m, by, delong, v, psi, place);
    count_sides(&r);
    if (r.pos_rows == 0 || r.neg_rows == 0)
        return ml_value_none(v, "the labels are of one class only");
    sort_rows(m, &r);
    return auc_binary(m, &r, delong, v, psi, place);
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

    for (size_t at = 0; at < r->s->n; at = tie_group(r, at, &pos, &neg)) {
        tie_group(r, at, &pos, &neg);
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
static void ap_psi(const struct ranking *r, const struct cut *cuts, double value, double *psi)
{
    double scale = (r->pos + r->neg) / r->pos, inverse = 0, loss = 0, pos, neg;

    for (size_t at = 0, end, g = 0; at < r->s->n; at = end, g++) {
        end = tie_group(r, at, &pos, &neg);
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

bool ml_rank_ap(struct ml_measure *m, const struct weighting *by, struct ml_value *v, double *psi)
{
    struct ranking r = { &m->s, by, NULL, NULL, m->s.score, 1, m->s.positive, 0, 0, 0, 0 };
    struct ml_sum sum = { 0, 0 };
    struct cut *cuts;
    double pos, neg;

    count_sides(&r);
    if (r.pos_rows == 0)
        return ml_value_none(v, "no row is labelled positive");
    sort_rows(m, &r);
    cuts = ml_malloc((m->s.n + 1) * sizeof *cuts);
    precision_cuts(&r, cuts);
    for (size_t at = 0, g = 0; at < m->s.n; g++) {
        at = tie_group(&r, at, &pos, &neg);
        ml_sum_add(&sum, pos * cuts[g].precision);
    }
    v->ok = true;
    v->value = fmin(ml_sum_value(&sum) / r.pos, 1);
    v->n = r.pos_rows;
    if (psi)
        ap_psi(&r, cuts, v->value, psi);
    free(cuts);
    return true;
}
