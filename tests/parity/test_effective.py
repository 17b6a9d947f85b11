# SPDX-License-Identifier: GPL-3.0-or-later
"""How many rows make a difference, (sum d^2)^2 / sum d^4, from the influences in numpy: weighted, of groups, near the ends of a
double's range; and what it has to be where rows are there twice or differ all alike."""
import warnings

import numpy as np

from stats_cases import BINARY, MULTICLASS, REGRESSION, binary_case, multi_case, number_case, run_parts
from stats_expected import OF_POSITIVE, SHARED, Rows, delong_units, other_model, sums

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

NAMES = {
    BINARY: SHARED + OF_POSITIVE + ["roc_auc", "gini", "average_precision", "log_loss", "brier", "ece", "hinge_loss", "recall@10%"],
    MULTICLASS: SHARED + ["roc_auc", "log_loss", "brier_multiclass", "hinge_loss", "ece"],
    REGRESSION: ["mae", "mse", "rmse", "r2", "explained_variance", "mape", "smape", "pinball@0.9", "d2_absolute_error"],
}


def participation(d):
    squares = (d / np.abs(d).max()) ** 2
    return squares.sum() ** 2 / (squares**2).sum()


def ask(session, name, take):
    """Both models' influences and the difference, to take(influences, answer)."""
    got = {}
    for slot in "AB":
        session.ask(f"spread {slot} {name}", lambda r, slot=slot: got.update({slot: r}))
    session.ask(f"delta {name} 0.05 0 0 0 0", lambda r: take(got, r))


def difference(name, rows, got):
    d = np.array(got["B"][1:], float) - np.array(got["A"][1:], float)
    if name in ("roc_auc", "gini") and rows.plain:
        d = delong_units(rows.s, d)
    return sums(rows, d)


def known(answer):
    return answer[0] == "ok" and float(answer[12]) > 0


