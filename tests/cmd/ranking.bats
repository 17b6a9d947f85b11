# Rankings by query: ml-eval, ml-compare and the gate.
bats_require_minimum_version 1.5.0
load helper

# 60 queries, five without a relevant row; the candidate is better in most
make_rankings() {
    /usr/bin/python3 - <<'PY'
import random
random.seed(8)
with open('current.csv', 'w') as a, open('candidate.csv', 'w') as b:
    for f in (a, b):
        f.write('id,query,label,score,kind\n')
    i = 0
    for q in range(60):
        for _ in range(random.randint(3, 12)):
            y = 0 if q % 12 == 0 else random.choice([0, 0, 1, 2, 3])
            s = y + random.gauss(0, 2)
            a.write(f"r{i},q{q},{y},{s:.4f},{'ab'[q % 2]}\n")
            b.write(f"r{i},q{q},{y},{s + 0.5 * y:.4f},{'ab'[q % 2]}\n")
            i += 1
PY
}

@test "the values are scikit-learn's, queries without a relevant row are counted" {
    make_rankings
    run --separate-stderr ml-eval --task ranking --group query --metric ndcg@10 --metric precision@3 --slice kind candidate.csv -o card.json
    [ "$status" = 0 ]
    [[ "$stderr" == *"rows, ranking"* ]]
    /usr/bin/python3 - <<'PY'
import json
import pandas as pd
from sklearn.metrics import ndcg_score
d = pd.read_csv('candidate.csv')
e = json.load(open('card.json'))['evaluation']
def mean(d, k):
    return d.groupby('query').filter(lambda g: g.label.max() > 0).groupby('query').apply(lambda g: ndcg_score([g.label], [g.score], k=k)).mean()
assert e['task'] == 'ranking' and e['groups'] == 60 and e['queries'] == {'count': 60, 'undefined': 5}, e['queries']
assert e['classes'] is None and 'confusion' not in e
for k in (None, 10):
    m = e['metrics']['ndcg' if k is None else 'ndcg@10']
    assert abs(m['value'] - mean(d, k)) < 1e-12 and m['low'] < m['value'] < m['high'] and m['n'] == 55, m
    m = e['slices']['kind=a']['metrics']['ndcg' if k is None else 'ndcg@10']
    assert abs(m['value'] - mean(d[d.kind == 'a'], k)) < 1e-12, m
p = d.sort_values('score', ascending=False).groupby('query').filter(lambda g: g.label.max() > 0).groupby('query').head(3)
assert abs(e['metrics']['precision@3']['value'] - (p.label > 0).mean()) < 1e-12
assert set(e['metrics']) == {'ndcg', 'map', 'mrr', 'ndcg@10', 'precision@3'}
PY
}

@test "scores go before predictions unless --prediction says otherwise; order of rows doesn't matter" {
    make_rankings
    rank() { ml-eval -q --task ranking --group query "$@" | ml get evaluation.metrics; }
    rank candidate.csv >want
    sed '1s/score/prediction/' candidate.csv >p.csv
    rank p.csv | cmp - want
    awk -F, -v OFS=, '{ print $0, NR == 1 ? "prediction" : -$4 }' candidate.csv >both.csv
    rank both.csv | cmp - want
    run ! cmp -s <(rank --prediction prediction both.csv) want
    sed 1d candidate.csv | shuf --random-source=<(yes) | sed "1i $(head -1 candidate.csv)" >shuffled.csv
    rank shuffled.csv >other
    /usr/bin/python3 -c '
import json
a, b = json.load(open("want")), json.load(open("other"))
assert all(abs(a[m][k] - b[m][k]) < 1e-12 for m in a for k in ("value", "low", "high", "se"))'
}

