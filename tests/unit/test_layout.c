/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The image layout as a store. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "oci/layout.h"
#include "place.h"

#define MANIFEST "{\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\",\"config\":{},\"layers\":[]}"

static int fresh(void **state)
{
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    return ml_remove_all("l", &err) < 0 || ml_remove_all("m", &err) < 0 ? -1 : 0;
}

static struct ml_repo *opened(const char *dir, bool write)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_ref ref = { .layout = true, .place = (char *)(uintptr_t)dir };
    struct ml_repo *r = NULL;

    if (ml_layout_open(&ref, write, &r, &err) < 0)
        print_message("# %s\n", err.msg);
    assert_non_null(r);
    return r;
}

static char *text_of(const char *path)
{
    struct ml_buf b = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;

    assert_int_equal(ml_file_read(path, &b, &err), 0);
    return ml_buf_detach(&b);
}

static void put_tag(struct ml_repo *r, const char *tag, const char *text)
{
    struct ml_err err = ML_ERR_INIT;

    assert_int_equal(r->ops->manifest_put(r, tag, ML_MT_MANIFEST, text, strlen(text), &err), 0);
}

static void a_tag_names_what_was_put_last(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_manifest m;
    struct ml_digest d;

    (void)state;
    put_tag(r, "a", "{\"layers\":[1]}");
    put_tag(r, "b", MANIFEST);
    put_tag(r, "a", MANIFEST);
    assert_int_equal(r->ops->manifest_get(r, "a", &m, &err), 0);
    assert_string_equal(m.raw.data, MANIFEST);
    assert_string_equal(m.desc.media_type, ML_MT_MANIFEST);
    assert_int_equal(m.desc.size, strlen(MANIFEST));
    ml_manifest_release(&m);
    ml_digest_bytes("{\"layers\":[1]}", 14, &d); /* still there by its digest */
    assert_int_equal(r->ops->manifest_get(r, d.s, &m, &err), 0);
    assert_string_equal(m.desc.media_type, ML_MT_MANIFEST);
    ml_manifest_release(&m);
    assert_int_equal(r->ops->manifest_get(r, "c", &m, &err), 1);
    ml_digest_bytes("x", 1, &d);
    assert_int_equal(r->ops->manifest_get(r, d.s, &m, &err), 1);
    assert_int_equal(err.code, 0);
    ml_repo_close(r);
}

static void what_is_not_ours_in_the_index_stays(void **state)
{
    static const char before[] =
        "{ \"schemaVersion\": 2, \"x\": 12345678901234567890123,\n  \"manifests\": [\n"
        "    {\"mediaType\":\"a/b\",\"digest\":\"sha256:00\",\"size\":1.0,\"y\":[1,2]},\n"
        "    {\"annotations\":{\"org.opencontainers.image.ref.name\":\"t\"}},\n"
        "    {\"z\":1},\n"
        "    {\"annotations\":{\"org.opencontainers.image.ref.name\":\"t\"}}\n  ],\n \"w\":null}";
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_digest d;
    char *got, *want;

    (void)state;
    assert_int_equal(ml_file_write("l/index.json", before, strlen(before), 0644, &err), 0);
    put_tag(r, "t", MANIFEST);
    ml_digest_bytes(MANIFEST, strlen(MANIFEST), &d);
    want = ml_format("{ \"schemaVersion\": 2, \"x\": 12345678901234567890123,\n  \"manifests\": [\n"
                     "    {\"mediaType\":\"a/b\",\"digest\":\"sha256:00\",\"size\":1.0,\"y\":[1,2]},\n"
                     "    {\"mediaType\":\"" ML_MT_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":"
                     "{\"org.opencontainers.image.ref.name\":\"t\"}},\n"
                     "    {\"z\":1}\n  ],\n \"w\":null}",
        d.s, strlen(MANIFEST));
    got = text_of("l/index.json");
    assert_string_equal(got, want);
    free(got);
    free(want);
    ml_repo_close(r);
}

