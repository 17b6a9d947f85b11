#!/usr/bin/env bats
# Several writers of one layout at once: no tag is lost, whatever locks the file system has.
load helper
load images
load registry

teardown() {
    servers_stop "$PWD"
}

# nolock KIND: a library to preload under which flock fails as it does on NFS (dir: on directories; all: always)
nolock() {
    cat >nolock.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
int flock(int fd, int how)
{
    struct stat st;
    if (ALL || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))) {
        errno = ALL ? ENOLCK : EBADF;
        return -1;
    }
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, how);
}
C
    gcc -shared -fPIC -DALL="$([ "$1" = all ] && echo 1 || echo 0)" -o nolock.so nolock.c -ldl
}

# writers: 20 at once, half of them packing, half copying from another layout; all their tags are there and lead to whole images
writers() {
    local i
    rm -rf img
    for i in $(seq 20); do
        if [ $((i % 2)) = 0 ]; then
            LD_PRELOAD=$1 ml-package -q --base scratch --add m:/m --label "i=$i" --out "oci:img:t$i" >$i.json 2>$i.err &
        else
            LD_PRELOAD=$1 ml-publish push -q --image oci:other:1 "oci:img:t$i" </dev/null >$i.json 2>$i.err &
        fi
        pids[i]=$!
    done
    for i in $(seq 20); do wait "${pids[i]}" || {
        cat "$i.err"
        return 1
    }; done
    py <<'PY'
import images, json
tags = [d["annotations"]["org.opencontainers.image.ref.name"] for d in json.load(open("img/index.json"))["manifests"]]
assert sorted(tags) == sorted(f"t{i}" for i in range(1, 21)), tags
for t in tags:
    m, c = images.load("img", t)
    for l in m["layers"]:
        images.blob("img", l["digest"])
PY
    [ -z "$(find img -name '*.tmp')" ] && [ ! -e img/.mlci.locked ]
    skopeo inspect oci:img:t20 >/dev/null
}

setup_other() {
    model m
    mkdir o && head -c 3000000 /dev/urandom >o/f
    ml-package -q --base scratch --add o:/o --out oci:other:1 >card.json
}

@test "20 writers at once" {
    setup_other
    for n in 1 2 3; do writers ""; done
    [ -z "$(find img -maxdepth 1 -name '.*' -type f)" ]
}

@test "20 writers at once where directories can't be locked, as on NFS" {
    setup_other
    nolock dir
    writers "$PWD/nolock.so"
    [ -e img/.mlci.lock ]
}

@test "20 writers at once where there are no locks at all; one that was killed isn't waited for" {
    setup_other
    nolock all
    writers "$PWD/nolock.so"
    # left behind by a process of this host that is gone
    sh -c 'echo "$(hostname) $$" >img/.mlci.locked'
    SECONDS=0
    LD_PRELOAD=$PWD/nolock.so ml-package -q --base scratch --add m:/m --out oci:img:after >card.json
    [ $SECONDS -lt 20 ] && [ ! -e img/.mlci.locked ]
    # of a living one, or one elsewhere, it is
    echo "$(hostname) $$" >img/.mlci.locked
    LD_PRELOAD=$PWD/nolock.so timeout 2 ml-package -q --base scratch --add m:/m --out oci:img:never >never.json && return 1
    [ -e img/.mlci.locked ]
    echo "elsewhere 1" >img/.mlci.locked
    LD_PRELOAD=$PWD/nolock.so timeout 2 ml-package -q --base scratch --add m:/m --out oci:img:never >never.json && return 1
    not grep -q '"never"' img/index.json
}

@test "what killed writers left is swept away by the next, where there are no locks after a day" {
    model m
    nolock all
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    left="img/.index.json.abcdef.tmp img/.index.json.ghijkl.tmp img/blobs/sha256/.blob.abcdef.tmp img/blobs/sha256/.blob.ghijkl.tmp"
    touch $left
    touch -d '2 days ago' img/.index.json.abcdef.tmp img/blobs/sha256/.blob.abcdef.tmp
    LD_PRELOAD=$PWD/nolock.so ml-package -q --base scratch --add m:/m --out oci:img:2 >card.json
    [ "$(find img -name '*.tmp' | LC_ALL=C sort | tr '\n' ' ')" = "img/.index.json.ghijkl.tmp img/blobs/sha256/.blob.ghijkl.tmp " ]
    ml-package -q --base scratch --add m:/m --out oci:img:3 >card.json
    [ -z "$(find img -name '*.tmp')" ]
}
