/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Safe extraction. Everything is made below a fresh private directory, one entry at a time, by names whose directories
 * this module has made itself: no symbolic link is ever followed, because a name below one is refused by the tree of
 * names (rootfs.c) before the disk hears of it. */
#include "oci/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "oci/layer.h"
#include "oci/rootfs.h"

#define CHUNK     ((size_t)256 << 10)
#define LINKS_MAX 40

struct unpack {
    const char *path; /* what is wanted, normal */
    const char *name; /* what a file is called that comes out: as it was asked for, whatever link led to it */
    size_t len;
    struct ml_rootfs *fs; /* names below path, and those that lead to it */
    char *tmp;            /* where they lie on the disk, as they will */
    uint64_t max, size;
    char *chunk;
};

/* Where an image's name is relative to what is wanted. */
enum where { ELSEWHERE, ABOVE, WITHIN };

static enum where where(const struct unpack *u, const char *name)
{
    size_t n = strlen(name);

    if (n < u->len)
        return !strncmp(name, u->path, n) && (n == 0 || u->path[n] == '/') ? ABOVE : ELSEWHERE;
    return !strncmp(name, u->path, u->len) && (u->len == 0 || !name[u->len] || name[u->len] == '/') ? WITHIN
                                                                                                    : ELSEWHERE;
}

/* A name within on the disk, owned: the wanted path itself is `tmp`/root. */
static char *disk_path(const struct unpack *u, const char *name)
{
    const char *rest = name + u->len + (name[u->len] == '/');

    return *rest ? ml_format("%s/root/%s", u->tmp, rest) : ml_format("%s/root", u->tmp);
}

static int gone(void *ctx, const struct ml_node *n, struct ml_err *err)
{
    struct unpack *u = ctx;
    char *name = ml_node_path(n), *path = NULL;
    int rc = 0;

    if (where(u, name) == WITHIN) {
        path = disk_path(u, name);
        if (remove(path) < 0 && errno != ENOENT)
            rc = ml_err_errno(err, ML_LOCAL, "cannot remove '%s'", path);
    }
    free(path);
    free(name);
    return rc;
}

/* Makes the directories that lead to `path`, below tmp. */
static int make_parents(const struct unpack *u, const char *path, struct ml_err *err)
{
    char *dir = ml_strndup(path, (size_t)(strrchr(path, '/') - path));
    int rc = strlen(dir) > strlen(u->tmp) ? ml_mkdirs(dir, err) : 0;

    free(dir);
    return rc;
}

static int write_file(
    struct unpack *u, struct ml_untar *in, const struct ml_tar_entry *e, const char *path, struct ml_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, e->mode & 0100 ? 0755 : 0644), rc = 0;
    int64_t n;

    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path);
    while (rc == 0 && (n = ml_untar_data(in, u->chunk, CHUNK, err)) != 0) {
        if (n < 0) {
            rc = -1;
        } else if ((u->size += (uint64_t)n) > u->max) {
            rc = ml_err_set(err, ML_LOCAL, "'/%s' unpacks to more than %llu bytes, say --max-size for more", u->path,
                (unsigned long long)u->max);
        } else {
            rc = ml_fd_write(fd, u->chunk, (size_t)n, path, err);
        }
    }
    if (close(fd) < 0 && rc == 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path);
    return rc;
}

