/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of ml-compare share. */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "base/err.h"
#include "base/tool.h"
#include "model/card.h"
#include "model/contest.h"
#include "stats/runs.h"

struct cfg {
    struct ml_common common;
    struct ml_columns cols;
    const char *current, *current_predictions, *policy, *unmatched, *confirm, *confirm_current;
    struct ml_strs candidates, runs, current_runs, margins, tests;
    double alpha;
    long look, seed;
    char threshold[32]; /* cols.threshold, where a card said it */
    bool unpaired;
};

/* Everybody who is compared; starts zeroed. */
struct compare_inputs {
    struct ml_contender current, candidate, confirm[2];
    struct ml_contender *runs[2], *rivals;
    struct ml_card card; /* the one that goes on */
};

/* Reads them into `in` and enters them in `t`. Columns that no option names are taken from the candidate's card. */
int compare_load(
    struct cfg *cfg, bool stdin_taken, struct compare_inputs *in, struct ml_contest *t, struct ml_err *err);
void compare_release(const struct cfg *cfg, struct compare_inputs *in);

#endif
