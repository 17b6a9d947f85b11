#!/usr/bin/env bats
# ml-fetch: what comes out of honest images, of other tools' images, and of hostile ones.
load helper
load images

teardown() {
    ! mountpoint -q disk || umount disk
}

# fetches everything below $2 of $1 into `out`
get() {
    rm -rf out
    ml-fetch -q files "$1" --path "$2" --to out >fetch.json
}

# hostile PATTERN [CODE]: the image evil:1 is refused, and nothing was made
hostile() {
    rm -rf out
    run --separate-stderr ml-fetch -q files oci:evil:1 --path /m --to out
    fails "${2:-3}" "$1"
    [ -z "$output" ]
    [ ! -e out ]
    [ -z "$(find . -maxdepth 1 -name '.out*')" ]
    [ ! -e escaped ] && [ ! -e ../escaped ] && [ ! -e /tmp/escaped-by-ml-fetch ]
}

# evil: an image of one layer from Python expressions for entries
evil() {
    rm -rf evil
    py "$@" <<'PY'
import images, sys, tarfile
from images import entry, tar
S, H = tarfile.SYMTYPE, tarfile.LNKTYPE
layers = [tar(*eval("[" + e + "]")) for e in sys.argv[1:]]
images.Layout("evil").image("1", layers)
PY
}

@test "what ml-package put in comes out the same" {
    base base
    model m
    mkdir -p "m/ação" && printf é >"m/ação/çã" && : >m/empty && mkdir m/emptydir
    ln -s ../model.json m/sub/up
    head -c 3000000 /dev/urandom >m/big.bin
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:1 >card.json
    get oci:img:1 /app/model
    diff -r --no-dereference m out
    [ "$(stat -c %a out/run out/model.json out/sub | tr '\n' ' ')" = "755 644 755 " ]
    [ "$(readlink out/sub/up)" = ../model.json ]
    py <<'PY'
import json
f = json.load(open("fetch.json"))["fetch"]
assert f["reference"] == "oci:img:1" and f["digest"] == json.load(open("card.json"))["image"]["digest"]
assert f["path"] == "/app/model" and f["files"] == 6 and f["size"] > 3000000, f
PY
}

@test "only layers that can hold the path are read" {
    base base
    model m
    mkdir n && echo 1 >n/f
    ml-package -q --base oci:base:1 --add m:/app/model --add n:/app/other --out oci:img:1 >card.json
    for d in $(py <<'PY'
import images
m, c = images.load("img", "1")
print(m["layers"][0]["digest"][7:], m["layers"][2]["digest"][7:])
PY
    ); do rm img/blobs/sha256/$d; done
    ml-fetch files oci:img:1 --path /app/model --to out 2>err >fetch.json
    grep -q '(1 of 3 layers read)' err
    diff -r m out
    get oci:img:1 /app/model/sub
    [ "$(ls out)" = params.yaml ]
    run --separate-stderr ml-fetch -q files oci:img:1 --path /app --to out2
    fails 3 "is missing"
}

@test "a path through the base's links finds what was packed there, without the base" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/lib/model --out oci:img:1 >card.json
    d=$(py <<'PY'
import images
print(images.load("img", "1")[0]["layers"][0]["digest"][7:])
PY
    )
    mv img/blobs/sha256/$d kept
    get oci:img:1 /lib/model/sub
    [ "$(ls out)" = params.yaml ]
    get oci:img:1 /usr/lib/model
    diff -r m out
    mv kept img/blobs/sha256/$d
    get oci:img:1 /lib # the link itself is the base's
    diff -r m out/model
}

