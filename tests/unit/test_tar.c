/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tar writer: what it writes, and that nothing but content decides it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "oci/tar_view.h"
#include "place.h"

static void put(const char *path, const char *text, mode_t mode)
{
    struct ml_err err = ML_ERR_INIT;

    assert_int_equal(ml_file_write(path, text, strlen(text), mode, &err), 0);
}

static int fresh(void **state)
{
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    return ml_remove_all("t", &err) < 0 ? -1 : mkdir("t", 0755);
}

/* The header of one entry as text, for a look at its fields. */
static void header(struct ml_buf *out, const struct ml_tar_entry *e)
{
    struct ml_err err = ML_ERR_INIT;

    assert_int_equal(ml_tar_header(e, ml_buf_sink, out, &err), 0);
    assert_int_equal(out->len % 512, 0);
}

static void plain_names_need_no_pax(void **state)
{
    struct ml_buf b = ML_BUF_INIT;
    struct ml_tar_entry e = { .path = "app/model/a.bin", .type = ML_TAR_FILE, .mode = 0644, .size = 5 };

    (void)state;
    header(&b, &e);
    assert_int_equal(b.len, 512);
    assert_string_equal(b.data, "app/model/a.bin");
    assert_string_equal(b.data + 100, "0000644");
    assert_string_equal(b.data + 124, "00000000005");
    assert_string_equal(b.data + 136, "00000000000");
    assert_int_equal(b.data[156], '0');
    assert_memory_equal(b.data + 257, "ustar\00000", 8);
    assert_int_equal(b.data[265], 0); /* no user */
    assert_int_equal(b.data[297], 0); /* no group */
    ml_buf_release(&b);
}

static void directories_end_in_a_slash(void **state)
{
    struct ml_buf b = ML_BUF_INIT;
    struct ml_tar_entry e = { .path = "app", .type = ML_TAR_DIR, .mode = 01777, .uid = 7, .gid = 8 };

    (void)state;
    header(&b, &e);
    assert_string_equal(b.data, "app/");
    assert_string_equal(b.data + 100, "0001777");
    assert_string_equal(b.data + 108, "0000007");
    assert_string_equal(b.data + 116, "0000010");
    ml_buf_release(&b);
}

static void long_names_are_split_then_pax(void **state)
{
    struct ml_buf b = ML_BUF_INIT;
    char path[400];
    struct ml_tar_entry e = { .path = path, .type = ML_TAR_FILE, .mode = 0644 };

    (void)state;
    memset(path, 'a', sizeof path);
    path[150] = '/';
    path[250] = '\0';
    header(&b, &e); /* 150 in the prefix, 99 in the name */
    assert_int_equal(b.len, 512);
    assert_int_equal(strnlen(b.data, 100), 99);
    assert_int_equal(strnlen(b.data + 345, 155), 150);
    ml_buf_reset(&b);
    path[250] = 'a';
    path[252] = '\0'; /* 101 in the name: too long */
    header(&b, &e);
    assert_int_equal(b.len, 3 * 512);
    assert_int_equal(b.data[156], 'x');
    assert_memory_equal(b.data + 512, "262 path=aaa", 12);
    ml_buf_release(&b);
}

static void a_long_name_of_a_hundred_bytes_fits(void **state)
{
    struct ml_buf b = ML_BUF_INIT;
    char path[101];
    struct ml_tar_entry e = { .path = path, .type = ML_TAR_FILE, .mode = 0644 };

    (void)state;
    memset(path, 'b', 100);
    path[100] = '\0';
    header(&b, &e);
    assert_int_equal(b.len, 512);
    assert_int_equal(b.data[99], 'b');
    assert_string_equal(b.data + 100, "0000644");
    ml_buf_release(&b);
}

static void what_ustar_cannot_say_goes_to_pax(void **state)
{
    struct ml_buf b = ML_BUF_INIT;
    struct ml_tar_entry e = {
        .path = "m\xc3\xa3o", .type = ML_TAR_FILE, .mode = 0644, .size = (uint64_t)8 << 30, .mtime = -1
    };

    (void)state;
    header(&b, &e);
    assert_int_equal(b.len, 3 * 512);
    assert_string_equal(b.data + 512, "13 path=m\xc3\xa3o\n19 size=8589934592\n12 mtime=-1\n");
    assert_string_equal(b.data + 1024, "m__o");
    ml_buf_reset(&b);
    e = (struct ml_tar_entry){ .path = "m", .type = ML_TAR_FILE, .mode = 0644, .size = ((uint64_t)8 << 30) - 1 };
    header(&b, &e);
    assert_int_equal(b.len, 512);
    ml_buf_release(&b);
}

