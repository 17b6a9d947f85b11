/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An archive, written from its beginning to its end. */
#include "oci/archive_out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/json.h"
#include "oci/tar.h"
#include "oci/view_copy.h"

#define BUFFER ((size_t)1 << 20)
#define HUB    "docker.io/"
#define GAP    "@tags"

struct ml_archive_out {
    struct ml_outfile file;
    char *path;
    struct ml_buf buf; /* what isn't written yet */
    struct ml_hasher *hasher;
    uint64_t size;      /* of the blob that is being written */
    struct ml_strs had; /* digests of blobs */
    struct ml_desc manifest;
    struct ml_buf docker; /* manifest.json; empty: this is no image that docker could load */
};

void ml_archive_out_free(struct ml_archive_out *a)
{
    if (!a)
        return;
    ml_outfile_abort(&a->file);
    ml_hasher_free(a->hasher);
    ml_buf_release(&a->buf);
    ml_buf_release(&a->docker);
    ml_strs_release(&a->had);
    ml_desc_release(&a->manifest);
    free(a->path);
    free(a);
}

/* ---- the tar ---- */

static int flush(struct ml_archive_out *a, struct ml_err *err)
{
    int rc = a->buf.len ? ml_outfile_write(&a->file, a->buf.data, a->buf.len, err) : 0;

    ml_buf_reset(&a->buf);
    return rc;
}

static int raw(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_archive_out *a = ctx;

    if (a->buf.len + n > BUFFER && flush(a, err) < 0)
        return -1;
    if (n > BUFFER)
        return ml_outfile_write(&a->file, p, n, err);
    ml_buf_add(&a->buf, p, n);
    return 0;
}

static int blob_bytes(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_archive_out *a = ctx;

    ml_hasher_add(a->hasher, p, n);
    a->size += n;
    return raw(a, p, n, err);
}

static int header(struct ml_archive_out *a, const char *path, enum ml_tar_type type, uint64_t size, struct ml_err *err)
{
    struct ml_tar_entry e = { .path = path, .type = type, .mode = type == ML_TAR_DIR ? 0755 : 0644, .size = size };

    return ml_tar_header(&e, raw, a, err);
}

int ml_archive_out_open(const char *path, struct ml_archive_out **out, struct ml_err *err)
{
    struct ml_archive_out *a = ml_calloc(1, sizeof *a);

    a->file = (struct ml_outfile)ML_OUTFILE_INIT;
    ml_outfile_sweep(path);
    if (ml_outfile_open(&a->file, path, 0644, err) < 0) {
        free(a);
        return -1;
    }
    a->path = ml_strdup(path);
    a->hasher = ml_hasher_new();
    ml_buf_init(&a->buf, 2 * BUFFER);
    ml_buf_init(&a->docker, ML_MANIFEST_MAX);
    *out = a;
    if (header(a, "blobs", ML_TAR_DIR, 0, err) == 0 && header(a, "blobs/sha256", ML_TAR_DIR, 0, err) == 0)
        return 0;
    ml_archive_out_free(a);
    *out = NULL;
    return -1;
}

static int text(struct ml_archive_out *a, const char *path, const void *p, size_t n, struct ml_err *err)
{
    return header(a, path, ML_TAR_FILE, n, err) < 0 || raw(a, p, n, err) < 0 ? -1 : ml_tar_pad(n, raw, a, err);
}

/* 0, 1 when `from` doesn't have it, -1. */
static int blob(struct ml_archive_out *a, struct ml_repo *from, const struct ml_desc *d, struct ml_err *err)
{
    char *path = ml_format("blobs/sha256/%s", ML_DIGEST_HEX(&d->digest));
    struct ml_digest got;
    int rc = ml_strs_has(&a->had, d->digest.s) ? 2 : from->ops->blob_has(from, &d->digest, err);

    if (rc == 0) {
        a->size = 0;
        ml_hasher_reset(a->hasher);
        rc = header(a, path, ML_TAR_FILE, d->size, err);
        if (rc == 0)
            rc = from->ops->blob_get(from, d, 0, 0, blob_bytes, a, err);
        ml_hasher_end(a->hasher, &got);
        if (rc == 0 && (a->size != d->size || !ml_digest_eq(&got, &d->digest)))
            rc = ml_err_set(err, ML_INTEGRITY, "the blob %s came as %s", d->digest.s, got.s);
        if (rc == 0)
            rc = ml_tar_pad(d->size, raw, a, err);
        ml_strs_add(&a->had, d->digest.s);
    }
    free(path);
    return rc == 2 ? 0 : rc;
}

