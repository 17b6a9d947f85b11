/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compares two models on the same rows. */
#include "model/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/comparison_confusion.h"
#include "model/comparison_entry.h"
#include "model/evaluation.h"
#include "model/ranking.h"
#include "stats/delta.h"
#include "stats/threshold.h"

/* Both models' answers on the same rows. */
struct duel {
    const struct ml_comparison_opts *o;
    const struct ml_predictions *p[2]; /* current, candidate */
    struct ml_subject subject;
    struct ml_answers a[2];
    struct ml_slices slices;
    struct ml_differences all;
    size_t primary; /* metrics */
};

static double value_of(struct ml_measure *m, const struct ml_metric *metric)
{
    struct ml_value v;
    ml_measure_value(m, metric, &v);
    return v.ok ? v.value : NAN;
}

static bool applies_to(const struct duel *d, int side, const struct ml_metric *m)
{
    return ml_metric_applies(m, &d->a[side].s);
}

static bool applies(const struct duel *d, const struct ml_metric *m)
{
    return applies_to(d, 0, m) && applies_to(d, 1, m);
}

/* A metric of scores that only one of the two has. */
static void add_one_sided(struct duel *d, const struct ml_metric *metric, struct ml_measure *m[2])
{
    bool current = applies_to(d, 0, metric);
    struct ml_delta delta = { .smaller_class = SIZE_MAX, .changed = SIZE_MAX };
    delta.reason = current ? "only the current model has scores" : "only the candidate has scores";
    ml_differences_add(&d->all, d->o, metric, NULL, &delta, current ? value_of(m[0], metric) : NAN,
        current ? NAN : value_of(m[1], metric));
}

/* All metrics on all rows, or the primary ones on a slice. */
static void measure(struct duel *d, const struct ml_slice *slice)
{
    const uint32_t *rows = slice != NULL ? slice->rows : NULL;
    struct ml_measure *m[2];
    for (int i = 0; i < 2; i++) {
        struct ml_sample s = d->a[i].s;
        if (slice != NULL) /* a threshold that all rows chose */
            s.tuned = ML_TUNED_NO;
        m[i] = ml_measure_new(&s, rows, slice != NULL ? slice->n : 0);
    }
    for (size_t i = 0; i < d->subject.n_metrics; i++) {
        const struct ml_metric *metric = d->subject.metrics[i];
        if (slice == NULL && applies_to(d, 0, metric) != applies_to(d, 1, metric))
            add_one_sided(d, metric, m);
        if (!applies(d, metric) || (slice != NULL && !ml_difference_primary(d->o, metric->name)))
            continue;
        struct ml_boot boot = { .seed = d->o->seed,
            .comparisons = slice != NULL ? d->primary * d->slices.n : d->primary };
        struct ml_delta delta = { 0 };
        ml_delta_paired(m[0], m[1], metric, ml_look_alpha(d->o->alpha, d->o->look), &boot, &delta);
        ml_differences_add(&d->all, d->o, metric, slice != NULL ? slice->name : NULL, &delta, value_of(m[0], metric),
            value_of(m[1], metric));
    }
    ml_measure_free(m[0]);
    ml_measure_free(m[1]);
}

static void measure_all(struct duel *d)
{
    for (size_t i = 0; i < d->subject.n_metrics; i++)
        d->primary += applies(d, d->subject.metrics[i]) && ml_difference_primary(d->o, d->subject.metrics[i]->name);
    measure(d, NULL);
    for (size_t i = 0; i < d->slices.n; i++)
        measure(d, &d->slices.v[i]);
    ml_differences_judge(&d->all, d->o);
}

/* How sure the candidate was of what it said in a row; NaN when it gave no score. */
static double confidence(const struct duel *d, size_t row)
{
    const struct ml_sample *s = &d->a[1].s;
    const struct ml_predictions *p = d->p[1];
    if (s->task == ML_TASK_MULTILABEL)
        return NAN;
    if (s->task == ML_TASK_MULTICLASS && s->score != NULL)
        return s->score[row * (size_t)s->classes + (size_t)s->pred[row]];
    if (s->score == NULL)
        return p->score != NULL && p->score_columns == 1 ? p->score[row] : NAN;
    double x = s->score[row];
    return s->pred[row] == s->positive ? x : x >= 0 && x <= 1 ? 1 - x : -x;
}

