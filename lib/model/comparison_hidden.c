/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Regressions that an average hides. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/comparison_entry.h"

static bool worse(const struct ml_difference *x)
{
    return x->judgement.verdict == ML_VERDICT_WORSE;
}

static bool average(const struct ml_difference *x)
{
    return x->slice == NULL && x->label < 0 && x->rival == 0;
}

/* Whether an average tells of it, too. */
static bool shown(const struct ml_differences *l, const struct ml_comparison_opts *o, const struct ml_difference *part)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct ml_difference *x = &l->v[i];
        if (average(x) && worse(x) &&
            (part->slice != NULL ? x->metric == part->metric : ml_difference_primary(o, x->metric->name)))
            return true;
    }
    return false;
}

/* The surest first. */
static int by_p(const void *a, const void *b)
{
    const struct ml_difference *x = *(const struct ml_difference *const *)a,
                               *y = *(const struct ml_difference *const *)b;
    double d = x->p_adjusted - y->p_adjusted, e = fabs(y->d.delta) / y->d.se - fabs(x->d.delta) / x->d.se;
    return d != 0 ? (d > 0) - (d < 0) : e != 0 ? (e > 0) - (e < 0) : x < y ? -1 : 1;
}

static void add(cJSON *list, const struct ml_difference *x, char *const *classes)
{
    const char *key = x->slice != NULL ? "slice" : "class", *part = x->slice != NULL ? x->slice : classes[x->label];
    bool recall = x->slice == NULL && x->metric->id == ML_METRIC_ACCURACY;
    const char *metric = recall ? "recall" : x->metric->name;
    cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        const char *there = ml_json_str(one, key);
        if (there != NULL && strcmp(there, part) == 0) {
            cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(one, "also"), cJSON_CreateString(metric));
            return;
        }
    }
    one = cJSON_CreateObject();
    ml_json_set_str(one, key, part);
    ml_json_set_str(one, "metric", metric);
    ml_json_set_num(one, "current", x->current);
    ml_json_set_num(one, "candidate", x->candidate);
    ml_json_set_num(one, "delta", x->d.delta);
    ml_json_set_num(one, "low", x->d.low);
    ml_json_set_num(one, "high", x->d.high);
    ml_json_set_num(one, "p_adjusted", x->p_adjusted);
    ml_json_set_array(one, "also");
    cJSON_AddItemToArray(list, one);
}

void ml_comparison_hidden(
    cJSON *to, const struct ml_comparison_opts *o, const struct ml_differences *l, char *const *classes)
{
    const struct ml_difference **found = ml_malloc((l->n + 1) * sizeof *found);
    cJSON *list = ml_json_set_array(to, "hidden");
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (!average(&l->v[i]) && l->v[i].rival == 0 && worse(&l->v[i]) && !shown(l, o, &l->v[i]))
            found[n++] = &l->v[i];
    qsort(found, n, sizeof *found, by_p);
    for (size_t i = 0; i < n; i++)
        add(list, found[i], classes);
    free(found);
}
