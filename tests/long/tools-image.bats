#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016
# The tools image, made from Debian's mirror, unpacked by umoci and entered.
bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    "$TOP/tools/image" image
    version=$("$TOP/build/bin/ml" --version)
    export IMAGE="oci:$PWD/image:${version##* }" LAYOUT="$PWD/image:${version##* }"
    if [ "$(id -u)" = 0 ]; then
        umoci unpack --image "$LAYOUT" bundle
    else
        umoci unpack --rootless --image "$LAYOUT" bundle
    fi
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return 1
    if [ "$(id -u)" = 0 ]; then
        root=(chroot)
    elif unshare -r true 2>/dev/null; then
        root=(unshare -r chroot)
    else # where user namespaces are off
        root=(sudo -n chroot)
    fi
}

# in the image, with the environment that its configuration gives
inside() {
    path=$(skopeo inspect --config "$IMAGE" | /usr/bin/python3 -c 'import json, sys; print([e[5:] for e in json.load(sys.stdin)["config"]["Env"] if e.startswith("PATH=")][0])')
    "${root[@]}" bundle/rootfs /usr/bin/env -i PATH="$path" HOME=/root "$@"
}

@test "the tools are on PATH in the image, and a shell, and certificates" {
    for tool in "$TOP"/build/bin/ml*; do
        run -0 inside "${tool##*/}" --version
        [ "$output" = "$("$tool" --version)" ]
    done
    run -0 inside sh -c 'test -s /etc/ssl/certs/ca-certificates.crt && sed --version >/dev/null && tail --version >/dev/null'
}

@test "the tools job of the templates takes the tree out of the image" {
    script=$(/usr/bin/python3 -c '
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1] + "/tests/templates")
import gitlab
reader = gitlab.Reader({"p": sys.argv[1]})
config = reader.expand("p", {"include": ["ci-templates/common.yml", "ci-templates/tools.yml"]})
print("\n".join(gitlab.flatten(gitlab.extend(config)["ml-tools"]["script"])))' "$TOP")
    run -0 inside sh -c "set -e; mkdir -p /builds && cd /builds && $script"
    bundle/rootfs/builds/.ml/tools/bin/ml --version
    diff -r bundle/rootfs/usr/lib/mlci bundle/rootfs/builds/.ml/tools
}

@test "made again from the same packages, the image has the same digest" {
    "$TOP/tools/image" again
    [ "$(sed 's/.*"digest":"\([^"]*\)".*/\1/' image/index.json)" = "$(sed 's/.*"digest":"\([^"]*\)".*/\1/' again/index.json)" ]
}
