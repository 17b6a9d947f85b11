/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the processors are good for. */
#ifndef ML_BASE_CPU_H
#define ML_BASE_CPU_H

#include <stddef.h>

/* Those that this process may run on (taskset, a container's cpuset): at least 1. */
size_t ml_cpu_count(void);

/* In front of a function: compiled for wider vectors too, of which the widest that this processor has are taken. For
 * loops over whole numbers only, which give the same with any. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ML_VECTORS __attribute__((optimize("O3"), target_clones("avx512f", "avx2", "default")))
#else
#define ML_VECTORS
#endif

#endif
