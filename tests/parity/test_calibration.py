# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration: errors and bins against scikit-learn's calibration_curve, the line against statsmodels."""
import warnings

import numpy as np
import statsmodels.api as sm
from scipy import stats
from sklearn.calibration import calibration_curve

from stats_cases import BINARY, WEIGHTS, Sample, binary_case, multi_case, run_parts, student
from test_influence import check as check_influence
from test_metrics import NONE, check

warnings.filterwarnings("ignore")
np.seterr(all="ignore")


def ones(s):
    return np.ones(s.n) if s.weight is None else s.weight / s.weight.max()


def confidence(s):
    """Each row's probability, and whether it came true."""
    if s.task == BINARY:
        return s.score, (s.label == s.positive).astype(float)
    return s.score.max(1), (s.score.argmax(1) == s.label).astype(float)


def binned(s, bins):
    """calibration_curve's bins: row numbers of those that have rows."""
    p, _ = confidence(s)
    which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
    return [np.flatnonzero(which == b) for b in range(bins) if (which == b).any()]


def gaps(s, w, bins):
    p, y = confidence(s)
    u = np.ones(s.n) if w is None else w
    share = np.array([u[r].sum() for r in binned(s, bins)]) / u.sum()
    gap = np.array([abs(np.average(p[r] - y[r], weights=u[r])) for r in binned(s, bins)])
    if w is None and bins > 1:
        truth, mean = calibration_curve(y, p, n_bins=bins, strategy="uniform") if len(set(y)) > 1 else (None, None)
        assert truth is None or np.allclose(gap, abs(truth - mean), rtol=1e-9, atol=1e-12)
    return share, gap


def ece(bins):
    return lambda s, w: (gaps(s, w, bins)[0] * gaps(s, w, bins)[1]).sum()


def mce(bins):
    return lambda s, w: gaps(s, w, bins)[1].max()


NAMES = {"ece": ece(15), "ece@10": ece(10), "ece@1": ece(1), "mce": mce(15), "mce@4": mce(4)}


def case(rng, i, n, weight):
    shape, ties = rng.choice(["plain", "plain", "plain", "perfect", "one class"]), i % 3 == 0
    if i % 2:
        return binary_case(rng, n, weight, rng.uniform(-0.5, 2), ties, shape)
    return multi_case(rng, n, int(rng.integers(2, 7)), weight, 1.5, ties, shape)


def values(tap, session, rng):
    for i in range(240):
        s = case(rng, i, int(rng.choice([1, 2, 3, 8, 30, 77, 300])), rng.choice(WEIGHTS))
        if s.task == BINARY and i % 5 == 1:
            s.score = np.round(s.score * 15) / 15  # on the edges
        session.sample(s)
        for name, peer in NAMES.items():
            check(tap, session, f"{name} ({'binary' if s.task == BINARY else 'multiclass'}) is as defined", s, name, peer)
    s = binary_case(rng, 20)
    s.score[3] = 1.5
    session.sample(s)
    check(tap, session, "scores that are no probabilities have no calibration error", s, "ece", lambda *_: NONE)
    s.score[3] = 0.5
    session.sample(s)
    check(tap, session, "too many bins are none", s, "ece@10001", lambda *_: NONE)


def influences(tap, session, rng):
    for i in range(10):
        s = case(rng, 1 - i % 2, int(rng.integers(8, 13)), ("real", "whole", "alike")[i % 3])
        for name in ("ece", "ece@3"):
            check_influence(tap, session, s, name, NAMES.get(name) or ece(3))


def null_error(s, rows, u, p, y):
    sums = u[rows] * (p - y)[rows]
    if s.group is not None:
        sums = np.array([sums[s.group[rows] == g].sum() for g in set(s.group[rows])])
    return np.sqrt((sums ** 2).sum()) / u[rows].sum()


def worth_of(s, rows, u, p, y):
    kish = u[rows].sum() ** 2 / (u[rows] ** 2).sum()
    if s.group is None:
        return min(kish, np.count_nonzero((p - y)[rows]))
    return min(kish, sum((u * (p - y))[rows][s.group[rows] == g].sum() != 0 for g in set(s.group[rows])))


