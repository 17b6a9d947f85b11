/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory of a layout, made and taken back. */
#include "oci/layout_new.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "oci/layout.h"

#define VERSION  "{\"imageLayoutVersion\":\"1.0.0\"}"
#define PATIENCE 100 /* milliseconds for a lock, when it is time to go */
#define TRIES    100 /* how often somebody may remove the directory between our making it and our locking it */

/* ---- taking it back ---- */

static void rmdir_in(const char *dir, const char *name)
{
    char *path = ml_path_join(dir, name);

    rmdir(path);
    free(path);
}

/* index.json names nothing, and nothing lies beside what we made. */
static bool is_empty(const char *dir)
{
    char *path = ml_path_join(dir, "index.json");
    struct ml_buf text;
    DIR *d = opendir(dir);
    struct dirent *e;
    bool yes = d;

    ml_buf_init(&text, sizeof ML_LAYOUT_EMPTY);
    if (access(path, F_OK) == 0)
        yes = yes && ml_file_read(path, &text, NULL) == 0 && !strcmp(ml_buf_str(&text), ML_LAYOUT_EMPTY);
    while (yes && (e = readdir(d)))
        yes = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "blobs") ||
              !strcmp(e->d_name, "index.json") || !strcmp(e->d_name, "oci-layout");
    if (d)
        closedir(d);
    ml_buf_release(&text);
    free(path);
    return yes;
}

/* Under the lock. Any blob keeps it. */
static void remove_empty(const char *dir)
{
    char *blobs = ml_path_join(dir, "blobs");
    int d;

    if (!is_empty(dir))
        goto out;
    rmdir_in(blobs, "sha256");
    if (rmdir(blobs) < 0 && errno != ENOENT)
        goto out;
    d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d >= 0) {
        unlinkat(d, "index.json", 0);
        unlinkat(d, "oci-layout", 0);
        close(d);
    }
out:
    free(blobs);
}

/* The directory and its parents, as far as they are empty and weren't there. */
static void remove_dirs(const struct ml_layout_new *l)
{
    char *path = ml_strdup(l->dir);
    size_t n = strlen(path);

    while (n > l->there) {
        path[n] = '\0';
        if (path[n - 1] != '/' && rmdir(path) < 0)
            break;
        while (n > l->there && path[n - 1] != '/')
            n--;
        while (n > l->there && path[n - 1] == '/')
            n--;
    }
    free(path);
}

/* Nothing is made meanwhile (ml_undo_hold), and the directory is locked by us. */
static void take_back(struct ml_layout_new *l)
{
    if (l->made && (l->users < 0 || flock(l->users, LOCK_EX | LOCK_NB) == 0))
        remove_empty(l->dir);
    remove_dirs(l);
}

/* Whether the directory is locked by us, here or where it is being made: there it is for good now. Who else has it will
 * write something into it. */
static bool is_ours(struct ml_layout_new *l, int dir)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&l->lock.fd, __ATOMIC_RELAXED) >= 0 || flock(dir, LOCK_EX | LOCK_NB) == 0)
            return true;
        ml_clock_sleep(0.001);
    }
    return false;
}

static void undo(void *ctx)
{
    struct ml_layout_new *l = ctx;
    int dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir >= 0 && is_ours(l, dir))
        take_back(l);
    if (l->users >= 0)
        (void)!flock(l->users, LOCK_UN);
    if (dir >= 0)
        close(dir);
}

/* ---- making it ---- */

/* How much of the path is there already. */
static size_t existing(const char *dir)
{
    char *path = ml_strdup(dir);
    size_t n = strlen(path);

    while (n > 0 && access(path, F_OK) < 0) {
        while (n > 0 && path[n - 1] != '/')
            n--;
        while (n > 0 && path[n - 1] == '/')
            n--;
        path[n] = '\0';
    }
    free(path);
    return n;
}

/* A directory that holds something else must not become a layout by mistake. What a killed mlci may have left is ours.
 */
