/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A directory on disk as a tar: scanned first, then read, with a check that it stayed what it was. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "oci/tar.h"

#define LINK_LEN_MAX 65536

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) + 0x9e3779b97f4a7c15;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
    h = (h ^ h >> 27) * 0x94d049bb133111eb;
    return h ^ h >> 31;
}

/* Eight bytes for what would take seventy: there may be very many files. */
static uint64_t state_of(const struct stat *st)
{
    uint64_t h = mix(st->st_dev, st->st_ino);

    h = mix(h, (uint64_t)st->st_mtim.tv_sec);
    h = mix(h, (uint64_t)st->st_mtim.tv_nsec);
    h = mix(h, (uint64_t)st->st_ctim.tv_sec);
    return mix(h, (uint64_t)st->st_ctim.tv_nsec);
}

static void fill(struct ml_tree_entry *e, const struct stat *st)
{
    e->type = S_ISDIR(st->st_mode)   ? ML_TAR_DIR
              : S_ISREG(st->st_mode) ? ML_TAR_FILE
              : S_ISLNK(st->st_mode) ? ML_TAR_SYMLINK
                                     : ML_TAR_OTHER;
    e->exec = S_ISREG(st->st_mode) && (st->st_mode & S_IXUSR);
    e->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    e->state = state_of(st);
}

/* An entry's path on disk, owned. */
static char *disk_path(const struct ml_tree *t, const struct ml_tree_entry *e)
{
    return t->single || !e->path[0] ? ml_strdup(t->src) : ml_format("%s/%s", t->src, e->path);
}

/* What was there a moment ago and isn't now, changed. */
static enum ml_code gone(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP ? ML_INTEGRITY : ML_LOCAL;
}

static int read_link(const char *path, size_t size, char **out, struct ml_err *err)
{
    char *text;
    ssize_t n;

    if (size == 0 || size > LINK_LEN_MAX) /* some file systems don't tell */
        size = LINK_LEN_MAX;
    text = ml_malloc(size + 1);
    n = readlink(path, text, size + 1);
    if (n < 0 || (size_t)n > size) {
        enum ml_code code = gone(errno);

        free(text);
        return n < 0 ? ml_err_errno(err, code, "cannot read the link '%s'", path)
                     : ml_err_set(err, ML_INTEGRITY, "'%s' changed while it was being read", path);
    }
    text[n] = '\0';
    *out = text;
    return 0;
}

static int check_name(const char *path, const char *name, struct ml_err *err)
{
    size_t n = strlen(name);

    if (ml_utf8_check(name, n) != n)
        return ml_err_set(err, ML_LOCAL, "'%s': the name is not UTF-8, rename it", path);
    if (!strncmp(name, ".wh.", 4))
        return ml_err_set(
            err, ML_LOCAL, "'%s': in a layer a name that starts with '.wh.' deletes a file, rename it", path);
    return 0;
}

/* A file that says it is empty and isn't, as those of /proc: its bytes would be left out without a word. */
static int check_empty(const char *disk, struct ml_err *err)
{
    int fd = open(disk, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char c;
    ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);
    int rc = n == 0  ? 0
             : n > 0 ? ml_err_set(err, ML_LOCAL, "'%s' says that it has 0 bytes, but has some: copy it first", disk)
                     : ml_err_errno(err, gone(errno), "cannot read '%s'", disk);

    if (fd >= 0)
        close(fd);
    return rc;
}

/* Fills what the file system says only when it is asked for: a link's target, whether a layer can hold it at all. */
static int look_closer(
    struct ml_tree *t, struct ml_tree_entry *e, const char *disk, const struct stat *st, struct ml_err *err)
{
    char *link = NULL;
    int rc = 0;

    if (e->type == ML_TAR_OTHER)
        return ml_err_set(err, ML_LOCAL, "'%s' is a %s, which a layer cannot hold", disk,
            S_ISSOCK(st->st_mode)   ? "socket"
            : S_ISFIFO(st->st_mode) ? "fifo"
                                    : "device");
    if (e->type == ML_TAR_FILE && e->size == 0)
        return check_empty(disk, err);
    if (e->type != ML_TAR_SYMLINK)
        return 0;
    if (read_link(disk, (size_t)st->st_size, &link, err) < 0)
        return -1;
    if (ml_utf8_check(link, strlen(link)) != strlen(link))
        rc = ml_err_set(err, ML_LOCAL, "'%s': the link's target is not UTF-8", disk);
    else
        e->link = ml_arena_strdup(&t->names, link);
    free(link);
    return rc;
}

/* Adds the entry `path` (below the source) with the state `st`. */
static int add_entry(struct ml_tree *t, const char *path, const struct stat *st, struct ml_err *err)
{
    struct ml_tree_entry e = { .path = path };
    const char *name = strrchr(path, '/');
    char *disk = disk_path(t, &e);
    int rc = -1;

    fill(&e, st);
    if (check_name(disk, name ? name + 1 : path, err) == 0 && look_closer(t, &e, disk, st, err) == 0) {
        e.path = ml_arena_strdup(&t->names, path);
        t->v = ml_grow(t->v, &t->cap, t->n + 1, sizeof *t->v);
        t->v[t->n++] = e;
        t->size += e.size;
        rc = 0;
    }
    free(disk);
    return rc;
}

