/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tar format, as written. */
#include "oci/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK            ML_TAR_BLOCK
#define NAME_MAX_USTAR   100
#define PREFIX_MAX_USTAR 155
#define ID_MAX_USTAR     07777777
#define SIZE_MAX_USTAR   077777777777

/* POSIX.1-1988, ustar interchange format. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static void put_octal(char *field, size_t width, uint64_t value)
{
    for (size_t i = width - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
    field[width - 1] = '\0';
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

/* Splits a path over name and prefix; false when it doesn't fit. A directory's name ends in '/', which counts. */
static bool put_path(struct header *h, const char *path, size_t len)
{
    size_t cut;

    if (len <= NAME_MAX_USTAR) {
        memcpy(h->name, path, len);
        return true;
    }
    if (len > NAME_MAX_USTAR + 1 + PREFIX_MAX_USTAR)
        return false;
    for (cut = len - NAME_MAX_USTAR - 1; cut < len - 1 && cut <= PREFIX_MAX_USTAR; cut++) {
        if (path[cut] != '/' || cut == 0)
            continue;
        memcpy(h->prefix, path, cut);
        memcpy(h->name, path + cut + 1, len - cut - 1);
        return true;
    }
    return false;
}

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static void pax_add(struct ml_buf *pax, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, len = rest, digits;

    do {
        digits = (size_t)snprintf(NULL, 0, "%zu", len);
        if (rest + digits == len)
            break;
        len = rest + digits;
    } while (true);
    ml_buf_addf(pax, "%zu %s=%s\n", len, key, value);
}

static void pax_add_number(struct ml_buf *pax, const char *key, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    pax_add(pax, key, text);
}

static int put_header(struct header *h, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;

    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    put_octal(h->devmajor, sizeof h->devmajor, 0);
    put_octal(h->devminor, sizeof h->devminor, 0);
    memset(h->checksum, ' ', sizeof h->checksum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += p[i];
    put_octal(h->checksum, 7, sum);
    return sink(ctx, h, sizeof *h, err);
}

static int put_pax(const struct ml_buf *pax, int64_t mtime, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    struct header h = { .type = 'x' };

    memcpy(h.name, "pax_header", 10);
    put_octal(h.mode, sizeof h.mode, 0644);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, pax->len);
    put_octal(h.mtime, sizeof h.mtime, mtime >= 0 && mtime <= SIZE_MAX_USTAR ? (uint64_t)mtime : 0);
    if (put_header(&h, sink, ctx, err) < 0 || sink(ctx, pax->data, pax->len, err) < 0)
        return -1;
    return ml_tar_pad(pax->len, sink, ctx, err);
}

/* What a reader without pax sees: the end of the name, every byte that isn't ASCII as '_'. */
static void put_fallback(char *field, size_t width, const char *s, size_t len)
{
    size_t skip = len > width ? len - width : 0;

    for (size_t i = 0; i < len - skip; i++)
        field[i] = (unsigned char)s[skip + i] < 0x80 ? s[skip + i] : '_';
    if (field[0] == '/')
        field[0] = '_';
}

int ml_tar_header(const struct ml_tar_entry *e, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    struct header h = { .type = (char)e->type };
    struct ml_buf pax = ML_BUF_INIT;
    char *path = ml_format("%s%s", e->path, e->type == ML_TAR_DIR ? "/" : "");
    size_t len = strlen(path), link_len = e->link ? strlen(e->link) : 0;
    int rc = -1;

    if (!is_ascii(path) || !put_path(&h, path, len)) {
        pax_add(&pax, "path", path);
        put_fallback(h.name, sizeof h.name, path, len);
    }
    if (link_len > sizeof h.link || (e->link && !is_ascii(e->link))) {
        pax_add(&pax, "linkpath", e->link);
        put_fallback(h.link, sizeof h.link, e->link, link_len > sizeof h.link ? sizeof h.link : link_len);
    } else if (link_len > 0) {
        memcpy(h.link, e->link, link_len);
    }
    if (e->size > SIZE_MAX_USTAR)
        pax_add_number(&pax, "size", (int64_t)e->size);
    if (e->uid > ID_MAX_USTAR)
        pax_add_number(&pax, "uid", (int64_t)e->uid);
    if (e->gid > ID_MAX_USTAR)
        pax_add_number(&pax, "gid", (int64_t)e->gid);
    if (e->mtime < 0 || e->mtime > SIZE_MAX_USTAR)
        pax_add_number(&pax, "mtime", e->mtime);
    put_octal(h.mode, sizeof h.mode, e->mode & 07777);
    put_octal(h.uid, sizeof h.uid, e->uid > ID_MAX_USTAR ? 0 : e->uid);
    put_octal(h.gid, sizeof h.gid, e->gid > ID_MAX_USTAR ? 0 : e->gid);
    put_octal(h.size, sizeof h.size, e->size > SIZE_MAX_USTAR ? 0 : e->size);
    put_octal(h.mtime, sizeof h.mtime, e->mtime < 0 || e->mtime > SIZE_MAX_USTAR ? 0 : (uint64_t)e->mtime);
    if (pax.len > 0 && put_pax(&pax, e->mtime, sink, ctx, err) < 0)
        goto out;
    rc = put_header(&h, sink, ctx, err);
out:
    ml_buf_release(&pax);
    free(path);
    return rc;
}

static int count(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    (void)p, (void)err;
    *(uint64_t *)ctx += n;
    return 0;
}

uint64_t ml_tar_header_size(const struct ml_tar_entry *e)
{
    uint64_t n = 0;

    /* nearly all of them */
    if (strnlen(e->path, NAME_MAX_USTAR) < NAME_MAX_USTAR && is_ascii(e->path) && !e->link &&
        e->size <= SIZE_MAX_USTAR && e->uid <= ID_MAX_USTAR && e->gid <= ID_MAX_USTAR && e->mtime >= 0 &&
        e->mtime <= SIZE_MAX_USTAR)
        return BLOCK;
    (void)!ml_tar_header(e, count, &n, NULL);
    return n;
}

int ml_tar_pad(uint64_t size, ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    static const char zeros[BLOCK];
    size_t rest = size % BLOCK;

    return rest == 0 ? 0 : sink(ctx, zeros, BLOCK - rest, err);
}

int ml_tar_end(ml_sink_fn *sink, void *ctx, struct ml_err *err)
{
    static const char zeros[ML_TAR_END];

    return sink(ctx, zeros, sizeof zeros, err);
}
