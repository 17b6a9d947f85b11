/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs of a registry: asking for them, storing, mounting. */
#include <stdlib.h>
#include <string.h>

#include "net/url.h"
#include "oci/registry.h"

static struct ml_registry *self(struct ml_repo *r)
{
    return (struct ml_registry *)r;
}

int ml_registry_blob_has(struct ml_repo *repo, const struct ml_digest *d, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *url = ml_format("%s/blobs/%s", r->root, d->s);
    int rv;

    req.method = "HEAD";
    req.url = url;
    rv = ml_registry_send(r, &req, NULL, &res, err);
    if (!rv)
        rv = ml_http_api(&req, &res, err);
    if (!rv && res.status != 200)
        rv = res.status == 404 ? 1 : ml_registry_fail(r, &req, &res, err);
    if (rv == 1)
        r->missing = *d;
    ml_http_res_release(&res);
    free(url);
    return rv;
}

/* ---- storing ---- */

/* The Location of a 202. It may be relative, and its query is the registry's. It stays with the registry's host; a
 * registry behind a proxy that ends TLS may not know that it is https. */
static char *session_url(struct ml_registry *r, const struct ml_http_res *res, struct ml_err *err)
{
    const char *where = ml_http_header(res, "location", 0);
    char *url = where ? ml_url_resolve(res->url, where, err) : NULL, *public, *secure;

    if (!where)
        ml_err_set(err, ML_REFUSED, "the registry starts an upload but doesn't say where");
    if (!url)
        return NULL;
    if (!strncmp(url, "http://", 7) && !strncmp(r->root, "https://", 8)) {
        secure = ml_format("https://%s", url + 7);
        if (ml_url_same_origin(secure, r->root)) {
            free(url);
            return secure;
        }
        free(secure);
    }
    if (ml_url_same_origin(url, r->root))
        return url;
    public = ml_url_public(url);
    ml_err_set(
        err, ML_REFUSED, "the registry wants an upload to go to another host, '%s': nothing was sent there", public);
    free(public);
    free(url);
    return NULL;
}

/* Opens an upload session (or mounts, when `query` says so). 0: *location is where the bytes go, or NULL when the blob
 * is there already. */
static int start_upload(struct ml_registry *r, const char *query, const char *scope, char **location,
    struct ml_http_res *res, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    char *url = ml_format("%s/blobs/uploads/%s", r->root, query);
    int rv;

    *location = NULL;
    req.method = "POST";
    req.url = url;
    rv = ml_registry_send(r, &req, scope, res, err);
    if (!rv && res->status == 202) {
        *location = session_url(r, res, err);
        rv = *location ? 0 : -1;
    } else if (!rv && res->status != 201) {
        rv = ml_registry_fail(r, &req, res, err);
    }
    free(url);
    return rv;
}

static void cancel_upload(struct ml_registry *r, const char *location)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;

    req.method = "DELETE";
    req.url = location;
    req.raw = true;
    ml_registry_send(r, &req, NULL, &res, NULL); /* a courtesy: sessions time out by themselves */
    ml_http_res_release(&res);
}

/* The source, hashed on its way: bytes that aren't the blob's don't all leave. */
struct checked {
    const struct ml_source *src;
    const struct ml_desc *want;
    struct ml_hasher *hasher;
    uint64_t hashed;
};

static int64_t checked_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct checked *c = ctx;
    struct ml_digest d;
    int64_t got = c->src->read(c->src->ctx, off, p, n, err);

    if (got <= 0)
        return got;
    if (off == 0) {
        ml_hasher_reset(c->hasher);
        c->hashed = 0;
    }
    if (off != c->hashed)
        return got;
    ml_hasher_add(c->hasher, p, (size_t)got);
    c->hashed += (uint64_t)got;
    if (c->hashed < c->want->size)
        return got;
    ml_hasher_end(c->hasher, &d);
    if (!ml_digest_eq(&d, &c->want->digest))
        return ml_err_set(err, ML_INTEGRITY,
            "the data isn't blob %s: its digest is %s (did it change while it was read?)", c->want->digest.s, d.s);
    return got;
}

