# SPDX-License-Identifier: GPL-3.0-or-later
"""Rankings by query: NDCG against scikit-learn, the rest against the mean over all orders of rows of equal score;
intervals and differences against what follows from one value a query."""
import itertools
import math
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from stats_cases import Sample, run_parts, student

warnings.filterwarnings("ignore")
RANKING = 16
KS = (None, 1, 2, 3, 10)


def ndcg(y, s, k):
    return sk.ndcg_score([y], [s], k=k) if len(y) > 1 else 1.0


def of_order(name, y, k):
    """A metric of rows that stand in this order."""
    k = len(y) if k is None else k
    hits = [i for i, v in enumerate(y) if v > 0]
    if name == "map":
        return sum((j + 1) / (i + 1) for j, i in enumerate(hits) if i < k) / min(len(hits), k)
    if name == "mrr":
        return 1 / (hits[0] + 1) if hits[0] < k else 0.0
    top = sum(i < k for i in hits)
    return top / k if name == "precision" else top / len(hits)


def expected(name, y, s, k):
    """The mean over all orders that the scores allow."""
    order = np.argsort(-s, kind="stable")
    ties = [list(g) for _, g in itertools.groupby(order, key=lambda i: s[i])]
    values = [of_order(name, [y[i] for part in parts for i in part], k)
              for parts in itertools.product(*[list(itertools.permutations(t)) for t in ties])]
    return math.fsum(values) / len(values)


def case(rng, queries, longest, ties, graded, empty=0.2):
    sizes = rng.integers(1, longest + 1, queries)
    group = np.repeat(np.arange(queries), sizes)
    n = len(group)
    y = rng.integers(0, 5, n).astype(float) if graded else (rng.random(n) < 0.4).astype(float)
    y[np.isin(group, np.flatnonzero(rng.random(queries) < empty))] = 0
    s = rng.normal(size=n) + 0.5 * y
    if ties:
        s = np.round(s)
    order = rng.permutation(n)
    return Sample(RANKING, n, truth=y[order], estimate=s[order], group=group[order])


def split(s):
    """The queries that have a relevant row, in the order of their numbers."""
    out = []
    for g in sorted(set(s.group)):
        rows = np.flatnonzero(s.group == g)
        if (s.truth[rows] > 0).any():
            out.append(rows)
    return out


def named(name, k):
    return name if k is None else f"{name}@{k}"


def values_of(name, s, k):
    one = ndcg if name == "ndcg" else lambda y, e, k: expected(name, y, e, k)
    return np.array([one(s.truth[r], s.estimate[r], k) for r in split(s)])


def values(tap, session, rng):
    for i in range(150):
        s = case(rng, int(rng.choice([1, 2, 5, 30])), 6 if i % 2 else 4, i % 3 == 0, i % 5 != 0)
        session.sample(s)
        for name in ("ndcg", "map", "mrr", "precision", "recall"):
            for k in KS:
                if k is None and name in ("precision", "recall"):
                    continue
                want = values_of(name, s, k)
                subject = "NDCG is scikit-learn's" if name == "ndcg" else f"{name} is the mean over all orders of equals"

                def compare(a, want=want, subject=subject, at=named(name, k)):
                    if len(want) == 0:
                        tap.count(subject, a[0] == "none", f"{a}")
                    else:
                        tap.close(subject, [float(a[1]), float(a[2])], [want.mean(), len(want)], context=at)
                session.ask(f"value A {named(name, k)}", compare)


def long_lists(tap, session, rng):
    """Long queries without ties: scikit-learn's mean precision at the relevant rows."""
    for _ in range(10):
        s = case(rng, 12, 400, False, True)
        session.sample(s)
        want = np.mean([sk.label_ranking_average_precision_score([s.truth[r] > 0], [s.estimate[r]])
                        if len(r) > 1 else 1.0 for r in split(s)])
        session.ask("value A map", lambda a, want=want: tap.close(
            "MAP without ties is scikit-learn's LRAP", [float(a[1])], [want]))
        for k in (None, 7):
            s.estimate = np.round(s.estimate, 1)
            session.sample(s)
            want = values_of("ndcg", s, k).mean()
            session.ask(f"value A {named('ndcg', k)}", lambda a, want=want: tap.close(
                "NDCG of long lists with ties is scikit-learn's", [float(a[1])], [want]))


