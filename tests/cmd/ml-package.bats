#!/usr/bin/env bats
# ml-package: what it writes is read back by skopeo, umoci, tar and Python.
load helper
load images

teardown() {
    ! mountpoint -q disk || umount disk
}

@test "skopeo and umoci read what it wrote, with the same digest" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:2 >card.json
    [ "$(skopeo inspect oci:img:2 | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["Digest"])')" = "$(digest card.json)" ]
    skopeo copy -q --preserve-digests oci:img:2 oci:copy:2
    skopeo copy -q --preserve-digests oci:img:2 dir:flat
    [ "sha256:$(sha256sum <flat/manifest.json | cut -d' ' -f1)" = "$(digest card.json)" ]
    unpacked img:2 bundle
    diff -r m bundle/rootfs/app/model
    [ "$(cat bundle/rootfs/app/app.py)" = "print('hi')" ]
}

@test "the card says what was made" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/app/model --add m/run:/app/bin/ --out oci:img:2 --name sections --version 1.4.0 >card.json
    py <<'PY'
import images, json
c = json.load(open("card.json"))
m, conf = images.load("img", "2")
i = c["image"]
assert c["schema"] == "mlci.card/1" and c["model"] == {"name": "sections", "version": "1.4.0"}
assert i["reference"] == "oci:img:2" and i["base"]["reference"] == "oci:base:1"
assert i["base"]["digest"] == json.load(open("base/index.json"))["manifests"][0]["digest"]
assert [l["digest"] for l in i["layers"]] == [l["digest"] for l in m["layers"][1:]]
assert [l["diff_id"] for l in i["layers"]] == conf["rootfs"]["diff_ids"][1:]
assert [l["paths"] for l in i["layers"]] == [["/app/model"], ["/app/bin/run"]]
assert i["layers"][0]["size"] == m["layers"][1]["size"]
total = sum(l["size"] for l in m["layers"]) + m["config"]["size"] + json.load(open("img/index.json"))["manifests"][0]["size"]
assert i["size"] == total, (i["size"], total)
PY
}

@test "a symbolic link of the base on the way is followed, not replaced" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/lib/model --add m:/srv/deep/model --out oci:img:2 >card.json
    what img 2 1 >one
    what img 2 2 >two
    grep -q '^usr/lib/model/model.json ' one
    not grep -q '^lib' one
    grep -q '^var/data/deep/model/model.json ' two
    unpacked img:2 bundle
    [ "$(readlink bundle/rootfs/lib)" = usr/lib ]
    [ "$(readlink bundle/rootfs/srv)" = /opt ]
    diff -r m bundle/rootfs/usr/lib/model
    diff -r m bundle/rootfs/var/data/deep/model
}

@test "links are followed inside a source that is put at the root, too" {
    base base
    mkdir -p t/lib/x t/bin t/tmp t/new
    echo 1 >t/lib/x/f
    echo 2 >t/bin/tool
    echo 3 >t/tmp/f
    echo 4 >t/new/f
    ml-package -q --base oci:base:1 --add t:/ --out oci:img:2 >card.json
    what img 2 >list
    cut -d' ' -f1,3 list >got
    diff got - <<'E'
usr 0o755
usr/bin 0o755
usr/bin/tool 0o644
usr/lib 0o755
usr/lib/x 0o755
usr/lib/x/f 0o644
new 0o755
new/f 0o644
tmp 0o1777
tmp/f 0o644
E
    unpacked img:2 bundle
    [ "$(readlink bundle/rootfs/lib)" = usr/lib ]
    [ "$(cat bundle/rootfs/usr/lib/x/f)" = 1 ]
}

@test "two entries that a link leads to one place are refused" {
    base base
    mkdir -p t/lib t/usr/lib
    echo 1 >t/lib/f
    echo 2 >t/usr/lib/f
    run --separate-stderr ml-package -q --base oci:base:1 --add t:/ --out oci:img:2
    fails 3 "two entries would be '/usr/lib/f'"
}

