/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP on libcurl: requests with retries, streamed both ways. Credentials go to the request's own origin and nowhere
 * else.
 *
 *     struct ml_http_req req = ML_HTTP_REQ_INIT;
 *     struct ml_http_res res = ML_HTTP_RES_INIT;
 *
 *     req.url = "https://gitlab.example/api/v4/projects/1";
 *     req.credential = "PRIVATE-TOKEN: ...";
 *     if (ml_http_send(http, &req, &res, err) || ml_http_expect(&req, &res, 200, err))
 *         goto out;
 *
 * Environment: CURL_CA_BUNDLE or SSL_CERT_FILE names the certificates to trust (else the system's, wherever this
 * distribution has them), to which the files in ML_CA_FILE (it has to be there) and CI_SERVER_TLS_CA_FILE are added;
 * ML_RETRIES, how often a request is tried again (4); ML_PAUSE, the seconds before the first of these (0.5), twice as
 * many before each next; ML_STALL, the seconds in which a transfer has to move (60); ML_HTTP_HOSTS, a comma-separated
 * list of host[:port] beside loopback that may be spoken to without TLS; https_proxy, http_proxy and no_proxy as in
 * curl(1).
 *
 * Threads. One struct ml_http is one pool of connections, which any number of threads may use at once: every function
 * here that takes one is safe, and ml_http_send stays a blocking call. There is no thread behind it: of the threads
 * that wait for an answer one moves the bytes of all, and hands that on when its own has come. So the sinks and sources
 * of requests under way are called in any thread that is inside ml_http_send on the same pool, one at a time, and
 *   - must not wait for another request of the same pool, nor for what only another sink or source of it would do;
 *   - hold up all its transfers while they run.
 * `log` and `warn` are called in the thread whose request it is, so in several at once. A request, its answer and its
 * error belong to their thread, as ever.
 *
 * All requests are HTTP/1.1: each that is under way has a connection of its own, which is what large transfers side by
 * side want, and any connection serves any next request.
 *
 * Before a large body (from 1 MiB) the server is asked whether it wants it (Expect: 100-continue), so that a 401
 * doesn't cost the body; one that doesn't answer within a second isn't asked again.
 *
 * Time. A transfer that moves has no limit. It is broken, and tried again, when in ML_STALL seconds it has neither come
 * to its next part (sent all, first line of the answer, end) nor moved 1000 bytes for each of them; time in which this
 * side was held up doesn't count. Between the last byte that was sent and the answer a server may hash and store what
 * it got: it has a second more for every 10 MB of it (see `work`). */
#ifndef ML_NET_HTTP_H
#define ML_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/stream.h"

/* Connections, kept open between requests. */
struct ml_http;

struct ml_http_conf {
    bool plain_anywhere;                      /* http:// to any host is what the user asked for (ml-smoke --url) */
    void (*log)(void *ctx, const char *line); /* a line a request, without secrets; NULL: none */
    void *log_ctx;
    void (*warn)(void *ctx, const char *line); /* what servers say in Warning: 299 headers, once each; NULL: dropped */
    void *warn_ctx;
};

/* `conf` may be NULL. A certificate file that can't be read: ML_LOCAL; a variable above that can't be meant: ML_USAGE.
 */
int ml_http_new(const struct ml_http_conf *conf, struct ml_http **out, struct ml_err *err);
void ml_http_free(struct ml_http *h); /* NULL is fine */

struct ml_http_req {
    const char *method; /* "GET" */
    const char *url;
    const char *credential; /* a whole header, "Authorization: Bearer x" or "PRIVATE-TOKEN: x": never logged, never sent
                               to another origin */
    const struct ml_strs *headers; /* more of them, "Name: value", nothing secret */

    const void *body; /* what is sent: these bytes ... */
    size_t body_len;
    const struct ml_source *source; /* ... or these, as a stream */
    uint64_t source_len;

    /* What is received: into res->body, at most `max` bytes (more is ML_REFUSED), or, for a 2xx answer, to the sink. A
     * broken download goes on where it stopped (Range), so the sink gets every byte once and in order. */
    size_t max;
    ml_sink_fn *sink;
    void *sink_ctx;
    uint64_t from, len; /* ask for a range: from this byte, this many (0: to the end) */
    bool exact;         /* that range or nothing: of a 2xx that isn't 206 the body isn't read */

