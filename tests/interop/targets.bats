#!/usr/bin/env bats
# The ways an image can go (layout, registry, one tar) and the shapes its layers can have, read by other people's tools: one image is one digest.
load peers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    peers_start
    busybox_base base
    weights model
    WEIGHTS=$(sha256sum <model/weights.bin | cut -d' ' -f1)
    ml-package -q --base oci:base:1 --add model:/models --out oci:img:v1 -o card.json
    DIGEST=$(digest card.json)
    export WEIGHTS DIGEST
    PODMAN_WHY=$(why_not podman_probe oci:base:1)
    export PODMAN_WHY
}

teardown_file() {
    peers_stop
}

setup() {
    ALL=$BATS_FILE_TMPDIR
    cd "$BATS_TEST_TMPDIR" || return 1
}

# pack OPTION ...: the model onto the base
pack() {
    ml-package -q --base "oci:$ALL/base:1" --add "$ALL/model:/models" "$@" -o card.json
}

@test "--to a registry: the digest of --out, and podman and docker run it" {
    pack --to "$REG/ml/to:v1"
    [ "$(digest card.json)" = "$DIGEST" ]
    [ "$(raw "docker://$REG/ml/to:v1")" = "$DIGEST" ]
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/ml/to:v1" oci:back:v1
    umoci unpack --image back:v1 bundle >/dev/null
    diff -r "$ALL/model" bundle/rootfs/models
    need PODMAN
    [ "$(read_in pod run "${LIMITS[@]}" --tls-verify=false "$REG/ml/to@$DIGEST")" = "$WEIGHTS" ]
    need DOCKER
    [ "$(read_in dk run "${LIMITS[@]}" "$REG/ml/to@$DIGEST")" = "$WEIGHTS" ]
}

@test "--archive: skopeo reads it as either kind" {
    pack --archive img.tar:shop/model:v1
    [ "$(digest card.json)" = "$DIGEST" ]
    [ "$(described oci-archive:img.tar Digest)" = "$DIGEST" ]
    [ "$(raw oci-archive:img.tar)" = "$DIGEST" ]
    skopeo copy -q --preserve-digests oci-archive:img.tar oci:from-oci:v1
    [ "$(raw oci:from-oci:v1)" = "$DIGEST" ]
    skopeo inspect docker-archive:img.tar:shop/model:v1 >/dev/null
    # skopeo makes a manifest of its own for this kind; the config, and with it the image's ID, is ours
    [ "$(skopeo inspect --raw --config docker-archive:img.tar | sha256sum)" = "$(skopeo inspect --raw --config oci-archive:img.tar | sha256sum)" ]
    umoci unpack --image from-oci:v1 bundle >/dev/null
    diff -r "$ALL/model" bundle/rootfs/models
}

@test "--archive: podman loads and runs it" {
    need PODMAN
    pack --archive img.tar:shop/model:v1
    pod load -q -i img.tar
    [ "$(read_in pod run "${LIMITS[@]}" shop/model:v1)" = "$WEIGHTS" ]
}

@test "--archive: docker loads and runs it" {
    need DOCKER
    pack --archive img.tar:shop/model:v1
    dk load -q -i img.tar
    [ "$(dk image inspect shop/model:v1 --format '{{.Id}}')" = "$(/usr/bin/python3 -c '
import json, sys, tarfile
t = tarfile.open("img.tar")
m = json.load(t.extractfile("blobs/sha256/" + sys.argv[1][7:]))
print(m["config"]["digest"])' "$DIGEST")" ]
    [ "$(read_in dk run "${LIMITS[@]}" shop/model:v1)" = "$WEIGHTS" ]
}

@test "--compress gzip: every reader; the digest is the same by all ways" {
    pack --compress gzip --out oci:gz:v1
    want=$(digest card.json)
    [ "$want" != "$DIGEST" ]
    pack --compress gzip --to "$REG/ml/gzip:v1"
    [ "$(digest card.json)" = "$want" ]
    pack --compress gzip --archive gz.tar:shop/gzip:v1
    [ "$(digest card.json)" = "$want" ]
    [ "$(raw "docker://$REG/ml/gzip:v1")" = "$want" ]
    [ "$(raw oci-archive:gz.tar)" = "$want" ]
    layer=gz/blobs/sha256/$(ml get image.layers.0.digest card.json | cut -d: -f2)
    gzip -t <"$layer"
    [ "sha256:$(gzip -dc <"$layer" | sha256sum | cut -d' ' -f1)" = "$(ml get image.layers.0.diff_id card.json)" ]
    umoci unpack --image gz:v1 bundle >/dev/null
    diff -r "$ALL/model" bundle/rootfs/models
    need PODMAN
    [ "$(read_in pod run "${LIMITS[@]}" --tls-verify=false "$REG/ml/gzip@$want")" = "$WEIGHTS" ]
    need DOCKER
    [ "$(read_in dk run "${LIMITS[@]}" "$REG/ml/gzip@$want")" = "$WEIGHTS" ]
    dk load -q -i gz.tar
    [ "$(read_in dk run "${LIMITS[@]}" shop/gzip:v1)" = "$WEIGHTS" ]
}

@test "--compress zstd: skopeo and podman; Docker 20.10 and umoci 0.4 read no zstd" {
    pack --compress zstd --out oci:zst:v1
    want=$(digest card.json)
    pack --compress zstd --to "$REG/ml/zstd:v1"
    [ "$(digest card.json)" = "$want" ]
    [ "$(raw "docker://$REG/ml/zstd:v1")" = "$want" ]
    layer=zst/blobs/sha256/$(ml get image.layers.0.digest card.json | cut -d: -f2)
    [ "sha256:$(zstd -q -dc <"$layer" | sha256sum | cut -d' ' -f1)" = "$(ml get image.layers.0.diff_id card.json)" ]
    skopeo copy -q --preserve-digests oci:zst:v1 oci:again:v1
    ml-fetch -q files oci:zst:v1 --path /models --to got >/dev/null
    diff -r --no-dereference "$ALL/model" got
    need PODMAN
    [ "$(read_in pod run "${LIMITS[@]}" --tls-verify=false "$REG/ml/zstd@$want")" = "$WEIGHTS" ]
}

@test "--split: several layers, one tree" {
    mkdir shards
    for i in $(seq 12); do head -c 400000 /dev/urandom >"shards/model-$i.safetensors"; done
    ml-package -q --base "oci:$ALL/base:1" --add shards:/models --split 1M --out oci:split:v1 -o card.json
    want=$(digest card.json)
    [ "$(skopeo inspect oci:split:v1 | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["Layers"]))')" -gt 4 ]
    umoci unpack --image split:v1 bundle >/dev/null
    diff -r shards bundle/rootfs/models
    ml-package -q --base "oci:$ALL/base:1" --add shards:/models --split 1M --to "$REG/ml/split:v1" -o card.json
    [ "$(raw "docker://$REG/ml/split:v1")" = "$want" ]
    ml-package -q --base "oci:$ALL/base:1" --add shards:/models --split 1M --archive split.tar:shop/split:v1 -o card.json
    [ "$(raw oci-archive:split.tar)" = "$want" ]
    want=$(cat shards/* | sha256sum | cut -d' ' -f1)
    need PODMAN
    [ "$(pod run "${LIMITS[@]}" --tls-verify=false "$REG/ml/split:v1" sh -c 'cat /models/* | sha256sum' | cut -d' ' -f1)" = "$want" ]
    need DOCKER
    dk load -q -i split.tar
    [ "$(dk run "${LIMITS[@]}" shop/split:v1 sh -c 'cat /models/* | sha256sum' | cut -d' ' -f1)" = "$want" ]
}

@test "a base in Docker's schema 2 and gzip, converted: podman and docker run it" {
    need DOCKER
    busybox_base gzipped gzip
    skopeo copy -q --format v2s2 --dest-tls-verify=false oci:gzipped:1 "docker://$REG/ml/base2:1"
    ml-package -q --base "$REG/ml/base2:1" --add "$ALL/model:/models" --to "$REG/ml/schema2:v1" -o card.json
    skopeo inspect --raw --tls-verify=false "docker://$REG/ml/schema2:v1" | not grep vnd.docker
    [ "$(raw "docker://$REG/ml/schema2:v1")" = "$(digest card.json)" ]
    [ "$(read_in dk run "${LIMITS[@]}" "$REG/ml/schema2@$(digest card.json)")" = "$WEIGHTS" ]
    need PODMAN
    [ "$(read_in pod run "${LIMITS[@]}" --tls-verify=false "$REG/ml/schema2:v1")" = "$WEIGHTS" ]
}

@test "--format modelpack: skopeo carries it to a registry and back" {
    ml-package -q --base scratch --format modelpack --add "$ALL/model:/models" --name sections --out oci:pack:v1 -o card.json
    want=$(digest card.json)
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:pack:v1 "docker://$REG/ml/pack:v1"
    [ "$(raw "docker://$REG/ml/pack:v1")" = "$want" ]
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/ml/pack:v1" oci:back:v1
    [ "$(raw oci:back:v1)" = "$want" ]
    ml-package -q --base scratch --format modelpack --add "$ALL/model:/models" --name sections --to "$REG/ml/pack:to" -o card.json
    [ "$(raw "docker://$REG/ml/pack:to")" = "$want" ]
    skopeo inspect --raw --tls-verify=false "docker://$REG/ml/pack:to" | /usr/bin/python3 -c '
import json, sys
m = json.load(sys.stdin)
assert m["artifactType"] == "application/vnd.cncf.model.manifest.v1+json", m
assert m["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
assert all(l["mediaType"].startswith("application/vnd.cncf.model.") for l in m["layers"])'
}
