/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a tree and an image's names to the items of a layer. */
#include "oci/pack.h"

#include <stdlib.h>
#include <string.h>

#include "oci/untar.h"

/* What a plan is made from. */
struct plan {
    const struct ml_tree *t;
    const struct ml_rootfs *fs;
    struct ml_pack *out;
    struct ml_rootfs *seen; /* the names that the layer has already */
    char **dirs;            /* where the tree's directories went, by index */
};

static struct ml_tar_item *add_item(struct ml_pack *p, const char *path)
{
    struct ml_tar_item *it;

    p->items = ml_grow(p->items, &p->cap, p->n + 1, sizeof *p->items);
    it = &p->items[p->n++];
    *it = (struct ml_tar_item){ .path = ml_arena_strdup(&p->names, path), .entry = -1, .mode = 0755 };
    return it;
}

static int mark(struct plan *pl, const char *path, enum ml_tar_type type, struct ml_err *err)
{
    struct ml_tar_entry e = { .path = path, .type = type };

    return ml_rootfs_apply(pl->seen, &e, 0, NULL, err);
}

/* The directory `path` and those that lead to it, each once; what the image has is repeated. */
static int add_dirs(struct plan *pl, const char *path, struct ml_err *err)
{
    char *part = ml_strdup(path);
    int rc = 0;

    for (char *s = part; rc == 0 && *part; s++) {
        char c = *s;
        const struct ml_node *n;
        struct ml_tar_item *it;

        if (c != '/' && c != '\0')
            continue;
        *s = '\0';
        n = ml_rootfs_find(pl->seen, part);
        if (n && n->type != ML_TAR_DIR)
            rc = ml_err_set(err, ML_LOCAL, "'/%s' would be a file and a directory at once", part);
        if (!n) {
            it = add_item(pl->out, part);
            n = ml_rootfs_find(pl->fs, part);
            if (n && n->type == ML_TAR_DIR && !n->implied) {
                it->mode = n->mode;
                it->uid = n->uid;
                it->gid = n->gid;
            }
            rc = mark(pl, part, ML_TAR_DIR, err);
        }
        *s = c;
        if (c == '\0')
            break;
    }
    free(part);
    return rc;
}

