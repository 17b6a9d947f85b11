# Evaluation and comparison of many rows, from the page cache: against pandas and scikit-learn, and against the fastest way in Python that
# we know; the bootstrap of an area against numpy's. BENCH_ROWS (5000000), BENCH_SCORES (1000000), BENCH_REPLICATES (1000).

py=/usr/bin/python3

bench_rows() {
    [ -e "$work/rows.csv" ] || $py tests/bench/peers.py rows "${BENCH_ROWS:-5000000}" "$work/rows.csv" "$work/other.csv" "$work/shuffled.csv" || return
    cat "$work/rows.csv" "$work/other.csv" "$work/shuffled.csv" >/dev/null
}

bench_eval() {
    bench_rows || return
    table "Evaluating ${BENCH_ROWS:-5000000} rows ($(du -m --apparent-size "$work/rows.csv" | cut -f1) MiB): all binary metrics; ours with intervals and the identity of the rows"
    # those that the peers compute, also where two are the same number
    contender ours "$bin/ml-eval" -q --metric precision_micro --metric recall_micro --metric f1_micro --metric recall_macro \
        --metric recall_weighted "$work/rows.csv"
    contender 'pandas, scikit-learn one by one' $py tests/bench/peers.py one-by-one "$work/rows.csv"
    contender 'pandas reads three columns, numpy' $py tests/bench/peers.py fastest "$work/rows.csv"
    versus 'ml-eval' 5
}

bench_auc() {
    $py tests/bench/peers.py scores "${BENCH_SCORES:-1000000}" "$work/scores.bin" || return
    table "${BENCH_REPLICATES:-1000} paired bootstrap replicates of a difference of areas, ${BENCH_SCORES:-1000000} rows, all processors"
    contender ours "$floor/boot" "$work/scores.bin" "${BENCH_REPLICATES:-1000}"
    contender numpy $py tests/bench/peers.py bootstrap "$work/scores.bin" "${BENCH_REPLICATES:-1000}"
    versus 'AUC, bootstrap' 3
}

bench_compare() {
    bench_rows || return
    table "Comparing two files of ${BENCH_ROWS:-5000000} rows, joined by id (a ratio of .33: three times the time of ml-eval on one of them)"
    contender ours "$bin/ml-compare" -q --current "$work/rows.csv" --candidate "$work/other.csv"
    contender ml-eval "$bin/ml-eval" -q "$work/rows.csv"
    versus 'ml-compare, the same order' 5
    contender ours "$bin/ml-compare" -q --current "$work/rows.csv" --candidate "$work/shuffled.csv"
    contender ml-eval "$bin/ml-eval" -q "$work/rows.csv"
    versus 'ml-compare, another order' 5
    contender ours env ML_MEMORY=64M "$bin/ml-compare" -q --current "$work/rows.csv" --candidate "$work/shuffled.csv"
    contender ml-eval "$bin/ml-eval" -q "$work/rows.csv"
    versus 'ml-compare, another order, ids in several passes' 3
}
