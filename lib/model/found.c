/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns become codes of a byte, errors become losses, and what the search finds gets its names back. */
#include "model/found.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/slices.h"
#include "stats/scan.h"

/* A column that is looked at. */
struct looked {
    struct ml_values values;
    uint8_t *code;
    uint32_t *of; /* each code's value */
    size_t n;
};

struct search {
    const struct ml_predictions *p;
    struct looked *columns;
    size_t n;
    double *loss;
    int unit; /* losses are in units of 2^unit */
};

struct counted {
    uint32_t value;
    size_t rows;
};

static int by_rows(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return x->value < y->value ? -1 : 1;
}

/* Gives the values of enough rows a code each. False: the column has none that leave a rest. */
static bool encode(struct looked *l, size_t rows)
{
    size_t n = l->values.names.n;
    struct counted *count = ml_calloc(n + 1, sizeof *count);
    uint8_t *code = ml_malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        count[i].value = (uint32_t)i;
    for (size_t i = 0; i < rows; i++)
        count[l->values.map[l->values.code[i]]].rows++;
    if (n > 0)
        qsort(count, n, sizeof *count, by_rows);
    memset(code, ML_SCAN_NONE, n + 1);
    l->of = ml_malloc(ML_SCAN_NONE * sizeof *l->of);
    for (size_t i = 0; i < n && l->n < ML_SCAN_NONE && count[i].rows >= ML_FOUND_ROWS; i++) {
        if (rows - count[i].rows < ML_FOUND_ROWS)
            continue;
        code[count[i].value] = (uint8_t)l->n;
        l->of[l->n++] = count[i].value;
    }
    if (l->n > 0) {
        l->code = ml_malloc(rows + 1);
        for (size_t i = 0; i < rows; i++)
            l->code[i] = code[l->values.map[l->values.code[i]]];
    }
    free(count);
    free(code);
    return l->n > 0;
}

static void release_looked(struct looked *l)
{
    ml_values_release(&l->values);
    free(l->code);
    free(l->of);
}

/* Whole numbers that rise from row to row count the rows. */
static bool counts_rows(const struct ml_feature *f, size_t rows)
{
    double last = -INFINITY;
    for (size_t i = 0; i < rows; i++) {
        double x = ml_feature_number(f, i);
        if (!(x > last) || x != floor(x))
            return false;
        last = x;
    }
    return true;
}

static void find_columns(struct search *s)
{
    s->columns = ml_calloc(s->p->n_features + 1, sizeof *s->columns);
    for (size_t i = 0; i < s->p->n_features && s->n < ML_FOUND_COLUMNS; i++) {
        struct ml_cut cut = { .feature = i, .kind = ML_CUT_AUTO };
        struct looked *l = &s->columns[s->n];
        const struct ml_described *d = &s->p->features[i];
        if (!d->searched || d->f.given_up || counts_rows(&d->f, s->p->n))
            continue;
        *l = (struct looked){ 0 };
        if (ml_values_find(&l->values, s->p, &cut, SIZE_MAX, NULL) == 0 && encode(l, s->p->n))
            s->n++;
        else
            release_looked(l);
    }
}

/* Probabilities of which no decision is made. */
static bool undecided(const struct ml_sample *a)
{
    return a->task == ML_TASK_BINARY && a->pred == NULL;
}

static void find_losses(struct search *s, const struct ml_sample *a)
{
    size_t k = (size_t)a->classes;
    double most = 0;
    s->loss = ml_malloc((a->n + 1) * sizeof *s->loss);
    for (size_t i = 0; i < a->n; i++) {
        if (a->task == ML_TASK_REGRESSION)
            s->loss[i] = fabs(a->truth[i] / 2 - a->estimate[i] / 2); /* a difference may overflow */
        else if (a->task == ML_TASK_MULTILABEL)
            s->loss[i] = memcmp(a->labels + i * k, a->preds + i * k, k) != 0;
        else if (undecided(a))
            s->loss[i] = pow(a->score[i] - (a->label[i] == a->positive), 2);
        else
            s->loss[i] = a->label[i] != a->pred[i];
        most = fmax(most, s->loss[i]);
    }
    if (a->task != ML_TASK_REGRESSION)
        return;
    frexp(most, &s->unit);
    for (size_t i = 0; i < a->n; i++)
        s->loss[i] = ldexp(s->loss[i], -s->unit);
    s->unit++;
}

static cJSON *slice_json(const struct search *s, const struct ml_scanned *x)
{
    struct ml_values values[2];
    uint32_t value[2];
    cJSON *o = cJSON_CreateObject();
    char *name = ml_strdup(""), *longer;
    for (size_t k = 0; k < x->n; k++) {
        const struct looked *l = &s->columns[x->column[k]];
        values[k] = l->values;
        value[k] = l->of[x->value[k]];
        longer = ml_format("%s%s%s=%s", name, k > 0 ? "," : "", l->values.column, l->values.names.v[value[k]]);
        free(name);
        name = longer;
    }
    struct ml_slice slice = { name, NULL, x->rows, values, x->n, value };
    ml_json_set_str(o, "name", name);
    ml_slice_describe(o, &slice);
    ml_json_set_num(o, "value", ldexp(x->mean, s->unit));
    ml_json_set_num(o, "rest", ldexp(x->rest, s->unit));
    ml_json_set_num(o, "difference", ldexp(x->mean - x->rest, s->unit));
    ml_json_set_num(o, "low", ldexp(x->low, s->unit));
    ml_json_set_num(o, "high", ldexp(x->high, s->unit));
    ml_json_set_num(o, "p", x->p);
    ml_json_set_num(o, "p_adjusted", x->p_adjusted);
    free(name);
    return o;
}

int ml_found_slices(
    const struct ml_predictions *p, const struct ml_answers *a, double alpha, cJSON **out, struct ml_err *err)
{
    struct search s = { .p = p };
    struct ml_scan_result found;
    if (a->s.task == ML_TASK_RANKING)
        return ml_err_set(err, ML_USAGE, "--find-slices: the rows of a ranking have no error of their own");
    find_columns(&s);
    find_losses(&s, &a->s);
    const uint8_t **code = ml_calloc(s.n + 1, sizeof *code);
    uint8_t *values = ml_calloc(s.n + 1, sizeof *values);
    for (size_t i = 0; i < s.n; i++) {
        code[i] = s.columns[i].code;
        values[i] = (uint8_t)s.columns[i].n;
    }
    struct ml_scan scan = { p->n, s.n, code, values, s.loss, a->s.weight, a->s.group, a->s.groups, ML_FOUND_ROWS,
        alpha };
    ml_scan(&scan, &found);
    cJSON *o = *out = cJSON_CreateObject();
    ml_json_set_str(o, "loss",
        a->s.task == ML_TASK_REGRESSION ? "absolute_error"
        : undecided(&a->s)              ? "squared_error"
                                        : "error");
    cJSON *columns = ml_json_set_array(o, "columns");
    for (size_t i = 0; i < s.n; i++)
        cJSON_AddItemToArray(columns, cJSON_CreateString(s.columns[i].values.column));
    ml_json_set_int(o, "looked_at", (int64_t)found.looked_at);
    if (found.paired < s.n)
        ml_json_set_int(o, "paired", (int64_t)found.paired);
    cJSON *slices = ml_json_set_array(o, "slices");
    for (size_t i = 0; i < found.n; i++)
        cJSON_AddItemToArray(slices, slice_json(&s, &found.v[i]));
    for (size_t i = 0; i < s.n; i++)
        release_looked(&s.columns[i]);
    free(s.columns);
    free(s.loss);
    free(code);
    free(values);
    return 0;
}
