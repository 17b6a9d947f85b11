# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard errors, intervals, differences, bootstrap and verdicts against straightforward re-implementations in numpy."""
import bisect
import itertools
import math
import warnings
from decimal import Decimal, getcontext

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from stats_cases import BINARY, MULTICLASS, REGRESSION, Sample, binary_case, multi_case, number_case, run_parts, student
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


def degrees(rows, name):
    """Of Student's t."""
    n = rows.units
    if name == "average_precision":
        n = min(n, (rows.s.label == rows.s.positive).sum())
    return max(n - 1, 1)


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
        return ("logit", se, logit(v, se, q)) if se > 0 else (None, se, None)
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


def estimates(tap, session, rng):
    for i in range(420):
        weight = rng.choice(["none", "none", "real", "zeros", "alike", "huge"])
        grouped = rng.choice(["no", "no", "some", "own", "one"])
        sample = case(rng, weight, grouped, rng.choice(["plain", "plain", "plain", "perfect", "wrong", "ties", "never"]))
        rows = Rows(sample)
        confidence = float(rng.choice([0.95, 0.9, 0.99]))
        z = stats.norm.ppf((1 + confidence) / 2)
        q = student((1 + confidence) / 2, rows.units - 1) if rows.units > 1 else z
        session.sample(sample)
        for name in NAMES[sample.task]:
            got = {}
            session.ask(f"spread A {name}", lambda a, got=got: got.update(psi=a))

            def take(a, got=got, rows=rows, name=name, z=z, q=q, confidence=confidence):
                if a[0] == "none":
                    tap.count("no value, no influences", got["psi"][0] == "none", f"{name}: {a}")
                    return
                psi, v = np.array(got["psi"][1:], float), float(a[1])
                if rows.units > 1:
                    q = student((1 + confidence) / 2, degrees(rows, name))
                method, se, limits = expected(rows, name, v, psi, z, q)
                if name == "roc_auc" and rows.s.task == MULTICLASS and rows.plain:
                    se, terms = ovr_delong_se(rows.s)
                    if se is None:
                        return
                    limits = hall_of_area(v, se, terms, z) if 0 < v < 1 and se > 0 else NotImplemented
                context = f"{name} n {rows.n} units {rows.units} v {v} {a}"
                if limits is NotImplemented:
                    ok = a[0] == "open" or (a[5] == method and 0 <= float(a[3]) <= v <= float(a[4]) + 1e-13)
                    tap.count("at 0 or 1 an interval is one-sided or none", ok, context)
                    return
                got_se = float(a[2])
                tap.close(f"standard error of {name}", [got_se], [-1 if se is None else se], 1e-9, 1e-12, context)
                if limits is None:
                    tap.count(f"interval of {name}", a[0] == "open", context)
                else:
                    tap.count("method of the interval", a[0] == "ok" and a[5] == method, f"{context}, want {method}")
                    if a[0] == "ok":
                        tap.close(f"interval of {name}", [float(a[3]), float(a[4])], limits, 1e-9, 1e-12, context)
            session.ask(f"estimate A {name} {confidence} 0 0 0 0", take)


