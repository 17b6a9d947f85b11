/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hash joins, part by part. */
#include "data/rowjoin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"

#define PART_BITS  10
#define PARTS      ((size_t)1 << PART_BITS)
#define CHUNK_ROWS ((size_t)1 << 15) /* of which the keys stay in the cache until they are dealt */

struct part_key {
    uint64_t lo;
    uint32_t hi; /* the bits behind those that tell the part; of a row that was joined its match */
    uint32_t row;
};

/* Rows are counted from the chunk's first one; each part is in their order. */
struct ml_keychunk {
    size_t from, n;
    uint32_t start[PARTS + 1];
    struct part_key v[];
};

/* The parts that are dealt at a time. */
struct range {
    size_t first, end;
};

static size_t part_of(struct ml_hash128 key)
{
    return key.hi & (PARTS - 1);
}

static struct ml_keychunk *deal(const struct ml_hash128 *keys, size_t n, struct range parts)
{
    uint32_t at[PARTS + 1] = { 0 }, sum = 0;
    for (size_t i = 0; i < n; i++)
        at[part_of(keys[i])]++;
    for (size_t p = 0; p <= PARTS; p++) {
        uint32_t rows = p >= parts.first && p < parts.end ? at[p] : 0;
        at[p] = sum;
        sum += rows;
    }
    struct ml_keychunk *c = ml_malloc(sizeof *c + sum * sizeof *c->v);
    ml_populate(c, sizeof *c + sum * sizeof *c->v);
    c->n = n;
    memcpy(c->start, at, sizeof c->start);
    bool all = parts.end - parts.first == PARTS;
    for (size_t i = 0; i < n; i++) {
        size_t p = part_of(keys[i]);
        if (all || (p >= parts.first && p < parts.end))
            c->v[at[p]++] = (struct part_key){ keys[i].lo, (uint32_t)(keys[i].hi >> PART_BITS), (uint32_t)i };
    }
    return c;
}

struct ml_keychunk *ml_keychunk_new(const struct ml_hash128 *keys, size_t n)
{
    return deal(keys, n, (struct range){ 0, PARTS });
}

void ml_rowkeys_add(struct ml_rowkeys *k, struct ml_keychunk *c)
{
    k->chunks = ml_grow(k->chunks, &k->cap, k->n + 1, sizeof(struct ml_keychunk *));
    k->chunks[k->n++] = c;
    c->from = k->end;
    k->end += c->n;
}

void ml_rowkeys_release(struct ml_rowkeys *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->chunks[i]);
    free(k->chunks);
    *k = (struct ml_rowkeys){ 0 };
}

/* ---- dealing what a source has ---- */

struct dealing {
    const struct ml_keysource *s;
    size_t from, end;
    struct range parts;
    struct ml_keychunk **out;
    struct ml_hash128 *keys[ML_PARALLEL_MAX];
};

static void deal_chunk(void *ctx, size_t i, size_t thread)
{
    struct dealing *d = ctx;
    size_t from = d->from + i * CHUNK_ROWS, n = d->end - from < CHUNK_ROWS ? d->end - from : CHUNK_ROWS;
    if (d->keys[thread] == NULL)
        d->keys[thread] = ml_malloc(CHUNK_ROWS * sizeof *d->keys[thread]);
    d->s->get(d->s->ctx, from, n, d->keys[thread]);
    d->out[i] = deal(d->keys[thread], n, d->parts);
    d->out[i]->from = from;
}

/* Deals the rows from .. end-1; the chunks stand in front of those that are there already, or behind them. */
static void deal_rows(struct ml_rowkeys *k, const struct ml_keysource *s, size_t from, size_t end, struct range parts)
{
    struct dealing d = { .s = s, .from = from, .end = end, .parts = parts };
    size_t chunks = (end - from + CHUNK_ROWS - 1) / CHUNK_ROWS, at = from < k->from ? 0 : k->n;
    if (chunks == 0)
        return;
    k->chunks = ml_grow(k->chunks, &k->cap, k->n + chunks, sizeof(struct ml_keychunk *));
    memmove(k->chunks + at + chunks, k->chunks + at, (k->n - at) * sizeof(struct ml_keychunk *));
    d.out = k->chunks + at;
    k->n += chunks;
    ml_parallel(chunks, deal_chunk, &d);
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(d.keys[i]);
}

