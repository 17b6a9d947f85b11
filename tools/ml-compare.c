/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-compare: candidate against current model; writes the card's section `comparison`. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/card.h"
#include "model/contest.h"
#include "model/policy.h"
#include "model/summary.h"
#include "stats/extra.h"

#include "compare.h"

static const struct ml_opt opts[] = {
    ML_OPT_ROW(0, "current", ML_OPT_STR, struct cfg, current, "FILE|REF",
        "the current model: predictions, card, metrics or image"),
    ML_OPT_ROW(0, "current-predictions", ML_OPT_STR, struct cfg, current_predictions, "FILE",
        "what the current model predicts now"),
    ML_OPT_ROW(0, "current-runs", ML_OPT_LIST, struct cfg, current_runs, "FILE",
        "what it predicts when trained with another seed"),
    ML_OPT_ROW(0, "candidate", ML_OPT_LIST, struct cfg, candidates, "FILE",
        "the candidate: predictions, card or metrics; several: further ones"),
    ML_OPT_ROW(
        0, "runs", ML_OPT_LIST, struct cfg, runs, "FILE", "what the candidate predicts when trained with another seed"),
    ML_OPT_ROW(0, "margin", ML_OPT_LIST, struct cfg, margins, "NAME=X",
        "a difference of metric NAME that is negligible: 0.01, or 1%"),
    ML_OPT_ROW(0, "alpha", ML_OPT_NUM, struct cfg, alpha, "A", "error of the tests and intervals [0.05]"),
    ML_OPT_ROW(0, "test", ML_OPT_LIST, struct cfg, tests, "tost|wilcoxon|permutation|bootstrap|cluster-bootstrap",
        "a further test of the primary metrics, beside their own"),
    ML_OPT_ROW(0, "confirm", ML_OPT_STR, struct cfg, confirm, "FILE",
        "the candidate's predictions of rows that are kept for after the merge"),
    ML_OPT_ROW(0, "confirm-current", ML_OPT_STR, struct cfg, confirm_current, "FILE",
        "the current model's predictions of those rows"),
    ML_OPT_ROW(0, "look", ML_OPT_INT, struct cfg, look, "J", "this is comparison J on these rows [no correction]"),
    ML_OPT_ROW(
        0, "policy", ML_OPT_STR, struct cfg, policy, "FILE", "take primary metrics and margins from this policy"),
    ML_OPT_ROW(0, "unmatched", ML_OPT_STR, struct cfg, unmatched, "drop", "leave out rows that only one side has"),
    ML_OPT_ROW(0, "unpaired", ML_OPT_FLAG, struct cfg, unpaired, NULL, "compare as measured on different rows"),
    ML_OPT_ROW(0, "seed", ML_OPT_INT, struct cfg, seed, "N", "of the bootstrap, where one is needed [0]"),
    ML_COLUMNS_OPTS(struct cfg, cols),
    ML_OPT_REGISTRY,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-compare",
    .summary = "compare a candidate with the current model: tests, verdicts",
    .synopsis = "--current FILE|REF [options]",
    .opts = opts,
    .examples = "ml-compare --current current.csv --candidate candidate.csv\n"
                "ml-eval candidate.csv | ml-compare --candidate candidate.csv \\\n"
                "    --current current.csv --margin accuracy=0.02",
    .max_args = -1, /* none, with a word about what they may be meant for */
};

#define NO_LOOK    LONG_MIN /* the option wasn't given */
#define RIVALS_MAX 100
#define ONE_RUN    "runs are to show what other seeds change, and a training that has none is one run"

/* That a pipeline runs for what was merged. A protected branch takes merges as the default one does; a tag names what
 * is there, and has no branch. */
