/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a manifest or index says of the content that it names (image-spec v1.1, descriptor.md). */
#ifndef ML_OCI_DESC_H
#define ML_OCI_DESC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/mem.h"
#include "data/json.h"

struct ml_desc {
    char *media_type; /* owned; NULL where unknown */
    struct ml_digest digest;
    uint64_t size; /* bytes */
};

void ml_desc_release(struct ml_desc *d);
/* Reads one, whose media type may be missing. False, with `out` empty: `v` (NULL is fine) has no sha256 digest, no size
 * or a negative one. */
bool ml_desc_parse(const cJSON *v, struct ml_desc *out);
/* As JSON, owned; and its three members alone as text, without braces, so that others may follow. */
cJSON *ml_desc_json(const struct ml_desc *d);
void ml_desc_members(const struct ml_desc *d, struct ml_buf *out);

#endif
