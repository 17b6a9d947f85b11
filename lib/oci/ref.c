/* SPDX-License-Identifier: GPL-3.0-or-later */
/* References to images. */
#include "oci/ref.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define NAME_MAX_LEN 255 /* host and path together: what registries have agreed on */

static const char *const archives[] = { [ML_ARCHIVE_OCI] = "oci-archive:", [ML_ARCHIVE_DOCKER] = "docker-archive:" };

static enum ml_archive_kind archive_kind(const char *s)
{
    for (size_t i = ML_ARCHIVE_OCI; i <= ML_ARCHIVE_DOCKER; i++)
        if (!strncmp(s, archives[i], strlen(archives[i])))
            return (enum ml_archive_kind)i;
    return ML_ARCHIVE_NONE;
}

/* What stands before an '@' that no digest follows may be a user and a password: it isn't shown. */
static int bad(struct ml_err *err, const char *s, const char *why)
{
    const char *at = strrchr(s, '@');
    bool hide = at && strncmp(at + 1, "sha", 3) && strncmp(s, "oci:", 4) && !archive_kind(s);
    char *shown = hide ? ml_format("***%s", at) : ml_strdup(s);

    ml_text_harmless(shown);
    ml_err_set(err, ML_USAGE, "'%s': not a reference: %s", shown, why);
    free(shown);
    return -1;
}

bool ml_ref_hub(const char *host)
{
    return !strcasecmp(host, "docker.io") || !strcasecmp(host, "index.docker.io") ||
           !strcasecmp(host, "registry-1.docker.io");
}

bool ml_tag_valid(const char *s)
{
    size_t n = strlen(s);

    if (!n || n > 128 || *s == '.' || *s == '-')
        return false;
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80 || (!isalnum((unsigned char)*s) && !strchr("._-", *s)))
            return false;
    return true;
}

/* One component of a path: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_valid(const char *s, size_t n)
{
    size_t i = 0;

#define WORD(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= '0' && (c) <= '9'))
    while (i < n) {
        size_t start = i;

        while (i < n && WORD(s[i]))
            i++;
        if (i == start)
            return false;
        if (i == n)
            return true;
        if (s[i] == '-')
            while (i < n && s[i] == '-')
                i++;
        else if (s[i] == '_')
            i += i + 1 < n && s[i + 1] == '_' ? 2 : 1;
        else if (s[i] == '.')
            i++;
        else
            return false;
    }
#undef WORD
    return false;
}

static const char *path_problem(const char *path)
{
    while (1) {
        size_t n = strcspn(path, "/");

        if (!component_valid(path, n))
            return "the path below the host has lower-case letters and digits, with single '.', '_', '__' or '-' "
                   "between them";
        if (!path[n])
            return NULL;
        path += n + 1;
    }
}

static const char *host_problem(const char *host)
{
    const char *port = strrchr(host, ':');
    int64_t n;

    if (*host == '[') {
        const char *end = strchr(host, ']');

        if (!end || strspn(host + 1, "0123456789abcdefABCDEF:.") != (size_t)(end - host - 1))
            return "bad IPv6 address";
        port = end[1] ? end + 1 : NULL;
        if (port && *port != ':')
            return "bad IPv6 address";
    } else {
        for (const char *p = host; *p && p != port; p++)
            if ((unsigned char)*p >= 0x80 || (!isalnum((unsigned char)*p) && !strchr(".-", *p)))
                return "bad character in the host";
    }
    if (port && (!ml_int_parse(port + 1, &n) || n < 1 || n > 65535))
        return "bad port";
    return NULL;
}

/* What stands before the tag is kept in s[0..n). */
static size_t split_tag(const char *s, size_t n, const char **tag)
{
    size_t i = n;

    while (i && s[i - 1] != ':' && s[i - 1] != '/')
        i--;
    *tag = i && s[i - 1] == ':' ? s + i : NULL;
    return *tag ? i - 1 : n;
}

