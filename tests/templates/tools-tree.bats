#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031
# The tools tree in images that have nothing: no C library, no certificates, no /proc.

bats_require_minimum_version 1.5.0

setup_file() {
    export TREE="$BATS_FILE_TMPDIR/a place/.ml/tools"
    "$TOP/tools/tools-tree" "$TREE"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    # as root, by a user namespace of our own or by sudo
    if [ "$(id -u)" = 0 ]; then
        root=(chroot)
    elif unshare -r true 2>/dev/null; then
        root=(unshare -r chroot)
    else # where user namespaces are off
        root=(sudo -n chroot)
    fi
}

# a root directory with busybox and nothing else; the tree lies in it where a job has it
image() {
    mkdir -p "$1/bin" "$1/builds/shop/model" "$1/tmp"
    cp /bin/busybox "$1/bin/busybox"
    ln -s busybox "$1/bin/sh"
    mkdir "$1/builds/shop/model/.ml"
    cp -R "$TREE" "$1/builds/shop/model/.ml/"
}

in_image() {
    "${root[@]}" image /bin/busybox env -i PATH=/bin HOME=/ /bin/sh -c "cd /builds/shop/model && $1"
}

@test "the tree holds every tool, and no link" {
    for tool in "$TOP"/build/bin/ml*; do
        name=${tool##*/}
        [ -x "$TREE/bin/$name" ]
        [ "$("$TREE/bin/$name" --version)" = "$("$tool" --version)" ]
    done
    bin=("$TREE"/bin/*) built=("$TOP"/build/bin/ml*)
    [ ${#bin[@]} -eq ${#built[@]} ]
    [ -z "$(find "$TREE" -type l)" ]
    [ "$(du -sm "$TREE" | cut -f1)" -lt 40 ]
    # nothing names the place where it was built
    run -1 grep -rlF "$BATS_FILE_TMPDIR" "$TREE"
}

@test "tools run in an image that has only busybox" {
    image image
    run -0 in_image '.ml/tools/bin/ml --version'
    [ "$output" = "$("$TOP/build/bin/ml" --version)" ]
    run -0 in_image 'PATH="$PWD/.ml/tools/bin:$PATH"; cd /tmp; ml --version'
    run -0 in_image 'cd .ml/tools/bin && ./ml --version'
    run -0 in_image 'ln -s /builds/shop/model/.ml/tools/bin/ml /bin/ml && ml --version'
    run -0 in_image 'for t in .ml/tools/bin/*; do "$t" --help >/tmp/help || exit 1; done'
}

@test "arguments, standard input and exit codes go through" {
    image image
    echo '{"schema":"mlci.card/1","model":{"name":"two words é"}}' >image/tmp/card.json
    run -0 in_image '.ml/tools/bin/ml get model.name /tmp/card.json'
    [ "$output" = "two words é" ]
    run -0 in_image '.ml/tools/bin/ml get model.name </tmp/card.json'
    [ "$output" = "two words é" ]
    run -1 in_image '.ml/tools/bin/ml get model.none /tmp/card.json'
    run -3 in_image '.ml/tools/bin/ml get model.name "/tmp/no such file"'
    [[ "$output" == *"no such file"* ]]
    run -2 in_image '.ml/tools/bin/ml --no-such-option'
}

@test "ml finds its sisters in the tree" {
    image image
    run -0 in_image '.ml/tools/bin/ml gate --version'
    [ "$output" = "$("$TOP/build/bin/ml-gate" --version)" ]
}

@test "foreign libraries are not loaded" {
    mkdir lib
    for f in "$TREE"/lib/*; do echo 'not a library' >"lib/${f##*/}"; done
    run -0 env LD_LIBRARY_PATH="$PWD/lib" "$TREE/bin/ml" --version
    [ "$output" = "$("$TOP/build/bin/ml" --version)" ]
}

@test "a tree that is not whole says so" {
    cp -R "$TREE" tree
    rm tree/lib/ld.so
    run -3 tree/bin/ml --version
    [[ "$output" == *"lib/ld.so"* ]]
}

@test "the certificates that a tree carries are used where an image has none" {
    mkdir ca
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca/key.pem -out ca/cert.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >registry.yml <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $PWD/registry}}
http: {addr: "127.0.0.1:$port", secret: x, tls: {certificate: $PWD/ca/cert.pem, key: $PWD/ca/key.pem}}
END
    docker-registry serve registry.yml 3>&- &
    registry=$!
    for _ in $(seq 100); do curl -sk "https://127.0.0.1:$port/v2/" >/dev/null && break; sleep 0.05; done
    try="echo '{\"path\":\"/v2/\",\"status\":200}' >/tmp/cases && .ml/tools/bin/ml-smoke --url https://127.0.0.1:$port --cases /tmp/cases --ready /v2/ --timeout 1"
    image image
    run -5 in_image "$try"
    [[ "$output" == *certificate* ]]
    TREE=$PWD/other/tools
    ML_CA_BUNDLE=$PWD/ca/cert.pem "$TOP/tools/tools-tree" "$TREE"
    rm -rf image
    image image
    run -0 in_image "$try"
    kill "$registry"
}

@test "starting through the tree costs little" {
    # the best of many, so that a busy machine doesn't count
    /usr/bin/python3 - "$TREE/bin/ml" "$TOP/build/bin/ml" <<'END'
import subprocess, sys, time
def best(path):
    times = []
    for _ in range(60):
        t = time.perf_counter()
        subprocess.run([path, "--version"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - t)
    return min(times) * 1000
tree, plain = best(sys.argv[1]), best(sys.argv[2])
print(f"tree {tree:.2f} ms, plain {plain:.2f} ms")
sys.exit(tree - plain > 3)
END
}
