/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tree of names, with a hash table over (parent, name). */
#include "oci/rootfs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 40 /* as Linux */
#define WHITEOUT  ".wh."
#define OPAQUE    ".wh..wh..opq"

struct ml_rootfs {
    struct ml_node *root;
    struct ml_arena nodes; /* one that is removed stays in there until the end */
    struct ml_node **table;
    size_t n, cap; /* cap is a power of two */
    ml_rootfs_gone_fn *gone;
    void *ctx;
};

static struct ml_node *node_new(struct ml_rootfs *fs, const char *name, size_t len)
{
    struct ml_node *n = ml_arena_alloc(&fs->nodes, offsetof(struct ml_node, name) + len + 1);

    memset(n, 0, offsetof(struct ml_node, name));
    memcpy(n->name, name, len);
    n->name[len] = '\0';
    return n;
}

struct ml_rootfs *ml_rootfs_new(ml_rootfs_gone_fn *gone, void *ctx)
{
    struct ml_rootfs *fs = ml_calloc(1, sizeof *fs);

    fs->root = node_new(fs, "", 0);
    fs->root->type = ML_TAR_DIR;
    fs->root->mode = 0755;
    fs->root->implied = true;
    fs->cap = 1024;
    fs->table = ml_calloc(fs->cap, sizeof(struct ml_node *));
    fs->gone = gone;
    fs->ctx = ctx;
    return fs;
}

void ml_rootfs_free(struct ml_rootfs *fs)
{
    if (!fs)
        return;
    for (size_t i = 0; i < fs->cap; i++)
        for (struct ml_node *n = fs->table[i]; n; n = n->chain)
            free(n->link);
    free(fs->root->link);
    ml_arena_release(&fs->nodes);
    free(fs->table);
    free(fs);
}

static size_t slot(const struct ml_rootfs *fs, const struct ml_node *parent, const char *name, size_t len)
{
    uint64_t h = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15ULL; /* FNV-1a over the name, from there */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3ULL;
    return (size_t)(h ^ h >> 32) & (fs->cap - 1);
}

static struct ml_node *child(const struct ml_rootfs *fs, const struct ml_node *parent, const char *name, size_t len)
{
    struct ml_node *n = fs->table[slot(fs, parent, name, len)];

    while (n && (n->parent != parent || strncmp(n->name, name, len) != 0 || n->name[len]))
        n = n->chain;
    return n;
}

static void rehash(struct ml_rootfs *fs)
{
    struct ml_node **old = fs->table;
    size_t cap = fs->cap;

    fs->cap *= 2;
    fs->table = ml_calloc(fs->cap, sizeof(struct ml_node *));
    for (size_t i = 0; i < cap; i++) {
        struct ml_node *next;

        for (struct ml_node *n = old[i]; n; n = next) {
            size_t at = slot(fs, n->parent, n->name, strlen(n->name));

            next = n->chain;
            n->chain = fs->table[at];
            fs->table[at] = n;
        }
    }
    free(old);
}

static struct ml_node *add_child(
    struct ml_rootfs *fs, struct ml_node *parent, const char *name, size_t len, struct ml_err *err)
{
    struct ml_node *n;
    size_t at;

    if (fs->n >= ML_ROOTFS_MAX) {
        ml_err_set(err, ML_LOCAL, "the image has more than %zu names", ML_ROOTFS_MAX);
        return NULL;
    }
    if (++fs->n > fs->cap)
        rehash(fs);
    n = node_new(fs, name, len);
    n->parent = parent;
    n->next = parent->children;
    if (n->next)
        n->next->prev = n;
    parent->children = n;
    at = slot(fs, parent, name, len);
    n->chain = fs->table[at];
    fs->table[at] = n;
    return n;
}

static int remove_node(struct ml_rootfs *fs, struct ml_node *n, struct ml_err *err)
{
    struct ml_node **p = &fs->table[slot(fs, n->parent, n->name, strlen(n->name))];

    if (fs->gone && fs->gone(fs->ctx, n, err) < 0)
        return -1;
    while (*p != n)
        p = &(*p)->chain;
    *p = n->chain;
    if (n->prev)
        n->prev->next = n->next;
    else
        n->parent->children = n->next;
    if (n->next)
        n->next->prev = n->prev;
    fs->n--;
    free(n->link);
    return 0;
}

