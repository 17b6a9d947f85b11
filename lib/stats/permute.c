/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The permutation test of two models on the same rows: whose answer is whose is drawn anew in each unit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "base/processors.h"
#include "stats/dist.h"
#include "stats/extra.h"
#include "stats/measure_impl.h"

#define JOB   64    /* replicates */
#define SLACK 1e-13 /* of the sum of all sizes: equal sums that were added in another order */

/* Copies of both models' answers, to be exchanged in some rows. */
struct copies {
    struct ml_sample s[2];
    int32_t *pred[2];
    double *score[2], *estimate[2];
    unsigned char *preds[2];
    size_t width; /* scores of a row, and labels */
};

struct scratch {
    bool made;
    struct copies c;
    uint32_t *bits;
};

/* One test: differences of the units that differ, or the two samples themselves. */
struct flips {
    const double *d; /* NULL: samples */
    struct ml_measure *m[2];
    const struct ml_metric *metric;
    const uint32_t *unit; /* samples: of each row, its number among the units that differ; UINT32_MAX: none */
    size_t units;
    uint64_t seed;
    bool all; /* replicate r is the r-th subset, not a random one */
    size_t replicates;
    double *value;
    bool *ok;
    struct scratch *scratch; /* one a thread */
};

static void *copy_of(const void *from, size_t n)
{
    void *to = from ? ml_malloc(n + 1) : NULL;

    return from ? memcpy(to, from, n) : NULL;
}

static void copies_make(const struct flips *f, struct copies *c)
{
    c->width = ml_sample_width(&f->m[0]->s);
    for (int k = 0; k < 2; k++) {
        const struct ml_sample *s = &f->m[k]->s;

        c->s[k] = *s;
        c->s[k].pred = c->pred[k] = copy_of(s->pred, s->n * sizeof *s->pred);
        c->s[k].score = c->score[k] = copy_of(s->score, s->n * c->width * sizeof *s->score);
        c->s[k].preds = c->preds[k] = copy_of(s->preds, s->n * c->width);
        c->s[k].estimate = c->estimate[k] = copy_of(s->estimate, s->n * sizeof *s->estimate);
    }
}

static void copies_free(struct copies *c)
{
    for (int k = 0; k < 2; k++) {
        free(c->pred[k]);
        free(c->score[k]);
        free(c->estimate[k]);
        free(c->preds[k]);
    }
}

/* Row i of both as it was, or exchanged. */
static void place_row(const struct flips *f, struct copies *c, size_t i, bool swap)
{
    for (int k = 0; k < 2; k++) {
        const struct ml_sample *from = &f->m[swap ? !k : k]->s;

        if (c->pred[k] && from->pred)
            c->pred[k][i] = from->pred[i];
        if (c->score[k] && from->score)
            memcpy(c->score[k] + i * c->width, from->score + i * c->width, c->width * sizeof(double));
        if (c->preds[k] && from->preds)
            memcpy(c->preds[k] + i * c->width, from->preds + i * c->width, c->width);
        if (c->estimate[k] && from->estimate)
            c->estimate[k][i] = from->estimate[i];
    }
}

static bool bit(const uint32_t *bits, size_t i)
{
    return bits[i / 32] >> (i % 32) & 1;
}

static bool swapped_value(const struct flips *f, struct copies *c, const uint32_t *bits, double *out)
{
    struct ml_value v[2];

    for (size_t i = 0; i < c->s[0].n; i++)
        if (f->unit[i] != UINT32_MAX)
            place_row(f, c, i, bit(bits, f->unit[i]));
    for (int k = 0; k < 2; k++) {
        struct ml_measure *m = ml_measure_new(&c->s[k], NULL, 0);

        ml_measure_value(m, f->metric, &v[k]);
        ml_measure_free(m);
    }
    *out = v[1].value - v[0].value;
    return v[0].ok && v[1].ok && isfinite(*out);
}

#define LANES 8

