/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The API's address and token. */
#include "gitlab/gitlab.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/notice.h"
#include "gitlab/gitlab_impl.h"

#define TOKEN_MAX 4096

/* ML_GITLAB_TOKEN's value, or what the file holds that it names. */
static int read_token(char **out, struct ml_err *err)
{
    const char *v = ml_env("ML_GITLAB_TOKEN");
    if (!v)
        return 1;
    struct ml_buf text;
    ml_buf_init(&text, TOKEN_MAX);
    if (*v != '/')
        ml_buf_adds(&text, v);
    else if (ml_file_read(v, &text, err))
        return ml_err_wrap(err, "the file that ML_GITLAB_TOKEN names");
    char *token = ml_buf_detach(&text);
    size_t n = strlen(token);
    while (n && strchr(" \t\r\n", token[n - 1]))
        token[--n] = 0;
    for (size_t i = 0; i < n; i++) {
        if (token[i] <= ' ' || token[i] == 0x7f) {
            free(token);
            return ml_err_set(err, ML_USAGE, "ML_GITLAB_TOKEN is no token: it holds blanks or control characters");
        }
    }
    if (n == 0) {
        free(token);
        return 1;
    }
    *out = token;
    return 0;
}

int ml_gitlab_open(
    struct ml_gitlab *g, bool reading, void (*log)(void *ctx, const char *line), void *ctx, struct ml_err *err)
{
    *g = (struct ml_gitlab)ML_GITLAB_INIT;
    char *token = NULL;
    int rc = read_token(&token, err);
    if (rc < 0)
        return -1;
    const char *api = ml_env("CI_API_V4_URL"), *job = ml_env("CI_JOB_TOKEN");
    if (rc && reading && job) {
        g->job_token = true;
        token = ml_strdup(job);
    } else if (rc) {
        ml_err_set(
            err, ML_REFUSED, reading ? "neither ML_GITLAB_TOKEN nor CI_JOB_TOKEN is set" : "ML_GITLAB_TOKEN isn't set");
        return 1;
    }
    if (!api) {
        free(token);
        ml_err_set(err, ML_REFUSED, "CI_API_V4_URL isn't set");
        return 1;
    }
    struct ml_http_conf conf = { .log = log, .log_ctx = ctx, .warn = ml_notice };
    g->credential = ml_format("%s: %s", g->job_token ? "JOB-TOKEN" : "PRIVATE-TOKEN", token);
    free(token);
    g->api = ml_strdup(api);
    for (size_t n = strlen(g->api); n && g->api[n - 1] == '/'; n--)
        g->api[n - 1] = 0;
    if (ml_http_new(&conf, &g->http, err)) {
        ml_gitlab_close(g);
        return -1;
    }
    return 0;
}

void ml_gitlab_close(struct ml_gitlab *g)
{
    ml_http_free(g->http);
    free(g->api);
    free(g->credential);
    *g = (struct ml_gitlab)ML_GITLAB_INIT;
}

/* 404 is also GitLab's way of saying no to those who may not even know. */
static int not_seen(const struct ml_http_req *req, struct ml_err *err)
{
    char why[sizeof(err->msg)];
    memcpy(why, err->msg, sizeof(why));
    return ml_err_set(
        err, ML_REFUSED, "%.600s; it isn't there, or the token may not see it: this needs %s", why, req->needs);
}

int gitlab_call(
    struct ml_gitlab *g, struct ml_http_req *req, int status, struct ml_http_res *res, cJSON **out, struct ml_err *err)
{
    req->credential = g->credential;
    req->what = "GitLab";
    req->no_redirect = true; /* a project that moved: its number doesn't change, so this is a wrong address */
    if (!req->needs)
        req->needs =
            g->job_token
                ? "a project whose job token permissions let this one read, or an access token in ML_GITLAB_TOKEN"
                : "an access token in ML_GITLAB_TOKEN with scope api and role Reporter or higher";
    g->status = 0;
    if (ml_http_send(g->http, req, res, err))
        return -1;
    g->status = res->status;
    if (ml_http_expect(req, res, status, err) || ml_http_api(req, res, err))
        return res->status == 404 ? not_seen(req, err) : -1;
    *out = ml_json_parse(ml_buf_str(&res->body), res->body.len, "GitLab's answer", err);
    if (!*out)
        err->code = ML_REFUSED;
    return *out ? 0 : -1;
}

int ml_gitlab_user(struct ml_gitlab *g, int64_t *id, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *url = ml_format("%s/user", g->api);
    cJSON *user = NULL;
    req.url = url;
    int rc = gitlab_call(g, &req, 200, &res, &user, err);
    if (!rc && !ml_json_int(user, "id", id))
        rc = ml_err_set(err, ML_REFUSED, "GitLab doesn't say whose token this is");
    cJSON_Delete(user);
    ml_http_res_release(&res);
    free(url);
    return rc;
}
