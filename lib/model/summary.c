/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of metrics for stderr. */
#include "model/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/grid.h"
#include "data/number.h"

#define MAX_NUMBERS   5
#define MAX_TESTS     4
#define NAMED_CLASSES 3

/* What a table shows of a metric. The first n_plain numbers have no sign; `low` and `high` decide how many digits. */
struct shape {
    const char *keys[MAX_NUMBERS];
    size_t n, n_plain;
    bool verdict, mean;           /* mean: over runs */
    const char *tests[MAX_TESTS]; /* that were asked for */
    size_t n_tests;
};

static void add_metric(struct ml_grid *g, const struct shape *s, const char *name, const cJSON *m)
{
    char text[MAX_NUMBERS][ML_NUMBER_LEN], p_text[1 + MAX_TESTS][16] = { "-", "", "", "", "" };
    const char *cells[ML_GRID_COLUMNS] = { name };
    double low = NAN, high = NAN, p;
    size_t n = 1;
    ml_json_num(m, "low", &low);
    ml_json_num(m, "high", &high);
    for (size_t i = 0; i < s->n; i++) {
        double x = NAN;
        ml_json_num(m, s->keys[i], &x);
        cells[n++] = ml_number_format(x, ml_number_decimals(low, high), i >= s->n_plain, text[i]);
    }
    const char *reason = ml_json_str(m, "reason"), *verdict = ml_json_str(m, "verdict");
    char *last = s->verdict && verdict != NULL
                     ? reason != NULL ? ml_format("%s (%s)", verdict, reason) : ml_strdup(verdict)
                     : ml_strdup(reason != NULL ? reason : "");
    if (s->verdict) {
        if (ml_json_num(m, "p_adjusted", &p))
            snprintf(p_text[0], sizeof p_text[0], "%.2g", p);
        cells[n++] = p_text[0];
    }
    for (size_t i = 0; i < s->n_tests; i++) {
        const cJSON *test = ml_json_get(ml_json_get(m, "extra"), s->tests[i]);
        if (test != NULL)
            snprintf(p_text[1 + i], sizeof p_text[1 + i], "-");
        if (ml_json_num(test, "p", &p))
            snprintf(p_text[1 + i], sizeof p_text[1 + i], "%.2g", p);
        cells[n++] = p_text[1 + i];
    }
    cells[n] = last;
    ml_grid_add(g, cells);
    free(last);
}

/* The columns' names; the grid is ready for rows. */
static void add_head(struct ml_grid *g, const struct shape *s)
{
    const char *cells[ML_GRID_COLUMNS] = { "metric" };
    char tests[MAX_TESTS][24];
    size_t n = 1;
    for (size_t i = 0; i < s->n; i++)
        cells[n++] = s->keys[i];
    if (s->verdict)
        cells[n++] = "p adjusted";
    for (size_t i = 0; i < s->n_tests; i++) {
        snprintf(tests[i], sizeof tests[i], "%s p", s->tests[i]);
        cells[n++] = tests[i];
    }
    cells[n] = s->verdict ? "verdict" : "";
    g->columns = n + 1;
    g->left = 1u << n;
    ml_grid_add(g, cells);
}

size_t ml_summary_tests(const cJSON *comparison, const char *names[MAX_TESTS])
{
    static const char *const known[MAX_TESTS] = { "tost", "wilcoxon", "permutation", "bootstrap" };
    const cJSON *metrics = ml_json_get(comparison, "metrics"), *m;
    size_t n = 0;
    for (size_t i = 0; cJSON_IsObject(metrics) && i < MAX_TESTS; i++) {
        bool asked = false;
        cJSON_ArrayForEach(m, metrics) asked = asked || ml_json_get(ml_json_get(m, "extra"), known[i]) != NULL;
        if (asked)
            names[n++] = known[i];
    }
    return n;
}

static const cJSON *shown(const struct shape *s, const cJSON *metric)
{
    return s->mean ? ml_json_get(ml_json_get(metric, "runs"), "mean") : metric;
}