static int check_merged(struct ml_err *err)
{
    const char *merge_request = ml_env("CI_MERGE_REQUEST_IID"), *branch = ml_env("CI_COMMIT_BRANCH");
    const char *main_branch = ml_env("CI_DEFAULT_BRANCH"), *is_protected = ml_env("CI_COMMIT_REF_PROTECTED");
    if (merge_request != NULL)
        return ml_err_set(err, ML_USAGE,
            "--confirm in merge request %.20s: these rows are for after the merge, and what a merge request has seen "
            "confirms nothing",
            merge_request);
    if (branch != NULL && main_branch != NULL && strcmp(branch, main_branch) != 0 &&
        (is_protected == NULL || strcmp(is_protected, "true") != 0))
        return ml_err_set(err, ML_USAGE,
            "--confirm on branch '%.100s': these rows are for after the merge, on '%.100s' or a protected branch",
            branch, main_branch);
    return 0;
}

/* Several runs and candidates, and the confirmation, which is of the first of them. */
static int check_more(const struct cfg *cfg, struct ml_err *err)
{
    if (cfg->candidates.n > RIVALS_MAX || cfg->runs.n >= ML_RUNS_MAX || cfg->current_runs.n >= ML_RUNS_MAX)
        return ml_err_set(
            err, ML_USAGE, "at most %d candidates and %d runs are compared at once", RIVALS_MAX, ML_RUNS_MAX);
    if (cfg->candidates.n > 1 && cfg->runs.n + cfg->current_runs.n > 0)
        return ml_err_set(err, ML_USAGE,
            "several candidates and several runs exclude each other: rank the candidates by one run of each, then "
            "compare the best one with all its runs");
    if (cfg->confirm_current != NULL && cfg->confirm == NULL)
        return ml_err_set(err, ML_USAGE, "--confirm-current needs --confirm");
    return cfg->confirm != NULL ? check_merged(err) : 0;
}

static int check_options(struct cfg *cfg, struct ml_err *err)
{
    if (cfg->common.args.n > 0)
        return ml_err_set(err, ML_USAGE, "unexpected operand '%s'; %s", cfg->common.args.v[0],
            cfg->current == NULL || cfg->candidates.n == 0
                ? "the models are given with --current and --candidate"
                : "several files of one model are given as the directory that they lie in");
    if (cfg->current == NULL && cfg->current_predictions == NULL)
        return ml_err_set(err, ML_USAGE, "say what is current: --current FILE or --current REF");
    if (!(cfg->alpha > 0 && cfg->alpha < 1))
        return ml_err_set(err, ML_USAGE, "--alpha must be between 0 and 1, as in 0.05");
    if (cfg->look == NO_LOOK)
        cfg->look = 0;
    else if (cfg->look < 1 || cfg->look > 1000000)
        return ml_err_set(err, ML_USAGE, "--look counts comparisons from 1");
    if (cfg->seed < 0)
        return ml_err_set(err, ML_USAGE, "--seed must not be negative");
    if (cfg->unmatched != NULL && strcmp(cfg->unmatched, "drop") != 0)
        return ml_err_set(err, ML_USAGE, "--unmatched takes 'drop' only");
    if (cfg->cols.score != NULL && cfg->cols.scores != NULL)
        return ml_err_set(err, ML_USAGE, "--score and --scores exclude each other");
    if (check_more(cfg, err) < 0)
        return -1;
    const char *inputs[] = { cfg->current, cfg->current_predictions, cfg->common.card, cfg->confirm,
        cfg->confirm_current };
    const struct ml_strs *lists[] = { &cfg->candidates, &cfg->runs, &cfg->current_runs };
    int standard = 0;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        standard += inputs[i] != NULL && strcmp(inputs[i], "-") == 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            standard += strcmp(lists[i]->v[k], "-") == 0;
    if (standard > 1)
        return ml_err_set(err, ML_USAGE, "standard input can serve one option only");
    /* What standard input is named for isn't read as a card. */
    return standard;
}

static int parse_tests(const struct cfg *cfg, unsigned *extras, struct ml_err *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = { { "tost", ML_EXTRA_TOST }, { "wilcoxon", ML_EXTRA_WILCOXON }, { "permutation", ML_EXTRA_PERMUTATION },
        { "bootstrap", ML_EXTRA_BOOTSTRAP }, { "cluster-bootstrap", ML_EXTRA_BOOTSTRAP } };
    for (size_t i = 0; i < cfg->tests.n; i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && strcmp(known[k].name, cfg->tests.v[i]) != 0)
            k++;
        if (k == sizeof known / sizeof *known)
            return ml_err_set(err, ML_USAGE, "--test '%s': tost, wilcoxon, permutation, bootstrap or cluster-bootstrap",
                cfg->tests.v[i]);
        if (strcmp(known[k].name, "cluster-bootstrap") == 0 && cfg->cols.group == NULL)
            return ml_err_set(err, ML_USAGE, "--test cluster-bootstrap needs --group");
        *extras |= known[k].bit;
    }
    return 0;
}

