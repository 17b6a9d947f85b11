/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishing an image with what belongs to it. */
#include "model/publication_impl.h"

#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "model/attached.h"
#include "model/signature.h"
#include "oci/copy.h"

int ml_publication_open(const struct ml_ref *ref, bool write, const struct ml_publication_log *log,
    struct ml_repo **out, struct ml_err *err)
{
    if (ml_repo_open(ref, write, out, err))
        return -1;
    (*out)->log = log->line;
    (*out)->log_ctx = log->ctx;
    return 0;
}

static int wrap_ref(const struct ml_ref *ref, enum ml_ref_part part, struct ml_err *err)
{
    char *s = ml_ref_format(ref, part);

    ml_err_wrap(err, "'%s'", s);
    free(s);
    return -1;
}

/* ---- where the image comes from ---- */

struct origin {
    struct ml_ref ref;
    struct ml_repo *repo, *base; /* base: of the same registry, where blobs may be mounted from; NULL */
    struct ml_manifest m;
    struct ml_strs own; /* layers that ml-package made */
};

static void origin_release(struct origin *o)
{
    ml_repo_close(o->base);
    ml_repo_close(o->repo);
    ml_manifest_release(&o->m);
    ml_ref_release(&o->ref);
    ml_strs_release(&o->own);
}

static int origin_open(struct origin *o, const struct ml_publication *p, struct ml_err *err)
{
    char *where = p->image ? ml_strdup(p->image) : ml_card_str(p->card, "image.reference"),
         *digest = ml_card_str(p->card, "image.digest");
    int rv = -1;

    if (!where) {
        ml_err_set(err, ML_LOCAL, "the card says nothing of an image (image.reference); --image REF names one");
        goto out;
    }
    if (ml_ref_parse(where, &o->ref, err))
        goto out;
    if (!p->image && digest && ml_digest_valid(digest)) { /* by digest: the tag may have moved on */
        free(o->ref.tag);
        o->ref.tag = NULL;
        ml_digest_parse(digest, &o->ref.digest, NULL);
    }
    rv = ml_publication_open(&o->ref, false, &p->log, &o->repo, err);
    if (!rv)
        rv = ml_repo_resolve(o->repo, &o->ref, &o->m, err);
    if (rv == 1)
        rv = ml_err_set(err, o->ref.layout ? ML_LOCAL : ML_REFUSED, "there is no such image");
    if (rv)
        rv = wrap_ref(&o->ref, ML_REF_ALL, err);
    if (!rv)
        rv = ml_publication_same(p->card, &o->m.desc.digest, err);
out:
    free(where);
    free(digest);
    return rv;
}

/* Name of the base image: the card's, else what the image itself says (image-spec, annotations.md). */
static char *base_name(const struct origin *o, const struct ml_card *card)
{
    char *s = ml_card_str(card, "image.base.reference");
    struct ml_span v;

    if (s)
        return s;
    if (ml_json_at(o->m.raw.data, o->m.raw.len, "/annotations/org.opencontainers.image.base.name", &v))
        return NULL;
    return ml_json_decode(o->m.raw.data, v);
}

/* Only a help: a base that can't be mounted from is one whose blobs are sent. */
static void find_base(struct origin *o, const struct ml_publication *p)
{
    char *name = base_name(o, p->card);
    struct ml_ref ref;
    cJSON *image = ml_card_get(p->card, "image", NULL);
    const cJSON *layer;

    if (name && !ml_ref_parse(name, &ref, NULL)) {
        ml_publication_open(&ref, false, &p->log, &o->base, NULL);
        ml_ref_release(&ref);
    }
    cJSON_ArrayForEach(layer, ml_json_get(image, "layers"))
    {
        if (ml_json_str(layer, "digest"))
            ml_strs_add(&o->own, ml_json_str(layer, "digest"));
    }
    cJSON_Delete(image);
    free(name);
}

/* ---- where it goes ---- */

struct target {
    struct ml_ref ref;
    struct ml_repo *repo; /* owned by the first target of that repository */
    bool first;
    bool tagged; /* the tag is there, and names this image */
};

/* Whether the tag may be set: 0, 1 with p->refused, -1. */
static int check_tag(struct ml_publication *p, struct target *t, struct ml_err *err)
{
    struct ml_desc d = { 0 };
    bool same;
    char *name;
    int rv;

    if (!t->ref.tag)
        return 0;
    rv = t->repo->ops->manifest_head(t->repo, t->ref.tag, &d, err);
    if (rv < 0)
        return -1;
    same = rv == 0 && ml_digest_eq(&d.digest, &p->digest);
    t->tagged = same;
    if (rv == 0 && !same && !p->move) {
        name = ml_ref_format(&t->ref, ML_REF_TAG);
        p->refused =
            ml_format("'%s': the tag names %s already, and push never overwrites; 'ml-publish tag' moves a tag", name,
                d.digest.s);
        free(name);
    }
    ml_desc_release(&d);
    return p->refused ? 1 : 0;
}

