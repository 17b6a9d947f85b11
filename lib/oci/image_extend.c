/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A base's config and manifest, extended as text: numbers, keys and order of what isn't ours must survive. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/json.h"
#include "oci/image.h"

/* A JSON text that is edited by its members. */
static struct ml_span all(const struct ml_buf *b)
{
    return (struct ml_span){ 0, b->len };
}

static void set(struct ml_buf *doc, const char *key, const char *value, size_t len)
{
    struct ml_buf out = ML_BUF_INIT;

    ml_json_splice(doc->data, all(doc), key, value, len, &out);
    ml_buf_release(doc);
    *doc = out;
}

static void set_str(struct ml_buf *doc, const char *key, const char *s)
{
    struct ml_buf quoted = ML_BUF_INIT;

    ml_json_quote(s, strlen(s), &quoted);
    set(doc, key, quoted.data, quoted.len);
    ml_buf_release(&quoted);
}

/* Without member `key`, and without the comma that went with it. */
static void drop(struct ml_buf *doc, const char *key)
{
    struct ml_json_member *m = NULL;
    struct ml_buf out = ML_BUF_INIT;
    size_t n = 0;

    (void)ml_json_members(doc->data, doc->len, &m, &n);
    for (size_t i = 0; i < n; i++) {
        char *name = ml_json_decode(doc->data, m[i].key);
        bool hit = name && !strcmp(name, key);
        size_t from = i > 0 ? m[i - 1].value.off + m[i - 1].value.len : m[i].key.off,
               to = i > 0 || n == 1 ? m[i].value.off + m[i].value.len : m[i + 1].key.off;

        free(name);
        if (!hit)
            continue;
        ml_buf_add(&out, doc->data, from);
        ml_buf_add(&out, doc->data + to, doc->len - to);
        ml_buf_release(doc);
        *doc = out;
        break;
    }
    free(m);
}

/* Member `key` as a text of its own; `empty` ("{}" or "[]") when it is missing, null, or of another kind. */
static void take(const struct ml_buf *doc, const char *key, const char *empty, struct ml_buf *out)
{
    struct ml_span s;

    *out = (struct ml_buf)ML_BUF_INIT;
    if (ml_json_find(doc->data, all(doc), key, &s) == 0 && doc->data[s.off] == empty[0])
        ml_buf_add(out, doc->data + s.off, s.len);
    else
        ml_buf_adds(out, empty);
}

static void append(struct ml_buf *list, const struct ml_buf *value)
{
    struct ml_buf out = ML_BUF_INIT;

    ml_json_append(list->data, all(list), value->data, value->len, &out);
    ml_buf_release(list);
    *list = out;
}

/* Puts `part` back under `key` and releases it. */
static void put_back(struct ml_buf *doc, const char *key, struct ml_buf *part)
{
    set(doc, key, part->data, part->len);
    ml_buf_release(part);
}

/* Replaces the variable in the list of "NAME=VALUE" strings, or appends it. */
static void set_env(struct ml_buf *list, const char *pair)
{
    size_t name = strcspn(pair, "=") + 1, n = 0;
    struct ml_buf value = ML_BUF_INIT, out = ML_BUF_INIT;
    struct ml_span *v = NULL;
    bool done = false;

    ml_json_quote(pair, strlen(pair), &value);
    (void)ml_json_elements(list->data, all(list), &v, &n);
    for (size_t i = 0, at = 0; i < n && !done; i++) {
        char *have = ml_json_decode(list->data, v[i]);

        if (have && !strncmp(have, pair, name)) {
            ml_buf_add(&out, list->data + at, v[i].off - at);
            ml_buf_add(&out, value.data, value.len);
            at = v[i].off + v[i].len;
            ml_buf_add(&out, list->data + at, list->len - at);
            done = true;
        }
        free(have);
    }
    if (!done)
        ml_json_append(list->data, all(list), value.data, value.len, &out);
    ml_buf_release(list);
    *list = out;
    ml_buf_release(&value);
    free(v);
}

static void set_list(struct ml_buf *doc, const char *key, const struct ml_strs *l)
{
    struct ml_buf text = ML_BUF_INIT;

    ml_buf_addc(&text, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            ml_buf_addc(&text, ',');
        ml_json_quote(l->v[i], strlen(l->v[i]), &text);
    }
    ml_buf_addc(&text, ']');
    put_back(doc, key, &text);
}

