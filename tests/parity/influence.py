# SPDX-License-Identifier: GPL-3.0-or-later
"""The influence of each row on each metric, psi_i = W dM/dw_i, from the metric's definition alone.

Metrics are written as functions of the rows' weights that take complex ones, many at once: a matrix with a column for
each row. A step of 1e-40 i in one weight leaves dM/dw in the imaginary part (Squire & Trapp 1998, SIAM Rev. 40, 110): nothing is
subtracted, so that the derivative has all the digits of the metric. Losses of a row are in long doubles."""
import itertools

import numpy as np
from sklearn.utils.stats import _weighted_percentile

from stats_cases import BINARY, MULTILABEL, REGRESSION
from test_calibration import confidence
from test_ranking import RANKING, values_of
from test_ranking import split as queries_of

STEP = 1e-40
EPSILON = 2.0**-52


def slopes(function, weights):
    """The value, and psi: one step a row, each in a line of its own."""
    moved = np.tile(weights.astype(complex), (len(weights), 1))
    moved[np.diag_indices(len(weights))] += STEP * 1j
    value = function(moved)
    return float(value[0].real), (value.imag / STEP * weights.sum()).astype(float)


def share(x):
    """The mean of a number a row."""
    return lambda w: w @ np.asarray(x, float) / w.sum(1)


def over(a, b):
    """0/0 is 0."""
    zero = b.real == 0
    return np.where(zero, 0, a / np.where(zero, 1, b))


# metrics of predicted classes: from the counts of labels, of predictions and of both, of each class
def counts(s, w):
    y, p = np.eye(s.classes)[s.label], np.eye(s.classes)[s.pred]
    return w @ y, w @ p, w @ (y * p)


def ratio(kind, t, p, h, beta):
    if kind == "precision":
        return over(h, p)
    if kind == "recall":
        return over(h, t)
    if kind == "jaccard":
        return over(h, t + p - h)
    return over((1 + beta**2) * h, beta**2 * t + p)


def averaged(kind, average, beta, classes_of):
    """Of classes or labels: micro, macro over those that occur, weighted by their rows."""
    def value(s, w):
        t, p, h = classes_of(s, w)
        if average == "micro":
            return ratio(kind, t.sum(1), p.sum(1), h.sum(1), beta)
        each = ratio(kind, t, p, h, beta)
        if average == "weighted":
            return (each * t).sum(1) / t.sum(1)
        some = (t[0].real > 0) | (p[0].real > 0)
        return each[:, some | (s.task == MULTILABEL)].mean(1)
    return value


def binary_ratio(kind, beta):
    def value(s, w):
        k = 1 - s.positive if kind == "specificity" else s.positive
        return ratio("recall" if kind == "specificity" else kind, *(c[:, k] for c in counts(s, w)), beta)
    return value


def specificity_macro(s, w):
    y, p = np.eye(s.classes)[s.label] == 1, np.eye(s.classes)[s.pred] == 1
    return over(w @ ((~y & ~p) * 1.0), w @ (~y * 1.0))[:, (y | p).any(0)].mean(1)


def balanced_accuracy(s, w):
    t, _, h = counts(s, w)
    some = t[0].real > 0
    return (h[:, some] / t[:, some]).mean(1)


def mcc(s, w):
    t, p, h = (c / w.sum(1, keepdims=True) for c in counts(s, w))
    others = 1 - np.eye(s.classes)  # 1 - sum p^2 without a subtraction
    y, z = ((x @ others * x).sum(1) for x in (t, p))
    return over(h.sum(1) - (t * p).sum(1), np.sqrt(y) * np.sqrt(z))


def kappa(power):
    def value(s, w):
        t, p, _ = (c / w.sum(1, keepdims=True) for c in counts(s, w))
        k = np.arange(s.classes)
        far = np.abs(k[:, None] - k) ** power if power else (k[:, None] != k) * 1.0
        return 1 - share(far[s.label, s.pred])(w) / np.einsum("bi,ij,bj->b", t, far, p)
    return value


# metrics of the order of scores
def area(y, x, w):
    """The share of pairs whose positive has the higher score, a tie counting half."""
    a, b = w[:, y], w[:, ~y]
    wins = (x[y][:, None] > x[~y]) + 0.5 * (x[y][:, None] == x[~y])
    return ((a @ wins) * b).sum(1) / a.sum(1) / b.sum(1)


