/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Judges a card by a policy, rule by rule. */
#include "model/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/number.h"
#include "model/gate_impl.h"

const cJSON *gate_metric(const cJSON *section, const char *slice, const char *metric)
{
    if (slice)
        section = ml_json_get(ml_json_get(section, "slices"), slice);
    return ml_json_get(ml_json_get(section, "metrics"), metric);
}

static void copy_number(cJSON *to, const cJSON *from, const char *key, const char *as)
{
    double x;
    if (ml_json_num(from, key, &x))
        ml_json_set_num(to, as, x);
}

void gate_basis(cJSON *rule, const cJSON *section, const char *slice, const cJSON *metric, double se)
{
    const cJSON *of = slice ? ml_json_get(ml_json_get(section, "slices"), slice) : section;
    copy_number(rule, metric, "low", "low");
    copy_number(rule, metric, "high", "high");
    if (se > 0)
        ml_json_set_num(rule, "se", se);
    else
        copy_number(rule, metric, "se", "se");
    copy_number(rule, ml_json_get(metric, "n") ? metric : of, ml_json_get(metric, "n") ? "n" : "rows", "rows");
}

cJSON *gate_add(struct gate_judge *j, const struct ml_metric_rule *m, const char *kind, const struct ml_terms *terms)
{
    cJSON *rule = cJSON_CreateObject();
    const char *of = j->confirm ? "confirm." : "";
    char *name = m ? ml_format("%s%s%s%s.%s", of, m->slice ? m->slice : "", m->slice ? "." : "", m->metric, kind)
                   : ml_format("%s%s", of, kind);
    ml_json_set_str(rule, "rule", name);
    ml_json_set(rule, "required", NULL);
    ml_json_set(rule, "observed", NULL);
    ml_json_set(rule, "verdict", NULL);
    ml_json_set(rule, "passed", NULL);
    ml_json_set_str(rule, "level", terms->level == ML_LEVEL_WARN ? "warn" : "fail");
    ml_json_set(rule, "neutral_pass_rate", NULL);
    if (terms->line)
        ml_json_set_int(rule, "line", terms->line);
    if (m) {
        ml_json_set_str(rule, "metric", m->metric);
        if (m->slice)
            ml_json_set_str(rule, "slice", m->slice);
    }
    cJSON_AddItemToArray(j->rules, rule);
    j->terms = ml_realloc(j->terms, (j->n + 1) * sizeof(*j->terms));
    j->terms[j->n++] = terms;
    free(name);
    return rule;
}

void gate_required(cJSON *rule, const struct ml_amount *amount)
{
    if (!amount->percent) {
        ml_json_set_num(rule, "required", amount->x);
        return;
    }
    char *s = ml_format("%g%%", amount->x * 100);
    ml_json_set_str(rule, "required", s);
    free(s);
}

void gate_passed(cJSON *rule)
{
    ml_json_set_bool(rule, "passed", true);
}

void gate_failed(cJSON *rule, const char *fmt, ...)
{
    struct ml_buf why = ML_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    ml_buf_vaddf(&why, fmt, ap);
    va_end(ap);
    ml_json_set_bool(rule, "passed", false);
    ml_json_set_str(rule, "reason", ml_buf_str(&why));
    ml_buf_release(&why);
}

void gate_not_applicable(cJSON *rule, const char *why)
{
    ml_json_set(rule, "passed", NULL);
    ml_json_set_str(rule, "reason", why);
}

const char *gate_of_slice(const char *slice, char out[128])
{
    size_t n = slice ? strlen(slice) : 0, most = n > 100 ? 100 : n;
    while (most < n && most && ((unsigned char)slice[most] & 0xc0) == 0x80)
        most--; /* never inside a character: the card is UTF-8 */
    *out = 0;
    if (slice)
        snprintf(out, 128, " for '%.*s'", (int)most, slice);
    return out;
}

/* a <= b, equal within rounding. */
bool gate_at_most(double a, double b)
{
    return a <= b || fabs(a - b) <= GATE_TOLERANCE * fmax(fabs(a), fabs(b));
}

int gate_same_direction(const struct gate_judge *j, const struct ml_metric_rule *m, const cJSON *metric)
{
    const char *d = ml_json_str(metric, "direction");
    if (!d || !m->direction || !strcmp(d, m->direction > 0 ? "higher" : "lower"))
        return 0;
    return ml_err_set(j->err, ML_USAGE, "%s: '%s' is better when %s, but the card says '%s'", j->p->name, m->metric,
        m->direction > 0 ? "higher" : "lower", d);
}

