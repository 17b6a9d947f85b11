/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signatures as a registry has them. The first byte 'P': a payload of any bytes, signed by a real key; it counts only
 * when it names the image in the words that cosign uses, and nothing critical beside them. Else: a manifest of any
 * bytes, which is never a valid signature. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "model/signature.h"
#include "oci/signkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n"
                          "-----END PRIVATE KEY-----\n";

struct memory {
    struct ml_repo repo;
    struct ml_buf manifest, payload;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static int manifest_get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    const struct memory *m = (struct memory *)r;

    (void)what, (void)err;
    *out = (struct ml_manifest){ .raw = ML_BUF_INIT };
    ml_buf_add(&out->raw, ml_buf_str(&m->manifest), m->manifest.len);
    out->desc.media_type = ml_strdup(ML_MT_MANIFEST);
    ml_digest_bytes(ml_buf_str(&out->raw), out->raw.len, &out->desc.digest);
    out->desc.size = out->raw.len;
    return 0;
}

static int blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    const struct memory *m = (struct memory *)r;

    (void)off, (void)len, (void)d;
    return m->payload.len ? sink(ctx, m->payload.data, m->payload.len, err) : 0;
}

static void make_manifest(struct memory *m, const struct ml_pkey *key)
{
    struct ml_buf sig = ML_BUF_INIT, text = ML_BUF_INIT;
    struct ml_digest d;

    require(ml_pkey_sign(key, ml_buf_str(&m->payload), m->payload.len, &sig, NULL) == 0);
    ml_base64_encode(sig.data, sig.len, &text);
    ml_digest_bytes(ml_buf_str(&m->payload), m->payload.len, &d);
    ml_buf_addf(&m->manifest,
        "{\"layers\":[{\"mediaType\":\"application/vnd.dev.cosign.simplesigning.v1+json\",\"digest\":\"%s\",\"size\":%"
        "zu,\"annotations\":{\"dev.cosignproject.cosign/signature\":\"%s\"}}]}",
        d.s, m->payload.len, text.data);
    ml_buf_release(&sig);
    ml_buf_release(&text);
}

/* What a payload that counts has to say. */
static void really(const struct ml_buf *payload, const struct ml_digest *image)
{
    cJSON *doc = ml_json_parse(ml_buf_str(payload), payload->len, "payload", NULL);
    const cJSON *critical = ml_json_get(doc, "critical"), *digest = ml_json_path(critical, "image");

    digest = ml_json_get(digest, "docker-manifest-digest");
    require(cJSON_GetArraySize(critical) == 3 && cJSON_IsString(digest) && !strcmp(digest->valuestring, image->s));
    require(!strcmp(ml_json_str(critical, "type"), "cosign container image signature"));
    cJSON_Delete(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ml_repo_ops ops = { .manifest_get = manifest_get, .blob_get = blob_get };
    static struct ml_pkey *key;
    char place[] = "memory";
    struct memory m = { { .ops = &ops, .ref = { .layout = true, .place = place } }, ML_BUF_INIT, ML_BUF_INIT };
    struct ml_err err = ML_ERR_INIT;
    struct ml_signature_check check;
    struct ml_digest image;

    if (!key) {
        setenv("FUZZ_KEY", pem, 1);
        require(ml_signkey_private("env://FUZZ_KEY", &key, NULL) == 0);
    }
    if (!size)
        return 0;
    ml_digest_parse("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", &image, NULL);
    ml_buf_add(data[0] == 'P' ? &m.payload : &m.manifest, data + 1, size - 1);
    if (data[0] == 'P')
        make_manifest(&m, key);
    else
        ml_buf_adds(&m.payload, "{}");
    if (ml_signature_verify(&m.repo, &image, key, NULL, &check, &err) == 0) {
        require(check.valid == !check.why && cJSON_IsArray(check.list));
        if (check.valid) {
            require(data[0] == 'P');
            really(&m.payload, &image);
        }
        ml_signature_check_release(&check);
    } else {
        require(err.code == ML_LOCAL || err.code == ML_INTEGRITY || err.code == ML_REFUSED);
    }
    ml_buf_release(&m.manifest);
    ml_buf_release(&m.payload);
    return 0;
}
