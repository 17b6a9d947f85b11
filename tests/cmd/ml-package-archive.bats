#!/usr/bin/env bats
# ml-package and archives: bases in one tar, as skopeo, podman and docker write them, and as nobody should.
load helper
load images
load engines

teardown() {
    engines_stop
}

# docker_form DIR TAR [modern|gzip|links]: the base of layout DIR as docker save writes it, images shop/base:v1 and shop/other:2
docker_form() {
    py "$@" <<'PY'
import gzip, images, io, json, sys, tarfile
layout, to, form = (sys.argv[1:] + ["legacy"])[:3]
m, c = images.load(layout, "1")
config, layer = (images.blob(layout, d["digest"]) for d in (m["config"], m["layers"][0]))
out = tarfile.open(to, "w")
def add(name, data=None, **more):
    t = tarfile.TarInfo(name)
    for k, v in more.items():
        setattr(t, k, v)
    t.size = len(data or b"")
    out.addfile(t, io.BytesIO(data) if data is not None else None)
if form == "gzip":
    layer = gzip.compress(layer, mtime=0)
hexes = [m["config"]["digest"][7:], images.sha(layer)[7:]]
paths = ["blobs/sha256/" + h for h in hexes] if form == "modern" else [hexes[0] + ".json", "f" * 64 + "/layer.tar"]
if form == "links":  # what docker up to 24 writes for a layer that several images have
    add("e" * 64 + "/layer.tar", layer)
    add(paths[1], type=tarfile.SYMTYPE, linkname="../" + "e" * 64 + "/layer.tar")
else:
    add(paths[1], layer)
add(paths[0], config)
other = json.dumps(dict(c, author="other")).encode()
add("other.json", other)
if form == "modern":
    raw = json.dumps(m).encode()
    add("blobs/sha256/" + images.sha(raw)[7:], raw)
    add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    add("index.json", json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": images.MANIFEST, "digest": images.sha(raw), "size": len(raw),
        "annotations": {"io.containerd.image.name": "docker.io/shop/base:v1", "org.opencontainers.image.ref.name": "v1"}}]}).encode())
add("manifest.json", json.dumps([{"Config": paths[0], "RepoTags": ["shop/base:v1", "shop/base:latest"], "Layers": [paths[1]]},
    {"Config": "other.json", "RepoTags": ["shop/other:2"], "Layers": [paths[1]]}]).encode())
out.close()
PY
}

# packed BASE: what is in the image made from it, without what depends on how its manifest was written
packed() {
    rm -rf out bundle
    ml-package -q --base "$1" --add m:/lib/model --out oci:out:1 >card.json || return
    unpacked out:1 bundle
    diff -r m bundle/rootfs/usr/lib/model
    [ "$(cat bundle/rootfs/app/app.py)" = "print('hi')" ]
    [ "$(readlink bundle/rootfs/lib)" = usr/lib ]
    skopeo copy -q --preserve-digests oci:out:1 dir:flat
}

