/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one user of libarchive. */
#include "oci/untar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK      ((size_t)256 << 10)
#define BLOCK      512
#define PATH_BYTES 4096 /* no file system takes more at once */

struct ml_untar {
    struct archive *a;
    ml_untar_read_fn *read;
    void *ctx;
    int fd;             /* of a file: what is skipped isn't read */
    uint64_t file_size; /* 0: not a file */
    char *chunk;        /* of a file */
    struct ml_err err;  /* of the reader */
    char *path, *link;
    bool open;
    uint64_t total, last; /* bytes so far; size of the entry before */
    uint64_t at;          /* bytes of the entry that were handed over */
    size_t odd;           /* what the stream had beyond whole blocks at its end */
    locale_t locale, before;
};

/* Some tools (umoci insert) leave out the padding of the last file: it is put behind here, and `finished` looks whether
 * that was all. */
static la_ssize_t give(struct archive *a, void *ctx, const void **p)
{
    static const char zeros[BLOCK];
    struct ml_untar *u = ctx;
    int64_t n = u->read(u->ctx, p, &u->err);

    if (n < 0) {
        archive_set_error(a, EIO, "%s", "cannot read");
        return ARCHIVE_FATAL;
    }
    if (n == 0 && u->total % BLOCK != 0) {
        u->odd = u->total % BLOCK;
        n = (int64_t)(BLOCK - u->odd);
        *p = zeros;
    }
    u->total += (uint64_t)n;
    return (la_ssize_t)n;
}

static int64_t from_file(void *ctx, const void **p, struct ml_err *err)
{
    struct ml_untar *u = ctx;
    ssize_t got;

    *p = u->chunk;
    do
        got = pread(u->fd, u->chunk, CHUNK, (off_t)u->total);
    while (got < 0 && errno == EINTR);
    return got < 0 ? ml_err_errno(err, ML_LOCAL, "cannot read the archive") : got;
}

static la_int64_t skip(struct archive *a, void *ctx, la_int64_t n)
{
    struct ml_untar *u = ctx;
    uint64_t left = u->file_size > u->total ? u->file_size - u->total : 0;

    (void)a;
    if ((uint64_t)n > left)
        n = (la_int64_t)left;
    u->total += (uint64_t)n;
    return n;
}

struct ml_untar *ml_untar_file(int fd, uint64_t size)
{
    struct ml_untar *u = ml_untar_new(from_file, NULL);

    u->ctx = u;
    u->fd = fd;
    u->chunk = ml_malloc(CHUNK);
    u->file_size = size;
    return u;
}

uint64_t ml_untar_offset(const struct ml_untar *u)
{
    return (uint64_t)archive_filter_bytes(u->a, -1);
}

struct ml_untar *ml_untar_new(ml_untar_read_fn *read, void *ctx)
{
    struct ml_untar *u = ml_calloc(1, sizeof *u);

    u->read = read;
    u->ctx = ctx;
    u->a = archive_read_new();
    if (!u->a || archive_read_support_format_tar(u->a) != ARCHIVE_OK ||
        archive_read_support_format_empty(u->a) != ARCHIVE_OK)
        abort(); /* no memory */
    /* pax names are UTF-8; where this locale is missing libarchive warns and hands over the same bytes */
    u->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (u->locale)
        u->before = uselocale(u->locale);
    return u;
}

void ml_untar_free(struct ml_untar *u)
{
    if (!u)
        return;
    archive_read_free(u->a);
    if (u->locale) {
        uselocale(u->before);
        freelocale(u->locale);
    }
    free(u->path);
    free(u->link);
    free(u->chunk);
    free(u);
}

/* The reader's own error if it had one, else libarchive's. */
static int failed(struct ml_untar *u, struct ml_err *err)
{
    if (u->err.code) {
        if (err)
            *err = u->err;
        return -1;
    }
    return ml_err_set(err, ML_LOCAL, "malformed tar: %s",
        archive_error_string(u->a) ? archive_error_string(u->a) : "no reason given");
}

