# ml-compare: tests on request, hidden regressions, classes, several runs and candidates, the confirmation.
bats_require_minimum_version 1.5.0
load helper

value() {
    ml get "$1" "$2"
}

# the same value, however deep it stands
same() { # KEY CARD KEY CARD
    /usr/bin/python3 -c 'import json, sys
assert len({json.dumps(json.loads(a)) for a in sys.argv[1:]}) == 1' "$(value "$1" "$2")" "$(value "$3" "$4")"
}

# cur, a (better on average, worse where part=z), b (better), c, and further runs of b; 1200 rows of two classes
make_files() {
    /usr/bin/python3 - <<'PY'
import math, random
random.seed(7)
names = ['cur', 'a', 'b', 'c', 'b2', 'b3', 'cur2']
f = {k: open(k + '.csv', 'w') for k in names}
for k in names:
    f[k].write('id,label,score,part,g\n')
for i in range(1200):
    y, part, base = i % 2, 'xyz'[i % 3], random.gauss(0, 1)
    for k in names:
        skill = {'cur': .8, 'cur2': .82, 'c': .8}.get(k, 1.3)
        if k == 'a':
            skill = .3 if part == 'z' else 1.8
        f[k].write(f"r{i},{y},{1 / (1 + math.exp(-((2 * y - 1) * skill + base + .5 * random.gauss(0, 1)))):.6f},{part},{i // 4}\n")
PY
}

@test "tests on request stand beside the metric's own, which stays as it was" {
    make_files
    ml-compare -q --current cur.csv --candidate b.csv </dev/null >plain.json
    ml-compare --current cur.csv --candidate b.csv --test tost --test wilcoxon --test permutation --test bootstrap \
        --margin accuracy=0.2 </dev/null >x.json 2>err
    # what they found is in columns of the table, and why nothing in a line for each reason
    grep -qE '^  metric .*  p adjusted +tost p +wilcoxon p +permutation p +bootstrap p  verdict$' err
    grep -qE "^  accuracy .* +[^ ]+ +[^ ]+ +[^ ]+ +$(printf %.2g "$(ml get comparison.metrics.accuracy.extra.permutation.p x.json)") +[^ ]+ +equivalent$" err
    grep -qE '^  roc_auc .* +- +- +[^ ]+ +[^ ]+ +better$' err
    grep -qE '^  no tost of balanced_accuracy and 12 other metrics: no margin says what is negligible \(--margin, or a policy.s\)$' err
    grep -qE '^  no wilcoxon of balanced_accuracy and 10 other metrics: the metric is no mean' err
    [ "$(grep -c ' no [a-z]* of ' err)" -eq 2 ]
    # the comment has them folded, with the bootstrap's interval
    ml-comment -q x.json >x.md
    sed -n '/<summary>p of tests on request/,/<\/details>/p' x.md >folded
    grep -qxF '| metric | tost | wilcoxon | permutation | bootstrap |' folded
    grep -qE "^\| \`accuracy\` \| [^ ]+ \| [^ ]+ \| $(printf %.2g "$(ml get comparison.metrics.accuracy.extra.permutation.p x.json)") \| [^ ]+ \([+-][0-9.]+ … [+-][0-9.]+\) \|$" folded
    grep -qE '^\| `roc_auc` \| – \| – \| [^ –]+ \| ' folded
    grep -qF -- '- `no tost of balanced_accuracy and 12 other metrics: no margin says what is negligible (' folded
    ml-comment -q plain.json | run ! grep 'on request'
    # where they can't be made, who asked is told
    ml-compare --current cur.csv --candidate b.csv --unpaired --test permutation -o u.json </dev/null 2>err
    grep -qxF "ml-compare: warning: --test: no such test was made; they are of one set of rows, compared row by row" err
    ml-compare --current cur.csv --candidate b.csv --unpaired -o u.json </dev/null 2>err
    run ! grep warning err
    # where there is no BCa interval, the reason stands beside it
    ml-compare -q --current b.csv --candidate b.csv --test bootstrap </dev/null >same.json
    [ "$(value comparison.metrics.f1.extra.bootstrap.bca same.json)" = null ]
    [ "$(value comparison.metrics.f1.extra.bootstrap.reason same.json)" = 'no BCa interval: no replicate lies on one side of the difference' ]
    run ! value comparison.metrics.f1.extra.bootstrap.reason x.json
    tr , ' ' <cur.csv | awk 'NR == 1 { print "id,label,prediction" } NR > 1 { print $1 "," NR ".5," NR + $3 }' >r.csv
    tr , ' ' <b.csv | awk 'NR == 1 { print "id,label,prediction" } NR > 1 { print $1 "," NR ".5," NR + $3 }' >s.csv
    ml-compare -q --task regression --current r.csv --candidate s.csv --test bootstrap </dev/null >r.json
    [ "$(value comparison.metrics.median_ae.extra.bootstrap.reason r.json)" = 'no BCa interval: the metric has no influence function' ]
    /usr/bin/python3 - <<'PY'
import csv, json
import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired
plain, x = (json.load(open(n))['comparison']['metrics'] for n in ('plain.json', 'x.json'))
for name in plain:
    assert 'extra' not in plain[name]
    if name != 'accuracy':
        assert all(x[name][k] == plain[name][k] for k in plain[name]), name
    assert set(x[name]['extra']) == {'tost', 'wilcoxon', 'permutation', 'bootstrap'}, name
rows = [list(csv.DictReader(open(n + '.csv'))) for n in ('cur', 'b')]
y = np.array([int(r['label']) for r in rows[0]])
p = [np.array([float(r['score']) for r in f]) for f in rows]
hits = ((p[1] >= .5) == y).astype(int) - ((p[0] >= .5) == y).astype(int)
e = x['accuracy']['extra']
assert x['accuracy']['verdict'] == 'equivalent' and e['tost']['margin'] == .2
assert np.isclose(e['tost']['p'], ttost_paired(hits, np.zeros(1200), -.2, .2)[0], rtol=1e-6)
assert np.isclose(e['permutation']['p'], stats.binomtest(int((hits > 0).sum()), int((hits != 0).sum())).pvalue, rtol=1e-9)
assert e['permutation']['exact'] is True and e['permutation']['replicates'] is None
brier = (p[1] - y) ** 2 - (p[0] - y) ** 2
w, e = stats.wilcoxon(brier), x['brier']['extra']
assert np.isclose(e['wilcoxon']['statistic'], w.statistic) and np.isclose(e['wilcoxon']['p'], w.pvalue, rtol=1e-6)
assert e['permutation']['p'] == 2 / 10000 and e['permutation']['replicates'] == 9999
assert e['tost'] == {'p': None, 'reason': "no margin says what is negligible (--margin, or a policy's)", 'margin': None}
b = x['roc_auc']['extra']['bootstrap']
assert b['low'] < x['roc_auc']['delta'] < b['high'] and b['bca']['low'] < x['roc_auc']['delta'] < b['bca']['high']
assert b['unit'] == 'row' and 'no mean' in x['roc_auc']['extra']['wilcoxon']['reason']
PY
    ml-compare -q --current cur.csv --candidate b.csv --group g --test cluster-bootstrap </dev/null >g.json
    [ "$(value comparison.metrics.f1.extra.bootstrap.unit g.json)" = group ]
    [ "$(value comparison.groups g.json)" = 300 ]
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --test cluster-bootstrap </dev/null
    fails 2 'needs --group'
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --test t </dev/null
    fails 2 "--test 't'"
    # only what the policy names: the others would cost time and say nothing
    printf 'metrics:\n  f1: { must: not_regress }\n' >ml-policy.yml
    ml-compare -q --current cur.csv --candidate b.csv --test wilcoxon --policy ml-policy.yml </dev/null >p.json
    value comparison.metrics.f1.extra.wilcoxon p.json
    run ml get comparison.metrics.accuracy.extra p.json
    [ "$status" -eq 1 ]
}

