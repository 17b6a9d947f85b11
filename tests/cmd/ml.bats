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

@test "the README's commands about predictions work as they stand, one after the other" {
    local name
    for name in current candidate a b seed1 seed2 seed3; do
        awk -v name="$name" 'BEGIN {
            srand(6); for (i = 0; i < 700; i++) { y[i] = rand() < .4; x[i] = rand(); age[i] = 18 + int(60 * rand()) }
            srand(length(name) + index("abcdefghijklmnopqrstuvwxyz123", substr(name, length(name))))
            skill = name == "current" ? 1 : 2
            print "id,label,score,region,age"
            for (i = 0; i < 700; i++) printf "%d,%d,%.4f,%s,%d\n", i, y[i], (skill * y[i] + 2 * x[i] + rand()) / (3 + skill), i % 2 ? "north" : "south", age[i]
        }' >"$name.csv"
    done
    sed -n '/^# ml-policy.yml/,/^```/p' "$TOP/README.md" | grep -v '^```' >ml-policy.yml
    grep -E '^    ml-(eval|compare|gate|comment) ' "$TOP/README.md" >commands
    [ "$(wc -l <commands)" -ge 8 ]
    env -u CI_MERGE_REQUEST_IID bash -e commands >/dev/null
    grep -F '**The gate passed**' comment.md
    [ -s pictures/reliability.svg ] && [ -s power.json ] && [ "$(ml get comparison.runs.candidate runs.json | tr -cd , | wc -c)" = 2 ]
    [ "$(ml get comparison.ranking.metric ranked.json)" = accuracy ]
}
