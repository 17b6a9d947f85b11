/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The classes of predictions in their order: numbers as numbers, texts as bytes. */
#include "model/subject_classes.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void classes_add_number(struct classes *k, double x)
{
    k->number = ml_grow(k->number, &k->cap, k->n + 1, sizeof *k->number);
    k->number[k->n++] = x;
}

void classes_add_name(struct classes *k, const char *s)
{
    k->name = ml_grow(k->name, &k->cap, k->n + 1, sizeof *k->name);
    k->name[k->n++] = s;
}

void classes_sort(struct classes *k)
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

void classes_add_text(struct classes *k, const char *s)
{
    char buf[32];
    const char *name = text_name(k, s, buf);
    if (name == buf) {
        ml_strs_add(&k->written, buf);
        name = k->written.v[k->written.n - 1];
    }
    classes_add_name(k, name);
}

void classes_add_column(struct classes *k, const struct ml_column *c)
{
    for (size_t i = 0; c->dense == NULL && i < c->dict.n; i++) {
        if (k->text)
            classes_add_text(k, ml_intern_text(&c->dict, (uint32_t)i));
        else
            classes_add_number(k, c->value[i]);
    }
    for (size_t i = 0; c->dense != NULL && i < c->n; i++)
        classes_add_number(k, c->dense[i]);
    classes_sort(k);
}

int32_t classes_find_number(const struct classes *k, double x)
{
    const double *at = bsearch(&x, k->number, k->n, sizeof *k->number, by_number);
    return at != NULL ? (int32_t)(at - k->number) : -1;
}

int32_t classes_find(const struct classes *k, const char *s)
{
    double x;
    char buf[32];
    if (k->n == 0)
        return -1;
    if (!k->text)
        return ml_column_number(s, strlen(s), &x) ? classes_find_number(k, x) : -1;
    const char *name = text_name(k, s, buf), **at = bsearch(&name, k->name, k->n, sizeof *k->name, by_name);
    return at != NULL ? (int32_t)(at - k->name) : -1;
}

struct mapping {
    const struct classes *k;
    const struct ml_column *c;
    int32_t *of_text; /* the class of each text of the column */
    int32_t *out;     /* may be the column's codes */
};

/* Codes that are the classes already need no look at their rows. */
static bool maps_to_itself(const struct mapping *m)
{
    for (size_t i = 0; i < m->c->dict.n; i++)
        if (m->of_text[i] != (int32_t)i)
            return false;
    return m->c->dense == NULL && m->out == (int32_t *)m->c->code;
}

static void map_block(void *ctx, size_t b, size_t thread)
{
    struct mapping *m = ctx;
    size_t end = ml_parallel_end(m->c->n, b);
    (void)thread;
    for (size_t i = b * ML_PARALLEL_ROWS; i < end; i++)
        m->out[i] = m->c->dense != NULL ? classes_find_number(m->k, m->c->dense[i]) : m->of_text[m->c->code[i]];
}

static int32_t *map_into(const struct classes *k, const struct ml_column *c, int32_t *out)
{
    struct mapping m = { .k = k, .c = c, .out = out };
    m.of_text = ml_malloc((c->dict.n + 1) * sizeof *m.of_text);
    for (size_t i = 0; i < c->dict.n; i++)
        m.of_text[i] =
            k->text ? classes_find(k, ml_intern_text(&c->dict, (uint32_t)i)) : classes_find_number(k, c->value[i]);
    if (!maps_to_itself(&m))
        ml_parallel(ml_parallel_blocks(c->n), map_block, &m);
    free(m.of_text);
    return out;
}

int32_t *classes_map(const struct classes *k, const struct ml_column *c)
{
    return map_into(k, c, ml_malloc((c->n + 1) * sizeof(int32_t)));
}

int32_t *classes_take(const struct classes *k, struct ml_column *c)
{
    if (c->dense != NULL || c->code == NULL)
        return classes_map(k, c);
    int32_t *out = map_into(k, c, (int32_t *)c->code);
    c->code = NULL;
    c->cap = 0;
    return out;
}

const char *classes_name(const struct classes *k, size_t i, char buf[32])
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
        const char *s = classes_name(k, i, buf);
        if (strcmp(s, a) != 0 && strcmp(s, b) != 0)
            return false;
    }
    return true;
}

const char *classes_positive(const struct classes *k)
{
    return among(k, "0", "1") || among(k, "-1", "1") ? "1" : among(k, "false", "true") ? "true" : NULL;
}

void classes_release(struct classes *k)
{
    free(k->number);
    free(k->name);
    ml_strs_release(&k->written);
}