def extremes(tap, session, rng):
    """Relevances at the ends of a double: the same as at a moderate size."""
    for scale in (1e306, 1e-306, 1e-320):
        for _ in range(10):
            s = case(rng, 8, 6, True, True)
            want = values_of("ndcg", s, None)
            big = s.but(truth=s.truth * scale, estimate=s.estimate * 1e307)
            if len(want) == 0:
                continue
            session.sample(big)
            session.ask("value A ndcg", lambda a, want=want, scale=scale: tap.close(
                "NDCG of relevances and scores near the ends of a double", [float(a[1])], [want.mean()],
                rel=1e-9 if scale > 1e-310 else 1e-3))


def spread(s, rng):
    """Weights that are alike within a query."""
    w = rng.gamma(2, size=int(s.group.max()) + 1) + 0.1
    return w[s.group]


def intervals(tap, session, rng):
    for i in range(60):
        s = case(rng, int(rng.choice([15, 60])), 8, i % 2 == 0, True)
        if i % 3 == 0:
            s.weight = spread(s, rng)
        v = values_of("ndcg", s, 5)
        w = np.array([1.0 if s.weight is None else s.weight[r[0]] for r in split(s)])
        mean, q = np.average(v, weights=w), len(v)
        se = math.sqrt(q / (q - 1) * ((w * (v - mean)) ** 2).sum()) / w.sum()
        half = student(0.975, q - 1) * se / (mean * (1 - mean))
        logit = math.log(mean / (1 - mean))
        want = [mean, se, 1 / (1 + math.exp(-(logit - half))), 1 / (1 + math.exp(-(logit + half)))]
        session.sample(s)
        session.ask("estimate A ndcg@5 0.95 0 0 0 0", lambda a, want=want: tap.close(
            "the interval is that of one value a query", [float(x) for x in a[1:5]], want, rel=1e-9))
        # every query at its best: no variance, as many rows as queries for Wilson
        perfect = s.but(estimate=s.truth, weight=None)
        z = stats.norm.ppf(0.975)
        session.sample(perfect)
        session.ask("estimate A ndcg 0.95 0 0 0 0", lambda a, q=q, z=z: tap.close(
            "all queries at 1: Wilson's interval for the queries", [float(a[1]), float(a[3]), float(a[4])],
            [1, q / (q + z * z), 1]))
        session.sample(s.but(weight=1.0 + rng.random(s.n)))
        session.ask("value A ndcg", lambda a: tap.count(
            "a query whose rows differ in weight has no value", a[0] == "none" and "weight" in a, f"{a}"))


def differences(tap, session, rng):
    for i in range(60):
        s = case(rng, 80, 6, False, True)
        t = s.but(estimate=np.where(np.isin(s.group, np.arange(40)), s.estimate, s.estimate + 0.4 * rng.normal(size=s.n)))
        a, b = values_of("ndcg", s, None), values_of("ndcg", t, None)
        d = b - a
        se = stats.sem(d)
        session.sample(s, "A")
        session.sample(t, "B")
        want = [d.mean(), se, (np.abs(d) > 1e-12).sum()]
        session.ask("delta ndcg 0.05 0 0 0 0", lambda x, want=want: tap.close(
            "a difference is that of one value a query, and counts queries that changed",
            [float(x[1]), float(x[2]), float(x[8])], want, rel=1e-9) if x[0] == "ok" else tap.count(
            "a difference is that of one value a query, and counts queries that changed", False, f"{x}"))
        session.ask("delta ndcg 0.05 1 0 2000 1", lambda x, want=want: tap.count(
            "the bootstrap of queries has about the same standard error", abs(float(x[2]) / want[1] - 1) < 0.15, f"{x}, {want}"))


def slices(tap, session, rng):
    for _ in range(20):
        s = case(rng, 30, 6, True, True)
        rows = rng.choice(s.n, s.n // 2, replace=False)
        part = s.but(n=len(rows), truth=s.truth[rows], estimate=s.estimate[rows], group=s.group[rows])
        want = values_of("map", part, 3)
        session.sample(s.but(rows=rows))
        session.ask("value A map@3", lambda a, want=want: tap.close(
            "of a slice the queries are what it holds of them", [float(a[1]), float(a[2])], [want.mean(), len(want)]))


if __name__ == "__main__":
    run_parts(11, values, long_lists, extremes, intervals, differences, slices)
