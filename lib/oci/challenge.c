/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WWW-Authenticate. */
#include "oci/challenge.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http.h"

#define VALUE_MAX ((size_t)4 << 10)
#define BLANK     " \t"
#define TOKEN     "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

void ml_challenge_release(struct ml_challenge *c)
{
    free(c->scheme);
    free(c->realm);
    free(c->service);
    free(c->scope);
    memset(c, 0, sizeof *c);
}

static void keep(struct ml_challenge *c, const char *name, size_t n, char *v)
{
    char **to = n == 5 && !strncasecmp(name, "realm", n)     ? &c->realm
                : n == 7 && !strncasecmp(name, "service", n) ? &c->service
                : n == 5 && !strncasecmp(name, "scope", n)   ? &c->scope
                                                             : NULL;

    if (to && !*to)
        *to = v;
    else
        free(v);
}

/* The parameters at *s, up to a word that no '=' follows: the next challenge's scheme. */
static void parameters(const char **s, struct ml_challenge *c)
{
    for (;;) {
        const char *p = *s + strspn(*s, "," BLANK), *name = p;
        size_t n = strspn(p, TOKEN);

        if (!*p) {
            *s = p;
            return;
        }
        p += n;
        p += strspn(p, BLANK);
        if (*p == '=') {
            p += 1 + strspn(p + 1, BLANK);
            keep(c, name, n,
                ml_http_word(&p, "," BLANK, VALUE_MAX)); /* more than a token may hold: a bare URL is seen */
        } else if (n) {
            *s = name;
            return;
        } else if (*p == '"') {
            free(ml_http_word(&p, "", VALUE_MAX)); /* what it holds isn't ours to read */
        } else {
            p++;
        }
        *s = p;
    }
}

int ml_challenge_next(const char **s, struct ml_challenge *out)
{
    size_t n;

    memset(out, 0, sizeof *out);
    parameters(s, out); /* of no challenge */
    ml_challenge_release(out);
    n = strspn(*s, TOKEN);
    if (!n)
        return 1;
    out->scheme = ml_strndup(*s, n);
    *s += n;
    parameters(s, out);
    return 0;
}
