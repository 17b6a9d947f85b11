/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What predictions are about: the task, what is measured, and each row's class. */
#include "model/subject.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/subject_classes.h"
#include "model/subject_impl.h"
#include "model/subject_numbers.h"

/* One call of ml_subject_settle. */
struct settling {
    struct ml_subject *s;
    const struct ml_columns *c;
    const struct ml_predictions *const *p;
    size_t n;
    struct ml_predictions *const *last; /* the same ones, whose columns may be taken, or NULL */
    struct classes labels, all;
    char *added; /* name of a class that no row has */
    struct ml_err *err;
};

static bool all_numbers(const struct settling *st)
{
    bool numbers = true;
    double x;
    for (size_t i = 0; i < st->n; i++) {
        const struct ml_predictions *p = st->p[i];
        numbers = numbers && !p->label.text && (p->prediction.n == 0 || !p->prediction.text);
        for (size_t k = 0; k < p->score_names.n; k++)
            numbers = numbers && ml_column_number(p->score_names.v[k], strlen(p->score_names.v[k]), &x);
    }
    return numbers;
}

static int collect_classes(struct settling *st)
{
    st->labels.text = st->all.text = !all_numbers(st);
    st->labels.number_labels = st->all.number_labels = true;
    for (size_t i = 0; i < st->n; i++)
        if (st->p[i]->label.text)
            st->labels.number_labels = st->all.number_labels = false;
    for (size_t i = 0; i < st->n; i++) {
        const struct ml_predictions *p = st->p[i];
        if (st->all.text && (p->label.dense != NULL || p->prediction.dense != NULL))
            return ml_err_set(st->err, ML_LOCAL,
                "'%s': %s are more than %zu different numbers, but other classes are texts; are these the right "
                "columns?",
                p->name, p->label.dense != NULL ? "the labels" : "the predictions", ML_COLUMN_DISTINCT);
        classes_add_column(&st->labels, &p->label);
        classes_add_column(&st->all, &p->label);
        classes_add_column(&st->all, &p->prediction);
        for (size_t k = 0; k < p->score_names.n; k++) {
            const char *name = p->score_names.v[k];
            double x = 0;
            if (st->all.text)
                classes_add_text(&st->all, name);
            else if (ml_column_number(name, strlen(name), &x))
                classes_add_number(&st->all, x);
        }
        classes_sort(&st->all);
    }
    return 0;
}

/* A predicted class that no label has is worth a note only, but when all are like that the columns don't belong
 * together. */
static int check_predictions(struct settling *st)
{
    for (size_t i = 0; i < st->n; i++) {
        const struct ml_column *c = &st->p[i]->prediction;
        char buf[32];
        bool any = c->n == 0;
        if (c->dense != NULL && !st->labels.text)
            for (size_t r = 0; !any && r < c->n; r++)
                any = classes_find_number(&st->labels, c->dense[r]) >= 0;
        for (size_t k = 0; c->dense == NULL && !any && k < c->dict.n; k++)
            any = classes_find(&st->labels, ml_intern_text(&c->dict, (uint32_t)k)) >= 0;
        if (!any)
            return ml_err_set(st->err, ML_LOCAL,
                "'%s': no prediction is among the labels (a prediction: '%s', a label: '%s')", st->p[i]->name,
                c->dense != NULL ? "a number" : ml_intern_text(&c->dict, 0), classes_name(&st->labels, 0, buf));
    }
    return 0;
}

static bool has_prediction(const struct settling *st)
{
    for (size_t i = 0; i < st->n; i++)
        if (st->p[i]->prediction.n == 0)
            return false;
    return true;
}

/* Whether a predicted number is neither a label nor whole: then it is hardly a class. */
static bool stray_numbers(const struct settling *st)
{
    for (size_t i = 0; !st->all.text && i < st->all.n; i++)
        if (st->all.number[i] != floor(st->all.number[i]) && classes_find_number(&st->labels, st->all.number[i]) < 0)
            return true;
    return false;
}

/* Whether every label is a list, as JSON and Python write it: sets, most likely. */
static bool all_lists(const struct settling *st)
{
    for (size_t i = 0; i < st->labels.n; i++) {
        char buf[32];
        const char *s = classes_name(&st->labels, i, buf);
        size_t n = strlen(s);
        if (n < 2 || s[0] != '[' || s[n - 1] != ']')
            return false;
    }
    return st->labels.n > 0;
}

