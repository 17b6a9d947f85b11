#!/bin/bash
# Every fuzz target for FUZZ_SECONDS (300), with libFuzzer and sanitizers.
cd "$(dirname "$0")/../.." || exit 3
tests/deps fuzz || exit 3
export FUZZ_SECONDS=${FUZZ_SECONDS:-300}
n=0
for t in tests/fuzz/fuzz_*.c; do
    n=$((n + 1))
    name=$(basename "${t%.c}")
    if out=$(tests/fuzz/run "${name#fuzz_}" 2>&1); then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
    fi
    while read -r line; do echo "# $line"; done <<<"$out"
done
echo "1..$n"
