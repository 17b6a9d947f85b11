/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where to cut a layer into several. A range of files that is too large is halved, and its halves again, until all fit.
 * Of the places around the middle (by sizes rounded to powers of two) the one is taken whose name has the smallest
 * hash. So a file that changes its size a little moves no cut: it can only make its own range fit or not. Cutting when
 * a part is full, from the first file on, would move every cut behind the change; and places that depended on counts
 * alone would move when a file comes or goes. */
#include <stdlib.h>
#include <string.h>

#include "oci/pack.h"
#include "oci/tar_view.h"

#define NONE UINT32_MAX

/* A file, a link, a deletion, or an empty directory: what a part is made of. */
struct unit {
    uint64_t size;
    uint32_t item, hash;
    uint8_t weight; /* a power of two, by its exponent */
};

struct split {
    const struct ml_pack *p;
    const struct ml_tree *t;
    uint64_t limit;
    struct unit *units;
    size_t n;
    uint32_t *parents; /* by item: the directory that it is in, or NONE */
    uint32_t *seen;    /* by item: the last range that counted it */
    uint32_t ranges;
    size_t *cuts; /* units at which parts begin */
    size_t ncuts, cap;
};

/* FNV-1a, and the finalizer of MurmurHash3 so that the high bits are as good as the low ones. */
static uint32_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
    return (uint32_t)(h >> 32);
}

static bool is_dir(const struct split *s, size_t item)
{
    const struct ml_tar_item *it = &s->p->items[item];

    return !it->whiteout && (it->entry < 0 || s->t->v[it->entry].type == ML_TAR_DIR);
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct ml_tar_item *const *)a)->path, (*(const struct ml_tar_item *const *)b)->path);
}

/* The item of the directory that holds `path`, among the n sorted ones. */
static uint32_t find_parent(const struct split *s, const char *path, const struct ml_tar_item *const *dirs, size_t n)
{
    const char *slash = strrchr(path, '/');
    struct ml_tar_item key = { 0 };
    const struct ml_tar_item *k = &key, *const * found;
    char *dir;

    if (!slash || n == 0)
        return NONE;
    key.path = dir = ml_strndup(path, (size_t)(slash - path));
    found = bsearch(&k, dirs, n, sizeof *dirs, by_path);
    free(dir);
    return found ? (uint32_t)(*found - s->p->items) : NONE;
}

static void find_parents(struct split *s)
{
    const struct ml_tar_item **dirs = ml_calloc(s->p->n + 1, sizeof(struct ml_tar_item *));
    size_t n = 0;

    for (size_t i = 0; i < s->p->n; i++)
        if (is_dir(s, i))
            dirs[n++] = &s->p->items[i];
    if (n > 1)
        qsort(dirs, n, sizeof *dirs, by_path);
    for (size_t i = 0; i < s->p->n; i++)
        s->parents[i] = find_parent(s, s->p->items[i].path, dirs, n);
    free(dirs);
}

static void find_units(struct split *s)
{
    bool *holds = ml_calloc(s->p->n + 1, sizeof *holds);

    for (size_t i = 0; i < s->p->n; i++)
        if (s->parents[i] != NONE)
            holds[s->parents[i]] = true;
    for (size_t i = 0; i < s->p->n; i++) {
        struct unit *u = &s->units[s->n];
        const struct ml_tar_item *it = &s->p->items[i];

        if (holds[i])
            continue;
        *u = (struct unit){ .item = (uint32_t)i, .size = ml_tar_item_size(s->t, it, 0) };
        while ((uint64_t)1 << u->weight < u->size)
            u->weight++;
        u->hash = hash(it->entry < 0 ? it->path : s->t->v[it->entry].path);
        s->n++;
    }
    free(holds);
}

/* Calls for every directory that the units a to b need and this range hasn't had yet, outermost first, each before what
 * needs it, then for the unit. */
typedef void item_fn(void *ctx, size_t item);

static void visit_dirs(struct split *s, uint32_t dir, item_fn *fn, void *ctx)
{
    if (dir == NONE || s->seen[dir] == s->ranges)
        return;
    s->seen[dir] = s->ranges;
    visit_dirs(s, s->parents[dir], fn, ctx);
    fn(ctx, dir);
}

static void visit(struct split *s, size_t a, size_t b, item_fn *fn, void *ctx)
{
    s->ranges++;
    for (size_t i = a; i < b; i++) {
        visit_dirs(s, s->parents[s->units[i].item], fn, ctx);
        fn(ctx, s->units[i].item);
    }
}

struct sum {
    const struct split *s;
    uint64_t size;
};

static void add_size(void *ctx, size_t item)
{
    struct sum *sum = ctx;

    sum->size += ml_tar_item_size(sum->s->t, &sum->s->p->items[item], 0);
}

