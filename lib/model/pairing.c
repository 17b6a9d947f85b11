/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Are two files about the same rows, and which row is which? */
#include "model/pairing.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/text.h"
#include "data/number.h"
#include "data/rowjoin.h"

/* One pairing. Row rows[1][i] of the candidate is row rows[0][i] of the current model; NULL: row i. */
struct pairing {
    struct ml_predictions *p[2]; /* current, candidate */
    uint32_t *rows[2];
    size_t n;
    struct ml_mismatch *out;
    size_t example[3]; /* rows of p[from] that show the first kind of mismatch */
    int from;
    size_t n_examples;
    size_t only;                 /* the current model's first row that the candidate lacks, where there is one */
    size_t label, weight, group; /* the first pair whose labels differ, and so on */
    struct ml_column matched;    /* the current model's labels in the order of the pairs, where rows[0] says it */
};

static void add_example(struct pairing *pr, int from, size_t row)
{
    if (pr->n_examples < 3 && (pr->n_examples == 0 || pr->from == from)) {
        pr->from = from;
        pr->example[pr->n_examples++] = row;
    }
}

static inline size_t row_of(const struct pairing *pr, int side, size_t i)
{
    return pr->rows[side] != NULL ? pr->rows[side][i] : i;
}

/* Whether both have the same ids in the same order. */
struct ordering {
    const char *a, *b;
    size_t n;
    atomic_bool differs;
};

#define IDS_BLOCK ((size_t)1 << 20)

static void compare_ids(void *ctx, size_t block, size_t thread)
{
    struct ordering *o = ctx;
    size_t from = block * IDS_BLOCK, n = o->n - from < IDS_BLOCK ? o->n - from : IDS_BLOCK;
    (void)thread;
    if (!o->differs && memcmp(o->a + from, o->b + from, n) != 0)
        o->differs = true;
}

static bool same_order(const struct ml_predictions *a, const struct ml_predictions *b)
{
    struct ordering o = { .a = a->id_text, .b = b->id_text, .n = a->id_used };
    if (a->n != b->n || a->id_used != b->id_used || a->id_row != NULL || b->id_row != NULL)
        return false;
    ml_parallel((o.n + IDS_BLOCK - 1) / IDS_BLOCK, compare_ids, &o);
    return !o.differs;
}

/* Leaves out what has no match; the rows of the current model that then have none. */
static void leave_out(struct pairing *pr)
{
    struct ml_predictions *a = pr->p[0], *b = pr->p[1];
    uint32_t *match = pr->rows[0];
    pr->rows[1] = ml_malloc((b->n + 1) * sizeof *pr->rows[1]);
    for (size_t i = 0; i < b->n; i++) {
        if (match[i] != ML_ROWJOIN_NONE) {
            match[pr->n] = match[i];
            pr->rows[1][pr->n++] = (uint32_t)i;
            continue;
        }
        pr->out->only_candidate++;
        add_example(pr, 1, i);
    }
    if (pr->n == a->n)
        return;
    unsigned char *seen = ml_calloc(a->n + 1, 1);
    for (size_t i = 0; i < pr->n; i++)
        seen[match[i]] = 1;
    for (size_t i = 0; i < a->n; i++)
        if (!seen[i]) {
            if (pr->out->only_current++ == 0)
                pr->only = i;
            add_example(pr, 0, i);
        }
    free(seen);
}

static void join(struct pairing *pr, uint64_t memory)
{
    struct ml_predictions *a = pr->p[0], *b = pr->p[1];
    size_t matched;
    pr->n = b->n;
    if (same_order(a, b))
        return;
    pr->rows[0] = ml_malloc((b->n + 1) * sizeof *pr->rows[0]);
    struct ml_keysource keys[2] = { ml_predictions_keys(a), ml_predictions_keys(b) };
    ml_rowjoin(&keys[0], &a->keys, &keys[1], &b->keys, memory, pr->rows[0], &matched);
    if (matched == b->n && b->n == a->n)
        return;
    pr->n = 0;
    leave_out(pr);
}

/* For each text of `of` its number in `in`, or -1. */
static int64_t *map_texts(const struct ml_intern *of, const struct ml_intern *in)
{
    int64_t *map = ml_malloc((of->n + 1) * sizeof *map);
    for (size_t i = 0; i < of->n; i++) {
        const char *s = ml_intern_text(of, (uint32_t)i);
        map[i] = ml_intern_find(in, s, strlen(s));
    }
    return map;
}

