/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compression in blocks: what goes in comes out again, from anywhere, and nothing but the input decides the bytes. */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/decompress.h"
#include "base/mem.h"
#include "oci/compress.h"

struct bytes {
    char *p;
    size_t n;
};

static int64_t bytes_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct bytes *b = ctx;

    (void)err;
    if (off >= b->n)
        return 0;
    if (n > b->n - off)
        n = b->n - off;
    if (n > 100000)
        n = 100000; /* a source may give less than is asked for */
    memcpy(p, b->p + off, n);
    return (int64_t)n;
}

/* Words of a small vocabulary with noise between them. */
static struct bytes text(size_t n)
{
    static const char *const words[] = { "layer ", "weight ", "bias ", "0.25 ", "attention.", "\n" };
    struct bytes b = { ml_malloc(n + 16), n };
    unsigned seed = 7;

    for (size_t i = 0; i < n;) {
        const char *w = words[(seed >> 16) % 6];
        size_t len = strlen(w);

        memcpy(b.p + i, w, len);
        i += len;
        seed = seed * 1103515245 + 12345;
        if ((seed >> 16) % 5 == 0)
            b.p[i++] = (char)(seed >> 24);
    }
    return b;
}

static void compress(enum ml_compress kind, struct bytes *in, struct ml_buf *out)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_source src = { bytes_read, in };
    struct ml_compressor *c = ml_compressor_new(kind, src, in->n);
    struct ml_digest diff, digest, want;
    uint64_t size;

    assert_int_equal(ml_compressor_run(c, ml_buf_sink, out, &diff, &digest, &size, &err), 0);
    assert_int_equal(size, out->len);
    ml_digest_bytes(in->p, in->n, &want);
    assert_string_equal(diff.s, want.s);
    ml_digest_bytes(out->data, out->len, &want);
    assert_string_equal(digest.s, want.s);
    ml_compressor_free(c);
}

static void what_goes_in_comes_out(void **state)
{
    static const size_t sizes[] = { 0, 1, 32768, 32769, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20, 9000001 };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        enum ml_compress kind = i % 2 ? ML_COMPRESS_ZSTD : ML_COMPRESS_GZIP;
        struct bytes in = text(sizes[i / 2]);
        struct ml_buf out = ML_BUF_INIT, back = ML_BUF_INIT;
        struct ml_err err = ML_ERR_INIT;
        struct ml_decompress *d = ml_decompress_new(in.n, ml_buf_sink, &back);

        compress(kind, &in, &out);
        assert_true(out.len < in.n / 2 + 100);
        assert_string_equal(ml_decompress_kind(out.data, out.len), kind == ML_COMPRESS_GZIP ? "gzip" : "zstd");
        assert_int_equal(ml_decompress_add(d, out.data, out.len, &err), 0);
        assert_int_equal(ml_decompress_end(d, &err), 0);
        assert_int_equal(back.len, in.n);
        assert_true(in.n == 0 || !memcmp(back.data, in.p, in.n));
        ml_decompress_free(d);
        ml_buf_release(&out);
        ml_buf_release(&back);
        free(in.p);
    }
}

/* RFC 1952: one member, no name, no time, system unknown; its check and size are those of the whole. */
static void gzip_says_nothing_about_where_it_was_made(void **state)
{
    struct bytes in = text(3 << 20);
    struct ml_buf out = ML_BUF_INIT;
    const unsigned char *end;
    uint32_t crc = ml_crc32(in.p, in.n);

    (void)state;
    compress(ML_COMPRESS_GZIP, &in, &out);
    assert_memory_equal(out.data, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    end = (const unsigned char *)out.data + out.len;
    assert_int_equal(end[-8] | end[-7] << 8 | end[-6] << 16 | (uint32_t)end[-5] << 24, crc);
    assert_int_equal(end[-4] | end[-3] << 8 | end[-2] << 16 | (uint32_t)end[-1] << 24, 3 << 20);
    ml_buf_release(&out);
    free(in.p);
}

static void the_number_of_threads_decides_nothing(void **state)
{
    struct bytes in = text(30000000);
    cpu_set_t all, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all) && CPU_COUNT(&one) == 0)
            CPU_SET(i, &one);
    for (enum ml_compress kind = ML_COMPRESS_GZIP; kind <= ML_COMPRESS_ZSTD; kind++) {
        struct ml_buf a = ML_BUF_INIT, b = ML_BUF_INIT;

        compress(kind, &in, &a);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        compress(kind, &in, &b);
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        ml_buf_release(&a);
        ml_buf_release(&b);
    }
    free(in.p);
}

