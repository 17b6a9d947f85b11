/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request and its answer, without redirects and retries: those are in http.c. What libcurl needs is in
 * transfer.c, what comes in and goes out in flow.c; nobody else uses this. */
#ifndef ML_NET_TRANSFER_H
#define ML_NET_TRANSFER_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/http.h"

#define ML_TRANSFER_WHY 256

struct ml_engine; /* libcurl, and who of the threads drives it */

struct ml_http {
    struct ml_http_conf conf;
    struct ml_engine *engine;
    char *ca_file;    /* NULL: libcurl's own idea */
    struct ml_buf ca; /* or the certificates themselves */
    int retries;
    double stall; /* seconds */
    double pause; /* before the first retry */
    atomic_bool cancelled;

    atomic_bool mute; /* a server was asked for 100 Continue and kept silent: nobody is asked again */

    pthread_mutex_t lock; /* of the rest */
    unsigned seed;        /* of the jitter */
    struct ml_strs warned;
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
    struct {
        int part;       /* sending, waiting, receiving */
        int64_t moved;  /* bytes both ways, at the last mark */
        double ran, at; /* seconds this attempt has run, when the last mark was made */
        double looked;  /* monotonic */
    } pace;
    bool expects; /* 100 Continue */
    bool failed;  /* a callback has set err */
    bool enough;  /* a callback stopped the transfer because nothing more is wanted */
    bool stalled;
};

int ml_transfer_open(struct ml_http *h, struct ml_err *err);
void ml_transfer_close(struct ml_http *h);
void ml_transfer_wake(struct ml_http *h); /* whoever drives looks at once at all that is under way */

/* Sends to x->url and waits for the answer. -1 with err set when the fault is the sink's, the source's or ours. */
int ml_transfer_run(struct ml_transfer *x, enum ml_outcome *out);

/* Seconds from now that a Retry-After header (a number or a date) asks for; 0 when there is none. */
double ml_transfer_retry_after(const struct ml_http_res *res);

/* ---- flow.c ---- */

void ml_flow_start(struct ml_transfer *x); /* forgets the attempt before */

/* A header line, a piece of the body: 0, -1 to stop, with x->failed or x->enough saying why (neither: too much). */
int ml_flow_header(struct ml_transfer *x, const char *p, size_t n);
int ml_flow_body(struct ml_transfer *x, const char *p, size_t n);

/* Up to n bytes of the source: their number, 0 at its end, -1 with x->failed. */
int64_t ml_flow_read(struct ml_transfer *x, char *p, size_t n);

/* Told often how many bytes have moved both ways so far, and how many of the request's: whether that is too slow. */
bool ml_flow_stalled(struct ml_transfer *x, uint64_t down, uint64_t up);

#endif
