/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two questions asked of a sample: what is the value of a metric, what are the influences of the rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define CELLS_MAX ((size_t)1 << 20) /* a confusion matrix that is kept */

bool ml_value_none(struct ml_value *v, const char *reason)
{
    v->ok = false;
    v->reason = reason;
    v->value = 0;
    return false;
}

/* Has the sample what the metric reads? */
static bool applies(const struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v)
{
    memset(v, 0, sizeof *v);
    if (!(metric->tasks & (int)m->s.task))
        return ml_value_none(v, "not a metric of this task");
    if (m->s.n == 0)
        return ml_value_none(v, m->s.task == ML_TASK_RANKING ? "no query has a relevant row" : "no rows");
    if (metric->id == ML_METRIC_COST && !m->s.costs)
        return ml_value_none(v, "nobody says what wrong answers cost");
    if (metric->need == ML_NEED_PRED && !m->s.pred && !m->s.preds)
        return ml_value_none(v, "no predictions");
    if ((metric->need == ML_NEED_SCORE || metric->need == ML_NEED_PROBA) && !m->s.score)
        return ml_value_none(v, "no scores");
    return true;
}

/* The confusion matrix of a sample of few classes is kept. */
static bool has_cells(const struct ml_measure *m)
{
    return (size_t)m->s.classes < CELLS_MAX / ((size_t)m->s.classes + 1);
}

static const uint64_t *cells_of(struct ml_measure *m)
{
    size_t k = (size_t)m->s.classes;

    if (!m->cells) {
        m->cells = ml_malloc((k * k + 1) * sizeof *m->cells);
        ml_sample_confusion(&m->s, m->cells);
    }
    return m->cells;
}

/* Made once; a replicate's are its own. */
const struct class_counts *ml_measure_counts(struct ml_measure *m)
{
    struct weighting plain = { NULL, NULL }, by = { m->s.weight, NULL };

    if (m->s.labels && !m->sums)
        m->sums = ml_labels_counts(&m->s, &by);
    if (!m->sums) {
        m->rows = has_cells(m) ? ml_counts_of_cells(m->s.classes, cells_of(m)) : ml_counts_new(&m->s, &plain);
        m->sums = m->s.weight ? ml_counts_new(&m->s, &by) : m->rows;
    }
    return m->sums;
}

static bool value_and_psi(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi, int *unit)
{
    bool ok = false;

    *unit = 0;
    switch (metric->family) {
    case ML_FAMILY_RANK:
        ok = ml_rank_value(m, metric, by, delong, v, psi);
        break;
    case ML_FAMILY_LABELS:
        ok = ml_labels_value(m, metric, by, delong, v, psi);
        break;
    case ML_FAMILY_CALIBRATION:
        return ml_calibration_value(m, metric, by, v, psi);
    case ML_FAMILY_CLASS_LOSS:
        ok = ml_class_loss_value(m, metric, by, v, psi, unit);
        break;
    case ML_FAMILY_NUMBER:
        ok = ml_number_value(m, metric, by, v, psi, unit);
        break;
    case ML_FAMILY_QUERY:
        return ml_query_value(m, metric, by, v, psi);
    case ML_FAMILY_COUNTS: /* counted once for all metrics, by the callers */
        return false;
    }
    if (!ok || !psi || !m->s.weight || ml_metric_top(metric) || !ml_metric_has_psi(metric))
        return ok;
    ml_measure_centre_psi(m, psi);
    ml_measure_scale_psi(m, psi, unit);
    return true;
}

bool ml_measure_value_by(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v)
{
    struct class_counts *c;
    int unit;

    if (!applies(m, metric, v))
        return false;
    if (metric->family != ML_FAMILY_COUNTS)
        return value_and_psi(m, metric, by, false, v, NULL, &unit);
    c = ml_counts_new(&m->s, by);
    ml_counts_value(&m->s, metric, c, v, NULL);
    ml_counts_free(c);
    return v->ok;
}

static void spread_cells(const struct ml_sample *s, const struct cell_psi *cell, double *psi)
{
    for (size_t i = 0; i < s->n; i++)
        psi[i] = cell_at(cell, s->label[i], s->pred[i]);
}

bool ml_measure_cells(
    struct ml_measure *m, const struct ml_metric *metric, bool spread, struct cell_psi *cell, struct ml_value *v)
{
    size_t k = (size_t)m->s.classes;

