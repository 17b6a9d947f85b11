/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keeping the list of referrers where the registry doesn't. */
#include "oci/referrers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/json.h"

#define TRIES 5

/* The list as it was found. */
struct list {
    struct ml_manifest m;
    struct ml_span *v; /* its descriptors, in the text */
    size_t n;
};

static void list_release(struct list *l)
{
    ml_manifest_release(&l->m);
    free(l->v);
}

static bool is_digest(const struct list *l, size_t i, const struct ml_digest *d)
{
    struct ml_span s;
    char *digest = NULL;
    bool same;

    if (!ml_json_find(l->m.raw.data, l->v[i], "digest", &s))
        digest = ml_json_decode(l->m.raw.data, s);
    same = digest && !strcmp(digest, d->s);
    free(digest);
    return same;
}

static bool has(const struct list *l, const struct ml_digest *d)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_digest(l, i, d))
            return true;
    return false;
}

/* 0, 1: there is something else, which *note describes; -1. A list that isn't there is empty. */
static int list_get(struct ml_repo *r, const char *tag, const struct ml_digest *subject, struct list *out, char **note,
    struct ml_err *err)
{
    struct ml_span all;
    int rv = r->ops->manifest_get(r, tag, &out->m, err);

    if (rv)
        return rv < 0 ? -1 : 0;
    if (ml_digest_eq(&out->m.desc.digest, subject)) {
        *note = ml_format(
            "the registry has no list of referrers, and answers for its place ('%s') with the image itself", tag);
        return 1;
    }
    if (strcmp(out->m.desc.media_type, ML_MT_INDEX) || ml_json_check(out->m.raw.data, out->m.raw.len, tag, NULL) ||
        ml_json_at(out->m.raw.data, out->m.raw.len, "manifests", &all) ||
        ml_json_elements(out->m.raw.data, all, &out->v, &out->n)) {
        *note = ml_format("'%s', where the list of referrers should be, isn't an index: it was left alone", tag);
        return 1;
    }
    return 0;
}

/* What the list says of a manifest: its type is artifactType or that of its config, and all its annotations go along.
 */
static char *describe(const struct ml_manifest *m)
{
    const char *text = m->raw.data;
    struct ml_buf b = ML_BUF_INIT;
    struct ml_span type, notes;

    ml_buf_addc(&b, '{');
    ml_desc_members(&m->desc, &b);
    if (!ml_json_at(text, m->raw.len, "/artifactType", &type) ||
        !ml_json_at(text, m->raw.len, "/config/mediaType", &type))
        ml_buf_addf(&b, ",\"artifactType\":%.*s", (int)type.len, text + type.off);
    if (!ml_json_at(text, m->raw.len, "/annotations", &notes))
        ml_buf_addf(&b, ",\"annotations\":%.*s", (int)notes.len, text + notes.off);
    ml_buf_addc(&b, '}');
    return ml_buf_detach(&b);
}

/* The same index with one entry more; what else is in it stays. */
static void make_list(
    const struct list *l, const struct ml_manifest *added, const struct ml_digest *replaced, struct ml_buf *out)
{
    static const char empty[] = "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_INDEX "\",\"manifests\":[]}";
    const char *text = l->m.raw.len ? l->m.raw.data : empty;
    size_t len = l->m.raw.len ? l->m.raw.len : sizeof empty - 1;
    struct ml_buf entries = ML_BUF_INIT;
    char *entry = describe(added);

    ml_buf_addc(&entries, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (is_digest(l, i, &added->desc.digest) || (replaced && is_digest(l, i, replaced)))
            continue;
        ml_buf_add(&entries, l->m.raw.data + l->v[i].off, l->v[i].len);
        ml_buf_addc(&entries, ',');
    }
    ml_buf_addf(&entries, "%s]", entry);
    ml_json_splice(text, (struct ml_span){ 0, len }, "manifests", entries.data, entries.len, out);
    ml_buf_release(&entries);
    free(entry);
}

/* Once: 0 it is in the list, 1 it was written but is gone again (somebody else wrote, too), -1. *note set: no list. */
static int list_add(struct ml_repo *r, const char *tag, const struct ml_digest *subject,
    const struct ml_manifest *added, const struct ml_digest *replaced, char **note, struct ml_err *err)
{
    struct list before = { 0 }, after = { 0 };
    struct ml_buf text = ML_BUF_INIT;
    int rv = list_get(r, tag, subject, &before, note, err);

    if (rv || (has(&before, &added->desc.digest) && !(replaced && has(&before, replaced)))) {
        rv = rv < 0 ? -1 : 0;
        goto out;
    }
    make_list(&before, added, replaced, &text);
    if (text.len > ML_MANIFEST_MAX) {
        *note = ml_format("the list of referrers '%s' is full", tag);
        goto out;
    }
    rv = r->ops->manifest_put(r, tag, ML_MT_INDEX, text.data, text.len, err);
    if (!rv)
        rv = list_get(r, tag, subject, &after, note, err);
    if (!rv)
        rv = !has(&after, &added->desc.digest);
out:
    ml_buf_release(&text);
    list_release(&before);
    list_release(&after);
    return rv;
}

static int list_keep(struct ml_repo *r, const struct ml_digest *subject, const struct ml_manifest *added,
    const struct ml_digest *replaced, char **note, struct ml_err *err)
{
    char *tag = ml_format("sha256-%s", ML_DIGEST_HEX(subject));
    int rv = 1;

    for (int i = 0; rv == 1 && !*note && i < TRIES; i++) {
        if (i)
            ml_clock_sleep(0.05 * i);
        rv = list_add(r, tag, subject, added, replaced, note, err);
    }
    if (rv == 1 && !*note)
        *note = ml_format("the list of referrers '%s' is written by others all the time; this one isn't in it", tag);
    free(tag);
    return rv < 0 ? -1 : 0;
}

int ml_referrers_put(struct ml_repo *r, const char *tag, const struct ml_digest *subject,
    const struct ml_manifest *manifest, const struct ml_digest *replaced, char **note, struct ml_err *err)
{
    struct ml_err why = ML_ERR_INIT;
    char *said = NULL;
    bool listed = false;
    int rv =
        r->ops->manifest_attach(r, tag, manifest->desc.media_type, manifest->raw.data, manifest->raw.len, &listed, err);

    if (!rv && !listed)
        rv = list_keep(r, subject, manifest, replaced && replaced->s[0] ? replaced : NULL, &said, &why);
    if (rv && why.code == ML_REFUSED) { /* it is attached nonetheless */
        said = ml_format("the registry takes no list of referrers: %s", why.msg);
        rv = 0;
    } else if (rv && why.code && err) {
        *err = why;
    }
    if (note)
        *note = said;
    else
        free(said);
    return rv;
}
