# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated samples, the driver that measures them in C, and TAP lines that say how many cases ran."""
import math
import os
import subprocess
import sys

import numpy as np
from scipy import special

TOP = os.environ.get("TOP", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DRIVER = os.path.join(TOP, os.environ.get("B", "build"), "tests", "parity", "stats_driver")

BINARY, MULTICLASS, REGRESSION, MULTILABEL = 1, 2, 4, 8
LONG = os.environ.get("MLCI_LONG", "") != ""  # tests/long/test_parity.sh


def some(n, share=3):
    """Of n cases that are alike in kind, how many are made: all of them in tests/long."""
    return n if LONG else max(n // share, 1)


def student(p, df):
    """Student's quantile from the incomplete beta function's inverse: scipy's own is Cephes', which is off by up to 4e-9."""
    if df > 1e5:  # Fisher & Cornish 1960, Technometrics 2, 209: what is left out is of order df^-3
        z = special.ndtri(p)
        return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    rest = special.betaincinv(df / 2, 0.5, 2 * (1 - p))
    part = special.betaincinv(0.5, df / 2, 2 * p - 1)
    return math.sqrt(df * ((1 - rest) / rest if rest < 0.5 else part / (1 - part)))


class Sample:
    """Columns of one evaluation, as struct ml_sample has them."""

    def __init__(self, task, n, classes=0, positive=-1, label=None, pred=None, score=None, truth=None, estimate=None,
                 weight=None, group=None, rows=None, labels=None, preds=None, costs=None):
        self.task, self.n, self.classes, self.positive = task, n, classes, positive
        self.label, self.pred, self.score = label, pred, score
        self.truth, self.estimate = truth, estimate
        self.weight, self.group, self.rows = weight, group, rows
        self.labels, self.preds = labels, preds  # multilabel: 0/1, rows by classes
        self.costs = costs  # of a wrong answer, and [(label, prediction, cost)]

    def words(self, slot):
        columns = [(1, self.label), (2, self.pred), (4, self.score)]
        mask = sum(bit for bit, c in columns if c is not None)
        mask += 8 * (self.truth is not None) + 16 * (self.weight is not None) + 32 * (self.group is not None)
        mask += 64 * (self.labels is not None) + 128 * (self.preds is not None)
        out = [f"sample {slot} {self.task} {self.n} {self.classes} {self.positive} {mask}"]
        for c in (self.label, self.pred, self.labels, self.preds, self.score, self.truth, self.estimate, self.weight):
            if c is not None:
                out.append(text(c))
        if self.group is not None:
            out.append(f"{int(max(self.group)) + 1 if self.n else 0} {text(self.group)}")
        rows = [] if self.rows is None else self.rows
        out.append(f"{len(rows)} {text(rows)}")
        if self.costs is not None:
            out.append(f"costs {slot} {self.costs[0]} {len(self.costs[1])} {text(self.costs[1])}")
        return "\n".join(out)

    def taken(self):
        """The rows that are measured: those of the slice, without weight 0."""
        rows = np.arange(self.n) if self.rows is None else np.asarray(self.rows)
        if self.weight is not None:
            rows = rows[np.asarray(self.weight)[rows] > 0]
        return Sample(self.task, len(rows), self.classes, self.positive, *[
            None if c is None else np.asarray(c)[rows]
            for c in (self.label, self.pred, self.score, self.truth, self.estimate, self.weight, self.group)],
            labels=None if self.labels is None else self.labels[rows],
            preds=None if self.preds is None else self.preds[rows])

    def but(self, **changes):
        other = Sample.__new__(Sample)
        other.__dict__.update(self.__dict__)
        other.__dict__.update(changes)
        return other


def text(values):
    return " ".join(repr(x) for x in np.asarray(values).ravel().tolist())


class Session:
    """Commands go in, and each answer comes back to the function that was left with its command."""

    def __init__(self):
        self.commands, self.takers = [], []

    def sample(self, sample, slot="A"):
        self.commands.append(sample.words(slot))

    def ask(self, command, taker):
        self.commands.append(command)
        self.takers.append(taker)

    def run(self):
        done = subprocess.run([DRIVER], input="\n".join(self.commands) + "\n", capture_output=True, text=True)
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) != len(self.takers):
            raise RuntimeError(f"driver: exit {done.returncode}, {len(lines)} answers to {len(self.takers)} questions, "
                               f"{done.stderr[-300:]}")
        for line, taker in zip(lines, self.takers):
            taker(line.split())


def drawn_values(models, names, draws):
    """By name, each model's values on the rows of each draw: an array of draws by models."""
    session, out = Session(), {name: np.full((len(draws), len(models)), math.nan) for name in names}
    for slot, s in zip("AB", models):
        session.sample(s, slot)
    for i, rows in enumerate(draws):
        for j, slot in enumerate("AB"[:len(models)]):
            session.commands.append(f"draw {slot} {len(rows)} {text(rows)}")
            for name in names:
                def take(a, at=out[name], i=i, j=j):
                    if a[0] == "ok":
                        at[i, j] = float(a[1])
                session.ask(f"value {slot} {name}", take)
    session.run()
    return out


def values_of_both(s, t, metrics):
    """By slot ("A" is s, "B" is t) and metric."""
    session, out = Session(), {}
    session.sample(s, "A")
    session.sample(t, "B")
    for m in metrics:
        for slot in "AB":
            session.ask(f"value {slot} {m}", lambda a, k=(slot, m): out.update({k: float(a[1])}))
    session.run()
    return out


class Tap:
    """One line a subject: how many comparisons were made, and the first that differ."""

    def __init__(self):
        self.subjects, self.order = {}, []

    def count(self, subject, good, message=""):
        if subject not in self.subjects:
            self.subjects[subject] = [0, []]
            self.order.append(subject)
        self.subjects[subject][0] += 1
        if not good:
            self.subjects[subject][1].append(message)

    def close(self, subject, got, want, rel=1e-9, absolute=1e-12, context=""):
        same = len(got) == len(want) and all(
            math.isclose(g, w, rel_tol=rel, abs_tol=absolute) for g, w in zip(got, want))
        self.count(subject, same, f"{context}: got {got}, want {list(want)}" if not same else "")

    def finish(self):
        total = 0
        for i, subject in enumerate(self.order, 1):
            cases, bad = self.subjects[subject]
            total += cases
            print(f"{'not ok' if bad else 'ok'} {i} - {subject}: {cases} cases" + (f", {len(bad)} differ" if bad else ""))
            for message in bad[:3]:
                print(f"#   {message}")
        print(f"1..{len(self.order)}")
        print(f"# {total} cases compared")
        sys.exit(any(bad for _, bad in self.subjects.values()))


def run_parts(seed, *parts):
    """Each part asks its questions of one session, and counts what comes back."""
    tap, session, rng = Tap(), Session(), np.random.default_rng(seed)
    for part in parts:
        part(tap, session, rng)
    session.run()
    tap.finish()


def errors_of_bootstrap(tap, session, rng, models, names, draws):
    """Standard errors of the first of two models' values, and of their differences, against rows drawn again."""
    for slot, s in zip("AB", models):
        session.sample(s, slot)
    n = models[0].n
    for name, pairs in drawn_values(models, names, [rng.integers(0, n, n) for _ in range(draws)]).items():
        for command, drawn in ((f"estimate A {name} 0.95 0 0 0 0", pairs[:, 0]),
                               (f"delta {name} 0.05 0 0 0 0", pairs[:, 1] - pairs[:, 0])):
            def take(a, want=np.std(drawn, ddof=1), command=command):
                tap.count("standard errors are the bootstrap's, within 3 Monte Carlo errors",
                          abs(math.log(float(a[2]) / want)) < 3 / math.sqrt(2 * draws) + 0.03,
                          f"{command}: {a[2]}, bootstrap {want}")
            session.ask(command, take)


def weights_for(rng, n, kind):
    if kind == "none":
        return None
    if kind == "alike":
        return np.full(n, 2.5)
    if kind == "whole":
        return rng.integers(1, 5, n).astype(float)
    if kind == "zeros":
        w = rng.gamma(0.7, size=n) * (rng.random(n) < 0.7)
        w[rng.integers(n)] = 1.0
        return w
    w = rng.gamma(0.7, size=n) + 1e-3
    return w * {"real": 1.0, "huge": 1e307, "tiny": 1e-307}[kind]


WEIGHTS = ("none", "none", "real", "whole", "alike", "zeros", "huge", "tiny")


def take_slice(rng, s):
    """Now and then only some of the rows are measured, of which one has a weight."""
    if rng.random() < 0.2:
        s.rows = rng.choice(s.n, int(rng.integers(1, s.n + 1)), replace=False)
        if s.weight is not None and not (s.weight[s.rows] > 0).any():
            s.rows = None


def binary_case(rng, n, weight="none", skill=1.0, ties=False, shape="plain"):
    """Labels, scores and predictions of a classifier whose skill is a shift of the positives' scores."""
    positive = int(rng.integers(2))
    y = rng.random(n) < rng.choice([0.1, 0.3, 0.5, 0.8])
    if shape == "one class":
        y[:] = rng.random() < 0.5
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + skill * (2 * y - 1))))
    if shape == "perfect":
        s = np.where(y, 0.6 + 0.4 * s, 0.4 * s)
    if shape == "wrong":
        s = np.where(y, 0.4 * s, 0.6 + 0.4 * s)
    if ties:
        s = np.round(s, int(rng.integers(0, 2)))
    p = s >= 0.5
    if shape == "never":
        p[:] = False
    if shape == "always":
        p[:] = True
    label = np.where(y, positive, 1 - positive)
    pred = np.where(p, positive, 1 - positive)
    return Sample(BINARY, n, 2, positive, label, pred, s, weight=weights_for(rng, n, weight))


