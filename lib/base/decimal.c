/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decimal text to the nearest double and back, as strtod and printf round, without their cost. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/word.h"

#define POWERS 28 /* 5^27 is the last that 64 bits hold */

static const uint64_t five[POWERS] = { 1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125,
    244140625, 1220703125, 6103515625, 30517578125, 152587890625, 762939453125, 3814697265625, 19073486328125,
    95367431640625, 476837158203125, 2384185791015625, 11920928955078125, 59604644775390625, 298023223876953125,
    1490116119384765625, 7450580596923828125 };

/* q * 2^e to the nearest double, ties to even; `more`: the true value is a little larger than q. q has over 53 bits and
 * the result is a normal number. */
static double round_scaled(uint64_t q, int e, bool more)
{
    int drop = 11 - __builtin_clzll(q);
    uint64_t m = q >> drop, rest = q & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1), bits;
    double scale;

    if (rest > half || (rest == half && (more || (m & 1))))
        m++;
    bits = (uint64_t)(1023 + e + drop) << 52;
    memcpy(&scale, &bits, sizeof scale);
    return (double)m * scale;
}

/* w / 5^k * 2^-k, by one division of which the remainder says how to round. */
static double divide(uint64_t w, int k)
{
    uint64_t d = five[k];
    int lw = __builtin_clzll(w), ld = __builtin_clzll(d);
    unsigned __int128 n = (unsigned __int128)(w << lw) << 63;
    uint64_t q = (uint64_t)(n / (d << ld));

    return round_scaled(q, ld - lw - 63 - k, (uint64_t)n != q * (d << ld));
}

/* w * 5^k * 2^k */
static double multiply(uint64_t w, int k)
{
    unsigned __int128 n = (unsigned __int128)w * five[k];
    uint64_t high = (uint64_t)(n >> 64);
    int up = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)n);

    n <<= up;
    return round_scaled((uint64_t)(n >> 64), k + 64 - up, (uint64_t)n != 0);
}

#define BYTES(c) ((uint64_t)0x0101010101010101 * (c))

static inline bool eight_digits(uint64_t w)
{
    return !(((w + BYTES(0x46)) | (w - BYTES('0'))) & BYTES(0x80));
}

/* What eight digits say, the first in the lowest byte: pairs, then all at once (Lemire 2021, Number parsing at a
 * gigabyte per second, section 3). */
static inline uint64_t eight_value(uint64_t w)
{
    const uint64_t every_fourth = 0x000000ff000000ff;

    w -= BYTES('0');
    w = w * 10 + (w >> 8);
    return (uint32_t)(((w & every_fourth) * (100 + (1000000ull << 32)) +
                          ((w >> 16) & every_fourth) * (1 + (10000ull << 32))) >>
                      32);
}

/* Scans digits, of which the first 19 that count fit into *w. Returns where they end; *n is how many there were. */
static const char *digits(const char *s, const char *end, uint64_t *w, int *kept, size_t *n)
{
    const char *from = s;

    for (; end - s >= 8; s += 8) {
        uint64_t eight = ml_word(s, 8), some = eight ^ BYTES('0');

        if (!eight_digits(eight))
            break;
        *kept += *w ? 8 : some ? 8 - __builtin_ctzll(some) / 8 : 0;
        *w = *w * 100000000 + eight_value(eight);
    }
    for (; s < end && *s >= '0' && *s <= '9'; s++) {
        *kept += *w || *s != '0';
        *w = *w * 10 + (uint64_t)(*s - '0');
    }
    *n = (size_t)(s - from);
    return s;
}

static const char *exponent(const char *s, const char *end, int *e)
{
    bool negative;
    int x = 0;

    if (s == end || (*s | 0x20) != 'e')
        return s;
    s++;
    negative = s < end && *s == '-';
    s += s < end && (*s == '-' || *s == '+');
    if (s == end)
        return NULL;
    for (; s < end && *s >= '0' && *s <= '9' && x < 10000; s++)
        x = x * 10 + (*s - '0');
    *e += negative ? -x : x;
    return s;
}

/* Up to 19 digits and a power of ten that isn't extreme. False: not that simple, or no number. */
static bool parse_common(const char *s, size_t n, double *out)
{
    const char *end = s + n;
    bool negative = *s == '-';
    uint64_t w = 0;
    size_t whole, part = 0;
    int kept = 0, e = 0;
    double x;

    s += *s == '-' || *s == '+';
    s = digits(s, end, &w, &kept, &whole);
    if (s < end && *s == '.')
        s = digits(s + 1, end, &w, &kept, &part);
    if (whole + part == 0 || kept > 19 || part > 4000)
        return false;
    e -= (int)part;
    s = exponent(s, end, &e);
    if (s != end || e <= -POWERS || e >= POWERS)
        return false;
    if (w <= (uint64_t)1 << 53 && e >= -22 && e <= 22) {
        /* both are doubles, so one operation rounds once (Clinger 1990, How to read floating point numbers accurately,
         * section 3) */
        double ten = (double)five[e < 0 ? -e : e] * (double)((uint64_t)1 << (e < 0 ? -e : e));

        x = e < 0 ? (double)w / ten : (double)w * ten;
    } else {
        x = !w ? 0 : e < 0 ? divide(w, -e) : multiply(w, e);
    }
    *out = negative ? -x : x;
    return true;
}