# 300 rows that four models are a little off of; z is three times by far, w twelve times
make_amounts() {
    /usr/bin/python3 - <<'PY'
import random
random.seed(3)
f = {k: open(k + '.csv', 'w') for k in 'wxyz'}
for k in f:
    f[k].write('id,label,prediction,shop\n')
for i in range(300):
    y, shop = random.uniform(50, 100), i // 20
    for k in f:
        f[k].write(f"{i},{y:.4f},{y + random.gauss(0, 1) + (i % {'w': 25, 'z': 100}.get(k, 1) == 7) * 25:.4f},{shop}\n")
PY
}

@test "a difference that few rows make is said to rest on them" {
    make_amounts
    ml-compare --task regression --current x.csv --candidate z.csv --slice shop </dev/null >few.json 2>err
    /usr/bin/python3 - <<'PY'
import csv, json
import numpy as np
m = json.load(open('few.json'))['comparison']['metrics']
y, a, b = (np.array([float(r[c]) for r in csv.DictReader(open(f))]) for f, c in (
    ('x.csv', 'label'), ('x.csv', 'prediction'), ('z.csv', 'prediction')))
d = np.abs(b - y) - np.abs(a - y)
d -= d.mean()
assert np.isclose(m['mae']['effective'], (d @ d) ** 2 / (d**4).sum(), rtol=1e-9)
assert m['mae']['effective'] < 4 and m['mae']['changed'] == 300
assert m['rmse']['caution'] == 'this difference depends on about 3 of 300 rows; its interval may be too narrow', m['rmse']
assert {v['verdict'] for v in m.values() if 'caution' in v} >= {'inconclusive'}, m
assert not any('rows_needed' in v for v in m.values() if 'caution' in v), m # rows like the others wouldn't do
assert m['median_ae']['effective'] is None and 'caution' not in m['median_ae']
PY
    grep -qx '  rmse: this difference depends on about 3 of 300 rows; its interval may be too narrow' err
    [ "$(grep -c 'this difference depends on' err)" = "$(grep -o '"caution"' <(ml get comparison.metrics few.json) | wc -l)" ]
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card few.json >c.md
    grep -q 'Few rows decide `mae` (about 4), .*`rmse` (about 3)[^.]*: their intervals may be too narrow\.' c.md
    ml-compare --task regression --metric rmse --group shop --current x.csv --candidate z.csv </dev/null >groups.json 2>err
    [ "$(ml get comparison.groups groups.json)" = 15 ]
    [[ "$(ml get comparison.metrics groups.json)" != *caution* ]] # every fifth of so few is no small share
    # as many rows, twelve or none of them by far
    ml-compare -q --task regression --metric rmse --current x.csv --candidate w.csv </dev/null >more.json
    [[ "$(ml get comparison.metrics.rmse.effective more.json)" == 1[0-4].* ]]
    [[ "$(ml get comparison more.json)" != *caution* ]]
    ml-compare --task regression --current x.csv --candidate y.csv --slice shop </dev/null >all.json 2>err
    [[ "$(ml get comparison all.json)" != *caution* ]]
    run ! grep -q 'this difference depends on' err
    run ! grep -q 'Few rows' <(env -u CI_MERGE_REQUEST_IID ml-comment -q --card all.json)
    /usr/bin/python3 -c 'import json
assert all(m["effective"] is None or 20 < m["effective"] < 300 for m in json.load(open("all.json"))["comparison"]["metrics"].values())'
    # counts of rows, and the same again
    make_files
    head -301 cur.csv >cur3.csv
    awk -F, -v OFS=, 'NR % 100 == 50 { $3 = 1 - $3 } 1' cur3.csv >b3.csv
    ml-compare -q --metric precision --metric log_loss --current cur3.csv --candidate b3.csv </dev/null >counts.json
    [ "$(ml get comparison.metrics.accuracy.effective counts.json)" = null ]
    [[ "$(ml get comparison.metrics.precision counts.json)" == *'"interval": "linear"'*'"effective": '[1-3].* ]]
    [[ "$(ml get comparison.metrics.precision counts.json)" != *caution* ]]
    [[ "$(ml get comparison.metrics.log_loss counts.json)" == *'"effective": '[1-3].*caution* ]]
    ml-compare -q --task regression --current x.csv --candidate x.csv </dev/null >same.json
    [[ "$(ml get comparison same.json)" != *caution* ]]
    [ "$(ml get comparison.metrics.rmse.effective same.json)" = null ]
}

