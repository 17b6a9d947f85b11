/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far labels and predictions agree beyond chance: kappa, and the correlation coefficient. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

/* Weighted mean of |label - prediction|^power - about. */
static double observed_distance(const struct ml_sample *s, const struct class_counts *c, int power, double about)
{
    struct ml_sum sum = { 0, 0 };

    for (size_t i = 0; i < s->n; i++) {
        double d = cell_distance(s->label[i], s->pred[i], power) - about;

        if (d != 0)
            ml_sum_add(&sum, weight_of(&c->by, i) * d);
    }
    return ml_sum_value(&sum) / c->total;
}

static int32_t largest(const double *x, int32_t n)
{
    int32_t at = 0;

    for (int32_t k = 1; k < n; k++)
        at = x[k] > x[at] ? k : at;
    return at;
}

/* Mean distance of class k from others, less `about`; of the class that lies `about` from the one that is nearly all of
 * them without the difference of the two. */
static void less_about(const double *counts, double total, int32_t n, int power, int32_t k, double about, double *out)
{
    if (about == 0)
        return;
    for (int32_t j = 0; j < n; j++)
        out[j] -= about;
    out[k] = 0;
    for (int32_t j = 0; j < n; j++)
        out[k] += counts[j] / total * (cell_distance(k, j, power) - about);
}

/* Cohen 1960, Educ. Psychol. Meas. 20, 37; weighted: 1968, Psychol. Bull. 70, 213: (E - D)/E, D the mean disagreement
 * of the rows and E that of independent raters with the same margins. The distance of two classes is 1, or their
 * distance in the order of the classes, or its square. psi = (D - d + (D/E) (e - 2E)) / E, d and e the row's. All
 * distances are those above that of the two classes with most labels and most predictions: where one wrong row is
 * nearly all, D and E are nearly alike. */
bool ml_counts_kappa(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell)
{
    int power = metric->id == ML_METRIC_KAPPA_LINEAR ? 1 : metric->id == ML_METRIC_KAPPA_QUADRATIC ? 2 : 0;
    size_t k = (size_t)c->k;
    double *from_pred = ml_malloc((2 * k + 1) * sizeof *from_pred), *from_truth = from_pred + k;
    int32_t y = largest(c->truth, c->k), p = largest(c->pred, c->k);
    double about = cell_distance(y, p, power), seen = observed_distance(s, c, power, about), chance = 0, lost;

    ml_counts_distance(c->pred, c->total, c->k, power, from_pred);
    ml_counts_distance(c->truth, c->total, c->k, power, from_truth);
    less_about(c->pred, c->total, c->k, power, y, about, from_pred);
    less_about(c->truth, c->total, c->k, power, p, about, from_truth);
    for (size_t j = 0; j < k; j++)
        chance += c->truth[j] / c->total * from_pred[j];
    if (!(chance + about > 0)) {
        free(from_pred);
        return ml_value_none(v, "all labels and predictions are of one class");
    }
    v->value = fmax((chance - seen) / (chance + about), -1);
    lost = (seen + about) / (chance + about);
    for (size_t j = 0; cell && j < k; j++) {
        cell->miss[j] = lost * (from_pred[j] / (chance + about));
        cell->alarm[j] = lost * (from_truth[j] / (chance + about));
        cell->c = (seen - 2 * lost * chance) / (chance + about);
        cell->far = -1 / (chance + about);
        cell->power = power;
        cell->about = about;
        cell->hit[j] = cell->c + cell->miss[j] + cell->alarm[j] - cell->far * about;
    }
    free(from_pred);
    return true;
}

/* Of two classes: u v - s t, each of the four cells over the roots of its row's and column's sum. All that influences
 * are made of has one sign. */
