/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a policy asks of metrics. */
#include <string.h>

#include "model/policy_impl.h"
#include "stats/metric.h"

/* Limits that no value, or every value, of a known metric meets. */
static void in_range(const struct policy_reader *r, const cJSON *node, const struct ml_metric_rule *m)
{
    const struct ml_metric *known = ml_metric_find(m->metric);
    if (m->min.amount.set && m->max.amount.set && m->min.amount.x > m->max.amount.x)
        policy_fault(r, node, "'%s' has a min above its max", m->metric);
    if (!known)
        return;
    if (m->min.amount.set && m->min.amount.x > known->high)
        policy_fault(
            r, ml_json_get(node, "min"), "'%s' is never above %g, so no model could pass", m->metric, known->high);
    if (m->max.amount.set && m->max.amount.x < known->low)
        policy_fault(
            r, ml_json_get(node, "max"), "'%s' is never below %g, so no model could pass", m->metric, known->low);
    if (m->max_drop.amount.percent && known->low < 0)
        policy_fault(r, ml_json_get(node, "max_drop"),
            "'%s' can be negative: give 'max_drop' as a number, not in percent", m->metric);
    if (m->margin.relative && known->low < 0)
        policy_fault(r, ml_json_get(node, "margin"), "'%s' can be negative: give 'margin' as a number, not in percent",
            m->metric);
}

static void direction(const struct policy_reader *r, const cJSON *node, struct ml_metric_rule *m)
{
    static const char *const words[] = { "higher", "lower", NULL };
    const struct ml_metric *known = ml_metric_find(m->metric);
    const cJSON *said = ml_json_get(node, "direction");
    if (known)
        m->direction = known->direction;
    if (said) {
        int i = policy_choice(r, said, "direction", words), d = i == 0 ? 1 : -1;
        m->misdirected = i < 0;
        if (i < 0)
            return;
        if (known && d != known->direction)
            policy_fault(r, said, "'%s' is better when %s", m->metric, words[known->direction > 0 ? 0 : 1]);
        m->direction = d;
    }
    if (!m->direction && (m->must || m->max_drop.amount.set || m->has_margin))
        policy_fault(r, node, "say 'direction: higher' or 'direction: lower' for '%s', which isn't a metric known here",
            m->metric);
}

/* `must: improve`, or a mapping of `be` and terms. */
static void must(
    const struct policy_reader *r, const cJSON *node, const struct ml_terms *otherwise, struct ml_metric_rule *m)
{
    static const char *const words[] = { "not_regress", "improve", NULL };
    static const char *const keys[] = { "be", POLICY_TERMS, NULL };
    const cJSON *be = node;

    m->must_terms = *otherwise;
    m->must_terms.line = policy_line(r, node);
    if (cJSON_IsObject(node)) {
        if (!policy_mapping(r, node, keys))
            return;
        policy_terms(r, node, &m->must_terms);
        be = ml_json_get(node, "be");
        if (!be) {
            policy_fault(r, node, "'must' needs a 'be': not_regress or improve");
            return;
        }
    }
    int i = policy_choice(r, be, "value of 'must'", words);
    m->must = i < 0 ? ML_MUST_NOTHING : i == 0 ? ML_MUST_NOT_REGRESS : ML_MUST_IMPROVE;
}

static void margin(const struct policy_reader *r, const cJSON *node, struct ml_metric_rule *m)
{
    struct ml_amount a;
    if (!policy_amount(r, node, "margin", POLICY_PERCENT, &a))
        return;
    if (!(a.x > 0))
        policy_fault(r, node, "'margin' must be greater than 0");
    m->has_margin = true;
    m->margin = (struct ml_margin){ .value = a.x, .relative = a.percent };
}

static void read_rule(const struct policy_reader *r, const cJSON *node, struct ml_metric_rule *m)
{
    static const char *const keys[] = { "min", "max", "max_drop", "must", "margin", "direction", POLICY_TERMS, NULL };
    struct ml_terms terms = { 0 };
    const cJSON *v;
    if (!policy_mapping(r, node, keys))
        return;
    policy_terms(r, node, &terms);
    policy_limit(r, ml_json_get(node, "min"), POLICY_PLAIN, true, &terms, &m->min);
    policy_limit(r, ml_json_get(node, "max"), POLICY_PLAIN, true, &terms, &m->max);
    policy_limit(r, ml_json_get(node, "max_drop"), POLICY_PERCENT, true, &terms, &m->max_drop);
    if (m->max_drop.amount.set && m->max_drop.amount.x < 0)
        policy_fault(
            r, ml_json_get(node, "max_drop"), "'max_drop' must not be negative; 'must: improve' asks for a gain");
    if ((v = ml_json_get(node, "must")))
        must(r, v, &terms, m);
    if ((v = ml_json_get(node, "margin")))
        margin(r, v, m);
    if (!ml_json_get(node, "min") && !ml_json_get(node, "max") && !ml_json_get(node, "max_drop") &&
        !ml_json_get(node, "must") && !ml_json_get(node, "margin"))
        policy_fault(r, node, "'%s' has no rule: give it min, max, max_drop, must or margin", m->metric);
    direction(r, node, m);
    in_range(r, node, m);
}

void policy_metrics(const struct policy_reader *r, const cJSON *node, const char *slice)
{
    struct ml_policy *p = r->p;
    const cJSON *member;
    if (!policy_mapping(r, node, NULL))
        return;
    cJSON_ArrayForEach(member, node)
    {
        if (slice && !strcmp(member->string, "min_rows")) {
            p->slice_rows = ml_realloc(p->slice_rows, (p->n_slice_rows + 1) * sizeof(*p->slice_rows));
            struct ml_slice_rows *s = &p->slice_rows[p->n_slice_rows++];
            *s = (struct ml_slice_rows){ .slice = ml_strdup(slice) };
            policy_count(r, member, 1, POLICY_PLAIN, &s->min_rows);
            continue;
        }
        p->rules = ml_realloc(p->rules, (p->n + 1) * sizeof(*p->rules));
        struct ml_metric_rule *m = &p->rules[p->n++];
        *m = (struct ml_metric_rule){ .metric = ml_strdup(member->string), .slice = slice ? ml_strdup(slice) : NULL };
        read_rule(r, member, m);
    }
}