static void tree_digest_is_that_of_the_tar(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf b = ML_BUF_INIT;
    struct ml_digest got, want;
    uint64_t size = 0;
    struct ml_tar_entry e[] = {
        { .path = "a", .type = ML_TAR_DIR, .mode = 0755 },
        { .path = "a.x", .type = ML_TAR_FILE, .mode = 0755, .size = 3 },
        { .path = "a/b", .type = ML_TAR_FILE, .mode = 0644, .size = 2 },
        { .path = "l", .type = ML_TAR_SYMLINK, .mode = 0777, .link = "a/b" },
    };
    const char *text[] = { NULL, "xyz", "hi", NULL };

    (void)state;
    mkdir("t/a", 0700);
    put("t/a/b", "hi", 0600);
    put("t/a.x", "xyz", 0711);
    assert_int_equal(symlink("a/b", "t/l"), 0);
    for (size_t i = 0; i < 4; i++) {
        header(&b, &e[i]);
        if (text[i]) {
            ml_buf_adds(&b, text[i]);
            ml_tar_pad(e[i].size, ml_buf_sink, &b, &err);
        }
    }
    ml_tar_end(ml_buf_sink, &b, &err);
    ml_digest_bytes(b.data, b.len, &want);
    assert_int_equal(ml_tree_digest("t/", &got, &size, &err), 0);
    assert_string_equal(got.s, want.s);
    assert_int_equal(size, 5);
    ml_buf_release(&b);
}

static void times_modes_and_links_change_nothing(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };
    struct ml_digest a, b, c;

    (void)state;
    put("t/one", "1", 0644);
    put("t/two", "1", 0644);
    assert_int_equal(ml_tree_digest("t", &a, NULL, &err), 0);
    assert_int_equal(utimensat(AT_FDCWD, "t/one", old, 0), 0);
    assert_int_equal(chmod("t/one", 0666), 0);
    assert_int_equal(unlink("t/two"), 0);
    assert_int_equal(link("t/one", "t/two"), 0);
    assert_int_equal(ml_tree_digest("t", &b, NULL, &err), 0);
    assert_string_equal(a.s, b.s);
    assert_int_equal(chmod("t/one", 0744), 0);
    assert_int_equal(ml_tree_digest("t", &c, NULL, &err), 0);
    assert_string_not_equal(a.s, c.s);
}

static void refused(const char *what)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_digest d;

    assert_int_equal(ml_tree_digest("t", &d, NULL, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    assert_non_null(strstr(err.msg, what));
}

static void refuses_what_a_layer_cannot_hold(void **state)
{
    (void)state;
    put("t/.wh.x", "", 0644);
    refused(".wh.");
    unlink("t/.wh.x");
    mkfifo("t/f", 0644);
    refused("fifo");
    unlink("t/f");
    put("t/\xff", "", 0644);
    refused("UTF-8");
    unlink("t/\xff");
    assert_int_equal(symlink("\xfe", "t/l"), 0);
    refused("UTF-8");
}

/* Reads the whole of `t` by its view in pieces of `step` bytes; `path` (may be NULL) is written to before the last. */
static int read_while(const char *path, size_t step, struct ml_err *err)
{
    struct ml_tree t;
    struct ml_tar_view *v;
    struct ml_source src;
    char *chunk = ml_malloc(step);
    uint64_t off = 0;
    int64_t n;

    assert_int_equal(ml_tree_scan("t", &t, err), 0);
    v = ml_tar_view_tree(&t);
    src = ml_tar_view_source(v);
    while ((n = src.read(src.ctx, off, chunk, step, err)) > 0) {
        off += (uint64_t)n;
        if (path && off + step >= ml_tar_view_size(v)) {
            put(path, "changed", 0644);
            path = NULL;
        }
    }
    if (n == 0)
        n = ml_tar_view_finish(v, err);
    ml_tar_view_free(v);
    ml_tree_release(&t);
    free(chunk);
    return (int)n;
}

static void a_source_that_changes_is_noticed(void **state)
{
    static const char *const paths[] = { "t/one", "t/two/new", "t/new" };
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    put("t/one", "1", 0644);
    mkdir("t/two", 0755);
    for (size_t step = 512; step <= 2048; step *= 4) {
        assert_int_equal(read_while(NULL, step, &err), 0);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(read_while(paths[i], step, &err), -1);
            assert_int_equal(err.code, ML_INTEGRITY);
        }
        unlink("t/new");
        unlink("t/two/new");
    }
}

