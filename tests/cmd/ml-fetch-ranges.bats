#!/usr/bin/env bats
# ml-fetch: large blobs come as ranges, side by side, and right whatever the server makes of that.
load helper
load images
load registry

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    export REG=$BATS_FILE_TMPDIR ML_PAUSE=0.02
    mkdir m && head -c 70000000 /dev/urandom >m/big && echo small >m/small
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    export UP && UP=$(registry_start "$PWD" reg)
    ml-publish push -q --image oci:img:1 "$UP/m:1" </dev/null >/dev/null
    SIZE=$(ml get image.layers.0.size card.json)
    export SIZE LAYER && LAYER=$(ml get image.layers.0.digest card.json)
}

teardown_file() {
    servers_stop "$BATS_FILE_TMPDIR"
}

teardown() {
    servers_stop "$PWD"
}

# through RULES: fetches through a proxy with these rules; the outcome in $status, $stderr
through() {
    rm -rf out
    proxy=$(proxy_start "$PWD" proxy "$UP" "$1")
    run --separate-stderr ml-fetch -q files "$proxy/m:1" --path /m --to out
}

# ranges: first byte of every range of the blob that was asked for, and "whole" for a request without
ranges() {
    py "${1:-proxy}" "$LAYER" <<'PY'
import json, sys
for line in open(sys.argv[1] + ".requests"):
    r = json.loads(line)
    if r["path"].endswith(sys.argv[2]) and r["method"] == "GET":
        print(r["headers"].get("range", "whole").removeprefix("bytes=").split("-")[0])
PY
}

# right: all of it came
right() {
    [ "$status" -eq 0 ] || {
        echo "$status: $stderr"
        return 1
    }
    diff -r "$REG/m" out
    [ "$(find . -maxdepth 1 -name '.out*')" = "" ]
}

# nothing CODE PATTERN
nothing() {
    fails "$1" "$2"
    [ ! -e out ] && [ -z "$(find . -maxdepth 1 -name '.out*')" ]
}

@test "ranges of 8 MiB, each asked for once, up to four at a time" {
    through '[{"name": "slow", "method": "GET", "path": "/blobs/", "delay": 0.3}]'
    right
    [ "$(ranges | sort -n | tr '\n' ' ')" = "0 8388608 16777216 25165824 33554432 41943040 50331648 58720256 67108864 " ]
    # with a delay of a second each, nine one after the other would take nine
    proxy=$(proxy_start "$PWD" many "$UP" '[{"name": "slow", "method": "GET", "path": "/blobs/", "delay": 1}]')
    rm -rf out && SECONDS=0
    ml-fetch -q files "$proxy/m:1" --path /m --to out >fetch.json
    [ $SECONDS -lt 8 ]
    # what is small is one request
    mkdir s && head -c 10000000 /dev/urandom >s/f
    ml-package -q --base scratch --add s:/m --out oci:small:1 >small.json
    ml-publish push -q --image oci:small:1 "$UP/small:1" </dev/null >/dev/null
    proxy=$(proxy_start "$PWD" small "$UP" '[]')
    ml-fetch -q files "$proxy/small:1" --path /m --to small.d >fetch.json
    cmp s/f small.d/f
    [ "$(grep -c '"range"' small.requests)" -eq 0 ] && [ "$(grep -c '/blobs/' small.requests)" -eq 1 ]
}

@test "a server that ignores ranges, or refuses them: one stream" {
    through '[{"name": "ignore", "path": "/blobs/", "ignore_range": true}]'
    right
    [ "$(ranges | tr '\n' ' ')" = "0 whole " ]
    through '[{"name": "no", "path": "/blobs/", "header": {"range": "."}, "status": 416}]'
    right
    [ "$(ranges | tail -1)" = whole ]
    # only later ones, when others have come already
    for n in 1 2 3; do
        through "[{\"name\": \"ignore\", \"path\": \"/blobs/\", \"header\": {\"range\": \".\"}, \"after\": $n, \"ignore_range\": true}]"
        right
        [ "$(ranges | grep -c whole)" -eq "$(ranges | grep -n whole | wc -l)" ]
        [ "$(fired "$PWD" proxy ignore)" -ge 1 ]
    done
}

