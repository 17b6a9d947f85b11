/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The registry client's own parts: distribution-spec v1.1.1 over HTTP. Used by registry*.c only; others see oci/repo.h.
 */
#ifndef ML_OCI_REGISTRY_H
#define ML_OCI_REGISTRY_H

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
    atomic_int ranges;          /* whether blobs can be had as ranges: 1 yes, -1 no, 0 not known yet */
    struct ml_strs unmountable; /* repositories that nothing can be mounted from */
    struct ml_digest
        missing; /* the blob that was asked for last, when it wasn't there: what follows is mostly its upload */
};

/* ml_http_send with the right credentials; after a 401 once more with new ones. `scope` NULL: the repository's own. */
int ml_registry_send(
    struct ml_registry *r, struct ml_http_req *req, const char *scope, struct ml_http_res *res, struct ml_err *err);

/* An answer that isn't what was hoped for, as an error that says who asked for which scope. Returns -1. */
int ml_registry_fail(
    struct ml_registry *r, const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err);

/* registry_download.c */
int ml_registry_blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err);

/* registry_blob.c */
int ml_registry_blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err);
int ml_registry_blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err);
int ml_registry_blob_mount(
    struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err);

#endif
