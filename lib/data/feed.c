/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From stored bytes to those of a table: read, hashed, decompressed. */
#include "data/feed.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/decompress.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/pump.h"
#include "data/arrays.h"
#include "data/foreign.h"

#define CHUNK ((size_t)256 << 10)

/* First bytes that were looked at and are still to be given out. */
struct peek {
    unsigned char p[ML_FOREIGN_HEAD];
    size_t n, at;
};

struct ml_feed {
    char *name;
    int fd;          /* -1: bytes */
    off_t start;     /* where in the file it starts; -1: a pipe */
    off_t at_fd;     /* where in the file it is; the descriptor's own offset is shared with what reads it again */
    struct stat was; /* the file, when it was first opened; zeros of a pipe */
    char *ahead;     /* what was read of a pipe before it came here */
    size_t ahead_n, ahead_at;
    int wake; /* an eventfd that ends waiting for a pipe; -1: nobody else waits */
    const char *bytes;
    size_t n, at;             /* of the bytes */
    struct ml_hasher *hasher; /* NULL: nobody asks */
    struct ml_digest digest;
    uint64_t size;
    struct peek stored, body;
    struct ml_pump *inflate; /* NULL: stored as it is read */
    uint64_t taken;          /* bytes of what is inside that the arrays' reader has taken */
    struct ml_arrays *arrays;
    struct ml_pump *lines; /* of the arrays; NULL: text as it is */
    int spool;             /* a temporary file, where a pipe's arrays are read at several places; -1: none */
};

typedef int64_t read_fn(struct ml_feed *f, void *p, size_t n, struct ml_err *err);

/* Waiting for a pipe from which nothing comes mustn't outlive the reader. */
static int wait_for_pipe(struct ml_feed *f, struct ml_err *err)
{
    struct pollfd p[] = { { .fd = f->fd, .events = POLLIN }, { .fd = f->wake, .events = POLLIN } };

    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return ml_err_errno(err, ML_LOCAL, "'%s': cannot wait", f->name);
    return p[1].revents != 0 ? ml_err_set(err, ML_LOCAL, "'%s': nobody reads any more", f->name) : 0;
}

static int64_t file_read(struct ml_feed *f, void *p, size_t n, struct ml_err *err)
{
    if (f->ahead_at < f->ahead_n) {
        n = n < f->ahead_n - f->ahead_at ? n : f->ahead_n - f->ahead_at;
        memcpy(p, f->ahead + f->ahead_at, n);
        f->ahead_at += n;
        return (int64_t)n;
    }
    for (;;) {
        if (f->start < 0 && f->wake >= 0 && wait_for_pipe(f, err) < 0)
            return -1;
        ssize_t got = f->start < 0 ? read(f->fd, p, n) : pread(f->fd, p, n, f->at_fd);
        if (got >= 0) {
            f->at_fd += got;
            return got;
        }
        if (errno != EINTR)
            return ml_err_errno(err, ML_LOCAL, "'%s': cannot read", f->name);
    }
}