static void complete(struct ml_rowkeys *k, const struct ml_keysource *s, struct range parts)
{
    deal_rows(k, s, 0, k->from, parts);
    deal_rows(k, s, k->end, s->n, parts);
    k->from = 0;
    k->end = s->n;
}

void ml_rowkeys_complete(struct ml_rowkeys *k, const struct ml_keysource *s)
{
    complete(k, s, (struct range){ 0, PARTS });
}

/* ---- tables ---- */

static size_t parts_of_job(size_t rows)
{
    return rows < CHUNK_ROWS ? PARTS : 1;
}

/* Each thread's hash table of one part. */
struct tables {
    struct part_key *v[ML_PARALLEL_MAX];
    size_t cap[ML_PARALLEL_MAX];
};

static void tables_release(struct tables *t)
{
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++)
        free(t->v[i]);
}

/* The keys of a part in chunk i, of which the next chunk's are asked for. */
static struct part_key *part_in(const struct ml_rowkeys *k, size_t part, size_t i, size_t *n)
{
    const struct ml_keychunk *next = i + 1 < k->n ? k->chunks[i + 1] : NULL;
    struct ml_keychunk *c = k->chunks[i];
    if (next != NULL)
        for (size_t at = next->start[part]; at < next->start[part + 1]; at += 64 / sizeof *next->v)
            __builtin_prefetch(&next->v[at]);
    *n = c->start[part + 1] - c->start[part];
    return c->v + c->start[part];
}

/* An empty table for a part's keys; *mask is its size less 1. */
static struct part_key *table_for(
    struct tables *t, size_t thread, const struct ml_rowkeys *k, size_t part, size_t *mask)
{
    size_t size = 2, n = 0;
    for (size_t i = 0; i < k->n; i++)
        n += k->chunks[i]->start[part + 1] - k->chunks[i]->start[part];
    while (size < n * 4) /* so sparse that most keys meet no other */
        size *= 2;
    if (size > t->cap[thread]) {
        free(t->v[thread]);
        t->v[thread] = ml_malloc(size * sizeof *t->v[thread]);
        t->cap[thread] = size;
    }
    memset(t->v[thread], 0xff, size * sizeof *t->v[thread]); /* no row */
    *mask = size - 1;
    return t->v[thread];
}

/* Where the key is, or could be. */
static inline struct part_key *find(struct part_key *table, size_t mask, const struct part_key *key)
{
    size_t at = key->lo & mask;
    while (table[at].row != ML_ROWJOIN_NONE && (table[at].lo != key->lo || table[at].hi != key->hi))
        at = (at + 1) & mask;
    return &table[at];
}

/* ---- joining ---- */

struct joining {
    struct ml_rowkeys *a, *b;
    struct range parts;
    size_t at_a_time; /* parts of a job */
    struct tables tables;
    uint32_t *match;
    atomic_size_t matched;
};

static void join_part(struct joining *j, size_t part, size_t thread)
{
    size_t mask, n;
    struct part_key *table = table_for(&j->tables, thread, j->a, part, &mask);
    for (size_t c = 0; c < j->a->n; c++) {
        const struct part_key *v = part_in(j->a, part, c, &n);
        uint32_t from = (uint32_t)j->a->chunks[c]->from;
        for (size_t i = 0; i < n; i++)
            *find(table, mask, &v[i]) = (struct part_key){ v[i].lo, v[i].hi, from + v[i].row };
    }
    for (size_t c = 0; c < j->b->n; c++) {
        struct part_key *v = part_in(j->b, part, c, &n);
        for (size_t i = 0; i < n; i++)
            v[i].hi = find(table, mask, &v[i])->row;
    }
}

static void join_parts(void *ctx, size_t job, size_t thread)
{
    struct joining *j = ctx;
    size_t part = j->parts.first + job * j->at_a_time, end = part + j->at_a_time;
    for (; part < end && part < j->parts.end; part++)
        join_part(j, part, thread);
}

/* Back into the order of the rows, while those of a chunk stay in the cache. */
static size_t put_matches(const struct ml_keychunk *c, uint32_t *match)
{
    size_t matched = 0;
    for (size_t i = 0; i < c->start[PARTS]; i++) {
        match[c->v[i].row] = c->v[i].hi;
        matched += c->v[i].hi != ML_ROWJOIN_NONE;
    }
    return matched;
}