    ml_measure_counts(m);
    *cell = (struct cell_psi){ .hit = ml_calloc(3 * k + 1, sizeof(double)) };
    cell->miss = cell->hit + k;
    cell->alarm = cell->miss + k;
    spread = spread && metric->fallback == ML_FALLBACK_MACRO;
    if (spread)
        ml_macro_spread(m, metric, cell);
    ml_counts_value(&m->s, metric, m->sums, v, spread ? NULL : cell);
    v->n = ml_counts_rows(&m->s, metric, m->rows);
    return v->ok;
}

/* Its standard error is made by leaving rows out. */
static bool leaves_out(const struct ml_measure *m, const struct ml_metric *metric)
{
    return metric->id == ML_METRIC_AVERAGE_PRECISION && metric->average != ML_AVERAGE_MICRO && ml_measure_plain(m);
}

/* `spread`: those that make the standard error. */
static bool psi_unit(struct ml_measure *m, const struct ml_metric *metric, bool delong, bool spread, double *psi,
    int *unit, struct ml_value *v)
{
    struct weighting by = { m->s.weight, NULL };
    struct cell_psi cell;

    *unit = 0;
    if (!applies(m, metric, v))
        return false;
    if (m->s.labels && metric->fallback == ML_FALLBACK_MACRO && spread && psi) {
        if (ml_labels_value(m, metric, &by, false, v, NULL))
            ml_macro_labels(m, metric, psi);
        return v->ok;
    }
    delong = delong || (spread && leaves_out(m, metric));
    if (metric->family != ML_FAMILY_COUNTS)
        return value_and_psi(m, metric, &by, delong, v, psi, unit) && ml_metric_has_psi(metric);
    if (ml_measure_cells(m, metric, spread && psi, &cell, v) && psi)
        spread_cells(&m->s, &cell, psi);
    free(cell.hit);
    return v->ok;
}

bool ml_measure_psi_unit(
    struct ml_measure *m, const struct ml_metric *metric, bool delong, double *psi, int *unit, struct ml_value *v)
{
    return psi_unit(m, metric, delong, true, psi, unit, v);
}

/* Sums of squared influences and of their third powers over the cells of the confusion matrix, each with its rows. */
static double cell_squares(struct ml_measure *m, const struct cell_psi *cell, double *cubes)
{
    size_t k = (size_t)m->s.classes;
    const uint64_t *cells = cells_of(m);
    struct ml_sum sum = { 0, 0 }, third = { 0, 0 };

    for (size_t y = 0; y < k; y++)
        for (size_t p = 0; p < k; p++) {
            double psi = cell_at(cell, (int32_t)y, (int32_t)p);

            ml_sum_add(&sum, (double)cells[y * k + p] * (psi * psi));
            ml_sum_add(&third, (double)cells[y * k + p] * (psi * psi * psi));
        }
    *cubes = ml_sum_value(&third);
    return ml_sum_value(&sum);
}

/* NULL when it wasn't asked for. */
static struct known_value *known(struct ml_measure *m, const struct ml_metric *metric)
{
    for (size_t i = 0; i < m->n_known; i++)
        if (m->known[i].metric == metric)
            return &m->known[i];
    return NULL;
}

void ml_measure_remember(
    struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, double squares, double cubes)
{
    struct known_value *k = known(m, metric);

    if (!k) {
        m->known = ml_grow(m->known, &m->known_cap, m->n_known + 1, sizeof *m->known);
        k = &m->known[m->n_known++];
    } else if (isnan(squares)) {
        return; /* no less than is known */
    }
    *k = (struct known_value){ metric, *v, squares, cubes };
}

static bool plain_rank(const struct ml_measure *m, const struct ml_metric *metric)
{
    struct ml_value v;

    return ml_measure_plain(m) && ml_rank_plain_has(m, metric) && applies(m, metric, &v);
}

/* What ml_rank_plain says, asked for once: comparisons of several models ask for each again and again. */
static void rank_powers(
    struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v, double *squares, double *cubes)
{
    const struct known_value *k = known(m, metric);
    double third = NAN;

    if (k && (!k->v.ok || (!isnan(k->squares) && !(cubes && isnan(k->cubes))))) {
        *v = k->v;
        *squares = k->squares;
        third = k->cubes;
    } else {
        memset(v, 0, sizeof *v);
        ml_rank_plain(m, metric, v, squares, cubes ? &third : NULL);
        ml_measure_remember(m, metric, v, v->ok ? *squares : NAN, third);
    }
    if (cubes)
        *cubes = isnan(third) ? 0 : third;
}

