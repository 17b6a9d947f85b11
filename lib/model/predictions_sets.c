/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets of labels: lists in one cell, or a column of 0 and 1 for each class, in one form. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/json.h"
#include "model/predictions_impl.h"

static void trim(const char **s, size_t *len)
{
    while (*len > 0 && ((*s)[0] == ' ' || (*s)[0] == '\t')) {
        ++*s;
        --*len;
    }
    while (*len > 0 && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
        --*len;
}

/* A number is written in one way, so that 1 and 1.0 are the same class. */
static struct ml_cell one_form(const char *s, size_t len, char buf[32])
{
    double x;
    if (!ml_column_number(s, len, &x))
        return (struct ml_cell){ s, len };
    return (struct ml_cell){ buf, ml_double_format(x, buf) };
}

static int add_name(struct label_set *set, const char *s, size_t len)
{
    char buf[32];
    trim(&s, &len);
    struct ml_cell name = one_form(s, len, buf);
    if (name.len == 0)
        return 0;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.s[i] < ' ')
            return -1;
    set->at = ml_grow(set->at, &set->cap, set->n + 1, sizeof *set->at);
    set->at[set->n++] = set->names.len;
    ml_buf_add(&set->names, name.s, name.len);
    ml_buf_addc(&set->names, '\0');
    return 0;
}

/* The escape whose letter is at p; its last byte, or NULL. */
static const char *list_escape(struct label_set *set, const char *p, const char *end)
{
    char utf8[4];
    size_t used;
    if (p < end && strchr("\\\"'/", *p) != NULL) {
        ml_buf_addc(&set->item, *p);
        return p;
    }
    int c = p < end && *p == 'u' ? ml_json_unicode(p + 1, (size_t)(end - p - 1), &used) : -1;
    if (c < 0)
        return NULL;
    ml_buf_add(&set->item, utf8, (size_t)(ml_utf8_put(utf8, (unsigned)c) - utf8));
    return p + used;
}

/* Behind the name that starts at p, a quoted text or a bare word of a list; NULL: neither. */
static const char *list_item(struct label_set *set, const char *p, const char *end)
{
    char quote = *p;
    const char *from = p;
    if (quote != '"' && quote != '\'') {
        while (p < end && strchr(",[]{}\"", *p) == NULL)
            p++;
        return add_name(set, from, (size_t)(p - from)) < 0 ? NULL : p;
    }
    ml_buf_reset(&set->item);
    for (p++; p < end && *p != quote; p++) {
        if (*p != '\\')
            ml_buf_addc(&set->item, *p);
        else if ((p = list_escape(set, p + 1, end)) == NULL)
            return NULL;
    }
    if (p == end || add_name(set, set->item.data != NULL ? set->item.data : "", set->item.len) < 0)
        return NULL;
    return p + 1;
}

/* ["a", "b"], as JSON has it, or Python. */
static int read_list(struct label_set *set, const char *p, const char *end)
{
    for (;;) {
        while (p < end && *p == ' ')
            p++;
        if (p == end)
            return 0;
        p = list_item(set, p, end);
        while (p != NULL && p < end && *p == ' ')
            p++;
        if (p == NULL || (p < end && *p++ != ','))
            return -1;
    }
}

static int read_cell(struct label_set *set, struct ml_cell cell, const char *separators)
{
    const char *p = cell.s;
    size_t len = cell.len;
    trim(&p, &len);
    if (len >= 2 && p[0] == '[' && p[len - 1] == ']')
        return read_list(set, p + 1, p + len - 1);
    for (const char *end = p + len; p < end;) {
        const char *stop = p;
        while (stop < end && strchr(separators, *stop) == NULL)
            stop++;
        if (add_name(set, p, (size_t)(stop - p)) < 0)
            return -1;
        p = stop + 1;
    }
    return 0;
}

/* 1 or 0; -1: neither. */
static int indicator(struct ml_cell cell)
{
    double x;
    const char *s = cell.s;
    size_t len = cell.len;
    trim(&s, &len);
    cell = ml_column_canonical((struct ml_cell){ s, len });
    if (cell.len == 4 && memcmp(cell.s, "true", 4) == 0)
        return 1;
    if (cell.len == 5 && memcmp(cell.s, "false", 5) == 0)
        return 0;
    return ml_double_parse(cell.s, cell.len, &x) && (x == 0 || x == 1) ? (int)x : -1;
}

