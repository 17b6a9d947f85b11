# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers and the bootstrap: every replicate again in numpy, or its distribution."""
import bisect
import itertools
import math
from decimal import Decimal, getcontext

import numpy as np
from scipy import stats

from stats_cases import binary_case, number_case, run_parts
from stats_expected import Rows, other_model


def philox(seed, replicate, block):
    mask = 0xFFFFFFFF
    c = [block & mask, block >> 32, replicate & mask, replicate >> 32]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def draw(seed, replicate, n):
    words = [w for block in range((n + 3) // 4) for w in philox(seed, replicate, block)][:n]
    return np.bincount([w * n >> 32 for w in words], minlength=n)


def poisson_draw(seed, replicate, n):
    """16 bits a row; the values that no count has for itself are shared by 32 more, by what is left of the probabilities."""
    getcontext().prec = 50
    p = [1 / Decimal(1).exp() / math.factorial(k) * 65536 for k in range(40)]
    whole = list(itertools.accumulate(int(x) for x in p))
    left = list(itertools.accumulate(x - int(x) for x in p))
    part = [round(x / left[-1] * 2**32) for x in left[:15]]
    out = []
    for i in range(n):
        if i % 8 == 0:
            words = philox(seed, replicate, i // 8)
        u = words[i % 8 // 2] >> 16 * (i % 2) & 0xFFFF
        if u < whole[-1]:
            out.append(bisect.bisect_right(whole, u))
        else:
            out.append(bisect.bisect_right(part, philox(seed, replicate, 2**61 | i)[0]))
    return out


def random_numbers(tap, session, rng):
    # known answers of the Random123 distribution (kat_vectors, philox4x32 10)
    tap.count("Philox 4x32-10 gives Random123's known answers",
              philox(0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    full = 2**64 - 1
    tap.count("Philox 4x32-10 gives Random123's known answers",
              philox(full, full, full) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])
    for _ in range(60):
        seed, replicate, n = int(rng.integers(2**40)), int(rng.integers(5000)), int(rng.choice([1, 2, 7, 100, 999]))
        want = draw(seed, replicate, n).tolist()
        session.ask(f"counts {seed} {replicate} {n}",
                    lambda a, want=want: tap.count("multinomial counts follow from (seed, replicate, row)",
                                                   [int(x) for x in a] == want))

    def poisson(a):
        c = np.array(a, int)
        seen = np.bincount(c, minlength=6)[:6]
        p = stats.poisson.pmf(np.arange(6), 1)
        chi = ((seen - len(c) * p) ** 2 / (len(c) * p)).sum()
        tap.count("counts of more than 10^4 rows are Poisson(1)", chi < stats.chi2.ppf(0.9999, 6), f"chi2 {chi}")
    for seed in range(10):
        session.ask(f"counts {seed} 0 50000", poisson)
    for seed in (0, 3, 2**62 + 2**20):
        want = poisson_draw(seed, 2**32 + seed % 7, 30007)
        session.ask(f"counts {seed} {2**32 + seed % 7} 30007",
                    lambda a, want=want: tap.count("Poisson counts follow from (seed, replicate, row)",
                                                   [int(x) for x in a] == want))


def poisson_sums(tap, session, rng):
    for units in (0, 1, 3, 9, 10, 11, 40, 1000, 123456, 50_000_000):
        def take(a, units=units):
            x = np.array(a, float)
            if units == 0:
                tap.count("sums of counts are Poisson", not x.any())
                return
            # randomised probability integral transform: uniform if the distribution is right
            u = stats.poisson.cdf(x - 1, units) + rng.random(len(x)) * stats.poisson.pmf(x, units)
            p = stats.kstest(u, "uniform").pvalue
            tap.count("sums of counts are Poisson", p > 1e-4, f"{units} units: p {p}")
        session.ask(f"poisson {units + 3} 8000 2 {units}", take)


def many_rows(tap, session, rng):
    """Above 10^4 rows only those near the median are drawn one by one: the same distribution as drawing them all."""
    replicates = 800
    for shape, n in (("plain", 12000), ("ties", 12001)):
        s = number_case(rng, n, "none", shape)
        t = other_model(rng, s, 0.6)
        e, f = np.abs(s.truth - s.estimate), np.abs(t.truth - t.estimate)
        if shape == "ties":
            f = np.round(f)
            t.estimate = t.truth + f
        oe, of = np.argsort(e), np.argsort(f)

        def median(x, order, c):
            at = np.cumsum(c[order])
            half = at[-1] / 2
            return (x[order[np.searchsorted(at, half)]] + x[order[np.searchsorted(at, half, side="right")]]) / 2
        draws = [rng.poisson(1, n) for _ in range(replicates)]
        values = np.array([median(e, oe, c) for c in draws])
        differences = np.array([median(f, of, c) - median(e, oe, c) for c in draws])
        session.sample(s, "A")
        session.sample(t, "B")

        def take(a, x, at, what):
            if a[0] == "open":
                tap.count("replicates that all say the same are no interval", x.std() <= 1e-9, f"{what}: {a}")
                return
            se, low, high = (float(v) for v in a[at:at + 3])
            scale = max(x.std(ddof=1), 1e-9)
            bounds = np.quantile(x, [0.025, 0.975])
            good = 0.88 < se / scale < 1.13 and abs(np.array([low, high]) - bounds).max() < 0.45 * scale \
                if x.std() > 1e-9 else se < 1e-9
            tap.count("bootstrap of the median of many rows", good, f"{what}: {a}, numpy {scale} {bounds}")
        session.ask(f"estimate A median_ae 0.95 0 5 {replicates} 0", lambda a, x=values, t=take: t(a, x, 2, "value"))
        session.ask(f"delta median_ae 0.05 0 5 {replicates} 0", lambda a, x=differences, t=take: t(a, x, 2, "difference"))


def bootstrap(tap, session, rng):
    """Every replicate again in numpy, from the same random numbers."""
    replicates = 60
    for _ in range(24):
        s = number_case(rng, int(rng.choice([9, 30])), "none", rng.choice(["plain", "ties"]))
        if rng.random() < 0.4:
            s.group = rng.integers(0, 6, s.n)
        rows = Rows(s)
        t = other_model(rng, s, 0.6)
        number = {g: i for i, g in enumerate(dict.fromkeys(s.group))} if rows.g is not None and \
            len(set(s.group)) < max(s.group) + 1 else None
        seed = int(rng.integers(1000))
        values, differences = [], []
        for r in range(replicates):
            if rows.g is None:
                c = draw(seed, r, s.n)
            else:
                c = draw(seed, r, rows.units)[[number[g] if number else g for g in s.group]]
            if not c.sum():
                continue
            e, f = (np.repeat(np.abs(x.truth - x.estimate), c) for x in (s, t))
            values.append(np.median(e))
            differences.append(np.median(f) - np.median(e))
        session.sample(s, "A")
        session.sample(t, "B")

        def take(a, values=values):
            want = [np.std(values, ddof=1), *np.quantile(values, [0.025, 0.975])]
            tap.close("percentile bootstrap of median_ae", [float(x) for x in a[2:5]], want, context=str(a))
        session.ask(f"estimate A median_ae 0.95 0 {seed} {replicates} 0", take)

        def take_delta(a, d=np.array(differences), same=(s.estimate == t.estimate).all()):
            if same:
                return
            p = min(1, 2 * min(1 + (d <= 0).sum(), 1 + (d >= 0).sum()) / (len(d) + 1))
            tap.close("bootstrap of a difference of median_ae", [float(x) for x in a[2:6]],
                      [d.std(ddof=1), *np.quantile(d, [0.025, 0.975]), p], context=str(a))
        session.ask(f"delta median_ae 0.05 0 {seed} {replicates} 0", take_delta)
    # on request the bootstrap is there for every metric, and agrees with the linearised variance
    s = binary_case(rng, 400, skill=1)
    t = other_model(rng, s, 0.5)
    session.sample(s, "A")
    session.sample(t, "B")
    for name in ("accuracy", "f1", "roc_auc", "average_precision", "log_loss", "mcc", "balanced_accuracy"):
        got = {}
        session.ask(f"delta {name} 0.05 0 0 0 0", lambda a, got=got: got.update(se=float(a[2])))

        def take(a, got=got, name=name):
            ratio = float(a[2]) / got["se"]
            tap.count("bootstrap on request agrees with the linearised standard error", 0.85 < ratio < 1.15 and
                      a[6] == "bootstrap", f"{name}: {ratio}")
        session.ask(f"delta {name} 0.05 1 0 600 0", take)


if __name__ == "__main__":
    run_parts(1979, random_numbers, bootstrap, poisson_sums, many_rows)
