/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of referrers that a client keeps: whatever stands in its place, it is left alone or it gets the new entry
 * and keeps what it had, byte for byte. The first byte says whether the registry calls it an index. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "oci/referrers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct ml_repo repo;
    const char *type;
    struct ml_buf list;
    int puts;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static int get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    struct memory *m = (struct memory *)r;

    (void)err;
    require(!strncmp(what, "sha256-", 7));
    *out = (struct ml_manifest){ 0 };
    ml_buf_init(&out->raw, ML_MANIFEST_MAX);
    ml_buf_add(&out->raw, ml_buf_str(&m->list), m->list.len);
    out->desc.media_type = ml_strdup(m->type);
    ml_digest_bytes(ml_buf_str(&m->list), m->list.len, &out->desc.digest);
    out->desc.size = m->list.len;
    return 0;
}

static int put(struct ml_repo *r, const char *tag, const char *type, const void *p, size_t n, struct ml_err *err)
{
    struct memory *m = (struct memory *)r;

    (void)err;
    require(!strncmp(tag, "sha256-", 7) && !strcmp(type, ML_MT_INDEX) && ml_json_check(p, n, "put", NULL) == 0);
    ml_buf_reset(&m->list);
    ml_buf_add(&m->list, p, n);
    m->puts++;
    return 0;
}

static int attach(
    struct ml_repo *r, const char *tag, const char *type, const void *p, size_t n, bool *listed, struct ml_err *err)
{
    (void)r, (void)tag, (void)type, (void)p, (void)n, (void)err;
    *listed = false;
    return 0;
}

static bool says(const char *text, struct ml_span desc, const struct ml_digest *d)
{
    struct ml_span s;
    char *digest = ml_json_find(text, desc, "digest", &s) ? NULL : ml_json_decode(text, s);
    bool yes = digest && !strcmp(digest, d->s);

    free(digest);
    return yes;
}

/* Entries of `before` that weren't to go are in `after`, in order, and the new one is its last. */
static void compare(const struct ml_buf *before, const struct ml_buf *after, const struct ml_digest *added,
    const struct ml_digest *replaced)
{
    struct ml_span a, b, *v = NULL, *w = NULL;
    size_t n = 0, k = 0, at = 0;

    require(
        ml_json_at(before->data, before->len, "manifests", &a) == 0 && ml_json_elements(before->data, a, &v, &n) == 0);
    require(ml_json_at(after->data, after->len, "manifests", &b) == 0 && ml_json_elements(after->data, b, &w, &k) == 0);
    for (size_t i = 0; i < n; i++) {
        if (says(before->data, v[i], added) || says(before->data, v[i], replaced))
            continue;
        require(at < k && w[at].len == v[i].len && !memcmp(after->data + w[at].off, before->data + v[i].off, v[i].len));
        at++;
    }
    require(at == k - 1 && says(after->data, w[at], added));
    free(v);
    free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ml_repo_ops ops = { .manifest_get = get, .manifest_put = put, .manifest_attach = attach };
    static const char text[] = "{\"artifactType\":\"a/b\",\"annotations\":{\"k\":\"v\"},\"layers\":[]}";
    char place[] = "memory", type[] = ML_MT_MANIFEST;
    struct memory m = { .repo = { .ops = &ops, .ref = { .layout = true, .place = place } }, .list = ML_BUF_INIT };
    struct ml_manifest added = { .desc = { .media_type = type, .size = sizeof text - 1 }, .raw = ML_BUF_INIT };
    struct ml_digest subject, replaced;
    struct ml_buf before = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;
    char *note = NULL;

    if (!size)
        return 0;
    m.type = data[0] & 1 ? ML_MT_MANIFEST : ML_MT_INDEX;
    ml_buf_add(&m.list, data + 1, size - 1);
    ml_buf_add(&before, data + 1, size - 1);
    ml_buf_add(&added.raw, text, sizeof text - 1);
    ml_digest_bytes(text, sizeof text - 1, &added.desc.digest);
    ml_digest_bytes("subject", 7, &subject);
    ml_digest_parse("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", &replaced, NULL);
    require(ml_referrers_put(&m.repo, "t", &subject, &added, &replaced, &note, &err) == 0 && m.puts <= 1);
    if (m.puts)
        compare(&before, &m.list, &added.desc.digest, &replaced);
    require(m.puts || note || strstr(ml_buf_str(&before), ML_DIGEST_HEX(&added.desc.digest)));
    free(note);
    ml_buf_release(&m.list);
    ml_buf_release(&before);
    ml_buf_release(&added.raw);
    return 0;
}
