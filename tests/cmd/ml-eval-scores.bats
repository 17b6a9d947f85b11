#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# ml-eval and ml-compare: metrics of scores, probabilities without decisions, thresholds chosen on the rows, curves

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    scores 1 1.2 >a.csv
    scores 2 1.5 >b.csv
}

# 200 rows of the same labels, scores by a seed and a skill
scores() {
    awk -v seed="$1" -v skill="$2" 'BEGIN {
        srand(7); for (i = 0; i < 200; i++) y[i] = rand() < 0.4
        srand(seed); print "id,label,score,half"
        for (i = 0; i < 200; i++) printf "%d,%d,%.4f,%s\n", i, y[i], 1 / (1 + exp(-(4 * (rand() - .5) + skill * (2 * y[i] - 1)))), i % 2 ? "odd" : "even"
    }'
}

value() {
    ml get "$1" "$2"
}

@test "metrics of scores are measured when asked for" {
    ml-eval -q -o card.json a.csv
    run ! value evaluation.metrics.ks.value card.json
    ml-eval -q -o card.json --metric ks --metric gini --metric lift@10% --metric precision@20 --metric ece@10 a.csv
    [ "$(value evaluation.metrics.ks.interval card.json)" = linear-bootstrap ]
    [ "$(value evaluation.metrics.ece@10.interval card.json)" = bins ]
    [ "$(value evaluation.metrics.precision@20.n card.json)" = 20 ]
    gini=$(value evaluation.metrics.gini.value card.json) auc=$(value evaluation.metrics.roc_auc.value card.json)
    awk -v g="$gini" -v a="$auc" 'BEGIN { exit !(g - (2 * a - 1) < 1e-12 && (2 * a - 1) - g < 1e-12) }'
    ml-eval -q -o card.json --metric precision@300 a.csv
    [ "$(ml get /evaluation/metrics/precision@300/reason card.json)" = 'fewer rows than k' ]
    run -2 ml-eval --metric lift a.csv
    run -2 ml-eval --metric lift@0 a.csv
    run -2 ml-eval --metric roc_auc_ovo a.csv
}

@test "the same of several classes" {
    printf 'label,p_a,p_b,p_c\na,.7,.2,.1\na,.3,.4,.3\nb,.2,.6,.2\nb,.4,.5,.1\nc,.1,.2,.7\nc,.2,.5,.3\n' >m.csv
    ml-eval -q -o card.json --scores p_ --metric roc_auc_ovo --metric roc_auc_ovr_weighted --metric brier_multiclass --metric ece m.csv
    [ "$(value evaluation.metrics.roc_auc_ovo.classes card.json)" = 3 ]
    [ "$(value evaluation.metrics.roc_auc_ovr_weighted.value card.json)" = "$(value evaluation.metrics.roc_auc.value card.json)" ]
    awk -v x="$(value evaluation.metrics.brier_multiclass.value card.json)" 'BEGIN { exit !(x > 0.40999 && x < 0.41001) }'
}

@test "--task probabilistic: probabilities and no decisions" {
    ml-eval -q -o card.json --task probabilistic a.csv
    [ "$(value evaluation.task card.json)" = probabilistic ]
    [ "$(value evaluation.threshold card.json)" = null ]
    value evaluation.metrics.ece.value card.json
    value evaluation.metrics.log_loss.value card.json
    run ! value evaluation.metrics.accuracy card.json
    run ! value evaluation.confusion card.json
    # a column of predictions plays no part
    awk -F, -v OFS=, 'NR == 1 { print $0, "prediction" } NR > 1 { print $0, "whatever" }' a.csv >p.csv
    ml-eval -q --task probabilistic p.csv | ml get evaluation.metrics.brier.value >x
    value evaluation.metrics.brier.value card.json | cmp - x
    ml-compare -q --current a.csv --candidate b.csv --task probabilistic -o c.json
    value comparison.metrics.ece.delta c.json
    run ! value comparison.flips c.json
    # cards may come through pipes, and say what task it is
    ml-eval -q --task probabilistic b.csv | ml-compare -q --unpaired --current a.csv --candidate - --task probabilistic >u.json
    [ "$(value comparison.metrics.brier.test u.json)" = unpaired ]
    ml-eval -q --task probabilistic b.csv | ml-compare -q --current a.csv --candidate b.csv -o c.json
    value comparison.metrics.ece.verdict c.json
    run ! value comparison.metrics.mce c.json # its difference has a bootstrap only
    ml-compare -q --current a.csv --candidate b.csv --task probabilistic --metric mce | ml get comparison.metrics.mce.verdict
}

