# Container engines of a test's own: podman with its storage, docker with its daemon. Both need root here.

# podman takes no run directory of over 50 characters
ENGINE_RUN=/tmp/mlci.$$

engine() {
    mkdir -p "$ENGINE_RUN"
    podman --root "$BATS_TEST_TMPDIR/pr" --runroot "$ENGINE_RUN" --storage-driver vfs --cgroup-manager cgroupfs --events-backend file "$@"
}

# docker_start DIR: a dockerd without bridge or firewall rules; its socket's path, or nothing, the reason in DIR/why
docker_start() {
    local dir=$1 home i
    if ! command -v dockerd >/dev/null; then
        echo "dockerd isn't installed" >"$dir/why"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "dockerd needs root" >"$dir/why"
        return
    fi
    home=$(mktemp -d /tmp/mlci-docker.XXXXXX) # a socket's path has less than 108 bytes
    dockerd --host "unix://$home/s" --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" --bridge none \
        --iptables=false --ip6tables=false --storage-driver vfs >"$dir/dockerd.log" 2>&1 3>&- &
    echo "$home" >"$dir/docker"
    for ((i = 0; i < 300; i++)); do
        if docker -H "unix://$home/s" version >/dev/null 2>&1; then
            echo "$home/s"
            return
        fi
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    echo "dockerd can't start here: $(grep -o 'msg=.*' "$dir/dockerd.log" | tail -1)" >"$dir/why"
}

# docker_stop DIR: ends it, if there is one
docker_stop() {
    local home pid i
    [ -f "$1/docker" ] || return 0
    home=$(cat "$1/docker")
    if [ -f "$home/pid" ]; then
        pid=$(cat "$home/pid")
        kill "$pid" 2>/dev/null || true
        for ((i = 0; i < 300; i++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    umount -R "$home/data" 2>/dev/null || true # which it mounts onto itself, and in a chroot leaves
    rm -rf "$home" "$1/docker"
}

# a dockerd for this test, the rest of which is skipped where there can be none
docker_needed() {
    DOCKER=$(docker_start "$PWD")
    [ -n "$DOCKER" ] || skip "$(cat why)"
}

# docker that talks to ours
dk() {
    docker -H "unix://$DOCKER" "$@"
}

# for teardown
engines_stop() {
    docker_stop "$BATS_TEST_TMPDIR"
    rm -rf "$ENGINE_RUN"
}
