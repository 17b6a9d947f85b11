/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A repository in a registry: requests and manifests. */
#include "oci/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/notice.h"
#include "base/text.h"
#include "data/json.h"
#include "net/url.h"

#define CHUNK       (64 << 20) /* below what proxies on the way let through (Cloudflare: 100 MB) */
#define CHUNK_LEAST 1024

static const char *const manifest_types[] = { ML_MT_MANIFEST, ML_MT_INDEX, ML_MT_DOCKER, ML_MT_DOCKER_LIST };

static struct ml_registry *self(struct ml_repo *r)
{
    return (struct ml_registry *)r;
}

static int connect_first(struct ml_registry *r, struct ml_err *err)
{
    struct ml_http_conf conf = { .log = r->base.log, .log_ctx = r->base.log_ctx, .warn = ml_notice };
    int rv;

    pthread_mutex_lock(&r->lock);
    rv = r->http ? 0 : ml_http_new(&conf, &r->http, err);
    pthread_mutex_unlock(&r->lock);
    return rv;
}

int ml_registry_send(
    struct ml_registry *r, struct ml_http_req *req, const char *scope, struct ml_http_res *res, struct ml_err *err)
{
    const char *header;
    int rv;

    if (!scope)
        scope = r->scope;
    req->what = "the registry";
    if (connect_first(r, err))
        return -1;
    req->credential = NULL; /* it may be a request's next stop */
    if (!ml_url_same_origin(req->url, r->root))
        return ml_http_send(r->http, req, res, err);
    if (ml_auth_header(r->auth, r->http, scope, &header, err))
        return -1;
    req->credential = header;
    if (ml_http_send(r->http, req, res, err))
        return -1;
    /* only the registry itself may ask who we are: where a redirect led to, a challenge would name a realm of its own
     */
    if (res->status != 401 || !ml_url_same_origin(res->url, r->root))
        return 0;
    rv = ml_auth_challenged(r->auth, r->http, scope, res, &header, err);
    if (rv)
        return rv < 0 ? -1 : 0;
    req->credential = header;
    req->from += res->got; /* a download that broke, and found the token too old to go on with */
    req->len -= req->len ? res->got : 0;
    return ml_http_send(r->http, req, res, err);
}

int ml_registry_fail(
    struct ml_registry *r, const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err)
{
    struct ml_http_req named = *req;
    char *needs = ml_format("the scope '%s'; it was asked for by %s (GitLab: role %s)", r->scope, ml_auth_who(r->auth),
        r->write ? "Developer, or a token with read_registry and write_registry; a job's own token writes to its own "
                   "project only"
                 : "Reporter, or a token with read_registry");

    named.needs = needs;
    ml_http_fail(&named, res, err);
    free(needs);
    return -1;
}

/* ---- what it showed ---- */

bool ml_registry_is(struct ml_registry *r, enum ml_registry_trait trait)
{
    bool is;

    pthread_mutex_lock(&r->lock);
    is = r->learnt & trait;
    pthread_mutex_unlock(&r->lock);
    return is;
}

void ml_registry_set(struct ml_registry *r, enum ml_registry_trait trait)
{
    pthread_mutex_lock(&r->lock);
    r->learnt |= trait;
    pthread_mutex_unlock(&r->lock);
}

/* ---- manifests ---- */

static struct ml_strs accept_header(void)
{
    struct ml_strs l = { 0 };
    struct ml_buf b = ML_BUF_INIT;

    ml_buf_adds(&b, "Accept: ");
    for (size_t i = 0; i < sizeof manifest_types / sizeof *manifest_types; i++)
        ml_buf_addf(&b, "%s%s", i ? ", " : "", manifest_types[i]);
    ml_strs_add(&l, b.data);
    ml_buf_release(&b);
    return l;
}

static bool known_type(const char *type)
{
    for (size_t i = 0; i < sizeof manifest_types / sizeof *manifest_types; i++)
        if (!strcmp(type, manifest_types[i]))
            return true;
    return false;
}

static char *content_type(const struct ml_http_res *res)
{
    const char *type = ml_http_header(res, "content-type", 0);

    return type ? ml_strndup(type, strcspn(type, "; \t")) : NULL;
}

/* Asks for a manifest. 1: the registry says that there is none; a web page that says 404 isn't a registry's answer. */
static int ask_manifest(
    struct ml_registry *r, const char *method, const char *what, struct ml_http_res *res, struct ml_err *err)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_strs headers = accept_header();
    char *url = ml_format("%s/manifests/%s", r->root, what);
    int rv;

    req.method = method;
    req.url = url;
    req.headers = &headers;
    req.max = ML_MANIFEST_MAX;
    rv = ml_registry_send(r, &req, NULL, res, err);
    if (!rv && (res->status == 200 || res->status == 404))
        rv = ml_http_api(&req, res, err);
    if (!rv && res->status == 404)
        rv = 1;
    else if (!rv && res->status != 200)
        rv = ml_registry_fail(r, &req, res, err);
    ml_strs_release(&headers);
    free(url);
    return rv;
}

