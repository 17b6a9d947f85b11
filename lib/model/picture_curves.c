/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reliability diagram and ROC curve: of the candidate, and of the current model behind it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "data/number.h"
#include "model/picture_impl.h"

#define LEFT   46
#define TOP    56
#define LEGEND 18 /* height of a line of it */
#define BARS   48 /* height of the histogram */
#define MOST   200

/* The candidate and, where it was compared row by row, the current model. */
struct models {
    int n;
    const cJSON *of[2]; /* what is drawn of each */
    char said[2][80];   /* its figure, or "" */
};

static const char *const names[] = { "candidate", "current model" };
static const char *const lines[] = { "p", "q" };

static struct models models_of(const cJSON *evaluation, const cJSON *comparison, const char *key)
{
    struct models m = { 0 };

    m.of[0] = ml_json_get(evaluation, key);
    m.of[1] = ml_json_get(ml_json_get(comparison, "current"), key);
    m.n = cJSON_IsObject(m.of[1]) ? 2 : 1;
    return m;
}

/* The square; above it, where there are two, whose line is which. */
static struct square frame(struct canvas *c, const char *title, const struct models *m, const char *x, const char *y)
{
    struct square q = { LEFT, TOP + (m->n > 1 ? m->n * LEGEND : 0) };

    ml_svg_text(&c->svg, 16, 24, 's', "h", title);
    for (int i = 0; m->n > 1 && i < m->n; i++) {
        double at = 46 + i * LEGEND, sample[] = { 16, at - 4, 46, at - 4 };
        char *text = ml_format("%s%s%s", names[i], m->said[i][0] ? ", " : "", m->said[i]);
        ml_svg_path(&c->svg, sample, 2, false, lines[i]);
        ml_svg_text(&c->svg, 54, at, 's', "t", text);
        free(text);
    }
    picture_square(c, &q, x, y);
    ml_svg_line(&c->svg, picture_x(&q, 0), picture_y(&q, 0), picture_x(&q, 1), picture_y(&q, 1), "a");
    c->width = q.left + PICTURE_SQUARE + 24;
    c->height = q.top + PICTURE_SQUARE + 46;
    return q;
}

/* Begins what is said in words of model i. */
static void introduce(struct canvas *c, const struct models *m, int i)
{
    if (m->n > 1)
        ml_buf_addf(&c->words, "%s%s: ", i ? ". " : "", names[i]);
    if (m->said[i][0])
        ml_buf_addf(&c->words, "%s; ", m->said[i]);
}

/* How many rows each bin has, below the diagram, on the same axis. */
static void histogram(struct canvas *c, const struct square *q, const cJSON *bins, const char *name)
{
    const cJSON *bin;
    double most = 0, rows, low, high, base = c->height + BARS;

    cJSON_ArrayForEach(bin, bins) most = ml_json_num(bin, "rows", &rows) ? fmax(most, rows) : most;
    if (!(most > 0))
        return;
    cJSON_ArrayForEach(bin, bins)
    {
        if (!ml_json_num(bin, "rows", &rows) || !ml_json_num(bin, "low", &low) || !ml_json_num(bin, "high", &high))
            continue;
        double h = BARS * rows / most, x = picture_x(q, low);
        ml_svg_rect(&c->svg, x + 1, base - h, fmax(picture_x(q, high) - x - 2, 1), h, "n", 0.45);
    }
    ml_svg_line(&c->svg, q->left, base, q->left + PICTURE_SQUARE, base, "a");
    ml_svg_text(&c->svg, q->left + PICTURE_SQUARE / 2.0, base + 16, 'm', "m", name);
    c->height = base + 26;
}

/* The line through the bins, with intervals of the candidate's. */
static void draw_bins(struct canvas *c, const struct square *q, const cJSON *bins, int model)
{
    double xy[2 * MOST] = { 0 }, predicted, observed, low, high;
    const cJSON *bin;
    size_t n = 0;

    cJSON_ArrayForEach(bin, bins)
    {
        if (n == MOST || !ml_json_num(bin, "predicted", &predicted) || !ml_json_num(bin, "observed", &observed))
            continue;
        xy[2 * n] = picture_x(q, predicted);
        xy[2 * n + 1] = picture_y(q, observed);
        if (model == 0 && ml_json_num(bin, "observed_low", &low) && ml_json_num(bin, "observed_high", &high))
            ml_svg_line(&c->svg, xy[2 * n], picture_y(q, low), xy[2 * n], picture_y(q, high), "l le");
        n++;
    }
    ml_svg_path(&c->svg, xy, n, false, lines[model]);
    for (size_t i = 0; i < n; i++)
        ml_svg_circle(&c->svg, xy[2 * i], xy[2 * i + 1], model == 0 ? 4 : 3, model == 0 ? "e" : "i");
}

static void tell_bins(struct canvas *c, const cJSON *bins)
{
    double predicted, observed, rows;
    const cJSON *bin;
    size_t n = 0;

    cJSON_ArrayForEach(bin, bins)
    {
        if (n == MOST || !ml_json_num(bin, "predicted", &predicted) || !ml_json_num(bin, "observed", &observed))
            continue;
        ml_buf_addf(&c->words, "%s%.3g said, %.3g observed", n++ ? "; " : "", predicted, observed);
        if (ml_json_num(bin, "rows", &rows))
            ml_buf_addf(&c->words, " in %.0f row%s", rows, ML_PLURAL(rows));
    }
}