@test "what leads to the destination keeps mode and owner of the base; ours are 0:0, 0755 and 0644" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/app/model --add m/run:/tmp/run --out oci:img:2 >card.json
    what img 2 1 | diff - <(
        cat <<'E'
app 5 0o755 33 44 0
app/model 5 0o755 0 0 0
app/model/current 2 0o777 0 0 0
app/model/model.json 0 0o644 0 0 0
app/model/run 0 0o755 0 0 0
app/model/sub 5 0o755 0 0 0
app/model/sub/params.yaml 0 0o644 0 0 0
E
    )
    what img 2 2 | diff - <(printf 'tmp 5 0o1777 0 0 0\ntmp/run 0 0o755 0 0 0\n')
}

@test "a second layer sees the first" {
    base base
    mkdir m n
    ln -s /var/data m/link
    echo 1 >n/f
    ml-package --base oci:base:1 --add m:/app/m --add n:/app/m/link/n --out oci:img:2 >card.json 2>err
    grep -q "warning: 'm/link' is a symbolic link out of 'm'" err
    what img 2 2 | grep -q '^var/data/n/f '
}

@test "the digest is the same on any machine: golden" {
    unset SOURCE_DATE_EPOCH
    model m
    mkdir -p "m/ação" && echo é >"m/ação/çã"
    ml-package -q --base scratch --platform linux/amd64 --add m:/app/model --env A=1 --label b=2 --entrypoint '["x","y"]' --out oci:img:1 >card.json
    [ "$(digest card.json)" = sha256:bc1650c465535600004982217c5b404ac3c5140d365112f47489c59a57a4fe57 ]
}

@test "user, umask, locale, time zone, order, file times and commit change nothing" {
    base base
    model m
    want=$(ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:0 | ml get image.digest)
    same() { [ "$(ml get image.digest "$1")" = "$want" ]; }

    (umask 077 && ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:1 -o 1.json)
    same 1.json
    LC_ALL=pt_BR.UTF-8 TZ=Asia/Kathmandu CI_COMMIT_SHA=abc LANG=C.UTF-8 ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:2 -o 2.json
    same 2.json
    mkdir n n/sub # the same files, made in another order, at other times, with other modes but for the owner's x
    for f in run sub/params.yaml model.json; do cp m/$f n/$f && touch -d 2001-02-03 n/$f && chmod g+w,o-r n/$f; done
    ln -s model.json n/current
    chmod 700 n n/sub
    ml-package -q --base oci:base:1 --add n/:/app/model/ --out oci:img:3 -o 3.json
    same 3.json
    mv img other && mkdir x && cd x && ml-package -q --base oci:../base:1 --add ../n:/app//model/. --out oci:else/where:3 -o ../4.json
    same ../4.json
}

@test "another user makes the same digest" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to become somebody else"
    base base
    model m
    want=$(ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:0 | ml get image.digest)
    chown -R 1234:1234 m
    mkdir theirs && chown 4321 theirs && chmod 755 "$BATS_TEST_TMPDIR"
    command -v setpriv >/dev/null || skip "needs setpriv"
    d=$BATS_TEST_TMPDIR
    while [ "$d" != / ]; do chmod o+x "$d" && d=$(dirname "$d"); done
    got=$(setpriv --reuid 4321 --regid 4321 --clear-groups ml-package -q --base oci:base:1 --add m:/app/model --out oci:theirs/img:0 | ml get image.digest)
    [ "$got" = "$want" ]
}

@test "SOURCE_DATE_EPOCH dates the files, the history and the image" {
    model m
    SOURCE_DATE_EPOCH=1000000000 ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    what img 1 | awk '$6 != 1000000000 { exit 1 }'
    py <<'PY'
import images
m, c = images.load("img", "1")
assert c["created"] == c["history"][0]["created"] == "2001-09-09T01:46:40Z", c
PY
    SOURCE_DATE_EPOCH=soon run --separate-stderr ml-package -q --base scratch --add m:/m --out oci:img:2
    fails 2 "SOURCE_DATE_EPOCH"
}

