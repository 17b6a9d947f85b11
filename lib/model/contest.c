/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Brings two contenders together as well as what is there allows. */
#include "model/contest.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/gate.h"
#include "model/pairing.h"

#define BY_ROW     "several runs or candidates are compared row by row only, from predictions"
#define CONFIDENCE 0.95 /* of evaluations made on the way; only their standard errors are used */

/* Who is current. Where its data is known from its card that counts: it is what the model was judged by. */
static void describe_current(cJSON *to, const struct ml_contender *c, const struct ml_policy *policy, bool used)
{
    cJSON *o = ml_json_set_object(to, "current");
    ml_json_set_str(o, "reference", c->reference);
    cJSON *publication = c->has_card ? ml_card_get(&c->card, "publication", NULL) : NULL;
    ml_json_set_str(o, "digest", c->digest.s[0] != '\0' ? c->digest.s : ml_json_str(publication, "digest"));
    cJSON_Delete(publication);
    const char *data = ml_json_str(c->evaluation, "data");
    if (data == NULL && c->has_predictions)
        data = c->predictions.data.s;
    ml_json_set_str(o, "data", data);
    ml_json_set_str(o, "predictions", !used || !c->has_predictions ? NULL : c->stored ? "stored" : "given");
    if (!c->has_card)
        return;
    cJSON *gate = ml_card_get(&c->card, "gate", NULL);
    const char *digest = ml_json_str(gate, "policy_digest");
    if (digest != NULL)
        ml_json_set_str(o, "policy_digest", digest);
    cJSON_Delete(gate);
    if (policy != NULL)
        ml_gate_numbers(policy, ml_buf_str(&c->card.text), c->card.text.len, o);
}

static void add_unmatched(cJSON *to, const struct ml_mismatch *m)
{
    if (m->only_current + m->only_candidate == 0)
        return;
    cJSON *o = ml_json_set_object(to, "unmatched");
    ml_json_set_int(o, "current", (int64_t)m->only_current);
    ml_json_set_int(o, "candidate", (int64_t)m->only_candidate);
}

/* No comparison, and why. */
static int nothing(const struct ml_contest *t, cJSON *to, const char *reason)
{
    ml_json_set_bool(to, "paired", false);
    ml_json_set_bool(to, "identical", false);
    ml_json_set(to, "rows", NULL);
    ml_json_set_str(to, "reason", reason);
    ml_json_set_num(to, "alpha", ml_look_alpha(t->opts->alpha, t->opts->look));
    ml_json_set(to, "look", NULL);
    if (t->opts->look > 0)
        ml_json_set_int(to, "look", t->opts->look);
    ml_json_set_object(to, "metrics");
    ml_json_set_object(to, "slices");
    return 0;
}

static int count_promotions(const struct ml_contest *t, struct ml_err *err)
{
    const struct ml_contender *c = t->candidate;
    const char *data = c->has_predictions ? c->predictions.data.s : ml_json_str(c->evaluation, "data");
    if (!t->current_is_image || data == NULL)
        return 0;
    int rc = ml_contender_count_promotions(t->current, data, err);
    t->opts->promotions = t->current->promotions;
    return rc;
}

/* Brings further predictions into the candidate's order. Rows that only they have may be dropped like the current
 * model's; the candidate's all have to be there. */
static int join(const struct ml_contest *t, struct ml_contender *c, struct ml_err *err)
{
    struct ml_predictions *to = &t->candidate->predictions;
    struct ml_mismatch m = { 0 };
    uint64_t memory;
    if (!c->has_predictions)
        return ml_err_set(err, ML_USAGE, "'%s' holds no predictions", c->reference);
    if (ml_memory_limit(&memory, err) < 0)
        return -1;
    int rc = ml_predictions_pair(&c->predictions, to, false, memory, &m);
    if (rc == 1 && t->drop && m.only_candidate == 0 && m.labels + m.weights + m.groups + m.slices == 0)
        rc = ml_predictions_pair(&c->predictions, to, true, memory, &m);
    bool parts = t->n_rivals > 0 && m.only_candidate == to->n;
    return rc == 0 ? 0
                   : ml_err_set(err, ML_INTEGRITY, "the predictions in '%s' are not about the candidate's rows: %s%s",
                         c->reference, m.message,
                         parts ? "; several files of one candidate are given as the directory that they lie in" : "");
}

