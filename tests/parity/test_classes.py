# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of predicted classes: standard errors against a bootstrap, weights of very different size against exact
fractions, and what values don't depend on."""
import math
import warnings
from fractions import Fraction

import numpy as np

from stats_cases import BINARY, binary_case, errors_of_bootstrap, multi_case, run_parts
from stats_expected import OF_POSITIVE, SHARED, other_model
from test_metrics import CLASSES, OF_BINARY

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
PEERS = {**CLASSES, **{name: peer for name, peer in OF_BINARY.items() if name in OF_POSITIVE + ["fbeta@0.5"]}}


def against_bootstrap(tap, session, rng):
    """Of classes that aren't small: the row more of means over classes is next to nothing then, and a bootstrap knows of none."""
    even = next(s for s in (multi_case(rng, 400, 4, skill=1.0) for _ in range(200)) if np.bincount(s.label).min() > 70)
    for s in (binary_case(rng, 400, skill=0.7), even):
        names = [name for name in PEERS if s.task == BINARY or name in CLASSES]
        errors_of_bootstrap(tap, session, rng, (s, other_model(rng, s, 0.6)), names, 250)


def exact(s):
    """In fractions: of two classes, and kappa of any number."""
    w, k = [Fraction(x) for x in s.weight.tolist()], s.classes
    total = sum(w)
    cell = [[sum((x for x, y, p in zip(w, s.label, s.pred) if y == i and p == j), Fraction(0)) for j in range(k)]
            for i in range(k)]
    truth, pred = [sum(row) for row in cell], [sum(cell[i][j] for i in range(k)) for j in range(k)]
    right = sum(cell[i][i] for i in range(k)) / total
    out = {"accuracy": right, "hamming_loss": 1 - right, "jaccard_micro": right / (2 - right)}
    for name, power in (("cohen_kappa", 0), ("cohen_kappa_linear", 1), ("cohen_kappa_quadratic", 2)):
        far = [[abs(i - j)**power if i != j else 0 for j in range(k)] for i in range(k)]
        chance = sum(far[i][j] * truth[i] * pred[j] for i in range(k) for j in range(k)) / total
        if chance:
            out[name] = 1 - sum(far[i][j] * cell[i][j] for i in range(k) for j in range(k)) / chance
    if s.task == BINARY and truth[s.positive] and truth[1 - s.positive]:
        t, p, hit = truth[s.positive], pred[s.positive], cell[s.positive][s.positive]
        out |= {"jaccard": hit / (t + p - hit), "fbeta@2": 5 * hit / (4 * t + p), "recall": hit / t,
                "specificity": cell[1 - s.positive][1 - s.positive] / truth[1 - s.positive]}
    return {name: float(x) for name, x in out.items()}


def extreme_weights(tap, session, rng):
    """From 1e-150 to 1e150 in one sample; and all near one end of a double."""
    for case in range(150):
        n = int(rng.choice([3, 10, 60]))
        s = binary_case(rng, n) if case % 2 else multi_case(rng, n, 4)
        s.weight = 10.0 ** (rng.uniform(-150, 150, n) if case % 3 else rng.uniform(-3, 3, n) + rng.choice([-300, 300]))
        session.sample(s)
        for name, want in exact(s).items():
            # a difference from 1 of 1e-100 isn't to be had of a number near 1
            session.ask(f"value A {name}", lambda a, name=name, want=want, n=n: tap.close(
                f"{name} of weights of very different size is exact", [float(x) for x in a[1:2] if a[0] == "ok"], [want], 1e-9, 1e-13, f"n {n} {a}"))


def invariances(tap, session, rng):
    """The order of the rows, that of the classes (but for weighted kappa), and rows that are doubled."""
    for case in range(60):
        n = int(rng.choice([6, 50]))
        s = binary_case(rng, n, "real") if case % 2 else multi_case(rng, n, 5, "real")
        rows, order = np.tile(rng.permutation(n), int(rng.integers(1, 3))), rng.permutation(s.classes)
        t = s.but(n=len(rows), label=order[s.label[rows]], pred=order[s.pred[rows]], score=None, weight=s.weight[rows],
                  positive=int(order[s.positive]) if s.task == BINARY else -1)
        mirror = s.but(label=s.classes - 1 - s.label, pred=s.classes - 1 - s.pred, score=None,
                       positive=1 - s.positive if s.task == BINARY else -1)
        for other, names in ((t, [x for x in SHARED if x not in ("cohen_kappa_linear", "cohen_kappa_quadratic")]),
                             (mirror, ["cohen_kappa_linear", "cohen_kappa_quadratic"])):
            session.sample(s, "A")
            session.sample(other, "B")
            for name in names + (OF_POSITIVE if s.task == BINARY else []):
                got = {}
                session.ask(f"value A {name}", lambda a, got=got: got.update(a=a))
                session.ask(f"value B {name}", lambda b, got=got, name=name: tap.count(
                    "order of rows and classes, and doubled rows", b[0] == got["a"][0] and (
                        b[0] != "ok" or math.isclose(float(b[1]), float(got["a"][1]), rel_tol=1e-12, abs_tol=1e-14)),
                    f"{name}: {b}, {got['a']}"))


def recalls(tap, session, rng):
    """From counts of all rows as from the rows of the label alone, to the last bit."""
    for i in range(60):
        n, share = int(rng.choice([3, 30, 400])), (0, 0.02, 0.5)[i % 3]
        s = binary_case(rng, n, skill=0.7) if i % 2 else multi_case(rng, n, 4, skill=1.0)
        t = other_model(rng, s, share)
        if i % 5 == 0:  # the answers are the same, the scores aren't
            t = s.but(score=s.score * 0.999)
        answers, alpha = {}, rng.uniform(0.01, 0.3)
        session.sample(s, "A")
        session.sample(t, "B")
        for k in range(s.classes):
            session.ask(f"recall {k} {alpha!r}", lambda a, k=k, answers=answers: answers.update({k: a}))
        for k in range(s.classes):
            rows = np.flatnonzero(s.label == k)
            session.sample(s.but(rows=rows), "A")
            session.sample(t.but(rows=rows), "B")
            if len(rows) > 0:  # an empty list of rows is all of them
                session.ask(f"delta accuracy {alpha!r} 0 0 0 0", lambda a, k=k, answers=answers: tap.count(
                    "a label's recall differs as its rows' accuracy does", a == answers[k], f"{a}, {answers[k]}"))
    s = binary_case(rng, 50)
    session.sample(s.but(weight=rng.uniform(1, 2, 50)), "A")
    session.sample(s.but(weight=rng.uniform(1, 2, 50)), "B")
    session.ask("recall 0 0.05", lambda a: tap.count("weighted rows aren't counted", a == ["uncounted"], str(a)))


if __name__ == "__main__":
    run_parts(60, against_bootstrap, extreme_weights, invariances, recalls)
