/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many processors there are to work with. */
#ifndef ML_BASE_CPU_H
#define ML_BASE_CPU_H

#include <stddef.h>

/* Those that this process may run on (taskset, a container's cpuset): at least 1. */
size_t ml_cpu_count(void);

#endif
