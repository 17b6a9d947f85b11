/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Predictions: one row a thing that was scored, with what was true and what the model said, read from a table into
 * columns. */
#ifndef ML_MODEL_PREDICTIONS_H
#define ML_MODEL_PREDICTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/tool.h"
#include "data/column.h"
#include "data/feature.h"
#include "data/rowjoin.h"
#include "data/table.h"
#include "stats/metric.h"
#include "stats/sample.h"

/* Which column is what: options that ml-eval and ml-compare share. NULL: the default name where the file has it. Starts
 * with ML_COLUMNS_INIT. */
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

/* What is said of scores_unused, which it takes twice. */
#define ML_SCORES_UNUSED "the columns '%.80s<class>' aren't used: if they are scores, say --scores %.80s"

#define ML_SET_END '\x1f'

/* A column whose values divide the rows into groups. */
struct ml_division {
    struct ml_intern names;
    uint32_t *of; /* one a row; NULL where the file has no such column */
    size_t cap;
};

/* A column that slices may be made of. */
struct ml_described {
    char *name;
    bool searched; /* it has no other part, so that slices may be found in it */
    struct ml_feature f;
};

/* How the values of a column become slices. */
enum ml_cut_kind {
    ML_CUT_AUTO,      /* quartiles of a column of many numbers, else each value */
    ML_CUT_EACH,      /* each value */
    ML_CUT_QUANTILES, /* as many rows in each as equal values allow */
    ML_CUT_EDGES,     /* below the first, from each on, from the last on */
};

/* One column of a slicing. */
struct ml_cut {
    size_t feature; /* in struct ml_predictions */
    enum ml_cut_kind kind;
    size_t quantiles;
    double *edges; /* ascending; owned */
    size_t n_edges;
};

/* The combinations of its columns' values; n is 0 where the file lacks one of them. */
struct ml_slicing {
    struct ml_cut *cuts;
    size_t n;
};

/* Where in the text of all ids that of a row is. */
struct ml_id_mark {
    size_t row, at;
};

/* Lines on which the rows stand: a run starts where a row isn't on the line behind the one before it. */
struct ml_line_run {
    size_t row;
    uint64_t line;
};

/* Starts zeroed. */
struct ml_predictions {
    char *name;           /* as messages call the file */
    struct ml_strs files; /* of several files their names */
    bool files_alike;     /* there are several, without ids, and of the same labels in the same order */
    size_t n;
    struct ml_digest digest; /* of the file's bytes, where the table has it */
    uint64_t size;
    struct ml_digest data, ids; /* identity of the rows, with and without labels */
    bool has_id;                /* ids are the file's; else row numbers from 1 */
    bool unchecked;             /* ml_predictions_check_ids is still to be called */
    struct ml_line_run *runs;
    size_t runs_n, runs_cap;
    struct ml_rowkeys keys;      /* of the ids, where they are not in ascending order or are going to be looked for */
    char *id_text;               /* ids one behind the other, with a NUL each; NULL unless kept */
    struct ml_id_mark *id_marks; /* some rows of the file, the first among them, ascending */
    size_t id_used, id_cap, id_marks_n, id_marks_cap;
    uint32_t *id_row;                   /* where rows were picked: each one's row in the file; NULL: the same */
    struct ml_column label, prediction; /* prediction.n is 0 without one */
    bool sets; /* they are sets of labels, as texts: the names in byte order, once each, with an ML_SET_END each */
    struct ml_strs label_names, prediction_names; /* --labels, --predictions: the classes, in the columns' order */
    double *score;                                /* n x score_columns, row by row; NULL without scores */
    size_t score_columns, score_cap;
    struct ml_strs score_names; /* --scores: the classes, in the columns' order */
    bool scores_by_number;      /* which columns was said by their numbers */
    char *scores_begin;  /* else with what their names begin, before the class ("p", "p." of an object); or NULL */
    bool score_asked;    /* --score was given */
    char *scores_unused; /* no scores were read, but --scores with this would find one for each class; or NULL */
    double *weight;      /* NULL without */
    size_t weight_cap;
    struct ml_division group;
    struct ml_described *features; /* the columns of all slicings, once each */
    size_t n_features;
    struct ml_slicing *slicings; /* as in struct ml_columns */
    size_t n_slicings;
};

