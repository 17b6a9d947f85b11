# SPDX-License-Identifier: GPL-3.0-or-later
"""Every metric against scikit-learn on the same rows, and against exact fractions where doubles overflow in it."""
import math
import warnings
from fractions import Fraction

import numpy as np
from sklearn import metrics as sk

from stats_cases import BINARY, WEIGHTS, binary_case, multi_case, number_case, run_parts, take_slice

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
NONE = object()


def averages(name, function):
    out = {}
    for kind in ("micro", "macro", "weighted"):
        out[f"{name}_{kind}"] = lambda s, w, f=function, k=kind: f(s.label, s.pred, average=k, sample_weight=w, zero_division=0)
    return out


def of_classes(name, function):
    """Averages of a metric that may have a parameter: fbeta_macro@2."""
    base, _, parameter = name.partition("@")
    return {f"{base}_{kind}{'@' + parameter if parameter else ''}": peer
            for kind, peer in zip(("micro", "macro", "weighted"), averages("", function).values())}


def fbeta(beta):
    return lambda *a, **k: sk.fbeta_score(*a, beta=beta, **k)


def kappa(weights):
    def peer(s, w):
        value = sk.cohen_kappa_score(s.label, s.pred, labels=np.arange(s.classes), weights=weights, sample_weight=w)
        return NONE if np.isnan(value) else value
    return peer


def specificity_macro(s, w):
    labels = np.union1d(s.label, s.pred)
    tables = sk.multilabel_confusion_matrix(s.label, s.pred, labels=labels, sample_weight=w)
    tn, fp = tables[:, 0, 0], tables[:, 0, 1]
    return np.mean(np.where(tn + fp > 1e-12 * tables.sum((1, 2)), tn / (tn + fp), 0))


def needs_positive(function):
    return lambda s, w: function(s, w) if (s.label == s.positive).any() else NONE


def auc_ovr(s, w):
    present = [k for k in range(s.classes) if (s.label == k).any()]
    if len(present) < 2:
        return NONE
    if len(present) == s.classes and s.classes > 2:
        return sk.roc_auc_score(s.label, s.score, multi_class="ovr", average="macro", sample_weight=w,
                                labels=np.arange(s.classes))
    return np.mean([sk.roc_auc_score(s.label == k, s.score[:, k], sample_weight=w) for k in present])


def auc_binary(s, w):
    y = s.label == s.positive
    return NONE if y.all() or not y.any() else sk.roc_auc_score(y, s.score, sample_weight=w)


def r2(s, w):
    if s.n < 2:
        return NONE
    if np.ptp(s.truth) == 0:  # scikit-learn's rule, but for its rounding of a weighted mean
        return 1.0 if (s.truth == s.estimate).all() else 0.0
    return sk.r2_score(s.truth, s.estimate, sample_weight=w)


def top_k(k):
    return lambda s, w: NONE if k >= s.classes else sk.top_k_accuracy_score(
        s.label, s.score, k=k, sample_weight=w, labels=np.arange(s.classes))


