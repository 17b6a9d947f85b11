# SPDX-License-Identifier: GPL-3.0-or-later
"""Values and standard errors from 220 digits: influences are quotients of central differences, whose error of 1e-140 is nothing
even beside a row that has nearly all the weight. Metrics are functions of the rows' weights."""
from decimal import Decimal, localcontext

from stats_cases import BINARY, REGRESSION

DIGITS = 220
STEP = Decimal(10) ** -70


def over(a, b):
    """0/0 is 0."""
    return a / b if b else Decimal(0)


def counts(s, w):
    """Weights of each class's labels, predictions and hits."""
    out = [[Decimal(0)] * s.classes for _ in range(3)]
    for y, p, v in zip(s.label, s.pred, w):
        out[0][y] += v
        out[1][p] += v
        out[2][y] += v * int(y == p)
    return out


def ratio(kind, t, p, h, beta=1):
    below = {"precision": p, "recall": t, "jaccard": t + p - h, "f": beta**2 * t + p}[kind]
    return over((1 + beta**2 if kind == "f" else 1) * h, below)


def weighted(kind):
    def value(s, w):
        t, p, h = counts(s, w)
        return sum(a * ratio(kind, a, b, c) for a, b, c in zip(t, p, h)) / sum(t)
    return value


def of_class(kind, beta=1, negative=False):
    def value(s, w):
        k = 1 - s.positive if negative else s.positive
        return ratio(kind, *(c[k] for c in counts(s, w)), beta)
    return value


def accuracy(s, w):
    return sum(counts(s, w)[2]) / sum(w)


def mcc(s, w):
    t, p, h = counts(s, w)
    total = sum(w)
    spread = [total**2 - sum(a * a for a in x) for x in (t, p)]
    return over(total * sum(h) - sum(a * b for a, b in zip(t, p)), (spread[0] * spread[1]).sqrt())


def kappa(power):
    def value(s, w):
        t, p, _ = counts(s, w)
        far = lambda i, j: Decimal(abs(int(i) - int(j)) ** power if power else int(i != j))  # noqa: E731
        chance = sum(far(i, j) * a * b for i, a in enumerate(t) for j, b in enumerate(p)) / sum(w)
        return 1 - over(sum(v * far(y, q) for y, q, v in zip(s.label, s.pred, w)), chance)
    return value


def mean(loss):
    return lambda s, w: sum(v * x for v, x in zip(w, loss(s))) / sum(w)


def exactly(x):
    return [Decimal(float(v)) for v in x]


def r2(centred):
    def value(s, w):
        y, p = exactly(s.truth), exactly(s.estimate)
        e = [a - b for a, b in zip(y, p)]
        middle = [sum(v * x for v, x in zip(w, z)) / sum(w) for z in (y, e)]
        lost = sum(v * (x - middle[1] * centred) ** 2 for v, x in zip(w, e))
        return 1 - lost / sum(v * (x - middle[0]) ** 2 for v, x in zip(w, y))
    return value


def deviance(y, p, power):
    if power == 1:
        return 2 * (y * (y / p).ln() - y + p)
    return 2 * ((p / y).ln() + y / p - 1)


def d2(power):
    def value(s, w):
        y, p = exactly(s.truth), exactly(s.estimate)
        best = sum(v * x for v, x in zip(w, y)) / sum(w)
        return 1 - sum(v * deviance(a, b, power) for v, a, b in zip(w, y, p)) / sum(v * deviance(a, best, power) for v, a in zip(w, y))
    return value


SHARED = {"accuracy": accuracy, "hamming_loss": lambda s, w: 1 - accuracy(s, w), "mcc": mcc, "cohen_kappa": kappa(0),
          "cohen_kappa_linear": kappa(1), "cohen_kappa_quadratic": kappa(2), "f1_weighted": weighted("f"),
          **{f"{k}_weighted": weighted(k) for k in ("precision", "recall", "jaccard")}}
METRICS = {
    BINARY: {**SHARED, **{k: of_class(k) for k in ("precision", "recall", "jaccard")}, "f1": of_class("f"), "fbeta@2": of_class("f", 2),
             "specificity": of_class("recall", negative=True),
             "brier": mean(lambda s: [(x - int(y == s.positive)) ** 2 for x, y in zip(exactly(s.score), s.label)])},
    2: SHARED,
    REGRESSION: {"mae": mean(lambda s: [abs(a - b) for a, b in zip(exactly(s.truth), exactly(s.estimate))]),
                 "r2": r2(0), "explained_variance": r2(1), "d2_tweedie@1": d2(1), "d2_tweedie@2": d2(2)},
}


def value_and_error(function, s):
    with localcontext() as context:
        context.prec = DIGITS
        w = exactly(s.weight)
        squares = Decimal(0)
        for i, v in enumerate(w):
            up, down = (function(s, w[:i] + [v * (1 + step)] + w[i + 1:]) for step in (STEP, -STEP))
            squares += ((up - down) / (2 * STEP)) ** 2  # of weight times influence over the sum of weights
        return float(function(s, w)), float((squares * s.n / (s.n - 1)).sqrt())