static int check_digest(const char *asked, const struct ml_digest *d, const struct ml_http_res *res, struct ml_err *err)
{
    const char *said = ml_http_header(res, "docker-content-digest", 0);

    if (ml_digest_valid(asked) && strcmp(asked, d->s))
        return ml_err_set(err, ML_INTEGRITY, "the registry's manifest %s has the digest %s", asked, d->s);
    if (said && ml_digest_valid(said) && strcmp(said, d->s))
        return ml_err_set(
            err, ML_INTEGRITY, "the registry says that manifest '%s' is %s, but it sent %s", asked, said, d->s);
    return 0;
}

static int manifest_get(struct ml_repo *repo, const char *what, struct ml_manifest *out, struct ml_err *err)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    int rv = ask_manifest(self(repo), "GET", what, &res, err);

    memset(out, 0, sizeof *out);
    if (rv)
        goto out;
    out->desc.size = res.body.len;
    ml_digest_bytes(ml_buf_str(&res.body), res.body.len, &out->desc.digest);
    rv = check_digest(what, &out->desc.digest, &res, err);
    if (rv)
        goto out;
    out->desc.media_type = content_type(&res);
    if (!out->desc.media_type || !known_type(out->desc.media_type)) {
        cJSON *doc = ml_json_parse(ml_buf_str(&res.body), res.body.len, "manifest", err);
        const char *type = ml_json_str(doc, "mediaType");

        rv = type && known_type(type)
                 ? 0
                 : ml_err_set(err, ML_REFUSED, "what the registry has as '%s' isn't an image's manifest", what);
        free(out->desc.media_type);
        out->desc.media_type = type && !rv ? ml_strdup(type) : NULL;
        cJSON_Delete(doc);
    }
    out->raw = res.body;
    memset(&res.body, 0, sizeof res.body);
out:
    if (rv)
        ml_manifest_release(out);
    ml_http_res_release(&res);
    return rv;
}

static int manifest_head(struct ml_repo *repo, const char *what, struct ml_desc *out, struct ml_err *err)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    const char *digest, *size;
    int64_t n;
    int rv = ask_manifest(self(repo), "HEAD", what, &res, err);

    memset(out, 0, sizeof *out);
    if (rv)
        goto out;
    digest = ml_http_header(&res, "docker-content-digest", 0);
    size = ml_http_header(&res, "content-length", 0);
    out->media_type = content_type(&res);
    if (digest && ml_digest_valid(digest) && size && ml_int_parse(size, &n) && n > 0 && out->media_type &&
        known_type(out->media_type)) {
        ml_digest_parse(digest, &out->digest, NULL);
        out->size = (uint64_t)n;
        rv = check_digest(what, &out->digest, &res, err);
    } else { /* the headers are the registry's choice: the manifest itself tells */
        struct ml_manifest m;

        ml_desc_release(out);
        rv = manifest_get(repo, what, &m, err);
        if (!rv) {
            *out = m.desc;
            memset(&m.desc, 0, sizeof m.desc);
            ml_manifest_release(&m);
        }
    }
out:
    if (rv)
        ml_desc_release(out);
    ml_http_res_release(&res);
    return rv;
}

static bool says(const struct ml_http_res *res, const char *const *words)
{
    while (*words && !strcasestr(ml_buf_str(&res->body), *words))
        words++;
    return *words;
}

/* The registry says that a blob isn't there. */
static bool lacks_blob(const struct ml_http_res *res)
{
    static const char *const words[] = { "BLOB_UNKNOWN", NULL };

    return res->status / 100 == 4 && res->status != 401 && res->status != 429 && says(res, words);
}

/* Why a manifest isn't taken, as far as that can be told: the codes are the specification's, the words of a refused
 * media type each registry's own. */
static void explain_refusal(const struct ml_http_res *res, struct ml_err *err)
{
    static const char *const type[] = { "media type", "mediatype", "media_type", "content type", "artifact type",
        NULL };
    static const char *const no[] = { "unknown", "unsupported", "not supported", "unrecognized", "not allowed",
        "not permitted", "invalid", NULL };

    if (!err || res->status / 100 != 4 || res->status == 401 || res->status == 429)
        return;
    if (lacks_blob(res)) {
        ml_err_wrap(err, "the registry lacks a part of the image that it should have (did it clean up meanwhile? send "
                         "the image again)");
        err->detail = ML_REPO_BLOB;
    } else if (res->status == 415 || (says(res, type) && says(res, no))) {
        err->detail = ML_REPO_TYPE;
    }
}

/* While others store the same blobs a registry may not see one that it has: what it says it lacks is asked once more,
 * after a pause. */
