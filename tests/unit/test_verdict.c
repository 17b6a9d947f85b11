/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intervals, differences and verdicts: published examples, and each rule at its edge. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stats/calibration.h"
#include "stats/delta.h"
#include "stats/dist.h"
#include "stats/interval.h"
#include "stats/verdict.h"

#define Z 1.959963984540054

static void assert_interval(double low, double high, double want_low, double want_high, double tolerance)
{
    if (fabs(low - want_low) > tolerance || fabs(high - want_high) > tolerance)
        fail_msg("%.6f to %.6f, not %.6f to %.6f", low, high, want_low, want_high);
}

static void published_intervals(void **state)
{
    double low, high;

    (void)state;
    /* Newcombe 1998, Statist. Med. 17, 857, table I, method 3 */
    ml_wilson(81.0 / 263, 263, Z, &low, &high);
    assert_interval(low, high, 0.2553, 0.3662, 5e-5);
    ml_wilson(1.0 / 29, 29, Z, &low, &high);
    assert_interval(low, high, 0.0061, 0.1718, 5e-5);
    ml_wilson(0, 20, Z, &low, &high);
    assert_interval(low, high, 0, 0.1611, 5e-5);
    /* Fagerland, Lydersen & Laake 2014, Statist. Med. 33, 2850: airway hyper-responsiveness, b = 1, c = 7, n = 21 */
    ml_tango(21, 1, 7, Z, &low, &high);
    assert_interval(low, high, -0.517, -0.026, 5e-4);
    assert_true(fabs(ml_mcnemar_midp(1, 7) - 0.0390625) < 1e-12);
    assert_true(fabs(ml_mcnemar_midp(11, 1) - 0.00341796875) < 1e-12);
}

static void intervals_at_the_edges(void **state)
{
    double low, high;

    (void)state;
    ml_tango(50, 0, 0, Z, &low, &high);
    assert_interval(low, high, -Z * Z / (50 + Z * Z), Z * Z / (50 + Z * Z), 1e-9);
    ml_tango(50, 50, 0, Z, &low, &high);
    assert_true(high == 1 && low > 0.8 && low < 1);
    ml_tango(50, 0, 50, Z, &low, &high);
    assert_true(low == -1 && high < -0.8);
    ml_tango(4000000000u, 2000, 1000, Z, &low, &high);
    assert_true(low > 0 && high < 1e-6);
    ml_newcombe5(1, 20, 1000, Z, &low, &high);
    assert_true(high == 1 && low > 0.9 && low < 0.98);
    ml_newcombe5(0, 20, 1000, Z, &low, &high);
    assert_true(low == 0 && high < 0.1 && high > 0.02);
    ml_newcombe5(0.5, 1, 1, Z, &low, &high);
    assert_true(low >= 0 && high <= 1);
    assert_true(ml_mcnemar_midp(0, 0) == 1 && ml_mcnemar_midp(40, 40) == 1);
    assert_true(ml_mcnemar_midp(0, 5000) == 1e-300);
    assert_true(ml_mcnemar_midp(3, 9) == ml_mcnemar_midp(9, 3));
    assert_true(ml_t_two_sided(0, 5) == 1 && ml_t_two_sided(1e200, 1e9) == 1e-300);
}

/* A clear gain of .02 +- .01 with nothing in its way. */
static struct ml_evidence gain(void)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;

    e.has_interval = true;
    e.delta = 0.02;
    e.low = 0.01;
    e.high = 0.03;
    e.se = 0.01 / Z;
    e.p = e.p_adjusted = 1e-4;
    e.rows = e.n = 1000;
    e.changed = 50;
    e.bounded = true;
    return e;
}

static struct ml_judgement assert_verdict(const struct ml_evidence *e, enum ml_verdict want, const char *reason)
{
    struct ml_judgement j;

    ml_judge(e, &j);
    assert_string_equal(ml_verdict_name(j.verdict), ml_verdict_name(want));
    if (reason ? !strstr(j.reason, reason) : j.reason[0] != 0)
        fail_msg("reason '%s', wanted '%s'", j.reason, reason ? reason : "");
    return j;
}

