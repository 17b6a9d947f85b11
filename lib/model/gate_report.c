/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's section as JUnit, as OpenMetrics and as Code Quality report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/junit.h"
#include "data/number.h"
#include "data/openmetrics.h"
#include "model/gate.h"

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static void add_number(struct ml_buf *out, const cJSON *rule, const char *key)
{
    const cJSON *v = ml_json_get(rule, key);
    char text[ML_GATE_AMOUNT];

    if (cJSON_IsNumber(v))
        ml_buf_adds(out, ml_gate_amount(rule, v->valuedouble, 6, text));
    else if (cJSON_IsString(v))
        ml_buf_adds(out, v->valuestring);
    else
        ml_buf_adds(out, "-");
}

int ml_gate_side(const cJSON *rule)
{
    const char *name = or_empty(ml_json_str(rule, "rule")), *dot = strrchr(name, '.'), *kind = dot ? dot + 1 : name;

    if (!strcmp(kind, "min") || !strcmp(kind, "min_rows"))
        return 1;
    return !strcmp(kind, "max") || !strncmp(kind, "max_", 4) ? -1 : 0;
}

void ml_gate_conditions(const cJSON *rule, int digits, struct ml_buf *out)
{
    const char *on = ml_json_str(rule, "on");
    double margin, limit;

    if (cJSON_IsString(ml_json_get(rule, "required")) && ml_json_num(rule, "limit", &limit))
        ml_buf_addf(out, " (%s)", ml_gate_amount(rule, limit, 4, (char[ML_GATE_AMOUNT]){ "" }));
    if (on && !strcmp(on, "bound"))
        ml_buf_adds(out, " at its bound");
    if (ml_json_num(rule, "margin", &margin))
        ml_buf_addf(out, ", margin %s", ML_PLAIN(margin, digits));
}

void ml_gate_describe(const cJSON *rule, struct ml_buf *out)
{
    static const char *const sides[] = { "<= ", "", ">= " };
    double low, high, rate;

    ml_buf_addf(out, "required %s", sides[1 + ml_gate_side(rule)]);
    add_number(out, rule, "required");
    ml_gate_conditions(rule, 6, out);
    ml_buf_adds(out, "; observed ");
    add_number(out, rule, "observed");
    if (ml_json_num(rule, "low", &low) && ml_json_num(rule, "high", &high))
        ml_buf_addf(out, "; interval %s to %s", ML_PLAIN(low, 4), ML_PLAIN(high, 4));
    if (ml_json_num(rule, "neutral_pass_rate", &rate))
        ml_buf_addf(out, "; a change that changes nothing passes in %.3g %%", rate * 100);
}

/* What a report says of a rule that didn't pass outright, owned; NULL of one that did. */
static char *message_of(const cJSON *rule, const char *verdict)
{
    const cJSON *waiver = ml_json_get(rule, "waiver");
    const char *reason = or_empty(ml_json_str(rule, "reason")), *until = or_empty(ml_json_str(waiver, "until"));

    if (!strcmp(verdict, "passed"))
        return NULL;
    if (!strcmp(verdict, "waived"))
        return ml_format("waived until %s: %s (%s)", until, or_empty(ml_json_str(waiver, "reason")), reason);
    if (!strcmp(verdict, "not applicable"))
        return ml_format("%s%s", strncmp(reason, verdict, strlen(verdict)) ? "not applicable: " : "", reason);
    return ml_format("%s%s%s%s", !strcmp(verdict, "warned") ? "warning: " : "", reason,
        waiver ? "; its waiver ended on " : "", waiver ? until : "");
}

void ml_gate_junit(const cJSON *gate, const char *model, struct ml_buf *out)
{
    struct ml_junit j = ML_JUNIT_INIT("ml-gate");
    char *classname = ml_format("ml-gate%s%s", model && *model ? "." : "", or_empty(model));
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *verdict = ml_gate_verdict(rule);
        char *message = message_of(rule, verdict);
        struct ml_buf details = ML_BUF_INIT;
        enum ml_junit_result result = !strcmp(verdict, "failed")                                 ? ML_JUNIT_FAILED
                                      : !strcmp(verdict, "passed") || !strcmp(verdict, "warned") ? ML_JUNIT_PASSED
                                                                                                 : ML_JUNIT_SKIPPED;
        ml_gate_describe(rule, &details);
        ml_junit_add(&j, classname, or_empty(ml_json_str(rule, "rule")), result, message, ml_buf_str(&details));
        ml_buf_release(&details);
        free(message);
    }
    free(classname);
    ml_junit_finish(&j, out);
}

/* The same in every run, whatever was observed; GitLab tells by it what is new and what was fixed. */
static void fingerprint(cJSON *issue, const char *path, const char *model, const char *rule)
{
    struct ml_digest d;
    char *text = ml_format("ml-gate\n%s\n%s\n%s", path, or_empty(model), rule);

    ml_digest_bytes(text, strlen(text), &d);
    ml_json_set_str(issue, "fingerprint", ML_DIGEST_HEX(&d));
    free(text);
}

