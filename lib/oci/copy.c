/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying an image between repositories. */
#include "oci/copy.h"

#include <string.h>

#include "data/json.h"

#define PIECE_NEAR ((uint64_t)1 << 20)  /* of a layout on disk */
#define PIECE_FAR  ((uint64_t)16 << 20) /* of a registry, where each piece is a request */
#define DEPTH      4                    /* an index of indexes of indexes is nobody's image */

static int take_desc(const cJSON *v, struct ml_desc *out, struct ml_err *err)
{
    const char *digest = ml_json_str(v, "digest"), *type = ml_json_str(v, "mediaType");
    int64_t size;

    if (!digest || !ml_digest_valid(digest) || !ml_json_int(v, "size", &size) || size < 0)
        return ml_err_set(err, ML_LOCAL, "its manifest has an entry without a sha256 digest and a size");
    out->media_type = type ? ml_strdup(type) : NULL;
    out->size = (uint64_t)size;
    return ml_digest_parse(digest, &out->digest, err);
}

/* A blob elsewhere as a source. It is asked for in pieces, because a source has to be able to go back and a download
 * can't. */
struct relay {
    const struct ml_copy *c;
    const struct ml_desc *desc;
    struct ml_buf piece;
    uint64_t at; /* where the piece starts */
};

static int collect(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct ml_buf *b = ctx;

    ml_buf_add(b, p, n);
    return b->full ? ml_err_set(err, ML_LOCAL, "more bytes than were asked for") : 0;
}

static int next_piece(struct relay *s, uint64_t off, struct ml_err *err)
{
    uint64_t left = s->desc->size - off;
    int rv;

    ml_buf_reset(&s->piece);
    s->at = off;
    rv = s->c->from->ops->blob_get(
        s->c->from, s->desc, off, left < s->piece.max ? left : s->piece.max, collect, &s->piece, err);
    if (rv == 1 || (!rv && !s->piece.len))
        rv = ml_err_set(err, ML_INTEGRITY, "blob %s is missing or short where the image comes from", s->desc->digest.s);
    return rv;
}

static int64_t relay_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct relay *s = ctx;
    size_t skip;

    if (off >= s->desc->size)
        return 0;
    if ((off < s->at || off >= s->at + s->piece.len) && next_piece(s, off, err))
        return -1;
    skip = (size_t)(off - s->at);
    if (n > s->piece.len - skip)
        n = s->piece.len - skip;
    memcpy(p, s->piece.data + skip, n);
    if (s->c->progress && off + n < s->desc->size)
        s->c->progress(s->c->progress_ctx, off, s->desc->size);
    return (int64_t)n;
}

static int mount_blob(struct ml_copy *c, const struct ml_desc *d, struct ml_err *err)
{
    int rv = c->to->ops->blob_mount(c->to, &d->digest, c->from, err);

    for (size_t i = 0; rv == 1 && c->bases && c->bases[i]; i++)
        rv = c->to->ops->blob_mount(c->to, &d->digest, c->bases[i], err);
    return rv;
}

static bool stays_elsewhere(const struct ml_desc *d)
{
    return d->media_type && (strstr(d->media_type, ".nondistributable.") || strstr(d->media_type, ".foreign."));
}

static int copy_blob(struct ml_copy *c, const struct ml_desc *d, bool try_mount, struct ml_err *err)
{
    struct relay relay = { .c = c, .desc = d };
    struct ml_source src = { relay_read, &relay };
    int rv = c->to->ops->blob_has(c->to, &d->digest, err);

    if (rv == 0) {
        c->present += d->size;
        return 0;
    }
    if (rv < 0 || stays_elsewhere(d))
        return rv < 0 ? -1 : 0;
    if (try_mount) {
        rv = mount_blob(c, d, err);
        if (rv == 0)
            c->mounted += d->size;
        if (rv != 1)
            return rv;
    }
    ml_buf_init(&relay.piece, c->from->ref.layout ? PIECE_NEAR : PIECE_FAR);
    rv = c->to->ops->blob_put(c->to, d, &src, err);
    ml_buf_release(&relay.piece);
    if (rv)
        return rv;
    if (c->progress)
        c->progress(c->progress_ctx, d->size, d->size);
    c->pushed += d->size;
    return 0;
}

static bool is_own(const struct ml_copy *c, const struct ml_digest *d)
{
    return c->own && ml_strs_has(c->own, d->s);
}

static int copy_one(struct ml_copy *c, const cJSON *v, bool mountable, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    int rv = take_desc(v, &d, err);

    if (!rv)
        rv = copy_blob(c, &d, mountable && !is_own(c, &d.digest), err);
    ml_desc_release(&d);
    return rv;
}

static int copy_tree(struct ml_copy *c, const struct ml_manifest *m, int depth, struct ml_err *err);

static int copy_child(struct ml_copy *c, const cJSON *v, int depth, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    struct ml_manifest m = { 0 };
    int rv = take_desc(v, &d, err);

    if (rv)
        return rv;
    rv = c->from->ops->manifest_get(c->from, d.digest.s, &m, err);
    if (rv == 1)
        rv = ml_err_set(err, ML_INTEGRITY, "manifest %s is missing where the image comes from", d.digest.s);
    if (!rv)
        rv = copy_tree(c, &m, depth + 1, err);
    ml_manifest_release(&m);
    ml_desc_release(&d);
    return rv;
}

static int copy_below(struct ml_copy *c, const cJSON *doc, int depth, struct ml_err *err)
{
    const cJSON *config = ml_json_get(doc, "config"), *layers = ml_json_get(doc, "layers"),
                *children = ml_json_get(doc, "manifests"), *v;

    if (cJSON_IsArray(children)) {
        cJSON_ArrayForEach(v, children)
        {
            if (copy_child(c, v, depth, err))
                return -1;
        }
        return 0;
    }
    if (!cJSON_IsObject(config) || !cJSON_IsArray(layers))
        return ml_err_set(err, ML_LOCAL, "its manifest is neither an image's nor an index");
    cJSON_ArrayForEach(v, layers)
    {
        if (copy_one(c, v, true, err))
            return -1;
    }
    return copy_one(c, config, false, err);
}

static int copy_tree(struct ml_copy *c, const struct ml_manifest *m, int depth, struct ml_err *err)
{
    struct ml_desc there = { 0 };
    cJSON *doc;
    int rv = c->to->ops->manifest_head(c->to, m->desc.digest.s, &there, err);

    ml_desc_release(&there);
    if (rv != 1)
        return rv;
    if (depth > DEPTH)
        return ml_err_set(err, ML_LOCAL, "its indexes are nested more than %d deep", DEPTH);
    doc = ml_json_parse(m->raw.data, m->raw.len, "manifest", err);
    rv = doc ? copy_below(c, doc, depth, err) : -1;
    cJSON_Delete(doc);
    if (!rv)
        rv = c->to->ops->manifest_put(c->to, NULL, m->desc.media_type, m->raw.data, m->raw.len, err);
    return rv;
}

int ml_copy_image(struct ml_copy *c, const struct ml_manifest *m, struct ml_err *err)
{
    return copy_tree(c, m, 0, err);
}