static void losses_turn_the_verdict_round(void **state)
{
    struct ml_evidence e = gain();

    (void)state;
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
    e.direction = -1;
    assert_verdict(&e, ML_VERDICT_WORSE, NULL);
    e.delta = -e.delta;
    e.low = -0.03;
    e.high = -0.01;
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
}

static void identical_models_are_equivalent(void **state)
{
    struct ml_evidence e = ML_EVIDENCE_INIT;
    struct ml_judgement j;

    (void)state;
    e.identical = true;
    e.rows = 3; /* rule 0 comes before rule 1 */
    j = assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
    assert_true(j.noninferior);
}

static void too_little_is_inconclusive(void **state)
{
    struct ml_evidence e = gain();
    struct ml_judgement j;

    (void)state;
    e.margin = 0.5;
    e.rows = 29;
    j = assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "only 29 rows");
    assert_false(j.noninferior);
    e.rows = 30;
    e.n = 30;
    assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
    e.groups = 9;
    assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "only 9 groups");
    e.groups = 10;
    e.smaller_class = 9;
    assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "only 9 rows in the smaller class");
    e.smaller_class = 10;
    assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
    e.has_interval = false;
    e.interval_reason = "the variance is 0";
    j = assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "the variance is 0");
    assert_false(j.has_detectable || j.has_rows_needed);
}

static void equivalent_comes_before_better(void **state)
{
    struct ml_evidence e = gain();

    (void)state;
    e.margin = 0.05;
    assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
    e.margin = 0.03; /* the bound itself isn't inside */
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
    e.margin = 0.05;
    e.n = 59; /* 3/59 > .05 */
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
    e.n = 60;
    assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
    e.n = 5;
    e.bounded = false;
    assert_verdict(&e, ML_VERDICT_EQUIVALENT, NULL);
}

static void reasons_of_rule_five(void **state)
{
    struct ml_evidence e = gain();
    struct ml_judgement j;

    (void)state;
    e.p_adjusted = 0.2;
    e.k = 40;
    e.se = 0.001;
    j = assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "not after correction for 40");
    assert_false(j.has_rows_needed); /* there are more than that already */
    e.se = gain().se;
    e.p_adjusted = 0.05;
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
    e.p = e.p_adjusted = 0.051;
    assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "disagree");
    e = gain();
    e.changed = 5;
    assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, "only 5 rows changed");
    e.changed = 6;
    assert_verdict(&e, ML_VERDICT_BETTER, NULL);
    e.low = -0.001;
    e.p = e.p_adjusted = 0.06;
    e.se = e.delta / 1.9;
    j = assert_verdict(&e, ML_VERDICT_INCONCLUSIVE, NULL);
    assert_true(j.has_rows_needed);
}

