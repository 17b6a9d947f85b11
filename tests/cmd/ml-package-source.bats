#!/usr/bin/env bats
# shellcheck disable=SC2154
# Sources that don't hold still, and sources that are odd.

setup() {
    load helper
    load images
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir src
}

# empty LAYOUT: nothing lies among its blobs, with or without a name
empty() {
    [ ! -e "$1" ] || [ -z "$(find "$1/blobs" -type f)" ] || {
        find "$1/blobs" -type f
        return 1
    }
}

# meddle COMMAND ...: packs while the command runs again and again: 4, or it was done before anything changed
meddle() {
    local how pid changed=0
    for how in none gzip zstd; do
        for try in 1 2 3 4 5; do
            rm -rf out
            (while :; do "$@"; done) 3>&- >/dev/null 2>&1 &
            pid=$!
            run --separate-stderr ml-package -q --base scratch --add src:/m --compress $how --out oci:out:1
            kill $pid
            wait $pid || true
            if [ "$status" -ne 0 ]; then
                fails 4 'changed while it was being read|No such file'
                empty out
                [ -z "$output" ]
                changed=$((changed + 1))
            fi
        done
    done
    [ $changed -gt 0 ]
}

@test "a file that grows, is rewritten in place, is replaced, comes or goes" {
    head -c 20000000 /dev/urandom >src/model.bin
    for i in $(seq 50); do echo "$i" >"src/$i.txt"; done
    meddle sh -c 'echo more >>src/model.bin; sleep 0.02'
    meddle sh -c 'printf XXXXXXXX | dd of=src/model.bin conv=notrunc bs=1 seek=19000000; sleep 0.02'
    meddle sh -c 'echo new >src/.x && mv src/.x src/30.txt; sleep 0.02'
    meddle sh -c 'touch src/late; sleep 0.01; rm -f src/late; sleep 0.01'
    rm -f src/late src/.x
    ml-package -q --base scratch --add src:/m --out oci:out:1 -o card.json
}

@test "what a layer cannot hold, and files that aren't what they say" {
    mkfifo src/pipe
    run --separate-stderr ml-package -q --base scratch --add src:/m --out oci:out:1
    fails 3 "'src/pipe' is a fifo"
    rm src/pipe
    echo >src/.wh.x
    run --separate-stderr ml-package -q --base scratch --add src:/m --out oci:out:1
    fails 3 "starts with '.wh.'"
    rm src/.wh.x
    run --separate-stderr ml-package -q --base scratch --add /proc/self/status:/m --out oci:out:1
    fails 3 'says that it has 0 bytes'
    empty out
}

@test "hard links are files of their own, long names and other alphabets stay" {
    echo one >src/a
    ln src/a src/b
    long=$(printf 'n%.0s' $(seq 200))
    mkdir -p "src/$long/$long"
    echo deep >"src/$long/$long/$long"
    echo name >'src/модель-模型-ß.bin'
    ml-package -q --base scratch --add src:/m --out oci:out:1 -o card.json
    unpacked out:1 bundle
    diff -r src bundle/rootfs/m
    [ "$(stat -c %h bundle/rootfs/m/a)" -eq 1 ]
    ml-fetch files -q oci:out:1 --path /m --to back -o /dev/null
    diff -r src back
}

@test "a full disk leaves nothing behind" {
    [ "$(id -u)" -eq 0 ] || skip "not root"
    mkdir small
    mount -t tmpfs -o size=8m none small || skip "cannot mount"
    head -c 20000000 /dev/urandom >src/model.bin
    for how in none gzip zstd; do
        run --separate-stderr ml-package -q --base scratch --add src:/m --compress $how --out oci:small/out:1
        full=$status
        empty small/out || full=left
        [ "$full" = 3 ] || break
    done
    umount small
    [ "$full" = 3 ]
    [[ "$stderr" == *"No space left"* ]]
}

@test "symbolic links keep their targets, absolute ones too, and differ by them" {
    mkdir t1 t2
    ln -s /app/real t1/l
    ln -s _app/real t2/l
    ln -s "/$(printf 'x%.0s' {1..120})" t1/long
    cp -P t1/long t2/long
    ml-package -q --base scratch --add t1:/m --out oci:img:1 >1.json 2>err
    ml-package -q --base scratch --add t2:/m --out oci:img:2 >2.json 2>>err
    layer=$(ml get image.layers.0.digest 1.json)
    tar -tvf "img/blobs/sha256/${layer#sha256:}" >list
    grep -q -F 'm/l -> /app/real' list
    grep -q 'm/long -> /xxxx' list
    [ "$layer" != "$(ml get image.layers.0.digest 2.json)" ]
    # what such a link says is where the next layer goes
    ml-package -q --base oci:img:1 --add t2:/m/l/below --out oci:img:3 >3.json 2>>err
    layer=$(ml get image.layers.0.digest 3.json)
    tar -tf "img/blobs/sha256/${layer#sha256:}" | grep -q '^app/real/below/l$'
}
