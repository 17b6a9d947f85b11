/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Link headers, one a line: whatever they say, the next page is at the origin that answered; and a link of ours among
 * them that is written by the book (RFC 8288) is found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char base[] = "https://registry.example:5000/v2/a/b/tags/list?n=2";

static void require(bool ok)
{
    if (!ok)
        abort();
}

static char *next_of(const struct ml_http_res *res)
{
    char *next = ml_http_next(res);
    struct ml_url u;

    if (!next)
        return NULL;
    require(ml_url_same_origin(next, base) && !strncasecmp(next, "https://registry.example:5000/", 30));
    for (const char *p = next; *p; p++)
        require((unsigned char)*p > ' ' && *p != 0x7f);
    require(!ml_url_parse(next, &u, NULL));
    require(!strcmp(u.host, "registry.example") && u.port == 5000 && *u.target == '/');
    ml_url_release(&u);
    return next;
}

/* Before all others stands one of ours, to a page whose name is made of the input's letters and digits. */
static void ours(struct ml_http_res *res, const char *s)
{
    struct ml_buf page = ML_BUF_INIT;
    char *line, *next, *want;

    for (; *s && page.len < 100; s++)
        if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z'))
            ml_buf_addc(&page, *s);
    line = ml_format("link: </v2/x?last=%s&n=2>; title=\"a, b\"; rel=\"next\"", ml_buf_str(&page));
    want = ml_format("https://registry.example:5000/v2/x?last=%s&n=2", ml_buf_str(&page));
    ml_strs_release(&res->headers);
    ml_strs_add(&res->headers, "content-type: application/json");
    ml_strs_add(&res->headers, line);
    next = next_of(res);
    require(next && !strcmp(next, want));
    free(next);
    free(want);
    free(line);
    ml_buf_release(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *s = ml_strndup((const char *)data, size), *rest = s, *line;

    res.url = ml_strdup(base);
    while ((line = strsep(&rest, "\n"))) {
        char *header = ml_format("link: %s", line);

        ml_strs_add(&res.headers, header);
        free(header);
    }
    free(next_of(&res));
    free(s);
    s = ml_strndup((const char *)data, size);
    ours(&res, s);
    free(s);
    ml_http_res_release(&res);
    return 0;
}
