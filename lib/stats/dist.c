/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Distribution functions on top of GSL's special functions. */
#include <math.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_gamma.h>

#include "stats/dist.h"

#define P_FLOOR 1e-300

/* Above this the t distribution is the normal one to all digits of a double that matter here. */
#define DF_NORMAL 1e12

/* From here on the incomplete beta function loses more digits than the expansion. */
#define DF_HILL 5000

/* Of a binomial's tail, beside the largest. */
#define TERM_LEAST 1e-18

double ml_normal_cdf(double x)
{
    return 0.5 * erfc(-x / M_SQRT2);
}

double ml_normal_quantile(double p)
{
    return gsl_cdf_ugaussian_Pinv(p);
}

double ml_normal_two_sided(double z)
{
    return fmax(erfc(fabs(z) / M_SQRT2), P_FLOOR);
}

/* I_x(a, b), the regularised incomplete beta function; GSL's error handler would end the program on an underflow. */
static double beta_inc(double a, double b, double x)
{
    gsl_error_handler_t *old = gsl_set_error_handler_off();
    gsl_sf_result r = { 0, 0 };

    gsl_sf_beta_inc_e(a, b, x, &r);
    gsl_set_error_handler(old);
    return isfinite(r.val) ? r.val : 0;
}

/* The normal deviate with the same two tails as |t|. Hill 1970, Comm. ACM 13, 617, algorithm 395: the error is of order
 * df^-5. */
static double t_to_normal(double t2, double df)
{
    double a = df - 0.5, b = 48 * a * a, y = a * log1p(t2 / df);
    double tail = (((-0.4 * y - 3.3) * y - 24) * y - 85.5) / (0.8 * y * y + 100 + b);

    return ((tail + y + 3) / b + 1) * sqrt(y);
}

double ml_t_two_sided(double t, double df)
{
    double t2 = t * t;

    if (!(df < DF_NORMAL))
        return ml_normal_two_sided(t);
    if (!isfinite(t2))
        return df < DF_HILL ? fmax(beta_inc(df / 2, 0.5, df / t / t), P_FLOOR) : P_FLOOR;
    if (df >= DF_HILL)
        return ml_normal_two_sided(t_to_normal(t2, df));
    return fmin(fmax(beta_inc(df / 2, 0.5, df / (df + t2)), P_FLOOR), 1);
}

double ml_t_quantile(double p, double df)
{
    return df < DF_NORMAL ? gsl_cdf_tdist_Pinv(p, df) : ml_normal_quantile(p);
}

double ml_t_beyond(double q, double df, double shift)
{
    return q < 0 ? 1 - ml_t_beyond_both(0, -q, df, -shift) : ml_t_beyond_both(0, q, df, shift);
}

double ml_t_beyond_both(double fixed, double q, double df, double shift)
{
    /* over u, the root of S, whose density is smooth at 0 also where df is 1 */
    enum { STEPS = 400 };
    double spread, low, h, sum = 0, all = 0;

    if (!(df < DF_NORMAL))
        return ml_normal_cdf(shift - hypot(fixed, q));
    spread = 10 / sqrt(2 * df);
    low = sqrt(fmax(0, 1 - spread));
    h = (sqrt(1 + spread) - low) / STEPS;
    for (int i = 0; i <= STEPS; i++) {
        double u = low + h * i, s = u * u;
        double density = u > 0 ? exp((2 * df - 1) * log(u) - df * (s * s - 1) / 2) : 0;

        density *= i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
        all += density;
        sum += density * ml_normal_cdf(shift - hypot(fixed, q * s));
    }
    return sum / all;
}

/* Loader 2000, "Fast and Accurate Computation of Binomial Probabilities": what Stirling's formula lacks, and how far
 * the counts are from those expected, are small numbers of their own; log gammas of n are large ones that cancel. */

/* log n! - log(sqrt(2 pi n) (n/e)^n). */
static double stirling_rest(double n)
{
    double n2 = n * n;

    if (n < 16)
        return lgamma(n + 1) - (n + 0.5) * log(n) + n - log(2 * M_PI) / 2;
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / n2) / n2) / n2) / n2) / n;
}

/* x log(x / m) + m - x, also where x is next to m: with v = (x - m) / (x + m), log(x / m) is 2 artanh v. */
static double deviance(double x, double m)
{
    double d = x - m, v = d / (x + m), power = 2 * x * v, sum = d * v, before;

    if (fabs(d) >= 0.1 * (x + m))
        return x * log(x / m) - d;
    for (int i = 3; power *= v * v, before = sum, (sum += power / i) != before; i += 2)
        ;
    return sum;
}

/* P(X = k), 0 < p < 1, q = 1 - p. */
static double binomial_at(double k, double n, double p, double q)
{
    double log_pmf;

    if (k == 0)
        return exp(n * (p < q ? log1p(-p) : log(q)));
    if (k == n)
        return exp(n * (q < p ? log1p(-q) : log(p)));
    log_pmf = stirling_rest(n) - stirling_rest(k) - stirling_rest(n - k) - deviance(k, n * p) - deviance(n - k, n * q);
    return exp(log_pmf) * sqrt(n / k / (n - k) / (2 * M_PI));
}

double ml_binomial_pmf(uint64_t k, uint64_t n, double p)
{
    if (k > n)
        return 0;
    if (p <= 0 || p >= 1)
        return (p <= 0 ? k == 0 : k == n) ? 1 : 0;
    return binomial_at((double)k, (double)n, p, 1 - p);
}

/* P(X <= k) below the mean, where each term is smaller than the one above it; summed from the smallest that tells. */
static double binomial_below(double k, double n, double p, double q)
{
    double odds = q / p, term = 1, i = 0, sum = 1;

    while (term > TERM_LEAST && i < k) {
        term *= (k - i) / (n - k + i + 1) * odds;
        i++;
    }
    while (i-- > 0)
        sum = 1 + sum * ((k - i) / (n - k + i + 1) * odds);
    return binomial_at(k, n, p, q) * sum;
}

double ml_binomial_cdf(uint64_t k, uint64_t n, double p)
{
    if (k >= n)
        return 1;
    if (p <= 0 || p >= 1)
        return p <= 0;
    if ((double)k <= (double)n * p)
        return fmin(binomial_below((double)k, (double)n, p, 1 - p), 1);
    return 1 - binomial_below((double)(n - k - 1), (double)n, 1 - p, p);
}
