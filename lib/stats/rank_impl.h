/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What metrics and curves of the order of scores share: one class against other rows, on sorted scores. */
#ifndef ML_STATS_RANK_IMPL_H
#define ML_STATS_RANK_IMPL_H

#include "stats/measure_impl.h"

/* One class against the rest. Starts with s, by, score, stride and k; ml_rank_sides fills the counts. */
struct ranking {
    const struct ml_sample *s;
    const struct weighting *by;
    const uint32_t *order;
    const unsigned char *mark; /* what stands at each place of the order: ML_MARK_... */
    const double *score;       /* of row i: score[i * stride] */
    size_t stride;
    int32_t k;
    size_t pos_rows, neg_rows;
    double pos, neg; /* sums of weights */
};

/* A binary sample's ranking with its sides counted; its order and marks are kept by `m` for the next metric. */
struct ranking ml_rank_binary(struct ml_measure *m, const struct weighting *by);

/* What stands at each place of r->order. */
void ml_rank_mark(const struct ranking *r, unsigned char *mark);
void ml_rank_sides(struct ranking *r);

/* End of the tie group that starts at `at`, with the weights of its positives and negatives. */
size_t ml_rank_tie_group(const struct ranking *r, size_t at, double *pos, double *neg);

/* The area, and placement values in `place` (NULL is fine); both sides have rows. */
double ml_rank_area(const struct ranking *r, double *place);
/* Adds share * psi of an area; `delong` as in measure_impl.h. */
void ml_rank_add_area_psi(
    const struct ranking *r, double area, const double *place, double share, bool delong, double *psi);
/* Average precision, and its influences in `psi` (NULL is fine); there are positives. */
double ml_rank_precision(const struct ranking *r, double *psi);
/* The same without weights, and what the sum over the positives loses when a row is left out. */
double ml_rank_precision_without(const struct ranking *r, double *lost);
/* n - 1 times what the value itself then loses, added to psi in the part that `share` is. */
void ml_rank_add_without(const struct ranking *r, double value, const double *lost, double share, double *psi);
/* Makes their mean 0; returns what the jackknife thinks the value is too large by (Quenouille 1956). */
double ml_rank_centre(double *psi, size_t n);

/* rank_many.c: several classes, each against the rest or the pairs of them. */
bool ml_rank_ovr(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi);
bool ml_rank_ovo(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi);
/* The sum over the classes of a row's placements. */
void ml_rank_ovr_places(struct ml_measure *m, const struct weighting *by, double *out);

/* rank_top.c: what one cut through the order tells. `rows`, where not NULL: what part of each row is above it. */
bool ml_rank_ks(struct ml_measure *m, const struct weighting *by, struct ml_value *v, double *psi, double *rows);
bool ml_rank_top(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v,
    double *psi, double *rows);

#endif
