# SPDX-License-Identifier: GPL-3.0-or-later
"""Means over classes re-implemented from the rows: what makes their standard errors, and the row more that they are thought to have
(lib/stats/measure_impl.h, macro.c)."""
import math

import numpy as np

from stats_cases import MULTILABEL

KINDS = ("precision", "recall", "f1", "jaccard", "specificity", "fbeta")


def is_macro(name):
    return name == "balanced_accuracy" or name.split("@")[0] in [f"{k}_macro" for k in KINDS]


class Class:
    """One class: its value, its units, and what one unit of each kind would add to the value."""

    def __init__(self, rows, kind, beta, k, y, p):
        self.k = k
        w, g = rows.weights, np.arange(rows.n) if rows.g is None else rows.g
        if kind == "specificity" and rows.g is not None:  # a group's rows of several classes count one by one
            g = np.unique(np.stack([g, rows.s.label]), axis=1, return_inverse=True)[1].ravel()
        self.within = {"precision": p, "recall": y, "specificity": ~y}.get(kind, y | p)
        right = self.within & ((y & p) if kind != "specificity" else ~p)
        # what a row adds to the numerator and to the denominator
        self.gain = right * (1 + beta**2 if kind in ("f1", "fbeta") else 1.0)
        self.size = self.within * 1.0 if kind not in ("f1", "fbeta") else beta**2 * y + 1.0 * p
        sizes = {"right": 1 + beta**2, "miss": beta**2, "alarm": 1} if kind in ("f1", "fbeta") else dict.fromkeys(("right", "miss", "alarm"), 1)
        if kind in ("precision", "specificity"):
            del sizes["miss"]
        if kind == "recall":
            del sizes["alarm"]
        self.right, self.y, self.p = right, y, p
        self.never = kind == "precision" and not p.any() and y.any()
        self.n = self.left = 0
        self.value, self.adds, self.sizes = 0.0, {"right": 1.0 * self.never}, sizes
        if not self.within.any():
            return
        self.total = (w * self.size).sum()
        self.value = (w * self.gain).sum() / self.total
        units = np.bincount(g, w * self.within)
        units = units[units > 0] / units.sum()
        self.n = 1 / (units**2).sum()
        self.left = 1 - 2 * (units**3).sum() * self.n + 1 / self.n
        self.unit = (w * self.within).sum() / self.n
        most = self.gain.max() if right.any() else 1 + beta**2 if kind in ("f1", "fbeta") else 1.0
        self.adds = {k: ((most if k == "right" else 0) - self.value * size) * self.unit / self.total for k, size in sizes.items()}
        self.hits = (w * right).sum() / (w * self.within).sum()

    def single(self):
        return self.never or self.n > 0 and self.left < 1e-6

    def left_out(self, size):
        """What a unit of this size moves the value by when it is left out, over what its influence says."""
        most = max(self.total / self.unit, size + (self.n - 1) * min(self.sizes.values() if len(self.sizes) == 3 else [1]))
        return (1 - 1 / self.n) / (1 - size / most) / math.sqrt(self.left)

    def power(self, k, sets):
        """Of what a wrong row does: a miss here is an alarm in another class."""
        wrong = [v for kind, v in self.adds.items() if kind != "right"]
        if sets:
            return sum(v**k for v in wrong) / max(len(wrong), 1)
        return sum(wrong) ** k


