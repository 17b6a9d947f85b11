#!/usr/bin/env bats
# ml-package straight into a registry, and as one tar: the same image wherever it goes, and no more requests than it takes.
load helper
load images
load engines
load registry

setup_file() {
    REG=$(registry_start "$BATS_FILE_TMPDIR" open)
    OTHER=$(registry_start "$BATS_FILE_TMPDIR" other)
    export REG OTHER ML_CACHE="$BATS_FILE_TMPDIR/cache"
    cd "$BATS_FILE_TMPDIR" || return 1
    base base
    model m
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:base:1 "docker://$REG/shop/base:1"
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:base:1 "docker://$OTHER/shop/base:1"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    cp -r "$BATS_FILE_TMPDIR"/{base,m} .
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

teardown() {
    servers_stop "$BATS_TEST_TMPDIR"
    engines_stop
}

# what the registry has for REF, read past our own tools
remote() {
    skopeo inspect --raw --tls-verify=false "docker://$1"
}

@test "--to without a tag leaves the image under its digest, for a push to tag" {
    ml-package -q --base scratch --add m:/m --to "$REG/untagged/a" --provenance >card.json
    [ "$(ml get image.reference card.json)" = "$REG/untagged/a@$(ml get image.digest card.json)" ]
    skopeo inspect --tls-verify=false --raw "docker://$REG/untagged/a@$(ml get image.digest card.json)" >raw
    [ "sha256:$(sha256sum raw | cut -d' ' -f1)" = "$(ml get image.digest card.json)" ]
    # nothing but what is attached has a tag
    [ -z "$(curl -fsS "http://$REG/v2/untagged/a/tags/list" | grep -o '"[^"]*"' | grep -v -e sha256- -e name -e tags -e untagged)" ]
    ml-publish push --card card.json "$REG/untagged/a:1" >pushed.json 2>err
    [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REG/untagged/a:1")" = "$(ml get image.digest card.json)" ]
    # again: everything is there
    ml-package -q --base scratch --add m:/m --to "$REG/untagged/a" >again.json
    # a layout, too
    ml-package -q --base scratch --add m:/m --to oci:untagged >card2.json
    ml-publish push --card card2.json oci:untagged:1 >pushed.json 2>err
    [ "$(skopeo inspect --format '{{.Digest}}' oci:untagged:1)" = "$(ml get image.digest card.json)" ]
    [ "$(ml get image.digest again.json)" = "$(ml get image.digest card.json)" ]
}

@test "into a layout, a registry and an archive: one digest" {
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:img:1 >out.json
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --to "$REG/one/sections:1" >to.json
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --to oci:img2:1 >to2.json
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --archive a.tar >archive.json
    for f in to to2 archive; do [ "$(digest $f.json)" = "$(digest out.json)" ]; done
    [ "sha256:$(remote "$REG/one/sections:1" | sha256sum | cut -d' ' -f1)" = "$(digest out.json)" ]
    [ "$(ml get image.reference to.json)" = "$REG/one/sections@$(digest out.json)" ]
    [ "$(ml get image.reference archive.json)" = oci-archive:a.tar ]
    [ "$(skopeo inspect oci-archive:a.tar | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["Digest"])')" = "$(digest out.json)" ]
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/one/sections:1" oci:back:1
    unpacked back:1 bundle
    diff -r m bundle/rootfs/app/model
    skopeo copy -q --preserve-digests oci:img2:1 dir:flat
}

@test "a push that was done before is three requests, and the base is never fetched again" {
    ml-package -v --base "$REG/shop/base:1" --add m:/app/model --to "$REG/two/sections:1" -o card.json 2>first
    ml-package -v --base "$REG/shop/base:1" --add m:/app/model --to "$REG/two/sections:1" -o again.json 2>second
    cmp card.json again.json
    [ "$(grep -c '^[A-Z]* http' second)" -le 4 ]
    not grep -qE '^(POST|PUT|PATCH) ' second
    # another model on the same base: its layers are mounted, and nobody reads them
    mkdir m2 && echo new >m2/x
    layer=$(py <<'PY'
import images
print(images.load("base", "1")[0]["layers"][0]["digest"])
PY
    )
    ml-package -v --base "$REG/shop/base:1" --add m2:/lib/model --to "$REG/two/sections:2" -o card2.json 2>third
    not grep -q "GET .*$layer" third
    remote "$REG/two/sections:2" | grep -q "$layer"
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/two/sections:2" oci:back:2
    unpacked back:2 bundle
    [ "$(cat bundle/rootfs/usr/lib/model/x)" = new ]
}

@test "names of a base are remembered; a cache that lies or is broken changes nothing" {
    export ML_CACHE=$PWD/cache
    ml-package -q --base "$REG/shop/base:1" --add m:/lib/model --out oci:img:1 >want.json
    f=$(find cache -name '*.mlci' | head -1)
    [ -n "$f" ]
    cp "$f" good
    for how in empty cut flip other version; do
        case $how in
        empty) : >"$f" ;;
        cut) head -c 200 good >"$f" ;;
        flip) py good "$f" <<'PY'
