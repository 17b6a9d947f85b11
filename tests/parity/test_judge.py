# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts against the rules, written once more from the text."""
import math

from scipy import stats

from stats_cases import run_parts


def verdict(e):
    """The rules once more, from the text."""
    power = stats.norm.ppf(0.8)
    low, high = (e["low"], e["high"]) if e["direction"] > 0 else (-e["high"], -e["low"])
    m = e["margin"]
    little = e["rows"] < 30 or (0 < e["groups"] < 10) or (0 <= e["smaller"] < 10) or not e["has"]
    noninferior = bool(e["identical"] or (not little and m > 0 and low > -m))
    changed = e["changed"] < 0 or e["changed"] >= 6
    if e["identical"]:
        v = "equivalent"
    elif little:
        v = "inconclusive"
    elif m > 0 and -m < low and high < m and (not e["bounded"] or m >= 3 / e["n"]):
        v = "equivalent"
    elif low > 0 and e["p_adjusted"] <= e["alpha"] and changed:
        v = "better"
    elif high < 0 and e["p_adjusted"] <= e["alpha"] and changed:
        v = "worse"
    else:
        v = "inconclusive"
    first = e["alpha"] / max(e["k"], 1)  # Holm's first step
    detectable = (stats.norm.ppf(1 - first / 2) + power) * e["se"] if e["has"] else -1
    needed, d = -1, abs(e["delta"])
    if v == "inconclusive" and e["has"] and e["se"] > 0 and (d > 0 or m > 0):
        def wanted(rows, alpha, d):  # of as many groups as so many rows are in
            df = max(e["groups"] * rows / e["rows"], 10) - 1
            both = stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(.8, df) if e["groups"] else stats.norm.ppf(1 - alpha / 2) + power
            return e["rows"] * (both * e["se"] / d) ** 2
        ways = []  # to be told from 0, or to be known to be within the margin, which nothing corrects
        for alpha, far in ((first, d), (e["alpha"], m - d)):
            if far > 0:
                ways.append(e["rows"])
                for _ in range(10):
                    ways[-1] = wanted(ways[-1], alpha, far)
        needed = math.ceil(min(ways))
        needed = max([needed, 30 if e["rows"] < 30 else 0] +
                     [math.ceil(e["rows"] * 10 / e[k]) for k in ("groups", "smaller") if 0 < e[k] < 10])
        needed = needed if needed >= e["rows"] else -1  # there are more, so it isn't rows that lack
    return v, noninferior, detectable, needed


def verdicts(tap, session, rng):
    seen = {}
    for _ in range(3000):
        se = 10 ** rng.uniform(-3, -1)
        delta = float(rng.choice([0, rng.normal() * 3 * se]))
        alpha = float(rng.choice([0.05, 0.025, 0.01]))
        z = stats.norm.ppf(1 - alpha / 2)
        p = float(2 * stats.norm.sf(abs(delta) / se)) * float(rng.choice([1, 1, 1, 1.3]))
        e = {"identical": int(rng.random() < 0.03), "has": int(rng.random() < 0.95), "direction": int(rng.choice([-1, 1])),
             "delta": delta, "low": delta - z * se, "high": delta + z * se, "se": se, "p": min(p, 1),
             "p_adjusted": min(1, p * float(rng.choice([1, 2, 8]))), "alpha": alpha,
             "margin": float(rng.choice([0, 0.005, 0.02, 0.1, 5 * se, 8 * se])), "bounded": int(rng.random() < 0.7),
             "rows": int(rng.choice([29, 30, 200, 5000])), "groups": int(rng.choice([0, 0, 9, 10, 50])),
             "smaller": int(rng.choice([-1, -1, 9, 10, 400])), "n": int(rng.choice([20, 150, 5000])),
             "changed": int(rng.choice([-1, 5, 6, 300])),
             "k": int(rng.choice([0, 1, 2, 8]))}
        want = verdict(e)
        seen[want[0]] = seen.get(want[0], 0) + 1

        def take(a, e=e, want=want):
            same = a[0] == want[0] and int(a[1]) == want[1] and math.isclose(float(a[2]), want[2], rel_tol=1e-9)
            tap.count("verdicts are the rules'", same and math.isclose(float(a[3]), want[3], rel_tol=1e-9),
                      f"{e}: got {a}, want {want}")
            little = want[0] == "inconclusive" and (e["rows"] < 30 or 0 < e["groups"] < 10 or 0 <= e["smaller"] < 10 or
                                                    not e["has"])
            excludes = e["low"] > 0 or e["high"] < 0
            if little or (want[0] == "inconclusive" and excludes):
                tap.count("an inconclusive verdict that surprises has a reason", len(a) > 4, f"{e}: {a}")
        session.ask("judge " + " ".join(repr(x) for x in e.values()), take)
    tap.count("all four verdicts occurred", len(seen) == 4, str(seen))


if __name__ == "__main__":
    run_parts(1994, verdicts)
