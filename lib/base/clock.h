/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time: RFC 3339 in UTC, and a clock that only goes forward. */
#ifndef ML_BASE_CLOCK_H
#define ML_BASE_CLOCK_H

#include <stdint.h>

#include "base/err.h"

#define ML_TIME_LEN 20 /* "2026-11-22T10:00:00Z" */

int64_t ml_clock_now(void);                                 /* seconds since 1970 */
double ml_clock_monotonic(void);                            /* seconds; only differences mean anything */
void ml_clock_sleep(double seconds);                        /* all of it, signals or not */
void ml_clock_format(int64_t t, char out[ML_TIME_LEN + 1]); /* RFC 3339, section 5.6, "Z" */
int ml_clock_epoch(int64_t *out, struct ml_err *err);       /* SOURCE_DATE_EPOCH, 0 when unset; malformed is ML_USAGE */

#endif