/* It is written in place, or another one has its name by now: what is read of it next isn't what was read before. */
static int check_unchanged(struct ml_feed *f, struct ml_err *err)
{
    struct stat now;
    const struct stat *was = &f->was;

    if (was->st_ino == 0)
        return 0;
    if (fstat(f->fd, &now) < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot read", f->name);
    if (now.st_dev == was->st_dev && now.st_ino == was->st_ino && now.st_size == was->st_size &&
        now.st_mtim.tv_sec == was->st_mtim.tv_sec && now.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
        return 0;
    return ml_err_set(
        err, ML_LOCAL, "'%s': changed while it was being read; start again when nothing writes it", f->name);
}

static int64_t bytes_read(struct ml_feed *f, void *p, size_t n)
{
    if (n > f->n - f->at)
        n = f->n - f->at;
    if (n > 0)
        memcpy(p, f->bytes + f->at, n);
    f->at += n;
    return (int64_t)n;
}

static size_t take_peeked(struct peek *k, void *p, size_t n)
{
    if (n > k->n - k->at)
        n = k->n - k->at;
    memcpy(p, k->p + k->at, n);
    k->at += n;
    return n;
}

static int64_t stored_read(struct ml_feed *f, void *p, size_t n, struct ml_err *err)
{
    size_t peeked = take_peeked(&f->stored, p, n);
    if (peeked > 0)
        return (int64_t)peeked;
    int64_t got = f->fd >= 0 ? file_read(f, p, n, err) : bytes_read(f, p, n);
    if (got > 0 && f->hasher != NULL)
        ml_hasher_add(f->hasher, p, (size_t)got);
    if (got > 0)
        f->size += (uint64_t)got;
    return got == 0 && n > 0 ? check_unchanged(f, err) : got;
}

static int64_t body_read(struct ml_feed *f, void *p, size_t n, struct ml_err *err)
{
    size_t peeked = take_peeked(&f->body, p, n);
    if (peeked > 0)
        return (int64_t)peeked;
    return f->inflate != NULL ? ml_pump_read(f->inflate, p, n, err) : stored_read(f, p, n, err);
}

static int look(struct ml_feed *f, struct peek *k, read_fn *from, struct ml_err *err)
{
    while (k->n < sizeof k->p) {
        k->at = k->n; /* nothing is given out of what is looked at */
        int64_t got = from(f, k->p + k->n, sizeof k->p - k->n, err);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        k->n += (size_t)got;
    }
    k->at = 0;
    return 0;
}

/* ---- decompression ---- */

static int inflate(void *feed, ml_sink_fn *sink, void *to, struct ml_err *err)
{
    struct ml_feed *f = feed;
    struct ml_decompress *d = ml_decompress_new(UINT64_MAX, sink, to);
    char *chunk = ml_malloc(CHUNK);
    int64_t got = 0;
    int rc = 0;
    while (rc == 0 && (got = stored_read(f, chunk, CHUNK, err)) > 0)
        if ((rc = ml_decompress_add(d, chunk, (size_t)got, err)) < 0)
            ml_err_wrap(err, "'%s'", f->name);
    if (rc == 0 && got == 0 && (rc = ml_decompress_end(d, err)) < 0)
        ml_err_wrap(err, "'%s'", f->name);
    free(chunk);
    ml_decompress_free(d);
    return got < 0 ? -1 : rc;
}

static int start_inflate(struct ml_feed *f, struct ml_err *err)
{
    if (f->fd >= 0 && f->start < 0 && (f->wake = eventfd(0, EFD_CLOEXEC)) < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot make an eventfd", f->name);
    f->inflate = ml_pump_start(inflate, f, err);
    return f->inflate != NULL ? 0 : -1;
}

/* ---- arrays ---- */

static int64_t take_body(void *feed, void *p, size_t n, struct ml_err *err)
{
    struct ml_feed *f = feed;
    int64_t got = body_read(f, p, n, err);
    if (got > 0)
        f->taken += (uint64_t)got;
    return got;
}

static int64_t bytes_read_at(void *feed, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    const struct ml_feed *f = feed;
    (void)err;
    if (off > f->n)
        return 0;
    if (n > f->n - off)
        n = f->n - (size_t)off;
    memcpy(p, f->bytes + off, n);
    return (int64_t)n;
}

static int spool_body(struct ml_feed *f, struct ml_err *err)
{
    char *chunk = ml_malloc(CHUNK);
    int64_t got = 0;
    int rc = (f->spool = ml_file_nameless("ml-table", err)) < 0 ? -1 : 0;
    while (rc == 0 && (got = body_read(f, chunk, CHUNK, err)) > 0)
        rc = ml_fd_write(f->spool, chunk, (size_t)got, "a temporary file", err);
    free(chunk);
    return got < 0 ? -1 : rc;
}

/* What is still to come, where it can be read at any place: from *at on, up to *end. */
static int anywhere(struct ml_feed *f, struct ml_source *src, uint64_t *at, uint64_t *end, struct ml_err *err)
{
    struct stat st;
    bool file = f->fd >= 0 && f->start >= 0;
    if (f->inflate == NULL && f->fd < 0) {
        *src = (struct ml_source){ bytes_read_at, f };
        *at = f->taken;
        *end = f->n;
        return 0;
    }
    if ((f->inflate != NULL || !file) && spool_body(f, err) < 0)
        return -1;
    *src = (struct ml_source){ ml_fd_read_at, f->spool >= 0 ? &f->spool : &f->fd };
    *at = f->spool >= 0 ? 0 : (uint64_t)f->start + f->taken;
    if (fstat(*(int *)src->ctx, &st) < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot look at the file");
    *end = (uint64_t)st.st_size;
    return 0;
}

static int open_arrays(struct ml_feed *f, bool zip, struct ml_err *err)
{
    struct ml_source src;
    uint64_t at, end;
    if (zip) {
        if (anywhere(f, &src, &at, &end, err) < 0)
            return -1;
        return at == 0 ? ml_arrays_open_npz(src, end, &f->arrays, err)
                       : ml_err_set(err, ML_LOCAL, "a ZIP archive inside another file");
    }
    if (ml_arrays_open_npy(take_body, f, &f->arrays, err) < 0)
        return -1;
    if (!ml_arrays_by_columns(f->arrays))
        return 0;
    return anywhere(f, &src, &at, &end, err) < 0 ? -1 : ml_arrays_read_at(f->arrays, src, at, err);
}

static int write_lines(void *feed, ml_sink_fn *sink, void *to, struct ml_err *err)
{
    struct ml_feed *f = feed;
    char *chunk;
    int64_t got = 0;
    if (ml_arrays_make(f->arrays, sink, to, err) < 0)
        return ml_err_wrap(err, "'%s'", f->name);
    chunk = ml_malloc(CHUNK); /* what was read at several places is still to be hashed */
    while (f->spool < 0 && (got = stored_read(f, chunk, CHUNK, err)) > 0)
        continue;
    free(chunk);
    return got < 0 ? -1 : 0;
}

/* ---- opening ---- */

static bool is_zip(const void *p, size_t n)
{
    return n >= 4 && (memcmp(p, "PK\3\4", 4) == 0 || memcmp(p, "PK\5\6", 4) == 0);
}

static bool is_npy(const void *p, size_t n)
{
    return n >= 6 && memcmp(p, "\x93NUMPY", 6) == 0;
}

bool ml_feed_recognizes(const void *p, size_t n)
{
    n = n < ML_FOREIGN_HEAD ? n : ML_FOREIGN_HEAD;
    return strcmp(ml_decompress_kind(p, n), "none") != 0 || is_zip(p, n) || is_npy(p, n) ||
           ml_foreign_check(p, n, "", NULL) < 0;
}

static int start_body(struct ml_feed *f, const struct peek *head, struct ml_err *err)
{
    bool zip = is_zip(head->p, head->n);
    if (!zip && !is_npy(head->p, head->n))
        return ml_foreign_check(head->p, head->n, f->name, err);
    if (open_arrays(f, zip, err) < 0)
        return ml_err_wrap(err, "'%s'", f->name);
    f->lines = ml_pump_start(write_lines, f, err);
    return f->lines != NULL ? 0 : -1;
}

static int start(struct ml_feed *f, struct ml_err *err)
{
    if (check_unchanged(f, err) < 0 || look(f, &f->stored, stored_read, err) < 0)
        return -1;
    if (strcmp(ml_decompress_kind(f->stored.p, f->stored.n), "none") == 0)
        return start_body(f, &f->stored, err);
    if (start_inflate(f, err) < 0 || look(f, &f->body, body_read, err) < 0)
        return -1;
    if (strcmp(ml_decompress_kind(f->body.p, f->body.n), "none") != 0)
        return ml_err_set(err, ML_LOCAL, "'%s': compressed twice; undo it once", f->name);
    return start_body(f, &f->body, err);
}

static int open_as(struct ml_feed *f, const char *name, bool hash, struct ml_feed **out, struct ml_err *err)
{
    f->name = ml_strdup(name);
    f->wake = f->spool = -1;
    f->hasher = hash ? ml_hasher_new() : NULL;
    *out = f;
    if (start(f, err) == 0)
        return 0;
    ml_feed_close(f);
    *out = NULL;
    return -1;
}

static int open_from(
    int fd, off_t start, const char *name, bool hash, const struct stat *was, struct ml_feed **out, struct ml_err *err)
{
    struct ml_feed *f = ml_calloc(1, sizeof *f);
    f->fd = fd;
    f->start = f->at_fd = start;
    if (was != NULL && was->st_ino != 0)
        f->was = *was;
    else if (fstat(fd, &f->was) < 0 || !S_ISREG(f->was.st_mode))
        f->was = (struct stat){ 0 };
    return open_as(f, name, hash, out, err);
}

int ml_feed_open(int fd, const char *name, bool hash, struct stat *was, struct ml_feed **out, struct ml_err *err)
{
    int rc = open_from(fd, lseek(fd, 0, SEEK_CUR), name, hash, was, out, err);
    if (rc == 0 && was != NULL)
        *was = (*out)->was;
    return rc;
}

int ml_feed_open_ahead(
    int fd, const void *ahead, size_t n, const char *name, bool hash, struct ml_feed **out, struct ml_err *err)
{
    struct ml_feed *f = ml_calloc(1, sizeof *f);
    f->fd = fd;
    f->start = -1;
    f->ahead = ml_malloc(n + 1);
    memcpy(f->ahead, ahead, n);
    f->ahead_n = n;
    return open_as(f, name, hash, out, err);
}

int ml_feed_open_bytes(const void *p, size_t n, const char *name, bool hash, struct ml_feed **out, struct ml_err *err)
{
    struct ml_feed *f = ml_calloc(1, sizeof *f);
    f->fd = -1;
    f->bytes = p;
    f->n = n;
    return open_as(f, name, hash, out, err);
}

void ml_feed_close(struct ml_feed *f)
{
    if (f == NULL)
        return;
    if (f->wake >= 0)
        eventfd_write(f->wake, 1);
    ml_pump_stop(f->lines);
    ml_pump_stop(f->inflate);
    ml_arrays_free(f->arrays);
    if (f->spool >= 0)
        close(f->spool);
    if (f->wake >= 0)
        close(f->wake);
    if (f->fd >= 0)
        close(f->fd);
    ml_hasher_free(f->hasher);
    free(f->ahead);
    free(f->name);
    free(f);
}

int64_t ml_feed_read(struct ml_feed *f, void *p, size_t n, struct ml_err *err)
{
    return f->lines != NULL ? ml_pump_read(f->lines, p, n, err) : body_read(f, p, n, err);
}

bool ml_feed_is_arrays(const struct ml_feed *f)
{
    return f->arrays != NULL;
}

const char *ml_feed_left_out(const struct ml_feed *f, const char *name)
{
    return f->arrays != NULL ? ml_arrays_left_out(f->arrays, name) : NULL;
}

size_t ml_feed_left(const struct ml_feed *f)
{
    if (f->fd >= 0 || f->inflate != NULL || f->lines != NULL)
        return SIZE_MAX;
    return f->n - f->at + (f->stored.n - f->stored.at);
}

bool ml_feed_size(const struct ml_feed *f, uint64_t *all, uint64_t *so_far)
{
    struct stat st;
    *so_far = f->size;
    *all = f->n;
    if (f->inflate != NULL || f->lines != NULL || (f->fd >= 0 && (f->start < 0 || fstat(f->fd, &st) < 0)))
        return false;
    if (f->fd >= 0)
        *all = (uint64_t)(st.st_size - f->start);
    return *all >= *so_far;
}

bool ml_feed_reopens(const struct ml_feed *f)
{
    return f->fd < 0 || f->start >= 0;
}

int ml_feed_reopen(const struct ml_feed *f, struct ml_feed **out, struct ml_err *err)
{
    if (f->fd < 0)
        return ml_feed_open_bytes(f->bytes, f->n, f->name, f->hasher != NULL, out, err);
    if (f->start < 0)
        return ml_err_set(err, ML_LOCAL, "'%s': a pipe cannot be read twice", f->name);
    int fd = dup(f->fd);
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "'%s': cannot open", f->name);
    return open_from(fd, f->start, f->name, f->hasher != NULL, &f->was, out, err);
}

void ml_feed_digest(struct ml_feed *f, struct ml_digest *digest, uint64_t *size)
{
    if (f->hasher != NULL && f->digest.s[0] == '\0')
        ml_hasher_end(f->hasher, &f->digest);
    *digest = f->digest;
    *size = f->size;
}
