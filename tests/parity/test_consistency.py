#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold for every metric and method, whatever the rows: a value lies within its interval, an interval within the
metric's range, p is at most alpha just where the interval excludes 0, exchanging the models turns signs around and nothing else,
and few changed rows are no certainty."""
import numpy as np

from stats_cases import BINARY as BINARY_TASK, MULTICLASS as MULTI_TASK, MULTILABEL as LABELS_TASK, Sample, Session, Tap, binary_case, label_case, multi_case, number_case
from stats_coverage import binary, second
from test_ranking import RANKING, case as ranking_case

BINARY = ("accuracy balanced_accuracy precision recall f1 fbeta@2 jaccard specificity hamming_loss mcc cohen_kappa roc_auc gini ks "
          "average_precision precision_macro recall_macro f1_macro precision@30% recall@30% lift@30% log_loss brier hinge_loss ece "
          "mce").split()
MULTI = ("balanced_accuracy precision_macro recall_macro f1_macro precision_weighted f1_weighted jaccard_micro mcc cohen_kappa cohen_kappa_quadratic roc_auc roc_auc_ovo log_loss "
         "brier_multiclass ece hinge_loss").split()
NUMBER = ("mae rmse r2 explained_variance mape smape pinball@0.9 d2_absolute_error max_error").split()
LABELS = ("accuracy precision_micro precision_macro recall_macro f1_micro f1_macro f1_samples hamming_loss roc_auc average_precision "
          "roc_auc_micro lrap coverage_error label_ranking_loss").split()
RANKS = "ndcg ndcg@3 map mrr precision@3 recall@3".split()
UNBOUNDED = {"log_loss", "hinge_loss", "lift@30%", "brier_multiclass", "coverage_error", *NUMBER}
SIGNED = {"mcc", "cohen_kappa", "cohen_kappa_quadratic", "gini"}
WILD = ("none", "real", "zeros", "huge", "tiny", "wild")


def spread(rng, s, kind):
    """Weights from 1e-300 to 1e300."""
    if kind == "wild":
        s.weight = 10.0 ** rng.uniform(-300, 300, s.n)
    return s


def other(rng, s):
    """Another model: some rows say what different rows say."""
    move, rows = rng.random(s.n) < 0.5, rng.permutation(s.n)
    changes = {}
    for c in ("pred", "score", "estimate", "preds"):
        v = getattr(s, c)
        if v is not None:
            v = v.copy()
            v[move] = v[rows][move]
            changes[c] = v
    return s.but(**changes)


def case(rng, i):
    n, kind = int(rng.choice([2, 3, 6, 30, 90])), WILD[i % len(WILD)]
    weight = "none" if kind == "wild" else kind
    shape = str(rng.choice(["plain", "perfect", "wrong", "one class", "never"]))
    make = i // len(WILD) % 5
    if make == 0:
        s, metrics = binary_case(rng, n, weight, ties=i % 3 == 0, shape=shape), BINARY
    elif make == 1:
        s, metrics = multi_case(rng, n, int(rng.integers(3, 7)), weight, ties=i % 3 == 0, shape=shape), MULTI
    elif make == 2:
        s, metrics = number_case(rng, n, weight, str(rng.choice(["plain", "constant", "perfect", "ties", "huge", "tiny"]))), NUMBER
    elif make == 3:
        s, metrics = label_case(rng, n, 3, weight, shape=shape), LABELS
    else:
        return ranking_case(rng, n, 4, i % 3 == 0, i % 2 == 0), RANKS
    s = spread(rng, s, kind)
    if i % 5 == 0:
        s.group = rng.integers(0, max(1, n // 3), n)
    return s, metrics


def estimates(tap, session, metrics, context):
    for m in metrics:
        def take(a, m=m):
            if a[0] != "ok":
                tap.count("what has no interval says why", len(a) > 1, f"{context} {m}")
                return
            value, low, high = float(a[1]), float(a[3]), float(a[4])
            tap.count("values lie within their intervals", low <= value <= high, f"{context} {m}: {a}")
            least = -1 if m in SIGNED else -np.inf if m in ("r2", "explained_variance", "d2_absolute_error") else 0
            most = np.inf if m in UNBOUNDED else 1
            tap.count("intervals lie within the metric's range", least <= low and high <= most, f"{context} {m}: {a}")
        session.ask(f"estimate A {m} 0.95 0 0 200 0", take)


def differences(tap, session, metrics, context, s, t):
    there = {}
    for turn in (0, 1):
        if turn:
            session.sample(t, "A")
            session.sample(s, "B")
        for m in metrics:
            def take(a, m=m, turn=turn):
                if not turn:
                    there[m] = a
                elif a[0] != "ok" or there[m][0] != "ok":
                    tap.count("a difference is there both ways or neither", a[0] == there[m][0], f"{context} {m}: {there[m]} {a}")
                    return
                if a[0] != "ok":
                    return
                delta, low, high, p = (float(a[i]) for i in (1, 3, 4, 5))
                if a[6] != "mcnemar-midp":  # whose interval is Tango's
                    tap.count("p is at most alpha where the interval excludes 0", (low > 0 or high < 0) == (p <= 0.05), f"{context} {m}: {a}")
                tap.count("differences lie within their intervals", low <= delta <= high or a[6] == "bootstrap", f"{context} {m}: {a}")
                tap.count("where something changed an interval has width", low < high or a[8] == "0", f"{context} {m}: {a}")
                if turn and a[6] != "bootstrap":
                    b = there[m]
                    tap.close("the other way round signs turn and nothing else", [delta, low, high, p, float(a[8])],
                              [-float(b[1]), -float(b[4]), -float(b[3]), float(b[5]), float(b[8])], 1e-9, 1e-11, f"{context} {m}")
            session.ask(f"delta {m} 0.05 0 0 200 0", take)


def everything(tap, session, rng):
    for i in range(600):
        s, metrics = case(rng, i)
        t = other(rng, s)
        context = f"case {i}, {s.n} rows"
        session.sample(s, "A")
        estimates(tap, session, metrics, context)
        session.sample(t, "B")
        differences(tap, session, metrics, context, s, t)
        session.sample(s, "A")
        session.sample(s, "B")
        for m in metrics:
            session.ask(f"delta {m} 0.05 0 0 0 0", lambda a, m=m, c=context: tap.count(
                "models that say the same differ by 0, with p 1", a[0] != "ok" or [float(x) for x in a[1:6]] == [0, 0, 0, 0, 1], f"{c} {m}: {a}"))


def no_certainty(tap, session, rng):
    """Two models say something else, and neither makes a mistake: how much they differ by isn't certain. One order is."""
    def ask(s, t, metrics, width):
        session.sample(s, "A")
        session.sample(t, "B")
        for m in metrics:
            session.ask(f"delta {m} 0.05 0 0 200 0", lambda a, m=m: tap.count(
                "no certainty without a mistake" if width else "one order is one value",
                (a[0] == "open" or float(a[3]) < float(a[4]) and float(a[5]) == 1) if width else [float(x) for x in a[1:6]] == [0, 0, 0, 0, 1],
                f"{m}: {a}"))
    y = np.arange(40) % 2
    for s, two, metrics in (
            (Sample(BINARY_TASK, 40, 2, 1, y, y), True, ["roc_auc", "gini", "ks", "average_precision"]),
            (Sample(MULTI_TASK, 45, 3, -1, np.arange(45) % 3, np.arange(45) % 3), False,
             ["roc_auc", "roc_auc_ovr_weighted", "roc_auc_ovo", "average_precision_macro"]),
            (Sample(LABELS_TASK, 40, 3, -1, labels=rng.integers(0, 2, (40, 3))), False,
             ["roc_auc", "average_precision", "roc_auc_micro", "average_precision_micro", "lrap", "label_ranking_loss", "coverage_error"])):
        truth = s.labels if s.task == LABELS_TASK else y if two else np.eye(3)[s.label]
        s.preds = s.labels
        s.score = 0.1 + 0.3 * rng.random(truth.shape) + 0.5 * truth
        other = 0.1 + 0.3 * rng.random(truth.shape) + 0.5 * truth
        ask(s, s.but(score=other), metrics, True)
        ask(s, s.but(score=s.score**2), metrics, False)
        if two:
            ask(s.but(score=20 * s.score - 10), s.but(score=20 * other - 10), ["hinge_loss"], True)
    relevant = rng.integers(0, 2, 120)
    s = Sample(RANKING, 120, truth=relevant.astype(float), estimate=relevant + 0.9 * rng.random(120), group=np.repeat(np.arange(40), 3))
    ask(s, s.but(estimate=relevant + 0.9 * rng.random(120)), RANKS, True)
    ask(s, s.but(estimate=s.estimate**3), RANKS, False)


