/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A repository that is one tar, read in place. */
#include "oci/archive.h"

#include <stdlib.h>
#include <string.h>

#include "data/json.h"

#define INDEX_MAX ((size_t)64 << 20)
#define CHUNK     ((size_t)256 << 10)
#define REF_NAME  "org.opencontainers.image.ref.name"
#define FULL_NAME "io.containerd.image.name"
#define HUB       "docker.io/"
#define HUB_OWN   "library/"

static struct ml_archive *archive(struct ml_repo *r)
{
    return (struct ml_archive *)r;
}

/* ---- names ---- */

/* Without what docker leaves out of names, too. */
static const char *plain(const char *name)
{
    if (!strncmp(name, HUB, strlen(HUB)))
        name += strlen(HUB);
    return strncmp(name, HUB_OWN, strlen(HUB_OWN)) ? name : name + strlen(HUB_OWN);
}

/* The tag of a name, or NULL. */
static const char *tag_of(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon && !strchr(colon, '/') ? colon + 1 : NULL;
}

/* How well a name fits what was asked for: 2 it is that, 1 its tag is that, 0 not at all. */
static int fits(const char *name, const char *what)
{
    const char *tag = tag_of(name);
    size_t n = tag ? (size_t)(tag - plain(name)) : 0;

    if (!strcmp(plain(name), plain(what)))
        return 2;
    if (tag && !tag_of(what) && !strcmp(tag, "latest") && strlen(plain(what)) == n - 1 &&
        !strncmp(plain(name), plain(what), n - 1))
        return 2;
    return tag && !strcmp(tag, what) ? 1 : 0;
}

static int several(struct ml_archive *a, const char *what, struct ml_err *err)
{
    struct ml_buf list = ML_BUF_INIT;

    ml_buf_init(&list, 600);
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < a->images[i].names.n; k++)
            ml_buf_addf(&list, "%s%s", list.len ? ", " : "", a->images[i].names.v[k]);
    ml_err_set(err, ML_LOCAL,
        *what ? "'%s': '%s' is the tag of several images, name one of: %s%s"
              : "'%s' has several images%s, name one of: %s%s",
        a->base.ref.place, what, list.len ? list.data : "(none has a name)", list.full ? ", ..." : "");
    ml_buf_release(&list);
    return -1;
}

/* The image of that name: 0, 1, -1 when it isn't clear which. */
static int find(struct ml_archive *a, const char *what, struct ml_archive_image **out, struct ml_err *err)
{
    size_t hits = 0;
    int best = 1;

    if (!*what) {
        if (a->n > 1)
            return several(a, what, err);
        *out = a->images;
        return a->n == 1 ? 0 : 1;
    }
    for (size_t i = 0; i < a->n; i++) {
        int fit = 0;

        for (size_t k = 0; k < a->images[i].names.n; k++) {
            int f = fits(a->images[i].names.v[k], what);

            fit = f > fit ? f : fit;
        }
        if (fit < best || (fit == 2 && best == 2))
            continue;
        hits = fit > best ? 1 : hits + 1;
        best = fit;
        *out = &a->images[i];
    }
    return hits == 0 ? 1 : hits == 1 ? 0 : several(a, what, err);
}

/* ---- blobs ---- */

static bool locate(struct ml_archive *a, const struct ml_digest *d, uint64_t *off, uint64_t *size)
{
    char *path = ml_format("blobs/sha256/%s", ML_DIGEST_HEX(d));
    bool found = ml_tarfile_find(a->tar, path, off, size);

    free(path);
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->nblobs && !found; i++) {
        if (!ml_digest_eq(&a->blobs[i].digest, d))
            continue;
        *off = a->blobs[i].off;
        *size = a->blobs[i].size;
        found = true;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

static int bad_size(struct ml_repo *r, const struct ml_desc *d, uint64_t size, struct ml_err *err)
{
    return ml_err_set(err, ML_INTEGRITY, "'%s': the blob %s has %llu bytes, not %llu", r->ref.place, d->digest.s,
        (unsigned long long)size, (unsigned long long)d->size);
}

static int blob_fd(struct ml_repo *r, const struct ml_desc *d, int *fd, uint64_t *at, struct ml_err *err)
{
    uint64_t size;

    if (!locate(archive(r), &d->digest, at, &size))
        return 1;
    if (d->size > 0 && size != d->size)
        return bad_size(r, d, size, err);
    return ml_tarfile_fd(archive(r)->tar, fd, err);
}

struct member {
    const struct ml_tarfile *tar;
    uint64_t at;
};

static int64_t read_member(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct member *m = ctx;

    return ml_tarfile_read(m->tar, m->at + off, p, n, err);
}

static int blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct member m = { .tar = archive(r)->tar };
    struct ml_source src = { read_member, &m };
    uint64_t size;

    if (!locate(archive(r), &d->digest, &m.at, &size))
        return 1;
    if (d->size > 0 && size != d->size)
        return bad_size(r, d, size, err);
    return ml_repo_blob_from(r, &src, size, d, off, len, sink, ctx, err);
}

