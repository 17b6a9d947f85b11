/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processors. */
#include "base/cpu.h"

#include <sched.h>

size_t ml_cpu_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set)) /* more processors than the set holds */
        return CPU_SETSIZE;
    return CPU_COUNT(&set) > 0 ? (size_t)CPU_COUNT(&set) : 1;
}
