/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tar at any offset: where each item begins is known, the rest is made on the way. */
#include "oci/tar_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK ((size_t)256 << 10)
#define NONE  ((size_t)-1)
#define QUEUE 16                   /* small files that the disk works on at once */
#define COLD  256                  /* files, for which one that wasn't in memory makes us look ahead */
#define AHEAD ((uint64_t)16 << 20) /* asked of the disk at once; the system's own read-ahead is mostly 128 KiB */

struct ml_tar_view {
    const struct ml_tree *t;
    const struct ml_tar_item *items; /* NULL: the tree's own view, an item an entry */
    size_t n;
    int64_t epoch;
    uint64_t *at;     /* n + 1: where each item's header begins, and the tar's end */
    size_t header_of; /* whose header `header` is, or NONE */
    struct ml_buf header;
    const struct ml_tree_entry *open; /* whose descriptor fd is */
    int fd;
    uint64_t ahead; /* what lies before it in the open file was asked for */
    /* small files that the disk was asked for already, in order; while `cold` is above 0 there are some */
    struct {
        const struct ml_tree_entry *e;
        int fd;
    } next[QUEUE];
    size_t nnext, queued; /* queued: the item behind the last of them */
    unsigned cold;
};

static const struct ml_tree_entry *entry_of(const struct ml_tree *t, const struct ml_tar_item *it)
{
    return it->entry < 0 ? NULL : &t->v[it->entry];
}

static const struct ml_tree_entry *entry_at(const struct ml_tar_view *v, size_t i)
{
    return v->items ? entry_of(v->t, &v->items[i]) : &v->t->v[i];
}

static uint64_t data_size(const struct ml_tree *t, const struct ml_tar_item *it)
{
    const struct ml_tree_entry *e = entry_of(t, it);

    return e && e->type == ML_TAR_FILE ? e->size : 0;
}

static struct ml_tar_entry header_entry(const struct ml_tree *t, const struct ml_tar_item *it, int64_t epoch)
{
    const struct ml_tree_entry *e = entry_of(t, it);
    struct ml_tar_entry h = { .path = it->path, .type = it->whiteout ? ML_TAR_FILE : ML_TAR_DIR, .mtime = epoch };

    if (e) {
        h.type = e->type;
        h.link = e->link;
        h.size = e->size;
    }
    h.mode = h.type == ML_TAR_SYMLINK ? 0777 : h.type == ML_TAR_DIR ? it->mode : e && e->exec ? 0755 : 0644;
    if (h.type == ML_TAR_DIR) {
        h.uid = it->uid;
        h.gid = it->gid;
    }
    return h;
}

static uint64_t padded(uint64_t size)
{
    return (size + ML_TAR_BLOCK - 1) / ML_TAR_BLOCK * ML_TAR_BLOCK;
}

static struct ml_tar_item item_at(const struct ml_tar_view *v, size_t i)
{
    if (v->items)
        return v->items[i];
    return (struct ml_tar_item){ .path = v->t->v[i].path, .entry = (ptrdiff_t)i, .mode = 0755 };
}

uint64_t ml_tar_item_size(const struct ml_tree *t, const struct ml_tar_item *item, int64_t epoch)
{
    struct ml_tar_entry h = header_entry(t, item, epoch);

    return ml_tar_header_size(&h) + padded(data_size(t, item));
}

struct ml_tar_view *ml_tar_view_new(const struct ml_tree *t, const struct ml_tar_item *items, size_t n, int64_t epoch)
{
    struct ml_tar_view *v = ml_malloc(sizeof *v);
    uint64_t at = 0;

    *v = (struct ml_tar_view){ .t = t, .items = items, .n = n, .epoch = epoch, .header_of = NONE, .fd = -1 };
    ml_buf_init(&v->header, ML_BUF_MAX);
    v->at = ml_calloc(n + 1, sizeof *v->at);
    for (size_t i = 0; i < n; i++) {
        struct ml_tar_item it = item_at(v, i);

        v->at[i] = at;
        at += ml_tar_item_size(t, &it, epoch);
    }
    v->at[n] = at;
    return v;
}

struct ml_tar_view *ml_tar_view_tree(const struct ml_tree *t)
{
    return ml_tar_view_new(t, NULL, t->n, 0);
}