/* Its header, whose name is known only then, is put before it. */
static int write_layer(struct ml_archive_out *a, struct ml_layer_out *l, struct ml_err *err)
{
    static const struct ml_digest unknown = {
        "sha256:0000000000000000000000000000000000000000000000000000000000000000"
    };
    struct ml_tar_entry e = { .type = ML_TAR_FILE, .mode = 0644, .size = ml_tar_view_size(l->view) };
    char *path = ml_format("blobs/sha256/%s", ML_DIGEST_HEX(&unknown));
    struct ml_buf head = ML_BUF_INIT;
    off_t at = flush(a, err) < 0 ? -1 : lseek(a->file.fd, 0, SEEK_CUR), data;
    int rc = -1;

    e.path = path;
    data = at + (off_t)ml_tar_header_size(&e);
    if (at < 0 || ml_view_copy(l->view, a->file.fd, (uint64_t)data, a->path, &l->diff_id, err) < 0 ||
        ml_tar_view_finish(l->view, err) < 0)
        goto out;
    l->desc = (struct ml_desc){ ml_strdup(ML_MT_LAYER), l->diff_id, e.size };
    if (ml_strs_has(&a->had, l->diff_id.s)) {
        rc = ftruncate(a->file.fd, at) == 0 && lseek(a->file.fd, at, SEEK_SET) == at
                 ? 0
                 : ml_err_errno(err, ML_LOCAL, "cannot write '%s'", a->path);
        goto out;
    }
    ml_strs_add(&a->had, l->diff_id.s);
    memcpy(path + strlen(path) - 64, ML_DIGEST_HEX(&l->diff_id), 64);
    if (ml_tar_header(&e, ml_buf_sink, &head, err) < 0)
        goto out;
    if (pwrite(a->file.fd, head.data, head.len, at) != (ssize_t)head.len ||
        lseek(a->file.fd, data + (off_t)e.size, SEEK_SET) < 0) {
        ml_err_errno(err, ML_LOCAL, "cannot write '%s'", a->path);
        goto out;
    }
    rc = ml_tar_pad(e.size, raw, a, err);
out:
    ml_buf_release(&head);
    free(path);
    return rc;
}

int ml_archive_out_layers(struct ml_archive_out *a, struct ml_layer_out *v, size_t n, struct ml_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (write_layer(a, &v[i], err) < 0)
            return -1;
    return 0;
}

/* ---- the image ---- */

/* A blob that a manifest names; `d` is filled. Layers that may not be given away needn't be there. */
static int add(struct ml_archive_out *a, struct ml_repo *from, const cJSON *j, struct ml_desc *d, struct ml_err *err)
{
    int rc;

    if (!ml_desc_parse(j, d) || !d->media_type)
        return ml_err_set(err, ML_LOCAL, "the manifest has an entry without a media type, sha256 digest or size");
    rc = blob(a, from, d, err);
    if (rc == 1 && (strstr(d->media_type, ".nondistributable.") || strstr(d->media_type, ".foreign.")))
        rc = 0;
    return rc == 1 ? ml_err_set(err, ML_INTEGRITY, "the blob %s is missing", d->digest.s) : rc;
}

