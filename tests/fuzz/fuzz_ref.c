/* SPDX-License-Identifier: GPL-3.0-or-later */
/* References: what is taken comes out as it was, and can't leave its place in a URL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = ml_strndup((const char *)data, size), *once, *twice;
    struct ml_err err = ML_ERR_INIT;
    struct ml_ref r, again;

    if (ml_ref_parse(s, &r, &err)) {
        require(err.code == ML_USAGE && !strpbrk(err.msg, "\r\n\x1b"));
        free(s);
        return 0;
    }
    once = ml_ref_format(&r, ML_REF_ALL);
    require(!ml_ref_parse(once, &again, NULL));
    twice = ml_ref_format(&again, ML_REF_ALL);
    require(!strcmp(once, twice) && ml_ref_same_repo(&r, &again));
    if (!r.layout) {
        require(!strpbrk(r.path, "?#%@: \\") && !strstr(r.path, "..") && !strstr(r.path, "//") && *r.path != '/');
        require(!strpbrk(r.place, "/?#@ \\"));
    }
    if (r.archive) /* there it may be a whole name */
        require(!r.tag || (*r.tag && !strpbrk(r.tag, "@ \\\"'") && r.layout));
    else
        require(!r.tag || ml_tag_valid(r.tag));
    ml_ref_release(&again);
    ml_ref_release(&r);
    free(once);
    free(twice);
    free(s);
    return 0;
}
