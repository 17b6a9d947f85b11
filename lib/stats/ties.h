/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scores of two classes in their order: how many of each class share a score and, where asked for, which rows. */
#ifndef ML_STATS_TIES_H
#define ML_STATS_TIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Groups of one score each, in ascending order, positives << 32 | negatives. They lie in parts, which are the same
 * with rows or without, and however many threads made them: v[from .. from + n - 1], with `pos` positives and `neg`
 * negatives below them. */
struct ml_ties_part {
    size_t from, n, pos, neg;
};

struct ml_ties {
    uint64_t *v;
    struct ml_ties_part *parts;
    size_t n_parts;
    size_t pos, neg; /* in all */
    uint32_t *row;   /* the rows, group by group, the negatives of each first; NULL unless asked for */
};

/* The last row; the row that comes some places behind one, for rows lie in memory in no order and are asked for early.
 */
static inline const uint32_t *ml_ties_last(const struct ml_ties *t)
{
    return t->row + (t->pos + t->neg) - 1;
}

static inline const uint32_t *ml_ties_ahead(const uint32_t *row, const uint32_t *last)
{
    return last - row > 24 ? row + 24 : last;
}

/* n finite scores, n at most UINT32_MAX; a row is positive where label[row] is `positive`. 8 bytes a row, 12 with
 * `rows`, and up to as much again, 32 with rows, while it runs. */
struct ml_ties *ml_ties_new(const double *score, const int32_t *label, int32_t positive, size_t n, bool rows);
void ml_ties_free(struct ml_ties *t); /* NULL is fine */

#endif
