/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base, sources and options become an image. */
#include "model/package.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "model/package_source.h"
#include "oci/decompress.h"
#include "oci/layer_out.h"
#include "oci/layout.h"
#include "oci/pack.h"
#include "oci/ref.h"

#define CHUNK ((size_t)256 << 10)

struct job {
    const struct ml_package *p;
    struct ml_packaged *result;
    struct ml_ref base_ref, out_ref;
    struct ml_repo *from, *to;
    struct ml_image base;
    struct ml_rootfs *fs;
    struct ml_package_source *sources;
    struct ml_image_layer *layers;
    size_t n;
    int64_t epoch;
};

static void release(struct job *j)
{
    for (size_t i = 0; i < j->p->adds.n && j->sources; i++)
        ml_package_source_release(&j->sources[i]);
    free(j->sources);
    for (size_t i = 0; i < j->n; i++) {
        ml_desc_release(&j->layers[i].desc);
        free(j->layers[i].created_by);
        free(j->layers[i].path);
        free(j->layers[i].root);
    }
    free(j->layers);
    ml_rootfs_free(j->fs);
    ml_image_release(&j->base);
    ml_repo_close(j->from);
    ml_repo_close(j->to);
    ml_ref_release(&j->base_ref);
    ml_ref_release(&j->out_ref);
}

void ml_packaged_release(struct ml_packaged *p)
{
    cJSON_Delete(p->image);
    ml_strs_release(&p->warnings);
    *p = (struct ml_packaged){ 0 };
}

static int scan_sources(struct job *j, struct ml_err *err)
{
    j->sources = ml_calloc(j->p->adds.n + 1, sizeof *j->sources);
    for (size_t i = 0; i < j->p->adds.n; i++)
        if (ml_package_source_scan(&j->sources[i], j->p->adds.v[i], j->out_ref.place, &j->result->warnings, err) < 0)
            return -1;
    return 0;
}

/* What is scored is what is packed. */
static int check_model(struct job *j, const char *model, struct ml_err *err)
{
    struct ml_digest d = { "" };

    for (size_t i = 0; i < j->p->adds.n; i++) {
        if (ml_tree_digest_of(&j->sources[i].tree, &d, err) < 0)
            return -1;
        if (!strcmp(d.s, model)) {
            j->sources[i].evaluated = true;
            return 0;
        }
    }
    if (j->p->adds.n == 1)
        return ml_err_set(err, ML_INTEGRITY, "'%s' is %s, the card's evaluation is of %s: evaluate what is packed",
            j->sources[0].path, d.s, model);
    return ml_err_set(err, ML_INTEGRITY,
        "none of the %zu sources is %s, which the card's evaluation is of: evaluate what is packed", j->p->adds.n,
        model);
}

/* ---- the base ---- */

/* A platform that was asked for is that of the base, also where no index offers others. */
static int check_platform(const struct job *j, struct ml_err *err)
{
    cJSON *config = ml_json_parse(j->base.config.data, j->base.config.len, "config", err);
    const char *os = ml_json_str(config, "os"), *arch = ml_json_str(config, "architecture"),
               *variant = ml_json_str(config, "variant");
    char *plain = ml_format("%s/%s", os ? os : "?", arch ? arch : "?"),
         *full = ml_format("%s/%s", plain, variant ? variant : "");
    int rc = strcmp(j->p->platform, plain) && strcmp(j->p->platform, full)
                 ? ml_err_set(err, ML_LOCAL, "it is for %s, not for %s", variant ? full : plain, j->p->platform)
                 : 0;

    cJSON_Delete(config);
    free(plain);
    free(full);
    return rc;
}

static int no_base(const struct job *j, struct ml_err *err)
{
    struct ml_strs tags = { 0 };
    struct ml_buf list = ML_BUF_INIT;

    if (!j->base_ref.layout)
        return ml_err_set(
            err, ML_REFUSED, "the base '%s' is not there (404); the token may lack read_registry", j->p->base);
    ml_buf_init(&list, 600);
    (void)j->from->ops->tags(j->from, "", &tags, NULL);
    for (size_t i = 0; i < tags.n; i++)
        ml_buf_addf(&list, "%s%s", i ? ", " : ": there is ", tags.v[i]);
    ml_err_set(err, ML_LOCAL, "the base '%s' is not there%s%s", j->p->base, ml_buf_str(&list), list.full ? " ..." : "");
    ml_buf_release(&list);
    ml_strs_release(&tags);
    return -1;
}

