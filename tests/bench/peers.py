# What Python takes for the work of ml-eval and ml-compare, and the files that both get. usage:
#   peers.py rows N FILE OTHER SHUFFLED   predictions of two models on N rows; the second one's again in another order
#   peers.py one-by-one FILE              pandas reads everything, scikit-learn computes each metric
#   peers.py fastest FILE                 pandas reads the columns that are used as narrow types; one confusion matrix, one sort
#   peers.py scores N FILE                labels and two models' scores, as bytes and doubles
#   peers.py bootstrap FILE REPLICATES    paired bootstrap of the difference of two areas, on all processors
import os
import sys

import numpy as np


def logistic(x):
    return 1 / (1 + np.exp(-x))


def rows(n, *files):
    n = int(n)
    r = np.random.default_rng(1)
    y = r.random(n) < 0.3
    odds = r.normal(size=n) + y * 1.5 - 1
    slices = np.array(["de", "fr", "en", "it"])[r.integers(0, 4, n)]
    scores = [logistic(odds), logistic(odds + r.normal(size=n) * 0.3 + 0.05 * y)]
    scores.append(scores[1])
    orders = [np.arange(n), np.arange(n), r.permutation(n)]
    for name, s, order in zip(files, scores, orders):
        with open(name, "w") as f:
            f.write("id,label,prediction,score,slice\n")
            for at in range(0, n, 100000):
                f.write("".join("%d,%d,%d,%.6f,%s\n" % (i, y[i], s[i] >= 0.5, s[i], slices[i]) for i in order[at:at + 100000]))


def one_by_one(name):
    import pandas
    from sklearn import metrics as m

    d = pandas.read_csv(name)
    y, p, s = d.label, d.prediction, d.score
    print(m.accuracy_score(y, p), m.balanced_accuracy_score(y, p), m.matthews_corrcoef(y, p))
    print(m.precision_score(y, p), m.recall_score(y, p), m.f1_score(y, p))
    for average in ("micro", "macro", "weighted"):
        print(m.precision_recall_fscore_support(y, p, average=average))
    print(m.roc_auc_score(y, s), m.average_precision_score(y, s), m.log_loss(y, s), m.brier_score_loss(y, s))
    print(m.confusion_matrix(y, p))


def fastest(name):
    import pandas

    d = pandas.read_csv(name, usecols=["label", "prediction", "score"], engine="c", memory_map=True, na_filter=False,
                        dtype={"label": np.int8, "prediction": np.int8, "score": np.float64})
    y, p, s = d.label.to_numpy(), d.prediction.to_numpy(), d.score.to_numpy()
    n = len(y)
    (tn, fp), (fn, tp) = np.bincount(2 * y + p, minlength=4).reshape(2, 2)
    pos, neg = tp + fn, tn + fp
    precision, recall = np.array([tn / (tn + fn), tp / (tp + fp)]), np.array([tn / neg, tp / pos])
    f1, share = 2 * precision * recall / (precision + recall), np.array([neg, pos]) / n
    print((tp + tn) / n, recall.mean(), (tp * tn - fp * fn) / np.sqrt(float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    for x in (precision, recall, f1):
        print(x[1], x.mean(), x @ share)
    order = np.argsort(s)[::-1]
    ranked = s[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), n - 1)  # of each group of equal scores
    hits = np.cumsum(y[order], dtype=np.int64)[last]
    misses = last + 1 - hits
    area = np.sum((misses - np.append(0, misses[:-1])) * (hits + np.append(0, hits[:-1]))) / 2 / pos / neg
    average_precision = np.sum((hits - np.append(0, hits[:-1])) * (hits / (last + 1))) / pos
    own = np.where(y == 1, s, 1 - s)
    print(area, average_precision, -np.log(np.clip(own, 2.0**-52, 1)).mean(), np.square(1 - own).mean())


def scores(n, name):
    n = int(n)
    r = np.random.default_rng(1)
    y = np.sort(r.random(n) < 0.3)[::-1]
    a = r.random(n) + y * 0.4
    with open(name, "wb") as f:
        f.write(y.astype(np.uint8).tobytes() + a.tobytes() + (a * 0.8 + r.random(n) * 0.3).tobytes())


def bootstrap(name, replicates):
    raw = np.fromfile(name, np.uint8)
    n = len(raw) // 17
    y, (a, b) = raw[:n] == 1, raw[n:].view(np.float64).reshape(2, n)
    workers = len(os.sched_getaffinity(0))

    # The positives stand in front. Negatives are sorted once; each positive is placed among them once, ties at both ends.
    # What is drawn is exchangeable, so that the first model's negatives may be drawn in their order.
    pos = int(y.sum())
    by_a = np.argsort(a[pos:])
    models = []
    for s in (a, b):
        negatives = s[pos:][by_a]
        order = np.argsort(negatives, kind="stable")
        ranked = negatives[order]
        models.append((None if s is a else order, np.searchsorted(ranked, s[:pos], "left"), np.searchsorted(ranked, s[:pos], "right")))

    def work(first, out):
        for k in range(first, int(replicates), workers):
            r = np.random.default_rng([7, k])
            counts = np.bincount(r.integers(0, n, n, dtype=np.uint32), minlength=n)
            up, down, area = counts[:pos], counts[pos:], []
            for order, left, right in models:
                below = np.empty(n - pos + 1, np.int64)
                below[0] = 0
                np.cumsum(down if order is None else down[order], out=below[1:])
                area.append(up @ (below[left] + below[right]) / 2 / up.sum() / below[-1])
            out.append(area[1] - area[0])

    pids = []
    for w in range(1, workers):
        pid = os.fork()
        if pid == 0:
            out = []
            work(w, out)
            os._exit(0)
        pids.append(pid)
    out = []
    work(0, out)
    for pid in pids:
        os.waitpid(pid, 0)
    print(np.mean(out), np.std(out))


if __name__ == "__main__":
    {"rows": rows, "one-by-one": one_by_one, "fastest": fastest, "scores": scores, "bootstrap": bootstrap}[sys.argv[1]](*sys.argv[2:])