def edges(tap, session, rng):
    """Everything right: what stands in for a variance of 0."""
    z = stats.norm.ppf(0.975)
    for _ in range(60):
        s = binary_case(rng, int(rng.choice([12, 60])), shape="perfect")
        y = s.label == s.positive
        if y.all() or not y.any():
            continue
        session.sample(s)
        j = wilson(1.0, y.sum(), z)[0]
        share = wilson(1.0, s.n, z)[0]
        low = wilson(1.0, 2 * min(y.sum(), (~y).sum()), z)[0]
        for name, want in (("f1", [2 * j / (1 + j), 1]), ("balanced_accuracy", [low, 1]), ("f1_macro", [low, 1]),
                           ("f1_weighted", wilson(1.0, s.n, z)), ("jaccard_macro", [low, 1]),
                           ("fbeta@2", [5 * j / (5 * j + 4 * (1 - j)), 1]), ("specificity", wilson(1.0, (~y).sum(), z)),
                           ("fbeta@0.5", [1.25 * j / (1.25 * j + 1 - j), 1]), ("jaccard", [j, 1]),
                           ("jaccard_micro", [share / (2 - share), 1]), ("hamming_loss", wilson(0.0, s.n, z)),
                           ("jaccard_weighted", wilson(1.0, s.n, z)), ("specificity_macro", [low, 1]),
                           ("average_precision", wilson(1.0, min(y.sum(), (~y).sum()), z)),
                           ("roc_auc", newcombe(1.0, y.sum(), (~y).sum(), z))):
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a, name=name, want=want: tap.close(
                f"interval of a perfect {name}", [float(x) for x in a[3:5]], want, 1e-9, 1e-12, str(a)))
        for name in ("mcc", "cohen_kappa", "cohen_kappa_quadratic"):
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a: tap.count(
                "no interval where nothing varies", a[0] == "open" and "variance" in a, str(a)))


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
    if name not in SHARED + OF_POSITIVE + ["top_2_accuracy"]:
        return 0
    changed = contribution(name, a.s) != contribution(name, b.s)
    units = changed.sum() if a.g is None else len(set(a.g[changed]))
    if units >= z * z and not still:
        return 0
    n = min(a.worth(inside(a.s, name)), b.worth(inside(b.s, name)))
    return (2 if name in KAPPAS | {"mcc"} else 1) * z / (n + z * z)


def hall(delta, se, u, q, tail):
    """The wider end of the plain interval and of Hall's (1992), and the larger p; u: what each unit adds to the difference."""
    c = (u**3).sum() / (u**2).sum() ** 1.5 if (u**2).sum() > 0 else 0
    g = lambda t: t + c * t * t / 3 + c * c * t**3 / 27 + c / 6  # noqa: E731
    far = 1e3 + 100 * abs(c)
    edges = [optimize.brentq(lambda t, x=x: g(t) - x, -far, far, xtol=1e-14) for x in (q, -q)]
    limits = [delta - se * max(q, edges[0]), delta - se * min(-q, edges[1])]
    return limits, max(2 * tail(abs(delta) / se), 2 * tail(abs(g(delta / se)))) if se > 1e-12 else None


def sums(rows, psi):
    return np.bincount(np.arange(rows.n) if rows.g is None else rows.g, rows.weights * psi)


def arm(rows, name, v, se):
    """The interval of one model's value as a function of the quantile; None where it isn't on the logit."""
    s, v = rows.s, settled(v)
    y = s.label == s.positive
    few = name == "roc_auc" and s.task == BINARY and min(y.sum(), (~y).sum()) < 30
    if 0 < v < 1 and se > 1e-14 and not few:
        return lambda q: logit(v, se, q)
    if name == "roc_auc" and s.task == BINARY:
        return lambda q: newcombe(v, rows.worth(y), rows.worth(~y), q)
    if name == "average_precision":
        n = min(y.sum(), (~y).sum()) * rows.worth(np.ones(s.n, bool)) / s.n
        return (lambda q: wilson(v, n, q)) if n > 0 else None
    return None


def at_end(v):
    return settled(v) in (0, 1)


def rows_at_end(rows, name):
    """How many rows say that a value is 0 or 1; of a mean over classes as many as if each were as small as the smallest."""
    s = rows.s
    if name != "balanced_accuracy" and "_macro" not in name:
        return rows.worth(inside(s, name))
    sizes = []
    for k in range(s.classes):
        y, p = s.label == k, s.pred == k
        if not (y.any() or p.any() and name != "balanced_accuracy"):
            continue
        sizes.append(p.sum() if "precision" in name else (~y).sum() if "specificity" in name
                     else y.sum() if "recall" in name or name == "balanced_accuracy" else (y | p).sum())
    return len(sizes) * min(sizes) * rows.worth(np.ones(s.n, bool)) / s.n


def end_arm(rows, name, v):
    """Clopper & Pearson 1934 where no row says otherwise; of F-beta and Jaccard the share of right rows is behind it."""
    n = rows_at_end(rows, name)
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