def area_psi(y, x, weights, delong):
    """With DeLong's m - 1 and n - 1 where he is asked for."""
    psi = slopes(lambda w: area(y, x, w), weights)[1]
    if delong:
        for side in (y, ~y):
            psi[side] *= np.sqrt(side.sum() / max(side.sum() - 1, 1))
    return psi


def precision_sum(y, x, w):
    """Average precision: the mean over the positives of the precision among the scores at least as high."""
    above = (x[:, None] >= x[y]).astype(float)
    return (w[:, y] * ((w * y) @ above) / (w @ above)).sum(1) / w[:, y].sum(1)


def present(s):
    return [k for k in range(s.classes) if (s.label == k).any()]


def of_classes(s, weights, values, psis, by, share_of, delong):
    """A mean of several areas, weighted by shares of the rows that move with the weights."""
    psi = sum(b * p for b, p in zip(by, psis))
    if share_of is not None:
        moved = slopes(lambda w: sum(v * f(w) for v, f in zip(values, share_of)), weights)[1]
        psi = psi + moved * (np.sqrt(s.n / (s.n - 1)) if delong else 1)
    return psi


def one_against_rest(area_like, weighted):
    def psi(s, weights, delong):
        values, psis, shares = [], [], []
        for k in present(s):
            y, x = s.label == k, s.score[:, k]
            if area_like:
                values.append(area(y, x, weights[None].astype(complex))[0].real)
                psis.append(area_psi(y, x, weights, delong))
            else:
                v, p = slopes(lambda w, y=y, x=x: precision_sum(y, x, w), weights)
                values.append(v)
                psis.append(p)
            shares.append(lambda w, y=y: w @ (y * 1.0) / w.sum(1))
        by = [f(weights[None])[0] if weighted else 1 / len(psis) for f in shares]
        return of_classes(s, weights, values, psis, by, shares if weighted else None, delong and area_like)
    return psi


def one_against_one(weighted):
    def psi(s, weights, delong):
        terms, scale = [], np.ones(s.n)
        pairs = list(itertools.permutations(present(s), 2))
        k = len(present(s))
        total = np.zeros(s.n)
        for a, b in pairs:
            both = (s.label == a) | (s.label == b)
            y, x = s.label[both] == a, s.score[both, a]
            part = np.zeros(s.n)
            part[both] = slopes(lambda w: area(y, x, w), weights[both])[1] / weights[both].sum()
            f = lambda w, both=both: w @ (both * 1.0) / w.sum(1) / 2 / (k - 1)  # noqa: E731
            value = area(y, x, weights[None, both].astype(complex))[0].real
            total += part * weights.sum() * (f(weights[None])[0] if weighted else 1 / len(pairs))
            terms.append((value, f))
        if delong:
            for c in present(s):
                rows = s.label == c
                scale[rows] = np.sqrt(rows.sum() / max(rows.sum() - 1, 1))
        total *= scale
        if weighted:
            total += slopes(lambda w: sum(v * f(w) for v, f in terms), weights)[1] * (np.sqrt(s.n / (s.n - 1)) if delong else 1)
        return total
    return psi


def ks(s, w):
    """The largest gap of the two rates; None where it is at two thresholds, which have two derivatives."""
    y = s.label == s.positive
    above = (s.score[:, None] >= np.unique(s.score)).astype(float)
    gap = (w[:, y] @ above[y]) / w[:, y].sum(1, keepdims=True) - (w[:, ~y] @ above[~y]) / w[:, ~y].sum(1, keepdims=True)
    order = np.argsort(gap[0].real)
    if len(order) > 1 and gap[0, order[-1]].real - gap[0, order[-2]].real < 1e-9 or gap[0, order[-1]].real < 1e-9:
        return None
    return gap[:, order[-1]]


def top_cut(s, weights, percent):
    """What part of each row is among the top, and the precision of the rows around the cut (rank_top.c)."""
    y = s.label == s.positive
    order, room = np.argsort(s.score, kind="stable"), percent / 100 * weights.sum()
    above = np.array([weights[s.score > v].sum() for v in s.score])
    within = np.array([weights[s.score == v].sum() for v in s.score])
    at = max(v for v, a, t in zip(s.score, above, within) if a + t >= room * (1 - 1e-12))
    places = np.flatnonzero(s.score[order] == at)
    h, low, high = int(s.n**0.5), places[0], places[-1] + 1
    if high - low < 2 * h + 1:
        low, high = max(0, low - h), min(s.n, high + h)
    asked = np.isin(np.arange(s.n), order[low:high])
    around = np.array([asked[s.score == v].mean() for v in s.score]) * weights  # equals count alike
    part = np.where(s.score > at, 1.0, 0.0)
    tied = s.score == at
    part[tied] = min(1.0, (room - weights[s.score > at].sum()) / weights[tied].sum())
    return part, np.average(y, weights=around)


