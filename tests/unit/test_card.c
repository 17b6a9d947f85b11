/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The card: what isn't ours stays byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/card.h"

static const char start[] = "\xef\xbb\xbf";

static void begins(void **state)
{
    struct ml_card c;
    struct ml_err err = ML_ERR_INIT;
    cJSON *v = cJSON_CreateObject();

    (void)state;
    ml_card_init(&c);
    assert_null(ml_card_get(&c, "smoke", &err));
    assert_int_equal(err.code, 0);
    ml_json_set_num(v, "cases", 40);
    ml_card_set(&c, "smoke", v);
    assert_string_equal(c.text.data, "{\n  \"schema\": \"mlci.card/1\",\n  \"smoke\": {\n    \"cases\": 40\n  }\n}");
    v = ml_card_get(&c, "smoke", &err);
    assert_true(ml_json_get(v, "cases")->valuedouble == 40);
    cJSON_Delete(v);
    ml_card_release(&c);
}

static void passes_on_what_it_does_not_know(void **state)
{
    /* numbers that a double can't hold, white space, order, escapes, case, unknown sections and keys */
    static const char before[] =
        "\n{ \"mine\" : {\"id\": 12345678901234567890123, \"x\":1.500, \"e\": 1E+2 ,\"s\":\"\\u00e9\\/\"},"
        "\"schema\"\t:\"mlci.card/1\",\n\"Smoke\": 1, \"smoke\": {\"old\": [1,2, 3]}  ,\"z\":[ ]}\n ";
    static const char after[] =
        "\n{ \"mine\" : {\"id\": 12345678901234567890123, \"x\":1.500, \"e\": 1E+2 ,\"s\":\"\\u00e9\\/\"},"
        "\"schema\"\t:\"mlci.card/1\",\n\"Smoke\": 1, \"smoke\": {\n    \"cases\": 2\n  }  ,\"z\":[ ]}\n ";
    struct ml_card c;
    struct ml_err err = ML_ERR_INIT;
    cJSON *v;

    (void)state;
    assert_int_equal(ml_card_parse(&c, before, strlen(before), "c", &err), 0);
    for (int again = 0; again < 2; again++) {
        v = cJSON_CreateObject();
        ml_json_set_num(v, "cases", 2);
        ml_card_set(&c, "smoke", v);
        assert_string_equal(c.text.data, after);
    }
    assert_null(ml_card_get(&c, "Smoke", &err));
    assert_int_equal(err.code, ML_LOCAL);
    assert_string_equal(err.msg, "the card's section 'Smoke' is not an object");
    ml_card_release(&c);
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } t[] = {
        { "", "'c': line 1, column 1: the text ends" },
        { "[1,]", "'c': line 1, column 4: not a value" },
        { "[]", "'c' is not a card: a JSON object was expected" },
        { "id,label,prediction\n", "'c' is not a card: a JSON object was expected, as ml-eval writes it" },
        { "{}", "'c' is not a card: it has no \"schema\"" },
        { "{\"schema\": 1}", "'c' is not a card: it has no \"schema\"" },
        { "{\"Schema\": \"mlci.card/1\"}", "'c' is not a card: it has no \"schema\"" },
        { "{\"schema\": \"mlci.card/2\"}", "'c' has the unknown schema 'mlci.card/2'" },
        { "{\"schema\": \"mlci.card/10\"}", "'c' has the unknown schema 'mlci.card/10'" },
        { "{\"schema\": \"mlci.card/1\", \"schema\": \"mlci.card/1\"}", "'c': line 1, column 27: duplicate key" },
        { "{\"schema\": \"mlci.card/1\"} x", "'c': line 1, column 27: more text" },
        { "{\"schema\": \"mlci.card/1\", \"a\": \"\xff\"}", "invalid UTF-8" },
        { "{\"schema\": \"mlci.card/1\", \"a\": NaN}", "not a value" },
        { "\xef\xbb\xbf{\"schema\": \"mlci.card/1\"}", "line 1, column 1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct ml_err err = ML_ERR_INIT;
        struct ml_card c;

        if (ml_card_parse(&c, t[i].text, strlen(t[i].text), "c", &err) != -1 || err.code != ML_LOCAL ||
            !strstr(err.msg, t[i].why))
            fail_msg("%s: %s", t[i].text, err.msg);
        ml_card_release(&c);
    }
    assert_true(ml_card_looks("{\"schema\": \"mlci.card/2\"}", 25));
    assert_false(ml_card_looks("{\"accuracy\": 1}", 15));
    assert_false(ml_card_looks(start, 3));
    assert_false(ml_card_looks("{\"schema\": \"mlci.card/2\"", 24));
}

static void comes_from_files(void **state)
{
    char path[] = "/tmp/mlci-unit.XXXXXX";
    struct ml_common common = { .card = path };
    struct ml_err err = ML_ERR_INIT;
    struct ml_card c;

    (void)state;
    close(mkstemp(path));
    assert_int_equal(ml_card_start(&c, &common, &err), -1); /* an empty file isn't "no card" */
    assert_int_equal(err.code, ML_LOCAL);
    ml_card_release(&c);
    assert_int_equal(ml_file_write(path, "{\"schema\": \"mlci.card/1\", \"a\": 1}", 33, 0600, &err), 0);
    assert_int_equal(ml_card_start(&c, &common, &err), 0);
    assert_non_null(strstr(c.text.data, "\"a\": 1"));
    ml_card_release(&c);
    assert_int_equal(ml_card_filter(&c, &common, &err), 0);
    ml_card_release(&c);
    common.card = NULL;
    assert_int_equal(ml_card_start(&c, &common, &err), 1);
    assert_string_equal(c.text.data, "{\n  \"schema\": \"mlci.card/1\"\n}");
    ml_card_release(&c);
    assert_non_null(freopen("/dev/null", "r", stdin)); /* an empty standard input is "no card" */
    assert_int_equal(ml_card_filter(&c, &common, &err), 1);
    ml_card_release(&c);
    assert_non_null(freopen(path, "r", stdin));
    assert_int_equal(ml_card_filter(&c, &common, &err), 0);
    assert_non_null(strstr(c.text.data, "\"a\": 1"));
    ml_card_release(&c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins),
        cmocka_unit_test(passes_on_what_it_does_not_know),
        cmocka_unit_test(refuses),
        cmocka_unit_test(comes_from_files),
    };

    return cmocka_run_group_tests_name("card", tests, NULL, NULL);
}