@test "what isn't ours in manifest and config stays as text" {
    py <<'PY'
import images
l = images.Layout("base")
data = images.tar(images.entry("etc/"))
l.image("1", [data], config={"created": "2020-01-01T00:00:00Z", "x-big": 12345678901234567890, "X-Float": 0.30000000000000004,
    "config": {"Healthcheck": {"Test": ["NONE"], "Interval": 30000000000}, "Env": ["PATH=/bin", "A=old", "AB=2"], "Cmd": ["sh"], "Labels": {"a": "b"}},
    "history": [{"created_by": "x", "comment": "é\u2028"}]},
    manifest={"annotations": {"k": "v", "org.opencontainers.image.base.name": "older"}, "z": [1.0]})
PY
    model m
    ml-package -q --base oci:base:1 --add m:/m --env A=new --env B=3 --label c=d --label 'a=x=y' --out oci:img:1 >card.json
    py <<'PY'
import images
m, c = images.load("img", "1")
raw = images.blob("img", m["config"]["digest"]).decode()
assert '"x-big": 12345678901234567890' in raw and '"X-Float": 0.30000000000000004' in raw and '30000000000' in raw
assert c["created"] == "2020-01-01T00:00:00Z"
assert c["config"]["Env"] == ["PATH=/bin", "A=new", "AB=2", "B=3"], c["config"]["Env"]
assert c["config"]["Labels"] == {"a": "x=y", "c": "d"} and c["config"]["Cmd"] == ["sh"] and c["config"]["Healthcheck"]["Test"] == ["NONE"]
assert len(c["history"]) == 2 and c["history"][0]["comment"] == "é\u2028" and c["history"][1]["created_by"] == "ml-package --add /m"
assert m["z"] == [1.0] and m["annotations"]["k"] == "v"
assert "org.opencontainers.image.base.name" not in m["annotations"]
assert m["annotations"]["org.opencontainers.image.base.digest"].startswith("sha256:")
assert m["layers"][1]["annotations"] == {"mlci.layer.path": "/m", "mlci.layer.alone": "true"}
PY
}

@test "entrypoint, command, user and directory" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --entrypoint run --cmd '["a", "b c"]' --user 7:8 --workdir /m --out oci:img:1 >card.json
    ml-package -q --base oci:img:1 --add m:/n --entrypoint '["x"]' --out oci:img:2 >card.json
    py <<'PY'
import images
c = images.load("img", "1")[1]["config"]
assert c == {"Entrypoint": ["run"], "Cmd": ["a", "b c"], "User": "7:8", "WorkingDir": "/m"}, c
c = images.load("img", "2")[1]["config"]
assert c["Entrypoint"] == ["x"] and c["Cmd"] is None and c["User"] == "7:8", c
PY
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --entrypoint '["x", 1]' --out oci:img:3
    fails 2 "array of strings"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --cmd '[' --out oci:img:3
    fails 2 "cmd"
}

@test "a base without history gets none" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >card.json
    py <<'PY'
import images
assert "history" not in images.load("img", "1")[1]
PY
    unpacked img:1 bundle
}

