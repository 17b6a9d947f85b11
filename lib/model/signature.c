/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verifying signatures. */
#include "model/signature.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "model/signature_impl.h"

int ml_signatures_load(struct ml_repo *r, const struct ml_digest *image, struct ml_signatures *out, struct ml_err *err)
{
    struct ml_span layers;
    int rv;

    memset(out, 0, sizeof *out);
    ml_attached_tag(image, ML_ATTACHED_SIGNATURES, out->tag);
    rv = r->ops->manifest_get(r, out->tag, &out->m, err);
    if (rv)
        return rv < 0 ? -1 : 0;
    if (ml_json_check(out->m.raw.data, out->m.raw.len, out->tag, err))
        return -1;
    if (ml_json_at(out->m.raw.data, out->m.raw.len, "/layers", &layers) ||
        ml_json_elements(out->m.raw.data, layers, &out->v, &out->n))
        return ml_err_set(err, ML_REFUSED, "the tag '%s' names something else than signatures", out->tag);
    return 0;
}

void ml_signatures_release(struct ml_signatures *s)
{
    ml_manifest_release(&s->m);
    free(s->v);
    s->v = NULL;
}

bool ml_signatures_layer(const struct ml_signatures *s, size_t i, struct ml_desc *out, char **signature)
{
    cJSON *doc = ml_json_parse(s->m.raw.data + s->v[i].off, s->v[i].len, "layer", NULL);
    const char *sig = ml_json_str(ml_json_get(doc, "annotations"), ML_SIGNATURE_ANNOTATION);
    bool good = ml_desc_parse(doc, out) && out->media_type;

    *signature = good && sig ? ml_strdup(sig) : NULL;
    cJSON_Delete(doc);
    return good;
}

/* ---- one signature ---- */

/* What is asked of each. */
struct question {
    struct ml_repo *repo;
    const struct ml_digest *image;
    const struct ml_pkey *key;
    const char *identity;
};

static bool is_key(const struct ml_pkey *key, const struct ml_buf *payload, const char *signature)
{
    struct ml_buf raw = ML_BUF_INIT;
    bool good = ml_base64_decode(signature, strlen(signature), &raw) &&
                ml_pkey_verify(key, ml_buf_str(payload), payload->len, ml_buf_str(&raw), raw.len);

    ml_buf_release(&raw);
    return good;
}

/* Whether an object has these members and no others: who doesn't understand what is critical mustn't accept it
 * (containers-signature(5), "JSON data format"). */
static bool has_only(const cJSON *obj, const char *const names[], size_t n)
{
    const cJSON *v;
    size_t seen = 0;

    cJSON_ArrayForEach(v, obj)
    {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known |= !strcmp(v->string, names[i]);
        if (!known)
            return false;
        seen++;
    }
    return cJSON_IsObject(obj) && seen == n;
}

/* What is wrong with a payload that was really signed; NULL: nothing. Owned. */
static char *judge(const struct question *q, const cJSON *doc)
{
    static const char *const critical_has[] = { "identity", "image", "type" },
                             *const image_has[] = { "docker-manifest-digest" },
                             *const identity_has[] = { "docker-reference" };
    const cJSON *critical = ml_json_get(doc, "critical"), *image = ml_json_get(critical, "image"),
                *identity = ml_json_get(critical, "identity");
    const char *type = ml_json_str(critical, "type"), *digest = ml_json_str(image, "docker-manifest-digest"),
               *name = ml_json_str(identity, "docker-reference");

    if (!has_only(critical, critical_has, 3) || !has_only(image, image_has, 1) ||
        !has_only(identity, identity_has, 1) || !type || !digest || !name)
        return ml_strdup("what it signs isn't a simple signing document, or says more than is understood");
    if (strcmp(type, ML_SIGNATURE_CRITICAL))
        return ml_format("it is a '%.60s', not a '" ML_SIGNATURE_CRITICAL "'", type);
    if (strcmp(digest, q->image->s))
        return ml_format("it is for %.100s", digest);
    if (q->identity && strcmp(name, q->identity))
        return ml_format("it is for '%.200s'", name);
    return NULL;
}

/* What is wrong with a signature, owned, or NULL; `entry` gets what it says. Nothing of an unsigned text is looked at.
 */
