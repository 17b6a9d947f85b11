/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attachments of an image, and the current model. */
#include "model/attached.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "data/json.h"
#include "model/attached_impl.h"
#include "model/promotion.h"
#include "oci/layer.h"
#include "oci/layout.h"

const struct ml_attached_kind ml_attached_kinds[ML_ATTACHED_KINDS] = {
    [ML_ATTACHED_CARD] = { "card", "model card", "card.json", NULL },
    [ML_ATTACHED_PREDICTIONS] = { "predictions", "held-out predictions", "predictions", NULL },
    [ML_ATTACHED_PROVENANCE] = { "provenance", "SLSA provenance", "provenance.json", "application/vnd.in-toto+json" },
    [ML_ATTACHED_SBOM] = { "sbom", "list of what was added", "sbom.json", "application/vnd.cyclonedx+json" },
    [ML_ATTACHED_SIGNATURES] = { "sig", "signatures", NULL, NULL },
};

const char *ml_attached_name(enum ml_attachment kind)
{
    return ml_attached_kinds[kind].suffix;
}

void ml_attached_tag(const struct ml_digest *image, enum ml_attachment kind, char out[ML_ATTACHED_TAG_MAX])
{
    snprintf(out, ML_ATTACHED_TAG_MAX, "sha256-%s.%s", ML_DIGEST_HEX(image), ml_attached_kinds[kind].suffix);
}

/* ---- reading ---- */

/* Which layer holds the attachment; its manifest has to be one of this image. */
static int take_manifest(
    const struct ml_manifest *m, const struct ml_digest *image, struct ml_desc *layer, struct ml_err *err)
{
    cJSON *doc = ml_json_parse(m->raw.data, m->raw.len, "manifest", err);
    const cJSON *layers = ml_json_get(doc, "layers"), *first = cJSON_GetArrayItem(layers, 0);
    const char *subject = ml_json_str(ml_json_get(doc, "subject"), "digest");
    int rv = -1;

    if (!doc)
        return -1;
    if (!subject || strcmp(subject, image->s))
        ml_err_set(
            err, ML_INTEGRITY, "it says that it belongs to %s, not to %s", subject ? subject : "no image", image->s);
    else if (cJSON_GetArraySize(layers) != 1 || !ml_desc_parse(first, layer) || !layer->media_type)
        ml_err_set(err, ML_INTEGRITY, "it isn't an attachment: one layer is what it should have");
    else
        rv = 0;
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

static bool is_layer(const struct ml_desc *d)
{
    return !strncmp(d->media_type, ML_MT_LAYER, strlen(ML_MT_LAYER));
}

static int pour(struct ml_repo *r, const struct ml_desc *layer, enum ml_attachment kind, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct ml_layer_in *in;
    int rv;

    if (!is_layer(layer)) {
        rv = r->ops->blob_get(r, layer, 0, 0, sink, ctx, err);
        return rv == 1 ? ml_err_set(err, ML_INTEGRITY, "its blob %s is missing", layer->digest.s) : rv;
    }
    if (ml_layer_open(r, layer, 0, &in, err))
        return -1;
    return ml_layer_close(in, pour_file(ml_layer_untar(in), ml_attached_kinds[kind].file, sink, ctx, err), NULL, err);
}

int ml_attached_get(struct ml_repo *r, const struct ml_digest *image, enum ml_attachment kind, ml_sink_fn *sink,
    void *ctx, struct ml_err *err)
{
    struct ml_manifest m = { 0 };
    struct ml_desc layer = { 0 };
    char tag[ML_ATTACHED_TAG_MAX];
    int rv;

    ml_attached_tag(image, kind, tag);
    rv = r->ops->manifest_get(r, tag, &m, err);
    if (rv)
        return rv;
    rv = take_manifest(&m, image, &layer, err);
    if (!rv)
        rv = pour(r, &layer, kind, sink, ctx, err);
    if (rv)
        rv = ml_err_wrap(err, "attachment '%s'", tag);
    ml_desc_release(&layer);
    ml_manifest_release(&m);
    return rv;
}

int ml_attached_card(struct ml_repo *r, const struct ml_digest *image, struct ml_card *out, struct ml_err *err)
{
    struct ml_buf text;
    int rv;

    ml_buf_init(&text, ML_CARD_MAX);
    rv = ml_attached_get(r, image, ML_ATTACHED_CARD, ml_buf_sink, &text, err);
    if (!rv)
        rv = ml_card_parse(out, ml_buf_str(&text), text.len, "the attached card", err);
    ml_buf_release(&text);
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
            n, ML_PLURAL(n), n == 1 ? "is" : "are");
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
