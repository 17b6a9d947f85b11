/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading images: index to manifest to config. */
#include "oci/image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "data/json.h"
#include "oci/untar.h"

#define LAYERS_MAX 10000
#define MODEL      "application/vnd.cncf.model."

/* "linux/amd64" where this runs. */
static const char *platform_here(void)
{
    static const char *const known[][2] = {
        { "x86_64", "linux/amd64" },
        { "aarch64", "linux/arm64" },
        { "armv7l", "linux/arm/v7" },
        { "armv6l", "linux/arm/v6" },
        { "i686", "linux/386" },
        { "riscv64", "linux/riscv64" },
        { "ppc64le", "linux/ppc64le" },
        { "s390x", "linux/s390x" },
        { "loongarch64", "linux/loong64" },
    };
    struct utsname u;

    if (uname(&u) == 0)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (!strcmp(u.machine, known[i][0]))
                return known[i][1];
    return "linux/amd64";
}

void ml_image_release(struct ml_image *i)
{
    for (size_t k = 0; k < i->n; k++) {
        ml_desc_release(&i->layers[k].desc);
        free(i->layers[k].path);
        free(i->layers[k].root);
    }
    free(i->layers);
    ml_manifest_release(&i->manifest);
    ml_desc_release(&i->config_desc);
    ml_buf_release(&i->config);
    *i = (struct ml_image){ 0 };
}

static int desc_from(const cJSON *j, const char *what, struct ml_desc *out, struct ml_err *err)
{
    if (!ml_desc_parse(j, out) || !out->media_type)
        return ml_err_set(err, ML_LOCAL, "the manifest's %s lacks a media type, sha256 digest or size", what);
    return 0;
}

static bool is_index(const char *type)
{
    return !strcmp(type, ML_MT_INDEX) || !strcmp(type, ML_MT_DOCKER_LIST);
}

static bool is_layer(const char *type)
{
    return !strncmp(type, ML_MT_LAYER, strlen(ML_MT_LAYER)) ||
           !strncmp(type, "application/vnd.oci.image.layer.nondistributable.v1.tar", 55) ||
           !strncmp(type, "application/vnd.docker.image.rootfs.diff.tar", 44) ||
           !strncmp(type, "application/vnd.docker.image.rootfs.foreign.diff.tar", 52);
}

/* Whether an entry of an index is for a platform; a wanted variant must be there, an unwanted one may. */
static bool for_platform(const cJSON *desc, const char *platform)
{
    const cJSON *p = ml_json_get(desc, "platform");
    const char *os = p ? ml_json_str(p, "os") : NULL, *arch = p ? ml_json_str(p, "architecture") : NULL,
               *variant = p ? ml_json_str(p, "variant") : NULL;
    char *short_form, *long_form;
    bool yes;

    if (!os || !arch)
        return false;
    short_form = ml_format("%s/%s", os, arch);
    long_form = ml_format("%s/%s", short_form, variant ? variant : "");
    yes = !strcmp(platform, short_form) || !strcmp(platform, long_form);
    free(short_form);
    free(long_form);
    return yes;
}

/* The digest of the image for `platform` in an index. An index with one image that names no platform means that one. */
static int choose(const struct ml_manifest *m, const char *platform, struct ml_digest *out, struct ml_err *err)
{
    cJSON *j = ml_json_parse(m->raw.data, m->raw.len, "index", err);
    const cJSON *list = j ? ml_json_get(j, "manifests") : NULL, *e, *hit = NULL;
    const char *digest;
    int rc = -1;

    if (!j)
        return -1;
    cJSON_ArrayForEach(e, list)
    {
        if (!hit && for_platform(e, platform))
            hit = e;
    }
    if (!hit && cJSON_GetArraySize(list) == 1 && !ml_json_get(list->child, "platform"))
        hit = list->child;
    digest = hit ? ml_json_str(hit, "digest") : NULL;
    if (!hit)
        ml_err_set(err, ML_LOCAL, "the index has no image for %s, name another platform", platform);
    else if (!digest || !ml_digest_valid(digest))
        ml_err_set(err, ML_LOCAL, "the index has a malformed digest for %s", platform);
    else
        rc = ml_digest_parse(digest, out, err);
    cJSON_Delete(j);
    return rc;
}

/* What a layer says about its path: only a safe one counts. */
static void layer_says(const cJSON *desc, struct ml_layer *l)
{
    const cJSON *a = ml_json_get(desc, "annotations");
    const char *path = a ? ml_json_str(a, ML_ANN_PATH) : NULL, *root = a ? ml_json_str(a, ML_ANN_ROOT) : NULL,
               *alone = a ? ml_json_str(a, ML_ANN_ALONE) : NULL;

    l->path = path && path[0] == '/' ? ml_path_normal(path) : NULL;
    if (!l->path)
        return;
    l->root = root && root[0] == '/' ? ml_path_normal(root) : ml_strdup(l->path);
    l->alone = alone && !strcmp(alone, "true") && l->root;
    if (!l->root)
        l->root = ml_strdup(l->path);
}