def top(kind, percent):
    def psi(s, weights, delong):
        part, p = top_cut(s, weights, percent)
        y, q = s.label == s.positive, percent / 100
        hits = lambda w: (w @ (part * (y - p)) + q * p * w.sum(1))  # noqa: E731
        real = (weights * part * y).sum()
        rest = real - hits(weights[None])[0]  # the cut moves so that what is above stays q of the weight
        scale = {"precision": lambda w: q * w.sum(1), "recall": lambda w: w @ (y * 1.0),
                 "lift": lambda w: q * (w @ (y * 1.0))}[kind]
        return slopes(lambda w: (hits(w) + rest) / scale(w), weights)[1]
    return psi


# losses of rows
def log_loss(s):
    if s.task == BINARY:
        own = np.where(s.label == s.positive, s.score, 1 - s.score)
        return -np.log(np.clip(own, EPSILON, 1 - EPSILON))
    clipped = np.clip(s.score, EPSILON, 1 - EPSILON)
    return -np.log(clipped[np.arange(s.n), s.label] / clipped.sum(1))


def brier(s):
    return (s.score - (s.label == s.positive)) ** 2 if s.task == BINARY else \
        ((s.score - np.eye(s.classes)[s.label]) ** 2).sum(1)


def hinge(s):
    if s.task == BINARY:
        return np.maximum(1 - np.where(s.label == s.positive, 1, -1) * s.score, 0)
    own = np.eye(s.classes)[s.label] == 1
    return np.maximum(1 - (s.score[own] - np.where(own, -np.inf, s.score).max(1)), 0)


def top_k(k):
    return lambda s: [(np.argsort(row, kind="stable")[::-1][:k] == y).any() for row, y in zip(s.score, s.label)]


def calibration(bins):
    def value(s, w):
        p, y = confidence(s)
        which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
        members = np.eye(bins)[which]
        members = members[:, members.any(0)]
        gap = w @ (members * (p - y)[:, None])
        gap = gap * np.where(gap[0].real < 0, -1, 1)
        if (gap[0].real < 1e-12).any():
            return None  # no derivative there
        return gap.sum(1) / w.sum(1)
    return value


def tweedie(y, p, q):
    y, p = np.asarray(y, np.longdouble), np.asarray(p, np.clongdouble if np.iscomplexobj(p) else np.longdouble)
    if q == 0:
        return (y - p) ** 2
    if q == 1:
        return 2 * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / p), 0) - y + p)
    if q == 2:
        return 2 * (np.log(p / y) + y / p - 1)
    return 2 * (np.maximum(y, 0) ** (2 - q) / ((1 - q) * (2 - q)) - y * p ** (1 - q) / (1 - q) + p ** (2 - q) / (2 - q))


def pinball(y, p, level):
    d = np.asarray(y, np.longdouble) - p
    return np.where(d >= 0, level * d, (level - 1) * d)


def msle(s):
    return (np.log1p(s.truth.astype(np.longdouble)) - np.log1p(s.estimate.astype(np.longdouble))) ** 2


def smape(s):
    of = np.abs(s.truth) + np.abs(s.estimate)
    return np.where(of > 0, 2 * np.abs(s.truth - s.estimate) / np.where(of > 0, of, 1), 0)


def errors(s):
    return s.truth.astype(np.longdouble) - s.estimate


def of_loss(loss, then=lambda x: x):
    return lambda s, w: then(share(loss(s))(w))


def r2(centred):
    def value(s, w):
        # about the centre that the weights have now, which is exact, and moves with them
        e, d = errors(s).astype(float), s.truth - np.average(s.truth, weights=w[0].real)
        e = e - np.average(e, weights=w[0].real) * centred
        lost = share(e * e)(w) - centred * share(e)(w) ** 2
        return 1 - lost / (share(d * d)(w) - share(d)(w) ** 2)
    return value


