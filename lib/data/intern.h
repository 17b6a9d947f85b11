/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dictionary: every distinct text gets a number, counted from 0 in the order in which the texts came. */
#ifndef ML_DATA_INTERN_H
#define ML_DATA_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/word.h"

struct ml_intern_entry {
    size_t off; /* in the arena */
    uint32_t len;
    uint32_t hash;
};

#define ML_INTERN_MEMO 64

/* A short text whose number was asked for not long ago: its bytes and, in the highest, its length. */
struct ml_intern_memo {
    uint64_t word;
    uint32_t number;
};

/* Starts zeroed. The texts lie one behind the other, each with a NUL. */
struct ml_intern {
    char *arena;
    size_t used, arena_cap;
    struct ml_intern_entry *entries;
    size_t n, entries_cap;
    uint32_t *slots; /* number + 1, or 0 */
    size_t slots_n;  /* a power of two, or 0 */
    struct ml_intern_memo memo[ML_INTERN_MEMO];
};

void ml_intern_release(struct ml_intern *d);

/* Empties it, keeping its memory. */
void ml_intern_reset(struct ml_intern *d);

/* The number of a text, which is added when it is new. */
uint32_t ml_intern_put(struct ml_intern *d, const char *s, size_t len);

/* The same of a short text that was put not long ago; false: it wasn't. */
static inline uint64_t ml_intern_word(const char *s, size_t len)
{
    return ml_word(s, len) | (uint64_t)(len + 1) << 56;
}

static inline struct ml_intern_memo *ml_intern_memo(struct ml_intern *d, uint64_t word)
{
    return &d->memo[(word * 0x9E3779B97F4A7C15u) >> 58];
}

static inline bool ml_intern_recent(struct ml_intern *d, const char *s, size_t len, uint32_t *number)
{
    if (len >= 8)
        return false;
    uint64_t word = ml_intern_word(s, len);
    const struct ml_intern_memo *m = ml_intern_memo(d, word);
    *number = m->number;
    return m->word == word;
}

/* The number of a text, or -1. */
int64_t ml_intern_find(const struct ml_intern *d, const char *s, size_t len);

/* The text with a number; borrowed until the next put. */
const char *ml_intern_text(const struct ml_intern *d, uint32_t i);

#endif
