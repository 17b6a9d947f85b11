/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for a service and replaying cases. */
#include "model/smoke.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/url.h"
#include "stats/order.h"

#define ANSWER_MAX ((size_t)16 << 20)
#define PROBE_MAX  5.0 /* seconds for one question whether it is ready */

int ml_smoke_check_url(const char *url, struct ml_err *err)
{
    struct ml_url u;

    if (ml_url_parse(url, &u, err) < 0)
        return -1;
    ml_url_release(&u);
    if (strpbrk(url, "?#")) { /* which may hold a token: it isn't shown */
        char *public = ml_url_public(url);

        ml_err_set(err, ML_USAGE, "'%s?...': a URL that paths are put behind has no query and no fragment", public);
        free(public);
        return -1;
    }
    return 0;
}

static char *full_url(const struct ml_smoke_conf *conf, const char *path)
{
    size_t n = strlen(conf->url);

    while (n > 0 && conf->url[n - 1] == '/')
        n--;
    return ml_format("%.*s%s", (int)n, conf->url, path);
}

static int drop(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    (void)ctx, (void)p, (void)n, (void)err;
    return 0;
}

static bool is_ready(const struct ml_smoke_conf *conf, const struct ml_http_res *res)
{
    return conf->ready ? res->status / 100 == 2 : res->status < 500;
}

/* 0: ready; 1: not in time, and `out` says why; -1: it never will be. */
static int wait_ready(
    const struct ml_smoke_conf *conf, struct ml_http *http, struct ml_smoke_result *out, struct ml_err *err)
{
    double start = ml_clock_monotonic(), pause = 0.05, left = conf->wait;
    char *url = full_url(conf, conf->ready ? conf->ready : "/");
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    int rc = 1;

    req.url = url;
    req.credential = conf->credential;
    req.raw = req.no_redirect = true;
    req.sink = drop;
    while (rc == 1) {
        struct ml_err why = ML_ERR_INIT;

        req.timeout = fmax(0.05, fmin(left, PROBE_MAX));
        free(out->not_ready);
        out->not_ready = NULL;
        if (ml_http_send(http, &req, &res, &why) == 0) {
            if (is_ready(conf, &res))
                rc = 0;
            else
                out->not_ready = ml_format("it answers %d", res.status);
        } else if (why.code != ML_UNREACHABLE) {
            rc = ml_err_set(err, why.code, "%s", why.msg);
        } else {
            out->not_ready = ml_smoke_excerpt(why.msg, strlen(why.msg), 300);
        }
        out->ready_after = ml_clock_monotonic() - start;
        left = conf->wait - out->ready_after;
        if (rc != 1 || left <= 0)
            break;
        ml_clock_sleep(fmin(pause, left));
        pause = fmin(1, pause * 1.5);
    }
    out->ready = rc == 0;
    ml_http_res_release(&res);
    free(url);
    return rc;
}

/* What the threads share. Request i is case i % cases. */
struct race {
    const struct ml_smoke_conf *conf;
    const struct ml_smoke_cases *cases;
    atomic_size_t next;
    double *seconds; /* a request: NaN where there was no answer */

    pthread_mutex_t lock;
    struct ml_smoke_failure **failed; /* a case: its first failure, NULL */
    struct ml_err err;                /* what stopped it all */
};

static void failure_clear(struct ml_smoke_failure *f)
{
    free(f->reason);
    f->reason = NULL;
    ml_smoke_diff_release(&f->diff);
}

static void failure_free(struct ml_smoke_failure *f)
{
    if (!f)
        return;
    failure_clear(f);
    free(f);
}

static void judge_json(const struct ml_http_res *res, struct ml_smoke_failure *f)
{
    struct ml_err why = ML_ERR_INIT;
    cJSON *seen = ml_json_parse(ml_buf_str(&res->body), res->body.len, "the answer", &why);

    if (!seen) {
        f->reason = ml_format("the answer is not JSON: %s", why.msg);
        f->diff.seen = ml_smoke_excerpt(ml_buf_str(&res->body), res->body.len, 200);
        return;
    }
    if (ml_smoke_match(f->c, seen, &f->diff))
        f->reason = ml_strdup(!f->diff.seen      ? "the answer lacks this"
                              : f->diff.expected ? "the answer differs"
                                                 : "the answer has this too");
    cJSON_Delete(seen);
}

