# Uploads in chunks to a real registry behind a proxy that makes it go wrong. A fault counts only when the proxy's log says that it fired; what was
# sent is read from that log, too. Chunks are small here (ML_UPLOAD_CHUNK), or every test would move gigabytes.
load helper
load registry

setup_file() {
    IMG=$BATS_FILE_TMPDIR/img
    image_make "$IMG" a 1000000
    image_make "$IMG" b 50000
    OPEN=$(registry_start "$BATS_FILE_TMPDIR" open)
    A=$(digest_of "$IMG" a)
    LAYER=$(/usr/bin/python3 -c '
import json, sys
d = sys.argv[1] + "/blobs/sha256/"
print(json.load(open(d + sys.argv[2][7:]))["layers"][-1]["digest"])' "$IMG" "$A")
    SIZE=$(stat -c %s "$IMG/blobs/sha256/${LAYER#*:}")
    export IMG OPEN A LAYER SIZE
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    N=shop/t$BATS_TEST_NUMBER
    export ML_UPLOAD_CHUNK=100000 ML_CACHE=$PWD/cache
}

teardown() {
    servers_stop "$BATS_TEST_TMPDIR"
}

faulty() { # RULES [option ...]
    local rules=$1
    shift
    P=$(proxy_start "$PWD" proxy "$OPEN" "$rules" "$@")
}

push() {
    run --separate-stderr ml-publish push -v --image "oci:$IMG:${2:-a}" "$1" </dev/null
    printf '%s\n' "$stderr" >stderr
}

# arrived REPO: the image is there, with the very bytes
arrived() {
    ends 0 sent
    [ "$(curl -sS "http://$OPEN/v2/$1/blobs/$LAYER" | sha256sum | cut -d' ' -f1)" = "${LAYER#*:}" ]
    [ "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$OPEN/$1:1" | sha256sum | cut -d' ' -f1)" = "$A" ]
}

# memory HOST REPO: the file in the cache directory that remembers an upload of the layer there
memory() {
    echo "cache/uploads/$(printf 'http://%s/v2/%s %s' "$1" "$2" "$LAYER" | sha256sum | cut -d' ' -f1).mlci"
}

# remember HOST REPO URL: what it says
remember() {
    mkdir -p cache/uploads
    printf 'mlci.upload/1\nhttp://%s/v2/%s\n%s\n%s\n' "$1" "$2" "$LAYER" "$3" >"$(memory "$1" "$2")"
    chmod 600 "$(memory "$1" "$2")"
}

# sent [METHOD]: bytes in the bodies of that method's requests, as far as they were read
sent() {
    /usr/bin/python3 -c '
import json, sys
print(sum(r["body"] for line in open("proxy.requests") for r in [json.loads(line)] if r["method"] in sys.argv[1:]))' "${@:-PATCH}"
}

# ranges: the Content-Range of each PATCH
ranges() {
    /usr/bin/python3 -c '
import json
for line in open("proxy.requests"):
    r = json.loads(line)
    if r["method"] == "PATCH":
        print(r["headers"]["content-range"], r["headers"]["content-length"], r["headers"].get("transfer-encoding", ""))'
}

requests() { # python expression over r
    /usr/bin/python3 -c '
import json, sys
print(sum(1 for line in open("proxy.requests") for r in [json.loads(line)] if eval(sys.argv[1])))' "$1"
}

@test "what is large goes in chunks, each with its range and length, to the newest Location" {
    faulty '[]'
    push "$P/$N:1"
    arrived "$N"
    ranges >got
    for ((at = 0; at < SIZE; at += 100000)); do
        n=$((SIZE - at < 100000 ? SIZE - at : 100000))
        echo "$at-$((at + n - 1)) $n "
    done | cmp - got
    [ "$(sent)" -eq "$SIZE" ]
    # each Location is used once (the registry's state is in it)
    /usr/bin/python3 -c '
import json
p = [r["path"] for r in map(json.loads, open("proxy.requests")) if r["method"] == "PATCH"]
assert len(p) == len(set(p)) > 9, p'
    # the closing PUT has no bytes; what fits in one request is sent in one
    [ "$(requests 'r["method"] == "PUT" and "blobs" in r["path"] and r["headers"]["content-length"] == "0"')" -eq 1 ]
    [ "$(requests 'r["method"] == "PUT" and "blobs" in r["path"] and r["body"] > 0')" -eq 1 ]
    [ -z "$(find cache -type f)" ]
}

@test "an answer without Location or Range, and one whose Range is that of an earlier chunk" {
    for rule in '"strip": ["Range"]' '"set": {"Range": "0-99999"}' '"set": {"Range": "bytes=0-99999"}' '"set": {"Range": "0-99999999999"}' '"set": {"Range": "x"}'; do
        faulty "[{\"name\": \"odd\", \"method\": \"PATCH\", \"after\": 2, $rule}]"
        push "$P/$N/n$((++n)):1"
        arrived "$N/n$n"
        [ "$(fired "$PWD" proxy odd)" -ge 5 ]
        [ "$(sent)" -eq "$SIZE" ]
        # asked once how much was taken, then known
        [ "$(requests 'r["method"] == "GET" and "uploads" in r["path"]')" -le 1 ]
    done
}

@test "a registry that takes a part of a chunk: the rest is sent again" {
    faulty '[{"name": "part", "method": "PATCH", "times": 3, "after": 1, "take": 1234}]'
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy part)" -eq 3 ]
    ranges | sed -n 3p | grep -q '^101234-201233 '
}

@test "a connection that breaks: goes on at the registry's own Range" {
    faulty '[{"name": "cut", "method": "PATCH", "times": 3, "after": 2, "hangup": 50000}]'
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy cut)" -eq 3 ]
    [ "$(requests 'r["method"] == "GET" and "uploads" in r["path"]')" -eq 3 ]
    [ "$(requests 'r["method"] == "POST"')" -eq 2 ]
    [ "$(sent)" -le $((SIZE + 3 * 100000)) ]
}

