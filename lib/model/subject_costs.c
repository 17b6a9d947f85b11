/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --cost: "fp=5,fn=1" of two classes, "cat:dog=5" and "error=1" of any. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/subject_impl.h"

static int32_t find_class(const struct ml_subject *s, const char *name)
{
    char number[32];
    double x;
    if (ml_column_number(name, strlen(name), &x))
        number[ml_double_format(x, number)] = '\0'; /* 1.0 is called 1, where classes are numbers */
    else
        number[0] = '\0';
    for (size_t i = 0; i < s->classes.n; i++)
        if (strcmp(s->classes.v[i], name) == 0 || strcmp(s->classes.v[i], number) == 0)
            return (int32_t)i;
    return -1;
}

/* Which cell "fp" and so on are; false: none. */
static bool find_cell(const struct ml_subject *s, const char *key, struct ml_cost *cell)
{
    bool right = key[0] == 't', pred = key[0] != '\0' && key[1] == 'p';
    if (s->positive < 0 || strlen(key) != 2 || strchr("tf", key[0]) == NULL || strchr("pn", key[1]) == NULL)
        return false;
    cell->pred = pred ? s->positive : 1 - s->positive;
    cell->label = right ? cell->pred : 1 - cell->pred;
    return true;
}

static int add_cell(struct ml_costs *c, struct ml_cost cell)
{
    size_t at = 0;
    while (at < c->n &&
           (c->cell[at].label < cell.label || (c->cell[at].label == cell.label && c->cell[at].pred < cell.pred)))
        at++;
    if (at < c->n && c->cell[at].label == cell.label && c->cell[at].pred == cell.pred)
        return -1;
    c->cell = ml_realloc(c->cell, (c->n + 1) * sizeof *c->cell);
    memmove(c->cell + at + 1, c->cell + at, (c->n - at) * sizeof *c->cell);
    c->cell[at] = cell;
    c->n++;
    return 0;
}

/* One "KEY=NUMBER". */
static int add_cost(struct ml_subject *s, char *part, struct ml_err *err)
{
    struct ml_cost cell = { -1, -1, 0 };
    char *equals = strrchr(part, '='), *colon;
    if (equals == NULL || !ml_double_parse(equals + 1, strlen(equals + 1), &cell.cost) || !isfinite(cell.cost) ||
        cell.cost < 0)
        return ml_err_set(
            err, ML_USAGE, "--cost '%s': 'fp=5', 'LABEL:PREDICTION=5' or 'error=1', and none negative", part);
    *equals = '\0';
    s->costs->most = fmax(s->costs->most, cell.cost);
    if (strcmp(part, "error") == 0) {
        s->costs->wrong = cell.cost;
        return 0;
    }
    if ((colon = strchr(part, ':')) != NULL) {
        *colon = '\0';
        cell.label = find_class(s, part);
        cell.pred = find_class(s, colon + 1);
        if (cell.label < 0 || cell.pred < 0)
            return ml_err_set(err, ML_USAGE, "--cost '%s:%s': '%s' is none of the classes; one is '%s'", part,
                colon + 1, cell.label < 0 ? part : colon + 1, s->classes.v[0]);
    } else if (!find_cell(s, part, &cell)) {
        return ml_err_set(err, ML_USAGE, "--cost '%s=%s': %s", part, equals + 1,
            s->positive < 0 ? "of several classes costs are 'LABEL:PREDICTION=5' or 'error=1'"
                            : "costs are of fp, fn, tp, tn, LABEL:PREDICTION or error");
    }
    return add_cell(s->costs, cell) == 0 ? 0 : ml_err_set(err, ML_USAGE, "--cost '%s' is said twice", part);
}

int ml_subject_settle_costs(struct ml_subject *s, const char *spec, struct ml_err *err)
{
    char *text = ml_strdup(spec), *next = text;
    int rc = 0;
    s->costs = ml_calloc(1, sizeof *s->costs);
    while (rc == 0 && next != NULL) {
        char *part = next, *comma = strchr(part, ',');
        next = comma != NULL ? comma + 1 : NULL;
        if (comma != NULL)
            *comma = '\0';
        rc = add_cost(s, part, err);
    }
    if (rc == 0 && !(s->costs->most > 0))
        rc = ml_err_set(err, ML_USAGE, "--cost '%s': nothing costs anything", spec);
    free(text);
    return rc;
}
