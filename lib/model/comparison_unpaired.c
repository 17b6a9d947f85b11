/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compares two models that were measured apart: by their cards' standard errors, or by mere numbers. */
#include <math.h>
#include <string.h>

#include "model/comparison.h"
#include "model/comparison_entry.h"
#include "model/evaluation.h"

static size_t whole(const cJSON *o, const char *key)
{
    int64_t n;
    return ml_json_int(o, key, &n) && n > 0 ? (size_t)n : 0;
}

static double number(const cJSON *o, const char *key)
{
    double x;
    return ml_json_num(o, key, &x) ? x : NAN;
}

/* The fewer groups of the two; 0 where neither has any. */
static size_t fewer(size_t x, size_t y)
{
    return x == 0 || (y > 0 && y < x) ? y : x;
}

/* A metric of a card or of its slice, which has no more groups than all rows where it doesn't say. */
static struct ml_told told(const cJSON *of, const cJSON *metric, size_t groups)
{
    size_t own = whole(of, "groups");
    return (struct ml_told){ number(metric, "value"), number(metric, "se"), whole(of, "rows"), own > 0 ? own : groups };
}

/* Rows and the smaller class are the scarcer side's. */
static void compare_metric(const struct ml_comparison_opts *o, struct ml_differences *l, const struct ml_metric *m,
    const char *slice, const cJSON *a, const cJSON *b, const struct ml_told *x, const struct ml_told *y)
{
    struct ml_delta d = { .smaller_class = SIZE_MAX, .changed = SIZE_MAX };
    if (isnan(x->value) || isnan(y->value)) {
        const char *why = ml_json_str(isnan(x->value) ? a : b, "reason");
        d.reason = why != NULL ? why : "one of the cards has no value";
    } else if (isnan(x->se) || isnan(y->se)) {
        d.ok = true;
        d.current = x->value;
        d.candidate = y->value;
        d.delta = y->value - x->value;
        d.rows = d.n = x->rows < y->rows ? x->rows : y->rows;
        d.interval_reason = "one of the cards has no standard error";
    } else {
        ml_delta_unpaired(x, y, ml_look_alpha(o->alpha, o->look), &d);
        ml_delta_cut(&d, m);
    }
    size_t n_a = whole(a, "n"), n_b = whole(b, "n");
    if (n_a > 0 && n_b > 0)
        d.n = n_a < n_b ? n_a : n_b;
    d.smaller_class = ml_metric_smaller_class(m, d.n);
    d.groups = fewer(x->groups, y->groups);
    ml_differences_add(l, o, m, slice, &d, x->value, y->value);
}

/* What two cards, or the same slice of both, have in common; `groups`: of all their rows. */
static void compare_all(const struct ml_comparison_opts *o, struct ml_differences *l, const char *task,
    const char *slice, const cJSON *a, const cJSON *b, const size_t groups[2])
{
    const cJSON *m;
    cJSON_ArrayForEach(m, ml_json_get(b, "metrics"))
    {
        const struct ml_metric *metric = ml_evaluation_metric(m->string, task);
        const cJSON *other = ml_json_get(ml_json_get(a, "metrics"), m->string);
        struct ml_told x = told(a, other, groups[0]), y = told(b, m, groups[1]);
        if (metric != NULL && other != NULL && (slice == NULL || ml_difference_primary(o, m->string)))
            compare_metric(o, l, metric, slice, other, m, &x, &y);
    }
}

/* Precision of one class less that of another would mean nothing. */
static int check_positive(const cJSON *current, const cJSON *candidate, struct ml_err *err)
{
    const char *a = ml_json_str(current, "positive"), *b = ml_json_str(candidate, "positive");
    if (a == NULL || b == NULL || strcmp(a, b) == 0)
        return 0;
    return ml_err_set(
        err, ML_INTEGRITY, "the current model's positive class is '%.80s', the candidate's '%.80s'", a, b);
}

