/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers written in one pass: their bytes are the view's, whatever the files are and wherever they lie. */
#include <errno.h>
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
#include "oci/layer_out.h"
#include "place.h"

static int fresh(void **state)
{
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    return ml_remove_all("t", &err) < 0 || ml_remove_all("layout", &err) < 0 ? -1 : mkdir("t", 0755);
}

static struct ml_repo *layout_open(void)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_ref ref = { .layout = true, .place = (char *)(uintptr_t) "layout" };
    struct ml_repo *r;

    assert_int_equal(ml_layout_open(&ref, true, &r, &err), 0);
    return r;
}

/* Files in the layout's directory of blobs, temporary ones too. */
static int blobs(void)
{
    FILE *p = popen("ls -A layout/blobs/sha256 | wc -l", "r");
    int n = -1;

    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void put(const char *path, size_t n, unsigned seed)
{
    char *p = ml_malloc(n + 1);
    struct ml_err err = ML_ERR_INIT;

    for (size_t i = 0; i < n; i++)
        p[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
    assert_int_equal(ml_file_write(path, p, n, 0644, &err), 0);
    free(p);
}

/* Bytes at the given places of a file of `size`, holes else. */
static void put_sparse(const char *path, off_t size, const off_t *at, size_t n)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    char block[8192];

    memset(block, 'b', sizeof block);
    assert_true(fd >= 0 && ftruncate(fd, size) == 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pwrite(fd, block, sizeof block, at[i]), sizeof block);
    close(fd);
}

static void same_as_view(const struct ml_layer_out *l)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_source src = ml_tar_view_source(l->view);
    size_t size = (size_t)ml_tar_view_size(l->view);
    char *want = ml_malloc(size + 1), *path = ml_format("layout/blobs/sha256/%s", ML_DIGEST_HEX(&l->desc.digest));
    struct ml_buf got = ML_BUF_INIT;
    struct ml_digest d;

    assert_int_equal(src.read(src.ctx, 0, want, size + 1, &err), size);
    assert_int_equal(ml_file_read(path, &got, &err), 0);
    assert_int_equal(got.len, size);
    assert_int_equal(l->desc.size, size);
    assert_memory_equal(got.data, want, size);
    ml_digest_bytes(want, size, &d);
    assert_string_equal(d.s, l->desc.digest.s);
    assert_string_equal(d.s, l->diff_id.s);
    assert_string_equal(l->desc.media_type, ML_MT_LAYER);
    ml_buf_release(&got);
    free(path);
    free(want);
}

static void check_source(const char *src)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = layout_open();
    struct ml_tree t;
    struct ml_tree_sum sum = { .tree = &t };
    struct ml_layer_out l = { 0 }, hashed = { 0 };
    struct ml_layers *w;
    struct ml_digest tree;

    assert_int_equal(ml_tree_scan(src, &t, &err), 0);
    l.view = hashed.view = ml_tar_view_tree(&t);
    assert_int_equal(ml_layers_write(r, &l, 1, &sum, 1, &w, &err), 0);
    assert_int_equal(ml_layers_commit(w, &err), 0);
    same_as_view(&l);
    assert_int_equal(ml_tree_digest(src, &tree, NULL, &err), 0);
    assert_string_equal(sum.digest.s, tree.s);
    assert_int_equal(ml_layers_hash(&hashed, 1, NULL, 0, &err), 0);
    assert_string_equal(hashed.desc.digest.s, l.desc.digest.s);
    assert_int_equal(hashed.desc.size, l.desc.size);
    assert_int_equal(blobs(), 1);
    ml_desc_release(&l.desc);
    ml_desc_release(&hashed.desc);
    ml_tar_view_free(l.view);
    ml_tree_release(&t);
    ml_repo_close(r);
}

static void make_files(const char *d)
{
    static const off_t edges[] = { 0, (5 << 20) - 8192 }, middle[] = { 1 << 20, 3 << 20 };
    char path[100];

    for (unsigned i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "%s/small%03u", d, i);
        put(path, i * 37, i);
    }
    for (unsigned i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/large%u", d, i);
        put(path, ((size_t)64 << 10) - 1 + i * 700001, i);
    }
    snprintf(path, sizeof path, "%s/sparse1", d);
    put_sparse(path, 5 << 20, edges, 2);
    snprintf(path, sizeof path, "%s/sparse2", d);
    put_sparse(path, 5 << 20, middle, 2);
    snprintf(path, sizeof path, "%s/sparse3", d);
    put_sparse(path, 3000000, NULL, 0);
}