@test "what lies over or under the packed layer counts" {
    base base
    model m
    mkdir old && echo 1 >old/old.bin
    ml-package -q --base oci:base:1 --add old:/app/model --out oci:a:1 >card.json
    ml-package -q --base oci:a:1 --add m:/app/model --out oci:a:merged >card.json
    ml-package -q --base oci:a:1 --replace --add m:/app/model --out oci:a:replaced >card.json
    get oci:a:merged /app/model
    [ "$(cat out/old.bin)" = 1 ] && diff m/model.json out/model.json
    get oci:a:replaced /app/model
    diff -r --no-dereference m out
    # another tool goes on from our image
    cp -r a b && umoci unpack --image b:replaced u >/dev/null 2>&1 || umoci unpack --rootless --image b:replaced u >/dev/null
    rm u/rootfs/app/model/run && echo new >u/rootfs/app/model/model.json
    umoci repack --image b:2 u >/dev/null
    get oci:b:2 /app/model
    [ ! -e out/run ] && [ "$(cat out/model.json)" = new ] && diff m/sub/params.yaml out/sub/params.yaml
}

@test "what the base's links lead elsewhere is found there, too" {
    py <<'PY'
import images, tarfile
images.Layout("base").image("1", [images.tar(images.entry("app/"), images.entry("app/x/"), images.entry("app/x/lib", type=tarfile.SYMTYPE, link="../model"),
    images.entry("app/model/"))])
PY
    model m
    mkdir -p t/lib && echo 1 >t/lib/f
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:a:1 >card.json
    ml-package -q --base oci:a:1 --add t:/app/x --out oci:a:2 >card.json
    get oci:a:2 /app/model
    [ "$(cat out/f)" = 1 ] && diff m/model.json out/model.json
    get oci:a:1 /app/model
    diff -r m out
}

@test "a mount point cannot become the directory" {
    base base
    mkdir disk && mount -t tmpfs -o size=1m none disk 2>/dev/null || skip "needs root and a mount of tmpfs"
    run --separate-stderr ml-fetch -q files oci:base:1 --path /etc --to disk
    fails 3 "name a directory below it"
    ml-fetch -q files oci:base:1 --path /etc --to disk/etc >fetch.json
    [ "$(cat disk/etc/os-release)" = ID=tiny ]
}

@test "a file, a link to a file, and the whole image" {
    base base
    model m
    ml-package -q --base oci:base:1 --add m:/app/model --out oci:img:1 >card.json
    get oci:img:1 /app/model/model.json
    [ "$(ls out)" = model.json ] && diff m/model.json out/model.json
    get oci:img:1 /app/model/current
    [ "$(ls out)" = current ] && [ ! -L out/current ] && diff m/model.json out/current
    get oci:img:1 //etc/./os-release
    [ "$(cat out/os-release)" = ID=tiny ]
    run --separate-stderr ml-fetch -q files oci:img:1 --path / --to all
    fails 3 "symbolic link that leads out of what was asked for"
    for p in /app/none /app/model/model.json/x /none; do
        run --separate-stderr ml-fetch -q files oci:img:1 --path $p --to none
        fails 3 "nothing at '$p'|not a directory"
        [ ! -e none ]
    done
    run --separate-stderr ml-fetch -q files oci:img:1 --path /loop/x --to none
    fails 3 "too many symbolic links"
}

@test "gzip, zstd and plain layers of other tools give the same" {
    model m
    mkdir -p tree/m && cp -a m tree/m/m
    umoci init --layout u && umoci new --image u:1 && umoci insert --image u:1 tree/m /m >/dev/null
    rm tree/m/m/run && echo 2 >tree/m/m/extra
    umoci insert --opaque --image u:1 tree/m /m >/dev/null
    get oci:u:1 /m/m
    diff -r --no-dereference tree/m/m out
    cp -r out gzip
    skopeo copy -q --dest-compress-format zstd --dest-compress oci:u:1 oci:z:1
    get oci:z:1 /m/m
    diff -r --no-dereference gzip out
    py <<'PY'
import gzip, images
l = images.Layout("p")
m, c = images.load("u", "1")
l.image("1", [gzip.decompress(images.blob("u", d["digest"])) for d in m["layers"]])
data = images.tar(images.entry("m/", ), images.entry("m/f", b"x" * 100000))
l.image("two", [gzip.compress(data[:50000]) + gzip.compress(data[50000:]) + b"\0" * 512])
l.image("zz", [images.zstd(data[:50000]) + images.zstd(data[50000:])])
PY
    get oci:p:1 /m/m
    diff -r --no-dereference gzip out
    for t in two zz; do
        get oci:p:$t /m
        [ "$(stat -c %s out/f)" = 100000 ]
    done
}