/* The first of n's children, or of theirs, and so on, that has none itself. */
static struct ml_node *deepest(struct ml_node *n)
{
    while (n->children)
        n = n->children;
    return n;
}

/* Removes all that lies in `top`. No recursion: the depth comes from outside. */
static int clear(struct ml_rootfs *fs, struct ml_node *top, struct ml_err *err)
{
    while (top->children)
        if (remove_node(fs, deepest(top), err) < 0)
            return -1;
    return 0;
}

/* Removes what lies in `top` and comes from layers below `layer`; a directory stays while something of this layer lies
 * in it. */
static int prune(struct ml_rootfs *fs, struct ml_node *top, int layer, struct ml_err *err)
{
    struct ml_node *n = top->children;

    while (n) {
        struct ml_node *next;

        if (n->children) {
            n->layer = -1 - n->layer; /* decided when all below it are done */
            n = n->children;
            continue;
        }
        for (;;) { /* n is done: remove it or leave it, go on with its sibling or its parent */
            struct ml_node *up = n->parent;
            int mine = n->layer < 0 ? -1 - n->layer : n->layer;

            next = n->next;
            n->layer = mine;
            if (mine < layer && !n->children && remove_node(fs, n, err) < 0)
                return -1;
            if (next || up == top)
                break;
            n = up;
        }
        n = next;
    }
    return 0;
}

/* Removes a name that a whiteout of `layer` hides. */
static int hide(struct ml_rootfs *fs, struct ml_node *n, int layer, struct ml_err *err)
{
    if (n->type == ML_TAR_DIR && prune(fs, n, layer, err) < 0)
        return -1;
    if (n->layer >= layer || n->children)
        return 0;
    return remove_node(fs, n, err);
}

/* The directory that `len` bytes of path name, made where it is missing. A link or file of a lower layer in its place
 * gives way; NULL: err set. */
static struct ml_node *need_dir(struct ml_rootfs *fs, const char *path, size_t len, int layer, struct ml_err *err)
{
    struct ml_node *at = fs->root;

    for (size_t i = 0; i < len;) {
        size_t n = strcspn(path + i, "/");
        struct ml_node *next;

        if (n > len - i)
            n = len - i;
        next = child(fs, at, path + i, n);
        if (next && next->type != ML_TAR_DIR) {
            if (next->layer >= layer) {
                ml_err_set(err, ML_LOCAL, "the layer has '%s' below '%.*s', which isn't a directory", path,
                    (int)(i + n), path);
                return NULL;
            }
            if (remove_node(fs, next, err) < 0)
                return NULL;
            next = NULL;
        }
        if (!next) {
            next = add_child(fs, at, path + i, n, err);
            if (!next)
                return NULL;
            next->type = ML_TAR_DIR;
            next->mode = 0755;
            next->layer = layer;
            next->implied = true;
        }
        at = next;
        i += n + 1;
    }
    return at;
}

static struct ml_node *walk(const struct ml_rootfs *fs, const char *path, size_t len)
{
    struct ml_node *at = fs->root;

    for (size_t i = 0; at && i < len;) {
        size_t n = strcspn(path + i, "/");

        if (n > len - i)
            n = len - i;
        at = at->type == ML_TAR_DIR ? child(fs, at, path + i, n) : NULL;
        i += n + 1;
    }
    return at;
}

static int apply_whiteout(
    struct ml_rootfs *fs, const char *path, size_t dir, const char *name, int layer, struct ml_err *err)
{
    struct ml_node *in = walk(fs, path, dir), *n;

    name += strlen(WHITEOUT);
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return ml_err_set(err, ML_LOCAL, "the layer has a malformed deletion '%s'", path);
    if (!in || in->type != ML_TAR_DIR)
        return 0;
    if (!strcmp(name, &OPAQUE[strlen(WHITEOUT)]))
        return prune(fs, in, layer, err);
    n = child(fs, in, name, strlen(name));
    return n ? hide(fs, n, layer, err) : 0;
}