static void a_blob_has_the_bytes_of_the_view(void **state)
{
    (void)state;
    make_files("t");
    assert_int_equal(mkdir("t/dir", 0755), 0);
    assert_int_equal(symlink("dir", "t/link"), 0);
    check_source("t");
    ml_remove_all("layout", NULL);
    check_source("t/large4");
}

/* The kernel doesn't copy between them; read and write do. */
static void a_source_on_another_file_system(void **state)
{
    char other[] = "/dev/shm/test_layer_out.XXXXXX";

    (void)state;
    if (!mkdtemp(other)) {
        print_message(
            "# skipped: no directory can be made in /dev/shm, which is another file system: %s\n", strerror(errno));
        skip();
    }
    make_files(other);
    check_source(other);
    ml_remove_all(other, NULL);
}

static void several_at_once(void **state)
{
    enum { N = 12 };
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = layout_open();
    struct ml_tree t[N];
    struct ml_layer_out l[N] = { { 0 } };
    struct ml_tree_sum sums[N];
    struct ml_layers *w;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        char path[20];

        snprintf(path, sizeof path, "t/file%u", i);
        put(path, 3000000 + i, i / 2);
        assert_int_equal(ml_tree_scan(path, &t[i], &err), 0);
        l[i].view = ml_tar_view_tree(&t[i]);
        sums[i].tree = &t[i];
    }
    assert_int_equal(ml_layers_write(r, l, N, sums, N, &w, &err), 0);
    assert_int_equal(blobs(), N); /* written, without a name */
    assert_int_equal(ml_layers_commit(w, &err), 0);
    assert_int_equal(blobs(), N);
    for (unsigned i = 0; i < N; i++) {
        same_as_view(&l[i]);
        assert_string_equal(sums[i].digest.s, l[i].desc.digest.s); /* a tree's own view was written */
        ml_desc_release(&l[i].desc);
        ml_tar_view_free(l[i].view);
        ml_tree_release(&t[i]);
    }
    ml_repo_close(r);
}

static void add_all(const struct ml_source *src, struct ml_buf *out)
{
    struct ml_err err = ML_ERR_INIT;
    char chunk[50000];
    int64_t n;

    while ((n = src->read(src->ctx, out->len, chunk, sizeof chunk, &err)) > 0)
        ml_buf_add(out, chunk, (size_t)n);
    assert_int_equal(n, 0);
}