/* Where the rarest text of a column first stood, that is no number where others are. */
static uint64_t rarest(const struct ml_column *c, const char **text)
{
    size_t *rows = ml_calloc(c->dict.n + 1, sizeof *rows), best = 0;
    for (size_t i = 0; i < c->n; i++)
        rows[c->code[i]]++;
    for (size_t k = 1; k < c->dict.n; k++)
        if (rows[k] < rows[best] || (rows[k] == rows[best] && isnan(c->value[k]) && !isnan(c->value[best])))
            best = k;
    free(rows);
    *text = ml_intern_text(&c->dict, (uint32_t)best);
    return c->line[best];
}

/* There are more than two classes, maybe for one row that is wrong: names one of them, and its line. */
static int too_many(const struct settling *st, const char *what, const char *remedy)
{
    const struct ml_predictions *p = st->p[0];
    const struct ml_column *c = p->label.dict.n > 2 ? &p->label : &p->prediction;
    struct ml_buf which = ML_BUF_INIT;
    const char *text;
    uint64_t line;
    if (c->code != NULL && c->dict.n > 2) {
        line = rarest(c, &text);
        ml_buf_addf(&which, "; the rarest is '%.100s', first on line %llu of '%s'", text, ml_table_line_in(line),
            ml_predictions_file(p, line));
    }
    ml_err_set(st->err, ML_USAGE, "'%s': %s, but the labels%s hold %zu classes%s%s", p->name, what,
        has_prediction(st) ? " and predictions" : "", st->all.n, ml_buf_str(&which), remedy);
    ml_buf_release(&which);
    return -1;
}

static int decide_task(struct settling *st)
{
    const struct ml_columns *c = st->c;
    const char *task = c->task != NULL ? c->task : "auto";
    struct ml_subject *s = st->s;
    bool by_class = false, one_score = false, asked = false;
    for (size_t i = 0; i < st->n; i++) {
        by_class = by_class || st->p[i]->score_names.n > 0;
        one_score = one_score || (st->p[i]->score != NULL && st->p[i]->score_names.n == 0);
        asked = asked || (st->p[i]->score_asked && st->p[i]->score != NULL);
    }
    bool sets = st->p[0]->sets;
    if (strcmp(task, "binary") != 0 && strcmp(task, "multiclass") != 0 && strcmp(task, "regression") != 0 &&
        strcmp(task, "multilabel") != 0 && strcmp(task, "probabilistic") != 0 && strcmp(task, "ranking") != 0 &&
        strcmp(task, "auto") != 0)
        return ml_err_set(st->err, ML_USAGE,
            "--task '%s': auto, binary, multiclass, multilabel, probabilistic, regression or ranking", task);
    s->probabilistic = strcmp(task, "probabilistic") == 0;
    if (sets && strcmp(task, "multilabel") != 0 && strcmp(task, "auto") != 0)
        return ml_err_set(st->err, ML_USAGE, "--labels and --predictions are for --task multilabel");
    if (sets && (c->positive != NULL || asked))
        return ml_err_set(st->err, ML_USAGE, "%s is for two classes, not for --task multilabel",
            c->positive != NULL ? "--positive" : "--score");
    s->task = ML_TASK_MULTILABEL;
    if (sets)
        return 0;
    s->task = strcmp(task, "ranking") == 0 ? ML_TASK_RANKING : ML_TASK_REGRESSION;
    if (s->task == ML_TASK_RANKING && c->group == NULL)
        return ml_err_set(
            st->err, ML_USAGE, "--task ranking needs --group: the column that says which query a row is of");
    if (strcmp(task, "regression") == 0 || s->task == ML_TASK_RANKING)
        return 0;
    if (collect_classes(st) < 0)
        return -1;
    if (strcmp(task, "auto") == 0 && all_lists(st))
        return ml_err_set(st->err, ML_USAGE,
            "'%s': the labels are lists: say --task multilabel, or --task multiclass if each list is a class",
            st->p[0]->name);
    if (strcmp(task, "auto") == 0 && !by_class && st->labels.n <= 2 && stray_numbers(st))
        return ml_err_set(st->err, ML_USAGE,
            "'%s': the predictions are numbers between the labels: if they are scores say --score, else --task "
            "regression",
            st->p[0]->name);
    if (strcmp(task, "auto") == 0 && !st->labels.text && st->labels.n > 2 && !by_class)
        return ml_err_set(st->err, ML_USAGE,
            "'%s': the labels are numbers with more than two values: say --task multiclass or --task regression%s",
            st->p[0]->name, c->group != NULL ? " or --task ranking" : ", or --task ranking with --group");
    const char *positive = c->positive != NULL ? c->positive : classes_positive(&st->all);
    bool binary = st->all.n <= 2 && positive != NULL;
    bool two = strcmp(task, "binary") == 0 || s->probabilistic;
    if (strcmp(task, "multiclass") == 0 && c->positive != NULL)
        return ml_err_set(st->err, ML_USAGE, "--positive is for two classes, not for --task multiclass");
    if ((c->positive != NULL || two) && st->all.n > 2)
        return too_many(st,
            c->positive != NULL ? "--positive is for two classes"
            : s->probabilistic  ? "--task probabilistic is for two classes"
                                : "--task binary is for two classes",
            "");
    if (two && !binary)
        return ml_err_set(st->err, ML_USAGE, "'%s': which class is positive? say it with --positive", st->p[0]->name);
    s->task = binary && strcmp(task, "multiclass") != 0 ? ML_TASK_BINARY : ML_TASK_MULTICLASS;
    if (s->task == ML_TASK_MULTICLASS && !by_class && one_score && (asked || !has_prediction(st)))
        return st->all.n > 2
                   ? too_many(st, "one score is for two classes", "; if that is right give all scores with --scores")
                   : ml_err_set(st->err, ML_USAGE,
                         "'%s': a score is of one class: say which with --positive, or give all with --scores",
                         st->p[0]->name);
    return 0;
}

