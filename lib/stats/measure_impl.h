/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind measure.h share. */
#ifndef ML_STATS_MEASURE_IMPL_H
#define ML_STATS_MEASURE_IMPL_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/interval.h"
#include "stats/measure.h"
#include "stats/ties.h"

/* A way to weight the rows: the sample's own weights, or one bootstrap replicate's (then `counts`, and weights may be
 * 0). */
struct weighting {
    const double *w;        /* NULL: 1 each */
    const uint32_t *counts; /* NULL: not a replicate */
};

/* Weighted shares of the classes: of the rows whose label it is, that were predicted it, and both. */
struct class_counts {
    int32_t k;
    struct weighting by; /* of the rows that were counted; borrowed */
    double total;        /* sum of weights */
    double *truth, *pred, *hit;
    double *miss, *alarm, *others; /* truth - hit, pred - hit and total - truth, without the difference */
    bool every;                    /* sets of labels: means are over all classes */
};

#define ONE_ROW_CLASS "a class has a single row"
#define NO_VARIANCE   "the variance is 0"
#define NO_ROW        "no row in the denominator"
#define NO_INTERVAL   "no interval: rows that weren't drawn may lie anywhere"

struct known_value {
    const struct ml_metric *metric;
    struct ml_value v;
    double squares, cubes; /* sums of the powers of the influences, of an area DeLong's; NAN: not known */
};

/* Of the rows of a cell and a class: what is looked up together. */
struct cell_entry {
    double psi;
    uint32_t place;
};

struct ml_measure {
    struct ml_sample s; /* weights: NULL when all alike, none 0, of moderate size; group: NULL when each row its own */
    struct ml_sample_copy copy;                 /* owns s, where it isn't the caller's */
    double *weight;                             /* owns s.weight, where it was rescaled */
    size_t groups;                              /* distinct ones present; 0: ungrouped */
    double total, squares;                      /* sums of the weights and of their squares */
    struct class_counts *rows;                  /* counts of rows, weights aside */
    struct class_counts *sums;                  /* counts with weights */
    struct class_counts *of_squares, *of_cubes; /* macro.c: with weights or groups; NULL until asked for */
    uint32_t *order;                            /* binary: rows by ascending score; regression: by ascending |error| */
    unsigned char *mark;                        /* what rank.c notes at each place of a binary order */
    int proba;                                  /* -1: not looked; else whether scores are probabilities */
    const char *proba_reason;
    struct ml_queries *queries; /* ranking: rows by query; NULL until asked for */
    double *psi;                /* room for one influence a row */
    uint64_t *cells;            /* the confusion matrix, rows; NULL until asked for */
    struct ml_ties *ties;       /* binary: the scores' tie groups; NULL until asked for */
    enum ml_ties_with with;     /* what will be needed beside them */
    uint32_t *places;           /* delta_plain.c: twice each row's placement value; NULL until asked for */
    struct cell_entry *entries; /* the same of each cell's negatives and positives, and their influences */
    struct ml_value precision;  /* with entries: average precision, and the sum of its squared influences */
    double precision_squares;
    size_t up, down; /* rows whose placement is higher or lower with the measure of this serial */
    double above[3]; /* with entries: what the influences come to that are held against that measure's */
    uint64_t moved_with;
    uint64_t serial; /* no other measure has it */
    uint64_t *joint; /* confusion cells (label, pred, other's pred) with the measure of this serial */
    uint64_t joint_with;
    struct table *tuned; /* threshold.c: replicates with the threshold chosen anew; NULL until asked for */
    uint64_t tuned_seed;
    size_t tuned_replicates;
    const struct table
        *part; /* the same where all rows that these are a part of choose it; borrowed, NULL for others */
    size_t part_replicates;
    struct known_value *known; /* values that were asked for */
    size_t n_known, known_cap;
};

static inline double weight_of(const struct weighting *by, size_t i)
{
    return by->w ? by->w[i] : 1;
}

/* v->ok = false with a reason. Returns false, too. */
bool ml_value_none(struct ml_value *v, const char *reason);

