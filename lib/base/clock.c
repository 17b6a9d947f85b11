/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time. */
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/env.h"

int64_t ml_clock_now(void)
{
    return (int64_t)time(NULL);
}

double ml_clock_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void ml_clock_sleep(double seconds)
{
    struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        ;
}

void ml_clock_format(int64_t t, char out[ML_TIME_LEN + 1])
{
    time_t tt = (time_t)t;
    struct tm tm;

    gmtime_r(&tt, &tm);
    strftime(out, ML_TIME_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int ml_clock_epoch(int64_t *out, struct ml_err *err)
{
    const char *s = ml_env("SOURCE_DATE_EPOCH");
    char *end;

    *out = 0;
    if (!s)
        return 0;
    errno = 0;
    *out = strtoll(s, &end, 10);
    if (errno || *end || *out < 0 || *out > 253402300799)
        return ml_err_set(err, ML_USAGE, "SOURCE_DATE_EPOCH '%.40s' is not a number of seconds", s);
    return 0;
}
