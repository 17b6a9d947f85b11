/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-gate: holds a card against a policy; the answer is yes or no. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/grid.h"
#include "data/json.h"
#include "model/card.h"
#include "model/gate.h"
#include "model/policy.h"
#include "model/subject.h"

struct cfg {
    struct ml_common common;
    const char *junit, *openmetrics, *code_quality;
    const char *branch, *environment, *date;
    bool check, power;
};

static const struct ml_opt opts[] = {
    ML_OPT_CARD(struct cfg),
    ML_OPT_ROW(
        0, "junit", ML_OPT_STR, struct cfg, junit, "FILE", "write the rules as a JUnit report too; FILE ends in .xml"),
    ML_OPT_ROW(0, "openmetrics", ML_OPT_STR, struct cfg, openmetrics, "FILE",
        "write metrics and rules as OpenMetrics text too"),
    ML_OPT_ROW(0, "code-quality", ML_OPT_STR, struct cfg, code_quality, "FILE",
        "write broken rules as a Code Quality report too, each at its line in the policy"),
    ML_OPT_ROW(0, "branch", ML_OPT_STR, struct cfg, branch, "NAME",
        "what 'when: branch' is held against [CI_MERGE_REQUEST_TARGET_BRANCH_NAME, else CI_COMMIT_BRANCH]"),
    ML_OPT_ROW(0, "environment", ML_OPT_STR, struct cfg, environment, "NAME",
        "what 'when: environment' is held against [CI_ENVIRONMENT_NAME]"),
    ML_OPT_ROW(0, "date", ML_OPT_STR, struct cfg, date, "DAY", "judge waivers as on this day, YYYY-MM-DD [today, UTC]"),
    ML_OPT_ROW(0, "check", ML_OPT_FLAG, struct cfg, check, NULL, "only look whether the policy means something"),
    ML_OPT_ROW(0, "power", ML_OPT_FLAG, struct cfg, power, NULL, "tell what its rules can tell on these rows"),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-gate",
    .summary = "hold a model card against a policy",
    .synopsis = "[options] POLICY.yml [CARD]\n"
                "--check POLICY.yml\n"
                "--power [options] POLICY.yml [CARD]",
    .opts = opts,
    .examples = "ml-gate ml-policy.yml --card compared.json --junit gate.xml -o gated.json\n"
                "ml-eval --slice accents candidate.csv |\n"
                "    ml-compare --current current.csv --candidate candidate.csv |\n"
                "    ml-gate ml-policy.yml >card.json",
    .min_args = 1,
    .max_args = 2,
};

/* What is judged, all owned. */
struct sections {
    cJSON *evaluation, *comparison, *model, *gate;
    char today[ML_TIME_LEN + 1];
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

/* Where the policy is in the project, from wherever the gate runs; owned. One outside keeps the path that was given. */
static char *policy_in_project(const char *policy)
{
    const char *root = ml_env("CI_PROJECT_DIR"), *within = ml_path_within(policy, root);
    char *real = realpath(policy, NULL), *real_root = root ? realpath(root, NULL) : NULL;
    if (real && real_root && *ml_path_within(real, real_root) != '/')
        within = ml_path_within(real, real_root);
    char *out = ml_strdup(within);
    free(real);
    free(real_root);
    return out;
}

/* Writes what was made of the gate, unless its file isn't asked for; empties the text. */
static int write_report(const char *path, struct ml_buf *text, struct ml_err *err)
{
    int rc = path ? ml_file_write(path, ml_buf_str(text), text->len, 0644, err) : 0;
    ml_buf_reset(text);
    return rc;
}

static int write_reports(const struct cfg *cfg, const struct sections *s, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    const char *model = ml_json_str(s->model, "name");
    ml_gate_junit(s->gate, model, &text);
    int rc = write_report(cfg->junit, &text, err);
    ml_gate_openmetrics(s->gate, s->evaluation, s->comparison, model, &text);
    rc = rc ? rc : write_report(cfg->openmetrics, &text, err);
    char *policy = policy_in_project(cfg->common.args.v[0]);
    ml_gate_code_quality(s->gate, model, policy, &text);
    free(policy);
    rc = rc ? rc : write_report(cfg->code_quality, &text, err);
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
        const char *verdict = ml_gate_verdict(rule), *name = ml_json_str(rule, "rule");
        const char *reason = ml_json_str(rule, "reason");
        const cJSON *waiver = ml_json_get(rule, "waiver");
        if (!strcmp(verdict, "passed")) {
            struct ml_buf details = ML_BUF_INIT;
            ml_gate_describe(rule, &details);
            ml_tool_detail(&cfg->common, "  passed   %s: %s", name, ml_buf_str(&details));
            ml_buf_release(&details);
        } else if (!strcmp(verdict, "not applicable")) {
            ml_tool_say(&cfg->common, "  skipped  %s: %s", name, reason);
        } else if (!strcmp(verdict, "waived")) {
            ml_tool_say(&cfg->common, "  waived   %s until %s (%s): %s", name, ml_json_str(waiver, "until"),
                ml_json_str(waiver, "reason"), reason);
        } else {
            ml_tool_say(&cfg->common, "  %-8s %s: %s%s%s", strcmp(verdict, "warned") ? "FAILED" : "warning", name,
                reason, waiver ? "; its waiver ended on " : "", waiver ? ml_json_str(waiver, "until") : "");
            explain(cfg, rule);
        }
    }
    size_t failed = ml_gate_count(gate, "failed"), waived = ml_gate_count(gate, "waived");
    char also[32] = "";
    if (waived)
        snprintf(also, sizeof also, ", %zu waived", waived);
    ml_tool_say(&cfg->common, "gate %s: %zu passed, %zu failed, %zu warned%s, %zu not applicable",
        failed ? "FAILED" : "passed", ml_gate_count(gate, "passed"), failed, ml_gate_count(gate, "warned"), also,
        ml_gate_count(gate, "not applicable"));
}

