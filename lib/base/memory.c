/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory by the environment, the control group and the machine. */
#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/text.h"

/* A control group's limit: version 2 says "max" where there is none, version 1 a number beyond all memory. */
static void lower_to_file(const char *path, uint64_t *limit)
{
    FILE *f = fopen(path, "re");
    char line[64];
    uint64_t n;

    if (f == NULL)
        return;
    if (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (ml_bytes_parse(line, 1024, &n) && n < *limit)
            *limit = n;
    }
    fclose(f);
}

int ml_memory_limit(uint64_t *out, struct ml_err *err)
{
    const char *asked = ml_env("ML_MEMORY");
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    *out = 0;
    if (asked != NULL) {
        if (ml_bytes_parse(asked, 1024, out) && *out > 0)
            return 0;
        return ml_err_set(err, ML_USAGE, "ML_MEMORY '%s': bytes, or a number with K, M, G or T", asked);
    }
    *out = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
    lower_to_file("/sys/fs/cgroup/memory.max", out);
    lower_to_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", out);
    *out /= 2;
    return 0;
}
