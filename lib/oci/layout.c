/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The OCI image layout as a repository. */
#include "oci/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "data/json.h"
#include "oci/layout_new.h"

#define INDEX_MAX ((size_t)64 << 20)
#define REF_NAME  "org.opencontainers.image.ref.name"

struct layout {
    struct ml_repo repo;
    struct ml_layout_new place; /* of one that is written to */
};

/* ---- index.json ---- */

/* The text of index.json, checked; an empty index where there is none. */
static int index_read(const char *dir, struct ml_buf *out, struct ml_err *err)
{
    char *path = ml_format("%s/index.json", dir);
    int rc = 0;

    ml_buf_init(out, INDEX_MAX);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        ml_buf_adds(out, ML_LAYOUT_EMPTY);
    else if (ml_file_read(path, out, err) < 0 || ml_json_check(out->data, out->len, path, err) < 0)
        rc = -1;
    free(path);
    return rc;
}

/* The value of the index's "manifests": ML_LOCAL when it isn't an array. */
static int index_manifests(
    const char *dir, const struct ml_buf *text, struct ml_span *all, struct ml_span **v, size_t *n, struct ml_err *err)
{
    if (ml_json_at(text->data, text->len, "manifests", all) != 0 || ml_json_elements(text->data, *all, v, n) < 0)
        return ml_err_set(err, ML_LOCAL, "'%s/index.json' has no array \"manifests\"", dir);
    return 0;
}

/* The tag of one descriptor, owned; NULL when it has none. */
static char *desc_tag(const char *text, struct ml_span desc)
{
    struct ml_span ann, name;

    if (ml_json_find(text, desc, "annotations", &ann) != 0 || ml_json_find(text, ann, REF_NAME, &name) != 0)
        return NULL;
    return ml_json_decode(text, name);
}

static bool desc_has_tag(const char *text, struct ml_span desc, const char *tag)
{
    char *have = desc_tag(text, desc);
    bool yes = have && !strcmp(have, tag);

    free(have);
    return yes;
}

static int desc_parse(const char *dir, const char *text, struct ml_span s, struct ml_desc *out, struct ml_err *err)
{
    cJSON *j = ml_json_parse(text + s.off, s.len, "index.json", err);
    bool good = ml_desc_parse(j, out) && out->media_type;

    if (j && !good)
        ml_err_set(err, ML_LOCAL, "'%s/index.json' has a descriptor without a media type, sha256 digest or size", dir);
    cJSON_Delete(j);
    return good ? 0 : -1;
}

/* The descriptor that a tag names: 0, 1, -1. */
static int find_tag(const char *dir, const char *tag, struct ml_desc *out, struct ml_err *err)
{
    struct ml_buf text;
    struct ml_span all, *v = NULL;
    size_t n = 0;
    int rc = -1;

    if (index_read(dir, &text, err) < 0 || index_manifests(dir, &text, &all, &v, &n, err) < 0)
        goto out;
    rc = 1;
    for (size_t i = 0; i < n && rc == 1; i++)
        if (desc_has_tag(text.data, v[i], tag))
            rc = desc_parse(dir, text.data, v[i], out, err);
out:
    free(v);
    ml_buf_release(&text);
    return rc;
}

static int layout_manifest_get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    const char *dir = r->ref.place;
    bool by_digest = ml_digest_valid(what);
    int rc = 0;

    *out = (struct ml_manifest){ 0 };
    ml_buf_init(&out->raw, ML_MANIFEST_MAX);
    if (!by_digest)
        rc = find_tag(dir, what, &out->desc, err);
    else
        rc = ml_digest_parse(what, &out->desc.digest, err);
    if (rc == 0)
        rc = ml_layout_blob_get(r, &out->desc, 0, 0, ml_buf_sink, &out->raw, err);
    if (out->raw.full)
        ml_err_wrap(err, "the manifest of '%s'", what);
    if (rc == 1 && out->desc.media_type)
        rc = ml_err_set(err, ML_LOCAL, "'%s' has a tag '%s' but not its manifest %s", dir, what, out->desc.digest.s);
    if (rc == 0 && by_digest) {
        out->desc.size = out->raw.len;
        rc = ml_manifest_type(&out->raw, what, &out->desc.media_type, err);
    }
    if (rc != 0)
        ml_manifest_release(out);
    return rc;
}

static int layout_manifest_head(struct ml_repo *r, const char *what, struct ml_desc *out, struct ml_err *err)
{
    struct ml_manifest m;
    int rc = layout_manifest_get(r, what, &m, err);

    if (rc != 0)
        return rc;
    *out = m.desc;
    m.desc = (struct ml_desc){ 0 };
    ml_manifest_release(&m);
    return 0;
}

/* index.json as `text`, with the tag naming `desc`: the first descriptor of that tag replaced, any other of it dropped,
 * all else untouched. */
static int index_edit(const char *dir, const struct ml_buf *text, const char *tag, const struct ml_buf *desc,
    struct ml_buf *out, struct ml_err *err)
{
    struct ml_span all, *v = NULL;
    size_t n = 0, at;
    bool done = false;

    if (index_manifests(dir, text, &all, &v, &n, err) < 0)
        return -1;
    at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t end = v[i].off + v[i].len;

        if (!desc_has_tag(text->data, v[i], tag))
            continue;
        if (!done) {
            ml_buf_add(out, text->data + at, v[i].off - at);
            ml_buf_add(out, desc->data, desc->len);
        } else { /* with the comma before it: it isn't the first */
            ml_buf_add(out, text->data + at, v[i - 1].off + v[i - 1].len > at ? v[i - 1].off + v[i - 1].len - at : 0);
        }
        done = true;
        at = end;
    }
    if (done) {
        ml_buf_add(out, text->data + at, text->len - at);
    } else {
        ml_buf_add(out, text->data, all.off);
        ml_json_append(text->data, all, desc->data, desc->len, out);
        ml_buf_add(out, text->data + all.off + all.len, text->len - all.off - all.len);
    }
    free(v);
    return 0;
}

