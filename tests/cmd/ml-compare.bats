# ml-compare: verdicts, pairing, and what a file is.
bats_require_minimum_version 1.5.0
load helper

value() {
    ml get "$1" "$2"
}

# 600 rows of three classes; the candidate repairs 40 of the current model's errors and breaks 5
make_files() {
    /usr/bin/python3 - <<'PY'
c = 'abc'
cur, cand = open('current.csv', 'w'), open('candidate.csv', 'w')
for f in (cur, cand):
    f.write('id,label,prediction,score,accents\n')
for i in range(600):
    y, wrong, a = c[i % 3], c[(i + 1) % 3], 'no' if i % 2 else 'yes'
    was = wrong if i % 5 == 0 else y
    now = was
    if i % 15 == 0: now = y
    if i % 120 == 7: now = wrong
    cur.write(f'r{i},{y},{was},0.5,{a}\n')
    cand.write(f'r{i},{y},{now},{0.5 + i / 2000},{a}\n')
PY
}

@test "better: McNemar and Tango, flips with the surest errors first" {
    make_files
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >c.json
    [ "$(value comparison.metrics.accuracy.verdict c.json)" = better ]
    [ "$(value comparison.metrics.accuracy.test c.json)" = mcnemar-midp ]
    [ "$(value comparison.metrics.accuracy.interval c.json)" = tango ]
    [ "$(value comparison.metrics.accuracy.changed c.json)" = 45 ]
    [ "$(value comparison.metrics.accuracy.margin c.json)" = null ]
    [ "$(value comparison.metrics.accuracy.noninferior c.json)" = false ]
    [ "$(value comparison.flips.fixed c.json)" = 40 ]
    [ "$(value comparison.flips.broken c.json)" = 5 ]
    [ "$(value comparison.flips.worst.0.id c.json)" = r487 ]
    [ "$(value comparison.flips.worst.0.label c.json)" = b ]
    [ "$(value comparison.flips.worst.0.current c.json)" = b ]
    [ "$(value comparison.flips.worst.0.candidate c.json)" = c ]
    [ "$(value comparison.paired c.json)" = true ]
    [ "$(value comparison.identical c.json)" = false ]
    [ "$(value comparison.rows c.json)" = 600 ]
    [ "$(value comparison.current.reference c.json)" = current.csv ]
    [ "$(value comparison.current.predictions c.json)" = given ]
    [ "$(value comparison.current.data c.json)" = "$(ml-eval -q current.csv | ml get evaluation.data)" ]
    # the other way round it is worse, and the difference has the other sign
    ml-compare -q --current candidate.csv --candidate current.csv </dev/null >w.json
    [ "$(value comparison.metrics.accuracy.verdict w.json)" = worse ]
    /usr/bin/python3 -c "assert abs($(value comparison.metrics.accuracy.low w.json) + $(value comparison.metrics.accuracy.high c.json)) < 1e-12"
}

@test "p and interval are those of scipy and of Tango's equation" {
    make_files
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >c.json
    /usr/bin/python3 - <<'PY'
import json
from math import sqrt
from scipy.stats import binom, norm
m = json.load(open('c.json'))['comparison']['metrics']
a = m['accuracy']
b, c, n = 40, 5, 600
mid = 2 * (binom.cdf(c, b + c, .5) - .5 * binom.pmf(c, b + c, .5))
assert abs(a['p'] - mid) < 1e-12 * mid, (a['p'], mid)
for d, sign in ((a['low'], 1), (a['high'], -1)):
    A, B, C = 2 * n, -b - c + (2 * n - b + c) * d, -c * d * (1 - d)
    q = (sqrt(B * B - 4 * A * C) - B) / (2 * A)
    z = (b - c - n * d) / sqrt(n * (2 * q + d * (1 - d)))
    assert abs(z - sign * norm.ppf(.975)) < 1e-6, (d, z)
ps = sorted(x['p'] for x in m.values() if x['family'] == 'primary')
k = len(ps)
holm, most = {}, 0
for i, p in enumerate(ps):
    most = max(most, min(1, (k - i) * p)); holm[p] = most
for name, x in m.items():
    assert abs(x['p_adjusted'] - holm[x['p']]) < 1e-12, name
    assert abs(x['delta'] - (x['candidate'] - x['current'])) < 1e-15
PY
}

