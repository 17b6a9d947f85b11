/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics: worked examples of scikit-learn's documentation, and the samples at the edges. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stats/log.h"
#include "stats/measure_impl.h"
#include "stats/sum.h"
#include "stats/order.h"

#define N(a) (sizeof(a) / sizeof *(a))

/* A metric of the table; one that needs a parameter with one that it takes. */
static const struct ml_metric *metric_at(size_t i)
{
    static const char *const examples[] = { "0.5", "1" };
    const struct ml_metric *m = ml_metric_at(i), *found = NULL;
    char name[80];

    if (!isnan(m->x))
        return m;
    for (size_t k = 0; k < 2 && !found; k++) {
        snprintf(name, sizeof name, "%s@%s", m->name, examples[k]);
        found = ml_metric_of(name, m->tasks & -m->tasks);
    }
    assert_non_null(found);
    return found;
}

/* A false alarm costs 1, a miss 5, and a hit still 0.5. */
static struct ml_cost cells[] = { { 0, 1, 1 }, { 1, 0, 5 }, { 1, 1, 0.5 } };
static const struct ml_costs costs = { cells, 3, 0, 5 };

static struct ml_sample binary(size_t n, const int32_t *label, const int32_t *pred, const double *score)
{
    struct ml_sample s = { .task = ML_TASK_BINARY, .n = n, .classes = 2, .positive = 1 };

    s.label = label;
    s.pred = pred;
    s.score = score;
    s.costs = &costs;
    return s;
}

static struct ml_sample numbers(size_t n, const double *truth, const double *estimate)
{
    struct ml_sample s = { .task = ML_TASK_REGRESSION, .n = n, .truth = truth, .estimate = estimate };

    return s;
}

/* Of the sample's task, or of another one, which then has no value. */
static const struct ml_metric *metric_named(const struct ml_sample *s, const char *name)
{
    const struct ml_metric *m = ml_metric_of(name, s->task);

    m = m ? m : ml_metric_find(name);
    assert_non_null(m);
    return m;
}

static struct ml_value value_of(const struct ml_sample *s, const char *name)
{
    struct ml_measure *m = ml_measure_new(s, NULL, 0);
    struct ml_value v;

    ml_measure_value(m, metric_named(s, name), &v);
    ml_measure_free(m);
    return v;
}

static struct ml_estimate estimate_of(const struct ml_sample *s, const char *name, const struct ml_boot *boot)
{
    struct ml_measure *m = ml_measure_new(s, NULL, 0);
    struct ml_estimate e;

    ml_measure_estimate(m, metric_named(s, name), 0.95, boot, &e);
    ml_measure_free(m);
    return e;
}