@test "few rows make a difference: an average precision's is said to rest on them, an area's interval allows for it" {
    for k in c d; do # four of a hundred positives score low, and a little less so in the second model
        awk -v k=$k 'BEGIN { print "id,label,score"; for (i = 1; i <= 300; i++)
            print i "," (i % 3 == 0) "," (i % 75 == 0 ? .15 + i / 2000 + (k == "d") / 10 : i % 3 ? .2 + i % 97 / 500 : .7 + i % 89 / 500)
        }' >$k.csv
    done
    ml-compare --current c.csv --candidate d.csv </dev/null >few.json 2>err
    [ "$(grep -c 'average_precision: this difference depends on about 3 of 300 rows' err)" = 1 ]
    [[ "$(ml get comparison.metrics.roc_auc few.json)" != *caution* ]]
    ml get comparison.metrics.roc_auc few.json | /usr/bin/python3 -c '
import json, sys
m = json.load(sys.stdin)
assert m["effective"] < 5 and m["high"] - m["low"] > 1.5 * 3.92 * m["se"], m'
}

@test "q-values beside Holm, within the same families" {
    make_files
    ml-compare -q --current cur.csv --candidate c.csv --slice part </dev/null >c.json
    /usr/bin/python3 - <<'PY'
import json
from statsmodels.stats.multitest import multipletests
c = json.load(open('c.json'))['comparison']
parts = [c['metrics'], {(s, k): m for s, v in c['slices'].items() for k, m in v['metrics'].items()},
         {k: v['recall'] for k, v in c['classes'].items()}]
for part in parts:
    tested = [m for m in part.values() if m['p'] is not None]
    assert len({m['family'] for m in part.values()}) == 1
    for key, method in (('p_bh', 'fdr_bh'), ('p_adjusted', 'holm')):
        want = multipletests([m['p'] for m in tested], method=method)[1]
        assert all(abs(m[key] - w) < 1e-9 for m, w in zip(tested, want)), (key, tested[0]['family'])
assert len(parts[2]) == 2
PY
}

