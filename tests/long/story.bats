#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Every turn of the story but the first (tests/e2e does that), broken on purpose: the demo must see it.

# broken N: turns before N end as told, N doesn't, and the demo exits 1
broken() {
    run "$TOP/examples/demo" --break "$1" --turns "$1" --logs "$BATS_TEST_TMPDIR/logs"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$(grep -c ' as told$' <<<"$output")" -eq $(($1 - 1)) ]
    grep -qE "^$1 .* NOT AS TOLD$" <<<"$output"
}

@test "nobody merges" {
    broken 2
}

@test "the policy lets a worse model through" {
    broken 3
    [[ "$output" == *"ml-gate: exit 0"* ]]
}

@test "the smoke test asks too little" {
    broken 4
}

@test "the second model fails its gate" {
    broken 5
}
