/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiple comparisons with the best. */
#include <math.h>

#include "stats/best.h"
#include "stats/verdict.h"

static bool tells(const struct ml_delta *d)
{
    return d->ok && d->has_interval && !d->identical && d->rows >= ML_VERDICT_MIN_ROWS &&
           (d->groups == 0 || d->groups >= ML_VERDICT_MIN_GROUPS) && d->smaller_class >= ML_VERDICT_MIN_CLASS &&
           d->changed >= ML_VERDICT_MIN_CHANGED;
}

void ml_best(const struct ml_delta *pair, size_t k, int direction, double *p)
{
    for (size_t i = 0; i < k; i++) {
        double least = 1;

        for (size_t j = 0; j < k; j++) {
            const struct ml_delta *d = i < j ? &pair[i * k + j] : &pair[j * k + i];
            double gain = direction * (i < j ? d->delta : -d->delta); /* of j over i */

            if (i != j && tells(d))
                least = fmin(least, gain > 0 ? d->p / 2 : 1 - d->p / 2);
        }
        p[i] = fmin(1, (double)(k - 1) * least);
    }
}
