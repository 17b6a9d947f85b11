/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Further tests of a difference, in the card. */
#include <math.h>

#include "model/comparison_impl.h"
#include "stats/extra.h"

#define SEVERAL_RUNS "there are several runs"

static cJSON *begin(cJSON *to, const char *name, const struct ml_extra_result *r)
{
    cJSON *o = ml_json_set_object(to, name);
    ml_json_set_num(o, "p", r->ok ? r->p : NAN);
    if (!r->ok)
        ml_json_set_str(o, "reason", r->reason);
    return o;
}

static void add_tost(cJSON *to, const struct ml_difference *x)
{
    struct ml_extra_result r;
    ml_extra_tost(&x->d, x->margin, &r);
    ml_json_set_num(begin(to, "tost", &r), "margin", x->margin > 0 ? x->margin : NAN);
}

static void add_wilcoxon(cJSON *to, struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric)
{
    struct ml_extra_result r = { .reason = SEVERAL_RUNS };
    if (a != NULL)
        ml_extra_wilcoxon(a, b, metric, &r);
    cJSON *o = begin(to, "wilcoxon", &r);
    if (!r.ok)
        return;
    ml_json_set_num(o, "statistic", r.statistic);
    ml_json_set_int(o, "n", (int64_t)r.n);
    ml_json_set_bool(o, "exact", r.exact);
}

static void add_permutation(
    cJSON *to, struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed)
{
    struct ml_extra_result r = { .reason = SEVERAL_RUNS };
    if (a != NULL)
        ml_extra_permutation(a, b, metric, seed, &r);
    cJSON *o = begin(to, "permutation", &r);
    if (!r.ok)
        return;
    ml_json_set_bool(o, "exact", r.exact);
    ml_json_set(o, "replicates", NULL); /* the whole distribution, in closed form */
    if (r.replicates > 0)
        ml_json_set_int(o, "replicates", (int64_t)r.replicates);
    if (r.undefined > 0)
        ml_json_set_int(o, "undefined", (int64_t)r.undefined);
}

static void add_bootstrap(cJSON *to, struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot)
{
    struct ml_extra_result r = { .reason = SEVERAL_RUNS };
    if (a != NULL)
        ml_extra_bootstrap(a, b, metric, alpha, boot, &r);
    cJSON *o = begin(to, "bootstrap", &r);
    if (!r.ok)
        return;
    ml_json_set_num(o, "low", r.low);
    ml_json_set_num(o, "high", r.high);
    ml_json_set(o, "bca", NULL);
    if (r.has_bca) {
        cJSON *bca = ml_json_set_object(o, "bca");
        ml_json_set_num(bca, "low", r.bca[0]);
        ml_json_set_num(bca, "high", r.bca[1]);
    } else {
        ml_json_set_str(o, "reason", r.reason);
    }
    ml_json_set_str(o, "unit", ml_measure_groups(a) > 0 ? "group" : "row");
    ml_json_set_int(o, "replicates", (int64_t)r.replicates);
    if (r.undefined > 0)
        ml_json_set_int(o, "undefined", (int64_t)r.undefined);
}

cJSON *duel_extras(
    const struct duel *d, const struct sides *s, const struct ml_difference *x, const struct ml_boot *boot)
{
    bool runs = s->r[0].n + s->r[1].n > 2;
    struct ml_measure *a = runs ? NULL : s->r[0].m[0], *b = runs ? NULL : s->r[1].m[0];
    cJSON *o = cJSON_CreateObject();
    if (d->o->extras & ML_EXTRA_TOST)
        add_tost(o, x);
    if (d->o->extras & ML_EXTRA_WILCOXON)
        add_wilcoxon(o, a, b, x->metric);
    if (d->o->extras & ML_EXTRA_PERMUTATION)
        add_permutation(o, a, b, x->metric, d->o->seed);
    if (d->o->extras & ML_EXTRA_BOOTSTRAP)
        add_bootstrap(o, a, b, x->metric, d->alpha, boot);
    return o;
}