char *ml_path_normal(const char *s)
{
    struct ml_buf out = ML_BUF_INIT;

    while (*s) {
        size_t n = strcspn(s, "/");

        if (n == 2 && s[0] == '.' && s[1] == '.') {
            ml_buf_release(&out);
            return NULL;
        }
        if (n > 0 && !(n == 1 && s[0] == '.')) {
            if (out.len > 0)
                ml_buf_addc(&out, '/');
            ml_buf_add(&out, s, n);
        }
        s += n + (s[n] == '/');
    }
    return ml_buf_detach(&out);
}

static int take_path(const char *s, const char *what, char **out, struct ml_err *err)
{
    free(*out);
    *out = s && strlen(s) < PATH_BYTES ? ml_path_normal(s) : NULL;
    if (*out)
        return 0;
    return ml_err_set(err, ML_LOCAL, "the tar has an unsafe %s '%.200s'", what, s ? s : "(unreadable)");
}

static enum ml_tar_type type_of(struct archive_entry *ae)
{
    if (archive_entry_hardlink(ae))
        return ML_TAR_HARDLINK;
    switch (archive_entry_filetype(ae)) {
    case AE_IFREG:
        return ML_TAR_FILE;
    case AE_IFDIR:
        return ML_TAR_DIR;
    case AE_IFLNK:
        return ML_TAR_SYMLINK;
    default:
        return ML_TAR_OTHER;
    }
}

static int finished(struct ml_untar *u, struct ml_err *err)
{
    if (u->err.code)
        return failed(u, err);
    return u->odd > 0 && u->last % BLOCK != u->odd ? ml_err_set(err, ML_LOCAL, "malformed tar: it ends too early") : 1;
}

int ml_untar_next(struct ml_untar *u, struct ml_tar_entry *e, struct ml_err *err)
{
    struct archive_entry *ae;
    int rc;

    *e = (struct ml_tar_entry){ 0 };
    if (!u->open && archive_read_open2(u->a, u, NULL, give, u->file_size ? skip : NULL, NULL) != ARCHIVE_OK)
        return failed(u, err);
    u->open = true;
    rc = archive_read_next_header(u->a, &ae);
    if (rc == ARCHIVE_EOF)
        return finished(u, err);
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return failed(u, err);
    if (take_path(archive_entry_pathname(ae), "name", &u->path, err) < 0)
        return -1;
    e->path = u->path;
    e->type = type_of(ae);
    e->mode = archive_entry_perm(ae) & 07777;
    e->uid = archive_entry_uid(ae) < 0 ? 0 : (uint64_t)archive_entry_uid(ae);
    e->gid = archive_entry_gid(ae) < 0 ? 0 : (uint64_t)archive_entry_gid(ae);
    e->mtime = archive_entry_mtime(ae);
    if (e->type == ML_TAR_HARDLINK && take_path(archive_entry_hardlink(ae), "link to", &u->link, err) < 0)
        return -1;
    if (e->type == ML_TAR_SYMLINK) {
        const char *s = archive_entry_symlink(ae);

        free(u->link);
        u->link = s ? ml_strdup(s) : NULL;
        if (!u->link || !*u->link)
            return ml_err_set(err, ML_LOCAL, "the tar has a symbolic link '%s' without a target", u->path);
    }
    e->link = e->type == ML_TAR_HARDLINK || e->type == ML_TAR_SYMLINK ? u->link : NULL;
    u->last = u->at = 0;
    if (e->type != ML_TAR_FILE)
        return 0;
    if (archive_entry_size(ae) < 0)
        return ml_err_set(err, ML_LOCAL, "the tar has a file '%s' with a negative size", u->path);
    e->size = u->last = (uint64_t)archive_entry_size(ae);
    if (archive_entry_sparse_count(ae) > 0)
        return ml_err_set(err, ML_LOCAL, "the tar has a sparse file '%s', which a layer may not", u->path);
    return 0;
}

int64_t ml_untar_data(struct ml_untar *u, const void **p, struct ml_err *err)
{
    la_int64_t off;
    size_t n;
    int rc;

    do
        rc = archive_read_data_block(u->a, p, &n, &off);
    while ((rc == ARCHIVE_OK || rc == ARCHIVE_WARN) && n == 0);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return failed(u, err);
    if ((uint64_t)off != u->at) /* a hole */
        return ml_err_set(err, ML_LOCAL, "the tar has a sparse file '%s', which a layer may not", u->path);
    u->at += n;
    return (int64_t)n;
}
