# What wrong answers cost: --cost of ml-eval and ml-compare.
load helper

# rows: 200 rows of two and of three classes, two models each, weighted
rows() {
    /usr/bin/python3 - <<'PY'
import csv, numpy as np
rng = np.random.default_rng(3)
for name, classes in (("two", [0, 1]), ("three", ["cat", "cow", "dog"])):
    k = len(classes)
    y = rng.integers(k, size=200)
    p = np.where(rng.random(200) < .7, y, rng.integers(k, size=200))
    q = np.where(rng.random(200) < .8, p, rng.integers(k, size=200))
    w = rng.gamma(2, size=200)
    for file, said in (("current", p), ("candidate", q)):
        with open(f"{name}-{file}.csv", "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["id", "label", "prediction", "w"])
            out.writerows([i, classes[a], classes[b], v] for i, (a, b, v) in enumerate(zip(y, said, w)))
PY
}

@test "mean costs, their errors and differences are numpy's" {
    rows
    ml-eval -q --cost fp=5,fn=1.5,tp=0.25 -o two.json two-current.csv
    ml-eval -q --cost fp=5,fn=1.5 --weight w -o weighted.json two-current.csv
    ml-eval -q --cost cat:dog=7,dog:cat=3,error=1,cow:cow=0.5 -o three.json three-current.csv
    ml-compare -q --current two-current.csv --candidate two-candidate.csv --cost fp=5,fn=1.5 --margin cost=0.3 -o compared.json
    /usr/bin/python3 - <<'PY'
import csv, json, numpy as np
def read(name):
    r = list(csv.DictReader(open(name + ".csv")))
    return [np.array([x[k] for x in r]) for k in ("label", "prediction")] + [np.array([float(x["w"]) for x in r])]
def cost(name, cells, wrong=0):
    y, p, w = read(name)
    return np.array([cells.get((a, b), 0 if a == b else wrong) for a, b in zip(y, p)]), w
def holds(got, v, se):
    assert abs(got["value"] - v) < 1e-12 and abs(got["se"] - se) < 1e-12 and 0 < got["low"] < v < got["high"], (got, v, se)
    assert got["direction"] == "lower" and got["n"] == 200
one = lambda c: (c.mean(), c.std(ddof=1) / np.sqrt(200))
get = lambda f: json.load(open(f + ".json"))["evaluation"]["metrics"]["cost"]
two = {("0", "1"): 5, ("1", "0"): 1.5}
holds(get("two"), *one(cost("two-current", {**two, ("1", "1"): .25})[0]))
holds(get("three"), *one(cost("three-current", {("cat", "dog"): 7, ("dog", "cat"): 3, ("cow", "cow"): .5}, 1)[0]))
c, w = cost("two-current", two)
m = np.average(c, weights=w)
holds(get("weighted"), m, np.sqrt(200 / 199 * ((w * (c - m)) ** 2).sum()) / w.sum())
d = cost("two-candidate", two)[0] - c
got = json.load(open("compared.json"))["comparison"]["metrics"]["cost"]
assert abs(got["delta"] - d.mean()) < 1e-12 and abs(got["se"] - d.std(ddof=1) / np.sqrt(200)) < 1e-12, got
assert got["changed"] == (d != 0).sum() and got["low"] < d.mean() < got["high"] and got["margin"] == .3, got
PY
}

@test "the card says what the costs are, and a comparison goes by it" {
    rows
    ml-eval -q --cost fp=5,fn=1 -o card.json two-candidate.csv
    [ "$(ml get evaluation.costs card.json)" = fp=5,fn=1 ]
    ml-compare -q --card card.json --current two-current.csv --candidate two-candidate.csv -o compared.json
    ml get comparison.metrics.cost.verdict compared.json
    ml-eval -q -o plain.json two-candidate.csv
    run ml get evaluation.metrics.cost plain.json
    [ "$status" -ne 0 ]
    # a rule about it
    printf 'metrics:\n  cost: { max: 0.01 }\n' >policy.yml
    run ml-gate policy.yml card.json
    [ "$status" -eq 1 ]
}

@test "costs that can't be read" {
    rows
    bad() {
        run --separate-stderr ml-eval --cost "$1" "${3:-two-current.csv}"
        fails 2 "$2"
    }
    bad fp=-1 'none negative'
    bad fp 'none negative'
    bad fp=inf 'none negative'
    bad fp=0,fn=0 'nothing costs anything'
    bad xy=1 'fp, fn, tp, tn'
    bad fp=1,0.0:1=2 'said twice'
    bad 0:7=1 "'7' is none of the classes"
    bad fp=1 "'fp=1': of several classes" three-current.csv
    run --separate-stderr ml-eval --metric cost two-current.csv
    fails 2 'needs --cost'
    run --separate-stderr ml-eval --task multilabel --cost error=1 three-current.csv
    fails 2 'binary and multiclass'
    run --separate-stderr ml-eval --task regression --cost error=1 two-current.csv
    fails 2 'binary and multiclass'
    awk -F, -v OFS=, '{ print $1, $2, NR == 1 ? "score" : $3 }' two-current.csv >score.csv
    run --separate-stderr ml-eval --task probabilistic --cost fp=1 score.csv
    fails 2 'binary and multiclass'
}