static int open_base(struct job *j, struct ml_err *err)
{
    int rc;

    if (!strcmp(j->p->base, "scratch"))
        return ml_image_scratch(j->p->platform, &j->base, err);
    if (ml_ref_parse(j->p->base, &j->base_ref, err) < 0 || ml_repo_open(&j->base_ref, false, &j->from, err) < 0)
        return -1;
    rc = ml_image_load(j->from, &j->base_ref, j->p->platform, true, &j->base, err);
    if (rc == 1)
        return no_base(j, err);
    if (rc < 0 || (j->p->platform && check_platform(j, err) < 0))
        return ml_err_wrap(err, "base '%s'", j->p->base);
    return 0;
}

/* A blob of the base in the layout: linked, or streamed and verified. */
static int copy_blob(struct job *j, const struct ml_desc *d, struct ml_err *err)
{
    struct ml_blobout *b = NULL;
    struct ml_digest got;
    int rc = j->to->ops->blob_mount(j->to, &d->digest, j->from, err);

    if (rc == 1)
        rc = j->to->ops->blob_has(j->to, &d->digest, err);
    if (rc != 1)
        return rc;
    if (ml_blobout_open(j->to, &b, err) < 0)
        return -1;
    rc = j->from->ops->blob_get(j->from, d, 0, 0, ml_blobout_add, b, err);
    if (rc == 1)
        rc = ml_err_set(err, j->base_ref.layout ? ML_LOCAL : ML_REFUSED, "the base lacks its layer %s", d->digest.s);
    if (rc == 0)
        rc = ml_blobout_commit(b, &got, NULL, err);
    if (rc == 0 && !ml_digest_eq(&got, &d->digest))
        rc = ml_err_set(err, ML_INTEGRITY, "the base's layer %s came as %s", d->digest.s, got.s);
    ml_blobout_free(b);
    return rc;
}

static int copy_base(struct job *j, struct ml_err *err)
{
    for (size_t i = 0; i < j->base.n; i++)
        if (copy_blob(j, &j->base.layers[i].desc, err) < 0)
            return ml_err_wrap(err, "base '%s'", j->p->base);
    return ml_rootfs_read(j->fs, j->to, &j->base, err) < 0 ? ml_err_wrap(err, "base '%s'", j->p->base) : 0;
}

/* ---- layers ---- */

