/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A CNCF ModelPack artifact (modelpack/model-spec, docs/spec.md and docs/config.md): no image that could be run, but a
 * model that such registries and runtimes know as one. Each source is a layer, whose kind is that of its files. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/package_impl.h"

#define MT_CONFIG "application/vnd.cncf.model.config.v1+json"
#define MT_PREFIX "application/vnd.cncf.model."
#define ANN_PATH  "org.cncf.model.filepath"
#define ANN_GUESS "org.cncf.model.file.mediatype.untested"

/* What files are, by their names, as modctl tells them apart; the first that fits counts, weights where none does. */
static const char *const kinds[][2] = {
    { "doc", "README*" },
    { "doc", "LICENSE*" },
    { "doc", "NOTICE*" },
    { "doc", "*.md" },
    { "doc", "*.txt" },
    { "weight.config", "*.json" },
    { "weight.config", "*.yaml" },
    { "weight.config", "*.yml" },
    { "weight.config", "*.toml" },
    { "weight.config", "*.model" },
    { "code", "*.py" },
    { "code", "*.sh" },
    { "code", "*.ipynb" },
    { "dataset", "*.csv" },
    { "dataset", "*.parquet" },
    { "dataset", "*.jsonl" },
};

static const char *kind_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (fnmatch(kinds[i][1], name, FNM_CASEFOLD) == 0)
            return kinds[i][0];
    return "weight";
}

/* Of a whole source: what all its files are, else weights. */
static const char *kind_of_source(const struct ml_package_source *s)
{
    const char *kind = NULL;

    for (size_t i = 0; i < s->tree.n; i++) {
        const char *k = s->tree.v[i].type == ML_TAR_FILE ? kind_of(s->tree.v[i].path) : NULL;

        if (k && kind && strcmp(k, kind) != 0)
            return "weight";
        kind = k ? k : kind;
    }
    return kind ? kind : "weight";
}

static const struct ml_package_source *source_of(const struct ml_package_job *j, size_t layer)
{
    for (size_t i = 0; i < j->p->adds.n; i++)
        if ((int)layer >= j->sources[i].layer && (int)layer <= j->sources[i].last)
            return &j->sources[i];
    return NULL;
}

static void quote(struct ml_buf *b, const char *key, const char *value)
{
    if (b->len && b->data[b->len - 1] != '{')
        ml_buf_addc(b, ',');
    ml_buf_addf(b, "\"%s\":", key);
    ml_json_quote(value, strlen(value), b);
}

static void config_text(struct ml_package_job *j)
{
    const struct ml_package *p = j->p;
    struct ml_buf *b = &j->config;
    char time[ML_TIME_LEN + 1];

    ml_buf_adds(b, "{\"descriptor\":{");
    if (j->change.dated) {
        ml_clock_format(j->change.epoch, time);
        quote(b, "createdAt", time);
    }
    if (p->name && *p->name)
        quote(b, "name", p->name);
    if (p->version && *p->version)
        quote(b, "version", p->version);
    if (p->license && *p->license) {
        ml_buf_adds(b, b->data[b->len - 1] == '{' ? "\"licenses\":[" : ",\"licenses\":[");
        ml_json_quote(p->license, strlen(p->license), b);
        ml_buf_addc(b, ']');
    }
    ml_buf_adds(b, "},\"config\":{},\"modelfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < j->n; i++)
        ml_buf_addf(b, "%s\"%s\"", i ? "," : "", j->layers[i].image.diff_id.s);
    ml_buf_adds(b, "]}}");
}

static void layer_text(struct ml_package_job *j, size_t i)
{
    struct ml_image_layer *l = &j->layers[i].image;
    struct ml_buf *b = &j->manifest;
    char *type =
        ml_format(MT_PREFIX "%s.v1.tar%s", kind_of_source(source_of(j, i)), l->desc.media_type + strlen(ML_MT_LAYER));

    free(l->desc.media_type);
    l->desc.media_type = type;
    ml_buf_adds(b, i ? ",{" : "{");
    ml_desc_members(&l->desc, b);
    ml_buf_adds(b, ",\"annotations\":{");
    if (l->path[1])
        quote(b, ANN_PATH, l->path + 1);
    quote(b, ANN_GUESS, "true");
    ml_buf_adds(b, "}}");
}

int ml_package_modelpack(struct ml_package_job *j, struct ml_err *err)
{
    struct ml_buf *b = &j->manifest;

    config_text(j);
    j->config_desc = (struct ml_desc){ ml_strdup(MT_CONFIG), .size = j->config.len };
    ml_digest_bytes(j->config.data, j->config.len, &j->config_desc.digest);
    ml_buf_adds(b, "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\",\"artifactType\":\"" ML_MT_MODELPACK
                   "\",\"config\":{");
    ml_desc_members(&j->config_desc, b);
    ml_buf_adds(b, "},\"layers\":[");
    for (size_t i = 0; i < j->n; i++)
        layer_text(j, i);
    ml_buf_addc(b, ']');
    if (j->notes.n) {
        ml_buf_adds(b, ",\"annotations\":{");
        for (size_t i = 0; i < j->notes.n; i++) {
            size_t n = strcspn(j->notes.v[i], "=");
            char *key = ml_strndup(j->notes.v[i], n);

            quote(b, key, j->notes.v[i] + n + 1);
            free(key);
        }
        ml_buf_addc(b, '}');
    }
    ml_buf_addc(b, '}');
    return j->manifest.len > ML_MANIFEST_MAX
               ? ml_err_set(err, ML_LOCAL, "the manifest would have over %zu bytes", ML_MANIFEST_MAX)
               : 0;
}
