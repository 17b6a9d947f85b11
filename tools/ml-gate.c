/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-gate: holds a card against a policy; the answer is yes or no. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tool.h"
#include "data/grid.h"
#include "data/json.h"
#include "model/card.h"
#include "model/gate.h"
#include "model/policy.h"

struct cfg {
    struct ml_common common;
    const char *junit, *openmetrics;
    bool check, power;
};

static const struct ml_opt opts[] = {
    ML_OPT_CARD(struct cfg),
    ML_OPT_ROW(
        0, "junit", ML_OPT_STR, struct cfg, junit, "FILE", "write the rules as a JUnit report too; FILE ends in .xml"),
    ML_OPT_ROW(0, "openmetrics", ML_OPT_STR, struct cfg, openmetrics, "FILE",
        "write metrics and rules as OpenMetrics text too"),
    ML_OPT_ROW(0, "check", ML_OPT_FLAG, struct cfg, check, NULL, "only look whether the policy means something"),
    ML_OPT_ROW(0, "power", ML_OPT_FLAG, struct cfg, power, NULL, "tell what its rules can tell on these rows"),
    ML_OPT_OUT(struct cfg),
    ML_OPT_QUIET(struct cfg),
    ML_OPT_VERBOSE(struct cfg),
    ML_OPT_END,
};

static const struct ml_cmd cmd = {
    .name = "ml-gate",
    .summary = "hold a model card against a policy",
    .synopsis = "[options] POLICY.yml\n"
                "--check POLICY.yml\n"
                "--power [options] POLICY.yml",
    .opts = opts,
    .examples = "ml-gate ml-policy.yml --card compared.json --junit gate.xml -o gated.json\n"
                "ml-eval --slice accents candidate.csv |\n"
                "    ml-compare --current current.csv --candidate candidate.csv |\n"
                "    ml-gate ml-policy.yml >card.json",
    .min_args = 1,
    .max_args = 1,
};

/* What is judged, all owned. */
struct sections {
    cJSON *evaluation, *comparison, *model, *gate;
};

static void release(struct sections *s)
{
    cJSON_Delete(s->evaluation);
    cJSON_Delete(s->comparison);
    cJSON_Delete(s->model);
    cJSON_Delete(s->gate);
}

static int get_section(const struct ml_card *card, const char *name, cJSON **out, struct ml_err *err)
{
    *out = ml_card_get(card, name, err);
    return *out || !err->code ? 0 : -1;
}

static int write_reports(const struct cfg *cfg, const struct sections *s, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    const char *model = ml_json_str(s->model, "name");
    int rc = 0;
    if (cfg->junit) {
        ml_gate_junit(s->gate, model, &text);
        rc = ml_file_write(cfg->junit, ml_buf_str(&text), text.len, 0644, err);
    }
    if (!rc && cfg->openmetrics) {
        ml_buf_reset(&text);
        ml_gate_openmetrics(s->gate, s->evaluation, s->comparison, model, &text);
        rc = ml_file_write(cfg->openmetrics, ml_buf_str(&text), text.len, 0644, err);
    }
    ml_buf_release(&text);
    return rc;
}

/* A rule that most harmless changes fail as well says little: the margin is too narrow for so few rows. */
static void explain(const struct cfg *cfg, const cJSON *rule)
{
    const char *required = ml_json_str(rule, "required");
    double rate;
    if (ml_json_num(rule, "neutral_pass_rate", &rate) && rate < 0.5 && !(required && !strcmp(required, "improve")))
        ml_tool_say(
            &cfg->common, "           of changes that change nothing %.0f %% pass it on these rows", rate * 100);
}

/* Each rule that didn't pass outright, then the answer. */
static void summarise(const struct cfg *cfg, const cJSON *gate)
{
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const cJSON *passed = ml_json_get(rule, "passed");
        const char *name = ml_json_str(rule, "rule"), *reason = ml_json_str(rule, "reason");
        const char *level = ml_json_str(rule, "level");
        if (cJSON_IsFalse(passed)) {
            ml_tool_say(&cfg->common, "  %-8s %s: %s", strcmp(level, "warn") ? "FAILED" : "warning", name, reason);
            explain(cfg, rule);
            continue;
        }
        if (cJSON_IsTrue(passed))
            ml_tool_detail(&cfg->common, "  passed   %s", name);
        else
            ml_tool_say(&cfg->common, "  skipped  %s: %s", name, reason);
    }
    size_t failed = ml_gate_count(gate, 0, "fail"), warned = ml_gate_count(gate, 0, "warn");
    size_t passed = ml_gate_count(gate, 1, NULL), skipped = ml_gate_count(gate, -1, NULL);
    ml_tool_say(&cfg->common, "gate %s: %zu passed, %zu failed, %zu warned, %zu not applicable",
        failed ? "FAILED" : "passed", passed, failed, warned, skipped);
}

