/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories that appear whole. */
#include "base/newdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define SUFFIX        ".part"
#define RANDOM        6
#define NAME_MAX_KEPT 200 /* of the name in the temporary one: together they fit into what file systems take */
#define SYNC_MAX      64  /* entries that are synced one by one; each may take a disk some milliseconds */

/* `path` may be there only as an empty directory that isn't the current one. */
static int check_target(const char *path, struct ml_err *err)
{
    struct stat st, here;
    struct dirent *e;
    int entries = 0;
    DIR *d;

    if (stat(path, &st) < 0)
        return 0;
    if (stat(".", &here) == 0 && here.st_dev == st.st_dev && here.st_ino == st.st_ino)
        return ml_err_set(err, ML_USAGE, "'%s' is the current directory, name a new one", path);
    d = opendir(path);
    if (!d)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    while ((e = readdir(d)))
        entries++;
    closedir(d);
    return entries > 2 ? ml_err_set(err, ML_LOCAL, "'%s' is not empty, name a new directory", path) : 0;
}

/* ---- what killed ones left ---- */

static bool is_leftover(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return !strncmp(name, prefix, n) && strlen(name) == n + RANDOM + strlen(SUFFIX) &&
           !strcmp(name + n + RANDOM, SUFFIX);
}

/* Nothing is in it but what this module's users put there. */
static bool is_ours(int fd)
{
    int copy = dup(fd);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;
    bool yes = d;

    while (yes && (e = readdir(d)))
        yes = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "root") ||
              !strcmp(e->d_name, "file");
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
    return yes;
}

/* Whether its maker is gone: then it is locked for us. A file system without locks says no: then it stays. */
static bool is_orphan(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0777) == 0700 && is_ours(fd) &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep(const char *parent, const char *prefix)
{
    DIR *d = opendir(*parent ? parent : ".");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        char *path;
        int fd;

        if (!is_leftover(e->d_name, prefix))
            continue;
        fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        path = ml_path_join(parent, e->d_name);
        if (is_orphan(fd))
            ml_remove_all(path, NULL);
        free(path);
        close(fd);
    }
    if (d)
        closedir(d);
}

/* ---- making one ---- */

static void undo(void *ctx)
{
    const struct ml_newdir *d = ctx;

    ml_remove_all(d->tmp, NULL);
}

/* Makes and locks the private directory; 1 when someone has swept it before the lock was ours. */
static int make_once(struct ml_newdir *d, struct ml_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345678";
    char *x = d->tmp + strlen(d->tmp) - strlen(SUFFIX) - RANDOM;
    unsigned char random[RANDOM];
    struct stat st;

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return ml_err_errno(err, ML_LOCAL, "cannot make a directory beside '%s'", d->path);
    for (size_t i = 0; i < RANDOM; i++)
        x[i] = letters[random[i] % (sizeof letters - 1)];
    if (mkdir(d->tmp, 0700) < 0)
        return errno == EEXIST ? 1 : ml_err_errno(err, ML_LOCAL, "cannot make a directory beside '%s'", d->path);
    d->fd = open(d->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0 && errno == ENOENT)
        return 1;
    if (d->fd < 0) {
        ml_err_errno(err, ML_LOCAL, "cannot open '%s'", d->tmp);
        rmdir(d->tmp);
        return -1;
    }
    (void)!flock(d->fd, LOCK_EX); /* where there are no locks nobody sweeps either */
    if (fstat(d->fd, &st) == 0 && st.st_nlink > 0 && access(d->tmp, F_OK) == 0)
        return 0;
    close(d->fd);
    d->fd = -1;
    return 1;
}

int ml_newdir_open(struct ml_newdir *d, const char *path, struct ml_err *err)
{
    size_t n = strlen(path), dir, kept;
    char *parent, *prefix;
    const char *name;
    int rc;

    *d = (struct ml_newdir)ML_NEWDIR_INIT;
    while (n > 1 && path[n - 1] == '/')
        n--;
    d->path = ml_strndup(path, n);
    name = strrchr(d->path, '/');
    name = name ? name + 1 : d->path;
    dir = (size_t)(name - d->path);
    parent = ml_strndup(d->path, dir > 1 ? dir - 1 : dir);
    kept = strlen(name) < NAME_MAX_KEPT ? strlen(name) : NAME_MAX_KEPT;
    prefix = ml_format(".%.*s.", (int)kept, name);
    d->tmp = ml_format("%.*s%sXXXXXX" SUFFIX, (int)dir, d->path, prefix);
    d->root = ml_format("%s/root", d->tmp);
    rc = check_target(d->path, err) < 0 || (*parent && ml_mkdirs(parent, err) < 0) ? -1 : 1;
    if (rc == 1) {
        sweep(parent, prefix);
        d->undo = ml_undo_note(undo, d);
    }
    ml_undo_hold();
    while (rc == 1) {
        rc = make_once(d, err);
        if (rc == 0)
            memcpy(d->root, d->tmp, strlen(d->tmp));
    }
    ml_undo_release();
    free(parent);
    free(prefix);
    if (rc < 0)
        ml_newdir_abort(d);
    return rc;
}

/* ---- its name ---- */

static int sync_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    int fd, rc;

    (void)flag, (void)ftw;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    rc = fsync(fd) < 0 && errno != EINVAL ? -1 : 0; /* EINVAL: nothing that could be lost by it */
    close(fd);
    return rc;
}

int ml_newdir_commit(struct ml_newdir *d, size_t entries, struct ml_err *err)
{
    int rc = entries > SYNC_MAX ? syncfs(d->fd) : nftw(d->root, sync_one, 16, FTW_PHYS | FTW_DEPTH);

    if (rc != 0)
        return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", d->path);
    ml_undo_hold();
    rc = rename(d->root, d->path);
    ml_undo_release();
    if (rc < 0)
        return ml_err_errno(
            err, ML_LOCAL, "cannot make '%s'%s", d->path, errno == EBUSY ? ", name a directory below it" : "");
    return ml_sync_parent(d->path, err);
}

void ml_newdir_abort(struct ml_newdir *d)
{
    if (d->undo) {
        ml_undo_hold();
        ml_remove_all(d->tmp, NULL);
        ml_undo_release();
        ml_undo_forget(d->undo);
    }
    if (d->fd >= 0)
        close(d->fd);
    free(d->path);
    free(d->tmp);
    free(d->root);
    *d = (struct ml_newdir)ML_NEWDIR_INIT;
}