CLASSES = {
    "accuracy": lambda s, w: sk.accuracy_score(s.label, s.pred, sample_weight=w),
    "balanced_accuracy": lambda s, w: sk.balanced_accuracy_score(s.label, s.pred, sample_weight=w),
    "mcc": lambda s, w: sk.matthews_corrcoef(s.label, s.pred, sample_weight=w),
    **averages("precision", sk.precision_score), **averages("recall", sk.recall_score), **averages("f1", sk.f1_score),
    **averages("jaccard", sk.jaccard_score), **of_classes("fbeta@2", fbeta(2)), **of_classes("fbeta@0.25", fbeta(0.25)),
    "hamming_loss": lambda s, w: sk.hamming_loss(s.label, s.pred, sample_weight=w),
    "cohen_kappa": kappa(None), "cohen_kappa_linear": kappa("linear"), "cohen_kappa_quadratic": kappa("quadratic"),
    "specificity_macro": specificity_macro,
}
OF_BINARY = {
    "precision": needs_positive(lambda s, w: sk.precision_score(
        s.label, s.pred, pos_label=s.positive, sample_weight=w, zero_division=0)),
    "recall": needs_positive(lambda s, w: sk.recall_score(s.label, s.pred, pos_label=s.positive, sample_weight=w)),
    "f1": needs_positive(lambda s, w: sk.f1_score(s.label, s.pred, pos_label=s.positive, sample_weight=w)),
    "jaccard": needs_positive(lambda s, w: sk.jaccard_score(
        s.label, s.pred, pos_label=s.positive, sample_weight=w, zero_division=0)),
    "fbeta@2": needs_positive(lambda s, w: sk.fbeta_score(
        s.label, s.pred, beta=2, pos_label=s.positive, sample_weight=w, zero_division=0)),
    "fbeta@0.5": needs_positive(lambda s, w: sk.fbeta_score(
        s.label, s.pred, beta=0.5, pos_label=s.positive, sample_weight=w, zero_division=0)),
    "specificity": lambda s, w: NONE if (s.label == s.positive).all() else sk.recall_score(
        s.label, s.pred, pos_label=1 - s.positive, sample_weight=w),
    "roc_auc": auc_binary,
    "average_precision": needs_positive(lambda s, w: sk.average_precision_score(
        s.label == s.positive, s.score, sample_weight=w)),
    "log_loss": lambda s, w: sk.log_loss(s.label == s.positive, s.score, sample_weight=w, labels=[False, True]),
    "brier": lambda s, w: sk.brier_score_loss(s.label == s.positive, s.score, sample_weight=w, pos_label=True)
    if len(set(s.label)) > 1 else np.average((s.score - (s.label == s.positive)) ** 2, weights=w),
}
OF_MANY = {
    "roc_auc": auc_ovr,
    "log_loss": lambda s, w: sk.log_loss(s.label, s.score, sample_weight=w, labels=np.arange(s.classes)),
    "top_2_accuracy": top_k(2), "top_3_accuracy": top_k(3), "top_5_accuracy": top_k(5),
}
OF_NUMBERS = {
    "mae": lambda s, w: sk.mean_absolute_error(s.truth, s.estimate, sample_weight=w),
    "mse": lambda s, w: sk.mean_squared_error(s.truth, s.estimate, sample_weight=w),
    "rmse": lambda s, w: sk.mean_squared_error(s.truth, s.estimate, sample_weight=w, squared=False),
    "r2": lambda s, w: r2(s, w),
    "median_ae": lambda s, w: sk.median_absolute_error(s.truth, s.estimate, sample_weight=w),
}


def check(tap, session, subject, sample, name, peer, rel=1e-9):
    taken = sample.taken()
    w = taken.weight
    if w is not None:
        # scikit-learn's own sums overflow or vanish; weights are scale-free
        w = w / w.max()
        if name == "median_ae" and (w == w[0]).all():
            w = None
    want = peer(taken, w)

    def compare(answer):
        context = f"{name}, n {taken.n}, task {taken.task}"
        if want is NONE:
            tap.count(subject, answer[0] == "none", f"{context}: got {answer}, want none")
        elif answer[0] != "ok":
            tap.count(subject, False, f"{context}: got {answer}, want {want}")
        else:
            tap.close(subject, [float(answer[1])], [want], rel=rel, context=context)

    session.ask(f"value A {name}", compare)


def classification(tap, session, rng):
    shapes = ("plain", "plain", "plain", "plain", "perfect", "wrong", "never", "always", "one class")
    for case in range(360):
        n = int(rng.choice([1, 2, 3, 5, 8, 13, 30, 77, 300]))
        weight, shape, ties = rng.choice(WEIGHTS), rng.choice(shapes), rng.random() < 0.4
        if case % 2:
            s, peers = binary_case(rng, n, weight, rng.uniform(-0.5, 2), ties, shape), {**CLASSES, **OF_BINARY}
        else:
            s, peers = multi_case(rng, n, int(rng.integers(3, 9)), weight, 1.5, ties, shape), {**CLASSES, **OF_MANY}
        take_slice(rng, s)
        session.sample(s)
        for name, peer in peers.items():
            check(tap, session, f"{name} ({'binary' if s.task == BINARY else 'multiclass'}) is scikit-learn's", s, name, peer)


def regression(tap, session, rng):
    for _ in range(300):
        n = int(rng.choice([1, 2, 3, 6, 11, 50, 400]))
        s = number_case(rng, n, rng.choice(WEIGHTS), rng.choice(["plain", "plain", "ties", "constant", "perfect"]))
        session.sample(s)
        for name, peer in OF_NUMBERS.items():
            check(tap, session, f"{name} is scikit-learn's", s, name, peer)


