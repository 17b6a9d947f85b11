/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-compare: what is compared with what. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/json.h"
#include "model/evaluation.h"

#include "compare.h"

/* What the candidate was measured as, where no option says otherwise. The strings are the evaluation's. */
static void inherit(struct cfg *cfg, const cJSON *evaluation)
{
    double threshold;
    const char *tuned = ml_json_str(evaluation, "threshold_tuned");
    const cJSON *m;
    cJSON_ArrayForEach(m, ml_json_get(evaluation, "metrics")) ml_strs_add(&cfg->cols.offered, m->string);
    cJSON_ArrayForEach(m, ml_json_get(evaluation, "slices")) if (!ml_strs_has(&cfg->cols.named, m->string))
        ml_strs_add(&cfg->cols.named, m->string);
    ml_evaluation_columns(evaluation, &cfg->cols);
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

/* The card that comes in. */
struct incoming {
    struct cfg *cfg;
    bool stdin_taken, looked, none;
    struct ml_contender *candidate;
    struct ml_card *card;
};

/* The digest of the file that the card's evaluation measured, or NULL. */
static const char *measured_digest(const struct ml_contender *c)
{
    return ml_json_str(ml_json_get(c->evaluation, "predictions"), "digest");
}

/* Reads it, once; what the candidate was measured as has to be known before its rows are read. */
static int take_card(void *arg, struct ml_err *err)
{
    struct incoming *in = arg;
    struct cfg *cfg = in->cfg;
    if (in->looked)
        return 0;
    in->looked = true;
    int rc = in->stdin_taken ? ml_card_start(in->card, &cfg->common, err) : ml_card_filter(in->card, &cfg->common, err);
    in->none = rc == 1;
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    in->candidate->evaluation = ml_card_get(in->card, "evaluation", err);
    if (in->candidate->evaluation == NULL && err->code != 0)
        return -1;
    in->candidate->hashed |= measured_digest(in->candidate) != NULL;
    inherit(cfg, in->candidate->evaluation);
    return 0;
}

/* The candidate, and the card that goes on: the candidate's own, or the one that came in. */
static int load_candidate(
    struct cfg *cfg, bool stdin_taken, struct ml_contender *c, struct ml_card *card, struct ml_err *err)
{
    struct incoming in = { .cfg = cfg, .stdin_taken = stdin_taken, .candidate = c, .card = card };
    int rc = 0;
    c->before = take_card;
    c->before_arg = &in;
    c->hashed = cfg->candidates.n > 1 || cfg->runs.n > 0;
    if (cfg->candidates.n > 0)
        rc = ml_contender_load(c, cfg->candidates.v[0], &cfg->cols, ML_PREDICTIONS_IDS | ML_PREDICTIONS_UNCHECKED, err);
    c->before = NULL;
    if (rc < 0)
        return -1;
    if (c->has_card) {
        if (cfg->common.card != NULL)
            return ml_err_set(err, ML_USAGE, "--card and a card as --candidate exclude each other");
        *card = c->card;
        c->has_card = false;
        inherit(cfg, c->evaluation);
        return 0;
    }
    if (take_card(&in, err) < 0)
        return -1;
    if (in.none && cfg->candidates.n > 0)
        return 0;
    if (in.none)
        return ml_err_set(err, ML_LOCAL, "no candidate: give --candidate FILE, or a card on standard input");
    if (c->reference == NULL)
        c->reference = ml_strdup("the card");
    const cJSON *measured = ml_json_get(c->evaluation, "predictions");
    const char *digest = measured_digest(c);
    bool other = c->has_predictions && digest != NULL && strcmp(digest, c->predictions.digest.s) != 0;
    if (other && ml_json_get(measured, "files") != NULL)
        return ml_err_set(err, ML_INTEGRITY,
            "'%s' isn't what the card's evaluation measured: that were several files; put them in a directory and give "
            "that to both ml-eval and --candidate",
            c->reference);
    if (other)
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
    bool ordered = t->candidate->predictions.keys.n == 0; /* then the current model's ids may well be alike */
    unsigned flags = ML_PREDICTIONS_IDS | ML_PREDICTIONS_LENIENT | (ordered ? 0 : ML_PREDICTIONS_KEYS);
    t->current_is_image = cfg->current != NULL && ml_contender_is_image(cfg->current);
    t->current_predictions = cfg->current_predictions;
    t->current->hashed = cfg->current_runs.n > 0;
    if (t->current_is_image)
        return ml_contender_fetch(t->current, cfg->current, &cfg->cols, flags, err);
    return cfg->current != NULL ? ml_contender_load(t->current, cfg->current, &cfg->cols, flags, err) : 0;
}

/* Predictions of the same rows from further files; the array is the caller's, with room for n. */
static int load_more(const struct ml_columns *cols, char *const *paths, size_t n, unsigned flags,
    struct ml_contender *out, struct ml_err *err)
{
    for (size_t i = 0; i < n; i++) {
        out[i].hashed = true;
        if (ml_contender_load_predictions(&out[i], paths[i], cols, flags, err) < 0)
            return -1;
    }
    return 0;
}

static int load_all_more(const struct cfg *cfg, struct compare_inputs *in, struct ml_contest *t, struct ml_err *err)
{
    const unsigned flags = ML_PREDICTIONS_IDS | ML_PREDICTIONS_LENIENT;
    const struct ml_strs *runs[2] = { &cfg->current_runs, &cfg->runs };
    for (int side = 0; side < 2; side++) {
        t->n_runs[side] = runs[side]->n;
        t->runs[side] = in->runs[side] = ml_calloc(runs[side]->n + 1, sizeof(struct ml_contender));
    }
    t->n_rivals = cfg->candidates.n > 1 ? cfg->candidates.n - 1 : 0;
    t->rivals = in->rivals = ml_calloc(t->n_rivals + 1, sizeof(struct ml_contender));
    for (int side = 0; side < 2; side++)
        if (load_more(&cfg->cols, runs[side]->v, runs[side]->n, flags, in->runs[side], err) < 0)
            return -1;
    return load_more(&cfg->cols, cfg->candidates.v + 1, t->n_rivals, flags, in->rivals, err);
}

/* Before the test rows are compared, for then it is known whether these are others. */
static int load_confirm(const struct cfg *cfg, struct compare_inputs *in, struct ml_contest *t, struct ml_err *err)
{
    const char *paths[2] = { cfg->confirm_current, cfg->confirm };
    if (cfg->confirm == NULL)
        return 0;
    for (int i = 0; i < 2; i++) {
        unsigned flags = ML_PREDICTIONS_IDS | (i == 0 ? ML_PREDICTIONS_LENIENT : 0);
        if (paths[i] == NULL)
            continue;
        in->confirm[i].hashed = true;
        if (ml_contender_load_predictions(&in->confirm[i], paths[i], &cfg->cols, flags, err) < 0)
            return -1;
        t->confirm[i] = &in->confirm[i];
    }
    return ml_contest_check_confirm(t, err);
}

int compare_load(struct cfg *cfg, bool stdin_taken, struct compare_inputs *in, struct ml_contest *t, struct ml_err *err)
{
    t->current = &in->current;
    t->candidate = &in->candidate;
    t->cols = &cfg->cols;
    if (load_candidate(cfg, stdin_taken, &in->candidate, &in->card, err) < 0)
        return -1;
    int rc = load_current(cfg, t, err);
    /* The current model's ids may tell that the candidate's are fine; if not, that goes before what is wrong there. */
    if (ml_predictions_check_ids(&in->candidate.predictions, &in->current.predictions, err) < 0 || rc < 0)
        return -1;
    return load_all_more(cfg, in, t, err) < 0 ? -1 : load_confirm(cfg, in, t, err);
}

static void release_all(struct ml_contender *c, size_t n)
{
    for (size_t i = 0; c != NULL && i < n; i++)
        ml_contender_release(&c[i]);
    free(c);
}

void compare_release(const struct cfg *cfg, struct compare_inputs *in)
{
    ml_card_release(&in->card);
    ml_contender_release(&in->current);
    ml_contender_release(&in->candidate);
    ml_contender_release(&in->confirm[0]);
    ml_contender_release(&in->confirm[1]);
    release_all(in->runs[0], cfg->current_runs.n);
    release_all(in->runs[1], cfg->runs.n);
    release_all(in->rivals, cfg->candidates.n > 1 ? cfg->candidates.n - 1 : 0);
}
