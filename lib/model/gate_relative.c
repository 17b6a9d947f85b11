/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's relative rules: must and max_drop. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/number.h"
#include "model/gate_impl.h"
#include "stats/dist.h"
#include "stats/metric.h"
#include "stats/verdict.h"

/* A metric's difference, as the comparison has it. */
struct change {
    const cJSON *json;
    double current, candidate, delta, low, high, se;
    double reach; /* from the difference to the unfavourable end of its interval */
    double df;    /* 0: not known to be few */
    bool has_interval;
    bool identical;
};

double gate_groups(const cJSON *section, const char *slice)
{
    const cJSON *of = slice ? ml_json_get(ml_json_get(section, "slices"), slice) : section;
    double x;
    return ml_json_num(of, "groups", &x) && x >= 2 ? x : 0;
}

double gate_df(const cJSON *section, const char *slice, const cJSON *metric)
{
    double x = gate_groups(section, slice);
    if (x > 0)
        x--;
    return ml_json_num(ml_json_get(metric, "runs"), "df", &x) ? fmax(x, 1) : x;
}

double gate_sure(const cJSON *metric, double alpha)
{
    double k;
    return ml_json_num(metric, "family_size", &k) && k > 1 ? alpha / k : alpha;
}

const cJSON *gate_mean(const cJSON *comparison, const char *slice, const char *metric, int *runs)
{
    const cJSON *of = ml_json_get(gate_metric(comparison, slice, metric), "runs");
    *runs = cJSON_GetArraySize(ml_json_get(ml_json_get(comparison, "runs"), "candidate"));
    return *runs > 1 ? ml_json_get(of, "mean") : NULL;
}

/* What a relative rule looks at. Returns 1 with the rule judged already where there is nothing to look at. */
static int look_up(struct gate_judge *j, const struct ml_metric_rule *m, cJSON *rule, struct change *c)
{
    if (j->no_current) {
        gate_not_applicable(rule, "no current model");
        return 1;
    }
    j->evaluated = true;
    if (!j->comparison) {
        gate_failed(rule, "the card has no comparison");
        return 1;
    }
    *c = (struct change){ .json = gate_metric(j->comparison, m->slice, m->metric) };
    if (!c->json || !ml_json_num(c->json, "delta", &c->delta)) {
        const char *why = ml_json_str(c->json ? c->json : j->comparison, "reason");
        char of[128];
        struct ml_buf near = ML_BUF_INIT;
        if (!c->json && !why)
            gate_near(j, j->comparison, m, &near);
        gate_failed(rule, "'%s'%s was not compared%s%s%s", m->metric, gate_of_slice(m->slice, of), why ? ": " : "",
            why ? why : "", ml_buf_str(&near));
        ml_buf_release(&near);
        return 1;
    }
    if (gate_same_direction(j, m, c->json))
        return -1;
    c->identical = ml_json_true(j->comparison, "identical");
    if (!ml_json_num(c->json, "current", &c->current))
        c->current = NAN;
    if (!ml_json_num(c->json, "candidate", &c->candidate))
        c->candidate = NAN;
    c->has_interval = ml_json_num(c->json, "low", &c->low) && ml_json_num(c->json, "high", &c->high);
    c->df = gate_df(j->comparison, m->slice, c->json);
    double q = ml_t_quantile(1 - j->alpha / 2, c->df > 0 ? c->df : INFINITY);
    if (!ml_json_num(c->json, "se", &c->se) && c->has_interval)
        c->se = (c->high - c->low) / (2 * q);
    c->reach = !c->has_interval ? q * c->se : m->direction > 0 ? c->delta - c->low : c->high - c->delta;
    gate_basis(rule, j->comparison, m->slice, c->json, c->se);
    return 0;
}

static void neutral(cJSON *rule, const struct change *c, double rate)
{
    if (c->se > 0)
        ml_json_set_num(rule, "neutral_pass_rate", round(rate * 1e4) / 1e4);
}

/* A percentage of the current value in the metric's units. */
static int share(struct gate_judge *j, const struct ml_metric_rule *m, const struct change *c, const char *what,
    double percent, double *out)
{
    if (!(fabs(c->current) >= 1e-9))
        return ml_err_set(j->err, ML_USAGE,
            "%s: '%s' of '%s' is a percentage, but the current value is about 0: give a number", j->p->name, what,
            m->metric);
    if (c->current < 0 || c->candidate < 0)
        return ml_err_set(j->err, ML_USAGE,
            "%s: '%s' of '%s' is a percentage, but its values can be negative: give a number", j->p->name, what,
            m->metric);
    *out = percent * c->current;
    return 0;
}

