/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Margins, families, verdicts. */
#include "model/comparison_entry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILY_PRIMARY, FAMILY_SECONDARY, FAMILY_SLICES, FAMILY_CLASSES, FAMILIES };

static const char *const family_names[FAMILIES] = { "primary", "secondary", "slices", "classes" };

bool ml_difference_primary(const struct ml_comparison_opts *o, const char *metric)
{
    return o->policy == NULL || ml_policy_names(o->policy, metric);
}

static double margin_of(const struct ml_comparison_opts *o, const char *metric, const char *slice, double current)
{
    if (isnan(current))
        return 0;
    for (size_t i = o->n_margins; i-- > 0;)
        if (strcmp(o->margins[i].metric, metric) == 0)
            return ml_margin_resolve(&o->margins[i].margin, current);
    const struct ml_metric_rule *r = o->policy != NULL ? ml_policy_find(o->policy, slice, metric) : NULL;
    return r != NULL && r->has_margin ? ml_margin_resolve(&r->margin, current) : 0;
}

struct ml_difference *ml_differences_add(struct ml_differences *l, const struct ml_comparison_opts *o,
    const struct ml_metric *m, const char *slice, const struct ml_delta *d, double current, double candidate)
{
    l->v = ml_grow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    struct ml_difference *x = &l->v[l->n++];
    *x = (struct ml_difference){ .metric = m, .slice = slice, .d = *d, .current = current, .candidate = candidate };
    x->margin = margin_of(o, m->name, slice, current);
    x->family = slice != NULL ? FAMILY_SLICES : ml_difference_primary(o, m->name) ? FAMILY_PRIMARY : FAMILY_SECONDARY;
    x->p_adjusted = x->p_bh = NAN;
    x->label = -1;
    return x;
}

void ml_differences_add_class(struct ml_differences *l, const struct ml_comparison_opts *o, const char *metric,
    int32_t label, const struct ml_delta *d)
{
    struct ml_difference *x =
        ml_differences_add(l, o, ml_metric_find(metric), NULL, d, d->ok ? d->current : NAN, d->ok ? d->candidate : NAN);
    x->label = label;
    x->margin = 0;
    x->family = FAMILY_CLASSES;
}

void ml_differences_release(struct ml_differences *l)
{
    for (size_t i = 0; i < l->n; i++) {
        cJSON_Delete(l->v[i].extra);
        cJSON_Delete(l->v[i].runs);
    }
    free(l->v);
}

static void judge(struct ml_difference *x, double alpha)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    e.identical = x->d.identical;
    e.has_interval = x->d.ok && x->d.has_interval;
    e.interval_reason = x->d.ok ? x->d.interval_reason : x->d.reason;
    e.direction = x->metric->direction;
    e.delta = x->d.delta;
    e.low = x->d.low;
    e.high = x->d.high;
    e.se = x->d.se;
    e.df = x->d.df;
    if (e.has_interval) {
        e.p = x->d.p;
        e.p_adjusted = x->p_adjusted;
    }
    e.alpha = alpha;
    e.k = x->family_size;
    e.margin = x->margin;
    e.bounded = ml_metric_bounded(x->metric);
    e.rows = x->d.ok ? x->d.rows : SIZE_MAX;
    e.groups = x->d.groups;
    e.smaller_class = x->d.smaller_class;
    e.n = x->d.n;
    e.changed = x->d.changed;
    ml_judge(&e, &x->judgement);
    if (x->runs != NULL || ml_delta_few(&x->d, x->metric))
        x->judgement.has_rows_needed = false; /* other rows tell neither what other seeds would, nor of rows so rare */
}

static bool tested(const struct ml_difference *x)
{
    return x->d.ok && x->d.has_interval;
}

/* The first difference that asks the same as i: of the same rows and candidate, which stand together. */
static size_t first_alike(const struct ml_differences *l, size_t i)
{
    const struct ml_difference *x = &l->v[i];
    size_t first = i;
    for (size_t j = i; j-- > 0;) {
        const struct ml_difference *y = &l->v[j];
        if (y->rival != x->rival || y->label != x->label || (y->slice == NULL) != (x->slice == NULL) ||
            (x->slice != NULL && strcmp(x->slice, y->slice) != 0))
            break;
        if (tested(y) && y->family == x->family && ml_metric_same(x->metric, y->metric))
            first = j;
    }
    return first;
}

/* A hypothesis that several metrics are tests of counts once, by the largest of their p: then whichever of them were
 * looked at, it is rejected no more often than it may be. */
void ml_differences_judge(struct ml_differences *l, const struct ml_comparison_opts *o)
{
    double *p = ml_malloc((l->n + 1) * sizeof *p), *adjusted = ml_malloc((l->n + 1) * sizeof *adjusted),
           *q = ml_malloc((l->n + 1) * sizeof *q);
    size_t *first = ml_malloc((l->n + 1) * sizeof *first), k[FAMILIES] = { 0 };
    int *family = ml_malloc((l->n + 1) * sizeof *family);
    for (size_t i = 0; i < l->n; i++) {
        bool test = tested(&l->v[i]);
        first[i] = test ? first_alike(l, i) : i;
        bool counts = test && first[i] == i;
        p[i] = test ? l->v[i].d.p : 1;
        p[first[i]] = fmax(p[first[i]], p[i]);
        family[i] = counts ? l->v[i].family : -1;
        k[l->v[i].family] += counts;
    }
    ml_holm(p, family, l->n, adjusted);
    ml_bh(p, family, l->n, q);
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].p_adjusted = tested(&l->v[i]) ? adjusted[first[i]] : NAN;
        l->v[i].p_bh = tested(&l->v[i]) ? q[first[i]] : NAN;
        l->v[i].family_size = k[l->v[i].family];
        judge(&l->v[i], ml_look_alpha(o->alpha, o->look));
    }
    free(p);
    free(adjusted);
    free(q);
    free(first);
    free(family);
}

