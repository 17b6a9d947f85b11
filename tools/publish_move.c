/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-publish promote, rollback, history. */
#include <stdlib.h>
#include <string.h>

#include "model/attached.h"
#include "oci/signkey.h"
#include "publish.h"

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

/* The card that a promotion is judged by: this pipeline's, or the one that is attached (an unchanged model has one
 * digest and many cards). Standard input is only read when --card says so: an empty pipe, left by a tool that failed,
 * must not look like "take the attached one". */
static int judging_card(struct job *j, struct ml_err *err)
{
    int rv;

    if (j->cfg->common.card)
        return publish_need_card(j, err);
    rv = ml_attached_card(j->repo, &j->ref.digest, &j->card, err);
    if (rv == 1)
        rv = ml_err_set(
            err, ML_LOCAL, "'%s': no card is attached to it, and none was given: nothing to judge it by", j->operand);
    return rv;
}

int publish_promote(struct job *j, struct ml_err *err)
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
    if (cfg->signer && ml_signkey_public(cfg->signer, &j->key, err))
        return -1;
    if (publish_open_image(j, !cfg->check, err) || judging_card(j, err) ||
        ml_place_open(j->repo, cfg->to, false, &j->place, err))
        return -1;
    p->card = &j->card;
    p->require = &cfg->require;
    p->signer = j->key;
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

int publish_rollback(struct job *j, struct ml_err *err)
{
    bool print = j->cfg->print;
    struct ml_digest to = { "" };
    size_t before;
    char *s = NULL, *why;
    int rv;

    if (open_tag(j, !print, false, err))
        return -1;
    before = j->place.history.n;
    rv = ml_rollback_run(&j->place, print, &to, &why, err);
    if (rv < 0)
        return -1;
    if (!rv) {
        j->ref.digest = to;
        s = ml_ref_format(&j->ref, ML_REF_DIGEST);
        ml_tool_say(&j->cfg->common, "%s %s %s", j->ref.tag, print ? "would go back to" : "is back at", s);
    }
    if (!print)
        rv = publish_put_json(j, ml_rollback_json(&j->place, before, &to, why), err);
    else
        rv = s ? ml_tool_put(&j->cfg->common, s, strlen(s), err) : 0;
    if (!rv && why)
        rv = ml_err_set(err, ML_NO, "'%s': %s", j->operand, why);
    free(why);
    free(s);
    return rv;
}

static void say_record(const struct ml_common *common, const struct ml_promotion *p)
{
    ml_tool_say(common, "%s  %-8s  %.12s  %-12.12s  %-12.12s  %s%s%s", p->time, p->action, ML_DIGEST_HEX(&p->to),
        p->from.s[0] ? ML_DIGEST_HEX(&p->from) : "-", p->commit ? p->commit : "-", p->by ? p->by : "-",
        p->reason ? "  forced: " : "", p->reason ? p->reason : "");
}

int publish_history(struct job *j, struct ml_err *err)
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
    return publish_put_json(j, v, err);
}