/* A hard link may only lead to a file that is below the wanted path too, and was made already. */
static int make_link(struct unpack *u, const struct ml_tar_entry *e, const char *path, struct ml_err *err)
{
    const struct ml_node *n = where(u, e->link) == WITHIN ? ml_rootfs_find(u->fs, e->link) : NULL;
    char *target;
    int rc = 0;

    if (!n || (n->type != ML_TAR_FILE && n->type != ML_TAR_HARDLINK))
        return ml_err_set(
            err, ML_LOCAL, "'/%s' is a hard link to '/%s', which isn't a file below '/%s'", e->path, e->link, u->path);
    target = disk_path(u, e->link);
    if (link(target, path) < 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot link '%s'", path);
    free(target);
    return rc;
}

static int make(struct unpack *u, struct ml_untar *in, const struct ml_tar_entry *e, struct ml_err *err)
{
    char *path = disk_path(u, e->path);
    int rc = make_parents(u, path, err);

    if (rc < 0)
        goto out;
    switch (e->type) {
    case ML_TAR_DIR:
        rc = mkdir(path, 0755) < 0 && errno != EEXIST ? ml_err_errno(err, ML_LOCAL, "cannot make directory '%s'", path)
                                                      : 0;
        break;
    case ML_TAR_FILE:
        rc = write_file(u, in, e, path, err);
        break;
    case ML_TAR_SYMLINK:
        rc = symlink(e->link, path) < 0 ? ml_err_errno(err, ML_LOCAL, "cannot link '%s'", path) : 0;
        break;
    case ML_TAR_HARDLINK:
        rc = make_link(u, e, path, err);
        break;
    default:
        rc = ml_err_set(err, ML_LOCAL, "'/%s' is a device, a fifo or a socket", e->path);
    }
out:
    free(path);
    return rc;
}

/* The name that a whiteout hides: the path without ".wh."; for an opaque one its directory. NULL: not a whiteout.
 * Owned. */
static char *hidden(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t dir = (size_t)(name - path);

    if (strncmp(name, ".wh.", 4) != 0)
        return NULL;
    if (!strcmp(name, ".wh..wh..opq"))
        return ml_strndup(path, dir > 0 ? dir - 1 : 0);
    return ml_format("%.*s%s", (int)dir, path, name + 4);
}

static int take_entry(
    struct unpack *u, struct ml_untar *in, const struct ml_tar_entry *e, int layer, struct ml_err *err)
{
    char *target = hidden(e->path);
    enum where w = where(u, target ? target : e->path);
    bool whiteout = target != NULL;

    free(target);
    if (w == ELSEWHERE)
        return 0;
    if (ml_rootfs_apply(u->fs, e, layer, NULL, err) < 0)
        return -1;
    return whiteout || w == ABOVE ? 0 : make(u, in, e, err);
}

static int read_layer(struct unpack *u, struct ml_repo *r, const struct ml_layer *l, int number, struct ml_err *err)
{
    struct ml_layer_in *in;
    struct ml_tar_entry e;
    int rc;

    if (ml_layer_open(r, &l->desc, u->max == UINT64_MAX ? 0 : UINT64_MAX, &in, err) < 0)
        return -1;
    while ((rc = ml_untar_next(ml_layer_untar(in), &e, err)) == 0)
        if (take_entry(u, ml_layer_untar(in), &e, number, err) < 0) {
            rc = -1;
            break;
        }
    return ml_layer_close(in, rc < 0 ? -1 : 0, NULL, err);
}

/* Whether one path lies at or below the other, either way round. */
static bool related(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), k = n < m ? n : m;
    const char *longer = n < m ? b : a;

    return !strncmp(a, b, k) && (k == 0 || !longer[k] || longer[k] == '/');
}

static bool below(const char *path, const char *dir)
{
    return strlen(path) >= strlen(dir) && related(path, dir);
}

/* The lowest layer that can hold something below path: down to one that is alone there. */
static size_t lowest(const struct ml_image *image, const char *path)
{
    for (size_t i = image->n; i-- > 0;)
        if (image->layers[i].path && image->layers[i].alone && below(path, image->layers[i].root))
            return i;
    return 0;
}

static int read_layers(
    struct unpack *u, struct ml_repo *r, const struct ml_image *image, size_t *count, struct ml_err *err)
{
    *count = 0;
    for (size_t i = lowest(image, u->path); i < image->n; i++) {
        const struct ml_layer *l = &image->layers[i];

        if (l->path && !related(l->root, u->path))
            continue;
        if (read_layer(u, r, l, (int)i, err) < 0)
            return -1;
        ++*count;
    }
    return 0;
}

