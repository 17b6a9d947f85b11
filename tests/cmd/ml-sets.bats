# Sets of labels: --task multilabel of ml-eval and ml-compare.
load helper

value() {
    ml get "$1" "$2"
}

# sets DIR: the same 300 rows as lists, JSON Lines, and columns of 0 and 1 with scores; and a second model's
sets() {
    /usr/bin/python3 - <<'PY'
import csv, json, numpy as np
rng = np.random.default_rng(5)
names, n = ["red", "green", "deep blue", "Ä"], 300
y = rng.random((n, 4)) < [.3, .5, .1, .4]
score = np.round(1 / (1 + np.exp(-(rng.normal(size=(n, 4)) + 2.4 * y - 1.2))), 6)
other = np.where(rng.random((n, 1)) < .3, np.clip(score + .4 * rng.normal(size=(n, 4)), 0, 1), score)
rows = lambda m: [[names[k] for k in rng.permutation(4) if r[k]] for r in m]
for name, s in (("current", score), ("candidate", other)):
    p = s >= .5
    lists = list(zip(rows(y), rows(p)))
    with open(name + ".csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["id", "label", "prediction", "part"])
        w.writerows([f"r{i}", ";".join(a), " | ".join(b), i % 2] for i, (a, b) in enumerate(lists))
    with open(name + ".jsonl", "w", encoding="utf-8") as f:
        for i, (a, b) in enumerate(lists):
            f.write(json.dumps(dict(id=f"r{i}", label=a + a[:1], prediction=b), ensure_ascii=bool(i % 3)) + "\n")
    with open(name + "-columns.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["id"] + [x + k for x in ("y_", "p_", "s_") for k in names])
        w.writerows([f"r{i}"] + y[i].astype(int).tolist() + p[i].astype(int).tolist() + s[i].tolist() for i in range(n))
np.savez("sets.npz", y=y, score=score, other=other)
PY
}

@test "lists, JSON arrays and columns of 0 and 1 say the same; order and repetition play no part" {
    sets
    ml-eval -q --task multilabel --slice part -o lists.json current.csv
    ml-eval -q --task multilabel -o arrays.json current.jsonl
    ml-eval -q --labels y_ --predictions p_ -o columns.json current-columns.csv
    for f in lists arrays columns; do
        [ "$(value evaluation.task $f.json)" = multilabel ]
        [ "$(value evaluation.confusion $f.json)" = null ]
        for k in data ids metrics classes; do
            [ "$(value evaluation.$k $f.json)" = "$(value evaluation.$k lists.json)" ] || { echo "$f differs in $k"; return 1; }
        done
    done
    [ "$(ml get '/evaluation/slices/part=0/metrics/f1_micro/n' lists.json)" -gt 100 ]
    # a label more is other data
    sed '7s/,"*/,red;green;/' current.csv >other.csv
    ml-eval -q --task multilabel -o other.json other.csv
    [ "$(value evaluation.data other.json)" != "$(value evaluation.data lists.json)" ]
    [ "$(value evaluation.ids other.json)" = "$(value evaluation.ids lists.json)" ]
}

@test "the values are scikit-learn's, from scores at the threshold too" {
    sets
    ml-eval -q --labels y_ --scores s_ --metric all --metric fbeta_samples@2 -o card.json current-columns.csv
    [ "$(value evaluation.threshold card.json)" = 0.5 ]
    ml-eval -q --labels y_ --scores s_ --threshold 0.3 -o low.json current-columns.csv
    /usr/bin/python3 - <<'PY'
import json, numpy as np, sklearn.metrics as m
z = np.load("sets.npz"); y, s = z["y"], z["score"]
for name, p in (("card", s >= .5), ("low", s >= .3)):
    got = json.load(open(name + ".json"))["evaluation"]["metrics"]
    want = dict(accuracy=m.accuracy_score(y, p), hamming_loss=m.hamming_loss(y, p), roc_auc=m.roc_auc_score(y, s),
                average_precision=m.average_precision_score(y, s), lrap=m.label_ranking_average_precision_score(y, s),
                jaccard_samples=m.jaccard_score(y, p, average="samples", zero_division=0))
    if name == "card":
        want |= dict(roc_auc_micro=m.roc_auc_score(y, s, average="micro"), coverage_error=m.coverage_error(y, s),
                     average_precision_micro=m.average_precision_score(y, s, average="micro"),
                     label_ranking_loss=m.label_ranking_loss(y, s),
                     **{"fbeta_samples@2": m.fbeta_score(y, p, beta=2, average="samples", zero_division=0)})
    for a in ("micro", "macro", "weighted", "samples"):
        for k, v in zip(("precision_", "recall_", "f1_"), m.precision_recall_fscore_support(y, p, average=a, zero_division=0)):
            want[k + a] = v
    for k, v in want.items():
        assert abs(got[k]["value"] - v) < 1e-12 and got[k]["low"] < v < got[k]["high"], (name, k, v, got[k])
PY
}

@test "two models of sets are compared row by row" {
    sets
    ml-compare -q --task multilabel --current current.csv --candidate candidate.csv --margin f1_micro=0.2 -o c.json
    [ "$(value comparison.paired c.json)" = true ]
    [ "$(value comparison.identical c.json)" = false ]
    [ "$(value comparison.metrics.accuracy.test c.json)" = mcnemar-midp ]
    [ "$(value comparison.metrics.f1_micro.noninferior c.json)" = true ]
    # micro averages of sets are no accuracies: each is corrected for, from cards as well as row by row
    printf 'metrics:\n  accuracy: { must: improve }\n  f1_micro: { must: improve }\n  recall_micro: { must: improve }\n' >p.yml
    for f in current candidate; do ml-eval -q --task multilabel -o $f.json $f.csv; done
    ml-compare -q --task multilabel --policy p.yml --current current.csv --candidate candidate.csv -o paired.json
    ml-compare -q --policy p.yml --unpaired --current current.json --candidate candidate.json -o unpaired.json </dev/null
    /usr/bin/python3 - <<'PY'
import json
for f in ("paired", "unpaired"):
    m = json.load(open(f + ".json"))["comparison"]["metrics"]
    p = sorted((v["p"], v["p_adjusted"]) for v in m.values() if v["family"] == "primary")
    assert len(p) == 3 and abs(p[0][1] - min(1, 3 * p[0][0])) <= 1e-12, (f, p)
PY
    value comparison.metrics.f1_samples.changed c.json
    /usr/bin/python3 - <<'PY'
import json, numpy as np
z = np.load("sets.npz"); y = z["y"]
was, now = [((z[k] >= .5) == y).all(1) for k in ("score", "other")]
c = json.load(open("c.json"))["comparison"]
assert c["flips"]["fixed"] == (now & ~was).sum() and c["flips"]["broken"] == (was & ~now).sum(), c["flips"]
worst = c["flips"]["worst"][0]
assert worst["label"] == worst["current"] != worst["candidate"], worst
assert set(filter(None, worst["label"].split(";"))) == {n for n, on in zip(["red", "green", "deep blue", "Ä"], y[int(worst["id"][1:])]) if on}
PY
    # other formats on the two sides, and the same model
    ml-compare -q --task multilabel --current current.jsonl --candidate candidate.csv -o d.json
    [ "$(value comparison.metrics d.json)" = "$(ml-compare -q --task multilabel --current current.csv --candidate candidate.csv | ml get comparison.metrics)" ]
    ml-compare -q --task multilabel --current current.csv --candidate current.jsonl -o same.json
    [ "$(value comparison.identical same.json)" = true ]
    # labels that differ are another test set
    sed '9s/,"*/,red;green;/' candidate.csv >other.csv
    run --separate-stderr ml-compare --task multilabel --current current.csv --candidate other.csv
    fails 4 'label differs'
    # scores on both sides
    ml-compare -q --labels y_ --scores s_ --current current-columns.csv --candidate candidate-columns.csv -o s.json
    value comparison.metrics.roc_auc.delta s.json
    value comparison.metrics.lrap.p s.json
}

@test "how sets are written" {
    printf 'id,label,prediction\n1,"[""a"", ""b,c""]",a\n2,"['\''a'\'']","[a, 1.0]"\n3,,[]\n4, a ;; 1;a,1|a\n' >a.csv
    ml-eval -q --task multilabel -o a.json a.csv
    [ "$(ml get evaluation.classes a.json | tr -d ' \n')" = '{"1":1,"a":3,"b,c":1}' ]
    printf 'id,label,prediction\n1,"a, b/c",c\n2,c,"a, b"\n' >b.csv
    ml-eval -q --task multilabel --separator / -o b.json b.csv
    [ "$(ml get evaluation.classes b.json | tr -d ' \n')" = '{"a,b":1,"c":2}' ]
    # numbers are classes in their order
    printf 'id,label,prediction\n1,10;9,9\n2,2,10\n' >n.csv
    ml-eval -q --task multilabel -o n.json n.csv
    [ "$(ml get evaluation.classes n.json | tr -d ' \n')" = '{"2":1,"9":1,"10":1}' ]
    # columns by number, as of a matrix without a header
    printf '1,0,1,1\n0,1,0,1\n0,0,0,0\n' >m.csv
    ml-eval -q --no-header --labels 1-2 --predictions 3-4 -o m.json m.csv
    [ "$(ml get evaluation.metrics.f1_micro.value m.json)" = 0.8 ]
}

@test "what is no set, or doesn't go together" {
    sets
    printf 'id,y_a,y_b,p_a,p_b\n1,1,0,1,0\n2,2,0,1,1\n' >bad.csv
    run --separate-stderr ml-eval --labels y_ --predictions p_ bad.csv
    fails 3 "line 3, column 'y_a'.*1 where a row has it"
    run --separate-stderr ml-eval --labels z_ --predictions p_ bad.csv
    fails 3 "no column starts with 'z_'"
    for names in $'y_\001' 'y_ '; do
        printf '%s,y_b,p_b\n1,0,1\n0,1,0\n' "$names" >bad.csv
        run --separate-stderr ml-eval --labels y_ --predictions p_ bad.csv
        fails 3 "line 1, column 'y_.*': what stands behind the prefix"
    done
    for names in 'y_a,y_ a' y_1,y_1.0; do
        printf '%s,p_b\n1,0,1\n0,1,0\n' "$names" >bad.csv
        run --separate-stderr ml-eval --labels y_ --predictions p_ bad.csv
        fails 3 "line 1, column '${names#*,}': a second column of this class"
    done
    printf 'id,label,prediction\n1,"[""a""",a\n2,"[""a]",a\n' >bad.csv
    run --separate-stderr ml-eval --task multilabel bad.csv
    fails 3 "line 3, column 'label': not a list"
    for row in '{"prediction":["a"]}' '{"label":null,"prediction":["a"]}'; do # is missing, and not empty
        printf '{"label":["a"],"prediction":[]}\n%s\n' "$row" >x.jsonl
        run --separate-stderr ml-eval --task multilabel x.jsonl
        fails 3 "line 2, column 'label': no list of labels"
    done
    printf 'id,label,prediction\n1,a;b,c\n2,b,d\n' >bad.csv
    run --separate-stderr ml-eval --task multilabel bad.csv
    fails 3 "no predicted label is among the labels"
    printf 'id,label,prediction\n1,,\n2,,\n' >bad.csv
    run --separate-stderr ml-eval --task multilabel bad.csv
    fails 3 "no row has a label"
    printf 'id,label,s_a\n1,a;b,0.5\n2,b,0.1\n' >bad.csv
    run --separate-stderr ml-eval --task multilabel --scores s_ bad.csv
    fails 3 "no column 's_b' with the scores"
    printf 'id,label,s_a\n1,a,1.5\n2,,-1\n' >bad.csv
    run --separate-stderr ml-eval --task multilabel --scores s_ bad.csv
    fails 2 "outside 0..1 --threshold"
    for o in "--positive a" "--separator xx" "--task binary --labels y_" "--metric mcc" "--metric mse"; do
        # shellcheck disable=SC2086
        run --separate-stderr ml-eval --task multilabel $o current.csv
        [ "$status" -ge 2 ]
    done
}

@test "many rows are read by several threads, and say the same as their sum" {
    { echo id,label,prediction; seq 1 60000 | awk '{ printf "%d,%s%d;x%d,%s\n", $1, "c", $1 % 700, $1 % 11, ($1 % 3 ? "c" $1 % 700 : "x" $1 % 11) }'; } >big.csv
    ml-eval -q --task multilabel -o big.json big.csv
    [ "$(ml get evaluation.metrics.precision_micro.value big.json)" = 1 ]
    [ "$(ml get evaluation.metrics.recall_micro.value big.json)" = 0.5 ]
    { head -1 big.csv; tail -n +2 big.csv | sort -R --random-source=big.csv; } >mixed.csv
    ml-eval -q --task multilabel -o mixed.json mixed.csv
    [ "$(ml get evaluation.data mixed.json)" = "$(ml get evaluation.data big.json)" ]
    [ "$(ml get evaluation.classes mixed.json | md5sum)" = "$(ml get evaluation.classes big.json | md5sum)" ]
}

# labels FLAGS: 3000 rows with labels a, b, c and the rare z; the candidate is better but for z, which with `never` it never
# predicts, with `always` in half of all rows
labels() {
    /usr/bin/python3 - "$@" <<'PY'
import csv, sys, numpy as np
rng = np.random.default_rng(3)
n, names = 3000, "abcz"
y = rng.random((n, 4)) < [.5, .5, .5, .06]
cur = np.where(rng.random((n, 4)) < [.15, .15, .15, .03], ~y, y)
new = np.where(rng.random((n, 4)) < .08, ~y, y)
new[:, 3] = False if sys.argv[1] == "never" else y[:, 3] | (rng.random(n) < .12)
for name, p in (("cur", cur), ("new", new)):
    with open(name + ".csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["id", "label", "prediction", "weight", "group"])
        w.writerows([i, *(";".join(k for k, on in zip(names, m[i]) if on) for m in (y, p)), 1 + i % 3, i // 4] for i in range(n))
PY
}

@test "a label that collapses is named, though all others became better" {
    labels never
    printf 'metrics:\n  accuracy: { must: not_regress }\n' >ml-policy.yml
    run --separate-stderr ml-compare --task multilabel --policy ml-policy.yml --current cur.csv --candidate new.csv -o k.json </dev/null
    [ "$status" = 0 ]
    [[ "${stderr_lines[1]}" == '  worse in class z, which the average hides: recall -0.9'* ]]
    /usr/bin/python3 - <<'PY'
import csv, json
c = json.load(open("k.json"))["comparison"]
m, n = (list(csv.DictReader(open(f))) for f in ("cur.csv", "new.csv"))
has = lambda r, column, k: k in r[column].split(";")
assert list(c["classes"]) == list("abcz")
near = lambda a, b: a is None and b is None or abs(a - b) < 1e-12
for k, v in c["classes"].items():
    rows = [(has(a, "prediction", k), has(b, "prediction", k)) for a, b in zip(m, n) if has(a, "label", k)]
    assert v["rows"] == v["recall"]["n"] == len(rows)
    assert v["fixed"] == sum(b and not a for a, b in rows) and v["broken"] == sum(a and not b for a, b in rows)
    assert v["recall"]["test"] == "mcnemar-midp" and v["recall"]["family"] == "classes"
    for i, side in enumerate(("current", "candidate")):
        hits, said = sum(r[i] for r in rows), sum(has(r, "prediction", k) for r in (m, n)[i])
        assert v["predicted"][side] == said
        assert near(v["recall"][side], hits / len(rows)) and near(v["f1"][side], 2 * hits / (len(rows) + said))
        assert near(v["precision"][side], hits / said if said else None), (k, v["precision"])
    if k != "z":
        assert v["recall"]["verdict"] == v["precision"]["verdict"] == "better" and v["precision"]["family"] == "classes"
# Holm over all that was looked at: four recalls, and three precisions, for what is never predicted has none
p = sorted(x["p"] for v in c["classes"].values() for x in (v["recall"], v["precision"]) if "p" in x)
assert len(p) == 7 and near(c["classes"]["z"]["recall"]["p_adjusted"], 7 * p[0]) or p[0] != c["classes"]["z"]["recall"]["p"]
assert c["metrics"]["accuracy"]["verdict"] == "better" and c["classes"]["z"]["recall"]["verdict"] == "worse"
assert "verdict" not in c["classes"]["z"]["precision"]
assert [(h["class"], h["metric"]) for h in c["hidden"]] == [("z", "recall")], c["hidden"]
PY
    ml-comment --card k.json >comment.md
    grep -F '`recall` of class `z`' comment.md
    grep -F '<summary>4 classes</summary>' comment.md
    # where an average tells, too, nothing is hidden, but it is said which class it is
    run --separate-stderr ml-compare --task multilabel --current cur.csv --candidate new.csv -o k.json </dev/null
    [ "$(value comparison.hidden k.json)" = '[]' ]
    [[ "$stderr" == *$'\n'"  worse in class z: recall -0.9"* ]]
}

@test "a label that is given too often is worse by its precision" {
    labels always
    printf 'metrics:\n  accuracy: { must: not_regress }\n  recall_macro: { must: not_regress }\n' >ml-policy.yml
    for how in "" "--weight weight" "--group group" "--runs new.csv --runs new.csv"; do
        ml-compare -q --task multilabel $how --policy ml-policy.yml --current cur.csv --candidate new.csv -o k.json </dev/null
        [ "$(value comparison.hidden.0.class k.json)" = z ]
        [ "$(value comparison.hidden.0.metric k.json)" = precision ]
        [ "$(value comparison.classes.z.precision.verdict k.json)" = worse ]
        [ "$(value comparison.classes.a.precision.verdict k.json)" = better ]
        [ "$(value comparison.classes.z.recall.verdict k.json)" != worse ]
    done
    ml-comment --card k.json >comment.md
    grep -F '`precision` of class `z`' comment.md
    grep -E '^\| `z` .*, \*\*worse\*\* \|$' comment.md
    # few rows said so are few rows
    sed -n '1,300p' cur.csv >c.csv
    sed -n '1,300p' new.csv >n.csv
    ml-compare -q --task multilabel --current c.csv --candidate n.csv -o k.json </dev/null
    [[ "$(value comparison.classes.z.precision.reason k.json)" == *rows* ]]
    # the same model again
    ml-compare -q --task multilabel --current cur.csv --candidate cur.csv -o k.json </dev/null
    [ "$(value comparison.classes.z.precision.test k.json)" = identical ]
    [ "$(value comparison.classes.z.recall.verdict k.json)" = equivalent ]
}
