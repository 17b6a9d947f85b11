/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Losses of a row. Differences are taken from numbers that are small enough, and powers by their logarithm where they
 * would leave a double. */
#include "stats/row_loss.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#define NEAR      0.1   /* this near to each other (times the power) y and p need the series */
#define HUGE_TERM 1e300 /* powers beyond this, or below its inverse, are made by logarithms */

static struct ml_scaled product(struct ml_scaled x, double by)
{
    int e;
    double m = frexp(by, &e);

    return (struct ml_scaled){ x.a * m, x.k + e };
}

/* y - p, halved twice where it overflows. */
static struct ml_scaled difference(double y, double p)
{
    double d = y - p;
    int e;

    if (!isinf(d)) {
        d = frexp(d, &e);
        return (struct ml_scaled){ d, e };
    }
    d = frexp(y / 4 - p / 4, &e);
    return (struct ml_scaled){ d, e + 2 };
}

static struct ml_scaled square(struct ml_scaled x)
{
    return (struct ml_scaled){ x.a * x.a, 2 * x.k };
}

struct ml_scaled ml_loss_squared(double y, double p)
{
    return square(difference(y, p));
}

struct ml_scaled ml_loss_pinball(double y, double p, double level)
{
    struct ml_scaled d = difference(y, p);

    d.a *= d.a >= 0 ? level : level - 1;
    return d;
}

struct ml_scaled ml_loss_mape(double y, double p)
{
    struct ml_scaled d = difference(y, p);
    int e;
    double of = frexp(fmax(fabs(y), DBL_EPSILON), &e);

    return (struct ml_scaled){ fabs(d.a) / of, d.k - e };
}

struct ml_scaled ml_loss_smape(double y, double p)
{
    double scale = fabs(y) > HUGE_TERM || fabs(p) > HUGE_TERM ? 0.25 : 1, of;

    of = fabs(y * scale) + fabs(p * scale);
    return (struct ml_scaled){ of > 0 ? fabs(y * scale - p * scale) / of * 2 : 0, 0 };
}

struct ml_scaled ml_loss_squared_log(double y, double p)
{
    return square(difference(log1p(y), log1p(p)));
}

/* x^q, x > 0. */
static struct ml_scaled power_of(double x, double q)
{
    double r = pow(x, q), by, whole;
    int e;

    if (r < HUGE_TERM && r > 1 / HUGE_TERM)
        return (struct ml_scaled){ r, 0 };
    by = q * log2(frexp(x, &e));
    whole = fmax(fmin(floor(q * e + by), 1e8), -1e8);
    return (struct ml_scaled){ exp2(fmax(fmin(q * e - whole + by, 1000), -1000)), (int)whole };
}

static struct ml_scaled sum_of(const struct ml_scaled *x, int n)
{
    struct ml_scaled sum = { 0, -(1 << 30) };

    for (int i = 0; i < n; i++)
        if (x[i].a != 0 && x[i].k > sum.k)
            sum.k = x[i].k;
    for (int i = 0; i < n; i++)
        if (x[i].a != 0)
            sum.a += ldexp(x[i].a, x[i].k - sum.k < -5000 ? -5000 : x[i].k - sum.k);
    return sum.a != 0 ? sum : (struct ml_scaled){ 0, 0 };
}

/* The deviance of 1 + t and 1, halved: t^2/2 (1 - power/3 t + ...), the binomial series without what cancels. */
static double series(double t, double power)
{
    double term = t * t / 2, sum = term;

    for (int k = 2; k < 200 && fabs(term) > 1e-18 * fabs(sum); k++) {
        term *= t * (2 - power - k) / (k + 1);
        sum += term;
    }
    return sum;
}

/* log(y / p) of numbers whose ratio may overflow. */
static double log_ratio(double y, double p)
{
    double r = y / p;

    return isnormal(r) ? log(r) : log(y) - log(p);
}

static struct ml_scaled poisson(double y, double p)
{
    struct ml_scaled terms[3] = { { 0, 0 }, product((struct ml_scaled){ -1, 0 }, y),
        product((struct ml_scaled){ 1, 0 }, p) };

    if (y > 0)
        terms[0] = product((struct ml_scaled){ log_ratio(y, p), 0 }, y);
    return sum_of(terms, 3);
}

static struct ml_scaled gamma_of(double y, double p)
{
    int e, f;
    double ratio = frexp(y, &e) / frexp(p, &f);
    struct ml_scaled terms[2] = { { ratio, e - f }, { -1 - log_ratio(y, p), 0 } };

    return sum_of(terms, 2);
}

static struct ml_scaled any_power(double y, double p, double power)
{
    struct ml_scaled terms[3] = { { 0, 0 }, product(power_of(p, 1 - power), -y), power_of(p, 2 - power) };

    if (y > 0)
        terms[0] = power_of(y, 2 - power);
    terms[0].a /= (1 - power) * (2 - power);
    terms[1].a /= 1 - power;
    terms[2].a /= 2 - power;
    return sum_of(terms, 3);
}

struct ml_scaled ml_loss_deviance(double y, double p, double power)
{
    struct ml_scaled half;

    if (power == 0)
        return ml_loss_squared(y, p);
    if (fabs(y / p - 1) * fmax(fabs(power), 1) < NEAR) {
        half = power_of(p, 2 - power);
        half.a *= series((y - p) / p, power);
    } else {
        half = power == 1 ? poisson(y, p) : power == 2 ? gamma_of(y, p) : any_power(y, p, power);
    }
    half.a = fmax(half.a, 0);
    half.k++;
    return half;
}

const char *ml_deviance_domain(double y, double p, double power)
{
    if (power == 0)
        return NULL;
    if (!(p > 0))
        return "a prediction isn't above 0";
    if (power >= 2 && !(y > 0))
        return "a label isn't above 0";
    return power >= 1 && y < 0 ? "a label is below 0" : NULL;
}
