# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on request against scipy, statsmodels and R: TOST, signed ranks, permutations, the bootstrap's BCa, and q-values."""
import os
import subprocess
import tempfile
import warnings

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from stats_cases import BINARY, DRIVER, REGRESSION, binary_case, label_case, number_case, run_parts, some, text
from stats_expected import HITS, Rows, arm, case, mover, other_model, reaches, top2
from test_intervals import tango_closed
from test_ranking import case as ranking_case, of_order

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
MEANS = {BINARY: ["accuracy", "hamming_loss", "log_loss", "brier"], REGRESSION: ["mae", "mse", "mape", "smape", "pinball@0.9"], 2: ["accuracy", "log_loss", "top_2_accuracy"]}


def q_values(tap, session, rng):
    for _ in range(300):
        p = rng.random(int(rng.integers(1, 30))) ** rng.choice([1, 3])
        if rng.random() < 0.4:
            p = np.round(p, 1)
        session.ask(f"bh {len(p)} {text(p)}", lambda a, p=p: tap.close(
            "q-values are statsmodels' fdr_bh", [float(x) for x in a], multipletests(p, method="fdr_bh")[1]))


def loss(name, s):
    """Of each row; hits for shares of right rows."""
    if name == "top_2_accuracy":
        return top2(s).astype(float)
    if name == "accuracy":
        return (s.label == s.pred).astype(float)
    if name == "hamming_loss":
        return (s.label != s.pred).astype(float)
    if name == "brier":
        return (s.score - (s.label == s.positive)) ** 2
    if name == "mape":
        return np.abs(s.truth - s.estimate) / np.maximum(np.abs(s.truth), 2.0**-52)
    if name == "smape":
        size = np.abs(s.truth) + np.abs(s.estimate)
        return np.where(size > 0, 2 * np.abs(s.truth - s.estimate) / np.where(size > 0, size, 1), 0)
    if name == "pinball@0.9":
        e = s.truth - s.estimate
        return np.maximum(0.9 * e, -0.1 * e)
    if name in ("mae", "mse"):
        return np.abs(s.truth - s.estimate) ** (2 if name == "mse" else 1)
    eps = 2.0**-52
    if s.task == BINARY:
        p = np.clip(s.score, eps, 1 - eps)
        return -np.log(np.where(s.label == s.positive, p, 1 - p))
    p = np.clip(s.score, eps, 1 - eps)
    return -np.log(p[np.arange(s.n), s.label] / p.sum(1))


def units(rows, d, mean=False):
    d = rows.weights * d
    if rows.g is None:
        return d
    sums = np.bincount(rows.g, d)
    return sums / np.bincount(rows.g) if mean else sums


def tost(name, a, b, d, margin):
    """The larger of the two one-sided p, by the method of the metric's own interval."""
    n, both = a.n, []
    if name in HITS:
        up, down = ((d * (-1 if name == "hamming_loss" else 1)) > 0).sum(), ((d * (-1 if name == "hamming_loss" else 1)) < 0).sum()
        if name == "hamming_loss":
            up, down = down, up
        return max(stats.norm.sf(side * tango_closed(-side * margin, n, up, down)) if margin < 1 else 0 for side in (1, -1))
    se, delta = a.se(d - d.mean()), d.mean()
    if name == "brier":
        values = [loss(name, x.s).mean() for x in (a, b)]
        ses = [a.se(loss(name, x.s) - v) for x, v in zip((a, b), values)]
        arms = [arm(x, name, v, w) for x, v, w in zip((a, b), values, ses)]
        if None not in arms:
            ends = mover(values, arms, ses, se)
            for side in (1, -1):
                q = reaches(ends, delta, -side * margin)
                both.append(stats.t.sf(q if side * delta > -margin else -q, n - 1))
            return max(both)
    c = ((d - delta) ** 3).sum() / ((d - delta) ** 2).sum() ** 1.5
    for side in (1, -1):
        t = (delta + side * margin) / se
        both += [stats.t.sf(side * x, n - 1) for x in (t, t + c * t * t / 3 + c * c * t**3 / 27 + c / 6)]
    return max(both)


