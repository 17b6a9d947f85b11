/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The only module that writes files. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"

#define SUFFIX ".tmp"
#define RANDOM 6
#define STALE  86400 /* seconds after which a temporary file has no writer any more, where locks can't tell */

int ml_file_read(const char *path, struct ml_buf *out, struct ml_err *err)
{
    bool in = !strcmp(path, "-");
    const char *name = in ? "standard input" : path;
    int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    char chunk[65536];
    ssize_t n;

    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", name);
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ml_err_errno(err, ML_LOCAL, "cannot read '%s'", name);
            break;
        }
        ml_buf_add(out, chunk, (size_t)n);
        if (out->full) {
            ml_err_set(err, ML_LOCAL, "'%s' is larger than %zu bytes", name, out->max);
            n = -1;
            break;
        }
    }
    if (!in)
        close(fd);
    return n < 0 ? -1 : 0;
}

int ml_file_nameless(const char *prefix, struct ml_err *err)
{
    const char *dir = ml_env("TMPDIR");
    char *path = ml_format("%s/%s.XXXXXX", dir ? dir : "/tmp", prefix);
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        ml_err_errno(err, ML_LOCAL, "'%s': cannot make a temporary file", path);
    else
        unlink(path);
    free(path);
    return fd;
}

int64_t ml_fd_read_at(void *fd, uint64_t off, void *p, size_t n, struct ml_err *err)
{
    ssize_t got;

    do
        got = pread(*(int *)fd, p, n, (off_t)off);
    while (got < 0 && errno == EINTR);
    return got < 0 ? ml_err_errno(err, ML_LOCAL, "cannot read") : got;
}

