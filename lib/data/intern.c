/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open-addressing hash table over an arena of texts. */
#include "data/intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/rowhash.h"

void ml_intern_release(struct ml_intern *d)
{
    free(d->arena);
    free(d->entries);
    free(d->slots);
    *d = (struct ml_intern){ 0 };
}

void ml_intern_reset(struct ml_intern *d)
{
    if (d->n > 0)
        memset(d->slots, 0, d->slots_n * sizeof *d->slots);
    memset(d->memo, 0, sizeof d->memo);
    d->n = d->used = 0;
}

static void rehash(struct ml_intern *d)
{
    size_t n = d->slots_n == 0 ? 64 : d->slots_n * 2;
    free(d->slots);
    d->slots = ml_calloc(n, sizeof *d->slots);
    d->slots_n = n;
    for (size_t i = 0; i < d->n; i++) {
        size_t at = d->entries[i].hash & (n - 1);
        while (d->slots[at] != 0)
            at = (at + 1) & (n - 1);
        d->slots[at] = (uint32_t)i + 1;
    }
}

/* The slot that holds the text, or the empty one where it belongs. */
static size_t slot_of(const struct ml_intern *d, const char *s, size_t len, uint32_t hash)
{
    size_t at = hash & (d->slots_n - 1);
    for (; d->slots[at] != 0; at = (at + 1) & (d->slots_n - 1)) {
        const struct ml_intern_entry *e = &d->entries[d->slots[at] - 1];
        if (e->hash == hash && e->len == len && memcmp(d->arena + e->off, s, len) == 0)
            break;
    }
    return at;
}

static uint32_t put(struct ml_intern *d, const char *s, size_t len)
{
    if (d->n * 2 >= d->slots_n)
        rehash(d);
    uint32_t hash = (uint32_t)ml_hash64(s, len);
    size_t at = slot_of(d, s, len, hash);
    if (d->slots[at] != 0)
        return d->slots[at] - 1;
    d->entries = ml_grow(d->entries, &d->entries_cap, d->n + 1, sizeof *d->entries);
    d->arena = ml_grow(d->arena, &d->arena_cap, d->used + len + 1, 1);
    memcpy(d->arena + d->used, s, len);
    d->arena[d->used + len] = '\0';
    d->entries[d->n] = (struct ml_intern_entry){ d->used, (uint32_t)len, hash };
    d->used += len + 1;
    d->slots[at] = (uint32_t)++d->n;
    return (uint32_t)d->n - 1;
}

uint32_t ml_intern_put(struct ml_intern *d, const char *s, size_t len)
{
    uint32_t number;
    if (ml_intern_recent(d, s, len, &number))
        return number;
    number = put(d, s, len);
    if (len < 8) {
        uint64_t word = ml_intern_word(s, len);
        *ml_intern_memo(d, word) = (struct ml_intern_memo){ word, number };
    }
    return number;
}

int64_t ml_intern_find(const struct ml_intern *d, const char *s, size_t len)
{
    if (d->n == 0)
        return -1;
    return (int64_t)d->slots[slot_of(d, s, len, (uint32_t)ml_hash64(s, len))] - 1;
}

const char *ml_intern_text(const struct ml_intern *d, uint32_t i)
{
    return d->arena + d->entries[i].off;
}