@test "a server that sends another range than it was asked for: one stream" {
    through '[{"name": "other", "path": "/blobs/", "header": {"range": "."}, "set": {"Content-Range": "bytes 5-8388612/'"$SIZE"'"}}]'
    right
    [ "$(ranges | tail -1)" = whole ]
    through '[{"name": "other", "path": "/blobs/", "header": {"range": "=16777216-"}, "set": {"Content-Range": "bytes 0-8388607/'"$SIZE"'"}}]'
    right
    through '[{"name": "none", "path": "/blobs/", "header": {"range": "=0-"}, "strip": ["Content-Range"]}]'
    right
}

@test "ranges that break go on where they broke" {
    through '[{"name": "cut", "path": "/blobs/", "header": {"range": "."}, "times": 4, "cut": 3000000}]'
    right
    [ "$(fired "$PWD" proxy cut)" -eq 4 ]
    ranges | grep -qx 3000000
    ranges | not grep -q whole
    through '[{"name": "busy", "path": "/blobs/", "header": {"range": "."}, "times": 3, "status": 503}]'
    right
    through '[{"name": "short", "path": "/blobs/", "header": {"range": "=8388608-"}, "times": 1, "short": 1000000,
        "set": {"Content-Range": "bytes 8388608-15777215/'"$SIZE"'"}}]'
    right
    ranges | grep -qx 15777216
}

@test "a stream that breaks where there are no ranges starts over, and the sink hears every byte once" {
    through '[{"name": "cut", "path": "/blobs/", "times": 2, "ignore_range": true, "cut": 20000000}, {"name": "ignore", "path": "/blobs/", "ignore_range": true}]'
    right
    # it was one that seemed to know them, and then doesn't
    through '[{"name": "all", "path": "/blobs/", "header": {"range": "=0-8388607$"}, "ignore_range": true},
        {"name": "cut", "path": "/blobs/", "times": 1, "cut": 20000000},
        {"name": "no", "path": "/blobs/", "header": {"range": "."}, "status": 416}]'
    right
    [ "$(ranges | grep -c whole)" -eq 2 ]
    through '[{"name": "all", "path": "/blobs/", "header": {"range": "=0-8388607$"}, "ignore_range": true},
        {"name": "cut", "path": "/blobs/", "times": 1, "cut": 20000000},
        {"name": "other", "path": "/blobs/", "header": {"range": "."}, "set": {"Content-Range": "bytes 1-2/'"$SIZE"'"}}]'
    right
    # but not for ever
    through '[{"name": "all", "path": "/blobs/", "header": {"range": "=0-8388607$"}, "ignore_range": true},
        {"name": "no", "path": "/blobs/", "header": {"range": "."}, "status": 416}, {"name": "cut", "path": "/blobs/", "cut": 20000000}]'
    nothing 6 "again and again"
}

@test "bytes, sizes and pages that aren't the blob" {
    through '[{"name": "bad", "path": "/blobs/", "header": {"range": "=25165824-"}, "corrupt": true}]'
    nothing 4 "${LAYER:0:19}.*$LAYER has the digest"
    through '[{"name": "long", "path": "/blobs/", "header": {"range": "."}, "set": {"Content-Range": "bytes 0-8388607/'$((SIZE + 1))'"}}]'
    nothing 4 "$LAYER has $((SIZE + 1)) bytes, its manifest says $SIZE"
    through '[{"name": "short", "path": "/blobs/", "ignore_range": true, "short": 1000}]'
    nothing 4 "$LAYER has $((SIZE - 1000)) bytes, its manifest says $SIZE"
    through '[{"name": "long", "path": "/blobs/", "ignore_range": true, "long": 1000}]'
    nothing 4 "$LAYER has $((SIZE + 1000)) bytes, its manifest says $SIZE"
    through '[{"name": "page", "path": "/blobs/", "status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html>log in</html>"}]'
    nothing 5 "web page"
    through '[{"name": "page", "path": "/blobs/", "status": 206, "headers": {"Content-Type": "text/html", "Content-Range": "bytes 0-18/19"}, "body": "<html>log in</html>"}]'
    nothing 5 "web page"
    through '[{"name": "gone", "path": "/blobs/", "status": 404}]'
    nothing 5 "the layer $LAYER is missing"
    through '[{"name": "gone", "path": "/blobs/", "header": {"range": "=8388608-"}, "status": 404, "body": "{}"}]'
    nothing 5 "404"
    through '[{"name": "no", "path": "/blobs/", "header": {"range": "=16777216-"}, "status": 403, "body": "{}"}]'
    nothing 5 "403"
    ML_RETRIES=1 through '[{"name": "busy", "path": "/blobs/", "header": {"range": "=16777216-"}, "status": 502}]'
    nothing 6 "502"
}