static int parse_margins(const struct cfg *cfg, struct ml_named_margin *out, struct ml_err *err)
{
    for (size_t i = 0; i < cfg->margins.n; i++) {
        const char *value;
        if (ml_tool_pair(cfg->margins.v[i], '=', "--margin", &out[i].metric, &value, err) < 0)
            return -1;
        if (!ml_margin_parse(value, &out[i].margin))
            return ml_err_set(
                err, ML_USAGE, "--margin '%s': a number above 0, or a percentage such as 1%%", cfg->margins.v[i]);
        const struct ml_metric *known = ml_metric_find(out[i].metric);
        if (out[i].margin.relative && known != NULL && known->low < 0)
            return ml_err_set(err, ML_USAGE, "--margin '%s': '%s' can be negative: give a number, not a percentage",
                cfg->margins.v[i], out[i].metric);
    }
    return 0;
}

static void say(
    const struct cfg *cfg, const struct ml_contender *cand, const struct ml_contender *cur, const cJSON *section)
{
    struct ml_strs lines = { 0 };
    const char *reason = ml_json_str(section, "reason");
    double rows = 0, alpha = cfg->alpha;
    ml_json_num(section, "rows", &rows);
    ml_json_num(section, "alpha", &alpha);
    const char *from = ml_json_str(ml_json_get(section, "current"), "predictions");
    const char *how = ml_json_true(section, "identical") ? "identical"
                      : ml_json_true(section, "paired")  ? "paired"
                                                         : "unpaired";
    double of_each[2];
    char both[64] = "";
    if (!ml_json_true(section, "paired") && ml_json_num(cand->evaluation, "rows", &of_each[0]) &&
        ml_json_num(cur->evaluation, "rows", &of_each[1]) && of_each[0] != of_each[1]) {
        rows = of_each[0];
        snprintf(both, sizeof both, " against %.0f", of_each[1]);
    }
    if (reason != NULL)
        ml_tool_say(&cfg->common, "%s against %s: %s", cand->reference, cur->reference, reason);
    else
        ml_tool_say(&cfg->common, "%s against %s%s: %.0f row%s%s, %s, %.4g %% intervals", cand->reference,
            cur->reference, from != NULL && strcmp(from, "stored") == 0 ? " and its stored predictions" : "", rows,
            ML_PLURAL(rows), both, how, 100 - alpha * 100);
    const cJSON *unmatched = ml_json_get(section, "unmatched");
    double only[2] = { 0, 0 };
    if (ml_json_num(unmatched, "current", &only[0]) && ml_json_num(unmatched, "candidate", &only[1]))
        ml_tool_say(&cfg->common, "left out: %.0f row%s of the current model, %.0f of the candidate", only[0],
            ML_PLURAL(only[0]), only[1]);
    const cJSON *runs = ml_json_get(section, "runs");
    int n_current = cJSON_GetArraySize(ml_json_get(runs, "current"));
    int n_candidate = cJSON_GetArraySize(ml_json_get(runs, "candidate"));
    if (n_current > 0)
        ml_tool_say(
            &cfg->common, "means over runs: %d of the current model, %d of the candidate", n_current, n_candidate);
    else if (n_candidate > 0)
        ml_tool_say(&cfg->common, "means over %d runs of the candidate:", n_candidate);
    if ((n_current == 2 || n_candidate == 2) && !ml_json_true(section, "identical"))
        ml_tool_say(&cfg->common, ML_TWO_RUNS);
    ml_summary_comparison(section, &lines);
    for (size_t i = 0; i < lines.n; i++)
        ml_tool_say(&cfg->common, "  %s", lines.v[i]);
    ml_strs_release(&lines);
}