@test "identical is equivalent with p 1; a margin makes small differences equivalent or not inferior" {
    make_files
    ml-compare -q --current current.csv --candidate current.csv </dev/null >i.json
    [ "$(value comparison.identical i.json)" = true ]
    [ "$(value comparison.metrics.f1_macro.verdict i.json)" = equivalent ]
    [ "$(value comparison.metrics.f1_macro.p i.json)" = 1 ]
    [ "$(value comparison.metrics.f1_macro.noninferior i.json)" = true ]
    [ "$(value comparison.metrics.f1_macro.high i.json)" = 0 ]
    ml-compare -q --current current.csv --candidate candidate.csv --margin accuracy=0.2 --margin f1_macro=30% </dev/null >m.json
    [ "$(value comparison.metrics.accuracy.verdict m.json)" = equivalent ]
    [ "$(value comparison.metrics.accuracy.margin m.json)" = 0.2 ]
    [ "$(value comparison.metrics.f1_macro.verdict m.json)" = equivalent ]
    [ "$(value comparison.metrics.f1_weighted.verdict m.json)" = better ]
    ml-compare -q --current candidate.csv --candidate current.csv --margin accuracy=0.01 </dev/null >n.json
    [ "$(value comparison.metrics.accuracy.noninferior n.json)" = false ]
    for bad in accuracy=0 accuracy=-1 accuracy=x accuracy =0.1 accuracy=1e999 acuracy=0.1 mcc=1%; do
        run --separate-stderr ml-compare -q --current current.csv --candidate candidate.csv --margin "$bad" </dev/null
        fails 2 margin
    done
}

@test "few rows are inconclusive with the reason" {
    make_files
    for f in current candidate; do head -21 $f.csv >$f.few.csv; done
    ml-compare -q --current current.few.csv --candidate candidate.few.csv </dev/null >f.json
    [ "$(value comparison.metrics.accuracy.verdict f.json)" = inconclusive ]
    [[ "$(value comparison.metrics.accuracy.reason f.json)" =~ 'only 20 rows' ]]
}

@test "--look spends alpha: the card has the effective one" {
    make_files
    for j in 1 2 10; do
        ml-compare -q --current current.csv --candidate candidate.csv --look $j </dev/null >l.json
        [ "$(value comparison.look l.json)" = $j ]
        [ "$(value comparison.reuse.seen l.json)" = $j ]
        /usr/bin/python3 -c "import json; a = json.load(open('l.json'))['comparison']['alpha']; assert abs(a - .05/($j*($j+1))) < 1e-15"
    done
    [ "$(value comparison.reuse.optimism l.json)" != 0 ]
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >n.json
    [ "$(value comparison.look n.json)" = null ]
    [ "$(value comparison.alpha n.json)" = 0.05 ]
}

@test "slices are a family of their own" {
    make_files
    ml-compare -q --current current.csv --candidate candidate.csv --slice accents </dev/null >s.json
    [ "$(ml get /comparison/slices/accents=no/rows s.json)" = 300 ]
    [ "$(ml get /comparison/slices/accents=no/metrics/accuracy/family s.json)" = slices ]
    [ "$(ml get /comparison/slices/accents=yes/metrics/accuracy/changed s.json)" = 20 ]
    # the current file may lack the column
    cut -d, -f1-3 current.csv >lacks.csv
    ml-compare -q --current lacks.csv --candidate candidate.csv --slice accents </dev/null >l.json
    [ "$(ml get /comparison/slices s.json)" = "$(ml get /comparison/slices l.json)" ]
}

@test "a policy names the primary metrics and their margins" {
    make_files
    printf 'metrics:\n  accuracy: { must: not_regress, margin: 0.2 }\nslices:\n  accents=no: { accuracy: { must: not_regress, margin: 0.3 } }\n' >ml-policy.yml
    ml-compare -q --current current.csv --candidate candidate.csv --slice accents --policy ml-policy.yml </dev/null >p.json
    [ "$(value comparison.metrics.accuracy.family p.json)" = primary ]
    [ "$(value comparison.metrics.accuracy.margin p.json)" = 0.2 ]
    [ "$(value comparison.metrics.accuracy.p p.json)" = "$(value comparison.metrics.accuracy.p_adjusted p.json)" ]
    [ "$(value comparison.metrics.f1_macro.family p.json)" = secondary ]
    [ "$(ml get /comparison/slices/accents=no/metrics/accuracy/margin p.json)" = 0.3 ]
    [ "$(ml get /comparison/slices/accents=yes/metrics/accuracy/margin p.json)" = null ]
    run ml get /comparison/slices/accents=no/metrics/f1_macro p.json
    [ "$status" -eq 1 ]
    ml-compare -q --current current.csv --candidate candidate.csv --policy ml-policy.yml --margin accuracy=0.1 </dev/null >o.json
    [ "$(value comparison.metrics.accuracy.margin o.json)" = 0.1 ]
    printf 'metrics: [1]\n' >bad.yml
    run --separate-stderr ml-compare --current current.csv --candidate candidate.csv --policy bad.yml </dev/null
    fails 2 bad.yml
}

