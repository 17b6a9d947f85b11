/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs of a registry: asking for them, mounting, and beginning to store them. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/url.h"
#include "oci/registry.h"
#include "oci/registry_session.h"

static struct ml_registry *self(struct ml_repo *r)
{
    return (struct ml_registry *)r;
}

/* ---- what is there ---- */

static void note_missing(struct ml_registry *r, const struct ml_digest *d)
{
    pthread_mutex_lock(&r->lock);
    if (!ml_strs_has(&r->missing, d->s))
        ml_strs_add(&r->missing, d->s);
    pthread_mutex_unlock(&r->lock);
}

bool ml_registry_known_missing(struct ml_registry *r, const struct ml_digest *d)
{
    struct ml_strs *l = &r->missing;
    bool found = false;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < l->n && !found; i++) {
        if (strcmp(l->v[i], d->s))
            continue;
        free(l->v[i]);
        l->v[i] = l->v[--l->n];
        found = true;
    }
    pthread_mutex_unlock(&r->lock);
    return found;
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
        note_missing(r, d);
    ml_http_res_release(&res);
    free(url);
    return rv;
}

/* ---- sessions ---- */

int ml_registry_begin(struct ml_registry *r, const char *query, const char *scope, char **location,
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
        *location = ml_session_url(r->root, res, err);
        rv = *location ? 0 : -1;
    } else if (!rv && res->status != 201) {
        rv = ml_registry_fail(r, &req, res, err);
    }
    free(url);
    return rv;
}

bool ml_registry_cancel(struct ml_registry *r, const char *location)
{
    int rv;

    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;

    req.method = "DELETE";
    req.url = location;
    req.raw = true;
    rv = ml_registry_send(r, &req, NULL, &res, NULL);
    ml_http_res_release(&res);
    return !rv;
}

uint64_t ml_registry_chunk_least(const struct ml_http_res *res)
{
    const char *s = ml_http_header(res, "oci-chunk-min-length", 0);
    int64_t n;

    return s && ml_int_parse(s, &n) && n > 0 ? (uint64_t)n : 0;
}

char *ml_registry_take_offer(struct ml_registry *r, const struct ml_digest *d, uint64_t *least)
{
    char *url = NULL;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->offers_n && !url; i++) {
        if (!ml_digest_eq(&r->offers[i].digest, d))
            continue;
        url = r->offers[i].url;
        *least = r->offers[i].least;
        r->offers[i] = r->offers[--r->offers_n];
    }
    pthread_mutex_unlock(&r->lock);
    return url;
}

static void keep_offer(struct ml_registry *r, const struct ml_digest *d, char *url, uint64_t least)
{
    pthread_mutex_lock(&r->lock);
    r->offers = ml_realloc(r->offers, (r->offers_n + 1) * sizeof *r->offers);
    r->offers[r->offers_n++] = (struct ml_registry_offer){ *d, url, least };
    pthread_mutex_unlock(&r->lock);
}

void ml_registry_offers_release(struct ml_registry *r)
{
    bool listens = true;

    for (size_t i = 0; i < r->offers_n; i++) {
        listens = listens && ml_registry_cancel(r, r->offers[i].url);
        free(r->offers[i].url);
    }
    free(r->offers);
    r->offers = NULL;
    r->offers_n = 0;
}

/* ---- mounting ---- */

static bool listed(struct ml_registry *r, const struct ml_strs *l, const char *path)
{
    bool yes;

    pthread_mutex_lock(&r->lock);
    yes = ml_strs_has(l, path);
    pthread_mutex_unlock(&r->lock);
    return yes;
}

static void list(struct ml_registry *r, struct ml_strs *l, const char *path)
{
    pthread_mutex_lock(&r->lock);
    if (!ml_strs_has(l, path))
        ml_strs_add(l, path);
    pthread_mutex_unlock(&r->lock);
}

/* A session instead of a mount is as good as any other: the upload that follows takes it. */
static int mount(struct ml_registry *r, const struct ml_digest *d, const char *from, struct ml_err *err)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err why = ML_ERR_INIT;
    struct ml_buf query = ML_BUF_INIT;
    char *scope = ml_format("%s repository:%s:pull", r->scope, from), *location = NULL, *older;
    uint64_t least;
    int rv;

    ml_url_query(&query, "mount", d->s);
    ml_url_query(&query, "from", from);
    rv = ml_registry_begin(r, query.data, scope, &location, &res, &why);
    if (rv && why.code == ML_UNREACHABLE && !res.status) {
        if (err)
            *err = why;
    } else if (rv) {
        list(r, &r->unmountable, from);
        rv = 1;
    } else {
        list(r, &r->mountable, from);
        older = ml_registry_take_offer(r, d, &least);
        if (older)
            ml_registry_cancel(r, older);
        free(older);
        if (location)
            keep_offer(r, d, location, ml_registry_chunk_least(&res));
        rv = location != NULL;
    }
    free(scope);
    ml_buf_release(&query);
    ml_http_res_release(&res);
    return rv;
}

/* Registries refuse to mount for reasons of their own (a token for one repository only, a repository that isn't
 * visible), so a "no" is never an error here: the bytes can be sent. As long as nobody knows whether a repository can
 * be mounted from, one blob tries and the others wait: GitLab counts refusals. */
int ml_registry_blob_mount(
    struct ml_repo *repo, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    const char *path = from->ref.path;
    bool first;
    int rv;

    if (from->ref.layout || strcmp(from->ref.place, r->base.ref.place))
        return 1;
    if (!strcmp(path, r->base.ref.path))
        return ml_registry_blob_has(repo, d, err);
    first = !listed(r, &r->mountable, path);
    if (first)
        pthread_mutex_lock(&r->mount_lock);
    rv = listed(r, &r->unmountable, path) ? 1 : mount(r, d, path, err);
    if (first)
        pthread_mutex_unlock(&r->mount_lock);
    return rv;
}
