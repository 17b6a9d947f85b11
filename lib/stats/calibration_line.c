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
#define MANY  ((size_t)1 << 18)

/* Log likelihood with its gradient and the information matrix, of the intercept and the slope. */
struct point {
    double a, b, likelihood, gradient[2], information[3]; /* aa, ab, bb */
};

static double weight(const struct ml_sample *s, size_t i)
{
    return s->weight ? s->weight[i] : 1;
}

struct looking {
    const struct ml_sample *s;
    const double *x;
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
    for (size_t i = block * ML_PARALLEL_ROWS; i < ml_parallel_end(s->n, block); i++) {
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
    size_t blocks = ml_parallel_blocks(l->s->n);
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
static bool climb(const struct ml_sample *s, const double *x, bool look_back, struct point *p)
{
    struct looking l = { .s = s, .x = x };
    double step[2] = { 0, 0 };
    bool ok = true, done = false;

    l.blocks = ml_calloc(ml_parallel_blocks(s->n), sizeof *l.blocks);
    look(&l, true, p);
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

/* Many rows are gathered in bins of probabilities p < .5 and of 1 - p, each a 128th of an octave, of which each class
 * has its own. What the likelihood and its derivatives sum over the rows of a bin is a smooth function of the place r
 * in
 * [-1, 1) within it, so nearly a cubic: its sum over the rows is that over four Chebyshev nodes, with the weights that
 * have the rows' sums of 1, r, r^2 and r^3. A bin is 2/256 wide in log odds x, at most, so that the error of mu(a + b
 * x) is below mu (1 - mu) b^4 / 192 / 256^4 in each row. */
#define OCTAVE   7
#define FIRST    ((uint64_t)(1023 - 52) << OCTAVE) /* the bin of 2^-52, and one octave after the other up to .5 */
#define BINS     (((size_t)51 << OCTAVE) + 1)
#define NODES    4
#define HANDS    ((size_t)8)       /* parts of the rows that are gathered at the same time */
#define GATHERED ((size_t)1 << 18) /* rows of a part, so that plain sums keep their digits */
#define ENOUGH   100

struct moments {
    double m[NODES];
};

struct gathering {
    const struct ml_sample *s;
    const struct ml_ties *cells; /* or NULL */
    size_t from;
    struct moments *v; /* HANDS tables: by bin, half of the probabilities, and class */
};

#define TABLE (BINS * 4)

/* Rows of one probability and class. */
static inline void add_moments(struct moments *v, double p, bool positive, double w)
{
    double q = p < 0.5 ? p : 1 - p, r;
    struct moments *to = v + (p < 0.5 ? 0 : 2) + positive;
    uint64_t bits;

    q = q > DBL_EPSILON ? q : DBL_EPSILON;
    memcpy(&bits, &q, sizeof bits);
    to += ((bits >> (52 - OCTAVE)) - FIRST) * 4;
    r = ldexp(1, OCTAVE - 51) * (double)(int64_t)(bits & (((uint64_t)1 << (52 - OCTAVE)) - 1)) - 1;
    to->m[0] += w;
    to->m[1] += w * r;
    to->m[2] += w * r * r;
    to->m[3] += w * r * r * r;
}

static void gather_part(void *ctx, size_t part, size_t thread)
{
    struct gathering *g = ctx;
    const struct ml_sample *s = g->s;
    size_t from = g->from + part * GATHERED, end = from + GATHERED < s->n ? from + GATHERED : s->n;

    (void)thread;
    for (size_t i = from; i < end; i++)
        add_moments(g->v + part * TABLE, s->score[i], s->label[i] == s->positive, weight(s, i));
}

/* Where scores are counted, their cells are gathered instead of the rows. */
static void gather_cells(void *ctx, size_t part, size_t thread)
{
    struct gathering *g = ctx;
    const struct ml_ties *t = g->cells;
    struct moments *v = g->v + part * TABLE;

    (void)thread;
    for (size_t p = t->n_parts * part / HANDS; p < t->n_parts * (part + 1) / HANDS; p++)
        for (size_t i = t->parts[p].from; i < t->parts[p].from + t->parts[p].n; i++) {
            double score = t->cell[i] / t->scale, pos = (double)(t->v[i] >> 32), neg = (double)(uint32_t)t->v[i];

            if (pos > 0)
                add_moments(v, score, true, pos);
            if (neg > 0)
                add_moments(v, score, false, neg);
        }
}

static void add_tables(const struct gathering *g, size_t parts, struct moments *all)
{
    for (size_t part = 0; part < parts; part++)
        for (size_t t = 0; t < TABLE; t++) {
            struct moments *from = &g->v[part * TABLE + t];

            if (from->m[0] == 0)
                continue;
            for (size_t k = 0; k < NODES; k++)
                all[t].m[k] += from->m[k];
            memset(from, 0, sizeof *from);
        }
}

/* The first table becomes the sum of all rows. */
static struct moments *gather(struct ml_measure *m)
{
    struct gathering g = { .s = &m->s, .cells = ml_rank_cells(m), .v = ml_calloc((HANDS + 1) * TABLE, sizeof *g.v) };
    struct moments *all = g.v + HANDS * TABLE;

    if (g.cells) {
        ml_parallel(HANDS, gather_cells, &g);
        add_tables(&g, HANDS, all);
    }
    for (; !g.cells && g.from < m->s.n; g.from += HANDS * GATHERED) {
        size_t parts = (m->s.n - g.from + GATHERED - 1) / GATHERED;

        parts = parts < HANDS ? parts : HANDS;
        ml_parallel(parts, gather_part, &g);
        add_tables(&g, parts, all);
    }
    memmove(g.v, all, TABLE * sizeof *all);
    return g.v;
}

/* A few rows that stand for many, with their log odds. */
struct nodes {
    struct ml_sample s;
    int32_t *label;
    double *weight, *x;
};

static void add_nodes(struct nodes *to, size_t t, const struct moments *v)
{
    size_t bin = t / 4;
    double m0 = v->m[0], m1 = v->m[1], m2 = 2 * v->m[2] - m0, m3 = 4 * v->m[3] - 3 * m1; /* of polynomials T_k */

    for (int k = 0; k < NODES; k++) {
        double r = cos((2 * k + 1) * M_PI / (2 * NODES)), parts = (double)(bin & ((1 << OCTAVE) - 1)) + (r + 1) / 2;
        double q = ldexp(1 + ldexp(parts, -OCTAVE), (int)(bin >> OCTAVE) - 52), odds = log(q / (1 - q));

        to->label[to->s.n] = t & 1;
        to->weight[to->s.n] = (m0 + 2 * (r * m1 + (2 * r * r - 1) * m2 + (4 * r * r - 3) * r * m3)) / NODES;
        to->x[to->s.n++] = t & 2 ? -odds : odds;
    }
}

/* The line of many rows: whether it is as near as 1e-10, or nothing but where to look for it. */
static bool fit_many(struct ml_measure *m, struct point *p)
{
    struct moments *v = gather(m);
    size_t used = 0;
    struct nodes to = { .s = { .task = ML_TASK_BINARY, .positive = 1 } };
    const double *h = p->information;
    bool ok;

    for (size_t t = 0; t < TABLE; t++)
        used += v[t].m[0] > 0;
    to.s.label = to.label = ml_malloc(used * NODES * sizeof *to.label);
    to.s.weight = to.weight = ml_malloc(used * NODES * sizeof *to.weight);
    to.x = ml_malloc(used * NODES * sizeof *to.x);
    for (size_t t = 0; t < TABLE; t++)
        if (v[t].m[0] > 0)
            add_nodes(&to, t, &v[t]);
    ok = climb(&to.s, to.x, true, p);
    free(v);
    free(to.label);
    free(to.weight);
    free(to.x);
    if (!ok)
        *p = (struct point){ .a = 0, .b = 0 };
    /* what an error of mu in each row comes to in intercept and slope */
    return ok && fmax(1, pow(p->b, 4)) * sqrt((h[0] + h[2]) * h[0] / (h[0] * h[2] - h[1] * h[1])) < ENOUGH;
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

static bool both_classes(const struct ml_sample *s)
{
    bool is[2] = { false, false };

    for (size_t i = 0; i < s->n && s->label && !(is[0] && is[1]); i++)
        is[s->label[i] == s->positive] = true;
    return is[0] && is[1];
}

bool ml_calibration_fit(struct ml_measure *m, double confidence, struct ml_calibration_line *out, const char **reason)
{
    const struct ml_sample *s = &m->s;
    struct point p = { .a = 0, .b = 0 };
    double *x = NULL, *psi = NULL, q;
    bool ok;

    *reason = NULL;
    if (s->task != ML_TASK_BINARY || !s->score)
        *reason = "there is no score of a positive class";
    else if (!ml_class_loss_proba(m))
        *reason = m->proba_reason;
    else if (!both_classes(s))
        *reason = "the labels are of one class only";
    if (*reason)
        return false;
    ok = s->n >= MANY && fit_many(m, &p);
    if (!ok || confidence > 0) {
        x = ml_malloc((s->n + 1) * sizeof *x);
        ml_parallel(ml_parallel_blocks(s->n), log_odds, &(struct odds){ s, x });
    }
    ok = ok || climb(s, x, confidence > 0, &p);
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
