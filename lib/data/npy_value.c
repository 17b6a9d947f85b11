/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of numpy's arrays as fields of CSV. */
#include "data/npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static uint64_t load(const struct ml_npy_field *f, const char *at)
{
    const unsigned char *p = (const unsigned char *)at;
    uint64_t x = 0;
    for (size_t i = 0; i < f->size; i++)
        x |= (uint64_t)p[f->swap ? f->size - 1 - i : i] << (8 * i);
    return x;
}

/* IEEE 754's binary16, exactly */
static double half(uint64_t bits)
{
    uint64_t e = bits >> 10 & 31, m = bits & 1023, wide;
    double x;
    if (e == 0) {
        x = (double)m / (1 << 24);
    } else {
        wide = (e == 31 ? (uint64_t)2047 : e + 1008) << 52 | m << 42;
        memcpy(&x, &wide, sizeof x);
    }
    return bits >> 15 ? -x : x;
}

static double real(const struct ml_npy_field *f, const char *p)
{
    uint64_t bits = load(f, p);
    uint32_t low = (uint32_t)bits;
    double x;
    float y;
    if (f->size == 2)
        return half(bits);
    if (f->size == 4) {
        memcpy(&y, &low, sizeof y);
        return (double)y;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void put_whole(uint64_t x, bool negative, struct ml_buf *out)
{
    char digits[24], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + x % 10);
    while ((x /= 10) > 0);
    if (negative)
        *--p = '-';
    ml_buf_add(out, p, (size_t)(digits + sizeof digits - p));
}

static void put_real(double x, struct ml_buf *out)
{
    char text[32];
    if (x != x)
        ml_buf_adds(out, "nan");
    else if (x - x != 0)
        ml_buf_adds(out, x > 0 ? "inf" : "-inf");
    else
        ml_buf_add(out, text, ml_double_format(x, text));
}

void ml_npy_put_text(const char *s, size_t len, struct ml_buf *out)
{
    bool plain = len > 0;
    for (size_t i = 0; plain && i < len; i++)
        plain = s[i] != ',' && s[i] != '"' && s[i] != '\n' && s[i] != '\r';
    if (plain) {
        ml_buf_add(out, s, len);
        return;
    }
    ml_buf_addc(out, '"');
    for (const char *end = s + len, *q; s < end; s = q) {
        q = memchr(s, '"', (size_t)(end - s));
        q = q != NULL ? q + 1 : end;
        ml_buf_add(out, s, (size_t)(q - s));
        if (q[-1] == '"')
            ml_buf_addc(out, '"');
    }
    ml_buf_addc(out, '"');
}

/* What is no character becomes bytes that are no UTF-8 either. */
static size_t encode(uint32_t c, char *u)
{
    if (c < 0x80) {
        u[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        u[0] = (char)(0xc0 | c >> 6);
        u[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        u[0] = (char)(0xe0 | c >> 12);
        u[1] = (char)(0x80 | (c >> 6 & 63));
        u[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    u[0] = (char)(c < 0x110000 ? 0xf0 | c >> 18 : 0xff);
    u[1] = (char)(0x80 | (c >> 12 & 63));
    u[2] = (char)(0x80 | (c >> 6 & 63));
    u[3] = (char)(0x80 | (c & 63));
    return 4;
}

static void put_wide(const struct ml_npy_field *f, const char *p, struct ml_buf *out)
{
    const struct ml_npy_field one = { .size = 4, .swap = f->swap };
    size_t n = f->size / 4, used = 0, start = out->len;
    bool plain = true;
    char u[256];
    while (n > 0 && load(&one, p + 4 * (n - 1)) == 0)
        n--;
    if (n == 0) { /* `out` may have no memory yet */
        ml_npy_put_text("", 0, out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t c = (uint32_t)load(&one, p + 4 * i);
        plain = plain && c != ',' && c != '"' && c != '\n' && c != '\r';
        used += encode(c, u + used);
        if (used > sizeof u - 4 || i + 1 == n) {
            ml_buf_add(out, u, used);
            used = 0;
        }
    }
    if (plain)
        return;
    char *text = ml_strndup(out->data + start, out->len - start);
    size_t len = out->len - start;
    out->len = start;
    ml_npy_put_text(text, len, out);
    free(text);
}

void ml_npy_put(const struct ml_npy_field *f, const char *p, struct ml_buf *out)
{
    size_t n = f->size;
    uint64_t x;
    switch (f->kind) {
    case 'b':
        ml_buf_adds(out, *p ? "true" : "false");
        break;
    case 'u':
        put_whole(load(f, p), false, out);
        break;
    case 'i':
        x = load(f, p);
        if (n < 8 && x >> (8 * n - 1))
            x |= UINT64_MAX << (8 * n);
        put_whole(x >> 63 ? -x : x, x >> 63, out);
        break;
    case 'f':
        put_real(real(f, p), out);
        break;
    case 'S':
        while (n > 0 && p[n - 1] == '\0')
            n--;
        ml_npy_put_text(p, n, out);
        break;
    default:
        put_wide(f, p, out);
    }
}

void ml_npy_put_raw(const struct ml_npy_field *f, const char *p, struct ml_buf *out)
{
    size_t start = out->len, to;
    ml_npy_put(f, p, out);
    if (out->len == start || out->data[start] != '"')
        return;
    to = start;
    for (size_t from = start + 1; from + 1 < out->len; from++) {
        out->data[to++] = out->data[from];
        from += out->data[from] == '"';
    }
    out->len = to;
    out->data[to] = '\0';
}