/* counts.c: metrics that follow from the three counts per class. psi(label, pred) is hit[label] where both are the
 * same, else c + miss[label] + alarm[pred] + far (|label - pred|^power - about). Beside a row that has nearly all the
 * weight, and so next to no influence, all others' may be worth next to nothing: each has its digits, not just their
 * sum. */
struct cell_psi {
    double c;
    double *hit, *miss, *alarm;
    double far, about;
    int power; /* 0 to 2, where far isn't 0 */
};

static inline double cell_distance(int32_t y, int32_t p, int power)
{
    double d = fabs((double)y - (double)p);

    return power == 2 ? d * d : power == 1 ? d : y != p;
}

static inline double cell_at(const struct cell_psi *cell, int32_t y, int32_t p)
{
    double psi = cell->c + cell->miss[y] + cell->alarm[p];

    if (y == p)
        return cell->hit[y];
    return cell->far != 0 ? psi + cell->far * (cell_distance(y, p, cell->power) - cell->about) : psi;
}

/* A metric that is gain hit / (gain hit + truth miss + pred alarm), where miss and alarm are counts of labels and of
 * predictions that aren't hits: of a class, a row, or all. 0/0 is 0 (zero_division). */
struct class_ratio {
    double gain, truth, pred;
    bool negatives;     /* specificity: of the rows of other classes */
    double value, rest; /* which is 1 - value */
    double denominator;
};

struct class_ratio ml_ratio(const struct ml_metric *metric, double hit, double miss, double alarm);

struct class_counts *ml_counts_none(int32_t classes); /* all 0 */
void ml_counts_others(struct class_counts *c);        /* from truth */
/* out[k] = sum over the other classes j of counts[j] |k - j|^power / total, in two passes; nothing is subtracted. */
void ml_counts_distance(const double *counts, double total, int32_t n, int power, double *out);
struct class_counts *ml_counts_new(const struct ml_sample *s, const struct weighting *by);
struct class_counts *ml_counts_of_cells(int32_t k, const uint64_t *cells); /* of rows, from their confusion matrix */
void ml_counts_free(struct class_counts *c);
/* Value from counts; cell NULL or zeroed arrays of k. */
bool ml_counts_value(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell);
/* agreement.c; kappa is false where all is of one class. */
bool ml_counts_kappa(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *c,
    struct ml_value *v, struct cell_psi *cell);
double ml_counts_mcc(const struct class_counts *c, struct cell_psi *cell);
/* Rows in the metric's denominator. */
size_t ml_counts_rows(const struct ml_sample *s, const struct ml_metric *metric, const struct class_counts *rows);
/* Of one class; specificity: what is right of the rows of other classes. */
struct class_ratio ml_counts_ratio(const struct ml_metric *metric, const struct class_counts *c, int32_t k);
/* Specificity: what was found for the rows without a class is theirs of all other classes; nothing is subtracted. */
void ml_counts_share_negatives(struct cell_psi *cell, int32_t k);
/* Is the class among those whose mean is taken? */
bool ml_counts_averaged(const struct ml_metric *metric, const struct class_counts *c, int32_t k);
/* Is row i, or one of this label and prediction, in the denominator (of a proportion)? */
bool ml_counts_within(const struct ml_sample *s, const struct ml_metric *metric, size_t i);
bool ml_counts_cell_within(const struct ml_sample *s, const struct ml_metric *metric, int32_t label, int32_t pred);
/* Limits of a metric whose fallback is JACCARD, from those of the share that stands behind it. */
void ml_counts_from_share(const struct ml_metric *metric, double *low, double *high);

/* macro.c: means over classes (fallback MACRO). Their units are the rows in a class's denominator, or the groups these
 * come from; n units of weights w count as many as (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling, 11.7).
 *
 * The cells' influences as the standard error is made of them: what the mean changes by when a unit is left out, times
 * sqrt((n-1)/n), as the jackknife of a stratified sample has it (Wolter 2007, Introduction to Variance
 * Estimation, 4.5), which is unbiased for shares. A class of one unit shows no spread: the values of all of these stand
 * about their mean instead, as in collapsed strata (Cochran 1977, Sampling Techniques, 5A.12), one alone about the mean
 * of all classes. */