static void it_can_be_read_again_from_anywhere(void **state)
{
    struct bytes in = text(12000000);
    char *part = ml_malloc(1 << 20);

    (void)state;
    for (enum ml_compress kind = ML_COMPRESS_GZIP; kind <= ML_COMPRESS_ZSTD; kind++) {
        struct ml_err err = ML_ERR_INIT;
        struct ml_buf out = ML_BUF_INIT;
        struct ml_compressor *c = ml_compressor_new(kind, (struct ml_source){ bytes_read, &in }, in.n);
        struct ml_digest diff;
        struct ml_source src;
        uint64_t size;
        unsigned seed = 5;

        assert_int_equal(ml_compressor_run(c, ml_buf_sink, &out, &diff, NULL, &size, &err), 0);
        src = ml_compressor_source(c);
        for (int i = 0; i < 40; i++) {
            size_t off = (seed = seed * 1103515245 + 12345) % out.len, n = i % 3 ? 70000 : 1 << 20;

            if (i == 0)
                off = 0;
            if (i == 20)
                ml_compressor_pause(c);
            for (int k = 0; k < 4 && off < out.len; k++) { /* and on from there */
                if (n > out.len - off)
                    n = out.len - off;
                assert_int_equal(src.read(src.ctx, off, part, n, &err), n);
                assert_memory_equal(part, out.data + off, n);
                off += n;
            }
        }
        assert_int_equal(src.read(src.ctx, out.len, part, 10, &err), 0);
        /* other bytes than the first time */
        memset(in.p + 5000000, kind == ML_COMPRESS_GZIP ? 'x' : 0, kind == ML_COMPRESS_GZIP ? 3000000 : 6000000);
        for (uint64_t off = 0; off < size;) {
            int64_t n = src.read(src.ctx, off, part, 1 << 20, &err);

            if (n < 0)
                break;
            off += (uint64_t)n;
        }
        assert_int_equal(err.code, ML_INTEGRITY);
        ml_compressor_free(c);
        ml_buf_release(&out);
    }
    free(part);
    free(in.p);
}

static void a_source_that_ends_early_is_an_error(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct bytes in = text(3000000);
    struct ml_compressor *c = ml_compressor_new(ML_COMPRESS_GZIP, (struct ml_source){ bytes_read, &in }, in.n + 1);
    struct ml_digest diff;
    uint64_t size;

    (void)state;
    assert_int_equal(ml_compressor_run(c, NULL, NULL, &diff, NULL, &size, &err), -1);
    assert_int_equal(err.code, ML_INTEGRITY);
    ml_compressor_free(c);
    free(in.p);
}

static double uniform(void)
{
    static unsigned long long state = 88172645463325252ULL;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static void only_what_shrinks_is_worth_it(void **state)
{
    enum { N = 2000000 };
    struct ml_err err = ML_ERR_INIT;
    struct bytes b = text(N * sizeof(float));
    struct ml_source src = { bytes_read, &b };
    float *weights = (void *)b.p;

    (void)state;
    assert_int_equal(ml_compress_shrinks(src, b.n, &err), 1);
    assert_int_equal(ml_compress_shrinks(src, 1000, &err), 1);
    for (size_t i = 0; i < N; i++)
        weights[i] = (float)(.02 * sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
    assert_int_equal(ml_compress_shrinks(src, b.n, &err), 0);
    for (size_t i = 0; i < N; i++) /* bfloat16 in float32: half of it is zeros */
        ((uint32_t *)(void *)weights)[i] &= 0xffff0000;
    assert_int_equal(ml_compress_shrinks(src, b.n, &err), 1);
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(gzip_says_nothing_about_where_it_was_made),
        cmocka_unit_test(the_number_of_threads_decides_nothing),
        cmocka_unit_test(it_can_be_read_again_from_anywhere),
        cmocka_unit_test(a_source_that_ends_early_is_an_error),
        cmocka_unit_test(only_what_shrinks_is_worth_it),
    };

    return cmocka_run_group_tests_name("compress", tests, NULL, NULL);
}
