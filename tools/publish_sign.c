/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-publish sign, verify. */
#include "data/json.h"
#include "model/signature.h"
#include "oci/signkey.h"
#include "publish.h"

static cJSON *begin(const struct job *j, const char *schema)
{
    cJSON *v = cJSON_CreateObject(), *key;
    struct ml_digest fingerprint;

    ml_signkey_fingerprint(j->key, &fingerprint);
    ml_json_set_str(v, "schema", schema);
    ml_json_set_str(v, "reference", j->operand);
    ml_json_set_str(v, "digest", j->image.digest.s);
    key = ml_json_set_object(v, "key");
    ml_json_set_str(key, "kind", ml_pkey_kind(j->key));
    ml_json_set_str(key, "fingerprint", fingerprint.s);
    return v;
}

static int find(struct job *j, const char *what, struct ml_err *err)
{
    int rv = j->repo->ops->manifest_head(j->repo, what, &j->image, err);

    if (rv == 1)
        rv = ml_err_set(err, j->ref.layout ? ML_LOCAL : ML_REFUSED, "there is no such image");
    return rv ? ml_err_wrap(err, "'%s'", j->operand) : 0;
}

int publish_sign(struct job *j, struct ml_err *err)
{
    struct cfg *cfg = j->cfg;
    struct ml_signed done = { 0 };
    cJSON *v;
    int rv;

    if (!cfg->key)
        return ml_err_set(err, ML_USAGE, "sign takes --key FILE, a private key");
    if (ml_signkey_private(cfg->key, &j->key, err) || publish_open_image(j, true, err) ||
        find(j, j->ref.digest.s, err) || ml_signature_add(j->repo, &j->image, j->key, cfg->identity, &done, err))
        return -1;
    v = begin(j, "mlci.signature/1");
    ml_json_set_str(v, "manifest", done.manifest.s);
    ml_json_set_int(v, "signatures", (int64_t)done.n);
    ml_json_set_bool(v, "already", done.already);
    rv = publish_put_json(j, v, err);
    if (done.unlisted)
        ml_tool_say(&cfg->common, "%s", done.unlisted);
    ml_tool_say(&cfg->common, "%s: %s", j->operand, done.already ? "was signed by this key before" : "signed");
    ml_signed_release(&done);
    return rv;
}

int publish_verify(struct job *j, struct ml_err *err)
{
    struct cfg *cfg = j->cfg;
    struct ml_signature_check c;
    cJSON *v;
    int rv;

    if (!cfg->key)
        return ml_err_set(err, ML_USAGE, "verify takes --key FILE, a public key");
    if (ml_ref_parse(j->operand, &j->ref, err))
        return -1;
    if (!j->ref.tag && !j->ref.digest.s[0])
        return ml_err_set(err, ML_USAGE, "'%s': it takes a tag or a digest", j->operand);
    if (ml_signkey_public(cfg->key, &j->key, err) || ml_publication_open(&j->ref, false, &j->log, &j->repo, err) ||
        find(j, j->ref.digest.s[0] ? j->ref.digest.s : j->ref.tag, err) ||
        ml_signature_verify(j->repo, &j->image.digest, j->key, cfg->identity, &c, err))
        return -1;
    v = begin(j, "mlci.verification/1");
    ml_json_set_bool(v, "verified", c.valid);
    ml_json_set_str(v, "why", c.why);
    ml_json_set(v, "signatures", c.list);
    c.list = NULL;
    rv = publish_put_json(j, v, err);
    if (!rv && c.valid)
        ml_tool_say(&cfg->common, "%s: signed by this key", j->operand);
    else if (!rv)
        rv = ml_err_set(err, ML_NO, "'%s': %s", j->operand, c.why);
    ml_signature_check_release(&c);
    return rv;
}
