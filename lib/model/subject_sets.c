/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What predictions of sets of labels are about: the classes in their order, and each row's. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/subject_impl.h"

#define CELLS_MAX ((size_t)1 << 33) /* bytes of rows by classes */

/* All classes: interned in the order in which they came, and the place of each in the order of the classes. */
struct sets {
    struct ml_subject *s;
    const struct ml_columns *c;
    struct ml_intern names;
    size_t labels; /* the first of them are labels */
    int32_t *place;
    struct ml_err *err;
};

struct named {
    const char *name;
    double number;
    uint32_t at;
};

static int by_number(const void *a, const void *b)
{
    double x = ((const struct named *)a)->number, y = ((const struct named *)b)->number;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void add_names(struct sets *st, const struct ml_strs *l)
{
    for (size_t i = 0; i < l->n; i++)
        ml_intern_put(&st->names, l->v[i], strlen(l->v[i]));
}

static void add_column(struct sets *st, const struct ml_column *c)
{
    for (size_t i = 0; i < c->dict.n; i++)
        for (const char *p = ml_intern_text(&c->dict, (uint32_t)i), *end; (end = strchr(p, ML_SET_END)) != NULL;
             p = end + 1)
            ml_intern_put(&st->names, p, (size_t)(end - p));
}

/* The class whose scores a column PREFIX<class> holds: numbers in the form that labels have. */
static uint32_t score_class(struct sets *st, const char *name)
{
    char buf[32];
    double x;
    if (ml_column_number(name, strlen(name), &x))
        return ml_intern_put(&st->names, buf, ml_double_format(x, buf));
    return ml_intern_put(&st->names, name, strlen(name));
}

/* Numbers in order, or texts in byte order. */
static void order_classes(struct sets *st)
{
    size_t n = st->names.n;
    struct named *v = ml_malloc((n + 1) * sizeof *v);
    bool numbers = true;
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct named){ ml_intern_text(&st->names, (uint32_t)i), 0, (uint32_t)i };
        numbers = ml_column_number(v[i].name, strlen(v[i].name), &v[i].number) && numbers;
    }
    if (n > 0)
        qsort(v, n, sizeof *v, numbers ? by_number : by_name);
    st->place = ml_malloc((n + 1) * sizeof *st->place);
    for (size_t i = 0; i < n; i++) {
        st->place[v[i].at] = (int32_t)i;
        ml_strs_add(&st->s->classes, v[i].name);
    }
    free(v);
}

static int collect(struct sets *st, const struct ml_predictions *const *p, size_t n)
{
    bool any = false, among = false;
    for (size_t i = 0; i < n; i++) {
        add_column(st, &p[i]->label);
        add_names(st, &p[i]->label_names);
    }
    st->labels = st->names.n;
    for (size_t i = 0; i < n; i++) {
        struct sets own = { 0 };
        add_column(&own, &p[i]->prediction);
        for (size_t k = 0; k < own.names.n; k++) {
            const char *name = ml_intern_text(&own.names, (uint32_t)k);
            int64_t at = ml_intern_find(&st->names, name, strlen(name));
            any = true;
            among = among || (at >= 0 && (size_t)at < st->labels);
        }
        ml_intern_release(&own.names);
        if (any && !among && st->labels > 0)
            return ml_err_set(st->err, ML_LOCAL, "'%s': no predicted label is among the labels (one of which is '%s')",
                p[i]->name, ml_intern_text(&st->names, 0));
        add_column(st, &p[i]->prediction);
        add_names(st, &p[i]->prediction_names);
        for (size_t k = 0; k < p[i]->score_names.n; k++)
            score_class(st, p[i]->score_names.v[k]);
    }
    if (st->names.n == 0)
        return ml_err_set(st->err, ML_LOCAL, "'%s': no row has a label", p[0]->name);
    order_classes(st);
    return 0;
}

