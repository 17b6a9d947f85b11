/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors, memory, text, digests, time. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static void errors(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    char *longer = ml_malloc(5000);

    (void)state;
    assert_int_equal(ml_err_set(&err, ML_REFUSED, "'%s': manifest not found (%d)", "x:v1", 404), -1);
    assert_int_equal(err.code, ML_REFUSED);
    assert_string_equal(err.msg, "'x:v1': manifest not found (404)");
    assert_int_equal(ml_err_wrap(&err, "layer %d", 3), -1);
    assert_string_equal(err.msg, "layer 3: 'x:v1': manifest not found (404)");
    assert_int_equal(err.code, ML_REFUSED);
    errno = ENOSPC;
    assert_int_equal(ml_err_errno(&err, ML_LOCAL, "cannot write '%s'", "f"), -1);
    assert_string_equal(err.msg, "cannot write 'f': No space left on device");
    /* nothing is too long, and nobody has to ask for it */
    memset(longer, 'x', 4999);
    longer[4999] = '\0';
    ml_err_set(&err, ML_LOCAL, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    ml_err_wrap(&err, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    errno = EIO;
    ml_err_errno(&err, ML_LOCAL, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(ml_err_set(NULL, ML_LOCAL, "x"), -1);
    assert_int_equal(ml_err_errno(NULL, ML_LOCAL, "x"), -1);
    assert_int_equal(ml_err_wrap(NULL, "x"), -1);
    free(longer);
}

static void buffers(void **state)
{
    struct ml_buf b = { .max = 10 };
    char *s;

    (void)state;
    assert_string_equal(ml_buf_str(&b), "");
    ml_buf_adds(&b, "12345");
    ml_buf_addf(&b, "%d", 67890);
    assert_false(b.full);
    assert_string_equal(b.data, "1234567890");
    ml_buf_addc(&b, 'x'); /* one too many: dropped, and so is all that follows */
    assert_true(b.full);
    ml_buf_add(&b, "", 0);
    assert_int_equal(b.len, 10);
    ml_buf_reset(&b);
    assert_false(b.full);
    assert_string_equal(ml_buf_str(&b), "");
    ml_buf_adds(&b, "12345678901");
    assert_true(b.full);
    assert_int_equal(b.len, 0);
    s = ml_buf_detach(&b);
    assert_string_equal(s, "");
    free(s);
    ml_buf_adds(&b, "again");
    assert_string_equal(b.data, "again");
    ml_buf_release(&b);
    assert_int_equal(b.max, 10);
    assert_null(b.data);

    ml_buf_init(&b, ML_BUF_MAX);
    ml_buf_add(&b, "a\0b", 3);
    assert_memory_equal(b.data, "a\0b", 4);
    ml_buf_addf(&b, "%1000d", 1); /* beyond what is formatted on the stack */
    assert_int_equal(b.len, 1003);
    assert_int_equal(b.data[1002], '1');
    for (int i = 0; i < 100000; i++)
        ml_buf_addc(&b, 'x');
    assert_int_equal(b.len, 101003);
    s = ml_buf_detach(&b);
    assert_int_equal(s[101002], 'x');
    assert_int_equal(s[101003], '\0');
    free(s);
    s = ml_format("%s-%d", "a", 7);
    assert_string_equal(s, "a-7");
    free(s);
}

static void reserves(void **state)
{
    size_t cap = 0, few;
    int *v = ml_grow(NULL, &cap, 3, sizeof *v);

    (void)state;
    v[2] = 7;
    few = cap;
    v = ml_reserve(v, &cap, SIZE_MAX / 2, sizeof *v);
    v = ml_reserve(v, &cap, 2, sizeof *v);
    assert_int_equal(cap, few);
    v = ml_reserve(v, &cap, 2000000, sizeof *v);
    assert_int_equal(cap, 2000000);
    v[1999999] = 8;
    v = ml_grow(v, &cap, 2000001, sizeof *v);
    assert_true(cap > 2000000);
    assert_int_equal(v[2] + v[1999999], 15);
    free(v);
}

static void lists(void **state)
{
    struct ml_strs l = { 0 };
    char name[] = "n";

    (void)state;
    for (int i = 0; i < 50; i++)
        ml_strs_add(&l, name);
    name[0] = 'm'; /* they are copies */
    assert_int_equal(l.n, 50);
    assert_true(ml_strs_has(&l, "n"));
    assert_false(ml_strs_has(&l, "m"));
    assert_false(ml_strs_has(&l, ""));
    ml_strs_release(&l);
    assert_int_equal(l.n, 0);
    ml_strs_release(&l);
}

static void utf8(void **state)
{
    /* the table of RFC 3629, section 4, from both sides of every edge */
    static const char *const good[] = { "\x01", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe0\xbf\xbf",
        "\xe1\x80\x80", "\xec\xbf\xbf", "\xed\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf0\xbf\xbf\xbf", "\xf1\x80\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x80\x80\x80",
        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2\x7f", "\xc2\xc0", "\xdf",
        "\xe0\x9f\xbf", "\xe0\x80\x80", "\xe1\x80", "\xe1\x80\x7f", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
        "\xf1\x80\x80\x7f", "\xf1\x80\xc0\x80" };
    char text[16];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t n = strlen(good[i]);

        assert_int_equal(ml_utf8_len(good[i], n), n);
        assert_int_equal(ml_utf8_len(good[i], n + 1), n);
        assert_int_equal(ml_utf8_len(good[i], n - 1), 0); /* cut off */
        snprintf(text, sizeof text, "ab%sc", good[i]);
        assert_int_equal(ml_utf8_check(text, n + 3), n + 3);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ml_utf8_len(bad[i], strlen(bad[i])), 0);
        snprintf(text, sizeof text, "ab%s", bad[i]);
        assert_int_equal(ml_utf8_check(text, strlen(text)), 2);
    }
    assert_int_equal(ml_utf8_len("", 0), 0);
    assert_int_equal(ml_utf8_len("\0", 1), 1);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}

static void doubles(void **state)
{
    static const struct {
        double x;
        const char *text;
    } known[] = { { 0, "0" }, { 0.1, "0.1" }, { 1, "1" }, { 100, "100" }, { 1e21, "1e+21" },
        { 0.30000000000000004, "0.30000000000000004" }, { 9007199254740993.0, "9007199254740992" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" }, { -2.5e-7, "-2.5e-07" } };
    uint64_t seed = 88172645463325252u, bits;
    char text[32];
    double x, y;

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(ml_double_format(known[i].x, text), strlen(known[i].text));
        assert_string_equal(text, known[i].text);
    }
    for (int i = 0; i < 200000; i++) {
        bits = next_random(&seed);
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        assert_in_range(ml_double_format(x, text), 1, 31);
        assert_true(ml_double_parse(text, strlen(text), &y));
        if (memcmp(&x, &y, sizeof x) != 0)
            fail_msg("%a became %s", x, text);
    }
}

/* As printf's %g writes them with 15, 16 or 17 digits, whichever is read back first. */
static void everyday_doubles(void **state)
{
    uint64_t seed = 88172645463325252u;
    char text[32], wanted[32];
    double x;

    (void)state;
    for (int i = 0; i < 400000; i++) {
        uint64_t r = next_random(&seed), q = next_random(&seed);
        switch (i % 6) {
        case 0:
            x = (double)(r >> 11) * 0x1p-53;
            break;
        case 1:
            x = pow(10, (double)(q % 3000) / 100 - 12) * ((double)(r >> 11) * 0x1p-53);
            break;
        case 2:
            x = (double)(r % 10000000) / (double)(1 + q % 2 * 9999);
            break;
        case 3:
            x = (float)((double)(r >> 11) * 0x1p-53);
            break;
        case 4:
            x = ldexp((double)(1 + q % 64), (int)(r % 100) - 50);
            break;
        default:
            x = nextafter(pow(10, (int)(r % 26) - 10), q & 1 ? 0 : 1e300);
        }
        x = r & 1 << 20 ? -x : x;
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(wanted, sizeof wanted, "%.*g", digits, x);
            if (strtod(wanted, NULL) == x)
                break;
        }
        assert_int_equal(ml_double_format(x, text), strlen(wanted));
        assert_string_equal(text, wanted);
    }
}

/* Decimal texts of every length, place of the point and exponent, and halfway between doubles, as strtod reads them, to
 * the last bit. */
static void decimals(void **state)
{
    static const char *const edges[] = { "0", "-0", "-0.0", ".5", "5.", "-.25", "9007199254740992", "9007199254740993",
        "9007199254740991.5", "0.0000000000000000000001", "1.0000000000000000000001", "0.00000000000000000000001",
        "123456789012345678901234567890", "000001.5", "1.10000000000000000000000000000" };
    uint64_t seed = 88172645463325252u;
    char text[64];
    double x, y;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        const char *s = text;
        if (i < (int)(sizeof edges / sizeof *edges)) {
            s = edges[i];
        } else {
            uint64_t r = next_random(&seed), digits = next_random(&seed);
            int length = (int)(r % 19) + 1, point = (int)(r / 19 % 28), n = 0;
            n += snprintf(text, sizeof text, "%s", r & 1u << 20 ? "-" : "");
            for (int k = 0; k < length || k <= point; k++) {
                if (k == point)
                    text[n++] = '.';
                text[n++] = (char)('0' + (k < length ? digits % 10 : 0));
                digits = digits / 10 + (k % 7 == 6 ? next_random(&seed) >> 8 : 0);
            }
            text[n] = 0;
            if (i % 3 == 0)
                snprintf(text + n, sizeof text - (size_t)n, "e%+d", (int)(r >> 32) % 30);
            else if (i % 3 == 1) /* halfway between two doubles, or one unit beside that */
                snprintf(text, sizeof text, "%llu%s",
                    (unsigned long long)((r >> 10 | 1ull << 53) * 2 + 1) - (digits & 1), i % 2 ? "e-9" : "");
        }
        y = strtod(s, NULL);
        assert_true(ml_double_parse(s, strlen(s), &x));
        if (memcmp(&x, &y, sizeof x) != 0)
            fail_msg("%s became %a, not %a", s, x, y);
    }
}

