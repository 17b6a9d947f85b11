/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The conditions of a promotion. */
#include "model/promotion_rules.h"

#include <stdlib.h>
#include <string.h>

static void rule(struct ml_promotion_verdict *v, const char *name, char *why)
{
    cJSON *r = cJSON_CreateObject();

    ml_json_set_str(r, "rule", name);
    ml_json_set_bool(r, "passed", !why);
    if (why)
        ml_json_set_str(r, "why", why);
    cJSON_AddItemToArray(v->rules, r);
    if (why && v->passed) {
        v->passed = false;
        v->why = ml_strdup(why);
    }
    free(why);
}

/* A section of the card, owned; NULL with *bad false when there is none. */
static cJSON *section(const struct ml_promotion_case *c, const char *name, bool *bad, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    cJSON *v = ml_card_get(c->card, name, &why);

    if (!v && why.code) {
        *bad = true;
        if (err)
            *err = why;
    }
    return v;
}

static void judge_image(
    const struct ml_promotion_case *c, struct ml_promotion_verdict *v, const cJSON *image, const cJSON *publication)
{
    const char *digest = ml_json_str(image, "digest");

    if (!digest)
        digest = ml_json_str(publication, "digest");
    if (!digest)
        rule(v, "image", ml_strdup("the card says nothing of an image"));
    else
        rule(v, "image", strcmp(digest, c->image.s) ? ml_format("the card is about %s", digest) : NULL);
}

static void judge_gate(struct ml_promotion_verdict *v, const cJSON *gate)
{
    if (!gate)
        rule(v, "gate",
            ml_strdup("the card has no gate: nothing says that this model is good enough; 'ml-gate' judges it"));
    else
        rule(v, "gate", ml_json_true(gate, "passed") ? NULL : ml_strdup("the gate didn't pass"));
}

/* A section says {"passed": true}, or counts: {"cases": n, "passed": n}. */
static bool has_passed(const cJSON *v)
{
    double cases, passed;

    if (ml_json_true(v, "passed"))
        return true;
    return ml_json_num(v, "cases", &cases) && ml_json_num(v, "passed", &passed) && cases > 0 && passed >= cases;
}

static void judge_required(struct ml_promotion_verdict *v, const char *name, const cJSON *s)
{
    if (!s)
        rule(v, name, ml_format("the card has no '%s', which is required", name));
    else
        rule(v, name, has_passed(s) ? NULL : ml_format("'%s' didn't pass", name));
}

/* Two merge requests that were both compared with the same model must not follow each other unseen. */
static void judge_current(const struct ml_promotion_case *c, struct ml_promotion_verdict *v, const cJSON *comparison)
{
    const char *compared = ml_json_str(ml_json_get(comparison, "current"), "digest");
    char *why = NULL;

    if (c->current.s[0] && ml_digest_eq(&c->current, &c->image))
        why = NULL;
    else if (!c->current.s[0] && compared)
        why = ml_format("'%s' names nothing, but the comparison was made with %s", c->tag, compared);
    else if (c->current.s[0] && !compared)
        why = ml_format("'%s' is %s, and the card holds no comparison with it: compare again", c->tag, c->current.s);
    else if (c->current.s[0] && strcmp(compared, c->current.s))
        why = ml_format(
            "'%s' is %s by now, but the comparison was made with %s: compare again", c->tag, c->current.s, compared);
    rule(v, "current", why);
}

int ml_promotion_judge(const struct ml_promotion_case *c, struct ml_promotion_verdict *out, struct ml_err *err)
{
    bool bad = false;
    cJSON *image = section(c, "image", &bad, err), *publication = section(c, "publication", &bad, err),
          *gate = section(c, "gate", &bad, err), *comparison = section(c, "comparison", &bad, err);

    *out = (struct ml_promotion_verdict){ .passed = true, .rules = cJSON_CreateArray() };
    judge_image(c, out, image, publication);
    judge_gate(out, gate);
    for (size_t i = 0; c->require && i < c->require->n && !bad; i++) {
        cJSON *s = section(c, c->require->v[i], &bad, err);

        if (!bad)
            judge_required(out, c->require->v[i], s);
        cJSON_Delete(s);
    }
    if (c->signature)
        rule(out, "signature",
            c->unsigned_why ? ml_format("no valid signature by the required key: %s", c->unsigned_why) : NULL);
    judge_current(c, out, comparison);
    rule(out, "rolled_back",
        c->rolled_back && !c->force
            ? ml_strdup("it was rolled back from; --force REASON would let it return, and be recorded")
            : NULL);
    cJSON_Delete(image);
    cJSON_Delete(publication);
    cJSON_Delete(gate);
    cJSON_Delete(comparison);
    if (bad)
        ml_promotion_verdict_release(out);
    return bad ? -1 : 0;
}

void ml_promotion_refuse(struct ml_promotion_verdict *v, const char *name, const char *why)
{
    rule(v, name, ml_strdup(why));
}

void ml_promotion_verdict_release(struct ml_promotion_verdict *v)
{
    cJSON_Delete(v->rules);
    free(v->why);
    memset(v, 0, sizeof *v);
}