def by_numpy(tap, session, rng):
    for _ in range(160):
        n, weight = int(rng.choice([12, 40, 200])), rng.choice(["none", "none", "real", "zeros", "huge"])
        make = rng.integers(3)
        s = binary_case(rng, n, weight, ties=rng.random() < 0.4) if make == 0 else multi_case(
            rng, n, int(rng.integers(3, 6)), weight) if make == 1 else number_case(rng, n, weight)
        if rng.random() < 0.4:
            s.group = rng.integers(0, max(3, n // 4), n)
        t = other_model(rng, s, rng.choice([0.1, 0.5, 1]))
        rows = Rows(s)
        session.sample(s, "A")
        session.sample(t, "B")
        for name in NAMES[s.task]:
            def take(got, r, name=name, rows=rows):
                context = f"{name} n {rows.n} units {rows.units} {r}"
                if r[0] != "ok":
                    return
                d = difference(name, rows, got)
                if r[7] in ("tango", "identical", "bootstrap") or not float(r[2]) > 1e-9 or not np.abs(d).max() > 1e-9:
                    tap.count("no such number of counts, and where nothing varies", not known(r) or r[7] in ("linear", "mover"), context)
                elif not (name == "roc_auc" and rows.plain and rows.s.task == MULTICLASS):  # each class has denominators of its own
                    tap.close(f"effective rows of {name}", [float(r[12])], [participation(d)], 1e-9, 0, context)
                    tap.count("they are between one and all", 1 <= float(r[12]) <= rows.units, context)
            ask(session, name, take)


def counted_scores(tap, session, rng):
    """Scores of few digits, of many rows: other sums than those of the rows."""
    for digits in (3, 12):
        s = binary_case(rng, 70000)
        s = s.but(score=np.round(s.score, digits))
        t = s.but(score=np.round(np.clip(s.score + (rng.random(s.n) < 0.3) * 0.2 * rng.normal(size=s.n) ** 3, 0, 1), digits))
        session.sample(s, "A")
        session.sample(t, "B")
        for name in ("roc_auc", "average_precision", "log_loss", "brier", "ece", "hinge_loss"):
            ask(session, name, lambda got, r, name=name, rows=Rows(s): tap.close(
                f"effective rows of {name}, scores of few digits", [float(r[12])], [participation(difference(name, rows, got))], 1e-9, 0, str(r)))


def by_construction(tap, session, rng):
    """A tenth of the rows is 1 further off, all others are as they were: their number and that of the others, as a share counts."""
    for n, k in ((300, 30), (300, 1), (1000, 500)):
        truth = rng.normal(size=n).round(3) + 10
        s = number_case(rng, n, "none").but(truth=truth, estimate=truth)
        t = s.but(estimate=truth + (np.arange(n) < k))
        session.sample(s, "A")
        session.sample(t, "B")
        p = k / n
        want = n * p * (1 - p) / (1 - 3 * p * (1 - p))
        session.ask("delta mae 0.05 0 0 0 0", lambda r, want=want: tap.close(
            "effective rows where all differ alike", [float(r[12])], [want], 1e-9, 0, str(r)))


def invariant(tap, session, rng):
    for _ in range(20):
        s = number_case(rng, 120, "none").but(weight=rng.uniform(1, 3, 120))
        t = other_model(rng, s, 0.5)
        order = rng.permutation(120)
        twice = np.concatenate([order, order])
        answers = []

        def hold(r, answers=answers):
            answers.append(float(r[12]))
            if len(answers) == 5:
                one, two, heavy, large, small = answers
                tap.close("rows that are there twice are twice as many", [two], [2 * one], 1e-9, 0)
                tap.close("the scale of weights doesn't matter", [heavy], [one], 1e-9, 0)
                tap.close("nor does that of the numbers", [large, small], [one, one], 1e-9, 0)
        for rows, weight, scale in ((order, 1, 1), (twice, 1, 1), (order, 1e300, 1), (order, 1, 2.0**1000), (order, 1, 2.0**-900)):
            for slot, m in (("A", s), ("B", t)):
                session.sample(m.but(n=len(rows), truth=m.truth[rows] * scale, estimate=m.estimate[rows] * scale,
                                     weight=m.weight[rows] * weight), slot)
            session.ask("delta rmse 0.05 0 0 0 0", hold)
        for name in ("hinge_loss", "cohen_kappa", "f1_macro"):
            b = multi_case(rng, 150, 4)
            c = other_model(rng, b, 0.5)
            seen, names = [], rng.permutation(4)
            back = np.argsort(names)

            def same(r, seen=seen, name=name):
                seen.append(float(r[12]))
                if len(seen) == 2:
                    tap.close("the names of the classes don't matter", seen[1:], seen[:1], 1e-9, 0, name)
            for other in (False, True):
                for slot, m in (("A", b), ("B", c)):
                    session.sample(m.but(label=names[m.label], pred=names[m.pred], score=m.score[:, back]) if other else m, slot)
                session.ask(f"delta {name} 0.05 0 0 0 0", same)
        h = binary_case(rng, 80)
        h = h.but(score=(h.score - 0.5) * 2)
        i = h.but(score=h.score + 0.3 * rng.normal(size=80))
        powers = []

        def alike(r, powers=powers):
            powers.append(float(r[12]))
            if len(powers) == 4:
                tap.close("nor do scores near the end of a double's range", powers[1:], powers[1:2] * 3, 1e-9, 0, str(powers))
        for scale in (1, 2.0**40, 2.0**260, 2.0**1000):  # from the second on no row is on its right side by 1 or less alone
            for slot, m in (("A", h), ("B", i)):
                session.sample(m.but(score=m.score * scale), slot)
            session.ask("delta hinge_loss 0.05 0 0 0 0", alike)


if __name__ == "__main__":
    run_parts(37, by_numpy, counted_scores, by_construction, invariant)
