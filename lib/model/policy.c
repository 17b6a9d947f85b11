/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the gate's policy and refuses what can't mean anything. */
#include "model/policy.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/yaml.h"
#include "stats/metric.h"

struct reader {
    struct ml_policy *p;
    const struct ml_yaml *y;
    struct ml_err *err;
};

#define USAGE(r, node, ...) ml_yaml_fail((r)->y, node, (r)->err, ML_USAGE, __VA_ARGS__)

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) between two short words; long ones are far apart. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), d[32][32];
    if (n >= 32 || m >= 32)
        return 32;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

/* Refuses a word that is none of `words`, naming the nearest. */
static int unknown(
    const struct reader *r, const cJSON *node, const char *what, const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t far = 3;
    for (; *words; words++) {
        size_t d = distance(word, *words);
        if (d < far && d < strlen(*words)) {
            far = d;
            best = *words;
        }
    }
    if (best)
        return USAGE(r, node, "unknown %s '%.80s', did you mean '%s'?", what, word, best);
    return USAGE(r, node, "unknown %s '%.80s'", what, word);
}

/* The index of the string in `words`, or -1 with err set. */
static int choice(const struct reader *r, const cJSON *node, const char *what, const char *const *words)
{
    if (!cJSON_IsString(node))
        return USAGE(r, node, "'%s' must be %s or %s", node->string, words[0], words[1]);
    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], node->valuestring))
            return i;
    }
    return unknown(r, node, what, node->valuestring, words);
}

static int level(const struct reader *r, const cJSON *node, enum ml_level *out)
{
    static const char *const words[] = { "fail", "warn", NULL };
    int i = choice(r, node, "level", words);
    *out = i == 1 ? ML_LEVEL_WARN : ML_LEVEL_FAIL;
    return i < 0 ? -1 : 0;
}

static int mapping(const struct reader *r, const cJSON *node, const char *const *keys)
{
    if (!cJSON_IsObject(node) || !node->child)
        return node->string ? USAGE(r, node, "'%s' must be a mapping with something in it", node->string)
                            : USAGE(r, node, "the policy must be a mapping with something in it");
    const cJSON *member;
    cJSON_ArrayForEach(member, node)
    {
        bool known = !keys;
        for (int i = 0; keys && keys[i]; i++)
            known = known || !strcmp(keys[i], member->string);
        if (!known)
            return unknown(r, member, "key", member->string, keys);
    }
    return 0;
}

/* "2%" as .02, a number as itself. Returns 1 when it is neither. */
static int read_amount(const cJSON *node, struct ml_amount *out)
{
    *out = (struct ml_amount){ .set = true };
    if (cJSON_IsNumber(node)) {
        out->x = node->valuedouble;
        return 0;
    }
    const char *s = cJSON_IsString(node) ? node->valuestring : "";
    size_t n = strlen(s);
    if (n < 2 || s[n - 1] != '%' || !ml_double_parse(s, n - 1, &out->x) || !isfinite(out->x))
        return 1;
    out->percent = true;
    out->x /= 100;
    return 0;
}

static int amount(const struct reader *r, const cJSON *node, const char *name, bool percent, struct ml_amount *out)
{
    if (read_amount(node, out))
        return USAGE(r, node, "'%s' must be a number%s", name, percent ? " or a percentage such as 2%" : "");
    if (out->percent && !percent)
        return USAGE(r, node, "'%s' takes a number, not a percentage", name);
    return 0;
}

/* A limit: the amount alone, or { limit, on, level }. */
static int limit(
    const struct reader *r, const cJSON *node, bool percent, bool bound, enum ml_level def, struct ml_limit *out)
{
    static const char *const keys[] = { "limit", "level", "on", NULL };
    static const char *const plain_keys[] = { "limit", "level", NULL };
    static const char *const ons[] = { "value", "bound", NULL };
    out->level = def;
    if (!cJSON_IsObject(node))
        return amount(r, node, node->string, percent, &out->amount);
    if (mapping(r, node, bound ? keys : plain_keys))
        return -1;
    const cJSON *x = ml_json_get(node, "limit"), *on = ml_json_get(node, "on"), *lev = ml_json_get(node, "level");
    if (!x)
        return USAGE(r, node, "'%s' needs a 'limit'", node->string);
    if (amount(r, x, node->string, percent, &out->amount))
        return -1;
    if (on) {
        int i = choice(r, on, "value of 'on'", ons);
        if (i < 0)
            return -1;
        out->on = i == 1 ? ML_ON_BOUND : ML_ON_VALUE;
    }
    return lev ? level(r, lev, &out->level) : 0;
}