static int put(const struct cfg *cfg, const cJSON *doc, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    ml_json_print(doc, true, &text);
    int rc = ml_tool_put(&cfg->common, ml_buf_str(&text), text.len, err);
    ml_buf_release(&text);
    return rc;
}

/* A limit on the good side alone: a slip, most likely, for the other one. */
static void doubt_side(const struct cfg *cfg, const struct ml_policy *p, const struct ml_metric_rule *m)
{
    bool lower = m->direction < 0;
    const struct ml_limit *good = lower ? &m->min : &m->max, *bad = lower ? &m->max : &m->min;
    if (m->direction != 0 && good->amount.set && !bad->amount.set)
        ml_tool_warn(&cfg->common, "%s: line %u: '%s' is better when %s, so that '%s' fails the best; is '%s' meant?",
            p->name, good->terms.line, m->metric, lower ? "lower" : "higher", lower ? "min" : "max",
            lower ? "max" : "min");
}

/* Names that may be mistyped: cards that ml-eval writes have no such metric, and a rule about it fails them. */
static void doubt_name(const struct cfg *cfg, const struct ml_policy *p, const struct ml_metric_rule *m)
{
    const struct ml_limit *limit = m->min.amount.set ? &m->min : &m->max;
    if (m->direction != 0 || m->misdirected || !limit->amount.set || m->must || m->max_drop.amount.set || m->has_margin)
        return; /* it is known, or a fault */
    char *meant = ml_subject_meant(m->metric);
    ml_tool_warn(&cfg->common,
        "%s: line %u: ml-eval has no metric '%s'%s%s%s; where a card gets it from elsewhere, say its 'direction'",
        p->name, limit->terms.line, m->metric, meant ? ", it is called '" : "", meant ? meant : "",
        meant ? "' there" : "");
    free(meant);
}

/* What is negligible, beside limits that don't ask. */
static void doubt_margin(const struct cfg *cfg, const struct ml_policy *p, const struct ml_metric_rule *m)
{
    const struct ml_limit *limit = m->min.amount.set ? &m->min : m->max.amount.set ? &m->max : &m->max_drop;
    if (m->has_margin && !m->must && limit->amount.set)
        ml_tool_warn(&cfg->common,
            "%s: line %u: the margin of '%s' decides nothing here without 'must': it says what ml-compare calls "
            "equivalent",
            p->name, limit->terms.line, m->metric);
}

static void doubt(const struct cfg *cfg, const struct ml_policy *p)
{
    for (size_t i = 0; i < p->n; i++) {
        doubt_name(cfg, p, &p->rules[i]);
        doubt_side(cfg, p, &p->rules[i]);
        doubt_margin(cfg, p, &p->rules[i]);
    }
}

/* Waivers that hold no more: whoever looks at the policy may not know. */
static void doubt_waivers(const struct cfg *cfg, const struct ml_policy *p)
{
    char today[ML_TIME_LEN + 1];
    ml_clock_format(ml_clock_now(), today);
    today[ML_DATE_LEN] = 0;
    for (size_t i = 0; i < p->n_waivers; i++)
        if (strcmp(cfg->date ? cfg->date : today, p->waivers[i]->until) > 0)
            ml_tool_warn(&cfg->common, "%s: the waiver until %s (%.200s) has ended", p->name, p->waivers[i]->until,
                p->waivers[i]->reason);
}

