# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds chosen on the rows, and chosen anew in every replicate: against scikit-learn at every threshold."""
import math
import warnings

import numpy as np
from sklearn import metrics as sk

from stats_cases import binary_case, run_parts
from test_bootstrap import draw

warnings.filterwarnings("ignore")


def best(s, w, how):
    """The highest of the best thresholds, by scikit-learn's curves; where w is 0 there is no row."""
    rows = slice(None) if w is None else w > 0
    y, scores, v = (s.label == s.positive)[rows], s.score[rows], None if w is None else w[rows]
    if how == "best-f1":
        precision, recall, thresholds = sk.precision_recall_curve(y, scores, sample_weight=v)
        sums = precision[:-1] + recall[:-1]
        values, thresholds = np.where(sums > 0, 2 * precision[:-1] * recall[:-1] / sums, 0)[::-1], thresholds[::-1]
    else:
        fpr, tpr, thresholds = sk.roc_curve(y, scores, sample_weight=v, drop_intermediate=False)
        values, thresholds = (tpr - fpr)[1:], thresholds[1:]
    return thresholds[np.flatnonzero(values >= values.max() - 1e-12)[0]]


METRICS = {
    "f1": lambda s, p, w: sk.f1_score(s.label, p, pos_label=s.positive, sample_weight=w),
    "accuracy": lambda s, p, w: sk.accuracy_score(s.label, p, sample_weight=w),
    "balanced_accuracy": lambda s, p, w: sk.balanced_accuracy_score(s.label, p, sample_weight=w),
    "mcc": lambda s, p, w: sk.matthews_corrcoef(s.label, p, sample_weight=w),
    "precision": lambda s, p, w: sk.precision_score(s.label, p, pos_label=s.positive, sample_weight=w, zero_division=0),
    "cohen_kappa_quadratic": lambda s, p, w: sk.cohen_kappa_score(s.label, p, sample_weight=w),
    "specificity": lambda s, p, w: sk.recall_score(s.label, p, pos_label=1 - s.positive, sample_weight=w),
}
REPLICATES = 60


def predictions(s, threshold):
    return np.where(s.score >= threshold, s.positive, 1 - s.positive)


def replicates(s, how, name, seed=3):
    """One value a replicate, NaN without one."""
    out = []
    for r in range(REPLICATES):
        units = s.n if s.group is None else s.group.max() + 1
        counts = draw(seed, r, units)
        w = (counts if s.group is None else counts[s.group]) * (1.0 if s.weight is None else s.weight / s.weight.max())
        y = (s.label == s.positive)[w > 0]
        if y.all() or not y.any():
            out.append(np.nan)
            continue
        out.append(METRICS[name](s, predictions(s, best(s, w, how)), w) if how else METRICS[name](s, s.pred, w))
    return np.array(out)


def a_case(rng, i):
    while True:
        s = binary_case(rng, int(rng.choice([12, 30, 60])), ("none", "real")[i % 2], 1.0, ties=i % 3 == 0)
        if i % 5 == 4:
            s.group = np.unique(rng.integers(0, s.n // 2, s.n), return_inverse=True)[1]
        if 3 < (s.label == s.positive).sum() < s.n - 3:
            return s


def chosen(tap, session, rng):
    for i in range(120):
        s, how = a_case(rng, i), ("best-f1", "youden")[i // 2 % 2]
        want = best(s, s.weight, how)
        session.sample(s)
        session.ask(f"tuned A {how}", lambda a, want=want, how=how: tap.close(
            f"the threshold of {how}", [float(a[0])], [want]))


def intervals(tap, session, rng):
    for i in range(21):
        s, how, name = a_case(rng, i), ("best-f1", "youden")[i // 2 % 2], list(METRICS)[i % len(METRICS)]
        values = replicates(s, how, name)
        values = values[~np.isnan(values)]
        if len(values) < REPLICATES:
            continue
        value = METRICS[name](s, predictions(s, best(s, s.weight, how)), s.weight)
        # room for twice the bias on its side
        se, bias = values.std(ddof=1), values.mean() - value
        lowest = -1 if name in ("mcc", "cohen_kappa_quadratic") else 0
        half, middle = 1.959963984540054 * se, value
        if lowest == 0 and 0 < value < 1:  # on the logit
            half, middle = half / value / (1 - value), math.log(value / (1 - value))
        low, high = (1 / (1 + math.exp(-x)) if middle != value else x for x in (middle - half, middle + half))
        want = [value, se, max(low - 2 * max(bias, 0), lowest), min(high - 2 * min(bias, 0), 1)]
        session.sample(s)
        session.ask(f"tuned A {how}", lambda a: None)
        session.ask(f"estimate A {name} 0.95 0 3 {REPLICATES} 0", lambda a, want=want: tap.close(
            "intervals with the threshold chosen in every replicate",
            [float(x) for x in a[1:5]] if a[0] == "ok" and a[5] == "bootstrap" else a, want))


def differences(tap, session, rng):
    for i in range(10):
        s, name = a_case(rng, i), list(METRICS)[i % len(METRICS)]
        t = s.but(score=np.clip(s.score + rng.normal(size=s.n) / 5, 0, 1))
        how = ("best-f1", "youden")[i // 2 % 2]
        only = i % 3 == 0  # the current model's is given
        x, y = replicates(s, None if only else how, name), replicates(t, how, name)
        session.sample(s, "A")
        session.sample(t, "B")
        if not only:
            session.ask(f"tuned A {how}", lambda a: None)
        session.ask(f"tuned B {how}", lambda a: None)
        d = y - x
        if np.isnan(d).any():
            continue
        want = [d.std(ddof=1), *np.quantile(d, [0.025, 0.975])]
        session.ask(f"delta {name} 0.05 0 3 {REPLICATES} 0", lambda a, want=want: tap.close(
            "differences with both thresholds chosen in every replicate",
            [float(v) for v in a[2:5]] if a[0] == "ok" and a[6] == "bootstrap" else a, want))


if __name__ == "__main__":
    run_parts(2, chosen, intervals, differences)
