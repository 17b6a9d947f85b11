/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compares models on the same rows. */
#include "model/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/comparison_impl.h"
#include "model/evaluation.h"
#include "model/evaluation_curves.h"
#include "stats/threshold.h"

static double value_of(struct ml_measure *m, const struct ml_metric *metric)
{
    struct ml_value v;
    ml_measure_value(m, metric, &v);
    return v.ok ? v.value : NAN;
}

/* Where the i-th run of a side is. */
static size_t model_of(const struct duel *d, int side, size_t i)
{
    return i == 0 ? (size_t)side : (side == 0 ? 2 : 2 + d->field->runs[0].n) + i - 1;
}

void duel_sides(const struct duel *d, const uint32_t *rows, size_t n, struct sides *s)
{
    for (int side = 0; side < 2; side++) {
        struct ml_runs *r = &s->r[side];
        r->n = 1 + d->field->runs[side].n;
        r->m = ml_malloc(r->n * sizeof(struct ml_measure *));
        r->values = ml_calloc(r->n, sizeof *r->values);
        r->se = 0;
        for (size_t i = 0; i < r->n; i++) {
            struct ml_sample sample = d->a[model_of(d, side, i)].s;
            if (rows != NULL) /* a threshold that all rows chose */
                sample.tuned = ML_TUNED_NO;
            r->m[i] = ml_measure_new(&sample, rows, n);
        }
    }
}

void duel_sides_free(struct sides *s)
{
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < s->r[side].n; i++)
            ml_measure_free(s->r[side].m[i]);
        free(s->r[side].m);
        free(s->r[side].values);
    }
}

bool duel_applies_to(const struct duel *d, size_t who, const struct ml_metric *m)
{
    return ml_metric_applies(m, &d->a[who].s);
}

bool duel_tuned(const struct duel *d)
{
    for (size_t i = 0; i < d->n - d->field->rivals.n; i++)
        if (d->a[i].s.tuned != ML_TUNED_NO)
            return true;
    return false;
}

/* To both, and to all their runs. */
static bool applies(const struct duel *d, const struct ml_metric *m)
{
    for (size_t i = 0; i < d->n - d->field->rivals.n; i++)
        if (!duel_applies_to(d, i, m))
            return false;
    return true;
}

static cJSON *values_json(const struct ml_runs *r)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < r->n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(r->values[i]));
    return list;
}

/* Of the candidate's runs their mean, which limits on it are held against, whatever it is compared with. */
static void add_mean(struct duel *d, struct ml_difference *x, struct ml_runs *r)
{
    struct ml_boot boot = { .seed = d->o->seed };
    struct ml_estimate e;
    if (r->n < 2)
        return;
    ml_runs_estimate(r, x->metric, 1 - d->o->alpha, &boot, &e);
    if (x->runs == NULL)
        x->runs = cJSON_CreateObject();
    if (e.v.ok && ml_json_get(x->runs, "candidate") == NULL)
        ml_json_set(x->runs, "candidate", values_json(r));
    cJSON *mean = ml_json_set_object(x->runs, "mean");
    ml_json_set_num(mean, "value", e.v.ok ? e.v.value : NAN);
    ml_json_set_num(mean, "low", e.has_interval ? e.low : NAN);
    ml_json_set_num(mean, "high", e.has_interval ? e.high : NAN);
    ml_json_set_num(mean, "se", e.has_interval && e.has_se ? e.se : NAN);
    if (!e.has_interval)
        ml_json_set_str(mean, "reason", e.v.ok ? e.interval_reason : e.v.reason);
    else
        ml_json_set_int(mean, "n", (int64_t)e.v.n);
}

/* A metric of scores that only one of the two has. */
static void add_one_sided(struct duel *d, const struct ml_metric *metric, struct sides *s)
{
    bool current = duel_applies_to(d, 0, metric);
    struct ml_delta delta = { .smaller_class = SIZE_MAX, .changed = SIZE_MAX };
    delta.reason = current ? "only the current model has scores" : "only the candidate has scores";
    struct ml_difference *x = ml_differences_add(&d->all, d->o, metric, NULL, &delta,
        current ? value_of(s->r[0].m[0], metric) : NAN, current ? NAN : value_of(s->r[1].m[0], metric));
    if (!current)
        add_mean(d, x, &s->r[1]);
}

