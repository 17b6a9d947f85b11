#!/usr/bin/env bats
# The same inputs give the same image, whoever packs them, wherever, whenever, and on whatever machine.

setup_file() {
    load helper
    load images
    # others must be able to come in: not below a private home
    W=$(mktemp -d /tmp/ml-reproducible.XXXXXX)
    chmod 755 "$W"
    export W
    cp "$(command -v ml-package)" "$(command -v ml)" "$W/"
    chmod 755 "$W/ml-package" "$W/ml"
    cd "$W" || return 1
    base base
    chmod -R a+rX base
    source_tree src
    for how in none gzip zstd split; do
        pack src "want-$how" "$how"
    done
}

teardown_file() {
    rm -rf "$W"
}

setup() {
    load helper
    load images
    cd "$W" || return 1
}

# source_tree DIR: several blocks of every encoder, text and weights, names of all kinds; made in one order
source_tree() {
    /usr/bin/python3 - "$1" <<'PY'
import os, random, struct, sys
top = sys.argv[1]
r = random.Random(7)
files = {}
for i in range(60):
    files[f"part/{r.randrange(10**6):06}-{i}.txt"] = f"alpha={i / 7:.6f}\n".encode() * r.randrange(400)
files["weights.bin"] = b"".join(struct.pack("<f", r.gauss(0, .02)) for _ in range(700_000))
files["vocabulary.txt"] = b"".join(b"%d token%d\n" % (i, r.randrange(i + 1)) for i in range(250_000))
files["zeros.bin"] = bytes(2_500_000)
files["ı/İstanbul-ß-日本.txt"] = b"names\n"
files["n" * 120 + "/" + "m" * 150] = b"long\n"
files["run.sh"] = b"#!/bin/sh\n"
for d in ("empty", "part"):
    os.makedirs(f"{top}/{d}", exist_ok=True)
for name in files:
    os.makedirs(os.path.dirname(f"{top}/{name}"), exist_ok=True)
    open(f"{top}/{name}", "wb").write(files[name])
os.chmod(f"{top}/run.sh", 0o755)
os.symlink("weights.bin", f"{top}/current")
PY
}

# options HOW
options() {
    case $1 in
    split) echo "--compress gzip --split 1M" ;;
    *) echo "--compress $1" ;;
    esac
}

# pack SRC NAME HOW [COMMAND ...]: packs into the layout NAME, in front of it the command; the digest is in NAME.digest
pack() {
    local src=$1 name=$2 how=$3
    shift 3
    rm -rf "$name" "$name.json"
    # shellcheck disable=SC2046
    "$@" "$W/ml-package" -q --base oci:base:1 --add "$src:/models/v1" $(options "$how") --out "oci:$name:1" -o "$name.json" || return 1
    "$W/ml" get image.digest "$name.json" >"$name.digest"
}

# same SRC [COMMAND ...]: every kind of image is the one that is wanted
same() {
    local src=$1 how
    shift
    for how in none gzip zstd split; do
        pack "$src" got "$how" "$@"
        diff "want-$how.digest" got.digest || {
            echo "other bytes: $how $*"
            return 1
        }
    done
}

@test "the kinds differ, and each is what it says" {
    [ "$(sort -u want-*.digest | wc -l)" -eq 4 ]
    [ "$(ml get image.layers want-split.json | grep -o '"diff_id"' | wc -l)" -ge 4 ]
    unpacked want-gzip:1 unpacked
    diff -r --no-dereference src unpacked/rootfs/models/v1
    [ -x unpacked/rootfs/models/v1/run.sh ]
    py want-gzip want-zstd <<'PY'
import json, subprocess, sys
for d, tool in zip(sys.argv[1:], ("gzip", "zstd")):
    index = json.load(open(f"{d}/index.json"))
    blob = lambda x: f"{d}/blobs/sha256/{x.split(':')[1]}"
    manifest = json.load(open(blob(index["manifests"][0]["digest"])))
    config = json.load(open(blob(manifest["config"]["digest"])))
    layer = manifest["layers"][-1]
    assert layer["mediaType"].endswith("+" + tool), layer
    tar = subprocess.run([tool, "-dc"], stdin=open(blob(layer["digest"]), "rb"), capture_output=True, check=True).stdout
    import hashlib
    assert "sha256:" + hashlib.sha256(tar).hexdigest() == config["rootfs"]["diff_ids"][-1]
PY
}