/* Leaves f->reason NULL when the answer is right. */
static void judge(const struct ml_http_res *res, struct ml_smoke_failure *f)
{
    if (res->status != f->c->status) {
        f->reason = ml_format("status %d, not %d", res->status, f->c->status);
        f->diff.seen = ml_smoke_excerpt(ml_buf_str(&res->body), res->body.len, 200);
    } else if (f->c->json) {
        judge_json(res, f);
    }
}

/* One request. -1: nothing more can be sent. */
static int try_case(struct race *r, struct ml_http *http, size_t i, struct ml_err *err)
{
    const struct ml_smoke_case *c = &r->cases->v[i % r->cases->n];
    struct ml_smoke_failure *f = ml_calloc(1, sizeof *f);
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *url = full_url(r->conf, c->path);
    struct ml_err why = ML_ERR_INIT;
    int rc = 0;

    f->c = c;
    req.method = c->method;
    req.url = url;
    req.credential = r->conf->credential;
    req.headers = &c->headers;
    req.body = c->body;
    req.body_len = c->body_len;
    req.max = ANSWER_MAX;
    req.raw = req.no_redirect = true;
    req.timeout = r->conf->timeout;
    if (ml_http_send(http, &req, &res, &why) == 0) {
        r->seconds[i] = res.seconds;
        judge(&res, f);
        if (f->reason && res.body.data && ml_http_hide(req.credential, res.body.data)) { /* it would be shown */
            failure_clear(f);
            judge(&res, f);
        }
    } else if (why.code == ML_UNREACHABLE || why.code == ML_REFUSED) {
        f->reason = ml_smoke_excerpt(why.msg, strlen(why.msg), 300);
    } else {
        rc = ml_err_set(err, why.code, "%s", why.msg);
    }
    if (f->reason) {
        pthread_mutex_lock(&r->lock);
        if (!r->failed[i % r->cases->n]) {
            r->failed[i % r->cases->n] = f;
            f = NULL;
        }
        pthread_mutex_unlock(&r->lock);
    }
    failure_free(f);
    ml_http_res_release(&res);
    free(url);
    return rc;
}

static void *work(void *arg)
{
    struct race *r = arg;
    struct ml_http_conf conf = { .plain_anywhere = true, .log = r->conf->log, .log_ctx = r->conf->log_ctx };
    struct ml_http *http = NULL;
    struct ml_err err = ML_ERR_INIT;
    size_t all = r->cases->n * (size_t)r->conf->repeat, i;
    int rc = ml_http_new(&conf, &http, &err);

    while (rc == 0 && (i = atomic_fetch_add(&r->next, 1)) < all)
        rc = try_case(r, http, i, &err);
    if (rc < 0) {
        pthread_mutex_lock(&r->lock);
        r->err = err;
        pthread_mutex_unlock(&r->lock);
        atomic_store(&r->next, all);
    }
    ml_http_free(http);
    return NULL;
}

