/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ml-eval: what was asked for and isn't done, and what seems to be meant otherwise. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "eval.h"

/* A score that nothing is measured by would be missed only where somebody looks for the AUC. */
void eval_say_unused(
    const struct cfg *cfg, const struct ml_predictions *p, const struct ml_subject *s, const struct ml_answers *a)
{
    bool classes = s->task & (ML_TASK_BINARY | ML_TASK_MULTICLASS);
    if (p->files_alike)
        ml_tool_warn(&cfg->common,
            "%zu files are measured as one table, and their labels are the same, row by row; where these are the "
            "answers of several models, ml-compare --current '%.200s' --candidate '%.200s' compares them",
            p->files.n, p->files.v[0], p->files.v[1]);
    if (p->scores_unused != NULL)
        ml_tool_say(&cfg->common, ML_SCORES_UNUSED, p->scores_unused, p->scores_unused);
    else if (a->score_ignored && s->task == ML_TASK_MULTICLASS && s->classes.n == 2)
        ml_tool_say(&cfg->common,
            "the column 'score' isn't used: --positive says whether it is of '%.80s' or of '%.80s'", s->classes.v[0],
            s->classes.v[1]);
    else if (a->score_ignored)
        ml_tool_say(&cfg->common, "the column 'score' isn't used: several classes have one score each (--scores)");
    if (cfg->cols.threshold != NULL && !s->thresholded)
        ml_tool_say(&cfg->common, "--threshold plays no part: %s",
            classes ? "a column says what was predicted" : "it makes classes of scores, and the task has none");
    if (cfg->curves && !classes) /* a template asks for them whatever the task */
        ml_tool_detail(&cfg->common, "--curves plays no part: they are of classes with scores");
}

/* Where a rule stands in the file; 0: nowhere. */
static unsigned line_of(const struct ml_metric_rule *m)
{
    const unsigned lines[] = { m->min.terms.line, m->max.terms.line, m->max_drop.terms.line, m->must_terms.line };
    unsigned first = 0;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i] > 0 && (first == 0 || lines[i] < first))
            first = lines[i];
    return first;
}

static void warn_needs(
    const struct cfg *cfg, const char *asker, const char *name, const struct ml_metric *m, const cJSON *evaluation)
{
    ml_tool_warn(&cfg->common, "%s '%s' needs %s; the task is %s, and the card lacks it", asker, name,
        m->id == ML_METRIC_COST  ? "--cost"
        : m->need & ML_NEED_PRED ? "predictions, and there are none"
                                 : "scores, and there are none",
        ml_json_str(evaluation, "task"));
}

/* What was asked for and isn't measured. Rules about it fail every such card; a metric that isn't one of ours, but
 * whose direction is said, comes from elsewhere. */
static void doubt_metrics(const struct cfg *cfg, const struct ml_subject *s, const cJSON *evaluation)
{
    struct ml_strs told = { 0 };
    for (size_t i = 0; i < cfg->rules.n; i++) {
        const struct ml_metric_rule *rule = &cfg->rules.rules[i];
        const struct ml_metric *m = ml_metric_of(rule->metric, s->task);
        struct ml_err why = ML_ERR_INIT;
        if (ml_json_get(ml_json_get(evaluation, "metrics"), rule->metric) != NULL || ml_strs_has(&told, rule->metric) ||
            (rule->direction != 0 && ml_metric_find(rule->metric) == NULL))
            continue;
        char *place = ml_format("%s: line %u:", cfg->rules.name, line_of(rule));
        if (m == NULL) {
            ml_subject_no_metric(s, place, rule->metric, &why);
            ml_tool_warn(
                &cfg->common, "%s; the task is %s, and the card lacks it", why.msg, ml_json_str(evaluation, "task"));
        } else {
            warn_needs(cfg, place, rule->metric, m, evaluation);
        }
        ml_strs_add(&told, rule->metric);
        free(place);
    }
    for (size_t i = 0; i < cfg->cols.metrics.n; i++) {
        const char *name = cfg->cols.metrics.v[i];
        const struct ml_metric *m = ml_metric_of(name, s->task);
        if (m != NULL && !ml_strs_has(&told, name) && ml_json_get(ml_json_get(evaluation, "metrics"), m->name) == NULL)
            warn_needs(cfg, "--metric", name, m, evaluation);
    }
    ml_strs_release(&told);
}

/* The same of slices. */
static void doubt_slices(const struct cfg *cfg, const cJSON *evaluation)
{
    for (size_t i = 0; i < cfg->cols.named.n; i++)
        if (ml_json_get(ml_json_get(evaluation, "slices"), cfg->cols.named.v[i]) == NULL)
            ml_tool_warn(&cfg->common, "%s: no row is in the slice '%.200s', and the card lacks it", cfg->rules.name,
                cfg->cols.named.v[i]);
}

/* Scores that tell the classes apart, but the wrong way round, are most likely the other class's. */
static void doubt_positive(const struct cfg *cfg, const struct ml_subject *s, const cJSON *evaluation)
{
    const cJSON *auc = ml_json_get(ml_json_get(evaluation, "metrics"), "roc_auc");
    double value, high;
    if (s->task == ML_TASK_BINARY && ml_json_num(auc, "value", &value) && ml_json_num(auc, "high", &high) && high < 0.5)
        ml_tool_warn(&cfg->common, "roc_auc is %.2g: are the scores those of '%.80s'? (then --positive %.80s)", value,
            s->classes.v[1 - s->positive], s->classes.v[1 - s->positive]);
}

/* One column of 0 and 1, and another of no and yes, are four classes for who doesn't know better. */
static void doubt_classes(const struct cfg *cfg, const struct ml_subject *s)
{
    const char *number = NULL, *text = NULL;
    double x;
    for (size_t i = 0; i < s->classes.n; i++)
        *(ml_column_number(s->classes.v[i], strlen(s->classes.v[i]), &x) ? &number : &text) = s->classes.v[i];
    if (cfg->cols.task == NULL && s->task == ML_TASK_MULTICLASS && number != NULL && text != NULL)
        ml_tool_warn(&cfg->common,
            "of the %zu classes some are numbers ('%.80s'), others words ('%.80s'); if that is right say --task "
            "multiclass",
            s->classes.n, number, text);
}

void eval_doubt(const struct cfg *cfg, const struct ml_subject *s, const cJSON *evaluation)
{
    doubt_metrics(cfg, s, evaluation);
    doubt_slices(cfg, evaluation);
    doubt_positive(cfg, s, evaluation);
    doubt_classes(cfg, s);
}
