/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment's tables. */
#include <string.h>

#include "base/text.h"
#include "data/number.h"
#include "model/comment_impl.h"
#include "model/gate.h"
#include "model/markdown.h"

enum { MOST_METRICS = 60, MOST_SLICES = 60, MOST_RULES = 120, MOST_FLIPS = 10, FOLDED_SLICES = 12 };

static int decimals_of(const cJSON *metric)
{
    double low, high;
    return ml_json_num(metric, "low", &low) && ml_json_num(metric, "high", &high) ? ml_number_decimals(low, high) : -1;
}

void comment_value(struct ml_buf *out, const cJSON *metric, const char *key, const cJSON *interval)
{
    char number[ML_NUMBER_LEN];
    double x;
    if (ml_json_num(metric, key, &x))
        ml_buf_adds(out, ml_number_format(x, decimals_of(interval), false, number));
    else
        ml_buf_adds(out, "–");
}

void comment_difference(struct ml_buf *out, const cJSON *metric)
{
    char number[ML_NUMBER_LEN];
    double x;
    if (ml_json_num(metric, "delta", &x))
        ml_buf_adds(out, ml_number_format(x, decimals_of(metric), true, number));
    else
        ml_buf_adds(out, "–");
}

void comment_verdict(struct ml_buf *out, const cJSON *metric, bool with_reason)
{
    static const struct {
        const char *name, *text;
    } known[] = { { "better", "**better**" }, { "worse", "**worse**" }, { "equivalent", "equivalent" },
        { "inconclusive", "inconclusive" } };
    const char *verdict = ml_json_str(metric, "verdict"), *reason = ml_json_str(metric, "reason"), *text = NULL;
    double x;
    for (size_t i = 0; verdict && i < sizeof(known) / sizeof(*known); i++)
        text = strcmp(known[i].name, verdict) ? text : known[i].text;
    ml_buf_adds(out, text ? text : ml_json_num(metric, "delta", &x) ? "no verdict" : "not compared");
    if (with_reason && reason) {
        ml_buf_adds(out, ": ");
        ml_md_code(out, reason);
    }
}

static void interval(struct ml_buf *out, const cJSON *metric, bool sign)
{
    char a[ML_NUMBER_LEN], b[ML_NUMBER_LEN];
    double low, high;
    int d = decimals_of(metric);
    if (ml_json_num(metric, "low", &low) && ml_json_num(metric, "high", &high))
        ml_buf_addf(out, "%s … %s", ml_number_format(low, d, sign, a), ml_number_format(high, d, sign, b));
    else
        ml_buf_adds(out, "–");
}

/* " current | candidate | difference | interval | verdict |" of a compared metric; the candidate's own interval tells
 * how many digits the two values have. */
static void compared_cells(struct ml_buf *out, const cJSON *compared, const cJSON *value)
{
    const cJSON *digits = decimals_of(value) >= 0 ? value : compared;
    ml_buf_addc(out, ' ');
    comment_value(out, compared, "current", digits);
    ml_buf_adds(out, " | ");
    if (compared)
        comment_value(out, compared, "candidate", digits);
    else
        comment_value(out, value, "value", digits);
    ml_buf_adds(out, " | ");
    comment_difference(out, compared);
    ml_buf_adds(out, " | ");
    interval(out, compared, true);
    ml_buf_adds(out, " | ");
    comment_verdict(out, compared ? compared : value, true);
    ml_buf_adds(out, " |\n");
}

static void value_cells(struct ml_buf *out, const cJSON *value)
{
    ml_buf_addc(out, ' ');
    comment_value(out, value, "value", value);
    ml_buf_adds(out, " | ");
    interval(out, value, false);
    const char *reason = ml_json_str(value, "reason");
    if (reason) {
        ml_buf_addc(out, ' ');
        ml_md_code(out, reason);
    }
    ml_buf_adds(out, " |\n");
}

/* "95 %" of the comparison's effective alpha or the evaluation's confidence. */
static double confidence(const struct comment_sections *s)
{
    double alpha, c = 0.95;
    if (s->compared && ml_json_num(s->comparison, "alpha", &alpha))
        return 100 * (1 - alpha);
    ml_json_num(s->evaluation, "confidence", &c);
    return 100 * c;
}

static void more(struct ml_buf *out, size_t n, size_t most, const char *what)
{
    if (n > most)
        ml_buf_addf(out, "\nAnd %zu more %s: the card has them all.\n", n - most, what);
    if (n)
        ml_buf_addc(out, '\n');
}

static bool primary(const cJSON *metric)
{
    const char *family = ml_json_str(metric, "family");
    return !family || !strcmp(family, "primary");
}