/* One that shrinks, one that doesn't; hashed, written, and read as for an upload. */
static void compressed_layers(void **state)
{
    static const enum ml_compress how[] = { ML_COMPRESS_GZIP, ML_COMPRESS_ZSTD, ML_COMPRESS_AUTO, ML_COMPRESS_AUTO };
    static const char *const suffix[] = { "+gzip", "+zstd", "+gzip", "" };
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = layout_open();
    struct ml_tree t[2];
    struct ml_layer_out l[4] = { { 0 } }, hashed[4] = { { 0 } };
    struct ml_layers *w;

    (void)state;
    put_sparse("t/0", 3000000, NULL, 0);
    put("t/1", 3000000, 3);
    assert_int_equal(ml_tree_scan("t/0", &t[0], &err), 0);
    assert_int_equal(ml_tree_scan("t/1", &t[1], &err), 0);
    for (int i = 0; i < 4; i++) {
        l[i].view = hashed[i].view = ml_tar_view_tree(&t[i == 3]);
        l[i].compress = hashed[i].compress = how[i];
    }
    assert_int_equal(ml_layers_write(r, l, 4, NULL, 0, &w, &err), 0);
    assert_int_equal(ml_layers_commit(w, &err), 0);
    assert_int_equal(ml_layers_hash(hashed, 4, NULL, 0, &err), 0);
    for (int i = 0; i < 4; i++) {
        struct ml_source src = ml_layer_source_open(&hashed[i]);
        struct ml_buf sent = ML_BUF_INIT, got = ML_BUF_INIT;
        char *path = ml_format("layout/blobs/sha256/%s", ML_DIGEST_HEX(&l[i].desc.digest));
        struct ml_digest d;

        assert_string_equal(l[i].desc.digest.s, hashed[i].desc.digest.s);
        assert_string_equal(l[i].diff_id.s, hashed[i].diff_id.s);
        assert_string_equal(l[i].desc.media_type + strlen(ML_MT_LAYER), suffix[i]);
        assert_int_equal(strcmp(l[i].diff_id.s, l[i].desc.digest.s) == 0, i == 3);
        assert_string_equal(l[i].diff_id.s, l[i == 3 ? 3 : 0].diff_id.s);
        add_all(&src, &sent);
        ml_layer_source_close(&hashed[i]);
        assert_int_equal(ml_file_read(path, &got, &err), 0);
        assert_int_equal(got.len, l[i].desc.size);
        assert_int_equal(sent.len, got.len);
        assert_memory_equal(sent.data, got.data, got.len);
        ml_digest_bytes(got.data, got.len, &d);
        assert_string_equal(d.s, l[i].desc.digest.s);
        ml_buf_release(&sent);
        ml_buf_release(&got);
        free(path);
    }
    for (int i = 0; i < 4; i++) {
        ml_tar_view_free(l[i].view);
        ml_layer_out_release(&l[i]);
        ml_layer_out_release(&hashed[i]);
    }
    ml_tree_release(&t[0]);
    ml_tree_release(&t[1]);
    ml_repo_close(r);
}

static void what_is_not_committed_is_gone(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = layout_open();
    struct ml_layer_out l = { 0 };
    struct ml_layers *w;
    struct ml_tree t;

    (void)state;
    put("t/a", 100000, 1);
    assert_int_equal(ml_tree_scan("t", &t, &err), 0);
    l.view = ml_tar_view_tree(&t);
    assert_int_equal(ml_layers_write(r, &l, 1, NULL, 0, &w, &err), 0);
    ml_layers_abort(w);
    assert_int_equal(blobs(), 0);
    ml_desc_release(&l.desc);
    ml_tar_view_free(l.view);
    ml_tree_release(&t);
    ml_repo_close(r);
}

/* `name` changes after the scan; of three layers none appears. */
static void fails_when(const char *name, size_t size)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = layout_open();
    struct ml_layer_out l[3] = { { 0 } };
    struct ml_tree t[3];
    struct ml_layers *w;

    for (int i = 0; i < 3; i++) {
        char path[] = "t/0";

        path[2] = (char)('0' + i);
        assert_int_equal(ml_tree_scan(path, &t[i], &err), 0);
        l[i].view = ml_tar_view_tree(&t[i]);
    }
    put(name, size, 77);
    assert_int_equal(ml_layers_write(r, l, 3, NULL, 0, &w, &err), -1);
    assert_null(w);
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_int_equal(blobs(), 0);
    assert_int_equal(ml_layers_hash(l, 3, NULL, 0, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    for (int i = 0; i < 3; i++) {
        ml_desc_release(&l[i].desc);
        ml_tar_view_free(l[i].view);
        ml_tree_release(&t[i]);
    }
    ml_repo_close(r);
}

static void a_changed_source_leaves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char path[] = "t/0", file[] = "t/0/f";

        path[2] = file[2] = (char)('0' + i);
        assert_int_equal(mkdir(path, 0755), 0);
        put(file, 500000, (unsigned)i);
    }
    fails_when("t/1/f", 500001);
    fails_when("t/1/f", 100);
    fails_when("t/2/new", 5);
    fails_when("t/0/f", 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_blob_has_the_bytes_of_the_view, fresh),
        cmocka_unit_test_setup(a_source_on_another_file_system, fresh),
        cmocka_unit_test_setup(several_at_once, fresh),
        cmocka_unit_test_setup(compressed_layers, fresh),
        cmocka_unit_test_setup(what_is_not_committed_is_gone, fresh),
        cmocka_unit_test_setup(a_changed_source_leaves_nothing, fresh),
    };

    return cmocka_run_group_tests_name("layer_out", tests, enter, leave);
}
