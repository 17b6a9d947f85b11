/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server may say of where to go on: URLs, Location and Link. Whatever it is, a credential goes to its own origin
 * only, and nothing secret or unprintable is shown. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_url(const char *s)
{
    char *public = ml_url_public(s), *authority = strstr(public, "://");
    struct ml_url u;

    for (const char *p = public; *p; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
    if (authority && (!strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8)))
        require(!memchr(authority + 3, '@', strcspn(authority + 3, "/")));
    if (!ml_url_parse(s, &u, NULL)) {
        require(*u.host && u.port > 0 && u.port < 65536 && *u.target == '/');
        require(!strpbrk(u.host, "@/?# \\") && !strpbrk(u.target, " #\\\r\n"));
        require(ml_url_same_origin(s, s));
        ml_url_release(&u);
    }
    free(public);
}

static void check_next(const char *s)
{
    static const char base[] = "https://registry.example:5000/v2/a/b/tags/list?n=2";
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *line = ml_format("link: %s", s), *next, *resolved = ml_url_resolve(base, s, NULL);

    ml_strs_add(&res.headers, line);
    res.url = ml_strdup(base);
    next = ml_http_next(&res);
    require(!next || ml_url_same_origin(next, base));
    if (resolved)
        check_url(resolved);
    if (resolved && ml_url_same_origin(resolved, base))
        require(!strncasecmp(resolved, "https://registry.example:5000", 29));
    free(next);
    free(resolved);
    free(line);
    ml_http_res_release(&res);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = ml_strndup((const char *)data, size);

    check_url(s);
    check_next(s);
    free(s);
    return 0;
}
