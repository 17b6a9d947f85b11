/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics that follow from three counts per class: how often it was true, predicted, and both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/measure_impl.h"

struct class_counts *ml_counts_none(int32_t classes)
{
    struct class_counts *c = ml_calloc(1, sizeof *c);
    size_t k = (size_t)classes;

    c->k = classes;
    c->truth = ml_calloc(6 * k + 1, sizeof(double));
    c->pred = c->truth + k;
    c->hit = c->pred + k;
    c->miss = c->hit + k;
    c->alarm = c->miss + k;
    c->others = c->alarm + k;
    return c;
}

void ml_counts_distance(const double *counts, double total, int32_t n, int power, double *out)
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
    ml_counts_distance(c->truth, 1, c->k, 0, c->others);
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
        if (y == p) {
            c->hit[y] += w;
        } else {
            c->miss[y] += w;
            c->alarm[p] += w;
        }
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
        c->miss[y] = c->truth[y] - c->hit[y];
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
        return (struct class_ratio){ .gain = 1, .truth = 1, .pred = 1 };
    case ML_METRIC_F1:
    case ML_METRIC_FBETA:
        if (isfinite(b))
            return (struct class_ratio){ .gain = 1 + b, .truth = b, .pred = 1 };
        return (struct class_ratio){ .gain = 1, .truth = 1 };
    default: /* recall, and their mean */
        return (struct class_ratio){ .gain = 1, .truth = 1 };
    }
}

struct class_ratio ml_ratio(const struct ml_metric *metric, double hit, double miss, double alarm)
{
    struct class_ratio r = shape_of(metric);
    double wrong = r.truth * miss + r.pred * alarm;

    r.denominator = r.gain * hit + wrong;
    r.value = r.denominator > 0 ? r.gain * hit / r.denominator : 0;
    r.rest = r.denominator > 0 ? wrong / r.denominator : 1;
    return r;
}

struct class_ratio ml_counts_ratio(const struct ml_metric *metric, const struct class_counts *c, int32_t k)
{
    struct class_ratio r = ml_ratio(metric, c->hit[k], c->miss[k], c->alarm[k]);

    if (metric->id != ML_METRIC_SPECIFICITY)
        return r;
    r.negatives = true;
    r.denominator = c->others[k];
    r.value = r.denominator > 0 ? fmax(r.denominator - c->alarm[k], 0) / r.denominator : 0;
    r.rest = r.denominator > 0 ? fmin(c->alarm[k] / r.denominator, 1) : 1;
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
        cell->miss[k] = r->rest * scale;
        cell->alarm[k] = -scale;
        return;
    }
    cell->hit[k] += r->gain * r->rest * scale;
    cell->miss[k] -= r->value * r->truth * scale;
    cell->alarm[k] -= r->value * r->pred * scale;
}

void ml_counts_share_negatives(struct cell_psi *cell, int32_t k)
{
    double *own = ml_malloc(((size_t)k + 1) * sizeof *own);

    memcpy(own, cell->miss, (size_t)k * sizeof *own);
    ml_counts_distance(own, 1, k, 0, cell->miss);
    memcpy(cell->hit, cell->miss, (size_t)k * sizeof *own);
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

/* By the classes' shares of all labels. What a class's value is above the mean is the sum of what others are below it,
 * of values or, where they are near 1, of what they lack: so that next to nothing keeps its digits. */
static double weighted(const struct ml_metric *metric, const struct class_counts *c, struct cell_psi *cell)
{
    size_t k = (size_t)c->k;
    double *parts = ml_malloc((3 * k + 1) * sizeof *parts), *other_parts = parts + k, *others = parts + 2 * k;
    double sum = 0, labels = 0, value;
    bool near;

    for (int32_t j = 0; j < c->k; j++) {
        sum += c->truth[j] * ml_counts_ratio(metric, c, j).value;
        labels += c->truth[j];
    }
    value = fmin(sum / labels, 1);
    near = value > 0.5;
    for (int32_t j = 0; cell && j < c->k; j++) {
        struct class_ratio r = ml_counts_ratio(metric, c, j);

        parts[j] = c->truth[j] * (near ? r.rest : r.value);
    }
    if (cell) {
        ml_counts_distance(parts, labels, c->k, 0, other_parts);
        ml_counts_distance(c->truth, labels, c->k, 0, others);
    }
    for (int32_t j = 0; cell && j < c->k; j++) {
        struct class_ratio r = ml_counts_ratio(metric, c, j);
        double above = near ? other_parts[j] - r.rest * others[j] : r.value * others[j] - other_parts[j];

        cell->hit[j] = cell->miss[j] = above * (c->total / labels);
        add_ratio_psi(cell, &r, c->truth[j] / labels, c->total, j);
    }
    free(parts);
    return value;
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
    if (cell) {
        cell->c = -share * slope;
        for (int32_t k = 0; k < c->k; k++)
            cell->hit[k] = misses / c->total * slope;
    }
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
        v->value = ml_counts_mcc(c, cell);
    else if (metric->id == ML_METRIC_KAPPA || metric->id == ML_METRIC_KAPPA_LINEAR ||
             metric->id == ML_METRIC_KAPPA_QUADRATIC)
        return ml_counts_kappa(s, metric, c, v, cell);
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