def few_rows(tap, session, rng):
    """All rows of a denominator say the same, and are few; or there are none."""
    y = (np.arange(300) < 20).astype(int)

    def said(rows):
        p = np.zeros(300, int)
        p[rows] = 1
        return p
    hits, misses, other = [0, 1, 2], [100, 101, 102], [200, 201, 202, 203, 204, 205]
    for now, then, name, want in (
            (misses, hits, "precision", "wide"), (misses, hits, "f1", "wide"), (misses, hits, "precision_macro", "wide"),
            (hits, hits + [3, 4, 5, 6, 7, 8], "precision", "wide"), ([], hits + [3, 4, 5], "precision", "none"),
            ([], other, "precision", "none"), ([], other, "f1", "wide"), ([], range(20), "recall", "wide"), ([], range(300), "f1", "wide")):
        s = Sample(BINARY_TASK, 300, 2, 1, y, said(now))
        session.sample(s, "A")
        session.sample(s.but(pred=said(then)), "B")
        session.ask(f"delta {name} 0.05 0 0 0 0", lambda a, name=name, want=want: tap.count(
            "few rows that all say the same are no certainty",
            a[0] == "open" and "denominator" in a if want == "none" else a[0] == "ok" and float(a[4]) - float(a[3]) > 0.02, f"{name}: {a}"))


