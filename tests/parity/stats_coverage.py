# SPDX-License-Identifier: GPL-3.0-or-later
"""How often intervals hold the truth: draws from finite populations whose values are known exactly."""
import warnings

import numpy as np
from scipy import special, stats

from stats_cases import BINARY, MULTICLASS, MULTILABEL, REGRESSION, Sample, Session

warnings.filterwarnings("ignore")

POPULATION = 20000
Z95 = float(stats.norm.ppf(0.975))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def binary(rng, share=0.4, skill=1.0, groups=0, weight=False, size=POPULATION):
    y = rng.random(size) < share
    z = rng.normal(size=size)
    group = None
    if groups:
        group = np.repeat(np.arange(groups), size // groups)
        z = 0.8 * z + 0.6 * rng.normal(size=groups)[group]
    score = sigmoid(1.5 * skill * (2 * y - 1) + 1.5 * z)
    return Sample(BINARY, size, 2, 1, y.astype(int), (score >= 0.5).astype(int), score, group=group,
                  weight=rng.gamma(2, size=size) if weight else None)


def multiclass(rng, classes=4, skill=1.2, shares=None):
    y = rng.choice(classes, POPULATION, p=shares)
    z = rng.normal(size=(POPULATION, classes))
    z[np.arange(POPULATION), y] += skill
    score = np.exp(z)
    score /= score.sum(1, keepdims=True)
    return Sample(MULTICLASS, POPULATION, classes, -1, y, score.argmax(1), score)


def sets(rng, shares=(0.15, 0.2, 0.3, 0.5), skill=1.2):
    """Sets of labels; how sure the scores of a row are has a part that all classes share."""
    y = (rng.random((POPULATION, len(shares))) < shares).astype(int)
    z = 0.8 * rng.normal(size=y.shape) + 0.6 * rng.normal(size=(POPULATION, 1)) + skill * (2 * y - 1)
    return Sample(MULTILABEL, POPULATION, len(shares), -1, score=sigmoid(z), labels=y, preds=(z >= 0).astype(int))


def numbers(rng):
    y = rng.normal(size=POPULATION) * 3
    return Sample(REGRESSION, POPULATION, truth=y, estimate=y + rng.normal(size=POPULATION))


def second(rng, s, share=0.3, gain=0.0):
    """Another model on the same rows, moved in a share of them, a little towards the truth for a positive gain."""
    move = rng.random(s.n) < share
    if s.task == REGRESSION:
        return s.but(estimate=np.where(move, s.estimate + 0.5 * rng.normal(size=s.n) + gain * (s.truth - s.estimate), s.estimate))
    if s.task == MULTILABEL:
        z = np.log(s.score / (1 - s.score)) + rng.normal(size=s.score.shape) + gain * (2 * s.labels - 1)
        score = np.where(move[:, None], sigmoid(z), s.score)
        return s.but(score=score, preds=(score >= 0.5).astype(int))
    if s.task == BINARY:
        z = np.log(s.score / (1 - s.score)) + rng.normal(size=s.n) + gain * (2 * s.label - 1)
        score = np.where(move, sigmoid(z), s.score)
        return s.but(score=score, pred=(score >= 0.5).astype(int))
    z = np.log(s.score) + rng.normal(size=s.score.shape)
    z[np.arange(s.n), s.label] += gain
    score = np.where(move[:, None], np.exp(z), s.score)
    score /= score.sum(1, keepdims=True)
    return s.but(score=score, pred=score.argmax(1))


def wilson_exact(n):
    """Coverage at a share p, for p on a fine grid and right beside each limit, where it is least. Returns (where, rate) twice: the worst,
    and the mean over the grid."""
    limits, session = [], Session()
    for k in range(n + 1):
        session.ask(f"wilson {k / n!r} {n} 0 {Z95!r}", lambda a: limits.append([float(x) for x in a[:2]]))
    session.run()
    low, high = np.array(limits).T
    grid = (np.arange(1000) + 0.5) / 1000
    beside = np.concatenate([low - 1e-12, high + 1e-12])
    p = np.concatenate([grid, beside[(beside > 0) & (beside < 1)]])
    rate = np.array([(stats.binom.pmf(np.arange(n + 1), n, x) * ((low <= x) & (x <= high))).sum() for x in p])
    return f"p = {p[rate.argmin()]:.4f}", rate.min(), rate[:len(grid)].mean()


def midp_exact(sizes):
    """How often the test rejects two models alike at .05, of which a share of rows is discordant: for each n the worst share, and the mean
    over all from 0 to 1."""
    most, rejects, session = max(sizes), np.zeros(max(sizes) + 1), Session()
    for m in range(1, most + 1):
        pmf = stats.binom.pmf(np.arange(m // 2 + 1), m, 0.5)
        for k in range(m // 2 + 1):
            if pmf[k] > 1e-18:
                session.ask(f"function midp {k} {m - k} 0", lambda a, m=m, q=pmf[k] * (1 if 2 * k == m else 2): rejects.__setitem__(
                    m, rejects[m] + q * (float(a[0]) <= 0.05)))
    session.run()
    shares = (np.arange(200) + 0.5) / 200
    out = {}
    for n in sizes:
        rate = np.array([(stats.binom.pmf(np.arange(n + 1), n, x) * rejects[:n + 1]).sum() for x in shares])
        out[n] = f"discordant {shares[rate.argmax()]:.4f}", rate.max(), rate.mean()
    return out


def tango_exact(n):
    """Coverage, and how often the lower limit lies above the truth, over shares of discordant rows from 2 % to 50 % and differences from
    0 to all of them."""
    b, c = np.array([(b, m - b) for m in range(n + 1) for b in range(m + 1) if m <= 0.5 * n + 8 * np.sqrt(n / 4)]).T
    limits, session = {}, Session()
    for x, y in zip(b.tolist(), c.tolist()):
        if x >= y:  # the other half is its mirror image
            session.ask(f"tango {n} {x} {y} {Z95!r}", lambda a, k=(x, y): limits.__setitem__(k, (float(a[0]), float(a[1]))))
    session.run()
    ends = np.array([limits[x, y] if x >= y else (-limits[y, x][1], -limits[y, x][0]) for x, y in zip(b.tolist(), c.tolist())])
    ways = special.gammaln(n + 1) - special.gammaln(b + 1) - special.gammaln(c + 1) - special.gammaln(n - b - c + 1)
    where, held, passed = [], [], []
    for share in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        for part in (0, 0.2, 0.4, 0.6, 0.8, 1):
            up, down, d = share * (1 + part) / 2, share * (1 - part) / 2, share * part
            p = np.exp(ways + special.xlogy(b, up) + special.xlogy(c, down) + (n - b - c) * np.log(1 - share))
            where.append(f"discordant {share:g}, difference {d:.3g}")
            held.append((p * ((ends[:, 0] <= d + 1e-12) & (d - 1e-12 <= ends[:, 1]))).sum())
            passed.append(max((p * (ends[:, 0] > d + 1e-12)).sum(), (p * (ends[:, 1] < d - 1e-12)).sum()))
    held, passed = np.array(held), np.array(passed)
    return (where[held.argmin()], held.min(), held.mean()), (where[passed.argmax()], passed.max(), passed.mean())


class Simulation:
    """Draws n rows (or groups) again and again, and counts in how many the interval holds the population's value."""

    def __init__(self, rng, tap, draws):
        self.rng, self.tap, self.draws = rng, tap, draws
        self.session = Session()
        self.tallies = []

    def rows(self, s, n):
        if s.group is None:
            return self.rng.integers(0, s.n, n)
        groups = self.rng.choice(s.group.max() + 1, n, replace=False)
        size = s.n // (s.group.max() + 1)
        return (groups[:, None] * size + np.arange(size)).ravel()

    def draw(self, slots, population, n):
        rows = self.rows(population, n)
        for slot in slots:
            self.session.commands.append(f"draw {slot} {len(rows)} " + " ".join(map(str, rows.tolist())))

    def tally(self, subject, low, high):
        t = {"subject": subject, "held": 0, "drawn": 0, "open": 0, "low": low, "high": high}
        self.tallies.append(t)
        return t

    def estimate(self, name, population, n, metrics, low=0.93, high=0.985):
        """low and high: where the coverage of a nominal .95 has to lie, beside what chance explains."""
        self.session.sample(population)
        truth, tallies = {}, {}
        for metric in metrics:
            self.session.ask(f"value A {metric}", lambda a, m=metric: truth.update({m: float(a[1])}))
            tallies[metric] = self.tally(f"{name}, n {n}: interval of {metric}", low, high)
        for _ in range(self.draws):
            self.draw("A", population, n)
            for metric in metrics:
                def take(a, m=metric):
                    t = tallies[m]
                    if a[0] == "ok":
                        t["drawn"] += 1
                        t["held"] += float(a[3]) <= truth[m] <= float(a[4])
                    else:
                        t["open"] += 1
                self.session.ask(f"estimate A {metric} 0.95 0 0 400 0", take)
        self.session.run()
        self.session.__init__()

    def delta(self, name, population, other, n, metrics, low=0.93, high=0.985):
        self.session.sample(population, "A")
        self.session.sample(other, "B")
        truth, tallies = {}, {}
        for metric in metrics:
            for slot in "AB":
                self.session.ask(f"value {slot} {metric}", lambda a, k=(slot, metric): truth.update({k: float(a[1])}))
            tallies[metric] = self.tally(f"{name}, n {n}: interval of the difference of {metric}", low, high)
        for _ in range(self.draws):
            self.draw("AB", population, n)
            for metric in metrics:
                def take(a, m=metric):
                    t = tallies[m]
                    if a[0] == "ok" and a[6] != "identical":  # which says so of these rows, and no more
                        t["drawn"] += 1
                        t["held"] += float(a[3]) <= truth["B", m] - truth["A", m] <= float(a[4])
                    else:
                        t["open"] += 1
                self.session.ask(f"delta {metric} 0.05 0 0 400 0", take)
        self.session.run()
        self.session.__init__()

    def finish(self):
        for t in self.tallies:
            share = t["held"] / max(t["drawn"], 1)
            chance = 3.5 * np.sqrt(0.05 * 0.95 / max(t["drawn"], 1))
            good = t["drawn"] > 0 and t["low"] - chance <= share <= t["high"] + chance
            text = f"{t['subject']} covers {share:.3f} of {t['drawn']} draws" + (f" ({t['open']} without)" if t["open"] else "")
            self.tap.count(text, good, f"wanted {t['low']} to {t['high']} give or take {chance:.3f}")
        self.tap.finish()