def root(x):
    """Square root of a fraction, to more digits than a double has."""
    shift = 4 * max(0, 400 - (x.numerator.bit_length() - x.denominator.bit_length()))
    return Fraction(math.isqrt(x.numerator * 2**shift // x.denominator), 2 ** (shift // 2))


def double(x):
    try:
        return float(x)
    except OverflowError:
        return NONE


def exact(s):
    """Metrics in fractions: no overflow, no rounding."""
    y, p = [Fraction(v) for v in s.truth.tolist()], [Fraction(v) for v in s.estimate.tolist()]
    w = [Fraction(v) for v in s.weight.tolist()] if s.weight is not None else [Fraction(1)] * s.n
    total, mean = sum(w), sum(a * b for a, b in zip(w, y)) / sum(w)
    mse = sum(a * (b - c) ** 2 for a, b, c in zip(w, y, p)) / total
    spread = sum(a * (b - mean) ** 2 for a, b in zip(w, y)) / total
    errors = sorted(abs(b - c) for b, c in zip(y, p))
    return {
        "mae": double(sum(a * abs(b - c) for a, b, c in zip(w, y, p)) / total),
        "mse": double(mse),
        "rmse": double(root(mse)),
        "r2": NONE if s.n < 2 else double(1 - mse / spread) if spread else None,
        "median_ae": double((errors[(s.n - 1) // 2] + errors[s.n // 2]) / 2) if s.weight is None else None,
    }


def extremes(tap, session, rng):
    for _ in range(250):
        n = int(rng.choice([2, 3, 10, 40]))
        s = number_case(rng, n, rng.choice(["none", "real", "huge", "tiny"]), rng.choice(["huge", "tiny"]))
        if rng.random() < 0.3:
            s.truth[0], s.estimate[0] = 1.7e308, -1.7e308
        s.estimate = np.clip(s.estimate, -1.7e308, 1.7e308)
        session.sample(s)
        for name, want in exact(s).items():
            if want is not None:
                check(tap, session, f"{name} near the ends of a double is exact", s, name, lambda *_, v=want: v, rel=1e-9)
    for _ in range(100):
        s = binary_case(rng, int(rng.choice([5, 40])), rng.choice(WEIGHTS), ties=rng.random() < 0.5)
        s.score = (2 * s.score - 1) * rng.choice([1.5e308, 1.0, 1e-310])
        session.sample(s)
        for name in ("roc_auc", "average_precision"):
            check(tap, session, f"{name} of scores near the ends of a double", s, name, OF_BINARY[name])
        for name in ("log_loss", "brier"):
            outside = ((s.taken().score < 0) | (s.taken().score > 1)).any()
            if outside:
                check(tap, session, "scores that are no probabilities have no log loss or Brier score", s, name,
                      lambda *_: NONE)


def probabilities(tap, session, rng):
    """Certain, clipped and not quite normalised probabilities."""
    for _ in range(120):
        s = binary_case(rng, 30, rng.choice(["none", "real"]))
        s.score[rng.integers(30, size=4)] = rng.choice([0.0, 1.0, 1e-17, 1 - 1e-16, 1e-300], 4)
        session.sample(s)
        check(tap, session, "log_loss clips at 2^-52", s, "log_loss", OF_BINARY["log_loss"])
        s = multi_case(rng, 30, 5, rng.choice(["none", "real"]))
        s.score[rng.integers(30, size=6), rng.integers(5, size=6)] = 0.0
        s.score /= s.score.sum(1, keepdims=True)
        s.score *= rng.uniform(0.991, 1.009, (30, 1))
        s.score = np.minimum(s.score, 1)
        session.sample(s)
        off = np.abs(s.score.sum(1) - 1).max() > 0.01
        check(tap, session, "log_loss divides rows by their sum", s, "log_loss",
              OF_MANY["log_loss"] if not off else lambda *_: NONE)
        s.score[int(rng.integers(30))] *= rng.choice([0.5, 0.98])
        session.sample(s)
        check(tap, session, "log_loss of rows off 1 by more than .01 is none", s, "log_loss", lambda *_: NONE)


def orders(tap, session, rng):
    for _ in range(200):
        n = int(rng.choice([1, 2, 10, 63, 64, 65, 1000]))
        x = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, size=n)
        if rng.random() < 0.5:
            x = np.round(rng.normal(size=n) * 3) * rng.choice([1.0, -1.0, 0.0], n)
        want = np.argsort(x, kind="stable").tolist()
        session.ask(f"order {n} " + " ".join(repr(v) for v in x.tolist()),
                    lambda a, want=want: tap.count("the order of numbers is numpy's stable one", [int(v) for v in a] == want))


if __name__ == "__main__":
    run_parts(20261122, classification, regression, extremes, probabilities, orders)