static double mcc_of_two(const struct class_counts *c, struct cell_psi *cell)
{
    double truth[2] = { c->truth[0] / c->total, c->truth[1] / c->total };
    double pred[2] = { c->pred[0] / c->total, c->pred[1] / c->total }, hits = 1, errors = 1, up, down;
    double right = (c->hit[0] + c->hit[1]) / c->total, wrong = (c->miss[0] + c->miss[1]) / c->total;

    if (!(truth[0] > 0 && truth[1] > 0 && pred[0] > 0 && pred[1] > 0))
        return 0;
    for (int k = 0; k < 2; k++) {
        hits *= c->hit[k] / c->total / sqrt(truth[k]) / sqrt(pred[k]);
        errors *= c->miss[k] / c->total / sqrt(truth[k]) / sqrt(pred[1 - k]);
    }
    up = (hits * wrong + errors * (wrong + 2 * right)) / 2;
    down = (errors * right + hits * (right + 2 * wrong)) / 2;
    for (int k = 0; cell && k < 2; k++) {
        cell->hit[k] = up / truth[k] / pred[k];
        cell->miss[k] = -down / truth[k] / pred[1 - k];
    }
    return fmin(fmax(hits - errors, -1), 1);
}

/* The coefficient is x / sqrt(y z). */
struct correlation {
    double x, y, z;
    double *truth_others, *pred_others; /* shares of the other classes */
};

/* Influences from what rows do to x, y and z. Where most rows are right, that of a right one may be next to nothing and
 * keeps its digits with d = t - p: y + z - 2x is 2 misses - sum d^2, and y - z is sum d (t + p). */
static void mcc_cells(const struct class_counts *c, const struct correlation *r, struct cell_psi *cell)
{
    size_t n = (size_t)c->k;
    double *squares = ml_malloc((4 * n + 1) * sizeof *squares), *others = squares + 2 * n;
    double root = sqrt(r->y) * sqrt(r->z), both = 0, missed = 0, apart = 0, far = 0, above_x;

    for (size_t k = 0; k < n; k++) {
        double t = c->truth[k] / c->total, p = c->pred[k] / c->total, d = (c->miss[k] - c->alarm[k]) / c->total;

        squares[k] = t * t;
        squares[n + k] = p * p;
        both += t * p;
        missed += c->miss[k] / c->total;
        apart += d * d;
        far += d * (t + p);
    }
    ml_counts_distance(squares, 1, c->k, 0, others);
    ml_counts_distance(squares + n, 1, c->k, 0, others + n);
    above_x = missed - apart / 2; /* the mean of y and z */
    cell->c = (both - r->x) / root;
    for (size_t k = 0; k < n; k++) {
        double t = c->truth[k] / c->total, p = c->pred[k] / c->total;
        double to_z = (others[k] - t * r->truth_others[k]) / r->z,
               to_y = (others[n + k] - p * r->pred_others[k]) / r->y;

        cell->hit[k] = missed < 0.5 ? to_y * (above_x + far / 2) + to_z * (above_x - far / 2) + missed - apart
                                    : r->pred_others[k] * r->truth_others[k] + both - t * p - r->x * (1 + to_y + to_z);
        cell->hit[k] /= root;
        cell->miss[k] = -(p + r->x * to_z) / root;
        cell->alarm[k] = -(t + r->x * to_y) / root;
    }
    free(squares);
}

/* Gorodkin's R_K (2004, Comput. Biol. Chem. 28, 367, eq. 8), of which the binary coefficient is the case K = 2: X /
 * sqrt(Y Z) with X = hits - sum t p, Y = 1 - sum p^2, Z = 1 - sum t^2 in shares, from shares of the other classes. */
double ml_counts_mcc(const struct class_counts *c, struct cell_psi *cell)
{
    size_t n = (size_t)c->k;
    struct correlation r = { .truth_others = ml_malloc((2 * n + 1) * sizeof(double)) };
    double value = 0;

    if (n == 2) {
        free(r.truth_others);
        return mcc_of_two(c, cell);
    }
    r.pred_others = r.truth_others + n;
    ml_counts_distance(c->truth, c->total, c->k, 0, r.truth_others);
    ml_counts_distance(c->pred, c->total, c->k, 0, r.pred_others);
    for (size_t k = 0; k < n; k++) {
        double t = c->truth[k] / c->total, p = c->pred[k] / c->total;

        r.x += c->hit[k] / c->total * r.truth_others[k] - t * (c->alarm[k] / c->total);
        r.y += p * r.pred_others[k];
        r.z += t * r.truth_others[k];
    }
    if (sqrt(r.y) * sqrt(r.z) > 0) {
        value = fmin(fmax(r.x / sqrt(r.y) / sqrt(r.z), -1), 1);
        if (cell)
            mcc_cells(c, &r, cell);
    }
    free(r.truth_others);
    return value;
}
