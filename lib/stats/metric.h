/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of metrics: scikit-learn's names, what each is for, which way is better, and how its interval is made. */
#ifndef ML_STATS_METRIC_H
#define ML_STATS_METRIC_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/sample.h"

/* Who computes it. */
enum ml_family {
    ML_FAMILY_COUNTS,      /* counts.c: from the three counts of each class */
    ML_FAMILY_RANK,        /* rank.c: from the order of the scores */
    ML_FAMILY_CALIBRATION, /* calibration.c: probability and share in bins */
    ML_FAMILY_CLASS_LOSS,  /* loss.c: the mean of a loss a row, of classes */
    ML_FAMILY_LABELS,      /* labels.c, labels_score.c: several labels a row */
    ML_FAMILY_NUMBER,      /* loss_number.c: regression */
    ML_FAMILY_QUERY,       /* query.c: rankings, a value for each query */
};

/* What may stand behind the name: "fbeta@2", "lift@10%". */
enum ml_parameter {
    ML_PARAMETER_NONE,
    ML_PARAMETER_REAL,  /* a positive number */
    ML_PARAMETER_LEVEL, /* a number between 0 and 1 */
    ML_PARAMETER_COUNT, /* a whole number from 1 */
    ML_PARAMETER_TOP,   /* a whole number from 1, or a percentage of the rows */
    ML_PARAMETER_POWER, /* a number that isn't between 0 and 1, of at most 1000 either way */
};

enum ml_metric_id {
    ML_METRIC_ACCURACY,
    ML_METRIC_BALANCED_ACCURACY,
    ML_METRIC_PRECISION,
    ML_METRIC_RECALL,
    ML_METRIC_F1,
    ML_METRIC_FBETA,
    ML_METRIC_JACCARD,
    ML_METRIC_SPECIFICITY,
    ML_METRIC_HAMMING_LOSS,
    ML_METRIC_MCC,
    ML_METRIC_KAPPA,
    ML_METRIC_KAPPA_LINEAR,
    ML_METRIC_KAPPA_QUADRATIC,
    ML_METRIC_TOP_K,
    ML_METRIC_ROC_AUC, /* of several classes: one against the rest */
    ML_METRIC_ROC_AUC_OVO,
    ML_METRIC_GINI,
    ML_METRIC_KS,
    ML_METRIC_AVERAGE_PRECISION,
    ML_METRIC_PRECISION_AT,
    ML_METRIC_RECALL_AT,
    ML_METRIC_LIFT_AT,
    ML_METRIC_LRAP,
    ML_METRIC_COVERAGE_ERROR,
    ML_METRIC_RANKING_LOSS,
    ML_METRIC_COST,
    ML_METRIC_LOG_LOSS,
    ML_METRIC_BRIER,
    ML_METRIC_BRIER_MANY,
    ML_METRIC_ECE, /* x: how many bins */
    ML_METRIC_MCE,
    ML_METRIC_HINGE,
    ML_METRIC_MAE,
    ML_METRIC_MSE,
    ML_METRIC_RMSE,
    ML_METRIC_R2,
    ML_METRIC_MEDIAN_AE,
    ML_METRIC_EXPLAINED_VARIANCE,
    ML_METRIC_MAX_ERROR,
    ML_METRIC_MAPE,
    ML_METRIC_SMAPE,
    ML_METRIC_MSLE,
    ML_METRIC_RMSLE,
    ML_METRIC_PINBALL,
    ML_METRIC_DEVIANCE,
    ML_METRIC_D2_PINBALL,
    ML_METRIC_D2_DEVIANCE,
    ML_METRIC_NDCG,
    ML_METRIC_MAP,
    ML_METRIC_MRR,
    ML_METRIC_QUERY_PRECISION,
    ML_METRIC_QUERY_RECALL,
};

enum ml_average {
    ML_AVERAGE_NONE,
    ML_AVERAGE_BINARY,
    ML_AVERAGE_MICRO,
    ML_AVERAGE_MACRO,
    ML_AVERAGE_WEIGHTED,
    ML_AVERAGE_SAMPLES, /* multilabel: over the rows */
};