/* "this difference depends on about 4 of 300 rows; its interval may be too narrow" */
static void add_caution(cJSON *to, const struct ml_difference *x)
{
    const struct ml_delta *d = &x->d;
    const char *units = x->metric->family == ML_FAMILY_QUERY ? "queries" : d->groups > 0 ? "groups" : "rows";
    char *text = ml_format("this difference depends on about %.0f of %zu %s; its interval may be too narrow",
        d->effective, d->groups > 0 ? d->groups : d->rows, units);
    ml_json_set_str(to, "caution", text);
    free(text);
}

cJSON *ml_difference_json(const struct ml_difference *x)
{
    const struct ml_judgement *j = &x->judgement;
    bool interval = tested(x);
    cJSON *o = cJSON_CreateObject();
    ml_json_set_num(o, "current", x->current);
    ml_json_set_num(o, "candidate", x->candidate);
    ml_json_set_num(o, "delta", x->d.ok ? x->d.delta : NAN);
    ml_json_set_num(o, "low", interval ? x->d.low : NAN);
    ml_json_set_num(o, "high", interval ? x->d.high : NAN);
    ml_json_set_num(o, "se", interval ? x->d.se : NAN);
    ml_json_set_str(o, "direction", x->metric->direction > 0 ? "higher" : "lower");
    ml_json_set_str(o, "test", interval ? x->d.test : NULL);
    ml_json_set_str(o, "interval", interval ? x->d.interval : NULL);
    ml_json_set_num(o, "p", interval ? x->d.p : NAN);
    ml_json_set_num(o, "p_adjusted", x->p_adjusted);
    ml_json_set_num(o, "p_bh", x->p_bh);
    ml_json_set_str(o, "family", family_names[x->family]);
    ml_json_set_int(o, "family_size", (int64_t)x->family_size);
    ml_json_set(o, "changed", NULL);
    if (x->d.ok && x->d.changed != SIZE_MAX)
        ml_json_set_int(o, "changed", (int64_t)x->d.changed);
    ml_json_set_num(o, "effective", interval && x->d.effective > 0 ? x->d.effective : NAN);
    if (x->d.ok)
        ml_json_set_int(o, "n", (int64_t)x->d.n);
    ml_json_set_num(o, "margin", x->margin > 0 ? x->margin : NAN);
    ml_json_set_bool(o, "noninferior", j->noninferior);
    ml_json_set_num(o, "detectable", j->has_detectable ? j->detectable : NAN);
    if (j->has_rows_needed)
        ml_json_set_num(o, "rows_needed", j->rows_needed);
    ml_json_set_str(o, "verdict", ml_verdict_name(j->verdict));
    if (j->reason[0] != '\0')
        ml_json_set_str(o, "reason", j->reason);
    if (ml_delta_few(&x->d, x->metric))
        add_caution(o, x);
    if (x->d.undefined > 0)
        ml_json_set_int(o, "undefined", (int64_t)x->d.undefined);
    if (x->runs != NULL)
        ml_json_set(o, "runs", cJSON_Duplicate(x->runs, true));
    if (x->extra != NULL)
        ml_json_set(o, "extra", cJSON_Duplicate(x->extra, true));
    return o;
}

void ml_comparison_frame(cJSON *to, const struct ml_comparison_opts *o, const struct ml_differences *l)
{
    ml_json_set_num(to, "alpha", ml_look_alpha(o->alpha, o->look));
    ml_json_set(to, "look", NULL);
    if (o->look > 0)
        ml_json_set_int(to, "look", (int64_t)o->look);
    size_t seen = o->promotions + (o->look > 0 ? o->look : 1);
    const struct ml_difference *first = NULL;
    if (l->n > 0) /* each further candidate has used the rows, too; they stand at the end */
        seen += l->v[l->n - 1].rival;
    for (size_t i = 0; i < l->n && first == NULL; i++)
        if (l->v[i].family == FAMILY_PRIMARY && l->v[i].d.ok && l->v[i].d.has_interval)
            first = &l->v[i];
    cJSON *reuse = ml_json_set_object(to, "reuse");
    ml_json_set_int(reuse, "seen", (int64_t)seen);
    ml_json_set_num(reuse, "optimism", first != NULL ? ml_optimism(first->d.se, (double)seen) : NAN);
    if (first != NULL)
        ml_json_set_str(reuse, "metric", first->metric->name);
    else
        ml_json_set_str(reuse, "reason", "no primary metric has an interval");
}

int ml_comparison_check_margins(const struct ml_comparison_opts *o, const cJSON *metrics, struct ml_err *err)
{
    for (size_t i = 0; i < o->n_margins; i++)
        if (ml_json_get(metrics, o->margins[i].metric) == NULL)
            return ml_err_set(
                err, ML_USAGE, "--margin '%s': these models aren't measured by such a metric", o->margins[i].metric);
    return 0;
}
