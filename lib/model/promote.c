/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Promotion and rollback. */
#include "model/promote.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "model/attached.h"
#include "model/publication.h"
#include "model/signature.h"

int ml_place_open(struct ml_repo *repo, const char *tag, bool gone_ok, struct ml_place *out, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    int rv;

    memset(out, 0, sizeof *out);
    out->repo = repo;
    rv = repo->ops->manifest_head(repo, tag, &d, err);
    if (rv < 0 || ml_history_open(repo, tag, &out->history, err))
        return -1;
    if (rv == 1 && !gone_ok && out->history.n) { /* the first promotion may be about to set it */
        ml_clock_sleep(ML_PROMOTION_SETTLE);
        rv = repo->ops->manifest_head(repo, tag, &d, err);
    }
    if (rv == 0)
        out->current = d.digest;
    ml_desc_release(&d);
    if (rv == 0 || gone_ok || !out->history.n)
        return 0;
    if (rv < 0)
        goto fail;
    ml_err_set(err, ML_REFUSED,
        "tag '%s' is gone, but %zu promotions to it are on record: 'ml-publish history' shows them, 'ml-publish tag' "
        "sets it again",
        tag, out->history.n);
fail:
    ml_place_release(out);
    return -1;
}

void ml_place_release(struct ml_place *p)
{
    ml_history_release(&p->history);
}

cJSON *ml_place_json(struct ml_place *p, const char *reference, bool *agrees, struct ml_err *err)
{
    struct ml_history *h = &p->history;
    cJSON *v = cJSON_CreateObject(), *records;

    ml_json_set_str(v, "schema", "mlci.history/1");
    ml_json_set_str(v, "reference", reference);
    ml_json_set_str(v, "digest", p->current.s[0] ? p->current.s : NULL);
    ml_json_set_bool(v, "agrees", true);
    records = ml_json_set_array(v, "records");
    for (size_t i = 0; i < h->n; i++) {
        if (ml_history_read(h, i, err)) {
            cJSON_Delete(v);
            return NULL;
        }
        cJSON_AddItemToArray(records, ml_promotion_json(&h->v[i]));
    }
    *agrees = !h->n || ml_digest_eq(&h->v[h->n - 1].to, &p->current);
    ml_json_set_bool(v, "agrees", *agrees);
    return v;
}

static char *copy_env(const char *name, const char *other)
{
    const char *v = ml_env(name);

    if (!v && other)
        v = ml_env(other);
    return v ? ml_strdup(v) : NULL;
}

static int find_image(struct ml_repo *r, const struct ml_digest *image, struct ml_manifest *out, struct ml_err *err)
{
    int rv = r->ops->manifest_get(r, image->s, out, err);

    return rv == 1 ? ml_err_set(err, r->ref.layout ? ML_LOCAL : ML_REFUSED, "there is no image %s", image->s) : rv;
}

#define MOVED "the tag has just been moved by somebody else: look at its history and start over"

/* Whether the tag is what it was when all began: 0, 1 not any more, -1. */
static int unmoved(struct ml_place *place, struct ml_err *err)
{
    struct ml_repo *r = place->repo;
    struct ml_desc now = { 0 };
    int rv = r->ops->manifest_head(r, place->history.tag, &now, err);
    bool same = rv == 1 ? !place->current.s[0] : ml_digest_eq(&now.digest, &place->current);

    ml_desc_release(&now);
    return rv < 0 ? -1 : !same;
}

/* Our record is written: has somebody else written one, too, since all began? Registries can't compare and swap, so
 * the newest record has the right to the tag, once the others had time to see it; who comes in that time is newer, and
 * waits in turn. 0, 1: another has it, -1. */
static int settle(struct ml_place *place, bool waited, struct ml_err *err)
{
    const struct ml_history *h = &place->history;
    const char *ours = h->v[h->n - 1].tag;
    /* one that was written before all began, and whose tag has yet to come, or never does */
    bool others = h->n > 1 && !ml_promotion_leads_to(&h->v[h->n - 2], &place->current), newest;
    struct ml_history now;

    if (ml_history_open(place->repo, h->tag, &now, err))
        return -1;
    others |= now.n > h->n;
    newest = !now.n || strcmp(now.v[now.n - 1].tag, ours) <= 0;
    ml_history_release(&now);
    if (!newest)
        return 1;
    if (!others)
        return 0;
    if (waited)
        return unmoved(place, err);
    ml_clock_sleep(ML_PROMOTION_SETTLE);
    return settle(place, true, err);
}

/* The record, and then the tag: killed in between, the record is one of something that never happened, which the next
 * one shows. 1 when somebody else moves the tag, or has. */
static int write_both(struct ml_place *place, struct ml_promotion *p, const struct ml_manifest *m,
    const struct ml_desc *card, struct ml_err *err)
{
    struct ml_repo *r = place->repo;
    int rv = unmoved(place, err);

    if (rv)
        return rv;
    p->from = place->current;
    p->by = copy_env("GITLAB_USER_LOGIN", "USER");
    p->pipeline = copy_env("CI_PIPELINE_URL", NULL);
    rv = ml_history_add(&place->history, p, &m->desc, card, err);
    if (!rv)
        rv = settle(place, false, err);
    if (!rv)
        rv = r->ops->manifest_put(r, place->history.tag, m->desc.media_type, m->raw.data, m->raw.len, err);
    return rv;
}