@test "a regression that the average hides is named first" {
    make_files
    run --separate-stderr ml-compare --current cur.csv --candidate a.csv --slice part -o a.json </dev/null
    [ "$status" -eq 0 ]
    [[ "$(sed -n 2p <<<"$stderr")" =~ 'worse where part=z, which the average hides: '.*' -0.' || "$(sed -n 2p <<<"$stderr")" =~ log_loss ]]
    [ "$(value comparison.metrics.accuracy.verdict a.json)" = better ]
    [ "$(value comparison.hidden.0.slice a.json)" = part=z ]
    [ "$(ml get /comparison/slices/part=z/metrics/accuracy/verdict a.json)" = worse ]
    [[ "$(value comparison.hidden.0.also a.json)" =~ accuracy ]]
    run ml get comparison.hidden.1 a.json
    [ "$status" -eq 1 ]
    ml-comment --card a.json >comment.md
    head -1 comment.md | grep -F '⚠️ **Worse where the average hides it**: `log_loss` where `part=z` +0.'
    # what the average shows is not hidden, and what is better nowhere isn't there
    ml-compare -q --current a.csv --candidate cur.csv --slice part -o w.json </dev/null
    [ "$(value comparison.hidden w.json)" = '[]' ]
    ml-compare -q --current cur.csv --candidate b.csv --slice part -o b.json </dev/null
    [ "$(value comparison.hidden b.json)" = '[]' ]
    # from cards alone, too
    for f in cur a; do ml-eval -q --slice part $f.csv -o $f.json; done
    ml-compare -q --unpaired --current cur.json --candidate a.json -o u.json </dev/null
    [ "$(value comparison.hidden.0.slice u.json)" = part=z ]
}

@test "classes: recall by its own rows, precision, flips; one that pays for the others is named" {
    /usr/bin/python3 - <<'PY'
cur, cand = open('m.csv', 'w'), open('n.csv', 'w')
for f in (cur, cand):
    f.write('id,label,prediction\n')
for i in range(900):
    y = 'aab'[i % 3] if i % 10 else 'c'
    cur.write(f"{i},{y},{'b' if i % 4 == 0 else y}\n")
    cand.write(f"{i},{y},{'a' if y == 'c' else y}\n")
PY
    printf 'metrics:\n  accuracy: { must: not_regress }\n' >ml-policy.yml
    ml-compare -q --current m.csv --candidate n.csv --policy ml-policy.yml -o k.json </dev/null
    /usr/bin/python3 - <<'PY'
import csv, json
from collections import Counter
c = json.load(open('k.json'))['comparison']
m, n = (list(csv.DictReader(open(f))) for f in ('m.csv', 'n.csv'))
for k, v in c['classes'].items():
    rows = [(x['prediction'] == k, y['prediction'] == k) for x, y in zip(m, n) if x['label'] == k]
    assert v['rows'] == len(rows)
    assert v['fixed'] == sum(b and not a for a, b in rows) and v['broken'] == sum(a and not b for a, b in rows)
    for i, side in enumerate(('current', 'candidate')):
        assert abs(v['recall'][side] - sum(r[i] for r in rows) / len(rows)) < 1e-12
        said = [r for r in (m, n)[i] if r['prediction'] == k]
        assert v['predicted'][side] == len(said)
        assert v['precision'][side] is None if not said else \
            abs(v['precision'][side] - sum(r['label'] == k for r in said) / len(said)) < 1e-12
    assert v['recall']['test'] == ('identical' if k == 'b' else 'mcnemar-midp') and v['recall']['family'] == 'classes'
assert c['classes']['c']['recall']['verdict'] == 'worse' and c['metrics']['accuracy']['verdict'] == 'better'
assert [h['class'] for h in c['hidden']] == ['c'] and c['hidden'][0]['metric'] == 'recall', c['hidden']
PY
    run --separate-stderr ml-compare --current m.csv --candidate n.csv --policy ml-policy.yml -o k.json </dev/null
    [[ "$stderr" =~ 'worse in class c, which the average hides: recall -' ]]
    ml-comment --card k.json >comment.md
    grep -F '`recall` of class `c`' comment.md
    grep -F '<summary>3 classes</summary>' comment.md
    # macro averages tell of it, so where they are primary it isn't hidden
    ml-compare -q --current m.csv --candidate n.csv -o k.json </dev/null
    [ "$(value comparison.metrics.balanced_accuracy.verdict k.json)" = worse ]
    [ "$(value comparison.hidden k.json)" = '[]' ]
    # a class of rows without weight is a class, which has no recall
    printf 'id,label,prediction,w\n1,a,a,1\n2,b,b,1\n3,c,c,0\n4,a,b,1\n' >m.csv
    sed 's/4,a,b/4,a,a/' m.csv >n.csv
    ml-compare -q --weight w --current m.csv --candidate n.csv -o k.json </dev/null
    [ "$(value comparison.classes.c.predicted.candidate k.json)" = 1 ]
    [ "$(value comparison.classes.c.recall.candidate k.json)" = null ]
}

