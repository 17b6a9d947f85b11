/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML: what the core schema means, what is refused and where, and that no file takes memory or time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "data/yaml.h"

static char *as_json(const char *text)
{
    struct ml_yaml y = ML_YAML_INIT;
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf out = ML_BUF_INIT;
    if (ml_yaml_parse(&y, text, strlen(text), "t.yml", &err))
        fail_msg("%s", err.msg);
    if (y.root)
        ml_json_print(y.root, false, &out);
    ml_yaml_release(&y);
    return ml_buf_detach(&out);
}

#define MEANS(yaml, json)                                                                                              \
    do {                                                                                                               \
        char *got = as_json(yaml);                                                                                     \
        assert_string_equal(got, json);                                                                                \
        free(got);                                                                                                     \
    } while (0)

static void refuses_bytes(const char *text, size_t len, const char *message)
{
    struct ml_yaml y = ML_YAML_INIT;
    struct ml_err err = ML_ERR_INIT;
    assert_int_equal(ml_yaml_parse(&y, text, len, "t.yml", &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    if (!strstr(err.msg, message))
        fail_msg("'%s' lacks '%s'", err.msg, message);
    assert_null(y.root);
    ml_yaml_release(&y);
}

static void refuses(const char *text, const char *message)
{
    refuses_bytes(text, strlen(text), message);
}

static void scalars(void **state)
{
    (void)state;
    MEANS("a: 1\nb: -2.5e3\nc: .5\nd: 1.\ne: +7\n", "{\"a\":1,\"b\":-2500,\"c\":0.5,\"d\":1,\"e\":7}");
    MEANS("[0x1F, 0o17, 017, 1e3, 1_000, 0x, 1e, ., 12:30]", "[31,15,17,1000,\"1_000\",\"0x\",\"1e\",\".\",\"12:30\"]");
    MEANS("[true, True, FALSE, yes, on, off]", "[true,true,false,\"yes\",\"on\",\"off\"]");
    MEANS("[null, ~, Null, \"null\", '1', \"true\"]", "[null,null,null,\"null\",\"1\",\"true\"]");
    MEANS("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}");
    MEANS("x: !!str 12\ny: !!float 3\nz: ! 5\n", "{\"x\":\"12\",\"y\":3,\"z\":\"5\"}");
    MEANS("{a: 2%, b: {limit: 2%, on: bound}}", "{\"a\":\"2%\",\"b\":{\"limit\":\"2%\",\"on\":\"bound\"}}");
    MEANS("1: a\ntrue: b\naccents=no: c\n", "{\"1\":\"a\",\"true\":\"b\",\"accents=no\":\"c\"}");
    MEANS("a: |\n  x\n  y\nb: >-\n  p\n  q\n", "{\"a\":\"x\\ny\\n\",\"b\":\"p q\"}");
    MEANS("descrição: maçã # comment\r\nb: 2\r\n", "{\"descrição\":\"maçã\",\"b\":2}");
    MEANS("", "");
    MEANS("# nothing\n", "");
    MEANS("\xef\xbb\xbf"
          "a: 1\n",
        "{\"a\":1}");
}

static void aliases(void **state)
{
    (void)state;
    MEANS("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n",
        "{\"a\":{\"k\":[1,2]},\"b\":{\"k\":[1,2]},\"c\":[{\"k\":[1,2]},{\"k\":[1,2]}]}");
    MEANS("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
    MEANS("a: &x k\nb: {*x : 1}\n", "{\"a\":\"k\",\"b\":{\"k\":1}}");
    refuses("a: *nowhere\n", "line 1, column 5: alias 'nowhere' without an anchor before it");
    refuses("a: &x [1, *x]\n", "line 1, column 12: alias 'x' inside its own anchor");
    refuses("a: &x {b: {c: *x}}\n", "inside its own anchor");
    refuses("a: &x [1]\n*x : 2\n", "an alias for a key must stand for a string");
}

static void refused(void **state)
{
    (void)state;
    refuses("a: 1\nb: 2\na: 3\n", "t.yml: line 3, column 1: key 'a' is given twice");
    refuses("a: {x: 1, \"x\": 2}\n", "line 1, column 11: key 'x' is given twice");
    refuses("a: 'x''''y'\n", "line 1, column 4: two quotes in a row within single quotes");
    refuses("a: 1\n---\nb: 2\n", "line 2, column 1: a second document");
    refuses("[a, b]: 1\n", "line 1, column 1: a key must be a scalar");
    refuses("? {a: 1}\n: 1\n", "a key must be a scalar");
    refuses("a: !color red\n", "line 1, column 11: a tag that means nothing here");
    refuses("a: !!int x\n", "'x' is no !!int");
    refuses("a: .inf\n", "line 1, column 4: '.inf' is not a finite number");
    refuses("a: -.NaN\n", "not a finite number");
    refuses("a: 1e999\n", "not a finite number");
    refuses("a: [1, 2\n", "line");
    refuses("a: b: c\n", "line 1");
    refuses("a: \"x\n", "line");
    refuses("a:\n\t- b\n", "line 2");
    refuses("a: 1\nb: \xc3\x28\n", "t.yml: line 2, column 4: not UTF-8");
    refuses("a: \"\\0\"\n", "NUL");
    refuses_bytes("a: 1\0b", 6, "t.yml");
}

/* What is quoted in a message is cut, never inside a character. */
static void messages(void **state)
{
    (void)state;
    struct ml_yaml y = ML_YAML_INIT;
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf text = ML_BUF_INIT;
    for (int i = 0; i < 2; i++) {
        ml_buf_addc(&text, 'x');
        for (int k = 0; k < 60; k++)
            ml_buf_adds(&text, "é");
        ml_buf_adds(&text, ": 1\n");
    }
    assert_int_equal(ml_yaml_parse(&y, ml_buf_str(&text), text.len, "t.yml", &err), -1);
    assert_int_equal(ml_utf8_check(err.msg, strlen(err.msg)), strlen(err.msg));
    assert_non_null(strstr(err.msg, "is given twice"));
    ml_buf_release(&text);
}

/* A billion laughs: nine levels of nine aliases each. */
static void bomb(void **state)
{
    (void)state;
    struct ml_buf text = ML_BUF_INIT;
    ml_buf_adds(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 12; i++) {
        ml_buf_addf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            ml_buf_addf(&text, "%s*a%d", k ? ", " : "", i - 1);
        ml_buf_adds(&text, "]\n");
    }
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double t = ml_clock_monotonic();
    refuses(ml_buf_str(&text), "aliases repeat too much");
    assert_true(ml_clock_monotonic() - t < 20); /* also under valgrind; a quadratic check of a bomb takes minutes */
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
    ml_buf_release(&text);

    /* few aliases of one long text */
    struct ml_buf fat = ML_BUF_INIT;
    ml_buf_adds(&fat, "a: &a ");
    for (int i = 0; i < 100000; i++)
        ml_buf_addc(&fat, 'x');
    ml_buf_adds(&fat, "\nb: [");
    for (int i = 0; i < 20; i++)
        ml_buf_adds(&fat, "*a, ");
    ml_buf_adds(&fat, "]\n");
    refuses(ml_buf_str(&fat), "aliases repeat too much");
    ml_buf_release(&fat);
}

static void limits(void **state)
{
    (void)state;
    struct ml_buf text = ML_BUF_INIT;
    for (int i = 0; i < ML_YAML_KEYS; i++)
        ml_buf_addf(&text, "k%d: 1\n", i);
    double t = ml_clock_monotonic();
    char *ok = as_json(ml_buf_str(&text));
    free(ok);
    assert_true(ml_clock_monotonic() - t < 20); /* also under valgrind; a quadratic check of a bomb takes minutes */
    ml_buf_adds(&text, "more: 1\n");
    refuses(ml_buf_str(&text), "line 5001, column 1: more than 5000 keys");

    ml_buf_reset(&text);
    ml_buf_adds(&text, "a: &a {");
    for (int i = 0; i < 1000; i++)
        ml_buf_addf(&text, "k%d: 1, ", i);
    ml_buf_adds(&text, "}\nb: [*a, *a, *a, *a, *a]\n");
    refuses(ml_buf_str(&text), "more than 5000 keys");

    ml_buf_reset(&text);
    for (int i = 0; i < 40000; i++)
        ml_buf_addc(&text, '[');
    refuses(ml_buf_str(&text), "more than 32 levels");

    /* the library reads ahead through brackets, and each anchor is looked for among all others */
    ml_buf_reset(&text);
    for (int i = 0; i < 1000000; i++)
        ml_buf_addc(&text, '{');
    refuses(ml_buf_str(&text), "more than 50000 brackets and commas");
    ml_buf_reset(&text);
    for (int i = 0; i < 200000; i++)
        ml_buf_adds(&text, "- a\n");
    refuses(ml_buf_str(&text), "line 50000, column 3: more than 50000 values");
    ml_buf_reset(&text);
    for (int i = 0; i < 80000; i++)
        ml_buf_addf(&text, "- &a%d a\n", i);
    refuses(ml_buf_str(&text), "line 1001, column 10: more than 1000 anchors");

    ml_buf_reset(&text);
    for (size_t i = 0; i <= ML_YAML_MAX; i++)
        ml_buf_addc(&text, ' ');
    refuses_bytes(ml_buf_str(&text), text.len, "longer than 1048576 bytes");

    /* a mebibyte of keys that share a long beginning, of flow braces, of quotes */
    ml_buf_reset(&text);
    for (int i = 0; i < 4900; i++)
        ml_buf_addf(&text, "%0200d: 1\n", i);
    t = ml_clock_monotonic();
    ok = as_json(ml_buf_str(&text));
    free(ok);
    assert_true(ml_clock_monotonic() - t < 20); /* also under valgrind; a quadratic check of a bomb takes minutes */
    ml_buf_release(&text);
}

static void places(void **state)
{
    (void)state;
    const char *text = "min_rows: 5\nmetrics:\n  accuracy:\n    mni: 0.6\n  f1: [1,\n    2]\n";
    struct ml_yaml y = ML_YAML_INIT;
    struct ml_err err = ML_ERR_INIT;
    assert_int_equal(ml_yaml_parse(&y, text, strlen(text), "p.yml", &err), 0);
    const cJSON *bad = ml_json_path(y.root, "metrics.accuracy.mni");
    const struct ml_yaml_place *p = ml_yaml_where(&y, bad);
    assert_non_null(p);
    assert_int_equal(p->line, 4);
    assert_int_equal(p->column, 5);
    p = ml_yaml_where(&y, cJSON_GetArrayItem(ml_json_path(y.root, "metrics.f1"), 1));
    assert_int_equal(p->line, 6);
    assert_int_equal(ml_yaml_fail(&y, bad, &err, ML_USAGE, "unknown key '%s'", bad->string), -1);
    assert_string_equal(err.msg, "p.yml: line 4: unknown key 'mni'");
    assert_int_equal(err.code, ML_USAGE);
    assert_null(ml_yaml_where(&y, NULL));
    ml_yaml_release(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(aliases),
        cmocka_unit_test(refused),
        cmocka_unit_test(messages),
        cmocka_unit_test(bomb),
        cmocka_unit_test(limits),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