def mover_numbers(name, a, b, values, se, both, alpha, df):
    """Limits and p of a difference by the two models' own intervals; None where they aren't on the logit."""
    ends = [at_end(v) and name not in ("roc_auc", "average_precision") for v in values]
    se = [0 if e else x for e, x in zip(ends, se)]
    arms = [end_arm(rows, name, v) if e else arm(rows, name, v, x) for rows, v, x, e in zip((a, b), values, se, ends)]
    delta = values[1] - values[0]
    if None in arms or name in PROPORTIONS and not any(ends):
        return None
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
    z, delta, df = stats.norm.ppf(1 - alpha / 2), values[1] - values[0], degrees(a, name)
    if name == "roc_auc" and a.plain and s.task == BINARY:
        cov = delong([s.score, t.score], s.label == s.positive)
        if cov is None:
            return None
        se = math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0))
        got = mover_numbers(name, a, b, values, [math.sqrt(cov[i, i]) for i in (0, 1)], se, alpha, None)
        return (se, *got, "delong") if got else None
    if name == "roc_auc" and a.plain:
        return None
    se = a.se(psi[1] - psi[0])
    se = max(se if se > 1e-14 else 0, floor(name, a, b, z, se <= 1e-14 and abs(delta) <= 1e-14))
    if name in PROPORTIONS and min(inside(s, name).sum(), inside(t, name).sum()) == 0:
        return None, None, None, "none"
    if name not in LINEAR and not (a.plain and name in HITS):
        got = mover_numbers(name, a, b, values, [a.se(psi[0]), b.se(psi[1])], se, alpha, df)
        if got and se == 0:
            return se, cut(name, farther(got[0], [delta, delta])), got[1], "mover"
        if got and (name in SHARED + OF_POSITIVE or any(map(at_end, values)) and name not in ("roc_auc", "average_precision")):
            limits, p = hall(delta, se, sums(a, psi[1] - psi[0]), student(1 - alpha / 2, df), lambda t: stats.t.sf(t, df))
            return se, cut(name, farther(got[0], limits)), max(p, got[1]) if p is not None else None, "mover"
        if got:
            return se, *got, "delong" if name == "roc_auc" else "mover"
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
    limits, p = hall(delta, se, sums(a, psi[1] - psi[0]), student(1 - alpha / 2, df), lambda t: stats.t.sf(t, df))
    return se, cut(name, limits), p, "linear"


def psi_of(got, k):
    return np.array(got["pA" if k == 0 else "pB"][1:], float)


def deltas(tap, session, rng):
    for i in range(360):
        sample = case(rng, rng.choice(["none", "none", "none", "real", "zeros"]), rng.choice(["no", "no", "some", "own"]))
        other = other_model(rng, sample, rng.choice([0.1, 0.5, 1]))
        a, b = Rows(sample), Rows(other)
        alpha = float(rng.choice([0.05, 0.01, 0.05 / 6]))
        session.sample(sample, "A")
        session.sample(other, "B")
        for name in NAMES[sample.task]:
            got = {}
            for slot in "AB":
                session.ask(f"value {slot} {name}", lambda r, got=got, k="v" + slot: got.update({k: r}))
                session.ask(f"spread {slot} {name}", lambda r, got=got, k="p" + slot: got.update({k: r}))

            def take(r, got=got, a=a, b=b, name=name, alpha=alpha):
                context = f"{name} n {a.n} units {a.units} {r}"
                if "none" in (got["vA"][0], got["vB"][0]):
                    tap.count("no difference without both values", r[0] == "none", context)
                    return
                values = [float(got[k][1]) for k in ("vA", "vB")]
                delta = values[1] - values[0]
                same = all((getattr(a.s, c) is None) or (getattr(a.s, c) == getattr(b.s, c)).all()
                           for c in ("pred", "score", "estimate"))
                if same:
                    tap.count("identical models", r[:6] == ["ok", "0", "0", "0", "0", "1"] and r[6] == "identical", context)
                    return
                if a.units < 2:
                    tap.count("no interval from one unit", r[0] == "open", context)
                    return
                want = paired_numbers(name, a, b, [psi_of(got, 0), psi_of(got, 1)], values, alpha)
                if want is None:
                    return
                if name in ("roc_auc", "average_precision") and abs(delta) <= 1e-14 and a.se(psi_of(got, 1) - psi_of(got, 0)) <= 1e-14:
                    return  # test_consistency.py
                if name == "roc_auc" and single_row(a.s):
                    tap.count("no difference of AUC from a class of one row", r[0] == "open", context)
                    return
                se, limits, p, test = want
                if test == "none" or r[0] == "open":
                    tap.count("no interval where nothing varies, or without a row", r[0] == "open" and (test == "none" or se == 0), context)
                    return
                tap.count("name of the test", r[0] == "ok" and r[6] == test, f"{context}, want {test}")
                numbers = [float(x) for x in r[1:6]]
                tap.close(f"difference of {name}", numbers[:4], [delta, se, *limits], 1e-9, 1e-12, context)
                if p is not None:
                    tap.close(f"p of a difference of {name}", numbers[4:], [max(p, 1e-300)], 1e-9, 1e-300, context)
            session.ask(f"delta {name} {alpha!r} 0 0 0 0", take)


