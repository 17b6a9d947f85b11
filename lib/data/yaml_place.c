/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the values of a YAML text stand, and messages that say so. */
#include "data/yaml_place.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

void ml_yaml_message(char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; (i += ml_utf8_check(s + i, n - i)) < n; i++)
        s[i] = '?';
    ml_text_harmless(s);
}

void ml_yaml_place(struct ml_yaml *y, const cJSON *node, unsigned line, unsigned column)
{
    y->places = ml_grow(y->places, &y->cap, y->n + 1, sizeof(*y->places));
    y->places[y->n++] = (struct ml_yaml_place){ .node = node, .line = line, .column = column };
}

static int by_node(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct ml_yaml_place *)a)->node,
              y = (uintptr_t)((const struct ml_yaml_place *)b)->node;
    return x < y ? -1 : x > y;
}

void ml_yaml_places_sort(struct ml_yaml *y)
{
    if (y->n)
        qsort(y->places, y->n, sizeof(*y->places), by_node);
}

void ml_yaml_release(struct ml_yaml *y)
{
    cJSON_Delete(y->root);
    free(y->name);
    free(y->places);
    *y = (struct ml_yaml)ML_YAML_INIT;
}

const struct ml_yaml_place *ml_yaml_where(const struct ml_yaml *y, const cJSON *node)
{
    struct ml_yaml_place want = { .node = node };
    return node && y->n ? bsearch(&want, y->places, y->n, sizeof(want), by_node) : NULL;
}

int ml_yaml_fail(
    const struct ml_yaml *y, const cJSON *node, struct ml_err *err, enum ml_code code, const char *fmt, ...)
{
    char why[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    ml_yaml_message(why);
    const struct ml_yaml_place *p = ml_yaml_where(y, node);
    if (!p)
        return ml_err_set(err, code, "%s: %s", y->name, why);
    return ml_err_set(err, code, "%s: line %u: %s", y->name, p->line, why);
}
