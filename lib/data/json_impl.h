/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the scanner and the work on checked text share. */
#ifndef ML_DATA_JSON_IMPL_H
#define ML_DATA_JSON_IMPL_H

#include <stddef.h>

/* The code point of the escape behind "\u" at s (n bytes are there); *used gets 4 or 10. -1: malformed, a lone
 * surrogate, or NUL. */
int ml_json_unicode(const char *s, size_t n, size_t *used);

#endif