int ml_fd_write(int fd, const void *p, size_t n, const char *name, struct ml_err *err)
{
    const char *s = p;

    while (n > 0) {
        ssize_t w = write(fd, s, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", name);
        s += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Locks what was just made, so that no sweep takes it: 0, 1 when one took it before that, -1. Where there are no locks
 * nobody sweeps what is young. */
static int hold(int fd)
{
    struct stat st;

    (void)!flock(fd, LOCK_EX);
    return fstat(fd, &st) < 0 ? -1 : st.st_nlink == 0;
}

/* As mkostemps("...XXXXXX.tmp", 4), but locked, and with the mode that the caller and his umask want. */
static int open_new(char *name, mode_t mode)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char *x = name + strlen(name) - strlen(SUFFIX) - RANDOM;
    int fd = -1;

    for (int tries = 0; fd < 0 && tries < 100; tries++) {
        unsigned char random[RANDOM];

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return -1;
        for (size_t i = 0; i < sizeof random; i++)
            x[i] = letters[random[i] % (sizeof letters - 1)];
        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST)
            return -1;
        if (fd >= 0 && hold(fd) != 0) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

/* ---- what killed ones left ---- */

static bool is_leftover(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return name[0] == '.' && !strncmp(name + 1, prefix, n) && name[n + 1] == '.' &&
           strlen(name) == n + 2 + RANDOM + strlen(SUFFIX) && !strcmp(name + n + 2 + RANDOM, SUFFIX);
}

/* Whether its writer is gone: then it is locked for us. */
static bool is_orphan(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return false;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && st.st_mtime < time(NULL) - STALE);
}

void ml_outfile_sweep(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *dir = slash ? ml_strndup(path, (size_t)(slash - path) + (slash == path)) : ml_strdup(".");
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        int fd = is_leftover(e->d_name, name)
                     ? openat(dirfd(d), e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                     : -1;

        if (fd >= 0 && is_orphan(fd))
            unlinkat(dirfd(d), e->d_name, 0);
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
    free(dir);
}

/* ---- writing ---- */

static void undo(void *ctx)
{
    unlink(ctx);
}

/* Nothing is left to undo: the temporary name is gone. */
static void forget_tmp(struct ml_outfile *f)
{
    ml_undo_forget(f->undo);
    f->undo = NULL;
    free(f->tmp);
    f->tmp = NULL;
}

int ml_outfile_open(struct ml_outfile *f, const char *path, mode_t mode, struct ml_err *err)
{
    const char *slash = strrchr(path, '/');
    int dirlen = slash ? (int)(slash - path + 1) : 0;
    struct stat st;

    *f = (struct ml_outfile)ML_OUTFILE_INIT;
    f->path = ml_strdup(path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a pipe or a device is written to, not replaced */
        f->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (f->fd >= 0)
            return 0;
        ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path);
        ml_outfile_abort(f);
        return -1;
    }
    f->tmp = ml_format("%.*s.%s.XXXXXX" SUFFIX, dirlen, path, path + dirlen);
    f->undo = ml_undo_note(undo, f->tmp);
    ml_undo_hold();
    f->fd = open_new(f->tmp, mode);
    ml_undo_release();
    if (f->fd >= 0)
        return 0;
    ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path);
    forget_tmp(f);
    ml_outfile_abort(f);
    return -1;
}

int ml_outfile_write(struct ml_outfile *f, const void *p, size_t n, struct ml_err *err)
{
    return ml_fd_write(f->fd, p, n, f->path, err);
}

int ml_sync_parent(const char *path, struct ml_err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? ml_strndup(path, (size_t)(slash - path) + (slash == path)) : ml_strdup(".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    /* EINVAL: a file system that cannot sync a directory has nothing to lose by it */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        rc = ml_err_errno(err, ML_LOCAL, "cannot sync '%s'", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

int ml_outfile_commit_as(struct ml_outfile *f, const char *path, struct ml_err *err)
{
    int fd = f->fd, lock, rc;

    if (f->tmp && !f->hint && fsync(fd) < 0)
        goto fail;
    lock = f->tmp ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1; /* the lock is ours until it has its name */
    f->fd = -1;
    rc = close(fd) < 0 || (f->tmp && rename(f->tmp, path) < 0) ? -1 : 0;
    if (lock >= 0)
        close(lock);
    if (rc < 0)
        goto fail;
    if (!f->tmp) {
        ml_outfile_abort(f);
        return 0;
    }
    free(f->tmp);
    f->tmp = NULL;
    if (!f->hint && ml_sync_parent(path, err) < 0)
        return -1;
    ml_outfile_abort(f);
    return 0;
fail:
    return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path);
}

int ml_outfile_commit(struct ml_outfile *f, struct ml_err *err)
{
    return ml_outfile_commit_as(f, f->path, err);
}

void ml_outfile_abort(struct ml_outfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->tmp)
        unlink(f->tmp);
    forget_tmp(f);
    free(f->path);
    *f = (struct ml_outfile)ML_OUTFILE_INIT;
}

int ml_file_write(const char *path, const void *p, size_t n, mode_t mode, struct ml_err *err)
{
    struct ml_outfile f;
    int rc = -1;

    ml_outfile_sweep(path);
    if (ml_outfile_open(&f, path, mode, err) < 0)
        return -1;
    if (ml_outfile_write(&f, p, n, err) == 0)
        rc = ml_outfile_commit(&f, err);
    ml_outfile_abort(&f);
    return rc;
}

static int make_dirs(const char *path, mode_t mode, struct ml_err *err)
{
    char *p = ml_strdup(path);
    struct stat st;
    int rc = 0;

    for (char *s = p + (*p != '\0'); rc == 0; s++) {
        char c = *s;

        if (c != '/' && c != '\0')
            continue;
        *s = '\0';
        if (mkdir(p, mode) < 0 && (errno != EEXIST || stat(p, &st) < 0 || !S_ISDIR(st.st_mode)))
            rc = ml_err_errno(err, ML_LOCAL, "cannot make directory '%s'", p);
        *s = c;
        if (c == '\0')
            break;
    }
    free(p);
    return rc;
}

int ml_mkdirs(const char *path, struct ml_err *err)
{
    return make_dirs(path, 0777, err);
}

int ml_mkdirs_private(const char *path, struct ml_err *err)
{
    return make_dirs(path, 0700, err);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int ml_remove_all(const char *path, struct ml_err *err)
{
    struct stat st;

    if (lstat(path, &st) < 0 && errno == ENOENT)
        return 0;
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return ml_err_errno(err, ML_LOCAL, "cannot remove '%s'", path);
    return 0;
}

char *ml_path_join(const char *a, const char *b)
{
    size_t n = strlen(a);

    if (b[0] == '/' || n == 0)
        return ml_strdup(b);
    return ml_format("%s%s%s", a, a[n - 1] == '/' ? "" : "/", b);
}
