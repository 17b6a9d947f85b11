/* SPDX-License-Identifier: GPL-3.0-or-later */
/* URLs of http and https. */
#include "net/url.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int bad(struct ml_err *err, const char *s, const char *why)
{
    char *public = ml_url_public(s);

    ml_err_set(err, ML_USAGE, "'%s': not a usable URL: %s", public, why);
    free(public);
    return -1;
}

static const char *scheme_of(const char *s, size_t *skip)
{
    if (!strncasecmp(s, "https://", 8)) {
        *skip = 8;
        return "https";
    }
    if (!strncasecmp(s, "http://", 7)) {
        *skip = 7;
        return "http";
    }
    return NULL;
}

/* The authority p[0..n): host[:port] or [v6][:port]. */
static const char *parse_authority(const char *p, size_t n, struct ml_url *out)
{
    const char *host = p, *end, *colon;
    size_t hostlen;
    int64_t port;

    if (memchr(p, '@', n))
        return "user names and passwords don't belong in a URL";
    if (n && *p == '[') {
        end = memchr(p, ']', n);
        if (!end)
            return "']' is missing";
        host = p + 1;
        hostlen = (size_t)(end - host);
        colon = end + 1 < p + n ? end + 1 : NULL;
        if (colon && *colon != ':')
            return "bad host";
    } else {
        colon = memchr(p, ':', n);
        hostlen = colon ? (size_t)(colon - p) : n;
    }
    if (!hostlen)
        return "the host is missing";
    for (size_t i = 0; i < hostlen; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr(".-_:%", host[i]))
            return "bad character in the host";
    if (colon) {
        char *text = ml_strndup(colon + 1, n - (size_t)(colon + 1 - p));
        bool ok = ml_int_parse(text, &port) && port > 0 && port < 65536;

        free(text);
        if (!ok)
            return "bad port";
        out->port = (int)port;
    }
    out->host = ml_strndup(host, hostlen);
    for (char *c = out->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return NULL;
}

int ml_url_parse(const char *s, struct ml_url *out, struct ml_err *err)
{
    size_t skip, n;
    const char *scheme = scheme_of(s, &skip), *rest, *why;

    memset(out, 0, sizeof *out);
    if (!scheme)
        return bad(err, s, "it starts with neither http:// nor https://");
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '\\')
            return bad(err, s, "blanks, backslashes and control characters have to be escaped");
    out->port = strcmp(scheme, "https") ? 80 : 443;
    s += skip;
    n = strcspn(s, "/?#");
    why = parse_authority(s, n, out);
    if (why) {
        ml_url_release(out);
        return bad(err, s - skip, why);
    }
    out->scheme = ml_strdup(scheme);
    rest = s + n;
    n = strcspn(rest, "#");
    out->target = *rest == '/' ? ml_strndup(rest, n) : ml_format("/%.*s", (int)n, rest);
    return 0;
}

void ml_url_release(struct ml_url *u)
{
    free(u->scheme);
    free(u->host);
    free(u->target);
    memset(u, 0, sizeof *u);
}

static bool absolute(const char *s)
{
    size_t n = 0;

    if (!isalpha((unsigned char)*s))
        return false;
    while (isalnum((unsigned char)s[n]) || (s[n] && strchr("+-.", s[n])))
        n++;
    return s[n] == ':';
}

/* Path of `target` up to and with its last '/'. */
static size_t directory(const char *target)
{
    size_t n = strcspn(target, "?");

    while (n && target[n - 1] != '/')
        n--;
    return n;
}

char *ml_url_resolve(const char *base, const char *ref, struct ml_err *err)
{
    struct ml_url b, check;
    char *full = NULL;
    size_t authority;
    const char *slashes;

    if (ml_url_parse(base, &b, err))
        return NULL;
    slashes = strstr(base, "://");
    authority = (size_t)(slashes - base) + 3;
    authority += strcspn(base + authority, "/?#");
    if (absolute(ref))
        full = ml_strdup(ref);
    else if (!strncmp(ref, "//", 2))
        full = ml_format("%s:%s", b.scheme, ref);
    else if (*ref == '/')
        full = ml_format("%.*s%s", (int)authority, base, ref);
    else if (*ref == '?')
        full = ml_format("%.*s%.*s%s", (int)authority, base, (int)strcspn(b.target, "?"), b.target, ref);
    else
        full = ml_format("%.*s%.*s%s", (int)authority, base, (int)directory(b.target), b.target, ref);
    ml_url_release(&b);
    if (ml_url_parse(full, &check, err)) {
        free(full);
        return NULL;
    }
    ml_url_release(&check);
    return full;
}

bool ml_url_same_origin(const char *a, const char *b)
{
    struct ml_url x, y;
    bool same = false;

    if (ml_url_parse(a, &x, NULL))
        return false;
    if (!ml_url_parse(b, &y, NULL)) {
        same = !strcmp(x.scheme, y.scheme) && !strcmp(x.host, y.host) && x.port == y.port;
        ml_url_release(&y);
    }
    ml_url_release(&x);
    return same;
}

bool ml_host_loopback(const char *host)
{
    int dots = 0;

    if (!strcmp(host, "localhost") || !strcmp(host, "::1"))
        return true;
    if (strncmp(host, "127.", 4))
        return false;
    /* "127.evil.example" is a name like any other */
    for (const char *p = host; *p; p++) {
        if (*p == '.')
            dots++;
        else if (!isdigit((unsigned char)*p))
            return false;
    }
    return dots == 3;
}

char *ml_url_public(const char *url)
{
    size_t skip = 0, n = strcspn(url, "?#"), at;
    const char *scheme = scheme_of(url, &skip);
    const char *p;
    char *s;

    at = strcspn(url + skip, "/?#");
    p = memrchr(url + skip, '@', at);
    if (p && scheme)
        s = ml_format("%s://%.*s", scheme, (int)(n - (size_t)(p + 1 - url)), p + 1);
    else if (p)
        s = ml_strndup(p + 1, n - (size_t)(p + 1 - url));
    else
        s = ml_strndup(url, n);
    ml_text_harmless(s);
    return s;
}

void ml_url_escape(struct ml_buf *out, const char *s, const char *keep)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) || (keep && strchr(keep, c)))
            ml_buf_addc(out, (char)c);
        else
            ml_buf_addf(out, "%%%02X", c);
    }
}

void ml_url_query(struct ml_buf *url, const char *key, const char *value)
{
    const char *sep = strchr(ml_buf_str(url), '?') ? "&" : "?";

    if (url->len && (url->data[url->len - 1] == '?' || url->data[url->len - 1] == '&'))
        sep = "";
    ml_buf_adds(url, sep);
    ml_url_escape(url, key, NULL);
    ml_buf_addc(url, '=');
    ml_url_escape(url, value, ":/");
}
