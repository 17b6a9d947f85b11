# SPDX-License-Identifier: GPL-3.0-or-later
"""Distribution functions, closed-form intervals and tests against scipy, statsmodels and plain root finding."""
import gc
import math
import warnings
from decimal import Decimal, getcontext

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from stats_cases import run_parts, some, student

warnings.filterwarnings("ignore")
FLOOR = 1e-300


def ask(tap, session, subject, command, want, rel=1e-9, absolute=1e-12):
    session.ask(command, lambda a: tap.close(subject, [float(x) for x in a], want, rel, absolute, command))


getcontext().prec = 40
PI = Decimal("3.141592653589793238462643383279502884197169")


def log_factorial(n):
    """Stirling's series, which has 40 digits above 10^4."""
    if n < 10000:
        return Decimal(math.factorial(n)).ln()
    x, rest = Decimal(n), 0
    for k, b in enumerate(((1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360))):
        rest += Decimal(b[0]) / b[1] / x ** (2 * k + 1)
    return (x + Decimal("0.5")) * x.ln() - x + Decimal(2 * PI).ln() / 2 + rest


def binomial(k, n, p):
    """P(X = k) and P(X <= k) in 40 digits."""
    p = Decimal(float(p))
    pmf = term = (log_factorial(n) - log_factorial(k) - log_factorial(n - k) + k * p.ln() + (n - k) * (1 - p).ln()).exp()
    total = Decimal(0)
    for j in range(k, -1, -1):
        total += term
        if term < total * Decimal("1e-25") and j < n * p:
            break
        term = term * j / (n - j + 1) * (1 - p) / p
    return float(pmf), float(total)


def distributions(tap, session, rng):
    def function(subject, name, a, b, c, want, rel):
        ask(tap, session, subject, f"function {name} {float(a)!r} {float(b)!r} {float(c)!r}", [want], rel, 0)

    for _ in range(400):
        df = float(np.round(10 ** rng.uniform(0, 8.5)))
        t = 10 ** rng.uniform(-3, 2.5)
        function("Student's t is scipy's", "t_two_sided", t, df, 0, max(2 * stats.t.sf(t, df), FLOOR), 1e-9)
        p = rng.choice([0.9, 0.95, 0.975, 0.995, 1 - 0.05 / 12, 1 - 1e-6, rng.uniform(0.5001, 1)])
        function("Student's quantile is that of the incomplete beta function", "t_quantile", p, df, 0, student(p, df), 1e-9)
        q = rng.uniform(0, 15)
        shift = q + rng.uniform(-3, 3)
        function("the noncentral t is scipy's", "t_beyond", q, df, shift, stats.nct.sf(q, df, shift), 1e-9)
        z = rng.normal() * 5
        function("the normal distribution is scipy's", "normal_cdf", z, 0, 0, stats.norm.cdf(z), 1e-12)
        function("the normal quantile is scipy's", "normal_quantile", p, 0, 0, stats.norm.ppf(p), 1e-12)
        function("the normal two-sided p is scipy's", "normal_two_sided", z, 0, 0, 2 * stats.norm.sf(abs(z)), 1e-12)
        k = int(rng.integers(0, 50))
        q = rng.uniform()
        function("the binomial distribution is scipy's", "binomial_cdf", k, 50, q, stats.binom.cdf(k, 50, q), 1e-9)
    for _ in range(some(240, 4)):
        n = int(10 ** rng.uniform(0, 7.5))
        p = float(rng.choice([0.5, 0.5, 0.5, rng.uniform(), 1e-3]))
        k = int(np.clip(n * p - rng.normal() * 2 * math.sqrt(n * p * (1 - p)), 0, n))
        pmf, cdf = binomial(k, n, p)
        if pmf > FLOOR:
            function("the binomial probability is that of 40 digits", "binomial_pmf", k, n, p, pmf, 1e-12)
            function("the binomial distribution is that of 40 digits", "binomial_cdf", k, n, p, cdf, 1e-12)
    for df in (1, 2, 5, 30, 1e3, 1e9):
        function("p is at least 1e-300", "t_two_sided", 1e200, df, 0, max(2 * stats.t.sf(1e200, df), FLOOR), 1e-9)


def wilson(tap, session, rng):
    for _ in range(600):
        n = int(10 ** rng.uniform(0, 6))
        k = int(rng.choice([0, n, rng.binomial(n, rng.uniform())]))
        alpha = rng.choice([0.05, 0.1, 0.01, 0.05 / 6])
        want = proportion_confint(k, n, alpha, method="wilson")
        ask(tap, session, "Wilson's interval is statsmodels'", f"wilson {k / n!r} {n} 0 {stats.norm.ppf(1 - alpha / 2)!r}",
            [0 if k == 0 else want[0], 1 if k == n else want[1]])