import sys
d = bytearray(open(sys.argv[1], "rb").read())
d[len(d) // 2] ^= 1
open(sys.argv[2], "wb").write(d)
PY
            ;;
        version) sed 's,mlci.names/1,mlci.names/2,' good >"$f" ;;
        other) py good "$f" <<'PY'
# sound, but of names that no image can have: a file below a file
import hashlib, sys
d = open(sys.argv[1], "rb").read()
head = d[:d.index(b"\n") + 1]
entry = lambda path: b"\0" + bytes([len(path)]) + path + b"0" + b"\xa4\x03\0\0"
body = head + entry(b"lib") + entry(b"lib/x")
open(sys.argv[2], "wb").write(body + ("sha256:" + hashlib.sha256(body).hexdigest()).encode())
PY
            ;;
        esac
        ml-package -v --base "$REG/shop/base:1" --add m:/lib/model --out "oci:img-$how:1" -o card.json 2>err
        [ "$(digest card.json)" = "$(digest want.json)" ]
    done
    # what is remembered of one layer isn't taken for another
    cmp "$f" good
    ML_CACHE=/proc/nowhere ml-package -q --base "$REG/shop/base:1" --add m:/lib/model --out oci:none:1 >card.json
    [ "$(digest card.json)" = "$(digest want.json)" ]
}

@test "a layout gets a registry's layers once" {
    export ML_CACHE=$PWD/cache
    ml-package -v --base "$REG/shop/base:1" --add m:/app/model --out oci:img:1 -o card.json 2>first
    [ "$(grep -c 'GET .*/blobs/' first)" -eq 2 ] # config and layer: read for its names on its way
    ml-package -v --base "$REG/shop/base:1" --add m:/app/model --out oci:img:2 -o card.json 2>second
    [ "$(grep -c 'GET .*/blobs/' second)" -eq 1 ]
    rm -rf img
    ml-package -v --base "$REG/shop/base:1" --add m:/app/model --out oci:img:2 -o card.json 2>third
    grep -q 'GET .*/blobs/' third
    skopeo copy -q --preserve-digests oci:img:2 dir:flat
}

@test "a base of another registry is passed on" {
    export ML_CACHE=$PWD/cache
    ml-package -q --base "$OTHER/shop/base:1" --add m:/app/model --to "$REG/three/sections:1" >card.json
    ml-package -q --base oci:base:1 --add m:/app/model --to "$REG/three/sections:2" >card2.json
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/three/sections:1" oci:back:1
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/three/sections:2" oci:back:2
    unpacked back:1 bundle
    diff -r m bundle/rootfs/app/model
    skopeo copy -q oci:base:1 docker-archive:base.tar:shop/base:v1
    ml-package -q --base docker-archive:base.tar --add m:/app/model --to "$REG/three/sections:3" >card3.json
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/three/sections:3" oci:back:3
}

@test "a tag that names another image is not moved, as push wouldn't" {
    ml-package -q --base scratch --add m:/m --to "$REG/four/a:1" >card.json
    was=$(remote "$REG/four/a:1" | sha256sum)
    run --separate-stderr ml-package -q --base scratch --add m:/n --to "$REG/four/a:1"
    fails 1 "the tag names $(digest card.json) already"
    [ -z "$output" ]
    [ "$(remote "$REG/four/a:1" | sha256sum)" = "$was" ]
    ml-package -q --base scratch --add m:/m --to oci:lay:1 >card.json
    run --separate-stderr ml-package -q --base scratch --add m:/n --to oci:lay:1
    fails 1 "already"
}