static void drop_queue(struct ml_tar_view *v)
{
    while (v->nnext > 0)
        close(v->next[--v->nnext].fd);
}

void ml_tar_view_free(struct ml_tar_view *v)
{
    if (!v)
        return;
    if (v->fd >= 0)
        close(v->fd);
    drop_queue(v);
    ml_buf_release(&v->header);
    free(v->at);
    free(v);
}

uint64_t ml_tar_view_size(const struct ml_tar_view *v)
{
    return v->at[v->n] + ML_TAR_END;
}

/* Done with the open file. */
static int leave(struct ml_tar_view *v, struct ml_err *err)
{
    int fd = v->fd;

    if (fd < 0)
        return 0;
    v->fd = -1;
    return ml_tree_close(v->t, v->open, fd, err);
}

/* Asks the disk for small files behind item i. What cannot be opened now is an error when its turn comes. */
static void fill_queue(struct ml_tar_view *v, size_t i)
{
    if (v->nnext == 0 || v->queued <= i)
        v->queued = i + 1;
    for (; v->nnext < QUEUE && v->queued < v->n && v->queued < i + 4 * QUEUE; v->queued++) {
        const struct ml_tree_entry *e = entry_at(v, v->queued);
        int fd;

        if (!e || e->type != ML_TAR_FILE || e->size == 0 || e->size > CHUNK)
            continue;
        if (ml_tree_open(v->t, e, &fd, NULL) < 0)
            break;
        posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
        v->next[v->nnext].e = e;
        v->next[v->nnext++].fd = fd;
    }
}

/* The descriptor of an entry that was asked for, or -1. */
static int take_queued(struct ml_tar_view *v, const struct ml_tree_entry *e)
{
    int fd;

    if (v->nnext == 0 || e->size > CHUNK)
        return -1;
    if (v->next[0].e != e) {
        drop_queue(v);
        return -1;
    }
    fd = v->next[0].fd;
    memmove(v->next, v->next + 1, --v->nnext * sizeof *v->next);
    return fd;
}

