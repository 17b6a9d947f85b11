/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two models on the same rows: the difference candidate - current of a metric, with an interval and a p that agree. */
#ifndef ML_STATS_DELTA_H
#define ML_STATS_DELTA_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/interval.h"
#include "stats/measure.h"

#define ML_DELTA_FEW    10 /* effective rows; below, a handful decides */
#define ML_DELTA_FEW_OF 20 /* if they are less than one of so many, too */

/* Differences are unoriented (candidate - current, whatever is better). All numbers are finite; p is at least 1e-300.
 */
struct ml_delta {
    bool ok;            /* both values exist, so current, candidate and delta do */
    const char *reason; /* why not; static text */
    double current, candidate, delta;
    bool has_interval;           /* low, high, se and p exist */
    const char *interval_reason; /* why not; static text */
    double low, high, se, p;
    double df;            /* of the Student's t that fits delta/se; INFINITY: normal */
    double bias;          /* what delta is thought too large by, as ml_value has it of both values */
    double skew;          /* of delta/se, as ml_hall has it; 0: not allowed for */
    struct ml_arm arm[2]; /* "mover": of both models, in units of the metric's range */
    double range;
    bool both;            /* "mover": the farther ends of that interval and the linear one */
    const char *test;     /* "mcnemar-midp", "mover", "linear", "bootstrap", "unpaired"; "identical" */
    const char *interval; /* "tango", "mover", "linear", "bootstrap", "unpaired"; "identical" */
    bool identical;       /* all predictions and scores bitwise equal: delta = low = high = 0, p = 1 */
    size_t rows, groups;  /* groups 0: ungrouped */
    size_t n; /* rows in the metric's denominator (the smaller of the two models'); AUC: the smaller class */
    size_t smaller_class; /* ml_metric_smaller_class */
    size_t changed;       /* rows whose contribution differs between the models; SIZE_MAX: not known */
    /* Linearised differences: how many rows (groups, where there are any) make the difference, 1 .. rows. That is
     * (sum d^2)^2 / sum d^4, d the centred influences that se is made of, weighted and summed by groups: Kish's number
     * of the d^2, the participation ratio (Bell & Dean 1970, Discuss. Faraday Soc. 50, 55), n over the kurtosis of d.
     * It is the number of rows that differ where few differ, all alike, and less where some outweigh the others. Where
     * it is small a linear interval rests on a handful of rows and is too narrow; no other one would hold, for without
     * bounds on the tails none does (Bahadur & Savage 1956, Ann. Math. Statist. 27, 1115). 0: not known, or no such
     * difference (counts of right rows, bootstraps, runs). */
    double effective;
    size_t fixed, broken; /* metrics that count right rows: wrong before and right now, and the reverse; else 0 */
    size_t undefined;     /* bootstrap: replicates dropped */
};

/* Both measures are of the same rows in the same order, with the same labels, weights and groups (checked by the
 * caller). `alpha` is the effective one. Methods:
 * - shares of right rows among all (accuracy, *_micro, top_k_accuracy), unweighted and ungrouped: McNemar mid-p with
 *   Tango's interval;
 * - no influence function, or boot->force: bootstrap;
 * - metrics (not of queries or the top rows) whose own interval is made on the logit, if both values have one, areas
 *   and average precisions always:
 *   ml_mover (interval.h) of both values' intervals (logit; of an area with under 30 rows in a class Newcombe's), with
 *   the standard error of paired DeLong (1988, eq. 5) of binary areas without weights and groups, else linearised. p is
 *   where the interval ends at 0, of areas therefore neither of them DeLong's own (pROC's): that test's interval is too
 *   narrow where few rows make all of a difference. Of predicted classes, whose differences come in steps, and of
 *   average precisions over classes, each end is the farther one of this and the next interval, and p the larger. With
 *   an area of .98, 120 positives and 34 rows that changed much, DeLong's interval covers .895 and rejects a null in
 *   .032, that with Hall's correction .92 and .031, this one .952 and .046. The fewer rows make an area's own variance,
 *   the less certain that is: Satterthwaite's 2n/(k - 1) degrees of freedom of Student's t (1946, Biometrics Bull. 2,
 *   110), with the kurtosis k = 1 + s^2 that rows have of which few are out of order, the least that there is for a
 *   skewness s. With areas of .997 and .9996 and 300 rows the interval would hold .90 otherwise, and holds .97; where
 *   12 % of 1000 rows are positive a null is rejected in .03;
 * - else: linearised variance of the difference of the influences (average precision: see measure.h, where rows are
 *   left out; it is the difference less its bias that both ways start from), Student's t with G-1 degrees of freedom,
 *   corrected for skewness: each end of the interval is the farther one of the plain interval and of that by Hall's
 *   transformation (interval.h), p the larger one. With a difference that few rows make, the plain interval alone lets
 *   a harm of the margin's size pass in 4 to 5 % of 300 rows, not 2.5 %. Uneven
 *   weights take degrees of freedom, as many as they make the variance less certain (Satterthwaite 1946, Biometrics
 *   Bull. 2, 110; of surveys Valliant & Rust 2010, J. Off. Stat. 26, 585): 1/df = 1/(G-1) + (1/e - 1/e')/2, e being
 *   `effective` and e' the same without the weights. With weights as uneven as Gamma(.3) and 3000 rows harms pass in
 *   .044 otherwise. What influences alone take isn't taken: F-beta of 1000 rows, 12 % positive, would hold .975. The
 *   standard error of KS is that of 5000 replicates (up to 100,000 rows or groups): each model's threshold is off by
 *   chance, and influences of rows between the two make one that is a fifth too large. That of ECE allows for as much
 *   as gaps may vary: those near 0 vary less, but how much and how far their sizes are off can't be told from few rows
 *   (Cai & Low 2011, Ann. Statist. 39, 1012), so that of two calibrated models next to none is found different.
 *
 * No interval reaches beyond the differences that the metric's range allows.
 *
 * Metrics that count rows and saw changes in fewer than z^2 rows (groups): se is at least z/(n + z^2), n the rows in
 * the denominator, because the variance of next to no changes is next to 0 (the interval of no change at all is
 * Tango's, z^2/(n + z^2), not a point; without this, recall's nominal .95 covers .55 where
 * 2 predictions of 50 differ). The same where scores or queries are in another order, but nothing that counts came of
 * it and the variance is 0 (n as ml_value has it).
 *
 * No difference of models that differ in what the metric looks at is certain. Where a value lies at 0 or 1, since all
 * of its rows say so, the interval is made of both values' own
 * ("mover"), that one's by Clopper & Pearson 1934, the correlation being 0, or -1 where both lie there; each end is the
 * farther one of this and the linear one. 0 against 1 of n rows each therefore has the p of a sign test of n rows.
 * Without such an end a variance of 0 is no interval, and precision without a row predicted positive hasn't one.
 *
 * A mean over classes has an end in each class, and no class's rows need to be as many as the others'. The row more
 * that its standard error counts (measure_impl.h, macro.c) is part of both values' intervals and, as one in which the
 * models are right independently of each other, of the difference's standard error; of a class that shows no spread in
 * either, as one that tells them apart. Where one class's precision was 0 of 3 and comes to be 3 of 3, p is .18,
 * between Fisher's exact test (.1) and a sign test of three rows (.25). */