@test "the correction is over the tests of the family, and the reason says how many" {
    printf 'id,label,prediction,part\n' | tee c.csv >d.csv
    for i in $(seq 400); do
        echo "$i,$((i % 2)),$(((i % 2) != (i <= 12 || i > 300))),$((i % 5))" >>c.csv
        echo "$i,$((i % 2)),$(((i % 2) != ((i > 12 && i <= 15) || i > 300))),$((i % 5))" >>d.csv
    done
    printf 'metrics:\n  accuracy: { must: not_regress }\n  f1: { must: not_regress }\n' >ml-policy.yml
    ml-compare -q --current c.csv --candidate d.csv --slice part --policy ml-policy.yml </dev/null >k.json
    /usr/bin/python3 - <<'PY'
import json, re
c = json.load(open('k.json'))['comparison']
all = [m for x in [c] + list(c['slices'].values()) for m in x['metrics'].values()]
count, said = {}, {}
for m in all:
    count[m['family']] = count.get(m['family'], 0) + (m['p'] is not None)
assert [m['family_size'] for m in all] == [count[m['family']] for m in all], count
for m in all:
    k = re.search(r'not after correction for (\d+)', m.get('reason', ''))
    if k:
        said[m['family']] = int(k[1])
        assert int(k[1]) == count[m['family']], (m, count)
assert count['primary'] == 2 and count["slices"] == 10 and 'secondary' in said, (count, said)
PY
}

@test "what several metrics ask counts once" {
    printf 'id,label,prediction\n' | tee c.csv >d.csv
    for i in $(seq 400); do
        echo "$i,$((i % 3)),$((i <= 40 ? (i + 1) % 3 : i % 3))" >>c.csv
        echo "$i,$((i % 3)),$((i > 20 && i <= 48 ? (i + 1) % 3 : i % 3))" >>d.csv
    done
    # of what is measured unasked nothing is there twice
    ml-compare -q --task multiclass --current c.csv --candidate d.csv </dev/null >k.json
    /usr/bin/python3 -c "
import json
m = json.load(open('k.json'))['comparison']['metrics']
assert list(m) == ['accuracy', 'balanced_accuracy', 'precision_macro', 'f1_macro', 'precision_weighted', 'f1_weighted', 'mcc'], m"
    # asked for, it is measured, and doesn't make anything less certain
    printf 'metrics:\n  f1_micro: { must: improve }\n  accuracy: { must: improve }\n  hamming_loss: { must: improve }\n  recall_weighted: { must: improve }\n' >ml-policy.yml
    ml-compare -q --task multiclass --current c.csv --candidate d.csv --policy ml-policy.yml </dev/null >k.json
    /usr/bin/python3 -c "
import json
m = json.load(open('k.json'))['comparison']['metrics']
p = {k: v for k, v in m.items() if v['family'] == 'primary'}
assert len(p) == 4 and p['accuracy']['p'] != p['recall_weighted']['p'], p
assert {v['p_adjusted'] for v in p.values()} == {v['p_bh'] for v in p.values()} == {max(v['p'] for v in p.values())}, p
assert {v['family_size'] for v in p.values()} == {1} and m['mcc']['family_size'] > 1, m
assert m['mcc']['p_adjusted'] > m['mcc']['p']"
}

@test "order of rows and columns, format and quoting don't matter" {
    make_files
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >a.json
    { head -1 current.csv; tail -n +2 current.csv | sort -R --random-source=current.csv; } >shuffled.csv
    sed -E '1d;s/([^,]*),([^,]*),([^,]*),([^,]*),(.*)/{"label":"\2","id":"\1","score":\4,"prediction":"\3"}/' current.csv >current.jsonl
    for f in shuffled.csv current.jsonl; do
        ml-compare -q --current $f --candidate candidate.csv </dev/null >b.json
        [ "$(value comparison.metrics a.json)" = "$(value comparison.metrics b.json)" ]
        [ "$(value comparison.current.data a.json)" = "$(value comparison.current.data b.json)" ]
    done
    # and the values are ml-eval's
    for m in accuracy f1_macro mcc; do
        [ "$(ml-eval -q candidate.csv | ml get evaluation.metrics.$m.value)" = "$(value comparison.metrics.$m.candidate a.json)" ]
        [ "$(ml-eval -q current.csv | ml get evaluation.metrics.$m.value)" = "$(value comparison.metrics.$m.current a.json)" ]
    done
}