@test "a chunk that arrived, though its answer was lost, isn't sent again" {
    faulty '[{"name": "lost", "method": "PATCH", "times": 1, "after": 2, "lose": true}, {"name": "end", "method": "PUT", "path": "/blobs/", "times": 1, "lose": true}]' --like stateless
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy lost)" -eq 1 ]
    [ "$(fired "$PWD" proxy end)" -eq 1 ]
    [ "$(sent)" -eq "$SIZE" ]
}

@test "a session that died with its connection: a new one, a few times, and then exit 6" {
    faulty '[{"name": "cut", "method": "PATCH", "times": 2, "after": 3, "hangup": 50000}, {"name": "gone", "method": "GET", "path": "uploads", "status": 404}]'
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy gone)" -eq 2 ]
    [ "$(requests 'r["method"] == "POST"')" -eq 4 ]
    faulty '[{"name": "cut", "method": "PATCH", "after": 3, "hangup": 50000}, {"name": "gone", "method": "GET", "path": "uploads", "status": 404}]'
    ML_RETRIES=2 push "$P/$N/x:1"
    [ "$status" -eq 6 ]
    [ "$(fired "$PWD" proxy cut)" -eq 3 ]
}

@test "408, 429, 500, 502, 503, 504 to any chunk and to the closing PUT: goes on" {
    for s in 408 429 500 502 503 504; do
        faulty "[{\"name\": \"first\", \"method\": \"PATCH\", \"times\": 1, \"status\": $s}, {\"name\": \"third\", \"method\": \"PATCH\", \"times\": 1, \"after\": 2, \"status\": $s, \"body\": \"<html>oops\"},
            {\"name\": \"end\", \"method\": \"PUT\", \"path\": \"/blobs/\", \"times\": 1, \"status\": $s, \"headers\": {\"Retry-After\": \"1\"}}]"
        push "$P/$N/s$s:1"
        arrived "$N/s$s"
        for f in first third end; do [ "$(fired "$PWD" proxy $f)" -eq 1 ]; done
    done
}

@test "a registry that takes no chunks: in one PUT, and it isn't asked twice" {
    for s in 400 403 404 405 411 415 416 501; do
        faulty "[{\"name\": \"no\", \"method\": \"PATCH\", \"status\": $s}]"
        push "$P/$N/s$s:1"
        arrived "$N/s$s"
        [ "$(fired "$PWD" proxy no)" -eq 1 ]
        [ "$(sent PUT)" -gt "$SIZE" ]
        [ "$(requests 'r["method"] == "DELETE"')" -eq 1 ]
    done
}

@test "a registry that breaks on every chunk, whatever it is: in one PUT in the end" {
    faulty '[{"name": "no", "method": "PATCH", "status": 502}]'
    ML_RETRIES=1 push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy no)" -eq 2 ]
}

