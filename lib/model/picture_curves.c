/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reliability diagram and ROC curve. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/picture_priv.h"

#define LEFT 46
#define TOP  56
#define BARS 48 /* height of the histogram */
#define MOST 200

static void frame(struct canvas *c, const char *title, const struct square *q, const char *x, const char *y)
{
    double diagonal[] = { picture_x(q, 0), picture_y(q, 0), picture_x(q, 1), picture_y(q, 1) };

    ml_svg_text(&c->svg, 16, 24, 's', "h", title);
    picture_square(c, q, x, y);
    ml_svg_line(&c->svg, diagonal[0], diagonal[1], diagonal[2], diagonal[3], "a");
    c->width = q->left + PICTURE_SQUARE + 24;
    c->height = q->top + PICTURE_SQUARE + 46;
}

/* How many rows each bin has, below the diagram, on the same axis. */
static void histogram(struct canvas *c, const struct square *q, const cJSON *bins)
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
    ml_svg_text(&c->svg, q->left + PICTURE_SQUARE / 2.0, base + 16, 'm', "m", "rows");
    c->height = base + 26;
}

bool picture_reliability(const cJSON *evaluation, struct canvas *c)
{
    struct square q = { LEFT, TOP };
    const cJSON *bins = ml_json_get(ml_json_get(evaluation, "calibration"), "bins"), *bin;
    double xy[2 * MOST], predicted, observed, low, high, rows;
    size_t n = 0;

    cJSON_ArrayForEach(bin, bins)
    {
        if (n == MOST || !ml_json_num(bin, "predicted", &predicted) || !ml_json_num(bin, "observed", &observed))
            continue;
        xy[2 * n] = picture_x(&q, predicted);
        xy[2 * n++ + 1] = picture_y(&q, observed);
    }
    if (n == 0)
        return false;
    frame(c, "Reliability", &q, "mean probability", "share observed, with interval");
    ml_svg_path(&c->svg, xy, n, false, "p");
    n = 0;
    cJSON_ArrayForEach(bin, bins)
    {
        if (n == MOST || !ml_json_num(bin, "predicted", &predicted) || !ml_json_num(bin, "observed", &observed))
            continue;
        if (ml_json_num(bin, "observed_low", &low) && ml_json_num(bin, "observed_high", &high))
            ml_svg_line(&c->svg, xy[2 * n], picture_y(&q, low), xy[2 * n], picture_y(&q, high), "l le");
        ml_svg_circle(&c->svg, xy[2 * n], xy[2 * n + 1], 4, "e");
        ml_buf_addf(&c->words, "%s%.3g said, %.3g observed", n ? "; " : "", predicted, observed);
        if (ml_json_num(bin, "rows", &rows))
            ml_buf_addf(&c->words, " in %.0f rows", rows);
        n++;
    }
    histogram(c, &q, bins);
    ml_buf_add(&c->alt, ml_buf_str(&c->words), c->words.len);
    return true;
}

/* The i-th number of an array, or NAN. */
static double at(const cJSON *array, int i)
{
    const cJSON *v = cJSON_GetArrayItem(array, i);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

bool picture_roc(const cJSON *evaluation, struct canvas *c)
{
    struct square q = { LEFT, TOP };
    const cJSON *roc = ml_json_get(ml_json_get(evaluation, "curves"), "roc");
    const cJSON *fpr = ml_json_get(roc, "fpr"), *tpr = ml_json_get(roc, "tpr"), *x, *y;
    const cJSON *auc = ml_json_get(ml_json_get(evaluation, "metrics"), "roc_auc");
    int n = cJSON_GetArraySize(fpr), k = 0;
    double value, low, high;
    char title[80] = "ROC curve";

    if (!cJSON_IsArray(fpr) || !cJSON_IsArray(tpr) || n < 2 || cJSON_GetArraySize(tpr) != n)
        return false;
    if (ml_json_num(auc, "value", &value)) {
        ml_buf_addf(&c->words, "area %.3g", value);
        if (ml_json_num(auc, "low", &low) && ml_json_num(auc, "high", &high))
            ml_buf_addf(&c->words, " (%.3g … %.3g)", low, high);
        snprintf(title, sizeof title, "ROC curve, %s", ml_buf_str(&c->words));
    }
    frame(c, title, &q, "false positive rate", "true positive rate");
    double *xy = ml_malloc(2 * (size_t)n * sizeof *xy);
    for (x = fpr->child, y = tpr->child; x && y; x = x->next, y = y->next) {
        if (!cJSON_IsNumber(x) || !cJSON_IsNumber(y))
            continue;
        xy[2 * k] = picture_x(&q, x->valuedouble);
        xy[2 * k++ + 1] = picture_y(&q, y->valuedouble);
    }
    ml_svg_path(&c->svg, xy, (size_t)k, false, "p");
    free(xy);
    static const double rates[] = { 0.01, 0.05, 0.1, 0.2 };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int j = 0;
        while (j + 1 < n && at(fpr, j + 1) <= rates[i])
            j++;
        ml_buf_addf(&c->words, "%s%.3g of the positives at a false positive rate of %g", c->words.len ? "; " : "",
            at(tpr, j), rates[i]);
    }
    ml_buf_add(&c->alt, ml_buf_str(&c->words), c->words.len);
    return true;
}