void ml_macro_spread(struct ml_measure *m, const struct ml_metric *metric, struct cell_psi *cell);
/* The same of sets of labels, by rows. */
void ml_macro_labels(struct ml_measure *m, const struct ml_metric *metric, double *psi);

/* Nor does a class at 0 or 1 show any, or a small one all of it. So a row more is thought to be there, right in half of
 * the cases, in parts over the classes by the variance that each may have at most, which goes by 1/n: what Agresti &
 * Coull 1998 (Am. Statist. 52, 119) do to a share, and Price & Bonett 2004 (Comput. Statist. Data Anal. 45, 449) to a
 * sum of shares, with as much as a logit asks for, half a row of either kind (Gart & Zweifel 1967, Biometrika 54, 181).
 * Without it the interval of a mean over classes of 100 rows and of 3 (shares .98 and .9) covers .34. */
struct ml_macro_added {
    double squares, cubes; /* sums of the powers of its influences */
    double curve;          /* of struct ml_arm */
};

/* In the units of ml_measure_squares. Other metrics: false, and all 0. */
bool ml_macro_added(struct ml_measure *m, const struct ml_metric *metric, struct ml_macro_added *out);
/* The same of the difference of two models, which are right in it independently of each other, as much of it being in
 * each of the four cells (Agresti & Min 2005, Statist. Med. 24, 729). Of a class that shows no spread in either of them
 * one is right where the other is wrong, the worst, as two shares of 0 or 1 are compared. `curve` is 0. */
void ml_macro_added_pair(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, struct ml_macro_added *out);

/* labels.c, labels_score.c: several labels a row. */
bool ml_labels_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi);
bool ml_labels_score_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    bool delong, struct ml_value *v, double *psi);
/* Influences by rows from those of cells. */
void ml_labels_spread(const struct ml_sample *s, const struct cell_psi *cell, double *psi);
/* What each row contributes. */
void ml_labels_rows(struct ml_measure *m, const struct ml_metric *metric, double *out);
void ml_labels_score_rows(struct ml_measure *m, const struct ml_metric *metric, double *out);
bool ml_labels_within(const struct ml_sample *s, const struct ml_metric *metric, size_t i);
/* Counts of each class, with weights. */
struct class_counts *ml_labels_counts(const struct ml_sample *s, const struct weighting *by);

/* rank.c: metrics of the order of the scores. psi may be NULL. `delong`: psi of an area scaled so that sum psi^2 / n^2
 * has DeLong's denominators m-1 and k-1; of an average precision (without weights, not _micro) that of the jackknife:
 * n-1 times what the value loses when a row is left out, less their mean, which makes v->bias. */
bool ml_rank_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, bool delong,
    struct ml_value *v, double *psi);
/* Of the sum of the positives' precisions a positive that is left out loses, beside what the others do, what these
 * leave of its own: nothing of it tells a row that is alone at the top. Without the only positive of all there is no
 * value: it loses what the negatives make it, so that the mean of all is 0. */
static inline double ml_rank_precision_own(double positives, double precision, double above)
{
    if (above <= 1 || positives <= 1)
        return precision;
    return (precision * above - 1) / (above - 1);
}

/* An average precision of several classes: how many rows these have, as their harmonic mean, each counting as it does
 * in the metric. */
double ml_rank_class_rows(const struct ml_measure *m, const struct ml_metric *metric);
/* What each row contributes (placement values, or what part of it is above the cut); out is zeroed. */
void ml_rank_rows(struct ml_measure *m, const struct ml_metric *metric, double *out);
/* Binary: makes m->order and m->mark. */
enum { ML_MARK_POS = 1, ML_MARK_LAST = 2 /* of its tie group */ };
void ml_rank_sort(struct ml_measure *m);
/* rank_top.c: how many rows of the order are below the threshold of KS; n where there is none. */
size_t ml_rank_ks_cut(struct ml_measure *m);
/* rank_boot.c: bootstrap replicates of the area, many at once. `b` NULL: values of a; else differences b - a. Those
 * without a value are left out; returns how many there are. */