def on_samples(tap, session, rng):
    """Through whole samples: TOST, Wilcoxon, and permutations of means of losses."""
    for _ in range(some(300)):
        sample = case(rng, rng.choice(["none", "none", "real"]), rng.choice(["no", "no", "some"]))
        if sample.n < 5:
            continue
        other = other_model(rng, sample, rng.choice([0.1, 0.5, 1]))
        a, b = Rows(sample), Rows(other)
        session.sample(sample, "A")
        session.sample(other, "B")
        for name in MEANS[sample.task]:
            d = loss(name, b.s) - loss(name, a.s)
            context = f"{name} n {a.n} units {a.units}"
            same = all((getattr(a.s, c) is None) or (getattr(a.s, c) == getattr(b.s, c)).all()
                       for c in ("pred", "score", "estimate"))
            if ((d != 0) & (np.abs(d) < 1e-12)).any():
                continue  # rounding, which numpy's loss and ours share only in part
            margin = float(rng.choice([0.5, 1, 3]) * (d.std() / np.sqrt(len(d)) + 0.01))
            if a.plain and not same:
                def equal(r, a=a, b=b, d=d, m=margin, c=context, name=name):
                    plain = ttost_paired(d, np.zeros(len(d)), -m, m)[0]
                    tap.close("TOST by the method of the interval", [float(r[1])], [tost(name, a, b, d, m)], 1e-9, 1e-12, c)
                    if name not in HITS and name != "brier":
                        tap.count("TOST is no less than statsmodels' ttost_paired", float(r[1]) >= plain * (1 - 1e-9), f"{c} {r} {plain}")
                session.ask(f"extra tost {name} {margin!r}", equal)

            def within(v, m=margin, c=context, key=(id(a), name), p={}):
                if key not in p:
                    p[key] = v  # of TOST
                elif v[0] == "ok" and v[6] != "identical" and p[key][0] == "ok" and abs(float(v[3])) < 1 and abs(float(v[4])) < 1:
                    inside = -m < float(v[3]) and float(v[4]) < m
                    tap.count("TOST finds what the interval of 1 - 2 alpha lies within the margin says", inside == (float(p[key][1]) < 0.05),
                              f"{c} {v} {p[key]}")
            if a.plain or name not in HITS:  # of which the least standard error has to do with alpha
                session.ask(f"extra tost {name} {margin!r}", within)
                session.ask(f"delta {name} 0.1 0 0 0 0", within)

            def ranks(r, a=a, d=d, c=context, name=name):
                if a.w is not None:
                    tap.count("no signed ranks of weighted rows", r[0] == "none", c)
                    return
                x = units(a, d, mean=True)
                x = x[x != 0]
                if not len(x):
                    tap.count("no signed ranks where nothing differs", r[0] == "none", c)
                    return
                if name == "log_loss" and int(r[4]) != len(x):
                    return  # a last digit that only one of the two sees
                exact = len(x) <= 50 and len(set(np.abs(x))) == len(x)
                want = stats.wilcoxon(x, mode="exact" if exact else "approx")
                close = np.diff(np.sort(np.abs(x)))
                if len(close) and ((close > 0) & (close < 1e-12) | (close == 0) & (name == "log_loss")).any():
                    return  # numpy's loss and ours may break such a tie either way
                tap.close("signed ranks of losses are scipy's", [float(r[2]), float(r[1])], [want.statistic, want.pvalue],
                          1e-9, 1e-15, f"{c} {r}")
            session.ask(f"extra wilcoxon {name} 0", ranks)

            def permuted(r, a=a, d=d, c=context):
                x = units(a, d)
                x = x[x != 0]
                if len(x) == 0:
                    tap.count("permutations of equal models have p 1", r[0] == "ok" and float(r[1]) == 1, c)
                elif len(x) <= 13:
                    want = stats.permutation_test((x,), np.mean, permutation_type="samples", vectorized=True, n_resamples=10**5,
                                                  axis=-1).pvalue if len(x) > 1 else 1
                    tap.close("permutations, all of them, are scipy's", [float(r[1])], [want], context=f"{c} {r}")
                elif len(set(np.abs(x))) == 1:
                    want = stats.binomtest(int((x > 0).sum()), len(x)).pvalue
                    tap.close("permutations of hits are the sign test", [float(r[1])], [want], context=f"{c} {r}")
            session.ask(f"extra permutation {name} 0", permuted)