def multi_case(rng, n, classes, weight="none", skill=1.5, ties=False, shape="plain"):
    shares = rng.dirichlet(np.full(classes, 2.0))
    y = rng.choice(classes, n, p=shares)
    if shape == "one class":
        y[:] = rng.integers(classes)
    z = rng.normal(size=(n, classes))
    z[np.arange(n), y] += skill if shape != "wrong" else -9
    if shape == "perfect":
        z[np.arange(n), y] += 9
    s = np.exp(z)
    if ties:
        s = np.maximum(np.round(s), 0.5)
    s /= s.sum(1, keepdims=True)
    pred = s.argmax(1)
    if shape == "never":
        pred[:] = 0
    return Sample(MULTICLASS, n, classes, -1, y, pred, s, weight=weights_for(rng, n, weight))


def label_case(rng, n, classes, weight="none", skill=1.2, ties=False, shape="plain"):
    """Sets of labels; some rows have none, some classes are rare or on every row."""
    share = rng.choice([0.02, 0.1, 0.3, 0.6], classes)
    y = (rng.random((n, classes)) < share).astype(int)
    if shape == "no label":
        y[:] = 0
    if shape == "all labels":
        y[:] = 1
    if shape == "one class":
        y[:, 0], y[:, -1] = 1, 0
    s = 1 / (1 + np.exp(-(rng.normal(size=(n, classes)) + skill * (2 * y - 1))))
    if shape == "perfect":
        s = np.where(y, 0.6 + 0.4 * s, 0.4 * s)
    if shape == "wrong":
        s = np.where(y, 0.4 * s, 0.6 + 0.4 * s)
    if ties:
        s = np.round(s, int(rng.integers(0, 2)))
    pred = (s >= 0.5).astype(int)
    if shape == "never":
        pred[:] = 0
    if shape == "always":
        pred[:, rng.integers(classes)] = 1
    return Sample(MULTILABEL, n, classes, -1, score=s, weight=weights_for(rng, n, weight), labels=y, preds=pred)


def number_case(rng, n, weight="none", shape="plain"):
    y = rng.normal(size=n) * 3 + 10
    e = rng.standard_t(4, size=n)
    if shape == "constant":
        y[:] = y[0]
    if shape == "perfect":
        e[:] = 0
    if shape == "ties":
        y, e = np.round(y), np.round(e)
    if shape == "huge":
        y, e = y * 10.0 ** rng.uniform(100, 306.5), e * 10.0 ** rng.uniform(100, 306.5)
    if shape == "tiny":
        y, e = y * 10.0 ** rng.uniform(-306, -100), e * 10.0 ** rng.uniform(-306, -100)
    return Sample(REGRESSION, n, truth=y, estimate=y + e, weight=weights_for(rng, n, weight))
