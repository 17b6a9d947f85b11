/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one static table of metrics. */
#include <math.h>
#include <string.h>

#include "stats/metric.h"

#define CLASSES (ML_TASK_BINARY | ML_TASK_MULTICLASS)
#define NAMED(name, id, average, tasks, need, direction, low, high, scale, fallback)                                   \
    {                                                                                                                  \
        name, ML_METRIC_##id, ML_AVERAGE_##average, 0, tasks, ML_NEED_##need, direction, low, high, ML_SCALE_##scale,  \
            ML_FALLBACK_##fallback                                                                                     \
    }
#define TOP(n)                                                                                                         \
    {                                                                                                                  \
        "top_" #n "_accuracy", ML_METRIC_TOP_K, ML_AVERAGE_NONE, n, ML_TASK_MULTICLASS, ML_NEED_SCORE, 1, 0, 1,        \
            ML_SCALE_PROPORTION, ML_FALLBACK_NONE                                                                      \
    }

static const struct ml_metric table[] = {
    NAMED("accuracy", ACCURACY, NONE, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("balanced_accuracy", BALANCED_ACCURACY, NONE, CLASSES, PRED, 1, 0, 1, LOGIT, SMALLEST),
    NAMED("precision", PRECISION, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("recall", RECALL, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("f1", F1, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, LOGIT, JACCARD),
    NAMED("precision_micro", PRECISION, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("recall_micro", RECALL, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("f1_micro", F1, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    NAMED("precision_macro", PRECISION, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, SMALLEST),
    NAMED("recall_macro", RECALL, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, SMALLEST),
    NAMED("f1_macro", F1, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, SMALLEST),
    NAMED("precision_weighted", PRECISION, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    NAMED("recall_weighted", RECALL, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    NAMED("f1_weighted", F1, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    NAMED("mcc", MCC, NONE, CLASSES, PRED, 1, -1, 1, LINEAR, NONE),
    NAMED("roc_auc", ROC_AUC, NONE, CLASSES, SCORE, 1, 0, 1, AUC, NEWCOMBE),
    NAMED("average_precision", AVERAGE_PRECISION, NONE, ML_TASK_BINARY, SCORE, 1, 0, 1, LOGIT, ROWS),
    NAMED("log_loss", LOG_LOSS, NONE, CLASSES, PROBA, -1, 0, INFINITY, LINEAR, NONE),
    NAMED("brier", BRIER, NONE, ML_TASK_BINARY, PROBA, -1, 0, 1, LOGIT, ROWS),
    TOP(5),
    NAMED("mae", MAE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, LINEAR, NONE),
    NAMED("rmse", RMSE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, LINEAR, NONE),
    NAMED("r2", R2, NONE, ML_TASK_REGRESSION, NUMBER, 1, -INFINITY, 1, LINEAR, NONE),
    NAMED("median_ae", MEDIAN_AE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, BOOTSTRAP, NONE),
    /* EXTRA: */
    TOP(2),
    TOP(3),
    TOP(10),
    NAMED("mse", MSE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, LINEAR, NONE),
};

#define KNOWN (sizeof table / sizeof *table)
#define EXTRA 4 /* the last rows, known by name only */

size_t ml_metric_count(void)
{
    return KNOWN - EXTRA;
}

const struct ml_metric *ml_metric_at(size_t i)
{
    return &table[i];
}

const struct ml_metric *ml_metric_find(const char *name)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

bool ml_metric_bounded(const struct ml_metric *m)
{
    return m->low >= -1 && m->high <= 1;
}