@test "calibration: how far the probabilities are off, before and now" {
    make_files
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv -o b.json </dev/null
    [[ "$stderr" =~ 'predicted less observed, on average: '[+-]0[.0-9]*' (too '(high|low)'), now '[+-]0[.0-9]*' (too '(high|low)'), a change of '.*' to '.*'expected calibration error: ' ]]
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card b.json -o comment.md
    grep -E '^\*\*Calibration\*\* .* before, .* now: .* Expected calibration error: .* before, .* now: ' comment.md
    /usr/bin/python3 - <<'PY'
import csv, json, re
b = json.load(open('b.json'))['comparison']['calibration']['bias']
for n, k in (('cur', 'current'), ('b', 'candidate')):
    rows = list(csv.DictReader(open(n + '.csv')))
    assert abs(b[k] - sum(float(r['score']) - int(r['label']) for r in rows) / len(rows)) < 1e-12
    # a sign and a word tell which way
    sign, word = ('+', 'high') if b[k] > 0 else ('-', 'low')
    assert re.search(rf"\{sign}0\.[0-9]+ \(too {word}\) {'before' if k == 'current' else 'now'}", open('comment.md').read()), (k, b)
assert b['low'] < b['delta'] < b['high']
PY
    # of several classes the largest probability counts
    printf 'id,label,p_a,p_b,p_c\n' >m.csv
    for i in $(seq 60); do echo "$i,$([ $((i % 10)) -lt 7 ] && echo a || echo b),0.9,0.08,0.02"; done >>m.csv
    sed 's/0.9,0.08,0.02/0.5,0.3,0.2/' m.csv >n.csv
    ml-compare -q --scores p_ --current m.csv --candidate n.csv </dev/null | env -u CI_MERGE_REQUEST_IID ml-comment -q >comment.md
    grep -F '+0.2 (too sure) before, -0.2 (too modest) now: ' comment.md
    sed 's/,0\./,7./' b.csv >s.csv
    ml-compare -q --threshold 7.5 --current s.csv --candidate s.csv -o s.json </dev/null
    [ "$(value comparison.calibration s.json)" = null ]
    [[ "$(value comparison.calibration_reason s.json)" =~ 'no probabilities' ]]
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card s.json -o comment.md
    run ! grep -F Calibration comment.md
}