@test "a comparison is of queries" {
    make_rankings
    printf 'metrics:\n  ndcg@5: { must: improve }\n  map: { min: 0.2, must: not_regress, margin: 0.05 }\n' >p.yml
    run --separate-stderr ml-compare --task ranking --group query --current current.csv --candidate candidate.csv --policy p.yml -o c.json </dev/null
    [ "$status" = 0 ]
    [[ "$stderr" == *"queries ranked better"* ]]
    [ "$(ml get /comparison/metrics/ndcg@5/verdict c.json)" = better ]
    [ "$(ml get /comparison/metrics/ndcg@5/family c.json)" = primary ]
    [ "$(ml get /comparison/groups c.json)" = 55 ]
    /usr/bin/python3 - <<'PY'
import json
import pandas as pd
from scipy.stats import ttest_rel
from sklearn.metrics import ndcg_score
def values(f, k=None):
    return pd.read_csv(f).groupby('query').filter(lambda g: g.label.max() > 0).groupby('query').apply(lambda g: ndcg_score([g.label], [g.score], k=k))
a, b = values('current.csv'), values('candidate.csv')
c = json.load(open('c.json'))['comparison']
m, f = c['metrics']['ndcg'], c['flips']
assert abs(m['delta'] - (b - a).mean()) < 1e-12 and m['changed'] == (abs(a - b) > 1e-15).sum(), m
assert abs(m['p'] - ttest_rel(b, a).pvalue) < 0.3 * m['p'] + 1e-9, (m['p'], ttest_rel(b, a).pvalue)
# what moved is told by the policy's first metric
a, b = values('current.csv', 5), values('candidate.csv', 5)
assert list(c['metrics'])[:2] == ['ndcg@5', 'map'] and f['metric'] == 'ndcg@5' and f['improved'] == (b > a).sum() and f['worsened'] == (b < a).sum()
w = (a - b).sort_values(ascending=False).head(min(10, f['worsened']))
assert [x['id'] for x in f['worst']] == list(w.index), (f, w)
PY
    ml-eval -q --task ranking --group query --policy p.yml --card c.json candidate.csv | ml-gate -q p.yml >/dev/null
    # the comment counts queries, and names those that lost most
    ml-eval -q --task ranking --group query current.csv |
        ml-compare -q --task ranking --group query --current candidate.csv --candidate current.csv |
        env -u CI_MERGE_REQUEST_IID ml-comment -q >comment.md
    grep -qE '^[0-9]+ rows of 60 queries\. They can show ' comment.md
    grep -qF '| ranked worse | its `ndcg`, current | candidate |' comment.md
    grep -qE '^\| `q[0-9]+` \| 0\.[0-9]+ \| 0\.[0-9]+ \|$' comment.md
    # identical, and fewer than ten queries
    ml-compare -q --task ranking --group query --current current.csv --candidate current.csv </dev/null >i.json
    [ "$(ml get comparison.metrics.map.verdict i.json)" = equivalent ]
    for f in current candidate; do awk -F, 'NR == 1 || $2 ~ /^q[1-9]$/' $f.csv >few.$f.csv; done
    ml-compare -q --task ranking --group query --current few.current.csv --candidate few.candidate.csv </dev/null >f.json
    [ "$(ml get comparison.metrics.ndcg.verdict f.json)" = inconclusive ]
    [[ "$(ml get comparison.metrics.ndcg.reason f.json)" == *groups* ]]
}

@test "what a ranking needs" {
    make_rankings
    run --separate-stderr ml-eval --task ranking candidate.csv
    fails 2 'needs --group'
    awk -F, -v OFS=, 'NR == 3 { $3 = -1 } 1' candidate.csv >negative.csv
    run --separate-stderr ml-eval --task ranking --group query negative.csv
    fails 3 'row 2 has the label -1'
    awk -F, -v OFS=, 'NR == 3 { $3 = "good" } 1' candidate.csv >text.csv
    run --separate-stderr ml-eval --task ranking --group query text.csv
    fails 3 "line 3: the label 'good' is not a number, as ranking needs it"
    run --separate-stderr ml-eval --task ranking --group query --metric lift@10% candidate.csv
    fails 2 'another task \(--task binary\)'
    run --separate-stderr ml-eval --task ranking --group query --metric ndcg@0 candidate.csv
    fails 2 'no such metric'
    # documents are counted by query
    awk -F, -v OFS=, 'NR > 1 { $1 = n[$2]++ } 1' candidate.csv >again.csv
    head -1 again.csv | grep -q '^id,query,'
    run --separate-stderr ml-eval --task ranking --group query again.csv
    fails 3 "the id '0' stands twice \(rows 1 and [0-9]+\), in the groups '[^']*' and '[^']*'; an id names one row of the file: where it names one of a group only, write both into the column, as in '[^']*/0'"
    awk -F, -v OFS=, 'NR > 1 { $1 = $2 "/" $1 } 1' again.csv >joined.csv
    ml-eval -q --task ranking --group query joined.csv | ml get evaluation.queries
    awk -F, -v OFS=, 'NR > 1 { $3 = 0 } 1' candidate.csv >none.csv
    ml-eval -q --task ranking --group query none.csv -o none.json
    [ "$(ml get evaluation.metrics.ndcg.value none.json)" = null ]
    [ "$(ml get evaluation.metrics.ndcg.reason none.json)" = 'no query has a relevant row' ]
    [ "$(ml get evaluation.queries.undefined none.json)" = 60 ]
}
