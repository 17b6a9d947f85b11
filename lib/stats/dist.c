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
    /* over u, the root of S, whose density is smooth at 0 also where df is 1 */
    enum { STEPS = 400 };
    double spread, low, h, sum = 0, all = 0;

    if (!(df < DF_NORMAL))
        return ml_normal_cdf(shift - q);
    spread = 10 / sqrt(2 * df);
    low = sqrt(fmax(0, 1 - spread));
    h = (sqrt(1 + spread) - low) / STEPS;
    for (int i = 0; i <= STEPS; i++) {
        double u = low + h * i, s = u * u;
        double density = u > 0 ? exp((2 * df - 1) * log(u) - df * (s * s - 1) / 2) : 0;

        density *= i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
        all += density;
        sum += density * ml_normal_cdf(shift - q * s);
    }
    return sum / all;
}

double ml_binomial_pmf(uint64_t k, uint64_t n, double p)
{
    double log_pmf;

    if (k > n)
        return 0;
    if (p <= 0 || p >= 1)
        return (p <= 0 ? k == 0 : k == n) ? 1 : 0;
    log_pmf = lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) + (double)k * log(p) +
              (double)(n - k) * log1p(-p);
    return exp(log_pmf);
}

double ml_binomial_cdf(uint64_t k, uint64_t n, double p)
{
    if (k >= n)
        return 1;
    return beta_inc((double)(n - k), (double)k + 1, 1 - p);
}
