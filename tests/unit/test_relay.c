/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs as sources that can be read at any offset, and copying with sources that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/copy.h"
#include "oci/relay.h"

#define SIZE ((uint64_t)11 << 20) /* two whole pieces and a part */

/* A repository in memory, of one blob. */
struct fake {
    struct ml_repo repo;
    unsigned char *bytes;
    uint64_t has;   /* what it has of them */
    uint64_t fails; /* a piece that has this byte can't be had; 0: all can */
    int gets;
    uint64_t most; /* bytes that were asked for at once */
};

static int blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    struct fake *f = (struct fake *)r;

    (void)d;
    f->gets++;
    if (len > f->most)
        f->most = len;
    if (f->fails && off <= f->fails && f->fails < off + len)
        return ml_err_set(err, ML_REFUSED, "no");
    while (len && off < f->has) {
        size_t n = len < 5000 ? (size_t)len : 5000;

        if (n > f->has - off)
            n = (size_t)(f->has - off);
        if (sink(ctx, f->bytes + off, n, err))
            return -1;
        off += n;
        len -= n;
    }
    return 0;
}

static const struct ml_repo_ops ops = { .blob_get = blob_get };

static void fake_init(struct fake *f)
{
    memset(f, 0, sizeof *f);
    f->repo.ops = &ops;
    f->bytes = ml_malloc(SIZE);
    f->has = SIZE;
    for (uint64_t i = 0; i < SIZE; i++)
        f->bytes[i] = (unsigned char)(i * 2654435761u >> 13);
}

static void same(struct fake *f, const struct ml_source *src, uint64_t off, size_t n)
{
    static unsigned char buf[1 << 20];
    struct ml_err err = ML_ERR_INIT;

    while (n) {
        int64_t got = src->read(src->ctx, off, buf, n < sizeof buf ? n : sizeof buf, &err);

        assert_true(got > 0);
        assert_memory_equal(buf, f->bytes + off, (size_t)got);
        off += (uint64_t)got;
        n -= (size_t)got;
    }
}

static void reads_forth_and_back(void **state)
{
    struct ml_desc d = { .size = SIZE };
    struct ml_err err = ML_ERR_INIT;
    struct ml_relay *r;
    struct fake f;
    char c;

    (void)state;
    fake_init(&f);
    assert_int_equal(ml_relay_open(&f.repo, &d, &r, &err), 0);
    same(&f, ml_relay_source(r), 0, SIZE);
    assert_int_equal(f.gets, 3);
    assert_true(f.most * 2 <= ML_RELAY_MEMORY);
    same(&f, ml_relay_source(r), 100, 5 << 20);
    same(&f, ml_relay_source(r), SIZE - 3, 3);
    same(&f, ml_relay_source(r), 7 << 20, 1 << 20);
    for (int i = 0; i < 20; i++)
        same(&f, ml_relay_source(r), (uint64_t)(i * 7919993) % (SIZE - 70000), 70000);
    assert_int_equal(ml_relay_source(r)->read(ml_relay_source(r)->ctx, SIZE, &c, 1, &err), 0);
    assert_int_equal(ml_relay_source(r)->read(ml_relay_source(r)->ctx, SIZE + 5, &c, 1, &err), 0);
    ml_relay_close(r);
    /* one that nobody reads to the end */
    assert_int_equal(ml_relay_open(&f.repo, &d, &r, &err), 0);
    same(&f, ml_relay_source(r), 5, 5);
    ml_relay_close(r);
    ml_relay_close(NULL);
    free(f.bytes);
}

static int read_all(struct fake *f, uint64_t size, struct ml_err *err)
{
    static unsigned char buf[1 << 20];
    struct ml_desc d = { .size = size };
    struct ml_relay *r;
    uint64_t at = 0;
    int64_t got;

    assert_int_equal(ml_relay_open(&f->repo, &d, &r, err), 0);
    while ((got = ml_relay_source(r)->read(ml_relay_source(r)->ctx, at, buf, sizeof buf, err)) > 0)
        at += (uint64_t)got;
    ml_relay_close(r);
    return (int)got;
}

static void what_is_short_or_refused_is_told(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct fake f;

    (void)state;
    fake_init(&f);
    f.has = 9 << 20;
    assert_int_equal(read_all(&f, SIZE, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    f.has = SIZE;
    f.fails = 6 << 20;
    assert_int_equal(read_all(&f, SIZE, &err), -1);
    assert_int_equal(err.code, ML_REFUSED);
    assert_string_equal(err.msg, "no");
    f.fails = 0;
    assert_int_equal(read_all(&f, SIZE, &err), 0);
    free(f.bytes);
}

/* ---- copying ---- */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static int none_manifest(struct ml_repo *r, const char *what, struct ml_desc *out, struct ml_err *err)
{
    (void)r;
    (void)what;
    (void)out;
    (void)err;
    return 1;
}

static int none_blob(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err)
{
    (void)r;
    (void)d;
    (void)err;
    return 1;
}

static int no_mount(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    (void)r;
    (void)d;
    (void)from;
    (void)err;
    return 1;
}

/* Blob 1 isn't what it should be, blob 2 can't be reached, blob 3 would take for ever. */
static int put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    char c, which = d->digest.s[ML_DIGEST_LEN - 1];

    (void)r;
    if (which == '2')
        return ml_err_set(err, ML_UNREACHABLE, "nobody there");
    while (which == '3')
        if (src->read(src->ctx, 0, &c, 1, err) < 0)
            return -1;
    return which == '1' ? ml_err_set(err, ML_INTEGRITY, "other bytes") : 0;
}

static void the_gravest_error_is_told(void **state)
{
    static const struct ml_repo_ops target = {
        .manifest_head = none_manifest, .blob_has = none_blob, .blob_mount = no_mount, .blob_put = put
    };
    struct ml_repo to = { .ops = &target };
    struct fake f;

    (void)state;
    fake_init(&f);
    for (int i = 0; i < 20; i++) {
        struct ml_copy c = { .from = &f.repo, .to = &to };
        struct ml_err err = ML_ERR_INIT;
        struct ml_manifest m = { 0 };
        char *text = ml_format("{\"config\": {\"digest\": \"sha256:" HEX "1\", \"size\": 10}, \"layers\": ["
                               "{\"digest\": \"sha256:" HEX "%c\", \"size\": 9}, "
                               "{\"digest\": \"sha256:" HEX "3\", \"size\": 12}]}",
            i % 2 ? '2' : '4');

        ml_buf_init(&m.raw, 1 << 16);
        ml_buf_adds(&m.raw, text);
        free(text);
        assert_int_equal(ml_copy_image(&c, &m, &err), -1);
        /* which of two comes first is open; that it is one of them isn't */
        if (i % 2)
            assert_true(err.code == ML_INTEGRITY || err.code == ML_UNREACHABLE);
        else
            assert_int_equal(err.code, ML_INTEGRITY);
        ml_manifest_release(&m);
    }
    free(f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_forth_and_back),
        cmocka_unit_test(what_is_short_or_refused_is_told),
        cmocka_unit_test(the_gravest_error_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
