# Images made by hand, for the tests of ml-package and ml-fetch.

export PYTHONPATH="$TOP/tests/cmd" PYTHONDONTWRITEBYTECODE=1

# py: Python on standard input, with `images` and the arguments at hand
py() {
    /usr/bin/python3 - "$@"
}

# base DIR: the base image of images.py, tag 1
base() {
    py "$1" <<'PY'
import images, sys
images.base(sys.argv[1])
PY
}

# what DIR TAG [LAYER]: a line an entry of a layer
what() {
    py "$@" <<'PY'
import images, sys
for e in images.names(sys.argv[1], sys.argv[2], int((sys.argv + [-1])[3])):
    print(*e)
PY
}

# unpacked DIR:TAG TO: the image's files in TO/rootfs, by umoci
unpacked() {
    umoci unpack --rootless --image "$1" "$2" >/dev/null 2>&1 || umoci unpack --image "$1" "$2" >/dev/null
}

# model DIR: a small model
model() {
    mkdir -p "$1/sub"
    printf '{"weights": [1, 2]}\n' >"$1/model.json"
    printf 'alpha: 1.0e-05\n' >"$1/sub/params.yaml"
    printf '#!/bin/sh\n' >"$1/run"
    chmod 755 "$1/run"
    ln -s model.json "$1/current"
}

# digest FILE: image.digest of a card
digest() {
    ml get image.digest "$1"
}
