/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers for people: no more digits than the interval around them supports. */
#ifndef ML_DATA_NUMBER_H
#define ML_DATA_NUMBER_H

#include <stdbool.h>

#define ML_NUMBER_LEN 48

/* Decimals that an interval supports: two significant digits of half its width, at most 12; -1 when it has no width or
 * isn't finite. */
int ml_number_decimals(double low, double high);

/* x with that many decimals ("0.661"), with its sign when `sign` ("+0.024"); four significant digits, and all of a
 * whole number, when decimals is -1; "-" when x isn't finite. What rounds to zero has no sign. Returns out. */
const char *ml_number_format(double x, int decimals, bool sign, char out[ML_NUMBER_LEN]);

/* x with that many significant digits, but whole below 1e15: "31712", not "3.171e+04". Returns out; the macro has a
 * place for it, which lasts as long as the block that it stands in. */
const char *ml_number_plain(double x, int digits, char out[ML_NUMBER_LEN]);
#define ML_PLAIN(x, digits) ml_number_plain(x, digits, (char[ML_NUMBER_LEN]){ "" })

#endif