@test "several runs: means, and a standard error that knows of other seeds" {
    make_files
    ml-compare -q --current cur.csv --candidate b.csv --runs b2.csv --runs b3.csv --slice part --current-runs cur2.csv -o r.json </dev/null
    [ "$(value comparison.runs.candidate r.json)" = '["b.csv", "b2.csv", "b3.csv"]' ]
    [ "$(value comparison.metrics.f1.test r.json)" = runs ]
    [ "$(value comparison.metrics.accuracy.interval r.json)" = runs ]
    [ "$(ml get /comparison/slices/part=z/metrics/f1/runs/df r.json)" = 1 ] # two runs of the current model
    ml-compare -q --current cur.csv --candidate b.csv --runs b2.csv --runs b3.csv --test wilcoxon -o r.json </dev/null
    /usr/bin/python3 - <<'PY'
import json, subprocess
import numpy as np
from scipy import stats
c = json.load(open('r.json'))['comparison']['metrics']
for name in ('f1', 'accuracy', 'roc_auc', 'log_loss'):
    m = c[name]
    values = [float(subprocess.run(f"ml-eval -q {f}.csv | ml get evaluation.metrics.{name}.value", shell=True, capture_output=True,
                                   text=True).stdout) for f in ('b', 'b2', 'b3')]
    assert np.allclose(m['runs']['candidate'], values, rtol=1e-12) and np.isclose(m['candidate'], np.mean(values), rtol=1e-12)
    assert np.isclose(m['runs']['se_candidate'], np.std(values, ddof=1) / 3**.5, rtol=1e-9)
    assert np.isclose(m['se'], np.hypot(m['runs']['se_rows'], m['runs']['se_candidate']), rtol=1e-9)
    df = m['se']**4 / (m['runs']['se_rows']**4 / 1199 + m['runs']['se_candidate']**4 / 2)
    assert np.isclose(m['runs']['df'], df) and np.isclose(m['high'] - m['delta'], stats.t.ppf(.975, df) * m['se'])
    assert m['runs']['se_current'] is None
    assert m['extra']['wilcoxon'] == {'p': None, 'reason': 'there are several runs'}
PY
    # the table and the comment say that the numbers are means
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --runs b2.csv --runs b3.csv -o r.json </dev/null
    [[ "${stderr_lines[1]}" = "means over runs: 1 of the current model, 3 of the candidate" && "$stderr" != *"two runs"* ]]
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card r.json -o comment.md
    grep -qF ' Means over runs with different seeds, 1 of the current model and 3 of the candidate; ' comment.md
    run ! grep -F 'two runs' comment.md
    # two of either are few, which is why hardly anything is certain
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --runs b2.csv -o r.json </dev/null
    two='two runs show the variance between runs with one degree of freedom: with a third the intervals would be much narrower'
    [[ "${stderr_lines[2]}" = "$two" ]]
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card r.json -o comment.md
    grep -qF "; changed rows and calibration are those of the first; $two." comment.md
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --runs b2.csv --runs b3.csv --current-runs cur2.csv -o r.json </dev/null
    [[ "${stderr_lines[2]}" = "$two" ]]
    # the same file isn't another seed
    run -0 --separate-stderr ml-compare -q --current cur.csv --candidate b.csv --runs b2.csv --runs ./b.csv --runs b2.csv -o /dev/null </dev/null
    [[ "$stderr" == *"'./b.csv' is what 'b.csv' is, to the last byte: runs are to show what other seeds change"* ]]
    [[ "$stderr" == *"'b2.csv' is what 'b2.csv' is"* ]] && [ "${#stderr_lines[@]}" -eq 2 ]
    run -0 --separate-stderr ml-compare -q --current cur.csv --candidate b.csv --candidate c.csv --candidate b.csv -o /dev/null </dev/null
    [[ "$stderr" == *"'b.csv' is what 'b.csv' is, to the last byte: it is ranked twice" ]]
    # identical runs add nothing, and are identical
    run --separate-stderr ml-compare --current cur.csv --candidate cur.csv --runs cur.csv -o i.json </dev/null
    [[ "$stderr" != *"two runs show"* ]]
    [ "$(value comparison.identical i.json)" = true ]
    [ "$(value comparison.metrics.f1.verdict i.json)" = equivalent ]
    # rows in another order are brought into the candidate's, others are refused
    { head -1 b2.csv; tail -n +2 b2.csv | tac; } >t.csv
    ml-compare -q --current cur.csv --candidate b.csv --runs t.csv -o t.json </dev/null
    ml-compare -q --current cur.csv --candidate b.csv --runs b2.csv -o o.json </dev/null
    [ "$(value comparison.metrics t.json)" = "$(value comparison.metrics o.json)" ]
    head -1100 b2.csv >few.csv
    run --separate-stderr ml-compare --current cur.csv --candidate b.csv --runs few.csv </dev/null
    fails 4 "'few.csv' are not about the candidate's rows: 101 ids only in 'b.csv'"
    # what is dropped is dropped of all
    head -1100 cur.csv >cur-few.csv
    run --separate-stderr ml-compare --unmatched drop --current cur-few.csv --candidate b.csv --runs b2.csv -o d.json </dev/null
    [ "$status" -eq 0 ]
    ml-compare -q --current cur-few.csv --candidate <(head -1100 b.csv) --runs few.csv -o e.json </dev/null
    [ "$(value comparison.metrics d.json)" = "$(value comparison.metrics e.json)" ]
}

@test "several candidates: the first is the one that is gated, all are ranked with those that may be the best" {
    make_files
    run --separate-stderr ml-compare --current cur.csv --candidate c.csv --candidate b.csv --candidate b2.csv -o m.json </dev/null
    [ "$status" -eq 0 ]
    [[ "$stderr" =~ '3. c.csv: accuracy '.*', not the best' ]]
    [ "$(value comparison.ranking.metric m.json)" = accuracy ]
    /usr/bin/python3 - <<'PY'
import json
c = json.load(open('m.json'))['comparison']
names = [x['reference'] for x in c['candidates']]
assert sorted(names[:2]) == ['b.csv', 'b2.csv'] and names[2] == 'c.csv'
assert [x['rank'] for x in c['candidates']] == [1, 2, 3]
assert [x['first'] for x in c['candidates']] == [False, False, True]
assert sorted(c['ranking']['best']) == ['b.csv', 'b2.csv']
assert [x['best'] for x in c['candidates']] == [True, True, False]
assert c['candidates'][2]['metrics'] == c['metrics']
assert c['reuse']['seen'] == 3
tests = [m['p'] for x in c['candidates'] for m in x['metrics'].values() if m['p'] is not None]
least = min(tests)
assert any(abs(m['p_adjusted'] - min(1, least * len(tests))) < 1e-12 for x in c['candidates'] for m in x['metrics'].values())
PY
    printf 'metrics:\n  log_loss: { max: 9 }\n  accuracy: { min: 0.1 }\n' >ml-policy.yml
    ml-compare -q --current cur.csv --candidate c.csv --candidate b.csv --policy ml-policy.yml -o p.json </dev/null
    [ "$(value comparison.ranking.metric p.json)" = log_loss ]
    [ "$(value comparison.candidates.0.reference p.json)" = b.csv ]
    ml-comment --card p.json | grep -F '| 2 | `c.csv` (the first) |'
    # without a current model there is still a ranking
    ml-compare -q --current oci:nothing:production --candidate c.csv --candidate b.csv -o n.json </dev/null
    [ "$(value comparison.current n.json)" = null ]
    [ "$(value comparison.candidates.0.reference n.json)" = b.csv ]
    run --separate-stderr ml-compare --current cur.csv --candidate c.csv --candidate b.csv --runs b2.csv </dev/null
    fails 2 'exclude each other'
    run --separate-stderr ml-compare --unpaired --current cur.csv --candidate c.csv --candidate b.csv </dev/null
    fails 2 'row by row only'
}