@test "deletions: of files, of directories, opaque, in whatever order they stand" {
    py <<'PY'
import images
from images import entry as e, tar
l = images.Layout("img")
low = tar(e("m/"), e("m/a", b"1"), e("m/d/"), e("m/d/x", b"1"), e("m/d/e/"), e("m/d/e/y", b"1"), e("m/k", b"1"))
l.image("file", [low, tar(e("m/.wh.a", b""))])
l.image("dir", [low, tar(e("m/.wh.d", b""))])
l.image("opaque", [low, tar(e("m/"), e("m/d/"), e("m/d/new", b"2"), e("m/d/.wh..wh..opq", b""))])
l.image("late", [low, tar(e("m/a", b"2"), e("m/.wh.a", b""), e("m/d/e/z", b"2"), e("m/.wh.d", b""))])
l.image("all", [low, tar(e(".wh.m", b""))])
l.image("kind", [low, tar(e("m/d", b"a file now")), tar(e("m/d/"), e("m/d/back", b"3"))])
l.image("above", [low, tar(e("m", b"file")), tar(e("m/z", b"4"))])
l.image("none", [low, tar(e("m/.wh.never", b""), e("q/.wh.x", b""))])
PY
    list() {
        get oci:img:$1 /m
        (cd out && find . -type f | LC_ALL=C sort | tr '\n' ' ')
    }
    [ "$(list file)" = "./d/e/y ./d/x ./k " ]
    [ "$(list dir)" = "./a ./k " ]
    [ "$(list opaque)" = "./a ./d/new ./k " ]
    [ "$(list late)" = "./a ./d/e/z ./k " ]
    [ "$(cat out/a)" = 2 ]
    run --separate-stderr ml-fetch -q files oci:img:all --path /m --to none
    fails 3 "nothing at"
    [ "$(list kind)" = "./a ./d/back ./k " ]
    [ "$(list above)" = "./z " ]
    [ "$(list none)" = "./a ./d/e/y ./d/x ./k " ]
}

@test "it agrees with umoci on layers made at random" {
    py <<'PY'
import images, random, tarfile
from images import entry as e, tar
for seed in range(8):
    r = random.Random(seed)
    l = images.Layout(f"r{seed}")
    layers, dirs = [], {""}
    for n in range(4):
        out, seen = [e("m/")], {"m"}
        for k in range(25):
            path = "/".join(["m"] + [r.choice("abc") for _ in range(r.randint(1, 4))])
            parents = ["/".join(path.split("/")[:i]) for i in range(2, path.count("/") + 1)]
            if path in seen or any(p in seen and ("f", p) in dirs for p in parents):
                continue
            for p in parents:
                if p not in seen:
                    seen.add(p)
                    out.append(e(p + "/"))
            what = r.random()
            seen.add(path)
            if what < .5:
                dirs.add(("f", path))
                out.append(e(path, b"%d %d" % (n, k), mode=r.choice([0o644, 0o755])))
            elif what < .7:
                out.append(e(path + "/"))
            elif n > 0:
                head, _, name = path.rpartition("/")
                out.append(e(f"{head}/.wh.{name}", b""))
        dirs = {d for d in dirs if not isinstance(d, tuple)}
        layers.append(tar(*out))
    l.image("1", layers)
PY
    for i in 0 1 2 3 4 5 6 7; do
        unpacked r$i:1 u$i
        get oci:r$i:1 /m
        diff -r u$i/rootfs/m out
        [ -n "$(find out -type f)" ]
    done
}