static void table(struct shape s, const cJSON *section, struct ml_strs *out)
{
    struct ml_grid g = { 0 };
    struct ml_buf line = ML_BUF_INIT;
    const cJSON *m;
    size_t slices = 0;
    s.n_tests = s.verdict ? ml_summary_tests(section, s.tests) : 0;
    add_head(&g, &s);
    cJSON_ArrayForEach(m, ml_json_get(section, "metrics")) add_metric(&g, &s, m->string, shown(&s, m));
    cJSON_ArrayForEach(m, ml_json_get(section, "slices"))
    {
        const cJSON *metrics = ml_json_get(m, "metrics"), *first = metrics != NULL ? metrics->child : NULL;
        double rows = 0;
        if (first == NULL || slices++ >= ML_SUMMARY_SLICES)
            continue;
        ml_json_num(m, "rows", &rows);
        char *name = ml_format("%s where %s (%.0f row%s)", first->string, m->string, rows, ML_PLURAL(rows));
        add_metric(&g, &s, name, shown(&s, first));
        free(name);
    }
    for (size_t i = 0; g.cells.n > g.columns && ml_grid_line(&g, i, &line); i++)
        ml_strs_add(out, ml_buf_str(&line));
    if (slices > ML_SUMMARY_SLICES) {
        ml_buf_reset(&line);
        ml_buf_addf(&line, "and %zu slice%s more", slices - ML_SUMMARY_SLICES, ML_PLURAL(slices - ML_SUMMARY_SLICES));
        ml_strs_add(out, ml_buf_str(&line));
    }
    ml_buf_release(&line);
    ml_grid_release(&g);
}

static const struct shape evaluation_shape = { .keys = { "value", "low", "high" }, .n = 3, .n_plain = 3 };
static const struct shape mean_shape = { .keys = { "value", "low", "high" }, .n = 3, .n_plain = 3, .mean = true };
static const struct shape comparison_shape = {
    .keys = { "current", "candidate", "delta", "low", "high" }, .n = 5, .n_plain = 2, .verdict = true
};

/* Slices that were found, and of how many. */
static void add_found(const cJSON *found, struct ml_strs *out)
{
    static const char *const head[] = { "worse than the rest", "rows", "value", "rest", "low", "high", "p adjusted" };
    static const char *const keys[] = { "value", "rest", "low", "high" };
    struct ml_grid g = { .columns = 7, .left = 1 };
    struct ml_buf line = ML_BUF_INIT;
    const cJSON *slices = ml_json_get(found, "slices"), *x;
    double looked_at = 0;
    if (!ml_json_num(found, "looked_at", &looked_at))
        return;
    char *text = ml_format("%s certain to be worse than the rest, of %.0f that were looked at (%s)",
        cJSON_GetArraySize(slices) == 0   ? "no slice is"
        : cJSON_GetArraySize(slices) == 1 ? "one slice is"
                                          : "these slices are",
        looked_at, ml_json_str(found, "loss"));
    ml_strs_add(out, text);
    free(text);
    ml_grid_add(&g, (const char **)head);
    cJSON_ArrayForEach(x, slices)
    {
        char numbers[4][ML_NUMBER_LEN], rows[24], p[24];
        const char *cells[7] = { ml_json_str(x, "name"), rows };
        double low = NAN, high = NAN, v = NAN;
        ml_json_num(x, "low", &low);
        ml_json_num(x, "high", &high);
        for (size_t i = 0; i < 4; i++) {
            v = NAN;
            ml_json_num(x, keys[i], &v);
            cells[2 + i] = ml_number_format(v, ml_number_decimals(low, high), i >= 2, numbers[i]);
        }
        v = NAN;
        ml_json_num(x, "rows", &v);
        snprintf(rows, sizeof rows, "%.0f", v);
        ml_json_num(x, "p_adjusted", &v);
        snprintf(p, sizeof p, "%.2g", v);
        cells[6] = p;
        ml_grid_add(&g, cells);
    }
    for (size_t i = 0; g.cells.n > g.columns && ml_grid_line(&g, i, &line); i++)
        ml_strs_add(out, ml_buf_str(&line));
    ml_buf_release(&line);
    ml_grid_release(&g);
}

void ml_summary_evaluation(const cJSON *evaluation, struct ml_strs *out)
{
    table(evaluation_shape, evaluation, out);
    add_found(ml_json_get(evaluation, "found_slices"), out);
}