@test "a registry that takes the first chunk and no other: in one PUT in the end" {
    for s in 404 405 416; do
        faulty "[{\"name\": \"no\", \"method\": \"PATCH\", \"after\": 1, \"status\": $s}]"
        ML_RETRIES=1 push "$P/$N/s$s:1"
        arrived "$N/s$s"
        [ "$(fired "$PWD" proxy no)" -ge 1 ]
        [ "$(sent PUT)" -gt "$SIZE" ]
    done
}

@test "201 to the first chunk, or to a later one: in one PUT" {
    for after in 0 3; do
        faulty "[{\"name\": \"early\", \"method\": \"PATCH\", \"after\": $after, \"as\": 201}]"
        push "$P/$N/a$after:1"
        arrived "$N/a$after"
        [ "$(fired "$PWD" proxy early)" -eq 1 ]
        [ "$(sent PUT)" -gt "$SIZE" ]
    done
}

@test "416 in the middle: asks for the state, and goes on there" {
    faulty '[{"name": "no", "method": "PATCH", "times": 1, "after": 4, "status": 416}]'
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy no)" -eq 1 ]
    [ "$(sent)" -le $((SIZE + 100000)) ]
    [ "$(requests 'r["method"] == "GET" and "uploads" in r["path"]')" -eq 1 ]
}

@test "404 in the middle: a new session" {
    faulty '[{"name": "no", "method": "PATCH", "times": 1, "after": 4, "status": 404}]'
    push "$P/$N:1"
    arrived "$N"
    [ "$(requests 'r["method"] == "POST"')" -eq 3 ]
}

@test "a chunk twice, because a lost answer was taken for a lost chunk: no wrong blob, but all of it once more in one piece" {
    # the registry ignores Content-Range and appends; its state is made to say less than it has
    faulty '[{"name": "lost", "method": "PATCH", "times": 1, "after": 4, "lose": true}, {"name": "less", "method": "GET", "path": "uploads", "times": 1, "set": {"Range": "0-199999"}}]' --like stateless
    push "$P/$N:1"
    arrived "$N"
    [ "$(fired "$PWD" proxy less)" -eq 1 ]
    grep -q 'PUT .*: 400' stderr
    [ "$(sent PUT)" -gt "$SIZE" ]
}