static cJSON *runs_json(const struct sides *s, const struct ml_delta *delta, double se_test)
{
    static const char *const names[2] = { "current", "candidate" }, *const se[2] = { "se_current", "se_candidate" };
    cJSON *o = cJSON_CreateObject();
    for (int side = 0; side < 2; side++)
        ml_json_set(o, names[side], values_json(&s->r[side]));
    ml_json_set_num(o, "se_rows", delta->has_interval ? se_test : NAN);
    for (int side = 0; side < 2; side++)
        ml_json_set_num(o, se[side], delta->has_interval && s->r[side].n > 1 ? s->r[side].se : NAN);
    ml_json_set_num(o, "df", delta->has_interval ? delta->df : NAN);
    return o;
}

static void measure_metric(
    struct duel *d, struct sides *s, const struct ml_metric *metric, const struct ml_slice *slice)
{
    bool primary = ml_difference_primary(d->o, metric->name), runs = s->r[0].n + s->r[1].n > 2;
    struct ml_boot boot = { .seed = d->o->seed, .comparisons = slice != NULL ? d->primary * d->slices.n : d->primary };
    struct ml_delta delta = { 0 };
    double se_test = 0;
    if (runs)
        ml_delta_runs(&s->r[0], &s->r[1], metric, d->alpha, &boot, &delta, &se_test);
    else
        ml_delta_paired(s->r[0].m[0], s->r[1].m[0], metric, d->alpha, &boot, &delta);
    struct ml_difference *x = ml_differences_add(&d->all, d->o, metric, slice != NULL ? slice->name : NULL, &delta,
        delta.ok ? delta.current : value_of(s->r[0].m[0], metric),
        delta.ok ? delta.candidate : value_of(s->r[1].m[0], metric));
    if (runs && delta.ok)
        x->runs = runs_json(s, &delta, se_test);
    add_mean(d, x, &s->r[1]);
    if (d->o->extras != 0 && primary && slice == NULL)
        x->extra = duel_extras(d, s, x, &boot);
}

/* Where one model's threshold is chosen on the rows, all are drawn alike. */
static void draw_parts(struct duel *d)
{
    size_t models = d->n - d->field->rivals.n;
    if (!duel_tuned(d))
        return;
    d->parts = ml_calloc(models, sizeof(struct ml_tuned_parts *));
    for (size_t i = 0; i < models; i++)
        d->parts[i] = ml_slices_draw(&d->slices, &d->a[i].s, d->o->seed);
}

static void tell_parts(const struct duel *d, size_t slice, const struct sides *s)
{
    for (int side = 0; side < 2 && d->parts != NULL; side++)
        for (size_t i = 0; i < s->r[side].n; i++)
            ml_tuned_part(s->r[side].m[i], d->parts[model_of(d, side, i)], slice);
}

/* All metrics on all rows, with what else is told of them, or the primary ones on a slice. */
static void measure(struct duel *d, const struct ml_slice *slice)
{
    struct sides s;
    duel_sides(d, slice != NULL ? slice->rows : NULL, slice != NULL ? slice->n : 0, &s);
    if (slice != NULL)
        tell_parts(d, (size_t)(slice - d->slices.v), &s);
    for (size_t i = 0; i < d->subject.n_metrics; i++) {
        const struct ml_metric *metric = d->subject.metrics[i];
        if (slice == NULL && duel_applies_to(d, 0, metric) != duel_applies_to(d, 1, metric))
            add_one_sided(d, metric, &s);
        else if (applies(d, metric) && (slice == NULL || ml_difference_primary(d->o, metric->name)))
            measure_metric(d, &s, metric, slice);
    }
    if (slice == NULL) {
        duel_classes_measure(d, &s);
        d->calibration = duel_calibration(d, &s);
    }
    duel_sides_free(&s);
}

static void measure_all(struct duel *d)
{
    for (size_t i = 0; i < d->subject.n_metrics; i++)
        d->primary += applies(d, d->subject.metrics[i]) && ml_difference_primary(d->o, d->subject.metrics[i]->name);
    measure(d, NULL);
    draw_parts(d);
    for (size_t i = 0; i < d->slices.n; i++)
        measure(d, &d->slices.v[i]);
    duel_classes_add(d);
    duel_rivals_measure(d);
    ml_differences_judge(&d->all, d->o);
}

/* Whether both, and all their runs, said the same. */
static bool identical(const struct duel *d)
{
    for (size_t i = 1; i < d->n - d->field->rivals.n; i++)
        if (!ml_delta_identical(&d->a[0].s, &d->a[i].s))
            return false;
    return true;
}

