/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Foreign text in Markdown. */
#include "model/markdown.h"

#include <string.h>

#include "base/text.h"

#define REPLACEMENT "\xef\xbf\xbd"

static unsigned decode(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    switch (n) {
    case 1:
        return u[0];
    case 2:
        return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    case 3:
        return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
    default:
        return (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
    }
}

/* Characters that move, hide or reorder what stands around them. */
static bool unsafe(unsigned c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe0fff);
}

static void make_safe(struct ml_buf *out, const char *text)
{
    size_t left = strlen(text);
    for (int i = 0; left; i++) {
        if (i == ML_MD_TEXT) {
            ml_buf_adds(out, "…");
            return;
        }
        size_t n = ml_utf8_len(text, left);
        if (n == 0 || unsafe(decode(text, n)))
            ml_buf_adds(out, REPLACEMENT);
        else if (*text == '|')
            ml_buf_adds(out, "│");
        else if (*text == '<' && text[1] == '!') /* what reads raw text must not find a comment that starts here */
            ml_buf_adds(out, "‹");
        else
            ml_buf_add(out, text, n);
        n = n ? n : 1;
        text += n;
        left -= n;
    }
}

void ml_md_code(struct ml_buf *out, const char *text)
{
    struct ml_buf safe = ML_BUF_INIT;
    make_safe(&safe, text ? text : "");
    const char *s = ml_buf_str(&safe);
    if (strspn(s, " ") == safe.len) { /* a code span needs something in it */
        ml_buf_adds(out, "–");
        ml_buf_release(&safe);
        return;
    }
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < safe.len; i++) {
        run = s[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    bool pad = *s == '`' || *s == ' ' || s[safe.len - 1] == '`' || s[safe.len - 1] == ' ';
    for (size_t i = 0; i <= longest; i++)
        ml_buf_addc(out, '`');
    ml_buf_addf(out, "%s%s%s", pad ? " " : "", s, pad ? " " : "");
    for (size_t i = 0; i <= longest; i++)
        ml_buf_addc(out, '`');
    ml_buf_release(&safe);
}

bool ml_md_link(struct ml_buf *out, const char *label, const char *url, const char *base)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:%";
    if (!url || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) ||
        strspn(url, plain) != strlen(url))
        return false;
    size_t n = base ? strlen(base) : 0;
    if (n && (strncmp(url, base, n) != 0 || (base[n - 1] != '/' && url[n] != '/')))
        return false;
    ml_buf_addf(out, "[%s](%s)", label, url);
    return true;
}

/* Bytes of the first `max` characters. */
static size_t prefix(const char *s, size_t len, size_t max)
{
    size_t i = 0;
    while (i < len && max--) {
        i++;
        while (i < len && ((unsigned char)s[i] & 0xc0) == 0x80)
            i++;
    }
    return i;
}

void ml_md_finish(struct ml_buf *body, size_t max, const char *tail)
{
    static const char notice[] =
        "\n\n**Cut here:** the rest is longer than GitLab takes; the job's artifacts have all of it.\n\n";
    size_t tail_len = strlen(tail), room = max > tail_len ? max - tail_len : 0;
    if (prefix(ml_buf_str(body), body->len, room) < body->len) {
        room = room > sizeof(notice) ? room - sizeof(notice) : 0;
        size_t keep = prefix(body->data, body->len, room);
        while (keep && body->data[keep - 1] != '\n')
            keep--;
        body->len = keep;
        body->data[keep] = 0;
        ml_buf_adds(body, notice);
    }
    ml_buf_adds(body, tail);
}
