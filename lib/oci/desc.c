/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oci/desc.h"

#include <stdlib.h>
#include <string.h>

void ml_desc_release(struct ml_desc *d)
{
    free(d->media_type);
    memset(d, 0, sizeof *d);
}

bool ml_desc_parse(const cJSON *v, struct ml_desc *out)
{
    const char *type = ml_json_str(v, "mediaType"), *digest = ml_json_str(v, "digest");
    int64_t size;

    *out = (struct ml_desc){ 0 };
    if (!digest || !ml_json_int(v, "size", &size) || size < 0 || ml_digest_parse(digest, &out->digest, NULL) < 0)
        return false;
    out->media_type = type ? ml_strdup(type) : NULL;
    out->size = (uint64_t)size;
    return true;
}

cJSON *ml_desc_json(const struct ml_desc *d)
{
    cJSON *v = cJSON_CreateObject();

    ml_json_set_str(v, "mediaType", d->media_type);
    ml_json_set_str(v, "digest", d->digest.s);
    ml_json_set_int(v, "size", (int64_t)d->size);
    return v;
}

void ml_desc_members(const struct ml_desc *d, struct ml_buf *out)
{
    ml_buf_adds(out, "\"mediaType\":");
    ml_json_quote(d->media_type, strlen(d->media_type), out);
    ml_buf_addf(out, ",\"digest\":\"%s\",\"size\":%llu", d->digest.s, (unsigned long long)d->size);
}
