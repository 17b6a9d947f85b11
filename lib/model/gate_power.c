/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a gate's rules can tell on rows like these: how often each would stop a change that changes nothing, and let a
 * true drop of its margin's size through. */
#include <math.h>
#include <string.h>

#include "model/gate.h"
#include "stats/dist.h"
#include "stats/verdict.h"

#define HARMLESS 0.10 /* the share of harmless changes that a rule may stop, for `rows_needed` */
#define FOUND    0.80 /* the share of true gains that `must: improve` finds there */

/* A relative rule as the gate left it. */
struct power {
    double se, rows, margin; /* margin 0: none; of max_drop: its limit */
    bool improve, drop, bound;
};

static bool read_rule(const cJSON *rule, struct power *p)
{
    const char *required = ml_json_str(rule, "required"), *on = ml_json_str(rule, "on");

    *p = (struct power){ .drop = on != NULL };
    p->improve = !p->drop && required && !strcmp(required, "improve");
    p->bound = on && !strcmp(on, "bound");
    if (!p->drop && !required)
        return false;
    if (!ml_json_num(rule, p->drop ? "limit" : "margin", &p->margin))
        p->margin = 0;
    return ml_json_num(rule, "se", &p->se) && p->se > 0 && ml_json_num(rule, "rows", &p->rows);
}

/* How often the rule passes a candidate that is truly worse by `drop`: the estimate is normal around it. */
static double pass_rate(const struct power *p, double drop, double alpha)
{
    if (p->improve)
        return ml_normal_cdf(-drop / p->se - ml_normal_quantile(1 - alpha / 2));
    if (!p->drop && !(p->margin > 0)) /* not worse */
        return ml_normal_cdf(ml_normal_quantile(1 - alpha / 2) - drop / p->se);
    return p->drop && !p->bound ? ml_neutral_max_drop(p->margin - drop, p->se)
                                : ml_neutral_noninferior(p->margin - drop, p->se, alpha);
}

/* Rows at which a harmless change is stopped no more often than HARMLESS (`must: improve`: a gain of the margin's size
 * is found as often as FOUND), for the variance goes with 1/rows. */
static double rows_needed(const struct power *p, double alpha)
{
    double z = p->drop && !p->bound ? 0 : ml_normal_quantile(1 - alpha / 2);
    double se = p->margin / (z + ml_normal_quantile(p->improve ? FOUND : 1 - HARMLESS));

    return ceil(p->rows * (p->se / se) * (p->se / se));
}

static void set_rate(cJSON *to, const char *key, double rate)
{
    ml_json_set_num(to, key, round(rate * 1e4) / 1e4);
}

static cJSON *describe(const cJSON *rule, double alpha)
{
    cJSON *o = cJSON_CreateObject();
    struct power p;
    bool known = read_rule(rule, &p), margin = known && p.margin > 0;
    const char *reason = ml_json_str(rule, "reason");

    ml_json_set_str(o, "rule", ml_json_str(rule, "rule"));
    ml_json_set(o, "required", cJSON_Duplicate(ml_json_get(rule, "required"), true));
    ml_json_set_num(o, "drop", margin ? p.margin : NAN);
    ml_json_set_num(o, "se", known ? p.se : NAN);
    ml_json_set_num(o, "rows", known ? p.rows : NAN);
    ml_json_set(o, "neutral_fail_rate", NULL);
    ml_json_set(o, "missed_drop_rate", NULL);
    if (known)
        set_rate(o, "neutral_fail_rate", 1 - pass_rate(&p, 0, alpha));
    if (margin)
        set_rate(o, "missed_drop_rate", pass_rate(&p, p.margin, alpha));
    if (margin && p.improve)
        set_rate(o, "missed_gain_rate", 1 - pass_rate(&p, -p.margin, alpha));
    ml_json_set_num(o, "rows_needed", margin ? rows_needed(&p, alpha) : NAN);
    if (!known)
        ml_json_set_str(o, "reason", reason ? reason : "the card has no standard error for it");
    return o;
}

cJSON *ml_gate_power(const cJSON *gate, const cJSON *comparison)
{
    cJSON *o = cJSON_CreateObject(), *list;
    const cJSON *rule;
    double alpha;

    if (!ml_json_num(comparison, "alpha", &alpha) || !(alpha > 0 && alpha < 1))
        alpha = 0.05;
    ml_json_set_str(o, "policy", ml_json_str(gate, "policy"));
    ml_json_set_str(o, "policy_digest", ml_json_str(gate, "policy_digest"));
    ml_json_set_num(o, "alpha", alpha);
    list = ml_json_set_array(o, "rules");
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *name = ml_json_str(rule, "rule"), *dot = strrchr(name, '.');

        if (dot && (!strcmp(dot, ".must") || !strcmp(dot, ".max_drop")))
            cJSON_AddItemToArray(list, describe(rule, alpha));
    }
    return o;
}