@test "names that climb or start at the root" {
    evil 'entry("m/"), entry("m/../../escaped", b"x")'
    hostile "unsafe name"
    evil 'entry("m/"), entry("../escaped", b"x")'
    hostile "unsafe name"
    evil 'entry("m/"), entry("m/..", b"x")'
    hostile "unsafe name"
    evil 'entry("/m/"), entry("/m/f", b"x"), entry("//m/./g", b"y"), entry("/tmp/escaped-by-ml-fetch", b"z")' # as every engine reads them
    get oci:evil:1 /m
    [ "$(ls out | tr '\n' ' ')" = "f g " ] && [ ! -e /tmp/escaped-by-ml-fetch ]
    evil "entry('m/'), entry('m/' + 'd/' * 2500 + 'f', b'x')"
    hostile "unsafe name"
    evil "entry('m/'), entry('m/' + 'n' * 300, b'x')"
    hostile "cannot write|too long"
}

@test "symbolic links that lead out" {
    for target in /etc/passwd ../x ../../escaped sub/../../../x sub/.. ..; do
        evil "entry('m/'), entry('m/sub/'), entry('m/l', type=S, link='$target')"
        hostile "symbolic link"
    done
    evil 'entry("m/"), entry("m/sub/"), entry("m/f", b"1"), entry("m/sub/l", type=S, link="../f"), entry("m/s", type=S, link="./sub"), entry("m/d", type=S, link="none")'
    get oci:evil:1 /m
    [ "$(cat out/sub/l)" = 1 ] && [ "$(readlink out/d)" = none ]
}

@test "names below a symbolic link" {
    mkdir target
    evil "entry('m/'), entry('m/l', type=S, link='$PWD/target'), entry('m/l/escaped', b'x')"
    hostile "isn't a directory"
    evil "entry('m', type=S, link='$PWD/target'), entry('m/escaped', b'x')"
    hostile "isn't a directory"
    evil "entry('m/'), entry('m/d/'), entry('m/d', type=S, link='$PWD/target'), entry('m/d/escaped', b'x')"
    hostile "isn't a directory"
    evil "entry('./', type=S, link='$PWD/target'), entry('m/escaped', b'x')"
    hostile "root is not a directory"
    # in a layer above, the link gives way to a directory, as it does in an overlay
    evil "entry('m/'), entry('m/l', type=S, link='$PWD/target')" "entry('m/l/escaped', b'x')"
    get oci:evil:1 /m
    [ "$(cat out/l/escaped)" = x ] && [ ! -L out/l ]
    [ -z "$(ls target)" ]
}

@test "hard links: inside they work, outside they don't" {
    echo secret >secret
    evil "entry('etc/'), entry('etc/shadow', b's'), entry('m/'), entry('m/l', type=H, link='etc/shadow')"
    hostile "hard link to '/etc/shadow'"
    evil "entry('m/'), entry('m/l', type=H, link='$PWD/secret')"
    hostile "hard link to"
    evil "entry('m/'), entry('m/l', type=H, link='../secret')"
    hostile "unsafe link"
    evil "entry('m/'), entry('m/s', type=S, link='f'), entry('m/l', type=H, link='m/s')"
    hostile "hard link to"
    evil "entry('m/'), entry('m/d/'), entry('m/l', type=H, link='m/d')"
    hostile "hard link to"
    # written anew, a name doesn't write through to the file that it was linked to
    evil "entry('m/'), entry('m/a', b'1'), entry('m/b', type=H, link='m/a'), entry('m/b', b'2')"
    get oci:evil:1 /m
    [ "$(cat out/a out/b)" = 12 ]
    evil "entry('m/'), entry('m/a', b'1')" "entry('m/b', type=H, link='m/a'), entry('m/.wh.a', b'')"
    get oci:evil:1 /m
    [ "$(cat out/b)" = 1 ] && [ ! -e out/a ]
}

