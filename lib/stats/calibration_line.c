/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The line through the log odds: logistic recalibration by Newton's method. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "stats/calibration.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"

#define STEPS 60
#define FAR   1e4  /* a slope that is still growing there: the classes are apart */
#define NEAR  0.01 /* steps from here on need not be watched */
#define WARM  ((size_t)1 << 18)

/* Log likelihood with its gradient and the information matrix, of the intercept and the slope. */
struct point {
    double a, b, likelihood, gradient[2], information[3]; /* aa, ab, bb */
};

static double weight(const struct ml_sample *s, size_t i)
{
    return s->weight ? s->weight[i] : 1;
}

/* Every `step`-th row from the first on. */
struct looking {
    const struct ml_sample *s;
    const double *x;
    size_t step, n;
    const struct point *p;
    bool likelihood;
    struct ml_sum (*blocks)[6];
};

static void look_at_block(void *ctx, size_t block, size_t thread)
{
    struct looking *l = ctx;
    const struct ml_sample *s = l->s;
    struct ml_sum sum[6] = { { 0, 0 } };

    (void)thread;
    for (size_t k = block * ML_PARALLEL_ROWS; k < ml_parallel_end(l->n, block); k++) {
        size_t i = k * l->step;
        double x = l->x[i], eta = l->p->a + l->p->b * x, e = exp(-fabs(eta)); /* without overflow */
        double mu = eta > 0 ? 1 / (1 + e) : e / (1 + e), w = weight(s, i), y = s->label[i] == s->positive;
        double v = w * mu * (1 - mu);

        if (l->likelihood)
            ml_sum_add(&sum[0], w * (y * eta - (fmax(eta, 0) + log1p(e))));
        ml_sum_add(&sum[1], w * (y - mu));
        ml_sum_add(&sum[2], w * (y - mu) * x);
        ml_sum_add(&sum[3], v);
        ml_sum_add(&sum[4], v * x);
        ml_sum_add(&sum[5], v * x * x);
    }
    memcpy(l->blocks[block], sum, sizeof sum);
}

static void look(struct looking *l, bool likelihood, struct point *p)
{
    size_t blocks = ml_parallel_blocks(l->n);
    struct ml_sum sum[6] = { { 0, 0 } };

    l->p = p;
    l->likelihood = likelihood;
    ml_parallel(blocks, look_at_block, l);
    for (size_t b = 0; b < blocks; b++)
        for (int k = 0; k < 6; k++)
            ml_sum_join(&sum[k], &l->blocks[b][k]);
    p->likelihood = ml_sum_value(&sum[0]);
    for (int k = 0; k < 2; k++)
        p->gradient[k] = ml_sum_value(&sum[1 + k]);
    for (int k = 0; k < 3; k++)
        p->information[k] = ml_sum_value(&sum[3 + k]);
}

/* The inverse of the information times a vector; false where it is singular. */
static bool solve(const struct point *p, const double v[2], double out[2])
{
    const double *h = p->information;
    double det = h[0] * h[2] - h[1] * h[1];

    if (!(det > 1e-13 * h[0] * h[2]))
        return false;
    out[0] = (h[2] * v[0] - h[1] * v[1]) / det;
    out[1] = (h[0] * v[1] - h[1] * v[0]) / det;
    return true;
}

static bool small(const double step[2], const struct point *p, double by)
{
    return fabs(step[0]) <= by * (1 + fabs(p->a)) && fabs(step[1]) <= by * (1 + fabs(p->b));
}

/* Newton's steps, halved while they lead down; small ones don't. Behind a step of 1e-7 the rest is 1e-14; `look_back`:
 * the information is wanted there, too. */
