/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs of a registry: reading them. */
#include <stdlib.h>

#include "oci/registry.h"

static struct ml_registry *self(struct ml_repo *r)
{
    return (struct ml_registry *)r;
}

struct verify {
    const struct ml_desc *want;
    struct ml_hasher *hasher;
    uint64_t got;
    ml_sink_fn *sink;
    void *ctx;
};

static int verify_sink(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct verify *v = ctx;

    if (n > v->want->size - v->got)
        return ml_err_set(err, ML_INTEGRITY, "blob %s is longer than the %llu bytes that its manifest says",
            v->want->digest.s, (unsigned long long)v->want->size);
    v->got += n;
    ml_hasher_add(v->hasher, p, n);
    return v->sink(v->ctx, p, n, err);
}

static int verify_end(struct verify *v, struct ml_err *err)
{
    struct ml_digest d;

    if (v->got != v->want->size)
        return ml_err_set(err, ML_INTEGRITY, "blob %s has %llu bytes, its manifest says %llu", v->want->digest.s,
            (unsigned long long)v->got, (unsigned long long)v->want->size);
    ml_hasher_end(v->hasher, &d);
    if (!ml_digest_eq(&d, &v->want->digest))
        return ml_err_set(
            err, ML_INTEGRITY, "what the registry sent as blob %s has the digest %s", v->want->digest.s, d.s);
    return 0;
}

int ml_registry_blob_get(struct ml_repo *repo, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err)
{
    struct ml_registry *r = self(repo);
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct verify v = { .want = d, .sink = sink, .ctx = ctx };
    bool whole = !off && !len;
    char *url = ml_format("%s/blobs/%s", r->root, d->digest.s);
    int rv;

    if (whole)
        v.hasher = ml_hasher_new();
    req.url = url;
    req.from = off;
    req.len = len;
    req.sink = whole ? verify_sink : sink;
    req.sink_ctx = whole ? &v : ctx;
    rv = ml_registry_send(r, &req, NULL, &res, err);
    if (!rv && res.status == 404)
        rv = ml_http_api(&req, &res, err) ? -1 : 1;
    else if (!rv && res.status / 100 != 2)
        rv = ml_registry_fail(r, &req, &res, err);
    if (!rv && whole)
        rv = verify_end(&v, err);
    ml_hasher_free(v.hasher);
    ml_http_res_release(&res);
    free(url);
    return rv;
}