@test "Docker's schema 2 becomes OCI; the blobs stay" {
    py <<'PY'
import gzip, images
l = images.Layout("base")
data = gzip.compress(images.tar(images.entry("etc/"), images.entry("etc/x", b"x")))
l.image("1", [data], types={0: "application/vnd.docker.image.rootfs.diff.tar.gzip"}, manifest={
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
m, c = images.load("base", "1")
m["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
l.tag("docker", m)
PY
    model m
    ml-package -q --base oci:base:docker --add m:/m --out oci:img:1 >card.json
    py <<'PY'
import images, json
m, c = images.load("img", "1")
assert m["mediaType"] == images.MANIFEST and m["config"]["mediaType"] == images.CONFIG
assert [l["mediaType"] for l in m["layers"]] == [images.LAYER + "+gzip", images.LAYER]
assert m["layers"][0]["digest"] == images.load("base", "docker")[0]["layers"][0]["digest"]
PY
    skopeo inspect oci:img:1 >/dev/null
    unpacked img:1 bundle
    [ "$(cat bundle/rootfs/etc/x)" = x ]
}

@test "from an index comes the image for this machine, or the one that is named" {
    py <<'PY'
import images
l = images.Layout("base")
a = l.image(None, [images.tar(images.entry("a", b"amd64"))])
b = l.image(None, [images.tar(images.entry("a", b"arm"))], config={"architecture": "arm", "variant": "v7"})
l.tag("1", {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [
    dict(b, platform={"os": "linux", "architecture": "arm", "variant": "v7"}),
    dict(a, platform={"os": "linux", "architecture": "amd64"}),
    dict(a, platform={"os": "unknown", "architecture": "unknown"})]})
PY
    model m
    ml-package -q --base oci:base:1 --platform linux/amd64 --add m:/m --out oci:img:1 >card.json
    [ "$(ml get image.base.digest card.json)" = "$(/usr/bin/python3 -c 'import json; print(json.load(open("base/index.json"))["manifests"][0]["digest"])')" ]
    unpacked img:1 bundle
    [ "$(cat bundle/rootfs/a)" = amd64 ]
    ml-package -q --base oci:base:1 --platform linux/arm/v7 --add m:/m --out oci:img:2 >card.json
    py <<'PY'
import images
assert images.load("img", "2")[1]["architecture"] == "arm"
PY
    run --separate-stderr ml-package -q --base oci:base:1 --platform linux/s390x --add m:/m --out oci:img:3
    fails 3 "no image for linux/s390x"
    base plain
    run --separate-stderr ml-package -q --base oci:plain:1 --platform linux/arm64 --add m:/m --out oci:img:3
    fails 3 "base 'oci:plain:1': it is for linux/amd64, not for linux/arm64"
    ml-package -q --base oci:plain:1 --platform linux/amd64 --add m:/m --out oci:img:4 >card.json
    for platform in linux linux/ /amd64 linux//v7 linux/arm/v7/x ""; do
        run --separate-stderr ml-package -q --base oci:plain:1 --platform "$platform" --add m:/m --out oci:img:5
        fails 2 "'$platform' is not a platform, say os/architecture"
        run --separate-stderr ml-fetch files -q oci:img:4 --platform "$platform" --path /m --to out
        fails 2 "'$platform' is not a platform, say os/architecture"
    done
}

@test "what the base has at the destination stays; --replace removes what the source lacks" {
    base base
    model m
    mkdir old old/sub old/gone && echo 1 >old/old.bin && echo 2 >old/sub/old.yaml && echo 3 >old/gone/x && echo 4 >old/model.json
    ml-package -q --base oci:base:1 --add old:/app/model --out oci:one:1 >card.json
    ml-package -q --base oci:one:1 --add m:/app/model --out oci:img:merged >card.json
    ml-package -q --base oci:one:1 --replace --add m:/app/model --out oci:img:replaced >card.json
    unpacked img:merged a
    [ "$(cat a/rootfs/app/model/old.bin a/rootfs/app/model/sub/old.yaml)" = $'1\n2' ]
    diff m/model.json a/rootfs/app/model/model.json
    unpacked img:replaced b
    diff -r m b/rootfs/app/model
    [ -f b/rootfs/app/app.py ]
    what img replaced | cut -d' ' -f1 | diff - <(printf '%s\n' app app/model app/model/.wh.gone app/model/.wh.old.bin app/model/sub app/model/sub/.wh.old.yaml \
        app/model/current app/model/model.json app/model/run app/model/sub/params.yaml)
}

@test "a card's evaluated model has to be what is packed" {
    base base
    model m
    model other
    echo x >other/extra
    printf 'id,label,prediction\n1,a,a\n2,b,b\n3,a,b\n' >p.csv
    ml-eval -q --model m p.csv >card.json
    ml-package -q --card card.json --base oci:base:1 --add other:/app/other --add m:/app/model --out oci:img:1 -o packed.json
    [ "$(ml get image.model packed.json)" = "$(ml get evaluation.model card.json)" ]
    ml get evaluation packed.json >a && ml get evaluation card.json >b && diff a b
    run --separate-stderr ml-package -q --card card.json --base oci:base:1 --add other:/app/model --out oci:img:2
    fails 4 "evaluate what is packed"
    [ -z "$output" ]
    run --separate-stderr ml-package -q --card card.json --base oci:base:1 --add other:/app/model --add other/run:/x --out oci:img:2
    fails 4 "none of the 2 sources"
    # nothing of the base or of another source may be mixed in
    mkdir old && echo 1 >old/old.bin && echo 2 >old/model.json
    ml-package -q --base oci:base:1 --add old:/app/model --out oci:o:1 >old.json
    run --separate-stderr ml-package -q --card card.json --base oci:o:1 --add m:/app/model --out oci:img:2
    fails 4 "'/app/model' in the image would not be the evaluated model"
    ml-package -q --card card.json --base oci:o:1 --replace --add m:/app/model --out oci:img:3 >replaced.json
    run --separate-stderr ml-package -q --card card.json --base oci:base:1 --add m:/app/model --add old/old.bin:/app/model/ --out oci:img:2
    fails 4 "would not be the evaluated model"
    rm old/old.bin
    ml-package -q --base oci:base:1 --add old:/app/model --out oci:o:2 >old.json
    ml-package -q --card card.json --base oci:o:2 --add m:/app/model --out oci:img:4 >hidden.json # model.json is ours again
    ml-package -q --card card.json --base oci:base:1 --add m:/app/model/ --add other/run:/app/bin/ --out oci:img:5 >beside.json
    echo 1 >>m/model.json
    run --separate-stderr ml-package -q --card card.json --base oci:base:1 --add m:/app/model --out oci:img:2
    fails 4 "evaluate what is packed"
    not skopeo inspect oci:img:2
}

@test "the tree digest is that of GNU tar's archive of the same files" {
    model m
    rm m/current # GNU tar writes a link's mode otherwise
    mkdir m/sub.d && echo 1 >m/sub.d/x && echo 2 >m/sub-1
    printf 'id,label,prediction\n1,a,a\n2,b,b\n3,a,b\n' >p.csv
    want=$(cd m && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | tar --format=ustar --no-recursion -T - --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX -b1 -cf - | sha256sum | cut -d' ' -f1)
    [ "$(ml-eval -q --model m p.csv | ml get evaluation.model)" = "sha256:$want" ]
}

@test "a card is passed on byte for byte; standard input is read only for --card -" {
    base base
    model m
    printf '{"schema":"mlci.card/1", "x-unknown": {"n": 1.50, "big": 12345678901234567890},\n "gate": { "passed":true}}' >card.json
    ml-package -q --card - --base oci:base:1 --add m:/m --out oci:img:1 <card.json >out.json
    grep -q '"x-unknown": {"n": 1.50, "big": 12345678901234567890}' out.json
    grep -q '"gate": { "passed":true}' out.json
    echo garbage | ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >out.json
    run --separate-stderr ml-package -q --card - --base oci:base:1 --add m:/m --out oci:img:2 <<<garbage
    fails 3 "standard input"
    run --separate-stderr ml-package -q --card - --base oci:base:1 --add m:/m --out oci:img:2 </dev/null
    fails 3 "no card"
}

@test "a file goes where it is told, never over a directory" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m/run:/app/app.py --add m/run:/bin/ --out oci:img:1 >card.json
    what img 1 1 | grep -q '^app/app.py 0 0o755'
    what img 1 2 | grep -q '^usr/bin/run 0 0o755'
    run --separate-stderr ml-package -q --base oci:base:1 --add m/run:/app --out oci:img:2
    fails 3 "'/app' is a directory in the base"
    run --separate-stderr ml-package -q --base oci:base:1 --add m/run:/lib --out oci:img:2
    fails 3 "'/lib' is a directory in the base"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/app/app.py --out oci:img:2
    fails 3 "is a file in the base"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/app/app.py/x --out oci:img:2
    fails 3 "not a directory"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/loop/x --out oci:img:2
    fails 3 "too many symbolic links"
}

@test "a layer that is a tar already is taken as it is" {
    base base
    py <<'PY'
import gzip, images
t = images.tar(images.entry("etc/"), images.entry("etc/secret", b"s", mode=0o600, uid=5))
open("l.tar", "wb").write(t)
open("l.tar.gz", "wb").write(gzip.compress(t))
open("l.tar.zst", "wb").write(images.zstd(t))
open("bad.tar", "wb").write(b"x" * 5000)
PY
    for f in l.tar l.tar.gz l.tar.zst; do
        ml-package -q --base oci:base:1 --layer $f --out "oci:img:$f" >card.json
        [ "$(ml get image.layers.0.diff_id card.json)" = "sha256:$(sha256sum <l.tar | cut -d' ' -f1)" ]
        [ "$(ml get image.layers.0.digest card.json)" = "sha256:$(sha256sum <$f | cut -d' ' -f1)" ]
        skopeo inspect oci:img:$f >/dev/null
    done
    unpacked img:l.tar.gz bundle
    [ "$(cat bundle/rootfs/etc/secret)" = s ]
    ml-package -q --base scratch --layer l.tar --out oci:img:s >card.json
    run --separate-stderr ml-package -q --base oci:base:1 --layer bad.tar --out oci:img:bad
    fails 3 "malformed tar"
    : >empty
    run --separate-stderr ml-package -q --base oci:base:1 --layer empty --out oci:img:bad
    fails 3 "empty"
    run --separate-stderr ml-package -q --base oci:base:1 --layer . --out oci:img:bad
    fails 3 "not a file"
}

@test "bases whose blobs lie are refused with 4" {
    base base
    model m
    cp -r base b2
    f=$(find b2/blobs -type f -size +8k)
    printf XXXXXXXX | dd of="$f" bs=1 seek=3000 conv=notrunc status=none
    run --separate-stderr ml-package -q --base oci:b2:1 --add m:/m --out oci:img:1
    fails 4 "base 'oci:b2:1'.*has other bytes"
    truncate -s 5000 "$f"
    run --separate-stderr ml-package -q --base oci:b2:1 --add m:/m --out oci:img2:1
    fails 4 "5000 bytes"
    rm "$f"
    run --separate-stderr ml-package -q --base oci:b2:1 --add m:/m --out oci:img3:1
    fails 3 "lacks its layer"
    py <<'PY'
import images
l = images.Layout("b3")
l.image("1", [images.tar(images.entry("a", b"1"))], diff_ids=["sha256:" + "0" * 64])
l.image("2", [images.tar(images.entry("a", b"1"))], diff_ids=["sha256:" + "0" * 64] * 2)
PY
    run --separate-stderr ml-package -q --base oci:b3:1 --add m:/m --out oci:img:1
    fails 4 "the config says"
    run --separate-stderr ml-package -q --base oci:b3:2 --add m:/m --out oci:img:1
    fails 3 "1 layers but 2 diff_ids"
}

@test "what isn't an image is no base" {
    model m
    py <<'PY'
import images
l = images.Layout("b")
l.image("artifact", [images.tar()], manifest={"config": {"mediaType": "application/vnd.oci.empty.v1+json"} | l.blob(b"{}")})
l.image("layer", [b"{}"], types={0: "application/vnd.in-toto+json"})
l.tag("text", {"mediaType": images.MANIFEST})
l.tag("array", {"schemaVersion": 2, "mediaType": images.MANIFEST, "config": [], "layers": {}})
d = l.blob(b'{"a":1,"a":2}')
l.index["manifests"].append({"mediaType": images.MANIFEST, **d, "annotations": {"org.opencontainers.image.ref.name": "twice"}})
l.save()
PY
    for t in artifact layer text array; do
        run --separate-stderr ml-package -q --base oci:b:$t --add m:/m --out oci:img:1
        fails 3 "not an image's"
    done
    run --separate-stderr ml-package -q --base oci:b:twice --add m:/m --out oci:img:1
    fails 3 "duplicate key"
    run --separate-stderr ml-package -q --base oci:b:none --add m:/m --out oci:img:1
    fails 3 "is not there"
    run --separate-stderr ml-package -q --base oci:nowhere:1 --add m:/m --out oci:img:1
    fails 3 "not an OCI image layout"
}

@test "wrong usage is 2, and makes nothing" {
    base base
    model m
    run --separate-stderr ml-package -q --base oci:base:1 --out oci:img:1
    fails 2 "needed"
    run --separate-stderr ml-package -q --base oci:base:1 --add m --out oci:img:1
    fails 2 "SRC:DEST"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:relative --out oci:img:1
    fails 2 "SRC:DEST"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/a/../b --out oci:img:1
    fails 2 "without '..'"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:img
    fails 2 "oci:DIR:TAG"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out registry.example/a:1
    fails 2 "oci:DIR:TAG"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --env A --out oci:img:1
    fails 2 "NAME=VALUE"
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --label $'a=\xff' --out oci:img:1
    fails 2 "UTF-8"
    for o in --entrypoint --cmd --user --workdir; do
        run --separate-stderr ml-package -q --base oci:base:1 --add m:/m $o $'a\xff' --out oci:img:1
        fails 2 "$o is not UTF-8"
    done
    for dest in /.wh.app /app/.wh.app.py /app/.wh..wh..opq/ /.wh.x/m; do
        run --separate-stderr ml-package -q --base oci:base:1 --add "m/run:$dest" --out oci:img:1
        fails 2 "starts with '.wh.' deletes"
    done
    run --separate-stderr ml-package -q --base oci:base:1 --add .:/m --out oci:img:1
    fails 2 "holds the output"
    run --separate-stderr ml-package -q --base python:3.12 --add m:/m --out oci:img:1
    [ "$status" -eq 2 ]
    [ ! -e img ] || ! skopeo inspect oci:img:1
}

@test "what a layer cannot hold is refused, and no tag appears" {
    base base
    model m
    mkfifo m/pipe
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:img:1
    fails 3 "'m/pipe' is a fifo"
    rm m/pipe
    touch m/.wh.x
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:img:1
    fails 3 "deletes a file"
    rm m/.wh.x
    touch m/$'latin\xe7'
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:img:1
    fails 3 "not UTF-8"
    run --separate-stderr ml-package -q --base oci:base:1 --add nothing:/m --out oci:img:1
    fails 3 "cannot open 'nothing'"
    not skopeo inspect oci:img:1
}

@test "a directory that holds something else doesn't become a layout" {
    base base
    model m
    mkdir img && echo precious >img/file
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:img:1
    fails 3 "neither an image layout nor empty"
    [ "$(ls -A img)" = file ]
}

@test "an image that is packed again writes nothing new; a tag moves" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >a.json
    find img -type f -printf '%p %i %T@\n' | sort >before
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >b.json
    find img -type f -printf '%p %i %T@\n' | sort >after
    diff before after
    diff a.json b.json
    echo 1 >m/new
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >c.json
    [ "$(digest c.json)" != "$(digest a.json)" ]
    [ "$(skopeo inspect --raw oci:img:1 | sha256sum | cut -d' ' -f1)" = "$(digest c.json | cut -d: -f2)" ]
}

@test "a base on the same file system is linked, not copied" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >card.json
    d=$(py <<'PY'
import images
print(images.load("base", "1")[0]["layers"][0]["digest"][7:])
PY
    )
    [ base/blobs/sha256/$d -ef img/blobs/sha256/$d ]
}