/* A whole number from `from` up, or a percentage where that is allowed. */
static int count(const struct reader *r, const cJSON *node, double from, bool percent, struct ml_limit *out)
{
    if (limit(r, node, percent, false, ML_LEVEL_FAIL, out))
        return -1;
    double x = out->amount.x;
    if (out->amount.percent) {
        if (x < 0 || x > 1)
            return USAGE(r, node, "'%s' must be between 0%% and 100%%", node->string);
    } else if (x < from || x != floor(x) || x > 9e15) {
        return USAGE(r, node, "'%s' must be a whole number from %.0f up", node->string, from);
    }
    return 0;
}

/* Limits that no value, or every value, of a known metric meets. */
static int in_range(const struct reader *r, const cJSON *node, const struct ml_metric_rule *m)
{
    const struct ml_metric *known = ml_metric_find(m->metric);
    if (m->min.amount.set && m->max.amount.set && m->min.amount.x > m->max.amount.x)
        return USAGE(r, node, "'%s' has a min above its max", m->metric);
    if (!known)
        return 0;
    if (m->min.amount.set && m->min.amount.x > known->high)
        return USAGE(
            r, ml_json_get(node, "min"), "'%s' is never above %g, so no model could pass", m->metric, known->high);
    if (m->max.amount.set && m->max.amount.x < known->low)
        return USAGE(
            r, ml_json_get(node, "max"), "'%s' is never below %g, so no model could pass", m->metric, known->low);
    if (m->max_drop.amount.percent && known->low < 0)
        return USAGE(r, ml_json_get(node, "max_drop"),
            "'%s' can be negative: give 'max_drop' as a number, not in percent", m->metric);
    if (m->margin.relative && known->low < 0)
        return USAGE(r, ml_json_get(node, "margin"), "'%s' can be negative: give 'margin' as a number, not in percent",
            m->metric);
    return 0;
}

static int direction(const struct reader *r, const cJSON *node, struct ml_metric_rule *m)
{
    static const char *const words[] = { "higher", "lower", NULL };
    const struct ml_metric *known = ml_metric_find(m->metric);
    const cJSON *said = ml_json_get(node, "direction");
    if (known)
        m->direction = known->direction;
    if (said) {
        int i = choice(r, said, "direction", words);
        if (i < 0)
            return -1;
        int d = i == 0 ? 1 : -1;
        if (known && d != known->direction)
            return USAGE(r, said, "'%s' is better when %s", m->metric, words[known->direction > 0 ? 0 : 1]);
        m->direction = d;
    }
    if (!m->direction && (m->must || m->max_drop.amount.set || m->has_margin))
        return USAGE(r, node, "say 'direction: higher' or 'direction: lower' for '%s', which isn't a metric known here",
            m->metric);
    return 0;
}

static int read_rule(const struct reader *r, const cJSON *node, struct ml_metric_rule *m)
{
    static const char *const keys[] = { "min", "max", "max_drop", "must", "margin", "direction", "level", NULL };
    static const char *const musts[] = { "not_regress", "improve", NULL };
    if (mapping(r, node, keys))
        return -1;
    const cJSON *lev = ml_json_get(node, "level"), *v;
    enum ml_level def = ML_LEVEL_FAIL;
    if (lev && level(r, lev, &def))
        return -1;
    if (((v = ml_json_get(node, "min")) && limit(r, v, false, true, def, &m->min)) ||
        ((v = ml_json_get(node, "max")) && limit(r, v, false, true, def, &m->max)) ||
        ((v = ml_json_get(node, "max_drop")) && limit(r, v, true, true, def, &m->max_drop)))
        return -1;
    if (m->max_drop.amount.set && m->max_drop.amount.x < 0)
        return USAGE(
            r, ml_json_get(node, "max_drop"), "'max_drop' must not be negative; 'must: improve' asks for a gain");
    if ((v = ml_json_get(node, "must"))) {
        int i = choice(r, v, "value of 'must'", musts);
        if (i < 0)
            return -1;
        m->must = i == 0 ? ML_MUST_NOT_REGRESS : ML_MUST_IMPROVE;
        m->must_level = def;
    }
    if ((v = ml_json_get(node, "margin"))) {
        struct ml_amount a;
        if (amount(r, v, "margin", true, &a))
            return -1;
        if (!(a.x > 0))
            return USAGE(r, v, "'margin' must be greater than 0");
        m->has_margin = true;
        m->margin = (struct ml_margin){ .value = a.x, .relative = a.percent };
    }
    if (!m->min.amount.set && !m->max.amount.set && !m->max_drop.amount.set && !m->must && !m->has_margin)
        return USAGE(r, node, "'%s' has no rule: give it min, max, max_drop, must or margin", m->metric);
    return direction(r, node, m) ? -1 : in_range(r, node, m);
}

