/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Locks on directories. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define LOCK_FILE ".mlci.lock"
#define HELD_FILE ".mlci.locked"
#define PAUSE     0.02 /* seconds between two looks at a file that is there */
#define STALE     60.0
#define OWNER_MAX 300

static int take(int fd)
{
    int rc;

    do
        rc = flock(fd, LOCK_EX);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* The file system has no such locks for such a file; anything else is an error. */
static bool has_none(int e)
{
    return e == EBADF || e == ENOLCK || e == EOPNOTSUPP || e == ENOSYS || e == EINVAL;
}

/* flock on `path`, opened so: 0, 1 when there are no such locks, -1. */
static int lock_on(struct ml_lock *l, const char *path, int flags, struct ml_err *err)
{
    int fd = open(path, flags | O_CLOEXEC, 0666), e;

    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    if (take(fd) == 0) {
        l->fd = fd;
        return 0;
    }
    e = errno;
    close(fd);
    errno = e;
    return has_none(e) ? 1 : ml_err_errno(err, ML_LOCAL, "cannot lock '%s'", path);
}

/* ---- a lock that is a file's being there ---- */

static void my_name(char out[OWNER_MAX])
{
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    snprintf(out, OWNER_MAX, "%s %ld\n", host, (long)getpid());
}

/* Whether the file is of a process of this host that has ended. */
static bool owner_is_gone(const char *path)
{
    char host[256] = "", text[OWNER_MAX] = "", *space;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    long pid;

    if (fd >= 0)
        close(fd);
    gethostname(host, sizeof host - 1);
    space = n > 0 ? strrchr(text, ' ') : NULL;
    if (!space || (size_t)(space - text) != strlen(host) || strncmp(text, host, strlen(host)) != 0)
        return false;
    pid = strtol(space + 1, NULL, 10);
    return pid > 1 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* Takes a file that was left behind out of the way, unless it has become another meanwhile. */
static void break_lock(const char *path, const struct stat *seen)
{
    char *aside = ml_format("%s.%ld", path, (long)getpid());
    struct stat st;

    if (rename(path, aside) == 0) {
        if (stat(aside, &st) == 0 && (st.st_ino != seen->st_ino || st.st_mtime != seen->st_mtime))
            (void)!link(aside, path);
        unlink(aside);
    }
    free(aside);
}

static void undo(void *ctx)
{
    unlink(ctx);
}

static int make_file(const char *path)
{
    char name[OWNER_MAX];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return -1;
    my_name(name);
    (void)!write(fd, name, strlen(name)); /* who it is only serves to find out sooner that it is left behind */
    close(fd);
    return 0;
}

static int lock_by_file(struct ml_lock *l, const char *path, struct ml_err *err)
{
    double since = ml_clock_monotonic();
    struct stat seen = { 0 }, st;

    while (make_file(path) < 0) {
        if (errno != EEXIST)
            return ml_err_errno(err, ML_LOCAL, "cannot make '%s'", path);
        if (stat(path, &st) < 0)
            continue;
        if (st.st_ino != seen.st_ino || st.st_mtime != seen.st_mtime) {
            seen = st;
            since = ml_clock_monotonic();
        }
        if (ml_clock_monotonic() - since > STALE || owner_is_gone(path))
            break_lock(path, &seen);
        else
            ml_clock_sleep(PAUSE);
    }
    l->file = ml_strdup(path);
    l->undo = ml_undo_note(undo, l->file);
    return 0;
}

int ml_lock_dir(struct ml_lock *l, const char *dir, struct ml_err *err)
{
    char *file = ml_format("%s/" LOCK_FILE, dir), *held = ml_format("%s/" HELD_FILE, dir);
    int rc;

    *l = (struct ml_lock)ML_LOCK_INIT;
    rc = lock_on(l, dir, O_RDONLY | O_DIRECTORY, err);
    if (rc == 1)
        rc = lock_on(l, file, O_RDWR | O_CREAT, err);
    if (rc == 1)
        rc = lock_by_file(l, held, err);
    free(file);
    free(held);
    return rc;
}

void ml_lock_release(struct ml_lock *l)
{
    if (l->file)
        unlink(l->file);
    ml_undo_forget(l->undo);
    if (l->fd >= 0)
        close(l->fd);
    free(l->file);
    *l = (struct ml_lock)ML_LOCK_INIT;
}