bool ml_rank_many(const struct ml_measure *m, const struct ml_metric *metric);
size_t ml_rank_replicates(struct ml_measure *a, struct ml_measure *b, uint64_t seed, size_t replicates, double *out);
bool ml_rank_plain_has(const struct ml_measure *m, const struct ml_metric *metric); /* the next function knows it */
/* Binary, neither weights nor groups: the value and the sum of squared influences (of an area DeLong's) from the sorted
 * scores alone. `cubes` NULL: not asked for; of an average precision they are NAN. */
bool ml_rank_plain(
    struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v, double *squares, double *cubes);

/* The tie groups, made when first asked for; those of a binary sample without weights and groups whose scores are
 * counted, else NULL. */
const struct ml_ties *ml_rank_ties(struct ml_measure *m);
const struct ml_ties *ml_rank_cells(struct ml_measure *m);
/* What ml_rank_value has of an average precision with `delong`: psi (NULL is fine) gets it by rows or, where there are
 * no rows but cells, the entries, and the sum of the squares; those of the second to fourth powers of what they are
 * above the ones in psi, by rows. */
bool ml_rank_plain_psi(struct ml_measure *m, struct ml_value *v, double *psi, double *squares);
bool ml_rank_plain_entries(struct ml_measure *m);
bool ml_rank_plain_above(struct ml_measure *m, struct ml_value *v, const double *psi, double *squares, double above[3]);
/* The area as ml_rank_plain has it, and twice the pairs of a positive and a negative below it, a tie counting half; of
 * below 2^31 rows. */
bool ml_rank_plain_area(struct ml_measure *m, struct ml_value *v, double *squares, double *cubes, int64_t *twice);

/* delta_plain.c: two models on the same rows, without weights and groups, from fewer numbers than one a row of each. */
struct pair_sums {
    size_t changed, up, down;       /* rows that contribute something else, more, less than before */
    double squares, cubes, fourths; /* sums of the powers of the difference's influences */
};

/* False where there is no such way, or no value. The values of both are known afterwards. */
bool ml_delta_plain(
    struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, bool delong, struct pair_sums *out);
/* Measures of the rows of one label, which know these rows' counts and nothing else: `of` is cleared by the caller.
 * False where the counts of a and b don't tell. */
bool ml_delta_plain_label(struct ml_measure *a, struct ml_measure *b, int32_t label, struct ml_measure of[2]);
struct ml_delta;

/* delta_same.c: the metric looks at nothing in which the models differ: no contribution changed, or of metrics of the
 * order, it is the same, whatever the contributions say. */
bool ml_delta_same(
    const struct ml_measure *a, const struct ml_measure *b, const struct ml_metric *metric, size_t changed);

/* delta_interval.c: what rounding may make of no difference, and of no standard error. */
double ml_delta_noise(const struct ml_metric *metric, const struct ml_delta *d);
/* The interval and p from out->se, which is at least `least`, and out->skew. */
void ml_delta_decide(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, double alpha,
    bool delong, double least, struct ml_delta *out);
/* An interval that was found, by what methods: false when it overflows a double. No interval: false. */
bool ml_delta_settle(struct ml_delta *out, const char *test, const char *interval);
bool ml_delta_fail(struct ml_delta *out, const char *reason);
/* delta.c: what a row of this label and prediction contributes to a metric of counts. */
double ml_delta_contribution(const struct ml_sample *s, const struct ml_metric *metric, int32_t label, int32_t pred);

/* loss.c: means of a loss a row, of classes. `unit`: psi is in units of 2^unit. */
bool ml_class_loss_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit);
/* Are the scores probabilities? Looked at once; m->proba_reason says why not. */
bool ml_class_loss_proba(struct ml_measure *m);
/* Without weights and groups: the value and the sums of the influences' squares and third powers, in one pass. False
 * where there is no value, or no such way. */