static int enter(struct ml_tar_view *v, size_t item, struct ml_err *err)
{
    const struct ml_tree_entry *e = entry_at(v, item);

    if (v->fd >= 0 && v->open == e)
        return 0;
    if (leave(v, err) < 0)
        return -1;
    v->fd = take_queued(v, e);
    if (v->fd < 0 && ml_tree_open(v->t, e, &v->fd, err) < 0)
        return -1;
    v->open = e;
    if (v->cold > 0 && e->size <= CHUNK)
        fill_queue(v, item);
    v->ahead = 0;
    if (e->size > CHUNK)
        posix_fadvise(v->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* As pread, when what is wanted is in memory; else -1. */
static ssize_t read_now(int fd, uint64_t off, void *p, size_t n)
{
    struct iovec v = { p, n };

    return preadv2(fd, &v, 1, (off_t)off, RWF_NOWAIT);
}

/* The disk is kept busy while what was read is hashed or copied. */
static void read_ahead(struct ml_tar_view *v, uint64_t off)
{
    uint64_t size = v->open->size, n;
    char last;

    if (v->ahead < off || v->ahead > off + 2 * AHEAD) /* elsewhere */
        v->ahead = off;
    if (size <= CHUNK || v->ahead >= size || v->ahead - off > AHEAD / 2)
        return;
    n = size - v->ahead < AHEAD ? size - v->ahead : AHEAD;
    if (read_now(v->fd, v->ahead + n - 1, &last, 1) < 0)
        posix_fadvise(v->fd, (off_t)v->ahead, (off_t)n, POSIX_FADV_WILLNEED);
    v->ahead += n;
}

/* The item that holds offset `off`, which lies before the tar's end marker. The one last read or the next is likely. */
static size_t find(const struct ml_tar_view *v, uint64_t off)
{
    size_t low = 0, high = v->n, i = v->header_of;

    if (i != NONE && v->at[i] <= off && (off < v->at[i + 1] || (++i < v->n && off < v->at[i + 1])))
        return i;
    while (high - low > 1) { /* at[low] <= off < at[high] */
        size_t mid = low + (high - low) / 2;

        if (v->at[mid] <= off)
            low = mid;
        else
            high = mid;
    }
    return low;
}

int ml_tar_view_piece(struct ml_tar_view *v, uint64_t off, struct ml_tar_piece *out, struct ml_err *err)
{
    static const char zeros[ML_TAR_END];
    struct ml_tar_item it;
    uint64_t data;
    size_t i;

    *out = (struct ml_tar_piece){ .p = zeros, .fd = -1 };
    if (off >= v->at[v->n]) {
        uint64_t size = ml_tar_view_size(v);

        out->len = off < size ? size - off : 0;
        return leave(v, err);
    }
    i = find(v, off);
    it = item_at(v, i);
    off -= v->at[i];
    if (v->header_of != i) {
        struct ml_tar_entry h = header_entry(v->t, &it, v->epoch);

        ml_buf_reset(&v->header);
        (void)!ml_tar_header(&h, ml_buf_sink, &v->header, NULL);
        v->header_of = i;
    }
    if (off < v->header.len) {
        out->p = v->header.data + off;
        out->len = v->header.len - off;
        return leave(v, err);
    }
    off -= v->header.len;
    data = data_size(v->t, &it);
    if (off < data) {
        *out = (struct ml_tar_piece){ .off = off, .len = data - off };
        if (enter(v, i, err) < 0)
            return -1;
        read_ahead(v, off);
        out->fd = v->fd;
        return 0;
    }
    out->len = padded(data) - off;
    return leave(v, err);
}

/* Up to `n` bytes of the open file; the last look at it when they are its last. */
static int64_t read_file(struct ml_tar_view *v, const struct ml_tar_piece *piece, void *p, size_t n, struct ml_err *err)
{
    ssize_t got;

    if (n > piece->len)
        n = (size_t)piece->len;
    got = v->open->size <= CHUNK ? read_now(piece->fd, piece->off, p, n) : -1;
    if (got > 0 && v->cold > 0)
        v->cold--;
    else if (got < 0 && v->open->size <= CHUNK && errno == EAGAIN)
        v->cold = COLD;
    while (got < 0 && (got = pread(piece->fd, p, n, (off_t)piece->off)) < 0 && errno == EINTR)
        ;
    if (got < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot read '%s'", v->open->path);
    if (got == 0)
        return ml_tree_changed(v->t, v->open, err);
    if ((uint64_t)got == piece->len && leave(v, err) < 0)
        return -1;
    return got;
}

static int64_t view_read(void *ctx, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    struct ml_tar_view *v = ctx;
    char *out = p;
    size_t done = 0;

    while (done < n) {
        struct ml_tar_piece piece;
        int64_t got;

        if (ml_tar_view_piece(v, off + done, &piece, err) < 0)
            return -1;
        if (piece.len == 0)
            break;
        if (piece.fd >= 0) {
            got = read_file(v, &piece, out + done, n - done, err);
            if (got < 0)
                return -1;
        } else {
            got = (int64_t)(piece.len < n - done ? piece.len : n - done);
            memcpy(out + done, piece.p, (size_t)got);
        }
        done += (size_t)got;
    }
    return (int64_t)done;
}

struct ml_source ml_tar_view_source(struct ml_tar_view *v)
{
    return (struct ml_source){ .read = view_read, .ctx = v };
}

const struct ml_tree *ml_tar_view_of(const struct ml_tar_view *v)
{
    return v->t;
}

int ml_tar_view_finish(struct ml_tar_view *v, struct ml_err *err)
{
    return leave(v, err) < 0 ? -1 : ml_tree_check(v->t, err);
}

int ml_tar_view_digest(struct ml_tar_view *v, struct ml_digest *out, struct ml_err *err)
{
    struct ml_source src = ml_tar_view_source(v);

    return ml_digest_source(&src, UINT64_MAX, out, err);
}

static int digest_of(const struct ml_tree *t, struct ml_digest *out, struct ml_err *err)
{
    struct ml_tar_view *v = ml_tar_view_tree(t);
    int rc = ml_tar_view_digest(v, out, err);

    if (rc == 0)
        rc = ml_tar_view_finish(v, err);
    ml_tar_view_free(v);
    return rc;
}

int ml_tree_digest(const char *src, struct ml_digest *out, uint64_t *size, struct ml_err *err)
{
    struct ml_tree t;
    int rc;

    if (ml_tree_scan(src, &t, err) < 0)
        return -1;
    rc = digest_of(&t, out, err);
    if (size)
        *size = t.size;
    ml_tree_release(&t);
    return rc;
}
