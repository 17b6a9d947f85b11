# SPDX-License-Identifier: GPL-3.0-or-later
"""Thinned curves: points of scikit-learn's, and no area is lost."""
import warnings

import numpy as np
from sklearn import metrics as sk

from stats_cases import WEIGHTS, Session, Tap, binary_case

warnings.filterwarnings("ignore")


def area(x, y):
    return float(np.sum(np.diff(x) * (np.asarray(y)[1:] + np.asarray(y)[:-1]) / 2))


def points(s, w, kind):
    """All points of scikit-learn's curve from the highest threshold down, by threshold, and its first one."""
    y = s.label == s.positive
    if kind == "roc":
        fpr, tpr, t = sk.roc_curve(y, s.score, sample_weight=w, drop_intermediate=False)
        return fpr, tpr, t, (0, 0)
    precision, recall, t = sk.precision_recall_curve(y, s.score, sample_weight=w)
    return recall[::-1], precision[::-1], np.append(np.inf, t[::-1]), (0, 1)


def compare(tap, kind, s, answer):
    taken = s.taken()
    w = None if taken.weight is None else taken.weight / taken.weight.max()
    y = taken.label == taken.positive
    if y.all() or not y.any():
        tap.count(f"{kind}: one class has no curve", answer[0] == "none", str(answer[:5]))
        return
    got = np.array([float(a) for a in answer]).reshape(-1, 4)
    x, y, t, first = points(taken, w, kind)
    tap.count(f"{kind}: it begins without a threshold", np.isnan(got[0, 2]) and tuple(got[0, :2]) == first, str(got[0]))
    at = {v: (a, b) for a, b, v in zip(x[1:], y[1:], t[1:])}
    tap.count(f"{kind}: its points are scikit-learn's", all(v in at and np.allclose((a, b), at[v], rtol=1e-9, atol=1e-12)
                                                            for a, b, v, _ in got[1:]), str(got[:4]))
    tap.count(f"{kind}: it ends at the end", abs(got[-1, 0] - 1) < 1e-12 and got[-1, 2] == taken.score.min(), str(got[-1]))
    measure = sk.roc_auc_score if kind == "roc" else sk.average_precision_score
    value, line, steps = measure(taken.label == taken.positive, taken.score, sample_weight=w), area(got[:, 0], got[:, 1]), np.diff(got[:, 0]) * got[1:, 1]
    tap.close(f"{kind}: the last area is scikit-learn's", [got[-1, 3]], [value], context=f"n {taken.n}")
    tap.count(f"{kind}: areas grow", got[0, 3] == 0 and (np.diff(got[:, 3]) >= 0).all(), str(got[:4]))
    off = abs(line - area(x, y))
    if kind == "roc" or len(x) <= 200:
        tap.count(f"{kind}: the line is off by less than 1e-4", off < 1e-4, f"{off}, n {taken.n}, {len(got)} points")
    if len(x) > 400 and len(got) == 200 and (kind == "roc" or s.plain):  # others of many points are taken, so that the line has the area
        tap.count(f"{kind}: the line has the area", abs(line - value) < 1e-6, f"{line - value} n {taken.n} of {len(x)}")
    if kind == "pr" and len(x) <= 200:
        tap.count(f"{kind}: of few points no step is lost", abs(steps.sum() - value) < 1e-12, f"{steps.sum()} {value}")
        tap.count(f"{kind}: areas are sums of steps", np.allclose(np.cumsum(steps), got[1:, 3], rtol=0, atol=1e-12), "")
    tap.count(f"{kind}: at most 200 points, but where they are needed", len(got) <= 200 or off > 5e-5, f"{len(got)} {off}")
    cross = [(got[i + 1, 0] - got[i, 0]) * (got[i + 2, 1] - got[i, 1]) - (got[i + 2, 0] - got[i, 0]) * (got[i + 1, 1] - got[i, 1])
             for i in range(len(got) - 2)]
    if kind == "roc" and len(x) <= 200:
        tap.count("roc: no point on a line is kept", all(abs(c) > 1e-15 for c in cross), str(min(np.abs(cross), default=1)))


def main():
    tap, session, rng = Tap(), Session(), np.random.default_rng(3)
    for i in range(90):
        n = int(rng.choice([2, 5, 30, 300, 2000])) if i % 10 else 60000
        shape = rng.choice(["plain", "plain", "plain", "perfect", "wrong", "one class"]) if n < 60000 else "plain"
        s = binary_case(rng, n, rng.choice(WEIGHTS) if n < 60000 else ("none", "real")[i // 10 % 2], rng.uniform(-0.2, 2), i % 3 == 1, shape)
        s.plain = shape == "plain" and s.weight is None
        session.sample(s)
        for kind in ("roc", "pr"):
            session.ask(f"curve A {kind}", lambda a, kind=kind, s=s: compare(tap, kind, s, a))
    session.run()
    tap.finish()


if __name__ == "__main__":
    main()
