/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TOST, Wilcoxon's signed ranks and the bootstrap with BCa, of a paired difference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/dist.h"
#include "stats/extra.h"
#include "stats/measure_impl.h"
#include "stats/order.h"
#include "stats/row_loss.h"
#include "stats/sum.h"

#define EXACT_RANKS 50 /* units; scipy's limit */

static void none(struct ml_extra_result *out, const char *reason)
{
    *out = (struct ml_extra_result){ .reason = reason };
}

void ml_extra_tost(const struct ml_delta *d, double margin, struct ml_extra_result *out)
{
    none(out, NULL);
    if (!(margin > 0)) {
        out->reason = "no margin says what is negligible (--margin, or a policy's)";
        return;
    }
    if (!d->ok || !d->has_interval) {
        out->reason = d->ok ? d->interval_reason : d->reason;
        return;
    }
    out->ok = true;
    out->p = fmax(ml_delta_beyond(d, -margin, true), ml_delta_beyond(d, margin, false));
}

/* A row's loss, of the metrics of numbers that are means of one. */
static bool number_loss(const struct ml_metric *metric, double y, double p, double *out)
{
    struct ml_scaled x;

    switch (metric->id) {
    case ML_METRIC_MAE:
        x = (struct ml_scaled){ fabs(y - p), 0 };
        break;
    case ML_METRIC_MSE:
        x = ml_loss_squared(y, p);
        break;
    case ML_METRIC_MSLE:
        x = ml_loss_squared_log(y, p);
        break;
    case ML_METRIC_MAPE:
        x = ml_loss_mape(y, p);
        break;
    case ML_METRIC_SMAPE:
        x = ml_loss_smape(y, p);
        break;
    case ML_METRIC_PINBALL:
        x = ml_loss_pinball(y, p, metric->x);
        break;
    case ML_METRIC_DEVIANCE:
        x = ml_loss_deviance(y, p, metric->x);
        break;
    default:
        return false;
    }
    *out = ldexp(x.a, x.k);
    return isfinite(*out);
}

static bool number_losses(const struct ml_sample *s, const struct ml_metric *metric, double *out)
{
    for (size_t i = 0; i < s->n; i++)
        if (!number_loss(metric, s->truth[i], s->estimate[i], &out[i]))
            return false;
    return true;
}

/* Several labels a row: the metrics that are means of the rows' own values. */
static bool mean_of_labels(const struct ml_metric *metric)
{
    if (metric->need == ML_NEED_SCORE)
        return metric->id == ML_METRIC_LRAP || metric->id == ML_METRIC_COVERAGE_ERROR ||
               metric->id == ML_METRIC_RANKING_LOSS;
    return metric->average == ML_AVERAGE_NONE || metric->average == ML_AVERAGE_SAMPLES;
}

/* The rows' losses of one model; false for a metric that is no mean of them, or has no value. */
static bool losses(struct ml_measure *m, const struct ml_metric *metric, double *out)
{
    const struct ml_sample *s = &m->s;
    struct ml_value v;

    ml_measure_value(m, metric, &v);
    if (!v.ok)
        return false;
    switch (metric->family) {
    case ML_FAMILY_COUNTS:
        for (size_t i = 0; i < s->n && ml_delta_shares(metric); i++)
            out[i] = (s->pred[i] == s->label[i]) == (metric->direction > 0);
        return ml_delta_shares(metric);
    case ML_FAMILY_NUMBER:
        return number_losses(s, metric, out);
    case ML_FAMILY_CLASS_LOSS:
        return ml_class_loss_rows(m, metric, out);
    case ML_FAMILY_LABELS:
        if (mean_of_labels(metric))
            ml_labels_rows(m, metric, out);
        return mean_of_labels(metric);
    case ML_FAMILY_QUERY: /* the query's value stands at one of its rows */
        ml_query_rows(m, metric, out);
        return true;
    default:
        return false;
    }
}