@test "again, another user, other masks and modes" {
    same src
    same src bash -c 'umask 000; exec "$@"' -
    same src bash -c 'umask 077; exec "$@"' -
    cp -a src modes
    find modes -type f ! -name run.sh -exec chmod 640 {} +
    chmod 700 modes modes/part modes/empty modes/run.sh
    same modes
    [ "$(id -u)" -eq 0 ] || skip "not root"
    mkdir nobody
    chown 65534:65534 nobody
    for how in none gzip zstd split; do
        pack src nobody/got $how setpriv --reuid=65534 --regid=65534 --clear-groups
        diff want-$how.digest nobody/got.digest
    done
    chown -R 12345:54321 modes
    same modes
}

@test "other languages, with a comma for a point and an i without a dot" {
    mkdir locales
    for l in de_DE tr_TR; do
        localedef --no-archive -i $l -f UTF-8 "locales/$l.UTF-8"
    done
    [ "$(LOCPATH=$W/locales LC_ALL=de_DE.UTF-8 /usr/bin/printf %.1f 1,5)" = 1,5 ]
    for l in C C.UTF-8 POSIX de_DE.UTF-8 tr_TR.UTF-8 no_SUCH; do
        same src env LOCPATH="$W/locales" LANG=$l LC_ALL=$l LANGUAGE=$l
    done
}

@test "other time zones, file times and dates" {
    same src env TZ=UTC
    same src env TZ=XXX-14
    same src env TZ=America/St_Johns
    cp -a src times
    find times -exec touch -h -d '1969-12-31 23:59:59.5' {} +
    same times
    find times -exec touch -h -d '2199-01-01' {} +
    same times
}

@test "another order in the directory, another file system, another way to the source" {
    /usr/bin/python3 - src reversed <<'PY'
import os, shutil, sys
a, b = sys.argv[1:]
names = [os.path.join(d, n) for d, ds, fs in os.walk(a) for n in ds + fs]
for n in sorted(names, key=lambda n: (n.count("/"), [-ord(c) for c in n])):
    to = b + n[len(a):]
    os.makedirs(os.path.dirname(to), exist_ok=True)
    if os.path.isdir(n):
        os.makedirs(to, exist_ok=True)
    else:
        shutil.copy2(n, to, follow_symlinks=False)
PY
    same reversed
    ln -s src link
    same "$W/src"
    same src/
    same link
    [ -d /dev/shm ] || skip "no other file system"
    shm=$(mktemp -d /dev/shm/ml-reproducible.XXXXXX)
    cp -a src "$shm/src"
    run same "$shm/src"
    rm -rf "$shm"
    [ "$status" -eq 0 ]
}

@test "holes and hard links" {
    cp -a src sparse
    rm sparse/zeros.bin
    truncate -s 2500000 sparse/zeros.bin
    ln sparse/weights.bin elsewhere
    same sparse
    ln sparse/run.sh sparse/again.sh
    cp -a src copied
    cp -p src/run.sh copied/again.sh
    pack sparse a none
    pack copied b none
    diff a.digest b.digest
}

@test "one processor or all of them, few files or many open" {
    same src taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')"
    same src bash -c 'ulimit -n 20; exec "$@"' -
}

@test "other processors" {
    command -v qemu-x86_64 >/dev/null && [ "$(uname -m)" = x86_64 ] || skip "no qemu-x86_64"
    for cpu in qemu64 Nehalem max; do
        same src qemu-x86_64 -cpu $cpu
    done
}
