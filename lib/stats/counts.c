/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics that follow from three counts per class: how often it was true, predicted, and both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

struct class_counts *ml_counts_none(int32_t classes)
{
    struct class_counts *c = ml_calloc(1, sizeof *c);
    size_t k = (size_t)classes;

    c->k = classes;
    c->truth = ml_calloc(5 * k + 1, sizeof(double));
    c->pred = c->truth + k;
    c->hit = c->pred + k;
    c->alarm = c->hit + k;
    c->others = c->alarm + k;
    return c;
}

/* out[k] = sum over the other classes j of counts[j] |k - j|^power / total, in two passes; nothing is subtracted. */
static void expected_distance(const double *counts, double total, int32_t n, int power, double *out)
{
    for (int side = 0; side < 2; side++) {
        double sum = 0, one = 0, two = 0; /* of the classes passed: counts, and with the distance and its square */

        for (int32_t i = 0; i < n; i++) {
            int32_t k = side ? n - 1 - i : i;

            two += 2 * one + sum;
            one += sum;
            out[k] = (side ? out[k] : 0) + (power == 2 ? two : power == 1 ? one : sum) / total;
            sum += counts[k];
        }
    }
}

void ml_counts_others(struct class_counts *c)
{
    expected_distance(c->truth, 1, c->k, 0, c->others);
}

struct class_counts *ml_counts_new(const struct ml_sample *s, const struct weighting *by)
{
    struct class_counts *c = ml_counts_none(s->classes);

    c->by = *by;
    for (size_t i = 0; i < s->n; i++) {
        double w = weight_of(by, i);
        int32_t y = s->label[i], p = s->pred[i];

        c->truth[y] += w;
        c->pred[p] += w;
        if (y == p)
            c->hit[y] += w;
        else
            c->alarm[p] += w;
    }
    for (int32_t j = 0; j < c->k; j++)
        c->total += c->truth[j];
    ml_counts_others(c);
    return c;
}

struct class_counts *ml_counts_of_cells(int32_t k, const uint64_t *cells)
{
    struct class_counts *c = ml_counts_none(k);

    for (int32_t y = 0; y < k; y++) {
        for (int32_t p = 0; p < k; p++) {
            c->truth[y] += (double)cells[(size_t)y * (size_t)k + (size_t)p];
            c->pred[p] += (double)cells[(size_t)y * (size_t)k + (size_t)p];
        }
        c->hit[y] = (double)cells[(size_t)y * (size_t)k + (size_t)y];
        c->total += c->truth[y];
    }
    for (int32_t y = 0; y < k; y++) {
        c->alarm[y] = c->pred[y] - c->hit[y];
        c->others[y] = c->total - c->truth[y];
    }
    return c;
}

void ml_counts_free(struct class_counts *c)
{
    if (c)
        free(c->truth);
    free(c);
}

/* Jaccard 1901; F-beta: van Rijsbergen 1979, Information Retrieval, ch. 7: (1 + b^2) hit / (b^2 truth + pred). */
static struct class_ratio shape_of(const struct ml_metric *metric)
{
    double b = metric->id == ML_METRIC_FBETA ? metric->x * metric->x : 1;

    switch (metric->id) {
    case ML_METRIC_PRECISION:
        return (struct class_ratio){ .gain = 1, .pred = 1 };
    case ML_METRIC_JACCARD:
        return (struct class_ratio){ .gain = 1, .truth = 1, .pred = 1, .both = -1 };
    case ML_METRIC_F1:
    case ML_METRIC_FBETA:
        if (isfinite(b))
            return (struct class_ratio){ .gain = 1 + b, .truth = b, .pred = 1 };
        return (struct class_ratio){ .gain = 1, .truth = 1 };
    default: /* recall, and their mean */
        return (struct class_ratio){ .gain = 1, .truth = 1 };
    }
}

struct class_ratio ml_ratio(const struct ml_metric *metric, double truth, double pred, double hit)
{
    struct class_ratio r = shape_of(metric);