def other_tasks(tap, session, rng):
    """Several labels a row, and queries: the unit's own value is what is ranked and exchanged."""
    def ask(name, x, context):
        x = x[np.abs(x) > 1e-12]
        if not 1 < len(x) <= 13 or (np.diff(np.sort(np.abs(x))) < 1e-12).any() and len(set(np.abs(x))) == len(x):
            return
        exact = len(set(np.round(np.abs(x), 12))) == len(x)
        w = stats.wilcoxon(np.round(x, 12), mode="exact" if exact else "approx")
        p = stats.permutation_test((x,), np.mean, permutation_type="samples", vectorized=True, n_resamples=10**5, axis=-1).pvalue
        if exact:
            session.ask(f"extra wilcoxon {name} 0", lambda r: tap.close(
                "signed ranks of label sets and of queries are scipy's", [float(r[2]), float(r[1])], [w.statistic, w.pvalue], 1e-9,
                1e-15, f"{context} {r}"))
        session.ask(f"extra permutation {name} 0", lambda r: tap.close(
            "permutations of label sets and of queries are scipy's", [float(r[1])], [p], context=f"{context} {r}"))

    for _ in range(40):
        s = label_case(rng, 14, 4)
        t = label_case(rng, 14, 4)
        t = s.but(score=t.score, preds=np.where(rng.random((14, 1)) < 0.6, t.preds, s.preds))
        session.sample(s, "A")
        session.sample(t, "B")
        wrong = [(x.preds != s.labels) for x in (s, t)]
        ask("hamming_loss", wrong[1].mean(1) - wrong[0].mean(1), "hamming_loss")
        ask("accuracy", (~wrong[1].any(1)).astype(int) - (~wrong[0].any(1)).astype(int), "accuracy")
    for _ in range(40):
        s = ranking_case(rng, 12, 6, False, False, 0)
        t = s.but(estimate=s.estimate + rng.normal(size=s.n))
        s, t = (x.but(truth=np.where(np.isin(np.arange(s.n), [np.flatnonzero(s.group == g)[0] for g in set(s.group)]), 1.0, s.truth))
                for x in (s, t))
        values = [np.array([of_order("mrr", [x.truth[i] for i in sorted(np.flatnonzero(x.group == g), key=lambda i: -x.estimate[i])],
                                     None) for g in sorted(set(x.group))]) for x in (s, t)]
        session.sample(s, "A")
        session.sample(t, "B")
        ask("mrr", values[1] - values[0], "mrr")


def on_numbers(tap, session, rng):
    for _ in range(200):
        n = int(rng.choice([1, 3, 10, 50, 51, 200]))
        d = rng.normal(size=n) + rng.choice([0, 0.5])
        if rng.random() < 0.5:
            d = np.round(d, int(rng.integers(0, 2)))
        x = d[d != 0]
        if len(x):
            exact = len(x) <= 50 and len(set(np.abs(x))) == len(x)
            want = stats.wilcoxon(x, mode="exact" if exact else "approx")
            session.ask(f"ranks {n} {text(d)}", lambda r, w=want, e=exact: tap.close(
                "signed ranks are scipy's", [float(r[2]), float(r[1]), float(r[3])], [w.statistic, w.pvalue, e], context=str(r)))
    for _ in range(some(40)):
        d = rng.normal(size=int(rng.choice([2, 5, 12]))) + 0.4
        want = stats.permutation_test((d,), np.mean, permutation_type="samples", vectorized=True, axis=-1).pvalue
        session.ask(f"flips 0 9999 {len(d)} {text(d)}", lambda r, w=want: tap.close(
            "sign flips, all of them, are scipy's", [float(r[1]), float(r[3])], [w, 1], context=str(r)))
    for seed in range(20):
        d = rng.normal(size=60) + rng.choice([0, 0.2, 0.4])
        want = stats.permutation_test((d,), np.mean, permutation_type="samples", vectorized=True, axis=-1, n_resamples=20000,
                                      random_state=seed).pvalue

        def near(r, w=want):
            p = (w * 20000 + float(r[1]) * 9999) / 29999
            se = np.sqrt(p * (2 - p) * (1 / 20000 + 1 / 9999))
            tap.count("sign flips at random are scipy's within 4 standard errors", abs(float(r[1]) - w) < 4 * se + 2e-4, f"{r} {w}")
        session.ask(f"flips {seed} 9999 60 {text(d)}", near)


def auc(score, y):
    r = stats.rankdata(score)
    return (r[y].sum() - y.sum() * (y.sum() + 1) / 2) / y.sum() / (~y).sum()


def f1(pred, y):
    return 2 * (pred & y).sum() / max(pred.sum() + y.sum(), 1)


