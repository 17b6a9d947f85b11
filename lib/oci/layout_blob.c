/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs of an image layout: files named by their digest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "oci/layout.h"
#include "oci/view_copy.h"

#define CHUNK ((size_t)256 << 10)
#define FLUSH ((uint64_t)16 << 20) /* the disk starts writing while we still hash */

struct ml_blobout {
    const char *dir;
    struct ml_outfile file;
    struct ml_hasher *hasher;
    uint64_t size, flushed;
    struct ml_digest digest; /* "" until it is known */
};

static char *blob_path(const char *dir, const struct ml_digest *d)
{
    return ml_format("%s/blobs/sha256/%s", dir, ML_DIGEST_HEX(d));
}

int ml_blobout_open(struct ml_repo *r, struct ml_blobout **out, struct ml_err *err)
{
    const char *dir = r->ref.place;
    struct ml_blobout *b = ml_calloc(1, sizeof *b);
    char *path = ml_format("%s/blobs/sha256/blob", dir);
    int rc;

    b->dir = dir;
    rc = ml_outfile_open(&b->file, path, 0644, err);
    free(path);
    if (rc < 0) {
        free(b);
        return -1;
    }
    b->hasher = ml_hasher_new();
    *out = b;
    return 0;
}

int ml_blobout_add(void *blobout, const void *p, size_t n, struct ml_err *err)
{
    struct ml_blobout *b = blobout;

    ml_hasher_add(b->hasher, p, n);
    if (ml_fd_write(b->file.fd, p, n, b->dir, err) < 0)
        return -1;
    b->size += n;
    if (b->size - b->flushed >= FLUSH) {
        /* only a hint: the fsync at the end is what counts */
        (void)!sync_file_range(b->file.fd, (off_t)b->flushed, (off_t)(b->size - b->flushed), SYNC_FILE_RANGE_WRITE);
        b->flushed = b->size;
    }
    return 0;
}

int ml_blobout_view(struct ml_blobout *b, struct ml_tar_view *v, struct ml_err *err)
{
    b->size = ml_tar_view_size(v);
    return ml_view_copy(v, b->file.fd, 0, b->dir, &b->digest, err);
}

void ml_blobout_digest(struct ml_blobout *b, struct ml_digest *out)
{
    if (!b->digest.s[0])
        ml_hasher_end(b->hasher, &b->digest);
    *out = b->digest;
}

/* Makes the blob visible, when its digest is the one that is wanted (NULL: any). */
static int commit(struct ml_blobout *b, const struct ml_desc *want, struct ml_digest *digest, struct ml_err *err)
{
    struct stat st;
    char *path;
    int rc = 0;

    ml_blobout_digest(b, digest);
    if (want && (!ml_digest_eq(digest, &want->digest) || (want->size > 0 && b->size != want->size)))
        return ml_err_set(err, ML_INTEGRITY, "a blob that should be %s is %s", want->digest.s, digest->s);
    path = blob_path(b->dir, digest);
    if (stat(path, &st) < 0 || (uint64_t)st.st_size != b->size)
        rc = ml_outfile_commit_as(&b->file, path, err);
    free(path);
    return rc;
}

int ml_blobout_commit(struct ml_blobout *b, struct ml_digest *digest, uint64_t *size, struct ml_err *err)
{
    if (size)
        *size = b->size;
    return commit(b, NULL, digest, err);
}

void ml_blobout_free(struct ml_blobout *b)
{
    if (!b)
        return;
    ml_outfile_abort(&b->file);
    ml_hasher_free(b->hasher);
    free(b);
}

/* Opens a blob: 0, 1 when there is none. A known size (any but 0) must be the file's. */
static int blob_open(
    const char *dir, const struct ml_digest *d, uint64_t want, int *fd, uint64_t *size, struct ml_err *err)
{
    char *path = blob_path(dir, d);
    struct stat st;
    int rc = -1;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        free(path);
        return 1;
    }
    if (*fd < 0 || fstat(*fd, &st) < 0)
        ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    else if (!S_ISREG(st.st_mode))
        ml_err_set(err, ML_LOCAL, "'%s' is not a file", path);
    else if (want > 0 && (uint64_t)st.st_size != want)
        ml_err_set(err, ML_INTEGRITY, "'%s' has %llu bytes, its descriptor says %llu", path,
            (unsigned long long)st.st_size, (unsigned long long)want);
    else
        rc = 0;
    if (rc < 0 && *fd >= 0)
        close(*fd);
    if (rc == 0)
        *size = (uint64_t)st.st_size;
    free(path);
    return rc;
}

