#!/usr/bin/env bats
# A directory of shards as several layers: what changes when a shard does, and what a reader gets back.
# shellcheck disable=SC2001,SC2154

setup() {
    load helper
    load images
    cd "$BATS_TEST_TMPDIR" || return 1
    base base
    mkdir -p shards/extra
    for i in $(seq -w 12); do
        head -c $((300000 + 10#$i * 1000)) /dev/urandom >"shards/model-$i-of-12.safetensors"
    done
    echo '{}' >shards/config.json
    echo '{}' >shards/extra/tokenizer.json
}

pack() {
    rm -rf out
    ml-package -q --base oci:base:1 --add shards:/srv/m --out oci:out:1 -o card.json "$@"
    ml get image.layers card.json | grep -o '"digest": *"[^"]*"' | sort
}

@test "any shard that changes makes one other layer, also when it grows a little" {
    pack --split 1M >before
    [ "$(wc -l <before)" -ge 5 ]
    [ "$(wc -l <before)" -le 9 ]
    for f in shards/model-*; do
        cp "$f" kept
        printf 'other bytes' | dd of="$f" conv=notrunc bs=1 seek=1000 status=none
        pack --split 1M >after
        [ "$(comm -13 before after | wc -l)" -eq 1 ]
        [ "$(comm -23 before after | wc -l)" -eq 1 ]
        head -c 900 /dev/urandom >>"$f"
        pack --split 1M >after
        [ "$(comm -13 before after | wc -l)" -eq 1 ]
        [ "$(comm -23 before after | wc -l)" -eq 1 ]
        cp kept "$f"
    done
    pack --split 1M >after
    cmp before after
}

@test "what is fetched is what was packed, from these layers alone" {
    for how in none gzip zstd; do
        pack --split 1M --compress $how >/dev/null
        rm -rf back
        # the base's layers aren't needed: they may be gone
        py out <<'PY'
import json, os, sys
d = sys.argv[1]
blob = lambda x: f"{d}/blobs/sha256/{x['digest'].split(':')[1]}"
layers = json.load(open(blob(json.load(open(d + "/index.json"))["manifests"][0])))["layers"]
alone = [l.get("annotations", {}).get("mlci.layer.alone") for l in layers]
first = alone.index("true")
assert alone.count("true") == 1 and all(l["annotations"]["mlci.layer.path"] == "/srv/m" for l in layers[first:]), layers
for l in layers[:first]:
    os.remove(blob(l))
PY
        ml-fetch files -q oci:out:1 --path /srv/m --to back -o /dev/null
        diff -r shards back
    done
}

@test "one layer a file when none fits; too many are refused with a size that would do" {
    rm shards/model-*
    for i in $(seq 150); do truncate -s 1100K "shards/extra/$i"; done
    run --separate-stderr ml-package -q --base oci:base:1 --add shards:/srv/m --split 1M --out oci:out:2
    fails 2 'would become 1.. layers.*--split [0-9]*M would do'
    size=$(sed 's/.*--split \([0-9]*M\) would do.*/\1/' <<<"$stderr")
    ml-package -q --base oci:base:1 --add shards:/srv/m --split "$size" --out oci:out:2 -o /dev/null
    rm shards/extra/1[0-9][0-9]
    [ "$(pack --split 1M | wc -l)" -ge 100 ]
}
