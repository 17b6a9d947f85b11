/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of ml-eval share. */
#ifndef TOOLS_EVAL_H
#define TOOLS_EVAL_H

#include "base/tool.h"
#include "data/json.h"
#include "model/policy.h"
#include "model/subject.h"

struct cfg {
    struct ml_common common;
    struct ml_columns cols;
    const char *model, *name, *version, *policy;
    double confidence;
    long seed;
    bool curves;
    struct ml_policy rules; /* the policy's */
};

/* Says what is there or was given and plays no part. */
void eval_say_unused(
    const struct cfg *cfg, const struct ml_predictions *p, const struct ml_subject *s, const struct ml_answers *a);

/* Warns of what was asked for and isn't measured, and of answers that most likely mean something else. */
void eval_doubt(const struct cfg *cfg, const struct ml_subject *s, const cJSON *evaluation);

#endif
