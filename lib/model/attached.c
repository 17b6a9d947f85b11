/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attachments of an image, and the current model. */
#include "model/attached.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/json.h"
#include "model/promotion.h"
#include "oci/layer.h"
#include "oci/layout.h"
#include "oci/tar.h"

static const struct {
    const char *suffix, *file, *title;
} kinds[] = {
    [ML_ATTACHED_CARD] = { "card", "card.json", "model card" },
    [ML_ATTACHED_PREDICTIONS] = { "predictions", "predictions", "held-out predictions" },
};

void ml_attached_tag(const struct ml_digest *image, enum ml_attachment kind, char out[ML_ATTACHED_TAG_MAX])
{
    snprintf(out, ML_ATTACHED_TAG_MAX, "sha256-%s.%s", ML_DIGEST_HEX(image), kinds[kind].suffix);
}

/* ---- reading ---- */

/* Which layer holds the attachment; its manifest has to be one of this image. */
static int take_manifest(
    const struct ml_manifest *m, const struct ml_digest *image, struct ml_desc *layer, struct ml_err *err)
{
    cJSON *doc = ml_json_parse(m->raw.data, m->raw.len, "manifest", err);
    const cJSON *layers = ml_json_get(doc, "layers"), *first = cJSON_GetArrayItem(layers, 0);
    const char *subject = ml_json_str(ml_json_get(doc, "subject"), "digest"), *digest = ml_json_str(first, "digest"),
               *type = ml_json_str(first, "mediaType");
    int64_t size;
    int rv = -1;

    if (!doc)
        return -1;
    if (!subject || strcmp(subject, image->s))
        ml_err_set(
            err, ML_INTEGRITY, "it says that it belongs to %s, not to %s", subject ? subject : "no image", image->s);
    else if (cJSON_GetArraySize(layers) != 1 || !digest || !type || !ml_json_int(first, "size", &size) || size < 0)
        ml_err_set(err, ML_INTEGRITY, "it isn't an attachment: one layer is what it should have");
    else
        rv = ml_digest_parse(digest, &layer->digest, err);
    if (!rv) {
        layer->size = (uint64_t)size;
        layer->media_type = ml_strdup(type);
    }
    cJSON_Delete(doc);
    return rv;
}

static int pour_file(struct ml_untar *u, const char *name, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    struct ml_tar_entry e;
    const void *p;
    int64_t n;
    int rv;

    while (!(rv = ml_untar_next(u, &e, err)))
        if (e.type == ML_TAR_FILE && !strcmp(e.path, name))
            break;
    if (rv)
        return rv < 0 ? -1 : ml_err_set(err, ML_INTEGRITY, "it holds no '%s'", name);
    while ((n = ml_untar_data(u, &p, err)) > 0)
        if (sink(ctx, p, (size_t)n, err))
            return -1;
    return n < 0 ? -1 : 0;
}

static int pour(struct ml_repo *r, const struct ml_digest *image, enum ml_attachment kind, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct ml_manifest m = { 0 };
    struct ml_desc layer = { 0 };
    struct ml_layer_in *in;
    char tag[ML_ATTACHED_TAG_MAX];
    int rv;

    ml_attached_tag(image, kind, tag);
    rv = r->ops->manifest_get(r, tag, &m, err);
    if (rv)
        return rv;
    rv = take_manifest(&m, image, &layer, err);
    if (!rv)
        rv = ml_layer_open(r, &layer, 0, &in, err);
    if (!rv)
        rv = ml_layer_close(in, pour_file(ml_layer_untar(in), kinds[kind].file, sink, ctx, err), NULL, err);
    if (rv)
        rv = ml_err_wrap(err, "attachment '%s'", tag);
    ml_desc_release(&layer);
    ml_manifest_release(&m);
    return rv;
}

static int to_buffer(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_buf *b = ctx;

    ml_buf_add(b, p, n);
    return b->full ? ml_err_set(err, ML_LOCAL, "over %zu bytes long", b->max) : 0;
}

int ml_attached_card(struct ml_repo *r, const struct ml_digest *image, struct ml_card *out, struct ml_err *err)
{
    struct ml_buf text;
    int rv;

    ml_buf_init(&text, ML_CARD_MAX);
    rv = pour(r, image, ML_ATTACHED_CARD, to_buffer, &text, err);
    if (!rv)
        rv = ml_card_parse(out, ml_buf_str(&text), text.len, "the attached card", err);
    ml_buf_release(&text);
    return rv;
}

int ml_attached_predictions(
    struct ml_repo *r, const struct ml_digest *image, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    return pour(r, image, ML_ATTACHED_PREDICTIONS, sink, ctx, err);
}

/* ---- writing ---- */

/* A tar of one file, never as a whole in memory: what comes before the file, the file, what comes behind. */
struct content {
    struct ml_buf head, tail;
    const char *bytes; /* the file is either these ... */
    int fd;            /* ... or this descriptor */
    uint64_t size;
    const char *name; /* for messages */
};

