# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs of a model: standard errors and degrees of freedom once more in numpy, and what a neutral change of seeds is called."""
import warnings

import numpy as np
from scipy import stats

from stats_cases import REGRESSION, Sample, run_parts, student
from stats_expected import Rows, case, cut, other_model

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
DRAWS = 500


def numbers(tap, session, rng):
    for _ in range(150):
        sample = case(rng, rng.choice(["none", "none", "real"]), rng.choice(["no", "no", "some"]))
        if sample.n < 20:
            continue
        n, m = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 2, 3, 5]))
        if n + m == 2:
            continue
        samples = [sample] + [other_model(rng, sample, 0.5) for _ in range(n + m - 1)]
        names = {1: ["accuracy", "f1", "roc_auc", "log_loss"], 2: ["accuracy", "f1_macro", "log_loss"], REGRESSION: ["mae", "r2"]}
        for i, s in enumerate(samples):
            session.sample(s, chr(ord("A") + i))
        for name in names[sample.task]:
            got = {}
            for i in range(n + m):
                for what in ("value", "psi"):
                    session.ask(f"{what} {chr(ord('A') + i)} {name}", lambda a, k=(what, i), got=got: got.update({k: a}))

            def take(r, got=got, n=n, m=m, rows=Rows(sample), name=name):
                context = f"{name} n {rows.n} runs {n} {m}: {r}"
                if any(got["value", i][0] == "none" for i in range(n + m)):
                    tap.count("no difference where a run has no value", r[0] == "none", context)
                    return
                if r[0] in ("open", "none"):
                    tap.count("without an interval there is a reason", len(r) > 4, context)
                    return
                v = np.array([float(got["value", i][1]) for i in range(n + m)])
                psi = np.array([got["psi", i][1:] for i in range(n + m)], float)
                if name == "roc_auc" and rows.plain:
                    y = rows.s.label == rows.s.positive
                    k = np.where(y, y.sum(), (~y).sum())
                    psi = psi * np.sqrt(k / (k - 1))
                mean = psi[n:].mean(0) - psi[:n].mean(0)
                test = rows.se(mean)
                if name == "roc_auc" and rows.plain:
                    test *= np.sqrt((rows.units - 1) / rows.units)
                parts = [x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else 0 for x in (v[:n], v[n:])]
                tap.close("standard error between runs", [float(x) for x in r[1:3]], parts, 1e-9, 1e-14, context)
                if float(r[0]) > test * 1.0001:
                    tap.count("a floor for next to no changes", name in ("accuracy", "f1", "f1_macro"), context)
                    return
                tap.close("standard error of the mean influence", [float(r[0])], [test], 1e-9, 1e-12, context)
                se = np.sqrt(test**2 + parts[0] ** 2 + parts[1] ** 2)
                df = 1 if 2 in (n, m) else se**4 / (test**4 / (rows.units - 1) + sum(
                    p**4 / (k - 1) for p, k in zip(parts, (n, m)) if k > 1))
                delta = v[n:].mean() - v[:n].mean()
                q = student(0.975, df)
                tap.close("difference of means over runs", [float(r[i]) for i in (3, 5, 6, 7, 8)],
                          [df, delta, se, *cut(name, [delta - q * se, delta + q * se])], 1e-9, 1e-12, context)
                tap.close("p of a difference of means over runs", [float(r[9])], [2 * stats.t.sf(abs(delta) / se, df)], 1e-9, 1e-300,
                          context)
            session.ask(f"runs {name} 0.05 {n} {m} 0 0 0 0", take)


def seeds(tap, session, rng):
    """Seeds move the candidate's error as much as the choice of rows does, and on average it is the current model's: a single run
    is called better or worse far too often, three or more with --runs are not."""
    called = {1: [0, 0], 3: [0, 0], 5: [0, 0]}
    rows = 200
    for _ in range(DRAWS):
        truth = np.zeros(rows)
        common = 5 + rng.normal(size=rows)
        session.sample(Sample(REGRESSION, rows, truth=truth, estimate=common))
        for i in range(5):
            error = common + 0.5 * rng.normal(size=rows) + 0.07 * rng.normal()
            session.sample(Sample(REGRESSION, rows, truth=truth, estimate=error), chr(ord("B") + i))
        session.ask("delta mae 0.05 0 0 0 0", lambda a: called[1].__setitem__(int(float(a[1]) < 0), called[1][float(a[1]) < 0]
                                                                             + (float(a[5]) <= 0.05)))
        for k in (3, 5):
            session.ask(f"runs mae 0.05 1 {k} 0 0 0 0", lambda a, k=k: called[k].__setitem__(
                int(float(a[5]) < 0), called[k][float(a[5]) < 0] + (float(a[9]) <= 0.05)))
    session.run()
    session.__init__()
    slack = 3.5 * np.sqrt(0.05 * 0.95 / DRAWS)
    tap.count(f"one run is called better in {called[1][1] / DRAWS:.3f} of {DRAWS} draws of seeds", called[1][1] / DRAWS > 0.08)
    for k in (3, 5):
        tap.count(f"{k} runs are called better in {called[k][1] / DRAWS:.3f} of {DRAWS} draws of seeds",
                  called[k][1] / DRAWS <= 0.05 + slack, str(called))


if __name__ == "__main__":
    run_parts(1946, seeds, numbers)
