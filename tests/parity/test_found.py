# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices that are found: each number against the formula written out, and no more findings than alpha where there is
nothing to find. `draws` and the sizes are larger in tests/long."""
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from stats_cases import TOP, Tap, student

EVAL = os.path.join(TOP, os.environ.get("B", "build"), "bin", "ml-eval")
LEAST = 100


def search(d, *options):
    """What ml-eval finds in a frame."""
    with tempfile.TemporaryDirectory() as at:
        path = os.path.join(at, "d.csv")
        d.to_csv(path, index=False)
        done = subprocess.run([EVAL, "-q", "--find-slices", *options, path], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)["evaluation"]["found_slices"]


def against_rest(loss, w, g, rows):
    """Mean, mean of the rest, standard error, degrees of freedom."""
    a, b = np.average(loss[rows], weights=w[rows]), np.average(loss[~rows], weights=w[~rows])
    off, of = loss - np.average(loss, weights=w), w if g is None else pd.Series(w).groupby(g).sum()
    sums = w * off if g is None else pd.Series(w * off).groupby(g).sum()
    part = [w[m] if g is None else pd.Series(w[m]).groupby(g[m]).sum() for m in (rows, ~rows)]
    n = len(of)
    usual = (sums**2).sum() / (of**2).sum() * sum((v**2).sum() / v.sum() ** 2 for v in part) * n / (n - 1)
    psi = np.where(rows, w * (loss - a) / w[rows].sum(), -w * (loss - b) / w[~rows].sum())
    if g is None:
        parts = [(psi[m] ** 2).sum() * m.sum() / (m.sum() - 1) for m in (rows, ~rows)]
        return a, b, math.sqrt(max(usual, sum(parts))), min(rows.sum(), (~rows).sum()) - 1
    sums = pd.Series(psi).groupby(g).sum()
    n = len(sums)
    return a, b, math.sqrt(max(usual, (sums**2).sum() * n / (n - 1))), min(len(set(g[rows])), len(set(g[~rows]))) - 1


def formula(d, loss, w, g, columns):
    """All slices with enough rows: name to (mean, rest, difference, low, high, p, rows)."""
    out = {}
    for k in (1, 2):
        for names in itertools.combinations(columns, k):
            for values in itertools.product(*[sorted(set(d[c])) for c in names]):
                rows = np.logical_and.reduce([d[c] == v for c, v in zip(names, values)])
                if min(rows.sum(), (~rows).sum()) < LEAST:
                    continue
                a, b, se, df = against_rest(loss, w, g, np.asarray(rows))
                if g is not None and df + 1 < 10:
                    continue
                q = student(0.975, df) * se
                p = max(2 * stats.t.sf(abs(a - b) / se, df), 1e-300) if (loss[rows] > 0).sum() >= 10 and se > 0 else 1
                out[",".join(f"{c}={v}" for c, v in zip(names, values))] = (a, b, a - b, a - b - q, a - b + q, p, rows.sum())
    return out


def flipped(rng, label, rate):
    return np.where(rng.random(len(label)) < rate, 1 - label, label)


def frame(rng, n, columns, rate, regression=False, bad=None):
    d = pd.DataFrame({f"c{i}": rng.integers(0, k, n) for i, k in enumerate(columns)})
    if regression:
        d["label"] = rng.normal(size=n)
        d["prediction"] = d.label + rng.standard_t(4, size=n) * (1 if bad is None else np.where(bad(d), 2, 1))
    else:
        d["label"] = rng.integers(0, 2, n)
        d["prediction"] = flipped(rng, d.label, rate if bad is None else np.where(bad(d), 2.5 * rate, rate))
    return d


def numbers(tap, rng):
    for i in range(24):
        regression, weighted, grouped = i % 3 == 0, i % 4 == 1, i % 4 > 1
        d = frame(rng, 3000, (3, 4, 2), 0.15, regression, lambda d: (d.c0 == 1) & (d.c1 == 2) | (d.c2 == 0) & (d.c1 == 3))
        w, g, options = np.ones(len(d)), None, ["--task", "regression"] if regression else []
        if weighted:
            d["w"] = w = rng.gamma(2, size=len(d)).round(6)
            options += ["--weight", "w"]
        if grouped:
            g = rng.integers(0, 400, len(d))
            d["g"] = g
            options += ["--group", "g"]
        found = search(d, *options)
        loss = np.abs(d.label - d.prediction).to_numpy().astype(float)
        want = formula(d, loss, w, g, ["c0", "c1", "c2"])
        tap.count("as many slices are looked at as there are with enough rows", found["looked_at"] == len(want),
                  f"{found['looked_at']} and {len(want)}")
        names = list(want)
        adjusted = dict(zip(names, multipletests([want[k][5] for k in names], method="holm")[1]))
        worst = max((k for k in names if adjusted[k] <= 0.05 and want[k][2] > 0), key=lambda k: want[k][3], default=None)
        tap.count("the worst one comes first", (found["slices"][0]["name"] if found["slices"] else None) == worst, f"{worst}")
        for s in found["slices"]:
            tap.close("numbers are those of the formula", [s[k] for k in (
                "value", "rest", "difference", "low", "high", "p", "p_adjusted", "rows")],
                [*want[s["name"]][:6], adjusted[s["name"]], want[s["name"]][6]], rel=1e-9, context=s["name"])


def plants(tap, rng):
    """A pair that fails is told alone, not its columns; a column that fails is told without its pairs."""
    for i in range(6):
        pair = i % 2 == 0
        d = frame(rng, 20000, (4, 4, 3, 5), 0.1, False, (lambda d: (d.c0 == 1) & (d.c1 == 2)) if pair else lambda d: d.c2 == 1)
        d["copy"] = d.c1 if pair else d.c2
        names = [s["name"] for s in search(d)["slices"]]
        tap.count("one fault is one finding", names == (["c0=1,c1=2"] if pair else ["c2=1"]), f"{names}")
    d = frame(rng, 20000, (3,), 0.1)
    d["x"] = rng.normal(size=len(d)).round(5)
    d["prediction"] = flipped(rng, d.label, np.where(d.x > np.quantile(d.x, 0.75), 0.2, 0.1))
    s = search(d)["slices"]
    tap.count("numbers are looked at in quartiles", [x["name"] for x in s] == ["x=q4of4"] and
              s[0]["ranges"]["x"]["to"] == d.x.max(), f"{s}")


def nothing(tap, rng, draws, n=1500):
    """Where errors have nothing to do with the columns."""
    kinds = {
        "5 % errors": dict(rate=0.05), "30 % errors": dict(rate=0.3), "80 % errors": dict(rate=0.8),
        "heavy tails": dict(rate=0, regression=True),
    }
    for name, kind in kinds.items():
        for grouped in (False, True):
            hits = 0
            for _ in range(draws):
                d = frame(rng, n, (2, 3, 4, 5), **kind)
                if grouped:  # rows of a group err together and look alike
                    d = d.iloc[np.sort(rng.integers(0, n // 3, n))].reset_index(drop=True)
                    d["g"] = (d.diff().abs().sum(axis=1) > 0).cumsum()
                options = (["--task", "regression"] if kind.get("regression") else []) + (["--group", "g"] if grouped else [])
                hits += bool(search(d, *options)["slices"])
            limit = 0.05 * draws + 3 * math.sqrt(0.05 * 0.95 * draws)
            where = f"{name}{', in groups' if grouped else ''}"
            tap.count("where there is nothing, something is found at most as often as alpha says", hits <= limit,
                      f"{where}: {hits} of {draws}")
            print(f"# {where}: {hits} of {draws}")


def parts(tap, rng, draws, n=2000):
    """Where all rows of one value are as bad, its parts are no findings, in whatever order they come."""
    for name, grouped, regression in (("rows", False, False), ("in groups", True, False), ("numbers", False, True)):
        hits = missed = 0
        for _ in range(draws):
            d = frame(rng, n, (4, 4, 3, 4, 4), 0.1, regression, lambda d: d.c0 == 1)
            d["x"] = rng.normal(size=n).round(5)
            if grouped:  # each row stands there one to three times
                d = d.loc[np.repeat(d.index, rng.integers(1, 4, n))]
                d["g"] = d.index
            options = (["--task", "regression"] if regression else []) + (["--group", "g"] if grouped else [])
            names = [s["name"] for s in search(d, *options)["slices"]]
            hits += any(s != "c0=1" for s in names)
            missed += "c0=1" not in names
        limit = 0.05 * draws + 3 * math.sqrt(0.05 * 0.95 * draws)
        tap.count("parts of a slice are told at most as often as alpha says", hits <= limit, f"{name}: {hits} of {draws}")
        tap.count("and what they are parts of is told", missed <= limit, f"{name}: {missed} of {draws}")
        print(f"# parts, {name}: {hits} of {draws}, missed {missed}")
    for i in range(4):
        d = frame(rng, 20000, (4, 4, 3), 0.1)
        rate = np.where(d.c0 == 1, np.where(d.c1 == 2, 0.5, 0.25), 0.1)
        d["prediction"] = flipped(rng, d.label, rate)
        names = [s["name"] for s in search(d)["slices"]]
        tap.count("a part that is worse still stands behind the whole", names == ["c0=1", "c0=1,c1=2"], f"{names}")


def main(draws=60):
    tap, rng = Tap(), np.random.default_rng(17)
    numbers(tap, rng)
    plants(tap, rng)
    nothing(tap, rng, draws)
    parts(tap, rng, draws)
    tap.finish()


if __name__ == "__main__":
    main(*[int(a) for a in sys.argv[1:]])
