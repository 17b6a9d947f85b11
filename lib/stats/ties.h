/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scores of two classes in their order: how many of each class share a score and, where asked for, which rows. */
#ifndef ML_STATS_TIES_H
#define ML_STATS_TIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
    uint32_t *cell;  /* where all scores are k / scale, k = 0 .. scale: the k of each group; else NULL */
    double scale;
};

/* The k of a score; of each there is one entry for each class in a table of cells. */
static inline uint32_t ml_ties_cell(double scale, double score)
{
    double at = score * scale + 0x1p52; /* has k in its lowest bits */
    uint64_t k;

    memcpy(&k, &at, sizeof k);
    return (uint32_t)k;
}

static inline size_t ml_ties_entries(const struct ml_ties *t)
{
    return 2 * ((size_t)t->scale + 1);
}

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

enum ml_ties_with { ML_TIES_ALONE, ML_TIES_ROWS, ML_TIES_CELLS /* or else rows */ };

/* n finite scores, n at most UINT32_MAX; a row is positive where label[row] is `positive`. 8 bytes a row, 12 with rows
 * or cells, and up to as much again, 32 with rows, while it runs. */
struct ml_ties *ml_ties_new(
    const double *score, const int32_t *label, int32_t positive, size_t n, enum ml_ties_with with);
/* Whether there may be cells, as the first rows tell. */
bool ml_ties_countable(const double *score, size_t n);
void ml_ties_free(struct ml_ties *t); /* NULL is fine */

#endif
