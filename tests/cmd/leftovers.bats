#!/usr/bin/env bats
# shellcheck disable=SC2154
# What stays of a command that fails, is told to end or is killed: nothing, or nothing for longer than until the next.
load helper
load images
load registry

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir src && head -c 6000000 /dev/urandom >src/big && echo small >src/small
}

# left: everything but the inputs
left() {
    find . -mindepth 1 ! -path './src*' ! -name '*.json' | LC_ALL=C sort
}

@test "a source that changes, and a full disk: a layout that wasn't there isn't there" {
    py <<'PY'
import glob, json, os, signal, subprocess
from slow import Slow, pack, there, wait
def fails(to):
    s = Slow(pack("--out", f"oci:{to}:1"))
    s.until(there(f"{to}/blobs/sha256/.blob.*"))
    s.send(signal.SIGSTOP)
    open("src/big", "ab").write(b"more")
    s.send(signal.SIGCONT)
    code, said = s.end()
    assert code == 4 and "changed while it was being read" in said, (code, said)
fails("new")
assert not os.path.exists("new")
fails("a/deep/new/")
assert not os.path.exists("a")
os.makedirs("a/empty")
fails("a/empty")
fails("a/empty/x/y")
assert os.listdir("a") == ["empty"] and not os.listdir("a/empty")
PY
    rm -r a
    [ -z "$(left)" ]
    # an empty layout of somebody else, and one with an image, stay
    umoci init --layout theirs
    cp -r theirs before
    run --separate-stderr ml-package -q --base scratch --add /proc/self/status:/m --out oci:theirs:1
    fails 3 'says that it has 0 bytes'
    [ "$(cat theirs/index.json)" = "$(cat before/index.json)" ] && [ -d theirs/blobs/sha256 ]
    run --separate-stderr ml-package -q --base scratch --add /proc/self/status:/m --out oci:mine:1
    fails 3 'says that it has 0 bytes'
    [ ! -e mine ]
    ml-package -q --base scratch --add src/small:/m --out oci:mine:1 >card.json
    run --separate-stderr ml-package -q --base scratch --add /proc/self/status:/m --out oci:mine:2
    [ "$(digest_of mine 1)" = "$(digest card.json)" ]
    rm -r theirs before mine
    mkdir disk
    mount -t tmpfs -o size=2m none disk 2>/dev/null || skip "a full disk needs root and a mount of tmpfs"
    run --separate-stderr ml-package -q --base scratch --add src:/m --out oci:disk/new/img:1
    stays=$(ls -A disk)
    umount disk
    fails 3 "No space left"
    [ -z "$stays" ]
}

@test "told to end, at whatever it is: nothing stays" {
    py <<'PY'
import glob, json, os, signal, subprocess
from slow import Slow, pack, there, wait
n = 0
for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    for state in ("a/img", "a/img/.oci-layout.*", "a/img/oci-layout", "a/img/.index.json.*", "a/img/index.json", "a/img/blobs/sha256",
                  "a/img/blobs/sha256/.blob.*"):
        s = Slow(pack("--out", "oci:a/img:1"))
        s.until(there(state))
        s.send(sig)
        assert s.end()[0] == -sig
        assert not os.path.exists("a"), (state, subprocess.check_output(["find", "a"]))
        n += 1
    for to, state in (("--archive", ".a.tar.*.tmp"), ("--archive", ".a.tar.*.tmp")):
        s = Slow(pack(to, "a.tar:x/y:1"))
        s.until(there(state))
        s.send(sig)
        assert s.end()[0] == -sig and not glob.glob("*a.tar*") + glob.glob(".a.tar*")
        n += 1
assert n == 27
PY
    [ -z "$(left)" ]
}