/* All blobs, and manifest.json of docker save, which has their paths in the tar. */
static int add_all(struct ml_archive_out *a, struct ml_repo *from, const cJSON *doc, struct ml_err *err)
{
    struct ml_buf list = ML_BUF_INIT;
    struct ml_desc d = { 0 };
    const cJSON *e;
    int rc = 0;

    cJSON_ArrayForEach(e, ml_json_get(doc, "layers"))
    {
        if (rc == 0)
            rc = add(a, from, e, &d, err);
        ml_buf_addf(&list, "%s\"blobs/sha256/%s\"", list.len ? "," : "", ML_DIGEST_HEX(&d.digest));
        ml_desc_release(&d);
    }
    if (rc == 0)
        rc = add(a, from, ml_json_get(doc, "config"), &d, err);
    if (rc == 0 && !strcmp(d.media_type, ML_MT_CONFIG))
        /* the tags are known at the commit */
        ml_buf_addf(&a->docker, "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":" GAP ",\"Layers\":[%s]}]",
            ML_DIGEST_HEX(&d.digest), ml_buf_str(&list));
    ml_desc_release(&d);
    ml_buf_release(&list);
    return rc;
}

int ml_archive_out_image(struct ml_archive_out *a, struct ml_repo *from, const struct ml_desc *d, struct ml_err *err)
{
    struct ml_manifest m = { 0 };
    char *path = ml_format("blobs/sha256/%s", ML_DIGEST_HEX(&d->digest));
    int rc = from->ops->manifest_get(from, d->digest.s, &m, err);
    cJSON *doc = rc == 0 ? ml_json_parse(m.raw.data, m.raw.len, "manifest", err) : NULL;

    rc = doc && add_all(a, from, doc, err) == 0 && text(a, path, m.raw.data, m.raw.len, err) == 0 ? 0 : -1;
    if (rc == 0) {
        a->manifest = m.desc;
        m.desc = (struct ml_desc){ 0 };
    }
    cJSON_Delete(doc);
    ml_manifest_release(&m);
    free(path);
    return rc;
}

/* index.json: containerd takes the whole name, skopeo the tag. */
static void index_text(const struct ml_archive_out *a, const char *name, struct ml_buf *out)
{
    ml_buf_adds(out, "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_INDEX "\",\"manifests\":[{");
    ml_desc_members(&a->manifest, out);
    if (name) {
        const char *slash = strchr(name, '/'), *tag = strrchr(name, ':') + 1;
        bool host = slash && (memchr(name, '.', (size_t)(slash - name)) || memchr(name, ':', (size_t)(slash - name)) ||
                                 !strncmp(name, "localhost/", 10));
        char *full = ml_format("%s%s%s", host ? "" : HUB, host || slash ? "" : "library/", name);

        ml_buf_adds(out, ",\"annotations\":{\"io.containerd.image.name\":");
        ml_json_quote(full, strlen(full), out);
        ml_buf_adds(out, ",\"org.opencontainers.image.ref.name\":");
        ml_json_quote(tag, strlen(tag), out);
        ml_buf_addc(out, '}');
        free(full);
    }
    ml_buf_adds(out, "}]}");
}

static int docker_text(struct ml_archive_out *a, const char *name, struct ml_err *err)
{
    struct ml_buf tags = ML_BUF_INIT, out = ML_BUF_INIT;
    const char *gap = strstr(ml_buf_str(&a->docker), GAP);
    int rc;

    if (!gap)
        return 0;
    if (name) {
        ml_buf_addc(&tags, '[');
        ml_json_quote(name, strlen(name), &tags);
        ml_buf_addc(&tags, ']');
    }
    ml_buf_add(&out, a->docker.data, (size_t)(gap - a->docker.data));
    ml_buf_adds(&out, name ? tags.data : "null");
    ml_buf_adds(&out, gap + strlen(GAP));
    rc = text(a, "manifest.json", out.data, out.len, err);
    ml_buf_release(&tags);
    ml_buf_release(&out);
    return rc;
}

int ml_archive_out_commit(struct ml_archive_out *a, const char *name, struct ml_err *err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    struct ml_buf index = ML_BUF_INIT;
    int rc = -1;

    index_text(a, name, &index);
    if (text(a, "index.json", index.data, index.len, err) == 0 && docker_text(a, name, err) == 0 &&
        text(a, "oci-layout", version, strlen(version), err) == 0 && ml_tar_end(raw, a, err) == 0 && flush(a, err) == 0)
        rc = ml_outfile_commit(&a->file, err);
    ml_buf_release(&index);
    return rc;
}