@test "ids on one side only: exit 4 with counts and three ids; --unmatched drop records them" {
    make_files
    sed '2,6d' current.csv >c.csv
    sed '/^r599,/d' candidate.csv >d.csv
    run --separate-stderr ml-compare --current c.csv --candidate d.csv </dev/null
    fails 4 "1 id only in 'c.csv', 5 ids only in 'd.csv' \(for example 'r0', 'r1', 'r2' in the second, 'r599' in the first\); '--unmatched drop' leaves them out"
    [ -z "$output" ]
    run --separate-stderr ml-compare --unmatched drop --current c.csv --candidate d.csv </dev/null
    [ "$status" -eq 0 ]
    [[ "$stderr" =~ 'left out: 1 row of the current model, 5 of the candidate' ]]
    ml-compare -q --unmatched drop --current c.csv --candidate d.csv </dev/null >d.json
    [ "$(value comparison.rows d.json)" = 594 ]
    # numbers in another form are other ids, and nothing is left to compare
    sed 's/^r\([0-9]\)/\1.0,/; s/\.0,\([0-9]*\),/\1.0,/' candidate.csv >float.csv
    sed 's/^r//' current.csv >int.csv
    run --separate-stderr ml-compare --current int.csv --candidate float.csv </dev/null
    fails 4 "600 ids only in 'int.csv', 600 ids only in 'float.csv' \(for example '0.0', '1.0', '2.0' in the second, '0' in the first: ids are texts, write them alike\)$"
    [ "$(value comparison.unmatched.current d.json)" = 1 ]
    [ "$(value comparison.unmatched.candidate d.json)" = 5 ]
    # as if both had been without them
    sed '2,6d;/^r599,/d' current.csv >c.csv
    sed '2,6d;/^r599,/d' candidate.csv >d.csv
    ml-compare -q --current c.csv --candidate d.csv </dev/null >e.json
    [ "$(value comparison.metrics d.json)" = "$(value comparison.metrics e.json)" ]
    sed 's/^r/s/;s/^sd/id/' current.csv >other.csv
    sed -i '1s/.*/id,label,prediction,score,accents/' other.csv
    run --separate-stderr ml-compare --unmatched drop --current other.csv --candidate candidate.csv </dev/null
    fails 4 'no id is in both'
}

@test "labels, weights, groups and slices that differ: exit 4" {
    make_files
    sed '3s/,b,/,c,/;9s/,b,/,c,/' current.csv >c.csv
    run --separate-stderr ml-compare --current c.csv --candidate candidate.csv </dev/null
    fails 4 "2 labels differ \(for example 'r1', 'r7'\); 'r1' is labelled 'c' in 'c.csv' and 'b' in 'candidate.csv'"
    run --separate-stderr ml-compare --unmatched drop --current c.csv --candidate candidate.csv </dev/null
    fails 4 '2 labels differ'
    for f in current candidate; do paste -d, $f.csv <(echo w; seq 600) >$f.w.csv; done
    sed -i '5s/,4$/,5/' current.w.csv
    run --separate-stderr ml-compare --weight w --current current.w.csv --candidate candidate.w.csv </dev/null
    fails 4 "1 weight differs \(for example 'r3'\); 'r3' weighs '5' in 'current.w.csv' and '4' in 'candidate.w.csv'; without that column in 'current.w.csv' the rows have the candidate's$"
    run --separate-stderr ml-compare --group w --current current.w.csv --candidate candidate.w.csv </dev/null
    fails 4 "1 group differs \(for example 'r3'\); 'r3' is of the group '5' in 'current.w.csv' and '4' in 'candidate.w.csv'; without"
    run --separate-stderr ml-compare --slice w --current current.w.csv --candidate candidate.w.csv </dev/null
    fails 4 "1 slice differs \(for example 'r3'\); without that column in 'current.w.csv' the rows have the candidate's$"
    ml-compare -q --weight w --current current.csv --candidate candidate.w.csv </dev/null >w.json # as it says
    # 1 and 1.0 are the same label
    printf 'id,label,prediction\n' | tee n1.csv >n2.csv
    for i in $(seq 40); do echo "$i,$((i % 2)),1"; done >>n1.csv
    for i in $(seq 40); do echo "$i,$((i % 2)).0,0"; done >>n2.csv
    ml-compare -q --current n1.csv --candidate n2.csv </dev/null >n.json
    [ "$(value comparison.metrics.accuracy.delta n.json)" = 0 ]
}