@test "--task probabilistic needs probabilities" {
    run -3 --separate-stderr ml-eval --task probabilistic <(printf 'label,score\n1,.5\n0,1.5\n')
    [[ "$stderr" =~ 'row 2 has the score 1.5, which is no probability' ]]
    run -3 --separate-stderr ml-eval --task probabilistic <(printf 'label,prediction\n1,1\n0,0\n')
    [[ "$stderr" =~ "no column 'score'" ]]
    run -2 ml-eval --task probabilistic --prediction label a.csv
    run -2 ml-eval --task probabilistic <(printf 'label,score\nham,.5\nspam,.6\n')
}

@test "--threshold best-f1 and youden choose it on the rows, and say so" {
    for how in best-f1 youden; do
        ml-eval -q -o card.json --threshold $how --slice half a.csv
        [ "$(value evaluation.threshold_tuned card.json)" = $how ]
        [ "$(value evaluation.metrics.f1.interval card.json)" = bootstrap ]
        [ "$(value evaluation.metrics.roc_auc.interval card.json)" = logit-delong ]
        [ "$(ml get /evaluation/slices/half=odd/metrics/accuracy/interval card.json)" = wilson ]
        # the same threshold, given, gives the same values
        ml-eval -q -o given.json --threshold "$(value evaluation.threshold card.json)" a.csv
        [ "$(value evaluation.metrics.f1.value given.json)" = "$(value evaluation.metrics.f1.value card.json)" ]
        [ "$(value evaluation.metrics.f1.interval given.json)" = logit ]
        run ! value evaluation.threshold_tuned given.json
    done
    # no other threshold is better
    best=$(ml-eval -q --threshold best-f1 a.csv | ml get evaluation.metrics.f1.value)
    for t in .2 .3 .4 .5 .6 .7 .8; do
        awk -v b="$best" -v x="$(ml-eval -q --threshold $t a.csv | ml get evaluation.metrics.f1.value)" 'BEGIN { exit !(b >= x) }'
    done
    run -2 --separate-stderr ml-eval --threshold best a.csv
    [[ "$stderr" =~ 'a number, best-f1 or youden' ]]
    run -3 ml-eval --threshold youden <(printf 'label,score\n1,.5\n1,.6\n')
    # the costs are those of the chosen threshold, with its interval
    ml-eval -q --threshold youden --cost fp=2,fn=1 -o card.json a.csv
    [ "$(value evaluation.metrics.cost.interval card.json)" = bootstrap ]
    # any scores will do
    ml-eval -q --threshold youden <(printf 'label,score\n1,7\n0,-2\n') | ml get evaluation.threshold | grep -qx 7
}

@test "a comparison chooses each model's threshold" {
    ml-eval -q --threshold best-f1 -o card.json b.csv
    ml-compare -q --current a.csv --candidate b.csv --card card.json -o c.json
    ml-comment -q --card c.json | grep 'threshold was chosen on these rows (`best-f1`)'
    [ "$(value comparison.threshold.tuned c.json)" = best-f1 ]
    [ "$(value comparison.threshold.candidate c.json)" = "$(value evaluation.threshold card.json)" ]
    [ "$(value comparison.threshold.current c.json)" = "$(ml-eval -q --threshold best-f1 a.csv | ml get evaluation.threshold)" ]
    [ "$(value comparison.metrics.f1.test c.json)" = bootstrap ]
    [ "$(value comparison.metrics.accuracy.test c.json)" = bootstrap ]
    [ "$(value comparison.metrics.roc_auc.test c.json)" = mover ]
}