@test "a layer that isn't what its digest says: exit 4, sent once" {
    cp -r "$IMG" bad
    printf xxxxxxxx | dd of="bad/blobs/sha256/${LAYER#*:}" bs=1 seek=500000 conv=notrunc status=none
    faulty '[]'
    run --separate-stderr ml-publish push -q --image oci:bad:a "$P/$N:1" </dev/null
    fails 4 "blob $LAYER.* its digest is sha256:"
    [ "$(sent PATCH PUT)" -lt $((SIZE + 10000)) ]
    ML_UPLOAD_CHUNK=10000000 run --separate-stderr ml-publish push -q --image oci:bad:a "$P/$N:1" </dev/null
    fails 4 "blob $LAYER"
    [ "$(curl -sS -o /dev/null -w '%{http_code}' "http://$OPEN/v2/$N/blobs/$LAYER")" = 404 ]
}

@test "bytes that are changed on their way: exit 4 after a second try, and it isn't the layer that is blamed" {
    faulty '[{"name": "flip", "method": "PATCH", "after": 3, "times": 1, "flip": true}, {"name": "flip", "method": "PUT", "path": "/blobs/", "min": 500000, "flip": true}]'
    push "$P/$N:1"
    ends 4 "$LAYER was sent as it is"
    [ "$(fired "$PWD" proxy flip)" -eq 2 ] # a chunk, and all of it
    faulty '[{"name": "flip", "method": "PATCH", "after": 3, "times": 1, "flip": true}]'
    push "$P/$N/x:1"
    arrived "$N/x"
    [ "$(fired "$PWD" proxy flip)" -eq 1 ]
}

@test "413: smaller chunks; where nothing is small enough, exit 5 names the size" {
    export ML_UPLOAD_CHUNK=8000000
    image_make "$PWD/img" big 9000000
    faulty '[]' --like max=3000000
    IMG=img push "$P/$N:1" big
    ends 0 sent
    grep -q "PATCH .*: 413" stderr
    [ "$(requests 'r["method"] == "PATCH" and r["body"] == 2000000')" -ge 4 ]
    faulty '[{"name": "small", "min": 3000, "status": 413, "body": "<html>413 Request Entity Too Large</html>"}]'
    IMG=img push "$P/$N/x:1" big
    ends 5 "takes no request of 1.05 MB.*413"
    ML_UPLOAD_CHUNK=20000000 IMG=img push "$P/$N/x:1" big
    ends 5 "takes no request of 1.05 MB.*413"
    push "$P/$N/x:1" b
    ends 5 "takes no request of 5[0-9.]* kB.*413"
}

@test "OCI-Chunk-Min-Length: no chunk but the last is smaller" {
    faulty '[{"name": "min", "method": "POST", "set": {"OCI-Chunk-Min-Length": "300000"}}]'
    push "$P/$N:1"
    arrived "$N"
    ranges | sed '$d' | cut -d' ' -f2 | sort -u | grep -qx 300000
    faulty '[{"name": "min", "method": "POST", "set": {"OCI-Chunk-Min-Length": "3000000"}}]'
    push "$P/$N/x:1"
    arrived "$N/x"
    [ "$(requests 'r["method"] == "PATCH"')" -eq 0 ]
}

@test "killed between two chunks: the next push sends what is missing only" {
    faulty '[{"name": "hold", "method": "PATCH", "after": 6, "hold": true}]'
    ml-publish push -q --image "oci:$IMG:a" "$P/$N:1" </dev/null >out.json 3>&- &
    pid=$!
    until_fired proxy.requests hold
    kill -9 $pid
    wait $pid || true
    [ "$(find cache/uploads -type f -perm 600 | wc -l)" -eq 1 ]
    servers_stop "$PWD"
    faulty '[]'
    # the same registry by another name: that was the old proxy's address
    sed -i "s#http://127.0.0.1:[0-9]*/#http://$P/#" cache/uploads/*
    mv cache/uploads/* "$(memory "$P" "$N")"
    push "$P/$N:1"
    arrived "$N"
    [ "$(sent)" -le $((SIZE - 600000)) ]
    # and says no more
    /usr/bin/python3 - "$(sent)" <<'PY'
import re, sys
said = open("stderr").read()
m = re.search(r": ([0-9.]+) ([kMG]?B) sent,", said)
n = float(m[1]) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[m[2]]
assert abs(n - int(sys.argv[1])) < 0.01 * n + 3000, (said, sys.argv)
PY
    [ -z "$(find cache -type f)" ]
}

@test "a registry that is down for a while: what it has isn't forgotten" {
    faulty '[{"name": "down", "method": "PATCH", "after": 5, "status": 503}, {"name": "down", "method": "GET", "path": "uploads", "status": 503}]'
    ML_RETRIES=1 push "$P/$N:1"
    ends 6 "503"
    [ "$(find cache/uploads -type f | wc -l)" -eq 1 ]
    where=$(sed -n 4p cache/uploads/*)
    remember "$OPEN" "$N" "http://$OPEN/${where#http://*/}"
    push "$OPEN/$N:1"
    arrived "$N"
    [ "$(grep -c "PATCH .*: 202" stderr)" -eq $(((SIZE - 500000 + 99999) / 100000)) ]
}

