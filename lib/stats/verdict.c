/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of the verdicts, and the arithmetic around them. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stats/dist.h"
#include "stats/verdict.h"

#define POWER 0.8

static const char *const names[] = {
    [ML_VERDICT_BETTER] = "better",
    [ML_VERDICT_EQUIVALENT] = "equivalent",
    [ML_VERDICT_INCONCLUSIVE] = "inconclusive",
    [ML_VERDICT_WORSE] = "worse",
};

const char *ml_verdict_name(enum ml_verdict v)
{
    return names[v];
}

/* Rule 1: is there too little to say anything? */
static bool too_little(const struct ml_evidence *e, char *reason, size_t size)
{
    reason[0] = 0;
    if (e->rows < ML_VERDICT_MIN_ROWS)
        snprintf(reason, size, "only %zu row%s; %d are needed", e->rows, ML_PLURAL(e->rows), ML_VERDICT_MIN_ROWS);
    else if (e->groups && e->groups < ML_VERDICT_MIN_GROUPS)
        snprintf(
            reason, size, "only %zu group%s; %d are needed", e->groups, ML_PLURAL(e->groups), ML_VERDICT_MIN_GROUPS);
    else if (e->smaller_class < ML_VERDICT_MIN_CLASS)
        snprintf(reason, size, "only %zu row%s in the smaller class; %d are needed", e->smaller_class,
            ML_PLURAL(e->smaller_class), ML_VERDICT_MIN_CLASS);
    else if (!e->has_interval)
        snprintf(reason, size, "%s", e->interval_reason ? e->interval_reason : "no interval");
    return reason[0] != 0;
}

double ml_verdict_least(const struct ml_evidence *e)
{
    double times = ML_VERDICT_MIN_ROWS / (double)e->rows;

    if (e->groups)
        times = fmax(times, ML_VERDICT_MIN_GROUPS / (double)e->groups);
    return e->smaller_class < SIZE_MAX ? fmax(times, ML_VERDICT_MIN_CLASS / (double)e->smaller_class) : times;
}

/* Rule 5: why neither better nor worse, as far as there is a reason beside the interval itself. */
static void why_inconclusive(const struct ml_evidence *e, double low, double high, char *reason, size_t size)
{
    bool excludes = low > 0 || high < 0;

    reason[0] = 0;
    if (excludes != (e->p <= e->alpha) && (excludes || e->changed >= ML_VERDICT_MIN_CHANGED))
        snprintf(reason, size, "test and interval disagree");
    else if (excludes && e->p_adjusted > e->alpha && e->k > 0)
        snprintf(reason, size, "not after correction for %zu", e->k);
    else if (excludes && e->p_adjusted > e->alpha)
        snprintf(reason, size, "not after correction");
    else if (excludes && e->changed < ML_VERDICT_MIN_CHANGED)
        snprintf(reason, size, "only %zu row%s changed; %d are needed", e->changed, ML_PLURAL(e->changed),
            ML_VERDICT_MIN_CHANGED);
}

static bool within_margin(const struct ml_evidence *e, double low, double high)
{
    if (!(e->margin > 0) || !(-e->margin < low) || !(high < e->margin))
        return false;
    return !e->bounded || e->margin * (double)e->n >= 3 * (1 - 1e-12);
}

/* Of such rows as these those that are not too few; 0: these are not. */
static double least_rows(const struct ml_evidence *e)
{
    double rows = e->rows < ML_VERDICT_MIN_ROWS ? ML_VERDICT_MIN_ROWS : 0, n = (double)e->rows;

    if (e->groups && e->groups < ML_VERDICT_MIN_GROUPS)
        rows = fmax(rows, ceil(n * ML_VERDICT_MIN_GROUPS / (double)e->groups));
    if (e->smaller_class && e->smaller_class < ML_VERDICT_MIN_CLASS)
        rows = fmax(rows, ceil(n * ML_VERDICT_MIN_CLASS / (double)e->smaller_class));
    return rows;
}

/* The level at which p is enough for Holm whatever the rest of the family: that of his first step. */
static double sure(const struct ml_evidence *e)
{
    return e->k > 1 ? e->alpha / (double)e->k : e->alpha;
}

/* How many rows like these tell a difference of d from 0 at this level. The quantiles are those of as many groups as so
 * many rows are in; under rule 1 there are no fewer. */
static double rows_for(const struct ml_evidence *e, double alpha, double d)
{
    double n = (double)e->rows, rows = n, df = INFINITY, q;

    if (!(d > 0))
        return INFINITY;
    for (int i = 0; i < (e->groups ? 10 : 1); i++) {
        if (e->groups)
            df = fmax((double)e->groups * rows / n, ML_VERDICT_MIN_GROUPS) - 1;
        q = ml_t_quantile(1 - alpha / 2, df) + ml_t_quantile(POWER, df);
        rows = n * pow(q * e->se / d, 2);
    }
    return rows;
}

