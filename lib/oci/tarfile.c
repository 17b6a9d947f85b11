/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index of a tar on disk. */
#include "oci/tarfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decompress.h"
#include "base/file.h"
#include "oci/untar.h"

#define MEMBERS_MAX ((size_t)1 << 20)
#define HOPS_MAX    8
#define CHUNK       ((size_t)256 << 10)
#define SLACK       ((uint64_t)256 << 20) /* how far a compressed archive may unpack: as a layer may */
#define RATIO       200

struct member {
    char *path;
    char *link; /* of a link: where it leads, from the tar's root */
    uint64_t off, size;
    size_t order;
};

struct ml_tarfile {
    int fd;
    uint64_t size;
    struct member *v;
    size_t n, cap;
};

void ml_tarfile_close(struct ml_tarfile *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].path);
        free(t->v[i].link);
    }
    free(t->v);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

/* ---- opening ---- */

struct spool {
    int fd;
};

static int to_spool(void *ctx, const void *p, size_t n, struct ml_err *err)
{
    const struct spool *s = ctx;

    return ml_fd_write(s->fd, p, n, "a temporary file for the unpacked archive", err);
}

static int unpack(int from, int to, uint64_t size, struct ml_err *err)
{
    struct spool s = { to };
    struct ml_decompress *d = ml_decompress_new(SLACK + RATIO * size, to_spool, &s);
    char *chunk = ml_malloc(CHUNK);
    uint64_t at = 0;
    ssize_t n;
    int rc = 0;

    while (rc == 0 && ((n = pread(from, chunk, CHUNK, (off_t)at)) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0)
            rc = ml_decompress_add(d, chunk, (size_t)n, err);
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (rc == 0 && n < 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot read it");
    if (rc == 0)
        rc = ml_decompress_end(d, err);
    ml_decompress_free(d);
    free(chunk);
    return rc;
}

/* The plain tar in place of a compressed one. */
static int expand(struct ml_tarfile *t, struct ml_err *err)
{
    int fd = ml_file_nameless("ml-archive", err);
    struct stat st;

    if (fd < 0)
        return -1;
    if (unpack(t->fd, fd, t->size, err) < 0 || fstat(fd, &st) < 0) {
        close(fd);
        return -1;
    }
    close(t->fd);
    t->fd = fd;
    t->size = (uint64_t)st.st_size;
    return 0;
}

/* Where a symbolic link at `path` leads, owned; NULL when that is nowhere in the tar. */
static char *target(const char *path, const char *link)
{
    const char *slash = strrchr(path, '/');
    char *dir = ml_strndup(path, slash && link[0] != '/' ? (size_t)(slash - path) : 0), *out;

    while (!strncmp(link, "../", 3) || !strncmp(link, "./", 2)) {
        bool up = link[1] == '.';

        if (up && !*dir)
            break;
        if (up && strrchr(dir, '/'))
            *strrchr(dir, '/') = '\0';
        else if (up)
            *dir = '\0';
        link += up ? 3 : 2;
    }
    out = strstr(link, "..") ? NULL : ml_format("%s/%s", dir, link);
    free(dir);
    if (out) {
        char *normal = ml_path_normal(out);

        free(out);
        out = normal;
    }
    return out;
}

static int add(struct ml_tarfile *t, const struct ml_untar *u, const struct ml_tar_entry *e, struct ml_err *err)
{
    struct member m = { .path = NULL, .off = ml_untar_offset(u), .size = e->size, .order = t->n };

    if (e->type == ML_TAR_DIR || e->type == ML_TAR_OTHER)
        return 0;
    if (t->n == MEMBERS_MAX)
        return ml_err_set(err, ML_LOCAL, "over %zu members", MEMBERS_MAX);
    if (e->type == ML_TAR_HARDLINK)
        m.link = ml_strdup(e->link);
    if (e->type == ML_TAR_SYMLINK && !(m.link = target(e->path, e->link)))
        return 0;
    if (!m.link && (m.off > t->size || m.size > t->size - m.off))
        return ml_err_set(err, ML_LOCAL, "it ends within '%s'", e->path);
    m.path = ml_strdup(e->path);
    t->v = ml_grow(t->v, &t->cap, t->n + 1, sizeof *t->v);
    t->v[t->n++] = m;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int c = strcmp(x->path, y->path);

    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int scan(struct ml_tarfile *t, struct ml_err *err)
{
    struct ml_untar *u = ml_untar_file(t->fd, t->size);
    struct ml_tar_entry e;
    int rc;

    while ((rc = ml_untar_next(u, &e, err)) == 0)
        if (add(t, u, &e, err) < 0) {
            rc = -1;
            break;
        }
    ml_untar_free(u);
    if (rc < 0)
        return -1;
    if (t->n > 1)
        qsort(t->v, t->n, sizeof *t->v, by_path);
    return 0;
}

int ml_tarfile_open(const char *path, struct ml_tarfile **out, struct ml_err *err)
{
    struct ml_tarfile *t = ml_calloc(1, sizeof *t);
    char head[4] = "";
    struct stat st;
    ssize_t n;

    t->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) < 0) {
        ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        ml_err_set(err, ML_LOCAL, "'%s' is not a file; 'oci:DIR' names a directory", path);
        goto fail;
    }
    t->size = (uint64_t)st.st_size;
    n = pread(t->fd, head, sizeof head, 0);
    if ((n == sizeof head && strcmp(ml_decompress_kind(head, sizeof head), "none") && expand(t, err) < 0) ||
        scan(t, err) < 0) {
        ml_err_wrap(err, "'%s'", path);
        goto fail;
    }
    *out = t;
    return 0;
fail:
    ml_tarfile_close(t);
    return -1;
}

/* ---- reading ---- */

/* The last member of that name. */
static const struct member *member(const struct ml_tarfile *t, const char *path)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(t->v[mid].path, path) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && !strcmp(t->v[low - 1].path, path) ? &t->v[low - 1] : NULL;
}