static int check_foreign(const char *dir, struct ml_err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int rc = 0;

    if (!d)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", dir);
    while (rc == 0 && (e = readdir(d)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, "blobs") != 0 && strcmp(e->d_name, "index.json") != 0)
            rc = ml_err_set(err, ML_LOCAL, "'%s' is neither an image layout nor empty, name another directory", dir);
    closedir(d);
    return rc;
}

/* What is locked is what the path names, not what has just been removed. */
static bool is_there(const struct ml_lock *lock, const char *dir)
{
    struct stat st;

    return (lock->fd < 0 || (fstat(lock->fd, &st) == 0 && st.st_nlink > 0)) && access(dir, F_OK) == 0;
}

static int lock_dir(struct ml_layout_new *l, struct ml_err *err)
{
    int rc, why;

    for (int i = 0; i < TRIES; i++) {
        ml_undo_hold();
        l->there = existing(l->dir);
        rc = ml_mkdirs(l->dir, err);
        why = errno;
        ml_undo_release();
        if (rc == 0) {
            rc = ml_lock_dir(&l->lock, l->dir, err);
            why = errno;
        }
        if (rc == 0 && is_there(&l->lock, l->dir))
            return 0;
        ml_lock_release(&l->lock);
        if (rc < 0 && why != ENOENT) /* nobody removed it in between */
            return -1;
    }
    return rc < 0 ? -1 : ml_err_set(err, ML_LOCAL, "'%s' is removed as often as it is made", l->dir);
}

/* Under the lock: what lacks is made. */
static int fill(struct ml_layout_new *l, struct ml_err *err)
{
    char *blobs = ml_path_join(l->dir, "blobs/sha256"), *version = ml_path_join(l->dir, "oci-layout"),
         *index = ml_path_join(l->dir, "index.json"), *blob = ml_path_join(blobs, "blob");
    int rc = -1;

    if (!ml_layout_is(l->dir)) {
        if (check_foreign(l->dir, err) < 0)
            goto out;
        ml_undo_hold();
        l->made = true;
        ml_undo_release();
        if (ml_file_write(version, VERSION, strlen(VERSION), 0644, err) < 0)
            goto out;
    }
    ml_undo_hold();
    l->users = open(version, O_RDONLY | O_CLOEXEC);
    ml_undo_release();
    if (l->users >= 0)
        (void)!flock(l->users, LOCK_SH | LOCK_NB); /* nobody has another for longer than he has the directory's */
    if (access(index, F_OK) < 0 && ml_file_write(index, ML_LAYOUT_EMPTY, strlen(ML_LAYOUT_EMPTY), 0644, err) < 0)
        goto out;
    ml_undo_hold();
    rc = ml_mkdirs(blobs, err);
    ml_undo_release();
    if (rc == 0)
        ml_outfile_sweep(blob);
out:
    free(blobs);
    free(version);
    free(index);
    free(blob);
    return rc;
}

int ml_layout_new_begin(struct ml_layout_new *l, const char *dir, struct ml_err *err)
{
    int rc;

    *l = (struct ml_layout_new){ .dir = ml_strdup(dir), .there = strlen(dir), .users = -1, .lock = ML_LOCK_INIT };
    l->undo = ml_undo_note(undo, l);
    rc = lock_dir(l, err);
    if (rc == 0)
        rc = fill(l, err);
    ml_lock_release(&l->lock);
    return rc;
}

void ml_layout_new_end(struct ml_layout_new *l)
{
    int dir = -1;

    if (!l->dir)
        return;
    if (l->made || l->there < strlen(l->dir))
        dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && flock(dir, LOCK_EX) == 0) {
        ml_undo_hold();
        take_back(l);
        ml_undo_release();
    }
    ml_undo_forget(l->undo);
    if (l->users >= 0)
        close(l->users);
    if (dir >= 0)
        close(dir);
    free(l->dir);
    *l = (struct ml_layout_new){ .users = -1 };
}
