#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# What is large in one way or another: over the 8 GiB that a tar's own size field can say, and very many files. Memory is bounded in all of them.
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# peak COMMAND ...: runs it; its largest resident set in MiB must be below 64
peak() {
    local min median kib
    read -r min median kib <<<"$("$TOP/$B/tests/bench/spawn" 1 "$@")"
    echo "# $((kib / 1024)) MiB, ${median%.*} ms: ${*: -6}" >&3
    [ "$kib" -lt $((64 * 1024)) ] || {
        echo "$kib KiB, $min ms"
        return 1
    }
}

# blob LAYOUT: the file of the last layer
blob() {
    /usr/bin/python3 - "$1" <<'PY'
import json, sys
d = sys.argv[1]
blob = lambda x: f"{d}/blobs/sha256/{x['digest'].split(':')[1]}"
print(blob(json.load(open(blob(json.load(open(d + "/index.json"))["manifests"][0])))["layers"][-1]))
PY
}

@test "a file of 9 GiB, nearly all of it a hole" {
    mkdir src
    truncate -s 9G src/model.bin
    printf start | dd of=src/model.bin conv=notrunc status=none
    printf middle | dd of=src/model.bin conv=notrunc bs=1 seek=5000000000 status=none
    printf end | dd of=src/model.bin conv=notrunc bs=1 seek=$((9 << 30)) status=none
    printf '{}\n' >src/z.json
    peak ml-package -q --base scratch --add src:/models --out oci:out:1 -o card.json
    [ "$(tar -tvf "$(blob out)" | awk '/model.bin/ { print $3 }')" = $(((9 << 30) + 3)) ]
    [ "$(tar -xOf "$(blob out)" models/z.json)" = '{}' ]
    [ "sha256:$(openssl dgst -sha256 -r "$(blob out)" | cut -d' ' -f1)" = "sha256:$(basename "$(blob out)")" ]
    [ "$(du -k "$(blob out)" | cut -f1)" -lt 100000 ] # the hole stayed one
    # what another reader finds in it
    tar -xOf "$(blob out)" models/model.bin | cmp - src/model.bin
    ml-fetch files -q oci:out:1 --path /models --to back -o /dev/null
    cmp back/model.bin src/model.bin
    cmp back/z.json src/z.json
}

@test "200,000 files in one --add" {
    /usr/bin/python3 - <<'PY'
import os
for d in range(200):
    os.makedirs(f"src/d{d:03}")
    for i in range(1000):
        with open(f"src/d{d:03}/file-{i:04}.txt", "wb") as f:
            f.write(b"%d %d\n" % (d, i) * (i % 100))
PY
    peak ml-package -q --base scratch --add src:/models --out oci:out:1 -o card.json
    [ "$(tar -tf "$(blob out)" | grep -vc '/$')" -eq 200000 ]
    peak ml-package -q --base scratch --add src:/models --split 10M --out oci:split:1 -o split.json
    peak ml-package -q --base scratch --add src:/models --compress zstd --out oci:zstd:1 -o zstd.json
    peak ml-package -q --base scratch --add src:/models --archive a.tar -o archive.json
    cmp <(ml get image.digest card.json) <(ml get image.digest archive.json)
    mkdir x
    tar -xf "$(blob out)" -C x
    diff -r src x/models
}

@test "six sources of 2 GiB at once, three of them compressed" {
    for i in 1 2 3 4 5 6; do
        mkdir s$i
        truncate -s 2G s$i/$i.bin
        echo $i >s$i/name
    done
    peak ml-package -q --base scratch --add s1:/1 --add s2:/2 --add s3:/3 --add s4:/4 --add s5:/5 --add s6:/6 --out oci:out:1 -o card.json
    peak ml-package -q --base scratch --add s1:/1 --add s2:/2 --add s3:/3 --compress zstd --out oci:zstd:1 -o zstd.json
    peak ml-package -q --base scratch --add s1:/1 --compress gzip --out oci:gzip:1 -o gzip.json
    [ "$(ml get image.layers card.json | grep -o 'diff_id' | wc -l)" -eq 6 ]
    diff <(ml get image.layers card.json | grep -o '"diff_id": *"[^"]*"' | head -3) <(ml get image.layers zstd.json | grep -o '"diff_id": *"[^"]*"')
}