@test "packaging at the same time into one layout loses nothing" {
    base base
    for i in 1 2 3 4 5 6; do mkdir m$i && echo $i >m$i/f; done
    for i in 1 2 3 4 5 6; do ml-package -q --base oci:base:1 --add m$i:/m --out oci:img:$i >$i.json & done
    wait
    for i in 1 2 3 4 5 6; do [ "sha256:$(skopeo inspect --raw oci:img:$i | sha256sum | cut -d' ' -f1)" = "$(digest $i.json)" ]; done
}

@test "killed at any point, the layout is as before or done" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >a.json
    head -c 20000000 /dev/urandom >m/big
    killed=0
    for i in 1 2 3 4 5 6 7 8 9 10; do
        before=$(skopeo inspect --raw oci:img:1 | sha256sum)
        ml-package -q --base oci:base:1 --add m:/m --label i=$i --out oci:img:1 >k.json 2>/dev/null &
        pid=$!
        sleep "0.0$((i * 8 % 50 + 10))"
        kill -9 $pid 2>/dev/null && killed=$((killed + 1))
        wait $pid 2>/dev/null && continue
        after=$(skopeo inspect --raw oci:img:1 | sha256sum)
        [ "$before" = "$after" ] || skopeo inspect --raw --config oci:img:1 | grep -q "\"i\":\"$i\""
    done
    [ "$killed" -gt 2 ]
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:1 >k.json
    skopeo copy -q --preserve-digests oci:img:1 oci:copy:1
}

