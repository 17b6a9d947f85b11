# Regression: metrics that are asked for, what has no value, and comparisons by them.
bats_require_minimum_version 1.5.0
load helper

make_numbers() {
    /usr/bin/python3 - <<'PY'
import random
random.seed(9)
with open('current.csv', 'w') as a, open('candidate.csv', 'w') as b:
    for f in (a, b):
        f.write('id,label,prediction\n')
    for i in range(400):
        y = random.gammavariate(3, 2)
        e = random.gauss(0, 0.4)
        a.write(f'r{i},{y!r},{y * 2 ** e!r}\n')
        b.write(f'r{i},{y!r},{y * 2 ** (0.7 * e)!r}\n')
PY
}

@test "metrics that are asked for are scikit-learn's" {
    make_numbers
    asked=()
    for m in explained_variance max_error mape smape msle rmsle pinball@0.9 poisson_deviance gamma_deviance tweedie_deviance@1.5 tweedie_deviance@-1 \
        d2_absolute_error d2_pinball@0.1 d2_tweedie@2; do asked+=(--metric $m); done
    ml-eval -q --task regression "${asked[@]}" candidate.csv -o card.json
    /usr/bin/python3 - <<'PY'
import json
import pandas as pd
from sklearn import metrics as m
d = pd.read_csv('candidate.csv', float_precision='round_trip')
y, p = d.label, d.prediction
want = {'explained_variance': m.explained_variance_score(y, p), 'max_error': m.max_error(y, p), 'mape': m.mean_absolute_percentage_error(y, p),
        'smape': (2 * (y - p).abs() / (y.abs() + p.abs())).mean(), 'msle': m.mean_squared_log_error(y, p),
        'rmsle': m.mean_squared_log_error(y, p, squared=False), 'pinball@0.9': m.mean_pinball_loss(y, p, alpha=0.9),
        'poisson_deviance': m.mean_poisson_deviance(y, p), 'gamma_deviance': m.mean_gamma_deviance(y, p),
        'tweedie_deviance@1.5': m.mean_tweedie_deviance(y, p, power=1.5), 'tweedie_deviance@-1': m.mean_tweedie_deviance(y, p, power=-1),
        'd2_absolute_error': m.d2_absolute_error_score(y, p), 'd2_pinball@0.1': m.d2_pinball_score(y, p, alpha=0.1),
        'd2_tweedie@2': m.d2_tweedie_score(y, p, power=2)}
got = json.load(open('card.json'))['evaluation']['metrics']
for k, v in want.items():
    assert abs(got[k]['value'] - v) < 1e-9 * abs(v), (k, got[k], v)
    if k == 'max_error':
        assert got[k]['low'] is None and got[k]['interval'] is None and 'drawn' in got[k]['reason'], got[k]
    else:
        assert got[k]['low'] < v < got[k]['high'] and got[k]['interval'] == 'linear', (k, got[k])
PY
}

@test "outside their domain metrics are null with a reason; a parameter that means nothing is exit 2" {
    make_numbers
    value() { ml-eval -q --task regression --metric "$1" "$2" | ml get "/evaluation/metrics/$1/$3"; }
    sed '3s/,[^,]*$/,-1/' candidate.csv >below.csv
    [ "$(value poisson_deviance below.csv value)" = null ]
    [ "$(value poisson_deviance below.csv reason)" = "a prediction isn't above 0" ]
    [ "$(value msle below.csv reason)" = 'a prediction is below 0' ]
    [ "$(value tweedie_deviance@0 below.csv value)" = "$(value mse below.csv value)" ]
    awk -F, -v OFS=, 'NR == 3 { $2 = 0 } 1' candidate.csv >zero.csv
    [ "$(value poisson_deviance zero.csv value)" != null ]
    [ "$(value gamma_deviance zero.csv reason)" = "a label isn't above 0" ]
    awk -F, -v OFS=, 'NR > 1 { $2 = 3 } 1' candidate.csv >alike.csv
    [ "$(value d2_tweedie@1 alike.csv reason)" = 'the labels are all alike' ]
    [ "$(value d2_absolute_error alike.csv value)" = 0 ]
    for m in pinball pinball@0 pinball@1 tweedie_deviance@0.5 tweedie_deviance d2_pinball@x max_error@2; do
        run --separate-stderr ml-eval --task regression --metric $m candidate.csv
        fails 2 'no such metric'
    done
}

@test "a policy's metrics decide" {
    make_numbers
    printf 'metrics:\n  smape: { max: 0.5, must: improve }\n  d2_tweedie@1: { min: 0.5, must: not_regress, margin: 0.02 }\n  max_error: { max: 50 }\n' >p.yml
    ml-compare -q --task regression --current current.csv --candidate candidate.csv --policy p.yml </dev/null >c.json
    for m in smape d2_tweedie@1; do
        [ "$(ml get "/comparison/metrics/$m/verdict" c.json)" = better ]
        [ "$(ml get "/comparison/metrics/$m/changed" c.json)" = 400 ]
    done
    [ "$(ml get comparison.metrics.max_error.verdict c.json)" = inconclusive ]
    ml-eval -q --task regression --policy p.yml --card c.json candidate.csv -o e.json
    ml-gate -q p.yml --card e.json >/dev/null
}

@test "a row or two of nearly all the weight: r2 and the explained variance are of the rows beside them" {
    /usr/bin/python3 - <<'PY'
import json, random, subprocess
from fractions import Fraction
for seed in range(12):
    r = random.Random(seed)
    rows = [(r.gauss(0, 1), r.gauss(0, 1), 10.0 ** r.randint(-5, 5)) for _ in range(40)]
    for i in range(7, 8 + seed % 2):
        rows[i] = (rows[7][0], rows[7][0] - (seed % 3 == 0) * .3, r.random() * 1e200)
    with open("p.csv", "w") as out:
        print("label,prediction,w", *("%r,%r,%r" % x for x in rows), sep="\n", file=out)
    y, p, w = ([Fraction(x[i]) for x in rows] for i in range(3))
    def spread(v):
        mean = sum(a * b for a, b in zip(w, v)) / sum(w)
        return sum(a * (b - mean) ** 2 for a, b in zip(w, v))
    errors = [a - b for a, b in zip(y, p)]
    want = {"r2": 1 - sum(a * b * b for a, b in zip(w, errors)) / spread(y), "explained_variance": 1 - spread(errors) / spread(y)}
    command = ["ml-eval", "-q", "--task", "regression", "--weight", "w", "--metric", "explained_variance", "p.csv"]
    m = json.loads(subprocess.check_output(command))["evaluation"]["metrics"]
    for name, x in want.items():
        assert abs(m[name]["value"] / float(x) - 1) < 1e-9, (seed, name, m[name], float(x))
PY
}