/* Descriptor of a manifest in index.json. */
static void desc_format(const struct ml_desc *d, const char *tag, struct ml_buf *out)
{
    ml_buf_addc(out, '{');
    ml_desc_members(d, out);
    ml_buf_adds(out, ",\"annotations\":{\"" REF_NAME "\":");
    ml_json_quote(tag, strlen(tag), out);
    ml_buf_adds(out, "}}");
}

static int layout_manifest_put(
    struct ml_repo *r, const char *tag, const char *media_type, const void *p, size_t n, struct ml_err *err)
{
    const char *dir = r->ref.place;
    struct ml_buf text = ML_BUF_INIT, entry = ML_BUF_INIT, out = ML_BUF_INIT;
    struct ml_blobout *b = NULL;
    struct ml_desc desc = { (char *)media_type, .size = n };
    char *path = ml_format("%s/index.json", dir);
    struct ml_lock lock = ML_LOCK_INIT;
    int rc = -1;

    if (ml_blobout_open(r, &b, err) < 0 || ml_blobout_add(b, p, n, err) < 0 ||
        ml_blobout_commit(b, &desc.digest, NULL, err) < 0)
        goto out;
    if (!tag) {
        rc = 0;
        goto out;
    }
    desc_format(&desc, tag, &entry);
    if (ml_lock_dir(&lock, dir, err) < 0 || index_read(dir, &text, err) < 0 ||
        index_edit(dir, &text, tag, &entry, &out, err) < 0)
        goto out;
    rc = text.len == out.len && !memcmp(text.data, out.data, out.len)
             ? 0
             : ml_file_write(path, out.data, out.len, 0644, err);
out:
    ml_lock_release(&lock);
    ml_blobout_free(b);
    ml_buf_release(&text);
    ml_buf_release(&entry);
    ml_buf_release(&out);
    free(path);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int layout_tags(struct ml_repo *r, const char *prefix, struct ml_strs *out, struct ml_err *err)
{
    const char *dir = r->ref.place;
    struct ml_buf text;
    struct ml_span all, *v = NULL;
    size_t n = 0;
    int rc = -1;

    if (index_read(dir, &text, err) < 0 || index_manifests(dir, &text, &all, &v, &n, err) < 0)
        goto out;
    for (size_t i = 0; i < n; i++) {
        char *tag = desc_tag(text.data, v[i]);

        if (tag && !strncmp(tag, prefix, strlen(prefix)))
            ml_strs_add(out, tag);
        free(tag);
    }
    if (out->n > 1)
        qsort(out->v, out->n, sizeof *out->v, by_text);
    rc = 0;
out:
    free(v);
    ml_buf_release(&text);
    return rc;
}

/* ---- opening ---- */

bool ml_layout_is(const char *dir)
{
    char *path = ml_format("%s/oci-layout", dir);
    bool yes = access(path, F_OK) == 0;

    free(path);
    return yes;
}

/* ML_LOCAL when the version isn't 1.0.0. */
static int check_version(const char *dir, struct ml_err *err)
{
    char *path = ml_format("%s/oci-layout", dir);
    cJSON *j = ml_json_load(path, 4096, err);
    const char *version = j ? ml_json_str(j, "imageLayoutVersion") : NULL;
    int rc = j ? 0 : -1;

    if (j && (!version || strcmp(version, "1.0.0") != 0))
        rc = ml_err_set(err, ML_LOCAL, "'%s': the layout's version is not 1.0.0", path);
    cJSON_Delete(j);
    free(path);
    return rc;
}

static void layout_close(struct ml_repo *r)
{
    struct layout *l = (struct layout *)r;

    ml_layout_new_end(&l->place);
    ml_ref_release(&r->ref);
    free(l);
}

/* Who looks for referrers in a layout reads its index. */
static int layout_manifest_attach(struct ml_repo *r, const char *tag, const char *media_type, const void *p, size_t n,
    bool *listed, struct ml_err *err)
{
    *listed = true;
    return layout_manifest_put(r, tag, media_type, p, n, err);
}

static const struct ml_repo_ops layout_ops = {
    .manifest_head = layout_manifest_head,
    .manifest_get = layout_manifest_get,
    .manifest_put = layout_manifest_put,
    .manifest_attach = layout_manifest_attach,
    .blob_has = ml_layout_blob_has,
    .blob_get = ml_layout_blob_get,
    .blob_fd = ml_layout_blob_fd,
    .blob_put = ml_layout_blob_put,
    .blob_mount = ml_layout_blob_mount,
    .tags = layout_tags,
    .close = layout_close,
};

int ml_layout_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err)
{
    const char *dir = ref->place;
    struct layout *l = ml_calloc(1, sizeof *l);

    l->repo.ops = &layout_ops;
    l->repo.ref = (struct ml_ref){ .layout = true, .place = ml_strdup(dir) };
    if (write && ml_layout_new_begin(&l->place, dir, err) < 0)
        goto fail;
    if (!ml_layout_is(dir)) {
        ml_err_set(err, ML_LOCAL, "'%s' is not an OCI image layout", dir);
        goto fail;
    }
    if (check_version(dir, err) < 0)
        goto fail;
    *out = &l->repo;
    return 0;
fail:
    layout_close(&l->repo);
    return -1;
}
