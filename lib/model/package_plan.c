/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the layers of a package will be, found out from names alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decompress.h"
#include "model/package_impl.h"
#include "oci/names.h"

#define CHUNK ((size_t)256 << 10)

void ml_package_plan_release(struct ml_package_job *j)
{
    for (size_t i = 0; i < j->nmade; i++) {
        ml_tar_view_free(j->made[i].view);
        ml_layer_out_release(&j->made[i]);
    }
    for (size_t i = 0; i < j->n; i++) {
        ml_desc_release(&j->layers[i].image.desc);
        free(j->layers[i].image.created_by);
        free(j->layers[i].image.path);
        free(j->layers[i].image.root);
    }
    for (size_t i = 0; i < j->p->adds.n && j->sources; i++) {
        ml_package_source_release(&j->sources[i]);
        ml_pack_parts_release(&j->parts[i]);
        ml_pack_release(&j->packs[i]);
    }
    free(j->made);
    free(j->layers);
    free(j->sources);
    free(j->packs);
    free(j->parts);
}

int ml_package_scan(struct ml_package_job *j, struct ml_err *err)
{
    const char *const outs[2] = { j->ref.layout ? j->ref.place : NULL, j->p->document };

    j->sources = ml_calloc(j->p->adds.n + 1, sizeof *j->sources);
    j->packs = ml_calloc(j->p->adds.n + 1, sizeof *j->packs);
    j->parts = ml_calloc(j->p->adds.n + 1, sizeof *j->parts);
    for (size_t i = 0; i < j->p->adds.n; i++)
        if (ml_package_source_scan(&j->sources[i], j->p->adds.v[i], outs, &j->result->warnings, err) < 0)
            return -1;
    return 0;
}

static struct ml_package_layer *add_layer(struct ml_package_job *j)
{
    j->layers = ml_grow(j->layers, &j->cap, j->n + 1, sizeof *j->layers);
    j->layers[j->n] = (struct ml_package_layer){ .made = -1 };
    return &j->layers[j->n++];
}

/* ---- files that are layers already ---- */

/* One file as a repository of one blob: what reads layers reads those of repositories. */
struct file_repo {
    struct ml_repo base;
    const char *path;
};

static int file_get(struct ml_repo *r, const struct ml_desc *d, uint64_t off, uint64_t len, ml_sink_fn *sink, void *ctx,
    struct ml_err *err)
{
    const char *path = ((struct file_repo *)r)->path;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    struct ml_hasher *h;
    struct ml_digest got;
    char *chunk;
    ssize_t n = 1;

    (void)off, (void)len;
    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    h = ml_hasher_new();
    chunk = ml_malloc(CHUNK);
    while (rc == 0 && n != 0) {
        n = read(fd, chunk, CHUNK);
        if (n < 0 && errno != EINTR)
            rc = ml_err_errno(err, ML_LOCAL, "cannot read '%s'", path);
        if (n <= 0)
            continue;
        ml_hasher_add(h, chunk, (size_t)n);
        rc = sink(ctx, chunk, (size_t)n, err);
    }
    ml_hasher_end(h, &got);
    if (rc == 0 && !ml_digest_eq(&got, &d->digest))
        rc = ml_err_set(err, ML_INTEGRITY, "'%s' changed while it was being read", path);
    ml_hasher_free(h);
    free(chunk);
    close(fd);
    return rc;
}

static const struct ml_repo_ops file_ops = { .blob_get = file_get };

static int file_kind(const char *path, const char **kind, struct ml_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char head[4];
    ssize_t n;

    if (fd < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot open '%s'", path);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return ml_err_set(err, ML_LOCAL, "'%s' is not a file", path);
    }
    n = read(fd, head, sizeof head);
    close(fd);
    if (n < 0)
        return ml_err_errno(err, ML_LOCAL, "cannot read '%s'", path);
    *kind = ml_decompress_kind(head, (size_t)n);
    return n > 0 ? 0 : ml_err_set(err, ML_LOCAL, "'%s' is empty", path);
}

static int take_file(struct ml_package_job *j, const char *path, struct ml_err *err)
{
    struct ml_package_layer *l = add_layer(j);
    struct ml_desc *d = &l->image.desc;
    struct file_repo file = { .base = { .ops = &file_ops, .ref = { .layout = true } }, .path = path };
    struct ml_names names = { 0 };
    const char *kind = NULL;
    int rc = 0;

    l->file = path;
    l->image.created_by = ml_strdup("ml-package --layer");
    if (file_kind(path, &kind, err) < 0 || ml_digest_file(path, &d->digest, &d->size, err) < 0)
        return -1;
    d->media_type = ml_format("%s%s%s", ML_MT_LAYER, strcmp(kind, "none") ? "+" : "", strcmp(kind, "none") ? kind : "");
    if (!ml_names_load(&d->digest, &names)) {
        rc = ml_names_read(&file.base, d, &names, err);
        if (rc == 0)
            ml_names_store(&d->digest, &names);
    }
    l->image.diff_id = names.diff_id;
    if (rc == 0)
        rc = ml_names_apply(&names, j->fs, (int)(j->base.n + j->n - 1), err);
    ml_names_release(&names);
    return rc < 0 ? ml_err_wrap(err, "'%s'", path) : 0;
}

/* ---- sources ---- */