    r.denominator = r.truth * truth + r.pred * pred + r.both * hit;
    r.value = r.denominator > 0 ? fmin(r.gain * hit / r.denominator, 1) : 0;
    return r;
}

struct class_ratio ml_counts_ratio(const struct ml_metric *metric, const struct class_counts *c, int32_t k)
{
    struct class_ratio r = ml_ratio(metric, c->truth[k], c->pred[k], c->hit[k]);

    if (metric->id != ML_METRIC_SPECIFICITY)
        return r;
    r.negatives = true;
    r.denominator = c->others[k];
    r.value = r.denominator > 0 ? fmax(r.denominator - c->alarm[k], 0) / r.denominator : 0;
    return r;
}

/* Adds share * psi_k, psi_k = (what the row adds to the numerator - value * what it adds to the denominator) /
 * (denominator / W). */
static void add_ratio_psi(struct cell_psi *cell, const struct class_ratio *r, double share, double total, int32_t k)
{
    double scale;

    if (!cell || r->denominator <= 0)
        return;
    scale = share * total / r->denominator;
    if (r->negatives) { /* no label: 1 - value, less 1 with the prediction; share_negatives does the rest */
        cell->a[k] = (1 - r->value) * scale;
        cell->b[k] = -scale;
        cell->d[k] = scale;
        return;
    }
    cell->d[k] += (r->gain - r->value * r->both) * scale;
    cell->a[k] -= r->value * r->truth * scale;
    cell->b[k] -= r->value * r->pred * scale;
}

void ml_counts_share_negatives(struct cell_psi *cell, int32_t k)
{
    double *own = ml_malloc(((size_t)k + 1) * sizeof *own);

    memcpy(own, cell->a, (size_t)k * sizeof *own);
    expected_distance(own, 1, k, 0, cell->a);
    free(own);
}

bool ml_counts_averaged(const struct ml_metric *metric, const struct class_counts *c, int32_t k)
{
    if (c->every)
        return true;
    if (metric->id == ML_METRIC_BALANCED_ACCURACY)
        return c->truth[k] > 0;
    return c->truth[k] > 0 || c->pred[k] > 0;
}

static double macro(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    double sum = 0, classes = 0;

    for (int32_t k = 0; k < c->k; k++)
        classes += ml_counts_averaged(metric, c, k);
    for (int32_t k = 0; k < c->k; k++) {
        struct class_ratio r = ml_counts_ratio(metric, c, k);

        if (!ml_counts_averaged(metric, c, k))
            continue;
        sum += r.value;
        add_ratio_psi(cell, &r, 1 / classes, c->total, k);
    }
    if (cell && metric->id == ML_METRIC_SPECIFICITY)
        ml_counts_share_negatives(cell, c->k);
    return sum / classes;
}

