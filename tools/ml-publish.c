/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-publish: pushes images with what belongs to them, tags, promotes, rolls back, and tells the history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/tool.h"
#include "data/json.h"
#include "model/attached.h"
#include "model/card.h"
#include "model/promote.h"
#include "model/publication.h"
#include "oci/copy.h"

struct cfg {
    struct ml_common common;
    const char *image, *predictions, *to, *force;
    struct ml_strs require;
    bool check, print;
};

/* One call: what it works on, released at its end. */
struct job {
    struct cfg *cfg;
    const char *operand; /* the first */
    struct ml_publication_log log;
    struct ml_card card;
    struct ml_ref ref;
    struct ml_repo *repo;
    struct ml_place place;
    struct ml_desc image;
    struct ml_publication publication;
    struct ml_promote promote;
    struct ml_progress progress;
};

static const struct ml_opt opts[] = {
    ML_OPT_ROW(0, "image", ML_OPT_STR, struct cfg, image, "REF", "push: the image to push [the card's]"),
    ML_OPT_ROW(0, "predictions", ML_OPT_STR, struct cfg, predictions, "FILE",
        "push, attach: the held-out predictions that were evaluated"),
    ML_OPT_ROW(0, "to", ML_OPT_STR, struct cfg, to, "TAG", "promote: the tag that is moved"),
    ML_OPT_ROW(0, "check", ML_OPT_FLAG, struct cfg, check, NULL, "promote: say whether it may be, and change nothing"),
    ML_OPT_ROW(0, "require", ML_OPT_LIST, struct cfg, require, "NAME",
        "promote: a section that must have passed, as 'smoke' (repeatable)"),
    ML_OPT_ROW(0, "force", ML_OPT_STR, struct cfg, force, "REASON",
        "promote: also what was rolled back; the reason is recorded"),
    ML_OPT_ROW(
        0, "print", ML_OPT_FLAG, struct cfg, print, NULL, "rollback: print where it would go, and change nothing"),
    ML_OPT_CARD(struct cfg),
    ML_OPT_OUT(struct cfg),
    ML_OPT_QUIET(struct cfg),
    ML_OPT_VERBOSE(struct cfg),
    ML_OPT_END,
};

static const struct ml_cmd cmd = {
    .name = "ml-publish",
    .summary = "push images with their cards, tag, promote, roll back, tell the history",
    .synopsis = "push [--image REF] [--predictions FILE] TO ...\n"
                "attach [--predictions FILE] REF@DIGEST\n"
                "tag FROM TO ...\n"
                "promote [--check] [--require NAME] [--force REASON] --to TAG REF@DIGEST\n"
                "rollback [--print] REF:TAG\n"
                "history REF:TAG",
    .opts = opts,
    .examples = "ml-publish push --card card.json oci:release:9f3c-118\n"
                "ml-publish history registry.example/shop/sections:production",
    .min_args = 2,
    .max_args = -1,
};

static void log_line(void *ctx, const char *line)
{
    ml_tool_detail(ctx, "%s", line);
}

/* The card that a filter needs, in the hands of one that can't do without. */
static int need_card(struct job *j, struct ml_err *err)
{
    int rv = ml_card_filter(&j->card, &j->cfg->common, err);

    if (rv == 1)
        rv = ml_err_set(err, ML_LOCAL,
            "no card: give one with --card FILE, or on standard input (did what should have written it fail?)");
    return rv;
}

static int put_json(struct job *j, cJSON *v, struct ml_err *err)
{
    struct ml_buf b = ML_BUF_INIT;
    int rv;

    ml_json_print(v, true, &b);
    rv = ml_tool_put(&j->cfg->common, ml_buf_str(&b), b.len, err);
    ml_buf_release(&b);
    cJSON_Delete(v);
    return rv;
}

static int open_image(struct job *j, bool write, struct ml_err *err)
{
    if (ml_ref_parse(j->operand, &j->ref, err))
        return -1;
    if (!j->ref.digest.s[0])
        return ml_err_set(err, ML_USAGE, "'%s': it takes a digest, as in REF@sha256:...", j->operand);
    return ml_publication_open(&j->ref, write, &j->log, &j->repo, err);
}

static int open_tag(struct job *j, bool write, bool gone_ok, struct ml_err *err)
{
    if (ml_ref_parse(j->operand, &j->ref, err))
        return -1;
    if (!j->ref.tag || j->ref.digest.s[0])
        return ml_err_set(err, ML_USAGE, "'%s': it takes a tag, as in REF:production", j->operand);
    if (ml_publication_open(&j->ref, write, &j->log, &j->repo, err))
        return -1;
    return ml_place_open(j->repo, j->ref.tag, gone_ok, &j->place, err);
}

