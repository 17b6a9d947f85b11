# Other people's tools on images: started here with what they need to work in a container that is itself one, without a network.
# What can't work on a machine is found out once, and its tests are skipped with the reason.

# shellcheck source=tests/cmd/helper.bash
load ../cmd/helper
load ../cmd/images
load ../cmd/registry
load ../cmd/engines

# why_not COMMAND ...: nothing when it works, else the last line that it says
why_not() {
    local out
    out=$("$@" 2>&1 </dev/null) || echo "$1 can't work here: $(tail -1 <<<"$out")"
}

# peers_start: a registry, a dockerd and a place for podman, for all tests of a file: REG, DOCKER (or DOCKER_WHY not), STORE
peers_start() {
    STORE=$(store_make "$PWD")
    DOCKER=$(docker_start "$PWD")
    REG=$(registry_start "$PWD" registry)
    [ -n "$DOCKER" ] && DOCKER_WHY='' || DOCKER_WHY=$(cat why)
    export STORE DOCKER DOCKER_WHY REG
}

peers_stop() {
    docker_stop "$BATS_FILE_TMPDIR"
    store_remove "$BATS_FILE_TMPDIR"
    servers_stop "$BATS_FILE_TMPDIR"
}

# store_make DIR: a place for podman's and buildah's storage, which takes no path of more than 50 characters
store_make() {
    mktemp -d /tmp/mlci-store.XXXXXX | tee "$1/store"
}

store_remove() {
    [ ! -f "$1/store" ] || rm -rf "$(cat "$1/store")"
}

# podman and buildah with that storage
pod() {
    podman --root "$STORE/root" --runroot "$STORE/run" --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime runc "$@"
}

bud() {
    buildah --root "$STORE/root" --runroot "$STORE/run" --storage-driver vfs "$@"
}

# podman_probe REFERENCE: whether podman can run containers at all, with an image that isn't ours
podman_probe() {
    skopeo copy -q "$1" oci-archive:probe.tar:probe
    pod load -q -i probe.tar
    pod run "${LIMITS[@]}" "$(pod images -q | head -1)" cat /etc/os-release
}

# need PODMAN|DOCKER|BUILDAH: skips the rest where it can't work, and says why
need() {
    local why=${1}_WHY
    [ -z "${!why}" ] || skip "${!why}"
}

# what keeps a container from needing more rights than a test has
LIMITS=(--rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

# busybox_base DIR [compress]: tag 1, an image with a shell and sha256sum
busybox_base() {
    py "$@" <<'PY'
import gzip, images, sys, tarfile

path, kind = sys.argv[1], (sys.argv + [""])[2]
with open("/bin/busybox", "rb") as f:
    busybox = f.read()
e = images.entry
links = [e("usr/bin/" + n, type=tarfile.SYMTYPE, link="busybox") for n in ("cat", "ls", "sh", "sha256sum")]
layer = images.tar(
    e("usr/"), e("usr/bin/"), e("bin", type=tarfile.SYMTYPE, link="usr/bin"), e("usr/bin/busybox", busybox, mode=0o755), *links,
    e("etc/"), e("etc/os-release", b"ID=tiny\n"), e("tmp/", mode=0o1777), e("app/", uid=33, gid=44), e("app/app.py", b"print('hi')\n"))
pack = {"": lambda x: x, "gzip": lambda x: gzip.compress(x, 6, mtime=0), "zstd": images.zstd}[kind]
images.Layout(path).image("1", [pack(layer)], config={"config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]}})
PY
}

# weights DIR: a model directory with 300 kB of noise; WEIGHTS is its digest
weights() {
    mkdir -p "$1/vocab"
    head -c 300000 /dev/urandom >"$1/weights.bin"
    printf 'alpha: 1.0e-05\n' >"$1/vocab/params.yaml"
    ln -s weights.bin "$1/current"
}

# read_in: prints what sha256sum says of the model in a container; arguments: a command that runs one
read_in() {
    "$@" sha256sum /models/current | cut -d' ' -f1
}

# raw REFERENCE: digest of the manifest, by skopeo
raw() {
    echo "sha256:$(skopeo inspect --raw --tls-verify=false "$1" | sha256sum | cut -d' ' -f1)"
}

# inside REFERENCE KEY: of skopeo's description
described() {
    skopeo inspect --tls-verify=false "$1" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}