def d2_tweedie(q):
    def value(s, w):
        w = w.astype(np.clongdouble)
        mean = (w @ s.truth.astype(np.longdouble)) / w.sum(1)
        base = (w * tweedie(s.truth, mean[:, None], q)).sum(1)
        return 1 - (w @ tweedie(s.truth, s.estimate, q)) / base
    return value


def d2_pinball(level):
    """The quantile is scikit-learn's; where it is best the loss moves little with it, which is left out (loss_number.c)."""
    def value(s, w):
        real = w[0].real
        alike = (real == real[0]).all()
        at = np.percentile(s.truth, level * 100) if alike else _weighted_percentile(s.truth, real, percentile=level * 100)
        return 1 - share(pinball(s.truth, s.estimate, level))(w) / share(pinball(s.truth, at, level))(w)
    return value


# sets of labels
def label_counts(s, w):
    return w @ (s.labels * 1.0), w @ (s.preds * 1.0), w @ (s.labels * s.preds * 1.0)


def samples(kind, beta):
    return of_loss(lambda s: ratio(kind, *(x.sum(1).astype(complex) for x in (s.labels, s.preds, s.labels * s.preds)), beta).real)


def labels_mean(area_like):
    def psi(s, weights, delong):
        found = []
        for k in range(s.classes):
            y, x = s.labels[:, k] == 1, s.score[:, k]
            if y.any() and not (area_like and y.all()):
                found.append(area_psi(y, x, weights, delong) if area_like else slopes(lambda w: precision_sum(y, x, w), weights)[1])
        return np.mean(found, axis=0)
    return psi


def pairs_of(function):
    def value(s, w):
        return function(s.labels.ravel() == 1, s.score.ravel(), np.repeat(w, s.classes, axis=1))
    return value


def ranks(s):
    """Of each row and class: the classes, and the labels, whose score is at least as high."""
    high = s.score[:, None, :] >= s.score[:, :, None]
    return high.sum(2), (high & (s.labels[:, None, :] == 1)).sum(2)


def lrap(s):
    seen, hits = ranks(s)
    n = s.labels.sum(1)
    mean = (s.labels * hits / seen).sum(1) / np.maximum(n, 1)
    return np.where((n == 0) | (n == s.classes), 1, mean)


def coverage(s):
    return (s.labels * ranks(s)[0]).max(1)


def ranking_loss(s):
    seen, hits = ranks(s)
    n = s.labels.sum(1)
    wrong = (s.labels * (seen - hits)).sum(1)
    return np.where((n == 0) | (n == s.classes), 0, wrong / np.maximum(n * (s.classes - n), 1))


def direct(function):
    """A metric whose influences are made otherwise than from one value."""
    function.direct = True
    return function


def families(kinds, classes_of, beta=(("@2", 2), ("@0.25", 0.25))):
    out = {}
    for average in ("micro", "macro", "weighted"):
        for kind in kinds:
            out[f"{kind}_{average}"] = averaged(kind, average, 1, classes_of)
        for at, b in beta:
            out[f"fbeta_{average}{at}"] = averaged("fbeta", average, b, classes_of)
    return out