static void set_pairs(struct ml_buf *doc, const struct ml_strs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        size_t n = strcspn(pairs->v[i], "=");
        char *key = ml_strndup(pairs->v[i], n);

        set_str(doc, key, pairs->v[i] + n + 1);
        free(key);
    }
}

/* The inner "config": what a container gets. */
static void change_config(struct ml_buf *doc, const struct ml_image_change *c)
{
    struct ml_buf inner, part;

    take(doc, "config", "{}", &inner);
    if (c->env && c->env->n > 0) {
        take(&inner, "Env", "[]", &part);
        for (size_t i = 0; i < c->env->n; i++)
            set_env(&part, c->env->v[i]);
        put_back(&inner, "Env", &part);
    }
    if (c->labels && c->labels->n > 0) {
        take(&inner, "Labels", "{}", &part);
        set_pairs(&part, c->labels);
        put_back(&inner, "Labels", &part);
    }
    if (c->entrypoint) {
        struct ml_span s;

        set_list(&inner, "Entrypoint", c->entrypoint);
        if (!c->cmd && ml_json_find(inner.data, all(&inner), "Cmd", &s) == 0)
            set(&inner, "Cmd", "null", 4);
    }
    if (c->cmd)
        set_list(&inner, "Cmd", c->cmd);
    if (c->user)
        set_str(&inner, "User", c->user);
    if (c->workdir)
        set_str(&inner, "WorkingDir", c->workdir);
    put_back(doc, "config", &inner);
}

/* One item a layer (config.md: as many as diff_ids, but for empty layers). A base with layers and no history gets none.
 */
static void add_history(struct ml_buf *doc, const struct ml_image *base, const struct ml_image_change *c)
{
    char time[ML_TIME_LEN + 1];
    struct ml_buf list;
    struct ml_span s;

    if (base->n > 0 && (ml_json_find(doc->data, all(doc), "history", &s) != 0 || doc->data[s.off] != '['))
        return;
    take(doc, "history", "[]", &list);
    ml_clock_format(c->epoch, time);
    for (size_t i = 0; i < c->n; i++) {
        struct ml_buf item = ML_BUF_INIT;

        ml_buf_addf(&item, "{\"created\":\"%s\",\"created_by\":", time);
        ml_json_quote(c->layers[i].created_by, strlen(c->layers[i].created_by), &item);
        ml_buf_addc(&item, '}');
        append(&list, &item);
        ml_buf_release(&item);
    }
    put_back(doc, "history", &list);
}

int ml_image_extend_config(
    const struct ml_image *base, const struct ml_image_change *c, struct ml_buf *out, struct ml_err *err)
{
    struct ml_buf doc = ML_BUF_INIT, rootfs, ids;
    char time[ML_TIME_LEN + 1];
    bool inner =
        (c->env && c->env->n) || (c->labels && c->labels->n) || c->entrypoint || c->cmd || c->user || c->workdir;

    ml_buf_add(&doc, base->config.data, base->config.len);
    if (c->dated) {
        ml_clock_format(c->epoch, time);
        set_str(&doc, "created", time);
    }
    if (inner)
        change_config(&doc, c);
    take(&doc, "rootfs", "{}", &rootfs);
    take(&rootfs, "diff_ids", "[]", &ids);
    for (size_t i = 0; i < c->n; i++) {
        struct ml_buf id = ML_BUF_INIT;

        ml_json_quote(c->layers[i].diff_id.s, ML_DIGEST_LEN, &id);
        append(&ids, &id);
        ml_buf_release(&id);
    }
    put_back(&rootfs, "diff_ids", &ids);
    put_back(&doc, "rootfs", &rootfs);
    add_history(&doc, base, c);
    *out = doc;
    if (out->len > ML_CONFIG_MAX)
        return ml_err_set(err, ML_LOCAL, "the image's config would have more than %zu bytes", ML_CONFIG_MAX);
    return ml_json_check(out->data, out->len, "the new config", err);
}