static void noninferior_and_what_can_be_seen(void **state)
{
    struct ml_evidence e = gain();
    struct ml_judgement j;
    double sum = Z + 0.8416212335729143;

    (void)state;
    e.low = -0.009;
    e.high = 0.011;
    e.delta = 0.001;
    e.p = e.p_adjusted = 0.84;
    ml_judge(&e, &j);
    assert_false(j.noninferior);
    e.margin = 0.01;
    ml_judge(&e, &j);
    assert_true(j.noninferior);
    assert_true(fabs(j.detectable - sum * e.se) < 1e-12);
    assert_true(j.has_rows_needed && j.rows_needed == ceil(1000 * pow(sum * e.se / 0.009, 2)));
    /* twelve groups decide less, and as many as would do tell of it by the t that they have */
    e.groups = 12;
    ml_judge(&e, &j);
    double df = 12 * j.rows_needed / 1000 - 1;
    sum = ml_t_quantile(1 - e.alpha / 2, df) + ml_t_quantile(0.8, df);
    assert_true(j.has_rows_needed && fabs(j.rows_needed - 1000 * pow(sum * e.se / 0.009, 2)) <= 1.01);
    assert_true(sum > 1.01 * (Z + 0.8416212335729143));
    e.groups = 0;
    e.margin = 0.009;
    ml_judge(&e, &j);
    assert_false(j.noninferior);
    e.alpha = 0.05 / 6; /* the third look: its quantile replaces 1.96 */
    ml_judge(&e, &j);
    assert_true(fabs(j.detectable - (2.638257273476751 + 0.8416212335729143) * e.se) < 1e-12);
    e.alpha = 0.05;
    e.k = 6; /* of a family, whatever the others are: the same */
    ml_judge(&e, &j);
    assert_true(fabs(j.detectable - (2.638257273476751 + 0.8416212335729143) * e.se) < 1e-12);
    e.k = 1; /* few degrees of freedom: 80 % of the noncentral t with this shift lie beyond the quantile */
    e.df = 1;
    ml_judge(&e, &j);
    assert_true(fabs(j.detectable - 16.33400887025031 * e.se) < 1e-6);
    e.df = 2;
    ml_judge(&e, &j);
    assert_true(fabs(j.detectable - 5.6534892666041054 * e.se) < 1e-6);
    e.df = 30;
    ml_judge(&e, &j);
    assert_true(fabs(j.detectable / e.se / 2.89536175157927 - 1) < 1e-3);
}

static void names_and_margins(void **state)
{
    struct ml_margin m;

    (void)state;
    assert_true(ml_margin_parse("0.01", &m) && !m.relative && m.value == 0.01);
    assert_true(ml_margin_resolve(&m, 0) == 0.01);
    assert_true(ml_margin_parse("2%", &m) && m.relative && m.value == 0.02);
    assert_true(fabs(ml_margin_resolve(&m, -0.5) - 0.01) < 1e-15);
    assert_true(ml_margin_resolve(&m, 0) == 0);
    assert_false(ml_margin_parse("0", &m));
    assert_false(ml_margin_parse("-0.01", &m));
    assert_false(ml_margin_parse("", &m));
    assert_false(ml_margin_parse("%", &m));
    assert_false(ml_margin_parse("1e999", &m));
    assert_false(ml_margin_parse("1 %x", &m));
}

static void holm_steps_down_within_families(void **state)
{
    const double p[] = { 0.01, 0.04, 0.03, 0.02, 0.5, 0.001 };
    const int family[] = { 0, 0, 0, 0, -1, 1 };
    const double want[] = { 0.04, 0.06, 0.06, 0.06, 0.5, 0.001 };
    double got[6];

    (void)state;
    ml_holm(p, family, 6, got);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(got[i] - want[i]) < 1e-12);
    ml_holm(p, NULL, 0, got);
    ml_holm(p, NULL, 6, got);
    assert_true(fabs(got[5] - 0.006) < 1e-12);
}

static void looks_sum_to_alpha(void **state)
{
    double sum = 0;

    (void)state;
    for (unsigned j = 1; j <= 100000; j++)
        sum += ml_look_alpha(0.05, j);
    assert_true(sum < 0.05 && sum > 0.04999);
    assert_true(ml_look_alpha(0.05, 1) == 0.025 && ml_look_alpha(0.05, 0) == 0.05);
    assert_true(ml_optimism(0.01, 1) == 0);
    for (int k = 2; k < 1000; k++)
        assert_true(fabs(pow(ml_normal_cdf(ml_optimism(0.01, k) / 0.01), k) - 0.95) < 1e-12);
}

static struct ml_delta delta_of(
    const int32_t *y, const int32_t *p, const int32_t *q, size_t n, const char *name, const double *w)
{
    struct ml_sample a = {
        .task = ML_TASK_BINARY, .n = n, .classes = 2, .positive = 1, .label = y, .pred = p, .weight = w
    };
    struct ml_sample b = a;
    struct ml_measure *m, *c;
    struct ml_delta d;

    b.pred = q;
    m = ml_measure_new(&a, NULL, 0);
    c = ml_measure_new(&b, NULL, 0);
    ml_delta_paired(m, c, ml_metric_find(name), 0.05, NULL, &d);
    ml_measure_free(m);
    ml_measure_free(c);
    return d;
}