@test "the confirmation: other rows, after the merge only, judged on their own" {
    make_files
    head -601 cur.csv >t-cur.csv
    head -601 b.csv >t-b.csv
    for f in cur b; do { head -1 $f.csv; tail -600 $f.csv; } >k-$f.csv; done
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm k-b.csv --confirm-current k-cur.csv -o c.json </dev/null
    [ "$status" -eq 0 ]
    [[ "$stderr" =~ 'confirmation on 600 other rows' ]]
    ml-compare -q --current k-cur.csv --candidate k-b.csv -o k.json </dev/null
    same comparison.confirm.metrics c.json comparison.metrics k.json
    ml-compare -q --current t-cur.csv --candidate t-b.csv -o t.json </dev/null
    [ "$(value comparison.metrics c.json)" = "$(value comparison.metrics t.json)" ]
    [ "$(value comparison.confirm.evaluation.metrics.f1.value c.json)" = "$(ml-eval -q k-b.csv | ml get evaluation.metrics.f1.value)" ]
    [ "$(value comparison.confirm.reuse.seen c.json)" = 1 ]
    [ "$(value comparison.confirm.look c.json)" = null ]
    ml-comment --card c.json | grep -F '**Confirmation** on rows that no merge request has seen (600): `accuracy` +0.'
    # the gate holds its rules against both
    printf 'metrics:\n  accuracy: { min: 0.6, must: improve }\n  f1: { must: not_regress, margin: 0.05 }\n' >ml-policy.yml
    ml-gate -q ml-policy.yml --card c.json -o g.json
    /usr/bin/python3 - <<'PY'
import json
rules = {r['rule']: r for r in json.load(open('g.json'))['gate']['rules']}
assert {'accuracy.min', 'accuracy.must', 'f1.must', 'confirm.accuracy.min', 'confirm.accuracy.must', 'confirm.f1.must'} == set(rules)
k = json.load(open('k.json'))['comparison']['metrics']['accuracy']
assert rules['confirm.accuracy.must']['low'] == k['low'] != rules['accuracy.must']['low']
PY
    ml-compare -q --current t-cur.csv --candidate t-b.csv --confirm k-cur.csv --confirm-current k-b.csv -o bad.json </dev/null
    run ml-gate -q ml-policy.yml --card bad.json -o g.json
    [ "$status" -eq 1 ]
    ml-comment --card g.json | head -1 | grep -F 'confirm.accuracy.must'
    # of several candidates or runs it is the first one's
    for f in "--candidate t-cur.csv" "--runs t-cur.csv" "--current-runs t-b.csv"; do
        ml-compare -q --current t-cur.csv --candidate t-b.csv $f --confirm k-b.csv --confirm-current k-cur.csv -o more.json </dev/null
        same comparison.confirm more.json comparison.confirm c.json
        [ "$(value comparison.metrics more.json)" != "$(value comparison.metrics t.json)" ]
        ml-gate -q ml-policy.yml --card more.json -o g.json || [ $? -eq 1 ]
        ml get gate.rules g.json | grep -q '"confirm.accuracy.must"'
    done
    # a merge request never sees them
    # nor may a branch that isn't merged: only the default one, a protected one, and a tag
    confirm_on() {
        run --separate-stderr env CI_DEFAULT_BRANCH=main "$@" ml-compare --current t-cur.csv --candidate t-b.csv --confirm missing.csv </dev/null
    }
    confirm_on CI_COMMIT_BRANCH=feature CI_OPEN_MERGE_REQUESTS=shop/model!7 CI_COMMIT_REF_PROTECTED=false
    fails 2 "--confirm on branch 'feature': these rows are for after the merge, on 'main' or a protected branch"
    confirm_on CI_COMMIT_BRANCH=main
    fails 3 missing.csv
    confirm_on CI_COMMIT_BRANCH=release/2 CI_COMMIT_REF_PROTECTED=true
    fails 3 missing.csv
    confirm_on CI_COMMIT_TAG=v1 CI_COMMIT_REF_PROTECTED=false
    fails 3 missing.csv
    run --separate-stderr env CI_MERGE_REQUEST_IID=7 ml-compare --current t-cur.csv --candidate t-b.csv --confirm missing.csv </dev/null
    fails 2 'in merge request 7: these rows are for after the merge'
    # rows that were test rows confirm nothing
    head -603 b.csv | tail -4 | cat <(head -1 b.csv) - k-b.csv | sed '6d' >overlap.csv
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm overlap.csv </dev/null
    fails 3 'r600'
    { head -1 b.csv; sed -n '599,700p' b.csv; } >overlap.csv
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm overlap.csv </dev/null
    fails 4 "3 of the 102 confirmation rows in 'overlap.csv' are test rows, too \(for example 'r597', 'r598', 'r599'\)"
    cut -d, -f2- k-b.csv >noid.csv
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm noid.csv </dev/null
    fails 3 'no column of ids'
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm k-b.csv --confirm-current t-cur.csv </dev/null
    fails 4 'the confirmations are not about the same rows'
    run --separate-stderr ml-compare --current t-cur.csv --candidate t-b.csv --confirm-current k-cur.csv </dev/null
    fails 2 'needs --confirm'
    # nothing to compare with: said, and the numbers are there
    ml-compare -q --current oci:nothing:production --candidate t-b.csv --confirm k-b.csv -o n.json </dev/null
    [ "$(value comparison.confirm.current n.json)" = null ]
    value comparison.confirm.evaluation.metrics.f1.value n.json
    ml-compare -q --current t-cur.csv --candidate t-b.csv --confirm k-b.csv -o n.json </dev/null
    [[ "$(value comparison.confirm.reason n.json)" =~ --confirm-current ]]
    # how often these rows were used is handed on by the card of what became current
    ml-eval -q t-b.csv | ml-compare -q --candidate t-b.csv --current t-cur.csv --confirm k-b.csv --confirm-current k-cur.csv -o one.json
    ml-compare -q --unpaired --current one.json --candidate t-b.csv --confirm k-b.csv --confirm-current k-cur.csv -o two.json </dev/null
    [ "$(value comparison.confirm.reuse.seen two.json)" = 2 ]
}