bool ml_class_loss_squares(
    struct ml_measure *m, const struct ml_metric *metric, struct ml_value *v, double *squares, double *cubes);
/* The same of two models, without weights, and what each row's losses are to each other. */
bool ml_class_loss_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out);
/* The loss of each row (top_k: hit), in any unit. False when undefined. */
bool ml_class_loss_rows(struct ml_measure *m, const struct ml_metric *metric, double *out);

/* threshold_value.c: the metric follows from predictions whose threshold is chosen on the rows, or on all rows that
 * these are a part of. */
bool ml_tuned_applies(const struct ml_measure *m, const struct ml_metric *metric);
bool ml_tuned_applies_to_part(const struct ml_measure *m, const struct ml_metric *metric);
/* Replicates of the mean of its values over some measures, or (n_b > 0) of the difference of two such means, b - a.
 * Returns how many have one. */
size_t ml_tuned_replicates(struct ml_measure *const *a, size_t n_a, struct ml_measure *const *b, size_t n_b,
    const struct ml_metric *metric, uint64_t seed, size_t replicates, double *out);
/* Of parts: the deviation of such replicates, 0 where there are none, and their mean. */
double ml_tuned_deviation(struct ml_measure *const *a, size_t n_a, struct ml_measure *const *b, size_t n_b,
    const struct ml_metric *metric, double *mean);

/* maximum.c, of KS: by how much the largest of a replicate is larger than that of the rows, on average; the standard
 * deviation of the difference of two models' in replicates, 0 where there isn't one, or too many rows for it to tell
 * more than influences. Neither depends on the order of the rows or the scale of their weights. */
double ml_maximum_bias(struct ml_measure *m, uint64_t seed);
double ml_maximum_deviation(struct ml_measure *a, struct ml_measure *b, uint64_t seed);

/* calibration.c: probability and share in bins. */
bool ml_calibration_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi);
/* ECE of two models, without weights and groups; false where there is none. */
bool ml_calibration_pair(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    struct ml_value *v_a, struct ml_value *v_b, struct pair_sums *out);
/* What each row contributes: its probability less what it came to. */
void ml_calibration_rows(struct ml_measure *m, double *out);
/* Limits of ECE for the value and standard error in e; q is Student's quantile. */
void ml_calibration_interval(struct ml_measure *m, const struct ml_metric *metric, double q, struct ml_estimate *e);

/* loss_number.c: regression. `unit`: psi is in units of 2^unit. */
bool ml_number_value(struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by,
    struct ml_value *v, double *psi, int *unit);
/* What each row contributes: its absolute error, or where the sides differ what was estimated. */
void ml_number_rows(const struct ml_measure *m, const struct ml_metric *metric, double *out);

/* query.c: rankings. Queries without a relevant row are left out beforehand: fills `rows` with those to be kept. */
void ml_queries_drop_empty(const struct ml_sample *s, uint32_t *rows, size_t *kept);
void ml_queries_free(struct ml_queries *q); /* NULL is fine */
bool ml_query_value(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v, double *psi);
/* Each query's value, at the first of its rows; 0 at the others. */
void ml_query_rows(struct ml_measure *m, const struct ml_metric *metric, double *out);

/* median.c: bootstrap replicates of the median of many rows, drawing only what lies near it. `b` NULL: values of a;
 * else differences b - a. */
bool ml_median_many(const struct ml_measure *m, const struct ml_metric *metric);
size_t ml_median_replicates(struct ml_measure *a, struct ml_measure *b, uint64_t seed, size_t replicates, double *out);

/* prepare.c: of weighted rows, whose influences add up to 0, each with its weight: takes off what they do add up to.
 * Times the weight of a row that has nearly all of it, rounding may be more than what all others are worth. */
void ml_measure_centre_psi(const struct ml_measure *m, double *psi);
/* Influences in units of 2^unit get units in which the squares of weight times influence
 * don't vanish. */
