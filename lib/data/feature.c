/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values are numbered by a dictionary until there are very many numbers; from then on each row has its double, and a
 * text's number is the payload of a NaN. */
#include "data/feature.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/column.h"
#include "data/gather.h"

#define NAN_BITS 0x7ff8000000000000u

static double boxed(uint32_t text)
{
    uint64_t bits = NAN_BITS | text;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void ml_feature_release(struct ml_feature *f)
{
    ml_intern_release(&f->dict);
    free(f->value);
    free(f->code);
    free(f->wide);
    *f = (struct ml_feature){ .optional = f->optional };
}

/* A wide column is given its room anew: whether one becomes wide doesn't depend on what it held before. */
void ml_feature_reset(struct ml_feature *f)
{
    if (f->wide != NULL || f->given_up) {
        ml_feature_release(f);
        return;
    }
    ml_intern_reset(&f->dict);
    f->n = f->numbers = 0;
}

static void give_up(struct ml_feature *f)
{
    ml_feature_release(f);
    f->given_up = true;
}

static double number_of(const char *s, size_t len)
{
    double x;
    return ml_column_number(s, len, &x) ? x : NAN;
}

/* From codes to doubles; only texts stay in the dictionary. */
static void widen(struct ml_feature *f)
{
    struct ml_intern texts = { 0 };
    double *map = ml_malloc((f->dict.n + 1) * sizeof *map);
    for (size_t i = 0; i < f->dict.n; i++) {
        map[i] = f->value[i];
        if (isnan(map[i]))
            map[i] = boxed(ml_intern_put(&texts, ml_intern_text(&f->dict, (uint32_t)i), f->dict.entries[i].len));
    }
    f->wide = ml_malloc((f->cap + 1) * sizeof *f->wide);
    for (size_t i = 0; i < f->n; i++)
        f->wide[i] = map[f->code[i]];
    free(map);
    free(f->code);
    free(f->value);
    f->code = NULL;
    f->value = NULL;
    f->value_cap = f->numbers = 0;
    ml_intern_release(&f->dict);
    f->dict = texts;
}

static void add_wide(struct ml_feature *f, double x)
{
    f->wide = ml_grow(f->wide, &f->cap, f->n + 1, sizeof *f->wide);
    f->wide[f->n++] = x;
}

/* What a value is in a wide column. */
static double wide_value(struct ml_feature *f, const char *s, size_t len)
{
    double x = number_of(s, len);
    return isnan(x) ? boxed(ml_intern_put(&f->dict, s, len)) : x;
}

/* The code of a value; its number is known from then on. */
static uint32_t code_of(struct ml_feature *f, const char *s, size_t len)
{
    size_t before = f->dict.n;
    uint32_t code = ml_intern_put(&f->dict, s, len);
    if (f->dict.n > before) {
        f->value = ml_grow(f->value, &f->value_cap, f->dict.n, sizeof *f->value);
        f->value[code] = number_of(s, len);
        f->numbers += !isnan(f->value[code]);
    }
    return code;
}

/* After values came in. */
static void settle(struct ml_feature *f)
{
    if (f->wide == NULL && f->numbers > ML_FEATURE_NUMBERS)
        widen(f);
    if (f->optional && f->dict.n - f->numbers > ML_FEATURE_TEXTS)
        give_up(f);
}

void ml_feature_add(struct ml_feature *f, struct ml_cell cell)
{
    if (f->given_up)
        return;
    if (f->wide != NULL) {
        add_wide(f, wide_value(f, cell.s, cell.len));
        settle(f);
        return;
    }
    size_t before = f->dict.n;
    uint32_t code = code_of(f, cell.s, cell.len);
    f->code = ml_grow(f->code, &f->cap, f->n + 1, sizeof *f->code);
    f->code[f->n++] = code;
    if (f->dict.n > before)
        settle(f);
}

/* The rows of a part, narrow or wide, as doubles. */
static void append_wide(struct ml_feature *f, const struct ml_feature *part)
{
    double *map = ml_malloc((part->dict.n + 1) * sizeof *map);
    for (size_t i = 0; i < part->dict.n; i++)
        map[i] = wide_value(f, ml_intern_text(&part->dict, (uint32_t)i), part->dict.entries[i].len);
    f->wide = ml_grow(f->wide, &f->cap, f->n + part->n, sizeof *f->wide);
    for (size_t i = 0; i < part->n; i++) {
        if (part->wide == NULL)
            f->wide[f->n + i] = map[part->code[i]];
        else
            f->wide[f->n + i] = isnan(part->wide[i]) ? map[ml_feature_text(part, i)] : part->wide[i];
    }
    f->n += part->n;
    free(map);
}

static void append_codes(struct ml_feature *f, const struct ml_feature *part)
{
    uint32_t *map = ml_malloc((part->dict.n + 1) * sizeof *map);
    for (size_t i = 0; i < part->dict.n; i++)
        map[i] = code_of(f, ml_intern_text(&part->dict, (uint32_t)i), part->dict.entries[i].len);
    f->code = ml_grow(f->code, &f->cap, f->n + part->n, sizeof *f->code);
    for (size_t i = 0; i < part->n; i++)
        f->code[f->n + i] = map[part->code[i]];
    f->n += part->n;
    free(map);
}

void ml_feature_append(struct ml_feature *f, const struct ml_feature *part)
{
    if (f->given_up || (part->n == 0 && !part->given_up))
        return;
    if (part->given_up) {
        give_up(f);
        return;
    }
    if (f->wide == NULL && part->wide != NULL)
        widen(f);
    if (f->wide != NULL)
        append_wide(f, part);
    else
        append_codes(f, part);
    settle(f);
}

void ml_feature_take(struct ml_feature *f, const uint32_t *rows, size_t n)
{
    double *wide = f->wide != NULL ? ml_malloc((n + 1) * sizeof *wide) : NULL;
    uint32_t *code = f->code != NULL ? ml_malloc((n + 1) * sizeof *code) : NULL;
    if (wide != NULL)
        ml_gather(wide, f->wide, sizeof *wide, rows, n);
    if (code != NULL)
        ml_gather_codes(code, f->code, f->dict.n, f->n, rows, n);
    free(f->wide);
    free(f->code);
    f->wide = wide;
    f->code = code;
    f->n = f->cap = f->given_up ? 0 : n;
}

double ml_feature_number(const struct ml_feature *f, size_t row)
{
    return f->wide != NULL ? f->wide[row] : f->value[f->code[row]];
}

uint32_t ml_feature_text(const struct ml_feature *f, size_t row)
{
    uint64_t bits;
    if (f->wide == NULL)
        return f->code[row];
    memcpy(&bits, &f->wide[row], sizeof bits);
    return (uint32_t)bits;
}

void ml_feature_compare(const struct ml_feature *a, const struct ml_feature *b, const uint32_t *x, const uint32_t *y,
    size_t n, void (*differs)(void *ctx, size_t i), void *ctx)
{
    if (a->given_up || b->given_up)
        return;
    int64_t *map = ml_malloc((a->dict.n + 1) * sizeof *map);
    for (size_t i = 0; i < a->dict.n; i++)
        map[i] = ml_intern_find(&b->dict, ml_intern_text(&a->dict, (uint32_t)i), a->dict.entries[i].len);
    for (size_t i = 0; i < n; i++) {
        size_t of_a = x != NULL ? x[i] : i, of_b = y != NULL ? y[i] : i;
        double p = ml_feature_number(a, of_a), q = ml_feature_number(b, of_b);
        bool same = isnan(p) || isnan(q)
                        ? isnan(p) && isnan(q) && map[ml_feature_text(a, of_a)] == ml_feature_text(b, of_b)
                        : p == q;
        if (!same)
            differs(ctx, i);
    }
    free(map);
}
