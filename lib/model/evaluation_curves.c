/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reliability bins and curves as JSON. */
#include "model/evaluation_curves.h"

#include <math.h>

#include "stats/calibration.h"
#include "stats/curve.h"

static void add_range(cJSON *to, const char *key, double value, double se, double low, double high)
{
    cJSON *o = ml_json_set_object(to, key);
    ml_json_set_num(o, "value", value);
    ml_json_set_num(o, "low", low);
    ml_json_set_num(o, "high", high);
    ml_json_set_num(o, "se", se);
}

void ml_evaluation_add_calibration(cJSON *to, const struct ml_sample *s, double confidence)
{
    struct ml_calibration_bin bins[ML_CALIBRATION_BINS];
    struct ml_calibration_line line;
    struct ml_measure *m = ml_measure_new(s, NULL, 0);
    const char *reason;
    size_t n = ml_calibration_bins(m, ML_CALIBRATION_BINS, confidence, bins, &reason);
    if (n == 0) {
        ml_json_set(to, "calibration", NULL);
        ml_json_set_str(to, "calibration_reason", reason);
        ml_measure_free(m);
        return;
    }
    cJSON *o = ml_json_set_object(to, "calibration"), *list = ml_json_set_array(o, "bins");
    for (size_t i = 0; i < n; i++) {
        cJSON *bin = cJSON_CreateObject();
        ml_json_set_num(bin, "low", bins[i].low);
        ml_json_set_num(bin, "high", bins[i].high);
        ml_json_set_int(bin, "rows", (int64_t)bins[i].rows);
        if (s->weight != NULL)
            ml_json_set_num(bin, "weight", bins[i].weight);
        ml_json_set_num(bin, "predicted", bins[i].predicted);
        ml_json_set_num(bin, "observed", bins[i].observed);
        ml_json_set_num(bin, "observed_low", bins[i].observed_low);
        ml_json_set_num(bin, "observed_high", bins[i].observed_high);
        cJSON_AddItemToArray(list, bin);
    }
    if (s->task == ML_TASK_BINARY && ml_calibration_fit(m, confidence, &line, &reason)) {
        add_range(o, "slope", line.slope, line.slope_se, line.slope_low, line.slope_high);
        add_range(o, "intercept", line.intercept, line.intercept_se, line.intercept_low, line.intercept_high);
    } else if (s->task == ML_TASK_BINARY) {
        ml_json_set(o, "slope", NULL);
        ml_json_set(o, "intercept", NULL);
        ml_json_set_str(o, "reason", reason);
    }
    ml_measure_free(m);
}

/* So many digits behind the point keep the areas, and a card stays small. */
static cJSON *rounded(double x)
{
    return cJSON_CreateNumber(round(x * 1e10) / 1e10);
}

static void add_curve(cJSON *to, const char *key, const char *x, const char *y, const struct ml_curve *c)
{
    cJSON *o = ml_json_set_object(to, key);
    cJSON *xs = ml_json_set_array(o, x), *ys = ml_json_set_array(o, y), *ts = ml_json_set_array(o, "thresholds");
    cJSON *areas = ml_json_set_array(o, "area");
    for (size_t i = 0; i < c->n; i++) {
        cJSON_AddItemToArray(xs, rounded(c->x[i]));
        cJSON_AddItemToArray(ys, rounded(c->y[i]));
        cJSON_AddItemToArray(ts, isnan(c->threshold[i]) ? cJSON_CreateNull() : cJSON_CreateNumber(c->threshold[i]));
        cJSON_AddItemToArray(areas, rounded(c->area[i]));
    }
}

void ml_evaluation_add_curves(cJSON *to, const struct ml_sample *s)
{
    struct ml_measure *m = ml_measure_new(s, NULL, 0);
    struct ml_curve roc = { 0 }, pr = { 0 };
    const char *reason;
    if (ml_curve_roc(m, &roc, &reason) && ml_curve_pr(m, &pr, &reason)) {
        cJSON *o = ml_json_set_object(to, "curves");
        add_curve(o, "roc", "fpr", "tpr", &roc);
        add_curve(o, "pr", "recall", "precision", &pr);
    } else {
        ml_json_set(to, "curves", NULL);
        ml_json_set_str(to, "curves_reason", reason);
    }
    ml_curve_release(&roc);
    ml_curve_release(&pr);
    ml_measure_free(m);
}
