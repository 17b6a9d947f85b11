/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a gate's rules can tell on rows like these: how often each would stop a change that changes nothing, and let a
 * true drop of its margin's size through. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/gate_impl.h"
#include "stats/dist.h"
#include "stats/runs.h"

#define HARMLESS 0.10 /* the share of harmless changes that a rule may stop, for `rows_needed` */
#define FOUND    0.80 /* the share of true gains that `must: improve` finds there */

/* What the rules are about. */
struct card {
    const cJSON *evaluation, *comparison;
};

/* A rule as the gate left it. */
struct power {
    enum { LIMIT, DROP, MUST } kind;
    double se, rows,
        margin; /* margin 0: none; of max_drop: its limit; of a limit: its distance from the current value */
    bool improve, bound;
    bool room;                  /* of a limit: the current value meets it */
    double alpha;               /* the share outside the interval that it is about */
    double sure;                /* the level at which p is enough for a verdict, corrected as it may be */
    double df;                  /* 0: normal */
    double groups;              /* 0: each row is its own */
    double wide;                /* how far the bound is off, in quantiles times se */
    double se_rows, se_runs[2]; /* what se is made of where there are several runs of a model */
    int n_runs[2];              /* 0: one or not said */
    double least;               /* below so many rows there is no verdict, which a rule `must` needs */
};

static double alpha_of(const cJSON *comparison)
{
    double alpha;

    return ml_json_num(comparison, "alpha", &alpha) && alpha > 0 && alpha < 1 ? alpha : 0.05;
}

/* A rule about a number of the card that is a difference from the current model. */
static bool of_delta(const cJSON *rule)
{
    const char *number = ml_json_str(rule, "number");
    size_t n = number ? strlen(number) : 0;

    return n > 5 && !strcmp(number + n - 5, "delta");
}

/* What the rows and what the spread of the candidate's runs have of the standard error of their mean; NULL: it isn't
 * one that the rule is about. */
static const cJSON *read_mean(const cJSON *rule, const struct card *card, struct power *p)
{
    const char *slice = ml_json_str(rule, "slice"), *metric = ml_json_str(rule, "metric");
    const cJSON *mean, *values, *v;
    double value, se, squares = 0;
    int n;

    if (!metric || !ml_json_get(rule, "runs") || !(mean = gate_mean(card->comparison, slice, metric, &n)) ||
        !ml_json_num(mean, "value", &value) || !ml_json_num(mean, "se", &se))
        return NULL;
    values = ml_json_get(ml_json_get(gate_metric(card->comparison, slice, metric), "runs"), "candidate");
    cJSON_ArrayForEach(v, values) squares += (v->valuedouble - value) * (v->valuedouble - value);
    p->n_runs[1] = n;
    p->se_runs[1] = sqrt(squares / (n - 1) / n);
    p->se_rows = sqrt(fmax(se * se - p->se_runs[1] * p->se_runs[1], 0));
    return mean;
}

/* How many standard errors an interval reaches. */
static double reach(const struct power *p)
{
    return p->wide * ml_t_quantile(1 - p->alpha / 2, p->df > 0 ? p->df : INFINITY);
}

/* What made the bound that a limit is held against: the evaluation, which has its own confidence and reaches as far
 * from the value as its method says, or the runs, whose mean doesn't know of looks. */
static void read_bound(const cJSON *rule, const struct card *card, int sign, struct power *p)
{
    const char *metric = ml_json_str(rule, "metric"), *slice = ml_json_str(rule, "slice");
    const cJSON *m = metric ? gate_metric(card->evaluation, slice, metric) : NULL;
    double confidence, value, end, look, se;

    if (p->n_runs[1] > 1) {
        if (ml_json_num(card->comparison, "look", &look) && look >= 1)
            p->alpha *= look * (look + 1);
        return;
    }
    if (ml_json_num(card->evaluation, "confidence", &confidence) && confidence > 0 && confidence < 1)
        p->alpha = 1 - confidence;
    p->df = gate_df(card->evaluation, slice, m);
    p->groups = gate_groups(card->evaluation, slice);
    if (ml_json_num(m, "value", &value) && ml_json_num(m, sign > 0 ? "low" : "high", &end) &&
        ml_json_num(m, "se", &se) && se > 0)
        p->wide = sign * (value - end) / se / reach(p);
}