/* Gives back a chunk of both. */
static void finish_chunk(void *ctx, size_t i, size_t thread)
{
    struct joining *j = ctx;
    (void)thread;
    if (i < j->b->n) {
        j->matched += put_matches(j->b->chunks[i], j->match + j->b->chunks[i]->from);
        free(j->b->chunks[i]);
        j->b->chunks[i] = NULL;
    }
    if (i < j->a->n) {
        free(j->a->chunks[i]);
        j->a->chunks[i] = NULL;
    }
}

static size_t join(struct ml_rowkeys *a, struct ml_rowkeys *b, struct range parts, uint32_t *match)
{
    struct joining j = { .a = a, .b = b, .parts = parts, .match = match };
    j.at_a_time = parts_of_job(a->end + b->end);
    ml_parallel((parts.end - parts.first + j.at_a_time - 1) / j.at_a_time, join_parts, &j);
    ml_parallel(a->n > b->n ? a->n : b->n, finish_chunk, &j);
    tables_release(&j.tables);
    ml_rowkeys_release(a);
    ml_rowkeys_release(b);
    return j.matched;
}

size_t ml_rowjoin(const struct ml_keysource *a, struct ml_rowkeys *dealt_a, const struct ml_keysource *b,
    struct ml_rowkeys *dealt_b, uint64_t memory, uint32_t *match, size_t *matched)
{
    uint64_t need = ((uint64_t)a->n + b->n) * sizeof(struct part_key);
    uint64_t least = memory > 0 ? memory : 1;
    size_t passes = need / least >= PARTS ? PARTS : (size_t)(need / least) + 1;
    if (passes > 1) {
        ml_rowkeys_release(dealt_a);
        ml_rowkeys_release(dealt_b);
    }
    *matched = 0;
    for (size_t pass = 0; pass < passes; pass++) {
        struct range parts = { PARTS * pass / passes, PARTS * (pass + 1) / passes };
        complete(dealt_a, a, parts);
        complete(dealt_b, b, parts);
        *matched += join(dealt_a, dealt_b, parts, match);
    }
    return passes;
}

/* ---- duplicates ---- */

struct twice {
    const struct ml_rowkeys *k;
    size_t at_a_time;
    struct tables tables;
    uint32_t (*found)[2]; /* of each part: the rows, or ML_ROWJOIN_NONE */
};

/* The keys of one part against each other, in the order of their rows. */
static void look_in_part(struct twice *t, size_t part, size_t thread)
{
    size_t mask, n;
    struct part_key *table = table_for(&t->tables, thread, t->k, part, &mask);
    t->found[part][1] = ML_ROWJOIN_NONE;
    for (size_t c = 0; c < t->k->n; c++) {
        const struct part_key *v = part_in(t->k, part, c, &n);
        uint32_t from = (uint32_t)t->k->chunks[c]->from;
        for (size_t i = 0; i < n; i++) {
            struct part_key *at = find(table, mask, &v[i]);
            if (at->row != ML_ROWJOIN_NONE) {
                t->found[part][0] = at->row;
                t->found[part][1] = from + v[i].row;
                return;
            }
            *at = (struct part_key){ v[i].lo, v[i].hi, from + v[i].row };
        }
    }
}

static void look_for_twice(void *ctx, size_t job, size_t thread)
{
    struct twice *t = ctx;
    for (size_t part = job * t->at_a_time; part < (job + 1) * t->at_a_time; part++)
        look_in_part(t, part, thread);
}

bool ml_rowkeys_twice(const struct ml_rowkeys *k, size_t *first, size_t *second)
{
    struct twice t = { .k = k, .at_a_time = parts_of_job(k->end), .found = ml_calloc(PARTS, sizeof *t.found) };
    bool found = false;
    ml_parallel(PARTS / t.at_a_time, look_for_twice, &t);
    for (size_t p = 0; p < PARTS; p++)
        if (t.found[p][1] != ML_ROWJOIN_NONE && (!found || t.found[p][1] < *second)) {
            *first = t.found[p][0];
            *second = t.found[p][1];
            found = true;
        }
    tables_release(&t.tables);
    free(t.found);
    return found;
}