bool ml_delta_losses(
    struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric, double *out)
{
    size_t n = current->s.n;
    double *x = ml_malloc((n + 1) * sizeof *x);
    bool ok = losses(current, metric, x) && losses(candidate, metric, out);

    for (size_t i = 0; ok && i < n; i++)
        out[i] -= x[i];
    free(x);
    return ok;
}

/* P(W <= w), W the sum of the ranks 1..n that chance picks; n at most EXACT_RANKS. */
static double rank_cdf(size_t n, size_t w)
{
    size_t most = n * (n + 1) / 2;
    double *ways = ml_calloc(most + 1, sizeof *ways), sum = 0;

    ways[0] = 1;
    for (size_t rank = 1; rank <= n; rank++)
        for (size_t s = most + 1; s-- > rank;)
            ways[s] += ways[s - rank];
    for (size_t s = 0; s <= w && s <= most; s++)
        sum += ways[s];
    free(ways);
    return ldexp(sum, -(int)n);
}

void ml_signed_rank(double *d, size_t n, struct ml_extra_result *out)
{
    size_t kept = 0;
    double *size, plus = 0, minus = 0, ties = 0, mean, variance;
    uint32_t *order;

    none(out, NULL);
    for (size_t i = 0; i < n; i++)
        if (d[i] != 0)
            d[kept++] = d[i];
    out->n = kept;
    if (kept == 0) {
        out->reason = "no unit differs";
        return;
    }
    size = ml_malloc(kept * sizeof *size);
    order = ml_malloc(kept * sizeof *order);
    for (size_t i = 0; i < kept; i++)
        size[i] = fabs(d[i]);
    ml_order(size, 1, kept, order);
    for (size_t at = 0, end; at < kept; at = end) {
        double rank, tied;

        for (end = at; end < kept && size[order[end]] == size[order[at]]; end++)
            ;
        tied = (double)(end - at);
        rank = (double)at + (tied + 1) / 2;
        ties += tied * (tied * tied - 1);
        for (size_t i = at; i < end; i++)
            *(d[order[i]] > 0 ? &plus : &minus) += rank;
    }
    free(size);
    free(order);
    out->ok = true;
    out->statistic = fmin(plus, minus);
    out->exact = kept <= EXACT_RANKS && ties == 0;
    if (out->exact) {
        out->p = plus == minus ? 1 : fmin(2 * rank_cdf(kept, (size_t)out->statistic), 1);
        return;
    }
    mean = (double)kept * ((double)kept + 1) / 4;
    variance = ((double)kept * ((double)kept + 1) * (2 * (double)kept + 1) - ties / 2) / 24;
    out->p = ml_normal_two_sided((out->statistic - mean) / sqrt(variance));
}

void ml_extra_wilcoxon(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    struct ml_extra_result *out)
{
    const struct ml_sample *s = &current->s;
    double *d, *sums;
    size_t *rows;

    if (s->weight) {
        none(out, "the rows are weighted");
        return;
    }
    d = ml_malloc((s->n + 1) * sizeof *d);
    if (!ml_delta_losses(current, candidate, metric, d)) {
        none(out, "the metric is no mean of losses of the rows");
    } else if (!s->group) {
        ml_signed_rank(d, s->n, out);
    } else {
        sums = ml_calloc((size_t)s->groups + 1, sizeof *sums);
        rows = ml_calloc((size_t)s->groups + 1, sizeof *rows);
        for (size_t i = 0; i < s->n; i++) {
            sums[s->group[i]] += d[i];
            rows[s->group[i]]++;
        }
        for (uint32_t g = 0; g < s->groups; g++)
            sums[g] = rows[g] && metric->family != ML_FAMILY_QUERY ? sums[g] / (double)rows[g] : sums[g];
        ml_signed_rank(sums, s->groups, out);
        free(sums);
        free(rows);
    }
    free(d);
}

/* The quantile of n sorted values at p, between order statistics on the normal scale (Davison & Hinkley 1997, (5.8)).
 */