@test "ml-publish goes on from it" {
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --to "$REG/five/sections:1" --name sections >card.json
    ml-publish push -q --card card.json "$REG/five/sections:v1" -o published.json
    [ "$(ml get publication.digest published.json)" = "$(digest card.json)" ]
    [ "$(ml get publication.pushed published.json)" = 0 ]
    ml-fetch -q files "$REG/five/sections:v1" --path /app/model --to out >/dev/null
    diff -r --no-dereference m out
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --archive a.tar:shop/x:1 >card.json
    ml-publish push -q --card card.json "$REG/five/sections:v2" -o published.json
    [ "$(ml get publication.digest published.json)" = "$(digest card.json)" ]
}

@test "a source that changes while it is sent is 4: no manifest, no tag, no archive" {
    mkdir big
    head -c 40000000 /dev/zero >big/weights
    # changed between the hash pass and the upload: the registry's first answer takes its time
    slow=$(proxy_start "$PWD" slow "$REG" '[{"name": "slow", "method": "HEAD", "path": "/manifests/", "delay": 2}]')
    ml-package -q --base scratch --add big:/big --to "$slow/six/a:1" >card.json 2>err &
    pid=$!
    for ((i = 0; i < 200; i++)); do
        grep -q HEAD slow.requests 2>/dev/null && break
        sleep 0.05
    done
    sleep 0.5
    echo x >>big/weights
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 4 ]
    grep -q "changed while it was being read" err
    run skopeo inspect --tls-verify=false "docker://$REG/six/a:1"
    [ "$status" -ne 0 ]
    [ ! -s card.json ]
}

@test "an evaluated model has to be what goes there, too" {
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    py <<'PY'
import json
json.dump({"schema": "mlci.card/1", "evaluation": {"model": "sha256:" + "1" * 64}}, open("eval.json", "w"))
PY
    for target in "--to $REG/seven/a:1" "--archive a.tar" "--out oci:new:1"; do
        run --separate-stderr ml-package -q --card eval.json --base scratch --add m:/m $target
        fails 4 "evaluate what is packed"
    done
    [ ! -e a.tar ] && [ -z "$(ls -A new/blobs/sha256)" ]
    [ -z "$(find . -name '.*tmp')" ]
    run skopeo inspect --tls-verify=false "docker://$REG/seven/a:1"
    [ "$status" -ne 0 ]
}

@test "an archive: skopeo, podman and docker load it, and it depends on the image alone" {
    busybox=$(command -v busybox)
    ml-package -q --base scratch --platform linux/amd64 --add "$busybox:/bin/sh" --entrypoint /bin/sh --out oci:run:1 >base.json
    ml-package -q --base oci:run:1 --add m:/app/model --archive a.tar:shop/sections:1.4 --name sections --license MIT >card.json
    (umask 077 && TZ=Asia/Tokyo ml-package -q --base oci:run:1 --add m:/app/model --archive b.tar:shop/sections:1.4 --name sections --license MIT >card2.json)
    cmp a.tar b.tar
    [ "$(stat -c %a a.tar)" = 644 ]
    skopeo copy -q --preserve-digests oci-archive:a.tar:1.4 oci:one:1
    [ "$(digest_of one 1)" = "$(digest card.json)" ]
    skopeo copy -q docker-archive:a.tar:docker.io/shop/sections:1.4 oci:two:1
    engine load -q -i a.tar | grep -q shop/sections:1.4
    [ "$(engine image inspect --format '{{.Id}}' docker.io/shop/sections:1.4)" = "$(skopeo inspect --raw oci:one:1 | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["config"]["digest"][7:])')" ]
    # and is a base itself
    ml-package -q --base oci-archive:a.tar:1.4 --add m:/x --out oci:next:1 >next.json
    [ "$(ml get image.base.digest next.json)" = "$(digest card.json)" ]
    ml-package -q --base docker-archive:a.tar:shop/sections:1.4 --add m:/x --out oci:next:2 >next.json
    [ "$(ml get image.base.digest next.json)" = "$(digest card.json)" ]
    py <<'PY'
import images
m, c = images.load("one", "1")
a = m["annotations"]
assert a["org.opencontainers.image.title"] == "sections" and a["org.opencontainers.image.licenses"] == "MIT", a
PY
    docker_needed
    dk load -q -i a.tar | grep -q shop/sections:1.4
    dk run --rm --network none --ulimit nofile=1024:1024 shop/sections:1.4 -c 'while read l; do echo $l; done </app/model/model.json' >ran
    [ "$(cat ran)" = "$(cat m/model.json)" ]
}

