# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage of every interval, one model's and differences', in small and awkward samples; nominal .95."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_cases import Tap  # noqa: E402
from stats_coverage import Simulation, binary, multiclass, numbers, second, sets  # noqa: E402

DRAWS = int(os.environ.get("DRAWS", "4000"))
COUNTED = ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "f1_macro", "f1_weighted", "mcc",
           "jaccard", "fbeta@2", "fbeta@0.5", "specificity", "cohen_kappa", "jaccard_micro", "jaccard_macro"]
SCORED = ["roc_auc", "average_precision", "log_loss", "brier"]
SETS = ["accuracy", "hamming_loss", "roc_auc", "average_precision", "average_precision_micro", "lrap", "coverage_error"] + [
    f"{m}_{a}" for m in ("precision", "recall", "f1", "jaccard") for a in ("micro", "macro", "weighted", "samples")]
SHARES = [0.4, 0.3, 0.2, 0.1]


def main():
    rng, tap = np.random.default_rng(2026), Tap()
    s = Simulation(rng, tap, DRAWS)
    plain, many, regression = binary(rng), multiclass(rng, shares=SHARES), numbers(rng)
    # heavy tails (log loss, squares) need more than 30 rows
    for n, low in ((30, 0.9), (100, 0.925), (300, 0.935)):
        s.estimate("binary", plain, n, COUNTED + SCORED, low)
        s.estimate("regression", regression, n, ["mae", "rmse", "r2"], low)
    for n in (100, 300):
        s.estimate("four classes", many, n, ["accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro",
                                             "f1_weighted", "mcc", "roc_auc", "log_loss", "top_2_accuracy",
                                             "cohen_kappa", "cohen_kappa_linear", "cohen_kappa_quadratic",
                                             "jaccard_weighted", "fbeta_macro@2", "specificity_macro"])
    some = sets(rng)
    for n, low in ((100, 0.9), (300, 0.93)):
        s.estimate("sets of labels", some, n, SETS, low)
        s.delta("sets of labels", some, second(rng, some), n, SETS, low - 0.02)
    s.estimate("few positives, AUC .99", binary(rng, 0.1, 2.2), 200, ["roc_auc", "average_precision", "f1", "recall"], 0.9, 0.999)
    s.estimate("many right", binary(rng, 0.4, 2.2), 50, COUNTED + ["roc_auc"], 0.93, 1)
    s.estimate("many right", binary(rng, 0.4, 2.2), 50, ["brier"], 0.86)
    s.estimate("weighted", binary(rng, weight=True), 100, COUNTED + SCORED, 0.92)
    clustered = binary(rng, groups=1000)
    for n in (10, 15, 40):
        s.estimate("groups of 20", clustered, n, COUNTED + SCORED, 0.89)
    s.estimate("regression", regression, 60, ["median_ae"], 0.92)

    for gain in (0.0, 0.3):
        title = f"two models, gain {gain}"
        for n, low in ((50, 0.86), (100, 0.9), (300, 0.92)):
            s.delta(title, plain, second(rng, plain, gain=gain), n, COUNTED, 0.93, 1)
            s.delta(title, plain, second(rng, plain, gain=gain), n, SCORED, low, 1)
        s.delta(title + ", 2 % moved", plain, second(rng, plain, 0.02, gain), 200, COUNTED, 0.93, 1)
        s.delta(title + ", 2 % moved, groups of 20", clustered, second(rng, clustered, 0.02, gain), 20, COUNTED, 0.93, 1)
        s.delta(title, many, second(rng, many, gain=gain), 200, ["accuracy", "f1_macro", "mcc", "roc_auc", "log_loss"], 0.92, 1)
        s.delta(title, regression, second(rng, regression, gain=gain), 100, ["mae", "rmse", "r2"], 0.92)
        s.delta(title + ", groups of 20", clustered, second(rng, clustered, gain=gain), 15, ["accuracy", "f1", "roc_auc"], 0.9)
    s.delta("two models", regression, second(rng, regression), 60, ["median_ae"], 0.92, 1)
    s.finish()


if __name__ == "__main__":
    main()