@test "devices, fifos, sparse files, bare deletions; doubles" {
    for t in CHRTYPE BLKTYPE FIFOTYPE; do
        evil "entry('m/'), entry('m/x', type=tarfile.$t)"
        hostile "device, a fifo or a socket"
    done
    evil "entry('dev/'), entry('dev/null', type=tarfile.CHRTYPE), entry('m/'), entry('m/f', b'1')" # elsewhere they don't matter
    get oci:evil:1 /m
    [ "$(cat out/f)" = 1 ]
    truncate -s 1T holes && echo x >>holes
    tar --format=pax -S --transform 's,^,m/,' -cf sparse.tar holes
    py <<'PY'
import images
images.Layout("evil").image("1", [open("sparse.tar", "rb").read()])
PY
    hostile "a sparse file 'm/holes'"
    for n in .wh. .wh... .wh..; do
        evil "entry('m/'), entry('m/$n', b'')"
        hostile "malformed deletion"
    done
    evil "entry('m/'), entry('m/f', b'1'), entry('m/f', b'22'), entry('m/g/'), entry('m/g', b'3'), entry('m/h', b'4'), entry('m/h/'), entry('m/h/i', b'5')"
    get oci:evil:1 /m
    [ "$(cat out/f out/g out/h/i)" = 2235 ]
}

@test "modes: no setuid, nothing writable by others" {
    evil "entry('m/', mode=0o7777), entry('m/s', b'1', mode=0o6777), entry('m/z', b'1', mode=0), entry('m/x', b'1', mode=0o100)"
    get oci:evil:1 /m
    [ "$(stat -c %a out out/s out/z out/x | tr '\n' ' ')" = "755 755 644 755 " ]
}

@test "bombs" {
    py <<'PY'
import gzip, images
from images import entry, tar
l = images.Layout("evil")
t, _ = entry("m/zeros", b"", size=400 << 20)
l.image("1", [images.zstd(tar(entry("m/"))[:1024 - 512] + t.tobuf() + bytes(400 << 20))], diff_ids=["sha256:" + "0" * 64])
small = gzip.compress(tar(entry("m/"), entry("m/f", bytes(1000000))))
l.image("small", [small])
PY
    hostile "unpacks to more than"
    run --separate-stderr ml-fetch -q files oci:evil:small --path /m --to out --max-size 999999
    fails 3 "more than 999999 bytes"
    [ ! -e out ]
    ml-fetch -q files oci:evil:small --path /m --to out --max-size 1000000 >fetch.json
    [ "$(stat -c %s out/f)" = 1000000 ]
}

@test "bytes that aren't what the digest says are 4, whatever else is wrong with them" {
    evil "entry('m/'), entry('m/f', b'1' * 5000)"
    f=$(find evil/blobs -type f -size +4k)
    cp "$f" kept
    printf XXXXXXXX | dd of="$f" bs=1 seek=2000 conv=notrunc status=none
    hostile "has other bytes" 4
    cp kept "$f" && dd if=/dev/urandom of="$f" bs=512 count=2 conv=notrunc status=none
    hostile "has other bytes" 4
    cp kept "$f" && truncate -s 2000 "$f"
    hostile "2000 bytes" 4
}

@test "malformed layers and streams that end too early" {
    py <<'PY'
import gzip, images
from images import entry, tar
good = tar(entry("m/"), entry("m/f", b"1" * 5000))
l = images.Layout("evil")
l.image("cut", [good[:3000]])
l.image("short", [good[:1024 + 4990]])
l.image("unpadded", [good[:1024 + 5000]])
l.image("gz", [gzip.compress(good)[:-20]])
l.image("zst", [images.zstd(good)[:-5]])
l.image("junk", [b"not a tar at all" * 100])
l.image("gzjunk", [gzip.compress(good) + b"junk"])
l.image("broken", [gzip.compress(good)[:20] + b"\xff" * 30])
PY
    for t in cut short gz zst junk gzjunk broken; do
        run --separate-stderr ml-fetch -q files oci:evil:$t --path /m --to out
        fails 3 "malformed|too early|[Tt]runcated"
        [ ! -e out ]
    done
    get oci:evil:unpadded /m # as umoci insert leaves it
    [ "$(stat -c %s out/f)" = 5000 ]
}

