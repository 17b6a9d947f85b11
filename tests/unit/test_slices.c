/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns that describe rows: what they hold doesn't depend on how they were read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/feature.h"

static void add_text(struct ml_feature *f, const char *s)
{
    ml_feature_add(f, (struct ml_cell){ s, strlen(s) });
}

/* Row i of a column with so many different numbers and texts. */
static void value_text(size_t i, size_t numbers, size_t texts, char out[32])
{
    size_t at = i * 7919 % (numbers + texts);

    if (at < numbers)
        snprintf(out, 32, "%zu.%zu", at, at % 10);
    else
        snprintf(out, 32, "t%zu", at - numbers);
}

static void build(struct ml_feature *f, size_t rows, size_t numbers, size_t texts, size_t part_rows)
{
    struct ml_feature part = { .optional = f->optional };
    char text[32];

    for (size_t i = 0; i < rows; i++) {
        value_text(i, numbers, texts, text);
        add_text(part_rows ? &part : f, text);
        if (part_rows && ((i + 1) % part_rows == 0 || i + 1 == rows)) {
            ml_feature_append(f, &part);
            ml_feature_reset(&part);
        }
    }
    ml_feature_release(&part);
}

static void same_column(size_t rows, size_t numbers, size_t texts, bool optional)
{
    static const size_t parts[] = { 0, 1, 7, 3000, 5000, 100000 };
    struct ml_feature one = { .optional = optional };

    build(&one, rows, numbers, texts, 0);
    assert_int_equal(one.given_up, optional && texts > ML_FEATURE_TEXTS);
    if (!one.given_up)
        assert_int_equal(one.wide != NULL, numbers > ML_FEATURE_NUMBERS);
    for (size_t k = 1; k < sizeof parts / sizeof *parts; k++) {
        struct ml_feature f = { .optional = optional };

        build(&f, rows, numbers, texts, parts[k]);
        assert_true(f.n == one.n && f.given_up == one.given_up && !f.wide == !one.wide && f.dict.n == one.dict.n);
        for (size_t i = 0; i < f.n; i++) {
            double x = ml_feature_number(&f, i), y = ml_feature_number(&one, i);

            assert_true(isnan(x) ? isnan(y) && ml_feature_text(&f, i) == ml_feature_text(&one, i) : x == y);
        }
        for (size_t i = 0; i < f.dict.n; i++)
            assert_string_equal(ml_intern_text(&f.dict, (uint32_t)i), ml_intern_text(&one.dict, (uint32_t)i));
        ml_feature_release(&f);
    }
    ml_feature_release(&one);
}

static void parts_make_the_same_column(void **state)
{
    (void)state;
    same_column(3000, 5, 3, false);
    same_column(20000, ML_FEATURE_NUMBERS, 2, false);
    same_column(20000, ML_FEATURE_NUMBERS + 1, 2, true);
    same_column(20000, 6000, 500, false);
    same_column(0, 5, 3, false);
    same_column(150000, 10, ML_FEATURE_TEXTS, true);
    same_column(150000, 10, ML_FEATURE_TEXTS + 1, true);
    same_column(150000, 10, ML_FEATURE_TEXTS + 1, false);
    same_column(150000, 5000, ML_FEATURE_TEXTS, true);
}

struct differing {
    size_t n, last;
};

static void note(void *ctx, size_t i)
{
    struct differing *d = ctx;

    d->n++;
    d->last = i;
}

static void compares_by_value(void **state)
{
    static const char *const a[] = { "1", "1.0", "x", "", "2", "007" }, *const b[] = { "1.0", "1", "x", "", "two",
        "7" };
    uint32_t rows[6] = { 0, 1, 2, 3, 4, 5 }, few[2] = { 5, 2 };
    struct ml_feature f = { 0 }, g = { 0 }, wide = { 0 };
    struct differing d = { 0 };
    char text[32];

    (void)state;
    for (int i = 0; i < 6; i++) {
        add_text(&f, a[i]);
        add_text(&g, b[i]);
        add_text(&wide, b[i]);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "%d", i);
        add_text(&wide, text);
    }
    assert_non_null(wide.wide);
    ml_feature_compare(&f, &g, rows, rows, 6, note, &d);
    assert_true(d.n == 2 && d.last == 5); /* "2" and "two", "007" and "7" */
    d = (struct differing){ 0 };
    ml_feature_compare(&wide, &f, rows, rows, 6, note, &d);
    assert_true(d.n == 2 && d.last == 5);
    ml_feature_take(&wide, few, 2);
    assert_true(wide.n == 2 && ml_feature_number(&wide, 0) == 7);
    assert_string_equal(ml_intern_text(&wide.dict, ml_feature_text(&wide, 1)), "x");
    ml_feature_release(&f);
    ml_feature_release(&g);
    ml_feature_release(&wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_make_the_same_column),
        cmocka_unit_test(compares_by_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