@test "killed: the next run takes away what was left, at once, and nothing of one that lives" {
    py <<'PY'
import glob, json, os, signal, subprocess
from slow import Slow, pack, there, wait
blob, tar, out = "img/blobs/sha256/.blob.*.tmp", ".a.tar.*.tmp", ".card.json.*.tmp"
again = pack("--out", "oci:img:1", "-o", "card.json"), pack("--archive", "a.tar:x/y:1", "-o", "card.json")
for argv, pattern in zip(again, (blob, tar)):
    living = Slow(argv)
    living.until(lambda: any(map(os.path.getsize, glob.glob(pattern)))) # before it is locked it may be swept, and is made again
    living.send(signal.SIGSTOP)
    held = set(glob.glob(pattern))
    for n in range(3):
        killed = Slow(argv, ms=2000)
        killed.until(lambda: len(glob.glob(pattern)) > len(held))
        killed.send(signal.SIGKILL)
        assert killed.end()[0] == -signal.SIGKILL and len(glob.glob(pattern)) == len(held) + 1
        subprocess.run(argv, check=True)
        assert set(glob.glob(pattern)) == held, "swept too little, or what a living one writes"
    living.send(signal.SIGCONT)
    code, said = living.end()
    assert code == 0, said
    assert not glob.glob(pattern)
killed = Slow(again[0], ms=2000)
killed.until(there(out))
killed.send(signal.SIGKILL)
killed.end()
assert glob.glob(out)
subprocess.run(again[0], check=True)
assert not glob.glob(out) and json.load(open("card.json"))
# of somebody else's making
for name in (".a.tar.abcdefg.tmp", ".a.tar.abcdef.tmpx", ".a.tar.abcde.tmp", ".b.tar.abcdef.tmp"):
    open(name, "w").close()
os.mkdir(".a.tar.ABCDEF.tmp")
os.symlink("src/small", ".a.tar.GHIJKL.tmp")
subprocess.run(again[1], check=True)
assert len(glob.glob(".*.tmp*")) == 6 and os.path.exists("src/small")
PY
}

@test "one that takes its empty layout back loses nothing of another's" {
    py <<'PY'
import glob, json, os, signal, subprocess
from slow import Slow, pack, there, wait
def tags():
    return sorted(m["annotations"]["org.opencontainers.image.ref.name"] for m in json.load(open("img/index.json"))["manifests"])
def begin():
    s = Slow(pack("--out", "oci:img:bad"), "copy_file_range,unlinkat,rmdir", 500)
    s.until(there("img/blobs/sha256/.blob.*"))
    s.send(signal.SIGSTOP)
    open("src/big", "ab").write(b"more")
    return s
other = pack("--out", "oci:img:good", src="src/small:/m")
# another one that has come and gone
bad = begin()
subprocess.run(other, check=True, stdout=subprocess.DEVNULL)
bad.send(signal.SIGCONT)
assert bad.end()[0] == 4 and tags() == ["good"]
# another that is still about it
subprocess.run(["rm", "-r", "img"], check=True)
bad = begin()
good = Slow(other, "getrandom", 500)
def files():
    return [os.path.realpath(f) for f in sorted(glob.glob(f"/proc/{good.pid}/fd/*"), key=lambda f: int(os.path.basename(f)))]
# it uses the layout and has let go of the directory's lock
good.until(lambda: (now := files()) and any(f.endswith("/img/oci-layout") for f in now) and not any(f.endswith("/img") for f in now))
good.send(signal.SIGSTOP)
bad.send(signal.SIGCONT)
assert bad.end()[0] == 4
good.send(signal.SIGCONT)
code, said = good.end()
assert code == 0, said
assert tags() == ["good"]
# another that waits for the lock of what is being taken back
subprocess.run(["rm", "-r", "img"], check=True)
bad = begin()
bad.send(signal.SIGCONT)
bad.until(lambda: not os.path.exists("img/blobs/sha256"))
subprocess.run(other, check=True, stdout=subprocess.DEVNULL)
assert bad.end()[0] == 4 and tags() == ["good"]
# many of both kinds
subprocess.run(["rm", "-r", "img"], check=True)
for n in range(5):
    bads = [subprocess.Popen(pack("--out", "oci:img:bad", src="/proc/self/status:/m"), stderr=subprocess.DEVNULL) for _ in range(8)]
    goods = [subprocess.Popen(pack("--out", f"oci:img:{i}", src="src/small:/m"), stdout=subprocess.DEVNULL) for i in range(3)]
    bads += [subprocess.Popen(pack("--out", "oci:img:bad", src="/proc/self/status:/m"), stderr=subprocess.DEVNULL) for _ in range(8)]
    assert [p.wait() for p in goods] == [0] * 3 and [p.wait() for p in bads] == [3] * 16
    assert tags() == ["0", "1", "2"]
    subprocess.run(["rm", "-r", "img"], check=True)
PY
    [ -z "$(left)" ]
}