bool ml_tarfile_find(const struct ml_tarfile *t, const char *path, uint64_t *off, uint64_t *size)
{
    char *normal = ml_path_normal(path);
    const struct member *m = normal ? member(t, normal) : NULL;

    free(normal);
    for (int hops = 0; m && m->link && hops < HOPS_MAX; hops++)
        m = member(t, m->link);
    if (!m || m->link)
        return false;
    *off = m->off;
    *size = m->size;
    return true;
}

int64_t ml_tarfile_read(const struct ml_tarfile *t, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    ssize_t got;

    do
        got = pread(t->fd, p, n, (off_t)off);
    while (got < 0 && errno == EINTR);
    return got < 0 ? ml_err_errno(err, ML_LOCAL, "cannot read the archive") : got;
}

int ml_tarfile_fd(const struct ml_tarfile *t, int *fd, struct ml_err *err)
{
    *fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
    return *fd < 0 ? ml_err_errno(err, ML_LOCAL, "cannot open the archive again") : 0;
}

int ml_tarfile_load(const struct ml_tarfile *t, const char *path, struct ml_buf *out, struct ml_err *err)
{
    uint64_t off, size;
    char *chunk;
    int64_t n = 0;

    if (!ml_tarfile_find(t, path, &off, &size))
        return 1;
    if (size > out->max)
        return ml_err_set(err, ML_LOCAL, "'%s' in the archive has more than %zu bytes", path, out->max);
    chunk = ml_malloc((size_t)size + 1);
    for (uint64_t at = 0; at < size; at += (uint64_t)n) {
        n = ml_tarfile_read(t, off + at, chunk + at, (size_t)(size - at), err);
        if (n <= 0)
            break;
    }
    if (n > 0)
        ml_buf_add(out, chunk, (size_t)size);
    free(chunk);
    if (n == 0 && size > 0)
        return ml_err_set(err, ML_LOCAL, "the archive ends within '%s'", path);
    return n < 0 ? -1 : 0;
}
