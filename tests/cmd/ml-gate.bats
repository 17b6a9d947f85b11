load helper

# edit CODE: the golden card, changed by python ("c" is the card), as card.json
edit() {
    /usr/bin/python3 - "$TOP/tests/golden/compared.json" "$1" >card.json <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
ev, cmp = c["evaluation"], c["comparison"]
acc = cmp["metrics"]["accuracy"]
exec(sys.argv[2])
json.dump(c, sys.stdout)
PY
}

# rule NAME KEY [VALUE]: prints that key of a rule in gated.json
rule() {
    /usr/bin/python3 - "$1" "$2" <<'PY'
import json, sys
rules = [r for r in json.load(open("gated.json"))["gate"]["rules"] if r["rule"] == sys.argv[1]]
assert len(rules) == 1, f"{len(rules)} rules {sys.argv[1]}"
print(json.dumps(rules[0].get(sys.argv[2], "absent"), ensure_ascii=False))
PY
}

# gate [CODE]: holds card.json (or the golden card) against p.yml, expecting that exit code
gate() {
    local want=${1:-0}
    [ -e card.json ] || cp "$TOP/tests/golden/compared.json" card.json
    run --separate-stderr ml-gate p.yml --card card.json -o gated.json
    [ "$status" -eq "$want" ] || {
        echo "exit $status, wanted $want: $stderr"
        return 1
    }
}

# is RULE KEY VALUE
is() {
    local got
    got=$(rule "$1" "$2")
    [ "$got" = "$3" ] || {
        echo "$1 $2 is $got, wanted $3"
        return 1
    }
}

@test "the manual's policy passes, and every rule is in the document" {
    cat >p.yml <<'Y'
min_rows: 500
current: optional
metrics:
  accuracy:
    min: 0.60
    must: not_regress
    margin: 0.01
    max_drop: { limit: 2%, on: bound, level: warn }
  log_loss: { max: 1.5 }
slices:
  accents=no: { accuracy: { min: 0.55, must: not_regress, margin: 0.02 } }
Y
    gate
    [ "$(ml get gate.passed gated.json)" = true ]
    [ "$(ml get gate.policy gated.json)" = p.yml ]
    [ "$(ml get gate.policy_digest gated.json)" = "sha256:$(sha256sum <p.yml | cut -d' ' -f1)" ]
    is min_rows observed 1694
    is accuracy.min observed 0.6606
    is accuracy.min neutral_pass_rate null
    is accuracy.must observed '"better"'
    is accuracy.must margin 0.01
    is accuracy.must compared_again true
    [[ "$(rule accuracy.max_drop limit)" == 0.01274* ]]
    is accuracy.max_drop observed -0.0122
    is accuracy.max_drop level '"warn"'
    is log_loss.max passed true
    is accents=no.accuracy.must passed true
    [[ "$stderr" == "gate passed: 7 passed, 0 failed, 0 warned, 0 not applicable" ]]
}

@test "what isn't the gate's is passed on byte for byte, and a gate that was there is replaced" {
    printf '{"schema": "mlci.card/1", "x": {"big": 12345678901234567890, "n": 1.10},  "gate": {"passed": false}, "evaluation": {"rows": 9, "metrics": {"accuracy": {"value": 0.5}}}}' >card.json
    echo 'metrics: {accuracy: {min: 0.5}}' >p.yml
    run --separate-stderr ml-gate -q p.yml <card.json
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ "$output" == *'"x": {"big": 12345678901234567890, "n": 1.10},'* ]]
    [ "$(grep -o '"passed":' <<<"$output" | wc -l)" -eq 2 ]
    [ "$(ml get gate.passed <<<"$output")" = true ]
}

@test "limits: min and max, on value and on bound, pass at equality" {
    echo 'metrics: {accuracy: {min: 0.6606, max: 0.6606}, log_loss: {max: {limit: 1.27, on: bound}}}' >p.yml
    gate
    echo 'metrics: {accuracy: {min: {limit: 0.65, on: bound}}}' >p.yml
    gate 1
    is accuracy.min observed 0.6377
    [[ "$(rule accuracy.min shortfall)" == 0.0122999* ]]
    is accuracy.min reason '"the low end 0.6377 is below 0.65 by 0.012"'
    echo 'metrics: {log_loss: {max: 1.2}}' >p.yml
    gate 1
    is log_loss.max reason '"1.21 is above 1.2 by 0.01"'
    # equality within rounding: 0.1 + 0.2 against 0.3
    edit 'ev["metrics"]["accuracy"]["value"] = 0.3; ev["metrics"]["accuracy"]["low"] = 0.1'
    echo 'metrics: {accuracy: {min: 0.30000000000000004}}' >p.yml
    gate
    echo 'metrics: {accuracy: {min: 0.3000001}}' >p.yml
    gate 1
}

@test "a failed gate has written its whole document, and says which rule and by how much" {
    echo 'metrics: {accuracy: {min: 0.7, must: improve}}' >p.yml
    gate 1
    [ "$(ml get gate.passed gated.json)" = false ]
    [ "$(ml get evaluation.rows gated.json)" = 1694 ]
    [[ "$stderr" == *"FAILED   accuracy.min: 0.6606 is below 0.7 by 0.039"* ]]
    [[ "$stderr" == *"gate FAILED: 1 passed, 1 failed, 0 warned, 0 not applicable" ]]
}

@test "level warn doesn't fail the gate, per limit or per metric" {
    echo 'metrics: {accuracy: {min: {limit: 0.7, level: warn}}}' >p.yml
    gate
    is accuracy.min passed false
    [[ "$stderr" == *"warning  accuracy.min"* ]]
    echo 'metrics: {accuracy: {level: warn, min: 0.7, must: improve, max_drop: {limit: 0, level: fail}}}' >p.yml
    gate
    is accuracy.min level '"warn"'
    is accuracy.max_drop level '"fail"'
    run --separate-stderr ml-gate -v p.yml --card card.json
    [[ "$stderr" == *"  passed   accuracy.max_drop: required <= 0; observed -0.0236"*"; interval -0.0358 to -0.0122; "* ]]
    edit 'acc["delta"] = -0.01'
    gate 1
}

@test "a metric that is missing fails, and one that is null says why" {
    echo 'metrics: {recall: {min: 0.1}}' >p.yml
    gate 1
    is recall.min reason "\"the card has no 'recall'; it has 'roc_auc', 'accuracy', 'f1_macro' and 1 more\""
    echo 'metrics: {f1_micro: {min: 0.1, must: improve}}' >p.yml
    gate 1
    is f1_micro.min reason "\"the card has no 'f1_micro'; it is measured with --policy or --metric\""
    is f1_micro.must reason "\"'f1_micro' was not compared; it is measured with --policy or --metric\""
    echo 'metrics: {roc_auc: {min: 0.1, must: not_regress}}' >p.yml
    gate 1
    is roc_auc.min reason "\"'roc_auc' has no value: no scores\""
    is roc_auc.must reason "\"'roc_auc' was not compared\""
    echo 'slices: {accents=maybe: {accuracy: {min: 0.1}, min_rows: 3}}' >p.yml
    gate 1
    is accents=maybe.accuracy.min reason "\"the card has no 'accuracy' for 'accents=maybe'; it has the slices 'accents=yes' and 'accents=no'\""
    is accents=maybe.min_rows reason "\"the card has no number of rows for 'accents=maybe'; it has the slices 'accents=yes' and 'accents=no'\""
    echo 'slices: {accents=no: {acuracy: {min: 0.1}}}' >p.yml
    gate 1
    is accents=no.acuracy.min reason "\"the card has no 'acuracy' for 'accents=no'; is 'accuracy' meant?\""
    echo 'slices: {accents=no: {profit: {min: 0.1}, f1_micro: {min: 0.1}}}' >p.yml
    gate 1
    is accents=no.profit.min reason "\"the card has no 'profit' for 'accents=no'; it has 'accuracy'\""
    is accents=no.f1_micro.min reason "\"the card has no 'f1_micro' for 'accents=no'; it is measured with --policy or --metric\""
    echo 'slices: {accents=maybe: {accuracy: {min: 0.1}, min_rows: 3}}' >p.yml
    edit 'ev.pop("slices")'
    gate 1
    is accents=maybe.accuracy.min reason "\"the card has no 'accuracy' for 'accents=maybe': it has no slices (--slice of ml-eval)\""
    # what no --policy measures, and names that are no metric's
    awk 'BEGIN { print "id,label,prediction,half"; for (i = 0; i < 100; i++) print i "," i % 2 "," i % 3 % 2 "," i % 5 % 2 }' >c.csv
    local scores='needs scores (--score or --scores)'
    cat >p.yml <<'Y'
metrics:
  roc_auc: { min: 0.1, must: not_regress }
  brier: { max: 1 }
  gini: { min: 0.1 }
  cost: { max: 1 }
  jacard: { min: 0.1 }
  fbeta: { min: 0.1 }
slices:
  half=1: { gini: { min: 0.1 }, cohen_kappa: { min: 0.1 } }
Y
    ml-compare -q --slice half --card <(ml-eval -q --slice half c.csv) --current c.csv --candidate c.csv -o card.json
    gate 1
    is roc_auc.min reason "\"the card has no 'roc_auc'; it $scores\""
    is roc_auc.must reason "\"'roc_auc' was not compared; it $scores\""
    is brier.max reason "\"the card has no 'brier'; it $scores\""
    is gini.min reason "\"the card has no 'gini'; it $scores, and is measured with --policy or --metric\""
    is cost.max reason "\"the card has no 'cost'; it needs --cost, which measures it\""
    is jacard.min reason "\"the card has no 'jacard'; is 'jaccard' meant?\""
    is fbeta.min reason "\"the card has no 'fbeta'; is 'fbeta@2' meant?\""
    is half=1.cohen_kappa.min reason "\"the card has no 'cohen_kappa' for 'half=1'; it is measured with --policy or --metric\""
    ml-eval -q --score prediction --slice half c.csv -o card.json
    gate 1
    is gini.min reason "\"the card has no 'gini'; it is measured with --policy or --metric\""
    is half=1.gini.min reason "\"the card has no 'gini' for 'half=1'; it is measured with --policy or --metric\""
    edit ''
    echo 'metrics: {accuracy: {min: {limit: 0.1, on: bound}}}' >p.yml
    edit 'ev["metrics"]["accuracy"]["low"] = None'
    gate 1
    is accuracy.min reason "\"'accuracy' has no interval to hold the limit against\""
    edit 'c.pop("evaluation")'
    gate 1
    is accuracy.min reason "\"'accuracy' has no interval to hold the limit against; have ml-eval measure it first, and give its card to ml-compare (--card)\""
    echo 'metrics: {accuracy: {min: 0.1}}' >p.yml
    gate
    run -0 --separate-stderr ml-gate --power p.yml card.json
    [[ $stderr == *"the card has no standard error for it; ml-eval's has one"* ]]
    edit 'c.pop("evaluation"); cmp["metrics"] = {"accuracy": {"current": 0.9, "candidate": 0.5, "delta": -0.4, "low": None, "high": None}}' # of metrics files
    echo 'metrics: {accuracy: {min: {limit: 0.1, on: bound}}}' >p.yml
    gate 1
    is accuracy.min reason "\"'accuracy' has no interval to hold the limit against\""
}

