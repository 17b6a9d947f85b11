/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A model measured on a sample: values, influences, standard errors and intervals of the metrics.
 *
 * Values follow scikit-learn 1.2.1 (zero_division 0), with these differences, each with a reason: precision, recall, F1
 * and average precision without a positive label, AUC of one class, R2 below 2 rows, log loss and Brier score of scores
 * that are no probabilities have no value. Rankings: queries without a relevant row are left
 * out, as trec_eval does (in scikit-learn's ndcg_score they are 0, which moves with the share of such queries, in its
 * label_ranking_average_precision_score 1); rows of equal score stand in all orders at once, with the mean of what
 * comes out (McSherry & Najork 2008, ECIR, LNCS 4956, 414), as in ndcg_score; relevance is the gain, 1/log2(rank + 1)
 * the discount; map@K is divided by the relevant rows or by K, the smaller one, so that the best order has 1. smape is
 * the mean of 2|e| / (|y| + |p|), 0/0 being 0. Explained variance and D2 need two rows, a D2 of deviances labels that
 * differ. One-vs-rest AUC is the mean over the classes present; weighted kappa counts all classes of the sample in
 * their order, also those that no row has. Sets of labels: without a label in any row precision, recall, F-beta and
 * Jaccard have no value; areas and average precisions are the mean over the classes that have one. Rows of weight 0 are
 * no rows.
 *
 * Metrics that scikit-learn hasn't: gini is 2 AUC - 1; ks the largest TPR - FPR over all thresholds (Smirnov's D+);
 * precision@K, recall@K and lift@K are of the rows of highest score that make up K/n, or K %, of the weight, the group
 * of equal scores that is cut counting in part, and lift is precision over the share of positives; ece and mce are the
 * mean by weight and the largest of the bins' |predicted - observed| (calibration.h); cost is the mean cost of a row
 * (sample.h).
 *
 * The standard error is the linearised one (infinitesimal jackknife: Jaeckel 1972; Efron 1982, The Jackknife, ch. 6;
 * clusters: Binder 1983, Int. Stat. Rev. 51, 279): se^2 = G/(G-1) sum_g (sum_{i in g} w_i psi_i)^2 / W^2, with the
 * influence psi_i = W dM/dw_i. A mean over classes is one of strata that may be small: each class's share of the
 * squares is unbiased (of shares the denominator is n - 1, n being rows or groups, as many as their weights make them),
 * classes of a single one count by how far their values lie apart, and a row more is thought to be there, shared out to
 * where most is unknown (measure_impl.h, macro.c). Its interval is that on the logit, or where that is farther the
 * score interval of a mean of shares (interval.h), which is Wilson's for one share. Without that, of 300 classes of one
 * row each a null is rejected in .97 of the draws, of 150 of two rows in .16, and the interval of recall_macro with
 * four classes of 30 rows and one of 2 covers .56.
 *
 * A positive counts in its own precision. That makes an average precision too large, the more so the fewer positives
 * there are and the harder they are to find, and influences vary too little. Without weights and groups (and but for
 * _micro) rows are therefore left out one by one, which doesn't cost more: se^2 = (n-1)/n sum (M_(i) - mean)^2 (Tukey
 * 1958, Ann. Math. Statist. 29, 614), larger on average than the variance rather than smaller (Efron & Stein 1981, Ann.
 * Statist. 9, 586), and the interval lies about the value less the bias, (n-1) (mean - M) (Quenouille 1956, Biometrika
 * 43, 353); the value is shown as it is. The only positive of a class, without which there is no value, counts as much
 * as the negatives take from it. Student's t has the positives less 1 as degrees of freedom, over several classes the
 * harmonic mean of theirs. Of average_precision_macro, four classes, 300 rows, influences alone hold a difference
 * in .924 of the draws and let a harm of the margin's size pass in .062, this in .946 and .035.
 *
 * Intervals on the metric's own scale ("linear") allow for the
 * influences' skewness, as those of differences do (delta.h): the mean of losses of which few are large is too small
 * more often than too large. */
#ifndef ML_STATS_MEASURE_H
#define ML_STATS_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/bootstrap.h"
#include "stats/metric.h"
#include "stats/sample.h"

/* One thread at a time may use a measure; several measures are independent of each other. Functions that are given much
 * to do use all processors themselves, with the same result for any number of them. */
struct ml_measure;

/* Prepares a sample for measuring; what metrics share (class counts, order of the scores) is computed when first asked
 * for and kept. `rows` selects a slice (copied); NULL: all rows, and the sample must outlive the measure. Weights that
 * are all alike and groups of one row each are the same as none. */
struct ml_measure *ml_measure_new(const struct ml_sample *s, const uint32_t *rows, size_t n_rows);
void ml_measure_free(struct ml_measure *m); /* NULL is fine */

/* Rows (of positive weight) and groups (0: ungrouped) that are measured. */
size_t ml_measure_rows(const struct ml_measure *m);
size_t ml_measure_groups(const struct ml_measure *m);
/* Kish's effective number of rows (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling, 11.7); the rows themselves without
 * weights. */
double ml_measure_kish(const struct ml_measure *m);

/* A value. Without `ok` there is none and `reason` (static text) says why. All numbers are finite. */
struct ml_value {
    bool ok;
    const char *reason;
    double value;
    double bias;     /* average precision: what it is thought too large by, where its standard error was asked for */
    size_t n;        /* rows in the metric's denominator; AUC: the smaller class */
    int32_t classes; /* roc_auc of several classes: how many were averaged; else 0 */
    size_t clipped;  /* log_loss: rows whose own class was given less than 2^-52 */
};

void ml_measure_value(struct ml_measure *m, const struct ml_metric *metric, struct ml_value *out);

/* The influences psi_i, one a row of ml_measure_rows; sum w_i psi_i = 0. False when the metric has no value or no
 * influence function (then psi isn't touched). `spread`: as the standard error is made of, in which a mean over classes
 * of few rows varies more, and rows of an average precision are left out whole. */
bool ml_measure_psi(struct ml_measure *m, const struct ml_metric *metric, bool spread, double *psi);

/* Ranking: each query's value by its group in the sample (s->groups of them); NaN where no row is relevant. */
void ml_query_values(const struct ml_sample *s, const struct ml_metric *metric, double *out);

/* A value with its interval. `has_se` and `has_interval` say what exists; `interval_reason` why not. */
struct ml_estimate {
    struct ml_value v;
    bool has_se, has_interval;
    double se, low, high;
    const char *interval;        /* "wilson", "logit", "logit-delong", "newcombe", "linear", "linear-bootstrap", "bins",
                                    "bootstrap"; NULL without one */
    const char *interval_reason; /* static text; NULL with one */
    size_t undefined;            /* bootstrap: replicates dropped */
};

/* `confidence` is two-sided, between 0 and 1. `boot` NULL: the bootstrap only where there is no other way, with its
 * defaults. Given with `force`: everywhere. Limits lie within the metric's range. */
void ml_measure_estimate(struct ml_measure *m, const struct ml_metric *metric, double confidence,
    const struct ml_boot *boot, struct ml_estimate *out);

#endif
