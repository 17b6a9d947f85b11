# Fetching a model: from docker-registry on loopback and from a layout, as files that are verified and on the disk.
# BENCH_FETCH_GIB: sizes ("1 4"); BENCH_FETCH_FILES=0: without the many small files.
# curl is the floor: it neither verifies nor unpacks what it gets, and with -o leaves it to the kernel to write it some time.

# skopeo_files REF: what skopeo and tar need to get to the same files
skopeo_files() {
    cat >"$work/skopeo-files" <<'SCRIPT'
#!/bin/bash
set -e
skopeo copy -q --src-tls-verify=false "$1" dir:dir
mkdir -p out
for d in $(sed 's/.*"layers"//' dir/manifest.json | grep -o 'sha256:[0-9a-f]*'); do tar -xf "dir/${d#*:}" -C out; done
sync -f out
SCRIPT
    chmod +x "$work/skopeo-files"
}

# fetch_size GIB
fetch_size() {
    local n=$1 reg layer
    if ! room $((n * 6 << 20)); then
        echo "| fetching $n GiB | needs $((n * 6)) GiB of disk |"
        return
    fi
    rm -rf registry* m img
    reg=$(registry_start "$work" registry)
    mkdir m && head -c "${n}G" /dev/urandom >m/model.bin
    "$bin/ml-package" -q --base scratch --add m:/app/model --out oci:img:1 -o packed.json
    rm -rf m
    "$bin/ml-publish" push -q --image oci:img:1 "$reg/bench/fetch:1" </dev/null >/dev/null
    # curl is given the blob's address, which ours has to find out
    layer=http://$reg/v2/bench/fetch/blobs/$("$bin/ml" get image.layers.0.digest packed.json)
    before='rm -rf out dir blob; sync -f .'
    contender ours "$bin/ml-fetch" -q files "$reg/bench/fetch:1" --path /app/model --to out
    contender 'curl, to /dev/null' curl -sf -o /dev/null "$layer"
    contender 'curl and sha256sum' sh -c "curl -sf $layer | sha256sum"
    contender 'curl -o, sync' sh -c "curl -sf -o blob $layer && sync blob"
    contender 'skopeo copy, tar, sync' ./skopeo-files "docker://$reg/bench/fetch:1"
    versus "$n GiB from a registry" 5
    contender ours "$bin/ml-fetch" -q files oci:img:1 --path /app/model --to out
    contender 'openssl dgst -sha256' sh -c 'openssl dgst -sha256 img/blobs/sha256/*'
    contender 'tar, sync' sh -c "mkdir out && tar -xf img/blobs/sha256/${layer##*sha256:} -C out && sync -f out"
    versus "$n GiB from a layout" 5
    servers_stop "$work"
    rm -rf out dir blob img registry*
}

# many small files: 200,000, of 0 to 400 bytes, in 200 directories
fetch_many() {
    local reg
    reg=$(registry_start "$work" registry)
    /usr/bin/python3 -c '
import os
for i in range(200):
    os.makedirs(f"m/{i}")
    for j in range(1000):
        with open(f"m/{i}/{j}", "wb") as f:
            f.write(b"x" * ((i * j) % 400))'
    "$bin/ml-package" -q --base scratch --add m:/app/model --out oci:img:1 -o packed.json
    rm -rf m
    "$bin/ml-publish" push -q --image oci:img:1 "$reg/bench/many:1" </dev/null >/dev/null
    before='rm -rf out dir; sync -f .'
    contender ours "$bin/ml-fetch" -q files "$reg/bench/many:1" --path /app/model --to out
    contender 'skopeo copy, tar, sync' ./skopeo-files "docker://$reg/bench/many:1"
    versus '200,000 files from a registry' 3
    servers_stop "$work"
    rm -rf out dir img registry*
}

fetch_card() {
    local reg tag blob oci='Accept: application/vnd.oci.image.manifest.v1+json'
    reg=$(registry_start "$work" registry)
    (cd f && "$bin/ml-publish" push -q --card packaged.json "$reg/bench/card:1" >/dev/null)
    tag=$("$bin/ml" get image.digest f/packaged.json)
    tag=sha256-${tag#*:}.card
    blob=$(curl -s -H "$oci" "http://$reg/v2/bench/card/manifests/$tag" | grep -o '"layers":\[{[^}]*' | grep -o 'sha256:[0-9a-f]*' | head -1)
    before=
    contender ours "$bin/ml-fetch" card "$reg/bench/card:1"
    contender 'curl, the same three requests' curl -sf -H "$oci" "http://$reg/v2/bench/card/manifests/{1,$tag}" "http://$reg/v2/bench/card/blobs/$blob"
    contender 'skopeo inspect --raw, one request' skopeo inspect --raw --tls-verify=false "docker://$reg/bench/card:1"
    versus 'the card of an image' 21
    servers_stop "$work"
    rm -rf registry*
}

bench_fetch() {
    local n
    # shellcheck source=tests/cmd/registry.bash
    . tests/cmd/registry.bash
    table 'Fetching a model'
    cd "$work" || return
    skopeo_files
    for n in ${BENCH_FETCH_GIB-1 4}; do fetch_size "$n"; done
    [ "${BENCH_FETCH_FILES:-1}" = 0 ] || fetch_many
    fetch_card
    cd - >/dev/null || return
}