static char *check(
    const struct question *q, const struct ml_buf *payload, const char *signature, const char *type, cJSON *entry)
{
    cJSON *doc;
    char *why;

    if (strcmp(type, ML_SIGNATURE_TYPE))
        return ml_format("its media type is '%.100s'", type);
    if (!signature)
        return ml_strdup("the layer holds no signature");
    if (!is_key(q->key, payload, signature))
        return ml_strdup("it isn't a signature by this key of what it claims to sign");
    doc = ml_json_parse(ml_buf_str(payload), payload->len, "payload", NULL);
    why = judge(q, doc);
    if (ml_json_str(ml_json_get(ml_json_get(doc, "critical"), "identity"), "docker-reference"))
        ml_json_set_str(
            entry, "identity", ml_json_str(ml_json_get(ml_json_get(doc, "critical"), "identity"), "docker-reference"));
    if (cJSON_IsObject(ml_json_get(doc, "optional")))
        ml_json_set(entry, "optional", cJSON_Duplicate(ml_json_get(doc, "optional"), true));
    cJSON_Delete(doc);
    return why;
}

/* 0 with *why (NULL: valid), -1. */
static int check_layer(const struct question *q, const struct ml_desc *layer, const char *signature, cJSON *entry,
    char **why, struct ml_err *err)
{
    struct ml_buf payload = ML_BUF_INIT;
    int rv;

    *why = NULL;
    if (layer->size > ML_SIGNATURE_MAX) {
        *why = ml_format("what it signs has %llu bytes", (unsigned long long)layer->size);
        return 0;
    }
    rv = ml_repo_blob_load(q->repo, layer, ML_SIGNATURE_MAX, &payload, err);
    if (rv == 1)
        *why = ml_strdup("what it signs is missing");
    else if (!rv)
        *why = check(q, &payload, signature, layer->media_type, entry);
    ml_buf_release(&payload);
    return rv < 0 ? -1 : 0;
}

/* ---- all of them ---- */

/* -1 ends it all. What is damaged is noted in `damage`: another signature may do. */
static int check_one(const struct question *q, const struct ml_signatures *s, size_t i, struct ml_signature_check *out,
    struct ml_err *damage, struct ml_err *err)
{
    cJSON *entry = cJSON_CreateObject();
    struct ml_desc layer;
    char *signature = NULL, *why = NULL;
    int rv = 0;

    if (!ml_signatures_layer(s, i, &layer, &signature)) {
        why = ml_strdup("malformed entry");
    } else {
        ml_json_set_str(entry, "payload", layer.digest.s);
        rv = check_layer(q, &layer, signature, entry, &why, err);
    }
    if (rv && err->code == ML_INTEGRITY) {
        why = ml_strdup(err->msg);
        *damage = *err;
        rv = 0;
    }
    ml_json_set_bool(entry, "valid", !why);
    if (why)
        ml_json_set_str(entry, "why", why);
    cJSON_AddItemToArray(out->list, entry);
    out->valid |= !rv && !why;
    if (why && !out->why)
        out->why = ml_strdup(why);
    free(why);
    free(signature);
    ml_desc_release(&layer);
    return rv;
}

int ml_signature_verify(struct ml_repo *r, const struct ml_digest *image, const struct ml_pkey *key,
    const char *identity, struct ml_signature_check *out, struct ml_err *err)
{
    struct question q = { r, image, key, identity };
    struct ml_signatures s;
    struct ml_err damage = ML_ERR_INIT;
    int rv = ml_signatures_load(r, image, &s, err);

    *out = (struct ml_signature_check){ .list = cJSON_CreateArray() };
    for (size_t i = 0; !rv && i < s.n; i++)
        rv = check_one(&q, &s, i, out, &damage, err);
    if (!rv && !out->valid && damage.code) {
        *err = damage;
        rv = -1;
    }
    if (rv)
        ml_err_wrap(err, "signatures of %s", image->s);
    if (!rv && !s.n)
        out->why = ml_strdup("it isn't signed");
    if (out->valid) {
        free(out->why);
        out->why = NULL;
    } else if (s.n > 1 && out->why) {
        char *all = ml_format("none of its %zu signatures is valid: the first, %s", s.n, out->why);

        free(out->why);
        out->why = all;
    }
    ml_signatures_release(&s);
    if (rv)
        ml_signature_check_release(out);
    return rv;
}

void ml_signature_check_release(struct ml_signature_check *c)
{
    cJSON_Delete(c->list);
    free(c->why);
    memset(c, 0, sizeof *c);
}
