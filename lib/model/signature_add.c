/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signing. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "model/signature_impl.h"
#include "oci/referrers.h"

#define TRIES 5

/* A signature that is to be stored, or was. */
struct item {
    struct ml_desc layer;
    char *signature; /* base64 */
    char *entry;     /* the descriptor as text; all owned */
};

static void item_release(struct item *i)
{
    ml_desc_release(&i->layer);
    free(i->signature);
    free(i->entry);
}

static bool has(const struct ml_signatures *s, const struct item *want)
{
    bool found = false;

    for (size_t i = 0; i < s->n && !found; i++) {
        struct ml_desc layer;
        char *signature;

        found = ml_signatures_layer(s, i, &layer, &signature) && signature && want->signature &&
                ml_digest_eq(&layer.digest, &want->layer.digest) && !strcmp(signature, want->signature);
        free(signature);
        ml_desc_release(&layer);
    }
    return found;
}

/* ---- the manifest ---- */

/* As cosign writes it: an image of nothing, whose layers are what is signed. */
static void make_config(const struct ml_strs *layers, struct ml_buf *out)
{
    ml_buf_adds(out, "{\"architecture\":\"\",\"created\":\"0001-01-01T00:00:00Z\",\"history\":[");
    for (size_t i = 0; i < layers->n; i++)
        ml_buf_addf(out, "%s{\"created\":\"0001-01-01T00:00:00Z\"}", i ? "," : "");
    ml_buf_adds(out, "],\"os\":\"\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < layers->n; i++)
        ml_buf_addf(out, "%s\"%s\"", i ? "," : "", layers->v[i]);
    ml_buf_adds(out, "]},\"config\":{}}");
}

static void collect(
    const struct ml_signatures *s, const struct item *more, size_t n, struct ml_strs *digests, struct ml_buf *entries)
{
    for (size_t i = 0; i < s->n; i++) {
        struct ml_desc layer;
        char *signature;

        if (ml_signatures_layer(s, i, &layer, &signature)) {
            ml_strs_add(digests, layer.digest.s);
            ml_buf_addf(entries, "%s", entries->len ? "," : "");
            ml_buf_add(entries, s->m.raw.data + s->v[i].off, s->v[i].len);
        }
        free(signature);
        ml_desc_release(&layer);
    }
    for (size_t i = 0; i < n; i++) {
        ml_strs_add(digests, more[i].layer.digest.s);
        ml_buf_addf(entries, "%s%s", entries->len ? "," : "", more[i].entry);
    }
}

static void make_manifest(const struct ml_signatures *s, const struct ml_buf *entries, const struct ml_desc *config,
    const struct ml_desc *image, struct ml_manifest *out)
{
    struct ml_span notes;
    struct ml_buf *b = &out->raw;

    ml_buf_init(b, ML_MANIFEST_MAX);
    ml_buf_addf(b,
        "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\",\"config\":{\"mediaType\":\"%s\",\"size\":%llu,"
        "\"digest\":\"%s\"},\"layers\":[%s],\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}",
        config->media_type, (unsigned long long)config->size, config->digest.s, ml_buf_str(entries), image->media_type,
        image->digest.s, (unsigned long long)image->size);
    if (s->m.raw.len && !ml_json_at(s->m.raw.data, s->m.raw.len, "/annotations", &notes)) {
        ml_buf_adds(b, ",\"annotations\":");
        ml_buf_add(b, s->m.raw.data + notes.off, notes.len);
    }
    ml_buf_addc(b, '}');
    out->desc.media_type = ml_strdup(ML_MT_MANIFEST);
    out->desc.size = b->len;
    ml_digest_bytes(ml_buf_str(b), b->len, &out->desc.digest);
}

/* Writes what there is with what is new. */
static int write_all(struct ml_repo *r, const struct ml_desc *image, const struct ml_signatures *s,
    const struct item *more, size_t n, struct ml_signed *out, struct ml_err *err)
{
    struct ml_strs digests = { 0 };
    struct ml_buf entries = ML_BUF_INIT, text = ML_BUF_INIT;
    struct ml_desc config = { 0 };
    struct ml_manifest m = { 0 };
    int rv;

    collect(s, more, n, &digests, &entries);
    make_config(&digests, &text);
    rv = ml_repo_blob_store(r, ML_MT_CONFIG, text.data, text.len, &config, err);
    if (!rv) {
        make_manifest(s, &entries, &config, image, &m);
        if (m.raw.full)
            rv = ml_err_set(err, ML_REFUSED, "%zu signatures are too many for one manifest", digests.n);
    }
    free(out->unlisted);
    out->unlisted = NULL;
    if (!rv)
        rv = ml_referrers_put(r, s->tag, &image->digest, &m, &s->m.desc.digest, &out->unlisted, err);
    out->manifest = m.desc.digest;
    out->n = digests.n;
    ml_manifest_release(&m);
    ml_desc_release(&config);
    ml_buf_release(&entries);
    ml_buf_release(&text);
    ml_strs_release(&digests);
    return rv;
}

/* ---- signing ---- */

static void make_payload(
    const struct ml_repo *r, const struct ml_digest *image, const char *identity, struct ml_buf *out)
{
    char *own = r->ref.layout ? ml_strdup("") : ml_format("%s/%s", r->ref.place, r->ref.path);

    if (!identity)
        identity = own;
    ml_buf_adds(out, "{\"critical\":{\"identity\":{\"docker-reference\":");
    ml_json_quote(identity, strlen(identity), out);
    ml_buf_addf(out,
        "},\"image\":{\"docker-manifest-digest\":\"%s\"},\"type\":\"" ML_SIGNATURE_CRITICAL "\"},\"optional\":null}",
        image->s);
    free(own);
}

/* Whether this key has signed this payload before. */
static bool is_signed(const struct ml_signatures *s, const struct ml_pkey *key, const struct ml_buf *payload)
{
    struct ml_digest d;
    bool found = false;

    ml_digest_bytes(payload->data, payload->len, &d);
    for (size_t i = 0; i < s->n && !found; i++) {
        struct ml_desc layer;
        char *signature;
        struct ml_buf raw = ML_BUF_INIT;

        found = ml_signatures_layer(s, i, &layer, &signature) && signature && ml_digest_eq(&layer.digest, &d) &&
                ml_base64_decode(signature, strlen(signature), &raw) &&
                ml_pkey_verify(key, payload->data, payload->len, ml_buf_str(&raw), raw.len);
        ml_buf_release(&raw);
        free(signature);
        ml_desc_release(&layer);
    }
    return found;
}

static int make_item(const struct ml_pkey *key, const struct ml_buf *payload, struct item *out, struct ml_err *err)
{
    struct ml_buf raw = ML_BUF_INIT, text = ML_BUF_INIT;
    int rv = ml_pkey_sign(key, payload->data, payload->len, &raw, err);

    if (!rv) {
        ml_base64_encode(raw.data, raw.len, &text);
        out->signature = ml_buf_detach(&text);
        out->layer.media_type = ml_strdup(ML_SIGNATURE_TYPE);
        out->layer.size = payload->len;
        ml_digest_bytes(payload->data, payload->len, &out->layer.digest);
        out->entry = ml_format("{\"mediaType\":\"" ML_SIGNATURE_TYPE "\",\"size\":%zu,\"digest\":\"%s\","
                               "\"annotations\":{\"" ML_SIGNATURE_ANNOTATION "\":\"%s\"}}",
            payload->len, out->layer.digest.s, out->signature);
    }
    ml_buf_release(&raw);
    return rv;
}

/* Adds what isn't there yet, until it is: 0, -1. `s` is what was there, and is released. */
static int add_until(struct ml_repo *r, const struct ml_desc *image, struct ml_signatures *s, const struct item *items,
    size_t n, struct ml_signed *out, struct ml_err *err)
{
    int rv = 0;

    for (int try = 0; !rv; try++) {
        struct item *more = ml_calloc(n, sizeof *more);
        size_t missing = 0;

        for (size_t i = 0; i < n; i++)
            if (!has(s, &items[i]))
                more[missing++] = items[i]; /* borrowed */
        out->manifest = missing ? out->manifest : s->m.desc.digest;
        out->n = s->n;
        if (missing && try == TRIES)
            rv = ml_err_set(err, ML_REFUSED, "'%s' is written by others all the time: try again", s->tag);
        else if (missing)
            rv = write_all(r, image, s, more, missing, out, err);
        free(more);
        if (rv || !missing)
            break;
        if (try)
            ml_clock_sleep(0.05 * try);
        ml_signatures_release(s);
        rv = ml_signatures_load(r, &image->digest, s, err);
    }
    ml_signatures_release(s);
    return rv;
}

int ml_signature_add(struct ml_repo *r, const struct ml_desc *image, const struct ml_pkey *key, const char *identity,
    struct ml_signed *out, struct ml_err *err)
{
    struct ml_buf payload = ML_BUF_INIT;
    struct ml_signatures s;
    struct item item = { 0 };
    struct ml_desc stored = { 0 };
    int rv = ml_signatures_load(r, &image->digest, &s, err);

    memset(out, 0, sizeof *out);
    make_payload(r, &image->digest, identity, &payload);
    out->already = !rv && is_signed(&s, key, &payload);
    if (rv || out->already) {
        out->manifest = s.m.desc.digest;
        out->n = s.n;
        ml_signatures_release(&s);
        goto out;
    }
    rv = make_item(key, &payload, &item, err);
    if (!rv)
        rv = ml_repo_blob_store(r, ML_SIGNATURE_TYPE, payload.data, payload.len, &stored, err);
    if (rv)
        ml_signatures_release(&s);
    else
        rv = add_until(r, image, &s, &item, 1, out, err);
out:
    if (rv)
        ml_signed_release(out);
    item_release(&item);
    ml_desc_release(&stored);
    ml_buf_release(&payload);
    return rv;
}

/* ---- copying ---- */

static int copy_payload(struct ml_repo *from, struct ml_repo *to, const struct ml_desc *layer, struct ml_err *err)
{
    struct ml_buf payload = ML_BUF_INIT;
    struct ml_desc stored = { 0 };
    int rv = ml_repo_blob_load(from, layer, ML_SIGNATURE_MAX, &payload, err);

    if (rv == 1)
        rv = ml_err_set(err, ML_INTEGRITY, "what a signature signs is missing where it comes from");
    if (!rv)
        rv = ml_repo_blob_store(to, ML_SIGNATURE_TYPE, ml_buf_str(&payload), payload.len, &stored, err);
    ml_desc_release(&stored);
    ml_buf_release(&payload);
    return rv;
}

int ml_signature_copy(
    struct ml_repo *from, struct ml_repo *to, const struct ml_desc *image, struct ml_signed *out, struct ml_err *err)
{
    struct ml_signatures source, there = { 0 };
    struct item *items = NULL;
    size_t n = 0;
    int rv = ml_signatures_load(from, &image->digest, &source, err);

    memset(out, 0, sizeof *out);
    if (rv || !source.n) {
        rv = rv ? -1 : 1;
        goto out;
    }
    rv = ml_signatures_load(to, &image->digest, &there, err);
    items = ml_calloc(source.n, sizeof *items);
    for (size_t i = 0; !rv && i < source.n; i++) {
        struct item *t = &items[n];

        if (!ml_signatures_layer(&source, i, &t->layer, &t->signature) || !t->signature) {
            item_release(t);
            memset(t, 0, sizeof *t);
            continue;
        }
        t->entry = ml_strndup(source.m.raw.data + source.v[i].off, source.v[i].len);
        n++;
        if (!has(&there, t))
            rv = copy_payload(from, to, &t->layer, err);
    }
    if (!rv)
        rv = add_until(to, image, &there, items, n, out, err);
    else
        ml_signatures_release(&there);
out:
    for (size_t i = 0; i < n; i++)
        item_release(&items[i]);
    free(items);
    ml_signatures_release(&source);
    if (rv)
        ml_signed_release(out);
    return rv;
}

void ml_signed_release(struct ml_signed *s)
{
    free(s->unlisted);
    memset(s, 0, sizeof *s);
}
