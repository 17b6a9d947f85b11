/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Golden requests: cases read from JSON Lines, replayed against a running service, and what came of it.
 *
 * A case is one object a line; unknown members are refused, so that a misspelt expectation never passes:
 *   method   "GET", or "POST" where there is a body
 *   path     begins with '/', put behind the URL
 *   headers  object of strings
 *   body     any JSON, sent byte for byte as it stands in the file, as application/json; a string whose headers name
 *            another Content-Type is sent as its text
 *   status   the status that is right (200)
 *   json     what the answer's body has to be; absent: the body isn't looked at
 *   match    "exact" (also the default): the same value, members in any order; "subset": members that `json` doesn't
 *            name are allowed, at any depth; "tolerance": exact, numbers only nearly
 *   tolerance  numbers a (expected) and b (seen) are the same where |a - b| <= tolerance * max(1, |a|): 0, with
 *            match "tolerance" 1e-6
 *   name     what the case is called in reports */
#ifndef ML_MODEL_SMOKE_H
#define ML_MODEL_SMOKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"

struct ml_smoke_case {
    size_t line;
    char *name; /* NULL where the file gives none */
    char *method, *path;
    struct ml_strs headers;
    char *body; /* NULL: none */
    size_t body_len;
    int status;
    cJSON *json; /* NULL: anything */
    bool subset;
    double tolerance;
};

struct ml_smoke_cases {
    struct ml_smoke_case *v;
    size_t n, cap;
};

/* Reads a case file ("-": standard input) of at most 64 MiB. ML_LOCAL with the line: not JSON Lines, a member that is
 * missing, unknown or of another type; also a file without cases. */
int ml_smoke_load(const char *file, struct ml_smoke_cases *out, struct ml_err *err);
int ml_smoke_parse(const char *text, size_t len, const char *file, struct ml_smoke_cases *out, struct ml_err *err);
void ml_smoke_cases_release(struct ml_smoke_cases *cases);

/* Where what was seen departs from what was expected. */
struct ml_smoke_diff {
    char *at;              /* JSON Pointer; "" is the whole */
    char *expected, *seen; /* JSON, cut to about 200 bytes; NULL where there is, or should be, nothing */
};

/* 0: `seen` is what `c` expects; 1: it isn't, and `diff` says the first place where (all owned). */
int ml_smoke_match(const struct ml_smoke_case *c, const cJSON *seen, struct ml_smoke_diff *diff);
void ml_smoke_diff_release(struct ml_smoke_diff *diff);

/* A body as it may be quoted: valid UTF-8, no control characters, at most `max` bytes. Owned. */
char *ml_smoke_excerpt(const char *s, size_t len, size_t max);

struct ml_smoke_conf {
    const char *url;        /* http or https; paths are put behind it */
    const char *ready;      /* path that answers 2xx when the service is ready; NULL: any answer below 500 of the URL */
    const char *credential; /* a whole header that every request carries; never logged; NULL: none */
    double wait;            /* seconds for the service to become ready */
    double timeout;         /* seconds for one request */
    long concurrency, repeat;
    void (*log)(void *ctx, const char *line); /* a line a request; NULL: none */
    void *log_ctx;
};

#define ML_SMOKE_FAILURES 20 /* described one by one; all are counted */

/* A failed case. */
struct ml_smoke_failure {
    const struct ml_smoke_case *c;
    char *reason;
    struct ml_smoke_diff diff; /* diff.at is NULL where it isn't the JSON that is wrong */
};

struct ml_smoke_result {
    bool ready;
    double ready_after;
    char *not_ready; /* why not */
    size_t cases, passed, requests, answered;
    double seconds;
    double p50, p90, p99; /* of answered requests, by nearest rank; NaN where nothing was answered */
    struct ml_smoke_failure failures[ML_SMOKE_FAILURES];
    size_t nfailures;
};

/* ML_USAGE when the URL isn't one that paths can be put behind. */
int ml_smoke_check_url(const char *url, struct ml_err *err);

/* Waits for the service, then sends every case `repeat` times, `concurrency` at a time. Returns 0 when every request
 * of every case was answered as expected, 1 when not (never ready included), -1 when it could not be tried at all: the
 * service's certificate isn't trusted, or what answers doesn't speak HTTP (ML_REFUSED). */
int ml_smoke_run(const struct ml_smoke_conf *conf, const struct ml_smoke_cases *cases, struct ml_smoke_result *out,
    struct ml_err *err);
void ml_smoke_result_release(struct ml_smoke_result *r);

/* The card's section of it. */
cJSON *ml_smoke_section(const struct ml_smoke_conf *conf, const struct ml_smoke_result *r);

#endif
