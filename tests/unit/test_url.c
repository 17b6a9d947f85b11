/* SPDX-License-Identifier: GPL-3.0-or-later */
/* URLs, and what is read from an HTTP answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/transfer.h"
#include "net/url.h"

static void parses(void **state)
{
    struct ml_url u;

    (void)state;
    assert_int_equal(ml_url_parse("HTTPS://GitLab.Example/jwt/auth?a=b#c", &u, NULL), 0);
    assert_string_equal(u.scheme, "https");
    assert_string_equal(u.host, "gitlab.example");
    assert_int_equal(u.port, 443);
    assert_string_equal(u.target, "/jwt/auth?a=b");
    ml_url_release(&u);
    assert_int_equal(ml_url_parse("http://[::1]:5000", &u, NULL), 0);
    assert_string_equal(u.host, "::1");
    assert_int_equal(u.port, 5000);
    assert_string_equal(u.target, "/");
    ml_url_release(&u);
    assert_int_equal(ml_url_parse("http://h?q", &u, NULL), 0);
    assert_string_equal(u.target, "/?q");
    ml_url_release(&u);
}

static void refuses(void **state)
{
    static const char *const bad[] = { "", "ftp://h/", "file:///etc/passwd", "https://", "https:///x", "https://u:p@h/",
        "https://h:0/", "https://h:65536/", "https://h:1x/", "https://h/a b", "https://h/\n", "https://h\\@evil/",
        "https://[::1", "https://[::1]x/", "https://h_\x7f/", "https://h$/", "h/x" };
    struct ml_url u;
    struct ml_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct ml_err)ML_ERR_INIT;
        if (ml_url_parse(bad[i], &u, &err) != -1)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, ML_USAGE);
        assert_null(strstr(err.msg, "u:p"));
    }
}

static void resolves(void **state)
{
    static const struct {
        const char *base, *ref, *want;
    } t[] = {
        { "https://h:1/a/b?q", "https://x/y", "https://x/y" },
        { "https://h:1/a/b?q", "//x/y", "https://x/y" },
        { "https://h:1/a/b?q", "/y?z", "https://h:1/y?z" },
        { "https://h:1/a/b?q", "y", "https://h:1/a/y" },
        { "https://h:1/a/b?q", "?z", "https://h:1/a/b?z" },
        { "https://h", "y", "https://h/y" },
        { "https://h/v2/a/blobs/uploads/", "1?_state=x%2F", "https://h/v2/a/blobs/uploads/1?_state=x%2F" },
        { "https://h/", "javascript:alert(1)", NULL },
        { "https://h/", "http://u@h/", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *s = ml_url_resolve(t[i].base, t[i].ref, NULL);

        if (t[i].want)
            assert_string_equal(s, t[i].want);
        else
            assert_null(s);
        free(s);
    }
}

static void knows_origins(void **state)
{
    (void)state;
    assert_true(ml_url_same_origin("https://h/a", "HTTPS://H:443/b"));
    assert_false(ml_url_same_origin("https://h/", "http://h/"));
    assert_false(ml_url_same_origin("https://h/", "https://h:444/"));
    assert_false(ml_url_same_origin("https://h/", "https://h.evil/"));
    assert_false(ml_url_same_origin("https://h/", "https://h@evil/"));
    assert_false(ml_url_same_origin("x", "x"));
    assert_true(ml_host_loopback("127.0.0.1"));
    assert_true(ml_host_loopback("127.255.1.2"));
    assert_true(ml_host_loopback("localhost"));
    assert_true(ml_host_loopback("::1"));
    assert_false(ml_host_loopback("127.evil.example"));
    assert_false(ml_host_loopback("127.0.0.1.evil.example"));
    assert_false(ml_host_loopback("127.1"));
    assert_false(ml_host_loopback("localhost.evil"));
    assert_false(ml_host_loopback("10.0.0.1"));
}

static void hides_secrets(void **state)
{
    static const struct {
        const char *url, *want;
    } t[] = {
        { "https://u:p@h/a?token=x#y", "https://h/a" },
        { "https://h/a\n\x1b[31m?x", "https://h/a??[31m" },
        { "https://h/a@b", "https://h/a@b" },
        { "u:p@h/x", "h/x" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *s = ml_url_public(t[i].url);

        assert_string_equal(s, t[i].want);
        free(s);
    }
}

static void builds_queries(void **state)
{
    struct ml_buf b = ML_BUF_INIT;

    (void)state;
    ml_buf_adds(&b, "https://h/x");
    ml_url_query(&b, "scope", "repository:a/b:pull,push");
    ml_url_query(&b, "s", "a b&c=\xc3\xa9");
    assert_string_equal(b.data, "https://h/x?scope=repository:a/b:pull%2Cpush&s=a%20b%26c%3D%C3%A9");
    ml_buf_reset(&b);
    ml_buf_adds(&b, "https://h/x?_state=1&");
    ml_url_query(&b, "digest", "sha256:1");
    assert_string_equal(b.data, "https://h/x?_state=1&digest=sha256:1");
    ml_buf_release(&b);
}

static void encodes_basic(void **state)
{
    static const struct {
        const char *user, *password, *want;
    } t[] = {
        { "Aladdin", "open sesame", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, /* RFC 7617, section 2 */
        { "test", "123\xc2\xa3", "Authorization: Basic dGVzdDoxMjPCow==" },                /* section 2.1 */
        { "a", "b", "Authorization: Basic YTpi" },
        { "a", "bc", "Authorization: Basic YTpiYw==" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *s = ml_http_basic(t[i].user, t[i].password);

        assert_string_equal(s, t[i].want);
        free(s);
    }
}

