/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comment: the answer in its first line, then what it stands on. Every text of the card goes through ml_md_code. */
#include "model/comment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/number.h"
#include "model/comment_impl.h"
#include "model/gate.h"
#include "model/markdown.h"
#include "model/summary.h"
#include "stats/metric.h"

#define NAMED_RULES   3 /* rules that the first line names */
#define NAMED_METRICS 8 /* metrics that few rows decide */

static void release(struct comment_sections *s)
{
    cJSON *all[] = { s->model, s->run, s->evaluation, s->comparison, s->gate, s->image, s->publication, s->smoke };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        cJSON_Delete(all[i]);
}

static int load(const struct ml_card *card, struct comment_sections *s, struct ml_err *err)
{
    struct {
        const char *name;
        cJSON **to;
    } all[] = { { "model", &s->model }, { "run", &s->run }, { "evaluation", &s->evaluation },
        { "comparison", &s->comparison }, { "gate", &s->gate }, { "image", &s->image },
        { "publication", &s->publication }, { "smoke", &s->smoke } };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        *all[i].to = ml_card_get(card, all[i].name, err);
        if (!*all[i].to && err->code)
            return -1;
    }
    s->compared = cJSON_IsObject(ml_json_get(s->comparison, "current"));
    return 0;
}

/* The metric that the answer speaks of: the first one that the gate holds, else the first primary one, else the first.
 * NULL: none. */
static const char *headline_metric(const struct comment_sections *s)
{
    const cJSON *from = s->compared ? s->comparison : s->evaluation, *rule, *metric;
    const cJSON *metrics = ml_json_get(from, "metrics");
    cJSON_ArrayForEach(rule, ml_json_get(s->gate, "rules"))
    {
        const char *name = ml_json_str(rule, "metric");
        if (name && !ml_json_get(rule, "slice") && ml_json_get(metrics, name))
            return name;
    }
    cJSON_ArrayForEach(metric, metrics)
    {
        const char *family = ml_json_str(metric, "family");
        if (metric->string && family && !strcmp(family, "primary"))
            return metric->string;
    }
    return metrics && metrics->child ? metrics->child->string : NULL;
}

/* ": `accuracy` +0.024, better", or the value where there was nothing to compare with. */
static void headline(struct ml_buf *out, const struct comment_sections *s)
{
    const char *name = headline_metric(s);
    const cJSON *compared = name ? ml_json_get(ml_json_get(s->comparison, "metrics"), name) : NULL;
    const cJSON *value = name ? ml_json_get(ml_json_get(s->evaluation, "metrics"), name) : NULL;
    double x;
    if (s->compared && ml_json_true(s->comparison, "identical")) {
        ml_buf_adds(out, ": it predicts exactly what the current model does");
    } else if (s->compared && ml_json_num(compared, "delta", &x)) {
        ml_buf_adds(out, ": ");
        ml_md_code(out, name);
        ml_buf_addc(out, ' ');
        comment_difference(out, compared);
        ml_buf_adds(out, ", ");
        comment_verdict(out, compared, false);
    } else if (ml_json_num(value, "value", &x)) {
        ml_buf_adds(out, s->comparison ? ": no current model yet; " : ": ");
        ml_md_code(out, name);
        ml_buf_addc(out, ' ');
        comment_value(out, value, "value", value);
    }
}

static void failing_rules(struct ml_buf *out, const cJSON *gate)
{
    const cJSON *rule;
    size_t n = 0;
    cJSON_ArrayForEach(rule, ml_json_get(gate, "rules"))
    {
        const cJSON *waiver = ml_json_get(rule, "waiver");
        if (strcmp(ml_gate_verdict(rule), "failed") != 0)
            continue;
        if (++n > NAMED_RULES)
            continue;
        ml_buf_adds(out, n == 1 ? ": " : "; ");
        ml_md_code(out, ml_json_str(rule, "rule"));
        ml_buf_adds(out, " (");
        ml_md_code(out, ml_json_str(rule, "reason"));
        if (waiver) {
            ml_buf_adds(out, ", its waiver ended on ");
            ml_md_code(out, ml_json_str(waiver, "until"));
        }
        ml_buf_addc(out, ')');
    }
    if (n > NAMED_RULES)
        ml_buf_addf(out, "; and %zu more", n - NAMED_RULES);
}