static void no_changed_rows_are_no_certainty(void **state)
{
    int32_t y[60], p[60], q[60];
    struct ml_delta d;

    (void)state;
    for (int i = 0; i < 60; i++) {
        y[i] = i % 2;
        p[i] = q[i] = i < 10 ? 1 - y[i] : y[i];
    }
    q[0] = 1 - q[0]; /* a negative, which recall doesn't see */
    d = delta_of(y, p, q, 60, "recall", NULL);
    assert_true(d.ok && d.delta == 0 && d.changed == 0 && !d.identical && d.p == 1);
    assert_int_equal(d.n, 30);
    assert_true(d.high > Z * Z / (30 + Z * Z) && d.high < 1.1 * Z * Z / (30 + Z * Z) && d.low == -d.high);
    d = delta_of(y, p, q, 60, "accuracy", NULL);
    assert_true(d.changed == 1 && d.low < 0 && d.high > 0);
}

static void differences(void **state)
{
    int32_t y[100], p[100], q[100];
    double w[100];
    struct ml_delta d;

    (void)state;
    for (int i = 0; i < 100; i++) {
        y[i] = i % 2;
        p[i] = i < 30 ? 1 - y[i] : y[i];            /* 30 wrong */
        q[i] = i < 10 || i >= 95 ? 1 - y[i] : y[i]; /* 20 of them fixed, 5 broken */
        w[i] = 1 + i % 3;
    }
    d = delta_of(y, p, q, 100, "accuracy", NULL);
    assert_true(d.ok && fabs(d.delta - 0.15) < 1e-12);
    assert_int_equal(d.fixed, 20);
    assert_int_equal(d.broken, 5);
    assert_int_equal(d.changed, 25);
    assert_string_equal(d.test, "mcnemar-midp");
    assert_string_equal(d.interval, "tango");
    assert_true(d.p == ml_mcnemar_midp(20, 5) && d.low > 0 && d.low < 0.15 && d.high > 0.15);
    d = delta_of(y, p, q, 100, "accuracy", w);
    assert_string_equal(d.test, "linear");
    d = delta_of(y, p, p, 100, "f1", NULL);
    assert_true(d.identical && d.has_interval && d.low == 0 && d.high == 0 && d.p == 1 && d.changed == 0);
    d = delta_of(y, p, q, 1, "f1", NULL);
    assert_false(d.ok);
    assert_string_equal(d.reason, "no row is labelled positive");
    d = delta_of(y + 1, p + 1, q + 51, 1, "f1", NULL);
    assert_true(d.ok && !d.has_interval);
    d = delta_of(y, p, q, 100, "roc_auc", NULL);
    assert_string_equal(d.reason, "no scores");
}

/* Places and precisions depend on the order of the scores only: those of few digits are counted and looked up, others
 * sorted. */
static void counted_scores_as_sorted_ones(void **state)
{
    enum { N = 70001 };
    static const char *const names[] = { "roc_auc", "average_precision" };
    static double score[4][N];
    static int32_t label[N];
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < N; i++) {
        label[i] = (seed = seed * 1664525 + 1013904223) >> 30 == 0;
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525 + 1013904223;
            score[k][i] = (label[i] * 700 + (seed >> 16) % (3000u + 500u * (unsigned)k)) / 10000.0;
            score[2 + k][i] = (score[k][i] + 1) / 3;
        }
    }
    for (int m = 0; m < 2; m++) {
        const struct ml_metric *metric = ml_metric_find(names[m]);
        struct ml_delta first = { 0 };

        for (int pair = 0; pair < 4; pair++) {
            struct ml_sample s[2] = { { .task = ML_TASK_BINARY, .n = N, .classes = 2, .positive = 1, .label = label } };
            struct ml_measure *of[2];
            struct ml_delta d;

            s[1] = s[0];
            s[0].score = score[pair & 1 ? 2 : 0];
            s[1].score = score[pair & 2 ? 3 : 1];
            of[0] = ml_measure_new(&s[0], NULL, 0);
            of[1] = ml_measure_new(&s[1], NULL, 0);
            ml_delta_paired(of[0], of[1], metric, 0.05, NULL, &d);
            ml_measure_free(of[0]);
            ml_measure_free(of[1]);
            if (pair == 0)
                first = d;
            assert_true(d.ok && d.has_interval && d.changed == first.changed && d.changed > 0);
            assert_true(fabs(d.current - first.current) < 1e-14 && fabs(d.candidate - first.candidate) < 1e-14);
            assert_true(d.se > 0 && fabs(d.se / first.se - 1) < 1e-11 && fabs(d.low - first.low) < 1e-12);
            assert_true(d.effective > 1000 && fabs(d.effective / first.effective - 1) < 1e-10);
        }
    }
}

