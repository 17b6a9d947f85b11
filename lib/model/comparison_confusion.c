/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two confusion matrices side by side. */
#include "model/comparison_confusion.h"

#include <stdlib.h>

static void add(cJSON *to, const char *key, const struct ml_sample *sample, size_t k)
{
    uint64_t *counts = ml_malloc((k * k + 1) * sizeof *counts);
    cJSON *rows = ml_json_set_array(to, key);

    ml_sample_confusion(sample, counts);
    for (size_t i = 0; i < k; i++) {
        cJSON *row = cJSON_CreateArray();
        for (size_t j = 0; j < k; j++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)counts[i * k + j]));
        cJSON_AddItemToArray(rows, row);
    }
    free(counts);
}

void ml_comparison_confusion(
    cJSON *to, const struct ml_subject *s, const struct ml_sample *current, const struct ml_sample *candidate)
{
    size_t k = s->classes.n;

    if ((s->task != ML_TASK_BINARY && s->task != ML_TASK_MULTICLASS) || k > ML_COMPARISON_CONFUSION_MAX ||
        current->pred == NULL || candidate->pred == NULL)
        return;
    cJSON *o = ml_json_set_object(to, "confusion"), *labels = ml_json_set_array(o, "labels");
    for (size_t i = 0; i < k; i++)
        cJSON_AddItemToArray(labels, cJSON_CreateString(s->classes.v[i]));
    add(o, "current", current, k);
    add(o, "candidate", candidate, k);
}