@test "without ids rows pair by number" {
    make_files
    for f in current candidate; do cut -d, -f2- $f.csv >$f.n.csv; done
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >a.json
    ml-compare -q --current current.n.csv --candidate candidate.n.csv </dev/null >b.json
    [ "$(value comparison.metrics a.json)" = "$(value comparison.metrics b.json)" ]
    [ "$(value comparison.flips.worst.0.id b.json)" = 488 ]
    head -500 current.n.csv >short.csv
    run --separate-stderr ml-compare --current short.csv --candidate candidate.n.csv </dev/null
    fails 4 '499 rows and 600 rows, and no column of ids'
    sed '2s/^./x/' current.n.csv >other.csv
    run --separate-stderr ml-compare --current other.csv --candidate candidate.n.csv </dev/null
    fails 4 "1 label differs .*; without a column of ids both need the same order"
    run --separate-stderr ml-compare --current current.csv --candidate candidate.n.csv </dev/null
    fails 4 "only 'current.csv' has a column of ids: both need one \(--id\), or none and the same order"
}

@test "regression: rows that came nearer, and the worst" {
    printf 'id,label,prediction\n' | tee c.csv >d.csv
    for i in $(seq 60); do
        echo "$i,$i,$((i + 2))" >>c.csv
        echo "$i,$i,$((i + 1 + (i == 9) * 50))" >>d.csv
    done
    ml-compare -q --task regression --current c.csv --candidate d.csv </dev/null >r.json
    [ "$(value comparison.flips.nearer r.json)" = 59 ]
    [ "$(value comparison.flips.farther r.json)" = 1 ]
    [ "$(value comparison.flips.worst.0.id r.json)" = 9 ]
    [ "$(value comparison.metrics.median_ae.delta r.json)" = -1 ]
    [ "$(value comparison.metrics.median_ae.reason r.json)" = "the variance is 0" ] # all replicates say 1
}

@test "the worst of many rows: the surest first, then the earlier ones" {
    awk 'BEGIN { print "id,label,prediction"; for (i = 0; i < 200000; i++) print i ",1,1" }' >a.csv
    awk 'BEGIN { print "id,label,prediction,score"
        for (i = 0; i < 200000; i++) print i ",1," (i % 20000 == 7 ? "0,." (i > 150000 ? "1" : "2") : "1,.9") }' >b.csv
    ml-compare -q --current a.csv --candidate b.csv --positive 1 </dev/null >c.json
    [ "$(value comparison.flips.broken c.json)" = 10 ]
    for i in "0 160007" "1 180007" "2 7" "9 140007"; do
        [ "$(value "comparison.flips.worst.${i% *}.id" c.json)" = "${i#* }" ]
    done
    awk -F, -v OFS=, '{ if (NR > 1) $3 = ($1 % 3 > 0) * ($1 % 4 + 1); print $1, $2, $3 }' b.csv >m.csv
    ml-compare -q --task regression --current a.csv --candidate m.csv </dev/null >c.json
    [ "$(value comparison.flips.nearer c.json)" = 0 ]
    [ "$(value comparison.flips.worst.0.id c.json)" = 7 ]
    [ "$(value comparison.flips.worst.9.id c.json)" = 59 ]
}

@test "cards: what was measured has to be what is compared; --unpaired needs no rows" {
    make_files
    ml-eval -q -o cand.json candidate.csv
    ml-eval -q -o cur.json current.csv
    ml-compare -q --card cand.json --candidate candidate.csv --current current.csv -o a.json
    [ "$(value evaluation a.json)" = "$(value evaluation cand.json)" ]
    ml-compare -q --candidate candidate.csv --current current.csv <cand.json >b.json
    cmp a.json b.json
    run --separate-stderr ml-compare --card cand.json --candidate current.csv --current current.csv
    fails 4 "'current.csv' isn't what the card's evaluation measured"
    run --separate-stderr ml-compare --current cur.json --candidate cand.json
    fails 2 "needs the candidate's predictions"
    run --separate-stderr ml-compare --current cur.json --candidate candidate.csv </dev/null
    fails 2 "'cur.json' holds no predictions"
    ml-compare -q --current cur.json --current-predictions current.csv --candidate candidate.csv <cand.json >c.json
    [ "$(value comparison.metrics c.json)" = "$(value comparison.metrics a.json)" ]
    ml-compare -q --unpaired --current cur.json --candidate cand.json >u.json
    [ "$(value comparison.paired u.json)" = false ]
    [ "$(value comparison.metrics.accuracy.test u.json)" = unpaired ]
    [ "$(value comparison.metrics.accuracy.delta u.json)" = "$(value comparison.metrics.accuracy.delta a.json)" ]
    ml-compare -q --unpaired --current current.csv --candidate candidate.csv </dev/null >v.json
    [ "$(value comparison.metrics v.json)" = "$(value comparison.metrics u.json)" ]
    run --separate-stderr ml-compare --current cur.json --unpaired </dev/null
    fails 3 'no candidate'
}

