#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not matter: the order of the rows, the names of the classes, the number of processors, and (for values) whether rows
are there twice or weigh double. All metrics of all tasks, through the tools."""
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

from stats_cases import TOP, some

BIN = os.path.join(TOP, os.environ.get("B", "build"), "bin")
MANY = some(150000, 2)  # rows that are cut into several blocks, here and there


def write(path, columns):
    names = list(columns)
    with open(path, "w", encoding="utf-8") as f:
        f.write(",".join(names) + "\n")
        f.writelines(",".join(row) + "\n" for row in zip(*(map(str, columns[c]) for c in names)))


def tool(name, *args, one=False):
    command = (["taskset", "-c", str(min(os.sched_getaffinity(0)))] if one else []) + [os.path.join(BIN, name), "-q", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def binary(rng, n):
    y = rng.random(n) < 0.3
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.2 * y - 0.6)))
    s = np.round(s, 3)  # ties
    return {"id": np.arange(n), "label": y.astype(int), "prediction": (s >= 0.5).astype(int), "score": s}, ["--score", "score"]


def multiclass(rng, n):
    y = rng.integers(0, 4, n)
    p = rng.dirichlet(np.ones(4), n) + 0.7 * np.eye(4)[y]
    p /= p.sum(1, keepdims=True)
    return {"id": np.arange(n), "label": np.array(list("abcd"))[y], "prediction": np.array(list("abcd"))[p.argmax(1)],
            **{f"p_{c}": p[:, i] for i, c in enumerate("abcd")}}, ["--scores", "p_"]


def regression(rng, n):
    y = rng.gamma(3, size=n)
    return {"id": np.arange(n), "label": y, "prediction": y * np.exp(rng.normal(size=n) / 5)}, ["--task", "regression"]


def ranking(rng, n):
    y = rng.integers(0, 4, n)
    return {"id": np.arange(n), "label": y, "score": np.round(y + 2 * rng.normal(size=n), 1), "query": rng.integers(0, n // 20, n)}, [
        "--task", "ranking", "--group", "query", "--score", "score"]


def multilabel(rng, n):
    truth = rng.random((n, 4)) < 0.4
    score = np.round(np.clip(truth * 0.3 + rng.random((n, 4)) * 0.7, 0, 1), 2)
    sets = lambda m: [";".join(c for c, on in zip("abcd", row) if on) for row in m]  # noqa: E731
    return {"id": np.arange(n), "label": sets(truth), "prediction": sets(score > 0.5), **{f"p_{c}": score[:, i] for i, c in enumerate("abcd")}}, [
        "--task", "multilabel", "--scores", "p_"]


def probabilistic(rng, n):
    columns, _ = binary(rng, n)
    del columns["prediction"]
    return columns, ["--task", "probabilistic", "--score", "score"]


TASKS = {"binary": binary, "probabilistic": probabilistic, "multiclass": multiclass, "regression": regression, "ranking": ranking, "multilabel": multilabel}


def shuffled(rng, columns):
    order = rng.permutation(len(columns["id"]))
    return {k: np.asarray(v)[order] for k, v in columns.items()}


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good, text, why=""):
        self.n += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {text}" + (f"\n#   {why}" if not good else ""), flush=True)


def numbers(metric, keys=("value", "low", "high", "se")):
    return [metric.get(k) for k in keys]


def differing(a, b, keys, rel=1e-9):
    """Metrics whose numbers aren't the same but for rounding; those of bootstraps draw other rows."""
    out = []
    if set(a) != set(b):
        return [f"{sorted(set(a) ^ set(b))}"]
    if any(m.get("interval") == "bootstrap" for m in a.values()):  # Holm's method corrects all by each other
        keys = tuple(k for k in keys if k != "p_adjusted")
    for name, m in a.items():
        bootstrapped = "bootstrap" in (m.get("interval"), b[name].get("interval"))
        for x, y in zip(numbers(m, keys if not bootstrapped else keys[:1]), numbers(b[name], keys)):
            if (x is None) != (y is None) or (x is not None and not math.isclose(x, y, rel_tol=rel, abs_tol=1e-12)):
                out.append(f"{name}: {x} and {y}")
    return out


def relabelled(columns):
    """Other names in another order; binary keeps which one is positive."""
    swap = dict(zip("abcd", "zwyx"))
    out = {}
    for k, v in columns.items():
        if k in ("label", "prediction"):
            out[k] = [";".join(swap[c] for c in s.split(";") if c) for s in v]
        else:
            out[f"p_{swap[k[2:]]}" if k.startswith("p_") else k] = v
    return out