@test "what the cache says of an upload is believed as far as it may be" {
    mkdir -p cache/uploads
    other=$(proxy_start "$PWD" other "$OPEN" '[]')
    faulty '[]'
    n=0
    # each but the first in a repository of its own, N/1 and on
    for url in "http://$P/v2/$N/1/blobs/uploads/none?_state=x" "http://169.254.169.254/latest" "https://10.0.0.1/x" "http://$other/v2/x" "https://127.0.0.2:1/x" "file:///etc/passwd" "http://$P/v2/" $'x\ny' ""; do
        R=$N/$((++n))
        remember "$P" "$R" "$url"
        push "$P/$R:1"
        arrived "$R"
        not grep -q "169.254\|10.0.0.1\|127.0.0.2" stderr
    done
    for text in "" garbage "$(head -c 100000 /dev/zero | tr '\0' x)"; do
        R=$N/$((++n))
        printf '%s\n' "$text" >"$(memory "$P" "$R")"
        chmod 600 "$(memory "$P" "$R")"
        push "$P/$R:1"
        arrived "$R"
    done
    # one that others may have written, and a link
    remember "$P" "$N/w" "http://$other/v2/$N/x"
    chmod 666 "$(memory "$P" "$N/w")"
    push "$P/$N/w:1"
    arrived "$N/w"
    remember "$P" "$N/l" "http://$other/v2/$N/x"
    mv "$(memory "$P" "$N/l")" theirs
    ln -s "$PWD/theirs" "$(memory "$P" "$N/l")"
    cp theirs before
    push "$P/$N/l:1"
    arrived "$N/l"
    cmp theirs before
    [ "$(grep -c . other.requests)" -eq 0 ]
    rm -rf cache
    : >cache
    push "$P/$N/x:1"
    arrived "$N/x"
}

@test "a remembered session that holds something else: no wrong blob" {
    where=$(curl -sS -i -X POST "http://$OPEN/v2/$N/blobs/uploads/" -H "Content-Length: 0" | sed -n 's/^Location: //Ip' | tr -d '\r')
    where=$(head -c 200000 /dev/urandom | curl -sS -i -X PATCH -H "Content-Type: application/octet-stream" --data-binary @- "$where" | sed -n 's/^Location: //Ip' | tr -d '\r')
    remember "$OPEN" "$N" "$where"
    push "$OPEN/$N:1"
    arrived "$N"
    grep -q "GET .*: 204" stderr
    grep -q "PUT .*: 400" stderr
}

# layers LAYOUT TAG BYTES ...: an image with a layer of each size
layers() {
    local dir=$1 tag=$2 n=0
    shift 2
    [ -e "$dir" ] || umoci init --layout "$dir"
    umoci new --image "$dir:$tag"
    for size; do
        rm -rf files && mkdir files
        head -c "$size" /dev/urandom >files/f$((++n))
        umoci insert --image "$dir:$tag" files /app/$n >/dev/null
    done
}

@test "several blobs at once, each of them once, the manifest last" {
    export ML_UPLOAD_CHUNK=67108864
    layers img four 200000 200000 200000 200000
    faulty '[{"name": "slow", "method": "PUT", "path": "/blobs/", "delay": 1.5}]'
    start=$SECONDS
    IMG=img push "$P/$N:1" four
    ends 0 sent
    [ $((SECONDS - start)) -le 6 ]
    [ "$(fired "$PWD" proxy slow)" -eq 5 ]
    /usr/bin/python3 -c '
import json
r = [json.loads(l) for l in open("proxy.requests")]
puts = [x["path"] for x in r if x["method"] == "PUT"]
assert all("/blobs/" in x for x in puts[:5]) and all("/manifests/" in x for x in puts[5:]), puts
assert len({x.split("digest=")[1] for x in puts[:5]}) == 5, puts'
    faulty '[]'
    IMG=img push "$P/$N:2" four
    [ "$(requests 'r["method"] != "HEAD"')" -eq 1 ]
}