static void add_names(cJSON *to, const char *key, const struct ml_predictions *first, const struct ml_entrants *more)
{
    cJSON *list = ml_json_set_array(to, key);
    cJSON_AddItemToArray(list, cJSON_CreateString(first->name));
    for (size_t i = 0; i < more->n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(more->p[i]->name));
}

static void add_slice(cJSON *slices, const struct duel *d, const struct ml_difference *x, size_t *next, cJSON **of)
{
    while (*next < d->slices.n && strcmp(d->slices.v[*next].name, x->slice) != 0)
        (*next)++;
    cJSON *slice = ml_slice_json(&d->slices.v[*next]);
    if (x->d.groups > 0)
        ml_json_set_int(slice, "groups", (int64_t)x->d.groups);
    *of = ml_json_set_object(slice, "metrics");
    cJSON_AddItemToObject(slices, x->slice, slice);
}

static int write_section(cJSON *to, const struct duel *d, struct ml_err *err)
{
    ml_json_set_bool(to, "paired", true);
    ml_json_set_bool(to, "identical", identical(d));
    ml_json_set_int(to, "rows", (int64_t)d->p[1]->n);
    if (d->all.n > 0 && d->all.v[0].d.groups > 0)
        ml_json_set_int(to, "groups", (int64_t)d->all.v[0].d.groups);
    if (d->field->runs[0].n + d->field->runs[1].n > 0) {
        cJSON *runs = ml_json_set_object(to, "runs");
        add_names(runs, "current", d->p[0], &d->field->runs[0]);
        add_names(runs, "candidate", d->p[1], &d->field->runs[1]);
    }
    ml_comparison_frame(to, d->o, &d->all);
    if (d->a[1].s.tuned != ML_TUNED_NO) {
        cJSON *threshold = ml_json_set_object(to, "threshold");
        ml_json_set_num(threshold, "current", d->a[0].s.tuned != ML_TUNED_NO ? d->a[0].threshold : NAN);
        ml_json_set_num(threshold, "candidate", d->a[1].threshold);
        ml_json_set_str(threshold, "tuned", ml_tuned_name(d->a[1].s.tuned));
    }
    ml_comparison_hidden(to, d->o, &d->all, d->subject.classes.v);
    cJSON *metrics = ml_json_set_object(to, "metrics"), *slices = ml_json_set_object(to, "slices"), *of = NULL;
    const char *last = NULL;
    size_t next = 0;
    for (size_t i = 0; i < d->all.n; i++) {
        const struct ml_difference *x = &d->all.v[i];
        if (x->rival > 0 || x->label >= 0)
            continue;
        if (x->slice != NULL && (last == NULL || strcmp(last, x->slice) != 0))
            add_slice(slices, d, x, &next, &of);
        last = x->slice;
        cJSON_AddItemToObject(x->slice != NULL ? of : metrics, x->metric->name, ml_difference_json(x));
    }
    duel_classes(to, d);
    while (d->calibration->child != NULL) {
        cJSON *item = cJSON_DetachItemViaPointer(d->calibration, d->calibration->child);
        cJSON_AddItemToObject(to, item->string, item);
    }
    duel_flips(to, d);
    duel_rivals(to, d);
    return ml_comparison_check_margins(d->o, metrics, err);
}

/* All entrants in the order of struct duel. */
static struct ml_predictions **enter(struct duel *d)
{
    const struct ml_field *f = d->field;
    const struct ml_entrants *more[3] = { &f->runs[0], &f->runs[1], &f->rivals };
    struct ml_predictions **p = ml_malloc((2 + more[0]->n + more[1]->n + more[2]->n) * sizeof *p);
    d->p[0] = p[d->n++] = f->current;
    d->p[1] = p[d->n++] = f->candidate;
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < more[k]->n; i++)
            p[d->n++] = more[k]->p[i];
    return p;
}

/* `again`: they are settled again, or some are there twice. */
static int settle(struct duel *d, const struct ml_columns *c, bool again, struct ml_err *err)
{
    struct ml_predictions **p = enter(d);
    struct ml_answers **out = ml_malloc(d->n * sizeof(struct ml_answers *));
    d->a = ml_calloc(d->n, sizeof *d->a);
    for (size_t i = 0; i < d->n; i++)
        out[i] = &d->a[i];
    int rc = again ? ml_subject_settle_all(&d->subject, c, (const struct ml_predictions *const *)p, d->n, out, err)
                   : ml_subject_settle_last(&d->subject, c, p, d->n, out, err);
    /* What describes the rows is the candidate's: the other files may lack it, and where they don't they agree. */
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        d->a[i].s.weight = d->a[1].s.weight;
        d->a[i].s.group = d->a[1].s.group;
        d->a[i].s.groups = d->a[1].s.groups;
    }
    free(out);
    free(p);
    return rc;
}

