/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-compare: candidate against current model; writes the card's section `comparison`. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/card.h"
#include "model/contest.h"
#include "model/policy.h"
#include "model/summary.h"

struct cfg {
    struct ml_common common;
    struct ml_columns cols;
    const char *current, *current_predictions, *candidate, *policy, *unmatched;
    struct ml_strs margins;
    double alpha;
    long look, seed;
    char threshold[32]; /* cols.threshold, where a card said it */
    bool unpaired;
};

static const struct ml_opt opts[] = {
    ML_OPT_ROW(0, "current", ML_OPT_STR, struct cfg, current, "FILE|REF",
        "the current model: predictions, card, metrics or image"),
    ML_OPT_ROW(0, "current-predictions", ML_OPT_STR, struct cfg, current_predictions, "FILE",
        "what the current model predicts now"),
    ML_OPT_ROW(
        0, "candidate", ML_OPT_STR, struct cfg, candidate, "FILE", "the candidate: predictions, card or metrics"),
    ML_OPT_ROW(0, "margin", ML_OPT_LIST, struct cfg, margins, "NAME=X",
        "a difference of metric NAME that is negligible: 0.01, or 1%"),
    ML_OPT_ROW(0, "alpha", ML_OPT_NUM, struct cfg, alpha, "A", "error of the tests and intervals [0.05]"),
    ML_OPT_ROW(0, "look", ML_OPT_INT, struct cfg, look, "J", "this is comparison J on these rows [no correction]"),
    ML_OPT_ROW(
        0, "policy", ML_OPT_STR, struct cfg, policy, "FILE", "take primary metrics and margins from this policy"),
    ML_OPT_ROW(0, "unmatched", ML_OPT_STR, struct cfg, unmatched, "drop", "leave out rows that only one side has"),
    ML_OPT_ROW(0, "unpaired", ML_OPT_FLAG, struct cfg, unpaired, NULL, "compare as measured on different rows"),
    ML_OPT_ROW(0, "seed", ML_OPT_INT, struct cfg, seed, "N", "of the bootstrap, where one is needed [0]"),
    ML_COLUMNS_OPTS(struct cfg, cols),
    ML_OPT_CA_FILE,
    ML_OPT_AUTH_FILE,
    ML_OPT_PLAIN_HTTP,
    ML_OPT_CARD(struct cfg),
    ML_OPT_OUT(struct cfg),
    ML_OPT_QUIET(struct cfg),
    ML_OPT_VERBOSE(struct cfg),
    ML_OPT_END,
};

static const struct ml_cmd cmd = {
    .name = "ml-compare",
    .summary = "compare a candidate with the current model: tests, verdicts",
    .synopsis = "--current FILE|REF [options]",
    .opts = opts,
    .examples = "ml-compare --current current.csv --candidate candidate.csv\n"
                "ml-eval candidate.csv | ml-compare --candidate candidate.csv \\\n"
                "    --current current.csv --margin accuracy=0.02",
    .max_args = 0,
};

#define NO_LOOK LONG_MIN /* the option wasn't given */

static int check_options(struct cfg *cfg, struct ml_err *err)
{
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
    const char *inputs[] = { cfg->current, cfg->current_predictions, cfg->candidate, cfg->common.card };
    int standard = 0;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        standard += inputs[i] != NULL && strcmp(inputs[i], "-") == 0;
    if (standard > 1)
        return ml_err_set(err, ML_USAGE, "standard input can serve one option only");
    /* What standard input is named for isn't read as a card. */
    return standard;
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
    }
    return 0;
}

/* What the candidate was measured as, where no option says otherwise. The strings are the evaluation's. */
static void inherit(struct cfg *cfg, const cJSON *evaluation)
{
    double threshold;
    const char *tuned = ml_json_str(evaluation, "threshold_tuned");
    const cJSON *m;
    cJSON_ArrayForEach(m, ml_json_get(evaluation, "metrics")) ml_strs_add(&cfg->cols.offered, m->string);
    if (cfg->cols.task == NULL)
        cfg->cols.task = ml_json_str(evaluation, "task");
    if (cfg->cols.cost == NULL)
        cfg->cols.cost = ml_json_str(evaluation, "costs");
    if (cfg->cols.positive == NULL)
        cfg->cols.positive = ml_json_str(evaluation, "positive");
    if (cfg->cols.threshold == NULL && tuned != NULL) {
        cfg->cols.threshold = tuned;
    } else if (cfg->cols.threshold == NULL && ml_json_num(evaluation, "threshold", &threshold)) {
        cfg->threshold[ml_double_format(threshold, cfg->threshold)] = '\0';
        cfg->cols.threshold = cfg->threshold;
    }
}