static int target_ref(
    struct ml_ref *out, const char *s, const struct ml_publication *p, const struct origin *o, struct ml_err *err)
{
    if (!p->move || !ml_tag_valid(s))
        return ml_ref_parse(s, out, err);
    ml_ref_copy(out, &o->ref);
    free(out->tag);
    out->tag = ml_strdup(s);
    out->digest.s[0] = 0;
    return 0;
}

static int targets_open(struct target *t, const struct ml_publication *p, const struct origin *o, struct ml_err *err)
{
    for (size_t i = 0; i < p->to->n; i++) {
        if (target_ref(&t[i].ref, p->to->v[i], p, o, err))
            return -1;
        if (t[i].ref.digest.s[0])
            return ml_err_set(err, ML_USAGE, "'%s': what is pushed to has a tag, not a digest", p->to->v[i]);
        t[i].first = true;
        for (size_t k = 0; k < i; k++) {
            if (!ml_ref_same_repo(&t[k].ref, &t[i].ref))
                continue;
            t[i].repo = t[k].repo;
            t[i].first = false;
        }
        if (t[i].first && ml_publication_open(&t[i].ref, true, &p->log, &t[i].repo, err))
            return wrap_ref(&t[i].ref, ML_REF_TAG, err);
    }
    return 0;
}

static int check_tags(struct ml_publication *p, struct target *t, struct ml_err *err)
{
    int rv = 0;

    for (size_t i = 0; !rv && i < p->to->n; i++) {
        rv = check_tag(p, &t[i], err);
        if (rv < 0)
            wrap_ref(&t[i].ref, ML_REF_TAG, err);
    }
    return rv;
}

static void targets_release(struct target *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (t[i].first)
            ml_repo_close(t[i].repo);
        ml_ref_release(&t[i].ref);
    }
    free(t);
}

static int send_image(
    struct ml_publication *p, const struct origin *o, const struct target *t, bool thorough, struct ml_err *err)
{
    const struct ml_repo *bases[] = { o->base, NULL };
    struct ml_copy c = { .from = o->repo,
        .to = t->repo,
        .bases = bases,
        .own = &o->own,
        .thorough = thorough,
        .progress = p->progress,
        .progress_ctx = p->progress_ctx };

    if (ml_copy_image(&c, &o->m, err))
        return -1;
    p->pushed += c.pushed;
    p->mounted += c.mounted;
    p->present += c.present;
    return 0;
}

/* What a push says replaces what was said before; a tag that is set is one more. */
static void fill_card(struct ml_publication *p, const struct target *t)
{
    cJSON *v = p->move ? ml_card_get(p->card, "publication", NULL) : NULL;
    struct ml_ref named;

    ml_ref_copy(&named, &t[0].ref);
    named.digest = p->digest;
    free(p->reference);
    p->reference = ml_ref_format(&named, ML_REF_DIGEST);
    ml_ref_release(&named);
    if (!v) {
        v = cJSON_CreateObject();
        ml_json_set_str(v, "reference", p->reference);
        ml_json_set_str(v, "digest", p->digest.s);
        ml_json_set_array(v, "tags");
        ml_json_set_int(v, "pushed", (int64_t)p->pushed);
        ml_json_set_int(v, "mounted", (int64_t)p->mounted);
        if (p->attachments)
            ml_json_set(v, "attachments", cJSON_Duplicate(p->attachments, true));
    }
    ml_card_set(p->card, "publication", v);
    for (size_t i = 0; i < p->to->n; i++) {
        if (!t[i].ref.tag)
            continue;
        ml_strs_add(&p->tags, ml_ref_same_repo(&t[i].ref, &t[0].ref) ? t[i].ref.tag : p->to->v[i]);
        ml_publication_tagged(p->card, p->tags.v[p->tags.n - 1]);
    }
}

static int attach_copy(struct ml_publication *p, const struct origin *o, const struct target *t, bool first,
    enum ml_attachment kind, struct ml_err *err)
{
    struct ml_attached a = { 0 };
    int rv = ml_attached_copy(o->repo, t->repo, &o->m.desc, kind, &a, err);

    if (!rv)
        ml_publication_note(&a, first ? &p->attachments : NULL, &p->says);
    ml_attached_release(&a);
    return rv < 0 ? -1 : 0;
}

/* Signatures stand beside those that are there. */
static int sign_copy(
    struct ml_publication *p, const struct origin *o, const struct target *t, bool first, struct ml_err *err)
{
    struct ml_attached a = { .kind = ML_ATTACHED_SIGNATURES, .plain = true };
    struct ml_signed s;
    int rv = ml_signature_copy(o->repo, t->repo, &o->m.desc, &s, err);