static void a_changed_blob_is_noticed(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_buf b = ML_BUF_INIT;
    struct ml_desc d = { 0 };
    struct ml_manifest m;
    char *path;

    (void)state;
    assert_int_equal(ml_repo_blob_store(r, "t/x", "hello", 5, &d, &err), 0);
    assert_int_equal(r->ops->blob_has(r, &d.digest, &err), 0);
    assert_int_equal(ml_repo_blob_load(r, &d, 100, &b, &err), 0);
    assert_string_equal(b.data, "hello");
    path = ml_format("l/blobs/sha256/%s", ML_DIGEST_HEX(&d.digest));
    assert_int_equal(ml_file_write(path, "hellO", 5, 0644, &err), 0);
    ml_buf_release(&b);
    assert_int_equal(ml_repo_blob_load(r, &d, 100, &b, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_int_equal(ml_file_write(path, "hell", 4, 0644, &err), 0);
    err.code = 0;
    ml_buf_release(&b);
    assert_int_equal(ml_repo_blob_load(r, &d, 100, &b, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    ml_buf_release(&b);
    put_tag(r, "t", MANIFEST);
    free(path);
    ml_desc_release(&d);
    ml_digest_bytes(MANIFEST, strlen(MANIFEST), &d.digest);
    path = ml_format("l/blobs/sha256/%s", ML_DIGEST_HEX(&d.digest));
    assert_int_equal(ml_file_write(path, "{}", 2, 0644, &err), 0);
    err.code = 0;
    assert_int_equal(r->ops->manifest_get(r, "t", &m, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_int_equal(unlink(path), 0);
    err.code = 0;
    assert_int_equal(r->ops->manifest_get(r, "t", &m, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    free(path);
    ml_repo_close(r);
}

static int64_t lie(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    (void)ctx, (void)n, (void)err;
    memcpy(p, "lie", 3);
    return off == 0 ? 3 : 0;
}

static void a_blob_with_a_wrong_digest_never_appears(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_source src = { lie, NULL };
    struct ml_desc d = { .size = 3 };

    (void)state;
    ml_digest_bytes("abc", 3, &d.digest);
    assert_int_equal(r->ops->blob_put(r, &d, &src, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    assert_int_equal(r->ops->blob_has(r, &d.digest, &err), 1);
    ml_digest_bytes("lie", 3, &d.digest);
    assert_int_equal(r->ops->blob_has(r, &d.digest, &err), 1);
    assert_int_equal(rmdir("l/blobs/sha256"), 0); /* empty: no temporary file stayed */
    ml_repo_close(r);
}

static void ranges(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_blobout *b;
    struct ml_digest d;
    struct ml_desc desc = { 0 };
    uint64_t size;
    struct ml_buf got = ML_BUF_INIT;

    (void)state;
    assert_int_equal(ml_blobout_open(r, &b, &err), 0);
    assert_int_equal(ml_blobout_add(b, "0123", 4, &err), 0);
    assert_int_equal(ml_blobout_add(b, "456789", 6, &err), 0);
    assert_int_equal(ml_blobout_commit(b, &d, &size, &err), 0);
    assert_int_equal(size, 10);
    ml_blobout_free(b);
    desc.digest = d;
    desc.size = 10;
    assert_int_equal(ml_repo_blob_load(r, &desc, 10, &got, &err), 0);
    assert_string_equal(got.data, "0123456789");
    ml_buf_release(&got);
    assert_int_equal(ml_repo_blob_load(r, &desc, 9, &got, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    ml_buf_release(&got);
    ml_repo_close(r);
}

static void blobs_move_between_layouts_by_link(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *l = opened("l", true), *m = opened("m", true);
    struct ml_desc d = { 0 };
    struct stat a, b;
    char *p, *q;

    (void)state;
    assert_int_equal(ml_repo_blob_store(l, "t/x", "hello", 5, &d, &err), 0);
    assert_int_equal(m->ops->blob_mount(m, &d.digest, l, &err), 0);
    assert_int_equal(m->ops->blob_mount(m, &d.digest, l, &err), 0);
    p = ml_format("l/blobs/sha256/%s", ML_DIGEST_HEX(&d.digest));
    q = ml_format("m/blobs/sha256/%s", ML_DIGEST_HEX(&d.digest));
    assert_int_equal(stat(p, &a), 0);
    assert_int_equal(stat(q, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    free(p);
    free(q);
    ml_digest_bytes("none", 4, &d.digest);
    assert_int_equal(m->ops->blob_mount(m, &d.digest, l, &err), 1);
    ml_desc_release(&d);
    ml_repo_close(l);
    ml_repo_close(m);
}

static void tags_come_sorted(void **state)
{
    static const char *const tags[] = { "production.2026-02", "staging", "production.2026-01", "production" };
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r = opened("l", true);
    struct ml_strs out = { 0 };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        put_tag(r, tags[i], MANIFEST);
    assert_int_equal(r->ops->tags(r, "production.", &out, &err), 0);
    assert_int_equal(out.n, 2);
    assert_string_equal(out.v[0], "production.2026-01");
    assert_string_equal(out.v[1], "production.2026-02");
    ml_strs_release(&out);
    ml_repo_close(r);
}

/* Eight processes, each with tags of its own: none may be lost. */
static void writers_at_the_same_time_lose_nothing(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_strs out = { 0 };
    struct ml_repo *r;

    (void)state;
    for (int i = 0; i < 8; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            r = opened("l", true);
            for (int k = 0; k < 10; k++) {
                char *tag = ml_format("w%d-%d", i, k), *text = ml_format("{\"layers\":[%d,%d]}", i, k);

                if (r->ops->manifest_put(r, tag, ML_MT_MANIFEST, text, strlen(text), &err) < 0)
                    _exit(1);
                free(tag);
                free(text);
            }
            ml_repo_close(r);
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = -1;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    r = opened("l", false);
    assert_int_equal(r->ops->tags(r, "w", &out, &err), 0);
    assert_int_equal(out.n, 80);
    ml_strs_release(&out);
    ml_repo_close(r);
}

static void refuses_what_is_no_layout(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_ref ref = { .layout = true, .place = (char *)(uintptr_t) "l" };
    struct ml_repo *r;

    (void)state;
    assert_int_equal(ml_layout_open(&ref, false, &r, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    assert_int_equal(mkdir("l", 0755), 0);
    assert_int_equal(ml_file_write("l/x", "", 0, 0644, &err), 0);
    err.code = 0;
    assert_int_equal(ml_layout_open(&ref, true, &r, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    assert_int_equal(unlink("l/x"), 0);
    ml_repo_close(opened("l", true));
    assert_int_equal(ml_file_write("l/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", 30, 0644, &err), 0);
    err.code = 0;
    assert_int_equal(ml_layout_open(&ref, false, &r, &err), -1);
    assert_non_null(strstr(err.msg, "version"));
}

static void copes_with_missing_parts(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_repo *r;
    struct ml_manifest m;
    struct ml_strs out = { 0 };

    (void)state;
    assert_int_equal(mkdir("l", 0755), 0);
    assert_int_equal(ml_file_write("l/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30, 0644, &err), 0);
    r = opened("l", false);
    assert_int_equal(r->ops->tags(r, "", &out, &err), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(r->ops->manifest_get(r, "t", &m, &err), 1);
    assert_int_equal(ml_file_write("l/index.json", "{\"schemaVersion\":2}", 19, 0644, &err), 0);
    assert_int_equal(r->ops->manifest_get(r, "t", &m, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    ml_repo_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_tag_names_what_was_put_last, fresh),
        cmocka_unit_test_setup(what_is_not_ours_in_the_index_stays, fresh),
        cmocka_unit_test_setup(a_changed_blob_is_noticed, fresh),
        cmocka_unit_test_setup(a_blob_with_a_wrong_digest_never_appears, fresh),
        cmocka_unit_test_setup(ranges, fresh),
        cmocka_unit_test_setup(blobs_move_between_layouts_by_link, fresh),
        cmocka_unit_test_setup(tags_come_sorted, fresh),
        cmocka_unit_test_setup(writers_at_the_same_time_lose_nothing, fresh),
        cmocka_unit_test_setup(refuses_what_is_no_layout, fresh),
        cmocka_unit_test_setup(copes_with_missing_parts, fresh),
    };

    return cmocka_run_group_tests_name("layout", tests, enter, leave);
}