static int copy_file(const char *path, struct ml_blobout *b, const char **kind, struct ml_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    char *chunk;

    *kind = NULL;
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    chunk = ml_malloc(CHUNK);
    while (rc == 0) {
        ssize_t n = read(fd, chunk, CHUNK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = ml_err_errno(err, ML_LOCAL, "cannot read '%s'", path);
        if (n <= 0)
            break;
        if (!*kind)
            *kind = ml_decompress_kind(chunk, (size_t)n);
        rc = ml_blobout_add(b, chunk, (size_t)n, err);
    }
    free(chunk);
    close(fd);
    return rc;
}

/* A file that is a layer already. */
static int take_layer(struct job *j, const char *path, struct ml_err *err)
{
    struct ml_image_layer *l = &j->layers[j->n++];
    struct ml_blobout *b = NULL;
    const char *kind;
    int rc = -1;

    if (ml_blobout_open(j->to, &b, err) < 0 || copy_file(path, b, &kind, err) < 0 ||
        ml_blobout_commit(b, &l->desc.digest, &l->desc.size, err) < 0)
        goto out;
    if (!kind) {
        ml_err_set(err, ML_LOCAL, "'%s' is empty", path);
        goto out;
    }
    l->desc.media_type =
        ml_format("%s%s%s", ML_MT_LAYER, strcmp(kind, "none") ? "+" : "", strcmp(kind, "none") ? kind : "");
    l->created_by = ml_strdup("ml-package --layer");
    rc = ml_rootfs_read_layer(j->fs, j->to, &l->desc, (int)(j->base.n + j->n - 1), &l->diff_id, err);
    if (rc < 0)
        ml_err_wrap(err, "'%s'", path);
out:
    ml_blobout_free(b);
    return rc;
}

static int add_layer(struct job *j, struct ml_package_source *s, struct ml_err *err)
{
    struct ml_image_layer *l = &j->layers[j->n++];
    struct ml_layer_out out = { .compress = ML_COMPRESS_NONE };
    struct ml_layers *written = NULL;
    struct ml_pack pack;
    int rc = -1;

    if (ml_pack_plan(&s->tree, s->dest, j->p->replace, j->fs, &pack, err) < 0)
        return -1;
    out.view = ml_tar_view_new(&s->tree, pack.items, pack.n, j->epoch);
    if (ml_layers_write(j->to, &out, 1, NULL, 0, &written, err) < 0 || ml_layers_commit(written, err) < 0 ||
        ml_pack_apply(&pack, &s->tree, j->fs, (int)(j->base.n + j->n - 1), err) < 0)
        goto out;
    l->desc = out.desc;
    out.desc = (struct ml_desc){ 0 };
    l->diff_id = out.diff_id;
    l->created_by = ml_format("ml-package --add %s", pack.path);
    l->path = ml_strdup(pack.path);
    l->root = strcmp(pack.path, pack.root) ? ml_strdup(pack.root) : NULL;
    l->alone = pack.alone;
    s->root = ml_strdup(pack.root + 1);
    s->layer = (int)(j->base.n + j->n - 1);
    l->silent = pack.scattered; /* who looks elsewhere must read it too */
    rc = 0;
out:
    ml_desc_release(&out.desc);
    ml_tar_view_free(out.view);
    ml_pack_release(&pack);
    return rc;
}

/* How many names lie in `n`; *pure becomes false when a file among them isn't from `layer`. */
static size_t count_names(const struct ml_node *n, int layer, bool *pure)
{
    size_t count = 0;

    if (n->type != ML_TAR_DIR && n->layer != layer)
        *pure = false;
    for (const struct ml_node *c = n->children; c; c = c->next)
        count += 1 + count_names(c, layer, pure);
    return count;
}

/* The evaluated model must also be alone where it is: neither the base nor another source may have mixed something in.
 */
static int check_alone(const struct job *j, struct ml_err *err)
{
    for (size_t i = 0; i < j->p->adds.n; i++) {
        const struct ml_package_source *s = &j->sources[i];
        const struct ml_node *n = s->evaluated ? ml_rootfs_find(j->fs, s->root) : NULL;
        bool pure = true;

        if (!s->evaluated)
            continue;
        if (!n || count_names(n, s->layer, &pure) != (s->tree.single ? 0 : s->tree.n) || !pure)
            return ml_err_set(err, ML_INTEGRITY,
                "'/%s' in the image would not be the evaluated model: the base or another source has files there; "
                "--replace deletes "
                "the base's",
                s->root);
    }
    return 0;
}

/* ---- the image ---- */

/* A word, or a JSON array of words. */
static int parse_words(const char *option, const char *text, struct ml_strs *out, struct ml_err *err)
{
    cJSON *j;
    const cJSON *e;
    int rc = 0;

    if (text[0] != '[') {
        ml_strs_add(out, text);
        return 0;
    }
    j = ml_json_parse(text, strlen(text), option, err);
    if (!j) {
        err->code = ML_USAGE;
        return -1;
    }
    cJSON_ArrayForEach(e, j)
    {
        if (cJSON_IsString(e))
            ml_strs_add(out, e->valuestring);
        else
            rc = ml_err_set(err, ML_USAGE, "%s: a JSON array of strings was expected", option);
    }
    cJSON_Delete(j);
    return rc;
}

static int check_text(const char *option, const struct ml_strs *l, struct ml_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *s = l->v[i], *eq = strchr(s, '=');

        if (!eq || eq == s)
            return ml_err_set(err, ML_USAGE, "%s '%s': say NAME=VALUE", option, s);
        if (ml_utf8_check(s, strlen(s)) != strlen(s))
            return ml_err_set(err, ML_USAGE, "%s '%s' is not UTF-8", option, s);
    }
    return 0;
}

static int check_utf8(const char *option, const char *s, struct ml_err *err)
{
    return s && ml_utf8_check(s, strlen(s)) != strlen(s) ? ml_err_set(err, ML_USAGE, "%s is not UTF-8", option) : 0;
}

/* The card's section (ml-card(5), "image"). */
static void describe(struct job *j, const char *model)
{
    cJSON *image = cJSON_CreateObject(), *list, *base;

    ml_json_set_str(image, "reference", j->p->out);
    ml_json_set_str(image, "digest", j->result->digest.s);
    ml_json_set_int(image, "size", (int64_t)j->result->size);
    if (model)
        ml_json_set_str(image, "model", model);
    if (j->from) {
        base = ml_json_set_object(image, "base");
        ml_json_set_str(base, "reference", j->p->base);
        ml_json_set_str(base, "digest", j->base.named.s);
    } else {
        ml_json_set(image, "base", NULL);
    }
    list = ml_json_set_array(image, "layers");
    for (size_t i = 0; i < j->n; i++) {
        const struct ml_image_layer *l = &j->layers[i];
        cJSON *o = cJSON_CreateObject(), *paths;

        ml_json_set_str(o, "digest", l->desc.digest.s);
        ml_json_set_str(o, "diff_id", l->diff_id.s);
        ml_json_set_int(o, "size", (int64_t)l->desc.size);
        paths = ml_json_set_array(o, "paths");
        cJSON_AddItemToArray(paths, cJSON_CreateString(l->path ? l->path : "/"));
        cJSON_AddItemToArray(list, o);
    }
    j->result->image = image;
}