static double weighted(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    double sum = 0;

    for (int32_t k = 0; k < c->k; k++) {
        struct class_ratio r = ml_counts_ratio(metric, c, k);
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

/* The share of right rows, or a function f of it whose slope is `slope`. */
static double accuracy(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    double hits = 0, misses = 0, share, value, slope = 1;

    for (int32_t k = 0; k < c->k; k++) {
        hits += c->hit[k];
        misses += c->alarm[k];
    }
    share = value = hits / c->total;
    if (metric->id == ML_METRIC_HAMMING_LOSS) {
        value = fmin(misses / c->total, 1);
        slope = -1;
    } else if (metric->id == ML_METRIC_JACCARD) { /* of all classes together: hits / (2 rows - hits) */
        value = share / (2 - share);
        slope = 2 / ((2 - share) * (2 - share));
    }
    if (cell && misses < hits) { /* the smaller share of both is known to its last digit */
        cell->c = misses / c->total * slope;
        cell->far = -slope;
        cell->power = 0;
    } else if (cell) {
        cell->c = -share * slope;
        for (int32_t k = 0; k < c->k; k++)
            cell->d[k] = slope;
    }
    return value;
}

/* Weighted mean of |label - prediction|^power over the wrong rows. */
static double observed_distance(const struct ml_sample *s, const struct class_counts *c, int power)
{
    struct ml_sum sum = { 0, 0 };

    for (size_t i = 0; i < s->n; i++)
        if (s->label[i] != s->pred[i])
            ml_sum_add(&sum, weight_of(&c->by, i) * cell_distance(s->label[i], s->pred[i], power));
    return ml_sum_value(&sum) / c->total;
}

/* Cohen 1960, Educ. Psychol. Meas. 20, 37; weighted: 1968, Psychol. Bull. 70, 213: 1 - D/E, D the mean disagreement of
 * the rows and E that of independent raters with the same margins. The distance of two classes is 1, or their distance
 * in the order of the classes, or its square. psi = (D - d + (D/E) (e - 2E)) / E, d and e the row's. */
static bool kappa(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell)
{
    int power = metric->id == ML_METRIC_KAPPA_LINEAR ? 1 : metric->id == ML_METRIC_KAPPA_QUADRATIC ? 2 : 0;
    size_t k = (size_t)c->k;
    double *from_pred = ml_malloc((2 * k + 1) * sizeof *from_pred), *from_truth = from_pred + k;
    double seen = observed_distance(s, c, power), chance = 0;

    expected_distance(c->pred, c->total, c->k, power, from_pred);
    expected_distance(c->truth, c->total, c->k, power, from_truth);
    for (size_t j = 0; j < k; j++)
        chance += c->truth[j] / c->total * from_pred[j];
    if (!(chance > 0)) {
        free(from_pred);
        return ml_value_none(v, "all labels and predictions are of one class");
    }
    v->value = fmax(1 - seen / chance, -1);
    if (cell) {
        cell->c = -seen / chance;
        cell->far = -1 / chance;
        cell->power = power;
        for (size_t j = 0; j < k; j++) {
            cell->a[j] = seen / chance * from_pred[j] / chance;
            cell->b[j] = seen / chance * from_truth[j] / chance;
        }
    }
    free(from_pred);
    return true;
}

/* Gorodkin's R_K (2004, Comput. Biol. Chem. 28, 367, eq. 8), of which the binary coefficient is the case K = 2: X /
 * sqrt(Y Z) with X = hits - sum t p, Y = 1 - sum p^2, Z = 1 - sum t^2 in shares, from shares of the other classes. */
static double mcc(const struct class_counts *c, struct cell_psi *cell)
{
    size_t n = (size_t)c->k;
    double *pred_others = ml_malloc((2 * n + 1) * sizeof *pred_others), *truth_others = pred_others + n;
    double w = c->total, x = 0, tp = 0, pp = 0, tt = 0, y = 0, z = 0, root, value = 0;

    expected_distance(c->pred, w, c->k, 0, pred_others);
    expected_distance(c->truth, w, c->k, 0, truth_others);
    for (size_t k = 0; k < n; k++) {
        double t = c->truth[k] / w, p = c->pred[k] / w;

        x += c->hit[k] / w * truth_others[k] - t * ((c->pred[k] - c->hit[k]) / w);
        tp += t * p;
        pp += p * p;
        tt += t * t;
        y += p * pred_others[k];
        z += t * truth_others[k];
    }
    if (n == 2) /* the same, of weights that are far apart, too */
        x = 2 * (c->hit[0] / w * (c->hit[1] / w) - c->alarm[0] / w * (c->alarm[1] / w));
    root = sqrt(y) * sqrt(z);
    if (root > 0)
        value = fmin(fmax(x / root, -1), 1);
    if (root > 0 && cell) {
        cell->c = (tp - x) / root - value * (pp / y + tt / z);
        for (size_t k = 0; k < n; k++) {
            double t = c->truth[k] / w, p = c->pred[k] / w;

            cell->d[k] = 1 / root;
            cell->a[k] = -p / root + value * t / z;
            cell->b[k] = -t / root + value * p / y;
        }
    }
    free(pred_others);
    return value;
}

/* The class that a metric of two classes is about. */
static int32_t subject_of(const struct ml_sample *s, const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_SPECIFICITY ? 1 - s->positive : s->positive;
}

/* Specificity of two classes is the recall of the other one. */
static bool binary(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell)
{
    bool other = metric->id == ML_METRIC_SPECIFICITY;
    struct ml_metric recall = { .id = ML_METRIC_RECALL };
    int32_t k = subject_of(s, metric);
    struct class_ratio r;

    if (k < 0 || k >= c->k || !(c->truth[k] > 0))
        return ml_value_none(v, other ? "no row is labelled negative" : "no row is labelled positive");
    r = ml_counts_ratio(other ? &recall : metric, c, k);
    v->value = r.value;
    add_ratio_psi(cell, &r, 1, c->total, k);
    return true;
}

bool ml_counts_value(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell)
{
    if (!(c->total > 0))
        return ml_value_none(v, "no rows");
    v->ok = true;
    if (metric->id == ML_METRIC_ACCURACY || metric->id == ML_METRIC_HAMMING_LOSS || metric->average == ML_AVERAGE_MICRO)
        v->value = accuracy(metric, c, cell);
    else if (metric->id == ML_METRIC_MCC)
        v->value = mcc(c, cell);
    else if (metric->id == ML_METRIC_KAPPA || metric->id == ML_METRIC_KAPPA_LINEAR ||
             metric->id == ML_METRIC_KAPPA_QUADRATIC)
        return kappa(s, metric, c, v, cell);
    else if (metric->average == ML_AVERAGE_WEIGHTED)
        v->value = weighted(metric, c, cell);
    else if (metric->average == ML_AVERAGE_BINARY)
        return binary(s, metric, c, v, cell);
    else
        v->value = macro(metric, c, cell);
    return true;
}

size_t ml_counts_rows(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *rows)
{
    int32_t k = subject_of(s, metric);

    if (metric->average != ML_AVERAGE_BINARY)
        return s->n;
    if (k < 0 || k >= rows->k)
        return 0;
    if (metric->id == ML_METRIC_PRECISION)
        return (size_t)rows->pred[k];
    if (metric->id == ML_METRIC_RECALL || metric->id == ML_METRIC_SPECIFICITY)
        return (size_t)rows->truth[k];
    return (size_t)(rows->truth[k] + rows->pred[k] - rows->hit[k]);
}

bool ml_counts_cell_within(const struct ml_sample *s, const struct ml_metric *metric, int32_t label, int32_t pred)
{
    int32_t k = subject_of(s, metric);

    if (metric->average != ML_AVERAGE_BINARY)
        return true;
    if (metric->id == ML_METRIC_PRECISION)
        return pred == k;
    if (metric->id == ML_METRIC_RECALL || metric->id == ML_METRIC_SPECIFICITY)
        return label == k;
    return label == k || pred == k;
}

bool ml_counts_within(const struct ml_sample *s, const struct ml_metric *metric, size_t i)
{
    return ml_counts_cell_within(s, metric, s->label[i], s->pred[i]);
}

/* With errors of one kind only, F-beta is (1 + b^2) J / ((1 + b^2) J + m (1 - J)), m = b^2 for misses and 1 for false
 * alarms. */
void ml_counts_from_share(const struct ml_metric *metric, double *low, double *high)
{
    double b = metric->id == ML_METRIC_FBETA ? fmin(metric->x * metric->x, 1e300) : 1;

    if (metric->average == ML_AVERAGE_MICRO) { /* of the share of right rows */
        *low /= 2 - *low;
        *high /= 2 - *high;
        return;
    }
    *low = (1 + b) * *low / ((1 + b) * *low + fmax(b, 1) * (1 - *low));
    *high = (1 + b) * *high / ((1 + b) * *high + fmin(b, 1) * (1 - *high));
}
