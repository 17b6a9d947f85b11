/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's section as JUnit and as OpenMetrics. */
#include <math.h>
#include <stdlib.h>

#include "data/junit.h"
#include "data/number.h"
#include "data/openmetrics.h"
#include "model/gate.h"

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

void ml_gate_junit(const cJSON *gate, const char *model, struct ml_buf *out)
{
    struct ml_junit j = ML_JUNIT_INIT("ml-gate");
    char *classname = ml_format("ml-gate%s%s", model && *model ? "." : "", or_empty(model));
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const cJSON *passed = ml_json_get(rule, "passed");
        const char *reason = ml_json_str(rule, "reason"), *level = ml_json_str(rule, "level");
        bool warn = level && *level == 'w';
        char *message = NULL;
        enum ml_junit_result result = ML_JUNIT_PASSED;
        if (cJSON_IsFalse(passed)) {
            result = warn ? ML_JUNIT_PASSED : ML_JUNIT_FAILED;
            message = ml_format("%s%s", warn ? "warning: " : "", or_empty(reason));
        } else if (!cJSON_IsTrue(passed)) {
            result = ML_JUNIT_SKIPPED;
            message = ml_format("not applicable: %s", or_empty(reason));
        }
        ml_junit_add(&j, classname, or_empty(ml_json_str(rule, "rule")), result, message);
        free(message);
    }
    free(classname);
    ml_junit_finish(&j, out);
}

/* One family's samples: `key` of each metric, of all rows and of each slice; digits by the metric's own interval, so
 * that a report doesn't change where nothing did. */
static void samples(
    struct ml_buf *out, const char *family, const char *model, const cJSON *section, const char *slice, const char *key)
{
    const cJSON *metric;
    cJSON_ArrayForEach(metric, ml_json_get(section, "metrics"))
    {
        double x, low = NAN, high = NAN;
        if (!ml_json_num(metric, key, &x))
            continue;
        ml_json_num(metric, "low", &low);
        ml_json_num(metric, "high", &high);
        char number[ML_NUMBER_LEN];
        const char *labels[] = { "model", model, "metric", metric->string, "slice", slice, NULL };
        ml_openmetrics_sample(out, family, labels, ml_number_format(x, ml_number_decimals(low, high), false, number));
    }
}

static void family(
    struct ml_buf *out, const char *name, const char *help, const char *model, const cJSON *section, const char *key)
{
    if (!section)
        return;
    ml_openmetrics_family(out, name, help);
    samples(out, name, model, section, NULL, key);
    const cJSON *slice;
    cJSON_ArrayForEach(slice, ml_json_get(section, "slices")) samples(out, name, model, slice, slice->string, key);
}

void ml_gate_openmetrics(
    const cJSON *gate, const cJSON *evaluation, const cJSON *comparison, const char *model, struct ml_buf *out)
{
    if (model && !*model)
        model = NULL;
    family(out, "ml_metric", "The candidate's metrics on the held-out rows.", model, evaluation, "value");
    family(out, "ml_metric_delta", "Candidate minus current model, on the same rows.", model, comparison, "delta");
    ml_openmetrics_family(
        out, "ml_gate_rule_passed", "1: the rule passed, 0: it did not. Rules that did not apply are left out.");
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const cJSON *passed = ml_json_get(rule, "passed");
        const char *labels[] = { "model", model, "rule", or_empty(ml_json_str(rule, "rule")), NULL };
        if (cJSON_IsBool(passed))
            ml_openmetrics_sample(out, "ml_gate_rule_passed", labels, cJSON_IsTrue(passed) ? "1" : "0");
    }
    const char *labels[] = { "model", model, NULL };
    ml_openmetrics_family(out, "ml_gate_passed", "1: the gate let the candidate through.");
    ml_openmetrics_sample(out, "ml_gate_passed", labels, ml_json_true(gate, "passed") ? "1" : "0");
    ml_openmetrics_finish(out);
}
