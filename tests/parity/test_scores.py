# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of scores and probabilities that are measured when asked for: against scikit-learn and scipy, or the
definition written down another way where neither has it."""
import itertools
import math
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from stats_cases import BINARY, WEIGHTS, binary_case, multi_case, run_parts, take_slice
from stats_expected import other_model
from test_influence import check as check_influence
from test_metrics import NONE, auc_binary, auc_ovr, check

warnings.filterwarnings("ignore")
np.seterr(all="ignore")


def ones(s, w):
    return np.ones(s.n) if w is None else w


def present(s):
    return [k for k in range(s.classes) if (s.label == k).any()]


def average_present(score, weighted):
    """Mean over the classes that rows are labelled with, of each against the rest."""
    def peer(s, w):
        classes, u = present(s), ones(s, w)
        if len(classes) < 2:
            return NONE
        values = [score(s.label == k, s.score[:, k], sample_weight=w) for k in classes]
        shares = [u[s.label == k].sum() for k in classes] if weighted else None
        mine = np.average(values, weights=shares)
        if len(classes) == s.classes and s.classes > 2 and score is sk.roc_auc_score:
            whole = sk.roc_auc_score(s.label, s.score, multi_class="ovr", average="weighted" if weighted else "macro",
                                     sample_weight=w, labels=np.arange(s.classes))
            assert math.isclose(mine, whole, rel_tol=1e-9), (mine, whole)
        return mine
    return peer


def ovo(weighted):
    """Hand & Till by scikit-learn, which knows no weights here; with weights pair by pair."""
    def peer(s, w):
        classes, u, areas, shares = present(s), ones(s, w), [], []
        if len(classes) < 2:
            return NONE
        for a, b in itertools.combinations(classes, 2):
            both = (s.label == a) | (s.label == b)
            y, v = s.label[both], None if w is None else w[both]
            areas.append((sk.roc_auc_score(y == a, s.score[both, a], sample_weight=v) +
                          sk.roc_auc_score(y == b, s.score[both, b], sample_weight=v)) / 2)
            shares.append(u[both].sum())
        mine = np.average(areas, weights=shares if weighted else None)
        if w is None and len(classes) == s.classes and s.classes > 2:
            whole = sk.roc_auc_score(s.label, s.score, multi_class="ovo", average="weighted" if weighted else "macro",
                                     labels=np.arange(s.classes))
            assert math.isclose(mine, whole, rel_tol=1e-9), (mine, whole)
        return mine
    return peer


def ks(s, w):
    y = s.label == s.positive
    if y.all() or not y.any():
        return NONE
    fpr, tpr, _ = sk.roc_curve(y, s.score, sample_weight=w, drop_intermediate=False)
    mine = (tpr - fpr).max()
    if w is None:
        theirs = stats.ks_2samp(s.score[y], s.score[~y], alternative="less", mode="asymp").statistic
        assert math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-12), (mine, theirs)
    return mine


def capacity(s, w, at):
    """The weight that the top K are: of K rows K/n of all, so that weights stay free of scale."""
    share = float(at[:-1]) / 100 if at.endswith("%") else int(at) / s.n
    return share * ones(s, w).sum(), share


def top_hits(s, w, at):
    """Weight of the positives in the top K, in the mean over all orders of equal scores."""
    y, u = s.label == s.positive, ones(s, w)
    left, hits = capacity(s, w, at)[0], 0.0
    for score in np.unique(s.score)[::-1]:
        tied = s.score == score
        part = min(1.0, left / u[tied].sum())
        hits += part * u[tied & y].sum()
        left -= part * u[tied].sum()
    return hits


def top(kind, at):
    def peer(s, w):
        y, u = s.label == s.positive, ones(s, w)
        room, share = capacity(s, w, at)
        if not y.any() or share > 1:
            return NONE
        hits = top_hits(s, w, at)
        return {"precision": hits / room, "recall": hits / u[y].sum(), "lift": hits / room / (u[y].sum() / u.sum())}[kind]
    return peer


def hinge(s, w):
    if s.task == BINARY:
        y = s.label == s.positive
        return sk.hinge_loss(y, s.score, sample_weight=w) if 0 < y.sum() < s.n else np.average(
            np.maximum(1 - np.where(y, 1, -1) * s.score, 0), weights=w)
    return sk.hinge_loss(s.label, s.score, labels=np.arange(s.classes), sample_weight=w)


def brier(s, w):
    return np.average(((s.score - np.eye(s.classes)[s.label]) ** 2).sum(1), weights=w)


TOPS = {f"{kind}@{at}": top(kind, at) for kind in ("precision", "recall", "lift") for at in ("1", "4", "10%", "37.5%")}
OF_BINARY = {
    "gini": lambda s, w: NONE if auc_binary(s, w) is NONE else 2 * auc_binary(s, w) - 1,
    "ks": ks, "hinge_loss": hinge, **TOPS,
}
OF_MANY = {
    "roc_auc_ovr": auc_ovr, "roc_auc_ovr_weighted": average_present(sk.roc_auc_score, True),
    "roc_auc_ovo": ovo(False), "roc_auc_ovo_weighted": ovo(True),
    "average_precision_macro": average_present(sk.average_precision_score, False),
    "average_precision_weighted": average_present(sk.average_precision_score, True),
    "hinge_loss": hinge, "brier_multiclass": brier,
}


def values(tap, session, rng):
    shapes = ("plain", "plain", "plain", "plain", "perfect", "wrong", "one class")
    for case in range(360):
        n = int(rng.choice([1, 2, 3, 5, 8, 13, 30, 77, 300]))
        weight, shape, ties = rng.choice(WEIGHTS), rng.choice(shapes), rng.random() < 0.4
        if case % 2:
            s, peers = binary_case(rng, n, weight, rng.uniform(-0.5, 2), ties, shape), OF_BINARY
        else:
            s, peers = multi_case(rng, n, int(rng.integers(3, 9)), weight, 1.5, ties, shape), OF_MANY
        take_slice(rng, s)
        session.sample(s)
        for name, peer in peers.items():
            kind = "binary" if s.task == BINARY else "multiclass"
            check(tap, session, f"{name} ({kind}) is as defined", s, name, peer)


def orders_of_ties(tap, session, rng):
    """The top K over each order of equal scores, one by one."""
    for _ in range(60):
        s = binary_case(rng, int(rng.integers(3, 7)), ties=True)
        y = s.label == s.positive
        if not y.any():
            continue
        session.sample(s)
        for k in (1, 2, 3):
            orders = [p for p in itertools.permutations(range(s.n))
                      if all(s.score[a] >= s.score[b] for a, b in zip(p, p[1:]))]
            want = np.mean([y[list(p[:k])].mean() for p in orders])
            check(tap, session, "precision@K is the mean over the orders of equal scores", s, f"precision@{k}",
                  lambda *_, v=want: v)


def extremes(tap, session, rng):
    for _ in range(60):
        s = binary_case(rng, int(rng.choice([5, 40])), rng.choice(WEIGHTS), ties=rng.random() < 0.5)
        s.score = (2 * s.score - 1) * rng.choice([1.5e308, 1e-310])
        session.sample(s)
        for name in ("gini", "ks", "precision@4", "recall@10%", "lift@4"):
            check(tap, session, f"{name} of scores near the ends of a double", s, name, OF_BINARY[name])
    for _ in range(60):
        s = multi_case(rng, 20, 4, rng.choice(WEIGHTS))
        s.score = (2 * s.score - 1) * 1.5e308
        small = s.but(score=s.score / 2.0 ** 1000)  # 1 vanishes beside such scores
        u = small.taken()
        margin = [row[k] - np.delete(row, k).max() for row, k in zip(u.score, u.label)]
        w = None if u.weight is None else u.weight / u.weight.max()
        want = np.average(np.maximum(-np.array(margin), 0), weights=w)
        session.sample(s)
        huge = want > 1.79e308 / 2.0 ** 1000
        check(tap, session, "hinge_loss near the ends of a double", s, "hinge_loss",
              lambda *_, v=NONE if huge else want * 2.0 ** 1000: v)


def influences(tap, session, rng):
    for case in range(14):
        n, ties = int(rng.integers(8, 13)), bool(case % 2)
        weight = ("real", "whole", "alike")[case % 3]
        s = binary_case(rng, n, weight, rng.uniform(-0.5, 1.5), ties)
        for name in ("gini", "ks", "hinge_loss"):
            check_influence(tap, session, s, name, OF_BINARY[name])
        # the cut is in a tie group that is looked at whole
        s.score = rng.choice([0.25, 0.75], n)
        s.score[:2] = 0.25, 0.75
        for name, peer in TOPS.items():
            tied = min((s.score == v).sum() for v in (0.25, 0.75))
            if name.endswith("37.5%") and tied >= 2 * math.isqrt(n) + 1:
                check_influence(tap, session, s, name, peer)
        s.score[:] = 0.5
        for name, peer in TOPS.items():
            check_influence(tap, session, s, name, peer)
        s = multi_case(rng, n, int(rng.integers(3, 5)), weight, ties=ties)
        if len(present(s)) == s.classes:
            for name, peer in OF_MANY.items():
                check_influence(tap, session, s, name, peer)


def differences(tap, session, rng):
    """Lift is recall in other units, and so is its difference, with the same p."""
    for case in range(40):
        s = binary_case(rng, int(rng.integers(40, 200)), ("none", "real")[case % 2], 1.0, ties=case % 3 == 0)
        for slot, of in (("A", s), ("B", other_model(rng, s, 0.6))):
            session.sample(of, slot)
        seen = {}

        def take(a, of, scale, seen=seen):
            if a[0] != "ok":
                return
            seen[of] = [float(x) / scale for x in a[1:5]] + [float(a[5])]
            if len(seen) == 2:
                tap.close("a difference of lift is that of recall over the share", seen["lift"], seen["recall"], 1e-9, 1e-12)
        session.ask("delta recall@25% 0.05 0 0 0 0", lambda a, t=take: t(a, "recall", 1))
        session.ask("delta lift@25% 0.05 0 0 0 0", lambda a, t=take: t(a, "lift", 4))


def intervals(tap, session, rng):
    """Metrics that are another one in other units have its interval in those units."""
    for case in range(60):
        s = binary_case(rng, int(rng.integers(5, 90)), ("none", "real")[case % 2], 1.0, ties=case % 3 == 0,
                        shape="perfect" if case % 7 == 0 else "plain")
        session.sample(s)
        seen = {}
        for name, base, a, b in (("gini", "roc_auc", -1, 2), ("lift@25%", "recall@25%", 0, 4)):
            session.ask(f"estimate A {base} 0.95 0 0 0 0", lambda r, base=base: seen.update({base: r}))

            def compare(r, base=base, a=a, b=b, name=name):
                other = seen[base]
                same = r[0] == other[0]
                if r[0] == "ok":
                    got, at = [float(x) for x in r[1:5]], [float(x) for x in other[1:5]]
                    want = [a + b * at[0], -1 if at[1] == -1 else b * at[1], a + b * at[2], a + b * at[3]]
                    same = same and np.allclose(got, want, rtol=1e-9, atol=1e-12)
                tap.count(f"the interval of {name} is that of {base}", same, f"{r} {other}")

            session.ask(f"estimate A {name} 0.95 0 0 0 0", compare)


if __name__ == "__main__":
    run_parts(1, values, orders_of_ties, extremes, influences, differences, intervals)
