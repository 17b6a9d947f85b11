/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests of several threads over one pool, and servers that are slow, against a server in this process. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http.h"
#include "server.h"

/* ---- the server: the path says what it does ---- */

static atomic_int met;

static unsigned char byte_at(uint64_t i)
{
    return (unsigned char)(i * 31 + (i >> 9));
}

static bool send_bytes(int fd, uint64_t n)
{
    static const size_t piece = 65536;
    char *head = ml_format("HTTP/1.1 200 x\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)n);
    char *p = ml_malloc(piece);
    bool ok = say(fd, head, strlen(head));

    for (uint64_t at = 0; ok && at < n;) {
        size_t k = n - at < piece ? (size_t)(n - at) : piece;

        for (size_t i = 0; i < k; i++)
            p[i] = (char)byte_at(at + i);
        ok = say(fd, p, k);
        at += k;
    }
    free(p);
    free(head);
    return ok;
}

/* Reads the body; how many of its bytes are right. */
static uint64_t take_bytes(int fd, uint64_t n)
{
    static const size_t piece = 65536;
    char *p = ml_malloc(piece);
    uint64_t right = 0;

    for (uint64_t at = 0; at < n;) {
        ssize_t k = read(fd, p, n - at < piece ? (size_t)(n - at) : piece);

        if (k <= 0)
            break;
        for (ssize_t i = 0; i < k; i++)
            right += p[i] == (char)byte_at(at + (uint64_t)i);
        at += (uint64_t)k;
    }
    free(p);
    return right;
}

static bool serve(int fd, const char *head, uint64_t size)
{
    char path[64] = "", number[32];
    const char *h = strstr(head, " /") + 2;
    uint64_t arg;

    sscanf(h, "%63[a-z]", path);
    h += strlen(path);
    arg = *h == '/' ? strtoull(h + 1, NULL, 10) : 0;
    if (!strcmp(path, "bytes"))
        return send_bytes(fd, arg);
    if (!strcmp(path, "take") || !strcmp(path, "mute")) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)take_bytes(fd, size));
        ml_clock_sleep((double)arg / 1000);
        return answer(fd, 201, "", number);
    }
    if (!strcmp(path, "later")) {
        ml_clock_sleep((double)arg / 1000);
        return answer(fd, 200, "", "late");
    }
    if (!strcmp(path, "meet")) { /* answered when as many as the number says have come */
        atomic_fetch_add(&met, 1);
        for (int i = 0; i < 500 && (uint64_t)atomic_load(&met) < arg; i++)
            ml_clock_sleep(0.01);
        return answer(fd, (uint64_t)atomic_load(&met) >= arg ? 200 : 404, "", NULL);
    }
    if (!strcmp(path, "warn"))
        return answer(fd, 200,
            "Warning: 299 - \"old, but \\\"fine\\\"\", 199 - \"no\"\r\nWarning: 299 - \"e\033vil\" \"Sun, 22 Nov 2026 "
            "14:00:00 GMT\"\r\nWarning: 214 x \"no\"\r\nWarning: 299\r\n",
            NULL);
    if (!strcmp(path, "loris")) {
        say(fd, "HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n", 40);
        while (say(fd, "x", 1))
            ml_clock_sleep(0.05);
        return false;
    }
    if (!strcmp(path, "hold"))
        (void)!read(fd, number, 1); /* until the other side hangs up */
    return false;
}

static int start_server(void **state)
{
    (void)state;
    return server_start(serve);
}

static int stop_server(void **state)
{
    (void)state;
    return server_stop();
}

/* ---- the client ---- */

static int setup(void **state)
{
    struct ml_http *h = NULL;
    int rc = ml_http_new(NULL, &h, NULL);

    *state = h;
    server.connections = server.requests = met = 0;
    return rc;
}

static int teardown(void **state)
{
    ml_http_free(*state);
    unsetenv("ML_STALL");
    unsetenv("ML_RETRIES");
    return 0;
}

struct check {
    uint64_t got;
    bool wrong;
    uint64_t stop; /* fails after so many bytes; 0: never */
};

static int check_sink(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    struct check *c = ctx;

    for (size_t i = 0; i < n; i++)
        c->wrong |= ((const unsigned char *)p)[i] != byte_at(c->got + i);
    c->got += n;
    return c->stop && c->got >= c->stop ? ml_err_set(err, ML_INTEGRITY, "enough") : 0;
}

static int64_t give(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)p)[i] = byte_at(off + i);
    return (int64_t)n;
}

/* A request of its own thread, perhaps. */
struct call {
    struct ml_http *h;
    const char *method, *path;
    uint64_t send, work; /* bytes of a body */
    int rounds;
    uint64_t stop;
    /* what came of it */
    pthread_t thread;
    struct ml_err err;
    struct check check;
    int rv, status;
    char body[32];
    double seconds;
};

