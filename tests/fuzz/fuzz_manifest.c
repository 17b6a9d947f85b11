/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests and configs: first the manifest, behind a line of '%' the config. What parses can be extended, and what
 * comes out parses again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void extend(const struct ml_image *base)
{
    char path[] = "PATH=/x", odd[] = "B=\"\\", type[] = ML_MT_LAYER, config_type[] = ML_MT_CONFIG, at[] = "/a";
    char *words[] = { path, odd };
    struct ml_strs some = { .v = words, .n = 2 };
    struct ml_digest digest;
    struct ml_image_layer layer = {
        .desc = { .media_type = type, .size = 1 }, .created_by = odd, .path = at, .alone = true
    };
    struct ml_image_change c = {
        .layers = &layer, .n = 1, .env = &some, .labels = &some, .entrypoint = &some, .user = "u", .dated = true
    };
    struct ml_buf config = ML_BUF_INIT, manifest = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;
    struct ml_image again;

    ml_digest_bytes("x", 1, &digest);
    layer.desc.digest = layer.diff_id = digest;
    c.base_digest = &digest;
    if (ml_image_extend_config(base, &c, &config, &err) < 0 ||
        ml_image_extend_manifest(base, &c, &(struct ml_desc){ config_type, digest, config.len }, &manifest, &err) < 0 ||
        ml_image_parse(&manifest, &config, &again, &err) < 0 || again.n != base->n + 1)
        abort();
    ml_image_release(&again);
    ml_buf_release(&config);
    ml_buf_release(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf manifest = ML_BUF_INIT, config = ML_BUF_INIT;
    struct ml_image image;
    const uint8_t *cut = size ? memchr(data, '%', size) : NULL;
    size_t n = cut ? (size_t)(cut - data) : size;

    ml_buf_add(&manifest, data, n);
    if (cut)
        ml_buf_add(&config, cut + 1, size - n - 1);
    if (ml_image_parse(&manifest, NULL, &image, &err) == 0)
        ml_image_release(&image);
    err.code = 0;
    if (cut && ml_image_parse(&manifest, &config, &image, &err) == 0) {
        extend(&image);
        ml_image_release(&image);
    }
    ml_buf_release(&manifest);
    ml_buf_release(&config);
    return 0;
}