/* One score of more digits, and next to nothing else, takes the way of rows. */
static void calibration_of_counted_scores(void **state)
{
    enum { N = 300001 };
    static double score[2][N];
    static int32_t label[N];
    struct ml_calibration_line line[2];
    struct ml_delta d[2];
    uint32_t seed = 1;
    const char *reason;

    (void)state;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525 + 1013904223;
        score[0][i] = score[1][i] = (seed >> 12) % 90001 / 100000.0;
        seed = seed * 1664525 + 1013904223;
        label[i] = (seed >> 8) / 16777216.0 < 0.02 + 0.9 * score[0][i];
    }
    for (int k = 0; k < 2; k++) {
        struct ml_sample a = { .task = ML_TASK_BINARY, .n = N, .classes = 2, .positive = 1, .label = label }, b = a;
        struct ml_measure *m, *c;

        a.score = score[0];
        b.score = score[1];
        score[0][N - 1] += k * 1e-13;
        score[1][N - 1] += k * 1e-13;
        if (k == 0)
            for (int i = 0; i < N; i += 3)
                score[1][i] = score[0][(i + 1) % N];
        m = ml_measure_new(&a, NULL, 0);
        c = ml_measure_new(&b, NULL, 0);
        ml_delta_paired(m, c, ml_metric_find("ece"), 0.05, NULL, &d[k]);
        assert_true(ml_calibration_fit(m, 0, &line[k], &reason));
        ml_measure_free(m);
        ml_measure_free(c);
        assert_true(d[k].ok && d[k].changed > 90000 && d[k].delta > 1e-3);
    }
    assert_true(fabs(d[0].current / d[1].current - 1) < 1e-11 && fabs(d[0].candidate / d[1].candidate - 1) < 1e-11);
    assert_true(d[0].se > 0 && fabs(d[0].se / d[1].se - 1) < 1e-11 && d[0].changed == d[1].changed);
    assert_true(d[0].effective > 1000 && fabs(d[0].effective / d[1].effective - 1) < 1e-10);
    assert_true(fabs(line[0].slope / line[1].slope - 1) < 1e-10 && fabs(line[0].intercept - line[1].intercept) < 1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_intervals),
        cmocka_unit_test(intervals_at_the_edges),
        cmocka_unit_test(losses_turn_the_verdict_round),
        cmocka_unit_test(identical_models_are_equivalent),
        cmocka_unit_test(too_little_is_inconclusive),
        cmocka_unit_test(equivalent_comes_before_better),
        cmocka_unit_test(reasons_of_rule_five),
        cmocka_unit_test(noninferior_and_what_can_be_seen),
        cmocka_unit_test(names_and_margins),
        cmocka_unit_test(holm_steps_down_within_families),
        cmocka_unit_test(looks_sum_to_alpha),
        cmocka_unit_test(no_changed_rows_are_no_certainty),
        cmocka_unit_test(differences),
        cmocka_unit_test(counted_scores_as_sorted_ones),
        cmocka_unit_test(calibration_of_counted_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