/* model-spec docs/spec.md: a layer is a tar or one file as it is. */
static bool is_model_layer(const char *type)
{
    return !strncmp(type, MODEL, strlen(MODEL)) && strstr(type, ".v1.tar");
}

static int not_a_layer(const char *type, bool model, struct ml_err *err)
{
    if (model && !strncmp(type, MODEL, strlen(MODEL)))
        return ml_err_set(err, ML_LOCAL,
            "it is a CNCF ModelPack artifact of single files ('%.100s'), which 'modctl pull' reads; ours are tars",
            type);
    return ml_err_set(err, ML_LOCAL, "the manifest is not an image's: a layer is '%.100s'", type);
}

static int check_config(const char *type, bool may_be_model, bool *model, struct ml_err *err)
{
    *model = !strcmp(type, MODEL "config.v1+json");
    if (*model && !may_be_model)
        return ml_err_set(err, ML_LOCAL, "it is a CNCF ModelPack artifact, which is no image that could be run");
    if (*model || !strcmp(type, ML_MT_CONFIG) || !strcmp(type, "application/vnd.docker.container.image.v1+json"))
        return 0;
    return ml_err_set(err, ML_LOCAL, "the manifest is not an image's: its config is '%.100s'", type);
}

static int parse_manifest(const cJSON *j, bool may_be_model, struct ml_image *out, struct ml_err *err)
{
    const cJSON *config = ml_json_get(j, "config"), *layers = ml_json_get(j, "layers"), *e;
    int n = cJSON_GetArraySize(layers);
    bool model;

    if (!cJSON_IsObject(config) || !cJSON_IsArray(layers))
        return ml_err_set(err, ML_LOCAL, "the manifest is not an image's: it lacks \"config\" or \"layers\"");
    if (n > LAYERS_MAX)
        return ml_err_set(err, ML_LOCAL, "the manifest has %d layers", n);
    if (desc_from(config, "config", &out->config_desc, err) < 0 ||
        check_config(out->config_desc.media_type, may_be_model, &model, err) < 0)
        return -1;
    out->layers = ml_calloc((size_t)n + 1, sizeof *out->layers);
    cJSON_ArrayForEach(e, layers)
    {
        struct ml_layer *l = &out->layers[out->n++];

        if (desc_from(e, "layer", &l->desc, err) < 0)
            return -1;
        if (model ? !is_model_layer(l->desc.media_type) : !is_layer(l->desc.media_type))
            return not_a_layer(l->desc.media_type, model, err);
        layer_says(e, l);
    }
    return 0;
}

/* image-spec config.md: rootfs.type is "layers", and there is one diff_id a layer. */
static int parse_config(const cJSON *j, struct ml_image *out, struct ml_err *err)
{
    const cJSON *rootfs = ml_json_get(j, "rootfs"), *ids = rootfs ? ml_json_get(rootfs, "diff_ids") : NULL, *e;
    const char *type = rootfs ? ml_json_str(rootfs, "type") : NULL;
    size_t k = 0;

    if (!type || strcmp(type, "layers") != 0)
        return ml_err_set(err, ML_LOCAL, "the image's config has no rootfs of type \"layers\"");
    if ((size_t)cJSON_GetArraySize(ids) != out->n)
        return ml_err_set(err, ML_LOCAL, "the image has %zu layers but %d diff_ids", out->n, cJSON_GetArraySize(ids));
    cJSON_ArrayForEach(e, ids)
    {
        if (!cJSON_IsString(e) || !ml_digest_valid(e->valuestring))
            return ml_err_set(err, ML_LOCAL, "the image's config has a malformed diff_id");
        if (ml_digest_parse(e->valuestring, &out->layers[k++].diff_id, err) < 0)
            return -1;
    }
    return 0;
}

int ml_image_parse(const struct ml_buf *manifest, const struct ml_buf *config, struct ml_image *out, struct ml_err *err)
{
    cJSON *m = ml_json_parse(ml_buf_str(manifest), manifest->len, "manifest", err), *c = NULL;
    int rc = -1;

    *out = (struct ml_image){ 0 };
    ml_buf_init(&out->manifest.raw, ML_MANIFEST_MAX);
    ml_buf_init(&out->config, ML_CONFIG_MAX);
    if (!m || parse_manifest(m, !config, out, err) < 0)
        goto out;
    ml_buf_add(&out->manifest.raw, manifest->data, manifest->len);
    if (config) {
        c = ml_json_parse(ml_buf_str(config), config->len, "config", err);
        if (!c || parse_config(c, out, err) < 0)
            goto out;
        ml_buf_add(&out->config, config->data, config->len);
    }
    rc = 0;
out:
    cJSON_Delete(m);
    cJSON_Delete(c);
    if (rc < 0)
        ml_image_release(out);
    return rc;
}

