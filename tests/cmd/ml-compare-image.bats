# ml-compare --current REF: the card and the predictions that are attached to an image, in a registry and in a layout on disk alike
bats_require_minimum_version 1.5.0
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    for t in a b; do image_make "$IMG" $t 3000; done
    REG=$(registry_start "$BATS_FILE_TMPDIR" reg)
    export IMG REG
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

value() {
    ml get "$1" "$2"
}

# predictions FIRST WRONG: rows FIRST.. of 200, every WRONG-th of them wrong
predictions() {
    echo id,label,prediction
    for i in $(seq "$1" $(($1 + 199))); do echo "r$i,$((i % 2)),$(((i % $2 == 0) != (i % 2)))"; done
}

# place registry|layout: R is a repository of this test's own
place() {
    case $1 in
    registry) R=$REG/test/c$BATS_TEST_NUMBER ;;
    layout) R=oci:$PWD/reg ;;
    esac
}

# publish TAG PREDICTIONS: measures, compares, gates, pushes and promotes image TAG
publish() {
    printf 'metrics:\n  accuracy: { min: 0.1 }\n' >ml-policy.yml
    ml-eval -q -o "$1.eval.json" "$2"
    ml-compare -q --card "$1.eval.json" --candidate "$2" --current "$R:production" -o "$1.compared.json"
    ml-gate -q ml-policy.yml --card "$1.compared.json" -o "$1.gated.json"
    ml-publish push -q --card "$1.gated.json" --image "oci:$IMG:$1" --predictions "$2" "$R:$1-1" -o "$1.json"
    ml-publish promote -q --card "$1.json" "$R@$(value publication.digest "$1.json")" --to production >"$1.promoted.json"
}

