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

static struct ml_publication_log log_of(struct cfg *cfg)
{
    return (struct ml_publication_log){ log_line, &cfg->common };
}

/* The card that a filter needs, in the hands of one that can't do without. */
static int need_card(struct cfg *cfg, struct ml_card *card, struct ml_err *err)
{
    int rv = ml_card_filter(card, &cfg->common, err);

    return rv == 1
               ? ml_err_set(err, ML_LOCAL,
                     "no card: give one with --card FILE, or on standard input (did what should have written it fail?)")
               : rv;
}

/* An operand with a digest (or, when `tagged`, with a tag), and its repository. */
static int open_operand(
    struct cfg *cfg, bool tagged, bool write, struct ml_ref *ref, struct ml_repo **repo, struct ml_err *err)
{
    const char *s = cfg->common.args.v[1];
    struct ml_publication_log log = log_of(cfg);

    if (ml_ref_parse(s, ref, err))
        return -1;
    if (tagged ? !ref->tag || ref->digest.s[0] : !ref->digest.s[0])
        return ml_err_set(err, ML_USAGE, "'%s': it takes %s", s,
            tagged ? "a tag, as in REF:production" : "a digest, as in REF@sha256:...");
    return ml_publication_open(ref, write, &log, repo, err);
}

static int head_of(struct ml_repo *repo, const struct ml_digest *d, struct ml_desc *out, struct ml_err *err)
{
    int rv = repo->ops->manifest_head(repo, d->s, out, err);

    return rv == 1 ? ml_err_set(err, repo->ref.layout ? ML_LOCAL : ML_REFUSED, "there is no image %s", d->s) : rv;
}

/* ---- push, attach, tag ---- */

static int push(struct cfg *cfg, struct ml_err *err)
{
    struct ml_card card = { 0 };
    struct ml_strs to = { cfg->common.args.v + 1, cfg->common.args.n - 1, 0 };
    struct ml_publication p = {
        .card = &card, .image = cfg->image, .predictions = cfg->predictions, .to = &to, .log = log_of(cfg)
    };
    char a[16], b[16];
    int rv = cfg->image ? ml_card_filter(&card, &cfg->common, err) : need_card(cfg, &card, err);

    if (rv < 0)
        goto out;
    p.bare = rv == 1;
    rv = ml_publication_push(&p, err);
    if (rv)
        goto out;
    ml_tool_say(&cfg->common, "%s: %s sent, %s mounted%s%s", p.reference, ml_size_format(p.pushed, a),
        ml_size_format(p.mounted, b), p.tags.n ? ", tagged " : "", p.tags.n ? p.tags.v[0] : "");
    rv = ml_card_put(&card, &cfg->common, err);
out:
    ml_publication_release(&p);
    ml_card_release(&card);
    return rv;
}

static int attach(struct cfg *cfg, struct ml_err *err)
{
    struct ml_card card = { 0 };
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_desc image = { 0 };
    struct ml_digest want;
    int rv = need_card(cfg, &card, err);

    if (rv || open_operand(cfg, false, true, &ref, &repo, err) || ml_publication_same(&card, &ref.digest, err) ||
        head_of(repo, &ref.digest, &image, err)) {
        rv = -1;
        goto out;
    }
    if (cfg->predictions) {
        rv = ml_publication_predictions(&card, &want, err);
        if (!rv)
            rv = ml_attached_put_predictions(repo, &image, cfg->predictions, &want, NULL, err);
    }
    if (!rv)
        rv = ml_attached_put_card(repo, &image, &card, true, NULL, err);
    if (!rv)
        ml_tool_say(&cfg->common, "%s: card attached%s", cfg->common.args.v[1],
            cfg->predictions ? ", with its predictions" : "");
    if (!rv)
        rv = ml_card_put(&card, &cfg->common, err);
out:
    ml_desc_release(&image);
    ml_repo_close(repo);
    ml_ref_release(&ref);
    ml_card_release(&card);
    return rv;
}

static int tag(struct cfg *cfg, struct ml_err *err)
{
    struct ml_card card = { 0 };
    struct ml_strs to = { cfg->common.args.v + 2, cfg->common.args.n - 2, 0 };
    struct ml_publication p = {
        .card = &card, .image = cfg->common.args.v[1], .to = &to, .log = log_of(cfg), .move = true, .bare = true
    };
    int rv = ml_card_filter(&card, &cfg->common, err);

    if (rv < 0)
        goto out;
    if (!to.n) {
        rv = ml_err_set(err, ML_USAGE, "tag takes an image and at least one tag to set");
        goto out;
    }
    rv = ml_publication_push(&p, err);
    if (rv)
        goto out;
    for (size_t i = 0; i < p.tags.n; i++)
        ml_tool_say(&cfg->common, "%s: tagged %s", p.reference, p.tags.v[i]);
    rv = ml_card_put(&card, &cfg->common, err);
out:
    ml_publication_release(&p);
    ml_card_release(&card);
    return rv;
}

