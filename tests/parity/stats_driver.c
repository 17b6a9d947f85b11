/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lets a test in another language call lib/stats: commands as words on standard input, one line of answer each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "stats/calibration.h"
#include "stats/best.h"
#include "stats/bias.h"
#include "stats/curve.h"
#include "stats/delta.h"
#include "stats/dist.h"
#include "stats/extra.h"
#include "stats/interval.h"
#include "stats/measure.h"
#include "stats/order.h"
#include "stats/runs.h"
#include "stats/threshold.h"
#include "stats/verdict.h"

enum { LABEL = 1, PRED = 2, SCORE = 4, NUMBER = 8, WEIGHT = 16, GROUP = 32, LABELS = 64, PREDS = 128 };

struct slot {
    struct ml_sample s;
    void *columns[9];
    struct ml_costs costs;
    struct ml_measure *m;
    int32_t *pred; /* by a threshold that was chosen */
    struct ml_sample_copy drawn;
};

struct input {
    const char *at;
    struct slot slots[26];        /* A: current, B: candidate; more where there are runs */
    const struct ml_metric *last; /* whose difference `difference` is, by the defaults */
    double last_alpha;
    struct ml_delta difference;
};

static void die(const char *what)
{
    fprintf(stderr, "stats_driver: %s\n", what);
    exit(3);
}

static bool word(struct input *in, char out[32])
{
    size_t n;

    in->at += strspn(in->at, " \n");
    n = strcspn(in->at, " \n");
    if (n == 0 || n > 31)
        return false;
    memcpy(out, in->at, n);
    out[n] = 0;
    in->at += n;
    return true;
}

static double number(struct input *in)
{
    char *end;
    double x = strtod(in->at, &end);

    if (end == in->at)
        die("a number was expected");
    in->at = end;
    return x;
}

static size_t count(struct input *in)
{
    return (size_t)number(in);
}

