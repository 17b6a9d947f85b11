/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment's parts about what an average doesn't tell: hidden regressions, classes, calibration, further candidates,
 * the confirmation. */
#include <math.h>
#include <string.h>

#include "data/number.h"
#include "model/comment_impl.h"
#include "model/markdown.h"
#include "model/summary.h"

enum { NAMED_HIDDEN = 3, MOST_CLASSES = 40, MOST_CANDIDATES = 40, MOST_TESTED = 40 };

static void change(struct ml_buf *out, const cJSON *m)
{
    char number[3][ML_NUMBER_LEN];
    double delta = NAN, low = NAN, high = NAN;
    ml_json_num(m, "delta", &delta);
    ml_json_num(m, "low", &low);
    ml_json_num(m, "high", &high);
    int d = ml_number_decimals(low, high);
    ml_buf_addf(out, "%s (%s … %s)", ml_number_format(delta, d, true, number[0]),
        ml_number_format(low, d, true, number[1]), ml_number_format(high, d, true, number[2]));
}

void comment_hidden(struct ml_buf *out, const cJSON *comparison)
{
    const cJSON *one;
    size_t n = 0;
    cJSON_ArrayForEach(one, ml_json_get(comparison, "hidden"))
    {
        const char *slice = ml_json_str(one, "slice");
        if (++n > NAMED_HIDDEN)
            continue;
        ml_buf_adds(out, n == 1 ? " ⚠️ **Worse where the average hides it**: " : "; ");
        ml_md_code(out, ml_json_str(one, "metric"));
        ml_buf_adds(out, slice ? " where " : " of class ");
        ml_md_code(out, slice ? slice : ml_json_str(one, "class"));
        ml_buf_addc(out, ' ');
        change(out, one);
    }
    if (n > NAMED_HIDDEN)
        ml_buf_addf(out, "; and %zu more", n - NAMED_HIDDEN);
    if (n)
        ml_buf_addc(out, '.');
}

static void number(struct ml_buf *out, const cJSON *o, const char *key)
{
    double x;
    if (ml_json_num(o, key, &x))
        ml_buf_adds(out, ML_PLAIN(x, 4));
    else
        ml_buf_adds(out, "–");
}

void comment_classes(struct ml_buf *out, const cJSON *comparison)
{
    const cJSON *classes = ml_json_get(comparison, "classes"), *k;
    size_t n = 0;
    if (cJSON_GetArraySize(classes) < 1)
        return;
    ml_buf_addf(out,
        "<details><summary>%d classes</summary>\n\n| class | rows | fixed | broken | recall | now | difference | "
        "verdict "
        "| precision | now |\n|---|---:|---:|---:|---:|---:|---:|---|---:|---:|\n",
        cJSON_GetArraySize(classes));
    cJSON_ArrayForEach(k, classes)
    {
        const cJSON *recall = ml_json_get(k, "recall"), *precision = ml_json_get(k, "precision");
        if (++n > MOST_CLASSES)
            continue;
        ml_buf_adds(out, "| ");
        ml_md_code(out, k->string);
        const char *const counts[] = { "rows", "fixed", "broken" };
        for (size_t i = 0; i < 3; i++) {
            ml_buf_adds(out, " | ");
            number(out, k, counts[i]);
        }
        ml_buf_adds(out, " | ");
        comment_value(out, recall, "current", recall);
        ml_buf_adds(out, " | ");
        comment_value(out, recall, "candidate", recall);
        ml_buf_adds(out, " | ");
        comment_difference(out, recall);
        ml_buf_adds(out, " | ");
        comment_verdict(out, recall, false);
        ml_buf_adds(out, " | ");
        comment_value(out, precision, "current", recall);
        ml_buf_adds(out, " | ");
        comment_value(out, precision, "candidate", recall);
        if (ml_json_str(precision, "verdict")) {
            ml_buf_adds(out, ", ");
            comment_verdict(out, precision, false);
        }
        ml_buf_adds(out, " |\n");
    }
    if (n > MOST_CLASSES)
        ml_buf_addf(out, "\nAnd %zu more classes: the card has them all.\n", n - MOST_CLASSES);
    ml_buf_adds(out, "\n</details>\n\n");
}

/* "+0.005 (too high) before, +0.011 (too high) now: +0.006 (-0.003 … +0.015)"; without `of` no sign and no word. */
static void shift(struct ml_buf *out, const cJSON *m, const cJSON *of)
{
    static const char *const keys[2][2] = { { "current", " before, " }, { "candidate", " now: " } };
    char text[ML_NUMBER_LEN];
    double low = NAN, high = NAN, x;
    ml_json_num(m, "low", &low);
    ml_json_num(m, "high", &high);
    for (size_t i = 0; i < 2; i++) {
        x = NAN;
        ml_json_num(m, keys[i][0], &x);
        ml_buf_addf(out, "%s%s%s", ml_number_format(x, ml_number_decimals(low, high), of != NULL, text),
            of ? ml_summary_bias(of, x) : "", keys[i][1]);
    }
    change(out, m);
    ml_buf_adds(out, ".");
}