static int put(const struct cfg *cfg, const cJSON *doc, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    ml_json_print(doc, true, &text);
    int rc = ml_tool_put(&cfg->common, ml_buf_str(&text), text.len, err);
    ml_buf_release(&text);
    return rc;
}

static int check_policy(const struct cfg *cfg, const struct ml_policy *p, struct ml_err *err)
{
    cJSON *doc = cJSON_CreateObject();
    ml_json_set_str(doc, "policy", p->name);
    ml_json_set_str(doc, "policy_digest", p->digest.s);
    cJSON *metrics = ml_json_set_array(doc, "metrics");
    for (size_t i = 0; i < p->n; i++) {
        char *name = ml_format(
            "%s%s%s", p->rules[i].slice ? p->rules[i].slice : "", p->rules[i].slice ? "." : "", p->rules[i].metric);
        cJSON_AddItemToArray(metrics, cJSON_CreateString(name));
        free(name);
    }
    int rc = put(cfg, doc, err);
    if (!rc)
        ml_tool_say(&cfg->common, "%s: rules for %zu metric%s", p->name, p->n, p->n == 1 ? "" : "s");
    cJSON_Delete(doc);
    return rc;
}

/* A rate, or nothing where there is none. */
static const char *percent(const cJSON *rule, const char *key, char out[16])
{
    double x;
    if (!ml_json_num(rule, key, &x))
        return "-";
    snprintf(out, 16, "%.*f %%", x < 0.0995 || x > 0.9005 ? 1 : 0, x * 100);
    return out;
}

static int tell_power(const struct cfg *cfg, const struct sections *s, struct ml_err *err)
{
    cJSON *doc = ml_gate_power(s->gate, s->comparison);
    struct ml_grid grid = { .columns = 5 };
    struct ml_buf line = ML_BUF_INIT;
    const cJSON *rule;
    ml_grid_add(&grid, (const char *const[]){ "rule", "stops a harmless change", "misses the drop", "rows", "needed" });
    cJSON_ArrayForEach(rule, ml_json_get(doc, "rules"))
    {
        char stops[16], misses[16], rows[32] = "-", needed[32] = "-";
        double x;
        if (ml_json_num(rule, "rows", &x))
            snprintf(rows, sizeof rows, "%.0f", x);
        if (ml_json_num(rule, "rows_needed", &x))
            snprintf(needed, sizeof needed, "%.0f", x);
        ml_grid_add(&grid, (const char *const[]){ ml_json_str(rule, "rule"), percent(rule, "neutral_fail_rate", stops),
                               percent(rule, "missed_drop_rate", misses), rows, needed });
    }
    int rc = put(cfg, doc, err);
    for (size_t i = 0; !rc && ml_grid_line(&grid, i, &line); i++) {
        ml_tool_say(&cfg->common, "%s", ml_buf_str(&line));
        ml_buf_reset(&line);
    }
    ml_buf_release(&line);
    ml_grid_release(&grid);
    cJSON_Delete(doc);
    return rc;
}

static int check_options(const struct cfg *cfg, struct ml_err *err)
{
    const char *junit = cfg->junit;
    if (cfg->check && cfg->power)
        return ml_err_set(err, ML_USAGE, "--check and --power exclude each other");
    if ((cfg->check || cfg->power) && (junit || cfg->openmetrics))
        return ml_err_set(err, ML_USAGE, "--check and --power judge nothing: there is nothing to report");
    if (junit && (strlen(junit) < 5 || strcmp(junit + strlen(junit) - 4, ".xml") != 0))
        return ml_err_set(err, ML_USAGE, "--junit '%s' must end in .xml, or GitLab refuses the report", junit);
    return 0;
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_policy policy = ML_POLICY_INIT;
    struct sections s = { 0 };
    struct ml_card card = { ML_BUF_INIT };
    int rc = -1;
    if (check_options(cfg, err) || ml_policy_load(&policy, cfg->common.args.v[0], err))
        goto out;
    if (cfg->check) {
        rc = check_policy(cfg, &policy, err);
        goto out;
    }
    int none = ml_card_filter(&card, &cfg->common, err);
    if (none > 0)
        ml_err_set(err, ML_LOCAL, "no card: give it on standard input or with --card FILE");
    if (none || get_section(&card, "evaluation", &s.evaluation, err) ||
        get_section(&card, "comparison", &s.comparison, err) || get_section(&card, "model", &s.model, err) ||
        ml_gate_judge(&policy, s.evaluation, s.comparison, &s.gate, err))
        goto out;
    if (cfg->power) {
        rc = tell_power(cfg, &s, err);
        goto out;
    }
    bool passed = ml_json_true(s.gate, "passed");
    ml_card_set(&card, "gate", cJSON_Duplicate(s.gate, true));
    if (write_reports(cfg, &s, err) || ml_card_put(&card, &cfg->common, err))
        goto out;
    summarise(cfg, s.gate);
    rc = passed ? ML_OK : ML_NO;
out:
    ml_policy_release(&policy);
    ml_card_release(&card);
    release(&s);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };
    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
