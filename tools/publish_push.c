/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-publish push, attach, tag. */
#include "base/text.h"
#include "model/attached.h"
#include "publish.h"

int publish_push(struct job *j, struct ml_err *err)
{
    struct cfg *cfg = j->cfg;
    struct ml_publication *p = &j->publication;
    struct ml_strs to = { cfg->common.args.v + 1, cfg->common.args.n - 1, 0 };
    char sent[16], mounted[16];
    int rv = cfg->image ? ml_card_filter(&j->card, &cfg->common, err) : publish_need_card(j, err);

    if (rv < 0)
        return -1;
    p->image = cfg->image;
    p->predictions = cfg->predictions;
    p->to = &to;
    p->bare = rv == 1;
    rv = ml_publication_push(p, err);
    if (rv)
        return rv < 0 || ml_card_put(&j->card, &cfg->common, err) ? -1 : ml_err_set(err, ML_NO, "%s", p->refused);
    ml_tool_say(&cfg->common, "%s: %s sent, %s mounted%s%s", p->reference, ml_size_format(p->pushed, sent),
        ml_size_format(p->mounted, mounted), p->tags.n ? ", tagged " : "", p->tags.n ? p->tags.v[0] : "");
    publish_say(j, &p->says);
    return ml_card_put(&j->card, &cfg->common, err);
}

int publish_attach(struct job *j, struct ml_err *err)
{
    const char *predictions = j->cfg->predictions;
    struct ml_attached a = { 0 };
    struct ml_digest want;
    int rv;

    if (publish_need_card(j, err) || publish_open_image(j, true, err) ||
        ml_publication_same(&j->card, &j->ref.digest, err))
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
    publish_say(j, &j->publication.says);
    ml_tool_say(&j->cfg->common, "%s: card attached%s", j->operand, predictions ? ", with its predictions" : "");
    return ml_card_put(&j->card, &j->cfg->common, err);
}

int publish_tag(struct job *j, struct ml_err *err)
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
