/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people and other programs read: rounded numbers, JUnit, OpenMetrics, pictures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/junit.h"
#include "data/number.h"
#include "data/openmetrics.h"
#include "data/svg.h"

static void digits(void **state)
{
    static const struct {
        double x, low, high;
        bool sign;
        const char *text;
    } cases[] = {
        { 0.6606, 0.6377, 0.6827, false, "0.661" },
        { 0.0236, 0.0122, 0.0358, true, "+0.024" },
        { -0.0236, -0.0358, -0.0122, true, "-0.024" },
        { 0.66061, 0.66041, 0.66081, false, "0.66061" },
        { 1234.5, 1000, 1500, false, "1234" }, /* round half to even: 1234.5 */
        { 12.345, 10, 14, false, "12.3" },
        { 0.00001, -0.01, 0.01, true, "0.000" },
        { -0.00001, -0.01, 0.01, true, "0.000" },
        { 0, 0, 0, true, "0" },
        { 0.123456, 0.123456, 0.123456, false, "0.1235" },
        { 0.5, NAN, NAN, true, "+0.5" },
        { NAN, 0, 1, false, "-" },
        { INFINITY, 0, 1, false, "-" },
        { 1e300, 0, 1, false, "1e+300" },
        { 31712.4, NAN, NAN, false, "31712" }, /* no power of ten where whole digits do */
        { -99999.6, NAN, NAN, true, "-100000" },
        { 1e-20, 0, 1e-19, false, "0.000000000000" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[ML_NUMBER_LEN];
        ml_number_format(cases[i].x, ml_number_decimals(cases[i].low, cases[i].high), cases[i].sign, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void plain(void **state)
{
    static const struct {
        double x;
        int digits;
        const char *text;
    } cases[] = {
        { 48061, 4, "48061" },
        { 5e8, 4, "500000000" },
        { 6711.6, 2, "6712" },
        { 99.96, 3, "100" },
        { 0.00581, 2, "0.0058" },
        { 1e15, 4, "1e+15" },
        { -25000.4, 4, "-25000" },
        { 0, 4, "0" },
        { 3e-7, 2, "3e-07" },
        { INFINITY, 4, "inf" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(ML_PLAIN(cases[i].x, cases[i].digits), cases[i].text);
}

static void junit(void **state)
{
    (void)state;
    struct ml_junit j = ML_JUNIT_INIT("s");
    struct ml_buf out = ML_BUF_INIT;
    ml_junit_add(&j, "c", "a", ML_JUNIT_PASSED, NULL, NULL);
    ml_junit_add(&j, "c", "a", ML_JUNIT_FAILED, "x < y & \"z\"\n\x01", NULL);
    ml_junit_add(&j, "d", "a", ML_JUNIT_SKIPPED, "\xef\xbf\xbf\xff", NULL);
    ml_junit_add(&j, "c", "a", ML_JUNIT_PASSED, "note", "d < e");
    ml_junit_finish(&j, &out);
    assert_string_equal(ml_buf_str(&out),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
        "  <testsuite name=\"s\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\">\n"
        "    <testcase classname=\"c\" name=\"a\"/>\n"
        "    <testcase classname=\"c\" name=\"a (2)\">\n"
        "      <failure message=\"x &lt; y &amp; &quot;z&quot;&#10;?\">x &lt; y &amp; &quot;z&quot;&#10;?</failure>\n"
        "    </testcase>\n"
        "    <testcase classname=\"d\" name=\"a\">\n      <skipped message=\"??\"/>\n    </testcase>\n"
        "    <testcase classname=\"c\" name=\"a (3)\">\n      <system-out>note&#10;d &lt; e</system-out>\n    "
        "</testcase>\n"
        "  </testsuite>\n</testsuites>\n");
    ml_buf_release(&out);
}

static void openmetrics(void **state)
{
    (void)state;
    struct ml_buf out = ML_BUF_INIT;
    const char *none[] = { NULL }, *absent[] = { "a", NULL, NULL, NULL }, *two[] = { "a", "#\"\\\n", "b", "x", NULL };
    ml_openmetrics_family(&out, "f", "one\ntwo \\");
    ml_openmetrics_sample(&out, "f", none, "1");
    ml_openmetrics_sample(&out, "f", absent, "2");
    ml_openmetrics_sample(&out, "f", two, "3");
    ml_openmetrics_finish(&out);
    assert_string_equal(ml_buf_str(&out),
        "# TYPE f gauge\n# HELP f one\\ntwo \\\\\nf 1\nf 2\nf{a=\"%23\\\"\\\\\\n\",b=\"x\"} 3\n# EOF\n");
    ml_buf_release(&out);
}

static void svg(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t cells;
        const char *cut; /* to seven */
    } cases[] = {
        { "", 0, "" },
        { "seven77", 7, "seven77" },
        { "eight888", 8, "eig…888" },
        { "日本語", 6, "日本語" },
        { "日本語日", 8, "日…語日" },
        { "éééééééé", 8, "ééé…ééé" },
        { "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "\xff\xff\xff…\xff\xff\xff" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *cut = ml_svg_cut(cases[i].text, 7);
        assert_int_equal(ml_svg_cells(cases[i].text), cases[i].cells);
        assert_string_equal(cut, cases[i].cut);
        assert_true(ml_svg_cells(cut) <= 7);
        free(cut);
    }
    for (double limit = 1e-280; limit < 1e300; limit *= 1.37) {
        double n = limit / ml_svg_step(limit);
        assert_true(n > 1.5 && n < 4.01);
    }
    struct ml_svg s = ML_SVG_INIT;
    struct ml_buf out = ML_BUF_INIT;
    ml_svg_text(&s, 1.005, -0.001, 'm', "t", "<a href=\"x\">&\n\xe2\x80\xae\xff");
    ml_svg_finish(&s, 10.2, 5, "t", "d", &out);
    assert_non_null(strstr(ml_buf_str(&out), "<text x=\"1\" y=\"0\" class=\"t\" text-anchor=\"middle\">&lt;a "
                                             "href=&quot;x&quot;&gt;&amp;\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd</text>"));
    assert_non_null(strstr(ml_buf_str(&out), "width=\"11\" height=\"5\" viewBox=\"0 0 11 5\""));
    ml_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits),
        cmocka_unit_test(plain),
        cmocka_unit_test(junit),
        cmocka_unit_test(openmetrics),
        cmocka_unit_test(svg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