int gate_drop(struct gate_judge *j, const struct ml_metric_rule *m)
{
    const struct ml_limit *l = &m->max_drop;
    if (!l->amount.set)
        return 0;
    cJSON *rule = gate_add(j, m, "max_drop", &l->terms);
    struct change c;
    double limit = l->amount.x;
    bool bound = l->on == ML_ON_BOUND;
    gate_required(rule, &l->amount);
    ml_json_set_str(rule, "on", bound ? "bound" : "value");
    if (!gate_here(j, rule, &l->terms))
        return 0;
    int rc = look_up(j, m, rule, &c);
    if (rc)
        return rc < 0 ? -1 : 0;
    if (l->amount.percent && share(j, m, &c, "max_drop", l->amount.x, &limit))
        return -1;
    if (c.has_interval && m->direction > 0) { /* the interval of the drop, which is what was observed */
        ml_json_set_num(rule, "low", 0 - c.high);
        ml_json_set_num(rule, "high", 0 - c.low);
    }
    ml_json_set_num(rule, "limit", limit);
    if (bound && !c.has_interval) {
        gate_failed(rule, "the difference of '%s' has no interval to hold the limit against", m->metric);
        return 0;
    }
    double drop = !bound ? 0 - m->direction * c.delta : m->direction > 0 ? 0 - c.low : c.high; /* never -0 */
    ml_json_set_num(rule, "observed", drop);
    neutral(rule, &c, bound ? ml_neutral_noninferior(limit, c.se, c.reach, c.df) : ml_neutral_max_drop(limit, c.se));
    if (gate_at_most(drop, limit)) {
        gate_passed(rule);
        return 0;
    }
    ml_json_set_num(rule, "shortfall", drop - limit);
    gate_failed(rule, "%s by %s, and %s is allowed", bound ? "it may have got worse" : "it got worse",
        ML_PLAIN(drop, 4), ML_PLAIN(limit, 4));
    return 0;
}

static size_t whole(const cJSON *obj, const char *key, size_t otherwise)
{
    int64_t n;
    return ml_json_int(obj, key, &n) && n >= 0 ? (size_t)n : otherwise;
}

static void count_rows(
    const cJSON *comparison, const char *slice, const char *name, const cJSON *metric, struct ml_evidence *e)
{
    const struct ml_metric *known = ml_metric_find(name);
    const cJSON *of = slice ? ml_json_get(ml_json_get(comparison, "slices"), slice) : comparison;
    e->bounded = known && ml_metric_bounded(known);
    e->rows = whole(of, "rows", whole(comparison, "rows", SIZE_MAX)); /* unknown: there is no interval either */
    e->groups = whole(of, "groups", whole(comparison, "groups", 0));
    e->n = whole(metric, "n", e->rows);
    e->smaller_class = known ? ml_metric_smaller_class(known, e->n) : SIZE_MAX;
}

double gate_least(const cJSON *comparison, const char *slice, const char *name, const cJSON *metric)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    count_rows(comparison, slice, name, metric, &e);
    return (double)e.n * ml_verdict_least(&e) * (1 - 1e-12);
}

/* The verdict at another margin than the card's, by the same rules from the card's own numbers. */
static void compare_again(const struct gate_judge *j, const struct ml_metric_rule *m, const struct change *c,
    double margin, struct ml_judgement *out)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    const char *test = ml_json_str(c->json, "test");
    e.identical = c->identical || (test && !strcmp(test, "identical")); /* in a slice, both may say the same */
    e.has_interval = c->has_interval;
    e.interval_reason = ml_json_str(c->json, "reason");
    e.direction = m->direction;
    e.delta = c->delta;
    e.low = c->low;
    e.high = c->high;
    e.se = c->se;
    e.alpha = j->alpha;
    e.margin = margin;
    count_rows(j->comparison, m->slice, m->metric, c->json, &e);
    e.changed = whole(c->json, "changed", SIZE_MAX);
    if (!ml_json_num(c->json, "p", &e.p))
        e.p = 1;
    if (!ml_json_num(c->json, "p_adjusted", &e.p_adjusted))
        e.p_adjusted = e.p;
    e.k = whole(c->json, "family_size", 0);
    ml_judge(&e, out);
}

/* A verdict, the card's own or compared again. */
struct finding {
    double margin; /* 0: none set */
    const char *verdict, *reason;
    bool noninferior;
    struct ml_judgement again;
};