static int send_manifest(struct ml_registry *r, struct ml_http_req *req, struct ml_http_res *res, struct ml_err *err)
{
    double waited = 0;
    int rv = ml_registry_send(r, req, NULL, res, err);

    if (!rv && lacks_blob(res) && ml_http_pause(r->http, res, 0, &waited))
        rv = ml_registry_send(r, req, NULL, res, err);
    return rv;
}

/* distribution-spec v1.1.1, "Pushing Manifests with Subject": OCI-Subject says that the registry minds the list. */
static int manifest_attach(struct ml_repo *repo, const char *tag, const char *media_type, const void *p, size_t n,
    bool *listed, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_strs headers = { 0 };
    struct ml_digest d;
    char *type = ml_format("Content-Type: %s", media_type), *url;
    int rv;

    ml_digest_bytes(p, n, &d);
    url = ml_format("%s/manifests/%s", r->root, tag ? tag : d.s);
    ml_strs_add(&headers, type);
    req.method = "PUT";
    req.url = url;
    req.headers = &headers;
    req.body = p;
    req.body_len = n;
    rv = send_manifest(r, &req, &res, err);
    if (!rv && res.status != 201) {
        rv = ml_registry_fail(r, &req, &res, err);
        explain_refusal(&res, err);
    }
    if (!rv)
        rv = check_digest(d.s, &d, &res, err);
    *listed = !rv && ml_http_header(&res, "oci-subject", 0);
    ml_http_res_release(&res);
    ml_strs_release(&headers);
    free(type);
    free(url);
    return rv;
}

static int manifest_put(
    struct ml_repo *repo, const char *tag, const char *media_type, const void *p, size_t n, struct ml_err *err)
{
    bool listed;

    return manifest_attach(repo, tag, media_type, p, n, &listed, err);
}

/* ---- open and close ---- */

static void registry_close(struct ml_repo *repo)
{
    struct ml_registry *r = self(repo);

    ml_registry_offers_release(r);
    ml_http_free(r->http);
    ml_auth_free(r->auth);
    ml_ref_release(&r->base.ref);
    ml_strs_release(&r->mountable);
    ml_strs_release(&r->unmountable);
    ml_strs_release(&r->missing);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->mount_lock);
    free(r->root);
    free(r->scope);
    free(r);
}

static void registry_cancel(struct ml_repo *repo, bool yes)
{
    struct ml_registry *r = self(repo);

    if (!connect_first(r, NULL))
        ml_http_cancel(r->http, yes);
}

static const struct ml_repo_ops ops = {
    .manifest_head = manifest_head,
    .manifest_get = manifest_get,
    .manifest_put = manifest_put,
    .manifest_attach = manifest_attach,
    .blob_has = ml_registry_blob_has,
    .blob_get = ml_registry_blob_get,
    .blob_put = ml_registry_blob_put,
    .blob_mount = ml_registry_blob_mount,
    .tags = ml_registry_tags,
    .cancel = registry_cancel,
    .close = registry_close,
};

static int chunk_of(uint64_t *out, struct ml_err *err)
{
    const char *s = ml_env("ML_UPLOAD_CHUNK");
    uint64_t n = CHUNK;

    if (s && (!ml_bytes_parse(s, 1024, &n) || n < CHUNK_LEAST))
        return ml_err_set(
            err, ML_USAGE, "ML_UPLOAD_CHUNK '%s': say a number of bytes from %d on, as 16m for 16 MiB", s, CHUNK_LEAST);
    *out = n;
    return 0;
}

int ml_registry_open(const struct ml_ref *ref, bool write, struct ml_repo **out, struct ml_err *err)
{
    struct ml_registry *r;
    uint64_t chunk = CHUNK;
    struct ml_url u;
    bool hub = ml_ref_hub(ref->place), tls;
    const char *host = hub ? "registry-1.docker.io" : ref->place;
    char *probe;

    if (chunk_of(&chunk, err))
        return -1;
    probe = ml_format("https://%s/", host);
    if (ml_url_parse(probe, &u, err)) {
        free(probe);
        return -1;
    }
    tls = !ml_http_plain_ok(u.host, u.port);
    ml_url_release(&u);
    free(probe);
    r = ml_calloc(1, sizeof *r);
    r->base.ops = &ops;
    r->base.ref.place = ml_strdup(ref->place);
    r->base.ref.path = hub && !strchr(ref->path, '/') ? ml_format("library/%s", ref->path) : ml_strdup(ref->path);
    r->write = write;
    r->chunk = chunk;
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->mount_lock, NULL);
    r->root = ml_format("%s://%s/v2/%s", tls ? "https" : "http", host, r->base.ref.path);
    r->scope = ml_format("repository:%s:%s", r->base.ref.path, write ? "pull,push" : "pull");
    r->auth = ml_auth_new(ref->place, r->base.ref.path, tls);
    *out = &r->base;
    return 0;
}
