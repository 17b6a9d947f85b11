/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rounds numbers to what their interval supports. */
#include "data/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_DECIMALS 12

int ml_number_decimals(double low, double high)
{
    double half = (high - low) / 2;
    if (!isfinite(half) || !(half > 0))
        return -1;
    double d = 1 - floor(log10(half));
    return d < 0 ? 0 : d > MOST_DECIMALS ? MOST_DECIMALS : (int)d;
}

/* Whether rounding to some digits made it a power of ten where there is no need. */
static bool needless_power(const char *text, double x)
{
    return strstr(text, "e+") != NULL && fabs(x) < 1e15;
}

const char *ml_number_plain(double x, int digits, char out[ML_NUMBER_LEN])
{
    snprintf(out, ML_NUMBER_LEN, "%.*g", digits, x);
    if (needless_power(out, x))
        snprintf(out, ML_NUMBER_LEN, "%.0f", x);
    return out;
}

const char *ml_number_format(double x, int decimals, bool sign, char out[ML_NUMBER_LEN])
{
    if (!isfinite(x)) {
        snprintf(out, ML_NUMBER_LEN, "-");
        return out;
    }
    if (decimals < 0 || fabs(x) >= 1e15) {
        snprintf(out, ML_NUMBER_LEN, sign ? "%+.4g" : "%.4g", x);
        if (needless_power(out, x))
            snprintf(out, ML_NUMBER_LEN, sign ? "%+.0f" : "%.0f", x);
    } else {
        snprintf(out, ML_NUMBER_LEN, sign ? "%+.*f" : "%.*f", decimals, x);
    }
    if (strpbrk(out, "123456789") == NULL && (*out == '-' || *out == '+'))
        memmove(out, out + 1, strlen(out));
    return out;
}