static void say_all(const struct job *j, const struct ml_strs *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        ml_tool_say(&j->cfg->common, "%s", lines->v[i]);
}

/* ---- push, attach, tag ---- */

static int push(struct job *j, struct ml_err *err)
{
    struct cfg *cfg = j->cfg;
    struct ml_publication *p = &j->publication;
    struct ml_strs to = { cfg->common.args.v + 1, cfg->common.args.n - 1, 0 };
    char sent[16], mounted[16];
    int rv = cfg->image ? ml_card_filter(&j->card, &cfg->common, err) : need_card(j, err);

    if (rv < 0)
        return -1;
    p->image = cfg->image;
    p->predictions = cfg->predictions;
    p->to = &to;
    p->bare = rv == 1;
    if (ml_publication_push(p, err))
        return -1;
    ml_tool_say(&cfg->common, "%s: %s sent, %s mounted%s%s", p->reference, ml_size_format(p->pushed, sent),
        ml_size_format(p->mounted, mounted), p->tags.n ? ", tagged " : "", p->tags.n ? p->tags.v[0] : "");
    say_all(j, &p->says);
    return ml_card_put(&j->card, &cfg->common, err);
}

static int attach(struct job *j, struct ml_err *err)
{
    const char *predictions = j->cfg->predictions;
    struct ml_attached a = { 0 };
    struct ml_digest want;
    int rv;

    if (need_card(j, err) || open_image(j, true, err) || ml_publication_same(&j->card, &j->ref.digest, err))
        return -1;
    rv = j->repo->ops->manifest_head(j->repo, j->ref.digest.s, &j->image, err);
    if (rv)
        return rv < 0
                   ? -1
                   : ml_err_set(err, j->ref.layout ? ML_LOCAL : ML_REFUSED, "'%s': there is no such image", j->operand);
    if (predictions && (ml_publication_predictions(&j->card, &want, err) ||
                           ml_attached_put_predictions(j->repo, &j->image, predictions, &want, NULL, err)))
        return -1;
    if (ml_attached_put_card(j->repo, &j->image, &j->card, true, &a, err))
        return -1;
    ml_publication_note(&a, NULL, &j->publication.says);
    ml_attached_release(&a);
    say_all(j, &j->publication.says);
    ml_tool_say(&j->cfg->common, "%s: card attached%s", j->operand, predictions ? ", with its predictions" : "");
    return ml_card_put(&j->card, &j->cfg->common, err);
}

static int tag(struct job *j, struct ml_err *err)
{
    struct ml_common *common = &j->cfg->common;
    struct ml_publication *p = &j->publication;
    struct ml_strs to = { common->args.v + 2, common->args.n - 2, 0 };

    if (!to.n)
        return ml_err_set(err, ML_USAGE, "tag takes an image and at least one tag to set");
    if (ml_card_filter(&j->card, common, err) < 0)
        return -1;
    p->image = j->operand;
    p->to = &to;
    p->move = p->bare = true;
    if (ml_publication_push(p, err))
        return -1;
    for (size_t i = 0; i < p->tags.n; i++)
        ml_tool_say(common, "%s: tagged %s", p->reference, p->tags.v[i]);
    return ml_card_put(&j->card, common, err);
}

/* ---- promote, rollback, history ---- */

/* The card that a promotion is judged by: this pipeline's, or the one that is attached (an unchanged model has one
 * digest and many cards). Standard input is only read when --card says so: an empty pipe, left by a tool that failed,
 * must not look like "take the attached one". */
static int judging_card(struct job *j, struct ml_err *err)
{
    int rv;

    if (j->cfg->common.card)
        return need_card(j, err);
    rv = ml_attached_card(j->repo, &j->ref.digest, &j->card, err);
    if (rv == 1)
        rv = ml_err_set(
            err, ML_LOCAL, "'%s': no card is attached to it, and none was given: nothing to judge it by", j->operand);
    return rv;
}

static int promote(struct job *j, struct ml_err *err)
{
    struct cfg *cfg = j->cfg;
    struct ml_promote *p = &j->promote;

    if (!cfg->to || !ml_tag_valid(cfg->to))
        return ml_err_set(err, ML_USAGE, "promote takes --to TAG, a tag of the same repository");
    if (strlen(cfg->to) > ML_PROMOTION_TAG_MAX)
        return ml_err_set(err, ML_USAGE, "--to '%s': over %d characters, so its records could have no tag", cfg->to,
            ML_PROMOTION_TAG_MAX);
    if (cfg->force && !*cfg->force)
        return ml_err_set(err, ML_USAGE, "--force takes a reason");
    if (open_image(j, !cfg->check, err) || judging_card(j, err) ||
        ml_place_open(j->repo, cfg->to, false, &j->place, err))
        return -1;
    p->card = &j->card;
    p->require = &cfg->require;
    p->force = cfg->force;
    p->check = cfg->check;
    p->image = j->ref.digest;
    if (ml_promote_run(&j->place, p, err) || ml_card_put(&j->card, &cfg->common, err))
        return -1;
    if (!p->verdict.passed)
        return ml_err_set(err, ML_NO, "'%s' isn't promoted to '%s': %s", j->operand, cfg->to, p->verdict.why);
    ml_tool_say(&cfg->common, "%s %s %s", cfg->to,
        p->already   ? "stays"
        : cfg->check ? "may become"
                     : "is now",
        j->operand);
    return 0;
}