/* What makes the answer worth less than it looks: another policy, other rows. */
static void changed(struct ml_buf *out, const cJSON *gate)
{
    bool policy = ml_json_true(gate, "policy_changed"), data = ml_json_true(gate, "data_changed");
    if (policy || data)
        ml_buf_addf(out, " ⚠️ **%s changed**: not what the current model was judged by.",
            policy && data ? "Policy and held-out data were"
            : policy       ? "The policy was"
                           : "The held-out data were");
}

static void answer(struct ml_buf *out, const struct comment_sections *s, const char *name)
{
    if (s->gate && ml_json_true(s->gate, "passed")) {
        ml_buf_adds(out, "✅ **The gate passed** for ");
        ml_md_code(out, name);
        headline(out, s);
    } else if (s->gate) {
        ml_buf_adds(out, "❌ **The gate failed** for ");
        ml_md_code(out, name);
        failing_rules(out, s->gate);
    } else {
        ml_buf_addf(out, "ℹ️ **%s** ",
            s->comparison   ? "Compared, not gated:"
            : s->evaluation ? "Evaluated, not gated:"
                            : "Not evaluated:");
        ml_md_code(out, name);
        headline(out, s);
    }
    ml_buf_addc(out, '.');
    comment_hidden(out, s->comparison);
    size_t warned = ml_gate_count(s->gate, "warned");
    if (warned)
        ml_buf_addf(out, " ⚠️ %zu warning%s.", warned, ML_PLURAL(warned));
    size_t waived = ml_gate_count(s->gate, "waived");
    if (waived)
        ml_buf_addf(out, " ⚠️ %zu rule%s waived.", waived, waived == 1 ? " is" : "s are");
    changed(out, s->gate);
    ml_buf_adds(out, "\n\n");
}

/* "720 rows of 60 queries. ": intervals count the latter. */
static void count_rows(struct ml_buf *out, const struct comment_sections *s)
{
    double rows, groups;
    if (!ml_json_num(s->comparison, "rows", &rows))
        return;
    ml_buf_addf(out, "%.0f row%s", rows, ML_PLURAL(rows));
    if (ml_json_num(s->evaluation, "groups", &groups))
        ml_buf_addf(out, " of %.0f %s", groups, ml_json_get(s->evaluation, "queries") ? "queries" : "groups");
    ml_buf_addf(
        out, "%s. ", cJSON_IsFalse(ml_json_get(s->comparison, "paired")) ? ", not the same ones on both sides" : "");
}

/* "Few rows decide `rmse` (about 4), `r2` (about 5): their intervals may be too narrow. " */
static void few_rows(struct ml_buf *out, const struct comment_sections *s)
{
    const cJSON *m;
    const char *units = ml_json_get(s->evaluation, "queries")  ? "queries"
                        : ml_json_get(s->comparison, "groups") ? "groups"
                                                               : "rows";
    double effective;
    size_t n = 0;
    cJSON_ArrayForEach(m, ml_json_get(s->comparison, "metrics"))
    {
        if (!ml_json_str(m, "caution") || !ml_json_num(m, "effective", &effective) || ++n > NAMED_METRICS)
            continue;
        if (n == 1)
            ml_buf_addf(out, "Few %s decide ", units);
        else
            ml_buf_adds(out, ", ");
        ml_md_code(out, m->string);
        ml_buf_addf(out, " (about %.0f)", effective);
    }
    if (n > NAMED_METRICS)
        ml_buf_addf(out, " and %zu more", n - NAMED_METRICS);
    if (n)
        ml_buf_adds(out, n == 1 ? ": its interval may be too narrow. " : ": their intervals may be too narrow. ");
}

