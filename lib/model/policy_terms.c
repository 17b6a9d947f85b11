/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What any rule of a policy may say: amounts, limits, level, when, waiver. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/policy_impl.h"

#define GLOB_MAX   255
#define GLOBS_MAX  100
#define REASON_MAX 1000

void policy_fault(const struct policy_reader *r, const cJSON *node, const char *fmt, ...)
{
    struct ml_err e = ML_ERR_INIT;
    char why[sizeof e.msg];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    ml_yaml_fail(r->y, node, &e, ML_USAGE, "%s", why);
    if (r->faults->n < ML_POLICY_FAULTS && !ml_strs_has(r->faults, e.msg)) { /* of an alias once */
        r->fault_line[r->faults->n] = policy_line(r, node);
        ml_strs_add(r->faults, e.msg);
    }
}

unsigned policy_line(const struct policy_reader *r, const cJSON *node)
{
    const struct ml_yaml_place *at = ml_yaml_where(r->y, node);

    return at ? at->line : 0;
}

/* Refuses a word that is none of `words`, naming the nearest. */
static void unknown(
    const struct policy_reader *r, const cJSON *node, const char *what, const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t far = 3;
    for (; *words; words++) {
        size_t d = ml_text_distance(word, *words);
        if (d < far && d < strlen(*words)) {
            far = d;
            best = *words;
        }
    }
    if (*word && strspn(word, "0123456789%") == strlen(word))
        policy_fault(r, node, "unknown %s '%.80s'; numbers have a decimal point, not a comma", what, word);
    else if (best)
        policy_fault(r, node, "unknown %s '%.80s', did you mean '%s'?", what, word, best);
    else
        policy_fault(r, node, "unknown %s '%.80s'", what, word);
}

int policy_choice(const struct policy_reader *r, const cJSON *node, const char *what, const char *const *words)
{
    if (!cJSON_IsString(node)) {
        policy_fault(r, node, "'%s' must be %s or %s", node->string, words[0], words[1]);
        return -1;
    }
    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], node->valuestring))
            return i;
    }
    unknown(r, node, what, node->valuestring, words);
    return -1;
}

bool policy_mapping(const struct policy_reader *r, const cJSON *node, const char *const *keys)
{
    if (!cJSON_IsObject(node) || !node->child) {
        if (node->string)
            policy_fault(r, node, "'%.80s' must be a mapping with something in it", node->string);
        else
            policy_fault(r, node, "the policy must be a mapping with something in it");
        return false;
    }
    const cJSON *member;
    cJSON_ArrayForEach(member, node)
    {
        bool known = !keys;
        for (int i = 0; keys && keys[i]; i++)
            known = known || !strcmp(keys[i], member->string);
        if (!known)
            unknown(r, member, "key", member->string, keys);
    }
    return true;
}

/* What is written as the number, times `scale`; false when it is none. */
static bool scaled(const char *s, size_t n, double scale, double *out)
{
    if (!n || !ml_double_parse(s, n, out))
        return false;
    *out *= scale;
    return isfinite(*out);
}

static const struct {
    const char *name;
    double scale;
} units[] = { { "ms", 1e-3 }, { "min", 60 }, { "s", 1 }, { "h", 3600 }, { "d", 86400 }, { "Ki", 1024 },
    { "Mi", 1048576 }, { "Gi", 1073741824 }, { "Ti", 1099511627776 }, { "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 },
    { "T", 1e12 } };

double ml_policy_unit(const char *name)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(name, units[i].name))
            return units[i].scale;
    return 0;
}

/* "500M" as 5e8, "90min" as 5400. */
static bool with_unit(const char *s, struct ml_amount *out)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t u = strlen(units[i].name);
        if (n <= u || strcmp(s + n - u, units[i].name) != 0)
            continue;
        out->unit = units[i].name;
        return scaled(s, n - u, units[i].scale, &out->x);
    }
    return false;
}

static bool read_amount(const cJSON *node, struct ml_amount *out)
{
    const char *s = cJSON_IsString(node) ? node->valuestring : "";
    size_t n = strlen(s);

    *out = (struct ml_amount){ .set = true };
    if (cJSON_IsNumber(node)) {
        out->x = node->valuedouble;
        return true;
    }
    if (with_unit(s, out))
        return true;
    out->percent = n > 1 && s[n - 1] == '%';
    if (!out->percent || !scaled(s, n - 1, 1, &out->x))
        return false;
    out->x /= 100;
    return true;
}

bool policy_amount(
    const struct policy_reader *r, const cJSON *node, const char *name, enum policy_form form, struct ml_amount *out)
{
    static const char *const or_what[] = { "", " or a percentage such as 2%",
        " or one with a unit, such as 500M, 50ms or 1h", ", a percentage such as 2%, or one with a unit such as 500M" };
    bool read = read_amount(node, out), plain = cJSON_IsNumber(node);

    if (!read || (!out->percent && !plain && form < POLICY_UNIT))
        policy_fault(r, node, "'%s' must be a number%s", name, or_what[form]);
    else if (out->percent && form != POLICY_PERCENT && form != POLICY_EITHER)
        policy_fault(r, node, "'%s' takes a number, not a percentage", name);
    else
        return true;
    out->set = false;
    return false;
}

static void level(const struct policy_reader *r, const cJSON *node, enum ml_level *out)
{
    static const char *const words[] = { "fail", "warn", NULL };
    int i = policy_choice(r, node, "level", words);

    if (i >= 0)
        *out = i == 1 ? ML_LEVEL_WARN : ML_LEVEL_FAIL;
}