story() {
    predictions 1 4 >a.csv
    predictions 1 10 >b.csv
    # nothing there yet: current is null, with the reason, and the exit code is 0
    ml-eval -q -o b.eval.json b.csv
    ml-compare -q --card b.eval.json --candidate b.csv --current "$R:production" -o none.json
    [ "$(value comparison.current none.json)" = null ]
    [[ "$(value comparison.reason none.json)" =~ "no current model: '$R:production' isn't there yet" ]]
    [ "$(value comparison.metrics none.json | tr -d ' \n')" = '{}' ]

    # stored predictions go before those that are predicted now, as long as they are about the same rows
    publish a a.csv
    predictions 1 3 >now.csv
    ml-compare -q --card b.eval.json --candidate b.csv --current "$R:production" --current-predictions now.csv -o stored.json
    ml-compare -q --card b.eval.json --candidate b.csv --current a.csv -o file.json
    [ "$(value comparison.current.predictions stored.json)" = stored ]
    [ "$(value comparison.current.reference stored.json)" = "$R:production" ]
    [ "$(value comparison.current.digest stored.json)" = "$(value publication.digest a.json)" ]
    [ "$(value comparison.current.data stored.json)" = "$(value evaluation.data a.json)" ]
    [ "$(value comparison.current.policy_digest stored.json)" = "$(value gate.policy_digest a.json)" ]
    [ "$(value comparison.metrics stored.json)" = "$(value comparison.metrics file.json)" ]
    [ "$(value comparison.metrics.accuracy.verdict stored.json)" = better ]
    # one promotion was judged by these rows, and this is another use of them
    [ "$(value comparison.reuse.seen stored.json)" = 2 ]
    ml-compare -q --card b.eval.json --candidate b.csv --current "$R:production" --look 3 -o look.json
    [ "$(value comparison.reuse.seen look.json)" = 4 ]

    # the card in a file says which image it was
    ml-compare -q --card b.eval.json --candidate b.csv --current a.json --current-predictions a.csv -o card.json
    [ "$(value comparison.current.digest card.json)" = "$(value publication.digest a.json)" ]
    [ "$(value comparison.current.data card.json)" = "$(value evaluation.data a.json)" ]
    [ "$(value comparison.metrics card.json)" = "$(value comparison.metrics file.json)" ]

    # by digest too
    ml-compare -q --card b.eval.json --candidate b.csv --current "$R@$(value publication.digest a.json)" -o digest.json
    [ "$(value comparison.metrics digest.json)" = "$(value comparison.metrics stored.json)" ]

    # other rows: what is predicted now takes the place of what is stored
    predictions 101 10 >c.csv
    predictions 101 3 >now.csv
    ml-eval -q -o c.eval.json c.csv
    ml-compare -q --card c.eval.json --candidate c.csv --current "$R:production" --current-predictions now.csv -o now.json
    [ "$(value comparison.current.predictions now.json)" = given ]
    [ "$(value comparison.rows now.json)" = 200 ]
    [ "$(value comparison.current.data now.json)" = "$(value evaluation.data a.json)" ]
    [ "$(value comparison.reuse.seen now.json)" = 1 ]
    # without it the section says so
    ml-compare -q --card c.eval.json --candidate c.csv --current "$R:production" -o says.json
    [ "$(value comparison.current.predictions says.json)" = null ]
    [[ "$(value comparison.reason says.json)" =~ '100 ids only in '.*'100 ids only in '.*'no others were given' ]]
    [ "$(value comparison.metrics says.json | tr -d ' \n')" = '{}' ]
    run ml-gate -q ml-policy.yml --card says.json
    [ "$status" -eq 0 ]
    printf 'metrics:\n  accuracy: { must: not_regress }\n' >must.yml
    run ml-gate -q must.yml --card says.json
    [ "$status" -eq 1 ]
    # with drop what both have is compared, and unpaired what the cards say
    ml-compare -q --unmatched drop --card c.eval.json --candidate c.csv --current "$R:production" -o drop.json
    [ "$(value comparison.rows drop.json)" = 100 ]
    [ "$(value comparison.unmatched.current drop.json)" = 100 ]
    ml-compare -q --unpaired --card c.eval.json --candidate c.csv --current "$R:production" -o unpaired.json
    [ "$(value comparison.paired unpaired.json)" = false ]
    [ "$(value comparison.metrics.accuracy.current unpaired.json)" = "$(value evaluation.metrics.accuracy.value a.json)" ]
    # predicted now, but about other rows again: exit 4
    run --separate-stderr ml-compare --card c.eval.json --candidate c.csv --current "$R:production" --current-predictions a.csv
    fails 4 'not about the same rows'

    # columns that the stored predictions lack
    run --separate-stderr ml-compare -q --label truth --current "$R:production" --candidate <(sed '1s/label/truth/' b.csv) </dev/null
    [ "$status" -eq 0 ]
    [[ "$output" =~ 'the stored predictions cannot be used: ' ]]

    # the second promotion compares with the first, a third sees both
    publish b b.csv
    [ "$(value comparison.current.digest b.json)" = "$(value publication.digest a.json)" ]
    ml-compare -q --card b.eval.json --candidate b.csv --current "$R:production" -o third.json
    [ "$(value comparison.identical third.json)" = true ]
    [ "$(value comparison.reuse.seen third.json)" = 3 ]
}

@test "the story of a current model, in a registry" {
    place registry
    story
}

@test "the story of a current model, in a layout" {
    place layout
    story
}

@test "an image without predictions, and one without a card" {
    place layout
    predictions 1 4 >a.csv
    skopeo copy -q "oci:$IMG:a" "$R:production"
    ml-compare -q --current "$R:production" --candidate a.csv </dev/null >n.json
    [ "$(value comparison.current.data n.json)" = null ]
    [[ "$(value comparison.reason n.json)" =~ 'has no predictions attached, and no others were given' ]]
    ml-compare -q --current "$R:production" --current-predictions a.csv --candidate a.csv </dev/null >g.json
    [ "$(value comparison.identical g.json)" = true ]
    [ "$(value comparison.current.predictions g.json)" = given ]
    ml-compare -q --unpaired --current "$R:production" --candidate a.csv </dev/null >u.json
    [[ "$(value comparison.reason u.json)" =~ 'neither a card with an evaluation nor predictions' ]]
}

@test "what cannot be known isn't 'none yet'" {
    predictions 1 4 >a.csv
    # a tag that isn't there by digest, a registry that isn't there, a reference that is none
    run --separate-stderr ml-compare --current "$REG/test/nothing@sha256:$(printf %064d 1)" --candidate a.csv </dev/null
    fails 5 .
    run --separate-stderr timeout 60 ml-compare --current "127.0.0.1:1/test/x:production" --candidate a.csv </dev/null
    fails 6 127.0.0.1
    run --separate-stderr ml-compare --current "sections:production" --candidate a.csv </dev/null
    fails 3 'sections:production'
}
