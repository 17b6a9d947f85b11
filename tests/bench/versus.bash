# Comparing programs: they run alternately, so that what else the machine does disturbs all of them alike.
#
#     before='rm -rf out'                          # run before each measurement, not measured; may be empty
#     contender ours ml-package ...                # the first one is ours
#     contender 'openssl dgst' openssl dgst -sha256 file
#     versus 'packing 1 GiB' 5                     # a row for each peer: medians, ratio, peak memory
#
# Ratio: the peer's time to ours, above 1 where ours is faster. Memory: the largest resident set of any process, in MiB.

labels=() commands=() before=

# contender LABEL COMMAND ...
contender() {
    labels+=("$1")
    shift
    commands+=("$(printf '%q ' "$@")")
}

table() {
    printf '\n%s\n\n| | ours | peer | | ratio | our peak, MiB | its peak, MiB |\n|---|---|---|---|---|---|---|\n' "$1"
}

# seconds where it is many of them, else milliseconds
time_of() {
    awk -v ms="$1" 'BEGIN { if (ms >= 1000) printf "%.2f s", ms / 1000; else printf "%.1f ms", ms }'
}

# versus NAME RUNS
versus() {
    local name=$1 runs=${BENCH_RUNS:-$2} i k out rc failed='' line
    for i in "${!commands[@]}"; do : >"$work/times.$i"; done
    for ((k = 0; k < runs; k++)); do
        for i in "${!commands[@]}"; do
            [ -z "$before" ] || eval "$before" >"$work/before.log" 2>&1 || {
                echo "| $name | preparing it failed: $(tail -1 "$work/before.log") |"
                labels=() commands=()
                return
            }
            out=$(eval "$spawn 1 ${commands[i]}")
            rc=$?
            [ $rc -le 1 ] && echo "$out" >>"$work/times.$i" || failed="$failed ${labels[i]} ($rc)"
        done
    done
    for i in "${!commands[@]}"; do
        sort -n "$work/times.$i" | awk '{ t[NR] = $2; if ($3 > m) m = $3 } END { print (NR % 2 ? t[(NR + 1) / 2] : (t[NR / 2] + t[NR / 2 + 1]) / 2) + 0, m / 1024 }' >"$work/median.$i"
    done
    read -r ours our_mem <"$work/median.0"
    [ "${#commands[@]}" -gt 1 ] || printf '| %s | %s | | | | %.1f | |\n' "$name" "$(time_of "$ours")" "$our_mem"
    for ((i = 1; i < ${#commands[@]}; i++)); do
        read -r peer mem <"$work/median.$i"
        line=$(awk -v a="$ours" -v b="$peer" 'BEGIN { if (a > 0) printf "%.2f", b / a }')
        printf '| %s | %s | %s | %s | %s | %.1f | %.1f |\n' "$name" "$(time_of "$ours")" "${labels[i]}" "$(time_of "$peer")" "$line" "$our_mem" "$mem"
    done
    [ -z "$failed" ] || echo "| $name | failed:$failed |"
    labels=() commands=()
}