int ml_comparison_unpaired(
    cJSON *to, const struct ml_comparison_opts *o, const cJSON *current, const cJSON *candidate, struct ml_err *err)
{
    struct ml_differences l = { 0 };
    const cJSON *slice;
    const char *task_a = ml_json_str(current, "task"), *task_b = ml_json_str(candidate, "task");
    if (task_a == NULL || task_b == NULL || strcmp(task_a, task_b) != 0)
        return ml_err_set(err, ML_INTEGRITY, "the current model's task is '%s', the candidate's '%s'",
            task_a != NULL ? task_a : "unknown", task_b != NULL ? task_b : "unknown");
    if (check_positive(current, candidate, err) < 0)
        return -1;
    const size_t of_each[2] = { whole(current, "groups"), whole(candidate, "groups") };
    size_t groups = fewer(of_each[0], of_each[1]);
    compare_all(o, &l, task_a, NULL, current, candidate, of_each);
    cJSON_ArrayForEach(slice, ml_json_get(candidate, "slices"))
    {
        const cJSON *other = ml_json_get(ml_json_get(current, "slices"), slice->string);
        if (other != NULL)
            compare_all(o, &l, task_a, slice->string, other, slice, of_each);
    }
    ml_differences_judge(&l, o);
    ml_json_set_bool(to, "paired", false);
    ml_json_set_bool(to, "identical", false);
    size_t a = whole(current, "rows"), b = whole(candidate, "rows");
    ml_json_set_int(to, "rows", (int64_t)(a < b ? a : b));
    if (groups > 0)
        ml_json_set_int(to, "groups", (int64_t)groups);
    ml_comparison_frame(to, o, &l);
    ml_comparison_hidden(to, o, &l, NULL);
    cJSON *metrics = ml_json_set_object(to, "metrics"), *slices = ml_json_set_object(to, "slices");
    for (size_t i = 0; i < l.n; i++) {
        const struct ml_difference *x = &l.v[i];
        cJSON *in = metrics;
        if (x->slice != NULL) {
            if (ml_json_get(slices, x->slice) == NULL) {
                cJSON *one = ml_json_set_object(slices, x->slice);
                ml_json_set_int(one, "rows", (int64_t)x->d.rows);
                if (x->d.groups > 0)
                    ml_json_set_int(one, "groups", (int64_t)x->d.groups);
                ml_json_set_object(one, "metrics");
            }
            in = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(slices, x->slice), "metrics");
        }
        ml_json_set(in, x->metric->name, ml_difference_json(x));
    }
    int rc = ml_comparison_check_margins(o, metrics, err);
    ml_differences_release(&l);
    return rc;
}

static void plain_metric(cJSON *to, const char *name, double x, double y)
{
    const struct ml_metric *known = ml_metric_find(name);
    cJSON *m = ml_json_set_object(to, name);
    ml_json_set_num(m, "current", x);
    ml_json_set_num(m, "candidate", y);
    ml_json_set_num(m, "delta", y - x);
    ml_json_set_str(m, "direction", known != NULL ? ml_metric_direction(known) : NULL);
    ml_json_set_str(m, "verdict", ml_verdict_name(ML_VERDICT_INCONCLUSIVE));
    ml_json_set_str(m, "reason",
        isnan(x)   ? "only the candidate has it"
        : isnan(y) ? "only the current model has it"
                   : "no test was possible: a number without rows");
}

/* Flattens numbers to dotted names; arrays of one element are that element, longer ones aren't metrics. */
static void flatten(const cJSON *v, struct ml_buf *path, cJSON *out)
{
    size_t base = path->len;
    const cJSON *m;
    while (cJSON_IsArray(v) && cJSON_GetArraySize(v) == 1)
        v = v->child;
    if (cJSON_IsNumber(v))
        ml_json_set_num(out, ml_buf_str(path), v->valuedouble);
    if (!cJSON_IsObject(v))
        return;
    cJSON_ArrayForEach(m, v)
    {
        if (base > 0)
            ml_buf_addc(path, '.');
        ml_buf_adds(path, m->string);
        flatten(m, path, out);
        path->len = base;
        path->data[base] = '\0';
    }
}

int ml_comparison_plain(
    cJSON *to, const struct ml_comparison_opts *o, const cJSON *current, const cJSON *candidate, struct ml_err *err)
{
    cJSON *a = cJSON_CreateObject(), *b = cJSON_CreateObject();
    struct ml_buf path = ML_BUF_INIT;
    const cJSON *m;
    flatten(current, &path, a);
    flatten(candidate, &path, b);
    ml_buf_release(&path);
    ml_json_set_bool(to, "paired", false);
    ml_json_set_bool(to, "identical", false);
    ml_json_set(to, "rows", NULL);
    ml_json_set_str(to, "reason", "no test was possible: metrics files hold numbers without rows");
    cJSON *metrics = ml_json_set_object(to, "metrics");
    cJSON_ArrayForEach(m, a) plain_metric(metrics, m->string, m->valuedouble, number(b, m->string));
    cJSON_ArrayForEach(m, b) if (ml_json_get(a, m->string) == NULL)
        plain_metric(metrics, m->string, NAN, m->valuedouble);
    ml_json_set_object(to, "slices");
    cJSON_Delete(a);
    cJSON_Delete(b);
    if (metrics->child == NULL)
        return ml_err_set(err, ML_LOCAL, "the metrics files hold no numbers");
    return ml_comparison_check_margins(o, metrics, err);
}