@test "a storage host is asked without credentials, directly for the rest, and anew when its permission expires" {
    up=$(registry_start "$PWD" auth basic)
    printf '{"auths": {"%s": {"auth": "%s"}}}' "$up" "$(printf 'ci:%s' "$SECRET" | base64)" >config.json
    DOCKER_CONFIG=$PWD ml-publish push -q --image "oci:$REG/img:1" "$up/m:1" </dev/null >/dev/null
    storage=$(proxy_start "$PWD" storage "$up" '[{"name": "expired", "path": "/blobs/", "after": 7, "times": 1, "status": 403, "body": "<Error>AccessDenied</Error>"}]' \
        --auth "ci:$SECRET")
    front=$(proxy_start "$PWD" front "$up" '[{"name": "there", "method": "GET", "path": "/blobs/", "redirect": "http://'"$storage"'"}]')
    sed -i "s/$up/$front/" config.json
    DOCKER_CONFIG=$PWD run --separate-stderr ml-fetch -q files "$front/m:1" --path /m --to out
    right
    [ "$(fired "$PWD" storage expired)" -eq 1 ]
    not grep -qi authorization storage.requests
    # nine ranges and one that was refused; by the registry only the first, those that began before that was over, and that one again
    [ "$(grep -c /blobs/ front.requests)" -le 7 ] && [ "$(grep -c /blobs/ storage.requests)" -eq 10 ]
    no_secret storage.requests
}

@test "a predictions file that isn't whole leaves nothing beside it, a signal included" {
    head -c 30000000 /dev/urandom | base64 -w 60 >p.csv
    printf '{"schema": "mlci.card/1", "evaluation": {"predictions": {"digest": "sha256:%s"}}}' "$(sha256sum p.csv | cut -d' ' -f1)" >c.json
    ml-publish push -q --image "oci:$REG/img:1" --card c.json --predictions p.csv "$UP/p:1" >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$UP" '[{"name": "mute", "path": "/blobs/", "header": {"range": "=16777216-"}, "mute": 100000}]')
    py "$proxy" <<'PY'
import glob, signal, subprocess, sys, time
p = subprocess.Popen(["ml-fetch", "-q", "predictions", sys.argv[1] + "/p:1", "-o", "got.csv"])
while '"mute"' not in open("proxy.requests").read() or not glob.glob(".got.csv.*.tmp"):
    time.sleep(.01)
time.sleep(.2)
p.send_signal(signal.SIGTERM)
assert p.wait() == -signal.SIGTERM
assert not glob.glob(".got*") and not glob.glob("got*")
PY
    ml-fetch -q predictions "$UP/p:1" -o got.csv
    cmp p.csv got.csv
}

@test "as few requests as can be: the manifest and the layer for files, three for a card" {
    mkdir s && head -c 100000 /dev/urandom >s/f
    ml-package -q --base scratch --add s:/m --out oci:small:1 >small.json
    ml-publish push -q --card small.json "$UP/few:1" >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$UP" '[]')
    ml-fetch -q files "$proxy/few:1" --path /m --to out >fetch.json
    [ "$(grep -c . proxy.requests)" -eq 2 ]
    ml-fetch -q card "$proxy/few:1" >card.json
    [ "$(grep -c . proxy.requests)" -eq 5 ]
}

@test "gzip and zstd layers, Docker's manifests too, come as ranges that break and are unpacked right" {
    skopeo copy -q --dest-tls-verify=false --format v2s2 --dest-compress "oci:$REG/img:1" "docker://$UP/docker:1"
    skopeo copy -q --dest-compress --dest-compress-format zstd "oci:$REG/img:1" oci:z:1 # to the registry it would send what it has seen before
    ml-publish push -q --image oci:z:1 "$UP/zstd:1" </dev/null >/dev/null
    proxy=$(proxy_start "$PWD" proxy "$UP" '[{"name": "cut", "path": "/blobs/", "header": {"range": "."}, "times": 5, "cut": 5000000}]')
    for what in docker zstd; do
        rm -rf out
        run --separate-stderr ml-fetch -q files "$proxy/$what:1" --path /m --to out
        right
    done
    [ "$(fired "$PWD" proxy cut)" -eq 5 ]
    skopeo inspect --raw --tls-verify=false "docker://$UP/docker:1" | grep -q docker.distribution.manifest.v2
    skopeo inspect --raw --tls-verify=false "docker://$UP/zstd:1" | grep -q zstd
}