/* "worse in class z: recall -0.05 (-0.09 to -0.02)" */
static void worse(
    const cJSON *change, const char *where, const char *part, const char *metric, const char *but, struct ml_strs *out)
{
    static const char *const keys[3] = { "delta", "low", "high" };
    char text[3][ML_NUMBER_LEN], *line;
    double x[3] = { NAN, NAN, NAN };
    for (size_t i = 0; i < 3; i++)
        ml_json_num(change, keys[i], &x[i]);
    for (size_t i = 0; i < 3; i++)
        ml_number_format(x[i], ml_number_decimals(x[1], x[2]), true, text[i]);
    line = ml_format("worse %s %s%s: %s %s (%s to %s)", where, part, but, metric, text[0], text[1], text[2]);
    ml_strs_add(out, line);
    free(line);
}

static void hidden(const cJSON *comparison, struct ml_strs *out)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, ml_json_get(comparison, "hidden"))
    {
        const char *slice = ml_json_str(one, "slice");
        worse(one, slice ? "where" : "in class", slice ? slice : ml_json_str(one, "class"), ml_json_str(one, "metric"),
            ", which the average hides", out);
    }
}

static bool is_hidden(const cJSON *comparison, const char *class)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, ml_json_get(comparison, "hidden"))
    {
        const char *there = ml_json_str(one, "class");
        if (there != NULL && strcmp(there, class) == 0)
            return true;
    }
    return false;
}

/* Which classes an average is worse by. */
static void classes(const cJSON *comparison, struct ml_strs *out)
{
    static const char *const metrics[] = { "recall", "precision" };
    const cJSON *class;
    size_t n = 0;
    cJSON_ArrayForEach(class, ml_json_get(comparison, "classes"))
    {
        for (size_t i = 0; i < 2; i++) {
            const cJSON *m = ml_json_get(class, metrics[i]);
            const char *verdict = ml_json_str(m, "verdict");
            if (verdict == NULL || strcmp(verdict, "worse") != 0 || is_hidden(comparison, class->string))
                continue;
            if (n++ < NAMED_CLASSES)
                worse(m, "in class", class->string, metrics[i], "", out);
        }
    }
    if (n > NAMED_CLASSES) {
        char *line = ml_format("and %zu more such differences of classes, which the card has", n - NAMED_CLASSES);
        ml_strs_add(out, line);
        free(line);
    }
}

/* "rmse: this difference depends on about 4 of 300 rows; its interval may be too narrow" */
static void cautions(const cJSON *comparison, struct ml_strs *out)
{
    const cJSON *m;
    cJSON_ArrayForEach(m, ml_json_get(comparison, "metrics"))
    {
        const char *caution = ml_json_str(m, "caution");
        char *line = caution != NULL ? ml_format("%s: %s", m->string, caution) : NULL;
        if (line != NULL)
            ml_strs_add(out, line);
        free(line);
    }
}

/* Whether a metric's test has no result, and the same reason as another one's, if that is given. */
static const char *untested(const cJSON *m, const char *test, const char *as)
{
    const cJSON *of = ml_json_get(ml_json_get(m, "extra"), test);
    const char *reason = ml_json_str(of, "reason");
    double p;
    if (of == NULL || reason == NULL || ml_json_num(of, "p", &p))
        return NULL;
    return as == NULL || strcmp(reason, as) == 0 ? reason : NULL;
}

static void add_untested(const cJSON *metrics, const char *test, struct ml_strs *out)
{
    const cJSON *m, *other;
    cJSON_ArrayForEach(m, metrics)
    {
        const char *reason = untested(m, test, NULL);
        size_t more = 0;
        bool told = reason == NULL;
        for (other = metrics->child; !told && other != m; other = other->next)
            told = untested(other, test, reason) != NULL;
        for (other = m->next; !told && other != NULL; other = other->next)
            more += untested(other, test, reason) != NULL;
        if (told)
            continue;
        char *others = more > 0 ? ml_format(" and %zu other metric%s", more, ML_PLURAL(more)) : ml_strdup("");
        char *line = ml_format("no %s of %s%s: %s", test, m->string, others, reason);
        ml_strs_add(out, line);
        free(line);
        free(others);
    }
}

void ml_summary_untested(const cJSON *comparison, struct ml_strs *out)
{
    const char *names[MAX_TESTS];
    size_t n = ml_summary_tests(comparison, names);
    for (size_t i = 0; i < n; i++)
        add_untested(ml_json_get(comparison, "metrics"), names[i], out);
}

