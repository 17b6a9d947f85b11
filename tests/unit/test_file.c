/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files: limits, atomic writing, what a kill leaves, directories. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "place.h"

static int entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = -2;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static char *content(const char *path)
{
    struct ml_buf b = ML_BUF_INIT;

    if (ml_file_read(path, &b, NULL) < 0)
        return NULL;
    return ml_buf_detach(&b);
}

static void has(const char *path, const char *text)
{
    char *s = content(path);

    assert_non_null(s);
    assert_string_equal(s, text);
    free(s);
}

static void reads_with_a_limit(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf b = { .max = 5 };

    (void)state;
    assert_int_equal(ml_file_write("f", "12345", 5, 0644, &err), 0);
    assert_int_equal(ml_file_read("f", &b, &err), 0);
    assert_string_equal(b.data, "12345");
    ml_buf_release(&b);
    assert_int_equal(ml_file_write("f", "123456", 6, 0644, &err), 0);
    assert_int_equal(ml_file_read("f", &b, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    assert_string_equal(err.msg, "'f' is larger than 5 bytes");
    ml_buf_release(&b);
    assert_int_equal(ml_file_read("nowhere", &b, &err), -1);
    assert_string_equal(err.msg, "cannot open 'nowhere': No such file or directory");
    assert_int_equal(ml_file_read(".", &b, &err), -1);
    assert_string_equal(err.msg, "cannot read '.': Is a directory");
    assert_int_equal(ml_file_read("/dev/zero", &b, &err), -1);
    ml_buf_release(&b);
}

static void writes_at_once(void **state)
{
    struct ml_outfile f = ML_OUTFILE_INIT;
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_file_write("f", "old", 3, 0644, &err), 0);
    assert_int_equal(ml_outfile_open(&f, "f", 0644, &err), 0);
    assert_int_equal(ml_outfile_write(&f, "new", 3, &err), 0);
    has("f", "old"); /* nothing shows before the commit */
    assert_int_equal(entries("."), 2);
    assert_int_equal(ml_outfile_commit(&f, &err), 0);
    has("f", "new");
    assert_int_equal(entries("."), 1);
    ml_outfile_abort(&f);
    ml_outfile_abort(&f);
    has("f", "new");

    assert_int_equal(ml_outfile_open(&f, "f", 0644, &err), 0);
    assert_int_equal(ml_outfile_write(&f, "half", 4, &err), 0);
    ml_outfile_abort(&f);
    has("f", "new");
    assert_int_equal(entries("."), 1);

    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(ml_outfile_open(&f, "d/unnamed", 0644, &err), 0);
    assert_int_equal(ml_outfile_write(&f, "x", 1, &err), 0);
    assert_int_equal(ml_outfile_commit_as(&f, "d/named", &err), 0);
    has("d/named", "x");
    assert_int_equal(entries("d"), 1);
}

static void mode_follows_umask(void **state)
{
    mode_t old = umask(027);
    struct stat st;

    (void)state;
    assert_int_equal(ml_file_write("f", "", 0, 0666, NULL), 0);
    umask(old);
    assert_int_equal(stat("f", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_size, 0);
}

static void refuses_to_write(void **state)
{
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_file_write("nowhere/f", "x", 1, 0644, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    assert_string_equal(err.msg, "cannot write 'nowhere/f': No such file or directory");
    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(ml_file_write("d", "x", 1, 0644, &err), -1);
    assert_string_equal(err.msg, "cannot write 'd': Is a directory");
    assert_int_equal(ml_file_write("/dev/full", "x", 1, 0644, &err), -1);
    assert_string_equal(err.msg, "cannot write '/dev/full': No space left on device");
    assert_int_equal(ml_file_write("/dev/null", "x", 1, 0644, &err), 0); /* written to, not replaced */
    assert_int_equal(entries("."), 1);
}

/* A child writes one content after the other and is killed somewhere in it: the file always is whole. */
static void kill_leaves_it_whole(void **state)
{
    enum { SIZE = 300000 };
    const char *more = getenv("MLCI_KILLS");
    const int kills = more ? (int)strtol(more, NULL, 10) : 60;
    char *text = ml_malloc(SIZE), *s;
    int leftovers = 0;

    (void)state;
    memset(text, 'a', SIZE);
    assert_int_equal(ml_file_write("f", text, SIZE, 0644, NULL), 0);
    for (int i = 0; i < kills; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            for (char c = 'b';; c = c == 'z' ? 'b' : (char)(c + 1)) {
                memset(text, c, SIZE);
                if (ml_file_write("f", text, SIZE, 0644, NULL) < 0)
                    _exit(1);
            }
        }
        ml_clock_sleep(0.002 + 0.0003 * (i % 60));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        s = content("f");
        assert_non_null(s);
        assert_int_equal(strlen(s), SIZE);
        for (size_t k = 1; k < SIZE; k++)
            if (s[k] != s[0])
                fail_msg("kill %d: byte %zu is of another version", i, k);
        free(s);
        leftovers += entries(".") > 1;
    }
    print_message("# %d of %d kills hit while a temporary file was there\n", leftovers, kills);
    assert_true(leftovers > 0);
    free(text);
}

static void directories(void **state)
{
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_mkdirs("a/b//c/", &err), 0);
    assert_int_equal(ml_mkdirs("a/b/c", &err), 0);
    assert_int_equal(entries("a/b"), 1);
    assert_int_equal(ml_mkdirs("/tmp", &err), 0);
    assert_int_equal(ml_mkdirs("", &err), -1);
    assert_int_equal(ml_file_write("a/f", "", 0, 0644, &err), 0);
    assert_int_equal(ml_mkdirs("a/f/x", &err), -1);
    assert_string_equal(err.msg, "cannot make directory 'a/f': File exists");

    /* links are removed, not followed */
    assert_int_equal(ml_mkdirs("kept", &err), 0);
    assert_int_equal(ml_file_write("kept/f", "", 0, 0644, &err), 0);
    assert_int_equal(symlink("../kept", "a/link"), 0);
    assert_int_equal(ml_remove_all("a", &err), 0);
    assert_int_equal(access("a", F_OK), -1);
    assert_int_equal(access("kept/f", F_OK), 0);
    assert_int_equal(ml_remove_all("a", &err), 0);
    assert_int_equal(ml_remove_all("kept/f", &err), 0);
    assert_int_equal(entries("kept"), 0);
}

static void joins(void **state)
{
    static const char *const t[][3] = { { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "a", "/b", "/b" },
        { "", "b", "b" }, { "/", "b", "/b" } };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *s = ml_path_join(t[i][0], t[i][1]);

        assert_string_equal(s, t[i][2]);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_with_a_limit, enter, leave),
        cmocka_unit_test_setup_teardown(writes_at_once, enter, leave),
        cmocka_unit_test_setup_teardown(mode_follows_umask, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_to_write, enter, leave),
        cmocka_unit_test_setup_teardown(kill_leaves_it_whole, enter, leave),
        cmocka_unit_test_setup_teardown(directories, enter, leave),
        cmocka_unit_test(joins),
    };

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