/* A file or link of the tree at `path`. */
static int add_leaf(struct plan *pl, size_t entry, const char *path, struct ml_err *err)
{
    if (ml_rootfs_find(pl->seen, path))
        return ml_err_set(
            err, ML_LOCAL, "two entries would be '/%s', a symbolic link of the base leads both there", path);
    add_item(pl->out, path)->entry = (ptrdiff_t)entry;
    return mark(pl, path, ML_TAR_FILE, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Deletes what the directory `dir` of the image holds and the layer will not: `keep` has all that it will. */
static int add_whiteouts(struct plan *pl, const struct ml_node *dir, const struct ml_rootfs *keep, struct ml_err *err)
{
    struct ml_strs names = { 0 };
    char *at = ml_node_path(dir);
    int rc = 0;

    for (const struct ml_node *n = dir->children; n; n = n->next)
        ml_strs_add(&names, n->name);
    if (names.n > 1)
        qsort(names.v, names.n, sizeof *names.v, by_text);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        char *path = ml_format("%s%s%s", at, *at ? "/" : "", names.v[i]);
        const struct ml_node *have = ml_rootfs_find(pl->fs, path), *want = ml_rootfs_find(keep, path);

        if (!want) {
            char *gone = ml_format("%s%s.wh.%s", at, *at ? "/" : "", names.v[i]);

            rc = add_dirs(pl, at, err);
            if (rc == 0)
                add_item(pl->out, gone)->whiteout = true;
            free(gone);
        } else if (have->type == ML_TAR_DIR && want->type == ML_TAR_DIR) {
            rc = add_whiteouts(pl, have, keep, err);
        }
        free(path);
    }
    ml_strs_release(&names);
    free(at);
    return rc;
}

/* Whether the directory of the image holds anything that neither this layer has nor, by giving a name to something
 * else, hides. */
static bool keeps_more(const struct ml_rootfs *seen, const struct ml_node *dir)
{
    for (const struct ml_node *n = dir->children; n; n = n->next) {
        char *path = ml_node_path(n);
        const struct ml_node *here = ml_rootfs_find(seen, path);

        free(path);
        if (!here || (here->type == ML_TAR_DIR && n->type == ML_TAR_DIR && keeps_more(seen, n)))
            return true;
    }
    return false;
}

/* Where entry i goes: below where its directory went, owned. */
static char *place(const struct plan *pl, size_t i)
{
    const char *path = pl->t->v[i].path, *slash = strrchr(path, '/');
    const char *root = pl->out->root + 1, *name = slash ? slash + 1 : path;
    size_t low = 0, high = i;

    while (slash && low < high) { /* the directory stands before what it holds, in byte order */
        size_t mid = low + (high - low) / 2;
        size_t n = (size_t)(slash - path);
        int c = strncmp(pl->t->v[mid].path, path, n);

        if (c == 0 && pl->t->v[mid].path[n] == '\0') {
            root = pl->dirs[mid];
            break;
        }
        /* equal so far and longer: behind the directory's own name */
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return ml_format("%s%s%s", root, *root ? "/" : "", name);
}

static int add_entry(struct plan *pl, size_t i, struct ml_err *err)
{
    char *path = place(pl, i);
    struct ml_buf real = ML_BUF_INIT;
    const struct ml_node *n;
    int rc = -1;

    if (pl->t->v[i].type != ML_TAR_DIR) {
        rc = add_leaf(pl, i, path, err);
        goto out;
    }
    if (ml_rootfs_resolve(pl->fs, path, true, &real, err) < 0)
        goto out;
    n = ml_rootfs_find(pl->fs, ml_buf_str(&real));
    if (n && n->type != ML_TAR_DIR && strcmp(path, ml_buf_str(&real)) != 0) {
        ml_err_set(err, ML_LOCAL, "'/%s' leads to '/%s', which is a file", path, real.data);
        goto out;
    }
    rc = add_dirs(pl, ml_buf_str(&real), err);
    pl->dirs[i] = ml_strdup(ml_buf_str(&real));
out:
    ml_buf_release(&real);
    free(path);
    return rc;
}

/* Whether a part of the path is a name that deletes another. */
static bool deletes(const char *path)
{
    return !strncmp(path, ".wh.", 4) || strstr(path, "/.wh.");
}

/* Whether the image's `path` is a link that leads to a directory. */
static bool leads_to_dir(const struct plan *pl, const char *path)
{
    struct ml_buf real = ML_BUF_INIT;
    const struct ml_node *n = NULL;

    if (!ml_rootfs_resolve(pl->fs, path, true, &real, NULL))
        n = ml_rootfs_find(pl->fs, ml_buf_str(&real));
    ml_buf_release(&real);
    return n && n->type == ML_TAR_DIR;
}

/* The real path for dest: of a directory all links are followed; a file takes the place of a link to a file. */
static int find_root(struct plan *pl, const char *dest, struct ml_err *err)
{
    size_t len = strlen(dest);
    char *path = ml_path_normal(dest), *name;
    struct ml_buf real = ML_BUF_INIT;
    const struct ml_node *n;
    int rc = -1;

    if (dest[0] != '/' || !path) {
        ml_err_set(err, ML_USAGE, "'%s' is not a path in an image: it has to start with '/', without '..'", dest);
        goto out;
    }
    if (deletes(path)) {
        ml_err_set(err, ML_USAGE, "'%s': in a layer a name that starts with '.wh.' deletes a file", dest);
        goto out;
    }
    if (pl->t->single && (dest[len - 1] == '/' || !*path)) {
        char *below = ml_format("%s%s%s", path, *path ? "/" : "", pl->t->v[0].path);

        free(path);
        path = below;
    }
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (pl->t->single) {
        char *dir = ml_strndup(path, name > path ? (size_t)(name - path - 1) : 0);

        rc = ml_rootfs_resolve(pl->fs, dir, true, &real, err);
        free(dir);
        ml_buf_addf(&real, "%s%s", real.len > 0 ? "/" : "", name);
    } else {
        rc = ml_rootfs_resolve(pl->fs, path, true, &real, err);
    }
    if (rc < 0)
        goto out;
    n = ml_rootfs_find(pl->fs, ml_buf_str(&real));
    if (pl->t->single ? leads_to_dir(pl, ml_buf_str(&real)) : n && n->type != ML_TAR_DIR) {
        rc = ml_err_set(err, ML_LOCAL,
            pl->t->single ? "'/%s' is a directory in the base, add a '/' to put the file below it"
                          : "'/%s' is a file in the base, a directory can't go there",
            path);
        goto out;
    }
    pl->out->path = ml_format("/%s", path);
    pl->out->root = ml_format("/%s", ml_buf_str(&real));
out:
    ml_buf_release(&real);
    free(path);
    return rc;
}

static int plan_entries(struct plan *pl, struct ml_err *err)
{
    const char *root = pl->out->root + 1, *slash = strrchr(root, '/');

    if (pl->t->single) {
        char *dir = ml_strndup(root, slash ? (size_t)(slash - root) : 0);
        int rc = add_dirs(pl, dir, err);

        free(dir);
        return rc < 0 ? -1 : add_leaf(pl, 0, root, err);
    }
    if (add_dirs(pl, root, err) < 0)
        return -1;
    for (size_t i = 0; i < pl->t->n; i++)
        if (add_entry(pl, i, err) < 0)
            return -1;
    return 0;
}

/* The same plan with deletions, which stand before what stays (layer.md, "Whiteouts"): planned once to know what there
 * will be, then again. */
static int plan_replace(struct plan *pl, struct ml_err *err)
{
    const struct ml_node *dir = ml_rootfs_find(pl->fs, pl->out->root + 1);
    struct ml_rootfs *keep = pl->seen;
    int rc;

    if (!dir || pl->t->single || !dir->children)
        return 0;
    ml_arena_release(&pl->out->names);
    pl->out->n = 0;
    for (size_t i = 0; i < pl->t->n; i++) {
        free(pl->dirs[i]);
        pl->dirs[i] = NULL;
    }
    pl->seen = ml_rootfs_new(NULL, NULL);
    rc = add_whiteouts(pl, dir, keep, err);
    if (rc == 0)
        rc = plan_entries(pl, err);
    ml_rootfs_free(keep);
    return rc;
}

static bool within(const char *path, const char *root)
{
    size_t n = strlen(root);

    return !strncmp(path, root, n) && (n == 0 || !path[n] || path[n] == '/');
}

int ml_pack_plan(const struct ml_tree *t, const char *dest, bool replace, const struct ml_rootfs *fs,
    struct ml_pack *out, struct ml_err *err)
{
    struct plan pl = { .t = t, .fs = fs, .out = out, .seen = ml_rootfs_new(NULL, NULL) };
    const struct ml_node *n;
    int rc = -1;

    *out = (struct ml_pack){ 0 };
    pl.dirs = ml_calloc(t->n + 1, sizeof *pl.dirs);
    if (find_root(&pl, dest, err) < 0 || plan_entries(&pl, err) < 0)
        goto out;
    n = ml_rootfs_find(fs, out->root + 1);
    out->alone = t->single || !n || replace || !keeps_more(pl.seen, n);
    rc = replace ? plan_replace(&pl, err) : 0;
    for (size_t i = 0; i < out->n; i++)
        if (out->items[i].entry >= 0 && !within(out->items[i].path, out->root + 1))
            out->scattered = true;
out:
    for (size_t i = 0; i < t->n; i++)
        free(pl.dirs[i]);
    free(pl.dirs);
    ml_rootfs_free(pl.seen);
    if (rc < 0)
        ml_pack_release(out);
    return rc;
}

void ml_pack_release(struct ml_pack *p)
{
    ml_arena_release(&p->names);
    free(p->items);
    free(p->path);
    free(p->root);
    *p = (struct ml_pack){ 0 };
}

int ml_pack_part_apply(
    const struct ml_pack_part *part, const struct ml_tree *t, struct ml_rootfs *fs, int layer, struct ml_err *err)
{
    for (size_t i = 0; i < part->n; i++) {
        const struct ml_tar_item *it = &part->items[i];
        const struct ml_tree_entry *from = it->entry < 0 ? NULL : &t->v[it->entry];
        struct ml_tar_entry e = {
            .path = it->path, .type = ML_TAR_DIR, .mode = it->mode, .uid = it->uid, .gid = it->gid
        };

        if (from) {
            e.type = from->type;
            e.link = from->link;
        }
        if (ml_rootfs_apply(fs, &e, layer, NULL, err) < 0)
            return -1;
    }
    return 0;
}
