/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one row of a regression loses, as a number that cannot overflow or vanish: a * 2^k. */
#ifndef ML_STATS_ROW_LOSS_H
#define ML_STATS_ROW_LOSS_H

struct ml_scaled {
    double a;
    int k;
};

/* Losses of the truth y and the estimate p. Pinball (Koenker & Bassett 1978, Econometrica 46, 33): level e where the
 * error e = y - p is at least 0, else (level - 1) e. MAPE: |e| / max(|y|, 2^-52), as scikit-learn. sMAPE: 2 |e| / (|y|
 * + |p|), 0 where both are 0. Squared logarithmic: (log(1 + y) - log(1 + p))^2, y and p at least 0. */
struct ml_scaled ml_loss_squared(double y, double p);
struct ml_scaled ml_loss_pinball(double y, double p, double level);
struct ml_scaled ml_loss_mape(double y, double p);
struct ml_scaled ml_loss_smape(double y, double p);
struct ml_scaled ml_loss_squared_log(double y, double p);

/* The deviance of the Tweedie family (Jorgensen 1987, J. R. Stat. Soc. B 49, 127): of the Poisson distribution for the
 * power 1, of Gamma for 2, and in general 2 (max(y, 0)^(2-power) / ((1-power)(2-power)) - y p^(1-power) / (1-power) +
 * p^(2-power) / (2-power)). y and p are within ml_deviance_domain. */
struct ml_scaled ml_loss_deviance(double y, double p, double power);

/* Why there is no deviance of y and p (static text); NULL when there is one. */
const char *ml_deviance_domain(double y, double p, double power);

#endif
