/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the processors are good for: threads and vectors. */
#ifndef ML_BASE_PROCESSORS_H
#define ML_BASE_PROCESSORS_H

#include <stddef.h>

/* Processors that this process may run on: at least 1, at most `max`. */
size_t ml_processors(size_t max);

/* In front of a function: compiled for wider vectors too, of which the widest that this processor has are taken. For
 * loops that give the same with any: over whole numbers, or over doubles that don't meet or meet in a fixed order. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ML_VECTORS __attribute__((optimize("O3"), target_clones("avx512f", "avx2", "default")))
#else
#define ML_VECTORS
#endif

#endif