def another(rng, task, columns):
    """A second model's answers, of which one in five is another row's."""
    other, n = dict(columns), len(columns["id"])
    from_row = np.where(rng.random(n) < 0.2, rng.permutation(n), np.arange(n))
    for key in columns:
        if key.startswith("p_") or key == ("score" if "score" in columns else "prediction"):
            other[key] = np.asarray(columns[key])[from_row]
    if task == "binary":
        other["prediction"] = (other["score"] >= 0.5).astype(int)
    return other


def parts(tap, rng, task, make):
    """Groups, weights and slices don't care for the order of the rows either."""
    columns, options = make(rng, 3000)
    columns.update(weight=rng.integers(1, 4, 3000), part=rng.integers(0, 3, 3000), x=rng.normal(size=3000))
    if task == "ranking":
        del columns["weight"]
    else:
        columns["owner"] = rng.integers(0, 600, 3000)
        options = [*options, "--group", "owner", "--weight", "weight"]
    everything = [*options, "--metric", "all", "--slice", "part", "--slice", "x:2,part"]
    other = another(rng, task, columns)
    for name, rows in (("a", columns), ("b", shuffled(rng, columns)), ("x", other), ("y", shuffled(rng, other))):
        write(f"{name}.csv", rows)
    a, b = (tool("ml-eval", *everything, f)["evaluation"] for f in ("a.csv", "b.csv"))
    x, y = (tool("ml-compare", *everything, "--current", f, "--candidate", g)["comparison"] for f, g in (("a.csv", "x.csv"), ("b.csv", "y.csv")))
    for what, one, two, keys, rel in (("", a, b, ("value", "low", "high", "se"), 1e-9),
                                      ("differences of ", x, y, ("delta", "low", "high", "se", "p", "p_adjusted", "effective"), 1e-7)):
        d = differing(one["metrics"], two["metrics"], keys, rel)
        for name, part in one["slices"].items():
            d += [f"{name}: {text}" for text in differing(part["metrics"], two["slices"][name]["metrics"], keys, rel)]
        good = not d and list(one["slices"]) == list(two["slices"]) and len(one["slices"]) == 9
        tap.ok(good, f"{task}: nor is it of weight to {what}metrics with weights, of groups and in slices", d)


def check(tap, rng, task, make):
    columns, options = make(rng, 3000)
    everything = [*options, "--metric", "all"]
    write("a.csv", columns)
    write("b.csv", shuffled(rng, columns))
    a, b = (tool("ml-eval", *everything, f)["evaluation"] for f in ("a.csv", "b.csv"))
    four = ("value", "low", "high", "se")
    d = differing(a["metrics"], b["metrics"], four)
    tap.ok(not d and a["data"] == b["data"], f"{task}: the order of the rows doesn't matter to {len(a['metrics'])} metrics", d)
    if task in ("multiclass", "multilabel"):
        write("c.csv", relabelled(columns))
        c = tool("ml-eval", *everything, "c.csv")["evaluation"]["metrics"]
        ordered = {"cohen_kappa_linear", "cohen_kappa_quadratic"}  # of classes that have an order
        d = differing({k: v for k, v in a["metrics"].items() if k not in ordered}, {k: v for k, v in c.items() if k not in ordered}, four)
        tap.ok(not d, f"{task}: nor do the names of the classes", d)
    weight = rng.integers(1, 4, 3000)
    times = np.repeat(np.arange(3000), weight)
    write("w.csv", {**columns, "weight": weight})
    write("t.csv", {k: np.asarray(v)[times] if k != "id" else np.arange(len(times)) for k, v in columns.items()})
    if task != "ranking":  # there a row twice is another list
        w, t = (tool("ml-eval", *everything, *more)["evaluation"]["metrics"] for more in (["--weight", "weight", "w.csv"], ["t.csv"]))
        by_rows = {n for n in w if "@" in n and n.split("@")[0] in ("precision", "recall", "lift")}  # the top K rows, not weights
        d = differing({k: v for k, v in w.items() if k not in by_rows}, {k: v for k, v in t.items() if k not in by_rows}, ("value",))
        tap.ok(not d, f"{task}: a row with a weight of 3 counts as three rows, for values", d)
    other = another(rng, task, columns)
    write("x.csv", other)
    write("y.csv", shuffled(rng, other))
    x, y = (tool("ml-compare", *everything, "--current", "a.csv", "--candidate", f)["comparison"]["metrics"] for f in ("x.csv", "y.csv"))
    d = differing(x, y, ("delta", "low", "high", "se", "p", "p_adjusted", "effective"), 1e-9)
    tap.ok(not d, f"{task}: nor to {len(x)} differences, in whatever order the two files are", d)
    z = tool("ml-compare", *everything, "--current", "x.csv", "--candidate", "a.csv")["comparison"]["metrics"]
    d = [n for n, m in x.items() if m["delta"] is not None and not math.isclose(m["delta"], -z[n]["delta"], rel_tol=1e-9, abs_tol=1e-12)
         or m["p"] is not None and m["test"] != "bootstrap" and not math.isclose(m["p"], z[n]["p"], rel_tol=1e-9, abs_tol=1e-12)]
    d += [n for n, m in x.items() if m["interval"] == "tango" and (m["low"] != -z[n]["high"] or m["high"] != -z[n]["low"])]
    tap.ok(not d, f"{task}: which of the two is current only turns the sign", d)


