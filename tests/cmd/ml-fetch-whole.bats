#!/usr/bin/env bats
# ml-fetch: the directory appears whole or not at all, whatever ends the fetch, and nothing else stays.
load helper
load images
load registry

teardown() {
    servers_stop "$PWD"
    ! mountpoint -q disk || umount disk
}

# image SIZE: oci:img:1 with /m/big of that many bytes (zeros) and some small files
image() {
    mkdir -p m/sub && truncate -s "$1" m/big && echo 1 >m/sub/a && echo 2 >m/sub/b
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
}

# debris: what lies about beside `out`
debris() {
    find . -maxdepth 1 -name '.*.part' -o -maxdepth 1 -name '.*.tmp'
}

@test "a signal ends it, and nothing is left" {
    image 4M
    py <<'PY'
import glob, os, signal
from slow import Slow
fetch = ["ml-fetch", "-q", "files", "oci:img:1", "--path", "/m", "--to", "out"]
def begun():
    return any(os.path.getsize(f) for f in glob.glob(".out.*.part/root/big"))
for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    s = Slow(fetch, "write", 100)
    s.until(begun)
    s.send(sig)
    assert s.end()[0] == -sig
    assert not glob.glob(".out*") and not os.path.exists("out"), os.listdir(".")
# who ignores a signal isn't told
s = Slow(fetch, "write", 100, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
s.until(begun)
s.send(signal.SIGHUP)
assert s.end()[0] == 0 and os.path.getsize("out/big") == 4 << 20
PY
    [ -z "$(debris)" ]
}

@test "a signal while the registry doesn't answer" {
    image 1M
    up=$(registry_start "$PWD" reg)
    ml-publish push -q --image oci:img:1 "$up/m:1" </dev/null >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$up" '[{"name": "hold", "method": "GET", "path": "/blobs/", "hold": true}]')
    py "$proxy" <<'PY'
import glob, os, signal, subprocess, sys, time
p = subprocess.Popen(["ml-fetch", "-q", "files", sys.argv[1] + "/m:1", "--path", "/m", "--to", "out"], stdout=subprocess.DEVNULL)
while "hold" not in open("proxy.requests").read():
    time.sleep(.01)
assert glob.glob(".out.*.part")
p.send_signal(signal.SIGTERM)
t = time.time()
assert p.wait() == -signal.SIGTERM and time.time() - t < 5
PY
    [ -z "$(debris)" ] && [ ! -e out ]
}

@test "what a kill -9 leaves is swept by the next, but not what belongs to somebody" {
    image 4M
    py <<'PY'
import signal
from slow import Slow, there
s = Slow(["ml-fetch", "-q", "files", "oci:img:1", "--path", "/m", "--to", "out"], "write", 100)
s.until(there(".out.*.part/root/big"))
s.send(signal.SIGKILL)
assert s.end()[0] == -signal.SIGKILL
PY
    [ -n "$(debris)" ] && [ ! -e out ]
    mkdir -m 700 .out.alive1.part .out.others.part .out.backup && mkdir .out.shared.part
    touch .out.others.part/precious .out.backup/precious
    exec 8<.out.alive1.part && flock 8
    ml-fetch -q files oci:img:1 --path /m --to out >fetch.json
    diff -r m out
    [ "$(find . -maxdepth 1 -name '.out.*' | LC_ALL=C sort | tr '\n' ' ')" = "./.out.alive1.part ./.out.backup ./.out.others.part ./.out.shared.part " ]
    exec 8<&-
    rm -r out
    ml-fetch -q files oci:img:1 --path /m --to out >fetch.json
    [ ! -e .out.alive1.part ] && [ -e .out.others.part/precious ]
}

@test "several at once into one directory: one makes it" {
    image 20M
    for i in 1 2 3 4 5 6; do
        (rc=0 && ml-fetch -q files oci:img:1 --path /m --to out >$i.json 2>$i.err || rc=$?; echo $rc >$i.rc) &
    done
    wait
    diff -r m out
    [ "$(cat ./*.rc | grep -c 0)" -eq 1 ]
    [ "$(cat ./*.rc | grep -c 3)" -eq 5 ]
    [ -z "$(debris)" ]
    [ "$(cat ./*.err | grep -c "cannot make 'out': Directory not empty\|'out' is not empty")" -eq 5 ]
}

@test "a disk that is too small says so before the download, and stays as it was" {
    image 80M
    up=$(registry_start "$PWD" reg)
    ml-publish push -q --image oci:img:1 "$up/m:1" </dev/null >/dev/null
    mkdir disk
    mount -t tmpfs -o size=30m none disk 2>/dev/null || skip "a full disk needs root and a mount of tmpfs"
    for ref in oci:img:1 "$up/m:1"; do
        run --separate-stderr ml-fetch -q files "$ref" --path /m --to disk/out
        fails 3 "no room for the 83886080 bytes of 'disk/out/big': No space left on device"
        [ -z "$(ls -A disk)" ]
    done
}

@test "200 files and more are synced all at once, few one by one" {
    command -v strace >/dev/null || skip "needs strace"
    image 20M
    strace -f -e trace=fsync,syncfs,rename -o few ml-fetch -q files oci:img:1 --path /m --to out >fetch.json || skip "strace may not trace here"
    [ "$(grep -c 'fsync(.*= 0' few)" -ge 5 ] # three files, two directories, the one above
    for i in $(seq 200); do echo "$i" >m/sub/$i; done
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    strace -f -e trace=fsync,syncfs,rename -o many ml-fetch -q files oci:img:1 --path /m --to many.d >fetch.json
    [ "$(grep -c 'syncfs(.*= 0' many)" -eq 1 ]
    diff -r m many.d
    # the name comes after that
    [ "$(grep -n 'rename(.*many.d"' many | cut -d: -f1)" -gt "$(grep -n 'syncfs' many | cut -d: -f1)" ]
}

@test "progress: in a log a line at the start and one at the end, on a terminal rate and time left" {
    image 40M
    ml-fetch files oci:img:1 --path /m --to out >fetch.json 2>log
    [ "$(wc -l <log)" -eq 3 ]
    sed -n 1p log | grep -qx 'fetching 41.9 MB'
    sed -n 2p log | grep -Eqx 'fetched 41.9 MB in [0-9.]+ s, [0-9.]+ [kMG]?B/s'
    sed -n 3p log | grep -Eqx 'fetched 3 files, 41.9 MB, from sha256:[0-9a-f]{64} \(1 of 1 layers read\)'
    up=$(registry_start "$PWD" reg)
    ml-publish push -q --image oci:img:1 "$up/m:1" </dev/null >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$up" '[{"name": "slow", "path": "/blobs/", "pace": 4000000}]')
    py "$proxy" <<'PY'
import os, pty, sys
out = b""
def read(fd):
    global out
    data = os.read(fd, 65536)
    out += data
    return data
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ml-fetch", ["ml-fetch", "files", sys.argv[1] + "/m:1", "--path", "/m", "--to", "tty", "-o", "tty.json"])
try:
    while read(fd):
        pass
except OSError:
    pass
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, out
assert b"% of 41.9 MB, " in out and b"/s" in out and b" s left" in out, out
assert b"fetching" not in out and b"\nfetched 3 files" in out, out
PY
}

@test "a signal ends it also as the first process of a container" {
    unshare -pf true 2>/dev/null || skip "needs a process namespace"
    image 4M
    # from outside, as strace would be the first process otherwise: it is held up until it is told to end
    up=$(registry_start "$PWD" reg)
    ml-publish push -q --image oci:img:1 "$up/m:1" </dev/null >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$up" '[{"name": "hold", "method": "GET", "path": "/blobs/", "hold": true}]')
    py "$proxy" <<'PY'
import glob, os, signal, subprocess, sys
from slow import there, wait
p = subprocess.Popen(["unshare", "-pf", "ml-fetch", "-q", "files", sys.argv[1] + "/m:1", "--path", "/m", "--to", "out"], stdout=subprocess.DEVNULL)
wait(there(".out.*.part"))
wait(lambda: "hold" in open("proxy.requests").read())
with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
    os.kill(int(f.read().split()[0]), signal.SIGTERM)
assert p.wait() == 128 + signal.SIGTERM, p.returncode
assert not glob.glob(".out*") and not os.path.exists("out")
PY
}
