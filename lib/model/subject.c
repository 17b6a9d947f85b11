/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What predictions are about: the task, the classes in their order, and each row's class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/predictions.h"
#include "model/subject_impl.h"
#include "model/subject_numbers.h"

/* Classes while they are collected from all columns: numbers in order, or texts in byte order. Starts zeroed. */
struct classes {
    bool text;
    bool number_labels;     /* labels are numbers: a text that is one too is written as they are, 1.0 as 1 */
    struct ml_strs written; /* such texts */
    double *number;
    const char **name;
    size_t n, cap;
};

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_number(struct classes *k, double x)
{
    k->number = ml_grow(k->number, &k->cap, k->n + 1, sizeof *k->number);
    k->number[k->n++] = x;
}

static void add_name(struct classes *k, const char *s)
{
    k->name = ml_grow(k->name, &k->cap, k->n + 1, sizeof *k->name);
    k->name[k->n++] = s;
}

static void sort_classes(struct classes *k)
{
    size_t kept = 0;
    if (k->n == 0)
        return;
    if (k->text)
        qsort(k->name, k->n, sizeof *k->name, by_name);
    else
        qsort(k->number, k->n, sizeof *k->number, by_number);
    for (size_t i = 1; i < k->n; i++) {
        if (k->text ? strcmp(k->name[i], k->name[kept]) == 0 : k->number[i] == k->number[kept])
            continue;
        kept++;
        if (k->text)
            k->name[kept] = k->name[i];
        else
            k->number[kept] = k->number[i];
    }
    k->n = kept + 1;
}

/* The name of the class that a text stands for: the text, a word, or in `buf`. */
static const char *text_name(const struct classes *k, const char *s, char buf[32])
{
    struct ml_cell cell = ml_column_canonical((struct ml_cell){ s, strlen(s) });
    double x;
    if (!k->number_labels || !ml_column_number(cell.s, cell.len, &x))
        return cell.s;
    buf[ml_double_format(x, buf)] = '\0';
    return buf;
}

static void add_text(struct classes *k, const char *s)
{
    char buf[32];
    const char *name = text_name(k, s, buf);
    if (name == buf) {
        ml_strs_add(&k->written, buf);
        name = k->written.v[k->written.n - 1];
    }
    add_name(k, name);
}

static void add_column(struct classes *k, const struct ml_column *c)
{
    for (size_t i = 0; c->dense == NULL && i < c->dict.n; i++) {
        if (k->text)
            add_text(k, ml_intern_text(&c->dict, (uint32_t)i));
        else
            add_number(k, c->value[i]);
    }
    for (size_t i = 0; c->dense != NULL && i < c->n; i++)
        add_number(k, c->dense[i]);
    sort_classes(k);
}

static int32_t find_number(const struct classes *k, double x)
{
    const double *at = bsearch(&x, k->number, k->n, sizeof *k->number, by_number);
    return at != NULL ? (int32_t)(at - k->number) : -1;
}

/* The class that a text names, or -1. */
static int32_t find_class(const struct classes *k, const char *s)
{
    double x;
    char buf[32];
    if (k->n == 0)
        return -1;
    if (!k->text)
        return ml_column_number(s, strlen(s), &x) ? find_number(k, x) : -1;
    const char *name = text_name(k, s, buf), **at = bsearch(&name, k->name, k->n, sizeof *k->name, by_name);
    return at != NULL ? (int32_t)(at - k->name) : -1;
}

/* Each row's class. */
static int32_t *map_column(const struct classes *k, const struct ml_column *c)
{
    int32_t *out = ml_malloc((c->n + 1) * sizeof *out);
    if (c->dense != NULL) {
        for (size_t i = 0; i < c->n; i++)
            out[i] = find_number(k, c->dense[i]);
        return out;
    }
    int32_t *map = ml_malloc((c->dict.n + 1) * sizeof *map);
    for (size_t i = 0; i < c->dict.n; i++)
        map[i] = k->text ? find_class(k, ml_intern_text(&c->dict, (uint32_t)i)) : find_number(k, c->value[i]);
    for (size_t i = 0; i < c->n; i++)
        out[i] = map[c->code[i]];
    free(map);
    return out;
}

/* One call of ml_subject_settle. */
struct settling {
    struct ml_subject *s;
    const struct ml_columns *c;
    const struct ml_predictions *const *p;
    size_t n;
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
        add_column(&st->labels, &p->label);
        add_column(&st->all, &p->label);
        add_column(&st->all, &p->prediction);
        for (size_t k = 0; k < p->score_names.n; k++) {
            const char *name = p->score_names.v[k];
            double x = 0;
            if (st->all.text)
                add_text(&st->all, name);
            else if (ml_column_number(name, strlen(name), &x))
                add_number(&st->all, x);
        }
        sort_classes(&st->all);
    }
    return 0;
}

static const char *class_name(const struct classes *k, size_t i, char buf[32])
{
    if (k->text)
        return k->name[i];
    buf[ml_double_format(k->number[i], buf)] = '\0';
    return buf;
}

