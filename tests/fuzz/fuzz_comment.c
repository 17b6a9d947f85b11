/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate, the comment and its pictures over any card: nothing crashes, the gate never passes a metric that isn't
 * there, and outside of code spans the Markdown holds nothing that GitLab would act on. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/card.h"
#include "model/comment.h"
#include "model/gate.h"
#include "model/picture.h"
#include "model/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] =
    "min_rows: 5\nmax_unmatched: 1%\nmax_reuse: 3\ncurrent: required\n"
    "metrics:\n  accuracy: { min: 0.6, max: { limit: 0.99, on: bound }, must: not_regress, margin: 0.01, max_drop: 2% "
    "}\n"
    "  log_loss: { must: improve, max_drop: { limit: 0.1, on: bound, level: warn } }\n  nowhere: { min: 0 }\n"
    "slices:\n  accents=no: { min_rows: 3, accuracy: { min: 0.5, must: { be: not_regress, when: { branch: 'm*' } } } "
    "}\n"
    "card:\n  smoke.latency.p99: { max: 50ms, missing: ignore, waiver: { until: 2026-12-31, reason: 'a | `b` @c' } }\n"
    "  evaluation.metrics.accuracy.value: { min: 1, when: { environment: x }, waiver: { until: 2026-01-01, reason: d } "
    "}\n";

/* The end of a code span that starts here, or NULL when its run of backticks is never closed on the line. */
static const char *span_end(const char *p, const char *end)
{
    size_t n = strspn(p, "`");
    for (p += n; p < end;) {
        size_t k = strspn(p, "`");
        if (k == n)
            return p + k;
        p += k ? k : 1;
    }
    return NULL;
}

/* The only HTML, and none of it the card's: "<details><summary>3 other metrics</summary>" and its end. */
static bool is_fold(const char *p, const char *end)
{
    static const char open[] = "<details><summary>";
    const char *close = "</details>";

    if (!strncmp(p, open, sizeof open - 1)) {
        p += sizeof open - 1;
        p += strspn(p, "0123456789");
        close = strncmp(p, " other metrics", 14) ? " other metric</summary>" : " other metrics</summary>";
    }
    return (size_t)(end - p) == strlen(close) && !strncmp(p, close, strlen(close));
}

static void check_line(const char *p, const char *end)
{
    if (is_fold(p, end))
        return;
    if (p < end && strchr("/#>-~ \t", *p))
        abort();
    while (p < end) {
        if (*p == '`') {
            p = span_end(p, end);
            if (!p)
                abort();
            continue;
        }
        if (strchr("@#~$&<>[]!\\^", *p) || (*p == '%' && p + 1 < end && p[1] != ' ') || (unsigned char)*p < 0x20)
            abort();
        p++;
    }
}

static void check_markdown(const char *text)
{
    while (*text) {
        const char *end = strchr(text, '\n');
        if (!end)
            end = text + strlen(text);
        check_line(text, end);
        text = *end ? end + 1 : end;
    }
}

static void check_gate(const cJSON *gate)
{
    const cJSON *rule;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const char *name = ml_json_str(rule, "rule");
        const cJSON *passed = ml_json_get(rule, "passed");
        if (!strcmp(name, "nowhere.min") && ml_json_true(gate, "passed") &&
            !cJSON_IsNumber(ml_json_get(rule, "observed")))
            abort();
        if (!cJSON_IsTrue(passed) && !ml_json_str(rule, "reason"))
            abort();
    }
}

/* Nothing in a picture but what we draw: of the card only text, in which there is no markup. */
static void check_svg(const char *text)
{
    static const char *const known[] = { "svg ", "/svg>", "title ", "/title>", "desc ", "/desc>", "style>", "/style>",
        "rect ", "line ", "text ", "/text>", "circle ", "polygon ", "polyline " };
    for (const char *p = text; (p = strchr(p, '<')); p++) {
        bool is = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is = is || !strncmp(p + 1, known[i], strlen(known[i]));
        if (!is)
            abort();
    }
    if (strstr(text, "=\"nan\"") || strstr(text, "=\"inf\"") || strstr(text, "=\"-nan\"") || strstr(text, "=\"-inf\""))
        abort();
}

static void draw(const cJSON *evaluation, const cJSON *comparison)
{
    for (int kind = 0; kind < ML_PICTURES; kind++) {
        struct ml_picture picture;
        if (!ml_picture_draw(kind, evaluation, comparison, &picture))
            continue;
        check_svg(ml_buf_str(&picture.svg));
        check_markdown(ml_buf_str(&picture.alt));
        ml_picture_release(&picture);
    }
}

static void run(struct ml_card *card, const struct ml_policy *policy)
{
    struct ml_err err = ML_ERR_INIT;
    struct ml_comment_place place = { .name = "n" };
    struct ml_marker marker = { 0 };
    struct ml_buf text = ML_BUF_INIT;
    cJSON *evaluation = ml_card_get(card, "evaluation", &err), *comparison = ml_card_get(card, "comparison", &err),
          *gate = NULL;
    if (!ml_comment_render(card, &place, &marker, &text, &err))
        check_markdown(ml_buf_str(&text));
    ml_buf_reset(&text);
    draw(evaluation, comparison);
    struct ml_gate_input in = { .evaluation = evaluation,
        .comparison = comparison,
        .card = ml_buf_str(&card->text),
        .card_len = card->text.len,
        .branch = "main",
        .today = "2026-11-22" };
    if (!ml_gate_judge(policy, &in, &gate, &err)) {
        check_gate(gate);
        ml_gate_junit(gate, "m", &text);
        ml_buf_reset(&text);
        ml_gate_code_quality(gate, "m", "p.yml", &text);
        if (ml_json_check(ml_buf_str(&text), text.len, "code quality", &err))
            abort();
        cJSON_Delete(ml_gate_power(gate, evaluation, comparison));
        ml_buf_reset(&text);
        ml_gate_openmetrics(gate, evaluation, comparison, "m", &text);
        ml_card_set(card, "gate", gate);
        ml_buf_reset(&text);
        if (!ml_comment_render(card, &place, &marker, &text, &err))
            check_markdown(ml_buf_str(&text));
    }
    cJSON_Delete(evaluation);
    cJSON_Delete(comparison);
    ml_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_card card = { ML_BUF_INIT };
    struct ml_policy policy = ML_POLICY_INIT;
    struct ml_err err = ML_ERR_INIT;
    if (ml_policy_parse(&policy, policy_text, sizeof(policy_text) - 1, "p.yml", &err))
        abort();
    if (!ml_card_parse(&card, (const char *)data, size, "card", &err))
        run(&card, &policy);
    ml_card_release(&card);
    ml_policy_release(&policy);
    return 0;
}
