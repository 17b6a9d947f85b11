#!/usr/bin/env bats
# Images that other people's tools made, each packer, format and compression: ml-package builds on them, ml-publish copies them with their
# digest, ml-fetch reads their files as umoci does.
load peers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    peers_start
    weights model
    WEIGHTS=$(sha256sum <model/weights.bin | cut -d' ' -f1)
    mkdir -p root/bin root/etc root/opt/app
    cp /bin/busybox root/bin/busybox
    ln -s busybox root/bin/sh
    ln -s opt/app root/srv
    echo ID=tiny >root/etc/os-release
    echo "print('hi')" >root/opt/app/app.py
    mkdir second && echo more >second/more
    printf 'FROM scratch\nCOPY root /\nCOPY second /opt/app/\nENV A=1\nCMD ["/bin/sh"]\n' >Containerfile
    export WEIGHTS
    BUILDAH_WHY=$(why_not bud bud --isolation chroot -q -f Containerfile -t built .)
    PODMAN_WHY=$BUILDAH_WHY
    export BUILDAH_WHY PODMAN_WHY
}

teardown_file() {
    peers_stop
}

setup() {
    ALL=$BATS_FILE_TMPDIR
    cd "$BATS_TEST_TMPDIR" || return 1
}

# as_input REFERENCE UNPACKED: all three tools on an image whose files are in UNPACKED
as_input() {
    ml-fetch -q files "$1" --path / --to files >fetch.json
    diff -r --no-dereference "$2" files
    ml-package -q --base "$1" --add "$ALL/model:/srv/model" --out oci:out:1 -o card.json
    umoci unpack --image out:1 with >/dev/null
    diff -r "$ALL/model" with/rootfs/opt/app/model
    rm -rf with/rootfs/opt/app/model
    diff -r --no-dereference "$2" with/rootfs
    [ "$(raw oci:out:1)" = "$(digest card.json)" ]
    skopeo copy -q --preserve-digests oci:out:1 oci:again:1
}

# copied REFERENCE REPOSITORY: ml-publish push keeps the digest
copied() {
    ml-publish -q push --image "$1" "$REG/ml/$2:copied" </dev/null >published.json
    [ "$(raw "docker://$REG/ml/$2:copied")" = "$3" ]
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/ml/$2:copied" dir:copied
}

# files_of REFERENCE DIR: what umoci makes of it, in DIR/rootfs
files_of() {
    skopeo copy -q --src-tls-verify=false "$1" oci:files_of:1
    umoci unpack --image files_of:1 "$2" >/dev/null
}

@test "buildah, OCI, gzip: from a layout and from a registry" {
    need BUILDAH
    bud push -q built "oci:built:1"
    bud push -q --tls-verify=false built "docker://$REG/ml/buildah:1"
    umoci unpack --image built:1 want >/dev/null
    as_input oci:built:1 want/rootfs
    copied oci:built:1 buildah "$(raw oci:built:1)"
    rm -rf files out with again
    as_input "$REG/ml/buildah:1" want/rootfs
}

@test "buildah, Docker's schema 2, from a registry: becomes OCI below a model, and stays what it is when it is copied" {
    need BUILDAH
    bud push -q --tls-verify=false --format v2s2 built "docker://$REG/ml/schema2:1"
    want=$(raw "docker://$REG/ml/schema2:1")
    skopeo inspect --raw --tls-verify=false "docker://$REG/ml/schema2:1" | grep -q vnd.docker.distribution.manifest.v2
    files_of "docker://$REG/ml/schema2:1" want
    as_input "$REG/ml/schema2:1" want/rootfs
    not grep -rl vnd.docker.image.rootfs out/index.json "out/blobs/sha256/$(digest card.json | cut -d: -f2)"
    copied "$REG/ml/schema2:1" other "$want"
}

@test "skopeo, zstd" {
    need BUILDAH
    bud push -q built oci:built:1
    skopeo copy -q --dest-compress --dest-compress-format zstd oci:built:1 oci:zstd:1
    umoci unpack --image built:1 want >/dev/null
    ml-fetch -q files oci:zstd:1 --path / --to files >fetch.json
    diff -r --no-dereference want/rootfs files
    ml-package -q --base oci:zstd:1 --add "$ALL/model:/srv/model" --out oci:out:1 -o card.json
    copied oci:zstd:1 zstd "$(raw oci:zstd:1)"
}

@test "podman: an index of two platforms" {
    need PODMAN
    bud bud --isolation chroot -q --platform linux/arm64 -f "$ALL/Containerfile" -t arm "$ALL" >/dev/null
    bud manifest create both >/dev/null
    bud manifest add both built >/dev/null
    bud manifest add both arm >/dev/null
    bud manifest push --all -q --tls-verify=false both "docker://$REG/ml/both:1" >/dev/null
    skopeo copy -q --all --preserve-digests --src-tls-verify=false "docker://$REG/ml/both:1" oci:both:1
    for from in oci:both:1 "$REG/ml/both:1"; do
        for arch in amd64 arm64; do
            ml-package -q --base "$from" --platform "linux/$arch" --add "$ALL/model:/srv/model" --out "oci:out:$arch" -o card.json
            skopeo inspect --raw --config "oci:out:$arch" | grep -q "\"architecture\":\"$arch\""
        done
    done
    want=$(raw oci:both:1)
    copied oci:both:1 both "$want"
    skopeo copy -q --all --preserve-digests --src-tls-verify=false "docker://$REG/ml/both:copied" oci:all:1
    [ "$(raw oci:all:1)" = "$want" ]
}

@test "umoci, gzip, with an annotation and a history of its own" {
    umoci init --layout u
    umoci new --image u:1
    umoci insert --image u:1 "$ALL/root" / >/dev/null
    umoci insert --image u:1 "$ALL/second" /opt/app >/dev/null
    umoci config --image u:1 --config.env B=2 --manifest.annotation "x.y=z"
    umoci unpack --image u:1 want >/dev/null
    as_input oci:u:1 want/rootfs
    copied oci:u:1 umoci "$(raw oci:u:1)"
}

@test "docker build, pushed to a registry" {
    need DOCKER
    DOCKER_BUILDKIT=0 dk build -q -t "$REG/ml/docker:1" -f "$ALL/Containerfile" "$ALL" >/dev/null 2>&1
    dk push -q "$REG/ml/docker:1"
    files_of "docker://$REG/ml/docker:1" want
    as_input "$REG/ml/docker:1" want/rootfs
    copied "$REG/ml/docker:1" elsewhere "$(raw "docker://$REG/ml/docker:1")"
}
