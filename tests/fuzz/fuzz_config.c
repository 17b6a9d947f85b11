/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A base's config of any bytes, with as many layers as it says: what parses can be extended, and everything that isn't
 * ours to change is in the new config byte for byte. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAYERS  4
#define EMPTY   "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define DESC(t) "{\"mediaType\":\"" t "\",\"digest\":\"" EMPTY "\",\"size\":2}"

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool one_of(const char *s, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(s, *list))
            return true;
    return false;
}

/* Members of the object in `was` but for those in `ours` are in `is` too, in the same order and with the same bytes. */
static void kept(const char *was, size_t was_len, const char *is, size_t is_len, const char *const *ours)
{
    struct ml_json_member *a = NULL, *b = NULL;
    size_t n = 0, k = 0;

    require(ml_json_members(is, is_len, &b, &k) == 0);
    if (ml_json_members(was, was_len, &a, &n) < 0)
        n = 0;
    require(k >= n);
    for (size_t i = 0; i < n; i++) {
        char *name = ml_json_decode(was, a[i].key);

        require(a[i].key.len == b[i].key.len && !memcmp(was + a[i].key.off, is + b[i].key.off, a[i].key.len));
        if (!one_of(name, ours))
            require(
                a[i].value.len == b[i].value.len && !memcmp(was + a[i].value.off, is + b[i].value.off, a[i].value.len));
        free(name);
    }
    free(a);
    free(b);
}

/* The object at `key` of both, compared likewise. */
static void kept_in(const struct ml_buf *was, const struct ml_buf *is, const char *key, const char *const *ours)
{
    struct ml_span a, b;

    require(ml_json_at(is->data, is->len, key, &b) == 0);
    if (ml_json_at(was->data, was->len, key, &a) == 0)
        kept(was->data + a.off, a.len, is->data + b.off, b.len, ours);
}

/* The list at `key` of both: what was there stands first. */
static size_t longer(const struct ml_buf *was, const struct ml_buf *is, const char *key)
{
    struct ml_span a, b, *v = NULL, *w = NULL;
    size_t n = 0, k = 0;

    if (ml_json_at(is->data, is->len, key, &b) != 0 || ml_json_elements(is->data, b, &w, &k) < 0)
        return 0;
    if (ml_json_at(was->data, was->len, key, &a) == 0 && ml_json_elements(was->data, a, &v, &n) == 0)
        for (size_t i = 0; i < n; i++)
            require(v[i].len == w[i].len && !memcmp(was->data + v[i].off, is->data + w[i].off, v[i].len));
    free(v);
    free(w);
    return k - n;
}

static void extend(const struct ml_image *base)
{
    static const char *const top[] = { "created", "config", "rootfs", "history", NULL },
                             *const fs[] = { "diff_ids", NULL },
                             *const inner[] = { "Env", "Labels", "Entrypoint", "Cmd", "User", NULL };
    char env[] = "PATH=/x", label[] = "a=b\"\\", type[] = ML_MT_LAYER;
    char *words[] = { env }, *marks[] = { label };
    struct ml_strs vars = { .v = words, .n = 1 }, labels = { .v = marks, .n = 1 };
    struct ml_image_layer layer = { .desc = { .media_type = type, .size = 1 }, .created_by = label };
    struct ml_image_change c = {
        .layers = &layer, .n = 1, .env = &vars, .labels = &labels, .entrypoint = &vars, .user = "u", .dated = true
    };
    struct ml_buf out = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;
    size_t more;

    ml_digest_bytes("x", 1, &layer.diff_id);
    require(ml_image_extend_config(base, &c, &out, &err) == 0);
    kept(base->config.data, base->config.len, out.data, out.len, top);
    kept_in(&base->config, &out, "config", inner);
    kept_in(&base->config, &out, "rootfs", fs);
    require(longer(&base->config, &out, "rootfs.diff_ids") == 1);
    more = longer(&base->config, &out, "history");
    require(more <= 1);
    ml_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_buf config = ML_BUF_INIT;

    ml_buf_add(&config, data, size);
    for (int n = 0; n <= LAYERS; n++) {
        struct ml_buf manifest = ML_BUF_INIT;
        struct ml_err err = ML_ERR_INIT;
        struct ml_image image;

        ml_buf_adds(&manifest, "{\"schemaVersion\":2,\"config\":" DESC(ML_MT_CONFIG) ",\"layers\":[");
        for (int i = 0; i < n; i++)
            ml_buf_adds(&manifest, i ? "," DESC(ML_MT_LAYER) : DESC(ML_MT_LAYER));
        ml_buf_adds(&manifest, "]}");
        if (ml_image_parse(&manifest, &config, &image, &err) == 0) {
            extend(&image);
            ml_image_release(&image);
        } else {
            require(err.code == ML_LOCAL);
        }
        ml_buf_release(&manifest);
    }
    ml_buf_release(&config);
    return 0;
}
