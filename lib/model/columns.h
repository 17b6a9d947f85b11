/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which column is what: options that ml-eval and ml-compare share. */
#ifndef ML_MODEL_COLUMNS_H
#define ML_MODEL_COLUMNS_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/tool.h"

/* NULL: the default name where the file has it. Starts with ML_COLUMNS_INIT. */
struct ml_columns {
    const char *task; /* auto, binary, multiclass, multilabel, probabilistic, regression, ranking */
    const char *id, *label, *prediction, *score, *scores, *positive, *weight, *group;
    const char *cost;                             /* "fp=5,fn=1" */
    const char *labels, *predictions, *separator; /* multilabel: prefixes, and what stands between labels */
    const char *threshold;                        /* a number, "best-f1" or "youden" */
    struct ml_strs slices;  /* "a", or "a,b" for the combinations of their values; "a:4", "a:18/65", "a:each": cuts */
    struct ml_strs named;   /* slices that somebody else names, "a=x,b=q1of4": those of columns that are there */
    bool find_slices;       /* keep all columns that have no other part */
    bool no_header;         /* what a table is opened with; columns go by their numbers */
    struct ml_strs metrics; /* measured beside the common ones; "all": whatever suits the task */
    struct ml_strs offered; /* names that somebody else uses: those that are metrics of the task come first */
};

#define ML_COLUMNS_INIT                                                                                                \
    {                                                                                                                  \
        .task = NULL                                                                                                   \
    }

/* Their rows in a tool's option table; `cfg` is its struct, `cols` the name of the struct ml_columns in it. */
#define ML_COLUMNS_OPTS(cfg, cols)                                                                                     \
    ML_OPT_ROW(0, "task", ML_OPT_STR, cfg, cols.task, "TASK",                                                          \
        "binary, multiclass, multilabel, probabilistic, regression, ranking, auto"),                                   \
        ML_OPT_ROW(0, "id", ML_OPT_STR, cfg, cols.id, "C", "column that names the row [id, else the row's number]"),   \
        ML_OPT_ROW(0, "label", ML_OPT_STR, cfg, cols.label, "C", "column with the truth [label]"),                     \
        ML_OPT_ROW(0, "prediction", ML_OPT_STR, cfg, cols.prediction, "C", "column with the answer [prediction]"),     \
        ML_OPT_ROW(                                                                                                    \
            0, "score", ML_OPT_STR, cfg, cols.score, "C", "column with the score of the positive class [score]"),      \
        ML_OPT_ROW(0, "scores", ML_OPT_STR, cfg, cols.scores, "PREFIX", "columns PREFIX<class> with a score each"),    \
        ML_OPT_ROW(0, "labels", ML_OPT_STR, cfg, cols.labels, "PREFIX", "multilabel: 0/1 in columns PREFIX<class>"),   \
        ML_OPT_ROW(0, "predictions", ML_OPT_STR, cfg, cols.predictions, "PREFIX", "the same for the answers"),         \
        ML_OPT_ROW(0, "separator", ML_OPT_STR, cfg, cols.separator, "C", "between the labels of a set [; | or ,]"),    \
        ML_OPT_ROW(0, "positive", ML_OPT_STR, cfg, cols.positive, "V", "the positive class [1 or true]"),              \
        ML_OPT_ROW(0, "threshold", ML_OPT_STR, cfg, cols.threshold, "X",                                               \
            "a score from here on is positive [0.5]; best-f1, youden"),                                                \
        ML_OPT_ROW(0, "cost", ML_OPT_STR, cfg, cols.cost, "COSTS", "what wrong answers cost: fp=5,fn=1"),              \
        ML_OPT_ROW(0, "weight", ML_OPT_STR, cfg, cols.weight, "C", "column with importance weights"),                  \
        ML_OPT_ROW(0, "group", ML_OPT_STR, cfg, cols.group, "C", "column that says which rows belong together"),       \
        ML_OPT_ROW(0, "no-header", ML_OPT_FLAG, cfg, cols.no_header, NULL,                                             \
            "the first line is a row; columns go by their numbers"),                                                   \
        ML_OPT_ROW(                                                                                                    \
            0, "slice", ML_OPT_LIST, cfg, cols.slices, "C", "slices by the values of C, or C:4, C:18/65; C,D: both"),  \
        ML_OPT_ROW(0, "metric", ML_OPT_LIST, cfg, cols.metrics, "NAME", "measure metric NAME too; all: every one")

void ml_columns_release(struct ml_columns *c); /* the lists */

#endif
