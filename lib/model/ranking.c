/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Queries are counted, and those that lost most are named. */
#include "model/ranking.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/comparison.h"
#include "stats/measure.h"

void ml_ranking_queries(cJSON *to, const struct ml_sample *s)
{
    unsigned char *seen = ml_calloc((size_t)s->groups + 1, 1);
    size_t relevant = 0;
    cJSON *queries = ml_json_set_object(to, "queries");
    for (size_t i = 0; i < s->n; i++)
        if (s->truth[i] > 0 && !seen[s->group[i]]) {
            seen[s->group[i]] = 1;
            relevant++;
        }
    ml_json_set_int(queries, "count", (int64_t)s->groups);
    ml_json_set_int(queries, "undefined", (int64_t)(s->groups - relevant));
    free(seen);
}

static cJSON *query_json(const struct ml_predictions *p, size_t query, double current, double candidate)
{
    cJSON *o = cJSON_CreateObject();
    ml_json_set_str(o, "id", ml_intern_text(&p->group.names, (uint32_t)query));
    ml_json_set_num(o, "current", current);
    ml_json_set_num(o, "candidate", candidate);
    return o;
}

void ml_ranking_flips(cJSON *to, const struct ml_predictions *p, const struct ml_sample *current,
    const struct ml_sample *candidate, const struct ml_metric *metric)
{
    size_t n = candidate->groups, improved = 0, worsened = 0;
    double *a = ml_malloc((n + 1) * sizeof *a), *b = ml_malloc((n + 1) * sizeof *b), *lost;
    cJSON *flips = ml_json_set_object(to, "flips");
    lost = ml_malloc((n + 1) * sizeof *lost);
    ml_query_values(current, metric, a);
    ml_query_values(candidate, metric, b);
    for (size_t i = 0; i < n; i++) {
        lost[i] = a[i] - b[i]; /* NaN where neither has a value: labels are the same */
        improved += lost[i] < 0;
        worsened += lost[i] > 0;
    }
    ml_json_set_str(flips, "metric", metric->name);
    ml_json_set_int(flips, "improved", (int64_t)improved);
    ml_json_set_int(flips, "worsened", (int64_t)worsened);
    cJSON *list = ml_json_set_array(flips, "worst");
    for (size_t shown = 0; shown < ML_WORST_MAX && shown < worsened; shown++) {
        size_t worst = n;
        for (size_t i = 0; i < n; i++)
            if (lost[i] > 0 && (worst == n || lost[i] > lost[worst]))
                worst = i;
        cJSON_AddItemToArray(list, query_json(p, worst, a[worst], b[worst]));
        lost[worst] = 0;
    }
    free(a);
    free(b);
    free(lost);
}
