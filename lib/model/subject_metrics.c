/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said of what isn't there: a --metric with the name that was meant or the parameter that is missing, scores.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/subject_impl.h"

/* Names that scikit-learn's functions and others use, where more than "mean_", "_score" and "_loss" differs. */
static const char *const others[][2] = {
    { "auc", "roc_auc" },
    { "d2", "d2_absolute_error" },
    { "kappa", "cohen_kappa" },
    { "mad", "median_ae" },
    { "matthews_corrcoef", "mcc" },
    { "mean_absolute_error", "mae" },
    { "mean_absolute_percentage_error", "mape" },
    { "mean_squared_error", "mse" },
    { "mean_squared_log_error", "msle" },
    { "median_absolute_error", "median_ae" },
    { "label_ranking_average_precision_score", "lrap" },
    { "root_mean_squared_error", "rmse" },
    { "root_mean_squared_log_error", "rmsle" },
    { "sensitivity", "recall" },
    { "symmetric_mean_absolute_percentage_error", "smape" },
    { "tpr", "recall" },
    { "tnr", "specificity" },
    { "top_k_accuracy", "top_5_accuracy" },
    { "top_k_accuracy_score", "top_5_accuracy" },
    { "zero_one_loss", "hamming_loss" },
};

static const char *example(enum ml_parameter kind)
{
    switch (kind) {
    case ML_PARAMETER_REAL:
        return "2";
    case ML_PARAMETER_LEVEL:
        return "0.9";
    case ML_PARAMETER_TOP:
        return "10%";
    case ML_PARAMETER_POWER:
        return "1.5";
    case ML_PARAMETER_COUNT:
    case ML_PARAMETER_NONE:
        break;
    }
    return "10";
}

/* The n bytes of s without what scikit-learn's functions put around the name of a metric. */
static const char *bare(const char *s, size_t *n)
{
    static const char *const tails[] = { "_loss", "_score" };

    if (*n > 5 && strncmp(s, "mean_", 5) == 0) {
        s += 5;
        *n -= 5;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t k = strlen(tails[i]);
        if (*n > k && strncmp(s + *n - k, tails[i], k) == 0)
            *n -= k;
    }
    return s;
}

static bool alike(const char *a, size_t n, const char *b)
{
    size_t m = strlen(b);
    const char *x = bare(a, &n), *y = bare(b, &m);
    return n == m && strncmp(x, y, n) == 0;
}

/* Up to two letters are wrong, and fewer than one in three. */
static const struct ml_metric *mistyped(const char *name, int tasks)
{
    const struct ml_metric *best = NULL;
    size_t far = 3;

    for (size_t i = 0; i < ml_metric_count(); i++) {
        const struct ml_metric *m = ml_metric_at(i);
        size_t d = ml_text_distance(name, m->name);
        if (d < far && 3 * d < strlen(name) && (m->tasks & tasks)) {
            best = m;
            far = d;
        }
    }
    return best;
}

/* The metric that a name seems to mean, in one of these tasks if it has one; NULL when it resembles none. */
static const struct ml_metric *meant(const char *name, int tasks)
{
    if (strncmp(name, "neg_", 4) == 0) /* its scorers, of which more is better */
        name += 4;
    size_t n = strcspn(name, "@");
    const struct ml_metric *best = NULL;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i][0]) == n && strncmp(name, others[i][0], n) == 0)
            return ml_metric_find(others[i][1]);
    for (size_t i = 0; i < ml_metric_count(); i++) {
        const struct ml_metric *m = ml_metric_at(i);
        if (alike(name, n, m->name) && (name[n] != '@' || m->parameter != ML_PARAMETER_NONE) &&
            (!best || (m->tasks & tasks)))
            best = m;
    }
    return best ? best : mistyped(name, tasks);
}

char *ml_subject_meant(const char *name)
{
    const struct ml_metric *m = meant(name, ~0);
    if (m == NULL)
        return NULL;
    return m->parameter == ML_PARAMETER_NONE ? ml_strdup(m->name) : ml_format("%s@%s", m->name, example(m->parameter));
}

