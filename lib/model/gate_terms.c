/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where and until when the gate's rules hold, and their verdicts. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "model/gate_impl.h"

static bool matches(const struct ml_strs *globs, const char *name)
{
    for (size_t i = 0; i < globs->n; i++)
        if (name && *name && !fnmatch(globs->v[i], name, 0))
            return true;
    return globs->n == 0;
}

static char *why_not(const char *what, const struct ml_strs *globs, const char *name)
{
    struct ml_buf list = ML_BUF_INIT;
    char *why;

    for (size_t i = 0; i < globs->n; i++)
        ml_buf_addf(&list, "%s%s", i ? ", " : "", globs->v[i]);
    why = name && *name ? ml_format("not applicable here: the %s is '%s', not %s", what, name, ml_buf_str(&list))
                        : ml_format("not applicable here: no %s is known, and it is for %s", what, ml_buf_str(&list));
    ml_buf_release(&list);
    return why;
}

bool gate_here(struct gate_judge *j, cJSON *rule, const struct ml_terms *terms)
{
    const struct ml_when *w = terms->when;
    const char *branch = j->in->branch, *environment = j->in->environment;
    char *why = NULL;

    if (w && !matches(&w->branches, branch))
        why = why_not("branch", &w->branches, branch);
    else if (w && !matches(&w->environments, environment))
        why = why_not("environment", &w->environments, environment);
    if (!why)
        return true;
    gate_not_applicable(rule, why);
    free(why);
    j->set_aside = true;
    return false;
}

static void waive(cJSON *rule, const struct ml_waiver *w, const char *today)
{
    bool ended = !today || strcmp(today, w->until) > 0;
    cJSON *waiver = ml_json_set_object(rule, "waiver");

    ml_json_set_str(waiver, "until", w->until);
    ml_json_set_str(waiver, "reason", w->reason);
    ml_json_set_bool(waiver, "ended", ended);
    if (!ended && cJSON_IsFalse(ml_json_get(rule, "passed")))
        ml_json_set_str(rule, "verdict", "waived");
}

void gate_settle(struct gate_judge *j)
{
    cJSON *rule;
    size_t i = 0;

    cJSON_ArrayForEach(rule, j->rules)
    {
        const struct ml_terms *terms = j->terms[i++];
        ml_json_set_str(rule, "verdict", ml_gate_verdict(rule));
        if (terms->waiver)
            waive(rule, terms->waiver, j->in->today);
    }
}

const char *ml_gate_verdict(const cJSON *rule)
{
    static const char *const known[] = { "passed", "failed", "warned", "waived", "not applicable" };
    const char *said = ml_json_str(rule, "verdict"), *level = ml_json_str(rule, "level");
    const cJSON *passed = ml_json_get(rule, "passed");

    for (size_t i = 0; said && i < sizeof known / sizeof *known; i++)
        if (!strcmp(said, known[i]))
            return known[i];
    if (!cJSON_IsBool(passed))
        return "not applicable";
    return cJSON_IsTrue(passed) ? "passed" : level && !strcmp(level, "warn") ? "warned" : "failed";
}

size_t ml_gate_count(const cJSON *gate, const char *verdict)
{
    size_t n = 0;
    const cJSON *rule;

    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules")) n += !strcmp(ml_gate_verdict(rule), verdict);
    return n;
}