void ml_gate_code_quality(const cJSON *gate, const char *model, const char *path, struct ml_buf *out)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *verdict = ml_gate_verdict(rule), *name = or_empty(ml_json_str(rule, "rule"));
        const char *severity = !strcmp(verdict, "failed")   ? "critical"
                               : !strcmp(verdict, "warned") ? "minor"
                               : !strcmp(verdict, "waived") ? "info"
                                                            : NULL;
        if (!severity)
            continue;
        cJSON *issue = cJSON_CreateObject();
        int64_t line;
        char *message = message_of(rule, verdict);
        char *text = ml_format("%s%s%s: %s", or_empty(model), model && *model ? ": " : "", name, or_empty(message));
        ml_json_set_str(issue, "description", text);
        ml_json_set_str(issue, "check_name", name);
        fingerprint(issue, path, model, name);
        ml_json_set_str(issue, "severity", severity);
        cJSON *location = ml_json_set_object(issue, "location");
        ml_json_set_str(location, "path", path);
        ml_json_set_int(
            ml_json_set_object(location, "lines"), "begin", ml_json_int(rule, "line", &line) && line > 0 ? line : 1);
        cJSON_AddItemToArray(list, issue);
        free(message);
        free(text);
    }
    ml_json_print(list, true, out);
    ml_buf_addc(out, '\n');
    cJSON_Delete(list);
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

/* The number that a rule says under a key, as text with the digits that its interval supports; NULL: none. NULL as key
 * is whether it passed; "waiver", whether it is waived, of rules that could be. */
static const char *sample_of(const cJSON *rule, const char *key, char out[ML_NUMBER_LEN])
{
    double x, low = NAN, high = NAN;

    if (!key)
        return cJSON_IsBool(ml_json_get(rule, "passed")) ? ml_json_true(rule, "passed") ? "1" : "0" : NULL;
    if (!strcmp(key, "waiver"))
        return ml_json_get(rule, key) ? strcmp(ml_gate_verdict(rule), "waived") ? "0" : "1" : NULL;
    if (!ml_json_num(rule, key, &x) && !(!strcmp(key, "required") && ml_json_num(rule, "limit", &x)))
        return NULL;
    if (strcmp(key, "required") != 0 && strcmp(key, "neutral_pass_rate") != 0) {
        ml_json_num(rule, "low", &low);
        ml_json_num(rule, "high", &high);
        return ml_number_format(x, ml_number_decimals(low, high), false, out);
    }
    snprintf(out, ML_NUMBER_LEN, "%.6g", x);
    return out;
}

static void rules(
    struct ml_buf *out, const char *family, const char *help, const char *model, const cJSON *gate, const char *key)
{
    const cJSON *rule;
    bool begun = false;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *labels[] = { "model", model, "rule", or_empty(ml_json_str(rule, "rule")), NULL };
        char number[ML_NUMBER_LEN];
        const char *sample = sample_of(rule, key, number);
        if (!sample)
            continue;
        if (!begun)
            ml_openmetrics_family(out, family, help);
        begun = true;
        ml_openmetrics_sample(out, family, labels, sample);
    }
}

void ml_gate_openmetrics(
    const cJSON *gate, const cJSON *evaluation, const cJSON *comparison, const char *model, struct ml_buf *out)
{
    if (model && !*model)
        model = NULL;
    family(out, "ml_metric", "The candidate's metrics on the held-out rows.", model, evaluation, "value");
    family(out, "ml_metric_delta", "Candidate minus current model, on the same rows.", model, comparison, "delta");
    rules(out, "ml_gate_rule_passed", "1: the rule passed, 0: it did not. Rules that did not apply are left out.",
        model, gate, NULL);
    rules(out, "ml_gate_rule_waived", "1: it did not pass and is waived.", model, gate, "waiver");
    rules(out, "ml_gate_rule_required", "What a rule asks for, in the units of what it is about.", model, gate,
        "required");
    rules(out, "ml_gate_rule_observed", "What it found.", model, gate, "observed");
    rules(out, "ml_gate_rule_low", "The low end of the interval that it rests on.", model, gate, "low");
    rules(out, "ml_gate_rule_high", "The high end.", model, gate, "high");
    rules(out, "ml_gate_rule_neutral_pass_rate", "How often a change that changes nothing passes.", model, gate,
        "neutral_pass_rate");
    const char *labels[] = { "model", model, NULL };
    ml_openmetrics_family(out, "ml_gate_passed", "1: the gate let the candidate through.");
    ml_openmetrics_sample(out, "ml_gate_passed", labels, ml_json_true(gate, "passed") ? "1" : "0");
    ml_openmetrics_finish(out);
}