/* Config, manifest and tag; the tag last, so that a killed run changes nothing that has a name. */
static int finish(struct job *j, struct ml_image_change *c, struct ml_err *err)
{
    struct ml_buf config = ML_BUF_INIT, manifest = ML_BUF_INIT;
    struct ml_desc desc = { 0 };
    int rc = -1;

    if (ml_image_extend_config(&j->base, c, &config, err) < 0 ||
        ml_repo_blob_store(j->to, ML_MT_CONFIG, config.data, config.len, &desc, err) < 0 ||
        ml_image_extend_manifest(&j->base, c, &desc, &manifest, err) < 0 ||
        j->to->ops->manifest_put(j->to, j->out_ref.tag, ML_MT_MANIFEST, manifest.data, manifest.len, err) < 0)
        goto out;
    ml_digest_bytes(manifest.data, manifest.len, &j->result->digest);
    j->result->size = manifest.len + config.len;
    for (size_t i = 0; i < j->base.n; i++)
        j->result->size += j->base.layers[i].desc.size;
    for (size_t i = 0; i < j->n; i++)
        j->result->added += j->layers[i].desc.size;
    j->result->size += j->result->added;
    rc = 0;
out:
    ml_buf_release(&config);
    ml_buf_release(&manifest);
    ml_desc_release(&desc);
    return rc;
}

static int make(struct job *j, const char *model, struct ml_image_change *c, struct ml_err *err)
{
    char *name = NULL;
    int rc = -1;

    if (scan_sources(j, err) < 0 || (model && check_model(j, model, err) < 0) || open_base(j, err) < 0 ||
        ml_repo_open(&j->out_ref, true, &j->to, err) < 0 || copy_base(j, err) < 0)
        goto out;
    j->layers = ml_calloc(j->p->layers.n + j->p->adds.n + 1, sizeof *j->layers);
    for (size_t i = 0; i < j->p->layers.n; i++)
        if (take_layer(j, j->p->layers.v[i], err) < 0)
            goto out;
    for (size_t i = 0; i < j->p->adds.n; i++)
        if (add_layer(j, &j->sources[i], err) < 0)
            goto out;
    if (check_alone(j, err) < 0)
        goto out;
    c->layers = j->layers;
    c->n = j->n;
    if (j->from) {
        /* a layout's directory is this machine's affair */
        name = j->base_ref.layout ? NULL : ml_ref_format(&j->base_ref, j->base_ref.tag ? ML_REF_TAG : ML_REF_DIGEST);
        c->base_name = name;
        c->base_digest = &j->base.named;
    }
    rc = finish(j, c, err);
    if (rc == 0)
        describe(j, model);
out:
    free(name);
    return rc;
}

int ml_package_make(const struct ml_package *p, const char *model, struct ml_packaged *out, struct ml_err *err)
{
    struct job j = { .p = p, .result = out };
    struct ml_strs entrypoint = { 0 }, cmd = { 0 };
    struct ml_image_change c = { .env = &p->env, .labels = &p->labels, .user = p->user, .workdir = p->workdir };
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    int rc = -1;

    *out = (struct ml_packaged){ 0 };
    j.fs = ml_rootfs_new(NULL, NULL);
    if (ml_ref_parse(p->out, &j.out_ref, err) < 0)
        goto out;
    if (!j.out_ref.layout || !j.out_ref.tag || j.out_ref.digest.s[0]) {
        ml_err_set(err, ML_USAGE, "--out '%s': say oci:DIR:TAG; ml-publish pushes it from there", p->out);
        goto out;
    }
    if (ml_clock_epoch(&j.epoch, err) < 0 || check_text("--env", &p->env, err) < 0 ||
        check_text("--label", &p->labels, err) < 0 || check_utf8("--entrypoint", p->entrypoint, err) < 0 ||
        check_utf8("--cmd", p->cmd, err) < 0 || check_utf8("--user", p->user, err) < 0 ||
        check_utf8("--workdir", p->workdir, err) < 0 ||
        (p->entrypoint && parse_words("--entrypoint", p->entrypoint, &entrypoint, err) < 0) ||
        (p->cmd && parse_words("--cmd", p->cmd, &cmd, err) < 0))
        goto out;
    c.entrypoint = p->entrypoint ? &entrypoint : NULL;
    c.cmd = p->cmd ? &cmd : NULL;
    c.epoch = j.epoch;
    c.dated = epoch && *epoch;
    rc = make(&j, model, &c, err);
out:
    release(&j);
    ml_strs_release(&entrypoint);
    ml_strs_release(&cmd);
    if (rc < 0)
        ml_packaged_release(out);
    return rc;
}
