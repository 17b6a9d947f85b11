#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The story of examples/sections, told in full, and told with a turn broken on purpose. Logs of a failure stay below build/e2e/.

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export ROOT LOGS="$ROOT/build/e2e"
    rm -rf "$LOGS"
    mkdir -p "$LOGS"
    status=0
    "$ROOT/examples/demo" --logs "$LOGS/story" > "$LOGS/story.txt" 2>&1 || status=$?
    echo "$status" > "$LOGS/story.status"
    sed 's/^/# /' "$LOGS/story.txt" >&3
}

teardown_file() {
    [ -e "$LOGS/keep" ] || rm -rf "$LOGS"
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || touch "$LOGS/keep"
}

# turn N: its line in the last table must say what was told
turn() {
    grep -E "^$1 .* as told$" "$LOGS/story.txt"
}

@test "the first pipeline reaches production" {
    turn 1
}

@test "an improvement is commented, merged and promoted" {
    turn 2
}

@test "a regression is stopped and explained" {
    turn 3
}

@test "a failed smoke test leaves production alone, and a rollback is recorded" {
    turn 4
}

@test "two models in one repository both go through" {
    turn 5
}

@test "the whole story exits 0" {
    [ "$(cat "$LOGS/story.status")" = 0 ]
}

@test "nothing of the story is left behind" {
    run ls -d "${TMPDIR:-/tmp}"/mlci-story-*
    [ "$status" -ne 0 ]
    run grep -c mlci-story- /proc/self/mounts
    [ "$output" = 0 ]
}

@test "a turn broken on purpose is noticed" {
    run "$ROOT/examples/demo" --break 1 --turns 1 --logs "$LOGS/broken"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"NOT AS TOLD"* ]]
}