/* The distance between a min or max and what a candidate is expected to be that is no different: the current model's
 * value, or where there is none the candidate's own; no difference from it is 0. */
static bool read_limit(const cJSON *rule, const struct card *card, int sign, struct power *p)
{
    const char *metric = ml_json_str(rule, "metric"), *slice = ml_json_str(rule, "slice");
    const cJSON *mean = read_mean(rule, card, p);
    double limit, now = 0;

    if (!ml_json_num(rule, "required", &limit))
        return false;
    bool known =
        of_delta(rule) || (metric && (ml_json_num(gate_metric(card->comparison, slice, metric), "current", &now) ||
                                         ml_json_num(mean, "value", &now) ||
                                         ml_json_num(gate_metric(card->evaluation, slice, metric), "value", &now)));
    if (!known && !ml_json_num(rule, "observed", &now))
        return false;
    if (p->bound)
        read_bound(rule, card, sign, p);
    p->margin = sign * (now - limit);
    p->room = p->margin > 0;
    return true;
}

static void read_runs(const cJSON *rule, const cJSON *comparison, struct power *p)
{
    static const char *const names[2] = { "current", "candidate" }, *const se[2] = { "se_current", "se_candidate" };
    const char *slice = ml_json_str(rule, "slice"), *metric = ml_json_str(rule, "metric");
    const cJSON *m = metric ? gate_metric(comparison, slice, metric) : NULL, *runs = ml_json_get(m, "runs");

    p->sure = gate_sure(m, p->alpha);
    p->df = gate_df(comparison, slice, m);
    p->groups = gate_groups(comparison, slice);
    if (!ml_json_num(runs, "se_rows", &p->se_rows))
        return;
    for (int i = 0; i < 2; i++)
        if (ml_json_num(runs, se[i], &p->se_runs[i]))
            p->n_runs[i] = cJSON_GetArraySize(ml_json_get(runs, names[i]));
}

static double least_rows(const cJSON *rule, const cJSON *comparison)
{
    const char *slice = ml_json_str(rule, "slice"), *metric = ml_json_str(rule, "metric");

    return metric ? gate_least(comparison, slice, metric, gate_metric(comparison, slice, metric)) : 0;
}

static bool read_rule(const cJSON *rule, const struct card *card, struct power *p)
{
    const cJSON *comparison = card->comparison;
    const char *required = ml_json_str(rule, "required"), *on = ml_json_str(rule, "on");
    const char *kind = strrchr(ml_json_str(rule, "rule"), '.');

    kind = kind ? kind + 1 : "";
    *p = (struct power){ .alpha = alpha_of(comparison), .wide = 1 };
    p->kind = !strcmp(kind, "max_drop") ? DROP : !strcmp(kind, "must") ? MUST : LIMIT;
    p->improve = p->kind == MUST && required && !strcmp(required, "improve");
    p->bound = on && !strcmp(on, "bound");
    if (p->kind == LIMIT && !read_limit(rule, card, !strcmp(kind, "min") ? 1 : -1, p))
        return false;
    if (p->kind != LIMIT && !ml_json_num(rule, p->kind == DROP ? "limit" : "margin", &p->margin))
        p->margin = 0;
    if (p->kind != LIMIT)
        read_runs(rule, comparison, p);
    if (p->kind == MUST)
        p->least = least_rows(rule, comparison);
    return (p->kind != MUST || required) && ml_json_num(rule, "se", &p->se) && p->se > 0 &&
           ml_json_num(rule, "rows", &p->rows);
}

/* How often the rule passes a candidate that is truly worse by `drop`: the estimate is normal around it, and with few
 * degrees of freedom the interval's width varies as well. What the correction makes of a p is between nothing and its
 * first step: of a rule that wants a gain this is the end that flatters less, of one that lets a harm through the
 * other.
 */
