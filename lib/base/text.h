/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text: UTF-8 and numbers, exactly and independently of the locale. */
#ifndef ML_BASE_TEXT_H
#define ML_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the valid UTF-8 sequence at s (1 to 4; RFC 3629: no overlongs, no surrogates), 0 when invalid or cut off.
 */
size_t ml_utf8_len(const char *s, size_t n);

/* Offset of the first byte that isn't valid UTF-8, or n. */
size_t ml_utf8_check(const char *s, size_t n);

/* Writes a code point as up to 4 bytes; returns what is behind them. */
char *ml_utf8_put(char *to, unsigned c);

/* Shortest decimal text that strtod reads back as the same double; finite values only. Returns its length (< 32). */
size_t ml_double_format(double x, char out[32]);

/* The whole of s is one number (decimal, no hex, no "inf" or "nan", no blanks). */
bool ml_double_parse(const char *s, size_t n, double *out);

/* The whole of s is one decimal integer that fits. */
bool ml_int_parse(const char *s, int64_t *out);

/* A whole number of bytes, or of thousands of them where K, M, G or T stands behind it (in either case); `thousand` is
 * 1000 or 1024. False, with `out` as it was: anything else, or too many. */
bool ml_bytes_parse(const char *s, unsigned thousand, uint64_t *out);

/* "1.2 GB" for people: powers of 1000, three digits. */
const char *ml_size_format(uint64_t bytes, char out[16]);

/* Ends a noun of which there are n. */
#define ML_PLURAL(n) ((n) == 1 ? "" : "s")

/* Replaces the bytes of control characters (C0, DEL, C1) by '?', in place: what came from outside may not drive a
 * terminal. */
void ml_text_harmless(char *s);

/* Edits (insert, delete, replace, swap of neighbours) between two short texts; one of 64 bytes or more is 64 from any.
 */
size_t ml_text_distance(const char *a, const char *b);

/* A path as seen from `root` (NULL: no such folder): what stands behind it and behind any "./"; a path that isn't below
 * `root` stays as it is. Points into `path`. */
const char *ml_path_within(const char *path, const char *root);

#endif
