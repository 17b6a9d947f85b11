#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas under the ROC curve against R's pROC, the bootstrap against R's boot, Wilson's interval against R's prop.test."""
import math
import os
import subprocess
import tempfile

import numpy as np
from scipy import stats

from stats_cases import BINARY, REGRESSION, Sample, Session, Tap, some

HERE = os.path.dirname(os.path.abspath(__file__))
ROC, BOOT, WILSON = some(600), some(8, 2), 400
DRAWS = some(10000, 2)  # of R
REPLICATES = 20000


def roc_cases(rng):
    """Two models' scores on the same rows: few rows, ties, skills from none to perfect."""
    out = []
    for _ in range(ROC):
        m, n = (int(rng.choice([2, 3, 8, 30, 120])) for _ in range(2))
        y = rng.permutation(np.repeat([0, 1], [n, m]))
        z = rng.normal(size=(2, m + n)) + rng.normal(size=m + n) * rng.choice([0, 1, 3]) + y * rng.choice([0, 0.5, 2, 4])
        if rng.random() < 0.5:
            z = np.round(z, int(rng.integers(0, 2)))
        if rng.random() < 0.1:
            z[1] = z[0] + (rng.random(m + n) < 0.1)
        out.append((y, z[0], z[1]))
    return out


def boot_cases(rng):
    out = []
    for i in range(BOOT):
        n = (20, 50, 200, 1000)[i % 4]
        y = rng.normal(size=n) * 2
        a = y + rng.standard_t(5, size=n)
        out.append((y, a, np.where(rng.random(n) < 0.5, a, y + rng.normal(size=n))))
    return out


def ask_r(roc, boot, wilson):
    with tempfile.TemporaryDirectory() as d:
        for name, cases in (("roc", roc), ("boot", boot)):
            with open(f"{d}/{name}.csv", "w", encoding="ascii") as f:
                f.write("case,y,a,b\n")
                for i, (y, a, b) in enumerate(cases):
                    f.writelines(f"{i},{y[j]!r},{a[j]!r},{b[j]!r}\n" for j in range(len(y)))
        with open(f"{d}/wilson.csv", "w", encoding="ascii") as f:
            f.write("x,n,confidence\n" + "".join(f"{x},{n},{c!r}\n" for x, n, c in wilson))
        done = subprocess.run(["Rscript", "--vanilla", os.path.join(HERE, "oracle.R"), str(DRAWS)] + [f"{d}/{n}.csv" for n in ("roc", "boot", "wilson")],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    answers = {}
    for line in done.stdout.split("\n"):
        words = line.split()
        if words:
            answers.setdefault(words[0], []).append(words[1:])
    return answers


def real(x):
    return math.nan if x in ("NA", "NaN") else float(x)


def areas(tap, session, cases, answers):
    for (y, a, b), words in zip(cases, answers):
        auc_a, auc_b, var_a, cov, z, p, low, high = map(real, words[1:])
        common = {"task": BINARY, "n": len(y), "classes": 2, "positive": 1, "label": y, "pred": (a > 0).astype(int)}
        session.sample(Sample(score=a, **common), "A")
        session.sample(Sample(score=b, **common), "B")
        text = f"{min(y.sum(), (1 - y).sum())} of the smaller class"

        def one(v, auc_a=auc_a, var_a=var_a, text=text):
            tap.close("area under the ROC curve, pROC", [float(v[1])], [auc_a], context=text)
            tap.close("DeLong's variance, pROC", [max(float(v[2]), 0)], [math.sqrt(max(var_a, 0))], absolute=1e-9, context=text)
        session.ask("estimate A roc_auc 0.95 0 0 0 0", one)

        def two(v, auc_a=auc_a, auc_b=auc_b, z=z, p=p, low=low, high=high, text=text, same=(a == b).all()):
            tap.close("difference of two areas, pROC", [float(v[1])], [auc_b - auc_a], absolute=1e-12, context=text)
            if same or math.isnan(p) or float(v[2]) < 1e-9:
                return  # without any variance pROC divides by it
            tap.close("standard error of the difference, pROC", [abs(float(v[1]) / float(v[2]))], [abs(z)], rel=1e-9, context=text)
            # interval and p are made of the two areas' own intervals: see stats_expected.py
        session.ask("delta roc_auc 0.05 0 0 0 0", two)


def bootstraps(tap, session, cases, answers):
    for words in answers:
        y, a, b = cases[int(words[0])]
        name, value, se, low, high, kurtosis = words[1], *map(float, words[2:])
        session.sample(Sample(REGRESSION, len(y), truth=y, estimate=a), "A")
        session.sample(Sample(REGRESSION, len(y), truth=y, estimate=b), "B")

        def take(v, value=value, se=se, low=low, high=high, kurtosis=kurtosis, n=len(y), name=name):
            got = [float(x) for x in v[1:5]]
            tap.close("bootstrapped value, boot", got[:1], [value], context=name)
            # both are estimates: of a deviation to sqrt((kurtosis - 1) / 4 B), of a quantile to sqrt(p (1 - p) / B) / density, here that of a
            # normal at 1.96, less where tails are heavier
            both = math.sqrt(1 / REPLICATES + 1 / DRAWS)
            tails = math.sqrt(max(kurtosis - 1, 2) / 2)
            error = se * both * tails * math.sqrt(0.025 * 0.975) / stats.norm.pdf(1.96)
            tap.count("bootstrap standard error, boot", abs(got[1] - se) <= 4 * se * both * tails / math.sqrt(2), f"{name}, {n} rows: {got[1]}, R {se}")
            for g, w in ((got[2], low), (got[3], high)):
                # medians take the values of single rows, between which a quantile may jump
                room = 4 * error + (0.1 * se if name in ("median_ae", "difference") else 0)
                tap.count("percentile interval, boot", abs(g - w) <= room, f"{name}, {n} rows: {g}, R {w}, room {room}")
        if name == "difference":
            session.ask(f"delta median_ae 0.05 1 0 {REPLICATES} 0", take)
        else:
            session.ask(f"estimate A {name} 0.95 1 0 {REPLICATES} 0", take)


def wilsons(tap, session, cases, answers):
    for (x, n, confidence), words in zip(cases, answers):
        z = stats.norm.ppf((1 + confidence) / 2)
        session.ask(f"wilson {x / n!r} {n} 0 {float(z)!r}", lambda v, w=words, c=(x, n): tap.close(
            "Wilson's interval, prop.test", [float(t) for t in v], [float(t) for t in w[1:]], absolute=1e-12, context=str(c)))


def main():
    rng, tap, session = np.random.default_rng(41), Tap(), Session()
    roc, boot = roc_cases(rng), boot_cases(rng)
    wilson = [(int(rng.integers(0, n + 1)), n, float(rng.choice([0.9, 0.95, 0.99]))) for n in map(int, rng.choice([1, 5, 30, 1000, 10**6], WILSON))]
    answers = ask_r(roc, boot, wilson)
    areas(tap, session, roc, answers["roc"])
    bootstraps(tap, session, boot, answers["boot"])
    wilsons(tap, session, wilson, answers["wilson"])
    session.run()
    tap.finish()


if __name__ == "__main__":
    main()
