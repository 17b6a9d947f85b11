# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard errors, intervals and differences re-implemented straightforwardly in numpy, and cases to hold them against."""
import math
import warnings

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from stats_cases import BINARY, MULTICLASS, REGRESSION, binary_case, multi_case, number_case, student
from stats_macro import Macro, is_macro, of_difference
from stats_precision import class_rows, is_jackknifed, without_bias
from test_intervals import newcombe_width, tango_closed

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

SHARED = ["accuracy", "balanced_accuracy", "mcc"] + [
    f"{m}_{a}" for m in ("precision", "recall", "f1", "jaccard") for a in ("micro", "macro", "weighted")] + [
    "hamming_loss", "cohen_kappa", "cohen_kappa_linear", "cohen_kappa_quadratic", "specificity_macro",
    "fbeta_micro@3", "fbeta_macro@0.5", "fbeta_weighted@2"]
OF_POSITIVE = ["precision", "recall", "f1", "jaccard", "fbeta@2", "specificity"]
NAMES = {
    BINARY: SHARED + OF_POSITIVE + ["roc_auc", "average_precision", "log_loss", "brier"],
    MULTICLASS: SHARED + ["roc_auc", "log_loss", "top_2_accuracy"],
    REGRESSION: ["mae", "mse", "rmse", "r2"],
}
HITS = {"accuracy", "precision_micro", "recall_micro", "f1_micro", "fbeta_micro@3", "top_2_accuracy", "hamming_loss"}
PROPORTIONS = HITS | {"precision", "recall", "jaccard", "specificity"}
KAPPAS = {"cohen_kappa", "cohen_kappa_linear", "cohen_kappa_quadratic"}
LINEAR = KAPPAS | {"mcc", "log_loss", "mae", "mse", "rmse", "r2"}


