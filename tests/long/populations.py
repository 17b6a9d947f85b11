# SPDX-License-Identifier: GPL-3.0-or-later
"""What error rates are measured on: two models of each population, of which the second is the worse one."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
from stats_cases import BINARY, MULTILABEL, REGRESSION, Sample  # noqa: E402
from stats_coverage import binary, multiclass, numbers, second, sigmoid  # noqa: E402

CLASSES = ["accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "mcc"]
TWO = ["accuracy", "precision", "recall", "specificity", "f1", "jaccard", "balanced_accuracy", "mcc", "cohen_kappa", "roc_auc",
       "average_precision", "log_loss", "brier", "fbeta@2", "gini", "ks", "lift@10%", "hinge_loss", "ece"]
MORE_TWO = ["precision@10%", "recall@10%", "cost"]
FOUR = CLASSES + ["cohen_kappa_quadratic", "roc_auc", "log_loss", "top_2_accuracy", "roc_auc_ovo", "jaccard_macro", "brier_multiclass"]
MORE_FOUR = ["precision_weighted", "specificity_macro", "jaccard_weighted", "cohen_kappa_linear", "average_precision_macro",
             "average_precision_weighted", "roc_auc_ovr_weighted", "hinge_loss", "ece"]
LINE = ["mae", "rmse", "r2", "explained_variance", "pinball@0.9", "smape", "d2_absolute_error"]
MORE_LINE = ["mse", "median_ae"]
AMOUNTS = ["mae", "rmse", "r2", "mape", "smape", "pinball@0.9", "poisson_deviance", "gamma_deviance", "d2_tweedie@1", "msle"]
MORE_AMOUNTS = ["median_ae", "rmsle"]
QUERIES = ["ndcg@10", "map@10", "mrr", "precision@3", "recall@3"]
SETS = ["accuracy", "f1_micro", "f1_macro", "f1_samples", "jaccard_samples", "hamming_loss", "roc_auc", "lrap"]
MORE_SETS = ["precision_micro", "recall_macro", "f1_weighted", "jaccard_macro", "roc_auc_micro", "average_precision",
             "coverage_error", "label_ranking_loss"]
UNEVEN = ["accuracy", "recall", "f1", "mcc", "roc_auc", "average_precision", "log_loss", "brier", "ece"]
NEAR = ["recall", "f1", "roc_auc", "gini", "average_precision", "brier"]
MANY = CLASSES + ["roc_auc", "log_loss", "top_5_accuracy", "ece"]
RANKING = 16


def skewed(rng):
    """Amounts: always positive, some of them large."""
    middle = np.exp(0.7 * rng.normal(size=20000) + 1)
    s = Sample(REGRESSION, 20000, truth=middle * rng.gamma(3, size=20000) / 3, estimate=middle * np.exp(0.2 * rng.normal(size=20000)))
    worse = np.where(rng.random(s.n) < 0.6, s.estimate * np.exp(0.4 * rng.normal(size=s.n)), s.estimate)
    return s, s.but(estimate=worse)


def queries(rng, count=20000, rows=8):
    n = count * rows
    y = rng.choice([0.0, 0.0, 0.0, 1.0, 2.0], n)
    s = Sample(RANKING, n, truth=y, estimate=rng.normal(size=n) + 0.7 * y, group=np.repeat(np.arange(count), rows))
    return s, s.but(estimate=s.estimate + np.where(rng.random(n) < 0.5, 0.6 * rng.normal(size=n), 0))


def sets(rng, n=20000):
    y = (0.8 * rng.normal(size=(n, 5)) + 0.6 * rng.normal(size=(n, 1)) < [0, -0.5, -0.8, -1, -1.3]).astype(int)
    z = 1.5 * (2 * y - 1) + 1.5 * rng.normal(size=y.shape)
    other = z + (rng.random((n, 1)) < 0.5) * (rng.normal(size=y.shape) - 0.3 * (2 * y - 1))
    s = Sample(MULTILABEL, n, 5, -1, score=sigmoid(z), labels=y, preds=(z >= 0).astype(int))
    return s, s.but(score=sigmoid(other), preds=(other >= 0).astype(int))


def clusters(rng, groups=20000, task=BINARY):
    """Groups of 1 to 10 rows: how hard their rows are, and what the second model says of them, they have in part in common."""
    group = np.repeat(np.arange(groups), rng.integers(1, 11, groups))
    n = len(group)

    def noise():
        return 0.8 * rng.normal(size=n) + 0.6 * rng.normal(size=groups)[group]
    moved = (rng.random(n) < 0.6) * (0.8 * noise() - 0.3)
    if task == REGRESSION:
        truth = 3 * rng.normal(size=n)
        error = noise()
        s = Sample(REGRESSION, n, truth=truth, estimate=truth + error, group=group)
        return s, s.but(estimate=s.estimate + np.where(moved != 0, 0.7 * (moved + 0.3) + 0.15 * error, 0))
    y = (rng.random(n) < 0.4).astype(int)
    z = 1.5 * (2 * y - 1) + 1.5 * noise()
    s = Sample(BINARY, n, 2, 1, y, (z >= 0).astype(int), sigmoid(z), group=group)
    other = z + np.where(moved != 0, 1.2 * (moved + 0.3) - 0.4 * (2 * y - 1), 0)
    return s, s.but(score=sigmoid(other), pred=(other >= 0).astype(int))


def apart(rng, separation, n=20000):
    """Scores that tell nearly all rows apart, with noise of the models' own."""
    y = (rng.random(n) < 0.3).astype(int)
    z = separation * (y - 0.5) + rng.normal(size=n)
    a, b = z + 0.3 * rng.normal(size=n), z + 0.8 * rng.normal(size=n)
    s = Sample(BINARY, n, 2, 1, y, (a >= 0).astype(int), sigmoid(a))
    return s, s.but(score=sigmoid(b), pred=(b >= 0).astype(int))