class Macro:
    def __init__(self, rows, name):
        s = rows.s
        self.rows, self.sets = rows, s.task == MULTILABEL
        kind = "recall" if name == "balanced_accuracy" else name.split("_macro")[0]
        beta = float(name.split("@")[1]) if "@" in name else 1.0
        self.classes = []
        for k in range(s.classes):
            y, p = (s.labels[:, k] == 1, s.preds[:, k] == 1) if self.sets else (s.label == k, s.pred == k)
            if self.sets or y.any() or p.any() and name != "balanced_accuracy":
                self.classes.append(Class(rows, kind, beta, k, y, p))
        self.part, self.kind = 1 / len(self.classes), kind
        self.value = np.mean([c.value for c in self.classes])

    def psi(self):
        """Influences that make the standard error, by rows."""
        out, total = np.zeros(self.rows.n), self.rows.weights.sum()
        alone = [c for c in self.classes if c.single()]
        middle = np.mean([c.value for c in alone]) if len(alone) > 1 else self.value
        for c in self.classes:
            if c.single():
                if self.kind == "specificity":
                    continue
                mine = c.y if c.never else c.within
                scale = math.sqrt(len(alone) / (len(alone) - 1)) if len(alone) > 1 else 1
                out[mine] += (c.value - middle) * scale * self.part * total / self.rows.weights[mine].sum()
            elif c.n > 0:
                each = (c.gain - c.value * c.size) * self.part * total / c.total
                factor = np.zeros(self.rows.n)
                for size in set(c.size[c.within].tolist()):
                    factor[c.within & (c.size == size)] = c.left_out(size)
                out += each * factor
        return out

    def added(self):
        """Squares (of each class), cubes and curve of the row more, in units of the value."""
        reach = [self.part**2 / max(c.n, 1) if c.never or c.n > 0 else 0 for c in self.classes]
        squares, cubes, own = [], [], []
        for c, r in zip(self.classes, reach):
            share = r / sum(reach) if sum(reach) > 0 else 0
            right = c.adds["right"]
            squares.append(share * self.part**2 * (right**2 + c.power(2, self.sets)) / 2)
            cubes.append(share * self.part**3 * (right**3 + c.power(3, self.sets)) / 2)
            hits = c.hits if c.n > 0 else 0
            own.append(self.part**2 * max(c.n, 1) * (hits * right**2 + (1 - hits) * c.power(2, self.sets)))
        v = np.array(squares) + own
        n = np.array([max(c.n, 1) for c in self.classes])
        curve = (v**2 / n).sum() / v.sum() ** 2 if v.sum() > 0 else 0
        return np.array(squares), sum(cubes), curve

    def moments(self, sums):
        """Standard error, and skewness over the root of the number, of what each unit adds; and without the row more."""
        squares, cubes, _ = self.added()
        sums = sums / self.rows.weights.sum()
        own, second, units = (sums**2).sum(), (sums**2).sum() + squares.sum(), self.rows.units
        return math.sqrt(second * units / (units - 1)), ((sums**3).sum() + cubes) / second**1.5 if second > 0 else 0, math.sqrt(own * units / (units - 1))

    def limits(self, sums):
        """The interval as a function of the quantile: on the logit, or where that is farther where the difference d is q standard errors
        as they are there, se^2 + slope d - curve d^2."""
        se, skew, alone = self.moments(sums)
        curve, v = self.added()[2], self.value

        def at(q):
            roots = np.sort(np.roots([1 + q * q * curve, -q * q * skew * se, -q * q * se * se]))
            low, high = v + roots[0], v + roots[-1]
            if alone > 1e-9 * se and 1e-13 < v < 1 - 1e-13:
                m, h = math.log(v / (1 - v)), q * alone / v / (1 - v)
                low, high = min(low, float(1 / (1 + np.exp(h - m)))), max(high, float(1 / (1 + np.exp(-h - m))))
            return [max(low, 0), min(high, 1)]
        return at


def of_difference(a, b, sums):
    """Standard error and skewness of the difference of two models; the row more is theirs independently, but of a class that differs in
    neither one's where the other isn't."""
    both = [dict(zip([c.k for c in m.classes], zip(m.added()[0], m.classes))) for m in (a, b)]
    more = sum(x for of in both for x, _ in of.values())
    for k in set(both[0]) & set(both[1]):
        (x, c), (y, d) = both[0][k], both[1][k]
        if not any(e.n > 0 and 0 < e.hits < 1 for e in (c, d)):
            more += 2 * math.sqrt(x * y)
    sums, units = sums / a.rows.weights.sum(), a.rows.units
    second = (sums**2).sum() + more
    return math.sqrt(second * units / (units - 1)), ((sums**3).sum() + b.added()[1] - a.added()[1]) / second**1.5 if second > 0 else 0
