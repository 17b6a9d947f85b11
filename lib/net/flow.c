/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What comes in and goes out while a request is under way. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/transfer.h"

#define PACE         1000.0 /* bytes a second: slower is standing still */
#define DIGEST_SPEED 10e6   /* bytes a second that a slow server hashes and stores */
#define LOOK_MAX     2.0    /* seconds between two looks; more, and it was us that stood still */
#define ERROR_BODY   ((size_t)64 << 10)
#define HEADERS_MAX  ((size_t)256 << 10)

static void reset_answer(struct ml_http_res *res, size_t max)
{
    ml_strs_release(&res->headers);
    memset(&res->headers, 0, sizeof res->headers);
    ml_buf_release(&res->body);
    ml_buf_init(&res->body, max);
    res->status = 0;
}

void ml_flow_start(struct ml_transfer *x)
{
    reset_answer(x->res, ERROR_BODY);
    x->header_bytes = 0;
    x->sent = x->skip = 0;
    memset(&x->pace, 0, sizeof x->pace);
    x->pace.looked = ml_clock_monotonic();
    x->stalled = x->enough = false;
    x->why[0] = 0;
}

/* The headers are complete: is it the part of the body that was asked for? A server may ignore Range and answer 200
 * with all of it; a 206 has to say where it starts (RFC 9110, section 14.4). */
static int start_body(struct ml_transfer *x)
{
    uint64_t from = x->req->from + x->got;
    const char *range;

    if (!x->req->sink || x->res->status / 100 != 2)
        return 0;
    if (x->res->status != 206) {
        x->skip = from;
        x->enough = x->req->exact;
        return x->enough ? -1 : 0;
    }
    range = ml_http_header(x->res, "content-range", 0);
    if (range && !strncmp(range, "bytes ", 6) && isdigit((unsigned char)range[6]) &&
        strtoull(range + 6, NULL, 10) == from)
        return 0;
    x->failed = true;
    return ml_err_set(x->err, ML_REFUSED, "the server sent another range than it was asked for");
}

int ml_flow_header(struct ml_transfer *x, const char *p, size_t len)
{
    char *line, *c;

    x->header_bytes += len;
    if (x->header_bytes > HEADERS_MAX)
        return -1;
    while (len && (p[len - 1] == '\r' || p[len - 1] == '\n'))
        len--;
    if (len >= 5 && !strncmp(p, "HTTP/", 5)) { /* the final answer starts after any 1xx */
        const char *space = memchr(p, ' ', len);

        reset_answer(x->res, ERROR_BODY);
        x->res->status = space ? (int)strtol(space, NULL, 10) : 0;
        if (x->res->status / 100 == 2)
            x->res->body.max = x->req->max;
        return 0;
    }
    if (!len)
        return start_body(x);
    if (!memchr(p, ':', len))
        return 0;
    line = ml_strndup(p, len);
    for (c = line; *c && *c != ':'; c++)
        *c = (char)tolower((unsigned char)*c);
    ml_strs_add(&x->res->headers, line);
    free(line);
    return 0;
}

static int to_sink(struct ml_transfer *x, const char *p, size_t n)
{
    uint64_t left = x->req->len ? x->req->len - x->got : UINT64_MAX;
    size_t drop = x->skip < n ? (size_t)x->skip : n;

    x->skip -= drop;
    p += drop;
    n -= drop;
    if (n > left)
        n = (size_t)left;
    if (n && x->req->sink(x->req->sink_ctx, p, n, x->err)) {
        x->failed = true;
        return -1;
    }
    x->got += n;
    if (x->req->len && x->got == x->req->len)
        x->enough = true;
    return 0;
}

int ml_flow_body(struct ml_transfer *x, const char *p, size_t n)
{
    bool good = x->res->status / 100 == 2;

    if (good && x->req->sink)
        return x->enough ? -1 : to_sink(x, p, n);
    ml_buf_add(&x->res->body, p, n);
    if (!x->res->body.full)
        return 0;
    if (good) {
        ml_err_set(x->err, ML_REFUSED, "the answer is over %zu bytes long", x->req->max);
        x->failed = true;
    }
    x->enough = !good;
    return -1;
}

int64_t ml_flow_read(struct ml_transfer *x, char *p, size_t n)
{
    uint64_t left = x->req->source_len - x->sent;
    int64_t got;

    if (n > left)
        n = (size_t)left;
    if (!n)
        return 0;
    /* libcurl has waited a second for it: once, not with each of a blob's chunks */
    if (x->expects && !x->sent && x->res->status != 100)
        atomic_store(&x->h->mute, true);
    got = x->req->source->read(x->req->source->ctx, x->sent, p, n, x->err);
    if (got == 0)
        got = ml_err_set(x->err, ML_LOCAL, "the data ends after %llu of %llu bytes", (unsigned long long)x->sent,
            (unsigned long long)x->req->source_len);
    if (got < 0) {
        x->failed = true;
        return -1;
    }
    x->sent += (uint64_t)got;
    return got;
}

bool ml_flow_stalled(struct ml_transfer *x, uint64_t down, uint64_t up)
{
    uint64_t size = x->req->source ? x->req->source_len : x->req->body_len;
    int part = x->res->status >= 200 ? 2 : up >= size ? 1 : 0;
    int64_t moved = (int64_t)(down + up);
    double now = ml_clock_monotonic(), since = now - x->pace.looked, limit = x->h->stall;

    if (atomic_load(&x->h->cancelled)) {
        x->failed = true;
        ml_err_set(x->err, ML_OK, "stopped");
        return true;
    }
    x->pace.looked = now;
    x->pace.ran += since < LOOK_MAX ? since : LOOK_MAX;
    if (part != x->pace.part || (double)(moved - x->pace.moved) >= PACE * x->h->stall) {
        x->pace.part = part;
        x->pace.moved = moved;
        x->pace.at = x->pace.ran;
        return false;
    }
    if (part == 1)
        limit += (double)(size + x->req->work) / DIGEST_SPEED;
    x->stalled = x->pace.ran - x->pace.at > limit;
    return x->stalled;
}
