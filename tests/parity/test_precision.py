# SPDX-License-Identifier: GPL-3.0-or-later
"""Average precisions: what makes their standard errors, and their intervals and those of differences, against leaving each row out."""
import numpy as np
from scipy import stats

from stats_cases import BINARY, binary_case, label_case, multi_case, run_parts, some, student
from stats_expected import Rows, at_end, by_mover, degrees, farther, hall, logit, other_model, sums
from stats_precision import columns, is_jackknifed, left_out, precision, without_bias
from test_labels import other_model as other_labels


def two_models(rng, i):
    """Ties, classes of a single row, and few of some."""
    n, ties, skill = int(rng.choice([3, 4, 8, 20, 45])), rng.random() < 0.5, rng.uniform(0, 1.5)
    if i % 3 == 0:
        s, names = binary_case(rng, n, skill=skill, ties=ties), ["average_precision"]
        if rng.random() < 0.3:
            s.label = np.where(np.arange(n) == rng.integers(n), s.positive, 1 - s.positive)
    elif i % 3 == 1:
        s = multi_case(rng, n, int(rng.integers(2, 7)), skill=skill, ties=ties)
        names = ["average_precision_macro", "average_precision_weighted"]
    else:
        s, names = label_case(rng, n, int(rng.integers(2, 6)), skill=skill, ties=ties), ["average_precision"]
    return s, (other_labels if i % 3 == 2 else other_model)(rng, s, rng.choice([0.2, 0.6, 1])), names


def value_of(s, name):
    weights = [y.sum() if name.endswith("_weighted") else 1 for y, _ in columns(s)]
    return np.average([precision(y, x) for y, x in columns(s)], weights=weights)


def has_value(s):
    return len(columns(s)) > 0 and (s.label is None or s.task == BINARY or len(set(s.label)) > 1)


def one_model(tap, session, rows, name, slot):
    v, (psi, bias), se = value_of(rows.s, name), left_out(rows.s, name), 0
    se = rows.se(psi) if rows.se(psi) > 1e-14 else 0

    def own(r):
        tap.close(f"value and standard error of {name}", [float(r[1]), float(r[2])], [v, se], 1e-9, 1e-12, str(r))
        if se > 0 and not at_end(v):
            tap.close(f"interval of {name}", [float(r[3]), float(r[4])],
                      farther([v, v], logit(v - bias, se, student(0.95, degrees(rows, name)))), 1e-9, 1e-12, str(r))
    session.ask(f"spread {slot} {name}", lambda r: tap.close(
        f"what {name} loses without each row", [float(x) for x in r[1:]], psi, 1e-9, 1e-12, f"n {rows.n}"))
    session.ask(f"estimate {slot} {name} 0.9 0 0 0 0", own)
    return v, psi, se


def leaving_out(tap, session, rng):
    for i in range(some(600)):
        s, t, names = two_models(rng, i)
        a, b = Rows(s), Rows(t)
        if not has_value(s):
            continue
        session.sample(s, "A")
        session.sample(t, "B")
        for name in names:
            assert is_jackknifed(name, a)
            values, psi, se = zip(*(one_model(tap, session, x, name, slot) for x, slot in zip((a, b), "AB")))

            def difference(r, a=a, b=b, name=name, values=values, psi=psi, se=se):
                both, delta, df = a.se(psi[1] - psi[0]), values[1] - values[0], degrees(a, name)
                if r[0] == "open" or r[6] == "identical" or any(map(at_end, values)) or min(se) == 0 or both < 1e-14:
                    return  # test_consistency.py
                centres = without_bias(values, name, (a, b))
                arms = [lambda q, v=v, w=w: logit(v, w, q) for v, w in zip(centres, se)]
                limits, p = by_mover(arms, centres, se, both, 0.1, df)
                if a.s.task != BINARY:
                    one, other = hall(centres[1] - centres[0], both, sums(a, psi[1] - psi[0]), student(0.95, df), lambda t: stats.t.sf(t, df))
                    limits, p = farther(limits, one), max(p, other)
                limits = [max(min(limits[0], delta), -1), min(max(limits[1], delta), 1)]
                tap.close(f"difference of {name}", [float(x) for x in r[1:5]], [delta, both, *limits], 1e-9, 1e-12, str(r))
                if a.n >= 20:  # of fewer rows the ends may pass 0 more than once
                    tap.close(f"p of a difference of {name}", [float(r[5])], [max(p, 1e-300)], 1e-8, 1e-300, str(r))
            session.ask(f"delta {name} 0.1 0 0 0 0", difference)


if __name__ == "__main__":
    run_parts(1956, leaving_out)