    if (rv)
        return rv < 0 ? -1 : 0;
    a.desc.digest = s.manifest;
    a.unlisted = s.unlisted;
    s.unlisted = NULL;
    ml_publication_note(&a, first ? &p->attachments : NULL, &p->says);
    ml_attached_release(&a);
    ml_signed_release(&s);
    return 0;
}

static int attach_parts(struct ml_publication *p, const struct origin *o, const struct target *t, bool first,
    const struct ml_digest *want, struct ml_err *err)
{
    struct ml_attached a = { 0 };

    if (!ml_ref_same_repo(&o->ref, &t->ref) &&
        (attach_copy(p, o, t, first, ML_ATTACHED_PROVENANCE, err) ||
            attach_copy(p, o, t, first, ML_ATTACHED_SBOM, err) || sign_copy(p, o, t, first, err)))
        return -1;
    if (!p->predictions)
        return 0;
    if (ml_attached_put_predictions(t->repo, &o->m.desc, p->predictions, want, &a, err))
        return -1;
    ml_publication_note(&a, first ? &p->attachments : NULL, &p->says);
    ml_attached_release(&a);
    return 0;
}

static int attach_card(struct ml_publication *p, const struct origin *o, const struct target *t, struct ml_err *err)
{
    struct ml_attached a = { 0 };

    if (p->bare)
        return 0;
    if (ml_attached_put_card(t->repo, &o->m.desc, p->card, true, &a, err))
        return -1;
    ml_publication_note(&a, NULL, &p->says);
    ml_attached_release(&a);
    return 0;
}

static int put_tag(const struct origin *o, const struct target *t, struct ml_err *err)
{
    return t->repo->ops->manifest_put(t->repo, t->ref.tag, o->m.desc.media_type, o->m.raw.data, o->m.raw.len, err);
}

/* 0, 1 with p->refused, -1. */
static int set_tag(struct ml_publication *p, const struct origin *o, struct target *t, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    int rv;

    if (!t->ref.tag || t->tagged)
        return 0;
    rv = p->move ? 0 : check_tag(p, t, err); /* has somebody else set it meanwhile? */
    if (rv || t->tagged)
        return rv;
    rv = put_tag(o, t, &why);
    if (rv && why.detail == ML_REPO_BLOB) /* the manifest was there, but not all that it names */
        rv = send_image(p, o, t, true, &why) || put_tag(o, t, &why) ? -1 : 0;
    if (rv && err)
        *err = why;
    return rv;
}

static int set_tags(struct ml_publication *p, const struct origin *o, struct target *t, struct ml_err *err)
{
    for (size_t i = 0; i < p->to->n; i++) {
        int rv = set_tag(p, o, &t[i], err);

        if (rv < 0)
            wrap_ref(&t[i].ref, ML_REF_TAG, err);
        if (rv) { /* what the card says was set is what was */
            for (size_t k = i; rv == 1 && k < p->to->n; k++)
                if (t[k].ref.tag && p->tags.n)
                    free(p->tags.v[--p->tags.n]);
            return rv;
        }
    }
    return 0;
}

static int publish(struct ml_publication *p, const struct origin *o, struct target *t, const struct ml_digest *want,
    struct ml_err *err)
{
    size_t i;

    for (i = 0; i < p->to->n; i++)
        if (t[i].first && send_image(p, o, &t[i], false, err))
            goto fail;
    for (i = 0; i < p->to->n; i++)
        if (t[i].first && attach_parts(p, o, &t[i], i == 0, want, err))
            goto fail;
    fill_card(p, t);
    for (i = 0; i < p->to->n; i++)
        if (t[i].first && attach_card(p, o, &t[i], err))
            goto fail;
    return set_tags(p, o, t, err);
fail:
    return wrap_ref(&t[i].ref, ML_REF_TAG, err);
}

int ml_publication_push(struct ml_publication *p, struct ml_err *err)
{
    struct origin o = { 0 };
    struct target *t = ml_calloc(p->to->n, sizeof *t);
    struct ml_digest want;
    int rv = -1;

    if (p->predictions && ml_publication_predictions(p->card, &want, err))
        goto out;
    if (origin_open(&o, p, err) || targets_open(t, p, &o, err))
        goto out;
    p->digest = o.m.desc.digest;
    rv = check_tags(p, t, err);
    if (!rv) {
        find_base(&o, p);
        rv = publish(p, &o, t, &want, err);
    }
    if (rv == 1)
        ml_publication_fill_refused(p);
out:
    targets_release(t, p->to->n);
    origin_release(&o);
    return rv;
}

void ml_publication_release(struct ml_publication *p)
{
    free(p->reference);
    free(p->refused);
    ml_strs_release(&p->tags);
    ml_strs_release(&p->says);
    cJSON_Delete(p->attachments);
}