/* ---- promote, rollback, history ---- */

/* The card that a promotion is judged by: this pipeline's, or the one that is attached (an unchanged model has one
 * digest and many cards). Standard input is only read when --card says so: an empty pipe, left by a tool that failed,
 * must not look like "take the attached one". */
static int judging_card(
    struct cfg *cfg, struct ml_repo *repo, const struct ml_digest *image, struct ml_card *card, struct ml_err *err)
{
    int rv;

    if (cfg->common.card)
        return need_card(cfg, card, err);
    rv = ml_attached_card(repo, image, card, err);
    return rv == 1 ? ml_err_set(err, ML_LOCAL, "no card is attached to %s, and none was given: nothing to judge it by",
                         image->s)
                   : rv;
}

static void promotion_section(struct cfg *cfg, const struct ml_place *place, struct ml_promote *p)
{
    cJSON *v = ml_card_get(p->card, "publication", NULL), *s;

    if (!v)
        v = cJSON_CreateObject();
    s = ml_json_set_object(v, "promotion");
    ml_json_set_str(s, "tag", cfg->to);
    ml_json_set_str(s, "from", place->current.s[0] ? place->current.s : NULL);
    ml_json_set_str(s, "to", p->image.s);
    ml_json_set_bool(s, "passed", p->verdict.passed);
    ml_json_set_bool(s, "already", p->already);
    ml_json_set_bool(s, "check", p->check);
    ml_json_set_str(s, "record", p->record);
    ml_json_set_str(s, "forced", p->force);
    ml_json_set(s, "rules", p->verdict.rules);
    p->verdict.rules = NULL;
    ml_card_set(p->card, "publication", v);
    if (p->verdict.passed && !p->check)
        ml_publication_tagged(p->card, cfg->to);
}

static int promote(struct cfg *cfg, struct ml_err *err)
{
    struct ml_card card = { 0 };
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_place place = { 0 };
    struct ml_promote p = { .card = &card, .require = &cfg->require, .force = cfg->force, .check = cfg->check };
    int rv = -1;

    if (!cfg->to || !ml_tag_valid(cfg->to)) {
        ml_err_set(err, ML_USAGE, "promote takes --to TAG, a tag of the same repository");
        goto out;
    }
    if (cfg->force && !*cfg->force) {
        ml_err_set(err, ML_USAGE, "--force takes a reason");
        goto out;
    }
    if (open_operand(cfg, false, !cfg->check, &ref, &repo, err) || judging_card(cfg, repo, &ref.digest, &card, err) ||
        ml_place_open(repo, cfg->to, false, &place, err))
        goto out;
    p.image = ref.digest;
    if (ml_promote_run(&place, &p, err))
        goto out;
    promotion_section(cfg, &place, &p);
    rv = ml_card_put(&card, &cfg->common, err);
    if (!rv && !p.verdict.passed)
        rv = ml_err_set(err, ML_NO, "%s isn't promoted to '%s': %s", p.image.s, cfg->to, p.verdict.why);
    else if (!rv)
        ml_tool_say(&cfg->common, "%s %s: %s", cfg->to,
            p.already    ? "stays"
            : cfg->check ? "may become"
                         : "is now",
            p.image.s);
out:
    ml_promote_release(&p);
    ml_place_release(&place);
    ml_repo_close(repo);
    ml_ref_release(&ref);
    ml_card_release(&card);
    return rv;
}

static int put_json(struct cfg *cfg, cJSON *v, struct ml_err *err)
{
    struct ml_buf b = ML_BUF_INIT;
    int rv;

    ml_json_print(v, true, &b);
    rv = ml_tool_put(&cfg->common, ml_buf_str(&b), b.len, err);
    ml_buf_release(&b);
    cJSON_Delete(v);
    return rv;
}

static int put_rolled_back(
    struct cfg *cfg, const struct ml_place *place, struct ml_ref *ref, const struct ml_digest *to, struct ml_err *err)
{
    char *s;
    int rv;