/* A link may climb only as far as the top of what is wanted, and only at its start: its directories are real ones, so
 * that what follows ".." is known. */
static int check_link(const char *name, const char *target, int depth, struct ml_err *err)
{
    bool down = false;

    if (target[0] == '/')
        return ml_err_set(err, ML_LOCAL, "'%s' is a symbolic link to '%s', out of what was asked for", name, target);
    while (*target) {
        size_t n = strcspn(target, "/");

        if (n == 2 && !strncmp(target, "..", 2)) {
            if (down || depth-- == 0)
                return ml_err_set(err, ML_LOCAL, "'%s' is a symbolic link that leads out of what was asked for", name);
        } else if (n > 0 && !(n == 1 && *target == '.')) {
            down = true;
        }
        target += n + (target[n] == '/');
    }
    return 0;
}

/* All that came out: links are safe, files are counted. */
static int check_tree(const struct ml_node *top, struct ml_unpacked *out, struct ml_err *err)
{
    const struct ml_node *n = top;
    int depth = 0;

    for (;;) {
        if (n->type == ML_TAR_FILE || n->type == ML_TAR_HARDLINK)
            out->files++;
        if (n->type == ML_TAR_SYMLINK && check_link(n->name, n->link, depth - 1, err) < 0)
            return -1;
        if (n->children) {
            n = n->children;
            depth++;
            continue;
        }
        while (n != top && !n->next) {
            n = n->parent;
            depth--;
        }
        if (n == top)
            return 0;
        n = n->next;
    }
}

/* Where to look instead, when a link stands in the way or at the end: owned; NULL when `path` is right. */
static char *redirected(const struct unpack *u, struct ml_err *err)
{
    struct ml_buf real = ML_BUF_INIT;
    char *to = NULL;

    if (ml_rootfs_resolve(u->fs, u->path, true, &real, err) == 0 && strcmp(ml_buf_str(&real), u->path) != 0)
        to = ml_strdup(ml_buf_str(&real));
    ml_buf_release(&real);
    return to;
}

/* `path` through the links that our layers know of: what they were asked for is where they say. */
static char *translate(const struct ml_image *image, const char *path)
{
    for (size_t i = image->n; i-- > 0;) {
        const struct ml_layer *l = &image->layers[i];

        if (l->path && strcmp(l->path, l->root) != 0 && below(path, l->path))
            return ml_format("%s%s", l->root, path + strlen(l->path));
    }
    return ml_strdup(path);
}

/* One look at `path`: 0, 1 nothing there, 2 with *next set: look there, -1. */
static int look(struct ml_repo *r, const struct ml_image *image, const char *path, struct unpack *u, char **next,
    struct ml_unpacked *out, struct ml_err *err)
{
    const struct ml_node *n;
    char *root = ml_format("%s/root", u->tmp);
    int rc = -1;

    u->path = path;
    u->len = strlen(path);
    u->size = 0;
    u->fs = ml_rootfs_new(gone, u);
    if (read_layers(u, r, image, &out->layers, err) < 0)
        goto out;
    *next = redirected(u, err);
    if (*next) {
        rc = ml_remove_all(root, err) < 0 ? -1 : 2;
        goto out;
    }
    if (err->code)
        goto out;
    n = ml_rootfs_find(u->fs, path);
    if (!n) {
        rc = 1;
        goto out;
    }
    rc = check_tree(n, out, err);
    out->size = u->size;
    if (rc == 0 && n->type == ML_TAR_DIR)
        rc = mkdir(root, 0755) < 0 && errno != EEXIST ? ml_err_errno(err, ML_LOCAL, "cannot make '%s'", root) : 0;
    if (rc == 0 && n->type != ML_TAR_DIR) { /* a file: its directory is what comes out */
        char *file = ml_format("%s/file", u->tmp), *inside = ml_format("%s/root/%s", u->tmp, u->name);

        if (rename(root, file) < 0 || mkdir(root, 0755) < 0 || rename(file, inside) < 0)
            rc = ml_err_errno(err, ML_LOCAL, "cannot make '%s'", root);
        free(file);
        free(inside);
    }
out:
    ml_rootfs_free(u->fs);
    free(root);
    return rc;
}

