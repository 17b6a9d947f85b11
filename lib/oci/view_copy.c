/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread copies, one hashes behind it. */
#include "oci/view_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK ((size_t)256 << 10)   /* small pieces are gathered in it; hashing reads as much */
#define LARGE ((uint64_t)64 << 10)  /* below it a copy inside the kernel costs more than reading and writing */
#define STEP  ((size_t)4 << 20)     /* of one copy_file_range: the hasher starts as soon as it is there */
#define FLUSH ((uint64_t)16 << 20)  /* of one order to write back */
#define LEAD  ((uint64_t)256 << 20) /* how far the copy may be ahead: what is hashed must still be in memory */

/* Of a layer as large as this what is written and hashed leaves memory again: the system runs out of free pages
 * otherwise, and a virtual machine may have to ask its host for each. */
#define DROP_FROM ((uint64_t)2 << 30)
#define DROP      ((uint64_t)64 << 20)

struct copy {
    struct ml_tar_view *v;
    struct ml_source src;
    int fd;
    const char *name;
    uint64_t at, size;
    char *chunk;
    uint64_t flushed, dropped, data_end; /* data_end: no hole in the open file before it */
    int data_fd;
    bool by_hand; /* the kernel cannot copy between these files */

    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t written, hashed;
    bool stop;
    struct ml_hasher *hasher;
    struct ml_err err; /* the hasher's */
};

