/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict scanner and the work on JSON text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/json.h"

static void accepts(void **state)
{
    static const char *const good[] = { "1", " [ ] ", "{}", "-0.5e-3", "\"\\ud83d\\ude00\"",
        "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}", "[1,2,3]", "true", "null", "\"\xc3\xa9\"" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(ml_json_check(good[i], strlen(good[i]), "t", NULL), 0);
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "", "line 1, column 1: the text ends where a value was expected" },
        { "{\"a\":1,\n\"a\":2}", "line 2, column 1: duplicate key" },
        { "{\"a\":1,\"\\u0061\":2}", "duplicate key" },
        { "[1,]", "not a value" },
        { "[01]", "not a value" },
        { "1 2", "more text" },
        { "\"\xff\"", "invalid UTF-8" },
        { "\"\xc0\x80\"", "invalid UTF-8" },
        { "\"\\u0000\"", "NUL" },
        { "\"\\ud800\"", "surrogate" },
        { "1e999", "out of range" },
        { "nan", "not a value" },
        { "\"a\nb\"", "control character" },
        { "{\"a\" 1}", "':' expected" },
        { "\xef\xbb\xbf{}", "not a value" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_err err = ML_ERR_INIT;

        assert_int_equal(ml_json_check(bad[i].text, strlen(bad[i].text), "t", &err), -1);
        assert_int_equal(err.code, ML_LOCAL);
        if (!strstr(err.msg, bad[i].why))
            fail_msg("'%s' gave '%s'", bad[i].text, err.msg);
    }
}

static void refuses_depth(void **state)
{
    size_t n = 1000000;
    char *deep = ml_malloc(n);
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    memset(deep, '[', n);
    assert_int_equal(ml_json_check(deep, n, "t", &err), -1);
    assert_non_null(strstr(err.msg, "too deep"));
    free(deep);
}

static void finds(void **state)
{
    const char *t = "{ \"a\" : {\"x.y\": [10, {\"z\": \"\\u00e9\"}]}, \"b\": true }";
    struct ml_span v;
    char *s;

    (void)state;
    assert_int_equal(ml_json_at(t, strlen(t), "/a/x.y/1/z", &v), 0);
    s = ml_json_decode(t, v);
    assert_string_equal(s, "\xc3\xa9");
    free(s);
    assert_int_equal(ml_json_at(t, strlen(t), "b", &v), 0);
    assert_memory_equal(t + v.off, "true", v.len);
    assert_int_equal(ml_json_at(t, strlen(t), "a.nothing", &v), 1);
    assert_int_equal(ml_json_at(t, strlen(t), "b.x", &v), 1);
}

/* The path is found, and the value is this number. */
static void dotted(const char *text, const char *path, const char *number)
{
    struct ml_span v;

    assert_int_equal(ml_json_at(text, strlen(text), path, &v), 0);
    assert_int_equal(v.len, strlen(number));
    assert_memory_equal(text + v.off, number, v.len);
}

static void finds_dots_in_names(void **state)
{
    const char *t = "{\"m\": {\"p@0.9\": {\"v\": 1, \"1.5\": [2, {\"a.b\": 3}]}, \"p@0\": 4},"
                    " \"x\": {\"y\": 5, \"y.z\": 6, \"y.z.w\": {\"u\": 7}}, \"q\": {\"r.s\": 9}, \"q.r\": 10}";
    struct ml_span v;

    (void)state;
    dotted(t, "m.p@0.9.v", "1");
    dotted(t, "m.p@0.9.1.5.0", "2");
    dotted(t, "m.p@0.9.1.5.1.a.b", "3");
    dotted(t, "m.p@0", "4");
    /* the plain path goes first; then the longest name */
    dotted(t, "x.y", "5");
    dotted(t, "x.y.z", "6");
    dotted(t, "x.y.z.w.u", "7");
    dotted(t, "/x/y.z", "6");
    /* nothing is tried again with a shorter one: that takes a pointer */
    assert_int_equal(ml_json_at(t, strlen(t), "q.r.s", &v), 1);
    dotted(t, "/q/r.s", "9");
    dotted(t, "q.r", "10");
    assert_int_equal(ml_json_at(t, strlen(t), ".", &v), 1);
    assert_int_equal(ml_json_at(t, strlen(t), "/m/p@0/9", &v), 1);
}

static void splices(void **state)
{
    const char *t = "{\"a\": 1.50, \"big\": 9007199254740993 }";
    struct ml_buf out = ML_BUF_INIT;

    (void)state;
    ml_json_splice(t, (struct ml_span){ 0, strlen(t) }, "a", "[2]", 3, &out);
    assert_string_equal(out.data, "{\"a\": [2], \"big\": 9007199254740993 }");
    ml_buf_reset(&out);
    ml_json_splice(t, (struct ml_span){ 0, strlen(t) }, "c", "3", 1, &out);
    assert_string_equal(out.data, "{\"a\": 1.50, \"big\": 9007199254740993,\"c\":3 }");
    ml_buf_reset(&out);
    ml_json_splice("{}", (struct ml_span){ 0, 2 }, "c", "3", 1, &out);
    assert_string_equal(out.data, "{\"c\":3}");
    ml_buf_reset(&out);
    ml_json_append("[1,2]", (struct ml_span){ 0, 5 }, "3", 1, &out);
    assert_string_equal(out.data, "[1,2,3]");
    ml_buf_reset(&out);
    ml_json_append("[ ]", (struct ml_span){ 0, 3 }, "3", 1, &out);
    assert_int_equal(ml_json_check(out.data, out.len, "t", NULL), 0);
    ml_buf_release(&out);
}

static void prints_exactly(void **state)
{
    static const char t[] = "{\"a\":0.30000000000000004,\"b\":[1,1e-05,5e-324],\"c\":\"\\u0001\\n\xc3\xa9\"}";
    struct ml_buf out = ML_BUF_INIT;
    cJSON *v = ml_json_parse(t, strlen(t), "t", NULL);

    (void)state;
    ml_json_set_int(v, "i", INT64_MAX);
    ml_json_print(v, false, &out);
    assert_string_equal(out.data, "{\"a\":0.30000000000000004,\"b\":[1,1e-05,4.94065645841247e-324],\"c\":"
                                  "\"\\u0001\\n\xc3\xa9\",\"i\":9223372036854775807}");
    cJSON_Delete(v);
    ml_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_depth),
        cmocka_unit_test(finds),
        cmocka_unit_test(finds_dots_in_names),
        cmocka_unit_test(splices),
        cmocka_unit_test(prints_exactly),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