/* The same file twice tells nothing of other seeds, or of another candidate. */
static void doubt_same(const struct cfg *cfg, const struct ml_contender *first, const struct ml_contender *more,
    size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && strcmp(more[k].predictions.digest.s, more[i].predictions.digest.s) != 0)
            k++;
        const struct ml_contender *same = k < i ? &more[k] : first;
        if (same->has_predictions && strcmp(same->predictions.digest.s, more[i].predictions.digest.s) == 0)
            ml_tool_warn(
                &cfg->common, "'%s' is what '%s' is, to the last byte: %s", more[i].reference, same->reference, what);
    }
}

/* Cards, metrics files and other rows have no pairs of rows, and a first model has no partner. */
static void doubt_tests(const struct cfg *cfg, const struct ml_comparison_opts *o, const cJSON *section)
{
    const char *names[4];
    if (o->extras != 0 && ml_summary_tests(section, names) == 0)
        ml_tool_warn(&cfg->common, "--test: no such test was made; they are of one set of rows, compared row by row");
}

static int compare(struct cfg *cfg, bool stdin_taken, struct ml_comparison_opts *o, struct ml_err *err)
{
    struct compare_inputs in = { .card = { ML_BUF_INIT } };
    struct ml_contest t = { .opts = o, .unpaired = cfg->unpaired, .drop = cfg->unmatched != NULL };
    cJSON *section = NULL;
    int rc = compare_load(cfg, stdin_taken, &in, &t, err);
    const char *unused = in.candidate.predictions.scores_unused;
    if (rc == 0 && unused != NULL && in.candidate.evaluation == NULL)
        ml_tool_say(&cfg->common, ML_SCORES_UNUSED, unused, unused);
    if (rc == 0) {
        doubt_same(cfg, &in.current, in.runs[0], t.n_runs[0], ONE_RUN);
        doubt_same(cfg, &in.candidate, in.runs[1], t.n_runs[1], ONE_RUN);
        doubt_same(cfg, &in.candidate, in.rivals, t.n_rivals, "it is ranked twice");
        rc = ml_contest_run(&t, &section, err);
    }
    if (rc == 0) {
        doubt_tests(cfg, o, section);
        say(cfg, &in.candidate, &in.current, section);
        ml_card_set(&in.card, "comparison", section);
        rc = ml_card_put(&in.card, &cfg->common, err);
    }
    compare_release(cfg, &in);
    return rc;
}

static int run(void *arg, struct ml_err *err)
{
    struct cfg *cfg = arg;
    struct ml_policy policy = ML_POLICY_INIT;
    struct ml_named_margin *margins = ml_calloc(cfg->margins.n + 1, sizeof *margins);
    struct ml_comparison_opts o = {
        .alpha = cfg->alpha, .seed = (uint64_t)cfg->seed, .margins = margins, .n_margins = cfg->margins.n
    };
    int standard = check_options(cfg, err), rc = standard < 0 ? -1 : parse_margins(cfg, margins, err);
    if (rc == 0)
        rc = parse_tests(cfg, &o.extras, err);
    o.look = (unsigned)cfg->look;
    if (rc == 0 && cfg->policy != NULL) {
        rc = ml_policy_load(&policy, cfg->policy, err);
        o.policy = &policy;
        if (rc == 0)
            ml_policy_metrics(&policy, &cfg->cols.offered);
        if (rc == 0)
            ml_policy_slices(&policy, &cfg->cols.named);
    }
    if (rc == 0)
        rc = compare(cfg, standard > 0, &o, err);
    for (size_t i = 0; i < cfg->margins.n; i++)
        free(margins[i].metric);
    free(margins);
    ml_policy_release(&policy);
    return rc;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { .alpha = 0.05, .look = NO_LOOK, .cols = ML_COLUMNS_INIT };
    int rc = ml_tool_main(&cmd, argc, argv, &cfg, run);
    struct ml_strs *lists[] = { &cfg.candidates, &cfg.runs, &cfg.current_runs, &cfg.margins, &cfg.tests };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        ml_strs_release(lists[i]);
    ml_columns_release(&cfg.cols);
    return rc;
}