def own_bias(share, gap, error, worth):
    """What is left of a sum of sizes without the bias that the gaps seen would have: for the lower end, and for the upper one."""
    def folded(x):
        return stats.foldnorm.mean(x)
    x = np.divide(gap, error, out=np.zeros(len(gap)), where=error > 0)
    left = share * np.where(error > 0, error * (2 * x - folded(x)), gap)
    sure = worth >= 5 - 1e-9
    v = max((x[sure] ** 2).mean() - 1, 0) if sure.any() else 0
    # E h(x) - E|theta| with theta ~ N(0, v), x ~ N(theta, 1), h(x) = 2|x| - folded(x)
    rest = (2 * np.sqrt(1 + v) - np.sqrt(2 + v) - np.sqrt(v)) * np.sqrt(2 / np.pi)
    return (left[sure] - rest * (share * error)[sure]).sum(), left.sum()


def group_rows(rng, s, i):
    if i % 3 == 2:
        s.group = np.unique(rng.integers(0, max(2, s.n // 3), s.n), return_inverse=True)[1]


def intervals(tap, session, rng):
    """The error's own, with room below for gaps that aren't there; the largest gap has none."""
    for i in range(90):
        s = case(rng, i, int(rng.choice([8, 30, 200])), ("none", "real")[i // 2 % 2])
        group_rows(rng, s, i)
        u, (p, y) = ones(s), confidence(s)
        units = s.n if s.group is None else s.group.max() + 1
        if units < 2 or units == s.n and s.group is not None:
            continue
        bins = binned(s, 15)
        error = np.array([null_error(s, r, u, p, y) for r in bins])
        share, gap = gaps(s, u, 15)
        session.sample(s)

        session.ask("estimate A mce 0.95 0 0 0 0", lambda a: tap.count("mce has no interval", a[0] == "open", str(a)))
        below, above = own_bias(share, gap, error, np.array([worth_of(s, r, u, p, y) for r in bins]))

        def take(a, below=below, above=above, q=student(0.975, units - 1)):
            if a[0] == "ok":
                v, se = float(a[1]), float(a[2])
                tap.close("interval of ece", [float(a[3]), float(a[4])],
                          [min(max(below - q * se, 0), v), min(max(above + q * se, v), 1)], absolute=1e-9)
        session.ask("estimate A ece 0.95 0 0 0 0", take)


def worth(s, rows, u, y):
    """Rows that Wilson's interval counts in a bin."""
    v, hit = u[rows], y[rows]
    p, kish = np.average(hit, weights=v), v.sum() ** 2 / (v ** 2).sum()
    if s.weight is None and s.group is None:
        return p, len(rows)
    of = np.arange(len(rows)) if s.group is None else s.group[rows]
    groups = len(set(of))
    sums = np.array([(v * (hit - p))[of == g].sum() for g in set(of)])
    if p in (0, 1) or groups == 1:
        return p, min(kish, groups) if s.group is not None else kish
    var = (sums ** 2).sum() / v.sum() ** 2 * (groups / (groups - 1) if groups > 1 else 1)
    return p, min(len(rows), p * (1 - p) / var)


def reliability(tap, session, rng):
    for i in range(120):
        s = case(rng, i, int(rng.choice([1, 5, 30, 200])), ("none", "real", "whole")[i // 2 % 3])
        group_rows(rng, s, i)
        if s.weight is not None and (s.weight == s.weight[0]).all():
            s.weight = None  # as C has it
        if s.group is not None and s.group.max() + 1 == s.n:
            s.group = None
        u, (p, y), want = ones(s), confidence(s), []
        edges = np.linspace(0, 1, 11)
        which = np.searchsorted(edges[1:-1], p)
        for b in range(10):
            rows = np.flatnonzero(which == b)
            if len(rows) == 0:
                continue
            share, n = worth(s, rows, u, y)
            z = stats.norm.ppf(0.95)
            middle, half = share + z * z / 2 / n, z * np.sqrt(share * (1 - share) / n + z * z / 4 / n / n)
            want += [edges[b], edges[b + 1], len(rows), u[rows].sum() / u.sum(), np.average(p[rows], weights=u[rows]),
                     share, max((middle - half) / (1 + z * z / n), 0), min((middle + half) / (1 + z * z / n), 1)]
        session.sample(s)
        session.ask("bins A 10 0.9", lambda a, want=want: tap.close(
            "reliability bins", [float(x) for x in a], want, absolute=1e-9))


def lines(tap, session, rng):
    for i in range(120):
        s = binary_case(rng, int(rng.choice([12, 40, 300])), ("none", "real", "whole")[i % 3], rng.uniform(0, 1.5), i % 4 == 0)
        group_rows(rng, s, i // 3)
        if i % 10 == 0:
            s.score[0], s.score[1] = 0, 1  # clipped
        y, u = (s.label == s.positive).astype(float), ones(s)
        units = s.n if s.group is None else s.group.max() + 1
        if y.all() or not y.any() or units < 4:
            continue
        clipped = np.clip(s.score, 2.0 ** -52, 1 - 2.0 ** -52)
        x = np.log(clipped) - np.log1p(-clipped)
        apart = x[y == 1].min() >= x[y == 0].max() or x[y == 1].max() <= x[y == 0].min()
        session.sample(s)
        if apart or np.ptp(x) == 0:
            session.ask("line A 0.95", lambda a: tap.count("classes that are apart have no line", a[0] == "none", str(a)))
            continue
        design = sm.add_constant(x)
        fit = sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=u * s.n / u.sum()).fit(tol=1e-14, maxiter=200)
        mu = fit.mu
        inverse = np.linalg.inv((design * (u * mu * (1 - mu))[:, None]).T @ design)
        scores = design * (u * (y - mu))[:, None]
        if s.group is not None and units < s.n:
            scores = np.array([scores[s.group == g].sum(0) for g in range(units)])
        cov = inverse @ scores.T @ scores @ inverse * units / (units - 1)
        se, q = np.sqrt(np.diag(cov)), student(0.975, units - 1)
        want = [v for k in (0, 1) for v in (fit.params[k], se[k], fit.params[k] - q * se[k], fit.params[k] + q * se[k])]
        session.ask("line A 0.95", lambda a, want=want: tap.close(
            "slope and intercept are statsmodels'", [float(v) for v in a[1:]] if a[0] == "ok" else a, want, rel=1e-9, absolute=1e-12))


def long_lines(tap, session, rng):
    """So many rows that they are gathered in bins, or not where that isn't near enough: narrow scores, steep lines."""
    n = 300000
    for middle, spread, slope, digits, weighted in ((-1, 1.5, 1.3, 17, False), (-1, 1.5, 0.7, 3, False), (0, 9, 1, 17, True),
            (2, 0.001, 1, 17, False), (0, 0.3, 5, 17, False), (-8, 2, -1, 17, True)):
        score = np.round(1 / (1 + np.exp(-rng.normal(middle, spread, n))), digits)
        score[:4] = 0, 1, 0.5, 1e-300
        x = np.log(np.clip(score, 2.0 ** -52, 1 - 2.0 ** -52) / (1 - np.clip(score, 2.0 ** -52, 1 - 2.0 ** -52)))
        y = (rng.random(n) < 1 / (1 + np.exp(-0.2 - slope * x))).astype(float)
        w = rng.uniform(0.1, 3, n) if weighted else np.ones(n)
        design = sm.add_constant(x)
        want = sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14, maxiter=100).params
        for _ in range(2):  # to the last digits
            mu = 1 / (1 + np.exp(-design @ want))
            want = want + np.linalg.solve((design * (w * mu * (1 - mu))[:, None]).T @ design, design.T @ (w * (y - mu)))
        session.sample(Sample(BINARY, n, 2, 1, label=y.astype(int), score=score, weight=w if weighted else None))
        for confidence in (0, 0.95):
            session.ask(f"line A {confidence}", lambda a, want=want: tap.close(
                "the line of many rows is the likelihood's", [float(a[1]), float(a[5])], list(want), rel=1e-9, absolute=1e-9))


if __name__ == "__main__":
    run_parts(15, values, influences, intervals, reliability, lines, long_lines)
