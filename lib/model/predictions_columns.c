/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which column of a file of predictions is what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/predictions_impl.h"

int ml_reading_no_column(struct reading *rd, const char *what)
{
    struct ml_buf have;
    const struct ml_strs *l = ml_table_columns(rd->t);
    bool row = false; /* a name is a number, and not the column's own, as it is without a header */
    double x;
    ml_buf_init(&have, 300);
    for (size_t i = 0; i < l->n; i++) {
        ml_buf_addf(&have, "%s'%s'", i > 0 ? ", " : "", l->v[i]);
        row = row || (ml_double_parse(l->v[i], strlen(l->v[i]), &x) && x != (double)(i + 1));
    }
    bool text = ml_table_delimiter(rd->t) != '\0', other = text && l->n == 1 && strpbrk(l->v[0], "| ") != NULL;
    ml_err_set(rd->err, ML_LOCAL, "'%s': line 1: %s; the file has %s%s%s", rd->p->name, what, ml_buf_str(&have),
        have.full ? "…" : "",
        other         ? " alone: columns are parted by commas, semicolons or tabs"
        : text && row ? "; where the first line is a row, --no-header says so"
                      : "");
    ml_buf_release(&have);
    return -1;
}

/* The column that was asked for, or the usual one where the file has it. */
static int find_column(struct reading *rd, const char *asked, const char *usual, int *out)
{
    char what[200];
    *out = asked != NULL ? ml_table_pick(rd->t, asked) : ml_table_column(rd->t, usual);
    const char *why = *out < 0 ? ml_table_left_out(rd->t, asked != NULL ? asked : usual) : NULL;
    if (why != NULL)
        return ml_err_set(rd->err, ML_LOCAL, "'%s': %s", rd->p->name, why);
    if (*out >= 0 || asked == NULL)
        return 0;
    snprintf(what, sizeof what, "no column '%s'", asked);
    return ml_reading_no_column(rd, what);
}

/* A column that describes the row: nothing is found where the file may lack it. */
static int find_descriptor(struct reading *rd, const char *asked, int *out)
{
    *out = asked != NULL ? ml_table_pick(rd->t, asked) : -1;
    return *out >= 0 || asked == NULL || rd->lenient ? 0 : find_column(rd, asked, "", out);
}

/* "3-7": columns by number, of the classes that they are called. Where columns have no names but their numbers the
 * classes are 0, 1 and so on, as a model counts them. 1: that isn't what it says. */
static int find_range(struct reading *rd, const char *spec, int *columns, size_t *n, struct ml_strs *names)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    char what[200], *from = ml_strdup(spec), *to = strchr(from, '-');
    int64_t first, last;
    bool range = to != NULL && (*to++ = '\0', true) && ml_int_parse(from, &first) && ml_int_parse(to, &last);
    free(from);
    if (!range || first < 1 || last < first)
        return 1;
    if ((uint64_t)last > l->n) {
        snprintf(what, sizeof what, "no columns %s", spec);
        return ml_reading_no_column(rd, what);
    }
    for (int64_t i = first; i <= last; i++) {
        char number[24], class[24];
        snprintf(number, sizeof number, "%lld", (long long)i);
        snprintf(class, sizeof class, "%lld", (long long)(i - first));
        columns[(*n)++] = (int)i - 1;
        ml_strs_add(names, strcmp(l->v[i - 1], number) == 0 ? class : l->v[i - 1]);
    }
    return 0;
}

/* Where the names of its columns go on with a dot an object of JSON Lines is meant. */
static bool is_object(const struct reading *rd, const char *prefix, size_t len)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    bool found = false;
    for (size_t i = 0; !found && i < l->n; i++)
        found = strncmp(l->v[i], prefix, len) == 0 && l->v[i][len] == '.' && l->v[i][len + 1] != '\0';
    return found && ml_table_delimiter(rd->t) == '\0' && len > 0 && prefix[len - 1] != '.';
}

int ml_reading_find_classes(struct reading *rd, const char *prefix, int **columns, size_t *n, struct ml_strs *names)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    size_t len = strlen(prefix), before = l->n;
    int list = ml_table_spread(rd->t, prefix, rd->err);
    if (list < 0)
        return -1;
    bool object = list != 0 && is_object(rd, prefix, len);
    char what[200];
    *columns = ml_calloc(l->n + 1, sizeof **columns);
    for (size_t i = list == 0 ? before : 0; i < l->n; i++)
        if (strncmp(l->v[i], prefix, len) == 0 && (!object || l->v[i][len] == '.') && l->v[i][len + object] != '\0') {
            (*columns)[(*n)++] = (int)i;
            ml_strs_add(names, l->v[i] + len + object);
        }
    if (*n > 0 && list != 0) {
        char *begin = ml_format("%s%s", prefix, object ? "." : "");
        ml_table_close_prefix(rd->t, begin);
        free(begin);
    }
    if (*n > 0)
        return 0;
    int rc = find_range(rd, prefix, *columns, n, names);
    if (rc <= 0)
        return rc;
    if (len > 0 && ml_table_column(rd->t, prefix) >= 0)
        return ml_err_set(rd->err, ML_LOCAL,
            "'%s': line 1: '%.150s' is one column, and no other starts with that (--score, --label and --prediction "
            "take "
            "one, --scores, --labels and --predictions one a class)",
            rd->p->name, prefix);
    snprintf(what, sizeof what, "no column starts with '%s'", prefix);
    return ml_reading_no_column(rd, what);
}

