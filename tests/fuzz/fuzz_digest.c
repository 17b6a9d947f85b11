/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests: what is taken is "sha256:" and 64 lower-case digits and nothing else, wherever it stands; a reference that
 * ends in it names it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "oci/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* The grammar once more, said in another way: image-spec v1.1, descriptor.md, "Digests" and "SHA-256". */
static bool is_digest(const char *s)
{
    const char *p = "sha256:";

    while (*p)
        if (*s++ != *p++)
            return false;
    for (int i = 0; i < 64; i++, s++)
        if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f')))
            return false;
    return !*s;
}

static void in_a_reference(const char *s, bool good)
{
    char *text = ml_format("registry.example/a/b:t@%s", s);
    struct ml_ref r;

    if (!ml_ref_parse(text, &r, NULL)) {
        require(good && !strcmp(r.digest.s, s) && !strcmp(r.tag, "t") && !strcmp(r.path, "a/b"));
        ml_ref_release(&r);
    } else {
        require(!good);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = ml_strndup((const char *)data, size);
    struct ml_digest d = { "" }, of;
    struct ml_err err = ML_ERR_INIT;
    bool good = is_digest(s);

    require(ml_digest_valid(s) == good);
    if (ml_digest_parse(s, &d, &err) == 0)
        require(good && !strcmp(d.s, s) && !strcmp(ML_DIGEST_HEX(&d), s + 7));
    else
        require(!good && err.code == ML_LOCAL && !d.s[0]);
    in_a_reference(s, good);
    ml_digest_bytes(data, size, &of);
    require(is_digest(of.s) && ml_digest_valid(of.s));
    free(s);
    return 0;
}
