/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attaching. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/together.h"
#include "data/json.h"
#include "model/attached_impl.h"
#include "oci/copy.h"
#include "oci/referrers.h"
#include "oci/tar.h"

#define EMPTY_TYPE                                                                                                     \
    "application/vnd.oci.empty.v1+json" /* image-spec v1.1, manifest.md, "Guidance for an Empty Descriptor" */
#define EMPTY "{}"

/* ---- the bytes ---- */

/* A file, or a tar of it, never as a whole in memory: what comes before the file, the file, what comes behind. */
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

/* Puts the tar around the file. */
static int frame(struct content *c, enum ml_attachment kind, struct ml_err *err)
{
    struct ml_tar_entry e = {
        .path = ml_attached_kinds[kind].file, .type = ML_TAR_FILE, .mode = 0644, .size = c->size
    };

    if (ml_tar_header(&e, ml_buf_sink, &c->head, err) || ml_tar_pad(c->size, ml_buf_sink, &c->tail, err))
        return -1;
    return ml_tar_end(ml_buf_sink, &c->tail, err);
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

/* ---- the manifest ---- */

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

/* One of the two forms of an attachment, ready to be stored. */
struct form {
    struct content c;
    struct ml_desc layer;
    struct ml_buf config;
    struct ml_manifest m;
};

static void form_release(struct form *f)
{
    ml_desc_release(&f->layer);
    ml_buf_release(&f->config);
    ml_manifest_release(&f->m);
    ml_buf_release(&f->c.head);
    ml_buf_release(&f->c.tail);
}

static void make_manifest(struct form *f, const struct ml_desc *image, enum ml_attachment kind, const char *type,
    const struct ml_digest *file)
{
    const struct ml_attached_kind *k = &ml_attached_kinds[kind];
    cJSON *v = cJSON_CreateObject(), *layers, *notes;
    struct ml_desc config = { (char *)(type ? EMPTY_TYPE : ML_MT_CONFIG), .size = f->config.len };

    ml_digest_bytes(f->config.data, f->config.len, &config.digest);
    ml_json_set_int(v, "schemaVersion", 2);
    ml_json_set_str(v, "mediaType", ML_MT_MANIFEST);
    if (type)
        ml_json_set_str(v, "artifactType", type);
    ml_json_set(v, "config", ml_desc_json(&config));
    layers = ml_json_set_array(v, "layers");
    cJSON_AddItemToArray(layers, ml_desc_json(&f->layer));
    ml_json_set(v, "subject", ml_desc_json(image));
    notes = ml_json_set_object(v, "annotations");
    ml_json_set_str(notes, "org.opencontainers.image.title", k->title);
    ml_json_set_str(notes, "mlci.attachment", k->suffix);
    ml_json_set_str(notes, "mlci.attachment.digest", file->s);
    ml_buf_init(&f->m.raw, ML_MANIFEST_MAX);
    ml_json_print(v, false, &f->m.raw);
    cJSON_Delete(v);
    f->m.desc.media_type = ml_strdup(ML_MT_MANIFEST);
    f->m.desc.size = f->m.raw.len;
    ml_digest_bytes(f->m.raw.data, f->m.raw.len, &f->m.desc.digest);
}

/* `plain`: as an image; else as an artifact. */
static int make_form(struct form *f, const struct content *c, const struct ml_desc *image,
    const struct ml_attaching *what, bool plain, struct ml_err *err)
{
    const char *type = plain ? NULL : ml_attached_kinds[what->kind].type;
    struct ml_digest file;

    f->c = *c;
    ml_buf_init(&f->c.head, 1 << 16);
    ml_buf_init(&f->c.tail, 1 << 16);
    ml_buf_init(&f->config, 1 << 16);
    if ((plain && frame(&f->c, what->kind, err)) || measure(&f->c, &f->layer, &file, err))
        return -1;
    if (what->want && !ml_digest_eq(what->want, &file))
        return ml_err_set(err, ML_INTEGRITY, "'%s' has the digest %s, but the card's evaluation was made from %s",
            c->name, file.s, what->want->s);
    f->layer.media_type = ml_strdup(type ? type : ML_MT_LAYER);
    if (plain)
        make_config(&f->layer, &f->config);
    else
        ml_buf_adds(&f->config, EMPTY);
    make_manifest(f, image, what->kind, type, &file);
    return 0;
}

/* ---- storing ---- */

/* Where an attachment goes. */
struct place {
    struct ml_repo *repo;
    const struct ml_desc *image;
    const struct ml_attaching *what;
    char tag[ML_ATTACHED_TAG_MAX];
    struct ml_digest there; /* what the tag names; "" for nothing, or where the tag isn't taken */
};

struct storing {
    struct ml_repo *repo;
    struct form *f;
};

static int store_layer(void *ctx, struct ml_err *err)
{
    const struct storing *s = ctx;
    struct ml_source src = { read_content, &s->f->c };

    return s->repo->ops->blob_put(s->repo, &s->f->layer, &src, err);
}

static int store_config(void *ctx, struct ml_err *err)
{
    const struct storing *s = ctx;
    struct ml_desc config = { 0 };
    int rv = ml_repo_blob_store(s->repo, ML_MT_CONFIG, s->f->config.data, s->f->config.len, &config, err);

    ml_desc_release(&config);
    return rv;
}

/* Blobs first, both at the same time, the manifest last. */
static int store(const struct place *p, struct form *f, char **unlisted, struct ml_err *err)
{
    struct storing s = { p->repo, f };
    struct ml_step steps[] = { { .run = store_layer, .ctx = &s }, { .run = store_config, .ctx = &s } };

    if (ml_together(steps, 2, err))
        return -1;
    /* what a record names is found by it, and would fill the list with a card each promotion */
    if (p->what->untagged)
        return p->repo->ops->manifest_put(p->repo, NULL, f->m.desc.media_type, f->m.raw.data, f->m.raw.len, err);
    return ml_referrers_put(p->repo, p->tag, &p->image->digest, &f->m, &p->there, unlisted, err);
}

/* As an artifact; where the registry takes no such types, or took none before, as a plain image. */
static int put_either(const struct place *p, struct form *artifact, struct form *plain, const struct content *c,
    struct ml_attached *out, struct ml_err *err)
{
    int rv;

    if (ml_attached_kinds[p->what->kind].type) {
        if (make_form(artifact, c, p->image, p->what, false, err))
            return -1;
        if (ml_digest_eq(&p->there, &artifact->m.desc.digest))
            return 0;
        if (p->there.s[0] && make_form(plain, c, p->image, p->what, true, err))
            return -1;
        out->plain = p->there.s[0] && ml_digest_eq(&p->there, &plain->m.desc.digest);
        rv = out->plain ? 0 : store(p, artifact, &out->unlisted, err);
        if (!rv || err->detail != ML_REPO_TYPE)
            return rv;
        out->refused = ml_strdup(err->msg);
        *err = (struct ml_err)ML_ERR_INIT;
    }
    out->plain = true;
    if (!plain->m.raw.len && make_form(plain, c, p->image, p->what, true, err))
        return -1;
    return ml_digest_eq(&p->there, &plain->m.desc.digest) ? 0 : store(p, plain, &out->unlisted, err);
}

static int put(struct place *p, const struct content *c, struct ml_attached *out, struct ml_err *err)
{
    struct form artifact = { 0 }, plain = { 0 }, *done;
    struct ml_desc there = { 0 };
    int rv = p->what->untagged ? 1 : p->repo->ops->manifest_head(p->repo, p->tag, &there, err);

    p->there = there.digest;
    ml_desc_release(&there);
    if (rv >= 0)
        rv = put_either(p, &artifact, &plain, c, out, err);
    if (!rv) {
        done = out->plain ? &plain : &artifact;
        out->desc = done->m.desc;
        done->m.desc.media_type = NULL;
    } else {
        ml_err_wrap(err, "attachment '%s'", p->tag);
    }
    form_release(&artifact);
    form_release(&plain);
    return rv;
}

int ml_attached_put(struct ml_repo *r, const struct ml_desc *image, const struct ml_attaching *what,
    struct ml_attached *out, struct ml_err *err)
{
    struct content c = { .bytes = what->text, .fd = what->fd, .size = what->n, .name = what->name };
    struct place p = { .repo = r, .image = image, .what = what };
    struct ml_attached unseen = { 0 };
    struct stat st;
    int rv;

    if (!out)
        out = &unseen;
    memset(out, 0, sizeof *out);
    if (!what->text && fstat(what->fd, &st))
        return ml_err_errno(err, ML_LOCAL, "'%s'", what->name);
    if (!what->text && !S_ISREG(st.st_mode))
        return ml_err_set(err, ML_LOCAL, "'%s': not a regular file", what->name);
    if (!what->text)
        c.size = (uint64_t)st.st_size;
    out->kind = what->kind;
    ml_attached_tag(&image->digest, what->kind, p.tag);
    rv = put(&p, &c, out, err);
    if (rv || out == &unseen)
        ml_attached_release(out);
    return rv;
}

int ml_attached_put_card(struct ml_repo *r, const struct ml_desc *image, const struct ml_card *card, bool tagged,
    struct ml_attached *out, struct ml_err *err)
{
    struct ml_attaching what = { .kind = ML_ATTACHED_CARD,
        .text = ml_buf_str(&card->text),
        .n = card->text.len,
        .name = "card",
        .untagged = !tagged };

    return ml_attached_put(r, image, &what, out, err);
}

int ml_attached_put_predictions(struct ml_repo *r, const struct ml_desc *image, const char *file,
    const struct ml_digest *want, struct ml_attached *out, struct ml_err *err)
{
    struct ml_attaching what = {
        .kind = ML_ATTACHED_PREDICTIONS, .fd = open(file, O_RDONLY | O_CLOEXEC), .name = file, .want = want
    };
    int rv;

    if (what.fd < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s'", file);
    rv = ml_attached_put(r, image, &what, out, err);
    close(what.fd);
    return rv;
}

static int to_file(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    return fwrite(p, 1, n, ctx) == n ? 0 : ml_err_errno(err, ML_LOCAL, "cannot write a temporary file");
}

int ml_attached_copy(struct ml_repo *from, struct ml_repo *to, const struct ml_desc *image, enum ml_attachment kind,
    struct ml_attached *out, struct ml_err *err)
{
    struct ml_attaching what = { .kind = kind, .name = ml_attached_name(kind) };
    FILE *f = tmpfile();
    int rv;

    memset(out, 0, sizeof *out);
    if (!f)
        return ml_err_errno(err, ML_LOCAL, "cannot make a temporary file");
    rv = ml_attached_get(from, &image->digest, kind, to_file, f, err);
    if (!rv && fflush(f))
        rv = ml_err_errno(err, ML_LOCAL, "cannot write a temporary file");
    what.fd = fileno(f);
    if (!rv)
        rv = ml_attached_put(to, image, &what, out, err);
    fclose(f);
    return rv;
}

void ml_attached_release(struct ml_attached *a)
{
    ml_desc_release(&a->desc);
    free(a->refused);
    free(a->unlisted);
    memset(a, 0, sizeof *a);
}

cJSON *ml_attached_json(const struct ml_attached *a)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "kind", ml_attached_name(a->kind));
    ml_json_set_str(v, "digest", a->desc.digest.s);
    ml_json_set_str(v, "form", a->plain ? "image" : "artifact");
    if (a->refused)
        ml_json_set_str(v, "refused", a->refused);
    if (a->unlisted)
        ml_json_set_str(v, "unlisted", a->unlisted);
    return v;
}