/* Whether columns PREFIX<class> are those of the labels' classes, all of them and no others. */
static bool one_each(const struct reading *rd, const char *prefix, size_t len)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    const struct ml_intern *classes = &rd->p->label.dict;
    size_t columns = 0;
    for (size_t i = 0; i < l->n; i++)
        columns += strncmp(l->v[i], prefix, len) == 0 && l->v[i][len] != '\0';
    bool all = columns == classes->n;
    for (size_t k = 0; all && k < classes->n; k++) {
        char *name = ml_format("%.*s%s", (int)len, prefix, ml_intern_text(classes, (uint32_t)k));
        all = ml_table_column(rd->t, name) >= 0;
        free(name);
    }
    return all;
}

char *ml_reading_scores_prefix(const struct reading *rd)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    const struct ml_column *label = &rd->p->label;
    if (label->dense != NULL || label->dict.n < 2)
        return NULL;
    const char *class = ml_intern_text(&label->dict, 0);
    size_t n = strlen(class);
    for (size_t i = 0; i < l->n; i++) {
        size_t len = strlen(l->v[i]);
        if (len > n && strcmp(l->v[i] + len - n, class) == 0 && one_each(rd, l->v[i], len - n))
            return ml_strndup(l->v[i], len - n);
    }
    return NULL;
}

/* The current model's file may lack scores that the candidate's has, as long as it says what was predicted. */
static int find_score_columns(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_err *err = rd->err, ignored = ML_ERR_INIT;
    bool may_lack = rd->lenient && r->prediction >= 0;
    if (may_lack)
        rd->err = &ignored;
    int rc = c->scores != NULL ? ml_reading_find_classes(rd, c->scores, &r->scores, &r->n_scores, &rd->p->score_names)
                               : find_column(rd, c->score, "score", &r->score);
    rd->err = err;
    if (r->n_scores > 0) {
        const char *first = ml_table_columns(rd->t)->v[r->scores[0]];
        rd->p->scores_by_number = strncmp(first, c->scores, strlen(c->scores)) != 0;
        if (!rd->p->scores_by_number)
            rd->p->scores_begin = ml_strndup(first, strlen(first) - strlen(rd->p->score_names.v[0]));
    }
    return may_lack ? 0 : rc;
}

/* What --scores may be meant to take: the name of a list, or of an object, of JSON Lines; owned, or NULL. */
static char *scores_meant(struct reading *rd)
{
    const struct ml_strs *l = ml_table_columns(rd->t);
    for (size_t i = 0, n = l->n; ml_table_delimiter(rd->t) == '\0' && i < n; i++) {
        const char *dot = strrchr(l->v[i], '.');
        size_t len = dot != NULL ? (size_t)(dot - l->v[i]) : 0;
        if (ml_table_spreads(rd->t, i))
            return ml_strdup(l->v[i]);
        if (len > 0 && i + 1 < n && strncmp(l->v[i], l->v[i + 1], len + 1) == 0)
            return ml_strndup(l->v[i], len);
    }
    return NULL;
}

static int nothing_said(struct reading *rd)
{
    char *meant = scores_meant(rd);
    char *what = ml_format("neither a column 'prediction' nor 'score' (name one with --prediction, --score or --scores "
                           "PREFIX%s%.80s%s)",
        meant != NULL ? "; is --scores " : "", meant != NULL ? meant : "", meant != NULL ? " meant?" : "");
    ml_reading_no_column(rd, what);
    free(what);
    free(meant);
    return -1;
}

int ml_reading_find_columns(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    if (find_column(rd, c->id, "id", &r->id) < 0 || find_column(rd, c->label, "label", &r->label) < 0 ||
        find_column(rd, c->prediction, "prediction", &r->prediction) < 0 ||
        find_descriptor(rd, c->weight, &r->weight) < 0 || find_descriptor(rd, c->group, &r->group) < 0)
        return -1;
    bool sets = c->labels != NULL || c->predictions != NULL || (c->task != NULL && strcmp(c->task, "multilabel") == 0);
    if (sets && ml_reading_find_sets(rd, r, c) < 0)
        return -1;
    bool probabilistic = c->task != NULL && strcmp(c->task, "probabilistic") == 0;
    if (probabilistic && c->prediction != NULL)
        return ml_err_set(rd->err, ML_USAGE, "--prediction plays no part in --task probabilistic");
    if (probabilistic)
        r->prediction = -1;
    if (r->label < 0)
        return ml_reading_no_column(
            rd, sets ? "no column 'label' (name it with --label, or columns of 0 and 1 with --labels)"
                     : "no column 'label' (name it with --label)");
    r->score = -1;
    if (find_score_columns(rd, r, c) < 0)
        return -1;
    if (probabilistic && r->score < 0 && r->n_scores == 0)
        return ml_reading_no_column(rd, "no column 'score' with the probability (name it with --score)");
    if (r->prediction < 0 && r->score < 0 && r->n_scores == 0)
        return nothing_said(rd);
    p->score_asked = c->score != NULL;
    if (ml_reading_find_slices(rd, r, c) < 0)
        return -1;
    p->has_id = r->id >= 0;
    p->score_columns = r->n_scores > 0 ? r->n_scores : r->score >= 0;
    return 0;
}

void ml_columns_release(struct ml_columns *c)
{
    ml_strs_release(&c->slices);
    ml_strs_release(&c->named);
    ml_strs_release(&c->metrics);
    ml_strs_release(&c->offered);
}