static double *numbers(struct input *in, size_t n)
{
    double *v = ml_calloc(n + 1, sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = number(in);
    return v;
}

static uint32_t *integers(struct input *in, size_t n)
{
    uint32_t *v = ml_calloc(n + 1, sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = (uint32_t)(int64_t)number(in);
    return v;
}

static unsigned char *bytes(struct input *in, size_t n)
{
    unsigned char *v = ml_calloc(n + 1, 1);

    for (size_t i = 0; i < n; i++)
        v[i] = (unsigned char)number(in);
    return v;
}

static struct slot *slot(struct input *in)
{
    char name[32];

    if (!word(in, name))
        die("a slot was expected");
    return &in->slots[name[0] >= 'A' && name[0] <= 'Z' ? name[0] - 'A' : 0];
}

static void clear(struct slot *t)
{
    ml_measure_free(t->m);
    for (size_t i = 0; i < 9; i++)
        free(t->columns[i]);
    free(t->pred);
    free(t->costs.cell);
    ml_sample_release(&t->drawn);
    memset(t, 0, sizeof *t);
}

/* sample SLOT TASK ROWS CLASSES POSITIVE COLUMNS [columns] [GROUPS groups] SLICED [rows] */
static void read_sample(struct input *in)
{
    struct slot *t = slot(in);
    uint32_t *rows = NULL;
    size_t columns, sliced, width;

    in->last = NULL;
    clear(t);
    t->s.task = (enum ml_task)number(in);
    t->s.n = count(in);
    t->s.classes = (int32_t)number(in);
    t->s.positive = (int32_t)number(in);
    columns = count(in);
    width = ml_sample_width(&t->s);
    if (columns & LABEL)
        t->s.label = t->columns[0] = integers(in, t->s.n);
    if (columns & PRED)
        t->s.pred = t->columns[1] = integers(in, t->s.n);
    if (columns & LABELS)
        t->s.labels = t->columns[7] = bytes(in, t->s.n * width);
    if (columns & PREDS)
        t->s.preds = t->columns[8] = bytes(in, t->s.n * width);
    if (columns & SCORE)
        t->s.score = t->columns[2] = numbers(in, t->s.n * width);
    if (columns & NUMBER) {
        t->s.truth = t->columns[3] = numbers(in, t->s.n);
        t->s.estimate = t->columns[4] = numbers(in, t->s.n);
    }
    if (columns & WEIGHT)
        t->s.weight = t->columns[5] = numbers(in, t->s.n);
    if (columns & GROUP) {
        t->s.groups = (uint32_t)number(in);
        t->s.group = t->columns[6] = integers(in, t->s.n);
    }
    sliced = count(in);
    if (sliced)
        rows = integers(in, sliced);
    t->m = ml_measure_new(&t->s, rows, sliced);
    free(rows);
}

/* costs SLOT WRONG N [label pred cost]: of the whole sample, and of every draw from then on */
static void costs(struct input *in)
{
    struct slot *t = slot(in);

    in->last = NULL;
    t->costs.wrong = t->costs.most = number(in);
    t->costs.n = count(in);
    t->costs.cell = ml_calloc(t->costs.n + 1, sizeof *t->costs.cell);
    for (size_t i = 0; i < t->costs.n; i++) {
        t->costs.cell[i].label = (int32_t)number(in);
        t->costs.cell[i].pred = (int32_t)number(in);
        t->costs.cell[i].cost = number(in);
        if (t->costs.cell[i].cost > t->costs.most)
            t->costs.most = t->costs.cell[i].cost;
    }
    t->s.costs = &t->costs;
    ml_measure_free(t->m);
    t->m = ml_measure_new(&t->s, NULL, 0);
}

/* Predictions by a threshold that is chosen on the rows. */
static double tune(struct slot *t, struct ml_sample *s)
{
    double threshold = 2;
    int32_t *pred = ml_calloc(s->n + 1, sizeof *pred);

    ml_threshold_find(s, s->tuned, &threshold);
    for (size_t i = 0; i < s->n; i++)
        pred[i] = s->score[i] >= threshold ? s->positive : 1 - s->positive;
    free(t->pred);
    s->pred = t->pred = pred;
    return threshold;
}

/* tuned SLOT HOW: chooses the threshold; so does every draw from then on */
static void tuned(struct input *in)
{
    struct slot *t = slot(in);
    char name[32];

    in->last = NULL;
    if (!word(in, name) || (t->s.tuned = ml_tuned_parse(name)) == ML_TUNED_NO)
        die("how to choose a threshold was expected");
    printf("%.17g\n", tune(t, &t->s));
    ml_measure_free(t->m);
    t->m = ml_measure_new(&t->s, NULL, 0);
}

/* draw SLOT ROWS [rows]: measures other rows of the same sample */
static void draw(struct input *in)
{
    struct slot *t = slot(in);
    size_t n = count(in);
    uint32_t *rows = integers(in, n);

    in->last = NULL;
    ml_measure_free(t->m);
    if (t->s.tuned != ML_TUNED_NO) {
        ml_sample_release(&t->drawn);
        t->s.pred = NULL; /* tune() frees them and makes those of the rows drawn */
        ml_sample_take(&t->s, rows, n, &t->drawn);
        tune(t, &t->drawn.s);
        t->m = ml_measure_new(&t->drawn.s, NULL, 0);
        free(rows);
        return;
    }
    t->m = ml_measure_new(&t->s, rows, n);
    free(rows);
}

static const struct ml_metric *metric(struct input *in)
{
    char name[32];
    const struct ml_metric *m;

    if (!word(in, name) || !(m = ml_metric_of(name, in->slots[0].s.task)))
        die("a metric was expected");
    return m;
}

/* FORCE SEED REPLICATES COMPARISONS */
static struct ml_boot boot(struct input *in)
{
    struct ml_boot b;

    b.force = count(in) != 0;
    b.seed = count(in);
    b.replicates = count(in);
    b.comparisons = count(in);
    return b;
}

/* names TASK: of all metrics, without their parameters */
static void names(struct input *in)
{
    int task = (int)number(in);

    for (size_t i = 0; i < ml_metric_count(); i++)
        if (ml_metric_at(i)->tasks & task)
            printf("%s ", ml_metric_at(i)->name);
    printf("\n");
}

static void value(struct input *in)
{
    struct slot *t = slot(in);
    struct ml_value v;

    ml_measure_value(t->m, metric(in), &v);
    if (v.ok)
        printf("ok %.17g %zu %d %zu\n", v.value, v.n, (int)v.classes, v.clipped);
    else
        printf("none %s\n", v.reason);
}

static void influences(struct input *in, bool spread)
{
    struct slot *t = slot(in);
    size_t n = ml_measure_rows(t->m);
    double *v = ml_calloc(n + 1, sizeof *v);

    if (ml_measure_psi(t->m, metric(in), spread, v)) {
        printf("ok");
        for (size_t i = 0; i < n; i++)
            printf(" %.17g", v[i]);
        printf("\n");
    } else {
        printf("none\n");
    }
    free(v);
}

static void psi(struct input *in)
{
    influences(in, false);
}

/* As the standard error is made of. */
static void spread(struct input *in)
{
    influences(in, true);
}

static void show_estimate(const struct ml_estimate *e)
{
    if (!e->v.ok)
        printf("none %s\n", e->v.reason);
    else if (!e->has_interval)
        printf("open %.17g %.17g %zu %s\n", e->v.value, e->has_se ? e->se : -1, e->undefined, e->interval_reason);
    else
        printf("ok %.17g %.17g %.17g %.17g %s %zu %zu\n", e->v.value, e->has_se ? e->se : -1, e->low, e->high,
            e->interval, e->v.n, e->undefined);
}

static void estimate(struct input *in)
{
    struct slot *t = slot(in);
    const struct ml_metric *which = metric(in);
    double confidence = number(in);
    struct ml_boot b = boot(in);
    struct ml_estimate e;

    ml_measure_estimate(t->m, which, confidence, &b, &e);
    show_estimate(&e);
}

static void show_delta(const struct ml_delta *d)
{
    if (!d->ok)
        printf("none %s\n", d->reason);
    else if (!d->has_interval)
        printf("open %.17g %zu %zu %s\n", d->delta, d->changed, d->undefined, d->interval_reason);
    else
        printf("ok %.17g %.17g %.17g %.17g %.17g %s %s %zu %zu %zu %zu %.17g\n", d->delta, d->se, d->low, d->high, d->p,
            d->test, d->interval, d->changed, d->fixed, d->broken, d->n, d->effective);
}

static void delta(struct input *in)
{
    const struct ml_metric *which = metric(in);
    double alpha = number(in);
    struct ml_boot b = boot(in);
    struct ml_delta d;

    ml_delta_paired(in->slots[0].m, in->slots[1].m, which, alpha, &b, &d);
    show_delta(&d);
    in->last = b.force || b.seed || b.replicates || b.comparisons ? NULL : which;
    in->last_alpha = alpha;
    in->difference = d;
}

/* recall LABEL ALPHA: of the rows of one label, as the accuracy on them is shown */
static void recall(struct input *in)
{
    int32_t label = (int32_t)number(in);
    double alpha = number(in);
    struct ml_delta d;

    if (ml_delta_recall(in->slots[0].m, in->slots[1].m, label, alpha, NULL, &d))
        show_delta(&d);
    else
        printf("uncounted\n");
}

/* verdict METRIC ALPHA MARGIN: a difference judged alone */
static void verdict(struct input *in)
{
    const struct ml_metric *which = metric(in);
    struct ml_evidence e = ML_EVIDENCE_INIT;
    struct ml_judgement j;
    struct ml_delta d;

    e.alpha = number(in);
    e.margin = number(in);
    if (in->last == which && in->last_alpha == e.alpha)
        d = in->difference;
    else
        ml_delta_paired(in->slots[0].m, in->slots[1].m, which, e.alpha, NULL, &d);
    e.identical = d.identical;
    e.has_interval = d.has_interval;
    e.direction = which->direction;
    e.delta = d.delta;
    e.low = d.low;
    e.high = d.high;
    e.se = d.se;
    e.p = e.p_adjusted = d.p;
    e.bounded = ml_metric_bounded(which);
    e.rows = d.rows;
    e.groups = d.groups;
    e.smaller_class = d.smaller_class;
    e.n = d.n;
    e.changed = d.changed;
    ml_judge(&e, &j);
    printf("%s %d %.17g %.17g %.17g\n", ml_verdict_name(j.verdict), j.noninferior, j.has_detectable ? j.detectable : -1,
        d.se, which->direction > 0 ? d.delta - d.low : d.high - d.delta);
}

static void unpaired(struct input *in)
{
    double a = number(in), se_a = number(in), b = number(in), se_b = number(in);
    double alpha = number(in), groups_a = number(in), groups_b = number(in);
    struct ml_told x = { a, se_a, 100, (size_t)groups_a }, y = { b, se_b, 100, (size_t)groups_b };
    struct ml_delta d;

    ml_delta_unpaired(&x, &y, alpha, &d);
    show_delta(&d);
}

static void judge(struct input *in)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    struct ml_judgement j;
    double changed, smaller;

    e.identical = count(in) != 0;
    e.has_interval = count(in) != 0;
    e.direction = (int)number(in);
    e.delta = number(in);
    e.low = number(in);
    e.high = number(in);
    e.se = number(in);
    e.p = number(in);
    e.p_adjusted = number(in);
    e.alpha = number(in);
    e.margin = number(in);
    e.bounded = count(in) != 0;
    e.rows = count(in);
    e.groups = count(in);
    smaller = number(in);
    e.n = count(in);
    changed = number(in);
    e.smaller_class = smaller < 0 ? SIZE_MAX : (size_t)smaller;
    e.changed = changed < 0 ? SIZE_MAX : (size_t)changed;
    e.k = count(in);
    ml_judge(&e, &j);
    printf("%s %d %.17g %.17g %s\n", ml_verdict_name(j.verdict), j.noninferior, j.has_detectable ? j.detectable : -1,
        j.has_rows_needed ? j.rows_needed : -1, j.reason);
}

/* Two numbers from a function of up to three and z. */
static void closed_form(struct input *in, const char *name)
{
    double a = number(in), b = number(in), c = number(in), z = number(in), low = 0, high = 0;

    if (strcmp(name, "wilson") == 0)
        ml_wilson(a, b, z, &low, &high);
    else if (strcmp(name, "newcombe") == 0)
        ml_newcombe5(a, b, c, z, &low, &high);
    else if (strcmp(name, "tango") == 0)
        ml_tango((size_t)a, (size_t)b, (size_t)c, z, &low, &high);
    else
        ml_interval_logit(a, b, z, &low, &high);
    printf("%.17g %.17g\n", low, high);
}

static void function(struct input *in)
{
    char name[32];
    double a, b, c, r;

    word(in, name);
    a = number(in);
    b = number(in);
    c = number(in);
    if (strcmp(name, "normal_cdf") == 0)
        r = ml_normal_cdf(a);
    else if (strcmp(name, "normal_quantile") == 0)
        r = ml_normal_quantile(a);
    else if (strcmp(name, "normal_two_sided") == 0)
        r = ml_normal_two_sided(a);
    else if (strcmp(name, "t_quantile") == 0)
        r = ml_t_quantile(a, b);
    else if (strcmp(name, "t_two_sided") == 0)
        r = ml_t_two_sided(a, b);
    else if (strcmp(name, "t_beyond") == 0)
        r = ml_t_beyond(a, b, c);
    else if (strcmp(name, "binomial_pmf") == 0)
        r = ml_binomial_pmf((uint64_t)a, (uint64_t)b, c);
    else if (strcmp(name, "binomial_cdf") == 0)
        r = ml_binomial_cdf((uint64_t)a, (uint64_t)b, c);
    else if (strcmp(name, "midp") == 0)
        r = ml_mcnemar_midp((size_t)a, (size_t)b);
    else if (strcmp(name, "neutral_noninferior") == 0)
        r = ml_neutral_noninferior(a, b, c, 0);
    else if (strcmp(name, "neutral_max_drop") == 0)
        r = ml_neutral_max_drop(a, b);
    else if (strcmp(name, "optimism") == 0)
        r = ml_optimism(a, b);
    else
        r = ml_look_alpha(a, (unsigned)b);
    printf("%.17g\n", r);
}

static void holm(struct input *in)
{
    size_t n = count(in);
    double *p = numbers(in, n), *adjusted = ml_calloc(n + 1, sizeof *adjusted);
    uint32_t *family = integers(in, n);

    ml_holm(p, (const int *)family, n, adjusted);
    for (size_t i = 0; i < n; i++)
        printf("%.17g ", adjusted[i]);
    printf("\n");
    free(p);
    free(adjusted);
    free(family);
}

static void bh(struct input *in)
{
    size_t n = count(in);
    double *p = numbers(in, n), *adjusted = ml_calloc(n + 1, sizeof *adjusted);

    ml_bh(p, NULL, n, adjusted);
    for (size_t i = 0; i < n; i++)
        printf("%.17g ", adjusted[i]);
    printf("\n");
    free(p);
    free(adjusted);
}

static void show_extra(const struct ml_extra_result *x)
{
    if (x->ok)
        printf("ok %.17g %.17g %d %zu %zu %zu %.17g %.17g %d %.17g %.17g\n", x->p, x->statistic, x->exact, x->n,
            x->replicates, x->undefined, x->low, x->high, x->has_bca, x->bca[0], x->bca[1]);
    else
        printf("none %s\n", x->reason);
}

/* extra TEST METRIC ARGUMENT: a further test of the difference; the argument is the margin, the seed, or for the
 * bootstrap alpha and what boot() reads */
static void extra(struct input *in)
{
    struct ml_extra_result x;
    struct ml_measure *a = in->slots[0].m, *b = in->slots[1].m;
    struct ml_delta d;
    char test[32];

    word(in, test);
    const struct ml_metric *which = metric(in);
    double argument = number(in);

    if (strcmp(test, "tost") == 0) {
        ml_delta_paired(a, b, which, 0.05, NULL, &d);
        ml_extra_tost(&d, argument, &x);
    } else if (strcmp(test, "wilcoxon") == 0) {
        ml_extra_wilcoxon(a, b, which, &x);
    } else if (strcmp(test, "permutation") == 0) {
        ml_extra_permutation(a, b, which, (uint64_t)argument, &x);
    } else {
        struct ml_boot how = boot(in);

        ml_extra_bootstrap(a, b, which, argument, &how, &x);
    }
    show_extra(&x);
}

/* ranks N [d], flips SEED REPLICATES N [d] */
static void ranks(struct input *in)
{
    struct ml_extra_result x;
    size_t n = count(in);
    double *d = numbers(in, n);

    ml_signed_rank(d, n, &x);
    show_extra(&x);
    free(d);
}

static void flips(struct input *in)
{
    struct ml_extra_result x;
    uint64_t seed = (uint64_t)number(in);
    size_t replicates = count(in), n = count(in);
    double *d = numbers(in, n);

    ml_sign_flips(d, n, seed, replicates, &x);
    show_extra(&x);
    free(d);
}

/* bca ALPHA VALUE N [replicates] UNITS [influences] */
static void bca(struct input *in)
{
    struct ml_extra_result x = { 0 };
    double alpha = number(in), value = number(in);
    size_t n = count(in);
    double *values = numbers(in, n);
    size_t units = count(in);
    double *influence = numbers(in, units);

    if (ml_boot_bca(values, n, value, influence, units, alpha, &x))
        printf("ok %.17g %.17g %.17g %.17g\n", x.bca[0], x.bca[1], x.z0, x.acceleration);
    else
        printf("none\n");
    free(values);
    free(influence);
}

/* best METRIC ALPHA K: slots A.. are K models; of each, the p of being the best */
static void best(struct input *in)
{
    const struct ml_metric *which = metric(in);
    double alpha = number(in), p[26];
    size_t k = count(in);
    struct ml_delta pair[26 * 26];

    for (size_t i = 0; i < k && k <= 26; i++)
        for (size_t j = i + 1; j < k; j++)
            ml_delta_paired(in->slots[i].m, in->slots[j].m, which, alpha, NULL, &pair[i * k + j]);
    ml_best(pair, k, which->direction, p);
    for (size_t i = 0; i < k; i++)
        printf("%.17g ", p[i]);
    printf("\n");
}

/* bias ALPHA: the change in calibration from A to B */
static void bias(struct input *in)
{
    struct ml_delta d;

    ml_delta_bias(in->slots[0].m, in->slots[1].m, number(in), &d);
    if (d.ok)
        printf("%.17g %.17g ", d.current, d.candidate);
    show_delta(&d);
}

/* runs METRIC ALPHA N M FORCE ...: slots A.. are N runs of the current model, the next M those of the candidate */
static void runs(struct input *in)
{
    const struct ml_metric *which = metric(in);
    double alpha = number(in), values[26], se_test;
    size_t n = count(in), m = count(in);
    struct ml_measure *all[26] = { 0 };
    struct ml_runs a = { all, n, values, 0 }, b = { all + n, m, values + n, 0 };
    struct ml_boot how = boot(in);
    struct ml_delta d;

    for (size_t i = 0; i < n + m && i < 26; i++)
        all[i] = in->slots[i].m;
    ml_delta_runs(&a, &b, which, alpha, &how, &d, &se_test);
    if (d.ok && d.has_interval)
        printf("%.17g %.17g %.17g %.17g ", se_test, a.se, b.se, d.df);
    show_delta(&d);
}

/* mean METRIC CONFIDENCE N BOOT: of the runs in the first N slots */
static void mean(struct input *in)
{
    const struct ml_metric *which = metric(in);
    double confidence = number(in), values[26];
    struct ml_measure *all[26] = { 0 };
    struct ml_runs r = { all, count(in), values, 0 };
    struct ml_boot how = boot(in);
    struct ml_estimate e;

    for (size_t i = 0; i < r.n && i < 26; i++)
        all[i] = in->slots[i].m;
    ml_runs_estimate(&r, which, confidence, &how, &e);
    show_estimate(&e);
}

/* bins SLOT BINS CONFIDENCE: seven numbers a bin */
static void bins(struct input *in)
{
    struct slot *t = slot(in);
    size_t n = count(in);
    double confidence = number(in);
    struct ml_calibration_bin *b = ml_calloc(n + 1, sizeof *b);
    const char *reason;

    n = ml_calibration_bins(t->m, n, confidence, b, &reason);
    if (n == 0)
        printf("none %s", reason);
    for (size_t i = 0; i < n; i++)
        printf("%.17g %.17g %zu %.17g %.17g %.17g %.17g %.17g ", b[i].low, b[i].high, b[i].rows, b[i].weight,
            b[i].predicted, b[i].observed, b[i].observed_low, b[i].observed_high);
    printf("\n");
    free(b);
}

/* line SLOT CONFIDENCE */
static void line(struct input *in)
{
    struct slot *t = slot(in);
    struct ml_calibration_line l;
    const char *reason;

    if (ml_calibration_fit(t->m, number(in), &l, &reason))
        printf("ok %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g\n", l.intercept, l.intercept_se, l.intercept_low,
            l.intercept_high, l.slope, l.slope_se, l.slope_low, l.slope_high);
    else
        printf("none %s\n", reason);
}

/* curve SLOT roc|pr: x, y, threshold and area of each point */
static void curve(struct input *in)
{
    struct slot *t = slot(in);
    struct ml_curve c;
    const char *reason;
    char name[32];

    if (!word(in, name))
        die("a curve was expected");
    if (!(name[0] == 'r' ? ml_curve_roc : ml_curve_pr)(t->m, &c, &reason))
        printf("none %s", reason);
    for (size_t i = 0; i < c.n; i++)
        printf("%.17g %.17g %.17g %.17g ", c.x[i], c.y[i], c.threshold[i], c.area[i]);
    printf("\n");
    ml_curve_release(&c);
}

static void order(struct input *in)
{
    size_t n = count(in);
    double *x = numbers(in, n);
    uint32_t *o = ml_calloc(n + 1, sizeof *o);

    ml_order(x, 1, n, o);
    for (size_t i = 0; i < n; i++)
        printf("%" PRIu32 " ", o[i]);
    printf("\n");
    free(x);
    free(o);
}

static void counts(struct input *in)
{
    uint64_t seed = (uint64_t)number(in), replicate = (uint64_t)number(in);
    size_t n = count(in);
    uint32_t *c = ml_calloc(n + 1, sizeof *c);

    ml_boot_counts(seed, replicate, n, c);
    for (size_t i = 0; i < n; i++)
        printf("%" PRIu32 " ", c[i]);
    printf("\n");
    free(c);
}

static void poisson(struct input *in)
{
    uint64_t seed = (uint64_t)number(in), replicates = (uint64_t)number(in);
    unsigned stream = (unsigned)number(in);
    size_t units = count(in);

    for (uint64_t r = 0; r < replicates; r++)
        printf("%.17g ", ml_boot_poisson_sum(seed, r, stream, units));
    printf("\n");
}

static const struct {
    const char *name;
    void (*run)(struct input *in);
} commands[] = {
    { "sample", read_sample },
    { "costs", costs },
    { "draw", draw },
    { "tuned", tuned },
    { "names", names },
    { "value", value },
    { "psi", psi },
    { "spread", spread },
    { "estimate", estimate },
    { "delta", delta },
    { "recall", recall },
    { "verdict", verdict },
    { "unpaired", unpaired },
    { "judge", judge },
    { "function", function },
    { "holm", holm },
    { "bh", bh },
    { "best", best },
    { "bias", bias },
    { "runs", runs },
    { "mean", mean },
    { "extra", extra },
    { "ranks", ranks },
    { "flips", flips },
    { "bca", bca },
    { "bins", bins },
    { "line", line },
    { "curve", curve },
    { "order", order },
    { "counts", counts },
    { "poisson", poisson },
};

int main(void)
{
    struct ml_buf text = ML_BUF_INIT;
    struct ml_err err = ML_ERR_INIT;
    struct input in = { 0 };
    char name[32];

    if (ml_file_read("-", &text, &err) < 0)
        die(err.msg);
    in.at = ml_buf_str(&text);
    while (word(&in, name)) {
        size_t i = 0, n = sizeof commands / sizeof *commands;

        while (i < n && strcmp(commands[i].name, name) != 0)
            i++;
        if (i < n)
            commands[i].run(&in);
        else
            closed_form(&in, name);
    }
    for (size_t i = 0; i < sizeof in.slots / sizeof *in.slots; i++)
        clear(&in.slots[i]);
    ml_buf_release(&text);
    return 0;
}