@test "a full disk is 3, and leaves the layout as it was" {
    mkdir disk
    mount -t tmpfs -o size=3m none disk 2>/dev/null || skip "needs root and a mount of tmpfs"
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/m --out oci:disk/img:1 >a.json
    head -c 4000000 /dev/urandom >m/big
    run --separate-stderr ml-package -q --base oci:base:1 --add m:/m --out oci:disk/img:1
    find disk -name '*.tmp' >left
    raw=$(skopeo inspect --raw oci:disk/img:1 | sha256sum | cut -d' ' -f1)
    umount disk
    fails 3 "No space left"
    [ ! -s left ]
    [ "sha256:$raw" = "$(digest a.json)" ]
}

@test "it runs in a container" {
    command -v runc >/dev/null && command -v busybox >/dev/null || skip "needs runc and busybox"
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    mkdir -p root/bin root/etc && cp "$(command -v busybox)" root/bin/busybox
    file -L root/bin/busybox 2>/dev/null | grep -q 'dynamically' && skip "needs a static busybox"
    model m
    ml-package -q --base scratch --add root:/ --env PATH=/bin --entrypoint '["/bin/busybox", "cat", "/app/model/model.json"]' --out oci:base:1 >b.json
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:1 >card.json
    umoci unpack --image img:1 bundle >/dev/null
    sed -i 's/"terminal": *true/"terminal": false/' bundle/config.json
    run runc --root "$PWD/runc" run --bundle bundle "ml-package-$$"
    [ "$status" -eq 0 ]
    [[ "$output" == *'"weights": [1, 2]'* ]]
}

