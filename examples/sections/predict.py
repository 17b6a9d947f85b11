# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores the held-out queries with the model in $ML_MODEL and writes $ML_PREDICTIONS (CSV)."""
import csv
import os

import data
from scorer import Scorer


def main():
    scorer = Scorer(os.environ["ML_MODEL"])
    _, held_out = data.load(scorer.model["target"])
    classes = scorer.model["classes"]
    with open(os.environ["ML_PREDICTIONS"], "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["id", "label", "prediction", "accents", *("score_" + name for name in classes)])
        for id, query, label, accents in held_out:
            best, _, scores = scorer.predict(query)
            out.writerow([id, label, best, accents, *(f"{scores[name]:.6g}" for name in classes)])


main()
