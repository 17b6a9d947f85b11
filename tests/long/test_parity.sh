#!/bin/bash
# The live peers with all the cases that are made up, of which make check asks a part.
cd "$(dirname "$0")/../.." || exit 3
n=0
for t in tests/parity/test_*.py; do
    n=$((n + 1))
    if out=$(MLCI_LONG=1 tests/run "$t" 2>&1); then
        echo "ok $n - $t"
    else
        echo "not ok $n - $t"
    fi
    while read -r line; do echo "# $line"; done <<<"$out"
done
echo "1..$n"
