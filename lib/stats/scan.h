/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A search for rows on which a model loses more than on the rest: all values of some columns, and all pairs of values
 * of two columns.
 *
 * Each slice is held against all other rows by the linearised variance of the difference of two means (rows: Welch
 * 1938, Biometrika 29, 350; groups: Binder 1983, as in measure.h) or, where that is larger, the variance that it would
 * have if the slice were like all rows; Student's t with one degree of freedom less than there are rows or groups on
 * the smaller side, p two-sided. All slices with enough rows are one family (Holm, verdict.h), whatever they hold. */
#ifndef ML_STATS_SCAN_H
#define ML_STATS_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define ML_SCAN_NONE   255         /* a value that isn't looked at */
#define ML_SCAN_MOST   10          /* slices that are told */
#define ML_SCAN_VISITS 4000000000u /* rows that pairs may be looked up in, all together */

struct ml_scan {
    size_t n, columns;
    const uint8_t *const *code; /* of each column the rows' values, below values[column] or ML_SCAN_NONE */
    const uint8_t *values;      /* at most ML_SCAN_NONE */
    const double *loss;         /* of moderate size; more is worse */
    const double *weight;       /* NULL: all alike */
    const uint32_t *group;      /* NULL: each row its own */
    uint32_t groups;
    size_t least; /* rows that a slice and the rest must have; of groups ten */
    double alpha;
};

struct ml_scanned {
    size_t n; /* columns: 1 or 2 */
    uint32_t column[2];
    uint8_t value[2];
    size_t rows;
    double mean, rest, se, low, high, p, p_adjusted; /* low and high: of mean - rest, 1 - alpha, not adjusted */
};

struct ml_scan_result {
    size_t looked_at;
    size_t paired; /* columns, from the first on, of which pairs were looked at: all, unless there are very many */
    size_t n;
    struct ml_scanned v[ML_SCAN_MOST]; /* worse than the rest by Holm's p, by descending `low`; parts behind wholes */
};

/* Left out are slices that another one explains: pairs that aren't surely worse than the rest of one of their two
 * values, where that is worse than the rest by Holm's p itself; and those of which nothing that is surely worse is left
 * without the rows of another that is told. Surely: as above, among the rows of the one value, or those that the other
 * slice hasn't, corrected (Bonferroni) for all slices that were looked at. Of the former pairs the worst are asked
 * about, by `low`; the others are left out when that has taken long. */
void ml_scan(const struct ml_scan *s, struct ml_scan_result *out);

#endif
