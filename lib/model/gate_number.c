/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate's rules about numbers of the card: a latency, a size, a duration, whatever a tool has written there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/gate_priv.h"

/* The number at a path. 0, 1 where there is none (or null), 2 where what is there is something else. */
static int number_at(const struct ml_gate_input *in, const char *path, double *out)
{
    struct ml_span at;
    const char *s;

    if (!in->card || ml_json_at(in->card, in->card_len, path, &at))
        return 1;
    s = in->card + at.off;
    if (at.len == 4 && !memcmp(s, "null", 4))
        return 1;
    return ml_double_parse(s, at.len, out) && isfinite(*out) ? 0 : 2;
}

/* The interval beside a number that is a `value` or a `delta`. */
static void basis(const struct ml_gate_input *in, const char *path, cJSON *rule)
{
    static const char *const keys[] = { "low", "high", "se" };
    const char *last = strrchr(path, *path == '/' ? '/' : '.');
    double x;

    if (!last || (strcmp(last + 1, "value") != 0 && strcmp(last + 1, "delta") != 0))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *beside = ml_format("%.*s%s", (int)(last + 1 - path), path, keys[i]);
        if (!number_at(in, beside, &x))
            ml_json_set_num(rule, keys[i], x);
        free(beside);
    }
}

/* min and max: `sign` is +1 for min, -1 for max. */
static void judge(struct gate_judge *j, const struct ml_card_rule *c, const struct ml_limit *l, int sign)
{
    char *name;
    cJSON *rule;
    double limit = l->amount.x, x = 0;
    int rc;

    if (!l->amount.set)
        return;
    name = ml_format("%s.%s", c->path, sign > 0 ? "min" : "max");
    rule = gate_add(j, NULL, name, &l->terms);
    free(name);
    ml_json_set_str(rule, "number", c->path);
    ml_json_set_num(rule, "required", limit);
    if (!gate_here(j, rule, &l->terms))
        return;
    rc = number_at(j->in, c->path, &x);
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
    gate_failed(rule, "%.6g is %s %.6g by %.2g", x, sign > 0 ? "below" : "above", limit, fabs(limit - x));
}

void gate_numbers(struct gate_judge *j)
{
    for (size_t i = 0; i < j->p->n_card; i++) {
        judge(j, &j->p->card[i], &j->p->card[i].min, 1);
        judge(j, &j->p->card[i], &j->p->card[i].max, -1);
    }
}
