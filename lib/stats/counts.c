/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics that follow from three counts per class: how often it was true, predicted, and both. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"

struct class_counts *ml_counts_new(const struct ml_sample *s, const struct weighting *by)
{
    struct class_counts *c = ml_calloc(1, sizeof *c);
    size_t k = (size_t)s->classes;

    c->k = s->classes;
    c->truth = ml_calloc(3 * k + 1, sizeof(double));
    c->pred = c->truth + k;
    c->hit = c->pred + k;
    for (size_t i = 0; i < s->n; i++) {
        double w = weight_of(by, i);
        int32_t y = s->label[i], p = s->pred[i];

        c->truth[y] += w;
        c->pred[p] += w;
        if (y == p)
            c->hit[y] += w;
    }
    for (size_t j = 0; j < k; j++)
        c->total += c->truth[j];
    return c;
}

void ml_counts_free(struct class_counts *c)
{
    if (c)
        free(c->truth);
    free(c);
}

/* One class's precision, recall or F1 as hit/denominator. F1 = 2 hit / (truth + pred). 0/0 is 0 (zero_division). */
struct ratio {
    double value, denominator;
    double hit_gain;  /* 1, or 2 for F1 */
    bool truth, pred; /* which counts the denominator is made of */
};

static struct ratio ratio_of(enum ml_metric_id id, const struct class_counts *c, int32_t k)
{
    struct ratio r = { 0, 0, 1, id != ML_METRIC_PRECISION,
        id != ML_METRIC_RECALL && id != ML_METRIC_BALANCED_ACCURACY };

    r.hit_gain = r.truth && r.pred ? 2 : 1;
    r.denominator = (r.truth ? c->truth[k] : 0) + (r.pred ? c->pred[k] : 0);
    r.value = r.denominator > 0 ? r.hit_gain * c->hit[k] / r.denominator : 0;
    return r;
}

/* Adds share * psi_k, psi_k = (hit_gain 1[hit] - value (1[label] + 1[pred])) / (denominator / W). */
static void add_ratio_psi(struct cell_psi *cell, const struct ratio *r, double share, double total, int32_t k)
{
    double scale;

    if (!cell || r->denominator <= 0)
        return;
    scale = share * total / r->denominator;
    cell->d[k] += r->hit_gain * scale;
    if (r->truth)
        cell->a[k] -= r->value * scale;
    if (r->pred)
        cell->b[k] -= r->value * scale;
}

static bool averaged(const struct ml_metric *metric, const struct class_counts *c, int32_t k)
{
    if (metric->id == ML_METRIC_BALANCED_ACCURACY)
        return c->truth[k] > 0;
    return c->truth[k] > 0 || c->pred[k] > 0;
}

static double macro(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    double sum = 0, classes = 0;

    for (int32_t k = 0; k < c->k; k++)
        classes += averaged(metric, c, k);
    for (int32_t k = 0; k < c->k; k++) {
        struct ratio r = ratio_of(metric->id, c, k);

        if (!averaged(metric, c, k))
            continue;
        sum += r.value;
        add_ratio_psi(cell, &r, 1 / classes, c->total, k);
    }
    return sum / classes;
}

static double weighted(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    double sum = 0;

    for (int32_t k = 0; k < c->k; k++) {
        struct ratio r = ratio_of(metric->id, c, k);
        double share = c->truth[k] / c->total;

        sum += c->truth[k] * r.value;
        add_ratio_psi(cell, &r, share, c->total, k);
        if (cell) {
            cell->a[k] += r.value;
            cell->c -= r.value * share;
        }
    }
    return sum / c->total;
}

static double accuracy(const struct class_counts *c, struct cell_psi *cell)
{
    double hits = 0, value;

    for (int32_t k = 0; k < c->k; k++)
        hits += c->hit[k];
    value = hits / c->total;
    if (cell) {
        cell->c = -value;
        for (int32_t k = 0; k < c->k; k++)
            cell->d[k] = 1;
    }
    return value;
}