/* What a metric reads beside the labels. */
enum ml_need {
    ML_NEED_PRED = 1,   /* predicted classes */
    ML_NEED_SCORE = 2,  /* scores; any real numbers */
    ML_NEED_PROBA = 4,  /* scores that are probabilities */
    ML_NEED_NUMBER = 8, /* regression */
};

/* How the interval of one model's value is made, and what stands in where the variance is 0. */
enum ml_scale {
    ML_SCALE_PROPORTION, /* Wilson; weighted or grouped with n* */
    ML_SCALE_LOGIT,      /* Student t on the logit */
    ML_SCALE_AUC,        /* logit DeLong, or Hall's (interval.h) where that is farther; Newcombe's method 5 where the
                            variance is 0 or a class has under 30 rows */
    ML_SCALE_LINEAR,     /* Student t on the metric itself */
    ML_SCALE_MAXIMUM,    /* the same, with room for what a largest value is too large by on few rows */
    ML_SCALE_BINS,       /* as calibration.c says */
    ML_SCALE_BOOTSTRAP,  /* no influence function: percentile bootstrap */
    ML_SCALE_NONE,       /* no interval: rows that weren't drawn may lie anywhere */
};

enum ml_fallback {
    ML_FALLBACK_NONE,    /* null with a reason */
    ML_FALLBACK_JACCARD, /* at 0 or 1: a function of a share with Wilson's interval: F-beta of J = TP/(TP+FP+FN),
                            jaccard_micro of the accuracy */
    ML_FALLBACK_MACRO,   /* not only there: the score interval of a mean over classes (interval.h), where it is wider */
    ML_FALLBACK_ROWS,    /* at 0 or 1: Wilson over the rows of the denominator */
    ML_FALLBACK_NEWCOMBE, /* Newcombe's method 5 */
};

struct ml_metric {
    const char *name; /* "f1_macro" */
    enum ml_family family;
    enum ml_metric_id id;
    enum ml_average average;
    enum ml_parameter parameter;
    double x;    /* the parameter (of top_k_accuracy: k); a percentage is a share, in (0, 1) */
    bool common; /* measured unasked */
    int tasks;   /* mask of enum ml_task */
    enum ml_need need;
    int direction;    /* +1: higher is better, -1: lower is */
    double low, high; /* range; +-INFINITY where there is none */
    enum ml_scale scale;
    enum ml_fallback fallback;
};

/* All that have a fixed name, in the order in which people read them. */
size_t ml_metric_count(void);
const struct ml_metric *ml_metric_at(size_t i); /* never freed */

/* NULL when the name isn't known; names are exact. "NAME@X" is the metric NAME with the parameter X; what was made for
 * such a name is kept for the life of the program. May be called from several threads. */
const struct ml_metric *ml_metric_find(const char *name);

/* The same for the metric that the name means in this task: averages over sets of labels are others than those over
 * classes. Names mean the same direction and range in all tasks, so that for these ml_metric_find does. */
const struct ml_metric *ml_metric_of(const char *name, enum ml_task task);

/* Whether two metrics of one task ask the same of two models on the same rows: each is a function of the other that
 * rises or falls all along, given the labels. So are accuracy, hamming_loss and the averages x_micro; f1 and jaccard;
 * roc_auc and gini; rmse, mse and r2; mae and d2_absolute_error; precision, recall and lift of the same top rows. */
bool ml_metric_same(const struct ml_metric *a, const struct ml_metric *b);

/* There is an influence function. */
bool ml_metric_has_psi(const struct ml_metric *m);

/* The metric lies in [-1, 1], so that margins below 3/n_m say nothing (rule 2 of the verdicts). */
bool ml_metric_bounded(const struct ml_metric *m);

/* Of a metric whose n are the rows of the smaller class (AUC, KS): those, which a verdict needs some of; else SIZE_MAX.
 */
size_t ml_metric_smaller_class(const struct ml_metric *m, size_t n);

/* precision@K, recall@K and lift@K; and the share of n rows that K is, over 1 when there are fewer than K. */
bool ml_metric_top(const struct ml_metric *m);

/* Only the order of the scores counts: of the rows, of a query's or of a row's classes. */
bool ml_metric_ranks(const struct ml_metric *m);
double ml_metric_share(const struct ml_metric *m, size_t n);

#endif