@test "a drop is oriented: losses drop when they rise" {
    echo 'metrics: {log_loss: {max_drop: 0.05}, accuracy: {max_drop: 0.01}}' >p.yml
    edit 'cmp["metrics"]["log_loss"]["delta"] = 0.06; acc["delta"] = -0.005'
    gate 1
    is log_loss.max_drop observed 0.06
    is log_loss.max_drop reason '"it got worse by 0.06, and 0.05 is allowed"'
    is accuracy.max_drop passed true
    # on the bound the unfavourable end counts: high for a loss, low for accuracy
    echo 'metrics: {log_loss: {max_drop: {limit: 0.001, on: bound}}, accuracy: {max_drop: {limit: 0, on: bound}}}' >p.yml
    edit ''
    gate
    is log_loss.max_drop observed 0.001
    is accuracy.max_drop observed -0.0122
}

@test "max_drop in percent is of the current value" {
    echo 'metrics: {accuracy: {max_drop: 10%}}' >p.yml
    edit 'acc["delta"] = -0.0637'
    gate
    is accuracy.max_drop required '"10%"'
    is accuracy.max_drop limit 0.0637
    run --separate-stderr ml-gate -v p.yml --card card.json
    [[ "$stderr" == *"accuracy.max_drop: required <= 10% (0.0637); observed 0.0637; "* ]]
    edit 'acc["delta"] = -0.0638'
    gate 1
    edit 'acc["current"] = 0'
    run --separate-stderr ml-gate p.yml --card card.json
    fails 2 "'max_drop' of 'accuracy' is a percentage, but the current value is about 0: give a number"
    echo 'metrics: {profit: {direction: higher, max_drop: 10%}}' >p.yml
    edit 'cmp["metrics"]["profit"] = {"current": 5, "candidate": -1, "delta": -6, "low": -7, "high": -5}'
    run --separate-stderr ml-gate p.yml --card card.json
    fails 2 "its values can be negative"
}

@test "must: not_regress with a margin is non-inferiority, without one harm that was not shown" {
    echo 'metrics: {f1_macro: {must: not_regress}}' >p.yml
    gate
    is f1_macro.must basis '"harm not shown"'
    is f1_macro.must neutral_pass_rate 0.975
    echo 'metrics: {f1_macro: {must: not_regress, margin: 0.02}}' >p.yml
    gate
    is f1_macro.must observed '"equivalent"'
    is f1_macro.must compared_again true
    echo 'metrics: {f1_macro: {must: not_regress, margin: 0.01}}' >p.yml
    gate 1
    is f1_macro.must observed '"inconclusive"'
    [[ "$stderr" == *"of changes that change nothing 36 % pass it on these rows"* ]]
    is f1_macro.must shortfall 0.006199999999999999
    is f1_macro.must reason '"it may have got worse by up to 0.0162, and 0.01 is allowed"'
    # the margin of the card is used as it is when the policy's is the same
    echo 'metrics: {accuracy: {must: not_regress, margin: 0.005}}' >p.yml
    gate
    is accuracy.must compared_again '"absent"'
    is accuracy.must margin 0.005
}

@test "a margin that only the comparison was given neither loosens nor tightens a rule" {
    edit 'acc.update(current=.7, candidate=.67, delta=-.03, low=-.05, high=-.01, p=.001, p_adjusted=.003, margin=.5, noninferior=True, verdict="equivalent")'
    echo 'metrics: {accuracy: {must: not_regress}}' >p.yml
    gate 1
    is accuracy.must observed '"worse"'
    is accuracy.must margin '"absent"'
    is accuracy.must compared_again true
    is accuracy.must reason '"it got worse by 0.03"'
    edit 'acc.update(margin=.5, noninferior=True, verdict="equivalent")'
    echo 'metrics: {accuracy: {must: improve}}' >p.yml
    gate
    is accuracy.must observed '"better"'
    # a margin that comes out as none, of a current value of 0
    edit 'acc.update(margin=0)'
    gate
    is accuracy.must compared_again '"absent"'
}

@test "must: improve wants the verdict better; a wide margin makes a gain negligible" {
    echo 'metrics: {accuracy: {must: improve}}' >p.yml
    gate
    is accuracy.must neutral_pass_rate 0.0063
    edit 'acc.pop("family_size")'
    gate
    is accuracy.must neutral_pass_rate 0.025
    rm card.json
    echo 'metrics: {accuracy: {must: improve, margin: 0.05}}' >p.yml
    gate 1
    is accuracy.must observed '"equivalent"'
    echo 'metrics: {f1_macro: {must: improve}}' >p.yml
    gate 1
    is f1_macro.must reason '"not shown to be better: inconclusive"'
}

@test "identical models satisfy both musts" {
    echo 'metrics: {accuracy: {must: improve, margin: 0.01}, f1_macro: {must: not_regress}}' >p.yml
    edit '
cmp["identical"] = True
for m in cmp["metrics"].values(): m.update(delta=0, low=0, high=0, se=0, p=1, p_adjusted=1, changed=0, verdict="equivalent", noninferior=True)'
    gate
    is accuracy.must observed '"identical"'
    is accuracy.must neutral_pass_rate null
    for on in value bound; do
        echo "metrics: {accuracy: {max_drop: {limit: 0.01, on: $on}}, log_loss: {max_drop: {limit: 0.01, on: $on}}}" >p.yml
        ml-gate -v p.yml card.json -o gated.json --junit gate.xml 2>told
        [ "$(rule accuracy.max_drop observed) $(rule log_loss.max_drop observed)" = "0 0" ]
        run -1 grep -E -e "-0($|[^.0-9])" gate.xml told
    done
}

@test "too few rows are never non-inferior, whatever the margin" {
    echo 'metrics: {accuracy: {must: not_regress, margin: 0.5}}' >p.yml
    edit 'cmp["rows"] = 20; acc.update(n=20, verdict="inconclusive", noninferior=False)'
    gate 1
    is accuracy.must observed '"inconclusive"'
    [[ "$(rule accuracy.must reason)" == *"only 20 rows"* ]]
    echo 'metrics: {roc_auc: {must: not_regress, margin: 0.5}}' >p.yml
    edit 'cmp["metrics"]["roc_auc"] = dict(acc, n=9)'
    gate 1
    [[ "$(rule roc_auc.must reason)" == *"only 9 rows in the smaller class"* ]]
}

@test "no test was possible: must fails, max_drop decides" {
    edit 'c.pop("evaluation"); cmp["metrics"] = {"auc": {"current": 0.9, "candidate": 0.5, "delta": -0.4, "low": None, "high": None, "verdict": "inconclusive", "reason": "metrics files hold no rows"}}'
    echo 'metrics: {auc: {direction: higher, must: not_regress}}' >p.yml
    gate 1
    is auc.must reason '"no test was possible: metrics files hold no rows; max_drop needs none"'
    echo 'metrics: {auc: {direction: higher, min: 0.4, max_drop: 0.5}}' >p.yml
    gate
    is auc.min observed 0.5
    is auc.max_drop neutral_pass_rate null
    echo '{"accuracy": 0.9}' >old.json
    ml-compare -q --current old.json --candidate old.json >card.json
    echo 'metrics: {accuracy: {must: not_regress}}' >p.yml
    gate 1
    is accuracy.must reason '"no test was possible: a number without rows; max_drop needs none"'
}

@test "neutral pass rates are those of verdicts.md: 1,694 rows, 6 % changed" {
    # se = sqrt(102/1694^2)
    edit 'se = 102 ** 0.5 / 1694; acc.update(se=se, low=acc["delta"] - 1.959964 * se, margin=None)'
    for pair in .005:13 .01:39 .02:92; do
        echo "metrics: {accuracy: {must: not_regress, margin: ${pair%:*}}}" >p.yml
        run --separate-stderr ml-gate -q p.yml --card card.json -o gated.json
        got=$(rule accuracy.must neutral_pass_rate | awk '{ printf "%.0f", 100 * $1 }')
        [ "$got" = "${pair#*:}" ] || { echo "${pair%:*}: $got"; false; }
    done
    echo 'metrics: {accuracy: {max_drop: .005}}' >p.yml
    gate
    is accuracy.max_drop neutral_pass_rate 0.7992
    # the effective alpha's quantile replaces 1.96: the interval's unfavourable end, wherever that is
    edit 'se = 102 ** 0.5 / 1694; acc.update(se=se, low=acc["delta"] - 2.638257 * se, margin=None); cmp["alpha"] = 0.05 / 6'
    echo 'metrics: {accuracy: {must: not_regress, margin: .02}}' >p.yml
    gate
    is accuracy.must neutral_pass_rate 0.7631
    echo 'metrics: {accuracy: {must: not_regress}, log_loss: {must: improve}}' >p.yml
    gate 1
    is accuracy.must neutral_pass_rate 0.9958
    is log_loss.must neutral_pass_rate 0.0021
}

@test "comparing again at another margin gives what ml-compare gives at that margin" {
    /usr/bin/python3 - <<'PY'
import random
for seed, n, gain in ((1, 400, 0.02), (2, 400, -0.03), (3, 60, 0.0), (4, 25, 0.3), (5, 2000, 0.004)):
    r = random.Random(seed)
    cur, cand = open(f"cur{seed}.csv", "w"), open(f"cand{seed}.csv", "w")
    for f in (cur, cand):
        f.write("id,label,prediction,score\n")
    for i in range(n):
        label = int(r.random() < 0.3)
        base = r.gauss(label, 0.8)
        for f, x in ((cur, base), (cand, base + r.gauss((2 * label - 1) * gain * 3, 0.1))):
            s = min(max((x + 1.5) / 4, 0.001), 0.999)
            f.write(f"{i},{label},{int(s > 0.5)},{s:.4f}\n")
PY
    n=0
    for seed in 1 2 3 4 5; do
        ml-eval -q --score score "cand$seed.csv" -o e.json
        ml-compare -q --score score --card e.json --current "cur$seed.csv" --candidate "cand$seed.csv" -o plain.json
        for margin in 0.001 0.01 0.05 0.3 3%; do
            ml-compare -q --score score --card e.json --current "cur$seed.csv" --candidate "cand$seed.csv" -o there.json \
                --margin "accuracy=$margin" --margin "roc_auc=$margin" --margin "f1=$margin" --margin "log_loss=$margin"
            m="must: not_regress, margin: $margin"
            echo "metrics: {accuracy: {$m}, roc_auc: {$m}, f1: {$m}, log_loss: {$m}}" >p.yml
            for c in plain there; do
                ml-gate -q p.yml --card $c.json -o g.$c.json || [ $? -eq 1 ]
            done
            /usr/bin/python3 - "$seed $margin" <<'PY'
import json, sys
a, b = (json.load(open(f"g.{c}.json")) for c in ("plain", "there"))
for r, s in zip(a["gate"]["rules"], b["gate"]["rules"]):
    assert r.pop("compared_again", None) and "compared_again" not in s, (sys.argv[1], r, s)
    for key in ("rule", "observed", "passed", "margin", "shortfall", "neutral_pass_rate"):
        assert r.get(key) == s.get(key), (sys.argv[1], key, r, s)
    assert b["comparison"]["metrics"][r["metric"]]["verdict"] == r["observed"]
PY
            n=$((n + 1))
        done
    done
    [ "$n" -eq 25 ]
}

