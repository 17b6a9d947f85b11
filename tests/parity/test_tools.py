# SPDX-License-Identifier: GPL-3.0-or-later
"""ml-eval and ml-compare as programs, on generated files in every format and spelling, against scikit-learn, scipy and statsmodels."""
import csv
import io
import json
import os
import subprocess
import tempfile
import warnings

import numpy as np
import sklearn.metrics as sk
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

warnings.filterwarnings("ignore")
WORDS = ["a", "b,c", 'say "x"', "two\nlines", " blanks ", "\u00e9t\u00e9", "01", "1", "\U0001f600", "x\ty", "true", "-", "a;b", "'", "\\n", "z\r\ny"]
ENV = dict(os.environ, LC_ALL="C")


def call(tool, *args):
    done = subprocess.run([tool, "-q", *args], capture_output=True, stdin=subprocess.DEVNULL, env=ENV)
    assert done.returncode == 0, (tool, args, done.stderr)
    return json.loads(done.stdout)


def write(rng, path, rows):
    """The rows in a random format; returns nothing, for the file has to say what it is."""
    kind = rng.integers(5)
    names = list(rows[0])
    if kind == 4:
        with open(path, "w", encoding="utf-8", newline="") as f:
            for r in rows:
                keys = list(rng.permutation(names)) if rng.random() < .3 else names
                f.write(json.dumps({k: r[k] for k in keys}, ensure_ascii=bool(rng.integers(2))) + ("\r\n" if rng.random() < .2 else "\n"))
        return
    out = io.StringIO(newline="")
    if kind == 0 and rng.random() < .5:
        out.write("\ufeff")
    w = csv.DictWriter(out, names, delimiter=[",", ",", "\t", ";"][kind], lineterminator="\r\n" if rng.integers(2) else "\n",
                       quoting=csv.QUOTE_ALL if rng.integers(2) else csv.QUOTE_MINIMAL)
    w.writeheader()
    for r in rows:
        w.writerow(r)
    text = out.getvalue()
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text.rstrip("\r\n") if rng.random() < .2 and text[-3] != '"' else text)


def ids(rng, n):
    return [f"{WORDS[rng.integers(len(WORDS))]}#{i}" for i in range(n)]


def classes(rng):
    """Predictions of a few classes with nasty names; a second model that differs a little."""
    n, k = int(rng.integers(30, 300)), int(rng.integers(3, 7))
    names = list(rng.choice(WORDS, k, replace=False))
    y = rng.integers(k, size=n)
    p = np.where(rng.random(n) < .7, y, rng.integers(k, size=n))
    q = np.where(rng.random(n) < .85, p, rng.integers(k, size=n))
    part = rng.integers(3, size=n)
    rows = [dict(id=i, label=names[a], prediction=names[b], w=float(w), part=f"p{c}")
            for i, a, b, w, c in zip(ids(rng, n), y, p, rng.gamma(2, size=n).round(3) + .01, part)]
    return rows, [dict(r, prediction=names[b]) for r, b in zip(rows, q)]


def expected_classes(rows, weight=None):
    y, p = [r["label"] for r in rows], [r["prediction"] for r in rows]
    w = None if weight is None else [r[weight] for r in rows]
    want = dict(accuracy=sk.accuracy_score(y, p, sample_weight=w), balanced_accuracy=sk.balanced_accuracy_score(y, p, sample_weight=w),
                mcc=sk.matthews_corrcoef(y, p, sample_weight=w))
    for a in ("micro", "macro", "weighted"):
        found = sk.precision_recall_fscore_support(y, p, average=a, sample_weight=w, zero_division=0)
        for name, v in zip(("precision_", "recall_", "f1_"), found):
            want[name + a] = v
    return want


def agree(got, want, what):
    for name, v in want.items():
        x = got[name]["value"]
        assert x is not None and abs(x - v) < 1e-11, (what, name, x, v)


