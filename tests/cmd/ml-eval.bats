# ml-eval: what it measures, and what it records beside.
bats_require_minimum_version 1.5.0
load helper

# value KEY FILE: one value of a card
value() {
    ml get "$1" "$2"
}

binary() {
    printf 'id,label,score,region\n'
    for i in $(seq 1 200); do
        printf 'r%d,%d,0.%02d,%s\n' "$i" $((i % 3 == 0)) $(((i * 37) % 60 + (i % 3 == 0) * 30)) "$([ $((i % 2)) = 0 ] && echo north || echo south)"
    done
}

@test "binary with scores: threshold, positive, counts, metrics" {
    binary >b.csv
    ml-eval -q -o card.json b.csv
    [ "$(value evaluation.task card.json)" = binary ]
    [ "$(value evaluation.rows card.json)" = 200 ]
    [ "$(value evaluation.positive card.json)" = 1 ]
    [ "$(value evaluation.threshold card.json)" = 0.5 ]
    [ "$(value evaluation.classes.1 card.json)" = 66 ]
    [ "$(value evaluation.metrics.accuracy.n card.json)" = 200 ]
    [ "$(value evaluation.metrics.log_loss.direction card.json)" = lower ]
    [ "$(value evaluation.predictions.size card.json)" = "$(stat -c %s b.csv)" ]
    [ "$(value evaluation.predictions.digest card.json)" = "sha256:$(sha256sum b.csv | cut -d' ' -f1)" ]
    [ "$(value evaluation.weights card.json)" = null ]
    ml get evaluation.metrics.roc_auc.value card.json
    ml get evaluation.metrics.average_precision.low card.json
}

@test "the values are scikit-learn's" {
    binary >b.csv
    ml-eval -q -o card.json b.csv
    /usr/bin/python3 - <<'PY'
import csv, json, sklearn.metrics as m
rows = list(csv.DictReader(open('b.csv')))
y = [int(r['label']) for r in rows]; s = [float(r['score']) for r in rows]; p = [int(x >= .5) for x in s]
want = dict(accuracy=m.accuracy_score(y, p), balanced_accuracy=m.balanced_accuracy_score(y, p), precision=m.precision_score(y, p), recall=m.recall_score(y, p),
    f1=m.f1_score(y, p), f1_macro=m.f1_score(y, p, average='macro'), f1_weighted=m.f1_score(y, p, average='weighted'), mcc=m.matthews_corrcoef(y, p),
    roc_auc=m.roc_auc_score(y, s), average_precision=m.average_precision_score(y, s), log_loss=m.log_loss(y, s), brier=m.brier_score_loss(y, s))
got = json.load(open('card.json'))['evaluation']['metrics']
for k, v in want.items():
    assert abs(got[k]['value'] - v) < 1e-12, (k, got[k], v)
    assert got[k]['low'] < v < got[k]['high'], (k, got[k])
PY
}

@test "CSV, TSV, semicolons, CRLF, a BOM and JSON Lines say the same" {
    binary >b.csv
    tr , '\t' <b.csv >b.tsv
    tr , ';' <b.csv >semi.csv
    sed 's/$/\r/' b.csv >crlf.csv
    { printf '\xef\xbb\xbf'; cat b.csv; } >bom.csv
    sed -E '1!s/([^,]*),([^,]*),([^,]*),(.*)/"\1","\2","\3","\4"/' b.csv >quoted.csv
    sed -E '1d;s/([^,]*),([^,]*),([^,]*),(.*)/{"id":"\1","label":\2,"score":\3,"region":"\4"}/' b.csv >b.jsonl
    sed -E '1d;s/([^,]*),([^,]*),([^,]*),(.*)/{"score":"\3","x":[1,{"y":2}],"label":"\2.0","id":"\1"}/' b.csv >other.jsonl
    for f in b.csv b.tsv semi.csv crlf.csv bom.csv quoted.csv b.jsonl other.jsonl; do
        ml-eval -q -o "$f.json" "$f"
        for k in data ids metrics classes; do
            [ "$(value evaluation.$k "$f.json")" = "$(value evaluation.$k b.csv.json)" ] || { echo "$f differs in $k"; return 1; }
        done
    done
    ml-eval -q - <b.csv >stdin.json
    cmp stdin.json b.csv.json
}

