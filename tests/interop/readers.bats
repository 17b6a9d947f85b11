#!/usr/bin/env bats
# Other people's tools read what ours write: with the same digest, and containers that find the model.
load peers

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    peers_start
    busybox_base base
    weights model
    WEIGHTS=$(sha256sum <model/weights.bin | cut -d' ' -f1)
    ml-package -q --base oci:base:1 --add model:/models --out oci:img:v1 -o card.json
    DIGEST=$(digest card.json)
    ml-publish -q push --image oci:img:v1 "$REG/ml/shop:v1" </dev/null >pushed.json
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

@test "skopeo: a layout's image to layout, directory, registry and back keeps its digest" {
    [ "$(described "oci:$ALL/img:v1" Digest)" = "$DIGEST" ]
    skopeo copy -q --preserve-digests "oci:$ALL/img:v1" oci:copy:v1
    skopeo copy -q --preserve-digests "oci:$ALL/img:v1" dir:flat
    skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$ALL/img:v1" "docker://$REG/ml/skopeo:v1"
    [ "$(raw oci:copy:v1)" = "$DIGEST" ]
    [ "$(raw dir:flat)" = "$DIGEST" ]
    [ "$(raw "docker://$REG/ml/skopeo:v1")" = "$DIGEST" ]
}

@test "skopeo: what ml-publish pushed is the layout's image" {
    [ "$(raw "docker://$REG/ml/shop:v1")" = "$DIGEST" ]
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/ml/shop@$DIGEST" oci:back:v1
    [ "$(raw oci:back:v1)" = "$DIGEST" ]
    diff <(cd "$ALL/img/blobs/sha256" && sha256sum ./*) <(cd back/blobs/sha256 && sha256sum ./*)
}

@test "umoci and runc: the bundle runs and finds the model" {
    umoci unpack --image "$ALL/img:v1" bundle >/dev/null
    diff -r "$ALL/model" bundle/rootfs/models
    why=$(why_not runc --root run list)
    [ -z "$why" ] || skip "$why"
    py <<'PY'
import json
c = json.load(open("bundle/config.json"))
c["process"] |= {"terminal": False, "args": ["sha256sum", "/models/current"], "rlimits": []}
json.dump(c, open("bundle/config.json", "w"))
PY
    [ "$(runc --root run run -b bundle "mlci$$" | cut -d' ' -f1)" = "$WEIGHTS" ]
}

@test "podman: from the layout" {
    need PODMAN
    cd "$ALL" # podman makes a name of a layout's path, and takes no upper case in it
    id=$(pod pull -q oci:img:v1)
    [ "$(pod image inspect "$id" --format '{{.Digest}}')" = "$DIGEST" ]
    [ "$(read_in pod run "${LIMITS[@]}" "$id")" = "$WEIGHTS" ]
}

@test "podman: from the registry, by tag and by digest" {
    need PODMAN
    id=$(pod pull -q --tls-verify=false "$REG/ml/shop:v1")
    [ "$(pod pull -q --tls-verify=false "$REG/ml/shop@$DIGEST")" = "$id" ]
    [ "$(pod image inspect "$id" --format '{{.Digest}}')" = "$DIGEST" ]
    [ "$(read_in pod run "${LIMITS[@]}" "$REG/ml/shop@$DIGEST")" = "$WEIGHTS" ]
}

@test "docker: from the registry, by tag and by digest" {
    need DOCKER
    dk pull -q "$REG/ml/shop:v1"
    dk pull -q "$REG/ml/shop@$DIGEST"
    [[ "$(dk image inspect "$REG/ml/shop:v1" --format '{{.RepoDigests}}')" == *"$REG/ml/shop@$DIGEST"* ]]
    [ "$(read_in dk run "${LIMITS[@]}" "$REG/ml/shop@$DIGEST")" = "$WEIGHTS" ]
}

@test "docker: what it pushes on is the same image" {
    need DOCKER
    dk pull -q "$REG/ml/shop:v1"
    dk tag "$REG/ml/shop:v1" "$REG/ml/docker:v1"
    dk push -q "$REG/ml/docker:v1"
    ml-fetch -q files "$REG/ml/docker:v1" --path /models --to got >/dev/null
    diff -r --no-dereference "$ALL/model" got
}
