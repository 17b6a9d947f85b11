# What every command test starts with: a directory of its own, and nothing of the caller's environment that a tool reads.
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# fails CODE 'pattern': the last `run --separate-stderr` ended with CODE and said why, matching the pattern, in one line on stderr
fails() {
    [ "$status" -eq "$1" ] || {
        echo "exit $status, wanted $1: $stderr"
        return 1
    }
    [[ "$stderr" =~ $2 ]] || {
        echo "stderr '$stderr' lacks '$2'"
        return 1
    }
    [ "$(grep -c . <<<"$stderr")" -eq 1 ] || {
        echo "more than one line: $stderr"
        return 1
    }
}

# not COMMAND ...: it fails. (A test goes on behind a failing `! command`, and behind a failing `a` of `a && b`.)
not() {
    ! "$@"
}

# waits for a file with a port in it
port_in() {
    local i
    for ((i = 0; i < 200; i++)); do
        [ -s "$1" ] && cat "$1" && return 0
        sleep 0.02
    done
    echo "no server behind $1" >&2
    return 1
}