/* The first block of a file is read; then `change` happens; then the rest is. */
static void change_inside(void (*change)(void))
{
    struct timespec then[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
    struct ml_err err = ML_ERR_INIT;
    char text[2000], chunk[512];
    struct ml_tree t;
    struct ml_tar_view *v;
    struct ml_source src;
    uint64_t off = 0;
    int64_t n;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put("t/two", text, 0644);
    assert_int_equal(utimensat(AT_FDCWD, "t/two", then, 0), 0);
    usleep(20000);
    assert_int_equal(ml_tree_scan("t", &t, &err), 0);
    v = ml_tar_view_tree(&t);
    src = ml_tar_view_source(v);
    while ((n = src.read(src.ctx, off, chunk, sizeof chunk, &err)) > 0) {
        off += (uint64_t)n;
        if (off == 1024)
            change();
    }
    assert_int_equal(n, -1); /* noticed behind the file's last byte, before the tar's */
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_true(off < 512 + 2048);
    ml_tar_view_free(v);
    ml_tree_release(&t);
}

/* Written in place, with the size and the time that it had: only ctime tells. */
static void rewrite_unseen(void)
{
    struct timespec then[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
    int fd = open("t/two", O_WRONLY);

    assert_int_equal(write(fd, "2", 1), 1);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, "t/two", then, 0), 0);
}

static void shorten(void)
{
    assert_int_equal(truncate("t/two", 600), 0);
}

static void lengthen(void)
{
    assert_int_equal(truncate("t/two", 6000), 0);
}

static void make_executable(void)
{
    assert_int_equal(chmod("t/two", 0755), 0);
}

static void a_change_while_it_is_read_is_noticed(void **state)
{
    (void)state;
    change_inside(rewrite_unseen);
    change_inside(shorten);
    change_inside(lengthen);
    change_inside(make_executable);
}