static int parse_registry(const char *s, const char *whole, struct ml_ref *out, struct ml_err *err)
{
    size_t host = strcspn(s, "/");
    const char *why;

    if (!s[host])
        return bad(err, whole, "no path after the host (host[:port]/path[:tag][@digest], or oci:DIR[:TAG])");
    out->place = ml_strndup(s, host);
    if (strcmp(out->place, "localhost") && !strpbrk(out->place, ".:"))
        return bad(
            err, whole, "it starts with no host, and there is no default registry (oci:DIR names a layout on disk)");
    for (char *p = out->place; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    out->path = ml_strdup(s + host + 1);
    why = host_problem(out->place);
    if (!why)
        why = path_problem(out->path);
    if (!why && strlen(out->place) + strlen(out->path) + 1 > NAME_MAX_LEN)
        why = "over 255 characters";
    return why ? bad(err, whole, why) : 0;
}

/* An archive: `s` is the whole, `rest` what follows the prefix. The name may be a tag or, as docker says them, a whole
 * reference. */
static int parse_archive(const char *s, const char *rest, struct ml_ref *out, struct ml_err *err)
{
    const char *at = strrchr(rest, '@');
    size_t n = strcspn(rest, ":"), end = strlen(rest);

    out->layout = true;
    if (at && ml_digest_valid(at + 1)) {
        ml_digest_parse(at + 1, &out->digest, NULL);
        end = (size_t)(at - rest);
        n = n < end ? n : end;
    }
    if (!n)
        return bad(err, s, "it names no file");
    out->place = ml_strndup(rest, n);
    if (n == end)
        return 0;
    out->tag = ml_strndup(rest + n + 1, end - n - 1);
    for (const char *p = out->tag; *p; p++)
        if ((unsigned char)*p >= 0x80 || (!isalnum((unsigned char)*p) && !strchr("._-:/", *p)))
            return bad(err, s, "what follows the file is the image's name, as 'shop/base:1', or its tag");
    return !*out->tag || strlen(out->tag) > NAME_MAX_LEN + 129
               ? bad(err, s, "what follows the file is the image's name, as 'shop/base:1', or its tag")
               : 0;
}

bool ml_ref_like_archive(const char *s)
{
    static const char *const ends[] = { ".tar", ".tar.gz", ".tgz", ".tar.zst" };
    size_t n = strlen(s), host = strcspn(s, "/");

    if (archive_kind(s) || !strncmp(s, "oci:", 4))
        return false;
    if (s[host] && *s != '.' && memchr(s, '.', host)) /* a registry's repository may be called so, too */
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n > strlen(ends[i]) && !strcmp(s + n - strlen(ends[i]), ends[i]))
            return !memchr(s, ':', host);
    return false;
}

static int parse(const char *s, struct ml_ref *out, struct ml_err *err)
{
    const char *at = strrchr(s, '@'), *tag, *rest = s;
    size_t n = at ? (size_t)(at - s) : strlen(s);
    char *name;
    int rv;

    for (const char *p = s; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return bad(err, s, "control characters");
    if (strstr(s, "://"))
        return bad(err, s, "write host/path without a scheme");
    if (ml_ref_like_archive(s))
        return bad(err, s, "a file is 'oci-archive:FILE' or, as docker save writes it, 'docker-archive:FILE'");
    if (*s == '/' || *s == '~' || !strncmp(s, "./", 2) || !strncmp(s, "../", 3))
        return bad(err, s, "a layout on disk is 'oci:DIR:TAG'");
    out->archive = archive_kind(s);
    if (out->archive)
        return parse_archive(s, s + strlen(archives[out->archive]), out, err);
    out->layout = !strncmp(s, "oci:", 4);
    if (out->layout) {
        rest += 4;
        n -= n < 4 ? n : 4;
    }
    if (at) {
        if (!ml_digest_valid(at + 1)) {
            if (!out->layout || !strncmp(at + 1, "sha", 3))
                return bad(err, s,
                    "what follows '@' isn't 'sha256:' and 64 lower-case hex digits (user names and passwords don't "
                    "belong in a reference)");
            n = strlen(rest); /* a directory with an '@' in its name */
        } else {
            ml_digest_parse(at + 1, &out->digest, NULL);
        }
    }
    n = split_tag(rest, n, &tag);
    if (tag) {
        out->tag = at && out->digest.s[0] ? ml_strndup(tag, (size_t)(at - tag)) : ml_strdup(tag);
        if (!ml_tag_valid(out->tag))
            return bad(
                err, s, "a tag has up to 128 letters, digits, '_', '.' and '-', and starts with neither '.' nor '-'");
    }
    name = ml_strndup(rest, n);
    rv = !*name ? bad(err, s, "it is empty") : out->layout ? 0 : parse_registry(name, s, out, err);
    if (out->layout)
        out->place = ml_strdup(name);
    free(name);
    return rv;
}

int ml_ref_parse(const char *s, struct ml_ref *out, struct ml_err *err)
{
    memset(out, 0, sizeof *out);
    if (!parse(s, out, err))
        return 0;
    ml_ref_release(out);
    return -1;
}

void ml_ref_release(struct ml_ref *r)
{
    free(r->place);
    free(r->path);
    free(r->tag);
    memset(r, 0, sizeof *r);
}

void ml_ref_copy(struct ml_ref *to, const struct ml_ref *from)
{
    *to = *from;
    to->place = from->place ? ml_strdup(from->place) : NULL;
    to->path = from->path ? ml_strdup(from->path) : NULL;
    to->tag = from->tag ? ml_strdup(from->tag) : NULL;
}

char *ml_ref_format(const struct ml_ref *r, enum ml_ref_part with)
{
    struct ml_buf b = ML_BUF_INIT;

    ml_buf_addf(&b, "%s%s%s%s",
        r->archive  ? archives[r->archive]
        : r->layout ? "oci:"
                    : "",
        r->place, r->layout ? "" : "/", r->layout ? "" : r->path);
    if ((with == ML_REF_TAG || with == ML_REF_ALL) && r->tag)
        ml_buf_addf(&b, ":%s", r->tag);
    if ((with == ML_REF_DIGEST || with == ML_REF_ALL) && r->digest.s[0])
        ml_buf_addf(&b, "@%s", r->digest.s);
    return ml_buf_detach(&b);
}

bool ml_ref_same_repo(const struct ml_ref *a, const struct ml_ref *b)
{
    if (a->layout != b->layout || a->archive != b->archive || strcmp(a->place, b->place))
        return false;
    return a->layout || !strcmp(a->path, b->path);
}
