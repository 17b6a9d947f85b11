/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scalars of the core schema. */
#include "data/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool one_of(const char *s, const char *const *list)
{
    for (; *list; list++) {
        if (!strcmp(s, *list))
            return true;
    }
    return false;
}

cJSON *ml_yaml_plain(const char *s, size_t n, bool *odd)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const trues[] = { "true", "True", "TRUE", NULL };
    static const char *const falses[] = { "false", "False", "FALSE", NULL };
    static const char *const infinite[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };
    if (one_of(s, nulls))
        return cJSON_CreateNull();
    if (one_of(s, trues))
        return cJSON_CreateTrue();
    if (one_of(s, falses))
        return cJSON_CreateFalse();
    const char *digits = s + (*s == '-' || *s == '+');
    *odd = one_of(digits, infinite);
    if (*odd)
        return NULL;
    if (n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
        const char *set = s[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
        if (strspn(s + 2, set) == n - 2) {
            errno = 0;
            unsigned long long v = strtoull(s + 2, NULL, s[1] == 'x' ? 16 : 8);
            *odd = errno != 0;
            return *odd ? NULL : cJSON_CreateNumber((double)v);
        }
    }
    /* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
    size_t whole = strspn(digits, "0123456789"), i = whole, part = 0;
    if (digits[i] == '.') {
        part = strspn(digits + i + 1, "0123456789");
        i += 1 + part;
    }
    if (whole + part == 0)
        return cJSON_CreateString(s);
    if (digits[i] == 'e' || digits[i] == 'E') {
        size_t e = i + 1 + (digits[i + 1] == '-' || digits[i + 1] == '+');
        size_t k = strspn(digits + e, "0123456789");
        if (k == 0)
            return cJSON_CreateString(s);
        i = e + k;
    }
    if (digits[i])
        return cJSON_CreateString(s);
    double x = strtod(s, NULL);
    *odd = !isfinite(x);
    return *odd ? NULL : cJSON_CreateNumber(x);
}

bool ml_yaml_has_type(const cJSON *node, const char *tag)
{
    if (!strcmp(tag, "int"))
        return cJSON_IsNumber(node) && node->valuedouble == floor(node->valuedouble);
    if (!strcmp(tag, "float"))
        return cJSON_IsNumber(node);
    if (!strcmp(tag, "bool"))
        return cJSON_IsBool(node);
    if (!strcmp(tag, "null"))
        return cJSON_IsNull(node);
    return false;
}