static void release(struct duel *d)
{
    ml_differences_release(&d->all);
    ml_slices_release(&d->slices);
    for (size_t i = 0; i < d->n; i++)
        ml_answers_release(&d->a[i]);
    for (size_t i = 0; d->parts != NULL && i < d->n - d->field->rivals.n; i++)
        ml_tuned_parts_free(d->parts[i]);
    free(d->parts);
    free(d->a);
    free(d->recalls);
    free(d->precisions);
    free(d->with);
    free(d->cells[0]);
    free(d->cells[1]);
    cJSON_Delete(d->calibration);
    ml_subject_release(&d->subject);
}

/* The means over the candidate's runs, of all rows or of a slice. */
static cJSON *means(struct duel *d, const struct ml_slice *slice)
{
    cJSON *metrics = cJSON_CreateObject();
    struct sides s;
    duel_sides(d, slice != NULL ? slice->rows : NULL, slice != NULL ? slice->n : 0, &s);
    if (slice != NULL)
        tell_parts(d, (size_t)(slice - d->slices.v), &s);
    for (size_t i = 0; i < d->subject.n_metrics; i++) {
        struct ml_difference x = { .metric = d->subject.metrics[i] };
        if (!applies(d, x.metric) || (slice != NULL && !ml_difference_primary(d->o, x.metric->name)))
            continue;
        add_mean(d, &x, &s.r[1]);
        cJSON *o = ml_json_set_object(metrics, x.metric->name);
        double mean = NAN;
        ml_json_num(ml_json_get(x.runs, "mean"), "value", &mean);
        ml_json_set(o, "current", NULL);
        ml_json_set_num(o, "candidate", mean);
        ml_json_set_str(o, "direction", ml_metric_direction(x.metric));
        ml_json_set(o, "runs", x.runs);
    }
    duel_sides_free(&s);
    return metrics;
}

static void add_means(cJSON *to, struct duel *d)
{
    cJSON *slices = cJSON_GetObjectItemCaseSensitive(to, "slices");
    if (d->field->runs[1].n == 0)
        return;
    draw_parts(d);
    ml_json_set(to, "metrics", means(d, NULL));
    for (size_t i = 0; i < d->slices.n; i++) {
        cJSON *one = ml_slice_json(&d->slices.v[i]);
        ml_json_set(one, "metrics", means(d, &d->slices.v[i]));
        cJSON_AddItemToObject(slices, d->slices.v[i].name, one);
    }
    add_names(ml_json_set_object(to, "runs"), "candidate", d->p[1], &d->field->runs[1]);
}

int ml_comparison_alone(cJSON *to, const struct ml_comparison_opts *o, const struct ml_columns *c,
    const struct ml_field *field, struct ml_err *err)
{
    struct ml_field alone = { .current = field->candidate,
        .candidate = field->candidate,
        .runs = { { 0 }, field->runs[1] },
        .rivals = field->rivals };
    struct duel d = { .o = o, .field = &alone, .alpha = ml_look_alpha(o->alpha, o->look) };
    int rc = settle(&d, c, true, err);
    if (rc == 0)
        rc = ml_slices_find(field->candidate, &d.slices, err);
    if (rc == 0) {
        add_means(to, &d);
        duel_rivals(to, &d);
    }
    release(&d);
    return rc;
}

/* What pictures show both models by. */
static void add_curves(cJSON *current, const struct ml_comparison_opts *o, const struct ml_sample *s)
{
    if (o->calibration && s->score != NULL)
        ml_evaluation_add_calibration(current, s, 1 - o->alpha);
    if (o->curves && s->score != NULL && s->task == ML_TASK_BINARY)
        ml_evaluation_add_curves(current, s);
}

int ml_comparison_paired(cJSON *to, const struct ml_comparison_opts *o, const struct ml_columns *c,
    const struct ml_field *field, struct ml_err *err)
{
    struct duel d = { .o = o, .field = field, .alpha = ml_look_alpha(o->alpha, o->look) };
    int rc = settle(&d, c, false, err);
    if (rc == 0)
        rc = ml_slices_find(field->candidate, &d.slices, err);
    if (rc == 0) {
        measure_all(&d);
        rc = write_section(to, &d, err);
        duel_confusion(to, &d);
        add_curves(cJSON_GetObjectItemCaseSensitive(to, "current"), o, &d.a[0].s);
    }
    release(&d);
    return rc;
}