@test "a base from skopeo's and podman's archives" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/lib/model --out oci:img:1 >want.json
    skopeo copy -q oci:base:1 oci-archive:oci.tar:v1
    skopeo copy -q oci:base:1 docker-archive:docker.tar:shop/base:v1
    packed oci-archive:oci.tar:v1
    packed oci-archive:oci.tar
    [ "$(ml get image.layers.0.digest card.json)" = "$(ml get image.layers.0.digest want.json)" ]
    [ "$(ml get image.base.reference card.json)" = oci-archive:oci.tar ]
    packed docker-archive:docker.tar
    packed docker-archive:docker.tar:docker.io/shop/base:v1
    # the archive names no base of its own for others
    not grep -q base.name out/blobs/sha256/*
    engine load -q -i docker.tar
    engine save -q -o saved.tar --format docker-archive docker.io/shop/base:v1
    engine save -q -o saved-oci.tar --format oci-archive docker.io/shop/base:v1
    packed docker-archive:saved.tar:shop/base:v1
    packed oci-archive:saved-oci.tar:v1
    packed oci-archive:saved-oci.tar:docker.io/shop/base:v1
}

@test "a base from what a real docker saves" {
    base base
    model m
    skopeo copy -q oci:base:1 docker-archive:docker.tar:shop/base:v1
    docker_needed
    dk load -q -i docker.tar
    dk save -o saved.tar shop/base:v1
    packed docker-archive:saved.tar
    packed docker-archive:saved.tar:v1
}

@test "docker save's forms: the old one, links, compressed layers, and that which is a layout, too" {
    base base
    model m
    for form in legacy links gzip modern; do
        docker_form base "$form.tar" "$form"
        packed "docker-archive:$form.tar:shop/base:v1"
        packed "docker-archive:$form.tar:shop/other"':2'
        run --separate-stderr ml-package -q --base "docker-archive:$form.tar" --add m:/m --out oci:out:1
        fails 3 "several images, name one of: shop/base:v1, shop/base:latest, shop/other:2"
        run --separate-stderr ml-package -q --base "docker-archive:$form.tar:shop/base:v9" --add m:/m --out oci:out:1
        fails 3 "is not there: there is shop/base:latest, shop/base:v1, shop/other:2"
    done
    # a manifest that is there is taken as it is
    ml-package -q --base docker-archive:modern.tar:shop/base --add m:/m --out oci:out:1 >card.json
    ml-package -q --base oci-archive:modern.tar:v1 --add m:/m --out oci:out:1 >again.json
    [ "$(ml get image.digest card.json)" = "$(ml get image.digest again.json)" ]
    ml-package -q --base docker-archive:gzip.tar:shop/base --add m:/m --out oci:out:1 >card.json
    py <<'PY'
import images
m, c = images.load("out", "1")
assert m["layers"][0]["mediaType"].endswith("+gzip") and m["layers"][0]["digest"] != c["rootfs"]["diff_ids"][0]
PY
}

@test "a compressed archive is taken, too" {
    base base
    model m
    skopeo copy -q oci:base:1 oci-archive:oci.tar:v1
    gzip -k oci.tar
    zstd -q oci.tar
    packed oci-archive:oci.tar.gz:v1
    packed oci-archive:oci.tar.zst:v1
    cp oci.tar.gz cut.tar.gz
    truncate -s -100 cut.tar.gz
    run --separate-stderr ml-package -q --base oci-archive:cut.tar.gz --add m:/m --out oci:out:2
    fails 3 "cut.tar.gz"
}

@test "an archive is a source for ml-publish and ml-fetch" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:1 >card.json
    skopeo copy -q --preserve-digests oci:img:1 oci-archive:img.tar:v1
    ml-publish push -q --image oci-archive:img.tar:v1 --card card.json oci:release:v1 -o published.json
    [ "$(ml get publication.digest published.json)" = "$(digest card.json)" ]
    ml-fetch -q files oci-archive:img.tar --path /app/model --to out >fetched.json
    diff -r --no-dereference m out
    [ "$(ml get fetch.digest fetched.json)" = "$(digest card.json)" ]
    run --separate-stderr ml-publish push -q --image oci:img:1 --card card.json oci-archive:new.tar:v1
    fails 2 "an archive is only read"
    [ ! -e new.tar ]
}

@test "archives that lie are refused" {
    base base
    model m
    py <<'PY'
import images, io, json, os, tarfile
m, c = images.load("base", "1")
blob = lambda d: images.blob("base", d["digest"])
def tar(name, files):
    with tarfile.open(name, "w") as out:
        for path, data in files:
            t = tarfile.TarInfo(path)
            if isinstance(data, str):
                t.type, t.linkname = tarfile.SYMTYPE, data
            t.size = 0 if isinstance(data, str) else len(data)
            out.addfile(t, None if isinstance(data, str) else io.BytesIO(data))
def doc(**more):
    return json.dumps([dict({"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}, **more)]).encode()
config, layer = blob(m["config"]), blob(m["layers"][0])
files = lambda d, c=config, l=layer: [("c.json", c), ("l.tar", l), ("manifest.json", d)]
tar("bytes.tar", files(doc(), l=layer[:600] + b"X" + layer[601:]))
tar("missing.tar", files(doc(Layers=["none.tar"])))
tar("count.tar", files(doc(Layers=["l.tar", "l.tar"])))
tar("config.tar", files(doc(), c=b"{}"))
tar("noconfig.tar", files(doc(Config="x")))
tar("json.tar", files(b"[{]"))
tar("object.tar", files(b"{}"))
tar("loop.tar", [("c.json", config), ("l.tar", "l2.tar"), ("l2.tar", "l.tar"), ("manifest.json", doc())])
tar("out.tar", [("c.json", config), ("l.tar", "../../../../etc/passwd"), ("manifest.json", doc())])
tar("up.tar", [("../../c.json", config)] + files(doc()))
tar("empty.tar", [])
tar("huge.tar", files(b"[" + b" " * (17 << 20) + b"]"))
raw = open("bytes.tar", "rb").read()
open("cut.tar", "wb").write(raw[:700])
open("text.tar", "w").write("no tar at all\n" * 100)
idx = json.dumps({"manifests": [{"mediaType": images.MANIFEST, "digest": "sha256:" + "0" * 64, "size": 3}]}).encode()
tar("gone.tar", [("oci-layout", b"{}"), ("index.json", idx)])
tar("wrong.tar", [("index.json", idx), ("blobs/sha256/" + "0" * 64, b"{} ")])
PY
    for bad in "3 missing.tar l*none.tar.*missing" "3 count.tar 2.layers.but.1" "3 config.tar ." "3 noconfig.tar config.*missing" "3 json.tar manifest.json" \
        "3 object.tar no.array" "3 loop.tar missing" "3 out.tar missing" "3 up.tar unsafe" "3 empty.tar no.manifest.json" "3 cut.tar ." "3 text.tar ." "4 bytes.tar other.bytes" \
        "3 huge.tar more.than"; do
        read -r code file why <<<"$bad"
        run --separate-stderr ml-package -q --base "docker-archive:$file" --add m:/m --out oci:out:1
        fails "$code" "$why"
        [ ! -e out ] || ! grep -q ref.name out/index.json
    done
    run --separate-stderr ml-package -q --base oci-archive:gone.tar --add m:/m --out oci:out:1
    fails 3 "lacks the manifest sha256:0"
    run --separate-stderr ml-package -q --base oci-archive:wrong.tar --add m:/m --out oci:out:1
    fails 4 "has other bytes"
    run --separate-stderr ml-package -q --base oci-archive:missing.tar --add m:/m --out oci:out:1
    fails 3 "say 'docker-archive:'"
    run --separate-stderr ml-package -q --base oci-archive:base --add m:/m --out oci:out:1
    fails 3 "is not a file; 'oci:DIR' names a directory"
    run --separate-stderr ml-package -q --base oci-archive:nowhere.tar --add m:/m --out oci:out:1
    fails 3 "cannot open"
}
