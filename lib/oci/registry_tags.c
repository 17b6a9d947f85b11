/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tags of a repository, page by page (distribution-spec v1.1.1, "Listing tags"). */
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "net/url.h"
#include "oci/registry.h"

#define TAGS_MAX  ((size_t)64 << 20) /* one page; old registries send all tags at once */
#define TAGS_PAGE "1000"

struct tag_list {
    const char *prefix;
    struct ml_strs *out;
    struct ml_buf last; /* the newest tag seen */
    bool sorted;        /* all of them so far came in byte order */
    bool done;
};

/* Registries list tags in some order, most in byte order: then nothing follows behind the first that is beyond the
 * prefix. A database that sorts as people do may mix others in, so the order is watched. */
static void take_tags(struct tag_list *l, const cJSON *page)
{
    size_t n = strlen(l->prefix);
    const cJSON *tag;

    cJSON_ArrayForEach(tag, ml_json_get(page, "tags"))
    {
        const char *s = cJSON_IsString(tag) ? tag->valuestring : NULL;

        if (!s || !ml_tag_valid(s))
            continue;
        if (l->last.len && strcmp(l->last.data, s) >= 0)
            l->sorted = false;
        ml_buf_reset(&l->last);
        ml_buf_adds(&l->last, s);
        if (!strncmp(s, l->prefix, n))
            ml_strs_add(l->out, s);
        else if (strncmp(s, l->prefix, n) > 0 && l->sorted)
            l->done = true;
    }
}

static int one_page(struct ml_registry *r, struct tag_list *l, char **url, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    cJSON *page = NULL;
    char *next = NULL;
    int rv;

    req.url = *url;
    req.max = TAGS_MAX;
    rv = ml_registry_send(r, &req, NULL, &res, err);
    if (!rv && (res.status == 200 || res.status == 404))
        rv = ml_http_api(&req, &res, err);
    if (rv || res.status == 404)
        goto out;
    if (res.status != 200) {
        rv = ml_registry_fail(r, &req, &res, err);
        goto out;
    }
    page = ml_json_parse(ml_buf_str(&res.body), res.body.len, "the registry's list of tags", err);
    if (!page || !cJSON_IsObject(page)) {
        rv = ml_err_set(err, ML_REFUSED, "the registry's list of tags isn't one");
        goto out;
    }
    take_tags(l, page);
    next = l->done ? NULL : ml_http_next(&res);
    if (next && !strcmp(next, *url)) {
        free(next);
        next = NULL;
    }
out:
    cJSON_Delete(page);
    ml_http_res_release(&res);
    free(*url);
    *url = next;
    return rv;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct ml_strs *l)
{
    size_t kept = 0;

    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, compare);
    for (size_t i = 0; i < l->n; i++) {
        if (kept && !strcmp(l->v[kept - 1], l->v[i]))
            free(l->v[i]);
        else
            l->v[kept++] = l->v[i];
    }
    l->n = kept;
}

int ml_registry_tags(struct ml_repo *repo, const char *prefix, struct ml_strs *out, struct ml_err *err)
{
    struct ml_registry *r = (struct ml_registry *)repo;
    struct tag_list l = { .prefix = prefix, .out = out, .last = ML_BUF_INIT, .sorted = true };
    struct ml_buf first = ML_BUF_INIT;
    char *url;
    int rv = 0;

    memset(out, 0, sizeof *out);
    ml_buf_addf(&first, "%s/tags/list?n=" TAGS_PAGE, r->root);
    if (strlen(prefix) > 1) { /* `last` is exclusive: one letter less, and the prefix itself is still behind it */
        char *last = ml_strndup(prefix, strlen(prefix) - 1);

        ml_url_query(&first, "last", last);
        free(last);
    }
    url = ml_buf_detach(&first);
    for (int pages = 0; url && !rv; pages++) {
        if (pages == 10000)
            rv = ml_err_set(err, ML_REFUSED, "the registry's list of tags has no end");
        else
            rv = one_page(r, &l, &url, err);
    }
    free(url);
    ml_buf_release(&l.last);
    if (rv)
        ml_strs_release(out);
    else
        sort_unique(out);
    return rv;
}