/* A few bytes out of digits and what stands next to them in ASCII or in numbers: a number where strtod takes all. */
static void short_numbers(void **state)
{
    static const char bytes[] = "0123456789012345678901234567890123456789....-+e/:\x1f\xb0";
    uint64_t seed = 88172645463325252u;
    char text[24], *end;
    double x, y;

    (void)state;
    for (int i = 0; i < 500000; i++) {
        uint64_t r = next_random(&seed);
        size_t n = 1 + r % 17;
        for (size_t k = 0; k < n; k++)
            text[k] = bytes[(next_random(&seed) >> 32) % (i % 2 ? sizeof bytes - 1 : 44)];
        text[n] = 0;
        text[n + 1] = '7'; /* what lies behind isn't read */
        y = strtod(text, &end);
        bool number = end == text + n && end > text;
        if (ml_double_parse(text, n, &x) != number || (number && memcmp(&x, &y, sizeof x) != 0))
            fail_msg("'%s': %s, %a", text, number ? "a number" : "no number", y);
    }
}

static void numbers(void **state)
{
    static const char *const not_doubles[] = { "", " 1", "1 ", "0x10", "inf", "nan", "1e", "e1", ".", "-", "1.2.3",
        "1,5", "--1", "1e5e5" };
    static const char *const not_ints[] = { "", " 1", "1 ", "1.0", "0x10", "-", "+-1", "9223372036854775808", "1e3" };
    double x;
    int64_t i;

    (void)state;
    for (size_t k = 0; k < sizeof not_doubles / sizeof *not_doubles; k++)
        if (ml_double_parse(not_doubles[k], strlen(not_doubles[k]), &x))
            fail_msg("'%s' is a number", not_doubles[k]);
    for (size_t k = 0; k < sizeof not_ints / sizeof *not_ints; k++)
        if (ml_int_parse(not_ints[k], &i))
            fail_msg("'%s' is an integer", not_ints[k]);
    assert_true(ml_double_parse("-1.5e3x", 6, &x));
    assert_true(x == -1500);
    assert_true(
        ml_double_parse("1.00000000000000000000000000000000000000000000000000000000000000000000000000001", 79, &x));
    assert_true(x == 1);
    assert_false(ml_double_parse("1\0", 2, &x));
    uint64_t n = 7;
    assert_true(ml_bytes_parse("100", 1024, &n) && n == 100);
    assert_true(ml_bytes_parse("3k", 1024, &n) && n == 3072);
    assert_true(ml_bytes_parse("64M", 1024, &n) && n == 64 << 20);
    assert_true(ml_bytes_parse("2g", 1000, &n) && n == 2000000000);
    assert_true(ml_bytes_parse("3T", 1024, &n) && n == (uint64_t)3 << 40);
    static const char *const no[] = { "17179869184g", "18446744073709551616", "k", "1kk", "1x", "-1k", "+1", "",
        "1.5m" };
    for (size_t k = 0; k < sizeof no / sizeof *no; k++)
        assert_false(ml_bytes_parse(no[k], 1024, &n));
    assert_int_equal(n, (uint64_t)3 << 40);
    assert_true(ml_int_parse("-9223372036854775808", &i));
    assert_true(i == INT64_MIN);
    assert_true(ml_int_parse("+7", &i));
    assert_true(i == 7);
}

