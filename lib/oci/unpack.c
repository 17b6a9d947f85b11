/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Safe extraction. Everything is made below a fresh private directory, one entry at a time, by names whose directories
 * this module has made itself: no symbolic link is ever followed, because a name below one is refused by the tree of
 * names (rootfs.c) before the disk hears of it. */
#include "oci/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/newdir.h"
#include "oci/layer.h"
#include "oci/rootfs.h"

#define LINKS_MAX 40
#define BEHIND    ((uint64_t)8 << 20) /* the disk is told to write what has come while more comes */

struct unpack {
    const char *path; /* what is wanted, normal */
    const char *name; /* what a file is called that comes out: as it was asked for, whatever link led to it */
    size_t len;
    struct ml_rootfs *fs; /* names below path, and those that lead to it */
    struct ml_newdir dir; /* where they lie on the disk, as they will */
    char *parent;         /* the directory that the last name went into: it is there; NULL: none is known to be */
    const struct ml_desc *layer;
    const struct ml_unpack_conf *conf;
    uint64_t max, size;
    uint64_t came, all; /* of the blobs that are to be read, for the progress */
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

/* A name within on the disk, owned: the wanted path itself is the new directory. */
static char *disk_path(const struct unpack *u, const char *name)
{
    const char *rest = name + u->len + (name[u->len] == '/');

    return *rest ? ml_format("%s/%s", u->dir.root, rest) : ml_strdup(u->dir.root);
}

static int gone(void *ctx, const struct ml_node *n, struct ml_err *err)
{
    struct unpack *u = ctx;
    char *name = ml_node_path(n), *path = NULL;
    int rc = 0;

    if (where(u, name) == WITHIN) {
        path = disk_path(u, name);
        free(u->parent);
        u->parent = NULL;
        if (remove(path) < 0 && errno != ENOENT)
            rc = ml_err_errno(err, ML_LOCAL, "cannot remove '%s'", path);
    }
    free(path);
    free(name);
    return rc;
}

/* Makes the directories that lead to `path`, below the private one. */
static int make_parents(struct unpack *u, const char *path, struct ml_err *err)
{
    size_t n = (size_t)(strrchr(path, '/') - path);
    int rc;

    if (n <= strlen(u->dir.tmp) || (u->parent && !strncmp(u->parent, path, n) && !u->parent[n]))
        return 0;
    free(u->parent);
    u->parent = ml_strndup(path, n);
    rc = ml_mkdirs(u->parent, err);
    if (rc < 0) {
        free(u->parent);
        u->parent = NULL;
    }
    return rc;
}

static int too_much(const struct unpack *u, struct ml_err *err)
{
    return ml_err_set(err, ML_LOCAL, "'/%s' unpacks to more than %llu bytes, say --max-size for more", u->path,
        (unsigned long long)u->max);
}

/* Room for a large file, so that a disk that is too small says so now and not at the end. A header may lie: only what
 * its layer can hold uncompressed is believed. */
static int reserve(const struct unpack *u, int fd, uint64_t size)
{
    if (size < BEHIND || size > u->layer->size || fallocate(fd, 0, 0, (off_t)size) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -1 : 0; /* else it just can't be done here */
}

static int write_data(struct unpack *u, struct ml_untar *in, int fd, const char *name, struct ml_err *err)
{
    uint64_t done = 0, behind = 0;
    const void *p;
    int64_t n;

    while ((n = ml_untar_data(in, &p, err)) > 0) {
        if ((uint64_t)n > u->max - u->size)
            return too_much(u, err);
        if (ml_fd_write(fd, p, (size_t)n, name, err) < 0)
            return -1;
        u->size += (uint64_t)n;
        done += (uint64_t)n;
        if (done - behind >= BEHIND) { /* only a hint: the sync at the end is what counts */
            (void)!sync_file_range(fd, (off_t)behind, (off_t)(done - behind), SYNC_FILE_RANGE_WRITE);
            behind = done;
        }
    }
    return n < 0 ? -1 : 0;
}

static int write_file(struct unpack *u, struct ml_untar *in, const struct ml_tar_entry *e, int fd, struct ml_err *err)
{
    const char *rest = e->path + u->len;
    char *name = ml_format("%s%s%s", u->dir.path, *rest && *rest != '/' ? "/" : "", rest); /* as it will be */
    int rc;

    if (e->size > u->max - u->size)
        rc = too_much(u, err);
    else if (reserve(u, fd, e->size) < 0)
        rc = ml_err_errno(err, ML_LOCAL, "no room for the %llu bytes of '%s'", (unsigned long long)e->size, name);
    else
        rc = write_data(u, in, fd, name, err);
    if (close(fd) < 0 && rc == 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot write '%s'", name);
    free(name);
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

/* The name on the disk; of a file, *fd is open and empty. */
static int make(struct unpack *u, const struct ml_tar_entry *e, int *fd, struct ml_err *err)
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
        *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, e->mode & 0100 ? 0755 : 0644);
        rc = *fd < 0 ? ml_err_errno(err, ML_LOCAL, "cannot write '%s'", path) : 0;
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
    int fd = -1, rc;

    free(target);
    if (w == ELSEWHERE)
        return 0;
    ml_undo_hold();
    rc = ml_rootfs_apply(u->fs, e, layer, NULL, err);
    if (rc == 0 && !whiteout && w == WITHIN)
        rc = make(u, e, &fd, err);
    ml_undo_release();
    return fd < 0 ? rc : write_file(u, in, e, fd, err);
}

static void came(void *ctx, size_t n)
{
    struct unpack *u = ctx;

    u->came += n;
    if (u->conf->progress && u->came < u->all)
        u->conf->progress(u->conf->progress_ctx, u->came, u->all);
}

static int read_layer(struct unpack *u, struct ml_repo *r, const struct ml_layer *l, int number, struct ml_err *err)
{
    struct ml_layer_conf conf = {
        .max = u->max == UINT64_MAX ? 0 : UINT64_MAX, .no_diff_id = true, .progress = came, .progress_ctx = u
    };
    struct ml_layer_in *in;
    struct ml_tar_entry e;
    int rc;

    u->layer = &l->desc;
    if (ml_layer_open_as(r, &l->desc, &conf, &in, err) < 0)
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

static bool matters(const struct unpack *u, const struct ml_layer *l)
{
    return !l->path || related(l->root, u->path);
}

static int read_layers(
    struct unpack *u, struct ml_repo *r, const struct ml_image *image, size_t *count, struct ml_err *err)
{
    size_t first = lowest(image, u->path);

    *count = 0;
    u->all = 0;
    for (size_t i = first; i < image->n; i++)
        u->all += matters(u, &image->layers[i]) ? image->layers[i].desc.size : 0;
    if (u->conf->progress && !u->came)
        u->conf->progress(u->conf->progress_ctx, 0, u->all);
    u->came = 0;
    for (size_t i = first; i < image->n; i++) {
        if (!matters(u, &image->layers[i]))
            continue;
        if (read_layer(u, r, &image->layers[i], (int)i, err) < 0)
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
        out->entries++;
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

/* A file is what was asked for: a directory with it is what comes out. */
static int put_below(struct unpack *u, struct ml_err *err)
{
    char *file = ml_format("%s/file", u->dir.tmp), *inside = ml_format("%s/%s", u->dir.root, u->name);
    int rc = 0;

    if (rename(u->dir.root, file) < 0 || mkdir(u->dir.root, 0755) < 0 || rename(file, inside) < 0)
        rc = ml_err_errno(err, ML_LOCAL, "cannot make '%s'", u->dir.path);
    free(file);
    free(inside);
    return rc;
}

/* One look at `path`: 0, 1 nothing there, 2 with *next set: look there, -1. */
static int look(struct ml_repo *r, const struct ml_image *image, const char *path, struct unpack *u, char **next,
    struct ml_unpacked *out, struct ml_err *err)
{
    const struct ml_node *n;
    int rc = -1;

    u->path = path;
    u->len = strlen(path);
    u->size = 0;
    u->fs = ml_rootfs_new(gone, u);
    if (read_layers(u, r, image, &out->layers, err) < 0)
        goto out;
    *next = redirected(u, err);
    if (*next) {
        ml_undo_hold();
        rc = ml_remove_all(u->dir.root, err) < 0 ? -1 : 2;
        ml_undo_release();
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
    if (rc < 0)
        goto out;
    ml_undo_hold();
    if (n->type != ML_TAR_DIR)
        rc = put_below(u, err);
    else if (mkdir(u->dir.root, 0755) < 0 && errno != EEXIST)
        rc = ml_err_errno(err, ML_LOCAL, "cannot make '%s'", u->dir.path);
    ml_undo_release();
out:
    free(u->parent);
    u->parent = NULL;
    ml_rootfs_free(u->fs);
    return rc;
}

int ml_image_unpack(struct ml_repo *r, const struct ml_image *image, const char *path, const char *to,
    const struct ml_unpack_conf *conf, struct ml_unpacked *out, struct ml_err *err)
{
    static const struct ml_unpack_conf none;
    struct unpack u = { .conf = conf ? conf : &none, .dir = ML_NEWDIR_INIT };
    char *normal = path[0] == '/' ? ml_path_normal(path) : NULL, *at = NULL;
    int rc = 2;

    *out = (struct ml_unpacked){ 0 };
    u.max = u.conf->max ? u.conf->max : UINT64_MAX;
    if (!normal) {
        rc = ml_err_set(err, ML_USAGE, "'%s' is not a path in an image: it has to start with '/', without '..'", path);
        goto out;
    }
    if (ml_newdir_open(&u.dir, to, err) < 0) {
        rc = -1;
        goto out;
    }
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
    if (rc == 0)
        rc = ml_newdir_commit(&u.dir, out->entries, err);
    if (rc == 0 && u.conf->progress)
        u.conf->progress(u.conf->progress_ctx, u.all, u.all);
out:
    ml_newdir_abort(&u.dir);
    free(normal);
    free(at);
    return rc;
}