static void write_set(struct label_set *set)
{
    const char *names = ml_buf_str(&set->names);
    /* few names, mostly in order: insertion */
    for (size_t i = 1; i < set->n; i++) {
        size_t at = set->at[i], k = i;
        for (; k > 0 && strcmp(names + set->at[k - 1], names + at) > 0; k--)
            set->at[k] = set->at[k - 1];
        set->at[k] = at;
    }
    ml_buf_reset(&set->text);
    for (size_t i = 0; i < set->n; i++) {
        const char *name = names + set->at[i];
        if (i > 0 && strcmp(name, names + set->at[i - 1]) == 0)
            continue;
        ml_buf_adds(&set->text, name);
        ml_buf_addc(&set->text, ML_SET_END);
    }
}

int ml_reading_set(struct reading *rd, const struct ml_cell *cells, const struct set_columns *c, struct ml_cell *out)
{
    struct label_set *set = &rd->set;
    set->n = 0;
    ml_buf_reset(&set->names);
    if (c->n == 0 && cells[c->column].s == NULL)
        return ml_reading_bad_cell(rd, ml_table_line(rd->t), c->column, "no list of labels; the empty set is []");
    if (c->n == 0 && read_cell(set, cells[c->column], rd->r->separators) < 0)
        return ml_reading_bad_cell(rd, ml_table_line(rd->t), c->column, "not a list of labels");
    for (size_t i = 0; i < c->n; i++) {
        int on = indicator(cells[c->columns[i]]);
        if (on < 0)
            return ml_reading_bad_cell(
                rd, ml_table_line(rd->t), c->columns[i], "a column of one class holds 1 where a row has it, else 0");
        if (on > 0)
            add_name(set, c->names->v[i], strlen(c->names->v[i]));
    }
    write_set(set);
    if (set->names.full || set->item.full || set->text.full)
        return ml_reading_bad_cell(rd, ml_table_line(rd->t), c->column, "a longer set than can be held");
    *out = (struct ml_cell){ ml_buf_str(&set->text), set->text.len };
    return 0;
}

/* A column's class in the form that labels have, of which there is no other column. */
static int name_indicator(struct reading *rd, struct ml_intern *seen, int column, char **name)
{
    struct label_set *set = &rd->set;
    size_t before = seen->n;
    set->n = 0;
    ml_buf_reset(&set->names);
    if (add_name(set, *name, strlen(*name)) < 0 || set->n == 0)
        return ml_reading_bad_cell(rd, 1, column, "what stands behind the prefix is no name of a class");
    free(*name);
    *name = ml_strdup(ml_buf_str(&set->names));
    if (ml_intern_put(seen, *name, strlen(*name)) < before)
        return ml_reading_bad_cell(rd, 1, column, "a second column of this class");
    return 0;
}

static int find_indicators(struct reading *rd, const char *prefix, struct set_columns *c, struct ml_strs *names)
{
    struct ml_intern seen = { 0 };
    int rc = ml_reading_find_classes(rd, prefix, &c->columns, &c->n, names);
    for (size_t i = 0; rc == 0 && i < names->n; i++)
        rc = name_indicator(rd, &seen, c->columns[i], &names->v[i]);
    ml_intern_release(&seen);
    if (rc < 0)
        return -1;
    c->names = names;
    c->column = c->columns[0];
    return 0;
}

int ml_reading_find_sets(struct reading *rd, struct roles *r, const struct ml_columns *c)
{
    struct ml_predictions *p = rd->p;
    const char *given = c->separator != NULL ? c->separator : ";|,";
    r->sets = p->sets = true;
    if (c->separator != NULL && (strlen(c->separator) != 1 || (unsigned char)c->separator[0] < ' '))
        return ml_err_set(rd->err, ML_USAGE, "--separator '%s': one character, as in ';'", c->separator);
    r->separators = given;
    if (c->labels != NULL && find_indicators(rd, c->labels, &r->label_set, &p->label_names) < 0)
        return -1;
    if (c->predictions != NULL && find_indicators(rd, c->predictions, &r->prediction_set, &p->prediction_names) < 0)
        return -1;
    if (c->labels != NULL)
        r->label = r->label_set.column;
    if (c->predictions != NULL)
        r->prediction = r->prediction_set.column;
    r->label_set.column = r->label;
    r->prediction_set.column = r->prediction;
    p->label.text = p->prediction.text = true; /* from the first row on, so that no part asks how they began */
    return 0;
}

void ml_label_set_release(struct label_set *set)
{
    ml_buf_release(&set->names);
    ml_buf_release(&set->item);
    ml_buf_release(&set->text);
    free(set->at);
}