@test "metrics files, JSON and YAML: by dotted name, and no test was possible" {
    echo '{"train":{"acc":0.9,"n":[7]},"test":{"accuracy":0.8,"note":"x","list":[1,2]}}' >old.json
    printf 'train:\n  acc: 0.95\n  "n": 7\ntest:\n  accuracy: 0.75\n  new: 1\n' >new.yaml
    run --separate-stderr ml-compare --current old.json --candidate new.yaml </dev/null
    [ "$status" -eq 0 ]
    [[ "$stderr" =~ 'no test was possible' ]]
    ml-compare -q --current old.json --candidate new.yaml </dev/null >c.json
    [ "$(ml get /comparison/metrics/train.acc/current c.json)" = 0.9 ]
    [ "$(ml get /comparison/metrics/train.acc/candidate c.json)" = 0.95 ]
    [ "$(ml get /comparison/metrics/train.n/delta c.json)" = 0 ]
    [ "$(ml get /comparison/metrics/test.new/current c.json)" = null ]
    [ "$(ml get /comparison/metrics/test.accuracy/verdict c.json)" = inconclusive ]
    [[ "$(ml get /comparison/metrics/test.accuracy/reason c.json)" =~ 'no test was possible' ]]
    for k in test.note test.list; do
        run ml get /comparison/metrics/$k c.json
        [ "$status" -eq 1 ]
    done
    # against predictions: their metrics
    printf 'label,prediction\na,a\nb,a\n' >p.csv
    echo 'accuracy: 0.25' >m.yml
    ml-compare -q --current m.yml --candidate p.csv </dev/null | ml get comparison.metrics.accuracy.delta | grep -qx 0.25
    echo '{"a":"b"}' >none.json
    run --separate-stderr ml-compare --current none.json --candidate none.json </dev/null
    fails 3 'hold no numbers'
}

@test "weights and groups: linearised, and fewer than ten groups is too few" {
    make_files
    for f in current candidate; do paste -d, $f.csv <(echo g; seq 600 | sed 's/^/g/;s/.$//') <(echo w; seq 600 | sed 's/.*\(.\)$/1\1/') >$f.g.csv; done
    ml-compare -q --group g --weight w --current current.g.csv --candidate candidate.g.csv </dev/null >g.json
    [ "$(value comparison.metrics.accuracy.test g.json)" = linear ]
    [ "$(value comparison.groups g.json)" = 61 ]
    ml-compare -q --group accents --current current.g.csv --candidate candidate.g.csv </dev/null >few.json
    [[ "$(value comparison.metrics.accuracy.reason few.json)" =~ 'only 2 groups' ]]
}

@test "binary scores: an area has its own test; a prediction column wins over the score" {
    printf 'id,label,score\n' | tee c.csv >d.csv
    for i in $(seq 200); do
        echo "$i,$((i % 2)),0.$((100 + (i * 7919) % 500 + (i % 2) * 200))" >>c.csv
        echo "$i,$((i % 2)),0.$((100 + (i * 7919) % 400 + (i % 2) * 300))" >>d.csv
    done
    ml-compare -q --current c.csv --candidate d.csv </dev/null >b.json
    [ "$(value comparison.metrics.roc_auc.test b.json)" = mover ]
    [ "$(value comparison.metrics.roc_auc.verdict b.json)" = better ]
    value comparison.flips.worst.0.score b.json || [ "$(value comparison.flips.broken b.json)" = 0 ]
}

@test "scores that only one side has: its metric is there, with the reason" {
    printf 'id,label,prediction,score\n' >d.csv
    for i in $(seq 60); do echo "$i,$((i % 2)),$((i % 3 == 0)),0.$((10 + i))"; done >>d.csv
    cut -d, -f1-3 d.csv >c.csv
    for options in '' '--score score'; do
        # shellcheck disable=SC2086
        ml-compare -q $options --current c.csv --candidate d.csv </dev/null >o.json
        [ "$(value comparison.metrics.roc_auc.current o.json)" = null ]
        value comparison.metrics.roc_auc.candidate o.json
        [ "$(value comparison.metrics.roc_auc.delta o.json)" = null ]
        [ "$(value comparison.metrics.roc_auc.verdict o.json)" = inconclusive ]
        [ "$(value comparison.metrics.roc_auc.reason o.json)" = 'only the candidate has scores' ]
        [ "$(value comparison.metrics.accuracy.delta o.json)" = 0 ]
        [ "$(value comparison.identical o.json)" = false ]
    done
    run --separate-stderr ml-compare -q --score score --current d.csv --candidate c.csv </dev/null
    fails 3 "no column 'score'"
}

