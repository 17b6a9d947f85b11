/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request and its answer, without redirects and retries: those are in http.c, the only user of this. */
#ifndef ML_NET_TRANSFER_H
#define ML_NET_TRANSFER_H

#include "net/http.h"

#define ML_TRANSFER_WHY 256

struct ml_http {
    void *curl; /* libcurl's easy handle, with its connections */
    struct ml_http_conf conf;
    char *ca_file;    /* NULL: libcurl's own idea */
    struct ml_buf ca; /* or the certificates themselves */
    int retries;
    unsigned seed; /* of the jitter */
};

enum ml_outcome {
    ML_ANSWERED,
    ML_NO_CONNECTION, /* the server never heard of it */
    ML_BROKEN,        /* it may have */
    ML_UNTRUSTED,     /* its certificate isn't */
    ML_NOT_HTTP,
};

/* A request under way, over all its attempts. */
struct ml_transfer {
    struct ml_http *h;
    const struct ml_http_req *req;
    struct ml_http_res *res;
    struct ml_err *err;
    char *url;                 /* of this hop; owned */
    uint64_t got;              /* bytes the sink has, over all attempts */
    char why[ML_TRANSFER_WHY]; /* what broke it */

    /* this attempt's */
    uint64_t sent; /* offset in the source */
    uint64_t skip; /* bytes of this answer that the sink has already */
    size_t header_bytes;
    int64_t moved; /* bytes both ways, and when that changed last */
    double moved_at;
    bool failed; /* a callback has set err */
    bool enough; /* a callback stopped the transfer because nothing more is wanted */
    bool stalled;
};

/* Sends to x->url and waits for the answer. -1 with err set when the fault is the sink's, the source's or ours. */
int ml_transfer_run(struct ml_transfer *x, enum ml_outcome *out);

/* Seconds from now that a Retry-After header (a number or a date) asks for; 0 when there is none. */
double ml_transfer_retry_after(const struct ml_http_res *res);

#endif
