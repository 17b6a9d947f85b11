/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `docker save` writes (moby, image/tarexport): manifest.json, an array with an object an image:
 * {"Config": path, "RepoTags": [name], "Layers": [path]}. An image gets an OCI manifest here, for the archive has none,
 * except where it is an image layout, too. */
#include <stdlib.h>
#include <string.h>

#include "base/decompress.h"
#include "data/json.h"
#include "oci/archive.h"
#include "oci/image.h"

#define MANIFESTS_MAX ((size_t)16 << 20)
#define LAYERS_MAX    10000
#define CHUNK         ((size_t)256 << 10)

static int add_image(struct ml_archive *a, const cJSON *j, struct ml_err *err)
{
    const cJSON *layers = ml_json_get(j, "Layers"), *e;
    const char *config = ml_json_str(j, "Config");
    struct ml_archive_image i = { .raw = ML_BUF_INIT };

    if (!config || !cJSON_IsArray(layers) || cJSON_GetArraySize(layers) > LAYERS_MAX)
        return ml_err_set(err, ML_LOCAL, "its manifest.json has an image without a config or layers");
    i.config = ml_strdup(config);
    cJSON_ArrayForEach(e, layers)
    {
        ml_strs_add(&i.layers, cJSON_IsString(e) ? e->valuestring : "");
    }
    cJSON_ArrayForEach(e, ml_json_get(j, "RepoTags"))
    {
        if (cJSON_IsString(e))
            ml_strs_add(&i.names, e->valuestring);
    }
    a->images = ml_grow(a->images, &a->cap, a->n + 1, sizeof *a->images);
    a->images[a->n++] = i;
    return 0;
}

/* The manifest that index.json (an image layout, too) names for the config at `path`: 0, 1, -1. */
static int find_manifest(struct ml_archive *a, struct ml_archive_image *i, const cJSON *index, struct ml_err *err)
{
    const cJSON *e;

    cJSON_ArrayForEach(e, ml_json_get(index, "manifests"))
    {
        const char *digest = ml_json_str(e, "digest"), *config;
        struct ml_buf text = ML_BUF_INIT;
        char *path, *blob;
        cJSON *m;
        bool hit;

        if (!digest || !ml_digest_valid(digest))
            continue;
        ml_buf_init(&text, ML_MANIFEST_MAX);
        path = ml_format("blobs/sha256/%s", digest + 7);
        m = ml_tarfile_load(a->tar, path, &text, NULL) == 0 ? ml_json_parse(text.data, text.len, path, NULL) : NULL;
        config = ml_json_str(ml_json_get(m, "config"), "digest");
        blob = config && ml_digest_valid(config) ? ml_format("blobs/sha256/%s", config + 7) : ml_strdup("");
        hit = !strcmp(blob, i->config);
        cJSON_Delete(m);
        free(path);
        free(blob);
        ml_buf_release(&text);
        if (hit)
            return ml_digest_parse(digest, &i->desc.digest, err);
    }
    return 1;
}

/* Where the archive is an image layout, too, its own manifests count. */
static int read_index(struct ml_archive *a, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    cJSON *index = NULL;
    int rc;

    ml_buf_init(&text, MANIFESTS_MAX);
    rc = ml_tarfile_load(a->tar, "index.json", &text, err);
    if (rc == 0 && !(index = ml_json_parse(ml_buf_str(&text), text.len, "index.json", err)))
        rc = -1;
    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = find_manifest(a, &a->images[i], index, err) < 0 ? -1 : 0;
    cJSON_Delete(index);
    ml_buf_release(&text);
    return rc < 0 ? -1 : 0;
}

int ml_archive_docker_read(struct ml_archive *a, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    uint64_t off, size;
    cJSON *j = NULL;
    const cJSON *e;
    int rc;

    ml_buf_init(&text, MANIFESTS_MAX);
    rc = ml_tarfile_load(a->tar, "manifest.json", &text, err);
    if (rc == 1)
        rc = ml_err_set(err, ML_LOCAL, "it has no manifest.json: not what docker save writes%s",
            ml_tarfile_find(a->tar, "index.json", &off, &size) ? ", but an image layout: say 'oci-archive:'" : "");
    if (rc == 0 && !(j = ml_json_parse(ml_buf_str(&text), text.len, "manifest.json", err)))
        rc = -1;
    if (rc == 0 && !cJSON_IsArray(j))
        rc = ml_err_set(err, ML_LOCAL, "its manifest.json is no array");
    cJSON_ArrayForEach(e, j)
    {
        if (rc == 0)
            rc = add_image(a, e, err);
    }
    cJSON_Delete(j);
    ml_buf_release(&text);
    return rc < 0 ? -1 : read_index(a, err);
}

/* ---- making a manifest ---- */