/* Sends the whole blob in one request, once: a session doesn't survive a broken one. */
static int send_whole(
    struct ml_registry *r, const char *location, struct checked *c, struct ml_http_res *res, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_source src = { checked_read, c };
    struct ml_strs headers = { 0 };
    struct ml_buf url = ML_BUF_INIT;
    const char *said;
    int rv;

    ml_buf_adds(&url, location);
    ml_url_query(&url, "digest", c->want->digest.s);
    ml_strs_add(&headers, "Content-Type: application/octet-stream");
    req.method = "PUT";
    req.url = url.data;
    req.headers = &headers;
    req.source = &src;
    req.source_len = c->want->size;
    req.raw = true;
    rv = ml_registry_send(r, &req, NULL, res, err);
    if (!rv && res->status != 201) {
        rv = ml_registry_fail(r, &req, res, err);
        if (strstr(ml_buf_str(&res->body), "DIGEST_INVALID") && err)
            err->code = ML_INTEGRITY;
    }
    said = ml_http_header(res, "docker-content-digest", 0);
    if (!rv && said && ml_digest_valid(said) && strcmp(said, c->want->digest.s))
        rv = ml_err_set(err, ML_INTEGRITY, "blob %s was stored as %s", c->want->digest.s, said);
    ml_strs_release(&headers);
    ml_buf_release(&url);
    return rv;
}

static int upload(struct ml_registry *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    struct checked c = { .src = src, .want = d, .hasher = ml_hasher_new() };
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err why = ML_ERR_INIT;
    char *location = NULL;
    double waited = 0;
    int rv = -1;

    for (int n = 0;; n++) {
        bool lost;

        free(location);
        rv = start_upload(r, "", NULL, &location, &res, &why);
        if (rv || !location)
            break;
        rv = send_whole(r, location, &c, &res, &why);
        lost = rv && (why.code == ML_UNREACHABLE || (why.code == ML_REFUSED && res.status == 404));
        if (!lost || !ml_http_pause(r->http, &res, n, &waited))
            break;
    }
    if (rv && err)
        *err = why;
    free(location);
    ml_hasher_free(c.hasher);
    ml_http_res_release(&res);
    return rv;
}

int ml_registry_blob_put(struct ml_repo *repo, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    bool missing = ml_digest_eq(&self(repo)->missing, &d->digest);
    int rv = missing ? 1 : ml_registry_blob_has(repo, &d->digest, err);

    self(repo)->missing.s[0] = 0;
    return rv == 1 ? upload(self(repo), d, src, err) : rv;
}

/* ---- mounting ---- */

/* Registries refuse to mount for reasons of their own (a token for one repository only, a repository that isn't
 * visible), so a "no" is never an error here: the bytes can be sent. */
int ml_registry_blob_mount(
    struct ml_repo *repo, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err why = ML_ERR_INIT;
    struct ml_buf query = ML_BUF_INIT;
    char *scope, *location = NULL;
    int rv;

    if (from->ref.layout || strcmp(from->ref.place, r->base.ref.place) || ml_strs_has(&r->unmountable, from->ref.path))
        return 1;
    if (!strcmp(from->ref.path, r->base.ref.path))
        return ml_registry_blob_has(repo, d, err);
    ml_url_query(&query, "mount", d->s);
    ml_url_query(&query, "from", from->ref.path);
    scope = ml_format("%s repository:%s:pull", r->scope, from->ref.path);
    rv = start_upload(r, query.data, scope, &location, &res, &why);
    if (rv && why.code == ML_UNREACHABLE && !res.status) {
        if (err)
            *err = why;
    } else if (rv) {
        ml_strs_add(&r->unmountable, from->ref.path);
        rv = 1;
    } else if (location) {
        cancel_upload(r, location);
        rv = 1;
    }
    free(location);
    free(scope);
    ml_buf_release(&query);
    ml_http_res_release(&res);
    return rv;
}