static void fail_lacking(struct gate_judge *j, const struct ml_metric_rule *m, cJSON *rule)
{
    bool sliced = cJSON_GetArraySize(ml_json_get(j->evaluation, "slices")) > 0;
    struct ml_buf near = ML_BUF_INIT;
    char of[128];
    gate_near(j, j->evaluation ? j->evaluation : j->comparison, m, &near);
    gate_failed(rule, "the card has no '%s'%s%s", m->metric, gate_of_slice(m->slice, of),
        m->slice && !sliced ? ": it has no slices (--slice of ml-eval)" : ml_buf_str(&near));
    ml_buf_release(&near);
}

/* The candidate's metric: the mean over its runs, where it has several; from the evaluation, else (metrics files were
 * compared) from the comparison. NULL with the rule failed. */
static const cJSON *candidate(
    struct gate_judge *j, const struct ml_metric_rule *m, cJSON *rule, const char **key, int *runs)
{
    const cJSON *found = gate_mean(j->comparison, m->slice, m->metric, runs);
    double x;
    *key = "value";
    if (!found) {
        *runs = 0;
        found = gate_metric(j->evaluation, m->slice, m->metric);
    } else {
        ml_json_set_int(rule, "runs", *runs);
    }
    if (!found || !ml_json_num(found, "value", &x)) {
        const cJSON *compared = gate_metric(j->comparison, m->slice, m->metric);
        if (*runs == 0 && ml_json_num(compared, "candidate", &x)) {
            *key = "candidate";
            return compared;
        }
        const char *why = ml_json_str(found ? found : compared, "reason");
        if (found || compared)
            gate_failed(rule, "'%s' has no value%s%s", m->metric, why ? ": " : "", why ? why : "");
        else
            fail_lacking(j, m, rule);
        return NULL;
    }
    return found;
}

/* min and max: `sign` is +1 for min, -1 for max. */
static int judge_absolute(struct gate_judge *j, const struct ml_metric_rule *m, const struct ml_limit *l, int sign)
{
    if (!l->amount.set)
        return 0;
    cJSON *rule = gate_add(j, m, sign > 0 ? "min" : "max", &l->terms);
    double limit = l->amount.x, x = 0;
    bool bound = l->on == ML_ON_BOUND;
    const char *key;
    int runs;
    gate_required(rule, &l->amount);
    ml_json_set_str(rule, "on", bound ? "bound" : "value");
    if (!gate_here(j, rule, &l->terms))
        return 0;
    j->evaluated = true;
    const cJSON *found = candidate(j, m, rule, &key, &runs);
    if (!found)
        return 0;
    if (gate_same_direction(j, m, runs ? gate_metric(j->comparison, m->slice, m->metric) : found))
        return -1;
    if (strcmp(key, "candidate")) /* else the interval is the difference's */
        gate_basis(rule, runs ? j->comparison : j->evaluation, m->slice, found, 0);
    if (bound)
        key = !strcmp(key, "candidate") ? "" : sign > 0 ? "low" : "high";
    if (!ml_json_num(found, key, &x)) {
        bool unmeasured = bound && !*key && ml_json_num(found, "se", &x);
        gate_failed(rule, "'%s' has no interval to hold the limit against%s", m->metric,
            unmeasured ? "; have ml-eval measure it first, and give its card to ml-compare (--card)" : "");
        return 0;
    }
    ml_json_set_num(rule, "observed", x);
    if (sign > 0 ? gate_at_most(limit, x) : gate_at_most(x, limit)) {
        gate_passed(rule);
        j->absolute_passed = true;
        return 0;
    }
    double gap = fabs(limit - x);
    ml_json_set_num(rule, "shortfall", gap);
    char over[40] = "";
    if (runs)
        snprintf(over, sizeof over, "over %d runs ", runs);
    gate_failed(rule, "%s%s%s is %s %s by %s", over, bound ? (sign > 0 ? "the low end " : "the high end ") : "",
        ML_PLAIN(x, 4), sign > 0 ? "below" : "above", ML_PLAIN(limit, 4), ML_PLAIN(gap, 2));
    return 0;
}

