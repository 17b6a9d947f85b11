/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cache directory: where it is, what it keeps, and that it never matters. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cache.h"
#include "base/file.h"
#include "place.h"

static int enter_cached(void **state)
{
    char *cache;

    if (enter(state))
        return -1;
    cache = ml_path_join(*state, "cache");
    setenv("ML_CACHE", cache, 1);
    free(cache);
    return 0;
}

static void is(const char *name, const char *want)
{
    struct ml_buf b = ML_BUF_INIT;
    bool found = ml_cache_read(name, &b);

    assert_int_equal(found, want != NULL);
    if (want)
        assert_string_equal(ml_buf_str(&b), want);
    ml_buf_release(&b);
}

static int mode(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (int)(st.st_mode & 0777);
}

static void age(const char *path, int days)
{
    struct timespec t[2] = { { .tv_sec = time(NULL) - days * 86400L }, { .tv_sec = time(NULL) - days * 86400L } };

    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void keeps(void **state)
{
    mode_t before = umask(0);

    (void)state;
    is("one/a.json", NULL);
    ml_cache_write("one/a.json", "first", 5);
    is("one/a.json", "first");
    ml_cache_write("one/a.json", "2", 1);
    is("one/a.json", "2");
    ml_cache_write("b", "", 0);
    is("b", "");
    assert_int_equal(mode("cache"), 0700);
    assert_int_equal(mode("cache/one"), 0700);
    assert_int_equal(mode("cache/one/a.json.mlci"), 0600);
    umask(before);
}

static void has_limits(void **state)
{
    struct ml_buf b;

    (void)state;
    ml_cache_write("a", "12345", 5);
    ml_buf_init(&b, 4);
    assert_false(ml_cache_read("a", &b));
    ml_buf_release(&b);
    assert_int_equal(symlink("a.mlci", "cache/link.mlci"), 0);
    is("link", NULL);
    assert_int_equal(mkfifo("cache/pipe.mlci", 0600), 0);
    is("pipe", NULL);
}

static void forgets(void **state)
{
    (void)state;
    ml_cache_write("d/old", "x", 1);
    ml_cache_write("d/used", "x", 1);
    age("cache/d/old.mlci", 31);
    age("cache/d/used.mlci", 31);
    is("d/used", "x");
    assert_int_equal(ml_file_write("cache/d/theirs", "x", 1, 0600, NULL), 0);
    age("cache/d/theirs", 3000);
    ml_cache_write("d/new", "x", 1);
    assert_int_equal(access("cache/d/theirs", F_OK), 0);
    is("d/old", NULL);
    is("d/used", "x");
    is("d/new", "x");
}

static void names(void **state)
{
    static const char *const bad[] = { "", "/etc/passwd", "../x", "a/../x", "a/", "a/b/c", ".x", "a b", "a\n" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(ml_cache_path(bad[i]));
}

/* absent, a file in its place, not to be written: everything is as if nothing had ever been kept */
static void never_matters(void **state)
{
    (void)state;
    assert_int_equal(ml_file_write("file", "x", 1, 0644, NULL), 0);
    setenv("ML_CACHE", "file", 1);
    assert_null(ml_cache_path("a"));
    ml_cache_write("a", "x", 1);
    is("a", NULL);
    setenv("ML_CACHE", "/proc/nowhere", 1);
    ml_cache_write("a", "x", 1);
    is("a", NULL);
}

static void where(void **state)
{
    static const struct {
        const char *own, *caches, *home, *want;
    } t[] = {
        { "c1", "/nowhere", "/nowhere", "c1/a.mlci" },
        { "", "%/c2", "/nowhere", "%/c2/mlci/a.mlci" },
        { NULL, "c3", "%", "%/.cache/mlci/a.mlci" },
        { NULL, NULL, "%", "%/.cache/mlci/a.mlci" },
        { NULL, NULL, NULL, NULL },
    };
    const char *vars[] = { "ML_CACHE", "XDG_CACHE_HOME", "HOME" };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const char *values[] = { t[i].own, t[i].caches, t[i].home };
        char *got, *want = NULL;

        for (int v = 0; v < 3; v++) {
            char *s = values[v] && *values[v] == '%' ? ml_format("%s%s", (char *)*state, values[v] + 1) : NULL;

            if (values[v])
                setenv(vars[v], s ? s : values[v], 1);
            else
                unsetenv(vars[v]);
            free(s);
        }
        if (t[i].want)
            want = *t[i].want == '%' ? ml_format("%s%s", (char *)*state, t[i].want + 1) : ml_strdup(t[i].want);
        got = ml_cache_path("a");
        if (want)
            assert_string_equal(got, want);
        else
            assert_null(got);
        free(got);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps, enter_cached, leave),
        cmocka_unit_test_setup_teardown(has_limits, enter_cached, leave),
        cmocka_unit_test_setup_teardown(forgets, enter_cached, leave),
        cmocka_unit_test_setup_teardown(names, enter_cached, leave),
        cmocka_unit_test_setup_teardown(never_matters, enter_cached, leave),
        cmocka_unit_test_setup_teardown(where, enter_cached, leave),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