static int rollback(struct job *j, struct ml_err *err)
{
    bool print = j->cfg->print;
    char *s;
    int rv;

    if (open_tag(j, !print, false, err))
        return -1;
    rv = ml_rollback_run(&j->place, print, &j->ref.digest, err);
    if (rv)
        return rv < 0 ? -1 : ml_err_set(err, ML_NO, "'%s': nothing to roll back to", j->operand);
    s = ml_ref_format(&j->ref, ML_REF_DIGEST);
    ml_tool_say(&j->cfg->common, "%s %s %s", j->ref.tag, print ? "would go back to" : "is back at", s);
    rv = print ? ml_tool_put(&j->cfg->common, s, strlen(s), err)
               : put_json(j, ml_promotion_json(&j->place.history.v[j->place.history.n - 1]), err);
    free(s);
    return rv;
}

static void say_record(const struct ml_common *common, const struct ml_promotion *p)
{
    ml_tool_say(common, "%s  %-8s  %.12s  %-12.12s  %-12.12s  %s%s%s", p->time, p->action, ML_DIGEST_HEX(&p->to),
        p->from.s[0] ? ML_DIGEST_HEX(&p->from) : "-", p->commit ? p->commit : "-", p->by ? p->by : "-",
        p->reason ? "  forced: " : "", p->reason ? p->reason : "");
}

static int history(struct job *j, struct ml_err *err)
{
    const struct ml_common *common = &j->cfg->common;
    const struct ml_history *h = &j->place.history;
    bool agrees;
    cJSON *v;

    if (open_tag(j, false, true, err))
        return -1;
    v = ml_place_json(&j->place, j->operand, &agrees, err);
    if (!v)
        return -1;
    if (h->n)
        ml_tool_say(common, "%-20s  %-8s  %-12s  %-12s  %-12s  %s", "when", "what", "image", "before", "commit", "who");
    else
        ml_tool_say(common, "%s: nothing was promoted to it", j->operand);
    for (size_t i = 0; i < h->n; i++)
        say_record(common, &h->v[i]);
    if (!agrees)
        ml_tool_warn(common,
            "the tag %s%s, which isn't what the last record says: it was moved by other means, or a promotion was cut "
            "short",
            j->place.current.s[0] ? "names " : "is gone", j->place.current.s);
    return put_json(j, v, err);
}

static const struct {
    const char *name;
    int (*run)(struct job *j, struct ml_err *err);
    bool many; /* operands behind the first */
} commands[] = {
    { "push", push, true },
    { "attach", attach, false },
    { "tag", tag, true },
    { "promote", promote, false },
    { "rollback", rollback, false },
    { "history", history, false },
};

static int run(void *v, struct ml_err *err)
{
    struct cfg *cfg = v;
    const struct ml_strs *args = &cfg->common.args;
    struct job j = { .cfg = cfg, .operand = args->v[1], .log = { log_line, &cfg->common } };
    size_t i = 0;
    int rv;

    while (i < sizeof commands / sizeof *commands && strcmp(commands[i].name, args->v[0]))
        i++;
    if (i == sizeof commands / sizeof *commands)
        return ml_err_set(
            err, ML_USAGE, "'%s': no such command (push, attach, tag, promote, rollback, history)", args->v[0]);
    if (args->n > 2 && !commands[i].many)
        return ml_err_set(err, ML_USAGE, "%s takes one reference, not %zu", args->v[0], args->n - 1);
    j.progress.common = &cfg->common;
    j.publication.card = &j.card;
    j.publication.log = j.log;
    j.publication.progress = ml_tool_progress;
    j.publication.progress_ctx = &j.progress;
    rv = commands[i].run(&j, err);
    ml_tool_progress_end(&j.progress);
    ml_promote_release(&j.promote);
    ml_publication_release(&j.publication);
    ml_place_release(&j.place);
    ml_desc_release(&j.image);
    ml_repo_close(j.repo);
    ml_ref_release(&j.ref);
    ml_card_release(&j.card);
    return rv;
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };
    int rc = ml_tool_main(&cmd, argc, argv, &cfg, run);

    ml_strs_release(&cfg.require);
    return rc;
}