static void texts(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } sizes[] = { { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.00 kB" }, { 9994, "9.99 kB" }, { 9996, "10.0 kB" },
        { 99960, "100 kB" }, { 999499, "999 kB" }, { 999500, "1.00 MB" }, { 187000000, "187 MB" },
        { UINT64_MAX, "18.4 EB" } };
    char out[16], harm[] = "a\x1b[31m\tb\x7f\xc3\xa9\xc2\x9b"
                           "c\xc2\xa0";

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_string_equal(ml_size_format(sizes[i].n, out), sizes[i].text);
    ml_text_harmless(harm);
    assert_string_equal(harm, "a?[31m?b?\xc3\xa9??c\xc2\xa0");
}

static void digests(void **state)
{
    static const char empty[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char abc[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* FIPS 180-4 */
    struct ml_hasher *h = ml_hasher_new();
    struct ml_err err = ML_ERR_INIT;
    struct ml_digest d, e;
    char bad[ML_DIGEST_LEN + 2];
    uint64_t size = 1;

    (void)state;
    ml_digest_bytes("", 0, &d);
    assert_string_equal(d.s, empty);
    ml_digest_bytes("abc", 3, &d);
    assert_string_equal(d.s, abc);
    for (int again = 0; again < 2; again++) { /* a hasher serves again after its end */
        ml_hasher_add(h, "a", 1);
        ml_hasher_add(h, "", 0);
        ml_hasher_add(h, "bc", 2);
        ml_hasher_end(h, &e);
        assert_true(ml_digest_eq(&d, &e));
    }
    ml_hasher_add(h, "junk", 4);
    ml_hasher_reset(h);
    ml_hasher_end(h, &e);
    assert_string_equal(e.s, empty);
    assert_false(ml_digest_eq(&d, &e));
    assert_string_equal(ML_DIGEST_HEX(&e), empty + 7);
    ml_hasher_free(h);
    ml_hasher_free(NULL);

    assert_int_equal(ml_digest_parse(abc, &e, &err), 0);
    snprintf(bad, sizeof bad, "%s0", abc);
    assert_int_equal(ml_digest_parse(bad, &e, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
    memcpy(bad, abc, sizeof abc);
    bad[10] = 'A';
    assert_false(ml_digest_valid(bad));
    memcpy(bad, "SHA256", 6);
    assert_false(ml_digest_valid(bad));
    assert_false(ml_digest_valid(""));
    assert_false(ml_digest_valid(abc + 7));

    assert_int_equal(ml_digest_file("/dev/null", &e, &size, &err), 0);
    assert_string_equal(e.s, empty);
    assert_int_equal(size, 0);
    assert_int_equal(ml_digest_file("/nowhere/x", &e, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "cannot open '/nowhere/x'"));
    assert_int_equal(ml_digest_file("/", &e, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "cannot read '/'"));
}

/* against coreutils, over the sizes around a block and around our reads */
static void digest_peer(void **state)
{
    static const size_t sizes[] = { 1, 55, 56, 63, 64, 65, 119, 262143, 262144, 262145, 3000001 };
    char path[] = "/tmp/mlci-unit.XXXXXX", hex[65], *command;
    struct ml_err err = ML_ERR_INIT;
    struct ml_digest d;
    uint64_t seed = 7, size;

    (void)state;
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ml_buf b = ML_BUF_INIT;
        FILE *peer;

        while (b.len < sizes[i])
            ml_buf_addc(&b, (char)next_random(&seed));
        assert_int_equal(ml_file_write(path, b.data, b.len, 0600, &err), 0);
        assert_int_equal(ml_digest_file(path, &d, &size, &err), 0);
        assert_int_equal(size, sizes[i]);
        command = ml_format("sha256sum %s", path);
        peer = popen(command, "r");
        assert_non_null(fgets(hex, sizeof hex, peer));
        pclose(peer);
        assert_string_equal(ML_DIGEST_HEX(&d), hex);
        free(command);
        ml_buf_release(&b);
    }
    unlink(path);
}

static void times(void **state)
{
    char text[ML_TIME_LEN + 1];
    struct ml_err err = ML_ERR_INIT;
    double before = ml_clock_monotonic();
    int64_t t;

    (void)state;
    ml_clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    ml_clock_format(1795341600, text);
    assert_string_equal(text, "2026-11-22T10:00:00Z");
    ml_clock_format(253402300799, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    ml_clock_sleep(0.02);
    assert_true(ml_clock_monotonic() - before >= 0.02);
    assert_true(ml_clock_now() > 1700000000);

    unsetenv("SOURCE_DATE_EPOCH");
    assert_int_equal(ml_clock_epoch(&t, &err), 0);
    assert_int_equal(t, 0);
    setenv("SOURCE_DATE_EPOCH", "1795341600", 1);
    assert_int_equal(ml_clock_epoch(&t, &err), 0);
    assert_int_equal(t, 1795341600);
    for (const char *const *s = (const char *const[]){ "x", "-1", "1.5", "253402300800", "99999999999999999999", NULL };
         *s; s++) {
        setenv("SOURCE_DATE_EPOCH", *s, 1);
        assert_int_equal(ml_clock_epoch(&t, &err), -1);
        assert_int_equal(err.code, ML_USAGE);
    }
    unsetenv("SOURCE_DATE_EPOCH");
}

static void base64(void **state)
{
    /* RFC 4648, section 10 */
    static const char *const known[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
    static const char *const bad[] = { "Z", "Zm9vY", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Z-8=", "Zm9v=" };
    struct ml_buf b = ML_BUF_INIT;
    unsigned char all[256];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ml_buf_reset(&b);
        ml_base64_encode(known[i][0], strlen(known[i][0]), &b);
        assert_string_equal(ml_buf_str(&b), known[i][1]);
        ml_buf_reset(&b);
        assert_true(ml_base64_decode(known[i][1], strlen(known[i][1]), &b));
        assert_string_equal(ml_buf_str(&b), known[i][0]);
    }
    ml_buf_reset(&b);
    ml_buf_adds(&b, "kept");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (ml_base64_decode(bad[i], strlen(bad[i]), &b))
            fail_msg("'%s' is no base64", bad[i]);
        assert_string_equal(b.data, "kept");
    }
    assert_false(ml_base64_decode("Zm9v\0Zm9v", 9, &b));
    assert_true(ml_base64_decode(" Zm9\nvYg\r\n", 10, &b));
    assert_string_equal(b.data, "keptfoob");
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    ml_buf_reset(&b);
    ml_base64_encode(all, sizeof all, &b);
    char *text = ml_buf_detach(&b); /* what is decoded mustn't move while `b` grows */
    assert_true(ml_base64_decode(text, strlen(text), &b));
    free(text);
    assert_memory_equal(b.data + b.len - 256, all, 256);
    ml_buf_release(&b);
}

/* RFC 7914, section 12, the second with r = 8 and p = 1 has N = 16384 */
static void scrypt(void **state)
{
    static const unsigned char want[64] = { 0x70, 0x23, 0xbd, 0xcb, 0x3a, 0xfd, 0x73, 0x48, 0x46, 0x1c, 0x06, 0xcd,
        0x81, 0xfd, 0x38, 0xeb, 0xfd, 0xa8, 0xfb, 0xba, 0x90, 0x4f, 0x8e, 0x3e, 0xa9, 0xb5, 0x43, 0xf6, 0x54, 0x5d,
        0xa1, 0xf2, 0xd5, 0x43, 0x29, 0x55, 0x61, 0x3f, 0x0f, 0xcf, 0x62, 0xd4, 0x97, 0x05, 0x24, 0x2a, 0x9a, 0xf9,
        0xe6, 0x1e, 0x85, 0xdc, 0x0d, 0x65, 0x1e, 0x40, 0xdf, 0xcf, 0x01, 0x7b, 0x45, 0x57, 0x58, 0x87 };
    unsigned char got[64];
    struct ml_err err = ML_ERR_INIT;

    (void)state;
    assert_int_equal(ml_scrypt("pleaseletmein", "SodiumChloride", 14, 16384, got, sizeof got, &err), 0);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(ml_scrypt("x", "y", 1, 3, got, sizeof got, &err), -1);
    assert_int_equal(err.code, ML_LOCAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(base64),
        cmocka_unit_test(scrypt),
        cmocka_unit_test(buffers),
        cmocka_unit_test(reserves),
        cmocka_unit_test(lists),
        cmocka_unit_test(utf8),
        cmocka_unit_test(doubles),
        cmocka_unit_test(everyday_doubles),
        cmocka_unit_test(decimals),
        cmocka_unit_test(short_numbers),
        cmocka_unit_test(numbers),
        cmocka_unit_test(texts),
        cmocka_unit_test(digests),
        cmocka_unit_test(digest_peer),
        cmocka_unit_test(times),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