/* Adds what the directory `e` (copied, for the list moves) holds. */
static int scan_dir(struct ml_tree *t, const struct ml_tree_entry *e, struct ml_err *err)
{
    char *dir = disk_path(t, e), *parent = ml_strdup(e->path);
    DIR *d = opendir(dir);
    struct dirent *de;
    int rc = -1;

    if (!d) {
        ml_err_errno(err, gone(errno), "cannot open '%s'", dir);
        goto out;
    }
    while (errno = 0, (de = readdir(d))) {
        struct stat st;
        char *path;
        int added;

        if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
            continue;
        if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            ml_err_errno(err, gone(errno), "cannot look at '%s/%s'", dir, de->d_name);
            goto out;
        }
        path = parent[0] ? ml_format("%s/%s", parent, de->d_name) : ml_strdup(de->d_name);
        added = add_entry(t, path, &st, err);
        free(path);
        if (added < 0)
            goto out;
    }
    if (errno != 0)
        ml_err_errno(err, ML_LOCAL, "cannot read '%s'", dir);
    else
        rc = 0;
out:
    if (d)
        closedir(d);
    free(parent);
    free(dir);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct ml_tree_entry *)a)->path, ((const struct ml_tree_entry *)b)->path);
}

int ml_tree_scan(const char *src, struct ml_tree *out, struct ml_err *err)
{
    struct ml_tree *t = out;
    struct stat st;
    size_t n = strlen(src);

    *t = (struct ml_tree){ 0 };
    while (n > 1 && src[n - 1] == '/')
        n--;
    t->src = ml_strndup(src, n);
    t->top.path = "";
    if (stat(src, &st) < 0) {
        ml_err_errno(err, ML_LOCAL, "cannot open '%s'", src);
        goto fail;
    }
    fill(&t->top, &st);
    t->single = !S_ISDIR(st.st_mode);
    if (t->single) {
        const char *slash = strrchr(t->src, '/');

        if (add_entry(t, slash ? slash + 1 : t->src, &st, err) < 0)
            goto fail;
        return 0;
    }
    if (scan_dir(t, &t->top, err) < 0)
        goto fail;
    for (size_t i = 0; i < t->n; i++) {
        struct ml_tree_entry e = t->v[i];

        if (e.type == ML_TAR_DIR && scan_dir(t, &e, err) < 0)
            goto fail;
    }
    qsort(t->v, t->n, sizeof *t->v, by_path);
    return 0;
fail:
    ml_tree_release(t);
    return -1;
}

void ml_tree_release(struct ml_tree *t)
{
    ml_arena_release(&t->names);
    free(t->v);
    free(t->src);
    *t = (struct ml_tree){ 0 };
}

/* Whether the file is still the one that was scanned. */
static bool same(const struct ml_tree_entry *e, const struct stat *st)
{
    struct ml_tree_entry now = { 0 };

    fill(&now, st);
    return now.type == e->type && now.exec == e->exec && now.size == e->size && now.state == e->state;
}

static int changed(const char *path, struct ml_err *err)
{
    return ml_err_set(err, ML_INTEGRITY, "'%s' changed while it was being read", path);
}

int ml_tree_changed(const struct ml_tree *t, const struct ml_tree_entry *e, struct ml_err *err)
{
    char *path = disk_path(t, e);

    changed(path, err);
    free(path);
    return -1;
}

int ml_tree_open(const struct ml_tree *t, const struct ml_tree_entry *e, int *fd, struct ml_err *err)
{
    char *path = disk_path(t, e);
    struct stat st;
    int rc = -1;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (t->single ? 0 : O_NOFOLLOW));
    if (*fd < 0)
        ml_err_errno(err, gone(errno), "cannot open '%s'", path);
    else if (fstat(*fd, &st) < 0)
        ml_err_errno(err, ML_LOCAL, "cannot look at '%s'", path);
    else
        rc = same(e, &st) ? 0 : changed(path, err);
    if (rc < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    free(path);
    return rc;
}

int ml_tree_close(const struct ml_tree *t, const struct ml_tree_entry *e, int fd, struct ml_err *err)
{
    struct stat st;
    bool still = fstat(fd, &st) == 0 && same(e, &st);

    close(fd);
    return still ? 0 : ml_tree_changed(t, e, err);
}

static int check(const struct ml_tree *t, const struct ml_tree_entry *e, struct ml_err *err)
{
    char *path = disk_path(t, e);
    struct stat st;
    int rc = 0;

    if ((e == &t->top || t->single ? stat(path, &st) : lstat(path, &st)) < 0 || !same(e, &st))
        rc = changed(path, err);
    free(path);
    return rc;
}

int ml_tree_check(const struct ml_tree *t, struct ml_err *err)
{
    for (size_t i = 0; i < t->n; i++)
        if (check(t, &t->v[i], err) < 0)
            return -1;
    return t->single ? 0 : check(t, &t->top, err);
}