@test "order of the rows doesn't change the identity, a label, an id, a weight or a group does" {
    binary >b.csv
    { head -1 b.csv; tail -n +2 b.csv | sort -R --random-source=b.csv; } >shuffled.csv
    sed '5s/,0,/,1,/' b.csv >label.csv
    sed '5s/^r4,/r4 ,/' b.csv >id.csv
    for f in b shuffled label id; do ml-eval -q -o $f.json $f.csv; done
    ml-eval -q --group region -o group.json b.csv
    d=$(value evaluation.data b.json)
    i=$(value evaluation.ids b.json)
    [ "$(value evaluation.data shuffled.json)" = "$d" ]
    [ "$(value evaluation.data label.json)" != "$d" ]
    [ "$(value evaluation.ids label.json)" = "$i" ]
    [ "$(value evaluation.ids id.json)" != "$i" ]
    [ "$(value evaluation.data group.json)" != "$d" ]
    [ "$(value evaluation.ids group.json)" = "$i" ]
    # without ids the order counts
    cut -d, -f2- b.csv >noid.csv
    { head -1 noid.csv; tail -n +3 noid.csv; sed -n 2p noid.csv; } >turned.csv
    for f in noid turned; do ml-eval -q -o $f.json $f.csv; done
    [ "$(value evaluation.data noid.json)" != "$(value evaluation.data turned.json)" ]
    [ "$(value evaluation.ids noid.json)" = "$(value evaluation.ids turned.json)" ]
}

@test "1 and 1.0 are one class, 01 is a text, true is true in any case" {
    printf 'label,prediction\n1,1.0\n0,0\n1.0,0e0\n0.0,-0\n' >n.csv
    ml-eval -q n.csv >n.json
    [ "$(value evaluation.metrics.accuracy.value n.json)" = 0.75 ]
    printf 'label,prediction\n01,01\n1,1\n01,1\n' >t.csv
    ml-eval -q t.csv >t.json
    [ "$(value evaluation.task t.json)" = multiclass ]
    [ "$(value evaluation.classes.01 t.json)" = 2 ]
    printf 'label,prediction\nTrue,true\nFALSE,TRUE\nfalse,False\n' >b.csv
    ml-eval -q b.csv >b.json
    [ "$(value evaluation.positive b.json)" = true ]
    [ "$(value evaluation.classes.false b.json)" = 2 ]
    printf 'label,prediction\n-1,1\n1,1\n' | ml-eval -q - >m.json
    [ "$(value evaluation.positive m.json)" = 1 ]
    # one prediction that is a text doesn't make texts of the labels
    printf 'label,prediction\n1,1.0\n1.0,unknown\n0,0\n-0.0,1\n2,2\n' | ml-eval -q - >u.json
    [ "$(ml get evaluation.classes u.json | tr -d ' \n')" = '{"0":2,"1":2,"2":1,"unknown":0}' ]
    [ "$(value evaluation.metrics.accuracy.value u.json)" = 0.6 ]
    # nor does a column of scores
    printf 'label,p.1.0,p.0,p.other\n1,.9,.1,0\n0,.2,.8,0\n' | ml-eval -q --scores p. - >o.json
    [ "$(value evaluation.metrics.accuracy.value o.json)" = 1 ]
    # the positive class that no row has, in any case
    printf 'label,score\nfalse,0.9\nFalse,0.1\n' | ml-eval -q --positive TRUE - >p.json
    [ "$(value evaluation.positive p.json)" = true ]
    [ "$(value evaluation.metrics.accuracy.value p.json)" = 0.5 ]
}

@test "several classes with scores: prediction is the largest, confusion and AUC are there" {
    printf '{"label":"a","p":{"a":0.7,"b":0.2,"c":0.1}}\n{"label":"b","p":{"a":0.5,"b":0.4,"c":0.1}}\n{"label":"c","p":{"a":0.1,"b":0.1,"c":0.8}}\n' >m.jsonl
    ml-eval -q --scores p. m.jsonl >m.json
    [ "$(value evaluation.task m.json)" = multiclass ]
    [ "$(value evaluation.confusion.labels m.json | tr -d ' \n')" = '["a","b","c"]' ]
    [ "$(value evaluation.confusion.counts m.json | tr -d ' \n')" = '[[1,0,0],[1,0,0],[0,0,1]]' ]
    value evaluation.metrics.roc_auc.value m.json
    # two of them with a positive class: its column is the score
    printf 'label,p_ham,p_spam\nspam,0.2,0.8\nham,0.9,0.1\nham,0.4,0.6\nspam,0.7,0.3\n' >s.csv
    ml-eval -q --scores p_ --positive spam s.csv >s.json
    [ "$(value evaluation.task s.json)" = binary ]
    [ "$(value evaluation.metrics.roc_auc.value s.json)" = 0.75 ]
    printf 'label,p_a\na,1\nb,0\n' >one.csv
    run --separate-stderr ml-eval --scores p_ one.csv
    fails 3 "no column 'p_b'"
}

