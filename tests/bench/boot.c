/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paired bootstrap of the difference of two areas, of a file that peers.py wrote. usage: boot FILE REPLICATES */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "stats/delta.h"

int main(int argc, char **argv)
{
    int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    unsigned char *raw = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0) : MAP_FAILED;
    size_t n = size > 0 ? (size_t)size / 17 : 0;
    if (raw == MAP_FAILED || n % sizeof(double) != 0) {
        fprintf(stderr, "usage: boot FILE REPLICATES; the file's rows are a multiple of eight\n");
        return 2;
    }
    int32_t *label = ml_malloc(n * sizeof *label);
    const double *score = (const double *)(const void *)(raw + n);
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        label[i] = raw[i];
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
    free(label);
    munmap(raw, (size_t)size);
    close(fd);
    return 0;
}