/* Two classes need two names, also where the rows show one or none of them. */
static int add_missing_class(struct settling *st, const char *positive)
{
    struct classes *k = &st->all;
    double x = 0;
    char buf[32];
    if (classes_find(k, positive) >= 0) {
        if (k->n > 1)
            return 0;
        if (k->text)
            classes_add_name(
                k, st->added = strcmp(positive, "true") == 0 ? ml_strdup("false") : ml_format("not %s", positive));
        else
            classes_add_number(k, k->number[0] == 0);
    } else if (k->n > 1) {
        char other[32];
        return ml_err_set(st->err, ML_USAGE, "--positive '%s' is none of the classes; they are '%s'%s'%s'%s", positive,
            classes_name(k, 0, buf), k->n > 2 ? ", " : " and ", classes_name(k, 1, other),
            k->n > 2 ? " and so on" : "");
    } else if (k->text) {
        classes_add_text(k, positive);
    } else if (ml_column_number(positive, strlen(positive), &x)) {
        classes_add_number(k, x);
    } else {
        return ml_err_set(st->err, ML_USAGE, "--positive '%s': the classes are numbers", positive);
    }
    classes_sort(k);
    return 0;
}

static int number_classes(struct settling *st)
{
    struct ml_subject *s = st->s;
    const char *positive = st->c->positive != NULL ? st->c->positive : classes_positive(&st->all);
    char buf[32];
    if (s->task == ML_TASK_BINARY) {
        if (add_missing_class(st, positive) < 0)
            return -1;
        s->positive = classes_find(&st->all, positive);
    }
    for (size_t i = 0; i < st->all.n; i++)
        ml_strs_add(&s->classes, classes_name(&st->all, i, buf));
    return 0;
}

