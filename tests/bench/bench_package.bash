# Packing a float32 model from the page cache onto a small base: against the time that hashing it takes, and against other packers.

# floats FILE GIB: weights as models have them, from a normal distribution
floats() {
    /usr/bin/python3 - "$1" "$2" <<'PY'
import sys
import numpy

r = numpy.random.default_rng(1)
with open(sys.argv[1], "wb") as f:
    for _ in range(int(sys.argv[2]) * 16):
        f.write((r.standard_normal(1 << 24, dtype=numpy.float32) * numpy.float32(0.02)).tobytes())
PY
}

# room KIB: whether that much disk is left
room() {
    [ "$(df --output=avail -k "$work" | tail -1)" -gt "$1" ]
}

# the storage driver of buildah's that works here, the quick one first
buildah_driver() {
    local d
    for d in overlay vfs; do
        buildah --root "$work/probe" --runroot "$work/probe-run" --storage-driver $d from scratch >/dev/null 2>&1 && echo $d && break
    done
    rm -rf "$work/probe" "$work/probe-run"
}

# buildah_scripts DRIVER: what its users do, and the least that it can do
buildah_scripts() {
    cat >"$work/buildah-bud" <<SCRIPT
#!/bin/bash
set -e
b() { buildah --root "$work/pack/store" --runroot "$work/pack/run" --storage-driver $1 "\$@"; }
printf 'FROM oci:base:1\nCOPY m /models\n' >Containerfile
b bud -q --isolation chroot -t packed . >/dev/null
b push -q packed oci:built:1
SCRIPT
    cat >"$work/buildah-commit" <<SCRIPT
#!/bin/bash
set -e
b() { buildah --root "$work/pack/store" --runroot "$work/pack/run" --storage-driver $1 "\$@"; }
c=\$(b from oci:base:1)
b copy -q "\$c" m /models >/dev/null
b commit -q "\$c" oci:built:1 >/dev/null
SCRIPT
    chmod +x "$work/buildah-bud" "$work/buildah-commit"
}

bench_package() {
    local gib driver
    driver=$(buildah_driver)
    table "Packing a float32 model from the page cache (wanted: 0.80 of hashing alone, 5 of umoci, 15 of buildah)"
    mkdir -p "$work/pack/m" && cp -r "$work/f/base" "$work/pack/base" && cd "$work/pack" || return
    [ -z "$driver" ] || buildah_scripts "$driver"
    for gib in ${BENCH_GIB-1 8}; do
        if ! room $((gib * 5 << 20)); then
            echo "| packing $gib GiB | needs $((gib * 5)) GiB of disk |"
            continue
        fi
        floats m/model.bin "$gib"
        before='rm -rf out; cat m/model.bin >/dev/null; sync'
        contender ours "$bin/ml-package" -q --base oci:base:1 --add m:/models --out oci:out:1 -o card.json
        contender 'openssl dgst -sha256' openssl dgst -sha256 m/model.bin
        versus "packing $gib GiB" 5
        before='rm -rf out u store run built; cp -r base u; cat m/model.bin >/dev/null; sync'
        contender ours "$bin/ml-package" -q --base oci:base:1 --add m:/models --out oci:out:1 -o card.json
        contender 'umoci insert' umoci insert --image u:1 --tag packed m /models
        if [ -n "$driver" ]; then
            contender "buildah bud, push ($driver)" "$work/buildah-bud"
            contender "buildah copy, commit, not compressed" "$work/buildah-commit"
        fi
        versus "packing $gib GiB" $((gib > 1 ? 1 : 3))
        rm -rf out u store run built
    done
    cd - >/dev/null || return
    rm -rf "$work/pack"
}