/* Both models' labels, in blocks of rows. */
struct labelling {
    const struct pairing *pr;
    const struct ml_column *a, *b; /* a's in the order of the pairs */
    uint32_t *same[2];             /* of each code of either: alike where the labels are; NULL: compared as numbers */
    unsigned char *differ;         /* of each block: whether some label does */
};

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Labels that are numbers: the place of each value among those of both. */
static void match_numbers(struct labelling *l)
{
    const struct ml_column *c[2] = { l->a, l->b };
    size_t n = c[0]->dict.n + c[1]->dict.n, at = 0;
    double *values = ml_malloc((n + 1) * sizeof *values);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < c[k]->dict.n; i++)
            values[at++] = c[k]->value[i];
    qsort(values, n, sizeof *values, by_number);
    for (size_t i = n = 0; i < at; i++)
        if (n == 0 || values[i] != values[n - 1])
            values[n++] = values[i];
    for (int k = 0; k < 2; k++) {
        l->same[k] = ml_malloc((c[k]->dict.n + 1) * sizeof *l->same[k]);
        for (size_t i = 0; i < c[k]->dict.n; i++)
            l->same[k][i] =
                (uint32_t)((double *)bsearch(&c[k]->value[i], values, n, sizeof *values, by_number) - values);
    }
    free(values);
}

static void match_texts(struct labelling *l)
{
    int64_t *map = map_texts(&l->a->dict, &l->b->dict);
    for (int k = 0; k < 2; k++) {
        size_t n = k == 0 ? l->a->dict.n : l->b->dict.n;
        l->same[k] = ml_malloc((n + 1) * sizeof *l->same[k]);
        for (size_t i = 0; i < n; i++)
            l->same[k][i] = k == 1 ? (uint32_t)i : map[i] < 0 ? UINT32_MAX : (uint32_t)map[i];
    }
    free(map);
}

static inline bool same_label(const struct labelling *l, size_t i)
{
    size_t y = row_of(l->pr, 1, i);
    if (l->same[0] != NULL)
        return l->same[0][l->a->code[i]] == l->same[1][l->b->code[y]];
    return !l->a->text && !l->b->text && ml_column_at(l->a, i) == ml_column_at(l->b, y);
}

static void compare_block(void *ctx, size_t block, size_t thread)
{
    struct labelling *l = ctx;
    size_t from = block * ML_PARALLEL_ROWS, end = ml_parallel_end(l->pr->n, block);
    uint32_t differ = 0;
    (void)thread;
    if (l->same[0] != NULL && l->pr->rows[1] == NULL)
        for (size_t i = from; i < end; i++)
            differ |= l->same[0][l->a->code[i]] ^ l->same[1][l->b->code[i]];
    else
        for (size_t i = from; i < end; i++)
            differ |= !same_label(l, i);
    l->differ[block] = differ != 0;
}

static size_t compare_labels(struct pairing *pr)
{
    struct labelling l = { .pr = pr, .a = &pr->p[0]->label, .b = &pr->p[1]->label };
    if (pr->rows[0] != NULL) {
        pr->matched = ml_column_pick(l.a, pr->rows[0], pr->n);
        l.a = &pr->matched;
    }
    size_t differ = 0, blocks = ml_parallel_blocks(pr->n);
    if (l.a->dense == NULL && l.b->dense == NULL)
        (l.a->text || l.b->text ? match_texts : match_numbers)(&l);
    l.differ = ml_calloc(blocks + 1, 1);
    ml_parallel(blocks, compare_block, &l);
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = b * ML_PARALLEL_ROWS; l.differ[b] && i < ml_parallel_end(pr->n, b); i++)
            if (!same_label(&l, i)) {
                pr->label = differ++ == 0 ? i : pr->label;
                add_example(pr, 1, row_of(pr, 1, i));
            }
    free(l.differ);
    free(l.same[0]);
    free(l.same[1]);
    return differ;
}

static size_t compare_divisions(struct pairing *pr, const struct ml_division *a, const struct ml_division *b)
{
    size_t differ = 0;
    if (a->of == NULL || b->of == NULL)
        return 0;
    int64_t *map = map_texts(&a->names, &b->names);
    for (size_t i = 0; i < pr->n; i++)
        if (map[a->of[row_of(pr, 0, i)]] != b->of[row_of(pr, 1, i)]) {
            pr->group = differ++ == 0 ? i : pr->group;
            add_example(pr, 1, row_of(pr, 1, i));
        }
    free(map);
    return differ;
}

static void slice_differs(void *ctx, size_t i)
{
    struct pairing *pr = ctx;
    pr->out->slices++;
    add_example(pr, 1, row_of(pr, 1, i));
}