/* Whether all classes are among a and b. */
static bool among(const struct classes *k, const char *a, const char *b)
{
    char buf[32];
    for (size_t i = 0; i < k->n; i++) {
        const char *s = class_name(k, i, buf);
        if (strcmp(s, a) != 0 && strcmp(s, b) != 0)
            return false;
    }
    return true;
}

/* The positive class where nobody says which; NULL when there is none. */
static const char *usual_positive(const struct classes *k)
{
    return among(k, "0", "1") || among(k, "-1", "1") ? "1" : among(k, "false", "true") ? "true" : NULL;
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
                any = find_number(&st->labels, c->dense[r]) >= 0;
        for (size_t k = 0; c->dense == NULL && !any && k < c->dict.n; k++)
            any = find_class(&st->labels, ml_intern_text(&c->dict, (uint32_t)k)) >= 0;
        if (!any)
            return ml_err_set(st->err, ML_LOCAL,
                "'%s': no prediction is among the labels (a prediction: '%s', a label: '%s')", st->p[i]->name,
                c->dense != NULL ? "a number" : ml_intern_text(&c->dict, 0), class_name(&st->labels, 0, buf));
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
        if (st->all.number[i] != floor(st->all.number[i]) && find_number(&st->labels, st->all.number[i]) < 0)
            return true;
    return false;
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
    if (strcmp(task, "auto") == 0 && !by_class && st->labels.n <= 2 && stray_numbers(st))
        return ml_err_set(st->err, ML_USAGE,
            "'%s': the predictions are numbers between the labels: if they are scores say --score, else --task "
            "regression",
            st->p[0]->name);
    if (strcmp(task, "auto") == 0 && !st->labels.text && st->labels.n > 2 && !by_class)
        return ml_err_set(st->err, ML_USAGE,
            "'%s': the labels are numbers with more than two values: say --task multiclass or --task regression%s",
            st->p[0]->name, c->group != NULL ? " or --task ranking" : ", or --task ranking with --group");
    const char *positive = c->positive != NULL ? c->positive : usual_positive(&st->all);
    bool binary = st->all.n <= 2 && positive != NULL;
    bool two = strcmp(task, "binary") == 0 || s->probabilistic;
    if (strcmp(task, "multiclass") == 0 && c->positive != NULL)
        return ml_err_set(st->err, ML_USAGE, "--positive is for two classes, not for --task multiclass");
    if ((c->positive != NULL || two) && st->all.n > 2)
        return ml_err_set(st->err, ML_USAGE, "'%s': %s%s, but the labels and predictions hold %zu classes",
            st->p[0]->name, c->positive != NULL ? "--positive is for two classes" : "--task ",
            c->positive != NULL ? "" : task, st->all.n);
    if (two && !binary)
        return ml_err_set(st->err, ML_USAGE, "'%s': which class is positive? say it with --positive", st->p[0]->name);
    s->task = binary && strcmp(task, "multiclass") != 0 ? ML_TASK_BINARY : ML_TASK_MULTICLASS;
    if (s->task == ML_TASK_MULTICLASS && !by_class && one_score && (asked || !has_prediction(st)))
        return ml_err_set(st->err, ML_USAGE,
            "'%s': a score is of one class: say which with --positive, or give all with --scores", st->p[0]->name);
    return 0;
}

/* Two classes need two names, also where the rows show one or none of them. */
static int add_missing_class(struct settling *st, const char *positive)
{
    struct classes *k = &st->all;
    double x = 0;
    char buf[32];
    if (find_class(k, positive) >= 0) {
        if (k->n > 1)
            return 0;
        if (k->text)
            add_name(k, st->added = strcmp(positive, "true") == 0 ? ml_strdup("false") : ml_format("not %s", positive));
        else
            add_number(k, k->number[0] == 0);
    } else if (k->n > 1) {
        return ml_err_set(
            st->err, ML_USAGE, "--positive '%s' is none of the classes; one is '%s'", positive, class_name(k, 0, buf));
    } else if (k->text) {
        add_text(k, positive);
    } else if (ml_column_number(positive, strlen(positive), &x)) {
        add_number(k, x);
    } else {
        return ml_err_set(st->err, ML_USAGE, "--positive '%s': the classes are numbers", positive);
    }
    sort_classes(k);
    return 0;
}

static int number_classes(struct settling *st)
{
    struct ml_subject *s = st->s;
    const char *positive = st->c->positive != NULL ? st->c->positive : usual_positive(&st->all);
    char buf[32];
    if (s->task == ML_TASK_BINARY) {
        if (add_missing_class(st, positive) < 0)
            return -1;
        s->positive = find_class(&st->all, positive);
    }
    for (size_t i = 0; i < st->all.n; i++)
        ml_strs_add(&s->classes, class_name(&st->all, i, buf));
    return 0;
}

