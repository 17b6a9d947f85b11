/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the gate's policy and refuses what can't mean anything. */
#include "model/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/policy_impl.h"

static void read_slices(const struct policy_reader *r, const cJSON *node)
{
    const cJSON *member;
    if (!policy_mapping(r, node, NULL))
        return;
    cJSON_ArrayForEach(member, node)
    {
        const char *eq = strchr(member->string, '=');
        if (!eq || eq == member->string)
            policy_fault(
                r, member, "a slice is named 'column=value' (several joined by ','), not '%.80s'", member->string);
        else
            policy_metrics(r, member, member->string);
    }
}

/* How far a number may have moved. */
static void change(const struct policy_reader *r, const cJSON *node, const struct ml_terms *terms, struct ml_limit *out)
{
    policy_limit(r, node, POLICY_EITHER, false, terms, out);
    if (out->amount.set && out->amount.x < 0)
        policy_fault(r, node, "'%s' must not be negative", node->string);
}

/* The limits of one number of the card. */
static void read_number(const struct policy_reader *r, const cJSON *node, struct ml_card_rule *c)
{
    static const char *const keys[] = { "min", "max", "max_increase", "max_decrease", "missing", POLICY_TERMS, NULL };
    static const char *const words[] = { "fail", "ignore", NULL };
    struct ml_terms terms = { 0 };
    const cJSON *v;
    if (!policy_mapping(r, node, keys))
        return;
    policy_terms(r, node, &terms);
    policy_limit(r, ml_json_get(node, "min"), POLICY_UNIT, false, &terms, &c->min);
    policy_limit(r, ml_json_get(node, "max"), POLICY_UNIT, false, &terms, &c->max);
    change(r, ml_json_get(node, "max_increase"), &terms, &c->max_increase);
    change(r, ml_json_get(node, "max_decrease"), &terms, &c->max_decrease);
    if ((v = ml_json_get(node, "missing")))
        c->may_lack = policy_choice(r, v, "value of 'missing'", words) == 1;
    if (!ml_json_get(node, "min") && !ml_json_get(node, "max") && !ml_json_get(node, "max_increase") &&
        !ml_json_get(node, "max_decrease"))
        policy_fault(r, node, "'%.80s' has no rule: give it min, max, max_increase or max_decrease", c->path);
    if (c->min.amount.set && c->max.amount.set && c->min.amount.x > c->max.amount.x)
        policy_fault(r, node, "'%.80s' has a min above its max", c->path);
}

static void read_card(const struct policy_reader *r, const cJSON *node)
{
    struct ml_policy *p = r->p;
    const cJSON *member;
    if (!policy_mapping(r, node, NULL))
        return;
    cJSON_ArrayForEach(member, node)
    {
        if (!*member->string) {
            policy_fault(r, member, "a number of the card is named by its path, such as 'smoke.latency.p99'");
            continue;
        }
        p->card = ml_realloc(p->card, (p->n_card + 1) * sizeof(*p->card));
        struct ml_card_rule *c = &p->card[p->n_card++];
        *c = (struct ml_card_rule){ .path = ml_strdup(member->string) };
        read_number(r, member, c);
    }
}

/* Whether some rule asks something of the model; that others were faulty is told already. */
static bool asks(const struct ml_policy *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct ml_metric_rule *m = &p->rules[i];
        if (m->min.amount.set || m->max.amount.set || m->max_drop.amount.set || m->must)
            return true;
    }
    return p->n_card > 0;
}

static void read_all(const struct policy_reader *r, const cJSON *root)
{
    static const char *const keys[] = { "min_rows", "current", "metrics", "slices", "card", "max_unmatched",
        "allow_unpaired", "max_reuse", NULL };
    static const char *const currents[] = { "optional", "required", NULL };
    struct ml_policy *p = r->p;
    const cJSON *v;
    if (!root || cJSON_IsNull(root)) {
        policy_fault(r, NULL, "an empty policy would let everything through: give it 'metrics'");
        return;
    }
    if (ml_json_str(root, "schema") && !strncmp(ml_json_str(root, "schema"), "mlci.", 5)) {
        policy_fault(r, NULL, "this is a model card; the policy comes first, then the card");
        return;
    }
    if (!policy_mapping(r, root, keys))
        return;
    if ((v = ml_json_get(root, "current"))) {
        p->current_required = policy_choice(r, v, "value of 'current'", currents) == 1;
        p->current_line = policy_line(r, v);
    }
    if ((v = ml_json_get(root, "allow_unpaired"))) {
        if (!cJSON_IsBool(v))
            policy_fault(r, v, "'allow_unpaired' must be true or false");
        p->allow_unpaired = cJSON_IsTrue(v);
    }
    policy_count(r, ml_json_get(root, "min_rows"), 1, POLICY_PLAIN, &p->min_rows);
    policy_count(r, ml_json_get(root, "max_unmatched"), 0, POLICY_PERCENT, &p->max_unmatched);
    policy_count(r, ml_json_get(root, "max_reuse"), 1, POLICY_PLAIN, &p->max_reuse);
    if ((v = ml_json_get(root, "metrics")))
        policy_metrics(r, v, NULL);
    if ((v = ml_json_get(root, "slices")))
        read_slices(r, v);
    if ((v = ml_json_get(root, "card")))
        read_card(r, v);
    if (!asks(p) && r->faults->n == 0)
        policy_fault(r, NULL,
            "no rule asks anything of a metric, so every model would pass: give one min, max, max_drop or must");
}