static double normal_interpolated(const double *sorted, size_t n, double p)
{
    double at = (double)(n + 1) * p, n1 = (double)(n + 1), below, above;
    size_t k = at <= 0 ? 0 : (size_t)at;

    if (k == 0)
        return sorted[0];
    if (k >= n)
        return sorted[n - 1];
    below = ml_normal_quantile((double)k / n1);
    above = ml_normal_quantile((double)(k + 1) / n1);
    return sorted[k - 1] + (ml_normal_quantile(p) - below) / (above - below) * (sorted[k] - sorted[k - 1]);
}

bool ml_boot_bca(double *values, size_t n, double value, const double *influence, size_t units, double alpha,
    struct ml_extra_result *out)
{
    struct ml_sum cubes = { 0, 0 }, squares = { 0, 0 };
    double most = 0, z = ml_normal_quantile(1 - alpha / 2);
    size_t below = 0;

    for (size_t i = 0; i < units; i++)
        most = fmax(most, fabs(influence[i]));
    for (size_t i = 0; i < units && most > 0; i++) {
        double x = influence[i] / most;

        ml_sum_add(&squares, x * x);
        ml_sum_add(&cubes, x * x * x);
    }
    for (size_t i = 0; i < n; i++)
        below += values[i] < value;
    if (!(most > 0) || below == 0 || below == n)
        return false;
    ml_sort(values, n);
    out->z0 = ml_normal_quantile((double)below / (double)n);
    out->acceleration = ml_sum_value(&cubes) / (6 * pow(ml_sum_value(&squares), 1.5));
    for (int end = 0; end < 2; end++) {
        double x = out->z0 + (end ? z : -z);

        out->bca[end] = normal_interpolated(values, n, ml_normal_cdf(out->z0 + x / (1 - out->acceleration * x)));
    }
    return true;
}

/* Influences of the units: a group's are summed. */
static void sum_units(const struct ml_measure *m, double *psi)
{
    const struct ml_sample *s = &m->s;
    double *sums;

    for (size_t i = 0; s->weight && i < s->n; i++)
        psi[i] *= s->weight[i];
    if (!s->group)
        return;
    sums = ml_calloc((size_t)s->groups + 1, sizeof *sums);
    for (size_t i = 0; i < s->n; i++)
        sums[s->group[i]] += psi[i];
    memcpy(psi, sums, s->groups * sizeof *sums);
    free(sums);
}

void ml_extra_bootstrap(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, struct ml_extra_result *out)
{
    size_t replicates = ml_boot_replicates(boot), used;
    double *values, *psi;
    struct ml_value x, y;
    int unit;

    none(out, NULL);
    ml_measure_value(current, metric, &x);
    ml_measure_value(candidate, metric, &y);
    if (!x.ok || !y.ok) {
        out->reason = x.ok ? y.reason : x.reason;
        return;
    }
    values = ml_malloc(replicates * sizeof *values);
    psi = ml_malloc((current->s.n + current->s.groups + 1) * sizeof *psi);
    used = ml_delta_replicates(current, candidate, metric, boot, values);
    out->replicates = replicates;
    out->undefined = replicates - used;
    if ((double)out->undefined > ML_BOOT_UNDEFINED * (double)replicates || used < 2) {
        out->reason = ML_BOOT_TOO_FEW;
    } else {
        out->ok = true;
        out->p = ml_boot_p(values, used);
        ml_boot_interval(values, used, 1 - alpha, &out->low, &out->high);
        const char *lacks = "no BCa interval: the metric has no influence function";
        if (metric->scale != ML_SCALE_BOOTSTRAP && ml_delta_psi(current, candidate, metric, false, psi, &unit)) {
            sum_units(current, psi);
            lacks = "no BCa interval: no replicate lies on one side of the difference";
            out->has_bca = ml_boot_bca(values, used, y.value - x.value, psi, ml_measure_units(current), alpha, out);
        }
        out->reason = out->has_bca ? NULL : lacks;
    }
    free(values);
    free(psi);
}
