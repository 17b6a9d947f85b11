/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer cut into several: nothing is lost, no part is too large, and a change stays where it happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci/pack.h"
#include "oci/tar_view.h"

#define MB ((uint64_t)1000000)

static uint64_t state_ = 88172645463325252ULL;

static uint64_t draw(uint64_t below)
{
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % below;
}

static void add(struct ml_tree *t, const char *path, enum ml_tar_type type, uint64_t size)
{
    t->v = ml_grow(t->v, &t->cap, t->n + 1, sizeof *t->v);
    t->v[t->n++] = (struct ml_tree_entry){ .path = ml_arena_strdup(&t->names, path), .type = type, .size = size };
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct ml_tree_entry *)a)->path, ((const struct ml_tree_entry *)b)->path);
}

static void start(struct ml_tree *t)
{
    *t = (struct ml_tree){ .src = ml_strdup("model") };
    t->top.path = "";
}

static void sort(struct ml_tree *t)
{
    qsort(t->v, t->n, sizeof *t->v, by_path);
}

/* Shards of about one size among small files in directories. */
static void model(struct ml_tree *t, int shards, int small)
{
    char path[80];

    start(t);
    add(t, "tokenizer", ML_TAR_DIR, 0);
    add(t, "tokenizer.json", ML_TAR_FILE, 2 * MB);
    add(t, "empty", ML_TAR_DIR, 0);
    for (int i = 0; i < shards; i++) {
        snprintf(path, sizeof path, "model-%05d-of-%05d.safetensors", i + 1, shards);
        add(t, path, ML_TAR_FILE, 4900 * MB + draw(90 * MB));
    }
    for (int i = 0; i < small; i++) {
        snprintf(path, sizeof path, "%s%04d.txt", i % 2 ? "tokenizer/part" : "config", i);
        add(t, path, ML_TAR_FILE, draw(MB));
    }
    sort(t);
}

struct plan {
    struct ml_rootfs *fs;
    struct ml_pack pack;
    struct ml_pack_parts parts;
};

static void plan(struct plan *p, const struct ml_tree *t, uint64_t limit)
{
    struct ml_err err = ML_ERR_INIT;

    p->fs = ml_rootfs_new(NULL, NULL);
    assert_int_equal(ml_pack_plan(t, "/srv/model", false, p->fs, &p->pack, &err), 0);
    assert_int_equal(ml_pack_split(&p->pack, t, limit, 1000, &p->parts, &err), 0);
}

static void release(struct plan *p)
{
    ml_pack_parts_release(&p->parts);
    ml_pack_release(&p->pack);
    ml_rootfs_free(p->fs);
}

static uint64_t part_size(const struct ml_pack_part *part, const struct ml_tree *t, size_t *files)
{
    struct ml_tar_view *v = ml_tar_view_new(t, part->items, part->n, 0);
    uint64_t size = ml_tar_view_size(v);

    *files = 0;
    for (size_t i = 0; i < part->n; i++)
        *files += part->items[i].entry >= 0;
    ml_tar_view_free(v);
    return size;
}

/* Every entry once, its directories before it, and no part too large. */
static void check_parts(const struct plan *p, const struct ml_tree *t, uint64_t limit)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_rootfs *whole = ml_rootfs_new(NULL, NULL), *laid = ml_rootfs_new(NULL, NULL);
    struct ml_pack_part all = { .items = p->pack.items, .n = p->pack.n };
    size_t total = 0, files;

    assert_int_equal(ml_pack_part_apply(&all, t, whole, 0, &err), 0);
    for (size_t k = 0; k < p->parts.n; k++) {
        uint64_t size = part_size(&p->parts.v[k], t, &files);

        total += files;
        assert_true(size <= limit || files == 1);
        assert_true(p->parts.v[k].n > 0);
        for (size_t i = 0; i < p->parts.v[k].n; i++) {
            const char *path = p->parts.v[k].items[i].path, *slash = strrchr(path, '/');
            bool before = !slash;

            for (size_t j = 0; j < i && !before; j++)
                before = strlen(p->parts.v[k].items[j].path) == (size_t)(slash - path) &&
                         !strncmp(p->parts.v[k].items[j].path, path, (size_t)(slash - path));
            assert_true(before);
        }
        assert_int_equal(ml_pack_part_apply(&p->parts.v[k], t, laid, (int)k, &err), 0);
    }
    for (size_t i = 0; i < p->pack.n; i++) {
        const struct ml_node *a = ml_rootfs_find(whole, p->pack.items[i].path),
                             *b = ml_rootfs_find(laid, p->pack.items[i].path);

        assert_true(a && b && a->type == b->type && a->mode == b->mode);
        total -= p->pack.items[i].entry >= 0;
    }
    assert_int_equal(total, 0);
    ml_rootfs_free(whole);
    ml_rootfs_free(laid);
}