static bool fits(struct split *s, size_t a, size_t b)
{
    struct sum sum = { .s = s, .size = ML_TAR_END };

    if (b - a <= 1)
        return true;
    for (size_t i = a; i < b; i++) /* without looking at directories first: mostly it's clear */
        if ((sum.size += s->units[i].size) > s->limit)
            return false;
    sum.size = ML_TAR_END;
    visit(s, a, b, add_size, &sum);
    return sum.size <= s->limit;
}

/* The unit before which a to b (two at least) is cut. */
static size_t middle(const struct split *s, size_t a, size_t b)
{
    uint64_t total = 0, before = 0, off, best_off = UINT64_MAX;
    size_t best = 0, nearest = a + 1; /* a cut is never at 0 */

    for (size_t i = a; i < b; i++)
        total += (uint64_t)1 << s->units[i].weight;
    for (size_t i = a + 1; i < b; i++) {
        before += (uint64_t)1 << s->units[i - 1].weight;
        off = before > total / 2 ? before - total / 2 : total / 2 - before;
        if (off < best_off) {
            best_off = off;
            nearest = i;
        }
        if (off <= total / 6 && (best == 0 || s->units[i].hash < s->units[best].hash))
            best = i;
    }
    return best == 0 ? nearest : best; /* one file that is most of it leaves no place in the middle */
}

static void cut(struct split *s, size_t a, size_t b)
{
    while (!fits(s, a, b)) { /* the left half by itself, the right one here: the depth stays small */
        size_t m = middle(s, a, b);

        cut(s, a, m);
        a = m;
    }
    s->cuts = ml_grow(s->cuts, &s->cap, s->ncuts + 1, sizeof *s->cuts);
    s->cuts[s->ncuts++] = a;
}

static void cut_all(struct split *s, uint64_t limit)
{
    s->limit = limit;
    s->ncuts = 0;
    cut(s, 0, s->n);
}

static int too_many(struct split *s, uint64_t limit, size_t max, struct ml_err *err)
{
    size_t n = s->ncuts;

    while (s->ncuts > max && limit < UINT64_MAX / 2)
        cut_all(s, limit = (limit / 4 * 5 / 1000000 + 1) * 1000000);
    return ml_err_set(err, ML_USAGE,
        "'%s' would become %zu layers, and an image can have %zu more: --split %lluM would do", s->t->src, n, max,
        (unsigned long long)(limit / 1000000));
}

static void count_item(void *ctx, size_t item)
{
    (void)item;
    ++*(size_t *)ctx;
}

struct filling {
    const struct split *s;
    struct ml_tar_item *next;
};

static void add_item(void *ctx, size_t item)
{
    struct filling *f = ctx;

    *f->next++ = f->s->p->items[item];
}

static void fill(struct split *s, struct ml_pack_parts *out)
{
    size_t count = 0;
    struct filling f = { .s = s };

    for (size_t k = 0; k < s->ncuts; k++)
        visit(s, s->cuts[k], k + 1 < s->ncuts ? s->cuts[k + 1] : s->n, count_item, &count);
    out->items = f.next = ml_calloc(count + 1, sizeof *out->items);
    out->v = ml_calloc(s->ncuts, sizeof *out->v);
    out->n = s->ncuts;
    out->total = count;
    for (size_t k = 0; k < s->ncuts; k++) {
        out->v[k].items = f.next;
        visit(s, s->cuts[k], k + 1 < s->ncuts ? s->cuts[k + 1] : s->n, add_item, &f);
        out->v[k].n = (size_t)(f.next - out->v[k].items);
    }
}

int ml_pack_split(const struct ml_pack *p, const struct ml_tree *t, uint64_t limit, size_t max,
    struct ml_pack_parts *out, struct ml_err *err)
{
    struct split s = { .p = p, .t = t };
    int rc = 0;

    *out = (struct ml_pack_parts){ 0 };
    s.parents = ml_calloc(p->n + 1, sizeof *s.parents);
    s.seen = ml_calloc(p->n + 1, sizeof *s.seen);
    s.units = ml_calloc(p->n + 1, sizeof *s.units);
    find_parents(&s);
    find_units(&s);
    cut_all(&s, limit);
    if (s.ncuts > max)
        rc = too_many(&s, limit, max, err);
    else
        fill(&s, out);
    free(s.parents);
    free(s.seen);
    free(s.units);
    free(s.cuts);
    return rc;
}

void ml_pack_parts_release(struct ml_pack_parts *parts)
{
    free(parts->v);
    free(parts->items);
    *parts = (struct ml_pack_parts){ 0 };
}

void ml_pack_forget_items(struct ml_pack *p)
{
    free(p->items);
    p->items = NULL;
    p->n = p->cap = 0;
}