def units(tap, rng, task, make):
    """Weights have no unit, even where they add up to more than a double holds; nor have numbers of a regression one."""
    columns, options = make(rng, 300)
    weight, other = rng.integers(0, 5, 300).astype(float), another(rng, task, columns)
    options = [*options, "--metric", "all", "--slice", "part"]
    columns["part"] = other["part"] = rng.integers(0, 3, 300)
    said = []
    for e in (0, 1021, -1074):
        for name, rows in (("a", columns), ("b", other)):
            write(f"{name}.csv", {**rows, "weight": np.ldexp(weight, e)})
        weighted = [*options, "--weight", "weight"]
        one, two = tool("ml-eval", *weighted, "a.csv")["evaluation"], tool("ml-compare", *weighted, "--current", "a.csv", "--candidate", "b.csv")["comparison"]
        said.append([one["metrics"], one["slices"], one["weights"], one.get("calibration"), two["metrics"], two["slices"], two.get("classes")])
    tap.ok(all(x == said[0] for x in said), f"{task}: weights are in any unit")
    if task != "regression":
        return
    found = []
    for e in (0, 600, -600, 1000, -1000):
        for name, rows in (("a", columns), ("b", other)):
            write(f"{name}.csv", {k: np.ldexp(v, e) if k in ("label", "prediction") else v for k, v in rows.items()})
        m = tool("ml-compare", "--task", "regression", "--metric", "median_ae", "--metric", "mae", "--metric", "rmse", "--current", "a.csv", "--candidate", "b.csv")
        found.append([[math.ldexp(v[k], -e) for k in ("delta", "low", "high", "se")] + [v["p"], v["verdict"]] for v in map(m["comparison"]["metrics"].get, ("median_ae", "mae", "rmse"))])
    tap.ok(all(x == found[0] for x in found), "regression: numbers are in any unit", found)


def ties(tap, rng):
    """Of rows of equal score none is above the others, whichever comes first: metrics of the top rows cut through them."""
    bad = []
    metrics = [x for m in ("all", "precision@10", "recall@10", "precision@3", "lift@30%") for x in ("--metric", m)]
    for case in range(some(40, 8)):
        n, levels = int(rng.integers(31, 400)), int(rng.integers(1, 12))
        columns, _ = binary(rng, n)
        columns["score"] = np.floor(np.asarray(columns["score"]) * levels) / levels
        columns["weight"] = rng.integers(1, 5, n)
        options = [*metrics, "--score", "score"] + (["--weight", "weight"] if case % 2 else [])
        found = []
        for order in (np.argsort(columns["label"], kind="stable"), np.argsort(1 - columns["label"], kind="stable"), rng.permutation(n)):
            write("t.csv", {k: np.asarray(v)[order] for k, v in columns.items()})
            found.append(tool("ml-eval", *options, "t.csv")["evaluation"]["metrics"])
        bad += [d for other in found[1:] for d in differing(found[0], other, ("value", "low", "high", "se"))]
    tap.ok(not bad, "ties: their order doesn't matter", bad[:3])


def processors(tap, rng, task, make):
    columns, options = make(rng, MANY)
    write("a.csv", columns)
    write("b.csv", another(rng, task, columns))
    evaluate = ["ml-eval", *options, "--metric", "all", "a.csv"]
    names = sorted(set(tool(*evaluate)["evaluation"]["metrics"]))
    compare = ["ml-compare", *options, *(x for name in names for x in ("--metric", name)), "--current", "a.csv", "--candidate", "b.csv"]
    for args in (evaluate, compare):
        many, one = tool(*args), tool(*args, one=True)
        tap.ok(many == one, f"{task}: {args[0]} says the same of {len(names)} metrics on one processor and on {len(os.sched_getaffinity(0))}")


def known(task):
    done = subprocess.run([os.path.join(BIN, "ml-eval"), "--help"], capture_output=True, text=True, check=True)
    return task in done.stdout or task in ("binary", "multiclass", "regression")


def main():
    rng, tap = np.random.default_rng(9), Tap()
    for task, make in TASKS.items():
        if not known(task):
            continue
        check(tap, rng, task, make)
        parts(tap, rng, task, make)
        if task != "ranking":  # rows of a query have one weight
            units(tap, np.random.default_rng(10), task, make)
        processors(tap, rng, task, make)
    ties(tap, rng)
    print(f"1..{tap.n}")
    return tap.bad > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.exit(main())
