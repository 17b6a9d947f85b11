# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard errors, intervals and differences against straightforward re-implementations in numpy."""
import numpy as np
from scipy import stats

from stats_cases import MULTICLASS, Sample, binary_case, run_parts, student, weights_for
from stats_expected import (NAMES, Rows, case, degrees, expected, hall_of_area, newcombe, other_model, ovr_delong_se,
                            paired_numbers, placements, single_row, sums, wilson)
from stats_macro import Macro


def estimates(tap, session, rng):
    for i in range(420):
        weight = rng.choice(["none", "none", "real", "zeros", "alike", "huge"])
        grouped = rng.choice(["no", "no", "some", "own", "one"])
        sample = case(rng, weight, grouped, rng.choice(["plain", "plain", "plain", "perfect", "wrong", "ties", "never"]))
        rows = Rows(sample)
        confidence = float(rng.choice([0.95, 0.9, 0.99]))
        z = stats.norm.ppf((1 + confidence) / 2)
        q = student((1 + confidence) / 2, rows.units - 1) if rows.units > 1 else z
        session.sample(sample)
        for name in NAMES[sample.task]:
            got = {}
            session.ask(f"spread A {name}", lambda a, got=got: got.update(psi=a))

            def take(a, got=got, rows=rows, name=name, z=z, q=q, confidence=confidence):
                if a[0] == "none":
                    tap.count("no value, no influences", got["psi"][0] == "none", f"{name}: {a}")
                    return
                psi, v = np.array(got["psi"][1:], float), float(a[1])
                if rows.units > 1:
                    q = student((1 + confidence) / 2, degrees(rows, name))
                method, se, limits = expected(rows, name, v, psi, z, q)
                if name == "roc_auc" and rows.s.task == MULTICLASS and rows.plain:
                    se, terms = ovr_delong_se(rows.s)
                    if se is None:
                        return
                    limits = hall_of_area(v, se, terms, z) if 0 < v < 1 and se > 0 else NotImplemented
                context = f"{name} n {rows.n} units {rows.units} v {v} {a}"
                if limits is NotImplemented:
                    ok = a[0] == "open" or (a[5] == method and 0 <= float(a[3]) <= v <= float(a[4]) + 1e-13)
                    tap.count("at 0 or 1 an interval is one-sided or none", ok, context)
                    return
                got_se = float(a[2])
                tap.close(f"standard error of {name}", [got_se], [-1 if se is None else se], 1e-9, 1e-12, context)
                if limits is None:
                    tap.count(f"interval of {name}", a[0] == "open", context)
                else:
                    tap.count("method of the interval", a[0] == "ok" and a[5] == method, f"{context}, want {method}")
                    if a[0] == "ok":
                        tap.close(f"interval of {name}", [float(a[3]), float(a[4])], limits, 1e-9, 1e-12, context)
            session.ask(f"estimate A {name} {confidence} 0 0 0 0", take)


def edges(tap, session, rng):
    """Everything right: what stands in for a variance of 0."""
    z = stats.norm.ppf(0.975)
    for _ in range(60):
        s = binary_case(rng, int(rng.choice([12, 60])), shape="perfect")
        y = s.label == s.positive
        if y.all() or not y.any():
            continue
        session.sample(s)
        j = wilson(1.0, y.sum(), z)[0]
        share = wilson(1.0, s.n, z)[0]
        for name, want in (("f1", [2 * j / (1 + j), 1]), ("f1_weighted", wilson(1.0, s.n, z)),
                           ("fbeta@2", [5 * j / (5 * j + 4 * (1 - j)), 1]), ("specificity", wilson(1.0, (~y).sum(), z)),
                           ("fbeta@0.5", [1.25 * j / (1.25 * j + 1 - j), 1]), ("jaccard", [j, 1]),
                           ("jaccard_micro", [share / (2 - share), 1]), ("hamming_loss", wilson(0.0, s.n, z)),
                           ("jaccard_weighted", wilson(1.0, s.n, z)),
                           ("average_precision", wilson(1.0, min(y.sum(), (~y).sum()), z)),
                           ("roc_auc", newcombe(1.0, y.sum(), (~y).sum(), z))):
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a, name=name, want=want: tap.close(
                f"interval of a perfect {name}", [float(x) for x in a[3:5]], want, 1e-9, 1e-12, str(a)))
        for name in ("mcc", "cohen_kappa", "cohen_kappa_quadratic"):
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a: tap.count(
                "no interval where nothing varies", a[0] == "open" and "variance" in a, str(a)))