static void measured_metrics(struct ml_buf *out, const struct comment_sections *s, const cJSON *values)
{
    const cJSON *m;
    size_t n = 0;

    cJSON_ArrayForEach(m, values)
    {
        if (++n == 1)
            ml_buf_addf(out, "| metric | value | %.3g %% interval |\n|---|---:|---:|\n", confidence(s));
        if (n > MOST_METRICS)
            continue;
        ml_buf_adds(out, "| ");
        ml_md_code(out, m->string);
        ml_buf_adds(out, " |");
        value_cells(out, m);
    }
    more(out, n, MOST_METRICS, "metrics");
}

/* The metrics of one family, or, with `others`, all but the primary ones: those compared, then those only measured. */
static size_t compared_metrics(struct ml_buf *out, const struct comment_sections *s, bool others)
{
    const cJSON *values = ml_json_get(s->evaluation, "metrics"), *compared = ml_json_get(s->comparison, "metrics"), *m;
    size_t n = 0;

    for (int pass = 0; pass < (others ? 2 : 1); pass++) {
        const cJSON *from = pass == 0 ? compared : values;

        cJSON_ArrayForEach(m, from)
        {
            if (pass == 0 ? primary(m) == others : ml_json_get(compared, m->string) != NULL)
                continue;
            if (++n == 1)
                ml_buf_addf(out,
                    "| metric | current | candidate | difference | %.3g %% interval | verdict "
                    "|\n|---|---:|---:|---:|---:|---|\n",
                    confidence(s));
            if (n > MOST_METRICS)
                continue;
            ml_buf_adds(out, "| ");
            ml_md_code(out, m->string);
            ml_buf_adds(out, " |");
            compared_cells(out, pass == 0 ? m : NULL, pass == 0 ? ml_json_get(values, m->string) : m);
        }
    }
    more(out, n, MOST_METRICS, "metrics");
    return n;
}

/* What the policy is about stands open; the rest is a click away, unless there is nothing else. */
void comment_metrics(struct ml_buf *out, const struct comment_sections *s)
{
    struct ml_buf rest = ML_BUF_INIT;
    size_t shown, n;

    if (!s->compared) {
        measured_metrics(out, s, ml_json_get(s->evaluation, "metrics"));
        return;
    }
    shown = compared_metrics(out, s, false);
    n = compared_metrics(&rest, s, true);
    if (n && shown)
        ml_buf_addf(out, "<details><summary>%zu other metric%s</summary>\n\n%s</details>\n\n", n, ML_PLURAL(n),
            ml_buf_str(&rest));
    else if (n)
        ml_buf_adds(out, ml_buf_str(&rest));
    ml_buf_release(&rest);
}

static void slice_head(struct ml_buf *out, const struct comment_sections *s)
{
    if (s->compared)
        ml_buf_addf(out,
            "| slice | rows | metric | current | candidate | difference | %.3g %% interval | verdict |\n"
            "|---|---:|---|---:|---:|---:|---:|---|\n",
            confidence(s));
    else
        ml_buf_addf(
            out, "| slice | rows | metric | value | %.3g %% interval |\n|---|---:|---|---:|---:|\n", confidence(s));
}

/* Numbers as they are, words as code. */
static void plain(struct ml_buf *out, const cJSON *v)
{
    if (cJSON_IsNumber(v))
        ml_buf_adds(out, ML_PLAIN(v->valuedouble, 4));
    else
        ml_md_code(out, cJSON_IsString(v) ? v->valuestring : NULL);
}

/* Slices that ml-eval found by itself. */
static void found_slices(struct ml_buf *out, const cJSON *found)
{
    static const char *const keys[] = { "value", "rest", "difference" };
    const cJSON *slices = ml_json_get(found, "slices"), *x;
    double looked_at, rows;
    if (cJSON_GetArraySize(slices) == 0 || !ml_json_num(found, "looked_at", &looked_at))
        return;
    ml_buf_addf(out, "**Worse than the rest** for certain, of %.0f slices that were looked at.\n\n", looked_at);
    ml_buf_adds(out, "| slice | rows | mean ");
    ml_md_code(out, ml_json_str(found, "loss"));
    ml_buf_adds(out, " | of the rest | difference |\n|---|---:|---:|---:|---:|\n");
    cJSON_ArrayForEach(x, slices)
    {
        ml_buf_adds(out, "| ");
        ml_md_code(out, ml_json_str(x, "name"));
        if (ml_json_num(x, "rows", &rows))
            ml_buf_addf(out, " | %.0f", rows);
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
            ml_buf_adds(out, " | ");
            plain(out, ml_json_get(x, keys[i]));
        }
        ml_buf_adds(out, " |\n");
    }
    ml_buf_adds(out, "\n");
}

