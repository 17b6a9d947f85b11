/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of the archive tells where the directory is, the directory where the members are. */
#include "data/zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"

#define END_SIZE      22
#define END64_SIZE    56
#define LOCATOR_SIZE  20
#define ENTRY_SIZE    46
#define LOCAL_SIZE    30
#define COMMENT_MAX   65535
#define MEMBERS_MAX   65536
#define DIRECTORY_MAX ((uint64_t)64 << 20)
#define CHUNK         ((size_t)64 << 10)

static uint64_t le(const unsigned char *p, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static int malformed(struct ml_err *err)
{
    return ml_err_set(err, ML_LOCAL, "malformed ZIP archive; is it cut off?");
}

static int read_at(const struct ml_zip *z, uint64_t at, void *to, size_t n, struct ml_err *err)
{
    char *p = to;
    if (at > z->size || n > z->size - at)
        return malformed(err);
    while (n > 0) {
        int64_t got = z->src.read(z->src.ctx, at, p, n, err);
        if (got <= 0)
            return got < 0 ? -1 : malformed(err);
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* What stands in 64 bits elsewhere when the field here is full of ones (section 4.5.3). */
static int extended(const unsigned char *extra, size_t n, uint64_t *fields[], size_t n_fields)
{
    while (n >= 4) {
        size_t len = (size_t)le(extra + 2, 2);
        if (len > n - 4)
            break;
        if (le(extra, 2) == 1) {
            const unsigned char *p = extra + 4;
            for (size_t i = 0; i < n_fields; i++)
                if (*fields[i] == UINT32_MAX) {
                    if (len < 8)
                        return -1;
                    *fields[i] = le(p, 8);
                    p += 8;
                    len -= 8;
                }
            return 0;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return 0; /* 2^32 - 1 it is */
}

static int read_entries(struct ml_zip *z, const unsigned char *p, size_t n, uint64_t count, struct ml_err *err)
{
    const unsigned char *end = p + n;
    z->members = ml_calloc(count + 1, sizeof *z->members);
    for (uint64_t i = 0; i < count; i++) {
        struct ml_zip_member *m = &z->members[z->n];
        if (end - p < ENTRY_SIZE || le(p, 4) != 0x02014b50)
            return malformed(err);
        size_t name = (size_t)le(p + 28, 2), extra = (size_t)le(p + 30, 2), comment = (size_t)le(p + 32, 2);
        if ((size_t)(end - p) - ENTRY_SIZE < name + extra + comment)
            return malformed(err);
        uint64_t *fields[] = { &m->size, &m->packed, &m->header };
        m->size = le(p + 24, 4);
        m->packed = le(p + 20, 4);
        m->header = le(p + 42, 4);
        m->crc = (uint32_t)le(p + 16, 4);
        m->deflated = le(p + 10, 2) == 8;
        if (extended(p + ENTRY_SIZE + name, extra, fields, 3) < 0)
            return malformed(err);
        m->name = ml_strndup((const char *)p + ENTRY_SIZE, name);
        z->n++;
        if ((le(p + 8, 2) & 1) || (le(p + 10, 2) != 0 && !m->deflated))
            return ml_err_set(err, ML_LOCAL, "'%.100s' in the archive is %s", m->name,
                le(p + 8, 2) & 1 ? "encrypted" : "compressed by something else than deflate");
        if (!m->deflated && m->packed != m->size)
            return malformed(err);
        p += ENTRY_SIZE + name + extra + comment;
    }
    return 0;
}

/* The record at the end, which a comment may follow; its fields in 64 bits where they don't fit. */
static int find_directory(struct ml_zip *z, uint64_t *at, uint64_t *size, uint64_t *count, struct ml_err *err)
{
    size_t n = z->size < END_SIZE + COMMENT_MAX ? (size_t)z->size : END_SIZE + COMMENT_MAX, i;
    unsigned char *tail = ml_malloc(n + 1), wide[END64_SIZE];
    uint64_t start = z->size - n, end;
    int rc = read_at(z, start, tail, n, err);
    for (i = n; rc == 0 && i >= END_SIZE; i--)
        if (le(tail + i - END_SIZE, 4) == 0x06054b50 && le(tail + i - 2, 2) == n - i)
            break;
    if (rc == 0 && i < END_SIZE)
        rc = malformed(err);
    if (rc < 0) {
        free(tail);
        return -1;
    }
    const unsigned char *p = tail + i - END_SIZE;
    *count = le(p + 10, 2);
    *size = le(p + 12, 4);
    *at = le(p + 16, 4);
    end = start + (uint64_t)(p - tail);
    free(tail);
    if (end >= LOCATOR_SIZE && read_at(z, end - LOCATOR_SIZE, wide, LOCATOR_SIZE, err) == 0 &&
        le(wide, 4) == 0x07064b50) {
        if (read_at(z, le(wide + 8, 8), wide, END64_SIZE, err) < 0)
            return -1;
        if (le(wide, 4) != 0x06064b50)
            return malformed(err);
        *count = le(wide + 32, 8);
        *size = le(wide + 40, 8);
        *at = le(wide + 48, 8);
    }
    return 0;
}

int ml_zip_open(struct ml_zip *z, struct ml_source src, uint64_t size, struct ml_err *err)
{
    uint64_t at, len, count;
    *z = (struct ml_zip){ .src = src, .size = size };
    if (find_directory(z, &at, &len, &count, err) < 0)
        return -1;
    if (count > MEMBERS_MAX || len > DIRECTORY_MAX)
        return ml_err_set(err, ML_LOCAL, "a ZIP archive of more than %d members", MEMBERS_MAX);
    unsigned char *directory = ml_malloc((size_t)len + 1);
    int rc = read_at(z, at, directory, (size_t)len, err);
    if (rc == 0)
        rc = read_entries(z, directory, (size_t)len, count, err);
    free(directory);
    if (rc < 0)
        ml_zip_release(z);
    return rc;
}

void ml_zip_release(struct ml_zip *z)
{
    for (size_t i = 0; i < z->n; i++)
        free(z->members[i].name);
    free(z->members);
    *z = (struct ml_zip){ 0 };
}

int ml_zip_stored_at(const struct ml_zip *z, const struct ml_zip_member *m, uint64_t *at, struct ml_err *err)
{
    unsigned char p[LOCAL_SIZE];
    if (read_at(z, m->header, p, sizeof p, err) < 0)
        return -1;
    if (le(p, 4) != 0x04034b50)
        return malformed(err);
    *at = m->header + LOCAL_SIZE + le(p + 26, 2) + le(p + 28, 2);
    return *at > z->size || m->packed > z->size - *at ? malformed(err) : 0;
}

/* ---- streams ---- */

struct ml_zip_stream {
    const struct ml_zip *z;
    const struct ml_zip_member *m;
    uint64_t at, left; /* packed bytes */
    uint64_t given;
    uint32_t crc;
    struct ml_decoder *decoder; /* NULL: stored */
    unsigned char *chunk;
    const unsigned char *in;
    size_t n;
    bool ended;
};

int ml_zip_stream_open(
    const struct ml_zip *z, const struct ml_zip_member *m, struct ml_zip_stream **out, struct ml_err *err)
{
    uint64_t at;
    *out = NULL;
    if (ml_zip_stored_at(z, m, &at, err) < 0)
        return -1;
    struct ml_zip_stream *s = ml_calloc(1, sizeof *s);
    s->z = z;
    s->m = m;
    s->at = at;
    s->left = m->packed;
    if (m->deflated) {
        s->chunk = ml_malloc(CHUNK);
        s->decoder = ml_decoder_new_raw(err);
        if (s->decoder == NULL) {
            ml_zip_stream_close(s);
            return -1;
        }
    }
    *out = s;
    return 0;
}

void ml_zip_stream_close(struct ml_zip_stream *s)
{
    if (s == NULL)
        return;
    ml_decoder_free(s->decoder);
    free(s->chunk);
    free(s);
}

static int stored(struct ml_zip_stream *s, void *p, size_t n, size_t *got, struct ml_err *err)
{
    *got = n < s->left ? n : (size_t)s->left;
    if (read_at(s->z, s->at, p, *got, err) < 0)
        return -1;
    s->at += *got;
    s->left -= *got;
    return 0;
}

static int inflated(struct ml_zip_stream *s, char *p, size_t n, size_t *got, struct ml_err *err)
{
    *got = 0;
    while (*got < n && !s->ended) {
        size_t some;
        if (s->n == 0 && s->left > 0) {
            s->n = s->left < CHUNK ? (size_t)s->left : CHUNK;
            s->in = s->chunk;
            if (read_at(s->z, s->at, s->chunk, s->n, err) < 0)
                return -1;
            s->at += s->n;
            s->left -= s->n;
        }
        size_t before = s->n;
        int rc = ml_decoder_step(s->decoder, &s->in, &s->n, p + *got, n - *got, &some, err);
        if (rc < 0)
            return -1;
        *got += some;
        s->ended = rc == 1;
        if (rc == 0 && some == 0 && s->n == before && s->left == 0)
            return malformed(err);
    }
    return 0;
}

int64_t ml_zip_stream_read(struct ml_zip_stream *s, void *p, size_t n, struct ml_err *err)
{
    size_t got;
    if ((s->decoder != NULL ? inflated(s, p, n, &got, err) : stored(s, p, n, &got, err)) < 0)
        return -1;
    s->given += got;
    s->crc = ml_crc32_combine(s->crc, ml_crc32(p, got), got);
    if ((got == 0 && n > 0 && s->given != s->m->size) || s->given > s->m->size ||
        (s->given == s->m->size && s->crc != s->m->crc))
        return ml_err_set(err, ML_LOCAL, "'%.100s' in the archive is damaged", s->m->name);
    return (int64_t)got;
}
