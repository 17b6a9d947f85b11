# SPDX-License-Identifier: GPL-3.0-or-later
"""Average precision with each row left out in turn: what makes its standard error, its bias and its degrees of freedom where rows have
neither weights nor groups (lib/stats/measure.h)."""
import numpy as np

from stats_cases import BINARY, MULTILABEL


def is_jackknifed(name, rows):
    return name.startswith("average_precision") and name != "average_precision_micro" and rows.plain


def precision(y, x):
    """The mean over the positives of the precision among the scores at least as high."""
    return np.mean([y[x >= v].mean() for v in x[y]])


def columns(s):
    """Each class: who is positive, and the scores; those without a positive have no value."""
    if s.task == BINARY:
        all_of = [(s.label == s.positive, s.score)]
    else:
        all_of = [(s.labels[:, k] == 1 if s.task == MULTILABEL else s.label == k, s.score[:, k]) for k in range(s.classes)]
    return [(y, x) for y, x in all_of if y.any()]


def losses(y, x, weight):
    """What the value (times the positives to the power of `weight`, 0 or 1) loses without each row; n - 1 times that of the mean. The
    only positive, without which there is no value, makes the mean 0."""
    n = len(y)
    rest = [np.arange(n) != i for i in range(n)]
    lost = [precision(y, x) * y.sum() ** weight - precision(y[r], x[r]) * y[r].sum() ** weight if y[r].any() else np.nan for r in rest]
    lost = np.array(lost)
    if y.sum() == 1:
        lost[y] = precision(y, x) * weight - np.nansum(lost)
    return lost


def left_out(s, name):
    """n - 1 times what the value loses without each row, less the mean of that, and what it is too large by."""
    classes = columns(s)
    if name == "average_precision_weighted":
        psi = sum(losses(y, x, 1) for y, x in classes) - sum(y.sum() * precision(y, x) for y, x in classes) / s.n
    else:
        psi = (s.n - 1) * np.mean([losses(y, x, 0) for y, x in classes], axis=0)
    return psi - psi.mean(), -psi.mean()


def class_rows(s, name):
    """How many positives a class has, as their harmonic mean, each class counting as it does in the metric."""
    many = np.array([y.sum() for y, _ in columns(s)])
    share = many / many.sum() if name == "average_precision_weighted" else np.full(len(many), 1 / len(many))
    return 1 / (share / many).sum()


def without_bias(values, name, models):
    return [v - left_out(rows.s, name)[1] if is_jackknifed(name, rows) else v for v, rows in zip(values, models)]
