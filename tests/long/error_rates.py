#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates by simulation: how often intervals hold the truth, tests reject a difference that isn't there, and a harm as large
as the margin passes as not inferior or equivalent. With --table FILE the result is written as Markdown; METRICS=a,b measures these
alone, and leaves the table's other rows as they are.

Rows are drawn from finite populations whose values are known exactly. The null is exact, too: each row of the population is there
twice, and the two models say in one what the other says in its twin."""
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_cases import MULTILABEL, REGRESSION as NUMBERS, Sample, values_of_both  # noqa: E402
from stats_coverage import (Session, Tap, binary, midp_exact, multiclass, numbers, second, sigmoid, tango_exact,  # noqa: E402
                            wilson_exact)

DRAWS = int(os.environ.get("DRAWS", "10000"))
ONLY = set(filter(None, os.environ.get("METRICS", "").split(",")))
CLASSES = ["accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "mcc"]
BINARY = ["accuracy", "precision", "recall", "specificity", "f1", "jaccard", "balanced_accuracy", "mcc", "cohen_kappa", "roc_auc",
          "average_precision", "log_loss", "brier", "fbeta@2", "gini", "ks", "lift@10%", "hinge_loss", "ece"]
MULTICLASS = CLASSES + ["cohen_kappa_quadratic", "roc_auc", "log_loss", "top_2_accuracy", "roc_auc_ovo", "jaccard_macro", "brier_multiclass"]
REGRESSION = ["mae", "rmse", "r2", "explained_variance", "pinball@0.9", "smape", "d2_absolute_error"]
SKEWED = ["mae", "rmse", "r2", "mape", "smape", "pinball@0.9", "poisson_deviance", "gamma_deviance", "d2_tweedie@1", "msle"]
QUERIES = ["ndcg@10", "map@10", "mrr", "precision@3", "recall@3"]
SETS = ["accuracy", "f1_micro", "f1_macro", "f1_samples", "jaccard_samples", "hamming_loss", "roc_auc", "lrap"]
LOSSES = {"log_loss", "brier", "mae", "rmse", "pinball@0.9", "hinge_loss", "ece", "brier_multiclass", "smape", "mape", "msle",
          "poisson_deviance", "gamma_deviance", "hamming_loss"}
RANKING = 16
EACH_CLASS = {"balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc", "average_precision", "gini", "ks",
              "roc_auc_ovo"}  # weigh classes alike
ROWS, CHANGED, PER_CLASS, EFFECTIVE = 300, 20, 30, 10  # from here on rates are promised
AT_ONCE = 1000  # draws

# What falls short, and by how much at most. The largest of many and a sum of sizes are biased, which their intervals allow for: they hold
# more, and tell less. Of the best tenth of the rows nearly all are positive.
KNOWN = {("ks", "interval"): 0.94, ("ks", "difference"): 0.94, ("ks", "null"): 0.015,
         ("ece", "interval"): 0.94, ("ece", "difference"): 0.94, ("ece", "null"): 0, ("lift@10%", "difference"): 0.94}


def twins(s, t):
    """Both models on a population in which neither is better."""
    a, b = {}, {}
    for column in ("label", "pred", "score", "truth", "estimate", "labels", "preds"):
        x, y = getattr(s, column), getattr(t, column)
        if x is not None:
            a[column], b[column] = np.concatenate([x, y]), np.concatenate([y, x])
    if s.group is not None:
        a["group"] = b["group"] = np.concatenate([s.group, s.group + s.group.max() + 1])
    return s.but(n=2 * s.n, **a), s.but(n=2 * s.n, **b)


def changes(s, t, n, metric, seen):
    """Expected rows that say something else, in the class that has fewest of them where classes weigh alike."""
    if metric not in EACH_CLASS or s.label is None:
        return np.mean(seen)
    other = s.pred != t.pred
    if metric in ("roc_auc", "average_precision", "gini", "ks", "roc_auc_ovo"):
        other = s.score != t.score if s.score.ndim == 1 else (s.score != t.score).any(1)
    return min(n * np.mean(other & (s.label == k)) for k in range(s.classes))


def effective_rows(s, t, n, metrics):
    """By metric: how many of n rows are expected to make the difference (0: it has no such number), and whether the interval rests on
    them alone."""
    session, out = Session(), {}
    session.sample(s, "A")
    session.sample(t, "B")
    for m in metrics:
        session.ask(f"delta {m} 0.05 0 0 0 0", lambda v, m=m: out.__setitem__(m, (
            n * cell(v, 12) / (s.n if s.group is None else s.group.max() + 1), v[7] == "linear")))
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
    true = values_of_both(s, t, metrics)
    harm = {m: true["B", m] - true["A", m] for m in metrics}
    effective = effective_rows(s, t, n, metrics)

    def draw(session, a):
        if a.group is None:
            rows = rng.integers(0, a.n, n)
        else:  # whole queries, of which there are so many that it doesn't matter that none is drawn twice
            size = a.n // (a.group.max() + 1)
            rows = (rng.choice(a.n // size, n, replace=False)[:, None] * size + np.arange(size)).ravel()
        for slot in "AB":
            session.commands.append(f"draw {slot} {len(rows)} " + " ".join(map(str, rows.tolist())))

    for m in metrics:
        rates[m] = {k: Count() for k in ("interval", "difference", "null", "noninferior", "equivalent", "open")}
        rates[m].update(changed=[], seen=[])
    for a, b, null, many in ((*pair, min(AT_ONCE, DRAWS - done)) for pair in ((x, y, True), (s, t, False)) for done in range(0, DRAWS, AT_ONCE)):
        session = Session()
        session.sample(a, "A")
        session.sample(b, "B")
        for _ in range(many):
            draw(session, a)
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
                    if v[0] == "ok" and cell(v, 12) > 0:
                        r["seen"].append(cell(v, 12))
                session.ask(f"delta {m} 0.05 0 0 0 0", difference)
                if harm[m] * (-1 if m in LOSSES else 1) < 0:
                    session.ask(f"verdict {m} 0.05 {abs(harm[m])!r}", lambda v, r=r: (
                        r["noninferior"].add(v[1] == "1"), r["equivalent"].add(v[0] == "equivalent")))
        session.run()
    enough = {}
    least = n if s.label is None else n * np.bincount(s.label).min() / s.n
    for m, r in rates.items():
        r["changed"] = changes(s, t, n, m, r["changed"])
        r["effective"], linear = effective[m]
        r["seen"] = np.mean(r["seen"]) if r["seen"] else 0
        enough[m] = r["changed"] >= CHANGED and (not linear or r["effective"] >= EFFECTIVE)
    return [(title, n, m, r, n >= ROWS and least >= PER_CLASS and enough[m]) for m, r in rates.items()]


def skewed(rng):
    """Amounts: always positive, some of them large."""
    middle = np.exp(0.7 * rng.normal(size=20000) + 1)
    s = Sample(NUMBERS, 20000, truth=middle * rng.gamma(3, size=20000) / 3, estimate=middle * np.exp(0.2 * rng.normal(size=20000)))
    worse = np.where(rng.random(s.n) < 0.6, s.estimate * np.exp(0.4 * rng.normal(size=s.n)), s.estimate)
    return s, s.but(estimate=worse)


def queries(rng, count=20000, rows=8):
    n = count * rows
    y = rng.choice([0.0, 0.0, 0.0, 1.0, 2.0], n)
    s = Sample(RANKING, n, truth=y, estimate=rng.normal(size=n) + 0.7 * y, group=np.repeat(np.arange(count), rows))
    return s, s.but(estimate=s.estimate + np.where(rng.random(n) < 0.5, 0.6 * rng.normal(size=n), 0))


def sets(rng, n=20000):
    y = (0.8 * rng.normal(size=(n, 5)) + 0.6 * rng.normal(size=(n, 1)) < [0, -0.5, -0.8, -1, -1.3]).astype(int)
    z = 1.5 * (2 * y - 1) + 1.5 * rng.normal(size=y.shape)
    other = z + (rng.random((n, 1)) < 0.5) * (rng.normal(size=y.shape) - 0.3 * (2 * y - 1))
    s = Sample(MULTILABEL, n, 5, -1, score=sigmoid(z), labels=y, preds=(z >= 0).astype(int))
    return s, s.but(score=sigmoid(other), preds=(other >= 0).astype(int))


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
    for name, (s, t), metrics in (("amounts", skewed(rng), SKEWED), ("rankings", queries(rng), QUERIES), ("sets of labels", sets(rng), SETS)):
        out += [(name, s, t, n, metrics) for n in (100, 300)]
        if name == "amounts":
            more, at = [(name, s, t, n, metrics) for n in (1000, 3000)], len(out)
    out = list(enumerate(out + more))  # a scenario's seed is its place in this list, whatever comes to be told in another one
    out = [(*o[:4], [m for m in o[4] if not ONLY or m in ONLY], i) for i, o in out[:at] + out[-len(more):] + out[at:-len(more)]]
    return [o for o in out if o[4]]


PROMISES = [("interval", 0.94, 0.96), ("difference", 0.94, 0.96), ("null", 0.04, 0.06), ("noninferior", 0, 0.035),
            ("equivalent", 0, 0.035)]


def judged(metric, kind, count, low, high):
    """Whether the rate lies where it is promised to, give or take 3 Monte Carlo standard errors; None: known not to."""
    if metric == "accuracy" and high == 0.035:
        high = 0.025
    near = high if low == 0 else 0.95 if high > 0.5 else 0.05
    slack, rate = 3 * np.sqrt(near * (1 - near) / count.n), count.hits / count.n
    if low - slack <= rate <= high + slack:
        return True, ""
    known = KNOWN.get((metric, kind))
    if known is not None and (rate <= known if low == 0 else rate >= known):
        return None, ""
    return False, f"wanted {low} to {high}, give or take {slack:.4f}"


def row(title, n, m, r, promised):
    cells = []
    for kind, low, high in PROMISES:
        c = r[kind]
        text = f"{c.hits / c.n:.3f}" if c.n else "–"
        mark = "" if promised else "*"
        if promised and c.n and not judged(m, kind, c, low, high)[0]:
            mark = "**"
        cells.append(mark + text + mark)
    effective = [f"{x:.1f}" if 0 < x < 10 else f"{x:.0f}" if x else "–" for x in (r["effective"], r["seen"])]
    return f"| {title} | {n} | {m} | {r['changed']:.0f} | {effective[0]} | {effective[1]} | " + " | ".join(cells) + " |"


def discrete():
    """Sizes of the methods of counts, from all that may come out."""
    sizes = (30, 50, 100, 300, 1000)
    tango, midp = {n: tango_exact(n) for n in sizes}, midp_exact(sizes)
    methods = (("Wilson: interval holds", wilson_exact), ("Tango: interval holds", lambda n: tango[n][0]),
               ("Tango: harm passes as not inferior", lambda n: tango[n][1]), ("McNemar mid-p: null rejected", midp.get))
    return [f"| {name} | {n} | {worst:.4f} | {where} | {mean:.4f} |" for name, of in methods for n in sizes for where, worst, mean in (of(n),)]


def table(results, path):
    """Rows that weren't measured now stay."""
    rows = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            rows = {tuple(line.split(" | ")[:3]): line.rstrip("\n") for line in f if line.count(" | ") == 10 and not line.startswith("| data ")}
    for r in results:
        line = row(*r)
        rows[tuple(line.split(" | ")[:3])] = line
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"# Error rates\n\nWritten by `tests/long/error_rates.py --table`: {DRAWS} draws each, nominal .95 and .05. A margin is as large as "
                "the true harm, so that passing\nis an error. Rates in *italics* are promised by no rule: fewer than "
                f"{ROWS} rows, {CHANGED} expected changed rows (in each class, where a metric weighs classes alike), {PER_CLASS} rows a\nclass or, where the linearised "
                f"difference alone makes the interval, {EFFECTIVE} effective rows. What falls short of what is promised (coverage .94\nto .96, rejections "
                ".04 to .06, harms passed .025 for accuracy and .035 else, give or take 3 Monte Carlo standard errors) is **bold**.\n\n"
                "Effective rows are how many make the difference, (Σd²)²/Σd⁴ (see ml-card(5)): as many as change where all change alike, a handful of "
                "them\nwhere errors have a long tail, as in \"amounts\", and then no interval can be relied on (Bahadur & Savage 1956, Ann. Math. Statist. 27, 1115); "
                "more rows help\nslowly. They are those expected of the whole population, and beside it what the rows drawn show on average, which is "
                "more, because the largest\nare rarely among them: what ml-compare shows, and warns of.\n\n"
                "| data | rows | metric | changed | effective | as drawn | interval holds | interval of the difference holds | null rejected | harm passes as not inferior "
                "| as equivalent |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
        f.write("\n".join(rows.values()))
        f.write("\n\n## Methods of counts\n\nExact, from all that may come out, nominal .95, .025 and .05. Wilson: of all shares, the worst right beside "
                "a limit (near 0 or 1, where\none row more or less is all). Tango: of 2 to 50 % discordant rows and differences from none to all of them. "
                "McNemar: of all shares of\ndiscordant rows; it can't reach .05 where next to none are. Means are over the shares (Tango: over the pairs of "
                "both).\n\n| method | rows | worst | where | mean |\n|---|---:|---:|---|---:|\n")
        f.write("\n".join(discrete()) + "\n")


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
                short = "" if good is not None else ", which falls short as is known"
                tap.count(f"{title}, n {n}, {m}: {kind} {r[kind].hits / r[kind].n:.4f}{short}", good is not False, wanted)
    if len(sys.argv) == 3 and sys.argv[1] == "--table":
        table(results, sys.argv[2])
    tap.finish()


if __name__ == "__main__":
    main()