static void parts_are_the_whole(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct ml_tree t;
        struct plan p;
        uint64_t limit = (uint64_t[]){ 100 * MB, 5000 * MB, 12000 * MB, 1000000 * MB }[round % 4];

        model(&t, round, 40 - round / 2);
        plan(&p, &t, limit);
        check_parts(&p, &t, limit);
        if (round % 4 == 3)
            assert_int_equal(p.parts.n, 1);
        release(&p);
        ml_tree_release(&t);
    }
}

static bool same_part(
    const struct ml_pack_part *a, const struct ml_tree *ta, const struct ml_pack_part *b, const struct ml_tree *tb)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct ml_tar_item *x = &a->items[i], *y = &b->items[i];

        if (strcmp(x->path, y->path) != 0 || (x->entry < 0) != (y->entry < 0) ||
            (x->entry >= 0 && ta->v[x->entry].size != tb->v[y->entry].size))
            return false;
    }
    return true;
}

/* How many parts of `a` `b` lacks. */
static size_t lacks(const struct plan *a, const struct ml_tree *ta, const struct plan *b, const struct ml_tree *tb)
{
    size_t n = 0;

    for (size_t i = 0; i < a->parts.n; i++) {
        bool found = false;

        for (size_t k = 0; k < b->parts.n && !found; k++)
            found = same_part(&a->parts.v[i], ta, &b->parts.v[k], tb);
        n += !found;
    }
    return n;
}

static void copy_tree(struct ml_tree *to, const struct ml_tree *from)
{
    start(to);
    for (size_t i = 0; i < from->n; i++)
        add(to, from->v[i].path, from->v[i].type, from->v[i].size);
}

/* Any file, a few bytes or per cent more or less: one part is another, the rest stays. */
static void a_changed_file_changes_its_part_only(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        uint64_t limit = (uint64_t[]){ 5000 * MB, 11000 * MB, 26000 * MB }[round % 3];
        struct ml_tree a, b;
        struct plan p, q;
        struct ml_tree_entry *e;

        model(&a, 3 + (int)draw(40), (int)draw(60));
        copy_tree(&b, &a);
        do
            e = &b.v[draw(b.n)];
        while (e->type != ML_TAR_FILE || e->size < 1000 || (round % 2 && e->size < 1000 * MB));
        e->size = e->size * (995 + draw(11)) / 1000 + 1 + draw(3);
        plan(&p, &a, limit);
        plan(&q, &b, limit);
        assert_int_equal(lacks(&p, &a, &q, &b), 1);
        assert_in_range(lacks(&q, &b, &p, &a), 1, 2); /* two where it doesn't fit any more */
        release(&p);
        release(&q);
        ml_tree_release(&a);
        ml_tree_release(&b);
    }
}

static void a_file_that_comes_moves_little(void **state)
{
    size_t changed = 0, parts = 0;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct ml_tree a, b;
        struct plan p, q;

        model(&a, 30, 20);
        copy_tree(&b, &a);
        add(&b, round % 2 ? "README.md" : "model-00015a.safetensors", ML_TAR_FILE, round % 2 ? 5000 : 4900 * MB);
        sort(&b);
        plan(&p, &a, 11000 * MB);
        plan(&q, &b, 11000 * MB);
        changed += lacks(&p, &a, &q, &b);
        parts += p.parts.n;
        release(&p);
        release(&q);
        ml_tree_release(&a);
        ml_tree_release(&b);
    }
    print_message("%.2f of %.1f parts change when a file comes\n", (double)changed / 200, (double)parts / 200);
    assert_true(changed < 200 * 4);
    assert_true(parts < 200 * 22); /* 15 would do if every part were full */
}

static void too_many_parts_say_what_would_do(void **state)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_tree t;
    struct plan p;
    struct ml_pack_parts parts;

    (void)state;
    model(&t, 200, 0);
    plan(&p, &t, 5000 * MB);
    assert_true(p.parts.n > 120);
    assert_int_equal(ml_pack_split(&p.pack, &t, 5000 * MB, 115, &parts, &err), -1);
    assert_int_equal(err.code, ML_USAGE);
    assert_non_null(strstr(err.msg, "--split "));
    release(&p);
    ml_tree_release(&t);
}

static void a_single_file_is_one_part(void **state)
{
    struct ml_tree t;
    struct plan p;

    (void)state;
    start(&t);
    t.single = true;
    add(&t, "model.bin", ML_TAR_FILE, 9000 * MB);
    plan(&p, &t, MB);
    assert_int_equal(p.parts.n, 1);
    check_parts(&p, &t, MB);
    release(&p);
    ml_tree_release(&t);
    start(&t);
    plan(&p, &t, MB);
    assert_int_equal(p.parts.n, 1);
    release(&p);
    ml_tree_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(a_changed_file_changes_its_part_only),
        cmocka_unit_test(a_file_that_comes_moves_little),
        cmocka_unit_test(too_many_parts_say_what_would_do),
        cmocka_unit_test(a_single_file_is_one_part),
    };

    return cmocka_run_group_tests_name("pack_split", tests, NULL, NULL);
}