static bool climb(const struct ml_sample *s, const double *x, size_t every, bool look_back, struct point *p)
{
    struct looking l = { .s = s, .x = x, .step = every, .n = (s->n + every - 1) / every };
    double step[2] = { 0, 0 };
    bool ok = true, done = false;

    l.blocks = ml_calloc(ml_parallel_blocks(l.n), sizeof *l.blocks);
    look(&l, every == 1 && s->n < WARM, p);
    for (int i = 0; ok && !done && i < STEPS; i++) {
        struct point next;
        bool near;

        ok = solve(p, p->gradient, step) && fabs(p->b) < FAR;
        near = ok && small(step, p, NEAR);
        if (ok && !near && p->likelihood == 0)
            look(&l, true, p);
        for (double part = 1; ok; part /= 2) {
            next = (struct point){ .a = p->a + part * step[0], .b = p->b + part * step[1] };
            done = small(step, p, 1e-7);
            if (!done || look_back)
                look(&l, !near, &next);
            if (near || next.likelihood >= p->likelihood || part < 1e-9)
                break;
        }
        if (ok)
            *p = next;
    }
    free(l.blocks);
    return ok && done;
}

/* Of many rows a share says nearly where the line is. */
static bool fit(const struct ml_sample *s, const double *x, bool look_back, struct point *p)
{
    struct point from = { .a = 0, .b = 1 };

    *p = (struct point){ .a = 0, .b = 0 };
    if (s->n >= WARM && climb(s, x, s->n / (WARM / 4), false, &from))
        *p = (struct point){ .a = from.a, .b = from.b };
    return climb(s, x, 1, look_back, p);
}

/* psi_i = W times the inverse information times w's share of the gradient, for the intercept (0) or the slope (1). */
static bool error_of(struct ml_measure *m, const double *x, const struct point *p, int which, double *psi, double *se,
    const char **reason)
{
    const struct ml_sample *s = &m->s;

    for (size_t i = 0; i < s->n; i++) {
        double r = (s->label[i] == s->positive) - 1 / (1 + exp(-(p->a + p->b * x[i])));
        double v[2] = { r, r * x[i] }, out[2];

        if (!solve(p, v, out))
            return false;
        psi[i] = m->total * out[which];
    }
    return ml_measure_se(m, ml_measure_squares(m, psi, NULL), false, se, reason);
}

struct odds {
    const struct ml_sample *s;
    double *x;
};

static void log_odds(void *ctx, size_t block, size_t thread)
{
    struct odds *o = ctx;

    (void)thread;
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(o->s->n, block); i++) {
        double clipped = fmin(fmax(o->s->score[i], DBL_EPSILON), 1 - DBL_EPSILON);

        o->x[i] = log(clipped / (1 - clipped));
    }
}

bool ml_calibration_fit(struct ml_measure *m, double confidence, struct ml_calibration_line *out, const char **reason)
{
    const struct ml_sample *s = &m->s;
    struct point p = { .a = 0, .b = 0 };
    size_t pos = 0;
    double *x, *psi = NULL, q;
    bool ok;

    *reason = NULL;
    for (size_t i = 0; i < s->n && s->label; i++)
        pos += s->label[i] == s->positive;
    if (s->task != ML_TASK_BINARY || !s->score)
        *reason = "there is no score of a positive class";
    else if (!ml_class_loss_proba(m))
        *reason = m->proba_reason;
    else if (pos == 0 || pos == s->n)
        *reason = "the labels are of one class only";
    if (*reason)
        return false;
    x = ml_malloc((s->n + 1) * sizeof *x);
    ml_parallel(ml_parallel_blocks(s->n), log_odds, &(struct odds){ s, x });
    ok = fit(s, x, confidence > 0, &p);
    if (!ok)
        *reason = "the scores are all alike, or tell the classes apart without a mistake";
    *out = (struct ml_calibration_line){ .slope = p.b, .intercept = p.a };
    if (ok && confidence > 0) {
        psi = ml_malloc((s->n + 1) * sizeof *psi);
        ok = error_of(m, x, &p, 0, psi, &out->intercept_se, reason) &&
             error_of(m, x, &p, 1, psi, &out->slope_se, reason);
        q = ml_t_quantile((1 + confidence) / 2, (double)ml_measure_units(m) - 1);
        ml_interval_linear(out->slope, out->slope_se, q, &out->slope_low, &out->slope_high);
        ml_interval_linear(out->intercept, out->intercept_se, q, &out->intercept_low, &out->intercept_high);
    }
    free(x);
    free(psi);
    return ok;
}