/* Better or worse is said after correction, equivalent by the interval as it is. */
static void rows_needed(const struct ml_evidence *e, struct ml_judgement *out)
{
    double d = fabs(e->delta), rows = rows_for(e, sure(e), d);

    if (e->margin > 0)
        rows = fmin(rows, rows_for(e, e->alpha, e->margin - d));
    rows = fmax(ceil(rows), least_rows(e));
    out->has_rows_needed = e->se > 0 && isfinite(rows) && rows >= (double)e->rows;
    if (out->has_rows_needed)
        out->rows_needed = rows;
}

/* The difference, in standard errors, that is found as often as POWER. */
static double seen(double alpha, double df)
{
    double q = ml_t_quantile(1 - alpha / 2, df), low = q + ml_t_quantile(POWER, df), high = 1.3 * low;

    if (df >= 10) /* within .1 % of the noncentral t's; of 1 degree of freedom it is .86 of that */
        return low;
    for (int i = 0; i < 30; i++)
        *(ml_t_beyond(q, df, (low + high) / 2) < POWER ? &low : &high) = (low + high) / 2;
    return high;
}

void ml_judge(const struct ml_evidence *e, struct ml_judgement *out)
{
    double low = e->direction > 0 ? e->low : -e->high;
    double high = e->direction > 0 ? e->high : -e->low;
    bool certain = e->p_adjusted <= e->alpha && e->changed >= ML_VERDICT_MIN_CHANGED;
    bool little;

    memset(out, 0, sizeof *out);
    if (e->has_interval) {
        out->has_detectable = true;
        out->detectable = seen(sure(e), e->df > 0 ? e->df : INFINITY) * e->se;
    }
    if (e->identical) {
        out->verdict = ML_VERDICT_EQUIVALENT;
        out->noninferior = true;
        return;
    }
    little = too_little(e, out->reason, sizeof out->reason);
    out->noninferior = !little && e->margin > 0 && low > -e->margin;
    if (little)
        out->verdict = ML_VERDICT_INCONCLUSIVE;
    else if (within_margin(e, low, high))
        out->verdict = ML_VERDICT_EQUIVALENT;
    else if (low > 0 && certain)
        out->verdict = ML_VERDICT_BETTER;
    else if (high < 0 && certain)
        out->verdict = ML_VERDICT_WORSE;
    else
        out->verdict = ML_VERDICT_INCONCLUSIVE;
    if (out->verdict == ML_VERDICT_INCONCLUSIVE && e->has_interval) {
        if (!little)
            why_inconclusive(e, low, high, out->reason, sizeof out->reason);
        rows_needed(e, out);
    }
}

bool ml_margin_parse(const char *text, struct ml_margin *out)
{
    size_t n = strlen(text);

    out->relative = n > 0 && text[n - 1] == '%';
    if (!ml_double_parse(text, n - out->relative, &out->value) || !isfinite(out->value))
        return false;
    if (out->relative)
        out->value /= 100;
    return out->value > 0;
}

double ml_margin_resolve(const struct ml_margin *m, double current)
{
    return m->relative ? m->value * fabs(current) : m->value;
}

struct tested {
    double p;
    int family;
    size_t at;
};

static int by_family_and_p(const void *a, const void *b)
{
    const struct tested *x = a, *y = b;

    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void correct(const double *p, const int *family, size_t n, double *adjusted, bool holm)
{
    struct tested *v = ml_calloc(n ? n : 1, sizeof *v);
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        adjusted[i] = p[i];
        if (!family || family[i] >= 0)
            v[used++] = (struct tested){ p[i], family ? family[i] : 0, i };
    }
    qsort(v, used, sizeof *v, by_family_and_p);
    for (size_t start = 0, end; start < used; start = end) {
        double most = 0, least = 1;

        for (end = start; end < used && v[end].family == v[start].family; end++)
            ;
        for (size_t i = start; i < end && holm; i++) {
            most = fmax(most, fmin(1, (double)(end - i) * v[i].p));
            adjusted[v[i].at] = most;
        }
        for (size_t i = end; i-- > start && !holm;) {
            least = fmin(least, (double)(end - start) / (double)(i - start + 1) * v[i].p);
            adjusted[v[i].at] = least;
        }
    }
    free(v);
}

void ml_holm(const double *p, const int *family, size_t n, double *adjusted)
{
    correct(p, family, n, adjusted, true);
}

void ml_bh(const double *p, const int *family, size_t n, double *adjusted)
{
    correct(p, family, n, adjusted, false);
}

double ml_look_alpha(double alpha, unsigned look)
{
    return look ? alpha / ((double)look * ((double)look + 1)) : alpha;
}

double ml_optimism(double se, double k)
{
    return k >= 2 ? se * ml_normal_quantile(pow(0.95, 1 / k)) : 0;
}

double ml_neutral_noninferior(double m, double se, double reach, double df)
{
    return se > 0 ? ml_t_beyond(reach / se, df > 0 ? df : INFINITY, m / se) : 1;
}

double ml_neutral_max_drop(double d, double se)
{
    return se > 0 ? ml_normal_cdf(d / se) : 1;
}