def collapsed(values, sizes, members, total):
    """The variance of a mean over classes of which each holds so many rows: unbiased within a class (n - 1); classes of one row stand
    about their mean (Cochran 1977, 5A.12), one alone about that of all. `members`: each class's 0/1 rows."""
    alone = [k for k, n in enumerate(sizes) if n == 1]
    middle = np.mean([values[k] for k in (alone if len(alone) > 1 else range(len(values)))])
    out = sum(((members[k] - values[k]) ** 2).sum() / n / (n - 1) for k, n in enumerate(sizes) if n > 1)
    out += sum((values[k] - middle) ** 2 for k in alone) * (len(alone) / (len(alone) - 1) if len(alone) > 1 else 1)
    return out / len(values) ** 2 * total / (total - 1)


def small_classes(tap, session, rng):
    """Standard errors of means over classes, from the rows."""
    for i in range(60):
        classes = int(rng.integers(2, 9))
        y = np.concatenate([np.arange(classes), rng.integers(0, classes, int(rng.choice([0, 1, 5, 30])))])
        p = np.where(rng.random(len(y)) < 0.6, y, rng.integers(0, classes, len(y)))
        session.sample(Sample(MULTICLASS, len(y), classes, -1, y, p))
        hit = (y == p).astype(float)
        for name, of in (("recall_macro", y), ("balanced_accuracy", y), ("precision_macro", p)):
            if name == "precision_macro" and len(set(p)) < classes:
                continue
            members = [hit[of == k] for k in range(classes)]
            want = collapsed([m.mean() for m in members], [len(m) for m in members], members, len(y)) ** 0.5
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a, name=name, want=want: tap.close(
                "standard errors over small classes", [float(a[2])] if a[0] == "ok" else [], [want] if a[0] == "ok" else [], 1e-9, 1e-12, f"{name} {a}"))


def changed_rows(tap, session, rng):
    """Rows whose contribution differs, counted from the columns."""
    for _ in range(80):
        s = binary_case(rng, 60, "none", ties=rng.random() < 0.3)
        t = other_model(rng, s, 0.3)
        session.sample(s, "A")
        session.sample(t, "B")
        y, x, z = s.label == s.positive, s.pred == s.positive, t.pred == t.positive
        losses = (s.score != t.score)
        ranks = np.zeros(60, bool)
        if y.any() and not y.all():
            for mask, which in ((y, 0), (~y, 1)):
                ranks[mask] = np.abs(placements(s.score, y)[which] - placements(t.score, y)[which]) > 1e-12
        for name, want in (("accuracy", x != z), ("f1_micro", x != z), ("balanced_accuracy", x != z),
                           ("recall", (x != z) & y), ("precision", x != z), ("f1", x != z), ("mcc", x != z),
                           ("specificity", (x != z) & ~y), ("jaccard", x != z), ("jaccard_micro", x != z),
                           ("hamming_loss", x != z), ("cohen_kappa_linear", x != z), ("fbeta@2", x != z),
                           ("brier", losses), ("log_loss", losses), ("roc_auc", ranks), ("average_precision", ranks)):
            def take(r, name=name, want=want.sum(), fixed=(~(x == y) & (z == y)).sum(), same=not losses.any()):
                if r[0] != "ok" or same:
                    return
                tap.count("changed rows", int(r[8]) == want, f"{name}: {r}, want {want}")
                if name in ("accuracy", "hamming_loss"):
                    tap.count("fixed and broken rows", int(r[9]) == fixed and int(r[9]) + int(r[10]) == want, str(r))
            session.ask(f"delta {name} 0.05 0 0 0 0", take)