static void *call(void *arg)
{
    struct call *c = arg;
    char *url = ml_format("http://127.0.0.1:%d%s", server.port, c->path);
    struct ml_source source = { give, NULL };
    double start = ml_clock_monotonic();

    for (int i = 0; i < (c->rounds ? c->rounds : 1); i++) {
        struct ml_http_req req = ML_HTTP_REQ_INIT;
        struct ml_http_res res = ML_HTTP_RES_INIT;

        c->check = (struct check){ .stop = c->stop };
        req.method = c->method;
        req.url = url;
        req.work = c->work;
        if (c->send) {
            req.source = &source;
            req.source_len = c->send;
        } else if (strstr(url, "/bytes")) {
            req.sink = check_sink;
            req.sink_ctx = &c->check;
        }
        c->rv = ml_http_send(c->h, &req, &res, &c->err);
        c->status = res.status;
        snprintf(c->body, sizeof c->body, "%s", ml_buf_str(&res.body));
        ml_http_res_release(&res);
        if (c->rv)
            break;
    }
    c->seconds = ml_clock_monotonic() - start;
    free(url);
    return NULL;
}

static void go(struct call *c)
{
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static void wait_for(struct call *c)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
}

static void many_threads(void **state)
{
    struct call c[8];

    for (int i = 0; i < 8; i++) {
        c[i] = (struct call){ .h = *state, .method = i % 2 ? "PUT" : "GET", .rounds = 20 };
        c[i].path = i % 2 ? "/take" : "/bytes/300001";
        c[i].send = i % 2 ? (uint64_t)400000 * (unsigned)i : 0; /* some ask to continue */
        go(&c[i]);
    }
    for (int i = 0; i < 8; i++) {
        wait_for(&c[i]);
        assert_int_equal(c[i].rv, 0);
        if (i % 2) {
            assert_int_equal(c[i].status, 201);
            assert_int_equal(strtoull(c[i].body, NULL, 10), c[i].send);
        } else {
            assert_int_equal(c[i].check.got, 300001);
            assert_false(c[i].check.wrong);
        }
    }
    assert_int_equal(server.requests, 160);
    assert_in_range(server.connections, 2, 16);
}

static void one_after_the_other(void **state)
{
    struct call c = { .h = *state, .method = "GET", .path = "/bytes/1000", .rounds = 50 };

    call(&c);
    assert_int_equal(c.rv, 0);
    assert_int_equal(server.requests, 50);
    assert_int_equal(server.connections, 1);
}

/* all of them are with the server at the same time */
static void really_at_once(void **state)
{
    struct call c[12];

    for (int i = 0; i < 12; i++) {
        c[i] = (struct call){ .h = *state, .method = "GET", .path = "/meet/12" };
        go(&c[i]);
    }
    for (int i = 0; i < 12; i++) {
        wait_for(&c[i]);
        assert_int_equal(c[i].rv, 0);
        assert_int_equal(c[i].status, 200);
    }
    assert_int_equal(server.connections, 12);
}

/* whoever drives stops when his own answer is there, and whoever doesn't isn't kept waiting by who does */
static void nobody_waits_for_others(void **state)
{
    struct call slow = { .h = *state, .method = "GET", .path = "/later/2000" }, quick[2];

    for (int order = 0; order < 2; order++) {
        for (int i = 0; i < 2; i++)
            quick[i] = (struct call){ .h = *state, .method = "GET", .path = "/later/100" };
        if (order == 1)
            go(&slow);
        go(&quick[0]);
        ml_clock_sleep(0.03);
        if (order == 0)
            go(&slow);
        go(&quick[1]);
        wait_for(&quick[0]);
        wait_for(&quick[1]);
        wait_for(&slow);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(quick[i].status, 200);
            assert_true(quick[i].seconds < 1.8);
        }
        assert_int_equal(slow.status, 200);
        assert_true(slow.seconds < 3.8);
    }
}

/* who drives doesn't sleep while another's request waits to be sent */
static void wakes_the_driver(void **state)
{
    struct call slow = { .h = *state, .method = "GET", .path = "/later/3000" },
                quick = { .h = *state, .method = "GET", .path = "/later/1", .rounds = 5 };

    go(&slow);
    ml_clock_sleep(0.2);
    go(&quick);
    wait_for(&quick);
    wait_for(&slow);
    assert_int_equal(quick.rv, 0);
    assert_true(quick.seconds < 2.5);
}

static void one_fails_alone(void **state)
{
    struct call bad = { .h = *state, .method = "GET", .path = "/bytes/9000000", .stop = 100000 }, good[3];

    for (int i = 0; i < 3; i++) {
        good[i] = (struct call){ .h = *state, .method = "GET", .path = "/bytes/9000000" };
        go(&good[i]);
    }
    go(&bad);
    wait_for(&bad);
    assert_int_equal(bad.rv, -1);
    assert_int_equal(bad.err.code, ML_INTEGRITY);
    for (int i = 0; i < 3; i++) {
        wait_for(&good[i]);
        assert_int_equal(good[i].rv, 0);
        assert_int_equal(good[i].check.got, 9000000);
        assert_false(good[i].check.wrong);
    }
}