@test "an image of no use: malformed manifest, foreign layers, deep JSON" {
    py <<'PY'
import images
l = images.Layout("evil")
def raw(tag, data):
    d = l.blob(data)
    l.index["manifests"].append({"mediaType": images.MANIFEST, **d, "annotations": {"org.opencontainers.image.ref.name": tag}})
    l.save()
raw("empty", b"")
raw("deep", b'{"a":' * 100000)
raw("utf8", b'{"a":"\xff"}')
raw("neg", b'{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:' + b"0" * 64 + b'","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:' + b"0" * 64 + b'","size":-1}]}')
raw("dig", b'{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:../../../etc/passwd","size":2},"layers":[]}')
PY
    for t in empty deep utf8 neg dig; do
        run --separate-stderr ml-fetch -q files oci:evil:$t --path /m --to out
        fails 3 "."
        [ ! -e out ]
    done
}

@test "the directory: new or empty, parents are made, never the current one" {
    base base
    mkdir full empty && echo precious >full/f
    run --separate-stderr ml-fetch -q files oci:base:1 --path /etc --to full
    fails 3 "not empty"
    [ "$(cat full/f)" = precious ]
    ml-fetch -q files oci:base:1 --path /etc --to empty/ >fetch.json
    [ "$(cat empty/os-release)" = ID=tiny ]
    ml-fetch -q files oci:base:1 --path /etc --to a/b/c >fetch.json
    [ "$(cat a/b/c/os-release)" = ID=tiny ]
    echo 1 >file
    run --separate-stderr ml-fetch -q files oci:base:1 --path /etc --to file
    fails 3 "file"
    mkdir here && cd here
    run --separate-stderr ml-fetch -q files oci:../base:1 --path /etc --to .
    fails 2 "current directory"
    run --separate-stderr ml-fetch -q files oci:../base:1 --path etc --to x
    fails 2 "start with '/'"
}

@test "--optional: nothing published is no error, makes nothing and prints nothing" {
    base base
    for ref in oci:none:1 oci:base:production; do
        for what in "files $ref --path /m --to out" "card $ref" "predictions $ref"; do
            run --separate-stderr ml-fetch $what --optional -o doc
            [ "$status" -eq 0 ] && [ -z "$output" ] && [ -z "$stderr" ] && [ ! -e doc ] && [ ! -e out ]
            run --separate-stderr ml-fetch $what -o doc
            fails 3 "nothing is published"
        done
    done
    run --separate-stderr ml-fetch card oci:base:1 --optional -o doc # published, but without a card
    [ "$status" -eq 0 ] && [ -z "$output" ] && [ ! -e doc ]
    run --separate-stderr ml-fetch card oci:base:1
    fails 3 "no card is attached"
    run --separate-stderr ml-fetch predictions oci:base:1
    fails 3 "no predictions are attached"
    run --separate-stderr ml-fetch files oci:base:1 --path /none --to out --optional
    fails 3 "nothing at"
}