static int64_t read_file(const struct content *c, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    ssize_t got;

    if (n > c->size - off)
        n = (size_t)(c->size - off);
    if (c->bytes) {
        memcpy(p, c->bytes + off, n);
        return (int64_t)n;
    }
    do
        got = pread(c->fd, p, n, (off_t)off);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s'", c->name);
    if (got == 0)
        return ml_err_set(err, ML_LOCAL, "'%s' became shorter while it was read", c->name);
    return got;
}

static int64_t read_buffer(const struct ml_buf *b, uint64_t off, void *p, size_t n)
{
    if (off >= b->len)
        return 0;
    if (n > b->len - off)
        n = b->len - (size_t)off;
    memcpy(p, b->data + off, n);
    return (int64_t)n;
}

static int64_t read_content(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct content *c = ctx;

    if (off < c->head.len)
        return read_buffer(&c->head, off, p, n);
    off -= c->head.len;
    if (off < c->size)
        return read_file(c, off, p, n, err);
    return read_buffer(&c->tail, off - c->size, p, n);
}

static int frame(struct content *c, enum ml_attachment kind, struct ml_err *err)
{
    struct ml_tar_entry e = { .path = kinds[kind].file, .type = ML_TAR_FILE, .mode = 0644, .size = c->size };

    ml_buf_init(&c->head, 1 << 16);
    ml_buf_init(&c->tail, 1 << 16);
    if (ml_tar_header(&e, to_buffer, &c->head, err) || ml_tar_pad(c->size, to_buffer, &c->tail, err))
        return -1;
    return ml_tar_end(to_buffer, &c->tail, err);
}

/* Digest and size of the layer, and the digest of the file in it. */
static int measure(struct content *c, struct ml_desc *layer, struct ml_digest *file, struct ml_err *err)
{
    struct ml_hasher *whole = ml_hasher_new(), *inner = ml_hasher_new();
    size_t room = 1 << 18;
    char *buf = ml_malloc(room);
    uint64_t off = 0;
    int64_t n;

    while ((n = read_content(c, off, buf, room, err)) > 0) {
        ml_hasher_add(whole, buf, (size_t)n);
        if (off >= c->head.len && off - c->head.len < c->size)
            ml_hasher_add(inner, buf, (size_t)n);
        off += (uint64_t)n;
    }
    ml_hasher_end(whole, &layer->digest);
    ml_hasher_end(inner, file);
    layer->size = off;
    ml_hasher_free(whole);
    ml_hasher_free(inner);
    free(buf);
    return n < 0 ? -1 : 0;
}

static cJSON *desc_json(const char *media_type, const struct ml_digest *d, uint64_t size)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "mediaType", media_type);
    ml_json_set_str(v, "digest", d->s);
    ml_json_set_int(v, "size", (int64_t)size);
    return v;
}

/* A config that every reader of images accepts: GitLab's registry takes the media types of runnable images only, and
 * umoci refuses to unpack what isn't for an operating system that it knows. */
static void make_config(const struct ml_desc *layer, struct ml_buf *out)
{
    cJSON *v = cJSON_CreateObject(), *rootfs, *ids;

    ml_json_set_str(v, "architecture", "amd64");
    ml_json_set_str(v, "os", "linux");
    ml_json_set_object(v, "config");
    rootfs = ml_json_set_object(v, "rootfs");
    ml_json_set_str(rootfs, "type", "layers");
    ids = ml_json_set_array(rootfs, "diff_ids");
    cJSON_AddItemToArray(ids, cJSON_CreateString(layer->digest.s));
    ml_json_print(v, false, out);
    cJSON_Delete(v);
}

static void make_manifest(const struct ml_desc *image, enum ml_attachment kind, const struct ml_desc *layer,
    const struct ml_digest *config, size_t config_size, const struct ml_digest *file, struct ml_buf *out)
{
    cJSON *v = cJSON_CreateObject(), *layers, *notes;

    ml_json_set_int(v, "schemaVersion", 2);
    ml_json_set_str(v, "mediaType", ML_MT_MANIFEST);
    ml_json_set(v, "config", desc_json(ML_MT_CONFIG, config, config_size));
    layers = ml_json_set_array(v, "layers");
    cJSON_AddItemToArray(layers, desc_json(ML_MT_LAYER, &layer->digest, layer->size));
    ml_json_set(v, "subject", desc_json(image->media_type, &image->digest, image->size));
    notes = ml_json_set_object(v, "annotations");
    ml_json_set_str(notes, "org.opencontainers.image.title", kinds[kind].title);
    ml_json_set_str(notes, "mlci.attachment", kinds[kind].suffix);
    ml_json_set_str(notes, "mlci.attachment.digest", file->s);
    ml_json_print(v, false, out);
    cJSON_Delete(v);
}

