/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much memory there is to work with. */
#ifndef ML_BASE_MEMORY_H
#define ML_BASE_MEMORY_H

#include <stdint.h>

#include "base/err.h"

/* Bytes of which a program takes a part at most for what it could do without: ML_MEMORY, "512M" or bytes with K, M, G
 * or T of 1024; else half of what the machine has or the control group allows, whichever is less. Looks each time.
 * ML_USAGE: ML_MEMORY is no such number; then 0. */
int ml_memory_limit(uint64_t *out, struct ml_err *err);

#endif