@test "card and predictions come back byte for byte" {
    base base
    model m
    printf 'id,label,prediction\n1,a,a\n2,b,b\n3,a,b\n' >p.csv
    ml-eval -q --model m p.csv >card.json
    ml-package -q --card card.json --base oci:base:1 --add m:/app/model --out oci:img:1 -o packed.json
    ml-publish push -q --card packed.json --predictions p.csv oci:shop:v1 -o published.json
    ml-fetch card oci:shop:v1 >got.json
    [ "$(ml get image.digest got.json)" = "$(digest packed.json)" ]
    [ "$(ml get evaluation got.json)" = "$(ml get evaluation card.json)" ]
    ml-fetch -q predictions oci:shop:v1 | cmp - p.csv
    ml-fetch -q predictions oci:shop:v1 -o got.csv && cmp got.csv p.csv
    ml-fetch -q files "oci:shop@$(digest packed.json)" --path /app/model --to out >fetch.json
    diff -r m out
    # a card of another image, or other bytes, are not taken
    f=$(grep -l 'id,label,prediction' -r shop/blobs | head -1)
    sed -i 's/3,a,b/3,a,a/' "$f"
    run --separate-stderr ml-fetch -q predictions oci:shop:v1
    fails 4 "has other bytes"
    [ -z "$output" ]
}

@test "go on with a card; usage" {
    base base
    echo '{"schema":"mlci.card/1","x":1}' >card.json
    ml-fetch -q files oci:base:1 --path /etc --to out --card card.json -o got.json
    grep -q '"x":1' got.json
    [ "$(ml get fetch.files got.json)" = 1 ]
    for args in "files oci:base:1" "files oci:base:1 --path /m" "nothing oci:base:1" "card oci:base:1 --path /x" "files oci:base:1 --path /etc --to o --max-size -1" \
        "card oci:base" "card base:1"; do
        run --separate-stderr ml-fetch -q $args
        fails 2 "."
    done
    [ ! -e o ]
}

@test "killed, the directory is whole or not there" {
    mkdir m && head -c 30000000 /dev/urandom >m/big
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    for i in 1 2 3 4 5 6 7 8; do
        ml-fetch -q files oci:img:1 --path /m --to out$i >fetch.json 2>/dev/null &
        pid=$!
        sleep "0.0$((i * 3))"
        kill -9 $pid 2>/dev/null || true
        wait $pid 2>/dev/null || true
        [ ! -e out$i ] || cmp m/big out$i/big
        rm -rf out$i .out$i.*
    done
    # and once surely in the middle of it
    py <<'PY'
import os, signal
from slow import Slow, there
s = Slow(["ml-fetch", "-q", "files", "oci:img:1", "--path", "/m", "--to", "out"], "write", 100)
s.until(there(".out.*.part/root/big"))
s.send(signal.SIGKILL)
assert s.end()[0] == -signal.SIGKILL and not os.path.exists("out")
PY
}

@test "a full disk leaves nothing" {
    mkdir m && head -c 10000000 /dev/urandom >m/big
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    mkdir disk
    mount -t tmpfs -o size=5m none disk 2>/dev/null || skip "a full disk needs root and a mount of tmpfs"
    run --separate-stderr ml-fetch -q files oci:img:1 --path /m --to disk/out
    left=$(ls -A disk)
    umount disk
    fails 3 "No space left"
    [ -z "$left" ]
}

@test "names come through in any locale" {
    mkdir m && printf 1 >m/$'\xc3\xa9' && printf 2 >"m/日本"
    printf 3 >m/"$(printf 'n%.0s' {1..200})"
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    for l in C POSIX C.UTF-8 pt_BR.UTF-8; do
        rm -rf out
        LC_ALL=$l ml-fetch -q files oci:img:1 --path /m --to out >fetch.json
        diff -r m out
    done
    rm -rf out
    LOCPATH=$PWD/nowhere LC_ALL=C ml-fetch -q files oci:img:1 --path /m --to out >fetch.json # an image without locales
    diff -r m out
    py <<'PY'
import images, tarfile
t, d = images.entry("m/x\udce7", b"latin")
images.Layout("l").image("1", [images.tar(images.entry("m/"), (t, d), format=tarfile.GNU_FORMAT)])
PY
    get oci:l:1 /m
    [ "$(cat out/$'x\xe7')" = latin ]
}