void comment_calibration(struct ml_buf *out, const cJSON *comparison)
{
    const cJSON *of = ml_json_get(comparison, "calibration"), *bias = ml_json_get(of, "bias"),
                *ece = ml_json_get(of, "ece");
    double x;
    if (!ml_json_num(bias, "delta", &x))
        return;
    ml_buf_adds(out, "**Calibration** What was predicted, less what came true, on average: ");
    shift(out, bias, comparison);
    if (ml_json_num(ece, "delta", &x)) {
        ml_buf_adds(out, " Expected calibration error: ");
        shift(out, ece, NULL);
    }
    ml_buf_adds(out, "\n\n");
}

/* "0.012 (+0.003 … +0.015)" */
static void test_cell(struct ml_buf *out, const cJSON *test)
{
    char text[2][ML_NUMBER_LEN];
    double p, low, high;
    if (!ml_json_num(test, "p", &p)) {
        ml_buf_adds(out, "–");
        return;
    }
    ml_buf_addf(out, "%.2g", p);
    if (ml_json_num(test, "low", &low) && ml_json_num(test, "high", &high))
        ml_buf_addf(out, " (%s … %s)", ml_number_format(low, ml_number_decimals(low, high), true, text[0]),
            ml_number_format(high, ml_number_decimals(low, high), true, text[1]));
}

void comment_tests(struct ml_buf *out, const cJSON *comparison)
{
    const char *names[4];
    size_t n = ml_summary_tests(comparison, names), rows = 0;
    struct ml_strs lines = { 0 };
    const cJSON *m, *extra;
    if (n == 0)
        return;
    ml_buf_adds(out, "<details><summary>p of tests on request</summary>\n\n| metric |");
    for (size_t i = 0; i < n; i++)
        ml_buf_addf(out, " %s |", names[i]);
    ml_buf_adds(out, "\n|---|");
    for (size_t i = 0; i < n; i++)
        ml_buf_adds(out, "---:|");
    cJSON_ArrayForEach(m, ml_json_get(comparison, "metrics"))
    {
        if ((extra = ml_json_get(m, "extra")) == NULL || ++rows > MOST_TESTED)
            continue;
        ml_buf_adds(out, "\n| ");
        ml_md_code(out, m->string);
        for (size_t i = 0; i < n; i++) {
            ml_buf_adds(out, " | ");
            test_cell(out, ml_json_get(extra, names[i]));
        }
        ml_buf_adds(out, " |");
    }
    ml_buf_adds(out, "\n\n");
    if (rows > MOST_TESTED)
        ml_buf_addf(out, "And %zu more metrics: the card has them all.\n\n", rows - MOST_TESTED);
    ml_summary_untested(comparison, &lines);
    for (size_t i = 0; i < lines.n && i < MOST_TESTED; i++) {
        ml_buf_adds(out, "- ");
        ml_md_code(out, lines.v[i]);
        ml_buf_addc(out, '\n');
    }
    ml_buf_addf(out, "%s</details>\n\n", lines.n > 0 ? "\n" : "");
    ml_strs_release(&lines);
}

void comment_candidates(struct ml_buf *out, const cJSON *comparison)
{
    const cJSON *ranking = ml_json_get(comparison, "ranking"), *one;
    const char *metric = ml_json_str(ranking, "metric");
    size_t n = 0;
    if (!metric)
        return;
    ml_buf_adds(out, "**Candidates** by ");
    ml_md_code(out, metric);
    ml_buf_adds(out,
        "; this comment is about the first that was named.\n\n| rank | candidate | value | may be the best "
        "| against the current model |\n|---:|---|---:|---|---|\n");
    cJSON_ArrayForEach(one, ml_json_get(comparison, "candidates"))
    {
        const cJSON *m = ml_json_get(ml_json_get(one, "metrics"), metric);
        if (++n > MOST_CANDIDATES)
            continue;
        ml_buf_adds(out, "| ");
        number(out, one, "rank");
        ml_buf_adds(out, " | ");
        ml_md_code(out, ml_json_str(one, "reference"));
        ml_buf_adds(out, ml_json_true(one, "first") ? " (the first)" : "");
        ml_buf_adds(out, " | ");
        comment_value(out, one, "value", m);
        ml_buf_adds(out, ml_json_true(one, "best") ? " | yes | " : " | no | ");
        if (m)
            comment_verdict(out, m, false);
        else
            ml_buf_adds(out, "–");
        ml_buf_adds(out, " |\n");
    }
    ml_buf_addc(out, '\n');
}

void comment_confirm(struct ml_buf *out, const cJSON *comparison, const char *name)
{
    const cJSON *confirm = ml_json_get(comparison, "confirm");
    const cJSON *m = name ? ml_json_get(ml_json_get(confirm, "metrics"), name) : NULL;
    const char *reason = ml_json_str(confirm, "reason");
    double rows;
    if (!confirm)
        return;
    ml_buf_adds(out, "**Confirmation** on rows that no merge request has seen");
    if (ml_json_num(ml_json_get(confirm, "evaluation"), "rows", &rows))
        ml_buf_addf(out, " (%.0f)", rows);
    ml_buf_adds(out, ": ");
    if (m) {
        ml_md_code(out, name);
        ml_buf_addc(out, ' ');
        comment_difference(out, m);
        ml_buf_adds(out, ", ");
        comment_verdict(out, m, true);
    } else {
        ml_md_code(out, reason ? reason : "nothing was compared");
    }
    ml_buf_adds(out, ".\n\n");
}