static void add_blob(struct ml_archive *a, const struct ml_digest *d, uint64_t off, uint64_t size)
{
    a->blobs = ml_grow(a->blobs, &a->blob_cap, a->nblobs + 1, sizeof *a->blobs);
    a->blobs[a->nblobs++] = (struct ml_archive_blob){ *d, off, size };
}

static int hash(struct ml_archive *a, uint64_t off, uint64_t size, struct ml_digest *out, struct ml_err *err)
{
    struct ml_hasher *h = ml_hasher_new();
    char *chunk = ml_malloc(CHUNK);
    int64_t n = 1;

    for (uint64_t at = 0; at < size && n > 0; at += (uint64_t)n) {
        n = ml_tarfile_read(a->tar, off + at, chunk, size - at < CHUNK ? (size_t)(size - at) : CHUNK, err);
        if (n > 0)
            ml_hasher_add(h, chunk, (size_t)n);
    }
    ml_hasher_end(h, out);
    ml_hasher_free(h);
    free(chunk);
    return n > 0 || size == 0 ? 0 : n < 0 ? -1 : ml_err_set(err, ML_LOCAL, "it ends too early");
}

static int add_layer(
    struct ml_archive *a, const char *path, const char *diff_id, struct ml_buf *out, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    uint64_t off;
    const char *kind;
    char head[4] = "";

    if (!ml_tarfile_find(a->tar, path, &off, &d.size))
        return ml_err_set(err, ML_LOCAL, "its layer '%s' is missing", path);
    if (!diff_id || !ml_digest_valid(diff_id))
        return ml_err_set(err, ML_LOCAL, "the image's config has a malformed diff_id");
    if (ml_tarfile_read(a->tar, off, head, sizeof head, err) < 0)
        return -1;
    kind = d.size < sizeof head ? "none" : ml_decompress_kind(head, sizeof head);
    if (strcmp(kind, "none") ? hash(a, off, d.size, &d.digest, err) < 0 : ml_digest_parse(diff_id, &d.digest, err) < 0)
        return -1;
    d.media_type = ml_format("%s%s%s", ML_MT_LAYER, strcmp(kind, "none") ? "+" : "", strcmp(kind, "none") ? kind : "");
    ml_buf_addc(out, '{');
    ml_desc_members(&d, out);
    ml_buf_addc(out, '}');
    add_blob(a, &d.digest, off, d.size);
    ml_desc_release(&d);
    return 0;
}

static int make(struct ml_archive *a, struct ml_archive_image *i, const struct ml_buf *config, struct ml_buf *out,
    struct ml_err *err)
{
    cJSON *j = ml_json_parse(ml_buf_str(config), config->len, i->config, err);
    const cJSON *ids = ml_json_path(j, "rootfs.diff_ids"), *id;
    struct ml_desc d = { (char *)ML_MT_CONFIG, .size = config->len };
    int rc = j ? 0 : -1;

    if (j && (size_t)cJSON_GetArraySize(ids) != i->layers.n)
        rc =
            ml_err_set(err, ML_LOCAL, "the image has %zu layers but %d diff_ids", i->layers.n, cJSON_GetArraySize(ids));
    ml_digest_bytes(config->data, config->len, &d.digest);
    ml_buf_adds(out, "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\",\"config\":{");
    ml_desc_members(&d, out);
    ml_buf_adds(out, "},\"layers\":[");
    id = ids ? ids->child : NULL;
    for (size_t k = 0; k < i->layers.n && rc == 0; k++, id = id->next) {
        if (k)
            ml_buf_addc(out, ',');
        rc = add_layer(a, i->layers.v[k], cJSON_IsString(id) ? id->valuestring : NULL, out, err);
    }
    ml_buf_adds(out, "]}");
    cJSON_Delete(j);
    return rc;
}

int ml_archive_docker_make(struct ml_archive *a, struct ml_archive_image *i, struct ml_err *err)
{
    struct ml_buf config = ML_BUF_INIT, out = ML_BUF_INIT;
    struct ml_digest d;
    uint64_t off, size;
    int rc;

    ml_buf_init(&config, ML_CONFIG_MAX);
    ml_buf_init(&out, ML_MANIFEST_MAX);
    rc = ml_tarfile_load(a->tar, i->config, &config, err);
    if (rc == 1)
        rc = ml_err_set(err, ML_LOCAL, "its config '%s' is missing", i->config);
    if (rc == 0)
        rc = make(a, i, &config, &out, err);
    if (rc == 0 && ml_tarfile_find(a->tar, i->config, &off, &size)) {
        ml_digest_bytes(config.data, config.len, &d);
        add_blob(a, &d, off, size);
        ml_digest_bytes(out.data, out.len, &i->desc.digest);
        i->desc.size = out.len;
        i->raw = out;
        out = (struct ml_buf)ML_BUF_INIT;
    }
    ml_buf_release(&config);
    ml_buf_release(&out);
    return rc;
}