/* Docker's layer types are the same bytes under another name (image-spec media-types.md, "Compatibility Matrix"); NULL:
 * not one of them. */
static const char *oci_type(const char *type)
{
    static const char *const same[][2] = {
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", ML_MT_LAYER "+gzip" },
        { "application/vnd.docker.image.rootfs.diff.tar.zstd", ML_MT_LAYER "+zstd" },
        { "application/vnd.docker.image.rootfs.diff.tar", ML_MT_LAYER },
        { "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" },
        { "application/vnd.docker.image.rootfs.foreign.diff.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar" },
    };

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!strcmp(type, same[i][0]))
            return same[i][1];
    return NULL;
}

/* The list of layers with OCI's media types. */
static void convert_layers(const struct ml_image *base, struct ml_buf *list)
{
    struct ml_buf out = ML_BUF_INIT;
    struct ml_span *v = NULL;
    size_t n = 0, at = 0;

    (void)ml_json_elements(list->data, all(list), &v, &n);
    for (size_t i = 0; i < n && i < base->n; i++) {
        const char *type = oci_type(base->layers[i].desc.media_type);
        struct ml_buf quoted = ML_BUF_INIT;

        if (!type)
            continue;
        ml_json_quote(type, strlen(type), &quoted);
        ml_buf_add(&out, list->data + at, v[i].off - at);
        ml_json_splice(list->data, v[i], "mediaType", quoted.data, quoted.len, &out);
        at = v[i].off + v[i].len;
        ml_buf_release(&quoted);
    }
    ml_buf_add(&out, list->data + at, list->len - at);
    free(v);
    ml_buf_release(list);
    *list = out;
}

static void desc_text(const struct ml_desc *d, struct ml_buf *out)
{
    ml_buf_addc(out, '{');
    ml_desc_members(d, out);
    ml_buf_addc(out, '}');
}

static void layer_text(const struct ml_image_layer *l, struct ml_buf *out)
{
    desc_text(&l->desc, out);
    if (l->path && !l->silent) {
        struct ml_buf notes = ML_BUF_INIT;

        ml_buf_adds(&notes, "{}");
        set_str(&notes, ML_ANN_PATH, l->path);
        if (l->root)
            set_str(&notes, ML_ANN_ROOT, l->root);
        if (l->alone)
            set_str(&notes, ML_ANN_ALONE, "true");
        put_back(out, "annotations", &notes);
    }
}

int ml_image_extend_manifest(const struct ml_image *base, const struct ml_image_change *c, const struct ml_desc *config,
    struct ml_buf *out, struct ml_err *err)
{
    struct ml_buf doc = ML_BUF_INIT, part = ML_BUF_INIT;

    ml_buf_add(&doc, base->manifest.raw.data, base->manifest.raw.len);
    set_str(&doc, "mediaType", ML_MT_MANIFEST);
    drop(&doc, "subject"); /* what the base is attached to isn't what this is */
    desc_text(config, &part);
    put_back(&doc, "config", &part);
    take(&doc, "layers", "[]", &part);
    convert_layers(base, &part);
    for (size_t i = 0; i < c->n; i++) {
        struct ml_buf layer = ML_BUF_INIT;

        layer_text(&c->layers[i], &layer);
        append(&part, &layer);
        ml_buf_release(&layer);
    }
    put_back(&doc, "layers", &part);
    if (c->annotations && c->annotations->n) {
        take(&doc, "annotations", "{}", &part);
        set_pairs(&part, c->annotations);
        put_back(&doc, "annotations", &part);
    }
    if (c->base_digest) {
        take(&doc, "annotations", "{}", &part);
        if (c->base_name)
            set_str(&part, ML_ANN_BASE_NAME, c->base_name);
        else /* the base's own base is not ours */
            drop(&part, ML_ANN_BASE_NAME);
        set_str(&part, ML_ANN_BASE_DIGEST, c->base_digest->s);
        put_back(&doc, "annotations", &part);
    }
    *out = doc;
    if (out->len > ML_MANIFEST_MAX)
        return ml_err_set(err, ML_LOCAL, "the image's manifest would have more than %zu bytes", ML_MANIFEST_MAX);
    return ml_json_check(out->data, out->len, "the new manifest", err);
}