static int blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err)
{
    uint64_t off, size;

    (void)err;
    return locate(archive(r), d, &off, &size) ? 0 : 1;
}

/* ---- manifests ---- */

static int made(struct ml_archive *a, struct ml_archive_image *i, struct ml_err *err)
{
    int rc = 0;

    pthread_mutex_lock(&a->lock);
    if (!i->desc.digest.s[0])
        rc = ml_archive_docker_make(a, i, err);
    pthread_mutex_unlock(&a->lock);
    return rc < 0 ? ml_err_wrap(err, "'%s'", a->base.ref.place) : 0;
}

/* An image that was made, by its digest. All of them have to be made to know. */
static int find_made(struct ml_archive *a, const struct ml_digest *d, struct ml_archive_image **out, struct ml_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < a->n && !*out; i++) {
        if (made(a, &a->images[i], err) < 0)
            return -1;
        if (a->images[i].raw.len && ml_digest_eq(&a->images[i].desc.digest, d))
            *out = &a->images[i];
    }
    return 0;
}

static int manifest_get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    struct ml_archive *a = archive(r);
    struct ml_archive_image *i = NULL;
    bool by_digest = ml_digest_valid(what);
    int rc = 0;

    *out = (struct ml_manifest){ 0 };
    ml_buf_init(&out->raw, ML_MANIFEST_MAX);
    if (by_digest) {
        ml_digest_parse(what, &out->desc.digest, NULL);
        rc = find_made(a, &out->desc.digest, &i, err);
    } else {
        rc = find(a, what, &i, err);
        if (rc == 0)
            rc = made(a, i, err);
        if (rc == 0)
            out->desc = (struct ml_desc){ .digest = i->desc.digest, .size = i->desc.size };
    }
    if (rc == 0 && i && i->raw.len)
        ml_buf_add(&out->raw, i->raw.data, i->raw.len);
    else if (rc == 0)
        rc = blob_get(r, &out->desc, 0, 0, ml_buf_sink, &out->raw, err);
    if (out->raw.full)
        ml_err_wrap(err, "the manifest of '%s'", what);
    if (rc == 1 && i)
        rc = ml_err_set(err, ML_LOCAL, "'%s' lacks the manifest %s", r->ref.place, out->desc.digest.s);
    out->desc.size = out->raw.len;
    if (rc == 0)
        rc = ml_manifest_type(&out->raw, out->desc.digest.s, &out->desc.media_type, err);
    if (rc != 0)
        ml_manifest_release(out);
    return rc;
}

static int manifest_head(struct ml_repo *r, const char *what, struct ml_desc *out, struct ml_err *err)
{
    struct ml_manifest m;
    int rc = manifest_get(r, what, &m, err);

    if (rc != 0)
        return rc;
    *out = m.desc;
    m.desc = (struct ml_desc){ 0 };
    ml_manifest_release(&m);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int tags(struct ml_repo *r, const char *prefix, struct ml_strs *out, struct ml_err *err)
{
    struct ml_archive *a = archive(r);

    (void)err;
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < a->images[i].names.n; k++)
            if (!strncmp(a->images[i].names.v[k], prefix, strlen(prefix)))
                ml_strs_add(out, a->images[i].names.v[k]);
    if (out->n > 1)
        qsort(out->v, out->n, sizeof *out->v, by_text);
    return 0;
}

/* ---- what an archive doesn't do ---- */

static int only_read(struct ml_repo *r, struct ml_err *err)
{
    return ml_err_set(err, ML_USAGE, "'%s': an archive is only read", r->ref.place);
}

static int manifest_put(
    struct ml_repo *r, const char *tag, const char *type, const void *p, size_t n, struct ml_err *err)
{
    (void)tag, (void)type, (void)p, (void)n;
    return only_read(r, err);
}

