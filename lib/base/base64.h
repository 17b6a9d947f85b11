/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base64 (RFC 4648, section 4). */
#ifndef ML_BASE_BASE64_H
#define ML_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* n bytes as text without line breaks, appended. */
void ml_base64_encode(const void *p, size_t n, struct ml_buf *out);

/* What n characters stand for, appended. White space is skipped, padding may be missing. False, with `out` as it was,
 * when it isn't base64. */
bool ml_base64_decode(const char *s, size_t n, struct ml_buf *out);

#endif