/* The config that a manifest names. */
static int load_config(struct ml_repo *r, const struct ml_manifest *m, struct ml_buf *out, struct ml_err *err)
{
    struct ml_image bare;
    int rc;

    if (ml_image_parse(&m->raw, NULL, &bare, err) < 0)
        return -1;
    rc = ml_repo_blob_load(r, &bare.config_desc, ML_CONFIG_MAX, out, err);
    if (rc == 1)
        rc = ml_err_set(
            err, r->ref.layout ? ML_LOCAL : ML_REFUSED, "the image's config %s is missing", bare.config_desc.digest.s);
    ml_image_release(&bare);
    return rc;
}

int ml_image_load(struct ml_repo *r, const struct ml_ref *ref, const char *platform, bool config, struct ml_image *out,
    struct ml_err *err)
{
    struct ml_manifest m = { 0 };
    int rc = ml_repo_resolve(r, ref, &m, err);

    *out = (struct ml_image){ 0 };
    return rc != 0 ? rc : ml_image_take(r, &m, platform, config, out, err);
}

int ml_image_take(struct ml_repo *r, struct ml_manifest *manifest, const char *platform, bool config,
    struct ml_image *out, struct ml_err *err)
{
    struct ml_manifest m = *manifest;
    struct ml_digest named = m.desc.digest, chosen;
    struct ml_buf text = ML_BUF_INIT;
    int rc = 0;

    *out = (struct ml_image){ 0 };
    *manifest = (struct ml_manifest){ 0 };
    if (is_index(m.desc.media_type)) {
        rc = choose(&m, platform ? platform : platform_here(), &chosen, err);
        ml_manifest_release(&m);
        if (rc == 0)
            rc = r->ops->manifest_get(r, chosen.s, &m, err);
        if (rc == 1)
            rc = ml_err_set(
                err, r->ref.layout ? ML_LOCAL : ML_REFUSED, "the index names %s, which is missing", chosen.s);
    }
    if (rc == 0 && config)
        rc = load_config(r, &m, &text, err);
    if (rc == 0)
        rc = ml_image_parse(&m.raw, config ? &text : NULL, out, err);
    if (rc == 0) {
        out->named = named;
        out->manifest.desc = m.desc;
        m.desc = (struct ml_desc){ 0 };
    }
    ml_manifest_release(&m);
    ml_buf_release(&text);
    return rc;
}

int ml_platform_check(const char *platform, struct ml_err *err)
{
    size_t parts = 0;

    if (!platform)
        return 0;
    for (const char *s = platform;; s++) {
        size_t n = strcspn(s, "/");

        parts += n > 0 ? 1 : 4; /* four are too many */
        s += n;
        if (!*s)
            break;
    }
    if (parts == 2 || parts == 3)
        return 0;
    return ml_err_set(err, ML_USAGE, "'%s' is not a platform, say os/architecture", platform);
}

int ml_image_scratch(const char *platform, struct ml_image *out, struct ml_err *err)
{
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\",\"config\":{\"mediaType\":\"" ML_MT_CONFIG
        "\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","
        "\"size\":2},\"layers\":[]}";
    struct ml_buf m = ML_BUF_INIT, c = ML_BUF_INIT;
    char *os = ml_strdup(platform ? platform : platform_here()), *arch = strchr(os, '/'), *variant;
    int rc = -1;

    *out = (struct ml_image){ 0 };
    if (ml_platform_check(os, err) < 0)
        goto out;
    *arch++ = '\0';
    variant = strchr(arch, '/');
    if (variant)
        *variant++ = '\0';
    ml_buf_adds(&m, manifest);
    ml_buf_adds(&c, "{\"architecture\":");
    ml_json_quote(arch, strlen(arch), &c);
    if (variant) {
        ml_buf_adds(&c, ",\"variant\":");
        ml_json_quote(variant, strlen(variant), &c);
    }
    ml_buf_adds(&c, ",\"os\":");
    ml_json_quote(os, strlen(os), &c);
    ml_buf_adds(&c, ",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"history\":[]}");
    rc = ml_image_parse(&m, &c, out, err);
    if (rc == 0)
        out->manifest.desc.media_type = ml_strdup(ML_MT_MANIFEST);
out:
    free(os);
    ml_buf_release(&m);
    ml_buf_release(&c);
    return rc;
}