static void judge_rows(struct gate_judge *j, const char *slice, const struct ml_limit *l)
{
    if (!l->amount.set)
        return;
    char *kind = ml_format("%s%smin_rows", slice ? slice : "", slice ? "." : "");
    cJSON *rule = gate_add(j, NULL, kind, &l->terms);
    free(kind);
    if (slice)
        ml_json_set_str(rule, "slice", slice);
    gate_required(rule, &l->amount);
    if (!gate_here(j, rule, &l->terms))
        return;
    const cJSON *from = j->evaluation ? j->evaluation : j->comparison;
    if (slice)
        from = ml_json_get(ml_json_get(from, "slices"), slice);
    char of[128];
    double rows;
    if (!ml_json_num(from, "rows", &rows)) {
        struct ml_buf near = ML_BUF_INIT;
        if (slice && !from)
            gate_nearest(ml_json_get(j->evaluation ? j->evaluation : j->comparison, "slices"), slice,
                "; it has the slices ", &near);
        gate_failed(rule, "the card has no number of rows%s%s", gate_of_slice(slice, of), ml_buf_str(&near));
        ml_buf_release(&near);
        return;
    }
    ml_json_set_num(rule, "observed", rows);
    if (rows >= l->amount.x) {
        gate_passed(rule);
        return;
    }
    ml_json_set_num(rule, "shortfall", l->amount.x - rows);
    gate_failed(rule, "%.0f row%s, and %.0f are needed", rows, ML_PLURAL(rows), l->amount.x);
}

/* Rows that one side lacked and that were dropped from the comparison: none may be, unless the policy says how many. */
static void judge_unmatched(struct gate_judge *j)
{
    const struct ml_limit *l = &j->p->max_unmatched;
    const cJSON *found = ml_json_get(j->comparison, "unmatched");
    double n = 0, rows = 0, x;
    if (cJSON_IsNumber(found)) {
        n = found->valuedouble;
    } else {
        n += ml_json_num(found, "current", &x) ? x : 0;
        n += ml_json_num(found, "candidate", &x) ? x : 0;
    }
    if (!l->amount.set && n == 0)
        return;
    cJSON *rule = gate_add(j, NULL, "max_unmatched", &l->terms);
    if (!gate_here(j, rule, &l->terms))
        return;
    if (j->no_current) {
        gate_not_applicable(rule, "no current model");
        return;
    }
    double limit = l->amount.x;
    if (l->amount.percent) {
        ml_json_num(j->comparison, "rows", &rows);
        limit *= rows + n;
    }
    ml_json_set_num(rule, "required", limit);
    if (!j->comparison) {
        gate_failed(rule, "the card has no comparison");
        return;
    }
    ml_json_set_num(rule, "observed", n);
    if (gate_at_most(n, limit)) {
        gate_passed(rule);
        return;
    }
    ml_json_set_num(rule, "shortfall", n - limit);
    gate_failed(rule, "%.0f row%s without a partner %s left out, and %.0f may be%s", n, ML_PLURAL(n),
        n == 1 ? "was" : "were", floor(limit), l->amount.set ? "" : "; 'max_unmatched' would allow some");
}

static void judge_reuse(struct gate_judge *j)
{
    const struct ml_limit *l = &j->p->max_reuse;
    if (!l->amount.set)
        return;
    cJSON *rule = gate_add(j, NULL, "max_reuse", &l->terms);
    gate_required(rule, &l->amount);
    if (!gate_here(j, rule, &l->terms))
        return;
    double seen;
    if (j->no_current) {
        gate_not_applicable(rule, "no current model");
    } else if (!ml_json_num(ml_json_get(j->comparison, "reuse"), "seen", &seen)) {
        gate_failed(rule, "the card doesn't say how often this test set has been used");
    } else {
        ml_json_set_num(rule, "observed", seen);
        if (seen <= l->amount.x) {
            gate_passed(rule);
            return;
        }
        ml_json_set_num(rule, "shortfall", seen - l->amount.x);
        gate_failed(
            rule, "this test set has been used %.0f times, and %.0f are allowed: take fresh data", seen, l->amount.x);
    }
}

static void judge_current(struct gate_judge *j)
{
    static const struct ml_terms nowhere = { 0 };
    const cJSON *metrics = ml_json_get(j->comparison, "metrics");
    bool known = cJSON_IsObject(ml_json_get(j->comparison, "current"));
    bool there = known && cJSON_IsObject(metrics) && metrics->child;
    const char *why = ml_json_str(j->comparison, "reason");
    if (j->p->current_required) {
        cJSON *rule = gate_add(j, NULL, "current", &j->current);
        ml_json_set_str(rule, "required", "required");
        ml_json_set_str(rule, "observed", there ? "compared" : "none");
        if (there)
            gate_passed(rule);
        else
            gate_failed(rule, "%s%s%s",
                j->no_current   ? "there is no current model to compare with"
                : known         ? "nothing was compared"
                : j->comparison ? "the comparison doesn't say what is current"
                                : "the card has no comparison",
                known && why ? ": " : "", known && why ? why : "");
    }
    if (j->no_current && !j->absolute_passed) {
        cJSON *rule = gate_add(j, NULL, "absolute", &nowhere);
        ml_json_set_str(rule, "required", "a limit that was met");
        gate_failed(rule, "without a current model a min or max has to let the model through, and none did");
    } else if (j->set_aside && !j->evaluated) {
        cJSON *rule = gate_add(j, NULL, "applicable", &nowhere);
        ml_json_set_str(rule, "required", "a rule that applies here");
        gate_failed(rule, "no rule about the model applies here, so every model would pass");
    }
}