def no_mistake(tap, session, rng):
    """Whatever the weights, who makes no mistake agrees fully."""
    for _ in range(60):
        s = spread(rng, multi_case(rng, int(rng.choice([5, 40])), 4, shape="perfect"), "wild")
        s.pred = s.label
        if len(set(s.label)) < 2:
            continue
        session.sample(s)
        for m in ("mcc", "cohen_kappa", "f1_macro"):
            session.ask(f"value A {m}", lambda a, m=m: tap.close(
                "agreement without a mistake is 1", [float(a[1])] if a[0] == "ok" else [], [1.0] if a[0] == "ok" else [], 1e-9, 0, m))


def top_rows(tap, session, rng):
    """Of the best rows nearly all are positive. That two models differ in which ones says little about how many are."""
    s = binary(rng)
    t = second(rng, s, 0.6, -0.2)
    truth, held, passed = {}, [], []
    session.sample(s, "A")
    session.sample(t, "B")
    for slot in "AB":
        session.ask(f"value {slot} precision@10%", lambda a, k=slot: truth.update({k: float(a[1])}))
    for _ in range(600):
        rows = rng.integers(0, s.n, 300)
        for slot in "AB":
            session.commands.append(f"draw {slot} 300 " + " ".join(map(str, rows)))

        def take(a):
            harm = truth["B"] - truth["A"]
            held.append(a[0] == "ok" and float(a[3]) <= harm <= float(a[4]))
            passed.append(a[0] == "ok" and float(a[3]) > harm)
        session.ask("delta precision@10% 0.05 0 0 0 0", take)
    session.run()
    tap.count("the interval of precision@10% of 300 rows holds the difference", np.mean(held) > 0.92, f"in {np.mean(held):.3f} of the draws")
    tap.count("a harm doesn't pass as none because the best rows are all positive", np.mean(passed) < 0.045, f"in {np.mean(passed):.3f} of the draws")


def main():
    tap, session, rng = Tap(), Session(), np.random.default_rng(4)
    everything(tap, session, rng)
    no_mistake(tap, session, rng)
    no_certainty(tap, session, rng)
    few_rows(tap, session, rng)
    session.run()
    top_rows(tap, Session(), rng)
    tap.finish()


if __name__ == "__main__":
    main()
