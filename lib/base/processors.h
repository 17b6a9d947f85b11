/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many threads are worth starting. */
#ifndef ML_BASE_PROCESSORS_H
#define ML_BASE_PROCESSORS_H

#include <stddef.h>

/* Processors that this process may run on: at least 1, at most `max`. */
size_t ml_processors(size_t max);

#endif