@test "of rows that broke alike those of the first ids are shown, in whatever order they come" {
    awk 'BEGIN { for (i = 1; i <= 400; i++) printf "%d,%d,%d,0.%d\n", i, i % 2, i % 3 ? i % 2 : 1 - i % 2, 6 + i % 2 }' >b
    awk -F, '{ print $1 "," $2 "," $2 }' b >a
    { echo id,label,prediction; cat a; } >a.csv
    { echo id,label,prediction; cut -d, -f1-3 b; } >up.csv
    { echo id,label,prediction; cut -d, -f1-3 b | tac; } >down.csv
    { echo id,label,prediction; tac a; } >a2.csv
    ml-compare -q --current a.csv --candidate up.csv | ml get comparison.flips >up
    ml-compare -q --current a2.csv --candidate down.csv | ml get comparison.flips >down
    [ "$(grep '"id"' up | head -3 | tr -dc '0-9\n' | paste -sd,)" = 3,6,9 ]
    cmp up down
}

@test "several runs: the interval of average precisions holds the difference that it is about" {
    # labels in the order of the scores; where positives are spread evenly, the bias is more than the standard error
    /usr/bin/python3 - <<'PY'
order = {'cur': '010101000110001100010000000000000000011000000000000000001111',
         'new': '111011011010001100011101000000000000000000000000000000000000'}
for name, labels in order.items():
    rows = [(i, y) for y in '10' for i in [k for k, v in enumerate(labels) if v == y]]
    for run in range(1, 7):
        with open(f'{name}{run}.csv', 'w') as f:
            f.write('id,label,score\n')
            for i, (rank, y) in enumerate(rows):
                f.write(f'{i},{y},{1 - (rank + run / 10) / 70:.6f}\n')
PY
    local runs=() i
    for i in 2 3 4 5 6; do runs+=(--current-runs "cur$i.csv" --runs "new$i.csv"); done
    ml-compare -q --metric average_precision --current cur1.csv --candidate new1.csv "${runs[@]}" \
        </dev/null >card.json
    /usr/bin/python3 - <<'PY'
import json
m = json.load(open('card.json'))['comparison']['metrics']['average_precision']
assert m['low'] == m['delta'] < m['high'], m
PY
}