static void runs(struct ml_buf *out, const cJSON *comparison)
{
    const cJSON *of = ml_json_get(comparison, "runs");
    int current = cJSON_GetArraySize(ml_json_get(of, "current"));
    int candidate = cJSON_GetArraySize(ml_json_get(of, "candidate"));
    bool two = (current == 2 || candidate == 2) && !ml_json_true(comparison, "identical");
    if (of && current == 0)
        ml_buf_addf(out,
            "The values are those of the first of %d runs with different seeds; limits are held against the mean over "
            "the runs%s.\n\n",
            candidate, two ? "; " ML_TWO_RUNS : "");
    else if (of)
        ml_buf_addf(out,
            "Means over runs with different seeds, %d of the current model and %d of the candidate; changed rows and "
            "calibration are those of the first%s. ",
            current, candidate, two ? "; " ML_TWO_RUNS : "");
}

/* How large a difference the rows, and runs, could show; of identical models it is 0. */
static void can_show(struct ml_buf *out, const char *name, const cJSON *metric)
{
    const struct ml_metric *known = name ? ml_metric_find(name) : NULL;
    double detectable, family;

    if (!ml_json_num(metric, "detectable", &detectable) || detectable <= 0)
        return;
    if (known && detectable > known->high - known->low)
        ml_buf_adds(out, "They can show no difference, however large, in ");
    else
        ml_buf_addf(out, "They can show a difference of %s in ", ML_PLAIN(detectable, 2));
    ml_md_code(out, name);
    ml_buf_adds(out, " (80 % power");
    if (ml_json_num(metric, "family_size", &family) && family > 1)
        ml_buf_addf(out, ", after correction for %.0f", family);
    ml_buf_adds(out, "). ");
}

/* What the rows can show at all, and how often they have been looked at. */
static void fine_print(struct ml_buf *out, const struct comment_sections *s)
{
    const char *reason = ml_json_str(s->comparison, "reason");
    if (reason) {
        ml_buf_adds(out, "About the comparison: ");
        ml_md_code(out, reason);
        ml_buf_adds(out, "\n\n");
    }
    const char *tuned = ml_json_str(s->evaluation, "threshold_tuned");
    if (tuned) {
        ml_buf_adds(out, "The threshold was chosen on these rows (");
        ml_md_code(out, tuned);
        ml_buf_adds(out, "), which flatters; the intervals allow for it.\n\n");
    }
    if (!s->compared) {
        runs(out, s->comparison);
        return;
    }
    const char *name = headline_metric(s);
    const cJSON *metric = name ? ml_json_get(ml_json_get(s->comparison, "metrics"), name) : NULL;
    const cJSON *reuse = ml_json_get(s->comparison, "reuse");
    double alpha, look, seen, optimism;
    size_t start = out->len;
    count_rows(out, s);
    can_show(out, name, metric);
    few_rows(out, s);
    runs(out, s->comparison);
    if (ml_json_num(s->comparison, "look", &look) && ml_json_num(s->comparison, "alpha", &alpha) && look >= 1)
        ml_buf_addf(out, "Look %.0f at them in this merge request, so alpha is %.2g. ", look, alpha);
    if (ml_json_num(reuse, "seen", &seen) && ml_json_num(reuse, "optimism", &optimism) && seen > 1)
        ml_buf_addf(out,
            "Used %.0f times: the best of as many changes that change nothing would look up to %s better in 19 of 20 "
            "cases. ",
            seen, ML_PLAIN(optimism, 2));
    if (out->len > start) {
        out->data[--out->len] = 0; /* the last sentence's blank */
        ml_buf_adds(out, "\n\n");
    }
}

/* The first picture stands open. What can't be shown is linked, and what can't be linked is named. */
static void pictures(struct ml_buf *out, const struct ml_comment_place *place)
{
    const struct ml_comment_picture *v = place->pictures;
    size_t shown = 0, linked = 0, n = place->n_pictures;
    for (size_t i = 0; i < n; i++)
        shown += v[i].shown;
    for (size_t i = 0, k = 0; i < n; i++) {
        if (!v[i].shown)
            continue;
        if (++k == 2)
            ml_buf_addf(out, "<details><summary>%zu other picture%s</summary>\n\n", shown - 1, ML_PLURAL(shown - 1));
        ml_buf_addf(out, "![%s](%s)\n\n", v[i].alt, v[i].url);
    }
    if (shown > 1)
        ml_buf_adds(out, "</details>\n\n");
    for (size_t i = 0; i < n; i++) {
        struct ml_buf link = ML_BUF_INIT;
        if (v[i].shown)
            continue;
        if (!ml_md_link(&link, v[i].title, v[i].url, NULL))
            ml_md_code(&link, v[i].path);
        ml_buf_addf(out, "%s%s", linked++ ? " · " : "**Pictures** ", ml_buf_str(&link));
        ml_buf_release(&link);
    }
    if (linked)
        ml_buf_adds(out, "\n\n");
}

