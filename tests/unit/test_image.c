/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests and configs: reading them, extending them as text, and undoing compression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/decompress.h"
#include "oci/image.h"

#define D0 "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static struct ml_buf text(const char *s)
{
    struct ml_buf b = ML_BUF_INIT;

    ml_buf_adds(&b, s);
    return b;
}

static int parse(const char *manifest, const char *config, struct ml_image *out, struct ml_err *err)
{
    struct ml_buf m = text(manifest), c = text(config);
    int rc = ml_image_parse(&m, &c, out, err);

    ml_buf_release(&m);
    ml_buf_release(&c);
    return rc;
}

static const char *const config_text =
    "{\"x\" : 1.50,\"config\":null, \"rootfs\":{ \"diff_ids\":[\"" D0 "\"], \"type\":\"layers\", \"y\":[] }}";
static const char *const manifest_text =
    "{\"layers\":[ {\"size\":3,\"digest\":\"" D0
    "\",\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"urls\":[]} ],\"config\":"
    "{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"digest\":\"" D0
    "\",\"size\":2},\"schemaVersion\":2}";

static void extends_as_text(void **state)
{
    char type[] = ML_MT_LAYER, by[] = "by", path[] = "/a", config_type[] = ML_MT_CONFIG;
    struct ml_image_layer l = { .desc = { .media_type = type, .size = 7 }, .created_by = by, .path = path };
    struct ml_image_change c = { .layers = &l, .n = 1, .user = "u\"" };
    struct ml_desc config = { .media_type = config_type, .size = 9 };
    struct ml_err err = ML_ERR_INIT;
    struct ml_buf out = ML_BUF_INIT;
    struct ml_image base;

    (void)state;
    assert_int_equal(parse(manifest_text, config_text, &base, &err), 0);
    ml_digest_parse(D1, &l.desc.digest, &err);
    l.diff_id = config.digest = l.desc.digest;
    assert_int_equal(ml_image_extend_config(&base, &c, &out, &err), 0);
    assert_string_equal(out.data, "{\"x\" : 1.50,\"config\":{\"User\":\"u\\\"\"}, \"rootfs\":{ \"diff_ids\":[\"" D0
                                  "\",\"" D1 "\"], \"type\":\"layers\", \"y\":[] }}");
    ml_buf_release(&out);
    assert_int_equal(ml_image_extend_manifest(&base, &c, &config, &out, &err), 0);
    assert_string_equal(out.data,
        "{\"layers\":[ {\"size\":3,\"digest\":\"" D0 "\",\"mediaType\":\"" ML_MT_LAYER
        "+gzip\",\"urls\":[]},{\"mediaType\":\"" ML_MT_LAYER "\",\"digest\":\"" D1
        "\",\"size\":7,\"annotations\":{\"mlci.layer.path\":\"/a\"}} ],\"config\":{\"mediaType\":\"" ML_MT_CONFIG
        "\",\"digest\":\"" D1 "\",\"size\":9},\"schemaVersion\":2,\"mediaType\":\"" ML_MT_MANIFEST "\"}");
    ml_buf_release(&out);
    ml_image_release(&base);
}

/* Each has one fault, which the message names. */
static void refuses_what_is_no_image(void **state)
{
#define CONFIG(type, digest, size)                                                                                     \
    "{\"config\":{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size "},\"layers\":[]}"
