/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What helps where a card lacks what a rule is about. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/evaluation.h"
#include "model/gate_impl.h"
#include "model/subject.h"
#include "stats/metric.h"

/* How far apart two names are; one that goes on where the other ends is near. */
static size_t far(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return strncmp(a, b, n < m ? n : m) == 0 ? 1 : ml_text_distance(a, b);
}

void gate_nearest(const cJSON *object, const char *wanted, const char *what, struct ml_buf *out)
{
    struct {
        const char *name;
        size_t far;
    } best[4]; /* the nearest three, and room for the next */
    size_t n = 0, some = 0;
    const cJSON *m;
    if (!cJSON_IsObject(object))
        return;
    cJSON_ArrayForEach(m, object)
    {
        size_t d = far(wanted, m->string), i = some;
        for (; i > 0 && best[i - 1].far > d; i--)
            best[i] = best[i - 1];
        best[i].name = m->string;
        best[i].far = d;
        some += some < 3;
        n++;
    }
    for (size_t i = 0; i < some; i++)
        ml_buf_addf(out, "%s'%.80s'", i == 0 ? what : i + 1 < some || n > some ? ", " : " and ", best[i].name);
    if (n > some)
        ml_buf_addf(out, " and %zu more", n - some);
}

#define OF_SCORES ((int)ML_NEED_SCORE | (int)ML_NEED_PROBA)

/* A metric of scores has a value. */
static bool has_scores(const cJSON *section, const char *task)
{
    const cJSON *metrics = ml_json_get(section, "metrics"), *m;
    double x;
    if (!cJSON_IsObject(metrics))
        return false;
    cJSON_ArrayForEach(m, metrics)
    {
        const struct ml_metric *known = ml_evaluation_metric(m->string, task);
        if (known && ((int)known->need & OF_SCORES) && (ml_json_num(m, "value", &x) || ml_json_num(m, "candidate", &x)))
            return true;
    }
    return false;
}

/* How a metric of this task comes into a card. */
static void add_way(const struct ml_metric *m, bool scores, struct ml_buf *out)
{
    bool lacks = ((int)m->need & OF_SCORES) && !scores;
    if (m->id == ML_METRIC_COST)
        ml_buf_adds(out, "; it needs --cost, which measures it");
    else
        ml_buf_addf(out, "; it %s%s%s", lacks ? "needs scores (--score or --scores)" : "",
            lacks && !m->common ? ", and " : "", lacks && m->common ? "" : "is measured with --policy or --metric");
}

void gate_near(const struct gate_judge *j, const cJSON *section, const struct ml_metric_rule *m, struct ml_buf *out)
{
    const cJSON *slices = ml_json_get(section, "slices"), *slice = m->slice ? ml_json_get(slices, m->slice) : NULL;
    const char *task = ml_json_str(j->evaluation, "task");
    const struct ml_metric *known = ml_evaluation_metric(m->metric, task);
    char *meant = NULL;
    if (gate_metric(j->evaluation, m->slice, m->metric))
        return;
    if (m->slice && !slice)
        gate_nearest(slices, m->slice, "; it has the slices ", out);
    else if (known && !gate_metric(section, NULL, m->metric))
        add_way(known, has_scores(section, task), out);
    else if (!ml_metric_find(m->metric) && (meant = ml_subject_meant(m->metric)) != NULL)
        ml_buf_addf(out, "; is '%s' meant?", meant);
    else
        gate_nearest(ml_json_get(slice ? slice : section, "metrics"), m->metric, "; it has ", out);
    free(meant);
}