static int promote(struct ml_place *place, struct ml_promote *p, const struct ml_manifest *m, struct ml_err *err)
{
    struct ml_promotion record = { .action = ml_strdup("promote"), .reason = p->force ? ml_strdup(p->force) : NULL };
    struct ml_attached card = { 0 };
    size_t before = place->history.n;
    int rv = ml_attached_put_card(place->repo, &m->desc, p->card, false, &card, err);

    record.commit = ml_card_str(p->card, "run.code.commit");
    if (!record.commit)
        record.commit = copy_env("CI_COMMIT_SHA", NULL);
    record.data = ml_card_str(p->card, "evaluation.data");
    if (!rv)
        rv = write_both(place, &record, m, &card.desc, err);
    if (place->history.n > before)
        p->record = place->history.v[before].tag;
    ml_promotion_release(&record);
    ml_attached_release(&card);
    return rv;
}

static void fill_card(const struct ml_place *place, struct ml_promote *p)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "tag", place->history.tag);
    ml_json_set_str(v, "from", place->current.s[0] ? place->current.s : NULL);
    ml_json_set_str(v, "to", p->image.s);
    ml_json_set_bool(v, "passed", p->verdict.passed);
    ml_json_set_bool(v, "already", p->already);
    ml_json_set_bool(v, "check", p->check);
    ml_json_set_str(v, "record", p->record);
    ml_json_set_str(v, "forced", p->force);
    ml_json_set(v, "rules", cJSON_Duplicate(p->verdict.rules, true));
    ml_card_set(p->card, "promotion", v);
    if (p->verdict.passed && !p->check)
        ml_publication_tagged(p->card, place->history.tag);
}

int ml_promote_run(struct ml_place *place, struct ml_promote *p, struct ml_err *err)
{
    struct ml_promotion_case c = { .card = p->card,
        .require = p->require,
        .tag = place->history.tag,
        .image = p->image,
        .current = place->current,
        .signature = p->signer != NULL,
        .force = p->force };
    struct ml_signature_check signed_by = { 0 };
    struct ml_manifest m = { 0 };
    int rv = find_image(place->repo, &p->image, &m, err), back;

    if (!rv && p->signer)
        rv = ml_signature_verify(place->repo, &p->image, p->signer, NULL, &signed_by, err);
    if (rv) {
        ml_manifest_release(&m);
        return rv;
    }
    c.unsigned_why = signed_by.why;
    p->already = ml_digest_eq(&place->current, &p->image);
    back = ml_history_rolled_back(&place->history, &p->image, &place->current, err);
    c.rolled_back = back == 1;
    rv = back < 0 ? -1 : ml_promotion_judge(&c, &p->verdict, err);
    if (!rv && p->verdict.passed && !p->already && !p->check)
        rv = promote(place, p, &m, err);
    if (rv == 1) {
        ml_promotion_refuse(&p->verdict, "unmoved", MOVED);
        rv = 0;
    }
    if (!rv)
        fill_card(place, p);
    ml_signature_check_release(&signed_by);
    ml_manifest_release(&m);
    return rv;
}

void ml_promote_release(struct ml_promote *p)
{
    ml_promotion_verdict_release(&p->verdict);
}

/* The card by which the image was let through then, as far as it is still there. */
static int find_card(struct ml_place *place, const struct ml_digest *card, struct ml_desc *out, struct ml_err *err)
{
    return card->s[0] ? place->repo->ops->manifest_head(place->repo, card->s, out, err) : 1;
}

int ml_rollback_run(struct ml_place *place, bool check, struct ml_digest *to, char **why, struct ml_err *err)
{
    struct ml_promotion record = { .action = ml_strdup("rollback") };
    struct ml_manifest m = { 0 };
    struct ml_desc card = { 0 };
    struct ml_promotion *then;
    size_t i;
    int rv = ml_history_previous(&place->history, &place->current, &i, err), has_card;

    *why = NULL;
    if (rv == 1)
        *why = ml_strdup("nothing to roll back to");
    if (rv)
        goto out;
    then = &place->history.v[i];
    *to = then->to;
    rv = find_image(place->repo, to, &m, err);
    if (rv || check)
        goto out;
    has_card = find_card(place, &then->card, &card, err);
    if (has_card < 0) {
        rv = -1;
        goto out;
    }
    record.commit = then->commit ? ml_strdup(then->commit) : NULL;
    record.data = then->data ? ml_strdup(then->data) : NULL;
    rv = write_both(place, &record, &m, has_card ? NULL : &card, err);
    if (rv == 1)
        *why = ml_strdup(MOVED);
out:
    ml_promotion_release(&record);
    ml_desc_release(&card);
    ml_manifest_release(&m);
    return rv;
}

cJSON *ml_rollback_json(const struct ml_place *place, size_t before, const struct ml_digest *to, const char *why)
{
    struct ml_promotion none = { .action = (char *)(uintptr_t) "rollback", .from = place->current, .to = *to };
    const struct ml_history *h = &place->history;
    cJSON *v = ml_promotion_json(h->n > before ? &h->v[h->n - 1] : &none);

    if (why)
        ml_json_set_str(v, "refused", why);
    return v;
}
