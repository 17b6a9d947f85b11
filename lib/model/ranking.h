/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What cards say of rankings beside the metrics. */
#ifndef ML_MODEL_RANKING_H
#define ML_MODEL_RANKING_H

#include "data/json.h"
#include "model/predictions.h"
#include "stats/metric.h"
#include "stats/sample.h"

/* `queries` of an evaluation: how many there are, and how many have no relevant row. */
void ml_ranking_queries(cJSON *to, const struct ml_sample *s);

/* `flips` of a comparison, by `metric`: queries ranked better and worse, and the worst of the latter. Both samples have
 * the groups of `p`, the candidate's. */
void ml_ranking_flips(cJSON *to, const struct ml_predictions *p, const struct ml_sample *current,
    const struct ml_sample *candidate, const struct ml_metric *metric);

#endif