static bool psi_squares(struct ml_measure *m, const struct ml_metric *metric, bool delong, double *squares,
    double *cubes, int *unit, struct ml_value *v)
{
    bool counts = metric->family == ML_FAMILY_COUNTS;
    const struct known_value *k;
    struct cell_psi cell;
    double third = 0;

    cubes = cubes ? cubes : &third;
    *unit = 0;
    if (plain_rank(m, metric)) {
        rank_powers(m, metric, v, squares, cubes == &third ? NULL : cubes);
        return v->ok;
    }
    *cubes = 0;
    if (ml_measure_plain(m) && counts && has_cells(m)) {
        if (!applies(m, metric, v))
            return false;
        if (ml_measure_cells(m, metric, true, &cell, v))
            *squares = cell_squares(m, &cell, cubes);
        free(cell.hit);
        return v->ok;
    }
    k = known(m, metric);
    if (k && !isnan(k->squares)) {
        *v = k->v;
        *squares = k->squares;
        *cubes = k->cubes;
        return true;
    }
    if (!(ml_measure_plain(m) && metric->family == ML_FAMILY_CLASS_LOSS && ml_metric_has_psi(metric) &&
            applies(m, metric, v) && ml_class_loss_squares(m, metric, v, squares, cubes))) {
        if (!m->psi)
            m->psi = ml_malloc((m->s.n + 1) * sizeof *m->psi);
        if (!ml_measure_psi_unit(m, metric, delong, m->psi, unit, v))
            return false;
        *squares = ml_measure_squares(m, m->psi, cubes);
    }
    if (*unit == 0)
        ml_measure_remember(m, metric, v, *squares, *cubes);
    return true;
}

bool ml_measure_psi_squares(struct ml_measure *m, const struct ml_metric *metric, bool delong, double *squares,
    double *cubes, int *unit, struct ml_value *v)
{
    struct ml_macro_added added;

    if (!psi_squares(m, metric, delong, squares, cubes, unit, v))
        return false;
    if (ml_macro_added(m, metric, &added)) {
        *squares += added.squares;
        if (cubes)
            *cubes += added.cubes;
    }
    return true;
}

void ml_measure_value(struct ml_measure *m, const struct ml_metric *metric, struct ml_value *out)
{
    const struct known_value *k = known(m, metric);
    double squares;
    int unit;

    if (k) {
        *out = k->v;
    } else if (plain_rank(m, metric)) {
        rank_powers(m, metric, out, &squares, NULL);
    } else {
        ml_measure_psi_unit(m, metric, false, NULL, &unit, out);
        ml_measure_remember(m, metric, out, NAN, NAN);
    }
}

bool ml_measure_psi(struct ml_measure *m, const struct ml_metric *metric, bool spread, double *psi)
{
    struct ml_value v;
    int unit;

    if (!ml_metric_has_psi(metric) || !psi_unit(m, metric, false, spread, psi, &unit, &v))
        return false;
    for (size_t i = 0; unit && i < m->s.n; i++)
        psi[i] = ldexp(psi[i], unit);
    return true;
}

/* Sums over blocks of units: of rows, or of groups whose rows were added up. */
struct powers {
    const double *w, *x; /* w NULL: 1 each */
    size_t n;
    struct ml_sum *squares, *cubes;
    double scale; /* fourth powers alone: of x in these units */
};

static void power_block(void *ctx, size_t b, size_t thread)
{
    struct powers *q = ctx;
    struct ml_sum squares = { 0, 0 }, cubes = { 0, 0 };

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(q->n, b); i++) {
        double x = (q->w ? q->w[i] : 1) * q->x[i];

        ml_sum_add(&squares, x * x);
        if (q->cubes)
            ml_sum_add(&cubes, x * x * x);
    }
    q->squares[b] = squares;
    if (q->cubes)
        q->cubes[b] = cubes;
}

static void fourth_block(void *ctx, size_t b, size_t thread)
{
    struct powers *q = ctx;
    struct ml_sum fourths = { 0, 0 };

    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < ml_parallel_end(q->n, b); i++) {
        double x = (q->w ? q->w[i] : 1) * q->x[i] / q->scale, square = x * x;

        ml_sum_add(&fourths, square * square);
    }
    q->squares[b] = fourths;
}

