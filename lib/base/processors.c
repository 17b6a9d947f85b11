/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processors by the scheduler's mask, which containers and taskset(1) narrow. */
#include "base/processors.h"

#include <sched.h>

size_t ml_processors(size_t max)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : (size_t)n > max ? max : (size_t)n;
}