def newcombe_width(t, auc, m, n, z):
    more = (m + n) / 2 - 1
    v = t * (1 - t) * (1 + more * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)
    return z * math.sqrt(max(v, 0)) - abs(t - auc)


def newcombe(tap, session, rng):
    for _ in range(400):
        m, n = (int(10 ** rng.uniform(0.3, 4)) for _ in range(2))
        auc = rng.choice([0, 1, 0.5, 0.99, rng.uniform()])
        z = stats.norm.ppf(1 - rng.choice([0.05, 0.1, 0.01]) / 2)

        def root(inside, outside):
            return optimize.brentq(newcombe_width, inside, outside, args=(auc, m, n, z), xtol=1e-15, rtol=1e-15)
        low = 0 if auc == 0 else root(min(auc, 1 - 1e-11), 0)
        high = 1 if auc == 1 else root(max(auc, 1e-11), 1)
        ask(tap, session, "Newcombe's method 5 solves its equation", f"newcombe {auc!r} {m} {n} {z!r}", [low, high], 1e-9)


def tango_score(d, n, b, c):
    """Score statistic with the nuisance parameter found by maximising the likelihood numerically."""
    low, high = max(0, -d), (1 - d) / 2

    def loss(q):
        out = 0.0
        for k, p in ((b, q + d), (c, q), (n - b - c, 1 - 2 * q - d)):
            if k:
                out -= k * math.log(p) if p > 0 else -math.inf
        return out
    q = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (b - c - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))


def tango_closed(d, n, b, c):
    """The same with the closed form of the maximum (Tango 1998, eq. 4)."""
    mid = (2 * n - b + c) * d - b - c
    q = (math.sqrt(max(mid * mid + 8 * n * c * d * (1 - d), 0)) - mid) / (4 * n)
    return (b - c - n * d) / math.sqrt(max(n * (2 * q + d * (1 - d)), 1e-300))


def tango(tap, session, rng):
    for case in range(500):
        n = int(10 ** rng.uniform(0.5, 5))
        b, c, _ = rng.multinomial(n, rng.dirichlet([0.5, 0.5, 4]))
        if case % 10 == 0:
            b = 0
        if case % 7 == 0:
            c = 0
        z = stats.norm.ppf(1 - rng.choice([0.05, 0.1, 0.01]) / 2)
        d = (b - c) / n
        if case < 40 and b and c and b + c < n:
            got = {}

            def take(a, got=got, n=n, b=b, c=c, z=z):
                t = [tango_score(float(x), n, b, c) for x in a]
                tap.close("Tango's limits have score z when the likelihood is maximised numerically", t, [z, -z],
                          1e-5)  # a maximum is found to half the digits
            session.ask(f"tango {n} {b} {c} {z!r}", take)

        def edge(sign, far, n=n, b=b, c=c, z=z, d=d):
            f = lambda x: sign * tango_closed(x, n, b, c) - z
            return far if f(far) < 0 else optimize.brentq(f, d, far, xtol=1e-15, rtol=1e-14)
        eps = 1e-14
        want = [edge(1, -1 + eps), edge(-1, 1 - eps)]
        ask(tap, session, "Tango's interval is the root of its equation", f"tango {n} {b} {c} {z!r}", want, 1e-9, 1e-12)
        mirror(tap, session, n, int(b), int(c), float(z))
    for _ in range(200):
        n = int(10 ** rng.uniform(5, 7))
        mirror(tap, session, n, *(int(x) for x in rng.poisson(10 ** rng.uniform(0, 4, 2))), 1.96)


def score_sign(d, n, b, c, z):
    """Is Tango's score at d above z? In 40 digits."""
    d, n, b, c = (Decimal(x) for x in (d, n, b, c))
    mid = (2 * n - b + c) * d - b - c
    q = ((mid * mid + 8 * n * c * d * (1 - d)).sqrt() - mid) / (4 * n)
    v = n * (2 * q + d * (1 - d))
    return v <= 0 or b - c - n * d > Decimal(z) * v.sqrt()


def mirror(tap, session, n, b, c, z):
    """The models in each other's place; and of the limits the last digits."""
    got = {}
    session.ask(f"tango {n} {b} {c} {z!r}", lambda a: got.update(one=[float(x) for x in a]))

    def take(a):
        (low, high), other = got["one"], [-float(x) for x in a[::-1]]
        tap.count("Tango's interval of the models in each other's place is mirrored to the last bit", other == [low, high],
                  f"{n} {b} {c}: {low!r} {high!r}, {other}")
        if abs(low) < 1 and b + c < n:
            tap.count("Tango's lower limit has all its digits", score_sign(low - 4e-16 - 1e-14 * abs(low), n, b, c, z) and
                      not score_sign(low + 4e-16 + 1e-14 * abs(low), n, b, c, z), f"{n} {b} {c} {low!r}")
    session.ask(f"tango {n} {c} {b} {z!r}", take)