#define GOOD CONFIG(ML_MT_CONFIG, D0, "2")
#define NONE "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"
    static const char lacks[] = "config lacks a media type, sha256 digest or size";
    static const struct {
        const char *manifest, *config, *why;
    } bad[] = {
        { "{}", NONE, "lacks \"config\" or \"layers\"" },
        { "[]", NONE, "lacks \"config\" or \"layers\"" },
        { "{\"config\":{},\"layers\":[]}", NONE, lacks },
        { CONFIG(ML_MT_CONFIG, "md5:00", "2"), NONE, lacks },
        { CONFIG(ML_MT_CONFIG, D0, "2.5"), NONE, lacks },
        { CONFIG(ML_MT_CONFIG, D0, "-2"), NONE, lacks },
        { "{\"config\":{\"digest\":\"" D0 "\",\"size\":2},\"layers\":[]}", NONE, lacks },
        { CONFIG("application/vnd.oci.empty.v1+json", D0, "2"), NONE, "its config is 'application/vnd.oci.empty" },
        { GOOD, "{}", "no rootfs of type" },
        { GOOD, "{\"rootfs\":{\"type\":\"tree\",\"diff_ids\":[]}}", "no rootfs of type" },
        { GOOD, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0 "\"]}}", "0 layers but 1 diff_ids" },
    };
    struct ml_err err = ML_ERR_INIT;
    struct ml_image image;

    (void)state;
    assert_int_equal(parse(GOOD, NONE, &image, &err), 0);
    ml_image_release(&image);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i].manifest, bad[i].config, &image, &err), -1);
        assert_int_equal(err.code, ML_LOCAL);
        assert_non_null(strstr(err.msg, bad[i].why));
    }
}

static void scratch_is_for_a_platform(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_image image;

    (void)state;
    assert_int_equal(ml_image_scratch("linux/arm/v7", &image, &err), 0);
    assert_int_equal(image.n, 0);
    assert_non_null(strstr(image.config.data, "\"architecture\":\"arm\",\"variant\":\"v7\",\"os\":\"linux\""));
    ml_image_release(&image);
    assert_int_equal(ml_image_scratch("linux", &image, &err), -1);
    assert_int_equal(err.code, ML_USAGE);
}

/* "hello" by gzip -n, and by zstd. */
static const unsigned char gz[] = "\x1f\x8b\x08\0\0\0\0\0\x00\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
static const unsigned char zst[] = "\x28\xb5\x2f\xfd\x04\x58\x29\0\0\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88";

/* Feeds n bytes in pieces of `step`; what came out, or NULL. Owned. */
static char *undo(const unsigned char *p, size_t n, size_t step, uint64_t max)
{
    struct ml_buf out = ML_BUF_INIT;
    struct ml_decompress *d = ml_decompress_new(max, ml_buf_sink, &out);
    struct ml_err err = ML_ERR_INIT;
    char *s = NULL;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i += step)
        rc = ml_decompress_add(d, p + i, n - i < step ? n - i : step, &err);
    if (rc == 0 && ml_decompress_end(d, &err) == 0)
        s = ml_strdup(ml_buf_str(&out));
    else
        assert_int_equal(err.code, ML_LOCAL);
    ml_decompress_free(d);
    ml_buf_release(&out);
    return s;
}

static void undone(const unsigned char *p, size_t n, const char *want)
{
    for (size_t step = 1; step <= n + 1; step += 3) {
        char *got = undo(p, n, step, 100);

        if (want)
            assert_string_equal(got, want);
        else
            assert_null(got);
        free(got);
    }
}

static void undoes_compression(void **state)
{
    unsigned char two[2 * sizeof gz + 8] = { 0 };

    (void)state;
    undone((const unsigned char *)"", 0, "");
    undone((const unsigned char *)"abc", 3, "abc");
    undone((const unsigned char *)"plain text", 10, "plain text");
    undone(gz, sizeof gz - 1, "hello");
    undone(zst, sizeof zst - 1, "hello");
    undone(gz, sizeof gz - 2, NULL);
    undone(zst, sizeof zst - 2, NULL);
    memcpy(two, gz, sizeof gz - 1);
    memcpy(two + sizeof gz - 1, gz, sizeof gz - 1);
    undone(two, 2 * (sizeof gz - 1), "hellohello");
    undone(two, 2 * (sizeof gz - 1) + 8, "hellohello"); /* zeros behind */
    two[2 * (sizeof gz - 1) + 5] = 1;
    undone(two, 2 * (sizeof gz - 1) + 8, NULL);
    assert_null(undo(gz, sizeof gz - 1, 100, 4));
    assert_null(undo(zst, sizeof zst - 1, 100, 4));
    assert_null(undo((const unsigned char *)"abcde", 5, 100, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extends_as_text),
        cmocka_unit_test(refuses_what_is_no_image),
        cmocka_unit_test(scratch_is_for_a_platform),
        cmocka_unit_test(undoes_compression),
    };

    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
