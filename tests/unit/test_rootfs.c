/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of an image, and where a tree goes in it. */
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
#include "oci/pack.h"
#include "oci/rootfs.h"
#include "oci/untar.h"

static struct ml_rootfs *fs;
static struct ml_buf gone; /* paths that were removed, each with a blank behind */

static int note(void *ctx, const struct ml_node *n, struct ml_err *err)
{
    char *path = ml_node_path(n);

    (void)ctx, (void)err;
    ml_buf_addf(&gone, "%s ", path);
    free(path);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    ml_buf_init(&gone, ML_BUF_MAX);
    fs = ml_rootfs_new(note, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ml_rootfs_free(fs);
    ml_buf_release(&gone);
    return 0;
}

/* "d path", "f path", "l path target" of a layer; returns what ml_rootfs_apply does. */
static int apply(int layer, enum ml_tar_type type, const char *path, const char *link)
{
    struct ml_tar_entry e = { .path = path, .type = type, .link = link, .mode = 0755 };

    return ml_rootfs_apply(fs, &e, layer, NULL, NULL);
}

static void dir(int layer, const char *path)
{
    assert_int_equal(apply(layer, ML_TAR_DIR, path, NULL), 0);
}

static void file(int layer, const char *path)
{
    assert_int_equal(apply(layer, ML_TAR_FILE, path, NULL), 0);
}

static void sym(int layer, const char *path, const char *target)
{
    assert_int_equal(apply(layer, ML_TAR_SYMLINK, path, target), 0);
}

static bool has(const char *path)
{
    return ml_rootfs_find(fs, path) != NULL;
}

static void removed(const char *want)
{
    assert_string_equal(ml_buf_str(&gone), want);
    ml_buf_reset(&gone);
}

static void normal_paths(void **state)
{
    static const char *const cases[][2] = { { "", "" }, { "/", "" }, { "./", "" }, { ".", "" },
        { "/a//b/./c/", "a/b/c" }, { "a/.b/..c", "a/.b/..c" }, { "..", NULL }, { "a/..", NULL }, { "../a", NULL },
        { "a/../b", NULL } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = ml_path_normal(cases[i][0]);

        if (cases[i][1])
            assert_string_equal(got, cases[i][1]);
        else
            assert_null(got);
        free(got);
    }
}

static void a_deletion_hides_lower_layers_only(void **state)
{
    (void)state;
    dir(0, "d");
    file(0, "d/a");
    file(0, "d/b/c");
    file(1, "d/b/new");
    file(1, ".wh.d");
    assert_true(has("d/b/new"));
    assert_false(has("d/a"));
    assert_false(has("d/b/c"));
    file(2, ".wh.d");
    assert_false(has("d"));
    file(2, ".wh.nothing");
    file(2, "no/where/.wh.x");
    assert_false(has("no"));
}

static void opaque(void **state)
{
    (void)state;
    file(0, "d/a");
    file(0, "d/sub/deep/x");
    file(1, "d/sub/y");
    file(1, "d/.wh..wh..opq");
    assert_true(has("d/sub/y"));
    assert_false(has("d/a"));
    assert_false(has("d/sub/deep"));
    ml_buf_reset(&gone);
    file(2, "d/.wh..wh..opq");
    removed("d/sub/y d/sub ");
    assert_true(has("d"));
}

static void kinds_replace_each_other(void **state)
{
    (void)state;
    file(0, "a/b");
    file(1, "a");
    removed("a/b a ");
    dir(2, "a");
    removed("a ");
    file(2, "a/c");
    dir(3, "a");
    removed("");
    assert_true(has("a/c"));
    sym(3, "l", "/a");
    file(4, "l/x"); /* the link gives way */
    removed("l ");
    assert_int_equal(apply(4, ML_TAR_FILE, "l/x/y", NULL), -1);
    sym(5, "m", "/etc");
    assert_int_equal(apply(5, ML_TAR_FILE, "m/passwd", NULL), -1);
    assert_int_equal(apply(5, ML_TAR_SYMLINK, "", "/etc"), -1);
    assert_int_equal(apply(5, ML_TAR_FILE, ".wh.", NULL), -1);
    assert_int_equal(apply(5, ML_TAR_FILE, "x/.wh...", NULL), -1);
}

static void resolve(const char *path, bool last, const char *want)
{
    struct ml_buf out = ML_BUF_INIT;

    assert_int_equal(ml_rootfs_resolve(fs, path, last, &out, NULL), want ? 0 : -1);
    if (want)
        assert_string_equal(ml_buf_str(&out), want);
    ml_buf_release(&out);
}

static void links_are_followed_as_in_the_image(void **state)
{
    (void)state;
    dir(0, "usr/lib");
    sym(0, "lib", "usr/lib");
    sym(0, "usr/lib/up", "../../etc");
    sym(0, "abs", "/lib/x");
    sym(0, "out", "../../../../etc/passwd");
    sym(0, "loop", "pool");
    sym(0, "pool", "loop");
    file(0, "f");
    resolve("lib/x", true, "usr/lib/x");
    resolve("lib", false, "lib");
    resolve("lib", true, "usr/lib");
    resolve("lib/up/hosts", true, "etc/hosts");
    resolve("abs/y", true, "usr/lib/x/y");
    resolve("out", true, "etc/passwd");
    resolve("loop/x", true, NULL);
    resolve("f/x", true, NULL);
    resolve("", true, "");
    resolve("new/a/b", true, "new/a/b");
}

static void many_names(void **state)
{
    char path[40];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof path, "d%d/f%d", i % 100, i);
        file(0, path);
    }
    assert_true(has("d99/f19999"));
    assert_false(has("d98/f19999"));
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, ".wh.d%d", i);
        file(1, path);
    }
    assert_false(has("d99/f19999"));
    assert_null(ml_rootfs_find(fs, "")->children);
}