def midp(tap, session, rng):
    for _ in range(400):
        b, c = (int(10 ** rng.uniform(0, rng.choice([1, 2, 4]))) - int(rng.integers(2)) for _ in range(2))
        k, n = min(b, c), b + c
        want = 1.0 if b == c else min(1, max(2 * stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5), FLOOR))
        ask(tap, session, "McNemar's mid-p is scipy's binomial sum", f"function midp {b} {c} 0", [want], 1e-9, 0)
        if 0 < n < 300 and b != c:
            exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
            ask(tap, session, "McNemar's mid-p is statsmodels' exact p less one half of the point's",
                f"function midp {b} {c} 0", [exact - stats.binom.pmf(k, n, 0.5)], 1e-9, 0)
    ask(tap, session, "McNemar's mid-p of 11 and 1", "function midp 11 1 0", [0.00341796875], 1e-12)


def holm(tap, session, rng):
    for _ in range(300):
        n = int(rng.integers(1, 40))
        p = rng.choice([rng.uniform(), 1e-12, 0.01], n) ** rng.uniform(0.2, 6, n)
        p[rng.integers(n)] = rng.choice(p)
        family = rng.integers(-1, 3, n)
        want = p.copy()
        for f in range(3):
            if (family == f).any():
                want[family == f] = multipletests(p[family == f], method="holm")[1]
        ask(tap, session, "Holm's p within families is statsmodels'",
            f"holm {n} " + " ".join(map(repr, p.tolist())) + " " + " ".join(map(str, family)), want)


def logits(tap, session, rng):
    for _ in range(200):
        v, se, q = rng.uniform(0.001, 0.999), 10 ** rng.uniform(-5, 0), rng.uniform(1, 3)
        want = [1 / (1 + math.exp(-(math.log(v / (1 - v)) + sign * q * se / (v * (1 - v))))) for sign in (-1, 1)
                if q * se / (v * (1 - v)) < 700]
        if want:
            ask(tap, session, "the interval on the logit", f"logit {v!r} {se!r} 0 {q!r}", want)


def arithmetic(tap, session, rng):
    for _ in range(200):
        m, se, alpha, j = rng.uniform(0, 0.05), 10 ** rng.uniform(-4, -1), rng.choice([0.05, 0.01]), int(rng.integers(1, 30))
        z = stats.norm.ppf(1 - alpha / 2)
        for name, a, b, c, want in (
                ("neutral_noninferior", m, se, 1.1 * z * se, stats.norm.cdf(m / se - 1.1 * z)),
                ("neutral_max_drop", m, se, 0, stats.norm.cdf(m / se)),
                ("optimism", se, j, 0, se * stats.norm.ppf(0.95 ** (1 / j)) if j > 1 else 0),
                ("look_alpha", alpha, j, 0, alpha / (j * (j + 1)))):
            ask(tap, session, f"{name.replace('_', ' ')} is its formula", f"function {name} {a!r} {b!r} {c!r}", [want])
    ask(tap, session, "se 0 passes every neutral change", "function neutral_max_drop 0.01 0 0", [1])
    # the worked example: 1,694 rows, 6 % of them changed
    se = math.sqrt(0.06 / 1694)
    for m, rate in ((0.005, 0.13), (0.01, 0.39), (0.02, 0.92)):
        ask(tap, session, "pass rates of the worked example", f"function neutral_noninferior {m} {se!r} {1.96 * se!r}", [rate], 0.03)
    ask(tap, session, "pass rates of the worked example", f"function neutral_max_drop 0.005 {se!r} 0", [0.8], 0.02)
    for value, a, b, g_a, g_b in ((1.96, 0.1, 0.2, 0, 0), (0.5, 1e-3, 0.0, 0, 0), (0.5, 0.1, 0.2, 12, 15), (0.5, 0.1, 0.2, 0, 10)):
        se = math.hypot(a, b)
        parts = sum((s / se) ** 4 / (g - 1) for s, g in ((a, g_a), (b, g_b)) if g)
        dist = stats.t(1 / parts) if parts else stats.norm
        z = dist.ppf(0.975)

        def take(answer, value=value, se=se, z=z, dist=dist):
            tap.close("an unpaired difference adds variances", [float(x) for x in answer[1:6]],
                      [value, se, value - z * se, value + z * se, max(2 * dist.sf(value / se), FLOOR)], absolute=1e-300)
        session.ask(f"unpaired 0 {a!r} {value!r} {b!r} 0.05 {g_a} {g_b}", take)


if __name__ == "__main__":
    gc.freeze()  # multipletests collects garbage on every call
    run_parts(1927, distributions, wilson, newcombe, tango, midp, holm, logits, arithmetic)