static int find_verdict(
    struct gate_judge *j, const struct ml_metric_rule *m, const struct change *c, cJSON *rule, struct finding *f)
{
    double card = 0;
    bool card_has = ml_json_num(c->json, "margin", &card);
    *f = (struct finding){ .verdict = ml_json_str(c->json, "verdict"),
        .reason = ml_json_str(c->json, "reason"),
        .noninferior = ml_json_true(c->json, "noninferior") };
    f->margin = m->has_margin ? m->margin.value : 0;
    if (m->has_margin && m->margin.relative && share(j, m, c, "margin", m->margin.value, &f->margin))
        return -1;
    /* A margin that the comparison was given, and not by the policy, is none. */
    if (f->margin > 0 ? card_has && fabs(card - f->margin) <= GATE_TOLERANCE * f->margin : !(card > 0))
        return 0;
    compare_again(j, m, c, f->margin, &f->again);
    f->verdict = ml_verdict_name(f->again.verdict);
    f->noninferior = f->again.noninferior;
    f->reason = *f->again.reason ? f->again.reason : NULL;
    ml_json_set_bool(rule, "compared_again", true);
    return 0;
}

/* Whether there is enough for a verdict, whatever the difference. */
static bool decidable(const struct gate_judge *j, const struct ml_metric_rule *m, const struct change *c)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    count_rows(j->comparison, m->slice, m->metric, c->json, &e);
    return c->has_interval && ml_verdict_least(&e) <= 1;
}

static void judge_no_regress(const struct gate_judge *j, const struct ml_metric_rule *m, const struct change *c,
    cJSON *rule, const struct finding *f)
{
    double worst = m->direction > 0 ? -c->low : c->high; /* how far the unfavourable end reaches */
    bool set = f->margin > 0;
    if (!decidable(j, m, c))
        neutral(rule, c, c->has_interval && !set);
    else
        neutral(rule, c, set ? ml_neutral_noninferior(f->margin, c->se, c->reach, c->df) : 1 - j->alpha / 2);
    if (!set && !c->identical)
        ml_json_set_str(rule, "basis", "harm not shown");
    if (c->identical || (set ? f->noninferior : c->has_interval && strcmp(f->verdict, "worse") != 0)) {
        gate_passed(rule);
        return;
    }
    if (!c->has_interval) {
        static const char untested[] = "no test was possible";
        bool said = f->reason && !strncmp(f->reason, untested, sizeof untested - 1);
        gate_failed(rule, "%s%s%s; max_drop needs none", said ? "" : untested, f->reason && !said ? ": " : "",
            f->reason ? f->reason : "");
    } else if (!set) {
        gate_failed(rule, "it got worse by %s", ML_PLAIN(-m->direction * c->delta, 4));
    } else if (worst < f->margin) {
        gate_failed(
            rule, "not shown to be within %s: %s", ML_PLAIN(f->margin, 4), f->reason ? f->reason : "too little data");
    } else {
        ml_json_set_num(rule, "shortfall", worst - f->margin);
        if (!strcmp(f->verdict, "worse"))
            gate_failed(rule, "it got worse by %s (up to %s), and %s is allowed", ML_PLAIN(-m->direction * c->delta, 4),
                ML_PLAIN(worst, 4), ML_PLAIN(f->margin, 4));
        else
            gate_failed(rule, "it may have got worse by up to %s, and %s is allowed", ML_PLAIN(worst, 4),
                ML_PLAIN(f->margin, 4));
    }
}

int gate_must(struct gate_judge *j, const struct ml_metric_rule *m)
{
    if (!m->must)
        return 0;
    bool improve = m->must == ML_MUST_IMPROVE;
    cJSON *rule = gate_add(j, m, "must", &m->must_terms);
    ml_json_set_str(rule, "required", improve ? "improve" : "not_regress");
    if (!gate_here(j, rule, &m->must_terms))
        return 0;
    struct change c;
    int rc = look_up(j, m, rule, &c);
    if (rc)
        return rc < 0 ? -1 : 0;
    struct finding f;
    if (find_verdict(j, m, &c, rule, &f))
        return -1;
    if (!f.verdict) {
        gate_failed(rule, "'%s' was not compared: there is no verdict", m->metric);
        return 0;
    }
    ml_json_set_str(rule, "observed", c.identical ? "identical" : f.verdict);
    if (f.margin > 0)
        ml_json_set_num(rule, "margin", f.margin);
    const cJSON *paired = ml_json_get(j->comparison, "paired");
    if (cJSON_IsFalse(paired) && c.has_interval && !j->p->allow_unpaired) {
        gate_failed(rule, "the two were not compared on the same rows; 'allow_unpaired: true' would accept that");
        return 0;
    }
    if (!improve) {
        judge_no_regress(j, m, &c, rule, &f);
        return 0;
    }
    neutral(rule, &c, decidable(j, m, &c) ? gate_sure(c.json, j->alpha) / 2 : 0);
    if (c.identical || !strcmp(f.verdict, "better"))
        gate_passed(rule);
    else
        gate_failed(rule, "not shown to be better: %s%s%s%s", f.verdict, f.reason ? " (" : "", f.reason ? f.reason : "",
            f.reason ? ")" : "");
    return 0;
}