/* The scores of --scores in the order of the classes: all of them, or of the positive one. */
static int order_scores(struct settling *st, const struct ml_predictions *p, struct ml_answers *a)
{
    size_t k = st->all.n, columns = p->score_names.n, n = p->n;
    const char *begin = p->scores_begin != NULL ? p->scores_begin : "";
    int32_t *from = ml_malloc((k + 1) * sizeof *from);
    int rc = 0;
    for (size_t i = 0; i < k; i++)
        from[i] = -1;
    for (size_t i = 0; i < columns; i++) {
        int32_t at = classes_find(&st->all, p->score_names.v[i]);
        if (at >= 0 && from[at] >= 0)
            rc = ml_err_set(st->err, ML_LOCAL, "'%s': the columns '%s%s' and '%s%s' are of the same class", p->name,
                begin, p->score_names.v[from[at]], begin, p->score_names.v[i]);
        if (at >= 0)
            from[at] = (int32_t)i;
    }
    bool binary = st->s->task == ML_TASK_BINARY;
    size_t first = binary ? (size_t)st->s->positive : 0, count = binary ? 1 : k;
    for (size_t i = first; rc == 0 && i < first + count; i++)
        if (from[i] < 0)
            rc = ml_subject_no_scores(p, st->c, st->s->classes.v[i], st->err);
    if (rc == 0) {
        a->score = ml_malloc((n * count + 1) * sizeof *a->score);
        for (size_t r = 0; r < n; r++)
            for (size_t i = 0; i < count; i++)
                a->score[r * count + i] = p->score[r * columns + (size_t)from[first + i]];
        a->s.score = a->score;
    }
    free(from);
    return rc;
}

static void predict_largest(struct settling *st, const struct ml_predictions *p, struct ml_answers *a)
{
    size_t k = st->all.n;
    a->pred = ml_malloc((p->n + 1) * sizeof *a->pred);
    for (size_t i = 0; i < p->n; i++) {
        const double *row = a->s.score + i * k;
        size_t best = 0;
        for (size_t j = 1; j < k; j++)
            if (row[j] > row[best])
                best = j;
        a->pred[i] = (int32_t)best;
    }
}

/* The current model's file may lack weights; what describes the rows is the candidate's. */
static const double *weights_for(const struct settling *st, const struct ml_predictions *p)
{
    const struct ml_predictions *last = st->p[st->n - 1];
    return last->n == p->n ? last->weight : p->weight;
}

static int answer_classes(struct settling *st, size_t which, struct ml_answers *a)
{
    const struct ml_predictions *p = st->p[which];
    struct ml_predictions *last = st->last != NULL ? st->last[which] : NULL;
    bool binary = st->s->task == ML_TASK_BINARY;
    a->label = last != NULL ? classes_take(&st->all, &last->label) : classes_map(&st->all, &p->label);
    a->s.classes = (int32_t)st->all.n;
    a->s.positive = st->s->positive;
    a->s.label = a->label;
    if (p->score_names.n > 0) {
        if (order_scores(st, p, a) < 0)
            return -1;
    } else if (binary) {
        a->s.score = p->score;
    } else {
        a->score_ignored = p->score != NULL;
    }
    if (p->prediction.n > 0) {
        a->pred = last != NULL ? classes_take(&st->all, &last->prediction) : classes_map(&st->all, &p->prediction);
    } else if (!binary) {
        predict_largest(st, p, a);
    } else if (st->s->probabilistic) {
        if (ml_probability_check(p, &a->s, st->err) < 0)
            return -1;
    } else if (ml_threshold_apply(st->s, st->c->threshold != NULL, p, weights_for(st, p), a, st->err) < 0) {
        return -1;
    }
    a->s.pred = a->pred;
    return 0;
}

static bool in_list(const struct ml_subject *s, const struct ml_metric *m)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i] == m)
            return true;
    return false;
}

static void add_metric(struct settling *st, const struct ml_metric *m)
{
    struct ml_subject *s = st->s;
    if (m != NULL && !in_list(s, m) && (m->id != ML_METRIC_COST || st->c->cost != NULL))
        s->metrics[s->n_metrics++] = m;
}