static double pass_rate(const struct power *p, double drop)
{
    double df = p->df > 0 ? p->df : INFINITY, q = reach(p);

    if (p->rows < p->least)
        return p->improve || p->margin > 0 ? 0 : 1;
    if (p->improve)
        return ml_t_beyond(drop > 0 ? q : ml_t_quantile(1 - p->sure / 2, df), df, -drop / p->se);
    if (p->kind == MUST && !(p->margin > 0)) /* not worse */
        return 1 - ml_t_beyond(q, df, drop / p->se);
    if (p->kind == LIMIT && p->bound && p->n_runs[1] > 1) { /* what ml_runs_estimate makes of rows and runs */
        double z = ml_normal_quantile(1 - p->alpha / 2), t = ml_t_quantile(1 - p->alpha / 2, p->n_runs[1] - 1);
        return ml_t_beyond_both(
            z * p->se_rows / p->se, t * p->se_runs[1] / p->se, p->n_runs[1] - 1, (p->margin - drop) / p->se);
    }
    if (p->bound || p->kind == MUST)
        return ml_t_beyond(q, df, (p->margin - drop) / p->se);
    return ml_normal_cdf((p->margin - drop) / p->se);
}

/* At most HARMLESS of the harmless changes are stopped; `must: improve`: a gain of the margin's size is found as often
 * as FOUND. */
static bool will_do(const struct power *p)
{
    return p->improve ? pass_rate(p, -p->margin) >= FOUND : pass_rate(p, 0) >= 1 - HARMLESS;
}

static bool several(const struct power *p)
{
    return p->n_runs[0] + p->n_runs[1] > 0;
}

/* The same rule with other numbers of rows and runs (`runs` 0: the same): what is of the rows goes with 1/rows, what is
 * of a model's runs with 1/runs, and the degrees of freedom are those of runs.c, or grow as the groups do. */
static struct power with(const struct power *p, double rows, int runs)
{
    struct power q = *p;
    double more = rows / p->rows, units = fmax((p->groups > 0 ? p->groups * more : rows) - 1, 1);
    double square = (several(p) ? p->se_rows * p->se_rows : p->se * p->se) / more, sum = square * square / units;
    bool two = false;

    q.se_rows = sqrt(square);
    for (int i = 0; i < 2; i++) {
        int n = runs > 0 ? runs : p->n_runs[i];
        double of = p->se_runs[i] * p->se_runs[i] * p->n_runs[i] / n;
        if (p->n_runs[i] < 2)
            continue;
        q.n_runs[i] = n;
        q.se_runs[i] = sqrt(of);
        two = two || n == 2;
        square += of;
        sum += of * of / (n - 1);
    }
    q.se = sqrt(square);
    if (p->df > 0)
        q.df = two ? 1 : square * square / sum;
    q.rows = rows;
    return q;
}

/* NaN: no number of rows would do, for more rows don't tell what other seeds would. */
static double rows_needed(const struct power *p)
{
    double low = 0, high = 1;
    struct power q;

    for (; q = with(p, high, 0), !will_do(&q); high *= 2) {
        if (high > 1e15)
            return NAN;
        low = high;
    }
    while (high - low > 1) {
        double middle = floor((low + high) / 2);
        q = with(p, middle, 0);
        *(will_do(&q) ? &high : &low) = middle;
    }
    return high;
}

/* How many runs, of each model that has several, would do on these rows; 0: none up to ML_RUNS_MAX. */
static int runs_needed(const struct power *p)
{
    int n = 2;

    for (int i = 0; i < 2; i++)
        n = p->n_runs[i] > n ? p->n_runs[i] : n;
    for (; n <= ML_RUNS_MAX; n++) {
        struct power q = with(p, p->rows, n);
        if (will_do(&q))
            return n;
    }
    return 0;
}