static void assert_value(const struct ml_sample *s, const char *name, double want)
{
    struct ml_value v = value_of(s, name);

    if (!v.ok || !(fabs(v.value - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("%s is %.17g (%s), not %.17g", name, v.value, v.ok ? "ok" : v.reason, want);
}

static void assert_none(const struct ml_sample *s, const char *name, const char *reason)
{
    struct ml_value v = value_of(s, name);

    assert_false(v.ok);
    if (!strstr(v.reason, reason))
        fail_msg("%s: '%s' doesn't say '%s'", name, v.reason, reason);
}

/* An estimate without weights and groups comes from counts and sorted scores; the influences row by row say the same.
 */
static void estimates_agree_with_influences(void **state)
{
    enum { ROWS = 400 };
    int32_t label[ROWS], pred[ROWS];
    double score[ROWS], psi[ROWS];
    uint64_t x = 88172645463325252u;

    (void)state;
    for (int levels = 2; levels < 2000; levels *= 3) {
        struct ml_sample s = binary(ROWS, label, pred, score);
        struct ml_measure *m;

        for (size_t i = 0; i < ROWS; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            label[i] = x % 3 == 0;
            score[i] = (double)(x / 3 % (uint64_t)levels + (uint64_t)(label[i] * levels / 4)) / (2 * levels);
            pred[i] = score[i] >= 0.4;
        }
        m = ml_measure_new(&s, NULL, 0);
        for (size_t i = 0; i < ml_metric_count(); i++) {
            const struct ml_metric *metric = metric_at(i);
            struct ml_macro_added added;
            struct ml_estimate e;
            double pos = 0, neg = 0, n_pos = 0, se;

            if (!(metric->tasks & ML_TASK_BINARY) || !ml_measure_psi(m, metric, true, psi))
                continue;
            ml_measure_estimate(m, metric, 0.95, NULL, &e);
            for (size_t j = 0; j < ROWS; j++) {
                *(label[j] ? &pos : &neg) += psi[j] * psi[j];
                n_pos += label[j];
            }
            /* DeLong's denominators are those of each class, the others' that of all rows */
            se = metric->scale == ML_SCALE_AUC
                     ? sqrt(pos * n_pos / (n_pos - 1) + neg * (ROWS - n_pos) / (ROWS - n_pos - 1)) / ROWS
                     : sqrt((pos + neg) * ROWS / (ROWS - 1)) / ROWS;
            assert_value(&s, metric->name, e.v.value);
            if (ml_macro_added(m, metric, &added)) { /* a row more */
                assert_true(added.squares > 0);
                se = sqrt(se * se + added.squares / ROWS / (ROWS - 1));
            }
            if (!e.has_se || !(fabs(e.se - se) <= 1e-12))
                fail_msg("%s, %d levels: se %.17g, not %.17g", metric->name, levels, e.se, se);
        }
        ml_measure_free(m);
    }
}

/* Two models of 40 rows each, of which either may be the better one: 0, 1, -1, or 2 where there is no value. */
static int which_is_better(struct ml_measure *a, struct ml_measure *b, const struct ml_metric *m)
{
    struct ml_value x, y;

    ml_measure_value(a, m, &x);
    ml_measure_value(b, m, &y);
    if (!x.ok || !y.ok)
        return 2;
    return fabs(x.value - y.value) <= 1e-12 ? 0 : (x.value < y.value ? 1 : -1) * m->direction;
}

/* What counts as one hypothesis is decided alike, whatever the models say. */
static void metrics_that_ask_the_same_agree(void **state)
{
    enum { ROWS = 40 };
    static const enum ml_task tasks[] = { ML_TASK_BINARY, ML_TASK_MULTICLASS, ML_TASK_REGRESSION };
    int32_t label[ROWS], pred[2][ROWS];
    double score[2][3 * ROWS], truth[ROWS], estimate[2][ROWS];
    uint64_t x = 88172645463325252u;
    size_t agreed = 0;

    (void)state;
    for (size_t round = 0; round < 90; round++) {
        enum ml_task task = tasks[round % N(tasks)];
        int32_t k = task == ML_TASK_BINARY ? 2 : 3;
        struct ml_measure *m[2];

        for (size_t i = 0; i < ROWS; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            label[i] = i < 3 ? (int32_t)i % k : (int32_t)(x % (uint64_t)k);
            truth[i] = 1 + (double)(x % 100);
            for (size_t j = 0; j < 2; j++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                pred[j][i] = x % 3 ? label[i] : (int32_t)(x / 3 % (uint64_t)k);
                estimate[j][i] = truth[i] * (0.5 + (double)(x % 1000) / 1000);
                for (size_t c = 0; c < 3; c++)
                    score[j][i * (k == 2 ? 1 : 3) + (k == 2 ? 0 : c)] = (double)(x >> (10 * c) & 1023) / 1024;
            }
        }
        for (size_t j = 0; j < 2; j++) {
            struct ml_sample s = { .task = task, .n = ROWS, .classes = k, .positive = k == 2 ? 1 : -1 };
            s.label = label;
            s.pred = pred[j];
            s.score = score[j];
            s.costs = &costs;
            if (task == ML_TASK_REGRESSION)
                s = numbers(ROWS, truth, estimate[j]);
            m[j] = ml_measure_new(&s, NULL, 0);
        }
        for (size_t a = 0; a < ml_metric_count(); a++)
            for (size_t b = 0; b < a; b++) {
                const struct ml_metric *p = metric_at(a), *q = metric_at(b);
                int first, second;

                if (!(p->tasks & q->tasks & (int)task) || !ml_metric_same(p, q))
                    continue;
                first = which_is_better(m[0], m[1], p);
                second = which_is_better(m[0], m[1], q);
                if (first != 2 && second != 2 && first != second)
                    fail_msg("'%s' and '%s' differ about two models", p->name, q->name);
                agreed += first == second && first != 2;
            }
        ml_measure_free(m[0]);
        ml_measure_free(m[1]);
    }
    assert_true(agreed > 30 * (15 + 10 + 4));
    assert_true(ml_metric_same(ml_metric_find("gini"), ml_metric_find("roc_auc")));
    assert_true(ml_metric_same(ml_metric_find("fbeta@1"), ml_metric_find("f1")));
    assert_true(ml_metric_same(ml_metric_find("lift@10%"), ml_metric_find("precision@10%")));
    assert_false(ml_metric_same(ml_metric_find("fbeta@2"), ml_metric_find("f1")));
    assert_false(ml_metric_same(ml_metric_find("lift@10%"), ml_metric_find("lift@20%")));
}

/* The score interval of a mean over one class is Wilson's. */
static void one_class_is_a_share(void **state)
{
    (void)state;
    for (double n = 1; n < 2000; n *= 3)
        for (double p = 0; p <= 1; p += 0.125) {
            struct ml_arm arm = { .value = p, .se = sqrt(p * (1 - p) / n), .slope = (1 - 2 * p) / n, .curve = 1 / n };
            double below, above, low, high;

            ml_arm_reach(&arm, 1.96, &below, &above);
            ml_wilson(p, n, 1.96, &low, &high);
            assert_float_equal(p - below, low, 1e-12);
            assert_float_equal(p + above, high, 1e-12);
        }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ml_metric_count(); i++) {
        const struct ml_metric *m = ml_metric_at(i);

        const struct ml_metric *found = ml_metric_of(m->name, m->tasks & -m->tasks);

        if (isnan(m->x)) /* no such metric, or another one: precision and precision@10 */
            assert_true(!found || found->parameter == ML_PARAMETER_NONE);
        else
            assert_ptr_equal(found, m);
        assert_true(m->direction == 1 || m->direction == -1);
        assert_true(m->low < m->high);
        assert_true(m->tasks != 0);
        /* what is measured from an ideal is better when lower, and the reverse */
        assert_true(m->direction > 0 ? isfinite(m->high) || ml_metric_top(m) : m->low == 0);
    }
    assert_int_equal((int)ml_metric_find("top_3_accuracy")->x, 3);
    assert_int_equal(ml_metric_find("mse")->direction, -1);
    assert_false(ml_metric_find("mse")->common);
    assert_true(ml_metric_find("f1")->common);
    assert_null(ml_metric_find("f1@2")); /* takes no parameter */
    assert_null(ml_metric_find("f1@"));
    assert_null(ml_metric_find("@2"));
    assert_null(ml_metric_find("Accuracy"));
    assert_null(ml_metric_find(""));
    assert_null(ml_metric_find("lift"));
    assert_null(ml_metric_find("lift@0.5"));
    assert_null(ml_metric_find("lift@100%"));
    assert_null(ml_metric_find("lift@%"));
    assert_null(ml_metric_find("precision@0"));
    assert_true(ml_metric_find("precision@10%")->x == 0.1);
    assert_ptr_equal(ml_metric_find("precision@10"), ml_metric_find("precision@10"));
    assert_true(ml_metric_find("precision")->average == ML_AVERAGE_BINARY);
    assert_null(ml_metric_find("fbeta")); /* means nothing without one */
    assert_null(ml_metric_find("fbeta@0"));
    assert_null(ml_metric_find("fbeta@-1"));
    assert_null(ml_metric_find("fbeta@nan"));
    assert_true(ml_metric_find("fbeta@2")->x == 2);
    assert_ptr_equal(ml_metric_find("fbeta@2"), ml_metric_find("fbeta@2"));
    assert_true(ml_metric_bounded(ml_metric_find("mcc")));
    assert_true(ml_metric_bounded(ml_metric_find("brier")));
    assert_false(ml_metric_bounded(ml_metric_find("r2")));
    assert_false(ml_metric_bounded(ml_metric_find("log_loss")));
}

static void worked_examples_of_classes(void **state)
{
    const int32_t y[] = { 0, 1, 2, 0, 1, 2 }, p[] = { 0, 2, 1, 0, 0, 1 };
    struct ml_sample s = { .task = ML_TASK_MULTICLASS, .n = 6, .classes = 3, .label = y, .pred = p };
    const int32_t by[] = { 0, 1, 0, 0, 1, 0 }, bp[] = { 0, 1, 0, 0, 0, 1 };
    const int32_t my[] = { 1, 1, 1, 0 }, mp[] = { 1, 0, 1, 1 };

    (void)state;
    assert_value(&s, "precision_macro", 2.0 / 9);
    assert_value(&s, "recall_macro", 1.0 / 3);
    assert_value(&s, "f1_macro", 4.0 / 15);
    assert_value(&s, "f1_micro", 1.0 / 3);
    assert_value(&s, "precision_micro", 1.0 / 3);
    s = binary(6, by, bp, NULL);
    assert_value(&s, "balanced_accuracy", 0.625);
    s = binary(4, my, mp, NULL);
    assert_value(&s, "mcc", -1.0 / 3);
}

static void worked_examples_of_scores(void **state)
{
    const int32_t y[] = { 0, 0, 1, 1 }, by[] = { 0, 1, 1, 0 }, ends[] = { 0, 1 }, ky[] = { 0, 1, 2, 2 };
    const double plain[] = { .1, .4, .35, .8 }, tie[] = { .1, .4, .4, .8 }, same[] = { .5, .5, .5, .5 };
    const double b[] = { .1, .9, .8, .3 }, zero[] = { 0, 0 };
    const double k[] = { .5, .2, .2, .3, .4, .2, .2, .4, .3, .7, .2, .1 };
    struct ml_sample s = binary(4, y, NULL, plain);

    (void)state;
    assert_value(&s, "roc_auc", 0.75);
    assert_value(&s, "average_precision", 5.0 / 6);
    s.score = tie;
    assert_value(&s, "roc_auc", 0.875);
    s.score = same;
    assert_value(&s, "roc_auc", 0.5);
    assert_value(&s, "average_precision", 0.5);
    s = binary(4, by, NULL, b);
    assert_value(&s, "brier", 0.0375);
    assert_value(&s, "log_loss", -(2 * log(.9) + log(.8) + log(.7)) / 4);
    s = binary(2, ends, NULL, zero);
    assert_value(&s, "log_loss", 18.021826694558577);
    assert_int_equal(value_of(&s, "log_loss").clipped, 1);
    s = (struct ml_sample){ .task = ML_TASK_MULTICLASS, .n = 4, .classes = 3, .label = ky, .score = k };
    assert_value(&s, "top_2_accuracy", 0.75);
    assert_none(&s, "top_3_accuracy", "number of classes");
    assert_none(&s, "log_loss", "off 1");
    assert_none(&s, "accuracy", "no predictions");
    assert_none(&s, "mae", "not a metric of this task");
}

static void equal_scores_rank_the_higher_class_first(void **state)
{
    const double k[] = { .4, .3, .3, .4, .3, .3 };
    const int32_t y[] = { 1, 2 };
    struct ml_sample s = { .task = ML_TASK_MULTICLASS, .n = 1, .classes = 3, .label = y, .score = k };

    (void)state;
    assert_value(&s, "top_2_accuracy", 0);
    s.label = y + 1;
    assert_value(&s, "top_2_accuracy", 1);
}

static void worked_examples_of_numbers(void **state)
{
    const double y[] = { 3, -.5, 2, 7 }, p[] = { 2.5, 0, 2, 8 }, five[] = { 5, 5 }, six[] = { 5, 6 };
    struct ml_sample s = numbers(4, y, p);

    (void)state;
    assert_value(&s, "mae", 0.5);
    assert_value(&s, "mse", 0.375);
    assert_value(&s, "rmse", sqrt(0.375));
    assert_value(&s, "median_ae", 0.5);
    assert_value(&s, "r2", 0.9486081370449679);
    s = numbers(2, five, five);
    assert_value(&s, "r2", 1);
    s = numbers(2, five, six);
    assert_value(&s, "r2", 0);
    s = numbers(1, five, six);
    assert_none(&s, "r2", "two rows");
}

static void labels_without_a_positive_have_no_value(void **state)
{
    const int32_t y[] = { 0, 0, 0 }, p[] = { 0, 1, 0 };
    const double score[] = { .2, .7, .1 };
    struct ml_sample s = binary(3, y, p, score);

    (void)state;
    assert_none(&s, "precision", "no row is labelled positive");
    assert_none(&s, "recall", "no row is labelled positive");
    assert_none(&s, "f1", "no row is labelled positive");
    assert_none(&s, "fbeta@2", "no row is labelled positive");
    assert_none(&s, "jaccard", "no row is labelled positive");
    assert_value(&s, "specificity", 2.0 / 3);
    assert_value(&s, "cohen_kappa", 0);
    assert_none(&s, "average_precision", "no row is labelled positive");
    assert_none(&s, "roc_auc", "one class only");
    assert_value(&s, "accuracy", 2.0 / 3);
    assert_value(&s, "mcc", 0);
    /* positives that are never predicted: zero_division 0, and nothing to build an interval on */
    s = binary(3, p, y, score);
    assert_value(&s, "precision", 0);
    assert_value(&s, "f1", 0);
    assert_false(estimate_of(&s, "precision", NULL).has_interval);
    assert_string_equal(estimate_of(&s, "precision", NULL).interval_reason, "no row in the denominator");
}

static void agreement_needs_two_classes(void **state)
{
    const int32_t y[] = { 1, 1, 1 }, p[] = { 1, 1, 0 };
    struct ml_sample s = binary(3, y, y, NULL);

    (void)state;
    assert_none(&s, "cohen_kappa", "of one class");
    assert_none(&s, "cohen_kappa_quadratic", "of one class");
    assert_none(&s, "specificity", "no row is labelled negative");
    s = binary(3, y, p, NULL);
    assert_value(&s, "cohen_kappa_linear", 0);
}

/* A class that isn't there keeps its place: scikit-learn's kappa with labels=[0, 1, 2, 3, 4]. */
static void weighted_kappa_counts_all_classes(void **state)
{
    const int32_t y[] = { 0, 2, 4, 4, 0, 2 }, p[] = { 0, 4, 4, 2, 0, 2 };
    struct ml_sample s = { .task = ML_TASK_MULTICLASS, .n = 6, .classes = 5, .positive = -1, .label = y, .pred = p };

    (void)state;
    assert_value(&s, "cohen_kappa", 0.5);
    assert_value(&s, "cohen_kappa_linear", 1 - 2.0 / 3 / (16.0 / 9));
    assert_value(&s, "cohen_kappa_quadratic", 1 - 4.0 / 3 / (16.0 / 3));
}

/* Far from 1, beta leaves precision or recall. */
static void extreme_betas(void **state)
{
    const int32_t y[] = { 1, 1, 1, 1, 0, 0 }, p[] = { 1, 0, 0, 1, 1, 0 };
    struct ml_sample s = binary(6, y, p, NULL);

    (void)state;
    assert_value(&s, "fbeta@1", value_of(&s, "f1").value);
    assert_value(&s, "fbeta@1e-300", 2.0 / 3);
    assert_value(&s, "fbeta@1e-9", 2.0 / 3);
    assert_value(&s, "fbeta@1e9", 0.5);
    assert_value(&s, "fbeta@1e300", 0.5);
    assert_value(&s, "fbeta_macro@1e300", value_of(&s, "recall_macro").value);
    assert_true(estimate_of(&s, "fbeta@1e300", NULL).has_interval);
}

static void costs_of_answers(void **state)
{
    const int32_t y[] = { 0, 0, 1, 1, 1, 0 }, p[] = { 0, 1, 0, 1, 1, 0 }, many[] = { 2, 0, 1, 2, 1, 0 };
    const struct ml_costs of_many = { cells, 2, 10, 10 };
    struct ml_sample s = binary(6, y, p, NULL);
    struct ml_estimate e = estimate_of(&s, "cost", NULL);

    (void)state;
    assert_value(&s, "cost", (1 + 5 + 0.5 + 0.5) / 6);
    assert_true(e.has_interval && e.low > 0 && e.low < e.v.value && e.high > e.v.value && e.high < 5);
    s.label = p; /* all right: the rows bound what it may cost */
    s.costs = &of_many;
    e = estimate_of(&s, "cost", NULL);
    assert_true(e.v.value == 0 && e.low == 0 && fabs(e.high - 10 * 0.39033) < 1e-3);
    s = (struct ml_sample){
        .task = ML_TASK_MULTICLASS, .n = 6, .classes = 3, .positive = -1, .label = many, .pred = y
    };
    assert_none(&s, "cost", "nobody says");
    s.costs = &of_many;
    assert_value(&s, "cost", 20 / 6.0);
}

/* A million classes cost no more than the rows and the classes. */
static void a_million_classes(void **state)
{
    enum { K = 1000000, ROWS = 1000 };
    static const char *const names[] = { "f1_macro", "jaccard_macro", "cohen_kappa", "cohen_kappa_linear",
        "cohen_kappa_quadratic", "fbeta_weighted@2", "specificity_macro", "mcc" };
    int32_t y[ROWS], p[ROWS];
    struct ml_sample s = { .task = ML_TASK_MULTICLASS, .n = ROWS, .classes = K, .positive = -1, .label = y, .pred = p };

    (void)state;
    for (int32_t i = 0; i < ROWS; i++) {
        y[i] = i / 4 * (4 * K / ROWS);
        p[i] = i % 4 ? y[i] : (K - 1) - y[i];
    }
    for (size_t i = 0; i < N(names); i++) {
        struct ml_estimate e = estimate_of(&s, names[i], NULL);

        if (!e.v.ok || !e.has_interval || !(e.low < e.v.value) || !(e.v.value < e.high))
            fail_msg("%s: %.17g in %.17g to %.17g", names[i], e.v.value, e.low, e.high);
    }
}

static void no_rows_have_no_value(void **state)
{
    const int32_t y[] = { 0, 1 };
    const double w[] = { 0, 0 }, score[] = { .1, .2 };
    struct ml_sample s = binary(0, y, y, score);

    (void)state;
    for (size_t i = 0; i < ml_metric_count(); i++)
        if (metric_at(i)->tasks & ML_TASK_BINARY)
            assert_none(&s, metric_at(i)->name, "no rows");
    s.n = 2;
    s.weight = w;
    assert_none(&s, "accuracy", "no rows");
    assert_none(&s, "log_loss", "no rows");
}

static void weights_are_scale_free(void **state)
{
    const int32_t y[] = { 0, 1, 1, 0, 1 }, p[] = { 0, 1, 0, 1, 1 };
    const double score[] = { .2, .7, .4, .6, .9 }, w[] = { 1, 2, 3, 1, 0 };
    double scaled[5];
    struct ml_sample s = binary(5, y, p, score), t = s;

    (void)state;
    s.weight = w;
    t.weight = scaled;
    for (double by = 1e-300; by < 1e305; by *= 1e100) {
        for (size_t i = 0; i < 5; i++)
            scaled[i] = w[i] * by;
        for (size_t i = 0; i < ml_metric_count(); i++) {
            const char *name = metric_at(i)->name;
            struct ml_estimate a, b;

            if (!(metric_at(i)->tasks & ML_TASK_BINARY))
                continue;
            a = estimate_of(&s, name, NULL);
            b = estimate_of(&t, name, NULL);
            assert_true(a.v.ok == b.v.ok && a.has_interval == b.has_interval);
            assert_true(fabs(a.v.value - b.v.value) < 1e-12);
            assert_true(fabs(a.low - b.low) < 1e-9 && fabs(a.high - b.high) < 1e-9 && fabs(a.se - b.se) < 1e-9);
        }
    }
    /* all alike: the same as none, interval and all */
    for (size_t i = 0; i < 5; i++)
        scaled[i] = 0.1;
    s.weight = NULL;
    assert_true(estimate_of(&s, "accuracy", NULL).low == estimate_of(&t, "accuracy", NULL).low);
    assert_true(estimate_of(&s, "f1", NULL).se == estimate_of(&t, "f1", NULL).se);
}

static void a_slice_is_the_sample_of_its_rows(void **state)
{
    const int32_t y[] = { 0, 1, 1, 0, 1, 0 }, p[] = { 0, 1, 0, 1, 1, 0 }, sy[] = { 1, 0, 1 }, sp[] = { 0, 1, 1 };
    const double score[] = { .2, .7, .4, .6, .9, .3 }, ss[] = { .4, .6, .7 };
    const uint32_t group[] = { 7, 7, 3, 3, 3, 1 }, rows[] = { 2, 3, 1 };
    struct ml_sample s = binary(6, y, p, score), t = binary(3, sy, sp, ss);
    struct ml_measure *a, *b;

    (void)state;
    s.group = group;
    s.groups = 8;
    a = ml_measure_new(&s, rows, 3);
    assert_int_equal(ml_measure_rows(a), 3);
    assert_int_equal(ml_measure_groups(a), 2);
    b = ml_measure_new(&t, NULL, 0);
    for (size_t i = 0; i < ml_metric_count(); i++) {
        struct ml_value u, v;

        ml_measure_value(a, metric_at(i), &u);
        ml_measure_value(b, metric_at(i), &v);
        assert_true(u.ok == v.ok && u.value == v.value && u.n == v.n);
    }
    ml_measure_free(a);
    ml_measure_free(b);
    a = ml_measure_new(&s, rows, 0);
    assert_int_equal(ml_measure_rows(a), 0);
    ml_measure_free(a);
    ml_measure_free(NULL);
}

static void twice_the_rows_keep_the_values(void **state)
{
    const int32_t y[] = { 0, 1, 1, 0, 1, 0 }, p[] = { 0, 1, 0, 1, 1, 0 };
    const double score[] = { .2, .7, .4, .6, .9, .3 };
    const uint32_t rows[] = { 0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0 };
    struct ml_sample s = binary(6, y, p, score);
    struct ml_measure *once = ml_measure_new(&s, NULL, 0), *twice = ml_measure_new(&s, rows, 12);

    (void)state;
    for (size_t i = 0; i < ml_metric_count(); i++) {
        struct ml_estimate a, b;

        if (!(metric_at(i)->tasks & ML_TASK_BINARY) || ml_metric_top(metric_at(i)))
            continue; /* the first of twice the rows are half of them */
        ml_measure_estimate(once, metric_at(i), 0.95, NULL, &a);
        ml_measure_estimate(twice, metric_at(i), 0.95, NULL, &b);
        assert_true(fabs(a.v.value - b.v.value) < 1e-12);
        assert_true(b.high - b.low < a.high - a.low ||
                    (b.low == 0 && b.high == 1 && metric_at(i)->id == ML_METRIC_KS) ||
                    !a.has_interval); /* a maximum: no less is known */
    }
    ml_measure_free(once);
    ml_measure_free(twice);
}

static void groups_widen_intervals(void **state)
{
    int32_t y[60], p[60];
    uint32_t group[60];
    struct ml_sample s = binary(60, y, p, NULL), t;
    struct ml_estimate alone, together;

    (void)state;
    for (size_t i = 0; i < 60; i++) {
        y[i] = (int32_t)(i % 2);
        p[i] = i / 4 % 5 == 0 ? 1 - y[i] : y[i]; /* whole groups of four are wrong */
        group[i] = (uint32_t)i / 4;
    }
    t = s;
    t.group = group;
    t.groups = 15;
    alone = estimate_of(&s, "accuracy", NULL);
    together = estimate_of(&t, "accuracy", NULL);
    assert_true(alone.v.value == together.v.value && together.se > 1.9 * alone.se);
    assert_true(together.high - together.low > 1.7 * (alone.high - alone.low));
    for (size_t i = 0; i < 60; i++)
        group[i] = (uint32_t)(59 - i);
    t.groups = 60;
    assert_true(estimate_of(&t, "accuracy", NULL).low == alone.low);
    memset(group, 0, sizeof group);
    assert_false(estimate_of(&t, "f1", NULL).has_interval);
    assert_string_equal(estimate_of(&t, "f1", NULL).interval_reason, "an interval needs two groups");
}

static void numbers_near_the_ends_of_a_double(void **state)
{
    const double big = 1.5e308, tiny = 4e-320;
    const double y[] = { big, -big, 0 }, p[] = { -big, big, 0 }, z[] = { 0, 0, 0 };
    const double u[] = { tiny, -tiny, 0 }, v[] = { -tiny, tiny, 0 };
    struct ml_sample s = numbers(3, y, p);

    (void)state;
    assert_none(&s, "mae", "overflows");
    assert_none(&s, "mse", "overflows");
    assert_none(&s, "median_ae", "overflows");
    assert_value(&s, "r2", -3);
    s = numbers(3, y, z);
    assert_true(value_of(&s, "mae").value == big / 3 * 2);
    assert_true(fabs(value_of(&s, "rmse").value / (big * sqrt(2.0 / 3)) - 1) < 1e-14);
    assert_true(value_of(&s, "median_ae").value == big);
    assert_true(isfinite(estimate_of(&s, "mae", NULL).se));
    s = numbers(3, u, v);
    assert_true(fabs(value_of(&s, "mae").value / (tiny * 4 / 3) - 1) < 1e-3);
    assert_true(fabs(value_of(&s, "rmse").value / (2 * tiny * sqrt(2.0 / 3)) - 1) < 1e-3);
    assert_value(&s, "r2", -3);
}

static void perfect_models_get_one_sided_intervals(void **state)
{
    int32_t y[40];
    double score[40];
    struct ml_sample s = binary(40, y, y, score);
    const char *const names[] = { "accuracy", "f1", "balanced_accuracy", "roc_auc", "average_precision", "f1_macro" };

    (void)state;
    for (int i = 0; i < 40; i++) {
        y[i] = i < 15;
        score[i] = i < 15 ? 0.9 : 0.1;
    }
    for (size_t i = 0; i < N(names); i++) {
        struct ml_estimate e = estimate_of(&s, names[i], NULL);

        if (!e.has_interval || e.high != 1 || !(e.low > 0.7 && e.low < 0.96))
            fail_msg("%s: %.4f to %.4f", names[i], e.low, e.high);
    }
    assert_string_equal(estimate_of(&s, "roc_auc", NULL).interval, "newcombe");
    assert_false(estimate_of(&s, "mcc", NULL).has_interval);
    assert_false(estimate_of(&s, "log_loss", NULL).has_interval);
}

static void bootstrap_depends_on_the_seed_only(void **state)
{
    double y[50], p[50];
    struct ml_sample s = numbers(50, y, p);
    struct ml_boot boot = { .replicates = 300 };
    struct ml_estimate a, b;

    (void)state;
    for (int i = 0; i < 50; i++) {
        y[i] = i;
        p[i] = i + sin(i * 1.7) * 3;
    }
    a = estimate_of(&s, "median_ae", &boot);
    b = estimate_of(&s, "median_ae", &boot);
    assert_true(a.has_interval && a.low == b.low && a.high == b.high && a.low < a.v.value && a.v.value < a.high);
    boot.seed = 1;
    b = estimate_of(&s, "median_ae", &boot);
    assert_true(a.se != b.se);
    assert_int_equal(ml_boot_replicates(NULL), 2000);
    boot = (struct ml_boot){ .comparisons = 40 };
    assert_int_equal(ml_boot_replicates(&boot), 8000);
    s.n = 1;
    assert_false(estimate_of(&s, "median_ae", NULL).has_interval);
}

/* Areas of many replicates at once are those of one replicate after the other, with the same draws. */
static void areas_of_replicates(void **state)
{
    enum { ROWS = 12000, REPLICATES = 40 };
    static const size_t sizes[] = { 40, 900, ROWS };
    static const int levels[] = { 1, 5, 700, 1000000 };
    static int32_t label[ROWS];
    static double score[2][ROWS], w[ROWS], fast[REPLICATES];
    static uint32_t scratch[ROWS], counts[ROWS];
    const struct ml_metric *metric = ml_metric_find("roc_auc");
    struct weighting by = { w, counts };
    uint64_t x = 88172645463325252u;

    (void)state;
    for (size_t t = 0; t < N(sizes) * N(levels); t++) {
        struct ml_sample s[2] = { binary(sizes[t % N(sizes)], label, NULL, score[0]) };
        struct ml_measure *m[2];
        size_t n = s[0].n, at = 0, used;

        for (size_t i = 0; i < n; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            label[i] = x % 20 == 0;
            score[0][i] = (double)(x / 20 % (uint64_t)levels[t / N(sizes)]) + label[i];
            score[1][i] = (double)(x / 7 % (uint64_t)levels[t / N(sizes)]) + label[i];
        }
        s[1] = s[0];
        s[1].score = score[1];
        for (int k = 0; k < 2; k++)
            m[k] = ml_measure_new(&s[k], NULL, 0);
        assert_true(ml_measure_replicates(m[0], t % 2 ? m[1] : NULL, metric, 3, REPLICATES, fast, &used));
        for (size_t r = 0; r < REPLICATES; r++) {
            struct ml_value a, b = { .value = 0 };

            ml_measure_draw(m[0], 3, r, scratch, counts, w);
            if (!ml_measure_value_by(m[0], metric, &by, &a))
                continue; /* 40 rows may hold no positive */
            if (t % 2)
                ml_measure_value_by(m[1], metric, &by, &b);
            if (!(fabs(fast[at++] - (t % 2 ? b.value - a.value : a.value)) <= 1e-14))
                fail_msg("%zu rows, %d levels, replicate %zu", n, levels[t / N(sizes)], r);
        }
        assert_int_equal(at, used);
        for (int k = 0; k < 2; k++)
            ml_measure_free(m[k]);
    }
}

static void replicates_without_a_value_are_counted(void **state)
{
    const int32_t y[] = { 1, 0, 0, 0, 0, 0, 0, 0 };
    const double score[] = { .9, .1, .2, .3, .4, .5, .6, .7 };
    struct ml_sample s = binary(8, y, NULL, score);
    struct ml_boot boot = { .force = true, .replicates = 500 };
    struct ml_estimate e = estimate_of(&s, "average_precision", &boot);

    (void)state;
    /* the one positive is missing from (7/8)^8 = 34 % of the replicates */
    assert_true(e.undefined > 130 && e.undefined < 210);
    assert_false(e.has_interval);
    assert_string_equal(e.interval_reason, "undefined in more than 1 % of the replicates");
}

static void confusion_counts(void **state)
{
    const int32_t y[] = { 0, 1, 1, 2 }, p[] = { 0, 1, 2, 2 };
    struct ml_sample s = { .task = ML_TASK_MULTICLASS, .n = 4, .classes = 3, .label = y, .pred = p };
    const uint64_t want[] = { 1, 0, 0, 0, 1, 1, 0, 0, 1 };
    uint64_t got[9];

    (void)state;
    ml_sample_confusion(&s, got);
    assert_memory_equal(got, want, sizeof want);
}

static void order_of_many_numbers(void **state)
{
    size_t n = 100000;
    double *x = malloc(n * sizeof *x);
    uint32_t *o = malloc(n * sizeof *o), seed = 1;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ((double)(seed >> 8) / 1000 - 8000) * (i % 3 ? 1 : 1e-300);
    }
    x[5] = DBL_MAX;
    x[6] = -DBL_MAX;
    ml_order(x, 1, n, o);
    assert_int_equal(o[0], 6);
    assert_int_equal(o[n - 1], 5);
    for (size_t i = 1; i < n; i++)
        assert_true(x[o[i - 1]] < x[o[i]] || (x[o[i - 1]] == x[o[i]] && o[i - 1] < o[i]));
    free(x);
    free(o);
}

/* Loops over many rows may be run by wide instructions; one by one is plain. */
static void losses_of_many_rows(void **state)
{
    enum { ROWS = 70011 };
    static int32_t label[ROWS];
    static double score[ROWS], loss[2][ROWS];
    struct ml_sample s = binary(ROWS, label, NULL, score);
    struct ml_powers powers = { .one = { .s = { 0 } } };
    struct ml_sum plain[3][ML_SUM_LANES] = { { { 0, 0 } } };
    volatile long double small = 0x1p-60L; /* valgrind has no more digits than a double */
    struct ml_measure *m;
    double ulp;
    uint64_t x = 88172645463325252u;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        label[i] = x >> 20 & 1;
        score[i] = (double)(x >> 11) * 0x1p-53;
        if (i % 4 == 0)
            score[i] = ldexp(score[i], -(int)(x % 70));
        if (i % 4 == 1)
            score[i] = 1 - ldexp(score[i], -(int)(x % 70));
    }
    score[0] = 0, score[1] = 1, score[2] = -0.0, score[3] = DBL_EPSILON, score[4] = 1 - DBL_EPSILON / 2;
    m = ml_measure_new(&s, NULL, 0);
    assert_true(ml_class_loss_rows(m, ml_metric_find("log_loss"), loss[0]));
    assert_true(ml_class_loss_rows(m, ml_metric_find("brier"), loss[1]));
    for (size_t i = 0; i < ROWS; i++) {
        double own = fmin(fmax(label[i] ? score[i] : 1 - score[i], DBL_EPSILON), 1 - DBL_EPSILON);
        double d = score[i] - label[i];
        long double exact = -logl((long double)own);

        assert_true(loss[0][i] == -ml_log(own) && loss[1][i] == d * d);
        ulp = nextafter((double)exact, INFINITY) - (double)exact;
        assert_true(fabsl((long double)loss[0][i] - exact) < (long double)ulp * (1 + small > 1 ? 1 : 2));
        d = loss[0][i] - 0.7;
        ml_sum_add(&plain[0][i % ML_SUM_LANES], d);
        ml_sum_add(&plain[1][i % ML_SUM_LANES], d * d);
        ml_sum_add(&plain[2][i % ML_SUM_LANES], d * d * d);
    }
    for (size_t i = 0, n; i < ROWS; i += n) {
        n = ROWS - i < 4096 ? ROWS - i : 4096;
        ml_powers_add(&powers, loss[0] + i, 0.7, n);
    }
    for (int l = 0; l < ML_SUM_LANES; l++) {
        assert_true(powers.one.s[l] == plain[0][l].s && powers.one.c[l] == plain[0][l].c);
        assert_true(powers.two.s[l] == plain[1][l].s && powers.two.c[l] == plain[1][l].c);
        assert_true(powers.three.s[l] == plain[2][l].s && powers.three.c[l] == plain[2][l].c);
    }
    for (int bad = 0; bad < 2; bad++) { /* the last row alone is no probability */
        ml_measure_free(m);
        score[ROWS - 1] = bad ? nextafter(1, 2) : -5e-324;
        m = ml_measure_new(&s, NULL, 0);
        assert_false(ml_class_loss_proba(m));
    }
    ml_measure_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_class_is_a_share),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(metrics_that_ask_the_same_agree),
        cmocka_unit_test(estimates_agree_with_influences),
        cmocka_unit_test(worked_examples_of_classes),
        cmocka_unit_test(worked_examples_of_scores),
        cmocka_unit_test(equal_scores_rank_the_higher_class_first),
        cmocka_unit_test(worked_examples_of_numbers),
        cmocka_unit_test(labels_without_a_positive_have_no_value),
        cmocka_unit_test(agreement_needs_two_classes),
        cmocka_unit_test(weighted_kappa_counts_all_classes),
        cmocka_unit_test(extreme_betas),
        cmocka_unit_test(costs_of_answers),
        cmocka_unit_test(a_million_classes),
        cmocka_unit_test(no_rows_have_no_value),
        cmocka_unit_test(weights_are_scale_free),
        cmocka_unit_test(a_slice_is_the_sample_of_its_rows),
        cmocka_unit_test(twice_the_rows_keep_the_values),
        cmocka_unit_test(groups_widen_intervals),
        cmocka_unit_test(numbers_near_the_ends_of_a_double),
        cmocka_unit_test(perfect_models_get_one_sided_intervals),
        cmocka_unit_test(bootstrap_depends_on_the_seed_only),
        cmocka_unit_test(areas_of_replicates),
        cmocka_unit_test(losses_of_many_rows),
        cmocka_unit_test(replicates_without_a_value_are_counted),
        cmocka_unit_test(confusion_counts),
        cmocka_unit_test(order_of_many_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
