# SPDX-License-Identifier: GPL-3.0-or-later
"""Influences, standard errors of values and of paired differences of every metric against those that follow from its
definition (influence.py), to 1e-9 of the largest influence and of the standard error."""
import math
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np

import exact
from influence import AREAS, METRICS, of_queries, psi_of, top_cut
from stats_cases import (BINARY, MULTICLASS, MULTILABEL, REGRESSION, Sample, binary_case, label_case, multi_case, number_case,
                         run_parts, some, student)
from stats_expected import Rows, other_model, single_row, sums
from stats_macro import Macro, is_macro, of_difference
from stats_precision import is_jackknifed, left_out
from test_labels import other_model as other_labels
from test_ranking import RANKING, case as ranking_case, split, spread

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

KIND = {BINARY: "binary", MULTICLASS: "multiclass", REGRESSION: "regression", MULTILABEL: "multilabel", RANKING: "ranking"}
WEIGHTS = ("none", "none", "none", "real", "whole", "zeros", "alike", "huge")


def two_models(rng, i):
    n, weight, ties = int(rng.choice([2, 3, 5, 12, 25, 45, 60])), rng.choice(WEIGHTS), rng.random() < 0.4
    move, shape = rng.choice([0.3, 0.6, 1]), rng.choice(["plain", "plain", "plain", "wrong", "never", "perfect"])
    if i % 4 == 0:
        s = binary_case(rng, n, weight, 0.7, ties, shape)
    elif i % 4 == 1:
        s = multi_case(rng, n, int(rng.integers(3, 6)), weight, 1, ties, shape)
    elif i % 4 == 2:
        s = number_case(rng, n, weight, "ties" if ties else "plain")
        s.truth, s.estimate = np.abs(s.truth) + 0.5, np.abs(s.estimate) + 0.25
    else:
        s = label_case(rng, n, int(rng.integers(2, 5)), weight, 0.7, ties, shape)
    t = (other_labels if s.task == MULTILABEL else other_model)(rng, s, move)
    if s.task == REGRESSION:
        t.estimate = np.abs(t.estimate) + 0.125
    if rng.random() < 0.3:
        s.group = t.group = rng.integers(0, max(2, s.n // (2 if i % 8 < 4 else 1)), s.n)
    return s, t


def own_error(name, rows, psi):
    """DeLong's variance is one already."""
    return math.sqrt((psi**2).sum()) / rows.n if rows.plain and name in AREAS else rows.se(psi)


def one_row(s):
    """Of a class: DeLong's variance has none."""
    if s.task != MULTILABEL:
        return single_row(s)
    rows = s.labels.sum(0)
    return ((rows == 1) | (rows == s.n - 1) & (rows > 0)).any()


def floored(name, a, b, changed):
    """Few rows that count were changed, so that the standard error is at least another one (delta.h)."""
    if name.partition("@")[0] in ("precision", "recall", "lift") and name.endswith("%"):
        moved = np.not_equal(*(top_cut(x.s, x.weights, float(name.split("@")[1][:-1]))[0] for x in (a, b)))
        y = a.s.label == a.s.positive
        units = [(moved & side).sum() if a.g is None else len(set(a.g[moved & side])) for side in (y, ~y)]
        return min(units) < 4
    largest = 1 if a.g is None else np.bincount(a.g).max()
    return changed <= 3 * largest


def counted(name, s):
    """Metrics that count rows: ml_delta_paired's floor is theirs."""
    if s.task in (REGRESSION, RANKING):
        return False
    return not name.startswith(("roc", "gini", "ks", "average", "log", "brier", "hinge", "ece", "lrap", "coverage", "label_r"))


def compare(tap, session, name, a, b, subject):
    psi = [psi_of(name, x) for x in (a, b)]
    got = {}

    def influences(slot, want):
        def take(r):
            got[slot] = r[0] == "ok"
            if r[0] == "ok" and want is not None and not (a.plain and name in AREAS):
                size = max(1e-3, np.abs(want).max(), abs(got["v" + slot]) / 10)
                tap.close(f"influences on {subject}", [float(x) / size for x in r[1:]], want / size, 0, 1e-9, f"n {a.n}")
        session.ask(f"value {slot} {name}", lambda r: got.update({"v" + slot: float(r[1]) if r[0] == "ok" else 0}))
        session.ask(f"psi {slot} {name}", take)

    def noise():
        """R2 of labels that are next to alike is large, and no better known than they differ."""
        most = max(abs(got["v" + k]) for k in "AB")
        return 1e-11 * most if most > 10 else 1e-12

    def estimate(r, want):
        if want is not None and r[0] != "none":
            want = -1 if name in AREAS and one_row(a.s) else want
            tap.close(f"standard error of {subject}", [float(r[2])], [want], 1e-9, noise(), f"n {a.n} {a.units} {r}")

    def delta(r, want):
        if want is None or want <= noise() or not (got["A"] and got["B"]) or r[0] == "ok" and r[6] in ("identical", "bootstrap"):
            return
        if r[0] == "open" and ("single" in r or "denominator" in r):
            return
        if name == "ks":  # of replicates: largest_gaps
            return
        if r[0] == "ok" and counted(name, a.s) and floored(name, a, b, int(r[8])):
            tap.count(f"difference of {subject}, few rows changed", float(r[2]) >= want * (1 - 1e-9), f"{r} {want}")
            return
        tap.close(f"standard error of a difference of {subject}", [float(r[2]) if r[0] == "ok" else -1], [want], 1e-9, noise(),
                  f"n {a.n} units {a.units} {r}")

    influences("A", psi[0])
    influences("B", psi[1])
    if a.units < 2:
        return
    if is_jackknifed(name, a) and psi[0] is not None:
        psi = [left_out(x.s, name)[0] for x in (a, b)]
    one = None if psi[0] is None else own_error(name, a, psi[0])
    both = None if psi[0] is None or psi[1] is None else own_error(name, a, psi[1] - psi[0])
    if is_macro(name):  # not made of the influences alone
        x, y = Macro(a, name), Macro(b, name)
        one = None if one is None else x.moments(sums(a, x.psi()))[0]
        both = None if both is None else of_difference(x, y, sums(a, y.psi() - x.psi()))[0]
    session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda r: estimate(r, one))
    session.ask(f"delta {name} 0.05 0 0 60 0", lambda r: delta(r, both))


def gaps_of(s, w):
    """The gaps of the rates at all thresholds, with the weights of some replicates, one a row."""
    y = s.label == s.positive
    above = (s.score[:, None] >= np.unique(s.score)).astype(float)
    return w[:, y] @ above[y] / w[:, y].sum(1, keepdims=True) - w[:, ~y] @ above[~y] / w[:, ~y].sum(1, keepdims=True)


def gap_of(s, w):
    return np.maximum(gaps_of(s, w).max(1), 0)


def largest_bias(s, w, drawn):
    """By how much the largest gap is larger than what the rows' own largest has become."""
    return np.nanmean(gap_of(s, drawn) - gaps_of(s, drawn)[:, gaps_of(s, w[None])[0].argmax()])


def ks_ends(value, se, bias, q):
    """Student's interval, below or the one on the logit, less the bias that replicates tell: below all of it."""
    odds, spread = math.log(value / (1 - value)), q * se / (value * (1 - value))
    low = min(value - q * se, 1 / (1 + math.exp(spread - odds)))
    return [max(low - bias / (2 ** (2 / 3) - 1), 0), max(min(value + q * se - bias, 1), value)]


def largest_gaps(tap, session, rng):
    """KS has the bias, and its difference varies, as in replicates, whatever the seed (five times the Monte Carlo error is allowed); the
    weights' scale and the order of rows and of models play no part at all."""
    for i in range(12):
        n = int(rng.choice([80, 150, 300]))
        s = binary_case(rng, n, ("none", "real")[i // 2 % 2], 0.7, i % 3 == 0)
        s.label[:20] = np.arange(20) % 2
        t = other_model(rng, s, 0.6)
        units = n if i % 2 else n // 3
        g = np.arange(n) if i % 2 else rng.permutation(np.arange(n) % units)
        if i % 2 == 0:
            s.group = t.group = g
        w = np.ones(n) if s.weight is None else s.weight
        if min(gap_of(x, w[None])[0] for x in (s, t)) < 0.01:
            continue
        drawn = rng.multinomial(units, np.full(units, 1 / units), 4000)[:, g] * w
        want, bias = np.nanstd(gap_of(t, drawn) - gap_of(s, drawn), ddof=1), largest_bias(s, w, drawn)
        mixed, first = rng.permutation(n), {}
        q = student(0.975, units - 1)

        def take(r, what, first=first, want=want):
            se = float(r[2])
            if what == "first":
                first["delta"] = se
            if what in ("first", "seed"):
                tap.count("standard error of a difference of ks is the bootstrap's", abs(math.log(se / want)) < 0.08, f"{se} {want}")
            else:
                tap.close(f"standard error of a difference of ks: {what} plays no part", [se], [first["delta"]])

        def ends(r, what, first=first, bias=bias, q=q):
            value, se, at = float(r[1]), float(r[2]), [float(r[3]), float(r[4])]
            if what == "first":
                first["ends"] = at
            if what in ("first", "seed"):
                off = np.abs(np.subtract(at, ks_ends(value, se, bias, q))) / se
                tap.count("interval of ks has the bootstrap's bias", off.max() < 0.15, f"{at} {off}")
            else:
                tap.close(f"interval of ks: {what} plays no part", at, first["ends"])
        for what, a, b, seed in (
                ("first", s, t, 0), ("seed", s, t, i + 1), ("which model is first", t, s, 0), ("rows' order", s.but(rows=mixed), t.but(rows=mixed), 0),
                *(("weights' scale", s.but(weight=w * by), t.but(weight=w * by), 0) for by in (3, 0.1) if s.weight is not None)):
            session.sample(a, "A")
            session.sample(b, "B")
            session.ask(f"delta ks 0.05 0 {seed} 0 0", lambda r, what=what, take=take: take(r, what))
            if a is not t:
                session.ask(f"estimate A ks 0.95 0 {seed} 0 0", lambda r, what=what, ends=ends: ends(r, what))


def every_metric(tap, session, rng):
    for i in range(some(2400)):
        s, t = two_models(rng, i)
        a, b = Rows(s), Rows(t)
        session.sample(s, "A")
        session.sample(t, "B")
        for name in METRICS[s.task]:
            compare(tap, session, name, a, b, f"{name} ({KIND[s.task]})")


def far_weights(tap, session, rng):
    """Rows and classes that are worth next to nothing beside others."""
    for i in range(some(240)):
        n = int(rng.choice([3, 12, 45]))
        s = binary_case(rng, n, skill=0.7) if i % 2 else multi_case(rng, n, 4, skill=1)
        s.weight = 10.0 ** rng.uniform(-8, 0, n)
        t = other_model(rng, s, 0.6)
        session.sample(s, "A")
        session.sample(t, "B")
        compare(tap, session, "specificity_macro", Rows(s), Rows(t), "specificity_macro (weights far apart)")
        for name in ("cohen_kappa", "cohen_kappa_linear", "cohen_kappa_quadratic"):
            psi = psi_of(name, Rows(s))
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda r, want=0 if psi is None else Rows(s).se(psi), name=name: tap.close(
                f"standard error of {name} (weights far apart)", [float(r[2])] if r[0] == "ok" else [], [want] if r[0] == "ok" else [], 1e-9, 1e-12, f"{r}"))


def exact_error(loss, weight):
    """Of a weighted mean, in fractions."""
    w, x = [Fraction(v) for v in weight], [Fraction(v) for v in loss]
    total = sum(w)
    mean = sum(a * b for a, b in zip(w, x)) / total
    square = sum((a * (b - mean)) ** 2 for a, b in zip(w, x)) * Fraction(len(w), len(w) - 1) / total**2
    return float(mean), float((Decimal(square.numerator) / Decimal(square.denominator)).sqrt())


def one_heavy_row(tap, session, rng):
    """Beside it all others are worth next to nothing, whether it is right or wrong."""
    for i in range(some(36)):
        n, heavy = 13, 10.0 ** rng.integers(6, 15)
        if i % 3 == 2:
            s = number_case(rng, n)
            s.truth, s.estimate = np.abs(s.truth) + 0.5, np.abs(s.estimate) + 0.25
        else:
            s = binary_case(rng, n, skill=0.7) if i % 3 else multi_case(rng, n, 4, skill=1)
        s.weight = np.where(np.arange(n) == 0, heavy, 1.0)
        session.sample(s)
        for name, function in exact.METRICS[s.task].items():
            def take(r, s=s, name=name, function=function):
                want = exact.value_and_error(function, s)
                if r[0] != "none" and want[1] > 1e-14:
                    tap.close(f"{name} and its standard error (one heavy row)", [float(r[1]), float(r[2])], want, 1e-11, 0, f"{r} {s.weight[0]}")
            session.ask(f"estimate A {name} 0.95 0 0 0 0", take)


def extreme_weights(tap, session, rng):
    """From 1e-300 to 1e300, the largest ones on rows without an error."""
    for _ in range(some(120)):
        n = int(rng.choice([3, 8, 20]))
        weight = 10.0 ** np.sort(rng.uniform(*((-300, 300) if rng.random() < 0.5 else (-6, 6)), n))[::-1]
        error = np.where(np.arange(n) < rng.integers(0, n - 1), 0, np.round(rng.normal(size=n), 2))
        session.sample(Sample(REGRESSION, n, truth=np.zeros(n), estimate=error, weight=weight))
        settled = np.maximum(np.ldexp(weight, -np.frexp(weight.max())[1]), 2.0**-1022)  # no row is left out
        for name, loss in (("mae", np.abs(error)), ("mse", error**2), ("pinball@0.5", np.abs(error) / 2)):
            def take(r, want=exact_error(loss, settled), name=name):
                if r[0] == "none" or want[0] == 0:
                    return
                want = (want[0], 0 if want[1] <= 1e-14 * want[0] else want[1])  # rounding
                tap.close(f"{name} and its standard error (extreme weights)", [float(r[1]), float(r[2])], want, 1e-9, 0, f"{r}")
            session.ask(f"estimate A {name} 0.95 0 0 0 0", take)


def queries(tap, session, rng):
    """One value a query: its rows are a group, whose influences add up to the query's."""
    for i in range(some(120)):
        s = ranking_case(rng, int(rng.choice([2, 6, 30])), 5, i % 3 == 0, i % 2 == 0)
        if i % 3 == 1:
            s.weight = spread(s, rng)
        t = s.but(estimate=np.where(rng.random(s.n) < 0.6, s.estimate + rng.normal(size=s.n), s.estimate))
        if len(split(s)) < 2:
            continue
        session.sample(s, "A")
        session.sample(t, "B")
        for name in METRICS[RANKING]:
            (x, u), (y, _) = of_queries(name, s), of_queries(name, t)
            root = math.sqrt(len(u) / (len(u) - 1)) / u.sum()
            for command, d in ((f"estimate A {name} 0.95 0 0 0 0", x), (f"delta {name} 0.05 0 0 0 0", y - x)):
                def take(r, want=root * math.sqrt(((u * d) ** 2).sum()), command=command, name=name):
                    what = "a difference of " if command.startswith("delta") else ""
                    if r[0] == "none" or want <= 1e-13 and what:
                        return
                    tap.close(f"standard error of {what}{name} (ranking)", [float(r[2])], [want], 1e-9, 1e-13, f"{r}")
                session.ask(command, take)


def complete(tap, session, rng):
    """No metric of the table is left out; what costs come to is in tests/cmd/ml-costs.bats."""
    for task, metrics in METRICS.items():
        known = {name.partition("@")[0] for name in metrics}
        session.ask(f"names {task}", lambda a, task=task, known=known: tap.count(
            "every metric of the table has a reference", set(a) - known <= {"cost", "mce", "median_ae", "max_error"},
            f"{KIND[task]}: {set(a) - known}"))


if __name__ == "__main__":
    run_parts(47, complete, every_metric, largest_gaps, queries, far_weights, one_heavy_row, extreme_weights)