/* ---- slow servers ---- */

static void hurry(void **state, const char *stall)
{
    ml_http_free(*state);
    setenv("ML_STALL", stall, 1);
    setenv("ML_RETRIES", "0", 1);
    assert_int_equal(setup(state), 0);
}

static void stands_still(void **state)
{
    static const char *const paths[] = { "/hold", "/loris" };

    hurry(state, "0.5");
    for (size_t i = 0; i < 2; i++) {
        struct call c = { .h = *state, .method = "GET", .path = paths[i] };

        call(&c);
        assert_int_equal(c.rv, -1);
        assert_int_equal(c.err.code, ML_UNREACHABLE);
        assert_non_null(strstr(c.err.msg, "nothing moved"));
        assert_true(c.seconds > 0.4 && c.seconds < 5);
    }
}

/* a server that hashes what it was sent has time for it, whether that came with this request or with those before */
static void may_hash(void **state)
{
    struct call sent = { .h = *state, .method = "PUT", .path = "/take/1500", .send = 20000000 },
                before = { .h = *state, .method = "PUT", .path = "/take/1500", .send = 10, .work = 20000000 },
                none = { .h = *state, .method = "PUT", .path = "/take/1500", .send = 10 };

    hurry(state, "0.5");
    sent.h = before.h = none.h = *state;
    call(&sent);
    assert_int_equal(sent.rv, 0);
    assert_int_equal(strtoull(sent.body, NULL, 10), 20000000);
    call(&before);
    assert_int_equal(before.rv, 0);
    call(&none);
    assert_int_equal(none.rv, -1);
    assert_int_equal(none.err.code, ML_UNREACHABLE);
}

/* no 100 Continue: waited for once */
static void asks_the_mute_once(void **state)
{
    struct call c = { .h = *state, .method = "PUT", .path = "/mute", .send = 2000000 };

    call(&c);
    assert_int_equal(strtoull(c.body, NULL, 10), 2000000);
    assert_true(c.seconds > 0.9);
    c.rounds = 5;
    call(&c);
    assert_int_equal(strtoull(c.body, NULL, 10), 2000000);
    assert_true(c.seconds < 4.5);
}

static void bad_variables(void **state)
{
    static const char *const bad[] = { "0", "-1", "1e9", "soon", "nan", "0.01" };
    struct ml_http *h;
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("ML_STALL", bad[i], 1);
        assert_int_equal(ml_http_new(NULL, &h, &err), -1);
        assert_int_equal(err.code, ML_USAGE);
    }
    unsetenv("ML_STALL");
    for (size_t i = 1; i + 1 < sizeof bad / sizeof *bad; i++) {
        setenv("ML_PAUSE", bad[i], 1);
        assert_int_equal(ml_http_new(NULL, &h, &err), -1);
        assert_int_equal(err.code, ML_USAGE);
    }
    unsetenv("ML_PAUSE");
}

/* ---- warnings ---- */

struct heard {
    pthread_mutex_t lock;
    struct ml_strs lines;
};

static void hear(void *ctx, const char *line)
{
    struct heard *h = ctx;

    pthread_mutex_lock(&h->lock);
    ml_strs_add(&h->lines, line);
    pthread_mutex_unlock(&h->lock);
}

static void warnings_once(void **state)
{
    struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct ml_http_conf conf = { .warn = hear, .warn_ctx = &heard };
    struct ml_http *h;
    struct call c[4];

    (void)state;
    assert_int_equal(ml_http_new(&conf, &h, NULL), 0);
    for (int i = 0; i < 4; i++) {
        c[i] = (struct call){ .h = h, .method = "GET", .path = "/warn", .rounds = 5 };
        go(&c[i]);
    }
    for (int i = 0; i < 4; i++)
        wait_for(&c[i]);
    assert_int_equal(heard.lines.n, 2);
    assert_true(ml_strs_has(&heard.lines, "'127.0.0.1' says: old, but \"fine\""));
    assert_true(ml_strs_has(&heard.lines, "'127.0.0.1' says: e?vil"));
    ml_strs_release(&heard.lines);
    ml_http_free(h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_threads),
        TEST(one_after_the_other),
        TEST(really_at_once),
        TEST(nobody_waits_for_others),
        TEST(wakes_the_driver),
        TEST(one_fails_alone),
        TEST(stands_still),
        TEST(may_hash),
        TEST(asks_the_mute_once),
        TEST(bad_variables),
        TEST(warnings_once),
    };

    return cmocka_run_group_tests_name("http", tests, start_server, stop_server);
}