def check_classes(rng, d):
    rows, _ = classes(rng)
    path = os.path.join(d, "f")
    write(rng, path, rows)
    asked = [f"{x}_micro" for x in ("precision", "recall", "f1")] + ["recall_macro", "recall_weighted"]
    args = ["--slice", "part"] + [x for a in asked for x in ("--metric", a)] + (["--weight", "w"] if rng.integers(2) else [])
    e = call("ml-eval", *args, path)["evaluation"]
    weight = "w" if "--weight" in args else None
    counts = {c: sum(r["label"] == c for r in rows) for c in {r[k] for r in rows for k in ("label", "prediction")}}
    assert e["classes"] == counts, (e["classes"], counts)
    agree(e["metrics"], expected_classes(rows, weight), args)
    for name, s in e["slices"].items():
        those = [r for r in rows if "part=" + r["part"] == name]
        assert s["rows"] == len(those)
        agree(s["metrics"], {"accuracy": expected_classes(those, weight)["accuracy"], "f1_macro": expected_classes(those, weight)["f1_macro"]}, name)
    order = e["confusion"]["labels"]
    cm = sk.confusion_matrix([r["label"] for r in rows], [r["prediction"] for r in rows], labels=order)
    assert e["confusion"]["counts"] == cm.tolist()


def check_binary(rng, d):
    n = int(rng.integers(30, 300))
    y = rng.integers(2, size=n)
    y[:2] = 0, 1
    s = np.clip(rng.normal(.4 + .2 * y, .25), .001, .999).round(int(rng.integers(1, 6)))
    s = np.clip(s, .001, .999)
    t = float(rng.choice([.5, .3, .7]))
    neg, pos = [("0", "1"), ("-1", "1"), ("False", "TRUE"), ("ham", "spam"), ("0.0", "1e0")][rng.integers(5)]
    rows = [dict(id=i, label=(neg, pos)[a], score=repr(float(x))) for i, a, x in zip(ids(rng, n), y, s)]
    path = os.path.join(d, "f")
    write(rng, path, rows)
    args = ["--threshold", repr(t)] + (["--positive", pos] if pos == "spam" else [])
    e = call("ml-eval", *args, path)["evaluation"]
    p = (s >= t).astype(int)
    assert e["task"] == "binary" and e["threshold"] == t
    agree(e["metrics"], dict(
        accuracy=sk.accuracy_score(y, p), precision=sk.precision_score(y, p, zero_division=0), recall=sk.recall_score(y, p), f1=sk.f1_score(y, p),
        roc_auc=sk.roc_auc_score(y, s), average_precision=sk.average_precision_score(y, s), log_loss=sk.log_loss(y, s), brier=sk.brier_score_loss(y, s),
        f1_macro=sk.f1_score(y, p, average="macro"), mcc=sk.matthews_corrcoef(y, p)), args)


def check_probabilities(rng, d):
    n, k = int(rng.integers(40, 200)), int(rng.integers(3, 9))
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    z = rng.random((n, k)) ** 2 + .01
    z[np.arange(n), y] += rng.random(n)
    z /= z.sum(1, keepdims=True)
    names = [f"c{i}" for i in range(k)]
    turned = list(rng.permutation(k))
    rows = [dict(label=names[a], **{"p:" + names[j]: float(v[j]) for j in turned}) for a, v in zip(y, z)]
    path = os.path.join(d, "f")
    write(rng, path, rows)
    e = call("ml-eval", "--scores", "p:", path)["evaluation"]
    want = dict(accuracy=sk.accuracy_score(y, z.argmax(1)), roc_auc=sk.roc_auc_score(y, z, multi_class="ovr"), log_loss=sk.log_loss(y, z))
    if k > 5:
        want["top_5_accuracy"] = sk.top_k_accuracy_score(y, z, k=5)
    agree(e["metrics"], want, "probabilities")


