/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base64. */
#include "base/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ml_base64_encode(const void *bytes, size_t n, struct ml_buf *out)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        ml_buf_addc(out, digits[v >> 18]);
        ml_buf_addc(out, digits[v >> 12 & 63]);
        ml_buf_addc(out, i + 1 < n ? digits[v >> 6 & 63] : '=');
        ml_buf_addc(out, i + 2 < n ? digits[v & 63] : '=');
    }
}

bool ml_base64_decode(const char *s, size_t n, struct ml_buf *out)
{
    size_t before = out->len, padding = 0, count = 0;
    unsigned v = 0, bits = 0;
    bool good = true;

    for (size_t i = 0; good && i < n; i++) {
        const char *d = s[i] ? strchr(digits, s[i]) : NULL;

        if (strchr(" \t\r\n", s[i]) && s[i])
            continue;
        if (s[i] == '=') {
            padding++;
            continue;
        }
        good = d && !padding;
        if (!good)
            break;
        count++;
        v = (v << 6 | (unsigned)(d - digits)) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ml_buf_addc(out, (char)(v >> bits & 0xff));
        }
    }
    /* a last character alone says nothing, and what is left over must be nothing (RFC 4648, 3.5) */
    good =
        good && count % 4 != 1 && (!padding || (count + padding) % 4 == 0) && padding < 3 && !(v & ((1u << bits) - 1));
    if (!good && out->len > before) {
        out->len = before;
        out->data[before] = '\0';
    }
    return good;
}
