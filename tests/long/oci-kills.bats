#!/usr/bin/env bats
# Hundreds of kills at random points of ml-package and ml-fetch, and files over 8 GiB.
bats_require_minimum_version 1.5.0
load ../cmd/helper
load ../cmd/images

# how long a call takes, in microseconds
duration() {
    local t0=${EPOCHREALTIME/./}
    "$@" >/dev/null 2>&1
    echo $((${EPOCHREALTIME/./} - t0))
}

# Starts the command, kills it after a random part of `usual` microseconds; 0 when it was killed
killed_at_random() {
    local usual=$1 pid
    shift
    "$@" >/dev/null 2>&1 &
    pid=$!
    sleep "$(printf '0.%06d' $((RANDOM * 32768 % (usual < 900000 ? usual : 900000))))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ $? -eq 137 ]
}

@test "ml-package: 400 kills; every tag that is there is whole" {
    base base
    model m
    head -c 5000000 /dev/urandom >m/big
    usual=$(duration ml-package -q --base oci:base:1 --add m:/m --out oci:img:0)
    killed=0
    for ((i = 1; i <= 400; i++)); do
        echo "$i" >m/n
        killed_at_random "$usual" ml-package -q --base oci:base:1 --add m:/m --label "i=$i" --out "oci:img:$((i % 7))" && killed=$((killed + 1))
        py <<'PY'
import images, json
i = json.load(open("img/index.json"))
tags = [d["annotations"]["org.opencontainers.image.ref.name"] for d in i["manifests"]]
assert len(tags) == len(set(tags)) and "0" in tags, tags
for t in tags:
    m, c = images.load("img", t)
    assert [images.blob("img", l["digest"])[:1] for l in m["layers"]] and len(c["rootfs"]["diff_ids"]) == len(m["layers"])
PY
    done
    echo "# $killed of 400 were killed while they ran"
    [ "$killed" -gt 100 ]
    find img -name '*.tmp' -exec touch -d '2 days ago' {} +
    ml-package -q --base oci:base:1 --add m:/m --out oci:img:last >card.json
    [ -z "$(find img/blobs -name '*.tmp')" ] # what was left long ago is swept away
    skopeo copy -q --preserve-digests oci:img:last oci:copy:1
}

@test "ml-fetch: 400 kills; a directory that is there is whole" {
    model m
    head -c 5000000 /dev/urandom >m/big
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    usual=$(duration ml-fetch -q files oci:img:1 --path /m --to out)
    killed=0
    for ((i = 1; i <= 400; i++)); do
        rm -rf out .out.*
        killed_at_random "$usual" ml-fetch -q files oci:img:1 --path /m --to out && killed=$((killed + 1))
        [ ! -e out ] || diff -r --no-dereference m out
    done
    echo "# $killed of 400 were killed while they ran"
    [ "$killed" -gt 100 ]
}

@test "a file over 8 GiB: GNU tar, skopeo and ml-fetch read what was packed" {
    [ "$(df --output=avail -k . | tail -1)" -gt 30000000 ] || skip "needs 30 GB of disk"
    mkdir m && truncate -s $(((8 << 30) + 12345)) m/big && echo end >>m/big
    ml-package -q --base scratch --add m:/m --out oci:img:1 >card.json
    layer=img/blobs/sha256/$(ml get image.layers.0.digest card.json | cut -d: -f2)
    [ "$(tar tvf "$layer" | awk '/big/ { print $3 }')" = "$(stat -c %s m/big)" ]
    skopeo inspect oci:img:1 >/dev/null
    ml-fetch -q files oci:img:1 --path /m --to out >fetch.json
    [ "$(stat -c %s out/big)" = "$(stat -c %s m/big)" ]
    [ "$(tail -c 4 out/big)" = end ]
}
