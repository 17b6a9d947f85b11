# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage in brief; tests/long has the whole."""
import numpy as np

from stats_cases import MULTICLASS, Sample, Session
from stats_coverage import Simulation, Tap, binary, midp_exact, numbers, second, sets, tango_exact, wilson_exact

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


def many_classes(tap, rng, draws=400):
    """Two models of equal skill, and classes of so few rows that most of them, or all, show no spread."""
    names = ["accuracy", "recall_macro", "balanced_accuracy", "f1_macro", "precision_macro", "jaccard_macro"]
    for rows, classes in ((1, 300), (2, 150), (5, 60)):
        y, session, held = np.repeat(np.arange(classes), rows), Session(), []
        rejected = {name: [] for name in names}
        for _ in range(draws):
            says = [np.where(rng.random(len(y)) < 0.65, y, (y + rng.integers(1, classes, len(y))) % classes) for _ in "AB"]
            s = Sample(MULTICLASS, len(y), classes, -1, y, says[0])
            session.sample(s, "A")
            session.sample(s.but(pred=says[1]), "B")
            for name in names:
                session.ask(f"delta {name} 0.05 0 0 0 0", lambda a, name=name: rejected[name].append(a[0] == "ok" and float(a[5]) <= 0.05))
            session.ask("estimate A recall_macro 0.95 0 0 0 0", lambda a: held.append(a[0] == "ok" and float(a[3]) <= 0.65 <= float(a[4])))
        session.run()
        where = f"{classes} classes of {rows} rows"
        for name in names:
            tap.count(f"a null is rejected seldom: {where}", np.mean(rejected[name]) < 0.095, f"{name}: {np.mean(rejected[name])}")
        tap.count(f"the interval of recall_macro holds: {where}", np.mean(held) > 0.92, str(np.mean(held)))


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
    many_classes(s.tap, rng)
    s.finish()


if __name__ == "__main__":
    main()