/* Why no number of rows is told, and what would do instead. */
static void explain_runs(cJSON *o, const struct power *p)
{
    const char *whose = p->n_runs[0] == 0 ? "of the candidate" : p->n_runs[1] == 0 ? "of the current model" : "of each";
    int n = runs_needed(p);
    double between = 100 * (1 - p->se_rows * p->se_rows / (p->se * p->se));
    char *why = n > 0
                    ? ml_format("no number of rows would do: %.3g %% of the variance is between runs; %d runs %s would",
                          between, n, whose)
                    : ml_format("neither more rows nor more runs alone would do: %.3g %% of the variance is between "
                                "runs",
                          between);

    ml_json_set(o, "runs_needed", NULL);
    if (n > 0)
        ml_json_set_int(o, "runs_needed", n);
    ml_json_set_str(o, "reason", why);
    free(why);
}

/* Predictions that were only compared have no standard error of their own. */
static const char *why_unknown(const cJSON *rule, const struct card *card)
{
    const char *reason = ml_json_str(rule, "reason"), *metric = ml_json_str(rule, "metric");
    double se;

    if (!metric)
        return "not a matter of chance";
    if (reason && !ml_json_get(rule, "shortfall"))
        return reason;
    return !card->evaluation &&
                   ml_json_num(gate_metric(card->comparison, ml_json_str(rule, "slice"), metric), "se", &se)
               ? "the card has no standard error for it; ml-eval's has one"
               : "the card has no standard error for it";
}

static void set_rate(cJSON *to, const char *key, double rate)
{
    ml_json_set_num(to, key, round(rate * 1e4) / 1e4);
}

static cJSON *describe(const cJSON *rule, const struct card *card)
{
    cJSON *o = cJSON_CreateObject();
    struct power p;
    bool known = read_rule(rule, card, &p), margin = known && p.margin > 0 && p.kind != LIMIT;
    double passes;

    ml_json_set_str(o, "rule", ml_json_str(rule, "rule"));
    ml_json_set(o, "required", cJSON_Duplicate(ml_json_get(rule, "required"), true));
    ml_json_set_num(o, "drop", margin ? p.margin : NAN);
    ml_json_set_num(o, "se", known ? p.se : NAN);
    ml_json_set_num(o, "rows", known ? p.rows : NAN);
    ml_json_set(o, "neutral_fail_rate", NULL);
    ml_json_set(o, "missed_drop_rate", NULL);
    if (known)
        set_rate(
            o, "neutral_fail_rate", 1 - (ml_json_num(rule, "neutral_pass_rate", &passes) ? passes : pass_rate(&p, 0)));
    if (margin)
        set_rate(o, "missed_drop_rate", pass_rate(&p, p.margin));
    if (margin && p.improve)
        set_rate(o, "missed_gain_rate", 1 - pass_rate(&p, -p.margin));
    double rows = margin || (known && p.room) ? rows_needed(&p) : NAN;
    ml_json_set_num(o, "rows_needed", rows);
    if ((margin || (known && p.room)) && isnan(rows))
        explain_runs(o, &p);
    else if (known && p.kind == LIMIT && !p.room)
        ml_json_set_str(o, "reason", "no number of rows helps: the current value itself doesn't meet the limit");
    else if (known && p.kind != LIMIT && !margin)
        ml_json_set_str(o, "reason", "no margin says how large a drop or a gain is meant");
    else if (!known)
        ml_json_set_str(o, "reason", why_unknown(rule, card));
    return o;
}

cJSON *ml_gate_power(const cJSON *gate, const cJSON *evaluation, const cJSON *comparison)
{
    struct card test = { evaluation, comparison };
    cJSON *o = cJSON_CreateObject(), *list;
    const cJSON *rule, *confirm = ml_json_get(comparison, "confirm");
    struct card again = { ml_json_get(confirm, "evaluation"), confirm };
    double alpha = alpha_of(comparison);

    ml_json_set_str(o, "policy", ml_json_str(gate, "policy"));
    ml_json_set_str(o, "policy_digest", ml_json_str(gate, "policy_digest"));
    ml_json_set_num(o, "alpha", alpha);
    list = ml_json_set_array(o, "rules");
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *name = ml_json_str(rule, "rule");
        const struct card *of = confirm && name && !strncmp(name, "confirm.", 8) ? &again : &test;
        cJSON_AddItemToArray(list, describe(rule, of));
    }
    return o;
}