static bool has_bins(const cJSON *bins)
{
    double x;
    const cJSON *bin;

    cJSON_ArrayForEach(
        bin, bins) if (ml_json_num(bin, "predicted", &x) && ml_json_num(bin, "observed", &x)) return true;
    return false;
}

bool picture_reliability(const cJSON *evaluation, const cJSON *comparison, struct canvas *c)
{
    struct models m = models_of(evaluation, comparison, "calibration");
    const cJSON *ece = ml_json_get(ml_json_get(comparison, "calibration"), "ece");
    double value;

    for (int i = 0; i < 2; i++)
        m.of[i] = ml_json_get(m.of[i], "bins");
    if (!has_bins(m.of[0]))
        return false;
    if (!has_bins(m.of[1]))
        m.n = 1;
    for (int i = 0; m.n > 1 && i < m.n; i++)
        if (ml_json_num(ece, i ? "current" : "candidate", &value))
            snprintf(m.said[i], sizeof m.said[i], "expected calibration error %.3f", value);
    struct square q = frame(c, "Reliability", &m, "mean probability", "share observed, with interval");
    for (int i = m.n; i-- > 0;)
        draw_bins(c, &q, m.of[i], i);
    for (int i = 0; i < m.n; i++) {
        introduce(c, &m, i);
        tell_bins(c, m.of[i]);
    }
    histogram(c, &q, m.of[0], m.n > 1 ? "rows (candidate)" : "rows");
    ml_buf_add(&c->alt, ml_buf_str(&c->words), c->words.len);
    return true;
}

/* The i-th number of an array, or NAN. */
static double at(const cJSON *array, int i)
{
    const cJSON *v = cJSON_GetArrayItem(array, i);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static bool is_curve(const cJSON *roc)
{
    const cJSON *fpr = ml_json_get(roc, "fpr"), *tpr = ml_json_get(roc, "tpr");

    return cJSON_IsArray(fpr) && cJSON_IsArray(tpr) && cJSON_GetArraySize(fpr) >= 2 &&
           cJSON_GetArraySize(fpr) == cJSON_GetArraySize(tpr);
}

static void draw_curve(struct canvas *c, const struct square *q, const cJSON *roc, int model)
{
    const cJSON *x = ml_json_get(roc, "fpr"), *y = ml_json_get(roc, "tpr");
    double *xy = ml_malloc(2 * (size_t)cJSON_GetArraySize(x) * sizeof *xy);
    size_t k = 0;

    for (x = x->child, y = y->child; x && y; x = x->next, y = y->next) {
        if (!cJSON_IsNumber(x) || !cJSON_IsNumber(y))
            continue;
        xy[2 * k] = picture_x(q, x->valuedouble);
        xy[2 * k++ + 1] = picture_y(q, y->valuedouble);
    }
    ml_svg_path(&c->svg, xy, k, false, lines[model]);
    free(xy);
}

static void tell_curve(struct canvas *c, const cJSON *roc)
{
    static const double rates[] = { 0.01, 0.05, 0.1, 0.2 };
    const cJSON *fpr = ml_json_get(roc, "fpr"), *tpr = ml_json_get(roc, "tpr");
    int n = cJSON_GetArraySize(fpr);

    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int j = 0;
        while (j + 1 < n && at(fpr, j + 1) <= rates[i])
            j++;
        ml_buf_addf(
            &c->words, "%s%.3g of the positives at a false positive rate of %g", i ? "; " : "", at(tpr, j), rates[i]);
    }
}

/* The candidate's area with its interval, and the current model's. */
static void areas(struct models *m, const cJSON *evaluation, const cJSON *comparison)
{
    const cJSON *auc = ml_json_get(ml_json_get(evaluation, "metrics"), "roc_auc");
    double value, low, high;
    char v[PICTURE_NUMBER], a[PICTURE_NUMBER], b[PICTURE_NUMBER];
    bool interval = ml_json_num(auc, "low", &low) && ml_json_num(auc, "high", &high);
    int decimals = interval ? ml_number_decimals(low, high) : 3;

    if (ml_json_num(auc, "value", &value)) {
        picture_number(value, decimals, false, v);
        if (interval)
            snprintf(m->said[0], sizeof m->said[0], "area %s (%s … %s)", v, picture_number(low, decimals, false, a),
                picture_number(high, decimals, false, b));
        else
            snprintf(m->said[0], sizeof m->said[0], "area %s", v);
    }
    if (ml_json_num(ml_json_get(ml_json_get(comparison, "metrics"), "roc_auc"), "current", &value))
        snprintf(m->said[1], sizeof m->said[1], "area %s", picture_number(value, decimals, false, v));
}

bool picture_roc(const cJSON *evaluation, const cJSON *comparison, struct canvas *c)
{
    struct models m = models_of(evaluation, comparison, "curves");
    char title[100] = "ROC curve";

    for (int i = 0; i < 2; i++)
        m.of[i] = ml_json_get(m.of[i], "roc");
    if (!is_curve(m.of[0]))
        return false;
    if (!is_curve(m.of[1]))
        m.n = 1;
    areas(&m, evaluation, comparison);
    if (m.n == 1 && m.said[0][0])
        snprintf(title, sizeof title, "ROC curve, %s", m.said[0]);
    struct square q = frame(c, title, &m, "false positive rate", "true positive rate");
    for (int i = m.n; i-- > 0;)
        draw_curve(c, &q, m.of[i], i);
    for (int i = 0; i < m.n; i++) {
        introduce(c, &m, i);
        tell_curve(c, m.of[i]);
    }
    ml_buf_add(&c->alt, ml_buf_str(&c->words), c->words.len);
    return true;
}