    bool no_redirect; /* 3xx is an answer */
    bool once; /* must not happen twice (a POST that creates): tried again only where the server surely did nothing */
    bool raw;  /* one attempt, whatever it answers (ml-smoke measures, it doesn't insist) */
    uint64_t work; /* bytes that the server may go through before it answers, beside those that are sent (the blob whose
                      upload this request ends) */
    double timeout;   /* seconds for all of one attempt; 0: none, but see above */
    const char *what; /* who is asked, for messages: "the registry"; NULL: the host's name is used */
    const char
        *needs; /* which credential, scope and role this needs, for the message of a 401 or 403; NULL: says nothing */
};

#define ML_HTTP_REQ_INIT                                                                                               \
    {                                                                                                                  \
        .method = "GET", .max = (size_t)16 << 20                                                                       \
    }

struct ml_http_res {
    int status;
    struct ml_strs headers; /* of the last answer, "name: value", names in lower case */
    struct ml_buf body;     /* NUL-terminated behind len; for an answer that isn't 2xx at most its first 64 KiB */
    char *url;              /* where the answer came from in the end; owned */
    double seconds;         /* the last attempt, from its start to its last byte */
    uint64_t got; /* bytes that the sink was given, over all attempts: also when the last got another answer */
    int attempts;
};

#define ML_HTTP_RES_INIT                                                                                               \
    {                                                                                                                  \
        .status = 0                                                                                                    \
    }

void ml_http_res_release(struct ml_http_res *res);

/* Sends and waits for the answer; `res` is emptied first. Returns 0 with any answer, after retries of what may pass:
 * broken connections, 408, 429, 499 (a proxy's own: its upstream was too slow) and all of 5xx but 501, 505 and 511,
 * which say that another try is no use. `once` leaves 429, 503 and connections that were never made. -1: ML_UNREACHABLE
 * when there was none, ML_REFUSED for redirects that can't be followed, answers over `max` and TLS that doesn't verify,
 * ML_USAGE for a URL that isn't one or must be https, or the error of the sink or source. */
int ml_http_send(struct ml_http *h, const struct ml_http_req *req, struct ml_http_res *res, struct ml_err *err);

/* Ends, from another thread, all that is under way: ml_http_send gives -1 with the code ML_OK, as whoever cancels has
 * the error that counts; waits are cut short. So does what comes later, until it is called with false. */
void ml_http_cancel(struct ml_http *h, bool yes);

/* Before attempt n + 1 of something that its caller repeats (n from 0): waits as long as an answer's Retry-After (of
 * 408, 429 and 5xx) or a growing pause says, with jitter on either. `waited` sums up (0 at first). False, at once, when
 * it has been tried often enough or the wait would be too long. */
bool ml_http_pause(struct ml_http *h, const struct ml_http_res *res, int n, double *waited);

/* 0 when the status is `status` (0: any 2xx), else ml_http_fail. */
int ml_http_expect(const struct ml_http_req *req, const struct ml_http_res *res, int status, struct ml_err *err);

/* An answer as an error: 408, 429, 499 and 5xx are ML_UNREACHABLE, all others ML_REFUSED, with what the body says where
 * it is JSON
 * ({"message"}, {"error"}, {"errors": [{"code", "message"}]}). Returns -1. */
int ml_http_fail(const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err);

/* Refuses HTML (a login page, a proxy) where an API should be: 0, or -1 with ML_REFUSED. */
int ml_http_api(const struct ml_http_req *req, const struct ml_http_res *res, struct ml_err *err);

/* Overwrites with '*' what the header `credential` (NULL: none) says, wherever s repeats it; whether it did. */
bool ml_http_hide(const char *credential, char *s);

/* Value of the n-th header of that name (lower case), borrowed, or NULL. */
const char *ml_http_header(const struct ml_http_res *res, const char *name, size_t nth);

/* The token (up to one of `ends`) or quoted string (RFC 9110, section 5.6.4) at *s, which moves behind it; owned. NULL
 * when it is over `max` bytes long. */
char *ml_http_word(const char **s, const char *ends, size_t max);

/* Target of a Link header's rel="next" (RFC 8288), resolved, owned; NULL when there is none. It is always at the origin
 * that answered, whatever host it names. */
char *ml_http_next(const struct ml_http_res *res);

/* "Authorization: Basic ..." of a user and a password, owned; the caller wipes nothing, it is only never printed. */
char *ml_http_basic(const char *user, const char *password);

/* Whether http:// may be spoken to this host (and port): loopback and ML_HTTP_HOSTS. */
bool ml_http_plain_ok(const char *host, int port);

#endif