@test "a card that was compared without the policy is judged as one that was compared with it, by every metric" {
    /usr/bin/python3 - <<'PY'
import json, random, subprocess
def write(name, head, rows):
    with open(name, "w") as f:
        f.write(head + "\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
for side in "ab":
    r = random.Random(side)
    yes = [i % 9 == 0 for i in range(81)] # 9 positives: too few for an area, and for ks
    write(f"bin_{side}.csv", "id,label,prediction,score,g,s",
        [(i, int(y), int(r.random() < (.7 if y else .3)), .3 * y + .6 * r.random(), i // 3, i % 2) for i, y in enumerate(yes)])
    write(f"sets_{side}.csv", "id,label,prediction,s_a,s_b", [(i, ";".join("ab"[:i % 3]), ";".join("ab"[:r.randrange(3)]), r.random(), r.random()) for i in range(60)])
    write(f"rank_{side}.csv", "id,query,label,score", [(i, i // 4, int(i % 4 == i // 4 % 4), r.random()) for i in range(120)])
n = 0
for name, options in ("bin", "--slice s"), ("bin", "--group g"), ("bin", "--unpaired"), ("bin", "--runs bin_a.csv"), \
        ("sets", "--task multilabel --scores s_"), ("rank", "--task ranking --group query"):
    compare = ["ml-compare", "-q", "--current", name + "_a.csv", "--candidate", name + "_b.csv", "--metric", "all", *options.split()]
    subprocess.run(compare + ["-o", "without.json"], check=True, stdin=subprocess.DEVNULL)
    comparison = json.load(open("without.json"))["comparison"]
    for margin in .02, 5:
        def rules(section):
            return {k: {"must": "not_regress", "margin": margin} for k in section["metrics"]}
        policy = {"allow_unpaired": True, "metrics": rules(comparison)}
        if comparison["slices"]:
            policy["slices"] = {k: rules(v) for k, v in comparison["slices"].items()}
        json.dump(policy, open("p.yml", "w"))
        subprocess.run(compare + ["--policy", "p.yml", "-o", "with.json"], check=True, stdin=subprocess.DEVNULL)
        found = []
        for card in "without", "with":
            assert subprocess.run(["ml-gate", "-q", "p.yml", card + ".json", "-o", "g.json"]).returncode < 2
            found.append(json.load(open("g.json"))["gate"]["rules"])
        for a, b in zip(*found, strict=True):
            assert a.pop("compared_again") and a == b, (name, options, margin, a, b)
            n += 1
assert n > 200, n
PY
}

@test "a margin on numbers without rows: no test was possible, and what is missing" {
    echo '{"accuracy": 0.9}' >old.json
    ml-compare -q --current old.json --candidate old.json >card.json
    echo 'metrics: {accuracy: {must: not_regress, margin: .1}}' >p.yml
    gate 1
    is accuracy.must reason '"no test was possible: a number without rows; max_drop needs none"'
}

@test "comparing again: both models say the same on a small slice" {
    /usr/bin/python3 - <<'PY'
import random
r = random.Random(2)
cur, cand = open("cur.csv", "w"), open("cand.csv", "w")
for f in (cur, cand):
    f.write("id,label,prediction,s\n")
for i in range(200):
    y, s = r.choice("ab"), int(i % 10 == 0)
    p = y if r.random() < 0.8 else "ba"[y == "b"]
    cur.write(f"{i},{y},{p},{s}\n")
    cand.write(f"{i},{y},{p if s else y},{s}\n")
PY
    ml-compare -q --slice s --current cur.csv --candidate cand.csv -o card.json </dev/null
    echo 'slices: {s=1: {accuracy: {must: not_regress, margin: 0.02}}}' >p.yml
    gate
    is s=1.accuracy.must observed '"equivalent"'
}

@test "comparing again says how many tests were corrected together where the card does" {
    edit 'acc.update(low=0.0001, high=0.03, p=0.04, p_adjusted=0.08, changed=102, family_size=14)'
    echo 'metrics: {accuracy: {must: improve, margin: 0.0002}}' >p.yml
    gate 1
    is accuracy.must reason '"not shown to be better: inconclusive (not after correction for 14)"'
    edit 'acc.pop("family_size"); acc.update(low=0.0001, high=0.03, p=0.04, p_adjusted=0.08, changed=102)'
    gate 1
    is accuracy.must reason '"not shown to be better: inconclusive (not after correction)"'
}

@test "no current model: absolute rules gate, relative ones are not applicable" {
    edit 'c["comparison"] = {"current": None, "reason": "no current model"}'
    echo 'metrics: {accuracy: {min: 0.6, must: not_regress, max_drop: 0.01}}' >p.yml
    gate
    is accuracy.must passed null
    is accuracy.must reason '"no current model"'
    is accuracy.max_drop passed null
    echo 'metrics: {accuracy: {min: 0.7, must: not_regress}}' >p.yml
    gate 1
    is absolute passed false
    echo 'metrics: {accuracy: {must: not_regress}}' >p.yml
    gate 1
    is absolute reason '"without a current model a min or max has to let the model through, and none did"'
    echo 'current: required
metrics: {accuracy: {min: 0.6}}' >p.yml
    gate 1
    is current passed false
    is current observed '"none"'
}

@test "a card with no comparison fails relative rules, and current: required" {
    edit 'c.pop("comparison")'
    echo 'metrics: {accuracy: {min: 0.6, must: not_regress}}' >p.yml
    gate 1
    is accuracy.must reason '"the card has no comparison"'
    echo 'metrics: {accuracy: {min: 0.6}}' >p.yml
    gate
    echo '{current: required, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate 1
    # a comparison that doesn't say that there is no current model isn't one without a current model
    for c in '{}' '{"current": "production", "metrics": {}}' '{"current": false}'; do
        edit 'c["comparison"] = json.loads('"'$c'"')'
        gate 1
        echo 'metrics: {accuracy: {min: 0.6, must: not_regress}}' >p.yml
        gate 1
        is accuracy.must passed false
        echo '{current: required, metrics: {accuracy: {min: 0.6}}}' >p.yml
    done
    # nor does one in which nothing could be compared satisfy current: required
    edit 'cmp.update(paired=False, rows=None, reason="nothing was stored", metrics={}, slices={})'
    gate 1
    is current reason '"nothing was compared: nothing was stored"'
}

@test "unpaired comparisons need allow_unpaired" {
    edit 'cmp["paired"] = False'
    echo 'metrics: {accuracy: {must: not_regress}}' >p.yml
    gate 1
    [[ "$(rule accuracy.must reason)" == *"'allow_unpaired: true' would accept that"* ]]
    echo '{allow_unpaired: true, metrics: {accuracy: {must: not_regress}}}' >p.yml
    gate
}

@test "rows without a partner fail unless max_unmatched allows them" {
    edit 'cmp["unmatched"] = {"current": 2, "candidate": 15}'
    echo 'metrics: {accuracy: {min: 0.6}}' >p.yml
    gate 1
    is max_unmatched observed 17
    echo '{max_unmatched: 17, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate
    echo '{max_unmatched: 1%, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate
    is max_unmatched required 17.11
    echo '{max_unmatched: 0.5%, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate 1
}

@test "max_reuse and min_rows" {
    echo '{max_reuse: 4, min_rows: 1694, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate
    echo '{max_reuse: 3, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate 1
    is max_reuse reason '"this test set has been used 4 times, and 3 are allowed: take fresh data"'
    echo '{max_reuse: {limit: 3, level: warn}, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate
    echo '{min_rows: 1695, metrics: {accuracy: {min: 0.6}}}' >p.yml
    gate 1
    is min_rows reason '"1694 rows, and 1695 are needed"'
}

@test "direction: a contradiction between policy and card is 2" {
    echo 'metrics: {accuracy: {max_drop: 0.1}}' >p.yml
    edit 'acc["direction"] = "lower"'
    run --separate-stderr ml-gate p.yml --card card.json
    fails 2 "'accuracy' is better when higher, but the card says 'lower'"
}

@test "policy_changed and data_changed say what differs from production's" {
    echo 'metrics: {accuracy: {min: 0.6}}' >p.yml
    gate
    [ "$(ml get gate.policy_changed gated.json)" = null ]
    [ "$(ml get gate.data_changed gated.json)" = false ]
    edit 'cmp["current"].update(policy_digest="sha256:" + "0" * 64, data="sha256:" + "0" * 64)'
    gate
    [ "$(ml get gate.policy_changed gated.json)" = true ]
    [ "$(ml get gate.data_changed gated.json)" = true ]
}

# means YAML 'pattern': a policy that can't mean anything is 2, with its line
means() {
    printf '%s' "$1" >p.yml
    run --separate-stderr ml-gate p.yml --card "$TOP/tests/golden/compared.json"
    fails 2 "$2"
    [ -z "$output" ]
}

@test "a policy that can't mean anything is exit 2 and says where" {
    means $'metrics:\n  accuracy:\n    mni: 0.6\n' "p.yml: line 3: unknown key 'mni', did you mean 'min'\?"
    means $'metrics:\n  accuracy: {min: 0,6}\n' "line 2: unknown key '6'; numbers have a decimal point, not a comma"
    means $'{"schema": "mlci.card/1"}' 'p.yml: this is a model card; the policy comes first, then the card'
    means $'metric:\n  accuracy: {min: 1}\n' "line 1: unknown key 'metric', did you mean 'metrics'\?"
    means '' "an empty policy would let everything through"
    means '# only a comment' "an empty policy"
    means 'min_rows: 5' "no rule asks anything of a metric"
    means 'metrics: {}' "'metrics' must be a mapping with something in it"
    means $'metrics:\n' "line 1: 'metrics' must be a mapping"
    means '[1, 2]' "line 1: the policy must be a mapping"
    means 'metrics: {accuracy: {}}' "'accuracy' must be a mapping with something in it"
    means 'metrics: {accuracy: {level: warn}}' "'accuracy' has no rule"
    means 'metrics: {accuracy: {margin: 0.01}}' "no rule asks anything"
    means 'metrics: {accuracy: {min: high}}' "'min' must be a number"
    means 'metrics: {accuracy: {min: 60%}}' "'min' takes a number, not a percentage"
    means 'metrics: {accuracy: {min: 60}}' "'accuracy' is never above 1, so no model could pass"
    means 'metrics: {log_loss: {max: -1}}' "'log_loss' is never below 0"
    means 'metrics: {accuracy: {min: 0.8, max: 0.7}}' "has a min above its max"
    means 'metrics: {accuracy: {must: imporve}}' "unknown value of 'must' 'imporve', did you mean 'improve'\?"
    means 'metrics: {accuracy: {must: true}}' "'must' must be not_regress or improve"
    means 'metrics: {accuracy: {must: improve, margin: 0}}' "'margin' must be greater than 0"
    means 'metrics: {accuracy: {must: improve, margin: -1%}}' "'margin' must be greater than 0"
    means 'metrics: {accuracy: {max_drop: -0.1}}' "'max_drop' must not be negative"
    means 'metrics: {accuracy: {max_drop: {on: bound}}}' "'max_drop' needs a 'limit'"
    means 'metrics: {accuracy: {max_drop: {limit: 1, on: bounds}}}' "unknown value of 'on' 'bounds', did you mean 'bound'\?"
    means 'metrics: {accuracy: {min: {limit: 0.5, level: wran}}}' "did you mean 'warn'"
    means 'metrics: {accuracy: {max_drop: 1e999%}}' "'max_drop' must be a number or a percentage"
    means 'metrics: {accuracy: {must: not_regress, margin: 1e999%}}' "'margin' must be a number or a percentage"
    means 'metrics: {mcc: {max_drop: 2%}}' "'mcc' can be negative"
    means 'metrics: {r2: {must: not_regress, margin: 2%}}' "'r2' can be negative"
    means 'metrics: {profit: {must: improve}}' "say 'direction: higher' or 'direction: lower' for 'profit'"
    means 'metrics: {accuracy: {direction: lower, min: 0.1}}' "'accuracy' is better when higher"
    means 'slices: {accents: {accuracy: {min: 0.1}}}' "a slice is named 'column=value'"
    means 'current: sometimes' "unknown value of 'current'"
    means $'metrics: {accuracy: {min: 0.1}}\nmin_rows: 1.5' "line 2: 'min_rows' must be a whole number"
    means $'metrics: {accuracy: {min: 0.1}}\nmin_rows: {limit: 5, on: bound}' "unknown key 'on'"
    means $'metrics: {accuracy: {min: 0.1}}\nmax_unmatched: 200%' "between 0% and 100%"
    means $'metrics: {accuracy: {min: 0.1}}\nallow_unpaired: maybe' "must be true or false"
}

@test "a policy that isn't YAML, or too much of it, is 3 with line and column" {
    bad() {
        run --separate-stderr ml-gate p.yml --card "$TOP/tests/golden/compared.json"
        fails 3 "$1"
    }
    printf 'metrics: {accuracy: {min: 1}}\nmetrics: {}\n' >p.yml
    bad "p.yml: line 2, column 1: key 'metrics' is given twice"
    printf 'metrics: [1, 2\n' >p.yml
    bad "p.yml: line"
    printf 'metrics: \xff\n' >p.yml
    bad "p.yml: line 1, column 10: not UTF-8"
    printf 'metrics: {accuracy: {min: .nan}}\n' >p.yml
    bad "'.nan' is not a finite number"
    printf 'a: 1\n---\nb: 2\n' >p.yml
    bad "a second document"
    { echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
        for i in 1 2 3 4 5 6 7 8 9 10 11; do
            p=$((i - 1))
            echo "a$i: &a$i [*a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p]"
        done; } >p.yml
    [ -n "${ASAN_OPTIONS:-}" ] || ulimit -v 200000
    bad "aliases repeat too much"
    head -c 2000000 /dev/zero | tr '\0' ' ' >p.yml
    bad "p.yml"
    rm p.yml
    bad "p.yml"
}

@test "no card is 3: empty input, another schema, duplicate keys, a section that is no object" {
    echo 'metrics: {accuracy: {min: 0.1}}' >p.yml
    run --separate-stderr ml-gate p.yml </dev/null
    fails 3 "no card: give it on standard input or with --card FILE"
    run --separate-stderr ml-gate p.yml <<<'{"schema": "mlci.card/9"}'
    fails 3 "unknown schema"
    run --separate-stderr ml-gate p.yml <<<'{"schema": "mlci.card/1", "a": 1, "a": 2}'
    fails 3 "duplicate key"
    run --separate-stderr ml-gate p.yml <<<'{"schema": "mlci.card/1", "evaluation": 7}'
    fails 3 "'evaluation' is not an object"
    run --separate-stderr ml-gate p.yml --card nowhere.json
    fails 3 "nowhere.json"
    { printf '{"schema": "mlci.card/1", "x": '; head -c 1000000 /dev/zero | tr '\0' '['; } >deep.json
    run --separate-stderr ml-gate p.yml --card deep.json
    fails 3 "deep.json"
}

@test "sections that hold nonsense fail rules, never crash" {
    echo '{min_rows: 1, max_reuse: 1, metrics: {accuracy: {min: 0.1, must: not_regress, max_drop: 1%}}, slices: {a=b: {min_rows: 1, accuracy: {min: 0}}}}' >p.yml
    for c in '{"metrics": 1, "slices": []}' '{"metrics": {"accuracy": "high"}, "rows": "many", "slices": {"a=b": 3}}' '{}'; do
        run --separate-stderr ml-gate p.yml <<<'{"schema": "mlci.card/1", "evaluation": '"$c"', "comparison": '"$c"'}'
        [ "$status" -eq 1 ]
        run --separate-stderr ml-gate p.yml <<<'{"schema": "mlci.card/1", "evaluation": '"$c"', "comparison": {"current": {}, "reuse": 3, "metrics": {"accuracy": {"delta": 1, "verdict": 4}}}}'
        [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
    done
}

@test "long names are cut in messages, never inside a character" {
    /usr/bin/python3 -c 'print("slices: {\"x=" + "é" * 200 + "\": {accuracy: {min: 0.1, must: improve}, min_rows: 3}}")' >p.yml
    gate 1
    ml get gate.rules gated.json >/dev/null
    /usr/bin/python3 -c 'import json; c = json.load(open("gated.json", encoding="utf-8")); assert "ééé" in c["gate"]["rules"][0]["reason"]'
}

@test "JUnit: one case a rule, unique names, skipped and warned told apart" {
    edit 'c["model"]["name"] = "a<b>&\"c"; c["comparison"] = {"current": None}'
    cat >p.yml <<'Y'
metrics:
  accuracy: { min: 0.7, must: not_regress }
  f1_macro: { max: { limit: 0.5, level: warn } }
  log_loss: { max: 1.5 }
slices: { 'x=<&>"''': { accuracy: { min: 0.1 } } }
Y
    run --separate-stderr ml-gate p.yml --card card.json --junit g.xml -o gated.json
    [ "$status" -eq 1 ]
    /usr/bin/python3 - <<'PY'
import xml.etree.ElementTree as ET
s = ET.parse("g.xml").getroot()[0]
cases = {c.get("name"): c for c in s}
assert {c.get("classname") for c in s} == {'ml-gate.a<b>&"c'}
assert (s.get("tests"), s.get("failures"), s.get("skipped")) == ("5", "2", "1") and len(cases) == 5, s.attrib
assert cases["accuracy.min"].find("failure").get("message") == "0.6606 is below 0.7 by 0.039"
assert cases["accuracy.must"].find("skipped").get("message") == "not applicable: no current model"
assert cases["f1_macro.max"].find("system-out").text.startswith("warning: 0.6312 is above 0.5")
assert "x=<&>\"'.accuracy.min" in cases and cases["log_loss.max"].find("system-out").text.startswith("required <= 1.5; observed 1.21; interval 1.15 to 1.27")
PY
    run --separate-stderr ml-gate p.yml --card card.json --junit g.txt
    fails 2 "must end in .xml"
}

@test "OpenMetrics: read by prometheus_client, and by GitLab's line parser" {
    edit 'c["model"]["name"] = "it'"'"'s a \"mo#del\" \\ x"'
    echo 'metrics: {accuracy: {min: 0.7}, log_loss: {max: 1.5}}' >p.yml
    run --separate-stderr ml-gate p.yml --card card.json --openmetrics m.txt -o gated.json
    [ "$status" -eq 1 ]
    /usr/bin/python3 - <<'PY'
import re, shlex
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
text = open("m.txt").read()
fam = {f.name: f for f in parse(text)}
rule = {"ml_gate_rule_" + k for k in ("passed", "required", "observed", "low", "high")}
assert set(fam) == {"ml_metric", "ml_metric_delta", "ml_gate_passed"} | rule, set(fam)
value = lambda key, name: next(s.value for s in fam["ml_gate_rule_" + key].samples if s.labels["rule"] == name)
assert [value(k, "log_loss.max") for k in ("required", "observed", "low", "high", "passed")] == [1.5, 1.21, 1.15, 1.27, 1]
got = {(s.labels["metric"], s.labels.get("slice")): s.value for s in fam["ml_metric"].samples}
assert got[("accuracy", None)] == 0.661 and got[("accuracy", "accents=no")] == 0.655 and ("roc_auc", None) not in got, got
assert [s.value for s in fam["ml_gate_passed"].samples] == [0]
assert fam["ml_metric"].samples[0].labels["model"] == 'it\'s a "mo%23del" \\ x'
names = set()
for line in text.splitlines():  # ee/lib/gitlab/ci/parsers/metrics/generic.rb
    words = shlex.split(re.sub("#.*", "", line))
    if words:
        assert len(words) == 2 and words[0] not in names, words
        names.add(words[0])
        float(words[1])
assert len(names) == 3 + 2 + 3 + 2 + 5 * 2 + 1, len(names)
PY
}

@test "a full disk or an unwritable report leaves an error, not half a file" {
    echo 'metrics: {accuracy: {min: 0.6}}' >p.yml
    run --separate-stderr bash -c 'ml-gate -q p.yml --card "$TOP/tests/golden/compared.json" >/dev/full'
    fails 3 "standard output"
    run --separate-stderr ml-gate -q p.yml --card "$TOP/tests/golden/compared.json" --junit no/such/g.xml -o out.json
    fails 3 "no/such"
    [ ! -e out.json ]
}

@test "a policy weakened since the current model was published is told, through a real image and its card" {
    load images
    base base
    model m
    /usr/bin/python3 - <<'PY'
for name, wrong in (("one", 7), ("two", 5)):
    with open(name + ".csv", "w") as f:
        f.write("id,label,prediction\n")
        for i in range(300):
            f.write(f"{i},{'ab'[i % 2]},{'ba'[i % 2] if i % wrong == 0 else 'ab'[i % 2]}\n")
PY
    echo 'metrics: {accuracy: {min: 0.7}}' >p.yml
    ml-eval -q --model m one.csv | ml-gate -q p.yml | ml-package -q --card - --base oci:base:1 --add m:/app/model --out oci:image:1 -o packaged.json
    ml-publish push -q --card packaged.json --predictions one.csv oci:release:production -o /dev/null
    ml-eval -q two.csv | ml-compare -q --candidate two.csv --current oci:release:production -o card.json
    gate
    [ "$(ml get gate.policy_changed gated.json)" = false ]
    [ "$(ml get gate.data_changed gated.json)" = false ]
    echo 'metrics: {accuracy: {min: 0.1}}' >p.yml
    gate
    [ "$(ml get gate.policy_changed gated.json)" = true ]
    [[ "$(ml-comment -q --card gated.json | head -n 1)" == *"⚠️ **The policy was changed**"* ]]
}

@test "--check reads the policy only" {
    printf 'metrics:\n  accuracy: { min: 0.6 }\nslices:\n  a=b: { f1_macro: { max_drop: 0.1 } }\n' >p.yml
    run --separate-stderr ml-gate --check p.yml </dev/null
    [ "$status" -eq 0 ]
    /usr/bin/python3 -c 'import json, sys
c = json.loads(sys.argv[1])
assert c["metrics"] == ["accuracy", "a=b.f1_macro"] and c["policy_digest"] == "sha256:" + sys.argv[2], c' "$output" "$(sha256sum p.yml | cut -d' ' -f1)"
    [[ "$stderr" != *warning* ]]
    # a name that may be mistyped is no fault: another tool may have measured it
    printf 'metrics:\n  acuracy:\n    min: 0.6\n  profit: { min: 2, direction: higher }\n  pinball@0.9: { max: 1 }\n' >p.yml
    run --separate-stderr ml-gate --check p.yml
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"warning: p.yml: line 3: ml-eval has no metric 'acuracy', it is called 'accuracy' there"* && "$stderr" != *profit* && "$stderr" != *pinball* ]]
    printf 'metrics:\n  auc: { min: 0.6 }\n' >p.yml
    run --separate-stderr ml-gate -q --check p.yml
    [ "$stderr" = "ml-gate: warning: p.yml: line 2: ml-eval has no metric 'auc', it is called 'roc_auc' there; where a card gets it from elsewhere, say its 'direction'" ]
    # nor is a margin beside limits, which is of no use to them; by itself it is for ml-compare
    printf 'metrics:\n  accuracy: { min: 0.6, margin: 0.01 }\n  f1: { margin: 0.01 }\n  mcc: { min: 0, must: not_regress, margin: 0.01 }\n' >p.yml
    run --separate-stderr ml-gate -q --check p.yml
    [ "$status" -eq 0 ]
    [ "$stderr" = "ml-gate: warning: p.yml: line 2: the margin of 'accuracy' decides nothing here without 'must': it says what ml-compare calls equivalent" ]
    # nor is a limit on the good side, which most likely is meant for the other
    printf 'metrics:\n  mae: { min: 3 }\n  rmse: { min: 0.1, max: 3 }\nslices:\n  a=b:\n    accuracy:\n      max: 0.9\n' >p.yml
    run --separate-stderr ml-gate -q --check p.yml
    [ "$status" -eq 0 ]
    [ "$stderr" = "ml-gate: warning: p.yml: line 2: 'mae' is better when lower, so that 'min' fails the best; is 'max' meant?
ml-gate: warning: p.yml: line 7: 'accuracy' is better when higher, so that 'max' fails the best; is 'min' meant?" ]
    printf 'metrics:\n  accuracy: { min: 6 }\n' >p.yml
    run -2 ml-gate --check p.yml
    [[ "$output" == *"p.yml: line 2"* ]]
    printf 'metrics:\n  accuracy: { min: 0.6, waiver: { until: 2026-03-04, reason: soon } }\n' >p.yml
    run -0 --separate-stderr ml-gate -q --check --date 2026-03-04 p.yml
    [ -z "$stderr" ]
    run -0 --separate-stderr ml-gate -q --check --date 2026-03-05 p.yml
    [ "$stderr" = "ml-gate: warning: p.yml: the waiver until 2026-03-04 (soon) has ended" ]
    # everything that can be told, each with its line; a job that only judges says the first
    cat >p.yml <<'Y'
metrics:
  accuracy:
    min: { limit: "50%", on: bonud }
    levle: warn
    waiver: { until: 2026-02-30 }
  profit: { must: { when: { branch: [] } } }
slices:
  accents: { accuracy: { min: 0.5 } }
card:
  image.size: { max: 500Mb }
  run.duration: { missing: no }
min_rows: 1.5
Y
    run --separate-stderr ml-gate --check p.yml
    [ "$status" -eq 2 ] && [ -z "$output" ]
    cat >want <<'Y'
line 3: 'min' takes a number, not a percentage
line 3: unknown value of 'on' 'bonud', did you mean 'bound'?
line 4: unknown key 'levle', did you mean 'level'?
line 5: 'until' must be a day such as 2026-12-31
line 5: 'waiver' needs 'until', its last day, and a 'reason'
line 6: 'branch' must be a name or glob, or a list of 1 to 100 of them
line 6: 'must' needs a 'be': not_regress or improve
line 8: a slice is named 'column=value' (several joined by ','), not 'accents'
line 10: 'max' must be a number or one with a unit, such as 500M, 50ms or 1h
line 11: 'run.duration' has no rule: give it min, max, max_increase or max_decrease
line 11: unknown value of 'missing' 'no'
line 12: 'min_rows' must be a whole number from 1 up
Y
    sed -n 's/^ml-gate: p.yml: \(line .*\)/\1/p' <<<"$stderr" >got
    sort -s -c -k2,2n <(tr -d : <got) # in the order of the lines
    diff <(sort want) <(sort got)
    [[ "$stderr" == *"ml-gate: p.yml: 12 faults" ]]
    run --separate-stderr ml-gate p.yml --card "$TOP/tests/golden/compared.json"
    fails 2 "p.yml: line 12: .* \(and 11 more: 'ml-gate --check' tells them\)"
    # what is doubtful is told beside faults, of which one is told by itself
    printf 'metrics:\n  acuracy: { min: 0.6 }\n  mae: { min: 3 }\n  f1: { min: 6 }\n  f2: { mx: 1 }\n  f3: { min: 1, must: improve }\n' >p.yml
    run --separate-stderr ml-gate --check p.yml
    [ "$status" -eq 2 ] && [ -z "$output" ]
    diff - <(echo "$stderr") <<'Y'
ml-gate: p.yml: line 4: 'f1' is never above 1, so no model could pass
ml-gate: p.yml: line 5: unknown key 'mx', did you mean 'max'?
ml-gate: p.yml: line 5: 'f2' has no rule: give it min, max, max_drop, must or margin
ml-gate: p.yml: line 6: say 'direction: higher' or 'direction: lower' for 'f3', which isn't a metric known here
ml-gate: warning: p.yml: line 2: ml-eval has no metric 'acuracy', it is called 'accuracy' there; where a card gets it from elsewhere, say its 'direction'
ml-gate: warning: p.yml: line 3: 'mae' is better when lower, so that 'min' fails the best; is 'max' meant?
ml-gate: p.yml: 4 faults
Y
    printf 'min_rows: 1.5\nmetrics:\n  auc: { min: 0.6, waiver: { until: 2026-03-04, reason: soon } }\n' >p.yml
    run --separate-stderr ml-gate --check --date 2026-03-05 p.yml
    [ "$status" -eq 2 ]
    diff - <(echo "$stderr") <<'Y'
ml-gate: warning: p.yml: line 3: ml-eval has no metric 'auc', it is called 'roc_auc' there; where a card gets it from elsewhere, say its 'direction'
ml-gate: warning: p.yml: the waiver until 2026-03-04 (soon) has ended
ml-gate: p.yml: line 1: 'min_rows' must be a whole number from 1 up
Y
    printf 'metrics:\n  bar: { direction: up, max: 3 }\n' >p.yml
    run --separate-stderr ml-gate --check p.yml
    [ "$status" -eq 2 ]
    [ "$stderr" = "ml-gate: p.yml: line 2: unknown direction 'up'" ]
    printf 'metrics:\n  accuracy: { min: 6 }\n' >p.yml
    run -2 ml-gate --check --power p.yml
    run -2 ml-gate --check --junit a.xml p.yml
}

@test "--power: what verdicts on such rows are worth" {
    # se .006 on 1694 rows: the rates are those of the normal distribution, of neutral changes with the card's intervals
    cat >p.yml <<'Y'
metrics:
  accuracy: { min: 0.60, must: not_regress, margin: 0.01, max_drop: .005 }
  f1_macro: { must: improve, margin: 0.02 }
  log_loss: { max_drop: { limit: 2%, on: bound } }
Y
    ml-gate -q --power p.yml --card "$TOP/tests/golden/compared.json" >power.json
    /usr/bin/python3 - <<'PY'
import json
from statistics import NormalDist
N, z = NormalDist(), NormalDist().inv_cdf(.975)
p = json.load(open("power.json"))
rules = {r["rule"]: r for r in p["rules"]}
assert list(rules) == ["accuracy.min", "accuracy.must", "accuracy.max_drop", "f1_macro.must", "log_loss.max_drop"], rules
def near(rule, key, want):
    assert abs(rules[rule][key] - want) <= 5e-5 + 1e-9, (rule, key, rules[rule][key], want)
# a limit: of models that are truly as good as the current one
near("accuracy.min", "neutral_fail_rate", N.cdf((.6 - .637) / .0115))
r = rules["accuracy.min"]
assert r["missed_drop_rate"] is None and abs(N.cdf(.037 / .0115 * (r["rows_needed"] / r["rows"]) ** .5) - .9) < 1e-3, r
near("accuracy.must", "neutral_fail_rate", 1 - N.cdf((.01 - (.0236 - .0122)) / .006))
near("accuracy.must", "missed_drop_rate", .025)
near("accuracy.max_drop", "neutral_fail_rate", 1 - N.cdf(.005 / .006))
near("accuracy.max_drop", "missed_drop_rate", .5)
f1 = rules["f1_macro.must"]
corrected = N.inv_cdf(1 - .025 / 2)
near("f1_macro.must", "neutral_fail_rate", 1 - .025 / 2)
near("f1_macro.must", "missed_drop_rate", N.cdf(-z - .02 / f1["se"]))
near("f1_macro.must", "missed_gain_rate", N.cdf(corrected - .02 / f1["se"]))
se = f1["se"] * (f1["rows"] / f1["rows_needed"]) ** .5
assert abs(N.cdf(.02 / se - corrected) - .8) < 1e-3, f1
log = rules["log_loss.max_drop"]
near("log_loss.max_drop", "missed_drop_rate", .025)
near("log_loss.max_drop", "neutral_fail_rate", 1 - N.cdf((log["drop"] - (.001 + .03)) / log["se"]))
# with the rows that it names, one harmless change in ten fails
for name, quantile in (("accuracy.must", z), ("accuracy.max_drop", 0), ("log_loss.max_drop", z)):
    r = rules[name]
    se = r["se"] * (r["rows"] / r["rows_needed"]) ** .5
    assert abs(N.cdf(r["drop"] / se - quantile) - .9) < 1e-3, (name, r)
PY
    # no current model, no comparison: it says why there is nothing to tell
    edit 'c["comparison"] = {"schema": "x", "current": None, "reason": "no current model"}'
    run --separate-stderr ml-gate --power p.yml --card card.json
    [ "$status" -eq 0 ]
    /usr/bin/python3 -c 'import json, sys
r = json.loads(sys.argv[1])["rules"][1]
assert r["neutral_fail_rate"] is None and r["reason"] == "no current model", r' "$output"
    # nor is a limit held against a bound of a candidate that is as good as its bound
    /usr/bin/python3 -c '
import json
json.dump({"schema": "mlci.card/1", "evaluation": {"task": "binary", "rows": 2000, "metrics": {"accuracy":
    {"value": 0.766, "low": 0.7469, "high": 0.784, "se": 0.00947, "n": 2000, "direction": "higher"}}}}, open("card.json", "w"))'
    echo 'metrics: {accuracy: {min: {limit: 0.74, on: bound}}}' >q.yml
    ml-gate -q --power q.yml card.json >number.json
    /usr/bin/python3 -c '
import json
from statistics import NormalDist as N
r = json.load(open("number.json"))["rules"][0]
assert abs(r["neutral_fail_rate"] - N().cdf((.766 - .7469 - .026) / .00947)) < 6e-5, r
# an end by Wilson is at .74 or above where so many of 2000 are right
assert abs(r["neutral_fail_rate"] - N().cdf((.74 + 1.96 * (.74 * .26 / 2000) ** .5 - .766) / .00947)) < .006, r'
    # no margin: no drop or gain to be missed
    printf 'metrics:\n  f1_macro: { must: improve }\n' >q.yml
    run --separate-stderr ml-gate --power q.yml --card "$TOP/tests/golden/compared.json"
    [[ "$output" == *'"reason": "no margin says how large a drop or a gain is meant"'* ]]
    [[ "$stderr" == *"f1_macro.must "*" no margin says how large a drop or a gain is meant"* ]]
    # a number of the card that has an interval is a matter of chance, too; a difference of 0 changes nothing
    edit 'c["evaluation"]["metrics"]["accuracy"]["n"] = c["comparison"]["metrics"]["accuracy"]["n"] = 1694'
    printf 'card: { comparison.metrics.accuracy.delta: { min: -0.01 }, evaluation.metrics.accuracy.value: { min: 0.65 } }\n' >q.yml
    ml-gate -q --power q.yml card.json >number.json
    /usr/bin/python3 - <<'PY'
import json
from statistics import NormalDist
delta, value = json.load(open("number.json"))["rules"]
assert delta["rows"] == value["rows"] == 1694
assert abs(delta["neutral_fail_rate"] - NormalDist().cdf(-.01 / .006)) < 6e-5, delta
assert abs(value["neutral_fail_rate"] - NormalDist().cdf((.65 - .6606) / .0115)) < 6e-5, value
PY
    # the card as an operand, as everywhere
    ml-gate -q --power p.yml "$TOP/tests/golden/compared.json" | cmp - power.json
    run --separate-stderr ml-gate --power p.yml card.json --card card.json
    fails 2 "exclude each other"
    run --separate-stderr ml-gate --check p.yml card.json
    fails 2 "reads no card"
}

@test "too few rows, groups or rows of a class for a verdict: no neutral change passes what needs one" {
    local what
    printf 'metrics:\n  accuracy: { must: not_regress, margin: .5, max_drop: .5 }\n  f1: { must: improve, margin: .9 }\n  recall: { must: not_regress }\n  roc_auc: { must: not_regress, margin: .5 }\n' >p.yml
    for what in 25 100 groups class; do
        /usr/bin/python3 - $what <<'PY'
import random, sys
what, r = sys.argv[1], random.Random(5)
n = 25 if what == "25" else 100
for f in "ab":
    with open(f + ".csv", "w") as out:
        out.write("id,label,score,g\n")
        for i in range(n):
            y = i < 8 if what == "class" else i % 2
            out.write(f"{i},{int(y)},{min(max(.5 + .25 * (2 * y - 1) + r.gauss(0, .25), 0), 1):.3f},{i % 8}\n")
PY
        [ $what != groups ] || set -- --group g
        ml-compare -q "$@" --current a.csv --candidate b.csv --policy p.yml >card.json
        set --
        run ml-gate -q p.yml card.json
        printf '%s\n' "$output" >gated.json
        ml-gate -q --power p.yml card.json >power.json
        /usr/bin/python3 - $what <<'PY'
import json, sys
what = sys.argv[1]
passes = {r["rule"]: r.get("neutral_pass_rate") for r in json.load(open("gated.json"))["gate"]["rules"]}
power = {r["rule"]: r for r in json.load(open("power.json"))["rules"]}
few = {"25": 30, "groups": 125}
if what == "class":
    assert passes["accuracy.must"] > .9 and power["accuracy.must"]["rows_needed"] == 30, (passes, power["accuracy.must"])
    assert passes["roc_auc.must"] == 0 and power["roc_auc.must"]["rows_needed"] == 10, (passes, power["roc_auc.must"])
elif what == "100":
    assert passes["accuracy.must"] > .9 and passes["roc_auc.must"] > .9, passes
    assert power["accuracy.must"]["rows_needed"] == 30, power["accuracy.must"]
else:
    assert passes["accuracy.must"] == passes["f1.must"] == passes["roc_auc.must"] == 0 and passes["recall.must"] == 1, passes
    assert passes["accuracy.max_drop"] > .9, passes
    r = power["accuracy.must"]
    assert r["neutral_fail_rate"] == 1 and r["missed_drop_rate"] == 0 and r["rows_needed"] == few[what], r
    r = power["f1.must"]
    assert r["neutral_fail_rate"] == r["missed_gain_rate"] == 1, r
    assert power["accuracy.max_drop"]["rows_needed"] < 30, power["accuracy.max_drop"]
PY
    done
}

@test "--power: the gains that must: improve misses, where other metrics are corrected with it" {
    /usr/bin/python3 - <<'PY'
import json, subprocess
import numpy as np
rng, draws, n, gain = np.random.default_rng(8), 60, 900, .0269
open("p.yml", "w").write("metrics:\n  roc_auc: { must: improve, margin: %g }\n" % gain + "".join(
    f"  {m}: {{ max_drop: 0.05 }}\n" for m in "accuracy precision recall f1 balanced_accuracy mcc log_loss".split()))
missed, said = 0, []
for draw in range(draws):
    y = rng.random(n) < .4
    z = 1.5 * (y - .4) + rng.normal(size=n)
    for name, noise in ("a", .6), ("b", .3): # their areas are .0269 apart
        score = 1 / (1 + np.exp(-z - noise * rng.normal(size=n)))
        np.savetxt(name + ".csv", np.c_[y, score], "%d,%.5f", header="label,score", comments="")
    subprocess.run("ml-compare -q --policy p.yml --current a.csv --candidate b.csv -o c.json </dev/null", shell=True, check=True)
    missed += json.load(open("c.json"))["comparison"]["metrics"]["roc_auc"]["verdict"] != "better"
    if draw % 6 == 0:
        rules = json.loads(subprocess.run("ml-gate -q --power p.yml c.json", shell=True, check=True, capture_output=True).stdout)["rules"]
        said.append(next(r for r in rules if r["rule"] == "roc_auc.must")["missed_gain_rate"])
print(missed / draws, np.mean(said))
assert missed / draws < np.mean(said) + .1 and np.mean(said) > .3, (missed / draws, said) # as if it were alone: .15
PY
    run -0 --separate-stderr ml-gate --power p.yml c.json
    [[ "$stderr" == *"misses a gain as large in at most "* ]]
}

@test "--power: more rows don't tell what other seeds would, and few runs less than they seem to" {
    cat >want.py <<'PY'
import json, sys
from math import inf
import numpy as np
from scipy import stats
doc = json.load(open("power.json"))
rules = {r["rule"]: r for r in doc["rules"]}
m = json.load(open("card.json"))["comparison"]["metrics"]["accuracy"]
runs = m["runs"]
def at(rows, n):
    a, b = runs["se_rows"] ** 2 * m["n"] / rows, runs["se_candidate"] ** 2 * len(runs["candidate"]) / n
    return (a + b) ** .5, (a + b) ** 2 / (a * a / (rows - 1) + b * b / (n - 1))
def passes(rows, n, margin, drop, bound=True):
    se, df = at(rows, n)
    return stats.nct.sf(stats.t.ppf(.975, df), df, (margin - drop) / se) if bound else stats.norm.cdf((margin - drop) / se)
n = len(runs["candidate"])
must, drop = rules["accuracy.must"], rules["accuracy.max_drop"]
assert abs(1 - must["neutral_fail_rate"] - passes(m["n"], n, must["drop"], 0)) < 6e-5, must
assert abs(must["missed_drop_rate"] - .025) < 6e-5
assert abs(stats.nct.sf(stats.t.ppf(1 - .025 / m["family_size"], runs["df"]), runs["df"], m["detectable"] / m["se"]) - .8) < 1e-6, m
for r, bound in (must, True), (drop, False):
    if sys.argv[1] == "runs":
        k = r["runs_needed"]
        assert r["rows_needed"] is None and passes(m["n"], k, r["drop"], 0, bound) >= .9 > passes(m["n"], k - 1, r["drop"], 0, bound), r
        assert passes(1e15, n, r["drop"], 0, bound) < .9 and "of the variance is between runs; %d runs of the candidate would" % k in r["reason"], r
    else:
        k = r["rows_needed"]
        assert "runs_needed" not in r and passes(k, n, r["drop"], 0, bound) >= .9, r
        # under 30 rows there is no verdict, which `must` needs
        assert (k == 30 and r is must) or .9 > passes(k - 1, n, r["drop"], 0, bound), r
PY
    /usr/bin/python3 - <<'PY'
n = 4000
for name, share in ("cur", .8), ("a", .78), ("b", .8), ("c", .82):
    with open(name + ".csv", "w") as f:
        f.write("id,label,prediction\n")
        f.writelines(f"{i},{i % 2},{i % 2 ^ (i * 7919 % n >= share * n)}\n" for i in range(n))
PY
    ml-compare -q --current cur.csv --candidate a.csv --runs b.csv --runs c.csv -o card.json </dev/null
    echo 'metrics: {accuracy: {must: not_regress, margin: .015, max_drop: .01}}' >p.yml
    run -0 --separate-stderr ml-gate --power p.yml card.json -o power.json
    [[ "$stderr" == *"no number of rows would do: 9"* ]]
    /usr/bin/python3 want.py runs
    # where the margin is wide enough for what the seeds do, rows are what is missing
    echo 'metrics: {accuracy: {must: not_regress, margin: .08, max_drop: .02}}' >p.yml
    ml-gate -q --power p.yml card.json -o power.json
    /usr/bin/python3 want.py rows
    # two runs: one degree of freedom; groups have few, too
    ml-compare -q --current cur.csv --candidate a.csv --runs c.csv -o card.json </dev/null
    /usr/bin/python3 -c 'import json
from scipy import stats
m = json.load(open("card.json"))["comparison"]["metrics"]["accuracy"]
assert abs(stats.nct.sf(stats.t.ppf(1 - .025 / m["family_size"], 1), 1, m["detectable"] / m["se"]) - .8) < 1e-3, m'
    # no margin is wide enough: neither would do
    echo 'metrics: {accuracy: {must: not_regress, margin: 1e-9}}' >p.yml
    ml-gate -q --power p.yml card.json | grep -qF '"reason": "neither more rows nor more runs alone would do: '
}

@test "--power: a bound reaches as far as the card's confidence, groups and slices say" {
    /usr/bin/python3 - <<'PY'
import random
r = random.Random(3)
with open("a.csv", "w") as f:
    f.write("id,label,prediction,who,part\n")
    for i in range(600):
        y = r.gauss(0, 1)
        f.write(f"{i},{y:.4f},{y + r.gauss(0, .6) + .2 * (i % 12 - 5.5) / 5.5:.4f},{i % 12},{'xy'[i % 3 > 0]}\n")
PY
    ml-eval -q --task regression --group who --confidence 0.8 --slice part a.csv >card.json
    /usr/bin/python3 -c '
import json
m = json.load(open("card.json"))["evaluation"]["metrics"]["mae"]
print("metrics: {mae: {max: {limit: %r, on: bound}}}\nslices: {part=y: {mae: {max: {limit: %r, on: bound}}}}" % (
    (m["value"] + 1.2 * m["se"],) * 2))' >p.yml
    ml-gate -q --power p.yml card.json >power.json
    /usr/bin/python3 - <<'PY'
import json
from scipy import stats
e, rules = json.load(open("card.json"))["evaluation"], json.load(open("power.json"))["rules"]
for r, of, few in zip(rules, (e, e["slices"]["part=y"]), (12, 8)):
    m = of["metrics"]["mae"]
    assert of["groups"] == few, of
    reach, room = (m["high"] - m["value"]) / m["se"], r["required"] - m["value"]
    assert abs(reach / stats.t.ppf(.9, few - 1) - 1) < .1, reach # not 1.28
    def passes(rows):
        df = few * rows / m["n"] - 1
        return stats.nct.sf(reach * stats.t.ppf(.9, df) / stats.t.ppf(.9, few - 1), df, room / m["se"] * (rows / m["n"]) ** .5)
    assert abs(1 - r["neutral_fail_rate"] - passes(m["n"])) < 6e-5, (r, passes(m["n"]))
    assert passes(r["rows_needed"]) >= .9 > passes(r["rows_needed"] - 1), r
PY
}

@test "several runs: limits are on the candidate's mean, and on the interval of that" {
    /usr/bin/python3 - <<'PY'
n = 4000
for name, share in ("cur", .8), ("a", .78), ("b", .8), ("c", .82):
    with open(name + ".csv", "w") as f:
        f.write("id,label,prediction,part\n")
        f.writelines(f"{i},{i % 2},{i % 2 ^ (i * 7919 % n >= share * n)},{'xy'[i % 3 > 1]}\n" for i in range(n))
PY
    ml-eval -q --slice part a.csv >eval.json
    ml-compare -q --card eval.json --current cur.csv --candidate a.csv --runs b.csv --runs c.csv --slice part -o card.json
    printf 'metrics: { accuracy: { min: 0.79 } }\nslices: { part=x: { accuracy: { min: 0.79 } } }\n' >p.yml
    ml-gate -q p.yml card.json >gated.json
    is accuracy.min observed 0.8
    is accuracy.min runs 3
    is accuracy.min rows 4000
    is part=x.accuracy.min runs 3
    /usr/bin/python3 - <<'PY'
import json
from math import isclose, sqrt
from scipy import stats
card = json.load(open("gated.json"))
mean, rule = card["comparison"]["metrics"]["accuracy"]["runs"]["mean"], card["gate"]["rules"][0]
far = stats.t.ppf(.975, 2) * .02 / sqrt(3)
assert mean["value"] - mean["low"] > far and mean["high"] - mean["value"] > far and isclose(mean["value"], .8)
assert all(rule[k] == mean[k] for k in ("low", "high", "se")), rule
PY
    # the low end is that of the mean, which knows of other seeds
    echo 'metrics: { accuracy: { min: { limit: 0.75, on: bound } } }' >p.yml
    run --separate-stderr ml-gate p.yml card.json
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"over 3 runs the low end 0.74"*" is below 0.75 by "* ]]
    # what that can tell: rows take nothing from what varies between runs, and three tell of it with the t of 2
    for limit in 0.75 0.74 0.72; do
        echo "metrics: { accuracy: { min: { limit: $limit, on: bound } } }" >q.yml
        ml-gate -q --power q.yml card.json >power.json
        /usr/bin/python3 - $limit <<'PY'
import json, sys
from math import hypot, sqrt
from scipy import integrate, stats
r = json.load(open("power.json"))["rules"][0]
runs = json.load(open("card.json"))["comparison"]["metrics"]["accuracy"]["runs"]
room, se = .8 - float(sys.argv[1]), runs["mean"]["se"]
def passes(rows, n):
    between = .02 / sqrt(n)
    within = sqrt((se ** 2 - .02 ** 2 / 3) * 4000 / rows)
    def at(x): # x: the variance that n runs show, of that which is true
        way = hypot(stats.norm.ppf(.975) * within, stats.t.ppf(.975, n - 1) * between * sqrt(x / (n - 1)))
        return stats.chi2.pdf(x, n - 1) * stats.norm.cdf((room - way) / hypot(within, between))
    return integrate.quad(at, 0, n + 12 * sqrt(2 * n) + 30, limit=200, points=[n / 2, n, 2 * n])[0]
assert abs(1 - r["neutral_fail_rate"] - passes(4000, 3)) < 1e-4, (r, passes(4000, 3))
if room > .07:
    k = r["rows_needed"]
    assert "runs_needed" not in r and passes(k, 3) >= .9 > passes(k - 1, 3), r
else:
    k = r["runs_needed"]
    assert r["rows_needed"] is None and passes(1e15, 3) < .9 and passes(4000, k) >= .9 > passes(4000, k - 1), r
    assert "%d runs of the candidate would" % k in r["reason"], r
PY
    done
    # looks are at the difference: the mean's interval is what it was
    ml-compare -q --card eval.json --current cur.csv --candidate a.csv --runs b.csv --runs c.csv --slice part --look 3 -o look.json
    ml-gate -q --power q.yml look.json | grep -v '"alpha"\|digest' >look
    grep -v '"alpha"\|digest' power.json | cmp - look
    # a limit on the mean itself
    echo "metrics: { accuracy: { min: 0.787 } }" >q.yml
    ml-gate -q --power q.yml card.json >power.json
    /usr/bin/python3 - <<'PY'
import json
from math import sqrt
from statistics import NormalDist
r, passes = json.load(open("power.json"))["rules"][0], NormalDist().cdf
se = json.load(open("card.json"))["comparison"]["metrics"]["accuracy"]["runs"]["mean"]["se"]
rows = se ** 2 - .02 ** 2 / 3
assert r["rows_needed"] is None and passes(.013 / sqrt(.02 ** 2 / r["runs_needed"] + rows)) >= .9, r
assert passes(.013 / sqrt(.02 ** 2 / (r["runs_needed"] - 1) + rows)) < .9, r
PY
    # the current model's runs change nothing about what the candidate's only one was measured to be
    ml-compare -q --card eval.json --current cur.csv --current-runs c.csv --candidate a.csv -o card.json
    ml-gate -q p.yml card.json >gated.json
    is accuracy.min runs '"absent"'
    # the current model has no scores: nothing is compared, and the limit is on the mean all the same
    for f in a b c; do awk -F, -v OFS=, 'NR == 1 { print $0, "score" } NR > 1 { print $0, $3 * .8 + .1 }' $f.csv >s$f.csv; done
    ml-compare -q --metric accuracy --metric roc_auc --current cur.csv --candidate sa.csv --runs sb.csv --runs sc.csv -o card.json </dev/null
    echo 'metrics: { roc_auc: { min: 0.79 } }' >p.yml
    ml-gate -q p.yml card.json >gated.json
    is roc_auc.min runs 3
    is roc_auc.min observed 0.8
    # as it is where there is no current model
    printf 'metrics: { accuracy: { min: 0.79, must: not_regress } }\nslices: { part=x: { accuracy: { min: { limit: 0.7, on: bound } } } }\n' >p.yml
    ml-compare -q --card eval.json --current cur.csv --candidate a.csv --runs b.csv --runs c.csv --slice part -o card.json
    ml-gate -q p.yml card.json >gated.json
    run --separate-stderr ml-compare --card eval.json --current oci:store:none --candidate a.csv --runs b.csv --runs c.csv --slice part -o alone.json
    [[ "$stderr" == *"means over 3 runs of the candidate:"*"accuracy "*" 0.80"* ]]
    ml-gate -q p.yml alone.json >alone-gated.json
    /usr/bin/python3 - <<'PY'
import json
compared, alone = (json.load(open(f)) for f in ("gated.json", "alone-gated.json"))
for a, b in zip(compared["gate"]["rules"], alone["gate"]["rules"]):
    assert a["rule"] == b["rule"]
    assert a == b if "min" in a["rule"] else b["verdict"] == "not applicable", (a, b)
assert alone["comparison"]["current"] is None and alone["comparison"]["metrics"]["accuracy"]["candidate"] == .8
PY
    ml-comment -q --card alone-gated.json -o alone.md
    grep -q "those of the first of 3 runs with different seeds; limits are held against the mean" alone.md
    run --separate-stderr ml-compare --card eval.json --current oci:store:none --runs b.csv
    fails 2 "compared row by row only, from predictions"
}

@test "a rule says what it rests on" {
    printf 'metrics:\n  accuracy: { min: 0.6, max_drop: 0.01 }\n' >p.yml
    gate 0
    is accuracy.min low 0.6377
    # what was observed is a drop, and lies inside
    is accuracy.max_drop observed -0.0236
    is accuracy.max_drop low -0.0358
    is accuracy.max_drop high -0.0122
    is accuracy.max_drop se 0.006
    is accuracy.max_drop rows 1694
}

@test "numbers of the card: limits with units, at any path; a missing one fails unless it may be missing" {
    cat >p.yml <<'Y'
metrics: { accuracy: { min: 0.6 } }
card:
  smoke.latency.p99: { max: 50ms }
  image.size: { min: 1k, max: { limit: 500M, level: warn } }
  run.duration: { max: 1.5h }
  image.layers.1.size: { max: 1Ki }
  /evaluation/metrics/f1_macro/value: { min: 0.6 }
Y
    edit 'c["smoke"] = {"latency": {"p99": 0.05}}; c["image"] = {"size": 600000000, "layers": [{}, {"size": 1024}]}; c["run"]["duration"] = 5400'
    gate
    is smoke.latency.p99.max passed true
    is smoke.latency.p99.max required 0.05
    is smoke.latency.p99.max number '"smoke.latency.p99"'
    is smoke.latency.p99.max neutral_pass_rate null
    is image.size.min verdict '"passed"'
    is image.size.max verdict '"warned"'
    # in the unit that the policy uses, also where people read it; as numbers in the card's own
    is image.size.max reason '"600M is above 500M by 100M"'
    is image.size.max observed 600000000
    is image.size.max required 500000000
    is image.size.max unit '"M"'
    is /evaluation/metrics/f1_macro/value.min unit '"absent"'
    ml-gate -q p.yml card.json --junit j.xml -o gated.json
    env -u CI_MERGE_REQUEST_IID ml-comment -q gated.json >c.md
    grep -qF '| `image.size.max` | ≤ 500M | 600M |' c.md
    grep -qF '| `run.duration.max` | ≤ 1.5h | 1.5h |' c.md
    grep -qF '| `smoke.latency.p99.max` | ≤ 50ms | 50ms |' c.md
    grep -qF '| `image.layers.1.size.max` | ≤ 1Ki | 1Ki |' c.md
    grep -qF '| `image.size.min` | ≥ 1k | 600000k |' c.md
    grep -qF 'required &lt;= 500M; observed 600M' j.xml
    is run.duration.max required 5400
    is image.layers.1.size.max required 1024
    is /evaluation/metrics/f1_macro/value.min low 0.6041
    edit ''
    gate 1
    is smoke.latency.p99.max reason "\"the card has no number 'smoke.latency.p99'\""
    is run.duration.max verdict '"failed"'
    # null is a number that doesn't exist; a text is none
    printf 'metrics: {accuracy: {min: 0.6}}\ncard:\n  evaluation.metrics.roc_auc.value: {min: 0, missing: ignore}\n  model.name: {max: 1, missing: ignore}\n' >p.yml
    gate 1
    is evaluation.metrics.roc_auc.value.min verdict '"not applicable"'
    is model.name.max reason "\"'model.name' of the card is no number\""
    # a policy about numbers alone may let a first model through, one about metrics needs a metric's limit
    edit 'c["comparison"] = {"current": None}; c["smoke"] = {"passed": 3}'
    echo 'card: {smoke.passed: {min: 3}}' >p.yml
    gate
    printf 'metrics: {accuracy: {must: improve}}\ncard: {smoke.passed: {min: 3}}\n' >p.yml
    gate 1
    is absolute verdict '"failed"'
}

@test "when: by branch and environment, globs, from options or GitLab's variables" {
    cat >p.yml <<'Y'
metrics:
  accuracy:
    min: 0.6
    max: { limit: 0.65, when: { branch: [main, "release/*"], environment: prod* } }
  f1_macro: { must: improve, when: { environment: staging } }
Y
    unset CI_COMMIT_BRANCH CI_MERGE_REQUEST_TARGET_BRANCH_NAME CI_ENVIRONMENT_NAME
    gate
    is accuracy.max verdict '"not applicable"'
    is accuracy.max reason '"not applicable here: no branch is known, and it is for main, release/*"'
    is accuracy.max required 0.65
    is f1_macro.must passed null
    export CI_COMMIT_BRANCH=release/1/x
    gate
    is accuracy.max reason '"not applicable here: no environment is known, and it is for prod*"'
    export CI_ENVIRONMENT_NAME=production
    gate 1
    is accuracy.max verdict '"failed"'
    is f1_macro.must reason "\"not applicable here: the environment is 'production', not staging\""
    # a merge request is judged as what it goes to
    CI_MERGE_REQUEST_TARGET_BRANCH_NAME=feature gate
    CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main gate 1
    run --separate-stderr ml-gate -q p.yml --card card.json --branch other -o gated.json
    [ "$status" -eq 0 ]
    run --separate-stderr ml-gate -q p.yml --card card.json --environment staging -o gated.json
    [ "$status" -eq 1 ]
    is f1_macro.must verdict '"failed"'
    # rules that all are for somewhere else let nothing through
    echo 'metrics: {accuracy: {min: 0.6, when: {branch: main}}}' >p.yml
    gate 1
    is applicable reason '"no rule about the model applies here, so every model would pass"'
    CI_COMMIT_BRANCH=main gate
}

@test "a waived rule doesn't fail the gate until the end of its day, and says why" {
    cat >p.yml <<'Y'
metrics:
  accuracy:
    min: { limit: 0.7, waiver: { until: 2026-12-31, reason: "new labels, see the plan" } }
    max: 0.8
Y
    edit ''
    judge() {
        run --separate-stderr ml-gate p.yml --card card.json -o gated.json --junit g.xml --openmetrics m.txt --code-quality q.json --date "$1"
    }
    judge 2026-12-31
    [ "$status" -eq 0 ]
    is accuracy.min verdict '"waived"'
    is accuracy.min passed false
    is accuracy.min waiver '{"until": "2026-12-31", "reason": "new labels, see the plan", "ended": false}'
    [ "$(ml get gate.date gated.json)" = 2026-12-31 ]
    [[ "$stderr" == *"waived   accuracy.min until 2026-12-31 (new labels, see the plan): 0.6606 is below 0.7"* ]]
    [[ "$stderr" == *"gate passed: 1 passed, 0 failed, 0 warned, 1 waived, 0 not applicable"* ]]
    grep -q '<skipped message="waived until 2026-12-31: new labels, see the plan (0.6606 is below' g.xml
    grep -q '^ml_gate_rule_waived{.*rule="accuracy.min"} 1' m.txt
    grep -q '"severity": "info"' q.json
    ml-comment -q --card gated.json >c.md
    [[ "$(head -1 c.md)" == *"✅ **The gate passed**"*"⚠️ 1 rule is waived."* ]]
    grep -qF '⚠️ **waived** until `2026-12-31` for `new labels, see the plan`: `0.6606 is below 0.7 by 0.039`' c.md
    judge 2027-01-01
    [ "$status" -eq 1 ]
    is accuracy.min verdict '"failed"'
    [[ "$stderr" == *"FAILED   accuracy.min: 0.6606 is below 0.7 by 0.039; its waiver ended on 2026-12-31"* ]]
    grep -q 'its waiver ended on 2026-12-31' g.xml
    ml-comment -q --card gated.json | grep -qF '❌ **failed**, its waiver ended on `2026-12-31` for `new labels, see the plan`'
    ml-comment -q --card gated.json | head -1 | grep -qF ', its waiver ended on `2026-12-31`'
    # one that isn't needed changes nothing
    sed -i 's/0.7/0.6/' p.yml
    judge 2026-01-01
    is accuracy.min verdict '"passed"'
    # without an option the clock counts, in UTC
    sed -i "s/0.6/0.7/; s/2026-12-31/$(date -u +%F)/" p.yml
    gate
    sed -i "s/$(date -u +%F)/$(date -u -d yesterday +%F)/" p.yml
    gate 1
    for bad in '{until: 2026-12-31}' '{reason: x}' '{until: 2026-12-31, reason: " "}' '{until: tomorrow, reason: x}' '{until: 2027-02-29, reason: x}' yes; do
        echo "metrics: {accuracy: {min: 0.7, waiver: $bad}}" >p.yml
        run --separate-stderr ml-gate p.yml --card card.json
        [ "$status" -eq 2 ]
    done
    run --separate-stderr ml-gate p.yml --card card.json --date 2026-13-01
    fails 2 "no day"
}

@test "Code Quality: what GitLab's widget reads, at the rule's line" {
    mkdir -p repo/models
    cat >repo/models/p.yml <<'Y'
# a comment
metrics:
  accuracy:
    min: 0.7
    max: { limit: 0.7, level: warn }
    max_drop: { limit: 0, on: bound, level: warn }
  log_loss: { max: 1.1, level: warn }
Y
    edit ''
    quality() {
        CI_PROJECT_DIR=$PWD/repo run --separate-stderr ml-gate -q "$PWD/repo/models/p.yml" --card card.json --code-quality "$1" -o gated.json
    }
    quality q.json
    [ "$status" -eq 1 ]
    /usr/bin/python3 - <<'PY'
import json
raw = open("q.json", "rb").read()
assert raw[:1] == b"["
q = json.loads(raw)
assert [(i["check_name"], i["severity"], i["location"]["path"], i["location"]["lines"]["begin"]) for i in q] == [
    ("accuracy.min", "critical", "models/p.yml", 4), ("log_loss.max", "minor", "models/p.yml", 7)], q
assert q[0]["description"] == "sections: accuracy.min: 0.6606 is below 0.7 by 0.039", q
assert len({i["fingerprint"] for i in q}) == 2 and all(len(i["fingerprint"]) == 64 for i in q)
PY
    # from wherever the gate runs, and through a symbolic link to the project
    mkdir repo/sub
    ln -s repo link
    for place in repo/models:p.yml repo/sub:../models/p.yml repo:models/p.yml repo:./sub/../models/p.yml; do
        for root in repo link; do
            (cd "${place%:*}" && CI_PROJECT_DIR=$OLDPWD/$root ml-gate -q "${place#*:}" --card "$OLDPWD/card.json" --code-quality "$OLDPWD/s.json" -o /dev/null) || [ $? -eq 1 ]
            cmp q.json s.json
        done
    done
    # a policy elsewhere, or no project, leaves the path as it is
    cp repo/models/p.yml p.yml
    (cd repo/sub && CI_PROJECT_DIR=$PWD/.. ml-gate -q ../../p.yml --card ../../card.json --code-quality ../../s.json -o /dev/null) || [ $? -eq 1 ]
    grep -q '"path": "\.\./\.\./p.yml"' s.json
    (cd repo && ml-gate -q ./models/p.yml --card ../card.json --code-quality ../s.json -o /dev/null) || [ $? -eq 1 ]
    grep -q '"path": "models/p.yml"' s.json
    # the same fingerprint whatever was observed, so that the widget doesn't call it fixed and new
    edit 'ev["metrics"]["accuracy"]["value"] = 0.5'
    quality r.json
    run ! cmp -s q.json r.json
    [ "$(grep fingerprint q.json)" = "$(grep fingerprint r.json)" ] && grep -q fingerprint r.json
    # nothing broken is an empty list, which is how GitLab learns what was fixed
    echo 'metrics: {accuracy: {min: 0.1}}' >repo/models/p.yml
    quality r.json
    [ "$status" -eq 0 ] && [ "$(tr -d ' \n' <r.json)" = "[]" ]
}

@test "numbers of the card against the current model's card, as ml-compare --policy notes them" {
    printf 'id,label,prediction\n' >p.csv
    for i in $(seq 40); do echo "$i,$((i % 2)),$((i % 2))"; done >>p.csv
    ml-eval -q p.csv | /usr/bin/python3 -c 'import json, sys
c = json.load(sys.stdin); c["run"] = {"duration": 100}; c["image"] = {"size": 1000}; json.dump(c, open("cur.json", "w"))
c["run"]["duration"] = 119; c["image"]["size"] = 900; json.dump(c, open("cand.json", "w"))'
    cat >p.yml <<'Y'
metrics: { accuracy: { min: 0.5 } }
card:
  run.duration: { max_increase: 20% }
  image.size: { max_increase: 0, max_decrease: { limit: 0.05k, level: warn } }
  smoke.latency.p99: { max_increase: 5ms, missing: ignore }
Y
    ml-compare -q --unpaired --policy p.yml --current cur.json --candidate cand.json -o card.json
    [ "$(ml get comparison.current.numbers card.json | tr -d ' \n')" = '{"run.duration":100,"image.size":1000}' ]
    gate
    is run.duration.max_increase observed 19
    is run.duration.max_increase required '"20%"'
    is run.duration.max_increase limit 20
    is image.size.max_increase passed true
    is image.size.max_decrease verdict '"warned"'
    is image.size.max_decrease reason '"it fell from 1k to 0.9k, by 0.1k, and 0.05k is allowed"'
    is smoke.latency.p99.max_increase verdict '"not applicable"'
    sed -i 's/20%/18%/' p.yml
    gate 1
    is run.duration.max_increase shortfall 1
    # a comparison that was made without the policy doesn't know
    ml-compare -q --unpaired --current cur.json --candidate cand.json -o card.json
    gate 1
    [[ "$(rule run.duration.max_increase reason)" == *"ml-compare --policy does"* ]]
    edit 'c["comparison"] = {"current": None}; c["run"]["duration"] = 5'
    gate
    is run.duration.max_increase reason '"no current model"'
}