static int join_all(
    const struct ml_contest *t, struct ml_contender *from, size_t n, struct ml_entrants *to, struct ml_err *err)
{
    to->p = ml_malloc((n + 1) * sizeof *to->p);
    to->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (join(t, &from[i], err) < 0)
            return -1;
        to->p[to->n++] = &from[i].predictions;
    }
    return 0;
}

/* The section's numbers; `current` NULL: of the candidates among each other, or of one's runs. */
static int compare_field(const struct ml_contest *t, cJSON *to, struct ml_predictions *current, struct ml_err *err)
{
    struct ml_field f = { .current = current, .candidate = &t->candidate->predictions };
    int rc = join_all(t, t->rivals, t->n_rivals, &f.rivals, err);
    for (int side = 0; rc == 0 && side < 2; side++)
        rc = join_all(t, t->runs[side], t->n_runs[side], &f.runs[side], err);
    ml_predictions_drop_ids(&t->candidate->predictions, false);
    if (rc == 0 && current != NULL)
        rc = ml_comparison_paired(to, t->opts, t->cols, &f, err);
    else if (rc == 0)
        rc = ml_comparison_alone(to, t->opts, t->cols, &f, err);
    free(f.rivals.p);
    free(f.runs[0].p);
    free(f.runs[1].p);
    return rc;
}

static int compare_paired(struct ml_contest *t, cJSON *to, const struct ml_mismatch *m, struct ml_err *err)
{
    describe_current(to, t->current, t->opts->policy, true);
    add_unmatched(to, m);
    if (count_promotions(t, err) < 0)
        return -1;
    t->opts->calibration = cJSON_IsObject(ml_json_get(t->candidate->evaluation, "calibration"));
    t->opts->curves = cJSON_IsObject(ml_json_get(t->candidate->evaluation, "curves"));
    return compare_field(t, to, &t->current->predictions, err);
}

static int load_given(struct ml_contest *t, struct ml_err *err)
{
    return ml_contender_load_predictions(
        t->current, t->current_predictions, t->cols, ML_PREDICTIONS_IDS | ML_PREDICTIONS_LENIENT, err);
}

static int paired(struct ml_contest *t, cJSON *to, struct ml_err *err)
{
    struct ml_contender *cur = t->current, *cand = t->candidate;
    struct ml_mismatch m = { 0 };
    uint64_t memory;
    if (ml_memory_limit(&memory, err) < 0)
        return -1;
    if (!cand->has_predictions)
        return ml_err_set(err, ML_USAGE,
            "comparing row by row needs the candidate's predictions: give them with --candidate, or say --unpaired");
    /* What the current model really said goes before what it says now, as long as it is about the same rows. */
    bool drop = t->drop && t->current_predictions == NULL;
    if (cur->stored && ml_predictions_pair(&cur->predictions, &cand->predictions, drop, memory, &m) == 0)
        return compare_paired(t, to, &m, err);
    bool stored = cur->stored;
    if (t->current_predictions != NULL && (load_given(t, err) < 0))
        return -1;
    if (cur->stored || !cur->has_predictions) {
        if (!t->current_is_image)
            return ml_err_set(err, ML_USAGE,
                "'%s' holds no predictions: give them with --current-predictions, or say --unpaired", cur->reference);
        describe_current(to, cur, t->opts->policy, false);
        char *reason =
            ml_format("%s, and no others were given (--current-predictions)", stored ? m.message : cur->no_predictions);
        int rc = nothing(t, to, reason);
        free(reason);
        return rc;
    }
    if (ml_predictions_pair(&cur->predictions, &cand->predictions, t->drop, memory, &m) == 0)
        return compare_paired(t, to, &m, err);
    bool only_ids = m.labels + m.weights + m.groups + m.slices == 0 && m.only_current + m.only_candidate > 0 &&
                    m.only_candidate < cand->predictions.n;
    return ml_err_set(err, ML_INTEGRITY, "the predictions are not about the same rows: %s%s", m.message,
        only_ids && !t->drop ? "; '--unmatched drop' leaves them out" : "");
}

