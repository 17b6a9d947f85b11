/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns that find out what they are. */
#include "data/column.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "data/gather.h"

void ml_column_release(struct ml_column *c)
{
    ml_intern_release(&c->dict);
    free(c->value);
    free(c->line);
    free(c->code);
    free(c->dense);
    *c = (struct ml_column){ 0 };
}

bool ml_column_number(const char *s, size_t len, double *out)
{
    size_t at = len > 0 && s[0] == '-', digits = 0;
    if (len > 64 || at == len || ((s[at] < '0' || s[at] > '9') && s[at] != '.'))
        return false;
    if (s[at] == '0' && at + 1 < len && s[at + 1] >= '0' && s[at + 1] <= '9')
        return false;
    while (at + digits < len && s[at + digits] >= '0' && s[at + digits] <= '9')
        digits++;
    if (at + digits == len && digits <= 15) {
        double x = 0;
        for (size_t i = at; i < len; i++)
            x = x * 10 + (s[i] - '0');
        *out = at > 0 && x > 0 ? -x : x;
        return true;
    }
    if (at + digits == len || !ml_double_parse(s, len, out) || isinf(*out))
        return false;
    if (*out == 0)
        *out = 0;
    return true;
}

bool ml_column_not_finite(const char *s, size_t len)
{
    double x;
    if (ml_double_parse(s, len, &x))
        return isinf(x);
    if (len > 0 && (s[0] == '-' || s[0] == '+')) {
        s++;
        len--;
    }
    return (len == 3 && (strncasecmp(s, "nan", 3) == 0 || strncasecmp(s, "inf", 3) == 0)) ||
           (len == 8 && strncasecmp(s, "infinity", 8) == 0);
}

bool ml_column_missing(const char *s, size_t len)
{
    static const char *const words[] = { "", "na", "n/a", "nan", "null", "none" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], s, len) == 0)
            return true;
    return false;
}

bool ml_column_comma(const char *s, size_t len)
{
    const char *comma = memchr(s, ',', len);
    char point[64];
    double x;

    if (comma == NULL || len > sizeof point)
        return false;
    memcpy(point, s, len);
    point[comma - s] = '.';
    return ml_double_parse(point, len, &x);
}

struct ml_cell ml_column_canonical_word(struct ml_cell cell)
{
    if (cell.len == 4 && strncasecmp(cell.s, "true", 4) == 0)
        cell.s = "true";
    else if (cell.len == 5 && strncasecmp(cell.s, "false", 5) == 0)
        cell.s = "false";
    return cell;
}

static void make_dense(struct ml_column *c)
{
    c->dense = ml_malloc((c->cap + 1) * sizeof *c->dense);
    for (size_t i = 0; i < c->n; i++)
        c->dense[i] = c->value[c->code[i]];
    free(c->code);
    c->code = NULL;
    ml_intern_release(&c->dict);
}

static int add_dense(struct ml_column *c, struct ml_cell cell)
{
    double x;
    if (!ml_column_number(cell.s, cell.len, &x))
        return -1;
    if (c->n >= c->cap)
        c->dense = ml_grow(c->dense, &c->cap, c->n + 1, sizeof *c->dense);
    c->dense[c->n++] = x;
    return 0;
}

int ml_column_add_any(struct ml_column *c, struct ml_cell cell, uint64_t line)
{
    if (c->dense != NULL)
        return add_dense(c, cell);
    size_t known = c->dict.n;
    uint32_t code = ml_intern_put(&c->dict, cell.s, cell.len);
    if (code == known) {
        c->value = ml_grow(c->value, &c->value_cap, known + 1, sizeof *c->value);
        c->line = ml_grow(c->line, &c->line_cap, known + 1, sizeof *c->line);
        c->line[code] = line;
        if (!ml_column_number(cell.s, cell.len, &c->value[code])) {
            c->value[code] = NAN;
            c->text = true;
        }
    }
    if (c->n >= c->cap)
        c->code = ml_grow(c->code, &c->cap, c->n + 1, sizeof *c->code);
    c->code[c->n++] = code;
    if (!c->text && c->dict.n > ML_COLUMN_DISTINCT)
        make_dense(c);
    return 0;
}

void ml_column_expect_numbers(struct ml_column *c)
{
    make_dense(c);
}

