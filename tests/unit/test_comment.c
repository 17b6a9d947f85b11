/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment's pieces: foreign text, links, cutting, and the marker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "model/comment.h"
#include "model/markdown.h"

static void code(void **state)
{
    static const struct {
        const char *text, *markdown;
    } cases[] = {
        { "accuracy", "`accuracy`" },
        { "", "–" },
        { NULL, "–" },
        { "  ", "–" },
        { "a`b", "``a`b``" },
        { "`a", "`` `a ``" },
        { "a``", "``` a`` ```" },
        { " a ", "`  a  `" },
        { "a|b\\|c", "`a│b\\│c`" },
        { "a\nb\r\tc", "`a\xef\xbf\xbd"
                       "b\xef\xbf\xbd\xef\xbf\xbd"
                       "c`" },
        { "\xe2\x80\xae"
          "x\xe2\x80\xa8\xf3\xa0\x81\x80",
            "`\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd`" },
        { "\xff\xc3", "`\xef\xbf\xbd\xef\xbf\xbd`" },
        { "<!-- x --><b>", "`‹!-- x --><b>`" },
        { "ação 🎉", "`ação 🎉`" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_buf out = ML_BUF_INIT;
        ml_md_code(&out, cases[i].text);
        assert_string_equal(ml_buf_str(&out), cases[i].markdown);
        ml_buf_release(&out);
    }
    /* cut after so many characters, never inside one */
    struct ml_buf text = ML_BUF_INIT, out = ML_BUF_INIT;
    for (int i = 0; i < 1000; i++)
        ml_buf_adds(&text, "é");
    ml_md_code(&out, ml_buf_str(&text));
    assert_int_equal(out.len, 2 * ML_MD_TEXT + 3 + 2);
    assert_int_equal(ml_utf8_check(out.data, out.len), out.len);
    ml_buf_release(&text);
    ml_buf_release(&out);
}

static void links(void **state)
{
    static const struct {
        const char *url, *base;
        bool ok;
    } cases[] = {
        { "https://gitlab.example/a/-/jobs/1", NULL, true },
        { "http://127.0.0.1:8080/x%20y", NULL, true },
        { "https://gitlab.example/a", "https://gitlab.example", true },
        { "https://gitlab.example/a", "https://gitlab.example/", true },
        { "https://gitlab.example.evil.example/a", "https://gitlab.example", false },
        { "https://gitlab.example@evil.example/a", "https://gitlab.example", false },
        { "https://x/)[y](z", NULL, false },
        { "https://x/a b", NULL, false },
        { "https://x/<b>", NULL, false },
        { "https://x/\n/close", NULL, false },
        { "javascript:alert", NULL, false },
        { "ftp://x/", NULL, false },
        { "", NULL, false },
        { NULL, NULL, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_buf out = ML_BUF_INIT;
        if (ml_md_link(&out, "job", cases[i].url, cases[i].base) != cases[i].ok || (out.len > 0) != cases[i].ok)
            fail_msg("%s", cases[i].url ? cases[i].url : "NULL");
        ml_buf_release(&out);
    }
}

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void cutting(void **state)
{
    (void)state;
    for (size_t max = 150; max < 3100; max += 7) {
        struct ml_buf body = ML_BUF_INIT;
        for (int i = 0; i < 300; i++)
            ml_buf_addf(&body, "| é %d |\n", i % 10);
        bool fits = characters(ml_buf_str(&body)) + 5 <= max;
        ml_md_finish(&body, max, "tail\n");
        assert_true(characters(ml_buf_str(&body)) <= max);
        assert_int_equal(strcmp(body.data + body.len - 5, "tail\n"), 0);
        assert_int_equal(strstr(body.data, "**Cut here:**") == NULL, fits);
        assert_int_equal(ml_utf8_check(body.data, body.len), body.len);
        const char *cut = strstr(body.data, "\n\n**Cut here:**"); /* whole lines only */
        assert_true(!cut || cut == body.data || cut[-1] == '\n');
        ml_buf_release(&body);
    }
}

static char *note(const char *before, const struct ml_marker *m, const char *name)
{
    struct ml_buf b = ML_BUF_INIT;
    ml_buf_adds(&b, before);
    ml_marker_format(m, name, &b);
    return ml_buf_detach(&b);
}

static void marker(void **state)
{
    static const char *const names[] = { "sections", "a b", "-->", "--!>\n<!--", "x=y pipeline=9", "é", "%41", "A" };
    struct ml_marker m = { .pipeline = 118, .look = 3 }, got;
    (void)state;
    snprintf(m.data, sizeof(m.data), "%s", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *body = note("text\n\n", &m, names[i]);
        assert_null(strstr(body + 6 + 4, "--!"));
        assert_ptr_equal(strstr(body, "-->"), body + strlen(body) - 4);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            assert_int_equal(ml_marker_parse(body, names[k], &got), i == k);
        assert_true(ml_marker_parse(body, names[i], &got));
        assert_int_equal(got.pipeline, 118);
        assert_int_equal(got.look, 3);
        assert_string_equal(got.data, m.data);
        free(body);
    }
    /* only the last one counts, and one that doesn't end is none */
    char *body = note("<!-- mlci-comment name=n pipeline=999 look=9 -->\n<!-- mlci-comment name=x", &m, "n");
    assert_true(ml_marker_parse(body, "n", &got));
    assert_int_equal(got.pipeline, 118);
    free(body);
    assert_false(ml_marker_parse("<!-- mlci-comment name=n pipeline=1", "n", &got));
    assert_false(ml_marker_parse("", "n", &got));
    char long_name[2000];
    memset(long_name, '-', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    body = note("", &m, long_name);
    assert_true(ml_marker_parse(body, long_name, &got));
    assert_false(ml_marker_parse(body, long_name + 1, &got));
    free(body);
    /* numbers that can't be are left out */
    assert_true(ml_marker_parse("<!-- mlci-comment name=n pipeline=-1 look=99999999999 data=x= -->", "n", &got));
    assert_int_equal(got.pipeline, 0);
    assert_int_equal(got.look, 0);
    assert_string_equal(got.data, "x=");
}

static void looks(void **state)
{
    struct ml_marker m = { .pipeline = 118, .look = 3, .data = "sha256:a" }, none = { .pipeline = 118 };
    (void)state;
    assert_int_equal(ml_marker_next(NULL, 118, "sha256:a"), 1);
    assert_int_equal(ml_marker_next(&none, 119, NULL), 1);
    assert_int_equal(ml_marker_next(&m, 119, "sha256:a"), 4);
    assert_int_equal(ml_marker_next(&m, 118, "sha256:a"), 3); /* the same job again */
    assert_int_equal(ml_marker_next(&m, 0, "sha256:a"), 4);
    assert_int_equal(ml_marker_next(&m, 119, "sha256:b"), 1);
    assert_int_equal(ml_marker_next(&m, 119, NULL), 4);
}

#define D32 "0123456789abcdef0123456789abcdef"
#define S32 "fedcba9876543210fedcba9876543210"

/* What a note says of uploaded pictures becomes part of the next one: nothing but what we write ourselves is taken. */
static void pictures(void **state)
{
    (void)state;
    struct ml_marker m = { .pipeline = 1,
        .n_pictures = 2,
        .pictures = { { "roc", D32, S32 }, { "confusion", S32, D32 } } },
                     got;
    char *body = note("", &m, "n");
    assert_non_null(strstr(body, " picture=roc:" D32 ":" S32 " picture=confusion:" S32 ":" D32 " -->"));
    assert_true(ml_marker_parse(body, "n", &got));
    assert_int_equal(got.n_pictures, 2);
    assert_string_equal(got.pictures[1].name, "confusion");
    assert_string_equal(got.pictures[0].digest, D32);
    assert_string_equal(got.pictures[0].secret, S32);
    free(body);
    static const char *const bad[] = { "roc:" D32, "roc:" D32 ":", ":" D32 ":" S32, "roc:" D32 ":" S32 "0",
        "r/c:" D32 ":" S32, "roc:" D32 ":)x](javascript:alert(1)0000000000", "seventeenlettersx:" D32 ":" S32, "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        body = ml_format("<!-- mlci-comment name=n pipeline=1 picture=%s -->", bad[i]);
        assert_true(ml_marker_parse(body, "n", &got));
        assert_int_equal(got.n_pictures, 0);
        free(body);
    }
    struct ml_buf many = ML_BUF_INIT;
    ml_buf_adds(&many, "<!-- mlci-comment name=n pipeline=1");
    for (int i = 0; i < 20; i++)
        ml_buf_adds(&many, " picture=roc:" D32 ":" S32);
    ml_buf_adds(&many, " -->");
    assert_true(ml_marker_parse(ml_buf_str(&many), "n", &got));
    assert_int_equal(got.n_pictures, ML_MARKER_PICTURES);
    ml_buf_release(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code),
        cmocka_unit_test(links),
        cmocka_unit_test(cutting),
        cmocka_unit_test(marker),
        cmocka_unit_test(looks),
        cmocka_unit_test(pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