static int unpaired(struct ml_contest *t, cJSON *to, struct ml_err *err)
{
    struct ml_contender *cur = t->current, *cand = t->candidate;
    if (t->current_predictions != NULL && load_given(t, err) < 0)
        return -1;
    /* Predictions that were given now go before what a card says of earlier ones. */
    if (cur->has_predictions && !cur->stored) {
        cJSON_Delete(cur->evaluation);
        cur->evaluation = NULL;
    }
    if (cur->evaluation == NULL && !cur->has_predictions) {
        describe_current(to, cur, t->opts->policy, false);
        return nothing(t, to, "the current model has neither a card with an evaluation nor predictions");
    }
    if (cand->evaluation == NULL && !cand->has_predictions)
        return ml_err_set(err, ML_LOCAL, "the candidate's card has no evaluation; ml-eval makes one");
    if (ml_contender_evaluate(cur, t->cols, CONFIDENCE, err) < 0 ||
        ml_contender_evaluate(cand, t->cols, CONFIDENCE, err) < 0 || count_promotions(t, err) < 0)
        return -1;
    describe_current(to, cur, t->opts->policy, cur->has_predictions && !cur->stored);
    return ml_comparison_unpaired(to, t->opts, cur->evaluation, cand->evaluation, err);
}

/* The numbers of a contender as a tree; `own` is what the caller has to delete. */
static const cJSON *numbers(struct ml_contender *c, const struct ml_columns *cols, cJSON **own, struct ml_err *err)
{
    const cJSON *m;
    *own = NULL;
    if (c->metrics != NULL)
        return c->metrics;
    if (c->evaluation == NULL && !c->has_predictions) {
        ml_err_set(err, ML_LOCAL, "'%s' holds no metrics", c->reference);
        return NULL;
    }
    if (ml_contender_evaluate(c, cols, CONFIDENCE, err) < 0)
        return NULL;
    *own = cJSON_CreateObject();
    cJSON_ArrayForEach(m, ml_json_get(c->evaluation, "metrics"))
    {
        double x;
        if (ml_json_num(m, "value", &x))
            ml_json_set_num(*own, m->string, x);
    }
    return *own;
}

static int plain(struct ml_contest *t, cJSON *to, struct ml_err *err)
{
    cJSON *own[2] = { NULL, NULL };
    int rc = -1;
    const cJSON *a = numbers(t->current, t->cols, &own[0], err);
    const cJSON *b = a != NULL ? numbers(t->candidate, t->cols, &own[1], err) : NULL;
    if (b != NULL) {
        describe_current(to, t->current, t->opts->policy, false);
        rc = ml_comparison_plain(to, t->opts, a, b, err);
    }
    cJSON_Delete(own[0]);
    cJSON_Delete(own[1]);
    return rc;
}

/* How often the confirmation set was used before, as the current model's card tells. */
static size_t confirmed_before(const struct ml_contest *t, const char *data)
{
    int64_t seen = 0;
    cJSON *comparison = t->current->has_card ? ml_card_get(&t->current->card, "comparison", NULL) : NULL;
    const cJSON *before = ml_json_get(comparison, "confirm");
    const char *of = ml_json_str(ml_json_get(before, "evaluation"), "data");
    if (of == NULL || strcmp(of, data) != 0 || !ml_json_int(ml_json_get(before, "reuse"), "seen", &seen) || seen < 0)
        seen = 0;
    cJSON_Delete(comparison);
    return (size_t)seen;
}

/* The section `confirm`: like the comparison itself, with the evaluation beside it, so that rules can be held against
 * both as they are against the card's own. */
