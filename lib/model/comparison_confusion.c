/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two confusion matrices side by side. */
#include "model/comparison_impl.h"

#define SHOWN_MAX ((size_t)50) /* classes; beyond them it is left out */

static void add(cJSON *to, const char *key, const uint64_t *counts, size_t k)
{
    cJSON *rows = ml_json_set_array(to, key);
    for (size_t i = 0; i < k; i++) {
        cJSON *row = cJSON_CreateArray();
        for (size_t j = 0; j < k; j++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)counts[i * k + j]));
        cJSON_AddItemToArray(rows, row);
    }
}

void duel_confusion(cJSON *to, const struct duel *d)
{
    size_t k = d->subject.classes.n;
    if (d->cells[0] == NULL || k > SHOWN_MAX)
        return;
    cJSON *o = ml_json_set_object(to, "confusion"), *labels = ml_json_set_array(o, "labels");
    for (size_t i = 0; i < k; i++)
        cJSON_AddItemToArray(labels, cJSON_CreateString(d->subject.classes.v[i]));
    add(o, "current", d->cells[0], k);
    add(o, "candidate", d->cells[1], k);
}