def philox(seed, replicate, block):
    mask = 0xFFFFFFFF
    c = [block & mask, block >> 32, replicate & mask, replicate >> 32]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def draw(seed, replicate, n):
    words = [w for block in range((n + 3) // 4) for w in philox(seed, replicate, block)][:n]
    return np.bincount([w * n >> 32 for w in words], minlength=n)


def poisson_draw(seed, replicate, n):
    """16 bits a row; the values that no count has for itself are shared by 32 more, by what is left of the probabilities."""
    getcontext().prec = 50
    p = [1 / Decimal(1).exp() / math.factorial(k) * 65536 for k in range(40)]
    whole = list(itertools.accumulate(int(x) for x in p))
    left = list(itertools.accumulate(x - int(x) for x in p))
    part = [round(x / left[-1] * 2**32) for x in left[:15]]
    out = []
    for i in range(n):
        if i % 8 == 0:
            words = philox(seed, replicate, i // 8)
        u = words[i % 8 // 2] >> 16 * (i % 2) & 0xFFFF
        if u < whole[-1]:
            out.append(bisect.bisect_right(whole, u))
        else:
            out.append(bisect.bisect_right(part, philox(seed, replicate, 2**61 | i)[0]))
    return out


def random_numbers(tap, session, rng):
    # known answers of the Random123 distribution (kat_vectors, philox4x32 10)
    tap.count("Philox 4x32-10 gives Random123's known answers",
              philox(0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    full = 2**64 - 1
    tap.count("Philox 4x32-10 gives Random123's known answers",
              philox(full, full, full) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])
    for _ in range(60):
        seed, replicate, n = int(rng.integers(2**40)), int(rng.integers(5000)), int(rng.choice([1, 2, 7, 100, 999]))
        want = draw(seed, replicate, n).tolist()
        session.ask(f"counts {seed} {replicate} {n}",
                    lambda a, want=want: tap.count("multinomial counts follow from (seed, replicate, row)",
                                                   [int(x) for x in a] == want))

    def poisson(a):
        c = np.array(a, int)
        seen = np.bincount(c, minlength=6)[:6]
        p = stats.poisson.pmf(np.arange(6), 1)
        chi = ((seen - len(c) * p) ** 2 / (len(c) * p)).sum()
        tap.count("counts of more than 10^4 rows are Poisson(1)", chi < stats.chi2.ppf(0.9999, 6), f"chi2 {chi}")
    for seed in range(10):
        session.ask(f"counts {seed} 0 50000", poisson)
    for seed in (0, 3, 2**62 + 2**20):
        want = poisson_draw(seed, 2**32 + seed % 7, 30007)
        session.ask(f"counts {seed} {2**32 + seed % 7} 30007",
                    lambda a, want=want: tap.count("Poisson counts follow from (seed, replicate, row)",
                                                   [int(x) for x in a] == want))


def poisson_sums(tap, session, rng):
    for units in (0, 1, 3, 9, 10, 11, 40, 1000, 123456, 50_000_000):
        def take(a, units=units):
            x = np.array(a, float)
            if units == 0:
                tap.count("sums of counts are Poisson", not x.any())
                return
            # randomised probability integral transform: uniform if the distribution is right
            u = stats.poisson.cdf(x - 1, units) + rng.random(len(x)) * stats.poisson.pmf(x, units)
            p = stats.kstest(u, "uniform").pvalue
            tap.count("sums of counts are Poisson", p > 1e-4, f"{units} units: p {p}")
        session.ask(f"poisson {units + 3} 8000 2 {units}", take)


def many_rows(tap, session, rng):
    """Above 10^4 rows only those near the median are drawn one by one: the same distribution as drawing them all."""
    replicates = 800
    for shape, n in (("plain", 12000), ("ties", 12001)):
        s = number_case(rng, n, "none", shape)
        t = other_model(rng, s, 0.6)
        e, f = np.abs(s.truth - s.estimate), np.abs(t.truth - t.estimate)
        if shape == "ties":
            f = np.round(f)
            t.estimate = t.truth + f
        oe, of = np.argsort(e), np.argsort(f)

        def median(x, order, c):
            at = np.cumsum(c[order])
            half = at[-1] / 2
            return (x[order[np.searchsorted(at, half)]] + x[order[np.searchsorted(at, half, side="right")]]) / 2
        draws = [rng.poisson(1, n) for _ in range(replicates)]
        values = np.array([median(e, oe, c) for c in draws])
        differences = np.array([median(f, of, c) - median(e, oe, c) for c in draws])
        session.sample(s, "A")
        session.sample(t, "B")

        def take(a, x, at, what):
            if a[0] == "open":
                tap.count("replicates that all say the same are no interval", x.std() <= 1e-9, f"{what}: {a}")
                return
            se, low, high = (float(v) for v in a[at:at + 3])
            scale = max(x.std(ddof=1), 1e-9)
            bounds = np.quantile(x, [0.025, 0.975])
            good = 0.88 < se / scale < 1.13 and abs(np.array([low, high]) - bounds).max() < 0.45 * scale \
                if x.std() > 1e-9 else se < 1e-9
            tap.count("bootstrap of the median of many rows", good, f"{what}: {a}, numpy {scale} {bounds}")
        session.ask(f"estimate A median_ae 0.95 0 5 {replicates} 0", lambda a, x=values, t=take: t(a, x, 2, "value"))
        session.ask(f"delta median_ae 0.05 0 5 {replicates} 0", lambda a, x=differences, t=take: t(a, x, 2, "difference"))


def bootstrap(tap, session, rng):
    """Every replicate again in numpy, from the same random numbers."""
    replicates = 60
    for _ in range(24):
        s = number_case(rng, int(rng.choice([9, 30])), "none", rng.choice(["plain", "ties"]))
        if rng.random() < 0.4:
            s.group = rng.integers(0, 6, s.n)
        rows = Rows(s)
        t = other_model(rng, s, 0.6)
        first = {g: i for i, g in reversed(list(enumerate(dict.fromkeys(s.group))))} if rows.g is not None else None
        number = {g: i for i, g in enumerate(dict.fromkeys(s.group))} if rows.g is not None and \
            len(set(s.group)) < max(s.group) + 1 else None
        seed = int(rng.integers(1000))
        values, differences = [], []
        for r in range(replicates):
            if rows.g is None:
                c = draw(seed, r, s.n)
            else:
                c = draw(seed, r, rows.units)[[number[g] if number else g for g in s.group]]
            if not c.sum():
                continue
            e, f = (np.repeat(np.abs(x.truth - x.estimate), c) for x in (s, t))
            values.append(np.median(e))
            differences.append(np.median(f) - np.median(e))
        session.sample(s, "A")
        session.sample(t, "B")

        def take(a, values=values):
            want = [np.std(values, ddof=1), *np.quantile(values, [0.025, 0.975])]
            tap.close("percentile bootstrap of median_ae", [float(x) for x in a[2:5]], want, context=str(a))
        session.ask(f"estimate A median_ae 0.95 0 {seed} {replicates} 0", take)

        def take_delta(a, d=np.array(differences), same=(s.estimate == t.estimate).all()):
            if same:
                return
            p = min(1, 2 * min(1 + (d <= 0).sum(), 1 + (d >= 0).sum()) / (len(d) + 1))
            tap.close("bootstrap of a difference of median_ae", [float(x) for x in a[2:6]],
                      [d.std(ddof=1), *np.quantile(d, [0.025, 0.975]), p], context=str(a))
        session.ask(f"delta median_ae 0.05 0 {seed} {replicates} 0", take_delta)
    # on request the bootstrap is there for every metric, and agrees with the linearised variance
    s = binary_case(rng, 400, skill=1)
    t = other_model(rng, s, 0.5)
    session.sample(s, "A")
    session.sample(t, "B")
    for name in ("accuracy", "f1", "roc_auc", "average_precision", "log_loss", "mcc", "balanced_accuracy"):
        got = {}
        session.ask(f"delta {name} 0.05 0 0 0 0", lambda a, got=got: got.update(se=float(a[2])))

        def take(a, got=got, name=name):
            ratio = float(a[2]) / got["se"]
            tap.count("bootstrap on request agrees with the linearised standard error", 0.85 < ratio < 1.15 and
                      a[6] == "bootstrap", f"{name}: {ratio}")
        session.ask(f"delta {name} 0.05 1 0 600 0", take)


def verdict(e):
    """The rules once more, from the text."""
    z = stats.norm.ppf(1 - e["alpha"] / 2)
    power = stats.norm.ppf(0.8)
    low, high = (e["low"], e["high"]) if e["direction"] > 0 else (-e["high"], -e["low"])
    m = e["margin"]
    little = e["rows"] < 30 or (0 < e["groups"] < 10) or (0 <= e["smaller"] < 10) or not e["has"]
    noninferior = bool(e["identical"] or (not little and m > 0 and low > -m))
    changed = e["changed"] < 0 or e["changed"] >= 6
    if e["identical"]:
        v = "equivalent"
    elif little:
        v = "inconclusive"
    elif m > 0 and -m < low and high < m and (not e["bounded"] or m >= 3 / e["n"]):
        v = "equivalent"
    elif low > 0 and e["p_adjusted"] <= e["alpha"] and changed:
        v = "better"
    elif high < 0 and e["p_adjusted"] <= e["alpha"] and changed:
        v = "worse"
    else:
        v = "inconclusive"
    detectable = (z + power) * e["se"] if e["has"] else -1
    needed, d = -1, max(abs(e["delta"]), m - abs(e["delta"]) if m > 0 else 0)
    if v == "inconclusive" and e["has"] and d > 0 and e["se"] > 0:
        needed = math.ceil(e["rows"] * ((z + power) * e["se"] / d) ** 2)
        needed = max([needed, 30 if e["rows"] < 30 else 0] +
                     [math.ceil(e["rows"] * 10 / e[k]) for k in ("groups", "smaller") if 0 < e[k] < 10])
        needed = needed if needed >= e["rows"] else -1  # there are more, so it isn't rows that lack
    return v, noninferior, detectable, needed


def verdicts(tap, session, rng):
    seen = {}
    for _ in range(3000):
        se = 10 ** rng.uniform(-3, -1)
        delta = float(rng.choice([0, rng.normal() * 3 * se]))
        alpha = float(rng.choice([0.05, 0.025, 0.01]))
        z = stats.norm.ppf(1 - alpha / 2)
        p = float(2 * stats.norm.sf(abs(delta) / se)) * float(rng.choice([1, 1, 1, 1.3]))
        e = {"identical": int(rng.random() < 0.03), "has": int(rng.random() < 0.95), "direction": int(rng.choice([-1, 1])),
             "delta": delta, "low": delta - z * se, "high": delta + z * se, "se": se, "p": min(p, 1),
             "p_adjusted": min(1, p * float(rng.choice([1, 2, 8]))), "alpha": alpha,
             "margin": float(rng.choice([0, 0.005, 0.02, 0.1, 5 * se, 8 * se])), "bounded": int(rng.random() < 0.7),
             "rows": int(rng.choice([29, 30, 200, 5000])), "groups": int(rng.choice([0, 0, 9, 10, 50])),
             "smaller": int(rng.choice([-1, -1, 9, 10, 400])), "n": int(rng.choice([20, 150, 5000])),
             "changed": int(rng.choice([-1, 5, 6, 300]))}
        want = verdict(e)
        seen[want[0]] = seen.get(want[0], 0) + 1

        def take(a, e=e, want=want):
            same = a[0] == want[0] and int(a[1]) == want[1] and math.isclose(float(a[2]), want[2], rel_tol=1e-9)
            tap.count("verdicts are the rules'", same and math.isclose(float(a[3]), want[3], rel_tol=1e-9),
                      f"{e}: got {a}, want {want}")
            little = want[0] == "inconclusive" and (e["rows"] < 30 or 0 < e["groups"] < 10 or 0 <= e["smaller"] < 10 or
                                                    not e["has"])
            excludes = e["low"] > 0 or e["high"] < 0
            if little or (want[0] == "inconclusive" and excludes):
                tap.count("an inconclusive verdict that surprises has a reason", len(a) > 4, f"{e}: {a}")
        session.ask("judge " + " ".join(repr(x) for x in e.values()), take)
    tap.count("all four verdicts occurred", len(seen) == 4, str(seen))


if __name__ == "__main__":
    run_parts(1988, estimates, edges, deltas, small_classes, changed_rows, random_numbers, bootstrap, poisson_sums, many_rows, verdicts)
