# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates where seeds vary, as in seeds.md: how often a change that is neutral over seeds and rows is called better, by how many
runs of the candidate there are and how much of the variance is the seeds'; and how often the set of the best holds the best."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_cases import REGRESSION, Sample, Session, Tap  # noqa: E402

DRAWS = int(os.environ.get("DRAWS", "2000"))
ROWS = 300


def model(loss):
    return Sample(REGRESSION, ROWS, truth=np.zeros(ROWS), estimate=loss)


def seeds(tap, rng, ratio, shared):
    """`ratio`: variance between seeds over that of the choice of rows; `shared`: what rows and seeds have in common."""
    session, better = Session(), {k: 0 for k in (1, 2, 3, 5, 10)}

    def note(k, p, delta):
        better[k] += p <= 0.05 and delta < 0
    for draw in range(DRAWS):
        common = 9 + rng.normal(size=ROWS)
        session.sample(model(common), "A")
        own = 0.7 * rng.normal(size=ROWS)
        for i in range(10):
            noise = 0.7 * np.sqrt(shared) * rng.normal(size=ROWS)
            session.sample(model(common + own + noise + 0.7 * np.sqrt(ratio / ROWS) * rng.normal()), chr(ord("B") + i))
        session.ask("delta mae 0.05 0 0 0 0", lambda a: note(1, float(a[5]), float(a[1])))
        for k in (2, 3, 5, 10):
            session.ask(f"runs mae 0.05 1 {k} 0 0 0 0", lambda a, k=k: note(k, float(a[9]), float(a[5])))
        if draw % 50 == 49:
            session.run()
            session.__init__()
    session.run()
    slack = 3 * np.sqrt(0.05 * 0.95 / DRAWS)
    row = ", ".join(f"{k}: {n / DRAWS:.3f}" for k, n in better.items())
    tap.count(f"seeds {ratio:g} times the rows, {shared:g} in common; called better, by runs: {row}",
              all(n / DRAWS <= 0.05 + slack for k, n in better.items() if k > 1), "over alpha")


def best(tap, rng, models, lead):
    session, held, size = Session(), [], []
    for draw in range(DRAWS):
        common = 9 + rng.normal(size=ROWS)
        for i in range(models):
            session.sample(model(common + 0.5 * rng.normal(size=ROWS) - (lead if i == 1 else 0)), chr(ord("A") + i))
        session.ask(f"best mae 0.05 {models}", lambda a: (held.append(float(a[1]) > 0.05), size.append(sum(float(x) > 0.05 for x in a))))
        if draw % 50 == 49:
            session.run()
            session.__init__()
    session.run()
    tap.count(f"{models} models, the best ahead by {lead:g}: it is in the set in {np.mean(held):.3f}, of {np.mean(size):.2f} on average",
              np.mean(held) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / DRAWS))


def main():
    tap, rng = Tap(), np.random.default_rng(2021)
    for ratio in (0, 0.3, 1, 3, 10):
        for shared in (0.2, 4):
            seeds(tap, rng, ratio, shared)
    for models in (2, 5, 20):
        for lead in (0, 0.05, 0.15):
            best(tap, rng, models, lead)
    tap.finish()


if __name__ == "__main__":
    main()