static void a_link_that_leads_elsewhere_is_noticed(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_tree t;
    struct ml_tar_view *v;

    (void)state;
    assert_int_equal(symlink("a", "t/l"), 0);
    assert_int_equal(ml_tree_scan("t", &t, &err), 0);
    v = ml_tar_view_tree(&t);
    assert_int_equal(ml_tar_view_finish(v, &err), 0);
    unlink("t/l");
    assert_int_equal(symlink("b", "t/l"), 0);
    assert_int_equal(ml_tar_view_finish(v, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    ml_tar_view_free(v);
    ml_tree_release(&t);
}

/* Whatever is asked for is what stands there: every offset, several lengths, forwards and backwards. */
static void a_view_can_be_read_anywhere(void **state)
{
    static const size_t steps[] = { 1, 7, 512, 700, 5000 };
    struct ml_err err = ML_ERR_INIT;
    struct ml_tree t;
    struct ml_tar_view *v;
    struct ml_source src;
    char *all, part[5000], name[200];
    size_t size;

    (void)state;
    memset(name, 'n', sizeof name);
    memcpy(name, "t/\xc3\xa4", 4);
    name[150] = '\0'; /* a pax header */
    put(name, "long", 0644);
    mkdir("t/a", 0755);
    put("t/a/empty", "", 0644);
    put("t/a/b", "some bytes", 0644);
    put("t/z", "z", 0755);
    assert_int_equal(symlink("a/b", "t/l"), 0);
    assert_int_equal(ml_tree_scan("t", &t, &err), 0);
    v = ml_tar_view_tree(&t);
    src = ml_tar_view_source(v);
    size = (size_t)ml_tar_view_size(v);
    all = ml_malloc(size + 1);
    assert_int_equal(src.read(src.ctx, 0, all, size + 1, &err), size);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        for (size_t at = 0; at <= size; at += s < 2 ? 1 : 97) {
            size_t off = s % 2 ? size - at : at, want = off + steps[s] > size ? size - off : steps[s];

            assert_int_equal(src.read(src.ctx, off, part, steps[s], &err), want);
            assert_memory_equal(part, all + off, want);
        }
    }
    assert_int_equal(src.read(src.ctx, size + 512, part, 1, &err), 0);
    free(all);
    ml_tar_view_free(v);
    ml_tree_release(&t);
}

/* As far as the file system does that. */
static void out_of_memory(const char *path)
{
    int fd = open(path, O_RDONLY);

    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Files that must come from the disk are asked for ahead; the order of reading is the reader's affair all the same. */
static void files_that_are_not_in_memory(void **state)
{
    enum { FILES = 60, STEP = 3000 };
    struct ml_err err = ML_ERR_INIT;
    char path[40], *all, part[STEP];
    struct ml_tree t;
    struct ml_tar_view *v;
    struct ml_source src;
    size_t size;

    (void)state;
    for (int i = 0; i < FILES; i++) {
        size_t n = i % 20 == 7 ? 1 << 20 : (size_t)i * 100;
        char *text = ml_calloc(n + 1, 1);

        memset(text, 'a' + i % 26, n);
        snprintf(path, sizeof path, "t/%02d", i);
        put(path, text, 0644);
        free(text);
    }
    assert_int_equal(ml_tree_scan("t", &t, &err), 0);
    v = ml_tar_view_tree(&t);
    src = ml_tar_view_source(v);
    size = (size_t)ml_tar_view_size(v);
    all = ml_malloc(size);
    assert_int_equal(src.read(src.ctx, 0, all, size, &err), size);
    for (int back = 0; back < 2; back++) {
        for (int i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, "t/%02d", i);
            out_of_memory(path);
        }
        for (size_t at = 0; at < size; at += STEP) {
            size_t off = back ? (size - at > STEP ? size - at - STEP : 0) : at;
            size_t want = size - off < STEP ? size - off : STEP;

            assert_int_equal(src.read(src.ctx, off, part, STEP, &err), want);
            assert_memory_equal(part, all + off, want);
        }
    }
    assert_int_equal(ml_tar_view_finish(v, &err), 0);
    free(all);
    ml_tar_view_free(v);
    ml_tree_release(&t);
}

static void a_file_stands_for_itself(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_digest a, b;

    (void)state;
    put("t/one", "1", 0644);
    put("two", "1", 0644);
    assert_int_equal(rename("two", "one"), 0);
    assert_int_equal(ml_tree_digest("one", &a, NULL, &err), 0);
    assert_int_equal(ml_tree_digest("t", &b, NULL, &err), 0);
    assert_string_equal(a.s, b.s);
    assert_int_equal(ml_tree_digest("none", &a, NULL, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_need_no_pax),
        cmocka_unit_test(directories_end_in_a_slash),
        cmocka_unit_test(long_names_are_split_then_pax),
        cmocka_unit_test(a_long_name_of_a_hundred_bytes_fits),
        cmocka_unit_test(what_ustar_cannot_say_goes_to_pax),
        cmocka_unit_test_setup(tree_digest_is_that_of_the_tar, fresh),
        cmocka_unit_test_setup(times_modes_and_links_change_nothing, fresh),
        cmocka_unit_test_setup(refuses_what_a_layer_cannot_hold, fresh),
        cmocka_unit_test_setup(a_source_that_changes_is_noticed, fresh),
        cmocka_unit_test_setup(a_change_while_it_is_read_is_noticed, fresh),
        cmocka_unit_test_setup(a_link_that_leads_elsewhere_is_noticed, fresh),
        cmocka_unit_test_setup(a_view_can_be_read_anywhere, fresh),
        cmocka_unit_test_setup(files_that_are_not_in_memory, fresh),
        cmocka_unit_test_setup(a_file_stands_for_itself, fresh),
    };

    return cmocka_run_group_tests_name("tar", tests, enter, leave);
}
