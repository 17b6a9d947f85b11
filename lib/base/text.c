/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-8, numbers as text, and paths. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

size_t ml_utf8_len(const char *str, size_t n)
{
    const unsigned char *s = (const unsigned char *)str;
    size_t len;

    if (n == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

char *ml_utf8_put(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

size_t ml_utf8_check(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t len = ml_utf8_len(s + i, n - i);

        if (len == 0)
            return i;
        i += len;
    }
    return n;
}

bool ml_int_parse(const char *s, int64_t *out)
{
    char *end;

    if (!*s || strspn(s, "+-0123456789") != strlen(s))
        return false;
    errno = 0;
    *out = strtoll(s, &end, 10);
    return !errno && !*end;
}

bool ml_bytes_parse(const char *s, unsigned thousand, uint64_t *out)
{
    static const char units[] = "kmgt";
    size_t digits = strspn(s, "0123456789");
    const char *unit = s[digits] ? strchr(units, tolower((unsigned char)s[digits])) : NULL;
    uint64_t n = 0;

    if (digits == 0 || (s[digits] && (!unit || s[digits + 1])))
        return false;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(s[i] - '0'), &n))
            return false;
    for (int i = 0; unit && i <= unit - units; i++)
        if (__builtin_mul_overflow(n, thousand, &n))
            return false;
    *out = n;
    return true;
}

const char *ml_size_format(uint64_t bytes, char out[16])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    double x = (double)bytes;
    size_t u = 0;

    while (x >= 999.5 && u < 6) {
        x /= 1000;
        u++;
    }
    snprintf(out, 16, "%.*f %s", u == 0 || x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2, x, units[u]);
    return out;
}

void ml_text_harmless(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) {
            *s = '?';
        } else if ((unsigned char)s[0] == 0xc2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0) {
            *s++ = '?';
            *s = '?';
        }
    }
}

const char *ml_path_within(const char *path, const char *root)
{
    size_t n = root ? strlen(root) : 0;

    while (n && root[n - 1] == '/')
        n--;
    if (n && !strncmp(path, root, n) && path[n] == '/')
        path += n + 1;
    while (!strncmp(path, "./", 2))
        path += 2;
    return path;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ml_text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), d[64][64];
    if (n >= 64 || m >= 64)
        return 64;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}