struct example {
    size_t row;
    double rank;
};

/* Keeps the ML_WORST_MAX examples of highest rank, the earlier row first among equals. */
static void keep_worst(struct example *v, size_t *n, size_t row, double rank)
{
    size_t at = *n;
    if (isnan(rank))
        rank = -INFINITY;
    while (at > 0 && rank > v[at - 1].rank)
        at--;
    if (at == ML_WORST_MAX)
        return;
    size_t last = *n < ML_WORST_MAX ? (*n)++ : ML_WORST_MAX - 1;
    memmove(v + at + 1, v + at, (last - at) * sizeof *v);
    v[at] = (struct example){ row, rank };
}

static bool right(const struct ml_sample *s, size_t i)
{
    size_t k = (size_t)s->classes;
    return s->labels != NULL ? memcmp(s->labels + i * k, s->preds + i * k, k) == 0 : s->pred[i] == s->label[i];
}

/* A row's class, or its set of them: "a;b". */
static void add_answer(
    cJSON *to, const char *key, const struct duel *d, const int32_t *one, const unsigned char *set, size_t i)
{
    const struct ml_strs *classes = &d->subject.classes;
    struct ml_buf text = ML_BUF_INIT;
    for (size_t j = 0; set != NULL && j < classes->n; j++)
        if (set[i * classes->n + j])
            ml_buf_addf(&text, "%s%s", text.len > 0 ? ";" : "", classes->v[j]);
    ml_json_set_str(to, key, set != NULL ? ml_buf_str(&text) : classes->v[one[i]]);
    ml_buf_release(&text);
}

static void add_flips(cJSON *to, const struct duel *d)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    struct example worst[ML_WORST_MAX];
    size_t n = 0, fixed = 0, broken = 0;
    for (size_t i = 0; i < a->n; i++) {
        bool was = right(a, i), is = right(b, i);
        fixed += is && !was;
        broken += was && !is;
        if (was && !is)
            keep_worst(worst, &n, i, confidence(d, i));
    }
    cJSON *flips = ml_json_set_object(to, "flips");
    ml_json_set_int(flips, "fixed", (int64_t)fixed);
    ml_json_set_int(flips, "broken", (int64_t)broken);
    cJSON *list = ml_json_set_array(flips, "worst");
    for (size_t i = 0; i < n; i++) {
        char number[24];
        size_t row = worst[i].row;
        cJSON *o = cJSON_CreateObject();
        ml_json_set_str(o, "id", ml_predictions_id(d->p[1], row, number));
        add_answer(o, "label", d, b->label, b->labels, row);
        add_answer(o, "current", d, a->pred, a->preds, row);
        add_answer(o, "candidate", d, b->pred, b->preds, row);
        double sure = confidence(d, row);
        if (!isnan(sure))
            ml_json_set_num(o, "score", fabs(sure));
        cJSON_AddItemToArray(list, o);
    }
}

/* Regression: rows that came nearer to the truth and rows that went away from it. */
static void add_moves(cJSON *to, const struct duel *d)
{
    const struct ml_sample *a = &d->a[0].s, *b = &d->a[1].s;
    struct example worst[ML_WORST_MAX];
    size_t n = 0, nearer = 0, farther = 0;
    for (size_t i = 0; i < a->n; i++) {
        double away = fabs(b->estimate[i] - b->truth[i]) - fabs(a->estimate[i] - a->truth[i]);
        nearer += away < 0;
        farther += away > 0;
        if (away > 0)
            keep_worst(worst, &n, i, away);
    }
    cJSON *flips = ml_json_set_object(to, "flips");
    ml_json_set_int(flips, "nearer", (int64_t)nearer);
    ml_json_set_int(flips, "farther", (int64_t)farther);
    cJSON *list = ml_json_set_array(flips, "worst");
    for (size_t i = 0; i < n; i++) {
        char number[24];
        size_t row = worst[i].row;
        cJSON *o = cJSON_CreateObject();
        ml_json_set_str(o, "id", ml_predictions_id(d->p[1], row, number));
        ml_json_set_num(o, "label", b->truth[row]);
        ml_json_set_num(o, "current", a->estimate[row]);
        ml_json_set_num(o, "candidate", b->estimate[row]);
        cJSON_AddItemToArray(list, o);
    }
}