const char *ml_summary_bias(const cJSON *comparison, double bias)
{
    bool several = ml_json_get(ml_json_get(comparison, "calibration"), "slope") == NULL;
    if (!(fabs(bias) > 0))
        return "";
    return bias > 0 ? several ? " (too sure)" : " (too high)" : several ? " (too modest)" : " (too low)";
}

/* "predicted less observed, on average: +0.005 (too high), now +0.011 (too high), a change of +0.006 (-0.003 to
 * +0.015)"
 */
static void calibration(const cJSON *comparison, struct ml_strs *out)
{
    static const char *const keys[] = { "current", "candidate", "delta", "low", "high" }, *const parts[][2] = {
        { "bias", "predicted less observed, on average" }, { "ece", "expected calibration error" }
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const cJSON *m = ml_json_get(ml_json_get(comparison, "calibration"), parts[i][0]);
        char text[5][ML_NUMBER_LEN];
        double x[5] = { NAN, NAN, NAN, NAN, NAN };
        for (size_t k = 0; k < 5; k++)
            ml_json_num(m, keys[k], &x[k]);
        if (isnan(x[2]))
            continue;
        for (size_t k = 0; k < 5; k++)
            ml_number_format(x[k], ml_number_decimals(x[3], x[4]), k > 1 || i == 0, text[k]);
        char *line = ml_format("%s: %s%s, now %s%s, a change of %s (%s to %s)", parts[i][1], text[0],
            i == 0 ? ml_summary_bias(comparison, x[0]) : "", text[1], i == 0 ? ml_summary_bias(comparison, x[1]) : "",
            text[2], text[3], text[4]);
        ml_strs_add(out, line);
        free(line);
    }
}

/* "1. b.csv 0.912, may be the best" */
static void ranking(const cJSON *comparison, struct ml_strs *out)
{
    const cJSON *one;
    const char *metric = ml_json_str(ml_json_get(comparison, "ranking"), "metric");
    cJSON_ArrayForEach(one, ml_json_get(comparison, "candidates"))
    {
        double rank = 0, value = NAN;
        ml_json_num(one, "rank", &rank);
        ml_json_num(one, "value", &value);
        char *line = ml_format("%.0f. %s: %s %s, %s", rank, ml_json_str(one, "reference"), metric ? metric : "",
            ML_PLAIN(value, 4), ml_json_true(one, "best") ? "may be the best" : "not the best");
        ml_strs_add(out, line);
        free(line);
    }
}

static void confirmation(const cJSON *comparison, struct ml_strs *out)
{
    const cJSON *confirm = ml_json_get(comparison, "confirm");
    const char *reason = ml_json_str(confirm, "reason");
    double rows = 0;
    if (confirm == NULL)
        return;
    ml_json_num(ml_json_get(confirm, "evaluation"), "rows", &rows);
    char *line = ml_format(
        "confirmation on %.0f other row%s%s%s", rows, ML_PLURAL(rows), reason ? ": " : "", reason ? reason : "");
    ml_strs_add(out, line);
    free(line);
    hidden(confirm, out);
    table(comparison_shape, confirm, out);
    cautions(confirm, out);
}

void ml_summary_comparison(const cJSON *comparison, struct ml_strs *out)
{
    static const char *const keys[][6] = { { "fixed", "broken", "row", "rows", "fixed", "broken" },
        { "nearer", "farther", "row", "rows", "nearer to the truth", "farther away" },
        { "improved", "worsened", "query", "queries", "ranked better", "worse" } };
    const cJSON *flips = ml_json_get(comparison, "flips");
    hidden(comparison, out);
    table(cJSON_IsNull(ml_json_get(comparison, "current")) ? mean_shape : comparison_shape, comparison, out);
    ml_summary_untested(comparison, out);
    cautions(comparison, out);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double good, bad;
        if (!ml_json_num(flips, keys[i][0], &good) || !ml_json_num(flips, keys[i][1], &bad))
            continue;
        char *line =
            ml_format("%.0f %s %s, %.0f %s", good, good == 1 ? keys[i][2] : keys[i][3], keys[i][4], bad, keys[i][5]);
        ml_strs_add(out, line);
        free(line);
    }
    classes(comparison, out);
    calibration(comparison, out);
    ranking(comparison, out);
    confirmation(comparison, out);
}