/* Psi by groups, to be freed; NULL where rows are none. */
static double *group_sums(const struct ml_measure *m, const double *psi)
{
    double *groups = m->s.group ? ml_calloc((size_t)m->s.groups + 1, sizeof *groups) : NULL;

    for (size_t i = 0; groups && i < m->s.n; i++)
        groups[m->s.group[i]] += (m->s.weight ? m->s.weight[i] : 1) * psi[i];
    return groups;
}

double ml_measure_squares(const struct ml_measure *m, const double *psi, double *cubes)
{
    size_t n = m->s.group ? m->s.groups : m->s.n, blocks = ml_parallel_blocks(n);
    double *groups = group_sums(m, psi);
    struct ml_sum *sums = ml_calloc(2 * blocks, sizeof *sums), total[2] = { { 0, 0 }, { 0, 0 } };
    struct powers q = { .w = groups ? NULL : m->s.weight,
        .x = groups ? groups : psi,
        .n = n,
        .squares = sums,
        .cubes = cubes ? sums + blocks : NULL };

    ml_parallel(blocks, power_block, &q);
    for (size_t b = 0; b < 2 * blocks; b++)
        ml_sum_join(&total[b >= blocks], &sums[b]);
    free(groups);
    free(sums);
    if (cubes)
        *cubes = ml_sum_value(&total[1]);
    return ml_sum_value(&total[0]);
}

/* In units in which the squares come to 1, so that fourth powers neither overflow nor vanish. */
double ml_measure_effective(const struct ml_measure *m, const double *psi, double squares)
{
    size_t n = m->s.group ? m->s.groups : m->s.n, blocks = ml_parallel_blocks(n);
    struct ml_sum *sums, total = { 0, 0 };
    struct powers q = { .n = n, .scale = sqrt(squares) };
    double *groups;

    if (!(squares > 0) || !isfinite(squares))
        return 0;
    groups = group_sums(m, psi);
    q.squares = sums = ml_calloc(blocks, sizeof *sums);
    q.w = groups ? NULL : m->s.weight;
    q.x = groups ? groups : psi;
    ml_parallel(blocks, fourth_block, &q);
    for (size_t b = 0; b < blocks; b++)
        ml_sum_join(&total, &sums[b]);
    free(groups);
    free(sums);
    return 1 / ml_sum_value(&total);
}

bool ml_measure_se(const struct ml_measure *m, double squares, bool delong, double *se, const char **reason)
{
    double units = (double)ml_measure_units(m);

    if (units < 2) {
        *reason = m->groups ? "an interval needs two groups" : "an interval needs two rows";
        return false;
    }
    *se = sqrt(squares * (delong ? 1 : units / (units - 1))) / m->total;
    return true;
}

double ml_measure_df(const struct ml_measure *m, const struct ml_metric *metric, size_t n)
{
    double units = (double)ml_measure_units(m);

    if (metric->id == ML_METRIC_AVERAGE_PRECISION && metric->average != ML_AVERAGE_MICRO)
        units = fmin(units, m->s.task == ML_TASK_BINARY ? (double)n : ml_rank_class_rows(m, metric));
    return fmax(units - 1, 1);
}

double ml_measure_noise(const struct ml_metric *metric, double value)
{
    return 1e-14 * (isfinite(metric->high) ? fmax(fabs(value), 1) : fabs(value));
}

bool ml_measure_replicates(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed,
    size_t replicates, double *out, size_t *used)
{
    if (ml_tuned_applies(a, metric) || (b && ml_tuned_applies(b, metric)))
        *used = ml_tuned_replicates(&a, 1, &b, b ? 1 : 0, metric, seed, replicates, out);
    else if (ml_median_many(a, metric))
        *used = ml_median_replicates(a, b, seed, replicates, out);
    else if (ml_rank_many(a, metric) && (!b || ml_rank_many(b, metric)))
        *used = ml_rank_replicates(a, b, seed, replicates, out);
    else
        return false;
    return true;
}

/* A replicate draws rows, or groups with all their rows. */
void ml_measure_draw(
    const struct ml_measure *m, uint64_t seed, uint64_t replicate, uint32_t *scratch, uint32_t *counts, double *w)
{
    size_t units = m->groups ? m->s.groups : m->s.n;

    ml_boot_counts(seed, replicate, units, scratch);
    for (size_t i = 0; i < m->s.n; i++) {
        counts[i] = scratch[m->s.group ? m->s.group[i] : i];
        w[i] = counts[i] * (m->s.weight ? m->s.weight[i] : 1);
    }
}
