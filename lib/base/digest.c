/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 in the OCI notation. */
#include "base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"

struct ml_hasher {
    struct ml_sha256 *sha;
};

struct ml_hasher *ml_hasher_new(void)
{
    struct ml_hasher *h = ml_malloc(sizeof *h);

    h->sha = ml_sha256_new();
    return h;
}

void ml_hasher_free(struct ml_hasher *h)
{
    if (!h)
        return;
    ml_sha256_free(h->sha);
    free(h);
}

void ml_hasher_reset(struct ml_hasher *h)
{
    ml_sha256_reset(h->sha);
}

void ml_hasher_add(struct ml_hasher *h, const void *p, size_t n)
{
    ml_sha256_add(h->sha, p, n);
}

void ml_hasher_end(struct ml_hasher *h, struct ml_digest *out)
{
    unsigned char md[ML_SHA256_LEN];

    ml_sha256_end(h->sha, md);
    ml_digest_of(md, out);
}

void ml_digest_of(const unsigned char sha256[ML_SHA256_LEN], struct ml_digest *out)
{
    static const char hex[] = "0123456789abcdef";
    char *s = out->s;

    memcpy(s, "sha256:", 7);
    s += 7;
    for (size_t i = 0; i < ML_SHA256_LEN; i++) {
        *s++ = hex[sha256[i] >> 4];
        *s++ = hex[sha256[i] & 15];
    }
    *s = '\0';
}

void ml_digest_bytes(const void *p, size_t n, struct ml_digest *out)
{
    struct ml_hasher *h = ml_hasher_new();

    ml_hasher_add(h, p, n);
    ml_hasher_end(h, out);
    ml_hasher_free(h);
}

int ml_digest_source(const struct ml_source *src, uint64_t size, struct ml_digest *out, struct ml_err *err)
{
    size_t room = (size_t)256 << 10; /* stays in the cache between reading and hashing */
    struct ml_hasher *h = ml_hasher_new();
    char *chunk = ml_malloc(room);
    int64_t n = 0;

    for (uint64_t at = 0; at < size; at += (uint64_t)n) {
        n = src->read(src->ctx, at, chunk, room < size - at ? room : (size_t)(size - at), err);
        if (n <= 0)
            break;
        ml_hasher_add(h, chunk, (size_t)n);
    }
    ml_hasher_end(h, out);
    ml_hasher_free(h);
    free(chunk);
    return n < 0 ? -1 : 0;
}

int ml_digest_file(const char *path, struct ml_digest *out, uint64_t *size, struct ml_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct ml_hasher *h = NULL;
    uint64_t total = 0;
    char *chunk = NULL;
    ssize_t n = -1;

    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    h = ml_hasher_new();
    chunk = ml_malloc(1 << 18);
    while ((n = read(fd, chunk, 1 << 18)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ml_err_errno(err, ML_LOCAL, "cannot read '%s'", path);
            break;
        }
        ml_hasher_add(h, chunk, (size_t)n);
        total += (uint64_t)n;
    }
    ml_hasher_end(h, out);
    if (size)
        *size = total;
    ml_hasher_free(h);
    free(chunk);
    close(fd);
    return n < 0 ? -1 : 0;
}

bool ml_digest_valid(const char *s)
{
    return strlen(s) == ML_DIGEST_LEN && !strncmp(s, "sha256:", 7) && strspn(s + 7, "0123456789abcdef") == 64;
}

int ml_digest_parse(const char *s, struct ml_digest *out, struct ml_err *err)
{
    if (!ml_digest_valid(s))
        return ml_err_set(err, ML_LOCAL, "'%.100s' is not a sha256 digest", s);
    memcpy(out->s, s, ML_DIGEST_LEN + 1);
    return 0;
}

bool ml_digest_eq(const struct ml_digest *a, const struct ml_digest *b)
{
    return !strcmp(a->s, b->s);
}