@test "memory doesn't grow with the files: 2 MB and 80 MB" {
    mkdir small big
    head -c 2000000 /dev/urandom >small/f
    head -c 80000000 /dev/urandom >big/f
    py <<'PY'
import os, resource, subprocess

def peak(*argv):
    pid = subprocess.Popen(argv, stdout=subprocess.DEVNULL).pid
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, argv
    return usage.ru_maxrss

for name in "small", "big":
    a = peak("ml-package", "-q", "--base", "scratch", "--add", f"{name}:/m", "--out", f"oci:img:{name}")
    b = peak("ml-fetch", "-q", "files", f"oci:img:{name}", "--path", "/m", "--to", f"out-{name}")
    print(f"# {name}: ml-package {a} kB, ml-fetch {b} kB")
    if name == "small":
        first = a, b
assert a < first[0] + 2000 and b < first[1] + 2000, (first, (a, b))
PY
}

@test "a file or a directory where a reference belongs: what it would be called" {
    base base
    model m
    touch x.tar
    base_is() { # BASE CODE PATTERN
        run --separate-stderr ml-package -q --base "$1" --add m:/m --out oci:img:1
        fails "$2" "$3"
    }
    for f in x.tar ./x.tar dir/x.tgz /a/x.tar.gz; do base_is $f 2 "'oci-archive:FILE' or.* 'docker-archive:FILE'"; done
    for d in ./base:1 ../base:1 /base:1 ./base; do base_is $d 2 "a layout on disk is 'oci:DIR:TAG'"; done
    base_is oci:base 2 "say 'oci:base:TAG'"
    base_is 127.0.0.1:1/shop/x.tar 2 "say '127.0.0.1:1/shop/x.tar:TAG'"
    run --separate-stderr ml-fetch files x.tar --path /m --to o
    fails 2 "oci-archive:FILE"
    run --separate-stderr ml-package -q --base scratch --add m:/m --out x.tar
    fails 2 "'x.tar': --archive FILE writes one file"
}