int ml_rootfs_apply(
    struct ml_rootfs *fs, const struct ml_tar_entry *e, int layer, const struct ml_node **node, struct ml_err *err)
{
    const char *slash = strrchr(e->path, '/'), *name = slash ? slash + 1 : e->path;
    size_t dir = slash ? (size_t)(slash - e->path) : 0;
    struct ml_node *in, *n;

    if (node)
        *node = NULL;
    if (!strncmp(name, WHITEOUT, strlen(WHITEOUT)))
        return apply_whiteout(fs, e->path, dir, name, layer, err);
    if (!*name && e->type != ML_TAR_DIR)
        return ml_err_set(err, ML_LOCAL, "the layer's root is not a directory");
    if (!*name) {
        n = fs->root;
    } else {
        in = need_dir(fs, e->path, dir, layer, err);
        if (!in)
            return -1;
        n = child(fs, in, name, strlen(name));
        if (n && (n->type != ML_TAR_DIR || e->type != ML_TAR_DIR)) {
            if (clear(fs, n, err) < 0 || remove_node(fs, n, err) < 0)
                return -1;
            n = NULL;
        }
        if (!n && !(n = add_child(fs, in, name, strlen(name), err)))
            return -1;
        n->type = e->type;
    }
    free(n->link);
    n->link = e->link && n->type == ML_TAR_SYMLINK ? ml_strdup(e->link) : NULL;
    n->mode = e->mode;
    n->uid = e->uid;
    n->gid = e->gid;
    n->layer = layer;
    n->implied = false;
    if (node)
        *node = n;
    return 0;
}

const struct ml_node *ml_rootfs_find(const struct ml_rootfs *fs, const char *path)
{
    return walk(fs, path, strlen(path));
}

char *ml_node_path(const struct ml_node *n)
{
    size_t len = 0;
    char *out, *end;

    for (const struct ml_node *p = n; p->parent; p = p->parent)
        len += strlen(p->name) + (p != n);
    out = ml_malloc(len + 1);
    end = out + len;
    *end = '\0';
    for (const struct ml_node *p = n; p->parent; p = p->parent) {
        size_t k = strlen(p->name);

        if (p != n)
            *--end = '/';
        end -= k;
        memcpy(end, p->name, k);
    }
    return out;
}

/* Cuts the last part off a path. */
static void up(struct ml_buf *b)
{
    while (b->len > 0 && b->data[b->len - 1] != '/')
        b->len--;
    if (b->len > 0)
        b->len--;
    if (b->data)
        b->data[b->len] = '\0';
}

int ml_rootfs_resolve(const struct ml_rootfs *fs, const char *path, bool last, struct ml_buf *out, struct ml_err *err)
{
    char *rest = ml_strdup(path);
    int links = 0, rc = 0;

    while (rc == 0 && *rest) {
        size_t n = strcspn(rest, "/"), at = out->len;
        bool end = !rest[n] || !rest[n + strspn(rest + n, "/")];
        const struct ml_node *node;
        char *next;

        if (n == 0 || (n == 1 && rest[0] == '.')) {
            memmove(rest, rest + n + (rest[n] == '/'), strlen(rest + n + (rest[n] == '/')) + 1);
            continue;
        }
        if (n == 2 && rest[0] == '.' && rest[1] == '.') {
            up(out);
            memmove(rest, rest + n, strlen(rest + n) + 1);
            continue;
        }
        if (at > 0)
            ml_buf_addc(out, '/');
        ml_buf_add(out, rest, n);
        node = walk(fs, out->data, out->len);
        if (node && node->type == ML_TAR_SYMLINK && (!end || last)) {
            if (++links > LINKS_MAX) {
                rc = ml_err_set(err, ML_LOCAL, "'/%s' leads through too many symbolic links", path);
                break;
            }
            next = ml_format("%s/%s", node->link, rest + n);
            out->len = node->link[0] == '/' ? 0 : at;
            out->data[out->len] = '\0';
            free(rest);
            rest = next;
            continue;
        }
        if (node && node->type != ML_TAR_DIR && !end)
            rc = ml_err_set(err, ML_LOCAL, "'/%s' in the image is not a directory", out->data);
        memmove(rest, rest + n, strlen(rest + n) + 1);
    }
    free(rest);
    return rc;
}