void ml_column_reserve(struct ml_column *c, size_t rows)
{
    if (c->dense != NULL)
        c->dense = ml_reserve(c->dense, &c->cap, rows, sizeof *c->dense);
    else
        c->code = ml_reserve(c->code, &c->cap, rows, sizeof *c->code);
}

void ml_column_reset(struct ml_column *c)
{
    ml_intern_reset(&c->dict);
    if (c->dense != NULL) {
        free(c->dense);
        c->dense = NULL;
        c->cap = 0;
    }
    c->n = 0;
    c->text = false;
}

static void append_numbers(struct ml_column *c, const struct ml_column *part)
{
    c->dense = ml_grow(c->dense, &c->cap, c->n + part->n, sizeof *c->dense);
    ml_populate(c->dense + c->n, part->n * sizeof *c->dense);
    for (size_t i = 0; i < part->n; i++)
        c->dense[c->n + i] = ml_column_at(part, i);
    c->n += part->n;
}

/* The part's texts get the numbers that they would have got row by row, for they are in the order in which they came.
 */
static void append_codes(struct ml_column *c, const struct ml_column *part)
{
    uint32_t *code = ml_malloc((part->dict.n + 1) * sizeof *code);
    for (size_t i = 0; i < part->dict.n; i++) {
        size_t known = c->dict.n;
        code[i] = ml_intern_put(&c->dict, ml_intern_text(&part->dict, (uint32_t)i), part->dict.entries[i].len);
        if (code[i] < known)
            continue;
        c->value = ml_grow(c->value, &c->value_cap, known + 1, sizeof *c->value);
        c->line = ml_grow(c->line, &c->line_cap, known + 1, sizeof *c->line);
        c->value[known] = part->value[i];
        c->line[known] = part->line[i];
    }
    c->code = ml_grow(c->code, &c->cap, c->n + part->n, sizeof *c->code);
    ml_populate(c->code + c->n, part->n * sizeof *c->code);
    for (size_t i = 0; i < part->n; i++)
        c->code[c->n + i] = code[part->code[i]];
    c->n += part->n;
    c->text |= part->text;
    free(code);
}

bool ml_column_mixes(const struct ml_column *c, const struct ml_column *part)
{
    if (part->dense != NULL)
        return c->text;
    return part->text && (c->dense != NULL || (!c->text && c->dict.n + part->dict.n > ML_COLUMN_DISTINCT));
}

int ml_column_append(struct ml_column *c, const struct ml_column *part, bool complete, const struct ml_cell *cells,
    const uint64_t *lines, size_t n, size_t *bad)
{
    if (!complete || ml_column_mixes(c, part)) { /* which came first decides */
        for (size_t i = 0; i < n; i++)
            if (ml_column_add(c, cells[i], lines[i]) < 0) {
                *bad = i;
                return -1;
            }
        return 0;
    }
    if (part->dense != NULL && c->dense == NULL)
        make_dense(c);
    if (c->dense != NULL)
        append_numbers(c, part);
    else
        append_codes(c, part);
    if (c->dense == NULL && !c->text && c->dict.n > ML_COLUMN_DISTINCT)
        make_dense(c);
    return 0;
}

double ml_column_at(const struct ml_column *c, size_t row)
{
    return c->dense != NULL ? c->dense[row] : c->value[c->code[row]];
}

struct ml_column ml_column_pick(const struct ml_column *c, const uint32_t *rows, size_t n)
{
    struct ml_column to = *c;
    to.n = n;
    to.cap = n > 0 ? n : 1;
    if (c->dense != NULL) {
        to.dense = ml_malloc(to.cap * sizeof *to.dense);
        ml_gather(to.dense, c->dense, sizeof *to.dense, rows, n);
    } else if (c->code != NULL) {
        to.code = ml_malloc(to.cap * sizeof *to.code);
        ml_gather_codes(to.code, c->code, c->dict.n, c->n, rows, n);
    }
    return to;
}

void ml_column_take(struct ml_column *c, const uint32_t *rows, size_t n)
{
    if (c->dense == NULL && c->code == NULL)
        return;
    if (c->dense == NULL && c->dict.n <= ML_GATHER_FEW && n <= c->cap) {
        ml_gather_codes(c->code, c->code, c->dict.n, c->n, rows, n);
        c->n = n;
        return;
    }
    struct ml_column to = ml_column_pick(c, rows, n);
    free(c->dense);
    free(c->code);
    *c = to;
}