/* --check: every fault that can be told, each in a line, then what is doubtful. */
static int load_to_check(const struct cfg *cfg, struct ml_policy *p, struct ml_err *err)
{
    struct ml_strs faults = { 0 };
    const char *path = cfg->common.args.v[0];
    int rc = ml_policy_check(p, path, &faults, err);
    if (faults.n > 1) {
        for (size_t i = 0; i < faults.n; i++)
            ml_tool_fault(&cfg->common, "%s", faults.v[i]);
        ml_err_set(err, ML_USAGE, "%s: %s%zu faults", path, faults.n == ML_POLICY_FAULTS ? "at least " : "", faults.n);
    }
    ml_strs_release(&faults);
    doubt(cfg, p);
    doubt_waivers(cfg, p);
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
    cJSON *numbers = ml_json_set_array(doc, "card");
    for (size_t i = 0; i < p->n_card; i++)
        cJSON_AddItemToArray(numbers, cJSON_CreateString(p->card[i].path));
    int rc = put(cfg, doc, err);
    if (!rc)
        ml_tool_say(&cfg->common, "%s: rules for %zu metric%s and %zu other number%s of the card", p->name, p->n,
            ML_PLURAL(p->n), p->n_card, ML_PLURAL(p->n_card));
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
    cJSON *doc = ml_gate_power(s->gate, s->evaluation, s->comparison);
    struct ml_grid grid = { .columns = 6, .left = 1u << 5 };
    struct ml_buf line = ML_BUF_INIT;
    const cJSON *rule;
    ml_grid_add(
        &grid, (const char *const[]){ "rule", "stops a harmless change", "misses the drop", "rows", "needed", "" });
    cJSON_ArrayForEach(rule, ml_json_get(doc, "rules"))
    {
        char stops[16], misses[16], gain[16], rows[32] = "-", needed[32] = "-", also[64] = "";
        const char *reason = ml_json_str(rule, "reason");
        double x;
        if (ml_json_num(rule, "rows", &x))
            snprintf(rows, sizeof rows, "%.0f", x);
        if (ml_json_num(rule, "rows_needed", &x))
            snprintf(needed, sizeof needed, "%.0f", x);
        if (ml_json_num(rule, "missed_gain_rate", &x))
            snprintf(
                also, sizeof also, "misses a gain as large in at most %s", percent(rule, "missed_gain_rate", gain));
        ml_grid_add(&grid, (const char *const[]){ ml_json_str(rule, "rule"), percent(rule, "neutral_fail_rate", stops),
                               percent(rule, "missed_drop_rate", misses), rows, needed, reason ? reason : also });
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
    if ((cfg->check || cfg->power) && (junit || cfg->openmetrics || cfg->code_quality))
        return ml_err_set(err, ML_USAGE, "--check and --power judge nothing: there is nothing to report");
    if (junit && (strlen(junit) < 5 || strcmp(junit + strlen(junit) - 4, ".xml") != 0))
        return ml_err_set(err, ML_USAGE, "--junit '%s' must end in .xml, or GitLab refuses the report", junit);
    if (cfg->date && !ml_date_valid(cfg->date))
        return ml_err_set(err, ML_USAGE, "--date '%.40s' is no day such as 2026-12-31", cfg->date);
    if (cfg->common.args.n > 1 && (cfg->check || cfg->common.card))
        return ml_err_set(err, ML_USAGE,
            cfg->check ? "--check reads no card" : "--card and a card as second operand exclude each other");
    return 0;
}

/* Where and when the judgement is made: options, else GitLab's variables. */
static void find_place(const struct cfg *cfg, struct sections *s, struct ml_gate_input *in)
{
    const char *target = ml_env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME");
    in->branch = cfg->branch ? cfg->branch : target ? target : ml_env("CI_COMMIT_BRANCH");
    in->environment = cfg->environment ? cfg->environment : ml_env("CI_ENVIRONMENT_NAME");
    ml_clock_format(ml_clock_now(), s->today);
    s->today[ML_DATE_LEN] = 0;
    in->today = cfg->date ? cfg->date : s->today;
}

static int judge(const struct cfg *cfg, const struct ml_policy *p, const struct ml_card *card, struct sections *s,
    struct ml_err *err)
{
    struct ml_gate_input in = { .card = ml_buf_str(&card->text), .card_len = card->text.len };
    if (get_section(card, "evaluation", &s->evaluation, err) || get_section(card, "comparison", &s->comparison, err) ||
        get_section(card, "model", &s->model, err))
        return -1;
    in.evaluation = s->evaluation;
    in.comparison = s->comparison;
    find_place(cfg, s, &in);
    return ml_gate_judge(p, &in, &s->gate, err);
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_policy policy = ML_POLICY_INIT;
    struct sections s = { 0 };
    struct ml_card card = { ML_BUF_INIT };
    int rc = -1;
    if (check_options(cfg, err) ||
        (cfg->check ? load_to_check(cfg, &policy, err) : ml_policy_load(&policy, cfg->common.args.v[0], err)))
        goto out;
    if (cfg->common.args.n > 1)
        cfg->common.card = cfg->common.args.v[1];
    if (cfg->check) {
        rc = check_policy(cfg, &policy, err);
        goto out;
    }
    int none = ml_card_filter(&card, &cfg->common, err);
    if (none > 0)
        ml_err_set(err, ML_LOCAL, "no card: give it on standard input or with --card FILE");
    if (none || judge(cfg, &policy, &card, &s, err))
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
