# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of labels: every metric against scikit-learn's indicator matrices, influences against numerical derivatives,
standard errors against their definition and a bootstrap."""
import math
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from stats_cases import LONG, WEIGHTS, errors_of_bootstrap, label_case, run_parts, some, student, take_slice
from stats_expected import Rows, arm, at_end, degrees, farther, hall, logit, mover, sums, tango, wilson
from stats_macro import Macro, is_macro, of_difference
from stats_precision import is_jackknifed, left_out, without_bias
from test_influence import slope
from test_metrics import NONE

warnings.filterwarnings("ignore")
np.seterr(all="ignore")


def ratio(function, average, **k):
    # without any label scikit-learn says 0
    return lambda s, w: function(s.labels, s.preds, average=average, sample_weight=w, zero_division=0, **k) \
        if s.labels.any() else NONE


def by_class(function, both):
    """The mean over the classes that have a value; scikit-learn has none for the others."""
    def peer(s, w):
        got = [function(s.labels[:, k], s.score[:, k], sample_weight=w) for k in range(s.classes)
               if s.labels[:, k].any() and not (both and s.labels[:, k].all())]
        if len(got) == s.classes > 1:
            return function(s.labels, s.score, average="macro", sample_weight=w)
        return np.mean(got) if got else NONE
    return peer


def over_pairs(function, both):
    def peer(s, w):
        if not s.labels.any() or (both and s.labels.all()):
            return NONE
        return function(s.labels.ravel(), s.score.ravel(), sample_weight=None if w is None else np.repeat(w, s.classes))
    return peer


SETS = {
    "accuracy": lambda s, w: sk.accuracy_score(s.labels, s.preds, sample_weight=w),
    "hamming_loss": lambda s, w: sk.hamming_loss(s.labels, s.preds, sample_weight=w),
}
for name, function, extra in (("precision", sk.precision_score, {}), ("recall", sk.recall_score, {}),
                              ("f1", sk.f1_score, {}), ("jaccard", sk.jaccard_score, {}),
                              ("fbeta", sk.fbeta_score, {"beta": 2})):
    for average in ("micro", "macro", "weighted", "samples"):
        SETS[f"{name}_{average}" + ("@2" if extra else "")] = ratio(function, average, **extra)
SCORES = {
    "roc_auc": by_class(sk.roc_auc_score, True),
    "roc_auc_micro": over_pairs(sk.roc_auc_score, True),
    "average_precision": by_class(sk.average_precision_score, False),
    "average_precision_micro": over_pairs(sk.average_precision_score, False),
    "lrap": lambda s, w: sk.label_ranking_average_precision_score(s.labels, s.score, sample_weight=w),
    "coverage_error": lambda s, w: sk.coverage_error(s.labels, s.score, sample_weight=w),
    "label_ranking_loss": lambda s, w: sk.label_ranking_loss(s.labels, s.score, sample_weight=w),
}
ALL = {**SETS, **SCORES}
SHAPES = ("plain", "plain", "plain", "perfect", "wrong", "never", "always", "no label", "all labels", "one class")


def values(tap, session, rng):
    for _ in range(some(260, 2)):
        n, k = int(rng.choice([1, 2, 3, 5, 8, 13, 30, 77])), int(rng.choice([2, 3, 5, 9]))
        s = label_case(rng, n, k, rng.choice(WEIGHTS), rng.uniform(-0.5, 2), rng.random() < 0.4, rng.choice(SHAPES))
        take_slice(rng, s)
        session.sample(s)
        t = s.taken()
        w = None if t.weight is None else t.weight / t.weight.max()
        for name, peer in ALL.items():
            want = peer(t, w)

            def take(a, name=name, want=want, t=t):
                subject, context = f"{name} (multilabel) is scikit-learn's", f"n {t.n} k {t.classes}: got {a}, want {want}"
                if want is NONE:
                    tap.count(subject, a[0] == "none", context)
                elif a[0] != "ok":
                    tap.count(subject, False, context)
                else:
                    tap.close(subject, [float(a[1])], [want], context=context)
            session.ask(f"value A {name}", take)


def invariances(tap, session, rng):
    """Neither the order of the rows nor that of the classes plays a part, and rows may be doubled."""
    for _ in range(40):
        n, k = int(rng.choice([5, 40])), int(rng.choice([2, 5]))
        s = label_case(rng, n, k, rng.choice(["none", "real"]), ties=rng.random() < 0.5)
        rows, order = np.tile(rng.permutation(n), int(rng.integers(1, 3))), rng.permutation(k)
        t = s.but(n=len(rows), weight=None if s.weight is None else s.weight[rows],
                  **{c: getattr(s, c)[rows][:, order] for c in ("labels", "preds", "score")})
        session.sample(s, "A")
        session.sample(t, "B")
        for name in ALL:
            got = {}
            session.ask(f"value A {name}", lambda a, got=got: got.update(a=a))
            session.ask(f"value B {name}", lambda a, got=got, name=name: tap.count(
                "order of rows and classes, and doubled rows", a[0] == got["a"][0] and (
                    a[0] != "ok" or math.isclose(float(a[1]), float(got["a"][1]), rel_tol=1e-12, abs_tol=1e-14)),
                f"{name}: {a}, {got['a']}"))


def single_class(tap, session, rng):
    """One class, which scikit-learn's metrics of sets don't take."""
    for _ in range(40):
        s = label_case(rng, int(rng.choice([3, 20])), 1, rng.choice(["none", "real"]))
        session.sample(s)
        y, p = s.labels[:, 0], s.preds[:, 0]
        wants = {"accuracy": np.average(y == p, weights=s.weight), "hamming_loss": np.average(y != p, weights=s.weight),
                 "roc_auc": SCORES["roc_auc"](s, s.weight), "coverage_error": np.average(y, weights=s.weight),
                 "average_precision": SCORES["average_precision"](s, s.weight), "lrap": 1, "label_ranking_loss": 0,
                 "f1_macro": sk.f1_score(y, p, sample_weight=s.weight, zero_division=0) if y.any() else NONE}
        for name, want in wants.items():
            def take(a, name=name, want=want):
                if want is NONE:
                    tap.count("metrics of a single class", a[0] == "none", f"{name} {a}")
                else:
                    tap.close("metrics of a single class", [float(a[1])], [want], context=f"{name} {a}")
            session.ask(f"value A {name}", take)


def influences(tap, session, rng):
    for case in range(some(12, 2)):
        s = label_case(rng, int(rng.integers(6, 13) if LONG else rng.integers(5, 9)), int(rng.integers(2, 5)), ("real", "whole", "alike")[case % 3],
                       ties=bool(case % 2))
        session.sample(s)
        for name, peer in ALL.items():
            if peer(s, s.weight) is NONE:
                continue
            want = [slope(peer, s, i) * s.weight.sum() for i in range(s.n)]

            def take(a, name=name, want=want, n=s.n):
                tap.close(f"influence on {name} (multilabel) is the derivative by the weight",
                          [float(x) for x in a[1:]], want, rel=1e-5, absolute=1e-7, context=f"n {n}")
            session.ask(f"psi A {name}", take)


def within(s, name):
    """Rows in the denominator."""
    y, p = s.labels.any(1), s.preds.any(1)
    if "_micro" not in name:
        return np.ones(s.n, bool)
    return p if name.startswith("precision_") else y if name.startswith("recall") or name in SCORES else y | p


def other_model(rng, s, share):
    move = rng.random(s.n) < share
    score = np.where(move[:, None], np.clip(s.score + 0.3 * rng.normal(size=s.score.shape), 0, 1), s.score)
    return s.but(score=score, preds=np.where(move[:, None], (score >= 0.5).astype(int), s.preds))


def estimates(tap, session, rng):
    z = stats.norm.ppf(0.975)
    for _ in range(160):
        n = int(rng.choice([2, 5, 20, 60]))
        s = label_case(rng, n, int(rng.integers(2, 6)), rng.choice(["none", "none", "real", "zeros", "huge"]),
                       ties=rng.random() < 0.4, shape=rng.choice(["plain", "plain", "perfect", "wrong", "never"]))
        if rng.random() < 0.4:
            s.group = rng.integers(0, max(2, n // 3), n)
        rows = Rows(s)
        session.sample(s)
        for name in ALL:
            got = {}
            session.ask(f"psi A {name}", lambda a, got=got: got.update(psi=a))

            def take(a, got=got, rows=rows, name=name):
                # roc_auc of plain rows has DeLong's denominators, class by class: see delong()
                if a[0] == "none" or rows.units < 2 or name == "roc_auc" and (rows.plain or "single" in a):
                    return
                v, context = float(a[1]), f"{name} n {rows.n} {a}"
                psi = left_out(rows.s, name)[0] if is_jackknifed(name, rows) else np.array(got["psi"][1:], float)
                u, se = sums(rows, psi), rows.se(psi)
                q = student(0.975, degrees(rows, name))
                se = 0.0 if se < 1e-14 else se
                if is_macro(name):
                    m = Macro(rows, name)
                    u = sums(rows, m.psi())
                    se = m.moments(u)[0]
                tap.close(f"standard error of {name} (multilabel)", [float(a[2])], [se], 1e-9, 1e-12, context)
                if name == "accuracy":
                    m = rows.n
                    if not rows.plain:
                        m = rows.worth(np.ones(m, bool)) if v in (0, 1) else min(m, v * (1 - v) / se**2) if se else m
                    want = wilson(v, m, z)
                elif name == "coverage_error":
                    low, high = hall(v, se, u, q, lambda t: t)[0] if se > 0 else (0, 0)
                    want = [max(low, 0), high] if se > 0 else None
                elif is_macro(name):
                    want = m.limits(u)(q) if se > 0 else None
                elif name != "roc_auc" and se > 0 and 1e-13 < v < 1 - 1e-13:
                    want = farther([v, v], logit(*without_bias([v], name, [rows]), se, q))
                else:
                    ok = a[0] == "open" or 0 <= float(a[3]) <= v + 1e-13 and v - 1e-13 <= float(a[4]) <= 1
                    tap.count("at 0 or 1 an interval is one-sided or none (multilabel)", ok, context)
                    return
                if want is None:
                    tap.count(f"interval of {name} (multilabel)", a[0] == "open", context)
                else:
                    tap.close(f"interval of {name} (multilabel)", [float(x) for x in a[3:5]], want, 1e-9, 1e-12, context)
            session.ask(f"estimate A {name} 0.95 0 0 0 0", take)


def delong(tap, session, rng):
    """The mean of the classes' areas: rows are the units, with each class's m - 1 and n - 1."""
    for _ in range(40):
        s = label_case(rng, 60, 3, skill=0.5, ties=rng.random() < 0.5)
        if (s.labels.sum(0) < 2).any() or (s.labels.sum(0) > 58).any():
            continue
        terms = np.zeros(s.n)
        for k in range(3):
            y, x = s.labels[:, k] == 1, s.score[:, k]
            wins = (x[y][:, None] > x[~y]) + 0.5 * (x[y][:, None] == x[~y])
            m, n = wins.shape
            terms[y] += (wins.mean(1) - wins.mean()) / math.sqrt(m * (m - 1)) / 3
            terms[~y] += (wins.mean(0) - wins.mean()) / math.sqrt(n * (n - 1)) / 3
        session.sample(s)
        session.ask("estimate A roc_auc 0.95 0 0 0 0", lambda a, want=math.sqrt((terms**2).sum()): tap.close(
            "standard error of roc_auc (multilabel) is DeLong's", [float(a[2])], [want], 1e-9, 1e-12, str(a)))


def same_order(s, t):
    """Of each row's classes."""
    pairs = [np.sign(x.score[:, :, None] - x.score[:, None, :]) for x in (s, t)]
    return (pairs[0] == pairs[1]).all()