/* The sum with a sign turned wherever there is a bit. Lanes are added up in their own order, so that it is the same sum
 * however wide the processor's vectors are. */
ML_VECTORS static double flipped_sum(const double *d, size_t n, const uint32_t *bits)
{
    double lane[LANES] = { 0 }, sum = 0;
    size_t whole = n / 32 * 32;

    for (size_t i = 0; i < whole; i += 32)
        for (size_t q = 0; q < 32; q += LANES)
            for (size_t l = 0; l < LANES; l++) {
                uint64_t word, sign = (uint64_t)(bits[i / 32] >> (q + l) & 1) << 63;
                double x;

                memcpy(&word, &d[i + q + l], sizeof word);
                word ^= sign;
                memcpy(&x, &word, sizeof x);
                lane[l] += x;
            }
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    for (size_t i = whole; i < n; i++)
        sum += bit(bits, i) ? -d[i] : d[i];
    return sum;
}

static void work(void *ctx, size_t job, size_t thread)
{
    struct flips *f = ctx;
    struct scratch *t = &f->scratch[thread];
    size_t words = f->units / 32 + 1, end = (job + 1) * JOB < f->replicates ? (job + 1) * JOB : f->replicates;

    if (!t->made) {
        t->made = true;
        t->bits = ml_calloc(words, sizeof *t->bits);
        if (!f->d)
            copies_make(f, &t->c);
    }
    for (size_t r = job * JOB; r < end; r++) {
        if (f->all)
            t->bits[0] = (uint32_t)r;
        else
            ml_boot_bits(f->seed, r, words, t->bits);
        f->ok[r] = f->d != NULL || swapped_value(f, &t->c, t->bits, &f->value[r]);
        if (f->d)
            f->value[r] = flipped_sum(f->d, f->units, t->bits);
    }
}

/* All replicates, and the two-sided p as scipy has it: twice the smaller tail, the observed difference counted once
 * more when the ways were drawn. */
static void run(struct flips *f, double observed, double slack, size_t replicates, struct ml_extra_result *out)
{
    struct scratch scratch[ML_PARALLEL_MAX] = { 0 };
    size_t low = 0, high = 0, used = 0, more;

    f->all = f->units < 31 && (size_t)1 << f->units <= replicates;
    f->replicates = f->all ? (size_t)1 << f->units : replicates;
    f->value = ml_malloc(f->replicates * sizeof *f->value);
    f->ok = ml_malloc(f->replicates * sizeof *f->ok);
    f->scratch = scratch;
    ml_parallel((f->replicates + JOB - 1) / JOB, work, f);
    for (size_t i = 0; i < ML_PARALLEL_MAX; i++) {
        copies_free(&scratch[i].c);
        free(scratch[i].bits);
    }
    for (size_t r = 0; r < f->replicates; r++) {
        used += f->ok[r];
        low += f->ok[r] && f->value[r] <= observed + slack;
        high += f->ok[r] && f->value[r] >= observed - slack;
    }
    free(f->value);
    free(f->ok);
    more = !f->all;
    out->exact = f->all;
    out->replicates = f->replicates;
    out->undefined = f->replicates - used;
    out->ok = (double)out->undefined <= ML_BOOT_UNDEFINED * (double)f->replicates;
    out->reason = out->ok ? NULL : "undefined in more than 1 % of the permutations";
    out->p = fmin(2 * (double)((low < high ? low : high) + more) / (double)(used + more), 1);
}

/* All of one size: how many are positive is binomial. */
static void binomial(size_t n, size_t positive, struct ml_extra_result *out)
{
    size_t fewer = positive < n - positive ? positive : n - positive;

    out->ok = out->exact = true;
    out->p = fmin(2 * ml_binomial_cdf(fewer, n, 0.5), 1);
}