@test "classes and slices know that a threshold was chosen on all rows" {
    for f in a b; do # a slice of all rows; weights, some of them 0; groups
        awk -F, -v OFS=, 'NR == 1 { print $0, "any", "w", "g"; next } { print $0, "yes", NR % 7, int(NR / 2) }' $f.csv >$f.more
    done
    printf 'metrics:\n  recall: {must: not_regress}\n  specificity: {must: not_regress}\n' >p.yml
    for with in "" "--weight w" "--group g" "--weight w --group g"; do
        for how in best-f1 youden; do
            ml-eval -q -o card.json --threshold $how --metric specificity --metric recall $with --slice any --slice half b.more
            for m in specificity recall; do # replicates are the same, and more than what a given threshold leaves open
                [ "$(ml get /evaluation/slices/any=yes/metrics/$m/se card.json)" = "$(value evaluation.metrics.$m.se card.json)" ]
            done
            ml-eval -q -o given.json --threshold "$(value evaluation.threshold card.json)" --metric specificity $with --slice half b.more
            [ "$(ml get /evaluation/slices/half=odd/metrics/specificity/se given.json)" = 0 ] # nobody is predicted wrongly
            awk -v a="$(ml get /evaluation/slices/half=odd/metrics/specificity/se card.json)" 'BEGIN { exit !(a > .01) }'
            ml-compare -q -o c.json --threshold $how --policy p.yml --metric specificity $with --slice any --current a.more --candidate b.more
            for key in low high se p; do
                [ "$(ml get /comparison/classes/0/recall/$key c.json)" = "$(value comparison.metrics.specificity.$key c.json)" ]
                [ "$(ml get /comparison/classes/1/recall/$key c.json)" = "$(value comparison.metrics.recall.$key c.json)" ]
            done
            [ "$(ml get /comparison/slices/any=yes/metrics/recall/se c.json)" = "$(value comparison.metrics.recall.se c.json)" ]
            # what is the same stays so
            ml-compare -q -o c.json --threshold $how --metric recall $with --slice half --current a.more --candidate a.more
            [ "$(ml get /comparison/slices/half=odd/metrics/recall/verdict c.json)" = equivalent ]
        done
    done
    # runs, too, each with its own
    ml-compare -q -o c.json --threshold youden --policy p.yml --metric specificity --slice any --current a.more --candidate b.more --runs a.more
    se=$(value comparison.metrics.recall.runs.se_rows c.json)
    [ "$(ml get /comparison/slices/any=yes/metrics/recall/runs/se_rows c.json)" = "$se" ]
    [ "$(ml get /comparison/classes/1/recall/low c.json)" = "$(value comparison.metrics.recall.low c.json)" ]
    ml-compare -q -o given.json --threshold .5 --policy p.yml --metric specificity --current a.more --candidate b.more --runs a.more
    awk -v a="$se" -v b="$(value comparison.metrics.recall.runs.se_rows given.json)" 'BEGIN { exit !(a > 1.3 * b) }'
}