@test "regression" {
    printf 'label,prediction\n3,2.5\n-0.5,0.0\n2,2\n7,8\n' >r.csv
    run --separate-stderr ml-eval r.csv
    fails 2 'say --task multiclass or --task regression, or --task ranking with --group'
    ml-eval -q --task regression r.csv >r.json
    [ "$(value evaluation.metrics.mae.value r.json)" = 0.5 ]
    [ "$(value evaluation.metrics.r2.value r.json | cut -c1-12)" = 0.9486081370 ]
    [ "$(value evaluation.metrics.median_ae.value r.json)" = 0.5 ]
    [ "$(value evaluation.classes r.json)" = null ]
    ml-eval -q --task multiclass r.csv >m.json && [ "$(value evaluation.task m.json)" = multiclass ]
    printf 'label,prediction\n3,2.5\nx,1\n' >bad.csv
    run --separate-stderr ml-eval --task regression bad.csv
    fails 3 "line 3: the label 'x' is not a number"
}

@test "slices: each value, and combinations" {
    binary >b.csv
    ml-eval -q --slice region --slice region,label b.csv >s.json
    [ "$(ml get /evaluation/slices/region=north/rows s.json)" = 100 ]
    [ "$(ml get '/evaluation/slices/region=north,label=1/rows' s.json)" = 33 ]
    [ "$(ml get '/evaluation/slices/region=north,label=0/metrics/roc_auc/value' s.json)" = null ]
    ml get '/evaluation/slices/region=north,label=0/metrics/roc_auc/reason' s.json
    for i in $(seq 1 1001); do echo "n$i"; done | sed '1i x' >x
    yes 'a,a' | head -1001 | sed '1i label,prediction' | paste -d, - x >many.csv
    run --separate-stderr ml-eval --slice x many.csv
    fails 2 'over 1000 slices'
}

@test "many classes: no confusion matrix beyond 200, and why" {
    for n in 200 201; do
        { echo label,prediction; for i in $(seq $n); do echo "c$i,c$i"; done; } | ml-eval -q - >k$n.json
    done
    [ "$(ml get evaluation.confusion.labels.199 k200.json)" = c99 ]
    [ "$(value evaluation.confusion k201.json)" = null ]
    [[ "$(value evaluation.confusion_reason k201.json)" =~ '201 classes' ]]
    [ "$(value evaluation.classes.c201 k201.json)" = 1 ]
}

@test "weights and groups" {
    printf 'label,prediction,w,g\na,a,2,x\nb,a,1,x\nb,b,1,y\na,a,0,z\n' >w.csv
    ml-eval -q --weight w --group g w.csv >w.json
    [ "$(value evaluation.metrics.accuracy.value w.json)" = 0.75 ]
    [ "$(value evaluation.weights.column w.json)" = w ]
    [ "$(value evaluation.groups w.json)" = 3 ]
    for bad in -1 nan inf '' x; do
        printf 'label,prediction,w\na,a,1\nb,b,%s\n' "$bad" >bad.csv
        run --separate-stderr ml-eval --weight w bad.csv
        fails 3 "line 3, column 'w'"
    done
    printf 'label,prediction,w\na,a,0\nb,b,0\n' >zero.csv
    run --separate-stderr ml-eval --weight w zero.csv
    fails 3 'the weights sum to zero'
    for huge in 1e308 5e-324; do # they are scale-free
        printf 'label,prediction,w\na,a,%s\nb,b,%s\nb,a,%s\n' $huge $huge $huge >huge.csv
        ml-eval -q --weight w huge.csv >huge.json
        [ "$(value evaluation.metrics.accuracy.value huge.json)" = 0.6666666666666666 ]
        [ "$(value evaluation.weights.effective_rows huge.json)" = 3 ]
    done
}