static int other_task(const struct ml_subject *s, const char *asker, const char *name, struct ml_err *err)
{
    static const struct {
        enum ml_task task;
        const char *name;
    } tasks[] = { { ML_TASK_BINARY, "binary" }, { ML_TASK_MULTICLASS, "multiclass" },
        { ML_TASK_MULTILABEL, "multilabel" }, { ML_TASK_REGRESSION, "regression" }, { ML_TASK_RANKING, "ranking" } };
    const struct ml_metric *m = ml_metric_find(name);
    char here[96];
    struct ml_buf of;
    snprintf(here, sizeof here, "%.*s_macro%s", (int)strcspn(name, "@"), name, name + strcspn(name, "@"));
    if (ml_metric_of(here, s->task) != NULL)
        return ml_err_set(err, ML_USAGE, "%s '%s' is for another task (--task); here it is '%s'", asker, name, here);
    ml_buf_init(&of, 90);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (m->tasks & (int)tasks[i].task)
            ml_buf_addf(&of, "%s%s", of.len ? ", " : "", tasks[i].name);
    ml_err_set(err, ML_USAGE, "%s '%s' is for another task (--task %s)", asker, name, ml_buf_str(&of));
    ml_buf_release(&of);
    return -1;
}

int ml_subject_no_metric(const struct ml_subject *s, const char *asker, const char *name, struct ml_err *err)
{
    const struct ml_metric *m = meant(name, (int)s->task);

    if (ml_metric_find(name) != NULL)
        return other_task(s, asker, name, err);
    if (m != NULL && m->parameter != ML_PARAMETER_NONE && (isnan(m->x) || strchr(name, '@') != NULL))
        return ml_err_set(err, ML_USAGE, "%s '%s': no such metric; its parameter is missing or can't be: '%s@%s'",
            asker, name, m->name, example(m->parameter));
    if (m != NULL)
        return ml_err_set(err, ML_USAGE, "%s '%s': no such metric; it is called '%s' here", asker, name, m->name);
    return ml_err_set(err, ML_USAGE, "%s '%s': no such metric; ml-eval(1) lists them", asker, name);
}

/* Classes that are called 0, 1 and so on, as the columns of arrays and lists are. */
static bool numbered(const struct ml_strs *names)
{
    char number[24];
    bool all = true;

    for (size_t i = 0; all && i < names->n; i++) {
        snprintf(number, sizeof number, "%zu", i);
        all = strcmp(names->v[i], number) == 0;
    }
    return all;
}

int ml_subject_no_scores(
    const struct ml_predictions *p, const struct ml_columns *c, const char *class, struct ml_err *err)
{
    const struct ml_strs *names = &p->score_names;
    const char *begin = p->scores_begin;
    struct ml_buf has;

    if (p->scores_by_number)
        return ml_err_set(err, ML_LOCAL,
            "'%s': --scores %s: these columns are of the classes '%s'%s, none of '%s'; by number %s", p->name,
            c->scores, names->v[0], names->n > 1 ? " and so on" : "", class,
            c->no_header ? "and without a header classes are 0, 1 and so on, and labels have to be as well"
                         : "a column has to be called what its class is, else --scores says what their names begin "
                           "with");
    if (numbered(names))
        return ml_err_set(err, ML_LOCAL,
            "'%s': '%s0' and so on don't say of which class they are, and labels such as '%.100s' need that: call the "
            "columns '%s<class>' (in JSON Lines write an object, {\"%.100s\": 0.7, ...}; in NPZ an array 'classes', "
            "scikit-learn's classes_, beside '%s')",
            p->name, begin, class, begin, class, c->scores);
    ml_buf_init(&has, 200);
    for (size_t i = 0; i < names->n; i++)
        ml_buf_addf(&has, "%s'%s%s'", i > 0 ? ", " : "", begin, names->v[i]);
    ml_err_set(err, ML_LOCAL, "'%s': no column '%s%s' with the scores of that class; there are %s%s", p->name, begin,
        class, ml_buf_str(&has), has.full ? "…" : "");
    ml_buf_release(&has);
    return -1;
}