@test "--curves adds what pictures are drawn from" {
    ml-eval -q -o card.json a.csv
    run ! value evaluation.curves card.json
    run ! value evaluation.calibration card.json
    ml-eval -q -o card.json --curves a.csv
    /usr/bin/python3 - card.json <<'E2'
import json, sys
e = json.load(open(sys.argv[1]))["evaluation"]
bins = e["calibration"]["bins"]
assert sum(b["rows"] for b in bins) == 200 and all(b["low"] < b["predicted"] <= b["high"] for b in bins)
assert all(b["observed_low"] <= b["observed"] <= b["observed_high"] for b in bins)
assert e["calibration"]["slope"]["low"] < e["calibration"]["slope"]["value"] < e["calibration"]["slope"]["high"]
for curve, x, y in (("roc", "fpr", "tpr"), ("pr", "recall", "precision")):
    c = e["curves"][curve]
    assert len(c[x]) == len(c[y]) == len(c["thresholds"]) == len(c["area"]) <= 200 and c["thresholds"][0] is None
    assert c[x][0] == 0 and c[x][-1] == 1 and c[x] == sorted(c[x])
    assert abs(c["area"][-1] - e["metrics"][{"roc": "roc_auc", "pr": "average_precision"}[curve]]["value"]) < 1e-9
x, y = e["curves"]["roc"]["fpr"], e["curves"]["roc"]["tpr"]
area = sum((b - a) * (c + d) / 2 for a, b, c, d in zip(x, x[1:], y, y[1:]))
assert abs(area - e["metrics"]["roc_auc"]["value"]) < 1e-9, area
x, y = e["curves"]["pr"]["recall"], e["curves"]["pr"]["precision"]
area = sum((b - a) * d for a, b, d in zip(x, x[1:], y[1:]))
assert abs(area - e["metrics"]["average_precision"]["value"]) < 1e-9, area
E2
    # of many points some are left out, and the areas are what they were
    awk 'BEGIN { srand(4); print "label,score"; for (i = 0; i < 9000; i++) { y = rand() < .3; printf "%d,%.9f\n", y, (rand() + rand() + .4 * y) / 2.4 } }' >many.csv
    ml-eval -q --curves many.csv -o many.json
    /usr/bin/python3 - many.json <<'E2'
import json, sys
e = json.load(open(sys.argv[1]))["evaluation"]
for curve, x, y, metric in (("roc", "fpr", "tpr", "roc_auc"), ("pr", "recall", "precision", "average_precision")):
    c, value = e["curves"][curve], e["metrics"][metric]["value"]
    line = sum((b - a) * (p + q) / 2 for a, b, p, q in zip(c[x], c[x][1:], c[y], c[y][1:]))
    assert len(c[x]) == 200 and abs(line - value) < 1e-6 and abs(c["area"][-1] - value) < 1e-9, (curve, line, value)
E2
    ml-eval -q --curves <(printf 'label,score\n1,7\n0,-2\n') --threshold 1 -o card.json
    [ "$(value evaluation.calibration card.json)" = null ]
    value evaluation.calibration_reason card.json | grep 'no probabilities'
    ml-eval -q --curves <(printf 'label,score\n1,.7\n1,.2\n') -o card.json
    value evaluation.curves_reason card.json | grep 'one class'
    ml-eval -q --task probabilistic a.csv | ml get evaluation.calibration.slope.value
    # a template asks for them whatever the task
    printf 'label,prediction\n1,2\n3,4\n5,5\n' >r.csv
    run --separate-stderr ml-eval --curves --task regression r.csv -o card.json
    [[ "$status" -eq 0 && "$stderr" != *curves* ]]
    run --separate-stderr ml-eval -v --curves --task regression r.csv -o card.json
    [[ "$stderr" == *'--curves plays no part'* ]]
}

@test "positives of next to no weight: their area is as uncertain as they are few" {
    awk 'BEGIN { print "label,score,w"; for (i = 0; i < 40; i++) printf "%d,0.%02d,%s\n", i % 2, i * 37 % 100, i % 2 ? "1e-300" : "1e300" }' >w.csv
    ml-eval -q -o card.json --weight w w.csv
    ml-eval -q -o plain.json w.csv
    [ "$(value evaluation.metrics.roc_auc.interval card.json)" = newcombe ]
    for k in value low high; do
        awk -v x="$(value evaluation.metrics.roc_auc.$k card.json)" -v y="$(value evaluation.metrics.roc_auc.$k plain.json)" 'BEGIN { exit !(x - y < 1e-9 && y - x < 1e-9) }'
    done
    awk 'NR > 1 { sub(/,0\.../, ",0.5") } 1' w.csv >tied.csv
    ml-eval -q -o card.json --weight w tied.csv
    awk -v low="$(value evaluation.metrics.roc_auc.low card.json)" -v high="$(value evaluation.metrics.roc_auc.high card.json)" 'BEGIN { exit !(low < 0.4 && high > 0.6) }'
}

@test "mcc of weights that are far apart is that of the four cells" {
    # (1e-20 1 - 1e-8 1e-13) / sqrt((1 + 1e-8) (1 + 1e-13) (1e-20 + 1e-8) (1e-20 + 1e-13)), in fractions
    printf 'label,prediction,w\n1,1,1e-20\n0,0,1\n0,1,1e-8\n1,0,1e-13\n' >p.csv
    ml-eval -q --weight w p.csv | ml get evaluation.metrics.mcc.value >got
    awk '{ exit !($1 > 2.8460498e-10 - 1e-16 && $1 < 2.8460498e-10 + 1e-16) }' got || { cat got; return 1; }
}