/* The candidate, and the card that goes on: the candidate's own, or the one that came in. */
static int load_candidate(
    struct cfg *cfg, bool stdin_taken, struct ml_contender *c, struct ml_card *card, struct ml_err *err)
{
    int rc;
    if (cfg->candidate != NULL && ml_contender_load(c, cfg->candidate, &cfg->cols, ML_PREDICTIONS_IDS, err) < 0)
        return -1;
    if (c->has_card) {
        if (cfg->common.card != NULL)
            return ml_err_set(err, ML_USAGE, "--card and a card as --candidate exclude each other");
        *card = c->card;
        c->has_card = false;
        inherit(cfg, c->evaluation);
        return 0;
    }
    rc = stdin_taken ? ml_card_start(card, &cfg->common, err) : ml_card_filter(card, &cfg->common, err);
    if (rc < 0 || (rc == 1 && cfg->candidate != NULL))
        return rc < 0 ? -1 : 0;
    if (rc == 1)
        return ml_err_set(err, ML_LOCAL, "no candidate: give --candidate FILE, or a card on standard input");
    if (c->reference == NULL)
        c->reference = ml_strdup("the card");
    c->evaluation = ml_card_get(card, "evaluation", err);
    if (c->evaluation == NULL && err->code != 0)
        return -1;
    inherit(cfg, c->evaluation);
    const char *digest = ml_json_str(ml_json_get(c->evaluation, "predictions"), "digest");
    if (c->has_predictions && digest != NULL && strcmp(digest, c->predictions.digest.s) != 0)
        return ml_err_set(err, ML_INTEGRITY, "'%s' isn't what the card's evaluation measured (%.19s…, not %.19s…)",
            c->reference, c->predictions.digest.s, digest);
    const char *data = ml_json_str(c->evaluation, "data");
    if (c->has_predictions && data != NULL && strcmp(data, c->predictions.data.s) != 0)
        return ml_err_set(err, ML_INTEGRITY,
            "'%s': the card's evaluation saw other ids, labels, weights or groups in it; give the same --id, --label, "
            "--weight and --group",
            c->reference);
    return 0;
}

static int load_current(const struct cfg *cfg, struct ml_contest *t, struct ml_err *err)
{
    const unsigned flags = ML_PREDICTIONS_IDS | ML_PREDICTIONS_LENIENT;
    t->current_is_image = cfg->current != NULL && ml_contender_is_image(cfg->current);
    t->current_predictions = cfg->current_predictions;
    if (t->current_is_image)
        return ml_contender_fetch(t->current, cfg->current, &cfg->cols, flags, err);
    return cfg->current != NULL ? ml_contender_load(t->current, cfg->current, &cfg->cols, flags, err) : 0;
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
    if (reason != NULL)
        ml_tool_say(&cfg->common, "%s against %s: %s", cand->reference, cur->reference, reason);
    else
        ml_tool_say(&cfg->common, "%s against %s%s: %.0f rows, %s, %.4g %% intervals", cand->reference, cur->reference,
            from != NULL && strcmp(from, "stored") == 0 ? " and its stored predictions" : "", rows, how,
            100 - alpha * 100);
    const cJSON *unmatched = ml_json_get(section, "unmatched");
    double only[2] = { 0, 0 };
    if (ml_json_num(unmatched, "current", &only[0]) && ml_json_num(unmatched, "candidate", &only[1]))
        ml_tool_say(&cfg->common, "left out: %.0f rows of the current model, %.0f of the candidate", only[0], only[1]);
    ml_summary_comparison(section, &lines);
    for (size_t i = 0; i < lines.n; i++)
        ml_tool_say(&cfg->common, "  %s", lines.v[i]);
    ml_strs_release(&lines);
}

static int compare(struct cfg *cfg, bool stdin_taken, struct ml_comparison_opts *o, struct ml_err *err)
{
    struct ml_contender current = { 0 }, candidate = { 0 };
    struct ml_card card = { ML_BUF_INIT };
    struct ml_contest t = { .current = &current,
        .candidate = &candidate,
        .cols = &cfg->cols,
        .opts = o,
        .unpaired = cfg->unpaired,
        .drop = cfg->unmatched != NULL };
    cJSON *section = NULL;
    int rc = load_candidate(cfg, stdin_taken, &candidate, &card, err);
    if (rc == 0)
        rc = load_current(cfg, &t, err);
    if (rc == 0)
        rc = ml_contest_run(&t, &section, err);
    if (rc == 0) {
        say(cfg, &candidate, &current, section);
        ml_card_set(&card, "comparison", section);
        rc = ml_card_put(&card, &cfg->common, err);
    }
    ml_card_release(&card);
    ml_contender_release(&candidate);
    ml_contender_release(&current);
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
    o.look = (unsigned)cfg->look;
    if (rc == 0 && cfg->policy != NULL) {
        rc = ml_policy_load(&policy, cfg->policy, err);
        o.policy = &policy;
        if (rc == 0)
            ml_policy_metrics(&policy, &cfg->cols.offered);
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
    ml_strs_release(&cfg.margins);
    ml_columns_release(&cfg.cols);
    return rc;
}
