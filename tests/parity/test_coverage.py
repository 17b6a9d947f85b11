# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage in brief; tests/long has the whole."""
import numpy as np
from scipy import stats

from stats_cases import BINARY, MULTICLASS, Sample, Session, Tap
from stats_coverage import Simulation, binary, midp_exact, numbers, second, sets, tango_exact, wilson_exact

# Of 30 and of 50 rows, from all that may come out: the worst, and the mean.
EXACT = {
    "Wilson's interval holds": ((0.8371, 0.9524), (0.8375, 0.9515)),
    "Tango's interval holds": ((0.9298, 0.9682), (0.9351, 0.9619)),
    "a harm passes as not inferior by Tango's interval": ((0.0417, 0.0181), (0.0354, 0.0214)),
    "McNemar's mid-p rejects the null": ((0.0488, 0.0375), (0.0626, 0.0418)),
}


def exact(tap):
    midp = midp_exact((30, 50))
    for i, n in enumerate((30, 50)):
        for (name, want), (where, worst, mean) in zip(EXACT.items(), (wilson_exact(n), *tango_exact(n), midp[n])):
            tap.close(f"{name}: exact size", [worst, mean], want[i], 0, 1e-4, f"{n} rows, {where}")


NAMES = ["recall_macro", "balanced_accuracy", "f1_macro", "precision_macro", "jaccard_macro"]


def null(tap, rng, where, y, right, names, group=None, held=None, draws=400):
    """Two models of equal skill: how often a difference is found, and (held: metrics) the interval of the first holds the truth. `right`
    draws which rows are; errors go to any other class."""
    session, classes = Session(), y.max() + 1
    rejected, holds = {name: [] for name in names}, {name: [] for name in held or {}}
    for _ in range(draws):
        says = [np.where(right(), y, (y + rng.integers(1, classes, len(y))) % classes) for _ in "AB"]
        s = Sample(MULTICLASS if classes > 2 else BINARY, len(y), classes, -1 if classes > 2 else 1, y, says[0], group=group)
        session.sample(s, "A")
        session.sample(s.but(pred=says[1]), "B")
        for name in names:
            session.ask(f"delta {name} 0.05 0 0 0 0", lambda a, name=name: rejected[name].append(a[0] == "ok" and float(a[5]) <= 0.05))
        for name, truth in (held or {}).items():
            session.ask(f"estimate A {name} 0.95 0 0 0 0", lambda a, name=name, truth=truth: holds[name].append(
                a[0] == "ok" and float(a[3]) <= truth <= float(a[4])))
    session.run()
    for name in names:
        tap.count(f"a null is rejected seldom: {where}", np.mean(rejected[name]) < 0.095, f"{name}: {np.mean(rejected[name])}")
    for name in held or {}:
        tap.count(f"the interval of {name} holds: {where}", np.mean(holds[name]) > 0.92, str(np.mean(holds[name])))


def small_classes(tap, rng):
    """Classes of so few rows, or groups, that most of them, or all, show no spread, and one such class among large ones."""
    for rows, classes in ((1, 300), (2, 150), (5, 60)):
        y = np.repeat(np.arange(classes), rows)
        null(tap, rng, f"{classes} classes of {rows} rows", y, lambda y=y: rng.random(len(y)) < 0.65, NAMES, held={"recall_macro": 0.65})
    for large, rows, small, a, b in ((1, 100, 3, 0.98, 0.9), (4, 30, 2, 0.8, 0.5), (9, 20, 2, 0.95, 0.5)):
        y = np.repeat(np.arange(large + 1), [rows] * large + [small])
        truth = (large * a + b) / (large + 1)
        null(tap, rng, f"{large} classes of {rows} rows and one of {small}", y, lambda y=y, p=np.where(y < y.max(), a, b): rng.random(len(y)) < p,
             NAMES, held={"recall_macro": truth, "balanced_accuracy": truth})
    for classes, groups in ((30, 2), (10, 5)):
        y, group = np.repeat(np.arange(classes), groups * 5), np.repeat(np.arange(classes * groups), 5)
        skill = np.sqrt(1 + 1.5**2) * stats.norm.ppf(0.75)  # a group's rows are right together
        null(tap, rng, f"{classes} classes of {groups} groups", y, lambda group=group, n=classes * groups, skill=skill: skill + 1.5 * rng.normal(size=n)[group]
             + rng.normal(size=len(group)) > 0, NAMES[:3], group, {"recall_macro": 0.75})


def few_rows_of_a_class(tap):
    """Label 1 is predicted three times, always wrongly by one model and always rightly by the other; or never, and six times rightly. Of
    three rows each Fisher's exact test has p = .1, and a sign test .25."""
    session, y = Session(), np.repeat([0, 1], [280, 20])
    for where, before, after, low in (("0 of 3 and 3 of 3", (y == 0) & (np.arange(300) < 3), (y == 1) & (np.arange(300) > 296), 0.05),
                                      ("never and 6 of 6", y < 0, (y == 1) & (np.arange(300) > 293), 0.05)):
        s = Sample(BINARY, 300, 2, 1, y, before * 1)
        session.sample(s, "A")
        session.sample(s.but(pred=after * 1), "B")
        session.ask("delta precision_macro 0.05 0 0 0 0", lambda a, where=where, low=low: tap.count(
            f"few rows of a class are no certainty: {where}", float(a[3]) < 0 < float(a[4]) and float(a[5]) > low, f"precision_macro {a}"))
        session.ask("estimate B precision_macro 0.95 0 0 0 0", lambda a, where=where: tap.count(
            f"few rows of a class are no certainty: {where}", float(a[3]) < 0.8, f"precision_macro {a}"))
    session.run()


def main():
    rng = np.random.default_rng(95)
    s = Simulation(rng, Tap(), 250)
    plain, clustered, regression = binary(rng), binary(rng, groups=1000), numbers(rng)
    s.estimate("binary", plain, 100, ["accuracy", "precision", "f1", "mcc", "jaccard", "fbeta@2", "cohen_kappa", "roc_auc", "log_loss"])
    s.estimate("groups of 20", clustered, 15, ["accuracy", "f1", "roc_auc"], 0.9)
    s.delta("two models", plain, second(rng, plain, gain=0.3), 200, ["accuracy", "recall", "f1", "roc_auc", "brier"], 0.92, 1)
    s.delta("two models, 2 % moved", plain, second(rng, plain, 0.02), 100, ["accuracy", "recall", "f1"], 0.93, 1)
    some = sets(rng)
    s.estimate("sets of labels", some, 150, ["accuracy", "hamming_loss", "f1_micro", "f1_macro", "f1_samples"], 0.92)
    s.delta("sets of labels", some, second(rng, some), 150, ["accuracy", "f1_macro", "f1_samples"], 0.92)
    s.delta("two models", regression, second(rng, regression), 100, ["mae", "rmse"], 0.92)
    exact(s.tap)
    few_rows_of_a_class(s.tap)
    small_classes(s.tap, rng)
    s.finish()


if __name__ == "__main__":
    main()