/* An answer with that Link header. */
static char *next_of(const char *link)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *line = ml_format("link: %s", link), *next;

    ml_strs_add(&res.headers, "date: x");
    ml_strs_add(&res.headers, line);
    res.url = ml_strdup("https://h/v2/a/tags/list?n=1");
    next = ml_http_next(&res);
    ml_http_res_release(&res);
    free(line);
    return next;
}

static void finds_the_next_page(void **state)
{
    static const struct {
        const char *link, *want;
    } t[] = {
        { "</v2/a/tags/list?last=b>; rel=\"next\"", "https://h/v2/a/tags/list?last=b" },
        { "<?last=b>; rel=next", "https://h/v2/a/tags/list?last=b" },
        { "<https://h/p?page=1>; rel=\"first\", <https://h/p?page=3>; rel=\"next\", <https://h/p?page=9>; rel=\"last\"",
            "https://h/p?page=3" },
        { "<https://h/p?a=1,2>; title=\"x\"; rel=\"next\"", "https://h/p?a=1,2" },
        { "<https://evil/p?q#f>; rel=\"next\"", "https://h/p?q" },
        { "<http://h/p>; rel=\"next\"", "https://h/p" },
        { "<http://h:8080//evil/p>; rel=\"next\"", "https://h//evil/p" },
        { "<//evil/p>; rel=\"next\"", "https://h/p" },
        { "<https://h/p>; rel=\"prev\"", NULL },
        { "<?a>; rel=\"last next\"", "https://h/v2/a/tags/list?a" },
        { "<?a> ; REL = Next", "https://h/v2/a/tags/list?a" },
        { "<?a>; title=\"; rel=next, <?b>; rel=next\"; rel=prev, <?c>; rel=next", "https://h/v2/a/tags/list?c" },
        { "<?a>; rel=prev; rel=next", NULL },
        { "<?a>; xrel=next", NULL },
        { "<?a>; rel=nextish", NULL },
        { "<https://h/p", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *s = next_of(t[i].link);

        if (t[i].want)
            assert_string_equal(s, t[i].want);
        else
            assert_null(s);
        free(s);
    }
}

/* The error of an answer. */
static struct ml_err fail_of(int status, const char *type, const char *body)
{
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = { .status = status, .body = ML_BUF_INIT };
    struct ml_err err = ML_ERR_INIT;

    req.url = "https://h/api?private_token=secret";
    req.credential = "PRIVATE-TOKEN: secret";
    req.needs = "a token with scope api";
    if (type)
        ml_strs_add(&res.headers, type);
    ml_buf_adds(&res.body, body);
    assert_int_equal(ml_http_fail(&req, &res, &err), -1);
    assert_null(strstr(err.msg, "secret"));
    ml_http_res_release(&res);
    return err;
}

static void says_what_failed(void **state)
{
    static const struct {
        int status, code;
        const char *type, *body, *want;
    } t[] = {
        { 401, ML_REFUSED, NULL, "{\"message\": \"401 Unauthorized\"}",
            "401 Unauthorized; this needs a token with scope api" },
        { 403, ML_REFUSED, NULL, "{\"errors\": [{\"code\": \"DENIED\", \"message\": \"no\"}]}",
            "DENIED: no; this needs" },
        { 404, ML_REFUSED, NULL, "404 page not found", "not found (404)" },
        { 400, ML_REFUSED, NULL, "{\"message\": {\"body\": [\"is too long\"]}}", "{\"body\":[\"is too long\"]}" },
        { 400, ML_REFUSED, NULL, "{\"error\": \"invalid_grant\", \"error_description\": \"expired\"}", ": expired" },
        { 408, ML_UNREACHABLE, NULL, "", "timed out (408)" },
        { 429, ML_UNREACHABLE, "retry-after: 7", "", "asks to wait 7" },
        { 500, ML_UNREACHABLE, "x-request-id: 01ABC", "", "its request id is 01ABC" },
        { 502, ML_UNREACHABLE, "content-type: text/html; charset=utf-8", "{}", "a web page, not an API" },
        { 403, ML_REFUSED, NULL, " <!DOCTYPE HTML><p>", "a web page, not an API" },
        { 404, ML_REFUSED, NULL, "{\"message\": \"a\\nb\\u001b\"}", ": a?b?" },
        { 302, ML_REFUSED, NULL, "", "unexpected redirect (302)" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct ml_err err = fail_of(t[i].status, t[i].type, t[i].body);

        assert_int_equal(err.code, t[i].code);
        if (!strstr(err.msg, t[i].want))
            fail_msg("'%s' lacks '%s'", err.msg, t[i].want);
    }
}

static void long_words_are_cut(void **state)
{
    char *body = ml_malloc(20001);
    struct ml_err err;

    (void)state;
    memset(body, 'a', 20000);
    memcpy(body, "{\"message\": \"", 13);
    memcpy(body + 19998, "\"}", 3);
    err = fail_of(403, NULL, body);
    assert_int_equal(err.code, ML_REFUSED);
    assert_true(strlen(err.msg) < sizeof err.msg);
    free(body);
}

static void plain_only_where_allowed(void **state)
{
    (void)state;
    unsetenv("ML_HTTP_HOSTS");
    assert_true(ml_http_plain_ok("127.0.0.1", 5000));
    assert_false(ml_http_plain_ok("registry.example", 80));
    setenv("ML_HTTP_HOSTS", "a.example, registry.example:5000", 1);
    assert_true(ml_http_plain_ok("a.example", 80));
    assert_true(ml_http_plain_ok("registry.example", 5000));
    assert_false(ml_http_plain_ok("registry.example", 80));
    assert_false(ml_http_plain_ok("example", 80));
    unsetenv("ML_HTTP_HOSTS");
}

static void not_without_tls(void **state)
{
    struct ml_http *h;
    struct ml_http_req req = ML_HTTP_REQ_INIT;
    struct ml_http_res res = ML_HTTP_RES_INIT;
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_http_new(NULL, &h, &err), 0);
    req.url = "http://registry.example/v2/";
    assert_int_equal(ml_http_send(h, &req, &res, &err), -1);
    assert_int_equal(err.code, ML_USAGE);
    assert_non_null(strstr(err.msg, "ML_HTTP_HOSTS=registry.example:80"));
    ml_http_res_release(&res);
    ml_http_free(h);
}

static double retry_after(const char *value)
{
    struct ml_http_res res = ML_HTTP_RES_INIT;
    char *line = ml_format("retry-after: %s", value);
    double s;

    ml_strs_add(&res.headers, line);
    s = ml_transfer_retry_after(&res);
    ml_http_res_release(&res);
    free(line);
    return s;
}

static void waits_as_long_as_asked(void **state)
{
    char date[64];
    time_t then = (time_t)ml_clock_now() + 100;
    struct tm tm;

    (void)state;
    assert_true(retry_after("7") == 7);
    assert_true(retry_after("0") == 0);
    assert_true(retry_after("-7") == 0);
    assert_true(retry_after("soon") == 0);
    assert_true(retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0);
    gmtime_r(&then, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    assert_true(retry_after(date) > 90 && retry_after(date) <= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(resolves),
        cmocka_unit_test(knows_origins),
        cmocka_unit_test(hides_secrets),
        cmocka_unit_test(builds_queries),
        cmocka_unit_test(encodes_basic),
        cmocka_unit_test(finds_the_next_page),
        cmocka_unit_test(says_what_failed),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(waits_as_long_as_asked),
        cmocka_unit_test(plain_only_where_allowed),
        cmocka_unit_test(not_without_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
