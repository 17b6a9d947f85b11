/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics of one cut through the order of the scores: the largest gap between the rates, and what the top rows hold. */
#include <math.h>

#include "stats/rank_impl.h"

#define EQUAL 1e-12

struct gap {
    double largest, pos, neg; /* weights of both classes below the cut */
    size_t cut;
};

/* Of equal gaps the first counts, whatever weights rounded to. */
static void largest_gap(const struct ranking *r, struct gap *g)
{
    double below_pos = 0, below_neg = 0, pos, neg, first = 0;

    *g = (struct gap){ 0, r->pos, r->neg, r->s->n };
    for (size_t at = 0; at < r->s->n;) {
        double gap;

        at = ml_rank_tie_group(r, at, &pos, &neg);
        below_pos += pos;
        below_neg += neg;
        gap = below_neg / r->neg - below_pos / r->pos;
        g->largest = fmax(g->largest, gap);
        if (gap > first + EQUAL) {
            *g = (struct gap){ gap, below_pos, below_neg, at };
            first = gap;
        }
    }
}

size_t ml_rank_ks_cut(struct ml_measure *m)
{
    struct weighting by = { m->s.weight, NULL };
    struct ranking r = ml_rank_binary(m, &by);
    struct gap g;

    largest_gap(&r, &g);
    return g.cut;
}

/* The largest TPR - FPR over all thresholds, 0 at least: Smirnov's one-sided D+ of the two classes' scores. Its
 * influence is that of the two rates at the threshold, which the largest one's own move doesn't change (Danskin). */
bool ml_rank_ks(struct ml_measure *m, const struct weighting *by, struct ml_value *v, double *psi, double *rows)
{
    struct ranking r = ml_rank_binary(m, by);
    struct gap gap;
    double tpr, fpr;
    size_t cut;

    if (r.pos_rows == 0 || r.neg_rows == 0)
        return ml_value_none(v, "the labels are of one class only");
    largest_gap(&r, &gap);
    tpr = 1 - gap.pos / r.pos;
    fpr = 1 - gap.neg / r.neg;
    cut = gap.cut;
    v->ok = true;
    v->value = fmin(gap.largest, 1);
    v->n = r.pos_rows < r.neg_rows ? r.pos_rows : r.neg_rows;
    for (size_t i = 0; i < m->s.n; i++) {
        double above = i >= cut, total = r.pos + r.neg;

        if (rows)
            rows[r.order[i]] = above;
        if (psi)
            psi[r.order[i]] = r.mark[i] & ML_MARK_POS ? (above - tpr) * total / r.pos : -(above - fpr) * total / r.neg;
    }
    return true;
}

/* The cut behind the rows of highest score that make up `share` of the weight. */
struct top {
    double share;
    size_t from, to; /* places of the tie group that is cut */
    double part;     /* of that group that is above */
    double hits;     /* weight of the positives above, of the cut group that part */
};

static void find_cut(const struct ranking *r, double capacity, struct top *t)
{
    double above = 0, hits = 0, group = 0, pos = 0;
    size_t at = r->s->n, from = at;

    while (at > 0) {
        from = at;
        group = pos = 0;
        do {
            double w = weight_of(r->by, r->order[--from]);

            group += w;
            pos += r->mark[from] & ML_MARK_POS ? w : 0;
        } while (from > 0 && !(r->mark[from - 1] & ML_MARK_LAST));
        if (above + group >= capacity * (1 - 1e-14) || from == 0)
            break;
        above += group;
        hits += pos;
        at = from;
    }
    t->from = from;
    t->to = at;
    t->part = group > 0 ? fmin((capacity - above) / group, 1) : 0;
    t->hits = hits + t->part * pos;
}

/* Weight of the rows at places from..to-1, and of the positives among them, each counted by `share`. */
static void add_places(const struct ranking *r, size_t from, size_t to, double share, double *sum, double *hits)
{
    for (size_t i = from; i < to; i++) {
        double w = share * weight_of(r->by, r->order[i]);

        *sum += w;
        *hits += r->mark[i] & ML_MARK_POS ? w : 0;
    }
}

/* A row's pull on the cut is the share of positives there, of which the group that is cut tells little where it is one
 * row; the sqrt(n) rows on either side are asked, too. Of a tie group that is longer each row counts in part: which of
 * them come first is chance. */
static double precision_around(const struct ranking *r, const struct top *t)
{
    size_t n = r->s->n, h = (size_t)sqrt((double)n), from = t->from, to = t->to, other;
    double sum = 0, hits = 0;

    add_places(r, from, to, 1, &sum, &hits);
    if (to - from > 2 * h)
        h = 0;
    for (size_t left = h; left > 0 && from > 0; from = other) {
        for (other = from - 1; other > 0 && !(r->mark[other - 1] & ML_MARK_LAST);)
            other--;
        size_t take = left < from - other ? left : from - other;
        add_places(r, other, from, (double)take / (double)(from - other), &sum, &hits);
        left -= take;
    }
    for (size_t left = h; left > 0 && to < n; to = other) {
        for (other = to + 1; !(r->mark[other - 1] & ML_MARK_LAST);)
            other++;
        size_t take = left < other - to ? left : other - to;
        add_places(r, to, other, (double)take / (double)(other - to), &sum, &hits);
        left -= take;
    }
    return sum > 0 ? hits / sum : 0;
}

/* With H the weight of the positives above the cut, q the share and p the precision around it: W dH/dw_i / W =
 * a_i (y_i - p) + q p, a_i the part of row i above. Precision is H / (q W), recall H / W1, lift recall / q. */
bool ml_rank_top(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v,
    double *psi, double *rows)
{
    struct ranking r = ml_rank_binary(m, by);
    double n = (double)m->s.n, total = r.pos + r.neg, p, scale, own;
    struct top t = { .share = ml_metric_share(metric, m->s.n) };

    if (t.share > 1)
        return ml_value_none(v, "fewer rows than k");
    if (r.pos_rows == 0)
        return ml_value_none(v, "no row is labelled positive");
    find_cut(&r, t.share * total, &t);
    v->ok = true;
    v->n = metric->id == ML_METRIC_PRECISION_AT ? (size_t)ceil(t.share * n - 1e-6) : r.pos_rows;
    scale = metric->id == ML_METRIC_PRECISION_AT ? 1 / t.share
            : metric->id == ML_METRIC_RECALL_AT  ? total / r.pos
                                                 : total / r.pos / t.share;
    v->value = fmin(t.hits / total * scale, metric->id == ML_METRIC_LIFT_AT ? 1 / t.share : 1);
    p = psi ? precision_around(&r, &t) : 0;
    for (size_t i = 0; i < m->s.n && (rows || psi); i++) {
        double part = i < t.from ? 0 : i >= t.to ? 1 : t.part, y = r.mark[i] & ML_MARK_POS ? 1 : 0;

        if (rows)
            rows[r.order[i]] = part;
        own = metric->id == ML_METRIC_PRECISION_AT ? v->value : v->value * y * total / r.pos;
        if (psi)
            psi[r.order[i]] = scale * (part * (y - p) + t.share * p) - own;
    }
    return true;
}