static int write_section(cJSON *to, const struct duel *d, struct ml_err *err)
{
    size_t n = d->p[1]->n;
    ml_json_set_bool(to, "paired", true);
    ml_json_set_bool(to, "identical", ml_delta_identical(&d->a[0].s, &d->a[1].s));
    ml_json_set_int(to, "rows", (int64_t)n);
    if (d->all.n > 0 && d->all.v[0].d.groups > 0)
        ml_json_set_int(to, "groups", (int64_t)d->all.v[0].d.groups);
    ml_comparison_frame(to, d->o, &d->all);
    if (d->a[1].s.tuned != ML_TUNED_NO) {
        cJSON *threshold = ml_json_set_object(to, "threshold");
        ml_json_set_num(threshold, "current", d->a[0].s.tuned != ML_TUNED_NO ? d->a[0].threshold : NAN);
        ml_json_set_num(threshold, "candidate", d->a[1].threshold);
        ml_json_set_str(threshold, "tuned", ml_tuned_name(d->a[1].s.tuned));
    }
    cJSON *metrics = ml_json_set_object(to, "metrics"), *slices = ml_json_set_object(to, "slices"), *slice = NULL,
          *of = NULL;
    size_t next = 0;
    for (size_t i = 0; i < d->all.n; i++) {
        const struct ml_difference *x = &d->all.v[i];
        if (x->slice != NULL && (slice == NULL || strcmp(slice->string, x->slice) != 0)) {
            while (next < d->slices.n && strcmp(d->slices.v[next].name, x->slice) != 0)
                next++;
            slice = ml_slice_json(&d->slices.v[next]);
            if (x->d.groups > 0)
                ml_json_set_int(slice, "groups", (int64_t)x->d.groups);
            of = ml_json_set_object(slice, "metrics");
            cJSON_AddItemToObject(slices, x->slice, slice);
        }
        cJSON_AddItemToObject(x->slice != NULL ? of : metrics, x->metric->name, ml_difference_json(x));
    }
    if (d->subject.task == ML_TASK_REGRESSION)
        add_moves(to, d);
    else if (d->subject.task == ML_TASK_RANKING)
        ml_ranking_flips(to, d->p[1], &d->a[0].s, &d->a[1].s, d->subject.metrics[0]);
    else if (d->a[1].s.pred != NULL || d->a[1].s.preds != NULL)
        add_flips(to, d);
    return ml_comparison_check_margins(d->o, metrics, err);
}

int ml_comparison_paired(cJSON *to, const struct ml_comparison_opts *o, const struct ml_columns *c,
    const struct ml_predictions *current, const struct ml_predictions *candidate, struct ml_err *err)
{
    struct duel d = { .o = o, .p = { current, candidate } };
    int rc = ml_subject_settle(&d.subject, c, current, candidate, &d.a[0], &d.a[1], err);
    if (rc == 0) {
        /* What describes the rows is the candidate's: the current file may lack it, and where it doesn't they agree. */
        d.a[0].s.weight = d.a[1].s.weight;
        d.a[0].s.group = d.a[1].s.group;
        d.a[0].s.groups = d.a[1].s.groups;
        rc = ml_slices_find(candidate, &d.slices, err);
    }
    if (rc == 0) {
        measure_all(&d);
        rc = write_section(to, &d, err);
        ml_comparison_confusion(to, &d.subject, &d.a[0].s, &d.a[1].s);
    }
    free(d.all.v);
    ml_slices_release(&d.slices);
    ml_answers_release(&d.a[0]);
    ml_answers_release(&d.a[1]);
    ml_subject_release(&d.subject);
    return rc;
}
