/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When two JSON values are the same; what of an answer is quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/smoke.h"

/* expected | seen | how ("e" exact, "s" subset, or a tolerance) | where it differs, NULL: it doesn't */
static const struct {
    const char *expected, *seen, *how, *at;
} matches[] = {
    { "1", "1.0", "e", NULL },
    { "1", "\"1\"", "e", "" },
    { "null", "null", "e", NULL },
    { "null", "false", "e", "" },
    { "true", "false", "s", "" },
    { "{\"a\":1,\"b\":[]}", "{\"b\":[],\"a\":1}", "e", NULL },
    { "{\"a\":1}", "{\"A\":1}", "e", "/a" },
    { "{\"a\":1}", "{\"a\":1,\"b\":2}", "e", "/b" },
    { "{\"a\":1}", "{\"a\":1,\"b\":2}", "s", NULL },
    { "{\"a\":null}", "{}", "s", "/a" },
    { "{}", "[]", "s", "" },
    { "[]", "[1]", "s", "" },
    { "[[1,{\"x\":1}]]", "[[1,{\"x\":1,\"y\":2}]]", "s", NULL },
    { "[[1,{\"x\":1}]]", "[[1,{\"x\":2,\"y\":2}]]", "s", "/0/1/x" },
    { "{\"a/b~c\":{\"\":1}}", "{\"a/b~c\":{\"\":2}}", "e", "/a~1b~0c/" },
    { "{\"a\":{\"b\":1},\"c\":1}", "{\"a\":{\"b\":1},\"c\":2}", "e", "/c" },
    { "0.1", "0.1000001", "e", "" },
    { "0.1", "0.1000001", "1e-6", NULL },
    { "0.1", "0.100002", "1e-6", "" },
    { "1e9", "1000000999", "1e-6", NULL },
    { "1e9", "1000001001", "1e-6", "" },
    { "-1e9", "1e9", "1e-6", "" },
    { "0", "1e-7", "1e-6", NULL },
    { "1e308", "-1e308", "0.5", "" },
};

static void matching(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct ml_smoke_case c = { .subset = *matches[i].how == 's' };
        struct ml_smoke_diff diff = { 0 };
        cJSON *seen = cJSON_Parse(matches[i].seen);
        int rc;

        c.tolerance = strtod(matches[i].how, NULL);
        c.json = cJSON_Parse(matches[i].expected);
        rc = ml_smoke_match(&c, seen, &diff);
        if (rc != (matches[i].at != NULL) || (rc && strcmp(diff.at, matches[i].at) != 0))
            fail_msg("%s and %s: %d at '%s'", matches[i].expected, matches[i].seen, rc, rc ? diff.at : "");
        ml_smoke_diff_release(&diff);
        cJSON_Delete(seen);
        cJSON_Delete(c.json);
    }
}

static void quoting(void **state)
{
    char *s = ml_smoke_excerpt("a\n\x1b\xff\xc3\xa9z", 7, 100);
    char *cut = ml_smoke_excerpt("\xc3\xa9\xc3\xa9\xc3\xa9", 6, 3);

    (void)state;
    assert_string_equal(s, "a ??\xc3\xa9z");
    assert_string_equal(cut, "\xc3\xa9\xc3\xa9..."); /* never in the middle of a character */
    free(s);
    free(cut);
    s = ml_smoke_excerpt("", 0, 100);
    assert_string_equal(s, "");
    free(s);
}

static void reading(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf{\"path\": \"/a\"}\r\n\n  \n{\"path\": \"/b\", \"body\": [1.0, 2], \"status\": 404}";
    struct ml_smoke_cases cases;
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_smoke_parse(text, strlen(text), "c", &cases, &err), 0);
    assert_int_equal(cases.n, 2);
    assert_string_equal(cases.v[0].method, "GET");
    assert_int_equal(cases.v[0].status, 200);
    assert_null(cases.v[0].body);
    assert_int_equal(cases.v[1].line, 4);
    assert_string_equal(cases.v[1].method, "POST");
    assert_string_equal(cases.v[1].body, "[1.0, 2]");
    assert_string_equal(cases.v[1].headers.v[0], "Content-Type: application/json");
    assert_int_equal(cases.v[1].status, 404);
    ml_smoke_cases_release(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching),
        cmocka_unit_test(quoting),
        cmocka_unit_test(reading),
    };

    return cmocka_run_group_tests_name("smoke", tests, NULL, NULL);
}