static int confirm(struct ml_contest *t, cJSON *to, struct ml_err *err)
{
    struct ml_contender *cur = t->confirm[0], *cand = t->confirm[1];
    struct ml_comparison_opts opts = *t->opts;
    struct ml_contest inner = { .current = cur, .candidate = cand, .cols = t->cols, .opts = &opts };
    struct ml_mismatch m = { 0 };
    cJSON *o = ml_json_set_object(to, "confirm");
    opts.look = 0;
    opts.calibration = opts.curves = false;
    opts.promotions = confirmed_before(t, cand->predictions.data.s);
    ml_json_set_str(o, "reference", cand->reference);
    if (ml_contender_evaluate(cand, t->cols, CONFIDENCE, err) < 0)
        return -1;
    ml_json_set(o, "evaluation", cJSON_Duplicate(cand->evaluation, true));
    if (t->current->absent) {
        ml_json_set(o, "current", NULL);
        return nothing(&inner, o, "no current model");
    }
    describe_current(o, cur != NULL ? cur : t->current, NULL, cur != NULL);
    if (cur == NULL)
        return nothing(&inner, o, "the current model's predictions of these rows were not given (--confirm-current)");
    uint64_t memory;
    if (ml_memory_limit(&memory, err) < 0)
        return -1;
    if (ml_predictions_pair(&cur->predictions, &cand->predictions, false, memory, &m) != 0)
        return ml_err_set(err, ML_INTEGRITY, "the confirmations are not about the same rows: %s", m.message);
    return compare_field(&inner, o, &cur->predictions, err);
}

int ml_contest_check_confirm(const struct ml_contest *t, struct ml_err *err)
{
    struct ml_predictions *test = &t->candidate->predictions;
    struct ml_buf some = ML_BUF_INIT;
    size_t shared = 0;
    int rc = 0;
    if (!t->candidate->has_predictions)
        return ml_err_set(err, ML_USAGE, "--confirm needs the candidate's predictions of the test rows (--candidate)");
    for (int i = 0; i < 2; i++) {
        const struct ml_contender *c = t->confirm[i];
        if (c != NULL && !c->has_predictions)
            return ml_err_set(err, ML_LOCAL, "'%s' holds no predictions", c->reference);
    }
    struct ml_predictions *p = &t->confirm[1]->predictions;
    uint64_t memory;
    size_t matched;
    if (ml_memory_limit(&memory, err) < 0)
        return -1;
    if (!test->has_id || !p->has_id)
        return ml_err_set(err, ML_LOCAL,
            "'%s' has no column of ids, without which nobody can tell that the confirmation rows are others",
            test->has_id ? p->name : test->name);
    struct ml_keysource keys[2] = { ml_predictions_keys(test), ml_predictions_keys(p) };
    uint32_t *match = ml_malloc((p->n + 1) * sizeof *match);
    ml_rowjoin(&keys[0], &test->keys, &keys[1], &p->keys, memory, match, &matched);
    for (size_t i = 0; i < p->n; i++) {
        char number[24];
        if (match[i] == ML_ROWJOIN_NONE)
            continue;
        if (shared++ < 3)
            ml_buf_addf(&some, "%s'%.60s'", shared > 1 ? ", " : "", ml_predictions_id(p, i, number));
    }
    if (shared > 0)
        rc = ml_err_set(err, ML_INTEGRITY,
            "%zu of the %zu confirmation rows in '%s' are test rows, too (for example %s): they confirm nothing",
            shared, p->n, p->name, ml_buf_str(&some));
    ml_buf_release(&some);
    free(match);
    return rc;
}

int ml_contest_run(struct ml_contest *t, cJSON **out, struct ml_err *err)
{
    cJSON *to = *out = cJSON_CreateObject();
    int rc;
    if (t->current->absent) {
        char *reason = ml_format("no current model: '%s' isn't there yet", t->current->reference);
        ml_json_set(to, "current", NULL);
        rc = nothing(t, to, reason);
        if (rc == 0 && t->n_rivals + t->n_runs[1] > 0)
            rc = t->candidate->has_predictions ? compare_field(t, to, NULL, err) : ml_err_set(err, ML_USAGE, BY_ROW);
        free(reason);
    } else if (t->n_rivals + t->n_runs[0] + t->n_runs[1] > 0 &&
               (t->unpaired || t->current->metrics != NULL || t->candidate->metrics != NULL)) {
        rc = ml_err_set(err, ML_USAGE, BY_ROW);
    } else if (t->current->metrics != NULL || t->candidate->metrics != NULL) {
        rc = plain(t, to, err);
    } else if (t->unpaired) {
        rc = unpaired(t, to, err);
    } else {
        rc = paired(t, to, err);
    }
    if (rc == 0 && t->confirm[1] != NULL)
        rc = confirm(t, to, err);
    if (rc < 0) {
        cJSON_Delete(to);
        *out = NULL;
    }
    return rc;
}