int ml_layout_blob_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink,
    void *ctx, struct ml_err *err)
{
    uint64_t size;
    int fd, rc = blob_open(r->ref.place, &d->digest, d->size, &fd, &size, err);
    struct ml_source src = { ml_fd_read_at, &fd };

    if (rc != 0)
        return rc;
    posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_SEQUENTIAL);
    rc = ml_repo_blob_from(r, &src, size, d, off, len, sink, ctx, err);
    close(fd);
    return rc;
}

int ml_layout_blob_fd(struct ml_repo *r, const struct ml_desc *d, int *fd, uint64_t *at, struct ml_err *err)
{
    uint64_t size;

    *at = 0;
    return blob_open(r->ref.place, &d->digest, d->size, fd, &size, err);
}

int ml_layout_blob_has(struct ml_repo *r, const struct ml_digest *d, struct ml_err *err)
{
    const char *dir = r->ref.place;
    uint64_t size;
    int fd, rc = blob_open(dir, d, 0, &fd, &size, err);

    if (rc == 0)
        close(fd);
    return rc;
}

int ml_layout_blob_put(struct ml_repo *r, const struct ml_desc *d, const struct ml_source *src, struct ml_err *err)
{
    const char *dir = r->ref.place;
    struct ml_blobout *b = NULL;
    struct ml_digest got;
    struct stat st;
    char *path = blob_path(dir, &d->digest), *chunk = NULL;
    int rc = stat(path, &st) == 0 && (uint64_t)st.st_size == d->size ? 1 : 0;

    free(path);
    if (rc == 1)
        return 0;
    if (ml_blobout_open(r, &b, err) < 0)
        return -1;
    chunk = ml_malloc(CHUNK);
    for (;;) {
        int64_t n = src->read(src->ctx, b->size, chunk, CHUNK, err);

        rc = n < 0 ? -1 : 0;
        if (n <= 0 || (rc = ml_blobout_add(b, chunk, (size_t)n, err)) < 0)
            break;
        if (b->size > d->size) {
            rc = ml_err_set(
                err, ML_INTEGRITY, "the blob %s is larger than %llu bytes", d->digest.s, (unsigned long long)d->size);
            break;
        }
    }
    if (rc == 0)
        rc = commit(b, d, &got, err);
    ml_blobout_free(b);
    free(chunk);
    return rc;
}

/* Another file system, or links that this user may not make. */
static int copy_blob(struct ml_repo *to, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    struct ml_desc desc = { .digest = *d };
    struct ml_blobout *b = NULL;
    struct ml_digest got;
    int rc = ml_blobout_open(to, &b, err);

    if (rc == 0)
        rc = ml_layout_blob_get((struct ml_repo *)(uintptr_t)from, &desc, 0, 0, ml_blobout_add, b, err);
    if (rc == 0)
        rc = commit(b, &desc, &got, err);
    ml_blobout_free(b);
    return rc;
}

int ml_layout_blob_mount(struct ml_repo *r, const struct ml_digest *d, const struct ml_repo *from, struct ml_err *err)
{
    char *a, *b;
    int rc;

    if (from->ops != r->ops)
        return 1;
    a = blob_path(from->ref.place, d);
    b = blob_path(r->ref.place, d);
    if (link(a, b) == 0 || errno == EEXIST)
        rc = 0;
    else if (errno == ENOENT)
        rc = 1;
    else if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EACCES || errno == ENOTSUP ||
             errno == ENOSYS)
        rc = copy_blob(r, d, from, err);
    else
        rc = ml_err_errno(err, ML_LOCAL, "cannot link '%s'", b);
    free(a);
    free(b);
    return rc;
}
