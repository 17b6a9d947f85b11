/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Upload sessions: where they are, and what is remembered of them. */
#include "oci/registry_session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/url.h"

#define MEMORY_MAX ((size_t)16 << 10)
#define SCHEMA     "mlci.upload/1"

/* ---- where ---- */

static bool inward4(uint32_t a)
{
    static const struct {
        uint32_t net;
        int bits;
    } nets[] = { { 0x00000000, 8 }, { 0x0a000000, 8 }, { 0x64400000, 10 }, { 0x7f000000, 8 }, { 0xa9fe0000, 16 },
        { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xe0000000, 3 } };

    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
            return true;
    return false;
}

static bool inward6(const struct in6_addr *a)
{
    uint32_t low = (uint32_t)a->s6_addr[12] << 24 | (uint32_t)a->s6_addr[13] << 16 | (uint32_t)a->s6_addr[14] << 8 |
                   a->s6_addr[15];

    if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a))
        return inward4(low);
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
           IN6_IS_ADDR_SITELOCAL(a) || IN6_IS_ADDR_MULTICAST(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

/* An address that isn't one of the Internet (IANA's special-purpose registries), in any notation that a resolver takes:
 * "0x7f.1" is one, too. A name that leads to such an address is caught by TLS. */
static bool inward(const char *host)
{
    size_t n = strcspn(host, "%");
    struct in_addr a4;
    struct in6_addr a6;
    char *plain;
    bool is;

    while (n > 0 && host[n - 1] == '.') /* a full name's end */
        n--;
    plain = ml_strndup(host, n);
    if (ml_host_loopback(plain))
        is = true;
    else if (strchr(plain, ':'))
        is = inet_pton(AF_INET6, plain, &a6) != 1 || inward6(&a6);
    else
        is = inet_aton(plain, &a4) ? inward4(ntohl(a4.s_addr)) : !plain[strspn(plain, "0123456789.")]; /* no name */
    free(plain);
    return is;
}

static bool allowed(const char *root, const char *url, struct ml_err *err)
{
    struct ml_url home, there;
    bool tls, near, ok = false;
    char *public;

    if (ml_url_same_origin(url, root))
        return true;
    if (ml_url_parse(root, &home, err))
        return false;
    if (ml_url_parse(url, &there, err)) {
        ml_url_release(&home);
        return false;
    }
    tls = !strcmp(there.scheme, "https") || (!strcmp(home.scheme, "http") && ml_http_plain_ok(there.host, there.port));
    near = inward(there.host) && !inward(home.host);
    public = ml_url_public(url);
    if (!tls)
        ml_err_set(err, ML_REFUSED,
            "the registry wants an upload to go to '%s', which isn't protected by TLS: nothing was sent there", public);
    else if (near)
        ml_err_set(err, ML_REFUSED,
            "the registry wants an upload to go to '%s', an address inside this network: nothing was sent there",
            public);
    else
        ok = true;
    free(public);
    ml_url_release(&home);
    ml_url_release(&there);
    return ok;
}

char *ml_session_url(const char *root, const struct ml_http_res *res, struct ml_err *err)
{
    const char *where = ml_http_header(res, "location", 0);
    char *url = where ? ml_url_resolve(res->url, where, err) : NULL, *secure;

    if (!where)
        ml_err_set(err, ML_REFUSED, "the registry starts an upload but doesn't say where");
    if (!url) {
        if (err)
            err->code = ML_REFUSED;
        return NULL;
    }
    if (!strncmp(url, "http://", 7) && !strncmp(root, "https://", 8)) {
        secure = ml_format("https://%s", url + 7);
        if (ml_url_same_origin(secure, root)) {
            free(url);
            return secure;
        }
        free(secure);
    }
    if (allowed(root, url, err))
        return url;
    free(url);
    return NULL;
}

uint64_t ml_session_range(const struct ml_http_res *res)
{
    const char *s = ml_http_header(res, "range", 0);
    int64_t end;

    if (s && !strncasecmp(s, "bytes", 5))
        s += 5 + strspn(s + 5, " =");
    if (!s || strncmp(s, "0-", 2) || !ml_int_parse(s + 2, &end) || end <= 0 || end == INT64_MAX)
        return 0;
    return (uint64_t)end + 1;
}

/* ---- memory ---- */

static char *name_of(const char *root, const struct ml_digest *d)
{
    char *what = ml_format("%s %s", root, d->s), *name;
    struct ml_digest id;

    ml_digest_bytes(what, strlen(what), &id);
    name = ml_format("uploads/%s", ML_DIGEST_HEX(&id));
    free(what);
    return name;
}

/* Opens and locks the file; one of another user, or that others may have written, says nothing that we'd believe. */
static int open_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) ||
        flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return -1;
    }
    return fd;
}