def scenarios(only):
    """(title, current, candidate, rows or groups, metrics, seed); a seed is a scenario's place in the list, whatever comes to be told."""
    rng = np.random.default_rng(300)
    two, four, line = binary(rng), multiclass(rng, shares=[0.4, 0.3, 0.2, 0.1]), numbers(rng)
    two_b, four_b, line_b = second(rng, two, 0.6, -0.4), second(rng, four, 0.6, -0.4), second(rng, line, 0.6, -0.1)
    rare = binary(rng, 0.12, 1.5)
    costs = (1, [(0, 1, 1), (1, 0, 4)])
    two, two_b = two.but(costs=costs), two_b.but(costs=costs)
    out = []
    for n in (30, 100, 300, 1000):
        more = n >= 300
        out.append(("two classes", two, two_b, n, TWO + MORE_TWO * more))
        out.append(("four classes", four, four_b, n, FOUR + MORE_FOUR * more))
        out.append(("regression", line, line_b, n, LINE + MORE_LINE * more))
    for n in (100, 300, 1000):
        out.append(("12 % positive", rare, second(rng, rare, 0.3, -0.4), n, TWO))
    out.append(("two classes, 3 % moved", two, second(rng, two, 0.03, -0.4), 300, TWO))
    amounts, ranked, labelled = skewed(rng), queries(rng), sets(rng)
    out += [("amounts", *amounts, n, AMOUNTS + MORE_AMOUNTS * (n >= 300)) for n in (100, 300)]
    out += [("rankings", *ranked, n, QUERIES) for n in (100, 300)]
    out += [("sets of labels", *labelled, n, SETS + MORE_SETS * (n >= 300)) for n in (100, 300)]
    out += [("amounts", *amounts, n, AMOUNTS + MORE_AMOUNTS) for n in (1000, 3000)]
    out += [("sets of labels", *labelled, 1000, SETS + MORE_SETS), ("rankings", *ranked, 1000, QUERIES)]
    rng = np.random.default_rng(301)
    for title, shape, sizes in (("weights, Gamma(2)", 2, (300, 1000)), ("weights, Gamma(.3)", 0.3, (300, 1000, 3000))):
        weight = rng.gamma(shape, size=two.n)
        for n in sizes:
            out.append((title, two.but(weight=weight), two_b.but(weight=weight), n, UNEVEN))
            out.append((title, line.but(weight=weight), line_b.but(weight=weight), n, LINE[:4]))
    grouped, grouped_line = clusters(rng), clusters(rng, task=REGRESSION)
    for n in (30, 100, 300):
        out.append(("groups of 1 to 10 rows", *grouped, n, UNEVEN))
        out.append(("groups of 1 to 10 rows", *grouped_line, n, LINE[:4]))
    many = multiclass(rng, 30, 2.5)
    out += [("30 classes", many, second(rng, many, 0.6, -0.4), n, MANY) for n in (1500, 3000)]
    for title, separation in (("areas near .99", 4), ("areas near .999", 5)):
        near = apart(rng, separation)
        out += [(title, *near, n, NEAR) for n in (300, 1000)]
    out = [(*o[:4], [m for m in o[4] if not only or m in only], i) for i, o in enumerate(out)]
    return [o for o in out if o[4]]