void ml_delta_paired(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    double alpha, const struct ml_boot *boot, struct ml_delta *out);

/* The difference of the recall of one label, as ml_delta_paired has it of the accuracy on the rows of that label alone,
 * from counts of both measures. False where they don't tell: with weights or groups, of many classes. No row has the
 * label: out->ok is false. */
bool ml_delta_recall(struct ml_measure *current, struct ml_measure *candidate, int32_t label, double alpha,
    const struct ml_boot *boot, struct ml_delta *out);

/* One-sided p that the difference is above (or below) `bound`, by the same method as the interval: at most alpha/2
 * where the interval, before it was cut to the metric's range, lies above (below) it. Student's t and se alone for a
 * difference that has no method here ("bootstrap", "unpaired", "runs"). Needs has_interval. */
double ml_delta_beyond(const struct ml_delta *d, double bound, bool above);

/* A handful of rows decides an interval: fewer than 10 effective rows (groups), and fewer than one in 20. Where
 * influences are normal a third of the rows is effective, so that ten groups alike aren't thought to be few. Not of
 * metrics that count rows, which have the least standard error above, and not of areas, whose t allows for it.
 * Simulated at 300 rows: said of rmse in 2 % of the draws where errors are normal, whose intervals hold what they
 * promise, and in 90 % where they are lognormal, whose intervals hold .91. It tells of such data, not of the draw:
 * where the largest rows happen to be missing, no line is said and the interval is narrower still. */
bool ml_delta_few(const struct ml_delta *d, const struct ml_metric *metric);

/* Cuts the interval to the differences that the metric's range allows, and stretches one about the difference without
 * its bias as far as the difference itself, beside which it may lie. */
void ml_delta_cut(struct ml_delta *d, const struct ml_metric *metric);

/* All predictions and scores are bitwise equal. */
bool ml_delta_identical(const struct ml_sample *a, const struct ml_sample *b);

/* The least standard error of the last paragraphs above, where the linearised one is `se`; 0 where there is none. */
double ml_delta_floor(
    struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric, double se, double alpha);

/* Whether a metric is the share of right (or, lower being better, of wrong) rows among all rows. */
bool ml_delta_shares(const struct ml_metric *metric);

/* The influences of the difference, one a row of the measures, in units of 2^*unit (`delong` as ml_delta_paired has it
 * for AUC: scaled to DeLong's denominators). False when there are none. */
bool ml_delta_psi(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric, bool delong,
    double *psi, int *unit);

/* Bootstrap replicates of the difference, of rows or of groups where rows come in groups: room for
 * ml_boot_replicates(boot). Those without a value are left out; returns how many there are. */
size_t ml_delta_replicates(struct ml_measure *current, struct ml_measure *candidate, const struct ml_metric *metric,
    const struct ml_boot *boot, double *values);

/* What a card has of a metric. */
struct ml_told {
    double value, se;
    size_t rows, groups; /* groups 0: ungrouped */
};

/* From two cards: se^2 = se1^2 + se2^2, normal; Student's t of Satterthwaite's degrees of freedom where rows come in
 * groups. `changed` is SIZE_MAX: not known. */
void ml_delta_unpaired(
    const struct ml_told *current, const struct ml_told *candidate, double alpha, struct ml_delta *out);

#endif