void ml_sign_flips(double *d, size_t n, uint64_t seed, size_t replicates, struct ml_extra_result *out)
{
    struct flips f = { .d = d, .seed = seed };
    double sum = 0, sizes = 0;
    size_t kept = 0, positive = 0;
    bool alike = true;

    *out = (struct ml_extra_result){ 0 };
    for (size_t i = 0; i < n; i++) {
        if (d[i] == 0)
            continue;
        d[kept++] = d[i];
        sum += d[i];
        sizes += fabs(d[i]);
        positive += d[i] > 0;
        alike = alike && fabs(d[i]) == fabs(d[0]);
    }
    f.units = kept;
    if (kept == 0) {
        out->ok = out->exact = true;
        out->p = 1;
    } else if (alike) {
        binomial(kept, positive, out);
    } else if (!isfinite(sizes)) {
        out->reason = "the differences overflow a double";
    } else {
        run(&f, sum, SLACK * sizes, replicates, out);
    }
}

static bool differs(const void *a, const void *b, size_t i, size_t size)
{
    return a && b && memcmp((const char *)a + i * size, (const char *)b + i * size, size) != 0;
}

/* Numbers the units in which the models' answers differ. */
static size_t find_units(const struct ml_measure *a, const struct ml_measure *b, uint32_t *unit)
{
    const struct ml_sample *s = &a->s, *t = &b->s;
    size_t width = ml_sample_width(s), n = 0;
    uint32_t *of_group = s->group ? ml_malloc(((size_t)s->groups + 1) * sizeof *of_group) : NULL;

    for (size_t g = 0; of_group && g < s->groups; g++)
        of_group[g] = UINT32_MAX;
    for (size_t i = 0; i < s->n; i++) {
        bool changed =
            differs(s->pred, t->pred, i, sizeof *s->pred) || differs(s->score, t->score, i, width * sizeof *s->score) ||
            differs(s->preds, t->preds, i, width) || differs(s->estimate, t->estimate, i, sizeof *s->estimate);

        unit[i] = changed && !of_group ? (uint32_t)n++ : UINT32_MAX;
        if (changed && of_group && of_group[s->group[i]] == UINT32_MAX)
            of_group[s->group[i]] = (uint32_t)n++;
    }
    for (size_t i = 0; of_group && i < s->n; i++)
        unit[i] = of_group[s->group[i]];
    free(of_group);
    return n;
}

/* A mean of losses: the units' sums are flipped. */
static bool mean_of_losses(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *metric, uint64_t seed,
    struct ml_extra_result *out)
{
    const struct ml_sample *s = &a->s;
    double *d = ml_malloc((s->n + 1) * sizeof *d), *sums = ml_calloc((size_t)s->groups + 1, sizeof *sums);
    bool yes = ml_delta_losses(a, b, metric, d);

    for (size_t i = 0; yes && i < s->n; i++) {
        d[i] *= s->weight ? s->weight[i] : 1;
        if (s->group)
            sums[s->group[i]] += d[i];
    }
    if (yes)
        ml_sign_flips(s->group ? sums : d, s->group ? s->groups : s->n, seed, ML_PERMUTATIONS, out);
    free(d);
    free(sums);
    return yes;
}

void ml_extra_permutation(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    uint64_t seed, struct ml_extra_result *out)
{
    struct flips f = { .m = { current, candidate }, .metric = metric, .seed = seed };
    struct ml_value x, y;
    uint32_t *unit;

    *out = (struct ml_extra_result){ 0 };
    ml_measure_value(current, metric, &x);
    ml_measure_value(candidate, metric, &y);
    if (!x.ok || !y.ok) {
        out->reason = x.ok ? y.reason : x.reason;
        return;
    }
    if (mean_of_losses(current, candidate, metric, seed, out))
        return;
    unit = ml_malloc((current->s.n + 1) * sizeof *unit);
    f.units = find_units(current, candidate, unit);
    f.unit = unit;
    run(&f, y.value - x.value, ml_measure_noise(metric, fmax(fabs(x.value), fabs(y.value))), ML_PERMUTATIONS, out);
    free(unit);
}
