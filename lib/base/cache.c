/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cache directory. */
#include "base/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "base/file.h"

#define DAY  ((time_t)86400)
#define KEEP (30 * DAY)
#define MARK ".mlci" /* what the files' names end with: nothing else is ever deleted, wherever ML_CACHE points */

/* Owned; NULL when nothing says where. */
static char *root(void)
{
    const char *own = ml_env("ML_CACHE"), *caches = ml_env("XDG_CACHE_HOME"), *home = ml_env("HOME");

    if (own)
        return ml_strdup(own);
    if (caches && *caches == '/') /* the XDG specification: a relative one is to be ignored */
        return ml_path_join(caches, "mlci");
    if (home && *home == '/')
        return ml_path_join(home, ".cache/mlci");
    return NULL;
}

static bool name_ok(const char *name)
{
    const char *base = strchr(name, '/');

    base = base ? base + 1 : name;
    return *name && *base && *name != '.' && *base != '.' &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")] &&
           !strchr(base, '/');
}

/* Without making anything. */
static char *place(const char *name)
{
    char *dir = name_ok(name) ? root() : NULL, *path = dir ? ml_path_join(dir, name) : NULL,
         *marked = path ? ml_format("%s" MARK, path) : NULL;

    free(dir);
    free(path);
    return marked;
}

char *ml_cache_path(const char *name)
{
    char *path = place(name), *slash;
    int rc;

    if (!path)
        return NULL;
    slash = strrchr(path, '/');
    *slash = 0;
    rc = ml_mkdirs_private(path, NULL);
    *slash = '/';
    if (!rc)
        return path;
    free(path);
    return NULL;
}

bool ml_cache_read(const char *name, struct ml_buf *out)
{
    char *path = place(name), chunk[16384];
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    struct stat st;
    ssize_t n = -1;

    free(path);
    if (fd < 0)
        return false;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
        while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
            if (n > 0)
                ml_buf_add(out, chunk, (size_t)n);
        if (st.st_mtime < time(NULL) - DAY)
            (void)futimens(fd, NULL); /* it is in use */
    }
    close(fd);
    return n == 0 && !out->full;
}

static bool is_ours(const char *name)
{
    return !fnmatch("*" MARK, name, 0) || !fnmatch(".*" MARK ".??????.tmp", name, 0);
}

/* What nobody has read or written for long goes. */
static void prune(const char *path)
{
    char *dir = ml_strndup(path, (size_t)(strrchr(path, '/') - path));
    DIR *d = opendir(dir);
    struct dirent *e;
    struct stat st;

    while (d && (e = readdir(d)))
        if (is_ours(e->d_name) && !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
            st.st_mtime < time(NULL) - KEEP)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    free(dir);
}

void ml_cache_write(const char *name, const void *p, size_t n)
{
    char *path = ml_cache_path(name);
    struct ml_outfile f;
    bool new;

    if (!path)
        return;
    new = access(path, F_OK) != 0;
    if (!ml_outfile_open(&f, path, 0600, NULL)) {
        f.hint = true;
        if (!ml_outfile_write(&f, p, n, NULL))
            (void)ml_outfile_commit(&f, NULL);
        ml_outfile_abort(&f);
    }
    if (new)
        prune(path);
    free(path);
}
