/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WWW-Authenticate: challenges of any bytes are read without harm and to the end, and those that are quoted as RFC 9110
 * (section 11.6.1) has it come out as they went in, whatever they hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void any(const char *s)
{
    const char *p = s, *before = s;
    struct ml_challenge c;

    while (!ml_challenge_next(&p, &c)) {
        const char *values[] = { c.realm, c.service, c.scope };

        require(p > before && p <= s + strlen(s));
        require(*c.scheme && strstr(before, c.scheme));
        for (int i = 0; i < 3; i++)
            require(!values[i] || strlen(values[i]) <= (size_t)(p - before));
        ml_challenge_release(&c);
        before = p;
    }
    require(!*p);
}

static void quote(struct ml_buf *out, const char *s, size_t n)
{
    ml_buf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            ml_buf_addc(out, '\\');
        ml_buf_addc(out, s[i]);
    }
    ml_buf_addc(out, '"');
}

/* Between two others a challenge whose parameters are the text, cut into as many parts. */
static void well_formed(const char *s, size_t n)
{
    static const char *const names[] = { "realm", "service", "scope" };
    const size_t count = sizeof names / sizeof *names, part = n / count;
    struct ml_buf header = ML_BUF_INIT;
    struct ml_challenge c;
    const char *p;

    ml_buf_adds(&header, "Basic realm=\"x\", Bearer ");
    for (size_t i = 0; i < count; i++) {
        ml_buf_addf(&header, "%s%s%s", i ? (i & 1 ? "," : " , ") : "", names[i], i == 2 ? " = " : "=");
        quote(&header, s + i * part, part);
    }
    ml_buf_adds(&header, ", Negotiate");
    p = header.data;
    require(!ml_challenge_next(&p, &c) && !strcmp(c.scheme, "Basic"));
    ml_challenge_release(&c);
    require(!ml_challenge_next(&p, &c) && !strcmp(c.scheme, "Bearer"));
    for (size_t i = 0; i < count; i++) {
        const char *v = i == 0 ? c.realm : i == 1 ? c.service : c.scope;

        require(v && strlen(v) == part && !memcmp(v, s + i * part, part));
    }
    ml_challenge_release(&c);
    require(!ml_challenge_next(&p, &c) && !strcmp(c.scheme, "Negotiate") && !c.realm);
    ml_challenge_release(&c);
    require(ml_challenge_next(&p, &c));
    ml_buf_release(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = ml_strndup((const char *)data, size);

    any(s);
    if (strlen(s) < 4000)
        well_formed(s, strlen(s));
    free(s);
    return 0;
}
