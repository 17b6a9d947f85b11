# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of regression that are measured when asked for: against scikit-learn, against sums of many digits where
doubles overflow, vanish or cancel in it, and their influences against what happens when a weight moves."""
import decimal
import warnings
from decimal import Decimal

import numpy as np
from sklearn import metrics as sk

from stats_cases import LONG, WEIGHTS, drawn_values, number_case, run_parts, some, take_slice
from test_influence import check as check_influence
from test_metrics import NONE, check

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
decimal.getcontext().prec = 80
decimal.getcontext().Emax, decimal.getcontext().Emin = 10**9, -10**9

POWERS = (-2.5, -1, 0, 1, 1.3, 1.5, 1.9, 2, 2.5, 3, 7)
LEVELS = (0.5, 0.9, 0.05, 0.29)


def kept(s, w):
    """Weights that are all alike are none."""
    return None if w is None or (w == w[0]).all() else w


def domain(s, power):
    y, p = s.truth, s.estimate
    if power == 0:
        return True
    return (p > 0).all() and (power < 1 or (y >= 0).all()) and (power < 2 or (y > 0).all())


def deviance(power):
    def peer(s, w):
        if not domain(s, power):
            return NONE
        if (s.truth == s.estimate).all():
            return 0.0  # scikit-learn: rounding
        return sk.mean_tweedie_deviance(s.truth, s.estimate, sample_weight=w, power=power)
    return peer


def d2_tweedie(power):
    def peer(s, w):
        if s.n < 2 or not domain(s, power) or np.ptp(s.truth) == 0:  # scikit-learn divides by 0 there
            return NONE
        if power < 0 and np.average(s.truth, weights=w) <= 0:
            return NONE
        if (s.truth == s.estimate).all():
            return 1.0
        return sk.d2_tweedie_score(s.truth, s.estimate, sample_weight=w, power=power)
    return peer


def d2_pinball(level):
    return lambda s, w: NONE if s.n < 2 else sk.d2_pinball_score(
        s.truth, s.estimate, sample_weight=kept(s, w), alpha=level)


def explained(s, w):
    if s.n < 2:
        return NONE  # scikit-learn: 1
    if np.ptp(s.truth) == 0 or np.ptp(s.truth - s.estimate) == 0:  # its rule, but for the rounding of means
        return 1.0 if np.ptp(s.truth - s.estimate) == 0 else 0.0
    return sk.explained_variance_score(s.truth, s.estimate, sample_weight=w)


def smape(s, w):
    of = np.abs(s.truth) + np.abs(s.estimate)
    return np.average(np.where(of > 0, 2 * np.abs(s.truth - s.estimate) / np.where(of > 0, of, 1), 0), weights=w)


def logarithmic(squared):
    def peer(s, w):
        if (s.truth < 0).any() or (s.estimate < 0).any():
            return NONE
        return sk.mean_squared_log_error(s.truth, s.estimate, sample_weight=w, squared=squared)
    return peer


MEANS = {
    "mape": lambda s, w: sk.mean_absolute_percentage_error(s.truth, s.estimate, sample_weight=w),
    "smape": smape,
    "msle": logarithmic(True), "rmsle": logarithmic(False),
    "explained_variance": explained,
    "poisson_deviance": deviance(1), "gamma_deviance": deviance(2),
    **{f"pinball@{a}": lambda s, w, a=a: sk.mean_pinball_loss(s.truth, s.estimate, sample_weight=w, alpha=a) for a in LEVELS},
    **{f"tweedie_deviance@{p}": deviance(p) for p in POWERS},
    **{f"d2_tweedie@{p}": d2_tweedie(p) for p in POWERS},
}
QUANTILES = {"d2_absolute_error": d2_pinball(0.5), **{f"d2_pinball@{a}": d2_pinball(a) for a in LEVELS}}
ALL = {**MEANS, **QUANTILES, "max_error": lambda s, w: sk.max_error(s.truth, s.estimate)}


def case(rng, n, weight, shape, positive):
    s = number_case(rng, n, weight, shape)
    if positive:
        s.truth, s.estimate = np.abs(s.truth), np.abs(s.estimate) + (0.25 if shape == "ties" else 0)
        if shape == "perfect":
            s.estimate = s.truth.copy()
    if positive and rng.random() < 0.2:
        s.truth[int(rng.integers(n))] = 0
    return s


def values(tap, session, rng):
    for _ in range(some(300, 2)):
        n = int(rng.choice([1, 2, 3, 6, 11, 50, 400]))
        shape = rng.choice(["plain", "plain", "ties", "constant", "perfect"])
        s = case(rng, n, rng.choice(WEIGHTS), shape, rng.random() < 0.7)
        take_slice(rng, s)
        session.sample(s)
        for name, peer in ALL.items():
            check(tap, session, f"{name} is scikit-learn's", s, name, peer)


def number(x):
    """A double, or none where it overflows; the answer may be subnormal."""
    f = float(x)
    return NONE if abs(f) == float("inf") else f


def tweedie(y, p, power):
    y, p, q = Decimal(y), Decimal(p), Decimal(power)
    if y == p:
        return Decimal(0)
    if power == 0:
        return (y - p) ** 2
    if power == 1:
        return 2 * ((y * (y / p).ln() if y > 0 else 0) - y + p)
    if power == 2:
        return 2 * ((p / y).ln() + y / p - 1)
    return 2 * ((max(y, Decimal(0)) ** (2 - q) if y > 0 else 0) / ((1 - q) * (2 - q)) - y * p ** (1 - q) / (1 - q)
                + p ** (2 - q) / (2 - q))


def exact(s):
    y, p = [Decimal(v) for v in s.truth.tolist()], [Decimal(v) for v in s.estimate.tolist()]
    w = [Decimal(v) for v in s.weight.tolist()] if s.weight is not None else [Decimal(1)] * s.n
    total = sum(w)
    mean = lambda values: sum(a * b for a, b in zip(w, values)) / total
    e, eps = [a - b for a, b in zip(y, p)], Decimal(2) ** -52
    var = lambda values: mean([(v - mean(values)) ** 2 for v in values])
    level = lambda a, d: Decimal(a) * d if d >= 0 else (Decimal(a) - 1) * d
    out = {
        "max_error": max(abs(d) for d in e),
        "mape": mean([abs(d) / max(abs(v), eps) for d, v in zip(e, y)]),
        "smape": mean([2 * abs(d) / (abs(a) + abs(b)) if a or b else Decimal(0) for d, a, b in zip(e, y, p)]),
        "pinball@0.9": mean([level(0.9, d) for d in e]),
    }
    if var(y) > 0:
        if var(e) > (max(abs(d) for d in e) * Decimal("1e-6")) ** 2:  # else a double's error isn't exact enough
            out["explained_variance"] = 1 - var(e) / var(y)
        ordered = sorted(y)
        if s.weight is None:
            median = (ordered[(s.n - 1) // 2] + ordered[s.n // 2]) / 2
            base = mean([abs(v - median) for v in y])
            if base > 0:
                out["d2_absolute_error"] = 1 - mean([abs(d) for d in e]) / base
    if all(v > 0 for v in y + p):
        for q in (1, 2, 1.5, -1, 3):
            name = {1: "poisson_deviance", 2: "gamma_deviance"}.get(q, f"tweedie_deviance@{q}")
            out[name] = mean([tweedie(a, b, q) for a, b in zip(y, p)])
        at = mean(y)
        base = mean([tweedie(v, at, 1) for v in y])
        if base > 0:
            out["d2_tweedie@1"] = 1 - out["poisson_deviance"] / base
        out["msle"] = mean([((1 + a).ln() - (1 + b).ln()) ** 2 for a, b in zip(y, p)])
    return {k: number(v) for k, v in out.items()}


def extremes(tap, session, rng):
    for i in range(some(250)):
        n = int(rng.choice([2, 3, 10, 30]))
        s = number_case(rng, n, rng.choice(["none", "real", "huge", "tiny"]), rng.choice(["huge", "tiny", "plain"]))
        if rng.random() < 0.3:
            s.truth[0], s.estimate[0] = 1.7e308, -1.7e308
        if rng.random() < 0.3:  # all sizes at once
            s.truth = s.truth * 10.0 ** rng.uniform(-150, 150, n)
            s.estimate = s.estimate * 10.0 ** rng.uniform(-150, 150, n)
        s.truth, s.estimate = np.clip(s.truth, -1.7e308, 1.7e308), np.clip(s.estimate, -1.7e308, 1.7e308)
        if i % 2:
            s.truth, s.estimate = np.abs(s.truth), np.abs(s.estimate)
        if i % 5 == 1:  # next to each other: all digits cancel
            s.estimate = np.clip(s.truth * (1 + rng.normal(size=n) * 10.0 ** rng.uniform(-12, -2)), None, 1.7e308)
        session.sample(s)
        for name, want in exact(s).items():
            if want is not NONE and want != 0 and abs(want) < 1e-300:
                continue  # subnormal
            check(tap, session, f"{name} is exact where doubles end or cancel", s, name, lambda *_, v=want: v, rel=1e-9)


def influences(tap, session, rng):
    for i in range(some(12, 2)):
        n = int(rng.integers(6, 13) if LONG else rng.integers(5, 9))
        s = case(rng, n, ("real", "whole", "alike")[i % 3], "ties" if i % 2 else "plain", True)
        s.truth += 0.5
        for name, peer in MEANS.items():
            check_influence(tap, session, s, name, peer)
        if i % 3 == 0:  # of rows the quantile lies between neighbours, and moves; of whole weights it may jump
            for name, peer in QUANTILES.items():
                check_influence(tap, session, s, name, peer)


def intervals(tap, session, rng):
    """What an influence function leads to: a standard error near that of the jackknife; a maximum has none."""
    for _ in range(some(6)):
        s = case(rng, 200, "none", "plain", True)
        s.truth += 0.5
        session.sample(s)
        names = [x for x in [*MEANS, *QUANTILES] if not x.endswith(("@7", "@-2.5", "d2_tweedie@3"))]  # too heavy a tail for 200 rows
        for name, left in drawn_values((s,), names, [np.delete(np.arange(s.n), i) for i in range(s.n)]).items():
            jackknife = np.sqrt((s.n - 1) / s.n * ((left - left.mean()) ** 2).sum())
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a, name=name, se=jackknife: tap.count(
                "the standard error is near the jackknife's", a[0] == "ok" and a[5] == "linear" and abs(
                    float(a[2]) / se - 1) < (0.25 if "pinball" in name or "absolute" in name else 0.15), f"{name}: {a}, {se}"))
        session.ask("estimate A max_error 0.95 0 0 0 0",
                    lambda a: tap.count("the largest error has no interval", a[0] == "open", f"{a}"))


if __name__ == "__main__":
    run_parts(31, values, extremes, influences, intervals)
