/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notes of merge requests. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "gitlab/gitlab_impl.h"
#include "net/url.h"

#define PAGE     100
#define PAGES    1000                /* GitLab keeps 5,000 notes at most */
#define PAGE_MAX ((size_t)256 << 20) /* 100 notes of a million characters each, as JSON */

static char *notes_url(const struct ml_gitlab *g, const char *project, const char *merge_request)
{
    struct ml_buf url = ML_BUF_INIT;
    ml_buf_addf(&url, "%s/projects/", g->api);
    ml_url_escape(&url, project, NULL);
    ml_buf_adds(&url, "/merge_requests/");
    ml_url_escape(&url, merge_request, NULL);
    ml_buf_adds(&url, "/notes");
    return ml_buf_detach(&url);
}

static char *page_url(const char *base, int64_t page)
{
    return ml_format("%s?per_page=%d&page=%lld&order_by=created_at&sort=desc", base, PAGE, (long long)page);
}

/* The next page's address, or NULL at the end. GitLab takes notes that the reader may not see out of a page, so its
 * length says something only where a proxy has eaten the headers. */
static char *next_page(const struct ml_http_res *res, const char *base, int64_t *page, int got)
{
    char *next = ml_http_next(res);
    const char *header = ml_http_header(res, "x-next-page", 0);
    int64_t n;
    if (next) {
        ++*page;
        return next;
    }
    if (header && ml_int_parse(header, &n) && n > *page) {
        *page = n;
        return page_url(base, n);
    }
    if (header || ml_http_header(res, "link", 0) || got < PAGE)
        return NULL;
    return page_url(base, ++*page);
}

static int visit_page(const cJSON *page, int (*visit)(void *, const struct ml_note *), void *ctx)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, page)
    {
        struct ml_note note = { .system = ml_json_true(item, "system"), .body = ml_json_str(item, "body") };
        ml_json_int(ml_json_get(item, "author"), "id", &note.author);
        if (!note.body || !ml_json_int(item, "id", &note.id))
            continue;
        int rc = visit(ctx, &note);
        if (rc)
            return rc;
    }
    return 0;
}

int ml_notes_each(struct ml_gitlab *g, const char *project, const char *merge_request,
    int (*visit)(void *ctx, const struct ml_note *note), void *ctx, struct ml_err *err)
{
    char *base = notes_url(g, project, merge_request), *url = page_url(base, 1);
    int64_t page = 1;
    int rc = 0;
    for (int i = 0; url && rc == 0; i++) {
        struct ml_http_req req = ML_HTTP_REQ_INIT;
        struct ml_http_res res = ML_HTTP_RES_INIT;
        cJSON *json = NULL;
        req.url = url;
        req.max = PAGE_MAX;
        rc = gitlab_call(g, &req, 200, &res, &json, err);
        if (!rc && (!cJSON_IsArray(json) || i == PAGES))
            rc = ml_err_set(err, ML_REFUSED,
                i == PAGES ? "GitLab's list of notes doesn't end" : "GitLab's list of notes is no list");
        char *next = NULL;
        if (!rc)
            rc = visit_page(json, visit, ctx);
        if (!rc)
            next = next_page(&res, base, &page, cJSON_GetArraySize(json));
        free(url);
        url = next;
        cJSON_Delete(json);
        ml_http_res_release(&res);
    }
    free(url);
    free(base);
    return rc;
}

static int write_note(
    struct ml_gitlab *g, const char *method, const char *url, int status, const char *body, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_strs headers = { 0 };
    struct ml_buf json = ML_BUF_INIT;
    cJSON *answer = NULL;
    ml_strs_add(&headers, "Content-Type: application/json");
    ml_buf_adds(&json, "{\"body\":");
    ml_json_quote(body, strlen(body), &json);
    ml_buf_adds(&json, "}");
    req.method = method;
    req.url = url;
    req.headers = &headers;
    req.body = json.data;
    req.body_len = json.len;
    req.once = status == 201;
    int rc = gitlab_call(g, &req, status, &res, &answer, err);
    if (rc && g->status == 202)
        ml_err_set(err, ML_REFUSED, "GitLab took the note for quick actions and did not keep it");
    cJSON_Delete(answer);
    ml_http_res_release(&res);
    ml_strs_release(&headers);
    ml_buf_release(&json);
    return rc;
}

int ml_notes_create(
    struct ml_gitlab *g, const char *project, const char *merge_request, const char *body, struct ml_err *err)
{
    char *url = notes_url(g, project, merge_request);
    int rc = write_note(g, "POST", url, 201, body, err);
    free(url);
    return rc;
}

int ml_notes_update(struct ml_gitlab *g, const char *project, const char *merge_request, int64_t id, const char *body,
    struct ml_err *err)
{
    char *base = notes_url(g, project, merge_request), *url = ml_format("%s/%lld", base, (long long)id);
    int rc = write_note(g, "PUT", url, 200, body, err);
    free(url);
    free(base);
    return rc;
}