def swaps(tap, session, rng):
    """Metrics that are no means: the two models' answers change places, here once more by scipy."""
    def statistic(one, two, axis=-1):
        value = lambda v: auc(v, y) if name == "roc_auc" else f1(v >= 0.5, y)  # noqa: E731
        return value(two) - value(one)

    for i in range(16):
        s = binary_case(rng, 40 if i % 2 else 9, "none")
        y = s.label == s.positive
        if y.all() or not y.any():
            continue
        t = other_model(rng, s, 1.0)
        name = "roc_auc" if i % 4 < 2 else "f1"
        session.sample(s, "A")
        session.sample(t, "B")
        want = stats.permutation_test((s.score, t.score), statistic, permutation_type="samples", vectorized=False,
                                      n_resamples=1999 if s.n > 9 else np.inf, random_state=i)

        def take(r, w=want.pvalue, exact=s.n == 9, c=f"{name} n {s.n}"):
            slack = 1e-9 if exact else 4 * np.sqrt(max(w, 0.001) * 2 * (1 / 2000 + 1 / 10000)) + 1e-3
            tap.count("exchanging two models' answers gives scipy's p", r[0] == "ok" and abs(float(r[1]) - w) <= slack, f"{c} {r} {w}")
        session.ask(f"extra permutation {name} {i}", take)


def threads(tap, session, rng):
    """The number of processors changes nothing."""
    s = binary_case(rng, 120, "none")
    t = other_model(rng, s, 0.5)
    session.sample(s, "A")
    session.sample(t, "B")
    session.commands += ["extra permutation f1 3", "extra permutation log_loss 3", "extra bootstrap roc_auc 0.05 0 3 500 0"]
    words = "\n".join(session.commands) + "\n"
    session.__init__()
    one, two = (subprocess.run([*p, DRIVER], input=words, capture_output=True, text=True).stdout
                for p in (["taskset", "-c", "0"], []))
    tap.count("results don't depend on the number of threads", one == two and one.count("ok") == 3, f"{one} {two}")


def bca(tap, session, rng):
    """R's boot.ci(type="bca") on the same replicates and influences, and scipy's within Monte Carlo error."""
    answers = []
    with tempfile.TemporaryDirectory() as d:
        script = ["library(boot)"]
        for i in range(12):
            x = rng.gamma(1.0, size=40)
            t0 = float(x.mean())
            values = np.array([rng.choice(x, 40).mean() for _ in range(999)])
            influence = x - t0
            alpha = float(rng.choice([0.05, 0.1]))
            for name, v in (("x", x), ("t", values), ("l", influence)):
                np.savetxt(f"{d}/{name}{i}", v, fmt="%.17g")
            script.append(f'b <- boot(scan("{d}/x{i}", quiet=TRUE), function(x, j) mean(x[j]), R=999); b$t <- '
                          f'matrix(scan("{d}/t{i}", quiet=TRUE)); cat(sprintf("%.15g ", boot.ci(b, conf=1-{alpha}, type="bca", '
                          f'L=scan("{d}/l{i}", quiet=TRUE))$bca[4:5]), "\\n")')
            session.ask(f"bca {alpha} {t0!r} 999 {text(values)} 40 {text(influence)}", lambda a: answers.append(a))
        session.run()
        session.__init__()
        open(f"{d}/s.R", "w").write("\n".join(script))
        out = subprocess.run(["Rscript", "--vanilla", f"{d}/s.R"], capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
        lines = out.stdout.strip().splitlines()
        tap.count("R ran", len(lines) == 12, out.stderr[-300:])
    for a, line in zip(answers, lines):
        tap.close("BCa limits are R's boot.ci", [float(x) for x in a[1:3]], [float(x) for x in line.split()], 1e-9, 0, line)
    # the whole way, by cluster too: scipy's jackknife instead of influences
    s = number_case(rng, 200, "none", "plain")
    t = other_model(rng, s, 0.5)
    d = np.abs(t.truth - t.estimate) - np.abs(s.truth - s.estimate)
    want = stats.bootstrap((d,), np.mean, n_resamples=6000, method="BCa", random_state=1).confidence_interval
    session.sample(s, "A")
    session.sample(t, "B")
    session.ask("extra bootstrap mae 0.05 0 1 6000 0", lambda r: tap.count(
        "BCa of a mean agrees with scipy's", abs(np.array(r[10:12], float) - want).max() < 0.06 * (want[1] - want[0]), f"{r} {want}"))
    s.group = np.repeat(np.arange(50), 4)
    t = t.but(group=s.group)
    want = stats.bootstrap((d.reshape(50, 4).mean(1),), np.mean, n_resamples=6000, method="BCa", random_state=1).confidence_interval
    session.sample(s, "A")
    session.sample(t, "B")
    session.ask("extra bootstrap mae 0.05 0 1 6000 0", lambda r: tap.count(
        "groups are drawn whole", abs(np.array(r[10:12], float) - want).max() < 0.06 * (want[1] - want[0]), f"{r} {want}"))


if __name__ == "__main__":
    run_parts(1935, q_values, threads, bca, on_samples, other_tasks, on_numbers, swaps)