def case(rng, weight, grouped, shape="plain"):
    n = int(rng.choice([2, 5, 20, 40, 90]))
    kind = rng.integers(3)
    if kind == 0:
        s = binary_case(rng, n, weight, ties=rng.random() < 0.4, shape=shape)
    elif kind == 1:
        s = multi_case(rng, n, int(rng.integers(3, 6)), weight, ties=rng.random() < 0.4, shape=shape)
    else:
        s = number_case(rng, n, weight, shape if shape in ("perfect", "ties") else "plain")
    if grouped == "some":
        s.group = rng.integers(0, max(2, n // 3), n)
    if grouped == "own":
        s.group = rng.permutation(n)
    if grouped == "one":
        s.group = np.zeros(n, int)
    return s


class Rows:
    """The rows that count, as the library sees them: weights alike are none, a group for each row is none."""

    def __init__(self, sample):
        s = self.s = sample.taken()
        self.n = s.n
        self.w = None if s.weight is None or s.weight.min() == s.weight.max() else s.weight / s.weight.max()
        own = s.group is None or len(set(s.group)) == s.n
        self.g = None if own else np.unique(s.group, return_inverse=True)[1]
        self.units = self.n if own else len(set(s.group))
        self.plain = self.w is None and self.g is None
        self.weights = np.ones(self.n) if self.w is None else self.w

    def se(self, psi):
        g = np.arange(self.n) if self.g is None else self.g
        sums = np.bincount(g, self.weights * psi)
        return math.sqrt(self.units / (self.units - 1) * (sums**2).sum()) / self.weights.sum()

    def worth(self, mask):
        """Kish's number of the rows in the mask, and no more than their groups."""
        w = self.weights[mask]
        if not len(w):
            return 0
        kish = w.sum() ** 2 / (w**2).sum()
        return kish if self.g is None else min(kish, len(set(self.g[mask])))


def placements(score, positive):
    """V10 and V01 by comparing every pair (DeLong, DeLong & Clarke-Pearson 1988)."""
    x, y = score[positive][:, None], score[~positive][None, :]
    wins = (x > y) + 0.5 * (x == y)
    return wins.mean(1), wins.mean(0)


def delong(scores, positive):
    """Covariance matrix of the areas of several score columns."""
    v10, v01 = zip(*(placements(s, positive) for s in scores))
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    return np.atleast_2d(np.cov(v10)) / positive.sum() + np.atleast_2d(np.cov(v01)) / (~positive).sum()


def wilson(p, n, z):
    if z < 8:
        low, high = proportion_confint(p * n, n, 2 * stats.norm.sf(z), method="wilson")
    else:  # no double tells the confidence from 1
        middle, half = (n * p + z * z / 2) / (n + z * z), z / (n + z * z) * math.sqrt(n * p * (1 - p) + z * z / 4)
        low, high = middle - half, middle + half
    return [0 if p == 0 else low, 1 if p == 1 else high]


def newcombe(auc, m, n, z):
    f = lambda t, far: optimize.brentq(newcombe_width, t, far, args=(auc, m, n, z), xtol=1e-15) if newcombe_width(t, auc, m, n, z) > 0 else t
    return [0 if auc == 0 else f(min(auc, 1 - 1e-11), 0), 1 if auc == 1 else f(max(auc, 1e-11), 1)]


def settled(v):
    """A value that rounding keeps from 0 or 1."""
    return round(v) if abs(v - round(v)) < 1e-13 else v


def logit(v, se, q):
    m, h = math.log(v / (1 - v)), q * se / v / (1 - v)
    return [float(1 / (1 + np.exp(-(m - h)))), float(1 / (1 + np.exp(-(m + h))))]


def inside(s, name):
    if name == "precision":
        return s.pred == s.positive
    if name == "recall":
        return s.label == s.positive
    if name == "specificity":
        return s.label != s.positive
    if name in ("f1", "fbeta@2", "jaccard"):
        return (s.label == s.positive) | (s.pred == s.positive)
    return np.ones(s.n, bool)


def single_row(s):
    return min(np.bincount(s.label)[np.unique(s.label)]) < 2


def farther(one, two):
    return [min(one[0], two[0]), max(one[1], two[1])]


def hall_of_area(v, se, u, q):
    low, high = farther(logit(v, se, q), hall(v, se, u, q, lambda t: t)[0])
    return [max(low, 0), min(high, 1)]


def delong_units(s, psi):
    """Influences with DeLong's m - 1 and n - 1."""
    y = s.label == s.positive
    return psi * np.where(y, *(math.sqrt(k / max(k - 1, 1)) for k in (y.sum(), (~y).sum())))


def degrees(rows, name, d=None):
    """Of Student's t; for a difference, d being its influences, less what weights take."""
    n, lost = rows.units, 0
    if name.startswith("average_precision") and name != "average_precision_micro":
        n = min(n, class_rows(rows.s, name))
    if d is not None and rows.w is not None and d.any():
        crowd = [(u**4).sum() / (u**2).sum() ** 2 for u in (of_units(rows, d), sums(rows, d))]
        lost = max(crowd[1] - crowd[0], 0) / 2
    return max(1 / (1 / max(n - 1, 1) + lost), 1) if lost > 0 else max(n - 1, 1)


def expected(rows, name, v, psi, z, q):
    """Method, standard error and limits; limits None where there is none."""
    s = rows.s
    if rows.units < 2:
        se = None
    elif name == "roc_auc" and rows.plain and s.task == BINARY:
        cov = delong([s.score], s.label == s.positive)
        se = math.sqrt(cov[0, 0]) if cov is not None else None
    else:
        se = rows.se(psi)
    if is_macro(name) and se is not None:
        m, u = Macro(rows, name), sums(rows, psi)
        se = m.moments(u)[0]
        return ("logit", se, m.limits(u)(q)) if se > 0 else (None, se, None)
    if name in PROPORTIONS:
        mask = inside(s, name)
        n = mask.sum()
        if n == 0:
            return None, se, None
        if not rows.plain:
            if v in (0, 1):
                n = rows.worth(mask)
            elif se:
                n = min(n, v * (1 - v) / se**2)
        return "wilson", se, wilson(v, n, z)
    if name == "roc_auc" and single_row(s):
        se = None  # DeLong's variance divides by m - 1
    if se is not None and se < 1e-14 * max(1, abs(v)):
        se = 0.0
    if se is None and (name != "roc_auc" or rows.units < 2 or s.task == MULTICLASS):
        return None, se, None
    if name in LINEAR:
        low, high = {"mcc": (-1, 1), "r2": (-math.inf, 1), **dict.fromkeys(KAPPAS, (-1, 1))}.get(name, (0, math.inf))
        if not se > 0:
            return None, se, None
        limits = hall(v, se, sums(rows, psi), q, lambda t: stats.t.sf(t, rows.units - 1))[0]
        return "linear", se, [max(limits[0], low), min(limits[1], high)]
    v = settled(v)
    if name == "roc_auc":
        y = s.label == s.positive
        few = s.task == BINARY and min(y.sum(), (~y).sum()) < 30
        if se and 0 < v < 1 and not few:
            u = delong_units(s, psi) if rows.plain and s.task == BINARY else sums(rows, psi)
            return "logit-delong", se, hall_of_area(v, se, u, z if rows.plain else q)
        if s.task == BINARY:
            return "newcombe", se, newcombe(v, rows.worth(y), rows.worth(~y), z)
        return "newcombe", se, NotImplemented
    if 0 < v < 1:
        centre = without_bias([v], name, [rows])[0]
        return ("logit", se, farther([v, v], logit(centre, se, q))) if se > 0 else (None, se, None)
    return "wilson", se, NotImplemented  # at 0 or 1: see edges()


def ovr_delong_se(s):
    """Covariances of all one-against-rest areas, averaged: rows are the units, each positive for one class. And what each adds."""
    present = [k for k in range(s.classes) if (s.label == k).any()]
    terms = np.zeros(s.n)
    for k in present:
        y = s.label == k
        v10, v01 = placements(s.score[:, k], y)
        m, n = y.sum(), (~y).sum()
        if min(m, n) < 2:
            return None, None
        area = v10.mean()
        terms[y] += (v10 - area) / math.sqrt(m * (m - 1))
        terms[~y] += (v01 - area) / math.sqrt(n * (n - 1))
    return math.sqrt((terms**2).sum()) / len(present), terms


def other_model(rng, s, share):
    """A second model on the same rows that differs in a share of them."""
    move = rng.random(s.n) < share
    if s.task == REGRESSION:
        return s.but(estimate=np.where(move, s.estimate + rng.normal(size=s.n), s.estimate))
    if s.task == BINARY:
        score = np.where(move, np.clip(s.score + 0.3 * rng.normal(size=s.n), 0, 1), s.score)
        return s.but(score=score, pred=np.where(score >= 0.5, s.positive, 1 - s.positive))
    score = s.score * np.where(move[:, None], np.exp(rng.normal(size=s.score.shape)), 1)
    score /= score.sum(1, keepdims=True)
    return s.but(score=score, pred=score.argmax(1))


def top2(s):
    order = np.argsort(s.score, axis=1, kind="mergesort")[:, ::-1]
    return (order[:, :2] == s.label[:, None]).any(1)


def tango(n, b, c, z):
    def edge(sign, far):
        f = lambda x: sign * tango_closed(x, n, b, c) - z
        return far if f(far) < 0 else optimize.brentq(f, (b - c) / n, far, xtol=1e-15)
    return [edge(1, -1 + 1e-14), edge(-1, 1 - 1e-14)]


def contribution(name, s):
    """What a metric that counts rows sees of a row."""
    if name == "top_2_accuracy":
        return top2(s)
    if name in HITS or name in ("balanced_accuracy", "jaccard_micro") or name.startswith("recall_"):
        return s.label == s.pred
    if name in ("recall", "specificity"):
        return (s.label == s.pred) & inside(s, name)
    return s.pred == s.positive if name in OF_POSITIVE else s.pred


def floor(name, a, b, z, still):
    """Next to no rows (or groups) changed, or nothing came of it: the standard error behind Tango's interval for none of n."""
    if name not in SHARED + OF_POSITIVE + ["top_2_accuracy"] and not is_macro(name):
        return 0
    changed = contribution(name, a.s) != contribution(name, b.s)
    units = changed.sum() if a.g is None else len(set(a.g[changed]))
    if units >= z * z and not still:
        return 0
    n = min(a.worth(inside(a.s, name)), b.worth(inside(b.s, name)))
    return (2 if name in KAPPAS | {"mcc"} else 1) * z / (n + z * z)


def hall(delta, se, u, q, tail, c=None):
    """The wider end of the plain interval and of Hall's (1992), and the larger p; u: what each unit adds to the difference."""
    if c is None:
        c = (u**3).sum() / (u**2).sum() ** 1.5 if (u**2).sum() > 0 else 0
    g = lambda t: t + c * t * t / 3 + c * c * t**3 / 27 + c / 6  # noqa: E731
    far = 1e3 + 100 * abs(c)
    edges = [optimize.brentq(lambda t, x=x: g(t) - x, -far, far, xtol=1e-14) for x in (q, -q)]
    limits = [delta - se * max(q, edges[0]), delta - se * min(-q, edges[1])]
    return limits, max(2 * tail(abs(delta) / se), 2 * tail(abs(g(delta / se)))) if se > 1e-12 else None


def of_units(rows, x):
    return np.bincount(np.arange(rows.n) if rows.g is None else rows.g, x)


def sums(rows, psi):
    return of_units(rows, rows.weights * psi)


def fewer(q, lost):
    """Of Student's t with 1/lost degrees of freedom, where the normal one is q, by Wallace 1959."""
    return math.sqrt(math.expm1(min(lost * (q * (8 + 3 * lost) / (8 + lost)) ** 2, 700)) / lost) if lost > 1e-12 else q


def arm(rows, name, v, se, u=None):
    """The interval of one model's value as a function of the quantile; None where it isn't on the logit. u: the influences of an area."""
    s, v = rows.s, settled(v)
    y = s.label == s.positive
    few = name == "roc_auc" and s.task == BINARY and min(y.sum(), (~y).sum()) < 30
    if 0 < v < 1 and se > 1e-14 and not few:
        centre = without_bias([v], name, [rows])[0]
        lost = ((u**3).sum() / (u**2).sum() ** 1.5) ** 2 / 2 if u is not None else 0
        return lambda q: logit(centre, se, fewer(q, lost))
    if name == "roc_auc" and s.task == BINARY:
        return lambda q: newcombe(v, rows.worth(y), rows.worth(~y), q)
    if name == "average_precision":
        n = min(y.sum(), (~y).sum()) * rows.worth(np.ones(s.n, bool)) / s.n
        return (lambda q: wilson(v, n, q)) if n > 0 else None
    return None


def at_end(v):
    return settled(v) in (0, 1)


def end_arm(rows, name, v):
    """Clopper & Pearson 1934 where no row says otherwise; of F-beta and Jaccard the share of right rows is behind it."""
    n = rows.worth(inside(rows.s, name))
    if not n > 0:
        return None
    b2 = 4 if name == "fbeta@2" else 1

    def limits(q):
        x = stats.norm.sf(q) ** (1 / n)
        if name in ("f1", "fbeta@2"):
            return (0, (1 + b2) * (1 - x) / ((1 + b2) * (1 - x) + x)) if v < 0.5 else ((1 + b2) * x / ((1 + b2) * x + b2 * (1 - x)), 1)
        if name == "jaccard_micro":
            return (0, (1 - x) / (1 + x)) if v < 0.5 else (x / (2 - x), 1)
        return (0, 1 - x) if v < 0.5 else (x, 1)
    return limits


def mover(values, arms, se, both):
    """Zou & Donner 2008: of b - a from the intervals of a and b, r their correlation, the worst where nothing varies; a function of
    the quantile."""
    r = 0 if max(se) > 1e-14 else -1
    if min(se) > 1e-14:
        r = min(max((se[0] ** 2 + se[1] ** 2 - both**2) / (2 * se[0] * se[1]), -1), 1)
    a, b = values

    def limits(q):
        (la, ua), (lb, ub) = (f(q) for f in arms)
        return [b - a - math.sqrt(max((b - lb) ** 2 + (ua - a) ** 2 - 2 * r * (b - lb) * (ua - a), 0)),
                b - a + math.sqrt(max((ub - b) ** 2 + (a - la) ** 2 - 2 * r * (ub - b) * (a - la), 0))]
    return limits


def reaches(limits, delta, bound, far=1e6):
    """The quantile at which an interval of delta ends at the bound."""
    f = lambda q: limits(q)[0] - bound if delta > bound else bound - limits(q)[1]
    if f(0) <= 0:
        return 0  # Clopper & Pearson's limits aren't at the value even there
    top = 1.0
    while f(top) > 0 and top < far:
        top *= 2
    return optimize.brentq(f, 0, top, xtol=1e-14) if top < far else math.inf


def mover_numbers(name, a, b, values, se, both, alpha, df, psi=None):
    """Limits and p of a difference by the two models' own intervals; None where they aren't on the logit."""
    if is_macro(name):
        macros = [Macro(rows, name) for rows in (a, b)]
        se = [m.moments(sums(m.rows, x))[0] for m, x in zip(macros, psi)]
        return by_mover([m.limits(sums(m.rows, x)) for m, x in zip(macros, psi)], values, se, both, alpha, df) if min(se) > 0 else None
    ends = [at_end(v) and name not in ("roc_auc", "average_precision") for v in values]
    se = [0 if e else x for e, x in zip(ends, se)]
    influences = [None, None]
    if name == "roc_auc":
        influences = [delong_units(a.s, x) if a.plain and a.s.task == BINARY else sums(a, x) for x in psi]
    arms = [end_arm(rows, name, v) if e else arm(rows, name, v, x, u) for rows, v, x, e, u in zip((a, b), values, se, ends, influences)]
    if None in arms or name in PROPORTIONS and not any(ends) or is_jackknifed(name, a) and both == 0:
        return None
    limits, p = by_mover(arms, without_bias(values, name, (a, b)), se, both, alpha, df)
    return farther(limits, [values[1] - values[0]] * 2), p


def by_mover(arms, values, se, both, alpha, df):
    delta = values[1] - values[0]
    tail = lambda q: 2 * (stats.norm.sf(q) if df is None else stats.t.sf(q, df))
    q = stats.norm.ppf(1 - alpha / 2) if df is None else student(1 - alpha / 2, df)
    ends = mover(values, arms, se, both)
    low, high = ends(q)
    p = tail(reaches(ends, delta, 0)) if abs(delta) > 1e-14 else 1.0
    return [low, high], p


def cut(name, limits):
    """No difference is larger than the metric's range."""
    most = 2 if name in KAPPAS | {"mcc"} else 1 if name not in LINEAR else math.inf
    return [max(limits[0], -most), min(limits[1], most)]


def paired_numbers(name, a, b, psi, values, alpha):
    """Standard error, limits, p of a difference, and the test's name."""
    s, t = a.s, b.s
    z, delta, df = stats.norm.ppf(1 - alpha / 2), values[1] - values[0], degrees(a, name, psi[1] - psi[0])
    if name == "roc_auc" and a.plain and s.task == BINARY:
        cov = delong([s.score, t.score], s.label == s.positive)
        if cov is None:
            return None
        se = math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0))
        got = mover_numbers(name, a, b, values, [math.sqrt(cov[i, i]) for i in (0, 1)], se, alpha, None, psi)
        return (se, *got, "mover") if got else None
    if name == "roc_auc" and a.plain:
        return None
    se, skew = a.se(psi[1] - psi[0]), None
    if is_macro(name):
        se, skew = of_difference(Macro(a, name), Macro(b, name), sums(a, psi[1] - psi[0]))
    se = max(se if se > 1e-14 else 0, floor(name, a, b, z, se <= 1e-14 and abs(delta) <= 1e-14))
    if name in PROPORTIONS and min(inside(s, name).sum(), inside(t, name).sum()) == 0:
        return None, None, None, "none"
    if name not in LINEAR and not (a.plain and name in HITS):
        got = mover_numbers(name, a, b, values, [a.se(psi[0]), b.se(psi[1])], se, alpha, df, psi)
        if got and se == 0:
            return se, cut(name, farther(got[0], [delta, delta])), got[1], "mover"
        if got and (name in SHARED + OF_POSITIVE or is_macro(name) or any(map(at_end, values)) and name not in ("roc_auc", "average_precision")):
            limits, p = hall(delta, se, sums(a, psi[1] - psi[0]), student(1 - alpha / 2, df), lambda t: stats.t.sf(t, df), skew)
            return se, cut(name, farther(got[0], limits)), max(p, got[1]) if p is not None else None, "mover"
        if got:
            return se, *got, "mover"
    if a.plain and name in HITS:
        x, y = (top2(s), top2(t)) if name == "top_2_accuracy" else (s.label == s.pred, t.label == t.pred)
        up, down = int((y & ~x).sum()), int((x & ~y).sum())
        k, m = min(up, down), up + down
        if name == "hamming_loss":
            up, down = down, up
        p = 1.0 if up == down else min(1, 2 * stats.binom.cdf(k, m, 0.5) - stats.binom.pmf(k, m, 0.5))
        return se, tango(a.n, up, down, z), p, "mcnemar-midp"
    if se == 0:
        return (0.0, [0, 0], 1.0, "linear") if abs(delta) <= 1e-14 else (0.0, None, None, "none")
    limits, p = hall(delta, se, sums(a, psi[1] - psi[0]), student(1 - alpha / 2, df), lambda t: stats.t.sf(t, df), skew)
    return se, cut(name, limits), p, "linear"