def psi_of(got, k):
    return np.array(got["pA" if k == 0 else "pB"][1:], float)


def deltas(tap, session, rng):
    for i in range(360):
        sample = case(rng, rng.choice(["none", "none", "none", "real", "zeros"]), rng.choice(["no", "no", "some", "own"]))
        other = other_model(rng, sample, rng.choice([0.1, 0.5, 1]))
        a, b = Rows(sample), Rows(other)
        alpha = float(rng.choice([0.05, 0.01, 0.05 / 6]))
        session.sample(sample, "A")
        session.sample(other, "B")
        for name in NAMES[sample.task]:
            got = {}
            for slot in "AB":
                session.ask(f"value {slot} {name}", lambda r, got=got, k="v" + slot: got.update({k: r}))
                session.ask(f"spread {slot} {name}", lambda r, got=got, k="p" + slot: got.update({k: r}))

            def take(r, got=got, a=a, b=b, name=name, alpha=alpha):
                context = f"{name} n {a.n} units {a.units} {r}"
                if "none" in (got["vA"][0], got["vB"][0]):
                    tap.count("no difference without both values", r[0] == "none", context)
                    return
                values = [float(got[k][1]) for k in ("vA", "vB")]
                delta = values[1] - values[0]
                same = all((getattr(a.s, c) is None) or (getattr(a.s, c) == getattr(b.s, c)).all()
                           for c in ("pred", "score", "estimate"))
                if same:
                    tap.count("identical models", r[:6] == ["ok", "0", "0", "0", "0", "1"] and r[6] == "identical", context)
                    return
                if a.units < 2:
                    tap.count("no interval from one unit", r[0] == "open", context)
                    return
                want = paired_numbers(name, a, b, [psi_of(got, 0), psi_of(got, 1)], values, alpha)
                if want is None:
                    return
                if name in ("roc_auc", "average_precision") and abs(delta) <= 1e-14 and a.se(psi_of(got, 1) - psi_of(got, 0)) <= 1e-14:
                    return  # test_consistency.py
                if name == "roc_auc" and single_row(a.s):
                    tap.count("no difference of AUC from a class of one row", r[0] == "open", context)
                    return
                se, limits, p, test = want
                if test == "none" or r[0] == "open":
                    tap.count("no interval where nothing varies, or without a row", r[0] == "open" and (test == "none" or se == 0), context)
                    return
                tap.count("name of the test", r[0] == "ok" and r[6] == test, f"{context}, want {test}")
                numbers = [float(x) for x in r[1:6]]
                tap.close(f"difference of {name}", numbers[:4], [delta, se, *limits], 1e-9, 1e-12, context)
                if p is not None:
                    tap.close(f"p of a difference of {name}", numbers[4:], [max(p, 1e-300)], 1e-9, 1e-300, context)
            session.ask(f"delta {name} {alpha!r} 0 0 0 0", take)


