#!/usr/bin/env bats
# ml-package and ml-fetch with Debian's docker-registry: bases that are there, and what comes back.
load helper
load images
load registry

setup_file() {
    REG=$(registry_start "$BATS_FILE_TMPDIR" open)
    AUTH=$(registry_start "$BATS_FILE_TMPDIR" closed basic)
    export REG AUTH
    cd "$BATS_FILE_TMPDIR" || return 1
    base base
    model m
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:base:1 "docker://$REG/shop/base:1"
    skopeo copy -q --dest-tls-verify=false --format v2s2 oci:base:1 "docker://$REG/shop/base:docker"
    skopeo copy -q --preserve-digests --dest-tls-verify=false --dest-creds "ci:$SECRET" oci:base:1 "docker://$AUTH/shop/base:1"
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

@test "a base in a registry gives what the same base in a layout gives, and its name" {
    cp -r "$BATS_FILE_TMPDIR"/{base,m} .
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:img:1 >card.json
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:2 >local.json
    [ "$(ml get image.layers.0.digest card.json)" = "$(ml get image.layers.0.digest local.json)" ]
    [ "$(ml get image.base.digest card.json)" = "$(ml get image.base.digest local.json)" ]
    ml-package -q --base "$REG/shop/base@$(ml get image.base.digest card.json)" --add m:/app/model --out oci:img:3 >by-digest.json
    py "$REG" <<'PY'
import images, sys
m, c = images.load("img", "1")
a = m["annotations"]
assert a["org.opencontainers.image.base.name"] == sys.argv[1] + "/shop/base:1", a
assert len(m["layers"]) == 2
n, d = images.load("img", "3")
assert n["layers"] == m["layers"] and n["config"] == m["config"]
assert n["annotations"]["org.opencontainers.image.base.name"].endswith("@" + a["org.opencontainers.image.base.digest"])
PY
    skopeo copy -q --preserve-digests oci:img:1 oci:copy:1
    unpacked img:1 bundle
    diff -r m bundle/rootfs/app/model
    # from commit to commit nothing changes
    CI_COMMIT_SHA=other CI_PIPELINE_IID=9 ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:img:4 >again.json
    [ "$(digest again.json)" = "$(digest card.json)" ]
}

@test "a base in Docker's format, pushed by skopeo, becomes OCI" {
    cp -r "$BATS_FILE_TMPDIR/m" .
    skopeo inspect --raw --tls-verify=false "docker://$REG/shop/base:docker" | grep -q docker.distribution.manifest.v2
    ml-package -q --base "$REG/shop/base:docker" --add m:/app/model --out oci:img:1 >card.json
    skopeo inspect --raw oci:img:1 >raw
    not grep -q vnd.docker raw
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:img:1 "docker://$REG/shop/img:docker"
    [ "$(skopeo inspect --raw --tls-verify=false "docker://$REG/shop/img:docker" | sha256sum | cut -d' ' -f1)" = "$(digest card.json | cut -d: -f2)" ]
    unpacked img:1 bundle
    [ "$(readlink bundle/rootfs/lib)" = usr/lib ]
}

@test "packaged, pushed and fetched again, the model is the same, and the base isn't downloaded" {
    cp -r "$BATS_FILE_TMPDIR/m" .
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:img:1 >card.json
    ml-publish push -q --card card.json "$REG/shop/sections:v1" -o published.json
    ml-fetch files "$REG/shop/sections:v1" --path /app/model --to out -o fetch.json 2>err
    diff -r --no-dereference m out
    grep -q '(1 of 2 layers read)' err
    [ "$(ml get fetch.digest fetch.json)" = "$(digest card.json)" ]
    ml-fetch -q files "$REG/shop/sections@$(digest card.json)" --path /etc --to etc >etc.json
    [ "$(cat etc/os-release)" = ID=tiny ]
    ml-fetch -q card "$REG/shop/sections:v1" >got.json
    [ "$(ml get image.digest got.json)" = "$(digest card.json)" ]
}

@test "credentials: refused is 5, never 'none yet', and no secret is told" {
    cp -r "$BATS_FILE_TMPDIR/m" .
    run --separate-stderr ml-package -q --base "$AUTH/shop/base:1" --add m:/app/model --out oci:img:1
    fails 5 "401"
    for what in "files $AUTH/shop/base:1 --path /etc --to out" "card $AUTH/shop/base:1" "card $AUTH/nothing/here:1"; do
        run --separate-stderr ml-fetch -q $what --optional
        fails 5 "401"
        [ -z "$output" ] && [ ! -e out ]
    done
    export CI_REGISTRY=$AUTH CI_REGISTRY_USER=ci CI_REGISTRY_PASSWORD=wrong
    run --separate-stderr ml-fetch -q card "$AUTH/shop/base:1" --optional
    [ "$status" -eq 5 ]
    export CI_REGISTRY_PASSWORD=$SECRET
    ml-package --base "$AUTH/shop/base:1" --add m:/app/model --out oci:img:1 >card.json 2>err
    ml-fetch files "$AUTH/shop/base:1" --path /etc --to out >fetch.json 2>>err
    [ "$(cat out/os-release)" = ID=tiny ]
    run --separate-stderr ml-fetch card "$AUTH/shop/base:2" --optional
    [ "$status" -eq 0 ] && [ -z "$output" ]
    no_secret err card.json fetch.json
}

@test "nothing there is 5 without --optional; nobody there is 6" {
    cp -r "$BATS_FILE_TMPDIR/m" .
    run --separate-stderr ml-package -q --base "$REG/shop/none:1" --add m:/m --out oci:img:1
    fails 5 "is not there \(404\)"
    run --separate-stderr ml-fetch -q files "$REG/shop/base:none" --path /etc --to out
    fails 5 "404"
    run --separate-stderr ml-fetch -q files "$REG/shop/base:none" --path /etc --to out --optional
    [ "$status" -eq 0 ] && [ -z "$output" ] && [ ! -e out ]
    run --separate-stderr ml-fetch -q card 127.0.0.1:1/a/b:1 --optional
    fails 6 "."
}

@test "a registry that gives other bytes than the digest says is 4" {
    cp -r "$BATS_FILE_TMPDIR/m" .
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:img:1 >card.json
    ml-publish push -q --card card.json "$REG/shop/lies:v1" -o published.json
    d=$(ml get image.layers.0.digest card.json | cut -d: -f2)
    f=$BATS_FILE_TMPDIR/open/docker/registry/v2/blobs/sha256/${d:0:2}/$d/data
    cp "$f" kept
    printf XXXXXXXX | dd of="$f" bs=1 seek=700 conv=notrunc status=none
    run --separate-stderr ml-fetch -q files "$REG/shop/lies:v1" --path /app/model --to out
    cp kept "$f"
    fails 4 "."
    [ ! -e out ]
}