/* What ml_predictions_read may be asked beside the columns. */
enum ml_predictions_flag {
    ML_PREDICTIONS_IDS = 1,       /* keep the ids' text */
    ML_PREDICTIONS_KEYS = 2,      /* and their keys, for another file's ids are going to be looked for among them */
    ML_PREDICTIONS_LENIENT = 4,   /* the current model's file: weights, groups and slices may be missing, for they
                                      are the other file's, and scores where there are predictions */
    ML_PREDICTIONS_UNCHECKED = 8, /* with IDS: whether an id stands twice is going to be asked later */
};

/* Reads the whole table. ML_LOCAL, with file, line and column: a column that was named isn't there, no label, neither
 * prediction nor score, no rows, an empty id or label, a duplicate id, a number that is missing or infinite, a negative
 * weight. Memory: 4 to 8 bytes a row for each column that is used, 16 for keys, and the ids' text when kept. */
int ml_predictions_read(
    struct ml_predictions *p, struct ml_table *t, const struct ml_columns *c, unsigned flags, struct ml_err *err);
void ml_predictions_release(struct ml_predictions *p);

/* ML_LOCAL: an id of p stands twice, as ml_predictions_read has it; asked once, of what was read with
 * ML_PREDICTIONS_UNCHECKED. Where `other` (or NULL) has the same ids and they have been looked at, none does. */
int ml_predictions_check_ids(struct ml_predictions *p, const struct ml_predictions *other, struct ml_err *err);

/* The name of the file in which a column's `line` is. */
const char *ml_predictions_file(const struct ml_predictions *p, uint64_t line);

/* Keeps rows[0..n-1], in that order (digests stay those of the whole file); !ids: without their ids. */
void ml_predictions_take(struct ml_predictions *p, const uint32_t *rows, size_t n, bool ids);

/* Where the keys of all ids come from, when these were kept. It borrows from p. */
struct ml_keysource ml_predictions_keys(const struct ml_predictions *p);

/* Gives back the keys of ids that are not going to be looked for; `texts`: nor asked for. */
void ml_predictions_drop_ids(struct ml_predictions *p, bool texts);

/* The id of a row: borrowed, or written to `buf` when ids are row numbers. "" when they weren't kept. */
const char *ml_predictions_id(const struct ml_predictions *p, size_t row, char buf[24]);

/* What one or two models' predictions (of the same rows) are about: task and classes. Starts zeroed. */
struct ml_subject {
    enum ml_task task;
    struct ml_strs classes;           /* names, numbers in order or texts in byte order */
    int32_t positive;                 /* binary: index; else -1 */
    bool probabilistic;               /* binary: scores are probabilities, and nothing is predicted */
    bool thresholded;                 /* predictions come from scores */
    enum ml_tuned tuned;              /* how the threshold was chosen on the rows */
    double threshold;                 /* the last model's, where each has its own */
    struct ml_costs *costs;           /* --cost; NULL without */
    const struct ml_metric **metrics; /* what is measured of it: what is offered, then in the table's order; owned */
    size_t n_metrics;
};

/* What a model said, by the subject's classes. Starts zeroed. */
struct ml_answers {
    struct ml_sample s; /* borrows from here and from the predictions */
    int32_t *label, *pred;
    unsigned char *labels, *preds;
    double *score, *truth, *estimate;
    double threshold;   /* where predictions come from scores */
    bool score_ignored; /* a column `score` is there but says nothing without a positive class */
};

/* Releases the lists of the options. */
void ml_columns_release(struct ml_columns *c);

/* Decides the task, gives both (b may be NULL) their classes, and finds the metrics. ML_USAGE: the task can't be told,
 * or the positive class; a metric that isn't known, or isn't of the task; ML_LOCAL: no prediction is among the labels,
 * a score is missing for a class. */
int ml_subject_settle(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *a,
    const struct ml_predictions *b, struct ml_answers *out_a, struct ml_answers *out_b, struct ml_err *err);
/* The same of any number of models. */
int ml_subject_settle_all(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err);
/* ML_USAGE, with what was meant where that can be told: the task has no metric of this name. The message begins with
 * what asked for it: "--metric 'size': ...". */
int ml_subject_no_metric(const struct ml_subject *s, const char *asker, const char *name, struct ml_err *err);
/* What a metric that isn't known is called here, whatever the task, owned: with a parameter, for example, where it
 * takes one ("fbeta@2"); NULL where that can't be told. */
char *ml_subject_meant(const char *name);
/* The same of predictions, each there once, that nobody settles again: the answers take columns of theirs. */
int ml_subject_settle_last(struct ml_subject *s, const struct ml_columns *c, struct ml_predictions *const *p, size_t n,
    struct ml_answers *const *out, struct ml_err *err);
void ml_subject_release(struct ml_subject *s);
void ml_answers_release(struct ml_answers *a);

#endif