def classes(tap, session, rng):
    """Means over classes: the influences that make their standard errors, and the intervals of one model and of a difference."""
    for i in range(120):
        k, weight = int(rng.integers(2, 9)), rng.choice(["none", "none", "real", "huge"])
        y = rng.permutation(np.concatenate([np.arange(k), rng.integers(0, k, int(rng.choice([2, 5, 30])))]))
        says = [np.where(rng.random(len(y)) < rng.choice([0.6, 0.9, 1]), y, rng.integers(0, k, len(y))) for _ in "AB"]
        s = Sample(MULTICLASS, len(y), k, -1, y, says[0], weight=weights_for(rng, len(y), weight),
                   group=[None, None, rng.integers(0, max(2, len(y) // 2), len(y)), y][i % 4])
        models = [Rows(x) for x in (s, s.but(pred=says[1]))]
        for slot, x in zip("AB", models):
            session.sample(x.s, slot)
        for name in ("recall_macro", "balanced_accuracy", "precision_macro", "f1_macro", "jaccard_macro", "fbeta_macro@2", "specificity_macro"):
            for slot, x in zip("AB", models):
                def influences(a, x=x, name=name):
                    want = Macro(x, name).psi()
                    size = max(np.abs(want).max(), 1)
                    tap.close(f"influences of {name} that make the standard error", [float(v) / size for v in a[1:]], want / size, 1e-9, 1e-11)
                session.ask(f"spread {slot} {name}", influences)
            if models[0].units < 2:
                continue

            def interval(a, x=models[0], name=name):
                m = Macro(x, name)
                u = sums(x, m.psi())
                tap.close(f"interval of {name} over small classes", [float(v) for v in a[1:5]],
                          [m.value, m.moments(u)[0], *m.limits(u)(student(0.975, x.units - 1))], 1e-8, 1e-11, f"{a}")
            session.ask(f"estimate A {name} 0.95 0 0 0 0", interval)

            def difference(a, models=models, name=name):
                if a[6] == "identical":
                    return
                of = [Macro(x, name) for x in models]
                want = paired_numbers(name, *models, [m.psi() for m in of], [m.value for m in of], 0.05)
                tap.close(f"difference of {name} over small classes", [float(a[i]) for i in (2, 3, 4)], [want[0], *want[1]], 1e-8, 1e-11, f"{a}")
                if want[2] is not None:
                    tap.close(f"p of a difference of {name} over small classes", [float(a[5])], [want[2]], 1e-7, 1e-300, f"{a}")
            session.ask(f"delta {name} 0.05 0 0 0 0", difference)


def changed_rows(tap, session, rng):
    """Rows whose contribution differs, counted from the columns."""
    for _ in range(80):
        s = binary_case(rng, 60, "none", ties=rng.random() < 0.3)
        t = other_model(rng, s, 0.3)
        session.sample(s, "A")
        session.sample(t, "B")
        y, x, z = s.label == s.positive, s.pred == s.positive, t.pred == t.positive
        losses = (s.score != t.score)
        ranks = np.zeros(60, bool)
        if y.any() and not y.all():
            for mask, which in ((y, 0), (~y, 1)):
                ranks[mask] = np.abs(placements(s.score, y)[which] - placements(t.score, y)[which]) > 1e-12
        for name, want in (("accuracy", x != z), ("f1_micro", x != z), ("balanced_accuracy", x != z),
                           ("recall", (x != z) & y), ("precision", x != z), ("f1", x != z), ("mcc", x != z),
                           ("specificity", (x != z) & ~y), ("jaccard", x != z), ("jaccard_micro", x != z),
                           ("hamming_loss", x != z), ("cohen_kappa_linear", x != z), ("fbeta@2", x != z),
                           ("brier", losses), ("log_loss", losses), ("roc_auc", ranks), ("average_precision", ranks)):
            def take(r, name=name, want=want.sum(), fixed=(~(x == y) & (z == y)).sum(), same=not losses.any()):
                if r[0] != "ok" or same:
                    return
                tap.count("changed rows", int(r[8]) == want, f"{name}: {r}, want {want}")
                if name in ("accuracy", "hamming_loss"):
                    tap.count("fixed and broken rows", int(r[9]) == fixed and int(r[9]) + int(r[10]) == want, str(r))
            session.ask(f"delta {name} 0.05 0 0 0 0", take)


if __name__ == "__main__":
    run_parts(1988, estimates, edges, deltas, classes, changed_rows)
