/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The texts of a packaged image: config and manifest, and what the card says of it. */
#include <stdlib.h>
#include <string.h>

#include "model/package_impl.h"

static int make_image(struct ml_package_job *j, struct ml_err *err)
{
    struct ml_image_layer *v = ml_calloc(j->n + 1, sizeof *v);
    struct ml_image_change *c = &j->change;
    int rc = -1;

    for (size_t i = 0; i < j->n; i++)
        v[i] = j->layers[i].image; /* borrowed */
    c->layers = v;
    c->n = j->n;
    if (j->from) {
        c->base_name = j->base_name;
        c->base_digest = &j->base.named;
    }
    if (ml_image_extend_config(&j->base, c, &j->config, err) < 0)
        goto out;
    j->config_desc = (struct ml_desc){ ml_strdup(ML_MT_CONFIG), .size = j->config.len };
    ml_digest_bytes(j->config.data, j->config.len, &j->config_desc.digest);
    rc = ml_image_extend_manifest(&j->base, c, &j->config_desc, &j->manifest, err);
out:
    free(v);
    c->layers = NULL;
    return rc;
}

/* The card's section (ml-card(5), "image"). */
static cJSON *describe(const struct ml_package_job *j, const char *model)
{
    cJSON *image = cJSON_CreateObject(), *list, *base;
    const struct ml_packaged *r = j->result;

    ml_json_set_str(image, "reference", r->reference);
    ml_json_set_str(image, "digest", r->digest.s);
    ml_json_set_int(image, "size", (int64_t)r->size);
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
        const struct ml_image_layer *l = &j->layers[i].image;
        cJSON *o = cJSON_CreateObject(), *paths;

        ml_json_set_str(o, "digest", l->desc.digest.s);
        ml_json_set_str(o, "diff_id", l->diff_id.s);
        ml_json_set_int(o, "size", (int64_t)l->desc.size);
        paths = ml_json_set_array(o, "paths");
        cJSON_AddItemToArray(paths, cJSON_CreateString(l->path ? l->path : "/"));
        cJSON_AddItemToArray(list, o);
    }
    return image;
}

int ml_package_texts(struct ml_package_job *j, const char *model, struct ml_err *err)
{
    struct ml_packaged *r = j->result;
    struct ml_ref named;

    if ((j->modelpack ? ml_package_modelpack(j, err) : make_image(j, err)) < 0)
        return -1;
    ml_digest_bytes(j->manifest.data, j->manifest.len, &r->digest);
    j->manifest_desc = (struct ml_desc){ ml_strdup(ML_MT_MANIFEST), r->digest, j->manifest.len };
    r->size = j->manifest.len + j->config.len;
    for (size_t i = 0; i < j->base.n; i++)
        r->size += j->base.layers[i].desc.size;
    for (size_t i = 0; i < j->n; i++)
        r->added += j->layers[i].image.desc.size;
    r->size += r->added;
    /* a registry's tag may move on; what follows is about this image */
    ml_ref_copy(&named, &j->ref);
    named.digest = r->digest;
    r->reference = ml_ref_format(&named, j->target == ML_PACKAGE_TO ? ML_REF_DIGEST : ML_REF_TAG);
    ml_ref_release(&named);
    r->image = describe(j, model);
    return 0;
}
