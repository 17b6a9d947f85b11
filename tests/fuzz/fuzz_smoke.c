/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Case files, and comparing: an accepted case matches what it expects, and a difference names a place. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/smoke.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void compare(const struct ml_smoke_case *a, const struct ml_smoke_case *b)
{
    struct ml_smoke_diff diff = { 0 };

    if (ml_smoke_match(a, b->json, &diff))
        require(diff.at && (diff.expected || diff.seen) && strlen(diff.at) < 210);
    require(a != b || !diff.at);
    ml_smoke_diff_release(&diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_smoke_cases cases;
    struct ml_err err = ML_ERR_INIT;
    char *s = ml_smoke_excerpt((const char *)data, size, 50);

    require(strlen(s) <= 50 + 4 + 3 && ml_utf8_check(s, strlen(s)) == strlen(s));
    free(s);
    if (ml_smoke_parse((const char *)data, size, "fuzz", &cases, &err) < 0) {
        require(err.code == ML_LOCAL);
        return 0;
    }
    for (size_t i = 0; i < cases.n && i < 16; i++)
        for (size_t k = 0; k < cases.n && k < 16; k++)
            if (cases.v[i].json && cases.v[k].json)
                compare(&cases.v[i], &cases.v[k]);
    ml_smoke_cases_release(&cases);
    return 0;
}