static void slice_row(struct ml_buf *out, const struct comment_sections *s, const cJSON *slice, const cJSON *m)
{
    const cJSON *value = ml_json_get(ml_json_get(s->evaluation, "slices"), slice->string);
    double rows;

    ml_buf_adds(out, "| ");
    ml_md_code(out, slice->string);
    if (ml_json_num(slice, "rows", &rows) || ml_json_num(value, "rows", &rows))
        ml_buf_addf(out, " | %.0f | ", rows);
    else
        ml_buf_adds(out, " | – | ");
    ml_md_code(out, m->string);
    ml_buf_adds(out, " |");
    if (s->compared)
        compared_cells(out, m, ml_json_get(ml_json_get(value, "metrics"), m->string));
    else
        value_cells(out, m);
}

static bool is_worse(const cJSON *metric)
{
    const char *verdict = ml_json_str(metric, "verdict");
    return verdict && !strcmp(verdict, "worse");
}

/* The rows of slices that got worse, or all others, `left` of them at most. Returns how many there are. */
static size_t slice_rows(
    struct ml_buf *out, const struct comment_sections *s, const cJSON *slices, bool worse, size_t *left)
{
    const cJSON *slice, *m;
    size_t n = 0;

    cJSON_ArrayForEach(slice, slices)
    {
        cJSON_ArrayForEach(m, ml_json_get(slice, "metrics"))
        {
            if (is_worse(m) != worse)
                continue;
            n++;
            if (*left == 0)
                continue;
            --*left;
            slice_row(out, s, slice, m);
        }
    }
    return n;
}

/* Those that got worse come first; the others are a click away where they are many. */
void comment_slices(struct ml_buf *out, const struct comment_sections *s)
{
    const cJSON *from = ml_json_get(s->compared ? s->comparison : s->evaluation, "slices");
    struct ml_buf worse = ML_BUF_INIT, others = ML_BUF_INIT;
    size_t left = MOST_SLICES, n_worse = slice_rows(&worse, s, from, true, &left);
    size_t n_others = slice_rows(&others, s, from, false, &left);
    bool fold = n_others > FOLDED_SLICES;

    if (n_worse + n_others)
        ml_buf_adds(out, "**Slices**\n\n");
    if (n_worse || (n_others && !fold)) {
        slice_head(out, s);
        ml_buf_adds(out, ml_buf_str(&worse));
    }
    if (fold) {
        ml_buf_addf(out, "%s<details><summary>%zu %srows of slices</summary>\n\n", n_worse ? "\n" : "", n_others,
            n_worse ? "other " : "");
        slice_head(out, s);
    }
    ml_buf_adds(out, ml_buf_str(&others));
    more(out, n_worse + n_others, MOST_SLICES, "rows of slices");
    if (fold)
        ml_buf_adds(out, "</details>\n\n");
    found_slices(out, ml_json_get(s->evaluation, "found_slices"));
    ml_buf_release(&worse);
    ml_buf_release(&others);
}

/* A rule's number in the policy's unit. */
static void amount(struct ml_buf *out, const cJSON *rule, const char *key)
{
    const cJSON *v = ml_json_get(rule, key);
    char text[ML_GATE_AMOUNT];
    if (cJSON_IsNumber(v))
        ml_buf_adds(out, ml_gate_amount(rule, v->valuedouble, 4, text));
    else
        plain(out, v);
}

static void required(struct ml_buf *out, const cJSON *rule)
{
    static const char *const sides[] = { "≤ ", "", "≥ " };
    ml_buf_adds(out, sides[1 + ml_gate_side(rule)]);
    amount(out, rule, "required");
    ml_gate_conditions(rule, 4, out);
}

/* Whether a rule is about the difference from the current model. */
static bool compares(const cJSON *rule)
{
    const char *name = ml_json_str(rule, "rule"), *kind = name ? strrchr(name, '.') : NULL;
    return kind && (!strcmp(kind, ".must") || !strcmp(kind, ".max_drop"));
}

static void result(struct ml_buf *out, const cJSON *rule)
{
    static const struct {
        const char *verdict, *text;
    } known[] = { { "failed", "❌ **failed**" }, { "warned", "⚠️ warning" }, { "waived", "⚠️ **waived**" } };
    const char *verdict = ml_gate_verdict(rule), *reason = ml_json_str(rule, "reason"), *text = verdict;
    const cJSON *waiver = ml_json_get(rule, "waiver");
    const char *why = reason ? reason : !strcmp(verdict, "passed") ? ml_json_str(rule, "basis") : NULL;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        text = strcmp(known[i].verdict, verdict) ? text : known[i].text;
    ml_buf_adds(out, text);
    if (waiver && strcmp(verdict, "passed") != 0 && strcmp(verdict, "not applicable") != 0) {
        ml_buf_adds(out, !strcmp(verdict, "waived") ? " until " : ", its waiver ended on ");
        ml_md_code(out, ml_json_str(waiver, "until"));
        ml_buf_adds(out, " for ");
        ml_md_code(out, ml_json_str(waiver, "reason"));
    }
    if (why) {
        ml_buf_adds(out, ": ");
        ml_md_code(out, why);
    }
}