static size_t compare_weights(struct pairing *pr)
{
    const double *a = pr->p[0]->weight, *b = pr->p[1]->weight;
    size_t differ = 0;
    for (size_t i = 0; a != NULL && b != NULL && i < pr->n; i++)
        if (a[row_of(pr, 0, i)] != b[row_of(pr, 1, i)]) {
            pr->weight = differ++ == 0 ? i : pr->weight;
            add_example(pr, 1, row_of(pr, 1, i));
        }
    return differ;
}

/* All rows of both files are paired, and by their identity they have the same labels, weights and groups. */
static bool same_data(const struct pairing *pr)
{
    return pr->n == pr->p[0]->n && pr->n == pr->p[1]->n && strcmp(pr->p[0]->data.s, pr->p[1]->data.s) == 0;
}

static void compare_rows(struct pairing *pr)
{
    struct ml_mismatch *m = pr->out;
    if (!same_data(pr)) {
        m->labels = compare_labels(pr);
        m->weights = compare_weights(pr);
        m->groups = compare_divisions(pr, &pr->p[0]->group, &pr->p[1]->group);
    }
    for (size_t i = 0; i < pr->p[0]->n_features; i++)
        for (size_t k = 0; k < pr->p[1]->n_features; k++)
            if (strcmp(pr->p[0]->features[i].name, pr->p[1]->features[k].name) == 0)
                ml_feature_compare(&pr->p[0]->features[i].f, &pr->p[1]->features[k].f, pr->rows[0], pr->rows[1], pr->n,
                    slice_differs, pr);
}

static void add_part(struct ml_buf *b, size_t n, const char *one, const char *many, const char *where)
{
    if (n > 0)
        ml_buf_addf(b, "%s%zu %s%s%s%s", b->len > 0 ? ", " : "", n, n == 1 ? one : many,
            where != NULL ? " only in '" : "", where != NULL ? where : "", where != NULL ? "'" : "");
}

/* The label of a row; of a set its members with ';' between them. Owned. */
static char *label_text(const struct ml_column *c, size_t row)
{
    char *text = ml_strdup(c->dense ? ML_PLAIN(c->dense[row], 6) : ml_intern_text(&c->dict, c->code[row]));
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ')
            text[i] = i + 1 < n ? ';' : '\0';
    return text;
}

static char *text_of(const struct pairing *pr, int k, size_t pair)
{
    const struct ml_predictions *p = pr->p[k];
    size_t row = row_of(pr, k, pair);
    if (pr->out->labels > 0)
        return label_text(&p->label, row);
    return ml_strdup(
        pr->out->weights > 0 ? ML_PLAIN(p->weight[row], 17) : ml_intern_text(&p->group.names, p->group.of[row]));
}

/* What both say of a row, so that it shows when one of them writes it in another way. */
static void describe_row(const struct pairing *pr, struct ml_buf *b)
{
    const struct ml_mismatch *m = pr->out;
    size_t pair = m->labels > 0 ? pr->label : m->weights > 0 ? pr->weight : pr->group;
    char number[24], *text[2] = { text_of(pr, 0, pair), text_of(pr, 1, pair) };
    ml_buf_addf(b, "; '%.60s' %s '%.40s' in '%.100s' and '%.40s' in '%.100s'",
        ml_predictions_id(pr->p[1], row_of(pr, 1, pair), number),
        m->labels > 0    ? "is labelled"
        : m->weights > 0 ? "weighs"
                         : "is of the group",
        text[0], pr->p[0]->name, text[1], pr->p[1]->name);
    free(text[0]);
    free(text[1]);
}

/* An id of the other file, for a mere difference in writing shows where both stand together. */
static void describe_other(const struct pairing *pr, struct ml_buf *b)
{
    char number[2][24];
    const char *theirs = ml_predictions_id(pr->p[0], pr->only, number[0]);
    const char *ours = ml_predictions_id(pr->p[1], pr->example[0], number[1]);
    double x, y;
    bool alike = ml_double_parse(theirs, strlen(theirs), &x) && ml_double_parse(ours, strlen(ours), &y) && x == y;
    ml_buf_addf(b, " in the second, '%.60s' in the first%s", theirs, alike ? ": ids are texts, write them alike" : "");
}