static void globs(const struct policy_reader *r, const cJSON *node, struct ml_strs *out)
{
    const cJSON *one = cJSON_IsArray(node) ? node->child : node;

    if (!one || cJSON_GetArraySize(node) > GLOBS_MAX) {
        policy_fault(r, node, "'%s' must be a name or glob, or a list of 1 to %d of them", node->string, GLOBS_MAX);
        return;
    }
    for (; one; one = cJSON_IsArray(node) ? one->next : NULL) {
        size_t n = cJSON_IsString(one) ? strlen(one->valuestring) : 0;
        if (n == 0 || n > GLOB_MAX)
            policy_fault(r, cJSON_IsArray(node) ? one : node,
                "'%s' takes names and globs of 1 to %d characters; quote what YAML takes for something else",
                node->string, GLOB_MAX);
        else
            ml_strs_add(out, one->valuestring);
    }
}

static void when(const struct policy_reader *r, const cJSON *node, struct ml_terms *out)
{
    static const char *const keys[] = { "branch", "environment", NULL };
    const cJSON *branch, *environment;
    struct ml_policy *p = r->p;
    struct ml_when *w;

    if (!policy_mapping(r, node, keys))
        return;
    w = ml_calloc(1, sizeof *w);
    p->whens = ml_realloc(p->whens, (p->n_whens + 1) * sizeof(struct ml_when *));
    p->whens[p->n_whens++] = w;
    if ((branch = ml_json_get(node, "branch")))
        globs(r, branch, &w->branches);
    if ((environment = ml_json_get(node, "environment")))
        globs(r, environment, &w->environments);
    out->when = w;
}

static int digits(const char *s, int n)
{
    int x = 0;

    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        x = 10 * x + (s[i] - '0');
    }
    return x;
}

bool ml_date_valid(const char *date)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (strlen(date) != ML_DATE_LEN || date[4] != '-' || date[7] != '-')
        return false;
    int y = digits(date, 4), m = digits(date + 5, 2), d = digits(date + 8, 2);
    if (y < 1 || m < 1 || m > 12 || d < 1)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= days[m - 1] + (m == 2 && leap);
}

static void waiver(const struct policy_reader *r, const cJSON *node, struct ml_terms *out)
{
    static const char *const keys[] = { "until", "reason", NULL };
    const cJSON *until, *reason;
    struct ml_policy *p = r->p;
    struct ml_waiver *w;
    size_t n;

    if (!policy_mapping(r, node, keys))
        return;
    until = ml_json_get(node, "until");
    reason = ml_json_get(node, "reason");
    n = cJSON_IsString(reason) ? strlen(reason->valuestring) : 0;
    if (!until || !reason)
        policy_fault(r, node, "'waiver' needs 'until', its last day, and a 'reason'");
    if (until && (!cJSON_IsString(until) || !ml_date_valid(until->valuestring)))
        policy_fault(r, until, "'until' must be a day such as 2026-12-31");
    if (reason && (n == 0 || n > REASON_MAX || strspn(reason->valuestring, " \t\r\n") == n))
        policy_fault(r, reason, "'reason' must be a text of 1 to %d bytes that says why", REASON_MAX);
    if (!until || !cJSON_IsString(until) || !ml_date_valid(until->valuestring) || n == 0)
        return;
    w = ml_calloc(1, sizeof *w);
    p->waivers = ml_realloc(p->waivers, (p->n_waivers + 1) * sizeof(struct ml_waiver *));
    p->waivers[p->n_waivers++] = w;
    memcpy(w->until, until->valuestring, sizeof w->until);
    w->reason = ml_strdup(reason->valuestring);
    out->waiver = w;
}

void policy_terms(const struct policy_reader *r, const cJSON *node, struct ml_terms *out)
{
    const cJSON *v;

    out->line = policy_line(r, node);
    if ((v = ml_json_get(node, "level")))
        level(r, v, &out->level);
    if ((v = ml_json_get(node, "when")))
        when(r, v, out);
    if ((v = ml_json_get(node, "waiver")))
        waiver(r, v, out);
}

void policy_limit(const struct policy_reader *r, const cJSON *node, enum policy_form form, bool bound,
    const struct ml_terms *otherwise, struct ml_limit *out)
{
    static const char *const keys[] = { "limit", POLICY_TERMS, "on", NULL };
    static const char *const plain_keys[] = { "limit", POLICY_TERMS, NULL };
    static const char *const ons[] = { "value", "bound", NULL };
    const cJSON *x, *on;

    if (!node)
        return;
    if (otherwise)
        out->terms = *otherwise;
    out->terms.line = policy_line(r, node);
    if (!cJSON_IsObject(node)) {
        policy_amount(r, node, node->string, form, &out->amount);
        return;
    }
    if (!policy_mapping(r, node, bound ? keys : plain_keys))
        return;
    if ((x = ml_json_get(node, "limit")))
        policy_amount(r, x, node->string, form, &out->amount);
    else
        policy_fault(r, node, "'%s' needs a 'limit'", node->string);
    if (bound && (on = ml_json_get(node, "on")))
        out->on = policy_choice(r, on, "value of 'on'", ons) == 1 ? ML_ON_BOUND : ML_ON_VALUE;
    policy_terms(r, node, &out->terms);
}

void policy_count(
    const struct policy_reader *r, const cJSON *node, double from, enum policy_form form, struct ml_limit *out)
{
    policy_limit(r, node, form, false, NULL, out);
    double x = out->amount.x;
    if (!out->amount.set)
        return;
    if (out->amount.percent && (x < 0 || x > 1))
        policy_fault(r, node, "'%s' must be between 0%% and 100%%", node->string);
    else if (!out->amount.percent && (x < from || x != floor(x) || x > 9e15))
        policy_fault(r, node, "'%s' must be a whole number from %.0f up", node->string, from);
}
