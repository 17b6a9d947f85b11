/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's rules about numbers of the card: a latency, a size, a duration, whatever a tool has written there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/number.h"
#include "model/gate_impl.h"

/* The number at a path. 0, 1 where there is none (or null), 2 where what is there is something else. */
static int number_at(const char *card, size_t len, const char *path, double *out)
{
    struct ml_span at;
    const char *s;

    if (!card || ml_json_at(card, len, path, &at))
        return 1;
    s = card + at.off;
    if (at.len == 4 && !memcmp(s, "null", 4))
        return 1;
    return ml_double_parse(s, at.len, out) && isfinite(*out) ? 0 : 2;
}

/* The interval beside a number that is a `value` or a `delta`. */
static void basis(const struct ml_gate_input *in, const char *path, cJSON *rule)
{
    static const char *const keys[][2] = { { "low", "low" }, { "high", "high" }, { "se", "se" }, { "n", "rows" } };
    const char *last = strrchr(path, *path == '/' ? '/' : '.');
    double x;

    if (!last || (strcmp(last + 1, "value") != 0 && strcmp(last + 1, "delta") != 0))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *beside = ml_format("%.*s%s", (int)(last + 1 - path), path, keys[i][0]);
        if (!number_at(in->card, in->card_len, beside, &x))
            ml_json_set_num(rule, keys[i][1], x);
        free(beside);
    }
}

/* What the policy counts this number in. */
static const char *unit_of(const struct ml_card_rule *c, const struct ml_limit *l)
{
    return l->amount.unit || !l->amount.percent ? l->amount.unit
           : c->max.amount.unit                 ? c->max.amount.unit
                                                : c->min.amount.unit;
}

const char *ml_gate_amount(const cJSON *rule, double x, int digits, char out[ML_GATE_AMOUNT])
{
    const char *unit = ml_json_str(rule, "unit");
    double scale = unit ? ml_policy_unit(unit) : 0;

    snprintf(out, ML_GATE_AMOUNT, "%s%s", ML_PLAIN(scale > 0 ? x / scale : x, digits), scale > 0 ? unit : "");
    return out;
}

#define AMOUNT(rule, x, digits) ml_gate_amount(rule, x, digits, (char[ML_GATE_AMOUNT]){ "" })

/* A rule about a number; `kind` is the key of its limit. */
static cJSON *add(struct gate_judge *j, const struct ml_card_rule *c, const char *kind, const struct ml_limit *l)
{
    char *name = ml_format("%s.%s", c->path, kind);
    cJSON *rule = gate_add(j, NULL, name, &l->terms);

    free(name);
    ml_json_set_str(rule, "number", c->path);
    gate_required(rule, &l->amount);
    if (unit_of(c, l))
        ml_json_set_str(rule, "unit", unit_of(c, l));
    return rule;
}

/* min and max: `sign` is +1 for min, -1 for max. */
static void judge(struct gate_judge *j, const struct ml_card_rule *c, const struct ml_limit *l, int sign)
{
    cJSON *rule;
    double limit = l->amount.x, x = 0;
    int rc;

    if (!l->amount.set)
        return;
    rule = add(j, c, sign > 0 ? "min" : "max", l);
    if (!gate_here(j, rule, &l->terms))
        return;
    rc = number_at(j->in->card, j->in->card_len, c->path, &x);
    if (rc == 1 && c->may_lack) {
        gate_not_applicable(rule, "the card has no such number, and it may lack it");
        return;
    }
    j->evaluated = true;
    if (rc) {
        gate_failed(rule, rc == 1 ? "the card has no number '%s'" : "'%s' of the card is no number", c->path);
        return;
    }
    ml_json_set_num(rule, "observed", x);
    basis(j->in, c->path, rule);
    if (sign > 0 ? gate_at_most(limit, x) : gate_at_most(x, limit)) {
        gate_passed(rule);
        j->absolute_passed = j->absolute_passed || j->p->n == 0; /* a policy that isn't about metrics */
        return;
    }
    ml_json_set_num(rule, "shortfall", fabs(limit - x));
    gate_failed(rule, "%s is %s %s by %s", AMOUNT(rule, x, 6), sign > 0 ? "below" : "above", AMOUNT(rule, limit, 6),
        AMOUNT(rule, fabs(limit - x), 2));
}

/* What is missing for a rule about a change, told in the rule; whether it was. */
static bool lacks(struct gate_judge *j, const struct ml_card_rule *c, cJSON *rule, double *was, double *is)
{
    const cJSON *numbers = ml_json_get(ml_json_get(j->comparison, "current"), "numbers");
    int rc = number_at(j->in->card, j->in->card_len, c->path, is);

    if (j->no_current) {
        gate_not_applicable(rule, "no current model");
        return true;
    }
    bool there = ml_json_num(numbers, c->path, was);
    if (c->may_lack && (rc == 1 || (j->comparison && !there))) {
        gate_not_applicable(rule, "one of the cards has no such number, and it may lack it");
        return true;
    }
    j->evaluated = true;
    if (rc)
        gate_failed(rule, rc == 1 ? "the card has no number '%s'" : "'%s' of the card is no number", c->path);
    else if (!there)
        gate_failed(rule,
            j->comparison ? "the comparison doesn't say what '%s' was: ml-compare --policy does, where the current "
                            "model has a card with that number"
                          : "the card has no comparison that would say what '%s' was",
            c->path);
    return rc || !there;
}

/* max_increase and max_decrease: `sign` is +1 and -1. */
static void judge_change(struct gate_judge *j, const struct ml_card_rule *c, const struct ml_limit *l, int sign)
{
    cJSON *rule;
    double limit = l->amount.x, was, is;

    if (!l->amount.set)
        return;
    rule = add(j, c, sign > 0 ? "max_increase" : "max_decrease", l);
    if (!gate_here(j, rule, &l->terms) || lacks(j, c, rule, &was, &is))
        return;
    if (l->amount.percent)
        limit *= fabs(was);
    ml_json_set_num(rule, "observed", sign * (is - was));
    ml_json_set_num(rule, "current", was);
    ml_json_set_num(rule, "candidate", is);
    ml_json_set_num(rule, "limit", limit);
    if (gate_at_most(sign * (is - was), limit)) {
        gate_passed(rule);
        return;
    }
    ml_json_set_num(rule, "shortfall", sign * (is - was) - limit);
    gate_failed(rule, "%s from %s to %s, by %s, and %s is allowed", sign > 0 ? "it rose" : "it fell",
        AMOUNT(rule, was, 6), AMOUNT(rule, is, 6), AMOUNT(rule, sign * (is - was), 4), AMOUNT(rule, limit, 4));
}

void gate_numbers(struct gate_judge *j)
{
    for (size_t i = 0; i < j->p->n_card; i++) {
        judge(j, &j->p->card[i], &j->p->card[i].min, 1);
        judge(j, &j->p->card[i], &j->p->card[i].max, -1);
        judge_change(j, &j->p->card[i], &j->p->card[i].max_increase, 1);
        judge_change(j, &j->p->card[i], &j->p->card[i].max_decrease, -1);
    }
}

void ml_gate_numbers(const struct ml_policy *p, const char *card, size_t len, cJSON *current)
{
    cJSON *numbers = NULL;
    double x;

    for (size_t i = 0; i < p->n_card; i++) {
        const struct ml_card_rule *c = &p->card[i];
        if ((!c->max_increase.amount.set && !c->max_decrease.amount.set) || number_at(card, len, c->path, &x))
            continue;
        if (!numbers)
            numbers = ml_json_set_object(current, "numbers");
        ml_json_set_num(numbers, c->path, x);
    }
}
