/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of a layer, remembered: what comes back is what was read, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/file.h"
#include "oci/names.h"
#include "oci/tar.h"

static char top[] = "/tmp/test_names.XXXXXX";

static int enter(void **state)
{
    (void)state;
    return !mkdtemp(top) || setenv("ML_CACHE", top, 1);
}

static int leave(void **state)
{
    (void)state;
    return ml_remove_all(top, NULL);
}

/* A repository of one blob in memory. */
struct blob_repo {
    struct ml_repo base;
    struct ml_buf blob;
};

static int get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct blob_repo *b = (struct blob_repo *)r;

    (void)d, (void)off, (void)len;
    return sink(ctx, b->blob.data, b->blob.len, err);
}

static const struct ml_repo_ops ops = { .blob_get = get };

static void fill(struct blob_repo *r, struct ml_desc *d)
{
    static const struct ml_tar_entry v[] = {
        { .path = "usr", .type = ML_TAR_DIR, .mode = 0755 },
        { .path = "usr/lib", .type = ML_TAR_DIR, .mode = 01777, .uid = 33, .gid = 5000000000 },
        { .path = "usr/lib/\303\244", .type = ML_TAR_FILE, .mode = 0600 },
        { .path = "lib", .link = "usr/lib", .type = ML_TAR_SYMLINK, .mode = 0777 },
        { .path = "srv/.wh.old", .type = ML_TAR_FILE, .mode = 0644 },
    };

    *r = (struct blob_repo){ .base = { .ops = &ops, .ref = { .layout = true } }, .blob = ML_BUF_INIT };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        assert_int_equal(ml_tar_header(&v[i], ml_buf_sink, &r->blob, NULL), 0);
    assert_int_equal(ml_tar_end(ml_buf_sink, &r->blob, NULL), 0);
    *d = (struct ml_desc){ .size = r->blob.len };
    ml_digest_bytes(r->blob.data, r->blob.len, &d->digest);
}

static void check(const struct ml_names *n)
{
    struct ml_rootfs *fs = ml_rootfs_new(NULL, NULL);
    struct ml_buf real = ML_BUF_INIT;
    const struct ml_node *node;

    assert_int_equal(ml_names_apply(n, fs, 0, NULL), 0);
    node = ml_rootfs_find(fs, "usr/lib");
    assert_true(node && node->type == ML_TAR_DIR && node->mode == 01777 && node->uid == 33 && node->gid == 5000000000);
    node = ml_rootfs_find(fs, "usr/lib/\303\244");
    assert_true(node && node->type == ML_TAR_FILE && node->mode == 0600);
    assert_int_equal(ml_rootfs_resolve(fs, "lib/x", true, &real, NULL), 0);
    assert_string_equal(real.data, "usr/lib/x");
    assert_null(ml_rootfs_find(fs, "srv/.wh.old"));
    ml_buf_release(&real);
    ml_rootfs_free(fs);
}

static void come_back(void **state)
{
    struct blob_repo r;
    struct ml_desc d;
    struct ml_names n, again;
    struct ml_digest other = { "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };

    (void)state;
    fill(&r, &d);
    assert_int_equal(ml_names_read(&r.base, &d, &n, NULL), 0);
    assert_string_equal(n.diff_id.s, d.digest.s);
    check(&n);
    assert_false(ml_names_load(&d.digest, &again));
    ml_names_store(&d.digest, &n);
    assert_true(ml_names_load(&d.digest, &again));
    assert_string_equal(again.diff_id.s, d.digest.s);
    assert_int_equal(again.text.len, n.text.len);
    check(&again);
    ml_names_release(&again);
    assert_false(ml_names_load(&other, &again));
    ml_names_release(&n);
    ml_names_release(&again);
    ml_buf_release(&r.blob);
}

/* The text with a checksum that fits, cut or changed at every byte: never taken wrongly, never read beyond its end. */
static void broken_ones_are_not_taken(void **state)
{
    struct blob_repo r;
    struct ml_desc d;
    struct ml_names n, again;
    struct ml_buf text = ML_BUF_INIT;
    struct ml_digest sum;
    char *name;
    size_t body;

    (void)state;
    fill(&r, &d);
    assert_int_equal(ml_names_read(&r.base, &d, &n, NULL), 0);
    ml_names_store(&d.digest, &n);
    name = ml_format("names/%s", ML_DIGEST_HEX(&d.digest));
    assert_true(ml_cache_read(name, &text));
    body = text.len - ML_DIGEST_LEN;
    for (size_t i = 0; i < text.len; i++) {
        char *copy = ml_strndup(text.data, text.len);

        assert_false(ml_names_parse(&d.digest, copy, i, &again));
        copy[i] ^= 0x55;
        assert_false(ml_names_parse(&d.digest, copy, text.len, &again));
        for (int bit = 0; bit < 8 && i < body; bit++) { /* sound or not, it does no harm */
            struct ml_rootfs *fs = ml_rootfs_new(NULL, NULL);

            copy[i] = (char)(text.data[i] ^ 1 << bit);
            ml_digest_bytes(copy, body, &sum);
            memcpy(copy + body, sum.s, ML_DIGEST_LEN);
            if (ml_names_parse(&d.digest, copy, text.len, &again)) {
                (void)ml_names_apply(&again, fs, 0, NULL);
                ml_names_release(&again);
            }
            ml_rootfs_free(fs);
        }
        free(copy);
    }
    free(name);
    ml_names_release(&n);
    ml_buf_release(&text);
    ml_buf_release(&r.blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_back),
        cmocka_unit_test(broken_ones_are_not_taken),
    };

    return cmocka_run_group_tests_name("names", tests, enter, leave);
}
