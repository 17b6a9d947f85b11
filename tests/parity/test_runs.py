# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs of a model: standard errors and degrees of freedom once more in numpy, and what a neutral change of seeds is called."""
import warnings

import numpy as np
from scipy import stats

from stats_cases import BINARY, MULTICLASS, REGRESSION, Sample, run_parts, student
from stats_expected import Rows, case, cut, degrees, other_model
from stats_precision import is_jackknifed, left_out

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
        names = {1: ["accuracy", "f1", "roc_auc", "log_loss", "average_precision"],
                 2: ["accuracy", "f1_macro", "log_loss", "average_precision_macro"], REGRESSION: ["mae", "r2"]}
        for i, s in enumerate(samples):
            session.sample(s, chr(ord("A") + i))
        for name in names[sample.task]:
            got = {}
            for i in range(n + m):
                for what in ("value", "psi"):
                    session.ask(f"{what} {chr(ord('A') + i)} {name}", lambda a, k=(what, i), got=got: got.update({k: a}))

            def take(r, got=got, n=n, m=m, rows=Rows(sample), name=name, samples=samples):
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
                bias = np.zeros(n + m)
                if is_jackknifed(name, rows):
                    psi, bias = zip(*(left_out(Rows(x).s, name) for x in samples))
                    psi, bias = np.array(psi), np.array(bias)
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
                df = 1 if 2 in (n, m) else se**4 / (test**4 / degrees(rows, name) + sum(
                    p**4 / (k - 1) for p, k in zip(parts, (n, m)) if k > 1))
                delta = v[n:].mean() - v[:n].mean()
                centre = delta - bias[n:].mean() + bias[:n].mean()
                q = student(0.975, df)
                tap.close("difference of means over runs", [float(r[i]) for i in (3, 5, 6, 7, 8)],
                          [df, delta, se, *cut(name, [min(centre - q * se, delta), max(centre + q * se, delta)])], 1e-9, 1e-12, context)
                tap.close("p of a difference of means over runs", [float(r[9])], [2 * stats.t.sf(abs(centre) / se, df)], 1e-9, 1e-300,
                          context)
            session.ask(f"runs {name} 0.05 {n} {m} 0 0 0 0", take)


def units(tap, session, rng):
    """The same in any unit: squares neither overflow nor vanish."""
    n = 40
    truth, runs = np.zeros(n), [rng.normal(size=n) for _ in range(4)]
    got = []
    for power in (0, 535, -535):
        for i, x in enumerate(runs):
            session.sample(Sample(REGRESSION, n, truth=truth, estimate=np.ldexp(x, power)), chr(ord("A") + i))

        def take(r, power=power):
            got.append([float(np.ldexp(float(r[i]), -power)) for i in (0, 1, 2, 5, 6, 7, 8)] if r[0] not in ("open", "none") else r)
            tap.close(f"runs in units of 2^{power}", got[-1], got[0], 1e-12, 0, f"{r}") if power else None
        session.ask("runs mae 0.05 2 2 0 0 0 0", take)


def means(tap, session, rng):
    """One model's mean over its runs, from each run's own interval."""
    names = {BINARY: ["accuracy", "f1", "roc_auc", "log_loss"], MULTICLASS: ["accuracy", "f1_macro", "mcc"], REGRESSION: ["mae", "r2", "median_ae"]}
    for _ in range(60):
        sample = case(rng, rng.choice(["none", "real"]), rng.choice(["no", "some"]), rng.choice(["plain", "plain", "perfect"]))
        runs = int(rng.choice([1, 2, 3, 5]))
        for i in range(runs):
            session.sample(other_model(rng, sample, rng.choice([0, 0.5])) if i else sample, chr(ord("A") + i))
        for name in names[sample.task]:
            own = []
            for i in range(runs):
                session.ask(f"estimate {chr(ord('A') + i)} {name} 0.9 0 3 200 0", own.append)

            def take(r, own=own, name=name, number=sample.task == REGRESSION):
                context = f"{name}: {r}"
                if any(e[0] == "none" for e in own):
                    tap.count("no mean where a run has no value", r[0] == "none", context)
                    return
                v = np.array([float(e[1]) for e in own])
                if any(e[0] == "open" for e in own):
                    tap.count("no interval of a mean where a run has none", r[0] == "open", context)
                    return
                se, low, high = (np.array([float(e[k]) for e in own]) for k in (2, 3, 4))
                spread = v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else 0
                far = student(0.95, len(v) - 1) * spread if len(v) > 1 else 0
                ends = [v.mean() - np.hypot(np.maximum(v - low, 0).mean(), far), v.mean() + np.hypot(np.maximum(high - v, 0).mean(), far)]
                bottom, top = {"mcc": (-1, 1), "r2": (-np.inf, 1)}.get(name, (0, np.inf if number or name == "log_loss" else 1))
                tap.close("mean over runs", [float(x) for x in r[1:5]],
                          [v.mean(), np.hypot(se.mean(), spread) if se.min() >= 0 else -1, max(ends[0], bottom), min(ends[1], top)], 1e-9, 1e-12, context)
            session.ask(f"mean {name} 0.9 {runs} 0 3 200 0", take)


def held(tap, session, rng):
    """How often the interval of a mean over runs holds what the model has on average, for seeds and rows; that of its first run doesn't."""
    rows, counts = 300, {}
    for _ in range(DRAWS):
        hard = rng.random(rows)
        for i in range(5):
            share = 0.93 + 0.025 * rng.choice([-1, 1])
            right = np.where(rng.random(rows) < 0.5, hard, rng.random(rows)) < share
            session.sample(Sample(BINARY, rows, 2, 1, np.ones(rows, int), right.astype(int)), chr(ord("A") + i))
        session.ask("estimate A accuracy 0.95 0 0 0 0", lambda a: counts.__setitem__(1, counts.get(1, 0) + (float(a[3]) <= 0.93 <= float(a[4]))))
        for k in (2, 3, 5):
            session.ask(f"mean accuracy 0.95 {k} 0 0 0 0", lambda a, k=k: counts.__setitem__(
                k, counts.get(k, 0) + (float(a[3]) <= 0.93 <= float(a[4]))))
    session.run()
    session.__init__()
    tap.count(f"the interval of one run holds the mean in {counts[1] / DRAWS:.3f} of {DRAWS} draws", counts[1] / DRAWS < 0.9)
    for k in (2, 3, 5):
        tap.count(f"that of {k} runs in {counts[k] / DRAWS:.3f}", counts[k] / DRAWS >= 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / DRAWS))


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
    run_parts(1946, seeds, numbers, held, means, units)