@test "task, positive class and threshold are those that the candidate was measured by" {
    printf 'id,label,score\n' >c.csv
    for i in $(seq 60); do echo "$i,$([ $((i % 2)) = 0 ] && echo ham || echo spam),$((i % 7))"; done >>c.csv
    ml-eval -q --positive spam --threshold 3 -o e.json c.csv
    ml-compare -q --card e.json --candidate c.csv --current c.csv -o o.json
    [ "$(value comparison.metrics.recall.candidate o.json)" = "$(value evaluation.metrics.recall.value e.json)" ]
    run --separate-stderr ml-compare -q --candidate c.csv --current c.csv </dev/null
    fails 2 'say which with --positive'
}

@test "what is a column follows from the task that the candidate was measured by" {
    # probabilities: a column of predictions plays no part in either file
    /usr/bin/python3 - <<'PY'
import random
random.seed(3)
for name in 'a', 'b':
    with open(f'{name}.csv', 'w') as f:
        f.write('id,label,prediction,score\n')
        for i in range(60):
            s = random.random()
            f.write(f'{i},{i % 2},{int(s > .5)},{s}\n')
PY
    ml-eval -q --task probabilistic b.csv -o card.json
    ml-compare -q --task probabilistic --current a.csv --candidate b.csv </dev/null | ml get comparison.metrics >said
    mkdir dir
    cp b.csv dir/
    for candidate in b.csv dir - ; do
        ml-compare -q --card card.json --current a.csv --candidate "$candidate" <b.csv | ml get comparison.metrics | cmp - said
    done
    ml-compare -q --current a.csv --candidate b.csv <card.json | ml get comparison.metrics | cmp - said
    # sets: a cell may be empty
    printf 'id,label,prediction\n1,a;b,a\n2,,b\n3,b,\n' >sets.csv
    ml-eval -q --task multilabel sets.csv -o card.json
    ml-compare -q --card card.json --current sets.csv --candidate sets.csv -o c.json
    [ "$(ml get comparison.identical c.json)" = true ]
    # of two cards the candidate's own goes on, whatever comes in
    ml-compare -q --unpaired --current card.json --candidate card.json <a.csv -o c.json
    [ "$(ml get evaluation.task c.json)" = multilabel ]
}

@test "weights and groups are those that the candidate was measured with" {
    /usr/bin/python3 - <<'PY'
for name in "current", "candidate":
    with open(name + ".csv", "w") as f:
        f.write("id,label,prediction,w,g\n")
        for i in range(60):
            f.write(f"{i},{'ab'[i % 2]},{'ab'[i % 3 % 2]},{i % 4 + 1},{i // 2}\n")
PY
    for o in '--weight w' '--group g' '--weight w --group g'; do
        # shellcheck disable=SC2086
        ml-eval -q $o candidate.csv -o e.json
        ml-compare -q --card e.json --candidate candidate.csv --current current.csv -o without.json
        # shellcheck disable=SC2086
        ml-compare -q $o --card e.json --candidate candidate.csv --current current.csv -o with.json
        cmp without.json with.json
        run --separate-stderr ml-compare -q "${o%% *}" label --card e.json --candidate candidate.csv --current current.csv
        [ "$status" -ne 0 ]
    done
    # names of columns are inherited where no option names them, in this way or the other
    for f in current candidate; do sed 's/^id,label,prediction/key,truth,answer/' $f.csv >$f-named.csv; done
    ml-eval -q --id key --label truth --prediction answer candidate-named.csv -o e.json
    ml-compare -q --card e.json --candidate candidate-named.csv --current current-named.csv -o c.json
    [ "$(ml get comparison.rows c.json)" = 60 ]
    run --separate-stderr ml-compare -q --label answer --card e.json --candidate candidate-named.csv --current current-named.csv
    fails 4 'saw other ids, labels, weights or groups'
    printf 'id,label,p,s_0,s_1\n' >two.csv
    for i in $(seq 40); do echo "$i,$((i % 2)),0.$((i % 7 + 1)),0.$((9 - i % 7)),0.$((i % 7 + 1))"; done >>two.csv
    ml-eval -q --score p two.csv -o e.json
    ml-compare -q --card e.json --candidate two.csv --current two.csv -o c.json
    [ "$(ml get comparison.metrics.roc_auc.delta c.json)" = 0 ]
    ml-eval -q candidate.csv -o e.json
    run --separate-stderr ml-compare -q --weight w --card e.json --candidate candidate.csv --current current.csv
    fails 4 'saw other ids, labels, weights or groups'
}