def deltas(tap, session, rng):
    z = stats.norm.ppf(0.975)
    for _ in range(120):
        s = label_case(rng, int(rng.choice([20, 60])), int(rng.integers(2, 6)), rng.choice(["none", "none", "real"]))
        t = other_model(rng, s, rng.choice([0.05, 0.5, 1]))
        if rng.random() < 0.3:
            s.group = t.group = rng.integers(0, 9, s.n)
        a, b = Rows(s), Rows(t)
        session.sample(s, "A")
        session.sample(t, "B")
        right = [(x.labels == x.preds).all(1) for x in (a.s, b.s)]
        moved = (a.s.preds != b.s.preds).any(1)
        for name in ALL:
            got = {}
            for slot in "AB":
                session.ask(f"psi {slot} {name}", lambda r, got=got, k=slot: got.update({k: r}))
                session.ask(f"value {slot} {name}", lambda r, got=got, k="v" + slot: got.update({k: r}))

            def take(r, name=name, got=got, a=a, b=b, right=right, moved=moved):
                if r[0] != "ok" or r[6] == "identical" or name == "roc_auc" and a.plain:
                    return
                values = [float(got[k][1]) for k in ("vA", "vB")]
                still = abs(values[1] - values[0]) <= 1e-14 and a.se(np.array(got["A"][1:], float) - np.array(got["B"][1:], float)) <= 1e-14
                if (still or any(map(at_end, values))) and r[6] != "mcnemar-midp":
                    low, high = float(r[3]), float(r[4])
                    tap.count("neither a value of 0 or 1 nor a variance of 0 is certainty",
                              low <= values[1] - values[0] <= high and (low < high or name not in SETS and same_order(a.s, b.s)), f"{name} {r}")
                    return
                context, floor = f"{name} {r}", 0
                delta = float(got["vB"][1]) - float(got["vA"][1])
                psi = [left_out(x.s, name)[0] if is_jackknifed(name, x) else np.array(got[k][1:], float) for k, x in zip("AB", (a, b))]
                if name in SETS:
                    changed = right[0] != right[1] if name == "accuracy" else moved
                    if "_samples" in name or name == "hamming_loss":
                        changed = np.abs(psi[0] + float(got["vA"][1]) - psi[1] - float(got["vB"][1])) > 1e-12
                    tap.count("changed rows (multilabel)", int(r[8]) == changed.sum(), context)
                    units = changed.sum() if a.g is None else len(set(a.g[changed]))
                    n = min(a.worth(within(a.s, name)), b.worth(within(b.s, name)))
                    floor = z / (n + z * z) if units < z * z else 0
                se, skew, macros = a.se(psi[1] - psi[0]), None, [Macro(x, name) for x in (a, b)] if is_macro(name) else []
                if macros:
                    psi = [m.psi() for m in macros]
                    se, skew = of_difference(*macros, sums(a, psi[1] - psi[0]))
                se, q = max(se, floor), student(0.975, degrees(a, name, psi[1] - psi[0]))
                limits, _ = hall(delta, se, sums(a, psi[1] - psi[0]), q, lambda t: stats.t.sf(t, a.units - 1), skew)
                if name != "coverage_error":
                    limits = [max(limits[0], -1), min(limits[1], 1)]
                ses = [x.se(p) for x, p in zip((a, b), psi)]
                centres = without_bias(values, name, (a, b))
                of_area = [sums(a, p) if name.startswith("roc_auc") else None for p in psi]
                arms = [arm(x, "", v, w, u) for x, v, w, u in zip((a, b), centres, ses, of_area)]
                if macros:
                    ses = [m.moments(sums(a, p))[0] for m, p in zip(macros, psi)]
                    arms = [m.limits(sums(a, p)) for m, p in zip(macros, psi)]
                if name in ("roc_auc", "average_precision", "average_precision_micro") and None in arms:
                    return  # at 0 or 1: Newcombe's and Wilson's, of the smallest class
                if name not in ("accuracy", "coverage_error") and None not in arms and (se > 1e-14 or abs(delta) > 1e-14):
                    own = mover(centres, arms, ses, se)(q)
                    limits = farther(own, limits if name in SETS else [delta, delta])
                    if name == "average_precision":
                        limits = farther(limits, hall(centres[1] - centres[0], se, sums(a, psi[1] - psi[0]), q, lambda t: t)[0])
                        limits = [max(limits[0], -1), min(limits[1], 1)]
                if name == "accuracy" and a.plain:
                    limits = tango(a.n, int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()), z)
                    tap.count("subset accuracy is tested as a proportion", r[6] == "mcnemar-midp", context)
                tap.close(f"difference of {name} (multilabel)", [float(x) for x in r[1:5]], [delta, se, *limits],
                          1e-9, 1e-12, context)
            session.ask(f"delta {name} 0.05 0 0 0 0", take)


def against_bootstrap(tap, session, rng):
    s = label_case(rng, 400, 4, "none", skill=0.8)
    s = s.but(labels=s.labels | (rng.random(s.labels.shape) < 0.15))
    errors_of_bootstrap(tap, session, rng, (s, other_model(rng, s, 0.6)), ALL, 300)


if __name__ == "__main__":
    run_parts(811, values, invariances, single_class, influences, estimates, delong, deltas, against_bootstrap)
