/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-eval: predictions in, metrics with intervals out; writes the card's section `evaluation`. */
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/card.h"
#include "model/evaluation.h"
#include "model/summary.h"
#include "oci/tar_view.h"

#include "eval.h"

static const struct ml_opt opts[] = {
    ML_COLUMNS_OPTS(struct cfg, cols),
    ML_OPT_ROW(0, "curves", ML_OPT_FLAG, struct cfg, curves, NULL, "add calibration, ROC and precision-recall curves"),
    ML_OPT_ROW(0, "find-slices", ML_OPT_FLAG, struct cfg, cols.find_slices, NULL,
        "look for slices that are worse than the rest"),
    ML_OPT_ROW(0, "model", ML_OPT_STR, struct cfg, model, "DIR", "record the digest of the model that was scored"),
    ML_OPT_ROW(0, "name", ML_OPT_STR, struct cfg, name, "N", "the model's name"),
    ML_OPT_ROW(0, "version", ML_OPT_STR, struct cfg, version, "V", "the model's version (alone: this tool's)"),
    ML_OPT_ROW(0, "policy", ML_OPT_STR, struct cfg, policy, "FILE", "measure what this policy has rules about, too"),
    ML_OPT_ROW(0, "confidence", ML_OPT_NUM, struct cfg, confidence, "P", "of the intervals [0.95]"),
    ML_OPT_ROW(0, "seed", ML_OPT_INT, struct cfg, seed, "N", "of the bootstrap, where one is needed [0]"),
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-eval",
    .summary = "measure predictions: metrics with intervals",
    .synopsis = "[options] FILE|- ...",
    .opts = opts,
    .examples = "ml-eval --slice accents --model model candidate.csv\n"
                "ml-eval --task regression regression.csv -o evaluated.json",
    .min_args = 1,
    .max_args = -1,
};

static int check_options(const struct cfg *cfg, struct ml_err *err)
{
    if (!(cfg->confidence > 0 && cfg->confidence < 1))
        return ml_err_set(err, ML_USAGE, "--confidence must be between 0 and 1, as in 0.95");
    if (cfg->seed < 0)
        return ml_err_set(err, ML_USAGE, "--seed must not be negative");
    if (cfg->cols.score != NULL && cfg->cols.scores != NULL)
        return ml_err_set(err, ML_USAGE, "--score and --scores exclude each other");
    size_t standard = 0;
    for (size_t i = 0; i < cfg->common.args.n; i++)
        standard += strcmp(cfg->common.args.v[i], "-") == 0;
    if (standard > 0 && cfg->common.card != NULL && strcmp(cfg->common.card, "-") == 0)
        return ml_err_set(err, ML_USAGE, "standard input can be the card or the predictions, not both");
    if (standard > 1)
        return ml_err_set(err, ML_USAGE, "standard input can be read once only");
    return 0;
}

static void set_from(cJSON *to, const char *key, const char *variable)
{
    const char *v = ml_env(variable);
    if (v != NULL && ml_json_get(to, key) == NULL)
        ml_json_set_str(to, key, v);
}

/* What the job's variables tell about code and job, where no recorded run has said it. What that run said otherwise
 * stays as it came. */