@test "unpaired: two models without a mistake are not thereby equally good" {
    { echo id,label,prediction; for i in $(seq 40); do echo "$i,$((i % 2)),$((i % 2))"; done; } >a.csv
    { echo id,label,prediction; for i in $(seq 41 80); do echo "$i,$((i % 2)),$((i % 2))"; done; } >b.csv
    ml-eval -q a.csv -o a.json
    ml-eval -q b.csv -o b.json
    ml-compare -q --unpaired --current a.json --candidate b.json --margin accuracy=0.05 -o u.json
    [ "$(ml get comparison.metrics.accuracy.verdict u.json)" = inconclusive ]
    [ "$(ml get comparison.metrics.accuracy.noninferior u.json)" = false ]
    [[ "$(ml get comparison.metrics.accuracy.reason u.json)" == *"standard error"* ]]
    head -31 b.csv >c.csv
    ml-compare --unpaired --current a.csv --candidate c.csv -o u.json </dev/null 2>err
    grep -qF 'c.csv against a.csv: 30 rows against 40, unpaired, 95 % intervals' err
    ml-compare --unpaired --current a.csv --candidate b.csv -o u.json </dev/null 2>err
    grep -qF 'b.csv against a.csv: 40 rows, unpaired, 95 % intervals' err
}

@test "unpaired: few groups are too few, and both are about the same positive class" {
    /usr/bin/python3 - <<'PY'
import random
r = random.Random(5)
for name, q in ("a", 0.6), ("b", 0.9):
    with open(name + ".csv", "w") as f:
        f.write("id,label,prediction,g,h,s\n")
        for i in range(300):
            y = r.choice("xy")
            f.write(f"{name}{i},{y},{y if r.random() < q else 'yx'[y == 'y']},{i % 3},{i % 30},{i % 2}\n")
PY
    for g in g h; do
        for f in a b; do
            ml-eval -q --positive x --group $g --slice s $f.csv -o $f.json
        done
        ml-compare -q --unpaired --current a.json --candidate b.json -o $g.json
    done
    [ "$(value comparison.metrics.accuracy.verdict h.json)" = better ]
    [ "$(value comparison.groups h.json)" = 30 ]
    [ "$(value comparison.metrics.accuracy.verdict g.json)" = inconclusive ]
    [ "$(value comparison.metrics.accuracy.reason g.json)" = "only 3 groups; 10 are needed" ]
    [ "$(value comparison.slices.s=1.metrics.accuracy.verdict g.json)" = inconclusive ]
    # a slice has its own; the interval is Student's, of as many as there are
    [ "$(value evaluation.slices.s=1.groups a.json)" = 15 ]
    [ "$(value comparison.slices.s=1.groups h.json)" = 15 ]
    /usr/bin/python3 - <<'PY'
import json
from scipy import stats
c = json.load(open("h.json"))
for of, groups in (c["comparison"], 30), (c["comparison"]["slices"]["s=1"], 15):
    m = of["metrics"]["log_loss" if "log_loss" in of["metrics"] else "accuracy"]
    ways = [stats.t.ppf(.975, df) for df in (groups - 1, 2 * groups - 2)]
    assert ways[1] - 1e-9 < (m["high"] - m["delta"]) / m["se"] < ways[0], (m, ways)
PY
    ml-eval -q --positive y a.csv -o a.json
    run --separate-stderr ml-compare -q --unpaired --current a.json --candidate b.json
    fails 4 "the current model's positive class is 'y', the candidate's 'x'"
}

@test "usage" {
    make_files
    run --separate-stderr ml-compare --candidate candidate.csv </dev/null
    fails 2 'say what is current'
    for o in '--alpha 0' '--alpha 1' '--look -1' '--look 0' '--unmatched keep' '--seed -1' '--current -' '--score a --scores b'; do
        # shellcheck disable=SC2086
        run --separate-stderr ml-compare --current current.csv --candidate - $o <candidate.csv
        fails 2 . || { echo "$o"; return 1; }
    done
    ml-compare -q --current current.csv --candidate - <candidate.csv >a.json
    ml-compare -q --current current.csv --candidate candidate.csv </dev/null >b.json
    [ "$(value comparison a.json)" = "$(value comparison b.json)" ]
    run --separate-stderr ml-compare --current nowhere.csv --candidate candidate.csv </dev/null
    fails 3 nowhere.csv
    for f in ./nowhere.csv ../nowhere.csv /nowhere/current:1; do
        run --separate-stderr ml-compare --current $f --candidate candidate.csv </dev/null
        fails 3 "cannot open '$f': No such file"
    done
    run --separate-stderr ml-compare --current current.csv --candidate <(printf 'label,prediction\n') </dev/null
    fails 3 'no row'
}
