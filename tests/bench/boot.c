/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paired bootstrap of the difference of two areas, of a file that peers.py wrote. usage: boot FILE REPLICATES */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "stats/delta.h"

int main(int argc, char **argv)
{
    struct ml_buf raw = { .max = SIZE_MAX };
    struct ml_err err = ML_ERR_INIT;
    if (argc != 3 || ml_file_read(argv[1], &raw, &err) < 0) {
        fprintf(stderr, "boot: %s\n", argc != 3 ? "usage: boot FILE REPLICATES" : err.msg);
        return 2;
    }
    size_t n = raw.len / 17;
    int32_t *label = ml_malloc(n * sizeof *label);
    double *score = ml_malloc(2 * n * sizeof *score), mean = 0;
    memcpy(score, raw.data + n, 2 * n * sizeof *score);
    for (size_t i = 0; i < n; i++)
        label[i] = raw.data[i];
    struct ml_sample s = {
        .task = ML_TASK_BINARY, .n = n, .classes = 2, .positive = 1, .label = label, .score = score
    };
    struct ml_sample t = s;
    t.score = score + n;
    struct ml_boot boot = { .seed = 7, .replicates = (size_t)strtoul(argv[2], NULL, 10) };
    double *values = ml_malloc((boot.replicates + 1) * sizeof *values);
    struct ml_measure *a = ml_measure_new(&s, NULL, 0), *b = ml_measure_new(&t, NULL, 0);
    size_t used = ml_delta_replicates(a, b, ml_metric_find("roc_auc"), &boot, values);
    for (size_t i = 0; i < used; i++)
        mean += values[i] / (double)used;
    printf("%.9f %.9f\n", mean, ml_boot_deviation(values, used));
    ml_measure_free(a);
    ml_measure_free(b);
    free(values);
    free(score);
    free(label);
    ml_buf_release(&raw);
    return 0;
}