/* The rules about metrics and rows, of the test rows or of the confirmation's. */
static int judge_rows_and_metrics(struct gate_judge *j)
{
    const struct ml_policy *p = j->p;
    judge_rows(j, NULL, &p->min_rows);
    for (size_t i = 0; i < p->n; i++) {
        const struct ml_metric_rule *m = &p->rules[i];
        if (judge_absolute(j, m, &m->min, 1) || judge_absolute(j, m, &m->max, -1) || gate_must(j, m) || gate_drop(j, m))
            return -1;
    }
    for (size_t i = 0; i < p->n_slice_rows; i++)
        judge_rows(j, p->slice_rows[i].slice, &p->slice_rows[i].min_rows);
    return 0;
}

static void set_alpha(struct gate_judge *j)
{
    if (!ml_json_num(j->comparison, "alpha", &j->alpha) || !(j->alpha > 0 && j->alpha < 1))
        j->alpha = 0.05;
}

/* What holds on the test rows has to hold on rows that no merge request has seen, where the card has such. */
static int judge_confirm(struct gate_judge *j)
{
    const cJSON *confirm = ml_json_get(j->comparison, "confirm");
    struct gate_judge before = *j;
    if (!cJSON_IsObject(confirm))
        return 0;
    j->confirm = true;
    j->comparison = confirm;
    j->evaluation = ml_json_get(confirm, "evaluation");
    /* The old model may not run with the new code; then there is nothing to compare these rows with. */
    j->no_current = cJSON_GetArraySize(ml_json_get(confirm, "metrics")) == 0;
    set_alpha(j);
    int rc = judge_rows_and_metrics(j);
    if (rc == 0)
        judge_reuse(j);
    j->confirm = false;
    j->comparison = before.comparison;
    j->evaluation = before.evaluation;
    j->no_current = before.no_current;
    j->alpha = before.alpha;
    j->absolute_passed = before.absolute_passed;
    return rc;
}

static int judge_all(struct gate_judge *j)
{
    if (judge_rows_and_metrics(j) < 0)
        return -1;
    gate_numbers(j);
    judge_unmatched(j);
    judge_reuse(j);
    if (judge_confirm(j) < 0)
        return -1;
    judge_current(j);
    gate_settle(j);
    return 0;
}

/* true or false when both texts are there and differ or not, null otherwise. */
static void set_changed(cJSON *gate, const char *key, const char *before, const char *now)
{
    ml_json_set(gate, key, before && now ? cJSON_CreateBool(strcmp(before, now) != 0) : NULL);
}

int ml_gate_judge(const struct ml_policy *p, const struct ml_gate_input *in, cJSON **gate, struct ml_err *err)
{
    const cJSON *current = ml_json_get(in->comparison, "current");
    struct gate_judge j = { .p = p, .in = in, .evaluation = in->evaluation, .comparison = in->comparison, .err = err };
    j.no_current = cJSON_IsNull(current);
    j.current.line = p->current_line;
    set_alpha(&j);
    cJSON *g = cJSON_CreateObject();
    ml_json_set_str(g, "policy", p->name);
    ml_json_set_str(g, "policy_digest", p->digest.s);
    set_changed(g, "policy_changed", ml_json_str(current, "policy_digest"), p->digest.s);
    set_changed(g, "data_changed", ml_json_str(current, "data"), ml_json_str(in->evaluation, "data"));
    if (p->n_waivers)
        ml_json_set_str(g, "date", in->today);
    ml_json_set_bool(g, "passed", false);
    j.rules = ml_json_set_array(g, "rules");
    int rc = judge_all(&j);
    free(j.terms);
    if (rc) {
        cJSON_Delete(g);
        return -1;
    }
    ml_json_set_bool(g, "passed", ml_gate_count(g, "failed") == 0);
    *gate = g;
    return 0;
}
