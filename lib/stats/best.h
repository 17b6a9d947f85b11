/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of several models may be the best: the set that cannot be told from it. */
#ifndef ML_STATS_BEST_H
#define ML_STATS_BEST_H

#include <stddef.h>

#include "stats/delta.h"

/* Multiple comparisons with the best (Hsu 1981, Ann. Stat. 9, 1026; 1996, Multiple Comparisons, ch. 4). pair[i * k +
 * j], i < j, is the difference of model j less model i on the same rows. p[i], of "no other model is better than i", is
 * k-1 times the smallest one-sided p of another being better (Bonferroni, so for any dependence between the models), at
 * most 1. The models with p > alpha hold the best with probability 1 - alpha at least. A pair without interval, or with
 * fewer rows, groups or changes than a verdict needs, tells nobody apart. direction: +1 higher is better. */
void ml_best(const struct ml_delta *pair, size_t k, int direction, double *p);

#endif