static int blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    (void)d, (void)src;
    return only_read(r, err);
}

static int blob_mount(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    (void)d, (void)from;
    return only_read(r, err);
}

/* ---- opening ---- */

static void archive_close(struct ml_repo *r)
{
    struct ml_archive *a = archive(r);

    for (size_t i = 0; i < a->n; i++) {
        struct ml_archive_image *im = &a->images[i];

        ml_strs_release(&im->names);
        ml_strs_release(&im->layers);
        ml_desc_release(&im->desc);
        ml_buf_release(&im->raw);
        free(im->config);
    }
    free(a->images);
    free(a->blobs);
    ml_tarfile_close(a->tar);
    ml_ref_release(&r->ref);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static const struct ml_repo_ops archive_ops = {
    .manifest_head = manifest_head,
    .manifest_get = manifest_get,
    .manifest_put = manifest_put,
    .blob_has = blob_has,
    .blob_get = blob_get,
    .blob_fd = blob_fd,
    .blob_put = blob_put,
    .blob_mount = blob_mount,
    .tags = tags,
    .close = archive_close,
};

static int add_image(struct ml_archive *a, const cJSON *j, struct ml_err *err)
{
    const cJSON *notes = ml_json_get(j, "annotations");
    const char *digest = ml_json_str(j, "digest"), *name = notes ? ml_json_str(notes, REF_NAME) : NULL,
               *full = notes ? ml_json_str(notes, FULL_NAME) : NULL;
    struct ml_archive_image i = { .raw = ML_BUF_INIT };
    int64_t size;

    if (!digest || !ml_digest_valid(digest) || !ml_json_int(j, "size", &size) || size < 0)
        return ml_err_set(err, ML_LOCAL, "index.json has a descriptor without a sha256 digest or size");
    ml_digest_parse(digest, &i.desc.digest, NULL);
    i.desc.size = (uint64_t)size;
    if (name)
        ml_strs_add(&i.names, name);
    if (full && (!name || strcmp(full, name)))
        ml_strs_add(&i.names, full);
    a->images = ml_grow(a->images, &a->cap, a->n + 1, sizeof *a->images);
    a->images[a->n++] = i;
    return 0;
}

static int read_index(struct ml_archive *a, struct ml_err *err)
{
    struct ml_buf text = ML_BUF_INIT;
    uint64_t off, size;
    cJSON *j = NULL;
    const cJSON *e;
    int rc;

    ml_buf_init(&text, INDEX_MAX);
    rc = ml_tarfile_load(a->tar, "index.json", &text, err);
    if (rc == 1)
        rc = ml_err_set(err, ML_LOCAL, "it has no index.json: no OCI image layout%s",
            ml_tarfile_find(a->tar, "manifest.json", &off, &size) ? ", but docker save's form: say 'docker-archive:'"
                                                                  : "");
    if (rc == 0 && !(j = ml_json_parse(ml_buf_str(&text), text.len, "index.json", err)))
        rc = -1;
    if (rc == 0 && !cJSON_IsArray(ml_json_get(j, "manifests")))
        rc = ml_err_set(err, ML_LOCAL, "its index.json has no array \"manifests\"");
    cJSON_ArrayForEach(e, ml_json_get(j, "manifests"))
    {
        if (rc == 0)
            rc = add_image(a, e, err);
    }
    cJSON_Delete(j);
    ml_buf_release(&text);
    return rc;
}

int ml_archive_open(const struct ml_ref *ref, struct ml_repo **out, struct ml_err *err)
{
    struct ml_archive *a;
    struct ml_tarfile *tar;

    if (ml_tarfile_open(ref->place, &tar, err) < 0)
        return -1;
    a = ml_calloc(1, sizeof *a);
    a->base.ops = &archive_ops;
    a->base.ref = (struct ml_ref){ .layout = true, .archive = ref->archive, .place = ml_strdup(ref->place) };
    a->tar = tar;
    pthread_mutex_init(&a->lock, NULL);
    if ((ref->archive == ML_ARCHIVE_OCI ? read_index(a, err) : ml_archive_docker_read(a, err)) < 0) {
        ml_err_wrap(err, "'%s'", ref->place);
        archive_close(&a->base);
        return -1;
    }
    *out = &a->base;
    return 0;
}