/* At most eight bytes, digits and perhaps a point: all of them in one word. False: it isn't that. */
static inline bool parse_short(const char *s, size_t n, double *out)
{
    static const double ten[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7 };
    uint64_t w, point;
    unsigned part = 0;

    if (n - 2 > 6) /* 2 to 8: a point alone is no number */
        return false;
    w = ml_word(s, n);
    if (n < 8)
        w = w << 8 * (8 - n) | BYTES('0') >> 8 * n;
    point = w ^ BYTES('.');
    point = (point - BYTES(1)) & ~point & BYTES(0x80);
    if (point) {
        unsigned before = (unsigned)__builtin_ctzll(point) / 8;
        uint64_t low = ((uint64_t)1 << 8 * before) - 1;

        w = (w & ~(low << 8 | 0xff)) | (w & low) << 8 | '0'; /* what stands before it takes its place */
        part = 7 - before;
    }
    if (!eight_digits(w))
        return false;
    *out = (double)eight_value(w) / ten[part];
    return true;
}

bool ml_double_parse(const char *s, size_t n, double *out)
{
    char tmp[64], *copy = tmp, *end;
    bool ok;

    if (n == 0)
        return false;
    if (parse_short(s, n, out) || parse_common(s, n, out))
        return true;
    for (size_t i = 0; i < n; i++)
        if (!strchr("+-.0123456789eE", s[i]) || !s[i])
            return false;
    if (n >= sizeof tmp)
        copy = malloc(n + 1);
    if (!copy)
        return false;
    memcpy(copy, s, n);
    copy[n] = '\0';
    *out = strtod(copy, &end);
    ok = end == copy + n && strpbrk(copy, "0123456789");
    if (copy != tmp)
        free(copy);
    return ok;
}

/* ---- and back ---- */

/* Digits (15 to 17 of them, trailing zeros cut) and a power of ten as %g writes them. */
static size_t put_digits(uint64_t d, int digits, int power, bool negative, char out[32])
{
    char text[20], *p = out;
    int n = digits;

    for (int i = digits - 1; i >= 0; i--, d /= 10)
        text[i] = (char)('0' + d % 10);
    while (n > 1 && text[n - 1] == '0')
        n--;
    if (negative)
        *p++ = '-';
    if (power < -4) {
        *p++ = text[0];
        if (n > 1)
            *p++ = '.';
        memcpy(p, text + 1, (size_t)n - 1);
        p += n - 1;
        *p++ = 'e';
        *p++ = '-';
        *p++ = (char)('0' + -power / 10);
        *p++ = (char)('0' + -power % 10);
    } else if (power < 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = -1; i > power; i--)
            *p++ = '0';
        memcpy(p, text, (size_t)n);
        p += n;
    } else {
        for (int i = 0; i < n || i <= power; i++) {
            if (i == power + 1)
                *p++ = '.';
            *p++ = i < n ? text[i] : '0';
        }
    }
    *p = '\0';
    return (size_t)(p - out);
}

/* Numbers of everyday size: m * 2^e * 10^k is one whole number of 128 bits and a shift. 0: it isn't one of them. */
static size_t format_common(double x, char out[32])
{
    static const uint64_t ten[] = { 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000 };
    bool negative = signbit(x);
    uint64_t bits, m;
    int e, power;

    x = fabs(x);
    if (!(x >= 1e-9 && x < 1e14))
        return 0;
    memcpy(&bits, &x, sizeof bits);
    m = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
    e = (int)(bits >> 52) - 1075;
    power = ((e + 52) * 1233) >> 12; /* log10(2) is a little more: too low by one at most */
    for (int digits = 15; digits <= 17; digits++) {
        int k = digits - 1 - power, s = -(e + k);
        unsigned __int128 p, q, back, off;
        uint64_t d;

        p = (unsigned __int128)m * five[k];
        q = p >> s;
        if (q >= ten[digits - 14]) {
            power++;
            digits--;
            continue;
        }
        back = q << s;
        off = p - back;
        if (off << 1 > (unsigned __int128)1 << s || (off << 1 == (unsigned __int128)1 << s && (q & 1))) {
            q++;
            back += (unsigned __int128)1 << s;
            off = back - p;
        }
        /* It is read back as x when it is nearer to x than half the way to the next double. */
        if (digits < 17 && off << (back < p && m == (uint64_t)1 << 52 ? 2 : 1) >= five[k])
            continue;
        d = (uint64_t)q;
        if (d == ten[digits - 14])
            return put_digits(d / 10, digits, power + 1, negative, out);
        return put_digits(d, digits, power, negative, out);
    }
    return 0;
}

size_t ml_double_format(double x, char out[32])
{
    size_t common = x == 0 ? 0 : format_common(x, out);

    for (int digits = 15; common == 0; digits++) {
        int n = snprintf(out, 32, "%.*g", digits, x);

        if (digits == 17 || strtod(out, NULL) == x)
            return (size_t)n;
    }
    return common;
}