void ml_measure_scale_psi(const struct ml_measure *m, double *psi, int *unit);
/* How many independent rows those in the metric's denominator are worth when their variance tells nothing: Kish's
 * number, and no more than the groups they come from. `metric` NULL: the rows labelled k. */
double ml_measure_worth(const struct ml_measure *m, const struct ml_metric *metric, int32_t k);
/* Releases what a measure holds; a number that no other measure has. */
void ml_measure_clear(struct ml_measure *m);
uint64_t ml_measure_serial(void);

/* measure.c */
/* The influences of each cell of the confusion matrix, in arrays that the caller frees (cell->a); with `spread` those
 * that make the standard error (ml_macro_spread). */
bool ml_measure_cells(
    struct ml_measure *m, const struct ml_metric *metric, bool spread, struct cell_psi *cell, struct ml_value *v);
void ml_measure_remember(
    struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, double squares, double cubes);
bool ml_measure_value_by(
    struct ml_measure *m, const struct ml_metric *metric, const struct weighting *by, struct ml_value *v);
/* The sample's own counts, with weights; sets of labels: of each class. */
const struct class_counts *ml_measure_counts(struct ml_measure *m);
/* Influences that make the standard error, in units of 2^unit. */
bool ml_measure_psi_unit(
    struct ml_measure *m, const struct ml_metric *metric, bool delong, double *psi, int *unit, struct ml_value *v);
/* Degrees of freedom of Student's t: units - 1; of an average precision, of which the positives are most of the
 * variance, no more than positives - 1, of several classes less 1 than what ml_rank_class_rows says; at least 1. */
double ml_measure_df(const struct ml_measure *m, const struct ml_metric *metric, size_t n);
/* estimate.c: a value's own interval as a function of the quantile, in the units of a metric that lies between 0 and 1;
 * `skew` is that of the influences over the root of their number, which means over classes and areas ask for. False
 * without variance, except at 0 or 1, and of areas and average precisions. */
bool ml_measure_arm(struct ml_measure *m, const struct ml_metric *metric, const struct ml_value *v, double se,
    double skew, struct ml_arm *arm);
/* Sum of (w psi)^2 over rows, or of the groups' sums; `cubes` (NULL is fine) is that of their third powers. */
double ml_measure_squares(const struct ml_measure *m, const double *psi, double *cubes);
/* (sum of these squares)^2 / sum of the fourth powers, `squares` being what ml_measure_squares says of the same psi; 0
 * where they are 0 or overflow. */
double ml_measure_effective(const struct ml_measure *m, const double *psi, double squares);
/* The sums from the metric itself, without a pass over the rows where fewer numbers tell; in units of 2^(2 unit), the
 * third powers of 2^(3 unit). `cubes` NULL: not asked for; of an average precision 0.
 * False: no value (v says why), or no influence function. */
bool ml_measure_psi_squares(struct ml_measure *m, const struct ml_metric *metric, bool delong, double *squares,
    double *cubes, int *unit, struct ml_value *v);
/* Standard error from such a sum; false (with reason) below 2 rows or groups. */
bool ml_measure_se(const struct ml_measure *m, double squares, bool delong, double *se, const char **reason);
/* Below this a standard error or a difference is rounding noise: 1e-14 of the value, or of 1 where the metric lies
 * about 1. */
double ml_measure_noise(const struct ml_metric *metric, double value);
/* Plain DeLong applies: unweighted and ungrouped. */
bool ml_measure_plain(const struct ml_measure *m);
size_t ml_measure_units(const struct ml_measure *m);    /* rows or groups */
const uint32_t *ml_measure_order(struct ml_measure *m); /* m->order, made when first asked for */
/* All replicates of one metric, where there is a faster way than one by one: true, and *used as above. */
bool ml_measure_replicates(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed,
    size_t replicates, double *out, size_t *used);
/* Draws one replicate: counts per row (n), and weights (n) times counts. Scratch: units counts. */
void ml_measure_draw(
    const struct ml_measure *m, uint64_t seed, uint64_t replicate, uint32_t *scratch, uint32_t *counts, double *w);

#endif
