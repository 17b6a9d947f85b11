# SPDX-License-Identifier: GPL-3.0-or-later
"""What verdicts promise, by simulation: how often a neutral change is called better or worse, a harm as large as the margin not
inferior, and a gain as large as `detectable` better."""
import os
import sys

import numpy as np
from scipy import stats

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_cases import Session, Tap, values_of_both  # noqa: E402
from stats_coverage import binary, multiclass, numbers, second  # noqa: E402

DRAWS = int(os.environ.get("DRAWS", "3000"))
BINARY = ["accuracy", "recall", "f1", "balanced_accuracy", "mcc", "roc_auc", "average_precision", "log_loss", "brier"]
SCORED = {"roc_auc", "average_precision", "log_loss", "brier"}
LOSSES = {"log_loss", "brier", "mae", "rmse"}


def swapped(rng, s, t):
    """Two models that are each other's in half of the rows: the same truth for both, but for chance in the population."""
    swap = rng.random(s.n) < 0.5
    pick = {}
    for column in ("pred", "score", "estimate"):
        x, y = getattr(s, column), getattr(t, column)
        if x is not None:
            mask = swap if x.ndim == 1 else swap[:, None]
            pick[column] = np.where(mask, x, y), np.where(mask, y, x)
    return s.but(**{c: v[0] for c, v in pick.items()}), s.but(**{c: v[1] for c, v in pick.items()})


def differences(s, t, metrics):
    of = values_of_both(s, t, metrics)
    return {m: of["B", m] - of["A", m] for m in metrics}


class Trial:
    """Draws of n rows, judged at one margin a metric."""

    def __init__(self, rng, draws):
        self.rng, self.draws = rng, draws

    def run(self, s, t, n, margins):
        session = Session()
        session.sample(s, "A")
        session.sample(t, "B")
        out = {m: [] for m in margins}
        for _ in range(self.draws):
            rows = " ".join(map(str, self.rng.integers(0, s.n, n).tolist()))
            for slot in "AB":
                session.commands.append(f"draw {slot} {n} {rows}")
            for m, margin in margins.items():
                session.ask(f"verdict {m} 0.05 {margin!r}", lambda a, m=m: out[m].append(
                    (a[0], a[1] == "1", *map(float, a[2:5]))))
        session.run()
        return out


def share(tap, subject, hits, n, low, high):
    slack = 3.5 * np.sqrt(max(high, 0.01) * (1 - min(high, 0.99)) / n)
    tap.count(f"{subject}: {hits / n:.3f} of {n}", low - slack <= hits / n <= high + slack, f"wanted {low} to {high}")


def neutral(tap, trial, title, s, t, n, metrics):
    """At most alpha, apart from what a skewed small sample adds; pass rates of non-inferiority as announced."""
    a, b = swapped(trial.rng, s, t)
    true = differences(a, b, metrics)
    first = trial.run(a, b, n, {m: 0.0 for m in metrics})
    se = {m: float(np.median([r[3] for r in first[m]])) for m in metrics}
    for m in metrics:
        certain = sum(r[0] in ("better", "worse") for r in first[m])
        share(tap, f"{title}, n {n}: a neutral change of {m} is called better or worse", certain, trial.draws, 0, 0.065)
    for factor in (1.0, 3.0):
        again = trial.run(a, b, n, {m: factor * se[m] for m in metrics})
        for m in metrics:
            # the announced rate, moved by what little the two populations differ
            d = true[m] * (-1 if m in LOSSES else 1)
            want = float(np.mean([stats.norm.cdf((factor * se[m] + d - r[4]) / r[3]) for r in again[m] if r[3] > 0]))
            near = 0.06
            share(tap, f"{title}, n {n}: a neutral change of {m} is not inferior at {factor:g} se", sum(r[1] for r in again[m]),
                  trial.draws, want - near, want + near)


def harm(tap, trial, title, s, t, n, metrics):
    """A model that is worse by exactly the margin passes in 2.5 % of the draws; differences of scores are skewed, and need more
    rows than these for that."""
    true = {m: d for m, d in differences(s, t, metrics).items() if d * (-1 if m in LOSSES else 1) < 0}
    got = trial.run(s, t, n, {m: abs(d) for m, d in true.items()})
    for m in true:
        most = 0.075 if m in SCORED else 0.04
        share(tap, f"{title}, n {n}: a harm to {m} as large as the margin passes", sum(r[1] for r in got[m]), trial.draws, 0, most)
        share(tap, f"{title}, n {n}: a harm to {m} as large as the margin is called equivalent",
              sum(r[0] == "equivalent" for r in got[m]), trial.draws, 0, most)


def power(tap, trial, title, s, t, metrics):
    """With the rows at which `detectable` is the true gain, four in five draws say better."""
    true = differences(s, t, metrics)
    for m in metrics:
        pilot = trial.run(s, t, 1000, {m: 0.0})[m]
        n = int(1000 * (np.median([r[2] for r in pilot]) / abs(true[m])) ** 2)
        if 30 <= n <= 4000:
            got = trial.run(s, t, n, {m: 0.0})[m]
            share(tap, f"{title}, n {n}: a gain of {m} as large as detectable is found", sum(r[0] == "better" for r in got),
                  trial.draws, 0.72, 0.88)


def main():
    rng, tap = np.random.default_rng(1979), Tap()
    trial = Trial(rng, DRAWS)
    s = binary(rng)
    for n in (100, 400):
        neutral(tap, trial, "binary", s, second(rng, s, 0.6), n, BINARY)
    harm(tap, trial, "binary", s, second(rng, s, 0.6, -0.4), 400, BINARY)
    many = multiclass(rng)
    neutral(tap, trial, "four classes", many, second(rng, many, 0.6), 300, ["accuracy", "f1_macro", "mcc", "roc_auc"])
    harm(tap, trial, "four classes", many, second(rng, many, 0.6, -0.4), 300, ["accuracy", "f1_macro", "mcc", "roc_auc"])
    regression = numbers(rng)
    neutral(tap, trial, "regression", regression, second(rng, regression, 0.6), 100, ["mae", "rmse", "r2"])
    trial.draws = max(DRAWS // 4, 100)
    power(tap, trial, "binary", s, second(rng, s, 0.6, 0.8), ["accuracy", "f1", "roc_auc", "log_loss"])
    tap.finish()


if __name__ == "__main__":
    main()