/* `to` may be there only as an empty directory that isn't the current one. */
static int check_target(const char *to, struct ml_err *err)
{
    struct stat st, here;
    struct dirent *e;
    int entries = 0;
    DIR *d;

    if (stat(to, &st) < 0)
        return 0;
    if (stat(".", &here) == 0 && here.st_dev == st.st_dev && here.st_ino == st.st_ino)
        return ml_err_set(err, ML_USAGE, "'%s' is the current directory, name a new one", to);
    d = opendir(to);
    if (!d)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", to);
    while ((e = readdir(d)))
        entries++;
    closedir(d);
    return entries > 2 ? ml_err_set(err, ML_LOCAL, "'%s' is not empty, name a new directory", to) : 0;
}

/* A private directory beside `to`, whose "root" will become it: owned, NULL with err set. */
static char *make_tmp(const char *to, struct ml_err *err)
{
    const char *slash = strrchr(to, '/');
    int dir = slash ? (int)(slash - to + 1) : 0;
    char *parent = ml_strndup(to, dir > 1 ? (size_t)dir - 1 : (size_t)dir), *tmp = NULL;

    if (check_target(to, err) < 0 || (*parent && ml_mkdirs(parent, err) < 0))
        goto out;
    tmp = ml_format("%.*s.%s.XXXXXX", dir, to, to + dir);
    if (!mkdtemp(tmp)) {
        ml_err_errno(err, ML_LOCAL, "cannot make a directory beside '%s'", to);
        free(tmp);
        tmp = NULL;
    }
out:
    free(parent);
    return tmp;
}

int ml_image_unpack(struct ml_repo *r, const struct ml_image *image, const char *path, const char *to, uint64_t max,
    struct ml_unpacked *out, struct ml_err *err)
{
    struct unpack u = { .max = max ? max : UINT64_MAX };
    char *normal = path[0] == '/' ? ml_path_normal(path) : NULL, *at = NULL, *root = NULL, *dest;
    size_t n = strlen(to);
    int rc = 2;

    *out = (struct ml_unpacked){ 0 };
    while (n > 1 && to[n - 1] == '/')
        n--;
    dest = ml_strndup(to, n);
    if (!normal) {
        rc = ml_err_set(err, ML_USAGE, "'%s' is not a path in an image: it has to start with '/', without '..'", path);
        goto out;
    }
    u.tmp = make_tmp(dest, err);
    if (!u.tmp) {
        rc = -1;
        goto out;
    }
    u.chunk = ml_malloc(CHUNK);
    at = translate(image, normal);
    u.name = strrchr(normal, '/') ? strrchr(normal, '/') + 1 : normal;
    for (int i = 0; rc == 2; i++) {
        char *next = NULL;

        rc = i < LINKS_MAX ? look(r, image, at, &u, &next, out, err)
                           : ml_err_set(err, ML_LOCAL, "'%s' leads through too many symbolic links", path);
        if (rc == 2) {
            free(at);
            at = next;
        }
    }
    root = ml_format("%s/root", u.tmp);
    if (rc == 0 && rename(root, dest) < 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot make '%s'%s", to, errno == EBUSY ? ", name a directory below it" : "");
    ml_remove_all(u.tmp, rc < 0 ? NULL : err);
out:
    free(u.tmp);
    free(u.chunk);
    free(normal);
    free(at);
    free(root);
    free(dest);
    return rc;
}