/* Gorodkin's R_K (2004, Comput. Biol. Chem. 28, 367, eq. 8), of which the binary coefficient is the case K = 2: X /
 * sqrt(Y Z) with X = hits - sum t p, Y = 1 - sum p^2, Z = 1 - sum t^2 in shares. */
static double mcc(const struct class_counts *c, struct cell_psi *cell)
{
    double w = c->total, hits = 0, tp = 0, pp = 0, tt = 0, root, value;
    int32_t trues = 0, preds = 0;

    for (int32_t k = 0; k < c->k; k++) {
        double t = c->truth[k] / w, p = c->pred[k] / w;

        hits += c->hit[k] / w;
        tp += t * p;
        pp += p * p;
        tt += t * t;
        trues += t > 0;
        preds += p > 0;
    }
    if (trues < 2 || preds < 2 || !((1 - pp) * (1 - tt) > 0))
        return 0;
    root = sqrt((1 - pp) * (1 - tt));
    value = (hits - tp) / root;
    if (!cell)
        return fmin(fmax(value, -1), 1);
    cell->c = (2 * tp - hits) / root - value * (pp / (1 - pp) + tt / (1 - tt));
    for (int32_t k = 0; k < c->k; k++) {
        double t = c->truth[k] / w, p = c->pred[k] / w;

        cell->d[k] = 1 / root;
        cell->a[k] = -p / root + value * t / (1 - tt);
        cell->b[k] = -t / root + value * p / (1 - pp);
    }
    return fmin(fmax(value, -1), 1);
}

bool ml_counts_value(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell)
{
    struct ratio r;

    if (!(c->total > 0))
        return ml_value_none(v, "no rows");
    v->ok = true;
    if (metric->id == ML_METRIC_ACCURACY || metric->average == ML_AVERAGE_MICRO) {
        v->value = accuracy(c, cell);
    } else if (metric->id == ML_METRIC_MCC) {
        v->value = mcc(c, cell);
    } else if (metric->average == ML_AVERAGE_WEIGHTED) {
        v->value = weighted(metric, c, cell);
    } else if (metric->average == ML_AVERAGE_BINARY) {
        if (s->positive < 0 || s->positive >= c->k || !(c->truth[s->positive] > 0))
            return ml_value_none(v, "no row is labelled positive");
        r = ratio_of(metric->id, c, s->positive);
        v->value = r.value;
        add_ratio_psi(cell, &r, 1, c->total, s->positive);
    } else {
        v->value = macro(metric, c, cell);
    }
    return true;
}

size_t ml_counts_rows(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *rows)
{
    if (metric->average != ML_AVERAGE_BINARY)
        return s->n;
    if (s->positive < 0 || s->positive >= rows->k)
        return 0;
    if (metric->id == ML_METRIC_PRECISION)
        return (size_t)rows->pred[s->positive];
    if (metric->id == ML_METRIC_RECALL)
        return (size_t)rows->truth[s->positive];
    return (size_t)(rows->truth[s->positive] + rows->pred[s->positive] - rows->hit[s->positive]);
}

size_t ml_counts_smallest(const struct ml_metric *metric, const struct class_counts *rows, size_t *classes)
{
    double least = INFINITY;

    *classes = 0;
    for (int32_t k = 0; k < rows->k; k++) {
        double n = metric->id == ML_METRIC_PRECISION ? rows->pred[k] : rows->truth[k];

        if (!averaged(metric, rows, k))
            continue;
        ++*classes;
        if (metric->id == ML_METRIC_F1)
            n += rows->pred[k] - rows->hit[k];
        least = fmin(least, n);
    }
    return (size_t)least;
}

bool ml_counts_within(const struct ml_sample *s, const struct ml_metric *metric, size_t i)
{
    bool truth, pred;

    if (metric->average != ML_AVERAGE_BINARY)
        return true;
    truth = s->label[i] == s->positive;
    pred = s->pred[i] == s->positive;
    return metric->id == ML_METRIC_PRECISION ? pred : metric->id == ML_METRIC_RECALL ? truth : truth || pred;
}