void comment_gate(struct ml_buf *out, const cJSON *gate)
{
    const cJSON *rule;
    size_t n = 0;
    if (!gate)
        return;
    ml_buf_adds(out, "**Gate** ");
    ml_md_code(out, ml_json_str(gate, "policy"));
    ml_buf_adds(out, "\n\n| rule | required | observed | interval | result | a neutral change passes "
                     "|\n|---|---|---:|---:|---|---:|\n");
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        double rate;
        if (++n > MOST_RULES)
            continue;
        ml_buf_adds(out, "| ");
        ml_md_code(out, ml_json_str(rule, "rule"));
        ml_buf_adds(out, " | ");
        required(out, rule);
        ml_buf_adds(out, " | ");
        amount(out, rule, "observed");
        ml_buf_adds(out, " | ");
        interval(out, rule, compares(rule));
        ml_buf_adds(out, " | ");
        result(out, rule);
        if (ml_json_num(rule, "neutral_pass_rate", &rate))
            ml_buf_addf(out, rate < 0.0995 ? " | %.2g %% |\n" : " | %.0f %% |\n", rate * 100);
        else
            ml_buf_adds(out, " | – |\n");
    }
    more(out, n ? n : 1, MOST_RULES, "rules");
}

static void head_flips(struct ml_buf *out, const char *metric, bool numbers, bool scores)
{
    if (metric) {
        ml_buf_adds(out, "| ranked worse | its ");
        ml_md_code(out, metric);
        ml_buf_adds(out, ", current | candidate |\n|---|---:|---:|\n");
        return;
    }
    ml_buf_addf(out, "| %s | label | current | candidate |%s\n|---|---|---|---|%s\n",
        numbers ? "now farther" : "now wrong", scores ? " its score for that |" : "", scores ? "---:|" : "");
}

static const char *were(double n)
{
    return n == 1 ? "was" : "were";
}

static const char *are(double n)
{
    return n == 1 ? "is" : "are";
}

void comment_flips(struct ml_buf *out, const cJSON *flips)
{
    static const char *const columns[] = { "id", "label", "current", "candidate", "score" };
    double fixed, broken;
    const cJSON *row, *worst = ml_json_get(flips, "worst");
    const char *metric = ml_json_str(flips, "metric"); /* of queries, which have no label */
    size_t n = 0, shown = sizeof(columns) / sizeof(*columns) - 1;
    cJSON_ArrayForEach(row, worst) if (ml_json_get(row, "score")) shown = sizeof(columns) / sizeof(*columns);
    if (ml_json_num(flips, "fixed", &fixed) && ml_json_num(flips, "broken", &broken))
        ml_buf_addf(out, "**Flips** %.0f row%s %s wrong and %s right now, %.0f %s right and %s wrong now.\n\n", fixed,
            ML_PLURAL(fixed), were(fixed), are(fixed), broken, were(broken), are(broken));
    else if (ml_json_num(flips, "nearer", &fixed) && ml_json_num(flips, "farther", &broken))
        ml_buf_addf(out, "**Moves** %.0f prediction%s came nearer to the truth, %.0f went farther away.\n\n", fixed,
            ML_PLURAL(fixed), broken);
    else if (ml_json_num(flips, "improved", &fixed) && ml_json_num(flips, "worsened", &broken))
        ml_buf_addf(out, "**Queries** %.0f %s ranked better, %.0f worse.\n\n", fixed, are(fixed), broken);
    else
        return;
    cJSON_ArrayForEach(row, worst)
    {
        if (++n == 1)
            head_flips(out, metric, cJSON_IsNumber(ml_json_get(row, "label")), shown > 4);
        if (n > MOST_FLIPS)
            continue;
        for (size_t i = 0; i < shown; i++) {
            if (i == 1 && metric)
                continue;
            const cJSON *v = ml_json_get(row, columns[i]);
            ml_buf_adds(out, "| ");
            if (cJSON_IsString(v) && !*v->valuestring)
                ml_buf_adds(out, "*none*"); /* a set of labels */
            else
                plain(out, v);
            ml_buf_addc(out, ' ');
        }
        ml_buf_adds(out, "|\n");
    }
    more(out, n, MOST_FLIPS, metric ? "queries" : "rows");
}