static void drop(struct copy *c, uint64_t hashed)
{
    for (; c->size >= DROP_FROM && hashed - c->dropped > DROP; c->dropped += DROP) {
        off_t from = (off_t)(c->at + c->dropped);

        /* only hints, too: a page that isn't on disk yet stays */
        (void)!sync_file_range(
            c->fd, from, (off_t)DROP, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        (void)!posix_fadvise(c->fd, from, (off_t)DROP, POSIX_FADV_DONTNEED);
    }
}

/* Tells the hasher how far it may go. Returns -1 when it has given up. */
static int publish(struct copy *c, uint64_t off)
{
    uint64_t hashed;
    bool stop;

    pthread_mutex_lock(&c->lock);
    c->written = off;
    pthread_cond_broadcast(&c->moved);
    while (!c->stop && off > c->hashed && off - c->hashed > LEAD)
        pthread_cond_wait(&c->moved, &c->lock);
    stop = c->stop;
    hashed = c->hashed;
    pthread_mutex_unlock(&c->lock);
    drop(c, hashed);
    if (off - c->flushed >= FLUSH) {
        /* only a hint: the sync at the end is what counts */
        (void)!sync_file_range(c->fd, (off_t)(c->at + c->flushed), (off_t)(off - c->flushed), SYNC_FILE_RANGE_WRITE);
        c->flushed = off;
    }
    return stop ? -1 : 0;
}

static int put(struct copy *c, uint64_t off, const char *p, size_t n, struct ml_err *err)
{
    while (n > 0) {
        ssize_t w = pwrite(c->fd, p, n, (off_t)(c->at + off));

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", c->name);
        p += w;
        off += (uint64_t)w;
        n -= (size_t)w;
    }
    return 0;
}

static bool is_large(const struct ml_tar_piece *p)
{
    return p->fd >= 0 && p->len >= LARGE;
}

/* Gathers small pieces, or the beginning of what the kernel cannot copy, and writes them. Returns how much, or -1. */
static int64_t put_small(struct copy *c, uint64_t off, struct ml_err *err)
{
    size_t n = 0;

    while (n < CHUNK) {
        struct ml_tar_piece p;
        int64_t got;

        if (ml_tar_view_piece(c->v, off + n, &p, err) < 0)
            return -1;
        if (p.len == 0 || (n > 0 && is_large(&p)))
            break;
        got = c->src.read(c->src.ctx, off + n, c->chunk + n, p.len < CHUNK - n ? (size_t)p.len : CHUNK - n, err);
        if (got < 0)
            return -1;
        n += (size_t)got;
    }
    return put(c, off, c->chunk, n, err) < 0 ? -1 : (int64_t)n;
}

/* How much of the piece is a hole: that much needs no copying, since the file has nothing there yet. */
static uint64_t hole(struct copy *c, const struct ml_tar_piece *p)
{
    off_t data, end;

    if (c->data_fd == p->fd && p->off < c->data_end)
        return 0;
    c->data_fd = p->fd;
    c->data_end = p->off + p->len;
    data = lseek(p->fd, (off_t)p->off, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? p->len : 0;
    end = lseek(p->fd, data, SEEK_HOLE);
    if (end > data)
        c->data_end = (uint64_t)end;
    if ((uint64_t)data <= p->off)
        return 0;
    return (uint64_t)data - p->off < p->len ? (uint64_t)data - p->off : p->len;
}

/* A step of a large piece. Returns how much, 0 when the kernel doesn't copy here, or -1. */
static int64_t put_large(struct copy *c, uint64_t off, const struct ml_tar_piece *p, struct ml_err *err)
{
    loff_t from = (loff_t)p->off, to = (loff_t)(c->at + off);
    uint64_t skip = hole(c, p), left = c->data_end > p->off ? c->data_end - p->off : p->len;
    ssize_t n;

    if (skip > 0)
        return (int64_t)skip;
    if (left > p->len)
        left = p->len;
    do
        n = copy_file_range(p->fd, &from, c->fd, &to, left < STEP ? (size_t)left : STEP, 0);
    while (n < 0 && errno == EINTR);
    /* other file systems, old kernels, filtered system calls; 0: the source is shorter, or a file that isn't on any
     * disk */
    if (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM)
        return ml_err_errno(err, ML_LOCAL, "cannot copy into '%s'", c->name);
    return n < 0 ? 0 : n;
}

static int copy_all(struct copy *c, struct ml_err *err)
{
    uint64_t off = 0;

    while (off < c->size) {
        struct ml_tar_piece p;
        int64_t n = 0;

        if (ml_tar_view_piece(c->v, off, &p, err) < 0)
            return -1;
        if (p.off == 0)
            c->data_fd = -1; /* another file, perhaps under the same number */
        if (is_large(&p) && !c->by_hand) {
            n = put_large(c, off, &p, err);
            c->by_hand = n == 0;
        }
        if (n == 0)
            n = put_small(c, off, err);
        if (n < 0)
            return -1;
        off += (uint64_t)n;
        if (publish(c, off) < 0)
            return -1;
    }
    return fdatasync(c->fd) < 0 ? ml_err_errno(err, ML_LOCAL, "cannot write '%s'", c->name) : 0;
}

/* Hashes the file from `off` to `end`. */
static int hash_part(struct copy *c, uint64_t off, uint64_t end, char *chunk)
{
    while (off < end) {
        ssize_t n = pread(c->fd, chunk, end - off < CHUNK ? (size_t)(end - off) : CHUNK, (off_t)(c->at + off));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ml_err_errno(&c->err, ML_LOCAL, "cannot read '%s'", c->name);
        if (n == 0)
            return ml_err_set(&c->err, ML_INTEGRITY, "'%s' became shorter while it was written", c->name);
        ml_hasher_add(c->hasher, chunk, (size_t)n);
        off += (uint64_t)n;
    }
    return 0;
}

static void *hash_all(void *arg)
{
    struct copy *c = arg;
    char *chunk = ml_malloc(CHUNK);
    uint64_t off = 0;

    pthread_mutex_lock(&c->lock);
    while (off < c->size && !c->stop) {
        uint64_t end = c->written;
        bool failed;

        if (end == off) {
            pthread_cond_wait(&c->moved, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        if (end - off > STEP)
            end = off + STEP;
        failed = hash_part(c, off, end, chunk) < 0;
        off = end;
        pthread_mutex_lock(&c->lock);
        c->hashed = off;
        if (failed)
            c->stop = true;
        pthread_cond_broadcast(&c->moved);
    }
    pthread_mutex_unlock(&c->lock);
    free(chunk);
    return NULL;
}

static int finish(struct copy *c, struct ml_digest *out, struct ml_err *err)
{
    struct stat st;

    if (c->err.code) {
        *err = c->err;
        return -1;
    }
    if (fstat(c->fd, &st) < 0 || (uint64_t)st.st_size != c->at + c->size)
        return ml_err_set(err, ML_LOCAL, "'%s' has %lld bytes, %llu were written", c->name, (long long)st.st_size,
            (unsigned long long)(c->at + c->size));
    ml_hasher_end(c->hasher, out);
    return 0;
}

int ml_view_copy(
    struct ml_tar_view *v, int fd, uint64_t at, const char *name, struct ml_digest *out, struct ml_err *err)
{
    struct copy c = {
        .v = v,
        .src = ml_tar_view_source(v),
        .fd = fd,
        .name = name,
        .at = at,
        .size = ml_tar_view_size(v),
        .data_fd = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
    };
    pthread_t thread;
    bool beside;
    int rc;

    /* holes are skipped, and who hashes must not find the end of the file there */
    if (ftruncate(fd, (off_t)(at + c.size)) < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", name);
    c.chunk = ml_malloc(CHUNK);
    c.hasher = ml_hasher_new();
    beside = pthread_create(&thread, NULL, hash_all, &c) == 0;
    if (!beside)
        c.hashed = UINT64_MAX; /* nobody follows: no need to wait for anybody */
    rc = copy_all(&c, err);
    pthread_mutex_lock(&c.lock);
    if (rc < 0)
        c.stop = true;
    pthread_cond_broadcast(&c.moved);
    pthread_mutex_unlock(&c.lock);
    if (beside)
        pthread_join(thread, NULL);
    else if (rc == 0)
        hash_all(&c);
    if (rc == 0 || c.err.code)
        rc = finish(&c, out, err);
    ml_hasher_free(c.hasher);
    free(c.chunk);
    return rc;
}