static void add_made(struct ml_package_job *j, size_t source, const struct ml_pack_part *part, bool first)
{
    const struct ml_pack *pack = &j->packs[source];
    struct ml_package_layer *l = add_layer(j);
    struct ml_layer_out out = { .compress = j->compress };

    out.view = ml_tar_view_new(&j->sources[source].tree, part->items, part->n, j->change.epoch);
    l->image.created_by = ml_format("ml-package --add %s", pack->path);
    l->image.path = ml_strdup(pack->path);
    l->image.root = strcmp(pack->path, pack->root) ? ml_strdup(pack->root) : NULL;
    l->image.alone = pack->alone && first;
    l->image.silent = pack->scattered; /* who looks elsewhere must read it too */
    l->made = (int)j->nmade;
    j->made = ml_grow(j->made, &j->made_cap, j->nmade + 1, sizeof *j->made);
    j->made[j->nmade++] = out;
}

static int plan_source(struct ml_package_job *j, size_t i, struct ml_err *err)
{
    struct ml_package_source *s = &j->sources[i];
    struct ml_pack *pack = &j->packs[i];
    struct ml_pack_part whole;
    size_t taken = j->base.n + j->n + (j->p->adds.n - i - 1), n = 1;
    const struct ml_pack_part *parts = &whole;

    s->layer = (int)(j->base.n + j->n);
    if (ml_pack_plan(&s->tree, s->dest, j->p->replace, j->fs, pack, err) < 0)
        return -1;
    s->root = ml_strdup(pack->root + 1);
    whole = (struct ml_pack_part){ pack->items, pack->n };
    if (j->split && !s->tree.single) {
        if (ml_pack_split(
                pack, &s->tree, j->split, taken < ML_LAYERS_MAX ? ML_LAYERS_MAX - taken : 1, &j->parts[i], err) < 0)
            return ml_err_wrap(err, "'%s'", s->path);
        ml_pack_forget_items(pack);
        parts = j->parts[i].v;
        n = j->parts[i].n;
    }
    for (size_t k = 0; k < n; k++) {
        s->last = (int)(j->base.n + j->n);
        if (ml_pack_part_apply(&parts[k], &s->tree, j->fs, s->last, err) < 0)
            return -1;
        add_made(j, i, &parts[k], k == 0);
    }
    return 0;
}

int ml_package_plan(struct ml_package_job *j, struct ml_err *err)
{
    for (size_t i = 0; i < j->p->layers.n; i++)
        if (take_file(j, j->p->layers.v[i], err) < 0)
            return -1;
    for (size_t i = 0; i < j->p->adds.n; i++)
        if (plan_source(j, i, err) < 0)
            return -1;
    return 0;
}

/* ---- what is scored is what is packed ---- */

static int check_model(struct ml_package_job *j, const struct ml_tree_sum *sums, const char *model, struct ml_err *err)
{
    size_t n = j->p->adds.n;

    for (size_t i = 0; i < n; i++)
        if (!strcmp(sums[i].digest.s, model)) {
            j->sources[i].evaluated = true;
            return 0;
        }
    if (n == 1)
        return ml_err_set(err, ML_INTEGRITY, "'%s' is %s, the card's evaluation is of %s: evaluate what is packed",
            j->sources[0].path, sums[0].digest.s, model);
    return ml_err_set(err, ML_INTEGRITY,
        "none of the %zu sources is %s, which the card's evaluation is of: evaluate what is packed", n, model);
}

/* How many names lie in `n`; *pure becomes false when a file among them isn't the source's. */
static size_t count_names(const struct ml_node *n, const struct ml_package_source *s, bool *pure)
{
    size_t count = 0;

    if (n->type != ML_TAR_DIR && (n->layer < s->layer || n->layer > s->last))
        *pure = false;
    for (const struct ml_node *c = n->children; c; c = c->next)
        count += 1 + count_names(c, s, pure);
    return count;
}

/* The evaluated model must also be alone where it is: neither the base nor another source may have mixed something in.
 */
static int check_alone(const struct ml_package_job *j, struct ml_err *err)
{
    for (size_t i = 0; i < j->p->adds.n; i++) {
        const struct ml_package_source *s = &j->sources[i];
        const struct ml_node *n = s->evaluated ? ml_rootfs_find(j->fs, s->root) : NULL;
        bool pure = true;

        if (!s->evaluated)
            continue;
        if (!n || count_names(n, s, &pure) != (s->tree.single ? 0 : s->tree.n) || !pure)
            return ml_err_set(err, ML_INTEGRITY,
                "'/%s' in the image would not be the evaluated model: the base or another source has files there; "
                "--replace deletes the base's",
                s->root);
    }
    return 0;
}

struct ml_tree_sum *ml_package_sums(const struct ml_package_job *j, const char *model, size_t *n)
{
    struct ml_tree_sum *v = ml_calloc(j->p->adds.n + 1, sizeof *v);

    *n = model ? j->p->adds.n : 0;
    for (size_t i = 0; i < *n; i++)
        v[i].tree = &j->sources[i].tree;
    return v;
}

int ml_package_made(struct ml_package_job *j, const struct ml_tree_sum *sums, const char *model, struct ml_err *err)
{
    for (size_t i = 0; i < j->n; i++) {
        struct ml_package_layer *l = &j->layers[i];

        if (l->made < 0)
            continue;
        l->image.desc = j->made[l->made].desc;
        l->image.desc.media_type = ml_strdup(j->made[l->made].desc.media_type);
        l->image.diff_id = j->made[l->made].diff_id;
    }
    return model && (check_model(j, sums, model, err) < 0 || check_alone(j, err) < 0) ? -1 : 0;
}
