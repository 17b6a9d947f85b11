/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind ml_comparison_paired share. */
#ifndef ML_MODEL_COMPARISON_IMPL_H
#define ML_MODEL_COMPARISON_IMPL_H

#include "model/comparison_entry.h"
#include "model/slices.h"
#include "model/subject.h"
#include "stats/runs.h"
#include "stats/threshold.h"

#define DUEL_CLASSES_MAX ((size_t)200) /* classes that are compared one by one */

/* Models' answers on the same rows. */
struct duel {
    const struct ml_comparison_opts *o;
    const struct ml_field *field;
    const struct ml_predictions *p[2]; /* current, candidate */
    struct ml_subject subject;
    struct ml_answers *a; /* current, candidate; then current's further runs, the candidate's, further candidates */
    size_t n;
    struct ml_slices slices;
    struct ml_tuned_parts **parts; /* of each of a[]: the slices, where a threshold is chosen on all rows; else NULL */
    struct ml_differences all;
    struct ml_delta *recalls;    /* of each class; NULL where they aren't compared one by one */
    struct ml_delta *precisions; /* then also of each label of sets, which may become worse without the recalls; */
    size_t *with;                /* each class's rows; */
    uint64_t *cells[2];          /* and of one class a row both confusion matrices, in rows */
    cJSON *calibration;          /* what the section says of it */
    size_t primary;              /* metrics */
    double alpha;                /* the effective one */
};

/* Rows `rows[0..n-1]` (NULL: all) of both sides, with their runs. */
struct sides {
    struct ml_runs r[2];
};

void duel_sides(const struct duel *d, const uint32_t *rows, size_t n, struct sides *s);
void duel_sides_free(struct sides *s);

bool duel_applies_to(const struct duel *d, size_t who, const struct ml_metric *m);

/* A threshold was chosen on the rows: of one of both, or of a run. */
bool duel_tuned(const struct duel *d);

/* Flips, or moves, and the worst of them. */
void duel_flips(cJSON *to, const struct duel *d);

/* Each class's rows: measured with the sides on all rows, added before the verdicts, written after them. */
void duel_classes_measure(struct duel *d, struct sides *s);
void duel_classes_add(struct duel *d);
void duel_classes(cJSON *to, const struct duel *d);
/* Sets "confusion": labels, and for each the rows by what the current model and the candidate said. Of not too many
 * classes and with predictions only; else nothing is set. */
void duel_confusion(cJSON *to, const struct duel *d);

/* How far the probabilities are off, and whether that changed, with the sides on all rows: keys of the section; owned.
 */
cJSON *duel_calibration(const struct duel *d, const struct sides *s);

/* Further candidates: against the current model, before the verdicts; then ranked. */
void duel_rivals_measure(struct duel *d);
void duel_rivals(cJSON *to, const struct duel *d);

/* Further tests of a difference, as asked for; owned. */
cJSON *duel_extras(
    const struct duel *d, const struct sides *s, const struct ml_difference *x, const struct ml_boot *boot);

#endif