static void describe(struct pairing *pr)
{
    struct ml_mismatch *m = pr->out;
    struct ml_buf b;
    char number[24];
    ml_buf_init(&b, 590);
    add_part(&b, m->only_current, "id", "ids", pr->p[0]->name);
    add_part(&b, m->only_candidate, "id", "ids", pr->p[1]->name);
    add_part(&b, m->labels, "label differs", "labels differ", NULL);
    add_part(&b, m->weights, "weight differs", "weights differ", NULL);
    add_part(&b, m->groups, "group differs", "groups differ", NULL);
    add_part(&b, m->slices, "slice differs", "slices differ", NULL);
    for (size_t i = 0; i < pr->n_examples; i++)
        ml_buf_addf(&b, "%s'%.60s'", i > 0 ? ", " : " (for example ",
            ml_predictions_id(pr->p[pr->from], pr->example[i], number));
    if (m->only_candidate > 0 && m->only_current > 0)
        describe_other(pr, &b);
    ml_buf_adds(&b, ")");
    if (m->labels + m->weights + m->groups > 0)
        describe_row(pr, &b);
    if (m->labels > 0 && !pr->p[0]->has_id)
        ml_buf_adds(&b, "; without a column of ids both need the same order");
    else if (m->labels == 0 && m->weights + m->groups + m->slices > 0)
        ml_buf_addf(&b, "; without that column in '%.100s' the rows have the candidate's", pr->p[0]->name);
    snprintf(m->message, sizeof m->message, "%s", ml_buf_str(&b));
    ml_buf_release(&b);
}

/* Labels of the same data: those of the candidate, in the current model's codes. */
struct recoding {
    const struct ml_column *from;
    struct ml_column *to;
    const int64_t *code;
};

static void recode_block(void *ctx, size_t block, size_t thread)
{
    const struct recoding *r = ctx;
    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(r->to->n, block); i++)
        r->to->code[i] = (uint32_t)r->code[r->from->code[i]];
}

/* Brings the current model's labels into the order of the pairs without looking for each: false where the two files
 * write them in different ways, or they are too many different numbers. */
static bool recode_labels(struct pairing *pr)
{
    struct recoding r = { .from = &pr->p[1]->label, .to = &pr->p[0]->label };
    bool all = r.from->code != NULL && r.to->code != NULL;
    int64_t *code = map_texts(&r.from->dict, &r.to->dict);
    for (size_t i = 0; all && i < r.from->dict.n; i++)
        all = code[i] >= 0;
    r.code = code;
    if (all)
        ml_parallel(ml_parallel_blocks(pr->n), recode_block, &r);
    free(code);
    return all;
}

/* Where they were compared, the current model's labels have been picked already. */
static void take_matched(struct pairing *pr)
{
    struct ml_predictions *p = pr->p[0];
    struct ml_column label = pr->matched;
    if (label.n == 0)
        label = recode_labels(pr) ? p->label : ml_column_pick(&p->label, pr->rows[0], pr->n);
    if (label.code != p->label.code)
        free(p->label.code);
    if (label.dense != p->label.dense)
        free(p->label.dense);
    p->label = (struct ml_column){ 0 };
    ml_predictions_take(p, pr->rows[0], pr->n, false);
    p->label = label;
    pr->matched = (struct ml_column){ 0 };
}

#define INDEX_SHARE 4 /* of the memory limit: what the index of the ids may take */

int ml_predictions_pair(struct ml_predictions *current, struct ml_predictions *candidate, bool drop, uint64_t memory,
    struct ml_mismatch *out)
{
    struct pairing pr = { .p = { current, candidate }, .out = out };
    int rc = 1;
    *out = (struct ml_mismatch){ 0 };
    if (current->has_id != candidate->has_id || (!current->has_id && current->n != candidate->n)) {
        if (current->has_id != candidate->has_id)
            snprintf(out->message, sizeof out->message,
                "only '%.200s' has a column of ids: both need one (--id), or none and the same order",
                current->has_id ? current->name : candidate->name);
        else
            snprintf(out->message, sizeof out->message, "%zu row%s and %zu row%s, and no column of ids", current->n,
                ML_PLURAL(current->n), candidate->n, ML_PLURAL(candidate->n));
        return 1;
    }
    if (current->has_id)
        join(&pr, memory / INDEX_SHARE);
    else
        pr.n = current->n;
    bool unmatched = out->only_current + out->only_candidate > 0;
    if (drop && unmatched)
        pr.n_examples = 0;
    compare_rows(&pr);
    if (out->labels + out->weights + out->groups + out->slices > 0 || (unmatched && !drop)) {
        describe(&pr);
    } else if (pr.n == 0) {
        snprintf(out->message, sizeof out->message, "no id is in both");
    } else {
        rc = 0;
        if (pr.rows[0] != NULL)
            take_matched(&pr);
        else
            ml_predictions_drop_ids(current, true);
        if (pr.rows[1] != NULL)
            ml_predictions_take(candidate, pr.rows[1], pr.n, true);
    }
    free(pr.matched.code);
    free(pr.matched.dense);
    free(pr.rows[0]);
    free(pr.rows[1]);
    return rc;
}
