#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates by simulation: how often intervals hold the truth, tests reject a difference that isn't there, and a harm as large
as the margin passes as not inferior or equivalent. With --table the result is written as Markdown.

Rows are drawn from finite populations whose values are known exactly. The null is exact, too: each row of the population is there
twice, and the two models say in one what the other says in its twin."""
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_coverage import Session, Tap, binary, multiclass, numbers, second  # noqa: E402

DRAWS = int(os.environ.get("DRAWS", "10000"))
CLASSES = ["accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "mcc"]
BINARY = ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc", "roc_auc", "average_precision", "log_loss", "brier"]
MULTICLASS = CLASSES + ["roc_auc", "log_loss", "top_2_accuracy"]
REGRESSION = ["mae", "rmse", "r2"]
LOSSES = {"log_loss", "brier", "mae", "rmse"}
ROWS, CHANGED, PER_CLASS = 300, 20, 30  # from here on rates are promised


def twins(s, t):
    """Both models on a population in which neither is better."""
    a, b = {}, {}
    for column in ("label", "pred", "score", "truth", "estimate"):
        x, y = getattr(s, column), getattr(t, column)
        if x is not None:
            a[column], b[column] = np.concatenate([x, y]), np.concatenate([y, x])
    return s.but(n=2 * s.n, **a), s.but(n=2 * s.n, **b)


def values(s, t, metrics):
    session, out = Session(), {}
    session.sample(s, "A")
    session.sample(t, "B")
    for m in metrics:
        for slot in "AB":
            session.ask(f"value {slot} {m}", lambda a, k=(slot, m): out.update({k: float(a[1])}))
    session.run()
    return out


class Count:
    def __init__(self):
        self.hits, self.n = 0, 0

    def add(self, hit):
        self.hits += bool(hit)
        self.n += 1


def cell(answer, at):
    return float(answer[at])


def simulate(title, s, t, n, metrics, seed):
    """Rates of each metric at n rows: s and t are two models of which t is the worse one."""
    rng, rates = np.random.default_rng(seed), {}
    x, y = twins(s, t)
    true = values(s, t, metrics)
    harm = {m: true["B", m] - true["A", m] for m in metrics}
    session = Session()

    def draw(a, b, size):
        rows = " ".join(map(str, rng.integers(0, size, n).tolist()))
        for slot in "AB"[:1 + (b is not None)]:
            session.commands.append(f"draw {slot} {n} {rows}")

    for m in metrics:
        rates[m] = {k: Count() for k in ("interval", "difference", "null", "noninferior", "equivalent", "open")}
        rates[m]["changed"] = []
    for a, b, null in ((x, y, True), (s, t, False)):
        session.sample(a, "A")
        session.sample(b, "B")
        for _ in range(DRAWS):
            draw(a, b, a.n)
            for m in metrics:
                r = rates[m]
                if null:
                    session.ask(f"delta {m} 0.05 0 0 0 0", lambda v, r=r: r["null"].add(v[0] == "ok" and cell(v, 5) <= 0.05))
                    continue
                session.ask(f"estimate A {m} 0.95 0 0 0 0", lambda v, r=r, m=m: r["interval"].add(
                    v[0] == "ok" and cell(v, 3) <= true["A", m] <= cell(v, 4)))

                def difference(v, r=r, m=m):
                    r["difference"].add(v[0] == "ok" and cell(v, 3) <= harm[m] <= cell(v, 4))
                    r["changed"].append(int(v[8]) if v[0] == "ok" else 0)
                session.ask(f"delta {m} 0.05 0 0 0 0", difference)
                if harm[m] * (-1 if m in LOSSES else 1) < 0:
                    session.ask(f"verdict {m} 0.05 {abs(harm[m])!r}", lambda v, r=r: (
                        r["noninferior"].add(v[1] == "1"), r["equivalent"].add(v[0] == "equivalent")))
        session.run()
        session = Session()
    least = n if s.label is None else n * np.bincount(s.label).min() / s.n
    return [(title, n, m, r, n >= ROWS and np.mean(r["changed"]) >= CHANGED and least >= PER_CLASS) for m, r in rates.items()]


def scenarios():
    rng = np.random.default_rng(300)
    two, four, line = binary(rng), multiclass(rng, shares=[0.4, 0.3, 0.2, 0.1]), numbers(rng)
    two_b, four_b, line_b = second(rng, two, 0.6, -0.4), second(rng, four, 0.6, -0.4), second(rng, line, 0.6, -0.1)
    rare = binary(rng, 0.12, 1.5)
    out = []
    for n in (30, 100, 300, 1000):
        out.append(("two classes", two, two_b, n, BINARY))
        out.append(("four classes", four, four_b, n, MULTICLASS))
        out.append(("regression", line, line_b, n, REGRESSION))
    for n in (100, 300, 1000):
        out.append(("12 % positive", rare, second(rng, rare, 0.3, -0.4), n, BINARY))
    out.append(("two classes, 3 % moved", two, second(rng, two, 0.03, -0.4), 300, BINARY))
    return [o + (i,) for i, o in enumerate(out)]


PROMISES = [("interval", 0.94, 0.96), ("difference", 0.94, 0.96), ("null", 0.04, 0.06), ("noninferior", 0, 0.035),
            ("equivalent", 0, 0.035)]


def judged(metric, kind, count, low, high):
    """Whether the rate lies where it is promised to, give or take 3 Monte Carlo standard errors."""
    if metric == "accuracy" and high == 0.035:
        high = 0.025
    near = high if low == 0 else 0.95 if high > 0.5 else 0.05
    slack = 3 * np.sqrt(near * (1 - near) / count.n)
    return low - slack <= count.hits / count.n <= high + slack, f"wanted {low} to {high}, give or take {slack:.4f}"


def table(results, path):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"# Error rates\n\nWritten by `tests/long/error_rates.py --table`: {DRAWS} draws each, nominal .95 and .05. A margin is as large as "
                "the true harm, so that passing\nis an error. Rates in *italics* are promised by no rule: fewer than "
                f"{ROWS} rows, {CHANGED} expected changed rows or {PER_CLASS} rows a class.\n\n"
                "| data | rows | metric | changed | interval holds | interval of the difference holds | null rejected | harm passes as not inferior "
                "| as equivalent |\n|---|---:|---|---:|---:|---:|---:|---:|---:|\n")
        for title, n, m, r, promised in results:
            cells = []
            for kind, low, high in PROMISES:
                c = r[kind]
                text = f"{c.hits / c.n:.3f}" if c.n else "–"
                mark = "" if promised else "*"
                if promised and c.n and not judged(m, kind, c, low, high)[0]:
                    mark = "**"
                cells.append(mark + text + mark)
            f.write(f"| {title} | {n} | {m} | {np.mean(r['changed']):.0f} | " + " | ".join(cells) + " |\n")


def run(args):
    # what the draws did is reduced to counts, which travel between processes
    return simulate(*args)


def main():
    tap, results = Tap(), []
    with ProcessPoolExecutor(int(os.environ.get("JOBS", os.cpu_count() or 1))) as pool:
        for part in pool.map(run, scenarios()):
            results += part
    for title, n, m, r, promised in results:
        for kind, low, high in PROMISES:
            if promised and r[kind].n:
                good, wanted = judged(m, kind, r[kind], low, high)
                tap.count(f"{title}, n {n}, {m}: {kind} {r[kind].hits / r[kind].n:.4f}", good, wanted)
    if len(sys.argv) == 3 and sys.argv[1] == "--table":
        table(results, sys.argv[2])
    tap.finish()


if __name__ == "__main__":
    main()