/* Blobs first, the manifest last; nothing at all when the tag names this attachment already. */
static int store(struct ml_repo *r, const char *tag, struct content *c, const struct ml_desc *layer,
    const struct ml_buf *config, const struct ml_buf *manifest, struct ml_desc *out, struct ml_err *err)
{
    struct ml_source src = { read_content, c };
    struct ml_desc there = { 0 }, stored = { 0 };
    const char *name = tag ? tag : out->digest.s;
    int rv = r->ops->manifest_head(r, name, &there, err);
    bool same = !rv && ml_digest_eq(&there.digest, &out->digest);

    ml_desc_release(&there);
    if (rv < 0 || same)
        return rv < 0 ? -1 : 0;
    rv = r->ops->blob_put(r, layer, &src, err);
    if (!rv)
        rv = ml_repo_blob_store(r, ML_MT_CONFIG, config->data, config->len, &stored, err);
    ml_desc_release(&stored);
    return rv ? -1 : r->ops->manifest_put(r, tag, ML_MT_MANIFEST, manifest->data, manifest->len, err);
}

static int put(struct ml_repo *r, const struct ml_desc *image, enum ml_attachment kind, bool tagged, struct content *c,
    const struct ml_digest *want, struct ml_desc *out, struct ml_err *err)
{
    struct ml_desc layer = { 0 }, made = { 0 };
    struct ml_buf config = ML_BUF_INIT, manifest = ML_BUF_INIT;
    struct ml_digest file, config_digest;
    char tag[ML_ATTACHED_TAG_MAX];
    int rv = -1;

    ml_attached_tag(&image->digest, kind, tag);
    if (frame(c, kind, err) || measure(c, &layer, &file, err))
        goto out;
    if (want && !ml_digest_eq(want, &file)) {
        ml_err_set(err, ML_INTEGRITY, "'%s' has the digest %s, but the card's evaluation was made from %s", c->name,
            file.s, want->s);
        goto out;
    }
    make_config(&layer, &config);
    ml_digest_bytes(config.data, config.len, &config_digest);
    make_manifest(image, kind, &layer, &config_digest, config.len, &file, &manifest);
    made.media_type = ml_strdup(ML_MT_MANIFEST);
    made.size = manifest.len;
    ml_digest_bytes(manifest.data, manifest.len, &made.digest);
    rv = store(r, tagged ? tag : NULL, c, &layer, &config, &manifest, &made, err);
    if (rv)
        ml_err_wrap(err, "attachment '%s'", tag);
out:
    if (!rv && out) {
        *out = made;
        made.media_type = NULL;
    }
    ml_desc_release(&made);
    ml_buf_release(&config);
    ml_buf_release(&manifest);
    ml_buf_release(&c->head);
    ml_buf_release(&c->tail);
    return rv;
}

int ml_attached_put_card(struct ml_repo *r, const struct ml_desc *image, const struct ml_card *card, bool tagged,
    struct ml_desc *out, struct ml_err *err)
{
    struct content c = { .bytes = ml_buf_str(&card->text), .fd = -1, .size = card->text.len, .name = "card" };

    return put(r, image, ML_ATTACHED_CARD, tagged, &c, NULL, out, err);
}

int ml_attached_put_predictions(struct ml_repo *r, const struct ml_desc *image, const char *file,
    const struct ml_digest *want, struct ml_desc *out, struct ml_err *err)
{
    struct content c = { .fd = open(file, O_RDONLY | O_CLOEXEC), .name = file };
    struct stat st;
    int rv;

    if (c.fd < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s'", file);
    if (fstat(c.fd, &st)) {
        rv = ml_err_errno(err, ML_LOCAL, "'%s'", file);
    } else if (!S_ISREG(st.st_mode)) {
        rv = ml_err_set(err, ML_LOCAL, "'%s': not a regular file", file);
    } else {
        c.size = (uint64_t)st.st_size;
        rv = put(r, image, ML_ATTACHED_PREDICTIONS, true, &c, want, out, err);
    }
    close(c.fd);
    return rv;
}

/* ---- the current model ---- */

/* The tag is unknown. Has it never been there, or has somebody taken it away? */
static int none_yet(struct ml_repo *r, const struct ml_ref *ref, struct ml_err *err)
{
    struct ml_history h;
    size_t n;

    if (!ref->tag || ref->digest.s[0])
        return ml_err_set(err, ML_REFUSED, "no such manifest (404)");
    if (ml_history_open(r, ref->tag, &h, err))
        return -1;
    n = h.n;
    ml_history_release(&h);
    if (n)
        return ml_err_set(err, ML_REFUSED,
            "the tag is gone, but %zu promotion%s to it %s on record: 'ml-publish history' shows them, 'ml-publish "
            "tag' sets it again",
            n, n == 1 ? "" : "s", n == 1 ? "is" : "are");
    return 1;
}

int ml_current_find(const struct ml_ref *ref, struct ml_repo **repo, struct ml_manifest *out, struct ml_err *err)
{
    int rv;

    *repo = NULL;
    memset(out, 0, sizeof *out);
    if (ref->layout && !ml_layout_is(ref->place) && access(ref->place, F_OK))
        return 1;
    if (ml_repo_open(ref, false, repo, err))
        return -1;
    rv = ml_repo_resolve(*repo, ref, out, err);
    if (rv == 1)
        rv = none_yet(*repo, ref, err);
    if (rv) {
        ml_repo_close(*repo);
        *repo = NULL;
    }
    return rv;
}