static char *memory(const char *root, const struct ml_digest *d, const char *url)
{
    return ml_format("%s\n%s\n%s\n%s\n", SCHEMA, root, d->s, url);
}

/* The URL, when all of the text is what we would write. */
static char *read_memory(int fd, const char *root, const struct ml_digest *d)
{
    char *text = ml_malloc(MEMORY_MAX + 1), *head = memory(root, d, ""), *url = NULL, *end;
    ssize_t n = pread(fd, text, MEMORY_MAX, 0);
    size_t skip = strlen(head) - 1;

    text[n > 0 ? n : 0] = 0;
    if (n > 0 && (size_t)n > skip && !strncmp(text, head, skip)) {
        end = strchr(text + skip, '\n');
        if (end && !end[1] && end == text + n - 1) {
            *end = 0;
            url = ml_strdup(text + skip);
        }
    }
    free(head);
    free(text);
    return url;
}

void ml_session_recall(struct ml_session *s, const char *root, const struct ml_digest *d)
{
    char *name = name_of(root, d), *url;

    s->path = ml_cache_path(name);
    free(name);
    if (!s->path)
        return;
    s->fd = open_locked(s->path);
    if (s->fd < 0)
        return;
    /* a cache may be shared with others (GitLab's between branches): only a registry may send us elsewhere */
    url = read_memory(s->fd, root, d);
    if (url && ml_url_same_origin(url, root))
        s->url = url;
    else
        free(url);
}

/* One write of a few hundred bytes: a process that is killed has written it or hasn't; and what a power cut leaves is
 * read back with suspicion. */
static void remember(struct ml_session *s, const char *root, const struct ml_digest *d)
{
    char *text;

    if (s->fd < 0 || (s->kept && !strcmp(s->kept, s->url)) || !ml_url_same_origin(s->url, root))
        return;
    text = memory(root, d, s->url);
    if (strlen(text) > MEMORY_MAX || pwrite(s->fd, text, strlen(text), 0) != (ssize_t)strlen(text) ||
        ftruncate(s->fd, (off_t)strlen(text)))
        (void)!ftruncate(s->fd, 0);
    free(s->kept);
    s->kept = ml_strdup(s->url);
    free(text);
}

void ml_session_move(struct ml_session *s, const char *root, const struct ml_digest *d, char *url)
{
    if (url != s->url)
        free(s->url);
    s->url = url;
    remember(s, root, d);
}

void ml_session_end(struct ml_session *s)
{
    if (s->fd >= 0)
        (void)!ftruncate(s->fd, 0);
    free(s->url);
    free(s->kept);
    s->url = s->kept = NULL;
}

void ml_session_release(struct ml_session *s)
{
    if (s->fd >= 0) {
        struct stat st;

        if (!fstat(s->fd, &st) && !st.st_size)
            unlink(s->path);
        close(s->fd);
    }
    free(s->url);
    free(s->kept);
    free(s->path);
    s->url = s->kept = s->path = NULL;
    s->fd = -1;
}
