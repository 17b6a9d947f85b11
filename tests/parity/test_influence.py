# SPDX-License-Identifier: GPL-3.0-or-later
"""Influences against what scikit-learn's own metrics do when the weight of one row moves a little: psi_i = W dM/dw_i."""
import warnings

import numpy as np

from stats_cases import BINARY, Session, Tap, binary_case, multi_case, number_case
from test_metrics import CLASSES, NONE, OF_BINARY, OF_MANY, OF_NUMBERS

warnings.filterwarnings("ignore")
STEP = 1e-4


def slope(peer, s, i):
    """Derivative of the metric by the i-th weight, from two evaluations: an error of order STEP^2, and what rounding leaves of
    their difference, 1e-16 / STEP. Therefore 1e-5 and 1e-7 below and wherever this is asked; to 1e-9: test_errors.py."""
    def at(h):
        w = s.weight.copy()
        w[i] += h
        return peer(s, w)
    h = STEP * s.weight[i]
    return (at(h) - at(-h)) / (2 * h)


def check(tap, session, s, name, peer):
    if peer(s, s.weight) is NONE:
        return
    want = [slope(peer, s, i) * s.weight.sum() for i in range(s.n)]
    kind = "binary" if s.task == BINARY else "multiclass" if s.classes else "regression"

    def compare(answer):
        subject = f"influence on {name} ({kind}) is the derivative by the weight"
        if answer[0] != "ok":
            tap.count(subject, False, f"got {answer[:3]}")
        else:
            tap.close(subject, [float(x) for x in answer[1:]], want, rel=1e-5, absolute=1e-7, context=f"n {s.n}")

    # weights that are all alike are dropped by the C side; the derivative is the same
    session.sample(s)
    session.ask(f"psi A {name}", compare)


def main():
    tap, session, rng = Tap(), Session(), np.random.default_rng(7)
    for case in range(14):
        n, ties = int(rng.integers(6, 13)), bool(case % 2)
        weight = ("real", "whole", "alike")[case % 3]
        s = binary_case(rng, n, weight, rng.uniform(-0.5, 1.5), ties)
        for name, peer in {**CLASSES, **OF_BINARY}.items():
            check(tap, session, s, name, peer)
        s = multi_case(rng, n, int(rng.integers(3, 5)), weight, ties=ties)
        if len(set(s.label)) == s.classes:  # scikit-learn's one-vs-rest wants all classes
            for name, peer in {**CLASSES, **OF_MANY}.items():
                check(tap, session, s, name, peer)
        s = number_case(rng, n, weight)
        for name, peer in OF_NUMBERS.items():
            if name != "median_ae":
                check(tap, session, s, name, peer)
    session.run()
    tap.finish()


if __name__ == "__main__":
    main()
