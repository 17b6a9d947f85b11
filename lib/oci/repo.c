/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is the same for every kind of repository. */
#include "oci/repo.h"

#include <stdlib.h>
#include <string.h>

#include "data/json.h"

#define CHUNK ((size_t)256 << 10)

void ml_manifest_release(struct ml_manifest *m)
{
    ml_desc_release(&m->desc);
    ml_buf_release(&m->raw);
}

int ml_manifest_type(const struct ml_buf *raw, const char *name, char **type, struct ml_err *err)
{
    cJSON *j = ml_json_parse(ml_buf_str(raw), raw->len, name, err);
    const char *said;

    if (!j)
        return -1;
    said = ml_json_str(j, "mediaType");
    *type = said                                         ? ml_strdup(said)
            : cJSON_IsArray(ml_json_get(j, "manifests")) ? ml_strdup(ML_MT_INDEX)
            : cJSON_IsArray(ml_json_get(j, "layers"))    ? ml_strdup(ML_MT_MANIFEST)
                                                         : NULL;
    cJSON_Delete(j);
    return *type ? 0 : ml_err_set(err, ML_LOCAL, "'%s' is neither a manifest nor an index", name);
}

int ml_repo_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err)
{
    *out = NULL;
    if (ref->archive && write)
        return ml_err_set(
            err, ML_USAGE, "'%s': an archive is only read; 'ml-package --archive' writes one", ref->place);
    if (ref->archive)
        return ml_archive_open(ref, out, err);
    return ref->layout ? ml_layout_open(ref, write, out, err) : ml_registry_open(ref, write, out, err);
}

void ml_repo_close(struct ml_repo *r)
{
    if (r)
        r->ops->close(r);
}

int ml_repo_blob_load(struct ml_repo *r, const struct ml_desc *d, size_t max, struct ml_buf *out, struct ml_err *err)
{
    ml_buf_init(out, max);
    if (d->size > max)
        return ml_err_set(err, ML_LOCAL, "blob %s: %llu bytes are more than the %zu it may have", d->digest.s,
            (unsigned long long)d->size, max);
    return r->ops->blob_get(r, d, 0, 0, ml_buf_sink, out, err);
}

struct bytes {
    const char *p;
    size_t n;
};

static int64_t from_bytes(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct bytes *b = ctx;

    (void)err;
    if (off >= b->n)
        return 0;
    if (n > b->n - (size_t)off)
        n = b->n - (size_t)off;
    memcpy(p, b->p + off, n);
    return (int64_t)n;
}

int ml_repo_blob_store(
    struct ml_repo *r, const char *media_type, const void *p, size_t n, struct ml_desc *out, struct ml_err *err)
{
    struct bytes b = { p, n };
    struct ml_source src = { from_bytes, &b };

    out->media_type = ml_strdup(media_type);
    out->size = n;
    ml_digest_bytes(p, n, &out->digest);
    return r->ops->blob_put(r, out, &src, err);
}

/* Bytes `off` to `off + len` to the sink, and through the hasher when there is one. */
static int stream(const struct ml_source *src, uint64_t off, uint64_t len, struct ml_hasher *h, ml_sink_fn *sink,
    void *ctx, struct ml_err *err)
{
    char *chunk = ml_malloc(CHUNK);
    int rc = 0;

    while (rc == 0 && len > 0) {
        int64_t n = src->read(src->ctx, off, chunk, len < CHUNK ? (size_t)len : CHUNK, err);

        if (n <= 0) {
            rc = n < 0 ? -1 : ml_err_set(err, ML_INTEGRITY, "a blob became shorter while it was being read");
            break;
        }
        if (h)
            ml_hasher_add(h, chunk, (size_t)n);
        rc = sink(ctx, chunk, (size_t)n, err);
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    free(chunk);
    return rc;
}

int ml_repo_blob_from(const struct ml_repo *r, const struct ml_source *src, uint64_t size, const struct ml_desc *d,
    uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    struct ml_hasher *h = NULL;
    struct ml_digest got;
    int rc;

    if (off > size)
        off = size;
    if (len == 0 || len > size - off)
        len = size - off;
    if (off == 0 && len == size)
        h = ml_hasher_new();
    rc = stream(src, off, len, h, sink, ctx, err);
    if (h) {
        ml_hasher_end(h, &got);
        ml_hasher_free(h);
        if (rc == 0 && !ml_digest_eq(&got, &d->digest))
            rc = ml_err_set(err, ML_INTEGRITY, "'%s': the blob %s has other bytes, its digest is %s", r->ref.place,
                d->digest.s, got.s);
    }
    return rc;
}

int ml_repo_resolve(struct ml_repo *r, const struct ml_ref *ref, struct ml_manifest *out, struct ml_err *err)
{
    const char *what = ref->tag ? ref->tag : ref->digest.s;
    int rv;

    if (!*what && !ref->archive) {
        char *s = ml_ref_format(ref, ML_REF_ALL);

        ml_err_set(err, ML_USAGE, "'%s': neither a tag nor a digest, say '%s:TAG'", s, s);
        free(s);
        return -1;
    }
    rv = r->ops->manifest_get(r, what, out, err);
    if (!rv && ref->tag && ref->digest.s[0] && !ml_digest_eq(&ref->digest, &out->desc.digest)) {
        rv = ml_err_set(err, ML_INTEGRITY, "tag '%s' names %s, not %s", ref->tag, out->desc.digest.s, ref->digest.s);
        ml_manifest_release(out);
    }
    return rv;
}