/* The last of the threads is this one. */
static void race(struct race *r)
{
    size_t n = (size_t)r->conf->concurrency - 1, started = 0;
    pthread_t *threads = ml_calloc(n ? n : 1, sizeof *threads);

    while (started < n && pthread_create(&threads[started], NULL, work, r) == 0)
        started++;
    work(r);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static double rank(const double *sorted, size_t n, double p)
{
    size_t k = (size_t)ceil(p * (double)n);

    return n ? sorted[k > 0 ? k - 1 : 0] : NAN;
}

static void sum_up(struct race *r, struct ml_smoke_result *out)
{
    size_t n = 0;

    for (size_t i = 0; i < out->requests; i++)
        if (!isnan(r->seconds[i]))
            r->seconds[n++] = r->seconds[i];
    ml_sort(r->seconds, n);
    out->answered = n;
    out->p50 = rank(r->seconds, n, .5);
    out->p90 = rank(r->seconds, n, .9);
    out->p99 = rank(r->seconds, n, .99);
    out->passed = out->cases;
    for (size_t i = 0; i < out->cases; i++) {
        if (!r->failed[i])
            continue;
        out->passed--;
        if (out->nfailures < ML_SMOKE_FAILURES) {
            out->failures[out->nfailures++] = *r->failed[i];
            free(r->failed[i]);
        } else {
            failure_free(r->failed[i]);
        }
    }
}

int ml_smoke_run(const struct ml_smoke_conf *conf, const struct ml_smoke_cases *cases, struct ml_smoke_result *out,
    struct ml_err *err)
{
    struct ml_http_conf http_conf = { .plain_anywhere = true, .log = conf->log, .log_ctx = conf->log_ctx };
    struct race r = { .conf = conf, .cases = cases, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct ml_http *http = NULL;
    double start;
    int rc;

    *out = (struct ml_smoke_result){ .cases = cases->n, .p50 = NAN, .p90 = NAN, .p99 = NAN };
    if (ml_http_new(&http_conf, &http, err) < 0)
        return -1;
    rc = wait_ready(conf, http, out, err);
    ml_http_free(http);
    if (rc != 0)
        return rc;
    out->requests = cases->n * (size_t)conf->repeat;
    r.seconds = ml_calloc(out->requests, sizeof *r.seconds);
    r.failed = ml_calloc(cases->n, sizeof *r.failed);
    for (size_t i = 0; i < out->requests; i++)
        r.seconds[i] = NAN;
    start = ml_clock_monotonic();
    race(&r);
    out->seconds = ml_clock_monotonic() - start;
    sum_up(&r, out);
    free(r.seconds);
    free(r.failed);
    if (r.err.code)
        return ml_err_set(err, r.err.code, "%s", r.err.msg);
    return out->passed == out->cases ? 0 : 1;
}

void ml_smoke_result_release(struct ml_smoke_result *r)
{
    for (size_t i = 0; i < r->nfailures; i++) {
        free(r->failures[i].reason);
        ml_smoke_diff_release(&r->failures[i].diff);
    }
    free(r->not_ready);
    r->nfailures = 0;
    r->not_ready = NULL;
}

static cJSON *failure_json(const struct ml_smoke_failure *f)
{
    cJSON *v = cJSON_CreateObject();
    char *request = ml_format("%s %s", f->c->method, f->c->path);

    ml_json_set_int(v, "line", (int64_t)f->c->line);
    if (f->c->name)
        ml_json_set_str(v, "name", f->c->name);
    ml_json_set_str(v, "request", request);
    ml_json_set_str(v, "reason", f->reason);
    if (f->diff.at) {
        ml_json_set_str(v, "at", f->diff.at);
        ml_json_set_str(v, "expected", f->diff.expected);
    }
    if (f->diff.at || f->diff.seen)
        ml_json_set_str(v, "seen", f->diff.seen);
    free(request);
    return v;
}

cJSON *ml_smoke_section(const struct ml_smoke_conf *conf, const struct ml_smoke_result *r)
{
    cJSON *v = cJSON_CreateObject(), *o;
    char *url = ml_url_public(conf->url);

    ml_json_set_str(v, "url", url);
    free(url);
    o = ml_json_set_object(v, "ready");
    ml_json_set_bool(o, "passed", r->ready);
    ml_json_set_num(o, "seconds", r->ready_after);
    if (!r->ready)
        ml_json_set_str(o, "reason", r->not_ready);
    ml_json_set_int(v, "cases", (int64_t)r->cases);
    ml_json_set_int(v, "passed", (int64_t)r->passed);
    ml_json_set_int(v, "requests", (int64_t)r->requests);
    ml_json_set_int(v, "answered", (int64_t)r->answered);
    ml_json_set_int(v, "concurrency", conf->concurrency);
    ml_json_set_num(v, "seconds", r->seconds);
    if (r->answered) {
        o = ml_json_set_object(v, "latency");
        ml_json_set_num(o, "p50", r->p50);
        ml_json_set_num(o, "p90", r->p90);
        ml_json_set_num(o, "p99", r->p99);
    } else {
        ml_json_set(v, "latency", NULL);
        ml_json_set_str(v, "reason", r->ready ? "no request was answered" : "the service never was ready");
    }
    o = ml_json_set_array(v, "failures");
    for (size_t i = 0; i < r->nfailures; i++)
        cJSON_AddItemToArray(o, failure_json(&r->failures[i]));
    return v;
}