/* The metrics of the task that others name, in their order, then those that are common or asked for. */
static int find_metrics(struct settling *st)
{
    const struct ml_strs *asked = &st->c->metrics, *offered = &st->c->offered;
    struct ml_subject *s = st->s;
    bool all = ml_strs_has(asked, "all");
    s->metrics = ml_malloc((ml_metric_count() + asked->n + offered->n) * sizeof(struct ml_metric *));
    for (size_t i = 0; i < offered->n; i++)
        add_metric(st, ml_metric_of(offered->v[i], s->task));
    for (size_t i = 0; i < ml_metric_count(); i++) {
        const struct ml_metric *m = ml_metric_at(i);
        bool named = ml_strs_has(asked, m->name);
        if (m->id == ML_METRIC_TOP_K && !named && m->x >= (double)st->all.n)
            continue; /* it has no value */
        bool usual = m->common || m->id == ML_METRIC_COST || (s->probabilistic && m->id == ML_METRIC_ECE);
        if ((m->tasks & (int)s->task) && !isnan(m->x) && (usual || named || all))
            add_metric(st, m);
    }
    for (size_t i = 0; i < asked->n; i++) {
        const struct ml_metric *m = ml_metric_of(asked->v[i], s->task);
        if (strcmp(asked->v[i], "all") == 0)
            continue;
        if (m != NULL && m->id == ML_METRIC_COST && st->c->cost == NULL)
            return ml_err_set(st->err, ML_USAGE, "--metric cost needs --cost");
        if (m == NULL)
            return ml_subject_no_metric(s, "--metric", asked->v[i], st->err);
        add_metric(st, m);
    }
    return 0;
}

static int settle(struct settling *st, struct ml_answers *const *out)
{
    struct ml_subject *s = st->s;
    const struct ml_columns *c = st->c;
    const struct ml_predictions *const *p = st->p;
    struct ml_err *err = st->err;
    s->positive = -1;
    int rc = ml_threshold_read(s, c->threshold, err);
    if (rc == 0)
        rc = decide_task(st);
    if (rc == 0)
        rc = find_metrics(st);
    bool numbers = s->task == ML_TASK_REGRESSION || s->task == ML_TASK_RANKING;
    if (rc == 0 && c->cost != NULL && (s->probabilistic || !(s->task & (ML_TASK_BINARY | ML_TASK_MULTICLASS))))
        rc = ml_err_set(err, ML_USAGE, "--cost is for --task binary and multiclass");
    if (rc == 0 && s->task == ML_TASK_MULTILABEL)
        rc = ml_subject_settle_sets(s, c, p, st->n, out, err);
    else if (rc == 0 && !numbers)
        rc = check_predictions(st) < 0 ? -1 : number_classes(st);
    if (rc == 0 && c->cost != NULL)
        rc = ml_subject_settle_costs(s, c->cost, err);
    for (size_t i = 0; rc == 0 && i < st->n; i++) {
        out[i]->s.task = s->task;
        out[i]->s.costs = s->costs;
        out[i]->s.n = p[i]->n;
        out[i]->s.weight = p[i]->weight;
        out[i]->s.group = p[i]->group.of;
        out[i]->s.groups = (uint32_t)p[i]->group.names.n;
        if (s->task != ML_TASK_MULTILABEL)
            rc = numbers ? ml_answer_numbers(out[i], p[i], c, err) : answer_classes(st, i, out[i]);
    }
    classes_release(&st->labels);
    classes_release(&st->all);
    free(st->added);
    return rc;
}

int ml_subject_settle_all(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err)
{
    struct settling st = { .s = s, .c = c, .p = p, .n = n, .err = err };
    return settle(&st, out);
}

int ml_subject_settle_last(struct ml_subject *s, const struct ml_columns *c, struct ml_predictions *const *p, size_t n,
    struct ml_answers *const *out, struct ml_err *err)
{
    struct settling st = {
        .s = s, .c = c, .p = (const struct ml_predictions *const *)p, .n = n, .last = p, .err = err
    };
    return settle(&st, out);
}

int ml_subject_settle(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *a,
    const struct ml_predictions *b, struct ml_answers *out_a, struct ml_answers *out_b, struct ml_err *err)
{
    const struct ml_predictions *p[2] = { a, b };
    struct ml_answers *out[2] = { out_a, out_b };
    return ml_subject_settle_all(s, c, p, b != NULL ? 2 : 1, out, err);
}

void ml_subject_release(struct ml_subject *s)
{
    ml_strs_release(&s->classes);
    if (s->costs != NULL)
        free(s->costs->cell);
    free(s->costs);
    free(s->metrics);
    *s = (struct ml_subject){ 0 };
}

void ml_answers_release(struct ml_answers *a)
{
    free(a->label);
    free(a->pred);
    free(a->labels);
    free(a->preds);
    free(a->score);
    free(a->truth);
    free(a->estimate);
    *a = (struct ml_answers){ 0 };
}
