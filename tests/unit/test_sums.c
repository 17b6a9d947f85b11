/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashing the files of trees beside other work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "oci/file_sums.h"

static char dir[] = "/tmp/mlci-sums.XXXXXX";

static void put(const char *name, const char *text)
{
    char *path = ml_path_join(dir, name);
    struct ml_err err = ML_ERR_INIT;

    assert_int_equal(ml_file_write(path, text, strlen(text), 0644, &err), 0);
    free(path);
}

static int start(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    for (int i = 0; i < 50; i++) {
        char name[16], text[32];

        snprintf(name, sizeof name, "f%02d", i);
        snprintf(text, sizeof text, "file %d", i);
        put(name, text);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    return ml_remove_all(dir, NULL);
}

static void every_file(void **state)
{
    struct ml_tree one = { 0 }, two = { 0 };
    const struct ml_tree *both[] = { &one, &two };
    struct ml_err err = ML_ERR_INIT;
    struct ml_file_sums *s;

    (void)state;
    assert_int_equal(ml_tree_scan(dir, &one, &err), 0);
    assert_int_equal(ml_tree_scan(dir, &two, &err), 0);
    s = ml_file_sums_start(both, 2);
    assert_int_equal(ml_file_sums_wait(s, &err), 0);
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < one.n; i++) {
            struct ml_digest got, want;
            char *path = ml_path_join(dir, one.v[i].path);

            ml_file_sums_get(s, t, i, &got);
            assert_int_equal(ml_digest_file(path, &want, NULL, &err), 0);
            assert_string_equal(got.s, want.s);
            free(path);
        }
    ml_file_sums_free(s);
    s = ml_file_sums_start(both, 0);
    assert_int_equal(ml_file_sums_wait(s, &err), 0);
    ml_file_sums_free(s);
    ml_file_sums_free(NULL);
    ml_tree_release(&one);
    ml_tree_release(&two);
}

static void changed(void **state)
{
    struct ml_tree tree = { 0 };
    const struct ml_tree *one[] = { &tree };
    struct ml_err err = ML_ERR_INIT;
    struct ml_file_sums *s;

    (void)state;
    assert_int_equal(ml_tree_scan(dir, &tree, &err), 0);
    put("f33", "another");
    s = ml_file_sums_start(one, 1);
    assert_int_equal(ml_file_sums_wait(s, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_non_null(strstr(err.msg, "f33"));
    ml_file_sums_free(s);
    /* and one that is given up */
    s = ml_file_sums_start(one, 1);
    ml_file_sums_free(s);
    ml_tree_release(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_file), cmocka_unit_test(changed) };

    return cmocka_run_group_tests_name("sums", tests, start, end);
}
