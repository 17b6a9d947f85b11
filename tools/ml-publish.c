/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-publish: pushes images with what belongs to them, signs, tags, promotes, rolls back, and tells the history. */
#include <string.h>

#include "data/json.h"
#include "model/card.h"
#include "publish.h"

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
    ML_OPT_ROW(0, "require-signature", ML_OPT_STR, struct cfg, signer, "KEY",
        "promote: a public key that must have signed the image"),
    ML_OPT_ROW(0, "key", ML_OPT_STR, struct cfg, key, "FILE", "sign: a private key; verify: a public one"),
    ML_OPT_ROW(0, "identity", ML_OPT_STR, struct cfg, identity, "NAME",
        "sign: the image's name in the signature [its repository]; verify: the name it must say [any]"),
    ML_OPT_ROW(
        0, "print", ML_OPT_FLAG, struct cfg, print, NULL, "rollback: print where it would go, and change nothing"),
    ML_OPT_REGISTRY,
    ML_OPT_CARD(struct cfg),
    ML_OPT_LAST(struct cfg),
};

static const struct ml_cmd cmd = {
    .name = "ml-publish",
    .summary = "push images with their cards, sign, tag, promote, roll back, tell the history",
    .synopsis = "push [--image REF] [--predictions FILE] TO ...\n"
                "attach [--predictions FILE] REF@DIGEST\n"
                "tag FROM TO ...\n"
                "promote [--check] [--require NAME] [--require-signature KEY] [--force REASON] --to TAG REF@DIGEST\n"
                "rollback [--print] REF:TAG\n"
                "history REF:TAG\n"
                "sign --key FILE [--identity NAME] REF@DIGEST\n"
                "verify --key FILE [--identity NAME] REF",
    .opts = opts,
    .examples = "ml-publish push --card card.json oci:release:9f3c-118\n"
                "ml-publish history registry.example/shop/sections:production",
    .min_args = 2,
    .max_args = -1,
};

int publish_need_card(struct job *j, struct ml_err *err)
{
    int rv = ml_card_filter(&j->card, &j->cfg->common, err);

    if (rv == 1)
        rv = ml_err_set(err, ML_LOCAL,
            "no card: give one with --card FILE, or on standard input (did what should have written it fail?)");
    return rv;
}

int publish_put_json(struct job *j, cJSON *v, struct ml_err *err)
{
    struct ml_buf b = ML_BUF_INIT;
    int rv;

    ml_json_print(v, true, &b);
    rv = ml_tool_put(&j->cfg->common, ml_buf_str(&b), b.len, err);
    ml_buf_release(&b);
    cJSON_Delete(v);
    return rv;
}

int publish_open_image(struct job *j, bool write, struct ml_err *err)
{
    if (ml_ref_parse(j->operand, &j->ref, err))
        return -1;
    if (!j->ref.digest.s[0])
        return ml_err_set(err, ML_USAGE, "'%s': it takes a digest, as in REF@sha256:...", j->operand);
    return ml_publication_open(&j->ref, write, &j->log, &j->repo, err);
}

void publish_say(const struct job *j, const struct ml_strs *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        ml_tool_say(&j->cfg->common, "%s", lines->v[i]);
}

static const struct {
    const char *name;
    int (*run)(struct job *j, struct ml_err *err);
    bool many; /* operands behind the first */
} commands[] = {
    { "push", publish_push, true },
    { "attach", publish_attach, false },
    { "tag", publish_tag, true },
    { "promote", publish_promote, false },
    { "rollback", publish_rollback, false },
    { "history", publish_history, false },
    { "sign", publish_sign, false },
    { "verify", publish_verify, false },
};

static int run(void *v, struct ml_err *err)
{
    struct cfg *cfg = v;
    const struct ml_strs *args = &cfg->common.args;
    struct job j = { .cfg = cfg, .operand = args->v[1], .log = { ml_tool_log, &cfg->common } };
    size_t i = 0;
    int rv;

    while (i < sizeof commands / sizeof *commands && strcmp(commands[i].name, args->v[0]))
        i++;
    if (i == sizeof commands / sizeof *commands)
        return ml_err_set(err, ML_USAGE,
            "'%s': no such command (push, attach, tag, promote, rollback, history, sign, "
            "verify)",
            args->v[0]);
    if (args->n > 2 && !commands[i].many)
        return ml_err_set(err, ML_USAGE, "%s takes one reference, not %zu", args->v[0], args->n - 1);
    if (ml_tool_put_check(&cfg->common, err) < 0)
        return -1;
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
    ml_pkey_free(j.key);
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
