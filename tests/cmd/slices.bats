# Slices of ml-eval and ml-compare: values, ranges of numbers, combinations.
bats_require_minimum_version 1.5.0
load helper

# 4000 rows; `age` has many numbers and gaps, `level` few, `x` more than a dictionary keeps
make_rows() {
    /usr/bin/python3 - <<'PY'
import random
random.seed(5)
with open('rows.csv', 'w') as f, open('other.csv', 'w') as g:
    for o in (f, g):
        o.write('id,label,prediction,age,level,x,city\n')
    for i in range(9000):
        y = random.randrange(2)
        row = [random.choice(['', 'NA'] + [str(a) for a in range(18, 80)]), str(random.randrange(5)),
               f'{random.gauss(0, 1):.12f}', random.choice('ab')]
        f.write(f"r{i},{y},{y ^ (random.random() < .2)},{','.join(row)}\n")
        if i % 9:  # written otherwise, and fewer of them
            row[0] = row[0] + '.0' if row[0].isdigit() else row[0]
            g.write(f"r{i},{y},{y ^ (random.random() < .2)},{','.join(row)}\n")
PY
}

@test "many numbers are cut into quartiles, few are slices each" {
    make_rows
    ml-eval -q --slice age --slice level --slice x --slice age:3,level:each rows.csv -o s.json
    /usr/bin/python3 - <<'PY'
import json
import pandas as pd
d = pd.read_csv('rows.csv', dtype={'age': str}, keep_default_na=False)
s = json.load(open('s.json'))['evaluation']['slices']
age = pd.to_numeric(d.age, errors='coerce')
def cut(v, q):
    x = sorted(v.dropna())
    edges = [x[len(x) * k // q] for k in range(1, q)]
    return [x[0]] + edges + [x[-1]], v.map(lambda a: sum(e <= a for e in edges), na_action='ignore')
for name, v in (('age', age), ('x', d.x)):
    edges, code = cut(v, 4)
    for k in range(4):
        o = s[f'{name}=q{k + 1}of4']
        assert o['rows'] == (code == k).sum(), (name, k, o['rows'])
        assert o['ranges'] == {name: {'from': edges[k], 'below' if k < 3 else 'to': edges[k + 1]}}, o['ranges']
        assert o['metrics']['accuracy']['value'] == (d.label == d.prediction)[code == k].mean()
edges, code = cut(age, 3)
for k in range(3):
    for l in range(5):
        assert s[f'age=q{k + 1}of3,level={l}']['rows'] == ((code == k) & (d.level == l)).sum()
for name in ('', 'NA'):
    assert s[f'age={name}']['rows'] == (d.age == name).sum() and 'ranges' not in s[f'age={name}']
assert s['level=3']['rows'] == (d.level == 3).sum() and 'ranges' not in s['level=3']
assert len(s) == 6 + 5 + 4 + 5 * 5, sorted(s)
PY
}

@test "edges that were given: names say the range, whatever the rows hold" {
    make_rows
    ml-eval -q --slice age:18/31.50/65 --slice x:0/ --slice age:100/,city rows.csv -o s.json
    /usr/bin/python3 - <<'PY'
import json
import pandas as pd
d = pd.read_csv('rows.csv', dtype={'age': str}, keep_default_na=False)
s = json.load(open('s.json'))['evaluation']['slices']
age = pd.to_numeric(d.age, errors='coerce')
want = {'age=18..31.5': (age < 31.5), 'age=31.5..65': (age >= 31.5) & (age < 65), 'age=65..': age >= 65, 'x=..0': d.x < 0, 'x=0..': d.x >= 0,
        'age=..100,city=a': (age < 100) & (d.city == 'a'), 'age=NA,city=b': (d.age == 'NA') & (d.city == 'b')}
for k, v in want.items():
    assert s[k]['rows'] == v.sum(), k
assert s['age=65..']['ranges'] == {'age': {'from': 65}} and s['x=..0']['ranges'] == {'x': {'below': 0}}
PY
}

@test "a column whose name ends like a cut, and cuts that mean nothing" {
    printf 'label,prediction,a:4,b\n1,1,3,2\n0,1,4,2\n1,0,3,1\n' >c.csv
    ml-eval -q --slice a:4 --slice b:each c.csv -o s.json
    [ "$(ml get /evaluation/slices/a:4=3/rows s.json)" = 2 ]
    [ "$(ml get /evaluation/slices/b=2/rows s.json)" = 2 ]
    for bad in b:1 b:101 b:x b: b:2.5 b:/ b:1/1 b:2/1 b:1/x b:1/2/ab; do
        run --separate-stderr ml-eval --slice "$bad" c.csv
        fails 2 "'$bad': 'b' is cut as in 'b:4' .* 'b:18/65' .* 'b:each'"
    done
    run --separate-stderr ml-eval --slice d:x c.csv
    fails 3 "no column 'd:x'"
    run --separate-stderr ml-eval --slice b,a:4,b:4 c.csv
    fails 2 "--slice 'b,a:4,b:4' names the column 'b' twice"
    ml-eval -q --slice b:1/2/ c.csv
}

@test "candidate and current are cut alike: by the candidate's rows" {
    make_rows
    ml-compare -q --current other.csv --candidate rows.csv --unmatched drop --slice age,city --slice x:3 </dev/null >c.json
    ml-eval -q --slice age,city --slice x:3 <(awk -F, 'NR == FNR { has[$1] = 1; next } $1 in has' other.csv rows.csv) -o e.json
    /usr/bin/python3 - <<'PY'
import json
c, e = (json.load(open(f)) for f in ('c.json', 'e.json'))
c, e = c['comparison']['slices'], e['evaluation']['slices']
assert set(c) == set(e) and len(c) == 15, (set(c) ^ set(e))
for k in e:
    assert c[k]['rows'] == e[k]['rows'] and c[k].get('ranges') == e[k].get('ranges'), k
    assert c[k]['metrics']['accuracy']['candidate'] == e[k]['metrics']['accuracy']['value']
PY
    # a value that differs is seen, though both lie in the same quartile
    awk -F, -v OFS=, 'NR == 12 { $6 = $6 + 1e-9 } 1' rows.csv >moved.csv
    run --separate-stderr ml-compare --current moved.csv --candidate rows.csv --slice x </dev/null
    fails 4 '1 slice differs'
}

@test "a policy names a quantile" {
    make_rows
    printf 'slices:\n  age=q1of4: { accuracy: { min: 0.5 } }\n  age=q4of4,city=b: { accuracy: { min: 0.9 } }\n' >p.yml
    ml-eval -q --slice age --slice age,city rows.csv -o e.json
    run -1 --separate-stderr ml-gate -q p.yml --card e.json
    ml get gate.rules <<<"$output" | /usr/bin/python3 -c '
import json, sys
assert [r["passed"] for r in json.load(sys.stdin)] == [True, False]'
}

@test "the number of threads doesn't matter" {
    /usr/bin/python3 - <<'PY'
import random
random.seed(6)
with open('big.csv', 'w') as f:
    f.write('label,prediction,x,k\n')
    for i in range(150000):
        f.write(f"{i % 2},{i % 3 % 2},{random.random()},{'n/a' if i % 100 == 0 else random.randrange(30)}\n")
PY
    taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" ml-eval --slice x --slice k,x:2 big.csv -q -o one.json
    ml-eval --slice x --slice k,x:2 big.csv -q -o all.json
    cmp one.json all.json
    [ "$(ml get '/evaluation/slices/k=n~1a,x=q1of2/rows' all.json)" -gt 700 ]
}

# 20,000 rows of which those with city=b and age=q4of4 fail twice as often
make_faulty() {
    /usr/bin/python3 - <<'PY'
import random
random.seed(7)
with open('faulty.csv', 'w') as f:
    f.write('id,label,prediction,city,age,token,one\n')
    for i in range(20000):
        y, city, age = random.randrange(2), random.choice('abc'), random.randrange(18, 98)
        wrong = random.random() < (0.24 if city == 'b' and age >= 78 else 0.12)
        f.write(f'r{i},{y},{y ^ wrong},{city},{age},{random.random()}x,1\n')
PY
}

@test "the worst slices are found, and one fault is one finding" {
    make_faulty
    run --separate-stderr ml-eval --find-slices faulty.csv -o f.json
    [ "$status" = 0 ]
    [[ "$stderr" == *"one slice is certain to be worse than the rest, of 19 that were looked at (error)"* ]]
    [[ "$stderr" == *"city=b,age=q4of4"* ]]
    [ "$(ml get evaluation.found_slices.slices.0.name f.json)" = city=b,age=q4of4 ]
    [ "$(ml get evaluation.found_slices.slices.0.ranges.age.to f.json)" = 97 ]
    run ml get evaluation.found_slices.slices.1 f.json
    [ "$status" != 0 ]
    [ "$(ml get evaluation.found_slices.loss f.json)" = error ]
    /usr/bin/python3 -c '
import json
f = json.load(open("f.json"))["evaluation"]
assert f["found_slices"]["columns"] == ["city", "age"], f["found_slices"] # neither ids nor one value
assert f["slices"] == {}
s = f["found_slices"]["slices"][0]
assert s["low"] < s["difference"] == s["value"] - s["rest"] < s["high"] and s["p"] < s["p_adjusted"] < 1e-6, s'
    # the comment has them, too
    env -u CI_MERGE_REQUEST_IID ml-comment -q --card f.json -o c.md >/dev/null
    grep -F 'Worse than the rest** for certain, of 19 slices' c.md
    grep -F '| `city=b,age=q4of4` | '"$(ml get evaluation.found_slices.slices.0.rows f.json)"' | 0.2' c.md
    # without the fault nothing is; and no part is none
    awk -F, -v OFS=, '$4 != "b"' faulty.csv >sound.csv
    run --separate-stderr ml-eval --find-slices sound.csv
    [[ "$stderr" == *"no slice is certain to be worse"* ]]
    cut -d, -f1-3 faulty.csv >plain.csv
    [ "$(ml-eval -q --find-slices plain.csv | ml get evaluation.found_slices.looked_at)" = 0 ]
    # beside slices that were named, by the same names
    ml-eval -q --find-slices --slice city,age faulty.csv -o both.json
    [ "$(ml get evaluation.found_slices both.json)" = "$(ml get evaluation.found_slices f.json)" ]
    [ "$(ml get /evaluation/slices/city=b,age=q4of4/rows both.json)" = "$(ml get evaluation.found_slices.slices.0.rows f.json)" ]
    # of probabilities by their squared error; what was predicted is no slice
    awk -F, -v OFS=, '{ print $0, NR == 1 ? "score" : $3 ? 0.8 : 0.2 }' faulty.csv >score.csv
    ml-eval -q --task probabilistic --find-slices score.csv -o p.json
    /usr/bin/python3 -c '
import csv, json
f = json.load(open("p.json"))["evaluation"]["found_slices"]
assert f["loss"] == "squared_error" and f["columns"] == ["city", "age"] and len(f["slices"]) == 1, f
s = f["slices"][0]
assert s["name"] == "city=b,age=q4of4", s
low = s["ranges"]["age"]["from"]
loss = [(float(r["score"]) - int(r["label"])) ** 2 for r in csv.DictReader(open("score.csv")) if r["city"] == "b" and int(r["age"]) >= low]
assert len(loss) == s["rows"] and abs(sum(loss) / len(loss) - s["value"]) < 1e-12, s'
    run --separate-stderr ml-eval --find-slices --task ranking --group city faulty.csv
    fails 2 'rows of a ranking'
}

@test "an index is no column to find slices in" {
    make_faulty
    awk -F, -v OFS=, 'NR == 1 { print "", $0, "nr", "year" } NR > 1 { print (NR * 7) % 3989, $0, NR * 3 - 8, 2000 + NR % 4 }' faulty.csv >index.csv
    ml-eval -q --find-slices index.csv -o i.json
    [ "$(ml get evaluation.found_slices.columns i.json | tr -d ' \n')" = '["city","age","year"]' ]
    # one row out of order is no index; asked for by its name it is a slice all the same
    awk -F, -v OFS=, 'NR == 9 { $9 = 1 } { print }' index.csv >other.csv
    ml-eval -q --find-slices other.csv --slice nr -o o.json
    [ "$(ml get evaluation.found_slices.columns o.json | tr -d ' \n')" = '["nr","city","age","year"]' ]
    ml get /evaluation/slices/nr=q1of4/rows o.json
}

@test "two slices of one name are refused, unless they hold the same rows" {
    printf 'id,label,prediction,s,t\n1,0,1,x,1\n2,1,1,"x,t=1",2\n3,0,0,x,1\n4,1,1,"y, z",2\n' >c.csv
    cp c.csv d.csv
    for tool in "ml-eval c.csv" "ml-compare --current d.csv --candidate c.csv"; do
        run --separate-stderr $tool --slice s --slice s,t </dev/null
        fails 3 "'c.csv': two slices of different rows would be called 's=x,t=1'"
    done
    # of one column alone it is a name; so is a comma anywhere else
    ml-eval -q --slice s --slice t c.csv -o a.json
    [ "$(ml get '/evaluation/slices/s=x,t=1/rows' a.json)" = 1 ]
    [ "$(ml get '/evaluation/slices/s=y, z/rows' a.json)" = 1 ]
    # within one slicing
    printf 'id,label,prediction,s,t\n1,0,1,x,"1,t=2"\n2,1,1,"x,t=1",2\n3,0,0,x,1\n' >e.csv
    run --separate-stderr ml-eval --slice s,t e.csv
    fails 3 "'e.csv': two slices of different rows would be called 's=x,t=1,t=2'"
    # asked for twice
    ml-eval -q --slice s,t --slice s,t --slice t:1.5/ --slice t:1.5/1.9 d.csv -o b.json
    [ "$(ml get '/evaluation/slices/t=..1.5/rows' b.json)" = 2 ]
}

@test "slices that a policy or a card names are measured and compared without --slice" {
    /usr/bin/python3 - <<'PY'
for side, off in ("a", 7), ("b", 5):
    with open(side + ".csv", "w") as f:
        f.write('id,label,prediction,region,age\n')
        f.writelines(f'{i},{i % 2},{i % 2 ^ (i % off == 0)},"{"north south Paris, France".split(" ", 2)[i % 3]}",{i * 37 % 90}\n' for i in range(300))
PY
    cat >p.yml <<'Y'
slices:
  region=north: { accuracy: { min: 0.1, must: not_regress } }
  region=Paris, France: { accuracy: { min: 0.1, must: not_regress } }
  region=north,age=18..65: { accuracy: { min: 0.1, must: not_regress }, min_rows: 3 }
  region=south,age=65..: { min_rows: 3 }
  age=q1of4: { accuracy: { min: 0.1, must: not_regress } }
Y
    slices() {
        /usr/bin/python3 -c 'import json, sys; print("|".join(sorted(json.load(open(sys.argv[1]))[sys.argv[2]]["slices"])))' "$@"
    }
    run -0 --separate-stderr ml-eval -q --policy p.yml a.csv -o e.json
    [ -z "$stderr" ]
    want='age=q1of4|age=q2of4|age=q3of4|age=q4of4|region=Paris, France'
    want+='|region=Paris, France,age=..18|region=Paris, France,age=18..65|region=Paris, France,age=65..'
    want+='|region=north|region=north,age=..18|region=north,age=18..65|region=north,age=65..'
    want+='|region=south|region=south,age=..18|region=south,age=18..65|region=south,age=65..'
    [ "$(slices e.json evaluation)" = "$want" ]
    # by the card alone, by the policy alone, and as --slice does it
    ml-compare -q --card e.json --candidate a.csv --current b.csv -o card.json
    [ "$(slices card.json comparison)" = "$want" ]
    ml-compare -q --policy p.yml --candidate a.csv --current b.csv -o policy.json </dev/null
    [ "$(slices policy.json comparison)" = "$want" ]
    ml-compare -q --policy p.yml --slice region --slice region,age:18/65 --slice age:4 --candidate a.csv --current b.csv -o asked.json </dev/null
    cmp policy.json asked.json
    ml-compare -q --policy p.yml --card e.json --candidate a.csv --current b.csv -o both.json
    ml-gate -q p.yml both.json -o /dev/null
    # --slice goes before names; what no row is in is warned of, and a column that isn't there
    run -0 --separate-stderr ml-eval -q --policy p.yml --slice age:10 a.csv -o t.json
    [ "$stderr" = "ml-eval: warning: p.yml: no row is in the slice 'age=q1of4', and the card lacks it" ]
    [[ "$(slices t.json evaluation)" == age=q10of10* ]]
    cut -d, -f1-3 a.csv >bare.csv
    run -0 --separate-stderr ml-eval -q --policy p.yml bare.csv -o t.json
    [ "${#stderr_lines[@]}" -eq 5 ]
    # values of a column of many numbers, and one edge
    printf 'slices: {age=37: {min_rows: 1}, "region=north,age=..40": {accuracy: {min: 0}}}\n' >q.yml
    ml-eval -q --policy q.yml a.csv -o t.json
    [ "$(ml get '/evaluation/slices/age=37/rows' t.json)" -gt 0 ]
    [ "$(slices t.json evaluation | tr '|' '\n' | grep -c ,age=)" -eq 6 ]
}