@test "an archive is there whole or not at all" {
    echo old >a.tar
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/etc/os-release/x --archive a.tar
    [ "$status" -eq 3 ]
    [ "$(cat a.tar)" = old ]
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --archive nowhere/a.tar
    fails 3 "."
    mkdir full && mount -t tmpfs -o size=200k tmpfs full || skip "no tmpfs here"
    head -c 1000000 /dev/urandom >m/big
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --archive full/a.tar
    ls -A full >left
    umount full
    fails 3 "No space left"
    [ ! -s left ]
}

@test "one place, and a valid one" {
    for wrong in "" "--out oci:a:1 --to $REG/x/y:1" "--to $REG/x/y@sha256:$(printf 0%.0s {1..64})" "--archive a.tar:name" "--archive :x/y:1" \
        "--archive a.tar:Up/case:1" "--to oci-archive:a.tar:1" "--format zip --out oci:a:1"; do
        run --separate-stderr ml-package -q --base oci:base:1 --add m:/m $wrong
        fails 2 "."
    done
    run --separate-stderr ml-package -q --add m:/m --out oci:a:1
    fails 2 "--base is needed"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --to 127.0.0.1:1/x/y:1
    fails 6 "."
    [ ! -e a ]
}

@test "a real image in Docker's schema 2, in a registry and in an archive" {
    busybox=$(command -v busybox)
    ml-package -q --base scratch --platform linux/amd64 --add "$busybox:/bin/sh" --entrypoint /bin/sh --out oci:run:1 >base.json
    skopeo copy -q --dest-tls-verify=false --format v2s2 oci:run:1 "docker://$REG/docker/base:1"
    # what docker's configs have and OCI's don't
    py "$REG" <<'PY'
import hashlib, json, sys, urllib.request as u
reg = "http://" + sys.argv[1] + "/v2/docker/base"
T = "application/vnd.docker.distribution.manifest.v2+json"
m = json.load(u.urlopen(u.Request(reg + "/manifests/1", headers={"Accept": T})))
assert m["mediaType"] == T and m["layers"][0]["mediaType"].startswith("application/vnd.docker")
c = json.load(u.urlopen(reg + "/blobs/" + m["config"]["digest"]))
c["config"] |= {"Healthcheck": {"Test": ["NONE"], "Interval": 1000000000}, "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}}, "OnBuild": None, "ArgsEscaped": True}
c["container_config"] = {"Hostname": "x"}
c["docker_version"] = "20.10.24"
c["history"] = c.get("history", []) + [{"created": "1970-01-01T00:00:00Z", "created_by": "CMD", "empty_layer": True}]
b = json.dumps(c).encode()
d = "sha256:" + hashlib.sha256(b).hexdigest()
where = u.urlopen(u.Request(reg + "/blobs/uploads/", method="POST")).headers["Location"]
u.urlopen(u.Request(where + ("&" if "?" in where else "?") + "digest=" + d, data=b, method="PUT", headers={"Content-Type": "application/octet-stream"}))
m["config"] |= {"digest": d, "size": len(b)}
u.urlopen(u.Request(reg + "/manifests/2", data=json.dumps(m).encode(), method="PUT", headers={"Content-Type": T}))
PY
    ml-package -q --base "$REG/docker/base:2" --add m:/app/model --to "$REG/docker/sections:1" >card.json
    skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/docker/sections:1" oci:back:1
    py <<'PY'
import images
m, c = images.load("back", "1")
assert m["mediaType"] == images.MANIFEST and m["config"]["mediaType"] == images.CONFIG
assert [l["mediaType"] for l in m["layers"]] == [images.LAYER + "+gzip", images.LAYER], m["layers"]
k = c["config"]
assert k["ExposedPorts"] == {"8080/tcp": {}} and k["Volumes"] == {"/data": {}} and k["OnBuild"] is None and k["ArgsEscaped"] is True
assert k["Healthcheck"] == {"Test": ["NONE"], "Interval": 1000000000}
assert c["docker_version"] == "20.10.24" and c["container_config"] == {"Hostname": "x"}
assert len(c["rootfs"]["diff_ids"]) == 2 == len([h for h in c["history"] if not h.get("empty_layer")]), c["history"]
PY
    docker_needed
    skopeo copy -q oci:back:1 docker-archive:x.tar:shop/x:1
    dk load -q -i x.tar
    [ "$(dk run --rm --network none --ulimit nofile=1024:1024 shop/x:1 -c 'echo ran')" = ran ]
}

@test "a ModelPack artifact, by the specification" {
    printf '# model\n' >README.md
    ml-package -q --format modelpack --add m/model.json:/config.json --add m/run:/weights.bin --add README.md:/README.md --to "$REG/eight/model:1" \
        --name sections --version 1.4.0 --license Apache-2.0 >card.json
    ml-package -q --format modelpack --add m/model.json:/config.json --add m/run:/weights.bin --add README.md:/README.md --out oci:mp:1 \
        --name sections --version 1.4.0 --license Apache-2.0 >card2.json
    ml-package -q --format modelpack --base scratch --add m/model.json:/config.json --add m/run:/weights.bin --add README.md:/README.md --archive mp.tar \
        --name sections --version 1.4.0 --license Apache-2.0 >card3.json
    [ "$(digest card.json)" = "$(digest card2.json)" ] && [ "$(digest card.json)" = "$(digest card3.json)" ]
    [ "sha256:$(remote "$REG/eight/model:1" | sha256sum | cut -d' ' -f1)" = "$(digest card.json)" ]
    py <<'PY'
import images, tarfile, json
m, c = images.load("mp", "1")
P = "application/vnd.cncf.model."
assert m["mediaType"] == images.MANIFEST and m["artifactType"] == P + "manifest.v1+json" and m["config"]["mediaType"] == P + "config.v1+json"
assert [l["mediaType"] for l in m["layers"]] == [P + "weight.config.v1.tar", P + "weight.v1.tar", P + "doc.v1.tar"]
assert [l["annotations"]["org.cncf.model.filepath"] for l in m["layers"]] == ["config.json", "weights.bin", "README.md"]
assert c["descriptor"] == {"name": "sections", "version": "1.4.0", "licenses": ["Apache-2.0"]} and c["config"] == {}
assert c["modelfs"] == {"type": "layers", "diff_ids": [l["digest"] for l in m["layers"]]}
assert m["annotations"]["org.opencontainers.image.title"] == "sections"
assert "manifest.json" not in tarfile.open("mp.tar").getnames()
PY
    run --separate-stderr ml-package -q --format modelpack --base oci:base:1 --add m:/m --out oci:mp:2
    fails 2 "has no base"
    run --separate-stderr ml-package -q --format modelpack --add m:/m --out oci:mp:2 --entrypoint x
    fails 2 "isn't run"
    # its layers are read like an image's, with others' names of it, too; nothing can be packed onto it
    ml-fetch -q files oci:mp:1 --path / --to read -o read.json
    cmp m/model.json read/config.json
    cmp m/run read/weights.bin
    cmp README.md read/README.md
    run --separate-stderr ml-package -q --base oci:mp:1 --add m:/m --out oci:mp:2
    fails 3 "ModelPack artifact, which is no image"
    py <<'PY'
import images
m, _ = images.load("mp", "1")
for x in m["layers"]:
    x["mediaType"] = x["mediaType"].replace(".v1.tar", ".v1.raw")
images.Layout("raw").tag("1", m)
PY
    run --separate-stderr ml-fetch -q files oci:raw:1 --path / --to none
    fails 3 "ModelPack artifact of single files"
}

@test "what couldn't be written in the end changes nothing, and isn't packed" {
    for o in /nonexistent/x m /proc/x; do
        run --separate-stderr ml-package -q --base scratch --add m/run:/m --to "$REG/sixteen/a:1" -o "$o"
        fails 3 "cannot write '$o'"
    done
    not remote "$REG/sixteen/a:1"
    ml-package -q --base scratch --add m:/m --out oci:img:1 -o card.json
    run --separate-stderr ml-publish push -q --card card.json "$REG/sixteen/a:1" -o /nonexistent/x
    fails 3 "cannot write '/nonexistent/x'"
    run --separate-stderr ml-publish tag -q "oci:img:1" v1 -o /nonexistent/x
    fails 3 "cannot write '/nonexistent/x'"
    not remote "$REG/sixteen/a:1"
    # a pipe isn't opened before there is something to say
    mkfifo pipe
    (sleep 0.5; cat pipe >heard) &
    ml-package -q --base scratch --add m:/m --to "$REG/sixteen/a:1" -o pipe
    wait
    [ "$(digest heard)" = "$(digest card.json)" ]
    for o in m/card.json m/new/../card.json "$PWD/m/run"; do
        run --separate-stderr ml-package -q --base scratch --add m:/m --out oci:img:2 -o "$o"
        fails 2 "'m' holds the output '$o', write it elsewhere"
    done
}

@test "split: a changed shard is one other layer, wherever it goes" {
    mkdir shards
    for i in 1 2 3 4 5 6; do
        head -c 900000 /dev/urandom >"shards/model-0000$i-of-6.safetensors"
    done
    echo '{}' >shards/config.json
    mkdir shards/sub && echo x >shards/sub/tokens
    ml-package -q --base "$REG/shop/base:1" --add shards:/lib/model --split 2M --out oci:img:1 >one.json
    ml-package -q --base "$REG/shop/base:1" --add shards:/lib/model --split 2M --to "$REG/nine/a:1" >to.json
    ml-package -q --base "$REG/shop/base:1" --add shards:/lib/model --split 2M --archive a.tar >archive.json
    [ "$(digest to.json)" = "$(digest one.json)" ] && [ "$(digest archive.json)" = "$(digest one.json)" ]
    unpacked img:1 bundle
    diff -r shards bundle/rootfs/usr/lib/model
    ml-fetch -q files oci:img:1 --path /lib/model --to out >fetched.json
    diff -r shards out
    head -c 900000 /dev/urandom >shards/model-00004-of-6.safetensors
    ml-package -q --base "$REG/shop/base:1" --add shards:/lib/model --split 2M --to "$REG/nine/a:2" >two.json 2>err
    py <<'PY'
import json
a, b = ([l["digest"] for l in json.load(open(f))["image"]["layers"]] for f in ("one.json", "two.json"))
assert len(a) == len(b) >= 3 and sum(x != y for x, y in zip(a, b)) == 1, (a, b)
assert all(l["size"] <= 2000000 for l in json.load(open("one.json"))["image"]["layers"])
PY
    # the evaluated model is all of them
    digest=$(ml-package -q --base scratch --add shards:/ --out oci:tree:1 | ml get image.layers.0.digest)
    printf '{"schema": "mlci.card/1", "evaluation": {"model": "%s"}}' "$digest" >eval.json
    ml-package -q --card eval.json --base oci:base:1 --add shards:/m --split 2M --out oci:img:3 >card.json
    [ "$(ml get image.model card.json)" = "$digest" ]
    run --separate-stderr ml-package -q --card eval.json --base oci:base:1 --add shards:/app --split 2M --out oci:img:4
    fails 4 "would not be the evaluated model"
    for wrong in 0 -1 1K x 2X 99999999999G; do
        run --separate-stderr ml-package -q --base oci:base:1 --add shards:/m --split $wrong --out oci:img:5
        fails 2 "--split"
    done
}

@test "compress: the same image wherever it goes, and what it was when it is unpacked" {
    mkdir text && yes 'a line of text that shrinks' | head -c 3000000 >text/a
    head -c 3000000 /dev/urandom >text/b
    for how in none gzip zstd auto; do
        ml-package -q --base "$REG/shop/base:1" --add text:/lib/model --compress $how --out "oci:img:$how" >one.json
        ml-package -q --base "$REG/shop/base:1" --add text:/lib/model --compress $how --to "$REG/ten/a:$how" >to.json
        ml-package -q --base "$REG/shop/base:1" --add text:/lib/model --compress $how --archive a.tar >archive.json
        [ "$(digest to.json)" = "$(digest one.json)" ] && [ "$(digest archive.json)" = "$(digest one.json)" ]
        skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$REG/ten/a:$how" "oci:back:$how"
        ml-fetch -q files "$REG/ten/a:$how" --path /lib/model --to "out-$how" >fetched.json
        diff -r text "out-$how"
        [ "$(ml get image.layers.0.diff_id one.json)" = "${id:=$(ml get image.layers.0.diff_id one.json)}" ]
    done
    unpacked back:gzip bundle
    diff -r text bundle/rootfs/usr/lib/model
    py <<'PY'
import images
types = {t: images.load("img", t)[0]["layers"][-1]["mediaType"] for t in ("none", "gzip", "zstd", "auto")}
assert types["none"] == images.LAYER and types["gzip"] == images.LAYER + "+gzip" and types["zstd"] == images.LAYER + "+zstd", types
assert types["auto"] == images.LAYER + "+gzip", types
PY
    run --separate-stderr ml-package -q --base oci:base:1 --add text:/m --compress xz --out oci:img:5
    fails 2 "--compress"
    ml-package -q --format modelpack --add text:/m --compress gzip --out oci:mp:1 >mp.json
    grep -q 'weight.v1.tar+gzip' mp/blobs/sha256/*
}

@test "a registry that takes no such media type: 5 with the type, and what to do" {
    refuses=$(proxy_start "$PWD" refuses "$REG" '[{"name": "type", "method": "PUT", "path": "/manifests/", "status": 400,
        "headers": {"Content-Type": "application/json"},
        "body": "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\",\"detail\":\"unknown media type: application/vnd.cncf.model.config.v1+json\"}]}"}]')
    run --separate-stderr ml-package -q --format modelpack --add m:/m --to "$refuses/eleven/a:1"
    fails 5 "unknown media type: application/vnd.cncf.model.config.v1.json"
    [[ "$stderr" == *"--format image"* ]]
    run --separate-stderr ml-package -q --base scratch --add m:/m --to "$refuses/eleven/a:1"
    [ "$status" -eq 5 ]
    [[ "$stderr" != *"--format image"* ]]
}

@test "from an index in a registry or an archive comes the platform's image" {
    py <<'PY'
import images
out, first = images.base("multi", tag=None)
second = out.image(None, [images.tar(images.entry("lib/"))], config={"architecture": "arm64", "variant": "v8"})
out.tag("1", {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [
    {"mediaType": images.MANIFEST, "digest": first["digest"], "size": first["size"], "platform": {"os": "linux", "architecture": "amd64"}},
    {"mediaType": images.MANIFEST, "digest": second["digest"], "size": second["size"], "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]})
PY
    skopeo copy -q --all --preserve-digests --dest-tls-verify=false oci:multi:1 "docker://$REG/multi/base:1"
    tar -cf multi.tar -C multi blobs index.json oci-layout
    for from in oci:multi:1 "$REG/multi/base:1" oci-archive:multi.tar:1; do
        for platform in linux/amd64 linux/arm64 linux/arm64/v8; do
            ml-package -q --base "$from" --platform $platform --add m:/lib/model --out oci:img:1 >card.json
            py $platform <<'PY'
import images, sys
m, c = images.load("img", "1")
assert "/".join([c["os"], c["architecture"], c.get("variant", "")]).startswith(sys.argv[1]), c
name = "usr/lib/model" if c["architecture"] == "amd64" else "lib/model"
assert any(e[0] == name for e in images.names("img", "1")), images.names("img", "1")
PY
        done
        run --separate-stderr ml-package -q --base "$from" --platform linux/s390x --add m:/m --out oci:img:1
        fails 3 "no image for linux/s390x"
    done
}

@test "a layout has nothing of sources of which one changed" {
    mkdir -p a b c && echo a >a/a && echo c >c/c && head -c 30000000 /dev/zero >b/b
    # a file that grows as long as it takes
    (while :; do echo x >>b/b; done) &
    pid=$!
    code=0
    ml-package -q --base oci:base:1 --add a:/a --add b:/b --add c:/c --out oci:img:1 >card.json 2>err || code=$?
    kill "$pid"
    wait "$pid" || true
    [ "$code" -eq 4 ]
    grep -q "changed while it was being read" err
    [ ! -e img ]
}

@test "what the base is attached to isn't what an image made from it is" {
    py <<'PY'
import images
out, first = images.base("attached", tag=None)
out.image("1", [images.tar(images.entry("lib/"))], manifest={"subject": dict(first, mediaType=images.MANIFEST)})
PY
    ml-package -q --base oci:attached:1 --add m:/m --out oci:img:1 >card.json
    py <<'PY'
import images
assert "subject" in images.load("attached", "1")[0] and "subject" not in images.load("img", "1")[0]
PY
}

@test "a tag that came while the image was sent isn't moved" {
    slow=$(proxy_start "$PWD" slow "$REG" '[{"name": "slow", "method": "PUT", "path": "/manifests/sha256", "delay": 2}]')
    ml-package -q --base scratch --add m:/m --to "$slow/twelve/a:1" >card.json 2>err &
    pid=$!
    for ((i = 0; i < 200; i++)); do
        grep -q '"PUT".*manifests/sha256' slow.requests 2>/dev/null && break
        sleep 0.05
    done
    ml-package -q --base scratch --add m:/other --to "$REG/twelve/a:1" >other.json
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq 1 ]
    grep -q "already" err
    [ "sha256:$(remote "$REG/twelve/a:1" | sha256sum | cut -d' ' -f1)" = "$(digest other.json)" ]
}

@test "killed at any point, a tag and an archive are as before or done, and a rerun ends right" {
    head -c 3000000 /dev/urandom >m/big
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --out oci:want:1 >want.json
    echo before >a.tar
    for ((i = 0; i < 12; i++)); do
        for target in "--to $REG/thirteen/a:$i" "--archive a.tar:shop/x:1"; do
            ml-package -q --base "$REG/shop/base:1" --add m:/app/model $target >card.json 2>/dev/null &
            pid=$!
            sleep "0.0$((RANDOM % 10))"
            kill -9 "$pid" 2>/dev/null || true
            wait "$pid" || true
        done
        if [ "$(head -c 6 a.tar)" != before ]; then
            [ "$(skopeo inspect oci-archive:a.tar:1 | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["Digest"])')" = "$(digest want.json)" ]
            echo before >a.tar
        fi
        ml-package -q --base "$REG/shop/base:1" --add m:/app/model --to "$REG/thirteen/a:$i" >card.json
        [ "$(digest card.json)" = "$(digest want.json)" ]
        [ "sha256:$(remote "$REG/thirteen/a:$i" | sha256sum | cut -d' ' -f1)" = "$(digest want.json)" ]
    done
    ml-package -q --base "$REG/shop/base:1" --add m:/app/model --archive a.tar:shop/x:1 >card.json
    skopeo copy -q --preserve-digests oci-archive:a.tar:1 oci:back:1
    [ "$(digest_of back 1)" = "$(digest want.json)" ]
}

@test "an archive of the same source twice, and of holes" {
    ml-package -q --base scratch --add m:/a --add m:/a --archive a.tar:shop/x:1 >card.json
    ml-package -q --base scratch --add m:/a --add m:/a --out oci:img:1 >out.json
    [ "$(digest card.json)" = "$(digest out.json)" ]
    [ "$(tar tf a.tar | sort | uniq -d | wc -l)" -eq 0 ]
    skopeo copy -q --preserve-digests oci-archive:a.tar:1 dir:flat
    truncate -s 300M hole
    echo end >>hole
    ml-package -q --base scratch --add hole:/hole --add m:/small --archive big.tar >card.json
    ml-package -q --base scratch --add hole:/hole --add m:/small --out oci:img:2 >out.json
    [ "$(digest card.json)" = "$(digest out.json)" ]
    [ "$(du -k big.tar | cut -f1)" -lt 1000 ]
    tar tvf big.tar | grep -q " $(ml get image.layers.0.size card.json) "
    ml-fetch -q files oci-archive:big.tar --path /small --to back >fetched.json
    diff -r --no-dereference m back
    rm -rf back img big.tar
}

@test "memory doesn't grow with a base's layers, nor with what is sent" {
    py <<'PY'
import os, images
out = images.Layout("four")
out.image("1", [images.tar(images.entry(f"f{i}", os.urandom(40 << 20))) for i in range(4)])
PY
    skopeo copy -q --preserve-digests --dest-tls-verify=false oci:four:1 "docker://$REG/fourteen/base:1"
    mkdir big && for i in 1 2 3 4; do head -c 40000000 /dev/urandom >big/$i; done
    export ML_CACHE=$PWD/cache
    for target in "--out oci:img:1" "--to $REG/fourteen/a:1" "--archive a.tar" "--to oci:img2:1" "--to $REG/fourteen/a:2 --compress zstd"; do
        rm -rf cache
        /usr/bin/python3 - "$REG" $target <<'PY'
import resource, subprocess, sys
subprocess.run(["ml-package", "-q", "--base", sys.argv[1] + "/fourteen/base:1", "--add", "big:/m", "--split", "50M", "-o", "card.json"] + sys.argv[2:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
assert used < 64 << 10, used
PY
    done
}