/* The items of a plan as text: path, '/' behind directories, mode where it isn't usual. */
static void planned(const struct ml_pack *p, const struct ml_tree *t, const char *want)
{
    struct ml_buf out = ML_BUF_INIT;

    for (size_t i = 0; i < p->n; i++) {
        const struct ml_tar_item *it = &p->items[i];
        bool is_dir = !it->whiteout && (it->entry < 0 || t->v[it->entry].type == ML_TAR_DIR);

        ml_buf_addf(&out, "%s%s", it->path, is_dir ? "/" : "");
        if (is_dir && it->mode != 0755)
            ml_buf_addf(&out, "%o", it->mode);
        ml_buf_addc(&out, ' ');
    }
    assert_string_equal(ml_buf_str(&out), want);
    ml_buf_release(&out);
}

static void plans(void **state)
{
    static char top[] = "/tmp/test_rootfs.XXXXXX";
    struct ml_err err = ML_ERR_INIT;
    struct ml_tar_entry tmp = { .path = "tmp", .type = ML_TAR_DIR, .mode = 01777, .uid = 3 };
    struct ml_tree t;
    struct ml_pack p;

    (void)state;
    assert_non_null(mkdtemp(top));
    assert_int_equal(chdir(top), 0);
    assert_int_equal(ml_mkdirs("s/lib.d", &err) | ml_mkdirs("s/lib", &err), 0);
    assert_int_equal(ml_file_write("s/lib/f", "", 0, 0644, &err) | ml_file_write("s/lib.d/f", "", 0, 0644, &err), 0);
    dir(0, "usr/lib");
    sym(0, "lib", "usr/lib");
    file(0, "usr/lib/old");
    assert_int_equal(ml_rootfs_apply(fs, &tmp, 0, NULL, &err), 0);
    assert_int_equal(ml_tree_scan("s", &t, &err), 0);
    assert_int_equal(ml_pack_plan(&t, "/", false, fs, &p, &err), 0);
    planned(&p, &t, "usr/ usr/lib/ lib.d/ lib.d/f usr/lib/f ");
    assert_false(p.alone);
    ml_pack_release(&p);
    assert_int_equal(ml_pack_plan(&t, "/tmp/m/", false, fs, &p, &err), 0);
    planned(&p, &t, "tmp/1777 tmp/m/ tmp/m/lib/ tmp/m/lib.d/ tmp/m/lib.d/f tmp/m/lib/f ");
    assert_int_equal(p.items[0].uid, 3);
    assert_true(p.alone);
    assert_string_equal(p.path, "/tmp/m");
    assert_int_equal(ml_pack_part_apply(&(struct ml_pack_part){ .items = p.items, .n = p.n }, &t, fs, 1, &err), 0);
    assert_true(has("tmp/m/lib/f"));
    ml_pack_release(&p);
    assert_int_equal(ml_pack_plan(&t, "/lib", true, fs, &p, &err), 0);
    planned(&p, &t, "usr/ usr/lib/ usr/lib/.wh.old usr/lib/lib/ usr/lib/lib.d/ usr/lib/lib.d/f usr/lib/lib/f ");
    assert_string_equal(p.root, "/usr/lib");
    assert_true(p.alone);
    ml_pack_release(&p);
    assert_int_equal(ml_pack_plan(&t, "usr", false, fs, &p, &err), -1);
    assert_int_equal(err.code, ML_USAGE);
    ml_tree_release(&t);
    assert_int_equal(chdir("/") | ml_remove_all(top, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_paths),
        cmocka_unit_test_setup_teardown(a_deletion_hides_lower_layers_only, setup, teardown),
        cmocka_unit_test_setup_teardown(opaque, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_replace_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_followed_as_in_the_image, setup, teardown),
        cmocka_unit_test_setup_teardown(many_names, setup, teardown),
        cmocka_unit_test_setup_teardown(plans, setup, teardown),
    };

    return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
