/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns of an evaluation: what was true and what a model said, as plain arrays. */
#ifndef ML_STATS_SAMPLE_H
#define ML_STATS_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

enum ml_task {
    ML_TASK_BINARY = 1,
    ML_TASK_MULTICLASS = 2,
    ML_TASK_REGRESSION = 4,
    ML_TASK_MULTILABEL = 8, /* each row has any number of the classes */
    ML_TASK_RANKING = 16,   /* a group is a query, and the unit of the variance */
};

/* What the answer `pred` costs where `label` is true. */
struct ml_cost {
    int32_t label, pred;
    double cost; /* finite, not negative */
};

struct ml_costs {
    struct ml_cost *cell; /* by label and prediction, once each */
    size_t n;
    double wrong; /* of wrong answers without a cell; right ones cost nothing */
    double most;  /* the largest of all, above 0 */
};

/* How the threshold behind `pred` was chosen on the rows (threshold.h). */
enum ml_tuned { ML_TUNED_NO, ML_TUNED_BEST_F1, ML_TUNED_YOUDEN };

/* Borrowed arrays of n rows each. Numbers are finite and weights >= 0: whoever reads them has refused the rest. */
struct ml_sample {
    enum ml_task task;
    size_t n;                     /* at most UINT32_MAX */
    int32_t classes;              /* classification: K; a class is an index in 0..K-1 */
    int32_t positive;             /* binary: the positive class (K is 2, or 1 when only one class was seen) */
    const int32_t *label;         /* classification */
    const int32_t *pred;          /* classification: the predicted class; NULL when there is none */
    const unsigned char *labels;  /* multilabel: n x K bytes, row by row: 1 where the row has the class, else 0 */
    const unsigned char *preds;   /* multilabel: the same for what was predicted; NULL when there is none */
    const double *score;          /* binary: n scores of the positive class; multiclass and multilabel: n x K, row by
                                     row; NULL when there are none */
    const struct ml_costs *costs; /* classification: NULL when there are none */
    const double *truth;          /* regression; ranking: the relevance, at least 0 */
    const double *estimate;       /* regression: what the model said; ranking: the score that orders rows */
    const double *weight;         /* importance weights, scale-free; NULL: all alike */
    const uint32_t *group;        /* clusters of rows, any ids in 0..groups-1; NULL: each row its own */
    uint32_t groups;
    enum ml_tuned tuned; /* binary, with scores: pred is score >= the threshold so chosen on these rows */
};

/* A sample that owns its arrays. */
struct ml_sample_copy {
    struct ml_sample s;
    void *memory;
};

/* What a row costs. */
double ml_sample_cost(const struct ml_costs *costs, int32_t label, int32_t pred);

/* Numbers in a row of `score`. */
size_t ml_sample_width(const struct ml_sample *s);

/* Gathers rows[0..n_rows-1] of `s` (a slice, in any order, repeats allowed); groups are numbered anew, so that only
 * those present count. The classes stay those of `s`. */
void ml_sample_take(const struct ml_sample *s, const uint32_t *rows, size_t n_rows, struct ml_sample_copy *out);
void ml_sample_release(struct ml_sample_copy *c);

/* Confusion counts (unweighted): out[true * K + predicted], K*K numbers, set here. Needs labels and predictions. */
void ml_sample_confusion(const struct ml_sample *s, uint64_t *out);

#endif
