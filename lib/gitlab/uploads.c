/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files for Markdown: POST /projects/:id/uploads. */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "gitlab/gitlab_impl.h"
#include "net/url.h"

/* The form of RFC 7578 with one file; its boundary is a digest of the file, which so can't hold it. */
static char *form(const char *name, const char *type, const void *bytes, size_t len, struct ml_buf *out)
{
    struct ml_digest d;

    ml_digest_bytes(bytes, len, &d);
    ml_buf_addf(out,
        "--mlci-%.40s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
        ML_DIGEST_HEX(&d), name, type);
    ml_buf_add(out, bytes, len);
    ml_buf_addf(out, "\r\n--mlci-%.40s--\r\n", ML_DIGEST_HEX(&d));
    return ml_format("Content-Type: multipart/form-data; boundary=mlci-%.40s", ML_DIGEST_HEX(&d));
}

/* The secret of "/uploads/<secret>/<name>"; anything else is no answer that could go into a note. */
static int read_secret(const cJSON *answer, const char *name, char *secret, struct ml_err *err)
{
    static const char start[] = "/uploads/";
    const char *url = ml_json_str(answer, "url");

    if (!url || strncmp(url, start, sizeof start - 1) != 0 ||
        strspn(url + sizeof start - 1, "0123456789abcdef") != ML_UPLOAD_SECRET ||
        url[sizeof start - 1 + ML_UPLOAD_SECRET] != '/' || strcmp(url + sizeof start + ML_UPLOAD_SECRET, name) != 0)
        return ml_err_set(err, ML_REFUSED, "GitLab doesn't say where it put the uploaded file '%s'", name);
    memcpy(secret, url + sizeof start - 1, ML_UPLOAD_SECRET);
    secret[ML_UPLOAD_SECRET] = 0;
    return 0;
}

int ml_upload(struct ml_gitlab *g, const char *project, const char *name, const char *type, const void *bytes,
    size_t len, char secret[ML_UPLOAD_SECRET + 1], struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_strs headers = { 0 };
    struct ml_buf url = ML_BUF_INIT, body = ML_BUF_INIT;
    char *header = form(name, type, bytes, len, &body);
    cJSON *answer = NULL;

    ml_buf_addf(&url, "%s/projects/", g->api);
    ml_url_escape(&url, project, NULL);
    ml_buf_adds(&url, "/uploads");
    ml_strs_add(&headers, header);
    req.method = "POST";
    req.url = ml_buf_str(&url);
    req.headers = &headers;
    req.body = body.data;
    req.body_len = body.len;
    req.once = true;
    int rc = gitlab_call(g, &req, 201, &res, &answer, err);
    rc = rc ? rc : read_secret(answer, name, secret, err);
    cJSON_Delete(answer);
    ml_http_res_release(&res);
    ml_strs_release(&headers);
    ml_buf_release(&url);
    ml_buf_release(&body);
    free(header);
    return rc;
}