    ref->digest = *to;
    s = ml_ref_format(ref, ML_REF_DIGEST);
    ml_tool_say(&cfg->common, "%s %s %s", ref->tag, cfg->print ? "would go back to" : "is back at", s);
    rv = cfg->print ? ml_tool_put(&cfg->common, s, strlen(s), err)
                    : put_json(cfg, ml_promotion_json(&place->history.v[place->history.n - 1]), err);
    free(s);
    return rv;
}

static int rollback(struct cfg *cfg, struct ml_err *err)
{
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_place place = { 0 };
    struct ml_digest to;
    int rv = -1;

    if (open_operand(cfg, true, !cfg->print, &ref, &repo, err) || ml_place_open(repo, ref.tag, false, &place, err))
        goto out;
    rv = ml_rollback_run(&place, cfg->print, &to, err);
    if (rv == 1)
        rv = ml_err_set(err, ML_NO, "'%s': nothing to roll back to", cfg->common.args.v[1]);
    if (!rv)
        rv = put_rolled_back(cfg, &place, &ref, &to, err);
out:
    ml_place_release(&place);
    ml_repo_close(repo);
    ml_ref_release(&ref);
    return rv;
}

static void say_record(struct cfg *cfg, const struct ml_promotion *p)
{
    ml_tool_say(&cfg->common, "%s  %-8s  %.12s  %-12.12s  %-12.12s  %s%s%s", p->time, p->action, ML_DIGEST_HEX(&p->to),
        p->from.s[0] ? ML_DIGEST_HEX(&p->from) : "-", p->commit ? p->commit : "-", p->by ? p->by : "-",
        p->reason ? "  forced: " : "", p->reason ? p->reason : "");
}

static int put_history(struct cfg *cfg, struct ml_place *place, struct ml_err *err)
{
    cJSON *v = cJSON_CreateObject(), *records;
    const struct ml_history *h = &place->history;
    const struct ml_digest *last = h->n ? &h->v[h->n - 1].to : &place->current;
    bool agrees = h->n ? ml_digest_eq(last, &place->current) : true;

    ml_json_set_str(v, "schema", "mlci.history/1");
    ml_json_set_str(v, "reference", cfg->common.args.v[1]);
    ml_json_set_str(v, "digest", place->current.s[0] ? place->current.s : NULL);
    ml_json_set_bool(v, "agrees", agrees);
    records = ml_json_set_array(v, "records");
    if (h->n)
        ml_tool_say(
            &cfg->common, "%-20s  %-8s  %-12s  %-12s  %-12s  %s", "when", "what", "image", "before", "commit", "who");
    for (size_t i = 0; i < h->n; i++) {
        cJSON_AddItemToArray(records, ml_promotion_json(&h->v[i]));
        say_record(cfg, &h->v[i]);
    }
    if (!h->n)
        ml_tool_say(&cfg->common, "%s: nothing was promoted to it", cfg->common.args.v[1]);
    if (!agrees)
        ml_tool_warn(&cfg->common,
            "the tag %s%s, which isn't what the last record says: it was moved by other means, or a promotion was cut "
            "short",
            place->current.s[0] ? "names " : "is gone", place->current.s);
    return put_json(cfg, v, err);
}

static int history(struct cfg *cfg, struct ml_err *err)
{
    struct ml_ref ref = { 0 };
    struct ml_repo *repo = NULL;
    struct ml_place place = { 0 };
    int rv = -1;

    if (open_operand(cfg, true, false, &ref, &repo, err) || ml_place_open(repo, ref.tag, true, &place, err))
        goto out;
    rv = 0;
    for (size_t i = 0; i < place.history.n && !rv; i++)
        rv = ml_history_read(&place.history, i, err);
    if (!rv)
        rv = put_history(cfg, &place, err);
out:
    ml_place_release(&place);
    ml_repo_close(repo);
    ml_ref_release(&ref);
    return rv;
}

static const struct {
    const char *name;
    int (*run)(struct cfg *cfg, struct ml_err *err);
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
    const char *name = cfg->common.args.v[0];

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name))
            continue;
        if (cfg->common.args.n > 2 && !commands[i].many)
            return ml_err_set(err, ML_USAGE, "%s takes one reference, not %zu", name, cfg->common.args.n - 1);
        return commands[i].run(cfg, err);
    }
    return ml_err_set(err, ML_USAGE, "'%s': no such command (push, attach, tag, promote, rollback, history)", name);
}

int main(int argc, char **argv)
{
    struct cfg cfg = { 0 };

    return ml_tool_main(&cmd, argc, argv, &cfg, run);
}