static void product(struct ml_buf *out, const struct comment_sections *s)
{
    const char *digest = ml_json_str(s->publication, "digest"), *reference = ml_json_str(s->publication, "reference");
    if (!digest) {
        digest = ml_json_str(s->image, "digest");
        reference = NULL;
    }
    if (digest) {
        ml_buf_adds(out, "**Image** ");
        ml_md_code(out, reference ? reference : digest);
        ml_buf_adds(out, "\n\n");
    }
    double cases, passed, p99;
    if (ml_json_num(s->smoke, "cases", &cases) && ml_json_num(s->smoke, "passed", &passed)) {
        ml_buf_addf(out, "**Smoke test** %.0f of %.0f cases passed", passed, cases);
        if (ml_json_num(ml_json_get(s->smoke, "latency"), "p99", &p99))
            ml_buf_addf(out, ", 99th percentile %.3g ms", p99 * 1000);
        ml_buf_adds(out, "\n\n");
    }
}

static void links(struct ml_buf *out, const struct comment_sections *s, const struct ml_comment_place *place)
{
    const cJSON *ci = ml_json_get(s->run, "ci");
    size_t start = out->len;
    bool job = place->server_url && ml_md_link(out, "job", ml_json_str(ci, "job"), place->server_url);
    if (!job)
        job = ml_md_link(out, "job", place->job_url, NULL);
    struct ml_buf pipeline = ML_BUF_INIT;
    if (ml_md_link(&pipeline, "pipeline", place->pipeline_url, NULL) ||
        (place->server_url && ml_md_link(&pipeline, "pipeline", ml_json_str(ci, "pipeline"), place->server_url)))
        ml_buf_addf(out, "%s%s", job ? " · " : "", ml_buf_str(&pipeline));
    ml_buf_release(&pipeline);
    const char *commit = ml_json_str(ml_json_get(s->run, "code"), "commit");
    if (commit && strlen(commit) >= 8 && strspn(commit, "0123456789abcdef") == strlen(commit)) {
        char *brief = ml_strndup(commit, 8);
        ml_buf_adds(out, out->len > start ? " · commit " : "commit ");
        ml_md_code(out, brief);
        free(brief);
    }
    if (out->len > start)
        ml_buf_adds(out, "\n\n");
}

int ml_comment_render(const struct ml_card *card, const struct ml_comment_place *place, struct ml_marker *marker,
    struct ml_buf *out, struct ml_err *err)
{
    struct comment_sections s = { 0 };
    int rc = card ? load(card, &s, err) : 0;
    if (rc)
        goto out;
    if (card) {
        answer(out, &s, place->name);
        comment_metrics(out, &s);
        comment_tests(out, s.comparison);
        pictures(out, place);
        fine_print(out, &s);
        comment_confirm(out, s.comparison, headline_metric(&s));
        comment_candidates(out, s.comparison);
        comment_slices(out, &s);
        comment_classes(out, s.comparison);
        comment_calibration(out, s.comparison);
        comment_gate(out, s.gate);
        comment_flips(out, ml_json_get(s.comparison, "flips"));
        product(out, &s);
    } else {
        ml_buf_adds(out, "❌ **No result** for ");
        ml_md_code(out, place->name);
        ml_buf_adds(out, ": a job before this one failed, so there is nothing to compare and nothing passed the gate. "
                         "Its log says why.\n\n");
    }
    links(out, &s, place);
    int64_t look;
    const char *data = ml_json_str(s.evaluation, "data");
    if (ml_json_int(s.comparison, "look", &look) && look > 0)
        marker->look = look;
    if (data && strlen(data) < sizeof(marker->data))
        memcpy(marker->data, data, strlen(data) + 1);
out:
    release(&s);
    return rc;
}