@test "one that fails stops the others, and the gravest error is told" {
    export ML_UPLOAD_CHUNK=67108864
    layers img four 1000000 1000000 1000000 50000
    small=$(find img/blobs/sha256 -size +40k -size -60k)
    printf xxxxxxxx | dd of="$small" bs=1 seek=20000 conv=notrunc status=none
    faulty '[{"name": "slow", "method": "PUT", "min": 500000, "pace": 30000}]'
    start=$SECONDS
    IMG=img push "$P/$N:1" four
    ends 4 "isn't blob sha256:${small##*/}"
    [ $((SECONDS - start)) -le 20 ]
    [ "$(grep -c "PUT .*/blobs/.*: Operation was aborted" stderr)" -ge 1 ]
    not grep -q manifests/1 <(grep '"PUT"' proxy.requests)
}

@test "from layout to layout: a blob that was damaged is not linked, and the tag isn't set" {
    layers img one 300000
    large=$(find img/blobs/sha256 -size +200k)
    ml-publish push -q --image oci:img:one oci:whole:1 </dev/null >out.json
    [ "whole/blobs/sha256/${large##*/}" -ef "$large" ]
    cp -r img damaged
    printf xxxxxxxx | dd of="damaged/blobs/sha256/${large##*/}" bs=1 seek=20000 conv=notrunc status=none
    run --separate-stderr ml-publish push -q --image oci:damaged:one oci:copy:1 </dev/null
    ends 4 "the blob sha256:${large##*/} has other bytes"
    [ ! -e "copy/blobs/sha256/${large##*/}" ]
    not grep -q sha256 copy/index.json
}

@test "an index whose images have layers in common: each blob is sent once" {
    layers img one 50000 50000
    umoci tag --image img:one two
    umoci config --image img:two --no-history --config.label x=y
    /usr/bin/python3 - <<'PY'
import hashlib, json, os
index = json.load(open("img/index.json"))
names = {m["annotations"]["org.opencontainers.image.ref.name"]: m for m in index["manifests"]}
both = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{k: names[n][k] for k in ("mediaType", "digest", "size")} for n in ("one", "two")]}
raw = json.dumps(both).encode()
hex = hashlib.sha256(raw).hexdigest()
open("img/blobs/sha256/" + hex, "wb").write(raw)
index["manifests"].append({"mediaType": both["mediaType"], "digest": "sha256:" + hex, "size": len(raw), "annotations": {"org.opencontainers.image.ref.name": "both"}})
json.dump(index, open("img/index.json", "w"))
PY
    faulty '[]'
    IMG=img push "$P/$N:1" both
    ends 0 sent
    [ "$(requests 'r["method"] == "PUT" and "/blobs/" in r["path"]')" -eq 4 ]
    [ "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$OPEN/$N:1" | sha256sum | cut -d' ' -f1)" = "$(digest_of img both)" ]
    skopeo copy -q --all --src-tls-verify=false "docker://$OPEN/$N:1" oci:back:1
    # and between two registries, through us
    ml-publish push -q --image "$OPEN/$N:1" "oci:through:1" </dev/null >out.json
    [ "$(digest_of through 1)" = "$(digest_of img both)" ]
}

@test "from one registry to another, in pieces" {
    layers img big 20000000 300000
    IMG=img push "$OPEN/$N:1" big
    ends 0 sent
    other=$(registry_start "$PWD" other)
    export ML_UPLOAD_CHUNK=3000000
    run --separate-stderr ml-publish push --image "$OPEN/$N:1" "$other/x:1" </dev/null
    ends 0 sent
    [ "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$other/x:1" | sha256sum | cut -d' ' -f1)" = "$(digest_of img big)" ]
    skopeo copy -q --src-tls-verify=false "docker://$other/x:1" oci:back:1
    umoci unpack --rootless --image back:1 bundle
}

@test "a manifest that the registry has, but a blob of it that it lost: the blob is sent again" {
    push "$OPEN/$N:1"
    arrived "$N"
    curl -sS -X DELETE "http://$OPEN/v2/$N/blobs/$LAYER" >/dev/null
    push "$OPEN/$N:2"
    arrived "$N"
    skopeo copy -q --src-tls-verify=false "docker://$OPEN/$N:2" oci:back:1
}