/* The scores of --scores in the order of the classes: all of them, or of the positive one. */
static int order_scores(struct settling *st, const struct ml_predictions *p, struct ml_answers *a)
{
    size_t k = st->all.n, columns = p->score_names.n, n = p->n;
    int32_t *from = ml_malloc((k + 1) * sizeof *from);
    int rc = 0;
    for (size_t i = 0; i < k; i++)
        from[i] = -1;
    for (size_t i = 0; i < columns; i++) {
        int32_t at = find_class(&st->all, p->score_names.v[i]);
        if (at >= 0 && from[at] >= 0)
            rc = ml_err_set(st->err, ML_LOCAL, "'%s': the columns '%s%s' and '%s%s' are of the same class", p->name,
                st->c->scores, p->score_names.v[from[at]], st->c->scores, p->score_names.v[i]);
        if (at >= 0)
            from[at] = (int32_t)i;
    }
    bool binary = st->s->task == ML_TASK_BINARY;
    size_t first = binary ? (size_t)st->s->positive : 0, count = binary ? 1 : k;
    for (size_t i = first; rc == 0 && i < first + count; i++)
        if (from[i] < 0)
            rc = ml_err_set(st->err, ML_LOCAL, "'%s': no column '%s%s' with the scores of that class", p->name,
                st->c->scores, st->s->classes.v[i]);
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

static int answer_classes(struct settling *st, const struct ml_predictions *p, struct ml_answers *a)
{
    bool binary = st->s->task == ML_TASK_BINARY;
    a->label = map_column(&st->all, &p->label);
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
        a->pred = map_column(&st->all, &p->prediction);
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

/* The metrics of the task that are common or asked for. */
static int find_metrics(struct settling *st)
{
    const struct ml_strs *asked = &st->c->metrics, *offered = &st->c->offered;
    struct ml_subject *s = st->s;
    bool all = ml_strs_has(asked, "all");
    s->metrics = ml_malloc((ml_metric_count() + asked->n + offered->n) * sizeof(struct ml_metric *));
    for (size_t i = 0; i < ml_metric_count(); i++) {
        const struct ml_metric *m = ml_metric_at(i);
        bool named = ml_strs_has(asked, m->name) || ml_strs_has(offered, m->name);
        if (m->id == ML_METRIC_COST && st->c->cost == NULL)
            continue;
        bool usual = m->common || m->id == ML_METRIC_COST || (s->probabilistic && m->family == ML_FAMILY_CALIBRATION);
        if ((m->tasks & (int)s->task) && !isnan(m->x) && (usual || named || all))
            s->metrics[s->n_metrics++] = m;
    }
    for (size_t i = 0; i < asked->n + offered->n; i++) {
        bool must = i < asked->n;
        const char *name = must ? asked->v[i] : offered->v[i - asked->n];
        const struct ml_metric *m = ml_metric_of(name, s->task);
        if (must && strcmp(name, "all") == 0)
            continue;
        if (m != NULL && m->id == ML_METRIC_COST && st->c->cost == NULL && must)
            return ml_err_set(st->err, ML_USAGE, "--metric cost needs --cost");
        if (must && m == NULL)
            return ml_subject_no_metric(s, name, st->err);
        if (m != NULL && !in_list(s, m) && (m->id != ML_METRIC_COST || st->c->cost != NULL))
            s->metrics[s->n_metrics++] = m;
    }
    return 0;
}

int ml_subject_settle_all(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err)
{
    struct settling st = { .s = s, .c = c, .p = p, .n = n, .err = err };
    s->positive = -1;
    int rc = ml_threshold_read(s, c->threshold, err);
    if (rc == 0)
        rc = decide_task(&st);
    if (rc == 0)
        rc = find_metrics(&st);
    bool numbers = s->task == ML_TASK_REGRESSION || s->task == ML_TASK_RANKING;
    if (rc == 0 && c->cost != NULL && (s->probabilistic || !(s->task & (ML_TASK_BINARY | ML_TASK_MULTICLASS))))
        rc = ml_err_set(err, ML_USAGE, "--cost is for --task binary and multiclass");
    if (rc == 0 && s->task == ML_TASK_MULTILABEL)
        rc = ml_subject_settle_sets(s, c, p, n, out, err);
    else if (rc == 0 && !numbers)
        rc = check_predictions(&st) < 0 ? -1 : number_classes(&st);
    if (rc == 0 && c->cost != NULL)
        rc = ml_subject_settle_costs(s, c->cost, err);
    for (size_t i = 0; rc == 0 && i < st.n; i++) {
        out[i]->s.task = s->task;
        out[i]->s.costs = s->costs;
        out[i]->s.n = p[i]->n;
        out[i]->s.weight = p[i]->weight;
        out[i]->s.group = p[i]->group.of;
        out[i]->s.groups = (uint32_t)p[i]->group.names.n;
        if (s->task != ML_TASK_MULTILABEL)
            rc = numbers ? ml_answer_numbers(out[i], p[i], c, err) : answer_classes(&st, p[i], out[i]);
    }
    free(st.labels.number);
    free(st.labels.name);
    free(st.all.number);
    free(st.all.name);
    free(st.added);
    ml_strs_release(&st.labels.written);
    ml_strs_release(&st.all.written);
    return rc;
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

void ml_columns_release(struct ml_columns *c)
{
    ml_strs_release(&c->slices);
    ml_strs_release(&c->metrics);
    ml_strs_release(&c->offered);
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
