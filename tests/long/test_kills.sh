#!/bin/bash
# Hundreds of kills: one at every call of a tool that changes a file, and a thousand at any time while a file is written.
cd "$(dirname "$0")/../.." || exit 3
n=0
report() {
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
    fi
    while read -r line; do echo "# $line"; done <<<"$3"
}
out=$(MLCI_SUITE_ALL=1 /usr/bin/python3 tests/suite/test_examples.py 2>&1)
report $? "faults and kills at every call" "$(grep -vE '^ok|^1\.\.' <<<"$out")"
out=$(MLCI_KILLS=1000 "${B:-build}/tests/unit/test_file" 2>&1)
report $? "a thousand kills of a writer" "$(grep -E 'kill|not ok' <<<"$out")"
echo "1..$n"
