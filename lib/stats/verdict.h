/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verdicts: what a difference with its interval means, once a margin says what is negligible. */
#ifndef ML_STATS_VERDICT_H
#define ML_STATS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#define ML_VERDICT_MIN_ROWS    30
#define ML_VERDICT_MIN_GROUPS  10
#define ML_VERDICT_MIN_CLASS   10
#define ML_VERDICT_MIN_CHANGED 6

enum ml_verdict {
    ML_VERDICT_BETTER,
    ML_VERDICT_EQUIVALENT,
    ML_VERDICT_INCONCLUSIVE,
    ML_VERDICT_WORSE,
};

const char *ml_verdict_name(enum ml_verdict v); /* "better" ... */

/* What a verdict stands on; from a struct ml_delta, or from a card's numbers. Start with ML_EVIDENCE_INIT. */
struct ml_evidence {
    bool identical;
    bool has_interval;
    const char *interval_reason; /* without an interval: why; NULL is fine */
    int direction;               /* +1: higher is better, -1: lower is */
    double delta, low, high, se; /* unoriented: candidate - current */
    double df;                   /* of the Student's t that fits delta/se; 0: normal */
    double p, p_adjusted;
    double alpha;         /* the effective one */
    size_t k;             /* size of the family that p_adjusted is over; 0: not known */
    double margin;        /* > 0 in the metric's units; 0: unset */
    bool bounded;         /* the metric lies in [-1, 1] */
    size_t rows, groups;  /* groups 0: ungrouped */
    size_t smaller_class; /* ml_metric_smaller_class */
    size_t n;             /* rows in the metric's denominator */
    size_t changed;       /* SIZE_MAX: not known */
};

#define ML_EVIDENCE_INIT                                                                                               \
    {                                                                                                                  \
        .direction = 1, .p = 1, .p_adjusted = 1, .alpha = 0.05, .k = 1, .smaller_class = (size_t)-1,                   \
        .changed = (size_t)-1                                                                                          \
    }

struct ml_judgement {
    enum ml_verdict verdict;
    char reason[200]; /* "" where the verdict speaks for itself */
    bool noninferior; /* identical, or a margin is set and its bad side excluded */
    bool has_detectable;
    double detectable;    /* what this test set is sure to see at 80 % power: (t_{1-alpha/2k} + t_.8) se, of under 10
                             degrees of freedom by the noncentral t, of which 1 sees 16.3 se where k is 1 */
    bool has_rows_needed; /* only when inconclusive */
    double rows_needed;   /* the fewer of n ((z_{1-alpha/2k} + z_.8) se / delta)^2 and n ((z_{1-alpha/2} + z_.8) se /
                             (margin - |delta|))^2, of groups with t of as many as those rows are in; rounded up, and no
                             fewer than rule 1 asks for; not told where those at hand are more: rows aren't what lacks */
};

/* The rules 0 to 5, the first that holds. */
void ml_judge(const struct ml_evidence *e, struct ml_judgement *out);

/* How many times as many rows like these rule 1 asks for, as to rows, groups and classes; at most 1: it is content. */
double ml_verdict_least(const struct ml_evidence *e);

/* "0.01" or "1%": text to margin. False unless it is a finite number > 0. */
struct ml_margin {
    double value;  /* a percentage as a fraction */
    bool relative; /* of |current| */
};

bool ml_margin_parse(const char *text, struct ml_margin *out);
/* In the metric's units; 0 when it comes out as 0 (relative to a current of 0), which is "unset". */
double ml_margin_resolve(const struct ml_margin *m, double current);

/* Holm 1979 (Scand. J. Stat. 6, 65), step down, within families: adjusted[i] for p[i] over all j with family[j] ==
 * family[i]. family[i] < 0: no test there, adjusted[i] = p[i], and it doesn't count. family NULL: one family. */
void ml_holm(const double *p, const int *family, size_t n, double *adjusted);

/* Benjamini & Hochberg 1995 (J. R. Stat. Soc. B 57, 289), step up: the smallest false discovery rate at which p[i]
 * would be among the discoveries of its family. Families as above. */
void ml_bh(const double *p, const int *family, size_t n, double *adjusted);

/* The J-th look uses alpha / (J (J + 1)); the sum over all looks is alpha. look 0: no correction. */
double ml_look_alpha(double alpha, unsigned look);

/* What the largest of k neutral normal differences stays below with a probability of at least .95: se
 * Phi^-1(.95^(1/k)), which independent ones have, and others of one current model stay below more often (Slepian 1962,
 * Bell Syst. Tech. J. 41, 463); 0 for k < 2. */
double ml_optimism(double se, double k);

/* How often a neutral change passes: non-inferiority at margin m (or a max_drop on the bound): Phi((m - reach)/se),
 * where `reach` > 0 is how far the interval goes from the difference to its unfavourable end: z_{1-alpha/2} se of a
 * normal one, more of few rows (without reach, a rate of .60 was told as .85). With few degrees of freedom `df` (0:
 * normal) the reach itself varies as se does: the noncentral t's share beyond reach/se. max_drop d on the value:
 * Phi(d/se). */
double ml_neutral_noninferior(double m, double se, double reach, double df);
double ml_neutral_max_drop(double d, double se);

#endif