RATIOS = ("precision", "recall", "f1", "jaccard")
SHARED = {
    "accuracy": of_loss(lambda s: s.label == s.pred), "hamming_loss": of_loss(lambda s: s.label != s.pred),
    "balanced_accuracy": balanced_accuracy, "mcc": mcc, "cohen_kappa": kappa(0), "cohen_kappa_linear": kappa(1),
    "cohen_kappa_quadratic": kappa(2), "specificity_macro": specificity_macro,
    **families(RATIOS, counts), "log_loss": of_loss(log_loss), "hinge_loss": of_loss(hinge),
    "ece": calibration(15), "ece@4": calibration(4),
}
METRICS = {
    BINARY: {
        **SHARED, **{k: binary_ratio(k, 1) for k in (*RATIOS, "specificity")}, "fbeta@2": binary_ratio("fbeta", 2),
        "roc_auc": direct(lambda s, u, delong: area_psi(s.label == s.positive, s.score, u, delong)),
        "gini": direct(lambda s, u, delong: 2 * area_psi(s.label == s.positive, s.score, u, delong)),
        "ks": ks, "average_precision": lambda s, w: precision_sum(s.label == s.positive, s.score, w),
        "brier": of_loss(brier),
        **{f"{k}@{p}%": direct(top(k, p)) for k in ("precision", "recall", "lift") for p in (10, 37.5)},
    },
    2: {
        **SHARED, "brier_multiclass": of_loss(brier), **{f"top_{k}_accuracy": of_loss(top_k(k)) for k in (2, 3, 5, 10)},
        "roc_auc": direct(one_against_rest(True, False)), "roc_auc_ovr": direct(one_against_rest(True, False)),
        "roc_auc_ovr_weighted": direct(one_against_rest(True, True)),
        "average_precision_macro": direct(one_against_rest(False, False)),
        "average_precision_weighted": direct(one_against_rest(False, True)),
        "roc_auc_ovo": direct(one_against_one(False)), "roc_auc_ovo_weighted": direct(one_against_one(True)),
    },
    REGRESSION: {
        "mae": of_loss(lambda s: np.abs(errors(s))), "mse": of_loss(lambda s: errors(s) ** 2),
        "rmse": of_loss(lambda s: errors(s) ** 2, np.sqrt), "r2": r2(0), "explained_variance": r2(1),
        "mape": of_loss(lambda s: np.abs(errors(s)) / np.maximum(np.abs(s.truth), EPSILON)), "smape": of_loss(smape),
        "msle": of_loss(msle), "rmsle": of_loss(msle, np.sqrt),
        "poisson_deviance": of_loss(lambda s: tweedie(s.truth, s.estimate, 1)),
        "gamma_deviance": of_loss(lambda s: tweedie(s.truth, s.estimate, 2)),
        **{f"tweedie_deviance@{q}": of_loss(lambda s, q=q: tweedie(s.truth, s.estimate, q)) for q in (-1, 0, 1, 1.5, 2, 3)},
        **{f"d2_tweedie@{q}": d2_tweedie(q) for q in (-1, 0, 1, 1.5, 2, 3)},
        **{f"pinball@{a}": of_loss(lambda s, a=a: pinball(s.truth, s.estimate, a)) for a in (0.5, 0.9)},
        "d2_absolute_error": d2_pinball(0.5), **{f"d2_pinball@{a}": d2_pinball(a) for a in (0.5, 0.9, 0.05)},
    },
    MULTILABEL: {
        "accuracy": of_loss(lambda s: (s.labels == s.preds).all(1)), "hamming_loss": of_loss(lambda s: (s.labels != s.preds).mean(1)),
        **families(RATIOS, label_counts, (("@2", 2),)), **{f"{k}_samples": samples(k, 1) for k in RATIOS},
        "fbeta_samples@2": samples("fbeta", 2), "roc_auc": direct(labels_mean(True)), "average_precision": direct(labels_mean(False)),
        "roc_auc_micro": pairs_of(area), "average_precision_micro": pairs_of(precision_sum),
        "lrap": of_loss(lrap), "coverage_error": of_loss(coverage), "label_ranking_loss": of_loss(ranking_loss),
    },
    RANKING: {f"{k}{at}": None for k in ("ndcg", "map", "mrr", "precision", "recall") for at in ("", "@1", "@3")
              if at or k not in ("precision", "recall")},
}
AREAS = {"roc_auc", "gini", "roc_auc_ovr", "roc_auc_ovr_weighted", "roc_auc_ovo", "roc_auc_ovo_weighted"}

CONSTANT = {"r2", "explained_variance"} | {name for name in METRICS[REGRESSION] if name.startswith("d2_")}


def of_queries(name, s):
    """A value a query, the weight of its rows, and each less the mean."""
    kind, _, k = name.partition("@")
    v = values_of(kind, s, int(k) if k else None)
    u = np.array([1.0 if s.weight is None else s.weight[r[0]] for r in queries_of(s)])
    return v - np.average(v, weights=u), u


def psi_of(name, rows):
    """Influences of the rows as stats_expected.Rows has them; None where the metric has no derivative."""
    s, f = rows.s, METRICS[rows.s.task][name]
    if s.task != REGRESSION and name.startswith(("roc", "gini", "ks", "average")) and not (
            (s.labels.any(0) & ~s.labels.all(0)).any() if s.task == MULTILABEL else len(set(s.label)) > 1):
        return None
    if name in CONSTANT and np.ptp(s.truth) == 0:  # scikit-learn's rule, which no weight changes
        return np.zeros(s.n)
    delong = rows.plain and name in AREAS
    if hasattr(f, "direct"):
        return f(s, rows.weights, delong)
    if f(s, rows.weights[None].astype(complex)) is None:
        return None
    return slopes(lambda w: f(s, w), rows.weights)[1]
