load helper

@test "ml alone lists the tools that are there" {
    run ml
    [ "$status" -eq 0 ]
    for t in "$TOP"/tools/ml-*.c; do
        [ -e "$t" ] || continue
        t=${t##*/ml-}
        [[ "$output" == *"ml ${t%.c} "* ]] || { echo "lacks $t"; false; }
    done
}

@test "ml get: dotted, JSON Pointer, missing, objects" {
    echo '{"schema": "mlci.card/1", "a": {"b.c": [1, {"d": "x\ny"}], "n": 1.50}}' >c
    run ml get a.n c
    [ "$output" = 1.50 ]
    run ml get /a/b.c/1/d c
    [ "$output" = $'x\ny' ]
    run ml get a.b.c.1.d c
    [ "$output" = $'x\ny' ]
    run ml get a.b c
    [ "$status" -eq 1 ]
    run ml get a <c
    [ "$output" = '{"b.c": [1, {"d": "x\ny"}], "n": 1.50}' ]
}

@test "ml get: bad cards are 3, with line and column" {
    printf '{"schema": "mlci.card/1",\n "a": 1, "a": 2}' >c
    run --separate-stderr ml get a c
    fails 3 "'c': line 2, column 10: duplicate key"
    echo '{"schema": "mlci.card/2"}' >c
    run --separate-stderr ml get a c
    fails 3 "unknown schema 'mlci.card/2'"
    : >c
    run --separate-stderr ml get a c
    fails 3 "line 1, column 1"
    run --separate-stderr ml get a nowhere
    fails 3 "cannot open 'nowhere'"
    head -c 1000000 /dev/zero | tr '\0' '[' >c
    run --separate-stderr ml get a c
    fails 3 "nested too deep"
}

@test "ml runs a tool, and refuses an unknown one" {
    run --separate-stderr ml nothing
    fails 2 "no tool 'nothing'"
    run --separate-stderr ml ../ml
    fails 2 "no tool"
    run --separate-stderr ml get
    fails 2 "usage: ml get"
}
