# Container engines of a test's own: podman with its storage, docker with its daemon. Both need root here.
# teardown calls engines_stop.

# podman takes no run directory of over 50 characters
ENGINE_RUN=/tmp/mlci.$$

engine() {
    mkdir -p "$ENGINE_RUN"
    podman --root "$BATS_TEST_TMPDIR/pr" --runroot "$ENGINE_RUN" --storage-driver vfs --cgroup-manager cgroupfs --events-backend file "$@"
}

# A dockerd below docker/; the rest of the test is skipped where there can be none.
docker_start() {
    local i
    [ "$(id -u)" -eq 0 ] && command -v dockerd >/dev/null || skip "no dockerd here"
    mkdir -p docker
    dockerd --host "unix://$PWD/docker/sock" --data-root "$PWD/docker/data" --exec-root "$PWD/docker/exec" --pidfile "$PWD/docker/pid" \
        --bridge none --iptables=false --ip6tables=false --storage-driver vfs >docker/log 2>&1 3>&- &
    for ((i = 0; i < 300; i++)); do
        own_docker version >/dev/null 2>&1 && return 0
        kill -0 $! 2>/dev/null || skip "dockerd can't start here: $(tail -1 docker/log)"
        sleep 0.1
    done
    cat docker/log
    return 1
}

own_docker() {
    docker -H "unix://$PWD/docker/sock" "$@"
}

engines_stop() {
    local i pid
    if [ -f docker/pid ] && pid=$(cat docker/pid) && kill "$pid"; then
        for ((i = 0; i < 100; i++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -rf "$ENGINE_RUN"
}