static int read_metrics(const struct reader *r, const cJSON *node, const char *slice)
{
    struct ml_policy *p = r->p;
    if (mapping(r, node, NULL))
        return -1;
    const cJSON *member;
    cJSON_ArrayForEach(member, node)
    {
        if (slice && !strcmp(member->string, "min_rows")) {
            p->slice_rows = ml_realloc(p->slice_rows, (p->n_slice_rows + 1) * sizeof(*p->slice_rows));
            struct ml_slice_rows *s = &p->slice_rows[p->n_slice_rows++];
            *s = (struct ml_slice_rows){ .slice = ml_strdup(slice) };
            if (count(r, member, 1, false, &s->min_rows))
                return -1;
            continue;
        }
        p->rules = ml_realloc(p->rules, (p->n + 1) * sizeof(*p->rules));
        struct ml_metric_rule *m = &p->rules[p->n++];
        *m = (struct ml_metric_rule){ .metric = ml_strdup(member->string), .slice = slice ? ml_strdup(slice) : NULL };
        if (read_rule(r, member, m))
            return -1;
    }
    return 0;
}

static int read_slices(const struct reader *r, const cJSON *node)
{
    if (mapping(r, node, NULL))
        return -1;
    const cJSON *member;
    cJSON_ArrayForEach(member, node)
    {
        const char *eq = strchr(member->string, '=');
        if (!eq || eq == member->string)
            return USAGE(
                r, member, "a slice is named 'column=value' (several joined by ','), not '%.80s'", member->string);
        if (read_metrics(r, member, member->string))
            return -1;
    }
    return 0;
}

static int read_all(const struct reader *r, const cJSON *root)
{
    static const char *const keys[] = { "min_rows", "current", "metrics", "slices", "max_unmatched", "allow_unpaired",
        "max_reuse", NULL };
    static const char *const currents[] = { "optional", "required", NULL };
    struct ml_policy *p = r->p;
    if (!root || cJSON_IsNull(root))
        return USAGE(r, NULL, "an empty policy would let everything through: give it 'metrics'");
    if (mapping(r, root, keys))
        return -1;
    const cJSON *v;
    if ((v = ml_json_get(root, "current"))) {
        int i = choice(r, v, "value of 'current'", currents);
        if (i < 0)
            return -1;
        p->current_required = i == 1;
    }
    if ((v = ml_json_get(root, "allow_unpaired"))) {
        if (!cJSON_IsBool(v))
            return USAGE(r, v, "'allow_unpaired' must be true or false");
        p->allow_unpaired = cJSON_IsTrue(v);
    }
    if (((v = ml_json_get(root, "min_rows")) && count(r, v, 1, false, &p->min_rows)) ||
        ((v = ml_json_get(root, "max_unmatched")) && count(r, v, 0, true, &p->max_unmatched)) ||
        ((v = ml_json_get(root, "max_reuse")) && count(r, v, 1, false, &p->max_reuse)) ||
        ((v = ml_json_get(root, "metrics")) && read_metrics(r, v, NULL)) ||
        ((v = ml_json_get(root, "slices")) && read_slices(r, v)))
        return -1;
    bool asks = false;
    for (size_t i = 0; i < p->n; i++)
        asks = asks || p->rules[i].min.amount.set || p->rules[i].max.amount.set || p->rules[i].max_drop.amount.set ||
               p->rules[i].must;
    if (!asks)
        return USAGE(r, NULL,
            "no rule asks anything of a metric, so every model would pass: give one min, max, max_drop or must");
    return 0;
}

int ml_policy_parse(struct ml_policy *p, const char *text, size_t len, const char *name, struct ml_err *err)
{
    struct ml_yaml y = ML_YAML_INIT;
    *p = (struct ml_policy)ML_POLICY_INIT;
    if (ml_yaml_parse(&y, text, len, name, err))
        return -1;
    p->name = ml_strdup(name);
    ml_digest_bytes(text, len, &p->digest);
    struct reader r = { .p = p, .y = &y, .err = err };
    int rc = read_all(&r, y.root);
    ml_yaml_release(&y);
    if (rc)
        ml_policy_release(p);
    return rc;
}

int ml_policy_load(struct ml_policy *p, const char *path, struct ml_err *err)
{
    struct ml_buf text;
    ml_buf_init(&text, ML_YAML_MAX);
    *p = (struct ml_policy)ML_POLICY_INIT;
    int rc = ml_file_read(path, &text, err);
    if (!rc)
        rc = ml_policy_parse(p, ml_buf_str(&text), text.len, path, err);
    ml_buf_release(&text);
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