/* Each row's set as bytes. */
static unsigned char *map_column(const struct sets *st, const struct ml_column *c)
{
    size_t k = st->names.n, used = 0, cap = 0;
    unsigned char *out = ml_calloc(c->n * k + 1, 1);
    size_t *start = ml_malloc((c->dict.n + 2) * sizeof *start);
    int32_t *places = NULL;
    for (size_t i = 0; i < c->dict.n; i++) {
        start[i] = used;
        for (const char *p = ml_intern_text(&c->dict, (uint32_t)i), *end; (end = strchr(p, ML_SET_END)) != NULL;
             p = end + 1) {
            places = ml_grow(places, &cap, used + 1, sizeof *places);
            places[used++] = st->place[ml_intern_find(&st->names, p, (size_t)(end - p))];
        }
    }
    start[c->dict.n] = used;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = start[c->code[i]]; j < start[c->code[i] + 1]; j++)
            out[i * k + (size_t)places[j]] = 1;
    free(places);
    free(start);
    return out;
}

/* The scores in the order of the classes. */
static int order_scores(struct sets *st, const struct ml_predictions *p, struct ml_answers *a)
{
    size_t k = st->names.n, columns = p->score_names.n;
    const char *begin = p->scores_begin != NULL ? p->scores_begin : "";
    int64_t *from = ml_malloc((k + 1) * sizeof *from);
    int rc = 0;
    for (size_t i = 0; i < k; i++)
        from[i] = -1;
    for (size_t i = 0; i < columns; i++) {
        int64_t *at = &from[st->place[score_class(st, p->score_names.v[i])]];
        if (*at >= 0)
            rc = ml_err_set(st->err, ML_LOCAL, "'%s': the columns '%s%s' and '%s%s' are of the same class", p->name,
                begin, p->score_names.v[*at], begin, p->score_names.v[i]);
        *at = (int64_t)i;
    }
    for (size_t i = 0; rc == 0 && i < k; i++)
        if (from[i] < 0)
            rc = ml_subject_no_scores(p, st->c, st->s->classes.v[i], st->err);
    if (rc == 0) {
        a->score = ml_malloc((p->n * k + 1) * sizeof *a->score);
        for (size_t r = 0; r < p->n; r++)
            for (size_t i = 0; i < k; i++)
                a->score[r * k + i] = p->score[r * columns + (size_t)from[i]];
        a->s.score = a->score;
    }
    free(from);
    return rc;
}

/* Each class whose score is at the threshold or above. */
static int predict(struct sets *st, const struct ml_predictions *p, struct ml_answers *a)
{
    size_t k = st->names.n;
    bool given = st->c->threshold != NULL;
    if (st->s->tuned != ML_TUNED_NO)
        return ml_err_set(st->err, ML_USAGE, "--threshold '%s' is for two classes", st->c->threshold);
    st->s->thresholded = true;
    for (size_t i = 0; !given && i < p->n * k; i++)
        if (a->score[i] < 0 || a->score[i] > 1)
            return ml_err_set(st->err, ML_USAGE,
                "'%s': row %zu has the score %g: outside 0..1 --threshold is needed to tell what is predicted", p->name,
                i / k + 1, a->score[i]);
    a->preds = ml_malloc(p->n * k + 1);
    for (size_t i = 0; i < p->n * k; i++)
        a->preds[i] = a->score[i] >= st->s->threshold;
    return 0;
}

static int answer(struct sets *st, const struct ml_predictions *p, struct ml_answers *a)
{
    a->s.classes = (int32_t)st->names.n;
    a->s.positive = -1;
    if (p->n > CELLS_MAX / st->names.n)
        return ml_err_set(
            st->err, ML_LOCAL, "'%s': %zu rows of %zu classes are too many for sets", p->name, p->n, st->names.n);
    a->s.labels = a->labels = map_column(st, &p->label);
    if (p->score_names.n > 0 && order_scores(st, p, a) < 0)
        return -1;
    a->score_ignored = p->score != NULL && p->score_names.n == 0;
    if (p->prediction.n > 0)
        a->preds = map_column(st, &p->prediction);
    else if (p->score_names.n == 0)
        return ml_err_set(
            st->err, ML_LOCAL, "'%s': sets need predictions, or a score for each class (--scores)", p->name);
    else if (predict(st, p, a) < 0)
        return -1;
    a->s.preds = a->preds;
    return 0;
}

int ml_subject_settle_sets(struct ml_subject *s, const struct ml_columns *c, const struct ml_predictions *const *p,
    size_t n, struct ml_answers *const *out, struct ml_err *err)
{
    struct sets st = { .s = s, .c = c, .err = err };
    int rc = collect(&st, p, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = answer(&st, p[i], out[i]);
    ml_intern_release(&st.names);
    free(st.place);
    return rc;
}
