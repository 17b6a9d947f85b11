#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The story of examples/sections, told in full, and told with a turn broken on purpose. Logs of a failure stay below build/e2e/.

setup_file() {
    export LOGS="$TOP/build/e2e"
    rm -rf "$LOGS"
    mkdir -p "$LOGS"
    status=0
    "$TOP/examples/demo" --logs "$LOGS/story" > "$LOGS/story.txt" 2>&1 || status=$?
    echo "$status" > "$LOGS/story.status"
}

teardown_file() {
    [ -e "$LOGS/keep" ] || rm -rf "$LOGS"
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || touch "$LOGS/keep"
}

# turn N: its line in the last table must say what was told
turn() {
    cat "$LOGS/story.txt"
    grep -qE "^$1 .* as told$" "$LOGS/story.txt"
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
    dir=$(sed -n 's/^Setting the stage in \([^:]*\):.*/\1/p' "$LOGS/story.txt")
    [ -n "$dir" ]
    [ ! -e "$dir" ]
    run grep -F "$dir" /proc/self/mounts
    [ -z "$output" ]
    run pgrep -f "$dir"
    [ -z "$output" ]
}

@test "a turn broken on purpose is noticed" {
    run "$TOP/examples/demo" --break 1 --turns 1 --logs "$LOGS/broken"
    echo "$output"
    [ "$status" -eq 1 ]
    grep -qE '^1 .* NOT AS TOLD$' <<<"$output"
}

@test "a story that is interrupted leaves nothing behind" {
    as=()
    [ "$EUID" -eq 0 ] || as=(sudo)
    "$TOP/examples/demo" --turns 1 > "$LOGS/interrupted.txt" 2>&1 3>&- &
    demo=$!
    # amid a deployment, which a job of the pipeline has begun
    while dir=$(sed -n 's/^Setting the stage in \([^:]*\):.*/\1/p' "$LOGS/interrupted.txt"); [ -z "$dir" ] || ! pgrep -f "$dir/podman.* (pull|run) " > /dev/null; do
        [ -e "/proc/$demo" ]
        sleep 0.1
    done
    "${as[@]}" kill "$demo"
    status=0
    wait "$demo" || status=$?
    cat "$LOGS/interrupted.txt"
    [ "$status" -eq 143 ]
    grep -q "interrupted, cleaning up" "$LOGS/interrupted.txt"
    [ ! -e "$dir" ]
    run grep -F "$dir" /proc/self/mounts
    [ -z "$output" ]
    run pgrep -f "$dir"
    [ -z "$output" ]
}