/* As they stand in the file; those of one line as they were found. */
static void by_line(struct ml_strs *faults, unsigned *line)
{
    for (size_t i = 1; i < faults->n; i++) {
        char *s = faults->v[i];
        unsigned l = line[i];
        size_t k = i;
        for (; k > 0 && line[k - 1] > l; k--) {
            faults->v[k] = faults->v[k - 1];
            line[k] = line[k - 1];
        }
        faults->v[k] = s;
        line[k] = l;
    }
}

static int parse(
    struct ml_policy *p, const char *text, size_t len, const char *name, struct ml_strs *faults, struct ml_err *err)
{
    struct ml_yaml y = ML_YAML_INIT;
    *p = (struct ml_policy)ML_POLICY_INIT;
    if (ml_yaml_parse(&y, text, len, name, err))
        return -1;
    p->name = ml_strdup(name);
    ml_digest_bytes(text, len, &p->digest);
    unsigned fault_line[ML_POLICY_FAULTS];
    struct policy_reader r = { .p = p, .y = &y, .faults = faults, .fault_line = fault_line };
    read_all(&r, y.root);
    ml_yaml_release(&y);
    if (faults->n == 0)
        return 0;
    if (faults->n == 1)
        return ml_err_set(err, ML_USAGE, "%s", faults->v[0]);
    /* the first that was found: one of an earlier line may come of it */
    ml_err_set(err, ML_USAGE, "%.800s (and %zu more: 'ml-gate --check' tells them)", faults->v[0], faults->n - 1);
    by_line(faults, fault_line);
    return -1;
}

int ml_policy_parse(struct ml_policy *p, const char *text, size_t len, const char *name, struct ml_err *err)
{
    struct ml_strs faults = { 0 };
    int rc = parse(p, text, len, name, &faults, err);
    ml_strs_release(&faults);
    if (rc)
        ml_policy_release(p);
    return rc;
}

int ml_policy_check(struct ml_policy *p, const char *path, struct ml_strs *faults, struct ml_err *err)
{
    struct ml_buf text;
    ml_buf_init(&text, ML_YAML_MAX);
    *p = (struct ml_policy)ML_POLICY_INIT;
    int rc = ml_file_read(path, &text, err);
    if (!rc)
        rc = parse(p, ml_buf_str(&text), text.len, path, faults, err);
    ml_buf_release(&text);
    return rc;
}

int ml_policy_load(struct ml_policy *p, const char *path, struct ml_err *err)
{
    struct ml_strs faults = { 0 };
    int rc = ml_policy_check(p, path, &faults, err);
    ml_strs_release(&faults);
    if (rc)
        ml_policy_release(p);
    return rc;
}

void ml_policy_release(struct ml_policy *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->rules[i].metric);
        free(p->rules[i].slice);
    }
    for (size_t i = 0; i < p->n_slice_rows; i++)
        free(p->slice_rows[i].slice);
    for (size_t i = 0; i < p->n_card; i++)
        free(p->card[i].path);
    for (size_t i = 0; i < p->n_whens; i++) {
        ml_strs_release(&p->whens[i]->branches);
        ml_strs_release(&p->whens[i]->environments);
        free(p->whens[i]);
    }
    for (size_t i = 0; i < p->n_waivers; i++) {
        free(p->waivers[i]->reason);
        free(p->waivers[i]);
    }
    free(p->whens);
    free(p->waivers);
    free(p->card);
    free(p->rules);
    free(p->slice_rows);
    free(p->name);
    *p = (struct ml_policy)ML_POLICY_INIT;
}

const struct ml_metric_rule *ml_policy_find(const struct ml_policy *p, const char *slice, const char *metric)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct ml_metric_rule *m = &p->rules[i];
        bool same = slice && m->slice ? !strcmp(slice, m->slice) : !slice && !m->slice;
        if (same && !strcmp(m->metric, metric))
            return m;
    }
    return NULL;
}

bool ml_policy_names(const struct ml_policy *p, const char *metric)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!strcmp(p->rules[i].metric, metric))
            return true;
    }
    return false;
}

void ml_policy_metrics(const struct ml_policy *p, struct ml_strs *out)
{
    for (size_t i = 0; i < p->n; i++)
        if (!ml_strs_has(out, p->rules[i].metric))
            ml_strs_add(out, p->rules[i].metric);
}

void ml_policy_slices(const struct ml_policy *p, struct ml_strs *out)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->rules[i].slice && !ml_strs_has(out, p->rules[i].slice))
            ml_strs_add(out, p->rules[i].slice);
    for (size_t i = 0; i < p->n_slice_rows; i++)
        if (!ml_strs_has(out, p->slice_rows[i].slice))
            ml_strs_add(out, p->slice_rows[i].slice);
}
