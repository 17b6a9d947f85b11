/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WWW-Authenticate: parameters of any bytes are read without harm, and those that are quoted as RFC 9110 (section
 * 11.6.1) has it come out as they went in, whatever they hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "realm", "service", "scope", "error" };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void any(const char *s)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *v = ml_auth_parameter(s, names[i]);

        require(!v || strlen(v) <= strlen(s));
        require(!v || strcasestr(s, names[i]));
        free(v);
    }
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

/* The text cut into as many parts as there are parameters. */
static void well_formed(const char *s, size_t n)
{
    const size_t count = sizeof names / sizeof *names, part = n / count;
    struct ml_buf header = ML_BUF_INIT;

    for (size_t i = 0; i < count; i++) {
        ml_buf_addf(&header, "%s%s%s", i ? (i & 1 ? "," : " , ") : "", names[i], i == 2 ? " = " : "=");
        quote(&header, s + i * part, part);
    }
    for (size_t i = 0; i < count; i++) {
        char *v = ml_auth_parameter(header.data, names[i]);

        require(v && strlen(v) == part && !memcmp(v, s + i * part, part));
        free(v);
    }
    free(ml_auth_parameter(header.data, "realm2"));
    require(!ml_auth_parameter(header.data, "real"));
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
