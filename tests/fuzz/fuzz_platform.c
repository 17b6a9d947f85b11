/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image index of any bytes, and an image chosen from it: never another than the first whose entry says the platform,
 * or the only one there is. The first byte chooses the platform. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char image_text[] =
    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" ML_MT_CONFIG
    "\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},"
    "\"layers\":[]}";

struct memory {
    struct ml_repo repo;
    const uint8_t *p;
    size_t n;
    struct ml_digest asked; /* the digest that was chosen */
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static int manifest_get(struct ml_repo *r, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    struct memory *m = (struct memory *)r;
    bool index = !strcmp(what, "t");

    (void)err;
    *out = (struct ml_manifest){ 0 };
    ml_buf_init(&out->raw, ML_MANIFEST_MAX);
    if (index) {
        ml_buf_add(&out->raw, m->p, m->n);
    } else {
        require(ml_digest_valid(what) && !m->asked.s[0]);
        require(ml_digest_parse(what, &m->asked, NULL) == 0);
        ml_buf_adds(&out->raw, image_text);
    }
    out->desc.media_type = ml_strdup(index ? ML_MT_INDEX : ML_MT_MANIFEST);
    ml_digest_bytes(out->raw.data ? out->raw.data : "", out->raw.len, &out->desc.digest);
    out->desc.size = out->raw.len;
    return 0;
}

static bool says(const cJSON *entry, const char *os, const char *arch)
{
    const cJSON *p = ml_json_get(entry, "platform");
    const char *o = p ? ml_json_str(p, "os") : NULL, *a = p ? ml_json_str(p, "architecture") : NULL;

    return o && a && !strcmp(o, os) && !strcmp(a, arch);
}

/* No entry before the one that was chosen is for the platform. */
static void first_of(const struct memory *m, const char *os, const char *arch)
{
    cJSON *j = ml_json_parse((const char *)m->p, m->n, "index", NULL);
    const cJSON *e, *list = ml_json_get(j, "manifests");
    int n = 0, at = -1;

    cJSON_ArrayForEach(e, list)
    {
        const char *digest = ml_json_str(e, "digest");
        bool it = digest && !strcmp(digest, m->asked.s);

        if (says(e, os, arch)) {
            require(it);
            at = n;
            break;
        }
        n++;
    }
    require(at >= 0 || (cJSON_GetArraySize(list) == 1 && !ml_json_get(list->child, "platform") &&
                           !strcmp(ml_json_str(list->child, "digest"), m->asked.s)));
    cJSON_Delete(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ml_repo_ops ops = { .manifest_get = manifest_get };
    static const char *const archs[] = { "amd64", "arm64", "386", "s390x" };
    char place[] = "memory", tag[] = "t";
    struct ml_ref ref = { .layout = true, .place = place, .tag = tag };
    struct memory m = { .repo = { .ops = &ops, .ref = ref } };
    struct ml_err err = ML_ERR_INIT;
    struct ml_image image;
    const char *arch;
    char *platform;

    if (!size)
        return 0;
    arch = archs[data[0] % 4];
    platform = ml_format("linux/%s", arch);
    m.p = data + 1;
    m.n = size - 1;
    if (ml_image_load(&m.repo, &ref, platform, false, &image, &err) == 0) {
        require(m.asked.s[0]);
        first_of(&m, "linux", arch);
        ml_image_release(&image);
    } else {
        require(err.code != 0);
    }
    free(platform);
    return 0;
}