@test "the model's digest is that of its layer, name and version are recorded, other sections passed on" {
    mkdir m && echo '{}' >m/model.json
    printf 'label,prediction\na,a\nb,a\n' >p.csv
    echo '{"schema":"mlci.card/1","mine":{"x":1.50},"model":{"owner":"me"}}' >in.json
    ml-eval -q --card in.json --model m --name sections --version 1.4.0 p.csv >out.json
    [ "$(value model.name out.json)" = sections ]
    [ "$(value model.version out.json)" = 1.4.0 ]
    [ "$(value model.owner out.json)" = me ]
    grep -q '"mine":{"x":1.50}' out.json
    touch -d 2001-01-01 m/model.json
    chmod 600 m/model.json
    [ "$(ml-eval -q --model m p.csv | ml get evaluation.model)" = "$(value evaluation.model out.json)" ]
    echo >>m/model.json
    [ "$(ml-eval -q --model m p.csv | ml get evaluation.model)" != "$(value evaluation.model out.json)" ]
    run --separate-stderr ml-eval --model nowhere p.csv
    fails 3 nowhere
}

@test "commit and job come from GitLab's variables unless a run has recorded them" {
    printf 'label,prediction\na,a\nb,a\n' >p.csv
    export CI_COMMIT_SHA=9f3c CI_PROJECT_URL=https://gitlab.example/shop/sections CI_COMMIT_BRANCH=main CI_JOB_URL=https://gitlab.example/j/1 CI_PIPELINE_URL=https://gitlab.example/p/1
    ml-eval -q p.csv >a.json
    [ "$(value run.code.commit a.json)" = 9f3c ]
    [ "$(value run.code.repository a.json)" = https://gitlab.example/shop/sections ]
    [ "$(value run.code.branch a.json)" = main ]
    [ "$(value run.ci.job a.json)" = https://gitlab.example/j/1 ]
    CI_COMMIT_SHA=other ml-eval -q --card a.json p.csv >b.json
    [ "$(value run.code.commit b.json)" = 9f3c ]
    # what a run has recorded stays byte for byte, also numbers that no double holds
    local seed='"params":{"seed":12345678901234567890,"rate":1.0}'
    echo '{"schema":"mlci.card/1","run":{"id":"01J",'"$seed"'},"model":{"parts":98765432109876543210}}' >run.json
    ml-eval -q --card run.json --name sections p.csv >d.json
    grep -q -F "$seed" d.json
    grep -q -F '"parts":98765432109876543210' d.json
    [ "$(value run.code.commit d.json)" = 9f3c ]
    [ "$(value run.ci.job d.json)" = https://gitlab.example/j/1 ]
    [ "$(value model.name d.json)" = sections ]
    unset CI_COMMIT_SHA
    run ml get run <(ml-eval -q p.csv)
    [ "$status" -eq 1 ]
}

@test "the table on stderr: no more digits than the interval supports; -q silences it" {
    binary >b.csv
    run --separate-stderr ml-eval b.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" =~ accuracy\ +0\.[0-9]{3}\ +0\.[0-9]{3}\ +0\.[0-9]{3} ]]
    run --separate-stderr ml-eval --slice id <(head -2 b.csv)
    [[ "$stderr" == *": 1 row, binary"*"(1 row)"* ]]
    run --separate-stderr ml-eval -q b.csv
    [ -z "$stderr" ]
    printf 'label,prediction,score\n0,0,.7\n1,1,.2\n' >p.csv
    run --separate-stderr ml-eval --threshold .9 p.csv
    [[ "$stderr" =~ '--threshold plays no part' ]]
    [ "$(ml get evaluation.threshold <<<"$output")" = null ]
    # a score that nothing is measured by
    printf 'label,prediction,score\nno,no,.7\nyes,yes,.2\n' >t.csv
    run --separate-stderr ml-eval t.csv
    [[ "$stderr" == "the column 'score' isn't used: --positive says whether it is of 'no' or of 'yes'"* ]]
    run --separate-stderr ml-eval --positive yes t.csv
    [[ "$stderr" != *"isn't used"* ]]
    printf 'label,prediction,score\na,b,.7\nb,c,.2\n' >t.csv
    run --separate-stderr ml-eval t.csv
    [[ "$stderr" == "the column 'score' isn't used: several classes have one score each (--scores)"* ]]
}

@test "scores that nothing is measured by, the other class's scores, classes of two kinds: said" {
    hint() {
        run --separate-stderr ml-eval "$@" -o card.json
        [ "$status" -eq 0 ]
        grep -F "the columns '$want<class>' aren't used: if they are scores, say --scores $want" <<<"$stderr"
    }
    awk 'BEGIN { print "id,label,prediction,p_a,p_b,p_c,x"
        for (i = 0; i < 60; i++) printf "%d,%c,%c,.5,.3,.2,%d\n", i, 97 + i % 3, 97 + i % 2, i }' >m.csv
    want=p_
    hint m.csv
    hint --task multiclass m.csv
    run ! hint --scores p_ m.csv
    ml-eval -q --metric all --scores p_ m.csv -o card.json # of three classes the best five are all
    run ml get evaluation.metrics.top_5_accuracy card.json
    [ "$status" -eq 1 ]
    ml get evaluation.metrics.top_2_accuracy.value card.json
    ml-eval -q --metric top_5_accuracy --scores p_ m.csv -o card.json
    [[ "$(value evaluation.metrics.top_5_accuracy.reason card.json)" == *"number of classes"* ]]
    run ! hint <(sed 's/p_c/c_p/' m.csv)
    run ! hint <(sed '1s/x$/p_x/' m.csv) # one more than there are classes
    want=f
    printf 'label,prediction,f0,f1\n0,1,2,3\n1,1,2,3\n' >f.csv
    hint f.csv
    run ! hint --task regression f.csv
    run --separate-stderr ml-compare --current m.csv --candidate m.csv -o compared.json
    [[ "$stderr" == *"--scores p_"* ]]
    run --separate-stderr ml-compare --scores p_ --current m.csv --candidate m.csv -o compared.json
    [[ "$stderr" != *"--scores"* ]]
    /usr/bin/python3 -c "
import numpy as n
n.savez('m.npz', label=n.arange(60) % 3, prediction=n.arange(60) % 2, scores=n.ones((60, 3)) / 3)"
    want=scores hint --task multiclass m.npz

    # hit and miss changed places
    awk 'BEGIN { print "label,score"; for (i = 0; i < 100; i++) printf "%d,0.%02d\n", i * 7 % 100 < 50, i * 7 % 100 }' >b.csv
    run --separate-stderr ml-eval -q b.csv
    [ "$stderr" = "ml-eval: warning: roc_auc is 0: are the scores those of '0'? (then --positive 0)" ]
    run --separate-stderr ml-eval -q --positive 0 b.csv
    [ -z "$stderr" ]
    awk 'BEGIN { print "label,score"; for (i = 0; i < 100; i++) printf "%d,0.%02d\n", i * 7 % 100 < 50, i * 11 % 100 }' >b.csv
    run --separate-stderr ml-eval -q b.csv
    [ -z "$stderr" ]

    printf 'label,prediction\n1,1\n0,no\n1,yes\n' >k.csv
    run --separate-stderr ml-eval -q k.csv
    [ "$stderr" = "ml-eval: warning: of the 4 classes some are numbers ('1'), others words ('yes'); if that is right say --task multiclass" ]
    run --separate-stderr ml-eval -q --task multiclass k.csv
    [ -z "$stderr" ]
}

@test "the result doesn't depend on the number of processors" {
    awk 'BEGIN { print "id,label,prediction,score,slice"
        for (i = 0; i < 120000; i++)
            printf "\"%d\n%s\",%d,%d,%.6f,\"%s\"\n", i, i % 3 ? "x" : "\"\"y", i % 7 < 2, i % 5 < 2, (i * 7919 % 100003) / 100003, i % 4 ? "a" : "b,c" }' >rows.csv
    taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" ml-eval --slice slice rows.csv -q -o one.json
    ml-eval --slice slice rows.csv -q -o all.json
    cmp one.json all.json
    [ "$(value evaluation.rows one.json)" = 120000 ]
    # far behind the first block, in a field of two lines
    awk '{ print } END { print "\"5\nx\",1,1,0.5,a" }' rows.csv >twice.csv
    run -3 ml-eval twice.csv -q
    [[ "$output" == *"line 240002: the id '5?x' stands twice (rows 6 and 120001)"* ]]
}

@test "--metric and --policy measure more; only what the task has" {
    printf 'id,label,prediction\n1,1,2\n2,3,3\n3,4,6\n' >r.csv
    ml-eval -q --task regression r.csv >plain.json
    ml-eval -q --task regression --metric mse r.csv >mse.json
    [ "$(ml get evaluation.metrics.mse.value mse.json)" = 1.6666666666666667 ]
    run ml get evaluation.metrics.mse plain.json
    [ "$status" -ne 0 ]
    ml-eval -q --task regression --metric all r.csv >all.json
    cmp <(ml get evaluation.metrics.mse all.json) <(ml get evaluation.metrics.mse mse.json)
    printf 'metrics:\n  mse: { max: 2 }\n  accuracy: { min: 0.5 }\n  size: { max: 3, direction: lower }\n' >p.yml
    run --separate-stderr ml-eval -q --task regression --policy p.yml r.csv
    [ "$status" -eq 0 ]
    # what the policy names comes first, else all is as it was asked for
    /usr/bin/python3 -c "
import json, sys
a, b = json.loads(sys.argv[1]), json.load(open('mse.json'))
assert a == b and list(a['evaluation']['metrics']) == ['mse', 'mae', 'rmse', 'r2', 'median_ae'] != list(b['evaluation']['metrics'])" "$output"
    # a metric from elsewhere says its direction; one of another task and one that is mistyped are named, once each
    [ "$stderr" = "ml-eval: warning: p.yml: line 3: 'accuracy' is for another task (--task binary, multiclass); the task is regression, and the card lacks it" ]
    printf 'metrics:\n  ndcg:\n    must: not_regress\n    min: 0.5\n  acuracy: { min: .5 }\n  roc_auc: { min: .5 }\n  cost: { max: 1 }\n  accuracy: { min: .1 }\nslices:\n  a=b: { ndcg: { min: 0 } }\n' >p.yml
    printf 'id,label,prediction\n1,1,1\n2,0,1\n3,1,1\n' >c.csv
    run --separate-stderr ml-eval -q --policy p.yml c.csv
    [ "$status" -eq 0 ]
    [ "$stderr" = "ml-eval: warning: p.yml: line 3: 'ndcg' is for another task (--task ranking); the task is binary, and the card lacks it
ml-eval: warning: p.yml: line 5: 'acuracy': no such metric; it is called 'accuracy' here; the task is binary, and the card lacks it
ml-eval: warning: p.yml: line 6: 'roc_auc' needs scores, and there are none; the task is binary, and the card lacks it
ml-eval: warning: p.yml: line 7: 'cost' needs --cost; the task is binary, and the card lacks it
ml-eval: warning: p.yml: no row is in the slice 'a=b', and the card lacks it" ]
    run --separate-stderr ml-eval -q --metric roc_auc --metric mcc --metric all c.csv
    [ "$stderr" = "ml-eval: warning: --metric 'roc_auc' needs scores, and there are none; the task is binary, and the card lacks it" ]
    run --separate-stderr ml-eval --task regression --metric msee r.csv
    fails 2 "no such metric"
    run --separate-stderr ml-eval --task regression --metric accuracy r.csv
    fails 2 "another task \(--task binary, multiclass\)"
    called() {
        run --separate-stderr ml-eval --task "$1" --metric "$2" r.csv
        fails 2 "$3"
    }
    called regression mean_absolute_error "it is called 'mae' here"
    called multiclass brier_score_loss "it is called 'brier' here"
    called regression neg_root_mean_squared_error "it is called 'rmse' here"
    called multiclass neg_log_loss "it is called 'log_loss' here"
    called regression r2_score "it is called 'r2' here"
    called regression pinball "its parameter is missing or can't be: 'pinball@0.9'"
    called regression mean_pinball_loss "'pinball@0.9'"
    called multiclass hamming "it is called 'hamming_loss' here"
    called multiclass jaccard "here it is 'jaccard_macro'"
    called multiclass fbeta@2 "here it is 'fbeta_macro@2'"
    ml-compare -q --task regression --metric mse --current r.csv --candidate r.csv >c.json
    [ "$(ml get comparison.metrics.mse.verdict c.json)" = equivalent ]
}
