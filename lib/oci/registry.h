/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The registry client's own parts: distribution-spec v1.1.1 over HTTP. Used by registry*.c only; others see oci/repo.h.
 */
#ifndef ML_OCI_REGISTRY_H
#define ML_OCI_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/http.h"
#include "oci/auth.h"
#include "oci/repo.h"

struct ml_registry {
    struct ml_repo base;
    struct ml_http *http; /* opened by the first request */
    struct ml_auth *auth;
    char *root;  /* "https://host/v2/path" */
    char *scope; /* what all requests need */
    bool write;
    atomic_int ranges;    /* whether blobs can be had as ranges: 1 yes, -1 no, 0 not known yet */
    pthread_mutex_t lock; /* of all that follows, and of making `http` */
    pthread_mutex_t mount_lock;
    struct ml_strs mountable, unmountable; /* repositories that something, or nothing, can be mounted from */
    struct ml_strs missing;                /* blobs that were asked for and aren't there: they are uploaded next */
    struct ml_registry_offer *offers;
    size_t offers_n;
    uint64_t chunk;  /* the most that is sent in one request; 0: not asked yet */
    unsigned learnt; /* enum ml_registry_trait */
};

/* What a registry showed while this process uses it. */
enum ml_registry_trait {
    ML_REGISTRY_CHUNKS = 1,    /* it has taken one */
    ML_REGISTRY_NO_CHUNKS = 2, /* it takes blobs in one piece only */
    ML_REGISTRY_STALE = 4,     /* the Range that it answers a chunk with is worth nothing */
};

/* An upload that it opened where it was asked for a mount. */
struct ml_registry_offer {
    struct ml_digest digest;
    char *url;
    uint64_t least; /* OCI-Chunk-Min-Length */
};

/* ml_http_send with the right credentials; after a 401 once more with new ones. `scope` NULL: the repository's own. A
 * URL of another host (an upload's, see registry_session.h) gets none, and isn't told who we are when it asks. */
int ml_registry_send(
    struct ml_registry *r, struct ml_http_req *req, const char *scope, struct ml_http_res *res, struct ml_err *err);

/* An answer that isn't what was hoped for, as an error that says who asked for which scope. Returns -1. */
int ml_registry_fail(
    struct ml_registry *r, const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err);

bool ml_registry_is(struct ml_registry *r, enum ml_registry_trait trait);
void ml_registry_set(struct ml_registry *r, enum ml_registry_trait trait);

/* registry_tags.c */
int ml_registry_tags(struct ml_repo *r, const char *prefix, struct ml_strs *out, struct ml_err *err);

/* registry_download.c */
int ml_registry_blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err);

/* registry_blob.c */
int ml_registry_blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err);
int ml_registry_blob_mount(
    struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err);
void ml_registry_offers_release(struct ml_registry *r);
/* Whether ml_registry_blob_has found out that it isn't there: told once. */
bool ml_registry_known_missing(struct ml_registry *r, const struct ml_digest *d);
/* Opens an upload session (or mounts, when `query` says so). 0: *location, owned, is where the bytes go, or NULL when
 * the blob is there already. */
int ml_registry_begin(struct ml_registry *r, const char *query, const char *scope, char **location,
    struct ml_http_res *res, struct ml_err *err);
uint64_t ml_registry_chunk_least(const struct ml_http_res *res); /* OCI-Chunk-Min-Length, or 0 */
/* A courtesy: sessions time out by themselves. Whether somebody listened. */
bool ml_registry_cancel(struct ml_registry *r, const char *location);
/* The session that a mount of `d` opened instead, owned, or NULL. */
char *ml_registry_take_offer(struct ml_registry *r, const struct ml_digest *d, uint64_t *least);

/* registry_upload.c */
int ml_registry_blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err);

#endif