static int add_run(struct ml_card *card, struct ml_err *err)
{
    const char *commit = ml_env("CI_COMMIT_SHA");
    cJSON *run = ml_card_get(card, "run", err);
    if (run == NULL && err->code != 0)
        return -1;
    bool has_code = ml_json_get(run, "code") != NULL, has_ci = ml_json_get(run, "ci") != NULL;
    cJSON_Delete(run);
    if (commit == NULL)
        return 0;
    if (!has_code) {
        cJSON *code = cJSON_CreateObject();
        set_from(code, "repository", "CI_PROJECT_URL");
        set_from(code, "commit", "CI_COMMIT_SHA");
        set_from(code, "branch", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME");
        set_from(code, "branch", "CI_COMMIT_BRANCH");
        set_from(code, "branch", "CI_COMMIT_REF_NAME");
        ml_json_set(code, "dirty", NULL);
        ml_card_set_member(card, "run", "code", code);
    }
    if (!has_ci && ml_env("CI_JOB_URL") != NULL) {
        cJSON *ci = cJSON_CreateObject();
        set_from(ci, "job", "CI_JOB_URL");
        set_from(ci, "pipeline", "CI_PIPELINE_URL");
        ml_card_set_member(card, "run", "ci", ci);
    }
    return 0;
}

static int add_model(struct ml_card *card, const struct cfg *cfg, struct ml_err *err)
{
    if (cfg->name == NULL && cfg->version == NULL)
        return 0;
    cJSON *model = ml_card_get(card, "model", err);
    if (model == NULL && err->code != 0)
        return -1;
    cJSON_Delete(model);
    if (cfg->name != NULL)
        ml_card_set_member(card, "model", "name", cJSON_CreateString(cfg->name));
    if (cfg->version != NULL)
        ml_card_set_member(card, "model", "version", cJSON_CreateString(cfg->version));
    return 0;
}

static void say(const struct cfg *cfg, const struct ml_predictions *p, const cJSON *evaluation)
{
    struct ml_strs lines = { 0 };
    ml_tool_say(&cfg->common, "%s: %zu row%s, %s, %g %% intervals", p->name, p->n, ML_PLURAL(p->n),
        ml_json_str(evaluation, "task"), cfg->confidence * 100);
    ml_summary_evaluation(evaluation, &lines);
    for (size_t i = 0; i < lines.n; i++)
        ml_tool_say(&cfg->common, "  %s", lines.v[i]);
    ml_strs_release(&lines);
}

static int evaluate(struct cfg *cfg, struct ml_table *t, cJSON **out, struct ml_err *err)
{
    struct ml_predictions p = { 0 };
    struct ml_subject s = { 0 };
    struct ml_answers a = { 0 };
    struct ml_evaluation_opts o = { cfg->confidence, (uint64_t)cfg->seed, &cfg->cols, cfg->cols.find_slices,
        cfg->curves };
    struct ml_digest model;
    int rc = ml_predictions_read(&p, t, &cfg->cols, 0, err);
    *out = NULL;
    if (rc == 0)
        rc = ml_subject_settle_last(
            &s, &cfg->cols, &(struct ml_predictions *){ &p }, 1, &(struct ml_answers *){ &a }, err);
    if (rc == 0)
        rc = ml_evaluation_build(&p, &s, &a, &o, out, err);
    if (rc == 0 && cfg->model != NULL) {
        rc = ml_tree_digest(cfg->model, &model, NULL, err);
        if (rc == 0)
            ml_json_set_str(*out, "model", model.s);
    }
    if (rc == 0) {
        eval_say_unused(cfg, &p, &s, &a);
        say(cfg, &p, *out);
        eval_doubt(cfg, &s, *out);
    }
    ml_answers_release(&a);
    ml_subject_release(&s);
    ml_predictions_release(&p);
    return rc;
}

/* A policy may have rules about numbers that are no metrics; those others measure. */
static int read_policy(struct cfg *cfg, struct ml_err *err)
{
    if (cfg->policy == NULL)
        return 0;
    if (ml_policy_load(&cfg->rules, cfg->policy, err) < 0)
        return -1;
    ml_policy_metrics(&cfg->rules, &cfg->cols.offered);
    ml_policy_slices(&cfg->rules, &cfg->cols.named);
    return 0;
}

static int open_files(const struct cfg *cfg, struct ml_table **out, struct ml_err *err)
{
    return ml_table_open_files(cfg->common.args.v, cfg->common.args.n, cfg->cols.no_header, out, err);
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_card card = { ML_BUF_INIT };
    struct ml_table *t = NULL;
    cJSON *evaluation = NULL;
    int rc = -1;
    if (check_options(cfg, err) < 0 || read_policy(cfg, err) < 0)
        return -1;
    rc = ml_card_start(&card, &cfg->common, err);
    if (rc == 1 && cfg->common.card != NULL)
        rc = ml_err_set(err, ML_LOCAL, "no card on standard input");
    if (rc < 0 || (rc = open_files(cfg, &t, err)) < 0)
        goto out;
    rc = evaluate(cfg, t, &evaluation, err);
    if (rc < 0 || (rc = add_model(&card, cfg, err)) < 0 || (rc = add_run(&card, err)) < 0)
        goto out;
    ml_card_set(&card, "evaluation", evaluation);
    evaluation = NULL;
    rc = ml_card_put(&card, &cfg->common, err);
out:
    cJSON_Delete(evaluation);
    ml_table_close(t);
    ml_card_release(&card);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { .confidence = 0.95, .cols = ML_COLUMNS_INIT, .rules = ML_POLICY_INIT };
    int rc = ml_tool_main(&cmd, argc, argv, &cfg, run);
    ml_columns_release(&cfg.cols);
    ml_policy_release(&cfg.rules);
    return rc;
}
