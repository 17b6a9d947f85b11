/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The natural logarithm of positive normal numbers without branches and calls, for loops that the compiler turns into
 * wide instructions: the same bits everywhere, and within 1 ulp. Reduction and polynomial are those of fdlibm's e_log.c
 * (Sun Microsystems 1993): x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), log(1 + f) by a series in f / (2 + f). */
#ifndef ML_STATS_LOG_H
#define ML_STATS_LOG_H

#include <stdint.h>
#include <string.h>

static inline double ml_log(double x)
{
    uint64_t bits, exponent, half = 0x3FE6A09E00000000; /* about sqrt(1/2) */
    double m, k, f, s, z, w, even, odd, square;

    memcpy(&bits, &x, sizeof bits);
    bits += 0x3FF0000000000000 - half;
    exponent = 0x4330000000000000 | bits >> 52; /* 2^52 + 1023 + k */
    memcpy(&k, &exponent, sizeof k);
    k -= 0x1p52 + 1023;
    bits = (bits & 0x000FFFFFFFFFFFFF) + half;
    memcpy(&m, &bits, sizeof m);
    f = m - 1;
    square = f * f / 2;
    s = f / (2 + f);
    z = s * s;
    w = z * z;
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    odd = z * (6.666666666666735130e-01 +
                  w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    return s * (square + (even + odd)) + k * 1.90821492927058770002e-10 - square + f + k * 6.93147180369123816490e-01;
}

#endif
