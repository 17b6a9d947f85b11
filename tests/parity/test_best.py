# SPDX-License-Identifier: GPL-3.0-or-later
"""The set that cannot be told from the best, once more in numpy and by simulation; and the change in calibration."""
import warnings

import numpy as np
from scipy import stats

from stats_cases import BINARY, MULTICLASS, REGRESSION, Sample, binary_case, number_case, run_parts, student
from stats_expected import Rows, case, hall, mover_numbers, other_model

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
DRAWS = 600


def sets(tap, session, rng):
    for _ in range(60):
        k = int(rng.integers(2, 7))
        s = number_case(rng, 60, "none", "plain") if rng.random() < 0.5 else binary_case(rng, 60, "none")
        models = [s] + [other_model(rng, s, 0.7) for _ in range(k - 1)]
        name = "mae" if s.task == REGRESSION else "brier"
        losses = np.array([np.abs(m.truth - m.estimate) if name == "mae" else (m.score - (m.label == m.positive)) ** 2
                           for m in models])
        want = []
        for i in range(k):
            p = []
            for j in range(k):
                d = losses[max(i, j)] - losses[min(i, j)]
                if j != i and d.any():
                    pair, se = losses[[min(i, j), max(i, j)]], d.std(ddof=1) / np.sqrt(60)
                    own = mover_numbers(name, Rows(s), Rows(s), pair.mean(1), pair.std(1, ddof=1) / np.sqrt(60), se, 0.05, 59) if name == "brier" else None
                    two = own[1] if own else hall(d.mean(), se, d - d.mean(), 2, lambda t: stats.t.sf(t, 59))[1]
                    p.append(two / 2 if losses[j].mean() < losses[i].mean() else 1 - two / 2)
            want.append(min(1, (k - 1) * min(p)))
        for i, m in enumerate(models):
            session.sample(m, chr(ord("A") + i))
        session.ask(f"best {name} 0.05 {k}", lambda a, w=want, c=f"{name} {k}": tap.close(
            "p of being the best", [float(x) for x in a], w, 1e-6, 1e-12, c))
    few = number_case(rng, 29, "none", "plain")
    session.sample(few)
    session.sample(few.but(estimate=few.truth), "B")
    session.ask("best mae 0.05 2", lambda a: tap.count("too few rows tell nobody apart", a == ["1", "1"], str(a)))


def coverage(tap, session, rng):
    """Five models, the best of which is in the set in 95 % of the draws at least, whether all are alike or one leads."""
    for lead, title in ((0.0, "all alike"), (0.1, "one a little ahead"), (0.3, "one clearly ahead")):
        held, size = [], []
        for _ in range(DRAWS):
            common = 5 + rng.normal(size=80)
            for i in range(5):
                loss = common + 0.7 * rng.normal(size=80) - (lead if i == 2 else 0)
                session.sample(Sample(REGRESSION, 80, truth=np.zeros(80), estimate=loss), chr(ord("A") + i))
            session.ask("best mae 0.05 5", lambda a: (held.append(float(a[2]) > 0.05), size.append(sum(float(x) > 0.05 for x in a))))
        session.run()
        session.__init__()
        share = np.mean(held)
        tap.count(f"{title}: the best is in the set in {share:.3f} of {DRAWS} draws, of {np.mean(size):.2f} models of 5",
                  share >= 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / DRAWS) and (lead < 0.3 or np.mean(size) < 3))


def promise(s):
    if s.task == BINARY:
        return s.score - (s.label == s.positive)
    best = s.score.argmax(1)
    return s.score[np.arange(s.n), best] - (best == s.label)


def calibration(tap, session, rng):
    for _ in range(120):
        sample = case(rng, rng.choice(["none", "real"]), rng.choice(["no", "no", "some"]))
        if sample.task not in (BINARY, MULTICLASS) or sample.n < 5:
            continue
        other = other_model(rng, sample, 0.5)
        a, b = Rows(sample), Rows(other)
        session.sample(sample, "A")
        session.sample(other, "B")

        def take(r, a=a, b=b):
            if r[2] == "open":
                tap.count("no interval of one unit", a.units < 2, str(r))
                return
            means = [np.average(promise(x.s), weights=x.weights) for x in (a, b)]
            d = promise(b.s) - promise(a.s)
            delta = means[1] - means[0]
            se = a.se(d - delta)
            q = student(0.975, a.units - 1)
            tap.close("bias of probabilities, and its change", [float(r[i]) for i in (0, 1, 3, 4, 5, 6)],
                      [*means, delta, se, delta - q * se, delta + q * se], 1e-9, 1e-12, str(r))
            if se > 1e-12:
                tap.close("p of a change in bias", [float(r[7])], [2 * stats.t.sf(abs(delta) / se, a.units - 1)], 1e-9, 1e-300, str(r))
        session.ask("bias 0.05", take)


if __name__ == "__main__":
    run_parts(1981, coverage, sets, calibration)