def check_numbers(rng, d):
    n = int(rng.integers(5, 300))
    y = rng.normal(size=n) * 10.0 ** rng.integers(-6, 7)
    p = y + rng.normal(size=n) * abs(y).mean()
    w = rng.gamma(2, size=n) + .01
    forms = [repr, lambda v: f"{v:.17e}", lambda v: f"{v:.17g}"]
    form = forms[rng.integers(3)]
    rows = [dict(truth=form(float(a)), guess=form(float(b)), w=repr(float(c))) for a, b, c in zip(y, p, w)]
    path = os.path.join(d, "f")
    write(rng, path, rows)
    weighted = bool(rng.integers(2))
    e = call("ml-eval", "--task", "regression", "--label", "truth", "--prediction", "guess", *(["--weight", "w"] if weighted else []), path)
    sw = w if weighted else None
    got = e["evaluation"]["metrics"]
    for name, v in dict(mae=sk.mean_absolute_error(y, p, sample_weight=sw), rmse=sk.mean_squared_error(y, p, sample_weight=sw, squared=False),
                        r2=sk.r2_score(y, p, sample_weight=sw)).items():
        assert abs(got[name]["value"] - v) <= 1e-10 * max(abs(v), 1e-300), (name, got[name], v)


def check_comparison(rng, d):
    a, b = classes(rng)
    by_id = {r["id"]: r for r in a}
    write(rng, os.path.join(d, "a"), [a[i] for i in rng.permutation(len(a))])
    write(rng, os.path.join(d, "b"), b)
    c = call("ml-compare", "--current", os.path.join(d, "a"), "--candidate", os.path.join(d, "b"))["comparison"]
    was = np.array([by_id[r["id"]]["prediction"] == r["label"] for r in b])
    now = np.array([r["prediction"] == r["label"] for r in b])
    fixed, broken = int((now & ~was).sum()), int((was & ~now).sum())
    assert (c["flips"]["fixed"], c["flips"]["broken"]) == (fixed, broken)
    assert len(c["flips"]["worst"]) == min(broken, 10)
    for w in c["flips"]["worst"]:
        row = [r for r in b if r["id"] == w["id"]][0]
        assert w["current"] == row["label"] == w["label"] and w["candidate"] == row["prediction"] != row["label"]
    k, n = min(fixed, broken), fixed + broken
    mid = 1 if n == 0 else min(1, 2 * (binom.cdf(k, n, .5) - .5 * binom.pmf(k, n, .5)))
    if not c["identical"]:
        assert abs(c["metrics"]["accuracy"]["p"] - mid) < 1e-11, (c["metrics"]["accuracy"], mid)
    want_a, want_b = expected_classes(a), expected_classes(b)
    for name, m in c["metrics"].items():
        if name in want_a:
            assert abs(m["current"] - want_a[name]) < 1e-11 and abs(m["candidate"] - want_b[name]) < 1e-11, (name, m)
            assert abs(m["delta"] - (want_b[name] - want_a[name])) < 1e-11
    tested = [m for m in c["metrics"].values() if m["p"] is not None]
    holm = multipletests([m["p"] for m in tested], method="holm")[1]
    for m, p in zip(tested, holm):
        assert abs(m["p_adjusted"] - p) < 1e-11, (m, p)


def main():
    checks = [(check_classes, 60), (check_binary, 60), (check_probabilities, 40), (check_numbers, 40), (check_comparison, 60)]
    print(f"1..{len(checks)}")
    for i, (check, cases) in enumerate(checks):
        why = ""
        for seed in range(cases):
            with tempfile.TemporaryDirectory() as d:
                try:
                    check(np.random.default_rng([i, seed]), d)
                except (AssertionError, KeyError, IndexError) as e:
                    why = f"seed {seed}: {type(e).__name__}: {e}"
                    break
        print(f"{'not ok' if why else 'ok'} {i + 1} - {check.__name__}: {cases} cases")
        if why:
            print("#", why[:600])


main()
